"""Sparse-ResNet against other blocks, over timesteps and depth; readings of the barrier."""

from __future__ import annotations

from typing import Any

from lava_mlsnn.reproduce.experiments.common import (
    BARRIERS,
    DEEP,
    IN_TIME,
    LOUD,
    SEEDS,
    START,
    against_sew,
    group,
)
from lava_mlsnn.reproduce.judge import not_below
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results

__all__ = ["barriers", "blocks", "blocks_in_time", "depth"]

STARTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("", "V0 = 0", {}),
    ("-round", "V0 = vth / 2", {"v0": "round"}),
)


def blocks() -> Experiment:
    """Five blocks at 20 layers."""
    groups = [
        group(name, label, DEEP, seeds=SEEDS if name in ("integrating", "sew") else 3,
               arch="sparse-resnet-20", barrier=name, **(LOUD if name == "none" else START))
        for name, label in BARRIERS.items()
    ]  # fmt: skip
    return Experiment(
        "blocks",
        "Sparse-ResNet against other blocks, digits",
        "Does the barrier save events at the same accuracy? (ResNet-20, width 16, N = 4, T = 1)",
        tuple(groups),
        against_sew,
        ("accuracy", "events", "density"),
        keep=tuple(BARRIERS),
    )


def blocks_in_time() -> Experiment:
    """Binary spikes in four timesteps."""
    groups = [
        group(
            f"{name}{suffix}", f"{BARRIERS[name]}, {start}", IN_TIME, seeds=2,
            arch="sparse-resnet-20", barrier=name, levels=1, timesteps=4, **v0,
        )
        for suffix, start, v0 in STARTS
        for name in ("integrating", "sew")
    ]  # fmt: skip

    for name, label, seeds, v0, surrogate in (
        ("sigmoid", "V0 = 0, sum-of-sigmoids surrogate", 2, "floor", "sigmoid"),
        ("round-sigmoid", "V0 = vth / 2, sum-of-sigmoids surrogate", 2, "round", "sigmoid"),
        ("round-shifted", "V0 = vth / 2, shifted window", 1, "round", "ste_shifted"),
    ):
        groups.append(
            group(
                f"integrating-{name}", f"{BARRIERS['integrating']}, {label}", IN_TIME, seeds=seeds,
                arch="sparse-resnet-20", barrier="integrating", levels=1, timesteps=4,
                v0=v0, surrogate=surrogate,
            )
        )  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        rounded = {name: r[f"{name}-round"] for name in ("integrating", "sew")}
        smooth = {"integrating": r["integrating-round-sigmoid"], "sew": r["sew-round"]}
        return [
            *against_sew(r, where=", V0 = 0"),
            *against_sew(rounded, where=", V0 = vth / 2"),
            *against_sew(smooth, where=", V0 = vth / 2, sum-of-sigmoids surrogate"),
        ]

    return Experiment(
        "blocks-t4",
        "Sparse-ResNet against SEW-ADD at T = 4, N = 1, digits",
        "Does it hold for binary spikes in four timesteps? (ResNet-20, width 16, 30 epochs)",
        tuple(groups),
        judge,
        ("accuracy", "events", "density"),
    )


def depth() -> Experiment:
    """8, 18 and 34 layers."""
    archs = {"sparse-resnet-8": 8, "sparse-resnet-18": 18, "sparse-resnet-34": 34}
    groups = [
        group(
            f"{name}-{depth}", f"{depth} layers, {BARRIERS[name]}", DEEP,
            seeds=3, **START, arch=arch, width=8, barrier=name,
        )
        for arch, depth in archs.items()
        for name in ("integrating", "sew")
    ]  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        claims = []
        for depth in archs.values():
            part = {name: r[f"{name}-{depth}"] for name in ("integrating", "sew")}
            claims += against_sew(part, where=f", {depth} layers")[:3]
        return claims

    return Experiment(
        "depth",
        "The avalanche and depth, digits",
        "Does the saving grow with depth, and does it still train? (width 8, N = 4, T = 1)",
        tuple(groups),
        judge,
        ("accuracy", "events"),
    )


def barriers() -> Experiment:
    """Thresholds, V0 and the shortcut of the barrier."""
    ours: dict[str, Any] = {"arch": "sparse-resnet-20", **START, "barrier": "integrating"}
    again: dict[str, Any] = {**ours, "barrier": "respiking"}
    groups = (
        group("integrating", "integrating, plain shortcut, V0 by the rule", DEEP, seeds=3, **ours),
        group("shortcut-neuron", "integrating, neuron on the shortcut", DEEP, seeds=2, **ours,
               shortcut_neuron=True),
        group("floor", "integrating, V0 = 0", DEEP, seeds=3, **{**ours, "v0": "floor"}),
        group("round", "integrating, V0 = vth / 2", DEEP, seeds=2, **{**ours, "v0": "round"}),
        group("respiking-1", "re-spiking, threshold 1", DEEP, seeds=3, **again),
        group("respiking-2", "re-spiking, threshold 2", DEEP, seeds=2, **again,
               barrier_threshold=2.0),
        group("respiking-trained", "re-spiking, trained thresholds", DEEP, seeds=2, **again,
               train_threshold=True),
    )  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        return [
            not_below(r, "integrating", name, f"the default is not below: {label}")
            for name, label in ((g.name, g.label) for g in groups[1:])
        ]

    return Experiment(
        "barriers",
        "Barrier threshold, the shortcut's neuron, V0 and trained thresholds, digits",
        "Which reading of the paper is the better default?",
        groups,
        judge,
        ("accuracy", "events"),
    )
