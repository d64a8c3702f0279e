"""What a training run leaves behind: its history, and a file that carries models and history across sessions."""

import io
import os
import pickle
import threading
import warnings
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch


@dataclass
class History:
    """What happened: `loss` in nats per observation, one a step; `valid` pairs (step, nats); and how long it took.

    Of several players, `losses` has each one's by its name, NaN where a step was not its own; `loss` is the first's.
    """

    loss: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0  # how many were asked for; len(loss) of them are done
    resume: dict = field(default_factory=dict, repr=False)  # optimisers and generator, as the last step left them
    losses: dict[str, list[float]] = field(default_factory=dict)

    def __repr__(self):
        parts = [f"History: {len(self.loss)} of {self.steps} steps"]
        for name, losses in (self.losses or {"": self.loss}).items():
            last = [nats for nats in losses[-50:] if nats == nats]
            if last:
                parts.append(f"{name} {sum(last) / len(last):.2f} nats over the last {len(last)}".strip())
        return ", ".join(parts)

    def add(self, nats: list[float], names: list[str]) -> None:
        """One more step with its losses; `names` says whose they are, where there are several players."""
        self.loss.append(nats[0])
        for name, its in zip(names, nats, strict=bool(names)):
            self.losses.setdefault(name, []).append(its)

    def cut(self, step: int) -> None:
        """Forget all that came after `step`."""
        self.loss = self.loss[:step]
        self.losses = {name: losses[:step] for name, losses in self.losses.items()}
        self.valid = [(at, nats) for at, nats in self.valid if at <= step]

    def latest(self) -> str:
        """The losses of the last step, for a progress bar."""
        if not self.losses:
            return f"{self.loss[-1]:.2f} nats"
        return ", ".join(f"{name} {losses[-1]:.2f}" for name, losses in self.losses.items()) + " nats"


Models = torch.nn.Module | dict[str, torch.nn.Module]

# Where a wrapper holds its model. By name, since the import of torch.compile's alone takes a second.
WRAPPERS = {"OptimizedModule": "_orig_mod", "_FabricModule": "module", "DistributedDataParallel": "module"}


def save(path: str | Path, model: Models, history: History | None = None) -> None:
    """Write model (its class's name, config and weights) and history to one file, whole or not at all.

    Several models, {name: model}, stand in it side by side. The file appears under `path` only when it is complete,
    so a crash, a full disk or a second writer never leaves half a checkpoint. Raises OSError as the disk does.
    Of a compiled model, or one inside a wrapper of Fabric's, it is the model itself that is written.
    """
    model = bare(model)
    name, config = _identity(model)
    record = {
        "model": name,
        "config": config,
        "weights": _each(model, lambda m: m.state_dict()),
        "history": vars(history or History()),
    }
    part = _part_of(path)
    try:
        torch.save(record, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def expect_can_save(path: str | Path, model: Models) -> None:
    """What would make `save` fail at the end of a long run is an error now: a folder, a config.

    Raises OSError where no file can be written, TypeError for a model whose config is no dataclass of plain values.
    """
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        fault = "is a folder" if path.is_dir() else f"lies in {path.parent}, and there is no such folder"
        raise FileNotFoundError(f"checkpoint: expected the path of a file in an existing folder; {path} {fault}")
    part = _part_of(path)
    try:
        part.touch()
    except OSError as error:
        raise type(error)(error.errno, f"checkpoint: nothing can be written beside {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    buffer = io.BytesIO()
    try:
        torch.save(_identity(bare(model)), buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except (AttributeError, TypeError, pickle.PickleError) as error:
        raise TypeError(
            "checkpoint: expected every model to have a `config`, a dataclass of numbers, strings, lists and the like, "
            f"from which it can be made again ({error}); without checkpoint= it trains as it is"
        ) from error


def load(path: str | Path, model: Models) -> History:
    """Read a checkpoint of `save` into `model`, which must be of the same class and config; returns its History.

    Nothing in the file is executed: torch's `weights_only` reader takes tensors and plain values, and no code.
    Raises ValueError, leaving `model` as it was, for a file that is no checkpoint or a damaged one, that carries code,
    or that holds another model; FileNotFoundError where there is none.
    """
    model = bare(model)
    try:
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():  # the checksums that torch wrote: it does not read them itself
                raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on how a foreign file was pickled: we refuse it anyway
            record = torch.load(path, map_location="cpu", weights_only=True)
        held = record["model"], record["config"]
        weights, history = record["weights"], History(**record["history"])
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, LookupError, TypeError, ValueError, OSError) as e:
        raise ValueError(
            f"{path} is not a checkpoint that `save` wrote, or is damaged, or carries code ({e}); it was refused and "
            "nothing in it was run"
        ) from e
    wanted = _identity(model)
    if held != wanted:
        raise ValueError(f"{path} holds another model: expected {wanted[0]} {wanted[1]}, got {held[0]} {held[1]}")
    pairs = [(model[name], weights[name]) for name in model] if isinstance(model, dict) else [(model, weights)]
    for one, its in pairs:
        learnt = dict(one.named_parameters())  # a buffer may have another size: a mixture's has none before `fit`
        sizes, held = ({n: n in learnt and tuple(t.shape) for n, t in w.items()} for w in (one.state_dict(), its))
        if sizes != held:
            differ = sorted(name for name in sizes.keys() | held.keys() if sizes.get(name) != held.get(name))
            raise ValueError(
                f"{path} holds the weights of another version of {type(one).__name__}, and is of no use to this one: "
                f"{', '.join(differ)} differ in name or shape"
            )
    for one, its in pairs:
        one.load_state_dict(its)
    return history


def _each(model, value_of):
    """`value_of` a model, or {name: value} of several: one alone stands in the file as it always did."""
    if isinstance(model, dict):
        return {name: value_of(one) for name, one in model.items()}
    return value_of(model)


def bare(model):
    """The model, or {name: model}, without what `torch.compile` and Fabric have put around it."""
    if isinstance(model, dict):
        return {name: bare(one) for name, one in model.items()}
    while inside := WRAPPERS.get(type(model).__name__):
        model = getattr(model, inside)
    return model


def _identity(model):
    return _each(model, lambda m: type(m).__name__), _each(model, lambda m: asdict(m.config))


def _part_of(path):
    path = Path(path)
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
