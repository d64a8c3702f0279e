# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 1: a hill, a fold, a machine and a chain
#
# **You will fit the likeliest hill to a handful of points, bend random numbers and work out their new density, add up
# all the pictures that a small machine can make, and find out what it costs to draw by a chain.**
#
# *Laptop: 10 seconds. You need: [chapter 1](../chapters/01_taxonomy.ipynb), and Python with lists and the module
# `math`. Four exercises, 3 points each. The first should take about a quarter of an hour.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line `raise
# NotImplementedError()` by a few lines of your own. Plain Python is enough; you may also use numpy or torch, in 64
# bits. The cell below checks your answer and tells you what it found. A few more checks run when your work is graded;
# they test nothing that the docstring does not say. You may add cells anywhere. The check cells are restored before
# grading. No exercise needs the answer to another one. To begin with a later one, run the cells above exercise 1, then
# go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
import time
from itertools import product

import matplotlib.pyplot as plt
import torch

from course_lib import check
from course_lib.device import make_generator

generator = make_generator(0)


def digits_agree(got, right, tolerance, name, relative=False):
    """A check that two numbers are the same; `relative` to the right one, also if that is tiny."""
    check.assert_close(got, right, name=name)
    scale = abs(right) if relative else max(1.0, abs(right))
    assert abs(float(got) - right) <= tolerance * scale, (
        f"{name}: expected {right:.12g}, got {float(got):.12g}. That is close, but more digits are asked for."
    )


def bell(z):
    """The density of the Gaussian with mean 0 and standard deviation 1."""
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def draw_bell(n):
    """A list of n draws from it."""
    return torch.randn(n, generator=generator, dtype=torch.float64).tolist()


def draw_uniform(n):
    """A list of n numbers from 0 to 1, each place equally likely."""
    return torch.rand(n, generator=generator, dtype=torch.float64).tolist()


