"""The plane's densities: each integrates to 1, and its samples are where, and as often as, it says.

Integrals are sums over the middles of fine cells. For a smooth density that has died out at the box's edge this is
exact to rounding as soon as the cells are finer than its narrowest part (Poisson summation), and for the checkerboard
too, since its edges are the cells' edges. The spiral has one exception, named where it matters.
"""

import math
import re
from functools import cache

import pytest
import torch
from scipy import stats

from course_lib.data import load_plane
from course_lib.device import make_generator

NAMES = ("ring", "grid", "moons", "spiral", "pinwheel", "checkerboard")
SMOOTH = NAMES[:-1]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
HALF, CELL, N = 6.0, 0.025, 480  # the box [-6, 6]² in N × N cells; every density has died out at ±6
COARSE = 20  # cells a side of a chi-square's square: 0.5, so that a mode of the grid falls in several
DRAWS = 50_000
each_name = pytest.mark.parametrize("name", NAMES)
each_smooth = pytest.mark.parametrize("name", SMOOTH)


def square(half, n):
    """The middles of n × n cells of [-half, half]²: (n·n, 2)."""
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * half / n) - half
    return torch.cartesian_prod(middles, middles)


@cache
def fine(name):
    """The points of the box, and the log-density at each."""
    x = square(HALF, N)
    return x, load_plane(name).log_prob(x)


@cache
def drawn(name):
    return load_plane(name).sample(DRAWS, generator=make_generator(0))


def integral(name, f):
    """∫ p(x) f(x) dx, where `f` has a value for each cell."""
    return ((fine(name)[1].exp() * f) * CELL**2).sum().item()


# --- the density ----------------------------------------------------------------------------------------------------


@each_name
def test_the_density_integrates_to_one(name):
    # The spiral's density jumps at one point, 0, where its two arms meet: the sum is 6e-6 off, and four times less with
    # cells half as wide. The pinwheel's tails reach past the box by 2e-11, and the others are exact to rounding.
    assert integral(name, 1.0) == pytest.approx(1, abs=1e-5 if name == "spiral" else 1e-9)


@each_name
def test_all_are_about_as_large_and_centred(name):
    x, _ = fine(name)
    for axis in (0, 1):
        assert integral(name, x[:, axis]) == pytest.approx(0, abs=1e-5)
        assert 1 < math.sqrt(integral(name, x[:, axis] ** 2)) < 2.5
    assert integral(name, (x.abs().amax(1) > 4).double()) < 1e-3, "one point in a thousand at most outside [-4, 4]²"


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_modes_are_as_many_as_promised_and_well_apart(name, modes):
    n = 181  # an odd number of cells, of 0.05: the grid's modes are then in the middle of cells, and not on their edges
    plane, x = load_plane(name), square(4.525, n)
    p = plane.log_prob(x).exp().view(1, 1, n, n)
    highest = torch.nn.functional.max_pool2d(p, 3, stride=1, padding=1)
    peaks = x[((p == highest) & (p > 0.01 * p.max())).flatten()]
    assert len(peaks) == modes
    apart = torch.cdist(peaks, peaks)
    halfway = (peaks[:, None] + peaks)[(apart > 0) & (apart < 1.1 * apart[apart > 0].min())] / 2
    assert len(halfway) >= modes, "each mode has its neighbours"
    assert plane.log_prob(halfway).exp().max() < 0.01 * p.max(), "a valley is a hundred times lower than the modes"


def test_a_gaussian_of_the_ring_is_the_textbook_one():
    x = torch.tensor([[3.0, 0.0], [3.25, 0.0], [0.0, 2.75]], dtype=torch.float64)
    top = -math.log(8 * 2 * math.pi * 0.25**2)  # the others are nine standard deviations away
    assert load_plane("ring").log_prob(x).tolist() == pytest.approx([top, top - 0.5, top - 0.5], abs=1e-9)


def test_the_moons_are_two_halves_of_circles_that_hold_each_other():
    moons = load_plane("moons")
    on = torch.tensor([[-1.1, 1.65], [-3.3, -0.4], [1.1, -0.4], [1.1, -1.65], [3.3, 0.4], [-1.1, 0.4]])  # tops and tips
    off = torch.tensor([[-1.1, -2.75], [1.1, 2.75], [0.0, 0.0], [-2.2, 0.0], [2.2, 0.0]])  # missing halves, and gaps
    assert moons.log_prob(on).min() > -2.5 and moons.log_prob(off).max() < -6


