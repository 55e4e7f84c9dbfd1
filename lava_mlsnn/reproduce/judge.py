"""Means, deviations, and the claims that are checked."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lava_mlsnn.reproduce.trial import Claim, Results

__all__ = ["fewer", "mean", "not_below", "ratio", "spread", "text", "value", "within"]

POINTS = 100.0
ROUNDING = 1e-9  # points: means of equal counts of right answers differ in their last bits


def value(record: Mapping[str, Any], path: str) -> float:
    """A number of a record by its path, such as ``"activity.all.events"``."""
    found: Any = record
    for part in path.split("."):
        found = found[part]
    return float(found)


def mean(records: Sequence[Mapping[str, Any]], path: str) -> float:
    """Over seeds."""
    return statistics.fmean(value(r, path) for r in records)


def spread(records: Sequence[Mapping[str, Any]], path: str) -> float:
    """Standard deviation over seeds (of the sample); 0 for one."""
    return statistics.stdev(value(r, path) for r in records) if len(records) > 1 else 0.0


def text(records: Sequence[Mapping[str, Any]], path: str = "accuracy.integer") -> str:
    """``"99.11 +- 0.20 % (5 seeds)"``."""
    deviation = f" +- {POINTS * spread(records, path):.2f}" if len(records) > 1 else ""
    seeds = f"{len(records)} seed{'s' if len(records) > 1 else ''}"
    return f"{POINTS * mean(records, path):.2f}{deviation} % ({seeds})"


def ratio(results: Results, ours: str, theirs: str, path: str) -> float:
    """Mean of one group over mean of another."""
    return mean(results[ours], path) / mean(results[theirs], path)


def not_below(results: Results, ours: str, theirs: str, claim: str) -> Claim:
    """Accuracy of one group at least that of another."""
    a, b = results[ours], results[theirs]
    difference = POINTS * (mean(a, "accuracy.integer") - mean(b, "accuracy.integer"))
    measured = f"{text(a)} against {text(b)}: {difference:+.2f} points"
    return Claim(claim, measured, difference >= -ROUNDING)


def within(results: Results, ours: str, theirs: str, points: float, claim: str) -> Claim:
    """Accuracy of one group at most ``points`` below another's."""
    a, b = results[ours], results[theirs]
    difference = POINTS * (mean(a, "accuracy.integer") - mean(b, "accuracy.integer"))
    measured = f"{text(a)} against {text(b)}: {difference:+.2f} points"
    return Claim(claim, measured, difference >= -points - ROUNDING)


def fewer(results: Results, ours: str, theirs: str, path: str, share: float, claim: str) -> Claim:
    """A mean of one group at most ``share`` of another's."""
    found = ratio(results, ours, theirs, path)
    a, b = mean(results[ours], path), mean(results[theirs], path)
    return Claim(claim, f"{a:,.0f} against {b:,.0f}: {found:.3f} times", found <= share)
