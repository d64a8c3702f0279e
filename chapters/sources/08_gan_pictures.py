# %% [markdown]
# # 8 · GAN for pictures: what is a loss worth that can see?
#
# **You will train a generator of digits against a network that looks at whole images, and measure what that buys,
# what it costs, and how both players can be fooled.**
#
# *Laptop: under 45 seconds. You need: [the first page of this chapter](08_gan.ipynb), chapter 2's judge, and [the VAE
# of chapter 7](07_vae.ipynb).*

# %% tags=["setup"]
from importlib.util import find_spec

if find_spec("course_lib") is None:  # the library behind the chapters is not here
    import re
    import socket
    import subprocess
    import sys
    from contextlib import suppress
    from urllib.parse import unquote
    from urllib.request import urlopen

    session = ""
    if "google.colab" in sys.modules:  # where a session knows its notebook's address
        at = f"http://{socket.gethostname()}:9000/api/sessions"
        with suppress(OSError), urlopen(at) as answer:
            session = unquote(answer.read().decode())
    at = re.search(r"(https://github\.com/[\w.-]+/[\w.-]+)/blob/([\w.-]+)", session)
    if at is None:
        raise ModuleNotFoundError(
            "course_lib is not installed: run `pip install -e .` in the course's "
            "folder, then choose that Python for this notebook"
        )
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"git+{at[1]}@{at[2]}"], check=True)

# %% [markdown]
# ## What you will get
#
# A generator makes thirty-two images of thirty-two fixed vectors of random numbers. Move the slider through the first
# seconds of its training. Chapter 2's judge crosses out what it does not accept as a digit.

# %% tags=["drawing"]
import torch
from course_lib.data import load_digits
from course_lib.device import make_generator, pick_device
from course_lib.measure.judge import DigitJudge
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.show.explore import explore
from course_lib.show.plots import show_images
from course_lib.train import fit_gan

kinds = {"generator": Generator, "discriminator": Discriminator}
device, dice, album = pick_device(), make_generator(0, pick_device()), {}
real, held_out = (load_digits(part, device=device) for part in ("train", "valid"))
sizes = GANConfig((1, 8, 8), 17, latent=16, features=128, depth=2)
teaser = {name: kind(sizes, generator=dice).to(device) for name, kind in kinds.items()}
referee = DigitJudge(real, held_out, generator=dice)
z = teaser["generator"].draw_z(32, generator=dice)
MOMENTS = [1, 20, 50, 100, 200, 350, 500]


def keep(step):
    if step in MOMENTS:
        album[step] = teaser["generator"].observe(z)


def show_teaser(step):
    x = album[step]
    return show_images(x, columns=16, size=0.42, crossed=referee.label(x) < 0)


fit_gan(teaser, real[0], steps=500, lr=3e-3, r1=0.3, generator=dice, watch=keep)
alt = "thirty-two images that a generator makes, those that are no digits crossed out"
explore(show_teaser, step=MOMENTS, start={"step": 500}, alt=alt)

# %% [markdown]
# The generator has never been shown a digit. All it ever learns of digits is which way to change its images so that
# another network takes them for real.

# %% [markdown]
# ## Setup

# %%
import time
from functools import partial

import torch.nn.functional as F
from course_lib.layers import initialised_by
from course_lib.measure.coverage import nearest
from course_lib.train import fit
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# The digits of chapters 2 and 7: 8×8 pixels with 17 levels of ink, a thousand to train, 350 to set the judge, and 447
# to measure.

# %%
x_train, y_train = load_digits("train", device=device)
x_valid, y_valid = load_digits("valid", device=device)
x_test, y_test = load_digits("test", device=device)
judge = DigitJudge((x_train, y_train), (x_valid, y_valid), generator=generator)

# %% tags=["checking"]
from course_lib.data.shipped import shipped
from course_lib.show.stored_runs import StoredRuns
from course_lib.show.typeset import show_table

runs = StoredRuns(shipped("results/gan_pictures.json"))
print(f"real test digits refused: {judge.invalid_share(x_test):.1%}")
assert judge.invalid_share(x_test) < 0.06

# %% [markdown]
# The judge refuses 3.1 to 4.5 per cent of the real test digits. That is the floor for what follows. A range in the text
# always goes from the least to the most of five seeds.

