"""The normalising flow: noise, moved by invertible layers; how much each of them stretches is what log p(x) needs."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..expect import expect_count, expect_floats, expect_generator, expect_levels, expect_one_of
from ..layers import MLP, initialised_by
from ..prob import gaussian_log_prob, log_mean_exp

LEAST = 1e-3  # of a bin's width and height, as shares of all, and of a knot's slope: so that no bin can vanish
STEEPEST = 2.0  # of an affine layer: it stretches by e² = 7.4 at most, and shrinks as much
GENTLE = 0.1  # of the usual first weights of each network's last layer: a flow begins as next to no change
AT_ONCE = 4000  # points in one pass, however many samples a bound asks for
MARGIN = 0.05  # of [0, 1] that is left free at both ends, before a logit makes the line of it


@dataclass(frozen=True)
class FlowConfig:
    """`dimensions` D and the number of `layers`; each layer's network has `depth` hidden layers of `features`.

    `kind` is what a layer does to a number: "affine" stretches and shifts it; "spline" moves it along a smooth, rising
    curve of `bins` pieces, from −`bound` to `bound`, and outside it leaves it as it is.
    """

    dimensions: int = 2
    layers: int = 2
    features: int = 64
    depth: int = 2
    kind: str = "spline"
    bins: int = 16
    bound: float = 5.0

    def __post_init__(self):
        for name, least in {"dimensions": 2, "layers": 1, "features": 1, "depth": 1, "bins": 2}.items():
            expect_count(name, getattr(self, name), least)
        expect_one_of("kind", self.kind, KINDS)
        if not 0 < self.bound < math.inf or self.bins * LEAST >= 1:
            raise ValueError(f"expected 0 < bound < inf and bins < {1 / LEAST:.0f}, got {self.bound} and {self.bins}")


class Affine:
    """x ↔ z = (x − shift) / scale, number by number. Source: Dinh, Sohl-Dickstein and Bengio (2017), section 3."""

    outputs = 2

    def __init__(self, _):
        pass

    def towards_x(self, z, parameters):
        """z (B, d), parameters (B, d, outputs) -> x, log |dx/dz| (B, d) each."""
        shift, log_scale = self._of(parameters)
        return z * log_scale.exp() + shift, log_scale

    def towards_z(self, x, parameters):
        """The inverse: x (B, d) -> z, log |dz/dx|."""
        shift, log_scale = self._of(parameters)
        return (x - shift) * (-log_scale).exp(), -log_scale

    def _of(self, parameters):
        shift, raw = parameters.unbind(-1)
        return shift, STEEPEST * (raw / STEEPEST).tanh()


class Spline:
    """x ↔ z along a rising curve: in each bin a quotient of two parabolas; at both ends it goes on with slope 1.

    Source: Durkan, Bekasov, Murray and Papamakarios (2019), section 3.1.
    """

    def __init__(self, config: FlowConfig):
        self.bins, self.bound = config.bins, config.bound
        self.outputs = 3 * config.bins - 1

    def towards_z(self, x, parameters):
        """x (B, d), parameters (B, d, outputs) -> z, log |dz/dx| (B, d) each."""
        inside, x_in, (x0, width, z0, height, d0, d1) = self._bin_of(x, parameters, by=0)
        share, slope = (x_in - x0) / width, height / width
        rest, log_slope = self._log_slope(share, slope, d0, d1)
        z = z0 + height * (slope * share.square() + d0 * share * (1 - share)) / rest
        return torch.where(inside, z, x), torch.where(inside, log_slope, 0)

    def towards_x(self, z, parameters):
        """The inverse, the root of a parabola: z (B, d) -> x, log |dx/dz|."""
        inside, z_in, (x0, width, z0, height, d0, d1) = self._bin_of(z, parameters, by=1)
        slope, above = height / width, z_in - z0
        bend = above * (d0 + d1 - 2 * slope)
        a, b, c = height * (slope - d0) + bend, height * d0 - bend, -slope * above
        root = (b.square() - 4 * a * c).clamp(min=0).sqrt()
        share = 2 * c / (-b - root)  # and not (root − b) / 2a, which loses its digits where a is nearly 0
        _, log_slope = self._log_slope(share, slope, d0, d1)
        return torch.where(inside, x0 + share * width, z), torch.where(inside, -log_slope, 0)

    @staticmethod
    def _log_slope(share, slope, d0, d1):
        """The quotient's denominator and log |dz/dx|, at a `share` of a bin's width."""
        rest = slope + (d0 + d1 - 2 * slope) * share * (1 - share)
        rise = d1 * share.square() + 2 * slope * share * (1 - share) + d0 * (1 - share).square()
        return rest, 2 * slope.log() + rise.log() - 2 * rest.log()

    def _knots(self, parameters):
        """Where the bins begin and end along x and along z, and the slopes there: (B, d, bins + 1) each."""
        K = self.bins
        widths, heights, slopes = parameters.split([K, K, K - 1], -1)
        edges = []
        for sizes in (widths, heights):
            shares = LEAST + (1 - K * LEAST) * sizes.softmax(-1)
            edges.append(self.bound * (2 * F.pad(shares.cumsum(-1), (1, 0)) - 1))
        one = math.log(math.expm1(1 - LEAST))  # where the parameters are 0, the slopes are 1: the curve is the diagonal
        slopes = F.pad(LEAST + F.softplus(slopes + one), (1, 1), value=1.0)
        return *edges, slopes

    def _bin_of(self, at, parameters, by):
        """Which lie inside; all, drawn inside; and of each one's bin along x (`by` 0) or z (1): x0, width, z0, …"""
        knots = xs, zs, slopes = self._knots(parameters)
        inside = at.abs() < self.bound
        at = torch.where(inside, at, 0)
        k = (knots[by][..., 1:-1] <= at[..., None]).sum(-1, keepdim=True)  # (B, d, 1)
        x0, x1, z0, z1, d0, d1 = (t.gather(-1, i)[..., 0] for t in (xs, zs, slopes) for i in (k, k + 1))
        return inside, at, (x0, x1 - x0, z0, z1 - z0, d0, d1)


