"""Whether a network fits Loihi 2: demand, limits, mapping, and an estimate of its speed."""
