"""The generative stochastic network: what it damages, what it learns to repair, and where its walk settles.

Shapes, dtypes, gradients and the disk are in test_models.py.
"""

import math
from itertools import product

import pytest
import torch

from course_lib.device import make_generator
from course_lib.models.generative_stochastic_network import GenerativeStochasticNetwork, GSNConfig
from course_lib.train import fit

BITS = GSNConfig((3,), features=16, noise=0.5)
PLANE = GSNConfig((2,), likelihood="gaussian", features=16, noise=0.7)


def gsn(config):
    return GenerativeStochasticNetwork(config, generator=make_generator(0))


def trained(config, x, steps=600, walkback=0, seed=0, lr=1e-2):
    model, generator = gsn(config), make_generator(seed)
    knobs = {"batch_size": 128, "lr": lr, "generator": generator, "progress": False, "schedule": "cosine"}
    fit(model, x, loss=lambda m, x: m.loss(x, generator=generator, walkback=walkback), steps=steps, **knobs)
    return model


def test_damage_makes_fair_coins_of_a_share_of_the_bits():
    x = torch.arange(2).repeat(30_000).view(-1, 3)
    damaged = gsn(BITS).damage(x, generator=make_generator(1))
    assert damaged.dtype == torch.long
    for bit in (0, 1):  # half of the coins fall as the bit was
        assert (damaged != x)[x == bit].float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_damage_adds_noise_of_its_width_to_numbers():
    x = torch.full((20_000, 2), 3.0)
    noise = gsn(PLANE).damage(x, generator=make_generator(1)) - x
    assert noise.mean().item() == pytest.approx(0, abs=0.02) and noise.std().item() == pytest.approx(0.7, abs=0.01)


def test_a_repair_is_a_draw_from_p_of_x_given_the_damaged():
    for config in (BITS, PLANE):
        model = gsn(config)
        damaged = torch.ones(20_000, *config.shape, dtype=torch.long if model.binary else torch.float)
        out, drawn = model(damaged)[0], model.repair(damaged, generator=make_generator(1))
        mean = out.sigmoid() if model.binary else out
        torch.testing.assert_close(drawn.float().mean(0), mean, atol=0.03, rtol=0)
        if not model.binary:
            assert drawn.std(0).mean().item() == pytest.approx((model.log_var / 2).exp().item(), abs=0.02)


def test_the_loss_is_what_the_repair_costs_and_walkback_the_mean_over_a_walk():
    for config in (BITS, PLANE):
        model = gsn(config)
        like = torch.ones(50, *config.shape)
        x = like.long() if model.binary else like
        g = make_generator(1)
        damaged = [model.damage(x, generator=g)]
        for _ in range(2):
            damaged.append(model.damage(model.repair(damaged[-1], generator=g), generator=g))
        costs = [-model.log_likelihood(x, each) for each in damaged]
        torch.testing.assert_close(model.loss(x, generator=make_generator(1)), costs[0])
        torch.testing.assert_close(model.loss(x, generator=make_generator(1), walkback=2), sum(costs) / 3)
        assert not torch.allclose(costs[0], costs[1])


def test_a_walk_is_damage_and_repair_in_turn():
    for config in (BITS, PLANE):
        model, g = gsn(config), make_generator(2)
        start = torch.zeros(7, *config.shape, dtype=torch.long if model.binary else torch.float)
        by_hand = start
        for _ in range(3):
            by_hand = model.repair(model.damage(by_hand, generator=g), generator=g)
        assert torch.equal(by_hand, model.sample(7, steps=3, generator=make_generator(2), start=start))


def test_the_walk_settles_where_its_matrix_says():
    """Three bits are eight states: damage times repair, both enumerated, is the matrix of the walk."""
    x = torch.tensor(list(product(range(2), repeat=3)))
    data = (torch.rand(4000, 1, generator=make_generator(3)) > 0.3).long().expand(-1, 3).contiguous()
    model = trained(BITS, data, steps=200)
    same = (x[:, None] == x).double()  # (8, 8, 3)
    damage = (0.25 + 0.5 * same).prod(2)
    ink = model(x).sigmoid().double().detach()
    repair = torch.where(x[None] == 1, ink[:, None], 1 - ink[:, None]).prod(2)
    walk = damage @ repair
    settled = torch.linalg.matrix_power(walk, 200)[0]
    n = 20_000
    drawn = model.sample(n, steps=40, generator=make_generator(4)) @ torch.tensor([4, 2, 1])
    found = torch.bincount(drawn, minlength=8)
    assert ((found - settled * n).square() / (settled * n)).mean() < 2.2, "a chi-squared of about 1 each"
    assert settled[[0, 7]].sum() > 0.5, "and it has learnt that the bits are equal"


