"""``mlsnn report`` on a trained network."""

from __future__ import annotations


def test_the_command_writes_the_page(mlsnn, trained, tmp_path):
    folder = trained[0]
    options = ("--model", folder / "model.pt", "--samples", 40, "-o", "a.html", "--json")
    answer = mlsnn("report", folder / "network.net", *options)
    assert answer.code == 0, answer.err
    page = (tmp_path / "a.html").read_text()
    assert answer.json["bytes"] == len(page.encode()) < 3e6
    assert answer.json["differences"] == 0 and answer.json["samples"] == 40
    assert "40 of 450 samples" in page and "digits (validation 0.1)" in page
    file = folder / "network.net"
    assert "this is the file that is read" in mlsnn("report", file, "-o", file).error
