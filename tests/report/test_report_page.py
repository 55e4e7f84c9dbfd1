"""The page on a network: its figures are the runner's, and it stands alone in a browser."""

from __future__ import annotations

import io
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_models import images, small_model

from lava_mlsnn.errors import DataError
from lava_mlsnn.export import to_spec
from lava_mlsnn.parity import check_parity
from lava_mlsnn.report import collect, report_page
from lava_mlsnn.report.collect import GROUPS, membranes
from lava_mlsnn.report.graph import HIGH, graph_of
from lava_mlsnn.report.page import interval
from lava_mlsnn.report.pictures import picture
from lava_mlsnn.runner import IntegerRunner, encode

SHAPE = (1, 6, 5)
SINGLE = {"area", "base", "br", "img", "link", "meta", "path", "rect"}


def run_of(seed=0, n=9, **config):
    model = small_model(seed, **config)
    model.class_names = ("<b>left</b>", 'right & "up"', "a" * 60)
    spec = to_spec(model)
    x = images(SHAPE, n, seed)
    return model, spec, collect(spec, x, np.arange(n) % 3)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 9), st.integers(1, 3), st.sampled_from([1, 4, 40]))
def test_what_is_shown_is_what_the_runner_computes(seed, timesteps, levels):
    _, spec, run = run_of(seed, timesteps=timesteps, levels=levels)
    trace = IntegerRunner(spec).trace(encode(spec, run.x))
    assert (
        np.array_equal(run.classes, trace.classes) and run.accuracy == (run.classes == run.y).mean()
    )
    assert np.array_equal(run.scores, trace.output[..., -1])
    for name, found in run.levels.items():
        z = trace.layers[name]
        assert found.counts.sum() == z.size and found.counts[0] == (z == 0).sum()
        assert found.saturated == (z == levels).sum() and found.highest == levels
        if levels <= GROUPS:
            assert found.counts.tolist() == [(z == k).sum() for k in range(levels + 1)]
        quiet = ~z.any(axis=(0, *range(2, z.ndim)))
        assert (found.channels, found.dead) == (len(quiet), quiet.sum())
    right = np.flatnonzero(run.classes == run.y)
    assert run.shown == (right[0] if len(right) else 0)
    for name, z in trace.layers.items():
        assert np.array_equal(run.layers[name], z[run.shown])


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 9), st.integers(2, 4), st.sampled_from(["integrating", "ms", "respiking"]))
def test_a_membrane_before_the_spike_gives_the_payload(seed, timesteps, barrier):
    _, spec, run = run_of(seed, timesteps=timesteps, barrier=barrier)
    traces = membranes(spec, run.layers)
    assert traces and set(traces) <= set(run.levels)
    for name, (h, z, vth) in traces.items():
        assert h.shape == z.shape == (timesteps,) and vth > 0
        assert np.array_equal(z, np.clip(h // vth, 0, run.levels[name].highest))
        busiest = run.layers[name].astype(int).sum(-1).max()
        assert z.sum() == busiest


class Page(HTMLParser):
    """Tags that are open, and addresses that would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in SINGLE:
            self.open.append(tag)
        self.fetched += [v for k, v in attributes if k in ("src", "href") and v[:5] != "data:"]

    def handle_startendtag(self, tag, attributes):
        assert tag in SINGLE

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("options", [{"levels": 1}, {"timesteps": 3, "barrier": "ms"}])
def test_a_page_is_whole_fetches_nothing_and_escapes_names(options):
    model, spec, run = run_of(**options)
    report = check_parity(spec, run.x, model=model)
    page = Page(report_page(spec, run, title="a <title>", data="9 & samples", parity=report))
    assert page.open == [] and page.fetched == []
    text = "".join(page.words)
    assert "a <title>" in text and "9 & samples" in text and "<b>left</b>" in text
    assert f"{report.compared:,} compared (9 samples in training)" in text
    assert ("Membranes" in text) == (spec.timesteps > 1)
    for _, layer in spec.populations:
        assert layer.name in text
    for part in ("Accuracy", "Most wrong", "Levels", "Activity", "Energy", "Loihi 2", "Network"):
        assert part in text
    bare = Page(report_page(spec, run, title="t", data="d"))
    assert "parity was not checked here" in "".join(bare.words)


@pytest.mark.parametrize(
    ("shape", "most"), [((1, 4, 5), 102), ((3, 4, 5), 102), ((2, 4, 5), 255), ((2, 4, 5, 3), 255),
                        ((7,), 102), ((7, 3), 255)]
)  # fmt: skip
def test_a_sample_is_shown_as_it_is_and_events_are_seen(shape, most):
    shown = np.asarray(Image.open(io.BytesIO(picture(np.full(shape, 0.4)))))
    assert shown.max() == most and picture(np.zeros(shape))[:4] == b"\x89PNG"


def test_a_report_needs_samples():
    _, spec, run = run_of()
    with pytest.raises(DataError, match="at least one sample"):
        collect(spec, run.x[:0], run.y[:0])


def test_every_synapse_is_an_edge_inside_the_picture():
    _, spec, _ = run_of(barrier="ms")
    graph = graph_of(spec)
    assert len(graph.edges) == sum(len(p.synapses) for _, p in spec.populations)
    assert [b.depth for b in graph.boxes] == sorted(b.depth for b in graph.boxes)
    assert {b.name for b in graph.boxes} >= {p.name for _, p in spec.populations}
    assert max(b.y for b in graph.boxes) + HIGH <= graph.height


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(pair):
    right, n = pair
    low, high = interval(right, n)
    assert 0 <= low <= right / n <= high <= 1


def test_a_phone_shows_the_page_without_scrolling_sideways(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    model, spec, run = run_of(timesteps=2)
    parity = check_parity(spec, run.x, model=model)
    page = report_page(spec, run, title="phone", data="d", parity=parity)
    (tmp_path / "p.html").write_text(page)
    with playwright.sync_playwright() as started:
        shown = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width in (360, 1100):
            view = shown.new_page(viewport={"width": width, "height": 700})
            view.goto(f"file://{tmp_path}/p.html")
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            assert view.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        shown.close()
