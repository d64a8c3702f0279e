"""Pictures of an image on its way: canvas and next pixel, completions, walks, skewed rows."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ..data.sprites import to_rgb
from ..expect import expect_count
from .plots import ACCENT, QUIET, as_array, show_images, shown_once

# Of the cells of a walk. The first six are the lecture's: blue, red, yellow, then gray and black in the row below.
CELL_COLOURS = ["#3366cc", "#dd3333", "#f2c230", "#33aa55", "#8a8f99", "#111111"]
CELL_COLOURS += ["#aa55cc", "#ee8822", "#66ccdd", "#885522", "#ff99bb", "#99cc33"]


def show_choice(x: torch.Tensor, pixel: int, p: torch.Tensor | None = None) -> Figure:
    """A sprite x (1, H, W) as far as it is painted, and what comes next: its pixel number `pixel` in raster order.

    With probabilities p (V,) of the palette's colours, each has a bar in that colour, and a mark stands over the one
    that comes; without, words say what is known. Raises ValueError for a pixel that is not in the image, and for as
    many probabilities as there are no colours.
    """
    canvas, (_, H, W) = to_rgb(x[None])[0].numpy(), x.shape
    expect_count("pixel", pixel, 0)
    if pixel >= H * W:
        raise ValueError(f"pixel: expected a number below {H * W}, the pixels of the image, got {pixel}")
    i, j = divmod(pixel, W)
    canvas[i, j:] = canvas[i + 1 :] = 0.85
    sizes = {"figsize": (5.2, 2.5), "layout": "constrained", "width_ratios": [1, 1.7]}
    figure, (left, right) = plt.subplots(1, 2, **sizes)
    left.imshow(canvas)
    left.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=ACCENT, lw=2.5))
    left.set(xticks=[], yticks=[])
    if p is None:
        _say_what_is_known(left, right, i, j, W)
        return shown_once(figure)
    p = as_array("p", p)
    colours = to_rgb(torch.arange(16).view(16, 1, 1, 1))[:, 0, 0].numpy()
    if p.shape != (len(colours),):
        raise ValueError(f"p: expected a probability for each of the {len(colours)} colours, got {p.shape}")
    came = int(x[0, i, j])
    right.bar(range(len(p)), p, color=colours, edgecolor="gray", linewidth=0.7)
    right.plot(came, p[came] + 0.07, marker="v", color=ACCENT, markersize=8)
    right.set(ylim=(0, 1.15), xticks=[], yticks=[0, 0.5, 1])
    right.set_ylabel("probability", fontsize=9)
    right.set_xlabel("the 16 colours of the palette", fontsize=9)
    right.tick_params(labelsize=9)
    right.set_title(f"pixel {pixel}: the true colour costs {-np.log2(p[came]):.2f} bits", fontsize=9)
    right.spines[["top", "right"]].set_visible(False)
    return shown_once(figure)


def _say_what_is_known(canvas, words, i, j, W):
    known = f"known: {i * W + j} pixels,\nall rows above and\nthis row to the left"
    words.set(xlim=(0, 1), ylim=(0, 1))
    words.axis("off")
    for height, text, at in (
        (0.85, known, (W - 1, max(i - 3, 0))),
        (0.5, "the next pixel", (j + 0.6, i)),
        (0.15, "not painted yet", (W - 1, i + 4)),
    ):
        words.text(0.1, height, text, va="center", fontsize=10)
        line = {"arrowstyle": "-", "color": QUIET}
        ends = {"xy": at, "xycoords": canvas.transData, "xytext": (0.08, height), "textcoords": words.transData}
        words.annotate("", **ends, arrowprops=line)


def show_walk(knows: torch.Tensor, step: int) -> Figure:
    """Cells of a grid after `step` of them have worked: each a small map in which those that it `knows` are coloured.

    knows (H, W, H, W) bool, with at most 12 cells: at (i, j), of (k, l). The cell at work is framed and sends three
    messages, to the right, down and through; the arrows of those before it are grey. Raises ValueError for other sizes.
    """
    knows = as_array("knows", knows)
    H, W = knows.shape[:2]
    if knows.shape != (H, W, H, W) or len(CELL_COLOURS) < H * W:
        raise ValueError(f"knows: expected shape (H, W, H, W) with H · W ≤ {len(CELL_COLOURS)}, got {knows.shape}")
    expect_count("step", step)
    across, high = W + 2.2, H + 2
    figure, ax = plt.subplots(figsize=(5, 5 * H * high / (W * across) + 0.3), layout="constrained")
    for n in range(H * W):
        (i, j), at_work = divmod(n, W), n == step - 1
        x, y = j * across, -i * high
        for m in range(H * W):
            colour = CELL_COLOURS[m] if n < step and knows[i, j].flat[m] else "#eeeeee"
            ax.add_patch(plt.Rectangle((x + m % W, y - m // W - 1), 1, 1, facecolor=colour, edgecolor="white"))
        if at_work:
            ax.add_patch(plt.Rectangle((x, y - H), W, H, fill=False, lw=2))
        ways = {"through": ((x + W - 0.6, y), (x + W + 0.5, y + 1.1))}
        ways |= {"right": ((x + W, y - H / 2), (x + across, y - H / 2))} if j < W - 1 else {}
        ways |= {"down": ((x + W / 2, y - H), (x + W / 2, y - high))} if i < H - 1 else {}
        for way, (start, end) in ways.items() if n < step else ():
            arrow = {"arrowstyle": "->", "color": "black" if at_work else "#aaaaaa", "lw": 1.8}
            ax.annotate("", end, start, arrowprops=arrow)
            if at_work:
                shift, side = ((0, 8), "center") if way == "right" else ((4, -2), "left")
                middle = end if way == "through" else ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
                ax.annotate(way, middle, xytext=shift, textcoords="offset points", ha=side, fontsize=9)
    ax.set(xlim=(-0.3, W * across + 0.6), ylim=(-H * high + 1.7, 1.8), aspect="equal")
    ax.axis("off")
    return shown_once(figure)


def show_skew(numbers: torch.Tensor, skewed: torch.Tensor) -> Figure:
    """A grid of `numbers` (H, W) and the same `skewed` (H, H + W - 1), where numbers below 0 are blank.

    What stands in one column of the skewed grid has one colour in both. Raises ValueError for other shapes.
    """
    numbers, skewed = as_array("numbers", numbers), as_array("skewed", skewed)
    if numbers.ndim != 2 or skewed.shape != (len(numbers), sum(numbers.shape) - 1):
        raise ValueError(f"expected shapes (H, W) and (H, H + W - 1), got {numbers.shape} and {skewed.shape}")
    column = {skewed[i, j]: j for i, j in np.argwhere(skewed >= 0)}
    widths = [numbers.shape[1], skewed.shape[1]]
    figure, axes = plt.subplots(1, 2, figsize=(5, 1.7), layout="constrained", width_ratios=widths)
    for ax, grid, title in zip(axes, (numbers, skewed), ("the image", "skewed"), strict=True):
        for (i, j), n in np.ndenumerate(grid):
            colour = plt.cm.tab10(column[n] % 10) if n >= 0 else "white"
            ax.add_patch(plt.Rectangle((j, -i), 0.9, 0.9, facecolor=colour, edgecolor="#cccccc", alpha=0.6))
            ax.text(j + 0.45, 0.45 - i, n if n >= 0 else "", ha="center", va="center", fontsize=9)
        ax.set(xlim=(0, grid.shape[1]), ylim=(0.9 - len(grid), 1), aspect="equal")
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    return shown_once(figure)


def show_completions(x: torch.Tensor, known: torch.Tensor, made: torch.Tensor) -> Figure:
    """In each row a sprite of x (n, 1, H, W), what is `known` of it (H, W), what was made of it (n, draws, 1, H, W).

    Raises ValueError for sizes that do not fit.
    """
    if known.shape != x.shape[2:] or made.ndim != 5 or made.shape[2:] != x.shape[1:] or len(made) != len(x):
        raise ValueError(
            f"expected x (n, 1, H, W), known (H, W) and made (n, draws, 1, H, W), "
            f"got {tuple(x.shape)}, {tuple(known.shape)} and {tuple(made.shape)}"
        )
    whole = to_rgb(x)
    given = whole.where(known[..., None].cpu(), torch.tensor(0.85))
    images = torch.stack([whole, given, *map(to_rgb, made.unbind(1))], 1)  # (n, 2 + draws, H, W, 3)
    return show_images(images.flatten(0, 1), columns=images.shape[1])
