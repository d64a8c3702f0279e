"""A sentence, one character at a time: a recurrent network says how likely each is after those before it."""

from dataclasses import dataclass

import torch
from torch import nn

from ..decode import draw
from ..expect import expect_levels
from ..layers import initialised_by
from ..prob import categorical_log_prob

FORGET_BIAS = 2.0  # Jozefowicz, Zaremba and Sutskever (2015), section 5: an LSTM that starts without one learns slower
State = tuple[torch.Tensor, torch.Tensor]  # of the LSTM: hidden and cell, each (depth, B, width)


@dataclass(frozen=True)
class CharRNNConfig:
    """`levels` is V, the characters of the vocabulary; `width` and `depth` are those of the LSTM."""

    levels: int
    width: int = 128
    depth: int = 1

    def __post_init__(self):
        if self.levels < 2 or self.width < 1 or self.depth < 1:
            raise ValueError(f"expected levels ≥ 2 (one character needs no model), width, depth ≥ 1, got {self}")


class CharRNN(nn.Module):
    """x (B, T) long -> logits (B, T, V), where those at position t see x[:, :t] only; after Graves (2013), section 2.

    The start token is the model's own business: it is one more row of `embed`, and stands before the first character.
    """

    def __init__(self, config: CharRNNConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.embed = nn.Embedding(c.levels + 1, c.width)  # the last row is the start token
            self.lstm = nn.LSTM(c.width, c.width, c.depth, batch_first=True)
            self.head = nn.Linear(c.width, c.levels)
        with torch.no_grad():  # forget gates begin open, so that what is said early is still there late
            for layer in range(c.depth):
                getattr(self.lstm, f"bias_ih_l{layer}")[c.width : 2 * c.width] += FORGET_BIAS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T) long, T ≥ 1 -> logits (B, T, V) of each character given those before it.

        Raises TypeError and ValueError as `expect_levels` does, and ValueError for sentences without a character.
        """
        expect_levels("x", x, ("B", "T"), self.config.levels)
        if not x.shape[1]:
            raise ValueError(f"x: expected sentences of one character or more, got shape {tuple(x.shape)}")
        start = torch.full_like(x[:, :1], self.config.levels)
        inputs = torch.cat([start, x[:, :-1]], dim=1)  # shifted by one: position t is fed what stands before it
        h, _ = self.lstm(self.embed(inputs))  # (B, T, width)
        return self.head(h)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = Σ_t log p(x_t | x_<t), exactly: x (B, T) long -> (B,) nats."""
        return categorical_log_prob(self(x), x)

    def step(self, previous: torch.Tensor | None, state: State | None, *, n: int = 1) -> tuple[torch.Tensor, State]:
        """One character on: `previous` (B,) long and the state after those before it -> logits (B, V) and new state.

        At the beginning both are None, and `n` says how many sentences are begun.
        """
        if previous is None:
            previous = torch.full((n,), self.config.levels, device=self.head.weight.device)
        h, state = self.lstm(self.embed(previous[:, None]), state)
        return self.head(h[:, 0]), state

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
    ) -> torch.Tensor:
        """`n` sentences (n, length) long; those of `given` (T,) or (n, T), T < length, begin so and are completed.

        The state is carried, so a character costs one step, however many stand before it. `temperature`, `top_k` and
        `top_p` are those of `decode.draw`. Raises ValueError for sizes that cannot be, TypeError for another `given`.
        """
        if n < 1 or length < 1 or n % 1 or length % 1:
            raise ValueError(f"expected whole numbers n ≥ 1 and length ≥ 1, got {n} and {length}")
        (logits, state), x = self.step(None, None, n=n), []
        for previous in self._given(given, n, length):
            x.append(previous)
            logits, state = self.step(previous, state)
        while True:
            chosen = draw(logits, generator=generator, temperature=temperature, top_k=top_k, top_p=top_p)
            x.append(chosen)
            if len(x) == length:
                return torch.stack(x, dim=1)
            logits, state = self.step(chosen, state)

    def _given(self, given, n, length):
        """The columns of `given`, each (n,) long."""
        if given is None:
            return ()
        given = given.expand(n, -1) if isinstance(given, torch.Tensor) and given.ndim == 1 else given
        expect_levels("given", given, (n, "T"), self.config.levels)
        if not 1 <= given.shape[1] < length:
            raise ValueError(
                f"given: expected at least 1 character and fewer than length = {length}, so that something is left to "
                f"write, got {given.shape[1]}; leave it out to begin from nothing"
            )
        return given.to(self.head.weight.device).unbind(1)
