"""The command line: what it prints for people and programs, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from lava_mlsnn.data import draw_samples, load_dataset
from netx_export import lava_available

COMMANDS = {
    "demo": ("--out", "--epochs", "--levels", "--timesteps", "--lava-samples", "--fresh"),
    "train": ("--data", "--arch", "--barrier", "--resume", "--weight-bits", "--device"),
    "convert": ("--weights", "--data", "--levels", "--threshold", "--plot", "--json"),
    "export": ("--out", "--to", "--json"),
    "run": ("--data", "--backend", "--samples", "--batch-size", "--threads", "--per-layer"),
    "program": ("--out", "--json"),
    "check": ("--model", "--lava-samples"),
    "info": ("--json",),
}


def test_no_sentence_of_the_help_is_cut_at_80_columns(mlsnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = mlsnn("--help").out.partition("Commands:")[2].split("\n")[1:]
    assert len([line for line in lines if line.strip()]) > len(COMMANDS)
    assert [line for line in lines if "..." in line] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(mlsnn, command):
    answer = mlsnn(command, "--help")
    assert answer.code == 0
    for option in COMMANDS[command]:
        assert option in answer.out
    assert command in mlsnn("--help").out


@pytest.mark.timeout(60)
def test_help_needs_neither_torch_nor_lava():
    """Nobody waits seconds for a help text."""
    code = (
        "import sys; sys.argv = ['mlsnn', 'train', '--help']\n"
        "from lava_mlsnn.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print([m for m in ('torch', 'lava', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_package(mlsnn):
    import lava_mlsnn

    assert mlsnn("--version").out.strip() == f"mlsnn {lava_mlsnn.__version__}"


def test_train_and_export_answer_programs(trained):
    assert "9 steps an epoch" in trained[1].err
    folder, train, export = trained
    assert set(train.json) >= {
        "checkpoint",
        "accuracy_float",
        "accuracy_integer",
        "samples",
        "seconds",
    }
    assert train.json["samples"] == 450 and 0 <= train.json["accuracy_integer"] <= 1
    assert train.json["checkpoint"] == str(folder / "model.pt")
    assert export.json["file"] == str(folder / "network.net")
    assert export.json["bytes"] == (folder / "network.net").stat().st_size
    assert export.json["stock_reasons"]  # N = 4 is beyond stock Lava


def test_info_describes_layers_times_and_integers(mlsnn, trained):
    file = trained[0] / "network.net"
    found = mlsnn("info", file, "--json").json
    assert set(found) >= {"file", "timesteps", "latency", "layers", "stock_reasons", "provenance"}
    names = [row["name"] for row in found["layers"]]
    assert names[0] == "input" and names[-1] == "output" and "stage1_block1.conv2" in names
    assert found["timesteps"] == 1 and found["latency"] == found["layers"][-1]["depth"] == 9
    assert found["provenance"]["config"]["width"] == 4
    text = mlsnn("info", file).out
    assert "latency 9" in text and "N=4" in text and "stage1_block1.conv2" in text


def test_run_gives_accuracy_and_activity(mlsnn, trained):
    file = trained[0] / "network.net"
    found = mlsnn("run", file, "--samples", 50, "--json").json
    assert found["samples"] == 50 and found["backend"] == "runner"
    assert 0 <= found["accuracy"] <= 1
    hidden = [a for a in found["layers"] if a["role"] in ("spikes", "relay")]
    total = sum(a["events"] for a in hidden)
    assert [a["role"] for a in found["layers"]][:: len(hidden) + 1] == ["input", "output"]
    assert found["events_per_neuron"] == pytest.approx(total / sum(a["neurons"] for a in hidden))
    assert found["all"]["events"] == pytest.approx(total)
    done = sum(s["operations"]["events"] for a in found["layers"] for s in a["synapses"])
    assert found["operations"]["events"] == pytest.approx(done) and done > total
    assert [b["stage"] for b in found["blocks"]] == [1, 2, 3]
    data = load_dataset("digits")
    right = np.array(found["classes"]) == [
        data.classes[c] for c in data.y_test[draw_samples(data.y_test, 50, 0)]
    ]
    assert right.mean() == found["accuracy"]
    other = mlsnn("run", file, "--samples", 50, "--batch-size", 7, "--json").json
    assert other["layers"] == found["layers"] and other["accuracy"] == found["accuracy"]
    answer = mlsnn("run", file, "--samples", 5)
    assert answer.code == 0 and "5 samples" in answer.out
    for words in ("events per neuron", "synops", "along the stages", "into synapses"):
        assert words in answer.out


def test_run_agrees_with_what_training_measured(mlsnn, trained):
    found = mlsnn("run", trained[0] / "network.net", "--json").json
    assert found["samples"] == 450
    assert found["accuracy"] == pytest.approx(trained[1].json["accuracy_integer"])


def test_the_folder_of_a_training_is_as_good_as_its_checkpoint(mlsnn, trained, tmp_path):
    folder = trained[0]
    assert mlsnn("export", folder, "--out", "a.net").code == 0
    assert (tmp_path / "a.net").read_bytes() == (folder / "network.net").read_bytes()
    answer = mlsnn("check", "a.net", "--model", folder, "--samples", 4, "--lava-samples", 0)
    assert answer.code == 0 and "4 samples in training" in answer.out
    assert "no checkpoint" in mlsnn("export", tmp_path, "--out", "b.net").error


def test_check_finds_no_difference_in_an_honest_export(mlsnn, trained):
    folder = trained[0]
    answer = mlsnn(
        *("check", folder / "network.net", "--model", folder / "model.pt"),
        *("--samples", 10, "--lava-samples", 0, "--json"),
    )
    assert answer.code == 0
    found = answer.json
    assert found["differences"] == 0 and found["samples"] == {"training": 10}
    assert found["compared"] > 0 and found["problems"] == [] and found["widest_bits"] <= 24


def test_check_ends_with_1_and_names_the_layer_when_integers_differ(mlsnn, copy):
    from lava_mlsnn.training.checkpoint import load_model, save_checkpoint

    model = load_model(copy / "model.pt")
    model.blocks.stage2_block1.conv1.synapses[0].weight.data.mul_(-1)
    save_checkpoint(copy / "model.pt", model, {})
    arguments = ("check", copy / "network.net", "--model", copy / "model.pt")
    answer = mlsnn(*arguments, "--samples", 4, "--lava-samples", 0)
    assert answer.code == 1
    assert "stage2_block1.conv1" in answer.out and "Traceback" not in answer.err
    answer = mlsnn(*arguments, "--samples", 4, "--lava-samples", 0, "--json")
    assert answer.code == 1 and answer.json["differences"] > 0
    assert answer.json["per_layer"][0]["layer"] == "stage2_block1.conv1"


def test_an_onnx_model_of_a_checkpoint_is_that_of_its_file(mlsnn, trained, tmp_path):
    folder, *_ = trained
    answers = [
        mlsnn("export", folder / source, "--to", "onnx", "--out", out, "--json")
        for source, out in (("model.pt", "a.onnx"), ("network.net", "b.onnx"))
    ]
    assert [a.code for a in answers] == [0, 0], [a.err for a in answers]
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert answers[0].json == {"file": "a.onnx", "bytes": (tmp_path / "a.onnx").stat().st_size}
    assert mlsnn("export", folder / "network.net", "--to", "onnx").code == 0
    assert (tmp_path / "network.onnx").exists()


def test_other_formats_are_written_or_refused_in_a_sentence(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    assert mlsnn("export", file, "--to", "qonnx").code == 0
    assert b"MultiThreshold" in (tmp_path / "network.qonnx").read_bytes()
    assert mlsnn("export", file, "--to", "onnx-int8").code == 0
    assert b"QuantizeLinear" in (tmp_path / "network.onnx-int8").read_bytes()
    answer = mlsnn("export", file, "--to", "nir")
    assert answer.code == 2 and "NIR has no graded neuron" in answer.err
    assert not (tmp_path / "network.nir").exists()


def test_onnxruntime_is_a_backend_of_run_and_check(mlsnn, trained):
    folder, *_ = trained
    common = (folder / "network.net", "--samples", 12, "--json")
    run = [
        mlsnn("run", *common, "--backend", name, "--threads", 1).json for name in ("onnx", "runner")
    ]
    for found in run:
        del found["seconds"], found["backend"]
    assert run[0] == run[1]
    check = mlsnn("check", *common, "--lava-samples", 0, "--backend", "onnx")
    assert check.code == 0 and check.json["samples"] == {"onnx": 12}


@pytest.mark.lava
@pytest.mark.timeout(180)
def test_check_runs_in_lava_where_it_is_installed(mlsnn, trained):
    pytest.importorskip("lava.magma")
    answer = mlsnn(
        *("check", trained[0] / "network.net", "--samples", 2, "--lava-samples", 2, "--json")
    )
    assert answer.code == 0 and answer.json["samples"] == {"lava": 2, "lava, one process": 2}


ERRORS = {
    # arguments (FILE and MODEL are good ones), and what the one line says
    "missing file": (("info", "gone.net"), r"gone.net: cannot be opened"),
    "file is a folder": (("info", "."), "folder"),
    "file is something else": (("run", "MODEL"), "not an HDF5 file"),
    "checkpoint is something else": (("export", "FILE", "--out", "x"), "not a checkpoint"),
    "missing checkpoint": (("export", "gone.pt"), "no checkpoint gone.pt"),
    "export into a missing folder": (("export", "MODEL", "--out", "no/where.net"), "no/where.net"),
    "export to an unknown format": (
        ("export", "MODEL", "--to", "tflite"),
        "one of net, onnx, onnx-int8, qonnx, nir",
    ),
    "export to ONNX of neither": (("export", "gone.net", "--to", "onnx"), "no checkpoint gone.net"),
    "export over a folder": (("export", "MODEL", "--out", "."), "folder"),
    "wrong data path": (("run", "FILE", "--data", "no/images"), "no folder 'no/images'"),
    "unknown backend": (("run", "FILE", "--backend", "loihi"), "loihi"),
    "too many threads": (("run", "FILE", "--threads", "999999999"), "threads must be"),
    "bad batch size": (("run", "FILE", "--batch-size", "0"), "batch_size"),
    "model of another kind": (("check", "FILE", "--model", "FILE"), "not a checkpoint"),
    "unknown architecture": (("train", "--arch", "alexnet"), "alexnet"),
    "unknown barrier": (("train", "--barrier", "gate"), "gate"),
    "bad levels": (("train", "--levels", "0"), "levels"),
    "bad epochs": (("train", "--epochs", "0"), "epoch"),
    "bad v0": (("train", "--v0", "half"), "half"),
    "bad weight bits": (("train", "--weight-bits", "9"), "weight_bits"),
    "unknown device": (("train", "--device", "tpu"), "tpu"),
    "data of a training is missing": (("train", "--data", "no/images"), "no/images"),
    "folder cannot be made": (("train", "--out", "FILE/x"), "cannot be made"),
    "folder holds a training": (("train", "--out", "FOLDER"), "--resume"),
    "demo with bad levels": (("demo", "--levels", "-3", "--out", "d"), "levels"),
    "demo into a file": (("demo", "--out", "FILE"), "cannot be made"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_and_exit_code_2(mlsnn, copy, name):
    arguments, says = ERRORS[name]
    for word, path in (("FILE", "network.net"), ("MODEL", "model.pt"), ("FOLDER", ".")):
        arguments = [a.replace(word, path) for a in arguments]
    answer = mlsnn(*arguments)
    assert says in answer.error


def test_check_without_another_side_checks_the_ranges(mlsnn, copy):
    answer = mlsnn("check", "network.net", "--lava-samples", "0", "--json")
    assert answer.code == 0
    assert answer.json["problems"] == [] and answer.json["compared"] == 0
    assert "nothing to compare" in answer.err


def test_options_that_do_not_exist_end_with_2(mlsnn):
    for arguments in (("train", "--colour", "red"), ("paint",), ("run",), ("train", "-N", "four")):
        answer = mlsnn(*arguments)
        assert answer.code == 2 and "Traceback" not in answer.err


def test_resume_goes_on_and_other_options_are_refused(mlsnn, copy):
    options = ("--out", copy, "--epochs", 1, "--width", 4, "--batch-size", 128, "--resume")
    answer = mlsnn("train", *options, "--json")
    assert answer.code == 0 and answer.json["seconds"] < 60
    assert "other options" in mlsnn("train", *options, "--lr", 0.1).error


@pytest.mark.timeout(120)
def test_the_module_is_the_command_and_a_closed_pipe_is_no_error(trained):
    command = [sys.executable, "-m", "lava_mlsnn", "info", str(trained[0] / "network.net")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "latency" in done.stdout and not done.stderr
    shell = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(command)} | head -n 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 0 and "Traceback" not in shell.stderr


def test_training_on_images_of_a_folder(mlsnn, tmp_path):
    from PIL import Image

    for part in ("train", "test"):
        for c, grey in (("dark", 20), ("light", 230)):
            (tmp_path / "data" / part / c).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (6, 5), (grey + i, grey, grey)).save(
                    tmp_path / "data" / part / c / f"{i}.png"
                )
    options = ("--data", "data", "--width", 2, "--epochs", 1, "--json", "--out", "new/run")
    options += ("--validation", 0)
    answer = mlsnn("train", *options, "--batch-size", 4)
    assert answer.code == 0 and "2 steps an epoch; a smaller --batch-size takes more" in answer.err
    answer = mlsnn("train", *options, "--out", "few", "--batch-size", 5)
    says = (
        "1 step an epoch: 3 of 8 samples are left out of each, drawn anew; a smaller --batch-size"
    )
    assert answer.code == 0 and says in answer.err
    content = torch.load(tmp_path / "new/run/model.pt", weights_only=True)
    assert content["config"]["input_shape"] == (3, 5, 6) and content["config"]["classes"] == 2
    assert mlsnn("export", "new/run/model.pt").code == 0
    assert mlsnn("run", "network.net", "--data", "data", "--json").json["samples"] == 8
    assert mlsnn("run", "network.net", "--json").json["samples"] == 8  # the file's own data
    assert "(3, 5, 6)" in mlsnn("run", "network.net", "--data", "digits").error
    (tmp_path / "data").rename(tmp_path / "moved")
    said = "the file was trained with 'data', and there is no such folder here; name it with --data"
    for command in (("run",), ("energy",), ("check", "--backend", "runner")):
        assert mlsnn(*command, "network.net", "--json").error.endswith(said)


def test_a_file_that_does_not_say_its_data(mlsnn, trained):
    """No dataset is guessed, and one that does not fit is said in one plain sentence."""
    from netx_export import read, write

    spec = read(trained[0] / "network.net")
    write(replace(spec, provenance={}), "unsaid.net")
    write(replace(spec, provenance={"dataset": "digits-events"}), "other.net")
    says = "the file does not say what it was trained with; name data with --data"
    for command in (("run",), ("energy",), ("check", "--backend", "runner")):
        assert mlsnn(*command, "unsaid.net").error.endswith(says)
        assert mlsnn(*command, "other.net").error.count(" but ") == 1
    write(replace(spec, provenance={}, class_names=()), "unsaid.net")
    found = mlsnn("run", "unsaid.net", "--data", "digits", "--samples", 2, "--json").json
    assert len(found["classes"]) == 2 and set(found["classes"]) <= set(range(10))


def test_the_programs_for_loihi_2_are_listed(mlsnn, trained, tmp_path):
    network = trained[0] / "network.net"
    answer = mlsnn("program", network, "--json")
    names = [p["name"] for p in answer.json["programs"]]
    assert (
        answer.code == 0 and names and all(p["instructions"] > 2 for p in answer.json["programs"])
    )
    answer = mlsnn("program", network, "--out", tmp_path / "listings")
    assert sorted(p.stem for p in (tmp_path / "listings").iterdir()) == sorted(names)
    needs = "closed extension" if lava_available() else "needs Python 3.10 with lava-nc"
    assert needs in mlsnn("run", network, "--backend", "loihi2").error
