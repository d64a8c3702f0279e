"""The variational autoencoder: a decoder with a prior over its codes, and a bound on log p(x) to train it with."""

from dataclasses import dataclass
from math import pi, prod

import torch
import torch.nn.functional as F
from torch import nn

from ..decode import draw
from ..expect import expect_count, expect_floats, expect_levels, expect_one_of
from ..layers import ResidualMLP, initialised_by
from ..prob import bernoulli_log_prob, categorical_log_prob, gaussian_kl, gaussian_log_prob, log_mean_exp

AT_ONCE = 4000  # codes in one pass of the decoder, however many samples a bound asks for
LIKELIHOODS = ("categorical", "bernoulli", "gaussian")


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a VAE for observations of `shape`, images (C, H, W) or anything else.

    `latent` is Z; `features` and `depth` are those of the hidden layers, each side; `dropout` is a share of the
    encoder's inputs and of all hidden features. `likelihood` says what p(x | z) is: "categorical" (x long, 0 …
    `levels` − 1), "bernoulli" (x long, 0 or 1) or "gaussian" (x floating-point, one learnt variance for all).
    With `tones` T, the categorical's logits are mixed from T curves over the levels that all pixels share; with 0,
    every level of every pixel has an output of its own. `classes` > 0 makes the VAE conditional on y (B,) long.
    """

    shape: tuple[int, ...] = (1, 8, 8)
    likelihood: str = "categorical"
    levels: int = 17
    tones: int = 3
    latent: int = 16
    features: int = 128
    depth: int = 2
    dropout: float = 0.0
    classes: int = 0

    def __post_init__(self):
        expect_one_of("likelihood", self.likelihood, LIKELIHOODS)
        if min(*self.shape, self.latent, self.features) < 1 or min(self.depth, self.tones, self.classes) < 0:
            raise ValueError(f"expected sizes ≥ 1, and depth, tones and classes ≥ 0, got {self}")
        if not 0 <= self.dropout < 1 or self.levels < 2:
            raise ValueError(f"expected dropout from 0 to below 1 and levels ≥ 2, got {self.dropout}, {self.levels}")


def rsample(mu: torch.Tensor, log_var: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One draw from N(μ, σ²), moved by gradients as μ and σ are: mu, log_var (…) -> (…).

    Source: Kingma and Welling (2014), section 2.4, the reparameterisation trick.
    """
    noise = torch.empty_like(mu).normal_(generator=generator)
    return mu + (log_var / 2).exp() * noise


