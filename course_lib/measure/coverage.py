"""Does a generator make all there is to make, and nothing else? Draws held against modes, or data, that are known."""

from dataclasses import dataclass

import torch

from ..expect import expect_count, expect_floats, expect_levels

AT_ONCE = 4_000_000  # distances held in memory together


def nearest(x: torch.Tensor, of: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest one of `of` (M, D) to each of x (N, D) floats: how far it is (N,), and which (N,) long.

    Images are flattened first, `x.flatten(1).float()`; a draw at distance 0 from training data is a copy. Raises
    TypeError or ValueError for what is not floats of one width, and where there is nothing to be near.
    """
    expect_floats("of", of, ("M", "D"))
    expect_floats("x", x, ("N", of.shape[1]))
    expect_count("the length of `of`", len(of))
    found = [torch.cdist(part, of).min(1) for part in x.split(max(1, AT_ONCE // len(of)))]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def mode_kl(mode: torch.Tensor, n_modes: int) -> float:
    """KL( draws ‖ uniform ) over modes, nats, from the mode (N,) long that each draw belongs to: 0 is even.

    It is log(K / k) where the draws share k of the K modes evenly. Raises TypeError or ValueError for other labels.
    """
    expect_count("n_modes", n_modes)
    expect_levels("mode", mode, ("N",), n_modes)
    expect_count("the number of draws", len(mode))
    share = mode.bincount(minlength=n_modes).double() / len(mode)
    return (torch.special.xlogy(share, share * n_modes)).sum().item()


@dataclass(frozen=True)
class Coverage:
    """Of draws: how many modes they `reached`, out of how many; the share that lies well; how unevenly they spread."""

    reached: int
    of: int
    high_quality: float
    reverse_kl: float
    shares: torch.Tensor  # (K,), of all draws: those within 3 σ of each mode


def coverage(x: torch.Tensor, modes: torch.Tensor, std: float, *, least: float = 0.1) -> Coverage:
    """Hold draws x (N, D) against equal Gaussians around `modes` (K, D), `std` wide in each direction.

    A draw is of high quality within 3 σ of a mode; the truth itself has 1 − exp(−9/2) = 98.9 % of these on the plane.
    A mode is reached when its draws of high quality are at least `least` of what is due to it, N / K; papers count one
    such draw in 2,500 (`least=0`), which a draw on its way between two other modes can be. The reverse KL counts every
    draw for the mode that is nearest (`mode_kl`). Raises TypeError or ValueError for other draws, modes and numbers.
    """
    expect_count("the number of draws", len(x))
    if not (std > 0 and 0 <= least <= 1):
        raise ValueError(f"expected std > 0 and least from 0 to 1, got {std} and {least}")
    distance, mode = nearest(x, modes)
    good, K = distance <= 3 * std, len(modes)
    n = mode[good].bincount(minlength=K)
    enough = (n > 0) & (n >= least * len(x) / K)
    return Coverage(
        reached=int(enough.sum()),
        of=K,
        high_quality=good.double().mean().item(),
        reverse_kl=mode_kl(mode, K),
        shares=n / len(x),
    )
