"""One contract for every model; a new model adds a line to `MODELS`."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from course_lib.checkpoint import load, save
from course_lib.decode import State, write
from course_lib.device import make_generator
from course_lib.expect import expect_levels
from course_lib.layers import MLP, initialised_by
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.models.belief_net import BeliefNet, BeliefNetConfig
from course_lib.models.boltzmann import BoltzmannConfig, RestrictedBoltzmannMachine
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.models.flow import DequantisedFlow, Flow, FlowConfig
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.models.gaussian_mixture import GaussianMixture, GaussianMixtureConfig
from course_lib.models.generative_stochastic_network import GenerativeStochasticNetwork, GSNConfig
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM
from course_lib.models.vae import VAE, VAEConfig
from course_lib.models.video_pixel_network import IndependentPixels, VideoPixelNetwork, VPNConfig
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.prob import categorical_log_prob, gaussian_kl
from course_lib.train import fit


def images(config, n, generator):
    shape = (
        config.shape if isinstance(config, VAEConfig | GANConfig) else (config.channels, config.height, config.width)
    )
    return torch.randint(config.levels, (n, *shape), generator=generator)


def videos(config, n, generator):
    return torch.randint(config.levels, (n, 3, config.channels, config.height, config.width), generator=generator)


def sentences(config, n, generator):
    return torch.randint(config.levels, (n, 6), generator=generator)


def points(config, n, generator):
    return torch.randn(n, 3, generator=generator, dtype=torch.float64)


def numbers(config, n, generator):
    return torch.randn(n, *config.shape, generator=generator)


def components(config, n, generator):
    return torch.randint(config.levels, (n, config.length), generator=generator)


def coordinates(config, n, generator):
    return torch.randn(n, config.dimensions, generator=generator)


def cells(config, n, generator):
    return torch.randint(2, (n, config.dimensions), generator=generator)


def units(config, n, generator):
    return torch.randint(2, (n, config.visible), generator=generator)


def pixels(config, n, generator):
    return torch.randint(2, (n, *config.shape), generator=generator)


def noise(config, n, generator):
    return torch.randn(n, config.latent, generator=generator)


def bounded_discriminator(config, *, generator):
    """In training, spectral normalisation learns at every look; the contract asks the same thing twice."""
    return Discriminator(config, generator=generator).eval()


def fitted_mixture(config, *, generator):
    """A mixture has no first weights: what it is, it is after `fit`."""
    model = GaussianMixture(config)
    model.fit(points(config, 60, generator), generator=generator, max_steps=5, progress=False)
    return model


def reconstruction(model, x):
    return -categorical_log_prob(model(x), x)


def nll(model, x):
    return -model.log_prob(x)


def bound_at_the_mean(model, x):
    """−ELBO, with the mean of q(z | x) for its draw: the same number for the same x. Its noise is in test_vae.py."""
    mu, log_var = model.encoder(x)
    return gaussian_kl(mu, log_var) - model.log_likelihood(x, mu)


def density_in_the_middle(model, x):
    """Of each cell, where `elbo` draws a point: the same number for the same x. Its noise is in test_flow.py."""
    expect_levels("x", x, ("B", model.config.dimensions), model.levels)
    share = (x + 0.5) / model.levels
    return -model.flow.log_prob(share.logit().to(next(model.parameters()).dtype))


def free_energy(model, x):
    return model.free_energy(x)


def repair(model, x):
    """A chain's loss, for an x that nothing has damaged. The damage's noise is in its own test file."""
    return -model.log_likelihood(x, x)


def cross_entropy(model, x):
    """A discriminator's, were x all real."""
    return softplus(-model(x))


def squares(model, z):
    """A generator has no loss of its own: any function of what it makes will do."""
    return model(z).flatten(1).square().sum(1)


class ToldWaveNet(WaveNet):
    """One that is told the same of every sound, since the contract asks for model(x) and no more."""

    def told(self, n):
        one = torch.linspace(-1, 1, 2 * 3 + 2)  # two frames, of 4 and of 2 samples
        return {
            "global_condition": one[6:].expand(n, 2),
            "local_condition": one[:6].view(2, 3).expand(n, 2, 3),
        }

    def forward(self, x, *_):
        return super().forward(x, **self.told(len(x)))

    def begin(self, n):
        return super().begin(n, **self.told(n))

    def sample(self, n, **settings):
        return super().sample(n, **self.told(n), **settings)


