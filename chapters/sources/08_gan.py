# %% [markdown]
# # 8 · GAN: what if another network is the loss?
#
# **You will let two networks play against each other until one of them draws from the data's distribution, find out
# which distance their game measures, and see the ways in which it goes wrong.**
#
# *Laptop: under 60 seconds. You need: [chapter 2](02_autoencoder.ipynb) for the training loop, and from
# [chapter 7](07_vae.ipynb) the divergence.*

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
# Black points are draws of a **generator**: it was given random numbers and nothing else. Behind them, in colour, stands
# what the **discriminator** believes. Blue: *a point here is real*. Red: *a point here is made*. White: *I cannot tell*.
# The real points lie in eight crowds on a ring, and the generator never sees one of them. Move the slider through the
# training.

# %% tags=["drawing"]
import torch
from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.show.explore import explore
from course_lib.show.games import show_contest, show_line_game
from course_lib.train import fit_gan

dice, ring, album = make_generator(0), load_plane("ring"), {}
g, d = (
    Generator(GANConfig(), generator=dice),
    Discriminator(GANConfig(), generator=dice),
)
across = torch.linspace(-4.3, 4.3, 61)
points = torch.cartesian_prod(across, across)  # (3721, 2)
frames = 1, 10, 20, 30, 45, 60, 80, 120, 200, 300, 450, 600


def keep(step):
    if step in frames:
        field = d(points).detach().sigmoid().view(61, 61)
        album[step] = g.sample(600, generator=make_generator(1)), field


teaser = {"generator": g, "discriminator": d}
fit_gan(teaser, ring.sample, steps=600, generator=dice, watch=keep, progress=False)


def show_step(step):
    return show_contest({f"after {step} steps": album[step]})


alt = "draws of a generator on the plane, and the discriminator's belief as a field"
explore(show_step, step=frames, start={"step": 600}, alt=alt)

# %% [markdown]
# Watch the colours. The discriminator finds out where the draws are, and the place turns red. The draws flee to where it
# is blue, and it follows. Where it cannot tell, the field is white.

# %% [markdown]
# ## Setup

# %%
import math
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from course_lib.device import make_generator

seed = 0
dice = make_generator(seed)

# %% [markdown]
# ## A loss that learns
#
# So far we wrote every loss ourselves. It was the price of an image: each pixel's surprise, added up. Chapter 7 showed what
# that misses. The VAE's draws were wrong in the *relations* between pixels, and no price of ours asked about them. But a
# small network, trained to tell real images from made ones, saw it at a glance.
#
# So let that network be the loss. Two networks take turns:
#
# - The **discriminator** $D$ gets real data and made data, and learns to tell which is which. $D(x)$ is the probability
#   that it gives to "$x$ is real".
# - The **generator** $G$ turns noise $z$ into $x = G(z)$, and learns to make what $D$ takes for real.
#
# As $G$ improves, $D$ must look closer, and so the loss becomes stricter by itself. Together they are a **generative
# adversarial network**, a GAN ([Goodfellow et al., 2014](references.md#goodfellow2014)).

# %% [markdown]
# ## The data: two bumps on a line
#
# To see what the two really do, begin where everything can be computed: on a line. The data are two Gaussian bumps.

# %%
from torch.distributions import Normal

bumps = Normal(-1.5, 0.5), Normal(1.5, 0.5)
dx = 0.02
x_line = torch.arange(-6, 14, dx)  # (1000,) the whole line, cut into cells
p = sum(bump.log_prob(x_line).exp() for bump in bumps) / 2  # the data's density


def draw_line(n, *, generator):  # (n, 1)
    side = 2 * torch.randint(2, (n, 1), generator=generator) - 1
    return 1.5 * side + 0.5 * torch.randn(n, 1, generator=generator)


# %% [markdown]
# A generator takes one number $z$, uniform between −1 and 1, and returns one number $x$. It is an ordinary network: three
# hidden layers, with ReLUs between them. The discriminator is another one, from $x$ to one logit.

# %%
from course_lib.models.gan import Discriminator, GANConfig, Generator


def new_players(chance, **sizes):
    config = GANConfig(**sizes)
    g, d = Generator(config, generator=chance), Discriminator(config, generator=chance)
    return {"generator": g, "discriminator": d}


on_a_line = {"shape": (1,), "latent": 1, "prior": "uniform", "features": 32}
line = new_players(dice, **on_a_line)
g, d = line.values()
drawn, says = g(g.draw_z(4, generator=dice)), d(draw_line(4, generator=dice))
print("draws: ", *(f"{x:6.2f}" for x in drawn.flatten()))
print("logits:", *(f"{x:6.2f}" for x in says))

# %% [markdown]
# Four draws, and what $D$ says of four real numbers, as logits: $D(x) = \sigma(\text{logit})$. Untrained, both know nothing.
#
# What does the generator's density look like? In general nobody knows. A generator only draws; it has no `log_prob`, because
# to find the probability of an $x$ you would have to find every $z$ that leads to it. On a line you can. Cut the range of
# $z$ into 2,000 pieces of equal probability. $G$ takes each piece to an interval, so spread its share evenly over that.


# %%
edges = torch.cat([x_line - dx / 2, x_line[-1:] + dx / 2])


@torch.no_grad()
def density(g):  # (1000,) of what g makes, at x_line
    x = g(torch.linspace(-1, 1, 2001)[:, None])[:, 0]
    low, high = torch.minimum(x[1:], x[:-1]), torch.maximum(x[1:], x[:-1])
    below = (edges[:, None] - low) / (high - low).clamp(min=1e-9)
    return below.clamp(0, 1).mean(1).diff() / dx


# %% tags=["checking"]
q = density(g)
drawn = g.sample(20_000, generator=dice)[:, 0]
counted = drawn.histc(1000, edges[0].item(), edges[-1].item()) / (20_000 * dx)
print(f"mass: {q.sum() * dx:.4f}; of 20,000 draws, elsewhere: ", end="")
print(f"{(counted - q).abs().sum() * dx / 2:.1%}")
assert abs(q.sum() * dx - 1) < 1e-3 and (counted - q).abs().sum() * dx / 2 < 0.05

# %% [markdown]
# It agrees with a histogram of draws.

