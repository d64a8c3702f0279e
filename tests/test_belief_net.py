"""The fully visible belief net: who sees whom, that all it can say sums to 1, and that its draws follow it.

Shapes, dtypes, gradients, stepping and the disk are in test_models.py.
"""

import math
from itertools import product

import pytest
import torch

from course_lib.decode import write
from course_lib.device import make_generator
from course_lib.models.belief_net import BeliefNet, BeliefNetConfig
from course_lib.train import fit

CONFIGS = {
    "binary": BeliefNetConfig(levels=2, length=5, features=16, depth=1),
    "deep": BeliefNetConfig(levels=3, length=4, features=11, depth=3),
    "logistic": BeliefNetConfig(levels=3, length=4, depth=0),
    "pairs": BeliefNetConfig(levels=6, length=2, features=8, depth=2),
    "single": BeliefNetConfig(levels=4, length=1, features=3, depth=1),
}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def net(config):
    """In float64, and far from saying the same of everything."""
    model = BeliefNet(config, generator=make_generator(0)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(4)
    return model


def everything(config):
    return torch.tensor(list(product(range(config.levels), repeat=config.length)))


@each_config
@torch.no_grad()
def test_the_probabilities_of_all_there_is_sum_to_1(config):
    model = net(config)
    assert model.log_prob(everything(config)).exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("config", [c for c in CONFIGS.values() if c.length > 1], ids=lambda c: f"depth {c.depth}")
@torch.no_grad()
def test_a_component_moves_the_answers_after_it_and_no_others(config):
    model, x = net(config), everything(config)[:1]
    before = model(x)
    for i in range(config.length):
        other = x.clone()
        other[:, i] = 1
        moved = (model(other) - before).abs().amax((0, 2)) > 1e-9
        assert moved.tolist() == [j > i for j in range(config.length)], "all after it, or a hidden unit is missing"


@torch.no_grad()
def test_without_hidden_layers_it_is_a_logistic_regression_for_each_component():
    """The log-odds are linear: what two changes bring together is the sum of what each brings alone."""
    for name, linear in {"logistic": True, "deep": False}.items():
        config = CONFIGS[name]
        model = net(config)
        x = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0], [0, 2, 0, 0], [1, 2, 0, 0]])
        none, first, second, both = model(x)[:, 3].log_softmax(-1).diff(dim=-1)
        assert torch.allclose(both - none, (first - none) + (second - none)) == linear


@torch.no_grad()
def test_draws_follow_the_probabilities():
    model, n = net(CONFIGS["deep"]), 20_000
    x = everything(model.config)
    expected = model.log_prob(x).exp() * n
    drawn = model.sample(n, generator=make_generator(1), progress=False)
    code = drawn @ torch.tensor([27, 9, 3, 1])
    found = torch.bincount(code, minlength=81)
    likely = expected > 5
    assert ((found - expected)[likely].square() / expected[likely]).mean() < 1.6, "a chi-squared of about 1 each"


def test_it_learns_what_pixels_alone_cannot_know():
    """The third bit is the parity of the other two: 2 ln 2 in all, where single pixels say 3 ln 2."""
    x = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    model = BeliefNet(BeliefNetConfig(length=3, features=32), generator=make_generator(0))
    knobs = {"batch_size": 32, "lr": 1e-2, "generator": make_generator(1), "progress": False}
    fit(model, x, loss=lambda model, x: -model.log_prob(x), steps=300, **knobs)
    assert -model.log_prob(x).mean().item() == pytest.approx(2 * math.log(2), abs=0.02)
    straight = BeliefNet(BeliefNetConfig(length=3, depth=0), generator=make_generator(0))
    fit(straight, x, loss=lambda model, x: -model.log_prob(x), steps=300, **knobs)
    assert -straight.log_prob(x).mean().item() > 2.9 * math.log(2), "a straight line cannot see parity"


def test_dropout_is_for_training_alone():
    model = BeliefNet(BeliefNetConfig(length=5, dropout=0.5), generator=make_generator(0))
    x = everything(model.config)
    torch.manual_seed(0)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_it_writes_no_further_than_its_length():
    model = net(CONFIGS["pairs"])
    with pytest.raises(ValueError, match="step: expected at most 2 components, length=, got 2 and one more"):
        write(model, 3, 3, choose=lambda logits, t: logits.argmax(1))


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"levels": 1}, ValueError, "levels: expected a whole number ≥ 2, got 1"),
        ({"length": 0}, ValueError, "length: expected a whole number ≥ 1, got 0"),
        ({"features": 0}, ValueError, "features: expected a whole number ≥ 1, got 0"),
        ({"depth": -1}, ValueError, "depth: expected a whole number ≥ 0, got -1"),
        ({"dropout": 1.0}, ValueError, "dropout: expected a share from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, ValueError, "dropout: expected a share from 0 to below 1, got -0.1"),
        ({"levels": 2.0}, TypeError, "levels: expected a whole number ≥ 2, got float 2.0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(settings, error, says):
    with pytest.raises(error, match=says):
        BeliefNetConfig(**settings)


def test_other_arguments_are_refused():
    model = net(CONFIGS["binary"])
    with pytest.raises(ValueError, match=r"x: expected shape \(B, 5\), got \(2, 4\)"):
        model(torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="x: expected levels 0 to 1, got 0 to 2"):
        model.log_prob(torch.tensor([[0, 1, 2, 0, 0]]))
    with pytest.raises(ValueError, match="n: expected a whole number ≥ 1, got 0"):
        model.sample(0, generator=make_generator(0))
    with pytest.raises(ValueError, match="given: expected fewer than length = 5"):
        model.sample(2, generator=make_generator(0), given=torch.zeros(5, dtype=torch.long))
