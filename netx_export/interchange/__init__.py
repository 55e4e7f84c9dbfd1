"""Other formats of the same network, one module each that reads or writes a spec."""
