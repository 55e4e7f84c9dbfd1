"""Whether a network fits Loihi 2, why not, and how fast it could be there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.loihi2.fit.activity import EventRates, assumed_activity, operations
from lava_mlsnn.loihi2.fit.calibration import Observed, calibrate
from lava_mlsnn.loihi2.fit.cost import lower_bound
from lava_mlsnn.loihi2.fit.demand import Group, demand_of, fan_out
from lava_mlsnn.loihi2.fit.estimate import Estimate, estimate
from lava_mlsnn.loihi2.fit.layers import Finding, findings_of, needed_weight_bits
from lava_mlsnn.loihi2.fit.limits import Limits
from lava_mlsnn.loihi2.fit.mapping import Mapping, balanced, greedy, loads_of
from lava_mlsnn.loihi2.fit.remedies import ways_to_fit
from lava_mlsnn.loihi2.fit.traffic import Traffic, traffic_of
from lava_mlsnn.runner import Progress
from netx_export.spec import NetworkSpec, Population, need_spec
from netx_export.spec.ranges import LayerRange, signed_bits, worst_case
from netx_export.spec.timing import delays, latency

__all__ = ["GroupReport", "Placed", "Preflight", "preflight"]


@dataclass(frozen=True)
class GroupReport:
    """One row of the report: a layer, or the relays before it.

    Attributes
    ----------
    name : str
        Of the layer or relays.
    neurons, words : int
        Neurons, and 24-bit words of each.
    weight_bits, weight_exp : str
        Per synapse; empty for relays.
    worst_bits, observed_bits : int or None
        Signed width of sums and states, proved and seen; None where not known.
    message_bits, delay : int
        Of its payload; longest wait of a synapse.
    fan_in, fan_out : int
        Most connections into and out of a neuron.
    synapses : int
        Stored weights, those of a convolution once.
    cores : int
        That hold a part, in the balanced mapping; 0 without one.
    events, messages, operations : float
        Per timestep: sent, once per receiving core, and caused in its own synapses.
    """

    name: str
    neurons: int
    words: int
    weight_bits: str
    weight_exp: str
    worst_bits: int | None
    observed_bits: int | None
    message_bits: int
    delay: int
    fan_in: int
    fan_out: int
    synapses: int
    cores: int
    events: float
    messages: float
    operations: float


@dataclass(frozen=True)
class Placed:
    """A mapping with what follows from it."""

    mapping: Mapping
    traffic: Traffic
    estimate: Estimate
    cores_per_chip: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cores": self.mapping.cores,
            "chips": -(-self.mapping.cores // self.cores_per_chip),
            "busiest_ns": self.mapping.busiest,
            "imbalance": self.mapping.imbalance,
            **self.estimate.to_dict(),
        }


@dataclass(frozen=True)
class Preflight:
    """The report.

    Attributes
    ----------
    limits : Limits
        What it was held against.
    groups : tuple of Group
        What is placed.
    layers : list of GroupReport
        One per group.
    findings : list of Finding
        Empty if the network fits.
    bound, bound_by : int, str
        Cores that any mapping needs, and the resource that says so.
    placed : dict of str to Placed
        ``"greedy"``, ``"balanced"``, and where the system has more cores, ``"all cores"``;
        empty if a row of a layer fits no core.
    samples : int
        How many gave the activity; 0 if it is assumed.
    """

    limits: Limits
    groups: tuple[Group, ...]
    layers: list[GroupReport]
    findings: list[Finding]
    bound: int
    bound_by: str
    placed: dict[str, Placed]
    samples: int

    @property
    def fits(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.limits.to_dict(),
            "fits": self.fits,
            "findings": [asdict(f) for f in self.findings],
            "layers": [asdict(x) for x in self.layers],
            "core_bound": self.bound,
            "core_bound_by": self.bound_by,
            "mappings": {name: p.to_dict() for name, p in self.placed.items()},
            "activity_samples": self.samples,
        }


def preflight(
    spec: NetworkSpec,
    limits: Limits,
    payload: np.ndarray | None = None,
    cores: int | None = None,
    progress: Progress | None = None,
) -> Preflight:
    """Check a network against a system and place it.

    Parameters
    ----------
    spec : NetworkSpec
        Any network.
    limits : Limits
        From :func:`lava_mlsnn.loihi2.limits_for`.
    payload : ndarray of int, (N, *shape) or (N, *shape, T), optional
        Calibration samples: observed ranges and activity. Without them activity is
        assumed. Not used for neurons of lava-dl, which the runner does not compute.
    cores : int, optional
        How many the balanced mapping may use; 1.1 times the lower bound if not given.
    progress : callable, optional
        ``progress(done, total)`` over calibration samples.

    Returns
    -------
    Preflight
        Findings, mapping and estimate.

    Raises
    ------
    ConfigError
        If an argument is of another kind.
    DataError
        If the samples do not fit the network.
    """
    need_spec(spec)
    if not isinstance(limits, Limits):
        raise ConfigError(f"limits must come from limits_for(), got {type(limits).__name__}")
    whole = isinstance(cores, int | np.integer) and not isinstance(cores, bool)
    if cores is not None and not (whole and cores >= 1):
        raise ConfigError(f"cores must be a whole number of at least 1, got {cores!r}")
    stock = not all(p.neuron.exact for _, p in spec.populations)
    observed = None
    if payload is not None and len(payload) and not stock:
        observed = calibrate(spec, payload, progress)
    activity = observed.activity if observed else assumed_activity(spec)
    groups = demand_of(spec)
    work = operations(groups, spec, activity)
    ranges = worst_case(spec)
    findings = list(findings_of(spec, ranges, observed, limits))
    bound, by = lower_bound(groups, limits)
    placed = {}
    try:
        placed = _place(spec, groups, activity, work, limits, cores)
    except RangeError as error:
        message, _, remedy = error.message.rpartition("; ")
        findings.append(Finding(error.where, "core", message, remedy))
    else:
        used = placed["balanced"].mapping.cores
        if used > limits.cores:
            findings.append(
                Finding(
                    "",
                    "cores",
                    f"the network needs {used} cores (no mapping fewer than {bound}), "
                    f"{limits.system} has {limits.cores} in {limits.chips} "
                    f"chip{'s' if limits.chips > 1 else ''}, so {used - limits.cores} too few",
                    "; ".join(ways_to_fit(spec, groups, limits)),
                )
            )
    layers = _reports(spec, groups, ranges, observed, activity, work, placed.get("balanced"))
    return Preflight(limits, groups, layers, findings, bound, by, placed, activity.samples)


def _place(
    spec: NetworkSpec,
    groups: tuple[Group, ...],
    activity: EventRates,
    work: list[np.ndarray],
    limits: Limits,
    cores: int | None,
) -> dict[str, Placed]:
    loads = loads_of(groups, work, limits)
    mappings = {
        "greedy": greedy(groups, loads, limits),
        "balanced": balanced(groups, loads, limits, cores),
    }
    if mappings["balanced"].cores < limits.cores and cores is None:
        mappings["all cores"] = balanced(groups, loads, limits, limits.cores)
    placed = {}
    for name, mapping in mappings.items():
        traffic = traffic_of(mapping, groups, spec, activity)
        figures = estimate(mapping, traffic, work, limits, spec.timesteps, latency(spec))
        placed[name] = Placed(mapping, traffic, figures, limits["cores_per_chip"])
    return placed


def _reports(
    spec: NetworkSpec,
    groups: tuple[Group, ...],
    ranges: list[LayerRange],
    observed: Observed | None,
    activity: EventRates,
    work: list[np.ndarray],
    placed: Placed | None,
) -> list[GroupReport]:
    worst = {r.index: r.bits for r in ranges}
    waits = delays(spec)
    found = []
    for g, group in enumerate(groups):
        layer = spec.layers[group.layer]
        assert isinstance(layer, Population)
        sender = spec.layers[group.sends]
        own = layer.synapses if not group.relay else ()
        seen = None
        if observed is not None and not group.relay:
            seen = signed_bits(observed.accumulator[group.layer], observed.state[group.layer])
        found.append(
            GroupReport(
                name=group.name,
                neurons=group.neurons,
                words=group.words,
                weight_bits=" ".join(str(needed_weight_bits(s.weight)) for s in own),
                weight_exp=" ".join(str(s.weight_exp) for s in own),
                worst_bits=None if group.relay else worst[group.layer],
                observed_bits=seen,
                message_bits=sender.num_message_bits if isinstance(sender, Population) else 24,
                delay=max((waits[group.layer, k] for k in range(len(own))), default=0),
                fan_in=group.fan_in,
                fan_out=fan_out(groups, g),
                synapses=group.stored,
                cores=0 if placed is None else placed.mapping.cores_of(g),
                events=float(activity.of(group).sum()),
                messages=0.0 if placed is None else float(placed.traffic.sent[g]),
                operations=float(work[g].sum()),
            )
        )
    return found
