# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 7: what made this image?
#
# **You will teach twenty stencils to share out a thousand digits, give every digit a room of its own among the codes,
# find out when a bound may be trusted, and fill in half an image, which no encoder has learnt to read.**
#
# *Laptop: 20 seconds. You need: chapter 7. Four exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that it must do; replace the line
# `raise NotImplementedError()` by a few of your own. The cell below it checks your answer and tells you what it
# found. Some more checks run when your work is graded: they ask for nothing that the docstring does not say. You may
# add cells anywhere; what stands in the check cells is put back before grading. No exercise needs the answer to
# another one, so start where you like: run the cells above the first
# one, then those of yours, from its heading to the next.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Ellipse

from course_lib.data import load_digits
from course_lib.device import make_generator, pick_device
from course_lib.measure.judge import DigitJudge
from course_lib.models.vae import VAE, VAEConfig, rsample
from course_lib.prob import gaussian_log_prob
from course_lib.train import fit

generator = make_generator(0)
# chance for the losses: fit trains on the fastest device
noise = make_generator(1, pick_device())
splits = [load_digits(split) for split in ("train", "valid", "test")]
(x, y), (x_valid, y_valid), (x_test, y_test) = splits
# (N, 1, 8, 8): paper 0 or ink 1
x, x_valid, x_test = (x > 7).long(), (x_valid > 7).long(), (x_test > 7).long()


def show(ax, image, title=""):
    """One image (1, 8, 8) of ink, 0 to 1, without axes."""
    ax.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=title)


fig, axes = plt.subplots(1, 12, figsize=(9, 0.9), layout="constrained")
for ax, image in zip(axes, x_test, strict=False):
    show(ax, image)

# %% [markdown]
# Digits in ink and paper, as in assignment 4. One small VAE serves exercises 3 and 4. Its codes have only two numbers,
# so that the whole of $p(z)$ can be covered with a grid, and the integral that a VAE cannot do becomes a sum: here,
# for once, $\log p(x)$ is known.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
knobs = dict(steps=800, batch_size=100, lr=2e-3, schedule="cosine", generator=generator)
config = VAEConfig(likelihood="bernoulli", latent=2, features=128)
vae = VAE(config, generator=generator)
fit(vae, x, loss=lambda model, x: -model.elbo(x, generator=noise), **knobs)
vae.cpu()  # the rest is small

ticks = torch.linspace(-4.5, 4.5, 91)
grid = torch.cartesian_prod(ticks, ticks)  # (8281, 2): codes, 0.1 apart
# (8281,): how likely the prior makes each of them
grid_log_prior = (-grid.square().sum(1) / 2).log_softmax(0)
with torch.no_grad():
    grid_logits = vae.decoder(grid)  # (8281, 1, 8, 8)
    flat, inked = grid_logits.flatten(1), x_test.flatten(1).float()
    ink, paper = (torch.nn.functional.logsigmoid(s * flat) for s in (1, -1))
    log_px_z = inked @ ink.T + (1 - inked) @ paper.T  # (447, 8281)
    log_px = (log_px_z + grid_log_prior).logsumexp(1)  # (447,) nats
    elbo = [vae.elbo(x_test, generator=generator) for _ in range(20)]
    elbo = torch.stack(elbo).mean()
print(f"held-out digits, nats an image: ELBO {elbo:.2f}, log p(x) {log_px.mean():.2f}")
assert elbo < log_px.mean() - 0.3, "the bound lies below"

# %% [markdown]
# ## 1 Twenty stencils
#
# The chapter's mixture is made of Gaussians. But its E step needs only $\log p(x \mid k)$, whatever the distribution, and
# its M step one that can be fitted with weights: any such distribution will do. Let a component be a **stencil**: for each pixel $d$ a probability $p_{kd}$ of ink, independently.
# Then
#
# $$ p(x) = \sum_k \pi_k \prod_d p_{kd}^{x_d} (1 - p_{kd})^{1 - x_d} $$
#
# and EM is what it was. *E*: whose stamp is image $n$? $r_{nk} = p(k \mid x_n)$. *M*: stencil $k$ becomes the average
# of the images, weighted by $r_{nk}$. With one trap: where no image of a stencil has ink, the average says
# *never*, and a new image with ink there costs $\infty$ nats. So pretend to have seen a little more than there was:
# with $n_k = \sum_n r_{nk}$ and a number $a > 0$, the **smoothing**,
#
# $$ p_{kd} = \frac{\sum_n r_{nk}\, x_{nd} + a}{n_k + 2a}, \qquad \pi_k = \frac{n_k + a}{N + K a} $$
#
# A product of many probabilities is soon 0 for a computer, and 0/0 says nothing about anybody's share. The chapter's
# E step has the remedy.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def em_step(x, log_pi, p, smoothing):
    """One E step and one M step for a mixture of K stencils, independent Bernoullis.

    x (N, D) float, 0.0 paper or 1.0 ink, D from 1 to thousands; log_pi (K,), the logarithms of the weights; p (K, D),
    strictly between 0 and 1: stencil k's probability of ink in pixel d; smoothing: the number a > 0.
    -> (new_log_pi, new_p, log_prob): (K,) and (K, D), the parameters after the M step, smoothed as in the equations
    above; log_prob (N,) in nats, log p(x) of each image under the parameters that came in.
    Example: one pixel, two stencils of equal weight with p = 0.9 and 0.3; 4 images with ink and 8 without, a = 1. An
    image with ink has p(x) = 0.6 and belongs to the first stencil with r = 0.75, one without has 0.4 and 0.125. So
    n = (4, 8), the new p is (4/6, 2/10), and the new weights are 5/14 and 9/14.
    """
    ### BEGIN SOLUTION
    log_joint = log_pi + x @ p.log().T + (1 - x) @ (1 - p).log().T  # (N, K)
    log_prob = log_joint.logsumexp(1)
    responsibilities = (log_joint - log_prob[:, None]).exp()
    n = responsibilities.sum(0)  # (K,)
    new_p = (responsibilities.T @ x + smoothing) / (n + 2 * smoothing)[:, None]
    new_log_pi = ((n + smoothing) / (len(x) + len(n) * smoothing)).log()
    return new_log_pi, new_p, log_prob
    ### END SOLUTION


