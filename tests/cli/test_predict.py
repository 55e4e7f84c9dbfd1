"""``mlsnn predict``: images as the network saw them in training, or a sentence."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from lava_mlsnn.cli.predict import image_for
from lava_mlsnn.data import load_dataset
from lava_mlsnn.data.folder import StrayWarning
from lava_mlsnn.data.image import Fit
from lava_mlsnn.errors import DataError
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read


def save(path, values, mode="L"):
    Image.fromarray(np.asarray(values, np.uint8), mode).save(path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Files of test digits; 255 / 16 is no whole number, so that pixels are what files hold."""
    folder = tmp_path_factory.mktemp("digits")
    images = np.rint(load_dataset("digits").x_test[:5, 0] * 255).astype(np.uint8)
    return [save(folder / f"{i}.png", image) for i, image in enumerate(images)], images


def test_scores_are_those_of_the_integer_runner(mlsnn, trained, digits):
    files, images = digits
    answer = mlsnn("predict", trained[0] / "network.net", *files, "--json")
    spec = read(trained[0] / "network.net")
    x = images[:, None].astype(np.float32) / np.float32(255)
    scores = IntegerRunner(spec).run(encode(spec, x)).output[..., -1]
    found = answer.json["images"]
    assert [f["scores"] for f in found] == scores.tolist()
    assert [f["class"] for f in found] == [spec.class_names[c] for c in scores.argmax(1)]
    assert [f["image"] for f in found] == [str(f) for f in files]
    text = mlsnn("predict", trained[0] / "network.net", files[0], "--top", 2)
    best = spec.class_names[scores[0].argmax()]
    assert text.code == 0 and f"{best} {scores[0].max()}" in text.out and "1 image in" in text.out


def test_grey_pictures_with_three_channels_are_grey(mlsnn, trained, digits, tmp_path):
    files, images = digits
    colour = save(tmp_path / "c.png", np.stack([images[0]] * 3, -1), "RGB")
    file = trained[0] / "network.net"
    same = [
        mlsnn("predict", file, f, "--json").json["images"][0]["scores"] for f in (colour, files[0])
    ]
    assert same[0] == same[1]
    tinted = save(tmp_path / "t.png", np.stack([images[0], images[0], images[1]], -1), "RGB")
    assert "takes grey images, this one has colours" in mlsnn("predict", file, tinted).error


def test_another_size_is_refused_or_brought_to_that_of_the_network(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    wide = save(tmp_path / "w.png", np.tile(np.arange(32) * 8, (16, 1)))
    said = mlsnn("predict", file, wide).error
    assert "8 x 8 pixels" in said and "16 x 32" in said and "--resize" in said
    spec = read(file)
    for options, fit in ((("--resize",), Fit(8, 8)), (("--resize", "--crop"), Fit(8, 8, True))):
        answer = mlsnn("predict", file, wide, *options, "--json")
        x = encode(spec, image_for(spec, wide, fit)[None])
        scores = IntegerRunner(spec).run(x).output[0, :, -1]
        assert answer.json["images"][0]["scores"] == scores.tolist()
    row = np.rint(255 * image_for(spec, wide, Fit(8, 8))[0, 0])
    assert row[0] < 20 and row[-1] > 230  # stretched
    row = np.rint(255 * image_for(spec, wide, Fit(8, 8, True))[0, 0])
    assert row[0] > 60 and row[-1] < 190  # its middle
    assert "--crop goes with --resize" in mlsnn("predict", file, wide, "--crop").error


def test_what_is_no_image_is_named(mlsnn, trained, tmp_path):
    (tmp_path / "n.png").write_text("no image")
    file = trained[0] / "network.net"
    assert "n.png is not an image" in mlsnn("predict", file, tmp_path / "n.png").error
    assert "gone.png" in mlsnn("predict", file, "gone.png").error
    assert "name the images in it" in mlsnn("predict", file, tmp_path).error


def test_images_of_one_name_are_told_apart(mlsnn, trained, digits, tmp_path):
    files, _ = digits
    other = shutil.copy(files[1], tmp_path / files[0].name)
    said = mlsnn("predict", trained[0] / "network.net", files[0], other).out
    assert str(files[0]) in said and str(other) in said


def folder_of(root, sizes, extra=()):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for k, name in enumerate(("a", "b")):
            place = root / part / name
            place.mkdir(parents=True)
            for i, (h, w) in enumerate(sizes):
                values = rng.integers(0, 100, (h, w)) + 150 * k
                save(place / f"{i}.png", values)
            for stray in extra:
                (place / stray).write_text("notes")
    return root


def test_a_folder_of_any_sizes_is_resized_and_remembered(mlsnn, tmp_path):
    folder_of(tmp_path / "photos", [(9, 14), (12, 8), (20, 20), (8, 8)])
    base = ("train", "--data", "photos", "--width", 2, "--epochs", 2, "--batch-size", 2)
    assert "--resize" in mlsnn(*base, "--out", "x").error
    trained = mlsnn(*base, "--out", "a", "--resize", "8", "--crop", "--json")
    assert trained.code == 0, trained.err
    assert mlsnn("export", "a/model.pt").code == 0
    run = mlsnn("run", "network.net", "--json")  # the file says how
    assert run.json["accuracy"] == trained.json["accuracy_integer"]
    assert "photos (cut to 8x8)" in run.err
    again = mlsnn("run", "network.net", "--data", "photos", "--json")
    assert again.json["classes"] == run.json["classes"]
    one = mlsnn("predict", "network.net", "photos/test/b/0.png", "--json")
    assert one.json["images"][0]["class"] == run.json["classes"][4]
    assert "images are cut to 8x8, as those" in one.err
    for options, says in (
        (("--resize", "big"), "a size is a number of pixels"),
        (("--resize", "0"), "size must be"),
        (("--crop",), "--crop goes with --resize"),
        (("--resize", "8", "--data", "digits"), "is for folders of images"),
    ):
        assert says in mlsnn(*base, "--out", "y", *options).error


def test_files_that_are_no_images_are_named_and_left_out(tmp_path):
    clean = load_dataset(str(folder_of(tmp_path / "clean", [(8, 8)] * 2)))
    with pytest.warns(StrayWarning, match=r"left out .*Thumbs.db and 7 more"):
        data = load_dataset(
            str(folder_of(tmp_path / "p", [(8, 8)] * 2, ("notes.txt", "Thumbs.db")))
        )
    assert np.array_equal(clean.x_train, data.x_train)
    shutil.rmtree(tmp_path / "p" / "train" / "a")
    (tmp_path / "p" / "train" / "a").mkdir()
    (tmp_path / "p" / "train" / "a" / "readme").write_text("nothing")
    with pytest.raises(DataError, match="every class needs image files"):
        load_dataset(str(tmp_path / "p"))
