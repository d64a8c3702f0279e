"""Sliders that live everywhere: in a kernel they call a function, on a published page they show what it gave."""

import html
import inspect
import itertools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence

import ipywidgets

from course_lib.show.player import Frame, player, render


def explore(
    function: Callable, /, *, alt: str | None = None, labels: dict[str, str] | None = None, **sliders: Sequence
) -> "Exploration":
    """Sliders over the arguments of `function`, and below or above them what it shows: an `Exploration`.

        explore(show_digit_at, z1=np.linspace(-3, 3, 9), z2=np.linspace(-3, 3, 9), alt="the decoded image")

    `function` takes one value of each slider by keyword, as a plain int, float, bool or str, and shows something:
    it returns or draws a figure, returns a string, HTML or a sound (`IPython.display.Audio`), or prints. A slider
    holds numbers (list, array, tensor, range) or strings, and starts in the middle. `alt` says what there is to see
    (default: the first line of the function's docstring); `labels` has the words beside a slider (default: its name).
    A figure is shown whole and not cut to its contents, so that it stands still: draw it with layout="constrained".

    With the environment variable COURSE_PUBLISH=1 every position is rendered at once and the output carries a
    player for the page as well; otherwise only the position that is looked at costs time.

    Raises TypeError or ValueError for arguments that cannot be explored, whatever `function` raises in the middle of
    its sliders, and, when publishing, ValueError if the player is too large.
    """
    if not callable(function):
        raise TypeError(f"function: expected a function, got {type(function).__name__}; write its name without ()")
    if not sliders:
        raise ValueError("sliders: expected at least one, got none; for instance z=np.linspace(-3, 3, 9)")
    grid = {name: _slider_values(name, values) for name, values in sliders.items()}
    _check_parameters(function, grid)
    labels = labels or {}
    if unknown := [name for name in labels if name not in grid]:
        raise ValueError(f"labels: expected names of the sliders ({', '.join(grid)}), got {', '.join(unknown)}")
    return Exploration(function, grid, alt or _what_it_shows(function), {name: labels.get(name, name) for name in grid})


class Exploration:
    """What `explore` returns. A notebook shows its sliders; a test can call `frames()` to visit all positions."""

    def __init__(self, function: Callable, grid: dict[str, list], alt: str, labels: dict[str, str]):
        self.function, self.grid, self.alt, self.labels = function, grid, alt, labels
        self.positions = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        self._words = {name: dict(zip(values, _words(values), strict=True)) for name, values in grid.items()}
        self.sliders = {name: self._slider(name) for name in grid}
        first = self.value()  # here an exception is the cell's: it must not hide in the widget
        self.view = ipywidgets.HTML(first.to_html(self.describe(self.position)))
        # As in the player: text changes its height, so its sliders stand above it, where they stay put.
        parts = [*self.sliders.values(), self.view]
        self.widget = ipywidgets.VBox(parts if first.kind in ("text", "html") else [self.view, *parts[:-1]])
        self._page = None
        if _publishing():
            self.player()  # now, not when the cell's output is shown: there an exception would not stop the notebook

    @property
    def position(self) -> dict:
        """Where the sliders stand: one value a slider."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def describe(self, position: dict) -> str:
        """The alt text at a position: "the decoded image; z1 = 0.5, z2 = −1"."""
        said = ", ".join(f"{self.labels[name]} = {self._words[name][value]}" for name, value in position.items())
        return f"{self.alt}; {said}"

    def value(self, **values) -> Frame:
        """What the function shows at `values`; a slider that is not given stays where it stands."""
        position = self.position | values
        try:
            return render(self.function, position)
        except Exception as error:
            error.add_note("explored at " + ", ".join(f"{name} = {value!r}" for name, value in position.items()))
            raise

    def frames(self) -> Iterator[Frame]:
        """What the function shows at each of `positions`, in their order."""
        return (self.value(**position) for position in self.positions)

    def player(self) -> str:
        """The self-contained HTML for a published page; rendered once. Raises ValueError as `player.player` does."""
        if self._page is None:
            sliders = [
                {
                    "name": name,
                    "label": self.labels[name],
                    "words": list(self._words[name].values()),
                    "start": len(values) // 2,
                }
                for name, values in self.grid.items()
            ]
            self._page = player(list(self.frames()), sliders, self.alt)
        return self._page

    def __repr__(self) -> str:
        counts = " × ".join(f"{len(values)} {self.labels[name]}" for name, values in self.grid.items())
        return f"Exploration of {self.alt}: {counts}. Run the cell to move the sliders."

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = self.widget._repr_mimebundle_() | {"text/plain": repr(self)}
        return bundle | {"text/html": self.player()} if _publishing() else bundle

    def _slider(self, name):
        options = [(word, value) for value, word in self._words[name].items()]
        slider = ipywidgets.SelectionSlider(
            options=options,
            index=len(options) // 2,
            description=self.labels[name],
            continuous_update=True,
            style={"description_width": f"{max(map(len, self.labels.values()))}ch"},
            layout={"width": "min(100%, 36rem)"},
        )
        slider.observe(self._show, names="value")
        return slider

    def _show(self, change):
        where = self.describe(self.position)
        try:
            self.view.value = self.value().to_html(where)
        except Exception as error:
            lines = html.escape("".join(traceback.format_exception(error)))
            message = html.escape(f"{type(error).__name__}: {error}\nat {where}")
            self.view.value = (
                f'<pre role="alert">{message}</pre><details><summary>Traceback</summary><pre>{lines}</pre></details>'
            )


def _publishing():
    return os.environ.get("COURSE_PUBLISH") == "1"


def _slider_values(name, values):
    """The values of a slider as plain Python values; ints stay ints."""
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
    return values


def _check_parameters(function, grid):
    """Every slider has its parameter, and every parameter its slider or a default. Raises TypeError otherwise."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return
    Kind = inspect.Parameter
    by_keyword = [p for p in parameters if p.kind in (Kind.POSITIONAL_OR_KEYWORD, Kind.KEYWORD_ONLY)]
    names = [p.name for p in by_keyword]
    name = getattr(function, "__name__", repr(function))
    takes_any = any(p.kind is Kind.VAR_KEYWORD for p in parameters)
    if not takes_any and (unknown := [n for n in grid if n not in names]):
        raise TypeError(
            f"{name} takes ({', '.join(names)}), got a slider for {', '.join(unknown)}; rename or remove it"
        )
    required = [
        p for p in parameters if p.default is Kind.empty and p.kind not in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)
    ]
    if missing := [p.name for p in required if p.name not in grid]:
        raise TypeError(f"{name} needs {', '.join(missing)}, got sliders for {', '.join(grid)}; add one or a default")


def _what_it_shows(function):
    """The first line of its docstring without the full stop; or its name in words."""
    first = (inspect.getdoc(function) or "").split("\n")[0].rstrip(".")
    return first or getattr(function, "__name__", "result").removeprefix("show_").replace("_", " ")


def _words(values):
    """The values as a reader sees them: 0.5, −1, 1e−05; with as many digits as it takes to tell them apart."""
    numbers = [abs(v) for v in values if isinstance(v, float)]
    for digits in range(4, 18):
        words = [_word(v, digits, max(numbers, default=0.0)) for v in values]
        if len(set(words)) == len(words):
            break
    return words


def _word(value, digits, largest):
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        value = 0.0 if abs(value) < 1e-12 * largest else value  # what np.linspace leaves of a zero
        value = f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"
    return str(value).replace("-", "−")