@each_smooth
def test_turning_by_a_copy_changes_nothing(name):
    angle = {"ring": math.tau / 8, "grid": math.tau / 4, "pinwheel": math.tau / 5}.get(name, math.tau / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    x = 2 * torch.randn(500, 2, generator=make_generator(0), dtype=torch.float64)
    turned = x @ torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64)
    assert load_plane(name).log_prob(turned).tolist() == pytest.approx(load_plane(name).log_prob(x).tolist())


@each_name
def test_the_checkerboard_alone_has_an_outside(name):
    _, log_prob = fine(name)
    assert log_prob.isfinite().all() == (name != "checkerboard")


def test_the_checkerboard_is_uniform_on_its_eight_squares():
    x = torch.tensor([[-3.5, -2.5], [-1.0, -1.0], [3.9, 3.9], [0.1, 0.1], [-4.0, -3.0], [0.0, 0.0]])
    inside = load_plane("checkerboard").log_prob(x)
    assert inside.tolist() == pytest.approx([-math.log(32)] * 6), "eight squares of side 2, their edges with them"
    x = torch.tensor([[-3.0, -1.0], [0.1, -0.1], [-4.001, -3.0], [3.0, 4.001], [9.0, 9.0], [1.0, 3.0]])
    assert load_plane("checkerboard").log_prob(x).eq(-math.inf).all()
    x, log_prob = fine("checkerboard")
    i, j = ((x + 4) // 2).long().T
    black = ((i + j) % 2 == 0) & (x.abs().amax(1) < 4)
    assert log_prob.isfinite().equal(black), "as on a chessboard, the lower left square is black"


@each_smooth
def test_the_score_is_finite_even_at_the_centre_and_far_away(name):
    centres = torch.tensor([[0.0, 0.0], [-1.1, -0.55], [1.1, 0.55]])  # where an angle has no gradient
    x = torch.cat([centres, square(20, 41).float()])
    x.requires_grad_()
    log_prob = load_plane(name).log_prob(x)
    (score,) = torch.autograd.grad(log_prob.sum(), x)
    assert log_prob.isfinite().all() and score.isfinite().all()


# --- the samples ----------------------------------------------------------------------------------------------------


def chi_square(name, points):
    """How badly `points` fit the density, as the chance that good ones fit worse; and the number of cells compared.

    The box is cut into squares of side 0.5. Those where fewer than ten points are expected count as one, as the theory
    of chi-square wants it, with all that lies outside the box.
    """
    side = N // COARSE
    mass = (fine(name)[1].exp() * CELL**2).view(side, COARSE, side, COARSE).sum((1, 3)).flatten()
    square_of = ((points.double() + HALF) / (CELL * COARSE)).floor().long()
    square_of = square_of[((square_of >= 0) & (square_of < side)).all(1)]
    expected = mass * len(points)
    found = (square_of[:, 0] * side + square_of[:, 1]).bincount(minlength=side**2).double()
    many = expected >= 10
    expected, found = (torch.cat([c[many], len(points) - c[many].sum(0, True)]) for c in (expected, found))
    expected[-1].clamp_(min=1)  # the checkerboard leaves nothing over: a miss must cost much, and not infinitely much
    statistic = ((found - expected) ** 2 / expected).sum().item()
    return stats.chi2.sf(statistic, len(expected) - 1), len(expected)


@each_name
def test_samples_follow_the_density(name):
    chance, cells = chi_square(name, drawn(name))
    print(f"{name}: {cells} cells, chance {chance:.3f}")
    assert cells > 50
    # Six fixed seeds: that one of six right samplers falls below has a chance of 0.6 %, and it did not.
    assert chance > 1e-3, f"points that follow the density fit worse only with chance {chance:.1e}"


@each_name
@pytest.mark.parametrize("wrong", ["wider", "shifted", "mirrored"])
def test_the_comparison_notices_a_wrong_sampler(name, wrong):
    x = drawn(name)
    x = {"wider": 1.03 * x, "shifted": x + 0.05, "mirrored": x * torch.tensor([-1, 1])}[wrong]
    if wrong == "mirrored" and name in ("ring", "grid"):
        assert chi_square(name, x)[0] > 1e-3, "ring and grid are their own mirror images"
    else:
        assert chi_square(name, x)[0] < 1e-6


@each_name
def test_samples_are_as_surprising_as_the_entropy_says(name):
    _, log_prob = fine(name)
    entropy = -integral(name, log_prob.where(log_prob.isfinite(), 0))  # p log p is 0 where p is
    surprise = -load_plane(name).log_prob(drawn(name)).double()
    assert surprise.isfinite().all(), "no sample is where the density is 0"
    error = surprise.std().item() / math.sqrt(DRAWS)
    print(f"{name}: {entropy:.4f} nats; {DRAWS} samples: {surprise.mean():.4f} ± {error:.4f}")
    # four standard errors, and float32's rounding, which is all there is on the checkerboard
    assert surprise.mean().item() == pytest.approx(entropy, abs=4 * error + 1e-5)


@each_name
def test_the_seed_is_the_only_chance(name):
    plane = load_plane(name)
    torch.manual_seed(7)
    points = plane.sample(100, generator=make_generator(0))
    torch.manual_seed(8)
    assert points.equal(plane.sample(100, generator=make_generator(0)))
    assert len(drawn(name).unique(dim=0)) == DRAWS, "no two alike: no point has a chance of its own"
    assert not points.equal(plane.sample(100, generator=make_generator(1)))
    generator = make_generator(0)
    assert not plane.sample(8, generator=generator).equal(plane.sample(8, generator=generator)), "a generator goes on"
    state = torch.get_rng_state()
    plane.sample(8, generator=generator)
    assert torch.get_rng_state().equal(state), "the global generator is left alone"


# --- dtype, device, shape -------------------------------------------------------------------------------------------


@each_name
@pytest.mark.parametrize("device", DEVICES)
def test_dtype_and_device_are_carried(name, device):
    plane = load_plane(name)
    x = plane.sample(3, generator=make_generator(0, device))
    assert x.shape == (3, 2) and x.dtype == torch.float32 and x.device.type == device
    for dtype in (torch.float32, torch.float64):
        x = plane.sample(1, generator=make_generator(0, device), dtype=dtype)
        log_prob = plane.log_prob(x)
        assert x.shape == (1, 2) and log_prob.shape == (1,) and log_prob.isfinite().all()
        assert x.dtype == log_prob.dtype == dtype and x.device.type == log_prob.device.type == device
    assert plane.log_prob(torch.zeros(5, 2, device="meta")).device.type == "meta"
    assert plane.log_prob(torch.zeros(0, 2, device=device)).shape == (0,)


@each_name
def test_float32_is_as_good_as_float64(name):
    x = drawn(name)[:1000]
    in_double = load_plane(name).log_prob(x.double())
    assert load_plane(name).log_prob(x).tolist() == pytest.approx(in_double.tolist(), abs=1e-4)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["moon", None])
