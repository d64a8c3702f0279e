# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 7, second page: what does a code cost, and what is it worth?
#
# **You will give every digit its own room among the codes, find out when a bound can be trusted, and complete half an
# image, a task that no encoder was trained for.**
#
# *Laptop: 20 seconds. You need: the [second page of chapter 7](../chapters/07_vae.ipynb). Three exercises, 3 points
# each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line
# `raise NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it
# found. A few more checks run when your work is graded; they test nothing that the docstring does not say. You may add
# cells anywhere. The check cells are restored before grading. No exercise needs the answer to another one. To begin with
# a later one, run the cells above exercise 1, then go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

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
# These are the chapter's digits, reduced to ink and paper. One small VAE serves exercises 2 and 3. Its codes have only
# two numbers. So a grid can cover all the codes that the prior is likely to draw, and the integral over $z$, which a VAE
# cannot compute, becomes a sum. Here, for once, we know $\log p(x)$.

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
# ## 1 A room for every digit
#
# A VAE has the same prior, $N(0, 1)$, for every image. But a prior can be learnt too. If we know which digit an image
# shows, each digit $k$ can have a prior of its own: a *room* among the codes, $p(z \mid k) = N(\mu_k, \sigma_k^2)$. The
# price of a code is then the KL divergence between two Gaussians, and neither of them is $N(0, 1)$. In one dimension,
# from $N(m, s^2)$ to $N(\mu, \sigma^2)$:
#
# $$ \text{KL} = \tfrac12 \left( \frac{s^2}{\sigma^2} - 1 - \log \frac{s^2}{\sigma^2}
#    + \frac{(m - \mu)^2}{\sigma^2} \right) $$
#
# The KLs of independent dimensions add up. And if nobody tells us the digit? Then the prior is a mixture of all rooms,
# $p(z) = \sum_k \pi_k\, p(z \mid k)$, and the KL to a mixture has no closed form. The first page of the chapter has the
# remedy. For any shares $r_k$ that sum to 1, Jensen's inequality gives
# $\log p(z) \ge \sum_k r_k \log \frac{\pi_k\, p(z \mid k)}{r_k}$. Subtract both sides from $\log q(z)$ and average over
# $q$. The KL to the mixture is at most $\sum_k r_k (\text{KL}_k + \log \frac{r_k}{\pi_k})$, and the shares that make this
# smallest are $r_k \propto \pi_k e^{-\text{KL}_k}$. Put them in, and
#
# $$ \text{KL}\Big(q \,\Big\|\, \sum_k \pi_k\, p(z \mid k)\Big) \;\le\; -\log \sum_k \pi_k\, e^{-\text{KL}_k} $$
#
# Three things can go wrong in a computer. You are given logarithms of variances: two tiny variances have a quotient even
# where each of them is rounded to 0. The number $1/\sigma^2$ can be $\infty$ where $1/\sigma$ is not, so divide first and
# square afterwards. With $r = \log (s^2 / \sigma^2)$, the first three terms are $e^r - 1 - r$. Where two Gaussians nearly
# agree, it is a small difference between large numbers. Its digits are lost, and it may even come out below 0. PyTorch
# has a function for $e^r - 1$ that keeps them. (`torch.distributions.kl_divergence` does not use it.)


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def price_of_rooms(mu, log_var, log_pi, room_mu, room_log_var):
    """What each image's code costs in nats: in each room, and in all rooms together.

    mu, log_var (B, Z): a Gaussian for each of B images, its dimensions independent; room_mu, room_log_var (K, Z): one
    for each of K rooms. Logarithms of variances are from −120 to 120. log_pi (K,): the logarithms of the rooms' weights.
    -> (kl, bound). kl (B, K): KL( N(mu, exp(log_var)) ‖ N(room_mu, exp(room_log_var)) ), summed over the Z dimensions;
    ∞ only where the KL itself is too large for a float32. It is never negative, not even by rounding, and it is right to
    1 per cent of itself also where two Gaussians nearly agree: where their variances differ by one part in a thousand,
    or their means by a thousandth of a standard deviation.
    bound (B,): −log Σ_k exp(log_pi_k) · exp(−kl_k), also where every kl_k is thousands of nats. Autograd gives
    the right gradients of kl and of bound for all five arguments (kl does not depend on log_pi), also where a mean equals
    a room's. Only where a kl or a gradient is too large for a float32 may they be NaN.
    Example: Z = 1, from N(0, 1) to N(1, 4): (1/4 − 1 + log 4 + 1/4)/2 = 0.443 nats; from N(1, 4) to N(0, 1):
    (4 − 1 − log 4 + 1)/2 = 1.307 nats. With these two as rooms, of weight 1/2 each, the bound for N(0, 1) is
    −log(1/2 + e^−0.443/2) = 0.197.
    """
    ### BEGIN SOLUTION
    log_ratio = log_var[:, None] - room_log_var  # (B, K, Z)
    # in standard deviations of the room
    far = (mu[:, None] - room_mu) * (-room_log_var / 2).exp()
    kl = 0.5 * (log_ratio.expm1() - log_ratio + far.square()).sum(2)
    return kl, -(log_pi - kl).logsumexp(1)
    ### END SOLUTION