class VAE(nn.Module):
    """p(x) = ∫ N(z; 0, 1) p(x | z) dz, trained with q(z | x) = N(μ(x), σ²(x)); Kingma and Welling (2014).

    There is no `log_prob`: the integral has no closed form. `elbo` is below it, and `log_prob_bound` nearer.
    """

    def __init__(self, config: VAEConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        D = prod(c.shape)
        levels = c.likelihood == "categorical"
        outputs = (c.tones or c.levels) if levels else 1
        with initialised_by(generator):
            self.hide = nn.Dropout(c.dropout)
            self.encoder_net = ResidualMLP(D + c.classes, c.features, c.depth, 2 * c.latent, c.dropout)
            self.decoder_net = ResidualMLP(c.latent + c.classes, c.features, c.depth, outputs * D, c.dropout)
            if levels and c.tones:
                waves = [torch.linspace(0, (k + 1) * pi, c.levels).cos() for k in range(c.tones)]
                self.tone = nn.Parameter(torch.stack(waves))  # smooth at first, and free
                self.base = nn.Parameter(torch.zeros(c.levels, *c.shape))  # how often a pixel has a level at all
            if c.likelihood == "gaussian":
                self.log_var = nn.Parameter(torch.zeros(()))

    def encoder(self, x: torch.Tensor, y: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, …), y (B,) long if conditional -> mu, log_var (B, Z) of q(z | x). Raises TypeError or ValueError."""
        self._expect(x)
        weight = self.encoder_net[0].weight
        x = x.flatten(1).to(weight.dtype)
        if self.config.likelihood != "gaussian":
            x = 2 * x / (self._levels - 1) - 1  # −1 … 1, where a network starts best
        return self.encoder_net(self._with_class(self.hide(x), y)).to(weight.dtype).chunk(2, 1)

    def decoder(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """z (B, Z), y (B,) long if conditional -> logits of p(x | z), (B, V, …); Bernoulli (B, …).

        For the Gaussian it is the mean (B, …). Raises TypeError or ValueError for other codes or classes.
        """
        c = self.config
        expect_floats("z", z, ("B", c.latent))
        out = self.decoder_net(self._with_class(z, y))
        if c.likelihood != "categorical":
            return out.view(-1, *c.shape)
        if not c.tones:
            return out.view(-1, c.levels, *c.shape)
        return torch.einsum("btd,tv->bvd", out.unflatten(1, (c.tones, -1)), self.tone).unflatten(2, c.shape) + self.base

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """What it makes of x: x (B, …) -> the decoder's logits at the mean of q(z | x)."""
        return self.decoder(self.encoder(x, y)[0], y)

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, …), z (B, Z) -> log p(x | z) (B,), nats."""
        logits = self.decoder(z, y)
        if self.config.likelihood == "gaussian":
            return gaussian_log_prob(logits, self.log_var, x)
        return (bernoulli_log_prob if self.config.likelihood == "bernoulli" else categorical_log_prob)(logits, x)

    def bound_terms(
        self, x: torch.Tensor, generator: torch.Generator, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, …) -> log p(x | z) at one z ~ q(z | x), and KL( q(z | x) ‖ p(z) ): (B,) nats each."""
        mu, log_var = self.encoder(x, y)
        return self.log_likelihood(x, rsample(mu, log_var, generator), y), gaussian_kl(mu, log_var)

    def elbo(self, x: torch.Tensor, generator: torch.Generator, y: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, …) -> (B,) nats, in the mean at most log p(x). Source: Kingma and Welling (2014), equation 10."""
        log_px, kl = self.bound_terms(x, generator, y)
        return log_px - kl

    def log_prob_bound(
        self, x: torch.Tensor, samples: int, generator: torch.Generator, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """x (B, …) -> log of the mean of `samples` importance weights p(x, z) / q(z | x), (B,) nats.

        In the mean over `generator` it grows with `samples` from the ELBO towards log p(x), and never passes it.
        Raises ValueError for samples < 1. Source: Burda, Grosse and Salakhutdinov (2016), equation 8.
        """
        expect_count("samples", samples)
        (mu, log_var), log_w = self.encoder(x, y), []
        at_once = max(1, AT_ONCE // max(1, len(x)))
        for s in [at_once] * (samples // at_once) + [samples % at_once] * (samples % at_once > 0):
            wide = [t if t is None else t.repeat(s, *[1] * (t.ndim - 1)) for t in (mu, log_var, x, y)]
            z = rsample(*wide[:2], generator)
            nothing = torch.zeros_like(z)
            log_w.append(
                self.log_likelihood(wide[2], z, wide[3])
                + gaussian_log_prob(nothing, nothing, z)
                - gaussian_log_prob(*wide[:2], z)
            )
        return log_mean_exp(torch.cat(log_w).unflatten(0, (samples, len(x))))

    @torch.no_grad()
    def sample(
        self, n: int, *, generator: torch.Generator, mean: bool = False, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Draw n codes from the prior, and from each an observation: (n, …), of the class y (n,) if conditional.

        With `mean`, the last draw is left out: every pixel has its likeliest value. Raises ValueError for n < 1.
        """
        expect_count("n", n)
        weight = self.decoder_net[0].weight
        z = torch.empty(n, self.config.latent, dtype=weight.dtype, device=weight.device).normal_(generator=generator)
        return self.observe(z, generator=None if mean else generator, y=y)

    @torch.no_grad()
    def observe(
        self, z: torch.Tensor, *, generator: torch.Generator | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Draw x ~ p(x | z), z (n, Z) -> (n, …); without a generator, every pixel's likeliest value."""
        logits = self.decoder(z, y)
        if self.config.likelihood == "gaussian":
            noise = 0 if generator is None else torch.empty_like(logits).normal_(generator=generator)
            return logits + (self.log_var / 2).exp() * noise
        if self.config.likelihood == "bernoulli":  # ink, or no ink
            logits = torch.stack([torch.zeros_like(logits), logits], 1)
        if generator is None:
            return logits.argmax(1)
        rows = logits.movedim(1, -1)  # (n, …, V)
        return draw(rows.flatten(0, -2), generator=generator).view(rows.shape[:-1])

    @property
    def _levels(self):
        return self.config.levels if self.config.likelihood == "categorical" else 2

    def _expect(self, x):
        """Raises where x is no batch of observations: TypeError or ValueError."""
        if self.config.likelihood == "gaussian":
            expect_floats("x", x, ("B", *self.config.shape))
        else:
            expect_levels("x", x, ("B", *self.config.shape), self._levels)

    def _with_class(self, inputs, y):
        """inputs (B, …) and, if conditional, a 1 for the class beside them; ValueError where y does not suit."""
        classes = self.config.classes
        if (y is None) != (classes == 0):
            raise ValueError(f"y: this VAE knows {classes} classes, and got {'none' if y is None else 'some'} to go by")
        if y is None:
            return inputs
        expect_levels("y", y, (len(inputs),), classes)
        return torch.cat([inputs, F.one_hot(y, classes).to(inputs.dtype)], 1)
