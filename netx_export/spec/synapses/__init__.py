"""Synapses: each kind is one file and answers for its sums, bounds, reach and shape."""
