"""Recurrent networks that paint: along the raster, by rows, by diagonals, and on a grid with three memories."""

import torch
import torch.nn.functional as F
from torch import nn

from ...fast.diagonals import diagonals, lstm, scan
from ...layers import MaskedConv2d, at_point
from .model import FIRST, MARGIN, PixelModel, at_pixel


class RasterLSTM(PixelModel):
    """The image as a sentence, pixel after pixel, read by a plain LSTM: the pixel above is W steps ago."""

    def build(self, words, features, depth):
        self.embed = nn.Linear(words, features, bias=False)
        self.lstm = nn.LSTM(features, features, depth, batch_first=True)

    def context(self, words):
        H, W = words.shape[2:]
        sentence = F.pad(words.flatten(2), (1, 0))[..., :-1].transpose(1, 2)  # (B, H·W, C·V), shifted by one
        h, _ = self.lstm(self.embed(sentence) + self.place.flatten(1).T)
        return h.transpose(1, 2).unflatten(2, (H, W))

    def memory(self, features, height, width):
        """`hidden` and `cell`."""
        return (features,), (features,)

    def context_at(self, i, j, words, hidden, cell):
        row, column = divmod(i * self.config.width + j - 1, self.config.width)  # the pixel before: a blank one at first
        x = self.embed(words[:, :, row + MARGIN, column + MARGIN]) + self.place[:, i, j]
        state = hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous()
        h, state = self.lstm(x[:, None], state)
        for memory, new in zip((hidden, cell), state, strict=True):
            memory.copy_(new.transpose(0, 1))
        return h[:, 0]


class RowLSTM(PixelModel):
    """Row after row, all pixels of a row at once; van den Oord et al. (2016), section 3.1.

    The state comes from the row above, and sees a triangle of the image. In its own row a pixel sees to the left as far
    as masked convolutions reach.
    """

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, FIRST, "A")
        self.input_to_state = nn.ModuleList(MaskedConv2d(features, 4 * features, (1, 3), "B") for _ in range(depth))
        self.state_to_state = nn.ModuleList(nn.Conv1d(features, 4 * features, 3, padding=1) for _ in range(depth))
        self.out = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(depth))

    def context(self, words):
        x = self.first(words) + self.place
        for to_gates, from_above, out in zip(self.input_to_state, self.state_to_state, self.out, strict=True):
            h = cell = torch.zeros_like(x[:, :, 0])  # (B, F, W)
            rows = []
            for gates in to_gates(x).unbind(2):  # (B, 4F, W)
                h, cell = lstm(gates + from_above(h), cell)
                rows.append(h)
            x = x + out(torch.stack(rows, 2))
        return x

    def memory(self, features, height, width):
        """A row's `inputs`, `hidden` and `cell`, each in the place of that above it, and `gates`, what that says."""
        return (features, width + 2), (features, width), (features, width), (4 * features, width)

    def context_at(self, i, j, words, inputs, hidden, cell, gates):
        if j == 0:
            inputs.zero_()
            for d, from_above in enumerate(self.state_to_state):
                gates[:, d] = from_above(hidden[:, d])
        x = at_pixel(self.first, words, i, j) + self.place[:, i, j]
        for d, (to_gates, out) in enumerate(zip(self.input_to_state, self.out, strict=True)):
            inputs[:, d, :, j + 1] = x
            new = at_point(to_gates, inputs[:, d, :, j : j + 3]) + gates[:, d, :, j]
            hidden[:, d, :, j], cell[:, d, :, j] = lstm(new, cell[:, d, :, j])
            x = x + at_point(out, hidden[:, d, :, j])
        return x


