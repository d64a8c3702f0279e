"""Training in one call: the loop of chapter 2, with what a `Session` puts around it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ..checkpoint import History
from ..expect import expect_count
from .batches import Data, as_tensors
from .session import Session


def fit(
    model: torch.nn.Module,
    data: Data,
    *,
    loss: Callable[..., torch.Tensor],
    steps: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
    schedule: str = "constant",
    valid: Data | None = None,
    valid_every: int = 100,
    precision: str | None = None,
    history: History | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train `model` with Adam: `loss(model, *batch)` gives (B,) nats, and their mean goes down for `steps` updates.

    `data` is x (N, …) or a tuple (x, y, …) of equal N; batches are drawn from it with replacement by `generator`.
    The mean loss on `valid`, if given, enters the history every `valid_every` steps. Everything moves to
    `pick_device()`; on a GPU, `precision="bf16-mixed"` is faster; under `fabric run` every process trains on batches
    of its own. With `schedule="cosine"` the learning rate falls from `lr` to 0 along half a wave. Ctrl-C (the
    notebook's stop button) ends after the current step: model and History stay usable, and `fit(…, history=history)`
    goes on to `steps` exactly as if it had never stopped. `checkpoint=path` does the same across sessions: it is
    written as training goes, and read when it exists.

    Raises NotFinite with step and advice when a loss or a gradient stops being a number; TypeError or ValueError
    when sizes cannot work, a loss of another shape than (B,) among them; what `expect_can_save` raises.
    """
    data, valid = as_tensors("data", data), () if valid is None else as_tensors("valid", valid)
    expect_count("valid_every", valid_every)
    rest = {"schedule": schedule, "precision": precision, "history": history, "checkpoint": checkpoint}
    session = Session(model, lr=lr, steps=steps, generator=generator, progress=progress, **rest)
    for batch in session.batches(data, batch_size):
        session.minimise(loss(session.model, *batch))
        if valid and session.step % valid_every == 0:
            session.validate(partial(loss, session.model), valid, batch_size)
    return session.history
