"""Residual blocks: the integrating barrier of Sparse-ResNet and its alternatives.

``ML`` is the multi-level neuron, ``s`` the shortcut: x, or a strided 1x1 convolution
where the shape changes (``docs/networks.md``)::

    integrating  y = ML( BN(conv(ML(BN(conv(x))))) + s )       s = x | BN(conv1x1(x))
    respiking    y = ML_b( ML(BN(conv(ML(BN(conv(x)))))) + s ) s = x | ML(BN(conv1x1(x)))
    sew          y = ML(BN(conv(ML(BN(conv(x)))))) + s         s = x | ML(BN(conv1x1(x)))
    ms           m = BN(conv(ML(BN(conv(a))))) + s, a = ML(m_in)  s = m_in | BN(conv1x1(a))
    none         y = ML( BN(conv(ML(BN(conv(x))))) )

SEW-ADD sums spikes in a relay population, whose payload grows by N a block.
MS-ResNet carries a membrane stream in fixed point (``STREAM_SCALE`` units per 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lava_mlsnn.checks import check_whole
from lava_mlsnn.choices import BARRIERS, check_choice
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import ConvSynapse, IdentitySynapse, Synapse
from lava_mlsnn.slayer.block.base import Block, make_neuron
from netx_export.spec.neurons.step import message_bits

__all__ = ["BARRIERS", "STREAM_SCALE", "Residual"]

STREAM_SCALE = 1024.0  # integer units per 1 of an MS-ResNet membrane stream


class Residual(Block):
    """Two 3x3 convolutions, or one, and a shortcut.

    Parameters
    ----------
    neuron_params : dict
        Arguments of :class:`lava_mlsnn.neuron.MultiLevelNeuron`.
    input_shape : tuple of int
        (C, H, W).
    out_features : int
        Output channels.
    stride : int
        Of the first convolution and the shortcut.
    barrier : {"integrating", "respiking", "sew", "ms", "none"}
        See the module.
    barrier_threshold : float
        Threshold of the re-spiking barrier, in payload units.
    shortcut_neuron : bool
        ``integrating`` only: a neuron on the 1x1 shortcut too.
    convolutions : {2, 1}
        One is the second: ``ML(BN(conv(x)))`` inside the branch is left out.
    payload_max : int
        Largest payload of the source (message width of SEW sums).
    scaling : Scaling, optional
        Of the convolutions.
    count_log : bool
        See :class:`Block`.

    Raises
    ------
    ConfigError
        For an unknown barrier, or another number of convolutions.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        input_shape: tuple[int, ...],
        out_features: int,
        stride: int = 1,
        *,
        barrier: str = "integrating",
        barrier_threshold: float = 1.0,
        shortcut_neuron: bool = False,
        convolutions: int = 2,
        payload_max: int,
        scaling: Scaling | None = None,
        count_log: bool = False,
    ) -> None:
        super().__init__(count_log)
        check_choice("barrier", barrier, BARRIERS)
        self.barrier_kind = barrier
        check_whole("convolutions", convolutions, 1, 2)
        scaling = scaling or Scaling()
        first = ConvSynapse(input_shape, out_features, 3, stride, 1)
        second = ConvSynapse(first.shape, out_features, 3, 1, 1) if convolutions == 2 else first
        changes = first.shape != tuple(input_shape)
        self.projects = changes  # the shortcut is a 1x1 convolution
        self.shape = first.shape
        self.conv1: Population | None = None
        self.act: Population | None = None
        self.shortcut: Population | None = None
        self.barrier: Population | None = None
        levels = self.payload_max = make_neuron(neuron_params).levels
        stream = Scaling("fixed", fixed=STREAM_SCALE, weight_bits=scaling.weight_bits)

        def spiking(*synapses: Synapse) -> Population:
            return Population(synapses, make_neuron(neuron_params), scaling)

        def projection() -> ConvSynapse:
            return ConvSynapse(input_shape, out_features, 1, stride)

        if barrier == "ms":
            read = IdentitySynapse(tuple(input_shape), in_scale=STREAM_SCALE)
            self.act = Population([read], make_neuron(neuron_params), stream)
        if convolutions == 2:
            self.conv1 = spiking(first)
        if barrier == "ms":
            side: Synapse = (
                projection() if changes else IdentitySynapse(self.shape, in_scale=STREAM_SCALE)
            )
            self.conv2 = Population([second, side], None, stream)
            self.payload_max = 0
        elif barrier in ("integrating", "none"):
            if barrier == "none":
                self.conv2 = spiking(second)
            elif changes and shortcut_neuron:
                self.shortcut = spiking(projection())
                self.conv2 = spiking(second, IdentitySynapse(self.shape))
            else:
                self.conv2 = spiking(
                    second, projection() if changes else IdentitySynapse(self.shape)
                )
        else:
            self.conv2 = spiking(second)
            self.shortcut = spiking(projection()) if changes else None
            arms = [IdentitySynapse(self.shape), IdentitySynapse(self.shape)]
            if barrier == "sew":
                self.payload_max = levels + (levels if changes else payload_max)
                self.barrier = Population(
                    arms,
                    None,
                    Scaling("fixed", fixed=1.0),
                    num_message_bits=max(8, message_bits(self.payload_max)),
                )
            else:
                last = make_neuron(neuron_params, threshold=barrier_threshold)
                whole = float(barrier_threshold).is_integer() and not last.train_threshold
                # a threshold between whole numbers needs finer units than 1
                unit = Scaling("fixed", fixed=1.0 if whole else 128.0)
                self.barrier = Population(arms, last, unit)

    def forward(self, x: torch.Tensor) -> Any:
        """(N, C, H, W, T) to (N, C', H', W', T)."""
        a = x if self.act is None else self.act(x)
        hidden = a if self.conv1 is None else self.conv1(a)
        if self.barrier is not None:
            side = x if self.shortcut is None else self.shortcut(x)
            y = self.barrier(self.conv2(hidden), side)
        elif self.barrier_kind == "none":
            y = self.conv2(hidden)
        elif self.shortcut is not None:
            y = self.conv2(hidden, self.shortcut(x))
        else:
            y = self.conv2(hidden, a if self.projects else x)
        return self.logged(y)
