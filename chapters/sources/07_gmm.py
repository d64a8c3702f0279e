# %% [markdown]
# # 7 · Gaussian mixtures and EM: which component made this point?
#
# **You will find crowds in a cloud of points, without being told which point belongs to which, by an algorithm that
# never takes a step back. You will see what k-means and principal components have to do with it.**
#
# *Laptop: under 35 seconds. You need: chapter 2, and what a Gaussian is.*

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
# On the left is all that we are given: 600 points. On the right is what this page's algorithm finds in them: three
# crowds, and for each point a colour that says to which crowd it belongs. It was told the number three, and not one
# colour.

# %% tags=["drawing"]
import torch
from course_lib.device import make_generator
from course_lib.models.gaussian_mixture import GaussianMixture, GaussianMixtureConfig
from course_lib.show.planes import show_crowds

centres = torch.tensor([[-1.0, 1.0], [1.5, 0.5], [0.5, -1.5]])
spread = [[[0.2, 0.4], [0.4, 1]], [[0.2, -0.4], [-0.4, 1]], [[1.4, 0.2], [0.2, 0.1]]]
crowds = GaussianMixture.of(torch.ones(3).log_softmax(0), centres, torch.tensor(spread))
given = crowds.sample(600, generator=make_generator(0))
found = GaussianMixture(GaussianMixtureConfig(n_components=3))
found.fit(given, generator=make_generator(0), restarts=5)
shares, ellipses = found.responsibilities(given), (found.mean, found.covariance_)
answer = {"x": given, "shares": shares, "ellipses": ellipses}
show_crowds({"given": given, "found": answer})

# %% [markdown]
# Why crowds of points, in a course on generators? Chapter 2 ended with a wish: a decoder needs a distribution to draw
# its codes from, and a training that makes it good wherever that distribution puts weight. One inequality grants
# both. It is older than neural networks. On this page it trains a model so small that you can watch every step; on
# the [second page](07_vae.ipynb) it trains a decoder.
#
# ## Setup
#
# Everything on this page is small and stays on the CPU.

# %%
import math
from itertools import permutations

import torch
import torch.nn.functional as F
from course_lib.check import assert_close
from course_lib.device import make_generator
from torch.distributions import MultivariateNormal, Normal

seed = 0
dice = make_generator(seed)


def normal(*shape):
    return torch.randn(*shape, generator=dice, dtype=torch.float64)


# %% [markdown]
# ## The data: choose, then draw
#
# To draw a point from a **Gaussian mixture**, choose one of $K$ **components** by its weight, then draw from that
# component's Gaussian. Here $K = 3$.

# %%
log_pi = torch.tensor([0.5, 0.3, 0.2]).double().log()  # the weights
mean = torch.tensor([[-1.0, 1.0], [1.5, 0.5], [0.5, -1.5]]).double()
root = torch.tensor(  # covariance = root rootᵀ
    [[[0.4, 0], [0.9, 0.4]], [[0.4, 0], [-0.9, 0.5]], [[1.2, 0], [0.2, 0.3]]]
).double()
truth = log_pi, mean, root @ root.mT


def draw(n):
    k = torch.multinomial(log_pi.exp(), n, True, generator=dice)  # choose
    return k, mean[k] + (root[k] @ normal(n, 2, 1))[..., 0]  # draw


k, points = draw(600)

# %% tags=["drawing"]
from course_lib.show.planes import show_crowds

drawn = {"x": points, "shares": F.one_hot(k, 3).double()}
show_crowds({"drawn": drawn, "what is left without the colours": points})

# %% [markdown]
# Many observations, few numbers: 1,200 coordinates come from a model of 17 numbers (two free weights, six coordinates
# of means, nine numbers for the covariances). From now on we have only the right picture, and want the left one back.
#
# There seems to be no way to begin. If we knew the colours, finding the components would be easy: take the mean and
# the covariance of each colour. If we knew the components, finding the colours would be easy, too, by Bayes' rule. We
# know neither.
#
# ## If the components were known
#
# Begin with the second half. Suppose that somebody tells us weights, means and covariances. Which component made the
# point (1.8, −1), where the red and the green crowd overlap?


# %%
def log_joint(x, log_pi, mean, covariance_):  # log p(x, k): (N, K)
    return log_pi + MultivariateNormal(mean, covariance_).log_prob(x[:, None])


one = torch.tensor([[1.8, -1.0]]).double()
joint = log_joint(one, *truth)[0].exp()  # p(x, k) = p(k) p(x | k)
evidence = joint.sum()  # p(x)
posterior = joint / evidence  # p(k | x)

# %% tags=["checking"]
from course_lib.show.typeset import show_table

named = {"prior": log_pi.exp(), "joint": joint, "posterior": posterior}
rows = [[n, *(f"{v:.3f}" for v in [*p, p.sum()])] for n, p in named.items()]
show_table(["the point (1.8, −1)", "blue", "red", "green", "sum"], rows)

# %% [markdown]
# Four words for what stands in this table. The component $k$ is a **latent variable**: the model uses it, and nobody
# sees it. The **prior** $p(k) = \pi_k$ is what we believe about it before we see the point. The sum of the middle
# row, $p(x) = \sum_k p(x, k)$, is the **evidence**: the density of the model at $x$, whichever component made it. And
# the **posterior** $p(k \mid x) = p(x, k) / p(x)$ is what we believe about $k$ once we have seen the point: three to
# two for red.
#
# ## The one equation
#
# Training makes the data likely: it raises $\log p(x) = \log \sum_k p(x, k)$, summed over the points. The logarithm
# of a sum is awkward. All parameters of all components are in it together. The logarithm of each single $p(x, k)$
# would be much simpler. So here is the trick of this chapter: bring in a **guess** $q(k)$, any probabilities of the
# components that we like, and take the average of $\log p(x, k)$ under that guess. Two quantities describe a guess:
#
# - its **entropy** $H(q) = -\sum_k q(k) \log q(k)$ says how undecided it is: 0 nats if one component gets everything,
#   $\log K$ if all get the same;
# - its **Kullback–Leibler divergence** from the posterior, $\mathrm{KL}(q \Vert p) = \sum_k q(k) \log \frac{q(k)}{p(k
#   \mid x)}$, says how wrong it is: 0 nats if $q$ is the posterior, and more for every other guess.
#
# (Why never negative? Because $\log t \le t-1$ for every $t$. So $-\mathrm{KL} = \sum_k q \log \frac pq$ is at most
# $\sum_k q\,(\frac pq-1) = 1-1 = 0$.)
#
# Now write $p(x, k) = p(x)\, p(k \mid x)$. The average becomes $\sum_k q(k) \log p(x, k) = \log p(x) + \sum_k q(k)
# \log p(k \mid x)$. By the two definitions, the last sum is $-H(q)-\mathrm{KL}$. So
#
# $$
# \log p(x) \;=\; \underbrace{\sum_k q(k) \log p(x, k) + H(q)}_{\text{the bound}}
# \;+\; \underbrace{\mathrm{KL}\bigl(q \,\Vert\, p(k \mid x)\bigr)}_{\text{the gap, } \ge 0}
# $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x`, here `points` | (N, D) |
# | $\log \pi_k$, $\mu_k$, $\Sigma_k$ | `log_pi`, `mean`, `covariance_`; together `theta` | (K,), (K, D), (K, D, D) |
# | $\log p(x, k)$ | `log_joint` | (N, K) |
# | $q(k)$, one for each point | `q` | (N, K) |
#
# (The underscore keeps the matrices apart from the library's argument `covariance`, which says of what kind they
# are.)


