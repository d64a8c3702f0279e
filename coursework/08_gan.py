# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 8, first page: which distance does the game measure?
#
# **You will find the best discriminator when real and made do not come equally often, see what each of two losses tells
# the generator, and count what a discriminator gains if it sees several draws at once.**
#
# *Laptop: 10 seconds. You need: the [first page of chapter 8](../chapters/08_gan.ipynb). Three exercises, 3 points
# each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line `raise
# NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it found. A
# few more checks run when your work is graded; they test nothing that the docstring does not say. You may add cells
# anywhere. The check cells are restored before grading. No exercise needs the answer to another one. To begin with a
# later one, run the cells above exercise 1, then go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch

line = torch.linspace(-8, 8, 321).double()  # the centres of 321 cells, 0.05 wide


def bump(mean, sd):
    """Log-probabilities of the cells, (..., 321), for Gaussians: mean and sd (...)."""
    z = (line - torch.as_tensor(mean)[..., None]) / torch.as_tensor(sd)[..., None]
    return (-z.square() / 2).log_softmax(-1)


# 60 % of the data lie around −2, 40 % around 2
log_p = torch.logaddexp(bump(-2.0, 0.5) + math.log(0.6), bump(2.0, 0.5) + math.log(0.4))

fig, ax = plt.subplots(figsize=(6, 2), layout="constrained")
ax.fill_between(line, log_p.exp(), color="tab:gray", alpha=0.5)
ax.set(xlabel="x", ylabel="probability of a cell")
assert abs(log_p.logsumexp(0)) < 1e-9, "they sum to 1"

# %% [markdown]
# These are the data of this assignment. The line is cut into cells, so a distribution is a list of probabilities and
# every integral is a sum. No network is trained here: with so few cells the *best* discriminator can be written down.

# %% [markdown]
# ## 1 When real and made are not shown equally often
#
# In the chapter, half of what the discriminator sees is real. Let it be a share $s$ instead. With probability $s$ it is
# shown a draw of $p$, the data, otherwise a draw of $q$, the generator. Its answer is a probability $D(x)$ that $x$ is
# real, and it is paid the logarithm of the probability that it gave to the truth. The best it can get on average is
#
# $$ V_s = \max_D \sum_x \Bigl( s\, p(x) \log D(x) + (1 - s)\, q(x) \log\bigl(1 - D(x)\bigr) \Bigr) $$
#
# If it could not tell the two apart, it would always answer $s$, and get $V = s \log s + (1 - s) \log (1 - s)$. What it
# gets beyond this is a divergence, with $m = s\,p + (1 - s)\,q$:
#
# $$ \mathrm{JS}_s = V_s - s \log s - (1 - s) \log (1 - s)
#    = s\, \mathrm{KL}(p \,\|\, m) + (1 - s)\, \mathrm{KL}(q \,\|\, m) $$
#
# For $s = 1/2$ it is the Jensen-Shannon divergence. Derive $D^*$ as the chapter does, for one $x$ at a time. You need
# its logit, which is a sum of logarithms: computed like this, it is exact even where both probabilities are rounded to
# 0.
#
# Two things can go wrong in a computer. Where a probability is 0, its logarithm is $-\infty$, and both $0 \cdot \infty$
# and $\infty - \infty$ are NaN. And where $p$ and $q$ nearly agree, $\mathrm{JS}_s$ is a small difference between
# larger numbers. So use float64 inside, and subtract before you add up: the sum of the two KLs is right even if a row
# sums to 1.0000001, as rows of float32 do, but $V_s - s \log s - (1 - s) \log (1 - s)$ is not.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_judge(log_p, log_q, share):
    """The best discriminator for B pairs of distributions over N cells, what it is paid, and which distance that is.

    log_p, log_q (B, N), float32 or float64: log-probabilities of the cells, numbers from −1000 to 0, or −∞ where a cell
    never comes. Each row's exp sums to 1 up to rounding. share: a number from 0.000001 to 0.999999, how much of what
    the discriminator sees is drawn from p.
    -> (logit, value, js), of float64. logit (B, N): log(D*/(1 − D*)) of the best discriminator, for any such share. It
    is −∞ where only p is 0, ∞ where only q is 0, and where both are 0 as if the two were equal. value (B,): V_s in
    nats, as above. js (B,): JS_s in nats, finite and never negative, and right to 1 per cent of itself, also where p
    and q differ by a thousandth in every cell, where share is close to 0 or 1, and where both are so. log_p and log_q
    stay as they were.
    Example: two cells, p = (1/2, 1/2), q = (1, 0), share 1/3. In the first cell real has 1/3 · 1/2 = 1/6 and made 2/3,
    so D* is 1/5 and the logit −log 4. In the second D* is 1, the logit ∞. value = 1/6 log 1/5 + 2/3 log 4/5 = −0.4170,
    and js = −0.4170 − 1/3 log 1/3 − 2/3 log 2/3 = 0.2195.
    """
    ### BEGIN SOLUTION
    log_p, log_q = log_p.double(), log_q.double()
    odds = math.log(share) - math.log1p(-share)
    never = log_p.isneginf() & log_q.isneginf()
    logit = torch.where(never, 0.0, log_p - log_q) + odds
    cells, paid = 0.0, 0.0
    for weight, log_prob, sign in ((share, log_p, 1), (1 - share, log_q, -1)):
        log_d = torch.nn.functional.logsigmoid(sign * logit)
        log_d = torch.where(log_prob.isneginf(), 0.0, log_d)
        paid = paid + weight * log_prob.exp() * log_d
        cells = cells + weight * log_prob.exp() * (log_d - math.log(weight))
    return logit, paid.sum(1), cells.sum(1).clamp(min=0)
    ### END SOLUTION


