"""From a network as data to a NetX HDF5 file.

The whole file is made in memory and then put in place in one step, so that no
error leaves half a file. The same network gives the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netx_export.errors import ConfigError, FormatError, at
from netx_export.file import schema
from netx_export.file.atomic import as_path, write_atomic
from netx_export.file.neurons import write_neuron
from netx_export.file.stock import cuba_fields, full_bias, stock_reasons
from netx_export.file.synapses import write_synapse
from netx_export.file.values import put_fields, put_text, put_type
from netx_export.spec import (
    Flatten,
    Input,
    Layer,
    NetworkSpec,
    Population,
    need_spec,
)
from netx_export.spec.checks import check_timesteps

if TYPE_CHECKING:
    import h5py

__all__ = ["file_image", "provenance_json", "version_of", "write", "write_block", "write_layer"]


def write(spec: NetworkSpec, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a network to a file, whole or not at all.

    Parameters
    ----------
    spec : NetworkSpec
        The network. Where :func:`netx_export.stock_reasons` is empty the file is one
        that stock ``lava.lib.dl.netx.hdf5.Network`` loads too.
    path : path
        Usually ends in ``.net``.
    overwrite : bool
        Whether an existing file is replaced.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ConfigError
        If the file cannot be written there; what was there stays as it was.
    FormatError, RangeError
        If a name, the provenance or a weight of a lava-dl layer cannot be stored.
    """
    target = as_path(path)
    need_spec(spec)
    with at(str(target)):
        image = file_image(spec)
    return write_atomic(target, image, overwrite)


def file_image(spec: NetworkSpec) -> bytes:
    """The bytes of the file. Errors as for :func:`write`."""
    stock = not stock_reasons(spec)
    with _memory_file() as file:
        # strings of fixed length: HDF5 fails hard on damaged ones of variable length
        file.attrs[schema.A_FORMAT] = np.bytes_(schema.FORMAT)
        file.attrs[schema.A_VERSION] = np.int64(version_of(spec))
        file.attrs[schema.A_TIMESTEPS] = np.int64(spec.timesteps)
        file.attrs[schema.A_PROVENANCE] = np.bytes_(provenance_json(spec.provenance))
        if spec.class_names:
            file.attrs[schema.A_CLASS_NAMES] = np.bytes_(json.dumps(spec.class_names))
        layers = file.create_group(schema.LAYER)
        for index, layer in enumerate(spec.layers):
            with at(spec.label(index)):
                group = layers.create_group(str(index))
                put_text(group, schema.NAME, layer.name)
                write_layer(group, layer, inputs=layer.sources, stock=stock)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def version_of(spec: NetworkSpec) -> int:
    """The first version of the format that has every kind of the network."""
    return max(
        max(layer.neuron.since, *(synapse.since for synapse in layer.synapses))
        for _, layer in spec.populations
    )


def _memory_file() -> h5py.File:
    """An empty file in memory, in the layout of HDF5 1.10.

    That layout has a checksum on all metadata, so damage is noticed, and it holds
    attributes of any size. No times are stored: they would make every file another.
    """
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 16, False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(b"image", h5py.h5f.ACC_TRUNC, creation, access))


