"""`fit`: the bare loop and nothing else, and nothing lost when something goes wrong. `Session`s of other kinds and the
checkpoints have files of their own."""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from course_lib.checkpoint import load, save
from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.prob import categorical_log_prob
from course_lib.train import NotFinite, fit

ROOT = Path(__file__).parents[1]
CONFIG = AutoencoderConfig(latent=2, features=16, depth=1)


def nats(model, x):
    return -categorical_log_prob(model(x), x)


def fresh(seed=0):
    generator = make_generator(seed)
    return Autoencoder(CONFIG, generator=generator), generator


def run(model, generator, x=None, **changes):
    settings = {"loss": nats, "steps": 120, "batch_size": 20, "lr": 1e-3, "progress": False} | changes
    x = load_digits("train")[0] if x is None else x
    return fit(model, x, generator=generator, **settings)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_it_is_the_bare_loop_and_nothing_else():
    x = load_digits("train")[0]
    model, generator = fresh()
    history = run(model, generator)
    bare, generator = fresh()
    optimizer = torch.optim.Adam(bare.parameters(), lr=1e-3)
    losses = []
    for _ in range(120):
        loss = nats(bare, x[torch.randint(1000, (20,), generator=generator)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert history.loss == losses
    assert torch.equal(weights(model), weights(bare))
    assert history.loss[-1] < history.loss[0]
    assert not model.training


def test_half_precision_learns_the_same_thing():
    model, generator = fresh()
    expected = run(model, generator).loss
    model, generator = fresh()
    got = run(model, generator, precision="bf16-mixed").loss
    assert got != expected
    assert got == pytest.approx(expected, rel=0.02)  # bf16 keeps 8 bits: 0.4 % a number, less on average


def test_the_held_out_loss_is_the_mean_over_all_of_it():
    (x, y), (x_valid, y_valid) = load_digits("train"), load_digits("valid")
    model, generator = fresh()
    history = run(
        model,
        generator,
        (x, y),
        loss=lambda model, x, y: nats(model, x) + 0 * y,
        valid=(x_valid, y_valid),
        valid_every=60,
    )
    assert [step for step, _ in history.valid] == [60, 120]
    assert history.valid[-1][1] == pytest.approx(nats(model, x_valid).mean().item(), rel=1e-5)
    assert "120 of 120 steps" in repr(history)


def interrupt_after(steps):
    """A loss that presses Ctrl-C (a real SIGINT to this process) in the middle of step `steps`."""
    count = 0

    def loss(model, x):
        nonlocal count
        count += 1
        if count == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return nats(model, x)

    return loss


def test_ctrl_c_loses_nothing_and_fit_goes_on_exactly(capsys):
    whole, generator = fresh()
    expected = run(whole, generator)
    model, generator = fresh()
    history = run(model, generator, loss=interrupt_after(37))
    assert len(history.loss) == 37
    assert "stopped after step 37 of 120" in capsys.readouterr().out
    assert torch.isfinite(nats(model, load_digits("test")[0])).all(), "the model is usable"
    generator.manual_seed(99)  # whatever the reader did in between
    history = run(model, generator, history=history)
    assert history.loss == expected.loss
    assert torch.equal(weights(model), weights(whole))


@contextmanager
def learning_rates():
    """What every update inside was made with, as the optimizer itself sees it."""
    seen = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    yield seen
    handle.remove()


def test_the_learning_rate_stays_or_falls_along_half_a_wave():
    with learning_rates() as seen:
        run(*fresh(), lr=0.01)
    assert seen == [0.01] * 120
    with learning_rates() as seen:
        run(*fresh(), lr=0.01, schedule="cosine")
    assert len(seen) == 120
    assert seen[0] == 0.01, "it begins at lr"
    assert seen[60] == pytest.approx(0.005), "half of the updates made, half of lr"
    assert 0 < seen[-1] < 0.01 * 1e-3, "almost nothing is left, and the last update still counts"
    assert seen == sorted(seen, reverse=True)
    first, middle, last = seen[0] - seen[10], seen[55] - seen[65], seen[-11] - seen[-1]
    assert middle > 5 * first and middle > 5 * last, "flat, steep, flat: a wave and not a ramp"


@pytest.mark.parametrize("precision", [None, "bf16-mixed"])  # with and without the wrapper that Fabric puts around
def test_a_resumed_run_is_on_the_same_wave(precision, tmp_path):
    settings = {"schedule": "cosine", "precision": precision}
    whole, generator = fresh()
    with learning_rates() as rates:
        expected = run(whole, generator, **settings)
    model, generator = fresh()
    with learning_rates() as seen:
        history = run(model, generator, loss=interrupt_after(37), **settings)
        assert len(seen) == 37
        save(tmp_path / "half.pt", model, history)
        model, generator = fresh(seed=5)
        history = load(tmp_path / "half.pt", model)
        history = run(model, generator, history=history, **settings)
    assert seen == rates
    assert history.loss == expected.loss
    assert torch.equal(weights(model), weights(whole))


def test_a_second_ctrl_c_stops_at_once():
    model, generator = fresh()
    handler = signal.getsignal(signal.SIGINT)

    def impatient(model, x):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return nats(model, x)

    with pytest.raises(KeyboardInterrupt):
        run(model, generator, loss=impatient)
    assert signal.getsignal(signal.SIGINT) is handler, "Ctrl-C means what it meant before"


def test_it_runs_beside_the_main_thread():
    model, generator = fresh()
    result = []
    thread = threading.Thread(target=lambda: result.append(run(model, generator, steps=3)))
    thread.start()
    thread.join()
    assert len(result[0].loss) == 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_at_its_step_and_keeps_the_last_good_state(bad):
    model, generator = fresh()
    kept = {}

    def loss(model, x):
        step = kept["step"] = kept.get("step", 0) + 1
        if step == 51:
            kept["good"] = weights(model)  # after 50 steps: the state to come back to
        return nats(model, x) * (bad if step == 73 else 1)

    with pytest.raises(
        NotFinite, match=r"became (nan|inf) at step 73\b.* back at step 50.* smaller lr \(it was 0.001\)"
    ) as e:
        run(model, generator, loss=loss)
    assert torch.equal(weights(model), kept["good"])
    assert len(e.value.history.loss) == 50
    history = run(model, generator, history=e.value.history, lr=5e-4)
    assert len(history.loss) == 120
    assert torch.isfinite(torch.tensor(history.loss)).all()


def test_the_last_good_state_of_a_resumed_run_is_where_it_resumed():
    model, generator = fresh()
    history = run(model, generator, loss=interrupt_after(37))
    resumed = weights(model)

    def bad(model, x):
        return nats(model, x) * float("nan")

    with pytest.raises(NotFinite, match=r"at step 38.* back at step 37"):
        run(model, generator, loss=bad, history=history)
    assert torch.equal(weights(model), resumed)


def test_a_gradient_that_is_no_number_stops_before_it_moves_a_weight():
    """The square root of 0 is a number, and its slope is not: the loss would show it one step too late."""
    model, generator = torch.nn.Linear(3, 1, bias=False), make_generator(0)
    torch.nn.init.zeros_(model.weight)

    def loss(model, x):
        return 2 + model.weight.square().sum().sqrt() + 0 * x[:, 0]

    says = r"the gradient of the loss became infinite or NaN at step 1\b.* back at step 0.*a root, a logarithm"
    with pytest.raises(NotFinite, match=says) as e:
        run(model, generator, torch.ones(30, 3), loss=loss)
    assert e.value.history.loss == [] and torch.equal(weights(model), torch.zeros(3))
    history = run(model, generator, torch.ones(30, 3), loss=lambda model, x: model(x)[:, 0], history=e.value.history)
    assert len(history.loss) == 120


def test_large_gradients_whose_squares_overflow_are_numbers_all_the_same():
    model, generator = torch.nn.Linear(2, 1), make_generator(0)
    history = run(model, generator, torch.ones(30, 2), loss=lambda model, x: 1e25 * model(x)[:, 0], steps=3)
    assert len(history.loss) == 3


def test_weights_that_run_away_are_not_kept_as_good():
    model, generator = torch.nn.Linear(2, 1), make_generator(0)
    before = weights(model)

    def loss(model, x):  # 0 with a slope of 1, and at infinity with none: neither shows what the weight has become
        b = model.bias
        return torch.where(b.isfinite(), b - b.detach(), 0.0)

    with pytest.raises(NotFinite, match="the weights became infinite or NaN at step 50"):
        run(model, generator, torch.ones(30, 2), loss=loss, lr=1e37, batch_size=1)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize(
    ("loss", "error", "says"),
    [
        (lambda nats: nats.mean(), ValueError, r"loss: expected shape \(20,\), the nats of each.*got \(\); sum over"),
        (lambda nats: nats[:, None].expand(20, 3), ValueError, r"expected shape \(20,\).*got \(20, 3\)"),
        (lambda nats: nats[:19], ValueError, r"expected shape \(20,\).*got \(19,\)"),
        (lambda nats: nats.mean().item(), TypeError, r"loss: expected a torch.Tensor, got float"),
        (lambda nats: nats.detach(), RuntimeError, "does not require grad"),
        (lambda nats: (0 * nats).detach().requires_grad_(), ValueError, "depends on the weights of this Autoencoder"),
    ],
    ids=["a mean", "one a character", "one too few", "a float", "no gradient", "of nothing"],
)
def test_a_loss_of_another_shape_is_refused_at_the_first_step(loss, error, says):
    model, generator = fresh()
    before = weights(model)
    with pytest.raises(error, match=says):
        run(model, generator, loss=lambda model, x: loss(nats(model, x)))
    assert torch.equal(weights(model), before)


def test_a_loss_that_is_a_mean_in_validation_alone_is_refused_too():
    x = load_digits("valid")[0][:30]

    def loss(model, x):
        return nats(model, x) if model.training else nats(model, x).mean()

    with pytest.raises(ValueError, match=r"expected shape \(20,\)"):
        run(*fresh(), loss=loss, valid=x, valid_every=1)


def test_a_checkpoint_carries_on_across_sessions(tmp_path):
    path = tmp_path / "run.pt"
    whole, generator = fresh()
    expected = run(whole, generator)
    model, generator = fresh()
    run(model, generator, loss=interrupt_after(50), checkpoint=path)
    later, generator = fresh(seed=5)
    history = run(later, generator, checkpoint=path)
    assert history.loss == expected.loss
    assert torch.equal(weights(later), weights(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


class Unnamed(torch.nn.Linear):
    """It has a config, and nothing that a checkpoint could hold."""

    config = object()


@pytest.mark.parametrize(
    ("model", "path", "error", "says"),
    [
        (fresh()[0], "nowhere/a.pt", FileNotFoundError, "in an existing folder; .*a.pt lies in .*nowhere"),
        (fresh()[0], ".", FileNotFoundError, "is a folder"),
        (torch.nn.Linear(64, 1), "a.pt", TypeError, "expected every model to have a `config`.*without checkpoint= it"),
        (Unnamed(64, 1), "a.pt", TypeError, "expected every model to have a `config`, a dataclass"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_an_error_before_step_1(model, path, error, says, tmp_path):
    asked = []
    with pytest.raises(error, match=says):
        run(model, make_generator(0), loss=lambda *_: asked.append(1), checkpoint=tmp_path / path)
    assert not asked and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps: expected a whole number ≥ 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected a whole number ≥ 1, got 0"),
        ({"valid_every": 0}, "valid_every: expected a whole number ≥ 1, got 0"),
        ({"x": torch.zeros(0, 1, 8, 8, dtype=torch.long)}, r"data: expected tensors of one common, positive length"),
        ({"x": (torch.zeros(3, 1), torch.zeros(2, 1))}, r"got \[3, 2\]"),
        ({"x": [1, 2, 3]}, "got \\['list'\\]"),
        ({"valid": (torch.zeros(3, 1), torch.zeros(2, 1))}, "valid: expected tensors of one common"),
        ({"schedule": "linear"}, "schedule: expected one of 'constant', 'cosine', got 'linear'"),
        ({"schedule": None}, "schedule: expected one of 'constant', 'cosine', got None"),
    ],
)
def test_what_cannot_work_is_refused_before_training(changes, says):
    model, generator = fresh()
    with pytest.raises(ValueError, match=says):
        run(model, generator, **changes)


def test_under_fabric_run_every_process_has_batches_of_its_own_and_all_agree(tmp_path, run):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_train import fresh, run, weights\n"
        "model, generator = fresh()\n"
        "seen = []\n"
        "from test_train import nats\n"
        "def loss(model, x):\n"
        "    seen.append(x.sum().item())\n"
        "    return nats(model, x)\n"
        "run(model, generator, loss=loss, steps=5)\n"
        "import torch.distributed as dist\n"
        "everyone = [None, None]\n"
        "dist.all_gather_object(everyone, (seen, weights(model)))\n"
        "assert everyone[0][0] != everyone[1][0], 'the same batches'\n"
        "assert torch.equal(everyone[0][1], everyone[1][1]), 'the weights drifted apart'\n"
        "print('agreed')\n"
        "dist.destroy_process_group()\n"
    )
    command = [Path(sys.executable).parent / "fabric", "run", script, "--accelerator=cpu", "--devices=2"]
    command += ["--strategy=ddp", Path(__file__).parent]
    done = run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)
    assert done.stdout.count("agreed") == 2
