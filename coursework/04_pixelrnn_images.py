# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 4: what does a painter see?
#
# **You will ask a model whether it knows how little it knows, write the two stacks that see everything before a pixel
# and nothing after it, hand an RGB model the palette that nobody told it about, and let the bottom of an image have its
# say about the top.**
#
# *Laptop: 20 seconds. You need: chapter 4. Four exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line
# `raise NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it
# found. A few more checks run when your work is graded; they test nothing that the docstring does not say. You may add
# cells anywhere. The check cells are restored before grading. No exercise needs the answer to another one, so you can
# start anywhere.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.data import load_digits
from course_lib.data.sprites import PALETTE, RGB_LEVELS, load_sprites, to_rgb
from course_lib.device import make_generator
from course_lib.layers import MaskedConv2d
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.train import fit

generator = make_generator(0)
sprites = load_sprites(3000, generator=generator, colour="rgb")
creatures, unseen = sprites.split([2900, 100])  # (N, 3, 16, 16): 8 levels a colour
(digits, _), (digits_test, _) = load_digits("train"), load_digits("test")
# (N, 1, 8, 8): paper 0 or ink 1
digits, digits_test = (digits > 7).long(), (digits_test > 7).long()


def show(ax, image, title=""):
    """One image, (3, 16, 16) or (1, 8, 8) long, without axes."""
    picture = to_rgb(image[None])[0] if len(image) == 3 else 1 - image[0]
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=title)


fig, axes = plt.subplots(1, 12, figsize=(9, 0.9), layout="constrained")
for ax, image in zip(axes, [*unseen[:6], *digits_test[:6]], strict=True):
    show(ax, image)

# %% [markdown]
# Two models serve the whole assignment. The `painter` paints creatures; at each pixel it chooses red first, then green,
# then blue. The `writer` paints digits in ink and paper. Both are small and trained for a few seconds.


# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
def nll(model, x):
    return -model.log_prob(x)


knobs = dict(loss=nll, lr=1e-2, schedule="cosine", generator=generator)
painter = PixelCNN(PixelConfig(RGB_LEVELS, 3, 16, 16, features=16), generator=generator)
fit(painter, creatures, steps=200, batch_size=16, **knobs)
writer = GatedPixelCNN(PixelConfig(2, 1, 8, 8, features=16), generator=generator)
fit(writer, digits, steps=300, batch_size=32, **knobs)
painter.cpu()  # fit trains on the fastest device; the rest is small
writer.cpu()
with torch.no_grad():
    for model, images in ((painter, unseen), (writer, digits_test)):
        bits = -model.log_prob(images).mean().item() / math.log(2)
        c = model.config
        print(f"{type(model).__name__:14}{bits:6.1f} bits an image", end=" ")
        print(f"(all levels alike: {math.log2(c.levels) * images[0].numel():.0f})")

# %% [markdown]
# ## 1 Did it expect that?
#
# In the chapter every pixel has a price. Is an expensive pixel a *mistake* of the model, or did the model know that it
# did not know? If you think that a coin is fair, you expect to pay one bit for each throw, and you do pay one bit. If
# you are sure of heads, you expect to pay nothing, and tails costs you dearly. So ask the model for two numbers: what
# it pays for a pixel, and what it *expected* to pay before it saw which level came:
#
# $$ \text{paid} = -\log_2 p(x_{c,i,j} \mid \text{before}), \qquad
#    \text{expected} = -\sum_{v=0}^{V-1} p(v \mid \text{before}) \log_2 p(v \mid \text{before}) $$
#
# A pixel's price is the sum over its channels. The second number is the entropy of what the model believes. If the
# model's probabilities are right, the two numbers agree *on average*, at every pixel, however little the model knows.
# If the model is too sure of itself, it pays more than it expected. Both are in bits: nats divided by $\ln 2$.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paid_and_expected(logits, x):
    """How many bits each pixel costs, and how many the model expected it to cost, on average over the images.

    logits (B, C, H, W, V) float, not normalised, of any size, 1000 too: logits[b, c, i, j] (V,) are for x[b, c, i, j].
    x (B, C, H, W) long, levels 0 to V − 1.
    -> (paid, expected), both (H, W) in bits, ≥ 0. At each place, paid is the sum over the channels of −log₂ p(the level
    that x has), and expected the sum over the channels of the entropy, −Σ p(v) log₂ p(v) over all V levels; of both,
    the mean over the B images.
    Example: V = 2 and two images of one pixel with three channels. The levels of the first have the probabilities 1/2,
    1/4 and 1/8: it costs 1 + 2 + 3 = 6 bits, and 1 + 0.81 + 0.54 = 2.35 were expected. Those of the second have 1/2,
    1/2 and 1: it costs 2 bits, as expected. So paid is 4 and expected 2.18.
    """
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(dim=-1)  # (B, C, H, W, V)
    paid = -log_p.gather(-1, x[..., None]).sum((1, -1))  # (B, H, W)
    expected = -(log_p.exp() * log_p).sum((1, -1))
    return paid.mean(0) / math.log(2), expected.mean(0) / math.log(2)
    ### END SOLUTION


# %% [markdown]
# First the example, then a row of three pixels. Last, a model that has no idea and gives all eight levels the same
# probability: it pays three bits a channel, and expects to.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

first = torch.tensor([[1 / 2, 1 / 4, 1 / 8], [1 / 2, 3 / 4, 7 / 8]])
second = torch.tensor([[1 / 2, 1 / 2, 1.0], [1 / 2, 1 / 2, 1e-9]])
said = torch.stack([first, second]).mT[:, :, None, None]  # (2, 3, 1, 1, 2)
levels = torch.zeros(2, 3, 1, 1, dtype=torch.long)
paid, expected = paid_and_expected(said.log(), levels)
for name, bits in (("paid", paid), ("expected", expected)):
    assert_shape(bits, (1, 1), name=f"{name}, for images of one pixel")
wanted = torch.tensor([[4.0]])
assert_close(paid, wanted, name="paid in the example: 6 bits and 2 bits, on average")
wanted = torch.tensor([[2.17742]])
name = "expected in the example: 2.35 bits and 2 bits, on average"
assert_close(expected, wanted, name=name)
three = torch.tensor([[0.5, 0.25, 0.0625], [0.5, 0.75, 0.9375]]).log().mT
three = three[None, None, None] + 5  # (1, 1, 1, 3, 2)
paid, expected = paid_and_expected(three, torch.tensor([[[[0, 0, 0]]]]))
name = "{}: 1/2, 1/4, 1/16 in a row (5 added to every logit changes no probability)"
assert_close(paid, torch.tensor([[1.0, 2.0, 4.0]]), name=name.format("paid"))
wanted = torch.tensor([[1.0, 0.81128, 0.33729]])
assert_close(expected, wanted, name=name.format("expected"))
logits, levels = torch.zeros(5, 3, 2, 4, 8), torch.zeros(5, 3, 2, 4, dtype=torch.long)
name = "eight equal levels: 3 bits for each of the 3 channels, summed"
for bits in paid_and_expected(logits, levels):
    assert_close(bits, torch.full((2, 4), 9.0), name=name)

