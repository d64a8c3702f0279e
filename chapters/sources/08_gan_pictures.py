# %% [markdown]
# # 8 · GAN for pictures: what does a loss that sees the whole image buy?
#
# **You will train a generator of digits against a network that looks at whole images, and measure what that buys,
# what it costs, and how both players can be fooled.**
#
# *Laptop: under 60 seconds. You need: [the first page of this chapter](08_gan.ipynb), chapter 2's judge, and [the VAE
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
    return show_images(x, columns=8, size=0.5, crossed=referee.label(x) < 0)


fit_gan(teaser, real[0], steps=500, lr=3e-3, r1=0.3, generator=dice, watch=keep)
alt = "thirty-two images that a generator makes, those that are no digits crossed out"
explore(show_teaser, step=MOMENTS, start={"step": 500}, alt=alt)

# %% [markdown]
# The generator has never been shown a digit. All it ever learns of digits is which way to change its images so that
# another network takes them for real.

# %% [markdown]
# ## Setup

# %%
from dataclasses import replace
from functools import partial

import torch.nn.functional as F
from course_lib.measure.coverage import nearest
from course_lib.train import fit

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
# always goes from the smallest to the largest of five seeds, unless it says otherwise.

# %% [markdown]
# ## The idea: ink that can be a little more or a little less
#
# On page 1 a gradient went through the discriminator into the point that the generator had made, and said which way
# to move it. A pixel is a choice among 17 levels, and a choice cannot be moved a little. Chapter 7's decoder got
# around this by giving a *probability* to each level. A generator has no probabilities. So it makes **continuous
# ink**: one number for each pixel, from −1 (paper) to 1 (full ink). The discriminator is shown that, with the real
# digits on the same scale. Only when we look at an image, or measure it, is each pixel rounded to the nearest level.
#
# $$ z \sim \mathcal N(0, 1) \;\longrightarrow\; G(z) \in [-1, 1]^{8\times 8} \;\longrightarrow\; D(G(z)) $$
#
# $$ \text{gradient: } \frac{\partial \log D(x)}{\partial x}\bigg|_{x = G(z)} \cdot \frac{\partial G(z)}{\partial w} $$
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
lr, r1 = 3e-3, 0.3  # both come from a short search, on seed 0

# %% [markdown]
# `r1` is the weight of page 1's penalty on a steep discriminator. Every game on digits below is played by this one
# function, from the same dice, so two games differ only in what is named. `sees` changes the discriminator, `maker` is
# the kind of generator.


# %%
def play(x, steps=600, maker=Generator, watch=None, sees=None, **more):
    chance = make_generator(seed, device)
    config = GANConfig((1, 8, 8), 17, latent=latent, features=features, depth=depth)
    seen = replace(config, **(sees or {}))
    made = maker(config, generator=chance), Discriminator(seen, generator=chance)
    players = {name: one.to(device) for name, one in zip(kinds, made, strict=True)}
    look = watch and partial(watch, players)
    knobs = {"batch_size": batch_size, "lr": lr, "r1": r1, "watch": look} | more
    return players, fit_gan(players, x, steps=steps, generator=chance, **knobs)


# %% [markdown]
# ## Train
#
# While it trains, we let the judge look at a thousand draws from time to time: how many does it refuse, and how many
# kinds of digits are among the others? (*Kinds* is $e^H$, with the entropy $H$ of their shares: 10 if all ten digits
# are equally frequent, 1 if all are the same.)

# %%
judged = {}


def look_in(players, step):
    if step in (50, 100, 200, 500, 1000, 1500, 2000):
        x = players["generator"].sample(1000, generator=make_generator(1, device))
        label = judge.label(x)
        share = label[label >= 0].bincount(minlength=10) / max(1, (label >= 0).sum())
        judged[step] = judge.invalid_share(x), torch.special.entr(share).sum().exp()


game, history = play(x_train, steps, watch=look_in)
player, viewer = game.values()

# %% tags=["checking"]
names = "discriminator", "generator"
losses = {name: torch.tensor(history.losses[name]) for name in names}
rows, late = [], []
for step, (share, digits) in judged.items():
    nats = [losses[name][max(0, step - 50) : step].mean().item() for name in names]
    rows.append([step, f"{share:.0%}", f"{digits:.1f}", *(f"{n:.2f}" for n in nats)])
    late += [nats] * (step >= 500)
refused = {step: share for step, (share, _) in judged.items()}
assert refused[2000] < 0.8 * refused[500] < 0.5 * refused[50]
assert min(judged[50][1], judged[100][1]) < 6 and judged[500][1] > 8.5
assert all(abs(a - 1.386) < 0.16 and abs(b - 0.693) < 0.16 for a, b in late)
heads = ["step", "refused", "kinds", "discriminator's loss, nats"]
show_table([*heads, "generator's"], rows)

