"""Energy of a network on three machines: event-driven, dense, and skipping zeros."""

from __future__ import annotations

from lava_mlsnn.activity.record import Activity
from lava_mlsnn.energy.ann import artificial
from lava_mlsnn.energy.constants import Constants
from lava_mlsnn.energy.design import Design
from lava_mlsnn.energy.published import published_ann, published_snn
from lava_mlsnn.energy.result import Energy
from lava_mlsnn.energy.snn import matched, spiking
from lava_mlsnn.energy.structure import Structure, structure
from lava_mlsnn.errors import ConfigError
from netx_export.spec import NetworkSpec

__all__ = ["ann_energy", "energies", "snn_energy", "zero_skip_energy"]


def snn_energy(
    spec: NetworkSpec | Structure,
    activity: Activity,
    constants: Constants | None = None,
    design: Design | None = None,
) -> Energy:
    """Energy per sample of the event-driven network.

    ``E = E_memory + E_operations + E_addressing``; terms in :mod:`lava_mlsnn.energy.snn`.

    Parameters
    ----------
    spec : NetworkSpec or Structure
        The network.
    activity : Activity
        Of the same network.
    constants : Constants, optional
        The table.
    design : Design, optional
        The machine.

    Returns
    -------
    Energy
        pJ by layer, part and kind. Source: arXiv:2210.13107; graded payloads ours.

    Raises
    ------
    ConfigError
        If the activity is of another network.
    UnsupportedLayerError
        For neurons of lava-dl.
    """
    c, chosen = _choices(constants, design)
    net = structure(spec)
    if chosen.as_published:
        return published_snn(net, activity, c)
    return spiking(net, activity, c, chosen)


def ann_energy(
    spec: NetworkSpec | Structure,
    constants: Constants | None = None,
    design: Design | None = None,
) -> Energy:
    """Energy per sample of the dense ANN of the same shape, run once; needs no samples.

    Parameters, errors and source as :func:`snn_energy`; terms in
    :mod:`lava_mlsnn.energy.ann`.

    Parameters
    ----------
    spec, constants, design
        As in :func:`snn_energy`.

    Returns
    -------
    Energy
        Of one sample.
    """
    c, chosen = _choices(constants, design)
    net = structure(spec)
    if chosen.as_published:
        return published_ann(net, c)
    return artificial(net, c, quantised=False, small=chosen.payload == "small")


def zero_skip_energy(
    spec: NetworkSpec | Structure,
    activity: Activity | None,
    constants: Constants | None = None,
    design: Design | None = None,
) -> Energy:
    """Energy per sample of the ANN of N T levels that skips zeros: the honest baseline.

    A neuron's activation is not 0 if it sends in any timestep: exactly the ANN's at
    T = 1, and for T > 1 an approximation, since the ANN of N T levels is another function.
    Errors and source as :func:`snn_energy`. ``as_published`` is
    refused: the original has no such machine.

    Parameters
    ----------
    spec, constants, design
        As in :func:`snn_energy`.
    activity : Activity or None
        None: no zero is skipped (the dense ANN of N T levels).

    Returns
    -------
    Energy
        Of one sample.
    """
    c, chosen = _choices(constants, design)
    if chosen.as_published:
        raise ConfigError("the original has no ANN that skips zeros; leave as_published out")
    net = structure(spec)
    active = None
    if activity is not None:
        active = {
            (node.name, k): seen.active_operations
            for node, layer in matched(net, activity)
            for k, seen in enumerate(layer.synapses)
        }
    return artificial(net, c, True, active, chosen.payload == "small")


def energies(
    spec: NetworkSpec | Structure,
    activity: Activity,
    constants: Constants | None = None,
    design: Design | None = None,
) -> dict[str, Energy]:
    """All machines by name: ``snn``, ``ann``, ``zero-skip`` (not ``as_published``).

    Parameters
    ----------
    spec, activity, constants, design
        As in :func:`snn_energy`.

    Returns
    -------
    dict of str to Energy
        Of one sample each.
    """
    net = structure(spec)
    c, chosen = _choices(constants, design)
    found = [snn_energy(net, activity, c, chosen), ann_energy(net, c, chosen)]
    if not chosen.as_published:
        found.append(zero_skip_energy(net, activity, c, chosen))
    return {energy.model: energy for energy in found}


def _choices(constants: Constants | None, design: Design | None) -> tuple[Constants, Design]:
    """The table and the machine, the usual ones for None."""
    c = Constants() if constants is None else constants
    chosen = Design() if design is None else design
    if not (isinstance(c, Constants) and isinstance(chosen, Design)):
        raise ConfigError(
            "constants must be Constants and design a Design, got "
            f"{type(c).__name__} and {type(chosen).__name__}; Constants().replaced({{...}}) "
            "takes a dict"
        )
    return c, chosen
