"""How many bits the input of a lava-dl file has: its caller says so, the file does not."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

from netx_export.errors import ConfigError
from netx_export.spec.network import NetworkSpec
from netx_export.spec.widths import STATE_MAX

__all__ = ["graded_input", "says_no_bits"]

MOST_BITS = 24


def says_no_bits(spec: NetworkSpec) -> bool:
    """Whether the network is of a lava-dl file, and samples enter it without a neuron."""
    layer = spec.input
    bare = layer.neuron is None and (layer.levels, layer.signed) == (1, False)
    return bare and spec.provenance.get("source") == "lava-dl"


def graded_input(spec: NetworkSpec, input_message_bits: Any) -> NetworkSpec:
    """The network with an input of so many bits, as in ``lava.lib.dl.netx.hdf5.Network``.

    Parameters
    ----------
    spec : NetworkSpec
        Read from a file of lava-dl whose input layer has no neuron.
    input_message_bits : int
        0: binary, the default of lava-dl. b of 1..24: payloads from -(2**b - 1) to
        2**b - 1 (24 bits with the sign at most); lava-dl says nothing of their sign, and
        computes with either.

    Raises
    ------
    ConfigError
        For another number, or where the file itself says what enters.
    """
    bits, whole = input_message_bits, isinstance(input_message_bits, Integral)
    if not whole or isinstance(bits, bool) or not 0 <= bits <= MOST_BITS:
        raise ConfigError(
            f"input_message_bits must be a whole number of at least 0 and at most {MOST_BITS}, "
            f"got {bits!r:.80}"
        )
    if bits == 0:
        return spec
    if not says_no_bits(spec):
        low, high = spec.input.payload
        raise ConfigError(
            "input_message_bits is for files of lava-dl whose input has no neuron; this network "
            f"says itself that {low}..{high} enter it, so leave it out"
        )
    graded = replace(spec.input, levels=min((1 << int(bits)) - 1, STATE_MAX), signed=True)
    return replace(spec, layers=(graded, *spec.layers[1:]))
