"""Small faults, put into the code that integers depend on one at a time, for tests to see."""
