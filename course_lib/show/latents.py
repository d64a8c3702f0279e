"""Pictures of what an encoder says of a code: its Gaussian beside the true posterior, and what the difference costs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..expect import expect_titled
from .plots import ACCENT, DIGIT_COLOURS, QUIET, as_array, shown_once


def show_posteriors(images, densities, ticks, gaussians: dict) -> Figure:
    """Of N images (N, 1, H, W), ink from 0 to 16, each above the density of its code (z₁, z₂), shaded.

    `densities` (N, T, T) ≥ 0 are values at the codes (ticks[i], ticks[j]), in any unit. `gaussians` {name: (mu (N, 2),
    sigma (N, 2))}, one or two, are drawn as ellipses, two standard deviations to each side. Each panel shows where its
    density is, and a grey circle where the prior N(0, 1) has its standard deviation. Raises ValueError otherwise.
    """
    expect_titled("gaussians", gaussians, "(mu, sigma)")
    images, ticks = as_array("images", images), as_array("ticks", ticks)
    densities, N = as_array("densities", densities), len(images)
    if ticks.ndim != 1 or densities.shape != (N, len(ticks), len(ticks)) or images.ndim != 4:
        raise ValueError(
            f"expected images (N, 1, H, W), ticks (T,) and densities (N, T, T), got {images.shape}, {ticks.shape} and "
            f"{densities.shape}"
        )
    lines = {name: [as_array(f"gaussians[{name!r}]", part) for part in pair] for name, pair in gaussians.items()}
    if len(lines) > 2 or densities.min() < 0 or not (densities.max((1, 2)) > 0).all():
        raise ValueError("expected one or two gaussians, and densities ≥ 0, each above 0 somewhere")
    for name, pair in lines.items():
        if any(part.shape != (N, 2) for part in pair):
            raise ValueError(f"gaussians[{name!r}]: expected mu and sigma ({N}, 2), got {[p.shape for p in pair]}")
    sizes = {"figsize": (1.9 * N, 3.5), "height_ratios": [0.5, 1]}
    figure, axes = plt.subplots(2, N, squeeze=False, layout="constrained", **sizes)
    around = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(around), np.sin(around)], 1)
    for n, (above, plane) in enumerate(axes.T):
        above.imshow(images[n, 0], cmap="gray_r", vmin=0, vmax=16)
        above.axis("off")
        plane.contourf(ticks, ticks, densities[n].T, levels=8, cmap="Blues")
        plane.plot(*circle.T, color=QUIET, ls=":")
        for (name, (mu, sigma)), colour in zip(lines.items(), [ACCENT, DIGIT_COLOURS[2]][: len(lines)], strict=True):
            plane.plot(*(mu[n] + 2 * sigma[n] * circle).T, color=colour, label=name)
        edges = _where(densities[n], ticks, [pair[k][n] for pair in lines.values() for k in (0, 1)])
        plane.set(xlim=edges[0], ylim=edges[1], aspect="equal", xlabel="z₁")
        plane.tick_params(labelsize=8)
    axes[1, 0].set_ylabel("z₂")
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    return shown_once(figure)


def _where(density, ticks, ellipses):
    """The square that holds what is above a hundredth of the highest, and the ellipses."""
    rows, columns = (ticks[density.max(axis) > density.max() / 100] for axis in (1, 0))
    low, high = np.array([rows[0], columns[0]]), np.array([rows[-1], columns[-1]])
    for mu, sigma in zip(ellipses[::2], ellipses[1::2], strict=True):
        low, high = np.minimum(low, mu - 2.2 * sigma), np.maximum(high, mu + 2.2 * sigma)
    middle, half = (low + high) / 2, (high - low).max() / 2 + 0.05
    return [(m - half, m + half) for m in middle]


def show_gaps(parts: dict, *, top: str, ylabel: str, xlabel: str) -> Figure:
    """Columns that hang from a line called `top`: for each of N observations the `parts` {name: (N,)} ≥ 0, in a row.

    Raises ValueError for parts of different lengths and for negative ones.
    """
    expect_titled("parts", parts, "(N,)")
    heights = {name: as_array(f"parts[{name!r}]", part) for name, part in parts.items()}
    if len({part.shape for part in heights.values()}) > 1 or any(part.ndim != 1 for part in heights.values()):
        raise ValueError(f"parts: expected (N,) each, got {[part.shape for part in heights.values()]}")
    if not all(len(part) for part in heights.values()) or len(heights) > len(DIGIT_COLOURS):
        raise ValueError(
            f"parts: expected 1 to {len(DIGIT_COLOURS)} of them, of one or more numbers, got {len(heights)}"
        )
    if min(part.min() for part in heights.values()) < 0:
        raise ValueError("parts: expected heights ≥ 0, got a negative one")
    figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
    below = 0
    for (name, part), colour in zip(heights.items(), DIGIT_COLOURS, strict=False):
        ax.bar(range(len(part)), -part, bottom=-below, color=colour, width=0.85, label=name)
        below = below + part
    ax.axhline(0, color="black", lw=1.5)
    ax.annotate(top, (len(part) - 0.5, 0), (0, 4), textcoords="offset points", ha="right", fontsize=9)
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=[])
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return shown_once(figure)
