"""The VAE: bounds that bound, and touch where they should; draws that follow p(x); and what it says to wrong input.

What is exact is known in two ways: by summing over a fine grid of codes, where there are one or two of them, and in
closed form, where decoder and encoder are linear. Shapes, dtypes, gradients and the disk are in test_models.py.
"""

import math
from functools import partial
from itertools import product

import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.models import vae
from course_lib.models.vae import VAE, VAEConfig, rsample
from course_lib.prob import gaussian_kl
from course_lib.train import fit

BINARY = VAEConfig((1, 2, 2), "bernoulli", latent=1, features=6, depth=1)
LEVELS = VAEConfig((1, 1, 2), "categorical", levels=3, tones=2, latent=2, features=6, depth=1)
FREE = VAEConfig((3,), "categorical", levels=2, tones=0, latent=1, features=6, depth=2)
GIVEN = VAEConfig((1, 2, 2), "bernoulli", latent=1, features=6, depth=1, classes=3)
EXACT = {"bernoulli": BINARY, "categorical": LEVELS, "without tones": FREE, "conditional": GIVEN}
each_exact = pytest.mark.parametrize("config", EXACT.values(), ids=EXACT)


def small(config):
    """A VAE in float64 whose code moves p(x | z), and whose q(z | x) is far off: the gaps are visible.

    Off, but wide: where q has thinner tails than the prior, p / q has no variance, and its mean no standard error.
    """
    model = VAE(config, generator=make_generator(0)).double().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith("decoder_net") and name.endswith("weight"):
                p.mul_(3)
            if name == "likelihood.base":
                p.normal_(std=0.5, generator=make_generator(1))
        model.encoder_net[-1].bias += 0.8
    return model


def all_images(config):
    """Every image there is, and for a conditional VAE the class 1 beside each."""
    levels = config.levels if config.likelihood == "categorical" else 2
    x = torch.tensor(list(product(range(levels), repeat=math.prod(config.shape)))).view(-1, *config.shape)
    return x, torch.ones(len(x), dtype=torch.long) if config.classes else None


def codes(Z):
    """A grid of codes (G, Z), and the prior's mass of each cell: Gaussian tails end before 8."""
    line = torch.arange(-8, 8, 0.02 if Z == 1 else 0.2, dtype=torch.float64)
    z = torch.cartesian_prod(*[line] * Z).view(-1, Z)
    mass = (-z.square().sum(1) / 2 - Z / 2 * math.log(2 * math.pi)).exp() * (line[1] - line[0]) ** Z
    return z, mass


@torch.no_grad()
def exact_log_prob(model, x, y):
    """log ∫ p(z) p(x | z) dz (B,), by the sum over a grid: exact to rounding, since all is smooth and dies out."""
    z, mass = codes(model.config.latent)
    likelihood = given_codes(model, x, z, y)  # (B, G)
    return (likelihood + mass.log()).logsumexp(1)


def given_codes(model, x, z, y):
    """log p(x | z) of each x (B, …) at each z (G, Z): (B, G)."""
    G = len(z)
    rows = [model.log_likelihood(one.expand(G, *one.shape), z, None if y is None else y[:1].expand(G)) for one in x]
    return torch.stack(rows)


def repeated(n, x, y):
    return x.repeat(n, *[1] * (x.ndim - 1)), None if y is None else y.repeat(n)


