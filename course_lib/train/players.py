"""A model with its optimiser, on its device, and the processes it trains in: what one step of a `Session` needs."""

import inspect
import math
import os
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from lightning_fabric import Fabric

from ..checkpoint import bare
from ..device import pick_device


def launch(precision: str | None) -> Fabric:
    """Fabric on one device of our choice; under `fabric run`, which has started the processes, on those it names."""
    if _started_by_fabric():
        return Fabric()
    fabric = Fabric(accelerator=pick_device().type, devices=1, precision=precision)
    fabric.launch()
    return fabric


class Player:
    """A model and what moves its weights; `called` is what a loss calls: the model itself, or Fabric's wrapper."""

    def __init__(
        self, model: torch.nn.Module, optimizer: Callable, lr: float, fabric: Fabric, precision: str | None = None
    ):
        self.model, self.lr = model, lr
        self.weights = list(model.parameters())
        self.optimizer = optimizer(self.weights, lr=lr)
        self.called, wrapped_optimizer = fabric.setup(model, self.optimizer)
        # Half floats are scaled, and a step whose gradients overflow is skipped: that is not for us to judge.
        self._judged = getattr(fabric.strategy.precision, "scaler", None) is None
        if precision is None and not _started_by_fabric():  # the wrappers have nothing to do but cost 3 % of a step
            self.called, self._outside = model, nullcontext
            self._step, self._backward = self.optimizer.step, torch.Tensor.backward
        else:
            self._outside = partial(_no_autocast, fabric.device)
            self._step, self._backward = wrapped_optimizer.step, fabric.backward
            for name in _methods(bare(model)):  # what a loss may call instead of the model: `log_prob`, `elbo`, …
                self.called.mark_forward_method(name)

    def set_lr(self, factor: float) -> None:
        """The next updates are made with `factor` times `lr`."""
        for group in self.optimizer.param_groups:
            group["lr"] = factor * self.lr

    def update(self, nats: torch.Tensor) -> tuple[float, bool]:
        """One step against the gradient of `nats` (), and its value; or no step, and False, where one is no number.

        Raises ValueError where no weight of this player has a gradient.
        """
        self.optimizer.zero_grad()
        with self._outside():
            self._backward(nats)
            gradients = [p.grad for p in self.weights if p.grad is not None]
            if not gradients:
                raise ValueError(f"loss: expected one that depends on the weights of this {type(self.model).__name__}")
            value = nats.item()
            if not math.isfinite(value) or (self._judged and not all_finite(gradients)):
                return value, False
            self._step()
        return value, True


def all_finite(tensors: list[torch.Tensor]) -> bool:
    """Whether every number in `tensors` is one: their norms say so at once, and only where these do not, each is asked.

    (Numbers around 1e19 have squares that float32 does not hold.) `torch.nn.utils.get_total_norm` calls the same fused
    kernel, and takes twice as long about it: 1 % of a small model's step.
    """
    norms = torch._foreach_norm(tensors)
    return math.isfinite(torch.stack(norms).sum().item()) or all(bool(t.isfinite().all()) for t in tensors)


def _methods(model):
    """The names of the methods that `model` has beyond those of every module."""
    kind = type(model)
    names = [name for name in dir(kind) if not name.startswith("_") and not hasattr(torch.nn.Module, name)]
    return [name for name in names if inspect.isfunction(getattr(kind, name))]


@contextmanager
def _no_autocast(device):
    """Around backward and step, which autocast is not meant for; then no cast of the old weights is remembered."""
    with torch.autocast(device.type, enabled=False):
        yield
    torch.clear_autocast_cache()


def _started_by_fabric():
    return "LT_CLI_USED" in os.environ
