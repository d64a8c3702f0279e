"""Pictures: arrays in, a figure out. Nothing here knows a model."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter

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
PLANE = 4.3  # the plane is shown from −4.3 to 4.3


def show_images(
    images, *, columns: int | None = None, titles=None, crossed=None, framed=None, size: float = 0.85
) -> Figure:
    """A grid of images, each `size` inches wide: (N, 1, H, W) or (N, H, W), ink from 0 (paper) to 16, or in colour.

    Colour is (N, H, W, 3), red, green and blue from 0 to 1. `titles` (N,) stand above the images; `crossed` (N,) bool
    strikes images out: a judge says that they are no digits; `framed` (N,) holds a pixel (row, column) of each image to
    put a frame around, or None. Raises ValueError for other shapes.
    """
    images = _array(images)
    colour = images.ndim == 4 and images.shape[3] == 3 and images.dtype.kind == "f"
    if (not colour and (images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[1] != 1))) or len(images) == 0:
        raise ValueError(
            f"images: expected shape (N, 1, H, W) or (N, H, W), or in colour floats (N, H, W, 3), with N ≥ 1, "
            f"got {images.shape} of {images.dtype}"
        )
    images = images if colour else images.reshape(-1, *images.shape[-2:])
    for name, each in {"titles": titles, "crossed": crossed, "framed": framed}.items():
        if each is not None and len(each) != len(images):
            raise ValueError(f"{name}: expected one for each of the {len(images)} images, got {len(each)}")
    columns = columns or min(len(images), 10)
    rows = -(-len(images) // columns)
    height = rows * (size + (0.1 if titles is None else 0.3))
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, height), layout="constrained", squeeze=False)
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
    return _shown_once(figure)


def show_fields(fields: dict, *, at: tuple, columns: int = 3, size: float = 2.1) -> Figure:
    """What a model sees from the pixel `at` (row, column): panels {title: (H, W)}, each a strength ≥ 0 for each pixel.

    Blue is seen, the darker the stronger (on a scale of four powers of ten); orange comes before the pixel in raster
    order and is not seen; red comes at or after it and is: the model cheats.
    """
    columns = min(columns, len(fields))
    rows = -(-len(fields) // columns)
    sizes = {"figsize": (columns * size, rows * (size + 0.25) + 0.3), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(rows, columns, **sizes)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (title, field) in zip(axes.flat, fields.items(), strict=False):
        field = _array(field)
        before = np.arange(field.size).reshape(field.shape) < at[0] * field.shape[1] + at[1]
        shade = np.log10(np.maximum(field, 1e-30) / max(field.max(), 1e-30)).clip(-4, 0)[..., None] / 4 + 1
        blue = (1 - shade) * np.array([0.86, 0.91, 0.97]) + shade * np.array([0.05, 0.25, 0.55])
        colours = np.where((field > 0)[..., None], np.where(before[..., None], blue, [0.8, 0.1, 0.1]), 1.0)
        colours = np.where((before & (field == 0))[..., None], [0.98, 0.72, 0.35], colours)
        ax.imshow(colours, interpolation="none", extent=(0, field.shape[1], field.shape[0], 0))
        ax.plot(at[1] + 0.5, at[0] + 0.5, marker="x", color="black", markersize=7, markeredgewidth=2)
        ax.add_patch(plt.Rectangle((0, 0), field.shape[1], field.shape[0], fill=False, color=QUIET))
        ax.set_title(title, fontsize=10)
    names = {"seen": "#3a669f", "before it, and not seen": "#fab859"}
    if any((_array(f).flatten()[at[0] * _array(f).shape[1] + at[1] :] > 0).any() for f in fields.values()):
        names["the future, seen"] = "#cc1a1a"
    keys = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in names.values()]
    figure.legend(keys, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return _shown_once(figure)


def show_code_plane(z, y, *, mark=None, image=None, title=None) -> Figure:
    """Codes z (N, 2) coloured by digit y (N,); beside them, if given, `image` (H, W), decoded at the cross `mark`.

    Raises ValueError for other shapes.
    """
    z, y = _array(z), _array(y)
    if z.shape != (len(y), 2):
        raise ValueError(f"z: expected shape (N, 2) with N = {len(y)} as in y, got {z.shape}")
    one, two = {"figsize": (5.2, 4.2)}, {"figsize": (7, 3.9), "width_ratios": [1.35, 1]}
    sizes = one if image is None else two
    figure, axes = plt.subplots(1, 1 if image is None else 2, layout="constrained", squeeze=False, **sizes)
    plane = axes[0, 0]
    for digit in range(10):
        here = z[y == digit]
        plane.scatter(here[:, 0], here[:, 1], s=7, color=DIGIT_COLOURS[digit], linewidths=0)
    for digit in sorted(set(y.tolist())):  # a name in the middle of its crowd needs no legend
        middle = np.median(z[y == digit], axis=0)
        style = {"fontsize": 17, "weight": "bold", "ha": "center", "va": "center"}
        name = plane.text(*middle, str(digit), color=DIGIT_COLOURS[digit], **style)
        name.set_path_effects([withStroke(linewidth=3, foreground="white")])
    plane.set(xlabel="first number of the code, z₁", ylabel="second number, z₂")
    if mark is not None:
        plane.plot(*mark, marker="+", color="white", markersize=20, markeredgewidth=5, zorder=9)
        plane.plot(*mark, marker="+", color="black", markersize=18, markeredgewidth=2, zorder=10)
    if image is not None:
        axes[0, 1].imshow(_array(image), cmap="gray_r", vmin=0, vmax=16)
        axes[0, 1].axis("off")
        axes[0, 1].set_title(title, fontsize=10)
    return _shown_once(figure)


def show_plane(
    x=None, *, shares=None, ellipses=None, log_prob=None, title=None, curves=None, xlabel=None, ylabel=None, at=None
) -> Figure:
    """Points x (N, 2) of the plane, each in the mixture of ten colours that its `shares` (N, K) say, K ≤ 10.

    `ellipses` (mean (K, 2), covariance (K, 2, 2)) are drawn where a component is two standard deviations from its
    mean; `log_prob` (a function (B, 2) -> (B,), on the CPU) shades the plane by its density. `curves` {label: (xs, ys)}
    stand beside it, with their axes named, and a line `at` an x of theirs. Raises ValueError for other shapes.
    """
    figure, axes = plt.subplots(
        1, 1 + bool(curves), figsize=(5.6 if curves else 3.3, 3), layout="constrained", squeeze=False
    )
    plane, colours = axes[0, 0], np.array([to_rgb(c) for c in DIGIT_COLOURS])
    if log_prob is not None:
        across = torch.linspace(-PLANE, PLANE, 161, dtype=torch.float64)
        density = _array(log_prob(torch.cartesian_prod(across, across)).exp().view(161, 161).T)
        # in a few steps: a slider's pictures of a continuous shade would weigh five times as much
        plane.contourf(across, across, density, levels=9, cmap="Blues")
    if x is not None:
        x = _array(x)
        if x.ndim != 2 or x.shape[1] != 2 or (shares is not None and len(shares) != len(x)):
            raise ValueError(f"x: expected shape (N, 2), and as many shares, got {x.shape}")
        ink = QUIET if shares is None else _array(shares) @ colours[: _array(shares).shape[1]]
        ink = ink if shares is None else ink.clip(0, 1)
        plane.scatter(x[:, 0], x[:, 1], s=4, c=ink, marker="s", linewidths=0, antialiased=False)
    if ellipses is not None:
        around = np.linspace(0, 2 * np.pi, 60)
        circle = 2 * np.stack([np.cos(around), np.sin(around)])
        for k, (mean, covariance) in enumerate(zip(*map(_array, ellipses), strict=True)):
            line = mean[:, None] + np.linalg.cholesky(covariance) @ circle
            plane.plot(*line, color=colours[k] if shares is not None else ACCENT, lw=1.5, aa=False)
    plane.set(xlabel="x₁", ylabel="x₂", xlim=(-PLANE, PLANE), ylim=(-PLANE, PLANE), aspect="equal")
    plane.set_title(title, fontsize=10)
    if curves:
        beside = axes[0, 1]
        for label, (xs, ys) in curves.items():
            beside.plot(_array(xs), _array(ys), marker=".", label=label, aa=False)
        if at is not None:
            beside.axvline(at, color=QUIET, ls=":")
        beside.set(xlabel=xlabel, ylabel=ylabel)
        beside.spines[["top", "right"]].set_visible(False)
        beside.legend(frameon=False, fontsize=9)
    return _shown_once(figure)


def show_curves(curves: dict, *, xlabel: str, ylabel: str, floors: dict | None = None, **settings) -> Figure:
    """Lines {label: (xs, ys)} with their axes named, and horizontal floors {label: height} to read them against.

    `settings` go to the axes: `ylim=(0, 1)`, `xscale="log"`.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for label, (xs, ys) in curves.items():
        ax.plot(_array(xs), _array(ys), marker="o" if len(xs) < 20 else None, markersize=4, label=label)
    for n, (label, height) in enumerate((floors or {}).items()):
        ax.axhline(height, color=QUIET, ls=[":", "--"][n % 2], label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, **settings)
    for axis, scale in (ax.xaxis, "xscale"), (ax.yaxis, "yscale"):
        if settings.get(scale) == "log":  # 1, 2, 5, 10 instead of powers
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return _shown_once(figure)


