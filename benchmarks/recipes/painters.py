"""The painters that `benchmarks/painters.py` compares, their controls, and what they are given to paint."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.data import load_sprites
from course_lib.device import make_generator
from course_lib.layers import MaskedConv2d, gate
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM


class FilterAndRaster(RasterLSTM):
    """The raster LSTM behind the filter that the others have: as in a `DiagonalLayer`, what it finds is added."""

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, 7, "A")
        self.lstm = nn.LSTM(features, features, depth, batch_first=True)
        self.out = nn.Conv2d(features, features, 1)

    def context(self, words):
        x = self.first(words) + self.place
        h, _ = self.lstm(x.flatten(2).transpose(1, 2))  # (B, H·W, F)
        return x + self.out(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class DiagonalAlone(DiagonalBiLSTM):
    """The Diagonal BiLSTM without that filter: like the raster LSTM, a cell is told the pixel before, and no more."""

    def build(self, words, features, depth):
        super().build(words, features, depth)
        self.first = MaskedConv2d(words, features, (1, 3), "A")


class OneStack(GatedPixelCNN):
    """Gates and one stack of masked filters, with the first look and the reach of the two stacks: the wedge is shut."""

    def build(self, words, features, depth):
        self.above = nn.Conv2d(words, features, (2, 5))
        self.left = nn.Conv2d(words, features, (1, 4))
        self.look = nn.ModuleList(MaskedConv2d(features, 2 * features, 3, "B") for _ in range(depth))
        self.out = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(depth))

    def context(self, words):
        h = self.above(F.pad(words, (2, 2, 2, 0))[:, :, :-1]) + self.left(F.pad(words, (4, 0))[..., :-1]) + self.place
        for look, out in zip(self.look, self.out, strict=True):
            h = h + out(gate(look(h)))
        return F.relu(h)


class WedgeShut(GatedPixelCNN):
    """Two stacks as they are, but that the vertical one never looks to the right in a row: that alone shuts the wedge.

    One tap of six goes, the only one that leads to the right without leading up: 1,944 of its weights rest.
    """

    def context(self, words):
        for block in self.blocks:
            block.down.weight.data[..., 1, 2] = 0
        return super().context(words)


# {name: (model, features, depth)}, about 30,000 weights each
PAINTERS = {
    "raster LSTM": (RasterLSTM, 44, 1),
    "filter only": (PixelCNN, 26, 0),
    "filter + raster LSTM": (FilterAndRaster, 23, 1),
    "Diagonal, no filter": (DiagonalAlone, 28, 1),
    "Diagonal BiLSTM": (DiagonalBiLSTM, 19, 1),
    "Grid LSTM": (GridLSTM, 23, 1),
    "Row LSTM": (RowLSTM, 19, 1),
    "PixelCNN": (PixelCNN, 22, 4),
    "Gated PixelCNN": (GatedPixelCNN, 18, 3),
    "one stack": (OneStack, 23, 3),
    "wedge shut": (WedgeShut, 18, 3),
}
BLIND = ("one stack", "wedge shut", "Gated PixelCNN")  # one thing at a time: the same reach upwards in all three
ALONG = ("raster LSTM", "filter + raster LSTM", "Diagonal, no filter", "Diagonal BiLSTM")  # whose looks are watched


def begin(painter: str, generator: torch.Generator):
    """The painter of that name, before it learns."""
    kind, features, depth = PAINTERS[painter]
    return kind(PixelConfig(16, 1, 16, 16, features=features, depth=depth), generator=generator)


def creatures(n: int, seed: int) -> torch.Tensor:
    """The chapter's creatures (n, 1, 16, 16): the first 4,500 of a seed are those that its pages have."""
    return load_sprites(n, generator=make_generator(seed))


class Copies:
    """Textures of 16 colours: nine pixels in ten repeat the one a row up and `right` columns to the right.

    The others, and those whose model lies outside, are any colour. Two columns to the right every painter looks; three
    lie in the blind spot.
    """

    ALL = ("copies, 2 right", "copies, 3 right")
    SHARE = 0.9

    def __init__(self, name: str):
        self.right = int(name.split()[1])

    def __call__(self, n: int, seed: int) -> torch.Tensor:
        generator = make_generator(seed)
        x = torch.randint(16, (n, 1, 16, 16), generator=generator)
        repeats = torch.rand(n, 1, 16, 16, generator=generator) < self.SHARE
        for i in range(1, 16):
            x[:, :, i, : -self.right] = torch.where(
                repeats[:, :, i, : -self.right], x[:, :, i - 1, self.right :], x[:, :, i, : -self.right]
            )
        return x

    def copied(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 16, 16) bool: the pixels that have a model, whether they repeat it or not."""
        has = torch.zeros_like(x[:, 0], dtype=torch.bool)
        has[:, 1:, : -self.right] = True
        return has

    def bits(self, x: torch.Tensor) -> float:
        """What a pixel costs who knows the rule: bits, on average over all."""
        same = x[:, 0, 1:, : -self.right] == x[:, 0, :-1, self.right :]
        rare = (1 - self.SHARE) / 16
        cost = torch.where(same, -math.log2(self.SHARE + rare), -math.log2(rare)).sum() + 4 * (~self.copied(x)).sum()
        return (cost / x.numel()).item()


NEIGHBOURS = (
    (0, 1),
    (1, 0),
    (1, 1),
    (1, -1),
)  # (up, left): left, above, and the two beside that; all painters see them
IN_THE_WEDGE = (1, -3)  # a row up, three columns to the right: the nearest pixel of the blind spot


def _index(x, ways):
    """The colours of these neighbours as one number; 16 is outside the image."""
    padded = F.pad(x[:, 0], (3, 3, 1, 0), value=16)
    return sum(padded[:, 1 - up : 17 - up, 3 - left : 19 - left] * 17**k for k, (up, left) in enumerate(ways))


@cache
def _counted(ways):
    """p(colour | these neighbours) as a table, counted on 60,000 creatures that no painter has met."""
    counts = torch.full((17 ** len(ways) * 16,), 0.02)
    x = creatures(60_000, 99)
    counts.index_add_(0, (_index(x, ways) * 16 + x[:, 0]).flatten(), torch.ones(x.numel()))
    return counts.view(-1, 16)


def telling(x: torch.Tensor) -> torch.Tensor:
    """(n, 16, 16) bool: where a table of four neighbours saves a bit or more, told the wedge's nearest pixel."""
    costs = []
    for ways in (NEIGHBOURS, (*NEIGHBOURS, IN_THE_WEDGE)):
        row = _counted(ways)[_index(x, ways)]  # (n, 16, 16, 16)
        costs.append(-(row.gather(-1, x[:, 0, ..., None])[..., 0] / row.sum(-1)).log2())
    return costs[0] - costs[1] > 1