# %%
def bound(x, q, theta):  # (N,) nats; entr(q) is −q log q, and 0 at q = 0
    return (q * log_joint(x, *theta)).sum(1) + torch.special.entr(q).sum(1)


def log_prob(x, theta):  # (N,) nats
    return log_joint(x, *theta).logsumexp(1)


# %% [markdown]
# Try it on our point. Give red any share from 0 to 1, and nearly all the rest to green. (Blue gets its posterior part
# of that rest, which is 0.000.)

# %%
red = torch.linspace(0, 1, 101).double()
green = (1 - red) * (1 - posterior[0])
guesses = torch.stack([(1 - red) * posterior[0], red, green], 1)  # (101, 3)
reached = bound(one.expand(101, 2), guesses, truth)

# %% tags=["drawing"]
import matplotlib.pyplot as plt
from course_lib.show.plots import shown_once

top = log_prob(one, truth).item()
figure, ax = plt.subplots(figsize=(5.2, 3), layout="constrained")
ax.axhline(top, color="black", ls="--", label="log p(x)")
ax.fill_between(red, reached, top, alpha=0.2, color="C1", label="the gap: KL(q || p)")
ax.plot(red, reached, label="the bound")
ax.set(xlabel="the guess: red's share q(red)", ylabel="nats")
ax.legend(frameon=False, loc="lower center")
shown_once(figure)

# %% tags=["checking"]
divergence = (guesses.xlogy(guesses) - guesses.xlogy(posterior)).sum(1)
assert_close(reached + divergence, log_prob(one, truth).expand(101), tolerance=1e-9)
best = red[reached.argmax()].item()
print(f"highest at q(red) = {best:.2f}; the posterior says {posterior[1]:.2f}")
assert abs(best - posterior[1]) <= 0.005 + 1e-9

# %% [markdown]
# The curve never rises above the line, and touches it at one guess only, the posterior. The distance between the two
# is the divergence. So every guess gives us something that lies *below* $\log p(x)$, and in which no logarithm
# of a sum is left.
#
# ## EM: climb by turns
#
# The bound depends on two things, the guesses and the parameters ([Neal and Hinton, 1998](references.md#neal1998)).
# **EM**, expectation and maximisation, raises it by improving one of them at a time.
#
# 1. The **E step** keeps the parameters and takes the best guesses. These are the posteriors, and they close the gap.
#    In a mixture they are called **responsibilities**: each component is responsible for a share of each point.
# 2. The **M step** keeps the guesses and takes the best parameters.
#
# Start badly on purpose: three round components, close together.

# %%
start = torch.tensor([[-0.2, 0.6], [0.6, 0.0], [0.2, -0.6]]).double()
even = torch.full((3,), 1 / 3).double()
theta0 = even.log(), start, torch.eye(2).double().expand(3, 2, 2)


def e_step(x, theta):  # Bayes' rule for all points: the joint over its sum
    return log_joint(x, *theta).softmax(1)


first_q = e_step(points, theta0)

# %% tags=["drawing"]
from course_lib.show.planes import show_points

show_points(points, shares=first_q, ellipses=theta0[1:], title="the first E step")

# %% [markdown]
# The ellipses are the components, drawn two standard deviations from their means. A point's colour is mixed from
# theirs, by its responsibilities. It is a poor guess, but better than nothing: the upper left is rather blue, the
# right rather red, the bottom rather green.
#
# Now the M step. Of the bound, only $\sum_n \sum_k q_{nk} \bigl[\log \pi_k + \log \mathcal N(x_n;\, \mu_k,
# \Sigma_k)\bigr]$ depends on the parameters. Its gradient for $\mu_k$ is $\Sigma_k^{-1} \sum_n q_{nk} (x_n - \mu_k)$,
# which is zero where $\mu_k$ is the average of all points, each weighted by its share. In the same way $\Sigma_k$
# becomes their weighted covariance, and $\pi_k$ the component's share of all points. This is what one would do with
# known colours, except that a point may now be half blue and half red.


# %%
def m_step(x, q):  # three weighted averages
    n = q.sum(0)  # (K,) how many points a component has
    mean = q.T @ x / n[:, None]
    away = x[:, None] - mean  # (N, K, D)
    square = torch.einsum("nk,nki,nkj->kij", q, away, away)
    return (n / len(x)).log(), mean, square / n[:, None, None]


first_theta = m_step(points, first_q)

# %% tags=["drawing"]
ellipses = first_theta[1:]
show_points(points, shares=first_q, ellipses=ellipses, title="the first M step")

# %% [markdown]
# Each component has moved towards its points and has taken their shape. But now the old colours no longer fit the new
# ellipses. So repeat both steps, and keep a record after each.

# %%
q, theta = even.expand(600, 3), theta0
record = [(q, theta)]
for _ in range(40):
    q = e_step(points, theta)
    record.append((q, theta))
    theta = m_step(points, q)
    record.append((q, theta))
below = torch.stack([bound(points, *at).mean() for at in record])
above = torch.stack([log_prob(points, at[1]).mean() for at in record])

# %% tags=["drawing"]
from course_lib.show.explore import explore
from course_lib.show.planes import show_em_step

gap = above - below
climb = {"log p(x)": above[:21], "the bound": below[:21]}


def show_em(half_step):
    """Points coloured by responsibility, the components, the bound, and its gap"""
    q, (_, mean, covariance_) = record[half_step]
    few = slice(300)  # half of the points are enough to see
    what = ["after an M step", "after an E step"][half_step % 2]
    at = {"half_step": half_step, "title": what if half_step else "start"}
    beside = {"nats": climb, "gap": gap[:21]}
    return show_em_step(points[few], q[few], (mean, covariance_), **beside, **at)


words = {"half_step": "half steps"}
largest = {"half_step": int(gap[1:].argmax()) + 1}
explore(show_em, half_step=range(21), labels=words, start=largest)

# %% tags=["checking"]
from itertools import pairwise

