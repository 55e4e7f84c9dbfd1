"""What functions of torch do to traced tensors.

What moves elements (view, permute, expand, indexing, stack, flatten...) is done for real,
on whole numbers that say where an element comes from: so every way to write a flatten or
to repeat a picture over T is read by what it does, not by its name. Factors are noted,
additions of two payloads become a node of the graph. Everything else gives a *faulty*
tensor, which has a shape and a list of what was done to it; that is an error only if
it reaches a block or the result. Changes in place are followed: they mark all tensors
that may share memory.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from lava_mlsnn.export.graph import Offence
from lava_mlsnn.export.traced import Traced, here
from lava_mlsnn.population.population import Population

__all__ = ["call"]

FLOATS = (torch.float32, torch.float64)  # hold every payload
MOVES = """T mT ravel reshape reshape_as view view_as flatten unflatten squeeze unsqueeze permute
    transpose swapaxes swapdims movedim moveaxis expand expand_as broadcast_to repeat tile
    repeat_interleave narrow select index_select split chunk tensor_split unbind __getitem__
    __iter__ stack cat concat concatenate flip roll contiguous clone detach data"""
COPIES = {"clone", "repeat", "flip", "roll", "index_select", "repeat_interleave"}  # always
JOINS = {"stack", "cat", "concat", "concatenate"}
CASTS = {"to", "type", "type_as", "float", "double", "cpu", "cuda"}
QUERIES = """shape size dim ndim ndimension numel nelement stride storage_offset __len__ dtype
    layout is_floating_point is_complex is_contiguous is_sparse is_quantized requires_grad is_leaf
    grad grad_fn names element_size itemsize nbytes"""
ADDS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
MULS = {"mul", "multiply", "__mul__", "__rmul__", "__imul__", "mul_", "multiply_"}
CUTS = {"relu": (0, math.inf), "relu6": (0, 6), "abs": (0, math.inf), "absolute": (0, math.inf)}
DIVS = {"div", "divide", "true_divide", "__truediv__", "__itruediv__", "div_", "divide_"}
CHANGES = (
    "changes what it gets, which is no payload of that range; use a block with a multi-level neuron"
)
WHY = {
    "add": "adds something that is no payload of the same shape; only two blocks' spikes can be "
    "added (a bias belongs into a block, a sum of membranes into block.Residual)",
    "mul": "multiplies; put a factor into weight_scale, threshold or the gain of block.Input",
    "cat": "joins something that is no payload; only what blocks send can be joined",
    "dropout": "drops at random even in eval(); give training=self.training",
    "relu": CHANGES,
    "sum": "has no exact counterpart but over H and W of spikes; block.Output adds up over T",
    "mean": "averages; use sum() over H and W, whose factor the next weights learn, or block.Pool",
    "softmax": "has no exact counterpart; apply it outside the model, to the scores",
    "pad": "has no exact counterpart; use the padding of block.Conv",
    "max_pool": "has no exact counterpart; use block.MaxPool, exact at T = 1, or block.Pool",
    "avg_pool": "has no exact counterpart; use block.Pool",
    "": "has no exact counterpart; do it outside the model, or in a block",
}
WHY |= {"sub": "subtracts; only sums of two blocks' spikes, a + b, can be exported"}
WHY |= {"div": WHY["mul"], "stack": WHY["cat"]}
WHY |= dict.fromkeys(("clamp", "clip", "hardtanh", "abs"), CHANGES)
WHY |= {"adaptive_avg_pool": WHY["avg_pool"], "adaptive_max_pool": WHY["max_pool"]}
WHY |= dict.fromkeys(("amax", "max"), WHY["max_pool"])
WHY |= {"argmax": WHY["softmax"], "concat": WHY["cat"], "cumsum": WHY["sum"]}
BEFORE = (
    "changes the samples before block.Input; do it outside the model, or put a factor into its gain"
)
SHARED = (
    "adds in place to what may share memory with another tensor, or to no payload of the same "
    "shape; write a = a + b, of two blocks' spikes"
)
VALUES = "reads values, so that what is computed would depend on the sample; leave it out in eval()"


UNKNOWN = (
    "calls a block that is no submodule of the model; hold blocks in attributes, a ModuleList or "
    "a ModuleDict"
)


def _name(func: Callable[..., Any]) -> str:
    """``add`` for torch.add and Tensor.add, ``shape`` for the getter of an attribute."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return str(name)


def _why(name: str) -> str:
    plain = name.strip("_")
    plain = plain[1:] if plain[:1] in "ri" and plain[1:] in WHY else plain
    return next(WHY[key] for key in sorted(WHY, key=len, reverse=True) if plain.startswith(key))


