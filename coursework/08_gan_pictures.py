# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 8, second page: what does a discriminator see?
#
# **You will let gradients through a choice between levels, make an image that a discriminator takes for real although
# it shows nothing, and find out whether a generator copies its training images, by a test that knows what chance would
# do.**
#
# *Laptop: 20 seconds. You need: the [second page of chapter 8](../chapters/08_gan_pictures.ipynb). Three exercises, 3
# points each.*
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

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure.judge import DigitJudge
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.train import fit_gan

generator = make_generator(0)
splits = [load_digits(split) for split in ("train", "valid", "test")]
# (N, 1, 8, 8): levels 0 to 16
(x, y), (x_valid, y_valid), (x_test, y_test) = splits
judge = DigitJudge((x, y), (x_valid, y_valid), generator=generator)


def show(ax, image, title=""):
    """One image (1, 8, 8) of levels, 0 to 16, without axes."""
    ax.imshow(image[0], cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[], title=title)


# %% [markdown]
# A small GAN for the chapter's digits serves all three exercises. Its generator makes continuous images, from −1
# (paper) to 1 (ink). They are rounded to levels only when they are drawn.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
config = GANConfig(shape=(1, 8, 8), levels=17, latent=16, features=128, depth=2)
knobs = dict(steps=800, lr=2e-3, generator=generator)
players = {
    "generator": Generator(config, generator=generator),
    "discriminator": Discriminator(config, generator=generator),
}
fit_gan(players, x, **knobs)
for player in players.values():
    player.cpu()  # fit_gan trains on the fastest device; the rest is small
draws = players["generator"].sample(1000, generator=generator)  # levels, long
refused = judge.invalid_share(draws)
print(f"the judge refuses {refused:.0%} of 1000 draws,", end=" ")
print(f"and {judge.invalid_share(x_test):.0%} of real digits")
fig, axes = plt.subplots(1, 12, figsize=(9, 0.9), layout="constrained")
for ax, image in zip(axes, draws, strict=False):
    show(ax, image)
assert refused < 0.5

# %% [markdown]
# ## 1 Through the rounding
#
# In training, the discriminator compares real images, whose pixels are on 17 levels, with made ones, whose pixels lie
# anywhere. Show it rounded images instead? Then no gradient comes back: a staircase is flat nearly everywhere. The
# *straight-through* trick (Bengio et al., 2013) rounds on the way forward and looks away on the way back. The output is
# rounded; the gradient is that of the input, as if nothing had been done to it.
#
# In PyTorch it takes one line: add something whose value is 0 and whose gradient is 1. But mind the rounding errors. In
# $x + (r - x)$ the digits of a small $r$ are lost if $x$ is large, and the result is *nearly* on a level.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def straight_through(made, levels, palette):
    """What a generator made, as it will be drawn, with a gradient as if it had been left as it is.

    levels: V, a whole number from 2 to 256. made: float32 or float64, finite.
    Where palette is False, made has any shape, and a pixel is an amount. The V levels are the numbers −1 + 2k/(V − 1)
    for k = 0 … V − 1. -> out: the same shape and dtype, each pixel at its nearest level; half-way between two, either
    will do. Below −1 it is at −1, above 1 at 1. The gradient in made is that in out where made is from −1 to 1, and 0
    elsewhere: there, moving it changes nothing.
    Where palette is True, made is (..., V): V numbers, one for each colour. -> out: the same shape and dtype, 1 for the
    largest of the V numbers, 0 for the others; of equal ones, the first. The gradient in made is that in out.
    The numbers in out are exact, up to the last digits of made's dtype: no more than V different ones, or 0 and 1. The
    choices are exact, too: in float64, a billionth can decide. made stays as it was, and may be part of a graph.
    Example: levels 3, palette False: (−0.7, 0.2, 1.4) becomes (−1, 0, 1). If the gradient in out is (5, 6, 7), the one
    in made is (5, 6, 0).
    """
    ### BEGIN SOLUTION
    if palette:
        passed = made
        drawn = torch.nn.functional.one_hot(made.argmax(-1), levels).to(made.dtype)
    else:
        passed = made.clamp(-1, 1)
        k = ((passed.detach() + 1) * (levels - 1) / 2).round()
        drawn = 2 * k / (levels - 1) - 1
    return drawn + (passed - passed.detach())
    ### END SOLUTION


# %% [markdown]
# The example, forward and backward. Then two pixels of three colours.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