# %% [markdown]
# First the example. Then two equal distributions beside two that have nothing in common, seen equally often: $V$ is
# $-\log 2$ for the first pair and 0 for the second.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

real, made = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]).log()
logit, value, js = best_judge(real, made, 1 / 3)
assert_shape(logit, (1, 2), name="logit of one pair and two cells")
wanted = torch.tensor([[-math.log(4), math.inf]])
assert_close(logit, wanted, name="logit in the example: −log 4, and ∞ where q is 0")
assert_shape(value, (1,), name="value, one number a pair")
name = "value in the example: 1/6 log 1/5 + 2/3 log 4/5"
assert_close(value, torch.tensor([-0.417002]), name=name)
assert_shape(js, (1,), name="js, one number a pair")
assert_close(js, torch.tensor([0.219512]), name="js in the example")
real = torch.tensor([[0.2, 0.8, 0.0], [0.2, 0.8, 0.0]]).log()
made = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]).log()
logit, value, js = best_judge(real, made, 0.5)
assert_close(
    logit[0], torch.zeros(3), name="logit for equal p and q, seen equally often"
)
name = "value for equal p and q, and for p and q with nothing in common"
assert_close(value, torch.tensor([-math.log(2), 0.0]), name=name)
assert_close(js, torch.tensor([0.0, math.log(2)]), name="js of the same two pairs")

# %% [markdown]
# Graded later, worth 2 points: other sizes and shares, probabilities of $e^{-1000}$, cells that never come, and
# distributions that nearly agree.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for B, N, share, dtype in (
    (1, 1, 0.3, torch.float64),
    (4, 6, 0.5, torch.float32),
    (6, 4, 0.9, torch.float64),
    (3, 300, 0.02, torch.float64),
    (5, 5, 0.7, torch.float32),
):
    log_a, log_b = (2 * torch.randn(2, B, N, generator=chance)).to(dtype)
    if N > 3:
        log_a[:, :2], log_b[:, 1:3] = -math.inf, -math.inf  # cell 1 never comes
    log_a, log_b = log_a.log_softmax(1), log_b.log_softmax(1)
    kept = log_a.clone(), log_b.clone()
    logit, value, js = best_judge(log_a, log_b, share)
    case = f"{B} pairs, {N} cells, share {share}, {dtype}"
    assert log_a.equal(kept[0]) and log_b.equal(kept[1]), (
        f"log_p and log_q must stay as they were, and have changed; {case}"
    )
    a, b = kept[0].double().exp(), kept[1].double().exp()
    middle = share * a + (1 - share) * b
    right = torch.where(middle > 0, share * a / middle, share).logit()
    assert_shape(logit, (B, N), name=f"logit, {case}")
    assert_close(logit, right, name=f"logit, {case}")
    kls = [
        torch.where(t > 0, t * (t / middle).log(), 0.0).sum(1).double() for t in (a, b)
    ]
    right = share * kls[0] + (1 - share) * kls[1]
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert_shape(value, (B,), name=f"value, {case}")
    assert_close(value, right - entropy, name=f"value, {case}")
    assert_shape(js, (B,), name=f"js, {case}")
    assert_close(js, right, name=f"js, {case}")
    for what, got in (("logit", logit), ("value", value), ("js", js)):
        assert got.dtype == torch.float64, (
            f"{what}: expected float64, got {got.dtype}; {case}"
        )