def linear_gaussian(D=6, Z=2, sigma2=0.3):
    """A VAE that is probabilistic PCA: x = W z + b + noise, with q(z | x) the true posterior, and the law of its x.

    W's columns are orthogonal, so that the posterior's components are independent, as q has them.
    """
    config = VAEConfig((1, 2, D // 2), "gaussian", latent=Z, depth=0)
    model = VAE(config, generator=make_generator(0)).double()
    g = make_generator(1)
    axes = torch.linalg.qr(torch.randn(D, Z, generator=g, dtype=torch.float64)).Q
    length = torch.tensor([2.0, 0.7]).double()
    W, b = axes * length, torch.randn(D, generator=g, dtype=torch.float64)
    variance = sigma2 / (sigma2 + length**2)  # (I + WᵀW / σ²)⁻¹, which is diagonal
    to_mean = (variance / sigma2)[:, None] * W.T
    with torch.no_grad():
        model.decoder_net[0].weight.copy_(W)
        model.decoder_net[0].bias.copy_(b)
        model.likelihood.log_var.fill_(math.log(sigma2))
        model.encoder_net[0].weight.copy_(torch.cat([to_mean, torch.zeros(Z, D)]))
        model.encoder_net[0].bias.copy_(torch.cat([-to_mean @ b, variance.log()]))
    return model, MultivariateNormal(b, W @ W.T + sigma2 * torch.eye(D).double()), variance


def linear_data(law, n, seed=3):
    """(n, 1, 2, 3), some of which this law would hardly draw."""
    return (law.mean + 2 * torch.randn(n, 6, generator=make_generator(seed), dtype=torch.float64)).view(n, 1, 2, 3)


def mean_and_error(values, dim=0):
    """The mean of independent draws, and its standard error."""
    return values.mean(dim), values.std(dim) / values.shape[dim] ** 0.5


# --- what is exact ------------------------------------------------------------------------------------------------


@torch.no_grad()
@each_exact
def test_the_probabilities_of_all_images_sum_to_1(config):
    model = small(config)
    x, y = all_images(config)
    p = exact_log_prob(model, x, y).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-10)
    assert p.max() > 1.5 * p.min(), "they are not all alike, or this would say little"


@torch.no_grad()
@each_exact
def test_the_elbo_is_the_mean_of_log_p_of_x_given_z_under_q_less_the_kl(config):
    model, n = small(config), 4000
    x, y = all_images(config)
    mu, log_var = model.encoder(x, y)
    z, _ = codes(config.latent)
    log_q = -0.5 * ((z - mu[:, None]).square() / log_var.exp()[:, None] + log_var[:, None]).sum(2)  # (B, G)
    expected = (log_q.softmax(1) * given_codes(model, x, z, y)).sum(1) - gaussian_kl(mu, log_var)
    wide, classes = repeated(n, x, y)
    found, error = mean_and_error(model.elbo(wide, classes, generator=make_generator(1)).view(n, -1))
    assert found.shape == (len(x),)
    assert ((found - expected).abs() < 4.5 * error).all(), "at 4.5 standard errors, for 8 to 16 numbers"
    log_px, kl = model.bound_terms(x, y, generator=make_generator(2))
    assert torch.equal(log_px - kl, model.elbo(x, y, generator=make_generator(2)))
    torch.testing.assert_close(kl, gaussian_kl(mu, log_var), rtol=1e-12, atol=0)


@torch.no_grad()
@each_exact
def test_the_bounds_rise_with_the_samples_and_never_pass_log_p(config):
    model = small(config)
    x, y = all_images(config)
    exact = exact_log_prob(model, x, y).mean()
    found = []
    for K, n in (1, 4000), (10, 4000), (100, 2000):
        wide, classes = repeated(n, x, y)
        bound = model.log_prob_bound(wide, classes, samples=K, generator=make_generator(K))
        found.append(mean_and_error(bound.view(n, -1).mean(1)))
    wide, classes = repeated(4000, x, y)
    elbo = mean_and_error(model.elbo(wide, classes, generator=make_generator(0)).view(4000, -1).mean(1))
    together = 4 * (elbo[1] ** 2 + found[0][1] ** 2) ** 0.5
    assert abs(elbo[0] - found[0][0]) < together, "with one sample it is the ELBO, but for the KL's noise"
    for (low, low_error), (high, high_error) in zip([elbo, *found[1:]], [*found[1:], (exact, 0)], strict=True):
        assert high - low > 4 * (low_error**2 + high_error**2) ** 0.5, "a gap, and seen through the noise"
    assert exact - found[-1][0] < 0.1 * (exact - elbo[0]), "with a hundred most of the gap is closed"


# --- linear and Gaussian: the bound touches -------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("K", [1, 2, 7])
def test_with_the_true_posterior_every_weight_is_p_of_x(K):
    model, law, _ = linear_gaussian()
    x = linear_data(law, 50)
    exact = law.log_prob(x.flatten(1))
    assert exact.std() > 1, "and the points differ in it"
    for seed in range(3):
        bound = model.log_prob_bound(x, samples=K, generator=make_generator(seed))
        torch.testing.assert_close(bound, exact, rtol=1e-11, atol=1e-11)


@torch.no_grad()
def test_with_the_true_posterior_the_elbo_is_log_p_and_with_another_it_is_lower_by_the_kl_between_the_two():
    model, law, variance = linear_gaussian()
    x, n = linear_data(law, 5), 20_000
    exact = law.log_prob(x.flatten(1))
    found, error = mean_and_error(model.elbo(repeated(n, x, None)[0], generator=make_generator(0)).view(n, -1))
    assert (error < 0.05).all() and ((found - exact).abs() < 4 * error).all()
    off, wider = torch.tensor([0.3, -0.5]).double(), math.log(1.7)
    model.encoder_net[0].bias[:2] += off
    model.encoder_net[0].bias[2:] += wider
    gap = 0.5 * (off**2 / variance + math.exp(wider) - 1 - wider).sum()  # KL( q ‖ p(z | x) ), the same for all x
    assert gap > 0.3
    found, error = mean_and_error(model.elbo(repeated(n, x, None)[0], generator=make_generator(0)).view(n, -1))
    assert ((found - (exact - gap)).abs() < 4 * error).all()
    assert (found + 4 * error < exact).all(), "strictly lower"


@torch.no_grad()
def test_what_it_makes_of_x_is_decoded_from_the_posteriors_mean():
    model, law, _ = linear_gaussian()
    x = linear_data(law, 5)
    W, b = model.decoder_net[0].weight, law.mean
    ridge = W @ torch.linalg.solve(W.T @ W + 0.3 * torch.eye(2).double(), W.T)  # 0.3 is σ²
    torch.testing.assert_close(model(x).flatten(1), b + (x.flatten(1) - b) @ ridge.T, rtol=1e-11, atol=1e-11)
    assert model(x).shape == x.shape


@torch.no_grad()
def test_gaussian_samples_have_the_mean_and_covariance_of_p_of_x():
    model, law, _ = linear_gaussian()
    n = 40_000
    x = model.sample(n, generator=make_generator(0))
    assert x.shape == (n, 1, 2, 3) and x.dtype == torch.float64
    white = torch.linalg.solve_triangular(law.scale_tril, (x.flatten(1) - law.mean).T, upper=False)
    assert white.mean(1).abs().max() < 4 / n**0.5
    assert (white @ white.T / n - torch.eye(6)).abs().max() < 4 * (2 / n) ** 0.5
    means = model.sample(n, generator=make_generator(0), mean=True).flatten(1)
    W = model.decoder_net[0].weight
    assert torch.linalg.matrix_rank(means - law.mean, rtol=1e-9) == 2, "without the last draw all lie on W's plane"
    assert (torch.cov(means.T) - W @ W.T).abs().max() < 4 * (2 / n) ** 0.5 * (W @ W.T).diagonal().max()


# --- drawing codes ------------------------------------------------------------------------------------------------


def test_a_draw_moves_with_mu_and_with_log_var():
    n, mu, log_var = 100_000, 0.7, -0.4
    given = [torch.full((n,), value, dtype=torch.float64, requires_grad=True) for value in (mu, log_var)]
    rsample(*given, generator=make_generator(0)).square().sum().backward()
    # E z² = μ² + σ²: its slope is 2 μ in μ, and σ² in log σ².
    for slope, expected in (given[0].grad, 2 * mu), (given[1].grad, math.exp(log_var)):
        found, error = mean_and_error(slope)
        assert error < 0.01
        assert abs(found - expected) < 4 * error


def test_draws_are_normal_around_mu_and_the_generator_decides():
    mu, log_var = torch.tensor([[3.0, -1.0]]).expand(20_000, 2), torch.tensor([[1.0, -2.0]]).expand(20_000, 2)
    first, again, other = (rsample(mu, log_var, generator=make_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    white = (first - mu) / (log_var / 2).exp()
    # one seed in a thousand would fail a right sampler, and this seed is fixed
    assert all(stats.kstest(column.numpy(), "norm").pvalue > 1e-3 for column in white.T)
    assert white.T.corrcoef()[0, 1].abs() < 4 / 20_000**0.5, "and each component has noise of its own"


# --- the bound's bookkeeping --------------------------------------------------------------------------------------


def test_a_bound_takes_its_samples_in_passes_and_comes_out_the_same():
    model, law, _ = linear_gaussian()
    x, sizes = linear_data(law, 3), []
    model.decoder_net.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    found = model.log_prob_bound(x, samples=3000, generator=make_generator(0))
    assert sizes == [3999, 3999, 1002], "three thousand samples of three, in passes of at most 4000 codes"
    torch.testing.assert_close(found, law.log_prob(x.flatten(1)), rtol=1e-11, atol=1e-11)


@torch.no_grad()
@each_exact
def test_the_importance_weights_are_p_of_x_in_the_mean(config):
    model, n = small(config), 500
    x, y = all_images(config)
    y = None if y is None else torch.arange(len(x)) % 3  # an image's class stays beside it
    wide, classes = repeated(n, x, y)
    bound = model.log_prob_bound(wide, classes, samples=30, generator=make_generator(5))  # several passes
    found, error = mean_and_error(bound.view(n, -1).exp())
    alone = [(x[i : i + 1], None if y is None else y[i : i + 1]) for i in range(len(x))]
    expected = torch.cat([exact_log_prob(model, *one) for one in alone]).exp()
    assert (error < 0.1 * expected).all(), "or this would say little"
    assert ((found - expected).abs() < 4.5 * error).all()


@each_exact
def test_both_bounds_train_every_parameter_and_the_generator_decides(config):
    model = small(config)
    x, y = all_images(config)
    for bound in (
        (lambda seed: model.elbo(x, y, generator=make_generator(seed))),
        (lambda seed: model.log_prob_bound(x, y, samples=5, generator=make_generator(seed))),
    ):
        first, again, other = (bound(seed) for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)
        model.zero_grad()
        first.mean().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


# --- samples ------------------------------------------------------------------------------------------------------


@torch.no_grad()
@each_exact
def test_samples_come_as_often_as_the_integral_says(config):
    model, n = small(config), 20_000
    x, y = all_images(config)
    drawn = model.sample(n, generator=make_generator(0), y=None if y is None else torch.ones(n, dtype=torch.long))
    assert drawn.shape == (n, *config.shape) and drawn.dtype == torch.long
    digit = (x.max() + 1) ** torch.arange(x[0].numel()).flip(0)
    counts, p = (drawn.flatten(1) * digit).sum(1).bincount(minlength=len(x)), exact_log_prob(model, x, y).exp()
    assert (n * p).min() > 5, "chi-square needs about five in every cell"
    # one seed in a thousand would fail a right sampler, and this seed is fixed
    assert stats.chisquare(counts, n * p / p.sum()).pvalue > 1e-3
    joint = (p / p.sum()).view([int(x.max()) + 1] * x[0].numel())
    alone = joint.sum(list(range(1, joint.ndim)), keepdim=True) * joint.sum(0, keepdim=True)
    assert ((joint - alone).abs() > 6 * (joint / n).sqrt()).any(), "pixels go together, through z: draws must show it"


@torch.no_grad()
@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
def test_without_the_last_draw_every_pixel_has_its_likeliest_value(likelihood):
    config = VAEConfig((2, 3, 4), likelihood, levels=5, latent=3, features=16)
    model = small(config)
    z = torch.randn(6, 3, generator=make_generator(4), dtype=torch.float64)
    x = model.observe(z)
    assert x.shape == (6, 2, 3, 4) and torch.equal(x, model.observe(z))
    logits = model.decoder(z)
    if likelihood == "gaussian":
        assert torch.equal(x, logits)
    else:
        assert x.dtype == torch.long and x.unique().numel() > 1
        likeliest = (logits > 0).long() if likelihood == "bernoulli" else logits.argmax(-1)
        assert torch.equal(x, likeliest)
    rivals = [model.log_likelihood(model.observe(z, generator=make_generator(s)), z) for s in range(20)]
    best = model.log_likelihood(x, z) - torch.stack(rivals)
    assert (best >= 0).all() and best.mean() > 1
    same = model.sample(6, generator=make_generator(4), mean=True)
    assert torch.equal(same, x), "a sample's codes are standard normals from its generator"


@torch.no_grad()
@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
def test_samples_have_the_shape_of_the_data_and_the_generator_decides(likelihood):
    model = VAE(VAEConfig((2, 3, 4), likelihood, levels=5, latent=3), generator=make_generator(0))
    before = torch.random.get_rng_state()
    first, again, other = (model.sample(40, generator=make_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.shape == (40, 2, 3, 4)
    if likelihood == "gaussian":
        assert first.dtype == torch.float32 and first.isfinite().all()
    else:
        assert first.unique().tolist() == list(range(5 if likelihood == "categorical" else 2))
    assert torch.isfinite(model.elbo(first, generator=make_generator(0))).all(), "it can read what it wrote"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
def test_it_draws_and_bounds_on_the_gpu(likelihood):
    model = VAE(VAEConfig((2, 3, 4), likelihood, levels=5, latent=3, classes=2), generator=make_generator(0)).cuda()
    y = torch.tensor([0, 1, 1], device="cuda")
    x = model.sample(3, generator=make_generator(0, "cuda"), y=y)
    assert x.is_cuda
    g = make_generator(0, "cuda")
    for bound in model.elbo(x, y, generator=g), model.log_prob_bound(x, y, samples=7, generator=g):
        assert bound.is_cuda and bound.shape == (3,) and bound.isfinite().all()


# --- tones, classes and dropout -----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("tones", [1, 4])
def test_with_t_tones_the_code_moves_the_levels_along_t_curves(tones):
    model = small(VAEConfig((2, 3, 4), levels=7, tones=tones, latent=3, features=32))
    logits = model.decoder(torch.randn(5, 3, generator=make_generator(1), dtype=torch.float64))
    assert logits.shape == (5, 2, 3, 4, 7)
    tone, base = model.likelihood.tone, model.likelihood.base.movedim(0, -1)
    moved = (logits - base).flatten(0, -2).T  # (V, 5 · D): of all codes and pixels the same curves
    assert torch.linalg.matrix_rank(moved, rtol=1e-9) == tones
    weights = torch.linalg.lstsq(tone.T, moved).solution
    torch.testing.assert_close(tone.T @ weights, moved, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_without_tones_every_level_of_every_pixel_is_free():
    model = small(VAEConfig((2, 3, 4), levels=7, tones=0, latent=3, features=64))
    z = torch.randn(200, 3, generator=make_generator(1), dtype=torch.float64)
    assert torch.linalg.matrix_rank(model.decoder(z)[0].flatten(0, -2)) == 7
    assert torch.linalg.matrix_rank(model.decoder(z).flatten(1)) == 65, "as many ways as features, and the bias"


@torch.no_grad()
def test_a_conditional_vae_goes_by_its_class():
    model = small(GIVEN)
    x, _ = all_images(GIVEN)
    classes = [torch.full((len(x),), k) for k in range(3)]
    p = torch.stack([exact_log_prob(model, x, y) for y in classes])
    assert torch.cdist(p, p)[*torch.triu_indices(3, 3, 1)].min() > 0.1, "p(x | y) differs from class to class"
    mus = [model.encoder(x, y)[0] for y in classes]
    assert not torch.allclose(mus[0], mus[1]) and not torch.allclose(mus[1], mus[2])
    z = torch.randn(len(x), 1, generator=make_generator(0), dtype=torch.float64)
    mixed = torch.arange(len(x)) % 3
    for k, y in enumerate(classes):  # each row goes by its own class
        assert torch.allclose(model.decoder(z, mixed)[mixed == k], model.decoder(z, y)[mixed == k])
        assert torch.allclose(model(x, mixed)[mixed == k], model(x, y)[mixed == k])


def test_dropout_acts_in_training_only():
    model = VAE(VAEConfig((1, 3, 3), levels=3, latent=2, features=32, dropout=0.4), generator=make_generator(0))
    x, z = torch.ones(4, 1, 3, 3, dtype=torch.long), torch.ones(4, 2)
    whole = VAE(VAEConfig((1, 3, 3), levels=3, latent=2, features=32), generator=make_generator(0))
    torch.manual_seed(0)  # torch's dropout has no other source
    assert not torch.equal(model.encoder(x)[0], model.encoder(x)[0])
    assert not torch.equal(model.decoder(z), model.decoder(z))
    model.hide.p = 0
    assert not torch.equal(model.encoder(x)[0], model.encoder(x)[0]), "hidden features are left out, too"
    model.eval()
    assert torch.equal(model.encoder(x)[0], whole.encoder(x)[0]) and torch.equal(model.decoder(z), whole.decoder(z))


def test_dropout_hides_pixels_but_neither_class_nor_code():
    shallow = VAE(VAEConfig((8,), "gaussian", latent=2, depth=0, dropout=0.5, classes=2), generator=make_generator(0))
    x, y, z = torch.ones(2000, 8), torch.arange(2).repeat(1000), torch.ones(2000, 2)
    torch.manual_seed(0)
    seen = []
    shallow.encoder_net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    shallow.encoder(x, y)
    assert set(seen[0][:, :8].unique().tolist()) == {0, 2}, "hidden, or twice as bright"
    assert (seen[0][:, :8] == 0).double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 16_000**0.5)
    assert torch.equal(seen[0][:, 8:].argmax(1), y) and (seen[0][:, 8:].sum(1) == 1).all()
    assert torch.equal(shallow.decoder(z, y), shallow.decoder(z, y)), "without hidden layers nothing is left out there"


@torch.no_grad()
@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli"])
def test_the_encoder_reads_levels_as_numbers_from_minus_1_to_1(likelihood):
    model = small(VAEConfig((5,), likelihood, levels=5, latent=2, depth=1))
    seen = []
    model.encoder_net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.encoder(torch.arange(5)[None] if likelihood == "categorical" else torch.tensor([[0, 1, 1, 0, 1]]))
    expected = [-1, -0.5, 0, 0.5, 1] if likelihood == "categorical" else [-1, 1, 1, -1, 1]
    assert seen[0].tolist() == [expected]


# --- what makes no sense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"likelihood": "poisson"}, "likelihood: expected one of 'categorical', .*, got 'poisson'"),
        ({"latent": 0}, "expected sizes ≥ 1, .* got .*latent=0"),
        ({"shape": (1, 0, 8)}, r"expected sizes ≥ 1, .* got .*shape=\(1, 0, 8\)"),
        ({"tones": -1}, "depth, tones and classes ≥ 0, got .*tones=-1"),
        *(({"dropout": share}, f"dropout from 0 to below 1 .* got {share}") for share in (-0.1, 1, math.nan)),
        ({"levels": 1}, "levels ≥ 2, got 0.0, 1"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        VAEConfig(**settings)


LONGS = torch.zeros(2, 1, 2, 2, dtype=torch.long)


@pytest.mark.parametrize(
    ("likelihood", "x", "error", "says"),
    [
        ("categorical", LONGS + 3, ValueError, "x: expected levels 0 to 2, got 3 to 3"),
        ("bernoulli", LONGS + 2, ValueError, "x: expected levels 0 to 1, got 2 to 2"),
        ("bernoulli", LONGS.bool(), TypeError, "x: expected levels as torch.long, got torch.bool"),
        ("gaussian", LONGS, TypeError, "x: expected a floating-point tensor, got torch.int64"),
        ("gaussian", LONGS.float()[..., :1], ValueError, r"x: expected shape .*got \(2, 1, 2, 1\)"),
    ],
)
def test_observations_of_another_kind_are_refused(likelihood, x, error, says):
    model = VAE(VAEConfig((1, 2, 2), likelihood, levels=3, latent=2, features=4))
    for act in (
        model,
        lambda x: model.elbo(x, generator=make_generator(0)),
        lambda x: model.log_prob_bound(x, samples=3, generator=make_generator(0)),
    ):
        with pytest.raises(error, match=says):
            act(x)


def test_a_class_is_asked_for_and_checked():
    config = VAEConfig((1, 2, 2), levels=3, latent=2, features=4)
    plain, given = VAE(config), VAE(VAEConfig(**vars(config) | {"classes": 3}))
    z, g = torch.zeros(2, 2), make_generator(0)

    def acts(model, y):
        return [
            lambda: model(LONGS, y),
            lambda: model.elbo(LONGS, y, generator=g),
            lambda: model.log_prob_bound(LONGS, y, samples=3, generator=g),
            lambda: model.log_likelihood(LONGS, z, y),
            lambda: model.sample(2, y=y, generator=g),
            lambda: model.observe(z, y, generator=g),
        ]

    for model, y, error, says in [
        (given, None, ValueError, "y: this VAE knows 3 classes, and got none to go by"),
        (plain, torch.zeros(2, dtype=torch.long), ValueError, "y: this VAE knows 0 classes, and got some to go by"),
        (given, torch.tensor([0, 3]), ValueError, "y: expected levels 0 to 2, got 0 to 3"),
        (given, torch.zeros(3, dtype=torch.long), ValueError, r"y: expected shape \(2\), got \(3,\)"),
        (given, torch.zeros(2), TypeError, "y: expected levels as torch.long, got torch.float32"),
    ]:
        for act in acts(model, y):
            with pytest.raises(error, match=says):
                act()


def test_codes_of_another_size_or_type_and_no_samples_are_refused():
    model, g = VAE(VAEConfig((1, 2, 2), levels=3, latent=2, features=4)), make_generator(0)
    for act in model.decoder, lambda z: model.observe(z, generator=g), lambda z: model.log_likelihood(LONGS, z):
        with pytest.raises(ValueError, match=r"z: expected shape \(B, 2\), got \(2, 3\)"):
            act(torch.zeros(2, 3))
        with pytest.raises(TypeError, match=r"z: expected a floating-point tensor, got torch.int64"):
            act(torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"x: expected shape \(3, 1, 2, 2\), got \(2, 1, 2, 2\)"):
        model.log_likelihood(LONGS, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="n: expected a whole number ≥ 1, got 0"):
        model.sample(0, generator=g)
    with pytest.raises(TypeError, match=r"samples: expected a whole number ≥ 1, got float 2\.5"):
        model.log_prob_bound(LONGS, samples=2.5, generator=g)


@torch.no_grad()
def test_the_bound_is_finite_where_the_encoder_is_surer_than_float32():
    model = VAE(VAEConfig((1, 2, 2), levels=3, latent=2, depth=0))
    mu = torch.tensor([[0.5, -2.0]])
    for log_var in -104.0, -250.0:
        model.encoder_net[0].weight.zero_()
        model.encoder_net[0].bias.copy_(torch.cat([mu[0], torch.full((2,), log_var)]))
        # each draw is mu: so narrow a q moves none of its digits
        expected = model.log_likelihood(LONGS, mu.expand(2, 2)) - mu.square().sum() / 2 + log_var
        bound = model.log_prob_bound(LONGS, samples=3, generator=make_generator(0))
        torch.testing.assert_close(bound, expected, rtol=1e-5, atol=1e-4)


LOSSES = {
    "elbo": lambda model, x, generator: -model.elbo(x, generator=generator),
    "log_prob_bound": lambda model, x, generator: -model.log_prob_bound(x, samples=3, generator=generator),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_of_its_losses_trains_in_half_precision_as_in_full(name):
    x = load_digits("train")[0]
    curves = []
    for precision in (None, "bf16-mixed"):
        generator = make_generator(0)
        model = VAE(VAEConfig(latent=2, features=16), generator=generator)
        settings = {"steps": 30, "batch_size": 20, "lr": 1e-3, "progress": False, "precision": precision}
        loss = partial(LOSSES[name], generator=generator)
        curves.append(fit(model, x, loss=loss, generator=generator, **settings).loss)
    full, half = curves
    assert half != full, "it was not asked in half precision"
    assert half == pytest.approx(full, rel=0.02)  # bf16 keeps 8 bits
    assert half[-1] < half[0]
