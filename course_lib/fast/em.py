"""EM for Gaussian mixtures, fast: the log-density of a Gaussian is linear in 1, x and the products of x with itself.

So an E step is one matrix product, weights times `features`; the statistics that the M step needs are another, with
the responsibilities. Many mixtures (R restarts of K components) are only more rows: M = R·K. Points come in blocks
(D, n), and nothing is larger than the features of a block. Source: Dempster, Laird and Rubin (1977), section 4.3;
in the words of Wainwright and Jordan (2008), section 3, the mean parameters of an exponential family.
"""

import math

import torch
import torch.nn.functional as F

Parameters = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # log_pi (M,), mean (M, D), covariance (M, …)
CLAIMED = 1e-10  # points; a component with fewer is dead


def features(x: torch.Tensor, kind: str) -> torch.Tensor:
    """x (D, n) -> (P, n): 1, x, and x_i x_j with i ≤ j ("full"), x_i² ("diagonal") or |x|² ("spherical")."""
    D, n = x.shape
    if kind != "full":
        squares = x.square()
        return torch.cat([torch.ones_like(x[:1]), x, squares if kind == "diagonal" else squares.sum(0, keepdim=True)])
    found = x.new_empty(1 + D + D * (D + 1) // 2, n)
    found[0], found[1 : 1 + D] = 1, x
    start = 1 + D
    for i in range(D):  # row by row into its place: indexing would copy everything twice
        torch.mul(x[i:], x[i], out=found[start : start + D - i])
        start += D - i
    return found


def weights(parameters: Parameters, kind: str) -> torch.Tensor:
    """The rows (M, P) with which `features` become log π_k + log N(x; μ_k, Σ_k)."""
    log_pi, mean, covariance = parameters
    M, D = mean.shape
    if kind == "full":
        root = torch.linalg.cholesky(covariance)
        precision, log_volume = torch.cholesky_inverse(root), root.diagonal(dim1=1, dim2=2).log().sum(1)
        linear = (precision @ mean[..., None])[..., 0]
        i, j = torch.triu_indices(D, D, device=mean.device)
        square = precision[:, i, j] * torch.where(i == j, -0.5, -1.0)  # x_i x_j stands there once, for two
    else:
        precision = 1 / covariance.view(M, -1)  # (M, D) or (M, 1)
        log_volume = -0.5 * precision.expand(M, D).log().sum(1)
        linear, square = precision * mean, -0.5 * precision
    constant = log_pi - log_volume - 0.5 * (linear * mean).sum(1) - D / 2 * math.log(2 * math.pi)
    return torch.cat([constant[:, None], linear, square], 1)


def expectation(blocks: list, parameters: Parameters, kind: str, R: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One E step: the features' sums, weighted by responsibilities (M, P), and Σ_n log p(x_n) a restart (R,)."""
    rows, total = weights(parameters, kind), 0

    def responsibilities(x, phi):
        nonlocal total
        log_joint = (rows @ phi).unflatten(0, (R, -1))  # (R, K, n)
        log_prob = log_joint.logsumexp(1, keepdim=True)
        total = total + log_prob.sum((1, 2))
        return log_joint.sub_(log_prob).exp_().flatten(0, 1)

    return gathered(blocks, kind, responsibilities), total


def gathered(blocks: list, kind: str, responsibilities) -> torch.Tensor:
    """Σ_n r_n φ(x_n)ᵀ (M, P), where `responsibilities(x, φ)` gives the r (M, n) of a block."""
    total = 0
    for x in blocks:
        phi = features(x, kind)
        total = total + responsibilities(x, phi) @ phi.T
    return total


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
        i, j = torch.triu_indices(D, D, device=mean.device)
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


def seeds(x: torch.Tensor, K: int, R: int, generator: torch.Generator, *, spread: bool) -> torch.Tensor:
    """R times K of the points x (N, D) -> (R, K, D): distinct ones, or with `spread` far from each other.

    Spread, a point is drawn with probability proportional to its squared distance from the nearest that was drawn:
    k-means++, Arthur and Vassilvitskii (2007).
    """
    chance = {"generator": generator, "device": generator.device}
    drawn = torch.randint(len(x), (R,), **chance).to(x.device)
    chosen, nearest = [x[drawn]], torch.full((R, len(x)), math.inf, dtype=x.dtype, device=x.device)
    for _ in range(K - 1):
        apart = torch.cdist(chosen[-1], x, compute_mode="donot_use_mm_for_euclid_dist")  # a point is 0 from itself
        nearest = torch.minimum(nearest, apart.square())
        share = nearest if spread else (nearest > 0).to(x.dtype)
        height = torch.rand(R, 1, **chance).to(share) * share.sum(1, keepdim=True)
        drawn = torch.searchsorted(share.cumsum(1), height, right=True)[:, 0]
        drawn = drawn.clamp(max=len(x) - 1)  # where all points are taken, any will do
        chosen.append(x[drawn])
    return torch.stack(chosen, 1)


def start(x: torch.Tensor, blocks: list, kind: str, places: torch.Tensor) -> tuple[Parameters, torch.Tensor]:
    """Round components of width 1 at `places` (R, K, D), and the statistics when each point belongs to the nearest."""
    R, K, D = places.shape
    M = R * K
    sizes = {"full": (M, D, D), "diagonal": (M, D), "spherical": (M,)}
    covariance = torch.eye(D).expand(sizes[kind]).to(x) if kind == "full" else torch.ones(sizes[kind]).to(x)

    def responsibilities(x, _):
        nearest = torch.cdist(places, x.T).argmin(1)  # (R, n)
        return F.one_hot(nearest, K).mT.flatten(0, 1).to(x.dtype)

    parameters = torch.full((M,), -math.log(K)).to(x), places.flatten(0, 1), covariance
    return parameters, gathered(blocks, kind, responsibilities)