made = torch.tensor([-0.7, 0.2, 1.4], requires_grad=True)
out = straight_through(made, 3, palette=False)
assert_shape(out, (3,), name="out, three pixels")
assert_close(out, torch.tensor([-1.0, 0.0, 1.0]), name="out in the example")
assert out.requires_grad, "out has no gradient: .detach() or .round() stopped it"
sent = torch.tensor([5.0, 6.0, 7.0])
(gradient,) = torch.autograd.grad(out, made, sent, allow_unused=True)
assert gradient is not None, "no gradient reaches made: .detach() cut its graph off"
assert_close(gradient, torch.tensor([5.0, 6.0, 0.0]), name="gradient in the example")
colours = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]
made = torch.tensor(colours, requires_grad=True)
out = straight_through(made, 3, palette=True)
wanted = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
assert_close(out, wanted, name="out, two pixels of three colours")
sent = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
(gradient,) = torch.autograd.grad(out, made, sent)
assert_close(gradient, sent, name="gradient, two pixels of three colours")

# %% [markdown]
# Graded later, worth 2 points: other shapes and numbers of levels, pixels far outside, and whether the numbers are
# exact.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for shape, levels, palette, spread, dtype in (
    ((4, 1, 8, 8), 17, False, 0.7, torch.float32),
    ((300,), 2, False, 1.0, torch.float64),
    ((2, 3, 5, 5), 256, False, 0.6, torch.float32),
    ((100,), 5, False, 1e6, torch.float32),
    ((60,), 5, False, 1e37, torch.float32),
    ((8, 2), 7, False, 0.8, torch.float64),
    ((), 4, False, 0.3, torch.float32),
    ((5, 7), 7, True, 1.0, torch.float32),
    ((2, 1, 4, 4, 9), 9, True, 1e9, torch.float32),
    ((400, 8), 8, True, 0.1, torch.float32),
    ((2,), 2, True, 0.01, torch.float64),
):
    leaf = (spread * torch.randn(shape, generator=chance)).to(dtype)
    if leaf.numel() > 1 and not palette:
        leaf.view(-1)[:2] = torch.tensor([-1.0, 1.0])
    kept = leaf.clone()
    leaf.requires_grad_()
    made = leaf * 1  # part of a graph
    out = straight_through(made, levels, palette)
    kind = f"{levels} {'colours' if palette else 'levels'}"
    case = f"shape {shape}, {kind}, numbers of about {spread:g}"
    assert_shape(out, shape, name=f"out, {case}")
    assert out.dtype == dtype, f"out: expected {dtype}, got {out.dtype}; {case}"
    assert made.detach().equal(kept), (
        f"made must stay as it was, and has changed; {case}"
    )
    if palette:
        first = (kept == kept.amax(-1, keepdim=True)).long().argmax(-1, keepdim=True)
        right = torch.zeros_like(kept).scatter(-1, first, 1.0)
        passes = torch.ones_like(kept)
    else:
        ladder = -1 + 2 * torch.arange(levels).double() / (levels - 1)
        right = ladder[
            (kept.clamp(-1, 1)[..., None].double() - ladder).abs().argmin(-1)
        ]
        passes = ((kept >= -1) & (kept <= 1)).to(dtype)
    digits = 1e-6 if dtype == torch.float32 else 1e-12
    assert_close(out, right, tolerance=digits, name=f"out, {case}")
    different = len(out.detach().unique())
    assert different <= (2 if palette else levels), (
        f"out: expected exact levels, got {different} different numbers; {case}. Hint: x + (r − x) loses digits"
    )
    if palette:
        exact = (out == 0) | (out == 1)
        assert exact.all(), (
            f"out: expected exactly 0 and 1, got {out[~exact][0].item():.9g}; {case}"
        )
    sent = torch.randn(shape, generator=chance).to(dtype)
    assert out.requires_grad, f"out has no gradient; {case}"
    (gradient,) = torch.autograd.grad(out, leaf, sent)
    assert_close(gradient, sent * passes, tolerance=1e-5, name=f"gradient, {case}")
equal = torch.tensor([[0.3, 0.4, 0.4], [0.5, 0.5, 0.5]])
assert_close(
    straight_through(equal, 3, True),
    torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    name="out where colours are equal: the first of them",
)
assert_close(
    straight_through(torch.tensor([[0.0, 1e-9]]), 2, True),
    torch.tensor([[0.0, 1.0]]),
    name="out where the second colour is larger, 1e−9 and not 0 (a softmax makes them equal)",
)
nearly = torch.tensor([[1.0, 1.0], [0.5, -0.5]]).double()
nearly[0, 1] = 1 + 1e-9
assert_close(
    straight_through(nearly, 2, True),
    torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
    name="out where the second colour is larger by a billionth (float64?)",
)
nearly = torch.tensor([0.5, 0.5]).double() + torch.tensor([-1e-9, 1e-9]).double()
assert_close(
    straight_through(nearly, 3, False),
    torch.tensor([0.0, 1.0]),
    name="out a billionth below and above half-way between 0 and 1",
)
### END HIDDEN TESTS