# %% [markdown]
# ## The one equation
#
# Fix the generator. Let $p$ be the data's density and $q$ the generator's. The discriminator pays the cross-entropy of a
# classifier, half of whose cases are real. In other words, it maximises
#
# $$
# \begin{aligned}
# V(D, G) &= \mathbb E_{x \sim p}\bigl[\log D(x)\bigr] + \mathbb E_{x \sim q}\bigl[\log (1 - D(x))\bigr] \\
# &= \int p(x) \log D(x) + q(x) \log\bigl(1 - D(x)\bigr)\, dx
# \end{aligned}
# $$
#
# **The best discriminator.** If $D$ may be any function, each $x$ can be settled by itself. The slope in $D$ of $p \log D +
# q \log(1 - D)$ is $p / D - q / (1 - D)$. It is 0 where
#
# $$ D^*(x) = \frac{p(x)}{p(x) + q(x)}, $$
#
# and there is the maximum, for both logarithms bend downwards. Where $p = q$, the best answer is one half.
#
# **What it is worth.** Put $D^*$ in. With $m = (p + q)/2$, the middle of the two densities, $D^* = p / 2m$, so
#
# $$
# \begin{aligned}
# V(D^*, G) &= \int p \log \frac{p}{2m} + q \log \frac{q}{2m}\, dx \\
# &= \mathrm{KL}(p \Vert m) + \mathrm{KL}(q \Vert m) - 2 \log 2 \\
# &= 2\, \mathrm{JS}(p, q) - \log 4
# \end{aligned}
# $$
#
# $\mathrm{JS} = \tfrac12 \mathrm{KL}(p \Vert m) + \tfrac12 \mathrm{KL}(q \Vert m)$ is the **Jensen-Shannon divergence**. It is 0
# if $p = q$ and only then, and at most $\log 2$, which it reaches if the two never overlap. So a discriminator that
# is trained to the end measures a distance between what there is and what is made. The generator's part is to make that
# distance small:
#
# $$ \min_G \max_D V(D, G) $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $z$, $G(z)$ | `z = g.draw_z(n, generator=dice)`, `g(z)` | (n, Z), (n, …) |
# | $D(x)$ | `d(x).sigmoid()`; `d(x)` is the logit | (n,) |
# | $-\log D(x)$, $-\log(1 - D(x))$ | `F.softplus(-d(x))`, `F.softplus(d(x))` | (n,) nats |
# | $p$, $q$ on the line | `p`, `density(g)` | (1000,) |

# %% [markdown]
# ## Does a trained discriminator measure it?
#
# Take the game apart first. As $q$ we use the data themselves, moved to the right. No generator is needed, only a
# discriminator, and on a line we can train it on the two densities themselves instead of on draws.


# %%
def js(q):  # nats, on the grid
    m = (p + q) / 2
    kls = [torch.special.xlogy(a, a / m.clamp(min=1e-30)).sum() * dx for a in (p, q)]
    return (sum(kls) / 2).item()


def trained_to_the_end(q, steps=250):  # V(D, q) of a discriminator that is
    d = Discriminator(GANConfig(shape=(1,)), generator=make_generator(seed))
    adam = torch.optim.Adam(d.parameters())
    for n in range(steps):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - n / steps)
        logits = d(x_line[:, None])
        value = (p * F.logsigmoid(logits) + q * F.logsigmoid(-logits)).sum() * dx
        adam.zero_grad()
        (-value).backward()
        adam.step()
    return value.item()


# %% [markdown]
# Six distances, and for each a discriminator of its own:

# %%
far = 0.0, 0.7, 1.8, 3.0, 5.5, 8.0
moved = {s: sum(bump.log_prob(x_line - s).exp() for bump in bumps) / 2 for s in far}
found = {s: (trained_to_the_end(q), js(q)) for s, q in moved.items()}

# %% tags=["drawing"]
from course_lib.show.plots import show_curves

LOG4 = math.log(4)
smooth = torch.arange(0, 8.1, 0.1).tolist()
exact = [js(sum(b.log_prob(x_line - s).exp() for b in bumps) / 2) for s in smooth]
measured = [(value + LOG4) / 2 for value, _ in found.values()]
# a gap after each point, so that no line joins them
dots = [[v for one in part for v in (one, math.nan)] for part in (far, measured)]
lines = {"JS, computed": (smooth, exact), "(V + log 4) / 2, trained D": dots}
axes = {"xlabel": "the made data lie this far to the right", "ylabel": "nats"}
show_curves(lines, floors={"log 2": math.log(2)}, **axes)

# %% tags=["checking"]
for s, (value, distance) in found.items():
    print(f"moved by {s}: V = {value:.3f}, 2 JS − log 4 = {2 * distance - LOG4:.3f}")
assert all(-0.01 < v - (2 * j - LOG4) < 1e-3 for v, j in found.values())
assert abs(found[8.0][1] - math.log(2)) < 1e-3 and found[3.0][1] < found[1.8][1]

# %% [markdown]
# The discriminator's value comes within 0.01 nats of $2\,\mathrm{JS} - \log 4$, from below: no discriminator can be worth
# more. The equation holds.
#
# The curve also shows what is wrong with this distance. Moved by 3, one bump lies on the other, and the distance is
# smaller than at 1.8. From 6 on it is $\log 2$, whether the made data are 6 or 600 away: it says *nothing in common*, and
# not *how far*. Remember this when we come to the difficulties.

# %% [markdown]
# ## The loop, with two players
#
# Now the generator may move, too. In every step each player has one turn, and a batch of draws stands in for the integrals.
# There are two optimisers, and each loss moves only one of the networks. Chapter 2 wrote out the loop for one network;
# this is the one for two.


# %%
def play(players, draw, steps, *, lr, generator, batch_size=128, watch=None):
    g, d = players["generator"], players["discriminator"]
    adam = partial(torch.optim.Adam, betas=(0.0, 0.99))  # no momentum
    adam_g = adam(g.parameters(), lr=lr["generator"])
    adam_d = adam(d.parameters(), lr=lr["discriminator"])
    for step in range(1, steps + 1):
        # the discriminator's turn
        real = draw(batch_size, generator=generator)
        made = g(g.draw_z(batch_size, generator=generator)).detach()
        # −log D(x) − log(1 − D(G(z)))
        loss = F.softplus(-d(real)) + F.softplus(d(made))
        adam_d.zero_grad()
        loss.mean().backward()
        adam_d.step()
        # the generator's turn
        made = g(g.draw_z(batch_size, generator=generator))
        loss = F.softplus(-d(made))  # −log D(G(z))
        adam_g.zero_grad()
        loss.mean().backward()
        adam_g.step()
        if watch:
            watch(step)