assert all(b > a - 1e-12 for a, b in pairwise(above[::2])), "EM never goes down"
assert (below.diff() > -1e-12).all(), "the bound rises at each half step"
assert gap[1::2].max() < 1e-9, "after an E step it touches"
assert gap[2:16:2].min() > 1e-4, "after an M step there is a gap"
print(f"from {above[0]:.2f} to {above[-1]:.4f} nats a point in 80 half steps")
print(f"after 20 of them: {above[20]:.4f}")
print(f"the largest gap after an M step: {gap[2:].max():.2f} nats")
assert 0.9 < above[-1] - above[0] < 1.5 and above[-1] - above[20] < 0.01
assert 0.05 < gap[2:].max() < 0.15

# %% [markdown]
# The slider stands after the M step that leaves the largest gap. Go one half step further: an E step changes only the
# colours, and the gap is closed. An M step changes only the ellipses. Both curves rise, $\log p(x)$ rises more, and
# the gap is open again. At first little seems to happen, because three components that claim the same points have
# little reason to part. Then they part quickly.
#
# Why can EM never go down? After an E step the bound *equals* $\log p(x)$. The M step raises the bound, and $\log
# p(x)$ is never below it. So $\log p(x)$ has risen at least as much.
#
# How good is the result? Count the points whose likeliest component is the one that made them. The ceiling is what
# somebody gets who knows the true 17 numbers (where crowds overlap, nobody can be sure); one colour for all would get
# 50 %.


# %%
def right(label):  # share of right colours, whatever their order
    names = [torch.tensor(names) for names in permutations(range(3))]
    return max((n[label] == k).double().mean().item() for n in names)


new = draw(20_000)[1]
by_em = right(q.argmax(1))

# %% tags=["checking"]
ceiling = right(log_joint(points, *truth).argmax(1))
nats = {}
for name, t in {"EM": theta, "truth": truth}.items():
    nats[name] = [log_prob(x, t).mean().item() for x in (points, new)]
shares = {"EM": by_em, "truth": ceiling}
rows = [[n, f"{shares[n]:.1%}", *(f"{v:.3f}" for v in nats[n])] for n in nats]
em_nats, true_nats = nats.values()
assert by_em > 0.975 and ceiling - by_em < 0.006
assert em_nats[0] > true_nats[0] + 0.005 and em_nats[1] < true_nats[1] - 0.005
head = "right colours", "log p(x), these 600", "20,000 new ones"
show_table(["17 numbers", *head], rows)

# %% [markdown]
# Over five seeds EM gets 98 % of the colours right, at most half a percentage point below the ceiling. The other
# columns hold a surprise. On the points that it was fitted to, EM's result is *likelier* than the truth that made
# them, by 0.01 to 0.02 nats. On new points the truth is ahead, by about as much. The 17 numbers have learnt something
# that is only true of these 600 points. Keep that in mind.
#
# The library's `GaussianMixture` takes the same steps. It writes them differently: the logarithm of a Gaussian's
# density is linear in $1$, $x$ and $xx^{\mathsf T}$, so an E step over all points and components is one matrix
# product.

# %%
mixture = GaussianMixture(GaussianMixtureConfig(n_components=3))
mixture.fit(points, init=theta0, max_steps=40, tolerance=0, generator=dice)
assert_close(mixture.mean, theta[1], tolerance=1e-6, name="the means")
assert_close(mixture.covariance_, theta[2], tolerance=1e-6)

# %% [markdown]
# After 40 steps from the same start, the two agree to the sixth digit.
#
# ## k-means is EM with hard colours
#
# You may know a simpler way to find crowds, **k-means** ([Lloyd, 1982](references.md#lloyd1982)): give each point to
# the nearest mean, move each mean to the average of its points, repeat. It looks like EM, and in a limit it *is* EM.
# Let all components have the same weight and the same round shape of width $s$, and learn neither. Then Bayes' rule
# says
#
# $$ q_{nk} \propto \exp\Bigl(-\frac{|x_n - \mu_k|^2}{2 s^2}\Bigr), $$
#
# and only the means are left for the M step:


# %%
def soft_step(x, mean, width):  # an E step and an M step
    q = (-torch.cdist(x, mean).square() / (2 * width**2)).softmax(1)
    return q, q.T @ x / q.sum(0)[:, None]


def run(width, steps=300):
    mean = start
    for _ in range(steps):
        q, mean = soft_step(points, mean, width)
    return q, mean


# %% [markdown]
# Now make $s$ small. Divided by $2s^2$, the differences between squared distances become huge, and the softmax
# becomes 0 or 1: the nearest mean takes the whole point. Compare with scikit-learn's k-means, from the same start.

# %%
from sklearn.cluster import KMeans

hard, hard_mean = run(width=0.001)
kmeans = KMeans(3, init=start.numpy(), n_init=1, tol=0).fit(points.numpy())

# %% tags=["checking"]
by_hand = start
for _ in range(10):  # a step of EM is a step of k-means
    nearest = F.one_hot(torch.cdist(points, by_hand).argmin(1), 3).double()
    moved = nearest.T @ points / nearest.sum(0)[:, None]
    assert_close(soft_step(points, by_hand, 0.001)[1], moved, tolerance=1e-6)
    by_hand = moved
assert_close(hard_mean, torch.tensor(kmeans.cluster_centers_), tolerance=1e-6)
assert hard.max(1).values.min() > 0.999, "every point has one colour"
print("the same three means as scikit-learn's, to six digits")

# %% tags=["drawing"]
pair = {"EM": {"x": points, "shares": q, "ellipses": theta[1:]}}
show_crowds(pair | {"k-means": {"x": points, "shares": hard}})

# %% [markdown]
# k-means puts the border half-way between two means, whatever shape the crowds have. So it cuts through them. Is that
# because its colours are hard, or because its components are round? Or because all have the same weight and width?
# Change one thing at a time. After each M step, keep only what a component is allowed to have, with soft colours and
# with hard ones.


# %%
def round_ones(log_pi, mean, covariance_):  # each with a weight and a width of its own
    variance = covariance_.diagonal(dim1=1, dim2=2).mean(1)
    return log_pi, mean, variance[:, None, None] * torch.eye(2).double()


def like_kmeans(log_pi, mean, covariance_):  # round, of one weight and one width
    each = log_pi.exp()[:, None, None] * round_ones(log_pi, mean, covariance_)[2]
    return even.log(), mean, each.sum(0).expand(3, 2, 2)


def colours(keep, hard, steps=200):
    theta = theta0
    for _ in range(steps):
        q = e_step(points, theta)
        q = F.one_hot(q.argmax(1), 3).double() if hard else q
        theta = keep(*m_step(points, q))
    return log_joint(points, *theta).argmax(1)


