# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 7, first page: which stencil made this digit?
#
# **You will teach twenty stencils to share out a thousand digits, turn EM into k-means with one number, and fill in half an
# image by Bayes' rule, exactly.**
#
# *Laptop: 20 seconds. You need: the [first page of chapter 7](../chapters/07_gmm.ipynb). Three exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that it must do; replace the line
# `raise NotImplementedError()` by a few of your own. The cell below it checks your answer and tells you what it
# found. Some more checks run when your work is graded: they ask for nothing that the docstring does not say. You may
# add cells anywhere; what stands in the check cells is put back before grading. No exercise needs the answer to
# another one, so start where you like: run the cells above the first one, then those of yours, from its heading to the
# next.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from course_lib.data import load_digits
from course_lib.device import make_generator

generator = make_generator(0)
(grey, y), (grey_test, y_test) = (load_digits(split) for split in ("train", "test"))
# (N, 1, 8, 8): levels 0 to 16; and paper 0 or ink 1
x, x_test = (grey > 7).long(), (grey_test > 7).long()


def show(ax, image, title="", most=1):
    """One image (1, 8, 8), from 0 (paper) to `most` (ink), without axes."""
    ax.imshow(image[0], cmap="gray_r", vmin=0, vmax=most)
    ax.set(xticks=[], yticks=[], title=title)


fig, axes = plt.subplots(2, 12, figsize=(9, 1.7), layout="constrained")
for (above, below), image, ink in zip(axes.T, grey_test, x_test, strict=False):
    show(above, image, most=16)
    show(below, ink)

# %% [markdown]
# Digits in 17 levels, and the same ones in ink and paper. Exercise 1 uses ink and paper, the other two use levels.

# %% [markdown]
# ## 1 Twenty stencils
#
# The chapter's mixture is made of Gaussians. But the E step needs only $\log p(x \mid k)$, and the M step only a
# distribution that can be fitted to weighted observations. Let a component be a **stencil**: for each pixel $d$ a
# probability $p_{kd}$ of ink, independently of the others. Then
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
# one of twenty.

# %% [markdown]
# ## 2 From EM to k-means, with one number
#
# $K$ round components of equal weight and one width $s$, which is not learnt. Only the means are. Point $n$ then gives mean $k$
# the share
#
# $$ q_{nk} = \frac{\exp(-|x_n - \mu_k|^2 / 2s^2)}{\sum_j \exp(-|x_n - \mu_j|^2 / 2s^2)}, \qquad
#    \mu_k^{\text{new}} = \frac{\sum_n q_{nk}\, x_n}{\sum_n q_{nk}} $$
#
# and for $s \to 0$ this is k-means. Write it so that $s = 0$ can be asked for: the limit itself, not a small width in its place.
# Three traps. For a small $s$ every exponential may be 0 for a computer; but the *largest* of them can be made 1 without
# changing a share. (`softmax` does that for you.) Far from the origin, $|x|^2 - 2x \cdot \mu + |\mu|^2$ loses its digits; take
# the difference first, then the square. And with hard shares, a mean may get no point at all.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kmeans_step(x, mean, width):
    """One E step and one M step for K round components of equal weight and one width.

    x (N, D) float, any finite numbers below 10⁶; mean (K, D), where the components are; width: a number, 0 or from 0.001
    to 1000. Width 0 means the limit: the nearest mean takes the whole point, and if several are *equally* near,
    they take equal shares of it.
    -> (q, new_mean): q (N, K), each point's shares, which sum to 1; new_mean (K, D), the averages of the points, weighted
    by q. A mean for which all shares are exactly 0 stays where it is. x and mean stay as they were.
    Example: D = 1, points 0, 1 and 4, means 0 and 3. With width 0, q is (1, 0), (1, 0), (0, 1), and the new means are 0.5
    and 4. With width 1, the point 1 is at distances 1 and 2, so its shares are 1/(1 + e^(−3/2)) = 0.818 and 0.182.
    """
    ### BEGIN SOLUTION
    square = (x[:, None] - mean).square().sum(2)  # (N, K)
    more = square - square.min(1, keepdim=True).values  # 0 for the nearest
    if width > 0:
        q = (-more / (2 * width**2)).softmax(1)
    else:
        q = (more == 0).to(x) / (more == 0).sum(1, keepdim=True)
    n = q.sum(0)[:, None]  # (K, 1)
    return q, torch.where(n > 0, q.T @ x / n, mean)
    ### END SOLUTION


