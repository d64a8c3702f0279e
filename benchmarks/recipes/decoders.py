"""The decoders that `benchmarks/decoders.py` compares: their models, how each is trained, and what is measured."""

import copy
import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from course_lib.decode import State, draw, write
from course_lib.device import make_generator
from course_lib.layers import MaskedConv2d, at_point, gate, initialised_by
from course_lib.models.gaussian_mixture import GaussianMixture, GaussianMixtureConfig
from course_lib.models.pixel.convolutional import Block, GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import MARGIN, PixelConfig, at_pixel
from course_lib.models.vae import VAE, VAEConfig, rsample
from course_lib.prob import categorical_log_prob, gaussian_kl, gaussian_log_prob, log_mean_exp
from course_lib.train import Session

LATENT = 16


class SigmaOne(VAE):
    """A VAE whose codes all have noise of width 1: the encoder's word on the width is not heard."""

    def encoder(self, x, y=None):
        mu, log_var = super().encoder(x, y)
        return mu, torch.zeros_like(log_var)


@dataclass(frozen=True)
class Recipe:
    """A VAE, and the rate and schedule that it is trained with."""

    features: int = 64
    depth: int = 1
    tones: int = 0
    dropout: float = 0.0
    lr: float = 2e-3
    schedule: str = "constant"
    kind: type = VAE

    def begin(self, generator, latent=LATENT):
        sizes = {part: getattr(self, part) for part in ("features", "depth", "tones", "dropout")}
        return self.kind(VAEConfig(latent=latent, **sizes), generator=generator)


FASTER = {"lr": 3e-3, "schedule": "cosine"}
LARGER = FASTER | {"features": 128, "depth": 2}
LADDER = {  # one change at a time, from top to bottom
    "sigma = 1": Recipe(kind=SigmaOne),
    "learnt sigma": Recipe(),
    "+ schedule": Recipe(**FASTER),
    "+ size": Recipe(**LARGER),
    "+ dropout": Recipe(**LARGER, dropout=0.1),
    "full": Recipe(**LARGER, dropout=0.1, tones=3),
}
# how a decoder looks at the pixels before: {name: (size of its first filter, layers after it)}; one pixel is itself
SIGHTS = {
    "nothing": ((1, 1), 0),
    "left": ((1, 3), 0),
    "four neighbours": ((3, 3), 0),
    "PixelCNN 1": ((7, 7), 1),
    "PixelCNN 2": ((7, 7), 2),
    "Gated PixelCNN": (None, 4),
}
HIDDEN = 0.15  # share of the pixels that chapter 4's Gated PixelCNN does without in training


@dataclass(frozen=True)
class SightConfig(PixelConfig):
    """A PixelCNN whose first filter has another size, and which is told a code of `latent` numbers (0: none).

    `same`: the code adds the same at every place. `hidden`: in training, this share of the pixels is left blank.
    """

    kernel: tuple[int, int] | None = (7, 7)
    latent: int = LATENT
    same: bool = False
    hidden: float = 0.0


class Told:
    """What a painter has that is told a code z: a linear map of z is added to its first features at every place."""

    def listen(self):
        c = self.config
        places = 1 if c.same else c.height * c.width
        self.tell = nn.Linear(c.latent, c.features * places) if c.latent else None

    def told(self, z):  # (B, Z) -> (B, F, H, W)
        height, width = (1, 1) if self.config.same else self.place.shape[1:]
        return self.tell(z).unflatten(1, (-1, height, width)).expand(-1, *self.place.shape)

    def half_blank(self, x):
        """x (B, 1, H, W) -> its words; in training, some pixels are blank."""
        words = self.words(x)
        if not (self.training and self.config.hidden):
            return words
        return words * (F.dropout(torch.ones_like(words[:, :1]), self.config.hidden) > 0)

    def log_likelihood(self, x, z=None):
        h = self.look(x)
        return categorical_log_prob(self.logits(h if z is None else h + self.told(z)), x)

    def log_prob(self, x):
        return self.log_likelihood(x)

    def begin(self, n, z=None):
        told = torch.zeros_like(self.place).expand(n, -1, -1, -1) if z is None else self.told(z)
        return State((*super().begin(n), told))

    @torch.no_grad()
    def paint(self, n, z=None, *, generator=None):
        """`n` images, drawn; without a generator the likeliest level, pixel after pixel."""
        choose = partial(draw, generator=generator) if generator else lambda logits: logits.argmax(1)
        return write(self, n, 64, choose=lambda logits, t: choose(logits), z=z).view(n, 1, 8, 8)


