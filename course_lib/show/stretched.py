"""A density on a line, and what a function makes of it."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .plots import ACCENT, as_array, shown_once


def show_stretched(z, p_z, x, bands, xs, parts, *, line=None, limits=(-4, 4), highest=1.0, title=None) -> Figure:
    """A function z (N,) -> x (N,) as a curve; below it the density p_z (N,), beside it what the density of x is.

    `bands` (N,) long, 0 … K − 1 and ascending, is the band of colour to which a z belongs. `parts` (K, X) is what each
    band contributes to the density at `xs` (X,): they are stacked. `line` (X,) is drawn over them. `limits` are those
    of z and of x; what is above `highest` is cut off. Raises ValueError for other shapes.
    """
    z, p_z, x, bands = (as_array(n, v) for n, v in (("z", z), ("p_z", p_z), ("x", x), ("bands", bands)))
    xs, parts = as_array("xs", xs), as_array("parts", parts)
    if not z.shape == p_z.shape == x.shape == bands.shape or z.ndim != 1:
        shapes = f"{z.shape}, {p_z.shape}, {x.shape} and {bands.shape}"
        raise ValueError(f"z, p_z, x, bands: expected four of one shape (N,), got {shapes}")
    if xs.ndim != 1 or parts.ndim != 2 or parts.shape[1] != len(xs) or bands.max() >= len(parts):
        raise ValueError(
            f"xs, parts: expected (X,) and (K, X) with a part for each band, got {xs.shape}, {parts.shape} and "
            f"bands up to {bands.max()}"
        )
    sizes = {"figsize": (4.8, 4.4), "width_ratios": [1, 1.6], "height_ratios": [1.8, 1], "layout": "constrained"}
    figure, ((beside, curve), (corner, below)) = plt.subplots(2, 2, **sizes)
    corner.axis("off")
    colours = plt.cm.viridis(np.linspace(0.05, 0.95, len(parts)))
    tops = parts.cumsum(0)
    for k, colour in enumerate(colours):
        here = np.flatnonzero(bands == k)
        here = here if here[-1] + 1 == len(z) else np.append(here, here[-1] + 1)  # up to where the next begins
        below.fill_between(z[here], p_z[here], color=colour, lw=0)
        curve.plot(z[here], x[here], color=colour, lw=4, solid_capstyle="butt")
        beside.fill_betweenx(xs, tops[k] - parts[k], tops[k], color=colour, lw=0)
    if line is not None:
        beside.plot(as_array("line", line), xs, color=ACCENT, lw=1.5)
    beside.set(xlim=(highest, 0), ylim=limits, ylabel="x", xlabel="density of x")
    curve.set(xlim=limits, ylim=limits)
    curve.set_title(title, fontsize=10)
    below.set(xlim=limits, ylim=(0, None), xlabel="z", ylabel="density of z")
    for ax in (beside, curve, below):
        ax.spines[["top", "right"]].set_visible(False)
    beside.spines["left"].set_visible(False)
    beside.spines["right"].set_visible(True)
    curve.tick_params(labelbottom=False, labelleft=False)
    return shown_once(figure)
