"""The restricted Boltzmann machine: an energy says which x is likelier than which, but not how likely one is."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..expect import expect_count, expect_generator, expect_levels
from ..layers import initialised_by
from ..prob import log_mean_exp

COUNTED = 20  # units whose 2^20 states are summed over in a second or two
AT_ONCE = 2**14  # of these states
SMALL = 0.01  # the first weights' standard deviation: Hinton (2012), section 8


@dataclass(frozen=True)
class BoltzmannConfig:
    """`visible` D, the components of x, and `hidden` H, the units that say which of them go together."""

    visible: int = 64
    hidden: int = 16

    def __post_init__(self):
        expect_count("visible", self.visible)
        expect_count("hidden", self.hidden)


class RestrictedBoltzmannMachine(nn.Module):
    """p(x, h) = exp(−E(x, h)) / Z over x (B, D) and h (B, H), long, 0 or 1; E(x, h) = −b·x − c·h − h·Wx.

    There is no `log_prob`: −free_energy(x) − log Z is log p(x), and Z is a sum over all x and h that there are.
    `log_partition` has it where one side is small, `estimate_log_partition` estimates it elsewhere. All methods raise
    TypeError or ValueError for an x or h of another kind or shape. Source: Hinton (2012).
    """

    def __init__(self, config: BoltzmannConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.weight = nn.Parameter(SMALL * torch.randn(c.hidden, c.visible))
        self.visible_bias = nn.Parameter(torch.zeros(c.visible))
        self.hidden_bias = nn.Parameter(torch.zeros(c.hidden))

    @torch.no_grad()
    def centre_on(self, x: torch.Tensor) -> None:
        """Set the visible biases to the log-odds of a 1 in x (N, D): a new machine then knows each component's share.

        A half is added to both counts, so that none is certain. Source: Hinton (2012), section 8.
        """
        share = (self._numbers("x", x, self.config.visible).sum(0) + 0.5) / (len(x) + 1)
        self.visible_bias.copy_(share.logit())

    def energy(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """x (B, D), h (B, H) -> E(x, h) (B,), nats."""
        x = self._numbers("x", x, self.config.visible)
        h = self._numbers("h", h, self.config.hidden, len(x))
        return -(x * self.visible_bias).sum(1) - (h * self._hidden_logits(x)).sum(1)

    def free_energy(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) -> F(x) = −log Σ_h exp(−E(x, h)), (B,) nats: log p(x) = −F(x) − log Z."""
        return self._free_energy(self._numbers("x", x, self.config.visible))

    def pseudo_log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) -> Σ_i log p(x_i | all others), (B,) nats: Z cancels, so it is exact, but it is not log p(x).

        Source: Besag (1975).
        """
        x = self._numbers("x", x, self.config.visible)
        logits, free = self._hidden_logits(x), self._free_energy(x)
        total = torch.zeros_like(free)
        for i in range(self.config.visible):  # x with component i flipped
            change = 1 - 2 * x[:, i]
            flipped = logits + change[:, None] * self.weight[:, i]
            other = -x @ self.visible_bias - change * self.visible_bias[i] - F.softplus(flipped).sum(1)
            total = total + F.logsigmoid(other - free)
        return total

    @torch.no_grad()
    def gibbs(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """One step of the chain: x (B, D) -> h ~ p(h | x), then a new x ~ p(x | h), (B, D) long."""
        expect_generator(generator)
        return self._step(self._numbers("x", x, self.config.visible), 1.0, generator).long()

    @torch.no_grad()
    def sample(
        self, n: int, *, steps: int, generator: torch.Generator, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Where `n` chains are after `steps` steps: (n, D) long, draws of p(x) once the steps are enough.

        They begin with fair coins, or with `start` (n, D) long. Raises ValueError for n or steps < 1.
        """
        expect_count("n", n)
        expect_count("steps", steps)
        expect_generator(generator)
        if start is None:
            x = self._coins(self.visible_bias.new_zeros(n, self.config.visible), generator)
        else:
            x = self._numbers("start", start, self.config.visible, n)
        for _ in range(steps):
            x = self._step(x, 1.0, generator)
        return x.long()

    def log_partition(self) -> torch.Tensor:
        """log Z, exactly, nats (): all states of the smaller side are summed over. Gradients pass.

        Raises ValueError where both sides have more than 20 units.
        """
        c = self.config
        if min(c.visible, c.hidden) > COUNTED:
            raise ValueError(
                f"log_partition: expected {COUNTED} hidden units or fewer, whose states can be counted, got {c.hidden} "
                f"(and {c.visible} visible); estimate_log_partition(generator=…) estimates it"
            )
        units = min(c.visible, c.hidden)
        minus_free = self._minus_free_energy_of_hidden if c.hidden <= c.visible else lambda x: -self._free_energy(x)
        places, parts = torch.arange(units, device=self.weight.device), []
        for codes in torch.arange(2**units, device=self.weight.device).split(AT_ONCE):
            states = ((codes[:, None] >> places) & 1).to(self.weight.dtype)
            parts.append(minus_free(states).logsumexp(0))
        return torch.stack(parts).logsumexp(0)

    @torch.no_grad()
    def estimate_log_partition(
        self, *, generator: torch.Generator, chains: int = 100, temperatures: int = 1000
    ) -> tuple[float, float]:
        """log Z by annealed importance sampling, and its standard error, in nats.

        `chains` start from the machine without its weights, whose Z is known, and see them grow in `temperatures`
        steps. The mean of their importance weights is Z in the mean, so its logarithm is below log Z in the mean; the
        error is what the weights' spread says, and says too little where no chain has found what matters. Raises
        ValueError for fewer than 2 chains or 1 step. Source: Neal (2001); Salakhutdinov and Murray (2008), section 3.
        """
        expect_generator(generator)
        expect_count("chains", chains, 2)
        expect_count("temperatures", temperatures)
        x = self._coins(self.visible_bias.expand(chains, -1), generator)
        log_w = x.new_zeros(chains, dtype=torch.float64)
        for k in range(temperatures):
            now, then = k / temperatures, (k + 1) / temperatures
            logits = self._hidden_logits(x)
            log_w += (F.softplus(then * logits) - F.softplus(now * logits)).sum(1)
            x = self._step(x, then, generator)
        first = F.softplus(self.visible_bias).sum().item() + self.config.hidden * math.log(2)
        weights = (log_w - log_w.max()).exp()
        error = weights.std() / weights.mean() / math.sqrt(chains)
        return first + log_mean_exp(log_w).item(), error.item()

    def _numbers(self, name, x, units, n="B"):
        """x (n, units) long, 0 or 1, as floating-point numbers."""
        expect_levels(name, x, (n, units), levels=2)
        return x.to(self.weight.dtype)

    def _hidden_logits(self, x):
        return F.linear(x, self.weight, self.hidden_bias).to(x.dtype)

    def _free_energy(self, x):
        return -(x * self.visible_bias).sum(1) - F.softplus(self._hidden_logits(x)).sum(1)

    def _minus_free_energy_of_hidden(self, h):
        """log Σ_x exp(−E(x, h)): h (B, H) floating-point -> (B,)."""
        visible = F.linear(h, self.weight.T, self.visible_bias)
        return (h * self.hidden_bias).sum(1) + F.softplus(visible).sum(1)

    def _step(self, x, share, generator):
        """A step of the chain with weights and hidden biases times `share`: x (B, D) floating-point -> (B, D)."""
        h = self._coins(share * self._hidden_logits(x), generator)
        return self._coins(share * F.linear(h, self.weight.T) + self.visible_bias, generator)

    @staticmethod
    def _coins(logits, generator):
        """1 with the probability that the logit says, and otherwise 0."""
        return (torch.empty_like(logits).uniform_(generator=generator) < logits.sigmoid()).to(logits.dtype)