class ToldPixelCNN(Told, PixelCNN):
    """Chapter 4's PixelCNN, told a code."""

    def build(self, words, features, depth):
        self.first = MaskedConv2d(words, features, self.config.kernel, "A")
        self.blocks = nn.ModuleList(Block(features) for _ in range(depth))
        self.listen()

    def look(self, x):
        """x (B, 1, H, W) -> what its first filter sees (B, F, H, W), whatever the code."""
        return self.first(self.half_blank(x)) + self.place

    def logits(self, h):
        for block in self.blocks:
            h = block(h)
        return self.head(F.relu(h), None)

    def context_at(self, i, j, words, narrow, told):
        if j == 0:
            narrow.copy_(F.pad(narrow[..., 1:, :], (0, 0, 0, 1)))  # a row up
        h = at_pixel(self.first, words, i, j) + self.place[:, i, j] + told[:, :, i, j]
        for d, block in enumerate(self.blocks):
            narrow[:, d, :, 1, j + 1] = F.relu(at_point(block.narrow, F.relu(h)))
            h = h + at_point(block.widen, F.relu(at_point(block.look, narrow[:, d, ..., j : j + 3])))
        return F.relu(h)


class ToldGatedPixelCNN(Told, GatedPixelCNN):
    """Chapter 4's Gated PixelCNN, both of its stacks told a code."""

    def build(self, words, features, depth):
        super().build(words, features, depth)
        self.listen()

    def look(self, x):
        """x (B, 1, H, W) -> what either stack sees first (2, B, F, H, W), whatever the code."""
        words = self.half_blank(x)
        v = self.above(F.pad(words, (2, 2, 2, 0))[:, :, :-1])
        return torch.stack([v, self.left(F.pad(words, (4, 0))[..., :-1])]) + self.place

    def logits(self, h):
        v, h = h
        for block in self.blocks:
            v, h = block(v, h)
        return self.head(F.relu(h), None)

    def context_at(self, i, j, words, above, across, before, told):
        if j == 0:
            before.zero_()
            rows = words[:, :, i + MARGIN - 2 : i + MARGIN, MARGIN - 2 : 2 - MARGIN]
            v = self.above(rows) + self.place[:, i : i + 1] + told[:, :, i : i + 1]
            for d, block in enumerate(self.blocks):
                v = F.pad(v, (1, 1))
                rows = block.down(torch.cat([above[:, d], v], 2))
                above[:, d], across[:, d] = v, block.across(rows)[:, :, 0]
                v = gate(rows)
        h = at_point(self.left, words[:, :, i + MARGIN, j + MARGIN - 4 : j + MARGIN])
        h = h + self.place[:, i, j] + told[:, :, i, j]
        for d, block in enumerate(self.blocks):
            new = at_point(block.along, torch.stack([before[:, d], h], 2)) + across[:, d, :, j]
            before[:, d] = h
            h = h + at_point(block.out, gate(new))
        return F.relu(h)


class SightedVAE(VAE):
    """The full model's encoder before a decoder that also looks at the pixels before each."""

    def __init__(self, sight: str, *, generator: torch.Generator, **more):
        full = LADDER["full"]
        super().__init__(
            VAEConfig(latent=LATENT, features=full.features, depth=full.depth, dropout=full.dropout, tones=0),
            generator=generator,
        )
        self.decoder_net = painter(sight, generator=generator, **more)

    def log_likelihood(self, x, z, y=None):
        return self.decoder_net.log_likelihood(x, z)

    def log_prob_bound(self, x, y=None, *, samples, generator):
        """As a VAE's, but what the filter sees of x is computed once, whatever the codes."""
        mu, log_var = self.encoder(x)
        seen, log_w = self.decoder_net.look(x), []
        for _ in range(samples):
            z = rsample(mu, log_var, generator=generator)
            zero = torch.zeros_like(z)
            log_px = categorical_log_prob(self.decoder_net.logits(seen + self.decoder_net.told(z)), x)
            log_w.append(log_px + gaussian_log_prob(zero, zero, z) - gaussian_log_prob(mu, log_var, z))
        return log_mean_exp(torch.stack(log_w))


def painter(sight, *, generator, **more):
    """The decoder of that sight; with latent=0 it is told nothing, and `log_prob` is exact."""
    (kernel, depth), gated = SIGHTS[sight], sight == "Gated PixelCNN"
    sizes = {"features": 40 if gated else 32, "depth": depth, "kernel": kernel}
    return (ToldGatedPixelCNN if gated else ToldPixelCNN)(
        SightConfig(17, 1, 8, 8, **sizes, **more), generator=generator
    )


# --- training ----------------------------------------------------------------------------------------------


def minus_elbo(model, x, *, generator, weight=1.0):
    log_px, kl = model.bound_terms(x, generator=generator)
    return weight * kl - log_px


def minus_log_prob(model, x, **_):
    return -model.log_prob(x)


