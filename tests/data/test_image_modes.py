"""Images of every mode: what torchvision's users see, once upright, or a refusal."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lava_mlsnn.data import load_dataset
from lava_mlsnn.data.image import read_header
from lava_mlsnn.errors import DataError

ORIENTATION = 0x0112
MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB"]
MODES += ["HSV", "I", "F", "I;16", "I;16B"]
ENDINGS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "gif": "GIF", "tif": "TIFF", "webp": "WEBP"}
ENDINGS["ppm"] = "PPM"
# what must never be refused, with any orientation that the file can hold
USUAL = {("png", "L"), ("png", "RGB"), ("png", "1"), ("png", "P"), ("jpg", "L"), ("jpg", "RGB")}
USUAL |= {("jpg", "CMYK"), ("bmp", "RGB"), ("tif", "RGB"), ("tif", "L"), ("webp", "RGB")}
USUAL |= {("gif", "L"), ("gif", "P"), ("ppm", "L"), ("ppm", "RGB")}


def made(mode, seed, opaque, size=(5, 4)):
    """A random image of a mode; with ``opaque`` its alpha is 255 throughout."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if opaque:
        colours[..., 3] = 255
    image = Image.fromarray(colours, "RGBA")
    if mode == "P":
        return image.convert("RGB").quantize(16)
    for step in ({"LA": ["LA"], "La": ["LA", "La"], "PA": ["P", "PA"], "RGBa": ["RGBa"]}).get(
        mode, ["RGB", mode] if mode in ("LAB", "HSV", "YCbCr", "CMYK") else ["L", mode]
    ):
        image = image if image.mode == step else image.convert(step)
    return image


@st.composite
def files(draw):
    """Bytes of an image in some mode and format, and its ending."""
    mode, ending = draw(st.sampled_from(MODES)), draw(st.sampled_from(sorted(ENDINGS)))
    opaque = draw(st.booleans())
    if mode in ("RGB", "RGBA", "RGBX"):
        image = made("RGBA", draw(st.integers(0, 99)), opaque)
        image = image if mode == "RGBA" else image.convert("RGB").convert(mode)
    else:
        try:
            image = made(mode, draw(st.integers(0, 99)), opaque)
        except ValueError:  # a conversion that this Pillow does not have
            image = Image.new(mode, (5, 4))
    options = {}
    turn = draw(st.integers(1, 8))
    if turn > 1 and ending in ("png", "jpg", "tif", "webp"):
        options["exif"] = image.getexif()
        options["exif"][ORIENTATION] = turn
    if mode == "P" and ending in ("png", "gif") and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 15))
    data = io.BytesIO()
    try:
        image.save(data, ENDINGS[ending], **options)
    except (OSError, ValueError, KeyError):  # no such mode in this format
        return None
    transparent = "transparency" in options
    return data.getvalue(), ending, mode, transparent


@settings(max_examples=150, deadline=None)
@given(files())
def test_an_image_is_what_torchvision_gives_once_upright_or_is_refused_in_both_parts(found):
    if found is None:
        return
    data, ending, mode, transparent = found
    with Image.open(io.BytesIO(data)) as image:
        try:
            wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, ValueError):  # Pillow itself cannot
            wanted = None
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for part in ("train", "test"):
            (root / part / "a").mkdir(parents=True)
            (root / part / "a" / f"0.{ending}").write_bytes(data)
        try:
            loaded = load_dataset(str(root))
        except DataError as error:
            assert (ending, mode) not in USUAL or transparent, error
            assert "\n" not in str(error)
            return
    assert wanted is not None
    for x in (loaded.x_train, loaded.x_test):
        assert x.shape[1] in (1, 3) and x.dtype == np.float32
        same = np.broadcast_to(x[0], (3, *x.shape[2:])).transpose(1, 2, 0)
        assert np.array_equal(same, wanted.astype(np.float32) / np.float32(255))


def test_grey_images_among_coloured_ones_have_three_equal_channels(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.new("L", (3, 2), 51).save(tmp_path / part / "a" / "0.png")
    assert load_dataset(str(tmp_path)).shape == (1, 2, 3)
    Image.new("RGB", (3, 2), (255, 0, 0)).save(tmp_path / "test" / "a" / "1.png")
    data = load_dataset(str(tmp_path))
    assert data.shape == (3, 2, 3) and np.all(data.x_train == np.float32(0.2))
    assert data.x_test[1, :, 0, 0].tolist() == [1, 0, 0]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, bits, colour, pixels):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def deep_tiff():
    values = struct.pack("<HHHHHHHHH", *range(9))
    entries = [(256, 3, 1, 3), (257, 3, 1, 1), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 140), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 18)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", 0)
    return head.ljust(134, b"\0") + struct.pack("<HHH", 16, 16, 16) + values


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("grey.png", png(3, 1, 16, 0, b"\0" + bytes(6))),
        ("colour.png", png(3, 1, 16, 2, b"\0" + bytes(18))),
        ("alpha.png", png(3, 1, 16, 6, b"\0" + b"\xff" * 24)),
        ("colour.ppm", b"P6 3 1 65535\n" + bytes(18)),
        ("grey.pgm", b"P5 3 1 65535\n" + bytes(6)),
        ("plain.ppm", b"P3 3 1 300\n" + b"1 " * 9),
        ("colour.tif", deep_tiff()),
    ],
)
def test_more_than_8_bits_a_channel_are_refused_whatever_pillow_would_cut(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=rf"{name} .*more than 8 bits"):
        read_header(tmp_path / name)


def bomb(pixels_a_side):
    """A file of 2 kB that says it is large, and decodes for that long."""
    return png(pixels_a_side, pixels_a_side, 8, 2, bytes(10**6))


def folder_with(tmp_path, count, data):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (4, 4)).save(tmp_path / part / "a" / f"{i}.png")
    for file in data:
        (tmp_path / file).write_bytes(data[file])


def no_decoding(monkeypatch):
    def load(image):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", load)


def test_a_size_is_compared_before_anything_is_decoded(tmp_path, monkeypatch):
    folder_with(tmp_path, 2, {"test/a/9.png": bomb(9000)})
    no_decoding(monkeypatch)
    with pytest.raises(DataError, match=r"9\.png has 9000 x 9000 pixels, .*0\.png 4 x 4"):
        load_dataset(str(tmp_path))


def test_images_that_together_exceed_the_memory_are_refused_before(tmp_path, monkeypatch):
    names = {f"{part}/a/{i}.png": bomb(9000) for part in ("train", "test") for i in range(2)}
    folder_with(tmp_path, 2, names)
    no_decoding(monkeypatch)
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 14)  # 256 MB
    with pytest.raises(DataError, match=r"need 4 GB of memory, this machine has 0 GB"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("kind", ["gif", "tif", "png", "webp"])
def test_further_frames_are_refused(tmp_path, kind):
    frames = [Image.new("RGB", (4, 4), (v, 0, 0)) for v in (0, 128, 255)]
    file = tmp_path / f"0.{kind}"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="further frames or pages"):
        read_header(file)


def test_one_name_written_in_two_ways_is_one_class(tmp_path):
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):
        (tmp_path / part / name).mkdir(parents=True)
        Image.new("L", (3, 2)).save(tmp_path / part / name / "0.png")
    assert load_dataset(str(tmp_path)).classes == ("caf\u00e9",)