# %% [markdown]
# The first hundred steps jump up and down. The generator makes one or a few shapes, the judge happens to accept them or
# not, the discriminator notices them, and the generator has to look for others. From step 500 on there are all kinds of
# digits, and they get better: the judge refuses 18 to 26 per cent of them, and at the end 10 to 16.
#
# The losses say nothing of it. They stay near $\log 4 = 1.39$ and $\log 2 = 0.69$ nats, which is what a discriminator
# pays that answers *fifty-fifty* to everything. Page 1 said why: they say who is ahead, and not how well the two play.

# %% [markdown]
# ## How good are they?
#
# We compare with chapter 7's VAE, trained for about as many seconds. Careful: that chapter found that the judge likes
# sure strokes, no matter which model makes them. The VAE's decoder leaves each pixel to chance, and the generator
# leaves nothing to chance: for one $z$ there is one image. So the VAE stands here in four ways. Its codes come from the
# prior, or from a *mixture* of ten Gaussians that was fitted to the codes of the training images. Its levels are
# *drawn*, at temperature 1 or 0.7, or each pixel takes its *likeliest* level, which leaves nothing to chance either.
#
# There are two more rivals. The *autoencoder* is chapter 2's, with a mixture fitted to its codes in the same way. The
# *Gated PixelCNN* is chapter 4's, trained for as many seconds as the others, and once for three times as many.
#
# Two columns ask how well **somebody else can tell** a thousand real digits from a thousand made ones, on images that
# were not used in training. The *histogram* knows only how many pixels of each level an image has. The *network* has
# two convolutions: it is a discriminator that comes when the game is over, and nobody has trained against it. *Best* is
# the better of these two and a third that sees the pixels as a list. At 50 per cent they are guessing.
#
# Why one more column? A VAE's decoder says what it expects of each pixel, given the code. What it cannot say is how
# neighbours depart from that *together*, as the pixels of a stroke do. So we let one VAE look at the images of every
# row, and take what its expectation **leaves over**. Is that correlated between a pixel and the one above it? In real
# digits it is. (This is chapter 7's measure.) All of it is stored by `python benchmarks/gan_pictures.py`.

# %% tags=["checking"]
NAMES = ["other real digits", "GAN", "VAE, drawn", "VAE, mixture, drawn"]
NAMES += ["VAE, mixture, drawn at 0.7", "VAE, likeliest", "autoencoder, mixture, drawn"]
NAMES += ["Gated PixelCNN, a game's time", "Gated PixelCNN"]


def best_told(row):
    return max(row[f"told_{way}"] for way in ("histogram", "pixels", "network"))


def wide_table(kind, names, columns):
    return [[name, *(runs.cell(kind, name, *c) for c in columns)] for name in names]


def seeds_of(kind, names):
    counts = sorted({len(runs.of(kind, name, "seed")) for name in names})
    return "runs: " + " to ".join(
        str(n) for n in dict.fromkeys((counts[0], counts[-1]))
    )


columns = [("refused", "%"), ("told_histogram", "%"), ("told_network", "%")]
columns += [(best_told, "%"), ("left_over", ".2f")]
heads = ["refused", "told by histogram", "by network", "best", "left over"]
show_table([seeds_of("table", NAMES), *heads], wide_table("table", NAMES, columns))

# %% tags=["checking"]
LESS = [  # in every seed the first is below this share of the second
    ("GAN", "VAE, drawn", "refused", 0.85),
    ("VAE, mixture, drawn", "GAN", "refused", 0.85),
    ("VAE, mixture, drawn at 0.7", "GAN", "refused", 0.4),
    ("VAE, likeliest", "GAN", "refused", 0.3),
    ("autoencoder, mixture, drawn", "GAN", "told_network", 1),
    ("VAE, drawn", "GAN", "told_histogram", 0.8),
    ("VAE, mixture, drawn", "GAN", best_told, 1),
    ("autoencoder, mixture, drawn", "GAN", best_told, 0.95),
    ("VAE, mixture, drawn", "VAE, drawn", best_told, 0.96),
    ("VAE, drawn", "GAN", "left_over", 0.5),
    ("VAE, mixture, drawn at 0.7", "GAN", "left_over", 0.6),
    ("VAE, mixture, drawn", "autoencoder, mixture, drawn", "left_over", 0.5),
    ("autoencoder, mixture, drawn", "GAN", "left_over", 1),
    ("GAN", "Gated PixelCNN, a game's time", "refused", 0.4),
    ("Gated PixelCNN", "GAN", best_told, 0.8),
]
assert all(runs.below("table", *each) for each in LESS)

