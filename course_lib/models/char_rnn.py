"""A sentence, one character at a time: a recurrent network says how likely each is after those before it."""

from dataclasses import dataclass

import torch
from torch import nn

from ..decode import State, draw, write
from ..expect import expect_generator, expect_levels
from ..layers import FORGET_BIAS, initialised_by
from ..prob import categorical_log_prob


@dataclass(frozen=True)
class CharRNNConfig:
    """`levels` is V, the characters of the vocabulary; `features` and `depth` are those of the LSTM."""

    levels: int
    features: int = 128
    depth: int = 1

    def __post_init__(self):
        if self.levels < 2 or self.features < 1 or self.depth < 1:
            raise ValueError(f"expected levels ≥ 2 (one character needs no model), features, depth ≥ 1, got {self}")


class CharRNN(nn.Module):
    """x (B, T) long -> logits (B, T, V), where those at position t see x[:, :t] only; after Graves (2013), section 2.

    The start token is the model's own business: it is one more row of `embed`, and stands before the first character.
    """

    def __init__(self, config: CharRNNConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.embed = nn.Embedding(c.levels + 1, c.features)  # the last row is the start token
            self.lstm = nn.LSTM(c.features, c.features, c.depth, batch_first=True)
            self.head = nn.Linear(c.features, c.levels)
        with torch.no_grad():  # forget gates begin wide open, so that what is said early is still there late
            for layer in range(c.depth):
                getattr(self.lstm, f"bias_ih_l{layer}")[c.features : 2 * c.features] += 2 * FORGET_BIAS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T) long, T ≥ 1 -> logits (B, T, V) of each character given those before it.

        Raises TypeError and ValueError as `expect_levels` does, and ValueError for sentences without a character.
        """
        expect_levels("x", x, ("B", "T"), self.config.levels)
        if not x.shape[1]:
            raise ValueError(f"x: expected sentences of one character or more, got shape {tuple(x.shape)}")
        start = torch.full_like(x[:, :1], self.config.levels)
        inputs = torch.cat([start, x[:, :-1]], dim=1)  # shifted by one: position t is fed what stands before it
        h, _ = self.lstm(self.embed(inputs))  # (B, T, features)
        return self.head(h)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = Σ_t log p(x_t | x_<t), exactly: x (B, T) long -> (B,) nats."""
        return categorical_log_prob(self(x), x)

    def begin(self, n: int) -> State:
        """The state before the first character of `n` sentences: hidden and cell, zeros (n, depth, features) each."""
        return State(self.head.weight.new_zeros(2, n, self.config.depth, self.config.features))

    def step(self, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One character on: `previous` (n,) long, None before the first, and the state -> logits (n, V), new state."""
        hidden, cell = (s.transpose(0, 1).contiguous() for s in state)  # torch's LSTM has its layers first
        if previous is None:
            previous = torch.full((hidden.shape[1],), self.config.levels, device=hidden.device)
        h, state = self.lstm(self.embed(previous[:, None]), (hidden, cell))
        return self.head(h[:, 0]), State(s.transpose(0, 1) for s in state)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        length: int,
        generator: torch.Generator,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        given: torch.Tensor | None = None,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` sentences (n, length) long; those of `given` (T,) or (n, T), T < length, begin so and are completed.

        The state is carried, so a character costs one step, however many stand before it. `temperature`, `top_k` and
        `top_p` are those of `decode.draw`. Raises TypeError and ValueError as `decode.write` and `decode.draw` do.
        """
        expect_generator(generator)
        how = {"generator": generator, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        bar = "writing" if progress else None
        return write(self, n, length, choose=lambda logits, t: draw(logits, **how), given=given, progress=bar)