# %% [markdown]
# Three things in it are worth a look.
#
# - `.detach()`: in its own turn, the discriminator must not change the generator.
# - In the generator's turn the gradient goes *through* the discriminator: from the logit back to $x$, and from there to the
#   weights of $G$. That is all the generator ever hears of the data. The discriminator gets gradients here, too, and
#   `adam_d.zero_grad()` throws them away.
# - Adam runs without momentum (`betas=(0.0, 0.99)`). Momentum keeps going in the direction that was good before the other
#   player moved.
#
# The library's `fit_gan` is this loop with a progress bar, checkpoints and two aids, `r1` and `schedule`, that come later.
# Without the aids it must give the same weights, bit for bit:

# %% tags=["checking"]
from course_lib.train import fit_gan

rates = dict.fromkeys(("generator", "discriminator"), 1e-3)
ours, its = (new_players(make_generator(seed), **on_a_line) for _ in range(2))
play(ours, draw_line, 30, lr=rates, generator=make_generator(1))
bare = {"r1": 0.0, "schedule": "constant", "progress": False}
fit_gan(its, draw_line, steps=30, lr=rates, generator=make_generator(1), **bare)
for name in ours:
    pairs = zip(ours[name].parameters(), its[name].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)

# %% [markdown]
# ## Why not the loss that the equation asks for?
#
# The equation says that the generator should make $\log(1 - D(G(z)))$ small: the **minimax** loss. The loop makes $-\log
# D(G(z))$ small instead. Both want $D(G(z))$ to be large. They differ in how hard they pull, and when. In terms of the logit
# $\ell$, with $D = \sigma(\ell)$:
#
# $$ \frac{d}{d\ell} \log\bigl(1 - \sigma(\ell)\bigr) = -D, \qquad\qquad \frac{d}{d\ell} \bigl(-\log \sigma(\ell)\bigr) = -(1 - D) $$

# %% tags=["drawing"]
believed = torch.linspace(0.001, 0.999, 200)
lines = {"minimax": (believed, believed), "non-saturating": (believed, 1 - believed)}
axes = {"xlabel": "D(G(z)): what D says of a draw", "ylabel": "pull on the logit"}
show_curves(lines, **axes)

# %% [markdown]
# At the beginning the draws are bad, the discriminator knows it, and $D(G(z))$ is near 0. There the minimax loss hardly
# pulls: the worse the draws, the less it has to say. The other one, called **non-saturating**, pulls hardest just there.
# Measure it, on the ring of the first picture. An untrained generator's draws lie in its empty middle. Give the
# discriminator a head start, and see what gradient arrives at the generator's weights.

# %%
games = {"minimax": lambda logits: F.logsigmoid(-logits)}
games["non-saturating"] = lambda logits: -F.logsigmoid(logits)


def pulls(g, d):  # D(G(z)), and the length of the gradient for each game
    logits = d(g(g.draw_z(1000, generator=dice)))
    arrives = []
    for loss in games.values():
        parts = torch.autograd.grad(
            loss(logits).mean(), g.parameters(), retain_graph=True
        )
        arrives.append(sum(part.square().sum() for part in parts).sqrt().item())
    return logits.sigmoid().mean().item(), *arrives


# %% tags=["checking"]
from course_lib.data import load_plane
from course_lib.show.typeset import show_table

start, ring = new_players(dice), load_plane("ring")
seen, before = {0: pulls(*start.values())}, 0
for turns in (25, 100, 400):
    rate = {"generator": 0.0, "discriminator": 5e-3}  # the generator stands still
    play(start, ring.sample, turns - before, lr=rate, generator=dice)
    seen[turns], before = pulls(*start.values()), turns
rows = [[turns, *(f"{v:.2g}" for v in found)] for turns, found in seen.items()]
assert 0.3 < seen[0][1] / seen[0][2] < 3 and seen[400][0] < 1e-3
assert seen[400][1] < seen[0][1] / 50 and seen[400][2] > 1e4 * seen[400][1]
show_table(["head start, steps", "D(G(z))", *games], rows)

# %% [markdown]
# Before the head start the two pull equally. After 400 steps of it the minimax gradient has all but vanished, and the other
# is more than ten thousand times as large. The price of the change: the generator no longer makes $\mathrm{JS}$ small, step by step. The two players now have
# different aims, and only the point where both are content, $q = p$ and $D = \tfrac12$, is the same. Without a head start the minimax loss
# plays the ring as well, as a table below shows. The danger is a discriminator that gets ahead.

# %% [markdown]
# ## Play on the line

# %%
states, distance = {}, {}


def watch(step):
    if step <= 20 or step % 20 == 0:
        q, says = density(g), d(x_line[:, None]).detach().sigmoid()
        states[step], distance[step] = (q, says), js(q)


watch(0)
play(line, draw_line, 800, lr=rates, generator=dice, batch_size=256, watch=watch)

# %% tags=["drawing"]
part = (x_line > -4) & (x_line < 4)


def show_line_at(step):
    q, says = (line[part] for line in states[step])
    best = torch.where(p[part] + q > 1e-4, p[part] / (p[part] + q), math.nan)
    title = f"step {step}: JS = {distance[step]:.2f} nats"
    seen = {"real": p[part], "made": q, "judge": says, "best": best}
    return show_line_game(x_line[part], **seen, title=title)


at = [0, 5, 10, 15, 20, 40, 60, 80, 120, 200, 300, 400, 600, 800]
alt = (
    "densities of data and generator on a line, with the discriminator and the best one"
)
explore(show_line_at, step=at, start={"step": 800}, alt=alt)

# %% [markdown]
# Begin at the left end of the slider.
#
# - At step 0 the generator puts all its draws into one spike, at the top of which the red line leaves the picture. The best
#   discriminator (dotted) is 0 there and 1 elsewhere. It always jumps to 1 where the made data end, since beyond that
#   point everything is real. Ours has not started.
# - Then $D$ learns that the middle is made, and both sides rise. The draws slide off, up the slopes, to both sides. **The
#   generator moves where the discriminator's curve rises.** It has no other information.
# - In the end both bumps have draws, though not always equally many. A thin bridge remains between them. A network is continuous, so
#   what lies between two values of $z$ must lead across. It can only be quick about it.
# - The discriminator never looks like the best one. It is a smooth network with one step a turn, and is near one half
#   long before the two densities agree.

