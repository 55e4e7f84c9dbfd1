"""Draw networks of SpikingJelly, snnTorch or sinabs, and write what their own forward sends.

A file is the border: this runs where the library is, and the files that it writes are
compared where the project is, in the integer runner and in Lava.

    python tools/foreign_spikes.py spikingjelly --networks 50 --out DIR
    python tools/foreign_spikes.py --compare DIR [--lava N]
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lava_mlsnn.foreign import from_spiking, on_grid
from lava_mlsnn.foreign.neurons import rule_of
from netx_export import Input, NetworkSpec, read, write

LIBRARIES = ("spikingjelly", "snntorch", "sinabs")
SAMPLES = 3


# -- one neuron of each library --------------------------------------------------------
def spikingjelly(rng: np.random.Generator) -> tuple[Callable[[], nn.Module], str]:
    neuron = importlib.import_module("spikingjelly.activation_based.neuron")
    surrogate = importlib.import_module("spikingjelly.activation_based.surrogate")
    axes = str(rng.choice(["N", "TN"]))
    options: dict[str, Any] = {"step_mode": "m" if axes == "TN" else "s"}
    most = int(rng.integers(1, 5))
    if rng.random() < 0.5 and hasattr(neuron, "ILIFNode"):
        count = surrogate.MultiLevelSpikeCount(most)
        options |= {"tau": 1e30, "surrogate_function": count}
        return lambda: neuron.ILIFNode(v_threshold=theta(rng), **options), axes
    return lambda: neuron.IFNode(v_threshold=theta(rng), v_reset=None, **options), axes


def snntorch(rng: np.random.Generator) -> tuple[Callable[[], nn.Module], str]:
    library = importlib.import_module("snntorch")
    return lambda: library.Leaky(beta=1.0, threshold=theta(rng), init_hidden=True), "N"


def sinabs(rng: np.random.Generator) -> tuple[Callable[[], nn.Module], str]:
    layers = importlib.import_module("sinabs.layers")
    activation = importlib.import_module("sinabs.activation")
    kinds = [activation.MultiSpike, activation.SingleSpike]
    kinds += [activation.MaxSpike(k) for k in (1, 3)] if hasattr(activation, "MaxSpike") else []
    fires = kinds[int(rng.integers(len(kinds)))]

    def make() -> nn.Module:
        limit = torch.tensor(theta(rng))
        return layers.IAFSqueeze(batch_size=SAMPLES, spike_threshold=limit, spike_fn=fires)

    return make, "(NT)"


def theta(rng: np.random.Generator) -> float:
    return float(rng.choice([1.0, 1.0, 0.5, 0.75, 0.7, 2.3]))


# -- networks --------------------------------------------------------------------------
class Sequence(nn.Module):
    """Time and samples in one axis, as all layers but neurons take them."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Drawn(nn.Module):
    """Convolutions, a SEW or a summed shortcut, pooling, linear layers; spikes or scores out."""

    def __init__(self, rng: np.random.Generator, make: Callable[[], nn.Module], axes: str) -> None:
        super().__init__()
        wrap = Sequence if axes == "TN" else nn.Identity

        def layer(part: nn.Module) -> nn.Module:
            return Sequence(part) if wrap is Sequence else part

        def conv(a: int, b: int, k: int, stride: int = 1) -> nn.Module:
            bias = bool(rng.random() < 0.5)
            parts: list[nn.Module] = [nn.Conv2d(a, b, k, stride, k // 2, bias=bias)]
            if rng.random() < 0.6:
                parts.append(nn.BatchNorm2d(b))
            return layer(nn.Sequential(*parts))

        self.c, self.size = int(rng.integers(1, 4)), int(rng.choice([4, 6, 8]))
        wide = int(rng.integers(2, 6))
        self.conv1, self.sn1 = conv(self.c, wide, 3), make()
        self.conv2, self.sn2 = conv(wide, wide, int(rng.choice([1, 3]))), make()
        self.short = conv(wide, wide, 1) if rng.random() < 0.3 else nn.Identity()
        self.wiring = str(rng.choice(["plain", "spikes", "sums"]))
        self.pool = layer(nn.AvgPool2d(2)) if rng.random() < 0.5 else nn.Identity()
        side = self.size // (2 if not isinstance(self.pool, nn.Identity) else 1)
        self.fc1 = layer(nn.Sequential(nn.Flatten(), nn.Linear(wide * side * side, 7)))
        self.sn3 = make()
        self.fc2 = nn.Linear(7, 3, bias=bool(rng.random() < 0.5))
        self.sn4 = make() if rng.random() < 0.5 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.sn1(self.conv1(x))
        if self.wiring == "plain":
            b = self.sn2(self.conv2(a))
        elif self.wiring == "spikes":
            b = self.sn2(self.conv2(a)) + (a if isinstance(self.short, nn.Identity) else 0)
        else:
            b = self.sn2(self.conv2(a) + self.short(a))
        return self.sn4(self.fc2(self.sn3(self.fc1(self.pool(b)))))


def draw(library: str, seed: int) -> tuple[nn.Module, Input, int, str]:
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    make, axes = globals()[library](rng)
    net = Drawn(rng, make, axes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.num_batches_tracked.fill_(1)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.data *= float(rng.uniform(1, 3))
    levels, gain = ((1, 1.0), (15, 16.0), (3, 1.0))[int(rng.integers(3))]
    shape = (net.c, net.size, net.size)
    return (
        net,
        Input(shape, levels, gain=gain, signed=bool(rng.random() < 0.3)),
        int(rng.integers(1, 9)),
        axes,
    )


# -- their forward ---------------------------------------------------------------------
def run(net: nn.Module, x: torch.Tensor, axes: str) -> dict[str, np.ndarray]:
    """What every neuron sends, and the network, for x of (N, ..., T): (N, ..., T)."""
    found: dict[str, list[torch.Tensor]] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, y: Any) -> None:
            found.setdefault(name, []).append(y[0] if isinstance(y, tuple) else y)

        return keep

    handles = [m.register_forward_hook(hook(name)) for name, m in net.named_modules() if rule_of(m)]
    handles.append(net.register_forward_hook(hook("")))
    n, steps = x.shape[0], x.shape[-1]
    for module in net.modules():
        for name in ("reset", "reset_mem", "reset_states"):
            if callable(getattr(module, name, None)):
                getattr(module, name)()
    with torch.no_grad():
        if axes == "N":
            for t in range(steps):
                net(x[..., t])
            out = {name: torch.stack(list_, -1) for name, list_ in found.items()}
        elif axes == "TN":
            net(x.movedim(-1, 0))
            out = {name: y[0].movedim(0, -1) for name, y in found.items()}
        else:
            net(x.movedim(-1, 1).flatten(0, 1))
            out = {k: y[0].unflatten(0, (n, steps)).movedim(1, -1) for k, y in found.items()}
    for handle in handles:
        handle.remove()
    return {name: y.double().numpy() for name, y in out.items()}


def record(library: str, seed: int, out: Path) -> None:
    """A .net, and an .npz with inputs and what the library sends."""
    net, entry, steps, axes = draw(library, seed)
    spec = from_spiking(net.eval(), entry, steps)
    twin = on_grid(net, entry, steps)
    rng = np.random.default_rng(seed)
    low, high = entry.payload
    x = rng.integers(low, high + 1, (SAMPLES, *entry.shape, steps))
    sent = run(twin, torch.from_numpy(x / entry.gain).float(), axes)
    again = from_spiking(twin, entry, steps)
    write(spec, out / f"{library}{seed:03}.net")
    write(again, out / "again.net")
    assert (out / "again.net").read_bytes() == (out / f"{library}{seed:03}.net").read_bytes()
    (out / "again.net").unlink()
    arrays = {f"z/{name}" if name else "output": y for name, y in sent.items()}
    np.savez_compressed(out / f"{library}{seed:03}.npz", x=x, **arrays)


# -- ours ------------------------------------------------------------------------------
def differences(spec: NetworkSpec, arrays: Any, lava: bool = False) -> tuple[int, int, int]:
    """Integers that differ from what the library sent, of how many, and how many are spikes."""
    from lava_mlsnn import IntegerRunner
    from netx_export import run_lava

    x = arrays["x"]
    names = [key[2:] for key in arrays if key.startswith("z/")]
    trace = run_lava(spec, x, probes=names) if lava else IntegerRunner(spec).trace(x)
    output, layers = trace.output, trace.layers
    differ = total = spikes = 0
    for name in names:
        wanted = arrays[f"z/{name}"]
        differ += int(np.count_nonzero(layers[name] != wanted))
        total, spikes = total + wanted.size, spikes + int(np.count_nonzero(wanted))
    scale = 1.0 if spec.output.scale is None else float(spec.output.scale[0])
    wanted = np.cumsum(arrays["output"], -1) * scale
    differ += int(np.count_nonzero(output != wanted))
    return differ, total + wanted.size, spikes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", nargs="?", choices=LIBRARIES)
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("foreign"))
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--lava", type=int, default=0, help="networks that run in Lava too")
    options = parser.parse_args()
    if options.library:
        options.out.mkdir(parents=True, exist_ok=True)
        for seed in range(options.first, options.first + options.networks):
            record(options.library, seed, options.out)
    if options.compare is None:
        return 0
    sums = np.zeros(3, np.int64)
    files = sorted(options.compare.glob("*.net"))
    for k, file in enumerate(files):
        with np.load(file.with_suffix(".npz")) as arrays:
            held = dict(arrays)
        found = [differences(read(file), held)]
        if k < options.lava:
            found.append(differences(read(file), held, lava=True))
        for one in found:
            sums += one
            if one[0]:
                print(f"{file.name}: {one[0]} of {one[1]} integers differ")
    print(f"{len(files)} networks: {sums[0]} of {sums[1]} integers differ, {sums[2]} spikes")
    return int(sums[0] > 0)


if __name__ == "__main__":
    sys.exit(main())
