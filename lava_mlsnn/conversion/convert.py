"""The conversion of a trained float network."""

from __future__ import annotations

import logging
from typing import Any

import torch

from lava_mlsnn.checks import check_flag, check_number, check_whole
from lava_mlsnn.choices import THRESHOLDS, check_choice
from lava_mlsnn.conversion.build import Conversion
from lava_mlsnn.conversion.network import ConvertedNetwork
from lava_mlsnn.conversion.reader import read
from lava_mlsnn.conversion.share import Share
from lava_mlsnn.conversion.statistics import CORRECTED_BY, gathered, look
from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.export import scale_losses, warn_losses
from netx_export.spec.limits import MAX_TIMESTEPS
from netx_export.spec.widths import STATE_MAX

__all__ = ["convert"]

LOG = logging.getLogger("lava_mlsnn.conversion")


def convert(
    module: torch.nn.Module,
    calibration: Any,
    levels: int = 4,
    timesteps: int = 1,
    *,
    threshold: str = THRESHOLDS[0],
    percentile: float = 99.9,
    bias_correction: bool = True,
    input_levels: int = 127,
    together: bool = False,
) -> ConvertedNetwork:
    """A trained float network as a multi-level network, without training.

    A sum of layers before a ReLU becomes one population with a synapse for each of them, an
    activation ``a`` of channel c the payload ``clip(round(a / u_c), 0, N)``. BatchNorm is folded.
    What can be negative where something reads it is sent by its signs, by two neurons. The module
    stays as it is, in the mode that it was in.

    Parameters
    ----------
    module : Module
        Takes (N, C, H, W), (N, C, L) or (N, F) and returns scores (N, classes).
    calibration : Tensor, ndarray or iterable of batches
        Training samples as the module gets them, without labels or in pairs with them; a few
        hundred. The largest magnitude sets the scale of the input.
    levels : int
        N, largest payload of a spike.
    timesteps : int
        T; samples are shown T times, and the mean payload counts.
    threshold : {"least-error", "percentile"}
        How u_c is found, see :mod:`lava_mlsnn.conversion.thresholds`.
    percentile : float
        Of "percentile", 0..100.
    bias_correction : bool
        Whether the mean error of a channel before its neuron moves into its bias (Nagel et al.,
        ICCV 2019), layer by layer.
    input_levels : int
        Largest payload of the input.
    together : bool
        Whether all processes of torch's default group call this, with the same arguments: each
        takes its share of the calibration batches, and all get the network of one process, to
        the bit where each has as many threads.

    Returns
    -------
    ConvertedNetwork
        In ``eval()``: its integers. Trains on as it is, and exports by ``export_model``.
        Convolutions over (C, L) become images of one row: it takes (N, C, 1, L).

    Raises
    ------
    UnsupportedLayerError
        For every layer and function without a counterpart, with its line.
    DataError
        For calibration data that the module cannot take.
    ConfigError
        For an argument outside its range, and for processes that hold other arguments.
    RangeError
        If so many levels meet so many inputs that no weight of a layer is left.

    Notes
    -----
    Where they leave too few bits of the weights, the logger ``lava_mlsnn.conversion`` warns
    (:func:`lava_mlsnn.export.scale_losses`, :mod:`lava_mlsnn.population.resolution`).
    """
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedLayerError(f"convert takes a torch.nn.Module, got {type(module).__name__}")
    check_whole("levels", levels, 1, STATE_MAX)
    check_whole("timesteps", timesteps, 1, MAX_TIMESTEPS)
    check_whole("input_levels", input_levels, 1, STATE_MAX)
    check_choice("threshold", threshold, THRESHOLDS)
    check_number("percentile", percentile, 0, 100, above=True)
    check_flag("bias_correction", bias_correction)
    share = Share(check_flag("together", together))
    x = gathered(calibration)
    share.check_same([x, *module.state_dict().values()])
    plan = read(module, x[:2], timesteps)
    network = Conversion(
        plan,
        look(plan, x, share),
        x[:CORRECTED_BY],
        levels=levels,
        timesteps=timesteps,
        input_levels=input_levels,
        threshold=threshold,
        percentile=percentile,
        correct=bias_correction,
        share=share,
    ).network()
    losses = scale_losses(network)
    if share.rank == 0:
        warn_losses(losses, LOG)
    return network
