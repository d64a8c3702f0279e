"""The poem writers that `benchmarks/writers.py` compares: what they learn from, and how each is trained."""

from dataclasses import dataclass

import torch

from course_lib.data import PoemGrammar, Vocabulary
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import fit

STEPS, BATCH, LR = 3500, 32, 8e-3  # the knobs of chapter 3


@dataclass(frozen=True)
class World:
    """A grammar, its poems as numbers (N, 20), and the source of chance that they came from."""

    language: PoemGrammar
    vocabulary: Vocabulary
    x_train: torch.Tensor
    x_valid: torch.Tensor
    x_test: torch.Tensor
    generator: torch.Generator

    @property
    def config(self) -> CharRNNConfig:
        return CharRNNConfig(levels=self.vocabulary.levels, features=128)


def world(seed: int) -> World:
    """60,000 poems to learn from, 500 to watch and 2,000 to measure with, as in chapter 3."""
    generator, language = make_generator(seed), PoemGrammar()
    poems = [language.sample(n, generator=generator) for n in (60_000, 500, 2000)]
    vocabulary = Vocabulary(language.characters)
    return World(language, vocabulary, *map(vocabulary.encode_all, poems), generator)


def taught(w: World, steps: int = STEPS) -> CharRNN:
    """The network of chapter 3, trained as there: it reads the truth."""
    model = CharRNN(w.config, generator=w.generator)
    knobs = {"steps": steps, "batch_size": BATCH, "lr": LR, "schedule": "cosine", "generator": w.generator}
    fit(model, w.x_train, loss=lambda model, x: -model.log_prob(x), progress=False, **knobs)
    return model
