"""Training by two processes is that of one with the same batches: losses, weights, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.training.config import TrainConfig
from lava_mlsnn.training.loop import train
from lava_mlsnn.training.processes import Processes, common_statistics, join_group, leave_group

SECONDS = 240
NETWORK = ModelConfig(input_shape=(1, 6, 6), classes=3, width=2, timesteps=2)
CASES = {
    "all": TrainConfig(
        epochs=2, batch_size=8, lr=1e-3, flip=True, shift=1, mixup=0.2, ema=0.9, event_penalty=0.1
    ),
    "relu": TrainConfig(epochs=2, batch_size=8, lr=1e-3, ann_epochs=1),
}
pytestmark = [
    pytest.mark.timeout(SECONDS + 30),
    pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed"),
]


def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 40)
    return Dataset("drawn", x, y, x[:8], y[:8], ("a", "b", "c"), 15)


def fit(folder: Path, name: str, common: bool = True) -> None:
    losses = []
    checkpoint = folder / f"{name}.pt"
    model = train(
        NETWORK, dataset(), CASES[name], checkpoint=checkpoint, threads=1, report=losses.append
    )
    rank = Processes().rank
    torch.save(model.state_dict(), folder / f"{name}-{rank}.state")
    if losses:
        told = [[e.loss, e.accuracy] for e in losses]
        (folder / f"{name}.json").write_text(json.dumps(told))


def work(rank: int, folder: Path) -> None:
    store = f"file://{folder / 'store'}"
    join_group("gloo", init_method=store, rank=rank, world_size=2)
    try:
        for name in CASES:
            fit(folder, name)
        with pytest.raises(ConfigError, match=r"multiple of 2 samples, at least 4, got 7"):
            train(NETWORK, dataset(), TrainConfig(epochs=1, batch_size=7))
        with pytest.raises(ConfigError, match=r"the same number, got \[0, 1\]"):
            Processes().agree("number", rank)
        norm = torch.nn.BatchNorm2d(3)
        x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
        mine = Processes().mine(x).requires_grad_()
        with common_statistics(norm, Processes()):
            y = norm(mine)
        (y**3).sum().backward()
        found = [y, mine.grad, norm.running_mean, norm.running_var, norm.num_batches_tracked]
        torch.save(found, folder / f"norm-{rank}")
    finally:
        leave_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of one process and of two."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    for name in CASES:
        fit(one, name)
    context = mp.spawn(work, (two,), nprocs=2, join=False)
    while not context.join(SECONDS):
        pass
    return one, two


@pytest.mark.parametrize("name", CASES)
def test_losses_and_weights_are_those_of_one_process(both: tuple[Path, Path], name: str) -> None:
    one, two = (json.loads((folder / f"{name}.json").read_text()) for folder in both)
    assert np.allclose(one, two, rtol=1e-3, atol=1e-6)
    alone, *shared = (
        torch.load(folder / f"{name}-{rank}.state", weights_only=True)
        for folder, rank in ((both[0], 0), (both[1], 0), (both[1], 1))
    )
    for key, value in alone.items():
        assert torch.allclose(shared[0][key], value, rtol=1e-2, atol=1e-4), key
        assert torch.allclose(shared[0][key], shared[1][key], rtol=1e-5, atol=1e-7), key


def test_batchnorm_is_that_of_the_whole_batch(both: tuple[Path, Path]) -> None:
    norm = torch.nn.BatchNorm2d(3)
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    whole = x.clone().requires_grad_()
    y = norm(whole)
    (y**3).sum().backward()
    for rank in (0, 1):
        found = torch.load(both[1] / f"norm-{rank}", weights_only=True)
        wanted = [y[rank::2], whole.grad[rank::2]]
        wanted += [norm.running_mean, norm.running_var, norm.num_batches_tracked]
        for a, b in zip(found, wanted, strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
        alone = torch.nn.BatchNorm2d(3)
        assert not torch.allclose(alone(x[rank::2]), found[0], rtol=1e-3), "its own half's"


def test_one_process_writes_and_tells(both: tuple[Path, Path]) -> None:
    for name in CASES:
        assert len(json.loads((both[1] / f"{name}.json").read_text())) == 2
        assert (both[1] / f"{name}.pt").exists()


ROUNDS = """
import torch
import torch.distributed as dist
from lava_mlsnn.training.processes import leave_group
for _ in range(20):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    for _ in range(8):
        dist.all_reduce(torch.ones(1), async_op=True)
    leave_group()
"""


def test_a_group_ends_while_its_threads_free_tensors() -> None:
    """With torch before 2.8 dist.destroy_process_group() waits for ever in the first round."""
    subprocess.run([sys.executable, "-c", ROUNDS], check=True, timeout=60)
