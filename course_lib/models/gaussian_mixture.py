"""The Gaussian mixture: choose a component by its weight, then draw from it. Fitted by EM."""

import math
import time
import warnings
from dataclasses import dataclass

import torch
from torch import nn
from tqdm.auto import tqdm

from ..checkpoint import History
from ..expect import expect_count, expect_floats, expect_generator, expect_one_of
from ..fast import em

SHAPES = {"full": ("K", "D", "D"), "diagonal": ("K", "D"), "spherical": ("K",)}
STARTS = ("k-means++", "points")
HIDDEN = (
    "x: a few points lie so far from the others (columns {}) that these are lost in the width that every component "
    "keeps, floor = {:g} of the standard deviation; leave the far ones out, take logarithms, or a smaller floor"
)


@dataclass(frozen=True)
class GaussianMixtureConfig:
    """`n_components` K, and the kind of their covariances: "full", "diagonal" or "spherical"."""

    n_components: int
    covariance: str = "full"

    def __post_init__(self):
        expect_count("n_components", self.n_components)
        expect_one_of("covariance", self.covariance, SHAPES)


class GaussianMixture(nn.Module):
    """p(x) = Σ_k π_k N(x; μ_k, Σ_k) over x (B, D): `fit` finds its parameters by EM, `of` takes those that are given.

    `log_pi` (K,), `mean` (K, D) and `covariance_`, (K, D, D), (K, D) or (K,) as `covariance` is "full", "diagonal" or
    "spherical"; float64. Source: Dempster, Laird and Rubin (1977), section 4.3.
    """

    def __init__(self, config: GaussianMixtureConfig):
        super().__init__()
        self.config = config
        for name in ("log_pi", "mean", "covariance_"):  # empty until they are known
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @classmethod
    def of(cls, log_pi, mean, covariance_, *, covariance: str = "full") -> "GaussianMixture":
        """The mixture with these parameters. Raises TypeError or ValueError where they are none of a mixture."""
        mixture = cls(GaussianMixtureConfig(len(log_pi), covariance))
        mixture.log_pi, mixture.mean, mixture.covariance_ = mixture._checked((log_pi, mean, covariance_), "D")
        return mixture

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) -> log p(x) (B,), nats. Raises RuntimeError before `fit`, TypeError or ValueError for another x."""
        return self._log_joint(x).logsumexp(1)

    def responsibilities(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) -> p(k | x) (B, K), the components' shares in each point. Raises as `log_prob` does."""
        return self._log_joint(x).softmax(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> torch.Tensor:
        """n draws (n, D). Raises RuntimeError before `fit`, ValueError for n < 1."""
        expect_count("n", n)
        expect_generator(generator)
        self._must_be_known()
        k = self.log_pi.exp().multinomial(n, replacement=True, generator=generator)
        noise = torch.empty_like(self.mean[k]).normal_(generator=generator)  # (n, D)
        if self.config.covariance == "full":
            return self.mean[k] + (torch.linalg.cholesky(self.covariance_)[k] @ noise[..., None])[..., 0]
        return self.mean[k] + self.covariance_[k].sqrt().view(n, -1) * noise

    @torch.no_grad()
    def fit(
        self,
        x: torch.Tensor,
        *,
        generator: torch.Generator,
        max_steps: int = 200,
        tolerance: float = 1e-6,
        init: str | em.Parameters = "k-means++",
        restarts: int = 1,
        floor: float = 1e-3,
        progress: bool = True,
    ) -> History:
        """EM on x (N, D) until a step gains less than `tolerance` nats a point: History, `loss` = −log p(x) a point.

        `init` is "k-means++" (seeds that lie apart, and each point to the nearest), "points" (any points as seeds) or
        the parameters (log_pi, mean, covariance_) to start from. `restarts` starts run side by side, and the likeliest
        is kept. No step makes the data less likely. No component gets narrower, in any direction, than `floor` times
        the data's standard deviation: so none can collapse onto a point. A RuntimeWarning says where a few far points
        make that so wide that all others are lost in it. One that no point claims any more keeps its place, with weight
        0. The numbers are float64, on the CPU where the device has none (Apple's GPU). Ctrl-C keeps
        what the last step found.

        Raises TypeError or ValueError for data of another shape, not finite, with fewer points than components or a
        constant column, and for settings or starts that cannot work.
        """
        expect_generator(generator)
        self._expect_data(x)
        self._expect_settings(max_steps, tolerance, init, restarts, floor)
        began, kind = time.monotonic(), self.config.covariance
        exact = x.to("cpu" if x.device.type == "mps" else x.device).double()
        units = em.Units.of(exact, kind)
        points = units.points(exact)
        blocks = em.cut(points, kind, self.config.n_components * restarts)
        parameters, statistics = self._begin(points, blocks, units, init, restarts, generator)
        losses = []  # of each step (restarts,)
        try:
            with tqdm(total=max_steps, desc="EM", unit="step", delay=2, disable=not progress) as bar:
                for new, log_prob in em.steps(blocks, parameters, statistics, kind, restarts, floor):
                    parameters, losses = new, [*losses, units.log_volume - log_prob / len(points)]
                    bar.update()
                    settled = len(losses) > 1 and (losses[-2] - losses[-1]).max() < tolerance
                    if settled or len(losses) == max_steps:
                        break
        except KeyboardInterrupt:
            print(f"stopped after step {len(losses)} of {max_steps}; the mixture is what that step found")
        best = int(losses[-1].argmin()) if losses else 0
        likeliest = [p.unflatten(0, (restarts, -1))[best] for p in parameters]
        found = units.restore(*likeliest)
        dtype = torch.float32 if x.device.type == "mps" else torch.float64
        self.log_pi, self.mean, self.covariance_ = (p.to(x.device, dtype) for p in found)
        if columns := em.hidden(points, likeliest, kind, floor):
            warnings.warn(HIDDEN.format(str(columns)[1:-1], floor), RuntimeWarning, stacklevel=3)  # over no_grad
        return History([step[best].item() for step in losses], [], time.monotonic() - began, max_steps)

    def _log_joint(self, x):
        """log π_k + log N(x; μ_k, Σ_k): x (B, D) -> (B, K); component after component, for memory's sake."""
        self._must_be_known()
        D = self.mean.shape[1]
        expect_floats("x", x, ("B", D))
        x, full = x.to(self.mean.dtype), self.config.covariance == "full"
        roots = torch.linalg.cholesky(self.covariance_) if full else self.covariance_.sqrt()
        columns = []
        for log_pi, mean, root in zip(self.log_pi, self.mean, roots, strict=True):
            away = (x - mean).T  # (D, B)
            if full:
                away, width = torch.linalg.solve_triangular(root, away, upper=False), root.diagonal()
            else:
                width = root.expand(D)
                away = away / width[:, None]
            columns.append(log_pi - away.square().sum(0) / 2 - width.log().sum() - D / 2 * math.log(2 * math.pi))
        return torch.stack(columns, 1)

    def _must_be_known(self):
        if not self.mean.numel():
            raise RuntimeError("this mixture has no parameters yet: call fit(x, generator=…), or GaussianMixture.of(…)")

    def _load_from_state_dict(self, state, prefix, *rest):
        for name, buffer in list(self.named_buffers()):  # empty ones could not take the parameters of a fitted mixture
            if prefix + name in state:
                setattr(self, name, buffer.new_zeros(state[prefix + name].shape))
        super()._load_from_state_dict(state, prefix, *rest)

    def _expect_data(self, x):
        """Raises where x has no density to find."""
        expect_floats("x", x, ("N", "D"))
        if len(x) < self.config.n_components:
            raise ValueError(f"x: expected at least {self.config.n_components} points, one a component, got {len(x)}")
        if not x.isfinite().all():
            row = int((~x.isfinite()).any(1).nonzero()[0])
            raise ValueError(f"x: expected finite numbers, got {x[row].tolist()} in row {row}; leave such rows out")

    @staticmethod
    def _expect_settings(max_steps, tolerance, init, restarts, floor):
        """Raises where `fit` could not work with these."""
        expect_count("max_steps", max_steps)
        expect_count("restarts", restarts)
        if not tolerance >= 0 or not 1e-4 <= floor < 1:
            raise ValueError(f"expected tolerance ≥ 0 and floor from 1e-4 to 1, got {tolerance} and {floor}")
        if isinstance(init, str):  # otherwise they are parameters
            expect_one_of("init", init, STARTS)
        elif restarts > 1:
            raise ValueError("restarts: expected 1, for from the same parameters every start ends the same")

    def _begin(self, points, blocks, units, init, restarts, generator):
        """Where EM starts: parameters (restarts · K, …), and the statistics for its first M step."""
        kind = self.config.covariance
        if isinstance(init, str):
            spread = init == "k-means++"
            places = em.seeds(points, self.config.n_components, restarts, spread=spread, generator=generator)
            return em.start(blocks, kind, places)
        parameters = units.standardise(*(p.to(points) for p in self._checked(init, points.shape[1])))
        return parameters, em.expectation(blocks, parameters, kind, restarts)[0]

    def _checked(self, parameters, D):
        """`parameters` in float64, if they are a mixture's in D dimensions ("D": whatever `mean` has)."""
        log_pi, mean, covariance_ = parameters
        K, kind = self.config.n_components, self.config.covariance
        expect_floats("log_pi", log_pi, (K,))
        expect_floats("mean", mean, (K, D))
        expect_floats("covariance_", covariance_, tuple({"K": K, "D": mean.shape[1]}[size] for size in SHAPES[kind]))
        log_pi, mean, covariance_ = log_pi.double(), mean.double(), covariance_.double()
        finite = mean.isfinite().all() and covariance_.isfinite().all()
        if not finite or not abs(log_pi.exp().sum() - 1) < 1e-5:  # as float32 rounds
            raise ValueError("expected finite means and covariances, and weights exp(log_pi) that sum to 1")
        variances = covariance_.diagonal(dim1=1, dim2=2) if kind == "full" else covariance_.view(K, -1)
        least, enough = variances.amin(1), torch.zeros(K)
        if kind == "full" and (variances > 0).all():
            # in units of the columns' own widths: as correlations, whatever the columns are measured in
            scale = variances.sqrt()[:, :, None]
            correlation = covariance_ / scale / scale.mT
            if not torch.allclose(correlation, correlation.mT, atol=1e-5):  # as float32 rounds
                raise ValueError("covariance_: expected symmetric matrices")
            widths = torch.linalg.eigvalsh(correlation)
            least, enough = widths[:, 0], 1e-14 * widths[:, -1]
        for k, (found, needed) in enumerate(zip(least.tolist(), enough.tolist(), strict=True)):
            if not found > needed:
                raise ValueError(
                    f"covariance_[{k}]: expected variances > 0 in every direction, got {found:.3g}; a singular one has "
                    "no density: add a little to its diagonal"
                )
        return log_pi, mean, covariance_
