"""Two processes convert, each with its share of the calibration: the file is that of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from group_threads import assert_left

from lava_mlsnn import convert
from lava_mlsnn.conversion.share import Share
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training.processes import leave_group
from netx_export import export_model

SECONDS = 240
# samples: more batches than are corrected by, an odd number of them; fewer batches than processes
CASES = {
    "many": (330, {"levels": 4}),
    "one batch": (40, {"levels": 15, "timesteps": 2, "threshold": "percentile"}),
    "uncorrected": (100, {"bias_correction": False}),
}
pytestmark = [
    pytest.mark.timeout(SECONDS + 30),
    pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed"),
]


class Branched(torch.nn.Module):
    """A shortcut, a BatchNorm, and a sum that is sent by its signs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.bare = torch.nn.Conv2d(4, 3, 1)
        self.last = torch.nn.Linear(3 * 36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm(self.first(x)))
        y = F.relu(self.second(y) + y)
        return self.last(self.bare(y).flatten(1))


def module(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    made = Branched()
    made(torch.rand(16, 1, 6, 6))
    return made.eval()


def write(folder: Path, name: str, together: bool) -> None:
    count, options = CASES[name]
    x = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    network = convert(module(), x, together=together, **options)  # type: ignore[arg-type]
    export_model(network, folder / f"{name}.net")


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    own = folder / str(rank)
    own.mkdir()
    try:
        for name in CASES:
            write(own, name, together=True)
        x = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        for network, samples in ((module(rank), x), (module(), x + rank)):
            with pytest.raises(ConfigError, match="the same network and the same calibration"):
                convert(network, samples, together=True)
        for count in (0, 1, 2, 5):
            mine = list(Share(True).mine(count))
            assert mine == list(range(rank, count, 2))
            assert Share(True).whole(mine) == list(range(count))
        if rank:  # alone, though there is a group
            write(folder, "many", together=False)
    finally:
        leave_group()
    assert_left()


def test_two_processes_write_the_file_of_one(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    context = mp.spawn(work, (tmp_path,), nprocs=2, join=False)
    for name in list(CASES)[1:]:
        write(tmp_path, name, together=False)
    while not context.join(SECONDS):
        pass
    for name in CASES:
        one = (tmp_path / f"{name}.net").read_bytes()
        for rank in "01":
            assert (tmp_path / rank / f"{name}.net").read_bytes() == one, (name, rank)


def test_recording_does_not_import_torchs_compiler() -> None:
    """Its import keeps a process group for ever, whose threads end a process by SIGABRT."""
    script = (
        "import sys, torch; from lava_mlsnn import convert; "
        "convert(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)), "
        "torch.rand(8, 1, 2, 2)); "
        "assert not {'torch._inductor', 'torch._dynamo'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=SECONDS)
