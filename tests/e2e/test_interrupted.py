"""Ctrl-C, and a second run while the first one runs, as a user meets them. Kills, each fault alone, are in tests/faults."""

import signal

from tests.waiting import wait_until

FAST = ("--model", "mean_colour", "--components", "2")


def test_a_second_run_on_the_same_output_is_refused(fruitsctl, sample, photos, tmp_path):
    first = fruitsctl.start("run", sample, tmp_path, "--local", "--json", "--chunk-images", "20", *FAST)
    wait_until(lambda: (tmp_path / "lease.json").exists())

    refused = fruitsctl("run", photos, tmp_path, "--local", *FAST)
    assert refused.returncode == 3, refused.stderr[-2000:]
    assert "lease" in refused.stderr
    assert "hint: " in refused.stderr
    assert "Traceback" not in refused.stderr

    first.send_signal(signal.SIGINT)
    _, said = first.communicate()
    assert first.returncode == 130
    assert "interrupted" in said
    fruitsctl.run(photos, tmp_path, *FAST)  # the lease was given back
