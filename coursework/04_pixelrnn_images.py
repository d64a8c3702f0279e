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
# **You will find out whether a model knows how little it knows, walk out which pixels a PixelCNN never sees, hand a
# model of red, green and blue the palette that nobody told it about, and make a painter that works from the top listen
# to what stands at the bottom.**
#
# *Laptop: 15 seconds. You need: chapter 4. Four exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that it must do; replace the line
# `raise NotImplementedError()` by a few of your own. The cell below it checks your answer and tells you what it
# found. Some more checks run when your work is graded: they ask for nothing that the docstring does not say. You may
# add cells anywhere; what stands in the check cells is put back before grading. No exercise needs the answer to
# another one, so start where you like.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch

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
# Two models serve the whole assignment. One paints creatures, a pixel's red first, then its green, then its blue; the
# other paints digits in ink and paper. Both are small, and trained for about two seconds.


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
# In the chapter every pixel has a price. But is a dear pixel a *mistake* of the model, or did it know that it did not
# know? Who throws a coin pays one bit a throw and expects to; who is sure of heads expects to pay nothing, and pays
# dearly for tails. So ask the model for two numbers: what it pays for its pixels, and what it *expected* to pay,
# before it saw which level came:
#
# $$ \text{paid} = -\log_2 p(x_{c,i,j} \mid \text{before}), \qquad
#    \text{expected} = -\sum_{v=0}^{V-1} p(v \mid \text{before}) \log_2 p(v \mid \text{before}) $$
#
# A pixel's channels add up. The second number is the entropy of what the model believes. If it is right about the
# world, both are the same *on average*, in every place, however little it knows. If it is too sure of itself, it pays
# more than it expected. Both are in bits: nats divided by $\ln 2$.


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
# The example, then a row of three pixels. And a model that has no idea, all eight levels alike: three bits a channel,
# paid and expected.

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
# A batch may be one image. Where does *this one* cost, and where did the painter expect it to?

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
assert paid.mean() < 0.95 * expected.mean(), "it is timid"
assert red > 1.5 * green and blue < 0.2 * red, "a colour tells about the next"

# %% [markdown]
# Black is free, white costs eight bits or more. The middle row is speckled, the lower one smooth: no single surprise
# was foreseen, but where surprises come was. And this painter expects to pay more than it does. Two seconds of
# training are short, and it has not yet dared to be as sure as it could be. (Given one channel at a time, your function
# also says what the chain rule is worth inside a pixel: red is the surprise, green costs half of it, and blue nearly
# nothing, because few colours are left that have this red and this green. Remember that for exercise 3.)
#
# The writer had time enough for its digits. Is it honest? Ask it about digits that it wrote itself, about new ones, and
# about a world that it does not know, in which all digits are mirrored. Then ask one that saw fifty digits only, again
# and again.

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
assert abs(too_sure["its own"]) < 0.05, "in a world of its own, every model is right"
home, abroad = too_sure["new ones"], too_sure["mirrored"]
assert abs(home) < 0.1 < abroad, "and in another world, too sure of itself"
seen_before, new = too_sure["50 by heart"], too_sure["then new ones"]
assert seen_before < 0.03 and new > 0.1, "who learns by heart is too sure as well"

# %% [markdown]
# On its own digits a model is always right on average, and that is worth nothing. On new ones this one is
# off by a few per cent: it knows how little it knows. Mirrored digits cost it much more than it expects, and so do new
# ones if fifty were learnt by heart. This needs no second model and no floor to compare with.

