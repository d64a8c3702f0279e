"""All that a training run draws hangs on its `generator`: dropout too, after a kill -9, and in several processes."""

import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib.checkpoint import load
from course_lib.device import make_generator
from course_lib.layers import ResidualMLP, initialised_by
from course_lib.train import fit, session
from course_lib.train.chance import OTHER_NUMBERS

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Config:
    features: int = 16


class Noisy(nn.Module):
    """(B, 2) -> (B, 1), half of it dropped in training."""

    def __init__(self, config, generator):
        super().__init__()
        self.config = config
        with initialised_by(generator):
            self.layers = ResidualMLP(2, 1, features=config.features, depth=2, dropout=0.5)

    def forward(self, x):
        return self.layers(x)


def fresh(seed=0, features=16):
    generator = make_generator(seed)
    return Noisy(Config(features), generator), generator


def miss(model, x):
    return (model(x)[:, 0] - x.prod(1)).square()


def train(model, generator, loss=miss, **changes):
    x = torch.randn(200, 2, generator=make_generator(9))
    settings = {"loss": loss, "steps": 230, "batch_size": 16, "lr": 1e-2, "progress": False} | changes
    return fit(model, x, generator=generator, **settings)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_dropout_hangs_on_the_generator_and_the_global_source_is_given_back():
    found = []
    for anybody in (1, 2):
        torch.manual_seed(anybody)
        before = torch.get_rng_state()
        model, generator = fresh()
        found.append((train(model, generator).loss, weights(model)))
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])
    model, generator = fresh()
    torch.randn(1, generator=generator)  # another state: other batches, and other noise
    assert train(model, generator).loss != found[0][0]


def test_every_step_and_every_seed_has_dropout_of_its_own():
    seen = []

    def loss(model, x):
        seen.append(nn.functional.dropout(torch.ones(64), 0.5))
        return miss(model, x)

    for seed in range(2):
        train(*fresh(seed), loss=loss, steps=20)
    assert len({tuple(kept.tolist()) for kept in seen}) == 40


def test_dropout_goes_on_where_a_stopped_run_was():
    whole, generator = fresh()
    expected = train(whole, generator)
    model, generator = fresh()

    def loss(model, x):
        if len(stopped) == 77:
            raise KeyError("the loop's own trouble")
        stopped.append(1)
        return miss(model, x)

    stopped, history = [], session.History()
    with pytest.raises(KeyError):
        train(model, generator, loss=loss, history=history)
    history = train(model, generator, history=history)
    assert history.loss == expected.loss and torch.equal(weights(model), weights(whole))


SCRIPT = """
import os, signal, sys, time
import torch, torch.distributed as dist
sys.path.insert(0, {tests!r})
from test_chance import fresh, miss, session, train, weights
session.SAVE_EVERY = 0.0
dies, path = int(sys.argv[1]), sys.argv[2]

def loss(model, x):
    seen.append(1)
    if len(seen) == dies:  # past a checkpoint, in the middle of a step
        os.kill(os.getpid(), signal.SIGKILL)
    return miss(model, x)

seen = []
model, generator = fresh()
history = train(model, generator, loss, checkpoint=path)
rank, after = os.environ.get("RANK", 0), torch.randn(3, generator=generator)
torch.save([history.loss, weights(model), after], f"{{path}}.{{rank}}")
if dist.is_initialized():
    dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_after_kill_9_a_run_goes_on_exactly_as_if_it_had_never_stopped(processes, tmp_path, run):
    """With dropout; in two processes the draws of both: rank 1 says what it has drawn and what it draws next."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    alone, fabric = [sys.executable, script], Path(sys.executable).parent / "fabric"
    together = [fabric, "run", script, "--accelerator=cpu", "--devices=2", "--strategy=ddp"]

    def go(dies, name):
        command = alone if processes == 1 else together
        return run([*command, str(dies), name], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})

    assert go(0, "whole").returncode == 0
    died = go(180, "killed")
    assert died.returncode == -signal.SIGKILL if processes == 1 else died.returncode != 0
    assert (tmp_path / "killed").exists() and not (tmp_path / "killed.0").exists()
    again = go(0, "killed")
    assert again.returncode == 0, again.stderr
    for rank in range(processes):
        losses, weights, after = torch.load(tmp_path / f"whole.{rank}")
        got = torch.load(tmp_path / f"killed.{rank}")
        assert torch.equal(weights, got[1]) and torch.equal(after, got[2]), f"rank {rank}"
        if rank == 0:  # the checkpoint holds the history of the first
            assert losses == got[0] and len(losses) == 230


