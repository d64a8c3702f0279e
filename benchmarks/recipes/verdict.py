"""Poem writers that practise on a verdict on what they wrote (REINFORCE), and rivals that need no gradient of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from course_lib.train import Session, fit
from course_lib.train.reinforce import Reinforce

from .writers import World


@dataclass(frozen=True)
class Practice:
    """REINFORCE: `steps` batches of own poems that `reward` judges, with a `leash` to where it started.

    `lr` falls to 0 along half a wave.
    """

    reward: str = "grammar"
    leash: float = 0.0
    baseline: str = "others"
    lr: float = 3e-3
    steps: int = 4000
    batch_size: int = 100


def verdict(w: World) -> Callable[[torch.Tensor], torch.Tensor]:
    """1 for a poem, 0 for what breaks a rule anywhere."""

    def reward(x):
        return torch.tensor([float(bool(w.language.is_valid(poem))) for poem in w.read(x)])

    return reward


def fluency(w: World) -> Callable[[torch.Tensor], torch.Tensor]:
    """How common its pairs of neighbours are: the mean log-probability by chapter 3's table of pairs, nats."""
    V = w.vocabulary.levels
    counts = torch.full((V, V), 0.1)
    pairs = w.x_train[:, :-1].flatten(), w.x_train[:, 1:].flatten()
    counts.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
    table = (counts / counts.sum(1, keepdim=True)).log()
    return lambda x: table[x[:, :-1], x[:, 1:]].mean(1)


REWARDS = {"grammar": verdict, "fluency": fluency}
LONG = Practice(leash=0.2)
SHORT, CHEAP = replace(LONG, lr=1e-3, steps=600, batch_size=64), replace(LONG, reward="fluency", lr=2e-3, steps=300)
PRACTICES = {
    "leash": LONG,
    "no leash": replace(LONG, leash=0.0),
    "short": SHORT,
    "short, no leash": replace(SHORT, leash=0.0),
    "short, greedy baseline": replace(SHORT, baseline="greedy"),
    "short, no baseline": replace(SHORT, baseline="none"),
    "cheap reward": replace(CHEAP, leash=0.0),
    "cheap reward, leash": replace(CHEAP, leash=0.5),
}


def practised(w, start, how: Practice, *, generator, look=lambda step, model: None):
    """A copy of `start` after its practice; `look(step, model)` sees it after every step."""
    model, nothing = copy.deepcopy(start), torch.zeros(1, 0, dtype=torch.long)
    loss = Reinforce(
        REWARDS[how.reward](w),
        length=w.language.length,
        generator=generator,
        baseline=how.baseline,
        start=start if how.leash else None,
        leash=how.leash,
    )
    session = Session(model, lr=how.lr, steps=how.steps, schedule="cosine", generator=generator, progress=False)
    for given in session.batches(nothing, how.batch_size):
        session.minimise(loss(session.model, given))
        look(session.step, model)
    return model


def further(start, x, how: Practice, *, generator):
    """A copy of `start` after as many more steps as `how` has, of teacher forcing on x (N, T), at the same rate."""
    model = copy.deepcopy(start)
    knobs = {"lr": how.lr, "steps": how.steps, "batch_size": how.batch_size, "schedule": "cosine"}
    fit(model, x, loss=lambda model, x: -model.log_prob(x), generator=generator, progress=False, **knobs)
    return model


def own_valid(w, model, n, generator):
    """Of `n` draws of the model, those that are poems, (m, T)."""
    judge = verdict(w)
    x = model.sample(n, length=w.language.length, generator=generator, progress=False)
    return x[judge(x) == 1]
