"""DistributedDataParallel: two gloo processes on the CPU compute what one does.

Without BatchNorm the gradient of a mean loss over the whole batch is the mean of the
halves' gradients, so the two must agree up to rounding. With BatchNorm each process
normalises its own half, so only the processes' agreement is stated.
"""

from __future__ import annotations

import contextlib
import copy
import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from group_threads import assert_left
from torch.nn.parallel import DistributedDataParallel

from lava_mlsnn.slayer import block
from lava_mlsnn.training.processes import join_group, leave_group

SECONDS = 120
P = {"threshold": 0.7, "levels": 4, "train_threshold": True}
pytestmark = [
    pytest.mark.timeout(SECONDS + 30),
    pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed"),
]


def network(norm):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        block.Conv(P, 1, 4, 3, padding=1, input_size=5, norm=norm),
        block.Conv(P, 4, 4, 3, padding=1, input_size=5, norm=norm),
        block.Flatten((4, 5, 5)),
        block.Output(100, 3),
    )


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 5, (8, 1, 5, 5, 2), generator=generator).float()
    return x, torch.randint(0, 3, (8,), generator=generator)


def fit(model, x, y, accumulate):
    """Three steps; with ``accumulate`` each is of two forwards without an update between."""
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    parts = 2 if accumulate else 1
    for _ in range(3):
        optimiser.zero_grad()
        for i in range(parts):
            last = i == parts - 1
            with contextlib.nullcontext() if last or accumulate == "one" else model.no_sync():
                loss = torch.nn.functional.cross_entropy(model(x[i::parts])[..., -1], y[i::parts])
                (loss / parts).backward()
        optimiser.step()


def work(rank, store, out, norm, accumulate):
    torch.set_num_threads(1)
    join_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        share(rank, out, norm, accumulate)
    finally:
        leave_group()
    assert_left()


def share(rank, out, norm, accumulate):
    model = DistributedDataParallel(network(norm))
    x, y = data()
    fit(model, x[rank::2], y[rank::2], accumulate)
    gradients = {k: p.grad for k, p in model.module.named_parameters()}
    torch.save((model.module.state_dict(), gradients), os.path.join(out, f"{rank}.pt"))


@pytest.mark.parametrize("accumulate", ["", "two"])
@pytest.mark.parametrize("norm", [False, True])
def test_two_processes_agree_and_equal_one_where_batchnorm_permits(tmp_path, norm, accumulate):
    context = mp.spawn(
        work, (str(tmp_path / "store"), str(tmp_path), norm, accumulate), nprocs=2, join=False
    )
    while not context.join(SECONDS):
        pass
    (state, grads), (state_other, grads_other) = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    for name in grads:
        assert torch.equal(grads[name], grads_other[name]), name
        assert torch.equal(state[name], state_other[name]), name
        assert grads[name].abs().sum() > 0, name
    if norm:
        return
    x, y = data()
    one = network(norm)
    start = copy.deepcopy(one.state_dict())
    fit(one, x, y, "one" if accumulate else "")
    for name, parameter in one.named_parameters():
        assert torch.allclose(parameter, state[name], rtol=1e-3, atol=1e-5), name
        assert torch.allclose(parameter.grad, grads[name], rtol=1e-3, atol=1e-5), name
        assert not torch.equal(parameter, start[name]), name