kinds = like_kmeans, round_ones, lambda *theta: theta
tried = {hard: [colours(keep, hard) for keep in kinds] for hard in (False, True)}

# %% tags=["checking"]
share = {hard: [right(label) for label in row] for hard, row in tried.items()}
rows = [[("soft", "hard")[h], *(f"{n:.1%}" for n in row)] for h, row in share.items()]
even_ones, rounds, shaped = zip(*share.values(), strict=True)
assert (tried[True][0] == hard.argmax(1)).all(), "like k-means, hard: that is k-means"
assert min(shaped) > 0.97 and abs(shaped[0] - shaped[1]) < 0.01
assert max(*even_ones, *rounds) < 0.96
many = KMeans(3, n_init=20, random_state=seed).fit(points)
told = KMeans(3, init=truth[1].numpy(), n_init=1, tol=0).fit(points)
for name, m in {"best of 20 starts": many, "from the true means": told}.items():
    n = right(torch.tensor(m.labels_).long())
    print(f"k-means, {name}: {n:.1%} right, inertia {m.inertia_:.0f}")
assert told.inertia_ > many.inertia_ + 1, "k-means prefers the wrong border"
show_table(["right colours", "one weight and width", "round", "any shape"], rows)

# %% [markdown]
# It is the roundness. Components of any shape get 97 to 98.5 % over five seeds, and with hard colours they do as well
# as with soft ones. Round ones stay below that. With equal weights and one width they get 65 to 95 % with hard
# colours, which is k-means, and 50 to 70 % with soft ones. Weights and widths of their own do not cure it: 85 to
# 95 %, and 51 to 67 %.
#
# Better starts do not cure it either. Started at the *true* means, k-means ends with 91 to 96 %. But it judges its
# results by the sum of squared distances to the nearest mean, the **inertia**. By that measure the best of 20 starts
# is better, in each of five seeds, and it gets only 65 to 92 % of the colours right. k-means itself prefers the wrong
# border.
#
# Now the other way: make the components *wide*.


# %% tags=["drawing"]
def show_width(width):
    """Three round components of one width, after 300 steps"""
    q, mean = run(width)
    ellipses = mean, width**2 * torch.eye(2).double().expand(3, 2, 2)
    few = slice(300)
    return show_points(points[few], shares=q[few], ellipses=ellipses)


widths = [0.1, 0.3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2]
explore(show_width, width=widths, labels={"width": "width s"})

# %% tags=["checking"]
widest = torch.linalg.eigvalsh(torch.cov(points.T)).max().sqrt().item()
apart = {width: torch.pdist(run(width)[1]) for width in (1.5, 1.2, 0.85)}
print(f"the crowd's own largest standard deviation: {widest:.2f}")
for width, d in apart.items():
    print(f"width {width}: the means are {d.min():.2f} to {d.max():.2f} apart")
assert 1.2 < widest < 1.5 and apart[1.5].max() < 1e-6
assert apart[1.2].max() > 1.5 and apart[0.85].min() > 1.5

# %% [markdown]
# Move it from right to left. The points have a standard deviation of their own: 1.39 to 1.42 in the direction where
# it is largest, over five seeds. Components that are *wider* than that cannot see the crowds. All points are about
# equally near to each, all colours are mixed, and the three means end in one place: three components, and one crowd.
# At a width of 1.2 they have begun to part: one has left the others, and in three of five seeds those two are still
# together. At 0.85 all three are apart. Narrower still, the colours become hard. (Starting wide and cooling down slowly is a method of
# its own, deterministic annealing: [Rose, 1998](references.md#rose1998).)
#
# ## Where you start
#
# EM climbs to the top of the hill that it starts on, and no further. A **grid** of 25 crowds has a great many hills.
# On most of them two components share one crowd, and since there are only 25, another has to cover two. It helps to start with means that lie apart.
# **k-means++** ([Arthur and Vassilvitskii, 2007](references.md#arthur2007)) chooses data points as starts, each new
# one with a probability proportional to its squared distance from the *nearest* of those chosen before. We compare it
# with any 25 points, twenty starts each. Below is the price of 5,000 *new* points, so that a low number is not just
# luck with the old ones.

# %%
from course_lib.data import load_plane

grid = load_plane("grid")
kind = {"generator": dice, "dtype": torch.float64}
crowd, more = grid.sample(2000, **kind), grid.sample(5000, **kind)


def price(mixture, x):  # nats a point
    return -mixture.log_prob(x).mean().item()


ends = {}
for init in ("points", "k-means++"):
    fits = [GaussianMixture(GaussianMixtureConfig(25)) for _ in range(20)]
    for m in fits:
        m.fit(crowd, generator=dice, init=init)
    ends[init] = torch.tensor([price(m, more) for m in fits])

# %% tags=["checking"]
chosen = GaussianMixture(GaussianMixtureConfig(25))
chosen.fit(crowd, generator=dice, restarts=20)
nats = {init: [f(n) for f in (min, torch.median, max)] for init, n in ends.items()}
nats |= {"the likeliest of 20": [price(chosen, more)], "truth": [price(grid, more)]}
rows = [[name, *(f"{n:.2f}" for n in row), "", ""][:4] for name, row in nats.items()]
assert ends["k-means++"].median() < ends["points"].median() - 0.05
assert ends["k-means++"].std() < ends["points"].std(), "and closer together"
assert price(chosen, more) < ends["k-means++"].median() - 0.02
show_table(["nats a new point, 20 starts", "best", "median", "worst"], rows)

# %% tags=["drawing"]
worst = fits[ends["k-means++"].argmax()]
pair = {"the worst of twenty": worst, "the likeliest of twenty": chosen}
both = {t: {"x": crowd, "ellipses": (m.mean, m.covariance_)} for t, m in pair.items()}
show_crowds(both)

# %% [markdown]
# Starts that lie apart end lower in the median, and closer together. The one that is *likeliest on the old points*,
# which can be chosen without any new ones, is lower than the median again, in each of five seeds. The pictures show
# what is wrong with the worst: here an ellipse lies around two crowds, and elsewhere two share one. EM cannot repair
# this. An ellipse would have to cross from one crowd to the other, and every step on the way would have to go up.
# Even the likeliest of twenty may have such a place.
#
# ## A likelihood without a maximum
#
# The second trap is worse. Let one component shrink onto a single point, while another one covers the rest. The
# density at that point grows without limit, and with it the likelihood. So the likelihood of a mixture *has no maximum*. Only `floor` keeps it finite: the least
# width that a component may have, as a share of the data's. Here 20 components share 60 points.

# %%
pinwheel = load_plane("pinwheel")
few, others = pinwheel.sample(60, **kind), pinwheel.sample(5000, **kind)
shrunk = {}
for width in (0.3, 0.1, 0.01, 0.0001):
    m = GaussianMixture(GaussianMixtureConfig(20))
    m.fit(few, generator=dice, restarts=10, floor=width)
    shrunk[width] = price(m, few), price(m, others)