# %% [markdown]
# First the example, in both directions: the KL of a Gaussian to itself is 0, and between two different ones it depends on
# the direction. Then three images and two rooms in two dimensions.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

means, log_vars = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [4.0]]).log()
even = torch.tensor([0.5, 0.5]).log()
kl, bound = price_of_rooms(means, log_vars, even, means, log_vars)
assert_shape(kl, (2, 2), name="kl of two to two")
name = "KL among N(0, 1) and N(1, 4): row from, column to"
assert_close(kl, torch.tensor([[0.0, 0.443147], [1.306853, 0.0]]), name=name)
assert_shape(bound, (2,), name="bound, one number an image")
name = "bound for N(0, 1) and N(1, 4), rooms of equal weight"
assert_close(bound, torch.tensor([0.197224, 0.453602]), name=name)
three = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
rooms = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
uneven = torch.tensor([0.2, 0.8]).log()
kl, bound = price_of_rooms(three, torch.zeros(3, 2), uneven, rooms, torch.zeros(2, 2))
assert_shape(kl, (3, 2), name="kl of three images to two rooms")
wanted = torch.tensor([[0.0, 12.5], [4.5, 8.0], [8.0, 4.5]])
assert_close(kl, wanted, name="KL where all variances are 1: half the squared distance")
name = "bound for rooms of weight 0.2 and 0.8"
assert_close(bound, torch.tensor([1.609423, 5.995405, 4.715623]), name=name)

# %% [markdown]
# Graded later, worth 2 points: other sizes, gradients, the narrowest and the widest Gaussians, Gaussians that nearly
# agree, rooms that are all far away, and a comparison with many draws: KL is the mean of $\log q(z) - \log p(z)$ under
# $q$.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for B, K, Z in ((1, 1, 1), (5, 3, 2), (3, 7, 16), (4, 4, 4)):
    five = [torch.randn(n, Z, generator=chance) for n in (B, B, K, K)]
    five.insert(2, torch.randn(K, generator=chance).log_softmax(0))
    five[0][0] = five[3][0]  # the first image's means are the first room's
    twins = [t.double().requires_grad_() for t in five]
    five = [t.requires_grad_() for t in five]
    case = f"{B} images, {K} rooms, Z = {Z}"
    kl, bound = price_of_rooms(*five)
    assert_shape(kl, (B, K), name=f"kl, {case}")
    m, v, weights, room_m, room_v = twins
    q = torch.distributions.Normal(m[:, None], (v[:, None] / 2).exp())
    room = torch.distributions.Normal(room_m, (room_v / 2).exp())
    right_kl = torch.distributions.kl_divergence(q, room).sum(2)
    assert_close(kl, right_kl, name=f"kl against torch.distributions, {case}")
    assert_shape(bound, (B,), name=f"bound, {case}")
    right_bound = -(weights.exp() * (-right_kl).exp()).sum(1).log()
    assert_close(bound, right_bound, name=f"bound, {case}")
    for what, got, right in (("kl", kl, right_kl), ("bound", bound, right_bound)):
        assert got.requires_grad, (
            f"{what}: expected gradients, got none. Hint: .detach(), no_grad?"
        )
        for argument, mine, twin in zip(
            ("mu", "log_var", "log_pi", "room_mu", "room_log_var"),
            torch.autograd.grad(got.sum(), five, retain_graph=True, allow_unused=True),
            torch.autograd.grad(
                right.sum(), twins, retain_graph=True, allow_unused=True
            ),
            strict=True,
        ):
            if twin is None:
                continue  # log_pi has no part in kl
            assert mine is not None, (
                f"{what}: no gradient reaches {argument}. Hint: .detach(), no_grad?"
            )
            name = f"gradient of {what} in {argument}, {case} (.detach() in one term?)"
            assert_close(mine, twin, tolerance=1e-3, name=name)
