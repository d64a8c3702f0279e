"""A slider: a parameter of a function, the values that it takes, and the words in which a reader sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Slider:
    """The parameter `name` takes plain Python `values`, beside which stands `label`; it starts in the middle."""

    name: str
    label: str
    values: tuple

    @classmethod
    def of(cls, name: str, values: Sequence, label: str | None = None) -> "Slider":
        """Take numbers (list, array, tensor, range) or strings as values; ints stay ints.

        Raises TypeError for what is no sequence or holds anything else, ValueError for none and for a value twice.
        """
        advice = f"write {name}=[first, second, …] or {name}=np.linspace(-3, 3, 9)"
        if isinstance(values, (str, bytes, dict, set, frozenset)) or not hasattr(values, "__iter__"):
            raise TypeError(f"{name}: expected a sequence of values, got {values!r}; {advice}")
        values = values.tolist() if hasattr(values, "tolist") else list(values)
        if not isinstance(values, list):
            raise TypeError(f"{name}: expected a sequence of values, got the single {values!r}; {advice}")
        values = [v.item() if hasattr(v, "item") and getattr(v, "ndim", 0) == 0 else v for v in values]
        if not values:
            raise ValueError(f"{name}: expected at least one value, got none; {advice}")
        if wrong := [v for v in values if not isinstance(v, (bool, int, float, str))]:
            raise TypeError(f"{name}: expected numbers or strings, got {type(wrong[0]).__name__}; {advice}")
        if doubles := [v for n, v in enumerate(values) if v in values[:n]]:
            raise ValueError(f"{name}: expected different values, got {doubles[0]!r} twice; leave one out")
        return cls(name, label or name, tuple(values))

    @property
    def start(self) -> int:
        """Where it starts, as an index of `values`."""
        return len(self.values) // 2

    @property
    def words(self) -> list[str]:
        """The values as a reader sees them: 0.5, −1, 1e−05; with as many digits as it takes to tell them apart."""
        largest = max((abs(v) for v in self.values if isinstance(v, float)), default=0.0)
        for digits in range(4, 18):
            words = [_word(v, digits, largest) for v in self.values]
            if len(set(words)) == len(words):
                break
        return words


def describe(alt: str, sliders: Sequence[Slider], position: Mapping) -> str:
    """What there is to see at a position {name: value}: "the decoded image; z₁ = 0.5, z₂ = −1"."""
    said = (f"{s.label} = {s.words[s.values.index(position[s.name])]}" for s in sliders)
    return f"{alt}; {', '.join(said)}"


def _word(value, digits, largest):
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        value = 0.0 if abs(value) < 1e-12 * largest else value  # what np.linspace leaves of a zero
        value = f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"
    return str(value).replace("-", "−")
