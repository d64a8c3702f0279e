"""From logits to a choice: what may be drawn, and drawing it. All functions take logits (B, V)."""

import torch

from .expect import expect_floats


def apply_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """logits (B, V) -> logits / temperature: below 1 the likely gets likelier, above 1 all become more alike.

    At temperature 0, the limit, only the likeliest keeps a finite logit: drawing is greedy (of equals, the first).
    Raises ValueError for a negative or infinite temperature. Source: Ackley, Hinton and Sejnowski (1985).
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number above 0, or 0 for greedy, got {temperature}")
    return keep_top_k(logits, 1) if temperature == 0 else logits / temperature


def keep_top_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """logits (B, V) with all but the `top_k` largest of each row at −inf (of equals at the border, the first stay).

    Raises ValueError for a `top_k` that is no whole number from 1 to V. Source: Fan et al. (2018), section 5.2.
    """
    V = logits.shape[-1]
    if top_k != int(top_k) or not 1 <= top_k <= V:
        raise ValueError(f"top_k: expected a whole number from 1 to V = {V}, got {top_k}")
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return _keep(logits, order, torch.arange(V, device=logits.device).expand_as(logits) < top_k)


def keep_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """logits (B, V) with all at −inf but the nucleus: the fewest, likeliest choices whose probabilities reach `top_p`.

    Raises ValueError outside (0, 1]: no choice has no probability. Source: Holtzman et al. (2020), section 3.1.
    """
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a probability above 0 and at most 1, got {top_p}")
    order = logits.argsort(dim=-1, descending=True, stable=True)
    p = logits.gather(-1, order).softmax(-1)
    before = p.cumsum(-1) - p  # what those ahead of it hold; the first is always kept
    return _keep(logits, order, before < top_p)


def draw(
    logits: torch.Tensor,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> torch.Tensor:
    """One choice a row, logits (B, V) -> (B,) long: tempered, cut to the `top_k`, then to the nucleus, then drawn.

    Raises ValueError as the three functions above do.
    """
    expect_floats("logits", logits, ("B", "V"))
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    return logits.softmax(-1).multinomial(1, generator=generator)[:, 0]


def _keep(logits, order, kept):
    """−inf wherever `kept`, which is in the order of `order`, is False."""
    return logits.masked_fill(~torch.zeros_like(kept).scatter(-1, order, kept), float("-inf"))
