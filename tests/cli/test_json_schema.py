"""``--json`` prints what ``lava_mlsnn/cli/schema.json`` says, key by key and type by type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lava_mlsnn.cli

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads((Path(lava_mlsnn.cli.__file__).parent / "schema.json").read_text())


def check(name, values):
    """Fails with the place in the answer where it is not as described."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(values)


def test_the_schema_is_one_and_describes_every_key_it_asks_for():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for name in ("train", "export", "info", "run", "predict", "report", "check", "energy"):
        described = SCHEMA["$defs"][name]
        assert set(described["required"]) <= set(described["properties"])
        assert described["additionalProperties"] is False


def test_train_and_export(mlsnn, trained):
    _, train, export = trained
    check("train", train.json)
    check("export", export.json)
    with pytest.raises(jsonschema.ValidationError):
        check("train", {**train.json, "threads": "1"})


def test_commands_on_a_file(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    some = ("--samples", 5, "--json")
    check("info", mlsnn("info", file, "--json").json)
    check("run", mlsnn("run", file, *some).json)
    check("energy", mlsnn("energy", file, *some).json)
    model = ("--model", trained[0] / "model.pt", "--lava-samples", 0)
    check("check", mlsnn("check", file, *model, *some).json)
    report = mlsnn("report", file, "-o", tmp_path / "r.html", *some)
    check("report", report.json)


def test_an_answer_without_validation_and_names(mlsnn, tmp_path):
    from PIL import Image

    small = ("--width", 2, "--epochs", 1, "--batch-size", 128, "--json")
    check("train", mlsnn("train", "--out", "a", *small, "--validation", 0).json)
    assert mlsnn("export", "a/model.pt").code == 0
    Image.new("L", (8, 8), 90).save(tmp_path / "i.png")
    check("predict", mlsnn("predict", "network.net", "i.png", "--json").json)
