"""What `Session` carries beside `fit`: two players, data that is made anew, losses that know the step."""

import os
import signal
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn

from course_lib.device import make_generator
from course_lib.layers import initialised_by
from course_lib.train import NotFinite, Session


@dataclass(frozen=True)
class Config:
    in_features: int
    out_features: int


class Net(nn.Module):
    """(B, in_features) -> (B, out_features)."""

    def __init__(self, in_features, out_features, generator):
        super().__init__()
        self.config = Config(in_features, out_features)
        with initialised_by(generator):
            self.layers = nn.Sequential(nn.Linear(in_features, 8), nn.Tanh(), nn.Linear(8, out_features))

    def forward(self, x):
        return self.layers(x)

    def distance(self, x):  # (B, in_features) -> (B,)
        return self(x).square().sum(1)


def weights(*models):
    return torch.cat([p.detach().flatten() for model in models for p in model.parameters()])


# --- two players ----------------------------------------------------------------------------------------------


class Game:
    """A generator of points and a discriminator, which play around (2, 2); `at_step` is asked before each turn."""

    def __init__(self, seed=0):
        self.dice = make_generator(seed)
        self.players = {"generator": Net(2, 2, self.dice), "discriminator": Net(2, 1, self.dice)}
        self.real = 2 + 0.1 * torch.randn(200, 2, generator=self.dice)

    def play(self, steps=60, at_step=lambda step: None, turns=1, **changes):
        lr = {"generator": 2e-3, "discriminator": 5e-3}
        adam = partial(torch.optim.Adam, betas=(0.5, 0.9))
        settings = {"lr": lr, "optimizer": adam, "steps": steps, "generator": self.dice, "progress": False} | changes
        session = Session(self.players, **settings)
        g, d = (session.models[name] for name in self.players)
        for x in session.batches(self.real, 16):
            at_step(session.step)
            for _ in range(turns):
                made = g(torch.randn(len(x), 2, generator=self.dice)).detach()
                doubt = nn.functional.softplus(-d(x)) + nn.functional.softplus(d(made))
                session.minimise(doubt[:, 0], "discriminator")
            if session.step % 3:  # it rests at every third step
                made = g(torch.randn(len(x), 2, generator=self.dice))
                session.minimise(nn.functional.softplus(-d(made))[:, 0], player="generator")
        return session.history

    @property
    def weights(self):
        return weights(*self.players.values())


def press_ctrl_c(at, step):
    if step == at:
        os.kill(os.getpid(), signal.SIGINT)


def test_two_players_each_learn_their_own():
    game = Game()
    history = game.play(steps=600)
    made = game.players["generator"](torch.randn(500, 2, generator=make_generator(1)))
    assert (made.mean(0) - 2).abs().max() < 0.7, "the points have moved to where the real ones are"
    generator, discriminator = history.losses.values()
    assert list(history.losses) == ["generator", "discriminator"]
    rests = torch.tensor(generator).isnan()
    assert rests[2::3].all() and rests.sum() == 200 and not torch.tensor(discriminator).isnan().any()
    assert len(history.loss) == 600 and "generator" in repr(history) and "nan" not in repr(history)
    assert not any(model.training for model in game.players.values())


def test_a_loss_moves_only_its_own_player_by_its_own_optimiser():
    game = Game()
    before = {name: weights(model) for name, model in game.players.items()}
    game.play(steps=1, lr={"generator": 0.0, "discriminator": 0.1}, optimizer=torch.optim.SGD)
    assert torch.equal(weights(game.players["generator"]), before["generator"])
    assert not torch.equal(weights(game.players["discriminator"]), before["discriminator"])


@pytest.mark.parametrize("way", ["history", "checkpoint"])
@pytest.mark.parametrize("settings", [{}, {"schedule": "cosine", "precision": "bf16-mixed"}], ids=["plain", "bf16"])
def test_a_stopped_game_goes_on_as_if_it_had_not_stopped(way, settings, tmp_path, capsys):
    whole = Game()
    expected = whole.play(**settings)
    game, path = Game(), tmp_path / "game.pt"
    saving = {"checkpoint": path} if way == "checkpoint" else {}
    history = game.play(at_step=partial(press_ctrl_c, 23), **settings, **saving)
    assert len(history.loss) == 23 and "stopped after step 23 of 60" in capsys.readouterr().out
    game.dice.manual_seed(99)
    if way == "checkpoint":  # in another session, the players begin anew
        later = Game()
        later.players, later.dice = Game(5).players, make_generator(7)
        history = later.play(**settings, **saving)
    else:
        later, history = game, game.play(**settings, history=history)
    assert str(history.losses) == str(expected.losses)
    assert torch.equal(later.weights, whole.weights)


def test_several_turns_in_a_step_count_as_one_and_are_updates_each():
    history = Game().play(steps=5, turns=4)
    assert len(history.losses["discriminator"]) == 5
    assert history.losses != Game().play(steps=5).losses


def test_when_one_player_fails_all_return_to_the_last_good_state():
    game, good = Game(), {}

    def poison(step):
        if step == 51:
            good["weights"] = game.weights
        if step == 57:  # whose batch is drawn already
            game.real *= float("nan")

    with pytest.raises(NotFinite, match=r"loss of 'discriminator' became nan at step 58.*it was 0.002, 0.005") as error:
        game.play(at_step=poison)
    assert torch.equal(game.weights, good["weights"])
    history = error.value.history
    assert [len(losses) for losses in (history.loss, *history.losses.values())] == [50] * 3
    game.real = Game().real
    expected = Game()
    expected.play()
    game.play(history=history)
    assert torch.equal(game.weights, expected.weights), "and from there it goes on as if nothing had been"


