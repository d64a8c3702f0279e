"""Whatever draws takes `generator=`, and refuses to do without: to torch, a None means a source that nobody seeds."""

import importlib
import inspect
import pkgutil

import pytest
import torch

import course_lib
from course_lib import data
from course_lib.decode import draw
from course_lib.device import make_generator
from course_lib.measure import judge, ruins
from course_lib.models.belief_net import BeliefNet, BeliefNetConfig
from course_lib.models.boltzmann import BoltzmannConfig, RestrictedBoltzmannMachine
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.models.flow import DequantisedFlow, Flow, FlowConfig
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.models.gaussian_mixture import GaussianMixture, GaussianMixtureConfig
from course_lib.models.generative_stochastic_network import GenerativeStochasticNetwork, GSNConfig
from course_lib.models.pixel.convolutional import PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.vae import LIKELIHOODS, VAE, VAEConfig, rsample
from course_lib.models.video_pixel_network import VideoPixelNetwork, VPNConfig
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.train import Session, fit, fit_gan, search_code
from course_lib.train.persistent import PersistentChains
from course_lib.train.reinforce import Reinforce
from course_lib.train.scheduled import mixed_inputs, scheduled_sampling


def found():
    """{"module.qualified name": callable}: all of the library's own that must be given a generator."""
    found = {}
    for module in pkgutil.walk_packages(course_lib.__path__, "course_lib."):
        if module.name.startswith("course_lib.data.files"):
            continue
        module = importlib.import_module(module.name)
        mine = [one for _, one in inspect.getmembers(module) if getattr(one, "__module__", "") == module.__name__]
        classes = [one for one in mine if inspect.isclass(one)]
        inside = [one for cls in classes for one in vars(cls).values() if inspect.isfunction(one)]
        for one in [one for one in mine if inspect.isfunction(one)] + inside:
            given = inspect.signature(one).parameters.get("generator")
            hidden = any(part.startswith("_") and part != "__init__" for part in one.__qualname__.split("."))
            if given and given.default is inspect.Parameter.empty and not hidden:
                found[f"{module.__name__.removeprefix('course_lib.')}.{one.__qualname__}"] = one
    return found


ELSEWHERE = {
    "expect.expect_generator": "it is what refuses",
    "data.moving_mnist.load_moving_mnist": "it needs MNIST: test_moving_mnist.py has one, and asks",
    "layers.initialised_by": "None leaves torch's source in place: whoever loads weights cares for no first ones",
    "fast.em.seeds": "GaussianMixture.fit asks",
    "train.batches.draw_from": "Session asks",
    "train.chance.Chance.__init__": "Session asks",
}
DIGITS, LABELS = (part[:40] for part in data.load_digits("train"))
MIXTURE = GaussianMixture.of(torch.zeros(1), torch.zeros(1, 2), torch.eye(2)[None])
BERNOULLI = VAE(VAEConfig(shape=(4,), latent=2, features=4, depth=1, likelihood="bernoulli"))
INK = torch.zeros(3, 4, dtype=torch.long)
NET = BeliefNet(BeliefNetConfig(length=4, features=4))
MACHINE = RestrictedBoltzmannMachine(BoltzmannConfig(4, 2))
FLOW, CELLS = Flow(FlowConfig(features=4)), DequantisedFlow(FlowConfig(4, features=4))
WALK = GenerativeStochasticNetwork(GSNConfig((4,), features=4))
LETTERS = CharRNN(CharRNNConfig(levels=3, features=4))
PAINTER = PixelCNN(PixelConfig(2, 1, 2, 2, features=2, depth=1))
PLAYERS = {"generator": Generator(GANConfig(features=4)), "discriminator": Discriminator(GANConfig(features=4))}
FILM = VideoPixelNetwork(VPNConfig(height=2, width=2, features=2, decoder=0))
SOUND = WaveNet(WaveNetConfig(levels=4, layers=2, stacks=1, features=4, skip_features=4))


def likelihood(kind):
    shapes = {"bernoulli": (2, 4), "categorical": (2, 4, 3), "gaussian": (2, 4)}
    config = VAEConfig(shape=(4,), latent=2, features=4, depth=1, likelihood=kind)
    return lambda g: LIKELIHOODS[kind](config).draw(torch.zeros(shapes[kind]), generator=g)


def nothing(model, x):
    return model(x).flatten(1).sum(1)