# %% [markdown]
# Two more generators, like the first. Both show the discriminator rounded images. One rounds as PyTorch does, the other
# uses your function. And is there anything to see in the rounding? A fresh discriminator gets real digits, and the same
# digits moved by up to half a level in every pixel, which no eye can tell apart.


# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Staircase(Generator):
    def forward(self, z):
        return ((super().forward(z) + 1) * 8).round() / 8 - 1


class StraightThrough(Generator):
    def forward(self, z):
        return straight_through(super().forward(z), 17, palette=False)


shares = {"continuous": refused}
for name, kind in (("rounded", Staircase), ("straight through", StraightThrough)):
    two = {
        "generator": kind(config, generator=generator),
        "discriminator": Discriminator(config, generator=generator),
    }
    fit_gan(two, x, **knobs)
    made = two["generator"].cpu().sample(1000, generator=generator)
    shares[name] = judge.invalid_share(made)
print("refused by the judge: ", end="")
print(", ".join(f"{name} {share:.0%}" for name, share in shares.items()))


def moved(images):
    """The digits as a generator could have made them: off their levels, by less than half of one."""
    off = torch.rand(images.shape, generator=generator) - 0.5
    return ((images + off) / 8 - 1).clamp(-1, 1)


fresh = Discriminator(config, generator=generator)
adam = torch.optim.Adam(fresh.parameters(), lr=2e-3)
for _ in range(400):
    chosen = x[torch.randint(len(x), (128,), generator=generator)]
    loss = torch.cat([-fresh(chosen), fresh(moved(chosen))])
    loss = torch.nn.functional.softplus(loss).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
unseen = moved(x_test)
back = straight_through(unseen, 17, palette=False)
seen = {}
print(
    "the real one has the higher logit, in pairs of a held-out digit and itself, moved:"
)
for name, images in (("as it is", unseen), ("rounded", back)):
    with torch.no_grad():
        ahead = fresh(x_test) - fresh(images)
    seen[name] = ((ahead.sign() + 1) / 2).mean().item()  # a tie is half a point
    print(f"  {name:9}{seen[name]:4.0%}")
assert shares["rounded"] > 0.9, "no gradient, no learning"
assert shares["straight through"] < 0.5
assert seen["as it is"] > 0.9, "it sees what no eye can see"
assert abs(seen["rounded"] - 0.5) < 1e-6, "and rounding takes it away"

# %% [markdown]
# The staircase sends no gradient back, so its generator learns nothing, and the judge refuses all of its draws. With
# your function it learns, but no better than the continuous one: over five seeds the judge refuses 27 to 42 per cent of
# its draws and 23 to 40 per cent of the other's. The gradient is one of a function that was not computed, and that has
# its price.
#
# Was there nothing to gain? Show the fresh discriminator a held-out digit and the same digit moved, and it gives the
# higher logit to the real one in 99 per cent of the pairs, although both would be drawn as the same image. A made pixel
# of blank paper is nearly −1, a real one is −1 exactly. So there is a shortcut, and a discriminator that takes it
# teaches the generator about levels where it should teach about digits. In a game there is nearly always something more
# obvious to see. The fresh one had 400 steps with nothing else to look for. Rounded, the moved digits *are* the real
# ones, and it can only guess.

