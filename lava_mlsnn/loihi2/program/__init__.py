"""The neuron as a program of a neuro-core: instructions, interpreter, proof, allocation."""
