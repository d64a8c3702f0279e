"""Scheduled sampling: which inputs it mixes, what it is at the ends of its range, its optimum, and what it refuses."""

import pytest
import torch
from torch import nn

from course_lib.decode import State
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import Session, fit
from course_lib.train.scheduled import mixed_inputs, scheduled_sampling

V = 3


class Pairs(nn.Module):
    """log p(x_t | x_{t−1}) as a table: row V is for the first character."""

    def __init__(self, probs):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(probs).log())

    def begin(self, n):
        return State([torch.zeros(n, 1)])

    def step(self, previous, state):
        (nothing,) = state
        previous = torch.full((len(nothing),), len(self.logits) - 1) if previous is None else previous
        return self.logits[previous], state

    def forward(self, x):
        start = torch.full_like(x[:, :1], len(self.logits) - 1)
        return self.logits[torch.cat([start, x[:, :-1]], 1)]


TABLE = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1], [0.5, 0.3, 0.2]]


def rnn(seed=0):
    return CharRNN(CharRNNConfig(levels=V, features=8), generator=make_generator(seed))


def texts(n=6, T=5, seed=1):
    return torch.randint(V, (n, T), generator=make_generator(seed))


def test_with_the_truth_alone_it_is_teacher_forcing_to_the_last_bit():
    model, x = rnn(), texts()
    assert torch.equal(mixed_inputs(model, x, truth=1, generator=make_generator(0)), x)
    assert torch.equal(scheduled_sampling(model, x, truth=1, generator=make_generator(0)), -model.log_prob(x))


@pytest.mark.parametrize("truth", [0.0, 0.3, 0.8])
def test_the_inputs_have_exactly_the_law_that_the_coin_gives_them(truth):
    """Each in its turn: the true one, or a draw given the inputs before it, *mixed as they are*."""
    model, n = Pairs(TABLE), 40_000
    x = torch.tensor([1, 0, 2]).expand(n, 3)
    inputs = mixed_inputs(model, x, truth=truth, generator=make_generator(0))
    p, true = torch.tensor(TABLE), torch.eye(V)
    first = truth * true[1] + (1 - truth) * p[V]
    second = truth * true[0] + (1 - truth) * p[:V]  # a row for each first input
    law = first[:, None] * second
    counted = torch.bincount(V * inputs[:, 0] + inputs[:, 1], minlength=V * V).view(V, V) / n
    assert (counted - law).abs().max() < 4 * (0.25 / n) ** 0.5
    assert (inputs[:, 2] == 2).all(), "nobody reads the last"
    assert (x == torch.tensor([1, 0, 2])).all(), "the poems themselves stay as they are"


def test_a_network_with_a_memory_reads_what_it_wrote():
    """The draw at t must be one given the mixed inputs before t: a network that copies its first input shows it."""

    class Echo(Pairs):  # writes 0, 1 or 2 at random, then the first thing that it read, for ever
        def step(self, previous, state):
            (memory,) = state
            if previous is None:
                return torch.zeros(len(memory), V), State([memory - 1])
            heard = torch.where(memory[:, 0] < 0, previous, memory[:, 0].long())
            return 100 * nn.functional.one_hot(heard, V).float(), State([heard[:, None].float()])

    x = torch.zeros(300, 6, dtype=torch.long)
    inputs = mixed_inputs(Echo(TABLE), x, truth=0, generator=make_generator(0))[:, :5]
    assert (inputs == inputs[:, :1]).all() and len(inputs[:, 0].unique()) == V


def test_the_targets_are_the_truth_and_no_gradient_passes_through_a_draw():
    model, x = rnn(), texts()
    loss = scheduled_sampling(model, x, truth=0.4, generator=make_generator(7))
    inputs = mixed_inputs(model, x, truth=0.4, generator=make_generator(7))
    assert not torch.equal(inputs, x) and not inputs.requires_grad
    by_hand = model(inputs).log_softmax(-1).gather(2, x[:, :, None])[:, :, 0].sum(1)
    assert torch.allclose(loss, -by_hand, atol=1e-5)
    loss.mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("truth", [0.0, 0.5])
def test_its_optimum_is_not_the_truth(truth):
    """Huszár (2015): of two characters, the best q(b | a) is truth · p(b | a) + (1 − truth) · p(b)."""
    p_a, p_b = torch.tensor([0.6, 0.4]), torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    generator = make_generator(0)
    a = torch.multinomial(p_a, 20_000, replacement=True, generator=generator)
    x = torch.stack([a, torch.multinomial(p_b[a], 1, generator=generator)[:, 0]], 1)
    model = Pairs(torch.full((3, 2), 0.5))
    knobs = {"steps": 150, "batch_size": 500, "lr": 0.1, "schedule": "cosine", "generator": generator}
    fit(model, x, loss=lambda m, x: scheduled_sampling(m, x, truth=truth, generator=generator), progress=False, **knobs)
    q = model.logits.softmax(1)
    assert torch.allclose(q[2], p_a, atol=0.03), "the first character is learnt as it is"
    optimum = truth * p_b + (1 - truth) * (p_a @ p_b)
    assert torch.allclose(q[:2], optimum, atol=0.03)
    assert (q[:2] - p_b).abs().max() > 0.1, "and that is not what the data are"


def test_a_schedule_trains_in_a_session_and_goes_on_as_if_it_had_not_stopped(tmp_path):
    x = texts(64)

    def run(stops):
        model, generator = rnn(), make_generator(3)
        for _ in range(1 + stops):
            session = Session(
                model, lr=1e-2, steps=12, generator=generator, checkpoint=tmp_path / f"{stops}.pt", progress=False
            )
            for batch in session.batches(x, 8):
                truth = 1 - session.step / session.steps
                session.minimise(scheduled_sampling(session.model, batch, truth=truth, generator=generator))
                if stops and session.step == 5:
                    session.stop()
        return model.state_dict()

    whole, halves = run(0), run(1)
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@pytest.mark.parametrize("truth", [-0.1, 1.01, float("nan")])
def test_what_is_no_probability_is_refused(truth):
    for function in (scheduled_sampling, mixed_inputs):
        with pytest.raises(ValueError, match=r"truth: expected a probability.* from 0 to 1, got"):
            function(rnn(), texts(), truth=truth, generator=make_generator(0))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (texts().float(), TypeError, "x: expected levels as torch.long"),
        (texts()[0], ValueError, r"x: expected shape \(B, T\)"),
        (texts() + 1, ValueError, r"x: expected levels 0 to 2, got . to 3"),
        (texts() - 1, ValueError, "x: expected levels"),
        ([[0, 1]], TypeError, "x: expected a torch.Tensor"),
        (texts()[:, :0], ValueError, "x: expected sentences of one character or more"),
    ],
)
@pytest.mark.parametrize("truth", [0.5, 1.0])
def test_what_are_no_texts_is_refused(x, error, message, truth):
    with pytest.raises(error, match=message):
        scheduled_sampling(rnn(), x, truth=truth, generator=make_generator(0))


def test_one_character_has_no_input_to_mix():
    x = texts(T=1)
    assert torch.equal(mixed_inputs(rnn(), x, truth=0, generator=make_generator(0)), x)