# draws of the last case
z = q.mean + q.stddev * torch.randn(20000, 4, 1, 4, generator=chance).double()
drawn = (q.log_prob(z) - room.log_prob(z)).sum(3).mean(0)  # (4, 4)
assert_close(
    kl,
    drawn,
    tolerance=0.1,
    name="kl against the mean of log q(z) − log p(z), 20,000 draws",
)
for extreme, inwards in ((-120.0, -118.0), (120.0, 118.0)):
    here = torch.full((1, 2), extreme)
    kl, _ = price_of_rooms(
        torch.zeros(1, 2),
        here,
        torch.zeros(1),
        torch.zeros(1, 2),
        torch.tensor([[inwards, extreme]]),
    )
    r = extreme - inwards
    assert_close(
        kl,
        torch.tensor([[(math.exp(r) - 1 - r) / 2]]),
        name=f"kl, log-variances {extreme:g} to {inwards:g} and {extreme:g} (0 · ∞ and ∞/∞ are NaN)",
    )
for mean, from_log_var, to_log_var, right in (
    (1e-10, -120.0, -120.0, 1e-20 * math.exp(120) / 2),
    (0.0, 85.0, 0.0, math.exp(85) / 2),
    (0.0, -120.0, 120.0, (240 - 1) / 2),
):
    kl, _ = price_of_rooms(
        torch.tensor([[mean]]),
        torch.tensor([[from_log_var]]),
        torch.zeros(1),
        torch.zeros(1, 1),
        torch.tensor([[to_log_var]]),
    )
    assert_close(
        kl,
        torch.tensor([[right]]),
        tolerance=1e-2,
        name=f"kl from N({mean:g}, e^{from_log_var:g}) to N(0, e^{to_log_var:g})",
    )
far_off, _ = price_of_rooms(
    torch.tensor([[1000.0]]),
    torch.tensor([[-40.0]]),
    torch.zeros(1),
    torch.tensor([[1001.0]]),
    torch.tensor([[0.0]]),
)
assert_close(
    far_off,
    torch.tensor([[20.0]]),
    name="kl of a point at 1000, to N(1001, 1): 1/2 − 1/2 + 40/2",
)
small = 10.0 ** torch.linspace(-7, -1, 400)
small = torch.cat([small, -small])[:, None]  # (800, 1)
none, one = torch.zeros_like(small), torch.zeros(1, 1)
r = small.double()
nats = torch.where(r.abs() < 1e-4, r**2 / 4 * (1 + r / 3), 0.5 * (r.expm1() - r))
for what, means, log_vars, exact in (
    ("log-variances", none, small, nats),
    ("means", small, none, r**2 / 2),
    ("means and log-variances", small, small, r**2 / 2 + nats),
):
    kl, _ = price_of_rooms(means, log_vars, torch.zeros(1), one, one)
    assert kl.min() >= 0, (
        f"kl where {what} nearly agree: expected 0 or more, got {kl.min():.2g}. Hint: e^r − 1 − r loses its digits"
    )
    apart = small.abs() >= 1e-3
    assert_close(
        (kl / exact)[apart],
        torch.ones_like(exact)[apart],
        tolerance=1e-2,
        name=f"kl as a share of the exact one, {what} that differ by a thousandth or more",
    )
