"""Log-probabilities, all in nats and all of shape (B,): one number an observation."""

import math

import torch
import torch.nn.functional as F

from .expect import expect_floats, expect_levels, expect_tensor


def categorical_log_prob(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log p(x) under independent categoricals: logits (B, V, …), x (B, …) long in 0 … V − 1 -> (B,) nats.

    The components (pixels, channels) are independent *given the logits*, so their log-probabilities add up.
    Raises TypeError and ValueError as `expect_levels` does.
    """
    expect_tensor("x", x)
    expect_floats("logits", logits, ("B", "V", *x.shape[1:]))
    expect_levels("x", x, (logits.shape[0], *logits.shape[2:]), levels=logits.shape[1])
    return -F.cross_entropy(logits, x, reduction="none").flatten(1).sum(1)


def bits_per_dim(nats, dims: int):
    """Nats per observation as bits per component, where an observation has `dims` of them: nats / (dims · ln 2)."""
    return nats / (dims * math.log(2))
