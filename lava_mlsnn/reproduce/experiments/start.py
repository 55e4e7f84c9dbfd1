"""How training starts, and what that does to depth, timesteps and activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lava_mlsnn.reproduce.experiments.common import (
    BARRIERS,
    DEEP,
    ENTERING,
    IN_TIME,
    START,
    against_sew,
    group,
)
from lava_mlsnn.reproduce.judge import fewer, mean, not_below, text, within
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results
from lava_mlsnn.training.recipes import RECIPES

__all__ = ["avalanche", "start"]


def start() -> Experiment:
    """Today's start against the former one."""
    twenty: dict[str, Any] = {"arch": "sparse-resnet-20"}
    deep: dict[str, Any] = {"arch": "sparse-resnet-34", "width": 8}
    binary: dict[str, Any] = {**twenty, "levels": 1, "timesteps": 4}
    ours = BARRIERS["integrating"]
    groups = (
        group("integrating", f"20 layers, {ours}", DEEP, **twenty, **START,
               barrier="integrating"),
        group("sew", "20 layers, SEW-ADD", DEEP, **twenty, **START, barrier="sew"),
        group("floor", f"20 layers, {ours}, V0 = 0", DEEP, **twenty, **{**START, "v0": "floor"},
               barrier="integrating"),
        group("integrating-former", f"20 layers, {ours}, former start", DEEP, **twenty,
               barrier="integrating"),
        group("sew-former", "20 layers, SEW-ADD, former start", DEEP, **twenty, barrier="sew"),
        group("deep", f"34 layers, {ours}", DEEP, seeds=3, **deep, **START,
               barrier="integrating"),
        group("deep-sew", "34 layers, SEW-ADD", DEEP, seeds=3, **deep, **START, barrier="sew"),
        group("deep-plain", f"34 layers, {ours}, images not shifted", RECIPES["plain"], seeds=3,
               **deep, **START, barrier="integrating"),
        group("deep-plain-sew", "34 layers, SEW-ADD, images not shifted", RECIPES["plain"],
               seeds=3, **deep, **START, barrier="sew"),
        group("deep-former", f"34 layers, {ours}, former start", DEEP, seeds=2, **deep,
               barrier="integrating"),
        group("deep-sew-former", "34 layers, SEW-ADD, former start", DEEP, seeds=2, **deep,
               barrier="sew"),
        group("t4", f"T = 4, N = 1, {ours}", IN_TIME, seeds=3, **binary, **START,
               barrier="integrating"),
        group("t4-sew", "T = 4, N = 1, SEW-ADD", IN_TIME, seeds=2, **binary, **START,
               barrier="sew"),
        group("t4-former", f"T = 4, N = 1, {ours}, former start", IN_TIME, seeds=2, **binary,
               barrier="integrating"),
        group("t4-sew-former", "T = 4, N = 1, SEW-ADD, former start", IN_TIME, seeds=2, **binary,
               barrier="sew"),
    )  # fmt: skip

    def reaches(r: Results, name: str, percent: float, what: str) -> Claim:
        found = mean(r[name], "accuracy.integer")
        return Claim(f"{what} reach {percent:g} %", text(r[name]), 100 * found >= percent)

    def judge(r: Results) -> list[Claim]:
        return [
            within(r, "integrating", "sew", 0.2, "accuracy within 0.2 points of SEW-ADD"),
            fewer(r, "integrating", "sew", ENTERING, 0.85, "15 % fewer events enter a synapse"),
            fewer(r, "integrating", "sew-former", ENTERING, 0.75,
                  "25 % fewer than in SEW-ADD with the former start"),
            within(r, "floor", "sew", 0.2, "V0 = 0: accuracy within 0.2 points of SEW-ADD"),
            fewer(r, "floor", "sew", ENTERING, 0.85, "V0 = 0: 15 % fewer events enter a synapse"),
            fewer(r, "floor", "sew-former", ENTERING, 0.75,
                  "V0 = 0: 25 % fewer than in SEW-ADD with the former start"),
            reaches(r, "deep", 97, "34 layers"),
            reaches(r, "deep-plain", 97, "34 layers, images not shifted (the default recipe),"),
            not_below(r, "deep", "deep-sew", "34 layers are not below SEW-ADD"),
            not_below(r, "deep-plain", "deep-plain-sew",
                      "34 layers are not below SEW-ADD, images not shifted"),
            reaches(r, "t4", 96, "20 layers at T = 4, N = 1"),
            not_below(r, "integrating", "t4",
                      "T = 1, N = 4 (60 epochs) is not below T = 4, N = 1 (30 epochs), 20 layers"),
            fewer(r, "integrating", "t4", "energy_nj.snn-mac", 0.5, "and at most 0.5 its energy"),
            not_below(r, "sew", "t4-sew",
                      "T = 1, N = 4 is not below T = 4, N = 1 in SEW-ADD, 20 layers"),
            fewer(r, "sew", "t4-sew", "energy_nj.snn-mac", 0.5, "and at most 0.5 its energy"),
        ]  # fmt: skip

    return Experiment(
        "start",
        "How training starts, digits",
        "Do deep networks and binary spikes train by default, and what is left of the block's "
        "saving if SEW-ADD starts alike? (N = 4, T = 1, width 16, 34 layers width 8)",
        groups,
        judge,
        ("accuracy", "events"),
        keep=("integrating", "sew", "deep"),
    )


def _growth(records: Sequence[Mapping[str, Any]]) -> float:
    """By how much the density of block outputs rises from a stage's first block to its last."""
    rises = []
    for record in records:
        stages: dict[int, list[float]] = {}
        for block in record["activity"]["blocks"]:
            stages.setdefault(block["stage"], []).append(block["density"])
        rises += [found[-1] - found[0] for found in stages.values()]
    return fmean(rises)


def avalanche() -> Experiment:
    """Density along a stage."""
    twenty: dict[str, Any] = {"arch": "sparse-resnet-20"}
    groups = tuple(
        group(f"{name}{suffix}", f"{BARRIERS[name]}{words}", DEEP, **twenty, **start,
               barrier=name)
        for suffix, words, start in (("", "", START), ("-former", ", former start", {}))
        for name in ("integrating", "sew")
    )  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        claims = []
        for suffix, where in (("", ""), ("-former", ", former start")):
            ours, theirs = (_growth(r[f"{name}{suffix}"]) for name in ("integrating", "sew"))
            claims.append(
                Claim(
                    f"the barrier at least halves the rise of density along a stage{where}",
                    f"{ours:.3f} against {theirs:.3f}",
                    ours <= theirs / 2,
                )
            )
        return [*claims, *against_sew(r)]

    return Experiment(
        "avalanche",
        "The avalanche and the start of training, digits",
        "Is it the block or the start of training that keeps block outputs sparse? "
        "(ResNet-20, width 16, N = 4, T = 1)",
        groups,
        judge,
        ("density", "events"),
        keep=("integrating-former", "sew-former"),
    )
