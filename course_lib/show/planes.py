"""Pictures of the plane: points, mixtures of Gaussians, densities, and codes of two numbers."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .plots import ACCENT, DIGIT_COLOURS, QUIET, as_array, shown_once

EDGE = 4.3  # the plane is shown from −4.3 to 4.3


def show_points(x, *, shares=None, ellipses=None, title: str | None = None) -> Figure:
    """Points x (N, 2) of the plane, each in the mixture of ten colours that its `shares` (N, K) say, K ≤ 10.

    `ellipses` (mean (K, 2), covariance (K, 2, 2)) are drawn where a component is two standard deviations from its
    mean, in its colour where there are shares. Raises ValueError for other shapes.
    """
    figure, plane = plt.subplots(figsize=(3.3, 3), layout="constrained")
    _draw_points(plane, x, shares)
    _draw_ellipses(plane, ellipses, DIGIT_COLOURS if shares is not None else None)
    _name_plane(plane, title)
    return shown_once(figure)


def show_density(log_prob, *, ellipses=None, title: str | None = None) -> Figure:
    """The plane, shaded by the density of `log_prob`, a function (B, 2) -> (B,) of float64 on the CPU.

    `ellipses` are as in `show_points`.
    """
    figure, plane = plt.subplots(figsize=(3.3, 3), layout="constrained")
    across = torch.linspace(-EDGE, EDGE, 161, dtype=torch.float64)
    density = as_array(log_prob(torch.cartesian_prod(across, across)).exp().view(161, 161).T)
    # in a few steps: a slider's pictures of a continuous shade would weigh five times as much
    plane.contourf(across, across, density, levels=9, cmap="Blues")
    _draw_ellipses(plane, ellipses, None)
    _name_plane(plane, title)
    return shown_once(figure)


def show_em_step(x, shares, ellipses, nats: dict, *, half_step: int, title: str) -> Figure:
    """One half step of EM: points, shares and ellipses as in `show_points`, beside how far it has come.

    `nats` {name: (steps,)} are curves in nats a point, a value a half step, with a line at this one.
    """
    figure, (plane, beside) = plt.subplots(1, 2, figsize=(5.6, 3), layout="constrained")
    _draw_points(plane, x, shares)
    _draw_ellipses(plane, ellipses, DIGIT_COLOURS)
    _name_plane(plane, title)
    for label, ys in nats.items():
        beside.plot(as_array(ys), marker=".", label=label, aa=False)
    beside.axvline(half_step, color=QUIET, ls=":")
    beside.set(xlabel="half steps", ylabel="nats per point")
    beside.spines[["top", "right"]].set_visible(False)
    beside.legend(frameon=False, fontsize=9)
    return shown_once(figure)


def show_codes(z, y) -> Figure:
    """Codes z (N, 2), coloured by digit y (N,). Raises ValueError for other shapes."""
    figure, plane = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    _draw_codes(plane, z, y)
    return shown_once(figure)


def show_decoded(z, y, image, *, at: tuple[float, float]) -> Figure:
    """Codes as in `show_codes`, with a cross `at` one, and beside them the `image` (H, W) that is decoded there."""
    sizes = {"figsize": (7, 3.9), "width_ratios": [1.35, 1]}
    figure, (plane, beside) = plt.subplots(1, 2, layout="constrained", **sizes)
    _draw_codes(plane, z, y)
    plane.plot(*at, marker="+", color="white", markersize=20, markeredgewidth=5, zorder=9)
    plane.plot(*at, marker="+", color="black", markersize=18, markeredgewidth=2, zorder=10)
    beside.imshow(as_array(image), cmap="gray_r", vmin=0, vmax=16)
    beside.axis("off")
    beside.set_title("decoded there", fontsize=10)
    return shown_once(figure)


def _draw_points(plane, x, shares):
    x, shares = as_array(x), None if shares is None else as_array(shares)
    if x.ndim != 2 or x.shape[1] != 2 or (shares is not None and len(shares) != len(x)):
        raise ValueError(f"x: expected shape (N, 2), and as many shares, got {x.shape}")
    ink = QUIET
    if shares is not None:
        ink = (shares @ np.array([to_rgb(c) for c in DIGIT_COLOURS[: shares.shape[1]]])).clip(0, 1)
    plane.scatter(x[:, 0], x[:, 1], s=4, c=ink, marker="s", linewidths=0, antialiased=False)


def _draw_ellipses(plane, ellipses, colours):
    if ellipses is None:
        return
    around = np.linspace(0, 2 * np.pi, 60)
    circle = 2 * np.stack([np.cos(around), np.sin(around)])
    for k, (mean, covariance) in enumerate(zip(*map(as_array, ellipses), strict=True)):
        line = mean[:, None] + np.linalg.cholesky(covariance) @ circle
        plane.plot(*line, color=colours[k] if colours else ACCENT, lw=1.5, aa=False)


def _name_plane(plane, title):
    plane.set(xlabel="x₁", ylabel="x₂", xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    plane.set_title(title, fontsize=10)


def _draw_codes(plane, z, y):
    z, y = as_array(z), as_array(y)
    if z.shape != (len(y), 2):
        raise ValueError(f"z: expected shape (N, 2) with N = {len(y)} as in y, got {z.shape}")
    for digit in range(10):
        here = z[y == digit]
        plane.scatter(here[:, 0], here[:, 1], s=7, color=DIGIT_COLOURS[digit], linewidths=0)
    for digit in sorted(set(y.tolist())):  # a name in the middle of its crowd needs no legend
        middle = np.median(z[y == digit], axis=0)
        style = {"fontsize": 17, "weight": "bold", "ha": "center", "va": "center"}
        name = plane.text(*middle, str(digit), color=DIGIT_COLOURS[digit], **style)
        name.set_path_effects([withStroke(linewidth=3, foreground="white")])
    plane.set(xlabel="first number of the code, z₁", ylabel="second number, z₂")