remote, bound = price_of_rooms(
    torch.zeros(1, 1),
    torch.zeros(1, 1),
    torch.tensor([0.25, 0.75]).log(),
    torch.tensor([[100.0], [-100.0]]),
    torch.zeros(2, 1),
)
assert_close(
    bound,
    torch.tensor([5000.0]),
    tolerance=1e-6,
    name="bound where both rooms cost 5000 nats (e^−5000 is 0, its logarithm −∞)",
)
### END HIDDEN TESTS

# %% [markdown]
# Now your function trains a VAE with ten rooms. Neither the encoder nor the decoder is told which digit an image shows.
# Only the price of the code depends on it. The rooms are parameters too, and may move anywhere.

# %% nbgrader={"grade": false, "grade_id": "exercise1_training", "locked": true, "schema_version": 3, "solution": false, "task": false}
config = VAEConfig(likelihood="bernoulli", latent=8, features=128, dropout=0.1)
rooms_vae = VAE(config, generator=generator)
# they start apart
rooms_vae.room_mu = torch.nn.Parameter(2 * torch.randn(10, 8, generator=generator))
rooms_vae.room_log_var = torch.nn.Parameter(torch.full((10, 8), -1.0))


def minus_elbo(model, x, y):
    """x (B, 1, 8, 8), y (B,): the digits -> −ELBO (B,) nats of log p(x | y): each digit's room is its prior."""
    mu, log_var = model.encoder(x)
    log_pi = torch.full((10,), -math.log(10), device=mu.device)
    kl, _ = price_of_rooms(mu, log_var, log_pi, model.room_mu, model.room_log_var)
    z = rsample(mu, log_var, generator=noise)
    return kl.gather(1, y[:, None])[:, 0] - model.log_likelihood(x, z)


fit(rooms_vae, (x, y), loss=minus_elbo, **knobs)
rooms_vae.cpu()
room_mu, room_log_var = rooms_vae.room_mu.detach(), rooms_vae.room_log_var.detach()

# %% [markdown]
# What is this good for? First, you can ask for a digit: draw a code from its room. Second, you can ask which digit an
# image shows: find the room where its code is cheapest. Third, you can measure what the label is worth: compare the price
# of a code in its own room with the price when nobody names the room. The draws below are shown in two ways, with the
# likeliest value of every pixel, and with every pixel drawn.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
judge = DigitJudge((16 * x, y), (16 * x_valid, y_valid), generator=generator)
wanted, even = torch.arange(10).repeat(100), torch.full((10,), -math.log(10))
rooms = even, room_mu, room_log_var
with torch.no_grad():
    z = rsample(room_mu[wanted], room_log_var[wanted], generator=generator)
    ways = {"likeliest": rooms_vae.observe(z)}
    ways["drawn"] = rooms_vae.observe(z, generator=generator)
    mu, log_var = rooms_vae.encoder(x_test)
    kl, bound = price_of_rooms(mu, log_var, *rooms)  # (447, 10), (447,)
    between, _ = price_of_rooms(room_mu, room_log_var, *rooms)  # (10, 10)
    between.fill_diagonal_(math.nan)
    # the KL to the mixture of all rooms, by 300 draws from each image's q
    z = rsample(
        mu.expand(300, -1, -1), log_var.expand(300, -1, -1), generator=generator
    )
    log_q = gaussian_log_prob(
        mu.repeat(300, 1), log_var.repeat(300, 1), z.flatten(0, 1)
    )
    log_room = [
        gaussian_log_prob(m.expand(len(log_q), -1), v, z.flatten(0, 1))
        for m, v in zip(room_mu, room_log_var, strict=True)
    ]
    by_draws = log_q - (torch.stack(log_room) + even[:, None]).logsumexp(0)
    by_draws = by_draws.view(300, -1).mean(0)  # (447,)
