"""
Bundle Vega, Vega-Lite and Vega-Embed as one piece of JavaScript, for a page that needs no network.

vl_convert (84 MB) makes it once; from then on the file in the cache is enough, and vl_convert need not be installed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from job.contract.atomic_write import atomic_write
from job.contract.errors import SetupError

VERSION = "6.4.1"  # of Vega-Lite, what charts.py is written for; a test compares it with altair, whose schema holds the charts


def bundle(cache: Path | None) -> str:
    """
    Return the JavaScript, from `cache` if it is there, else built and cached.

    Raises:
        SetupError: it is not there, and vl_convert is not installed.
    """
    kept = cache / f"vega-{VERSION}.js" if cache else None
    if kept is not None:
        with suppress(OSError):  # not there yet, or not for this user
            return kept.read_text(encoding="utf-8")
    try:
        from vl_convert import javascript_bundle
    except ImportError as error:
        raise SetupError(f"`{kept or 'vega.js'}` is missing and vl_convert is not installed", "pip install vl-convert-python") from error
    text: str = javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VERSION.rpartition(".")[0])
    if kept is not None:
        with suppress(OSError), atomic_write(str(kept)) as file:  # the image's own cache is read-only, a disk may be full
            file.write(text.encode())
    return text