# %% [markdown]
# **The judge does not prefer the GAN.** It refuses fewer of its draws than of the VAE's from the prior, about three
# quarters as many. But with a mixture for a prior the VAE has fewer refused than the GAN, even with every pixel left to
# chance, and with sure strokes fewer still.
#
# **Nor do opponents that come afterwards.** The network by itself decides right on only 66 to 73 per cent with the GAN,
# and on 77 to 80 with a VAE that draws from its prior. But each model may be told in its own way, so look at the
# *best*. With the GAN it is right in 77 to 79 per cent, with that VAE in 77 to 80, with the mixture in 71 to 74. The
# plain autoencoder had no opponent at all, and it is the hardest of these to tell from real digits: 67 to 71.
#
# What tells the GAN is a mere count. The **histogram** is right in 75 to 78 per cent, and with the VAE's draws it
# guesses. Let us look at what it counts.

# %%
x = player.sample(2000, generator=generator)
ends = {}
for n in (0, 1, 15, 16):
    ends[n] = [(t == n).float().mean().item() for t in (x_train, x)]
    print("level {:2}: real {:5.1%} of pixels, made {:5.1%}".format(n, *ends[n]))

# %% tags=["checking"]
assert all(ends[n][1] < 0.96 * ends[n][0] for n in (0, 16))
assert all(ends[n][1] > 1.2 * ends[n][0] for n in (1, 15))

# %% [markdown]
# Ink on paper is most often none at all, or full. The generator's $\tanh$ comes close to these ends and does not quite
# stay there, so rounding gives too few pixels of level 0 and 16, and nearly twice as many of a pale 1. That is a thing
# to count, and **the GAN's levels give it away**.
#
# **What is left over is the GAN's strength.** In real digits it is correlated, at 0.27 to 0.29, and in the GAN's at
# 0.20 to 0.29. In a VAE's draws it is 0.06 to 0.11, whatever prior they come from, since each of their pixels rolls a
# die of its own. (Likeliest levels roll none, so there it is high again. But a histogram tells those at once.) So a
# discriminator teaches **relations between pixels** that the VAE's loss does not see.
#
# But it is one way to them, not the only one. The autoencoder's decoder has learnt to be sure of each pixel, so little
# is left to dice, and it comes to 0.18 to 0.20. The PixelCNN draws each pixel given its neighbours. In the time of a
# game it learns too little, and 39 to 51 per cent of its draws are refused; in three times that it is told in 55 to 59
# per cent, nearly a coin toss.

# %% [markdown]
# ## Does it copy?
#
# Below each of eight draws stands the training digit that is nearest to it.

# %%
distance, which = nearest(x.flatten(1).float(), x_train.flatten(1).float())

# %% tags=["drawing"]
look = {"columns": 8, "size": 0.6, "rows": ["drawn", "nearest"]}
show_images(torch.cat([x[:8], x_train[which[:8]]]), **look)

# %% [markdown]
# Most have a near relative. Is that copying? Two numbers, each with a floor. **Copies** are draws that are nearer to a
# training digit than 95 per cent of the test digits are: for test digits it is 5 per cent, by construction. **Nearer**
# asks of each draw whether a training digit or a test digit is nearer (as many of both). For real digits that nobody
# trained with, that is nearly a coin toss.

# %% tags=["checking"]
print(f"identical to a training digit: {(distance == 0).sum()} of {len(x)} draws")
rows = []
longer = runs.where(times=3)
for word, stored, kind, name in (
    ("real, not trained with", runs, "table", "other real digits"),
    ("VAE, mixture, drawn", runs, "table", "VAE, mixture, drawn"),
    ("GAN, 2000 steps", runs, "table", "GAN"),
    ("GAN, 6000 steps", longer, "longer", "GAN"),
    ("VAE, mixture, 3 times as long", longer, "longer", "VAE, mixture, drawn"),
):
    row = [stored.cell(kind, name, c, "%") for c in ("copies", "nearer", "refused")]
    told = stored.cell(kind, name, "told_network", "%")
    rows.append([word, len(stored.of(kind, name, "seed")), *row, told])
show_table(["", "runs", "copies", "nearer", "refused", "told by network"], rows)

