"""The writers that `benchmarks/oracle.py` compares: a truth of random weights, and those who learn from its text."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from course_lib.decode import apply_temperature, keep_top_k, keep_top_p
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import Session
from course_lib.train.scheduled import mixed_inputs

LENGTH, CONFIG = 20, CharRNNConfig(levels=5000, features=32)
BATCH, LR = 64, 0.01  # as published
AT_ONCE = 100  # sentences that are measured at once, so that their logits are few


def oracle(config, generator):
    """A network that nobody has trained: all its weights are drawn from N(0, 1), with one bias for each gate."""
    model = CharRNN(config, generator=generator)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.normal_(generator=generator)
            if name.startswith("lstm.bias_hh"):  # torch's LSTM has two, and adds them up
                weights.zero_()
    return model.requires_grad_(False)


def beginner(config, generator):
    """A network as the learners begin, as published: weights from N(0, 0.01), a standard deviation of 0.1."""
    model = oracle(config, generator).requires_grad_(True)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(0.1)
    return model


def nats(model, x, seen=None, rule=lambda logits: logits):
    """-log p(x) of sentences x (B, T) -> (B,) nats, as -`model.log_prob`, but in half the time.

    It takes place by place, whose logits stay in the processor's cache. What the model reads is x, or `seen` in its
    place; `rule` changes the logits (B, V) of a place, as decoding does.
    """
    start = torch.full_like(x[:, :1], model.config.levels)
    h, _ = model.lstm(model.embed(torch.cat([start, (x if seen is None else seen)[:, :-1]], 1)))
    places = [F.cross_entropy(rule(model.head(h[:, t])), x[:, t], reduction="none") for t in range(x.shape[1])]
    return torch.stack(places, 1).sum(1)


@torch.no_grad()
def nats_of_all(model, x, rule=lambda logits: logits):
    """`nats` of many sentences."""
    return torch.cat([nats(model, part, rule=rule) for part in x.split(AT_ONCE)])


@torch.no_grad()
def forbidden(model, x, rule):
    """The share of the words of x that the rule leaves no chance, given those before them."""
    return (
        1
        - sum(
            rule(logits).gather(1, word[:, None]).isfinite().sum().item()
            for part in x.split(AT_ONCE)
            for logits, word in zip(model(part).unbind(1), part.unbind(1), strict=True)
        )
        / x.numel()
    )


def rule_of(temperature=1.0, top_k=None, top_p=None):
    """What `decode.draw` does to logits before it draws, so that what is drawn has a probability."""

    def rule(logits):
        logits = apply_temperature(logits, temperature)
        logits = logits if top_k is None else keep_top_k(logits, top_k)
        return logits if top_p is None else keep_top_p(logits, top_p)

    return rule


# --- training ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """A model on its way: after how many steps, how many seconds of the processor, and its weights then."""

    steps: int
    seconds: float
    state: dict


def looks_at(model, data, loss: Callable, steps: list[int], *, lr: float, generator):
    """Train `model` by `loss(model, batch, share of the steps made)`, (B,); a Look after each of `steps`."""
    began, looks = time.process_time(), []
    session = Session(model, lr=lr, steps=max(steps), generator=generator, progress=False)
    for x in session.batches(data, min(BATCH, len(data))):
        session.minimise(loss(model, x, session.step / max(steps)))
        if session.step in steps:
            state = {name: weights.detach().clone() for name, weights in model.state_dict().items()}
            looks.append(Look(session.step, round(time.process_time() - began, 1), state))
    if len(looks) < len(set(steps)):
        raise KeyboardInterrupt
    return looks


def true_words(model, x, share):
    """Teacher forcing: every word that is read is the true one."""
    return nats(model, x)


def own_words(end, generator):
    """Scheduled sampling: the share of true words that are read falls from 1 to `end`; the others are its own."""

    def loss(model, x, share):
        return nats(model, x, mixed_inputs(model, x, truth=1 - share * (1 - end), generator=generator))

    return loss


def random_words(end, train, generator):
    """The control of scheduled sampling: the others are words of the training text, from anywhere in it."""

    def loss(model, x, share):
        true = torch.rand(x.shape, generator=generator) < 1 - share * (1 - end)
        others = train.flatten()[torch.randint(train.numel(), x.shape, generator=generator)]
        return nats(model, x, torch.where(true, x, others))

    return loss


# --- what is known of the training text ----------------------------------------------------------------------


class Known:
    """The pairs and triples of words that occur in sentences x (N, T), words 0 … V - 1."""

    def __init__(self, x, V):
        self.V = V
        self.tables = {n: self._grams(x, n).unique() for n in (1, 2, 3)}  # sorted

    def share(self, x, n):
        """Of each sentence's n-grams, x (B, T), the share that occurs: (B,)."""
        grams, table = self._grams(x, n), self.tables[n]
        at = torch.searchsorted(table, grams).clamp_(max=len(table) - 1)
        return (table[at] == grams).float().mean(1)

    def reward(self, x):
        """Like BLEU with all training sentences as references: the mean share of its words, pairs and triples.

        BLEU takes the geometric mean, which is 0 for nearly all draws, who have no known triple.
        """
        return sum(self.share(x, n) for n in self.tables) / len(self.tables)

    def _grams(self, x, n):
        """Each run of n words as one number, (B, T - n + 1)."""
        number = 0
        for i in range(n):
            number = number * self.V + x[:, i : x.shape[1] - n + 1 + i]
        return number


# --- writers without a network --------------------------------------------------------------------------------


class Frequencies:
    """Each word as often as in the training text, whatever stands before it; half a count more for each word."""

    def __init__(self, x, V):
        counts = torch.bincount(x.flatten(), minlength=V).double() + 0.5
        self.log_p = (counts / counts.sum()).log()

    def sample(self, n, length, generator):
        return self.log_p.exp().multinomial(n * length, replacement=True, generator=generator).view(n, length)

    def nats(self, x):
        return -self.log_p[x].sum(1)


class Parrot:
    """A training sentence, any of them; or with probability `slip` 20 words, each any of V."""

    def __init__(self, x, V, slip):
        self.x, self.V, self.slip = x, V, slip
        self.times = {}
        for sentence in map(tuple, x.tolist()):
            self.times[sentence] = self.times.get(sentence, 0) + 1

    def sample(self, n, length, generator):
        said = self.x[torch.randint(len(self.x), (n,), generator=generator)]
        other = torch.randint(self.V, (n, length), generator=generator)
        slipped = torch.rand(n, 1, generator=generator) < self.slip
        return torch.where(slipped, other, said)

    def nats(self, x):
        """Exactly: a sentence that it has not heard can be a slip only."""
        heard = torch.tensor([self.times.get(sentence, 0) for sentence in map(tuple, x.tolist())]).double()
        by_slip = math.log(self.slip) - x.shape[1] * math.log(self.V) if self.slip else -math.inf
        by_heart = (heard * (1 - self.slip) / len(self.x)).log()
        return -torch.logaddexp(by_heart, torch.full_like(by_heart, by_slip))
