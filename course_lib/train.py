"""Training in one call: the loop of chapter 2, with what a long run needs around it."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning_fabric import Fabric
from tqdm.auto import tqdm

from .checkpoint import History, load, save
from .device import make_generator, pick_device
from .expect import expect_count, expect_one_of

KEEP_EVERY = 50  # steps between two copies of the state that a failing run falls back on
SAVE_EVERY = 10.0  # seconds between two checkpoints of a run that has `checkpoint=`

Data = torch.Tensor | tuple[torch.Tensor, ...]


class NotFinite(ArithmeticError):
    """The loss became NaN or infinite; the model is back at its last good state, which `history` describes."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


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

    Raises NotFinite with step and advice when the loss stops being a number; TypeError or ValueError
    when sizes cannot work.
    """
    data, valid = _tensors("data", data), () if valid is None else _tensors("valid", valid)
    for name, n in (("steps", steps), ("batch_size", batch_size), ("valid_every", valid_every)):
        expect_count(name, n)
    expect_one_of("schedule", schedule, ("constant", "cosine"))
    fabric = _launch(precision)
    if checkpoint is not None and Path(checkpoint).exists():
        history = load(checkpoint, model)
    history = history or History()
    wrapped, optimizer, backward = _set_up(fabric, model, torch.optim.Adam(model.parameters(), lr=lr), precision)
    _go_on_from(history, steps, optimizer, generator, lr)
    if fabric.world_size > 1:  # the same state everywhere would train every process on the same batches
        seed = torch.randint(2**31, (), device=generator.device, generator=generator).item()
        generator = make_generator(seed + fabric.global_rank, generator.device)
    first_process = fabric.is_global_zero  # the one that shows the bar and writes the checkpoint
    data, valid = fabric.to_device(data), fabric.to_device(valid)
    first, earlier, started = len(history.loss), history.seconds, time.monotonic()
    saved, good = started, (first, _state(model, optimizer, generator))
    quiet = not (progress and first_process)
    bar = tqdm(total=steps, initial=first, desc="training", unit="step", delay=1, disable=quiet)
    with _stop_button() as stop, bar:
        model.train()
        for step in range(first + 1, steps + 1):
            index = torch.randint(len(data[0]), (batch_size,), device=generator.device, generator=generator)
            with fabric.autocast():  # all of the loss: Fabric does it for `forward` alone
                nats = loss(wrapped, *(t[index.to(t.device)] for t in data)).mean()
            if schedule == "cosine":
                _set_lr(optimizer, lr * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))
            optimizer.zero_grad()
            backward(nats)
            history.loss.append(nats.item())
            if not math.isfinite(history.loss[-1]):
                raise _fall_back(good, model, history, lr)
            optimizer.step()
            bar.update()
            if valid and step % valid_every == 0:
                with fabric.autocast():
                    history.valid.append((step, _mean_loss(wrapped, valid, loss, batch_size)))
            if step % KEEP_EVERY == 0:
                bar.set_postfix_str(f"{history.loss[-1]:.2f} nats", refresh=False)
                good = (step, _state(model, optimizer, generator))
                if checkpoint is not None and first_process and time.monotonic() - saved > SAVE_EVERY:
                    history.resume, saved = good[1]["resume"], time.monotonic()
                    history.seconds = earlier + saved - started
                    save(checkpoint, model, history)
            if stop.is_set():
                print(f"stopped after step {step} of {steps}; fit(…, history=history) goes on from here")
                break
    model.eval()
    history.seconds = earlier + time.monotonic() - started
    history.resume = _state(model, optimizer, generator)["resume"]
    if checkpoint is not None and first_process:
        save(checkpoint, model, history)
    return history


def _launch(precision):
    """Fabric on one device of our choice; under `fabric run`, which has started the processes, on those it names."""
    if "LT_CLI_USED" in os.environ:
        return Fabric()
    fabric = Fabric(accelerator=pick_device().type, devices=1, precision=precision)
    fabric.launch()
    return fabric


def _tensors(name, data):
    data = data if isinstance(data, tuple) else (data,)
    sizes = [len(t) if isinstance(t, torch.Tensor) and t.ndim else type(t).__name__ for t in data]
    if not sizes or len(set(sizes)) > 1 or not isinstance(sizes[0], int) or sizes[0] == 0:
        raise ValueError(f"{name}: expected tensors of one common, positive length, got {sizes}")
    return data


def _set_up(fabric, model, optimizer, precision):
    """The model on its device, and what the loop calls: model, optimizer and backward."""
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    if precision is None and "LT_CLI_USED" not in os.environ:
        return model, optimizer, torch.Tensor.backward  # the wrappers have nothing to do here but cost 3 % of a step
    for name in ("log_prob", "elbo", "bound_terms", "log_prob_bound"):  # what a loss may call instead of the model
        if hasattr(model, name):
            wrapped.mark_forward_method(name)
    return wrapped, wrapped_optimizer, fabric.backward


def _state(model, optimizer, generator):
    """A copy of everything that the next step depends on."""
    resume = {"optimizer": optimizer.state_dict(), "generator": generator.get_state()}
    return _copy({"model": model.state_dict(), "resume": resume})


def _copy(tree):
    if isinstance(tree, torch.Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree


def _go_on_from(history, steps, optimizer, generator, lr):
    history.steps = steps
    if history.resume:
        optimizer.load_state_dict(history.resume["optimizer"])
        generator.set_state(history.resume["generator"])
        _set_lr(optimizer, lr)  # the caller's, which may have changed since


def _set_lr(optimizer, lr):
    for group in optimizer.param_groups:
        group["lr"] = lr


def _fall_back(good, model, history, lr):
    """The error to raise when the loss is no number; model and history return to the last good state."""
    (back, state), step, value = good, len(history.loss), history.loss[-1]
    model.load_state_dict(state["model"])
    model.eval()
    history.loss, history.resume = history.loss[:back], state["resume"]
    history.valid = [(s, nats) for s, nats in history.valid if s <= back]
    return NotFinite(
        f"the loss became {value} at step {step}. The model is back at step {back}, its last good state. "
        f"Try a smaller lr (it was {lr:g}), and check the data for NaN; fit(…, history=error.history) goes on.",
        history,
    )


@torch.no_grad()
def _mean_loss(model, data, loss, batch_size):
    model.eval()
    batches = zip(*(t.split(batch_size) for t in data), strict=True)
    total = sum(loss(model, *batch).sum().item() for batch in batches)
    model.train()
    return total / len(data[0])


@contextmanager
def _stop_button():
    """Ctrl-C sets the flag that this yields, so that a step is never left half done; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread is ever interrupted
        return

    def asked(signum, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
