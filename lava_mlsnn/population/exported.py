"""A population as the layer of integers that it is exported as."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch

from lava_mlsnn.errors import RangeError
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.quantise import Integers, Scaling
from lava_mlsnn.population.resolution import lost_bits
from lava_mlsnn.population.synapses import Synapse
from netx_export.builder import ScaleLoss, Sent
from netx_export.spec import MultiLevel, Readout
from netx_export.spec import Population as PopulationSpec
from netx_export.spec.ranges import Bounds, reach
from netx_export.spec.widths import STATE_MAX

__all__ = ["Exported"]

ROOM = 1 << 22  # what a sum that did not fit may reach: half of the state
TRIES = 8  # rounding can put a sum above the room


class Exported(torch.nn.Module):
    """Base of the population: what it says to a :class:`netx_export.builder.Builder`."""

    neuron: MultiLevelNeuron | None
    scaling: Scaling
    integrate: bool
    num_message_bits: int
    ceiling: tuple[float, ...] | None
    # payloads that its first source may send, at T = 1 alone; None: any, at every T
    takes: tuple[int, int] | None = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the neurons, (C, H, W) or (F,)."""

    @abstractmethod
    def integers(self) -> Integers:
        """Of the present parameters and running statistics."""

    @abstractmethod
    def folded_weights(self) -> list[torch.Tensor | None]:
        """The float weights behind them, one per synapse."""

    @abstractmethod
    def check_exportable(self) -> None:
        """Raise what keeps it from having integers."""

    @abstractmethod
    def _synapses(self) -> Iterator[Synapse]: ...

    def exported(
        self, name: str, sources: tuple[int, ...], sent: list[Sent] | None, fresh: bool
    ) -> tuple[PopulationSpec, ScaleLoss | None]:
        """See :class:`netx_export.builder.Exports`."""
        self.check_exportable()
        if fresh:  # what is used twice keeps the scales of its first use
            self.ceiling = None
        ints = self.integers()
        layer = self._layer(name, ints, sources)
        if not fresh or sent is None or self.scaling.mode == "fixed":
            return layer, None
        return self._fitting(layer, ints, sent)

    def _fitting(
        self, layer: PopulationSpec, ints: Integers, sent: list[Sent]
    ) -> tuple[PopulationSpec, ScaleLoss | None]:
        """The layer with scales so low that the sums of its first timestep fit.

        Nothing changes where they fit at once. The population keeps the ceiling, so that
        its forward computes what is exported.
        """
        first, scale, bounds = ints, ints.scale, [source.bounds for source in sent]
        for _ in range(TRIES):
            far = torch.from_numpy(reach(layer, bounds)).to(scale)
            if not bool((far > STATE_MAX).any()):
                break
            lower = torch.where(far > STATE_MAX, scale * (ROOM / far), torch.inf)
            if self.ceiling is not None:
                lower = torch.minimum(lower, lower.new_tensor(self.ceiling))
            self.ceiling = tuple(lower.tolist())
            ints = self.integers()
            layer, scale = self._layer(layer.name, ints, layer.sources), ints.scale
        fell = first.scale / scale
        if any(synapse.weight is None for synapse in self._synapses()):
            fell = torch.maximum(fell, 1 / scale)  # below 1 a one-to-one synapse is lost
        lost = lost_bits(self.folded_weights(), ints, sent, self.scaling)
        coarser = torch.maximum(torch.log2(fell), lost)
        if not bool((coarser > 0).any()):
            return layer, None
        loss = self._loss(layer.name, first, coarser, float(lost.max()), bounds)
        if bool((lost > 0).any()) and not any(bool(w.any()) for w in ints.weights):
            raise RangeError(f"no weight bit is left, {loss.why}; {loss.remedy}")
        return layer, loss

    def _loss(
        self,
        name: str,
        ints: Integers,
        coarser: torch.Tensor,
        lost: float,
        bounds: list[Bounds],
    ) -> ScaleLoss:
        """Of channels that became so many bits coarser than ``ints``, and what made them so."""
        inputs = sum(w[0].numel() for w in ints.weights)
        payload = max(int(max(-low.min(), high.max())) for low, high in bounds)
        drive = None
        if self.neuron is not None:
            pairs = zip(ints.weights, ints.exponents, strict=True)
            tops = [w.reshape(len(w), -1).abs().amax(1) * 2.0**e for w, e in pairs]
            top = torch.stack([*tops, ints.bias.abs()]).amax(0)
            threshold = float(self.neuron.threshold.detach()) * ints.scale
            drive = float((top / threshold)[coarser > 0].max())
        asked = self.scaling.weight_bits
        return ScaleLoss(
            name,
            int((coarser > 0).sum()),
            len(coarser),
            float(coarser.max()),
            inputs,
            payload,
            drive,
            max(0.0, asked - lost),
            asked,
        )

    def _layer(self, name: str, ints: Integers, sources: tuple[int, ...]) -> PopulationSpec:
        synapses = tuple(
            synapse.exported(source, _whole(weight), exponent)
            for source, synapse, weight, exponent in zip(
                sources, self._synapses(), ints.weights, ints.exponents, strict=True
            )
        )
        neuron = self.neuron
        if neuron is not None and ints.vth is not None and ints.v0 is not None:
            kind: MultiLevel | Readout = MultiLevel(
                neuron.levels, _shared(_whole(ints.vth)), _shared(_whole(ints.v0), ints.vth)
            )
        else:
            kind = Readout(self.integrate, self.num_message_bits)
        bias = _whole(ints.bias)
        scale = ints.scale.cpu().numpy().astype(np.float64)
        return PopulationSpec(
            name,
            self.shape,
            synapses,
            kind,
            bias if np.any(bias) else None,
            scale[:1] if np.all(scale == scale[0]) else scale,
        )


def _whole(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.int64)


def _shared(values: np.ndarray, of: torch.Tensor | None = None) -> np.ndarray:
    """One value if all channels (of ``of``) agree: less state on the chip."""
    same = values if of is None else _whole(of)
    return values[:1] if np.all(same == same[0]) else values
