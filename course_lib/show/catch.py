"""What a function shows, caught as a frame: what it returns; or what it draws, prints or displays meanwhile."""

import contextlib
from collections.abc import Callable

import matplotlib.pyplot as plt
from IPython.lib.pretty import pretty
from IPython.utils.capture import RichOutput, capture_output

from .frames import Frame, Text, representation
from .markup import Markup
from .pictures import Bitmap, Picture
from .sounds import Sound

KINDS = (Text, Picture, Sound, Markup, Bitmap)  # the first that knows what was shown takes it
WIDGET = "application/vnd.jupyter.widget-view+json"
CLEARED = "\033[2K\r"  # what IPython's clear_output prints where it cannot clear


def render(function: Callable, values: dict) -> Frame:
    """Call `function(**values)` and catch what it shows, as a notebook would show it.

    That is what it returns: a figure or anything drawn in one, a sound, a string, an image, a `Frame` of any kind,
    anything with a `_repr_…_` that can be seen. If it returns none of these, the one pyplot figure it drew; else what
    it displayed or printed; or, as text, whatever else it returned: a number, an array. Its figures are closed
    afterwards, also when it raises; plt.show() inside it shows nothing.
    Raises TypeError if nothing of this can be shown, and whatever `function` raises.
    """
    before = set(plt.get_fignums())
    try:
        with plt.ioff(), _without_plt_show(), capture_output(stderr=False) as caught:
            shown = function(**values)
        drawn = [number for number in plt.get_fignums() if number not in before]
        printed = caught.stdout.rpartition(CLEARED)[2]
        elsewhere = caught.outputs
        displayed = [output for output in elsewhere if WIDGET not in output.data]  # no progress bars
        frame = _frame(shown, drawn)
        if frame is None and shown is None and len(displayed) == 1:
            frame = _frame(displayed[0], ())
            elsewhere = [output for output in elsewhere if frame is None or output is not displayed[0]]
        if frame is None and shown is None and printed:
            frame, printed = Text(printed.removesuffix("\n")), ""
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)
    print(printed, end="")  # what was printed or displayed besides goes where it would have gone
    for output in elsewhere:
        if not (isinstance(frame, Picture) and "image/png" in output.data):  # a picture's twin would never move
            output.display()
    if frame:
        return frame
    given = type(shown).__name__
    if shown is None:
        given = f"None, {len(drawn)} new pyplot figures, {len(displayed)} things displayed and nothing printed"
    raise TypeError(
        "expected a function that returns a figure, an image, a string, HTML, a sound with its data or numbers, or "
        f"that draws one new figure, displays one thing or prints; got {given}. Return the one thing to be seen"
    )


def _frame(shown, drawn):
    """What was returned, or else the one figure that was drawn meanwhile, as a frame; None if it cannot be seen."""
    if isinstance(shown, Frame):
        return shown
    if frame := _of_a_kind(shown):
        return frame
    data = representation(shown, "_repr_mimebundle_", include=None, exclude=None) or {}
    if WIDGET in data:
        return None  # of a widget there is at most a picture that would not move
    if frame := _of_a_kind(RichOutput(data)):
        return frame
    if len(drawn) == 1:
        return _of_a_kind(plt.figure(drawn[0]))
    if shown is None or isinstance(shown, type) or drawn:
        return None
    words = data.get("text/plain") or pretty(shown)
    return None if words.startswith("<") or " at 0x" in words else Text(words)  # "<function f at 0x7f…>"


def _of_a_kind(shown):
    return next((frame for kind in KINDS if (frame := kind.of(shown))), None)


@contextlib.contextmanager
def _without_plt_show():
    """plt.show() ends the cells of many; in a notebook it would draw the figure beside the sliders, and close it."""
    show, plt.show = plt.show, lambda *_, **__: None
    try:
        yield
    finally:
        plt.show = show