def test_with_several_players_it_must_be_said_whose_loss_it_is():
    game = Game()
    session = Session(game.players, lr=1e-3, steps=1, generator=game.dice, progress=False)
    loss = session.models["discriminator"](game.real)[:, 0]
    with pytest.raises(ValueError, match="player: expected one of 'generator', 'discriminator', got None"):
        session.minimise(loss)
    with pytest.raises(ValueError, match="lr: expected one for each of generator, discriminator, got them for d"):
        Session(game.players, lr={"d": 1}, steps=1, generator=game.dice)


# --- data of every kind, and the step ---------------------------------------------------------------------------


def alone(steps=60, seed=0, **settings):
    dice = make_generator(seed)
    return Session(Net(2, 2, dice), lr=1e-2, steps=steps, generator=dice, progress=False, **settings)


def endless(generator):
    while True:
        yield torch.randn(8, 2, generator=generator), "of any kind"


@pytest.mark.parametrize("kind", ["function", "iterable"])
def test_data_made_anew_at_each_step_resumes_exactly(kind):
    def train(session, stop_after=None):
        draw = endless(session.generator)
        for x, _ in session.batches(draw if kind == "iterable" else lambda: next(draw)):
            session.minimise(session.model.distance(x - 1))
            if session.step == stop_after:
                session.stop()
        return session

    whole = train(alone())
    half = train(alone(), 31)
    rest = alone(seed=4, history=half.history)
    rest.model.load_state_dict(half.model.state_dict())
    train(rest)
    assert half.step == 31 and rest.step == 60
    assert rest.history.loss == whole.history.loss and torch.equal(weights(rest.model), weights(whole.model))


def test_a_chain_that_is_a_buffer_of_its_model_goes_on_where_it_was(tmp_path):

    class Chain(Net):
        def __init__(self, generator):
            super().__init__(2, 2, generator)
            self.register_buffer("state", torch.zeros(8, 2))

        def move(self, generator):
            self.state += 0.1 * torch.randn(8, 2, generator=generator) - 0.1 * self(self.state).detach()
            return self.state.clone()

    def run(seed, stop_after=None, path=None):
        dice = make_generator(seed)
        session = Session(Chain(dice), lr=1e-2, steps=40, generator=dice, progress=False, checkpoint=path)
        for x in session.batches(lambda: session.model.move(dice)):
            session.minimise(session.model.distance(x))
            if session.step == stop_after:
                session.stop()
        return session

    whole = run(0)
    run(0, 17, tmp_path / "chain.pt")
    rest = run(9, None, tmp_path / "chain.pt")
    assert rest.history.loss == whole.history.loss and torch.equal(rest.model.state, whole.model.state)


def test_a_loss_may_depend_on_the_step():
    session, seen = alone(), []
    for x in session.batches(torch.ones(30, 2), 8):
        share = session.step / session.steps  # scheduled sampling mixes by it
        seen.append(session.step)
        session.minimise(share * session.model.distance(x) + (1 - share) * x.sum(1) + 0 * session.model(x)[:, 0])
    assert seen == list(range(1, 61)) and session.history.loss[0] == pytest.approx(2, abs=0.3)
    assert session.history.loss[-1] < 0.5


def test_an_iterable_that_ends_ends_the_run_and_validation_enters_the_history():
    session = alone()
    for x in session.batches([torch.ones(4, 2), torch.zeros(3, 2)]):
        assert session.model.training
        session.minimise(session.model.distance(x))
        nats = session.validate(session.model.distance, torch.ones(5, 2), 2)
        assert session.history.valid[-1] == (session.step, nats)
    assert session.step == 2 and len(session.history.loss) == 2 and not session.model.training
    assert nats == pytest.approx(session.model.distance(torch.ones(1, 2)).item(), rel=1e-5)


def test_batches_of_one_tensor_are_tensors_and_of_a_tuple_tuples():
    x, y = torch.ones(30, 2), torch.arange(30)
    for data, kind in ((x, torch.Tensor), ((x, y), tuple)):
        session = alone(steps=1)
        for batch in session.batches(data, 8):
            assert isinstance(batch, kind)
            session.minimise(session.model.distance(batch[0] if kind is tuple else batch))


def test_a_loop_that_is_left_early_can_go_on(tmp_path):
    session = alone()
    for x in session.batches(torch.ones(30, 2), 8):
        session.minimise(session.model.distance(x))
        if session.step == 7:
            break
    assert len(session.history.loss) == 7 and not session.model.training
    for x in session.batches(torch.ones(30, 2), 8):
        session.minimise(session.model.distance(x))
    assert session.step == 60 == len(session.history.loss)


@pytest.mark.parametrize(
    ("data", "batch_size", "error", "says"),
    [
        (3, None, TypeError, "data: expected tensors, a function that gives a batch, or an iterable of them, got int"),
        (lambda: 3, 8, ValueError, "batch_size: expected none beside data that makes its own batches, got 8"),
        (torch.ones(3, 2), None, TypeError, "batch_size: expected a whole number ≥ 1, got NoneType"),
        (torch.ones(3, 2), 2, RuntimeError, "step 1: expected the loop's body to call session.minimise"),
        (lambda: torch.ones(0, 2), None, ValueError, "loss: expected shape"),
    ],
)
def test_what_cannot_be_a_run_says_so(data, batch_size, error, says):
    session = alone()

    def go():
        for x in session.batches(data, batch_size):
            if len(x) == 0:
                session.minimise(session.model.distance(x))

    with pytest.raises(error, match=says):
        go()


def test_a_history_of_other_models_is_refused():
    history = Game().play(steps=2)
    with pytest.raises(ValueError, match="history: expected one of a run of these models, got History: 2 of 2"):
        alone(history=history)