# %% tags=["checking"]
late = [distance[s] for s in distance if s > 400]
with torch.no_grad():
    logits = d(x_line[:, None])
    now = (p * F.logsigmoid(logits) + density(g) * F.logsigmoid(-logits)).sum() * dx
ended, final = trained_to_the_end(density(g)), js(density(g))
low, high = min(late), max(late)
print(f"JS: {distance[0]:.2f} nats at the start; later {low:.2f} to {high:.2f} nats")
print(f"V + log 4 of D as it is: {now + LOG4:.3f}; ", end="")
print(f"trained to the end: {ended + LOG4:.3f}; 2 JS: {2 * final:.3f}")
assert distance[0] > 0.65 and high < 0.3
assert 0.6 * 2 * final < ended + LOG4 < 2 * final + 1e-3
assert abs(now + LOG4) < 0.02 and ended > now + 0.02

# %% [markdown]
# The distance falls from 0.69 nats to a few hundredths with this seed, and to a fifth of a nat with another. It does not
# come to rest, because the players keep moving each other.
#
# Look at the last line. By the discriminator as it is, the game is over: $V$ is $-\log 4$, as if nothing could be told apart.
# But freeze the generator, train a discriminator to the end, and it finds more than six tenths of the true $2\,\mathrm{JS}$ (all of
# five seeds; the steps in the red line are hard to follow for a smooth network). **During the game, $V$ says how the contest
# stands, and not how good the generator is.** We will meet this again.

# %% [markdown]
# ## Two dimensions, where the truth is known
#
# Now the plane, and the ring of eight crowds. Each crowd is a Gaussian, a **mode** of the density. Because the density is
# known, no judge is needed. We count:
#
# - *modes reached*: how many of the modes get at least a tenth of the draws that are due to them;
# - *high quality*: the share of draws within three standard deviations of a mode (98.9 per cent of real data are);
# - *reverse KL*: how unevenly the draws are spread over the modes, in nats; 0 is even, $\log 8 = 2.08$ is all in one.
#
# First the bare loop, with a large rate:

# %%
from course_lib.measure.coverage import coverage


def worth(players, plane, n=5000):
    x = players["generator"].sample(n, generator=make_generator(1))
    return coverage(x, plane.modes, plane.mode_std)


def played(plane, player, steps, every=100, **knobs):
    players, worths = new_players(dice), {}

    def watch(step):
        if step % every == 0:
            worths[step] = worth(players, plane)

    rest = {"steps": steps, "generator": dice, "watch": watch}
    history = player(players, plane.sample, **rest, **knobs)
    return players, worths, history


fast = dict.fromkeys(rates, 5e-3)
wild, at_wild, _ = played(ring, play, 1200, lr=fast)

# %% tags=["checking"]
rows = [[s, f"{w.reached} of 8", f"{w.high_quality:.0%}"] for s, w in at_wild.items()]
quality = [w.high_quality for s, w in at_wild.items() if s >= 300]
drop = max(a - b for a, b in pairwise(quality))
print(f"after step 300, largest fall within 100 steps: {100 * drop:.0f} points")
assert drop > 0.05
show_table(["step", "modes", "high quality"], rows[::2])

# %% [markdown]
# It finds most modes early. Then it goes on and on: modes are lost and found again, and within 100 steps the quality can fall
# by 15 to 49 points (five seeds). Stop at a bad moment, and the generator is bad. Two aids are meant to help:
#
# - **A falling rate.** As in chapter 7, both learning rates follow a cosine down to 0 (`schedule="cosine"`).
# - **A discriminator that may not be steep where the data lie.** If real and made points agree already, a steep $D$ would
#   still push the draws around. So add a price to its loss: $\tfrac{r}{2} |\nabla_x \ell(x)|^2$, half the squared slope of its logit at
#   the *real* points, with $r = 0.1$. This is called **R1** ([Mescheder et al., 2018](references.md#mescheder2018)).
#
# In code, R1 needs a gradient of a gradient: `create_graph=True` keeps the first one differentiable.


# %%
def steepness(d, real):  # (B,) squared slope of the logit at real points
    real = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(d(real).sum(), real, create_graph=True)
    return slope.square().sum(1)


# %% [markdown]
# `fit_gan` has both aids, and they are on by default. The rate is the same. A larger batch and more steps help as well, so
# this shows what can be had, and a fair comparison of the aids follows:

# %%
steady = partial(fit_gan, progress=False, batch_size=256)
calm, at_calm, history = played(ring, steady, 1600)

# %% tags=["checking"]
from course_lib.train.game import discriminator_loss

d, made = calm["discriminator"], calm["generator"].sample(10_000, generator=dice)
real, rows = ring.sample(10_000, generator=dice), []
by_hand = F.softplus(-d(real)) + F.softplus(d(made)) + 0.1 / 2 * steepness(d, real)
assert torch.allclose(by_hand, discriminator_loss(d, real, made, r1=0.1), atol=1e-5)
for name, x in {"real data": real, "draws": made}.items():
    found = coverage(x, ring.modes, ring.mode_std)
    nearest = torch.cdist(x, ring.modes).min(1)
    away = (x - ring.modes[nearest.indices])[nearest.values < 3 * ring.mode_std]
    rows.append([name, f"{found.reached} of 8", f"{found.high_quality:.1%}"])
    rows[-1] += [f"{found.reverse_kl:.4f}", f"{ring.log_prob(x).mean():.2f}"]
    rows[-1] += [f"{away.std(0).mean():.2f}"]
assert found.reached == 8 and found.high_quality > 0.93 and found.reverse_kl < 0.02
heads = ["", "modes", "high quality", "reverse KL", "log-density", "width of a mode"]
show_table(heads, rows)

# %% tags=["drawing"]
circles = {"modes": ring.modes, "radius": 3 * ring.mode_std}


def contest(players, n=1500):
    with torch.no_grad():
        field = players["discriminator"](points).sigmoid().view(61, 61)
    return players["generator"].sample(n, generator=make_generator(1)), field


show_contest({"bare loop": contest(wild), "both aids": contest(calm)}, **circles)

# %% [markdown]
# On the right all eight modes are there, evenly, and 94 to 97 per cent of the draws lie in a circle, whose radius is three
# standard deviations (five seeds). The rest are on bridges, as on the line. The field is nearly white wherever there are draws:
# this discriminator has nothing left to say. (A fresh one has, see below.)
#
# Do not trust one number alone. Look at the mean log-density. The bridges pull it down, and modes that are too narrow push
# it up: in most runs the draws within a mode are 0.18 to 0.22 wide, and real points 0.24. So bad draws can be as likely as
# real ones, and in some of our runs they are.

