"""REINFORCE: its gradient against all texts there are, its leash's optimum, its runs, and what it refuses."""

import copy
import itertools

import pytest
import torch

from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import fit, reinforce
from course_lib.train.reinforce import Reinforce

V, T = 3, 2
ALL = torch.cartesian_prod(torch.arange(V), torch.arange(V))  # (9, 2)
REWARDS = torch.tensor([0.0, 1.0, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0, -1.0])
NOTHING = torch.zeros(64, 0, dtype=torch.long)


def rnn(seed=0, features=8):
    model = CharRNN(CharRNNConfig(levels=V, features=features), generator=make_generator(seed))
    with torch.no_grad():
        model.head.weight.mul_(3)  # so that some texts are much likelier than others
    return model


def reward(x):
    return REWARDS[V * x[:, 0] + x[:, 1]]


def loss(**how):
    return Reinforce(how.pop("reward", reward), length=T, generator=make_generator(0), **how)


def gradient(model, number):
    return torch.cat([g.flatten() for g in torch.autograd.grad(number, tuple(model.parameters()))])


def expected(model, of, given, monkeypatch):
    """The gradient of the loss, averaged over all pairs of texts that begin with `given` (2, t), by probability."""
    start, total = given.shape[1], 0
    ways = [ALL[(ALL[:, :start] == row).all(1)] for row in given]
    with torch.no_grad():
        chances = [(model(way).log_softmax(-1).gather(2, way[:, :, None])[:, start:, 0].sum(1)).exp() for way in ways]
    assert all(abs(chance.sum() - 1) < 1e-5 for chance in chances)
    for i, k in itertools.product(*(range(len(way)) for way in ways)):
        pair = torch.stack([ways[0][i], ways[1][k]])
        script = iter(pair[:, start:].T)
        monkeypatch.setattr(reinforce, "draw", lambda logits, script=script, **how: next(script))
        total = total + chances[0][i] * chances[1][k] * gradient(model, of(model, given).mean())
    return total


@pytest.mark.parametrize("begun", [None, 1], ids=["from nothing", "from a character"])
@pytest.mark.parametrize("leash", [0.0, 0.7])
@pytest.mark.parametrize("baseline", ["others", "greedy", "none"])
def test_the_gradient_is_unbiased_whatever_the_baseline(baseline, leash, begun, monkeypatch):
    """In batches of two, where a mean that counts the text itself would halve it."""
    model, start = rnn(0), rnn(1)
    given = torch.full((2, 1), begun) if begun else NOTHING[:2]
    x = ALL[ALL[:, 0] == begun] if begun else ALL

    def log_prob(model):
        return model(x).log_softmax(-1).gather(2, x[:, :, None])[:, given.shape[1] :, 0].sum(1)

    log_p = log_prob(model)
    aim = (log_p.exp() * (reward(x) - leash * (log_p - log_prob(start).detach()))).sum()
    found = expected(model, loss(baseline=baseline, start=start, leash=leash), given, monkeypatch)
    assert torch.allclose(found, -gradient(model, aim), atol=2e-5)
    assert found.abs().max() > 0.01


def spread(model, baseline, n=300):
    """Mean squared length of the gradient's scatter, over batches of eight."""
    of = loss(baseline=baseline, reward=lambda x: reward(x) + 5)
    found = torch.stack([gradient(model, of(model, NOTHING[:8]).mean()) for _ in range(n)])
    return found.var(0).sum().item()


def test_a_baseline_lowers_the_scatter_of_the_gradient():
    assert spread(rnn(), "others") < 0.2 * spread(rnn(), "none")


def test_at_the_optimum_of_the_leash_no_text_moves_anything():
    """There every text is worth the same, so the loss is 0 for each: q = start · exp(reward / leash), normed."""
    start, beta = rnn(1), 0.5
    with torch.no_grad():
        best = (start.log_prob(ALL) + REWARDS / beta).softmax(0).view(V, V)

    class Best(CharRNN):
        def forward(self, x):
            first = best.sum(1).log().expand(len(x), V)
            return torch.stack([first, (best / best.sum(1, keepdim=True)).log()[x[:, 0]]], 1) + 0 * self.head.bias

    model = Best(CharRNNConfig(levels=V, features=8), generator=make_generator(0))
    at_best = loss(start=start, leash=beta)(model, NOTHING)
    assert at_best.abs().max() < 1e-4
    assert loss(start=start, leash=2 * beta)(model, NOTHING).abs().max() > 0.1