# %% [markdown]
# The example. Then two pixels and three stencils of unequal weight, where every number can still be done by hand: each
# image fits one of the three stencils only.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

twelve = torch.tensor([1.0] * 4 + [0.0] * 8)[:, None]  # (12, 1)
log_pi, p = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.9], [0.3]])
new_log_pi, new_p, log_prob = em_step(twelve, log_pi, p, 1)
assert_shape(log_prob, (12,), name="log_prob, one number an image")
wanted = (0.4 + 0.2 * twelve[:, 0]).log()
assert_close(log_prob, wanted, name="log p(x): log 0.6 with ink, log 0.4 without")
assert_shape(new_p, (2, 1), name="new_p of two stencils of one pixel")
name = "new_p in the example: (3 + 1)/(4 + 2), (1 + 1)/(8 + 2)"
assert_close(new_p, torch.tensor([[4 / 6], [2 / 10]]), name=name)
assert_shape(new_log_pi, (2,), name="new_log_pi of two stencils")
wanted = torch.tensor([5 / 14, 9 / 14])
assert_close(new_log_pi.exp(), wanted, name="the new weights in the example")
never, always = 1e-9, 1 - 1e-7
stencils = torch.tensor([[always, 0.5], [0.5, always], [never, never]])
images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
answer = em_step(images, torch.tensor([0.2, 0.4, 0.4]).log(), stencils, 0.5)
wanted = torch.tensor([0.1, 0.2, 0.4])
assert_close(answer[2].exp(), wanted, name="p(x) of three images, one stencil for each")
wanted = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.25, 0.25]])
assert_close(answer[1], wanted, name="new_p, a = 0.5, one image each")
wanted = torch.full((3,), 1 / 3)
assert_close(answer[0].exp(), wanted, name="new weights, one image for each stencil")

# %% [markdown]
# Graded later, worth 2 points: other sizes, other smoothing, images of thousands of pixels, and stencils that no image
# fits.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for N, D, K, a in (
    (7, 3, 4, 0.25),
    (30, 9, 2, 2.0),
    (20, 3000, 5, 0.5),
    (5, 40, 1, 1.0),
):
    images = (torch.rand(N, D, generator=chance) < 0.4).float()
    log_pi = torch.randn(K, generator=chance).log_softmax(0)
    before = 0.05 + 0.9 * torch.rand(K, D, generator=chance)
    arguments = [t.clone() for t in (images, log_pi, before)]
    new_log_pi, new_p, log_prob = em_step(images, log_pi, before, a)
    ink = torch.distributions.Bernoulli(before.double())
    # (N, K)
    log_joint = log_pi.double() + ink.log_prob(images.double()[:, None]).sum(2)
    r = log_joint.softmax(1)
    case = f"{N} images of {D} pixels, {K} stencils, smoothing {a}"
    for name, now, then in zip(
        ("x", "log_pi", "p"), (images, log_pi, before), arguments, strict=True
    ):
        assert_close(now, then, name=f"{name}, which must stay as it was; {case}")
    assert_shape(log_prob, (N,), name=f"log_prob, {case}")
    assert_close(log_prob, log_joint.logsumexp(1), name=f"log_prob, {case}")
    weight = (r.sum(0) + a) / (N + K * a)
    assert_close(new_log_pi, weight.log(), tolerance=2e-3, name=f"new_log_pi, {case}")
    right = (torch.einsum("nk,nd->kd", r, images.double()) + a) / (r.sum(0) + 2 * a)[
        :, None
    ]
    assert_shape(new_p, (K, D), name=f"new_p, {case}")
    assert_close(new_p, right, tolerance=2e-3, name=f"new_p, {case}")
inked, unloved = (
    torch.ones(6, 200),
    torch.stack([torch.full((200,), 0.9), torch.full((200,), 0.01)]),
)
new_log_pi, new_p, _ = em_step(inked, torch.tensor([0.5, 0.5]).log(), unloved, 0.1)
assert_close(
    new_p[1],
    torch.full((200,), 0.5),
    name="new_p of a stencil that no image belongs to: a/(2a)",
)
assert_close(
    new_log_pi[1],
    math.log(0.1 / 6.2),
    name="new_log_pi of a stencil that no image belongs to (finite)",
)
### END HIDDEN TESTS

# %% [markdown]
# Now twenty stencils, a thousand digits, sixty steps from a random start. Smoothing is a prior on the parameters, so
# what cannot fall is $\log p(x)$ of all images *plus* $a \sum_k (\log \pi_k + \sum_d \log p_{kd}(1 - p_{kd}))$.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
inks, inks_test = x.flatten(1).double(), x_test.flatten(1).double()  # (N, 64)