# %% [markdown]
# **Which of the two aids did it?** Switch them on one by one. What needs several seeds was trained by one command,
# `python benchmarks/games.py`, and its rows are read here: 3,000 steps on the ring, the range over all runs stored.

# %% tags=["checking"]
from course_lib.data.shipped import shipped
from course_lib.show.stored_runs import StoredRuns

runs = StoredRuns(shipped("results/games.json"))
on_ring, on_grid = (runs.where(data=name) for name in ("ring", "grid"))
AIDS = {"neither": "fast", "R1": "fast, R1", "falling rate": "fast, falling rate"}
AIDS["both"] = "stable"
looks = {"reached": ".0f", "high_quality": "%", "reverse_kl": ".3f"}
rows, got = [], {}
for words, name in AIDS.items():
    got[words] = [on_ring.of("recipe", name, what) for what in looks]
    cells = [on_ring.cell("recipe", name, *look) for look in looks.items()]
    rows.append([words, len(got[words][0]), *cells])
assert max(got["neither"][0]) < 8 and min(got["R1"][0]) == min(got["both"][0]) == 8
assert min(got["R1"][1]) < 0.85 and min(got["falling rate"][1] + got["both"][1]) > 0.92
assert max(got["both"][2]) < max(got["falling rate"][2]) / 5
show_table(["aid", "runs", "modes", "high quality, %", "reverse KL"], rows)

# %% [markdown]
# Without an aid, every run has lost modes. With R1 alone all eight are there, but the quality still shakes. With the falling rate
# alone the quality is high, but a mode can be thin or missing at the end. With both, all modes are there, evenly, and the
# quality is high. (At a fifth of the rate, *plain* in the tables below, the bare loop is much less wild.)

# %% [markdown]
# ## Does the loss say how good it is?
#
# In every other chapter you watched the loss. Here are both players' losses during the calm training on the ring, and beside
# them the truth, which only we know.

# %% tags=["drawing"]
steps = list(at_calm)
quality = [w.high_quality for w in at_calm.values()]
nats = {who: torch.tensor(loss).view(-1, 100) for who, loss in history.losses.items()}
lines = {f"{who}'s loss": (steps, line.mean(1)) for who, line in nats.items()}
lines["share of high quality"] = steps, quality
floors = {"log 4": LOG4, "log 2": math.log(2)}
show_curves(lines, xlabel="step", ylabel="nats; share", floors=floors, ylim=(0, 1.6))

# %% tags=["checking"]
LOG2, rise = math.log(2), quality[-1] - quality[2]
for (who, line), coin in zip(nats.items(), (LOG2, LOG4), strict=True):
    off = (line[2:].mean(1) - coin).abs().max()
    print(f"after step 300 the {who}'s loss is within {off:.3f} nats of {coin:.3f}")
    assert off < 0.1
print(f"and the share of high quality rises by {100 * rise:.0f} points")
assert rise > 0.1

# %% [markdown]
# $\log 4$ and $\log 2$ are what tossing a coin would give, and what a perfect generator would. Both losses stand near them from step
# 300 on, while the quality still rises by 12 to 28 points (five seeds). The generator's loss still creeps down, by a few
# hundredths of a nat, but both stand at the values of a perfect generator long before it is one. So they cannot tell you
# when to stop.
#
# The equation says why. The loss measures a distance only if the discriminator is trained to the end, and in the game it has
# one step a turn. So do that: stop the generator, and train a fresh discriminator for it.


# %%
def value(d, g, n=10_000):  # (V + log 4) / 2 in nats, and the share it tells right
    real, made = d(ring.sample(n, generator=dice)), d(g.sample(n, generator=dice))
    v = F.logsigmoid(real).mean() + F.logsigmoid(-made).mean()
    right = ((real > 0).double().mean() + (made < 0).double().mean()) / 2
    return (v.item() + LOG4) / 2, right.item()


fresh = {**calm, "discriminator": new_players(dice)["discriminator"]}
stopped = {"generator": 0.0, "discriminator": 5e-3}
steady(fresh, ring.sample, steps=500, lr=stopped, r1=0.0, generator=dice)

# %% tags=["checking"]
judged = {"the player": calm, "a fresh one": fresh}
for name, players in judged.items():
    nats_seen, right = judged[name] = value(players["discriminator"], calm["generator"])
    print(f"{name}: (V + log 4) / 2 = {nats_seen:.3f} nats; right: {right:.0%}")
assert judged["a fresh one"][0] > 0.03 > 0.015 > judged["the player"][0]
assert judged["a fresh one"][1] > 0.55

# %% [markdown]
# The player measures next to nothing. A fresh discriminator, trained on these draws while the generator stands still, still tells
# about two in three of them from real points. So the game did not end because nothing was left to see. The player could not
# keep up with the generator.

# %% [markdown]
# ## A critic that measures a distance
#
# The game's distance says *nothing in common*, however far the made data lie. Another one says how far. Think of the made data
# as a heap of sand that must be moved until it lies like the real data. The least work is the **Wasserstein distance** $W$: mass
# times distance. Data moved to the right by 8 are exactly 8 away, and by 5.5, 5.5.
#
# A network can measure this, too. Let a **critic** $f$ give each point a height, never steeper than 1. Then
#
# $$ W(p, q) = \max_{|\nabla f| \le 1}\; \mathbb E_{x \sim p}[f(x)] - \mathbb E_{x \sim q}[f(x)] $$
#
# One half is easy to see: if a grain must travel a distance $w$, the height changes on it by at most $w$, so no $f$ gives more
# than the work. That some $f$ reaches it is a theorem of Kantorovich and Rubinstein. There are no logarithms and no sigmoid:
# the critic is the same network, but its output is a height ([Arjovsky et al., 2017](references.md#arjovsky2017)). To keep it from
# getting steep, penalise slopes above 1 ([Gulrajani et al., 2017](references.md#gulrajani2017) penalise slopes that differ from 1). A
# penalty can be paid, so at the end divide by the steepest slope that is left. That makes the critic legal again.


