"""Log-probabilities, all in nats and all of shape (B,): one number an observation."""

import math

import torch
import torch.nn.functional as F

from .expect import expect_floats, expect_levels, expect_tensor


def categorical_log_prob(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log p(x) under independent categoricals: logits (B, …, V), x (B, …) long in 0 … V − 1 -> (B,) nats.

    The components (pixels, channels) are independent *given the logits*, so their log-probabilities add up.
    Raises TypeError and ValueError as `expect_levels` does.
    """
    expect_tensor("x", x)
    expect_floats("logits", logits, ("B", *x.shape[1:], "V"))
    expect_levels("x", x, tuple(logits.shape[:-1]), levels=logits.shape[-1])
    return -F.cross_entropy(_in_full(logits).movedim(-1, 1), x, reduction="none").flatten(1).sum(1)


def bernoulli_log_prob(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log p(x) under independent Bernoullis: logits (B, …) of ink, x (B, …) long, 0 or 1 -> (B,) nats.

    Raises TypeError and ValueError as `expect_levels` does.
    """
    expect_tensor("x", x)
    expect_floats("logits", logits, ("B", *x.shape[1:]))
    expect_levels("x", x, tuple(logits.shape), levels=2)
    logits = _in_full(logits)
    nats = F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none")
    return -nats.flatten(1).sum(1)


def gaussian_log_prob(mean: torch.Tensor, log_var: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log p(x) under independent Gaussians: mean, x (B, …) and log σ² of a shape that fits -> (B,) nats."""
    expect_tensor("x", x)
    expect_floats("mean", mean, tuple(x.shape))
    mean, log_var = _in_full(mean), _in_full(log_var).expand_as(mean)
    # Divided by √σ, twice: in float32 σ² is 0 from log σ² = -104 on, and the mean itself would get 0 / 0; 1/σ is inf
    # from -178 on. Where 1/√σ would be, it stays finite: what is not the mean has no density there in any case.
    root = (-log_var / 4).clamp(max=math.log(torch.finfo(log_var.dtype).max) - 1).exp()
    nats = 0.5 * (((x - mean) * root * root).square() + log_var + math.log(2 * math.pi))
    return -nats.flatten(1).sum(1)


def gaussian_kl(mu: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """KL( N(μ, σ²) ‖ N(0, 1) ), independent components: mu, log_var (B, Z) -> (B,) nats, never negative.

    Half precision is computed in float32. Source: Kingma and Welling (2014), appendix B.
    """
    mu, log_var = _in_full(mu), _in_full(log_var)
    spread = log_var.expm1() - log_var  # and not exp - 1 - log σ², which is all rounding where q is nearly the prior
    return 0.5 * (mu.square() + spread).sum(1)


def log_mean_exp(log_w: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """log of the mean of exp(log_w) along `dim`, safe for numbers far below 0: (S, B) -> (B,)."""
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def _in_full(numbers):
    """Half precision as float32, any other as it is: what a GPU computes layers with is too coarse for long sums."""
    return numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers


def bits_per_dim(nats, dims: int):
    """Nats per observation as bits per component, where an observation has `dims` of them: nats / (dims · ln 2)."""
    return nats / (dims * math.log(2))
