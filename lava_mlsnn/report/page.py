"""The page: every finding as words, tables and pictures, filled into ``page.html``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lava_mlsnn import __version__
from lava_mlsnn.energy import energies
from lava_mlsnn.errors import MLSNNError
from lava_mlsnn.loihi2 import limits_for, preflight
from lava_mlsnn.parity import ParityReport
from lava_mlsnn.report import pictures
from lava_mlsnn.report.collect import Run, membranes
from lava_mlsnn.report.graph import graph_of
from lava_mlsnn.runner import encode
from netx_export import latency, stock_reasons, worst_case
from netx_export.spec import NetworkSpec

__all__ = ["report_page", "templates"]

HERE = Path(__file__).parent
WRONG, PER_CLASS, CALIBRATION = 12, 50, 64  # images, classes, samples for the chip
PERCENT = "\u00a0%"  # not on a line of its own
WORDS = {"snn": "this network", "ann": "dense ANN", "zero-skip": "ANN that skips zeros"}


@dataclass(frozen=True)
class Verdict:
    """A line at the top: whether it is good (None: not judged), and what was found."""

    good: bool | None
    text: str


def templates(*folders: Path) -> Environment:
    """Templates of these folders and of this one, which has the style; all text is escaped."""
    return Environment(
        loader=FileSystemLoader([*folders, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def report_page(
    spec: NetworkSpec,
    run: Run,
    *,
    title: str,
    data: str,
    file: Path | None = None,
    parity: ParityReport | None = None,
) -> str:
    """One self-contained HTML page on a network.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    run : Run
        What it does, of :func:`lava_mlsnn.report.collect`.
    title : str
        Heading.
    data : str
        Which samples these are.
    file : Path, optional
        Where the network lies.
    parity : ParityReport, optional
        Of :func:`lava_mlsnn.parity.check_parity`, where it was checked.

    Returns
    -------
    str
        HTML without anything that must be fetched.
    """
    names = spec.class_names or tuple(str(i) for i in range(spec.output.shape[0]))
    chip, energy = _chip(spec, run), _energy(spec, run)
    ranges = worst_case(spec)
    reasons = stock_reasons(spec)
    traces = membranes(spec, run.layers) if spec.timesteps > 1 else {}
    page = templates().get_template("page.html")
    return page.render(
        title=title,
        data=data,
        timesteps=spec.timesteps,
        latency=latency(spec),
        verdicts=[
            _accuracy(run),
            _parity(parity),
            _ranges(spec, ranges),
            *(found[0] for found in (chip, energy)),
            Verdict(
                None,
                "stock lava-dl loads this file"
                if not reasons
                else f"stock lava-dl cannot load this file: {reasons[0]}",
            ),
        ],
        confusion=_inline(pictures.confusion(_confusion(run, len(names)), names)),
        per_class=_per_class(run, names),
        classes=len(names),
        wrong=_wrong(run, names),
        sample=_inline(pictures.picture(run.x[run.shown])),
        sample_words=f"{names[run.y[run.shown]]}, taken for {names[run.classes[run.shown]]}",
        maps=_maps(spec, run),
        levels=_inline(pictures.level_shares(run.levels)) if run.levels else "",
        saturation=[
            [name, x.highest, f"{100 * x.saturation:.2f}{PERCENT}", f"{x.dead} of {x.channels}"]
            for name, x in run.levels.items()
        ],
        membranes=_inline(pictures.membrane_traces(traces)) if traces else "",
        activity=_inline(pictures.activity(run.activity)) if run.activity.hidden else "",
        counts=[
            [words, f"{c.events:,.0f}", f"{c.payload:,.0f}"]
            for words, c in (
                ("into synapses", run.activity.into_synapses),
                ("block outputs", run.activity.block_outputs),
                ("all spikes and sums", run.activity.all),
                ("synaptic operations", run.activity.operations),
            )
        ],
        energy=energy[1],
        chip=chip[1],
        chip_rows=[]
        if chip[1] is None
        else [[x.name, x.neurons, f"{x.synapses:,}", x.cores or ""] for x in chip[1].layers],
        ranges=[[r.name, r.bits, "yes" if r.fits else r.problem] for r in ranges],
        parity=parity,
        graph=graph_of(spec),
        provenance=_provenance(spec, file),
        made=f"lava-mlsnn {__version__}, {date.today().isoformat()}",
    )


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 %."""
    z, p = 1.96, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))  # but for rounding


def _accuracy(run: Run) -> Verdict:
    right = int((run.classes == run.y).sum())
    low, high = interval(right, len(run.y))
    return Verdict(
        None,
        f"accuracy {100 * run.accuracy:.2f} %: {right} of {len(run.y)} samples "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)",
    )


def _parity(report: ParityReport | None) -> Verdict:
    if report is None:
        return Verdict(
            None, "parity was not checked here: mlsnn check, or mlsnn report with --model"
        )
    if report.first is not None:
        return Verdict(
            False, f"{report.count} of {report.compared} integers differ: {report.first}"
        )
    return Verdict(
        True, f"the same integers everywhere: {report.compared:,} compared ({report.sides})"
    )