# %% [markdown]
# ## 2 Walk out the blind spot
#
# In the chapter a gradient showed what a PixelCNN sees. A gradient needs a network, and it says "zero" where a path is
# merely switched off. The truth is in the masks. A layer's output at pixel $(i, j)$ reads its input wherever the mask
# has a 1: with a mask of $R \times C$ (both odd), its entry $(a, b)$ stands for the pixel
#
# $$ (i + a - \lfloor R/2 \rfloor, \;\; j + b - \lfloor C/2 \rfloor) $$
#
# Start at one pixel of the *last* layer's output and ask which pixels of its input it reads; ask the same of each of
# those, one layer down; and so on down to the image. No weight is ever looked at. Around the image is only padding,
# zeros that know nothing: whoever steps out of it, in any layer, learns nothing there and does not come back.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reach(masks, height, width, row, column):
    """Which pixels of the image does a stack of masked convolutions see from one pixel?

    masks: a list of one or more tensors of zeros and ones (R, C), R and C odd and not always alike: masks[0] is the
    layer that reads the image, masks[-1] the last one. height, width: the size of the image and of every layer's
    output; (row, column): the pixel of the last layer's output from which we look, both counted from 0.
    -> (height, width) bool: true for the pixels of the image that some path leads to, one step of each mask, from the
    last layer down to the first. A path that leaves the image in any layer ends there.
    Example: one mask (1, 3), ones at the left and at the right: [[1, 0, 1]]. In an image of one row and four columns,
    pixel (0, 1) sees columns 0 and 2, and pixel (0, 0) sees only column 1. Two such layers: pixel (0, 1) sees columns 1
    (there and back) and 3.
    """
    ### BEGIN SOLUTION
    seen = {(row, column)}
    for mask in reversed(masks):
        up, left = mask.shape[0] // 2, mask.shape[1] // 2
        steps = [(a - up, b - left) for a, b in mask.nonzero().tolist()]
        reached = {(i + a, j + b) for i, j in seen for a, b in steps}
        seen = {(i, j) for i, j in reached if 0 <= i < height and 0 <= j < width}
    answer = torch.zeros(height, width, dtype=torch.bool)
    for i, j in seen:
        answer[i, j] = True
    return answer
    ### END SOLUTION


# %% [markdown]
# The example, then the chapter's masks A and B (3×3). Follow the last one by hand: it has a blind spot of one pixel.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

