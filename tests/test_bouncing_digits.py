"""Videos of bouncing digits: they move by the law, and the floor is what the law says, neither more nor less."""

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from course_lib.data import bouncing_digits, load_bouncing_digits, load_digits, mnist
from course_lib.device import make_generator


def videos(n=400, seed=0, **settings):
    return load_bouncing_digits(n, generator=make_generator(seed), **{"frames": 8} | settings)


def box(frame):
    """The rows and columns where a frame (H, W) has ink: first and last of each."""
    rows, columns = (frame > 0).nonzero().unbind(1)
    return rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()


def by_hand(frames, speed, walls):
    """What each frame (T, H, W) costs from the second on, found from its pixels alone, by the law as it is told."""
    size = frames.shape[1]
    boxes = [box(frame) for frame in frames]
    directions = [(i, j) for i in (-speed, speed) for j in (-speed, speed)]
    costs, going = [], None
    for (top, bottom, left, right), after in pairwise(boxes):
        inside = [
            (i, j) for i, j in directions if top + i >= 0 and bottom + i < size and left + j >= 0 and right + j < size
        ]
        gone = after[0] - top, after[2] - left
        assert gone in inside, "it leaves the frame, or goes another way than diagonally"
        if going is None:
            costs.append(math.log(len(inside)))
        elif going in inside:
            assert gone == going, "it turns where nothing is in its way"
            costs.append(0.0)
        elif walls == "mirror":
            expected = tuple(
                -step if low + step < 0 or high + step >= size else step
                for step, low, high in zip(going, (top, left), (bottom, right), strict=True)
            )
            assert gone == expected, "light would go another way"
            costs.append(0.0)
        else:
            costs.append(math.log(len(inside)))
        going = gone
    return costs


@pytest.mark.parametrize("walls", ["drawn", "mirror"])
@pytest.mark.parametrize(("size", "speed"), [(9, 1), (12, 1), (11, 2), (20, 3)])
def test_digits_move_as_the_law_says_and_the_floor_is_its_price(size, speed, walls):
    found = videos(60, size=size, speed=speed, walls=walls, levels=5)
    assert found.x.shape == (60, 8, 1, size, size) and found.x.dtype == torch.long
    assert found.floor.shape == (60, 8) and found.floor[:, 0].isnan().all()
    for frames, floor, corner in zip(found.x[:, :, 0], found.floor, found.corner[:, 0], strict=True):
        assert floor[1:].tolist() == pytest.approx(by_hand(frames, speed, walls), abs=1e-6)
        assert [box(frame)[::2] for frame in frames] == [tuple(at) for at in corner.tolist()]
        for frame, (i, j) in zip(frames, (corner - corner[0]).tolist(), strict=True):
            assert torch.equal(frame, frames[0].roll((i, j), (0, 1))), "the digit itself has changed"
    assert (found.floor[:, 2:] > 0).any() == (walls == "drawn")


def test_what_can_follow_one_beginning_has_probability_1_in_all():
    """e^−floor is the probability of a path: over all that start in the same place it adds up to 1."""
    found = videos(30_000, frames=6)
    ways = defaultdict(dict)
    for digit, corner, floor in zip(found.x[:, 0], found.corner[:, 0].tolist(), found.floor, strict=True):
        ways[digit.numpy().tobytes()][str(corner)] = math.exp(-floor[1:].sum())
    totals = [sum(paths.values()) for paths in ways.values()]
    assert max(totals) == pytest.approx(1, abs=1e-5), "and this is a beginning all of whose futures were met"
    assert sorted(totals)[-20] == pytest.approx(1, abs=1e-5)


def test_at_a_wall_each_way_that_stays_inside_comes_as_often():
    found = videos(4000)
    steps = found.corner[:, 0].diff(dim=1)  # (n, T - 1, 2)
    kept = (steps[:, 1:] == steps[:, :-1]).all(2)
    one_wall = (found.floor[:, 2:] - math.log(2)).abs() < 1e-6
    along = ~kept & one_wall  # it came back from one wall, and went on along it, or turned there as well
    turned = (steps[:, 1:] == -steps[:, :-1]).all(2)[along].double()
    assert len(turned) > 4000
    assert turned.mean().item() == pytest.approx(0.5, abs=4 * 0.5 / len(turned) ** 0.5)


