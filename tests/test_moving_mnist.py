"""Moving MNIST flies as published, is endless from a seed, and its floor on the real digits is the field's."""

import math

import pytest
import torch
from test_binarised_mnist import put_mnist

from course_lib.data import load_moving_mnist
from course_lib.device import make_generator


@pytest.fixture
def squares(tmp_path, monkeypatch):
    """A store whose MNIST has full squares, in the test split dark ones and in the others half as dark."""
    images = torch.full((6, 28, 28), 255)
    put_mnist(tmp_path, monkeypatch, (images // 2).numpy(), images.numpy())


def videos(n=20, seed=0, **more):
    return load_moving_mnist(n, generator=make_generator(seed), **more)


def corners(x):
    """Where the ink of x (n, T, 1, H, W) begins: (n, T, 2)."""
    ink = x[:, :, 0] > 0
    return torch.stack([ink.any(3).long().argmax(2), ink.any(2).long().argmax(2)], 2)


def test_a_digit_flies_straight_at_one_speed_and_walls_throw_it_back(squares):
    x = videos(200, digits=1, frames=30, split="test")
    assert x.shape == (200, 30, 1, 64, 64) and x.dtype == torch.float32
    assert (x.flatten(2).sum(2) == 28 * 28).all(), "it never leaves the frame"
    at = corners(x).double()
    assert (at.amin((0, 1)) == 0).all() and (at.amax((0, 1)) == 36).all()
    step = at.diff(dim=1)
    inside = ((at[:, 5:] > 0) & (at[:, 5:] < 36)).all(2) & ((at[:, :-5] > 0) & (at[:, :-5] < 36)).all(2)
    far = (at[:, 5:] - at[:, :-5]).norm(dim=2)[inside]
    assert far.max() < 18 + math.sqrt(2), "3.6 pixels a frame, cut to whole ones"
    assert far.quantile(0.5) > 17, "half of the fives have no wall in them"
    for axis in (0, 1):
        one, before = at[:, :, axis], step[:, :, axis]
        hit = ((one[:, 1:-1] == 36) & (before[:, :-1] > 0)) | ((one[:, 1:-1] == 0) & (before[:, :-1] < 0))
        after = before[:, 1:][hit] * before[:, :-1][hit]
        assert hit.sum() > 100 and (after <= 0).all(), "and back"


def test_starts_and_directions_are_uniform(squares):
    at = corners(videos(3000, digits=1, frames=2, split="test")).double()
    middle = at[:, 0].mean(0)
    assert (middle - 17.5).abs().max() < 4 * 36 / math.sqrt(12 * 3000)
    step = at.diff(dim=1)[:, 0]
    quarters = torch.stack([(step > 0).all(1), (step < 0).all(1)]).double().mean(1)
    assert (quarters < 0.26).all() and (quarters > 0.15).all(), "cut to whole pixels, some axes do not move"


def test_more_ink_wins_and_splits_have_their_own_digits(squares):
    assert videos(split="test").unique().tolist() == [0, 1]
    assert videos(split="train").unique().tolist() == [0, pytest.approx(127 / 255)]
    two = videos(500, frames=1, split="test").flatten(1).sum(1)
    assert two.max() == 2 * 28 * 28 and two.min() < 1.5 * 28 * 28


def test_smaller_frames_have_smaller_digits(squares):
    assert (videos(digits=1, frames=2, size=32, split="test").flatten(2).sum(2) == 14 * 14).all()


def test_small_digits_are_means_of_four_pixels(tmp_path, monkeypatch):
    image = torch.zeros(6, 28, 28, dtype=torch.long)
    image[:, 0, 0], image[:, 13:15, 13:15] = 255, 51
    put_mnist(tmp_path, monkeypatch, image.numpy(), image.numpy())
    x = videos(1, digits=1, frames=1, size=32, split="test")
    assert sorted(x[x > 0].tolist()) == pytest.approx([0.05, 0.05, 0.05, 0.05, 0.25])


def test_the_same_seed_is_the_same_whatever_was_loaded_before(squares):
    first = videos(seed=1)
    videos(seed=2, split="test", size=32)
    assert torch.equal(videos(seed=1), first) and not torch.equal(videos(seed=3), first)
    first[:] = 9
    assert videos(seed=1).max() < 1


def test_another_store_is_another_mnist(squares, tmp_path, monkeypatch):
    videos(split="test")
    other = tmp_path / "other"
    other.mkdir()
    put_mnist(other, monkeypatch, torch.full((6, 28, 28), 51).numpy(), torch.full((6, 28, 28), 51).numpy())
    assert videos(split="test").max() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"frames": 0}, ValueError, "frames: expected a whole number ≥ 1, got 0"),
        ({"digits": 1.5}, TypeError, "digits: expected a whole number ≥ 1, got float 1.5"),
        ({"size": 2}, ValueError, "size: expected a whole number ≥ 3, got 2"),
        ({"split": "all"}, ValueError, "split: expected one of 'train', 'valid', 'test', got 'all'"),
        ({"generator": None}, TypeError, "expected a torch.Generator, got NoneType"),
    ],
)
def test_what_cannot_be_is_refused(more, error, message):
    with pytest.raises(error, match=message):
        load_moving_mnist(**{"n": 2, "generator": make_generator(0)} | more)


def test_the_floor_of_the_real_one_is_the_published_one(need_real):
    need_real("mnist/t10k-images-idx3-ubyte")
    x = load_moving_mnist(300, generator=make_generator(0), split="test")[:, 10:].double()
    entropy = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).sum((2, 3, 4)).mean(1)
    error = entropy.std().item() / math.sqrt(300)
    assert error < 1 and entropy.mean().item() == pytest.approx(86.3, abs=4 * error)
