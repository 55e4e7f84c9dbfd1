"""What a Loihi 2 system offers: one table of numbers, each with where it comes from.

``seen`` numbers were read in the source that is named, ``inferred`` ones follow from
seen ones, ``assumed`` ones are ours because nothing public says them. Any of them can
be overridden; none was verified on silicon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lava_mlsnn.checks import meant, shown
from lava_mlsnn.errors import ConfigError

__all__ = ["LIMITS", "SYSTEMS", "Limit", "Limits", "System", "limits_for"]


@dataclass(frozen=True)
class Limit:
    """One number of the hardware, or of the model of it.

    Attributes
    ----------
    name, value, unit : str, float, str
        What ``--limit name=value`` changes.
    status : {"seen", "inferred", "assumed", "given"}
        How it is known; ``given`` by the user.
    source : str
        Where it stands, or why it was chosen.
    """

    name: str
    value: float
    unit: str
    status: str
    source: str

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit} ({self.status})"


@dataclass(frozen=True)
class System:
    """A board or machine: how many chips."""

    name: str
    chips: int
    status: str
    source: str


KB = 1024
SYSTEMS = {
    s.name: s
    for s in (
        System("loihi2", 1, "seen", "one chip"),
        System(
            "oheo-gulch",
            1,
            "seen",
            "lava core/resources.py names it, press of 2021: single-chip board",
        ),
        System("kapoho-point", 8, "seen", "press of 2021: eight chips"),
        System("hala-point", 1152, "seen", "press of April 2024: 1,152 chips, 140,544 cores"),
    )
}

LOIHI1 = "Loihi 1 (Davies et al. 2018, from memory); Loihi 2 is said to be faster"
LIMITS = {
    limit.name: limit
    for limit in (
        Limit("state_bits", 24, "bits", "seen", "Lava's fixed-point models: sdn, graded, lif"),
        Limit("weight_bits", 8, "bits", "seen", "lava utils/weightutils.py"),
        Limit("weight_exp_min", -8, "", "assumed", "Loihi 1's 4 bits; Loihi 2 is not public"),
        Limit("weight_exp_max", 7, "", "assumed", "Loihi 1's 4 bits; Loihi 2 is not public"),
        Limit(
            "delay", 62, "timesteps", "seen", "6 bits in lava dense/models.py; lava-dl stops at 62"
        ),
        Limit("message_bits", 24, "bits", "seen", "lava core/model/spike_type.py: GRADED8/16/24"),
        Limit("cores_per_chip", 120, "cores", "seen", "lava subcompilers/constants.py, N3"),
        Limit("neurons_per_core", 8192, "neurons", "seen", "wikichip.org, intel/loihi_2"),
        Limit("neurons_per_chip", 1 << 20, "neurons", "seen", "wikichip.org, intel/loihi_2"),
        Limit("synapses_per_chip", 120e6, "synapses", "seen", "open-neuromorphic.org, Loihi 2"),
        Limit(
            "memory_per_core",
            128 * KB,
            "bytes",
            "assumed",
            "press of 2021: 128 KB, freely divided; others say 192 KB",
        ),
        Limit("groups_per_core", 16, "layers", "assumed", "neuron programs that share a core"),
        Limit("axons_in_per_core", 4096, "entries", "assumed", "Loihi 1 (nengo-loihi)"),
        Limit("axons_out_per_core", 4096, "entries", "assumed", "Loihi 1 (nengo-loihi)"),
        Limit("word_bits", 24, "bits", "assumed", "a word of a neuron is stored without padding"),
        Limit("index_bits", 13, "bits", "assumed", "names one of 8192 neurons, per connection"),
        Limit("axon_bits", 64, "bits", "assumed", "memory of an axon entry"),
        Limit("step_ns", 200, "ns", "inferred", "shortest timestep in Intel's brief, from memory"),
        Limit("update_ns", 8.4, "ns", "assumed", f"a neuron's timestep: {LOIHI1}"),
        Limit("synop_ns", 3.5, "ns", "assumed", f"a synaptic operation: {LOIHI1}"),
        Limit("message_ns", 2.1, "ns", "assumed", f"a message in or out of a core: {LOIHI1}"),
    )
}

SIGNED = {"weight_exp_min", "weight_exp_max"}
ZERO = {"delay", "index_bits", "axon_bits", "step_ns", "update_ns", "synop_ns", "message_ns"}
BROKEN = {"step_ns", "update_ns", "synop_ns", "message_ns"}  # need not be whole


@dataclass(frozen=True)
class Limits:
    """The table for one system.

    Attributes
    ----------
    system : str
        Its name.
    chips : int
        Chips it has.
    table : dict of str to Limit
        By name.
    """

    system: str
    chips: int
    table: Mapping[str, Limit]

    def __getitem__(self, name: str) -> int:
        """Return a whole number of the table."""
        return int(self.table[name].value)

    def number(self, name: str) -> float:
        """A number that may have a fraction."""
        return self.table[name].value

    def why(self, name: str) -> str:
        """The limit in a message: ``"8 (assumed: --limit weight_exp_max=VALUE)"``."""
        limit = self.table[name]
        known = limit.status if limit.status in ("seen", "given") else ""
        return f"{limit.value:g} ({known or f'{limit.status}: --limit {name}=VALUE'})"

    @property
    def cores(self) -> int:
        """Cores of the whole system."""
        return self.chips * self["cores_per_chip"]

    @property
    def capacity(self) -> dict[str, int]:
        """What one core holds, by resource; chip-wide limits are spread evenly."""
        cores = self["cores_per_chip"]
        return {
            "neurons": min(self["neurons_per_core"], self["neurons_per_chip"] // cores),
            "memory": 8 * self["memory_per_core"],  # bits
            "synapses": self["synapses_per_chip"] // cores,
            "axons in": self["axons_in_per_core"],
            "axons out": self["axons_out_per_core"],
            "layers": self["groups_per_core"],
        }

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "system": self.system,
            "chips": self.chips,
            "limits": [
                {
                    "name": x.name,
                    "value": x.value,
                    "unit": x.unit,
                    "status": x.status,
                    "source": x.source,
                }
                for x in self.table.values()
            ],
        }


RESOURCES = {  # resource of a core: the limit to name in a message
    "neurons": "neurons_per_core",
    "memory": "memory_per_core",
    "synapses": "synapses_per_chip",
    "axons in": "axons_in_per_core",
    "axons out": "axons_out_per_core",
    "layers": "groups_per_core",
}


def limits_for(system: str = "kapoho-point", overrides: Iterable[str] = ()) -> Limits:
    """The table of a system with the user's changes.

    Parameters
    ----------
    system : str
        One of :data:`SYSTEMS`.
    overrides : iterable of str
        ``"name=value"``; besides the names of :data:`LIMITS` also ``chips``.

    Returns
    -------
    Limits
        Every number with its source.

    Raises
    ------
    ConfigError
        For a system, name or value that cannot be.
    """
    if not isinstance(system, str) or system not in SYSTEMS:
        known = ", ".join(SYSTEMS)
        close = meant(system, SYSTEMS)
        raise ConfigError(f"system must be one of {known}, got {shown(system)}{close}")
    table, chips = dict(LIMITS), SYSTEMS[system].chips
    if isinstance(overrides, str) or not isinstance(overrides, Iterable):
        raise ConfigError(f"overrides must be a list of name=value, got {overrides!r}")
    for text in overrides:
        if not isinstance(text, str):
            raise ConfigError(f"a limit must be text like name=value, got {text!r}")
        name, equals, given = text.partition("=")
        name = name.strip()
        if not equals or (name != "chips" and name not in table):
            raise ConfigError(
                f"a limit is name=value with a name of {', '.join(table)} or chips, got {text!r}"
            )
        value = _value(name, given)
        if name == "chips":
            chips = int(value)
        else:
            table[name] = replace(table[name], value=value, status="given", source="--limit")
    if table["neurons_per_chip"].value < table["cores_per_chip"].value:
        raise ConfigError("neurons_per_chip must be at least cores_per_chip")
    if table["synapses_per_chip"].value < table["cores_per_chip"].value:
        raise ConfigError("synapses_per_chip must be at least cores_per_chip")
    return Limits(system, chips, table)


def _value(name: str, given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    low = -math.inf if name in SIGNED else 0 if name in ZERO else 1
    whole = name in BROKEN or value == math.floor(value) if math.isfinite(value) else False
    most = 1e4 if name.endswith("_bits") else 1e9  # sums of them stay in 64 bits
    if not whole or value < low or abs(value) > most:
        kind = "a number" if name in BROKEN else "a whole number"
        least = -most if name in SIGNED else low
        raise ConfigError(
            f"limit {name} must be {kind} in {least:g}..{most:g}, got {given.strip()!r}"
        )
    return value
