"""Names from files, folders and the command line are text: none acts on the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_mlsnn
from lava_mlsnn.cli.console import plain
from netx_export import write
from netx_export.spec import Dense, Flatten, Input, MultiLevel, NetworkSpec, Population, Readout

# in another folder, also where the package is not installed
HERE = {**os.environ, "PYTHONPATH": str(Path(lava_mlsnn.__file__).parents[1])}
LINK = "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\"
EVIL = [
    *("[/]", "[bold red]x", "[link=http://evil.example]x[/link]", "x[v2]", ":bomb:", "{x}", "%s"),
    *("\x1b[31mred\x1b[0m", "\x1b[2J", "\x9b31m", LINK, "a\rb", "a\nmlsnn: error: b", "a\x08\x08b"),
    *(
        "\x07",
        "\u202eabc\u202c",
        "\u2066x",
        "\u200b",
        "\x85",
        "\u2028",
        "\x7f",
        "\\x1b",
        "\U000e0041",
    ),
    *("|x|", "<b>x</b>", "`x`", "$a$"),
]
NAMES = st.one_of(
    st.sampled_from(EVIL),
    st.text(
        st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]),
        min_size=1,
        max_size=9,
    ),
    st.lists(st.sampled_from(EVIL), min_size=2, max_size=3).map("".join),
).filter(lambda name: len(os.fsencode(name)) < 90)


def acts(text: str) -> list[str]:
    """Characters that do more than show; a new line ends a line of ours."""
    allowed = re.sub(r"[\n\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]", "", text)
    return [c for c in allowed if not c.isprintable()]


def network(name: str) -> NetworkSpec:
    weight = np.random.default_rng(0).integers(-9, 10, (10, 64))
    return NetworkSpec(
        (
            Input((1, 8, 8), levels=15, gain=15.0),
            Flatten(0, (64,), "flat" + name),
            Population(name, (10,), (Dense(1, weight),), MultiLevel(4, [30], [0])),
            Population("out", (10,), (Dense(2, weight[:, :10]),), Readout()),
        )
    )


@given(st.text(st.characters(), max_size=20) | NAMES)
def test_plain_text_only_shows(text):
    shown = plain(text)
    assert acts(shown) == [] and "\n" not in shown
    shown.encode()  # whatever bytes a file's name had
    if text.isprintable():
        assert shown == text


def named_file(path: Path, name: str) -> None:
    """A file with a layer of this name, also one that we would not write."""
    import h5py

    write(network("hidden"), path)
    with h5py.File(path, "r+") as content:
        group = content["layer/2"]
        del group["name"]
        group["name"] = np.array([name.encode()])


# FILE: with a name in it; BAD: cut short; OTHER: a text that is nothing here; GONE: no file
WORKS = [
    ("info", "FILE"),
    ("run", "FILE", "--data", "digits", "--samples", "4"),
    ("check", "FILE", "--samples", "2", "--lava-samples", "0"),
    ("energy", "FILE", "--data", "digits", "--samples", "2"),
    ("program", "FILE"),
    ("program", "FILE", "--out", "DIR/programs"),
    ("check", "FILE", "--target", "loihi2", "--samples", "2", "--mapping", "DIR/map"),
]
FAILS = [
    ("info", "GONE"),
    ("info", "BAD"),
    ("info", "DIR"),
    ("export", "BAD"),
    ("export", "GONE", "-o", "DIR"),
    ("run", "FILE", "--data", "DIR"),
    ("run", "FILE", "--data", "OTHER"),
    ("run", "FILE", "--backend", "OTHER"),
    ("train", "--out", "FILE"),
    ("train", "--arch", "OTHER"),
    ("train", "--teacher", "BAD"),
    ("energy", "FILE", "--constants", "BAD"),
    ("check", "FILE", "--model", "BAD"),
    ("check", "FILE", "--target", "loihi2", "--limit", "OTHER"),
    ("check", "FILE", "--target", "loihi2", "--system", "OTHER"),
    ("reproduce", "OTHER"),
    ("reproduce", "--part", "OTHER"),
]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES, other=NAMES, command=st.sampled_from(WORKS + FAILS))
def test_no_name_acts_in_any_command(mlsnn, name, other, command):
    with tempfile.TemporaryDirectory() as folder:
        other = "_" + other.replace("/", "|")  # as a name of a file, and no option
        base = Path(folder) / other
        base.mkdir()
        part = name.replace("/", "|")
        file = base / (part + ".net")
        named_file(file, name)
        bad = base / ("bad" + part)
        bad.write_bytes(file.read_bytes()[:900])
        words = {"FILE": file, "BAD": bad, "DIR": base, "GONE": base / part, "OTHER": other}
        call = list(command)
        for word, text in words.items():
            call = [a.replace(word, str(text)) for a in call]
        answer = mlsnn(*call)
        assert acts(answer.out) == [] and acts(answer.err) == []
        if command in WORKS and name.isprintable():
            assert answer.code in (0, 1), answer.err
            if command[0] == "info":
                assert plain(name) in answer.out
                assert mlsnn(*call, "--json").json["layers"][2]["name"] == name
        else:
            assert answer.code == 2, answer.err
            errors = [x for x in answer.err.split("\n") if x.startswith("mlsnn: error: ")]
            assert len(errors) == 1, answer.err


@pytest.mark.parametrize("name", ["[/]", LINK, "a\n\u202eb\x9b1m"])
def test_class_names_of_a_folder(mlsnn, tmp_path, name):
    from PIL import Image

    for part, kinds in (("train", (name.replace("/", "|"), "b")), ("test", ("b",))):
        for kind in kinds:
            (tmp_path / "data" / part / kind).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / "data" / part / kind / "0.png")
    (tmp_path / "data" / "test" / "b" / "1.png").write_bytes(b"no image")
    answer = mlsnn("train", "--data", "data", "--epochs", "1", "--width", "2")
    assert answer.code in (0, 2) and acts(answer.err) == []


def seen_on_a_terminal(arguments: list[str | bytes], folder: Path) -> tuple[int, bytes]:
    """Exit code, and all that reaches a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lava_mlsnn", *arguments],
        stdout=follower,
        stderr=follower,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**HERE, "TERM": "xterm-256color", "COLUMNS": "200"},
    ) as process:
        os.close(follower)
        found = b""
        with contextlib.suppress(OSError):
            while part := os.read(leader, 65536):
                found += part
        code = process.wait(60)
    os.close(leader)
    return code, found