def test_mirrors_leave_nothing_to_chance_but_the_first_direction():
    found = videos(300, walls="mirror")
    assert (found.floor[:, 2:] == 0).all() and (found.floor[:, 1] > 0).any()


def test_a_seed_gives_the_same_videos_and_every_split_has_its_own_digits():
    one, same, other = videos(20), videos(20), videos(20, seed=1)
    assert torch.equal(one.x, same.x) and torch.equal(one.floor[:, 1:], same.floor[:, 1:])
    assert not torch.equal(one.x, other.x)
    shapes = {}
    for split in ("train", "test"):
        x, _ = load_digits(split)
        shapes[split] = {tuple(image[image > 8].tolist()) for image in x}
        drawn = videos(50, split=split, levels=17).x[:, 0]
        strong = [tuple(frame[frame > 8].tolist()) for frame in drawn]
        assert all(ink in shapes[split] for ink in strong)


def test_labels_are_those_of_the_digits():
    found = videos(30, levels=17)
    x, y = load_digits("train")
    for frame, label in zip(found.x[:, 0, 0], found.labels[:, 0], strict=True):
        same = [bool(image.flatten()[image.flatten() > 0].tolist() == frame[frame > 0].tolist()) for image in x[:, 0]]
        assert label in y[torch.tensor(same)]


def test_of_two_digits_more_ink_wins_and_their_prices_add_up():
    both = videos(40, digits=2, size=14, levels=17)
    assert both.corner.shape == (40, 2, 8, 2) and both.labels.shape == (40, 2)
    most = torch.log(torch.tensor(4.0))
    assert (both.floor[:, 1] > most).any() and (both.floor[:, 1] <= 2 * most + 1e-6).all()
    alone = videos(40, size=14, levels=17).x.sum((2, 3, 4)).float().mean()
    assert 1.2 * alone < both.x.sum((2, 3, 4)).float().mean() < 2 * alone


def test_mnist_bounces_as_well(put_files, monkeypatch):
    def idx(array):
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()

    images = np.zeros((3, 28, 28))
    images[:, 4:24, 9:19] = 255
    labels = idx(np.array([7, 7, 7]))
    put_files({"mnist/train-images-idx3-ubyte": idx(images), "mnist/train-labels-idx1-ubyte": labels})
    monkeypatch.setattr(mnist, "VALID", 1)
    found = videos(5, source="mnist", size=32, speed=3)
    assert found.x.shape == (5, 8, 1, 32, 32) and (found.x.sum((2, 3, 4)) == 20 * 10).all()
    assert (found.labels == 7).all()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"frames": 1}, ValueError, "frames: expected a whole number ≥ 2, got 1"),
        ({"size": 8}, ValueError, "size: expected 9 or more, so that every digit can turn around in it, got 8"),
        ({"size": 10, "speed": 2}, ValueError, "size: expected 11 or more"),
        ({"levels": 1}, ValueError, "levels: expected a whole number ≥ 2, got 1"),
        ({"levels": 18}, ValueError, "levels: expected at most 17, as many as the images have, got 18"),
        ({"walls": "open"}, ValueError, "walls: expected one of 'drawn', 'mirror', got 'open'"),
        ({"split": "dev"}, ValueError, "split: expected one of"),
        ({"source": "fashion"}, ValueError, "source: expected one of 'digits', 'mnist', got 'fashion'"),
        ({"digits": 0}, ValueError, "digits: expected a whole number ≥ 1"),
        ({"speed": 0.5}, TypeError, "speed: expected a whole number ≥ 1, got float 0.5"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_expected_and_given(change, error, says):
    settings = {"n": 2, "frames": 4, "generator": make_generator(0)} | change
    with pytest.raises(error, match=says):
        load_bouncing_digits(settings.pop("n"), **settings)


def test_the_directions_are_the_four_diagonals():
    assert sorted(bouncing_digits.DIRECTIONS.tolist()) == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