# %% [markdown]
# ## 2 An image that fools
#
# A discriminator has only met real images and what generators made. What does it say about images that are neither?
# Search for one: start somewhere, and climb its logit. The gradient says in which direction, and its length says
# nothing that we need, so take steps of a fixed length, and come back to the valid range, from −1 to 1, after each one.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fool(discriminator, x, target, step, most):
    """Climb a discriminator's logit from each of B images until it reaches a target.

    discriminator: a function or module, images (B, ...) -> logits (B,), each of its own image only; autograd goes
    through it. Each image has one dimension or more. x (B, ...) float32 or float64, from −1 to 1: where to start.
    target: a logit. step > 0: how long a step is. most ≥ 0: the largest number of steps.
    In each step, an image whose logit is below the target moves by step · g/|g| and is then clamped to −1 … 1. g is the
    gradient of its own logit in its own pixels, and |g| its Euclidean length over all of them. |g| may be anything from
    10⁻³⁰ to 10³⁰, and of different size in each image; where g is exactly 0, the image stays. An image whose logit is
    at the target or above it stays.
    -> (found, steps). found, shaped as x and of its dtype: the images after `most` such steps, without a graph. steps
    (B,) long: in how many of them each image was below the target and had a g that is not 0. x and the
    discriminator stay as they were: its weights still require a gradient, none gets a `.grad`, and one that has a
    `.grad` keeps it.
    Example: images of two pixels, the logit is 3a + 4b, so g/|g| is (0.6, 0.8). From (0, 0) with target 4 and step 0.5
    it goes to (0.3, 0.4), logit 2.5, and (0.6, 0.8), logit 5. So steps is 2.
    """
    ### BEGIN SOLUTION
    found, steps = x.detach().clone(), torch.zeros(len(x), dtype=torch.long)
    for _ in range(most):
        at = found.clone().requires_grad_()
        logit = discriminator(at)
        (g,) = torch.autograd.grad(logit.sum(), at)
        length = g.double().flatten(1).norm(dim=1)
        moves = (logit < target) & (length > 0)
        steps += moves
        size = torch.where(moves, step / length, 0.0).view(-1, *[1] * (x.ndim - 1))
        found = (found + (size * g.double()).to(x.dtype)).clamp(-1, 1)
    return found, steps
    ### END SOLUTION


# %% [markdown]
# The example. Beside it, an image that is already above the target, and one that runs into the edge of the valid range.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def slope(images):
    """Images (B, 2) -> logits (B,): 3a + 4b."""
    return images @ torch.tensor([3.0, 4.0])


starts = torch.tensor([[0.0, 0.0], [0.9, 0.9], [-1.0, 0.9]])
found, steps = fool(slope, starts, target=4, step=0.5, most=10)
assert_shape(found, (3, 2), name="found, three images of two pixels")
assert_shape(steps, (3,), name="steps, three images")
assert_close(steps[0], 2, name="steps in the example: (0.3, 0.4), (0.6, 0.8)")
assert_close(found[0], torch.tensor([0.6, 0.8]), name="found in the example")
assert_close(steps[1], 0, name="steps of an image above the target")
assert_close(found[1], starts[1], name="an image above the target stays")
name = "from (−1, 0.9): four steps of 0.3 to the right, along the edge b = 1"
assert_close(found[2], torch.tensor([0.2, 1.0]), name=name)
_, steps = fool(slope, starts, target=8, step=0.5, most=10)
name = "steps towards a target that is out of reach"
assert_close(steps, torch.tensor([10, 10, 10]), name=name)

# %% [markdown]
# Graded later, worth 2 points: networks, images of several channels, gradients of any length or of 0, and the weights,
# which must not notice.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for shape, target, step, most in (
    ((5, 1, 3, 3), 0.4, 0.2, 6),
    ((1, 2, 2, 2), 5.0, 0.5, 9),
    ((4, 3), -9.0, 0.1, 5),
    ((6, 2, 2), 0.2, 0.05, 0),
    ((7, 3, 2, 2), 0.6, 0.3, 12),
):
    pixels = math.prod(shape[1:])
    net = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(pixels, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, 1),
        torch.nn.Flatten(0),
    )
    net.double()
    for weight in net.parameters():
        weight.data = 0.6 * torch.randn(weight.shape, generator=chance).double()
    net[3].weight.grad = torch.ones(1, 16).double()
    start = 2 * torch.rand(shape, generator=chance).double() - 1
    kept = start.clone()
    found, steps = fool(net, start, target, step, most)
    case = f"images {shape}, target {target}, step {step}, at most {most}"
    assert start.equal(kept) and not start.requires_grad, (
        f"x must stay as it was, and has changed; {case}"
    )
    assert net[1].weight.grad is None and net[1].bias.grad is None, (
        f"a weight has a .grad: expected none. Hint: torch.autograd.grad asks for one gradient only; {case}"
    )
    before = net[3].weight.grad
    assert before is not None and before.eq(1).all(), (
        f"a weight had a .grad before, and it must stay as it was; {case}"
    )
    assert all(weight.requires_grad for weight in net.parameters()), (
        f"each weight must still require a gradient, or it can never be trained again; {case}"
    )
    assert_shape(found, shape, name=f"found, {case}")
    assert_shape(steps, shape[:1], name=f"steps, {case}")
    assert found.dtype == torch.float64 and not found.requires_grad, (
        f"found: expected float64 without a graph, got {found.dtype}, requires_grad {found.requires_grad}; {case}"
    )
    assert steps.dtype == torch.long, f"steps: expected long, got {steps.dtype}; {case}"
    # one image at a time, the gradient by hand
    first, last = net[1], net[3]
    for i in range(len(kept)):
        one, count = kept[i].flatten().clone(), 0
        for _ in range(most):
            hidden = (first.weight @ one + first.bias).tanh().detach()
            if last.weight[0] @ hidden + last.bias[0] >= target:
                break
            g = ((last.weight[0] * (1 - hidden**2)) @ first.weight).detach()
            one = (one + step * g / g.square().sum().sqrt()).clamp(-1, 1)
            count += 1
        assert_close(steps[i], count, name=f"steps of image {i}, {case}")
        assert_close(
            found[i].flatten(), one, tolerance=1e-6, name=f"found, image {i}, {case}"
        )
