"""Export of a trained model: model to spec, spec to file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from lava_mlsnn.slayer.population import Population
from netx_export.errors import ConfigError, UnsupportedLayerError
from netx_export.handlers.blocks import handle
from netx_export.handlers.builder import Builder, Links
from netx_export.spec import NetworkSpec

if TYPE_CHECKING:
    import h5py

__all__ = ["blocks_of", "connections", "export_block", "export_model", "to_spec", "walk"]


def to_spec(
    model: torch.nn.Module,
    timesteps: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> NetworkSpec:
    """The integer network of a trained model.

    Parameters
    ----------
    model : Module
        A :class:`lava_mlsnn.models.MultiLevelNetwork`, or any module whose ``blocks``
        (or itself, if it is a Sequential or ModuleList) are blocks in a row. Its attribute
        ``class_names``, if it has one, names the outputs in the file.
    timesteps : int, optional
        T of one sample; default: the model's ``timesteps``, else
        that of its last forward, else 1.
    provenance : dict, optional
        Anything JSON-able that says where the network comes from.

    Raises
    ------
    CalibrationError
        If a BatchNorm has seen no batch.
    UnsupportedLayerError
        For a module without an exact counterpart; names it and says what to use.
    RangeError
        If a parameter fits no integer of its width.
    """
    builder = walk(model)
    if timesteps is None:
        inner = getattr(model, "module", model)  # inside DataParallel
        seen = max((p.timesteps_seen for p in builder.populations.values()), default=1)
        timesteps = int(getattr(inner, "timesteps", seen))
    if int(timesteps) != timesteps:
        raise ConfigError(f"timesteps must be a whole number, got {timesteps}")
    names = getattr(getattr(model, "module", model), "class_names", ())
    return NetworkSpec(tuple(builder.layers), timesteps, provenance or {}, names)


def blocks_of(model: torch.nn.Module) -> torch.nn.Sequential | torch.nn.ModuleList:
    """The blocks of a model; UnsupportedLayerError if it holds none."""
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        model = model.module
    blocks = getattr(model, "blocks", model)
    if not isinstance(blocks, torch.nn.Sequential | torch.nn.ModuleList):
        raise UnsupportedLayerError(
            f"a model must hold its blocks in a Sequential or ModuleList called 'blocks', "
            f"got {type(model).__name__}"
        )
    return blocks


def walk(model: torch.nn.Module) -> Builder:
    """Visit a model's blocks in order; raises as :func:`to_spec`."""
    builder = Builder()
    _visit(model, builder)
    return builder


def connections(model: torch.nn.Module) -> list[tuple[str, Population, tuple[str, ...]]]:
    """Every population of a model with its name and its sources' names, one per synapse.

    The input is called "". Statistics need not exist yet.

    Raises
    ------
    UnsupportedLayerError
        As :func:`to_spec`.
    """
    links = Links()
    _visit(model, links)
    return links.links


def _visit(model: torch.nn.Module, builder: Builder) -> None:
    last = -1
    with torch.no_grad():
        for name, block in blocks_of(model).named_children():
            last = handle(builder, name, block, last)


def export_model(
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    timesteps: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> NetworkSpec:
    """Write a trained model to a NetX file and return the network that was written.

    The worst case of every accumulator and state is computed first; a network that
    can leave 24 bits is refused. Parameters and further errors as :func:`to_spec`.
    """
    from netx_export.file.writer import write
    from netx_export.spec.ranges import check_ranges

    spec = to_spec(model, timesteps, provenance)
    check_ranges(spec)
    write(spec, path)
    return spec


def export_block(block: torch.nn.Module, handle_: h5py.Group) -> None:
    """Write one block into an h5py group, as a SLAYER ``export_hdf5`` does."""
    from netx_export.file.writer import write_block

    builder, name = Builder(), type(block).__name__.lower()
    with torch.no_grad():
        handle(builder, name, block, -1)
    write_block(handle_, [(layer.name.removeprefix(f"{name}."), layer) for layer in builder.layers])