def _ranges(spec: NetworkSpec, ranges: list[Any]) -> Verdict:
    bad = [r for r in ranges if not r.fits]
    widest = max(ranges, key=lambda r: r.bits)
    if bad:
        return Verdict(False, f"{spec.label(bad[0].index)} may leave 24 bits: {bad[0].problem}")
    return Verdict(
        True, f"no input can overflow: at most {widest.bits} of 24 bits, in {widest.name}"
    )


def _guarded(what: str, make: Callable[[], tuple[Verdict, Any]]) -> tuple[Verdict, Any]:
    """What was made; a sentence where the network is not of a kind for it."""
    try:
        return make()
    except MLSNNError as error:
        return Verdict(None, f"{what}: {error}"), None


def _chip(spec: NetworkSpec, run: Run) -> tuple[Verdict, Any]:
    def make() -> tuple[Verdict, Any]:
        limits = limits_for()
        report = preflight(spec, limits, encode(spec, run.x[:CALIBRATION]))
        if not report.fits:
            return Verdict(False, f"does not fit Loihi 2: {report.findings[0]}"), report
        cores = report.placed["balanced"].mapping.cores
        return Verdict(
            True,
            f"fits Loihi 2 ({limits.system}) by public numbers: {cores} of {limits.cores} cores; "
            "not run on silicon",
        ), report

    return _guarded("Loihi 2", make)


def _energy(spec: NetworkSpec, run: Run) -> tuple[Verdict, Any]:
    def make() -> tuple[Verdict, Any]:
        found = energies(spec, run.activity)
        snn, ann = found["snn"].nanojoule, found["ann"].nanojoule
        rows = [
            [WORDS.get(n, n), *(f"{e.part(p) / 1000:,.1f}" for p in ("memory", "operations")),
             f"{e.nanojoule:,.1f}"]
            for n, e in found.items()
        ]  # fmt: skip
        return Verdict(
            None,
            f"{snn:,.0f} nJ a sample by an analytical model, {100 * snn / ann:.0f} % of the "
            "network as a dense ANN",
        ), rows

    return _guarded("energy", make)


def _confusion(run: Run, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (run.y, run.classes), 1)
    return counts


def _per_class(run: Run, names: tuple[str, ...]) -> list[list[Any]]:
    """Name, samples, recall, precision, most frequent mistake; the worst classes first."""
    counts = _confusion(run, len(names))
    rows = []
    for k, name in enumerate(names):
        there, said, right = counts[k].sum(), counts[:, k].sum(), counts[k, k]
        others = counts[k].copy()
        others[k] = 0
        worst = f"{names[others.argmax()]} ({others.max()})" if others.any() else ""
        recall = right / there if there else np.nan
        precision = right / said if said else np.nan
        rows.append([name, int(there), recall, precision, worst])
    rows.sort(key=lambda row: (np.nan_to_num(row[2], nan=2.0), row[0]))
    shown = lambda share: "" if np.isnan(share) else f"{100 * share:.1f}{PERCENT}"  # noqa: E731
    return [[n, there, shown(r), shown(p), w] for n, there, r, p, w in rows[:PER_CLASS]]


def _wrong(run: Run, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The samples whose wrong class leads most over the right one."""
    places = np.flatnonzero(run.classes != run.y)
    best = run.scores[places, run.classes[places]]
    margin = best - run.scores[places, run.y[places]]
    return [
        {
            "image": _inline(pictures.picture(run.x[places[i]])),
            "true": names[run.y[places[i]]],
            "said": names[run.classes[places[i]]],
            "margin": int(margin[i]),
        }
        for i in np.argsort(-margin, kind="stable")[:WRONG]
    ]


def _maps(spec: NetworkSpec, run: Run) -> list[dict[str, Any]]:
    found = []
    for _, layer in spec.populations[:-1]:
        z = run.layers[layer.name]
        seen = int(np.abs(z.astype(np.int64)).max(initial=0))
        highest = layer.payload[1] if layer.neuron.fires else max(1, seen)
        channels = z.shape[0] if z.ndim == 4 else 0
        some = min(channels, pictures.MAPS)
        what = f"{some} of {channels} channels, " if channels > some else ""
        scale = f"payload 0..{highest}" if layer.neuron.fires else "magnitude of sums"
        text = f"{what}{scale}, largest here {seen}"
        found.append(
            {"name": layer.name, "words": text,
             "image": _inline(pictures.feature_maps(z, highest))}
        )  # fmt: skip
    return found


def _provenance(spec: NetworkSpec, file: Path | None) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if file is not None:
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        rows += [("file", f"{file.name}, {len(content):,} bytes"), ("sha256", digest)]
    for key, value in spec.provenance.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} = {v}" for k, v in value.items())
        rows.append((str(key), str(value)))
    return rows
