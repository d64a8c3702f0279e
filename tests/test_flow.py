"""The flow: two directions that undo each other, a density that integrates to 1, and bounds on levels that bound.

What is exact is known in three ways: by autograd's Jacobian, by a grid over the plane, and by adding up all levels.
Shapes, dtypes, gradients and the disk are in test_models.py.
"""

import math
from functools import cache
from itertools import product

import pytest
import torch

from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.models.flow import DequantisedFlow, Flow, FlowConfig
from course_lib.train import fit

CONFIGS = {
    "spline": FlowConfig(2, features=8, bins=5),
    "affine": FlowConfig(2, layers=3, features=8, kind="affine"),
    "spline, wide": FlowConfig(5, layers=7, features=8, depth=1, bins=4, bound=3.0),
    "affine, wide": FlowConfig(6, layers=7, features=8, kind="affine"),
}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def bent(config):
    """A flow in float64 that is far from doing nothing."""
    flow = Flow(config, generator=make_generator(0)).double()
    amount = 0.5 if config.dimensions == 2 else 0.25  # many numbers and layers multiply, and so does rounding
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(amount * torch.randn(p.shape, generator=make_generator(1)))
    return flow


def somewhere(config, n=200):
    """Points inside the splines' bound and outside."""
    return 2.5 * torch.randn(n, config.dimensions, generator=make_generator(2), dtype=torch.float64)


@cache
def trained(name, steps=150):
    plane, generator = load_plane(name), make_generator(0)
    flow = Flow(FlowConfig(features=32), generator=generator)
    x = plane.sample(5000, generator=generator)
    knobs = {"batch_size": 256, "lr": 1e-2, "generator": generator, "schedule": "cosine", "progress": False}
    with torch.enable_grad():
        fit(flow, x, loss=lambda model, x: -model.log_prob(x), steps=steps, **knobs)
    return flow


@each_config
@torch.no_grad()
def test_forward_and_inverse_undo_each_other(config):
    flow, z = bent(config), somewhere(config)
    x, stretched = flow(z)
    back, shrunk = flow.inverse(x)
    assert (x - z).abs().mean() > 0.1, "the flow does nothing, and the test shows nothing"
    torch.testing.assert_close(back, z, rtol=0, atol=1e-7)
    torch.testing.assert_close(stretched, -shrunk, rtol=0, atol=1e-6)


@each_config
@torch.no_grad()
def test_in_float32_they_do_so_within_1e_5(config):
    """A new flow. Where a trained one stretches by a thousand, so it does with what float32 rounds off."""
    flow = Flow(config, generator=make_generator(0))
    z = somewhere(config).float()
    torch.testing.assert_close(flow.inverse(flow(z)[0])[0], z, rtol=0, atol=1e-5)
    torch.testing.assert_close(flow(flow.inverse(z)[0])[0], z, rtol=0, atol=1e-5)


@each_config
@pytest.mark.parametrize("way", ["forward", "inverse"])
def test_the_log_determinant_is_autograds(config, way):
    flow, x = bent(config), somewhere(config, 20)
    move = getattr(flow, way)
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda one: move(one[None])[0][0], point) for point in x]
    )
    torch.testing.assert_close(move(x)[1], torch.linalg.slogdet(jacobian)[1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("config", [CONFIGS["spline"], CONFIGS["affine"]], ids=["spline", "affine"])
@torch.no_grad()
def test_the_density_integrates_to_1(config):
    line, flow = torch.arange(-12, 12, 0.02, dtype=torch.float64), bent(config)
    if config.kind == "affine":  # it has no bound, and its density reaches far
        line = line * 10
    step = (line[1] - line[0]).item()
    mass = sum(flow.log_prob(torch.cartesian_prod(part, line)).exp().sum().item() for part in line.split(200))
    assert mass * step**2 == pytest.approx(1, abs=2e-3)


@torch.no_grad()
def test_draws_follow_the_density():
    """The share of draws in each cell of a coarse grid, against the density's mass in it."""
    flow, n = trained("moons"), 20_000
    line = torch.arange(-6, 6, 0.02) + 0.01
    points = torch.cartesian_prod(line, line)
    mass = torch.cat([flow.log_prob(part).exp() for part in points.split(50_000)]) * 0.02**2
    expected = torch.zeros(12, 12).index_put_(tuple((points + 6).floor().long().T), mass, accumulate=True)
    x = flow.sample(n, generator=make_generator(5))
    inside = x[(x.abs() < 6).all(1)]
    found = torch.zeros(12, 12).index_put_(
        tuple((inside + 6).floor().long().T), torch.ones(len(inside)), accumulate=True
    )
    likely = expected * n > 5
    z = (found - expected * n)[likely] / (expected * n)[likely].sqrt()
    assert z.square().mean() < 1.6, "a chi-squared of about 1 a cell"
    assert found[~likely].sum() == pytest.approx((expected[~likely].sum() * n).item(), abs=40)


@torch.no_grad()
def test_a_trained_spline_is_near_the_truth_and_far_nearer_than_a_gaussian():
    plane = load_plane("moons")
    x = plane.sample(20_000, generator=make_generator(9))
    truth = plane.log_prob(x)
    kl = (truth - trained("moons").log_prob(x)).mean().item()
    gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    assert kl < 0.15 < 0.5 < (truth - gaussian.log_prob(x)).mean().item()


@torch.no_grad()
def test_outside_its_bound_a_spline_leaves_numbers_as_they_are():
    flow = bent(CONFIGS["spline"])
    x = torch.tensor([[7.0, -8.0], [-6.0, 5.5]], dtype=torch.float64)
    z, log_det = flow.inverse(x)
    assert torch.equal(z, x) and torch.equal(log_det, torch.zeros(2, dtype=torch.float64))


@torch.no_grad()
def test_at_the_edge_of_a_spline_nothing_jumps():
    """Neither value nor slope: a bin begins where the one before it ends, and the last one as the line goes on."""
    flow = bent(CONFIGS["spline"])
    line = torch.arange(-6, 6, 1e-4, dtype=torch.float64)
    x = torch.stack([line, torch.full_like(line, 0.3)], 1)
    z, log_det = flow.inverse(x)
    assert z.diff(dim=0).abs().max() < 0.1 and log_det.diff().abs().max() < 0.1


@torch.no_grad()
def test_every_number_moves_and_hears_of_every_other():
    """In 5 numbers after 7 layers no entry of the Jacobian is 0, in neither kind: no half is left out."""
    for name in ("spline, wide", "affine, wide"):
        flow = bent(CONFIGS[name])
        x = 0.3 * somewhere(flow.config, 1)
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(lambda x, f=flow: f.inverse(x)[0][0], x)[:, 0]
        assert (jacobian != 0).all()


# --- levels -------------------------------------------------------------------------------------------------------


def on_levels(levels=2):
    model = DequantisedFlow(FlowConfig(3, layers=4, features=8, bins=4), levels=levels, generator=make_generator(0))
    model = model.double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=make_generator(1)))
    x = torch.tensor(list(product(range(levels), repeat=3)))
    return model, x


