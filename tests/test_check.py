"""The messages that a student reads: right answers pass, and a wrong one is told what is usually wrong."""

import math

import pytest
import torch

from course_lib.check import assert_close, assert_shape


@pytest.mark.parametrize("shape", [(3, 4), ("B", 4), ("B", "Z"), (3, "Z")])
def test_a_right_shape_passes(shape):
    assert_shape(torch.zeros(3, 4), shape)


@pytest.mark.parametrize(
    ("got", "shape", "says"),
    [
        (torch.zeros(4, 3), ("B", 4), "transposed"),
        (torch.zeros(4), ("B", 4), "batch dimension is missing"),
        (torch.zeros(3, 1), (3,), "size 1 too many"),
        (torch.zeros(()), ("B",), "flatten(1).sum(1)"),
        (torch.zeros(3, 8, 8), ("B",), "still to be summed"),
        (torch.zeros(5, 2), ("B", 4), "expected shape (B, 4), got (5, 2)."),
        (None, ("B",), "end in `return`"),
        ([1.0], ("B",), "expected a tensor of shape (B,), got a list"),
    ],
)
def test_a_wrong_shape_is_explained(got, shape, says):
    with pytest.raises(AssertionError) as error:
        assert_shape(got, shape, name="codes")
    assert says in str(error.value)
    assert str(error.value).startswith("codes: expected ")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (0.1 + 0.2, 0.3),
        (torch.tensor([1e6 + 1, 0.0]), torch.tensor([1e6, 0.0])),
        (torch.tensor([math.inf]), torch.tensor([math.inf])),
        (torch.tensor(2), 2.0),
        (torch.zeros(0), torch.zeros(0)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
    ],
)
def test_a_right_number_passes(got, expected):
    assert_close(got, expected)


numbers = torch.tensor([64.0, 128.0, 320.0])


@pytest.mark.parametrize(
    ("got", "expected", "says"),
    [
        (1.40625, 90.0, "too small by a factor of 64"),
        (numbers / 64, numbers, "too small by a factor of 64: a mean where a sum is meant?"),
        (numbers * 8, numbers, "too large by a factor of 8: a sum where a mean is meant?"),
        (-numbers, numbers, "sign"),
        (numbers / math.log(2), numbers, "bits"),
        (torch.tensor([1.0, math.nan]), torch.ones(2), "1 of 2 numbers are NaN"),
        (torch.tensor([1.0, math.inf]), torch.ones(2), "infinite"),
        (numbers.reshape(1, 3), numbers, "expected shape (3,), got (1, 3)"),
        (torch.arange(4.0).view(2, 2).T, torch.arange(4.0).view(2, 2), "transposed"),
        (0.0009, 0.03, "root is missing"),
        (0.5, 0.0, "expected 0, got 0.5."),
        (torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 2.0, 3.0]), "expected 3 at [2], got 9."),
        (None, 1.0, "return"),
        ("3", 3.0, "got a str"),
    ],
)
def test_a_wrong_number_is_explained(got, expected, says):
    with pytest.raises(AssertionError) as error:
        assert_close(got, expected, name="nll")
    assert says in str(error.value)
    assert str(error.value).startswith("nll: ")


@pytest.mark.parametrize(
    ("got", "expected"),
    [(torch.tensor([1.0, 2.5]), torch.tensor([64.0, 128.0])), (0.25, 0.75), (3.0, 0.6)],
    ids=["it explains one number and not the other", "three times", "a fifth"],
)
def test_a_hint_that_guesses_is_not_given(got, expected):
    with pytest.raises(AssertionError) as error:
        assert_close(got, expected)
    assert "Hint" not in str(error.value)
