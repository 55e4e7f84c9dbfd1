"""A network as an ONNX model, with the same integers in every layer.

The operators are those of :mod:`netx_export.interchange.operators`. Timesteps are unrolled, or
the model is one timestep whose states enter and leave. Ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from netx_export.errors import ConfigError
from netx_export.file.atomic import as_path, write_atomic
from netx_export.interchange.operators import Layers
from netx_export.spec import NetworkSpec, need_spec

__all__ = ["MOST_TIMESTEPS", "export_onnx", "onnx_model"]

MOST_TIMESTEPS = 256  # each has nodes of its own


def export_onnx(
    spec: NetworkSpec,
    path: str | os.PathLike[str],
    *,
    layers: Sequence[str] = (),
    timed: bool = False,
    encode: bool = False,
    state: bool = False,
) -> Path:
    """Write a network as an ONNX model: whole or not at all, the same bytes every time.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level, readout and relay neurons.
    path : path
        The file.
    layers : sequence of str
        Populations whose payloads leave the model too; the last layer's always do.
    timed : bool
        T > 1: samples have a last axis T. Else one sample is shown in every timestep.
    encode : bool
        Real data enters, float64, and the model encodes it as :func:`lava_mlsnn.encode` does
        (where the engine computes float64 as such). Else its payloads enter, int32.
    state : bool
        The model is one timestep, for any T: every state enters as ``<layer>/v`` and leaves as
        ``<layer>/v_next``, int32, and is 0 at the start of a sample.

    Returns
    -------
    Path
        The file. Its input is called like the input layer, (N, *shape) or (N, *shape, T); its
        outputs like their layers, int32 (N, *shape), or (N, *shape, T) where T > 1. The
        metadata ``states`` says which output is which input of the next timestep.

    Raises
    ------
    UnsupportedLayerError
        For a synapse or neuron without an exact form here.
    RangeError
        For the first layer that can leave 24 bits.
    ConfigError
        For a layer that is not there, T beyond :data:`MOST_TIMESTEPS` without ``state``, a path
        that cannot be written, or where the package onnx is missing.
    """
    model = onnx_model(spec, layers=layers, timed=timed, encode=encode, state=state)
    return write_atomic(as_path(path), model)


def onnx_model(
    spec: NetworkSpec,
    *,
    layers: Sequence[str] = (),
    timed: bool = False,
    encode: bool = False,
    state: bool = False,
) -> bytes:
    """The bytes of :func:`export_onnx`."""
    need_spec(spec)
    if spec.timesteps > MOST_TIMESTEPS and not state:
        raise ConfigError(
            f"an ONNX model holds every timestep by itself, {MOST_TIMESTEPS} at most, but this "
            f"network has T = {spec.timesteps}; with state=True it holds one, and states enter"
        )
    return Layers(spec, layers, timed, encode, state).write()
