"""Exact integer arithmetic: widths, wrap, and the synapse kernels."""