# %% [markdown]
# The example, with both widths. Then a point half-way between two means.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

line, two = torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([[0.0], [3.0]])
q, new_mean = kmeans_step(line, two, 0)
assert_shape(q, (3, 2), name="q of three points and two means")
assert_shape(new_mean, (2, 1), name="new_mean of two means on a line")
wanted = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
assert_close(q, wanted, name="q at width 0, in the example")
assert_close(new_mean, torch.tensor([[0.5], [4.0]]), name="new_mean at width 0")
q, new_mean = kmeans_step(line, two, 1)
share = torch.tensor([9 / 2, 3 / 2, -15 / 2]).sigmoid()
assert_close(q, torch.stack([share, 1 - share], 1), name="q at width 1")
wanted = (q * line).sum(0) / q.sum(0)
assert_close(new_mean[:, 0], wanted, name="new_mean at width 1")
between, _ = kmeans_step(torch.tensor([[2.0]]), torch.tensor([[1.0], [3.0]]), 0)
name = "q at width 0, half-way between two means"
assert_close(between, torch.tensor([[0.5, 0.5]]), name=name)

# %% [markdown]
# Graded later, worth 2 points: more dimensions, small widths far away from everything, and means that nobody wants.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for N, D, K, width in (
    (9, 2, 3, 1.0),
    (20, 5, 4, 0.3),
    (6, 1, 1, 2.0),
    (12, 3, 5, 30.0),
):
    points = 2 * torch.randn(N, D, generator=chance)
    places = torch.randn(K, D, generator=chance)
    kept = points.clone(), places.clone()
    q, new_mean = kmeans_step(points, places, width)
    case = f"{N} points in {D} dimensions, {K} means, width {width}"
    for name, now, then in zip(("x", "mean"), (points, places), kept, strict=True):
        assert_close(now, then, name=f"{name}, which must stay as it was; {case}")
    far = (points[:, None] - places).double().square().sum(2)
    right = (-far / (2 * width**2)).softmax(1)
    assert_shape(q, (N, K), name=f"q, {case}")
    assert_close(q, right, tolerance=1e-4, name=f"q, {case}")
    average = right.T @ points.double() / right.sum(0)[:, None]
    assert_shape(new_mean, (K, D), name=f"new_mean, {case}")
    assert_close(new_mean, average, tolerance=1e-3, name=f"new_mean, {case}")
distant = torch.tensor([[3000.0, 0.0], [3000.0, 1.0]])
q, new_mean = kmeans_step(distant, torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 0.01)
name = "q of points 3000 away, at width 0.01: finite, and all for the nearer mean"
assert_close(q, torch.tensor([[0.0, 1.0], [0.0, 1.0]]), name=name)
wanted = torch.tensor([[0.0, 0.0], [3000.0, 0.5]])
assert_close(new_mean, wanted, name="new_mean where one mean gets nothing: it stays")
thrice = 5 + torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [9.0, 9.0]])
q, new_mean = kmeans_step(torch.full((1, 2), 5.0), thrice, 0)
wanted = torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0.0]])
assert_close(q, wanted, name="q at width 0 of a point equally near to three means")
wanted = torch.tensor([[5.0, 5.0], [5.0, 5.0], [5.0, 5.0], [14.0, 14.0]])
assert_close(
    new_mean, wanted, name="new_mean of three that share a point, and one alone"
)
for near in (1e-4, 1e-6):
    close = torch.tensor([[near], [2 * near]])
    q, _ = kmeans_step(torch.zeros(1, 1), close, 0)
    name = f"q at width 0, means {near:g} and {2 * near:g} from the point"
    assert_close(q, torch.tensor([[1.0, 0.0]]), name=name)
q, _ = kmeans_step(torch.zeros(1, 1), torch.tensor([[0.001], [0.002]]), 0.001)
share = torch.tensor(1.5).sigmoid()
wanted = torch.stack([share, 1 - share])[None]
assert_close(q, wanted, name="q at width 0.001, means 0.001 and 0.002 from the point")
far = torch.tensor([[100001.0, 0.0], [99998.0, 0.0]])
q, _ = kmeans_step(torch.tensor([[100000.0, 0.0]]), far, 0)
name = "q at width 0, far from the origin, means 1 and 2 from the point"
assert_close(q, torch.tensor([[1.0, 0.0]]), name=name)
q, new_mean = kmeans_step(torch.tensor([[7.0]]), torch.tensor([[7.0], [13.0]]), 1)
name = "new_mean of one whose share of a single point is tiny, but not 0"
assert_close(new_mean, torch.tensor([[7.0], [7.0]]), name=name)
### END HIDDEN TESTS

