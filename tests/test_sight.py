"""What a painter sees and what each pixel costs it: against the likelihood, against differences, and far from both."""

import math

import pytest
import torch

from course_lib.device import make_generator
from course_lib.measure.sight import bits_each, looks
from course_lib.models.pixel.convolutional import PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import RasterLSTM


def painter(kind=PixelCNN, C=1, depth=1):
    model = kind(PixelConfig(3, C, 4, 5, features=8, depth=depth), generator=make_generator(0)).double()
    torch.nn.init.normal_(model.place, std=0.3, generator=make_generator(1))
    return model


def images(C=1, n=3):
    return torch.randint(3, (n, C, 4, 5), generator=make_generator(2))


@pytest.mark.parametrize("C", [1, 3])
def test_the_bits_of_all_pixels_are_those_of_the_image(C):
    model, x = painter(C=C), images(C)
    bits = bits_each(model, x)
    assert bits.shape == (3, 4, 5) and not bits.requires_grad and (bits > 0).all()
    torch.testing.assert_close(bits.sum((1, 2)), -model.log_prob(x).detach() / math.log(2))


def test_a_pixel_that_changes_costs_itself_and_those_after_it_something_else():
    model, x = painter(RasterLSTM), images()
    other = x.clone()
    other[:, :, 2, 1] = (x[:, :, 2, 1] + 1) % 3
    moved = (bits_each(model, x) != bits_each(model, other)).any(0).flatten()
    assert not moved[:11].any() and moved[11:].all()


def test_looks_is_the_length_of_the_gradient_by_differences():
    model, x = painter(RasterLSTM), images()
    field = looks(model, x, 2, 3)
    assert field.shape == (4, 5) and not field.requires_grad
    words, step = model.words(x), 1e-6
    slopes = torch.zeros(3, 3, 4, 5, dtype=torch.float64)  # (B, V, H, W)
    for v, i, j in torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(5)).tolist():
        both = []
        for sign in (1, -1):
            moved = words.clone()
            moved[:, v, i, j] += sign * step
            log_p = model.head(model.context(moved), words).log_softmax(-1)[:, 0, 2, 3]
            both.append(log_p.gather(1, x[:, :, 2, 3])[:, 0])
        slopes[:, v, i, j] = (both[0] - both[1]).detach() / (2 * step)
    torch.testing.assert_close(field, slopes.norm(dim=1).mean(0), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("C", [1, 3])
def test_what_is_out_of_sight_is_exactly_0(C):
    field = looks(painter(C=C, depth=0), images(C), 3, 1)  # one filter of 7×7
    seen = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    assert torch.equal(field > 0, seen.bool())


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"i": 4}, ValueError, r"4 rows and 5 columns, counted from 0, got \(4, 0\)"),
        ({"j": 5}, ValueError, r"4 rows and 5 columns, counted from 0, got \(0, 5\)"),
        ({"i": -1}, ValueError, "i: expected a whole number ≥ 0, got -1"),
        ({"j": 1.0}, TypeError, "j: expected a whole number ≥ 0, got float"),
        ({"x": images(2)}, ValueError, r"x: expected shape \(B, 1, 4, 5\)"),
        ({"x": images() + 1}, ValueError, "x: expected levels 0 to 2, got 1 to 3"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(change, error, says):
    with pytest.raises(error, match=says):
        looks(painter(), **({"x": images(), "i": 0, "j": 0} | change))


def test_images_of_another_kind_have_no_bits():
    with pytest.raises(ValueError, match=r"x: expected shape \(B, 1, 4, 5\)"):
        bits_each(painter(), images(3))
