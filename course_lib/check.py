"""Checks for a notebook. When one fails, its message says what was expected, what came, and what is usually wrong."""

import math
from collections.abc import Callable
from contextlib import contextmanager

import torch

from .expect import expect_levels, fits

ROWS_AT_ONCE = 512  # in one pass of a model under test: enough to be fast, few enough for a small machine
ROUNDING = 1e-5  # of the largest logit: float32 keeps 7 digits, and another size of batch may cost the last of them


def assert_shape(x: torch.Tensor, shape: tuple, *, name: str = "x") -> None:
    """`x` is a tensor of `shape`, in which a string stands for any size: ("B", 2).

    Raises AssertionError with both shapes and the usual cause of the difference.
    """
    wanted = "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    if not isinstance(x, torch.Tensor):
        raise AssertionError(f"{name}: expected a tensor of shape {wanted}, got {_kind(x)}.{_missing(x)}")
    got = tuple(x.shape)
    if not fits(got, shape):
        raise AssertionError(f"{name}: expected shape {wanted}, got {got}.{_shape_hint(got, tuple(shape))}")


def assert_close(got, expected, *, tolerance: float = 1e-4, name: str = "result") -> None:
    """`got` equals `expected` (numbers or tensors of one shape) up to `tolerance`, relative where |expected| > 1.

    Raises AssertionError with the number that is furthest off, and the usual cause of such a difference.
    """
    if not isinstance(got, (int, float, torch.Tensor)):
        raise AssertionError(f"{name}: expected a number or a tensor, got {_kind(got)}.{_missing(got)}")
    got, expected = (_in_64_bits(value) for value in (got, expected))
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


def _in_64_bits(value):  # as_tensor alone would round Python's floats to 32
    kept = None if isinstance(value, torch.Tensor) else torch.float64
    return torch.as_tensor(value, dtype=kept).detach().cpu().double()


