"""Measure conversions and write results/conversion.json, from which docs/convert.md takes figures.

    python tools/conversion_record.py methods digits networks trained [--lava]

``methods``: thresholds on a validation split of digits. ``digits``: accuracy on its test split,
without training and after two epochs. ``networks``: torchvision's, at 32x32 with random weights.
``trained``: the same, trained on digits.
Each part replaces its own of the record.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lava_mlsnn import check_parity, convert
from lava_mlsnn.data import load_dataset
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import export_model, latency, run_lava

RECORD = Path(__file__).parents[1] / "results" / "conversion.json"
NETWORKS = ("resnet18", "resnet50", "vgg16_bn", "densenet121", "mobilenet_v2")
TRAINED = ("resnet18", "mobilenet_v2")  # minutes on one thread
SEEDS = 3


class Block(nn.Module):
    """Two convolutions and a shortcut, as He et al. (2016)."""

    def __init__(self, c: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        same = stride == 1 and c == out
        self.short = nn.Sequential() if same else nn.Sequential(
            nn.Conv2d(c, out, 1, stride, bias=False), nn.BatchNorm2d(out)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.short(x))


def resnet(width: int = 16) -> nn.Module:
    """Three stages of two blocks, 14 layers deep."""
    blocks: list[nn.Module] = []
    c = width
    for stage, out in enumerate((width, 2 * width, 4 * width)):
        for k in range(2):
            blocks.append(Block(c, out, 2 if stage and not k else 1))
            c = out
    stem = (nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


def train(
    net: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, seed: int, rate: float = 1e-2
) -> nn.Module:
    """AdamW, one cycle of rates up to ``rate``."""
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    steps = epochs * (len(x) // 64)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x))[: len(x) // 64 * 64].split(64):
            optimiser.zero_grad()
            F.cross_entropy(net(x[part]), y[part]).backward()
            optimiser.step()
            rates.step()
    return net.eval()


def train_on(net: nn.Module, teacher: nn.Module, x: torch.Tensor, epochs: int) -> nn.Module:
    """The float network's scores as the target: Adam at 3e-4, falling as a cosine, 32 a step."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(net.parameters(), 3e-4)
    steps = epochs * (len(x) // 32)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x))[: len(x) // 32 * 32].split(32):
            with torch.no_grad():
                wanted = teacher(x[part])
            optimiser.zero_grad()
            F.mse_loss(net(x[part]), wanted).backward()
            optimiser.step()
            rates.step()
    return net.eval()


@torch.no_grad()
def right(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Accuracy in percent."""
    return round(100 * float((net(x).argmax(1) == y).float().mean()), 2)


def _digits(validation: bool) -> tuple[torch.Tensor, ...]:
    data = load_dataset("digits")
    data = data.validation(0.2) if validation else data
    parts = (data.x_train, data.y_train, data.x_test, data.y_test)
    return tuple(torch.from_numpy(part) for part in parts)


def methods() -> list[dict[str, Any]]:
    """Accuracy and signal to noise of the scores by method, on held-out training images."""
    x, y, vx, vy = _digits(validation=True)
    rows: list[dict[str, Any]] = []
    ways: list[dict[str, Any]] = [{"threshold": "least-error"}]
    ways += [{"threshold": "percentile", "percentile": p} for p in (100, 99.9, 99.5, 99)]
    nets = [
        (width, epochs, seed, train(resnet(width), x, y, epochs, seed))
        for width, epochs in ((16, 12), (8, 6))
        for seed in range(SEEDS)
    ]
    for width, epochs, seed, net in nets:
        with torch.no_grad():
            wanted = net(vx)
        for levels in (4, 15):
            for way in ways:
                for correct in (True, False):
                    made = convert(net, x[:512], levels, bias_correction=correct, **way)
                    with torch.no_grad():
                        error = (made(vx) - wanted).square().mean()
                    signal = (wanted - wanted.mean(0)).square().mean()
                    rows.append(
                        {
                            **{"width": width, "epochs": epochs, "seed": seed, "levels": levels},
                            **way,
                            "bias_correction": correct,
                            "float": right(net, vx, vy),
                            "integers": right(made, vx, vy),
                            "decibels": round(10 * float(torch.log10(signal / error)), 2),
                        }
                    )
        print(rows[-1], flush=True)
    return rows


def digits() -> list[dict[str, Any]]:
    """Accuracy on the test split: float, converted, and trained on for two epochs."""
    x, y, tx, ty = _digits(validation=False)
    rows = []
    for seed in range(SEEDS):
        net = train(resnet(), x, y, 12, seed)
        row: dict[str, Any] = {"seed": seed, "float": right(net, tx, ty)}
        for levels in (15, 4):
            made = convert(net, x[:512], levels)
            row[f"N={levels}"] = right(made, tx, ty)
            trained = train_on(copy.deepcopy(made), net, x, 2)
            row[f"N={levels}, two epochs"] = right(trained, tx, ty)
        rows.append(row)
        print(row, flush=True)
    return rows


def networks(lava: bool) -> list[dict[str, Any]]:
    """torchvision's networks: seconds, latency, and integers that differ."""
    import torchvision

    rows = []
    for name in NETWORKS:
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)(num_classes=10).train()
        x = F.interpolate(torch.rand(64, 3, 8, 8), scale_factor=4)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # statistics are those of these samples
        with torch.no_grad():
            net(x)
        net.eval()
        start = time.perf_counter()
        made = convert(net, x, levels=15)
        converted = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            spec = export_model(made, Path(folder) / "a.net")
            size = (Path(folder) / "a.net").stat().st_size
        exported = time.perf_counter()
        report = check_parity(spec, x[:4].numpy(), model=made, backends=["onnx"])
        checked = time.perf_counter()
        runner, z = IntegerRunner(spec), encode(spec, x[:16].numpy())
        runner.run(z)
        ran = time.perf_counter()
        runner.run(z)
        ran = time.perf_counter() - ran
        row = {
            "network": name,
            "parameters": sum(p.numel() for p in net.parameters()),
            "populations": len(spec.populations),
            "latency": latency(spec),
            "file_mb": round(size / 1e6, 1),
            "seconds_convert": round(converted - start, 1),
            "seconds_export": round(exported - converted, 1),
            "seconds_check": round(checked - exported, 1),
            "runner_ms_a_sample": round(1000 * ran / len(z), 1),
            "compared": report.compared,
            "differing": report.count,
            "sides": ["training", "runner", "onnx"],
        }
        if lava:
            one = z[:1]  # in one process: a process per layer would be hundreds
            ours, theirs = runner.trace(one).layers, run_lava(spec, one, probes=True).layers
            row["differing"] += sum(int((ours[name] != theirs[name]).sum()) for name in theirs)
            row["compared"] += sum(payloads.size for payloads in theirs.values())
            row["sides"] = [*row["sides"], "lava"]
        rows.append(row)
        print(row, flush=True)
    return rows


def trained() -> list[dict[str, Any]]:
    """torchvision's networks trained on digits, drawn to 32x32 in three equal channels: N = 15."""
    import torchvision

    x, y, tx, ty = _digits(validation=False)
    x, tx = (F.interpolate(part, scale_factor=4).repeat(1, 3, 1, 1) for part in (x, tx))
    rows = []
    for name in TRAINED:
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)(num_classes=10)
        train(net, x, y, 6, 0, rate=1e-3)
        made = convert(net, x[:256], levels=15)
        with tempfile.TemporaryDirectory() as folder:
            spec = export_model(made, Path(folder) / "a.net")
        report = check_parity(spec, tx[:16].numpy(), model=made, backends=["onnx"])
        answers = IntegerRunner(spec).run(encode(spec, tx.numpy())).classes
        rows.append(
            {
                "network": name,
                "float": right(net, tx, ty),
                "integers": round(100 * float((answers == ty.numpy()).mean()), 2),
                "compared": report.compared,
                "differing": report.count,
            }
        )
        print(rows[-1], flush=True)
    return rows


PARTS = {"methods": methods, "digits": digits, "networks": networks, "trained": trained}


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=tuple(PARTS))
    parser.add_argument("--lava", action="store_true", help="networks: one sample in Lava, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for part in given.parts:
        rows = PARTS[part](given.lava) if part == "networks" else PARTS[part]()
        record[part] = {
            "rows": rows,
            "torch": torch.__version__,
            "machine": platform.machine(),
            "threads": 1,
        }
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