# %% [markdown]
# ## 1 A pointed hill
#
# The chapter's hill is round on top, and its likeliest centre is the mean of the points. A hill may also be pointed:
#
# $$ q(x) = \frac{1}{2s}\; e^{-|x - m| / s} $$
#
# Here $m$ is its centre and $s$ its width. Far from the centre it has a higher density than a round hill, so a point
# far out is less of a surprise.
#
# Which $m$ and $s$ make the $N$ points $x_1, \dots, x_N$ as likely as possible? The log-likelihood of a point, averaged
# over all of them, is
#
# $$ \frac 1N \sum_n \log q(x_n) = -\log 2s - \frac 1s \cdot \frac 1N \sum_n |x_n - m| $$
#
# First $m$. It should make the sum of the distances $|x_n - m|$ as small as it can be. Move $m$ a little to the right:
# the points on its right come nearer, and those on its left get farther away. So the sum falls as long as there are
# more points on the right, and stops where there are as many on the left. That is the **median**, the middle one of the
# sorted points. Then $s$. The derivative of the log-likelihood with respect to $s$ is 0 where $s$ is the mean distance
# of the points from $m$.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit_pointed_hill(x):
    """The likeliest pointed hill for the points in x.

    x: a list of N ≥ 2 numbers in any order, from −1,000,000 to 1,000,000. Some may be equal, but not all.
    -> (m, s, nats), three numbers. m, the centre: the middle one of the sorted points; if N is even, halfway between the
    two in the middle. s, the width: the mean distance of all N points from m. nats, the log-likelihood of a point: the
    average of log q(x_n) over the points, with this m and s. All are right to nine digits. The list x stays as it was.
    Example: x = [12, 0, 5]. The middle one is 5, so m = 5. The distances are 7, 5 and 0, so s = 4. The three densities
    are e^(−7/4)/8, e^(−5/4)/8 and 1/8, and the average of their logarithms is −log 8 − 1 = −3.079.
    """
    ### BEGIN SOLUTION
    ordered, N = sorted(x), len(x)
    m = (ordered[(N - 1) // 2] + ordered[N // 2]) / 2
    s = sum(abs(point - m) for point in x) / N
    return m, s, -math.log(2 * s) - 1
    ### END SOLUTION


# %% [markdown]
# First the example. Then an even number of points.


# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def check_hill(x, wanted, case):
    """m, s and nats are the wanted ones."""
    answer = fit_pointed_hill(list(x))
    assert isinstance(answer, tuple) and len(answer) == 3, (
        f"{case}: expected three numbers, return m, s, nats; got {answer!r}"
    )
    for name, got, right in zip(("m", "s", "nats"), answer, wanted, strict=True):
        digits_agree(got, right, 1e-9, f"{case}: {name}")


check_hill([12, 0, 5], (5, 4, -math.log(8) - 1), "the example, [12, 0, 5]")
wanted = (2.5, 2.75, -math.log(5.5) - 1)
check_hill([2, 10, 3, 0], wanted, "[2, 10, 3, 0], where 2 and 3 are in the middle")

# %% [markdown]
# Graded later, worth 2 points: more points, equal points, a point very far out, tiny and huge widths, and whether the
# list that was passed in is still in its old order.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
import statistics

chance = torch.Generator().manual_seed(1)
for N, size, shift in (
    (2, 1.0, 0.0),
    (3, 0.001, -5.0),
    (8, 1e4, 0.0),
    (9, 2.0, 900_000.0),
    (100, 1e-6, 0.0),
    (101, 30.0, -30.0),
    (1000, 1e5, 2e5),
):
    points = torch.randn(N, generator=chance, dtype=torch.float64)
    points = (shift + size * points.clamp(-4, 4)).tolist()
    middle = statistics.median(points)
    width = statistics.fmean(math.dist([point], [middle]) for point in points)
    logs = [-abs(point - middle) / width - math.log(2 * width) for point in points]
    case = f"{N} points around {shift:g}, about {size:g} apart"
    check_hill(points, (middle, width, statistics.fmean(logs)), case)
    given = list(points)
    answer = fit_pointed_hill(given)
    assert given == points, f"{case}: the list x must stay as it was, and has changed"
    # relative to the width, for it may be tiny
    name = f"{case}: s"
    digits_agree(answer[1], width, 1e-7, name, relative=True)
for points, middle, width in (
    ([5, 0, 5, 5, 5], 5, 1),
    ([0, 0, 0, 1], 0, 0.25),
    ([1, 4, 1, 4, 4, 1], 2.5, 1.5),
    ([-3, -8], -5.5, 2.5),
    ([-1, -1, -7], -1, 2),
    ([10, 9, 8, 100, 7], 9, 19),
    # the far point's density is e^−2001, which is 0 in 64 bits
    ([0] * 2000 + [1], 0, 1 / 2001),
):
    case = f"{len(points)} points, the last {points[-6:]}, whose median is {middle}"
    check_hill(points, (middle, width, -1 - math.log(2 * width)), case)
### END HIDDEN TESTS

# %% [markdown]
# Which hill should you take? Here we know the truth, so we can ask for the KL. We draw 300 sets of 50 points from a
# round hill, and 300 from a pointed one. To each set we fit both kinds of hill, and add up the KL of each over a fine
# grid.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
axis = torch.linspace(-20, 20, 4001).double()
centred = axis.square() / 2 + math.log(2 * math.pi) / 2
log_truth = {"round": -centred, "pointed": -axis.abs() - math.log(2)}


def draw_from(shape, n):
    size = torch.tensor(draw_bell(n)).double()
    if shape == "round":
        return size
    # a pointed hill is a bell whose width is drawn, too
    return size * (-2 * torch.tensor(draw_uniform(n)).double().log()).sqrt()


def fitted_log_density(shape, points):
    """The log-density on the axis of the likeliest hill of a shape."""
    if shape == "pointed":
        centre, width, _ = fit_pointed_hill(points.tolist())
        return -(axis - centre).abs() / width - math.log(2 * width)
    centre, width = points.mean(), points.std(correction=0)
    return -(((axis - centre) / width) ** 2 + math.log(2 * math.pi)) / 2 - width.log()


lost = {(truth, shape): [] for truth in log_truth for shape in log_truth}
for truth, log_p in log_truth.items():
    for _ in range(300):
        points = draw_from(truth, 50)
        for shape in log_truth:
            gap = log_p - fitted_log_density(shape, points)
            lost[truth, shape].append(torch.trapezoid(log_p.exp() * gap, axis).item())
mean = {pair: sum(values) / 300 for pair, values in lost.items()}
print("KL in nats a point      round hill  pointed hill")
for truth in log_truth:
    row = "".join(f"{mean[truth, shape]:12.3f}" for shape in log_truth)
    print(f"the truth is {truth:8}{row}")
fig, panels = plt.subplots(1, 2, figsize=(8, 2.4), sharey=True, layout="constrained")
for ax, (truth, log_p) in zip(panels, log_truth.items(), strict=True):
    points = draw_from(truth, 50)
    ax.plot(points, torch.full((50,), -0.03), "|", color="0.4")
    ax.plot(axis, log_p.exp(), color="0.7", lw=4, label="truth")
    for shape, style in zip(log_truth, ("-", "--"), strict=True):
        ax.plot(axis, fitted_log_density(shape, points).exp(), style, label=shape)
    ax.set(xlim=(-5, 5), xlabel="x", title=f"50 points, the truth is {truth}")
panels[0].set_ylabel("density")
panels[1].legend()
assert mean["round", "round"] < mean["round", "pointed"] - 0.03
assert mean["pointed", "pointed"] < mean["pointed", "round"] - 0.03
assert mean["pointed", "round"] > mean["round", "pointed"] + 0.02

# %% [markdown]
# The pictures show one more set of each kind. Each shape wins where it is the truth. Even then it loses about 0.02
# nats, because 50 points do not tell its two numbers exactly. The wrong shape costs more where the truth is pointed:
# 0.12 nats instead of 0.07. The round hill has to be wide because of a few points far out, and then it is too low in
# the middle, where the points are densest. Maximum likelihood finds the best numbers within a family. It does not ask
# whether another family would have been better.

# %% [markdown]
# ## 2 Bent numbers
#
# Draw $z$ from a density $p(z)$ that you know, and let $x = a z^2 + b z + c$. What is the density of $x$? Each small
# piece of the $z$-axis carries its probability with it. Where the curve is steep, the piece becomes longer, and the
# density falls. What counts is the slope $2az + b$ *at this* $z$, without its sign:
#
# $$ \text{density at } x \;=\; \sum_{z \text{ with } a z^2 + b z + c = x} \frac{p(z)}{|2 a z + b|} $$
#
# If $a = 0$, the curve is a straight line, and each $x$ comes from exactly one $z$. Otherwise it is a parabola, which
# folds the $z$-axis: each $x$ on one side of the fold comes from two $z$, and no $z$ leads to the other side. To find
# the two, solve a quadratic equation.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bent_density(x, a, b, c, p):
    """The density at x of the numbers a·z² + b·z + c, where z is drawn from the density p.

    x: a number, the place. a, b: numbers from −10 to 10, and c: one from −100 to 100. a is either 0 or at least 0.01 in
    size; if a is 0, then b is at least 0.01 in size. x is at least 0.01 away from the fold, which is at c − b²/(4a).
    p: a function: p(z) is the density of z at a number z. It may be any density on the line, and 0 in places.
    -> a number ≥ 0: the sum of p(z)/|slope at z| over all z that lead to x, or 0 if there are none. Right to eight digits.
    Example: z is uniform from −1 to 2, so p(z) is 1/3 there and 0 elsewhere. a = 1 and b = c = 0, so x = z². At x = 0.25:
    it comes from z = 0.5, slope 1, and from z = −0.5, slope −1, so the density is 1/3 + 1/3. At x = 2.25: it comes from
    z = 1.5, slope 3, and from z = −1.5, where p is 0, so the density is 1/9. At x = −1: no z leads there, so it is 0.
    """
    ### BEGIN SOLUTION
    if a == 0:
        return p((x - c) / b) / abs(b)
    inside = b**2 - 4 * a * (c - x)
    if inside < 0:
        return 0.0
    root = math.sqrt(inside)  # the size of both slopes
    return sum(p((sign * root - b) / (2 * a)) / root for sign in (1, -1))
    ### END SOLUTION


# %% [markdown]
# First a straight line that falls, then the example.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close


def third(z):
    """The uniform density from −1 to 2."""
    return 1 / 3 if -1 <= z <= 2 else 0.0


name = "density of −2z at x = 1, which comes from z = −0.5, slope −2"
assert_close(bent_density(1.0, 0, -2, 0, third), 1 / 6, name=name)
name = "density of −2z at x = 6, which comes from z = −3, where p is 0"
assert_close(bent_density(6.0, 0, -2, 0, third), 0.0, name=name)
name = "density of z² at x = 0.25, which comes from z = 0.5 and from z = −0.5"
assert_close(bent_density(0.25, 1, 0, 0, third), 2 / 3, name=name)
name = "density of z² at x = 2.25, which comes from z = 1.5 (and −1.5, where p is 0)"
assert_close(bent_density(2.25, 1, 0, 0, third), 1 / 9, name=name)
name = "density of z² at x = −1, where no z leads"
assert_close(bent_density(-1.0, 1, 0, 0, third), 0.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: parabolas that open downwards or have their fold elsewhere, lines that are shifted, and
# other densities of $z$.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)


def wave(z):
    """A lopsided density: no sign, shift or factor leaves it as it is."""
    return (
        math.exp(-((z - 0.3) ** 2) / 200)
        / math.sqrt(200 * math.pi)
        * (1 + math.sin(z) / 2)
    )


def half_line(z):
    return 2 * math.exp(-2 * z) if z >= 0 else 0.0


def densities_agree(place, a, b, c, p, right, case):
    got = bent_density(place, a, b, c, p)
    name = f"density at x = {place:g} with a = {a:g}, b = {b:g}, c = {c:g}, {case}"
    digits_agree(got, right, 1e-8, name, relative=True)


for a, b, c in (
    (0, 1, 0),
    (0, -3, 2),
    (0, 0.01, -5),
    (0, 10, 40),
    (0, -0.25, 1),
    (1, 0, 0),
    (1, 2, 0),
    (-1, 0, 3),
    (-0.5, 3, -1),
    (2, -7, 100),
    (0.01, 1, 5),
    (-0.01, -10, 0),
    (10, 10, -100),
    (3, -0.5, 0),
    (-4, 20, 60),
):
    for p, case in ((wave, "z around 0.3"), (half_line, "z ≥ 0"), (third, "uniform")):
        for z in (5 * torch.rand(6, generator=chance).double() - 2).tolist():
            slope, place = 2 * a * z + b, a * z**2 + b * z + c
            if a and abs(place - c + b**2 / (4 * a)) < 0.01:
                continue  # too near to the fold
            right = p(z) / abs(slope)
            if a:
                right += p(-b / a - z) / abs(slope)
            densities_agree(place, a, b, c, p, right, case)
    if a:
        for far in (0.011, 1, 100):
            fold, far = c - b**2 / (4 * a), math.copysign(far, a)
            densities_agree(fold - far, a, b, c, wave, 0.0, "beyond the fold")
            away = math.sqrt(far / a)
            right = sum(wave(s * away - b / (2 * a)) for s in (1, -1))
            right /= 2 * abs(a) * away
            densities_agree(fold + far, a, b, c, wave, right, "z around 0.3")
### END HIDDEN TESTS

# %% [markdown]
# Now $z$ comes from a bell, the Gaussian with mean 0 and width 1. The grey bars show 20,000 draws after they were bent,
# and the line is your function. For the dashed line we forget one of the two $z$: we give your function only the half
# of the bell on the right of the fold.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
drawn = torch.tensor(draw_bell(20_000)).double()
curves = {"−2z + 1": (0, -2, 1), "z²/2 + z": (0.5, 1, 0), "−z²/2 + 2": (-0.5, 0, 2)}
# x = fold ± u², in small steps where the density is high, and far enough for the tails
u = (torch.arange(2000).double() + 0.5) * 0.003


def bell_right_of(turn):
    """The bell, with nothing to the left of `turn`."""
    return lambda z: bell(z) if z > turn else 0.0


fig, panels = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
print("area under the density   all z   one z")
for ax, (title, (a, b, c)) in zip(panels, curves.items(), strict=True):
    turn = -b / (2 * a) if a else -math.inf
    fold = c - b**2 / (4 * a) if a else c
    if a:
        x, width = fold + math.copysign(1, a) * u**2, 2 * u * 0.003
    else:
        x, width = torch.cat([c - u.flip(0) ** 2, c + u**2]), 2 * u * 0.003
        width = torch.cat([width.flip(0), width])
    area = []
    for name, p, style in (
        ("all z", bell, "C0"),
        ("one z", bell_right_of(turn), "C3--"),
    ):
        density = torch.tensor([bent_density(v, a, b, c, p) for v in x.tolist()])
        area.append((density * width).sum().item())
        ax.plot(x, density, style, label=name)
    bent = a * drawn**2 + b * drawn + c
    weights = torch.full_like(bent, 15 / 20_000)  # 15 bars have the width 1
    ax.hist(bent, bins=150, range=(-5, 5), weights=weights, color="0.8")
    ax.set(xlim=(-5, 5), ylim=(0, 0.9), title=f"x = {title}", xlabel="x")
    print(f"{title:22}{area[0]:8.3f}{area[1]:8.3f}")
    assert abs(area[0] - 1) < 0.002, "a density has area 1"
    on_the_right = (1 - math.erf(turn / 2**0.5)) / 2  # the bell's probability there
    assert abs(area[1] - on_the_right) < 0.002
panels[0].set_ylabel("density")
panels[0].legend()

# %% [markdown]
# For the straight line the two agree, because each $x$ comes from one $z$. For the parabolas the dashed line is too
# low, and the area under it is only 0.84 and 0.5. That is the probability of the $z$ that were counted. The others are
# lost, and what is left is not a density. Look at the fold, too. The slope is 0 there and the density grows without
# limit, and yet the area under it is 1.

# %% [markdown]
# ## 3 A machine that must be added up
#
# One leaf of the tree is the **Boltzmann machine**. It knows $\log p(x)$ except for a constant. Here you compute that
# constant for a small machine. It makes pictures of $D$ pixels, and each pixel $x_i$ is $+1$ (ink) or $-1$ (paper). It
# also has $H$ **hidden units** $h_j$, again $+1$ or $-1$, which are not part of the picture. Pixels and hidden units
# together have an **energy** $E$, and the lower the energy, the higher the probability:
#
# $$ p(x, h) = \frac{e^{-E(x, h)}}{Z}, \qquad
#    E(x, h) = -\sum_i b_i x_i - \sum_j c_j h_j - \sum_{j,i} h_j\, W_{ji}\, x_i $$
#
# The numbers $b_i$ and $c_j$ are **biases**: the larger $b_i$ is, the more pixel $i$ tends to ink. The numbers $W_{ji}$
# are **links**: if $W_{ji}$ is large, unit $j$ and pixel $i$ tend to have the same value.
#
# How likely is a picture? Add up over all $h$ that may go with it: $p(x) = e^{-F(x)} / Z$, where $F(x)$ is called the
# **free energy** of the picture and $e^{-F(x)} = \sum_h e^{-E(x, h)}$. There are $2^H$ different $h$. But no hidden
# unit is linked to another, so the sum is a product of $H$ factors. Each factor has two terms, one for $h_j = 1$ and
# one for $h_j = -1$:
#
# $$ e^{-F(x)} = e^{\sum_i b_i x_i} \prod_j \left(e^{a_j} + e^{-a_j}\right), \qquad a_j = c_j + \sum_i W_{ji}\, x_i $$
#
# And the constant? All probabilities add up to 1, so $Z = \sum_x e^{-F(x)}$, a sum over all $2^D$ pictures. This time
# there is no short cut, and you have to add them up. (`product((-1, 1), repeat=D)` goes through them.) Then you know
# $\log p(x) = -F(x) - \log Z$.
#
# There is one trap. $e^{1000}$ is too large for a computer, although its logarithm is just 1000. So stay with the
# logarithms. To add up numbers whose logarithms are $u_1, u_2, \dots$, take the largest, $u_{\max}$, out of the sum:
#
# $$ \log \sum_k e^{u_k} = u_{\max} + \log \sum_k e^{u_k - u_{\max}} $$


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spin_machine(x, b, c, W):
    """The free energy of a picture, and the logarithm of the machine's constant.

    x: a list of D numbers, each +1 or −1, D from 1 to 10. b: a list of D numbers. c: a list of H numbers, H from 1 to 100.
    W: a list of H lists of D numbers; W[j][i] links hidden unit j and pixel i. All numbers are from −1000 to 1000.
    -> (F, log_Z), two numbers in nats: the free energy of x, and log Z. Both are right to nine digits, also where e^(−F)
    is too large for a computer. The lists stay as they were.
    Example: D = 1, H = 1, x = [1], b = [log 2], c = [0], W = [[log 2]]. For x = 1, e^(−F) = 2 · (2 + 1/2) = 5. For x = −1
    it is 1/2 · (1/2 + 2) = 1.25. So F = −log 5 and log Z = log 6.25, and p(x = 1) = 5/6.25 = 0.8.
    """
    ### BEGIN SOLUTION
    u = {}  # −F of each picture
    for picture in product((-1, 1), repeat=len(b)):
        u[picture] = sum(bias * i for bias, i in zip(b, picture, strict=True))
        for shift, row in zip(c, W, strict=True):
            a = shift + sum(link * i for link, i in zip(row, picture, strict=True))
            u[picture] += abs(a) + math.log1p(math.exp(-2 * abs(a)))
    largest = max(u.values())
    log_Z = largest + math.log(sum(math.exp(v - largest) for v in u.values()))
    return -u[tuple(x)], log_Z
    ### END SOLUTION


# %% [markdown]
# First the example. Then a machine of two pixels and one hidden unit, which you can work out by hand, and one with
# large numbers.


# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def check_machine(x, b, c, W, wanted, case):
    """F and log Z are the wanted ones."""
    answer = spin_machine(list(x), list(b), list(c), [list(row) for row in W])
    assert isinstance(answer, tuple) and len(answer) == 2, (
        f"{case}: expected two numbers, return F, log_Z; got {answer!r}"
    )
    for name, got, right in zip(("F", "log Z"), answer, wanted, strict=True):
        digits_agree(got, right, 1e-9, f"{case}: {name}")


log_2 = math.log(2)
wanted = (-math.log(5), math.log(6.25))
check_machine([1], [log_2], [0], [[log_2]], wanted, "the example")
check_machine([-1], [log_2], [0], [[log_2]], (-math.log(1.25), wanted[1]), "x = [-1]")
# e^(−F) is 4 + 1/4 where both pixels are alike, and 2 where they are not
wanted = (-math.log(4.25), math.log(2 * 4.25 + 2 * 2))
check_machine([1, 1], [0, 0], [0], [[log_2, log_2]], wanted, "two pixels, both 1")
wanted = (-1500.0, 1500.0)
check_machine([1], [500], [0], [[1000]], wanted, "b = [500], W = [[1000]]")

# %% [markdown]
# Graded later, worth 2 points: larger machines with up to 100 hidden units, hidden units with biases, and numbers of
# all sizes.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for D, H, size in (
    (1, 1, 1.0),
    (1, 4, 0.5),
    (2, 2, 1.0),
    (3, 3, 0.2),
    (3, 1, 3.0),
    (5, 2, 10.0),
    (4, 4, 1000.0),
    (6, 9, 0.01),
    (10, 3, 0.7),
    (4, 100, 1.0),
    (2, 100, 200.0),
):
    noise = [
        (size * torch.randn(n, generator=chance).double()).clamp(-1000, 1000)
        for n in (D, H, H * D)
    ]
    b, c, W = noise[0], noise[1], noise[2].view(H, D)
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * D).view(-1, D)
    a = c + every @ W.T
    minus_F = every @ b + torch.logaddexp(a, -a).sum(1)
    for k in {0, len(every) - 1, len(every) // 2, len(every) // 3}:
        x = [int(pixel) for pixel in every[k]]
        right = (-minus_F[k].item(), minus_F.logsumexp(0).item())
        case = f"D = {D}, H = {H}, numbers of about {size:g}, x = {x}"
        given = [x, b.tolist(), c.tolist(), W.tolist()]
        check_machine(*given, right, case)
        spin_machine(*given)
        stay = ([int(pixel) for pixel in every[k]], b.tolist(), c.tolist(), W.tolist())
        assert given == list(stay), f"{case}: the lists must stay as they were"
# by hand
wanted = (-3 * log_2, 4 * log_2)
check_machine([-1], [0], [0, 0, 0], [[0]] * 3, wanted, "nothing linked: 2³, 2 · 2³")
wanted = (-1000.0, 1000 + log_2)
check_machine([-1], [0], [0], [[1000]], wanted, "x = [-1], W = [[1000]]")
wanted = (1000 - log_2, 1000 + log_2)
check_machine([1], [-1000], [0], [[0]], wanted, "x = [1], b = [-1000]")
wanted = (-200_000.0, 200_000.0)
check_machine([1], [0], [1000] * 100, [[1000]] * 100, wanted, "100 strong hidden units")
wanted = (-100.0, 100 + log_2)
check_machine([1], [0], [100], [[0]], wanted, "c = [100]")
wanted = (-3e-8 - log_2, 2 * log_2)
check_machine([1], [3e-8], [0], [[0]], wanted, "b = [3e-8]")
### END HIDDEN TESTS

# %% [markdown]
# A machine for pictures of two rows of four pixels. Each row has a hidden unit of its own, linked to its pixels with
# strength 1.5, so the pixels of a row tend to be the same. All pixels have a bias of 0.1, a little towards ink. With
# your function we get the probability of each of the 256 pictures. The ten likeliest are below. For comparison, we also
# cut the links.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
links = [[1.5] * 4 + [0] * 4, [0] * 4 + [1.5] * 4]
pictures = [list(picture) for picture in product((1, -1), repeat=8)]
striped = [[above] * 4 + [below] * 4 for above, below in product((1, -1), repeat=2)]


def log_probability(picture, W):
    free, constant = spin_machine(picture, [0.1] * 8, [0, 0], W)
    return -free - constant


log_p = [log_probability(picture, links) for picture in pictures]
total = sum(map(math.exp, log_p))
order = sorted(range(256), key=lambda k: -log_p[k])
fig, panels = plt.subplots(1, 10, figsize=(9, 0.9), layout="constrained")
for ax, k in zip(panels, order, strict=False):
    ax.imshow(torch.tensor(pictures[k]).view(2, 4), cmap="gray_r", vmin=-1.5, vmax=1)
    ax.set(xticks=[], yticks=[], title=f"{math.exp(log_p[k]):.1%}")
linked = sum(math.exp(log_probability(picture, links)) for picture in striped)
cut = sum(math.exp(log_probability(picture, [[0] * 8] * 2)) for picture in striped)
print(f"all 256 probabilities together: {total:.6f}")
print(
    f"the four pictures with rows of one colour: {linked:.0%}; without links {cut:.1%}"
)
start = time.perf_counter()
spin_machine([1] * 10, [0] * 10, [0], [[0.1] * 10])
years = (time.perf_counter() - start) * 2.0 ** (64 - 10) / 3.2e7
print(f"a machine of 64 pixels would take {years / 1e6:.1f} million years")
assert abs(total - 1) < 1e-9
assert [pictures[k] in striped for k in order[:5]] == [True] * 4 + [False]
assert linked > 10 * cut, "the links make the rows"

# %% [markdown]
# The four pictures whose rows have a single colour come first, ink before paper. Together they have 69 % of the
# probability; without the links they have 2 %. To say which of two pictures is likelier you do not need $Z$: compare
# their $F$. But to say *how* likely a picture is, you need all the others, and each new pixel doubles the work. That
# is why the Boltzmann machine is on the approximate side of the tree.

# %% [markdown]
# ## 4 What a draw costs
#
# To draw from such a machine you need a chain. Draw the hidden units given the pixels, then new pixels given the hidden
# units, and so on. Each picture is made from the one before and resembles it. So a thousand steps are not worth a
# thousand independent draws. How many are they worth?
#
# Read one number off each picture, for instance the number of pixels with ink. This gives a list $x_1, x_2, \dots$ Cut
# it into **batches** of $L$ values in a row, and take the mean of each batch. If the values were independent, the
# variance of these means would be $L$ times smaller than the variance of single values. If each value came $\tau$ times
# in a row, a batch would hold only $L/\tau$ independent values, and the variance of the means would be $\tau$ times
# larger than that. So compare the two variances:
#
# $$ \tau = L \cdot \frac{\frac 1B \sum_{k=1}^{B} (\bar x_k - \bar x)^2}{\frac 1{BL} \sum_{t=1}^{BL} (x_t - \bar x)^2} $$
#
# Here $B$ is the number of whole batches, $\bar x_k$ is the mean of batch $k$, and $\bar x$ is the mean of all $BL$
# values in them. Values left over at the end are not used. For independent values $\tau$ is about 1. If $\tau$ is 50,
# one independent draw costs 50 steps. To see this, the batches must be much longer than $\tau$.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def steps_per_draw(x, L):
    """How many steps of a chain are worth one independent draw, by the means of batches.

    x: a list of numbers, one for each step, each from −1,000,000 to 1,000,000. L: the length of a batch, a whole number ≥
    1. There are two whole batches or more, and not all the values in them are equal.
    -> τ, a number ≥ 0, as in the equation above, right to six digits. The values after the last whole batch count nowhere.
    τ may well be below 1; return it as it is. The list stays as it was.
    Example: x = [0, 0, 3, 3, 6, 6, 9] and L = 2. The batches are (0, 0), (3, 3) and (6, 6), and 9 is left over. Their
    means are 0, 3 and 6, and the mean of all six values is 3. Both variances are 6, so τ = 2 · 6/6 = 2: each value came
    twice.
    """
    ### BEGIN SOLUTION
    B = len(x) // L
    used = x[: B * L]
    centre = math.fsum(used) / len(used)
    means = [math.fsum(used[k * L : k * L + L]) / L for k in range(B)]
    between = math.fsum((mean - centre) ** 2 for mean in means) / B
    return L * between / (math.fsum((value - centre) ** 2 for value in used) / (B * L))
    ### END SOLUTION


# %% [markdown]
# First the example. Then a list whose values take turns, so that all batches have the same mean.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close

name = "τ of [0, 0, 3, 3, 6, 6, 9] in batches of 2, the example"
assert_close(steps_per_draw([0, 0, 3, 3, 6, 6, 9], 2), 2.0, name=name)
name = "τ of [1, 5, 1, 5, 1, 5] in batches of 2, whose means are all 3"
assert_close(steps_per_draw([1, 5, 1, 5, 1, 5], 2), 0.0, name=name)
name = "τ of [6, 6, 6, 0, 0, 0] in batches of 3"
assert_close(steps_per_draw([6, 6, 6, 0, 0, 0], 3), 3.0, name=name)
independent = torch.randn(50_000, generator=make_generator(1)).double().tolist()
got = steps_per_draw(independent, 10)
assert 0.9 < got < 1.1, (
    f"τ of 50,000 independent draws: expected about 1, got {got:.3f}"
)

# %% [markdown]
# Graded later, worth 2 points: lists of many lengths, values left over, values far from 0, and a chain whose τ is
# known.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)
for N, L, size, shift in (
    (2, 1, 1.0, 0.0),
    (7, 3, 1.0, 0.0),
    (11, 2, 5.0, -3.0),
    (12, 4, 0.01, 2.0),
    (99, 10, 1e5, 0.0),
    (500, 7, 1.0, 100.0),
    (1000, 500, 2.0, 1.0),
    (300, 20, 0.01, 900_000.0),
    (300, 1, 0.001, -500_000.0),
):
    steps = torch.randn(N, generator=chance).double().cumsum(0) / 3
    values = (shift + size * steps).clamp(-1e6, 1e6)
    whole = values[: N // L * L].view(-1, L)
    whole = whole - whole.mean()
    right = L * whole.mean(1).square().mean() / whole.square().mean()
    given = values.tolist()
    case = f"τ of {N} values of size {size:g} around {shift:g}, batches of {L}"
    digits_agree(steps_per_draw(given, L), right.item(), 1e-6, case)
    assert given == values.tolist(), f"{case}: the list must stay as it was"
    again = steps_per_draw([*given, *[shift + 7 * size] * ((L - 1) - N % L)], L)
    digits_agree(again, right.item(), 1e-6, f"{case}, and more left over")
name = "τ of [1, 2, 3, 4, 5, 6] in batches of 2: 2 · (8/3)/(35/12)"
assert_close(steps_per_draw([1, 2, 3, 4, 5, 6], 2), 64 / 35, name=name)
name = "τ of [1, 2, 3, 4, 5, 6] in batches of 3: 3 · (9/4)/(35/12)"
assert_close(steps_per_draw([1, 2, 3, 4, 5, 6], 3), 81 / 35, name=name)
name = "τ of [1, -1, 1, -1] in batches of 1"
assert_close(steps_per_draw([1, -1, 1, -1], 1), 1.0, name=name)
name = "τ of [3, 0, 1, 1, 0, 3, 2, 2] in batches of 2: it is below 1"
assert_close(steps_per_draw([3, 0, 1, 1, 0, 3, 2, 2], 2), 0.2, name=name)
# 50 % of the last value and fresh noise: τ is (1 + 0.5)/(1 − 0.5) = 3
last, values = 0.0, []
for fresh in torch.randn(40_000, generator=chance).tolist():
    last = last / 2 + fresh
    values.append(last)
got = steps_per_draw(values, 100)
assert 2.4 < got < 3.6, (
    f"a chain that keeps half of its last value: expected τ about 3, got {got:.3f}"
)
### END HIDDEN TESTS

# %% [markdown]
# Another machine, this time with nine pixels and one hidden unit. All links have the same strength. They are positive
# where the letter T has ink, and negative where it has paper. So the machine prefers the T, and the negative of the T
# just as much: flip all pixels and the hidden unit, and the energy is the same. On average, then, a picture must
# agree with the T in 4.5 of its 9 pixels. We run chains of 50,000 steps that begin at the T, and read off in how many
# pixels each picture agrees with it. For a machine with a single hidden unit we can also calculate $\tau$ exactly.

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}


def run_chain(strength, steps, agree=9):
    """How many of nine pixels agree with the T at each step, beginning at `agree`."""
    p_agree = 1 / (1 + math.exp(-2 * strength))  # a pixel with the hidden unit
    coins = torch.rand(steps, 10, generator=generator, dtype=torch.float64)
    with_unit = (coins[:, 1:] < p_agree).sum(1).tolist()
    read = []
    for coin, alike in zip(coins[:, 0].tolist(), with_unit, strict=True):
        push = strength * (2 * agree - 9)  # a in the equations above
        on = coin < 1 / (1 + math.exp(-2 * push))
        agree = alike if on else 9 - alike
        read.append(agree)
    return read


def exact_steps(strength):
    """τ of this chain for batches without end."""
    up, mean = 1 / (1 + math.exp(-2 * strength)), 9 * math.tanh(strength)
    share = [math.comb(9, k) * up**k * (1 - up) ** (9 - k) for k in range(10)]
    pull = [math.tanh(strength * (2 * k - 9)) for k in range(10)]
    keeps = sum(p * t for p, t in zip(share, pull, strict=True))
    first = sum(
        p * t * (2 * k - 9) for k, p, t in zip(range(10), share, pull, strict=True)
    )
    square = sum(p * (2 * k - 9) ** 2 for k, p in enumerate(share))
    return 1 + 2 * mean * first / square / (1 - keeps)


generator = make_generator(0)  # the same chains whenever this cell runs
print("strength   batches of 10     100     500     exactly")
seen = {}
for strength in (0.1, 0.3, 0.5, 0.7, 2.0):
    seen[strength] = run_chain(strength, 50_000)
    row = [steps_per_draw(seen[strength], length) for length in (10, 100, 500)]
    numbers = "".join(f"{value:8.1f}" for value in row)
    print(f"{strength:8}{'':8}{numbers}{exact_steps(strength):12,.1f}")
    if strength < 1:
        assert abs(math.log(row[-1] / exact_steps(strength))) < 0.6
other = run_chain(2.0, 50_000, agree=0)
two = steps_per_draw(seen[2.0] + other, 500)
means = [sum(read) / 50_000 for read in (seen[2.0], other)]
print(f"strength 2: one chain agrees in {means[0]:.2f} pixels, one that began at the")
print(f"negative in {means[1]:.2f}. Both in one list, batches of 500: {two:.0f} steps")
fig, panels = plt.subplots(1, 3, figsize=(9, 2), sharey=True, layout="constrained")
for ax, strength in zip(panels, (0.1, 0.5, 2.0), strict=True):
    ax.plot(seen[strength][:1000], lw=0.7, label="from T")
    ax.set(title=f"strength {strength}", xlabel="step")
panels[2].plot(other[:1000], lw=0.7, label="from its negative")
panels[2].legend()
panels[0].set(ylabel="pixels that agree", yticks=[0, 3, 6, 9])
assert steps_per_draw(seen[2.0], 500) < 2, "it looks as if each step were a new draw"
assert means[0] > 8 and means[1] < 1 and two > 400, "but it has seen half of the truth"

# %% [markdown]
# The stronger the links, the longer the chain stays near the T or near its negative, and the more a draw costs. The
# batches must be long enough: at strength 0.7, batches of 10 say 7.4 steps, and the truth is 28.
#
# What about strength 2? Your function says that about every step is a new draw, whatever the batches. In truth a draw
# costs two million steps. The chain has never left the T, and nothing in it shows that there is anything else. A
# second chain shows it, one that begins far away, at the negative. Each of the two has its own mean, and neither is
# 4.5. Put both chains into one list, and the answer is nearly the length of a batch, which is the largest that it can
# be.

# %% [markdown]
# ## What you saw
#
# - Maximum likelihood finds the best numbers within a family. For a round hill they are the mean and the standard
#   deviation, for a pointed one the median and the mean distance from it.
# - When numbers are bent, divide the density by the size of the slope. Where the curve folds, add up *all* $z$ that
#   lead to $x$; otherwise the area is less than 1.
# - An energy tells you at once which of two pictures is likelier. To know how likely it is, you have to add up all
#   pictures.
# - The steps of a chain are not independent draws. When a chain tells you that its draws are cheap, start another one
#   far away before you believe it.
