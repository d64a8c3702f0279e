"""What a Video Pixel Network is made of: gated units, blocks of them, and an LSTM in every pixel."""

import torch.nn.functional as F
from torch import nn

from ...layers import FORGET_BIAS, MaskedConv2d


class MultiplicativeUnit(nn.Module):
    """Three gates and an update, all from one convolution F -> 4F that is given: (B, F, H, W) -> (B, F, H, W).

    Source: Kalchbrenner et al. (2016, Video Pixel Networks), equation 5.
    """

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = conv

    def forward(self, h):
        return self.gated(h, self.conv(h))

    def gated(self, h, numbers):
        g1, g2, g3, update = numbers.chunk(4, 1)
        new = g2.sigmoid() * h + g3.sigmoid() * update.tanh()
        return g1.sigmoid() * new.tanh()


class PlainUnit(MultiplicativeUnit):
    """A convolution F -> F and a ReLU, in the place of the gates."""

    def gated(self, h, numbers):
        return F.relu(numbers)


class Block(nn.Module):
    """h + widen(unit(unit(narrow(h)))): (B, F, H, W) -> (B, F, H, W); Kalchbrenner et al. (2016), figure 2.

    `look` (in_channels, out_channels) makes the convolutions, masked or not.
    """

    def __init__(self, features: int, look, multiplicative: bool = True):
        super().__init__()
        half = features // 2
        unit, outputs = (MultiplicativeUnit, 4 * half) if multiplicative else (PlainUnit, half)
        self.narrow = nn.Conv2d(features, half, 1)
        self.units = nn.Sequential(unit(look(half, outputs)), unit(look(half, outputs)))
        self.widen = nn.Conv2d(half, features, 1)

    def forward(self, h):
        return h + self.widen(self.units(self.narrow(h)))


class ConvLSTM(nn.Module):
    """An LSTM in every pixel, whose gates see 3 × 3 pixels of what enters and of the state.

    One step: x and the state's two (B, F, H, W) -> the new two. Source: Shi et al. (2015), equation 3, without its
    peepholes.
    """

    def __init__(self, features: int):
        super().__init__()
        self.enter = nn.Conv2d(features, 4 * features, 3, padding=1)
        self.stay = nn.Conv2d(features, 4 * features, 3, padding=1, bias=False)

    def forward(self, x, hidden, cell):
        forget, input, output, candidate = (self.enter(x) + self.stay(hidden)).chunk(4, 1)
        cell = (forget + FORGET_BIAS).sigmoid() * cell + input.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell


def spread(dilation: int):
    """Convolutions that look to all sides, `dilation` pixels far, and keep the size."""
    return lambda i, o: nn.Conv2d(i, o, 3, padding=dilation, dilation=dilation)


def backward(in_channels: int, out_channels: int) -> nn.Module:
    """A convolution that looks back in the frame."""
    return MaskedConv2d(in_channels, out_channels, 3, "B")
