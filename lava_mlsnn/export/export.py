"""Export of a trained model: model to spec, spec to file."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import chain
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch

from lava_mlsnn.checks import check_whole
from lava_mlsnn.export.forward import trace, trace_block
from lava_mlsnn.export.graph import build
from lava_mlsnn.export.modules import inner
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.sample_length import sample_length, trained_lengths
from netx_export.builder import Builder, Links, ScaleLoss
from netx_export.errors import ConfigError, UnsupportedLayerError
from netx_export.exact_settings import exact_settings
from netx_export.file.writer import write, write_block
from netx_export.spec import NetworkSpec
from netx_export.spec.limits import MAX_TIMESTEPS
from netx_export.spec.ranges import check_ranges

if TYPE_CHECKING:
    import h5py

__all__ = [
    "connections",
    "export_block",
    "export_model",
    "scale_losses",
    "to_spec",
    "walk",
    "warn_losses",
]

LOG = logging.getLogger("lava_mlsnn.export")


def to_spec(
    model: torch.nn.Module,
    timesteps: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> NetworkSpec:
    """The integer network of a trained model.

    Parameters
    ----------
    model : Module
        Any module with a ``block.Input`` whose forward connects blocks: what it computes
        is what is exported (:mod:`lava_mlsnn.export.forward` says what can be followed).
        Its attribute ``class_names``, if it has one, names the outputs in the file.
    timesteps : int, optional
        T of one sample; default: the model's ``timesteps`` (unless its blocks were trained
        with others), else the T of that training, else the one that they were run with.
    provenance : dict, optional
        Anything JSON-able that says where the network comes from.

    Returns
    -------
    NetworkSpec
        Checked by itself; :func:`netx_export.check_ranges` bounds its sums.

    Raises
    ------
    CalibrationError
        If a BatchNorm has seen no batch.
    UnsupportedLayerError
        For what has no exact counterpart: every layer and function, with its line in the
        user's forward and what to use instead.
    ConfigError
        If T is not known, or the blocks were trained with different ones.
    RangeError
        If a parameter fits no integer of its width, or no weight of a layer is left.

    Notes
    -----
    Where a channel's gain is so extreme that its sums would leave 24 bits in the first
    timestep, its scale falls until they fit. :func:`scale_losses` lists such layers, and those
    whose weights are left too few bits; the logger ``lava_mlsnn.export`` warns of the worst.
    """
    unknown: ConfigError | None = None
    if timesteps is None:
        try:
            timesteps = _timesteps(model)
        except ConfigError as error:  # what cannot be exported at all is said first
            timesteps, unknown = 1, error
    timesteps = check_whole("timesteps", timesteps, 1, MAX_TIMESTEPS)
    builder = walk(model, timesteps)
    if unknown is not None:
        raise unknown
    warn_losses(builder.losses, LOG)
    names = getattr(inner(model), "class_names", None)
    return NetworkSpec(
        tuple(builder.layers), timesteps, provenance or {}, () if names is None else names
    )


def _check_weights(model: torch.nn.Module) -> None:
    if any(t.is_meta for t in chain(inner(model).parameters(), inner(model).buffers())):
        raise UnsupportedLayerError(
            "a model on the meta device has shapes and no weights; build it on a device, or load "
            "its weights with load_state_dict(weights, assign=True)"
        )


def _timesteps(model: torch.nn.Module) -> int:
    """T that the model says, where its training does not say another."""
    root = inner(model)
    _check_weights(root)
    own = getattr(root, "timesteps", None)
    if isinstance(own, bool) or not isinstance(own, Integral):
        return sample_length(root)
    trained = trained_lengths(root)
    if trained - {own}:
        raise ConfigError(
            f"the model says timesteps = {own}, but its blocks were trained with others; give "
            "timesteps=T, the T that the network is meant for"
        )
    return int(own)


def walk(model: torch.nn.Module, timesteps: int | None = None) -> Builder:
    """The layers of what a model's forward computes; raises as :func:`to_spec`.

    Parameters
    ----------
    model : Module
        As in :func:`to_spec`.
    timesteps : int, optional
        T, as in :func:`to_spec`.

    Returns
    -------
    Builder
        With all layers.
    """
    _check_weights(model)
    graph = trace(model, _timesteps(model) if timesteps is None else timesteps)
    with exact_settings():
        return build(graph, Builder())


def scale_losses(model: torch.nn.Module, timesteps: int | None = None) -> list[ScaleLoss]:
    """Layers that an export computes more coarsely than asked for, so that numbers fit 24 bits.

    Parameters
    ----------
    model : Module
        As in :func:`to_spec`.
    timesteps : int, optional
        T, as in :func:`to_spec`.

    Returns
    -------
    list of ScaleLoss
        Empty where nothing is lost.
    """
    return walk(model, timesteps).losses


def warn_losses(losses: list[ScaleLoss], log: logging.Logger) -> None:
    """Say the worst of :func:`scale_losses`, and how many there are, in one line.

    Parameters
    ----------
    losses : list of ScaleLoss
        Without any, nothing is said.
    log : Logger
        By which.
    """
    if losses:
        worst = min(losses, key=lambda loss: (loss.left, -loss.bits))
        rest = f"; {len(losses)} layers are coarser, lava_mlsnn.export.scale_losses lists them"
        log.warning("%s%s", worst, rest if losses[1:] else "")


def connections(
    model: torch.nn.Module,
) -> list[tuple[str, Population, tuple[str | tuple[str, ...], ...]]]:
    """Every population of a model with its name and its sources' names, one per synapse.

    The input is called ""; a tuple names the parts of joined payloads. Statistics need not
    exist yet.

    Parameters
    ----------
    model : Module
        As in :func:`to_spec`.

    Returns
    -------
    list of tuple
        Name, population, sources, in the order of the forward.

    Raises
    ------
    UnsupportedLayerError
        As :func:`to_spec`.
    """
    links = Links()
    try:
        timesteps = _timesteps(model)
    except ConfigError:  # nor T
        timesteps = 1
    build(trace(model, timesteps), links)
    return links.links


def export_model(
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    timesteps: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> NetworkSpec:
    """Write a trained model to a NetX file and return the network that was written.

    The worst case of every accumulator and state is computed first; a network that
    can leave 24 bits is refused. Parameters and further errors as :func:`to_spec`.

    Parameters
    ----------
    model, timesteps, provenance
        As in :func:`to_spec`.
    path : path
        The file, written whole or not at all.

    Returns
    -------
    NetworkSpec
        As :func:`netx_export.read` gives it.
    """
    spec = to_spec(model, timesteps, provenance)
    check_ranges(spec)
    write(spec, path)
    return spec


def export_block(block: torch.nn.Module, handle_: h5py.Group, timesteps: int | None = None) -> None:
    """Write one block into an h5py group, as a SLAYER ``export_hdf5`` does.

    T stands in the group where it is given, or where the block knows it.

    Parameters
    ----------
    block : Module
        One of :mod:`lava_mlsnn.slayer.block`, or alike.
    handle_ : h5py.Group
        An empty group.
    timesteps : int, optional
        T.
    """
    name = type(block).__name__.lower()
    with exact_settings():
        builder = trace_block(block, Builder(), name)
    if timesteps is None:
        with suppress(ConfigError):  # not known: readers ask for it
            timesteps = sample_length(block)
    elif timesteps > 1 and any(isinstance(m, Population) and m.takes for m in block.modules()):
        raise UnsupportedLayerError(
            f"{type(block).__name__} is exact at T = 1 alone, got T = {timesteps}"
        )
    layers = [(layer.name.removeprefix(f"{name}."), layer) for layer in builder.layers]
    write_block(handle_, layers, timesteps)
