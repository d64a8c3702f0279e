"""The generative adversarial network: a generator that makes draws from noise, and a discriminator that judges them.

An image has levels, and no gradient passes through a choice between levels. So the generator makes a continuous image,
and that is what the discriminator is shown; only what is drawn, by `sample` and `observe`, is rounded. Where levels are
amounts, as of ink, a pixel is a number from −1 to 1. Where they are words, as the colours of a palette, which have no
order, it is a share for every level, and a real pixel is 1 at its own level.
"""

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ..expect import expect_count, expect_floats, expect_generator, expect_levels, expect_one_of, expect_tensor
from ..layers import MLP, initialised_by

PRIORS = ("normal", "uniform")


@dataclass(frozen=True)
class GANConfig:
    """What a game is about, and how large its two players are: one config for both.

    `shape` is that of an observation: (D,) numbers, or an image (C, H, W). It is floating-point, or, with `levels` V,
    long, 0 … V − 1; `palette` says that levels are words without an order. `latent` is Z; `prior` is that of z,
    "normal" or "uniform" from −1 to 1, each number by itself.

    `features` and `depth` are those of the hidden layers, each side. With `convolutional`, for images, `depth` is how
    often height and width are halved, and doubled, and each time `features` double. `packing` is how many observations
    the discriminator sees at once (Lin et al. 2018); `spectral` bounds how steep its layers are (Miyato et al. 2018).
    """

    shape: tuple[int, ...] = (2,)
    levels: int = 0
    palette: bool = False
    latent: int = 2
    prior: str = "normal"
    features: int = 64
    depth: int = 3
    convolutional: bool = False
    packing: int = 1
    spectral: bool = False

    def __post_init__(self):
        for name in ("latent", "features", "packing"):
            expect_count(name, getattr(self, name))
        expect_count("depth", self.depth, 0)
        expect_one_of("prior", self.prior, PRIORS)
        if not self.shape or min(self.shape) < 1 or self.levels < 0 or self.levels == 1:
            raise ValueError(f"expected sizes ≥ 1, and levels ≥ 2 or 0 for numbers, got {self.shape}, {self.levels}")
        if self.palette and not self.levels:
            raise ValueError("palette: expected with levels=, the number of its colours, got none")
        halves = 2**self.depth
        if self.convolutional and (len(self.shape) != 3 or self.shape[1] % halves or self.shape[2] % halves):
            raise ValueError(
                f"convolutional: expected images (C, H, W) that can be halved {self.depth} times, got {self.shape}"
            )

    @property
    def made(self) -> tuple[int, ...]:
        """The shape of what the generator makes, and the discriminator is shown: a palette's has its shares last."""
        return (*self.shape, self.levels) if self.palette else self.shape


class Generator(nn.Module):
    """z (B, Z) -> x (B, …): draws in one pass; Goodfellow et al. (2014). No probability: there is no `log_prob`."""

    def __init__(self, config: GANConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            if c.convolutional:
                self.net = _painter(c)
            else:
                self.net = _dense([c.latent, *[c.features] * c.depth, prod(c.made)])

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, Z) -> what it makes of it, which gradients pass: numbers (B, D), images (B, C, H, W) from −1 to 1.

        With a palette, the shares of all colours, (B, C, H, W, V). Raises TypeError or ValueError for another z.
        """
        c = self.config
        expect_floats("z", z, ("B", c.latent))
        dtype = next(self.parameters()).dtype
        out = self.net(z.to(dtype)).to(dtype)
        if c.palette:
            return out.view(-1, c.levels, *c.shape).softmax(1).movedim(1, -1)
        return out.view(-1, *c.shape).tanh() if c.levels else out.view(-1, *c.shape)

    def draw_z(self, n: int, *, generator: torch.Generator) -> torch.Tensor:
        """n draws of z from the prior, (n, Z). Raises TypeError or ValueError for no count and no generator."""
        expect_count("n", n)
        expect_generator(generator)
        z = next(self.parameters()).new_empty(n, self.config.latent)
        if self.config.prior == "uniform":
            return z.uniform_(-1, 1, generator=generator)
        return z.normal_(generator=generator)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> torch.Tensor:
        """n draws (n, …): numbers, or levels as long. Raises as `draw_z` does."""
        return self.observe(self.draw_z(n, generator=generator))

    @torch.no_grad()
    def observe(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, Z) -> the observations that it makes of it, (B, …): images rounded to the nearest level, long.

        Of a palette's colours, the one with the largest share. Raises as `forward` does.
        """
        c, made = self.config, self(z)
        if c.palette:
            return made.argmax(-1)
        return ((made + 1) * (c.levels - 1) / 2).round().long() if c.levels else made


