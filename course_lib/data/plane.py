"""Six shapes on the plane whose density is known exactly: what a model learns can be held against the truth.

The bent ones are straight ones, moved by a map that preserves area: a twist, or polar coordinates of the right kind.
Such a map neither thins nor thickens, so the density at a point is the straight one's where that point came from.
"""

import math
from itertools import product

import torch
import torch.nn.functional as F

from ..expect import expect_count, expect_floats, expect_generator, expect_one_of


def load_plane(name: str) -> "Plane":
    """One of six densities, by name: "ring", "grid", "moons", "spiral", "pinwheel" or "checkerboard".

    Ring and grid are 8 and 25 Gaussians of equal weight, well apart. All six have mean 0 and lie in [-4, 4]², but for
    one point in a thousand at most.

    Raises ValueError for another name.
    """
    expect_one_of("name", name, _DENSITIES)
    return Plane(_DENSITIES[name], *_MODES.get(name, (None, None)))


class Plane:
    """A density on the plane that integrates to 1: `log_prob` is exact, and `sample` draws from it.

    Where it is made of equal, round Gaussians, `modes` (K, 2) are their centres and `mode_std` is their width; for the
    others, which have no modes that can be counted, both are None.
    """

    def __init__(self, density, modes, mode_std):
        self._density, self.mode_std = density, mode_std
        self.modes = None if modes is None else torch.tensor(modes)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x), the density at points x (B, 2) -> (B,) nats, in the dtype and on the device of `x`.

        −inf outside the checkerboard's squares; finite everywhere for the others, with a gradient (the score).
        Raises TypeError and ValueError as `expect_floats` does.
        """
        expect_floats("x", x, ("B", 2))
        return self._density.log_prob(x)

    def sample(self, n: int, *, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Draw `n` points: (n, 2) of `dtype`, on the generator's device; the same seed gives the same points.

        Raises TypeError for an `n` that is no int, a `generator` that is none and a `dtype` that is not a
        floating-point one; ValueError for n < 1.
        """
        expect_count("n", n)
        expect_generator(generator)
        if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype: expected a floating-point one, as torch.float32, got {dtype}")
        return self._density.sample(n, generator=generator, device=generator.device, dtype=dtype)


# --- on the line: log_prob (…) -> (…) nats, sample -> (n,) ----------------------------------------------------------


class _Normal:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def log_prob(self, s):
        return -0.5 * ((s - self.mean) / self.std) ** 2 - math.log(self.std * math.sqrt(2 * math.pi))

    def sample(self, n, **like):
        return self.mean + self.std * torch.randn(n, **like)


class _Plateau:
    """Flat from `low` to `high`, with soft ends `edge` wide: a uniform number plus logistic noise."""

    def __init__(self, low, high, edge):
        self.low, self.high, self.edge = low, high, edge

    def log_prob(self, s):
        # (σ(a) - σ(b)) / length, with a = (s - low) / edge and b = (s - high) / edge. As a product it never
        # underflows: σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)), and b - a is the same for every s.
        length = self.high - self.low
        ends = F.logsigmoid((s - self.low) / self.edge) + F.logsigmoid((self.high - s) / self.edge)
        return ends + math.log(-math.expm1(-length / self.edge) / length)

    def sample(self, n, **like):
        flat = self.low + (self.high - self.low) * torch.rand(n, **like)
        eps = torch.finfo(flat.dtype).eps  # rand may be 0, whose logit is −inf
        return flat + self.edge * torch.rand(n, **like).logit(eps)


# --- on the plane: log_prob (B, 2) -> (B,) nats, sample -> (n, 2) ---------------------------------------------------


class _Gaussians:
    """Gaussians of equal weight around `means`, K pairs; `std`, a pair, holds for all: along x and along y."""

    def __init__(self, means, std):
        self.means, self.std = means, std

    def log_prob(self, x):
        z = (x[:, None] - x.new_tensor(self.means)) / x.new_tensor(self.std)  # (B, K, 2)
        volume = len(self.means) * 2 * math.pi * math.prod(self.std)
        return (-0.5 * z.square().sum(2)).logsumexp(1) - math.log(volume)

    def sample(self, n, **like):
        z = torch.randn(n, 2, **like)
        return _any_of(self.means, n, like) + z.new_tensor(self.std) * z


