"""The comparison of chapter 4's painters: what each control sees, what a row says, and that a run can be stopped."""

import json
import math
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.device import make_generator
from course_lib.measure.sight import looks


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("painters")


@pytest.fixture(scope="module")
def recipes(bench):
    return import_module("recipes.painters")


def field(recipes, name, at=(12, 5)):
    generator = make_generator(0)
    model = recipes.begin(name, generator)
    return looks(model, torch.randint(16, (4, 1, 16, 16), generator=generator), *at) > 0


def test_every_painter_is_causal_and_sees_both_neighbours(recipes):
    before = torch.arange(256).view(16, 16) < 12 * 16 + 5
    for name in recipes.PAINTERS:
        seen = field(recipes, name)
        assert not (seen & ~before).any() and seen[12, 4] and seen[11, 5], name


def test_the_three_for_the_blind_spot_reach_equally_far_and_differ_in_the_wedge(recipes):
    whole, *blind = (field(recipes, name) for name in ("Gated PixelCNN", "one stack", "wedge shut"))
    up, right = (12 - torch.arange(16))[:, None], (torch.arange(16) - 5)[None]
    wedge = (up > 0) & (right > up + 1)
    for seen in blind:
        assert torch.equal(seen, whole & ~wedge)
    assert whole[11, 8] and wedge[11, 8] and not wedge[11, 7], "it begins a row up, three to the right"


@pytest.mark.parametrize("right", [2, 3])
def test_copies_repeat_what_they_say_and_their_floor_is_the_rules(recipes, right):
    copies = recipes.Copies(f"copies, {right} right")
    x = copies(300, 0)
    same = x[:, 0, 1:, :-right] == x[:, 0, :-1, right:]
    assert same.float().mean().item() == pytest.approx(0.9 + 0.1 / 16, abs=0.005)
    assert copies.copied(x).float().mean().item() == pytest.approx(15 * (16 - right) / 256)
    of_one = -(0.90625 * math.log2(0.90625) + 0.09375 * math.log2(0.1 / 16))
    share = 15 * (16 - right) / 256
    assert copies.bits(x) == pytest.approx(share * of_one + 4 * (1 - share), abs=0.02)


def test_pixels_of_both_kinds_are_told_apart(bench):
    x = torch.zeros(1, 1, 16, 16, dtype=torch.long)
    x[0, 0, 5] = 1  # a stripe: its row goes on from the left; the one below it, back to 0, too
    found = bench.of_pixels(torch.arange(256.0).view(1, 16, 16), x)
    assert found["bits"] == 127.5
    along = torch.arange(1.0, 16)  # the first column has no left neighbour; above the first row there is none either
    assert found["left"] == pytest.approx(torch.cat([along, 80 + along, 96 + along]).mean().item())
    assert found["above"] == pytest.approx(torch.tensor([16.0 * i for i in range(1, 16) if i not in (5, 6)]).mean())


def test_a_run_stores_row_by_row_and_goes_on_with_what_is_missing(bench, recipes, tmp_path, monkeypatch, capsys):
    sizes = {"train": 40, "test": 16, "valid": 16}
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | sizes)
    monkeypatch.setattr(bench, "MARKS", (0, 1))
    monkeypatch.setattr(bench, "telling", lambda x: x[:, 0] > 0)  # counting 60,000 creatures takes its time
    monkeypatch.setattr(bench, "PAINTERS", ("raster LSTM", "filter only"))
    path, made = tmp_path / "painters.json", []
    before = bench.trained

    def twice_and_stop(*of, progress):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(of[1:])
        return before(*of, progress=progress)

    monkeypatch.setattr(bench, "trained", twice_and_stop)
    with pytest.raises(KeyboardInterrupt):
        bench.main([], path, steps=(2, 3), seeds=(0,))
    assert [row["painter"] for row in json.loads(path.read_text("utf-8"))["rows"]] == ["raster LSTM", "filter only"]
    monkeypatch.setattr(bench, "trained", before)
    bench.main([], path, steps=(2, 3), seeds=(0,))
    found = json.loads(path.read_text("utf-8"))
    at = [(row["data"], row["painter"], row["steps"]) for row in found["rows"]]
    assert at == [row[:3] for row in bench.wanted((2, 3), (0,))] and len(at) == len(set(at)) == 10
    assert made == [("raster LSTM", 2, 0), ("filter only", 2, 0)], "the first two were not trained again"
    raster = found["rows"][0]
    assert [seen["step"] for seen in raster["watched"]] == [0, 1, 2] and raster["watched"][0]["looks_left"] > 0
    assert 3 < raster["bits"] < 5 and raster["weights"] == 30_508 and raster["masked"] == 0
    assert found["rows"][1]["masked"] == 26 * 16 * 25 and "looks_left" not in found["rows"][1]["watched"][0]
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | {"lr": 1.0})
    with pytest.raises(ValueError, match=r"rows of other settings.*--fresh replaces them"):
        bench.main([], path, steps=(2, 3), seeds=(0,))


def test_the_timing_keeps_the_rows(bench, tmp_path, monkeypatch):
    path = tmp_path / "painters.json"
    path.write_text(json.dumps({"settings": bench.SETTINGS, "rows": [{"painter": "some"}]}), "utf-8")
    monkeypatch.setattr(bench, "timed", lambda: {"filter only": 1.5})
    bench.main(["--time"], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"] == [{"painter": "some"}] and found["milliseconds_a_step"] == {"filter only": 1.5}


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/painters.py" and found["settings"] == bench.SETTINGS
    rows = [tuple(row[part] for part in ("data", "painter", "steps", "seed")) for row in found["rows"]]
    assert len(rows) == len(set(rows)) and set(rows) <= set(bench.wanted())