# %% [markdown]
# Graded later, worth 2 points: other sizes, and logits of any size.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for B, V, C, H, W in ((1, 2, 1, 3, 3), (4, 5, 2, 3, 6), (7, 3, 3, 4, 2)):
    guess = 3 * torch.randn(B, C, H, W, V, generator=chance)
    truth = torch.randint(V, (B, C, H, W), generator=chance)
    believed = torch.distributions.Categorical(logits=guess.double())  # of (B, C, H, W)
    answers = paid_and_expected(guess, truth)
    for name, answer, right in zip(
        ("paid", "expected"),
        answers,
        (-believed.log_prob(truth), believed.entropy()),
        strict=True,
    ):
        case = f"{name}, {B} images of {C}×{H}×{W}"
        assert_shape(answer, (H, W), name=case)
        assert_close(
            answer,
            right.sum(1).mean(0) / math.log(2),
            name=f"{case}, against torch.distributions",
        )
sure = torch.tensor([1000.0, 0.0]).expand(1, 1, 1, 2, 2)
paid, expected = paid_and_expected(sure, torch.tensor([[[[0, 1]]]]))
assert_close(
    paid,
    torch.tensor([[0.0, 1000 / math.log(2)]]),
    name="paid: sure and right, sure and wrong (finite)",
)
assert_close(
    expected,
    torch.zeros(1, 2),
    name="expected, by a model that is sure (0 · log 0 counts as 0)",
)
### END HIDDEN TESTS

# %% [markdown]
# A batch may hold a single image. Where was *this* image expensive, and where did the painter expect it to be?

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
with torch.no_grad():
    logits = painter(unseen)
    each = zip(logits.split(1), unseen.split(1), strict=True)
    single = [paid_and_expected(said, image) for said, image in each]
    paid, expected = map(torch.stack, zip(*single, strict=True))  # (100, 16, 16) each
    by_channel = []
    for c in range(3):
        only = slice(c, c + 1)
        bits, _ = paid_and_expected(logits[:, only], unseen[:, only])
        by_channel.append(bits.mean().item())
fig, axes = plt.subplots(3, 6, figsize=(8, 4.2), layout="constrained")
for b in range(6):
    show(axes[0, b], unseen[b])
    for row, name, bits in ((1, "paid", paid[b]), (2, "expected", expected[b])):
        axes[row, b].imshow(bits, cmap="magma", vmin=0, vmax=8)
        axes[row, b].set(xticks=[], yticks=[], title=f"{name} {bits.sum():.0f}")
print("bits a pixel, 100 creatures:", end=" ")
print(f"paid {paid.mean():.3f}, expected {expected.mean():.3f}")
red, green, blue = by_channel
print(f"red, green, blue: {red:.2f}, {green:.2f}, {blue:.2f} bits")
wanted = -painter.log_prob(unseen) / math.log(2)
assert_close(paid.sum((1, 2)), wanted, name="the map's sum, against log_prob")
assert paid.mean() < 0.95 * expected.mean(), "it expects to pay more than it does"
assert red > 1.5 * green and blue < 0.2 * red, "a channel tells about the next"

# %% [markdown]
# Black is free, white costs eight bits or more. The middle row is speckled and the lower row is smooth: the painter did
# not foresee the single surprises, but it did foresee where surprises happen. And it expects to pay more than it does.
# After so short a training it is not yet as sure as it could be. (Given one channel at a time, your function also
# shows what the chain rule is worth inside a pixel. Red carries most of the surprise, green costs about half as much,
# and blue costs nearly nothing, because few colours have this red and this green. Remember that for exercise 3.)
#
# The writer was trained on simpler images. Is it honest? Ask it about digits that it wrote itself, about new digits,
# and about a world that it does not know, in which all digits are mirrored. Then train another one on only fifty
# digits, again and again, and ask it about those fifty and about new ones.

# %% nbgrader={"grade": false, "grade_id": "exercise1_honest", "locked": true, "schema_version": 3, "solution": false, "task": false}
few = GatedPixelCNN(writer.config, generator=generator)
fit(few, digits[:50], steps=150, batch_size=32, **knobs)
few.cpu()
own = writer.sample(500, generator=generator)
cases = {
    "its own": (writer, own),
    "new ones": (writer, digits_test),
    "mirrored": (writer, digits_test.flip(3)),
}
cases |= {"50 by heart": (few, digits[:50]), "then new ones": (few, digits_test)}
too_sure = {}
for name, (model, images) in cases.items():
    with torch.no_grad():
        bits = paid_and_expected(model(images), images)
    paid_now, expected_now = (b.sum().item() for b in bits)
    too_sure[name] = paid_now / expected_now - 1
    print(f"{name:14} paid {paid_now:.1f}, expected {expected_now:.1f}", end=" ")
    print(f"bits an image: {too_sure[name]:+.0%}")
assert abs(too_sure["its own"]) < 0.05, "about its own images every model is right"
home, abroad = too_sure["new ones"], too_sure["mirrored"]
assert abs(home) < 0.1 < abroad, "about unfamiliar ones it is too sure of itself"
seen_before, new = too_sure["50 by heart"], too_sure["then new ones"]
assert seen_before < 0.03 and new > 0.1, "learning by heart makes too sure as well"

# %% [markdown]
# On digits of its own a model is always right on average, so that says nothing. On new digits the writer is off by a few
# per cent: it knows how little it knows. Mirrored digits cost it much more than it expects, and new digits cost much
# more than expected when fifty were learnt by heart. You need no second model for this test, and no floor to compare
# with.

# %% [markdown]
# ## 2 Two stacks, no blind spot
#
# However many masked convolutions you pile up, the pixels in a wedge to the upper right stay unseen. The Gated PixelCNN
# closes the wedge with two stacks (van den Oord et al., 2016, conditional image generation, section 2.2). The
# *vertical* stack $v$ looks at the rows above, to both sides. The *horizontal* stack $h$ looks at its own row, to the
# left, and in each block it also hears from $v$. In this exercise you write both.
#
# One thing differs from the chapter. There, $v$ is shifted down by a row before the first block. Here $v$ is never
# shifted: at pixel $(i, j)$ it knows about *all* of row $i$, the pixel itself and its right-hand neighbours too. That
# does no harm as long as nothing is predicted from $v$. The prediction is made from $h$, and $h$ must not learn what
# $v$ knows about row $i$. Two small shifts make sure of that: `along` can end one pixel earlier, and `across` can read one
# row higher. In which blocks each of them is needed is for you to find out. (No masks are needed. Put zeros around the
# image with `F.pad`, and a kernel that does not pad looks wherever you want.)


