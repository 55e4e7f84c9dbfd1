"""Loops in C for training on a CPU, compiled once for the machine they run on.

Without a compiler torch's own operators do the same work in more passes.
"""
