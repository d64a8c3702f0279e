"""Pictures of arrays: images in a grid, what a pixel sees, curves."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter

from ..expect import expect_titled

# Ten hues that stay apart for colour-blind readers and on white and dark pages; one a digit, everywhere.
DIGIT_COLOURS = [
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccaa22",
    "#55bbdd",
    "#aa3377",
    "#777777",
    "#ee8822",
    "#22aa99",
    "#885522",
]
ACCENT, QUIET = "#cc3311", "#8899aa"
# What a pixel sees (weakly, strongly), what it misses, and what it must not see.
SEEN, BLIND, LEAK = ("#dbe8f7", "#0d408c"), "#fab859", "#cc1a1a"


def show_images(
    images,
    *,
    columns: int | None = None,
    titles=None,
    crossed=None,
    framed=None,
    rows: list[str] | None = None,
    size: float = 0.85,
    caption: str | None = None,
) -> Figure:
    """A grid of images, each `size` inches wide: (N, 1, H, W) or (N, H, W), ink from 0 (paper) to 16, or in colour.

    Colour is (N, H, W, 3), red, green and blue from 0 to 1. `titles` (N,) stand above the images; `crossed` (N,) bool
    strikes images out: a judge says that they are no digits; `framed` (N,) holds a pixel (row, column) of each image to
    put a frame around, or None; `rows` are words to the left of each row, `caption` stands below them all. Raises
    ValueError for other shapes.
    """
    images = as_array("images", images)
    colour = images.ndim == 4 and images.shape[3] == 3 and images.dtype.kind == "f"
    if (not colour and (images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[1] != 1))) or len(images) == 0:
        raise ValueError(
            f"images: expected shape (N, 1, H, W) or (N, H, W), or in colour floats (N, H, W, 3), with N ≥ 1, "
            f"got {images.shape} of {images.dtype}"
        )
    images = images if colour else images.reshape(-1, *images.shape[-2:])
    titles = titles.tolist() if isinstance(titles, torch.Tensor) else titles
    for name, each in {"titles": titles, "crossed": crossed, "framed": framed}.items():
        if each is not None and len(each) != len(images):
            raise ValueError(f"{name}: expected one for each of the {len(images)} images, got {len(each)}")
    columns = columns or min(len(images), 10)
    count = -(-len(images) // columns)
    if rows is not None and len(rows) != count:
        raise ValueError(f"rows: expected words for each of the {count} rows, got {len(rows)}")
    height = count * (size + (0.1 if titles is None else 0.3)) + (0 if caption is None else 0.25)
    width = columns * size + (0.08 * max(len(line) for name in rows for line in name.split("\n")) if rows else 0)
    figure, axes = plt.subplots(count, columns, figsize=(width, height), layout="constrained", squeeze=False)
    for ax, name in zip(axes[:, 0], rows or (), strict=False):
        ax.text(-0.1, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=9)
    for n, ax in enumerate(axes.flat):
        ax.axis("off")
        if n >= len(images):
            continue
        ax.imshow(images[n], cmap="gray_r", vmin=0, vmax=16)
        if titles is not None:
            ax.set_title(titles[n], fontsize=9)
        if crossed is not None and crossed[n]:
            ax.plot([0, 1], [0, 1], color=ACCENT, lw=1.5, transform=ax.transAxes)
        if framed is not None and framed[n] is not None:
            row, column = framed[n]
            frame = {"fill": False, "edgecolor": DIGIT_COLOURS[0], "lw": 2, "clip_on": False}
            ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    if caption is not None:
        figure.supxlabel(caption, fontsize=9)
    return shown_once(figure)


def show_fields(fields: dict, *, at: tuple, columns: int = 3, size: float = 1.75) -> Figure:
    """What a model sees from the pixel `at` (row, column): panels {title: (H, W)}, each a strength ≥ 0 for each pixel.

    A colour means the same in each picture. Blue is seen, the darker the stronger, as a share of the panel's strongest,
    on a scale of four powers of ten; orange comes before the pixel in raster order and is out of sight; white is not
    painted yet; red is not painted yet and is seen: the model cheats. Raises ValueError for other shapes and for
    negative strengths.
    """
    expect_titled("fields", fields, "(H, W)")
    fields = {title: as_array(f"fields[{title!r}]", field).astype(float) for title, field in fields.items()}
    for title, field in fields.items():
        if field.ndim != 2 or not field.size:
            raise ValueError(f"fields[{title!r}]: expected shape (H, W), a strength for each pixel, got {field.shape}")
        if field.min() < 0:
            raise ValueError(f"fields[{title!r}]: expected strengths ≥ 0, got {field.min():g}; .abs() makes them so")
    columns = min(columns, len(fields))
    rows = -(-len(fields) // columns)
    sizes = {"figsize": (max(columns * size, 3.9), rows * (size + 0.25) + 0.95), "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, squeeze=False, **sizes)
    strengths = ScalarMappable(LogNorm(1e-4, 1), LinearSegmentedColormap.from_list("blue", SEEN))
    cheats = False
    for ax in axes.flat:
        ax.axis("off")
    for ax, (title, field) in zip(axes.flat, fields.items(), strict=False):
        before = np.arange(field.size).reshape(field.shape) < at[0] * field.shape[1] + at[1]
        shade = strengths.to_rgba(np.maximum(field / max(field.max(), 1e-300), 1e-4))[..., :3]
        colours = np.where(before[..., None], shade, to_rgb(LEAK))
        colours = np.where((field > 0)[..., None], colours, np.where(before[..., None], to_rgb(BLIND), 1.0))
        cheats = cheats or (field[~before] > 0).any()
        ax.imshow(colours, interpolation="none", extent=(0, field.shape[1], field.shape[0], 0))
        ax.plot(at[1] + 0.5, at[0] + 0.5, marker="x", color="black", markersize=7, markeredgewidth=2)
        ax.add_patch(plt.Rectangle((0, 0), field.shape[1], field.shape[0], fill=False, color=QUIET))
        ax.set_title(title, fontsize=10)
    bar = figure.colorbar(strengths, ax=axes, location="bottom", aspect=30, pad=0.02, extend="min", format="{x:g}")
    bar.set_label("seen: how strongly, as a share of the strongest", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    names = {"out of sight": BLIND, "not painted yet": "white"} | ({"future, seen": LEAK} if cheats else {})
    keys = [plt.Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor=QUIET) for colour in names.values()]
    look = {"frameon": False, "fontsize": 9, "columnspacing": 1.2, "handlelength": 1.2}
    figure.legend(keys, names, loc="outside lower center", ncols=3, **look)
    return shown_once(figure)


def show_curves(curves: dict, *, xlabel: str, ylabel: str, floors: dict | None = None, **settings) -> Figure:
    """Lines {label: (xs, ys)} with their axes named, and horizontal floors {label: height} to read them against.

    A NaN leaves a gap. `settings` go to the axes: `ylim=(0, 1)`, `xscale="log"`, `xticks=[1, 8, 64]`.
    Raises ValueError for lines that have not as many xs as ys.
    """
    expect_titled("curves", curves, "(xs, ys)")
    lines = {}
    for label, line in curves.items():
        name = f"curves[{label!r}]"
        if not isinstance(line, list | tuple) or len(line) != 2:
            raise ValueError(f"{name}: expected (xs, ys), got no such pair; (range(len(ys)), ys) counts from 0")
        xs, ys = lines[label] = [as_array(name, values, gaps=True) for values in line]
        if xs.ndim != 1 or xs.shape != ys.shape:
            raise ValueError(f"{name}: expected as many xs (N,) as ys (N,), got {xs.shape} and {ys.shape}")
    floors = {label: as_array(f"floors[{label!r}]", height).item() for label, height in (floors or {}).items()}
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for label, (xs, ys) in lines.items():
        ax.plot(xs, ys, marker="o" if len(xs) < 20 else None, markersize=4, label=label)
    for n, (label, height) in enumerate(floors.items()):
        ax.axhline(height, color=QUIET, ls=[":", "--"][n % 2], label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, **settings)
    for axis, name in (ax.xaxis, "x"), (ax.yaxis, "y"):
        if settings.get(f"{name}scale") == "log":  # 1, 2, 5, 10 instead of powers, or the ticks that were asked for
            ticks = settings.get(f"{name}ticks")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if ticks is None else FixedLocator(ticks))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return shown_once(figure)


def show_columns(columns: dict, *, ylabel: str, coloured=(), **settings) -> Figure:
    """Columns {label: height ≥ 0} beside each other, those of the labels `coloured` in a colour of their own.

    `settings` go to the axes. Raises ValueError for no columns, a negative height and a label that has no column.
    """
    heights = as_array("columns", list(columns.values()))
    if heights.ndim != 1 or not heights.size or heights.min() < 0:
        raise ValueError(f"columns: expected one height ≥ 0 or more, got {columns}")
    if strange := [label for label in coloured if label not in columns]:
        raise ValueError(f"coloured: expected labels of columns, got {', '.join(map(repr, strange))}")
    figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    colours = ["#228833" if label in coloured else "#4477aa" for label in columns]
    ax.bar([str(label) for label in columns], heights, color=colours)
    ax.set(ylabel=ylabel, **settings)
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return shown_once(figure)


def shown_once(figure):
    """Take the figure out of pyplot's hands, which would draw it a second time at the end of the cell."""
    plt.close(figure)
    return figure


def as_array(name: str, values, *, gaps: bool = False) -> np.ndarray:
    """Real numbers as an array: from a tensor on any device, with or without a gradient, an array, or lists of them.

    Half precision becomes float32, for NumPy has no bfloat16 and its linear algebra no float16. NaN and infinity would
    be drawn as nothing, and nobody would see it: they are refused, unless there may be `gaps`.
    Raises TypeError for what are no real numbers, ValueError for rows of different lengths and for NaN and infinity.
    """
    if isinstance(values, list | tuple):
        nested = (torch.Tensor, list, tuple)
        values = [as_array(name, each, gaps=True) if isinstance(each, nested) else each for each in values]
    elif isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() and values.itemsize < 4 else values
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: expected rows of one length, got {type(values).__name__} of several") from None
    if array.dtype.kind not in "biuf":
        given = array.dtype if array.dtype.kind != "O" else f"a {type(values).__name__} with something else"
        raise TypeError(f"{name}: expected real numbers, in a tensor, an array or lists, got {given}")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if not gaps and (bad := (~np.isfinite(array)).sum()):
        raise ValueError(f"{name}: expected finite numbers, got {bad} of {array.size} that are NaN or infinite")
    return array