class _Squares:
    """Uniform on squares of side 2 around `centres`, K pairs; the edge belongs to a square."""

    def __init__(self, centres):
        self.centres = centres

    def log_prob(self, x):
        far = (x[:, None] - x.new_tensor(self.centres)).abs().amax(2)  # (B, K)
        area = 4 * len(self.centres)
        return torch.where(far.amin(1) <= 1, x.new_tensor(-math.log(area)), -math.inf)

    def sample(self, n, **like):
        return _any_of(self.centres, n, like) + 2 * torch.rand(n, 2, **like) - 1


class _Polar:
    """r²/2 (an area) and the angle about `centre` are independent, with densities `area` and `angle`.

    dx dy = r dr dφ = d(r²/2) dφ: these polar coordinates preserve area, so their densities multiply to that of x.
    """

    def __init__(self, area, angle, centre=(0, 0)):
        self.area, self.angle, self.centre = area, angle, centre

    def log_prob(self, x):
        x = x - x.new_tensor(self.centre)
        area, angle = x.square().sum(1) / 2, torch.atan2(x[:, 1], x[:, 0])
        # All that lands on x: an area below 0 loses its sign, and an angle may go once more round, either way. A second
        # round would add less than rounding does.
        areas, angles = torch.stack([area, -area]), torch.stack([angle + 2 * math.pi * k for k in (-1, 0, 1)])
        return self.area.log_prob(areas).logsumexp(0) + self.angle.log_prob(angles).logsumexp(0)

    def sample(self, n, **like):
        r, angle = (2 * self.area.sample(n, **like).abs()).sqrt(), self.angle.sample(n, **like)
        return r.new_tensor(self.centre) + r[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


class _Turned:
    """`copies` of a density, of equal weight, turned about 0 by equal angles, and then twisted.

    A twist turns each point by `twist` radians per unit of its distance from 0, which a turn leaves as it is.
    """

    def __init__(self, part, copies, twist=0):
        self.part, self.angles, self.twist = part, [2 * math.pi * k / copies for k in range(copies)], twist

    def log_prob(self, x):
        twist = self.twist * x.norm(dim=1)
        back = [self.part.log_prob(_turn(x, -(angle + twist))) for angle in self.angles]
        return torch.stack(back).logsumexp(0) - math.log(len(self.angles))

    def sample(self, n, **like):
        x = self.part.sample(n, **like)
        return _turn(x, _any_of(self.angles, n, like) + self.twist * x.norm(dim=1))


def _turn(x, angle):
    """Turn points x (B, 2) about 0, anticlockwise, by `angle` (B,) radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], 1)


def _any_of(values, n, like):
    """Draw `n` of `values`, each as likely as the others."""
    chosen = torch.randint(len(values), (n,), generator=like["generator"], device=like["device"])
    return torch.tensor(values, device=like["device"], dtype=like["dtype"])[chosen]


_EIGHTHS = [2 * math.pi * k / 8 for k in range(8)]
_MODES = {
    "ring": ([(3 * math.cos(angle), 3 * math.sin(angle)) for angle in _EIGHTHS], 0.25),
    "grid": (list(product((-3, -1.5, 0, 1.5, 3), repeat=2)), 0.2),
}
_DENSITIES = {
    "ring": _Turned(_Gaussians([(3, 0)], std=(0.25, 0.25)), copies=8),
    "grid": _Gaussians(_MODES["grid"][0], std=(0.2, 0.2)),
    "moons": _Turned(  # a half-circle of radius 2.2 and width 0.2: r dr is how far r²/2 moves
        _Polar(_Normal(2.2**2 / 2, 2.2 * 0.2), _Plateau(0, math.pi, 0.08), centre=(-1.1, -0.55)), copies=2
    ),
    "spiral": _Turned(_Polar(_Plateau(0.3, 6.6, 0.12), _Normal(0, 0.35)), copies=2, twist=2),
    "pinwheel": _Turned(_Gaussians([(2.2, 0)], std=(0.6, 0.35)), copies=5, twist=0.6),
    "checkerboard": _Squares([(x, y) for x, y in product((-3, -1, 1, 3), repeat=2) if (x - y) % 4 == 0]),
}