# %% [markdown]
# ## The idea: ink that can be a little more or a little less
#
# On page 1 a gradient went through the discriminator into the point that the generator had made, and said which way
# to move it. A pixel is a choice among 17 levels, and a choice cannot be moved a little. Chapter 7's decoder got
# around this by giving a *probability* to each level. A generator has no probabilities. So it makes **continuous
# ink**: one number for each pixel, from −1 (paper) to 1 (full ink). The discriminator is shown that, with the real
# digits on the same scale. Only when we look at an image, or measure it, is each pixel rounded to the nearest level.
#
# $$ z \sim \mathcal N(0, 1) \;\longrightarrow\; G(z) \in [-1, 1]^{8\times 8} \;\longrightarrow\;
# D(G(z)) \qquad\text{gradient: } \frac{\partial \log D(x)}{\partial x}\bigg|_{x = G(z)} \cdot \frac{\partial G(z)}{\partial w} $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $z$ | `player.draw_z(n, generator=…)` | (B, 16) |
# | $G(z)$, continuous | `player(z)` | (B, 1, 8, 8), −1 to 1 |
# | the image | `player.observe(z)`, `player.sample(n, …)` | (B, 1, 8, 8), levels 0 to 16 |
# | $\log \frac{D}{1-D}$ of an image | `discriminator(x)` | (B,) logits |
#
# The first factor of the gradient is an image itself: for every pixel, more ink or less.


# %%
def paint(player, z):  # (B, 16) -> (B, 1, 8, 8): −1 is paper, 1 is ink
    return player.net(z).view(-1, 1, 8, 8).tanh()


def to_levels(made):
    return ((made + 1) * 8).round().long()


# %% tags=["checking"]
fresh = Generator(sizes, generator=generator).to(device)
z = fresh.draw_z(100, generator=generator)
assert torch.equal(paint(fresh, z), fresh(z))
assert torch.equal(to_levels(paint(fresh, z)), fresh.observe(z))
print(fresh.net)

# %% [markdown]
# That is all of the generator: three layers of weights, and a $\tanh$ that keeps the ink in its range. The
# discriminator is the same kind of network the other way round, from 64 pixels to one logit. It sees the whole image.
#
# ## Knobs

# %%
latent = 16  # as in chapter 7
features, depth = 128, 2  # of the hidden layers, both players
steps, batch_size = 2000, 128  # about 8 seconds
lr, r1 = 3e-3, 0.3  # both fall out of a short search, on seed 0

# %% [markdown]
# `r1` is the weight of page 1's penalty on a steep discriminator. Every game on digits below is played by this one
# function, from the same dice, so two games differ in what is named and in nothing else. `viewer` is the kind of
# discriminator.


# %%
def play(x, steps=600, viewer=Discriminator, watch=None, sees=None, **more):
    chance = make_generator(seed, device)
    config = {"latent": latent, "features": features, "depth": depth}
    knobs = {"batch_size": batch_size, "lr": lr, "r1": r1} | more
    config |= {name: knobs.pop(name) for name in [*config] if name in knobs}
    config = GANConfig((1, 8, 8), 17, **config)
    seen = GANConfig((1, 8, 8), 17, features=features, **(sees or {"depth": depth}))
    made = Generator(config, generator=chance), viewer(seen, generator=chance)
    players = {name: one.to(device) for name, one in zip(kinds, made, strict=True)}
    look = watch and partial(watch, players)
    how = {"steps": steps, "generator": chance, "watch": look} | knobs
    return players, fit_gan(players, x, **how)


# %% [markdown]
# ## Train
#
# While it trains, we let the judge look at a thousand draws from time to time.

# %%
judged = {}


def look_in(players, step):
    if step in (50, 100, 200, 500, 1000, 1500, 2000):
        x = players["generator"].sample(1000, generator=make_generator(1, device))
        judged[step] = judge.invalid_share(x)


game, history = play(x_train, steps, watch=look_in)
player, viewer = game.values()

# %% tags=["checking"]
names = "discriminator", "generator"
losses = {name: torch.tensor(history.losses[name]) for name in names}
rows, late = [], []
for step, share in judged.items():
    nats = [losses[name][max(0, step - 50) : step].mean().item() for name in names]
    rows.append([step, f"{share:.0%}", *(f"{n:.2f}" for n in nats)])
    late += [nats] * (step >= 500)
assert judged[2000] < 0.8 * judged[500] < 0.5 * judged[50]
assert late[0][0] > late[-1][0], "images get better, and the opponent wins more"
assert all(abs(a - 1.386) < 0.16 and abs(b - 0.693) < 0.16 for a, b in late)
show_table(["step", "refused", "discriminator's loss, nats", "generator's"], rows)

# %% [markdown]
# From step 500 to the end the images get better: the judge refuses 18 to 26 per cent of them, and then 10 to 16. The
# losses say nothing of it. They stay near $\log 4 = 1.39$ and $\log 2 = 0.69$ nats, what a discriminator that answers
# *fifty-fifty* to everything would cost, and if they move at all, they move the wrong way: the discriminator does a
# little better at the end, not worse. Page 1 said why. The losses say who is ahead, and not how well the two play.

