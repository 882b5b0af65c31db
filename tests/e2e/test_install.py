"""What `make` installs from an index behind a certificate that only this machine's system knows, as a proxy that inspects TLS has one."""

import datetime as dt
import hashlib
import ipaddress
import os
import shutil
import ssl
import subprocess
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
WHEEL = "probe-1.0-py3-none-any.whl"


def signed(subject, issuer, signer, *extensions):
    """The key of `subject` and its certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    made = x509.CertificateBuilder(*names, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
    for extension in extensions:
        made = made.add_extension(extension, critical=False)
    return key, made.sign(signer or key, hashes.SHA256())


@pytest.fixture
def certificates(tmp_path):
    """Files of a certificate authority, and of a server at 127.0.0.1 with its key."""
    authority, root = signed("inspector", "inspector", None, x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    key, certificate = signed("127.0.0.1", "inspector", authority, address)
    pem, plain = serialization.Encoding.PEM, (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "ca.pem").write_bytes(root.public_bytes(pem))
    (tmp_path / "server.pem").write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, *plain))
    return tmp_path / "ca.pem", tmp_path / "server.pem"


@pytest.fixture
def index(certificates, tmp_path):
    """Address of an index with one package."""
    folder = tmp_path / "index" / "probe"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("probe.py", "")
        wheel.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        wheel.writestr("probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("probe-1.0.dist-info/RECORD", "probe.py,,\n")
    digest = hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest()
    (folder / "index.html").write_text(f'<a href="{WHEEL}#sha256={digest}">{WHEEL}</a>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(os.getuid() != 0 or not SYSTEM.is_file(), reason="needs root, to add a certificate to the system of one process")
@pytest.mark.parametrize(("variables", "installed"), [({}, True), ({"UV_SYSTEM_CERTS": "false"}, False)])
def test_uv_trusts_whom_the_system_trusts(index, certificates, tmp_path, variables, installed):
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    rule = f"probe: ; @$(UV) pip install --quiet --no-cache --target '{tmp_path}/site' --index-url '{index}' probe"
    script = f'mount --bind "{certificates[0]}" "{SYSTEM}" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", "make", "--silent", f"--eval={rule}", f"UV={uv}", "probe"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "SSL_CERT"))}

    done = subprocess.run(command, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=False)

    assert (done.returncode == 0, (tmp_path / "site" / "probe.py").is_file()) == (installed, installed), done.stderr
    assert installed or "UnknownIssuer" in done.stderr