# %% tags=["checking"]
assert not (distance == 0).any()
assert max(runs.of("table", "GAN", "copies")) < 0.1
new = runs.of("table", "other real digits", "copies")
assert min(longer.of("longer", "GAN", "copies")) > 1.5 * max(new)
painters = runs.of("table", "Gated PixelCNN", "refused")
assert max(longer.of("longer", "GAN", "refused")) < 0.1 < min(painters)
assert max(longer.of("longer", "GAN", "told_network")) < 0.65
fresh_share = max(runs.of("table", "other real digits", "nearer"))
assert fresh_share < 0.55 < min(runs.of("table", "GAN", "nearer")) - 0.1

# %% [markdown]
# No draw is identical to a training digit, and after these 2,000 steps there are hardly more copies than the floor. Yet
# 72 to 75 per cent are nearer to what was trained with, so the generator stays closer to its training digits than to
# others. (So does the VAE.)
#
# Three times as long, a GAN's draws are refused hardly more often than real digits, and a network hardly tells them.
# **But now it copies.** On seed 0, 18 per cent are copies; of new real digits 5 are (the test digits) or 9 (the
# others). A thousand digits are few, and a loss that sees the whole image can teach them by heart. *It does not copy*
# holds for this page's 2,000 steps.

# %% [markdown]
# ## A discriminator that cannot see
#
# The generator is only as good as what its opponent can see. Take one that sees too little: a *linear* discriminator
# adds up the pixels, each with a weight of its own, and has no hidden layer. The same generator, the same dice, and
# 2,000 steps.

# %%
blind, blind_history = play(x_train, steps, sees={"depth": 0})

# %% tags=["checking"]
ink = {
    name: p["generator"].sample(2000, generator=generator)
    for name, p in {"whole": game, "linear": blind}.items()
}


def told_by(players, x):  # how often a real digit has the higher logit; a tie is half
    with torch.no_grad():
        real, made = (players["discriminator"](t) for t in (x_test, x))
    return ((real[:, None] > made).float() + (real[:, None] == made) / 2).mean().item()


def spread_of(x):
    return x.flatten(1).float().std(0).mean().item()


last = [torch.tensor(blind_history.losses[who])[-200:].mean().item() for who in names]
ranks = told_by(blind, ink["linear"])
print("losses at the end: discriminator {:.3f}, generator {:.3f} nats".format(*last))
print(f"it ranks a real digit above a draw in {ranks:.0%}")
for name, t in (ink | {"real digits": x_test}).items():
    refused = judge.invalid_share(t)
    print(f"{name}: {refused:.0%} refused, a pixel's spread {spread_of(t):.2f} levels")

# %% tags=["drawing"]
rows = ["whole", "linear"]
show_images(torch.cat([t[:8] for t in ink.values()]), columns=8, size=0.6, rows=rows)

# %% tags=["checking"]
assert abs(last[0] - 1.386) < 0.01 and abs(last[1] - 0.693) < 0.01 and ranks < 0.6
assert judge.invalid_share(ink["linear"]) > 0.9
assert spread_of(ink["linear"]) < 0.25 * spread_of(x_test)

# %% [markdown]
# It is **fooled completely**. It has settled at exactly $\log 4$ and $\log 2$, and it ranks real digits above draws no
# more often than a coin would. Its generator makes nearly the same grey heap every time, the average of all digits. The
# judge accepts none or hardly any.
#
# Here is a better opponent, stored. *One pixel at a time* has a small network for each pixel and adds up what these
# say. So it may know all about every pixel, and nothing about two of them.

# %% tags=["checking"]
WEAK = ["pixel, 2000 steps", "linear, 2000 steps"]
columns = [(c, "%") for c in ("refused", "told_histogram", "told_network")]
losses_too = [("loss_d", ".2f"), ("loss_g", ".2f")]
rows = [[*wide_table("table", ["GAN"], columns)[0], "", ""]]
rows += wide_table("weak", WEAK, columns + losses_too)
heads = ["refused", "told by histogram", "by network", "discriminator's loss"]
per_pixel = {c: runs.of("weak", WEAK[0], c) for c, _ in columns + losses_too}
assert max(per_pixel["told_histogram"]) < min(runs.of("table", "GAN", "told_histogram"))
assert min(per_pixel["refused"]) > 0.75 and min(per_pixel["told_network"]) > 0.99
for column, log in ("loss_d", 1.386), ("loss_g", 0.693):
    assert all(abs(loss - log) < 0.1 for loss in per_pixel[column])
show_table([seeds_of("weak", WEAK), *heads, "generator's"], rows)

# %% [markdown]
# Its generator gets the pixels more nearly right, each by itself: a histogram tells its images less often than the full
# GAN's. But they are no digits. The judge refuses more than three quarters, and a network that sees the whole image
# tells them all. **What it has not seen, it has not taught**: how pixels go together.
#
# And the losses? They are near $\log 4$ and $\log 2$ in all three games. **A loss at $\log 2$ means that the opponent
# cannot tell.** It does not say whether that is because the images are good or because the opponent is blind.