far = torch.tensor([[0.0, -1000.0, -999.0], [-1000.0, 0.0, -998.0]])
logit, value, js = best_judge(far, far.flip(0), 0.5)
assert_close(
    logit,
    torch.tensor([[1000.0, -1000.0, -1.0], [-1000.0, 1000.0, 1.0]]),
    tolerance=1e-9,
    name="logit of e^0 and e^−1000, e^−1000 and e^0, e^−999 and e^−998 (rounded to 0 before the quotient?)",
)
assert_close(value, torch.zeros(2), name="value where D is sure: 0, not NaN")
assert_close(js, torch.full((2,), math.log(2)), name="js where D is sure: log 2")
logit, value, js = best_judge(
    torch.tensor([[0.0, -math.inf]]), torch.tensor([[-1000.0, 0.0]]), 0.25
)
assert_close(
    logit,
    torch.tensor([[1000 - math.log(3), -math.inf]]),
    name="logit of 1 against e^−1000, share 1/4",
)
assert_close(value, torch.zeros(1), name="value of 1 against e^−1000, share 1/4")
right = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
assert_close(js, torch.tensor([right]), name="js of 1 against e^−1000, share 1/4")
# nearly equal: JS_s = s (1 − s)/2 · Σ p · (log p − log q)², to a thousandth of itself
base = torch.randn(4, 50, generator=chance).double().log_softmax(1)
near = (base + 1e-3 * torch.tensor([1.0, -1.0]).repeat(25)).log_softmax(1)
for share in (0.5, 0.1, 0.999, 1e-6, 1 - 1e-6):
    exact = share * (1 - share) / 2 * (base.exp() * (base - near).square()).sum(1)
    _, _, js = best_judge(base, near, share)
    assert_close(
        js / exact,
        torch.ones(4),
        tolerance=1e-2,
        name=f"js as a share of the exact one; p and q differ by a thousandth, share {share}",
    )
    _, _, js = best_judge(base.float(), near.float(), share)
    apart = (base.float() - near.float()).double().square()
    exact = share * (1 - share) / 2 * (base.exp() * apart).sum(1)
    assert_close(
        js / exact,
        torch.ones(4),
        tolerance=1e-2,
        name=f"js as a share of the exact one; float32 in, differences of a thousandth, share {share} (float64 inside?)",
    )
for share in (1e-6, 1 - 1e-6):
    a, b = torch.randn(2, 3, 9, generator=chance).double().log_softmax(2)
    logit, _, js = best_judge(a, b, share)
    assert_close(
        logit,
        a - b + math.log(share) - math.log1p(-share),
        name=f"logit where share is {share}",
    )
    kl = (a.exp() * (a - b)).sum(1) if share < 0.5 else (b.exp() * (b - a)).sum(1)
    assert_close(
        js / (share * (1 - share)) / kl,
        torch.ones(3),
        tolerance=1e-2,
        name=f"js where share is {share}: share (1 − share) times a KL",
    )
for share in (0.5, 0.3, 1e-6):
    _, _, js = best_judge(base, base.clone(), share)
    assert_close(js, torch.zeros(4), name=f"js of p and p, share {share}")
    for off in (0, 1e-15, 1e-12):
        _, _, js = best_judge(base, base + off, share)
        assert js.min() >= 0, (
            f"js where log p and log q differ by {off:g}: expected 0 or more, got {js.min():.2g}, share {share}"
        )
### END HIDDEN TESTS

# %% [markdown]
# Let a generator that can only make one Gaussian bump minimise this distance to the two bumps of the data. There are
# only two numbers to find, so we try them all: 97 means and 60 widths.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
mean, sd = torch.cartesian_prod(
    torch.linspace(-3, 3, 97).double(), torch.linspace(0.3, 3.25, 60).double()
).T
every_bump = bump(mean, sd)  # (5820, 321)
same = log_p.expand_as(every_bump)
kl_pq = (same.exp() * (same - every_bump)).sum(1)
kl_qp = (every_bump.exp() * (every_bump - same)).sum(1)
distances = {"KL(p ‖ q)": kl_pq}
for share in (0.001, 0.1, 0.5, 0.9, 0.999):
    _, _, js = best_judge(same, every_bump, share)
    distances[f"share {share:g}"] = js / (share * (1 - share))