# %% tags=["checking"]
rows = [[f"{width:g}", *(f"{n:.2f}" for n in both)] for width, both in shrunk.items()]
rows.append(["(the truth)", *(f"{price(pinwheel, x):.2f}" for x in (few, others))])
assert all(b[0] < a[0] - 0.5 for a, b in pairwise(shrunk.values())), "ever likelier"
for width in (0.01, 0.0001):
    assert shrunk[width][1] > shrunk[0.3][1] + 3, "and far worse on new ones"
assert shrunk[0.3][1] < 4 and shrunk[0.0001][1] > 8 and shrunk[0.0001][0] < 0
show_table(["least width", "these 60, nats a point", "5,000 new ones"], rows)

# %% tags=["drawing"]
show_points(few, ellipses=(m.mean, m.covariance_), title="least width 0.0001")

# %% [markdown]
# The narrower a component may get, the better the model looks on its own points: over five seeds, from 2.9 to 3.1
# nats a point down to −0.7 to −1.1. (A density can be above 1, so nats a point can be negative.) New points cost 3.5
# to 3.7 nats with wide components, and 9 to 24 with the narrowest. The picture shows why: needles of density on the
# points that the model has seen, and nothing between them. This is **memorising**, in its purest form. On the next
# page it comes back.
#
# ## How many components?
#
# A spiral is not a mixture of Gaussians, but enough of them can follow it. How many are enough? Train on 1,000 points
# and watch three curves: the price of the training points; the price of held-out points; and the **Bayesian
# information criterion** (BIC), which needs no held-out points. The BIC is the price of the training points plus a
# fine of $\tfrac12 \log N$ nats for each free number of the model, here divided by $N$, since we count nats a point.
# (It is usually stated as twice the sum over all points, hence `BIC / 2N`.)

# %%
spiral = load_plane("spiral")
known, unknown = spiral.sample(1000, **kind), spiral.sample(5000, **kind)
Ks = [1, 2, 4, 8, 12, 14, 16, 18, 20, 24, 32, 48]
mixtures = {K: GaussianMixture(GaussianMixtureConfig(K)) for K in Ks}
curves = {"training points": [], "held-out points": [], "BIC / 2N": []}
for K, m in mixtures.items():
    m.fit(known, generator=dice, restarts=5)
    size = (6 * K - 1) * math.log(1000) / 2 / 1000  # 6 numbers each, weights sum to 1
    nats = price(m, known), price(m, unknown), price(m, known) + size
    for curve, n in zip(curves.values(), nats, strict=True):
        curve.append(n)

# %% tags=["drawing"]
from course_lib.show.plots import show_curves

show_curves(
    {name: (Ks, n) for name, n in curves.items()},
    xlabel="components K",
    ylabel="nats per point",
    floors={"the truth, held-out points": price(spiral, unknown)},
)

# %% tags=["checking"]
lowest = {name: Ks[n.index(min(n))] for name, n in curves.items()}
held_out = curves["held-out points"]
print(", ".join(f"{name}: lowest at K = {K}" for name, K in lowest.items()))
print(f"held-out: {min(held_out):.2f} at best, {held_out[-1]:.2f} with 48")
assert lowest["training points"] == 48, "the more the better, on its own points"
assert curves["training points"][-1] < price(spiral, known), "likelier than the truth"
assert 16 <= lowest["BIC / 2N"] <= 18 <= lowest["held-out points"] <= 24
assert held_out[-1] > min(held_out) + 0.05


# %% tags=["drawing"]
from course_lib.show.planes import show_density


def show_mixture(K):
    """The density of a mixture fitted to a spiral, and its components"""
    m = mixtures[K]
    title = f"K = {K}: {price(m, unknown):.2f} nats, held-out"
    return show_density(m.log_prob, ellipses=(m.mean, m.covariance_), title=title)


explore(show_mixture, K=Ks, labels={"K": "components K"}, start={"K": 16})

# %% [markdown]
# With few components the spiral's bends are cut off. With many there are needles again. Held-out points are cheapest
# with 18 to 24 components, over five seeds. The BIC, which has seen none of them, says 16 or 18: it asks for fewer,
# or for as many. Only the training curve never turns up: with 48 components the training points cost less than under
# the true density.
#
# ## The label becomes a number
#
# Look at the 16 ellipses: they stand in a row, like beads on a string. The mixture does not know that. It stores a
# place for each of them, and the label $k = 5$ has nothing to do with $k = 6$. Suppose that the label were a *number*
# $z$, and that a rule said where in the plane it belongs. Then near labels would give near points.
#
# Begin with the simplest rule, a straight line. Choose $z$ from a Gaussian, go to the point $Wz + \mu$, and add round
# noise of width $s$:
#
# $$ z \sim \mathcal N(0, 1), \qquad x = Wz + \mu + s\,\varepsilon, \quad \varepsilon \sim \mathcal N(0, I) $$
#
# Choose, then draw, as before. With $Z$ numbers for a label, $z$ is a vector and $W$ a matrix (D, Z). This is
# **probabilistic principal component analysis** ([Tipping and Bishop, 1999](references.md#tipping1999)).

# %%
W, mu, s = torch.tensor([[1.5], [1.0]]).double(), torch.zeros(2).double(), 0.5
z = normal(600, 1)  # choose
on_line = z @ W.T + mu + s * normal(600, 2)  # draw

# %% [markdown]
# Take the colours away again. From which $z$ did each point come? There are infinitely many labels now, but Bayes'
# rule is the same, and because everything is Gaussian, it has an exact answer. As a function of $z$,
#
# $$ \log p(x, z) = -\tfrac12 |z|^2 - \tfrac{1}{2s^2} |x - \mu - Wz|^2 + \text{const} $$
#
# is quadratic, so the posterior is a Gaussian. Collect what is quadratic in $z$: it is $-\tfrac12 z^{\mathsf T} (M/s^2)\,
# z$ with $M = W^{\mathsf T}W + s^2 I$. So the posterior's precision, the inverse of its covariance, is $M/s^2$. Its mean
# is where the gradient is zero, $M^{-1} W^{\mathsf T}(x - \mu)$. And $x$ is a sum of Gaussians, so the evidence is a
# Gaussian, too: $p(x) = \mathcal N(\mu,\, WW^{\mathsf T} + s^2 I)$.


# %%
def posterior_of(x, W, mu, s):  # p(z | x): means (N, Z), one covariance (Z, Z)
    precise = torch.linalg.inv(W.T @ W + s**2 * torch.eye(W.shape[1]).to(W))
    return (x - mu) @ W @ precise, s**2 * precise