def call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a function of torch; the offence is kept where it cannot be followed."""
    name = _name(func)
    found = [x for x in tree_leaves([args, kwargs]) if isinstance(x, Traced)]
    first = found[0]
    if name in ("__repr__", "__format__", "__str__"):
        return f"<traced tensor of shape {tuple(first.shape)}>"
    if name in ("device", "is_cuda", "is_cpu"):
        device = first.tracer.device
        return device if name == "device" else device.type == name[3:]
    if name in QUERIES.split():
        return func(*tree_map(_plain, args), **kwargs)
    if name in ("requires_grad_", "retain_grad", "detach_") or (
        name == "__set__" and func.__self__.__name__ == "requires_grad"
    ):
        return first
    faults = tuple(dict.fromkeys(fault for x in found for fault in x.faults))
    if not faults:
        result = _exact(name, func, args, kwargs, found)
        if result is not NotImplemented:
            return result
    return _faulty(name, func, args, kwargs, found, faults)


def _plain(x: Any) -> Any:
    """A tensor that torch can compute shapes with."""
    if isinstance(x, Traced):
        return x.as_subclass(torch.Tensor)
    return x.detach().to("meta") if isinstance(x, torch.Tensor) else x


def _exact(
    name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], found: list[Traced]
) -> Any:
    """The result of what an exported network can follow; else NotImplemented."""
    x = found[0]
    if name in CASTS:
        dtypes = [d for a in tree_leaves([args[1:], kwargs]) if (d := _dtype(a)) is not None]
        return _alias(x) if all(d in FLOATS for d in dtypes) else NotImplemented
    if name in ("dropout", "feature_dropout") or (name[:7] == "dropout" and name[-1] == "d"):
        on = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
        return NotImplemented if on else _alias(x)
    if kwargs.get("out") is not None:
        return NotImplemented
    if name in ADDS:
        return _add(name, args, kwargs, found)
    if name in MULS or name in DIVS:
        return _scale(name, args, kwargs)
    if name.strip("_") in CUTS or name.strip("_") in ("clamp", "clip", "clamp_min", "hardtanh"):
        return _cut(name, x, args, kwargs)
    if name in ("sum", "mean"):
        return _sum(name, args, kwargs)
    if name not in MOVES.split():
        return NotImplemented
    if name in JOINS and not all(isinstance(t, Traced) for t in tree_leaves(args[0])):
        return NotImplemented
    if name not in JOINS and len(found) > 1 and name not in ("view_as", "expand_as", "reshape_as"):
        return NotImplemented  # indexed by values
    return _moved(func, args, kwargs, found, name in COPIES | JOINS)


def _cut(name: str, x: Traced, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A range that holds every payload is no change."""
    plain = name.strip("_")
    if plain in CUTS:
        low, high = CUTS[plain]
    else:
        ends = dict(zip(("low", "high"), args[1:], strict=False))
        default = (-1.0, 1.0) if plain == "hardtanh" else (-math.inf, math.inf)
        low, high = (
            next((kwargs[k] for k in (f"{end}_val", end) if k in kwargs), ends.get(side, other))
            for end, side, other in zip(("min", "max"), ("low", "high"), default, strict=True)
        )
    payload = x.tracer.payload(x)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    numbers = all(isinstance(end, (int, float)) for end in (low, high))
    if payload is None or not numbers:
        return NotImplemented
    if payload[0] * x.factor < low or payload[1] * x.factor > high:
        return NotImplemented
    return x if _in_place(name) or kwargs.get("inplace") else _alias(x)