print("1000 draws from the rooms, the judge reads the digit that was asked for:")
obeyed = {}
for way, images in ways.items():
    obeyed[way] = (judge.label(16 * images) == wanted).float().mean().item()
    print(f"  {way:10}{obeyed[way]:4.0%}")
judged = (judge.label(16 * x_test) == y_test).float().mean().item()
print(f"  (its own label for held-out digits: {judged:.0%})")
own, home = kl.gather(1, y_test[:, None])[:, 0], kl.argmin(1) == y_test
prices = {}
print("held-out digits, nats a code    own room  all rooms  at most")
for name, chosen in (("cheapest at home", home), ("cheaper elsewhere", ~home)):
    prices[name] = [price[chosen].mean().item() for price in (own, by_draws, bound)]
    print(f"{name:18}({chosen.float().mean():4.0%})", end="      ")
    print("{:8.2f}{:11.2f}{:9.2f}".format(*prices[name]))
fig = plt.figure(figsize=(9, 3.4), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=(5, 4))
for ax, image in zip(left.subplots(4, 10).flat, ways["drawn"], strict=False):
    show(ax, image)
left.suptitle("drawn from the rooms 0 to 9")
ax = right.subplots()
drawn = ax.imshow(between.clamp(max=60), cmap="magma_r", vmin=0)
right.colorbar(drawn, label="KL, nats (60 or more: black)")
ax.set(xlabel="to room", ylabel="from room", xticks=range(10), yticks=range(10))
assert min(obeyed.values()) > 0.8 and home.float().mean() > 0.8, "chance: 0.1"
assert between.nan_to_num(math.inf).min() > 3, "no two rooms are one"
own, all_rooms, at_most = prices["cheapest at home"]
assert math.log(10) - 0.5 < all_rooms - own < math.log(10), (
    "a label in ten: log 10 nats"
)
assert all(p[1] < p[2] for p in prices.values()), "an upper bound"
assert prices["cheaper elsewhere"][0] > prices["cheaper elsewhere"][1] + 1

# %% [markdown]
# Ask a room for its digit, and the judge reads that digit in about 97 per cent of the draws when each pixel takes its
# likeliest value. When the pixels are drawn, as on the left, it is about 89 per cent. Of real held-out digits it also
# reads about 89 per cent. So these draws are as legible as real digits to this judge, which says nothing about how
# varied they are.
#
# The table splits the held-out digits into two groups. For about 89 per cent the code is cheapest in the room of its own
# digit: a classifier came for free. It does what the E step of a mixture does, with $q(z \mid x)$ in place of a point, and
# $p(k \mid x)$ is about `(log_pi - kl).softmax(1)`. For this group, a code costs 2.2 nats more when nobody names the
# room. The label chooses one room in ten, and $\log 10$ is 2.3 nats. For the other group, the label costs more than it
# saves: the image lies in the wrong room, and its code is far from its own room. The bound is above the true price by
# about 0.1 nats in the first group and 0.8 in the second, where codes lie between rooms.

