"""Every fast form of a layer is tried before it is relied on, and can still give way later.

Tried when the network is loaded, with what it will meet: the range of its sources, one
map and several, in the memory that :func:`lava_mlsnn.engine.payload.laid_out` gives
them, and with sources that it may overwrite. Plain integers say what is right. What
fails or differs gives way to the next slower form, down to those plain integers: an
operator that is missing or broken costs speed, never the run.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence

import torch

from lava_mlsnn.engine.form import Form, Payloads
from lava_mlsnn.engine.payload import laid_out, plain

__all__ = ["gives_way", "reason", "say", "tried"]

log = logging.getLogger("lava_mlsnn")
MAPS = 2  # one map alone takes other ways than several do

Maps = Callable[[int], Payloads]


def tried(
    name: str,
    forms: Sequence[Callable[[], Form | None]],
    plainly: Callable[[], Form],
    maps: Maps,
    timesteps: int,
    batches: bool = True,
) -> Form:
    """The first form that is right.

    Parameters
    ----------
    name : str
        Of the layer.
    forms : sequence of callable
        Make the layer, fastest first; None where a form does not apply.
    plainly : callable
        Makes it in plain integers.
    maps : callable
        ``maps(n)``: fresh sources of n maps each, the first ones always the same.
    timesteps : int
        T.
    batches : bool
        Whether it will meet several maps, or only one.
    """
    count = MAPS if batches else 1
    steps = min(timesteps, count)
    expected: torch.Tensor | None = None
    for k, make in enumerate(forms):
        try:
            form = make()
            if form is None:
                continue
            if expected is None:
                expected = plainly().run(maps(count), steps)[0].double()
            if _right(form, maps, count, steps, expected):
                later = (name, forms[k + 1 :], plainly, maps, timesteps, batches)
                form.slower = functools.partial(tried, *later)
                if batches:
                    form.begin_anew()
                return form
            say(f"layer {name}", "it gives other integers")
        except Exception as error:  # whatever another torch says
            say(f"layer {name}", reason(error))
    return plainly()


def _right(form: Form, maps: Maps, count: int, steps: int, expected: torch.Tensor) -> bool:
    for number, times in {(1, 1), (count, steps)}:
        sources = maps(number)
        free = range(len(sources)) if number > 1 else ()
        found = form.run(sources, times, free)[0]
        if not torch.equal(laid_out(plain(found)).double(), expected[:number]):
            return False
    return True


def gives_way(form: Form, error: Exception) -> Form:
    """The form that takes over from one that failed; raises the error if none can."""
    if form.slower is None:
        raise error
    say(f"layer {form.name}", reason(error))
    return form.slower()


def reason(error: Exception) -> str:
    """An error in one line; raises it where memory is short, as a slower form takes no less."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "memory" in text:
        raise error
    return text.splitlines()[0]


@functools.cache  # once
def say(what: str, why: str) -> None:
    """Warn that a fast form of something gives way."""
    log.warning(
        "%s: a fast form does not work here (%s); a slower one computes the same integers",
        what,
        why,
    )
