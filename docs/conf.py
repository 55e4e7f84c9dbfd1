"""The documentation as a site: pages of this folder, rendered tutorials, reference from docstrings.

The pages stay plain Markdown that reads well where it lies. What only the site needs is made
here: its table of contents, a reference page for each public package (``reference/``), copies of
the tutorials (``tutorials/``). ``MLSNN_DOCS_RUN=no`` shows the tutorials without running them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path

import lava_mlsnn

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "lava-mlsnn"
author = copyright = "the lava-mlsnn developers"
release = version = lava_mlsnn.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "conf.py"]
html_theme = "furo"
html_title = f"lava-mlsnn {release}"
html_show_sourcelink = False

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
# two packages may have a name in common (Input, Conv); a tutorial that was not run says no language
suppress_warnings = ["ref.python", "myst-nb.lexer"]

nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "off" if os.environ.get("MLSNN_DOCS_RUN") == "no" else "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types, with shapes and units
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

# caption: pages, in the order of reading
CONTENTS = {
    "Learn": "tutorials/*",
    "Do": "data choose training report checks convert from_lava_dl foreign zoo machines loihi2 "
    "interchange onnx stock_files lava_on_newer_python",
    "Understand": "neuron networks time activity energy speed",
    "Trust": "measured trust dangers differences evidence",
    "Look up": "reference/* format support",
    "Change": "architecture",
}

# package: what its page says first
PUBLIC = {
    "lava_mlsnn": "The names that most programs need.",
    "netx_export": "The integer network, its file, and its ranges.",
    "lava_mlsnn.slayer.block": "Training blocks in SLAYER's conventions.",
    "lava_mlsnn.models": "Sparse-ResNet and VGG.",
    "lava_mlsnn.training": "Training loop, recipes, checkpoints.",
    "lava_mlsnn.conversion": "From a trained float network.",
    "lava_mlsnn.foreign": "From spiking networks of SpikingJelly, snnTorch and sinabs.",
    "lava_mlsnn.zoo": "Trained networks by name.",
    "lava_mlsnn.data": "Datasets as arrays.",
    "lava_mlsnn.neuron": "The neuron in torch.",
    "lava_mlsnn.export": "From a trained model to an integer network.",
    "lava_mlsnn.proc": "Lava Processes.",
    "lava_mlsnn.loihi2": "Programs, limits and mapping for the chip.",
    "lava_mlsnn.parity": "The comparison of all sides.",
    "lava_mlsnn.activity": "Events and operations.",
    "lava_mlsnn.energy": "The analytical energy model.",
    "lava_mlsnn.report": "A page on one network.",
    "lava_mlsnn.reproduce": "The paper's claims as experiments.",
    "netx_export.spec": "What a network is and computes.",
    "netx_export.errors": "All errors.",
}


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _write_reference() -> None:
    """A page for each package; what two of them offer is described in the first."""
    folder = _fresh(HERE / "reference")
    homes: dict[int, str] = {}
    for package, says in PUBLIC.items():
        if importlib.util.find_spec(package) is None:
            continue
        module = importlib.import_module(package)
        names = sorted(module.__all__)
        first = [homes.setdefault(id(getattr(module, n)), package) for n in names]
        also = [(n, home) for n, home in zip(names, first, strict=True) if home != package]
        page = (
            f"# {package}\n\n{says}\n\n```{{eval-rst}}\n.. automodule:: {package}\n   :members:\n"
        )
        if also:
            page += f"   :exclude-members: {', '.join(n for n, _ in also)}\n"
        page += "```\n"
        for home in dict.fromkeys(home for _, home in also):
            shared = ", ".join(f"`{n}`" for n, h in also if h == home)
            page += f"\nAlso here: {shared}; see [{home}]({home}.md).\n"
        (folder / f"{package}.md").write_text(page)


def _copy_tutorials() -> None:
    folder = _fresh(HERE / "tutorials")
    for script in sorted((ROOT / "tutorials").glob("[0-9]*.py")):
        shutil.copy(script, folder)


def _contents() -> str:
    text = ""
    for caption, entries in CONTENTS.items():
        found = [HERE.glob(e if "*" in e else f"{e}.md") for e in entries.split()]
        pages = [
            page.relative_to(HERE).with_suffix("") for group in found for page in sorted(group)
        ]
        lines = "\n".join(map(str, pages))
        text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
    return text


def _read(app: object, name: str, source: list[str]) -> None:
    """Links out of this folder: to a rendered tutorial, or to what lies in the checkout."""
    text = re.sub(r"\]\(\.\./tutorials/(\d\w+)\.py\)", r"](tutorials/\1)", source[0])
    text = re.sub(r"\[([^]]*)\]\(\.\./([\w/.-]+)\)", r"\1 (`\2` in the checkout)", text)
    source[0] = text + (_contents() if name == "index" else "")


def _shapes(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """(N, *shape) is a shape and no emphasis."""
    lines[:] = [re.sub(r"(?<=, )\*(?=\w)", r"\\*", line) for line in lines]


def setup(app: object) -> None:
    """Make what only the site has."""
    _write_reference()
    _copy_tutorials()
    app.connect("source-read", _read)  # type: ignore[attr-defined]
    app.connect("env-get-outdated", lambda *_: ["index"])  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", _shapes)  # type: ignore[attr-defined]
