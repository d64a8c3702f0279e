"""Small blocks that several models share."""

from collections.abc import Callable
from contextlib import contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

FORGET_BIAS = 1.0  # Jozefowicz, Zaremba and Sutskever (2015), section 5: an LSTM that starts without one learns slower


@contextmanager
def initialised_by(generator: torch.Generator | None):
    """Layers made inside draw their first weights from `generator`; None leaves torch's global source in place.

    torch.nn's layers initialise themselves from the global source, so we lend it a seed and give it back untouched:
    building a model changes nobody else's random numbers.
    """
    if generator is None:
        yield
        return
    seed = torch.randint(2**31, (), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class MLP(nn.Sequential):
    """Linear layers with a SiLU, or another `bend`, between each two: (B, sizes[0]) -> (B, sizes[-1])."""

    def __init__(self, sizes: list[int], *, bend: type = nn.SiLU, linear: Callable = nn.Linear):
        layers = []
        for in_features, out_features in pairwise(sizes):
            layers += [linear(in_features, out_features), bend()]
        super().__init__(*layers[:-1])  # the last layer's output is free to be any number


class Residual(nn.Module):
    """h + a bent linear map of the normalised h: (B, F) -> (B, F); the sum lets gradients through, however deep.

    In training, `dropout` is the share of the addition that is left out. Source: He, Zhang, Ren and Sun (2016).
    """

    def __init__(self, features: int, dropout: float = 0.0):
        super().__init__()
        self.add = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, features), nn.SiLU(), nn.Dropout(dropout))

    def forward(self, h):
        return h + self.add(h)


class ResidualMLP(nn.Sequential):
    """(B, in_features) -> (B, out_features) by `depth` hidden layers, all but the first residual; depth 0 is linear."""

    def __init__(self, in_features: int, out_features: int, *, features: int, depth: int, dropout: float = 0.0):
        if depth == 0:
            super().__init__(nn.Linear(in_features, out_features))
            return
        first = [nn.Linear(in_features, features), nn.SiLU(), nn.Dropout(dropout)]
        more = [Residual(features, dropout) for _ in range(depth - 1)]
        super().__init__(*first, *more, nn.Linear(features, out_features))


def gate(x: torch.Tensor) -> torch.Tensor:
    """(B, 2F, …) -> (B, F, …): one half says what, the other how much of it."""
    what, how_much = x.chunk(2, 1)
    return what.tanh() * how_much.sigmoid()


class CausalConv1d(nn.Conv1d):
    """A convolution over time that looks back, at taps `dilation` steps apart: (B, in, T) -> (B, out, T).

    The last tap is at the step itself. Before the first step there are zeros. Source: van den Oord et al. (2016,
    WaveNet), sections 2.1 and 2.2.
    """

    def __init__(self, in_channels, out_channels, kernel_size, dilation=1):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)

    def forward(self, x):
        past = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (past, 0)))


class MaskedConv2d(nn.Conv2d):
    """A convolution that looks back, at the rows above and in its own row to the left: (B, in, H, W) -> (B, out, H, W).

    At the pixel itself, mask "A" sees nothing and "B" sees it. Where the features fall into `colours` equal groups, a
    group sees there the groups before it, and with "B" its own too. `kernel_size` is odd, or (rows, columns).
    Raises ValueError for other sizes. Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4.
    """

    def __init__(self, in_channels, out_channels, kernel_size, mask_type, colours=1):
        one = isinstance(kernel_size, int)
        rows, columns = (kernel_size, kernel_size) if one else kernel_size
        expect_mask(rows, columns, mask_type, colours, in_channels, out_channels)
        i, j = rows // 2, columns // 2  # the middle
        super().__init__(in_channels, out_channels, (rows, columns), padding=(i, j))
        groups = colours, out_channels // colours, colours, in_channels // colours
        mask = torch.zeros(*groups, rows, columns)
        mask[..., :i, :] = 1  # the rows above
        mask[..., i, :j] = 1  # to the left
        for k in range(colours):  # the pixel itself: the colours before this
            mask[k, :, : k + (mask_type == "B"), :, i, j] = 1
        mask = mask.flatten(2, 3).flatten(0, 1)  # (out_channels, in_channels, …)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):  # (B, in_channels, H, W) -> (B, out_channels, H, W)
        weight = self.weight * self.mask
        return F.conv2d(x, weight, self.bias, padding=self.padding)


def expect_mask(rows: int, columns: int, mask_type: str, colours: int, *channels: int) -> None:
    """A mask needs a middle, a type, and `channels` that the colours divide. Raises ValueError that says so."""
    middle = rows % 2 and columns % 2
    if not middle or mask_type not in ("A", "B") or any(count % colours for count in channels):
        raise ValueError(
            f"expected odd kernel sizes, mask 'A' or 'B', and channels that {colours} colours divide, "
            f"got {rows} × {columns}, {mask_type!r}, {' and '.join(map(str, channels))}"
        )


class ColourHead(nn.Module):
    """What came before (B, F, H, W) and the pixels themselves -> logits (B, C, H, W, V), one colour given those before.

    The pixels come as `words` (B, C·V, H, W). Red sees none of them, green sees red, blue sees both: a masked
    convolution of one pixel. Where there is only one channel, there is nothing to see.
    """

    def __init__(self, features, levels, channels):
        super().__init__()
        self.levels, self.channels = levels, channels
        self.before = nn.Conv2d(features, channels * features, 1)
        self.colours = MaskedConv2d(channels * levels, channels * features, 1, "A", channels) if channels > 1 else None
        self.out = nn.Conv2d(channels * features, channels * levels, 1, groups=channels)

    def forward(self, h, words):
        h = self.before(h) if self.colours is None else self.before(h) + self.colours(words)
        return self.out(F.relu(h)).unflatten(1, (self.channels, self.levels)).movedim(2, -1)


def at_point(conv: nn.Module, patch: torch.Tensor) -> torch.Tensor:
    """A convolution in one place: the patch (n, F, …) that its kernel covers there -> (n, F')."""
    return F.linear(patch.flatten(1), conv.weight.flatten(1), conv.bias)
