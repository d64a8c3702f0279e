"""The variational autoencoder: a decoder with a prior over its codes, and a bound on log p(x) to train it with."""

from dataclasses import dataclass
from math import pi, prod

import torch
import torch.nn.functional as F
from torch import nn

from ..decode import draw
from ..expect import expect_count, expect_floats, expect_generator, expect_levels, expect_one_of
from ..layers import ResidualMLP, initialised_by
from ..prob import bernoulli_log_prob, categorical_log_prob, gaussian_kl, gaussian_log_prob, log_mean_exp

AT_ONCE = 4000  # codes in one pass of the decoder, however many samples a bound asks for
Label = torch.Tensor | None  # the class of each observation, (B,) long, where a VAE is conditional


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


def rsample(mu: torch.Tensor, log_var: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """One draw from N(μ, σ²), moved by gradients as μ and σ are: mu, log_var (…) -> (…).

    Source: Kingma and Welling (2014), section 2.4, the reparameterisation trick.
    """
    expect_generator(generator)
    noise = torch.empty_like(mu).normal_(generator=generator)
    return mu + (log_var / 2).exp() * noise


class Likelihood(nn.Module):
    """p(x | z): which x it knows, the logits that `outputs` numbers a component make, their log_prob, their draws."""

    outputs = 1

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.shape = config.shape

    def logits(self, out):  # (B, outputs · D) -> (B, …)
        return out.unflatten(1, self.shape)


class Categorical(Likelihood):
    """Levels 0 … V − 1: logits (B, …, V), mixed from T tones, or, where T is 0, all the decoder's own."""

    log_prob = staticmethod(categorical_log_prob)

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.levels, self.tones = config.levels, config.tones
        self.outputs = self.tones or self.levels
        if self.tones:
            waves = [torch.linspace(0, (k + 1) * pi, self.levels).cos() for k in range(self.tones)]
            self.tone = nn.Parameter(torch.stack(waves))  # (T, V): smooth at first, and free
            self.base = nn.Parameter(torch.zeros(self.levels, *self.shape))  # how often a pixel has a level at all

    def expect(self, x):
        expect_levels("x", x, ("B", *self.shape), self.levels)

    def scaled(self, x):  # −1 … 1, where a network starts best
        return 2 * x / (self.levels - 1) - 1

    def logits(self, out):  # (B, outputs · D) -> (B, …, V)
        if self.tones:
            amounts = out.unflatten(1, (self.tones, -1))  # (B, T, D)
            logits = torch.einsum("btd,tv->bvd", amounts, self.tone).unflatten(2, self.shape) + self.base
        else:
            logits = out.unflatten(1, (self.levels, *self.shape))
        return logits.movedim(1, -1)

    def likeliest(self, logits):
        return logits.argmax(-1)

    def draw(self, logits, *, generator):
        return draw(logits.flatten(0, -2), generator=generator).view(logits.shape[:-1])


class Bernoulli(Likelihood):
    """Ink, 1, or paper, 0: logits (B, …), those of ink."""

    log_prob = staticmethod(bernoulli_log_prob)

    def expect(self, x):
        expect_levels("x", x, ("B", *self.shape), levels=2)

    def scaled(self, x):
        return 2 * x - 1

    def likeliest(self, logits):
        return (logits > 0).long()

    def draw(self, logits, *, generator):
        both = torch.stack([torch.zeros_like(logits), logits], -1)  # (B, …, 2)
        return draw(both.flatten(0, -2), generator=generator).view(logits.shape)


class Gaussian(Likelihood):
    """Any numbers: in the logits' place stand the means (B, …), and all share one variance, which is learnt."""

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.log_var = nn.Parameter(torch.zeros(()))

    def expect(self, x):
        expect_floats("x", x, ("B", *self.shape))

    def scaled(self, x):
        return x

    def log_prob(self, mean, x):
        return gaussian_log_prob(mean, self.log_var, x)

    def likeliest(self, mean):
        return mean

    def draw(self, mean, *, generator):
        return rsample(mean, self.log_var, generator=generator)


LIKELIHOODS = {"categorical": Categorical, "bernoulli": Bernoulli, "gaussian": Gaussian}


class VAE(nn.Module):
    """p(x) = ∫ N(z; 0, 1) p(x | z) dz, trained with q(z | x) = N(μ(x), σ²(x)); Kingma and Welling (2014).

    There is no `log_prob`: the integral has no closed form. `elbo` is below it, and `log_prob_bound` nearer. All
    methods raise TypeError or ValueError for an x, z or y of another kind or shape.
    """

    def __init__(self, config: VAEConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        self.likelihood = LIKELIHOODS[c.likelihood](c)
        self.hide, D = nn.Dropout(c.dropout), prod(c.shape)
        hidden = {"features": c.features, "depth": c.depth, "dropout": c.dropout}
        with initialised_by(generator):
            self.encoder_net = ResidualMLP(D + c.classes, 2 * c.latent, **hidden)
            self.decoder_net = ResidualMLP(c.latent + c.classes, self.likelihood.outputs * D, **hidden)

    def encoder(self, x: torch.Tensor, y: Label = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, …) -> mu, log_var (B, Z) of q(z | x)."""
        self.likelihood.expect(x)
        dtype = self.encoder_net[0].weight.dtype
        inputs = self.hide(self.likelihood.scaled(x.flatten(1).to(dtype)))
        return self.encoder_net(self._with_class(inputs, y)).to(dtype).chunk(2, 1)

    def decoder(self, z: torch.Tensor, y: Label = None) -> torch.Tensor:
        """z (B, Z) -> logits of p(x | z): (B, …, V); Bernoulli (B, …). For the Gaussian its mean, (B, …)."""
        expect_floats("z", z, ("B", self.config.latent))
        return self.likelihood.logits(self.decoder_net(self._with_class(z, y)))

    def forward(self, x: torch.Tensor, y: Label = None) -> torch.Tensor:
        """What it makes of x: x (B, …) -> the decoder's logits at the mean of q(z | x)."""
        return self.decoder(self.encoder(x, y)[0], y)

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor, y: Label = None) -> torch.Tensor:
        """x (B, …), z (B, Z) -> log p(x | z) (B,), nats."""
        return self.likelihood.log_prob(self.decoder(z, y), x)

    def bound_terms(
        self, x: torch.Tensor, y: Label = None, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, …) -> log p(x | z) at one z ~ q(z | x), and KL( q(z | x) ‖ p(z) ): (B,) nats each."""
        mu, log_var = self.encoder(x, y)
        z = rsample(mu, log_var, generator=generator)
        return self.log_likelihood(x, z, y), gaussian_kl(mu, log_var)

    def elbo(self, x: torch.Tensor, y: Label = None, *, generator: torch.Generator) -> torch.Tensor:
        """x (B, …) -> (B,) nats, in the mean at most log p(x). Source: Kingma and Welling (2014), equation 10."""
        log_px, kl = self.bound_terms(x, y, generator=generator)
        return log_px - kl

    def log_prob_bound(
        self, x: torch.Tensor, y: Label = None, *, samples: int, generator: torch.Generator
    ) -> torch.Tensor:
        """x (B, …) -> log of the mean of `samples` importance weights p(x, z) / q(z | x), (B,) nats.

        In the mean over `generator` it grows with `samples` from the ELBO towards log p(x), and never passes it.
        Raises ValueError for samples < 1. Source: Burda, Grosse and Salakhutdinov (2016), equation 8.
        """
        expect_count("samples", samples)
        mu, log_var = self.encoder(x, y)
        at_once = max(1, AT_ONCE // max(1, len(x)))
        log_w = []  # (n, B) each
        for n in [min(at_once, samples - done) for done in range(0, samples, at_once)]:
            copies = (t if t is None else t.expand(n, *t.shape).flatten(0, 1) for t in (x, y, mu, log_var))
            log_w.append(self._log_weights(*copies, generator=generator).view(n, len(x)))
        return log_mean_exp(torch.cat(log_w))

    def _log_weights(self, x, y, mu, log_var, *, generator):
        """log p(x, z) / q(z | x) of each x at one z ~ N(μ, σ²), (B,) nats."""
        z = rsample(mu, log_var, generator=generator)
        zero = torch.zeros_like(z)
        return self.log_likelihood(x, z, y) + gaussian_log_prob(zero, zero, z) - gaussian_log_prob(mu, log_var, z)

    @torch.no_grad()
    def sample(self, n: int, *, y: Label = None, generator: torch.Generator, mean: bool = False) -> torch.Tensor:
        """Draw n codes from the prior, and from each an observation: (n, …), of the class y (n,) if conditional.

        With `mean`, the last draw is left out: every pixel has its likeliest value. Raises ValueError for n < 1.
        """
        expect_count("n", n)
        zero = self.decoder_net[0].weight.new_zeros(n, self.config.latent)
        return self.observe(rsample(zero, zero, generator=generator), y, generator=None if mean else generator)

    @torch.no_grad()
    def observe(self, z: torch.Tensor, y: Label = None, *, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw x ~ p(x | z), z (n, Z) -> (n, …); without a generator, every pixel's likeliest value."""
        logits = self.decoder(z, y)
        if generator is None:
            return self.likelihood.likeliest(logits)
        return self.likelihood.draw(logits, generator=generator)

    def _with_class(self, inputs, y):
        """inputs (B, …) and, if conditional, a 1 for the class beside them; ValueError where y does not suit."""
        classes = self.config.classes
        if (y is None) != (classes == 0):
            raise ValueError(f"y: this VAE knows {classes} classes, and got {'none' if y is None else 'some'} to go by")
        if y is None:
            return inputs
        expect_levels("y", y, (len(inputs),), classes)
        return torch.cat([inputs, F.one_hot(y, classes).to(inputs.dtype)], 1)
