from dataclasses import dataclass


@dataclass
class LavaNcType:
    cls: type
    d_type: type
    precision: int = None