PAINTED = PixelConfig(levels=3, height=4, width=4, features=8)
PAINTED_IN_COLOUR = PixelConfig(levels=4, channels=3, height=3, width=5, features=6, depth=1)
HEARD = WaveNetConfig(levels=5, layers=4, stacks=2, features=6, skip_features=8)
FILMED = VPNConfig(levels=3, height=3, width=4, features=6)
FILMED_IN_COLOUR = VPNConfig(levels=2, channels=3, height=2, width=3, features=6, encoder=(1,), decoder=1)
WRITES = {"log_prob", "sample", "begin", "step"}  # component by component, by `decode.write`
BOUNDS = {"elbo", "log_prob_bound", "sample"}
CHANGES = {"log_prob", "sample", "inverse"}  # of variables
ENERGIES = {"energy", "free_energy", "log_partition", "estimate_log_partition", "gibbs", "sample"}
INKED = GANConfig((1, 8, 8), levels=17, latent=6, features=4, depth=2, convolutional=True)
COLOURED = GANConfig((1, 4, 4), levels=5, palette=True, latent=6, features=8, depth=2)

# model, config, what it is fed, its loss (B,) nats, and the methods of the taxonomy that its mathematics gives it
MODELS = {
    "autoencoder": (Autoencoder, AutoencoderConfig(), images, reconstruction, set()),
    "autoencoder-colour": (
        Autoencoder,
        AutoencoderConfig(levels=5, channels=3, height=4, width=6, latent=7, features=16, depth=3),
        images,
        reconstruction,
        set(),
    ),
    "autoencoder-linear": (Autoencoder, AutoencoderConfig(latent=64, depth=0), images, reconstruction, set()),
    "char-rnn": (CharRNN, CharRNNConfig(levels=5, features=8), sentences, nll, WRITES),
    "char-rnn-deep": (CharRNN, CharRNNConfig(levels=5, features=8, depth=2), sentences, nll, WRITES),
    "raster-lstm": (RasterLSTM, PAINTED, images, nll, WRITES),
    "raster-lstm-colour": (RasterLSTM, PAINTED_IN_COLOUR, images, nll, WRITES),
    "row-lstm": (RowLSTM, PAINTED, images, nll, WRITES),
    "row-lstm-colour": (RowLSTM, PAINTED_IN_COLOUR, images, nll, WRITES),
    "diagonal-bilstm": (DiagonalBiLSTM, PAINTED, images, nll, WRITES),
    "diagonal-bilstm-colour": (DiagonalBiLSTM, PAINTED_IN_COLOUR, images, nll, WRITES),
    "grid-lstm": (GridLSTM, PAINTED, images, nll, WRITES),
    "grid-lstm-colour": (GridLSTM, PAINTED_IN_COLOUR, images, nll, WRITES),
    "pixel-cnn": (PixelCNN, PAINTED, images, nll, WRITES),
    "pixel-cnn-colour": (PixelCNN, PAINTED_IN_COLOUR, images, nll, WRITES),
    "gated-pixel-cnn": (GatedPixelCNN, PAINTED, images, nll, WRITES),
    "gated-pixel-cnn-colour": (GatedPixelCNN, PAINTED_IN_COLOUR, images, nll, WRITES),
    "video": (VideoPixelNetwork, FILMED, videos, nll, WRITES),
    "video-colour": (VideoPixelNetwork, FILMED_IN_COLOUR, videos, nll, WRITES),
    "video-plain": (VideoPixelNetwork, replace(FILMED, multiplicative=False), videos, nll, WRITES),
    "video-independent": (IndependentPixels, FILMED, videos, nll, WRITES),
    "video-independent-colour": (IndependentPixels, FILMED_IN_COLOUR, videos, nll, WRITES),
    "wavenet": (WaveNet, HEARD, sentences, nll, WRITES),
    "wavenet-told": (
        ToldWaveNet,
        replace(HEARD, kernel_size=3, global_channels=2, local_channels=3, frame=4),
        sentences,
        nll,
        WRITES,
    ),
    "vae": (VAE, VAEConfig(), images, bound_at_the_mean, BOUNDS),
    "vae-levels-colour": (
        VAE,
        VAEConfig((3, 4, 6), levels=5, tones=0, latent=7, features=16, depth=3),
        images,
        bound_at_the_mean,
        BOUNDS,
    ),
    "vae-bernoulli": (VAE, VAEConfig(likelihood="bernoulli", levels=2, depth=1), images, bound_at_the_mean, BOUNDS),
    "belief-net": (BeliefNet, BeliefNetConfig(levels=3, length=6, features=16, depth=2), components, nll, WRITES),
    "belief-net-logistic": (BeliefNet, BeliefNetConfig(length=6, depth=0), components, nll, WRITES),
    "flow-spline": (Flow, FlowConfig(5, layers=4, features=8, bins=4), coordinates, nll, CHANGES),
    "flow-affine": (Flow, FlowConfig(3, layers=3, features=8, kind="affine"), coordinates, nll, CHANGES),
    "flow-dequantised": (
        DequantisedFlow,
        FlowConfig(5, layers=4, features=8, bins=4),
        cells,
        density_in_the_middle,
        BOUNDS,
    ),
    "boltzmann": (RestrictedBoltzmannMachine, BoltzmannConfig(6, 4), units, free_energy, ENERGIES),
    "gsn-binary": (
        GenerativeStochasticNetwork,
        GSNConfig((6,), features=8),
        pixels,
        repair,
        {"sample", "damage", "repair"},
    ),
    "gsn-gaussian": (
        GenerativeStochasticNetwork,
        GSNConfig((2,), likelihood="gaussian", features=8),
        numbers,
        repair,
        {"sample", "damage", "repair"},
    ),
    "mixture": (fitted_mixture, GaussianMixtureConfig(4), points, nll, {"log_prob", "sample"}),
    "mixture-diagonal": (fitted_mixture, GaussianMixtureConfig(4, "diagonal"), points, nll, {"log_prob", "sample"}),
    "mixture-spherical": (fitted_mixture, GaussianMixtureConfig(4, "spherical"), points, nll, {"log_prob", "sample"}),
    "generator-plane": (Generator, GANConfig(), noise, squares, {"sample"}),
    "generator-line": (Generator, GANConfig((1,), latent=1, prior="uniform"), noise, squares, {"sample"}),
    "generator-ink": (Generator, INKED, noise, squares, {"sample"}),
    "generator-colours": (Generator, COLOURED, noise, squares, {"sample"}),
    "discriminator-plane": (Discriminator, GANConfig(), numbers, cross_entropy, set()),
    "discriminator-bounded": (bounded_discriminator, GANConfig(spectral=True), numbers, cross_entropy, set()),
    "discriminator-ink": (Discriminator, INKED, images, cross_entropy, set()),
    "discriminator-colours": (Discriminator, COLOURED, images, cross_entropy, set()),
    "discriminator-colours-bounded": (
        bounded_discriminator,
        replace(COLOURED, convolutional=True, spectral=True),
        images,
        cross_entropy,
        set(),
    ),
}
IMAGES = [name for name, (_, _, kind, _, _) in MODELS.items() if kind in (images, videos)]
NETWORKS = [name for name, (_, _, kind, _, _) in MODELS.items() if kind is not points]
SHOWN_LEVELS = [name for name in NETWORKS if MODELS[name][2] in (images, sentences, components, videos)]
LEVELS = [name for name in SHOWN_LEVELS if not isinstance(MODELS[name][1], GANConfig)]
each_network = pytest.mark.parametrize("case", NETWORKS, indirect=True)
WRITTEN = [name for name, (*_, methods) in MODELS.items() if methods == WRITES]
TAXONOMY = WRITES | BOUNDS | CHANGES | ENERGIES | {"damage", "repair"}