def learn(model, x, loss, *, steps, lr, schedule="cosine", generator, valid=None, looks=20, warm=0, batch_size=100):
    """Train; with `valid`, look at it `looks` times, always with the same noise, and give the best state beside.

    `warm` is the share of the steps in which the KL's weight rises from 0 to 1. Returns None, or (step, state).
    """
    session = Session(model, lr=lr, steps=steps, schedule=schedule, generator=generator, progress=False)
    every, best = max(1, steps // looks), (math.inf, 0, None)
    for batch in session.batches((x,), min(len(x), batch_size)):
        weight = min(1.0, session.step / (warm * steps)) if warm else 1.0
        session.minimise(loss(session.model, *batch, generator=generator, weight=weight))
        if valid is not None and (session.step % every == 0 or session.step == steps):
            nats = session.validate(lambda x: looked_at(session.model, x, loss), valid, len(valid))
            if nats < best[0]:
                best = nats, session.step, copy.deepcopy(model.state_dict())
    if session.step < steps:
        raise KeyboardInterrupt
    return None if valid is None else best[1:]


def looked_at(model, x, loss, draws=4):
    noise = make_generator(0, x.device)
    return sum(loss(model, x, generator=noise, weight=1.0) for _ in range(draws)) / draws


# --- measures ----------------------------------------------------------------------------------------------


@torch.no_grad()
def cost(model, x, *, generator, draws=20):
    """−ELBO, nats an image: the mean over `draws` codes for each."""
    return -sum(model.elbo(x, generator=generator).mean() for _ in range(draws)).item() / draws


def two_ways(logits, generator):
    """Images of logits (B, 1, 8, 8, V): the likeliest levels, and levels drawn."""
    return logits.argmax(-1), draw(logits.flatten(0, -2), generator=generator).view(logits.shape[:-1])


def different(label):
    """e^H of the shares of the digits among the accepted: 10 where all are equally frequent, 1 where all are one."""
    share = torch.bincount(label[label >= 0].cpu(), minlength=10).double()
    return torch.special.entr(share / share.sum().clamp(min=1)).sum().exp().item()


def distance(images, known):
    return torch.cdist(images.flatten(1).float(), known.flatten(1).float()).min(1).values


def to_itself(images, known):
    return (images - known).flatten(1).float().norm(dim=1)


@torch.no_grad()
def knows(model, x, generator):
    """Mutual information of code and image over these images, nats: at most log len(x)."""
    mu, log_var = model.encoder(x)
    z = rsample(mu, log_var, generator=generator)
    away = (z[:, None] - mu).square() * (-log_var).exp()  # (N, N, Z): the code of one under every q
    each = -0.5 * (away + log_var).sum(2)
    return (each.diagonal() - each.logsumexp(1) + math.log(len(x))).mean().item()


def mixture_of(z, generator, components=10):
    mixture = GaussianMixture(GaussianMixtureConfig(components))
    mixture.fit(z.double(), generator=generator, progress=False)
    return lambda n: mixture.sample(n, generator=generator).float()


def gaussian_of(z, generator):
    root = torch.linalg.cholesky(torch.cov(z.T) + 1e-4 * torch.eye(z.shape[1]))
    return lambda n: z.mean(0) + torch.randn(n, z.shape[1], generator=generator) @ root.T


def box_of(z, generator):
    low, high = z.amin(0), z.amax(0)
    return lambda n: low + (high - low) * torch.rand(n, z.shape[1], generator=generator)


def own_of(z, generator):
    """The very codes, any of them."""
    return lambda n: z[torch.randint(len(z), (n,), generator=generator)]


def refined(model, x, *, steps=400, lr=0.03, draws=4, generator):
    """q image by image: (mu, log_var) from the encoder's answer, improved by Adam on the ELBO."""
    model.requires_grad_(False)
    mu, log_var = (t.detach().clone().requires_grad_() for t in model.encoder(x))
    adam = torch.optim.Adam([mu, log_var], lr=lr)
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        nats = -sum(elbo_at(model, x, mu, log_var, generator).sum() for _ in range(draws)) / draws
        adam.zero_grad()
        nats.backward()
        adam.step()
        falls.step()
    model.requires_grad_(True)
    return mu.detach(), log_var.detach()


@torch.no_grad()
def log_weights(model, x, q, K, generator, at_once=8):
    """log p(x, z) / q(z | x) of K codes for each image, q = (mu, log_var): (K, B) nats."""
    (mu, log_var), many = q, []
    for n in [min(at_once, K - done) for done in range(0, K, at_once)]:
        again, m, v = (t.expand(n, *t.shape).flatten(0, 1) for t in (x, mu, log_var))
        z = rsample(m, v, generator=generator)
        zero = torch.zeros_like(z)
        log_w = model.log_likelihood(again, z) + gaussian_log_prob(zero, zero, z) - gaussian_log_prob(m, v, z)
        many.append(log_w.view(n, -1))
    return torch.cat(many)


def bound_of(log_w, K):
    """The mean bound with K samples, over as many disjoint groups of K as there are: nats."""
    groups = log_w[: len(log_w) // K * K].unflatten(0, (-1, K))
    return log_mean_exp(groups, 1).mean().item()


def elbo_at(model, x, mu, log_var, generator):
    return model.log_likelihood(x, rsample(mu, log_var, generator=generator)) - gaussian_kl(mu, log_var)


@torch.no_grad()
def on_a_grid(model, x, *, step, reach=5.0):
    """−log p(x) of a VAE of two latents, (B,) nats: the integral over a grid of codes from −reach to reach."""
    ticks = torch.arange(-reach, reach + step / 2, step)
    one_hot = F.one_hot(x.flatten(1), model.config.levels).flatten(1).float()  # (B, D·V)
    total = torch.full((len(x),), -math.inf)
    for z in torch.cartesian_prod(ticks, ticks).split(10_000):
        log_p = model.decoder(z).log_softmax(-1).flatten(1)  # (n, D·V)
        prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi) + 2 * math.log(step)
        total = torch.logaddexp(total, (log_p @ one_hot.T + prior[:, None]).logsumexp(0))
    return -total


def small_network(generator):
    """Two convolutions and a linear layer: an image (B, 1, 8, 8) -> how real it looks (B, 1)."""
    with initialised_by(generator):
        layers = [nn.Conv2d(1, 32, 3), nn.SiLU(), nn.Conv2d(32, 32, 3), nn.SiLU(), nn.Flatten(), nn.Linear(512, 1)]
    return nn.Sequential(*layers)


def by_network(images, real, held_out, generator, steps=400):
    net = small_network(generator)

    def loss(net, x, is_real, **_):
        return F.binary_cross_entropy_with_logits(net(x)[:, 0], is_real, reduction="none")

    session = Session(net, lr=2e-3, steps=steps, generator=generator, progress=False)
    for batch in session.batches((images / 8 - 1, real.float()), 100):
        session.minimise(loss(session.model, *batch))
    with torch.no_grad():
        return net(held_out / 8 - 1)[:, 0] > 0


def by_evidence(images, real, held_out, generator):
    """Logistic regression; how strongly it is held back is chosen on a fifth of the images that it may learn from."""
    order = torch.randperm(len(images), generator=generator)
    learn, choose = order[len(order) // 5 :], order[: len(order) // 5]

    def fitted(C, part):
        return LogisticRegression(C=C, max_iter=5000).fit(images[part].numpy(), real[part].numpy())

    best = max((1e-3, 1e-2, 0.1, 1.0), key=lambda C: fitted(C, learn).score(images[choose].numpy(), real[choose]))
    return torch.as_tensor(fitted(best, order).predict(held_out.numpy()))


def levels_of(x):
    """How often an image has each level, wherever: (B, 17)."""
    return F.one_hot(x.flatten(1), 17).float().mean(1) * 10


def pixels_of(x):
    """Each pixel's level as 17 numbers, all 0 but one: (B, 1088). What is added up from these knows no relation."""
    return F.one_hot(x.flatten(1), 17).flatten(1).float()


def told_apart(train, test, generator, only=("histogram", "pixels", "network")):
    """Share of held-out images that each classifier gets right: `train` and `test` are pairs (real, made)."""
    images, real = torch.cat(train), torch.arange(sum(map(len, train))) < len(train[0])
    held_out, is_real = torch.cat(test), torch.arange(sum(map(len, test))) < len(test[0])
    ways = {
        "histogram": lambda: by_evidence(levels_of(images), real, levels_of(held_out), generator),
        "pixels": lambda: by_evidence(pixels_of(images), real, pixels_of(held_out), generator),
        "network": lambda: by_network(images, real, held_out, generator),
    }
    return {way: (ways[way]() == is_real).float().mean().item() for way in only}


@torch.no_grad()
def residual_correlation(model, x, z):
    """Of vertical neighbours: what is left of an image over what is expected given z, in spreads, clipped at ±5."""
    p, ink = model.decoder(z).softmax(-1), torch.arange(17.0)
    mean = (p * ink).sum(-1)
    spread = ((p * ink.square()).sum(-1) - mean.square()).clamp(min=1e-3).sqrt()
    left = ((x - mean) / spread).clamp(-5, 5)[:, 0]
    return torch.corrcoef(torch.stack([left[:, :-1].flatten(), left[:, 1:].flatten()]))[0, 1].item()
