"""The benchmark of games: what a row says, that a run can be stopped, and that its table counts what it should."""

import json
import math
from importlib import import_module

import pytest
from test_benchmark_train import ROOT

from course_lib.train import NotFinite


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("games")


@pytest.fixture
def small(bench, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | {"points": 60, "batch_size": 4, "features": 4, "draws": 50})
    return bench


STEPS = {"ring": 4, "grid": 3}


def test_a_recipe_differs_from_another_in_what_its_name_says(bench):
    def changes(one, other):
        one, other = vars(bench.PLAYS[one]), vars(bench.PLAYS[other])
        return {name for name in one if one[name] != other[name]}

    assert changes("non-saturating", "minimax") == changes("stable", "stable, minimax") == {"game"}
    assert changes("non-saturating", "R1") == changes("stable", "stable, no R1") == {"r1"}
    assert changes("non-saturating", "falling rate") == changes("stable", "stable, constant rate") == {"schedule"}
    assert changes("non-saturating", "packing 2") == changes("stable", "stable, packing 2") == {"packing"}
    assert changes("non-saturating", "spectral norm") == {"spectral"}
    assert changes("non-saturating", "faster") == changes("stable", "stable, slower") == {"lr"}


def test_a_run_stores_row_by_row_and_goes_on_with_what_is_missing(small, tmp_path, monkeypatch, capsys):
    plays = {name: small.PLAYS[name] for name in ("minimax", "packing 2", "spectral norm")}
    path, made, before = tmp_path / "games.json", [], small.trained

    def twice_and_stop(*of):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(of)
        return before(*of)

    monkeypatch.setattr(small, "trained", twice_and_stop)
    given = {"path": path, "plays": plays, "seeds": (0,), "steps": STEPS}
    with pytest.raises(KeyboardInterrupt):
        small.main([], **given)
    assert made == [("ring", "minimax", 0, 4), ("ring", "packing 2", 0, 4)]
    monkeypatch.setattr(small, "trained", before)
    small.main([], **given)
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert [(row["data"], row["play"], row["seed"]) for row in rows] == small.wanted(plays, (0,))
    for row in rows:
        assert [seen["step"] for seen in row["watched"]] == list(range(1, row["steps"] + 1))
        assert {"reached", "high_quality", "reverse_kl", "log_prob", "generator", "discriminator"} <= row["watched"][
            0
        ].keys()
        assert 0 <= row["high_quality"] <= 1 and row["reached_as_in_papers"] >= row["reached"] >= 0
    said = capsys.readouterr().out
    assert said.count("1 of 1") == 6, "after four steps all have failed"
    small.main(["--table"], path=path)
    assert said.endswith(capsys.readouterr().out)
    monkeypatch.setattr(small, "SETTINGS", small.SETTINGS | {"features": 5})
    with pytest.raises(ValueError, match=r"rows of other settings.*--fresh replaces them"):
        small.main([], **given)


def test_looking_on_the_way_changes_nothing_of_a_run(small, monkeypatch):
    rows = []
    for looks in (1, 4):
        monkeypatch.setattr(small, "SETTINGS", small.SETTINGS | {"looks": looks})
        rows.append(small.trained("ring", "R1", 0, 4)["watched"])
    whole, parts = rows
    for player in ("generator", "discriminator"):
        mean = sum(part[player] for part in parts) / 4
        assert whole[0][player] == pytest.approx(mean, abs=2e-3)


def test_a_run_that_diverged_is_a_row_and_has_failed(small, monkeypatch):
    def diverges(*_, **__):
        raise NotFinite("the loss became nan at step 3.", None)

    monkeypatch.setattr(small, "fit_gan", diverges)
    row = small.trained("grid", "minimax", 0, 4)
    assert row["diverged"] == "the loss became nan at step 3." and small.failed(row)
    assert "1 of 1" in list(small.table([row]))[1]


@pytest.mark.parametrize(
    ("change", "failed"),
    [({}, False), ({"reached": 7}, True), ({"high_quality": 0.89}, True), ({"reverse_kl": 9}, False)],
)
def test_a_run_has_failed_when_a_mode_is_missing_or_too_much_lies_between(bench, change, failed):
    row = {"data": "ring", "reached": 8, "high_quality": 0.95, "reverse_kl": 0.01} | change
    assert bench.failed(row) == failed


def test_the_table_has_the_middle_of_the_runs(bench):
    rows = [
        {"data": "ring", "play": "stable", "reached": 8, "high_quality": q, "reverse_kl": 0.01 * n, "seconds": n}
        for n, q in enumerate((0.5, 0.96, 0.94))
    ]
    (line,) = list(bench.table(rows))[1:]
    assert line.split() == ["ring", "stable", "1", "of", "3", "0", "0.940", "0.0100", "1.0"]


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/games.py" and found["settings"] == bench.SETTINGS
    assert found["steps"] == bench.STEPS
    rows = [(row["data"], row["play"], row["seed"]) for row in found["rows"]]
    assert len(rows) == len(set(rows)) and set(rows) <= set(bench.wanted())
    assert all("diverged" in row or math.isfinite(row["log_prob"]) for row in found["rows"])
