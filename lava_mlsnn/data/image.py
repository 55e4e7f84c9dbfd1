"""One image file: its size from the header, then its values as torchvision gives them.

``read_image`` returns what ``ToTensor`` makes of
``ImageOps.exif_transpose(image).convert("RGB")``, as bytes; images of mode 1 and L keep
their one channel, which is that value's in all three. What would lose something without
a word is refused: more than 8 bits a channel, transparent pixels, further frames.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import ConfigError, DataError, said

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FORMATS", "SUFFIXES", "Fit", "Header", "read_header", "read_image"]

# whose bits a channel, frames and transparency are known here; Pillow reads some others
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
GREY = ("1", "L")
WITH_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")
DEEP = re.compile(r";(?:12|16[BLN]|32)")  # Pillow's name of the bytes in the file
BITS_PER_SAMPLE = 258  # tag of TIFF
LARGEST = 1 << 14  # pixels a side
NAMED = re.compile(r" \((cut|resized) to ([0-9]{1,5})x([0-9]{1,5})\)$")


class Header(NamedTuple):
    """What is known before a pixel is decoded."""

    channels: int
    sides: tuple[int, int]  # in rising order: EXIF may turn the image


def read_header(file: Path) -> Header:
    """What an image says of itself; no pixel is decoded.

    Raises
    ------
    DataError
        For what is no image of :data:`FORMATS`, or holds what a network would not see.
    """
    with _opened(file) as image:
        if image.mode[0] in "IF" or _is_deep(image):
            raise ValueError("it has more than 8 bits a channel; store it with 8")
        if getattr(image, "is_animated", False):
            raise ValueError("it has further frames or pages; store each as an image of its own")
        low, high = sorted(image.size)
        return Header(1 if image.mode in GREY else 3, (low, high))


@dataclass(frozen=True)
class Fit:
    """How images of any size become images of one; its text is what a dataset's name keeps.

    Bilinear with antialiasing, as torchvision's ``Resize`` of a Pillow image.

    Attributes
    ----------
    height, width : int
        Pixels.
    crop : bool
        Cut the largest part of that shape out of the middle first; else the sides are
        scaled each by its own factor.
    """

    height: int
    width: int
    crop: bool = False

    @classmethod
    def of(cls, text: str, crop: bool = False) -> Fit:
        """From ``"32"`` or ``"24x32"``, height first; ConfigError for other text."""
        sides = text.lower().split("x")
        if not (1 <= len(sides) <= 2 and all(s.isascii() and s.isdigit() for s in sides)):
            raise ConfigError(
                f"a size is a number of pixels, such as 32, or height x width, such as 24x32, got "
                f"{shown(text)}"
            )
        height, width = (check_whole("size", int(s[:9]), 1, LARGEST) for s in (sides * 2)[:2])
        return cls(height, width, crop)

    @classmethod
    def split(cls, name: str) -> tuple[str, Fit | None]:
        """A dataset's name without the text of a Fit at its end, and that Fit."""
        found = NAMED.search(name)
        if found is None:
            return name, None
        how, height, width = found.groups()
        return name[: found.start()], cls(int(height), int(width), how == "cut")

    def __str__(self) -> str:
        return f" ({'cut' if self.crop else 'resized'} to {self.height}x{self.width})"

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image in that size."""
        from PIL import Image, ImageOps

        size = self.width, self.height
        if image.size == size:
            return image
        if self.crop:
            return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        return image.resize(size, Image.Resampling.BILINEAR)


def read_image(file: Path, fit: Fit | None = None) -> np.ndarray:
    """Values of an image as uint8 (H, W) or (H, W, 3), upright, in the size of ``fit``.

    Errors as above.
    """
    from PIL import ImageOps

    with _opened(file) as image:
        may = image.mode in WITH_ALPHA or "transparency" in image.info
        if may and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise ValueError("it has transparent pixels; put it on a background")
        ImageOps.exif_transpose(image, in_place=True)
        plain = image.convert("L" if image.mode in GREY else "RGB")
        return np.asarray(plain if fit is None else fit(plain))


class _Bounded(io.BufferedReader):
    """A file that makes room for the bytes it has, not for those that a header asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """The image; DataError for whatever its bytes make Pillow raise."""
    from PIL import Image

    try:
        # by an open file: from a path Pillow 11 to 13 map a turned TIFF as if it were upright
        with _Bounded(io.FileIO(file)) as data, Image.open(data, formats=FORMATS) as image:
            yield image
    except MemoryError:
        raise
    except Exception as error:  # OSError, SyntaxError, struct.error, bombs and others
        raise DataError(f"{file} is not an image that can be read ({said(error)})") from None


def _is_deep(image: Any) -> bool:
    """Whether the file holds more than the 8 bits a channel that Pillow gives."""
    if image.format == "TIFF":
        bits = image.tag_v2.get(BITS_PER_SAMPLE, (1,))
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    for tile in image.tile:
        parts = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if image.format == "PPM" and any(isinstance(p, int) and p > 255 for p in parts[1:2]):
            return True
        if any(isinstance(p, str) and DEEP.search(p) for p in parts):
            return True
    return False
