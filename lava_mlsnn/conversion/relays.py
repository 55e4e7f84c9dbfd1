"""Relays where a shortcut would wait longer than an axon can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lava_mlsnn.conversion.plan import (
    INPUT,
    Joined,
    Maxima,
    Neurons,
    Payload,
    Relay,
    Scores,
    Step,
)
from netx_export.spec.widths import DELAY_MAX

__all__ = ["relayed"]


def relayed(steps: Iterable[Step]) -> list[Step]:
    """The steps, with relays so that no payload waits more than ``DELAY_MAX`` timesteps.

    A relay sends one timestep later what it reads, and so takes one off the wait; relays in a
    row are shared by all that wait longer. Nobody's own time changes.
    """
    steps = list(steps)
    depth = _depths(steps)
    due = dict(depth)  # when a join is read at the latest: by those that read it
    joins = {step.name for step in steps if isinstance(step, Joined)}
    for step in reversed(steps):
        time = due[step.name] if isinstance(step, Joined) else depth[step.name]
        for source in set(step.sources) & joins:
            due[source] = max(due[source], time)
    out: list[Step] = []
    made: dict[str, list[Payload]] = {}

    def waiting(x: Payload, time: int) -> Payload:
        wait = time - 1 - depth[x.step]
        if x.step in joins or wait <= DELAY_MAX:
            return x
        row = made.setdefault(x.step, [])
        while len(row) < wait - DELAY_MAX:
            source = row[-1] if row else replace(x, flat=False)
            name = f"{x.step}_relay{len(row) + 1}"
            out.append(Relay(name, source))
            row.append(replace(source, step=name))
        return replace(x, step=row[wait - DELAY_MAX - 1].step)

    for step in steps:
        if isinstance(step, Joined):
            parts = tuple(waiting(part, due[step.name]) for part in step.parts)
            out.append(replace(step, parts=parts))
        elif isinstance(step, (Neurons, Scores)):
            arms = tuple(
                replace(arm, source=waiting(arm.source, depth[step.name])) for arm in step.sum.arms
            )
            out.append(replace(step, sum=replace(step.sum, arms=arms)))
        else:
            out.append(step)  # reads one payload: it does not wait
    return out


def _depths(steps: list[Step]) -> dict[str, int]:
    """Timesteps from the input to what a step sends."""
    depth = {INPUT: 0}
    for step in steps:
        own = 1
        if isinstance(step, Joined):
            own = 0
        elif isinstance(step, Maxima):
            own = 1 + sum((k - 1).bit_length() for k in step.window.kernel)
        depth[step.name] = own + max(depth[s] for s in step.sources)
    return depth
