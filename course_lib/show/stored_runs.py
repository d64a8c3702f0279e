"""What a command of `benchmarks/` stored: rows of several seeds, and the sentences and tables that rest on them."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path

PERCENT = "%"  # as a format: a share in per cent, without the sign
DASH = "\u2060–\u2060"  # in a table: narrow, and no line ends at it


class StoredRuns:
    """The rows of a JSON file {"rows": [{"kind": …, "name": …, "seed": …, …}, …]}, by kind and name."""

    def __init__(self, path: Path):
        self.rows = json.loads(path.read_text("utf-8"))["rows"]

    def where(self, **columns) -> "StoredRuns":
        """Only the rows that hold these values: `runs.where(times=3)`. Raises KeyError where none does."""
        found = copy(self)
        found.rows = [row for row in self.rows if all(row.get(name) == value for name, value in columns.items())]
        if not found.rows:
            raise KeyError(f"no rows where {columns}")
        return found

    def of(self, kind: str, name: str, what: str | Callable) -> list:
        """The values of all seeds, by seed; `what` is a column, or a function of a row.

        Raises KeyError where no row has this kind and name, and for a column that they lack.
        """
        rows = [row for row in self.rows if (row["kind"], row["name"]) == (kind, name)]
        if not rows:
            near = sorted({row["name"] for row in self.rows if row["kind"] == kind})
            raise KeyError(
                f"no rows of kind {kind!r} and name {name!r}; names of this kind: {', '.join(near) or 'none'}"
            )
        rows.sort(key=lambda row: row["seed"])
        if any(a["seed"] == b["seed"] for a, b in pairwise(rows)):
            raise ValueError(f"kind {kind!r}, name {name!r}: expected one row a seed, got two")
        return [what(row) if callable(what) else row[what] for row in rows]

    def span(self, kind: str, name: str, what: str | Callable, form: str = ".1f") -> str:
        """From the least of all seeds to the most: "3 to 5"; one number where both are written alike."""
        return " to ".join(self._ends(kind, name, what, form))

    def cell(self, kind: str, name: str, what: str | Callable, form: str = ".1f") -> str:
        """As `span`, for a table: "3–5"."""
        return DASH.join(self._ends(kind, name, what, form))

    def _ends(self, kind, name, what, form):
        values = self.of(kind, name, what)
        return dict.fromkeys(self._written(v, form) for v in (min(values), max(values)))  # each once

    @staticmethod
    def _written(value, form):
        text = f"{100 * value:.0f}" if form == PERCENT else format(value, form)
        if not text.strip("-0."):  # no number is −0
            text = text.removeprefix("-")
        return text.replace("-", "−")

    def table(self, kind: str, names: Mapping[str, str] | Sequence[str], columns: Mapping[str, str]) -> list[list[str]]:
        """A row for each name, its word first, then the `cell` of each column {column: format}.

        `names` may be {name: word}. A cell is empty where the rows have no such column.
        """
        words = names if isinstance(names, Mapping) else dict(zip(names, names, strict=True))
        table = []
        for name, word in words.items():
            has = set.intersection(*self.of(kind, name, set))
            table.append([word, *(self.cell(kind, name, c, f) if c in has else "" for c, f in columns.items())])
        return table

    def below(self, kind: str, first: str, second: str, what: str | Callable, times: float = 1) -> bool:
        """Is the first name's value below `times` the second's, in each seed? ValueError where their seeds differ."""
        seeds = [self.of(kind, name, "seed") for name in (first, second)]
        if seeds[0] != seeds[1]:
            raise ValueError(f"expected the same seeds of {first!r} and {second!r}, got {seeds[0]} and {seeds[1]}")
        pairs = zip(self.of(kind, first, what), self.of(kind, second, what), strict=True)
        return all(a < times * b for a, b in pairs)