class Discriminator(nn.Module):
    """x (B, …) -> logits (B,) of "x is real", of what is real and of what a generator makes.

    With `packing` m it judges each x together with the m − 1 after it in the batch, the first following on the last:
    all of them must be from one side. A generator that repeats itself gives itself away. Source: Lin, Khetan, Fanti and
    Oh (2018), section 3; their packs do not overlap, so that they need m times the batch.
    """

    def __init__(self, config: GANConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        linear, conv = (_bounded(nn.Linear), _bounded(nn.Conv2d)) if c.spectral else (nn.Linear, nn.Conv2d)
        with initialised_by(generator):
            if c.convolutional:
                self.net = _viewer(c, linear, conv)
            else:
                self.net = _dense([c.packing * prod(c.made), *[c.features] * c.depth, 1], linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, …), levels as long or what a generator made -> logits (B,). Raises as `inputs` does."""
        return self.logits(self.inputs(x))

    def inputs(self, x: torch.Tensor) -> torch.Tensor:
        """What it is shown of x (B, …): floats (B, packing, …), of levels too; gradients of x pass.

        Raises TypeError or ValueError for another x, and for fewer than `packing` in the batch.
        """
        c = self.config
        seen = self._seen(x)
        if len(x) < c.packing:
            raise ValueError(f"x: expected a batch of {c.packing} or more, which are judged together, got {len(x)}")
        return torch.stack([seen.roll(-k, 0) for k in range(c.packing)], 1)

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """`inputs` (B, packing, …) -> logits (B,)."""
        c = self.config
        expect_floats("inputs", inputs, ("B", c.packing, *c.made))
        if not c.convolutional:
            return self.net(inputs.flatten(1)).to(inputs.dtype)[:, 0]
        images = inputs.movedim(-1, 2) if c.palette else inputs  # (B, packing, …, H, W)
        return self.net(images.reshape(len(images), -1, *c.shape[1:])).to(inputs.dtype)[:, 0]

    def _seen(self, x):
        """x as a generator makes it: floats (B, …)."""
        c, dtype = self.config, next(self.parameters()).dtype
        expect_tensor("x", x)
        if not c.levels:
            expect_floats("x", x, ("B", *c.shape))
            return x.to(dtype)
        if not x.is_floating_point():
            expect_levels("x", x, ("B", *c.shape), c.levels)
            return F.one_hot(x, c.levels).to(dtype) if c.palette else 2 * x.to(dtype) / (c.levels - 1) - 1
        least = 0 if c.palette else -1
        if x.numel() and (x.min() < least or x.max() > 1):
            raise TypeError(
                f"x: expected levels as torch.long, got {x.dtype} from {x.min():.3g} to {x.max():.3g}; x.long() "
                f"converts whole numbers, and what a generator makes lies between {least} and 1"
            )
        expect_floats("x", x, ("B", *c.made))
        return x.to(dtype)


def _bounded(layer):
    """The layer with its weights divided by their largest singular value: it steepens nothing."""
    return lambda *sizes, **more: spectral_norm(layer(*sizes, **more))


def _dense(sizes, linear=nn.Linear):
    """Layers with ReLUs, whose kinks are sharp: a generator must tear modes apart, and SiLU leaves more in between."""
    return MLP(sizes, bend=nn.ReLU, linear=linear)


def _painter(c):
    """(B, Z) -> (B, channels, H, W): a small image of many features, doubled in size until it is large."""
    small, wide = [size // 2**c.depth for size in c.shape[1:]], c.features * 2**c.depth
    layers = [nn.Linear(c.latent, wide * prod(small)), nn.Unflatten(1, (wide, *small)), nn.ReLU()]
    for _ in range(c.depth):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(wide, wide // 2, 3, padding=1), nn.ReLU()]
        wide //= 2
    out = prod(c.made) // prod(c.shape[1:])
    return nn.Sequential(*layers, nn.Conv2d(wide, out, 3, padding=1))


def _viewer(c, linear, conv):
    """(B, channels, H, W) -> (B, 1): the other way round, by convolutions that step over every second pixel."""
    wide, seen = c.features, c.packing * prod(c.made) // prod(c.shape[1:])
    layers = [conv(seen, wide, 3, padding=1), nn.ReLU()]
    for _ in range(c.depth):
        layers += [conv(wide, 2 * wide, 4, stride=2, padding=1), nn.ReLU()]
        wide *= 2
    return nn.Sequential(*layers, nn.Flatten(), linear(wide * prod(c.shape[1:]) // 4**c.depth, 1))
