"""What a painter sees, and what each pixel costs it: two views of one model, pixel by pixel."""

import math

import torch
import torch.nn.functional as F

from ..expect import expect_count, expect_levels
from ..models.pixel.model import PixelModel


@torch.no_grad()
def bits_each(model: PixelModel, x: torch.Tensor) -> torch.Tensor:
    """What each pixel costs, given those before it: x (B, C, H, W) long -> (B, H, W) bits, channels added up.

    Their sum over an image is −log₂ p(x). Raises TypeError or ValueError for other images.
    """
    x = x.to(model.place.device)
    logits = model(x).movedim(-1, 1)  # (B, V, C, H, W), where torch wants the levels
    nats = F.cross_entropy(logits, x, reduction="none")
    return (nats.sum(1) / math.log(2)).cpu()


def looks(model: PixelModel, x: torch.Tensor, i: int, j: int) -> torch.Tensor:
    """How strongly the log-probability of pixel (i, j) depends on each pixel: x (B, C, H, W) long -> (H, W), ≥ 0.

    It is the length of the gradient with respect to a pixel's word, a row of the Jacobian, as a mean over the images.
    0 is exact: that pixel has no say. The pixel's own colours, which an RGB model is told one by one, are left out.
    Raises TypeError or ValueError for other images and for a pixel that is not in them.
    """
    expect_pixel(model, x, i, j)
    x = x.to(model.place.device)
    words = model.words(x).requires_grad_()
    logits = model.head(model.context(words), words.detach())
    log_p = logits.log_softmax(-1)[:, :, i, j]  # (B, C, V)
    said = log_p.gather(-1, x[:, :, i, j, None]).sum()
    (gradient,) = torch.autograd.grad(said, words)
    return gradient.norm(dim=1).mean(0).cpu()


def expect_pixel(model: PixelModel, x: torch.Tensor, i: int, j: int) -> None:
    """`x` must be images that `model` paints, (i, j) a pixel in them. Raises TypeError or ValueError that says so."""
    c = model.config
    expect_levels("x", x, ("B", c.channels, c.height, c.width), c.levels)
    expect_count("i", i, 0)
    expect_count("j", j, 0)
    if i >= c.height or j >= c.width:
        raise ValueError(f"expected a pixel of {c.height} rows and {c.width} columns, counted from 0, got ({i}, {j})")