# %% [markdown]
# ## How good are they?
#
# Beside chapter 7's VAE, trained for as many seconds. Careful: that chapter found that the judge likes sure strokes,
# whoever makes them. The VAE's decoder leaves each pixel to chance. The generator leaves nothing to chance: for one
# $z$ there is one image. So the VAE stands here in three ways. Its levels are *drawn*, at temperature 1 and at 0.7;
# or each pixel has its *likeliest* level, which leaves nothing to chance either. *Mixture* means that codes are drawn
# from ten Gaussians that were fitted to the codes of the training images, as in chapter 7, instead of from the prior.
#
# The last two columns ask what the judge cannot see. **Told**: a fresh network with two convolutions is trained to
# tell a thousand real digits from a thousand made ones, and then asked about images that it has not met. It is a
# discriminator that comes when the game is over, and nobody has trained against it. At 50 per cent it is guessing.
# **Left over** is chapter 7's measure of structure: a VAE says what it expects of an image given its code, and we
# look at the rest. Is what is left over at a pixel correlated with what is left over above it? (One VAE does that for
# all rows.) The table has five seeds; the command is `python benchmarks/gan_pictures.py`.

# %% tags=["checking"]
NAMES = ["real digits", "GAN", "VAE, drawn", "VAE, drawn at 0.7", "VAE, likeliest"]
NAMES += ["VAE, mixture, drawn at 0.7", "Gated PixelCNN"]
COLUMNS = {"refused": "%", "digits": ".1f", "copies": "%", "told_network": "%"}
rows = runs.table("table", NAMES, COLUMNS | {"left_over": ".2f"})
heads = ["five seeds", "refused", "digits", "copies", "told by a network"]
show_table([*heads, "left over"], rows)

# %% tags=["checking"]
LESS = [  # in every seed the first is below this share of the second
    ("GAN", "VAE, drawn", "refused", 0.85),
    ("VAE, drawn at 0.7", "GAN", "refused", 0.8),
    ("VAE, mixture, drawn at 0.7", "GAN", "refused", 0.4),
    ("VAE, likeliest", "GAN", "refused", 0.3),
    ("GAN", "VAE, drawn", "told_network", 1),
    ("GAN", "VAE, drawn at 0.7", "told_network", 1),
    ("GAN", "VAE, likeliest", "told_network", 0.85),
    ("Gated PixelCNN", "GAN", "told_network", 0.95),
    ("VAE, drawn", "GAN", "left_over", 0.6),
    ("VAE, drawn at 0.7", "GAN", "left_over", 0.8),
    ("VAE, mixture, drawn at 0.7", "GAN", "left_over", 0.8),
]
assert all(runs.below("table", *each) for each in LESS)

# %% [markdown]
# **The judge does not prefer the GAN.** It refuses fewer of its draws than of the VAE's honest draws, about three
# quarters as many. But as soon as the VAE is made as sure as a generator is, it has fewer refused than the GAN: somewhat
# more than half as many at temperature 0.7, a fifth with the mixture besides, and hardly any in likeliest levels. GANs
# are praised for sharp images. A VAE's decoder can be sharp too, for nothing.
#
# **The network does, a little.** It decides right on 67 to 73 per cent of the GAN's and the real images. With a VAE
# that draws from its prior it is 77 to 80, sharpened or not, and with likeliest levels over 90. But with the mixture for
# a prior, and sharpened, it is 72 to 75, hardly more than with the GAN. So part of what a network sees in a VAE's images
# is the prior that does not fit.
#
# ***Left over* shows what the rest is.** In real digits it is correlated, at 0.26 to 0.28, and in the GAN's
# about as much, 0.20 to 0.29. In the VAE's draws it is 0.07 to 0.12, whatever prior they come from, since each of their
# pixels rolls a die of its own. (Likeliest levels roll none, so there it is high again. But such images give themselves away by their levels,
# as chapter 7 found.) This is what the discriminator is for. It teaches **relations between pixels** that the VAE's loss
# does not see.
#
# It does not teach all of them. The PixelCNN, which draws each pixel given its neighbours, is told least of all, under
# 60 per cent. (It was trained for 30 seconds, the others for 9.)

# %% [markdown]
# ## Does it copy?
#
# Below each of sixteen draws stands the training digit that is nearest to it.

# %%
x = player.sample(2000, generator=generator)
distance, which = nearest(x.flatten(1).float(), x_train.flatten(1).float())

# %% tags=["drawing"]
look = {"columns": 16, "size": 0.42, "rows": ["drawn", "nearest"]}
show_images(torch.cat([x[:16], x_train[which[:16]]]), **look)

