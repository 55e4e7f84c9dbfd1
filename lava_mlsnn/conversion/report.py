"""Where a converted network loses what the float network knows, layer by layer.

Of every population: activations ``a`` of the float network beside ``u z``, what the payloads of
the same samples stand for (their mean over T). ``snr`` is sum(a^2) / sum((a - u z)^2) in
decibels; ``own`` the same for a layer whose input would be exact, so that only its rounding
and clipping are left. A layer with a low ``own`` is one to mend; where ``own`` is high and
``snr`` low, the error comes from before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lava_mlsnn.conversion.network import ConvertedNetwork, Meaning
from lava_mlsnn.conversion.record import Watch, record
from lava_mlsnn.conversion.statistics import gathered
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.export import ScaleLoss, scale_losses
from lava_mlsnn.population.hooks import evaluating
from lava_mlsnn.population.modes import precision

__all__ = ["ErrorReport", "LayerError", "layer_errors"]

BATCH = 32
BITS = 8.0  # of the weights
FEW = 0.25  # share of dead channels from which they are the first thing to say


@dataclass(frozen=True)
class LayerError:
    """What one population loses.

    Attributes
    ----------
    layer : str
        Its name, in the file too.
    snr, own : float or None
        In decibels, see the module; None where nothing is lost.
    saturated : float
        Share of the active neurons whose activation lies above the largest payload.
    dead, channels : int
        Channels that sent nothing for any sample, of how many.
    bits : float
        What is left of its weights, of 8; see :func:`lava_mlsnn.export.scale_losses`.
    mend : str
        What would help most.
    """

    layer: str
    snr: float | None
    own: float | None
    saturated: float
    dead: int
    channels: int
    bits: float
    mend: str


@dataclass(frozen=True)
class ErrorReport:
    """All layers, the one to mend first in front.

    Attributes
    ----------
    layers : tuple of LayerError
        Ordered by ``own``, lowest first.
    scores : float or None
        Signal to noise of the scores in decibels.
    bits : float
        What is left of the weights of the scores, of 8.
    agree : float
        Share of the samples that both networks put into the same class.
    samples : int
        How many were compared.
    """

    layers: tuple[LayerError, ...]
    scores: float | None
    bits: float
    agree: float
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("layer", "snr dB", "own dB", "saturated", "dead", "bits", "mend")]
        rows += [
            (
                e.layer,
                _shown(e.snr),
                _shown(e.own),
                f"{100 * e.saturated:.2f} %",
                f"{e.dead} of {e.channels}",
                f"{e.bits:.1f}",
                e.mend,
            )
            for e in self.layers
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        lines.append(
            f"scores: {_shown(self.scores)} dB, {self.bits:.1f} weight bits, "
            f"{100 * self.agree:.2f} % of {self.samples} samples in the same class"
        )
        return "\n".join(lines)


def _shown(decibels: float | None) -> str:
    return "exact" if decibels is None else f"{decibels:.1f}"


class _Sums:
    """Of one layer: energies, and what was active."""

    def __init__(self, channels: int) -> None:
        self.signal = self.error = self.own = self.cut = 0.0
        self.active = self.over = 0
        self.silent = torch.ones(channels, dtype=torch.bool)

    def add(self, a: torch.Tensor, z: torch.Tensor, meaning: Meaning, top: int, steps: int) -> None:
        """One batch: activations (N, C, ...), and payloads (N, K, ..., T)."""
        sent = z.double().mean(-1)
        self.silent &= (z == 0).movedim(1, 0).flatten(1).all(1)
        if meaning.signed:
            pairs = sent.unflatten(1, (-1, 2))
            sent = pairs[:, :, 0] - pairs[:, :, 1]
        else:
            a = a.clamp(0, meaning.cap)
        a = a.double().reshape(sent.shape)
        u = torch.tensor(meaning.step, dtype=torch.float64).reshape(-1, *[1] * (a.dim() - 2))
        size, limit = a.abs(), u * top
        ideal = (size / u * steps + 0.5).floor().clamp(max=top * steps) / steps * u
        over = size > limit + u / (2 * steps)
        self.signal += float(a.square().sum())
        self.error += float((a - u * sent).square().sum())
        self.own += float((size - ideal).square().sum())
        self.cut += float((size - limit)[over].square().sum())
        self.active += int((size > 0).sum())
        self.over += int(over.sum())

    def result(self, name: str, loss: ScaleLoss | None) -> LayerError:
        """The layer's row."""
        dead, channels = int(self.silent.sum()), len(self.silent)
        own = decibels(self.signal, self.own)
        bits = _left(loss)
        if bits < BITS:
            mend = "weights: fewer levels before it"
        elif dead > FEW * channels:
            mend = "dead channels: train on, or leave them out"
        elif self.cut > self.own / 2:
            mend = "clipping: a higher threshold"
        else:
            mend = "rounding: more levels, or a lower threshold"
        return LayerError(
            name,
            decibels(self.signal, self.error),
            own,
            self.over / max(1, self.active),
            dead,
            channels,
            bits,
            mend,
        )