distances["KL(q ‖ p)"] = kl_qp
best = {}
print("                  mean    sd   (data: −0.40, 2.02)")
for name, distance in distances.items():
    k = distance.argmin()
    best[name] = mean[k].item(), sd[k].item()
    print("{:15}{:7.2f}{:6.2f}".format(name, *best[name]))
assert best["share 0.001"] == best["KL(p ‖ q)"] and best["KL(p ‖ q)"][1] > 1.9
assert best["share 0.999"] == best["KL(q ‖ p)"] and best["KL(q ‖ p)"][1] < 0.6
assert best["share 0.5"][1] < 0.6, "the plain Jensen-Shannon divergence chooses, too"

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.fill_between(line, log_p.exp(), color="tab:gray", alpha=0.4, label="data")
shares = torch.linspace(0.01, 0.99, 99).tolist()
bumps = {"on both": (-0.4, 2.0), "on the left": (-2.0, 0.5), "on the right": (2.0, 0.5)}
costs = {}
for name, place in bumps.items():
    q = bump(*torch.tensor(place).double())[None]
    found = [best_judge(log_p[None], q, s)[2].item() / (s * (1 - s)) for s in shares]
    costs[name] = torch.tensor(found)
    left.plot(line, q[0].exp(), label=name)
    right.plot(shares, costs[name], label=name)
left.set(xlabel="x", ylabel="probability of a cell")
left.legend()
right.set(xlabel="share of real data s", ylabel="JS / s (1 − s), nats", ylim=(0, 3))
turn = shares[(costs["on the left"] < costs["on both"]).int().argmax()]
print(f"the bump on the left is nearer than the one on both from s = {turn:.2f} on")
assert 0.25 < turn < 0.45

# %% [markdown]
# Divided by $s (1 - s)$, the distance goes to $\mathrm{KL}(p \,\|\, q)$ as $s$ goes to 0, and to $\mathrm{KL}(q \,\|\,
# p)$ as $s$ goes to 1 (Huszár, 2015). The first asks for some probability wherever there are data. Maximum likelihood
# minimises it, and its best bump has the data's own mean and width, as nearly as the grid allows. The second asks that
# nothing be made where there are no data, and its best bump sits on one mode and leaves the other out. In between, one
# curve on the right crosses the other near $s = 0.34$. At $s = 1/2$, the chapter's game, the single mode has already
# won. A generator that can make both modes loses nothing by it: for $q = p$ all these distances are 0. But one that is
# too weak has to choose, and how often the discriminator is shown real data decides *what* it chooses.

# %% [markdown]
# ## 2 What the generator is told
#
# Now it is the generator's turn. Let it be as free as can be: $q = \mathrm{softmax}(\theta)$, one number $\theta_i$ for
# each cell. The discriminator is the best one for this $q$, and in the generator's turn it *stands still*. The
# generator has one of two losses:
#
# $$ \text{minimax:}\quad \sum_i q_i \log\bigl(1 - D^*_i\bigr), \qquad\qquad
#    \text{non-saturating:}\quad -\sum_i q_i \log D^*_i $$
#
# What is the gradient of each in $\theta$? If $c_i$ is what a draw from cell $i$ costs, the loss is $\sum_i q_i c_i$,
# and you know the derivative of a softmax. Or let autograd do it, but be careful: $D^*$ depends on $q$, and it must not
# move along.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def told(theta, log_p, game):
    """The generator's loss against the best discriminator, and its gradient in theta while that one stands still.

    theta (N,) float64, any numbers from −1000 to 1000: the generator draws cell i with probability softmax(theta)_i.
    log_p (N,) float64: the data's log-probabilities, from −1000 to 0. Real and made are seen equally often. game:
    "minimax" or "non-saturating".
    -> (loss, gradient), of float64. loss (): the sum above, in nats. gradient (N,): its derivatives in theta, with D*
    held fixed at the best discriminator for this theta. Both are finite, right to 0.000001 (of themselves where they
    are larger than 1), and do not require a gradient. The arguments stay as they were, and theta gets no `.grad`. It
    may be a leaf that requires a gradient, or not.
    Example: two cells, theta = (0, 0), p = (3/4, 1/4). So q = (1/2, 1/2) and D* = (3/5, 1/3). For the non-saturating
    game a draw costs −log D* = (log 5/3, log 3). The loss is their mean, 0.8047, and the gradient is q_i times (the
    cost of i less that mean): (−0.1469, 0.1469).
    """
    ### BEGIN SOLUTION
    log_q = theta.detach().log_softmax(0)
    logit = log_p - log_q
    if game == "minimax":
        cost = torch.nn.functional.logsigmoid(-logit)
    else:
        cost = -torch.nn.functional.logsigmoid(logit)
    q = log_q.exp()
    loss = (q * cost).sum()
    return loss, q * (cost - loss)
    ### END SOLUTION