# %% tags=["checking"]
far = nearest(x_test.flatten(1).float(), x_train.flatten(1).float())[0]
print(f"identical: {(distance == 0).sum()} of 2000 draws")
away = distance.median(), far.median()
print("median distance, in levels: draws {:.1f}, test {:.1f}".format(*away))
assert not (distance == 0).any() and abs(away[0] / away[1] - 1) < 0.1
for name in ("GAN", "VAE, drawn", "other real digits"):
    share = runs.span("table", name, "nearer", "%")
    print(f"{name}: {share} % are nearer to a training than to a test digit")
leaning = runs.of("table", "GAN", "nearer")
assert max(runs.of("table", "other real digits", "nearer")) < 0.55 < min(leaning) - 0.05

# %% [markdown]
# Most have a near relative, and none is identical with it. On the whole, draws are about as far from the training
# digits as test digits are.
#
# But draw a finer line. Is a draw nearer to one of 447 training digits, or to one of the 447 test digits? For real
# digits that nobody trained with, it is nearly a coin. Most draws are nearer to what was trained with. So the generator
# does not give back its examples, but it keeps closer to them than to other digits. (So does the VAE of the table.)

# %% [markdown]
# ## A discriminator that cannot see
#
# The generator is only as good as what its opponent can see. Take two opponents that see too little. The *linear* one
# adds up the pixels, each with a weight of its own. The *one pixel at a time* one has a small network for each pixel
# and adds up what these say. So it may know all about every pixel, and nothing about two of them.


# %%
class OnePixelAtATime(Discriminator):
    def __init__(self, config, *, generator):
        super().__init__(config, generator=generator)
        with initialised_by(generator):  # 64 networks of 16 features, side by side
            self.net = nn.Linear(16, 64)
            self.first = nn.Linear(2, 64 * 16)

    def logits(self, inputs):
        weight, bias = self.first.weight.view(64, 16, 2).unbind(2)
        h = F.relu(inputs.flatten(1)[..., None] * weight + bias)  # (B, 64, 16)
        return (h * self.net.weight + self.net.bias[:, None] / 16).sum((1, 2))


games = {"the whole image": play(x_train)}
games["one pixel at a time"] = play(x_train, viewer=OnePixelAtATime)
games["linear"] = play(x_train, sees={"depth": 0})

# %% [markdown]
# Three games of 600 steps, with the same generator and the same dice:

# %% tags=["checking"]
rows, shown, weak = [], [], {}
for name, (players, past) in games.items():
    x = players["generator"].sample(2000, generator=generator)
    nats = [torch.tensor(past.losses[who])[-100:].mean().item() for who in names]
    spread = x.flatten(1).float().std(0).mean().item()
    weak[name] = judge.invalid_share(x), *nats, spread
    refused, *rest = weak[name]
    rows.append([name, f"{refused:.0%}", *(f"{number:.2f}" for number in rest)])
    shown.append(x[:12])
heads = ["it sees", "refused", "discriminator's loss", "generator's"]
show_table([*heads, "spread of a pixel, levels"], rows)

# %% tags=["drawing"]
rows = ["whole", "one pixel", "linear"]
show_images(torch.cat(shown), columns=12, size=0.5, rows=rows)

# %% tags=["checking"]
whole, pixelwise, linear = weak.values()
spread = x_train.flatten(1).float().std(0).mean()
print(f"real digits: a pixel's spread is {spread:.2f} levels")
assert whole[0] < 0.4 and min(pixelwise[0], linear[0]) > 0.8
for n, log in ((1, 1.386), (2, 0.693)):
    assert abs(linear[n] - log) < 0.05 < abs(whole[n] - log)
assert max(pixelwise[3], linear[3]) < 0.34 * whole[3]

# %% [markdown]
# Both are **fooled completely**. 87 to 100 per cent of the images are refused, where the full opponent leaves 22 to
# 33 in as many steps. And the generator makes nearly the same image every time: a pixel varies by at most a third of
# what it does in the first row. Against the linear opponent it is a grey heap, the average of all digits. Against the
# other it is a pattern in which each pixel by itself is something that occurs.
#
# And the losses? The linear game ends within 0.05 nats of $\log 4$ and $\log 2$, nearer than the game of the whole
# image. **A loss at $\log 2$ means that the opponent cannot tell.** It does not say whether that is because the
# images are good or because the opponent is blind.

# %% [markdown]
# ## An image that fools it
#
# Now hold a trained discriminator still, and change an *image*: begin with noise, and climb its logit pixel by pixel.


# %%
def climb(viewer, n=200, steps=200):
    x = 2 * torch.rand(n, 1, 8, 8, device=device, generator=generator) - 1
    x.requires_grad_()
    adam = torch.optim.Adam([x], lr=0.05)
    for _ in range(steps):
        (x.grad,) = torch.autograd.grad(-viewer(x).sum(), x)
        adam.step()
        x.data.clamp_(-1, 1)
    return to_levels(x.detach())