# %%
def critic(q, steps=250):  # its estimate of W, trained to the end
    f = Discriminator(GANConfig(shape=(1,)), generator=make_generator(seed))
    adam, x = torch.optim.Adam(f.parameters()), x_line[:, None].clone().requires_grad_()
    for n in range(steps):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - n / steps)
        height = f(x)
        (slope,) = torch.autograd.grad(height.sum(), x, create_graph=True)
        gain = ((p - q) * height).sum() * dx
        penalty = (slope.abs() - 1).clamp(min=0).square().sum() * dx
        adam.zero_grad()
        (penalty - gain).backward()
        adam.step()
    return (gain / slope.abs().max()).item()


works = {s: critic(q) for s, q in moved.items()}

# %% tags=["checking"]
same = {s: js(q) for s, q in moved.items()}  # what JS says of the same
rows = [[s, f"{w:.2f}", f"{abs(same[s]):.3f}"] for s, w in works.items()]
assert all(0.8 * s <= w <= s + 1e-3 for s, w in works.items())
assert works[8.0] - works[5.5] > 1.5 and same[8.0] - same[5.5] < 0.02
show_table(["moved by, = W", "critic", "JS, nats"], rows)

# %% [markdown]
# The critic finds at least eight tenths of the distance, and goes on rising where $\mathrm{JS}$ has stopped. As a generator's loss,
# it says *how far* to go. In a game it gets several turns for each of the generator's, because to be a measure it must be
# ahead.
#
# ### Does its estimate tell?
#
# Both may fall during a training, and two falling curves always agree in rank. So ask more. *Level* is the rank correlation of
# a signal with the true distance from look to look, after a quarter of the training. *Detrended* is the same with the trend
# taken out. *Changes* asks: when the signal falls from one look to the next, does the distance fall? The distance is the
# Jensen-Shannon divergence between the draws and the ring, counted in small cells. 1 is perfect, 0 is nothing.

# %% tags=["checking"]
SIGNALS = {
    "game: generator's loss": ("stable", "generator"),
    "game: V of the discriminator": ("stable", "estimate"),
    "the same, five turns": ("stable, 5 turns", "estimate"),
    "the same, plain recipe": ("plain", "estimate"),
    "a fresh one, to the end": ("stable", "fresh"),
    "critic, five turns": ("critic, 5 turns", "estimate"),
    "critic, one turn": ("critic, 1 turn", "estimate"),
    "VAE: −ELBO": ("VAE", "minus_elbo"),
}
ways = "later", "detrended", "changes"


def tells(signal, how):
    # None: this run has nothing but a trend
    return lambda row: row["tells"][signal]["js"][how] or 0.0


rows, spans = [], []
for words, (name, signal) in SIGNALS.items():
    asked = [("signal", name, tells(signal, how)) for how in ways]
    spans.append([on_ring.of(*what) for what in asked])
    rows.append(
        [words, len(spans[-1][0]), *(on_ring.cell(*what, ".1f") for what in asked)]
    )
others, detrended = (spans[n] for n in (0, 1, 2, 5, 6)), spans[4][1]
assert min(spans[4][2]) > 0.8 and max(max(s[2]) for s in others) < 0.6
assert min(detrended) > 0.3 and min(spans[7][0]) > 0.9 and min(spans[7][2]) > 0.3
show_table(["signal", "runs", "level", "detrended", "changes"], rows)

# %% [markdown]
# The fresh discriminator tells best. It is trained to the end for the generator as it is at each look, and it knows the ups and
# downs in every run stored here: above 0.8 in the last column. That is the equation again. The VAE's loss tells the level and
# much of the changes. The game's loss and the critic's estimate do not: with the trend taken out, little is left, and some runs have the
# wrong sign. Only the $V$ of the plain recipe knows a part of it. So a critic is no cure here. What tells is to stop the generator
# and train somebody to the end, and that costs a whole training for every look.

# %% [markdown]
# ## Which change does what?
#
# All recipes, on the ring and on the grid of 25. *Plain* is the bare loop at a rate of 1e-3, *fast* at 5e-3; each of the others
# differs in what its name says, and *stable* is fast with both aids. A run has *failed* if a mode is missing at the end, or if
# fewer than 90 per cent of the draws are of high quality.

# %% tags=["checking"]
RECIPES = ["plain", "minimax", "R1", "spectral norm", "noise", "packing 2", "momentum"]
RECIPES += ["falling rate", "fast", "fast, R1", "fast, falling rate", "stable"]


def failed(row):
    modes = {"ring": 8, "grid": 25}[row["data"]]
    return row.get("reached", 0) < modes or row["high_quality"] < 0.9


rows, lost = [], {}
for name in RECIPES:
    cells = []
    for data, stored in {"ring": on_ring, "grid": on_grid}.items():
        fails = lost[name, data] = stored.of("recipe", name, failed)
        quality = stored.cell("recipe", name, "high_quality", "%")
        cells += [f"{sum(fails)} of {len(fails)}", quality]
    rows.append([name, *cells])
grid = [on_grid.of("recipe", "stable", what) for what in looks]
assert min(grid[0]) == 25 and min(grid[1]) >= 0.9 and max(grid[2]) <= 0.02
never = [n for n in RECIPES if not any(lost[n, "ring"] + lost[n, "grid"])]
assert never == ["stable"]
assert min(on_ring.of("recipe", "minimax", "reached")) == 8
assert all(lost["momentum", "grid"] + lost["fast", "ring"])
heads = ["recipe", "ring: failed", "high quality, %", "grid: failed", "high quality, %"]
show_table(heads, rows)

# %% [markdown]
# - **Stable** is the only recipe that never failed in the runs stored here, on either. On the grid it reaches 25 of 25 modes each
#   time, with at least 90 per cent of high quality and a reverse KL of at most 0.02.
# - **A large rate that stays large** loses modes on the ring in every run.
# - **Momentum** fails on the grid in every run, though every other chapter used it.
# - R1, spectral normalisation ([Miyato et al., 2018](references.md#miyato2018)), noise on all that the discriminator sees, and
#   **packing**, where it judges two draws at once ([Lin et al., 2018](references.md#lin2018)), cure nothing by themselves. On the
#   ring they fail now and then, as plain does, and on the grid they often miss some quality.
#
# The lecture says that the two must be kept matched. How closely? In the map, the rate of the discriminator against the
# generator's grows upwards, and its features grow to the right (the generator always has 64). Each number is the modes of the
# ring that are reached after 1,000 steps, the mean over the runs stored here.

# %% tags=["drawing"]
from course_lib.show.games import show_map

RATIOS, SEEN = (30, 10, 3, 1, 0.3, 0.1), (2, 4, 16, 64)


