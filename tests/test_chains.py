"""What a chain's draws are worth, on chains whose autocorrelation time is known."""

import math

import pytest
import torch

from course_lib.device import make_generator
from course_lib.measure.chains import autocorrelation_time, scale_reduction


def ar1(rho, T, C, seed=0):
    """x_t = ρ x_{t−1} + √(1 − ρ²) ε: N(0, 1) at every step, with autocorrelation ρ^t and time (1 + ρ) / (1 − ρ)."""
    noise = torch.randn(T, C, generator=make_generator(seed), dtype=torch.float64)
    x = [noise[0]]
    for one in noise[1:]:
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * one)
    return torch.stack(x)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("C", [1, 20])
def test_it_knows_the_time_of_an_autoregression(rho, C):
    expected = (1 + rho) / (1 - rho)
    found = autocorrelation_time(ar1(rho, 40_000 // C, C))
    assert found == pytest.approx(expected, rel=0.2)


def test_it_says_how_far_the_mean_is_off():
    """The mean of T values varies as that of T / τ independent ones does."""
    x = ar1(0.9, 2000, 400)
    tau = autocorrelation_time(x)
    assert x.mean(0).var().item() * 2000 == pytest.approx(tau, rel=0.25)


@pytest.mark.parametrize("change", [lambda x: 5 * x - 300, lambda x: x.float(), lambda x: x.flip(0)])
def test_units_dtype_and_direction_do_not_matter(change):
    x = ar1(0.8, 1000, 5)
    assert autocorrelation_time(change(x)) == pytest.approx(autocorrelation_time(x), rel=1e-3)


def test_chains_that_sit_in_places_of_their_own_are_worth_little_however_each_jitters():
    """Each alone says 1 step; together they know better."""
    noise = torch.randn(500, 10, generator=make_generator(0))
    stuck = noise + 10 * torch.arange(10)
    assert autocorrelation_time(stuck[:, :1]) < 2
    assert autocorrelation_time(stuck) > 300
    assert scale_reduction(stuck) > 5 and scale_reduction(noise) == pytest.approx(1, abs=0.01)


def test_chains_that_meet_late_are_told_from_those_that_have_met():
    start = 20 * torch.linspace(-1, 1, 8) * 0.98 ** torch.arange(400)[:, None]
    x = start + torch.randn(400, 8, generator=make_generator(1))
    assert scale_reduction(x) > 1.1 > 1.02 > scale_reduction(x[300:])


def test_the_ratio_is_the_formula():
    x = torch.tensor([[0.0, 2.0], [1.0, 4.0], [2.0, 3.0], [1.0, 3.0]], dtype=torch.float64)
    within, between = (2 / 3 + 2 / 3) / 2, 2.0  # variances 2/3 each; means 1 and 3
    assert scale_reduction(x) == pytest.approx(math.sqrt(3 / 4 + between / within))
    assert scale_reduction(torch.tensor([[1.0, 2.0]] * 5)) == math.inf


@pytest.mark.parametrize("measure", [autocorrelation_time, scale_reduction])
def test_what_is_no_chain_is_refused(measure):
    refused = [
        (torch.zeros(10), r"x: expected shape \(T, C\), got \(10,\)"),
        (torch.zeros(3, 2), r"expected 4 steps or more of a chain or more, got shape \(3, 2\)"),
        (torch.zeros(10, 0), r"of a chain or more, got shape \(10, 0\)"),
        (torch.full((10, 2), math.nan), "expected finite numbers, got inf or nan"),
        (torch.ones(10, 2), "expected chains that move, got 1.0 at every step"),
    ]
    for x, says in refused:
        with pytest.raises(ValueError, match=says):
            measure(x)
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch.int64"):
        measure(torch.arange(10)[:, None])


def test_one_chain_has_nothing_to_differ_from():
    with pytest.raises(ValueError, match=r"two chains or more, .* got shape \(10, 1\)"):
        scale_reduction(torch.randn(10, 1, generator=make_generator(0)))