# %% [markdown]
# We ask two discriminators, after 600 steps each. One was trained with the penalty, and one without. Each has a scale
# of its own, so we need to know what it says of real digits too.

# %%
games["no penalty"] = play(x_train, r1=0.0)

# %% tags=["checking"]
rows, shown, fooled = [], [], {}
for name, key in {"penalty 0.3": "the whole image", "no penalty": "no penalty"}.items():
    judges = games[key][0]["discriminator"]
    x = climb(judges)
    with torch.no_grad():
        says, of_real = judges(x).sigmoid(), judges(x_test).sigmoid()
    beyond = (says > of_real.quantile(0.95)).float().mean().item()
    sure = (says > 0.99).float().mean().item()
    fooled[name] = sure, beyond, judge.invalid_share(x)
    medians = [t.median().item() for t in (of_real, says)]
    rows.append([name, *(f"{share:.0%}" for share in (*medians, *fooled[name]))])
    shown.append(x[:12])
heads = ["", "real digits: D, median", "climbed: D, median", "above 99 %"]
show_table([*heads, "above 95 % of real digits", "refused by the judge"], rows)

# %% tags=["drawing"]
show_images(torch.cat(shown), columns=12, size=0.5, rows=["penalty", "none"])

# %% tags=["checking"]
robust, plain = fooled.values()
assert plain[0] > 0.99 and robust[0] == 0
assert min(robust[1], plain[1]) > 0.99 and min(robust[2], plain[2]) > 0.99

# %% [markdown]
# Every climb ends at noise in black and white, which the judge refuses. The discriminator without the penalty is
# **more than 99 per cent sure that this is a digit**. The one with the penalty never is. But it is never so sure of
# real digits either. Its logits are flatter everywhere. Measured on its own scale it is fooled just as well: all that
# was climbed looks more real to it than 95 per cent of the real digits.
#
# So the penalty keeps the game calm. It does not make the discriminator wise. A discriminator learns to tell real
# digits from what the generator shows it, and nobody ever showed it this.

# %% [markdown]
# ## Colours that have no order
#
# Chapter 4's creatures have 16 colours that are words, not amounts: there is no more or less of red than of blue. So
# the generator makes, for each pixel, a *share* of every colour, by a softmax. A real pixel has share 1 at its own
# colour. That is again something a gradient passes, and when we look, each pixel takes its largest share.

# %%
from course_lib.data.sprites import load_sprites, to_rgb

sprites = load_sprites(4500, generator=make_generator(seed)).to(device)
chance = make_generator(seed, device)
palette = GANConfig((1, 16, 16), 16, palette=True, latent=32, features=128, depth=1)
zoo = {name: kind(palette, generator=chance).to(device) for name, kind in kinds.items()}
knobs = {"steps": 600, "batch_size": 32, "lr": 3e-3, "r1": 10.0}
fit_gan(zoo, sprites[:4000], generator=chance, **knobs)
creatures = zoo["generator"].sample(500, generator=chance)

# %% tags=["drawing"]
show_images(to_rgb(creatures[:24].cpu()), columns=8, size=0.7)


# %% tags=["checking"]
def differ(x, of):  # pixels in which each differs from the most similar of `of`
    a, b = (F.one_hot(t, 16).flatten(1).float() for t in (x, of))
    return 256 - (a @ b.T).amax(1)


real = sprites[4000:]
variety = [differ(x[:250], x[250:]).median().item() for x in (real, creatures)]
copied = [differ(x, sprites[:4000]).median().item() for x in (real, creatures)]
for what, two in {"250 others": variety, "the training set": copied}.items():
    print("nearest of {}: real {:.0f}, made {:.0f} pixels".format(what, *two))
assert variety[1] < 0.6 * variety[0] and copied[1] > 0.95 * copied[0]

# %% [markdown]
# These are the first twenty-four draws. Bodies have outlines and shading, and where there are two eyes, they stand side
# by side. They are no copies: from the nearest creature of the training set they differ in 70 to 72 pixels (median of
# 500), as real new ones do.
#
# But look for the same creature twice. Take 250 draws, and for each the most similar of 250 others. Of real creatures
# 88 to 90 of 256 pixels differ, of these only 43 to 48. **Most pictures look fine, and there are too few kinds of
# them.** This is page 1's mode collapse, half-way. You see it only by comparing draws with each other.

# %% [markdown]
# ## Five advantages, each a number
#
# The lecture lists what a GAN has and others have not. Take them one by one.
#
# **All pixels at once.** A painter (chapter 4's Gated PixelCNN, trained here for about as many seconds) runs once for
# each pixel. We count.

