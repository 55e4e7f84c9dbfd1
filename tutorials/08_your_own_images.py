# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Your own images, from a folder to Lava
#
# What is needed: `train/<class>/*` and `test/<class>/*`, images of one size. Here the folder is
# written from scikit-learn's digits, three classes of them, so that the script runs anywhere; put
# your own folder's path in its place.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from lava_mlsnn import IntegerRunner, ModelConfig, check_parity, encode
from lava_mlsnn.data import load_dataset
from lava_mlsnn.training import recipe, train
from netx_export import export_model, read, run_lava

torch.set_num_threads(1)
NAMES = {0: "zero", 1: "one", 2: "two"}
source = load_digits(n_class=3)
folder = Path(tempfile.mkdtemp(prefix="mlsnn_tutorial_")) / "images"
for number, (image, label) in enumerate(zip(source.images, source.target, strict=True)):
    part = "test" if number % 4 == 0 else "train"
    place = folder / part / NAMES[label]
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255 / 16).astype(np.uint8)).save(place / f"{number}.png")

# %% [markdown]
# ## Read
#
# Classes are the folders, in the order of their names. Pixels become 0..1; the network's input
# turns them into payloads 0..127.

# %%
data = load_dataset(str(folder))
print(f"{len(data.x_train)} and {len(data.x_test)} images of {data.shape}: {data.classes}")
assert data.classes == ("one", "two", "zero")

figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for axis, image, label in zip(axes, data.x_train[::70], data.y_train[::70], strict=False):
    axis.imshow(image[0], cmap="gray_r")
    axis.set(title=data.classes[label], xticks=[], yticks=[])
figure

# %% [markdown]
# ## Train, with a part held out
#
# A fifth of the training images is kept aside to watch (`validate=True` measures it after every
# epoch, in the integers that are exported); the test images are used once, at the end.

# %%
kept = data.validation(0.2)
curve = []
model = train(
    ModelConfig(input_shape=data.shape, classes=3, width=8, input_levels=data.input_levels),
    kept,
    recipe("digits", epochs=8, batch_size=16),
    report=lambda epoch: curve.append((epoch.loss, epoch.accuracy, epoch.validation)),
    validate=True,
)
losses, accuracies, held = np.transpose(curve)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
axes[0].plot(range(1, 9), losses)
axes[0].set(xlabel="epoch", title="loss")
axes[1].plot(range(1, 9), accuracies, label="training")
axes[1].plot(range(1, 9), held, label="kept aside, integers")
axes[1].set(xlabel="epoch", title="accuracy")
axes[1].legend()
figure

# %% [markdown]
# ## Export and run
#
# The file holds integers, the class names and how pixels become payloads.

# %%
file = folder.parent / "images.net"
export_model(model, file)
spec = read(file)
payload = encode(spec, data.x_test)
trace = IntegerRunner(spec).trace(payload)
accuracy = (trace.classes == data.y_test).mean()
print(f"{100 * accuracy:.1f} % of {len(data.x_test)} test images right")
assert accuracy > 0.9 and spec.class_names == data.classes

# %% [markdown]
# Which are confused? Rows are the truth, columns the answer.

# %%
confusion = np.zeros((3, 3), int)
np.add.at(confusion, (data.y_test, trace.classes), 1)
figure, axis = plt.subplots(figsize=(3, 3))
axis.imshow(confusion, cmap="Blues")
for row, column in np.ndindex(3, 3):
    colour = "white" if row == column else "black"
    axis.text(column, row, confusion[row, column], ha="center", va="center", color=colour)
axis.set(
    xticks=range(3), yticks=range(3), xticklabels=spec.class_names, yticklabels=spec.class_names
)
figure

# %% [markdown]
# ## In Lava: the same integers

# %%
if __name__ == "__main__":
    some = slice(None, None, 17)  # test images are in the order of their classes
    result = run_lava(spec, payload[some], timeout=60)
    for scores, label in zip(result.output[..., -1], data.y_test[some], strict=True):
        print(f"{spec.class_names[scores.argmax()]:5} {scores} (it is {spec.class_names[label]})")
    assert np.array_equal(result.output, trace.output[some])
    report = check_parity(spec, data.x_test[:32], model=model, lava_samples=2)
    assert report.count == 0
    print(report)
    print("all claims hold")

# %% [markdown]
# The same from a shell, with your folder:
#
#     mlsnn train --data FOLDER --out runs/mine
#     mlsnn export runs/mine --out mine.net
#     mlsnn report mine.net                    # the pictures of this page and more: report.html
#     mlsnn run mine.net --backend lava --samples 16
#     mlsnn check mine.net --model runs/mine
#
# More on folders, sizes and colours: `docs/data.md`.
