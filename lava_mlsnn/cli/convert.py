"""``mlsnn convert``: a float network that a file of the user makes, as a network file."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lava_mlsnn import __version__
from lava_mlsnn.checks import meant
from lava_mlsnn.cli.console import Console
from lava_mlsnn.data import draw_samples, load_dataset
from lava_mlsnn.data.image import Fit
from lava_mlsnn.errors import ConfigError, FormatError, said
from lava_mlsnn.launcher import launched
from netx_export import latency
from netx_export.file.atomic import not_over

if TYPE_CHECKING:
    import torch

__all__ = ["Job", "load_module", "load_weights", "run_convert"]

SHOWN = 10  # layers of the table; all are in --json


@dataclass(frozen=True)
class Job:
    """What a conversion is asked for."""

    source: str
    weights: Path | None
    data: str
    data_root: Path | None
    download: bool
    fit: Fit | None
    out: Path
    levels: int
    timesteps: int
    threshold: str
    percentile: float
    calibration: int
    samples: int
    plot: Path | None


def load_module(source: str) -> torch.nn.Module:
    """The network that ``file.py:factory`` makes; runs the file, which is the user's own.

    Parameters
    ----------
    source : str
        Path of a Python file, a colon, and the name of a function or class in it that takes
        no arguments, or of a module.

    Raises
    ------
    ConfigError
        If there is no such file or name, or the file raises.
    """
    import torch

    file, _, name = source.rpartition(":")
    if not file or not name.isidentifier():
        raise ConfigError(
            f"name the network as FILE.py:FACTORY, a file and a function or class in it, got "
            f"{source!r}"
        )
    if not os.path.isfile(file):
        raise ConfigError("there is no such Python file", file)
    spec = importlib.util.spec_from_file_location("mlsnn_converted_module", file)
    if spec is None or spec.loader is None:
        raise ConfigError("is no Python file: its name must end with .py", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it
    folder = os.path.dirname(os.path.abspath(file))
    sys.path.insert(0, folder)  # its own imports
    try:
        _guarded(file, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
        if not hasattr(module, name):
            found = [n for n, x in vars(module).items() if _makes_modules(x)]
            raise ConfigError(f"has no {name!r}{meant(name, found)}", file)
        made = getattr(module, name)
        if callable(made) and not isinstance(made, torch.nn.Module):
            made = _guarded(file, made)
    finally:
        sys.path.remove(folder)
    if not isinstance(made, torch.nn.Module):
        raise ConfigError(
            f"{name} must be or make a torch.nn.Module without arguments, got "
            f"{type(made).__name__}",
            file,
        )
    return made.eval()


def _makes_modules(x: Any) -> bool:
    """Whether it may be meant as a network, or as what makes one."""
    import torch

    return callable(x) and (not isinstance(x, type) or issubclass(x, torch.nn.Module))


def _guarded(file: str, run: Callable[[], Any]) -> Any:
    """What the user's code gives; ConfigError with its line for whatever it raises."""
    try:
        return run()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if os.path.abspath(f.filename) == os.path.abspath(file)]
        line = f":{lines[-1]}" if lines else ""
        raise ConfigError(
            f"raised {type(error).__name__}: {said(error)}; mend it, it must run by itself",
            file + line,
        ) from None


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Put the ``state_dict`` of a file into a module; nothing but numbers is loaded.

    Raises
    ------
    FormatError
        If the file holds no weights of this module.
    """
    import torch

    if not os.path.isfile(path):
        raise FormatError(
            "there is no file of weights; torch.save(model.state_dict(), ...)", str(path)
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise FormatError(
            f"is no file of weights alone ({said(error)}); write one with "
            "torch.save(model.state_dict(), ...)",
            str(path),
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise FormatError("holds no state_dict", str(path))
    try:
        module.load_state_dict(content)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FormatError(
            f"holds weights of another network: {said(error, 300)}", str(path)
        ) from None


def run_convert(console: Console, job: Job) -> None:
    """Convert, as one of the processes of torchrun if it was started so; the first one tells."""
    from lava_mlsnn.training.processes import process_group

    if launched()[0]:
        console.mute()
    with process_group("cpu"):
        _run(console, job)


def _run(console: Console, job: Job) -> None:
    """Convert, compare, write."""
    import torch

    from lava_mlsnn.conversion import convert, layer_errors, save_errors
    from lava_mlsnn.export import export_model
    from lava_mlsnn.training.processes import Processes

    processes = Processes()
    module = load_module(job.source)
    if job.weights is not None:
        load_weights(module, job.weights)
        not_over(job.out, job.weights)
    else:
        console.say("no --weights: the network is converted as the factory makes it")
    with processes.first(job.download), console.progress("reading images") as follow:
        dataset = load_dataset(
            job.data,
            follow,
            timesteps=1,
            root=job.data_root,
            download=job.download,
            fit=job.fit,
        )
    if dataset.frames:
        raise ConfigError(
            f"a float network takes images, and {job.data} is of events; convert it in Python"
        )
    chosen = draw_samples(dataset.y_train, job.calibration)
    calibration = torch.from_numpy(dataset.x_train[chosen])
    start = time.perf_counter()
    network = convert(
        module,
        calibration,
        levels=job.levels,
        timesteps=job.timesteps,
        threshold=job.threshold,
        percentile=job.percentile,
        together=True,
    )
    if processes.rank:
        return
    network.class_names = dataset.classes
    seconds = time.perf_counter() - start
    provenance = {"lava_mlsnn": __version__, "dataset": dataset.name, "converted": job.source}
    spec = export_model(network, job.out, provenance=provenance)
    test = draw_samples(dataset.y_test, job.samples)
    x, y = torch.from_numpy(dataset.x_test[test]), torch.from_numpy(dataset.y_test[test])
    report = layer_errors(module, network, x)
    before, after = (_accuracy(net, x, y) for net in (module, network))
    lines = str(report).split("\n")
    cut = [*lines[: SHOWN + 1], *lines[-1:]] if len(lines) > SHOWN + 2 else lines
    console.say(
        f"converted {job.source} with {len(chosen)} training samples of {dataset.name} in "
        f"{seconds:.1f} s",
        "layers by what they lose, the one to mend first in front:",
        *cut,
        f"test accuracy {100 * before:.2f} % in floats, {100 * after:.2f} % in integers "
        f"({len(y)} samples)",
        f"wrote {job.out}: {len(spec.populations)} layers of neurons, T = {spec.timesteps}, "
        f"latency {latency(spec)} timesteps, {job.out.stat().st_size} bytes",
    )
    if job.plot is not None:
        save_errors(report, job.plot)
        console.say(f"wrote {job.plot}")
    console.result(
        {
            "file": job.out,
            "bytes": job.out.stat().st_size,
            "layers": len(spec.populations),
            "latency": latency(spec),
            "accuracy_float": before,
            "accuracy_integer": after,
            "samples": len(y),
            "seconds": seconds,
            "errors": report.to_dict(),
        }
    )


def _accuracy(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction of correct classes."""
    import torch

    with torch.no_grad():
        right = [
            (network(part).argmax(1) == labels).sum()
            for part, labels in zip(x.split(64), y.split(64), strict=True)
        ]
    return int(sum(right)) / max(1, len(y))
