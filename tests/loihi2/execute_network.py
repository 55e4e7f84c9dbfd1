"""Run as a script, with ``standin`` on the path: allocate a file's network, execute it, compare.

Arguments: the file, an .npz with ``x`` (payloads (N, *shape)), and where to write the layers'
payloads per timestep that the executed allocation gave.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from chip import Chip

from lava_mlsnn.loihi2 import programs_of
from netx_export import Network, depths, read


def main(file: str, samples: str, folder: str, out: str) -> None:
    spec = read(file)
    x = np.load(samples)["x"]
    programs = {program.name: program for program in programs_of(spec)}
    for name in programs:  # the files that a user with access would have written
        Path(folder, f"{name}.dasm").write_text("stands for a program")
    network = Network(spec, target="loihi2", ucode=folder)
    chip = Chip(network, programs)
    timed = np.repeat(x, spec.timesteps, axis=0)
    depth = depths(spec)
    found = {layer.name: [] for _, layer in spec.populations}
    units = {proc.name: unit for proc, unit in chip.neurons.items()}
    for t in range(len(timed) + depth[-1]):
        item = timed[t] if t < len(timed) else np.zeros_like(timed[0])
        chip.step(item.transpose() if item.ndim == 3 else item)
        for name, sent in found.items():
            value = units[name].sent
            sent.append(value.transpose() if value.ndim == 3 else value)
    layers = {}
    for index, layer in spec.populations:
        part = np.stack(found[layer.name])[depth[index] : depth[index] + len(timed)]
        shape = (len(x), spec.timesteps, *layer.shape)
        layers[layer.name] = np.moveaxis(part.reshape(shape), 1, -1)
    executed = sum(unit.executed for unit in chip.neurons.values())
    np.savez(out, executed=executed, **{f"layer {k}": v for k, v in layers.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
