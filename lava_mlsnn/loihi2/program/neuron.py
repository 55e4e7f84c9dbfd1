"""The neurons of this project as programs.

The multi-level neuron asks for ``z = clip(floor(H / vth), 0, N)`` without a division.
Three ways, each exact for every 24-bit H:

**Compare and subtract**, for any threshold. N is cut into chunks, the larger half
first: ``N = s_1 + s_2 + ... + s_B`` with ``s_1 = ceil(N/2)`` and the rest the chunks of
``floor(N/2)``; B = ceil(log2(N + 1)). Each chunk is taken if ``H >= s_k vth`` still
holds. This takes min(floor(H/vth), N) in all: if floor(H/vth) >= s_1, what remains is
``min(floor(H/vth) - s_1, N - s_1)`` and N - s_1 = floor(N/2); otherwise floor(H/vth) <=
s_1 - 1 <= floor(N/2), which the remaining chunks can take. Four instructions a chunk.

**Shift**, for thresholds 2**p: ``z = min(H >> p, N)``.

**Multiply and shift**, ``z = (min(H, top) M) >> s`` with top = (N + 1) vth - 1, beyond
which z is N, and M = floor(2**s / vth) + 1. Let e = M vth - 2**s, in 1..vth. For
``H = k vth + r`` the product is ``k 2**s + (k e + r M)``; its last term stays below 2**s
for all H up to top if ``top e < 2**s``. The smallest such s is taken. M can need more
than 24 bits where vth is large; then there is no such program.

A chunk constant above 2**23 - 1 is left out: no H reaches it. Ours.
"""

from __future__ import annotations

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.loihi2.program.instructions import Instruction, Program
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = [
    "METHODS",
    "chunks",
    "multilevel_each_program",
    "multilevel_program",
    "multiplier",
    "readout_program",
]

METHODS = ("subtract", "shift", "multiply")