# %% [markdown]
# First the example, in both games. Then a generator that is right: $D^*$ is 1/2 everywhere, and there is nothing to
# learn.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

theta = torch.zeros(2).double()
data = torch.tensor([0.75, 0.25]).double().log()
loss, gradient = told(theta, data, "non-saturating")
assert_shape(loss, (), name="loss")
assert_close(loss, 0.804719, name="loss in the example, non-saturating")
assert_shape(gradient, (2,), name="gradient of two cells")
name = "gradient in the example, non-saturating (does D* stand still?)"
assert_close(gradient, torch.tensor([-0.146947, 0.146947]), name=name)
loss, gradient = told(theta, data, "minimax")
assert_close(loss, -0.660878, name="loss in the example, minimax: log(2/5 · 2/3)/2")
name = "gradient in the example, minimax"
assert_close(gradient, torch.tensor([-0.127706, 0.127706]), name=name)
loss, gradient = told(data + 3, data, "non-saturating")
assert_close(loss, math.log(2), name="loss where q = p, non-saturating")
assert_close(gradient, torch.zeros(2), name="gradient where q = p")

# %% [markdown]
# Graded later, worth 2 points: more cells, discriminators that are sure of themselves, and a comparison with the
# derivatives of two distances.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for N, spread, leaf, shift in (
    (1, 1, True, 0),
    (5, 1, True, 0),
    (40, 3, False, 0),
    (7, 12, True, 0),
    (9, 1, False, 990),
    (9, 1, True, -990),
):
    theta = spread * torch.randn(N, generator=chance).double() + shift
    data = torch.randn(N, generator=chance).double().log_softmax(0)
    kept = theta.clone(), data.clone()
    theta.requires_grad_(leaf)
    for game in ("minimax", "non-saturating"):
        loss, gradient = told(theta, data, game)
        case = f"{N} cells, theta of {shift} ± {spread}, {game}"
        assert theta.equal(kept[0]) and data.equal(kept[1]), (
            f"theta and log_p must stay as they were, and have changed; {case}"
        )
        assert theta.grad is None, (
            f"theta.grad: expected None, got a gradient. Hint: .backward() leaves one; use a copy; {case}"
        )
        assert theta.requires_grad == leaf, (
            f"theta.requires_grad must stay {leaf}, and has changed; {case}"
        )
        assert not (loss.requires_grad or gradient.requires_grad), (
            f"loss and gradient: expected plain numbers, got tensors that require a gradient; {case}"
        )
        for what, got in (("loss", loss), ("gradient", gradient)):
            assert got.dtype == torch.float64, (
                f"{what}: expected float64, got {got.dtype}; {case}"
            )
        twin = kept[0].clone().requires_grad_()
        a, b = data.exp(), twin.softmax(0)
        middle = (a + b) / 2
        to_middle = (a * (a / middle).log() + b * (b / middle).log()).sum()  # 2 JS
        if game == "minimax":
            distance = to_middle
            right = (b * (b / (a + b)).log()).sum()
        else:
            distance = (b * (b / a).log()).sum() - to_middle
            right = -(b * (a / (a + b)).log()).sum()
        assert_shape(loss, (), name=f"loss, {case}")
        assert_close(loss, right, tolerance=1e-6, name=f"loss, {case}")
        (right,) = torch.autograd.grad(distance, twin)
        assert_shape(gradient, (N,), name=f"gradient, {case}")
        assert_close(
            gradient,
            right,
            tolerance=1e-6,
            name=f"gradient, {case} (does D* stand still?)",
        )
sure = torch.tensor([0.0, 1000.0, -1000.0]).double()
data = torch.tensor([-800.0, -1000.0, 0.0]).double()
loss, gradient = told(sure, data, "non-saturating")
assert_close(loss, 1000.0, name="non-saturating loss where D says e^−1000")
assert_close(
    gradient, torch.zeros(3), name="non-saturating gradient where D says e^−1000"
)
loss, gradient = told(sure, data, "minimax")
assert_close(loss, 0.0, name="minimax loss where D says e^−1000")
assert_close(gradient, torch.zeros(3), name="minimax gradient where D says e^−1000")
data = torch.tensor([-800.0, -900.0, 0.0]).double()
sure = torch.tensor([900.0, 900.0, -1000.0]).double()
loss, gradient = told(sure, data, "non-saturating")
assert_close(
    loss, 850 - math.log(2), name="loss of two cells, D says e^−800 and e^−900"
)
assert_close(
    gradient,
    torch.tensor([-25.0, 25.0, 0.0]),
    name="gradient of two cells, D says e^−800 and e^−900 (D rounded to 0?)",
)
loss, gradient = told(sure, data, "minimax")
assert_close(
    gradient, torch.zeros(3), name="minimax gradient, D says e^−800 and e^−900"
)
### END HIDDEN TESTS

