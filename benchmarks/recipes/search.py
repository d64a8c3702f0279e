"""Ways to finish a poem that is begun: searching for the likeliest, drawing, and drawing several to keep the best."""

from collections.abc import Callable
from functools import partial

import torch

from course_lib.beam import beam_search
from course_lib.decode import draw, write
from course_lib.train.reinforce import log_prob_of_rest


class Counting:
    """A model that counts the rows that its `step` is asked for."""

    def __init__(self, model):
        self.model, self.rows, self.calls = model, 0, 0
        self.begin = model.begin

    def step(self, previous, state):
        self.rows, self.calls = self.rows + len(next(iter(state))), self.calls + 1
        return self.model.step(previous, state)


def drawn(model, given, length, generator, **how):
    return write(
        model, len(given), length, choose=lambda logits, t: draw(logits, generator=generator, **how), given=given
    )


def greedy(model, given, length, generator):
    return write(model, len(given), length, choose=lambda logits, t: logits.argmax(1), given=given)


def beam(width, model, given, length, generator):
    return beam_search(model, length, beam_width=width, given=given).texts[:, 0]


@torch.no_grad()
def best_of(k, model, given, length, generator):
    """Of k draws for each beginning the likeliest; to know how likely, nothing has to be computed again."""
    x = drawn(model, given.repeat_interleave(k, 0), length, generator)
    log_q = log_prob_of_rest(getattr(model, "model", model), x, given.shape[1]).view(-1, k)
    return x.view(-1, k, length)[torch.arange(len(given)), log_q.argmax(1)]


WAYS: dict[str, Callable] = {  # (model, given (n, T) long, length, generator) -> (n, length) long
    "drawn": drawn,
    "nucleus 0.95": partial(drawn, top_p=0.95),
    "best of 8": partial(best_of, 8),
    "best of 64": partial(best_of, 64),
    "greedy": greedy,
    "beam 1": partial(beam, 1),
    "beam 2": partial(beam, 2),
    "beam 4": partial(beam, 4),
    "beam 8": partial(beam, 8),
    "beam 64": partial(beam, 64),
}