def _left(loss: ScaleLoss | None) -> float:
    return BITS if loss is None else loss.left


def decibels(signal: float, noise: float) -> float | None:
    """10 log10 of a ratio; None without noise, and without both."""
    return 10 * math.log10(max(signal, 1e-300) / noise) if noise > 0 else None


@torch.no_grad()
def layer_errors(module: torch.nn.Module, network: ConvertedNetwork, data: Any) -> ErrorReport:
    """Compare a float network with what it was converted to.

    Parameters
    ----------
    module : Module
        The float network.
    network : ConvertedNetwork
        What ``convert`` made of it; it may have been trained on.
    data : Tensor, ndarray or iterable of batches
        At least two samples.

    Returns
    -------
    ErrorReport
        The layer to mend first is the first.

    Raises
    ------
    ConfigError
        For a network that was made of another module.
    DataError
        For what are no samples.
    """
    x = gathered(data)
    graph = record(module)
    watch = Watch(graph)
    known = {node.name for node in graph.graph.nodes}
    if not all(m.place in known for m in network.meaning.values()):
        raise ConfigError("the network was converted from another module; give that one")
    losses = {loss.layer: loss for loss in scale_losses(network)}
    sums: dict[str, _Sums] = {}
    sent: dict[str, torch.Tensor] = {}

    def keep(name: str, module: torch.nn.Module, inputs: Any, z: torch.Tensor) -> None:
        sent[name] = z

    def compare(name: str, a: torch.Tensor) -> None:
        block, meaning = network.blocks[name], network.meaning[name]
        top = int(block.neuron.levels)  # type: ignore[union-attr]
        found = sums.setdefault(name, _Sums(sent[name].shape[1]))
        found.add(a, sent[name], meaning, top, network.timesteps)

    handles: list[Any] = []
    for name, meaning in network.meaning.items():
        hook: Callable[..., None] = functools.partial(keep, name)
        handles.append(network.blocks[name].register_forward_hook(hook))
        watch.watch(meaning.place, functools.partial(compare, name))
    signal = noise = agree = 0.0
    try:
        with evaluating(module), evaluating(network), precision(network, "integer"):
            for start in range(0, len(x), BATCH):
                part = x[start : start + BATCH]
                ours = network(part.reshape(len(part), *network.input.shape))
                theirs = watch.run(part)
                signal += float((theirs - theirs.mean(0)).double().square().sum())
                noise += float((theirs - ours).double().square().sum())
                agree += float((theirs.argmax(1) == ours.argmax(1)).sum())
    finally:
        for handle in handles:
            handle.remove()
    layers = [found.result(name, losses.pop(name, None)) for name, found in sums.items()]
    layers.sort(key=lambda e: math.inf if e.own is None else e.own)
    left = min(map(_left, losses.values()), default=BITS)  # of what is no layer of neurons
    return ErrorReport(tuple(layers), decibels(signal, noise), left, agree / len(x), len(x))