def evidence_of(W, mu, s):  # p(x)
    return MultivariateNormal(mu, W @ W.T + s**2 * torch.eye(len(W)).to(W))


z_mean, z_cov = posterior_of(on_line, W, mu, s)

# %% tags=["drawing"]


def by_number(z):  # blue for small numbers, red for large ones
    t = Normal(0, 1).cdf(z)
    return torch.cat([1 - t, t], 1)


named = {"drawn, z known": z, "from x alone: the posterior mean": z_mean}
show_crowds({t: {"x": on_line, "shares": by_number(z)} for t, z in named.items()})

# %% tags=["checking"]
error = (z - z_mean).square().mean().sqrt().item()
print(f"error of the posterior mean: {error:.2f}; it expects {z_cov.sqrt().item():.2f}")
print("error of a guess without looking: 1.00")
assert abs(error - z_cov.sqrt().item()) < 0.03

# %% [markdown]
# From $x$ alone, $z$ is found with an error of 0.26 to 0.28 over five seeds. The posterior itself says 0.27: its
# standard deviation is $s / \sqrt{|W|^2 + s^2}$. Without looking, the error would be 1.
#
# Is it really the same thing as before, only with more components? Cut the line of labels into 2,001 small pieces,
# and it is a mixture of 2,001 components. Each has the weight $p(z)\,dz$. Now everything can be done as on the first
# half of this page, by sums.

# %%
labels = torch.linspace(-8, 8, 2001, dtype=torch.float64)[:, None]  # z
step = 16 / 2000  # dz
log_weight = Normal(0, 1).log_prob(labels[:, 0]) + math.log(step)


def joint_on_grid(x, decode, s):  # log p(x, z) dz: (N, 2001)
    far = (x[:, None] - decode(labels)).square().sum(2) / (2 * s**2)
    return log_weight - far - x.shape[1] * math.log(s * math.sqrt(2 * math.pi))


def straight(z):  # the rule: z -> a place
    return z @ W.T + mu


summed = joint_on_grid(on_line, straight, s)

# %% tags=["checking"]
exact = evidence_of(W, mu, s).log_prob(on_line)
assert_close(summed.logsumexp(1), exact, tolerance=1e-9, name="the evidence")
assert_close(summed.softmax(1) @ labels, z_mean, tolerance=1e-9, name="the posterior")

# %% [markdown]
# Evidence and posterior agree with the formulas to nine digits. So this is **a mixture with infinitely many
# components** whose sum is known exactly. The one equation holds as before, with an integral for the sum. Let us try
# wrong guesses again. Give each point a Gaussian $q$ with the right mean, but $c$ times as wide as the posterior:


# %%
def bound_on_grid(log_joint, mean, sd):  # the bound of q = N(mean, sd²), nats
    log_q = Normal(mean, sd).log_prob(labels[:, 0])
    return (step * log_q.exp() * (log_joint - math.log(step) - log_q)).sum(-1)


factors = torch.linspace(0.3, 3, 19).double()
sd = factors[:, None] * z_cov.sqrt()
lost = exact[0] - bound_on_grid(summed[0], z_mean[0], sd)

# %% tags=["drawing"]
fine = torch.linspace(0.3, 3, 100)
formula = (fine.square() - 1) / 2 - fine.log()
show_curves(
    {"KL, by its formula": (fine, formula), "log p(x) − bound": (factors, lost)},
    xlabel="width of q, as a multiple of the posterior's",
    ylabel="nats",
)

# %% tags=["checking"]
expected = (factors.square() - 1) / 2 - factors.log()
assert_close(lost, expected, tolerance=1e-6, name="the gap is the divergence")

# %% [markdown]
# With the exact posterior the bound touches $\log p(x)$. A $q$ that is too wide or too narrow misses it by exactly
# its divergence. (For two Gaussians with the same mean this is $\tfrac12(c^2 - 1) - \log c$.) Half the width costs
# 0.32 nats, twice the width 0.81.
#
# ## The likeliest straight rule
#
# The digits of chapter 2 are points, too, in 64 dimensions. Give each a label of 16 numbers. What are the likeliest
# $W$, $\mu$ and $s$? The likeliest $\mu$ is the mean of the digits, and it stays there. EM finds the other two. Its E
# step is `posterior_of`. Its M step is once more made of weighted averages: it is the least-squares prediction of $x$ from $z$, in which the posterior's averages of $z$ and $zz^{\mathsf T}$
# stand for what is not known.

# %%
from course_lib.data import load_digits

train, valid, test = (load_digits(split) for split in ("train", "valid", "test"))
digits = train[0].flatten(1).double()
centre = digits.mean(0)


def em_on_line(W, s):
    x, (z, cov) = digits - centre, posterior_of(digits, W, centre, s)  # E
    zz = z.T @ z + len(x) * cov  # the sum of E[z zᵀ]
    new = torch.linalg.solve(zz, z.T @ x).T  # M
    return new, ((x.square().sum() - (x @ new * z).sum()) / x.numel()).sqrt().item()


learnt, width = normal(64, 16), 1.0
climbed = []
for _ in range(300):
    learnt, width = em_on_line(learnt, width)
    climbed.append(evidence_of(learnt, centre, width).log_prob(digits).mean().item())

# %% [markdown]
# For this model the answer is also known in closed form. The columns of the likeliest $W$ are the **principal
# components** of chapter 2, the directions in which the data vary most. The noise $s^2$ is the mean variance of all
# other directions, and a direction of variance $\lambda_j$ gets the length $\sqrt{\lambda_j - s^2}$, since the noise
# supplies the rest.

# %%
variance, axes = torch.linalg.eigh(torch.cov(digits.T, correction=0))


def likeliest(Z):  # W (64, Z) and s; eigh sorts upwards
    s2 = variance[:-Z].mean()
    return axes[:, -Z:] * (variance[-Z:] - s2).sqrt(), s2.sqrt().item()


principal, noise = likeliest(16)
closed = evidence_of(principal, centre, noise).log_prob(digits)

# %% tags=["checking"]
from sklearn.decomposition import PCA

pca = PCA(16).fit(digits.numpy())
same = climbed[-1], closed.mean().item(), pca.score(digits.numpy())
for name, n in zip(("EM, 300 steps", "closed form", "scikit-learn"), same, strict=True):
    print(f"{name:15}{n:.3f} nats an image")
assert all(b > a - 1e-9 for a, b in pairwise(climbed)), "EM never goes down"
assert abs(same[0] - same[1]) < 1e-4 and abs(same[1] - same[2]) < 1e-3
assert_close(learnt @ learnt.T, principal @ principal.T, tolerance=1e-2)

