"""A small file as lava-dl's SLAYER writes it."""

from __future__ import annotations

import h5py
import numpy as np


def stock_file(path, input_neuron=False):
    """A dense layer of CUBA neurons behind an input layer, as SLAYER writes it."""
    cuba = {"iDecay": 4096, "vDecay": 4096, "vThMant": 50, "refDelay": 1, "gradedSpike": False}
    with h5py.File(path, "w") as file:
        for index, kind in enumerate(("input", "dense")):
            layer = file.create_group(f"layer/{index}")
            layer["type"] = np.array([kind.encode()], "S10")
            layer["shape"] = np.array([(6,), (4,)][index])
            if kind == "dense":
                layer["inFeatures"], layer["outFeatures"] = 6, 4
                layer["weight"] = np.random.default_rng(0).integers(-60, 60, (4, 6)) * 2
            if kind == "dense" or input_neuron:
                neuron = layer.create_group("neuron")
                neuron["type"] = np.array([b"LOIHI"], "S10")
                for name, value in cuba.items():
                    neuron[name] = value
    return path
