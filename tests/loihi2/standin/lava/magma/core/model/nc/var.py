class NcVar:
    def __init__(self, var):
        self.var = var  # of the Process