# %% [markdown]
# This cell makes blocks, and finds out what a network sees. If all weights are positive, no contribution cancels another
# and no ReLU is shut. Then the gradient of an output is positive exactly at the pixels that the output depends on.

# %% nbgrader={"grade": false, "grade_id": "exercise2_blocks", "locked": true, "schema_version": 3, "solution": false, "task": false}
from course_lib.layers import initialised_by


def make_blocks(channels, features, kernels, generator):
    """A block for each (r, c, k) of `kernels`, with first weights drawn from `generator`."""
    blocks = nn.ModuleList()
    with initialised_by(generator):
        for r, c, k in kernels:
            down = nn.Conv2d(channels, features, (r, c))
            along = nn.Conv2d(channels, features, (1, k))
            across = nn.Conv2d(features, features, 1, bias=False)
            blocks.append(nn.ModuleList([down, along, across]))
            channels = features
    return blocks


def positive(network):
    """The same network with the absolute values of its weights, as float64."""
    for weight in network.parameters():
        weight.data = weight.data.abs().double()
    return network


def seen_from(network, i, j, channels=1, height=16, width=16):
    """(height, width) bool: on which pixels of x does a network's output at (i, j) depend?"""
    x = torch.ones(1, channels, height, width).double().requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[0, :, i, j].sum(), x)
    return slope[0].abs().sum(0) > 0


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_stacks(x, blocks):
    """What the horizontal stack knows at each pixel: everything about the pixels before it, and nothing else.

    x (B, C, H, W) float. blocks: a list of one or more triples (down, along, across) of nn.Conv2d, which do not pad.
    down.kernel_size is (r, c), with c odd; along.kernel_size is (1, k); across.kernel_size is (1, 1), and across has no
    bias. r, c and k are at least 1 and may differ from block to block. In the first block down and along read C
    channels, later F; all give F, and across reads F.
    -> (B, F, H, W) float: h after the last block. Both stacks start as x, and each block first renews v, then h:

        v = relu(down(v)), where down at pixel (i, j) reads rows i − r + 1 to i and columns j − c//2 to j + c//2;
        h = relu(along(h) + across(v)), where along reads k neighbours in row i, and across one pixel of the new v.

    Outside the image there are zeros, in every block. If along's k pixels ended at (i, j) in every block, and across
    read v at (i, j), then h at (i, j) would know x at (i, j). So, where it is needed, along ends one pixel earlier and
    across reads one row higher, and nowhere else: h at (i, j) depends on pixels before (i, j) only (all rows above i;
    in row i, the columns left of j), and on every one of them that the kernels can still reach. x is not changed.
    Example: one block, r = 1, c = 3, k = 1, all weights 1, all biases 0. x has the rows (1, 2, 3) and (4, 5, 6). Then v
    has the rows (3, 6, 5) and (9, 15, 11), and h has (0, 1, 2) and (0 + 3, 4 + 6, 5 + 5) = (3, 10, 10).
    """
    ### BEGIN SOLUTION
    v = h = x
    for n, (down, along, across) in enumerate(blocks):
        (r, c), (_, k) = down.kernel_size, along.kernel_size
        v = down(F.pad(v, (c // 2, c // 2, r - 1, 0))).relu()
        # in the first block, h is x, and must not see itself
        h = F.pad(h, (k, -1) if n == 0 else (k - 1, 0))
        # a row of zeros on top, the last row off: every row hears about the one above
        h = (along(h) + across(F.pad(v, (0, 0, 1, -1)))).relu()
    return h
    ### END SOLUTION


# %% [markdown]
# First the check asks each pixel of five blocks what it sees. Then come the numbers of the example.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def ask(x, blocks):
    """two_stacks(x, blocks), and a hint where the sizes of its parts do not fit."""
    try:
        return two_stacks(x, blocks)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        size = [(*down.kernel_size, along.kernel_size[1]) for down, along, _ in blocks]
        raise AssertionError(
            f"kernels (r, c, k) {size}, x {tuple(x.shape)}: PyTorch says '{error}'. "
            "Hint: a kernel (r, c) without padding takes r − 1 rows and c − 1 columns away, so add as many zeros "
            "before; F.pad counts (left, right, top, bottom); and across reads the new v."
        ) from None


ones = make_blocks(1, 1, [(1, 3, 1)], make_generator(0))
for weight in ones.parameters():
    weight.data.fill_(0.0 if weight.ndim == 1 else 1.0)
x = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
assert_shape(ask(x, ones), (1, 1, 2, 3), name="h in the example")
five = positive(make_blocks(1, 3, [(3, 3, 2)] * 5, make_generator(1)))
for i, j in torch.cartesian_prod(torch.arange(4), torch.arange(6)).tolist():
    seen = seen_from(lambda image: ask(image, five), i, j, height=4, width=6)
    must = torch.arange(24).view(4, 6) < 6 * i + j
    wrong = (seen & ~must).nonzero().tolist()
    missing = (must & ~seen).nonzero().tolist()
    me = f"five blocks, kernels (3, 3) and (1, 2), 4×6 pixels: h at ({i}, {j})"
    sees = f"{me} sees x at {tuple(wrong[-1])}" if wrong else ""
    hint = (
        "in a row below. Hint: `down` needs zeros on top only, and h hears from above"
    )
    assert not any(a > i for a, _ in wrong), f"{sees}, {hint}."
    hint = "to its right. Hint: v knows all of its own row; which row of v may h hear?"
    assert not any(b > j for _, b in wrong), f"{sees}, {hint}"
    hint = "what it has to predict. Hint: in which block does `along` read x itself?"
    assert not wrong, f"{sees}, {hint}"
    hint = "is v carried on, and does h hear of the row just above, in every block?"
    if any(a == i for a, _ in missing):
        hint = (
            "after the first block, h knows nothing of its own pixel; why shift again?"
        )
    elif all(b > j for _, b in missing):
        hint = "a wedge at the right; `down` should reach as far right as left."
    gone = f"{me} does not see {tuple(missing[0])}" if missing else ""
    assert not missing, f"{gone}, which comes before it. Hint: {hint}"
name = "h in the example (row 0 hears of no row above; row 1 hears v's row 0)"
wanted = torch.tensor([[[[0.0, 1.0, 2.0], [3.0, 10.0, 10.0]]]])
assert_close(ask(x, ones).detach(), wanted, name=name)
for weight in ones.parameters():
    weight.data.fill_(1.0)
name = "h in the example with biases 1 (above row 0 there is no v, so across adds 0)"
wanted = torch.tensor([[[[1.0, 2.0, 3.0], [5.0, 12.0, 12.0]]]])
assert_close(ask(x, ones).detach(), wanted, name=name)

# %% [markdown]
# Graded later, worth 2 points: other kernels, also different ones in different blocks, several channels and images,
# images of a single row or column; compared with the same network written with masks.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


### BEGIN HIDDEN TESTS
def masked(x, blocks):
    """The same network, written with masks: each kernel is filled up with zeros until its middle is the pixel."""
    above_and_here = before_here = x
    for number, (down, along, across) in enumerate(blocks):
        (rows, columns), reach = down.kernel_size, along.kernel_size[1]
        kernel = F.pad(down.weight, (0, 0, 0, rows - 1))
        where = dict(padding=(rows - 1, columns // 2))
        above_and_here = F.conv2d(above_and_here, kernel, down.bias, **where).relu()
        kernel = F.pad(along.weight, (1, reach) if number else (0, reach + 1))
        own_row = F.conv2d(before_here, kernel, along.bias, padding=(0, reach))
        kernel = F.pad(across.weight, (0, 0, 0, 2))
        told = F.conv2d(above_and_here, kernel, padding=(1, 0))
        before_here = (own_row + told).relu()
    return before_here


chance = make_generator(2)
for kernels, C, features, H, W in (
    ([(2, 3, 2)], 1, 4, 5, 7),
    ([(1, 1, 1)] * 3, 2, 3, 4, 3),
    ([(2, 5, 4), (3, 3, 2), (1, 3, 1)], 3, 5, 6, 8),
    ([(3, 1, 3), (1, 7, 5)], 1, 2, 7, 4),
    ([(4, 3, 1)] * 4, 2, 2, 9, 5),
    ([(2, 3, 2), (3, 5, 3)], 2, 4, 1, 6),
    ([(2, 3, 2), (3, 5, 3)], 4, 4, 6, 1),
):
    blocks = make_blocks(C, features, kernels, chance).double()
    x = torch.randn(3, C, H, W, generator=chance, dtype=torch.double)
    kept = x.clone()
    with torch.no_grad():
        h, right = ask(x, blocks), masked(x, blocks)
    case = f"kernels (r, c, k) {kernels}, images of {C}×{H}×{W}"
    assert_close(x, kept, name=f"x, which must stay as it was; {case}")
    assert_shape(h, (3, features, H, W), name=f"h, {case}")
    assert_close(h, right, name=f"h, {case}, against the same network with masks")
    blocks = positive(blocks)
    for i, j in torch.cartesian_prod(torch.arange(H), torch.arange(W)).tolist():
        sees = seen_from(lambda image: ask(image, blocks), i, j, C, H, W)  # noqa: B023
        should = seen_from(lambda image: masked(image, blocks), i, j, C, H, W)  # noqa: B023
        name = f"what h at ({i}, {j}) sees (1: yes), {case}, against the same network with masks"
        assert_close(sees, should, name=name)
### END HIDDEN TESTS

# %% [markdown]
# How much does that see? Your blocks beside the chapter's masks, from one pixel. Blue is seen. Red comes before the
# pixel in the order of painting and is not seen.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
i, j = 10, 6
before = torch.arange(256).view(16, 16) < 16 * i + j  # what a model may see


def masks(depth, features=1, generator=generator):
    """Masked 3×3 convolutions and ReLUs: mask A first, then mask B."""
    layers = []
    with initialised_by(generator):
        for n in range(depth):
            channels, kind = (features, "B") if n else (1, "A")
            layers += [MaskedConv2d(channels, features, 3, kind), nn.ReLU()]
    return nn.Sequential(*layers)


large = positive(make_blocks(1, 2, [(3, 5, 4)] * 5, generator))
networks = {f"{n} masked layers": positive(masks(n)) for n in (5, 20, 40)}
networks["5 of your blocks"] = lambda image: two_stacks(image, large)
blind = {}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    seen = seen_from(network, i, j)
    assert not (seen & ~before).any(), f"{name}: the future"
    blind[name] = int((before & ~seen).sum())
    colours = torch.full((16, 16, 3), 0.93)
    colours[seen] = torch.tensor([0.25, 0.5, 0.85])
    colours[before & ~seen] = torch.tensor([0.85, 0.25, 0.2])
    colours[i, j] = 0
    ax.imshow(colours)
    title = f"{name}\nblind: {blind[name]} of {before.sum()}"
    ax.set(xticks=[], yticks=[], title=title)
five, twenty, forty, yours = blind.values()
assert five > twenty == forty > 0 == yours, "depth does not close it, two stacks do"

# %% [markdown]
# Depth fills the left and the top. The wedge stays, because a path through the masks climbs one row at a step and gains
# at most one column by it. Your vertical stack has no mask, so it goes to the right as easily as to the left.
#
# What is a blind pixel worth? That depends on the pictures. Here are pictures made to hurt: rain, driven by the wind.
# The top row is thrown, ink or paper, by a fair coin. Each pixel below copies the pixel one row up and *two to the
# right*, and in one case of ten it gets it wrong. At the right-hand edge nothing blows in, so there the coin is thrown
# again.

# %% nbgrader={"grade": false, "grade_id": "exercise2_rain", "locked": true, "schema_version": 3, "solution": false, "task": false}
rain = torch.randint(2, (1000, 1, 10, 10), generator=generator)
wrong = torch.rand(rain.shape, generator=generator) < 0.1
for row in range(1, 10):
    blown = rain[:, :, row - 1, 2:]
    rain[:, :, row, :-2] = blown ^ wrong[:, :, row, :-2].long()


class Painter(nn.Module):
    """A network that must not see the future, and a last layer that reads off its logits for ink."""

    def __init__(self, parts, network):
        super().__init__()
        self.parts, self.network = parts, network
        with initialised_by(generator):
            self.logits = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        return self.logits(self.network(x))


def bits(model, x):
    """x (B, 1, H, W) -> what each image costs (B,)."""
    nats = F.binary_cross_entropy_with_logits(model(x), x, reduction="none")
    return nats.sum((1, 2, 3)) / math.log(2)


layers = masks(4, features=16)
blocks = make_blocks(1, 16, [(2, 5, 2)] * 2, generator)
rivals = {"4 masked layers": Painter(layers, layers)}
rivals["2 of your blocks"] = Painter(blocks, lambda x: two_stacks(x, blocks))
for axis, image in zip(plt.subplots(1, 6, figsize=(7, 1.3))[1], rain, strict=False):
    show(axis, image)
price = {}
for name, model in rivals.items():
    training = dict(steps=150, batch_size=32, lr=1e-2, schedule="cosine")
    fit(model, rain[:900].float(), loss=bits, generator=generator, **training)
    with torch.no_grad():
        price[name] = bits(model.cpu(), rain[900:].float()).mean().item()
copies = wrong[900:, :, 1:, :-2].float().mean().item()
rule = 28 - 72 * (copies * math.log2(0.1) + (1 - copies) * math.log2(0.9))
weights = [sum(w.numel() for w in model.parameters()) for model in rivals.values()]
for (name, paid_now), count in zip(price.items(), weights, strict=True):
    print(f"{name}: {paid_now:5.1f} bits an image with {count:,} weights")
print(f"knowing the rule: {rule:.1f} bits; throwing coins: 100.0 bits")
masked_price, stacks_price = price.values()
assert abs(masked_price - 100) < 1, "it cannot see where the rain comes from"
assert stacks_price < rule + 2, "it sees it, and knows nearly all there is to know"

# %% [markdown]
# A pixel's source lies in the blind wedge, and so do the source's source and all that went before. Nothing that the masks
# let through says anything about the pixel. So the masked network pays one bit for each of the 100 pixels, just like a
# coin, and no depth and no training can save any of it. Yours pays what the rule itself pays: one bit for each of the
# 28 pixels that are thrown, and about 0.47 for each of the other 72.
#
# These pictures were made to hurt. On digits the same two painters come out within a bit or so of each other: what the
# blind pixels say is little there, and twice the weights make up for it. Copy the cell and try it with `digits.float()`
# and `digits_test.float()`.

# %% [markdown]
# ## 3 Hand it the palette
#
# Our creatures have 16 colours. The painter mixes red, green and blue and could make $8^3 = 512$ of them. Nobody told it
# which ones exist. How well does it know? The chain rule inside the pixel gives every colour a probability,
#
# $$ p(r, g, b) = p(r) \; p(g \mid r) \; p(b \mid r, g), $$
#
# all given the pixels before. Look at what stands to the right of the bars. Before you can ask the model for *this*
# green, you must show it *this* red. So put each colour of the palette into the pixel in turn, run the model, and read
# off three numbers. Their products, summed over the palette, say what share of the probability lies on colours that
# exist. Divide by that share, and the painter knows the palette:
#
# $$ p(n \mid \text{palette}) = \frac{p(r_n, g_n, b_n)}{\sum_m p(r_m, g_m, b_m)}, \qquad
#    \text{missed} = 1 - \sum_m p(r_m, g_m, b_m) $$


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def palette_probs(model, x, row, column, palette):
    """How likely each colour of a palette is at one pixel, given what was painted before, and what the palette misses.

    model: images (M, 3, H, W) long, any M -> logits (M, 3, H, W, V) float, not normalised: at each pixel, red's have
    seen all pixels before it, green's have seen its red as well, blue's both. x (B, 3, H, W) long; (row, column): the
    pixel; palette (N, 3) long, N different colours.
    -> (p, missed): p (B, N) float, where p[b, n] is the probability of colour n at the pixel of image b, given that
    it is one of the palette; each row sums to 1, even if all of them together are as unlikely as e^−1000. missed (B,)
    float, the model's probability that the pixel is none of the palette.
    What x has at the pixel has no influence, and x itself is not changed.
    Example: two levels; the model says p(R=1) = 0.4; p(G=1) = 0.5 where R=0, and 0.25 where R=1; p(B=1) = 0.5, but 0.1
    after R=1, G=0 and 0.8 after R=1, G=1. Black (0, 0, 0) has 0.6 · 0.5 · 0.5 = 0.15, red (1, 0, 0) has
    0.4 · 0.75 · 0.9 = 0.27, white (1, 1, 1) has 0.4 · 0.25 · 0.8 = 0.08: p = (0.3, 0.54, 0.16) and missed = 0.5.
    """
    ### BEGIN SOLUTION
    B, N = len(x), len(palette)
    # (B · N, 3, H, W): N copies of the first image, then of the second …
    candidates = x.repeat_interleave(N, dim=0)
    candidates[:, :, row, column] = palette.repeat(B, 1)
    log_p = model(candidates)[:, :, row, column].log_softmax(dim=-1)  # (B · N, 3, V)
    log_p = log_p.gather(-1, candidates[:, :, row, column, None]).sum((1, 2)).view(B, N)
    return log_p.softmax(dim=1), 1 - log_p.exp().sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# The example, as a model: the same three tables at every pixel of an image. All eight colours together miss nothing.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

# of level 1, given R; given R, G
p_green, p_blue = torch.tensor([0.5, 0.25]), torch.tensor([[0.5, 0.5], [0.1, 0.8]])


def three_tables(x):
    """(M, 3, H, W) -> logits (M, 3, H, W, 2), the example's."""
    red, green = x[:, 0], x[:, 1]
    p = [torch.full(red.shape, 0.4), p_green[red], p_blue[red, green]]
    p = torch.stack(p, dim=1)  # (M, 3, H, W)
    # 3 more everywhere: not normalised
    return torch.stack([1 - p, p], dim=-1).log() + 3


three_colours = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 1]])
# two images, green and yellow
painted = torch.tensor([[0, 1, 0], [1, 1, 0]])[..., None, None].repeat(1, 1, 2, 2)
as_it_was = painted.clone()
p, missed = palette_probs(three_tables, painted, 0, 1, three_colours)
name = "x itself, afterwards (put the colours into copies)"
assert_close(painted, as_it_was, name=name)
assert_shape(p, (2, 3), name="p, of 2 images and 3 colours")
assert_shape(missed, (2,), name="missed, of 2 images")
assert_close(p.sum(1), torch.ones(2), name="p, summed over the palette")
wanted = torch.tensor([[0.3, 0.54, 0.16]]).expand(2, 3)
name = "p of black, red, white (does green see the colour's own red, and blue both, and not what stood there?)"
assert_close(p, wanted, name=name)
name = "missed (before dividing, the three have 0.15 + 0.27 + 0.08)"
assert_close(missed, torch.tensor([0.5, 0.5]), name=name)
all_eight = torch.cartesian_prod(*[torch.arange(2)] * 3)
_, missed = palette_probs(three_tables, painted, 1, 1, all_eight)
assert_close(missed, torch.zeros(2), name="missed by all eight colours")

# %% [markdown]
# Graded later, worth 2 points: more images, colours and levels, a model that looks at other pixels too, and palettes
# that the model finds very unlikely.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
t_red, t_green, t_blue = (
    2 * torch.randn(*[4] * n, generator=chance) for n in (2, 3, 4)
)


def looks_left(x):
    """Tables of four levels, chosen by the red of the pixel to the left (in column 0: by 0)."""
    beside = torch.nn.functional.pad(x[:, 0], (1, 0))[..., :-1]  # (M, H, W)
    # (M, H, W, 4) each
    logits = [t_red[beside], t_green[beside, x[:, 0]], t_blue[beside, x[:, 0], x[:, 1]]]
    return torch.stack(logits, dim=1)


images = torch.randint(4, (5, 3, 2, 3), generator=chance)
kept = images.clone()
colours = torch.cartesian_prod(*[torch.arange(4)] * 3)[
    torch.randperm(64, generator=chance)
]
for i, j, N in ((0, 0, 7), (1, 2, 2), (0, 1, 64), (1, 1, 1)):
    p, missed = palette_probs(looks_left, images, i, j, colours[:N])
    assert_close(images, kept, name="x, which must stay as it is")
    right = torch.zeros(5, N, dtype=torch.double)
    for b in range(5):
        beside = int(kept[b, 0, i, j - 1]) if j else 0
        for n, (red, green, blue) in enumerate(colours[:N].tolist()):
            tables = t_red[beside], t_green[beside, red], t_blue[beside, red, green]
            right[b, n] = math.prod(
                t.double().softmax(0)[v]
                for t, v in zip(tables, (red, green, blue), strict=True)
            )
    case = f"5 images, {N} colours of 64, pixel ({i}, {j})"
    assert_shape(p, (5, N), name=f"p, {case}")
    assert_close(p, right / right.sum(1, keepdim=True), name=f"p, {case}")
    assert_close(missed, 1 - right.sum(1), name=f"missed, {case}")
# levels 2 and 3 are all but impossible
hardly = torch.tensor([3.0, 2.0, -500.0, -501.0])
p, missed = palette_probs(
    lambda x: hardly.expand(*x.shape, 4),
    images,
    0,
    0,
    torch.tensor([[2, 2, 2], [3, 2, 3]]),
)
assert_close(
    p,
    torch.tensor([[0.0, -2.0]]).softmax(1).expand(5, 2),
    name="p of two colours as unlikely as e^−1500",
)
assert_close(
    missed, torch.ones(5), name="missed, where the palette is all but impossible"
)
### END HIDDEN TESTS

# %% [markdown]
# What does the painter lose by not knowing the palette? At each pixel it gives the share `missed` to colours that do not
# exist, and pays $-\log_2(1 - \text{missed})$ bits for it. Try twenty-four pixels of eight creatures that it has not
# seen:

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
with torch.no_grad():
    places = torch.randint(16, (24, 2), generator=generator).tolist()
    missed = [palette_probs(painter, unseen[:8], i, j, PALETTE)[1] for i, j in places]
    missed = torch.stack(missed)  # (24, 8)
untrained = PixelCNN(painter.config, generator=generator)
with torch.no_grad():
    missed_first = palette_probs(untrained, unseen[:8], 8, 8, PALETTE)[1].mean().item()
wasted = -torch.log2(1 - missed).mean().item()
print(f"on colours that do not exist: {missed_first:.0%} before training,", end=" ")
print(f"{missed.mean():.1%} after it")
print(f"that costs {wasted:.3f} bits a pixel, of {paid.mean():.2f} in all;", end=" ")
print(f"the worst pixel {missed.max():.0%}")
assert missed_first > 0.9 and missed.mean() < 0.25, "it has learnt most of the palette"
assert wasted > 0.01, "and not all of it"

# %% [markdown]
# In a few seconds of training the painter found out by itself that hardly any of the 512 colours occur besides these 16.
# What goes to the others is a few per cent at each pixel, and in a picture of 256 pixels a few per cent can be seen.
# Take a band out of a creature and let the painter fill it, once freely and once with your palette.

# %% nbgrader={"grade": false, "grade_id": "exercise3_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
band = slice(5, 10)  # rows
known = torch.ones(16, 16, dtype=torch.bool)
known[band] = False
# (5, 3, 16, 16)
free = painter.sample(5, generator=generator, given=unseen[0], known=known)
kept = unseen[:1].repeat(5, 1, 1, 1)
kept[:, :, band] = 0
with torch.no_grad():
    for i in range(16)[band]:
        for j in range(16):
            p, _ = palette_probs(painter, kept, i, j, PALETTE)
            kept[:, :, i, j] = PALETTE[p.multinomial(1, generator=generator)[:, 0]]


def foreign(x):
    """x (n, 3, H, W) -> (n, H, W) bool: which pixels are no colour of the palette?"""
    return (x[:, None] != PALETTE[None, :, :, None, None]).any(2).all(1)


fig, axes = plt.subplots(2, 6, figsize=(8, 3), layout="constrained")
titles = "all 512 colours", "palette"
for axis_row, title, images in zip(axes, titles, (free, kept), strict=True):
    show(axis_row[0], unseen[0], "the original" if title != "palette" else "")
    for ax, image, strange in zip(axis_row[1:], images, foreign(images), strict=True):
        show(ax, image)
        rows, columns = strange.nonzero().T
        ax.scatter(columns, rows, s=14, marker="x", color="black", linewidths=1)
    axis_row[1].set_title(title)
share = foreign(free)[:, band].float().mean().item()
print(f"no colour of the palette (crossed out): {share:.1%} of what was", end=" ")
print("painted freely, none with the palette")
assert share > 0.01 and not foreign(kept).any(), "with the palette, no foreign colour"

# %% [markdown]
# Neither is good after so little training. But your function turned one model into another without any training, and the
# new one is better by exactly the bits that the old one wasted. Remember that: what you already *know* about the
# answer, a network need not learn.

# %% [markdown]
# ## 4 Let the bottom speak
#
# The chapter's completions have a flaw. A pixel is painted given what comes *before* it. So if the lower half of a digit
# is known, the upper half is painted as if it were not. In assignment 3 you filled one hole by pricing every sentence
# that could stand there. A hole of 32 pixels has $2^{32}$ fillings, too many to price. So price only those that the
# painter proposes, and give each the weight that it deserves:
#
# 1. Let the model paint $n$ completions in which the known pixels stay as they are:
#    `model.sample(n, generator=…, given=…, known=…)`.
# 2. A completion is good if the known pixels follow from it naturally. So its weight is the probability of the *known*
#    pixels, each given everything before it, painted pixels included:
#    $$ w = \prod_{\text{known}} p(x_{c,i,j} \mid \text{all before it}), \qquad
#       \bar{w}_k = \frac{w_k}{\sum_l w_l} $$
#
# Why only the known ones? A completion is proposed with a probability that is already the product over the *painted*
# pixels. Multiply that by $w$ and you have $p(\text{whole image})$, as it should be. This is **importance sampling**.
# It answers a second question at no extra cost: the *mean* of the $w$ estimates $p(\text{known pixels})$, summed over
# everything that could be in the hole. But $w$ may be too small for a computer, so keep its logarithm. Which two
# functions turn logarithms safely into shares, and into the logarithm of a sum?


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weigh_completions(model, given, known, n, generator):
    """n completions of an image, each with the weight that the known pixels give it, wherever they are.

    model: a chapter's model. model(x) -> logits (n, C, H, W, V), not normalised, each given all before it;
    model.sample(n, generator=…, given=…, known=…) -> (n, C, H, W) long, the known pixels as given, all others painted
    given what comes before them. given (C, H, W) long; known (C, H, W) bool, true for the pixels that are known.
    -> (x, weights, log_known): x (n, C, H, W) long, the completions as `sample` painted them; weights (n,), which sum
    to 1 and are proportional to w, the product over the known pixels of p(pixel | all before it), which may be as small
    as e^−1000; log_known, a number or a tensor (), in nats: the logarithm of the mean of the n values w.
    Example: the left one of two pixels is unknown, the right one is ink. Of n = 4 completions, three have a paper
    left pixel, after which ink has 0.3, and one has an ink left pixel, after which ink has 0.9. The weights are
    0.3/1.8, three times, and 0.9/1.8, and log_known is log(1.8/4) = log 0.45.
    """
    ### BEGIN SOLUTION
    x = model.sample(n, generator=generator, given=given, known=known)
    # (n, C, H, W)
    log_p = model(x).detach().log_softmax(dim=-1).gather(-1, x[..., None]).squeeze(-1)
    log_w = torch.where(known, log_p, 0.0).flatten(1).sum(1)  # (n,)
    return x, log_w.softmax(dim=0), log_w.logsumexp(dim=0) - math.log(n)
    ### END SOLUTION


# %% [markdown]
# The example is a model of two pixels, written by hand. The left one is ink with probability 1/4, and the right one
# depends on it. Its `sample` leaves nothing to chance: it paints every fourth left pixel in ink. So you can check Bayes'
# rule with a pencil: $p(\text{left} \mid \text{right}) = 0.25 \cdot 0.9 \,/\, (0.25 \cdot 0.9 + 0.75 \cdot 0.3) = 1/2$.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape
from course_lib.prob import categorical_log_prob


class TwoPixels:
    """Images (n, 1, 1, 2) of paper 0 and ink 1: p(left = 1) = 0.25, p(right = 1 | left) = 0.3 or 0.9."""

    def __call__(self, x):
        right = torch.tensor([0.3, 0.9])[x[:, 0, 0, 0]]
        # (n, 1, 1, 2)
        p = torch.stack([torch.full_like(right, 0.25), right], dim=1)[:, None, None]
        # (n, 1, 1, 2, 2), not normalised
        return torch.stack([1 - p, p], dim=-1).log() - 7

    def log_prob(self, x):
        return categorical_log_prob(self(x), x)

    def sample(self, n, *, generator, given=None, known=None, **_):
        x = torch.zeros(n, 1, 1, 2, dtype=torch.long)
        x[3::4, ..., 0] = 1  # every fourth
        return x if known is None else torch.where(known, given, x)


# the right one is known: ink
given, known = torch.tensor([[[0, 1]]]), torch.tensor([[[False, True]]])
answer = weigh_completions(TwoPixels(), given, known, 4, generator=make_generator(0))
x, weights, log_known = answer
assert_shape(x, (4, 1, 1, 2), name="x, four completions")
assert x.dtype == torch.long, f"x holds levels, so its dtype is long, not {x.dtype}"
name = "the known pixel in all completions (given= and known= hold it fast)"
assert_close(x[:, 0, 0, 1], torch.ones(4), name=name)
assert_shape(weights, (4,), name="weights, one for each completion")
assert_close(weights.sum(), 1.0, name="the weights, summed")
wanted = torch.tensor([0.3, 0.3, 0.3, 0.9]) / 1.8
assert_close(weights, wanted, name="weights, 0.3, 0.3, 0.3, 0.9 over their sum")
name = "p(left | right), by the weights; by Bayes' rule it is 1/2"
assert_close((weights * x[:, 0, 0, 0]).sum(), 0.5, name=name)
name = "log_known, the logarithm of the mean of 0.3, 0.3, 0.3, 0.9"
assert_close(log_known, math.log(0.45), name=name)

# %% [markdown]
# Graded later, worth 2 points: real models on images so small that all of them can be priced, with the known pixels
# anywhere, several channels, and known pixels that are very unlikely.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
for levels, C, H, W, hole in (
    (2, 1, 2, 3, (1, 3)),
    (3, 3, 1, 2, (0, 2)),
    (2, 2, 2, 2, (2, 4, 5)),
):
    tiny = PixelCNN(
        PixelConfig(levels, C, H, W, features=8, depth=1), generator=make_generator(4)
    )
    for weight in tiny.parameters():
        weight.data.mul_(3)  # so that it has opinions
    everything = torch.cartesian_prod(*[torch.arange(levels)] * (C * H * W)).view(
        -1, C, H, W
    )
    given, known = (
        everything[len(everything) // 3],
        torch.ones(C * H * W, dtype=torch.bool),
    )
    known[list(hole)] = False
    known = known.view(C, H, W)
    logits = tiny(everything).detach().double()
    # (N, C, H, W)
    log_p = torch.distributions.Categorical(logits=logits).log_prob(everything)
    prices = (log_p * known).flatten(1).sum(1)  # of the known pixels
    fits = (everything == given)[:, known].all(1)
    joint = log_p.flatten(1).sum(1)[fits]
    # mean level of each unknown pixel
    exact = (joint.softmax(0)[:, None] * everything[fits][:, ~known]).sum(0)
    given_before, known_before = given.clone(), known.clone()
    x, weights, log_known = weigh_completions(
        tiny, given, known, 4000, make_generator(5)
    )
    case = f"{C}×{H}×{W}, {levels} levels, unknown {hole} of {C * H * W} numbers"
    assert_shape(x, (4000, C, H, W), name=f"x, {case}")
    assert_close(
        x[:, known],
        given_before[known].expand(4000, -1),
        name=f"the known pixels, {case}",
    )
    assert_close(given, given_before, name="given, which must stay as it is")
    # which of `everything` it is
    number = (x.flatten(1) * levels ** torch.arange(C * H * W - 1, -1, -1)).sum(1)
    right = prices[number].softmax(0)
    assert_shape(weights, (4000,), name=f"weights, {case}")
    assert_close(
        4000 * weights,
        4000 * right,
        tolerance=1e-2,
        name=f"4000 times the weights, {case}",
    )
    log_mean = prices[number].logsumexp(0) - math.log(4000)
    assert_close(
        log_known,
        log_mean,
        tolerance=1e-3,
        name=f"log_known, {case}: log of the mean of w, all known pixels",
    )
    name = f"mean level of the unknown pixels by the weights, against all images priced, {case}"
    assert_close(
        (weights[:, None] * x[:, ~known]).sum(0), exact, tolerance=0.06, name=name
    )
    assert_close(
        log_known,
        joint.logsumexp(0),
        tolerance=0.1,
        name=f"log_known against all images priced, {case}",
    )


class Hardly(TwoPixels):
    """The right pixel is all but never ink: that costs 1000 nats after a left one of paper, 1002 after ink."""

    def __call__(self, images):
        price = 1000 + 2.0 * images[:, 0, 0, 0]
        # (n, 1, 1, 2)
        ink = torch.stack([torch.full_like(price, -1.0), -price], dim=1)[:, None, None]
        return torch.stack([torch.zeros_like(ink), ink], dim=-1)


given, known = torch.tensor([[[1, 1]]]), torch.tensor([[[False, True]]])
_, weights, log_known = weigh_completions(Hardly(), given, known, 4, make_generator(0))
wanted = torch.tensor([0.0, 0.0, 0.0, -2.0])
assert_close(
    weights,
    wanted.softmax(0),
    name="weights where w is e^−1000, three times, and e^−1002",
)
wanted = wanted.double().exp().mean().log() - 1000
assert_close(
    log_known, wanted, tolerance=1e-6, name="log_known where w is near e^−1000"
)
### END HIDDEN TESTS

# %% [markdown]
# Does it work on digits? Begin with a hole of $2 \times 4$ pixels in the middle. All its $2^8 = 256$ fillings can be
# priced, so the truth is known: how likely is ink at each pixel of the hole, given *all* the rest?

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
hole = torch.zeros(1, 8, 8, dtype=torch.bool)
hole[:, 3:5, 2:6] = True
fillings = torch.cartesian_prod(*[torch.arange(2)] * 8)  # (256, 8)
off_plain, off_weighed, off_log = [], [], []
for image in digits_test[:12]:
    candidates = image.repeat(256, 1, 1, 1)
    candidates[:, hole] = fillings
    with torch.no_grad():
        log_p = writer.log_prob(candidates)  # (256,)
    # (8,): how likely is ink, exactly
    exact = (log_p.softmax(0)[:, None] * fillings).sum(0)
    x, weights, log_known = weigh_completions(writer, image, ~hole, 400, generator)
    inks = x[:, hole].float()  # (400, 8)
    off_plain.append((inks.mean(0) - exact).abs().mean().item())
    off_weighed.append(((weights[:, None] * inks).sum(0) - exact).abs().mean().item())
    off_log.append(abs(float(log_known) - log_p.logsumexp(0).item()))
off = [sum(each) / 12 for each in (off_plain, off_weighed, off_log)]
off_plain, off_weighed, off_log = off
print("probability of ink, distance to the truth:", end=" ")
print(f"{off_plain:.3f} as painted, {off_weighed:.3f} weighed")
print(f"log p(known pixels): {off_log:.2f} nats from the truth, on average")
assert off_weighed < off_plain / 3 and off_weighed < 0.05, "weighed, the bottom speaks"
assert off_log < 0.3, "and the price of what is known comes with it"

# %% [markdown]
# Nothing was trained; only weights were added. Now take a hole with too many fillings to list: the whole upper half. To
# show the weighed completions, the cell draws from them again, each with its weight. One number says how far to trust
# them, the **effective sample size** $1 / \sum_k \bar{w}_k^2$. It is $n$ if all weights are equal, and 1 if one
# completion has all the weight.

# %% nbgrader={"grade": false, "grade_id": "exercise4_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
top = torch.zeros(1, 8, 8, dtype=torch.bool)
top[:, :4] = True
fig, axes = plt.subplots(4, 15, figsize=(9, 3), layout="constrained")
for ax in axes[:, [1, 8]].flat:
    ax.axis("off")
right_plain, right_weighed, sizes = [], [], []
for number, image in enumerate(digits_test[:12]):
    x, weights, _ = weigh_completions(writer, image, ~top, 400, generator)
    # (400,): share of the hidden pixels that are as they were
    right = (x == image)[:, top].float().mean(1)
    right_plain.append(right.mean().item())
    right_weighed.append((weights * right).sum().item())
    sizes.append(1 / weights.square().sum().item())
    if number < 4:
        chosen = x[weights.multinomial(6, replacement=True, generator=generator)]
        show(axes[number, 0], image, "digit" if number == 0 else "")
        for k in range(6):
            show(axes[number, 2 + k], x[k])
            show(axes[number, 9 + k], chosen[k])
right_plain, right_weighed = sum(right_plain) / 12, sum(right_weighed) / 12
axes[0, 4].set_title("as painted")
axes[0, 11].set_title("weighed")
print(f"hidden pixels as they were: {right_plain:.1%} as painted,", end=" ")
print(f"{right_weighed:.1%} weighed")
print(f"effective sample size of 400: {min(sizes):.0f} to {max(sizes):.0f}")
assert right_weighed > right_plain + 0.01, "the lower half tells about the upper one"
assert min(sizes) > 5 and max(sizes) < 350, "fewer than 400, and more than a few"

# %% [markdown]
# On the left, the upper half knows nothing about the lower one. On the right, the halves fit together. The original need
# not come back, because many upper halves fit. The catch is the effective sample size: the more the known pixels say,
# the fewer completions share the weight, and in a large picture a single one may have nearly all of it. The remedy is
# to weigh *while* painting, row after row, and to drop hopeless completions early (a **particle filter**). Keep the
# mean of $w$ in mind, too: in chapter 7 it measures models that cannot say $\log p(x)$ exactly.

# %% [markdown]
# ## What you saw
#
# - A price is a map before it is a number, and it has a companion: what the model expected to pay. Where the two agree
#   on new images, the model knows how little it knows.
# - Padding and shifts decide what a network can see, before there is any weight. Two stacks see everything before a
#   pixel. Masks of 3×3 do not.
# - A blind spot costs what its pixels would have said, here 39 bits of 100. Depth does not repair it.
# - To ask a model for $p(b \mid r, g)$, show it $r$ and $g$. What you know about the answer, you can add after training.
# - The order of painting need not be the order of knowing. A model that prices every pixel lets later ones speak, too.
