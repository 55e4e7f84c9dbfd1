"""A price on events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lava_mlsnn.reproduce.experiments.common import DEEP, ENTERING, START, SYNAPTIC, group
from lava_mlsnn.reproduce.judge import fewer, within
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results

__all__ = ["penalty"]


def penalty() -> Experiment:
    """Prices that were chosen on images held out."""
    twenty: dict[str, Any] = {"arch": "sparse-resnet-20"}
    models = {
        "integrating": ("Sparse-ResNet", {**twenty, **START, "barrier": "integrating"}),
        "floor": (
            "Sparse-ResNet, V0 = 0",
            {**twenty, **START, "v0": "floor", "barrier": "integrating"},
        ),
        "sew": ("SEW-ADD", {**twenty, **START, "barrier": "sew"}),
    }
    groups = [
        group("sew-former", "SEW-ADD, former start, no price", DEEP, **twenty, barrier="sew"),
        *(group(n, f"{label}, no price", DEEP, **m) for n, (label, m) in models.items()),
    ]
    # tried on held-out training images: 6 sends half of the former SEW-ADD's events
    tried = (("sew", 6, 3), ("integrating", 6, 3), ("integrating", 10, 2), ("floor", 1, 2))
    for name, price, seeds in tried:
        label, model = models[name]
        priced = replace(DEEP, event_penalty=float(price))
        groups.append(
            group(f"{name}-{price}", f"{label}, price {price}", priced, seeds=seeds, **model)
        )

    def judge(r: Results) -> list[Claim]:
        claims = []
        for name, price, _ in tried:
            group, label = f"{name}-{price}", f"{models[name][0]}, price {price}"
            claims += [
                within(r, group, "sew-former", 0.5,
                       f"{label}: within 0.5 points of SEW-ADD with the former start"),
                fewer(r, group, "sew-former", ENTERING, 0.5,
                      f"{label}: half its events into synapses"),
                fewer(r, group, "sew-former", SYNAPTIC, 0.5,
                      f"{label}: half its synaptic operations"),
            ]  # fmt: skip
        return [
            *claims,
            within(r, "integrating-6", "sew-6", 0.2,
                   "Sparse-ResNet, price 6: within 0.2 points of SEW-ADD, price 6"),
            fewer(r, "integrating-6", "sew-6", ENTERING, 0.85,
                  "Sparse-ResNet, price 6: 15 % fewer events enter a synapse"),
        ]  # fmt: skip

    return Experiment(
        "penalty",
        "A price on events, digits",
        "Can training halve SEW-ADD's synaptic events at the same accuracy, and is it the block "
        "or the price that does it?",
        tuple(groups),
        judge,
        ("accuracy", "events"),
    )
