"""The frames of a whole grid of sliders as one self-contained piece of HTML."""

import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources

import numpy as np

from .frames import Frame
from .slider import Slider, describe

MAX_PLAYER_BYTES = 400_000


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
