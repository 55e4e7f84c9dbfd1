"""Levels against timesteps, event data, and bits of a weight."""

from __future__ import annotations

from lava_mlsnn.reproduce.experiments.common import DIGITS, START, group
from lava_mlsnn.reproduce.judge import mean, not_below, ratio, within
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results
from lava_mlsnn.training.recipes import RECIPES

__all__ = ["bits", "events", "levels"]

EVENTS = RECIPES["events"]


def levels() -> Experiment:
    """N and T in turn."""
    pairs = [(1, 1), (2, 1), (4, 1), (8, 1), (15, 1), (1, 2), (2, 2), (4, 2), (1, 4), (4, 4)]
    groups = [
        group(f"n{n}-t{t}", f"N = {n}, T = {t}", DIGITS, seeds=3, **START, levels=n, timesteps=t)
        for n, t in pairs
    ]

    def judge(r: Results) -> list[Claim]:
        claims = [
            not_below(r, "n4-t1", "n1-t4", "T = 1, N = 4 is not below T = 4, N = 1 in accuracy")
        ]
        for name in ("mac", "small", "adds", "burst"):
            found = ratio(r, "n4-t1", "n1-t4", f"energy_nj.snn-{name}")
            claims.append(
                Claim(
                    f"its energy is at most 0.5 times (payload as {name})",
                    f"{mean(r['n4-t1'], f'energy_nj.snn-{name}'):,.0f} nJ against "
                    f"{mean(r['n1-t4'], f'energy_nj.snn-{name}'):,.0f} nJ: {found:.3f} times",
                    found <= 0.5,
                )
            )
        found = mean(r["n4-t1"], "energy_nj.snn-mac") / mean(r["n4-t1"], "energy_nj.zero-skip")
        claims.append(
            Claim(
                "the same network as an ANN that skips zeros costs more (no aim in the paper)",
                f"SNN {found:.3f} times the zero-skipping ANN of the same N",
                found < 1,
            )
        )
        return claims

    return Experiment(
        "levels",
        "Levels against timesteps",
        "Does one timestep of N levels replace N binary timesteps, and what does it cost?",
        tuple(groups),
        judge,
        ("accuracy", "energy"),
        keep=("n4-t1", "n1-t4"),
    )


def bits() -> Experiment:
    """3 to 8 bits a weight."""
    groups = (
        # as in levels
        group("bits8", "8-bit weights", DIGITS, seeds=3, **START, levels=4, timesteps=1),
        *(
            group(f"bits{b}", f"{b}-bit weights", DIGITS, seeds=3, **START, weight_bits=b)
            for b in (6, 4, 3)
        ),
    )

    def judge(r: Results) -> list[Claim]:
        return [
            within(r, f"bits{b}", "bits8", 0.5, f"{b} bits lose at most 0.5 points")
            for b in (6, 4, 3)
        ]

    return Experiment(
        "bits", "Weight bits, digits", "How few bits do the weights need?", groups, judge
    )


def events() -> Experiment:
    """Frames of events."""
    groups = [
        group(f"n{n}-t{t}", f"N = {n}, T = {t}", EVENTS, "digits-events", 2, **START,
               levels=n, timesteps=t)
        for n, t in ((4, 1), (8, 1), (15, 1), (1, 10))
    ]  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        return [
            within(r, f"n{n}-t1", "n1-t10", 1.0,
                   f"T = 1, N = {n} is within 1 point of T = 10, N = 1, with a tenth of the steps")
            for n in (4, 8, 15)
        ]  # fmt: skip

    return Experiment(
        "events",
        "Event data in one timestep, simulated saccades over digits",
        "Do 10 binary timesteps of event frames fit into one of N levels?",
        tuple(groups),
        judge,
        ("accuracy", "energy"),
        "Simulated events, no camera: docs/data.md says how. A recording is binned into T frames.",
        keep=("n4-t1", "n1-t10"),
    )