def _sum(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Over axes of one element: nothing. Over height and width: a relay, and a factor."""
    named = {**dict(zip(("input", "dim", "keepdim"), args, strict=False)), **kwargs}
    x, axes, kept = named["input"], named.get("dim"), named.get("keepdim", False)
    axes = (axes,) if isinstance(axes, int) else axes
    if not axes or set(named) - {"input", "dim", "keepdim"} or not isinstance(x, Traced):
        return NotImplemented
    axes = tuple(sorted(a % x.dim() for a in axes))
    total, area = x, math.prod(x.shape[a] for a in axes)
    if area != 1:
        summed = x.tracer.sum(x, axes)
        if summed is None:
            return NotImplemented
        total = _scale("div", (summed, area), {}, "mean") if name == "mean" else summed
    return _moved(torch.sum, (total, axes), {"keepdim": kept}, [total])


def _dtype(value: Any) -> torch.dtype | None:
    if isinstance(value, torch.Tensor):
        return value.dtype
    return value if isinstance(value, torch.dtype) else None


def _moved(func: Any, args: Any, kwargs: Any, found: list[Traced], fresh: bool = False) -> Any:
    """The same function on the numbers of the elements."""
    x = found[0]
    if any((y.scaled, y.factor) != (x.scaled, x.factor) for y in found):
        return NotImplemented
    result = func(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))

    def wrap(ids: Any) -> Any:
        if not isinstance(ids, torch.Tensor):
            return ids
        return Traced.make(x.tracer, tuple(ids.shape), moved=ids, like=x, fresh=fresh)

    if not isinstance(result, (torch.Tensor, tuple, list)):  # an iterator
        return iter([wrap(ids) for ids in result])
    return tree_map(wrap, result)


def _numbers(x: Any) -> Any:
    if isinstance(x, Traced):
        return x.tracer.numbers(x)
    return x.detach().cpu() if isinstance(x, torch.Tensor) else x  # an index


def _alias(x: Traced) -> Traced:
    return Traced.make(x.tracer, tuple(x.shape), source=x.source, moved=x.moved, like=x)


def _in_place(name: str) -> bool:
    return name.startswith("__i") if name.startswith("__") else name.endswith("_")


def _into(name: str, x: Any, result: Traced) -> Any:
    """``result``, or x changed to it; NotImplemented if others may share the memory of x."""
    if not _in_place(name):
        return result
    if not isinstance(x, Traced):
        return NotImplemented
    sharing = (member() for member in x.memory.members)
    if any(y is not None and y is not x for y in sharing):
        return NotImplemented
    x.source, x.moved = result.source, result.moved
    x.factor, x.scaled = result.factor, result.scaled
    return x


def _add(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], found: list[Traced]) -> Any:
    pair = [*args, *(kwargs[k] for k in ("input", "other") if k in kwargs)]
    if len(pair) != 2 or kwargs.get("alpha", 1) != 1:
        return NotImplemented
    if len(found) == 2 and found[0].shape == found[1].shape:
        result = found[0].tracer.add(found[0], found[1])
        return NotImplemented if result is None else _into(name, pair[0], result)
    other = pair[1] if isinstance(pair[0], Traced) else pair[0]
    if isinstance(other, (int, float)) and other == 0:  # as in sum([a, b])
        return _into(name, pair[0], _alias(found[0]))
    return NotImplemented


def _scale(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], by_name: str = "mul") -> Any:
    """A positive factor, noted as ``by_name`` says it."""
    pair = [*args, *(kwargs[k] for k in ("input", "other") if k in kwargs)]
    if len(pair) != 2 or set(kwargs) - {"input", "other"}:
        return NotImplemented
    if not isinstance(pair[0], Traced) and name in MULS:
        pair.reverse()
    x, by = pair
    if not isinstance(x, Traced) or isinstance(by, Traced):
        return NotImplemented
    if isinstance(by, torch.Tensor):
        if by.numel() != 1 or by.dim() > x.dim() or by.is_meta or by.dtype.is_complex:
            return NotImplemented
        by = by.item()
    if isinstance(by, bool) or not isinstance(by, (int, float)):
        return NotImplemented
    if not (by > 0 and math.isfinite(by)):
        return NotImplemented
    result = Traced.make(x.tracer, tuple(x.shape), source=x.source, moved=x.moved)
    result.factor, result.scaled = x.factor, x.scaled
    if by != 1:
        result.factor = x.factor * by if name in MULS else x.factor / by
        said = name.strip("_") if by_name == "mul" else by_name
        why = BEFORE if x.before else WHY[by_name]
        result.scaled = (*x.scaled, Offence(f"{said}()", why, here()))
    return _into(name, x, result)


def _reads_values(fault: Offence) -> Offence:
    """The offence of a look at values, of which there are none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not Population.forward.__code__:
        frame = frame.f_back
    if frame is not None:
        return Offence("the forward", UNKNOWN, fault.place)
    return Offence(fault.what, VALUES, fault.place)


def _faulty(
    name: str,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    found: list[Traced],
    faults: tuple[Offence, ...],
) -> Any:
    """Shapes alone, and what was done."""
    tracer = found[0].tracer
    place = here()
    layer = f"layer {tracer.path[-1]!r}: " if tracer.path and not place else ""
    why = BEFORE if any(x.before for x in found) else _why(name)
    if name in ADDS and _in_place(name) and len(found) == 2:
        why = SHARED
    fault = Offence(f"{layer}{name.strip('_')}()", why, place)
    if name in CASTS:
        return Traced.make(tracer, tuple(found[0].shape), faults=faults or (fault,))
    innocent = name in MOVES.split() or (name in ADDS and len(found) == 2)
    if not (tracer.quiet or (faults and innocent)):
        faults = (*faults, fault)
    before = [(x, x._version, tuple(x.shape)) for x in found]
    try:
        result = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
    except (NotImplementedError, RuntimeError, TypeError) as error:
        if "meta" in str(error).lower():
            raise tracer.stop(_reads_values(fault)) from None
        raise
    for x, version, shape in before:
        changed = x._version != version or name.startswith("__set")
        if changed or (_in_place(name) and x is args[0]):
            if tuple(x.shape) != shape:
                raise tracer.stop(fault)
            x.memory.faults = faults  # in place
    leaves = tree_leaves(result)
    if result is not None and not any(isinstance(y, torch.Tensor) for y in leaves):
        raise tracer.stop(_reads_values(fault))

    def wrap(y: Any) -> Any:
        if not isinstance(y, torch.Tensor):
            return y
        for x in found:
            if y is x:
                return x
        return Traced.make(tracer, tuple(y.shape), faults=faults, dtype=y.dtype)

    return args[0] if _in_place(name) and args[0] is found[0] else tree_map(wrap, result)
