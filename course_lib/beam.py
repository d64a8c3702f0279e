"""Beam search: the likeliest texts of a model that writes step by step, where greedy keeps one and drawing has luck."""

import math
from typing import NamedTuple

import torch

from .expect import expect_count, expect_levels


class Beams(NamedTuple):
    """What was found, likeliest first: `texts` (…, W, length) long, and `log_prob` (…, W) float64, nats.

    With prefixes in a batch the dots stand for n, otherwise for nothing.
    """

    texts: torch.Tensor
    log_prob: torch.Tensor


@torch.no_grad()
def beam_search(
    model,
    length: int,
    *,
    beam_width: int,
    given: torch.Tensor | None = None,
    end: int | None = None,
    length_penalty: float = 0.0,
    **conditions,
) -> Beams:
    """The `beam_width` best texts that a search finds which keeps that many at every step, by `begin` and `step`.

    `given` (T,) or (n, T) long, T < length, is how they begin; a batch of n is searched at once, each by itself.
    `log_prob` is log p(what was written | given). A text that wrote `end` keeps its place and its probability, and is
    filled up with `end`. Beams are ranked by log_prob / (characters written) ** `length_penalty`: 0 ranks by
    probability, 1 by the mean of a character (the end counts as one). Width 1 is greedy. If the width covers all
    prefixes, the best are found exactly. Of equals, the one whose prefix stood higher comes first, then the lower
    character. Where there are fewer texts of positive probability than `beam_width`, all are returned (within a batch,
    rows that one prefix lacks have log_prob -inf). `conditions` are those of `begin`.

    Raises TypeError and ValueError for sizes that cannot be, an `end` that is no character, a `length_penalty` that is
    negative or not finite, and where a model gives no text a chance.
    Source: Graves (2012), algorithm 1; the penalty is that of Wu et al. (2016), section 7, without its constant.
    """
    expect_count("length", length)
    expect_count("beam_width", beam_width)
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty: expected a number of 0 or more, got {length_penalty}")
    n = len(given) if given is not None and given.ndim == 2 else 1
    logits, state = model.step(None, model.begin(n, **conditions))
    V, device = logits.shape[1], logits.device
    if end is not None and end not in range(V):
        raise ValueError(f"end: expected the number of a character, 0 to {V - 1}, got {end}")
    prefix = _prefix(given, n, length, V).to(device)
    for t in range(prefix.shape[1]):
        logits, state = model.step(prefix[:, t], state)
    texts = prefix[:, None]  # (n, W, t), and W grows from 1
    log_prob = torch.zeros(n, 1, dtype=torch.float64, device=device)
    written, ended = torch.zeros_like(log_prob), torch.zeros_like(log_prob, dtype=torch.bool)
    for t in range(prefix.shape[1], length):
        W = log_prob.shape[1]
        steps = _log_softmax(logits, log_prob.isfinite().flatten(), t).view(n, W, V)
        if end is not None:  # what has ended goes on in one way only, at no cost
            stay = torch.full((V,), -math.inf, dtype=torch.float64, device=device)
            stay[end] = 0
            steps = torch.where(ended[:, :, None], stay, steps)
        totals = (log_prob[:, :, None] + steps).flatten(1)  # (n, W · V)
        lengths = (written + ~ended)[:, :, None].expand(n, W, V).flatten(1)
        best = (totals / lengths**length_penalty).sort(dim=1, descending=True, stable=True).indices[:, :beam_width]
        alive = totals.gather(1, best).isfinite().any(0)
        best = best[:, alive]  # a text without a chance is none; a batch keeps it where another row has one there
        parent, character = best // V, best % V
        log_prob, written = totals.gather(1, best), lengths.gather(1, best)
        texts = torch.cat([texts.gather(1, parent[:, :, None].expand(-1, -1, t)), character[:, :, None]], 2)
        if end is not None:
            ended = character == end
        if t < length - 1:
            rows = parent + W * torch.arange(n, device=device)[:, None]
            logits, state = model.step(character.flatten(), state[rows.flatten()])
    return Beams(texts, log_prob) if given is not None and given.ndim == 2 else Beams(texts[0], log_prob[0])


def _prefix(given, n, length, V):
    """`given` as (n, T) long, T < length."""
    if given is None:
        return torch.zeros(n, 0, dtype=torch.long)
    given = given if given.ndim == 2 else given[None]
    expect_levels("given", given, ("n", "T"), V)
    if not given.shape[0]:
        raise ValueError("given: expected one prefix or more, got none")
    if given.shape[1] >= length:
        raise ValueError(
            f"given: expected fewer than length = {length}, to leave something to write, got {given.shape[1]}"
        )
    return given


def _log_softmax(logits, alive, t):
    """log p of each character, (rows, V) float64; rows that are dead already may hold anything."""
    largest = logits.amax(1)
    if (bad := ~largest.isfinite() & alive).any():
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"model: expected a finite largest logit at every place, got {largest[row]} at place {t + 1}; nan and inf "
            "say that training went wrong, -inf that no character can follow there"
        )
    logits = torch.where(alive[:, None], logits, 0).to("cpu" if logits.device.type == "mps" else logits.device)
    return logits.double().log_softmax(1).to(alive.device)
