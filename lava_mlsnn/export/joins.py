"""Tensors whose channels are those of payloads: concatenations, slices, other orders."""

from __future__ import annotations

import math

import numpy as np
import torch

from lava_mlsnn.export.graph import DATA, Join, Node, role_of
from lava_mlsnn.export.payloads import Payloads
from lava_mlsnn.export.traced import Traced

__all__ = ["joining"]

ACROSS = "the payloads of several blocks joined, not along channels; use torch.cat(..., 1)"
BEFORE = "samples and the payloads of blocks joined; put block.Input before them"
SCORES = "scores of block.Output joined or in part; return all of one, behind them nothing comes"
UNITS = "spikes and membranes joined, which have different units; join what neurons send"


def joining(payloads: Payloads, x: Traced) -> Node | str:
    """The node of joined channels that ``x`` is, "" if it is none, or why it cannot be one.

    An axis of channels is the second: (N, C, H, W, T) of payloads of that height and width,
    or (N, F, T), for which those of three axes are flattened.
    """
    moved = payloads.numbers(x)
    shape = tuple(moved.shape)
    if len(shape) not in (3, 5) or not moved.numel() or shape[-1] != payloads.timesteps:
        return ""
    first = moved[0].flatten(1)[:, 0]  # of every channel
    sources, inside = payloads.places(first)
    if bool((sources == DATA).any()):
        return "" if bool((sources == DATA).all()) else BEFORE
    nodes = {int(s): payloads.nodes[int(s)] for s in sources.unique()}
    own = inside // math.prod(shape[2:])
    wrong = ACROSS if len(nodes) > 1 else ""
    built = torch.empty_like(moved)
    for source in nodes:
        here = sources == source
        whole = payloads.numbers(payloads.value(source))
        whole = whole.flatten(1, -2) if len(shape) == 3 else whole
        if (len(whole), *whole.shape[2:]) != (shape[0], *shape[2:]) or own[
            here
        ].max() >= whole.shape[1]:
            return wrong
        built[:, here] = whole[:, own[here]]
    if not torch.equal(built, moved):
        return wrong
    for source, node in nodes.items():
        while role_of(node.module) == "view":
            node = payloads.nodes[node.sources[0]]
        nodes[source] = node
    if any(role_of(node.module) == "output" for node in nodes.values()):
        return SCORES
    if len({(n.payload is None, getattr(n.module, "units", 1.0)) for n in nodes.values()}) > 1:
        return UNITS
    return _node(payloads, sources.numpy(), own.numpy(), len(shape) == 3)


def _node(payloads: Payloads, sources: np.ndarray, own: np.ndarray, flat: bool) -> Node:
    """Each channel of a source at most once a part."""
    seen: dict[tuple[int, int], int] = {}
    parts: dict[tuple[int, int], list[int]] = {}
    for channel, key in enumerate(zip(sources.tolist(), own.tolist(), strict=True)):
        seen[key] = seen.get(key, 0) + 1
        parts.setdefault((key[0], seen[key]), []).append(channel)
    ends = {s: payloads.flattened(s) if flat else s for s, _ in parts}
    nodes = [payloads.nodes[ends[s]] for s, _ in parts]
    sent = [n.payload for n in nodes if n.payload is not None]
    each = (np.array(channels) for channels in parts.values())
    join = Join(tuple((n.shape, own[c], c) for n, c in zip(nodes, each, strict=True)))
    return Node(
        "",
        join,
        tuple(ends[s] for s, _ in parts),
        (len(own), *nodes[0].shape[1:]),
        (min(p[0] for p in sent), max(p[1] for p in sent)) if sent else None,
        made=True,
    )
