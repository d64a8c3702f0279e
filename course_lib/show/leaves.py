"""What one model draws, of two kinds beside each other: points of the plane, and small images."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .planes import EDGE
from .plots import DIGIT_COLOURS, as_array, shown_once

ACROSS = 4  # images in a row


def show_leaf(x, images, *, title: str) -> Figure:
    """Points x (N, 2) on the left, images (M, H, W) of 0 and 1 on the right, four in a row.

    Raises ValueError for other shapes, and where there is nothing to show.
    """
    x, images = as_array("x", x), as_array("images", images)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"x: expected points (N, 2) with N ≥ 1, got {x.shape}")
    if images.ndim != 3 or not images.size:
        raise ValueError(f"images: expected shape (M, H, W), got {images.shape}")
    _, H, W = images.shape
    rows = -(-len(images) // ACROSS)
    sheet = np.full((rows * (H + 1), ACROSS * (W + 1)), 0.15)  # grey lines between the images
    for n, image in enumerate(images):
        i, j = divmod(n, ACROSS)
        sheet[i * (H + 1) : i * (H + 1) + H, j * (W + 1) : j * (W + 1) + W] = image
    figure, (plane, beside) = plt.subplots(1, 2, figsize=(5, 2.9), width_ratios=[1.15, 1], layout="constrained")
    plane.scatter(x[:, 0], x[:, 1], s=2, c=DIGIT_COLOURS[0], marker="s", linewidths=0, antialiased=False)
    plane.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xlabel="x₁", ylabel="x₂")
    beside.imshow(sheet[:-1, :-1], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    beside.axis("off")
    figure.suptitle(title, fontsize=11)
    return shown_once(figure)
