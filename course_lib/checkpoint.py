"""What a training run leaves behind: its history, and a file that carries model and history across sessions."""

import os
import pickle
import threading
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch


@dataclass
class History:
    """What happened: `loss` in nats per observation, one a step; `valid` pairs (step, nats); and how long it took."""

    loss: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0  # how many were asked for; len(loss) of them are done
    resume: dict = field(default_factory=dict, repr=False)  # optimiser and generator, as the last step left them

    def __repr__(self):
        last = self.loss[-50:]
        nats = f", {sum(last) / len(last):.2f} nats over the last {len(last)}" if last else ""
        return f"History: {len(self.loss)} of {self.steps} steps{nats}"


def save(path: str | Path, model: torch.nn.Module, history: History | None = None) -> None:
    """Write model (its class's name, config and weights) and history to one file, whole or not at all.

    The file appears under `path` only when it is complete, so a crash, a full disk or a second writer never leaves
    half a checkpoint. Raises OSError as the disk does.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    record = {
        "model": type(model).__name__,
        "config": asdict(model.config),
        "weights": model.state_dict(),
        "history": vars(history or History()),
    }
    try:
        torch.save(record, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load(path: str | Path, model: torch.nn.Module) -> History:
    """Read a checkpoint of `save` into `model`, which must be of the same class and config; returns its History.

    Nothing in the file is executed: torch's `weights_only` reader takes tensors and plain values, and no code.
    Raises ValueError, leaving `model` as it was, for a file that is no checkpoint, that carries code, or that holds
    another model; FileNotFoundError where there is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on how a foreign file was pickled: we refuse it anyway
            record = torch.load(path, map_location="cpu", weights_only=True)
        held = record["model"], record["config"]
        weights, history = record["weights"], History(**record["history"])
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a checkpoint that `save` wrote, or carries code; it was refused and nothing in it was run"
        ) from error
    wanted = type(model).__name__, asdict(model.config)
    if held != wanted:
        raise ValueError(f"{path} holds another model: expected {wanted[0]} {wanted[1]}, got {held[0]} {held[1]}")
    model.load_state_dict(weights)
    return history
