"""One line adds an option: its check, its place on the command line, its help, its docstring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from lava_mlsnn.cli.console import guarded
from lava_mlsnn.cli.fields import Fields, with_fields
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models.config import ModelConfig
from lava_mlsnn.option import flag, number, option, options_of, whole
from lava_mlsnn.training.config import TrainConfig

RECORDS = (ModelConfig, TrainConfig)
ALL = [(record, name, o) for record in RECORDS for name, _, o in options_of(record)]
IDS = [f"{record.__name__}.{name}" for record, name, _ in ALL]


@dataclass(frozen=True)
class More(TrainConfig):
    """With one line more."""

    extra_noise: float = option(0.25, number(0, 2, above=True), "Noise that a test adds.")


def ask(*arguments: str) -> tuple[Any, dict[str, Any]]:
    """Of a command with the defaults of a record, and with all that is left out None."""
    app, got = typer.Typer(rich_markup_mode=None), {}

    @app.command()
    @guarded
    @with_fields
    def command(
        *,
        before: int = 1,
        chosen: Annotated[dict, Fields(More(), "extra_noise", "seed", "flip")],
        name: str = "x",
    ) -> None:
        got["chosen"] = More(**chosen)

    @app.command()
    @guarded
    @with_fields
    def changes(*, given: Annotated[dict, Fields(More)]) -> None:
        got["given"] = given

    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return result, got


def test_a_field_of_one_line_is_on_the_command_line_with_range_help_and_default():
    result, _ = ask("command", "--help")
    line = next(text for text in result.output.splitlines() if "--extra-noise" in text)
    assert "<float>" in line or "FLOAT" in line
    assert line.endswith("Noise that a test adds.  [default: 0.25; 0<x<=2]")
    assert "--before" in result.output and "--lr" not in result.output
    result, _ = ask("changes", "--help")
    line = next(text for text in result.output.splitlines() if "--extra-noise" in text)
    assert line.endswith("Noise that a test adds.  [0<x<=2]") and "--lr" in result.output
    assert "extra_noise : float, default 0.25 (0<x<=2)\n    Noise that a test adds." in More.__doc__


def test_its_value_is_checked_and_handed_on():
    _, got = ask("command", "--extra-noise", "1.5", "--flip")
    assert got["chosen"] == More(extra_noise=1.5, flip=True)
    _, got = ask("changes", "--extra-noise", "2", "--no-flip")
    assert {n: v for n, v in got["given"].items() if v is not None} == {
        "extra_noise": 2.0,
        "flip": False,
    }
    result, got = ask("command", "--extra-noise", "0")
    assert result.exit_code == 2 and not got
    with pytest.raises(ConfigError, match="extra_noise must be a number above 0 and at most 2"):
        More(extra_noise=0)


def squeezed(text: str) -> str:
    """As it would be without lines, which end anywhere."""
    return "".join(text.split())


@pytest.mark.parametrize(("record", "name", "o"), ALL, ids=IDS)
def test_every_field_is_an_option_of_train_unless_the_data_says_it(mlsnn, record, name, o):
    page = mlsnn("train", "--help").out
    assert (f"--{name.replace('_', '-')} " in page) is o.cli
    if o.cli:
        found = squeezed(page)
        assert squeezed(o.help) in found and squeezed(o.kind.range) in found


@pytest.mark.parametrize(("record", "name", "o"), ALL, ids=IDS)
def test_what_no_option_can_be_is_refused_by_name(record, name, o):
    with pytest.raises(ConfigError, match=f"^{name} must be"):
        record(**{name: object()})


def test_ranges_are_written_in_few_signs():
    assert whole(1, 10**9).range == "x>=1" and whole(2, 8).range == "2<=x<=8"
    assert number(0, 1, below=True).range == "0<=x<1" and number(0, 9, above=True).range == "0<x<=9"
    assert number(-1e6, 1e6).range == flag().range == "" and number(-1e6, 3).range == "x<=3"


def test_the_former_name_of_a_network_is_read():
    former = ModelConfig(arch="sparse-resnet-8")
    assert former == ModelConfig(arch="sparse-resnet-small")
    assert ModelConfig.from_dict({"arch": "sparse-resnet-8"}).arch == "sparse-resnet-small"
