"""Keep freed memory in the process between steps (CPU, glibc).

It is a setting of the whole process, so the library leaves it alone: ``mlsnn`` and the
benchmarks ask for it, and so can any other program.

A step frees its activations at its end. glibc hands what is free at the top of its
heap back to the kernel, and the next step takes it again page by page, each with a
fault and a fill with zeros: a quarter to a third of the CPU time of a small network.
``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of mallopt(3) turn that off. The peak
stays what it was; between steps the process holds on to it.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
LARGEST_TRIM = 2**31 - 1  # both are a C int
LARGEST_MMAP = 2**25  # glibc takes no more: half of a heap, 32 MB


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory, from now on and for the whole process.

    Returns
    -------
    bool
        Whether it agreed; False where the C library is not glibc (nothing changes
        then).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
        trims = mallopt(M_TRIM_THRESHOLD, LARGEST_TRIM)
        return bool(trims and mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP))
    except (AttributeError, OSError):  # another C library
        return False
