"""Joined payloads: a synapse that reads several layers as one is a synapse per layer.

A joined payload has channels c, each of which is channel ``own`` of some layer. A sum over
it is the sum over its parts, whose weights are those of their channels:

    sum_c W[:, c] x_c  =  sum_parts sum_k W[:, joined_k] x_part[own_k]

The integers stay what they are; channels that no part reads, or another group of a
convolution, weigh 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netx_export.spec.checks import Shape

__all__ = ["Part", "fewest"]


@dataclass(frozen=True, eq=False)
class Part:
    """Channels of a joined payload that one layer sends, each of its own at most once.

    Attributes
    ----------
    source : int
        The layer.
    shape : tuple of int
        Of what it sends, (C, H, W) or (F,).
    own, joined : ndarray of int64, (K,)
        Its channels, and which channels of the joined payload they are.
    """

    source: int
    shape: Shape
    own: np.ndarray
    joined: np.ndarray


def fewest(weight: np.ndarray, connected: np.ndarray) -> tuple[np.ndarray, int]:
    """A kernel in as many groups as its connections allow.

    Parameters
    ----------
    weight : ndarray, (A, B, ...)
        From every channel of one side to every channel of the other, 0 where not connected.
    connected : ndarray of bool, (A, B)
        Where it is.

    Returns
    -------
    weight, groups : ndarray, (A, B / groups, ...), int
    """
    sizes = weight.shape[:2]
    rows, columns = np.nonzero(connected)
    for groups in range(math.gcd(*sizes), 1, -1):
        height, width = (n // groups for n in sizes)
        whole = sizes[0] % groups == sizes[1] % groups == 0
        if whole and np.array_equal(rows // height, columns // width):
            first = np.arange(sizes[0]) // height * width
            picked = weight[np.arange(sizes[0])[:, None], first[:, None] + np.arange(width)]
            return picked, groups
    return weight, 1
