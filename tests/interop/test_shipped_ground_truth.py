"""lava-dl ships what its networks must answer: our loader answers it, by no loader of theirs."""

from __future__ import annotations

import numpy as np
import pytest
from lava_dl_wheel import ground_truth, shipped

pytest.importorskip("lava.magma")

from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.lava.session import LavaSession
from lava_mlsnn.proc import Stream
from netx_export import Network, read, run_lava

pytestmark = [pytest.mark.lava, pytest.mark.timeout(300)]

PERIOD = 17  # timesteps between two resets in the recordings of the CUBA networks


def held(image: np.ndarray, steps: int) -> np.ndarray:
    """The image in every timestep."""
    return np.repeat(image[..., None], steps, axis=-1)


def test_pilotnet_sdnn() -> None:
    frame = ground_truth("pilotnet_sdnn/input")[None]
    result = run_lava(read(shipped("gts/pilotnet_sdnn/network.net")), frame, timeout=60)
    expected = ground_truth("pilotnet_sdnn/output")
    np.testing.assert_array_equal(result.output[0, :, 0], expected[:, -1])
    assert result.output.any()


def test_tiny_network() -> None:
    current = held(ground_truth("tinynet/input_bias"), PERIOD)[None]
    result = run_lava(
        read(shipped("tiny.net")), current, reset_interval=PERIOD, probes=True, timeout=60
    )
    for name, layer in (("layer1", "conv1"), ("output", "conv2")):
        expected = np.load(shipped(f"gts/tinynet/{name}.npy"))[0]  # (C, H, W, T)
        assert expected.any()
        # the recording starts a timestep before the first spikes can arrive
        np.testing.assert_array_equal(result.layers[layer][0][..., :15], expected[..., 1:])


PILOTNET_LIF = {
    "conv1": "conv-0",
    "conv2": "conv-1",
    "conv3": "conv-2",
    "conv4": "conv-3",
    "conv5": "conv-4",
    "dense7": "fc-0",
    "dense8": "fc-1",
    "dense9": "fc-2",
}


def test_every_layer_of_pilotnet_lif() -> None:
    """Layer k is recorded from the network's first timestep on: its sample starts at k."""
    current = held(ground_truth("pilotnet_lif/image"), PERIOD)[None]
    spec = read(shipped("gts/pilotnet_lif/network.net"))
    result = run_lava(spec, current, reset_interval=PERIOD, probes=True, timeout=100)
    for depth, (layer, name) in enumerate(PILOTNET_LIF.items(), 1):
        expected = ground_truth(f"pilotnet_lif/{name}")[..., depth : depth + PERIOD]
        found = result.layers[layer][0][..., : expected.shape[-1]]
        np.testing.assert_array_equal(found, expected, err_msg=layer)
        assert expected.any(), layer


def test_membrane_that_is_the_result_of_pilotnet_lif() -> None:
    """It adds up the recorded spikes before it: no leak, a threshold that is never reached."""
    current = held(ground_truth("pilotnet_lif/image"), PERIOD)
    spec = read(shipped("gts/pilotnet_lif/network.net"))
    net = Network(spec, reset_interval=PERIOD)
    source = Stream(data=np.moveaxis(current, -1, 0).transpose(0, 3, 2, 1).astype(np.int32))
    source.s_out.connect(net.inp)
    steps = net.latency + 12
    with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt")) as session:
        session.run(steps, timeout=100)
        membrane = net.state("dense10").get()
    # the layer before starts its sample with timestep `latency`; one timestep for the synapse
    spikes = ground_truth("pilotnet_lif/fc-2")[:, net.latency - 1 : steps - 1]
    expected = (spec.output.synapses[0].weight @ spikes).sum() << 6
    assert membrane.item() == expected != 0
