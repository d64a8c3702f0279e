"""The games that `benchmarks/gan_pictures.py` compares: players who see less or other things, and what is measured."""

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.layers import initialised_by
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.train import Session, fit_gan

from . import decoders as of
from .games import auc as auc  # of what a discriminator says, as there

DIGITS = GANConfig((1, 8, 8), 17, latent=16, features=128, depth=2)
PLAY = {"batch_size": 128, "lr": 3e-3, "r1": 0.3}
SPRITES = GANConfig((1, 16, 16), 16, palette=True, latent=32, features=128, depth=1)
PLAY_SPRITES = {"batch_size": 32, "lr": 3e-3, "r1": 10.0}


class OnePixelAtATime(Discriminator):
    """Adds up what 64 small networks say, each of which sees one pixel: it knows no relation between two of them."""

    def __init__(self, config: GANConfig, *, generator: torch.Generator):
        super().__init__(config, generator=generator)
        with initialised_by(generator):
            self.first, self.net = nn.Linear(2, 64 * 16), nn.Linear(16, 64)

    def logits(self, inputs):
        weight, bias = self.first.weight.view(64, 16, 2).unbind(2)  # 16 features for each pixel
        h = F.relu(inputs.flatten(1)[..., None] * weight + bias)  # (B, 64, 16)
        return (h * self.net.weight + self.net.bias[:, None] / 16).sum((1, 2))


class ThroughNoise(Discriminator):
    """In training it sees every image, real or made, through noise of width 0.3, where the ink goes from −1 to 1."""

    def __init__(self, config: GANConfig, *, generator: torch.Generator):
        super().__init__(config, generator=generator)
        self.dice = generator

    def inputs(self, x):
        seen = super().inputs(x)
        return seen + 0.3 * torch.randn(seen.shape, generator=self.dice) if self.training else seen


def play(x, config, *, steps, generator, viewer=Discriminator, sees=None, **knobs):
    """A game from its first weights: the players, and its history. `sees` is the discriminator's config."""
    players = {
        "generator": Generator(config, generator=generator),
        "discriminator": viewer(sees or config, generator=generator),
    }
    history = fit_gan(players, x, steps=steps, generator=generator, progress=False, **knobs)
    if len(history.loss) < steps:
        raise KeyboardInterrupt
    return {name: player.eval() for name, player in players.items()}, history


def draw_at(logits, temperature, generator):
    """Levels of logits (B, 1, 8, 8, V), drawn at a temperature."""
    return of.draw((logits / temperature).flatten(0, -2), generator=generator).view(logits.shape[:-1])


# --- measures ----------------------------------------------------------------------------------------------


def roughness(x):
    """Root mean square of what a pixel differs from the mean of its four neighbours (paper outside), in levels."""
    padded = F.pad(x.float(), (1, 1, 1, 1))
    up, down = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
    left, right = padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]
    return (x - (up + down + left + right) / 4).square().mean().sqrt().item()


def nearer(x, known, held_out, generator):
    """The share of images x that are nearer to one of `known` than to one of `held_out`, as many of each.

    Who has not learnt `known` by heart has a half, if the two are of one kind.
    """
    n = min(len(known), len(held_out))
    some, others = (part[torch.randperm(len(part), generator=generator)[:n]] for part in (known, held_out))
    a, b = of.distance(x, some), of.distance(x, others)
    return ((a < b).float() + 0.5 * (a == b).float()).mean().item()


def climb(viewer, x, steps=200, lr=0.05):
    """Change images x (B, 1, 8, 8), ink from −1 to 1, to what the discriminator holds for real; give them as levels."""
    viewer.requires_grad_(False)
    x = x.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        (-viewer(x).sum()).backward()
        adam.step()
        x.data.clamp_(-1, 1)
    viewer.requires_grad_(True)
    return ((x.detach() + 1) * 8).round().long()


def differ(x, known):
    """In how many pixels each sprite differs from the most similar one of `known`."""
    a, b = (F.one_hot(t, 16).flatten(1).float() for t in (x, known))
    return x[0].numel() - (a @ b.T).amax(1)


def of_sprites(x):
    """What sprites (B, 1, 16, 16) are like: neighbours of the same colour, the two halves, colours in a picture."""
    alike = {"left": (x[..., 1:] == x[..., :-1]), "above": (x[..., 1:, :] == x[..., :-1, :]), "mirror": x == x.flip(3)}
    found = {name: same.float().mean().item() for name, same in alike.items()}
    return found | {"colours": F.one_hot(x.flatten(1), 16).amax(1).sum(1).float().mean().item()}


def told_sprites(train, test, generator, steps=300):
    """As `told_apart`, by a network to which a sprite's colours are words: the share that it gets right."""
    with initialised_by(generator):
        layers = [nn.Conv2d(16, 32, 3, stride=2), nn.SiLU(), nn.Conv2d(32, 32, 3, stride=2), nn.SiLU()]
        net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 1))

    def words(x):
        return F.one_hot(x[:, 0], 16).movedim(3, 1).float()

    images, real = torch.cat(train), torch.arange(sum(map(len, train))) < len(train[0])
    session = Session(net, lr=2e-3, steps=steps, generator=generator, progress=False)
    for x, is_real in session.batches((images, real.float()), min(len(images), 100)):
        logits = session.model(words(x))[:, 0]
        session.minimise(F.binary_cross_entropy_with_logits(logits, is_real, reduction="none"))
    with torch.no_grad():
        right = [(net(words(x))[:, 0] > 0) == is_real for x, is_real in zip(test, (True, False), strict=True)]
    return sum(part.float().mean().item() for part in right) / 2