# %% [markdown]
# Ten means for a thousand digits: k-means from twenty random starts, and once from means that all begin in the middle,
# moved by about a tenth of a level, with a width of 14 levels that is lowered slowly to 0. We compare the mean squared
# distance of an image from its nearest mean.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
levels = grey.flatten(1).float()  # (1000, 64)


def inertia(mean):
    return torch.cdist(levels, mean).square().min(1).values.mean().item()


def run_kmeans(mean, widths):
    for width in [*widths, *[0] * 40]:  # k-means at the end
        mean = kmeans_step(levels, mean, width)[1]
    return mean


starts = [torch.randperm(1000, generator=generator)[:10] for _ in range(20)]
random_ends = sorted(inertia(run_kmeans(levels[start], [])) for start in starts)
middle = levels.mean(0) + 0.1 * torch.randn(10, 64, generator=generator)
cooled = run_kmeans(middle, torch.linspace(14, 0.5, 55).repeat_interleave(5).tolist())
print(
    f"random starts: best {random_ends[0]:.1f}, median {random_ends[10]:.1f},", end=" "
)
print(f"worst {random_ends[-1]:.1f}; cooled: {inertia(cooled):.1f}")
nearest = torch.cdist(levels, cooled).argmin(1)
# the digit of most images, and their share
most = [y[nearest == k].bincount(minlength=10).max(0) for k in range(10)]
fig, axes = plt.subplots(1, 10, figsize=(8, 1.2), layout="constrained")
for k, (ax, image) in enumerate(zip(axes, cooled, strict=True)):
    share = most[k].values / (nearest == k).sum()
    show(ax, image.view(1, 8, 8), f"{most[k].indices}: {share:.0%}", most=16)
assert inertia(cooled) < random_ends[10] - 2, "better than most random starts"
own = sum(m.values.item() for m in most) / 1000
print(f"{own:.0%} of the images have their digit's mean nearest")
assert {m.indices.item() for m in most} == set(range(10)) and own > 0.75

# %% [markdown]
# Starting wide and cooling slowly, one run ends as low as the best of twenty random starts. (That is no law: one of
# four other beginnings that we tried ended at 645.) Above each mean stands the digit that most of its
# images are, and their share. Ten means, ten different digits: nobody said what a digit is, and 79 % of the images have their
# own digit's mean nearest.

# %% [markdown]
# ## 3 Half an image, exactly
#
# The chapter's decoder with a straight rule: $z \sim \mathcal N(0, I)$ and $x = Wz + \mu + s\,\varepsilon$. Now some pixels of an
# image are hidden. Which $z$ made it? Given $z$ the pixels are independent, so the hidden ones drop out of Bayes'
# rule. What is left are the rows of $W$ and $\mu$ that belong to *known* pixels, $W_o$ and $\mu_o$:
#
# $$ p(z \mid x_o) = \mathcal N\bigl(M^{-1} W_o^{\mathsf T} (x_o - \mu_o),\; s^2 M^{-1}\bigr), \qquad
#    M = W_o^{\mathsf T} W_o + s^2 I $$
#
# And the hidden pixels? Each is $W_d z + \mu_d$ plus noise, and $z$ is only known up to its posterior. So a hidden pixel has a mean, and
# a variance with two parts.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fill_exactly(x, known, W, mu, s):
    """What probabilistic principal components believe about an image of which only some pixels are known.

    x (D,) float: the pixels; where they are not known anything may stand, also NaN. known (D,) bool, from none to all of
    the pixels. W (D, Z), mu (D,), s: the model, z ~ N(0, I) and x = W z + mu + s · noise, s > 0.
    -> (z_mean, filled, sd): z_mean (Z,), the mean of p(z | known pixels); filled (D,), each known pixel as it is and
    each hidden one at its mean given the known ones; sd (D,), the standard deviation of each pixel given the known ones:
    0 where it is known, and otherwise √(the variance that z still has in this pixel + s²).
    Example: D = 2, Z = 1, W = (1, 2), mu = 0, s = 1; the first pixel is 4, the second is hidden. M = 1 + 1, so z has mean 2
    and variance 1/2. The hidden pixel has mean 2 · 2 = 4 and variance 2² · 1/2 + 1 = 3.
    """
    ### BEGIN SOLUTION
    W_known = W[known]
    M = W_known.T @ W_known + s**2 * torch.eye(W.shape[1]).to(W)
    z_mean = torch.linalg.solve(M, W_known.T @ (x[known] - mu[known]))
    covariance = s**2 * torch.linalg.inv(M)
    filled = torch.where(known, x, W @ z_mean + mu)
    variance = (W @ covariance * W).sum(1) + s**2
    return z_mean, filled, torch.where(known, 0.0, variance.sqrt())
    ### END SOLUTION