# %% [markdown]
# First, how strong is the push? A generator makes one bump as wide as the data's, and too far to the right. Your
# gradient in $\theta$ becomes one in the mean by the chain rule. Then two numbers, mean and width, follow each game
# downhill to the data of this assignment, from several starts. The discriminator is the best one in every step.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
GAMES = "minimax", "non-saturating"


def push(mean, log_sd, target, game):
    """The game's gradient in mean and log_sd, scalars that require one; the loss."""
    theta = -((line - mean) / log_sd.exp()).square() / 2
    loss, gradient = told(theta.detach(), target, game)
    return loss, torch.autograd.grad(theta, (mean, log_sd), gradient)


print("too far right by      1        2        4        6")
slopes = {}
for game in GAMES:
    slopes[game] = []
    for off in (1.0, 2.0, 4.0, 6.0):
        start = [torch.tensor(t).double().requires_grad_() for t in (off, 0.0)]
        slopes[game].append(push(*start, bump(0.0, 1.0), game)[1][0].item())
    print(f"{game:15}" + "".join(f"{slope:9.4f}" for slope in slopes[game]))

print("a start, and where its bump ends: mean ± width")
starts = [(m, sd) for sd in (0.3, 3.0) for m in (-4.0, -0.5, 0.5, 4.0)]
ends = {game: [] for game in GAMES}
for start_mean, start_sd in starts:
    print(f"{start_mean:5.1f} ± {start_sd}", end="")
    for game in GAMES:
        start = start_mean, math.log(start_sd)
        where = [torch.tensor(number).double().requires_grad_() for number in start]
        adam = torch.optim.Adam(where, lr=0.05)
        for _ in range(300):
            _, slope = push(*where, log_p, game)
            for number, downhill in zip(where, slope, strict=True):
                number.grad = downhill
            adam.step()
        ends[game].append(where[1].exp().item())
        print(f"   {game} {where[0].item():5.2f} ± {ends[game][-1]:.2f}", end="")
    print()
assert slopes["minimax"][3] < slopes["minimax"][1] / 20, "far away: no push"
assert slopes["non-saturating"][3] > 3 * slopes["non-saturating"][1], "a hard push"
assert max(ends["non-saturating"]) < 0.6, "one mode, from all starts"
assert max(ends["minimax"][:4]) < 0.6 and min(ends["minimax"][4:]) > 1.9

# %% [markdown]
# Six away from the data, the minimax push is 36 times weaker than two away, and the non-saturating one more than three
# times stronger. That is the difference that the chapter names. But there is another one, and it has nothing to do with
# vanishing. Ask which distance each game goes down. The minimax gradient is that of $2\,\mathrm{JS}(p, q)$. There it
# makes no difference that $D^*$ stands still, because at its best a small change of $D$ changes nothing. The
# non-saturating one is the gradient of $\mathrm{KL}(q \,\|\, p) - 2\,\mathrm{JS}(p, q)$ ([Arjovsky and
# Bottou](https://arxiv.org/abs/1701.04862), 2017), which equals $2\,\mathrm{KL}(m \,\|\, p)$ with $m = (p + q)/2$. It
# does not ask $q$ to be wherever $p$ is: where $q$ is missing, $m$ is $p/2$, and that costs little.
#
# The table shows what follows. From a wide start, minimax ends with one wide bump on both modes. From a narrow start it
# ends on the nearest mode. The non-saturating game ends on one mode from every start, even the widest, with the best
# discriminator in every step. So a weak generator leaves modes out because this loss tells it to, not only because
# training went wrong.