def chunks(levels: int) -> tuple[int, ...]:
    """Chunk sizes s_1, s_2, ... for N levels."""
    sizes = []
    while levels:
        sizes.append((levels + 1) // 2)
        levels //= 2
    return tuple(sizes)


def multiplier(vth: int, levels: int) -> tuple[int, int]:
    """(M, s) with ``(H M) >> s == H // vth`` for all H in 0..(levels + 1) vth - 1."""
    top = (levels + 1) * vth - 1
    s = 0
    while True:
        m = (1 << s) // vth + 1
        if top * (m * vth - (1 << s)) < 1 << s:
            return m, s
        s += 1


def _reset(timesteps: int, start: str) -> list[Instruction]:
    """V = V0 in the first timestep of a sample; nothing at T = 1, where V0 is in the bias.

    A counter per neuron, since what a core offers to count timesteps is not public.
    """
    if timesteps == 1:
        return []
    return [
        Instruction("compare", a="left", b=0, note="timesteps left of the sample"),
        Instruction("skip", condition="ne", k=2),
        Instruction("move", "v", start, note="V = V0"),
        Instruction("move", "left", timesteps),
        Instruction("sub", "left", "left", 1),
    ]


def _integrate(timesteps: int) -> list[Instruction]:
    if timesteps == 1:
        return [Instruction("add", "v", "a", "bias", note="H = V0 + a + b")]
    return [
        Instruction("add", "v", "v", "a", note="H = V + a"),
        Instruction("add", "v", "v", "bias", note="H = H + b"),
    ]


def _subtract(levels: int, constants: dict[str, int], vth: int) -> list[Instruction]:
    """Z by chunks whose multiples of a shared threshold are group constants."""
    code = []
    for k, size in enumerate(chunks(levels), 1):
        if size * vth > STATE_MAX:
            continue
        constants[f"c{k}"] = size * vth
        code += _chunk(f"c{k}", size)
    return code


def _subtract_each(levels: int) -> list[Instruction]:
    """The same where every neuron has a threshold of its own."""
    code = []
    for size in chunks(levels):
        multiple = "vth" if size == 1 else "t"
        if size > 1:
            note = f"t = {size} vth"
            code.append(Instruction("mulshift", "t", "vth", size, note=note))
        code += _chunk(multiple, size)
    return code


def _chunk(multiple: str, size: int) -> list[Instruction]:
    return [
        Instruction("compare", a="v", b=multiple, note=f"H >= {size} vth?"),
        Instruction("skip", condition="lt", k=2),
        Instruction("sub", "v", "v", multiple, note=f"H = H - {size} vth"),
        Instruction("add", "z", "z", size, note=f"z = z + {size}"),
    ]


def multilevel_program(
    vth: int, levels: int, *, v0: int = 0, timesteps: int = 1, method: str = ""
) -> Program:
    """One timestep of multi-level neurons that share a threshold.

    Parameters
    ----------
    vth : int
        Threshold, 1..2**23-1; a group constant, as are its multiples.
    levels : int
        N, at least 1.
    v0 : int
        State at the start of a sample, 24-bit signed. At T = 1 the caller adds it to
        the bias.
    timesteps : int
        T. At T = 1 nothing is kept.
    method : {"subtract", "shift", "multiply"}, optional
        Default: shift for powers of two, else subtract.

    Returns
    -------
    Program
        Inputs ``a``, ``bias``, and for T > 1 the kept ``v`` and ``left``. ``v`` holds
        the new state at the end. Subtract: at most ``11 + 4 B`` instructions, 5 + 4 B at
        T = 1, with B = ceil(log2(N + 1)); shift and multiply: 14, 8 at T = 1.
    """
    _check(levels, timesteps)
    for name, value, low in (("vth", vth, 1), ("v0", v0, STATE_MIN)):
        if not low <= value <= STATE_MAX:
            raise RangeError(f"{name} must lie in {low}..{STATE_MAX}, got {value}")
    power = vth & (vth - 1) == 0
    method = method or ("shift" if power else "subtract")
    if method not in METHODS or (method == "shift" and not power):
        raise ConfigError(
            f"method must be one of {', '.join(METHODS)} (shift only for powers of two), got "
            f"{method!r} for vth = {vth}"
        )
    constants = {"vth": vth} | ({"v0": v0} if timesteps > 1 else {})
    if method == "subtract":
        fire = [_no_spike_yet(), *_subtract(levels, constants, vth)]
    elif method == "shift":
        p = vth.bit_length() - 1
        fire = [
            Instruction("shift", "z", "v", k=-p, note="z = floor(H / vth)"),
            Instruction("min", "z", "z", levels, note="z = min(z, N)"),
            Instruction("shift", "t", "z", k=p),
            Instruction("sub", "v", "v", "t", note="V = H - vth z"),
        ]
    else:
        m, s = multiplier(vth, levels)
        if m > STATE_MAX:
            raise RangeError(
                f"the multiplier for vth = {vth} and N = {levels} must fit 24 bits, it needs "
                f"{m.bit_length() + 1}; use method='subtract'"
            )
        constants |= {"m": m, "top": min((levels + 1) * vth - 1, STATE_MAX)}
        fire = [
            Instruction("min", "t", "v", "top", note="beyond it z is N anyway"),
            Instruction("mulshift", "z", "t", "m", s, note="z = floor(min(H, top) / vth)"),
            Instruction("mulshift", "t", "z", "vth", 0),
            Instruction("sub", "v", "v", "t", note="V = H - vth z"),
        ]
    return _assembled(f"multilevel-{method}-n{levels}", fire, timesteps, (), constants)


def multilevel_each_program(levels: int, *, timesteps: int = 1) -> Program:
    """The same where every neuron has its own ``vth`` (and ``v0``): inputs, not constants.

    At most ``4 + 5 B`` instructions at T = 1, ``10 + 5 B`` otherwise. The largest vth
    times ceil(N / 2) must fit 24 bits.
    """
    _check(levels, timesteps)
    fire = [_no_spike_yet(), *_subtract_each(levels)]
    own = ("vth",) if timesteps == 1 else ("vth", "v0")
    return _assembled(f"multilevel-each-n{levels}", fire, timesteps, own, {})


def _check(levels: int, timesteps: int) -> None:
    if levels < 1 or timesteps < 1:
        raise ConfigError(f"levels and timesteps must be at least 1, got {levels}, {timesteps}")


def _no_spike_yet() -> Instruction:
    return Instruction("move", "z", 0, note="z = 0")


def _assembled(
    name: str,
    fire: list[Instruction],
    timesteps: int,
    own: tuple[str, ...],
    constants: dict[str, int],
) -> Program:
    code = [
        *_reset(timesteps, "v0"),
        *_integrate(timesteps),
        Instruction("compare", a="v", b="vth", note="silent?"),
        Instruction("skip", condition="lt", k=len(fire) + 1),
        *fire,
        Instruction("emit", a="z"),
    ]
    kept = ("v", "left") if timesteps > 1 else ()
    name += "" if timesteps == 1 else "-state"
    return Program(name, tuple(code), (*kept, "a", "bias", *own), kept, constants)


def readout_program(integrate: bool, timesteps: int = 1) -> Program:
    """One timestep of a readout (``V = V + a + b``, sends V) or of a relay (sends ``a + b``).

    A payload of 0 is no message.

    Parameters
    ----------
    integrate : bool
        Readout, else relay.
    timesteps : int
        T, after which V is 0 again.

    Returns
    -------
    Program
        Its inputs are ``a`` and ``bias``; of a readout over several timesteps also ``v`` and
        ``left``.
    """
    keeps = integrate and timesteps > 1
    code = [
        *(_reset(timesteps, "v0") if keeps else []),
        *_integrate(timesteps if keeps else 1),
        Instruction("compare", a="v", b=0),
        Instruction("skip", condition="eq", k=1),
        Instruction("emit", a="v"),
    ]
    kept = ("v", "left") if keeps else ()
    return Program(
        "readout-state" if keeps else "relay",
        tuple(code),
        (*kept, "a", "bias"),
        kept,
        {"v0": 0} if keeps else {},
    )
