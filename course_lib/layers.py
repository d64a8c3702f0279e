"""Small blocks that several models share."""

from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import nn


@contextmanager
def initialised_by(generator: torch.Generator | None):
    """Layers made inside draw their first weights from `generator`; None leaves torch's global source in place.

    torch.nn's layers initialise themselves from the global source, so we lend it a seed and give it back untouched:
    building a model changes nobody else's random numbers.
    """
    if generator is None:
        yield
        return
    seed = torch.randint(2**31, (), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class MLP(nn.Sequential):
    """Linear layers with a SiLU between each two: (B, sizes[0]) -> (B, sizes[-1])."""

    def __init__(self, sizes: list[int]):
        layers = []
        for wide_in, wide_out in pairwise(sizes):
            layers += [nn.Linear(wide_in, wide_out), nn.SiLU()]
        super().__init__(*layers[:-1])  # the last layer's output is free to be any number