# %% [markdown]
# ## An image that fools it
#
# Now hold our trained discriminator still, and change an *image*: begin with noise, and climb its logit pixel by pixel.


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


climbed = climb(viewer)

# %% tags=["drawing"]
show_images(climbed[:8], columns=8, size=0.6, rows=["climbed"])

# %% tags=["checking"]
with torch.no_grad():
    says, of_real = viewer(climbed), viewer(x_test)
gap = ((says.median() - of_real.median()) / of_real.std()).item()
print(f"refused by the judge: {judge.invalid_share(climbed):.0%}")
real, top = (logits.median().sigmoid() for logits in (of_real, says))
print(f"D, median: real digits {real:.2f}, climbed {top:.2f}")
print(f"the climbed logits lie {gap:.1f} spreads of the real ones above them")
assert judge.invalid_share(climbed) > 0.99 and gap > 5
assert says.min() > of_real.quantile(0.95)

# %% [markdown]
# Every climb ends at noise in black and white, which the judge refuses. But the discriminator finds each **more real
# than 95 per cent of the real digits**. A probability says little here, since each discriminator has a scale of its
# own; this one never strays far from one half. So we measure in its own unit: the distance from the median real digit,
# divided by the spread (standard deviation) of the real digits' logits.
#
# Does a more robust discriminator help? These were trained for 2,000 steps without page 1's penalty (*R1*), with ours,
# and with a stronger one; with weights bounded in another way (*spectral*); or with noise on all that they are shown.
# (*Gap* is the distance in logits.)

# %% tags=["checking"]
RECIPES = ["no R1", "R1 0.3", "R1 10", "spectral", "noise"]
RECIPES = [f"{name}, 2000 steps" for name in RECIPES]
columns = [("real", ".2f"), ("climbed", ".2f"), ("gap", ".1f"), ("gap_spreads", ".1f")]
columns += [("refused_climbed", "%")]
heads = ["D of real", "D of climbed", "gap", "gap in spreads", "climbed: refused"]
for name in RECIPES:
    assert min(runs.of("fooling", name, "gap_spreads")) > 5
    assert min(runs.of("fooling", name, "refused_climbed")) > 0.9
freely, *bound = (runs.of("fooling", name, "gap") for name in RECIPES)
assert min(freely) > 5 * max(max(some) for some in bound[:3])
spreads = [runs.of("fooling", name, "gap_spreads") for name in RECIPES]
assert min(spreads[0]) > max(spreads[1] + spreads[2])
rows = wide_table("fooling", RECIPES, columns)
show_table([seeds_of("fooling", RECIPES), *heads], rows)

# %% [markdown]
# **A penalty helps, but not enough.** All logits become flatter: the gap shrinks many times over, and the discriminator
# is no longer sure of anything, whether noise or digit. In its own unit the climb gets less far too: 6 to 8 spreads
# with a penalty, 9 to 21 without. But 6 spreads above the real digits is still far out, and no recipe here does better.
# A discriminator learns to tell real digits from what the generator shows it, and nobody ever showed it this.

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
# 88 to 90 of 256 pixels differ, of these only 43 to 48. **There are too few kinds of them.** This is page 1's mode
# collapse, half-way, and you see it only by comparing draws with each other. Does it stay?

# %% tags=["checking"]
rows, zoos = [], {"real": ("real sprites", "floors"), "GAN, 600 steps": ("GAN", 1)}
zoos["GAN, 1800 steps"] = "GAN", 3
columns = [("variety", ".0f"), ("left", ".2f"), ("told_network", "%")]
for word, (name, times) in zoos.items():
    stored = runs.where(kind="sprites", times=times)
    cells = [stored.cell("sprites", name, *column) for column in columns]
    rows.append([word, len(stored.of("sprites", name, "seed")), *cells])
heads = ["runs", "differ from the nearest of 250", "pairs alike", "told by a network"]
floor, short, long = (runs.where(kind="sprites", times=t) for t in ("floors", 1, 3))
kept = [each.of("sprites", "GAN", "variety") for each in (short, long)]
whole = min(floor.of("sprites", "real sprites", "variety"))
assert max(kept[0]) < 0.6 * whole < 0.7 * whole < min(kept[1])
assert max(kept[1]) < whole
alike = [each.of("sprites", "GAN", "left") for each in (short, long)]
assert min(alike[0]) > max(alike[1]) > max(floor.of("sprites", "real sprites", "left"))
assert all(
    min(each.of("sprites", "GAN", "told_network")) > 0.8 for each in (short, long)
)
show_table(["", *heads], rows)

