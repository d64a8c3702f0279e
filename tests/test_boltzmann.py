"""The Boltzmann machine against sums over all there is: energies, log Z both ways, gradients, and where its chain goes.

Shapes, dtypes, gradients and the disk are in test_models.py.
"""

import math
from itertools import product

import pytest
import torch

from course_lib.device import make_generator
from course_lib.models.boltzmann import BoltzmannConfig, RestrictedBoltzmannMachine
from course_lib.train import fit
from course_lib.train.persistent import PersistentChains

CONFIGS = {"few hidden": BoltzmannConfig(6, 4), "few visible": BoltzmannConfig(5, 7)}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def machine(config, strength=1.0):
    """In float64, with weights that matter."""
    model = RestrictedBoltzmannMachine(config, generator=make_generator(0)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(strength * torch.randn(p.shape, generator=make_generator(p.numel())))
    return model


def states(units):
    return torch.tensor(list(product(range(2), repeat=units)))


def enumerated(model):
    """−E(x, h) of all pairs, (2^D, 2^H), and all x."""
    x, h = states(model.config.visible), states(model.config.hidden)
    pairs = [-model.energy(x, one.expand(len(x), -1)) for one in h]
    return torch.stack(pairs, 1), x


@each_config
@torch.no_grad()
def test_the_energy_is_the_formula(config):
    model, generator = machine(config), make_generator(3)
    x = torch.randint(2, (9, config.visible), generator=generator)
    h = torch.randint(2, (9, config.hidden), generator=generator)
    for i, energy in enumerate(model.energy(x, h)):
        xi, hi = x[i].double(), h[i].double()
        by_hand = -(model.visible_bias @ xi) - model.hidden_bias @ hi - hi @ model.weight @ xi
        assert energy.item() == pytest.approx(by_hand.item())


@each_config
@torch.no_grad()
def test_free_energy_and_log_partition_are_sums_over_all_there_is(config):
    model = machine(config)
    pairs, x = enumerated(model)
    torch.testing.assert_close(model.free_energy(x), -pairs.logsumexp(1))
    torch.testing.assert_close(model.log_partition(), pairs.flatten().logsumexp(0))
    assert (-model.free_energy(x) - model.log_partition()).exp().sum().item() == pytest.approx(1)


@each_config
@torch.no_grad()
def test_the_pseudo_likelihood_is_what_the_enumerated_conditionals_say(config):
    model = machine(config)
    pairs, x = enumerated(model)
    log_p, D = pairs.logsumexp(1), config.visible
    places = 2 ** torch.arange(D - 1, -1, -1)
    others = (x[:, None, :] + torch.eye(D, dtype=torch.long)) % 2 @ places  # (2^D, D): the number of x with i flipped
    expected = (log_p[:, None] - torch.stack([log_p[:, None].expand(-1, D), log_p[others]]).logsumexp(0)).sum(1)
    torch.testing.assert_close(model.pseudo_log_prob(x), expected)


@torch.no_grad()
def test_the_partition_is_the_same_in_parts_and_as_one():
    """17 units are 2^17 states, in 8 parts: without weights, log Z is that of so many coins."""
    model = RestrictedBoltzmannMachine(BoltzmannConfig(30, 17)).double()
    model.weight.zero_()
    model.hidden_bias.copy_(torch.linspace(-2, 2, 17))
    model.visible_bias.copy_(torch.linspace(-1, 3, 30))
    coins = torch.cat([model.hidden_bias, model.visible_bias])
    torch.testing.assert_close(model.log_partition(), torch.nn.functional.softplus(coins).sum())


def test_what_cannot_be_counted_is_refused_and_says_what_can_be_done():
    model = RestrictedBoltzmannMachine(BoltzmannConfig(64, 21))
    advice = r"20 hidden units or fewer.*got 21 \(and 64 visible\); estimate_log_partition\(generator=…\) estimates it"
    with pytest.raises(ValueError, match=advice):
        model.log_partition()


@pytest.mark.parametrize("seed", range(5))
def test_the_estimate_is_within_three_of_its_errors(seed):
    model = machine(BoltzmannConfig(12, 8), strength=0.7)
    estimate, error = model.estimate_log_partition(generator=make_generator(seed), chains=200, temperatures=300)
    assert 0.001 < error < 0.1
    assert abs(estimate - model.log_partition().item()) < 3 * error


def test_in_the_mean_the_weights_are_the_partition_even_where_it_hardly_cools():
    """Two temperatures only: single estimates are poor, their mean is not, and their logarithms are too low."""
    model = machine(BoltzmannConfig(6, 4), strength=0.7)
    truth = model.log_partition().item()
    made = [
        model.estimate_log_partition(generator=make_generator(s), chains=20, temperatures=2)[0] for s in range(1500)
    ]
    logs = torch.tensor(made, dtype=torch.float64) - truth
    ratio = logs.exp()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(len(ratio)) < 0.2
    assert logs.mean() < -2 * logs.std() / math.sqrt(len(logs)), "Jensen"


@torch.no_grad()
def test_the_chain_ends_in_the_distribution():
    model, n = machine(BoltzmannConfig(4, 3), strength=0.8), 20_000
    x = states(4)
    expected = (-model.free_energy(x) - model.log_partition()).exp() * n
    drawn = model.sample(n, steps=30, generator=make_generator(1))
    found = torch.bincount(drawn @ torch.tensor([8, 4, 2, 1]), minlength=16)
    assert ((found - expected).square() / expected).mean() < 2, "a chi-squared of about 1 each"
    moved = model.gibbs(drawn, generator=make_generator(2))  # and one step more stays in it
    found = torch.bincount(moved @ torch.tensor([8, 4, 2, 1]), minlength=16)
    assert ((found - expected).square() / expected).mean() < 2


@torch.no_grad()
def test_a_chain_goes_on_from_its_start():
    model = machine(BoltzmannConfig(6, 4))
    start = states(6)
    once, again = (model.sample(64, steps=1, generator=make_generator(5), start=start) for _ in range(2))
    assert torch.equal(once, again) and torch.equal(once, model.gibbs(start, generator=make_generator(5)))
    two = make_generator(5)
    by_hand = model.gibbs(model.gibbs(start, generator=two), generator=two)
    assert torch.equal(by_hand, model.sample(64, steps=2, generator=make_generator(5), start=start))


def test_a_machine_centred_on_data_says_what_single_components_do():
    x = (torch.rand(400, 6, generator=make_generator(0)) < torch.linspace(0.1, 0.9, 6)).long()
    model = RestrictedBoltzmannMachine(BoltzmannConfig(6, 4)).double()
    with torch.no_grad():
        model.weight.zero_()
    model.centre_on(x)
    share = (x.sum(0) + 0.5) / 401
    alone = torch.distributions.Bernoulli(share.double()).log_prob(x.double()).sum(1)
    torch.testing.assert_close(-model.free_energy(x) - model.log_partition(), alone, rtol=1e-5, atol=1e-5)
    model.centre_on(torch.ones(3, 6, dtype=torch.long))
    assert model.visible_bias.isfinite().all(), "what was always 1 may still be 0"


# --- learning -----------------------------------------------------------------------------------------------------


def gradient(model, loss):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def test_with_many_chains_that_have_settled_the_gradient_is_the_likelihoods():
    model, x = machine(BoltzmannConfig(5, 4), strength=0.7), states(5)[[3, 8, 8, 30]]
    exact = gradient(model, (model.free_energy(x) + model.log_partition()).mean())
    estimates = []
    for seed in range(20):
        loss = PersistentChains(chains=4000, steps=40, generator=make_generator(seed))
        estimates.append(gradient(model, loss(model, x).mean()))
    estimates = torch.stack(estimates)
    z = (estimates.mean(0) - exact) / (estimates.std(0) / math.sqrt(20))
    assert exact.abs().max() > 0.3 and z.abs().max() < 4.5 and z.square().mean() < 2


def test_the_chains_persist():
    model, x = machine(BoltzmannConfig(6, 4), strength=3), states(6)[:8]
    loss = PersistentChains(chains=7, steps=2, generator=make_generator(0))
    loss(model, x)
    first = loss.x
    loss(model, x)
    assert first.shape == (7, 6) and first.dtype == torch.long
    twin = make_generator(0)
    before = model.sample(7, steps=2, generator=twin)
    assert torch.equal(before, first)
    assert torch.equal(loss.x, model.sample(7, steps=2, generator=twin, start=before)), "they go on, and start not anew"


def test_it_learns_what_single_pixels_cannot_know():
    """All six equal, one or the other: ln 2 in all, where single pixels say 6 ln 2."""
    x = torch.tensor([[0] * 6, [1] * 6])
    model = RestrictedBoltzmannMachine(BoltzmannConfig(6, 2), generator=make_generator(0))
    loss = PersistentChains(chains=200, generator=make_generator(1))
    knobs = {"batch_size": 64, "lr": 0.03, "generator": make_generator(2), "progress": False}
    fit(model, x, loss=loss, steps=600, **knobs)
    nats = (model.free_energy(x) + model.log_partition()).mean().item()
    assert math.log(2) < nats < 1.5 < 6 * math.log(2)


# --- bad input ----------------------------------------------------------------------------------------------------


def test_arguments_that_cannot_be_are_refused():
    model, x = machine(BoltzmannConfig(6, 4)), states(6)
    g = make_generator(0)
    refused = [
        (lambda: BoltzmannConfig(0, 4), "visible: expected a whole number ≥ 1, got 0"),
        (lambda: BoltzmannConfig(4, 0), "hidden: expected a whole number ≥ 1, got 0"),
        (lambda: model.free_energy(x[:, :5]), r"x: expected shape \(B, 6\), got \(64, 5\)"),
        (lambda: model.free_energy(x + 1), "x: expected levels 0 to 1, got 1 to 2"),
        (lambda: model.centre_on(x[:, :5]), r"x: expected shape \(B, 6\), got \(64, 5\)"),
        (lambda: model.energy(x, x), r"h: expected shape \(64, 4\), got \(64, 6\)"),
        (lambda: model.energy(x, x[:3, :4]), r"h: expected shape \(64, 4\), got \(3, 4\)"),
        (lambda: model.pseudo_log_prob(x[0]), r"x: expected shape \(B, 6\), got \(6,\)"),
        (lambda: model.gibbs(x[:, :2], generator=g), r"x: expected shape \(B, 6\), got \(64, 2\)"),
        (lambda: model.sample(0, steps=3, generator=g), "n: expected a whole number ≥ 1, got 0"),
        (lambda: model.sample(2, steps=0, generator=g), "steps: expected a whole number ≥ 1, got 0"),
        (lambda: model.sample(2, steps=-1, generator=g), "steps: expected a whole number ≥ 1, got -1"),
        (lambda: model.sample(2, steps=1, generator=g, start=x), r"start: expected shape \(2, 6\), got \(64, 6\)"),
        (lambda: model.estimate_log_partition(generator=g, chains=1), "chains: expected a whole number ≥ 2, got 1"),
        (lambda: model.estimate_log_partition(generator=g, temperatures=0), "temperatures: expected a whole number"),
        (lambda: PersistentChains(chains=0, generator=g), "chains: expected a whole number ≥ 1, got 0"),
        (lambda: PersistentChains(steps=0, generator=g), "steps: expected a whole number ≥ 1, got 0"),
    ]
    for call, says in refused:
        with pytest.raises(ValueError, match=says):
            call()
    for call in (
        lambda: BoltzmannConfig(6.0, 4),
        lambda: model.free_energy(x.double()),
        lambda: model.sample(2, steps=2.5, generator=g),
        lambda: model.energy(x, states(4).float()),
    ):
        with pytest.raises(TypeError, match=r"expected .*, got "):
            call()