for scale in (1e-30, 1e30):
    found, steps = fool(
        lambda images, scale=scale: scale * images.flatten(1).sum(1),
        torch.zeros(2, 1, 2, 2),
        target=1.9 * scale,
        step=0.5,
        most=5,
    )
    assert found.dtype == torch.float32, (
        f"found: expected float32, as x is, got {found.dtype}"
    )
    assert_close(
        found,
        torch.full((2, 1, 2, 2), 0.5),
        tolerance=1e-3,
        name=f"found where each g is {scale:g}, two steps of 0.25 in each pixel (is |g| rounded to 0 or ∞?)",
    )
# the first pixel says how long g is, and has no gradient itself
start = torch.tensor([[-1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0]])
found, _ = fool(
    lambda images: 10 ** (30 * images.detach()[:, 0]) * images[:, 1:].sum(1),
    start,
    target=math.inf,
    step=0.5,
    most=2,
)
assert_close(
    found[:, 1:],
    torch.full((3, 4), 0.5),
    tolerance=1e-3,
    name="found where g is 1e−30 in one image, 1e30 in the next, and 1 in the last",
)
found, steps = fool(
    lambda images: -images.square().flatten(1).sum(1),
    torch.tensor([[0.0, 0.0], [0.6, 0.8]]),
    target=1,
    step=0.25,
    most=3,
)
assert_close(
    found,
    torch.tensor([[0.0, 0.0], [0.15, 0.2]]),
    name="found where one image has a gradient of 0 and stays (0/0?), and the other moves",
)
assert_close(
    steps, torch.tensor([0, 3]), name="steps where one image has a gradient of 0"
)
at_target, steps = fool(
    lambda images: images.flatten(1).sum(1),
    torch.tensor([[0.25, 0.25]]),
    target=0.5,
    step=0.25,
    most=3,
)
assert_close(steps, torch.tensor([0]), name="steps of an image exactly at the target")
### END HIDDEN TESTS

# %% [markdown]
# Fool the discriminator of the digits. The target is what it says of a typical real digit: half of the held-out ones
# get less. Start from noise, from blank paper and from solid ink.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
watchman = players["discriminator"]
with torch.no_grad():
    on_real = watchman(x_test)
target, highest = on_real.median().item(), on_real.max().item()
places = {
    "noise": 2 * torch.rand(200, 1, 8, 8, generator=generator) - 1,
    "paper": torch.full((1, 1, 8, 8), -1.0),
    "ink": torch.full((1, 1, 8, 8), 1.0),
}
print(f"logits of held-out digits: median {target:.2f}, highest {highest:.2f}")
print("medians    before  after  steps  distance  100 steps  refused")
fig, axes = plt.subplots(3, 6, figsize=(7, 3.6), layout="constrained")
columns = iter(axes.T)
fooled = {}
for name, start in places.items():
    found, steps = fool(watchman, start, target, step=0.25, most=200)
    climbed, _ = fool(watchman, start, math.inf, step=0.25, most=100)
    drawn = ((found + 1) * 8).round().long()
    with torch.no_grad():
        logits = [watchman(images) for images in (start, found, climbed)]
    refused = judge.invalid_share(drawn)
    fooled[name] = *logits, refused
    before, after, top = (logit.median().item() for logit in logits)
    far = (found - start).flatten(1).norm(dim=1).median().item()
    print(f"{name:9}{before:8.2f}{after:7.2f}{steps.median().item():7}", end="")
    print(f"{far:10.2f}{top:11.2f}{refused:9.0%}")
    for i in range(min(len(start), 4)):
        rows = zip(next(columns), (start, found, climbed), logits, strict=True)
        for ax, images, logit in rows:
            show(ax, (images[i] + 1) * 8, f"{logit[i]:.1f}")
for ax, label in zip(axes[:, 0], ("start", "fools", "100 steps"), strict=True):
    ax.set_ylabel(label)