# %% [markdown]
# The example. Then the same model with nothing known, and with everything.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

W, mu = torch.tensor([[1.0], [2.0]]).double(), torch.zeros(2).double()
first, second = torch.tensor([True, False]), torch.tensor([False, True])
four = torch.tensor([4.0, 0.0]).double()
z_mean, filled, sd = fill_exactly(four, first, W, mu, 1.0)
assert_shape(z_mean, (1,), name="z_mean of one latent number")
assert_shape(filled, (2,), name="filled, two pixels")
assert_shape(sd, (2,), name="sd, two pixels")
assert_close(z_mean, torch.tensor([2.0]), name="z_mean in the example: 4/(1 + 1)")
assert_close(filled, torch.tensor([4.0, 4.0]), name="filled in the example")
assert_close(sd, torch.tensor([0.0, 3**0.5]), name="sd in the example: 0 and √3")
z_mean, filled, sd = fill_exactly(four, first & second, W, mu + 1, 1.0)
assert_close(z_mean, torch.zeros(1), name="z_mean where nothing is known: the prior's")
assert_close(filled, torch.ones(2), name="filled where nothing is known: mu, here 1")
wanted = torch.tensor([2.0, 5.0]).sqrt()
assert_close(sd, wanted, name="sd where nothing is known: √(1 + 1), √(4 + 1)")
z_mean, filled, _ = fill_exactly(four, first | second, W, mu, 1.0)
assert_close(z_mean, torch.tensor([4 / 6]), name="z_mean where all is known: 4/(5 + 1)")
assert_close(filled, four, name="filled where all is known: the image")

# %% [markdown]
# Graded later, worth 2 points: more pixels and latent numbers, other noise, and images in which NaN stands where nothing
# is known.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for D, Z, s, seen in ((6, 2, 0.5, 3), (10, 4, 2.0, 7), (12, 3, 0.1, 2), (5, 1, 1.0, 5)):
    W = torch.randn(D, Z, generator=chance).double()
    mu = 3 * torch.randn(D, generator=chance).double()
    image = mu + 2 * torch.randn(D, generator=chance).double()
    known = torch.zeros(D, dtype=torch.bool)
    known[torch.randperm(D, generator=chance)[:seen]] = True
    image[~known] = math.nan
    kept = [t.clone() for t in (image.nan_to_num(99), known, W, mu)]
    z_mean, filled, sd = fill_exactly(image, known, W, mu, s)
    case = f"{seen} of {D} pixels known, {Z} latent numbers, s = {s}"
    for name, now, then in zip(
        ("x", "known", "W", "mu"),
        (image.nan_to_num(99), known, W, mu),
        kept,
        strict=True,
    ):
        assert_close(
            now.double(), then.double(), name=f"{name}, which must stay; {case}"
        )
    # another way: x is a Gaussian, and so is a part of it given the rest
    joint = W @ W.T + s**2 * torch.eye(D).double()
    gain = joint[:, known] @ torch.linalg.inv(joint[known][:, known])
    right = mu + gain @ (image[known] - mu[known])
    left = (joint - gain @ joint[known]).diagonal().clamp(min=0).sqrt()
    latent = W[known].T @ torch.linalg.inv(joint[known][:, known])
    assert_shape(z_mean, (Z,), name=f"z_mean, {case}")
    latent = latent @ (image[known] - mu[known])
    assert_close(z_mean, latent, tolerance=1e-6, name=f"z_mean, {case}")
    assert_shape(filled, (D,), name=f"filled, {case}")
    assert_close(filled[known], image[known], name=f"filled, known pixels, {case}")
    assert_close(filled, torch.where(known, image, right), tolerance=1e-6, name=case)
    assert_shape(sd, (D,), name=f"sd, {case}")
    assert_close(sd[known], torch.zeros(seen), name=f"sd of known pixels, {case}")
    assert_close(sd[~known], left[~known], tolerance=1e-6, name=f"sd of hidden, {case}")