RUN = {"steps": 1, "lr": 1e-3, "progress": False}
CALLS = {
    "data.bouncing_digits.load_bouncing_digits": lambda g: data.load_bouncing_digits(1, frames=2, generator=g),
    "data.plane.Plane.sample": lambda g: data.load_plane("moons").sample(2, generator=g),
    "data.poems.PoemGrammar.sample": lambda g: data.PoemGrammar().sample(2, generator=g),
    "data.sprites.load_sprites": lambda g: data.load_sprites(2, generator=g),
    "data.voices.load_notes": lambda g: data.load_notes(1, generator=g),
    "data.voices.load_vowels": lambda g: data.load_vowels(1, generator=g),
    "data.voices.load_words": lambda g: data.load_words(1, generator=g),
    "data.voices.speak": lambda g: data.speak("a", generator=g),
    "decode.draw": lambda g: draw(torch.zeros(2, 3), generator=g),
    "measure.ruins.spoil": lambda g: ruins.spoil(DIGITS, LABELS, generator=g),
    "measure.ruins.unseen_ruins": lambda g: ruins.unseen_ruins(DIGITS, LABELS, generator=g),
    "measure.judge.DigitJudge.__init__": lambda g: judge.DigitJudge((DIGITS, LABELS), (DIGITS, LABELS), generator=g),
    "models.belief_net.BeliefNet.sample": lambda g: NET.sample(2, generator=g),
    "models.boltzmann.RestrictedBoltzmannMachine.gibbs": lambda g: MACHINE.gibbs(INK, generator=g),
    "models.boltzmann.RestrictedBoltzmannMachine.sample": lambda g: MACHINE.sample(2, steps=1, generator=g),
    "models.boltzmann.RestrictedBoltzmannMachine.estimate_log_partition": lambda g: MACHINE.estimate_log_partition(
        chains=2, temperatures=2, generator=g
    ),
    "models.char_rnn.CharRNN.sample": lambda g: LETTERS.sample(1, length=3, generator=g),
    "models.flow.Flow.sample": lambda g: FLOW.sample(2, generator=g),
    "models.flow.DequantisedFlow.elbo": lambda g: CELLS.elbo(INK, generator=g),
    "models.flow.DequantisedFlow.log_prob_bound": lambda g: CELLS.log_prob_bound(INK, samples=2, generator=g),
    "models.flow.DequantisedFlow.sample": lambda g: CELLS.sample(2, generator=g),
    "models.gan.Generator.draw_z": lambda g: PLAYERS["generator"].draw_z(2, generator=g),
    "models.gan.Generator.sample": lambda g: PLAYERS["generator"].sample(2, generator=g),
    "models.gaussian_mixture.GaussianMixture.sample": lambda g: MIXTURE.sample(2, generator=g),
    "models.gaussian_mixture.GaussianMixture.fit": lambda g: GaussianMixture(GaussianMixtureConfig(2)).fit(
        torch.arange(12.0).view(6, 2).square(), generator=g
    ),
    "models.generative_stochastic_network.GenerativeStochasticNetwork.damage": lambda g: WALK.damage(INK, generator=g),
    "models.generative_stochastic_network.GenerativeStochasticNetwork.repair": lambda g: WALK.repair(INK, generator=g),
    "models.generative_stochastic_network.GenerativeStochasticNetwork.loss": lambda g: WALK.loss(INK, generator=g),
    "models.generative_stochastic_network.GenerativeStochasticNetwork.sample": lambda g: WALK.sample(
        2, steps=1, generator=g
    ),
    "models.pixel.model.PixelModel.sample": lambda g: PAINTER.sample(1, generator=g),
    "models.vae.rsample": lambda g: rsample(torch.zeros(2), torch.zeros(2), generator=g),
    "models.vae.Bernoulli.draw": likelihood("bernoulli"),
    "models.vae.Categorical.draw": likelihood("categorical"),
    "models.vae.Gaussian.draw": likelihood("gaussian"),
    "models.vae.VAE.bound_terms": lambda g: BERNOULLI.bound_terms(INK, generator=g),
    "models.vae.VAE.elbo": lambda g: BERNOULLI.elbo(INK, generator=g),
    "models.vae.VAE.log_prob_bound": lambda g: BERNOULLI.log_prob_bound(INK, samples=2, generator=g),
    "models.vae.VAE.sample": lambda g: BERNOULLI.sample(2, generator=g),
    "models.video_pixel_network.model.VideoModel.sample": lambda g: FILM.sample(1, frames=2, generator=g),
    "models.wavenet.WaveNet.sample": lambda g: SOUND.sample(1, length=3, generator=g),
    "train.fit.fit": lambda g: fit(BERNOULLI, INK, loss=lambda m, x: m(x).sum(1), batch_size=2, generator=g, **RUN),
    "train.game.fit_gan": lambda g: fit_gan(PLAYERS, torch.zeros(4, 2), batch_size=2, generator=g, **RUN),
    "train.persistent.PersistentChains.__init__": lambda g: PersistentChains(generator=g),
    "train.reinforce.Reinforce.__init__": lambda g: Reinforce(lambda x: x[:, 0].float(), length=3, generator=g),
    "train.scheduled.mixed_inputs": lambda g: mixed_inputs(LETTERS, INK[:, :3], truth=1, generator=g),
    "train.scheduled.scheduled_sampling": lambda g: scheduled_sampling(LETTERS, INK[:, :3], truth=0.5, generator=g),
    "train.search.search_code": lambda g: search_code(
        PLAYERS["generator"], torch.zeros(1, 2), torch.tensor([True, False]), steps=1, progress=False, generator=g
    ),
    "train.session.Session.__init__": lambda g: Session(BERNOULLI, generator=g, **RUN),
}


def test_every_function_that_must_be_given_a_generator_is_tried_here():
    assert sorted(found()) == sorted([*CALLS, *ELSEWHERE])


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", [None, 0], ids=["none", "a seed"])
def test_what_is_no_generator_is_refused_and_says_how_to_make_one(name, wrong):
    before = torch.get_rng_state()
    with pytest.raises(TypeError, match=r"expected a torch.Generator, got (NoneType|int); make_generator\(seed\)"):
        CALLS[name](wrong)
    assert torch.equal(torch.get_rng_state(), before), "nothing was drawn from a source that nobody seeds"
    CALLS[name](make_generator(0))