between = (x_test[:, None] - x).flatten(2).float().norm(dim=2).amin(1).median() / 8
print(f"from a held-out digit to the nearest training digit: {between:.2f}")
before, after, top, refused = fooled["noise"]
assert before.median() < on_real.quantile(0.25), "noise does not look real at first"
assert (after >= target).all() and refused > 0.95, "every one fools, and shows nothing"
assert top.median() > highest, "more real than every real one"

# %% [markdown]
# The logit stands above each image. From noise it takes six steps to the median of the real digits, a distance of 1.4.
# From a real digit to the nearest other one it is 2.3. The judge refuses all that fools, and to the eye it is the noise
# that it was. (Paper needs a single step. With other seeds it needs none.) Climb on for a hundred steps, and the logit
# of a typical one is above that of every real digit.
#
# The comparison is with this discriminator's own answers to real digits, and that matters: a discriminator with small
# logits never says 99 %, not even of real images, and would look safe. Nor does rounding protect it. It has learnt to
# tell the digits from what *this* generator made, and it says nothing that can be trusted about images that neither
# side has ever shown it. A generator that could go there would win with rubbish.

# %% [markdown]
# ## 3 Does it copy?
#
# A generator that hands out its training images passes every test of quality. So look at each draw's nearest real
# image. Is it a training image? Put $N$ training images and $M$ held-out ones, which the generator has never seen, into
# one heap of $P = N + M$, and let every made image choose its nearest one of the heap. If the generator does not copy,
# a training image is chosen as easily as a held-out one, and the *share* of the choices that fall on training images is
# about $N / P$.
#
# About? Some images are in the middle and are chosen by many, so the choices do not count as independent coins. But
# there is a test that needs no assumption. If nothing depends on which $N$ of the $P$ images are called *training*,
# then any other $N$ of them might as well have been. Let $c_j$ be how often image $j$ is chosen, and $n$ the number of
# made images. Over all ways to choose $N$ of the $P$ images, the share has
#
# $$ \text{mean } \frac NP, \qquad
#    \text{variance } \frac{1}{n^2}\, \frac{N M}{P (P - 1)} \Bigl( \sum_j c_j^2 - \frac{n^2}{P} \Bigr) $$
#
# and $z$ is how many standard deviations the share lies above its mean. Images have levels, so equal distances are
# common, and then the choice must be shared fairly. Are yours *exactly* equal? Squares of levels add up to whole
# numbers; float64 keeps them, float32 only up to $2^{24}$.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def training_share(made, train, held_out):
    """How often made images are nearest to a training image, and how surprising that is.

    made (n, C, H, W), train (N, C, H, W), held_out (M, C, H, W): long, levels from 0 to 255, with 1 ≤ C·H·W ≤ 10,000
    and n, N, M ≥ 1, each up to about a thousand. A table (n, N + M, C·H·W), or half of it, would not fit into memory
    then: make none.
    Each made image makes one choice: the nearest of the N + M real images by Euclidean distance. If several are nearest
    and exactly equally far, each of them gets an equal part of the choice.
    -> (share, z), float64 tensors of shape (). share: the part of all choices that falls on training images. z: (share
    less its mean) / standard deviation, as above, with c_j the (parts of) choices of image j; exactly 0 where all c_j
    are equal but for rounding errors, such as those of 1/6 added six times. The arguments stay as they were.
    Example: images of one pixel. made 1, 1, 5, train 0, 4, held out 3. The first two choose 0, and 5 chooses 4. So c is
    (2, 1, 0), share is 1, its mean 2/3 and its variance (1/9) · (2/6) · (5 − 9/3) = 2/27: z = 1.2247.
    """
    ### BEGIN SOLUTION
    real = torch.cat([train, held_out]).flatten(1).double()
    made = made.flatten(1).double()
    far = made.square().sum(1, keepdim=True) + real.square().sum(1) - 2 * made @ real.T
    nearest = (far == far.amin(1, keepdim=True)).double()
    c = (nearest / nearest.sum(1, keepdim=True)).sum(0)  # (N + M,)
    n, N, M, P = len(made), len(train), len(held_out), len(real)
    share = c[:N].sum() / n
    variance = N * M / (P * (P - 1)) * (c - n / P).square().sum() / n**2
    off = (share - N / P) / variance.sqrt()
    return share, torch.where(variance < 1e-18, 0.0, off)
    ### END SOLUTION


# %% [markdown]
# First the example. Then a made image half-way between a training image and a held-out one.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def pixel(*levels):
    """Images of one pixel, (n, 1, 1, 1) long."""
    return torch.tensor(levels).view(-1, 1, 1, 1)