def modes_at(*job):
    found = [r.get("reached", 0) for r in runs.rows if r["job"] == [*job]]
    return sum(found) / len(found)


names = "plain", "stable"
maps = {n: [[modes_at(n, r, seen) for seen in SEEN] for r in RATIOS] for n in names}
words = {"ylabel": "rate: discriminator / generator", "unit": "modes reached, of 8"}
words["xlabel"] = "features of the discriminator"
show_map(maps, rows=RATIOS, columns=SEEN, **words)

# %% tags=["checking"]
for n in names:
    far, _, top, *_ = (min(row[2:]) for row in maps[n])  # with 16 features and with 64
    weak = max([row[0] for row in maps[n]] + maps[n][-1])
    print(f"{n}: 30 times as fast, {far:.1f} modes; 3 times, {top:.1f}; ", end="")
    print(f"2 features, or ten times as slow, at most {weak:.1f}")
    assert top > 7 and far < 5 and weak < 3

# %% [markdown]
# There is a **ridge**. Along its top the discriminator's rate is three times the generator's: with 16 features or more, nearly
# all modes are reached in both maps. If the discriminator is much slower, or has too few features to tell eight modes apart,
# all draws gather in one or two places. If it is thirty times as fast, modes are lost too, and with both
# aids nearly all of them. A smaller discriminator needs the higher rate. And the slopes are not equally steep: ten times as fast
# does far less harm than a tenth. So if in doubt, keep the discriminator the stronger one.

# %% [markdown]
# ## Break it: three ways for the game to fail
#
# ### Mode collapse
#
# Back to the bare loop. Change one number: the discriminator learns ten times more slowly than the generator.

# %%
scenes, slow = {}, {"generator": 5e-3, "discriminator": 5e-4}
losers, reached = new_players(dice), {}


def watch(step):
    if step % 20 == 0:
        scenes[step] = contest(losers, 500)
        reached[step] = worth(losers, ring, 2000)


play(losers, ring.sample, 2000, lr=slow, generator=dice, watch=watch)

# %% [markdown]
# Two controls have equal rates: the large one of before, and the small one for both players.

# %%
low = {"generator": 5e-4, "discriminator": 5e-4}
both_slow, at_low, _ = played(ring, play, 600, lr=low, every=200)


# %% tags=["drawing"]
def show_collapse(step):
    title = f"step {step}: {reached[step].reached} of 8 modes"
    return show_contest({title: scenes[step]}, **circles)


alt = "draws that stay together and wander, and the discriminator's belief"
explore(show_collapse, step=list(range(240, 601, 40)), start={"step": 240}, alt=alt)

# %% tags=["checking"]
early = [w for s, w in reached.items() if s <= 600]
most = max(w.reached for w in early)
best = [w.shares.argmax().item() for w in early if w.high_quality > 0.2]
moves = sum(a != b for a, b in pairwise(best))
print(f"600 steps: at most {most} of 8 modes, the favourite changed {moves} times;")
print(f"2,000 steps: {reached[2000].reached} modes, ", end="")
print(f"{reached[2000].high_quality:.0%} of high quality")
print(f"600 steps at equal rates: both 5e-3, {at_wild[600].reached} modes; ", end="")
print(f"both 5e-4, {at_low[600].reached} modes")
assert most <= 3 and moves >= 5 and reached[2000].reached >= 7
assert at_wild[600].reached >= 7 and at_low[600].reached == 8

# %% [markdown]
# All draws sit together. The discriminator learns slowly and stays near one half. But the generator follows even its slightest
# slope at full speed, and the whole crowd wanders. In 600 steps it does not spread. This is **mode collapse**.
#
# The controls say what does it. At the same large rate for both, seven or eight modes are reached in as many steps, and at the
# same small rate all eight (five seeds). So a slow discriminator does no harm by itself. It is the ratio that gathers the
# draws. And time helps: after 2,000 steps even the collapsed game has seven or eight modes.
#
# Why does it happen? Ask what the best generator is *against a discriminator that stands still*. Its loss is an average of $-\log
# D(G(z))$ over $z$, and every $z$ may choose its point by itself. So the best answer is to send every $z$ to the same
# point, where $D$ is highest. Nothing in the loss asks for variety. Variety comes from the discriminator alone, because it
# moves while the generator does. The slower it is beside the generator, the more it seems to stand still.
#
# Test that. Take the good players of the ring, and let only the generator go on, at the full rate again. That alone may do
# harm, so in a control both go on; and a third generator goes on alone, at a tenth of the rate.

# %%
from copy import deepcopy

on = {"only the generator": (5e-3, 0.0), "both": (5e-3, 5e-3)}
on["only the generator, slower"] = 5e-4, 0.0
went = {"before": calm}
for name, pair in on.items():
    went[name] = deepcopy(calm)
    lr = dict(zip(calm, pair, strict=True))
    play(went[name], ring.sample, 400, lr=lr, generator=dice)

# %% tags=["checking"]
rows, kept = [], {}
for name, players in went.items():
    found = kept[name] = worth(players, ring)
    far = players["generator"].sample(2000, generator=dice).norm(dim=1).median()
    rows.append([name, f"{found.reached} of 8", f"{found.high_quality:.0%}"])
    rows[-1].append(f"{far:.1f}")
alone, both = kept["only the generator"], kept["both"]
assert alone.reached <= 5 and alone.reached < both.reached
assert alone.high_quality < kept["before"].high_quality - 0.2
show_table(["400 steps more", "modes", "high quality", "median |x|"], rows)

# %% [markdown]
# Against a discriminator that stands still, the good generator is ruined within 400 steps. If both go on, it keeps more modes, so
# the large rate alone is not to blame. At a tenth of the rate the ruin takes longer. The draws go wherever the discriminator is
# highest, and that need not be where data are. In two of five runs they ended up more than 900 away, where there has never been
# a point. That is the next difficulty.
#
# ### A specific example
#
# "The images need not be good: the generator may have found one example that fools the discriminator." Is there a point that the
# discriminator is sure of and that cannot be real? Search for it by gradient: begin at random, and climb the logit. A place
# counts as *empty* if its log-density is below −20. That is more than six standard deviations from every mode.


# %%
def search(d, n=300, steps=200):
    x = (8 * torch.rand(n, 2, generator=dice) - 4).requires_grad_()
    adam = torch.optim.Adam([x], lr=0.05)
    for _ in range(steps):
        adam.zero_grad()
        (-d(x)).sum().backward(inputs=[x])
        adam.step()
    return x.detach()


