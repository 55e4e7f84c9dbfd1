"""Stand-in for the closed extension: neuro-core models that are told to allocate."""

from lava.magma.core.model.model import AbstractProcessModel


class AbstractNcProcessModel(AbstractProcessModel):
    def __init__(self, proc_params=None, loglevel=30):
        super().__init__(proc_params=proc_params, loglevel=loglevel)

    def allocate(self, net):
        raise NotImplementedError
