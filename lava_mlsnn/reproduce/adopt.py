"""From a checkpoint and its data to a network with a name: exported, measured, compared, kept."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from lava_mlsnn.data import Dataset, draw_samples
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.parity import check_parity
from lava_mlsnn.reproduce.run import measure, structure_of, where
from lava_mlsnn.training.checkpoint import load_checkpoint, load_model
from lava_mlsnn.zoo import Card, add_network, write_index
from netx_export import export_model, lava_available
from netx_export.file.atomic import make_folder

__all__ = ["adopt"]

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SAMPLES = 32  # of the parity check


def adopt(
    folder: Path,
    name: str,
    checkpoint: Path,
    dataset: Dataset,
    called: str,
    note: str = "",
    threads: int = 1,
) -> Card:
    """Add a trained network to a folder of networks.

    Parameters
    ----------
    folder : Path
        Such as ``results/networks``.
    name : str
        ``NAME`` of ``zoo:NAME``: small letters, digits and "-".
    checkpoint : Path
        ``model.pt`` of ``mlsnn train``.
    dataset : Dataset
        What it was trained with; the whole test split is run.
    called : str
        The data's name on the card.
    note : str
        A sentence for the card.
    threads : int
        CPU threads of the integer runner.

    Returns
    -------
    Card
        Of what was written.

    Raises
    ------
    ConfigError, DataError, FormatError
        If a name cannot be, the data has other classes, or the checkpoint is damaged.
    ParityError
        If an integer differs between training, integer runner and (where it is
        installed) Lava; nothing is written then.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"a network's name is of small letters, digits and '-', got {name!r}")
    if Path(called).is_absolute() or "/" in called:
        raise ConfigError(
            f"the data's name on a card must say something to others, not a folder, got {called!r}"
        )
    if not len(dataset.x_test):
        raise DataError("a network is measured on test images, got none")
    content, model = load_checkpoint(checkpoint), load_model(checkpoint)
    data = dataset.counted_as(model.class_names)
    training = {"train_config": content.get("train_config", {}), "epoch": content.get("epoch")}
    config, origin = model.config.to_dict(), where()
    provenance = {"dataset": called, "config": config, **training, **origin}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "network.net"
        spec = export_model(model, path, provenance=provenance)
        chosen = draw_samples(data.y_test, SAMPLES, 0)
        parity = check_parity(
            spec,
            data.x_test[chosen],
            model=model,
            lava_samples=len(chosen) if lava_available() else 0,
            labels=data.y_test[chosen],
        )
        parity.raise_if_different()
        card = {
            "note": note,
            "data": called,
            **structure_of(model.config),
            "model": config,
            "recipe": training["train_config"],
            "seed": training["train_config"].get("seed"),
            "epoch": training["epoch"],
            **measure(model, spec, path, data, threads),
            "parity": {
                "samples": parity.samples,
                "compared": parity.compared,
                "differences": parity.count,
            },
            **origin,
        }
        make_folder(folder, "--folder")
        made = add_network(folder, name, path.read_bytes(), card)
    write_index(folder)
    return made
