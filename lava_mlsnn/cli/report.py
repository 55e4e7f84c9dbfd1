"""``mlsnn report``: a page on one network."""

from __future__ import annotations

from pathlib import Path

from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import named_samples
from lava_mlsnn.parity import check_parity
from lava_mlsnn.report import collect, report_page
from lava_mlsnn.training.checkpoint import load_model
from netx_export import read
from netx_export.file.atomic import not_over, write_atomic

__all__ = ["run_report"]

COMPARED = 64  # samples of the parity check


def run_report(
    console: Console,
    file: Path,
    out: Path,
    model: Path | None,
    data: str | None,
    samples: int,
    lava_samples: int,
) -> None:
    """Run test samples, compare if there is something to compare with, write the page."""
    not_over(out, file)
    spec = read(file)
    trained = None if model is None else load_model(model)
    x, y, name = named_samples(console, spec, data, samples)
    with console.progress("running") as follow:
        run = collect(spec, x, y, follow)
    parity = None
    if trained is not None or lava_samples:
        with console.progress("comparing") as follow:
            parity = check_parity(
                spec,
                x[:COMPARED],
                model=trained,
                lava_samples=lava_samples,
                labels=y[:COMPARED],
                progress=lambda side, done, total: follow(done, total),
            )
    page = report_page(spec, run, title=file.name, data=name, file=file, parity=parity)
    write_atomic(out, page.encode())
    console.say(
        f"accuracy {100 * run.accuracy:.2f} % of {len(y)} samples; wrote {out}: "
        f"{out.stat().st_size / 1e6:.1f} MB"
    )
    console.result(
        {
            "file": file,
            "report": out,
            "bytes": out.stat().st_size,
            "accuracy": run.accuracy,
            "samples": len(y),
            "differences": None if parity is None else parity.count,
        }
    )