def test_the_less_is_damaged_the_nearer_the_walk_settles_to_the_truth():
    """Bits that are all equal. Where the damaged ones disagree, a repair bit by bit cannot know to keep them equal."""
    x = (torch.rand(4000, 1, generator=make_generator(3)) > 0.3).long().expand(-1, 3).contiguous()
    equal = {}
    for noise in (0.2, 0.8):
        model = trained(GSNConfig((3,), features=16, noise=noise), x)
        drawn = model.sample(4000, steps=200, generator=make_generator(4))
        equal[noise] = ((drawn.sum(1) == 0) | (drawn.sum(1) == 3)).float().mean().item()
    assert equal[0.8] < 0.6 < 0.9 < equal[0.2]


def test_a_walk_on_numbers_settles_where_a_gaussian_is():
    """N(μ, σ²): damage and a linear repair, so that the walk must settle at the truth, far from its start."""
    x = torch.tensor([3.0, -2.0]) + torch.tensor([1.0, 0.5]) * torch.randn(4000, 2, generator=make_generator(3))
    model = trained(PLANE, x, steps=800)
    drawn = model.sample(4000, steps=60, generator=make_generator(4))
    torch.testing.assert_close(drawn.mean(0), x.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(0), x.std(0), atol=0.2, rtol=0)


def test_the_loss_of_numbers_cannot_fall_below_what_noise_leaves_unknown():
    """x ~ N(0, 1), x̃ = x + 0.7 ε: p(x | x̃) has variance 0.49 / 1.49."""
    x = torch.randn(8000, 2, generator=make_generator(3))
    model = trained(PLANE, x, steps=800)
    floor = math.log(2 * math.pi * math.e * 0.49 / 1.49)
    found = model.loss(x, generator=make_generator(5)).mean().item()
    assert floor - 0.03 < found < floor + 0.05


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"shape": ()}, ValueError, r"shape: expected sizes ≥ 1, got \(\)"),
        ({"shape": (0, 2)}, ValueError, r"shape: expected sizes ≥ 1, got \(0, 2\)"),
        ({"likelihood": "categorical"}, ValueError, "likelihood: expected one of 'bernoulli', 'gaussian'"),
        ({"noise": 0.0}, ValueError, "noise: expected a number above 0 and at most 1, got 0.0"),
        ({"noise": 1.5}, ValueError, "noise: expected a number above 0 and at most 1, got 1.5"),
        ({"noise": math.nan, "likelihood": "gaussian"}, ValueError, "noise: expected a number above 0"),
        ({"features": 0}, ValueError, "features: expected a whole number ≥ 1, got 0"),
        ({"depth": -1}, ValueError, "depth: expected a whole number ≥ 0, got -1"),
        ({"depth": 1.0}, TypeError, "depth: expected a whole number ≥ 0, got float"),
    ],
)
def test_a_config_that_cannot_be_is_refused(settings, error, says):
    with pytest.raises(error, match=says):
        GSNConfig(**settings)


def test_arguments_that_cannot_be_are_refused():
    g, bits, plane = make_generator(0), gsn(BITS), gsn(PLANE)
    x = torch.tensor(list(product(range(2), repeat=3)))
    refused = [
        (lambda: bits(x[:, :2]), r"x: expected shape \(B, 3\), got \(8, 2\)"),
        (lambda: bits.damage(x + 1, generator=g), "x: expected levels 0 to 1, got 1 to 2"),
        (lambda: bits.repair(x[0], generator=g), r"expected shape \(B, 3\), got \(3,\)"),
        (lambda: bits.loss(x, generator=g, walkback=-1), "walkback: expected a whole number ≥ 0, got -1"),
        (lambda: bits.sample(0, steps=1, generator=g), "n: expected a whole number ≥ 1, got 0"),
        (lambda: bits.sample(1, steps=0, generator=g), "steps: expected a whole number ≥ 1, got 0"),
        (lambda: bits.sample(1, steps=1, generator=g, start=x), r"start: expected shape \(1, 3\), got \(8, 3\)"),
        (lambda: plane.loss(torch.zeros(2, 3), generator=g), r"x: expected shape \(B, 2\), got \(2, 3\)"),
    ]
    for call, says in refused:
        with pytest.raises(ValueError, match=says):
            call()
    for call in (
        lambda: bits(x.float()),
        lambda: plane(torch.zeros(4, 2, dtype=torch.long)),
        lambda: bits.sample(1, steps=1.5, generator=g),
        lambda: plane.damage([[0.0, 1.0]], generator=g),
    ):
        with pytest.raises(TypeError, match=r"expected .*, got "):
            call()