KINDS = {"affine": Affine, "spline": Spline}


class Coupling(nn.Module):
    """One layer: a half of the numbers, each moved in its own way, says how the other half is moved.

    So its matrix of derivatives is triangular, and both directions cost one pass. `half` (D,) bool is the first half.
    """

    def __init__(self, config: FlowConfig, half: torch.Tensor):
        super().__init__()
        self.move = KINDS[config.kind](config)
        first, second = half.nonzero()[:, 0], (~half).nonzero()[:, 0]
        order = torch.cat([first, second])
        for name, numbers in {"first": first, "second": second, "back": order.argsort()}.items():
            self.register_buffer(name, numbers, persistent=False)
        outputs = self.move.outputs
        self.alone = nn.Parameter(torch.zeros(len(first), outputs))
        self.net = MLP([len(first), *[config.features] * config.depth, len(second) * outputs])
        with torch.no_grad():
            self.net[-1].weight.mul_(GENTLE)

    def towards_z(self, x):
        """x (B, D) -> z (B, D), log |det dz/dx| (B,)."""
        a, b = x[:, self.first], x[:, self.second]
        moved_a, da = self.move.towards_z(a, self.alone.expand(len(x), -1, -1))
        moved_b, db = self.move.towards_z(b, self._told_by(a))
        return torch.cat([moved_a, moved_b], 1)[:, self.back], da.sum(1) + db.sum(1)

    def towards_x(self, z):
        """z (B, D) -> x (B, D), log |det dx/dz| (B,)."""
        a, da = self.move.towards_x(z[:, self.first], self.alone.expand(len(z), -1, -1))
        b, db = self.move.towards_x(z[:, self.second], self._told_by(a))
        return torch.cat([a, b], 1)[:, self.back], da.sum(1) + db.sum(1)

    def _told_by(self, a):
        return self.net(a).to(a.dtype).unflatten(1, (len(self.second), -1))


