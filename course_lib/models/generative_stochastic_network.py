"""The generative stochastic network: learn to undo a small damage, then damage and repair, again and again."""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from ..expect import expect_count, expect_floats, expect_generator, expect_levels, expect_one_of
from ..layers import ResidualMLP, initialised_by
from ..prob import bernoulli_log_prob, gaussian_log_prob

LIKELIHOODS = ("bernoulli", "gaussian")


@dataclass(frozen=True)
class GSNConfig:
    """`shape` is that of an observation, long, 0 or 1 ("bernoulli"), or floating-point ("gaussian").

    `noise` is the damage: the share of the components that become fair coins, or the standard deviation of what is
    added to all of them. `features` and `depth` are those of the network that repairs.
    """

    shape: tuple[int, ...] = (64,)
    likelihood: str = "bernoulli"
    noise: float = 0.4
    features: int = 256
    depth: int = 2

    def __post_init__(self):
        expect_one_of("likelihood", self.likelihood, LIKELIHOODS)
        expect_count("features", self.features)
        expect_count("depth", self.depth, 0)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"shape: expected sizes ≥ 1, got {self.shape}")
        most = 1 if self.likelihood == "bernoulli" else float("inf")
        if not 0 < self.noise <= most:
            raise ValueError(f"noise: expected a number above 0 and at most {most}, got {self.noise}")


class GenerativeStochasticNetwork(nn.Module):
    """A chain: x is damaged, x̃ ~ C(x̃ | x), and drawn anew, x ~ p(x | x̃); where it settles is what it generates.

    Only p(x | x̃) is learnt, which is easy: it has few modes, and is Bernoulli or Gaussian here, with the network's
    means. Nothing has a `log_prob`: what the chain settles at is known by walking alone. All methods raise TypeError or
    ValueError for an x of another kind or shape. Source: Bengio, Laufer, Alain and Yosinski (2014).
    """

    def __init__(self, config: GSNConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        self.binary, size = c.likelihood == "bernoulli", prod(c.shape)
        with initialised_by(generator):
            self.net = ResidualMLP(size, size, features=c.features, depth=c.depth)
        if not self.binary:
            self.log_var = nn.Parameter(torch.zeros(()))  # of p(x | x̃), one for all

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A damaged x (B, …) -> the repair: logits of a 1, or the means of a Gaussian, (B, …)."""
        self._expect("x", x)
        dtype = next(self.parameters()).dtype
        inputs = x.flatten(1).to(dtype)
        return self.net(2 * inputs - 1 if self.binary else inputs).to(dtype).unflatten(1, self.config.shape)

    def log_likelihood(self, x: torch.Tensor, damaged: torch.Tensor) -> torch.Tensor:
        """log p(x | x̃): x and x̃ (B, …) -> (B,) nats."""
        self._expect("x", x)
        repair = self(damaged)
        return bernoulli_log_prob(repair, x) if self.binary else gaussian_log_prob(repair, self.log_var, x)

    @torch.no_grad()
    def damage(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """x̃ ~ C(x̃ | x): x (B, …) -> (B, …), of the same dtype."""
        self._expect("x", x)
        expect_generator(generator)
        if not self.binary:
            return x + self.config.noise * torch.empty_like(x).normal_(generator=generator)
        hit, coin = (torch.rand(x.shape, generator=generator, device=x.device) for _ in range(2))
        return torch.where(hit < self.config.noise, (coin < 0.5).long(), x)

    @torch.no_grad()
    def repair(self, damaged: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """x ~ p(x | x̃): x̃ (B, …) -> (B, …)."""
        expect_generator(generator)
        out = self(damaged)
        if self.binary:
            return (torch.empty_like(out).uniform_(generator=generator) < out.sigmoid()).long()
        return out + (self.log_var / 2).exp() * torch.empty_like(out).normal_(generator=generator)

    def loss(self, x: torch.Tensor, *, generator: torch.Generator, walkback: int = 0) -> torch.Tensor:
        """−log p(x | x̃), (B,) nats, for x̃ ~ C(x̃ | x): what training makes small. x (B, …).

        With `walkback` k, the mean over k + 1 damages: the chain walks on from x, and from each place the way back to x
        is learnt, so that it can return from where it strays to by itself. Raises ValueError for k < 0. Source: Bengio,
        Yao, Alain and Vincent (2013), algorithm 1, where chance says how far each walk goes.
        """
        expect_count("walkback", walkback, 0)
        damaged = [self.damage(x, generator=generator)]
        for _ in range(walkback):
            damaged.append(self.damage(self.repair(damaged[-1], generator=generator), generator=generator))
        return -torch.stack([self.log_likelihood(x, each) for each in damaged]).mean(0)

    @torch.no_grad()
    def sample(
        self, n: int, *, steps: int, generator: torch.Generator, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Where `n` chains are after `steps` times damage and repair: (n, …).

        They begin with fair coins, or with numbers from N(0, 1), or with `start` (n, …). Raises ValueError for n or
        steps < 1.
        """
        expect_count("n", n)
        expect_count("steps", steps)
        expect_generator(generator)
        x = self._noise(n, generator) if start is None else start
        self._expect("start", x, n)
        for _ in range(steps):
            x = self.repair(self.damage(x, generator=generator), generator=generator)
        return x

    def _noise(self, n, generator):
        like = next(self.parameters()).new_empty(n, *self.config.shape)
        if self.binary:
            return (like.uniform_(generator=generator) < 0.5).long()
        return like.normal_(generator=generator)

    def _expect(self, name, x, n="B"):
        if self.binary:
            expect_levels(name, x, (n, *self.config.shape), levels=2)
        else:
            expect_floats(name, x, (n, *self.config.shape))