share, z = training_share(pixel(1, 1, 5), pixel(0, 4), pixel(3))
assert_shape(share, (), name="share")
assert_shape(z, (), name="z")
assert_close(share, 1.0, name="share in the example: 0, 0, 4 are training images")
assert_close(z, 1.224745, name="z in the example: (1 − 2/3) / √(2/27)")
share, z = training_share(pixel(1, 1, 5), pixel(3), pixel(0, 4))
assert_close(share, 0.0, name="share, training and held-out images exchanged")
assert_close(z, -1.224745, name="z, training and held-out images exchanged")
share, z = training_share(pixel(2), pixel(0), pixel(4))
assert_close(share, 0.5, name="share, one image half-way between the two")
assert_close(z, 0.0, name="z where both images are chosen equally often")

# %% [markdown]
# Graded later, worth 2 points: other sizes, images of 10,000 pixels, images that occur twice, and a comparison with all
# ways to choose which images are called training.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from itertools import combinations

from torch.overrides import TorchFunctionMode

from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for n, N, M, shape, levels in (
    (6, 3, 4, (1, 2, 2), 4),
    (40, 4, 2, (2, 1, 1), 3),
    (5, 1, 1, (1, 1, 3), 2),
    (30, 6, 3, (3, 2, 2), 256),
    (1, 2, 5, (1, 1, 1), 17),
):
    three = [torch.randint(levels, (k, *shape), generator=chance) for k in (n, N, M)]
    kept = [images.clone() for images in three]
    share, z = training_share(*three)
    case = f"{n} made, {N} and {M} real ones of {shape}, {levels} levels"
    assert all(a.equal(b) for a, b in zip(three, kept, strict=True)), (
        f"the images must stay as they were, and have changed; {case}"
    )
    for what, got in (("share", share), ("z", z)):
        assert_shape(got, (), name=f"{what}, {case}")
        assert got.dtype == torch.float64, (
            f"{what}: expected float64, got {got.dtype}; {case}"
        )
    heap = torch.cat(kept[1:])
    apart = (kept[0][:, None] - heap).square().flatten(2).sum(2)  # whole numbers
    choices = torch.zeros(N + M).double()
    for row in apart:
        closest = row == row.min()
        choices[closest] += 1 / closest.sum().item()
    possible = torch.stack(
        [choices[list(some)].sum() / n for some in combinations(range(N + M), N)]
    )
    right = choices[:N].sum() / n
    spread = possible.std(correction=0)
    assert_close(share, right, tolerance=1e-9, name=f"share, {case}")
    assert_close(
        z,
        (right - possible.mean()) / spread if spread > 1e-12 else 0.0,
        tolerance=1e-6,
        name=f"z against all ways to choose {N} of {N + M}, {case}",
    )
circle = torch.tensor([[25, 0], [24, 7], [20, 15], [15, 20], [7, 24], [0, 25]])
circle = circle.view(-1, 1, 1, 2)
for N in (1, 2, 4):
    share, z = training_share(torch.zeros_like(circle[:1]), circle[:N], circle[N:])
    assert_close(z, 0.0, name=f"z where 6 real images are exactly as far, {N} training")
    assert_close(
        share,
        N / 6,
        name=f"share where 6 real images are exactly as far, {N} of them training (rounded distances?)",
    )
# k images share k choices, and one more has a choice of its own: each c_j is 1
wheel = [(a, b) for a in range(-25, 26) for b in range(-25, 26) if a * a + b * b == 625]
wheel = torch.tensor(wheel).view(-1, 1, 1, 2) + 100
alone = torch.full((1, 1, 1, 2), 250)
for k in range(2, 20):
    asked = torch.cat([torch.full((k, 1, 1, 2), 100), alone])
    _, z = training_share(asked, wheel[:k], alone)
    assert_close(
        z,
        0.0,
        name=f"z where {k} images share {k} choices and one has its own, so that each c_j is 1 but for rounding",
    )
