"""Float networks that Hypothesis draws, and what they compute once they are converted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from hypothesis import strategies as st

SHAPE = (3, 6, 6)
FX = {"relu": ["relu"], "relu6": ["relu6"], "pool": ["avg_pool2d"], "add": ["add"]}
FX |= {"cat": ["cat"]}
FX |= {"max": ["max_pool2d"], "maxrelu": ["max_pool2d", "relu"]}  # names of torch.fx


class Drawn(torch.nn.Module):
    """A list of (operation, sources, ...): value 0 is the sample, the last one is classified."""

    def __init__(self, program, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.program, shapes = program, [SHAPE]
        for k, (what, (a, *more), *rest) in enumerate(program, 1):
            c, h, w = shapes[a]
            if what == "conv":
                out, size, stride, groups = rest
                layer = torch.nn.Conv2d(c, out, size, stride, size // 2, groups=groups)
                self.add_module(f"l{k}", layer)
                c, h, w = out, (h - 1) // stride + 1, (w - 1) // stride + 1
            elif what == "bn":
                norm = torch.nn.BatchNorm2d(c)
                norm.running_mean.uniform_(-0.3, 0.3)
                norm.running_var.uniform_(0.3, 1.5)
                torch.nn.init.uniform_(norm.weight, 0.7, 1.5)
                torch.nn.init.uniform_(norm.bias, -0.3, 0.5)
                self.add_module(f"l{k}", norm)
            elif what == "pool":
                h, w = h // 2, w // 2
            elif what == "cat":
                c += shapes[more[0]][0]
            elif what in ("max", "maxrelu"):
                h, w = (h + 1) // 2, (w + 1) // 2
            shapes.append((c, h, w))
        self.shapes = shapes
        self.fc = torch.nn.Linear(shapes[-1][0], 5)
        self.eval()

    def forward(self, x):
        values = [x]
        for k, (what, sources, *_) in enumerate(self.program, 1):
            picked = [values[s] for s in sources]
            if what in ("conv", "bn"):
                values.append(getattr(self, f"l{k}")(picked[0]))
            elif what == "relu":
                values.append(F.relu(picked[0]))
            elif what == "relu6":
                values.append(F.relu6(picked[0]))
            elif what == "pool":
                values.append(F.avg_pool2d(picked[0], 2))
            elif what == "cat":
                values.append(torch.cat(picked, 1))
            elif what == "max":
                values.append(F.max_pool2d(picked[0], 3, 2, 1))
            elif what == "maxrelu":
                values.append(F.relu(F.max_pool2d(picked[0], 3, 2, 1)))
            else:
                values.append(picked[0] + picked[1])
        y = F.adaptive_avg_pool2d(F.relu(values[-1]), 1)
        return self.fc(torch.flatten(y, 1))


@st.composite
def programs(draw, most=12):
    """Up to ``most`` operations; later ones read later values more often."""
    shapes, linear, program = [SHAPE], [False], []
    for _ in range(draw(st.integers(2, most))):
        k = len(shapes)
        a = draw(st.sampled_from([k - 1, k - 1, k - 1, draw(st.integers(0, k - 1))]))
        c, h, w = shapes[a]
        same = [b for b in range(k) if shapes[b] == shapes[a] and b]
        choices = ["conv", "bn"]
        choices += ["relu", "relu", "relu6"] if linear[a] else ["conv"]
        choices += ["pool"] if not linear[a] and min(h, w) > 1 else []
        if min(h, w) > 1 and a:
            choices += ["maxrelu"] if linear[a] else ["max"]
        choices += ["add", "add"] if a and same else []
        beside = [b for b in range(k) if shapes[b][1:] == (h, w) and shapes[b][0] + c <= 12]
        choices += ["cat"] if beside else []
        what = draw(st.sampled_from(choices))
        shape = (c, h, w)
        if what == "conv":
            groups = draw(st.sampled_from([1, 1, c]))
            out = draw(st.sampled_from([c, 2 * c] if groups > 1 else [2, 3, 4, c]))
            out = out if out <= 12 else c
            stride = draw(st.sampled_from([1, 1, 2]))
            program.append((what, (a,), out, draw(st.sampled_from([1, 3])), stride, groups))
            shape = (out, (h - 1) // stride + 1, (w - 1) // stride + 1)
        elif what == "add":
            program.append((what, (a, draw(st.sampled_from(same)))))
        elif what == "cat":
            b = draw(st.sampled_from(beside))
            program.append((what, (a, b)))
            shape = (c + shapes[b][0], h, w)
        else:
            program.append((what, (a,)))
            shape = (c, h // 2, w // 2) if what == "pool" else shape
            shape = (c, (h + 1) // 2, (w + 1) // 2) if what.startswith("max") else shape
        shapes.append(shape)
        moved = what in ("cat", "pool", "max")
        parts = moved and any(linear[i] or i == 0 for i in program[-1][1])
        linear.append(what in ("conv", "bn", "add") or parts)
    return program


@dataclass
class Sent:
    z: torch.Tensor
    signed: bool
    parts: list[torch.Tensor] | None = None  # a synapse each


class Emulated:
    """The integers of a converted ``Drawn`` in float64, by the program and not by its blocks.

    ``found`` has them by layer. Which layer a value is, the network says by the value's name
    in ``torch.fx``; what it sums up, and from where, is worked out here.
    """

    def __init__(self, module, network, spec, z):
        self.layers = {layer.name: layer for layer in spec.layers}
        self.of = {(m.place, m.signed, m.cap): name for name, m in network.meaning.items()}
        self.found, count = {}, {}
        program = [*module.program, ("relu", (len(module.program),))]
        self.names = ["x"]
        for k, (what, *_) in enumerate(program, 1):
            name = f"l{k}"
            for fx in FX.get(what, ()):
                name, count[fx] = fx, count.get(fx, -1) + 1
                name = f"{fx}_{count[fx]}" if count[fx] else fx
            self.names.append(name)
        live = {len(program)}
        for k in range(len(program), 0, -1):
            live |= set(program[k - 1][1]) if k in live else set()
        values: list = [Sent(z.double(), bool((z < 0).any()))]
        for k, (what, sources, *rest) in enumerate(program, 1):
            given = [values[s] for s in sources]
            if k not in live:
                value = None
            elif what == "conv":
                value = [("conv", self.sent(given[0], sources[0]), rest)]
            elif what == "pool":
                x = self.sent(given[0], sources[0])
                value = Sent(F.avg_pool2d(x.z, 2, divisor_override=1), x.signed)
            elif what == "max":
                value = Sent(F.max_pool2d(given[0].z, 3, 2, 1), False)
            elif what == "maxrelu" and not (isinstance(given[0], Sent) and not given[0].signed):
                fired = self.fire(self.arms(given[0]), sources[0], False, math.inf)
                value = Sent(F.max_pool2d(fired.z, 3, 2, 1), False)
            elif what == "maxrelu":  # of a sum that is never negative, sent for other readers
                value = Sent(F.max_pool2d(given[0].z, 3, 2, 1), False)
            elif what == "cat":
                sent = [self.sent(v, s) for v, s in zip(given, sources, strict=True)]
                parts = [part for x in sent for part in x.parts or [x.z]]
                signed = any(x.signed for x in sent)
                value = Sent(torch.cat([x.z for x in sent], 1), signed, parts)
            elif what in ("bn", "add"):
                value = [arm for v in given for arm in self.arms(v)]
            elif what == "relu" and isinstance(given[0], Sent) and not given[0].signed:
                value = given[0]
            else:
                cap = 6.0 if what == "relu6" else math.inf
                value = self.fire(self.arms(given[0]), sources[0], False, cap)
            readers = {j for j in live if j and k in program[j - 1][1]}
            if isinstance(value, list) and len(readers) > 1 and "conv" in {a[0] for a in value}:
                value = self.sent(value, k)
            values.append(value)
        last = values[-1]
        parts = last.parts if len(spec.output.synapses) > 1 else [last.z]  # none behind a pool
        scores = of_bias(spec.output)
        for z, dense in zip(parts, spec.output.synapses, strict=True):
            weight = torch.from_numpy(dense.weight).double() * 2.0**dense.weight_exp
            scores = scores + z.sum((2, 3)) @ weight.T
        self.found[spec.output.name] = scores

    def arms(self, value):
        return [("one", value, None)] if isinstance(value, Sent) else value

    def sent(self, value, k):
        """A sum as spikes, by its signs if it may be negative."""
        if isinstance(value, Sent):
            return value
        signed = (self.names[k], True, math.inf) in self.of
        return self.fire(value, k, signed, math.inf)

    def fire(self, arms, k, signed, cap):
        name = self.of[self.names[k], signed, cap]
        layer = self.layers[name]
        total = of_bias(layer).reshape(-1, 1, 1)
        synapses = iter(layer.synapses)
        for _, x, rest in arms:
            size, stride = (rest or (0, 1, 1))[1:3]
            for z in x.parts or [x.z]:
                synapse = next(synapses)
                weight = torch.from_numpy(synapse.weight).double()
                if weight.dim() == 1:
                    part = z * weight.reshape(-1, 1, 1)
                else:
                    groups = z.shape[1] // weight.shape[1]
                    part = F.conv2d(z, weight, None, stride, size // 2, groups=groups)
                total = total + part * 2.0**synapse.weight_exp
        assert next(synapses, None) is None
        vth, v0 = (
            torch.from_numpy(v).double().reshape(-1, 1, 1)
            for v in (layer.neuron.vth, layer.neuron.v0)
        )
        z = torch.floor((total + v0) / vth).clamp(0, layer.neuron.levels)
        self.found[name] = z
        return Sent(z, signed)


def of_bias(layer):
    return torch.zeros(1) if layer.bias is None else torch.from_numpy(layer.bias).double()
