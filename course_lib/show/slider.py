"""A slider: a parameter of a function, the values that it takes, and the words in which a reader sees them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Slider:
    """The parameter `name` takes plain Python `values`, beside which stands `label`; it starts at the `start`th."""

    name: str
    label: str
    values: tuple
    start: int

    @classmethod
    def of(cls, name: str, values: Sequence, label: str | None = None, start=None) -> "Slider":
        """Take numbers (list, array, tensor, range) or strings as values; ints stay ints. `start` is one of them.

        Raises TypeError for what is no sequence or holds anything else; ValueError for no value, for one twice, for
        one that is NaN, for a tuple that `interact` of ipywidgets would take as (min, max) or (min, max, step), and for
        a start that is none of the values.
        """
        advice = f"write {name}=[first, second, …] or {name}=np.linspace(-3, 3, 9)"
        if isinstance(values, (str, bytes, dict, set, frozenset)) or not hasattr(values, "__iter__"):
            raise TypeError(f"{name}: expected a sequence of values, got {values!r}; {advice}")
        if spelled := _as_interact_means(values):
            raise ValueError(
                f"{name}: expected a sequence of values, got {values!r}, which may be a few values, or a range as for "
                f"ipywidgets' interact; write {name}={list(values)!r} for the values, {name}={spelled} for the range"
            )
        values = values.tolist() if hasattr(values, "tolist") else list(values)
        if not isinstance(values, list):
            raise TypeError(f"{name}: expected a sequence of values, got the single {values!r}; {advice}")
        values = [v.item() if hasattr(v, "item") and getattr(v, "ndim", 0) == 0 else v for v in values]
        if not values:
            raise ValueError(f"{name}: expected at least one value, got none; {advice}")
        if wrong := [v for v in values if not isinstance(v, (bool, int, float, str))]:
            raise TypeError(f"{name}: expected numbers or strings, got {type(wrong[0]).__name__}; {advice}")
        if any(v != v for v in values):
            raise ValueError(f"{name}: expected numbers or strings, got NaN, where no slider can stand; leave it out")
        seen = set()
        for v in values:
            if v in seen:
                raise ValueError(f"{name}: expected different values, got {v!r} twice; leave one out")
            seen.add(v)
        if start is not None and start not in values:
            raise ValueError(f"start: expected one of the values of {name}, got {start!r}; they are {values}")
        middle = len(values) // 2
        return cls(name, label or name, tuple(values), middle if start is None else values.index(start))

    @cached_property
    def words(self) -> list[str]:
        """The values as a reader sees them: 0.5, −1, 1e−05; with as many digits as it takes to tell them apart."""
        largest = max((abs(v) for v in self.values if isinstance(v, float) and math.isfinite(v)), default=0.0)
        for smallest in (1e-12 * largest, 0.0):  # what is smaller is what np.linspace leaves of a zero
            for digits in range(4, 18):
                words = [_word(v, digits, smallest) for v in self.values]
                if len(set(words)) == len(words):
                    return words
        return words


def describe(alt: str, sliders: Sequence[Slider], position: Mapping) -> str:
    """What there is to see at a position {name: value}: "the decoded image; z₁ = 0.5, z₂ = −1"."""
    said = (f"{s.label} = {s.words[s.values.index(position[s.name])]}" for s in sliders)
    return f"{alt}; {', '.join(said)}"


def _as_interact_means(values):
    """The range that a tuple is for `interact`: (0, 10, 1) → "range(0, 11)"; None if it can only be values."""
    if not isinstance(values, tuple) or len(values) not in (2, 3):
        return None
    if not all(isinstance(v, (int, float)) and type(v) is not bool and math.isfinite(v) for v in values):
        return None
    low, high = values[:2]
    step = values[2] if len(values) == 3 else (high - low) / 10
    if not 0 < step <= high - low:
        return None  # (8, 16, 32)
    if all(isinstance(v, int) for v in values):
        return f"range({low}, {high + 1}{f', {step}' if values[2:] and step > 1 else ''})"
    steps = math.floor((high - low) / step + 1e-9)
    return f"np.linspace({low}, {low + steps * step:.10g}, {steps + 1})"


def _word(value, digits, smallest):
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        value = 0.0 if abs(value) < smallest else value
        value = f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"
    return str(value).replace("-", "−")