# %%
from course_lib.models.pixel.convolutional import GatedPixelCNN
from course_lib.models.pixel.model import PixelConfig

chance = make_generator(seed, device)
painter = GatedPixelCNN(PixelConfig(features=32, depth=2), generator=chance).to(device)
knobs = {"steps": 350, "batch_size": 50, "lr": 6e-3, "schedule": "cosine"}
fit(painter, x_train, loss=lambda m, x: -m.log_prob(x), generator=chance, **knobs)

# %% tags=["checking"]
passes = []
watched = {"GAN": (player, player.net), "painter": (painter, painter.head)}
for name, (model, part) in watched.items():
    for n in (1, 64):
        count = []
        hook = part.register_forward_hook(lambda *_, count=count: count.append(1))
        begun = time.perf_counter()
        model.sample(n, generator=generator)
        took = time.perf_counter() - begun
        hook.remove()
        passes.append(len(count))
        each = f"{1000 * took / n:6.2f} ms an image"
        print(f"{name:8s}{n:3} images: {len(count):3} passes, {each}")
price = -painter.log_prob(x_test).mean().item()
print(f"the painter pays {price:.1f} nats an image")
assert passes == [1, 1, 64, 64]

# %% [markdown]
# The painter's number of passes is the number of pixels, for one image as for 64, and no computer can change that,
# since each pixel waits for the one before. The generator needs one. (The milliseconds depend on the machine, and are
# not the point. The passes do not.)
#
# **Few restrictions.** A flow must be invertible, so its $z$ has as many numbers as the image. A generator's may have
# fewer or more. Give it 100 numbers for 64 pixels, instead of 16, and change nothing else:

# %%
wide, _ = play(x_train, latent=100)

# %% tags=["checking"]
x = wide["generator"].sample(2000, generator=generator)
of_wide = judge.invalid_share(x)
print(f"refused after 600 steps: 16 numbers {whole[0]:.0%}, 100 numbers {of_wide:.0%}")
assert abs(of_wide - whole[0]) < 0.15

# %% [markdown]
# Over five seeds 22 to 33 per cent are refused with 16 numbers, and 23 to 39 with 100: not much
# difference, and nothing else had to be changed. (What
# $z$ cannot do is make an image of more freedom than it has: 16 numbers reach a surface of 16 dimensions among the
# 64.)
#
# **No Markov chain.** Other models that know a density only up to a factor draw by a chain: move a little, accept or
# refuse, and again ([Metropolis et al., 1953](references.md#metropolis1953)). Here is one on page 1's ring of eight,
# with three widths of step.


# %%
def metropolis(log_prob, widths, steps=2000):  # a chain for each width
    chance = make_generator(seed)
    x, path = torch.zeros(len(widths), 2), []
    for _ in range(steps):
        offer = x + widths[:, None] * torch.randn(x.shape, generator=chance)
        accept = (log_prob(offer) - log_prob(x)).exp()
        taken = torch.rand(len(widths), generator=chance) < accept
        x = torch.where(taken[:, None], offer, x)
        path.append(x)
    return torch.stack(path, 1)  # (chains, steps, 2)


# %% tags=["checking"]
from course_lib.data import load_plane
from course_lib.measure.coverage import coverage

ring, widths = load_plane("ring"), torch.tensor([0.3, 1.0, 3.0])


def successive(x):  # correlation of a number with the next one
    return torch.corrcoef(torch.stack([x[:-1], x[1:]]))[0, 1].item()


chains = []
for width, path in zip(widths, metropolis(ring.log_prob, widths), strict=True):
    modes = coverage(path, ring.modes, ring.mode_std).reached
    chains.append((successive(path[:, 0]), modes))
    words = "steps {:.1f} wide: correlation {:.3f}, {} of 8 modes"
    print(words.format(width, *chains[-1]))
ink = player.sample(4000, generator=generator).flatten(1).float().sum(1)
print(f"GAN, ink of successive digits: correlation {successive(ink):.3f}")
assert min(c for c, _ in chains) > 0.8 and abs(successive(ink)) < 0.06
assert chains[0][1] < 4 < 6 < chains[2][1]

# %% [markdown]
# With small steps the chain finds one or two of the eight modes in 2,000 steps. With larger ones it finds seven or
# all. But at every width the correlation of a point with the one before is above 0.8: either the steps are small, or
# offers are refused and the chain stays where it is. You have to wait before a point is a new one, and nobody tells you how long. The generator draws each $z$ by
# itself, so its first image is as good as its thousandth.
#
# **No bound.** Chapter 7 could train its decoder only by a bound, and 2 to 3 nats of what it paid were the gap. Here
# there is no bound, and no gap. And there is **no likelihood** either: that is the price. Nobody can ask this model
# what it thinks of one given image. Every number on this page needed draws, and somebody to judge them.
#
# **Better samples.** As far as the table goes: harder to tell from real ones than what a VAE
# makes from its prior, and easier than a PixelCNN's. The judge refuses more of them than of a VAE's that is made as sure. On images of this size more cannot
# be said.

