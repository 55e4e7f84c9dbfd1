"""How fast a mapped network could be: an estimate, every constant an entry of the table.

All cores work on one timestep together, so it lasts as long as the busiest needs, and
no less than the shortest timestep of the chip:

    step      = max(step_ns, max over cores of load + messages in and out * message_ns)
    latency   = (depth + T) * step        from the first payload to the last score
    samples/s = 1 / (T * step)            samples follow each other without a gap

Not in it: how long messages travel, samples coming in from a host and results going out
(slower than the cores, as a rule), the length of a neuron program. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_mlsnn.loihi2.fit.limits import Limits
from lava_mlsnn.loihi2.fit.mapping import Mapping
from lava_mlsnn.loihi2.fit.traffic import Traffic

__all__ = ["Estimate", "estimate"]

STEPS_US = (1.0, 10.0, 100.0, 1000.0)  # for the table over time per step


@dataclass(frozen=True)
class Estimate:
    """Of one mapping.

    Attributes
    ----------
    step_ns : float
        Duration of a timestep.
    busiest : int
        The core that needs longest.
    timesteps, depth : int
        T, and the synapses on the longest path.
    messages : float
        Per timestep, once per receiving core.
    operations : float
        Synaptic operations per timestep.
    """

    step_ns: float
    busiest: int
    timesteps: int
    depth: int
    messages: float
    operations: float

    def samples_per_second(self, step_ns: float | None = None) -> float:
        """Throughput, also for another duration of a timestep."""
        return 1e9 / (self.timesteps * (step_ns or self.step_ns))

    @property
    def latency_ns(self) -> float:
        """From the first payload of a sample to its last score."""
        return (self.depth + self.timesteps) * self.step_ns

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "step_ns": self.step_ns,
            "busiest_core": self.busiest,
            "latency_timesteps": self.depth + self.timesteps,
            "latency_ns": self.latency_ns,
            "samples_per_second": self.samples_per_second(),
            "samples_per_second_at_step_us": {
                f"{us:g}": self.samples_per_second(1e3 * us) for us in STEPS_US
            },
            "messages_per_timestep": self.messages,
            "synaptic_operations_per_timestep": self.operations,
        }


def estimate(
    mapping: Mapping,
    traffic: Traffic,
    operations: list[np.ndarray],
    limits: Limits,
    timesteps: int,
    depth: int,
) -> Estimate:
    """Put together; arguments as the attributes of :class:`Estimate`."""
    work = mapping.loads + limits.number("message_ns") * (traffic.arriving + traffic.leaving)
    busiest = int(work.argmax())
    return Estimate(
        max(limits.number("step_ns"), float(work[busiest]), 1e-3),
        busiest,
        timesteps,
        depth,
        traffic.total,
        float(sum(x.sum() for x in operations)),
    )
