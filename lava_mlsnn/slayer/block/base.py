"""What all training blocks share: SLAYER's calling conventions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from lava_mlsnn.checks import check_flag, shown
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.export import export_block
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import Hook, Synapse
from lava_mlsnn.slayer.block.neuron_params import check_delays, make_neuron

if TYPE_CHECKING:
    import h5py

__all__ = ["Block", "PopulationBlock", "SpikingBlock", "make_neuron", "weighted"]


class Block(torch.nn.Module):
    """Base of the blocks.

    Attributes
    ----------
    shape : tuple of int
        Output shape (C, H, W) or (F,). Known from construction, or from the first forward
        where the size of the input was left out.
    payload_max : int
        Largest magnitude of an output payload (0: not bounded by the block).
    role : {"", "input", "view", "output"}
        What an export has to know of it: samples enter here, elements are only moved,
        nothing can come behind.
    count_log : bool
        If True, forward returns ``(x, rate)`` with the fraction of non-zero outputs.
    """

    role: ClassVar[str] = ""
    shape: tuple[int, ...]
    payload_max: int = 0

    def __init__(self, count_log: bool = False) -> None:
        super().__init__()
        self.count_log = count_log

    def logged(self, x: torch.Tensor) -> Any:
        """``x``, or with ``count_log`` the pair of ``x`` and its event rate."""
        return (x, (x != 0).float().mean()) if self.count_log else x

    def export_hdf5(self, handle: h5py.Group, timesteps: int | None = None) -> None:
        """Write this block as one NetX layer into an h5py group, as SLAYER blocks do.

        For whole networks :func:`netx_export.export_model` writes the same layers
        plus names, connections and the format version.

        Parameters
        ----------
        handle : h5py.Group
            An empty group, ``/layer/<i>`` of the file.
        timesteps : int, optional
            T of one sample; default: what the block was trained or run with. Where it is
            not known, the file does not say it, and who reads the file has to.

        Raises
        ------
        CalibrationError, RangeError, UnsupportedLayerError
        """
        export_block(self, handle, timesteps)


class PopulationBlock(Block):
    """A block that is one population."""

    def __init__(self, population: Population, count_log: bool = False) -> None:
        super().__init__(count_log)
        self.population = population

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """See :class:`Block`; ConfigError while it is not known."""
        return self.population.shape

    @property
    def synapse(self) -> Synapse:
        """The main synapse (``synapse.weight``, ``synapse.pre_hook_fx``, ``synapse.norm``)."""
        first = self.population.synapses[0]
        assert isinstance(first, Synapse)
        return first

    @property
    def neuron(self) -> MultiLevelNeuron | None:
        """The neuron; None for readouts and relays."""
        return self.population.neuron

    def forward(self, x: torch.Tensor) -> Any:
        """NC[HW]T in, NC[HW]T out."""
        return self.logged(self.population(x))


def weighted(
    synapse: Synapse, weight_norm: Any, pre_hook_fx: Hook | None, mask: Any = None
) -> Synapse:
    """The synapse with what SLAYER's arguments make of its weight."""
    if not (pre_hook_fx is None or callable(pre_hook_fx)):
        raise ConfigError(f"pre_hook_fx must be a function of a weight, got {shown(pre_hook_fx)}")
    synapse.pre_hook_fx = pre_hook_fx
    if mask is not None:
        assert synapse.weight is not None
        wanted, mask = tuple(synapse.weight.shape), torch.as_tensor(mask)
        if tuple(mask.shape) != wanted:
            raise ConfigError(
                f"mask must have the weight's shape {wanted}, got {tuple(mask.shape)}"
            )
        synapse.mask = mask.to(synapse.weight.dtype)
    if check_flag("weight_norm", weight_norm):
        synapse.enable_weight_norm()
    return synapse


class SpikingBlock(PopulationBlock):
    """A block of one synapse into multi-level neurons."""

    def __init__(
        self,
        synapse: Synapse,
        neuron_params: Mapping[str, Any],
        scaling: Scaling | None,
        delay: bool,
        delay_shift: bool,
        count_log: bool,
    ) -> None:
        check_delays(delay, delay_shift)
        neuron = make_neuron(neuron_params)
        super().__init__(Population([synapse], neuron, scaling or Scaling()), count_log)
        self.payload_max = neuron.levels
