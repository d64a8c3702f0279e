"""Recurrent networks that paint: along the raster, by rows, by diagonals, and on a grid with three memories."""

import torch
import torch.nn.functional as F
from torch import nn

from ...fast.diagonals import diagonals, lstm, scan
from ...layers import MaskedConv2d
from .model import PixelModel, Walk, at_pixel

FIRST = 7  # the size of the first layer's kernel; van den Oord et al. (2016), table 1


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

    def walk(self, n: int) -> Walk:
        words, state = self.place.new_zeros(n, self.embed.in_features), None
        for place in self.place.flatten(1).T:
            h, state = self.lstm((self.embed(words) + place)[:, None], state)
            words = yield h[:, 0]


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

    def walk(self, n: int) -> Walk:
        c = self.config
        first, words = at_pixel(self.first), self.place.new_zeros(n, c.channels * c.levels, c.height, c.width)
        to_gates = [at_pixel(conv) for conv in self.input_to_state]
        inputs = [self.place.new_zeros(n, c.features, 1, c.width) for _ in range(c.depth)]
        above = [self.place.new_zeros(2, n, c.features, c.width) for _ in range(c.depth)]  # hidden and cell
        for i in range(c.height):
            gates = [conv(h) for conv, (h, _) in zip(self.state_to_state, above, strict=True)]
            for j in range(c.width):
                x = first(words, i, j) + self.place[:, i, j]
                for d in range(c.depth):
                    inputs[d][:, :, 0, j] = x
                    g = to_gates[d](inputs[d], 0, j) + gates[d][:, :, j]
                    h, cell = lstm(g, above[d][1, :, :, j])
                    above[d][0, :, :, j], above[d][1, :, :, j] = h, cell  # the gates have read what was there
                    x = x + F.linear(h, self.out[d].weight[:, :, 0, 0], self.out[d].bias)
                words[:, :, i, j] = yield x


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

    def cell(self, direction, here, beside, above):
        """One pixel of one direction: its features (n, F) and two states, (hidden, cell) (n, F) each -> its state."""
        gates = F.linear(torch.cat([here, beside[0], above[0]], 1), self.weight[direction], self.bias[direction, :, 0])
        return lstm(gates, beside[1])


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

    def walk(self, n: int) -> Walk:
        """From the left, cell after cell as the pixels come; from the right, a whole row once it is complete."""
        c = self.config
        first, words = at_pixel(self.first), self.place.new_zeros(n, c.channels * c.levels, c.height, c.width)
        zero, places = self.place.new_zeros(n, c.features), F.pad(self.place, (0, 1))
        row = [(zero, zero)] * (c.width + 1)
        from_left, from_right = [row] * c.depth, [row] * c.depth  # of each layer: (hidden, cell) along the row above
        for i in range(c.height):
            inputs = [[] for _ in self.layers]
            here = [[(zero, zero)] for _ in self.layers]  # one more at the front: left of the image is nothing
            for j in range(c.width + 1):
                x = first(words, i, j) + places[:, i, j]
                for d, layer in enumerate(self.layers):
                    inputs[d].append(x)
                    here[d].append(layer.cell(0, x, here[d][-1], from_left[d][j]))
                    both = torch.cat([here[d][-1][0], from_right[d][j][0]], 1)
                    x = x + F.linear(both, layer.out.weight[:, :, 0, 0], layer.out.bias)
                if j < c.width:
                    words[:, :, i, j] = yield x
            for d, layer in enumerate(self.layers):
                beside, states = (zero, zero), []
                for x, above in zip(reversed(inputs[d]), reversed(from_right[d]), strict=True):
                    beside = layer.cell(1, x, beside, above)
                    states.append(beside)
                from_left[d], from_right[d] = here[d][1:], states[::-1]


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

    def walk(self, n: int) -> Walk:
        c = self.config
        first, words = at_pixel(self.first), self.place.new_zeros(n, c.channels * c.levels, c.height, c.width)
        zero = self.place.new_zeros(n, c.features)
        above = [[(zero, zero)] * c.width] * c.depth  # of each layer: (hidden, memory) that come down each column
        for i in range(c.height):
            left = [(zero, zero)] * c.depth
            here = [[] for _ in above]
            for j in range(c.width):
                x = first(words, i, j) + self.place[:, i, j]
                below = x, zero
                for d in range(c.depth):
                    left[d], down, below = self.cell(d, left[d], above[d][j], below)
                    here[d].append(down)
                words[:, :, i, j] = yield x + F.linear(below[0], self.out.weight[:, :, 0, 0], self.out.bias)
            above = here

    def cell(self, layer, *states):
        """Three states (hidden, memory) (n, F) each, from the left, above and below -> the three that it passes on."""
        left, above, below = (h for h, _ in states)
        gates = F.linear(torch.cat([below, left, above], 1), self.weight[layer], self.bias[layer, :, 0])
        h, m = lstm(gates, torch.cat([m for _, m in states], 1))
        return list(zip(h.chunk(3, 1), m.chunk(3, 1), strict=True))