# %% [markdown]
# Three ways to one answer. (scikit-learn divides by $N - 1$ where the likelihood divides by $N$. That is worth
# 0.00002 nats.) EM started at random and ended there: Tipping and Bishop prove that this likelihood has no lower
# hills. The $W$ itself may differ, since a turn of the labels changes nothing in $p(x)$; so the check compares
# $WW^{\mathsf T}$.
#
# So this is a decoder with a prior, and it can *draw*: choose numbers from $\mathcal N(0, I)$, decode them, and add
# the noise. Let it have 32 numbers. Chapter 2's judge says how many of 2,000 draws are no digits. If they are bad, is
# it the fault of the decoder or of the prior? To find out, give the same decoder other codes:
#
# - those of real test digits, the posterior means;
# - points half-way between the codes of two training digits: any two, or two of one class;
# - draws from a mixture of ten Gaussians, fitted to the codes of the training digits. (Their axes stay parallel to
#   those of the codes. Ten free shapes would have 5,609 numbers, too many for 1,000 codes.)


# %%
from course_lib.measure.judge import DigitJudge

judge = DigitJudge(train, valid, generator=dice)
unseen, label = test[0].flatten(1).double(), train[1]
W32, s32 = likeliest(32)
codes, real = (posterior_of(x, W32, centre, s32)[0] for x in (digits, unseen))
ten = GaussianMixture(GaussianMixtureConfig(10, covariance="diagonal"))
ten.fit(codes, generator=dice, restarts=5)

a, b = torch.randint(1000, (2, 2000), generator=dice)  # any two
alike = (label[a, None] == label).double()  # (2000, 1000)
c = torch.multinomial(alike, 1, generator=dice)[:, 0]  # one of a's class
kinds = {"the prior": normal(2000, 32), "any two": (codes[a] + codes[b]) / 2}
kinds |= {"one class": (codes[a] + codes[c]) / 2}
kinds |= {"ten": ten.sample(2000, generator=dice), "test digits": real}


def decode(z, s):  # (N, 32) -> images (N, 1, 8, 8), each pixel at the nearest level
    x = z @ W32.T + centre + s * normal(len(z), 64)
    return x.round().clamp(0, 16).long().view(-1, 1, 8, 8)


# %% tags=["checking"]
ways = {"as they are": (1, s32), "times 1.5": (1.5, s32), "no noise": (1, 0)}
drawn = {n: [decode(t * z, s) for z in kinds.values()] for n, (t, s) in ways.items()}
refused = {name: [judge.invalid_share(x) for x in five] for name, five in drawn.items()}
rows = [[name, *(f"{n:.0%}" for n in five)] for name, five in refused.items()]
for by_prior, any_two, one_class, by_ten, rebuilt in refused.values():
    assert abs(any_two - by_prior) < 0.1 and abs(one_class - rebuilt) < 0.06
    assert one_class < by_ten < by_prior - 0.25 and rebuilt < by_ten
plain, wide, _ = refused.values()
assert all(torch.tensor(wide) < torch.tensor(plain)), "wider codes, fewer refused"
reality = judge.invalid_share(test[0])
assert plain[0] > 0.75 and reality < 0.06
by_prior = -Normal(0, 1).log_prob(real).sum(1).mean().item()
print(f"nats a test code: prior {by_prior:.1f}, ten {price(ten, real):.1f}")
assert price(ten, real) < by_prior - 1.5
rows.append(["(the digits themselves)", *[""] * 4, f"{reality:.0%}"])
show_table(["refused, codes from", *kinds], rows)

# %% tags=["drawing"]
from course_lib.show.plots import show_images

shown = torch.cat([x[:8] for x in drawn["as they are"]])
words = ["prior", "any two", "one class", "ten", "test"]
show_images(shown, columns=8, size=0.6, crossed=judge.label(shown) < 0, rows=words)

# %% [markdown]
# Look at the first row. Rebuilt from their codes, most test digits are still digits: the judge refuses 8 to 11 % of
# them over five seeds, and 2 to 4 % of the originals. So the decoder *can* show digits. But of the prior's draws it
# refuses 80 to 86 %.
#
# **The codes of digits lie in crowds, and the prior also draws what is between the crowds.** Half-way between two
# codes of one class there is mostly a digit again: 10 to 14 % are refused. Half-way between any two there seldom is:
# 86 to 88 % are refused, even a few more than with the prior. A prior with crowds does better. Of the ten Gaussians'
# draws 47 to 54 % are refused, and the code of a test digit, which they have not seen, costs 42.7 to 43.2 nats under
# them and 45.1 under the prior.
#
# Two limits. Ten such Gaussians are not the true crowds: half of their draws are still bad. And the place of a code
# is not all that counts. Multiply every code by 1.5: the images have more contrast, and the judge refuses fewer of
# each kind, 53 to 63 % with the prior and 23 to 30 % with the ten. But at either width the prior is 27 to 35 points
# behind. Without the pixels' noise the order is the same, too. (The pictures are the first eight of each kind. The
# ten Gaussians were lucky with theirs.)
#
# So a straight rule turns and stretches a Gaussian, and what comes out is a Gaussian still. There are two ways out: a
# prior with crowds, or a rule that bends. We take the second. The next page measures how far it gets.
#
# ## And if the line is bent?
#
# Let a curve say where the label $z$ belongs: $z \sim \mathcal N(0, 1)$ and $x \sim \mathcal N(g(z), s^2 I)$. Take
# for $g$ a ribbon that crosses itself. Draw $K$ labels from the prior, and you have a mixture of $K$ equal round
# components.


# %%
def ribbon(z):  # a rule written by hand: (K, 1) -> (K, 2)
    a = math.pi * (0.5 + 0.75 * torch.erf(z / 2**0.5))  # erf spreads z evenly
    return torch.cat([3 * a.sin(), 2 * (2 * a).sin()], 1)


def ribbon_mixture(K):  # K labels drawn from the prior: K equal round components
    z = torch.randn(K, 1, generator=make_generator(seed)).double()
    log_pi, variance = torch.full((K,), 1 / K).log(), torch.full((K,), 0.3**2)
    return GaussianMixture.of(log_pi, ribbon(z), variance, covariance="spherical")


# %% tags=["drawing"]
def show_ribbon(K):
    """A mixture whose components lie on a ribbon, ever denser"""
    return show_density(ribbon_mixture(K).log_prob, title=f"{K} labels z")


how_many = [3, 10, 30, 100, 300, 1000]
explore(show_ribbon, K=how_many, labels={"K": "labels drawn"})

# %% [markdown]
# With 3 labels you see three blobs, with 1,000 a ribbon. In the limit the sum over components is an integral, $p(x) =
# \int p(z)\, p(x \mid z)\, dz$: again a mixture with infinitely many components, described by no more numbers than
# the function $g$ has. But this integral has no closed form. And what is the posterior? With one number for a label
# the grid still knows it. Ask two points, one on the ribbon's nose and one where it crosses itself.