votes = pixel(*[0] * 501, *[9] * 499)
share, z = training_share(votes, pixel(0), pixel(9))
assert_close(share, 0.501, tolerance=1e-6, name="share for 501 choices against 499")
assert_close(z, 1.0, name="z for 501 choices against 499")
twice = torch.randint(3, (4, 1, 2, 2), generator=chance)
share, z = training_share(twice, twice, twice.repeat(2, 1, 1, 1))
assert_close(share, 1 / 3, name="share where held out has every training image twice")
assert_close(z, 0.0, name="z where held out has every training image twice")
# 250² · 10,000 = 625,000,000 and one more or less, which float32 cannot tell apart
large = torch.zeros(2, 1, 100, 100, dtype=torch.long)
real = torch.full((3, 1, 100, 100), 250)
real[0, 0, 0, :2] = torch.tensor([249, 251])  # 2 further than the second
real[2, 0, 0, 0] = 251
share, _ = training_share(large, real[:1], real[1:])
assert_close(share, 0.0, name="share for images of 10,000 pixels (float32 sums?)")
share, _ = training_share(large, real[1:2], real[[0, 2]])
assert_close(share, 1.0, name="share for images of 10,000 pixels (float32 sums?)")
many = torch.randint(256, (300, 1, 50, 50), generator=chance)
copies = many[:200] + (many[:200] < 255)  # one level away from a training image
share, z = training_share(copies, many[:200], many[200:])
assert_close(share, 1.0, name="share of near copies, 300 real images of 50 × 50")
assert_close(z, math.sqrt(299), name="z of near copies, each of its own")
# a table of 200 × 300 × 64 numbers would fit; for a thousand images of 10,000 pixels each it would take 160 GB


class Largest(TorchFunctionMode):
    """Remembers the largest tensor that any function gives back."""

    shape = torch.Size([0])

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.numel() > self.shape.numel():
            self.shape = result.shape
        return result


with Largest() as largest:
    training_share(
        many[:200, :, :8, :8], many[:200, :, :8, 8:16], many[200:, :, :8, :8]
    )
assert largest.shape.numel() <= 200 * 300 * 64 / 2, (
    f"a table of {tuple(largest.shape)} for 200 and 300 images of 64 pixels: it will not fit into memory for a thousand "
    "of 10,000 pixels. Hint: |a − b|² = |a|² + |b|² − 2ab, or one made image at a time"
)
### END HIDDEN TESTS

# %% [markdown]
# Now four crowds: the GAN's draws; held-out digits, which are copies of nothing; training digits with every pixel moved
# by up to two levels, which are hardly anything else; and the GAN's draws with one such copy in ten. The two columns on
# the right are how far the nearest training digit is, in full pixels: for half of the crowd, and for the nearest
# twentieth.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
off = torch.randint(-2, 3, x.shape, generator=generator)
near_copies = (x + off).clamp(0, 16)[torch.randperm(1000, generator=generator)]
crowds = {
    "draws of the GAN": draws,
    "held-out digits": x_test,
    "training digits, moved": near_copies,
    "one draw in ten a copy": torch.cat([draws[:900], near_copies[:100]]),
}
chance_share = len(x) / (len(x) + len(x_valid))
print(f"nearest to a training image (by chance {chance_share:.1%})")
found = {}
print("                         share      z   half  a twentieth within")
for name, images in crowds.items():
    share, z = training_share(images, x, x_valid)
    far = judge.distance(images).quantile(torch.tensor([0.5, 0.05])).tolist()
    found[name] = z.item(), *far
    print(f"{name:24}{share:6.1%}{z:7.1f}{far[0]:7.2f}{far[1]:7.2f}")
gan, honest, copier, mixed = found.values()
assert abs(honest[0]) < 2 < gan[0] < copier[0] / 3, "z: chance, leaning, copying"
assert gan[1] > honest[1] and gan[2] > honest[2], "but not nearer than real digits are"
assert mixed[2] < honest[2] < mixed[1], "a few copies: look at the nearest"

# %% [markdown]
# Held-out digits choose as chance does, $z = -1.4$, so the two parts of the heap are of one kind. The copies are found
# out beyond doubt. And the GAN's draws? At $z = 3.6$ (2.9 to 3.6 over five seeds), they lean towards the training
# images, more than chance explains: the generator has learnt something about *these* digits that does not hold for
# others. Yet they are no copies. They are farther from the training set than real digits are, by the median and in the
# nearest twentieth.
#
# The last line is a warning. One copy in ten raises $z$ only from 3.6 to 4.5, since a copy has one vote like every
# other draw. The nearest twentieth gives it away at once. A test of the whole crowd and a look at its nearest members
# answer two different questions.

# %% [markdown]
# ## What you saw
#
# - No gradient passes a staircase. You may pretend that it did, if the value is exact and the gradient is the one you
#   mean.
# - A discriminator sees what no eye sees, and it is blind where it has never been shown anything. Both are used against
#   you when you search with its gradient.
# - Whether a logit is high depends on what the same network says of real data.
# - "Near the training set" means nothing without a comparison: held-out images in the same heap, and a chance that is
#   counted and not guessed.
