"""Creatures of 16×16 pixels and 16 colours, drawn by code from a seed: endless, and no two alike."""

from typing import Literal

import numpy as np
import torch

from ..expect import expect_count, expect_generator, expect_levels, expect_one_of, expect_tensor
from .sprite_drawing import SOURCE, Sketch

PALETTE = torch.tensor(list(SOURCE["palette"].values()))  # (16, 3) levels of red, green, blue; the first is background
RGB_LEVELS = 8  # a channel's levels, 0 to 7: few enough to be words, and every colour of the palette is made of them
_BLOCK = 1000  # creatures drawn together: enough to be fast, few enough to need little memory


def load_sprites(n: int, *, generator: torch.Generator, colour: Literal["palette", "rgb"] = "palette") -> torch.Tensor:
    """Draw `n` creatures: (n, 1, 16, 16) long, colours 0..15 of `PALETTE`; 0 is the background, 1 the outline.

    With `colour="rgb"`, the same creatures as (n, 3, 16, 16) long, levels 0..7 of red, green and blue.

    The seed of `generator` decides everything: the same seed gives the same creatures in either colour, and the first
    of many are those of a few. A creature is of one of 16 species (cat, bat, mushroom, robot, …), which decides the
    outline of its body, its size, and what ears, arms, feet, tails, eyes, mouths and patterns it may have. Its body is
    mirrored about its axis; the light (from the upper left), tails, winks and the place in the picture are not. The
    drawings are our own: `sprites.toml` has the parts, `sprite_drawing.py` puts them together. 5,000 take 0.3 s.

    Raises TypeError for an `n` that is no int and a `generator` that is none, ValueError for n < 1, another `colour`
    and a generator that is not on the CPU: there, a seed gives the same creatures on every machine.
    """
    expect_count("n", n)
    expect_generator(generator, on_cpu=True)
    expect_one_of("colour", colour, ("palette", "rgb"))
    # A row of chances for each creature, drawn row by row, so that many creatures begin with those of a few.
    table = torch.rand(n, 64, dtype=torch.float64, generator=generator).numpy()
    blocks = np.split(table, range(_BLOCK, n, _BLOCK))
    sprites = np.concatenate([Sketch(len(block), _Chances(block)).finished() for block in blocks])
    sprites = torch.from_numpy(sprites).long()  # (n, 16, 16)
    return sprites[:, None] if colour == "palette" else PALETTE[sprites].permute(0, 3, 1, 2).contiguous()


def to_rgb(sprites: torch.Tensor) -> torch.Tensor:
    """Paint sprites for a plot: (n, 1, 16, 16) or (n, 3, 16, 16) long to (n, 16, 16, 3) float in [0, 1].

    One channel holds colours of `PALETTE`, three hold levels of red, green and blue: both give the same picture.
    Height and width may be others too, as those of a part of a sprite. Raises TypeError for what is not a tensor of
    torch.long, ValueError for another shape or range.
    """
    expect_tensor("sprites", sprites)
    if sprites.dim() != 4 or sprites.shape[1] not in (1, 3):
        raise ValueError(
            f"sprites: expected shape (n, 1, H, W), colours of the palette, or (n, 3, H, W), levels of red, green and "
            f"blue, got {tuple(sprites.shape)}; sprites[None] makes a batch of one"
        )
    channels = sprites.shape[1]
    expect_levels("sprites", sprites, ("n", channels, "H", "W"), len(PALETTE) if channels == 1 else RGB_LEVELS)
    levels = PALETTE.to(sprites.device)[sprites[:, 0]] if channels == 1 else sprites.permute(0, 2, 3, 1)
    return levels / (RGB_LEVELS - 1)


class _Chances:
    """Hands out the columns of a table of chances in [0, 1), one for each decision; a row is a creature's."""

    def __init__(self, table):
        self._columns = iter(np.ascontiguousarray(table.T))

    def between(self, low, high):
        return low + (high - low) * next(self._columns)

    def whole(self, low, high):
        """A whole number from `low` to `high`, both included; `low` where `high` is below it."""
        return low + (next(self._columns) * np.maximum(np.subtract(high, low) + 1, 1)).astype(int)

    def word(self, who, lists, names):
        """One word of a creature's list in `lists`, as its number in `names`."""
        numbers = [[names.index(word) for word in words.split()] for words in lists]
        longest = max(map(len, numbers))
        table = np.array([words + [0] * (longest - len(words)) for words in numbers])
        return table[who, self.whole(0, np.array([len(words) - 1 for words in numbers])[who])]
