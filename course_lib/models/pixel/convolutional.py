"""Convolutions that look back: the PixelCNN, which has a blind spot, and the gated one, which has not."""

import torch
import torch.nn.functional as F
from torch import nn

from ...layers import MaskedConv2d, gate
from .model import PixelModel, Walk, at_pixel

FIRST = 7  # the size of the first layer's kernel; van den Oord et al. (2016), table 1


class Block(nn.Module):
    """A residual block: narrow, look back, widen; van den Oord et al. (2016), figure 5 (left)."""

    def __init__(self, features):
        super().__init__()
        narrow = max(1, features // 2)
        self.narrow = nn.Conv2d(features, narrow, 1)
        self.look = MaskedConv2d(narrow, narrow, 3, "B")
        self.widen = nn.Conv2d(narrow, features, 1)

    def forward(self, x):
        return x + self.widen(F.relu(self.look(F.relu(self.narrow(F.relu(x))))))


class PixelCNN(PixelModel):
    """Masked convolutions: the first with mask A, all others with mask B; van den Oord et al. (2016), section 3.4.

    However deep, it never sees a wedge of pixels to the upper right: the blind spot (chapter 4).
    """

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, FIRST, "A")
        self.blocks = nn.ModuleList(Block(features) for _ in range(depth))

    def context(self, words):
        h = self.first(words) + self.place
        for block in self.blocks:
            h = block(h)
        return F.relu(h)

    def walk(self, n: int) -> Walk:
        """Of each layer, only what is new at the pixel is computed; all else stays as it is."""
        c = self.config
        words = self.place.new_zeros(n, c.channels * c.levels, c.height, c.width)
        first, looks = at_pixel(self.first), [at_pixel(block.look) for block in self.blocks]
        narrow = [self.place.new_zeros(n, b.look.in_channels, c.height, c.width) for b in self.blocks]
        for i in range(c.height):
            for j in range(c.width):
                h = first(words, i, j) + self.place[:, i, j]
                for block, look, seen in zip(self.blocks, looks, narrow, strict=True):
                    seen[:, :, i, j] = F.relu(F.linear(F.relu(h), block.narrow.weight[:, :, 0, 0], block.narrow.bias))
                    new = F.relu(look(seen, i, j))
                    h = h + F.linear(new, block.widen.weight[:, :, 0, 0], block.widen.bias)
                words[:, :, i, j] = yield F.relu(h)


class GatedBlock(nn.Module):
    """One layer of both stacks; van den Oord et al. (2016, conditional image generation), figure 2.

    `down` looks at two rows of the vertical stack, `along` at two pixels of the horizontal one's row.
    """

    def __init__(self, features):
        super().__init__()
        self.down = nn.Conv2d(features, 2 * features, (2, 3))
        self.along = nn.Conv2d(features, 2 * features, (1, 2))
        self.across = nn.Conv2d(2 * features, 2 * features, 1)  # from the vertical stack into the horizontal one
        self.out = nn.Conv2d(features, features, 1)

    def forward(self, v, h):
        v = self.down(F.pad(v, (1, 1, 1, 0)))  # a row above, a column to either side
        h_new = self.along(F.pad(h, (1, 0))) + self.across(v)
        return gate(v), h + self.out(gate(h_new))


class GatedPixelCNN(PixelModel):
    """Two stacks and gates: one sees all rows above, the other the row itself; together, everything before.

    Van den Oord et al. (2016, conditional image generation), section 2.2. Both stacks are shifted once, at the door,
    the vertical one by a row, the horizontal one by a pixel. After that no mask is needed.
    """

    def build(self, words, features, depth):
        self.above = nn.Conv2d(words, features, (2, 5))
        self.left = nn.Conv2d(words, features, (1, 4))
        self.blocks = nn.ModuleList(GatedBlock(features) for _ in range(depth))

    def context(self, words):
        v = self.above(F.pad(words, (2, 2, 2, 0))[:, :, :-1]) + self.place  # rows i − 2 and i − 1
        h = self.left(F.pad(words, (4, 0))[..., :-1]) + self.place  # pixels j − 4 to j − 1
        for block in self.blocks:
            v, h = block(v, h)
        return F.relu(h)

    def walk(self, n: int) -> Walk:
        """The vertical stack goes row by row, since its row needs nothing of the row itself."""
        c = self.config
        words = self.place.new_zeros(n, c.channels * c.levels, c.height, c.width)
        vertical = [self.place.new_zeros(n, c.features, 1, c.width)] * c.depth  # each layer's input, a row ago
        for i in range(c.height):
            v = self.above(F.pad(words[:, :, max(0, i - 2) : i], (2, 2, max(0, 2 - i), 0))) + self.place[:, i : i + 1]
            across = []
            for layer, block in enumerate(self.blocks):
                rows = block.down(F.pad(torch.cat([vertical[layer], v], 2), (1, 1)))
                vertical[layer], v = v, gate(rows)
                across.append(block.across(rows)[:, :, 0])  # (n, 2F, W)
            before = [self.place.new_zeros(n, c.features)] * c.depth  # each layer's input, a pixel ago
            for j in range(c.width):
                patch = F.pad(words[:, :, i, max(0, j - 4) : j], (max(0, 4 - j), 0))
                h = F.linear(patch.flatten(1), self.left.weight.flatten(1), self.left.bias) + self.place[:, i, j]
                for layer, block in enumerate(self.blocks):
                    pair = torch.stack([before[layer], h], 2).flatten(1)
                    before[layer] = h
                    new = F.linear(pair, block.along.weight.flatten(1), block.along.bias) + across[layer][:, :, j]
                    h = h + F.linear(gate(new), block.out.weight[:, :, 0, 0], block.out.bias)
                words[:, :, i, j] = yield F.relu(h)