# (3, 3) each
mask_a, mask_b = (MaskedConv2d(1, 1, 3, kind).mask[0, 0] for kind in "AB")
both_sides = torch.tensor([[1, 0, 1]])
name = "what {} sees (1: sees, 0: does not)"
seen = reach([both_sides], 1, 4, 0, 1)
assert_shape(seen, (1, 4), name="reach in an image of one row and four columns")
wanted = torch.tensor([[1, 0, 1, 0]])
assert_close(seen, wanted, name=name.format("pixel (0, 1) through [[1, 0, 1]]"))
seen = reach([both_sides], 1, 4, 0, 0)
wanted = torch.tensor([[0, 1, 0, 0]])
case = "pixel (0, 0), left of which the image ends,"
assert_close(seen, wanted, name=name.format(case))
seen = reach([both_sides, both_sides], 1, 4, 0, 1)
wanted = torch.tensor([[0, 1, 0, 1]])
assert_close(seen, wanted, name=name.format("pixel (0, 1) through [[1, 0, 1]] twice"))
seen = reach([mask_a], 3, 3, 1, 1)
wanted = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
assert_close(seen, wanted, name=name.format("the middle of 3×3 through mask A"))
seen = reach([mask_a, mask_b], 4, 5, 2, 2)
wanted = [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
name = name.format("pixel (2, 2) of 4×5 through mask A, then B")
assert_close(seen, torch.tensor(wanted), name=name)

# %% [markdown]
# Graded later, worth 2 points: masks of other shapes, more layers, pixels at the border; compared with a gradient.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
left_only, right_only = torch.tensor([[1, 0, 0]]), torch.tensor([[0, 0, 1]])
stacks = [([left_only, right_only], 1, 3, 0, 0), ([right_only, left_only], 1, 3, 0, 0)]
stacks += [
    ([mask_a, mask_b], 4, 5, 0, 0),
    ([mask_a] + [mask_b] * 4, 7, 9, 6, 0),
    ([mask_a] * 3, 5, 4, 4, 3),
]
for sizes, height, width in (
    ([(3, 1), (1, 5)], 4, 6),
    ([(5, 3)], 3, 3),
    ([(1, 3), (3, 3), (7, 5)], 6, 3),
) * 4:
    masks = [(torch.rand(size, generator=chance) < 0.4).long() for size in sizes]
    place = [int(torch.randint(n, (), generator=chance)) for n in (height, width)]
    stacks.append((masks, height, width, *place))
for masks, height, width, i, j in stacks:
    image = torch.ones(1, 1, height, width, requires_grad=True)
    h = image
    for mask in masks:
        padding = mask.shape[0] // 2, mask.shape[1] // 2
        h = torch.nn.functional.conv2d(h, mask[None, None].float(), padding=padding)
    (gradient,) = torch.autograd.grad(h[0, 0, i, j], image)
    seen = reach(masks, height, width, i, j)
    assert_shape(seen, (height, width), name=f"reach in an image of {height}×{width}")
    case = f"what pixel ({i}, {j}) of {height}×{width} sees through {[m.tolist() for m in masks]}, against a gradient"
    assert_close(
        seen,
        gradient[0, 0] > 0,
        name=f"{case} (1: sees; nothing comes from outside the image)",
    )
### END HIDDEN TESTS

# %% [markdown]
# Now go deeper and deeper. Blue is seen, red comes before the pixel (in the order of painting) and is not seen.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
H, W, i, j = 16, 16, 10, 6
before = torch.arange(H * W).view(H, W) < i * W + j  # what a model may see


def blind(seen):
    """Pixels that come before (i, j) and are not seen; and an assertion that none is seen that comes after."""
    assert not (seen & ~before).any(), "the future"
    return before & ~seen


def show_seen(ax, seen, title):
    colours = torch.full((H, W, 3), 0.93)
    colours[seen] = torch.tensor([0.25, 0.5, 0.85])
    colours[blind(seen)] = torch.tensor([0.85, 0.25, 0.2])
    colours[i, j] = 0
    ax.imshow(colours)
    title = f"{title}\nblind: {blind(seen).sum()} of {before.sum()}"
    ax.set(xticks=[], yticks=[], title=title)


large_a = MaskedConv2d(1, 1, 7, "A").mask[0, 0]
stacks = {
    "2 layers": [mask_a, mask_b],
    "5 layers": [mask_a] + [mask_b] * 4,
    "20 layers": [mask_a] + [mask_b] * 19,
}
stacks["20, first 7×7"] = [large_a] + [mask_b] * 19
found = {name: reach(masks, H, W, i, j) for name, masks in stacks.items()}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained")
for ax, (name, seen) in zip(axes, found.items(), strict=True):
    show_seen(ax, seen, name)
two, five, twenty, large = (int(blind(seen).sum()) for seen in found.values())
assert two > five > twenty > large > 0, "smaller, never gone"
forty = reach([mask_a] + [mask_b] * 39, H, W, i, j)
assert torch.equal(forty, found["20 layers"]), "nor with 40"

# %% [markdown]
# Depth fills the left and the top, and the wedge at the upper right stays: a path climbs one row a step and gains at
# most one column by it. A larger first kernel moves the wedge and does not close it. The Gated PixelCNN has two stacks,
# and so two kinds of paths: all the way in the row's own stack, or through $k$ layers of the vertical stack, then
# across, and through the rest of the row's. Each such path is a list of masks, and what the model sees is what any of
# them sees. The masks below are read off `GatedPixelCNN`; then the network itself is asked, by gradient, whether your
# walk is right.

# %% nbgrader={"grade": false, "grade_id": "exercise2_two_stacks", "locked": true, "schema_version": 3, "solution": false, "task": false}
depth = 8
above, down = torch.zeros(5, 5), torch.zeros(3, 3)
# the two rows above; later, a row above and the row itself, which is shifted already
above[:2], down[:2] = 1, 1
left, along = torch.zeros(1, 9), torch.tensor([[1, 1, 0]])
left[:, :4] = 1
own_row = [left] + [along] * depth
kinds = [[above] + [down] * k + [along] * (depth - k) for k in range(1, depth + 1)]
in_row = reach(own_row, H, W, i, j)
vertical = torch.stack([reach(masks, H, W, i, j) for masks in kinds]).any(0)
seen = in_row | vertical
config = PixelConfig(2, 1, H, W, features=16, depth=depth)
network = GatedPixelCNN(config, generator=generator)
words = torch.rand(8, 2, H, W, generator=generator, requires_grad=True)
(gradient,) = torch.autograd.grad(network.context(words)[:, :, i, j].sum(), words)
fig, axes = plt.subplots(1, 3, figsize=(7, 2.8), layout="constrained")
show_seen(axes[0], in_row, "the row's own stack")
show_seen(axes[1], vertical, "the vertical one")
show_seen(axes[2], seen, "both")
assert not blind(seen).any(), "two stacks have no blind spot"
found = gradient.abs().sum((0, 1)) > 0
assert torch.equal(found, seen), "the network sees what the walk found"

# %% [markdown]
# The repair is not a better network. It is another way to walk. How many layers does it take from the lower right
# corner to see the whole image? Copy the cell and try.

# %% [markdown]
# ## 3 Hand it the palette
#
# Our creatures have 16 colours. The painter of red, green and blue could mix $8^3 = 512$, and nobody told it which
# ones exist; how well does it know? The chain rule inside the pixel gives every colour its price,
#
# $$ p(r, g, b) = p(r) \; p(g \mid r) \; p(b \mid r, g), $$
#
# all given the pixels before. But mind what stands behind the bars: to be asked for *this* green, the model must have
# been shown *this* red. So show it: put each colour of the palette into the pixel in turn, run the model, read off
# three numbers. The sum over the palette says what share of the probability is on colours that exist. Divide by it,
# and the painter knows the palette:
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
# that it finds most unlikely.

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
# What does the painter lose by not knowing? At each pixel it gives the share `missed` to colours that do not exist,
# and pays $-\log_2(1 - \text{missed})$ bits for that. Twenty-four pixels of eight creatures that it has not seen:

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
# In two seconds of training it found out by itself that of 512 colours hardly any but these 16 occur. The rest is a few
# per cent a pixel, but in a picture of 256 pixels a few per cent show. Take a band out of a creature and let the
# painter fill it: freely, and with your palette.

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
assert share > 0.01 and not foreign(kept).any(), "a palette is kept by whoever knows it"

# %% [markdown]
# Neither is good: two seconds of training are short. But your function has turned one model into another, without
# training, and the second one is better by exactly the bits that it wasted. That is worth remembering: what you *know*
# about the answer, you need not make a network learn.

# %% [markdown]
# ## 4 Let the bottom speak
#
# The chapter's completions have a flaw. A pixel is painted given what comes *before* it, so if a digit's lower half
# is known, the upper half is painted as if it were not. In assignment 3 you filled one hole by pricing every sentence
# that could stand there. A hole of 32 pixels has $2^{32}$ fillings, too many to price. So price those that the
# painter proposes, and trust each as much as it deserves:
#
# 1. Let the model paint $n$ completions, the known pixels held fast: `model.sample(n, generator=…, given=…, known=…)`.
# 2. A completion that leads to the known pixels as if by itself is a good one. So its weight is the probability of the
#    *known* pixels there, each given all before it, the painted ones among them:
#    $$ w = \prod_{\text{known}} p(x_{c,i,j} \mid \text{all before it}), \qquad
#       \bar{w}_k = \frac{w_k}{\sum_l w_l} $$
#
# Why only the known ones? How often a completion is proposed is already the product of the *painted* pixels'
# probabilities. Times $w$, that makes $p(\text{whole image})$, which is what it should be. This is **importance
# sampling**, and it gives a second answer for nothing: the *mean* of the $w$ estimates $p(\text{known pixels})$,
# summed over everything that could be in the hole. But a $w$ may be too small for a computer, so keep its logarithm:
# which two functions turn logarithms into shares, and into the logarithm of a sum, safely?


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
# The example is a model of two pixels, by hand: the left one is ink with probability 1/4, and the right one takes
# after it. Its `sample` leaves nothing to chance, it paints every fourth left pixel in ink. Then Bayes' rule can be
# done by hand: $p(\text{left} \mid \text{right}) = 0.25 \cdot 0.9 \,/\, (0.25 \cdot 0.9 + 0.75 \cdot 0.3) = 1/2$.

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
# anywhere, several channels, and known pixels that are most unlikely.

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
# Does it work on digits? First a hole of $2 \times 4$ pixels in the middle, so that all $2^8 = 256$ fillings can be
# priced and the truth is known: how likely is ink, in each pixel of the hole, given *all* the rest?

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
# Nothing was trained, and nothing but weights was added. Now a hole that nobody can enumerate: the whole upper half. To
# see the weighed completions, draw from them once more, each with its weight. And one number says how far to trust
# them: $1 / \sum_k \bar{w}_k^2$, the **effective sample size**, is $n$ if all weights are alike and 1 if one completion
# has them all.

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
# Left, the upper half knows nothing of the lower; right, they meet. The original need not come back, for many upper
# halves fit. The catch is the effective sample size: it falls with every known pixel that has something to say. Train
# on all 17 levels instead of two, and about a dozen of 400 have nearly all the weight; in a large picture, one has.
# Then one weighs *while* painting, row after row, and drops the hopeless ones early (a **particle filter**). And keep
# the mean of $w$ in mind: in chapter 7 it will measure models that cannot say $\log p(x)$ exactly.

# %% [markdown]
# ## What you saw
#
# - A price is a map before it is a number, and it has a second one beside it: what the model expected to pay.
# - What a network *can* see is decided by its masks, before there is any weight. Depth does not repair a wrong walk.
# - To ask a model for $p(b \mid r, g)$, show it $r$ and $g$. What you know about the answer, you may add later.
# - The order of painting is not the order of knowing. With a price for every pixel, what comes later can speak too.