def test_it_finds_that_optimum():
    model, beta = rnn(1, features=16), 0.5
    start = copy.deepcopy(model)
    with torch.no_grad():
        best = (start.log_prob(ALL) + REWARDS / beta).log_softmax(0)
    generator = make_generator(0)
    of = Reinforce(reward, length=T, generator=generator, start=start, leash=beta)
    knobs = {"steps": 250, "batch_size": 64, "lr": 0.02, "schedule": "cosine", "generator": generator}
    fit(model, NOTHING, loss=of, progress=False, **knobs)
    with torch.no_grad():
        q, q0 = model.log_prob(ALL), start.log_prob(ALL)

    def kl(q):
        return (best.exp() * (best - q)).sum()

    assert kl(q) < 0.01 < 20 * 0.01 < kl(q0)
    assert len(of.history) == 250
    earned, entropy = (sum(part) / 50 for part in zip(*of.history[-50:], strict=True))
    assert abs(earned - (q.exp() * REWARDS).sum()) < 0.1, "the reward, without what the leash costs"
    assert abs(entropy + (q.exp() * q).sum()) < 0.1


@pytest.mark.parametrize("baseline", ["others", "greedy"])
def test_it_goes_on_as_if_it_had_not_stopped(baseline, tmp_path):
    def run(*ends):
        model, generator = rnn(), make_generator(3)
        for steps in ends:
            of = Reinforce(reward, length=T, generator=generator, baseline=baseline)
            knobs = {"batch_size": 8, "lr": 0.01, "generator": generator, "progress": False}
            fit(model, NOTHING, loss=of, steps=steps, checkpoint=tmp_path / f"{len(ends)}.pt", **knobs)
        return model.state_dict()

    whole, halves = run(12), run(5, 12)
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_run_of_equal_rewards_from_the_first_says_so_but_not_one_that_comes_later():
    of, model = loss(reward=lambda x: torch.ones(len(x))), rnn()
    for _ in range(49):
        of(model, NOTHING[:4])
    with pytest.raises(ValueError, match="tells texts apart, got 1 for all of the first 200; nothing can be learnt"):
        of(model, NOTHING[:4])
    rewards = iter([torch.tensor([0.0, 1.0]), *(torch.ones(2) for _ in range(60))])
    of = loss(reward=lambda x: next(rewards))
    for _ in range(61):
        last = of(model, NOTHING[:2])
    assert (last == 0).all(), "among equals nobody is better"


def judge_that_gives(value):
    return lambda x: torch.full((len(x),), 1.0).index_fill(0, torch.tensor([1]), value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_reward_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=f"reward: expected finite numbers, got {value} for a text"):
        loss(reward=judge_that_gives(value))(rnn(), NOTHING)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (lambda x: torch.ones(len(x), 1), ValueError, r"reward: expected shape \(64\), got \(64, 1\)"),
        (lambda x: torch.ones(len(x), dtype=torch.long), TypeError, "reward: expected a floating-point tensor"),
        (lambda x: [1.0] * len(x), TypeError, "reward: expected a torch.Tensor, got list"),
    ],
)
def test_a_reward_of_another_kind_is_refused(bad, error, message):
    with pytest.raises(error, match=message):
        loss(reward=bad)(rnn(), NOTHING)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"leash": -0.1, "start": rnn()}, ValueError, "leash: expected a number of 0 or more.*got -0.1"),
        ({"leash": float("nan"), "start": rnn()}, ValueError, "leash: expected"),
        ({"leash": float("inf"), "start": rnn()}, ValueError, "leash: expected"),
        ({"leash": 0.1}, ValueError, "leash: expected a number of 0 or more, beside start= if it is above 0"),
        ({"baseline": "mean"}, ValueError, "baseline: expected one of 'others', 'greedy', 'none', got 'mean'"),
        ({"length": 0}, ValueError, "length: expected a whole number"),
        ({"length": 2.0}, TypeError, "length: expected a whole number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(how, error, message):
    with pytest.raises(error, match=message):
        Reinforce(reward, **{"length": T, "generator": make_generator(0), **how})


def test_a_text_that_is_alone_has_no_others():
    with pytest.raises(ValueError, match="given: expected two texts or more"):
        loss()(rnn(), NOTHING[:1])
    assert loss(baseline="none")(rnn(), NOTHING[:1]).shape == (1,)


def test_a_leash_to_itself_holds_nothing_and_is_refused():
    model = rnn()
    with pytest.raises(ValueError, match="start: expected a copy of the model, got the one that is trained"):
        fit(
            model,
            NOTHING,
            loss=loss(start=model, leash=0.1),
            steps=1,
            batch_size=4,
            lr=0.1,
            generator=make_generator(0),
            progress=False,
        )


def test_what_is_given_must_leave_something_to_write():
    with pytest.raises(ValueError, match="given: expected fewer than length = 2"):
        loss()(rnn(), ALL)


def test_the_start_is_left_as_it_is():
    model, start = rnn(0), rnn(1)
    before = copy.deepcopy(start.state_dict())
    loss(start=start, leash=0.5)(model, NOTHING).mean().backward()
    assert all(p.grad is None for p in start.parameters())
    assert all(torch.equal(before[name], p) for name, p in start.state_dict().items())
