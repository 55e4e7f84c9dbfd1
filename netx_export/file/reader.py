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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netx_export.errors import FormatError, at
from netx_export.file import schema
from netx_export.file.atomic import as_path
from netx_export.file.fields import Node, attribute, readable
from netx_export.file.layers import Place, read_layer
from netx_export.spec import Conv, Input, Layer, NetworkSpec

if TYPE_CHECKING:
    import h5py

__all__ = ["read"]


def read(path: str | os.PathLike[str]) -> NetworkSpec:
    """Read a network file.

    Parameters
    ----------
    path : path
        A file written by :func:`netx_export.write`, or by lava-dl (its neurons
        become :class:`netx_export.StockNeuron`, its weights what stock Lava
        computes with; where it lacks an input layer, one is put before a first
        dense layer).

    Returns
    -------
    NetworkSpec

    Raises
    ------
    FormatError
        If the file is missing, damaged, newer, or not what the schema says.
    RangeError
        If a number leaves its range.
    UnsupportedLayerError
        If a layer or neuron of a lava-dl file has no counterpart here.
    ConfigError
        If ``path`` is not a path.
    """
    path = as_path(path)
    with at(str(path)), _opened(path) as file:
        header = _header(file)
        layers, provenance = _layers(Node(file), header is not None)
        timesteps = 1
        if header is not None:
            timesteps, provenance = header
        names = _class_names(file) if header is not None else ()
        spec = NetworkSpec(tuple(layers), timesteps, provenance, names)
        _check_sizes(spec)
        return spec


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
        text = " ".join(str(error).split())[:160]
        raise FormatError(
            f"is an HDF5 file that is truncated, damaged or in use ({text}); "
            "copy or export it again"
        ) from None
    try:
        yield handle
    finally:
        with readable():
            handle.close()


def _header(file: h5py.File) -> tuple[int, dict[str, Any]] | None:
    """T and provenance; None for a file without our format name."""
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
    if not 1 <= steps <= schema.MAX_TIMESTEPS:
        raise FormatError(
            f"it must lie in 1..{schema.MAX_TIMESTEPS}, got {steps}", schema.A_TIMESTEPS
        )
    return steps, _provenance(text)


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


def _layers(root: Node, own: bool) -> tuple[list[Layer], dict[str, Any]]:
    if schema.LAYER not in root:
        raise FormatError("the file has no group /layer; give a NetX network file")
    group = root.group(schema.LAYER)
    names = group.names()
    if not names or len(names) > schema.MAX_LAYERS:
        raise FormatError(
            f"it must hold 1 to {schema.MAX_LAYERS} layers, got {len(names)}", "layer"
        )
    missing = [str(i) for i in range(len(names)) if str(i) not in set(names)]
    if missing:
        raise FormatError(
            f"layers must be numbered 0 to {len(names) - 1} without gaps, but there is no "
            f"{missing[0]}",
            "layer",
        )
    layers: list[Layer] = []
    provenance = {} if own else _stock_provenance(root)
    for index in range(len(names)):
        with at(f"layer {index}"):
            node = group.group(str(index), path="")
            if not own and node.text(schema.TYPE) == schema.RESIDUAL:
                _residual(node, index, layers)
                continue
            place = _own_place(node) if own else _stock_place(node, index, layers)
        with at(f"layer {index} ({place.name})"):
            if not own:
                _before_stock_dense(node, layers)
            layers.append(read_layer(node, place))
    return layers, provenance


def _own_place(node: Node) -> Place:
    name = node.text(schema.NAME)
    if node.text(schema.TYPE) == schema.INPUT:
        return Place(name, True, ())
    inputs = node.integers(schema.INPUTS, -(1 << 31), 1 << 31)
    if not inputs:
        raise FormatError("it must name at least one layer", schema.INPUTS)
    return Place(name, True, inputs)


def _stock_place(node: Node, index: int, layers: list[Layer]) -> Place:
    kind = node.text(schema.TYPE)
    if schema.INPUTS in node:
        raise FormatError(
            "a file with connections needs the format name and version; export it again",
            schema.INPUTS,
        )
    if index == 0 and kind == schema.INPUT:
        return Place("input", False, ())
    if not layers:
        if kind != schema.DENSE:
            raise FormatError(
                f"the first layer must be an input layer with a shape, got {kind!r}; "
                "stock Lava takes input_shape from its caller, a file must say it",
                schema.TYPE,
            )
        return Place(f"{kind}{index}", False, (0,))
    return Place(f"{kind}{index}", False, (len(layers) - 1,))


def _residual(node: Node, index: int, layers: list[Layer]) -> None:
    """Unfold a residual block that SLAYER-style user code wrote into one group."""
    first = len(layers)
    if not first:
        raise FormatError("a residual block cannot be the first layer", schema.TYPE)
    group = node.group(schema.LAYER)
    names = group.names()
    if not 0 < len(names) <= schema.MAX_LAYERS:
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
            layers.append(read_layer(inner, Place(name, True, tuple(first + s for s in sources))))


def _before_stock_dense(node: Node, layers: list[Layer]) -> None:
    """Give a first dense layer its flat source, as a caller of stock Lava has to."""
    if node.text(schema.TYPE) != schema.DENSE or len(layers) > 1:
        return
    if not layers:
        layers.append(Input((node.integer(schema.IN_FEATURES, 1, schema.MAX_NEURONS),), 1))
        return
    source = layers[0]
    if isinstance(source, Input) and source.neuron is None and len(source.shape) > 1:
        flat = 1
        for n in source.shape:
            flat *= n
        layers[0] = replace(source, shape=(flat,))


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


def _check_sizes(spec: NetworkSpec) -> None:
    """A padded input must not be what exhausts the memory."""
    for index, layer in spec.populations:
        for synapse in layer.synapses:
            if isinstance(synapse, Conv):
                c, h, w = spec.layers[synapse.source].shape
                size = c * (h + 2 * synapse.padding[0]) * (w + 2 * synapse.padding[1])
                if size > schema.MAX_NEURONS:
                    raise FormatError(
                        f"padding {synapse.padding} makes an input of {size} values, "
                        f"at most {schema.MAX_NEURONS} are allowed",
                        f"{spec.label(index)}, {schema.PADDING}",
                    )
