"""Every name in a network file, once. ``docs/format.md`` is the version for users.

Root attributes (stock readers ignore attributes; all ours):

==================  ===============  ====================================================
``format``          string           :data:`FORMAT`
``format_version``  int              the first that has all its kinds; one beyond
                                     :data:`FORMAT_VERSION` is refused
``timesteps``       int              T of one sample
``provenance``      string           JSON object, free form
``class_names``     string           JSON list, one name per output; may be absent
==================  ===============  ====================================================

``/layer/<i>``, i = 0 .. n-1 without gaps:

=================  ================  ======  ===============  ===========================
name               shape             dtype   of               meaning
=================  ================  ======  ===============  ===========================
``type``           (1,)              S10     stock            input, conv, dense, flatten;
                                                              ours: identity; ``convT``
                                                              since version 2
``shape``          (3,) or (1,)      int64   stock            (C, H, W) or (F,)
``name``           ()                utf-8   ours             unique
``inputs``         (synapses,)       int64   ours             source layer of each synapse
``levels``         ()                int64   ours, input      largest payload
``signed``         ()                bool    ours, input      payload from -levels or 0
``gain``           ()                f8      ours, input      payload per unit of data
``inChannels``     ()                int64   stock, conv
``outChannels``    ()                int64   stock, conv
``kernelSize``     (2,)              int64   stock, conv      (kH, kW)
``stride``         (2,)              int64   stock, conv      (H, W)
``padding``        (2,)              int64   stock, conv      (H, W), zeros
``dilation``       (2,)              int64   stock, conv      (H, W)
``groups``         ()                int64   stock, conv
``outputPadding``  (2,)              int64   ours, convT      (H, W); the other fields of
                                                              a convT are those of a conv
``inFeatures``     ()                int64   stock, dense
``outFeatures``    ()                int64   stock, dense
``weight``         (O, I/g, kH, kW)  int16   stock            torch's order; (O, I) dense;
                                                              (I, O/g, kH, kW) convT;
                                                              (C,) identity
``weight_exp``     ()                int64   ours             sum is shifted left by this
``bias``           (C,) or (1,)      int32   stock            added in every timestep
``scale``          (C,) or (1,)      f8      ours             integer per unit of training
``timesteps``      ()                int64   ours             T, in files without our root
                                                              attributes
``shortcut/<k>``   group             -       ours             k = 1 .. synapses-1: type,
                                                              weight and geometry of the
                                                              synapse from ``inputs[k]``
``neuron``         group             -       stock            see below
=================  ================  ======  ===============  ===========================

``neuron/type`` (string) is ``MLIF`` {``levels``, ``vth`` (C,) or (1,), ``v0``},
``READOUT`` {``integrate``, ``messageBits``}, or a stock type with its own fields.
A network that stock Lava can run has the stock type CUBA there, and the subgroup
``neuron/multilevel`` with one of the two types above, its fields, and ``bias``
(the layer's ``bias`` then includes V0); our reader takes the subgroup.
"""

from __future__ import annotations

__all__ = ["FORMAT", "FORMAT_VERSION"]

FORMAT = "netx_export"
FORMAT_VERSION = 2  # the newest; a file says the first that has all its kinds

# root attributes
A_FORMAT = "format"
A_VERSION = "format_version"
A_TIMESTEPS = "timesteps"
A_PROVENANCE = "provenance"
A_CLASS_NAMES = "class_names"

# groups
LAYER = "layer"
NEURON = "neuron"
SHORTCUT = "shortcut"
MULTILEVEL = "multilevel"
SIMULATION = "simulation"  # lava-dl only: kept as provenance

# layer datasets
TIMESTEPS = "timesteps"  # of export_hdf5, in files without root attributes
TYPE = "type"
SHAPE = "shape"
NAME = "name"
INPUTS = "inputs"
WEIGHT = "weight"
WEIGHT_EXP = "weight_exp"
BIAS = "bias"
SCALE = "scale"
DELAY = "delay"  # lava-dl only: refused unless zero
IN_CHANNELS = "inChannels"
OUT_CHANNELS = "outChannels"
KERNEL_SIZE = "kernelSize"
STRIDE = "stride"
PADDING = "padding"
DILATION = "dilation"
GROUPS = "groups"
OUTPUT_PADDING = "outputPadding"
IN_FEATURES = "inFeatures"
OUT_FEATURES = "outFeatures"
SIGNED = "signed"
GAIN = "gain"

# neuron datasets
LEVELS = "levels"  # also of the input layer
VTH = "vth"
V0 = "v0"
INTEGRATE = "integrate"
MESSAGE_BITS = "messageBits"
VTH_MANT = "vThMant"
I_DECAY = "iDecay"
V_DECAY = "vDecay"
REF_DELAY = "refDelay"
GRADED_SPIKE = "gradedSpike"
SIGMA_OUTPUT = "sigma_output"

# layer types
INPUT = "input"
CONV = "conv"
DENSE = "dense"
IDENTITY = "identity"
FLATTEN = "flatten"
RESIDUAL = "residual"  # only in files that block.export_hdf5 wrote group by group

# neuron types
MLIF = "MLIF"
READOUT = "READOUT"
CUBA_TYPES = ("CUBA", "LOIHI")  # two names of one neuron
SDNN = "SDNN"