def run_em(K, smoothing, steps=60):
    """K random stencils after `steps` of EM: log_pi (K,), p (K, 64), and what must not fall, at each step."""
    log_pi = torch.full((K,), -math.log(K)).double()
    p = 0.25 + 0.5 * torch.rand(K, 64, generator=generator).double()
    goal = []
    for _ in range(steps):
        penalty = smoothing * (log_pi.sum() + p.log().sum() + (1 - p).log().sum())
        log_pi, p, log_prob = em_step(inks, log_pi, p, smoothing)
        goal.append((log_prob.sum() + penalty).item())
    return log_pi, p, goal


def price(log_pi, p, images):  # nats an image
    return -em_step(images, log_pi, p, 1)[2].mean().item()


log_pi, p, goal = run_em(20, smoothing=0.1)
fig, axes = plt.subplots(2, 10, figsize=(8, 2), layout="constrained")
for k, ax in zip(log_pi.argsort(descending=True), axes.flat, strict=True):
    show(ax, p[k].view(1, 8, 8), f"{log_pi[k].exp():.0%}")
print("nats an image          seen  unseen")
cases = {(1, 0.1): "one stencil"}
cases |= {(40, 1e-3): "40, hardly smoothed", (160, 1e-3): "160, hardly smoothed"}
cases |= {(40, 0.1): "40, smoothed", (160, 0.1): "160, smoothed"}
unseen = {}
for (K, smoothing), name in cases.items():
    found = run_em(K, smoothing)[:2]
    unseen[name] = price(*found, inks_test)
    print(f"{name:21}{price(*found, inks):6.2f}  {unseen[name]:6.2f}")
assert all(b > a - 1e-6 for a, b in pairwise(goal)), "EM never goes down"
assert unseen["40, smoothed"] < unseen["one stencil"] - 4, "stencils share the work"
hardly, smoothed = unseen["160, hardly smoothed"], unseen["160, smoothed"]
assert hardly > smoothed + 1, "a stencil that says never will be wrong"

# %% [markdown]
# Nobody said what a digit is, and yet most stencils are one, each in a certain hand. With hardly any smoothing, 160
# stencils learn their six images each by heart, and new ones are dear. And a stencil is a decoder: its *code* is $k$,
# one of twenty. A VAE has a stencil for every $z$.

# %% [markdown]
# ## 2 A room for every digit
#
# A VAE's prior is $N(0, 1)$ for all images, and KL has a short form there. But a prior may be learnt, and if we know
# which digit an image is, each digit $k$ may have a prior of its own, a *room* among the codes:
# $p(z \mid k) = N(\mu_k, \sigma_k^2)$. Then the price of a code is the KL divergence between two Gaussians of which
# neither is $N(0, 1)$. For one dimension, from $N(m, s^2)$ to $N(\mu, \sigma^2)$:
#
# $$ \text{KL} = \tfrac12 \left( \frac{s^2}{\sigma^2} + \frac{(m - \mu)^2}{\sigma^2} - 1
#    - \log \frac{s^2}{\sigma^2} \right) $$
#
# Independent dimensions add up. You are given logarithms of variances. Two tiny variances have a quotient, though each
# is 0 for a computer (what is the logarithm of a quotient?), and $1/\sigma^2$ may be $\infty$ where $1/\sigma$ is not:
# divide, then square.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_to_each(mu, log_var, room_mu, room_log_var):
    """KL( N(mu, exp(log_var)) ‖ N(room_mu, exp(room_log_var)) ) of every code's Gaussian to every room's.

    mu, log_var (B, Z): a Gaussian for each of B images, independent dimensions; room_mu, room_log_var (K, Z): one for
    each of K rooms. Logarithms of variances may be anything from −120 to 120.
    -> (B, K) nats, ≥ 0: summed over the Z dimensions; ∞ only where the KL itself is too large for a float. Gradients
    reach all four arguments.
    Example: Z = 1, from N(0, 1) to N(1, 4): (1/4 + 1/4 − 1 + log 4)/2 = 0.443 nats; from N(1, 4) to N(0, 1):
    (4 + 1 − 1 − log 4)/2 = 1.307 nats.
    """
    ### BEGIN SOLUTION
    log_ratio = log_var[:, None] - room_log_var  # (B, K, Z)
    # in standard deviations of the room
    far = (mu[:, None] - room_mu) * (-room_log_var / 2).exp()
    return 0.5 * (log_ratio.exp() + far.square() - 1 - log_ratio).sum(2)
    ### END SOLUTION


# %% [markdown]
# The example, both ways at once: the KL of a Gaussian to itself is 0, and between two it is not the same there and
# back. Then three images, two rooms, and two dimensions.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

means, log_vars = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [4.0]]).log()
kl = kl_to_each(means, log_vars, means, log_vars)
assert_shape(kl, (2, 2), name="kl_to_each of two to two")
name = "KL among N(0, 1) and N(1, 4): row from, column to"
assert_close(kl, torch.tensor([[0.0, 0.443147], [1.306853, 0.0]]), name=name)
three = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
rooms = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
kl = kl_to_each(three, torch.zeros(3, 2), rooms, torch.zeros(2, 2))
assert_shape(kl, (3, 2), name="kl_to_each of three images to two rooms")
wanted = torch.tensor([[0.0, 12.5], [4.5, 8.0], [8.0, 4.5]])
assert_close(kl, wanted, name="KL where all variances are 1: half the squared distance")

