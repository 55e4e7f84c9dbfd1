"""Frames of events as a :class:`Dataset`: counts over ``input_levels``."""

from __future__ import annotations

import numpy as np

from lava_mlsnn.data.dataset import Dataset
from lava_mlsnn.data.folder import Progress
from lava_mlsnn.data.saccades import SaccadeCamera

__all__ = ["EVENT_LEVELS", "as_frames", "simulated"]

EVENT_LEVELS = 15  # counts beyond are cut; single pixels rarely get there
SMALL = 16  # images below are upsampled: saccades need some pixels to move over


def as_frames(counts: np.ndarray, levels: int = EVENT_LEVELS) -> np.ndarray:
    """Counts (N, 2, H, W, T) as float32 ``min(count, levels) / levels``.

    A network with ``input_levels = levels`` receives the counts themselves.
    """
    return np.minimum(counts, levels).astype(np.float32) / np.float32(levels)


def simulated(
    images: Dataset,
    name: str,
    timesteps: int,
    progress: Progress | None = None,
    camera: SaccadeCamera | None = None,
) -> Dataset:
    """The images of a dataset before a :class:`SaccadeCamera`, as T frames.

    Parameters
    ----------
    images : Dataset
        Of images (N, C, H, W).
    name : str
        Of the result.
    timesteps : int
        T.
    progress : callable, optional
        ``progress(done, total)`` while images are recorded.
    camera : SaccadeCamera, optional
        Default: the usual one, which doubles images of less than 16 pixels.
    """
    if camera is None:
        camera = SaccadeCamera(upsample=2 if min(images.shape[1:]) < SMALL else 1)
    parts = {"train": images.x_train, "test": images.x_test}
    total, before = sum(len(x) for x in parts.values()), 0
    frames = {}
    for part, x in parts.items():

        def follow(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        frames[part] = as_frames(camera.record(x, timesteps, follow))
        before += len(x)
    return Dataset(
        name,
        frames["train"],
        images.y_train,
        frames["test"],
        images.y_test,
        images.classes,
        EVENT_LEVELS,
    )
