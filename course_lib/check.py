"""Checks for a notebook. When one fails, its message says what was expected, what came, and what is usually wrong."""

import math

import torch


def assert_shape(x: torch.Tensor, shape: tuple, *, name: str = "x") -> None:
    """`x` is a tensor of `shape`, in which a string stands for any size: ("B", 2).

    Raises AssertionError with both shapes and the usual cause of the difference.
    """
    wanted = "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    if not isinstance(x, torch.Tensor):
        raise AssertionError(f"{name}: expected a tensor of shape {wanted}, got {_kind(x)}.{_missing(x)}")
    got = tuple(x.shape)
    if not _fits(got, shape):
        raise AssertionError(f"{name}: expected shape {wanted}, got {got}.{_shape_hint(got, tuple(shape))}")


def assert_close(got, expected, *, tolerance: float = 1e-4, name: str = "result") -> None:
    """`got` equals `expected` (numbers or tensors of one shape) up to `tolerance`, relative where |expected| > 1.

    Raises AssertionError with the number that is furthest off, and the usual cause of such a difference.
    """
    if not isinstance(got, (int, float, torch.Tensor)):
        raise AssertionError(f"{name}: expected a number or a tensor, got {_kind(got)}.{_missing(got)}")
    got, expected = (torch.as_tensor(value).detach().cpu().double() for value in (got, expected))
    assert_shape(got, tuple(expected.shape), name=name)
    if not got.numel():
        return
    if got.isnan().any() and not expected.isnan().any():
        raise AssertionError(
            f"{name}: {int(got.isnan().sum())} of {got.numel()} numbers are NaN, not a number. "
            "Hint: look for the logarithm of a negative number, for 0/0, or for inf − inf."
        )
    error = ((got - expected).abs() / expected.abs().clamp(min=1)).masked_fill(got == expected, 0)
    worst = int(error.argmax())
    if error.flatten()[worst] <= tolerance:
        return
    where = f" at {[int(i) for i in torch.unravel_index(torch.tensor(worst), got.shape)]}" if got.ndim else ""
    a, b = got.flatten()[worst].item(), expected.flatten()[worst].item()
    raise AssertionError(f"{name}: expected {b:.6g}{where}, got {a:.6g}.{_value_hint(got, expected, tolerance)}")


def _fits(got, shape):
    return len(got) == len(shape) and all(isinstance(s, str) or s == n for s, n in zip(shape, got, strict=True))


def _kind(x):
    return "None" if x is None else f"a {type(x).__name__}"


def _missing(x):
    return " Hint: does every path through the function end in `return`?" if x is None else ""


def _shape_hint(got, shape):
    """The usual cause of a wrong shape, or nothing."""
    if not got:
        return " Hint: the sum or mean went over all dimensions, the batch too; flatten(1).sum(1) leaves the batch."
    if len(got) == len(shape) > 1 and _fits(got[::-1], shape):
        return " Hint: it is transposed."
    if len(got) == len(shape) - 1 and _fits(got, shape[1:]):
        return " Hint: the batch dimension is missing; x[None] adds one, x[:1] keeps one."
    if len(got) > len(shape) and _fits(tuple(n for n in got if n != 1), tuple(s for s in shape if s != 1)):
        return " Hint: there is a dimension of size 1 too many; squeeze(dim), or an index, removes it."
    if len(got) > len(shape) and _fits(got[: len(shape)], shape):
        return f" Hint: the last {len(got) - len(shape)} dimensions are still to be summed (or averaged) away."
    return ""


def _value_hint(got, expected, tolerance):
    """The usual cause of wrong numbers, or nothing. A cause must explain all of them, and not just the worst."""

    def explained(other):
        return torch.allclose(got, other, rtol=max(tolerance, 1e-4), atol=1e-9)

    if got.isinf().any() and not expected.isinf().any():
        return " Hint: infinite; look for the logarithm of 0, or for a division by 0."
    if not expected.any():
        return ""
    if explained(-expected):
        return " Hint: the sign is wrong."
    if explained(expected / math.log(2)):
        return " Hint: these are bits; the natural logarithm (torch.log) gives nats."
    if explained(expected * math.log(2)):
        return " Hint: divided by ln 2 once too often, or multiplied by it."
    largest = expected.abs().argmax()
    ratio = (expected.flatten()[largest] / got.flatten()[largest]).item()
    for factor, says in ((ratio, "small"), (1 / ratio if ratio else math.inf, "large")):
        # a single number is a small multiple of another by chance too often; several are not
        likely = 1.5 < factor < 1e6 if got.numel() > 1 else 7.5 < factor < 5000
        if likely and abs(factor - round(factor)) < 0.01 and explained(expected / ratio):
            turned = "a mean where a sum is meant" if says == "small" else "a sum where a mean is meant"
            return f" Hint: too {says} by a factor of {round(factor)}: {turned}?"
    if got.ndim > 1 and got.shape[0] == got.shape[1] and explained(expected.transpose(0, 1)):
        return " Hint: it is transposed."
    if explained(expected**2):
        return " Hint: this is the square; a root is missing."
    return ""
