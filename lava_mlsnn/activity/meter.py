"""One meter for the training model, the integer runner and Lava."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lava_mlsnn.activity.record import Activity
from lava_mlsnn.activity.summary import summarise
from lava_mlsnn.backends import backend_of, traces_of
from lava_mlsnn.checks import shown
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.trace import Trace
from netx_export.spec import NetworkSpec, need_spec
from netx_export.spec.encode import encode

if TYPE_CHECKING:
    import torch

__all__ = ["ActivityMeter", "measure"]

FIXED = ("spec", "x", "layers", "probes")  # what measure() itself gives
T = TypeVar("T", bound="Trace")
Counts = tuple[int, int, dict[str, np.ndarray]]


class ActivityMeter:
    """Adds up the activity of traced batches.

    For a layer with payloads z(n, i, t) of n samples, neurons i and timesteps t::

        events[i]  = sum over n, t of [z != 0]
        payload[i] = sum over n, t of |z|
        active[i]  = sum over n of [any t: z != 0]

    Whole numbers, so that every side that has the same integers has the same counts.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Attributes
    ----------
    samples : int
        Samples added.

    Raises
    ------
    ConfigError
        If ``spec`` is no network.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = need_spec(spec)
        self.samples = 0
        self.timesteps = 0  # of what was added; networks of lava-dl's neurons take any
        self._shapes = {spec.input.name: spec.input.shape}
        self._shapes |= {p.name: p.shape for _, p in spec.populations}
        self._sums = {name: np.zeros((3, *shape), np.int64) for name, shape in self._shapes.items()}

    def add(self, layers: dict[str, np.ndarray], x: np.ndarray | None = None) -> None:
        """Count a batch.

        Parameters
        ----------
        layers : dict of str to ndarray, (N, C, H, W, T) or (N, F, T)
            Whole-numbered payloads of every population, as ``IntegerRunner.iter_traces``,
            ``run_lava(probes=True).layers`` and ``training_trace`` give them.
        x : ndarray of int, optional
            Payloads of the input, (N, ...) or with a last axis T; needed unless ``layers``
            holds the input under its name.

        Raises
        ------
        DataError
            If a layer is missing, or an array is not N samples of it.
        """
        if not isinstance(layers, dict):
            raise DataError(f"layers must be a dict of names to payloads, got {shown(layers)}")
        found = {name: _array(name, z) for name, z in layers.items()}
        if x is not None:
            found[self.spec.input.name] = self._timed(_array("x", x), found)
        for name in self._shapes:
            if name not in found:
                hint = "; give the input's payloads as x" if name == self.spec.input.name else ""
                raise DataError(f"activity needs the payloads of every layer{hint}", name)
        first = found[self.spec.input.name]
        timesteps = self.timesteps or (first.shape[-1] if first.ndim else 0)
        if timesteps == 0:
            raise DataError(
                f"payloads need a last axis of at least one timestep, got shape {first.shape}",
                self.spec.input.name,
            )
        for name, shape in self._shapes.items():
            if found[name].shape != (len(first), *shape, timesteps):
                raise DataError(
                    f"payloads must have shape {(len(first), *shape, timesteps)}, "
                    f"got {found[name].shape}",
                    name,
                )
        whole = {name: _integers(name, found[name]) for name in self._shapes}
        self.samples += len(first)
        self.timesteps = timesteps
        for name, z in whole.items():
            sums, fires = self._sums[name], z != 0
            active = fires.any(axis=-1).sum(axis=0)
            sums[0] += active if timesteps == 1 else fires.sum(axis=(0, -1))
            sums[1] += (z if z.dtype.kind == "u" else np.abs(z)).sum(axis=(0, -1), dtype=np.int64)
            sums[2] += active

    @property
    def counts(self) -> Counts:
        """What was added up: samples, timesteps, and the sums of every neuron, (3, C, H, W)."""
        return self.samples, self.timesteps, self._sums

    def merge(self, counts: Counts) -> None:
        """Add the counts of another meter of the same network, over other samples.

        Parameters
        ----------
        counts : tuple
            :attr:`counts` of the other. Sums of whole numbers: the result is that of one
            meter that saw all samples.

        Raises
        ------
        DataError
            If they are of another network, or another T.
        """
        samples, timesteps, sums = counts
        shapes = {name: total.shape for name, total in sums.items()}
        if shapes != {name: total.shape for name, total in self._sums.items()}:
            raise DataError("the counts to merge are of another network")
        if samples and self.samples and timesteps != self.timesteps:
            raise DataError(
                f"the counts to merge must be of {self.timesteps} timesteps, got {timesteps}"
            )
        self.samples += samples
        self.timesteps = self.timesteps or timesteps
        for name, total in sums.items():
            self._sums[name] += total

    def follow(self, traces: Iterable[T], x: np.ndarray) -> Iterator[T]:
        """Count ``runner.iter_traces(x)`` while it is walked through.

        Parameters
        ----------
        traces : iterable of Trace
            Batches in the order of ``x``.
        x : ndarray of int
            All input payloads.
        """
        done = 0
        for trace in traces:
            self.add(trace.layers, x[done : done + len(trace.output)])
            done += len(trace.output)
            yield trace

    def watch(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        """Count every forward of a training model inside the ``with`` block.

        The model runs in ``eval()`` and integer precision there, and is left as it was.

        Parameters
        ----------
        model : Module
            The model that ``spec`` was made of.

        Raises
        ------
        ParityError
            If model and network have other layers, or the model sends fractions.
        """
        from lava_mlsnn.activity.hook import integer_payloads

        return integer_payloads(model, self.spec, lambda layers, _: self.add(layers))

    def result(self) -> Activity:
        """Means over the samples.

        Raises
        ------
        DataError
            If nothing was added.
        """
        if not self.samples:
            raise DataError("activity needs at least one sample, got none")
        return summarise(self.spec, self._sums, self.samples, self.timesteps)

    def _timed(self, x: np.ndarray, layers: dict[str, np.ndarray]) -> np.ndarray:
        """A static sample repeated over the timesteps that the others have."""
        if x.ndim != len(self.spec.input.shape) + 1:
            return x
        other = next(iter(layers.values()), None)
        timesteps = other.shape[-1] if other is not None and other.ndim else self.spec.timesteps
        return np.broadcast_to(x[..., None], (*x.shape, timesteps))


def measure(
    spec: NetworkSpec,
    data: np.ndarray,
    *,
    model: torch.nn.Module | None = None,
    backend: str = "runner",
    **options: Any,
) -> Activity:
    """Activity of samples on one side.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    data : ndarray, (N, C, H, W) or (N, F), or with a last axis T
        Samples in the user's units; they are encoded as the file says.
    model : Module, optional
        For ``backend="model"``.
    backend : str
        Which side computes, a row of :data:`lava_mlsnn.backends.BACKENDS` or ``"model"``;
        the result is the same.
    **options
        Of the backend.

    Returns
    -------
    Activity
        Counts per layer, over all samples.

    Raises
    ------
    ConfigError
        For an unknown backend or option, or one without its model.
    DataError
        For samples that do not fit.
    """
    meter = ActivityMeter(spec)
    if backend == "model":
        from lava_mlsnn.activity.hook import training_batches

        if model is None:
            raise ConfigError("the backend model needs a model, got none")
        if options:
            raise ConfigError(f"the backend model has no option {', '.join(options)}; it has none")
        for layers in training_batches(model, spec, data):
            meter.add(layers)
        return meter.result()
    if not backend_of(backend).traces:
        raise ConfigError(f"the backend {backend} gives no payloads of layers to count")
    x = encode(spec, data)
    for _ in meter.follow(traces_of(backend, spec, x, **options), x):
        pass
    return meter.result()


def _array(name: str, z: Any) -> np.ndarray:
    """An array of numbers; DataError for anything else."""
    try:
        array = np.asarray(z)
    except ValueError:  # lists in lists, of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise DataError(f"payloads must be an array of numbers, got {shown(z)}", name)
    return array


def _integers(name: str, z: np.ndarray) -> np.ndarray:
    if z.dtype.kind in "iu":
        return z
    with np.errstate(invalid="ignore"):  # NaN equals nothing, and is refused
        whole = np.rint(z).astype(np.int64)
    if not np.array_equal(whole, z):
        raise DataError("payloads must be whole numbers; count a fixed-point or integer run", name)
    return whole