def write_layer(
    handle: h5py.Group,
    layer: Layer,
    *,
    inputs: Sequence[int] | None = None,
    stock: bool = False,
    timesteps: int | None = None,
) -> None:
    """Write one layer into an HDF5 group, as ``export_hdf5`` of a SLAYER block does.

    Parameters
    ----------
    handle : h5py.Group
        An empty group, ``/layer/<i>`` of the file.
    layer : Input, Flatten or Population
        What to write.
    inputs : sequence of int, optional
        Source layers. None: the layer before it, as in files of lava-dl.
    stock : bool
        Write the neuron so that stock Lava can run it. Only right for a layer of a
        network without :func:`netx_export.stock_reasons`.
    timesteps : int, optional
        T of one sample, for a file without our root attributes; left out where the
        layer's neurons keep no state.

    Raises
    ------
    FormatError
        If a layer with several synapses has no ``inputs``.
    RangeError
        If a weight of a lava-dl layer does not fit 8 bits.
    """
    if inputs is None and len(layer.sources) > 1:
        raise FormatError(
            f"a layer with {len(layer.sources)} synapses needs to name its inputs; "
            "write the whole network with netx_export.write"
        )
    if inputs is not None and not isinstance(layer, Input):
        handle[schema.INPUTS] = np.array(inputs, np.int64)
    handle[schema.SHAPE] = np.array(layer.shape, np.int64)
    if isinstance(layer, Population):
        _population(handle, layer, stock)
        if timesteps is not None and layer.keeps_state:
            handle[schema.TIMESTEPS] = np.int64(timesteps)
    elif isinstance(layer, Flatten):
        put_type(handle, schema.FLATTEN)
    else:
        put_type(handle, schema.INPUT)
        handle[schema.LEVELS] = np.int64(layer.levels)
        handle[schema.SIGNED] = np.bool_(layer.signed)
        handle[schema.GAIN] = np.float64(layer.gain)
        if layer.neuron is not None:
            write_neuron(handle.create_group(schema.NEURON), layer.neuron)


def write_block(
    handle: h5py.Group, layers: Sequence[tuple[str, Layer]], timesteps: int | None = None
) -> None:
    """Write the named layers of one SLAYER-style block into its one group.

    A single layer is written as such. Several (a residual block) become a layer of
    type ``residual`` that holds them, with ``inputs`` counted inside the block and
    -1 for the layer before it. T stands in each layer whose neurons keep a state.
    """
    import h5py

    if not isinstance(handle, h5py.Group) or len(handle) or handle.file.mode == "r":
        raise ConfigError(
            f"a block is written into an empty group of an h5py file that is open for writing, got "
            f"{handle!r}; make one with file.create_group('layer/0')"
        )
    if timesteps is not None:
        timesteps = check_timesteps(timesteps)
    if len(layers) == 1:
        write_layer(handle, layers[0][1], timesteps=timesteps)
        return
    put_type(handle, schema.RESIDUAL)
    handle[schema.SHAPE] = np.array(layers[-1][1].shape, np.int64)
    inner = handle.create_group(schema.LAYER)
    for index, (name, layer) in enumerate(layers):
        group = inner.create_group(str(index))
        put_text(group, schema.NAME, name)
        write_layer(group, layer, inputs=layer.sources, timesteps=timesteps)


def _population(handle: h5py.Group, layer: Population, stock: bool) -> None:
    write_synapse(handle, layer.synapses[0])
    for k, synapse in enumerate(layer.synapses[1:], 1):
        with at(f"{schema.SHORTCUT}/{k}"):
            write_synapse(handle.create_group(f"{schema.SHORTCUT}/{k}"), synapse)
    if layer.scale is not None:
        handle[schema.SCALE] = np.asarray(layer.scale, np.float64)
    neuron = handle.create_group(schema.NEURON)
    if stock and layer.neuron.exact:
        put_fields(neuron, cuba_fields(layer.neuron))
        own = neuron.create_group(schema.MULTILEVEL)
        write_neuron(own, layer.neuron)
        _bias(own, layer.bias)
        _bias(handle, full_bias(layer))
    else:
        write_neuron(neuron, layer.neuron)
        _bias(handle, layer.bias)


def _bias(handle: h5py.Group, bias: np.ndarray | None) -> None:
    if bias is not None:
        handle[schema.BIAS] = bias.astype(np.int32)


def provenance_json(provenance: dict[str, Any]) -> str:
    """The provenance as text, keys in order; FormatError if it is not what JSON can hold."""
    try:
        text = json.dumps(provenance, sort_keys=True, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"provenance must be what JSON can hold ({error})") from None
    if not isinstance(provenance, dict):
        raise FormatError(f"provenance must be a dict, got {type(provenance).__name__}")
    return text
