"""Log-probabilities: nats, (B,), summing to one; and what the wrong input is told."""

import itertools
import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from course_lib.device import make_generator
from course_lib.prob import (
    bernoulli_log_prob,
    bits_per_dim,
    categorical_log_prob,
    gaussian_kl,
    gaussian_log_prob,
    log_mean_exp,
)


def test_probabilities_of_all_images_sum_to_one():
    logits = torch.randn(1, 1, 2, 2, 3, generator=make_generator(0)).expand(81, -1, -1, -1, -1)
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 1, 2, 2)
    assert categorical_log_prob(logits, every).exp().sum() == pytest.approx(1, abs=1e-5)


def test_uniform_logits_cost_log_levels_a_pixel():
    nats = categorical_log_prob(torch.zeros(5, 1, 8, 8, 17), torch.zeros(5, 1, 8, 8, dtype=torch.long))
    assert nats.shape == (5,)
    assert nats.tolist() == pytest.approx([-64 * math.log(17)] * 5, rel=1e-6)
    assert bits_per_dim(-nats, 64).tolist() == pytest.approx([math.log2(17)] * 5, rel=1e-6)


def test_each_image_is_scored_by_its_own_logits():
    logits = torch.zeros(2, 3, 4)
    logits[1, :, 2] = 50.0  # the second observation is sure of level 2 everywhere
    nats = categorical_log_prob(logits, torch.full((2, 3), 2))
    assert nats.tolist() == pytest.approx([-3 * math.log(4), 0], abs=1e-5)


@pytest.mark.parametrize(
    ("logits", "x", "error", "says"),
    [
        (torch.zeros(2, 4, 17), torch.zeros(2, 4), TypeError, "torch.long, got torch.float32"),
        (torch.zeros(2, 4, 17), torch.full((2, 4), 17), ValueError, "levels 0 to 16, got 17 to 17"),
        (torch.zeros(2, 4, 17), torch.full((2, 4), -1), ValueError, "levels 0 to 16, got -1 to -1"),
        (torch.zeros(2, 4, 17), torch.zeros(2, 5, dtype=torch.long), ValueError, r"got \(2, 4, 17\)"),
        (torch.zeros(3, 4, 17), torch.zeros(2, 4, dtype=torch.long), ValueError, r"expected shape \(3, 4\)"),
        (torch.zeros(2, 4, 17, dtype=torch.long), torch.zeros(2, 4, dtype=torch.long), TypeError, "floating-point"),
        (torch.zeros(2, 4, 17), [[0, 0, 0, 0]] * 2, TypeError, "expected a torch.Tensor, got list"),
    ],
)
def test_wrong_input_is_told_what_was_expected_and_given(logits, x, error, says):
    with pytest.raises(error, match=says):
        categorical_log_prob(logits, x)


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=make_generator(seed))


# --- Bernoulli ----------------------------------------------------------------------------------------------------


def test_probabilities_of_all_black_and_white_images_sum_to_one():
    logits = 2 * normal(1, 1, 2, 2, seed=0).expand(16, -1, -1, -1)
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).view(16, 1, 2, 2)
    p = bernoulli_log_prob(logits, every).exp()
    assert p.shape == (16,) and p.sum().item() == pytest.approx(1, abs=1e-12)
    ink = logits[0].sigmoid()
    expected = torch.where(every == 1, ink, 1 - ink).flatten(1).prod(1)
    torch.testing.assert_close(p, expected, rtol=1e-12, atol=0)


def test_a_bernoulli_is_a_categorical_of_two_levels():
    logits, x = 3 * normal(5, 3, 4, seed=0), torch.randint(2, (5, 3, 4), generator=make_generator(1))
    two = torch.stack([torch.zeros_like(logits), logits], -1)
    torch.testing.assert_close(bernoulli_log_prob(logits, x), categorical_log_prob(two, x), rtol=1e-12, atol=0)


def test_a_bernoulli_that_is_sure_stays_finite():
    nats = bernoulli_log_prob(torch.tensor([[1e4], [-1e4], [1e4], [-1e4]]), torch.tensor([[1], [0], [0], [1]]))
    assert nats.tolist() == [0, 0, -1e4, -1e4]


