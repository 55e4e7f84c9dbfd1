"""An option that would do nothing is refused, and a result never replaces what it is made from."""

from __future__ import annotations

import pytest

IDLE = [
    (("--pool", "stride"), "--pool does nothing without --arch vgg-11 or vgg-16"),
    (("--barrier-threshold", 3), "--barrier-threshold does nothing without --barrier respiking"),
    (("--barrier", "sew", "--shortcut-neuron"), "without --barrier integrating"),
    (("--momentum", 0.5), "--momentum does nothing without --optimiser sgd"),
    (("--recipe", "cifar10", "--step-epochs", 3), "without --schedule step"),
    (("--step-factor", 0.1), "without --schedule step"),
    (("--temperature", 3), "--temperature does nothing without --distil"),
    (("--ann-percentile", 50), "--ann-percentile does nothing without --ann-epochs"),
]
DROPPED = [
    ("run", ("--per-layer",), "the backend runner has no option per_layer"),
    ("run", ("--partition", "x", "--host", "y"), "runner has no option partition, host"),
    ("run", ("--backend", "lava", "--batch-size", 3), "lava has no option batch_size"),
    ("run", ("--backend", "lava", "--threads", 1), "lava has no option threads"),
    ("run", ("--backend", "loihi2", "--threads", 1), "loihi2 has no option threads"),
    ("check", ("--system", "hala-point"), "--system goes with --target loihi2"),
    ("check", ("--target", "loihi2", "--backend", "lava"), "--backend is for the parity check"),
    ("check", ("--target", "loihi2", "--lava-samples", 3), "--lava-samples is for the parity"),
]


@pytest.mark.parametrize(("options", "words"), IDLE, ids=lambda x: str(x)[:30])
def test_train_refuses_an_option_that_nothing_looks_at(mlsnn, tmp_path, options, words):
    answer = mlsnn("train", "--out", "new", *options)
    assert words in answer.error and not (tmp_path / "new").exists()


@pytest.mark.parametrize(("command", "options", "words"), DROPPED, ids=lambda x: str(x)[:30])
def test_an_option_of_another_backend_or_check_is_refused(mlsnn, trained, command, options, words):
    assert words in mlsnn(command, trained[0] / "network.net", *options).error


@pytest.mark.parametrize("link", [False, True])
def test_a_result_does_not_replace_its_source(mlsnn, copy, link):
    jobs = {
        "model.pt": ("export", copy / "model.pt", "--out"),
        "network.net": ("check", copy / "network.net", "--target", "loihi2", "--mapping"),
    }
    for name, command in jobs.items():
        before = (copy / name).read_bytes()
        out = copy / name
        if link:
            out = copy / f"link to {name}"
            out.symlink_to(copy / name)
        assert "this is the file that is read" in mlsnn(*command, out).error
        assert (copy / name).read_bytes() == before
