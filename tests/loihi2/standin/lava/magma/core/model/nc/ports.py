"""Stand-in: ports remember what they were connected to."""


class NcPort:
    def __init__(self, port):
        self.port = port  # of the Process
        self.nodes = []

    def connect(self, nodes):
        self.nodes.append(nodes)


class NcInPort(NcPort):
    pass


class NcOutPort(NcPort):
    pass
