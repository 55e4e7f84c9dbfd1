"""The README's own code runs, on a network as a user would bring it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from lava_mlsnn.data import load_dataset

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


class Net(nn.Module):
    """BatchNorm, a skip and a max pool."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 10))

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.relu(self.body(x) + x))


def trained(x: torch.Tensor, y: torch.Tensor) -> Net:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(8):
        for part in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(net(x[part]), y[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


def test_the_readme_has_one_script_of_at_most_fifteen_lines():
    (script,) = BLOCKS
    assert len(script.strip().splitlines()) <= 15


@pytest.mark.lava
def test_the_readmes_script_keeps_the_accuracy(tmp_path, monkeypatch, capsys):
    if importlib.util.find_spec("lava") is None:
        pytest.skip("needs Lava")
    monkeypatch.chdir(tmp_path)
    digits = load_dataset("digits")
    x, x_test = torch.from_numpy(digits.x_train), torch.from_numpy(digits.x_test)
    y, y_test = torch.from_numpy(digits.y_train), torch.from_numpy(digits.y_test)
    net = trained(x, y)
    names = {"__name__": "__main__", "net": net, "images": x[:300]}
    exec(BLOCKS[0], names)
    assert "no difference" in capsys.readouterr().out
    with torch.no_grad():
        before = float((net(x_test).argmax(1) == y_test).double().mean())
        after = float((names["network"](x_test).argmax(1) == y_test).double().mean())
    assert before > 0.95 and after > before - 0.02
    assert (names["scores"].argmax(1) == names["network"](x[:8]).argmax(1).numpy()).all()
