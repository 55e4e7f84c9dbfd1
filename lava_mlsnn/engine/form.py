"""What a layer of the engine offers: all timesteps of a batch at once, or one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container
from typing import Any

import numpy as np
import torch

__all__ = ["NOTHING", "Form", "Momentary", "Payloads"]

Payloads = list[torch.Tensor]
NOTHING = np.zeros(1, np.int64)  # no value left 24 bits, and none can


class Form(ABC):
    """A population with its synapses.

    Attributes
    ----------
    name : str
        As in the file.
    shape : tuple of int
        (C, H, W) or (F,).
    slower : callable or None
        Makes the form that takes this one's place where it fails; None: nothing can.
    """

    slower: Callable[[], Form] | None = None

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.shape = shape

    @abstractmethod
    def run(
        self, sources: Payloads, timesteps: int, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Payloads of whole samples, time folded first into the batch.

        Parameters
        ----------
        sources : list of Tensor, (T * B, C, H, W)
            One payload tensor per synapse.
        timesteps : int
            T.
        free : container of int
            Sources, by their place in the list, that nobody reads after this layer.

        Returns
        -------
        z : Tensor, (T * B, C, H, W)
        overflows : ndarray of int64, (1 + synapses,), or NOTHING
            Values that left 24 bits: in the neurons, in each synapse.
        """

    def bytes(self, timesteps: int) -> int:
        """Memory that :meth:`run` goes through again and again, a neuron and sample."""
        return 8 * timesteps

    def begin_anew(self) -> None:  # noqa: B027 - most have nothing
        """Drop what was prepared for its trial: the first batch is what it prepares for."""

    def owned(self) -> list[Any] | None:
        """What a graph that :meth:`run` is traced into has to own; None: it cannot be traced."""
        return None

    @abstractmethod
    def start(self) -> Any:
        """The state of one sample before its first timestep."""

    @abstractmethod
    def step(self, sources: Payloads, state: Any) -> tuple[torch.Tensor, Any, np.ndarray]:
        """One timestep of one sample: payload, new state, overflows."""

    @abstractmethod
    def state_array(self, state: Any) -> np.ndarray:
        """A state as an array of the layer's shape, as the neuron Process keeps it."""

    @abstractmethod
    def state_from(self, v: np.ndarray) -> Any:
        """The state that such an array describes."""


class Momentary(Form):
    """A form at T = 1 that keeps nothing: every timestep starts at V0.

    Parameters
    ----------
    name, shape
        See :class:`Form`.
    general : callable
        Makes the same population as a form with a state, for those who ask for it.
    """

    def __init__(self, name: str, shape: tuple[int, ...], general: Callable[[], Form]) -> None:
        super().__init__(name, shape)
        self._make_general = general
        self._general: Form | None = None

    def bytes(self, timesteps: int) -> int:
        """Payloads in and out."""
        return 2

    def start(self) -> None:
        """Nothing is kept: the state after a timestep follows from its sources."""

    def step(self, sources: Payloads, state: Any) -> tuple[torch.Tensor, Any, np.ndarray]:
        """See :class:`Form`; the state is the sources that it would follow from."""
        return self.run(sources, 1)[0], sources, NOTHING

    def state_array(self, state: Any) -> np.ndarray:
        """The membrane after the last timestep, computed now."""
        if self._general is None:
            self._general = self._make_general()
        v = self._general.start()
        if state is not None:
            _, v, _ = self._general.step(state, v)
        return self._general.state_array(v)

    def state_from(self, v: np.ndarray) -> None:
        """T = 1 starts every timestep at V0: what was is forgotten."""
