"""The Video Pixel Network: every pixel given all frames before its own and, in its own, the pixels before it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ...decode import State, draw, write
from ...expect import expect_count, expect_generator, expect_levels
from ...layers import ColourHead, MaskedConv2d, at_point, initialised_by
from ...prob import categorical_log_prob
from .blocks import Block, ConvLSTM, backward, spread

MARGIN = 2  # blank pixels around a canvas, as far as the decoder's first layer looks
# The past begins as loud as a frame's own pixels. Where it is quieter, a network trained at a high rate may learn to do
# without it, and stay there.
LOUD = 8


@dataclass(frozen=True)
class VPNConfig:
    """Videos (T, C, H, W) of `levels` V, T being free, and a network with `features` numbers a pixel, even.

    The encoder has a block for each number in `encoder`, its dilation; `decoder` is how many the decoder has. Blocks
    are `multiplicative`, or else plain residual blocks with as many convolutions, whose kernels are a quarter the size.
    """

    levels: int = 2
    channels: int = 1
    height: int = 12
    width: int = 12
    features: int = 16
    encoder: tuple[int, ...] = (1, 2)
    decoder: int = 2
    multiplicative: bool = True

    def __post_init__(self):
        for name in ("channels", "height", "width", "features"):
            expect_count(name, getattr(self, name))
        expect_count("levels", self.levels, 2)
        expect_count("decoder", self.decoder, 0)
        for dilation in self.encoder:
            expect_count("encoder, a dilation", dilation)
        if self.features % 2:
            raise ValueError(f"features: expected an even number, of which a block takes half, got {self.features}")


class VideoModel(nn.Module):
    """x (B, T, C, H, W) long, T ≥ 2 -> logits (B, T, C, H, W, V), each given all frames before its own.

    Frames are encoded one by one, and a ConvLSTM goes over them. What a frame's pixels know of each other, `build` and
    `decode` say, and `decode_at` says the same of one pixel, with tensors (n, …) of the sizes in `memory`, which are
    zeros when a frame begins, and are lent to it. Raises TypeError or ValueError for other videos.
    """

    def __init__(self, config: VPNConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.place = nn.Parameter(torch.zeros(c.features, c.height, c.width))  # every pixel knows where it is
            self.first = nn.Conv2d(c.channels * c.levels, c.features, 3, padding=1)
            self.encoder = nn.Sequential(*(self.block(spread(dilation)) for dilation in c.encoder))
            self.lstm = ConvLSTM(c.features)
            self.tell = nn.Conv2d(c.features, c.features, 1)
            with torch.no_grad():
                self.tell.weight.mul_(LOUD)
            self.build(c.channels * c.levels)

    def block(self, look):
        return Block(self.config.features, look, self.config.multiplicative)

    def words(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T, C, H, W) long -> (B, T, C·V, H, W): each value as a word, all zeros but for one 1."""
        return F.one_hot(x, self.config.levels).movedim(-1, 3).flatten(2, 3).to(self.place.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c = self.config
        expect_levels("x", x, ("B", "T", c.channels, c.height, c.width), c.levels)
        expect_count("frames of x", x.shape[1], 2)
        return self.logits(self.words(x))

    def logits(self, words: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, from words (B, T, C·V, H, W), which may also be shares, such as 0.3 of ink."""
        told, _ = self.context(words[:, :-1])
        return self.decode(told.flatten(0, 1), words.flatten(0, 1)).unflatten(0, words.shape[:2])

    def context(self, words):
        """What the decoder is told of each frame, and of one more, (B, T + 1, F, H, W), and the ConvLSTM's last state.

        It is told of the frames before only: of the first, nothing.
        """
        state = 2 * (self.place.new_zeros(len(words), *self.place.shape),)
        hidden = [state[0]]
        for entering in self.encode(words.flatten(0, 1)).unflatten(0, words.shape[:2]).unbind(1):
            state = self.lstm(entering, *state)
            hidden.append(state[0])
        return torch.stack([self.telling(h) for h in hidden], 1), state

    def encode(self, words):  # (B, C·V, H, W) -> (B, F, H, W)
        return self.encoder(self.first(words) + self.place)

    def telling(self, hidden):
        return self.tell(hidden) + self.place

    def log_prob(self, x: torch.Tensor, *, by_frame: bool = False) -> torch.Tensor:
        """log p(x), exactly: x (B, T, C, H, W) long -> (B,) nats, or `by_frame` (B, T), each given those before it."""
        logits = self(x).flatten(0, 1)
        nats = categorical_log_prob(logits, x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return nats if by_frame else nats.sum(1)

    def begin(self, n: int, before: torch.Tensor | None = None) -> State:
        """The state at the first number of the frame that follows the frames `before` (n, T₀, C, H, W), or none.

        In it: what number comes next, the canvas of words, what is told, the ConvLSTM's two, and the memory.
        """
        c, zeros = self.config, self.place.new_zeros
        at = torch.zeros(n, dtype=torch.long, device=self.place.device)
        canvas = zeros(n, c.channels * c.levels, c.height + 2 * MARGIN, c.width + 2 * MARGIN)
        if before is None:
            lstm = 2 * (zeros(n, *self.place.shape),)
            told = self.telling(lstm[0])
        else:
            told, lstm = self.context(self.words(before.to(at.device)))
            told = told[:, -1]
        return State((at, canvas, told, *lstm, *(zeros(n, *sizes) for sizes in self.memory())))

    def step(self, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One number on: `previous` (n,) long, None before the first -> logits (n, V) of the next, and the new state.

        They come frame by frame, row by row from the left, and the channels of a pixel one after the other.
        """
        (at, canvas, told, *lstm), memory, c = list(state)[:5], list(state)[5:], self.config
        t, a_frame = int(at[0]), c.height * c.width * c.channels
        if previous is not None:
            i, j, k = self._where((t - 1) % a_frame)
            canvas[:, k * c.levels : (k + 1) * c.levels, i + MARGIN, j + MARGIN].scatter_(1, previous[:, None], 1)
        if t and t % a_frame == 0:  # a frame is complete: it is read, and the next begins on a blank canvas
            lstm = self.lstm(self.encode(canvas[..., MARGIN:-MARGIN, MARGIN:-MARGIN]), *lstm)
            told = self.telling(lstm[0])
            for kept in (canvas, *memory):
                kept.zero_()
        logits = self.decode_at(*self._where(t % a_frame), told, canvas, *memory)
        return logits, State((at + 1, canvas, told, *lstm, *memory))

    def _where(self, number):
        """The row, column and channel of a frame's number."""
        pixel, k = divmod(number, self.config.channels)
        return *divmod(pixel, self.config.width), k

    def sample(
        self,
        n: int,
        *,
        frames: int,
        generator: torch.Generator,
        given: torch.Tensor | None = None,
        temperature: float = 1.0,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` videos (n, frames, C, H, W) long, which begin with `given` (n, T₀, C, H, W), if any, 1 ≤ T₀ < frames.

        What frames say to the next ones is computed once a frame, and a pixel costs one pass through the decoder at
        that pixel. `temperature` is `decode.draw`'s. Raises TypeError and ValueError for what cannot be.
        """
        c = self.config
        expect_count("n", n)
        expect_count("frames", frames, 2)
        expect_generator(generator)
        known = 0
        if given is not None:
            expect_levels("given", given, (n, "T", c.channels, c.height, c.width), c.levels)
            known = given.shape[1]
            if not 0 < known < frames:
                raise ValueError(f"given: expected 1 to {frames - 1} frames, fewer than frames = {frames}, got {known}")
        x = write(
            self,
            n,
            (frames - known) * c.height * c.width * c.channels,
            choose=lambda logits, t: draw(logits, generator=generator, temperature=temperature),
            progress="drawing" if progress else None,
            before=given,
        )
        x = x.unflatten(1, (-1, c.height, c.width, c.channels)).movedim(-1, 2).contiguous()
        return x if given is None else torch.cat([given.to(x.device), x], 1)


class VideoPixelNetwork(VideoModel):
    """A PixelCNN for each frame, told of the frames before: no pixel is independent of another.

    Source: Kalchbrenner et al. (2016, Video Pixel Networks), section 3, with a ColourHead in the place of masks that
    tell colours apart.
    """

    def build(self, words):
        c = self.config
        self.look = MaskedConv2d(words, c.features, 2 * MARGIN + 1, "A")
        self.decoder = nn.Sequential(*(self.block(backward) for _ in range(c.decoder)))
        self.head = ColourHead(c.features, c.levels, c.channels)

    def decode(self, told, words):
        return self.head(F.relu(self.decoder(told + self.look(words))), words)

    def memory(self):
        """The pixel's features, and what enters each unit, in a margin of 1."""
        c = self.config
        return (c.features,), *2 * c.decoder * [(c.features // 2, c.height + 2, c.width + 2)]

    def decode_at(self, i, j, k, told, canvas, features, *entered):
        """Only what is new at the pixel is computed. What is not there yet is 0, and needs no mask."""
        if k == 0:
            h = told[..., i, j] + at_point(self.look, canvas[..., i : i + 2 * MARGIN + 1, j : j + 2 * MARGIN + 1])
            entered = iter(entered)
            for block in self.decoder:
                new = at_point(block.narrow, h)
                for unit, kept in zip(block.units, entered, strict=False):
                    kept[..., i + 1, j + 1] = new
                    new = unit.gated(new, at_point(unit.conv, kept[..., i : i + 3, j : j + 3]))
                h = h + at_point(block.widen, new)
            features.copy_(F.relu(h))
        words = canvas[..., i + MARGIN, j + MARGIN]
        return self.head(features[..., None, None], words[..., None, None])[:, k, 0, 0]


class IndependentPixels(VideoModel):
    """The baseline: it sees the same frames, and draws all pixels of the next one independently of each other.

    Its decoder is as large, and looks to all sides at what it is told, since there are no pixels to hide.
    Source: Kalchbrenner et al. (2016, Video Pixel Networks), section 5.1.
    """

    def build(self, words):
        self.decoder = nn.Sequential(*(self.block(spread(1)) for _ in range(self.config.decoder)))
        self.head = nn.Conv2d(self.config.features, words, 1)

    def decode(self, told, words):
        c = self.config
        return self.head(F.relu(self.decoder(told))).unflatten(1, (c.channels, c.levels)).movedim(2, -1)

    def memory(self):
        """The logits of the whole frame."""
        c = self.config
        return ((c.channels, c.height, c.width, c.levels),)

    def decode_at(self, i, j, k, told, canvas, logits):
        if i == j == k == 0:
            logits.copy_(self.decode(told, None))
        return logits[:, k, i, j].clone()  # the next frame is written into the same memory
