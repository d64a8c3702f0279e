"""The families of chapter 1, ready to be trained on binary digits: for each its loss, its nats and its draws."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure.judge import DigitJudge
from course_lib.models.belief_net import BeliefNet, BeliefNetConfig
from course_lib.models.boltzmann import COUNTED, BoltzmannConfig, RestrictedBoltzmannMachine
from course_lib.models.flow import DequantisedFlow, FlowConfig
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.models.generative_stochastic_network import GenerativeStochasticNetwork, GSNConfig
from course_lib.models.vae import VAE, VAEConfig
from course_lib.train import Session
from course_lib.train.persistent import PersistentChains

SPLITS = ("train", "valid", "test")
MANY = {"points": 30, "codes": 1000, "chains": 200, "temperatures": 5000}  # for what is said of test images
SGD_LR = 0.3  # of Boltzmann machines, which learn better so than with Adam
INK = 8  # of 16: a pixel with so much ink, or more, is 1


def binary_digits() -> tuple[dict, dict]:
    """{split: x (N, 64) long, 0 or 1} and {split: y (N,) long}."""
    loaded = {split: load_digits(split) for split in SPLITS}
    x = {split: (grey.flatten(1) >= INK).long() for split, (grey, _) in loaded.items()}
    return x, {split: y for split, (_, y) in loaded.items()}


def images(x: torch.Tensor) -> torch.Tensor:
    """x (N, 64), 0 or 1 -> (N, 1, 8, 8) long, 0 or 16: what a judge of digits looks at."""
    return 16 * x.view(-1, 1, 8, 8)


def judge_of(x: dict, y: dict) -> DigitJudge:
    """A judge that has seen binary digits, and them spoiled."""
    pairs = [(images(x[split]), y[split]) for split in ("train", "valid")]
    return DigitJudge(*pairs, generator=make_generator(0))


@dataclass
class Family:
    """A model, how it is trained, and what it can say.

    `loss(model, x)` is for `fit`. `watched(model, x)` (N,) decides when to stop, `nats(model, x)` is what it says of
    test images: {"test": a float, …}, {} where it can say nothing. `draws(model, n)` are n draws, and `passes` of the
    network, or steps of its chain, make one.
    """

    model: torch.nn.Module
    loss: Callable
    watched: Callable
    nats: Callable
    kind: str
    draws: Callable
    lr: float
    batch: int = 100
    optimizer: Callable = torch.optim.Adam
    passes: int = 1
    chain: Callable | None = None  # (start or None, n, steps) -> where n chains are after them
    parameters: int = field(init=False)

    def __post_init__(self):
        self.parameters = sum(p.numel() for p in self.model.parameters())


def families(seed: int, chain_steps: int) -> dict[str, Callable[[], Family]]:
    """{name: what makes the family anew}, all with chance of their own from `seed`."""
    made = {
        "belief net": partial(belief_net, BeliefNetConfig(features=512, depth=1, dropout=0.25), 3e-3),
        "belief net, logistic": partial(belief_net, BeliefNetConfig(depth=0), 1e-2),
        "flow": partial(flow, FlowConfig(64, layers=4, features=128, depth=1, bins=6, bound=4.0)),
        "VAE": partial(vae, VAEConfig((64,), "bernoulli", levels=2, latent=16, features=256, depth=2, dropout=0.2)),
        "RBM, 16 hidden": partial(machine, BoltzmannConfig(64, 16), chain_steps),
        "RBM, 64 hidden": partial(machine, BoltzmannConfig(64, 64), chain_steps),
        "GSN": partial(gsn, GSNConfig((64,), noise=0.2), 0, chain_steps),
        "GSN, walkback": partial(gsn, GSNConfig((64,), noise=0.2), 3, chain_steps),
    }
    return {
        name: partial(make, generator=make_generator(1000 * seed + place))
        for place, (name, make) in enumerate(made.items())
    }


def belief_net(config, lr, *, generator):
    def cost(model, x):
        return -model.log_prob(x)

    return Family(
        BeliefNet(config, generator=generator),
        cost,
        cost,
        lambda model, x: {"test": cost(model, x).mean().item()},
        "exact",
        lambda model, n: model.sample(n, generator=generator, progress=False),
        lr,
        passes=config.length,
    )


def flow(config, *, generator):
    return Family(
        DequantisedFlow(config, generator=generator),
        lambda model, x: -model.elbo(x, generator=generator),
        lambda model, x: -model.log_prob_bound(x, samples=10, generator=generator),
        partial(bounds, many=MANY["points"], generator=generator),
        "bound",
        lambda model, n: model.sample(n, generator=generator),
        3e-3,
    )


def vae(config, *, generator):
    return Family(
        VAE(config, generator=generator),
        lambda model, x: -model.elbo(x, generator=generator),
        lambda model, x: -model.log_prob_bound(x, samples=50, generator=generator),
        partial(bounds, many=MANY["codes"], generator=generator),
        "bound",
        lambda model, n: model.sample(n, generator=generator),
        2e-3,
    )


def bounds(model, x, *, many, generator):
    """With one sample and with `many`: between them lies what the first hides."""
    one, all_ = (-model.log_prob_bound(x, samples=n, generator=generator).mean().item() for n in (1, many))
    return {"test": all_, "test_one_sample": one, "samples": many}


def machine(config, chain_steps, *, generator):
    """Its log Z is exact where that can be counted; where not, an estimate that errs to the model's advantage."""
    model = RestrictedBoltzmannMachine(config, generator=generator)
    model.centre_on(binary_digits()[0]["train"])
    few = {"chains": 50, "temperatures": 300}
    many = {name: MANY[name] for name in ("chains", "temperatures")}
    exact = config.hidden <= COUNTED

    def cost(model, x):
        log_z = model.log_partition() if exact else model.estimate_log_partition(generator=generator, **few)[0]
        return model.free_energy(x) + log_z

    def nats(model, x):
        estimate, error = model.estimate_log_partition(generator=generator, **many)
        free, pseudo = model.free_energy(x).mean().item(), -model.pseudo_log_prob(x).mean().item()
        found = {"test_estimate": free + estimate, "error": error, "pseudo": pseudo}
        return found | {"test": free + (model.log_partition().item() if exact else estimate)}

    return Family(
        model,
        PersistentChains(generator=generator),
        cost,
        nats,
        "exact" if exact else "estimate",
        lambda model, n: model.sample(n, steps=chain_steps, generator=generator),
        SGD_LR,
        optimizer=torch.optim.SGD,
        chain=lambda model, start, n, steps: model.sample(n, steps=steps, generator=generator, start=start),
    )