# %% [markdown]
# Graded later, worth 2 points: other sizes, gradients, the narrowest and the widest Gaussians, and a comparison with
# many draws: KL is the mean of $\log q(z) - \log p(z)$ under $q$.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for B, K, Z in ((1, 1, 1), (5, 3, 2), (3, 7, 16), (4, 4, 4)):
    four = [torch.randn(n, Z, generator=chance).requires_grad_() for n in (B, B, K, K)]
    case = f"{B} images, {K} rooms, Z = {Z}"
    kl = kl_to_each(*four)
    assert_shape(kl, (B, K), name=f"kl_to_each, {case}")
    m, v, room_m, room_v = (t.detach().double() for t in four)
    q = torch.distributions.Normal(m[:, None], (v[:, None] / 2).exp())
    room = torch.distributions.Normal(room_m, (room_v / 2).exp())
    right = torch.distributions.kl_divergence(q, room).sum(2)
    assert_close(kl, right, name=f"kl_to_each against torch.distributions, {case}")
    for argument, gradient in zip(
        ("mu", "log_var", "room_mu", "room_log_var"),
        torch.autograd.grad(kl.sum(), four, allow_unused=True),
        strict=True,
    ):
        assert gradient is not None and gradient.any(), (
            f"{argument}: no gradient reaches it. Hint: .detach(), no_grad?"
        )
z = q.sample((20000,))  # of the last case
drawn = (q.log_prob(z) - room.log_prob(z)).sum(3).mean(0)  # (4, 4)
assert_close(
    kl,
    drawn,
    tolerance=0.1,
    name="kl_to_each against the mean of log q(z) − log p(z), 20,000 draws",
)
for extreme in (-120.0, 120.0):
    room_log_vars = torch.tensor([[extreme + 2, extreme]])
    kl = kl_to_each(
        torch.zeros(1, 2), torch.full((1, 2), extreme), torch.zeros(1, 2), room_log_vars
    )
    name = f"log-variances {extreme:g} against {extreme + 2:g} and {extreme:g} (0 · ∞ and ∞/∞ are NaN; −120 − (−118) is −2)"
    assert_close(kl, torch.tensor([[0.567668]]), name=name)
far_off = kl_to_each(
    torch.tensor([[1000.0]]),
    torch.tensor([[-40.0]]),
    torch.tensor([[1001.0]]),
    torch.tensor([[0.0]]),
)
assert_close(
    far_off,
    torch.tensor([[20.0]]),
    name="a point at 1000, to N(1001, 1): 1/2 − 1/2 + 40/2",
)
### END HIDDEN TESTS

# %% [markdown]
# Your function trains a VAE with ten rooms. Decoder and encoder never hear which digit an image is: only the price of
# its code says so. Rooms are parameters, and move as they like.

# %% nbgrader={"grade": false, "grade_id": "exercise2_training", "locked": true, "schema_version": 3, "solution": false, "task": false}
config = VAEConfig(likelihood="bernoulli", latent=8, features=128, dropout=0.1)
rooms_vae = VAE(config, generator=generator)
# they start apart
rooms_vae.room_mu = torch.nn.Parameter(2 * torch.randn(10, 8, generator=generator))
rooms_vae.room_log_var = torch.nn.Parameter(torch.full((10, 8), -1.0))


def minus_elbo(model, x, y):
    """x (B, 1, 8, 8), y (B,): the digits -> −ELBO (B,) nats of log p(x | y), each digit with its room for a prior."""
    mu, log_var = model.encoder(x)
    kl = kl_to_each(mu, log_var, model.room_mu, model.room_log_var)  # (B, 10)
    z = rsample(mu, log_var, generator=noise)
    return kl.gather(1, y[:, None])[:, 0] - model.log_likelihood(x, z)


fit(rooms_vae, (x, y), loss=minus_elbo, **knobs)
rooms_vae.cpu()
room_mu, room_log_var = rooms_vae.room_mu.detach(), rooms_vae.room_log_var.detach()

# %% [markdown]
# What is it good for? Draw from a room, and you have said which digit. Turn it round: the room that is nearest to an
# image's $q(z \mid x)$ says which digit *it* is. And rooms have distances: which digits are neighbours?

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
judge = DigitJudge((16 * x, y), (16 * x_valid, y_valid), generator=generator)
wanted = torch.arange(10).repeat(100)
with torch.no_grad():
    z = rsample(room_mu[wanted], room_log_var[wanted], generator=generator)
    images = rooms_vae.observe(z)
    kl = kl_to_each(*rooms_vae.encoder(x_test), room_mu, room_log_var)  # (447, 10)
    between = kl_to_each(room_mu, room_log_var, room_mu, room_log_var)  # (10, 10)
    between.fill_diagonal_(math.nan)
obeyed = (judge.label(16 * images) == wanted).float().mean().item()
recognised = (kl.argmin(1) == y_test).float().mean().item()
judged = (judge.label(16 * x_test) == y_test).float().mean().item()
print(f"1000 draws from the rooms: {obeyed:.0%} are the digit asked for", end=" ")
print(f"(of real ones the judge knows {judged:.0%})")
print(f"held-out digits: {recognised:.0%} have their own room nearest (chance: 10%)")
fig = plt.figure(figsize=(9, 3.4), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=(5, 4))
for ax, image in zip(left.subplots(4, 10).flat, images, strict=False):
    show(ax, image)
left.suptitle("drawn from the rooms 0 to 9")
ax = right.subplots()
drawn = ax.imshow(between.clamp(max=60), cmap="magma_r", vmin=0)
right.colorbar(drawn, label="KL, nats (60 or more: black)")
ax.set(xlabel="to room", ylabel="from room", xticks=range(10), yticks=range(10))
assert obeyed > 0.93 > judged and recognised > 0.75, "a room is a digit"
assert between.nan_to_num(math.inf).min() > 3, "and no two rooms are one"