class DiagonalLayer(nn.Module):
    """Two LSTMs over the anti-diagonals, one from each upper corner; van den Oord et al. (2016), section 3.2."""

    def __init__(self, features):
        super().__init__()
        bound = (3 * features) ** -0.5
        self.weight = nn.Parameter(torch.empty(2, 4 * features, 3 * features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(2, 4 * features, 1))
        self.out = nn.Conv2d(2 * features, features, 1)

    def forward(self, x):
        _, _, H, W = x.shape
        order = diagonals(H, W)[0].to(x.device)
        pixels = x.flatten(2).permute(1, 2, 0).contiguous()  # (F, H·W, B)
        mirrored = order // W * W + W - 1 - order % W  # the same rows, counted from the right
        both = torch.stack([pixels.index_select(1, order), pixels.index_select(1, mirrored)])
        h, _ = scan(both, None, self.weight, self.bias, H, W)
        right, left = h.index_select(2, order.argsort()).permute(0, 3, 1, 2).unflatten(3, (H, W))  # (B, F, H, W) each
        left = F.pad(left.flip(3), (0, 0, 1, 0))[:, :, :-1]  # one row down: beside it, the future is to the right
        return x + self.out(torch.cat([right, left], 1))

    def cell(self, direction, here, beside, above, memory):
        """One pixel of one direction: its features, the hidden vectors and the memory that arrive, (n, F) each."""
        gates = F.linear(torch.cat([here, beside, above], 1), self.weight[direction], self.bias[direction, :, 0])
        return lstm(gates, memory)


class DiagonalBiLSTM(PixelModel):
    """Along the diagonals from both upper corners: every pixel sees everything before it, and not a step further.

    For that, a blank column stands at the right of the image: as a cell sees what is before its own pixel, only a cell
    out there sees a row's last pixel. (Without it, as in the paper, all that follows in the next row does not.)
    """

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, FIRST, "A")
        self.layers = nn.ModuleList(DiagonalLayer(features) for _ in range(depth))

    def context(self, words):
        x = self.first(F.pad(words, (0, 1))) + F.pad(self.place, (0, 1))
        for layer in self.layers:
            x = layer(x)
        return x[..., :-1]

    def memory(self, features, height, width):
        """A row's `inputs`, hidden vectors from the `left`, each in the place of that above it, the `cell`, and the
        hidden vectors from the `right`, which are those of the row above.
        """
        return (features, width + 1), (features, width + 2), (features,), (features, width + 1)

    def context_at(self, i, j, words, inputs, left, cell, right):
        """From the left, cell after cell as the pixels come; from the right, a whole row once it is complete."""
        if j == 0:
            if i > 0:
                self.from_left(i - 1, self.config.width, words, inputs, left, cell, right)  # the blank column
                self.from_right(inputs, right)
            cell.zero_()
        return self.from_left(i, j, words, inputs, left, cell, right)

    def from_left(self, i, j, words, inputs, left, cell, right):
        x = at_pixel(self.first, words, i, j)
        if j < self.config.width:
            x = x + self.place[:, i, j]
        for d, layer in enumerate(self.layers):
            inputs[:, d, :, j] = x
            h, cell[:, d] = layer.cell(0, x, left[:, d, :, j], left[:, d, :, j + 1], cell[:, d])
            left[:, d, :, j + 1] = h  # its first column stays blank
            x = x + at_point(layer.out, torch.cat([h, right[:, d, :, j]], 1))
        return x

    def from_right(self, inputs, right):
        for d, layer in enumerate(self.layers):
            h = memory = torch.zeros_like(right[:, d, :, 0])
            for j in reversed(range(self.config.width + 1)):
                h, memory = layer.cell(1, inputs[:, d, :, j], h, right[:, d, :, j], memory)
                right[:, d, :, j] = h


class GridLSTM(PixelModel):
    """A memory for each of three dimensions, along the row, down the column and through the layers.

    Kalchbrenner, Danihelka and Graves (2015), section 3. A cell reads the hidden vectors that arrive from the left,
    from above and from the layer below, all three together, and passes on three, each with a memory of its own.
    """

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, 3, "A")
        bound = (3 * features) ** -0.5
        self.weight = nn.Parameter(torch.empty(depth, 12 * features, 3 * features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(depth, 12 * features, 1))
        self.out = nn.Conv2d(features, features, 1)

    def context(self, words):
        return self.scan(self.first(words) + self.place)

    def scan(self, x):
        """x (B, F, H, W), what enters at the bottom -> (B, F, H, W), what leaves the last layer upwards."""
        _, _, H, W = x.shape
        order = diagonals(H, W)[0].to(x.device)
        h = x.flatten(2).permute(1, 2, 0).index_select(1, order)[None]  # (1, F, H·W, B)
        m = torch.zeros_like(h)
        for weight, bias in zip(self.weight, self.bias, strict=True):
            h, m = scan(h, m, weight[None], bias[None], H, W)
        h = h[0].index_select(1, order.argsort()).permute(2, 0, 1).unflatten(2, (H, W))
        return x + self.out(h)

    def memory(self, features, height, width):
        """What comes from the `left` and, for each column, from `above`: hidden and memory."""
        return (2, features), (2, features, width)

    def context_at(self, i, j, words, left, above):
        if j == 0:
            left.zero_()
        x = at_pixel(self.first, words, i, j) + self.place[:, i, j]
        below = torch.stack([x, torch.zeros_like(x)], 1)
        for d in range(self.config.depth):
            left[:, d], above[:, d, :, :, j], below = self.cell(d, left[:, d], above[:, d, :, :, j], below)
        return x + at_point(self.out, below[:, 0])

    def cell(self, layer, *states):
        """Three states (n, 2, F), hidden and memory, from the left, above and below -> the three that it passes on."""
        left, above, below = (h for h, _ in map(lambda state: state.unbind(1), states))
        gates = F.linear(torch.cat([below, left, above], 1), self.weight[layer], self.bias[layer, :, 0])
        h, m = lstm(gates, torch.cat([state[:, 1] for state in states], 1))
        return torch.stack([h.unflatten(1, (3, -1)), m.unflatten(1, (3, -1))], 2).unbind(1)
