"""Coverage, quality and the KL over modes, on draws whose answer is known."""

import math

import pytest
import torch

from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.measure.coverage import coverage, mode_kl, nearest

CROSS = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_truth_reaches_all_modes_evenly_and_well(name):
    plane = load_plane(name)
    found = coverage(plane.sample(50_000, generator=make_generator(0)), plane.modes, plane.mode_std)
    K = len(plane.modes)
    assert found.reached == found.of == K
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.002)  # of a round Gaussian on the plane
    assert 0 <= found.reverse_kl < 2 * K / 50_000, "what chance adds is (K − 1) / 2N in the mean"
    assert found.shares.sum().item() == pytest.approx(found.high_quality, abs=1e-6)


def test_one_mode_for_ever_and_half_of_them_have_the_logarithm_of_what_is_lost():
    one = coverage(CROSS[:1].expand(300, 2), CROSS, 0.1)
    assert (one.reached, one.of, one.high_quality) == (1, 4, 1.0)
    assert one.reverse_kl == pytest.approx(math.log(4))
    half = coverage(CROSS[:2].repeat(150, 1), CROSS, 0.1)
    assert half.reached == 2 and half.reverse_kl == pytest.approx(math.log(2))
    assert half.shares.tolist() == [0.5, 0.5, 0.0, 0.0]


def test_draws_between_the_modes_are_nearest_to_one_but_of_no_quality():
    x = torch.cat([CROSS.repeat(25, 1), 0.5 * CROSS.repeat(25, 1)])
    found = coverage(x, CROSS, 0.2)
    assert found.reached == 4 and found.high_quality == 0.5 and found.reverse_kl == pytest.approx(0, abs=1e-12)
    edge = CROSS[:1] + torch.tensor([[0.0, 0.599], [0.0, 0.601]])
    assert coverage(edge, CROSS, 0.2).high_quality == 0.5, "3 σ is where quality ends"


def test_a_mode_met_once_in_passing_is_reached_by_the_papers_rule_alone():
    x = torch.cat([CROSS[:3].repeat(100, 1), CROSS[3:]])
    assert coverage(x, CROSS, 0.2).reached == 3
    assert coverage(x, CROSS, 0.2, least=0).reached == 4


def test_the_kl_is_that_of_the_shares():
    mode = torch.tensor([0] * 6 + [1] * 3 + [3])
    expected = 0.6 * math.log(0.6 * 4) + 0.3 * math.log(0.3 * 4) + 0.1 * math.log(0.1 * 4)
    assert mode_kl(mode, 4) == pytest.approx(expected)


def test_the_nearest_is_found_in_parts_as_in_one(monkeypatch):
    from course_lib.measure import coverage as module

    x, of = (torch.randn(n, 5, generator=make_generator(n)) for n in (40, 17))
    whole = nearest(x, of)
    apart = (x[:, None] - of).square().sum(2).sqrt()
    torch.testing.assert_close(whole[0], apart.amin(1))
    assert torch.equal(whole[1], apart.argmin(1))
    monkeypatch.setattr(module, "AT_ONCE", 50)
    assert torch.equal(nearest(x, of)[1], whole[1])
    assert nearest(of[3:4], of) == (torch.zeros(1), torch.tensor([3])), "a copy is at distance 0"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: coverage(CROSS.long(), CROSS, 0.1), TypeError, "x: expected a floating-point tensor"),
        (lambda: coverage(CROSS[:, :1], CROSS, 0.1), ValueError, r"x: expected shape \(N, 2\), got \(4, 1\)"),
        (lambda: coverage(CROSS, CROSS[0], 0.1), ValueError, r"of: expected shape \(M, D\)"),
        (lambda: coverage(CROSS, CROSS, 0.0), ValueError, "expected std > 0 and least from 0 to 1"),
        (lambda: coverage(CROSS, CROSS, 1.0, least=2), ValueError, "least from 0 to 1, got 1.0 and 2"),
        (lambda: coverage(CROSS[:0], CROSS, 1.0), ValueError, "the number of draws: expected a whole number ≥ 1"),
        (lambda: nearest(CROSS, CROSS[:0]), ValueError, "the length of `of`: expected a whole number ≥ 1, got 0"),
        (lambda: mode_kl(torch.tensor([4]), 4), ValueError, "mode: expected levels 0 to 3"),
        (lambda: mode_kl(torch.zeros(0, dtype=torch.long), 4), ValueError, "the number of draws"),
    ],
)
def test_what_cannot_be_measured_says_so(call, error, says):
    with pytest.raises(error, match=says):
        call()