@pytest.mark.timeout(120)
def test_a_terminal_gets_no_sequence_from_a_file(tmp_path):
    """Bars move the cursor on a terminal; names do not."""
    named_file(tmp_path / "x[v2].net", "[link=http://evil.example]x[/link][/]:bomb:")
    named_file(tmp_path / "bad.net", LINK)
    ours = re.compile(rb"\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r|\n|\t")
    for arguments, expected in (
        (["info", "x[v2].net"], 0),
        (["info", "bad.net"], 2),
        (["check", "x[v2].net", "--data", "digits", "--lava-samples", "0", "--samples", "2"], 0),
        (["info", b"\xff\x1b]0;title\x07[/].net"], 2),
        (["nonsense\x1b[31m"], 2),
        (["info", "--nonsense\x1b[31m"], 2),
        (["info", "a", "b\x1b]0;title\x07"], 2),
    ):
        code, found = seen_on_a_terminal(arguments, tmp_path)
        assert code == expected, found
        assert b"\x1b]" not in found and b"\x07" not in found
        assert acts(ours.sub(b"", found).decode()) == []
        assert b"\x1b[31m" not in found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_that_knows_few_letters(tmp_path, encoding):
    name = "größe \u4e2d \udcff"
    write(network("größe \u4e2d"), tmp_path / "a.net")
    shutil.copy(tmp_path / "a.net", os.fsencode(str(tmp_path)) + b"/" + os.fsencode(name))
    for file in ("a.net", os.fsencode(name)):
        done = subprocess.run(
            [sys.executable, "-m", "lava_mlsnn", "info", file],
            capture_output=True,
            cwd=tmp_path,
            env={**HERE, "PYTHONIOENCODING": encoding},
        )
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "error, code, says",
    [
        (
            ValueError("a\x1b[31m\nb"),
            70,
            "this is a fault of mlsnn and not yours (ValueError: a\\x1b",
        ),
        (EOFError(), 70, "EOFError"),
        (RecursionError("deep"), 70, "RecursionError"),
        (MemoryError(), 2, "the memory is not enough"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "the memory is"),
        (PermissionError(13, "Permission denied", "x\x1b"), 2, "x\\x1b: Permission denied"),
        (SystemError("x"), 70, "SystemError"),
        (SystemExit(1), 70, "SystemExit"),
    ],
)
def test_a_crash_is_never_code_1(mlsnn, tmp_path, monkeypatch, error, code, says):
    """Code 1 says that a check came out badly; a fault has a file for the report."""
    import lava_mlsnn.cli.info

    def fail(*_: object) -> None:
        raise error

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(lava_mlsnn.cli.info, "run_info", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    answer = mlsnn("info", "a.net")
    assert answer.code == code and answer.err.startswith("mlsnn: error: ") and says in answer.err
    assert len(answer.err.splitlines()) == 1 and acts(answer.err) == []
    files = list((tmp_path / "tmp").iterdir())
    assert len(files) == (code == 70)
    for file in files:
        assert str(file) in answer.err and "Traceback" in file.read_text()
        assert file.stat().st_mode & 0o077 == 0


def test_pictures_and_tables_take_names_as_text(tmp_path):
    from lava_mlsnn.activity import ActivityMeter
    from lava_mlsnn.plots import save_figure
    from lava_mlsnn.reproduce.tables import markdown
    from lava_mlsnn.runner import IntegerRunner

    spec = network(r"$\frac{$")
    x = np.ones((1, 1, 8, 8), int)
    meter = ActivityMeter(spec)
    trace = IntegerRunner(spec).trace(x)
    meter.add(trace.layers, x)
    title = r"$\undefined{$ $"
    save_figure(
        tmp_path / "a.png", np.ones((1, 8, 8)), trace.layers, meter.result().hidden,
        trace.output[0, :, -1], title,
    )  # fmt: skip
    assert (tmp_path / "a.png").stat().st_size
    table = markdown(["name", "n"], [["a|b\n| c", "1"], ["<script>", "`"]])
    assert table.splitlines()[2:] == [r"| a\|b \| c | 1 |", r"| \<script> | \` |"]


@given(st.text())
def test_json_is_ascii(text):
    assert acts(json.dumps({"name": text})) == []
