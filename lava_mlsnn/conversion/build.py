"""From a plan and what was seen of the float network to populations."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

import torch

from lava_mlsnn.conversion.network import ConvertedNetwork, Join, Meaning, Readout, fitted
from lava_mlsnn.conversion.plan import (
    INPUT,
    Joined,
    Maxima,
    Neurons,
    Payload,
    Plan,
    Pooled,
    Relay,
    Step,
    Sum,
)
from lava_mlsnn.conversion.share import Share
from lava_mlsnn.conversion.statistics import BATCH, Seen, mean
from lava_mlsnn.conversion.synapses import Units, synapse
from lava_mlsnn.conversion.thresholds import steps
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.layout import fold_time
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import IdentitySynapse, Synapse
from lava_mlsnn.slayer.block import Input, MaxPool, Pool
from netx_export.spec.neurons.step import message_bits

__all__ = ["Conversion"]


class Conversion:
    """Builds one block after the other, and runs the calibration samples through each.

    Parameters
    ----------
    plan : Plan
        What to build.
    seen : dict of str to Seen
        Of the float network.
    x : Tensor, (N, ...)
        Samples by which biases are corrected.
    levels, timesteps, input_levels : int
        N, T, and the largest payload of the input.
    threshold, percentile
        See :mod:`lava_mlsnn.conversion.thresholds`.
    correct : bool
        Whether biases are corrected.
    share : Share
        Which batches of the samples this process takes.
    """

    def __init__(
        self,
        plan: Plan,
        seen: dict[str, Seen],
        x: torch.Tensor,
        *,
        levels: int,
        timesteps: int,
        input_levels: int,
        threshold: str,
        percentile: float,
        correct: bool,
        share: Share,
    ) -> None:
        self.plan, self.seen, self.x, self.share = plan, seen, x, share
        self.mine = share.mine(math.ceil(len(x) / BATCH))
        self.levels, self.timesteps, self.input_levels = levels, timesteps, input_levels
        self.threshold, self.percentile, self.correct = threshold, percentile, correct
        self.units: dict[str, Units] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # of payloads
        self.largest: dict[str, int] = {}
        self.sent: dict[str, list[torch.Tensor]] = {}  # for the samples, by batch of this process
        self.blocks: OrderedDict[str, torch.nn.Module] = OrderedDict()
        self.sources: dict[str, tuple[str, ...]] = {}
        self.meaning: dict[str, Meaning] = {}

    @torch.no_grad()
    def network(self) -> ConvertedNetwork:
        """All of the plan, as a network in ``eval()``."""
        uses = Counter(s for step in self.plan.steps for s in step.sources)
        with torch.random.fork_rng(devices=[]):  # weights are drawn before they are set
            self._input()
            for step in self.plan.steps:
                self._add(step.name, self._block(step), step.sources)
                for s in step.sources:
                    uses[s] -= 1
                    if not uses[s]:
                        self.sent.pop(s, None)
        network = ConvertedNetwork(self.blocks, self.sources, self.meaning, self.timesteps)
        return network.eval()

    def _add(self, name: str, block: torch.nn.Module, sources: tuple[str, ...]) -> None:
        """A block, and what it sends for the calibration samples."""
        block.eval()
        self.blocks[name], self.sources[name] = block, sources
        self.shapes[name] = tuple(block.shape)  # type: ignore[arg-type]
        if isinstance(block, Readout):
            return
        self.sent[name] = [
            block(*fitted(block, [self.sent[s][k] for s in sources])) for k in range(len(self.mine))
        ]

    def _input(self) -> None:
        largest = float(self.x.abs().max()) or 1.0
        gain = self.input_levels / largest
        signed = bool((self.x < 0).any())
        block = Input(self.plan.shape, self.input_levels, gain, signed).eval()
        self.blocks[INPUT], self.sources[INPUT] = block, ()
        self.shapes[INPUT] = self.plan.shape
        channels = self.plan.shape[0]
        self.units[INPUT] = Units.of(torch.full((channels,), 1 / gain, dtype=torch.float64), False)
        self.largest[INPUT] = self.input_levels
        images = self.x.reshape(len(self.x), *self.plan.shape).unsqueeze(-1)
        images = images.expand(*images.shape[:-1], self.timesteps)
        parts = images.split(BATCH)
        self.sent[INPUT] = [block(parts[k]) for k in self.mine]

    def _block(self, step: Step) -> torch.nn.Module:
        if isinstance(step, Pooled):
            return self._pool(step)
        if isinstance(step, Maxima):
            return self._maxima(step)
        if isinstance(step, Joined):
            return self._join(step)
        if isinstance(step, Relay):
            return self._relay(step)
        if not isinstance(step, Neurons):
            target = Units.of(torch.ones(step.sum.shape[0], dtype=torch.float64), False)
            readout = Readout(self._synapses(step.sum, target))
            if self.correct:
                self._correct(step.name, readout.population, target, step.sources)
            return readout
        values = self.seen[step.name].values
        values = values.abs() if step.signed else values.clamp(0, step.cap)
        u = steps(values, self.levels, self.timesteps, self.threshold, self.percentile)
        u = u.clamp_max(step.cap / self.levels)
        target = self.units[step.name] = Units.of(u, step.signed)
        self.largest[step.name] = self.levels
        self.meaning[step.name] = Meaning(step.sum.place, step.cap, step.signed, tuple(u.tolist()))
        neuron = MultiLevelNeuron(1.0, self.levels, "round")
        population = Population(self._synapses(step.sum, target), neuron, Scaling())
        if self.correct:
            self._correct(step.name, population, target, step.sources)
        return population

    def _pool(self, step: Pooled) -> Pool:
        name = step.source.step
        pool = Pool(
            None, self.shapes[name], step.kernel, step.stride, payload_max=self.largest[name]
        )
        units = self.units[name]
        self.units[step.name] = Units(units.channel, units.unit / math.prod(step.kernel))
        self.largest[step.name] = pool.payload_max
        return pool

    def _join(self, step: Joined) -> Join:
        channels, units, sizes, offset = [], [], [], 0
        for part in step.parts:
            found, shape = self._read(part)
            channels.append(found.channel + offset)
            units.append(found.unit)
            sizes.append(shape)
            offset += part.shape[0]
        self.units[step.name] = Units(torch.cat(channels), torch.cat(units))
        self.largest[step.name] = max(self.largest[s] for s in step.sources)
        return Join((sum(size[0] for size in sizes), *sizes[0][1:]))

    def _relay(self, step: Relay) -> Population:
        name = step.source.step
        self.units[step.name], self.largest[step.name] = self.units[name], self.largest[name]
        bits = max(8, message_bits(self.largest[name]))
        one = IdentitySynapse(self.shapes[name])
        return Population([one], None, Scaling("fixed", fixed=1.0), num_message_bits=bits)

    def _maxima(self, step: Maxima) -> MaxPool:
        name, window = step.source.step, step.window
        edges = (window.padding, window.dilation, window.ceil)
        self.units[step.name], self.largest[step.name] = self.units[name], self.largest[name]
        return MaxPool(
            self.shapes[name],
            window.kernel,
            window.stride,
            *edges,
            payload_max=self.largest[name],
        )

    def _synapses(self, total: Sum, target: Units) -> list[Synapse]:
        bias = target.rows(total.bias)
        return [
            synapse(arm, *self._read(arm.source), target, None if k else bias)
            for k, arm in enumerate(total.arms)
        ]

    def _read(self, source: Payload) -> tuple[Units, tuple[int, ...]]:
        units, shape = self.units[source.step], self.shapes[source.step]
        if not source.flat or len(shape) == 1:
            return units, shape
        return units.flat(math.prod(shape[1:])), (math.prod(shape),)

    def _correct(
        self, name: str, population: Population, target: Units, sources: tuple[str, ...]
    ) -> None:
        """Move each channel's mean error before the neuron into its bias."""
        population.eval()
        ints = population.integers()
        totals = []
        synapses = list(population._synapses())
        for k in range(len(self.mine)):
            xs = fitted(population, [self.sent[s][k] for s in sources])
            arms = [
                s.apply_weight(fold_time(x), w.float()) * 2.0**e
                for s, x, w, e in zip(synapses, xs, ints.weights, ints.exponents, strict=True)
            ]
            rows = torch.stack([arm.movedim(1, 0).flatten(1) for arm in arms]).sum(0)
            totals.append((rows.double().sum(1), rows.shape[1]))
        sent = (mean(self.share.whole(totals)) + ints.bias) / ints.scale
        bias = synapses[0].bias
        assert bias is not None
        bias.add_((target.rows(self.seen[name].mean) - sent).float())
