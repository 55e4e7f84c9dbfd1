"""One trial: train (or go on), export, measure the file, write the record last."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn import __version__
from lava_mlsnn.activity import ActivityMeter
from lava_mlsnn.data import Dataset
from lava_mlsnn.energy import Design, ann_energy, snn_energy, structure, zero_skip_energy
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.reproduce.records import NETWORK, PAYLOADS, RECORD, fingerprint, finished
from lava_mlsnn.reproduce.trial import Trial
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export.file.atomic import make_folder, write_atomic

__all__ = ["measure", "run_trial", "structure_of", "where"]

Progress = Callable[[int, int], None]


def run_trial(
    trial: Trial, dataset: Dataset, work: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Run a trial, or read its record.

    Parameters
    ----------
    trial : Trial
        What to train.
    dataset : Dataset
        Its data.
    work : Path
        Folder for checkpoints, networks and records, one folder a trial.
    progress : callable, optional
        ``progress(epochs done, epochs)``.

    Returns
    -------
    dict
        Configuration, accuracy of the exported integers and of float weights over the
        whole test split, activity per sample, energy in nJ per sample and machine, and
        where all this comes from.
    """
    from lava_mlsnn.training.checkpoint import CHECKPOINT
    from lava_mlsnn.training.loop import train
    from netx_export import export_model

    done = finished(trial, work)
    if done is not None:
        return done
    folder = work / trial.key
    make_folder(folder, "--work")
    config = ModelConfig.from_stored(
        {
            "input_shape": dataset.shape[:3],
            "classes": len(dataset.classes),
            "input_levels": dataset.input_levels,
            **trial.model,
        }
    )
    start = time.perf_counter()

    def report(epoch: Any) -> None:
        if progress is not None:
            progress(epoch.epoch, epoch.epochs)

    model = train(
        config,
        dataset,
        trial.recipe,
        checkpoint=folder / CHECKPOINT,
        resume=True,
        report=report,
        threads=1,
    )
    seconds = time.perf_counter() - start
    origin = where()
    provenance = {
        "dataset": trial.data,
        "config": config.to_dict(),
        "train_config": asdict(trial.recipe),
        **origin,
    }
    path = folder / NETWORK
    spec = export_model(model, path, provenance=provenance)
    record = {
        "key": trial.key,
        "data": trial.data,
        "model": trial.model,
        "recipe": asdict(trial.recipe),
        "seed": trial.recipe.seed,
        "training_seconds": seconds,
        **measure(model, spec, path, dataset),
        **origin,
    }
    write_atomic(folder / RECORD, (json.dumps(record, indent=1) + "\n").encode())
    return record


def structure_of(config: ModelConfig) -> dict[str, Any]:
    """What a card says of a network's structure."""
    return {"architecture": config.arch, "levels": config.levels, "timesteps": config.timesteps}


def measure(
    model: Any, spec: Any, path: Path, dataset: Dataset, threads: int = 1
) -> dict[str, Any]:
    """What a record says of a network: accuracies, activity, energy, size and SHA-256.

    Parameters
    ----------
    model : MultiLevelNetwork
        Trained.
    spec : NetworkSpec
        Its exported integers.
    path : Path
        The file that they lie in.
    dataset : Dataset
        Its whole test split is run.
    threads : int
        CPU threads of the integer runner.
    """
    from lava_mlsnn.training.evaluate import accuracy

    right, activity, energy = _of_integers(spec, dataset, threads)
    return {
        "data_sha256": fingerprint(dataset),
        "samples": len(dataset.y_test),
        "accuracy": {
            "integer": right,
            "float": accuracy(
                model, dataset.x_test, dataset.y_test, "float", class_names=dataset.classes
            ),
        },
        "activity": activity,
        "energy_nj": energy,
        "parameters": sum(p.numel() for p in model.parameters()),
        "network": {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    }


def _of_integers(
    spec: Any, dataset: Dataset, threads: int
) -> tuple[float, dict[str, Any], dict[str, float]]:
    """Accuracy, activity and energy of the exported integers over the test split."""
    payload = encode(spec, dataset.x_test)
    runner, meter, right, done = IntegerRunner(spec, threads=threads), ActivityMeter(spec), 0, 0
    for trace in meter.follow(runner.iter_traces(payload), payload):
        labels = dataset.y_test[done : done + len(trace.output)]
        right += int((trace.classes == labels).sum())
        done += len(labels)
    found = meter.result()
    net = structure(spec)
    energy = {
        f"snn-{name}": snn_energy(net, found, design=Design(name)).nanojoule for name in PAYLOADS
    }
    energy["ann"] = ann_energy(net).nanojoule
    energy["zero-skip"] = zero_skip_energy(net, found).nanojoule
    neurons = sum(layer.neurons for layer in found.hidden)
    activity = {
        "neurons": neurons,
        "input": asdict(found.layers[0].count),
        "into_synapses": asdict(found.into_synapses),
        "block_outputs": asdict(found.block_outputs),
        "all": asdict(found.all),
        "operations": asdict(found.operations),
        "events_per_neuron_and_timestep": found.all.events / (neurons * found.timesteps),
        "blocks": [asdict(block) for block in found.blocks],
    }
    return right / max(1, done), activity, energy


def where() -> dict[str, Any]:
    """Commit, date, versions, machine."""
    import torch

    return {
        "commit": commit(),
        "date": date.today().isoformat(),
        "versions": {
            "lava_mlsnn": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "machine": platform.machine(),
    }


def commit() -> str:
    """Of the checkout that this package lies in, ``+`` if it was changed; empty without one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        head = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        changed = subprocess.run(
            ["git", "-C", root, "status", "--porcelain", "--untracked-files=no", "--",
             "lava_mlsnn", "netx_export"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
