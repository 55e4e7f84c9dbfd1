"""The ```python blocks of every page in docs run, in order, as one script a page."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SECONDS = 180
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def script_of(page: Path) -> str:
    """The page with all but its Python blocks blanked: line numbers stay those of the page.

    A block with a line of three dots is a sketch and is blanked too.
    """
    lines: list[str] = []
    block: list[str] = []
    inside = code = False
    for line in page.read_text().splitlines():
        if not line.startswith("```"):
            (block if inside else lines).append(line if code else "")
            continue
        if inside:
            sketch = "..." in (text.strip() for text in block)
            lines.extend([""] * len(block) if sketch else block)
        inside, code, block = not inside, not inside and line == "```python", []
        lines.append("")
    return "\n".join(lines) + "\n"


WITH_CODE = [p for p in PAGES if script_of(p).strip()]


def case(page: Path):
    lava = "lava" in script_of(page).replace("lava_mlsnn", "") or "Network(" in script_of(page)
    return pytest.param(page, marks=[pytest.mark.lava] if lava else [], id=page.name)


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("page", [case(p) for p in WITH_CODE])
def test_code_of_a_page_runs(page, tmp_path, request):
    if request.node.get_closest_marker("lava") and importlib.util.find_spec("lava") is None:
        pytest.skip("needs Lava")
    script = tmp_path / f"{page.stem}_md.py"
    script.write_text(script_of(page))
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "TMPDIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that Lava's processes end with it
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f"{page.name} did not end in {SECONDS} s:\n{output[-2000:]}")
    assert process.returncode == 0, f"{page.name}:\n{output[-4000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_files_lead_somewhere(page):
    broken = [
        target
        for target, _ in LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_code_fences_are_closed(page):
    fences = [line for line in page.read_text().splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    assert all(line == "```" for line in fences[1::2])


def test_every_page_is_on_the_map():
    index = (ROOT / "docs" / "index.md").read_text()
    assert [p.name for p in PAGES if p.name != "index.md" and f"({p.name})" not in index] == []