# %% [markdown]
# ## 3 How much does a pack give away?
#
# A generator that forgets a mode makes nothing wrong. Each of its draws is a good one, and a discriminator that sees
# one draw at a time can only say that other places are a little too crowded. *Packing* shows it $m$ draws at once, all
# real or all made. How much more does it know?
#
# Let there be $N$ kinds of draws, with probabilities $p_1, \dots, p_N$ in the data and $q_1, \dots, q_N$ in the
# generator. Real and made packs come equally often. The best discriminator names the side on which the pack is more
# likely. It is right with probability
#
# $$ \frac12 \sum_{\text{packs}} \max\bigl(P(\text{pack}), Q(\text{pack})\bigr)
#    = \frac12 + \frac14 \sum_{\text{packs}} \bigl| P(\text{pack}) - Q(\text{pack}) \bigr| $$
#
# There are $N^m$ packs, too many to list. But a pack has no order. All that matters is how often each kind is in it:
# the counts $n_1 + \dots + n_N = m$. There are $m! / (n_1! \cdots n_N!)$ packs with the same counts, and each of them
# has the probability $p_1^{n_1} \cdots p_N^{n_N}$. The factorials are large and the powers are small, so work with
# logarithms: `torch.lgamma(n + 1)` is $\log n!$. And $0^0 = 1$, so a kind that never comes costs nothing if it is not
# there.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def packed_accuracy(p, q, m):
    """How often the best discriminator is right about packs of m independent draws, all real or all made.

    p, q (N,) float32 or float64, N ≥ 1: the probabilities of the N kinds of draws, of real and of made ones. They sum
    to 1, and zeros are among them; a kind may be 0 in both. m: a whole number ≥ 1, such that (m + 1)^N is at most
    2,000,000; so m may be 1000 where N = 2.
    -> accuracy (), float64, right to 0.000001. p and q stay as they were.
    Example: p = (1/2, 1/2), q = (1, 0), m = 2. A pack of twice the first kind has probability 1/4 if real and 1 if
    made, and is called made. All others are called real. So accuracy is 1/2 · 3/4 + 1/2 · 1 = 0.875.
    """
    ### BEGIN SOLUTION
    counts = torch.cartesian_prod(*[torch.arange(m + 1)] * len(p)).view(-1, len(p))
    counts = counts[counts.sum(1) == m].double()
    ways = math.lgamma(m + 1) - torch.lgamma(counts + 1).sum(1)
    # of the log-probabilities, 0 · log 0 is 0
    P, Q = (
        (ways + torch.special.xlogy(counts, t.double()).sum(1)).exp() for t in (p, q)
    )
    return 0.5 + (P - Q).abs().sum() / 4
    ### END SOLUTION


# %% [markdown]
# First the example, for packs of 1, 2 and 3. Then two equal distributions, and two with nothing in common.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

both, one = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
for m, wanted in ((1, 0.75), (2, 0.875), (3, 0.9375)):
    accuracy = packed_accuracy(both, one, m)
    assert_shape(accuracy, (), name="accuracy")
    assert_close(accuracy, wanted, name=f"accuracy in the example, m = {m}")
