"""Log-probabilities: nats, (B,), summing to one; and what the wrong input is told."""

import itertools
import math

import pytest
import torch

from course_lib.device import make_generator, pick_device
from course_lib.prob import bits_per_dim, categorical_log_prob


def test_probabilities_of_all_images_sum_to_one():
    logits = torch.randn(1, 3, 1, 2, 2, generator=make_generator(0)).expand(81, -1, -1, -1, -1)
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 1, 2, 2)
    assert categorical_log_prob(logits, every).exp().sum() == pytest.approx(1, abs=1e-5)


def test_uniform_logits_cost_log_levels_a_pixel():
    nats = categorical_log_prob(torch.zeros(5, 17, 1, 8, 8), torch.zeros(5, 1, 8, 8, dtype=torch.long))
    assert nats.shape == (5,)
    assert nats.tolist() == pytest.approx([-64 * math.log(17)] * 5, rel=1e-6)
    assert bits_per_dim(-nats, 64).tolist() == pytest.approx([math.log2(17)] * 5, rel=1e-6)


def test_each_image_is_scored_by_its_own_logits():
    logits = torch.zeros(2, 4, 3)
    logits[1, 2] = 50.0  # the second observation is sure of level 2 everywhere
    nats = categorical_log_prob(logits, torch.full((2, 3), 2))
    assert nats.tolist() == pytest.approx([-3 * math.log(4), 0], abs=1e-5)


@pytest.mark.parametrize(
    ("logits", "x", "error", "says"),
    [
        (torch.zeros(2, 17, 4), torch.zeros(2, 4), TypeError, "torch.long, got torch.float32"),
        (torch.zeros(2, 17, 4), torch.full((2, 4), 17), ValueError, "levels 0 to 16, got 17 to 17"),
        (torch.zeros(2, 17, 4), torch.full((2, 4), -1), ValueError, "levels 0 to 16, got -1 to -1"),
        (torch.zeros(2, 17, 4), torch.zeros(2, 5, dtype=torch.long), ValueError, r"got \(2, 17, 4\)"),
        (torch.zeros(3, 17, 4), torch.zeros(2, 4, dtype=torch.long), ValueError, r"expected shape \(3, 4\)"),
        (torch.zeros(2, 17, 4, dtype=torch.long), torch.zeros(2, 4, dtype=torch.long), TypeError, "floating-point"),
        (torch.zeros(2, 17, 4), [[0, 0, 0, 0]] * 2, TypeError, "expected a torch.Tensor, got list"),
    ],
)
def test_wrong_input_is_told_what_was_expected_and_given(logits, x, error, says):
    with pytest.raises(error, match=says):
        categorical_log_prob(logits, x)


def test_the_same_seed_gives_the_same_numbers():
    first, again = (torch.rand(5, generator=make_generator(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(5, generator=make_generator(8)))
    assert pick_device().type in {"cpu", "cuda", "mps"}
