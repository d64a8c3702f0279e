"""Where the batches of a training run come from: tensors, of which some rows are drawn, or whatever makes its own."""

from collections.abc import Callable, Iterable

import torch

from ..expect import expect_count

Data = torch.Tensor | tuple[torch.Tensor, ...]


def draw_from(data: Data | Callable | Iterable, batch_size: int | None, generator: torch.Generator) -> Callable:
    """A function that gives the next batch of what `Session.batches` takes; an iterable's end raises StopIteration."""
    if isinstance(data, torch.Tensor | tuple):
        expect_count("batch_size", batch_size)
        tensors = as_tensors("data", data)

        def draw():
            index = torch.randint(len(tensors[0]), (batch_size,), device=generator.device, generator=generator)
            batch = tuple(t[index.to(t.device)] for t in tensors)
            return batch if isinstance(data, tuple) else batch[0]

        return draw
    if batch_size is not None:
        raise ValueError(f"batch_size: expected none beside data that makes its own batches, got {batch_size}")
    if not (callable(data) or isinstance(data, Iterable)):
        kind = type(data).__name__
        raise TypeError(f"data: expected tensors, a function that gives a batch, or an iterable of them, got {kind}")
    return data if callable(data) else iter(data).__next__


def as_tensors(name: str, data: Data) -> tuple[torch.Tensor, ...]:
    """`data` as a tuple. Raises ValueError where it is no tensors, or where they differ in length or have none."""
    data = data if isinstance(data, tuple) else (data,)
    sizes = [len(t) if isinstance(t, torch.Tensor) and t.ndim else type(t).__name__ for t in data]
    if not sizes or len(set(sizes)) > 1 or not isinstance(sizes[0], int) or sizes[0] == 0:
        raise ValueError(f"{name}: expected tensors of one common, positive length, got {sizes}")
    return data


def size_of(batch) -> int | None:
    """B, the length of a batch's first tensor; None where a batch is something else."""
    first = batch[0] if isinstance(batch, tuple | list) and batch else batch
    return len(first) if isinstance(first, torch.Tensor) and first.ndim else None