@pytest.mark.parametrize(
    ("logits", "x", "error", "says"),
    [
        (torch.zeros(2, 4), torch.zeros(2, 4), TypeError, "x: expected levels as torch.long, got torch.float32"),
        (torch.zeros(2, 4), torch.full((2, 4), 2), ValueError, "x: expected levels 0 to 1, got 2 to 2"),
        (torch.zeros(2, 4), torch.zeros(2, 5).long(), ValueError, r"logits: expected shape \(B, 5\), got \(2, 4\)"),
        (torch.zeros(3, 4), torch.zeros(2, 4).long(), ValueError, r"x: expected shape \(3, 4\), got \(2, 4\)"),
        (torch.zeros(2, 4).long(), torch.zeros(2, 4).long(), TypeError, "logits: expected a floating-point tensor"),
        (torch.zeros(1, 4), [[0, 0, 0, 0]], TypeError, "x: expected a torch.Tensor, got list"),
    ],
)
def test_a_wrong_bernoulli_is_told_what_was_expected_and_given(logits, x, error, says):
    with pytest.raises(error, match=says):
        bernoulli_log_prob(logits, x)


# --- Gaussians ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (6, 1, 1), (6, 3, 4)], ids=str)
def test_gaussians_have_torchs_density_with_one_variance_or_many(shape):
    mean, x, log_var = normal(6, 3, 4, seed=0), 2 * normal(6, 3, 4, seed=1), normal(*shape, seed=2)
    theirs = Normal(mean, (log_var / 2).exp().expand_as(mean))
    found = gaussian_log_prob(mean, log_var, x)
    assert found.shape == (6,)
    torch.testing.assert_close(found, theirs.log_prob(x).flatten(1).sum(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_var", [-1e4, -400.0, -200.0, -104.0, -88.0, 0.0, 88.0, 200.0])
def test_a_gaussian_as_narrow_as_you_like_is_finite_at_its_mean(log_var, dtype):
    x, log_vars = normal(3, 2, seed=0).to(dtype), torch.full((3, 2), log_var, dtype=dtype, requires_grad=True)
    mean = x.clone().requires_grad_()
    log_p = gaussian_log_prob(mean, log_vars, x)
    assert log_p.tolist() == pytest.approx([-log_var - math.log(2 * math.pi)] * 3, rel=1e-6)
    log_p.sum().backward()
    assert (mean.grad == 0).all() and (log_vars.grad == -0.5).all()
    away = gaussian_log_prob(torch.zeros(1, 1, dtype=dtype), log_vars[:1, :1], torch.full((1, 1), 1e-10, dtype=dtype))
    power = -log_var - 20 * math.log(10)  # of the square of (1e-10 - 0) / σ
    square = math.exp(power) if power < math.log(torch.finfo(dtype).max) else math.inf
    assert away.item() == pytest.approx(-0.5 * (square + log_var + math.log(2 * math.pi)), rel=1e-5)


@pytest.mark.parametrize(
    ("mean", "x", "error", "says"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), ValueError, r"mean: expected shape \(2, 4\), got \(2, 3\)"),
        (torch.zeros(1, 4), torch.zeros(2, 4), ValueError, r"mean: expected shape \(2, 4\), got \(1, 4\)"),
        (torch.zeros(2, 4).long(), torch.zeros(2, 4), TypeError, "mean: expected a floating-point tensor"),
        (torch.zeros(2, 4), 0.5, TypeError, "x: expected a torch.Tensor, got float"),
    ],
)
def test_a_wrong_gaussian_is_told_what_was_expected_and_given(mean, x, error, says):
    with pytest.raises(error, match=says):
        gaussian_log_prob(mean, torch.zeros(()), x)


def test_the_kl_to_the_prior_is_torchs_and_that_of_draws():
    mu, log_var = normal(5, 3, seed=0), normal(5, 3, seed=1)
    kl = gaussian_kl(mu, log_var)
    assert kl.shape == (5,) and (kl > 0).all()
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    torch.testing.assert_close(kl, kl_divergence(q, prior), rtol=1e-12, atol=0)
    z = mu + (log_var / 2).exp() * normal(50_000, 5, 3, seed=2)
    difference = q.log_prob(z) - prior.log_prob(z)
    assert ((difference.mean(0) - kl).abs() < 4 * difference.std(0) / 50_000**0.5).all()


