"""Add a trained network to results/networks: the file, its card, and the table of all cards.

    python tools/add_network.py NAME MODEL.pt --data FOLDER [--called cifar10] [--note TEXT]

Exports the checkpoint, runs the whole test split in integers and in floats, counts events,
operations and energy (dense and zero-skipping ANN of the same network included), compares
every layer of 32 samples in training, integer runner and Lava, and writes nothing if one integer
differs. docs/zoo.md says how to take a network from there.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from lava_mlsnn.data import draw_samples, load_dataset
from lava_mlsnn.errors import ConfigError, MLSNNError
from lava_mlsnn.parity import check_parity
from lava_mlsnn.reproduce.run import measure, structure_of, where
from lava_mlsnn.training.checkpoint import load_checkpoint, load_model
from lava_mlsnn.zoo import FOLDER, add_network, write_index
from netx_export import export_model, lava_available
from netx_export.file.atomic import make_folder

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of zoo:NAME, such as cifar10-sparse-resnet-18")
    parser.add_argument("checkpoint", type=Path, help="model.pt of 'mlsnn train'")
    parser.add_argument("--data", required=True, help="as 'mlsnn train --data'")
    parser.add_argument("--called", help="what the card calls the data (default: as --data)")
    parser.add_argument("--note", default="", help="a sentence for the card")
    parser.add_argument("--samples", type=int, default=32, help="samples of the parity check")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    return parser.parse_args()


def add(options: argparse.Namespace) -> str:
    """Measure and write; one line on what came out."""
    if not NAME.fullmatch(options.name):
        raise ConfigError(f"a name is of small letters, digits and '-', got {options.name!r}")
    called = options.called or options.data
    if Path(called).is_absolute() or "/" in called:
        raise ConfigError("a folder of this machine says nothing to others; name it with --called")
    content, model = load_checkpoint(options.checkpoint), load_model(options.checkpoint)
    config, recipe, epoch = model.config, content.get("train_config", {}), content.get("epoch")
    data = load_dataset(options.data, timesteps=config.timesteps).counted_as(model.class_names)
    origin = where()
    provenance = {
        "dataset": called,
        "config": config.to_dict(),
        "train_config": recipe,
        "epoch": epoch,
        **origin,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.net"
        spec = export_model(model, path, provenance=provenance)
        chosen = draw_samples(data.y_test, options.samples, 0)
        parity = check_parity(
            spec,
            data.x_test[chosen],
            model=model,
            lava_samples=len(chosen) if lava_available() else 0,
            labels=data.y_test[chosen],
        )
        parity.raise_if_different()
        card = {
            "note": options.note,
            "data": called,
            **structure_of(config),
            "model": config.to_dict(),
            "recipe": recipe,
            "seed": recipe.get("seed"),
            "epoch": epoch,
            **measure(model, spec, path, data),
            "parity": {
                "samples": parity.samples,
                "compared": parity.compared,
                "differences": parity.count,
            },
            **origin,
        }
        make_folder(options.folder, "--folder")
        made = add_network(options.folder, options.name, path.read_bytes(), card)
    write_index(options.folder)
    return f"{made.file}: {made.row()}; parity: {parity}"


if __name__ == "__main__":
    try:
        print(add(arguments()))
    except MLSNNError as error:
        sys.exit(f"add_network: error: {error}")
