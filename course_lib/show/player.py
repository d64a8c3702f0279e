"""What a function shows, caught as a frame; and the frames of a whole grid as one self-contained piece of HTML."""

import contextlib
import hashlib
import html
import io
import json
from collections.abc import Callable, Sequence
from importlib import resources

import matplotlib.pyplot as plt
import numpy as np

from .frames import Frame, Markup, Text
from .pictures import Picture
from .slider import Slider, describe
from .sounds import Sound

KINDS = (Text, Picture, Sound, Markup)  # the first that knows what was shown takes it: HTML is the last resort
MAX_PLAYER_BYTES = 400_000


def render(function: Callable, values: dict) -> Frame:
    """Call `function(**values)` and catch what it shows.

    That is what it returns (a figure, a sound, a string, anything with `_repr_html_`, a `Frame` of any kind); if it
    returns None, the one pyplot figure it drew, or else the text it printed. Its figures are closed afterwards, also
    when it raises.
    Raises TypeError if nothing of this can be shown, and whatever `function` raises.
    """
    before = set(plt.get_fignums())
    printed = io.StringIO()
    try:
        with plt.ioff(), contextlib.redirect_stdout(printed):
            shown = function(**values)
        drawn = [number for number in plt.get_fignums() if number not in before]
        if shown is None and len(drawn) == 1:
            shown = plt.figure(drawn[0])
        if shown is None and printed.getvalue():
            return Text(printed.getvalue().removesuffix("\n"))
        print(printed.getvalue(), end="")  # what was printed besides goes where it would have gone
        if isinstance(shown, Frame):
            return shown
        for kind in KINDS:
            if frame := kind.of(shown):
                return frame
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)
    given = type(shown).__name__
    if shown is None:
        given = f"None, nothing printed, and {len(drawn)} new pyplot figures"
    raise TypeError(
        "expected a function that returns a figure, a string, HTML or a sound with its data, or draws one new figure, "
        f"or prints; got {given}. Return what is to be seen, and leave out plt.show(), which shows it elsewhere"
    )


def player(frames: Sequence[Frame], sliders: Sequence[Slider], alt: str) -> str:
    """HTML that shows `frames` under sliders, with no kernel, no server and no network.

    `frames` has one frame for each position, the last slider moving fastest. The root element is `<div
    class="course-player" data-positions="81" …>`. Without JavaScript it shows the start frame. The same arguments give
    the same HTML. Raises ValueError if frames differ in kind or size, or if the HTML is larger than `MAX_PLAYER_BYTES`.
    """
    kinds = {type(frame) for frame in frames}
    if len(kinds) > 1:
        names = " and ".join(sorted(kind.kind for kind in kinds))
        raise ValueError(f"expected the same kind of frame at every position, got {names}")
    (kind,) = kinds
    start = frames[np.ravel_multi_index([s.start for s in sliders], [len(s.values) for s in sliders])]
    unique = list(dict.fromkeys([start, *frames]))  # equal frames are stored once
    number = {frame: n for n, frame in enumerate(unique)}
    data = {
        "alt": alt,
        "steady": kind.steady,
        "sliders": [{"name": s.name, "label": s.label, "words": s.words, "start": s.start} for s in sliders],
        "positions": [number[frame] for frame in frames],
        "frames": kind.store(unique),
    }
    # "<" must not end the script early, whatever a label or a text contains.
    code = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = _fill(
        positions=str(len(frames)),
        kind=kind.kind,
        id=hashlib.sha256((kind.kind + code).encode()).hexdigest()[:12],
        alt=html.escape(alt),
        start=start.to_html(describe(alt, sliders, {s.name: s.values[s.start] for s in sliders})),
        script=kind.script,
        data=code,
    )
    size = len(page.encode())
    if size > MAX_PLAYER_BYTES:
        raise ValueError(
            f"expected a player of at most {MAX_PLAYER_BYTES // 1000} kB, got {size / 1000:.0f} kB in {len(frames)} "
            f"positions, {len(unique)} of them different; make the {kind.kind} smaller or take fewer positions"
        )
    return page


def _fill(**parts):
    page = resources.files(__package__).joinpath("player.html").read_text(encoding="utf-8")
    before, *places = page.split("{{")
    filled = [before]
    for place in places:  # split first, then fill: what is filled in may itself contain {{
        name, after = place.split("}}", 1)
        filled += [parts[name], after]
    return "".join(filled)
