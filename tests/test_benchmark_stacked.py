"""The command for stacked MNIST, on digits of its own: stacks, how a mode is read, and that a run resumes."""

import json
import os
import signal
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT
from torch import nn

from course_lib.device import make_generator


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("stacked_mnist")


def bars(n, seed=0):
    """Digits that a tiny classifier can tell apart, (n, 1, 8, 8) long, and which they are: a pixel a digit."""
    y = torch.randint(10, (n,), generator=make_generator(seed))
    x = torch.zeros(n, 1, 64, dtype=torch.long)
    x[torch.arange(n), 0, 6 * y] = 255
    return x.view(n, 1, 8, 8), y


class Told(nn.Module):
    """The classifier that knows the rule of `bars`."""

    def forward(self, x):
        return x.flatten(1)[:, :60:6].float()


def test_a_stack_is_digits_in_the_colours_and_its_mode_is_their_number(bench):
    x = bars(50)[0]
    stacks = bench.Stacks(x, 3)
    drawn = stacks.draw(400, generator=make_generator(1))
    assert drawn.shape == (400, 3, 8, 8) and drawn.dtype == torch.long
    assert all(any(torch.equal(one, known) for known in x[:, 0]) for one in drawn[:20].flatten(0, 1))
    mode = bench.modes_of(Told(), drawn)
    digits = Told()(drawn.flatten(0, 1)[:, None]).argmax(1).view(400, 3)
    assert torch.equal(mode, 100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2])
    assert len(mode.unique()) > 200, "the colours are drawn one by one"


def test_what_is_real_reaches_all_modes_and_one_digit_for_ever_reaches_one(bench):
    stacks = bench.Stacks(bars(1000)[0], 1)
    real = bench.worth(Told(), stacks.draw(5000, generator=make_generator(0)), 10)
    assert real["modes"] == 10 and real["reverse_kl"] < 0.02
    one = bench.worth(Told(), stacks.x[:1].expand(70, -1, -1, -1), 10)
    assert one == {"modes": 1, "reverse_kl": pytest.approx(2.3026)}


def test_the_classifier_learns_to_read(bench, monkeypatch):
    monkeypatch.setattr(bench, "READING", bench.READING | {"steps": 60, "batch_size": 32})
    model = bench.reader(*bars(300), 0, progress=False)
    x, y = bars(200, seed=1)
    assert (bench.modes_of(model, x) == y).float().mean() > 0.95


def test_a_run_resumes_and_its_row_says_what_it_was(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "load_mnist", lambda split, device: bars(80))
    monkeypatch.setattr(bench, "READING", bench.READING | {"steps": 3, "batch_size": 8})
    monkeypatch.setattr(bench, "DRAWS", 60)
    small = ["--steps", "6", "--features", "2", "--latent", "3", "--batch-size", "4"]
    whole = bench.main(small, folder=tmp_path / "whole", progress=False)

    before, stopped = bench.fit_gan, []

    def interrupted(*of, **settings):
        def watch(step):
            if step == 3 and not stopped:
                stopped.append(step)
                os.kill(os.getpid(), signal.SIGINT)

        return before(*of, **settings | {"watch": watch})

    monkeypatch.setattr(bench, "fit_gan", interrupted)
    with pytest.raises(SystemExit, match="stopped: the same command goes on from here"):
        bench.main(small, folder=tmp_path, progress=False)
    row = bench.main(small, folder=tmp_path, progress=False)
    capsys.readouterr()
    assert row == json.loads((tmp_path / "results" / "stacked_mnist.json").read_text("utf-8"))
    same = {key: value for key, value in row.items() if key != "minutes"}
    assert same == {key: value for key, value in whole.items() if key != "minutes"}
    assert row["of"] == 1000 and 1 <= row["modes"] <= 60 and row["steps"] == 6
    assert row["published"]["VEEGAN"] == [150, 2.95]
    with pytest.raises(SystemExit, match="is of another run"):
        bench.main([*small, "--packing", "3"], folder=tmp_path, progress=False)


def test_minutes_become_steps(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "load_mnist", lambda split, device: bars(80))
    monkeypatch.setattr(bench, "READING", bench.READING | {"steps": 3, "batch_size": 8})
    monkeypatch.setattr(bench, "DRAWS", 20)
    monkeypatch.setattr(bench, "seconds_a_step", lambda play: 0.57)
    row = bench.main(["--minutes", "0.05", "--colours", "1", "--features", "2"], folder=tmp_path, progress=False)
    assert row["steps"] == 5 and row["of"] == 10 and row["published"] is None
    assert (tmp_path / "results" / "mnist_gan.json").exists()
