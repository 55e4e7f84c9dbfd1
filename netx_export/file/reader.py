"""From a NetX HDF5 file to a network as data, with every field checked.

Files of this project carry a format name and version. Files without them are
taken for files of lava-dl: layers in a row, and whatever stock Lava computes with.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netx_export.errors import ConfigError, FormatError, at, said
from netx_export.file import schema
from netx_export.file.atomic import as_path
from netx_export.file.fields import Node, attribute, readable
from netx_export.file.layers import Place, read_layer, read_shape
from netx_export.file.writer import version_of
from netx_export.spec import Input, Layer, NetworkSpec, Population, Shape, limits
from netx_export.spec.checks import check_shape, check_timesteps
from netx_export.spec.graded import graded_input
from netx_export.spec.graph import order

if TYPE_CHECKING:
    import h5py

__all__ = ["read"]


def read(
    path: str | os.PathLike[str],
    *,
    timesteps: int | None = None,
    input_message_bits: int = 0,
    input_shape: tuple[int, ...] | None = None,
) -> NetworkSpec:
    """Read a network file.

    Parameters
    ----------
    path : path
        A file written by :func:`netx_export.write`, or by lava-dl (its neurons
        become :class:`netx_export.StockNeuron`, its weights what stock Lava
        computes with; where it lacks an input layer, one is put before a first
        dense layer).
    timesteps : int, optional
        T of one sample, instead of what the file says. Files that blocks wrote one by
        one (``export_hdf5``) may not say it: then it has to be given.
    input_message_bits : int, optional
        As lava-dl's: bits of the payloads that enter a file of lava-dl whose input layer
        has no neuron (0: binary). No such file says it; every other one does.
    input_shape : tuple of int, optional
        (C, H, W) or (F,) of what enters a file of lava-dl without an input layer; needed
        where its first layer is a convolution. A file that says another one is refused.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    FormatError
        If the file is missing, damaged, newer, not what the schema says, or does not
        say T and needs it.
    RangeError
        If a number leaves its range.
    UnsupportedLayerError
        If a layer or neuron of a lava-dl file has no counterpart here.
    ConfigError
        If ``path`` is not a path, ``timesteps`` no T, or the file says itself what enters it.
    """
    path = as_path(path)
    if timesteps is not None:
        timesteps = check_timesteps(timesteps)
    with at(str(path)), _opened(path) as file:
        header, root = _header(file), Node(file)
        if input_shape is not None:
            input_shape = check_shape(input_shape, ConfigError)
        layers, provenance = _layers(root, header is not None, input_shape)
        if input_shape not in (None, layers[0].shape):
            raise ConfigError(
                f"input_shape = {input_shape} is not what the file says, {layers[0].shape}"
            )
        if header is not None:
            version, stated, provenance = header
            timesteps = timesteps or stated
        elif timesteps is None:
            timesteps = _block_timesteps(root, layers)
        names = _class_names(file) if header is not None else ()
        spec = NetworkSpec(tuple(layers), timesteps, provenance, names)
        if header is not None and version_of(spec) > version:
            raise FormatError(
                f"it is {version}, but the file has what only version {version_of(spec)} has; "
                "export the network again",
                schema.A_VERSION,
            )
        return graded_input(spec, input_message_bits)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    import h5py

    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
            what = "it is a folder" if stat.S_ISDIR(mode) else "it is a device, pipe or socket"
            raise FormatError(f"cannot be opened ({what}); give the path of a .net file")
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        what = error.strerror or str(error)
        raise FormatError(f"cannot be opened ({what}); give the path of a .net file") from None
    except ValueError:
        raise FormatError("is not a path; give the path of a .net file") from None
    with readable():
        if not h5py.is_hdf5(path):
            raise FormatError("is not an HDF5 file; give a file that 'mlsnn export' wrote")
    try:
        handle = h5py.File(path, "r")
    except Exception as error:  # OSError for truncation, others for damage
        raise FormatError(
            f"is an HDF5 file that is truncated, damaged or in use ({said(error)}); "
            "copy or export it again"
        ) from None
    try:
        yield handle
    finally:
        with readable():
            handle.close()


def _header(file: h5py.File) -> tuple[int, int, dict[str, Any]] | None:
    """Version, T and provenance; None for a file without our format name."""
    ours = (schema.A_FORMAT, schema.A_VERSION, schema.A_TIMESTEPS, schema.A_PROVENANCE)
    with readable("root attributes"):
        names = [name for name in ours if name in file.attrs]
        if not names:
            return None
        for name in ours:
            if name not in names:
                raise FormatError("the file lacks it; export the network again", name)
    form, version, timesteps, text = (attribute(file, name) for name in ours)
    if form != schema.FORMAT:
        raise FormatError(f"it must be {schema.FORMAT!r}, got {form!r:.80}", schema.A_FORMAT)
    version = _whole(version, schema.A_VERSION)
    if version > schema.FORMAT_VERSION:
        raise FormatError(
            f"the file has version {version}, this program reads up to {schema.FORMAT_VERSION}; "
            "install a newer lava-mlsnn",
            schema.A_VERSION,
        )
    if version < 1:
        raise FormatError(f"it must be at least 1, got {version}", schema.A_VERSION)
    steps = _whole(timesteps, schema.A_TIMESTEPS)
    if not 1 <= steps <= limits.MAX_TIMESTEPS:
        raise FormatError(
            f"it must lie in 1..{limits.MAX_TIMESTEPS}, got {steps}", schema.A_TIMESTEPS
        )
    return version, steps, _provenance(text)


def _whole(value: int | str, name: str) -> int:
    if isinstance(value, str):
        raise FormatError(f"it must be one whole number, got {value[:80]!r}", name)
    return value


def _class_names(file: h5py.File) -> Any:
    """What the outputs are called; NetworkSpec checks it."""
    with readable(schema.A_CLASS_NAMES):
        if schema.A_CLASS_NAMES not in file.attrs:
            return ()
    return _json(attribute(file, schema.A_CLASS_NAMES), schema.A_CLASS_NAMES)


def _provenance(text: int | str) -> dict[str, Any]:
    found = _json(text, schema.A_PROVENANCE)
    if not isinstance(found, dict):
        raise FormatError("it must be a JSON object", schema.A_PROVENANCE)
    return found


def _json(text: int | str, name: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(str(text), parse_constant=refuse)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"it must be JSON ({error})", name) from None


def _layers(
    root: Node, own: bool, enters: Shape | None = None
) -> tuple[list[Layer], dict[str, Any]]:
    if schema.LAYER not in root:
        raise FormatError("the file has no group /layer; give a NetX network file")
    group = root.group(schema.LAYER)
    names = group.names()
    if not names or len(names) > limits.MAX_LAYERS:
        raise FormatError(
            f"it must hold 1 to {limits.MAX_LAYERS} layers, got {len(names)}", "layer"
        )
    held = set(names)
    missing = next((str(i) for i in range(len(names)) if str(i) not in held), None)
    if missing is not None:
        raise FormatError(
            f"layers must be numbered 0 to {len(names) - 1} without gaps, but there is no "
            f"{missing}",
            "layer",
        )
    if own:
        return _own_layers(group, len(names)), {}
    layers: list[Layer] = []
    if enters is not None and group.group("0", path="").text(schema.TYPE) != schema.INPUT:
        layers.append(Input(enters, 1))
    for index in range(len(names)):
        with at(f"layer {index}"):
            node = group.group(str(index), path="")
            if node.text(schema.TYPE) == schema.RESIDUAL:
                _residual(node, index, layers)
                continue
            name = _stock_name(node, index, layers)
        with at(f"layer {index} ({name})"):
            _before_stock_dense(node, layers)
            source = len(layers) - 1
            inputs, sends = ((source,), (layers[source].shape,)) if layers else ((), ())
            layers.append(read_layer(node, Place(name, False, inputs, sends)))
    return layers, _stock_provenance(root)


class _Head(NamedTuple):
    """What must be known of every layer before any is read, since a layer may read any other."""

    node: Node
    name: str
    shape: Shape
    sources: tuple[int, ...]


def _own_layers(group: Node, count: int) -> list[Layer]:
    heads: list[_Head] = []
    names: dict[str, int] = {}
    for index in range(count):
        with at(f"layer {index}"):
            node = group.group(str(index), path="")
            name = node.text(schema.NAME)
            first = names.setdefault(name, index)
            if first != index:
                raise FormatError(
                    f"layer names must differ, got {name!r} for layers {first} and {index}"
                )
        with at(f"layer {index} ({name})"):
            heads.append(_head(node, name))
    order(heads)
    layers = []
    for index, head in enumerate(heads):
        sends = tuple(heads[s].shape for s in head.sources)
        with at(f"layer {index} ({head.name})"):
            layers.append(read_layer(head.node, Place(head.name, True, head.sources, sends)))
    return layers


def _head(node: Node, name: str) -> _Head:
    with at(schema.SHAPE):
        shape = check_shape(read_shape(node))
    if node.text(schema.TYPE) == schema.INPUT:
        return _Head(node, name, shape, ())
    inputs = node.integers(schema.INPUTS, -(1 << 31), 1 << 31)
    if not inputs:
        raise FormatError("it must name at least one layer", schema.INPUTS)
    return _Head(node, name, shape, inputs)


def _stock_name(node: Node, index: int, layers: list[Layer]) -> str:
    kind = node.text(schema.TYPE)
    if schema.INPUTS in node:
        raise FormatError(
            "a file with connections needs the format name and version; export it again",
            schema.INPUTS,
        )
    if index == 0 and kind == schema.INPUT:
        return "input"
    if not layers and kind != schema.DENSE:
        raise FormatError(
            f"the first layer must be an input layer with a shape, got {kind!r}; "
            "give it as input_shape, as stock Lava's caller has to",
            schema.TYPE,
        )
    return f"{kind}{index}"


def _residual(node: Node, index: int, layers: list[Layer]) -> None:
    """Unfold a residual block that SLAYER-style user code wrote into one group."""
    first = len(layers)
    if not first:
        raise FormatError("a residual block cannot be the first layer", schema.TYPE)
    group = node.group(schema.LAYER)
    names = group.names()
    if not 0 < len(names) <= limits.MAX_LAYERS:
        raise FormatError(f"it must hold layers, got {len(names)}", schema.LAYER)
    for k in range(len(names)):
        with at(f"{schema.LAYER}/{k}"):
            inner = group.group(str(k), path="")
            sources = inner.integers(schema.INPUTS, -(1 << 31), 1 << 31)
            if not sources or min(sources) < -1 or max(sources) >= k:
                raise FormatError(
                    f"it must name -1 (the block's input) or layers of the block before this "
                    f"one ({k}), got {list(sources)}",
                    schema.INPUTS,
                )
            name = f"{schema.RESIDUAL}{index}.{inner.text(schema.NAME)}"
            inputs = tuple(first + s for s in sources)
            sends = tuple(layers[s].shape for s in inputs)
            layers.append(read_layer(inner, Place(name, True, inputs, sends)))


def _block_timesteps(root: Node, layers: list[Layer]) -> int:
    """T of a file whose blocks were written one by one; 1 where no neuron knows samples."""
    keeping = [p.name for p in layers if isinstance(p, Population) and p.keeps_state]
    if not keeping:
        return 1
    stated: set[int] = set()
    group = root.group(schema.LAYER)
    for name in group.names():
        node = group.group(name, path="")
        nodes = [node]
        if schema.LAYER in node:  # a residual block
            inner = node.group(schema.LAYER)
            nodes = [inner.group(k, path="") for k in inner.names()]
        with at(f"layer {name}"):
            said = [n for n in nodes if schema.TIMESTEPS in n]
            stated |= {n.integer(schema.TIMESTEPS, 1, limits.MAX_TIMESTEPS) for n in said}
    if len(stated) == 1:
        return stated.pop()
    what = f"say different ones ({sorted(stated)})" if stated else "do not say it"
    raise FormatError(
        f"the neurons of {keeping[0]} start anew with every sample, and the file's blocks {what}; "
        "give T, the timesteps of one sample: netx_export.read(path, timesteps=T)",
        schema.TIMESTEPS,
    )


def _before_stock_dense(node: Node, layers: list[Layer]) -> None:
    """Give a first dense layer its flat source, as a caller of stock Lava has to."""
    if node.text(schema.TYPE) != schema.DENSE or len(layers) > 1:
        return
    if not layers:
        layers.append(Input((node.integer(schema.IN_FEATURES, 1, limits.MAX_NEURONS),), 1))
        return
    source = layers[0]
    if isinstance(source, Input) and source.neuron is None and len(source.shape) > 1:
        layers[0] = replace(source, shape=(prod(source.shape),))


def _stock_provenance(root: Node) -> dict[str, Any]:
    """What stock Lava stores but does not compute with."""
    found: dict[str, Any] = {"source": "lava-dl"}
    first = root.group(schema.LAYER)
    if "0" in first and first.group("0").text(schema.TYPE) == schema.INPUT:
        node = first.group("0")
        transform = {
            name: node.scalar(name)
            for name in (schema.WEIGHT, schema.BIAS)
            if name in node and node.size(name) == 1
        }
        if transform:
            found["input_transform"] = transform
    if schema.SIMULATION in root:
        node = root.group(schema.SIMULATION)
        found[schema.SIMULATION] = {
            name: node.value(name) for name in node.names() if node.size(name) == 1
        }
    return found
