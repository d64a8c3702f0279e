"""Convolutions that look back: the PixelCNN, which has a blind spot, and the gated one, which has not."""

import torch
import torch.nn.functional as F
from torch import nn

from ...layers import MaskedConv2d, at_point, gate
from .model import FIRST, MARGIN, PixelModel, at_pixel


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

    However deep, it never sees a wedge of pixels to the upper right: the blind spot (chapter 4). With depth 0 it is the
    first filter, a ReLU and the head, and nothing else.
    """

    least_depth = 0

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, FIRST, "A")
        self.blocks = nn.ModuleList(Block(features) for _ in range(depth))

    def context(self, words):
        h = self.first(words) + self.place
        for block in self.blocks:
            h = block(h)
        return F.relu(h)

    def memory(self, features, height, width):
        """The `narrow` features of the row above, of this row so far, and of the blank one below, in a margin of 1."""
        narrow = self.blocks[0].look.in_channels if self.blocks else 1  # without blocks, none is kept
        return [(narrow, 3, width + 2)]

    def context_at(self, i, j, words, narrow):
        """Only what is new at the pixel is computed, all else stays as it is."""
        if j == 0:
            narrow.copy_(F.pad(narrow[..., 1:, :], (0, 0, 0, 1)))  # a row up
        h = at_pixel(self.first, words, i, j) + self.place[:, i, j]
        for d, block in enumerate(self.blocks):
            narrow[:, d, :, 1, j + 1] = F.relu(at_point(block.narrow, F.relu(h)))
            new = F.relu(at_point(block.look, narrow[:, d, ..., j : j + 3]))
            h = h + at_point(block.widen, new)
        return F.relu(h)


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

    def memory(self, features, height, width):
        """What entered the vertical stack in the row `above`, what goes `across`, and what entered a pixel `before`.

        The vertical stack goes row by row, since its row needs nothing of the row itself.
        """
        return (features, 1, width + 2), (2 * features, width), (features,)

    def context_at(self, i, j, words, above, across, before):
        if j == 0:
            before.zero_()
            rows = words[:, :, i + MARGIN - 2 : i + MARGIN, MARGIN - 2 : 2 - MARGIN]
            v = self.above(rows) + self.place[:, i : i + 1]  # (n, F, 1, W)
            for d, block in enumerate(self.blocks):
                v = F.pad(v, (1, 1))
                rows = block.down(torch.cat([above[:, d], v], 2))
                above[:, d], across[:, d] = v, block.across(rows)[:, :, 0]
                v = gate(rows)
        h = at_point(self.left, words[:, :, i + MARGIN, j + MARGIN - 4 : j + MARGIN]) + self.place[:, i, j]
        for d, block in enumerate(self.blocks):
            new = at_point(block.along, torch.stack([before[:, d], h], 2)) + across[:, d, :, j]
            before[:, d] = h
            h = h + at_point(block.out, gate(new))
        return F.relu(h)
