"""What all models that paint pixel after pixel have in common: the words in, the colours out, likelihood and brush."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ...decode import draw
from ...expect import expect_bools, expect_count, expect_levels, expect_tensor
from ...layers import MaskedConv2d, initialised_by
from ...prob import categorical_log_prob

Walk = Generator[torch.Tensor, torch.Tensor, None]  # yields contexts (n, F), is sent words (n, C·V)


@dataclass(frozen=True)
class PixelConfig:
    """Images (C, H, W) of `levels` V, and a model with `features` numbers a pixel and `depth` layers."""

    levels: int = 17
    channels: int = 1
    height: int = 8
    width: int = 8
    features: int = 32
    depth: int = 2

    def __post_init__(self):
        sizes = self.channels, self.height, self.width, self.features, self.depth
        if not all(isinstance(size, int) for size in (self.levels, *sizes)) or self.levels < 2 or min(sizes) < 1:
            raise ValueError(f"expected whole numbers, levels ≥ 2 (one colour needs no model), sizes ≥ 1, got {self}")


class ColourHead(nn.Module):
    """What came before (B, F, H, W) and the pixels themselves -> logits (B, V, C, H, W), one colour given those before.

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
        return self.out(F.relu(h)).unflatten(1, (self.channels, self.levels)).transpose(1, 2)


class PixelModel(nn.Module):
    """x (B, C, H, W) long -> logits (B, V, C, H, W), each given the pixels before it, row by row from the left.

    A model says in `context` what it makes of all pixels before each, (B, C·V, H, W) -> (B, F, H, W), and in `walk`
    the same pixel after pixel, carrying along what can be carried: next(walk) gives the context of the first pixel
    (n, F), walk.send(words of it, (n, C·V)) that of the second, and so on. `build` makes its layers.
    """

    def __init__(self, config: PixelConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.place = nn.Parameter(torch.zeros(c.features, c.height, c.width))  # every pixel knows where it is
            self.build(c.channels * c.levels, c.features, c.depth)
            self.head = ColourHead(c.features, c.levels, c.channels)

    def words(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W) long -> (B, C·V, H, W): each value as a word, all zeros but for one 1."""
        return F.one_hot(x, self.config.levels).movedim(-1, 2).flatten(1, 2).to(self.place.dtype)

    def forward(self, x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, C, H, W) long -> logits (B, V, C, H, W); pixels where `seen` (B, 1, H, W) is false are left blank.

        A blank pixel is still predicted, but those after it do without it: hiding a few at random in training keeps a
        model from knowing its training images by heart. Raises TypeError or ValueError for other images.
        """
        c = self.config
        expect_levels("x", x, ("B", c.channels, c.height, c.width), c.levels)
        words = self.words(x)
        if seen is None:
            return self.head(self.context(words), words)
        expect_bools("seen", seen)
        if seen.shape != (len(x), 1, c.height, c.width):
            raise ValueError(f"seen: expected shape {(len(x), 1, c.height, c.width)}, got {tuple(seen.shape)}")
        return self.head(self.context(words * seen), words)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = Σ log p(x_i | x_<i), exactly: x (B, C, H, W) long -> (B,) nats."""
        return categorical_log_prob(self(x).movedim(1, -1), x)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        generator: torch.Generator,
        given: torch.Tensor | None = None,
        known: torch.Tensor | None = None,
        temperature: float = 1.0,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` images (n, C, H, W) long; where `known` is true they keep what `given` has, and the rest is painted.

        `given` (long) and `known` (bool) broadcast to the images: (H, W) is one for all. A pixel is painted given the
        painted and known pixels *before* it, so what is known below it has no say. `temperature` is `decode.draw`'s.
        Raises ValueError for sizes that cannot be or one of the two without the other, TypeError for other tensors.
        """
        c, size = self.config, (n, self.config.channels, self.config.height, self.config.width)
        expect_count("n", n)
        given, known = self._given(given, known, size)
        x, walk = given.clone(), self.walk(n)
        h = next(walk)
        places = list(product(range(c.height), range(c.width)))
        for i, j in tqdm(places, desc="painting", unit="pixel", delay=2, disable=not progress):
            for k in range(c.channels):
                if not known[:, k, i, j].all():
                    words = self.words(x[:, :, i : i + 1, j : j + 1])
                    logits = self.head(h[:, :, None, None], words)[:, :, k, 0, 0]
                    chosen = draw(logits, generator=generator, temperature=temperature)
                    x[:, k, i, j] = torch.where(known[:, k, i, j], x[:, k, i, j], chosen)
            if (i, j) != places[-1]:
                h = walk.send(self.words(x[:, :, i : i + 1, j : j + 1])[:, :, 0, 0])
        return x

    def _given(self, given, known, size):
        """Both as tensors of the images' size on the model's device; where nothing is known, all false."""
        device = self.place.device
        if given is None and known is None:
            return torch.zeros(size, dtype=torch.long, device=device), torch.zeros(size, dtype=bool, device=device)
        if given is None or known is None:
            raise ValueError("expected given= (the pixels) together with known= (true where they are kept), got one")
        for name, tensor in {"given": given, "known": known}.items():
            expect_tensor(name, tensor)
            shape = (1,) * (4 - tensor.ndim) + tuple(tensor.shape)
            if len(shape) > 4 or any(s not in (1, full) for s, full in zip(shape, size, strict=True)):
                raise ValueError(f"{name}: expected a shape that broadcasts to {size}, got {tuple(tensor.shape)}")
        expect_bools("known", known)
        expect_levels("given", given.expand(size), size, self.config.levels)
        return given.expand(size).to(device), known.expand(size).to(device)


def at_pixel(conv: MaskedConv2d) -> Callable[[torch.Tensor, int, int], torch.Tensor]:
    """A masked convolution at one pixel: a function (x (n, F, H, W), i, j) -> (n, F'), with the weights of now."""
    up, left = (k // 2 for k in conv.kernel_size)
    weight, bias = (conv.weight * conv.mask)[:, :, : up + 1], conv.bias  # below, all is masked

    def look(x, i, j):
        a, b = min(i, up), min(j, left)
        patch = x[:, :, i - a : i + 1, j - b : j + left + 1]  # at the border it is smaller, and so are the weights
        used = weight[:, :, up - a :, left - b : left - b + patch.shape[3]]
        return F.linear(patch.flatten(1), used.flatten(1), bias)

    return look
