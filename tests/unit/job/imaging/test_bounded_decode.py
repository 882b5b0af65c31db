"""Decoding within bounds: what runs over them is one image less, and the process is as it was."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from hashlib import pbkdf2_hmac

import numpy as np
import psutil
import pytest

from job.contract.errors import DecodeError
from job.imaging import bounded_decode as guard
from job.imaging.decode import decode_image
from tests.faults.hostile_files import gif_bomb, scan_bomb
from tests.unit.job import hostile

DECODERS = [guard.decode_bounded, guard.decode_in_subprocess]


@pytest.mark.parametrize("decode", DECODERS)
def test_a_good_image_is_what_it_is_without_bounds(decode):
    bounded, plain = decode(hostile.jpeg(120, 80), 224), decode_image(hostile.jpeg(120, 80), 224)

    assert np.array_equal(bounded.pixels, plain.pixels)
    assert (bounded.width, bounded.height) == (120, 80)


@pytest.mark.parametrize("decode", DECODERS)
def test_a_bad_image_has_the_reason_it_has_without_bounds(decode):
    with pytest.raises(DecodeError, match=r"^truncated$"):
        decode(hostile.truncated_jpeg(), 224)


@pytest.mark.parametrize("decode", DECODERS)
def test_an_image_that_takes_too_long_is_refused(decode, monkeypatch):
    monkeypatch.setattr(guard, "SECONDS", 0.2)

    with pytest.raises(DecodeError, match=r"^decoding timed out$"):
        decode(gif_bomb(2_000_000), 224)


POOR = """
import sys
from job.imaging import bounded_decode as guard
from job.contract.errors import DecodeError

guard.MEMORY_BYTES = 64 << 20
try:
    getattr(guard, sys.argv[1])(sys.stdin.buffer.read(), 224)
except DecodeError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["decode_bounded", "decode_in_subprocess"])
def test_an_image_that_takes_too_much_memory_is_refused(name):
    """In a process that has not had so much before and kept it."""
    command = [sys.executable, "-c", POOR, name]

    large = hostile.save(hostile.fruit(9504, 6336), "PNG", compress_level=1)  # has no scale, unlike JPEG
    done = subprocess.run(command, input=large, capture_output=True, check=True)

    assert done.stdout == b"not enough memory\n"


def test_limits_and_timers_are_as_before_also_after_an_error():
    before = state()
    guard.decode_bounded(hostile.jpeg(), 8)
    with pytest.raises(DecodeError):
        guard.decode_bounded(b"no image", 8)

    assert state() == before


def state():
    timers = (signal.getitimer(signal.ITIMER_VIRTUAL), signal.getitimer(signal.ITIMER_PROF))
    return resource.getrlimit(resource.RLIMIT_AS), timers, signal.getsignal(signal.SIGVTALRM)


def test_a_decoder_that_dies_costs_its_image_and_leaves_no_process(monkeypatch):
    monkeypatch.setattr(guard, "decode_image", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    before = psutil.Process().children()  # earlier tests of this process may have left some

    with pytest.raises(DecodeError, match=r"^decoder crashed$"):
        guard.decode_in_subprocess(b"", 8)
    assert set(psutil.Process().children()) <= set(before)


def test_a_decoder_stuck_in_c_is_ended_with_its_process(monkeypatch):
    """No signal is answered there; SIGPROF is not asked."""
    monkeypatch.setattr(guard, "SECONDS", 0.1)
    monkeypatch.setattr(guard, "decode_image", lambda *_: pbkdf2_hmac("sha256", b"", b"", 10**9))  # minutes in one call

    with pytest.raises(DecodeError, match=r"^decoder crashed$"):
        guard.decode_in_subprocess(b"", 8)


def test_a_decoder_that_never_answers_costs_its_image_and_leaves_no_process(monkeypatch, tmp_path):
    """It uses no processor time, as a fork that waits for a lock which it has copied: no other limit ends it."""
    monkeypatch.setattr(guard, "SECONDS", 0.05)
    monkeypatch.setattr(guard, "decode_image", lambda *_: sleeping_child(tmp_path))
    before = psutil.Process().children()

    with pytest.raises(DecodeError, match=r"^decoding timed out$"):
        guard.decode_in_subprocess(b"", 8)
    assert len(list(tmp_path.iterdir())) == 2  # children that were tried
    assert set(psutil.Process().children()) <= set(before)


def test_an_image_whose_child_did_not_answer_is_decoded_by_the_next_one(monkeypatch, tmp_path):
    monkeypatch.setattr(guard, "SECONDS", 0.2)
    monkeypatch.setattr(
        guard, "decode_image", lambda *given: decode_image(*given) if list(tmp_path.iterdir()) else sleeping_child(tmp_path)
    )

    assert guard.decode_in_subprocess(hostile.jpeg(120, 80), 8).width == 120


def test_an_answer_that_stops_half_way_is_none(monkeypatch):
    """The child has written, and hangs before its end."""
    monkeypatch.setattr(guard, "SECONDS", 0.05)
    monkeypatch.setattr(guard.pickle, "dump", lambda answer, pipe: (pipe.write(b"half"), pipe.flush(), time.sleep(3_600)))

    with pytest.raises(DecodeError, match=r"^decoding timed out$"):
        guard.decode_in_subprocess(hostile.jpeg(), 8)


def test_a_child_does_not_outlive_its_interrupted_parent(monkeypatch, tmp_path):
    monkeypatch.setattr(guard, "decode_image", lambda *_: sleeping_child(tmp_path))
    monkeypatch.setattr(guard, "wait", interrupt)
    before = psutil.Process().children()

    with pytest.raises(KeyboardInterrupt):
        guard.decode_in_subprocess(b"", 8)
    assert set(psutil.Process().children()) <= set(before)


def interrupt(*_):
    raise KeyboardInterrupt


def sleeping_child(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(3_600)


def test_a_progressive_jpeg_of_thousands_of_empty_scans_is_refused_before_it_begins():
    with pytest.raises(DecodeError, match=r"^too many scans for 3744x3744$"):
        decode_image(scan_bomb(3_744, 3_744, 5_000), 8)


def test_ordinary_progressive_jpegs_have_few_enough_scans():
    assert decode_image(hostile.save(hostile.fruit(9504, 6336), "JPEG", progressive=True), 8).width == 9504
    assert decode_image(scan_bomb(64, 64, 5_000), 8).width == 64  # small ones may have as many as they like


def test_what_looks_like_scans_behind_the_image_does_not_count():
    """Phones put a film there: a byte pattern turns up in it by chance."""
    photo = hostile.megapixels_60_jpeg()
    film = np.random.default_rng(1).bytes(8 << 20)
    assert film.count(b"\xff\xda") > 16 * 89_478_485 // (9504 * 6336)

    assert decode_image(photo + film, 8).width == 9504
