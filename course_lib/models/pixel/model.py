"""What all models that paint pixel after pixel have in common: the words in, the colours out, likelihood and brush."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ...decode import State, draw, write
from ...expect import expect_bools, expect_count, expect_levels, expect_tensor
from ...layers import ColourHead, at_point, initialised_by
from ...prob import categorical_log_prob

FIRST = 7  # the size of the first layer's kernel; van den Oord et al. (2016), table 1
MARGIN = 4  # blank pixels around a canvas, as far as any kernel looks: nobody has to ask where the border is


@dataclass(frozen=True)
class PixelConfig:
    """Images (C, H, W) of `levels` V, and a model with `features` numbers a pixel and `depth` layers.

    Depth 0 is for the PixelCNN alone: its first filter and the head.
    """

    levels: int = 17
    channels: int = 1
    height: int = 8
    width: int = 8
    features: int = 32
    depth: int = 2

    def __post_init__(self):
        sizes = self.channels, self.height, self.width, self.features
        whole = all(isinstance(size, int) for size in (self.levels, *sizes, self.depth))
        if not whole or self.levels < 2 or min(sizes) < 1 or self.depth < 0:
            raise ValueError(
                f"expected whole numbers, levels ≥ 2 (one colour needs no model), sizes ≥ 1, depth ≥ 0, got {self}"
            )


class PixelModel(nn.Module):
    """x (B, C, H, W) long -> logits (B, C, H, W, V), each given the pixels before it, row by row from the left.

    A model makes its layers in `build` and says in `context` what it makes of all pixels before each, from words
    (B, C·V, H, W) to (B, F, H, W). In `context_at` it says the same of one pixel (n, F), and keeps what the next ones
    will need in tensors (n, depth, …), which start as zeros: `memory` gives the sizes. Raises ValueError for a depth
    below `least_depth`.
    """

    least_depth = 1

    def __init__(self, config: PixelConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        expect_count(f"depth of a {type(self).__name__}", c.depth, self.least_depth)
        with initialised_by(generator):
            self.place = nn.Parameter(torch.zeros(c.features, c.height, c.width))  # every pixel knows where it is
            self.build(c.channels * c.levels, c.features, c.depth)
            self.head = ColourHead(c.features, c.levels, c.channels)

    def words(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W) long -> (B, C·V, H, W): each value as a word, all zeros but for one 1."""
        return F.one_hot(x, self.config.levels).movedim(-1, 2).flatten(1, 2).to(self.place.dtype)

    def forward(self, x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, C, H, W) long -> logits (B, C, H, W, V); pixels where `seen` (B, 1, H, W) is false are left blank.

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
        return categorical_log_prob(self(x), x)

    def begin(self, n: int) -> State:
        """The state of `n` blank images: what number comes next, the canvas of words, the context, and the memory."""
        zeros, c = self.place.new_zeros, self.config
        at = torch.zeros(n, dtype=torch.long, device=self.place.device)
        canvas = zeros(n, c.channels * c.levels, c.height + 2 * MARGIN, c.width + 2 * MARGIN)
        memory = [zeros(n, c.depth, *sizes) for sizes in self.memory(c.features, c.height, c.width)]
        return State((at, canvas, zeros(n, c.features), *memory))

    def step(self, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One number on: `previous` (n,) long, None before the first -> logits (n, V) of the next, and the new state.

        They come row by row from the left, and the channels of a pixel one after the other: (n, H·W·C).
        """
        (at, canvas, h, *memory), c = state, self.config
        t = int(at[0])
        if previous is not None:
            i, j, k = self._where(t - 1)
            canvas[:, k * c.levels : (k + 1) * c.levels, i + MARGIN, j + MARGIN].scatter_(1, previous[:, None], 1)
        i, j, k = self._where(t)
        if k == 0:
            h = self.context_at(i, j, canvas, *memory)
        words = canvas[:, :, i + MARGIN, j + MARGIN]
        logits = self.head(h[..., None, None], words[..., None, None])[:, k, 0, 0]
        return logits, State((at + 1, canvas, h, *memory))

    def _where(self, t):
        """The row, column and channel that are written at step t."""
        pixel, k = divmod(t, self.config.channels)
        return *divmod(pixel, self.config.width), k

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
        expect_count("n", n)
        if (given is None) != (known is None):
            raise ValueError("expected given= (the pixels) together with known= (true where they are kept), got one")
        c = self.config
        x = write(
            self,
            n,
            c.height * c.width * c.channels,
            choose=lambda logits, t: draw(logits, generator=generator, temperature=temperature),
            given=self._in_order("given", given, n),
            known=self._in_order("known", known, n),
            progress="painting" if progress else None,
        )
        return x.unflatten(1, (c.height, c.width, c.channels)).movedim(-1, 1).contiguous()

    def _in_order(self, name, image, n):
        """What broadcasts to (n, C, H, W), in the order of `step`: (n, H·W·C). None stays None."""
        if image is None:
            return None
        expect_tensor(name, image)
        size = n, self.config.channels, self.config.height, self.config.width
        shape = (1,) * (4 - image.ndim) + tuple(image.shape)
        if len(shape) > 4 or any(s not in (1, full) for s, full in zip(shape, size, strict=True)):
            raise ValueError(f"{name}: expected a shape that broadcasts to {size}, got {tuple(image.shape)}")
        return image.expand(size).movedim(1, -1).flatten(1)


def at_pixel(conv: nn.Module, canvas: torch.Tensor, i: int, j: int) -> torch.Tensor:
    """A convolution at pixel (i, j) of a canvas (n, F, …) -> (n, F'). What is not there yet is 0, and needs no mask."""
    rows, columns = conv.kernel_size
    i, j = i + MARGIN - rows // 2, j + MARGIN - columns // 2
    return at_point(conv, canvas[:, :, i : i + rows, j : j + columns])