def gsn(config, walkback, chain_steps, *, generator):
    def cost(model, x):
        return model.loss(x, generator=generator, walkback=walkback)

    return Family(
        GenerativeStochasticNetwork(config, generator=generator),
        cost,
        cost,
        lambda model, x: {},
        "none",
        lambda model, n: model.sample(n, steps=chain_steps, generator=generator),
        3e-3,
        chain=lambda model, start, n, steps: model.sample(n, steps=steps, generator=generator, start=start),
    )


def players(seed):
    """A GAN's two, for `fit_gan`."""
    config, generator = GANConfig((64,), levels=2, latent=16, features=128, depth=2), make_generator(1000 * seed + 900)
    both = {"generator": Generator(config, generator=generator)}
    return both | {"discriminator": Discriminator(config, generator=generator)}, generator


@dataclass
class Look:
    """A model in training after `steps` and `seconds` of the processor: its validation nats, and its weights."""

    steps: int
    seconds: float
    valid: float
    state: dict


def looks_at(family: Family, x: dict, steps: list[int], seed: int) -> list[Look]:
    """Train at a rate that falls to 0 along half a cosine, and look after each of `steps`; looking costs no seconds."""
    model, looks, looking, began = family.model, [], 0.0, time.process_time()
    how = {"lr": family.lr, "schedule": "cosine", "optimizer": family.optimizer, "progress": False}
    session = Session(model, steps=max(steps), generator=make_generator(500 + seed), **how)
    for batch in session.batches(x["train"], family.batch):
        session.minimise(family.loss(model, batch))
        if session.step in steps:
            seconds = time.process_time() - began - looking
            model.eval()
            with torch.no_grad():
                valid = family.watched(model, x["valid"]).mean().item()
            model.train()
            state = {name: weights.detach().clone() for name, weights in model.state_dict().items()}
            looks.append(Look(session.step, round(seconds, 1), valid, state))
            looking = time.process_time() - began - seconds
    return looks


# --- without a network --------------------------------------------------------------------------------------------


class Blobs:
    """A mixture of K Bernoullis a pixel, by EM from K training images; K = 1 is independent pixels."""

    def __init__(self, x, K, generator, rounds=60):
        x = x.double()
        start = x[torch.randperm(len(x), generator=generator)[:K]]
        self.p, self.log_pi = (0.25 + 0.5 * start), torch.full((K,), -1.0, dtype=torch.float64).log_softmax(0)
        for _ in range(rounds):
            share = self._joint(x).softmax(1)  # (N, K)
            weight = share.sum(0)
            self.p = (share.T @ x + 0.5) / (weight[:, None] + 1)  # half an image of each kind: no pixel is certain
            self.log_pi = ((weight + 0.5) / (weight + 0.5).sum()).log()

    def _joint(self, x):
        return x @ self.p.log().T + (1 - x) @ (1 - self.p).log().T + self.log_pi

    def nats(self, x):
        """−log p(x), (N,)."""
        return -self._joint(x.double()).logsumexp(1)

    def sample(self, n, generator):
        k = self.log_pi.exp().multinomial(n, replacement=True, generator=generator)
        return (torch.rand(n, self.p.shape[1], generator=generator) < self.p[k]).long()
