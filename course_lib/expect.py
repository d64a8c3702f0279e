"""What a public function says when it is given the wrong thing: what it expected, what it got, what to do."""

from collections.abc import Mapping

import torch


def expect_floats(name: str, x: torch.Tensor, shape: tuple) -> None:
    """`x` must be a floating-point tensor of `shape`, in which a string stands for any size: ("B", 2).

    Raises TypeError for another type or dtype, ValueError for another shape; both state expected and given.
    """
    expect_tensor(name, x)
    if not x.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}; {name}.float() converts it")
    _expect_shape(name, x, shape)


def expect_losses(name: str, loss: torch.Tensor, size: int | None) -> None:
    """`loss` must be (B,), one number for each observation of a batch of `size`, if that is known.

    Raises TypeError for what is no tensor, ValueError for another shape, a mean among them.
    """
    expect_tensor(name, loss)
    if loss.ndim != 1 or len(loss) == 0 or size not in (None, len(loss)):
        raise ValueError(
            f"{name}: expected shape ({'B' if size is None else size},), the nats of each observation, got "
            f"{tuple(loss.shape)}; sum over all other axes, and leave the mean over the batch to `fit`"
        )


def expect_levels(name: str, x: torch.Tensor, shape: tuple, levels: int) -> None:
    """`x` must hold integer levels 0 … `levels` − 1 (dtype long) in `shape`, as in `expect_floats`.

    Raises TypeError for another type or dtype, ValueError for another shape or range.
    """
    expect_tensor(name, x)
    if x.dtype != torch.long:
        raise TypeError(f"{name}: expected levels as torch.long, got {x.dtype}; {name}.long() converts whole numbers")
    _expect_shape(name, x, shape)
    if x.numel() and not (x.min() >= 0 and x.max() < levels):
        raise ValueError(f"{name}: expected levels 0 to {levels - 1}, got {x.min()} to {x.max()}")


def expect_bools(name: str, x: torch.Tensor) -> None:
    """`x` must be a tensor of true and false. Raises TypeError that says how to make one."""
    expect_tensor(name, x)
    if x.dtype != torch.bool:
        raise TypeError(f"{name}: expected torch.bool, got {x.dtype}; {name}.bool() is true where it is not 0")


def expect_count(name: str, n: int, least: int = 1) -> None:
    """`n` must be a whole number of `least` or more. Raises TypeError for another type, ValueError below."""
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"{name}: expected a whole number ≥ {least}, got {type(n).__name__} {n!r}")
    if n < least:
        raise ValueError(f"{name}: expected a whole number ≥ {least}, got {n}")


def expect_titled(name: str, things, each: str) -> None:
    """`things` must be a dict {title: `each`} of one thing or more. Raises TypeError, ValueError for an empty one."""
    if not isinstance(things, Mapping):
        raise TypeError(f"{name}: expected {{title: {each}}}, got {type(things).__name__}; give each a title in a dict")
    if not things:
        raise ValueError(f"{name}: expected {{title: {each}}} of one or more, got an empty one")


def expect_one_of(name: str, value, options) -> None:
    """`value` must be one of `options`. Raises ValueError that lists them."""
    if value not in tuple(options):
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, options))}, got {value!r}")


def expect_generator(generator: torch.Generator, *, on_cpu: bool = False) -> None:
    """`generator` must be a torch.Generator, with `on_cpu` one on the CPU: there, a seed gives the same everywhere.

    Raises TypeError for another type, ValueError for another device; both say how to make one.
    """
    if not isinstance(generator, torch.Generator):
        given = type(generator).__name__
        raise TypeError(f"generator: expected a torch.Generator, got {given}; make_generator(seed) makes one")
    if on_cpu and generator.device.type != "cpu":
        raise ValueError(
            f"generator: expected one on the CPU, got one on {generator.device}; make_generator(seed) makes one, "
            "and what is drawn can then be moved with .to(device)"
        )


def expect_tensor(name: str, x) -> None:
    """`x` must be a tensor at all. Raises TypeError that names what it is instead."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {type(x).__name__}; torch.as_tensor({name}) makes one")


def fits(got: tuple, shape: tuple) -> bool:
    """Whether the sizes `got` are those of `shape`, in which a string stands for any size."""
    return len(got) == len(shape) and all(isinstance(s, str) or s == n for s, n in zip(shape, got, strict=True))


def _expect_shape(name, x, shape):
    if not fits(tuple(x.shape), shape):
        expected = ", ".join(str(s) for s in shape)
        raise ValueError(f"{name}: expected shape ({expected}), got {tuple(x.shape)}")
