"""The poem writers that `benchmarks/writers.py` compares: what they learn from, and what they read while they learn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch

from course_lib.data import PoemGrammar, Vocabulary
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.prob import categorical_log_prob
from course_lib.train import Session
from course_lib.train.scheduled import scheduled_sampling

STEPS, BATCH, LR = 3500, 32, 8e-3  # the knobs of chapter 3


@dataclass(frozen=True)
class World:
    """A grammar, its poems as numbers (N, 20), and where the source of chance stands that they came from."""

    language: PoemGrammar
    vocabulary: Vocabulary
    x_train: torch.Tensor
    x_valid: torch.Tensor
    x_test: torch.Tensor
    chance: torch.Tensor

    @property
    def config(self) -> CharRNNConfig:
        return CharRNNConfig(levels=self.vocabulary.levels, features=128)

    @cached_property
    def test(self) -> list[str]:
        return self.read(self.x_test)

    def read(self, x):
        """Numbers (N, T) -> N poems."""
        return self.vocabulary.decode(x)

    def dice(self) -> torch.Generator:
        """The source as it was after the poems: all trainings of a seed begin with the same weights and batches."""
        generator = torch.Generator()
        generator.set_state(self.chance)
        return generator


def world(seed: int, sizes=(60_000, 500, 2000)) -> World:
    """60,000 poems to learn from, 500 to watch and 2,000 to measure with, as in chapter 3."""
    generator, language = make_generator(seed), PoemGrammar()
    poems = [language.sample(n, generator=generator) for n in sizes]
    vocabulary = Vocabulary(language.characters)
    return World(language, vocabulary, *map(vocabulary.encode_all, poems), generator.get_state())


# --- what is read in training: (model, x, how much of the training is over, generator) -> (B,) nats ----------------


def truth(model, x, over, generator):
    return -model.log_prob(x)


def own(schedule, model, x, over, generator):
    """Its own characters with probability 1 - `schedule(over)`."""
    return scheduled_sampling(model, x, truth=schedule(over), generator=generator)


def slips(schedule, model, x, over, generator):
    """Any characters, all equally likely, with probability 1 - `schedule(over)`: mistakes, but not its own."""
    wrong = torch.randint(model.config.levels, x.shape, generator=generator)
    coin = torch.rand(x.shape, generator=generator) < schedule(over)
    return -categorical_log_prob(model(torch.where(coin, x, wrong)), x)


def hidden(schedule, model, x, over, generator):
    """Nothing, a vector of zeros, with probability 1 - `schedule(over)`."""
    start = torch.full_like(x[:, :1], model.config.levels)
    coin = torch.rand(x.shape, generator=generator) < schedule(over)
    coin[:, 0] = True  # the start token
    read = model.embed(torch.cat([start, x[:, :-1]], 1)) * coin[:, :, None]
    return -categorical_log_prob(model.head(model.lstm(read)[0]), x)


SCHEDULES: dict[str, Callable[[float], float]] = {  # how likely the truth is; of all but the last, 1/2 on average
    "linear": lambda over: 1 - over,
    "exponential": lambda over: math.exp(-1.5936 * over),
    "inverse sigmoid": lambda over: 1 / (1 + math.exp((over - 0.5) / 0.0875)),
    "half": lambda over: 0.5,
    "always own": lambda over: 0.0,
}
READING = {
    "teacher forcing": truth,
    **{name: partial(own, schedule) for name, schedule in SCHEDULES.items()},
    "random slips": partial(slips, SCHEDULES["linear"]),
    "inputs hidden": partial(hidden, SCHEDULES["linear"]),
    "fiftieth own": partial(own, lambda over: 0.98),
    "tenth own": partial(own, lambda over: 0.9),
    "quarter own": partial(own, lambda over: 0.75),
    "fiftieth random slips": partial(slips, lambda over: 0.98),
    "tenth random slips": partial(slips, lambda over: 0.9),
    "tenth hidden": partial(hidden, lambda over: 0.9),
}


def taught(w: World, reading: str = "teacher forcing", steps: int = STEPS) -> CharRNN:
    """The network of chapter 3, trained as there but for what it reads."""
    dice = w.dice()
    model = CharRNN(w.config, generator=dice)
    session = Session(model, lr=LR, steps=steps, schedule="cosine", generator=dice, progress=False)
    for x in session.batches(w.x_train, BATCH):
        session.minimise(READING[reading](session.model, x, session.step / steps, dice))
    return model
