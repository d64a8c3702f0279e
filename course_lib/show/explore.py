"""Sliders that live everywhere: in a kernel they call a function, on a published page they show what it gave."""

import functools
import html
import inspect
import itertools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence

import ipywidgets
from IPython.display import display

from .catch import WIDGET, render
from .frames import Frame
from .player import player
from .slider import Slider, describe


def explore(
    function: Callable,
    /,
    *,
    alt: str | None = None,
    labels: dict[str, str] | None = None,
    start: dict | None = None,
    **sliders: Sequence,
) -> "Exploration":
    """Sliders over the arguments of `function`, and below or above them what it shows: an `Exploration`.

        explore(show_digit_at, z1=np.linspace(-3, 3, 9), z2=np.linspace(-3, 3, 9), alt="the decoded image")

    `function` takes one value of each slider by keyword, as a plain int, float, bool or str, and shows something:
    it returns or draws a figure, returns a string, an image, HTML (an animation's too), a sound or a table, displays
    or prints; a number or an array is shown as text (`show_images` makes a picture of an array). A slider holds
    numbers (list, array, tensor, range) or strings, and starts in the middle, or at the value that `start` has for
    it. `alt` says what there is to see (default: the first line of the function's docstring); `labels` has the words
    beside a slider (default: its name).
    A figure is shown whole and not cut to its contents, so that it stands still: draw it with layout="constrained".

    With the environment variable COURSE_PUBLISH=1 every position is rendered at once and the output carries a
    player for the page as well; otherwise only the position that is looked at costs time.

    Raises TypeError or ValueError for arguments that cannot be explored, whatever `function` raises in the middle of
    its sliders; ImportError if ipywidgets is older than 8; and, when publishing, ValueError if the player is too large
    or needs the network.
    """
    if int(ipywidgets.__version__.split(".")[0]) < 8:
        raise ImportError(
            f"expected ipywidgets 8 or newer, got {ipywidgets.__version__}; install it with "
            '`pip install -U "ipywidgets>=8"`, then restart the kernel'
        )
    if not callable(function):
        raise TypeError(f"function: expected a function, got {type(function).__name__}; write its name without ()")
    if not sliders:
        raise ValueError("sliders: expected at least one, got none; for instance z=np.linspace(-3, 3, 9)")
    labels, start = labels or {}, start or {}
    made = [Slider.of(name, values, labels.get(name), start.get(name)) for name, values in sliders.items()]
    _check_parameters(function, sliders)
    for what, given in {"labels": labels, "start": start}.items():
        if unknown := [name for name in given if name not in sliders]:
            raise ValueError(f"{what}: expected names of the sliders ({', '.join(sliders)}), got {', '.join(unknown)}")
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
        controls, hide = [*self.controls.values()], ipywidgets.HTML(layout={"display": "none"})
        self.widget = ipywidgets.VBox([hide, self.view, *controls] if first.steady else [hide, *controls, self.view])
        self.still = f"course-still-{self.widget.model_id}"  # the class of what is shown where there is no widget
        hide.value = f"<style>.{self.still} {{ display: none }}</style>"
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

    def _ipython_display_(self):
        """In a kernel, two outputs: the picture as it is now, and the widget, which hides that picture while it lives.

        One output would not do: JupyterLab shows nothing but an error for a widget whose kernel is gone.
        """
        if _publishing():
            raise NotImplementedError  # so IPython asks for the mimebundle, of which a page takes the player
        bundle = self._repr_mimebundle_()
        picture = f'<div class="{self.still}">{bundle["text/html"]}</div>'
        display({"text/html": picture, "text/plain": repr(self)}, raw=True)
        display({WIDGET: bundle[WIDGET], "text/plain": " "}, raw=True)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        page = self.player() if _publishing() else f"{self.view.value}<p><em>{html.escape(repr(self))}</em></p>"
        return {"text/plain": repr(self), "text/html": page, WIDGET: self.widget._repr_mimebundle_()[WIDGET]}

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
    name = _name(function) or "function"
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
    function = _behind(function)
    documented = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    first = inspect.cleandoc(documented.__doc__ or "").split("\n")[0].rstrip(".")  # not what a base class says
    return first or (_name(function) or "result").removeprefix("show_").replace("_", " ")


def _name(function):
    """What its writer called it; None for a lambda."""
    function = _behind(function)
    name = getattr(function, "__name__", type(function).__name__)
    return None if name == "<lambda>" else name


def _behind(function):
    """The function in a `functools.partial`, whose own docstring is about partials."""
    while isinstance(function, functools.partial):
        function = function.func
    return function
