"""An image takes the memory of its pixels and its file, whatever sizes its header claims."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from lava_mlsnn.data.image import read_image
from lava_mlsnn.errors import DataError

CHILD = """
import resource, sys
from pathlib import Path
from PIL import Image
Image.init()
from lava_mlsnn.data.image import read_header, read_image
from lava_mlsnn.errors import DataError
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for file in map(Path, sys.argv[1:]):
    for read in (read_header, read_image):
        try:
            read(file)
        except DataError as error:
            assert str(file) in str(error)
print("fine")
"""


def chunk(kind, data, size=None):
    length = struct.pack(">I", len(data) if size is None else size)
    return length + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pixels(last):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + last


ROWS = zlib.compress(bytes((3 + 1) * 2))
CLAIMS = {
    "pixels of 2 GiB": pixels(chunk(b"IDAT", ROWS, (1 << 31) - 1)),
    "text of 2 GiB": pixels(chunk(b"zTXt", b"a\0\0", (1 << 31) - 1)),
    "EXIF of 2 GiB behind the pixels": pixels(chunk(b"IDAT", ROWS) + chunk(b"eXIf", b"", 1 << 30)),
    "a profile that unpacks to 300 MiB": pixels(
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(300 << 20), 9)) + chunk(b"IDAT", ROWS)
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_claim_is_believed(tmp_path):
    files = []
    for name, data in CLAIMS.items():
        files.append(tmp_path / f"{name}.png")
        files[-1].write_bytes(data)
    done = subprocess.run([sys.executable, "-c", CHILD, *files], capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr[-2000:]


def test_what_a_file_holds_is_read_whole(tmp_path):
    """Formats that ask for their sizes from the end, in parts, or not at all."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    for kind in ("PNG", "BMP", "PPM", "TIFF"):
        path = tmp_path / f"a.{kind.lower()}"
        image.save(path)
        np.testing.assert_array_equal(read_image(path), np.asarray(image))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    path.write_bytes(buffer.getvalue()[:100])
    with pytest.raises(DataError, match=r"a\.tiff is not an image that can be read"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
