"""CIFAR-10: blocks, levels and timesteps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lava_mlsnn.reproduce.experiments.common import (
    BARRIERS,
    ENTERING,
    LOUD,
    SYNAPTIC,
    against_sew,
    group,
)
from lava_mlsnn.reproduce.judge import fewer, not_below, within
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results
from lava_mlsnn.training.config import TrainConfig
from lava_mlsnn.training.recipes import RECIPES

__all__ = ["cifar_blocks", "cifar_levels"]

CIFAR = TrainConfig(epochs=8, batch_size=128, lr=5e-3, shift=4, flip=True)
FAST = replace(RECIPES["cifar10-fast"], epochs=3, batch_size=128, lr=0.2, amp=True)


def cifar_blocks() -> Experiment:
    """20 layers, with and without a price on events."""
    # after few epochs on 10,000 images V0 = vth / 2 was 7 points ahead of V0 = 0
    model: dict[str, Any] = {"arch": "sparse-resnet-20", "width": 16, "v0": "round"}
    groups = [
        group(name, BARRIERS[name], CIFAR, "cifar10", 1, **model, barrier=name)
        for name in ("integrating", "sew")
    ]
    groups.append(
        group("integrating-priced", "integrating barrier, price 1",
               replace(CIFAR, event_penalty=1.0), "cifar10", 1, **model, barrier="integrating")
    )  # fmt: skip

    def judge(r: Results) -> list[Claim]:
        priced = "integrating-priced"
        return [
            *against_sew(r),
            within(r, priced, "sew", 0.5, "with a price: accuracy within 0.5 points of SEW-ADD"),
            fewer(r, priced, "sew", SYNAPTIC, 0.5, "with a price: half of its synaptic events"),
        ]

    return Experiment(
        "cifar10-blocks",
        "Sparse-ResNet against SEW-ADD, CIFAR-10",
        "Does it hold on CIFAR-10? (ResNet-20, width 16, N = 4, T = 1, V0 = vth / 2, "
        f"{CIFAR.epochs} epochs of 50,000 images, one seed, far from converged)",
        tuple(groups),
        judge,
        ("accuracy", "events", "density"),
        "CIFAR-10 from re-encoded JPEG files: compare with runs on the same files only.",
        keep=("integrating", "sew", "integrating-priced"),
    )


def cifar_levels() -> Experiment:
    """The fast network: N, T and block."""
    model = {"arch": "sparse-resnet-fast", **LOUD, "levels": 4, "timesteps": 1}
    groups = tuple(
        group(name, label, FAST, "cifar10", seeds, **{**model, **options})
        for name, label, seeds, options in (
            ("integrating", "N = 4, T = 1, integrating barrier", 3, {"barrier": "integrating"}),
            ("sew", "N = 4, T = 1, SEW-ADD", 3, {"barrier": "sew"}),
            ("floor", "N = 4, T = 1, V0 = 0", 3, {"barrier": "integrating", "v0": "floor"}),
            ("n1-t4", "N = 1, T = 4, strides for pools", 1, {"levels": 1, "timesteps": 4}),
            ("n2-t1", "N = 2, T = 1", 3, {"levels": 2}),
            ("n8-t1", "N = 8, T = 1", 3, {"levels": 8}),
            ("n15-t1", "N = 15, T = 1", 1, {"levels": 15}),
            ("twenty", "20 layers, N = 4, T = 1", 3, {"arch": "sparse-resnet-20"}),
            (
                "twenty-t4",
                "20 layers, N = 1, T = 4",
                3,
                {"arch": "sparse-resnet-20", "levels": 1, "timesteps": 4},
            ),
        )
    )

    def judge(r: Results) -> list[Claim]:
        return [
            within(r, "integrating", "sew", 0.2, "accuracy within 0.2 points of SEW-ADD"),
            *against_sew(r)[1:],
            within(r, "floor", "sew", 0.2, "V0 = 0: accuracy within 0.2 points of SEW-ADD"),
            fewer(r, "floor", "sew", ENTERING, 0.8, "V0 = 0: 20 % fewer events enter a synapse"),
            not_below(
                r,
                "integrating",
                "n1-t4",
                "T = 1, N = 4 is not below T = 4, N = 1, which strides where it pools",
            ),
            not_below(r, "twenty", "twenty-t4", "the same, one network of 20 layers"),
            fewer(r, "twenty", "twenty-t4", "energy_nj.snn-mac", 0.5, "and at most 0.5 its energy"),
        ]

    return Experiment(
        "cifar10-levels",
        "Levels, timesteps and blocks, CIFAR-10",
        "What do N, T and the block do on CIFAR-10, all else equal? (sparse-resnet-fast, "
        f"recipe cifar10-fast, {FAST.epochs} epochs of 50,000 images, far from converged)",
        groups,
        judge,
        ("accuracy", "events", "energy"),
        "CIFAR-10 from re-encoded JPEG files: compare with runs on the same files only.",
    )
