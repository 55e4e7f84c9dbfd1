"""Stand-in: rows of a table, and what they were connected to."""


class Nodes:
    def __init__(self, table, shape, **values):
        self.table = table
        self.shape = shape
        self.values = values
        self.connections = []

    def connect(self, other):
        self.connections.append(other)
