"""What a draw from a chain costs: how many steps it takes until the chain has forgotten where it was."""

import torch

from ..expect import expect_floats

SHORTEST = 4  # steps from which anything can be said


def autocorrelation_time(x: torch.Tensor) -> float:
    """Steps that are worth one independent draw: x (T, C), a number read off C chains at T steps -> 1 + 2 Σ_t ρ_t.

    For the mean of that number, T · C values in a row are worth as much as T · C divided by this many independent ones.
    ρ_t is taken about the mean of all chains: where each sits in a place of its own, they count as correlated, and the
    answer is near T, which says *T at least*. A number that a chain forgets soon hides one that it remembers: try
    several, and take the slowest. It is trustworthy for chains of some 50 times its length.

    The sum ends where pairs ρ_2k + ρ_2k+1 are no longer positive, and they may not grow: the initial monotone sequence
    of Geyer (1992), section 3.3. Raises ValueError for T < 4, numbers that are not finite, and chains that never move.
    """
    centred = _expect_chains(x)
    centred = centred - centred.mean()
    T = len(x)
    power = torch.fft.rfft(centred, 2 * T, dim=0).abs().square().mean(1)  # twice as long, so that no end meets a start
    rho = torch.fft.irfft(power, 2 * T)[:T]
    rho = rho / rho[0]
    pairs = rho[: T // 2 * 2].view(-1, 2).sum(1)
    ends = (pairs <= 0).nonzero()
    pairs = pairs[: int(ends[0]) if len(ends) else None].cummin(0).values
    return (2 * pairs.sum() - 1).item()


def scale_reduction(x: torch.Tensor) -> float:
    """How much wider all chains together are than one alone: x (T, C), C ≥ 2 -> R̂, 1 where each has been everywhere.

    Start them far apart: chains that have all been drawn to the same place agree, and know nothing of other places.
    Above 1.1 they have not met. Source: Gelman and Rubin (1992). Raises ValueError as
    `autocorrelation_time` does, and for a single chain.
    """
    x = _expect_chains(x)
    T, C = x.shape
    if C < 2:
        raise ValueError(f"x: expected two chains or more, for one has nothing to differ from, got shape {(T, C)}")
    within, between = x.var(0).mean(), x.mean(0).var()
    if within == 0:
        return float("inf")
    return ((T - 1) / T + between / within).sqrt().item()


def _expect_chains(x):
    """x (T, C) in float64, if there is something to say about it."""
    expect_floats("x", x, ("T", "C"))
    if len(x) < SHORTEST or not x.shape[1]:
        raise ValueError(f"x: expected {SHORTEST} steps or more of a chain or more, got shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError("x: expected finite numbers, got inf or nan among them")
    if (x == x[0, 0]).all():
        raise ValueError(f"x: expected chains that move, got {x[0, 0]} at every step; read another number off them")
    return x.to("cpu").double()
