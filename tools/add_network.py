"""Add a trained network to results/networks: the file, its card, and the table of all cards.

    python tools/add_network.py NAME MODEL.pt --data FOLDER [--called cifar10] [--note TEXT]

Exports the checkpoint, runs the whole test split in integers and in floats, counts events,
operations and energy (dense and zero-skipping ANN of the same network included), compares
every layer of 32 samples in training, integer runner and Lava, and writes nothing if one integer
differs. docs/zoo.md says how to take a network from there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import MLSNNError
from lava_mlsnn.reproduce.adopt import adopt
from lava_mlsnn.training.checkpoint import load_model
from lava_mlsnn.zoo import FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of zoo:NAME, such as cifar10-sparse-resnet-18")
    parser.add_argument("checkpoint", type=Path, help="model.pt of 'mlsnn train'")
    parser.add_argument("--data", required=True, help="as 'mlsnn train --data'")
    parser.add_argument("--called", help="what the card calls the data (default: as --data)")
    parser.add_argument("--note", default="", help="a sentence for the card")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the runner")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    o = parser.parse_args()
    data = load_dataset(o.data, timesteps=load_model(o.checkpoint).config.timesteps)
    called = o.called or o.data
    card = adopt(o.folder, o.name, o.checkpoint, data, called, o.note, o.threads)
    for what, value in card.row().items():
        print(f"{what:14} {value}")
    print(f"{'parity':14} {card.content['parity']}")


if __name__ == "__main__":
    try:
        main()
    except MLSNNError as error:
        sys.exit(f"add_network: error: {error}")
