"""Whether two sides did the same: without that no ratio is given."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["different_arrays", "different_outputs", "different_work"]


def different_outputs(ours: np.ndarray, theirs: np.ndarray) -> str:
    """What differs between two outputs that must be the same integers; empty if nothing."""
    if ours.shape != theirs.shape:
        return f"the outputs have shapes {ours.shape} and {theirs.shape}"
    if ours.size == 0:
        return "there are no outputs to compare"
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "an output is not finite"
    count = int(np.count_nonzero(a != b))  # exact: every integer here is below 2**53
    if count:
        largest = f"{np.abs(a - b).max():g}"
        return f"{count:,} of {a.size:,} integers differ, the largest difference is {largest}"
    return ""


def different_arrays(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
    """The same for named outputs, such as those of every layer."""
    if not ours or set(ours) != set(theirs):
        return f"the sides have outputs {sorted(ours)} and {sorted(theirs)}"
    for name in ours:
        problem = different_outputs(ours[name], theirs[name])
        if problem:
            return f"{name}: {problem}"
    return ""


def different_work(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What differs in the work of two training blocks with different neurons.

    Their outputs cannot be equal, so the shapes, the size of the convolution and that
    gradients reach input and weight are compared.
    """
    for key, what in (("shape", "output shapes"), ("weights", "convolution weights")):
        if ours[key] != theirs[key]:
            return f"the {what} are {ours[key]} and {theirs[key]}"
    for name, facts in (("our", ours), ("the other", theirs)):
        if not facts["finite"]:
            return f"{name} block gives values that are not finite"
        for target in ("input", "weight"):
            if not facts[f"{target}_gradient"]:
                return f"no gradient reaches the {target} of {name} block"
    return ""
