"""The fully visible belief net: each component's probability given those before it, all by one masked network."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..decode import State, draw, write
from ..expect import expect_count, expect_generator, expect_levels
from ..layers import initialised_by
from ..prob import categorical_log_prob


@dataclass(frozen=True)
class BeliefNetConfig:
    """`length` is D, the components of an observation, and `levels` is V, what each of them can be.

    `features` and `depth` are those of the hidden layers. With depth 0 there is none: each component is a logistic
    regression on those before it, as in Frey's nets (1998). In training, `dropout` is the share of the inputs and of
    the hidden features that is left out.
    """

    levels: int = 2
    length: int = 64
    features: int = 256
    depth: int = 1
    dropout: float = 0.0

    def __post_init__(self):
        expect_count("levels", self.levels, 2)
        expect_count("length", self.length)
        expect_count("features", self.features)
        expect_count("depth", self.depth, 0)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share from 0 to below 1, got {self.dropout}")


class MaskedLinear(nn.Linear):
    """A linear layer that leaves out the connections where `mask` (out_features, in_features) is 0."""

    def __init__(self, mask: torch.Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class BeliefNet(nn.Module):
    """x (B, D) long -> logits (B, D, V), where those at position i see x[:, :i] only: log p(x) is exact.

    All D answers come out of one pass: a hidden unit that sees the components up to d is left to answer for those after
    d alone, and the masks keep it so. Sources: Frey (1998); Germain, Gregor, Murray and Larochelle
    (2015), section 3.
    """

    def __init__(self, config: BeliefNetConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        components = torch.arange(c.length)
        seen = components.repeat_interleave(c.levels)  # of each input: the component that it is a level of
        layers = [nn.Dropout(c.dropout)]
        with initialised_by(generator):
            for _ in range(c.depth):
                sees = torch.arange(c.features) * max(1, c.length - 1) // c.features  # evenly 0 … D − 2
                layers += [MaskedLinear(sees[:, None] >= seen), nn.SiLU(), nn.Dropout(c.dropout)]
                seen = sees
            answers = components.repeat_interleave(c.levels)
            self.hidden = nn.Sequential(*layers)
            self.head = MaskedLinear(answers[:, None] > seen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) long -> logits (B, D, V) of each component given those before it.

        Raises TypeError and ValueError as `expect_levels` does.
        """
        c = self.config
        expect_levels("x", x, ("B", c.length), c.levels)
        return self.head(self._features(x)).view(-1, c.length, c.levels)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = Σ_i log p(x_i | x_<i), exactly: x (B, D) long -> (B,) nats."""
        return categorical_log_prob(self(x), x)

    def begin(self, n: int) -> State:
        """The state before the first component of `n` observations: what is written, (n, 0) long."""
        return State([torch.zeros(n, 0, dtype=torch.long, device=self.head.weight.device)])

    def step(self, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One component on: `previous` (n,) long, None before the first, and the state -> logits (n, V), new state.

        It costs a pass of the whole network but for the other answers. Raises ValueError after the last component.
        """
        (written,), c = state, self.config
        if previous is not None:
            written = torch.cat([written, previous[:, None]], 1)
        t = written.shape[1]
        if t >= c.length:
            raise ValueError(f"step: expected at most {c.length} components, length=, got {t} and one more")
        h = self._features(F.pad(written, (0, c.length - t)))  # what is not known yet is masked, whatever stands there
        rows = slice(t * c.levels, (t + 1) * c.levels)
        head = self.head
        return F.linear(h, head.weight[rows] * head.mask[rows], head.bias[rows]), State([written])

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        generator: torch.Generator,
        temperature: float = 1.0,
        given: torch.Tensor | None = None,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` draws (n, D) long, one component after another; those of `given` (T,) or (n, T), T < D, begin so.

        Raises TypeError and ValueError as `decode.write` and `decode.draw` do.
        """
        expect_generator(generator)
        how = {"generator": generator, "temperature": temperature}
        bar = "writing" if progress else None
        return write(
            self, n, self.config.length, choose=lambda logits, t: draw(logits, **how), given=given, progress=bar
        )

    def _features(self, x):
        """x (B, D) long -> what the last layer sees: (B, features), or the levels one-hot, (B, D · V)."""
        return self.hidden(F.one_hot(x, self.config.levels).flatten(1).to(self.head.weight.dtype))
