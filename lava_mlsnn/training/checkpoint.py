"""Checkpoints: written whole or not at all, read with care."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lava_mlsnn.checks import shown
from lava_mlsnn.errors import FormatError
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork, build_model
from netx_export.file.atomic import write_atomic

__all__ = ["load_checkpoint", "load_model", "load_weights", "save_checkpoint", "trusted"]

KIND = "lava-mlsnn checkpoint"
VERSION = 1


def save_checkpoint(path: Path, model: MultiLevelNetwork, state: dict[str, Any]) -> None:
    """Write model, configuration and training state; replaces the file in one step."""
    content = {
        "kind": KIND,
        "version": VERSION,
        "config": model.config.to_dict(),
        "model": model.state_dict(),
        **state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint; FormatError says what is wrong with the file."""
    if not os.path.isfile(path):  # unlike the Path method, no error for a name too long
        raise FormatError(f"there is no checkpoint {path}; 'mlsnn train' writes model.pt")
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()  # torch does not look at the check sums
        content = None if bad else torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged bytes make torch raise almost anything
        bad, content = "all", None
    if bad:
        raise FormatError(f"{path} is not a checkpoint of 'mlsnn train', or is damaged") from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise FormatError(f"{path} is not a checkpoint of 'mlsnn train'")
    if content.get("version") != VERSION:
        raise FormatError(
            f"{path} has version {shown(content.get('version'))}, this lava-mlsnn reads {VERSION}"
        )
    return content


def load_model(path: Path) -> MultiLevelNetwork:
    """The trained network of a checkpoint, in eval mode."""
    content = load_checkpoint(path)
    with trusted(path, "parameters"):
        model = build_model(ModelConfig.from_dict(content["config"]))
        load_weights(model, content["model"])
    return model.eval()


@contextmanager
def trusted(path: Path, what: str) -> Iterator[None]:
    """FormatError that names the file, whatever its content makes the block raise."""
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # torch does not look at what it is given, and stumbles anywhere
        text = " ".join(str(error).split())[:200]
        raise FormatError(
            f"{path} does not hold the {what} it should ({text or type(error).__name__}); train "
            "anew into another folder"
        ) from None


def load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """``load_state_dict`` of finite numbers; anything else is one of many errors."""
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} is not finite")
    model.load_state_dict(weights)