# %% [markdown]
# The chapter's conditional VAE tells its decoder the digit, and this one tells its prior: the decoder is still one map
# of all codes. The judge recognises 97 per cent of the draws and 89 of the real digits. But each pixel shows its
# likeliest value here: with pixels drawn from the model it is 88 per cent of the draws. And a classifier came along for
# nothing. It does what the E step does, with $q(z \mid x)$ in the point's place: $p(k \mid x)$ is about
# `(-kl).softmax(1)`.

# %% [markdown]
# ## 3 When may a bound be trusted?
#
# `log_prob_bound` draws $S$ codes from $q(z \mid x)$, weighs each with $w = p(x, z) / q(z \mid x)$, and takes the
# logarithm of the mean weight. It rises with $S$ to $\log p(x)$, on average. To *see* it rise, do not draw again for
# every $S$: draw all $S$ weights once, cut them into groups of $k$, and average the bounds of the $S/k$ groups. If the
# smaller groups lie inside the larger ones, the curve cannot fall, not even by chance. (Jensen again. Where?)
#
# And has it arrived? A first answer is the **effective sample size** of assignment 4, now of all $S$ weights: how many
# equal ones would be worth as much?
#
# $$ \text{bound}_k = \frac{k}{S} \sum_{\text{groups}} \log \frac1k \sum_{s \in \text{group}} w_s, \qquad
#    \text{ESS} = \frac{\left(\sum_s w_s\right)^2}{\sum_s w_s^2} \in [1, S] $$


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bound_curve(log_w, sizes):
    """The importance-weighted bound at several numbers of samples, from one set of weights, and their worth.

    log_w (S, B): logarithms of S importance weights for each of B images; they may be near −1000, and differ by 1000.
    sizes: a list of whole numbers, each of which divides S.
    -> (bounds, ess): bounds (len(sizes), B) in nats: for size k, cut each image's S weights into S/k groups of k that
    stand one after another (rows 0 to k − 1, k to 2k − 1, …), take the logarithm of the mean weight of each group, and
    average over the groups. ess (B,): the effective sample size of all S weights, from 1 to S.
    Example: S = 4, one image with weights 1, 3, 2, 6. Groups of 2 have means 2 and 4, so the bound is (log 2 + log 4)/2;
    the group of 4 has mean 3. ess is 12²/(1 + 9 + 4 + 36) = 2.88.
    """
    ### BEGIN SOLUTION
    bounds = []
    for k in sizes:
        groups = log_w.unflatten(0, (-1, k))  # (S/k, k, B)
        bounds.append((groups.logsumexp(1) - math.log(k)).mean(0))
    return torch.stack(bounds), 1 / log_w.softmax(0).square().sum(0)
    ### END SOLUTION


# %% [markdown]
# The example, and beside it an image whose weights are all 5: every bound is $\log 5$, and four weights are worth four.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

log_w = torch.tensor([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0], [6.0, 5.0]]).log()  # (4, 2)
bounds, ess = bound_curve(log_w, [1, 2, 4])
assert_shape(bounds, (3, 2), name="bounds, three sizes and two images")
assert_shape(ess, (2,), name="ess, two images")
first, second = bounds.T
wanted = torch.tensor([36**0.25, 8**0.5, 3.0]).log()
name = "bounds for weights 1, 3, 2, 6: log 36 / 4, log 8 / 2, log 3"
assert_close(first, wanted, name=name)
wanted = torch.tensor([5.0, 5.0, 5.0]).log()
assert_close(second, wanted, name="bounds for weights 5, 5, 5, 5")
assert_close(ess, torch.tensor([2.88, 4.0]), name="ess of 1, 3, 2, 6 and of 5, 5, 5, 5")

# %% [markdown]
# Graded later, worth 2 points: more weights, other sizes, and weights that are 0 for a computer.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for S, B, sizes, level in (
    (12, 3, [1, 3, 4, 12], 0.0),
    (60, 1, [20, 5], -900.0),
    (30, 4, [30], 600.0),
):
    log_w = level + 3 * torch.randn(S, B, generator=chance)
    kept = log_w.clone()
    bounds, ess = bound_curve(log_w, sizes)
    case = f"{S} weights near e^{level:g}, {B} images, sizes {sizes}"
    assert_close(log_w, kept, name=f"log_w, which must stay as it was; {case}")
    assert_shape(bounds, (len(sizes), B), name=f"bounds, {case}")
    exact = (log_w.double() - level).exp()
    for row, k in zip(bounds, sizes, strict=True):
        right = level + torch.stack(
            [part.mean(0).log() for part in exact.split(k)]
        ).mean(0)
        assert_close(
            row - level,
            right - level,
            tolerance=1e-3,
            name=f"bounds for size {k} (less {level:g}), {case}",
        )
    assert_shape(ess, (B,), name=f"ess, {case}")
    assert_close(
        ess,
        exact.sum(0) ** 2 / exact.square().sum(0),
        tolerance=5e-3,
        name=f"ess, {case}",
    )
log_w = torch.tensor([[0.0], [-1000.0], [-1000.0], [-1000.0]])
bounds, ess = bound_curve(log_w, sizes=[1, 2, 4])
wanted = torch.tensor([[-750.0], [(-math.log(2) - 1000) / 2], [-math.log(4)]])
assert_close(
    bounds,
    wanted,
    tolerance=1e-6,
    name="bounds where one weight is 1 and three are e^−1000",
)
assert_close(ess, torch.ones(1), name="ess where one weight is 1 and three are e^−1000")
### END HIDDEN TESTS

# %% [markdown]
# Now hold it against the truth, which the grid knows. Four places to draw codes from: the encoder's $q(z \mid x)$; the
# same with half and with twice its standard deviation; and the prior, which has not looked at the image.


# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def log_weights(mu, log_var, S):
    """S draws z from N(mu, exp(log_var)), for each test image: log p(x, z) − log q(z | x), (S, 447)."""
    found, nothing = [], torch.zeros_like(mu)
    for _ in range(S):
        z = rsample(mu, log_var, generator=generator)
        prior = gaussian_log_prob(nothing, nothing, z)
        q = gaussian_log_prob(mu, log_var, z)
        found.append(vae.log_likelihood(x_test, z) + prior - q)
    return torch.stack(found)


# 1 to 512: each group lies inside one of the next size
sizes = [2**i for i in range(10)]
with torch.no_grad():
    mu, log_var = vae.encoder(x_test)
    proposals = {
        "q, half as wide": (mu, log_var - math.log(4)),
        "q": (mu, log_var),
        "q, twice as wide": (mu, log_var + math.log(4)),
        "prior": (0 * mu, 0 * log_var),
    }
    curves = {}
    for name, where in proposals.items():
        curves[name] = bound_curve(log_weights(*where, 512), sizes)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
gaps, worth = {}, {}
print("                  missing, nats an image   effective sample size of 512")
print("                    K = 1     K = 512       typical   unlucky tenth")
for name, (bounds, ess) in curves.items():
    ax.plot(bounds.mean(1), "o-", label=name)
    gaps[name] = log_px.mean() - bounds.mean(1)
    worth[name] = ess.quantile(torch.tensor([0.5, 0.1])).tolist()
    (one, *_, many), (typical, unlucky) = gaps[name], worth[name]
    print(f"{name:18}{one:7.2f}{many:12.3f}{typical:14.0f}{unlucky:13.0f}")
    never_falls = (bounds.diff(dim=0) > -1e-3).all()
    assert never_falls, "groups inside groups: no image's curve falls"
ax.axhline(log_px.mean(), color="black", linestyle="--", label="log p(x), by the grid")
ax.set(xlabel="samples K", ylabel="nats an image")
ax.set_ylim(log_px.mean() - 3, log_px.mean() + 0.2)
ax.set_xticks(range(10), sizes)
ax.legend()
q, wide, prior = (gaps[name] for name in ("q", "q, twice as wide", "prior"))
assert q[0] < min(wide[0], prior[0]), "with one sample, nothing beats what was trained"
assert wide[-1] < q[-1] / 2, "with many, a wider one does"
q, wide = worth["q"], worth["q, twice as wide"]
assert wide[0] < q[0] and wide[1] > q[1], "worse for most, better for the unlucky"

# %% [markdown]
# With one sample, $q$ wins: that is what the ELBO trained it for. With 512, twice its width comes much nearer to the
# truth, though its effective sample size is *smaller* on a typical image. The unlucky tenth decides. Who are they? Two
# with the most nats missing, then two with the most missing of those whose effective sample size is above 50.

# %% nbgrader={"grade": false, "grade_id": "exercise3_why", "locked": true, "schema_version": 3, "solution": false, "task": false}
missing, ess = log_px - curves["q"][0][-1], curves["q"][1]  # (447,) nats, (447,)
order = missing.argsort(descending=True)
worst, others = missing[order[:45]].mean(), missing[order[45:]].mean()
print(f"q, K = 512: {worst:.2f} nats missing in the worst tenth,", end=" ")
print(f"{others:.2f} in the others")
fig, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
chosen = [*order[:2], *order[ess[order] > 50][:2]]
for i, (ax_image, ax) in zip(chosen, axes.reshape(4, 2), strict=True):
    show(ax_image, x_test[i], f"{missing[i]:.1f} nats")
    posterior = (log_px_z[i] + grid_log_prior).softmax(0).view(91, 91)
    plane = dict(origin="lower", extent=(-4.5, 4.5, -4.5, 4.5), cmap="magma")
    ax.imshow(posterior.T.sqrt(), **plane)
    width, height = 4 * (log_var[i] / 2).exp()  # two standard deviations to each side
    ellipse = Ellipse(mu[i], width, height, fill=False, color="cyan")
    ax.add_artist(ellipse)
    ax.set(xticks=[], yticks=[], title=f"ESS {ess[i]:.0f}")
assert worst > 0.5 > 0.1 > others.abs(), "a few images are the trouble"
unnoticed = missing[ess > 50].max()
assert unnoticed > 0.3, "and not all of them were to be seen in the weights"

# %% [markdown]
# Right of each digit is the plane of codes: bright is the true $p(z \mid x)$, which the grid knows, and the ellipse is
# $q$ (two standard deviations). For the first two, $q$ is beside the point, and the weights say so: a few lucky draws
# have nearly all. The last two have bright places where $q$ *hardly ever draws*. The weights that it drew agree
# with each other well enough, for they come from where $q$ was looking. So a small effective sample size is a warning, and a
# large one no proof. If you must measure with many samples, draw from something a little *wider* than what you believe.

