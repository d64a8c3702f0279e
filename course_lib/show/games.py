"""Pictures of a game between two networks: on a line, on the plane, and a map of who wins."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..expect import expect_titled
from .planes import EDGE
from .plots import ACCENT, QUIET, as_array, shown_once

BELIEF = "RdBu"  # red: held for made; white: it cannot tell; blue: held for real
STEPS = [0, *np.arange(0.05, 1, 0.1), 1]  # of the shade: those around one half are one, and white


def show_line_game(x, *, real, made, judge, best, title: str | None = None) -> Figure:
    """A game on a line x (N,): the densities `real` and `made`, and what two discriminators say, `judge` and `best`.

    All are (N,); the last two are probabilities of "real", and `best` may have gaps (NaN). Densities higher than the
    picture leave it at the top. Raises ValueError for other shapes.
    """
    x = as_array("x", x)
    given = {"real": real, "made": made, "judge": judge, "best": best}
    lines = {name: as_array(name, line, gaps=name == "best") for name, line in given.items()}
    for name, line in lines.items():
        if x.ndim != 1 or line.shape != x.shape:
            raise ValueError(f"{name}: expected shape (N,) as of x {x.shape}, got {line.shape}")
    figure, ax = plt.subplots(figsize=(6.2, 3.2), layout="constrained")
    ax.fill_between(x, lines["real"], color="#99bbdd", lw=0, label="density of the data")
    ax.plot(x, lines["made"], color=ACCENT, lw=1.5, label="density of what is made")
    ax.plot(x, lines["judge"], color="black", lw=1.8, label="discriminator D")
    ax.plot(x, lines["best"], color="black", lw=1.2, ls=":", label="the best one, D*")
    ax.axhline(0.5, color=QUIET, lw=0.6)
    ax.set(xlabel="x", ylabel="density; D, probability of real", ylim=(0, 1.05), xlim=(x.min(), x.max()))
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return shown_once(figure)


def show_contest(contests: dict, *, modes=None, radius: float = 0.0) -> Figure:
    """Draws on the plane and, behind them, where a discriminator holds things for real: {title: (x, field)}.

    x (N, 2) are draws; `field` (M, M) holds the probability of "real" at M × M points of [−4.3, 4.3]², first index x₁:
    blue where it says real, red where it says made, white where it cannot tell (0.45 to 0.55). Around each of the
    `modes` (K, 2) of the data stands a circle of this `radius`. Raises ValueError for other shapes.
    """
    expect_titled("contests", contests, "(x, field)")
    rings = [] if modes is None else as_array("modes", modes)
    drawn = []
    for title, (x, field) in contests.items():
        x, field = as_array("x", x), as_array("field", field)
        if x.ndim != 2 or x.shape[1] != 2 or field.ndim != 2 or field.shape[0] != field.shape[1]:
            raise ValueError(f"{title!r}: expected x (N, 2) and a field (M, M), got {x.shape} and {field.shape}")
        drawn.append((title, x, field))
    sizes = {"figsize": (2.9 * len(drawn) + 0.9, 3.2), "layout": "constrained"}
    figure, axes = plt.subplots(1, len(drawn), squeeze=False, sharey=True, **sizes)
    for ax, (title, x, field) in zip(axes[0], drawn, strict=True):
        across = np.linspace(-EDGE, EDGE, len(field))
        # in a few steps: a slider's pictures of a continuous shade would weigh five times as much
        shade = ax.contourf(across, across, field.T, levels=STEPS, cmap=BELIEF)
        for ring in rings:
            ax.add_patch(plt.Circle(ring, radius, fill=False, color=QUIET, lw=0.8, aa=False))
        ax.scatter(x[:, 0], x[:, 1], s=4, c="black", marker="s", linewidths=0, antialiased=False)
        ax.set(xlabel="x₁", ylabel="x₂", xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
        ax.set_title(title, fontsize=10)
        ax.label_outer()
    bar = figure.colorbar(shade, ax=axes, ticks=(0, 0.5, 1), shrink=0.8)
    bar.set_label("D: probability of real", fontsize=9)
    return shown_once(figure)


def show_map(shares: dict, *, rows, columns, ylabel: str, xlabel: str, unit: str) -> Figure:
    """Maps side by side, {title: (R, C)}: a number for each of the R `rows` and C `columns`, written and shaded.

    All have one scale, from 0 to the largest number, which `unit` names. Raises ValueError for other shapes.
    """
    expect_titled("shares", shares, "(R, C)")
    maps = {title: as_array(f"shares[{title!r}]", values) for title, values in shares.items()}
    for title, values in maps.items():
        if values.shape != (len(rows), len(columns)):
            raise ValueError(
                f"shares[{title!r}]: expected shape ({len(rows)}, {len(columns)}), a number for each row and column, "
                f"got {values.shape}"
            )
    most = max(values.max() for values in maps.values())
    sizes = {"figsize": (0.55 * len(columns) * len(maps) + 1.6, 0.42 * len(rows) + 1.1), "layout": "constrained"}
    figure, axes = plt.subplots(1, len(maps), squeeze=False, sharey=True, **sizes)
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        shade = ax.imshow(values, cmap="Blues", vmin=0, vmax=most, aspect="auto")
        for (r, c), value in np.ndenumerate(values):
            ink = "white" if value > 0.6 * most else "black"
            ax.text(c, r, f"{value:.1f}".removesuffix(".0"), ha="center", va="center", color=ink, fontsize=8)
        ax.set_xticks(range(len(columns)), columns, fontsize=8)
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        ax.set_title(title, fontsize=10)
        ax.label_outer()
    figure.colorbar(shade, ax=axes, shrink=0.8).set_label(unit, fontsize=9)
    return shown_once(figure)
