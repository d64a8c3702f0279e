"""What `train.py` asks of a recipe."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from tqdm.auto import tqdm


@dataclass(kw_only=True)
class Recipe:
    """A model, the data it learns from, and what is measured; the fields are what the table of recipes varies.

    A subclass has `load`, `begin`, `loss`, `measure` and `headline`. After `load`, `train` and `watched` are tuples of
    tensors of equal length: what batches are drawn from, and what the run looks at on its way.
    """

    batch_size: int = 16
    lr: float = 2e-3  # at the start, from where it falls to 0
    minutes: float = 20.0
    most_steps: int | None = None  # a small corpus is learnt by heart if one goes on
    about = ""  # one line for `--list`
    options: ClassVar[
        dict
    ] = {}  # of the command line, which this recipe has beside the common ones, and their defaults
    looks = 20  # how often a run looks at what is watched
    unit, nats_a_unit = "nats", 1.0  # what such a look says

    def load(self, device: torch.device, seed: int, **options) -> dict:
        """Bring the data; what the row says of them."""
        raise NotImplementedError

    def begin(self, generator: torch.Generator) -> torch.nn.Module:
        """The model, before it learns."""
        raise NotImplementedError

    def loss(self, model: torch.nn.Module, *batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A batch -> (B,) nats. All that is drawn is drawn by `generator`, in a look always the same."""
        raise NotImplementedError

    def measure(self, model: torch.nn.Module, *, seed: int, samples: Path, progress: bool) -> dict:
        """What the row says of the trained model. What it draws is printed, or lies in the folder `samples`."""
        raise NotImplementedError

    def headline(self, row: dict) -> str:
        """The row in a line."""
        raise NotImplementedError


def mean_nats(nats, x, model, what, progress):
    """The mean of `nats(batch)`, (B,), over x (N, …), rounded for the row; and the seconds that it took."""
    device, total, began = next(model.parameters()).device, 0.0, time.monotonic()
    with torch.no_grad():
        for batch in tqdm(x.split(100), desc=what, unit="batch", delay=2, disable=not progress):
            total += nats(batch.to(device)).sum().item()
    return round(total / len(x), 4), round(time.monotonic() - began, 1)