# %% [markdown]
# ## 2 When can a bound be trusted?
#
# `log_prob_bound` draws $S$ codes from $q(z \mid x)$, gives each the weight $w = p(x, z) / q(z \mid x)$, and takes the
# logarithm of the mean weight. On average this rises with $S$ towards $\log p(x)$. To *see* it rise, do not draw anew for
# every $S$. Draw all $S$ weights once, cut them into groups of $k$, and average the bounds of the $S/k$ groups. If each
# smaller group lies inside a larger one, the curve cannot fall, not even by chance. (Jensen's inequality again. Where?)
#
# Has the curve arrived? A first answer is the **effective sample size** of all $S$ weights: how many equal weights would
# be worth as much? If one weight is as large as all the others together, the answer is close to one or two, whatever $S$
# is.
#
# $$ \text{bound}_k = \frac{k}{S} \sum_{\text{groups}} \log \frac1k \sum_{s \in \text{group}} w_s, \qquad
#    \text{ESS} = \frac{\left(\sum_s w_s\right)^2}{\sum_s w_s^2} \in [1, S] $$


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bound_curve(log_w, sizes):
    """The importance-weighted bound at several numbers of samples, all from one set of weights, and what they are worth.

    log_w (S, B): logarithms of S importance weights for each of B images, any numbers from −1000 to 1000.
    sizes: a list of whole numbers, each a divisor of S.
    -> (bounds, ess). bounds (len(sizes), B) in nats: for size k, cut each image's S weights into S/k groups of k
    neighbours (rows 0 to k − 1, then k to 2k − 1, …), take the logarithm of the mean weight of each group, and average
    over the groups. ess (B,): the effective sample size of all S weights, from 1 to S. log_w and sizes stay as they were.
    Example: S = 4 and one image, with weights 1, 3, 2, 6. The groups of 2 have means 2 and 4, so the bound is
    (log 2 + log 4)/2. The group of 4 has mean 3. ess is 12²/(1 + 9 + 4 + 36) = 2.88.
    """
    ### BEGIN SOLUTION
    bounds = []
    for k in sizes:
        groups = log_w.unflatten(0, (-1, k))  # (S/k, k, B)
        bounds.append((groups.logsumexp(1) - math.log(k)).mean(0))
    return torch.stack(bounds), 1 / log_w.softmax(0).square().sum(0)
    ### END SOLUTION


# %% [markdown]
# First the example. Beside it stands an image whose weights are all 5: every bound is $\log 5$, and the four weights are
# worth four.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
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
# Graded later, worth 2 points: more weights, other sizes, and weights that a computer rounds to 0.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for S, B, sizes, level in (
    (12, 3, [1, 3, 4, 12], 0.0),
    (60, 1, [20, 5], -900.0),
    (30, 4, [30], 600.0),
):
    log_w = level + 3 * torch.randn(S, B, generator=chance)
    kept, kept_sizes = log_w.clone(), list(sizes)
    bounds, ess = bound_curve(log_w, sizes)
    case = f"{S} weights near e^{level:g}, {B} images, sizes {kept_sizes}"
    assert_close(log_w, kept, name=f"log_w, which must stay as it was; {case}")
    assert sizes == kept_sizes, f"sizes must stay {kept_sizes}, but are now {sizes}"
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
log_w = torch.full((4, 2), -1000.0)  # the first image has one other weight
log_w[0, 0] = 0
bounds, ess = bound_curve(log_w, sizes=[1, 2, 4])
wanted = torch.tensor([-750.0, (-math.log(2) - 1000) / 2, -math.log(4)])
assert_close(
    bounds,
    torch.stack([wanted, torch.full((3,), -1000.0)], 1),
    tolerance=1e-6,
    name="bounds for 1 and three e^−1000, beside an image with four e^−1000",
)
assert_close(
    ess,
    torch.tensor([1.0, 4.0]),
    name="ess of 1 and three e^−1000, beside an image with four e^−1000",
)
### END HIDDEN TESTS

# %% [markdown]
# Now compare the bound with the truth, which the grid knows. The codes are drawn from four distributions: the encoder's
# $q(z \mid x)$, the same with half and with twice its standard deviation, and the prior, which has not looked at the
# image.


# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
# With one sample, $q$ is best: that is what the ELBO trained it for. With 512 samples, the wider $q$ is much nearer to
# the truth, although its effective sample size is *smaller* on a typical image. Even the prior comes about as near: 512
# draws cover much of a plane. The unlucky tenth of the images decides. Which images are they? Below are the two with
# the most nats missing, and then the two with the most missing among those whose effective sample size is above 50.

