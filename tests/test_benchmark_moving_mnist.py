"""The command for Moving MNIST, on digits of its own: what it measures, and that a run resumes."""

import json
import math
import os
import signal
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT
from test_binarised_mnist import put_mnist
from torch import nn

from course_lib.device import make_generator
from course_lib.models.video_pixel_network import VideoPixelNetwork, VPNConfig

SMALL = "--steps 6 --size 8 --features 2 --encoder 1 --decoder 1 --batch-size 2 --frames 4 --test 11"


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("moving_mnist")


@pytest.fixture
def greys(tmp_path, monkeypatch):
    """A store whose MNIST is all grey."""
    images = torch.full((6, 28, 28), 51).numpy()
    put_mnist(tmp_path, monkeypatch, images, images)


def videos(n=3, T=4, seed=0):
    return torch.rand(n, T, 1, 5, 6, generator=make_generator(seed))


def test_nats_of_zeros_and_ones_are_the_models_own(bench):
    model = VideoPixelNetwork(VPNConfig(height=5, width=6, features=4), generator=make_generator(0))
    x = videos().round()
    assert torch.allclose(bench.nats(model, x), -model.log_prob(x.long(), by_frame=True), atol=1e-4)


def test_who_knows_every_pixels_share_pays_the_floor_and_nobody_less(bench):
    x = videos()

    class Knows(nn.Module):
        def logits(self, words):
            return words[:, :, None].movedim(3, -1).log() + self.by

    model = Knows()
    model.by = 0
    assert torch.allclose(bench.nats(model, x).double(), bench.entropy(x), atol=1e-4)
    model.by = torch.tensor([0.1, 0.0])
    assert (bench.nats(model, x) > bench.entropy(x)).all()
    assert bench.entropy(torch.full((1, 2, 1, 2, 2), 0.5)).tolist() == [[pytest.approx(4 * math.log(2))] * 2]
    assert bench.entropy(torch.tensor([0.0, 1.0]).view(1, 1, 1, 1, 2)).item() == 0


def test_only_the_last_ten_frames_count_and_the_floor_is_that_of_the_same_videos(bench, greys, monkeypatch):
    cost = torch.arange(20.0)
    monkeypatch.setattr(bench, "nats", lambda model, x: bench.entropy(x) + cost)
    found = bench.worth(None, 13, generator=make_generator(0), size=8)
    assert found["above_floor"] == 14.5 and found["above_floor_by_frame"] == [*range(10, 20)]
    assert found["test_nats"] == pytest.approx(found["floor"] + 14.5) and found["above_floor_error"] == 0
    one = -0.2 * math.log(0.2) - 0.8 * math.log(0.8)
    assert 16 * one <= found["floor"] < 32 * one, "two digits of 4 × 4 grey pixels, where they do not overlap"


def test_a_run_resumes_and_its_row_says_what_it_was(bench, greys, tmp_path, monkeypatch):
    whole = bench.main(SMALL.split(), folder=tmp_path / "whole", progress=False)
    before, seen = bench.loss, []

    def pressed(model, x):
        seen.append(x)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return before(model, x)

    monkeypatch.setattr(bench, "loss", pressed)
    with pytest.raises(SystemExit, match="the same command goes on"):
        bench.main(SMALL.split(), folder=tmp_path, progress=False)
    row = bench.main(SMALL.split(), folder=tmp_path, progress=False)
    assert len(seen) == 6, "three steps before, three after"
    assert {key for key in row if row[key] != whole[key]} <= {"minutes"}
    assert row["command"] == f"python benchmarks/moving_mnist.py {SMALL}" and row["published"] is None
    assert (row["digit"], row["test"], row["config"]["encoder"]) == (4, 11, [1])
    stored = json.loads((tmp_path / "results" / "moving_mnist_vpn_8.json").read_text("utf-8"))
    assert stored == row
    with pytest.raises(SystemExit, match="of another run"):
        bench.main([*SMALL.split(), "--lr", "0.1"], folder=tmp_path, progress=False)


def test_minutes_are_turned_into_steps_and_the_baseline_has_a_row_of_its_own(bench, greys, tmp_path):
    asked = SMALL.replace("--steps 6", "--minutes 0.01 --model baseline").split()
    row = bench.main(asked, folder=tmp_path, progress=False)
    assert row["steps"] > 1 and (tmp_path / "results" / "moving_mnist_baseline_8.json").exists()


def test_what_is_stored_is_a_row_of_the_command(bench):
    for path in (ROOT / "benchmarks" / "results").glob("moving_mnist*.json"):
        row = json.loads(path.read_text("utf-8"))
        wanted, name, _ = bench.read(row["command"].split()[2:])
        assert name == path.stem and row["config"]["height"] == wanted["size"] and row["model"] == wanted["model"]
        assert row["above_floor"] == pytest.approx(row["test_nats"] - row["floor"], abs=2e-3) and row["above_floor"] > 0
