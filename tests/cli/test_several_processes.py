"""The command line under torchrun: one of the processes tells, and what it tells is of them all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from small_models import small_model

from lava_mlsnn.activity import ActivityMeter
from lava_mlsnn.cli.reproduce import _part
from lava_mlsnn.data import draw_samples, load_dataset
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.launcher import launched
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import export_model, read

SECONDS = 300  # many times what it takes: a core may be shared by many
OPTIONS = "--data digits --width 2 --epochs 1 --batch-size 256 --validation 0.5 --lr 0.001"
ABORT = "terminate called without an active exception"
TRAIN = ["train", *OPTIONS.split(), "--out"]


def start(command: list[str | Path], **variables: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        [sys.executable, *command],
        env=kept | {"OMP_NUM_THREADS": "1"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """A port that nobody is given by chance between this look and its use: below those."""
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")


def said(process: subprocess.Popen[str]) -> str:
    try:
        out, error = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    # torch 2.14 was seen to abort once in 80 runs after all was written (docs/machines.md)
    aborted = process.returncode == -signal.SIGABRT and error.strip() == ABORT
    assert process.returncode == 0 or aborted, error
    return out


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed")
def test_torchrun_trains_in_two_processes_and_one_tells(tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    told = said(start([*launcher, "-m", "lava_mlsnn", *TRAIN, tmp_path]))
    assert told.count("test accuracy") == 1
    assert "2 processes, each with 128 samples of a batch of 256" in told
    (epoch,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(epoch)["validation_accuracy"] is not None


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed")
def test_a_run_of_two_processes_counts_what_one_counts(tmp_path: Path) -> None:
    """An odd number of samples: the shares differ by one. Started as torchrun does."""
    file = digits_network(tmp_path)
    run = ["-m", "lava_mlsnn", "run", file, "--data", "digits", "--samples", "21", "--json"]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [start(run, RANK=rank, WORLD_SIZE="2", **place) for rank in "01"]
    told, quiet = map(said, processes)
    spec, digits = read(file), load_dataset("digits")
    chosen = draw_samples(digits.y_test, 21, 0)
    x, meter = encode(spec, digits.x_test[chosen]), ActivityMeter(spec)
    traces = list(meter.follow(IntegerRunner(spec).iter_traces(x), x))
    classes = np.concatenate([trace.classes for trace in traces])
    wanted = {
        "accuracy": float((classes == digits.y_test[chosen]).mean()),
        "classes": [str(c) for c in classes],
        **json.loads(json.dumps(meter.result().to_dict())),
    }
    found = json.loads(told)
    assert {**found, "classes": [str(c) for c in found["classes"]]} == {**found, **wanted}
    assert quiet == ""


OWN = """
import torch

def net():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 4, 3, 2, 1), torch.nn.ReLU(), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
"""


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed")
def test_two_processes_convert_to_the_file_of_one(
    tmp_path: Path, mlsnn: Callable[..., Any]
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    convert = ["convert", f"{tmp_path}/own.py:net", "--calibration", "200", "--samples", "9"]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    command = ["-m", "lava_mlsnn", *convert, "--json", "--out", tmp_path / "two.net"]
    processes = [start(command, RANK=rank, **place) for rank in "01"]
    one = mlsnn(*convert, "--json", "--out", tmp_path / "one.net")
    told, quiet = map(said, processes)
    assert quiet == ""
    for key in ("errors", "accuracy_integer", "accuracy_float"):
        assert json.loads(told)[key] == one.json[key]
    assert (tmp_path / "two.net").read_bytes() == (tmp_path / "one.net").read_bytes()


def digits_network(folder: Path) -> Path:
    model = small_model(input_shape=(1, 8, 8), classes=10, input_levels=16)
    export_model(model, folder / "digits.net")
    return folder / "digits.net"


def test_counts_of_shares_add_up_to_those_of_the_whole(tmp_path: Path) -> None:
    spec = read(digits_network(tmp_path))
    x = np.random.default_rng(0).integers(0, 2, (7, 1, 8, 8))
    whole, merged = ActivityMeter(spec), ActivityMeter(spec)
    list(whole.follow(IntegerRunner(spec).iter_traces(x), x))
    for share in (x[0::3], x[1::3], x[2::3], x[:0]):
        part = ActivityMeter(spec)
        if len(share):
            list(part.follow(IntegerRunner(spec).iter_traces(share), share))
        merged.merge(part.counts)
    assert merged.result() == whole.result()
    samples, timesteps, sums = whole.counts
    with pytest.raises(DataError, match="timesteps"):
        merged.merge((samples, timesteps + 1, sums))
    with pytest.raises(DataError, match="another network"):
        merged.merge((samples, timesteps, dict(list(sums.items())[1:])))


@pytest.mark.parametrize(("rank", "count"), [("2", "2"), ("x", "2"), ("", "2"), ("0", "-1")])
def test_wrong_variables_of_a_launcher_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, rank: str, count: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(ConfigError, match="RANK and WORLD_SIZE"):
        launched()


def test_a_process_without_a_gpu_of_its_own_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, mlsnn: Callable[..., Any]
) -> None:
    for name, value in (("RANK", 0), ("WORLD_SIZE", 2), ("LOCAL_RANK", torch.cuda.device_count())):
        monkeypatch.setenv(name, str(value))
    answer = mlsnn("train", "--device", "cuda", "--out", "a")
    assert "every process needs a GPU of its own" in answer.error


def test_a_part_that_is_left_out_is_the_launcher_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert _part("") == (1, 1) and _part("2/5") == (2, 5)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert _part("") == (3, 3) and _part("2/5") == (2, 5)