@pytest.fixture(params=MODELS)
def case(request):
    kind, config, some, loss, methods = MODELS[request.param]
    generator = make_generator(0)
    model = kind(config, generator=generator)
    return model, some(config, 4, generator), loss, methods


def test_it_has_what_mathematics_gives_it_and_nothing_else(case):
    model, _, _, methods = case
    assert {name for name in TAXONOMY if hasattr(model, name)} == methods


def test_the_loss_is_one_number_an_observation(case):
    model, x, loss, _ = case
    nats = loss(model, x)
    assert nats.shape == (len(x),)
    assert torch.isfinite(nats).all()


@pytest.mark.parametrize("case", LEVELS, indirect=True)
def test_levels_are_the_last_axis_of_logits(case):
    model, x, *_ = case
    ink = getattr(model.config, "likelihood", None) == "bernoulli"  # one logit, that of ink
    assert model(x).shape == (*x.shape, *([] if ink else [model.config.levels]))


def test_what_shares_a_batch_does_not_meet(case):
    model, x, loss, _ = case
    together, alone = loss(model, x), torch.cat([loss(model, x[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)  # sums of a few hundred float32 terms


@each_network
def test_a_gradient_reaches_every_parameter(case):
    model, x, loss, _ = case
    loss(model, x).mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@each_network
def test_the_generator_decides_the_first_weights_and_disturbs_nobody(case):
    model, *_ = case
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    twin, other = (type(model)(model.config, generator=make_generator(seed)) for seed in (0, 1))
    assert torch.equal(torch.rand(3), expected), "building a model drew from the global source"
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (model, twin, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_it_moves_to_float64(case):
    model, x, loss, _ = case
    precise = copy.deepcopy(model).double()
    assert loss(precise, x).dtype == torch.float64
    torch.testing.assert_close(loss(model, x).double(), loss(precise, x), atol=1e-3, rtol=1e-5)


@each_network
def test_it_trains_in_half_precision_nearly_as_in_full(case):
    model, x, loss, _ = case
    curves = []
    for precision in (None, "bf16-mixed"):
        settings = {"steps": 5, "batch_size": 4, "lr": 1e-3, "progress": False, "precision": precision}
        curves.append(fit(copy.deepcopy(model), x, loss=loss, generator=make_generator(0), **settings).loss)
    full, half = curves
    assert half != full, "the loss was computed in full precision"
    assert half == pytest.approx(full, rel=0.02)  # bf16 keeps 8 bits: 0.4 % a number, less on average


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_it_moves_to_the_gpu(case):
    model, x, loss, _ = case
    on_gpu = loss(copy.deepcopy(model).cuda(), x.cuda()).cpu()
    torch.testing.assert_close(on_gpu, loss(model, x), atol=1e-2, rtol=1e-3)  # TF32 and another order of sums


def test_it_survives_the_disk(case, tmp_path):
    model, x, loss, _ = case
    save(tmp_path / "model.pt", model)
    other = type(model)(model.config).train(model.training)
    load(tmp_path / "model.pt", other)
    assert torch.equal(loss(model, x), loss(other, x))


# --- writing step by step --------------------------------------------------------------------------------------

each_written = pytest.mark.parametrize("case", WRITTEN, indirect=True)


def in_order(x):
    """Sentences (B, T) as they are; images (B, C, H, W) as they are painted, (B, H·W·C): colours fastest.

    Videos (B, T, C, H, W) are painted frame by frame: (B, T·H·W·C). Logits have one axis more, which stays the last.
    """
    axes = x.ndim - x.is_floating_point()
    return x if axes < 4 else x.movedim(axes - 3, axes - 1).flatten(1, axes - 1)


def out_of_order(x, like):
    """The inverse of `in_order`: x (B, T) in the form of `like`."""
    if like.ndim < 4:
        return x
    *frames, C, H, W = like.shape[1:]
    return x.unflatten(1, (*frames, H, W, C)).movedim(-1, -3)


def stepped(model, x, state, previous=None):
    """The logits of each component of x (B, t) from `state` on, (B, t, V), and the state after them."""
    logits = []
    for component in x.unbind(1):
        one, state = model.step(previous, state)
        logits.append(one)
        previous = component
    return torch.stack(logits, 1), state


@each_written
@torch.no_grad()
def test_stepping_says_what_the_whole_says(case):
    model, x, *_ = case
    logits, state = stepped(model.double(), in_order(x), model.begin(len(x)))
    torch.testing.assert_close(logits, in_order(model(x)), rtol=1e-9, atol=1e-9)
    assert isinstance(state, State) and {len(t) for t in state} == {len(x)}, "tensors, batch first"


@each_written
@torch.no_grad()
def test_a_state_goes_two_ways_once_it_is_copied(case):
    """Selected, repeated and reordered mid-way, and each way on: what comes out is what re-running those rows says."""
    model, x, *_ = case
    model, mine, rows = model.double(), in_order(x), torch.tensor([3, 0, 0, 1, 3])
    others = (mine[rows] + torch.arange(5)[:, None]) % model.config.levels  # they go on in another way
    for t in {1, mine.shape[1] // 2, mine.shape[1] - 1}:
        _, state = stepped(model, mine[:, :t], model.begin(len(x)))
        few = torch.tensor([False, True, False, True])
        ways = [
            (mine, state),
            (torch.cat([mine[rows, :t], others[:, t:]], 1), state[rows]),
            (mine[few], state[few]),
        ]
        for whole, begun in ways:  # the first writes into its state while the others wait
            logits, _ = stepped(model, whole[:, t:], begun, whole[:, t - 1])
            expected = in_order(model(out_of_order(whole, x)))[:, t:]
            torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


@each_written
@torch.no_grad()
def test_samples_are_written_by_the_one_loop(case):
    """Greedy, and with parts given: what is given is kept, and each other is the likeliest after those before it."""
    model, x, *_ = case
    model = model.double().eval()
    if x.ndim == 2:
        known, parts = torch.arange(6) < 2, {"given": x[:, :2]}
        if not hasattr(model.config, "length"):  # it writes as far as it is asked to
            parts["length"] = 6
    elif x.ndim == 5:
        known, parts = torch.arange(x[0].numel()) < x[0, 0].numel(), {"given": x[:, :1], "frames": 3}
    else:
        known = torch.rand(x.shape[1:], generator=make_generator(3)) < 0.4
        parts = {"given": x, "known": known}
        known = in_order(known[None])[0]
    settings = {"progress": False, "temperature": 0}
    drawn = in_order(model.sample(4, generator=make_generator(0), **parts, **settings))
    assert torch.equal(drawn[:, known], in_order(x)[:, known])
    likeliest = in_order(model(out_of_order(drawn, x))).argmax(2)
    assert torch.equal(drawn[:, ~known], likeliest[:, ~known])

    def choose(logits, t):
        return logits.argmax(1)

    by_hand = write(model, 4, x[0].numel(), choose=choose, given=in_order(x), known=known)
    assert torch.equal(drawn, by_hand)


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda x: x[0], ValueError, "expected shape"),
        (lambda x: x[None], ValueError, "expected shape"),
        (lambda x: x.tolist(), TypeError, "torch.Tensor, got list"),
    ],
)
def test_a_wrong_x_is_refused_with_expected_and_given(case, change, error, says):
    model, x, loss, _ = case
    with pytest.raises(error, match=says):
        loss(model, change(x))


@pytest.mark.parametrize("case", SHOWN_LEVELS, indirect=True)
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda x: x.float(), TypeError, "levels as torch.long, got torch.float32"),
        (lambda x: x + 100, ValueError, "expected levels 0 to"),
        (lambda x: x - 100, ValueError, "expected levels 0 to"),
    ],
)
def test_what_is_no_level_is_refused_with_expected_and_given(case, change, error, says):
    model, x, *_ = case
    with pytest.raises(error, match=says):
        model(change(x))