# %% [markdown]
# ## Completion: search for the code
#
# A painter completes an image from the top by painting on. A generator has no order, and cannot be told a pixel. But
# we can **search for a code** whose image agrees with what is known, and look at the rest of that image. The search
# is again gradient descent, on $z$ this time, with all weights fixed:
#
# $$ \min_z \;\; \sum_{\text{known } i} \frac{(G(z)_i - x_i)^2}{2\sigma^2} \;+\; \frac{|z|^2}{2} $$
#
# The first term wants the known pixels to fit, up to a noise of $\sigma = 0.25$ (two levels of ink). The second keeps
# $z$ where the generator was trained: it is $-\log p(z)$ up to a constant.

# %%
from course_lib.train import search_code

below = torch.arange(8, device=device)[:, None].expand(8, 8) < 4  # known: above
few, trace = x_test[:12], {}
MOMENTS = [1, 3, 6, 10, 20, 40, 80, 150]


def keep_trace(step, z):
    if step in MOMENTS:
        trace[step] = player.observe(z[:, 0])


knobs = {"generator": make_generator(seed, device), "steps": 150}
_ = search_code(player, few, below, starts=1, watch=keep_trace, **knobs)


# %% tags=["drawing"]
def show_search(step):
    given = torch.where(below, few, 4)
    look = {"columns": 12, "size": 0.5, "rows": ["digit", "given", "found"]}
    return show_images(torch.cat([few, given, trace[step]]), **look)


alt = "twelve digits, their upper halves, and the image of the code that is searched"
explore(show_search, step=MOMENTS, start={"step": 150}, alt=alt)

# %% [markdown]
# At step 1 the third row shows twelve draws that have nothing to do with the digits above. As the search goes on,
# their upper halves take the form of what is given, and the lower halves follow. (One search for each digit, begun at
# a random code. The generator does not know where it will end.)
#
# Now measure, on 150 test digits. Once the lower half is hidden and once the upper. In both, the known pixels are put
# back. Does the judge see the digit that it was? The rivals are: chapter 4's way, the painter's draw; the best of
# eight of the painter's draws by its own $\log p(x)$; and the lower half of the **training digit** whose known half
# is nearest: no model at all, only a look at the examples.


# %% tags=["checking"]
def complete(known, x):
    n, given = len(x), x.repeat_interleave(8, 0)
    z, _ = search_code(player, x, known, starts=8, **knobs)
    one, _ = search_code(player, x, known, starts=1, **knobs)
    drawn = painter.sample(8 * n, generator=generator, given=given, known=known)
    best = painter.log_prob(drawn).view(n, 8).argmax(1)
    ranked = best + 8 * torch.arange(n, device=device)
    ways = {"search, 1 start": player.observe(one[:, 0])}
    ways["search, best of 8"] = player.observe(z[:, 0])
    ways |= {"painter, 1 draw": drawn[::8], "painter, best of 8": drawn[ranked]}
    part, whole_set = ((t * known).flatten(1).float() for t in (x, x_train))
    ways["nearest training digit"] = x_train[nearest(part, whole_set)[1]]
    return {name: torch.where(known, x, made) for name, made in ways.items()}


x, y, result = x_test[:150], y_test[:150], {}
for known in (below, ~below):
    for name, images in complete(known, x).items():
        label, off = judge.label(images), (images - x).abs().float()
        shares = [(label == y).float().mean().item(), (label < 0).float().mean().item()]
        result.setdefault(name, []).append([*shares, off[:, :, ~known].mean().item()])
rows = []
for name, sides in result.items():
    cells = [[f"{a:.0%}", f"{b:.0%}", f"{c:.1f}"] for a, b, c in sides]
    rows.append([name, *cells[0], *cells[1]])
heads = ["", "lower half hidden: same digit", "refused", "levels off"]
show_table([*heads, "upper half hidden: same digit", "refused", "levels off"], rows)

# %% tags=["checking"]
one, best, paints, chosen, drawer = result.values()
for side in (0, 1):
    assert best[side][0] > max(chosen[side][0], one[side][0]) + 0.05
    assert drawer[side][0] > best[side][0] - 0.03
assert abs(one[0][0] - paints[0][0]) < 0.15 and one[1][0] > paints[1][0] + 0.1