robust, _, _ = played(ring, partial(fit_gan, progress=False), 1200, schedule="constant")
judges = {"bare": wild, "with R1": robust, "R1, falling rate": calm}
caught = {name: search(players["discriminator"]) for name, players in judges.items()}

# %% tags=["drawing"]
pair = list(caught.items())[:2]
shown = {name: (x, contest(judges[name])[1]) for name, x in pair}
show_contest(shown, **circles)

# %% tags=["checking"]
rows, counts = [], {}
for name, x in caught.items():
    d, empty = judges[name]["discriminator"], ring.log_prob(x) < -20
    counts[name] = ((d(x).sigmoid() > 0.99) & empty).sum().item()
    rows.append([name, f"{counts[name]} of 300"])
assert counts["bare"] > 10 and counts["with R1"] == counts["R1, falling rate"] == 0
show_table(["discriminator", "searches that end empty, D above 0.99"], rows)

# %% tags=["checking"]
rows, sure, above = [], {}, {}
for name in ("plain", "fast", "fast, falling rate", "fast, R1", "stable"):
    finds = sure[name] = on_ring.of("fooling", name, "sure")
    above[name] = on_ring.of("fooling", name, "above")
    cells = [on_ring.cell("fooling", name, what, "%") for what in ("sure", "above")]
    rows.append([name, len(finds), *cells])
often = {name: sum(finds) / len(finds) for name, finds in sure.items()}
assert min(sure["fast"]) > 0.05 and often["fast, R1"] == often["stable"] == 0
assert max(often["plain"], often["fast, falling rate"]) < often["fast"] / 2
assert min(above["fast, R1"] + above["stable"]) > 0.19
heads = ["empty, D above 0.99: %", "empty, above half of the real points: %"]
show_table(["recipe", "runs", *heads], rows)

# %% [markdown]
# In the bare game, at this large rate, there are many: empty places that the discriminator takes for real with more than 99 per
# cent. In the picture they lie at the edge, deep in the blue. With R1, and all else equal, not one search finds one.
#
# The second table has the stored runs. The bare game has such places in every run at the large rate. At a small rate, or with a
# falling one, they are rarer. With R1 no run has any.
#
# And be careful: R1 makes every slope small, so its discriminator is never sure of anything, real points included. Ask how
# it *ranks*. In the last column are searches that pass through an empty place which it puts above half of the real points: with
# R1, 20 to 49 per cent of them, and not clearly fewer than without. So R1 makes the discriminator *modest*, and not much
# wiser. It cannot know. It learns where there are data or draws, and nobody ever shows it the rest.
#
# ### A stupid discriminator
#
# Last, a discriminator without hidden layers: its logit is linear in $x$. All else is the calm recipe.

# %%
pair = new_players(dice)
pair["discriminator"] = Discriminator(GANConfig(depth=0), generator=dice)
steady(pair, ring.sample, steps=600, generator=dice)

# %% tags=["checking"]
rows, pays = [], {}
for name, players in {"linear": pair, "full": calm}.items():
    v, right = value(players["discriminator"], players["generator"])
    found, pays[name] = worth(players, ring), LOG4 - 2 * v
    cells = [f"{pays[name]:.3f}", f"{found.reached} of 8", f"{found.high_quality:.0%}"]
    rows.append([name, *cells])
    assert abs(2 * v) < 0.05 and (found.reached <= 3) == (name == "linear")
show_table(["discriminator", "it pays, nats", "modes", "high quality"], rows)

# %% tags=["drawing"]
show_contest({"linear": contest(pair), "full": contest(calm)}, **circles)

# %% [markdown]
# **The same loss, and rubbish.** Both discriminators pay about what a coin pays, $\log 4 = 1.386$: the full one because it cannot
# keep up with the generator any more, the linear one because it cannot see. All it can say is *more to the upper left*, or
# another direction. The draws go where that sends them, and reach a mode only by chance. If a GAN's loss says that the
# discriminator is fooled, this may be praise for the generator or blame for the discriminator.

# %% [markdown]
# ## What we saw
#
# - The discriminator is a loss that learns. The best one is $p / (p + q)$, and it is worth $2\,\mathrm{JS} - \log 4$.
# - On a line we could check it: a discriminator that is trained to the end measures that distance. One that plays does not.
# - The generator learns only from the discriminator's slope at its own draws. The minimax loss loses that slope when the
#   discriminator is sure; the non-saturating one does not.
# - At a large rate, R1 keeps the modes and a falling rate brings the game to rest. Together they never failed here.
# - Both losses stand near $\log 4$ and $\log 2$ while the quality rises. A critic measures how far the data are when it is trained to
#   the end; its estimate in the game tells little. A fresh discriminator tells.
# - The two must be matched, with the discriminator the stronger one. Much too strong is bad as well, but ten times does far
#   less harm than a tenth.
# - Variety comes from the discriminator's movement. If it is much slower than the generator, the draws gather in one place for
#   a long time. If it stands still, they leave the data.
# - At a large rate a discriminator is sure of places that it has never seen. R1 makes it modest, and not much wiser.
#
# **Terms fixed here** ([glossary](glossary.md)): generator, discriminator, generative adversarial network (GAN), minimax and
# non-saturating loss, Jensen-Shannon divergence, Wasserstein distance, critic, mode, mode collapse, R1.
#
# The [second page](08_gan_pictures.ipynb) does it with pictures: can a network that sees relations teach a decoder to draw
# them?

# %% [markdown]
# ## Your turn
#
# 1. In the slider of the line, find a step where the discriminator's curve rises to the right at a heap of draws. Where is the heap
#    in the next frame?
# 2. Play on the line with `latent=2`. Does the bridge become thinner? Why can it never vanish?
# 3. Take `play` with the minimax loss, and give the discriminator a head start of 400 steps. Does the generator ever move?
# 4. In the collapse, exchange the two rates. Do the draws gather now? How fast do they spread?
# 5. Take the division by the steepest slope out of `critic`. How far above $W$ does it come, and why more so for larger $W$?
#
# Then the graded assignment: `coursework/08_gan`.
#
# Further reading: [Goodfellow et al. (2014)](references.md#goodfellow2014) have the game and both proofs on two pages;
# [Arjovsky et al. (2017)](references.md#arjovsky2017) say why its distance fails where two sets have nothing in common;
# [Mescheder et al. (2018)](references.md#mescheder2018) find out which games come to rest, with an example of two numbers.
