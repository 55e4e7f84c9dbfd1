"""Lava Process: the multi-level integrate-and-fire neuron."""