@pytest.mark.parametrize("case", IMAGES, indirect=True)
@pytest.mark.parametrize(
    "change", [lambda x: x[..., :-1], lambda x: torch.cat([x, x], -3)], ids=["narrower", "colours"]
)
def test_images_of_another_size_are_refused(case, change):
    model, x, *_ = case
    with pytest.raises(ValueError, match="expected shape"):
        model(change(x))


def test_the_autoencoder_refuses_codes_of_another_size_or_type():
    model = Autoencoder(AutoencoderConfig(latent=2))
    with pytest.raises(ValueError, match=r"z: expected shape \(B, 2\), got \(4, 3\)"):
        model.decoder(torch.zeros(4, 3))
    with pytest.raises(TypeError, match=r"z: expected a floating-point tensor, got torch.int64"):
        model.decoder(torch.zeros(4, 2, dtype=torch.long))


def test_all_of_the_image_goes_through_the_code():
    model = Autoencoder(AutoencoderConfig(latent=2), generator=make_generator(0))
    x = images(model.config, 3, make_generator(1))
    assert torch.equal(model(x), model.decoder(model.encoder(x)))
    jacobian = torch.autograd.functional.jacobian(model.decoder, model.encoder(x[:1]))
    assert torch.linalg.matrix_rank(jacobian.flatten(0, 4).squeeze(1)) == 2, "two numbers move it in two directions"


def test_an_mlp_without_hidden_layers_is_linear_and_bends_with_them():
    x = torch.randn(8, 4, generator=make_generator(0))
    for sizes, linear in ([4, 3], True), ([4, 16, 3], False):
        with initialised_by(make_generator(1)):
            net = MLP(sizes)
        middle = (net(x[:4]) + net(x[4:])) / 2
        assert torch.allclose(net((x[:4] + x[4:]) / 2), middle, atol=1e-6) == linear
        assert not isinstance(net[-1], nn.SiLU), "the output must be free to be negative"