def assert_causal(model: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """The logits of `model(x)` at position t depend on x[:, :t] only: x (B, T) long -> logits (B, T, V).

    An image, x (B, C, H, W) long -> logits (B, C, H, W, V), is read as a sentence of C·H·W positions: row by row from
    the left, and at each pixel channel after channel (red, then green, then blue).

    It is tried out: each position in turn gets another level, and we look whose logits move. That takes T passes of
    the batch, so a few sentences or images are enough. The model is asked in eval mode and left in the mode it was in.

    Raises AssertionError that says which position sees what it must not see, or that no position sees its past;
    TypeError and ValueError for an `x` that holds neither sentences nor images.
    """
    if isinstance(x, torch.Tensor) and x.ndim == 3:
        raise ValueError(f"x: expected shape (B, T), got {tuple(x.shape)}; of images, (B, C, H, W)")
    image = isinstance(x, torch.Tensor) and x.ndim == 4
    expect_levels("x", x, ("B", "C", "H", "W") if image else ("B", "T"), math.inf)  # the logits will say of how many
    B, *sizes = x.shape
    if B < 1 or math.prod(sizes) < 2:
        kind, parts = ("image", "values") if image else ("sentence", "positions")
        raise ValueError(f"x: expected at least one {kind} of at least two {parts}, got shape {tuple(x.shape)}")
    with torch.no_grad(), _eval_mode(model):
        logits = model(x)
        assert_shape(logits, (B, *sizes, "V"), name="model(x)")
        V = logits.shape[-1]
        if V < 2 or logits.isnan().any():
            raise AssertionError(f"model(x): expected numbers for two levels or more, got V = {V}, or NaN among them.")
        expect_levels("x", x, tuple(x.shape), V)
        if image:
            moved = _moved(_painter(model, sizes), x.permute(0, 2, 3, 1).flatten(1), _as_sentence(logits))
        else:
            moved = _moved(model, x, logits)
    future, itself = moved.tril(-1).nonzero(), moved.diagonal().nonzero().expand(-1, 2)
    for s, t in torch.cat([future, itself]).tolist():
        raise AssertionError(_pixel_sees(s, t, *sizes) if image else _position_sees(s, t))
    if not moved.any():
        usual = "does a mask hide everything" if image else "is the state passed on from one position to the next"
        raise AssertionError(
            "no logits change, whatever stands before them: the model ignores its past. "
            f"Hint: is x used at all, and {usual}?"
        )


def _position_sees(s, t):
    """What is wrong when the logits at t change with x at s ≥ t, and what usually does that."""
    sees, hint = "what it has to predict", "shift the inputs by one: a start token, then x[:, :-1]"
    if s > t:
        sees = "the future"
        hint = "a bidirectional layer, attention without a mask, or a shift to the wrong side does that"
    return f"position {t}'s logits change when x at position {s} changes: the model sees {sees}. Hint: {hint}."


def _pixel_sees(s, t, C, H, W):
    """The same for images, where s and t count the channels of all pixels."""
    whose, when = f"pixel {divmod(t // C, W)}'s logits", f"pixel {divmod(s // C, W)}"
    if C > 1:
        whose, when = f"{whose} of channel {t % C}", f"channel {s % C} of {when}"
    sees = "the future" if s > t else "what it has to predict"
    if s // C > t // C:
        hint = "a convolution without a mask, or a shift to the wrong side, does that"
    elif C == 1:
        hint = "the first layer needs mask A; mask B sees the pixel itself and is for those after it"
    else:
        hint = "of its own pixel, red sees nothing, green sees red, blue sees both: mask A in the first layer, then B"
    return f"{whose} change when {when} changes: the model sees {sees}. Hint: {hint}."


def _painter(model, sizes):
    """A model of images (C, H, W) as one of sentences: (N, T) long -> (N, T, V)."""
    C, H, W = sizes
    return lambda x: _as_sentence(model(x.unflatten(1, (H, W, C)).permute(0, 3, 1, 2).contiguous()))


def _as_sentence(logits):  # (B, C, H, W, V) -> (B, T, V)
    return logits.movedim(1, 3).flatten(1, 3)


@contextmanager
def _eval_mode(model):
    """Every layer in eval mode (no dropout), and each back in its own afterwards; a plain function has none."""
    modes = {layer: layer.training for layer in model.modules()} if isinstance(model, torch.nn.Module) else {}
    try:
        for layer in modes:
            layer.training = False
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training


def _moved(model, x, logits):
    """(T, T) bool: in row s, whose logits a change of x at position s moves, in any sentence of the batch."""
    B, T, V = logits.shape
    other = (x + 1 + torch.arange(B, device=x.device)[:, None] % (V - 1)) % V  # not x, and not the same in every row
    here, found = torch.eye(T, dtype=torch.bool, device=x.device)[:, None], []
    for part in here.split(max(1, ROWS_AT_ONCE // B)):
        changed = model(torch.where(part, other, x).flatten(0, 1)).unflatten(0, (-1, B))  # (S, B, T, V)
        found.append((changed - logits).abs().masked_fill(changed == logits, 0).amax((1, 3)))  # ∞ − ∞ is no change
    largest = logits.masked_fill(logits.isinf(), 0).abs().max()
    return ~(torch.cat(found) <= ROUNDING * largest)


def _kind(x):
    return "None" if x is None else f"a {type(x).__name__}"


def _missing(x):
    return " Hint: does every path through the function end in `return`?" if x is None else ""


def _shape_hint(got, shape):
    """The usual cause of a wrong shape, or nothing."""
    if not got:
        return " Hint: the sum or mean went over all dimensions, the batch too; flatten(1).sum(1) leaves the batch."
    if len(got) == len(shape) > 1 and fits(got[::-1], shape):
        return " Hint: it is transposed."
    if len(got) == len(shape) - 1 and fits(got, shape[1:]):
        return " Hint: the batch dimension is missing; x[None] adds one, x[:1] keeps one."
    if len(got) > len(shape) and fits(tuple(n for n in got if n != 1), tuple(s for s in shape if s != 1)):
        return " Hint: there is a dimension of size 1 too many; squeeze(dim), or an index, removes it."
    if len(got) > len(shape) and fits(got[: len(shape)], shape):
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
