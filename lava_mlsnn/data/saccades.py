"""Event recordings of images, SIMULATED: three small saccades before an ideal camera.

Nothing here was recorded. As N-MNIST and CIFAR10-DVS moved images before a camera, an
image is moved along a triangle of three equal times, (0, 0) to (a/2, a) to (a, 0) and
back, in M small steps with bilinear interpolation. A pixel remembers a reference
R of its log intensity L = log(I + eps) and sends, where they are apart::

    n = floor(|L - R| / theta) events of the sign of L - R;    R += sign * n * theta

R starts at the first picture. Pixels differ in theta by a few per cent (a normal
distribution, drawn once from the seed: one camera for all images). After the path,
which ends where it began, |ON - OFF| <= 1 in every pixel. There is neither noise, nor
refractory time, nor a limited bandwidth.

The pixel model is that of Lichtsteiner et al. (IEEE JSSC 43, 2008) in the discrete form
of ESIM (Rebecq et al., CoRL 2018); the saccades are of Orchard et al. (Front. Neurosci.
9:437, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_mlsnn.checks import check_number, check_whole
from lava_mlsnn.errors import ConfigError, DataError

__all__ = ["SaccadeCamera"]

CHUNK = 512  # images at a time: stays in the cache


@dataclass(frozen=True)
class SaccadeCamera:
    """The simulated camera and its path.

    Attributes
    ----------
    steps : int
        M, time steps of a recording; a multiple of 3.
    amplitude : float
        a, pixels of the image as it is given.
    threshold : float
        theta, in natural logarithm.
    mismatch : float
        Standard deviation of theta over pixels, as a fraction of it.
    eps : float
        Added to intensities 0..1; the darkest that the camera tells apart.
    upsample : int
        Image pixels become so many camera pixels in both directions, interpolated.
    seed : int
        Of the mismatch.
    """

    steps: int = 60
    amplitude: float = 1.5
    threshold: float = 0.4
    mismatch: float = 0.03
    eps: float = 0.1
    upsample: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if check_whole("steps", self.steps, 3, 10**6) % 3:
            raise ConfigError(f"steps must be a multiple of 3, got {self.steps}")
        check_whole("upsample", self.upsample, 1, 1024)
        check_whole("seed", self.seed, 0, 2**63 - 1)
        # 14 in logarithm from the darkest to white at most, in steps of 0.001 at least
        check_number("eps", self.eps, 1e-6, 1e6)
        check_number("threshold", self.threshold, 1e-3, 1e6)
        check_number("amplitude", self.amplitude, 0, 1e6)
        check_number("mismatch", self.mismatch, 0, 0.2)

    def path(self) -> np.ndarray:
        """(M + 1, 2): rows and columns in image pixels, first and last (0, 0)."""
        a, third = self.amplitude, self.steps // 3
        corners = np.array([[0.0, 0.0], [a, a / 2], [0.0, a], [0.0, 0.0]])
        way = np.arange(self.steps + 1) / third
        return np.stack([np.interp(way, np.arange(4), corners[:, k]) for k in (0, 1)], 1)

    def record(
        self,
        images: np.ndarray,
        timesteps: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Event counts of images.

        Parameters
        ----------
        images : ndarray, (N, C, H, W)
            Values in 0..1; colours are weighed to one brightness (ITU-R BT.601).
        timesteps : int
            T; step m of M falls into frame ``floor(m T / M)``. The same recording,
            whatever T is.
        progress : callable, optional
            ``progress(done, total)`` in images.

        Returns
        -------
        ndarray of int64, (N, 2, H', W', T)
            OFF and ON events; H' and W' are ``upsample`` times H and W.

        Raises
        ------
        ConfigError
            For a T outside 1..M.
        DataError
            For what are no such images.
        """
        timesteps = check_whole("timesteps", timesteps, 1, self.steps)
        images = _checked(images)
        n, _, h, w = images.shape
        size = (h * self.upsample, w * self.upsample)
        theta = np.random.default_rng(self.seed).normal(1.0, self.mismatch, size)
        theta = (self.threshold * np.maximum(theta, 0.2)).astype(np.float32)
        out = np.zeros((n, 2, *size, timesteps), np.int64)
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            self._record(_brightness(images[part]), theta, out[part])
            if progress is not None:
                progress(min(start + CHUNK, n), n)
        return out

    def _record(self, grey: np.ndarray, theta: np.ndarray, out: np.ndarray) -> None:
        path, timesteps = self.path(), out.shape[-1]
        reference = self._view(grey, path[0])
        for m in range(self.steps):
            apart = self._view(grey, path[m + 1]) - reference
            events = np.trunc(apart / theta)
            reference += events * theta
            frame = m * timesteps // self.steps
            whole = events.astype(np.int64)
            out[:, 0, :, :, frame] += np.maximum(-whole, 0)
            out[:, 1, :, :, frame] += np.maximum(whole, 0)

    def _view(self, grey: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Log intensity of the moved image, (N, H', W'); dark beyond its edges."""
        for axis in (0, 1):
            length = grey.shape[1 + axis]
            # centres of camera pixels in image pixels
            at = (np.arange(length * self.upsample) + 0.5) / self.upsample - 0.5 - offset[axis]
            weights = _interpolation(at, length)
            grey = grey @ weights if axis else weights.T @ grey
        return np.log(grey + np.float32(self.eps))


def _checked(images: Any) -> np.ndarray:
    """The images as an array; DataError if they are not what the camera sees."""
    try:
        array = np.asarray(images)
    except ValueError:  # lists in lists, of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf" or array.ndim != 4 or 0 in array.shape[1:]:
        raise DataError(
            "images must be numbers of shape (N, C, H, W), at least one channel and pixel, got "
            f"{array.dtype} of shape {array.shape}"
        )
    if len(array) and not (array.min() >= 0 and array.max() <= 1):  # NaN lies nowhere
        raise DataError(
            f"images must be numbers in 0..1, got {array.min()}..{array.max()}; divide those of 8 "
            "bits by 255"
        )
    return array


def _brightness(images: np.ndarray) -> np.ndarray:
    if images.shape[1] == 3:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        return np.tensordot(images.astype(np.float32), weights, (1, 0))
    return images.astype(np.float32).mean(1)


def _interpolation(at: np.ndarray, length: int) -> np.ndarray:
    """(length, len(at)): linear weights of each source pixel, 0 beyond the edges."""
    distance = np.abs(np.arange(length)[:, None] - at[None])
    return np.maximum(1 - distance, 0).astype(np.float32)