# %% [markdown]
# ## 4 Half an image
#
# The encoder has only seen whole images. Give it half of one, paper for the rest, and it takes the paper for a fact.
# But nobody needs it: the decoder and the prior say everything, by Bayes' rule. Take many codes $z_s$, and ask of each
# how well it explains the pixels that are *known*:
#
# $$ w_s = p(z_s \mid \text{known}) \propto p(z_s) \prod_{d\ \text{known}} p(x_d \mid z_s), \qquad
#    p(x_d = 1 \mid \text{known}) = \sum_s w_s\, p(x_d = 1 \mid z_s) \;\text{ for unknown } d $$
#
# Compare assignment 4. There a painter had to fill the hole first, again and again, before the fillings could be weighed.
# Here, given $z$, pixels are independent, so the unknown ones simply drop out of the product. It does not matter where
# they are.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fill_in(logits, log_prior, x, known):
    """Which codes explain the known pixels of an image, and how likely ink is in the others.

    logits (S, C, H, W) float, from −1000 to 1000: for each of S codes the decoder's, p(ink | code) = sigmoid(logit).
    log_prior (S,): log p(code) plus some constant, so that its exp need not sum to 1. x (C, H, W) long, 0 paper or 1 ink, where the pixel is known;
    what stands in unknown pixels means nothing (it may be −1). known (C, H, W) bool: no pixel may be known, or all.
    -> (weights, p): weights (S,), p(code | known pixels), which sum to 1; p (C, H, W) float: the probability of ink in
    each unknown pixel given all known ones, and in the known pixels what x says, 0.0 or 1.0.
    Example: two equally likely codes and two pixels; the first code says ink with 0.8 and 0.9, the second with 0.2 and
    0.5. The left pixel is known: ink. Then the weights are 0.8 and 0.2, and p is 1.0 and 0.8 · 0.9 + 0.2 · 0.5 = 0.82.
    """
    ### BEGIN SOLUTION
    # (S, C, H, W)
    log_p = torch.nn.functional.logsigmoid(torch.where(x == 1, logits, -logits))
    log_w = log_prior + torch.where(known, log_p, 0.0).flatten(1).sum(1)
    weights = log_w.softmax(0)
    p = (weights[:, None, None, None] * logits.sigmoid()).sum(0)
    return weights, torch.where(known, x.to(p.dtype), p)
    ### END SOLUTION


# %% [markdown]
# The example; the same where the second code is four times as likely from the start, and the left pixel is paper; and
# with nothing known, when only the prior speaks.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

two_codes = torch.tensor([[0.8, 0.9], [0.2, 0.5]]).logit().view(2, 1, 1, 2)
left_known = torch.tensor([[[True, False]]])
weights, p = fill_in(two_codes, torch.zeros(2), torch.tensor([[[1, 0]]]), left_known)
assert_shape(weights, (2,), name="weights, one for each code")
assert_close(weights, torch.tensor([0.8, 0.2]), name="weights in the example")
assert_shape(p, (1, 1, 2), name="p, of an image of two pixels")
wanted = torch.tensor([[[1.0, 0.82]]])
assert_close(p, wanted, name="p in the example: known ink, then 0.8 · 0.9 + 0.2 · 0.5")
skewed = torch.tensor([1.0, 4.0]).log()
weights, p = fill_in(two_codes, skewed, torch.tensor([[[0, 1]]]), left_known)
wanted = torch.tensor([1 / 17, 16 / 17])
assert_close(weights, wanted, name="weights, prior 1 : 4, the known pixel is paper")
wanted = torch.tensor([[[0.0, 8.9 / 17]]])
assert_close(p, wanted, name="p, prior 1 : 4, the known pixel is paper")
nothing = torch.zeros_like(left_known)
weights, p = fill_in(two_codes, skewed, torch.tensor([[[-1, -1]]]), nothing)
wanted = torch.tensor([0.2, 0.8])
assert_close(weights, wanted, name="weights, prior 1 : 4, nothing is known")
assert_close(p, torch.tensor([[[0.32, 0.58]]]), name="p, prior 1 : 4, nothing is known")

# %% [markdown]
# Graded later, worth 2 points: other sizes, all pixels known, decoders that are very sure, and known pixels that hardly
# any code explains; compared with all images priced.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)
for S, C, H, W in ((5, 1, 2, 3), (40, 2, 2, 2), (3, 1, 1, 8)):
    logits, log_prior = (
        2 * torch.randn(S, C, H, W, generator=chance),
        torch.randn(S, generator=chance),
    )
    D = C * H * W
    # (2^D, C, H, W)
    everything = torch.cartesian_prod(*[torch.arange(2)] * D).view(-1, C, H, W)
    ink = torch.distributions.Bernoulli(logits=logits.double())
    log_pz = log_prior.double().log_softmax(0)
    # (2^D, S)
    log_joint = log_pz + ink.log_prob(everything[:, None].double()).flatten(2).sum(2)
    for _ in range(3):
        known = torch.rand(C, H, W, generator=chance) < 0.5
        image = everything[int(torch.randint(len(everything), (), generator=chance))]
        possible = (everything == image)[:, known].all(1)
        share = log_joint[possible].flatten().softmax(0).view(-1, S)
        right = torch.einsum("ns,nchw->chw", share, everything[possible].double())
        case = f"{S} codes, {C}×{H}×{W}, {int(known.sum())} of {D} pixels known"
        for junk in (-1, 0, 1):  # in the unknown pixels
            given = torch.where(known, image, junk)
            weights, p = fill_in(logits, log_prior, given.clone(), known.clone())
            assert_shape(weights, (S,), name=f"weights, {case}")
            assert_close(
                weights,
                share.sum(0),
                name=f"weights, {case}, {junk} in the unknown ones",
            )
            assert_shape(p, (C, H, W), name=f"p, {case}")
            assert_close(
                p,
                right,
                name=f"p against all images priced, {case}, {junk} in the unknown ones",
            )
    weights, p = fill_in(logits, log_prior, image, torch.ones_like(known))
    assert_close(p, image, name="p where all pixels are known: the image")