@pytest.mark.slow
def test_ctrl_c_in_one_process_stops_all_after_the_same_step(tmp_path, run):
    script = tmp_path / "train.py"
    script.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_chance import fresh, miss, train\n"
        "import torch.distributed as dist\n"
        "seen = []\n"
        "def loss(model, x):\n"
        "    seen.append(1)\n"
        "    if len(seen) == 30 and os.environ['RANK'] == '1':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return miss(model, x)\n"
        "history = train(*fresh(), loss)\n"
        "print(f'did {len(history.loss)}')\n"
        "dist.destroy_process_group()\n"
    )
    fabric = Path(sys.executable).parent / "fabric"
    command = [fabric, "run", script, "--accelerator=cpu", "--devices=2", "--strategy=ddp"]
    done = run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)
    assert done.stdout.count("did 30") == 2
    assert done.stdout.count("stopped after step 30 of 230") == 1


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (torch.arange(16, dtype=torch.uint8), "its generator was on another kind of device than cpu"),
        ([make_generator(s).get_state() for s in (1, 2)], "the number of its processes was 2, and now is 1"),
    ],
    ids=["a GPU's", "two processes'"],
)
def test_a_run_goes_on_elsewhere_and_says_what_changes(generator, says):
    """A GPU that was withdrawn, and another number of processes: nothing is lost but the exact numbers."""
    found = []
    for _ in range(2):
        model, dice = fresh()
        history = train(model, dice, steps=50)
        history.resume["generator"] = generator
        with pytest.warns(UserWarning, match=says) as said:
            history = train(model, dice, history=history)
        assert len(said) == 1 and OTHER_NUMBERS in str(said[0].message)
        assert len(history.loss) == 230
        found.append(history.loss)
    assert found[0] == found[1], "what is drawn from there on is still the same every time"


def test_a_history_saved_before_runs_had_a_key_goes_on_without_a_word():
    model, generator = fresh()
    history = train(model, generator, steps=50)
    for new in ("key", "shapes"):
        del history.resume[new]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(train(model, generator, history=history).loss) == 230


def test_a_history_of_another_size_is_refused_before_the_first_step():
    history = train(*fresh(), steps=5)
    model, generator = fresh(features=8)
    before, seen = weights(model), []
    with pytest.raises(ValueError, match=r"history: expected one of a run of these models.*\[16, 2\].*\[8, 2\]"):
        train(model, generator, lambda *_: seen.append(1), history=history)
    assert torch.equal(weights(model), before) and not seen


def test_weights_that_are_no_numbers_before_the_first_step_are_refused():
    model, generator = fresh()
    nn.init.constant_(next(model.parameters()), float("nan"))
    with pytest.raises(ValueError, match="model: expected weights that are numbers, got infinite or NaN ones before"):
        train(model, generator)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_ctrl_c_saves_first_and_its_words_fit_any_stream(encoding, tmp_path, run):
    script = tmp_path / "train.py"
    script.write_text(
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"  # written here, its name might not be ASCII
        "from test_chance import fresh, miss, train\n"
        "seen = []\n"
        "def loss(model, x):\n"
        "    seen.append(1)\n"
        "    if len(seen) == 30:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return miss(model, x)\n"
        "train(*fresh(), loss, checkpoint='a.pt', progress=True)\n"
    )
    # What LC_ALL=C makes of the streams; with itself, torch does not import from a folder whose name is not ASCII.
    old = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": f"{encoding}:strict"}
    done = run([sys.executable, script, Path(__file__).parent], cwd=tmp_path, env=old, check=True)
    assert "stopped after step 30 of 230" in done.stdout
    assert len(load(tmp_path / "a.pt", fresh()[0]).loss) == 30
