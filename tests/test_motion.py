"""The law of bouncing digits, read from their frames alone, against what made them."""

import math
from itertools import product

import pytest
import torch

from course_lib.data.bouncing_digits import WALLS, load_bouncing_digits
from course_lib.device import make_generator
from course_lib.measure.motion import futures, independent_nats, lawful


def videos(walls="drawn", n=300, frames=12, seed=0, **more):
    return load_bouncing_digits(n, generator=make_generator(seed), frames=frames, walls=walls, **more)


def dot(*places, size=4):
    """A video of one pixel of ink, at these places."""
    x = torch.zeros(1, len(places), 1, size, size, dtype=torch.long)
    for t, (i, j) in enumerate(places):
        x[0, t, 0, i, j] = 1
    return x


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize("more", [{}, {"levels": 17}, {"size": 9}], ids=str)
def test_true_videos_are_lawful_and_their_floor_is_the_number_of_futures(walls, more):
    data = videos(walls, **more)
    moved, allowed = futures(data.x, walls)
    assert lawful(data.x, walls).all()
    nats = allowed[:, :-1].sum(2).double().log()
    assert torch.allclose(nats, data.floor[:, 1:].double(), atol=1e-6) and nats.max() > 0
    among = ((moved[:, :-1] == data.x[:, 1:, None]).flatten(3).all(3) & allowed[:, :-1]).sum(2)
    assert (among == 1).all(), "what comes is one of them, and once"


def test_what_may_follow_is_what_a_hand_says():
    def where(x, walls="drawn"):
        moved, allowed = futures(x, walls)
        return {tuple(frame.nonzero()[0, 1:].tolist()) for frame in moved[0, -1][allowed[0, -1]]}

    assert where(dot((1, 1), (2, 2))) == {(3, 3)}
    assert where(dot((2, 1), (3, 2))) == {(2, 1), (2, 3)}, "below is the wall: up again, left or right"
    assert where(dot((2, 1), (3, 2)), "mirror") == {(2, 3)}
    assert where(dot((2, 2), (3, 3))) == where(dot((2, 2), (3, 3)), "mirror") == {(2, 2)}
    around = set(product((0, 2), (0, 2)))
    assert where(dot((1, 1))) == where(dot((3, 3), (1, 1))) == where(dot((3, 3), (1, 1)), "mirror") == around
    assert where(dot((0, 1))) == where(dot((0, 1)), "mirror") == {(1, 0), (1, 2)}


def test_mistakes_are_found_and_only_they():
    x = videos().x
    right = lawful(x)
    assert not lawful(torch.zeros_like(x))[:, 1:].any(), "a blank frame moves nowhere"
    assert not lawful(x[:, :1].expand_as(x))[:, 1:].any(), "who repeats a frame does not move it"
    spoiled = x.clone()
    spoiled[:, 5, 0, 6, 6] ^= 1
    found = lawful(spoiled)
    assert torch.equal(found[:, :5], right[:, :5]) and not found[:, 5:7].any() and found[:, 7:].all()
    jump = dot((0, 0), (1, 1), (2, 0))  # a diagonal step, but not the one that was being made
    assert lawful(jump).tolist() == [[True, True, False]]
    ghost = torch.maximum(dot((2, 1), (3, 2), (2, 1)), dot((2, 1), (3, 2), (2, 3)))
    assert lawful(ghost).tolist() == [[True, True, False]]
    wrapped = dot((1, 2), (2, 3), (3, 0))
    assert not lawful(wrapped)[0, 2]


def test_mirrors_are_told_from_lots():
    x = videos("drawn", n=400).x
    assert not lawful(x, "mirror").all() and lawful(videos("mirror").x, "drawn").all()


def test_independent_pixels_pay_for_each_in_which_the_futures_differ():
    x = dot((2, 1), (3, 2), (2, 3))  # two futures, of which each has one pixel that the other has not
    nats = independent_nats(x)[0]
    assert nats[0].isnan()
    assert nats[2].item() == pytest.approx(2 * math.log(2))
    assert independent_nats(dot((2, 1), (3, 2), (3, 2)))[0, 2] == math.inf
    assert independent_nats(dot((1, 1), (2, 2)))[0, 1].item() == pytest.approx(math.log(4) + 3 * math.log(4 / 3))
    data = videos()
    nats, floor = independent_nats(data.x)[:, 1:], data.floor[:, 1:]
    assert (nats >= floor - 1e-5).all() and torch.equal(nats == 0, floor == 0)
    assert (independent_nats(videos("mirror").x, "mirror")[:, 2:] == 0).all()


@pytest.mark.parametrize("function", [futures, lawful, independent_nats])
@pytest.mark.parametrize(
    ("x", "walls", "error", "message"),
    [
        (torch.zeros(2, 3, 1, 4, 4), "drawn", TypeError, "x: expected levels as torch.long"),
        (torch.zeros(3, 1, 4, 4).long(), "drawn", ValueError, "x: expected shape"),
        (torch.zeros(2, 0, 1, 4, 4).long(), "drawn", ValueError, "frames of x: expected a whole number ≥ 1, got 0"),
        (torch.zeros(2, 3, 1, 4, 4).long(), "soft", ValueError, "walls: expected one of 'drawn', 'mirror'"),
    ],
)
def test_what_are_no_videos_is_refused(function, x, walls, error, message):
    with pytest.raises(error, match=message):
        function(x, walls)
