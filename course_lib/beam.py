"""Beam search: the likeliest texts of a model that writes step by step, where greedy keeps one and drawing has luck."""

import math
from typing import NamedTuple

import torch

from .expect import expect_count, expect_levels, expect_tensor


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

    Raises TypeError and ValueError for sizes and prefixes that cannot be, an `end` that is no character or stands in a
    prefix, a `length_penalty` that is negative or not finite, and where a model gives no text a chance.
    Source: Graves (2012), algorithm 1; the penalty is that of Wu et al. (2016), section 7, without its constant.
    """
    expect_count("length", length)
    expect_count("beam_width", beam_width)
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty: expected a number of 0 or more, got {length_penalty}")
    many = _expect_prefixes(given, length)
    n = len(given) if many else 1
    logits, state = model.step(None, model.begin(n, **conditions))
    V, device = logits.shape[1], logits.device
    if end is not None and (isinstance(end, bool) or end not in range(V)):
        raise ValueError(f"end: expected the number of a character, 0 to {V - 1}, or None, got {end!r}")
    books = torch.device("cpu") if device.type == "mps" else device  # where the accounts are kept: Apple has no float64
    prefix = _prefix(given, n, V, end).to(books)
    for t in range(prefix.shape[1]):
        logits, state = model.step(prefix[:, t].to(device), state)
    texts = prefix[:, None]  # (n, W, t), and W grows from 1
    log_prob = torch.zeros(n, 1, dtype=torch.float64, device=books)
    written, ended = torch.zeros_like(log_prob), torch.zeros_like(log_prob, dtype=torch.bool)
    for t in range(prefix.shape[1], length):
        W = log_prob.shape[1]
        steps = _log_softmax(logits.to(books), (log_prob.isfinite() & ~ended).flatten(), t).view(n, W, V)
        if end is not None:  # what has ended goes on in one way only, at no cost
            stay = torch.full((V,), -math.inf, dtype=torch.float64, device=books)
            stay[end] = 0
            steps = torch.where(ended[:, :, None], stay, steps)
        totals = (log_prob[:, :, None] + steps).flatten(1)  # (n, W · V)
        lengths = (written + ~ended)[:, :, None].expand(n, W, V).flatten(1)
        best = _best(totals / lengths**length_penalty, beam_width)
        alive = totals.gather(1, best).isfinite().any(0)
        best = best[:, alive]  # a text without a chance is none; a batch keeps it where another row has one there
        parent, character = best // V, best % V
        log_prob, written = totals.gather(1, best), lengths.gather(1, best)
        texts = torch.cat([texts.gather(1, parent[:, :, None].expand(-1, -1, t)), character[:, :, None]], 2)
        if end is not None:
            ended = character == end
        if t < length - 1:
            rows = parent + W * torch.arange(n, device=books)[:, None]
            logits, state = model.step(character.flatten().to(device), state[rows.flatten().to(device)])
    texts = texts.to(device)
    return Beams(texts, log_prob) if many else Beams(texts[0], log_prob[0])


def _expect_prefixes(given, length):
    """Are there many prefixes, (n, T), or is there one? Their characters are looked at once V is known."""
    if given is None:
        return False
    expect_tensor("given", given)
    if given.ndim not in (1, 2) or (not len(given) and given.ndim == 2):
        raise ValueError(f"given: expected (T,), or (n, T) with n of 1 or more, got shape {tuple(given.shape)}")
    if given.shape[-1] >= length:
        raise ValueError(
            f"given: expected fewer than length = {length}, to leave something to write, got {given.shape[-1]}"
        )
    return given.ndim == 2


def _prefix(given, n, V, end):
    """`given` as (n, T) long: characters, none of which ends the text."""
    if given is None:
        return torch.zeros(n, 0, dtype=torch.long)
    given = given.view(n, -1) if given.numel() else given.new_zeros(n, 0)
    expect_levels("given", given, (n, "T"), V)
    if end is not None and (given == end).any():
        raise ValueError(f"given: expected beginnings that go on, got one that holds the end, {end}, already")
    return given


def _log_softmax(logits, going_on, t):
    """log p of each character, (rows, V) float64; rows that are dead or have ended may hold anything."""
    largest = logits.amax(1)
    if (bad := ~largest.isfinite() & going_on).any():
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"model: expected a finite largest logit at every place, got {largest[row]} at place {t + 1}; nan and inf "
            "say that training went wrong, -inf that no character can follow there"
        )
    return torch.where(going_on[:, None], logits, 0).double().log_softmax(1)


def _best(scores, k):
    """Where the k largest of each row are, scores (n, m) -> (n, at most k), largest first, and of equals the first.

    As a stable sort of all would say, in a quarter of its time: only those are sorted that reach the k-th.
    """
    k = min(k, scores.shape[1])
    border = scores.topk(k, dim=1).values[:, -1:]
    above, at = scores > border, scores == border
    reach = above | (at & (at.cumsum(1) <= k - above.sum(1, keepdim=True)))  # of equals at the border, the first
    places = reach.nonzero()[:, 1].view(-1, k)
    return places.gather(1, scores.gather(1, places).sort(dim=1, descending=True, stable=True).indices)
