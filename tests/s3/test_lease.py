"""One writer per OUTPUT on a real S3 server: conditional puts, real processes, a network that goes away."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from job.contract.errors import LeaseError
from job.storage import s3_client
from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.unit.job.storage.test_lease import acquire_when_free, holding, race_of_two


def test_exactly_one_of_two_racing_processes_gets_the_lease(bucket: str):
    assert race_of_two(f"s3://{bucket}", 60) == {number: ["holds", "refused"] for number in range(60)}


def test_a_second_run_is_refused_until_the_first_releases(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")

    with Lease.acquire(folder, "run-a") as first:
        first.check()
        with pytest.raises(LeaseError, match=r"^run `run-a` "):
            Lease.acquire(folder, "run-b")
    with Lease.acquire(folder, "run-b") as second:
        assert (second.generation, second.taken_over) == (first.generation + 1, False)


def test_a_new_attempt_of_the_same_run_enters_at_once_and_the_old_one_is_out(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")
    with Lease.acquire(folder, "run-a") as first, Lease.acquire(folder, "run-a") as second:
        assert (second.generation, second.taken_over) == (first.generation + 1, True)
        with pytest.raises(LeaseError, match="is lost: run `run-a` took over"):
            first.check()
        second.check()


def test_the_owner_on_another_machine_is_followed_when_s3_says_that_the_lease_has_expired(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")
    Lease.acquire(folder, "run-a", seconds=1, now=lambda: 4_000_000_000.0).release()  # its clock is far ahead
    stored = folder.read("lease.json")
    assert stored is not None
    elsewhere = {"host": "elsewhere", "machine": "another boot", "pid": 2**22 + 1, "started": "1"}
    folder.write("lease.json", json.dumps(json.loads(stored.content) | {"owner": elsewhere, "released": False}).encode())

    with pytest.raises(LeaseError, match="on elsewhere"):
        Lease.acquire(folder, "run-b")
    with acquire_when_free(folder.uri, "run-b", 60) as lease:
        assert lease.taken_over is True


def test_a_killed_owner_on_this_machine_is_followed_at_once(bucket: str):
    uri = f"s3://{bucket}/out"
    with holding(uri, "run-a", 3600) as holder:
        assert holder.answer == "holds False"
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()

        with Lease.acquire(open_folder(uri), "run-b") as lease:
            assert lease.taken_over is True


def test_an_owner_that_slept_past_expiry_finds_out_and_overwrites_nothing(bucket: str):
    uri = f"s3://{bucket}/out"
    with holding(uri, "run-a", 1) as holder:
        assert holder.answer == "holds False"
        holder.process.send_signal(signal.SIGSTOP)
        with acquire_when_free(uri, "run-b", 600) as lease:
            assert lease.taken_over is True
            before = open_folder(uri).read("lease.json")

            holder.process.send_signal(signal.SIGCONT)
            said = holder.tell("check")

            after = open_folder(uri).read("lease.json")
            assert said == f"LeaseError the lease of `{uri}` is lost: run `run-b` took over"
            assert before is not None
            assert after is not None
            assert after.content == before.content
            lease.check()


class Relay(ThreadingTCPServer):
    """A network between boto3 and the server that can be cut: connections then end at once, unanswered."""

    daemon_threads = True
    cut = False
    swallow_answer = False  # the next request reaches the server, its answer gets lost, once

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(("127.0.0.1", 0), RelayedConnection)


class RelayedConnection(BaseRequestHandler):
    def handle(self) -> None:
        relay = self.server
        assert isinstance(relay, Relay)
        with socket.create_connection(("127.0.0.1", relay.port)) as server:
            answers = threading.Thread(target=self._answers, args=(relay, server), daemon=True)
            answers.start()
            while (data := self.request.recv(65536)) and not relay.cut:
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _answers(self, relay: Relay, server: socket.socket) -> None:
        while (data := server.recv(65536)) and not relay.cut:
            if relay.swallow_answer and b"ETag" in data:
                relay.swallow_answer = False
                break
            self.request.sendall(data)
        self.request.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(bucket: str, s3_server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    with Relay(int(s3_server.endpoint.rpartition(":")[2])) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{relay.server_address[1]}")
        s3_client.client.cache_clear()
        yield relay
        relay.shutdown()


def test_a_network_that_is_cut_for_a_moment_does_not_cost_the_lease(bucket: str, relay: Relay):
    with Lease.acquire(open_folder(f"s3://{bucket}/out"), "run-a", seconds=60) as lease:
        relay.cut = True
        threading.Timer(1.0, setattr, (relay, "cut", False)).start()
        lease.check()
        assert lease.lost is False


def test_a_network_that_is_cut_past_expiry_costs_the_lease(bucket: str, relay: Relay):
    with Lease.acquire(open_folder(f"s3://{bucket}/out"), "run-a", seconds=1) as lease:
        relay.cut = True
        with pytest.raises(LeaseError, match="is lost: renewal failed: no response from S3"):
            lease.check()
        assert lease.lost is True


def test_an_own_write_whose_answer_was_lost_is_not_taken_for_another_run(bucket: str, relay: Relay):
    """boto3 sends it again, and S3 then says that the version has changed."""
    folder = open_folder(f"s3://{bucket}/out")
    relay.swallow_answer = True
    with Lease.acquire(folder, "run-a") as lease:
        assert relay.swallow_answer is False
        assert lease.taken_over is False
        relay.swallow_answer = True
        lease.check()
        assert relay.swallow_answer is False
        lease.check()