@pytest.mark.parametrize("levels", [2, 3])
@torch.no_grad()
def test_over_all_levels_the_masses_of_the_cells_sum_to_what_lies_in_the_cube(levels):
    """With many points in each cell the bound is the mass itself; a little lies in the margin, outside all cells."""
    model, x = on_levels(levels)
    mass = model.log_prob_bound(x, samples=4000, generator=make_generator(2)).exp()
    z = torch.randn(100_000, 3, generator=make_generator(3), dtype=torch.float64)
    share = (model.flow(z)[0].sigmoid() - 0.05) / 0.9
    inside = ((share >= 0) & (share < 1)).all(1)
    drawn = torch.zeros(len(x), dtype=torch.float64)
    code = (share[inside] * levels).long() @ torch.tensor([levels**2, levels, 1])
    drawn.index_put_((code,), torch.ones(len(code), dtype=torch.float64), accumulate=True)
    torch.testing.assert_close(mass, drawn / len(z), rtol=0.1, atol=2e-3)
    assert mass.sum().item() == pytest.approx(inside.double().mean().item(), abs=0.01)
    assert mass.sum() < 1


@torch.no_grad()
def test_the_bound_rises_with_its_samples_and_the_elbo_is_the_lowest():
    model, x = on_levels()
    bounds = []
    for samples in (1, 4, 400):
        many = [model.log_prob_bound(x, samples=samples, generator=make_generator(s)) for s in range(60)]
        bounds.append(torch.stack(many).mean(0))
    assert (bounds[0] < bounds[1]).all() and (bounds[1] < bounds[2]).all()
    elbo = torch.stack([model.elbo(x, generator=make_generator(s)) for s in range(60)]).mean(0)
    torch.testing.assert_close(elbo, bounds[0])


@torch.no_grad()
def test_what_is_drawn_are_levels():
    model, _ = on_levels(3)
    x = model.sample(500, generator=make_generator(0))
    assert x.dtype == torch.long and sorted(x.unique().tolist()) == [0, 1, 2]


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"dimensions": 1}, ValueError, "dimensions: expected a whole number ≥ 2, got 1"),
        ({"dimensions": 2.0}, TypeError, "dimensions: expected a whole number ≥ 2, got float"),
        ({"layers": 0}, ValueError, "layers: expected a whole number ≥ 1, got 0"),
        ({"features": 0}, ValueError, "features: expected a whole number ≥ 1"),
        ({"depth": 0}, ValueError, "depth: expected a whole number ≥ 1"),
        ({"bins": 1}, ValueError, "bins: expected a whole number ≥ 2"),
        ({"bins": 1000}, ValueError, "bins < 1000, got 5.0 and 1000"),
        ({"bound": 0.0}, ValueError, "expected 0 < bound < inf"),
        ({"bound": math.inf}, ValueError, "expected 0 < bound < inf"),
        ({"bound": math.nan}, ValueError, "expected 0 < bound < inf"),
        ({"kind": "cubic"}, ValueError, "kind: expected one of 'affine', 'spline', got 'cubic'"),
    ],
)
def test_a_config_that_cannot_be_is_refused(settings, error, says):
    with pytest.raises(error, match=says):
        FlowConfig(**settings)


def test_other_arguments_are_refused():
    flow, (levels, x) = Flow(FlowConfig()), on_levels()
    with pytest.raises(ValueError, match=r"z: expected shape \(B, 2\), got \(4, 3\)"):
        flow(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"x: expected shape \(B, 2\), got \(2,\)"):
        flow.inverse(torch.zeros(2))
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch.int64"):
        flow.log_prob(torch.zeros(4, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="n: expected a whole number ≥ 1, got 0"):
        flow.sample(0, generator=make_generator(0))
    with pytest.raises(ValueError, match="levels: expected a whole number ≥ 2, got 1"):
        DequantisedFlow(FlowConfig(), levels=1)
    with pytest.raises(ValueError, match="samples: expected a whole number ≥ 1, got 0"):
        levels.log_prob_bound(x, samples=0, generator=make_generator(0))
    with pytest.raises(ValueError, match="x: expected levels 0 to 1, got 1 to 2"):
        levels.elbo(torch.tensor([[1, 2, 1]]), generator=make_generator(0))
    with pytest.raises(TypeError, match=r"levels as torch.long, got torch.float32"):
        levels.elbo(torch.zeros(1, 3), generator=make_generator(0))
