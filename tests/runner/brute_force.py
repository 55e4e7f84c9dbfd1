"""The integer network once more, as slow loops over Python integers: an independent reference."""

from __future__ import annotations

import itertools

import numpy as np

from netx_export.spec import Conv, ConvTranspose, Dense, Flatten, Identity, Input, MultiLevel


def wrap(x: int) -> int:
    """Two's complement in 24 bits."""
    return (x + 2**23) % 2**24 - 2**23


def place(values, index):
    """A value, 0 outside of the image (padding)."""
    inside = all(0 <= i < n for i, n in zip(index, values.shape, strict=True))
    return int(values[index]) if inside else 0


def conv(s: Conv, x, shape):
    out = np.zeros(shape, object)
    per_group = s.weight.shape[0] // s.groups
    c_in = s.weight.shape[1]
    for o, i, j in itertools.product(*map(range, shape)):
        total = 0
        for c, a, b in itertools.product(*map(range, s.weight.shape[1:])):
            row = i * s.stride[0] - s.padding[0] + a * s.dilation[0]
            column = j * s.stride[1] - s.padding[1] + b * s.dilation[1]
            source = (o // per_group) * c_in + c
            total += int(s.weight[o, c, a, b]) * place(x, (source, row, column))
        out[o, i, j] = total
    return out


def conv_transpose(s: ConvTranspose, x, shape):
    out = np.zeros(shape, object)
    per_group, c_out = s.weight.shape[0] // s.groups, s.weight.shape[1]
    for c, y, z in itertools.product(*map(range, x.shape)):
        for k, a, b in itertools.product(*map(range, s.weight.shape[1:])):
            row = y * s.stride[0] - s.padding[0] + a * s.dilation[0]
            column = z * s.stride[1] - s.padding[1] + b * s.dilation[1]
            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                target = (c // per_group * c_out + k, row, column)
                out[target] += int(s.weight[c, k, a, b]) * int(x[c, y, z])
    return out


def synapse(s, x, shape):
    if isinstance(s, Conv):
        sums = conv(s, x, shape)
    elif isinstance(s, ConvTranspose):
        sums = conv_transpose(s, x, shape)
    else:
        sums = np.zeros(shape, object)
        for index in itertools.product(*map(range, shape)):
            if isinstance(s, Dense):
                sums[index] = sum(
                    int(w) * int(v) for w, v in zip(s.weight[index[0]], x, strict=True)
                )
            else:
                assert isinstance(s, Identity)
                sums[index] = int(s.weight[index[0]]) * int(x[index])
    for index in itertools.product(*map(range, shape)):
        total = sums[index]
        # floor(total * 2**e), on whole numbers
        total = total * 2**s.weight_exp if s.weight_exp >= 0 else total // 2**-s.weight_exp
        sums[index] = wrap(total)
    return sums


def per_channel(values, index):
    return int(values[index[0] if values.size > 1 else 0])


def run(spec, sample):
    """Payloads (..., T) of every layer for one sample (..., T), one timestep after the other."""
    memory = {}
    kept = {layer.name: [] for layer in spec.layers}
    for t in range(spec.timesteps):
        now = [None] * len(spec.layers)
        left = set(range(len(spec.layers)))
        while left:  # any order in which the sources are done
            k = next(i for i in left if all(now[s] is not None for s in spec.layers[i].sources))
            left.remove(k)
            layer = spec.layers[k]
            if isinstance(layer, Input):
                now[k] = sample[..., t]
            elif isinstance(layer, Flatten):
                now[k] = np.array(list(now[layer.source].flat), object)
            else:
                now[k] = neurons(layer, now, memory.setdefault(k, {}))
            kept[layer.name].append(now[k])
    return {name: np.stack(values, -1).astype(np.int64) for name, values in kept.items()}


def neurons(layer, now, state):
    out = np.zeros(layer.shape, object)
    arms = [synapse(s, now[s.source], layer.shape) for s in layer.synapses]
    for index in itertools.product(*map(range, layer.shape)):
        a = wrap(sum(arm[index] for arm in arms))
        if layer.bias is not None:
            a += per_channel(layer.bias, index)
        neuron = layer.neuron
        if isinstance(neuron, MultiLevel):
            vth = per_channel(neuron.vth, index)
            h = wrap(state.get(index, per_channel(neuron.v0, index)) + a)
            z = 0
            while z < neuron.levels and h >= (z + 1) * vth:
                z += 1
            state[index] = h - z * vth
            out[index] = z
        else:
            out[index] = wrap(a + (state.get(index, 0) if neuron.integrate else 0))
            state[index] = out[index]
    return out
