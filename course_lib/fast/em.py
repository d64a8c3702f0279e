"""EM for Gaussian mixtures, fast: the log-density of a Gaussian is linear in 1, x and the products of x with itself.

So an E step is one matrix product, weights times `features`; the statistics that the M step needs are another, with
the responsibilities. Many mixtures (R restarts of K components) are only more rows: M = R·K. Points, in the data's own
`Units`, come in blocks (D, n), and nothing is larger than the features of a block.

Most of the time goes into the two products, near to what a core can multiply, and a third into making the features. So
a block is a few large operations, on memory that is used again, and every core has blocks of its own.

Source: Dempster, Laird and Rubin (1977), section 4.3; in the words of Wainwright and Jordan (2008), section 3, the
statistics are the mean parameters of an exponential family.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .cores import on_every_core

Parameters = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # log_pi (M,), mean (M, D), covariance (M, …)
CLAIMED = 1e-10  # points; a component with fewer is dead
BLOCK = 2**19  # numbers at once in an E step: they stay in the processor's cache


@dataclass(frozen=True)
class Units:
    """The data's centre and width, (D,) each; for balls, which must stay balls, all columns have one width.

    Standardised, a second moment less a squared mean loses no digits, and a least width is a share of the data's.
    """

    centre: torch.Tensor
    width: torch.Tensor
    kind: str

    @classmethod
    def of(cls, x: torch.Tensor, kind: str) -> "Units":
        """Those of x (N, D). Raises ValueError where a column is constant, or its square not finite."""
        centre, width = x.mean(0), x.std(0, correction=0)
        if not width.isfinite().all():
            raise ValueError("x: expected numbers whose squares are finite too, got larger ones; divide the columns")
        if not (width > 1e-12 * centre.abs()).all():
            columns = ", ".join(map(str, (~(width > 1e-12 * centre.abs())).nonzero().flatten().tolist()))
            raise ValueError(
                f"x: expected columns that vary, got constant ones ({columns}): no density; leave them out"
            )
        return cls(centre, width.square().mean().sqrt().expand_as(width) if kind == "spherical" else width, kind)

    @property
    def log_volume(self) -> torch.Tensor:
        """What a log-density of standardised points is above that of the data."""
        return self.width.log().sum()

    def points(self, x: torch.Tensor) -> torch.Tensor:
        """x (N, D), standardised."""
        return (x - self.centre) / self.width

    def standardise(self, log_pi, mean, covariance) -> Parameters:
        """A mixture of the data as one of the standardised points."""
        return log_pi, (mean - self.centre) / self.width, self._stretched(covariance, 1 / self.width)

    def restore(self, log_pi, mean, covariance) -> Parameters:
        """A mixture of standardised points as one of the data."""
        return log_pi, self.centre + mean * self.width, self._stretched(covariance, self.width)

    def _stretched(self, covariance, by):
        if self.kind == "full":
            return covariance * by * by[:, None]
        return covariance * (by.square() if self.kind == "diagonal" else by[0].square())


def cut(points: torch.Tensor, kind: str, M: int) -> list[torch.Tensor]:
    """points (N, D) -> blocks (D, n), which with all that M components say of them are at most `BLOCK` numbers."""
    rows = len(features(points[:1].T, kind)) + M
    return [block.T.contiguous() for block in points.split(max(1, BLOCK // rows))]


def features(block: torch.Tensor, kind: str, room: torch.Tensor | None = None) -> torch.Tensor:
    """x (D, n) -> (P, n): 1, x, and x_i x_j of all `pairs` ("full"), x_i² ("diagonal") or |x|² ("spherical").

    They are written into `room`, the features of another block, if it is as large.
    """
    D, n = block.shape
    rows = 1 + D + {"full": D * (D + 1) // 2, "diagonal": D, "spherical": 1}[kind]
    phi = block.new_empty(rows, n) if room is None or room.shape[1] != n else room
    phi[0], phi[1 : 1 + D], squares = 1, block, phi[1 + D :]
    if kind == "spherical":
        torch.sum(block.square(), 0, keepdim=True, out=squares)
    elif kind == "diagonal":
        torch.mul(block, block, out=squares)
    else:
        turns = (D + 1) // 2
        circle = torch.cat([block, block[: turns - 1]])
        turned = circle.unfold(0, D, 1).mT  # (turns, D, n): a view, whose [s, i] is x_{i + s}
        torch.mul(turned, block, out=squares[: turns * D].view(turns, D, n))
        if D % 2 == 0:  # half a turn takes i to j and j to i
            torch.mul(block[: D // 2], block[D // 2 :], out=squares[turns * D :])
    return phi


def pairs(D: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each pair i, j of D dimensions once, (D(D + 1)/2,) each: on a circle, first those 0 apart, then 1, 2, … D/2.

    So all products of a block are one operation, x times x turned by 0, 1, 2, …; row by row of a triangle they were D.
    """
    apart, i = torch.arange(D * (D + 1) // 2).div(D, rounding_mode="floor"), torch.arange(D * (D + 1) // 2) % D
    return i, (i + apart) % D


def weights(parameters: Parameters, kind: str) -> torch.Tensor:
    """The rows (M, P) with which `features` become log π_k + log N(x; μ_k, Σ_k)."""
    log_pi, mean, covariance = parameters
    M, D = mean.shape
    if kind == "full":
        root = torch.linalg.cholesky(covariance)
        precision, log_volume = torch.cholesky_inverse(root), root.diagonal(dim1=1, dim2=2).log().sum(1)
        linear = (precision @ mean[..., None])[..., 0]
        i, j = (index.to(mean.device) for index in pairs(D))
        square = precision[:, i, j] * torch.where(i == j, -0.5, -1.0)  # x_i x_j stands there once, for two
    else:
        precision = 1 / covariance.view(M, -1)  # (M, D) or (M, 1)
        log_volume = -0.5 * precision.expand(M, D).log().sum(1)
        linear, square = precision * mean, -0.5 * precision
    constant = log_pi - log_volume - 0.5 * (linear * mean).sum(1) - D / 2 * math.log(2 * math.pi)
    return torch.cat([constant[:, None], linear, square], 1)


def expectation(blocks: list, parameters: Parameters, kind: str, R: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One E step: the features' sums, weighted by responsibilities (M, P), and Σ_n log p(x_n) a restart (R,)."""
    rows = weights(parameters, kind)

    def look(_, phi):
        joint = (rows @ phi).unflatten(0, (R, -1))  # (R, K, n), its logarithm
        top = joint.amax(1, keepdim=True)
        joint.sub_(top).exp_()  # in its place, and once: `logsumexp` and then `exp` would be twice
        share = joint.sum(1, keepdim=True)
        return joint.div_(share).flatten(0, 1), (share.log() + top).sum((1, 2))

    return gathered(blocks, kind, look)


def gathered(blocks: list, kind: str, look) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ_n r_n φ(x_n)ᵀ (M, P) and Σ_n log p(x_n) (R,); `look(block, φ)` gives the r (M, n) and the second sum of one."""

    def share(blocks):
        statistics, log_prob, phi = 0, 0, None
        for block in blocks:
            phi = features(block, kind, phi)
            r, nats = look(block, phi)
            statistics, log_prob = statistics + r @ phi.T, log_prob + nats
        return statistics, log_prob

    statistics, log_prob = zip(*on_every_core(share, blocks), strict=True)
    return sum(statistics), sum(log_prob)


def maximisation(statistics: torch.Tensor, previous: Parameters, kind: str, R: int, floor: float) -> Parameters:
    """One M step: the likeliest parameters with every component at least `floor` wide in every direction.

    Of the covariances that are not narrower, the likeliest has the sample's axes, with its short ones lengthened. A
    component with fewer than `CLAIMED` points keeps its place, with weight 0.
    """
    D = previous[1].shape[1]
    n, first, second = statistics[:, 0], statistics[:, 1 : 1 + D], statistics[:, 1 + D :]
    dead = n < CLAIMED
    n = n.masked_fill(dead, 1)[:, None]
    mean = first / n
    if kind == "full":
        i, j = (index.to(mean.device) for index in pairs(D))
        covariance = mean.new_empty(len(mean), D, D)
        covariance[:, i, j] = covariance[:, j, i] = second / n - mean[:, i] * mean[:, j]
        values, axes = torch.linalg.eigh(covariance)
        widened = axes @ (values.clamp(min=floor**2)[..., None] * axes.mT)
        narrow = (values[:, :1] < floor**2)[..., None]
        covariance = torch.where(narrow, (widened + widened.mT) / 2, covariance)
    elif kind == "diagonal":
        covariance = (second / n - mean.square()).clamp(min=floor**2)
    else:
        covariance = ((second[:, 0] / n[:, 0] - mean.square().sum(1)) / D).clamp(min=floor**2)
    weight = statistics[:, 0].masked_fill(dead, 0).unflatten(0, (R, -1))
    log_pi = (weight / weight.sum(1, keepdim=True)).log().flatten()
    keep = dead.view(-1, *[1] * (covariance.ndim - 1))
    return log_pi, torch.where(dead[:, None], previous[1], mean), torch.where(keep, previous[2], covariance)


def steps(
    blocks: list, parameters: Parameters, statistics: torch.Tensor, kind: str, R: int, floor: float
) -> Iterator[tuple[Parameters, torch.Tensor]]:
    """EM, without an end: after each step, M and then E, the parameters and Σ_n log p(x_n) a restart (R,)."""
    while True:
        parameters = maximisation(statistics, parameters, kind, R, floor)
        statistics, log_prob = expectation(blocks, parameters, kind, R)
        yield parameters, log_prob


def hidden(points: torch.Tensor, parameters: Parameters, kind: str, floor: float) -> list[int]:
    """The columns of points (N, D) in which `floor` hides them from a mixture because a few far ones stretch it.

    That is where most of the weight is in components as narrow as the floor lets them be, and the middle half of the
    points is narrow as well, below a tenth of the column's standard deviation (of a Gaussian it is 1.35). If it is one
    number, as in sparse columns, no floor hides it.
    """
    log_pi, mean, covariance = parameters
    variance = covariance.diagonal(dim1=1, dim2=2) if kind == "full" else covariance.view(len(mean), -1)
    narrow = (variance < 2 * floor**2).expand_as(mean).to(log_pi)
    columns, quarter = (log_pi.exp() @ narrow > 0.5).nonzero().flatten().tolist(), len(points) // 4
    return [
        column
        for column, x in zip(columns, points.T[columns], strict=True)
        if 0 < x.kthvalue(len(x) - quarter).values - x.kthvalue(quarter + 1).values < 0.1 * x.std(correction=0)
    ]


def seeds(points: torch.Tensor, K: int, R: int, *, spread: bool, generator: torch.Generator) -> torch.Tensor:
    """R times K of the points (N, D) -> (R, K, D): distinct ones, or with `spread` far from each other.

    Spread, a point is drawn with probability proportional to its squared distance from the nearest that was drawn:
    k-means++, Arthur and Vassilvitskii (2007).
    """
    chance = {"generator": generator, "device": generator.device}
    drawn = torch.randint(len(points), (R,), **chance).to(points.device)
    chosen, nearest = [points[drawn]], points.new_full((R, len(points)), math.inf)
    for _ in range(K - 1):
        # computed so that a point is 0 from itself
        apart = torch.cdist(chosen[-1], points, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = torch.minimum(nearest, apart.square())
        share = nearest if spread else (nearest > 0).to(points.dtype)
        height = torch.rand(R, 1, **chance).to(share) * share.sum(1, keepdim=True)
        drawn = torch.searchsorted(share.cumsum(1), height, right=True)[:, 0]
        drawn = drawn.clamp(max=len(points) - 1)  # where all points are taken, any will do
        chosen.append(points[drawn])
    return torch.stack(chosen, 1)


def start(blocks: list, kind: str, places: torch.Tensor) -> tuple[Parameters, torch.Tensor]:
    """Round components of width 1 at `places` (R, K, D), and the statistics when each point belongs to the nearest."""
    R, K, D = places.shape
    M = R * K
    sizes = {"full": (M, D, D), "diagonal": (M, D), "spherical": (M,)}
    covariance = (torch.eye(D) if kind == "full" else torch.ones(())).to(places).expand(sizes[kind])

    def look(block, _):
        nearest = torch.cdist(places, block.T).argmin(1)  # (R, n)
        return F.one_hot(nearest, K).mT.flatten(0, 1).to(block.dtype), 0

    parameters = places.new_full((M,), -math.log(K)), places.flatten(0, 1), covariance
    return parameters, gathered(blocks, kind, look)[0]
