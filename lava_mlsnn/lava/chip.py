"""Run a network file on Loihi 2 through the closed Lava extension.

Unverified on silicon: written against the public face of the extension (the calls that
lava-dl's tests and tutorials make). What could differ there is an argument here, and what
comes back is compared with the integer runner before it is believed.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lava_mlsnn.errors import ConfigError, MLSNNError, RunError, said
from lava_mlsnn.lava.forks import alone
from lava_mlsnn.lava.session import LavaSession, require_lava
from lava_mlsnn.runner import IntegerRunner
from lava_mlsnn.trace import Trace
from netx_export.spec import NetworkSpec, Readout, need_spec
from netx_export.spec.encode import check_payload
from netx_export.spec.timing import latency

__all__ = ["aligned", "choose_host", "run_loihi2", "sign_extended"]

ADAPTERS = "lava.proc.embedded_io.spike"
SLACK = 8  # timesteps beyond the latency in which a first result is looked for


def sign_extended(values: np.ndarray, bits: int) -> np.ndarray:
    """Payloads that came back unsigned, as the signed numbers of ``bits`` bits they are."""
    low = values.astype(np.int64) & ((1 << bits) - 1)
    return low - ((low >> (bits - 1)) << bits)


def aligned(found: np.ndarray, expected: np.ndarray) -> tuple[int, int]:
    """Where ``expected`` (steps, F) fits best into ``found`` (more steps, F).

    Returns
    -------
    delay, different : int, int
        The offset with the fewest differing integers, the earliest of equals.
    """
    if len(found) < len(expected):
        raise ConfigError(f"{len(found)} timesteps cannot hold the {len(expected)} expected ones")
    counts = [
        int(np.count_nonzero(found[d : d + len(expected)] != expected))
        for d in range(len(found) - len(expected) + 1)
    ]
    delay = int(np.argmin(counts))
    return delay, counts[delay]


def choose_host(
    partition: str | None = None,
    board: str | None = None,
    host: str | None = None,
    generation: str = "N3B3",
) -> None:
    """Tell Lava where the chip is: SLURM partition or board, or the address of a host.

    Raises
    ------
    MLSNNError
        If the extension is not installed.
    RunError
        If the place does not exist or does not answer.
    """
    require_lava()
    from lava.utils import loihi

    if not loihi.is_installed():
        raise MLSNNError(
            "running on Loihi 2 needs Lava's closed extension (lava-loihi), which Intel gives to "
            "members of its research community (INRC), and it is not installed here; without it "
            "'mlsnn check FILE --target loihi2' says whether the network fits the chip"
        )
    if host is not None and (partition or board):
        raise ConfigError("name either a host, or a partition or board of SLURM, not both")
    names = [g.value for g in loihi.ChipGeneration]
    if generation not in names:
        raise ConfigError(f"generation must be one of {', '.join(names)}, got {generation!r}")
    chip = loihi.ChipGeneration(generation)
    try:
        if host is not None:
            loihi.use_ethernet_host(host, loihi_gen=chip)
        elif partition or board:
            loihi.use_slurm_host(partition=partition, board=board, loihi_gen=chip)
    except (ImportError, OSError, ValueError) as error:
        raise RunError(f"the Loihi 2 host cannot be used: {said(error)}") from None


def run_loihi2(
    spec: NetworkSpec,
    x: np.ndarray,
    *,
    partition: str | None = None,
    board: str | None = None,
    host: str | None = None,
    generation: str = "N3B3",
    ucode: str | os.PathLike[str] | None = None,
    input_adapter: str = "PyToNxAdapter",
    input_delay: int = 0,
    run_cfg: Any = None,
    progress: Callable[[int, int], None] | None = None,
    timeout: float | None = None,
) -> Trace:
    """Feed samples one right after the other through the network on Loihi 2.

    Parameters
    ----------
    spec : NetworkSpec
        Its output must be a readout.
    x : ndarray of int
        As for :func:`netx_export.run_lava`.
    partition, board, host, generation
        See :func:`choose_host`; nothing leaves the environment as it is.
    ucode : path or None
        Folder of the microcode programs, see :mod:`lava_mlsnn.loihi2.program.files`.
    input_adapter : str
        Process of ``lava.proc.embedded_io.spike`` that brings payloads to the chip;
        ``PyToN3ConvAdapter`` for convolutional inputs of the extension's own kind.
    input_delay : int
        Timesteps that the adapter adds before the first sample enters; shifts the resets
        of a network with T > 1.
    run_cfg : RunConfig, optional
        Default ``Loihi2HwCfg(select_tag="fixed_pt", select_sub_proc_model=True)``.
    progress, timeout
        As for :func:`netx_export.run_lava`.

    Returns
    -------
    Trace
        Results later than expected are found by comparing with the integer runner.
    """
    x = check_payload(need_spec(spec), x)
    if not isinstance(spec.output.neuron, Readout):
        raise ConfigError("the last layer must be a readout to be read on Loihi 2")
    choose_host(partition, board, host, generation)
    expected = IntegerRunner(spec, on_overflow="wrap").run(x).output
    steps = len(x) * spec.timesteps
    total = steps + latency(spec) + input_delay + SLACK
    with alone():
        from lava.magma.core.run_configs import Loihi2HwCfg

        from lava_mlsnn.lava.network.process import Network
        from lava_mlsnn.proc.stream.process import Record, Stream

        try:
            eio = importlib.import_module(ADAPTERS)
            adapter = getattr(eio, input_adapter)
            reader = eio.NxToPyAdapter
        except (ImportError, AttributeError) as error:
            raise RunError(f"the Lava extension lacks an adapter: {error}") from None
        network = Network(spec, target="loihi2", ucode=ucode, input_delay=input_delay)
        moved = np.moveaxis(x, -1, 1).reshape(-1, *spec.input.shape)
        data = moved.transpose(0, *range(moved.ndim - 1, 0, -1)).astype(np.int32)
        source = Stream(data=data)
        bits = max(8, (spec.input.payload[1]).bit_length() + 1)
        enter = adapter(
            shape=network.inp.shape, num_message_bits=next(b for b in (8, 16, 24) if b >= bits)
        )
        leave = reader(shape=network.out.shape, num_message_bits=24)
        sink = Record(shape=network.out.shape, steps=total, start=0)
        source.s_out.connect(enter.inp)
        enter.out.connect(network.inp)
        network.out.connect(leave.inp)
        leave.out.connect(sink.a_in)
        config = run_cfg or Loihi2HwCfg(select_tag="fixed_pt", select_sub_proc_model=True)
        session = LavaSession(source, config)
    with session:
        start = time.perf_counter()
        session.run(total, done=lambda: sink.done, progress=progress, timeout=timeout)
        seconds = time.perf_counter() - start
    values = sign_extended(sink.data[latency(spec) :].reshape(total - latency(spec), -1), 24)
    wanted = np.moveaxis(expected, -1, 1).reshape(steps, -1)
    delay, different = aligned(values, wanted)
    part = values[delay : delay + steps].reshape(len(x), spec.timesteps, -1)
    output = np.moveaxis(part, 1, -1)
    return Trace(output, {}, {}, total, seconds, delay, different)
