"""Moving MNIST, on which the field measures video models: two handwritten digits that fly about and bounce, in grey."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

from ..expect import expect_count, expect_generator, expect_one_of
from .bouncing_digits import placed
from .mnist import LEVELS, SPLITS, load_mnist
from .store import store_folder

STEP = 0.1  # how far a digit flies in a frame, as a share of the room that it has
DIGIT, FIELD = 28, 64  # pixels of a digit and of a frame, as published


def load_moving_mnist(
    n: int,
    *,
    generator: torch.Generator,
    frames: int = 20,
    size: int = FIELD,
    digits: int = 2,
    split: str = "train",
) -> torch.Tensor:
    """`n` videos of MNIST's digits, endless from a seed: (n, frames, 1, size, size) float, shares of ink from 0 to 1.

    Each digit starts anywhere, in any direction, at one speed for all: in ten frames it flies as far as it has room to
    the side. A wall throws it back like light, and it stops there for a frame. Its place is cut to whole pixels, and
    where digits overlap, more ink wins. A digit has 28 of 64 pixels; in frames of another `size` it is shrunk to the
    same share, each new pixel being the mean of those below it, so that at 32 each is the mean of 2 × 2.

    Digits come from that split of `load_mnist`, which is found in the store or downloaded. The videos lie where the
    generator does. Raises TypeError and ValueError for what cannot be, StoreError when MNIST cannot be had.
    Source: Srivastava, Mansimov and Salakhutdinov (2015), section 3.2, and the generator that they published.
    """
    for name, count in {"n": n, "frames": frames, "digits": digits}.items():
        expect_count(name, count)
    expect_count("size", size, 3)
    expect_generator(generator)
    expect_one_of("split", split, SPLITS)
    side = round(size * DIGIT / FIELD)
    chance = {"device": generator.device, "generator": generator}
    images = _digits(split, side, store_folder()).to(generator.device)
    which = torch.randint(len(images), (n, digits), **chance)
    at = torch.rand(n, digits, 2, dtype=torch.float64, **chance)  # shares of the room
    angle = 2 * math.pi * torch.rand(n, digits, dtype=torch.float64, **chance)
    going = STEP * torch.stack([angle.sin(), angle.cos()], 2)
    path = []
    for _ in range(frames):
        at = at + going
        going = torch.where((at <= 0) | (at >= 1), -going, going)
        at = at.clamp(0, 1)
        path.append((at * (size - side)).long())
    corner = torch.stack(path, 2)  # (n, digits, frames, 2)
    x = torch.zeros(n, frames, size, size, device=generator.device)
    for k in range(digits):
        x = torch.maximum(x, placed(images[which[:, k]], corner[:, k], size))
    return x[:, :, None]


@lru_cache(maxsize=2)
def _digits(split, side, folder):
    """All digits of a split (N, side, side), shares of ink; kept, since endless videos ask for them again and again.

    `folder` is where they come from: what another store holds is read anew.
    """
    x = load_mnist(split)[0].to(torch.float32) / (LEVELS - 1)
    return F.adaptive_avg_pool2d(x, side)[:, 0]
