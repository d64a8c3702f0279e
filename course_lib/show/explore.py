"""Sliders that live everywhere: in a kernel they call a function, on a published page they show what it gave."""

import html
import inspect
import itertools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence

import ipywidgets

from .frames import Frame
from .player import player, render
from .slider import Slider, describe


def explore(
    function: Callable, /, *, alt: str | None = None, labels: dict[str, str] | None = None, **sliders: Sequence
) -> "Exploration":
    """Sliders over the arguments of `function`, and below or above them what it shows: an `Exploration`.

        explore(show_digit_at, z1=np.linspace(-3, 3, 9), z2=np.linspace(-3, 3, 9), alt="the decoded image")

    `function` takes one value of each slider by keyword, as a plain int, float, bool or str, and shows something:
    it returns or draws a figure, returns a string, HTML or a sound, or prints. A slider
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
    labels = labels or {}
    made = [Slider.of(name, values, labels.get(name)) for name, values in sliders.items()]
    _check_parameters(function, sliders)
    if unknown := [name for name in labels if name not in sliders]:
        raise ValueError(f"labels: expected names of the sliders ({', '.join(sliders)}), got {', '.join(unknown)}")
    return Exploration(function, made, alt or _what_it_shows(function))


class Exploration:
    """What `explore` returns. A notebook shows its sliders; a test can call `frames()` to visit all positions."""

    def __init__(self, function: Callable, sliders: Sequence[Slider], alt: str):
        self.function, self.sliders, self.alt = function, sliders, alt
        names, values = [s.name for s in sliders], [s.values for s in sliders]
        self.positions = [dict(zip(names, at, strict=True)) for at in itertools.product(*values)]
        self.controls = {s.name: self._control(s) for s in sliders}  # the sliders on the screen of a notebook
        first = self.value()  # here an exception is the cell's: it must not hide in the widget
        self.view = ipywidgets.HTML(first.to_html(self.describe(self.position)))
        controls = [*self.controls.values()]
        self.widget = ipywidgets.VBox([self.view, *controls] if first.steady else [*controls, self.view])
        self._page = None
        if _publishing():
            self.player()  # now, not when the cell's output is shown: there an exception would not stop the notebook

    @property
    def position(self) -> dict:
        """Where the sliders stand: one value a slider."""
        return {name: control.value for name, control in self.controls.items()}

    def describe(self, position: dict) -> str:
        """The alt text at a position: "the decoded image; z1 = 0.5, z2 = −1"."""
        return describe(self.alt, self.sliders, position)

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
            self._page = player(list(self.frames()), self.sliders, self.alt)
        return self._page

    def __repr__(self) -> str:
        counts = " × ".join(f"{len(s.values)} {s.label}" for s in self.sliders)
        return f"Exploration of {self.alt}: {counts}. Run the cell to move the sliders."

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = self.widget._repr_mimebundle_() | {"text/plain": repr(self)}
        return bundle | {"text/html": self.player()} if _publishing() else bundle

    def _control(self, slider):
        control = ipywidgets.SelectionSlider(
            options=list(zip(slider.words, slider.values, strict=True)),
            index=slider.start,
            description=slider.label,
            continuous_update=True,
            style={"description_width": f"{max(len(s.label) for s in self.sliders)}ch"},
            layout={"width": "min(100%, 36rem)"},
        )
        control.observe(self._show, names="value")
        return control

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


def _check_parameters(function, sliders):
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
    if not takes_any and (unknown := [n for n in sliders if n not in names]):
        raise TypeError(
            f"{name} takes ({', '.join(names)}), got a slider for {', '.join(unknown)}; rename or remove it"
        )
    required = [
        p for p in parameters if p.default is Kind.empty and p.kind not in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)
    ]
    if missing := [p.name for p in required if p.name not in sliders]:
        raise TypeError(
            f"{name} needs {', '.join(missing)}, got sliders for {', '.join(sliders)}; add one or a default"
        )


def _what_it_shows(function):
    """The first line of its docstring without the full stop; or its name in words."""
    first = (inspect.getdoc(function) or "").split("\n")[0].rstrip(".")
    return first or getattr(function, "__name__", "result").removeprefix("show_").replace("_", " ")
