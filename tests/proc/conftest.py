"""A ProcessModel driven directly, so that laws can be tried on many drawn inputs.

It is built as Lava's PyProcessBuilder does, but its ports are lists in this
process. The tests marked ``lava`` run the same models in the real runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest


def drive_model(process, model_class, inputs, feed: str, send: str):
    """Run one timestep per item of ``inputs``; return the outputs and the model."""
    process._model_class = model_class  # what the compiler does; checks the numbers
    model = model_class(process.proc_params)
    for var in process.vars:
        lava_type = getattr(model_class, var.name)
        value = np.zeros(var.shape, lava_type.d_type)
        value[:] = var.init
        setattr(model, var.name, value)
    out = []
    for item in inputs:
        kind = getattr(model_class, feed).d_type
        arrived = np.asarray(item).astype(kind)
        model.__dict__[feed] = SimpleNamespace(recv=lambda arrived=arrived: arrived)
        model.__dict__[send] = SimpleNamespace(send=lambda data: out.append(np.array(data)))
        model.time_step += 1
        model.run_spk()
    return np.array(out), model


@pytest.fixture(scope="session")
def drive_neuron() -> Callable:
    return lambda process, model, inputs: drive_model(process, model, inputs, "a_in", "s_out")


@pytest.fixture(scope="session")
def drive_synapse() -> Callable:
    return lambda process, model, inputs: drive_model(process, model, inputs, "s_in", "a_out")
