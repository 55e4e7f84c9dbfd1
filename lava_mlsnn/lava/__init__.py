"""A network in Lava: as one hierarchical Process, run in the simulator, or on the chip."""
