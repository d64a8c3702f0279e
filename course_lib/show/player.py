"""What a function shows, caught as a frame; and the frames of a whole grid as one self-contained piece of HTML."""

import base64
import contextlib
import hashlib
import html
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio
from matplotlib.figure import Figure
from PIL import Image

# Frames have 1.5 pixels for each CSS pixel: 1 looks blurred on a phone, 2 costs nearly twice the bytes of 1.5 and
# the eye hardly sees it.
PIXELS_PER_CSS_PIXEL = 1.5
MAX_PLAYER_BYTES = 400_000
MAX_STRIP_WIDTH = 4096  # pixels; phones decode an image of this width quickly and without scaling it down


@dataclass(frozen=True)
class Frame:
    """What a function shows at one position of its sliders.

    `kind` is "figure" (`data`: PNG bytes), "sound" (`data`: bytes of type `mime`), "html" or "text" (`data`: str).
    """

    kind: str
    data: bytes | str
    mime: str

    def to_html(self, alt: str) -> str:
        """One HTML element that shows the frame and says `alt` to those who do not see it."""
        words = html.escape(alt)
        if self.kind == "figure":
            return _img(self.data, self.mime, words)
        if self.kind == "sound":
            return (
                f'<audio controls preload="metadata" aria-label="{words}" src="{_uri(self.data, self.mime)}"></audio>'
            )
        if self.kind == "html":
            # It may be wider than a phone: then it scrolls, and the keyboard must be able to reach it to scroll.
            return f'<div role="group" aria-label="{words}" tabindex="0" style="overflow-x: auto">{self.data}</div>'
        # The line break after <pre> is not shown; without it a text that begins with one would lose it.
        return f'<pre role="group" aria-label="{words}">\n{html.escape(self.data)}</pre>'


def render(function: Callable, values: dict) -> Frame:
    """Call `function(**values)` and catch what it shows.

    That is what it returns (a figure, a sound, a string, anything with `_repr_html_`); if it returns None, the one
    pyplot figure it drew, or else the text it printed. Its figures are closed afterwards, also when it raises.
    Raises TypeError if nothing of this can be shown, and whatever `function` raises.
    """
    before = set(plt.get_fignums())
    printed = io.StringIO()
    try:
        # The rc setting: a figure cut to its contents ("tight") changes its size as a slider moves.
        with plt.ioff(), plt.rc_context({"savefig.bbox": None}):
            with contextlib.redirect_stdout(printed):
                shown = function(**values)
            drawn = [number for number in plt.get_fignums() if number not in before]
            if shown is None and len(drawn) == 1:
                shown = plt.figure(drawn[0])
            return _frame(shown, printed.getvalue(), len(drawn))
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def player(frames: Sequence[Frame], sliders: Sequence[dict], alt: str) -> str:
    """HTML that shows `frames` under sliders, with no kernel, no server and no network.

    A slider is `{"name": str, "label": str, "words": [str, …], "start": int}`; `frames` has one frame for each
    position, the last slider moving fastest. The root element is `<div class="course-player" data-positions="81" …>`.
    Without JavaScript it shows the start frame. The same arguments give the same HTML.
    Raises ValueError if frames differ in kind or size, or if the HTML is larger than `MAX_PLAYER_BYTES`.
    """
    start = frames[np.ravel_multi_index([s["start"] for s in sliders], [len(s["words"]) for s in sliders])]
    kinds = sorted({frame.kind for frame in frames})
    if len(kinds) > 1:
        raise ValueError(f"expected the same kind of frame at every position, got {' and '.join(kinds)}")
    unique = list(dict.fromkeys(frames))  # equal frames are stored once
    data = {"kind": start.kind, "alt": alt, "sliders": list(sliders)}
    said = ", ".join(f"{s['label']} = {s['words'][s['start']]}" for s in sliders)
    if start.kind == "figure":
        unique.remove(start)
        data |= {"patches": _patches(unique, start), "size": _pixels(start).shape[1::-1]}
        number = {start: -1} | {frame: n for n, frame in enumerate(unique)}
        shown = _img(_webp(_pixels(start)), "image/webp", html.escape(f"{alt}; {said}"))
    else:
        data["frames"] = [_uri(f.data, f.mime) if f.kind == "sound" else f.data for f in unique]
        number = {frame: n for n, frame in enumerate(unique)}
        shown = start.to_html(f"{alt}; {said}")
    data["positions"] = [number[frame] for frame in frames]
    # "<" must not end the script early, whatever a label or a text contains.
    code = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = _fill(
        positions=str(len(frames)),
        kind=start.kind,
        id=hashlib.sha256(code.encode()).hexdigest()[:12],
        alt=html.escape(alt),
        start=shown,
        data=code,
    )
    size = len(page.encode())
    if size > MAX_PLAYER_BYTES:
        raise ValueError(
            f"expected a player of at most {MAX_PLAYER_BYTES // 1000} kB, got {size / 1000:.0f} kB in {len(frames)} "
            f"positions, {len(set(frames))} of them different; make the {start.kind} smaller or take fewer positions"
        )
    return page