def show_waves(waves: dict, rate: int, *, labels=None, height: float = 1.1) -> Figure:
    """Waveforms {title: (T,)} below each other over the time in ms; `labels` [(from, to, text)] name stretches."""
    size = (7.2, height * len(waves) + 0.5)
    figure, axes = plt.subplots(len(waves), 1, figsize=size, sharex=True, layout="constrained", squeeze=False)
    for ax, (title, wave) in zip(axes.flat, waves.items(), strict=True):
        wave = _array(wave)
        ax.plot(1000 / rate * np.arange(len(wave)), wave, lw=0.8, marker="." if len(wave) < 200 else None)
        ax.set_ylabel(title, rotation=0, ha="right", va="center")
        ax.margins(x=0)
        ax.spines[["top", "right"]].set_visible(False)
    for start, stop, text in labels or ():
        axes[0, 0].annotate(text, ((start + stop) / 2, 1.0), xycoords=("data", "axes fraction"), ha="center")
        for ax in axes.flat:
            ax.axvline(start, color=QUIET, lw=0.6)
    axes[-1, 0].set_xlabel("ms")
    return _shown_once(figure)


def show_spectrograms(waves: dict, rate: int, *, columns: int = 1, width: float = 7.2, height: float = 1.7) -> Figure:
    """How strong each frequency is at each time, in waveforms {title: (T,)}: white is 60 dB below black."""
    rows = -(-len(waves) // columns)
    size = (width, height * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[len(waves) :]:
        ax.axis("off")
    for n, (ax, (title, wave)) in enumerate(zip(axes.flat, waves.items(), strict=False)):
        window = round(0.02 * rate)  # 20 ms: long enough for two periods of a voice, short enough for a consonant
        frames = np.lib.stride_tricks.sliding_window_view(_array(wave), window)[:: window // 8]
        power = np.abs(np.fft.rfft(frames * np.hanning(window), n=256)) ** 2
        extent = (0, len(_array(wave)) / rate, 0, rate / 2000)
        db = 10 * np.log10(power.T + 1e-12)
        ax.imshow(db, origin="lower", aspect="auto", extent=extent, cmap="gray_r", vmin=db.max() - 60, vmax=db.max())
        ax.set_title(title, fontsize=10)
        if n % columns == 0:
            ax.set_ylabel("kHz")
        if n >= len(waves) - columns:
            ax.set_xlabel("s")
    return _shown_once(figure)


def _shown_once(figure):
    """Take the figure out of pyplot's hands, which would draw it a second time at the end of the cell."""
    plt.close(figure)
    return figure


def _array(values):
    return np.asarray(values.detach().cpu()) if hasattr(values, "detach") else np.asarray(values)
