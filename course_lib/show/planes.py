"""Pictures of the plane: points, mixtures of Gaussians, densities, and codes of two numbers."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..expect import expect_tensor, expect_titled
from .plots import ACCENT, DIGIT_COLOURS, QUIET, as_array, shown_once

EDGE = 4.3  # the plane is shown from −4.3 to 4.3


def show_points(x, *, shares=None, ellipses=None, title: str | None = None) -> Figure:
    """Points x (N, 2) of the plane, each in the mixture of ten colours that its `shares` (N, K) say, K ≤ 10.

    `ellipses` (mean (K, 2), covariance (K, 2, 2)) are drawn where a component is two standard deviations from its
    mean, in its colour where there are shares. Raises ValueError for other shapes.
    """
    return _show_crowds([(title, x, shares, ellipses)], width=3.3)


def show_crowds(crowds: dict) -> Figure:
    """Several crowds side by side, {title: points}, or {title: {"x": …, "shares": …, "ellipses": …}}.

    Each is drawn as `show_points` draws it. Raises ValueError for other shapes, and where there is no crowd.
    """
    if not crowds:
        raise ValueError("crowds: expected one crowd {title: points} or more, got none")
    each = [crowd if isinstance(crowd, dict) else {"x": crowd} for crowd in crowds.values()]
    panels = zip(crowds, each, strict=True)
    return _show_crowds([(t, c["x"], c.get("shares"), c.get("ellipses")) for t, c in panels], width=2.8)


def show_density(log_prob, *, points=None, ellipses=None, title: str | None = None) -> Figure:
    """The plane, shaded by the density of `log_prob`, a function (B, 2) -> (B,) of float64 on the CPU.

    `points` (N, 2) lie on it; `ellipses` are as in `show_points`. Raises ValueError for other shapes and where the
    density is no number.
    """
    across = torch.linspace(-EDGE, EDGE, 161, dtype=torch.float64)
    nats = log_prob(torch.cartesian_prod(across, across))
    expect_tensor("what log_prob gives", nats)
    if nats.shape != (161 * 161,):
        raise ValueError(f"log_prob: expected a function (B, 2) -> (B,), got {tuple(nats.shape)} for B = {161 * 161}")
    density = as_array("the density of log_prob", nats.exp().view(161, 161).T)
    lines = _ellipses(ellipses, None)
    points = None if points is None else _points(points, None)[0]
    figure, plane = plt.subplots(figsize=(3.3, 3), layout="constrained")
    # in a few steps: a slider's pictures of a continuous shade would weigh five times as much
    plane.contourf(across, across, density, levels=9, cmap="Blues")
    if points is not None:
        _draw_points(plane, points, ACCENT)
    _draw_ellipses(plane, lines, None)
    _name_plane(plane, title)
    return shown_once(figure)


def show_em_step(x, shares, ellipses, nats: dict, *, gap, half_step: int, title: str) -> Figure:
    """One half step of EM: points, shares and ellipses as in `show_points`, beside how far it has come.

    `nats` {name: (steps,)} are curves in nats a point, a value a half step. The `gap` (steps,) between two of them is
    much smaller than their rise, so it has a panel of its own, in bars. A line marks this half step in both.
    """
    expect_titled("nats", nats, "(steps,)")
    curves = {label: as_array(f"nats[{label!r}]", ys, gaps=True) for label, ys in nats.items()}
    gap = as_array("gap", gap)
    points, lines = _points(x, shares), _ellipses(ellipses, DIGIT_COLOURS)
    sizes = {"figsize": (4.8, 2.9), "width_ratios": [1.25, 1], "layout": "constrained"}
    figure, at = plt.subplot_mosaic([["plane", "climb"], ["plane", "gap"]], **sizes)
    _draw_points(at["plane"], *points)
    _draw_ellipses(at["plane"], lines, DIGIT_COLOURS)
    _name_plane(at["plane"], title)
    for label, ys in curves.items():
        at["climb"].plot(ys, marker=".", label=label, aa=False)
    at["gap"].bar(range(len(gap)), gap, color=ACCENT, width=0.9, aa=False)
    at["gap"].set(xlabel="half steps", ylabel="gap, nats")
    at["climb"].set(ylabel="nats per point", xticklabels=[])
    at["climb"].legend(frameon=False, fontsize=8)
    for name in ("climb", "gap"):
        at[name].axvline(half_step, color=QUIET, ls=":")
        at[name].set_xlim(-0.8, len(gap) - 0.2)
        at[name].spines[["top", "right"]].set_visible(False)
    return shown_once(figure)


def show_codes(z, y) -> Figure:
    """Codes z (N, 2), coloured by digit y (N,). Raises ValueError for other shapes."""
    z, y = _codes(z, y)
    figure, plane = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    _draw_codes(plane, z, y)
    return shown_once(figure)


def show_decoded(z, y, image, *, at: tuple[float, float]) -> Figure:
    """Codes as in `show_codes`, with a cross `at` one, and beside them the `image` (H, W) that is decoded there."""
    (z, y), at, image = _codes(z, y), as_array("at", at), as_array("image", image)
    if at.shape != (2,):
        raise ValueError(f"at: expected a code, two numbers, got shape {at.shape}")
    if image.ndim != 2:
        raise ValueError(f"image: expected shape (H, W), got {image.shape}; image[0] takes the first of several")
    sizes = {"figsize": (7, 3.9), "width_ratios": [1.35, 1]}
    figure, (plane, beside) = plt.subplots(1, 2, layout="constrained", **sizes)
    _draw_codes(plane, z, y)
    plane.plot(*at, marker="+", color="white", markersize=20, markeredgewidth=5, zorder=9)
    plane.plot(*at, marker="+", color="black", markersize=18, markeredgewidth=2, zorder=10)
    beside.imshow(image, cmap="gray_r", vmin=0, vmax=16)
    beside.axis("off")
    beside.set_title("decoded there", fontsize=10)
    return shown_once(figure)


def _show_crowds(crowds, width):
    """Panels (title, x, shares, ellipses) in a row, each `width` inches wide."""
    drawn = []  # all that can be refused, before there is a figure: pyplot would keep it
    for title, x, shares, ellipses in crowds:
        colours = DIGIT_COLOURS if shares is not None else None
        drawn.append((title, colours, _points(x, shares), _ellipses(ellipses, colours)))
    sizes = {"figsize": (width * len(crowds), 3 if len(crowds) == 1 else 3.2), "layout": "constrained"}
    figure, axes = plt.subplots(1, len(crowds), squeeze=False, sharey=True, **sizes)
    for plane, (title, colours, points, lines) in zip(axes[0], drawn, strict=True):
        _draw_points(plane, *points)
        _draw_ellipses(plane, lines, colours)
        _name_plane(plane, title)
        plane.label_outer()
    return shown_once(figure)


def _points(x, shares):
    """Points (N, 2) and their colours."""
    x = as_array("x", x)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x: expected shape (N, 2), got {x.shape}")
    if shares is None:
        return x, QUIET
    shares = as_array("shares", shares)
    if shares.ndim != 2 or len(shares) != len(x) or shares.shape[1] > len(DIGIT_COLOURS):
        most = len(DIGIT_COLOURS)
        raise ValueError(f"shares: expected shape ({len(x)}, K), as many as in x, with K ≤ {most}, got {shares.shape}")
    return x, (shares @ np.array([to_rgb(c) for c in DIGIT_COLOURS[: shares.shape[1]]])).clip(0, 1)


def _ellipses(ellipses, colours):
    """(K, 2, 60), a line around each mean."""
    if ellipses is None:
        return ()
    mean, covariance = (as_array("ellipses", part) for part in ellipses)
    K = mean.shape[0] if mean.ndim else 0
    if mean.shape != (K, 2) or covariance.shape != (K, 2, 2) or (colours and len(colours) < K):
        most = f" with K ≤ {len(colours)}" if colours else ""
        raise ValueError(
            f"ellipses: expected means (K, 2) and covariances (K, 2, 2){most}, got {mean.shape} and {covariance.shape}"
        )
    around = np.linspace(0, 2 * np.pi, 60)
    circle = 2 * np.stack([np.cos(around), np.sin(around)])
    try:
        return [one[:, None] + np.linalg.cholesky(root) @ circle for one, root in zip(mean, covariance, strict=True)]
    except np.linalg.LinAlgError:
        raise ValueError("ellipses: expected positive definite covariances, got one that is not") from None


def _draw_points(plane, x, ink):
    plane.scatter(x[:, 0], x[:, 1], s=4, c=ink, marker="s", linewidths=0, antialiased=False)


def _draw_ellipses(plane, lines, colours):
    for k, line in enumerate(lines):
        plane.plot(*line, color=colours[k] if colours else ACCENT, lw=1.5, aa=False)


def _name_plane(plane, title):
    plane.set(xlabel="x₁", ylabel="x₂", xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    plane.set_title(title, fontsize=10)


def _codes(z, y):
    z, y = as_array("z", z), as_array("y", y)
    if y.ndim != 1 or not np.isin(y, range(10)).all():
        others = np.setdiff1d(y, range(10))[:5].tolist()
        raise ValueError(f"y: expected digits 0 to 9, shape (N,), got {others or 'no others'} in {y.shape}")
    if z.shape != (len(y), 2):
        raise ValueError(f"z: expected shape (N, 2) with N = {len(y)} as in y, got {z.shape}")
    return z, y.astype(int)


def _draw_codes(plane, z, y):
    for digit in range(10):
        here = z[y == digit]
        plane.scatter(here[:, 0], here[:, 1], s=7, color=DIGIT_COLOURS[digit], linewidths=0)
    for digit in sorted(set(y.tolist())):  # a name in the middle of its crowd needs no legend
        middle = np.median(z[y == digit], axis=0)
        style = {"fontsize": 17, "weight": "bold", "ha": "center", "va": "center"}
        name = plane.text(*middle, str(digit), color=DIGIT_COLOURS[digit], **style)
        name.set_path_effects([withStroke(linewidth=3, foreground="white")])
    plane.set(xlabel="first number of the code, z₁", ylabel="second number, z₂")
