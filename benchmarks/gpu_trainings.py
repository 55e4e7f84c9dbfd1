"""CIFAR-10 on one GPU in nine minutes: five trainings, their networks, and the rows of a GPU.

    python benchmarks/gpu_trainings.py cifar10-jpeg.tar.xz OUT

For a machine without network and without an installation of this project: it runs from a
checkout with torch, NumPy, h5py, Pillow, scikit-learn, typer and rich. It measures how long an
epoch of each network takes, gives each as many epochs as fit into its share of the time, and
writes what is finished as it goes:

* ``OUT/rows/latest.json``: the rows ``gpu-training`` and ``gpu-memory`` of the benchmark;
* ``OUT/NAME.pt``, ``OUT/NAME.net``, ``OUT/trainings.json``: after each training;
* ``OUT/networks/``: cards as in results/networks, where time is left to measure activity.

``tools/add_network.py`` makes the card again from ``NAME.pt`` where Lava is, parity included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from lava_mlsnn.data import Dataset, load_dataset  # noqa: E402
from lava_mlsnn.errors import MLSNNError  # noqa: E402
from lava_mlsnn.models import ModelConfig  # noqa: E402
from lava_mlsnn.reproduce.adopt import adopt  # noqa: E402
from lava_mlsnn.reproduce.run import where  # noqa: E402
from lava_mlsnn.training.checkpoint import load_model, save_checkpoint  # noqa: E402
from lava_mlsnn.training.config import EpochReport, TrainConfig  # noqa: E402
from lava_mlsnn.training.loop import accuracy, train  # noqa: E402
from lava_mlsnn.training.recipes import recipe  # noqa: E402
from netx_export import export_model  # noqa: E402
from netx_export.file.atomic import make_folder, write_atomic  # noqa: E402

ROWS_S = 150  # seconds that the rows of the benchmark may take
CARDS_S = 120  # kept for measuring on the CPU
TIMED = 20  # steps of a timed epoch
SPARE = 0.9  # of the time is planned with
CALLED = "cifar10"


@dataclass(frozen=True)
class Plan:
    """A network, and its share of the time for training."""

    name: str
    share: float
    model: dict[str, Any]


RESNET = {"arch": "sparse-resnet-18", "width": 36}
PLANS = (
    Plan("cifar10-sparse-resnet-fast", 0.15, {"arch": "sparse-resnet-fast", "width": 48}),
    Plan("cifar10-sparse-resnet-18", 0.25, RESNET),
    Plan("cifar10-sew-resnet-18", 0.25, {**RESNET, "barrier": "sew"}),
    Plan("cifar10-vgg-16", 0.1, {"arch": "vgg-16", "width": 32}),
    Plan("cifar10-sparse-resnet-18-t4-n1", 0.25, {**RESNET, "levels": 1, "timesteps": 4}),
)
PAIR = ("cifar10-sparse-resnet-18", "cifar10-sew-resnet-18")  # compared: as many epochs each


class TimeUpError(Exception):
    """The time is up in the middle of a training."""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with train/ and test/, or a tar of it")
    parser.add_argument("out", type=Path, help="folder for all results")
    parser.add_argument("--seconds", type=float, default=530, help="for all of it (default: 530)")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--epochs", type=int, default=60, help="at most (default: 60)")
    parser.add_argument(
        "--width", type=int, help="of all networks (default: as wide as 5 MB allow)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=8, help="CPU threads (default: 8)")
    parser.add_argument("--only", action="append", choices=[p.name for p in PLANS])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--skip-rows", action="store_true", help="no rows of the benchmark")
    return parser.parse_args(argv)


class Session:
    """One run: its clock, its folder and what it has found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.start = options, time.monotonic()
        self.out: Path = options.out
        self.plans = [p for p in PLANS if options.only is None or p.name in options.only]
        self.amp = options.device == "cuda"
        self.found: dict[str, Any] = {"command": sys.argv[1:], **where(), "trainings": []}
        if self.amp:
            self.found["device"] = torch.cuda.get_device_name()

    @property
    def left(self) -> float:
        """Seconds."""
        return float(self.options.seconds) - (time.monotonic() - self.start)

    def say(self, text: str) -> None:
        """A line with the time."""
        print(f"[{time.monotonic() - self.start:5.0f} s] {text}", flush=True)

    def save(self) -> None:
        """Write what is known so far."""
        text = json.dumps(self.found, indent=1) + "\n"
        write_atomic(self.out / "trainings.json", text.encode())

    def rows(self) -> None:
        """The rows of the benchmark, in processes of their own, before this one uses the GPU."""
        command = [sys.executable, "-m", "benchmarks", "--only", "gpu", "--fresh"]
        command += ["--out", str((self.out / "rows").resolve()), "--cores", "8"]
        command += ["--work", str((self.out / "work").resolve())]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            code = process.wait(min(ROWS_S, max(1.0, self.left)))
            self.say(f"rows: exit code {code}")
        except subprocess.TimeoutExpired:
            self.say("rows: not measured, they took too long")
        finally:
            process.terminate()  # it ends its workers
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)

    def config(self, plan: Plan, data: Dataset) -> ModelConfig:
        """The network of a plan."""
        config = ModelConfig(
            input_shape=data.shape[:3],
            classes=len(data.classes),
            input_levels=data.input_levels,
            **plan.model,
        )
        return replace(config, width=self.options.width or config.width)

    def recipe(self, epochs: int) -> TrainConfig:
        """``cifar10-fast`` with so many epochs."""
        o = self.options
        changes = {"epochs": epochs, "amp": self.amp, "seed": o.seed, "batch_size": o.batch_size}
        return recipe("cifar10-fast", **changes)

    def epoch_seconds(self, plan: Plan, data: Dataset) -> float:
        """Of a whole epoch, by the second of two short ones."""
        count = min(len(data.x_train), TIMED * self.options.batch_size)
        short = replace(data, x_train=data.x_train[:count], y_train=data.y_train[:count])
        ends: list[float] = []
        train(
            self.config(plan, data),
            short,
            self.recipe(2),
            report=lambda _: ends.append(time.monotonic()),
            device=self.options.device,
            threads=self.options.threads,
        )
        return (ends[1] - ends[0]) * len(data.x_train) / count

    def epochs(self, data: Dataset) -> dict[str, int]:
        """How many epochs of each plan fit into its share."""
        seconds = {p.name: self.epoch_seconds(p, data) for p in self.plans}
        time_left = SPARE * (self.left - CARDS_S * float(self.options.seconds) / 530)
        whole = sum(p.share for p in self.plans)
        found = {p.name: int(p.share / whole * time_left / seconds[p.name]) for p in self.plans}
        pair = [found[name] for name in PAIR if name in found]
        found |= {name: min(pair) for name in PAIR if name in found}
        epochs = {n: max(1, min(self.options.epochs, e)) for n, e in found.items()}
        for name, count in epochs.items():
            self.say(f"{name}: {seconds[name]:.2f} s an epoch, {count} epochs")
        return epochs

    def train(self, plan: Plan, data: Dataset, epochs: int) -> None:
        """Train, and write checkpoint, network and accuracies at once."""
        config, chosen, before = self.config(plan, data), self.recipe(epochs), time.monotonic()

        def report(epoch: EpochReport) -> None:
            if self.left < 0:
                raise TimeUpError(f"after {epoch.epoch} of {epochs} epochs")
            self.say(
                f"{plan.name}: epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.4f}, "
                f"training accuracy {100 * epoch.accuracy:.2f} %"
            )

        o = self.options
        model = train(config, data, chosen, report=report, device=o.device, threads=o.threads)
        seconds = time.monotonic() - before
        right = {k: accuracy(model, data.x_test, data.y_test, k) for k in ("integer", "float")}
        model = model.cpu()
        state = {"dataset": CALLED, "epoch": epochs, "train_config": asdict(chosen)}
        save_checkpoint(self.out / f"{plan.name}.pt", model, state)
        provenance = {**state, "config": config.to_dict(), **where()}
        export_model(model, self.out / f"{plan.name}.net", provenance=provenance)
        self.found["trainings"].append(
            {
                "name": plan.name,
                "model": config.to_dict(),
                "recipe": asdict(chosen),
                "training_seconds": seconds,
                "samples": len(data.x_test),
                "accuracy": right,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
        )
        self.save()
        self.say(f"{plan.name}: {100 * right['integer']:.2f} % in integers, {seconds:.0f} s")

    def cards(self, data: Dataset) -> None:
        """Activity, energy and parity on the CPU, while time is left."""
        slowest = 0.0  # seconds a timestep of the network
        for plan in self.plans:
            path = self.out / f"{plan.name}.pt"
            timesteps = plan.model.get("timesteps", 1)
            if not path.exists():
                continue
            if self.left < slowest * timesteps:
                self.say(f"{plan.name}: no time for its card; tools/add_network.py makes it")
                continue
            before, threads = time.monotonic(), self.options.threads
            load_model(path)  # says what is wrong before the long part
            try:
                card = adopt(self.out / "networks", plan.name, path, data, CALLED, threads=threads)
            except MLSNNError as error:
                self.say(f"{plan.name}: no card: {error}")
                continue
            slowest = max(slowest, (time.monotonic() - before) / timesteps)
            self.say(f"{plan.name}: {card.row()}, parity {card.content['parity']}")


def unpacked(path: Path, place: str) -> Path:
    """The folder with train/ and test/, taken out of a tar where it is one."""
    if path.is_dir():
        return path
    with tarfile.open(path) as archive:
        archive.extractall(place, filter="data")
    for folder in (Path(place), *sorted(p for p in Path(place).iterdir() if p.is_dir())):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise MLSNNError("an archive of images holds train/ and test/, this one does not", str(path))


def main(argv: Sequence[str] | None = None) -> int:
    """Run all of it; the exit code."""
    options = arguments(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("gpu_trainings: error: torch sees no GPU; name --device cpu to try", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    make_folder(options.out, "OUT")
    session = Session(options)
    try:
        if not options.skip_rows:
            session.rows()
        with tempfile.TemporaryDirectory() as place:
            data = load_dataset(str(unpacked(options.data, place)))
            session.say(f"{len(data.x_train)} training and {len(data.x_test)} test images")
            epochs = session.epochs(data)
            for plan in session.plans:
                try:
                    session.train(plan, data, epochs[plan.name])
                except TimeUpError as error:
                    session.say(f"{plan.name}: the time is up {error}")
                    break
            session.cards(data)
    except MLSNNError as error:
        print(f"gpu_trainings: error: {error}", file=sys.stderr)
        return 2
    session.save()
    session.say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
