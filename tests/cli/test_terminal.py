"""What a terminal of 80 columns shows: tables that fit, verdicts first, words close to a slip."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from lava_mlsnn.backends import backend_of
from lava_mlsnn.checks import meant
from lava_mlsnn.choices import check_choice
from lava_mlsnn.cli.console import NARROW, Console
from lava_mlsnn.data import load_dataset, match_classes
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.models.config import ARCHITECTURES, RESNETS, unfit
from lava_mlsnn.training import RECIPES, recipe

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=30)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_table_fits_80_columns_and_shows_every_cell(data):
    count = data.draw(st.integers(1, 12))
    columns = data.draw(st.lists(WORDS, min_size=count, max_size=count))
    row = st.lists(st.one_of(WORDS, st.integers(-(10**9), 10**9)), min_size=count, max_size=count)
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    out = io.StringIO()
    with redirect_stdout(out), mock.patch.dict("os.environ", COLUMNS="80"):
        Console().table("title", columns, rows)
    shown = out.getvalue()
    assert all(cell_len(line) <= NARROW for line in shown.splitlines()), shown
    for cell in (*columns, *(str(value) for values in rows for value in values)):
        assert cell in shown


@pytest.mark.parametrize(
    "command",
    [
        ("info",),
        ("run", "--samples", 3),
        ("energy", "--samples", 3),
        ("check", "--target", "loihi2", "--samples", 3),
    ],
)
def test_tables_of_commands_fit_and_come_after_the_verdict(mlsnn, trained, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    file = trained[0] / "network.net"
    out = mlsnn(command[0], file, *command[1:]).out.splitlines()
    first = next(i for i, line in enumerate(out) if "─" in line)
    verdicts = ("no input can overflow", "accuracy", "nJ", "fits kapoho-point")
    assert any(word in line for word in verdicts for line in out[: first - 1]), out[:first]
    tables = [k for k, line in enumerate(out) if "─" in line]
    assert tables and all(len(out[k]) <= 80 for at in tables for k in (at - 1, at, at + 1))


@given(st.sampled_from(ARCHITECTURES), st.data())
def test_a_slip_is_answered_with_the_word(word, data):
    place = data.draw(st.integers(0, len(word) - 1))
    slip = word[:place] + word[place + 1 :]
    if slip not in ARCHITECTURES:
        assert meant(slip, ARCHITECTURES).startswith("; did you mean ")
    assert meant(word.upper(), ARCHITECTURES) == f"; did you mean {word}?"
    assert meant("quite another", ARCHITECTURES) == meant("", ARCHITECTURES) == ""


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: ModelConfig(arch="sparse-resnet18"), "sparse-resnet-18"),
        (lambda: recipe("cifar-10"), "cifar10"),
        (lambda: load_dataset("cifar-10"), "cifar10"),
        (lambda: load_dataset("Digits"), "digits"),
        (lambda: backend_of("loihi"), "loihi2"),
        (lambda: check_choice("v0", "rond", ("floor", "round")), "round"),
        (lambda: match_classes(("cat", "dog"), ("cat", "dogs")), "dog"),
    ],
)
def test_every_choice_says_what_was_meant(make, word):
    with pytest.raises((ConfigError, DataError), match=rf"did you mean {word}\?"):
        make()


def test_a_folder_beside_it_is_meant(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"did you mean .*photos"):
        load_dataset(str(tmp_path / "photo"))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (("trian",), "train"),
        (("train", "--epoch", 3), "--epochs"),
        (("export", "a", "--to", "onx"), "onnx"),
        (("check", "a.net", "--target", "loihi2", "--system", "kapoho"), "kapoho-point"),
        (("reproduce", "barrier"), "barriers"),
    ],
)
def test_the_command_line_says_what_was_meant(mlsnn, line, word):
    answer = mlsnn(*line)
    text = " ".join(answer.err.replace("│", " ").split())
    after = text.lower().partition("did you mean" if "id you mean" in text else "possible options")
    assert answer.code == 2 and word in after[2], text


def test_recipes_are_words_of_the_help(mlsnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = " ".join(mlsnn("train", "--help").out.split())
    assert all(name in shown for name in RECIPES)


def test_completion_is_offered(mlsnn):
    assert "--install-completion" in mlsnn("--help").out


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_usual_sizes_suit_the_architectures(arch):
    """CIFAR for all; deeper ones want larger images, and none takes photographs as they are."""
    assert unfit(arch, 32, 32) == ""
    assert unfit(arch, 1, 1) != "" and unfit(arch, 1000, 32) != ""
    suited = [n for n in range(1, 400) if not unfit(arch, n, n)]
    assert suited == list(range(suited[0], suited[-1] + 1))
    assert any(not unfit(other, n, n) for other in RESNETS for n in (8, 28, 64))


def test_a_network_for_the_size_of_the_images_is_named(mlsnn):
    small = ("--width", 2, "--epochs", 1, "--batch-size", 700, "--json")
    answer = mlsnn("train", "--out", "a", "--arch", "vgg-11", *small)
    said = (
        "images of 8 x 8 pixels do not suit vgg-11 (it halves them 5 times); --arch sparse-resnet"
    )
    assert answer.code == 0 and said in answer.err


def test_progress_off_a_terminal_is_a_line_a_quarter_where_it_takes_long(monkeypatch):
    from lava_mlsnn.cli import console

    def lines(seconds):
        noted, clock = [], iter(range(0, 10**6, seconds))
        monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
        shown = Console()
        monkeypatch.setattr(shown, "note", noted.append)
        with shown.progress("work") as follow:
            for done in range(101):
                follow(done, 100)
        return noted

    assert lines(1)[0] == "work: 25 of 100" and len(lines(1)) == 4
    monkeypatch.setattr(console, "QUIET", 1e9)
    assert lines(1) == []