# %% [markdown]
# **It grows out of it**, mostly: after three times as many steps, 73 pixels differ on seed 0. The pictures are not
# perfect either. A network is right on 99 per cent of them, and still on 89 after three times as long. They are too
# smooth: a pixel has the colour of its left neighbour more often than in real creatures (*pairs alike*).

# %% [markdown]
# ### A thousand kinds
#
# The field counts kinds on *stacked* MNIST: three digits, drawn at random, are the red, green and blue of one image. That
# makes 1,000 kinds, all equally likely. A classifier reads each colour of 26,000 draws, and we ask how many of the 1,000 turn
# up, and how far their shares are from equal (the reverse KL of page 1). `python benchmarks/stacked_mnist.py --steps 3000`
# trained a generator on one core, with R1 and a discriminator that judges two images at once. It takes about half an hour.

# %% tags=["drawing"]
import json

stacked, single = (
    json.loads(shipped(f"results/{name}.json").read_text("utf-8"))
    for name in ("stacked_mnist", "mnist_gan")
)
rows = [["this course's, one run", stacked["modes"], f"{stacked['reverse_kl']:.2f}"]]
rows += [
    [name, f"{m:.0f}", f"{kl:.2f}"] for name, (m, kl) in stacked["published"].items()
]
rows.append(
    ["real digits", stacked["real"]["modes"], f"{stacked['real']['reverse_kl']:.2f}"]
)
show_table(["", "kinds of 1,000", "reverse KL, nats"], rows)

# %% tags=["checking"]
pac = stacked["published"]["PacDCGAN2"]
assert pac[1] < stacked["reverse_kl"] < 0.2 * stacked["published"]["VEEGAN"][1]
assert 0.99 * pac[0] < stacked["modes"] < pac[0]
print(f"MNIST alone: {single['modes']} of 10 digits, {single['reverse_kl']:.3f} nats")

# %% [markdown]
# The four rows in the middle are published ([Srivastava et al., 2017](references.md#srivastava2017); [Lin et al.,
# 2018](references.md#lin2018)). Ours misses 2 kinds of 1,000, but does not make all of the others equally often: 0.27
# nats, where real digits have 0.02 and the best published network 0.06. *Which* part of the recipe does it, this table
# cannot say: networks, penalty and packing all differ. Only the last two published rows differ in one thing, the
# packing. On MNIST itself all ten digits turn up.

# %% [markdown]
# ## Five advantages, each a number
#
# The lecture lists what a GAN has and others have not. We take them one by one.
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
        model.sample(n, generator=generator)
        hook.remove()
        passes.append(len(count))
        print(f"{name:8s}{n:3} images: {len(count):3} passes")
assert passes == [1, 1, 64, 64]

# %% [markdown]
# The painter's number of passes is the number of pixels, for one image as for 64, and no computer can change that,
# since each pixel waits for the one before. The generator needs one.
#
# **Few restrictions.** A flow must be invertible, so its $z$ has as many numbers as the image. A generator's may have
# fewer or more. Here are games of 2,000 steps that differ in nothing else:

# %% tags=["checking"]
LATENTS = ["2 latents", "8 latents", "64 latents", "100 latents"]
columns = [("refused", "%"), ("told_network", "%"), ("left_over", ".2f")]
rows = wide_table("latent", LATENTS, columns)
rows.insert(2, wide_table("table", ["GAN"], columns)[0])
rows[2][0] = "16 latents, as above"
few = runs.of("latent", "2 latents", "refused")
more = runs.of("table", "GAN", "refused")
more += [s for n in LATENTS[1:] for s in runs.of("latent", n, "refused")]
assert min(few) > max(more) and max(more) < 0.18
told = [runs.of("latent", name, "told_network") for name in LATENTS]
assert min(told[0]) > 0.95 > 0.85 > max(told[1] + told[2] + told[3])
heads = ["refused", "told by network", "left over"]
show_table([seeds_of("latent", LATENTS), *heads], rows)

# %% [markdown]
# From 8 to 100 numbers, more than the image has pixels, the judge sees little difference: it refuses 9 to 15 per cent.
# Two are too few: 17 to 24 per cent are refused, and a network tells nearly all. (What $z$ cannot do is give images
# more freedom than it has itself: 16 numbers reach a surface of 16 dimensions among the 64.)
#
# **No Markov chain.** Other models that know a density only up to a factor draw by a chain: move a little, accept or
# refuse, and again ([Metropolis et al., 1953](references.md#metropolis1953)). On page 1's ring of eight, with three
# widths of step:


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
assert min(c for c, _ in chains) > 0.7 and abs(successive(ink)) < 0.06
assert chains[0][1] < 4 < 6 < chains[2][1]