def _frame(shown, printed, drawn):
    if shown is None and printed:
        return Frame("text", printed.removesuffix("\n"), "text/plain")
    print(printed, end="")  # something else is shown: what was printed besides goes where it would have gone
    if isinstance(shown, Figure):
        picture = io.BytesIO()
        dpi = PIXELS_PER_CSS_PIXEL * shown.dpi
        shown.savefig(picture, format="png", dpi=dpi, metadata={"Software": None})
        plt.close(shown)
        return Frame("figure", picture.getvalue(), "image/png")
    if isinstance(shown, Audio) and isinstance(shown.data, bytes):
        return Frame("sound", shown.data, shown.mimetype)
    if isinstance(shown, str):
        return Frame("text", shown, "text/plain")
    as_html = getattr(shown, "_repr_html_", None)
    if as_html and not isinstance(shown, (type, Audio)) and isinstance(written := as_html(), str):
        return Frame("html", written, "text/html")
    if isinstance(shown, Audio):
        given = "an Audio without data"
    elif shown is None:
        given = f"None, nothing printed, and {drawn} new pyplot figures"
    else:
        given = f"{type(shown).__name__}"
    raise TypeError(
        "expected a function that returns a figure, a string, HTML or a sound with its data, or draws one new figure, "
        f"or prints; got {given}. Return what is to be seen, and leave out plt.show(), which shows it elsewhere"
    )


def _pixels(frame):
    """(H, W, 3), uint8, on white."""
    picture = Image.open(io.BytesIO(frame.data)).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(paper, picture).convert("RGB"))


def _patches(frames, start):
    """Where `frames` differ from the figure `start`, as strips of patches side by side.

    A pixel that is as in `start` is transparent in the patch. So what never changes, such as a thousand points
    behind one that moves, is stored once and not once a position: 70 kB instead of 450 in a plane of 27 positions.
    """
    base = _pixels(start)
    changed = np.zeros(base.shape[:2], bool)
    for frame in frames:
        pixels = _pixels(frame)
        if pixels.shape != base.shape:
            raise ValueError(
                f"expected figures of one size, got {base.shape[1]}×{base.shape[0]} and "
                f"{pixels.shape[1]}×{pixels.shape[0]} pixels; give the figure the same figsize at every position"
            )
        changed |= (pixels != base).any(-1)
    if not frames:
        return {"x": 0, "y": 0, "width": 0, "height": 0, "perStrip": 1, "strips": []}
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    per_strip = max(1, MAX_STRIP_WIDTH // int(right - left))

    def patch(frame):
        pixels = _pixels(frame)
        differs = (pixels != base).any(-1, keepdims=True)
        return np.concatenate([pixels * differs, differs * np.uint8(255)], axis=-1)[top:bottom, left:right]

    strips = [
        _uri(_webp(np.concatenate([patch(frame) for frame in frames[n : n + per_strip]], axis=1)), "image/webp")
        for n in range(0, len(frames), per_strip)
    ]
    size = {"width": int(right - left), "height": int(bottom - top)}
    return {"x": int(left), "y": int(top), **size, "perStrip": per_strip, "strips": strips}


def _webp(pixels):
    # Lossless. More effort (quality 100, method 6) saves up to a third and takes ten times as long.
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "WEBP", lossless=True, quality=75, method=4)
    return picture.getvalue()


def _img(data, mime, escaped_alt):
    width, height = (round(n / PIXELS_PER_CSS_PIXEL) for n in Image.open(io.BytesIO(data)).size)
    # Width and height keep the place while the picture loads, so that the page does not jump.
    size = f'width="{width}" height="{height}" style="max-width: 100%; height: auto"'
    return f'<img alt="{escaped_alt}" {size} src="{_uri(data, mime)}">'


def _uri(data, mime):
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _fill(**parts):
    page = resources.files("course_lib").joinpath("player.html").read_text(encoding="utf-8")
    before, *places = page.split("{{")
    filled = [before]
    for place in places:  # split first, then fill: what is filled in may itself contain {{
        name, after = place.split("}}", 1)
        filled += [parts[name], after]
    return "".join(filled)
