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

from lava_mlsnn.checks import check_memory, shown
from lava_mlsnn.errors import FormatError, said
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork, build_model
from netx_export.file.atomic import write_atomic

__all__ = [
    "CHECKPOINT",
    "checkpoint_of",
    "load_checkpoint",
    "load_model",
    "load_weights",
    "save_checkpoint",
    "trusted",
]

KIND = "lava-mlsnn checkpoint"
VERSION = 1
CHECKPOINT = "model.pt"  # in the folder of a training
ARRAYS = ("model", "optimiser", "schedule", "generator", "ema")


def save_checkpoint(path: Path, model: MultiLevelNetwork, state: dict[str, Any]) -> None:
    """Write model, configuration and training state; replaces the file in one step."""
    content = {
        "kind": KIND,
        "version": VERSION,
        "config": model.config.to_dict(),
        "model": model.state_dict(),
        "class_names": list(model.class_names),
        **state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def checkpoint_of(path: Path) -> Path:
    """The checkpoint that a path names; in the folder of a training it is ``model.pt``.

    Parameters
    ----------
    path : Path
        Of a file or a folder, which may be missing.

    Returns
    -------
    Path
        Of the file.
    """
    return path / CHECKPOINT if os.path.isdir(path) else path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, or of that in a folder; FormatError says what is wrong with it.

    Tensors take no more memory than the file has bytes: nothing in it may be compressed,
    and none may be larger than what is stored of it.
    """
    path = checkpoint_of(path)
    if not os.path.isfile(path):  # unlike the Path method, no error for a name too long
        raise FormatError(f"there is no checkpoint {path}; 'mlsnn train' writes model.pt")
    check_memory(f"the checkpoint {path}", os.path.getsize(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True) if _sound(path) else None
    except Exception:  # damaged bytes make torch raise almost anything
        content = None
    if content is None:
        raise FormatError(f"{path} is not a checkpoint of 'mlsnn train', or is damaged")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise FormatError(f"{path} is not a checkpoint of 'mlsnn train'")
    for key, value in content.items():
        if key not in ARRAYS and _holds_arrays(value):
            raise FormatError(f"{path} holds an array in {shown(key)}, where none can be")
    if content.get("version") != VERSION:
        raise FormatError(
            f"{path} has version {shown(content.get('version'))}, this lava-mlsnn reads {VERSION}"
        )
    return content


def _holds_arrays(value: Any) -> bool:
    """Whether there is a tensor in it: one cannot be compared as other values are."""
    seen, left = set(), [value]
    while left:
        item = left.pop()
        if isinstance(item, torch.Tensor):
            return True
        if isinstance(item, dict | list | tuple | set) and id(item) not in seen:
            seen.add(id(item))  # one object may lie in it 2**60 times
            left += [*item, *item.values()] if isinstance(item, dict) else item
    return False


def _sound(path: Path) -> bool:
    """Whether the archive is one of torch, undamaged (torch does not look at the check sums)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        stored = all(e.compress_type == zipfile.ZIP_STORED for e in entries)
        whole = sum(e.file_size for e in entries) <= os.path.getsize(path)
        return stored and whole and archive.testzip() is None


def load_model(path: Path) -> MultiLevelNetwork:
    """The trained network of a checkpoint, in eval mode.

    Parameters
    ----------
    path : Path
        ``model.pt`` of a training.

    Returns
    -------
    MultiLevelNetwork
        On the CPU.

    Raises
    ------
    FormatError
        If the file is no checkpoint, or its weights are not those of its configuration;
        shapes are compared before a network of that size is made. If its training has not
        come to spikes yet.
    """
    content = load_checkpoint(path)
    done, relus = content.get("epoch"), _relu_epochs(content)
    if isinstance(done, int) and done < relus:
        raise FormatError(
            f"{path} holds ReLUs, not spikes yet, after {done} of the {relus} epochs of its ANN "
            "start; go on with --resume"
        )
    with trusted(path, "parameters"):
        config = ModelConfig.from_stored(content["config"])
        with torch.device("meta"):  # shapes without memory
            shapes = build_model(config)
        load_weights(shapes, content["model"], assign=True)
        model = build_model(config)
        load_weights(model, content["model"])
        model.class_names = stored_names(content, config.classes)
    return model.eval()


def _relu_epochs(content: dict[str, Any]) -> int:
    options = content.get("train_config")
    epochs = options.get("ann_epochs") if isinstance(options, dict) else 0
    return epochs if isinstance(epochs, int) else 0


def stored_names(content: dict[str, Any], classes: int) -> tuple[str, ...]:
    """Class names of a checkpoint; () in those that are older than they."""
    names = content.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("class_names must be a list of names")
    if names and not len(names) == len(set(names)) == classes:
        raise ValueError(f"there are {len(names)} class names for {classes} classes")
    return tuple(names)


@contextmanager
def trusted(path: Path, what: str) -> Iterator[None]:
    """FormatError that names the file, whatever its content makes the block raise."""
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # torch does not look at what it is given, and stumbles anywhere
        raise FormatError(
            f"{path} does not hold the {what} it should ({said(error)}); train "
            "anew into another folder"
        ) from None


def check_tensor(name: str, value: Any, like: torch.Tensor) -> None:
    """ValueError unless the value is a finite tensor of that shape and type, stored in full."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        raise ValueError(f"{name} is no array of numbers")
    if value.shape != like.shape or value.dtype != like.dtype:
        raise ValueError(
            f"size mismatch: {name} is {value.dtype} of shape {tuple(value.shape)}, not "
            f"{like.dtype} of shape {tuple(like.shape)}"
        )
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        raise ValueError(f"{name} repeats fewer numbers than its shape {tuple(value.shape)} has")
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} is not finite")


def load_weights(
    model: torch.nn.Module, weights: dict[str, torch.Tensor], assign: bool = False
) -> None:
    """``load_state_dict`` of finite tensors of the model's shapes and types."""
    for name, own in model.state_dict().items():
        if name in weights and isinstance(own, torch.Tensor):
            check_tensor(name, weights[name], own)
    model.load_state_dict(weights, assign=assign)