# %% [markdown]
# **The search does not care which half is hidden.** The best of eight shows the right digit in 74 to 84 per cent. The
# painter shows it in 44 to 55 when the lower half is hidden, and in only 29 to 43 when it is the upper: it begins at
# the top, and what is known below has no say. Let it choose among eight of its paintings, and it has 46 to 62, still
# less.
#
# **Most of it comes from starting eight times.** A single search, in the lower half, does as well as a single
# painting. It gets stuck, and the misfit at the known pixels tells which of the eight did not. (With the upper half
# hidden, one search is already better.)
#
# Two cautions. A painting is a *draw*. The upper half of a 3 may belong to a 2, and then it should become a 2 in some
# share of all cases. A best guess is always better at guessing. And look at the last row: **the nearest training
# digit does at least as well**, in 83 to 87 per cent, with no model at all. For these digits the search finds what a
# look into the training set finds. A model pays where no example is near enough.

# %% [markdown]
# ## Break it
#
# Show the discriminator what we look at, images of whole levels. One line: round in the generator's own pass.


# %%
class Rounding(Generator):
    def forward(self, z):
        return (8 * super().forward(z)).round() / 8  # 17 levels from −1 to 1


chance = make_generator(seed, device)
config = GANConfig((1, 8, 8), 17, latent=latent, features=features, depth=depth)
broken = {"generator": Rounding(config, generator=chance)}
broken["discriminator"] = Discriminator(config, generator=chance)
z = broken["generator"].draw_z(12, generator=chance)
before = broken["generator"].observe(z)
past = fit_gan(broken, x_train, steps=100, lr=lr, r1=r1, generator=chance)

# %% tags=["checking"]
same = (broken["generator"].observe(z) == before).float().mean().item()
ends = [torch.tensor(past.losses[who])[-20:].mean().item() for who in kinds]
print(f"pixels that 100 steps have changed: {1 - same:.0%}")
print(f"losses at the end: generator {ends[0]:.2f}, discriminator {ends[1]:.2f} nats")
assert same == 1 and ends[0] > 2 and ends[1] < 0.3

# %% [markdown]
# Not one pixel has changed. A rounded number stays the same when its ink moves a little, so its derivative is 0, and
# the message *more ink here* ends at the very first step on its way back. The discriminator has all the time it
# needs: at the end it pays 0.2 nats, and the generator more than 2. An image may have levels when we look at it.
# While it is being learnt, it must not.

# %% [markdown]
# ## What we saw
#
# - A generator of pictures makes ink, or shares of colours, that a gradient can move; it is rounded when we look.
# - The losses settle near $\log 4$ and $\log 2$ and stay there, whether images get better or the opponent is blind.
# - The judge refuses 10 to 16 per cent of the draws. That is fewer than of a VAE's honest draws, and more than of a
#   VAE that is made as sure. What the discriminator adds is relations between pixels: what a decoder that expects each
#   pixel by itself leaves over is correlated in a GAN's draws as in real digits, and hardly in a VAE's.
# - It does not copy, but leans to its training digits. Most of its creatures look right, and there are too few kinds of
#   them.
# - A discriminator that sees too little is fooled completely. One that sees everything is fooled by noise that
#   somebody looks for. A penalty flattens its logits; on its own scale it is fooled as before.
# - One pass an image, any number of latents, no chain, no bound. And no likelihood.
# - Completion by searching the code works from any side. Beside it, always look up the nearest example.
#
# **Terms fixed here** ([glossary](glossary.md)): fooling image, latent search, autocorrelation.
#
# So far we have two ways to make a decoder draw, and one way to write step by step. Chapter 9 returns to the last:
# what happens when one step is wrong, and how a judge of the whole object can teach a model that writes piece by
# piece.

# %% [markdown]
# ## Your turn
#
# 1. Give `play` a `latent` of 2, and lay a grid over the plane as chapter 7 did. Are there places without digits?
#    Compare with the VAE's plane.
# 2. In *Break it*, let the gradient pass as if nobody had rounded: return `made + (rounded - made).detach()`. Does it
#    learn?
# 3. Climb from a real digit instead of noise, with 20 steps. Does the judge still see that digit? What does the
#    discriminator say?
# 4. Complete with `noise=0.05` and with `noise=1`. Which fits the known half better, and which makes better digits?
# 5. Train the creatures with `r1` 0.3 instead of 10. How many kinds are left?
#
# Then the graded assignment: `coursework/08_gan_pictures`.
#
# Further reading: [Goodfellow et al. (2014)](references.md#goodfellow2014) invented the game; [Radford et al.
# (2016)](references.md#radford2016) made it work for pictures; [Yeh et al. (2017)](references.md#yeh2017) complete
# images by searching the code; [Nguyen et al. (2015)](references.md#nguyen2015) climb to images that fool a network.