# %% [markdown]
# With the smallest steps the chain finds one or two of the eight modes, with the largest seven or all. But at every
# width a point is strongly correlated with the one before, above 0.7. You have to wait for a new one, and nobody tells
# you how long. The generator draws each $z$ by itself.
#
# **No bound.** Chapter 7 could train its decoder only by a bound, and 2 to 3 nats of what it paid were the gap. Here
# there is no bound, and no gap. And there is **no likelihood** either: that is the price. Nobody can ask this model
# what it thinks of one given image. Every number on this page needed draws, and somebody to judge them.
#
# **Better samples?** In what the VAE leaves over, yes. To the judge they are a little better than a VAE's draws from
# the prior, to the best of the later opponents about as good, and to both less good than a VAE's with a mixture. The
# judge refuses far more of a PixelCNN's of the same training time. With three times that, fewer of the GAN's are
# refused than of the PixelCNN's, 4 per cent on seed 0 against 13 to 19, but the GAN copies, and the PixelCNN does not.
# On images of this size more cannot be said.

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
    rows = few, torch.where(below, few, 4), trace[step]
    look = {"columns": 8, "size": 0.6, "rows": ["digit", "given", "found"]}
    return show_images(torch.cat([row[:8] for row in rows]), **look)


alt = "eight digits, their upper halves, and the image of the code that is searched"
explore(show_search, step=MOMENTS, start={"step": 150}, alt=alt)

# %% [markdown]
# At step 1 the third row shows eight draws that have nothing to do with the digits above. As the search goes on,
# their upper halves take the form of what is given, and the lower halves follow. (One search for each digit, begun at
# a random code. The generator does not know where it will end.)
#
# Now measure, on 150 test digits: once the lower half is hidden and once the upper. In all ways the known pixels are
# put back. Does the judge see the digit that it was? The rivals:
#
# - the painter's draw, chapter 4's way, and a *vote*: it draws eight, and the digit that the judge sees most often
#   wins;
# - **no search**: of 9,600 draws of the generator, the one whose known half is nearest;
# - the **training digit** whose known half is nearest: no model at all, only a look at the training set.


# %% tags=["checking"]
def elect(x):  # (8 n, …), eight of each -> n that show the digit seen most often
    label = judge.label(x).view(-1, 8)
    votes = F.one_hot(label + 1, 11)[..., 1:].sum(1).argmax(1)
    first = (label == votes[:, None]).int().argmax(1)
    return x[first + 8 * torch.arange(len(label), device=device)]


def complete(known, x):
    z, _ = search_code(player, x, known, starts=8, **knobs)
    one, _ = search_code(player, x, known, starts=1, **knobs)
    given = x.repeat_interleave(8, 0)
    drawn = painter.sample(len(given), generator=generator, given=given, known=known)
    ways = {"search, 1 start": player.observe(one[:, 0])}
    ways["search, best of 8"] = player.observe(z[:, 0])
    made, part = player.sample(9600, generator=generator), x * known
    for name, pool in {"no search, of 9600": made, "training digit": x_train}.items():
        others = (pool * known).flatten(1).float()
        ways[name] = pool[nearest(part.flatten(1).float(), others)[1]]
    ways |= {"painter, 1 draw": drawn[::8], "painter, vote of 8": elect(drawn)}
    return {name: torch.where(known, x, made) for name, made in ways.items()}


x, y, result = x_test[:150], y_test[:150], {}
for known in (below, ~below):
    for name, images in complete(known, x).items():
        label = judge.label(images)
        shares = [(label == y).float().mean().item(), (label < 0).float().mean().item()]
        result.setdefault(name, []).append(shares)
rows = []
for name, sides in result.items():
    rows.append([name, *(f"{share:.0%}" for side in sides for share in side)])
heads = ["", "lower half hidden: same digit", "refused"]
show_table([*heads, "upper half hidden: same digit", "refused"], rows)

# %% tags=["checking"]
one, best, pool, drawer, paint_one, vote = result.values()
for side in (0, 1):
    assert best[side][0] > one[side][0] + 0.05
    assert vote[side][0] > paint_one[side][0] + 0.1
    assert pool[side][0] > best[side][0] - 0.1
    assert drawer[side][0] > best[side][0] - 0.03
assert abs(vote[0][0] - best[0][0]) < 0.12 and best[1][0] > vote[1][0] + 0.05