three = torch.tensor([0.2, 0.3, 0.5])
assert_close(
    packed_accuracy(three, three, 4), 0.5, name="accuracy where p = q: a guess"
)
name = "accuracy for m = 1: half of the sum of the larger ones"
assert_close(packed_accuracy(three, three.flip(0), 1), 0.65, name=name)
other = torch.tensor([0.0, 1.0])
name = "accuracy where p and q have nothing in common"
assert_close(packed_accuracy(one, other, 3), 1.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: packs written out one by one, large packs of two kinds, many kinds, and a generator that
# has forgotten some of them.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for N, m in ((1, 1), (1, 5), (2, 1), (2, 7), (3, 4), (4, 3), (5, 5), (6, 1)):
    a, b = torch.randn(2, N, generator=chance).softmax(1)
    kept = a.clone(), b.clone()
    accuracy = packed_accuracy(a, b, m)
    case = f"{N} kinds, packs of {m}"
    assert a.equal(kept[0]) and b.equal(kept[1]), (
        f"p and q must stay as they were, and have changed; {case}"
    )
    every_pack = torch.cartesian_prod(*[torch.arange(N)] * m).view(-1, m)
    real, made = (t.double()[every_pack].prod(1) for t in kept)
    assert_shape(accuracy, (), name=f"accuracy, {case}")
    assert_close(
        accuracy,
        torch.maximum(real, made).sum() / 2,
        tolerance=1e-6,
        name=f"accuracy against all packs one by one, {case}",
    )
    assert accuracy.dtype == torch.float64, (
        f"accuracy: expected float64, got {accuracy.dtype}; {case}"
    )
for N, forgotten, m in ((8, 2, 4), (5, 1, 17), (3, 2, 100)):
    left = N - forgotten
    uniform = torch.ones(N).double() / N
    collapsed = (torch.arange(N) >= forgotten).double() / left
    for a, b in ((uniform, collapsed), (collapsed, uniform)):
        assert_close(
            packed_accuracy(a, b, m),
            1 - (left / N) ** m / 2,
            tolerance=1e-6,
            name=f"accuracy where {forgotten} of {N} kinds are forgotten, m = {m}: 1 − ({left}/{N})^m / 2",
        )
never = torch.tensor([0.5, 0.0, 0.5, 0.0])
assert_close(
    packed_accuracy(never, torch.tensor([1.0, 0.0, 0.0, 0.0]), 2),
    0.875,
    name="accuracy in the example, with two more kinds that never come at all",
)
for p0, q0, m, dtype in (
    (0.5, 0.52, 1000, torch.float64),
    (0.001, 0.003, 1000, torch.float64),
    (0.5, 0.51, 1200, torch.float64),
    (77 / 256, 83 / 256, 1000, torch.float32),  # which float32 holds exactly
):
    chances = [
        [
            math.exp(
                math.log(math.comb(m, k)) + k * math.log(t) + (m - k) * math.log1p(-t)
            )
            for k in range(m + 1)
        ]
        for t in (p0, q0)
    ]
    assert_close(
        packed_accuracy(
            torch.tensor([p0, 1 - p0], dtype=dtype),
            torch.tensor([q0, 1 - q0], dtype=dtype),
            m,
        ),
        sum(map(max, *chances)) / 2,
        tolerance=1e-6,
        name=f"accuracy for p = {p0}, q = {q0}, {dtype}, packs of {m} (do the factorials overflow? float64?)",
    )
### END HIDDEN TESTS

# %% [markdown]
# Now three generators for data with four modes of equal weight. Each of them is found out equally often when draws come
# one at a time: 62.5 per cent. The first has forgotten one mode. The second makes rubbish once in four draws. The third
# makes all four modes, two of them too often.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
# four modes, and rubbish
data = torch.tensor([1, 1, 1, 1, 0]).double() / 4
generators = {
    "forgets a mode": torch.tensor([1, 1, 1, 0, 0]).double() / 3,
    "rubbish once in four": torch.tensor([3, 3, 3, 3, 4]).double() / 16,
    "uneven": torch.tensor([3, 3, 1, 1, 0]).double() / 8,
}
sizes = [1, 2, 3, 4, 6, 8, 10]
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
print("draws in a pack      " + "".join(f"{m:7}" for m in sizes))
curves = {}
for (name, q), style in zip(generators.items(), ("o-", "x--", "s-"), strict=True):
    curves[name] = [packed_accuracy(data, q, m).item() for m in sizes]
    print(f"{name:21}" + "".join(f"{right:7.1%}" for right in curves[name]))
    ax.plot(sizes, curves[name], style, label=name)
ax.set(xlabel="draws in a pack", ylabel="found out", ylim=(0.5, 1))
ax.legend()
forgets, rubbish, uneven = curves.values()
assert all(a > b + 0.05 for a, b in zip(forgets[1:], uneven[1:], strict=True))
assert all(abs(a - b) < 1e-9 for a, b in zip(forgets, rubbish, strict=True))

# %% [markdown]
# One at a time, their draws give all three away equally often. In packs of ten, the forgetful one is found out in 97
# per cent of all cases, the uneven one in 80. A pack of real draws that contains the forgotten mode settles the matter,
# and among ten draws it is nearly always there. For the same reason packing is as hard on rubbish: the first two curves
# are the same. What packing punishes is not *collapse* as such. It punishes whatever one side does and the other
# *never* does, more than what one side only does more often ([Lin et al.](https://arxiv.org/abs/1712.04086), 2018). A
# generator that follows such a discriminator gains most by filling the gap.

# %% [markdown]
# ## What you saw
#
# - Which distance the game measures depends on what the discriminator is shown. With few real data it is nearly
#   $\mathrm{KL}(p \,\|\, q)$, which covers; with many it is nearly $\mathrm{KL}(q \,\|\, p)$, which chooses.
# - Stand still or move along? For the minimax loss it makes no difference at the best discriminator, for the
#   non-saturating loss it does. Its gradient is that of another distance, which pushes hard from far away and puts up
#   with a missing mode.
# - Draws that are all good can be a bad sample. One draw at a time says little about that, a pack says more.
# - Stay with logarithms and logits, and think of 0 separately: it is where $0 \cdot \infty$ lives.
