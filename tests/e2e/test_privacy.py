"""What a photo says beside its picture, planted wherever its format has a place for it, is in no output, log or temporary file."""

import base64
import io
import re
import struct

import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

MARKS = ("Zq7-exif", "Zq7-gps", "Zq7-maker", "Zq7-xmp", "Zq7-iptc", "Zq7-comment", "Zq7-text", "Zq7-thumbnail")
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>Zq7-xmp</dc:creator></x:xmpmeta>'


def exif():
    """Camera, artist, place, maker note, and a thumbnail with a comment in it."""
    found = Image.Exif()
    found[ExifTags.Base.Artist] = found[ExifTags.Base.Model] = "Zq7-exif"
    details = found.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.UserComment] = b"ASCII\0\0\0Zq7-exif"
    details[ExifTags.Base.MakerNote] = b"Zq7-maker"
    place = found.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSAreaInformation] = b"ASCII\0\0\0Zq7-gps"
    place[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 24.0)
    small = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(small, "JPEG", comment=b"Zq7-thumbnail")
    return found.tobytes() + small.getvalue()


def iptc():
    """An APP13 segment as Photoshop writes it, with a by-line: https://www.iptc.org/std/IIM/4.2/specification/IIMV4.2.pdf"""
    line = b"Zq7-iptc"
    record = b"\x1c\x02\x50" + struct.pack(">H", len(line)) + line
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


@pytest.fixture(scope="module")
def marked(sample, tmp_path_factory):
    """12 photos as JPEG, PNG, WebP and TIFF, full of marks; of each format one more that is cut short."""
    root = tmp_path_factory.mktemp("marked")
    text = PngInfo()
    text.add_text("Author", "Zq7-text")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.Artist] = tags[ExifTags.Base.ImageDescription] = "Zq7-exif"
    tags[ExifTags.Base.XMLPacket] = XMP
    options = {
        "jpg": {"format": "JPEG", "exif": exif(), "comment": b"Zq7-comment", "xmp": XMP},
        "png": {"format": "PNG", "exif": exif(), "pnginfo": text},
        "webp": {"format": "WEBP", "exif": exif(), "xmp": XMP},
        "tif": {"format": "TIFF", "tiffinfo": tags},
    }
    paths = [path for folder in sorted((sample / "Test").iterdir())[:4] for path in sorted(folder.iterdir())[:3]]
    for path in paths:
        (root / path.parent.name).mkdir(exist_ok=True)
        for suffix, how in options.items():
            file = io.BytesIO()
            Image.open(path).save(file, **how)
            content = file.getvalue()
            if suffix == "jpg":
                content = content[:2] + iptc() + content[2:]
            (root / path.parent.name / f"{path.stem}.{suffix}").write_bytes(content)
    for suffix in options:
        whole = (root / paths[0].parent.name / f"{paths[0].stem}.{suffix}").read_bytes()
        (root / paths[0].parent.name / f"cut.{suffix}").write_bytes(whole[: len(whole) * 2 // 3])
    return root


def values_of(path):
    """A file's bytes, and the values of a Parquet file; of an embedded picture its bytes too."""
    content = path.read_bytes()
    return content + (repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b"")


def test_the_marks_are_in_the_photos(marked):
    everything = b"".join(path.read_bytes() for path in marked.rglob("*.*"))
    assert [mark for mark in MARKS if mark.encode() not in everything] == []


def test_no_mark_is_in_any_output_log_or_temporary_file(marked, fruitsctl, tmp_path):
    scratch, output = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    done = fruitsctl.__class__(fruitsctl.env["FRUITS_CACHE"], {**fruitsctl.env, "TMPDIR": str(scratch)})(
        "run", marked, output, "--local", "--components", "3", "--max-reject-ratio", "0.5", "--model", "mean_colour"
    )

    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for path in output.rglob("*") if path.is_file()]
    assert {"report.html", "job.log", "manifest.json", "outcome.json"} <= {path.name for path in files}
    (report,) = (str(path.relative_to(output)) for path in files if path.name == "report.html")
    reasons = [reason for path in (output / "rejects").glob("*.parquet") for reason in pq.read_table(path).column("reason").to_pylist()]
    assert sorted(reasons) == ["damaged image data", "truncated", "truncated", "truncated"]
    everything = {str(path.relative_to(output)): values_of(path) for path in files} | {
        "stdout": done.stdout.encode(),
        "stderr": done.stderr.encode(),
    }
    assert [(name, mark) for name, content in everything.items() for mark in MARKS if mark.encode() in content] == []
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    pictures = [base64.b64decode(found) for found in re.findall(rb"data:image/webp;base64,([A-Za-z0-9+/=]+)", everything[report])]
    assert len(pictures) > 10
    assert {key for picture in pictures for key in Image.open(io.BytesIO(picture)).info} <= {"loop", "background", "timestamp", "duration"}