# %% [markdown]
# **The search works from either side.** The best of eight shows the right digit in 74 to 84 per cent, whichever half is
# hidden; a single search in fewer. The painter is level with it when the lower half is hidden, once it may vote. When
# the upper half is hidden it falls behind even so: it begins at the top, and what is known below has no say.
#
# **But gradient descent is not the reason.** Picking the best of many draws, with no search at all, does about as well, or
# better. The generator has all of the image at once, so any part of it can be compared with what is known. That is what counts.
#
# **And the nearest training digit does at least about as well**, in 83 to 87 per cent, with no model at all. For these
# digits the search finds what a look at the training set finds. A model pays where no example is near enough. (One
# more caution: a painting is a *draw*. The upper half of a 3 may belong to a 2, and then it should become a 2 in some
# share of all cases. A best guess is always better at guessing.)

# %% [markdown]
# ## Break it
#
# Real ink lies exactly on 17 levels, and made ink anywhere between. A discriminator could use that. So show it what we
# look at, images of whole levels: round in the generator's own pass. As a control, the same with one change: forwards
# it rounds, and on the way back the gradient passes *as if nobody had rounded* (a **straight-through** gradient).


# %%
class Rounding(Generator):
    def forward(self, z):
        return (8 * super().forward(z)).round() / 8  # 17 levels from −1 to 1


class StraightThrough(Generator):
    def forward(self, z):
        made = super().forward(z)
        return made + ((8 * made).round() / 8 - made).detach()


seen, codes = {}, player.draw_z(12, generator=generator)


def keep_first_and_last(players, step):
    if step in (1, 100):
        maker = players["generator"]
        seen.setdefault(type(maker), []).append(maker.observe(codes))


for maker in (Rounding, StraightThrough):
    _, past = play(x_train, 100, maker=maker, watch=keep_first_and_last)
    last = [torch.tensor(past.losses[who])[-20:].mean().item() for who in kinds]
    a, b = seen[maker]
    seen[maker] = (a != b).float().mean().item(), *last
    words = "{:.0%} of pixels changed; losses: generator {:.2f}, discriminator {:.2f}"
    print(f"{maker.__name__}:", words.format(*seen[maker]))

# %% tags=["checking"]
z = player.draw_z(2000, generator=generator)
with torch.no_grad():
    ranks = [told_by(game, t) for t in (player(z), player.observe(z))]
words = "our discriminator ranks real digits above {:.0%} of draws, rounded {:.0%}"
print(words.format(*ranks))
assert abs(ranks[0] - ranks[1]) < 0.02
stuck, through = seen.values()
assert stuck[0] == 0 < 0.2 < through[0]
assert stuck[1] > 2 > 1.5 > through[1] and stuck[2] < 0.3 < 0.8 < through[2]

# %% [markdown]
# With rounding not one pixel has changed. A rounded number stays the same when its ink moves a little, so its
# derivative is 0, and the message *more ink here* ends at the very first step on its way back. Meanwhile the
# discriminator has an easy game: its loss falls below 0.3 nats, and the generator's rises above 2. With the
# straight-through gradient the same game goes on as usual.
#
# (And there was no need: our trained discriminator ranks real digits above as many draws when they are rounded as when
# they are not, so it makes no use of the levels.)
#
# So what blocks learning is the derivative, and not the rounding. An image may have levels when we look at it. While
# the generator is learning, its gradient must not stop at them.

# %% [markdown]
# ## What we saw
#
# - A generator of pictures makes ink, or shares of colours, that a gradient can move; it is rounded when we look.
# - The losses settle near $\log 4$ and $\log 2$ and stay there, whether images get better or the opponent is blind.
# - The judge refuses 10 to 16 per cent of the draws. That is fewer than of a VAE's draws from the prior, and more than
#   of a VAE's with a mixture. Among draws of models trained about as long, the GAN's keep most of the structure that a
#   VAE leaves over, or as much as a PixelCNN's. But a plain autoencoder with a mixture is told less well, with no
#   discriminator at all. So a discriminator is one way to relations between pixels, not the only one.
# - In 2,000 steps it does not copy, but stays closer to its training digits than to others; three times as long, it
#   copies. Its creatures are too few kinds at first, and more with longer training.
# - A discriminator that sees too little is fooled completely. One that sees everything is fooled by noise that
#   somebody looks for. A penalty makes its logits flatter, and does not prevent that.
# - One pass an image, any number of latents, no chain, no bound. And no likelihood.
# - Completion by searching the code works from either side. Picking among many draws does as well, and so does looking
#   up the nearest example.
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
# 2. Train the straight-through generator of *Break it* for all 2,000 steps. Do its images have as many pixels of level
#    0 and 16 as real ones?
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