# %%
places = torch.tensor([[3.0, 0.0], [0.0, 0.0]]).double()  # the nose, the crossing
on_ribbon = joint_on_grid(places, ribbon, 0.3)
density = on_ribbon.softmax(1) / step  # p(z | x)

means, widths = torch.linspace(0, 1.2, 61), torch.linspace(0.02, 0.3, 57)
tried = torch.cartesian_prod(means, widths).double()  # Gaussians q
bounds = bound_on_grid(on_ribbon[:, None], tried[:, :1], tried[:, 1:])
short = on_ribbon.logsumexp(1) - bounds.max(1).values  # of log p(x)

# %% tags=["drawing"]
names = "at the nose, (3, 0)", "at the crossing, (0, 0)"
show_curves(
    {name: (labels[:, 0], p) for name, p in zip(names, density, strict=True)},
    xlabel="z",
    ylabel="posterior p(z | x)",
    xlim=(-2, 2),
)

# %% tags=["checking"]
for name, n in zip(names, short, strict=True):
    print(f"{name}: the best Gaussian misses {n:.3f} nats (ln 2: {math.log(2):.3f})")
peaks = (density[:, 1:-1] > density[:, :-2]) & (density[:, 1:-1] > density[:, 2:])
assert (peaks & (density[:, 1:-1] > 0.1)).sum(1).tolist() == [1, 2]
assert short[0] < 0.02 and 0 < short[1] - math.log(2) < 0.03

# %% [markdown]
# At the nose the posterior is one narrow hill, nearly a Gaussian: the best Gaussian $q$ misses $\log p(x)$ by 0.001
# nats. At the crossing there are two hills, since the point may come from either strand. A Gaussian has one hill. The
# best one covers one strand and gives up the other, and that costs 0.71 nats: a little more than $\ln 2 = 0.69$, the
# price of leaving out one of two equal possibilities.
#
# So where are we? Let $g$ be a neural network and $x$ an image, and $g$ is a decoder with a prior. The M step is
# easy: take gradient steps on the bound. The E step is not. The posterior has no formula, and the grid, which needs
# 2,001 labels for one number, would need $2001^{16} \approx 10^{53}$ for sixteen. But the bound allows *any* guess.
# So let a second network look at $x$ and guess. That is the [next page](07_vae.ipynb).
#
# ## Break it
#
# EM begins with the guess that its start allows. Start three components in the same place, with the same shape. Then
# start them almost in the same place, each moved by about a thousandth.


# %%
def climb_from(mean, steps=150):
    theta, path = (even.log(), mean, theta0[2]), []
    for _ in range(steps):
        theta = m_step(points, e_step(points, theta))
        path.append(log_prob(points, theta).mean().item())
    return path


together = start.mean(0).expand(3, 2)
nudged = together + 1e-3 * normal(3, 2)
paths = {"the same start": climb_from(together), "moved by 0.001": climb_from(nudged)}

# %% tags=["drawing"]
show_curves(
    {name: (range(1, 151), path) for name, path in paths.items()},
    xlabel="steps of EM",
    ylabel="log p(x), nats a point",
)

# %% tags=["checking"]
whole = points.mean(0), torch.cov(points.T, correction=0)
single = MultivariateNormal(*whole).log_prob(points).mean().item()
stuck, free = (path[-1] for path in paths.values())
print(f"after 150 steps: {stuck:.4f} and {free:.4f} nats; one Gaussian {single:.4f}")
left = sum(nats < stuck + 0.1 for nats in paths["moved by 0.001"]) + 1
print(f"the second has left the first by 0.1 nats after {left} steps")
assert abs(stuck - single) < 1e-9 and 1 < free - stuck < 1.3 and 20 < left < 50

# %% [markdown]
# Three components in one place get equal shares of every point. So the M step gives all of them the same mean and the
# same covariance, those of all the points, and the next E step gives equal shares again. They remain one Gaussian for
# ever: EM stays at the likelihood of a single one, to nine digits, 1.1 to 1.2 nats below what it could reach. The
# gradient there is zero. A thousandth is enough to break the tie. The difference grows from step to step, and after
# 27 to 41 steps (five seeds) the curve leaves the floor and soon ends where it should. The same happens to the units
# of a network that start equal. This is why one starts at random.
#
# ## What we saw
#
# - A latent variable has a prior, and after a look at $x$ a posterior. The evidence is the sum over all its values.
# - $\log p(x)$ = bound + divergence, for every guess $q$. The E step closes the gap, the M step raises the bound, and
#   EM never goes down. It may stop on a lower hill, run into a needle, or stand still where it started.
# - k-means is EM with equal round components whose width goes to 0. What it cannot see is shape.
# - The likelihood of the training points always wants more components, and narrower ones. Held-out points do not.
# - With a number for a label, a mixture has infinitely many components. If the rule is straight, everything stays
#   exact: that is principal components, with a prior. If it is bent, the posterior has no formula.
#
# **Terms fixed here** ([glossary](glossary.md)): [mixture](glossary.md#mixture), [component](glossary.md#component),
# [latent variable](glossary.md#latent-variable), [posterior](glossary.md#posterior),
# [evidence](glossary.md#evidence), [divergence](glossary.md#divergence),
# [responsibility](glossary.md#responsibility), [EM](glossary.md#em), [k-means](glossary.md#k-means), [probabilistic
# principal components](glossary.md#probabilistic-principal-components).
#
# The [second page](07_vae.ipynb) keeps the equation and changes the rest: the rule is a decoder, the guess an
# encoder, and the two climb together.
#
# ## Your turn
#
# 1. In the EM slider, find the half step at which the three components part. Is it an E or an M step?
# 2. Move the three starting means. Can you find a start from which EM ends on a lower hill?
# 3. `GaussianMixtureConfig(K, covariance="spherical")` on the spiral: how many components does it need for the same
#    held-out nats, and how many numbers is that?
# 4. Give each digit a flat of its own: one `likeliest(Z)` for each of the ten classes. Draw from all ten. How many
#    does the judge refuse?
# 5. In the ribbon, make $s$ larger until the posterior at the crossing has one hill. What does the best Gaussian miss
#    then?
#
# Then the graded assignment: `coursework/07_gmm`, in which stencils share out a thousand digits by EM, and half an
# image is filled in by an exact posterior.
#
# Further reading: [Dempster et al. (1977)](references.md#dempster1977) is EM, and [Neal and Hinton
# (1998)](references.md#neal1998) see it as we did, as one bound that is climbed by turns; [Tipping and Bishop
# (1999)](references.md#tipping1999) turned principal components into a model, and [Roweis
# (1998)](references.md#roweis1998) found EM for it.