class Flow(nn.Module):
    """x = f(z), z ~ N(0, 1), f invertible: log p(x) = log N(f⁻¹(x)) + log |det df⁻¹/dx|, exactly.

    From layer to layer the halves change: even and odd numbers, the other way about, then by the next binary digit of
    their place. With two numbers, each layer is autoregressive. Source: Dinh, Sohl-Dickstein and Bengio (2017).
    """

    def __init__(self, config: FlowConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        place, digits = torch.arange(c.dimensions), (c.dimensions - 1).bit_length()
        halves = [((place >> (k // 2 % digits)) & 1) == k % 2 for k in range(c.layers)]
        with initialised_by(generator):
            self.layers = nn.ModuleList([Coupling(c, half) for half in halves])

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (B, D) -> x (B, D) and log |det dx/dz| (B,). Raises TypeError or ValueError for another z."""
        expect_floats("z", z, ("B", self.config.dimensions))
        return self._through([layer.towards_x for layer in reversed(self.layers)], z)

    def inverse(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, D) -> z (B, D) and log |det dz/dx| (B,). Raises TypeError or ValueError for another x."""
        expect_floats("x", x, ("B", self.config.dimensions))
        return self._through([layer.towards_z for layer in self.layers], x)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, D) -> log p(x) (B,), nats, exactly. Raises as `inverse` does."""
        z, log_det = self.inverse(x)
        zero = torch.zeros_like(z)
        return gaussian_log_prob(zero, zero, z) + log_det

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> torch.Tensor:
        """n draws (n, D), in one pass. Raises TypeError or ValueError for no count and no generator."""
        expect_count("n", n)
        expect_generator(generator)
        like = self.layers[0].alone
        return self(like.new_empty(n, self.config.dimensions).normal_(generator=generator))[0]

    def _through(self, moves, x):
        x = x.to(self.layers[0].alone.dtype)
        total = x.new_zeros(len(x))
        for move in moves:
            x, log_det = move(x)
            total = total + log_det
        return x, total


class DequantisedFlow(nn.Module):
    """A flow over levels: x plus uniform noise fills the gaps between them, and a logit unrolls [0, 1] to the line.

    p(x) is then the flow's mass in the cell of x, an integral without closed form: there is no `log_prob`, but bounds.
    Source: Theis, van den Oord and Bethge (2016), section 3.1; Dinh et al. (2017), section 4.1.
    """

    def __init__(self, config: FlowConfig, *, levels: int = 2, generator: torch.Generator | None = None):
        super().__init__()
        expect_count("levels", levels, 2)
        self.config, self.levels = config, levels
        self.flow = Flow(config, generator=generator)

    def elbo(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """x (B, D) long -> (B,) nats, log of the density at one point of x's cell: in the mean at most log p(x)."""
        return self.log_prob_bound(x, samples=1, generator=generator)

    def log_prob_bound(self, x: torch.Tensor, *, samples: int, generator: torch.Generator) -> torch.Tensor:
        """x (B, D) long -> log of the mean density at `samples` points of its cell, (B,) nats: nearer, and a bound.

        Raises TypeError or ValueError for another x, and for samples < 1. Source: Burda, Grosse and Salakhutdinov
        (2016), equation 8; for dequantisation, Hoogeboom, Cohen and Tomczak (2021).
        """
        expect_levels("x", x, ("B", self.config.dimensions), self.levels)
        expect_count("samples", samples)
        expect_generator(generator)
        at_once, log_p = max(1, AT_ONCE // max(1, len(x))), []
        for n in [min(at_once, samples - done) for done in range(0, samples, at_once)]:
            u = self.flow.layers[0].alone.new_empty(n, *x.shape).uniform_(generator=generator)
            share = (MARGIN + (1 - 2 * MARGIN) * (x + u) / self.levels).flatten(0, 1)
            stretch = math.log((1 - 2 * MARGIN) / self.levels) - share.log() - (1 - share).log()
            log_p.append((self.flow.log_prob(share.logit()) + stretch.sum(1)).view(n, len(x)))
        return log_mean_exp(torch.cat(log_p))

    def sample(self, n: int, *, generator: torch.Generator) -> torch.Tensor:
        """n draws (n, D) long: of the flow's, rounded down to the level below. Raises as `Flow.sample` does."""
        share = (self.flow.sample(n, generator=generator).sigmoid() - MARGIN) / (1 - 2 * MARGIN)
        return (share * self.levels).floor().long().clamp(0, self.levels - 1)  # MARGIN's part goes to the outer levels
