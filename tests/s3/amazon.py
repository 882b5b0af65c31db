"""
`s3.<Region>.amazonaws.com` on this machine: a proxy that ends the TLS of every host with its own certificates, and passes what is inside
to a server of plain HTTP. So a command that was not told any endpoint meets a server under AWS's own names.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REGIONS = ("eu-west-3", "eu-central-1", "us-east-1")
HOSTS = [host for region in REGIONS for host in (f"s3.{region}.amazonaws.com", f"*.s3.{region}.amazonaws.com")]  # as S3's certificate
HOSTS += ["bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "s3.dualstack.eu-west-3.amazonaws.com"]


@dataclass
class Amazon:
    proxy: str
    certificates: Path
    hosts: list[str] = field(default_factory=list)  # that were asked for, in their order

    def environment(self) -> dict[str, str]:
        """For a process that knows nothing but its keys, a proxy and its company's certificates."""
        return {
            "HTTPS_PROXY": self.proxy,
            "AWS_CA_BUNDLE": str(self.certificates),
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


@contextmanager
def amazon(target: str, folder: Path) -> Iterator[Amazon]:
    """`target`: URL of the server; `folder` receives the certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificates(folder), folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        found = Amazon(f"http://127.0.0.1:{listening.getsockname()[1]}", folder / "ca.pem")

        def accept() -> None:
            with suppress(OSError):  # the socket is closed at the end
                while True:
                    threading.Thread(target=_serve, args=(listening.accept()[0], target, context, found.hosts), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield found


def _serve(client: socket.socket, target: str, context: ssl.SSLContext, hosts: list[str]) -> None:
    """One CONNECT: https://www.rfc-editor.org/rfc/rfc9110#CONNECT"""
    with suppress(OSError), client:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        hosts.append(head.split()[1].decode().partition(":")[0])
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        place = urlsplit(target)
        with context.wrap_socket(client, server_side=True) as inside, socket.create_connection((place.hostname, place.port)) as server:
            threading.Thread(target=_pump, args=(server, inside), daemon=True).start()
            _pump(inside, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(1 << 16):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)


def _certificates(folder: Path) -> Path:
    """A company's certificate in ca.pem; the servers' certificate, whose path is returned, with key.pem."""
    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    company = _certificate("fruits company", own, "fruits company", own).add_extension(x509.BasicConstraints(True, None), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    servers = _certificate("s3", key, "fruits company", own).add_extension(names, critical=False)
    for name, made in (("ca.pem", company), ("s3.pem", servers)):
        (folder / name).write_bytes(made.sign(own, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    return folder / "s3.pem"


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuers_key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(signer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
