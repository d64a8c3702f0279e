"""Pictures of videos: films as strips of frames, several at one moment, and what a pixel sees of the frames before."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure

from ..expect import expect_count, expect_titled
from .plots import ACCENT, BLIND, LEAK, QUIET, SEEN, as_array, shown_once

# Ink from 0 (paper) to 1: grey where it was given, blue where it was drawn or expected.
GIVEN = LinearSegmentedColormap.from_list("given", ["white", "#555555"])
DRAWN = LinearSegmentedColormap.from_list("drawn", ["white", SEEN[1]])


def show_film(films: dict, *, given: int = 0, wrong: dict | None = None, first: int = 0, size: float = 0.6) -> Figure:
    """Films {title: (T, H, W) or (T, 1, H, W)}, ink from 0 to 1, each a row of frames whose numbers stand on top.

    The first `given` frames are grey, the others blue; `wrong` {title: (T,) bool} strikes frames out. The first frame's
    number is `first`. Raises ValueError for other shapes, films of different lengths and ink outside 0 … 1.
    """
    films, wrong = _inked(films), {title: as_array("wrong", marks) for title, marks in (wrong or {}).items()}
    (frames,) = {len(film) for film in films.values()}
    sizes = {"figsize": (frames * size + 1.1, len(films) * (size + 0.06) + 0.25), "layout": "constrained"}
    figure, axes = plt.subplots(len(films), frames, squeeze=False, **sizes)
    for row, (title, film) in zip(axes, films.items(), strict=True):
        row[0].text(-0.15, 0.5, title, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
        for t, ax in enumerate(row):
            _show_frame(ax, film[t], given=t < given)
            if title in wrong and wrong[title][t]:
                ax.plot([0, 1], [0, 1], color=ACCENT, lw=1.8, transform=ax.transAxes)
    for t, ax in enumerate(axes[0]):
        ax.set_title(first + t, fontsize=9, color=QUIET, pad=2)
    return shown_once(figure)


def show_moment(films: dict, frame: int, *, given: int = 0, columns: int = 5) -> Figure:
    """One frame of each of the films {title: (T, H, W) or (T, 1, H, W)} beside each other, as `show_film` colours them.

    Raises ValueError as it does, and for a frame that they do not have.
    """
    films = _inked(films)
    expect_count("frame", frame, 0)
    if frame >= (least := min(map(len, films.values()))):
        raise ValueError(f"frame: expected a number below {least}, the frames of the films, got {frame}")
    stills = {title: film[frame] for title, film in films.items()}
    return show_stills(stills, given=films if frame < given else (), columns=columns)


def show_stills(frames: dict, *, given=(), framed: dict | None = None, columns: int = 3, size: float = 1.25) -> Figure:
    """Frames {title: (H, W)}, ink from 0 to 1: those of the titles `given` are grey, the others blue.

    `framed` {title: (row, column)} puts a red frame around a pixel. Raises ValueError for other shapes and other ink.
    """
    films = _inked({title: as_array(f"frames[{title!r}]", frame)[None] for title, frame in frames.items()})
    frames = {title: film[0] for title, film in films.items()}
    columns = min(columns, len(frames))
    rows, lines = -(-len(frames) // columns), max(title.count("\n") + 1 for title in frames)
    sizes = {"figsize": (columns * size, rows * (size + 0.06 + 0.17 * lines)), "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, squeeze=False, **sizes)
    for ax in axes.flat[len(frames) :]:
        ax.axis("off")
    for ax, (title, frame) in zip(axes.flat, frames.items(), strict=False):
        _show_frame(ax, frame, given=title in given)
        ax.set_title(title, fontsize=9)
        if framed and title in framed:
            row, column = framed[title]
            pixel = plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ACCENT, lw=2, clip_on=False)
            ax.add_patch(pixel)
    return shown_once(figure)


def show_past(fields: dict, *, at: tuple, size: float = 1.2) -> Figure:
    """What a pixel sees of a video: rows {title: (T, H, W)}, a strength ≥ 0 for each pixel of each frame.

    `at` (frame, row, column) is the pixel. The colours are `show_fields`'s: blue is seen, the darker the stronger, as a
    share of the row's strongest; orange comes before the pixel and is out of sight; white comes after it, in its own
    frame in raster order, and is red where it is seen all the same. Raises ValueError for other shapes.
    """
    expect_titled("fields", fields, "(T, H, W)")
    fields = {title: as_array(f"fields[{title!r}]", field).astype(float) for title, field in fields.items()}
    shapes = {field.shape for field in fields.values()}
    if len(shapes) != 1 or len(T_H_W := shapes.pop()) != 3:
        raise ValueError(
            f"fields: expected one shape (T, H, W), got {', '.join(str(f.shape) for f in fields.values())}"
        )
    T, H, W = T_H_W
    if min(field.min() for field in fields.values()) < 0:
        raise ValueError("fields: expected strengths ≥ 0, got some below; .abs() makes them so")
    before = np.arange(T * H * W).reshape(T, H, W) < (at[0] * H + at[1]) * W + at[2]
    strengths = ScalarMappable(LogNorm(1e-4, 1), LinearSegmentedColormap.from_list("blue", SEEN))
    sizes = {"figsize": (T * size + 0.9, len(fields) * (size + 0.05) + 1.05), "layout": "constrained"}
    figure, axes = plt.subplots(len(fields), T, squeeze=False, **sizes)
    for row, (title, field) in zip(axes, fields.items(), strict=True):
        share = np.maximum(field / max(field.max(), 1e-300), 1e-4)
        shade = strengths.to_rgba(share.reshape(T * H, W))[..., :3].reshape(T, H, W, 3)  # of 3D it makes no colours
        colours = np.where(before[..., None], shade, to_rgb(LEAK))
        colours = np.where((field > 0)[..., None], colours, np.where(before[..., None], to_rgb(BLIND), 1.0))
        row[0].text(-0.1, 0.5, title, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
        for t, ax in enumerate(row):
            ax.imshow(colours[t], interpolation="none", extent=(0, W, H, 0))
            if t == at[0]:
                ax.plot(at[2] + 0.5, at[1] + 0.5, marker="x", color="black", markersize=6, markeredgewidth=2)
            ax.add_patch(plt.Rectangle((0, 0), W, H, fill=False, color=QUIET))
            ax.axis("off")
    for t, ax in enumerate(axes[0]):
        ax.set_title(f"frame {t}", fontsize=9)
    bar = figure.colorbar(strengths, ax=axes, location="bottom", aspect=40, pad=0.03, extend="min", format="{x:g}")
    bar.set_label("seen: how strongly, as a share of the strongest", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    names = {"out of sight": BLIND, "not drawn yet": "white"}
    if any((field[~before] > 0).any() for field in fields.values()):
        names["future, seen"] = LEAK
    keys = [plt.Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor=QUIET) for colour in names.values()]
    look = {"frameon": False, "fontsize": 9, "columnspacing": 1.2, "handlelength": 1.2}
    figure.legend(keys, names, loc="outside lower center", ncols=3, **look)
    return shown_once(figure)


def _show_frame(ax, ink, *, given):
    ax.imshow(ink, cmap=GIVEN if given else DRAWN, vmin=0, vmax=1, interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color(QUIET)


def _inked(films):
    """Films as arrays (T, H, W) of one length, refused if they are none."""
    expect_titled("films", films, "(T, H, W)")
    arrays = {}
    for title, film in films.items():
        ink = as_array(f"films[{title!r}]", film).astype(float)
        ink = ink[:, 0] if ink.ndim == 4 and ink.shape[1] == 1 else ink
        if ink.ndim != 3 or not ink.size or ink.min() < 0 or ink.max() > 1:
            raise ValueError(f"films[{title!r}]: expected frames (T, H, W) of ink from 0 to 1, got shape {ink.shape}")
        arrays[title] = ink
    if len({len(film) for film in arrays.values()}) > 1:
        raise ValueError(f"films: expected as many frames of each, got {[len(film) for film in arrays.values()]}")
    return arrays
