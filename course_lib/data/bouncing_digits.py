"""Videos of real digits that move and bounce, endless from a seed, and what each next frame costs who knows the law."""

from dataclasses import dataclass
from itertools import product

import torch

from ..expect import expect_count, expect_generator, expect_one_of
from . import digits, mnist

DIRECTIONS = torch.tensor(list(product((-1, 1), (-1, 1))))  # (4, 2): a step along the rows, a step along the columns
SOURCES = {"digits": digits, "mnist": mnist}
WALLS = ("drawn", "mirror")


@dataclass(frozen=True)
class BouncingDigits:
    """`n` videos: frames `x` (n, T, 1, H, W) long, and `floor` (n, T), what each frame costs in nats.

    The floor is −log p(frame | the frames before it), for someone who knows the law and sees the state: `corner`
    (n, digits, T, 2), the row and the column of each digit's upper left corner. Of frame 0 it is NaN: there the digit
    itself is new, and what that costs, nobody knows. `labels` (n, digits) are the digits, 0 to 9.
    """

    x: torch.Tensor
    floor: torch.Tensor
    corner: torch.Tensor
    labels: torch.Tensor


def load_bouncing_digits(
    n: int,
    *,
    generator: torch.Generator,
    frames: int,
    size: int = 12,
    levels: int = 2,
    walls: str = "drawn",
    split: str = "train",
    source: str = "digits",
    digits: int = 1,
    speed: int = 1,
) -> BouncingDigits:
    """`n` videos of `frames` frames (1, size, size): digits that start anywhere and move on, `speed` pixels both ways.

    A digit is cut to its ink, so that what meets the wall is seen. It keeps its direction, one of four, while that
    keeps it inside. Where the next step would leave the frame, with `walls="drawn"` a new direction is drawn, each of
    those that stay inside being as likely as the others: so is the first of all. With `walls="mirror"` it is thrown
    back like light, and from frame 2 on nothing is uncertain: the floor is 0. Where `digits` overlap, more ink wins.

    Digits come from the `split` of `load_digits` ("digits") or of `load_mnist` ("mnist", 28 × 28, found in the store or
    downloaded), their ink rounded to `levels`. The generator must be one on the CPU. Raises TypeError and ValueError
    for what cannot be, a frame in which a digit cannot turn around among it.
    """
    for name, count in {"n": n, "size": size, "digits": digits, "speed": speed}.items():
        expect_count(name, count)
    expect_count("frames", frames, 2)
    expect_count("levels", levels, 2)
    expect_generator(generator, on_cpu=True)
    expect_one_of("walls", walls, WALLS)
    expect_one_of("source", source, SOURCES)
    images, labels, inked = _shapes(source, split, levels, size, speed)
    which = torch.randint(len(images), (n, digits), generator=generator)
    room = size - inked[which]  # (n, digits, 2): a corner may be at 0 … room
    corner, floor = _paths(room, frames, speed, walls, generator)
    x = torch.zeros(n, frames, size, size, dtype=torch.long)
    for k in range(digits):
        x = torch.maximum(x, placed(images[which[:, k]], corner[:, k], size))
    return BouncingDigits(x[:, :, None], floor, corner, labels[which])


def _shapes(source, split, levels, size, speed):
    """Digits cut to their ink: images (N, h, w), ink in the upper left corner, labels (N,), and ink sizes (N, 2)."""
    reader = SOURCES[source]
    x, labels = (reader.load_digits if source == "digits" else reader.load_mnist)(split)
    if levels > reader.LEVELS:
        raise ValueError(f"levels: expected at most {reader.LEVELS}, as many as the images have, got {levels}")
    x = x[:, 0] * levels // reader.LEVELS  # equal steps of ink
    inked = []
    for axis in (2, 1):  # rows that have ink, then columns
        ink = (x > 0).any(axis)
        inked.append(ink.long().cumsum(1).argmax(1) - ink.long().argmax(1) + 1)
        x = _rolled(x, ink.long().argmax(1), 3 - axis)
    inked = torch.stack(inked, 1)
    least = int(inked.max()) + 2 * speed - 1
    if size < least:
        raise ValueError(f"size: expected {least} or more, so that every digit can turn around in it, got {size}")
    return x, labels, inked


def _rolled(x, by, axis):
    """Every image x (N, h, w) moved along `axis` by its own number of pixels towards the corner."""
    length = x.shape[axis]
    index = (torch.arange(length) + by[:, None]) % length
    return x.gather(axis, index[:, :, None].expand_as(x) if axis == 1 else index[:, None, :].expand_as(x))


def _paths(room, frames, speed, walls, generator):
    """Corners (n, digits, T, 2) and the floor (n, T): a direction goes on, or a new one comes at the wall."""
    n, digits, _ = room.shape
    steps = speed * DIRECTIONS
    at = (torch.rand(n, digits, 2, generator=generator) * (room + 1)).long()
    going = None
    corners, floor = [at], [torch.full((n,), torch.nan)]
    for _ in range(frames - 1):
        ahead = at[:, :, None] + steps  # (n, digits, 4, 2)
        inside = ((ahead >= 0) & (ahead <= room[:, :, None])).all(3)
        lottery = torch.rand(inside.shape, generator=generator)
        new = lottery.where(inside, -1.0).argmax(2)  # (n, digits): any of those inside
        if going is None:
            turning = torch.ones(n, digits, dtype=torch.bool)
        else:
            turning = ~inside.gather(2, going[:, :, None])[:, :, 0]
            if walls == "mirror":
                new = _mirrored(at, going, steps, room)
        going = new if going is None else new.where(turning, going)
        choices = inside.sum(2) if walls == "drawn" or len(corners) == 1 else torch.ones_like(turning, dtype=torch.long)
        floor.append(choices.double().log().where(turning, 0).sum(1))
        at = at + steps[going]
        corners.append(at)
    return torch.stack(corners, 2), torch.stack(floor, 1).float()


def _mirrored(at, going, steps, room):
    """The direction (n, digits) that light would take: what would leave the frame is turned around."""
    step = steps[going]
    left = (at + step < 0) | (at + step > room)
    turned = torch.where(left, -step, step).sign()
    return (turned[..., 0] + 1) + (turned[..., 1] + 1) // 2  # its number in DIRECTIONS


def placed(images, corner, size):
    """Images (n, h, w), each with its upper left corner at `corner` (n, T, 2) -> frames (n, T, size, size)."""
    n, h, w = images.shape
    T = corner.shape[1]
    pixels = torch.arange(size, device=images.device)
    i = pixels - corner[:, :, :1]  # (n, T, size): which row of the digit is there
    j = pixels - corner[:, :, 1:]
    inside = ((i >= 0) & (i < h))[..., :, None] & ((j >= 0) & (j < w))[..., None, :]
    index = i.clamp(0, h - 1)[..., :, None] * w + j.clamp(0, w - 1)[..., None, :]
    ink = images.flatten(1).gather(1, index.flatten(1)).view(n, T, size, size)
    return ink.where(inside, 0)
