"""Accuracy over a dataset."""

from __future__ import annotations

import numpy as np
import torch

from lava_mlsnn.models import MultiLevelNetwork
from lava_mlsnn.slayer import precision

__all__ = ["accuracy"]


def accuracy(
    model: MultiLevelNetwork, x: np.ndarray, y: np.ndarray, kind: str = "integer"
) -> float:
    """Fraction of correct classes in ``"integer"`` or ``"float"`` precision, 0..1."""
    device = next(model.parameters()).device
    model.eval()
    right = 0
    with torch.no_grad(), precision(model, kind):
        for start in range(0, len(x), 256):
            scores = model(torch.from_numpy(x[start : start + 256]).to(device))
            right += int((scores.argmax(1).cpu().numpy() == y[start : start + 256]).sum())
    return right / max(1, len(x))