# %% nbgrader={"grade": false, "grade_id": "exercise2_why", "locked": true, "schema_version": 3, "solution": false, "task": false}
missing, ess = log_px - curves["q"][0][-1], curves["q"][1]  # (447,) nats, (447,)
order = missing.argsort(descending=True)
worst, others = missing[order[:45]].mean(), missing[order[45:]].mean()
print(f"q, K = 512: {worst:.2f} nats missing in the worst tenth,", end=" ")
print(f"{others:.3f} in the others")
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
# To the right of each digit is the plane of codes. The true $p(z \mid x)$, which the grid knows, is bright, and the
# ellipse is $q$, two standard deviations wide on each side. For the first two digits, $q$ misses the bright place, and
# the weights show it: a few lucky draws carry nearly all the weight. The last two have bright places where $q$ *hardly
# ever draws*. The weights that were drawn still agree with each other, because they all come from where $q$ was
# looking. So a small effective sample size is a warning, but a large one is no proof. Here the remedy was to draw from
# something *wider* than the $q$ that was trained. (In the other nine tenths, the bound can even come out just above the
# truth. That is chance: it lies below on average, and the images with the unluckiest draws were taken out.)

# %% [markdown]
# ## 3 Half an image
#
# The encoder has only seen whole images. Give it half an image with paper in the other half, and it takes the paper for
# part of the digit. But we can do without the encoder: the decoder and the prior contain the answer, by Bayes' rule. Take
# many codes $z_s$, and ask of each how well it explains the pixels that are *known*:
#
# $$ w_s = p(z_s \mid \text{known}) \propto p(z_s) \prod_{d\ \text{known}} p(x_d \mid z_s), \qquad
#    p(x_d = 1 \mid \text{known}) = \sum_s w_s\, p(x_d = 1 \mid z_s) \;\text{ for unknown } d $$
#
# A model that writes pixel after pixel, as in chapter 4, must fill the hole first, many times, before it can compare the
# fillings. Here the pixels are independent once $z$ is given, so the unknown ones simply drop out of the product, wherever
# they are.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fill_in(logits, log_prior, x, known):
    """Which codes explain the known pixels of an image, and how likely ink is in the others.

    logits (S, C, H, W), from −1000 to 1000, the decoder's for each of S codes: p(ink | code) = sigmoid(logit).
    log_prior (S,): log p(code) plus some constant, so its exp need not sum to 1. x (C, H, W) long: 0 paper or 1 ink
    where the pixel is known; in unknown pixels it can be anything, even −1. known (C, H, W) bool: which pixels are
    known, perhaps none, perhaps all.
    -> (weights, p). weights (S,): p(code | known pixels), which sum to 1. p (C, H, W) float: in each unknown pixel the
    probability of ink given all known pixels, and in the known pixels what x says, 0.0 or 1.0. The arguments stay as
    they were.
    Example: two equally likely codes and two pixels. The first code says ink with 0.8 and 0.9, the second with 0.2 and
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
# First the example. Then the second code is four times as likely from the start, and the left pixel is paper. Finally,
# nothing is known, and only the prior decides.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
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
# any code explains. The answers are compared with a sum over all possible images.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
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
    for odds in (0.0, 0.5, 0.5, 1.0):
        known = torch.rand(C, H, W, generator=chance) < odds
        image = everything[int(torch.randint(len(everything), (), generator=chance))]
        possible = (everything == image)[:, known].all(1)
        share = log_joint[possible].flatten().softmax(0).view(-1, S)
        right = torch.einsum("ns,nchw->chw", share, everything[possible].double())
        case = f"{S} codes, {C}×{H}×{W}, {int(known.sum())} of {D} pixels known"
        for junk in (-1, 0, 1):  # in the unknown pixels
            given = torch.where(known, image, junk)
            arguments = dict(logits=logits, log_prior=log_prior, x=given, known=known)
            kept = {name: argument.clone() for name, argument in arguments.items()}
            weights, p = fill_in(**arguments)
            for name, argument in arguments.items():
                assert argument.equal(kept[name]), (
                    f"{name} must stay as it was, but has changed; {case}"
                )
            assert_shape(weights, (S,), name=f"weights, {case}")
            assert_close(
                weights,
                share.sum(0),
                name=f"weights, {case}, {junk} in the unknown ones",
            )
            assert_shape(p, (C, H, W), name=f"p, {case}")
            assert p.is_floating_point(), f"p: expected float, got {p.dtype}; {case}"
            assert_close(
                p,
                right,
                name=f"p against all images priced, {case}, {junk} in the unknown ones",
            )
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
    torch.tensor([1000.0, 998.0]).view(2, 1, 1, 1),
    torch.zeros(2),
    torch.zeros(1, 1, 1).long(),
    torch.ones(1, 1, 1) > 0,
)
assert_close(
    weights,
    torch.tensor([0.119203, 0.880797]),
    name="weights of two codes with logits 1000 and 998; it is paper",
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
# Hide half of each of a hundred held-out digits, and compare four ways to say how likely ink is in each hidden pixel: the
# prior alone, the encoder's reconstruction, the decoder at the single best code, and your weighted codes. How many nats
# does the hidden half cost?

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
upper = (torch.arange(8) < 4)[None, :, None].expand(1, 8, 8)
# what is hidden: what is known
halves = {"lower": upper, "upper": ~upper, "right": upper.mT, "left": ~upper.mT}


def cost(p, image, known):  # of the hidden pixels, nats
    p, ink = p[~known], image[~known].float()
    return torch.nn.functional.binary_cross_entropy(p, ink, reduction="sum").item()


print("hidden half, nats:  nothing known  encoder  best code  weighted codes")
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
    nothing, encoder, best, weighted = torch.tensor(costs).mean(0).tolist()
    print(f"{name:22}{nothing:9.2f}{encoder:11.2f}{best:9.2f}{weighted:13.2f}")
    assert weighted < min(nothing, encoder, best), "known pixels help, and hedging pays"
    assert name == "upper" or encoder > nothing, "paper is taken for a fact"

# %% [markdown]
# The weighted codes are cheapest for all four halves. The encoder does not help. When the upper half is hidden, its
# answer costs about as much as that of the prior, which has seen nothing, and for the other halves it costs more. The
# single best code is too sure of itself. Below you see what the weights know, for the three digits whose
# $p(z \mid \text{known})$ is widest and the three where it is narrowest.

# %% nbgrader={"grade": false, "grade_id": "exercise3_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
# Where an upper half fits more than one digit, the plane has several bright places, and the average over them is a
# blur. The blur is not a bad picture. It shows a probability. *One* code, drawn by its weight, gives one possible
# ending (last row: still probabilities of ink, but of one digit). A network that answers with a single Gaussian, as $q$
# does, cannot say "either here or there". Nor can you ask it about holes that it was not trained on, while the decoder
# and the prior answer for any hole.
#
# The price is the grid. It has $91^2$ codes in two dimensions and would need $91^{16}$ in sixteen. There you have to
# draw codes, and exercise 2 shows when to trust them.

# %% [markdown]
# ## What you saw
#
# - Which room, which code made this image? Each answer is a prior times a likelihood, divided by the sum of all such
#   products. A classifier that came for free, importance weights and a completed image are the same line of code.
# - A prior can be learnt, and it can depend on what you want. Then you ask for a digit by drawing from its prior. The
#   label of an image that lies in the right room is worth about $\log 10$ nats.
# - Work with logarithms and leave them at the end. A product of two thousand probabilities is 0 for a computer, and
#   $e^r - 1 - r$ loses its digits where $r$ is small.
# - A bound that has stopped rising has not always arrived, and weights say nothing about places that were never drawn.