@pytest.mark.parametrize("log_var", [-60.0, -12.0, -4.0, -0.5, 0.0, 0.5, 3.0, 12.0])
@pytest.mark.parametrize("mu", [0.0, 0.3, -2.0, 8.0, -300.0])
def test_the_kl_is_the_integral_also_of_narrow_wide_and_far_gaussians(mu, log_var):
    u = torch.linspace(-12, 12, 24_001, dtype=torch.float64)  # z = mu + sigma u: in its own standard deviations
    q = (-u.square() / 2).softmax(0)
    z = mu + math.exp(log_var / 2) * u
    log_q, log_p = -u.square() / 2 - log_var / 2, -z.square() / 2  # less log(2 pi) / 2 each
    mu, log_var = (torch.tensor([[number]], dtype=torch.float64, requires_grad=True) for number in (mu, log_var))
    kl = gaussian_kl(mu, log_var)
    torch.testing.assert_close(kl[0], (q * (log_q - log_p)).sum(), rtol=1e-11, atol=1e-13)
    kl.sum().backward()
    # d log p / dz is -z, and the entropy's share of d / d log_var is -1/2
    torch.testing.assert_close(mu.grad[0, 0], (q * z).sum(), rtol=1e-11, atol=1e-13)
    slope = (q * z * (z - mu.detach()[0, 0])).sum() / 2 - 0.5
    torch.testing.assert_close(log_var.grad[0, 0], slope, rtol=1e-11, atol=1e-11)


def test_the_kl_is_0_at_the_prior_and_nowhere_else():
    zero = torch.zeros(1, 2)
    assert gaussian_kl(zero, zero).item() == 0
    for off in 0.01, -0.01:
        for mu, log_var in (zero + off, zero), (zero, zero + off):
            assert gaussian_kl(mu.double(), log_var.double()).item() > 1e-5


def test_the_kl_is_never_negative_and_right_next_to_the_prior():
    near = torch.cat([10.0 ** torch.arange(-12, 1), -(10.0 ** torch.arange(-12, 1))])[:, None]
    kl = gaussian_kl(torch.zeros_like(near), near)
    assert (kl >= 0).all()
    exact = gaussian_kl(torch.zeros_like(near).double(), near.double())
    torch.testing.assert_close(kl.double(), exact, rtol=1e-5, atol=1e-9)
    wide = torch.linspace(-20, 20, 100_001)[:, None]
    assert (gaussian_kl(torch.zeros_like(wide), wide) >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gaussians_in_half_precision_are_computed_in_full(dtype):
    mu, log_var = (normal(4, 3, seed=seed).to(dtype) for seed in (0, 1))
    log_var[0], log_var[1] = 12, -30
    for formula in gaussian_kl(mu, log_var), gaussian_log_prob(mu, log_var, mu):
        assert formula.dtype == torch.float32 and formula.isfinite().all()
    torch.testing.assert_close(gaussian_kl(mu, log_var), gaussian_kl(mu.float(), log_var.float()), rtol=0, atol=0)
    assert gaussian_kl(torch.zeros(1, 1, dtype=dtype), log_var[:1, :1]).item() == pytest.approx((math.e**12 - 13) / 2)


# --- the log of a mean --------------------------------------------------------------------------------------------


def test_the_log_of_a_mean_of_exponentials_is_just_that_along_either_axis():
    log_w = normal(7, 5, seed=0)
    torch.testing.assert_close(log_mean_exp(log_w), log_w.exp().mean(0).log(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_mean_exp(log_w, 1), log_w.exp().mean(1).log(), rtol=1e-12, atol=1e-12)
    assert torch.equal(log_mean_exp(log_w[:1]), log_w[0]), "of one it is that one"


def test_it_is_safe_where_exponentials_are_not():
    for away in -1e4, 1e4:
        log_w = torch.tensor([[0.0], [math.log(3)]], dtype=torch.float64) + away
        assert log_mean_exp(log_w).item() == pytest.approx(away + math.log(2), abs=1e-11)  # 1e4's digits
    impossible = torch.tensor([[0.0, -math.inf], [-math.inf, -math.inf]])
    assert log_mean_exp(impossible).tolist() == pytest.approx([-math.log(2), -math.inf])