sure = (
    torch.tensor([1000.0, -1000.0, 1000.0]).view(3, 1, 1, 1).expand(3, 1, 1, 3).clone()
)
sure[2, 0, 0, 0] = -1000
weights, p = fill_in(
    sure,
    torch.tensor([0.0, 0.0, -50.0]),
    torch.tensor([[[0, 1, -1]]]),
    torch.tensor([[[True, True, False]]]),
)
assert_close(
    weights,
    torch.tensor([0.0, 0.0, 1.0]),
    name="weights of codes that are sure: two are wrong, one is right",
)
assert_close(p, torch.tensor([[[0.0, 1.0, 1.0]]]), name="p by codes that are sure")
weights, _ = fill_in(
    sure[:1, :, :, :1] + torch.tensor([0.0, 2.0]).view(2, 1, 1, 1),
    torch.zeros(2),
    torch.zeros(1, 1, 1).long(),
    torch.ones(1, 1, 1) > 0,
)
assert_close(
    weights,
    torch.tensor([0.880797, 0.119203]),
    name="weights of two codes with logits 1000 and 1002; it is paper",
)
large = torch.stack([torch.full((1, 40, 50), 2.0), torch.full((1, 40, 50), 1.99)])
half = (torch.arange(40) < 20)[None, :, None].expand(1, 40, 50)
weights, p = fill_in(
    large, torch.zeros(2), torch.zeros(1, 40, 50, dtype=torch.long), half
)
price = 1000 * torch.nn.functional.logsigmoid(-large[:, 0, 0, 0].double())
assert_close(
    weights,
    price.softmax(0),
    tolerance=1e-2,
    name="weights where the known pixels cost 2000 nats",
)
### END HIDDEN TESTS

# %% [markdown]
# Hide half of each of a hundred held-out digits, and let four fillers say how likely ink is in each hidden pixel. What
# does the hidden half cost?

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
upper = (torch.arange(8) < 4)[None, :, None].expand(1, 8, 8)
# what is hidden: what is known
halves = {"lower": upper, "upper": ~upper, "right": upper.mT, "left": ~upper.mT}


def cost(p, image, known):  # of the hidden pixels, nats
    p, ink = p[~known], image[~known].float()
    return torch.nn.functional.binary_cross_entropy(p, ink, reduction="sum").item()


print("hidden half, nats:  nothing known  encoder  best code  weighed codes")
for name, known in halves.items():
    costs = []
    with torch.no_grad():
        unknown = torch.zeros_like(known)
        _, p_nothing = fill_in(grid_logits, grid_log_prior, x_test[0], unknown)
        # it takes the hidden half for paper
        p_encoder = vae(torch.where(known, x_test[:100], 0)).sigmoid()
    for image, p_image in zip(x_test[:100], p_encoder, strict=True):
        weights, p = fill_in(grid_logits, grid_log_prior, image, known)
        p_best = grid_logits[weights.argmax()].sigmoid()
        costs.append([cost(q, image, known) for q in (p_nothing, p_image, p_best, p)])
    nothing, encoder, best, weighed = torch.tensor(costs).mean(0).tolist()
    print(f"{name:22}{nothing:9.2f}{encoder:11.2f}{best:9.2f}{weighed:12.2f}")
    assert weighed < min(nothing, encoder, best), "known pixels help, and hedging pays"

# %% [markdown]
# The encoder is no help: asked about a half, it can be worse than one who has seen nothing. The single best code is too
# sure of itself. Look at what the weights know, for the three digits with the widest posteriors and the three with the
# narrowest.

# %% nbgrader={"grade": false, "grade_id": "exercise4_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
found = [fill_in(grid_logits, grid_log_prior, image, upper) for image in x_test[:100]]
spread = [(w @ grid.square() - (w @ grid).square()).sum() for w, _ in found]
spread = torch.stack(spread)
order = spread.argsort(descending=True)
fig, axes = plt.subplots(5, 6, figsize=(7, 6), layout="constrained")
for column, i in zip(axes.T, [*order[:3], *order[-3:]], strict=True):
    weights, p = found[i]
    show(column[0], x_test[i])
    show(column[1], torch.where(upper, x_test[i], 0.3))
    column[2].imshow(weights.view(91, 91).T.sqrt(), origin="lower", cmap="magma")
    column[2].set(xticks=[], yticks=[])
    show(column[3], p)
    drawn = grid_logits[weights.multinomial(1, generator=generator)[0]].sigmoid()
    show(column[4], torch.where(upper, x_test[i].float(), drawn))
rows = "digit", "known", "p(z | known)", "p(ink | known)", "one code"
for ax, label in zip(axes[:, 0], rows, strict=True):
    ax.set_ylabel(label)
assert spread.max() > 5 * spread.min(), "some upper halves say all, others little"

# %% [markdown]
# Where an upper half fits more than one digit, the codes have several hills, and their average is a blur: not a bad
# picture but an honest probability. *One* code drawn by its weight is one possible ending (the last row). A network
# that answers with one Gaussian, as $q$ does, cannot say "either here or there". Neither can it be asked about holes
# that it was not trained on, while the decoder and the prior can be asked anything. The price is the grid: it has
# $91^2$ codes for two dimensions, and would need $91^{16}$ for sixteen. There one draws codes, and exercise 3 says when
# to trust them.

# %% [markdown]
# ## What you saw
#
# - Who made this image? A stencil, a room, a code: each time the answer is prior times likelihood, over their sum. EM's
#   responsibilities, a classifier for nothing, importance weights and a filled hole are the same line of code.
# - Do sums of logarithms, and turn back at the end. A product of two thousand probabilities is 0.
# - A prior may be learnt and may know what you want: then drawing from it is asking for it.
# - A bound that has stopped rising has not always arrived, and weights cannot vote for what was never drawn.