def test_an_unknown_name_is_refused(name):
    says = f"name: expected one of 'ring', 'grid', 'moons', 'spiral', 'pinwheel', 'checkerboard', got {name!r}"
    with pytest.raises(ValueError, match=re.escape(says)):
        load_plane(name)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"generator": None}, TypeError, "generator: expected a torch.Generator, got NoneType; make_generator(seed)"),
        ({"dtype": torch.long}, TypeError, "dtype: expected a floating-point one, as torch.float32, got torch.int64"),
    ],
)
def test_what_cannot_be_drawn_is_told(change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        load_plane("moons").sample(**{"n": 8, "generator": make_generator(0)} | change)


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (torch.zeros(4, 2).long(), TypeError, "x: expected a floating-point tensor, got torch.int64; x.float()"),
        (torch.zeros(4, 3), ValueError, "x: expected shape (B, 2), got (4, 3)"),
    ],
)
def test_points_that_are_none_are_told(x, error, says):
    with pytest.raises(error, match=re.escape(says)):
        load_plane("moons").log_prob(x)


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_modes_are_the_centres_of_the_gaussians_that_a_density_is_made_of(name, modes):
    plane = load_plane(name)
    assert plane.modes.shape == (modes, 2)
    x = drawn(name).double()[:5000]
    apart = (x[:, None] - plane.modes.double()) / plane.mode_std
    nats = (-0.5 * apart.square().sum(2)).logsumexp(1) - math.log(modes * 2 * math.pi * plane.mode_std**2)
    torch.testing.assert_close(plane.log_prob(x), nats, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_of_no_gaussians_has_no_modes_to_count(name):
    plane = load_plane(name)
    assert (plane.modes is None) == (plane.mode_std is None) == (name not in ("ring", "grid"))