### END HIDDEN TESTS

# %% [markdown]
# Now the lower halves of 447 digits that the model has not seen. The model has 32 latent numbers and the likeliest
# parameters, by the chapter's closed form. Three other ways to fill: with the mean digit; with the model's
# reconstruction of an image whose lower half was first set to the mean; and with the $z$ that fits the upper half best, without
# a prior.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
levels, unseen = grey.flatten(1).double(), grey_test.flatten(1).double()
mu = levels.mean(0)
variance, axes = torch.linalg.eigh(torch.cov(levels.T, correction=0))
s = variance[:-32].mean().sqrt().item()
W = axes[:, -32:] * (variance[-32:] - s**2).sqrt()
upper = torch.arange(64) < 32
whole = torch.ones(64, dtype=torch.bool)

answers = [fill_exactly(image, upper, W, mu, s) for image in unseen]
exactly, sd = (torch.stack([answer[i] for answer in answers]) for i in (1, 2))
patched = torch.where(upper, unseen, mu)
codes = torch.stack([fill_exactly(image, whole, W, mu, s)[0] for image in patched])
fits = (unseen[:, upper] - mu[upper]) @ torch.linalg.pinv(W[upper]).T
ways = {"the mean digit": mu.expand(447, 64), "the exact posterior": exactly}
ways |= {"a whole image, patched": codes @ W.T + mu, "no prior": fits @ W.T + mu}
missed = {}
for name, filled in ways.items():
    missed[name] = (filled - unseen)[:, ~upper].square().mean().sqrt().item()
    print(f"{name:23}{missed[name]:6.2f} levels off")
within = ((exactly - unseen).abs() < 2 * sd)[:, ~upper].double().mean().item()
print(f"within two of its own standard deviations: {within:.0%} of the hidden pixels")
fig, panels = plt.subplots(3, 10, figsize=(8, 2.6), layout="constrained")
for column, image, filled, doubt in zip(panels.T, unseen, exactly, sd, strict=False):
    for ax, shown in zip(column, (image, filled, 2 * doubt), strict=True):
        show(ax, shown.view(1, 8, 8), most=16)
for ax, label in zip(panels[:, 0], ("digit", "filled", "2 sd"), strict=True):
    ax.set_ylabel(label)
assert missed["the exact posterior"] < 0.9 * missed["the mean digit"]
assert missed["the exact posterior"] < missed["a whole image, patched"] - 0.3
gain = {name: missed["the mean digit"] - miss for name, miss in missed.items()}
assert 0.2 < gain["a whole image, patched"] / gain["the exact posterior"] < 0.35
assert missed["no prior"] > 3 * missed["the mean digit"], "it needs its prior"
assert 0.92 < within < 0.96, "and knows how far to trust itself"

# %% [markdown]
# The exact posterior is better than the mean digit, 3.8 levels off instead of 4.5. That is not much: the lower half of a digit
# is hard to tell from the upper one, and a straight rule cannot choose between two endings. It can only take the
# middle. But it knows how little it knows: 94 % of the hidden pixels lie within two of its standard deviations, as 95 % should.
# (Its doubt is the same for every image, in the bottom row. In a Gaussian it depends on which pixels are known, not on
# what they show.) Patching the image first throws nearly three quarters of the gain away, because the model takes the patch for a fact. And without the prior, 32 numbers are
# fitted to 32 pixels, and anything may come out below.

# %% [markdown]
# ## What you saw
#
# - EM needs two things from a component: a probability of each observation, and a fit to weighted ones. Gaussians,
#   stencils and round k-means components differ in nothing else.
# - Subtract the largest before you take exponentials. A limit such as $s = 0$ is often best written down by itself.
# - What is not known drops out of Bayes' rule. It must not be replaced by a guess first.
# - A posterior says two things: what, and how sure.
