# %% [markdown]
# # 4 · PixelRNN for images: what changes when the sequence is really a plane?
#
# **You will build six machines that paint one pixel at a time, see which pixels each of them can see, and find the
# holes in their fields of view. Two of them you will close.**
#
# *Laptop: under 60 seconds. You need: chapter 3, and what a convolution does.*

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
# Twelve creatures. A network of one of this chapter's kinds, larger than ours, painted them after five minutes of
# training (`python benchmarks/train.py creatures`): from the upper left to the lower right, one pixel after another,
# and it could never take one back. Did it paint them, or copy them? Below each stands the most similar of the 30,000
# creatures that it learnt from.

# %% tags=["checking"]
from itertools import product

import numpy as np
import torch
from course_lib.data import load_sprites
from course_lib.data.shipped import shipped
from course_lib.device import make_generator
from PIL import Image

strip = np.array(Image.open(shipped("samples/painted_creatures.png")))
painted = torch.from_numpy(strip).view(16, 12, 16).transpose(0, 1)
drawn = load_sprites(31_000, generator=make_generator(0))[:, 0]  # its recipe's
trained, real = drawn[1000:], drawn[:20]  # it never met the first thousand
asked, same = torch.cat([painted, real]), 0  # pixels that are the same
ways = product((asked, asked.flip(2)), (-1, 0, 1), (-1, 0, 1))
moved = torch.cat([image.roll(way, (1, 2)) for image, *way in ways])
for colour in range(16):
    a, b = ((x == colour).flatten(1).float() for x in (moved, trained))
    same += a @ b.T  # (18 · 32, 30,000)
differ, which = (256 - same).unflatten(0, (18, -1)).amin(0).min(1)
middle = differ[12:].median()
print(f"painted {differ[:12].min():.0f} to {differ[:12].max():.0f}, real {middle:.0f}")
assert differ[:12].min() > middle, "no copy: further than a new one usually is"

# %% tags=["drawing"]
from course_lib.data.sprites import to_rgb
from course_lib.show.plots import show_images

below, words = trained[which[:12]], [f"{d:.0f} differ" for d in differ[:12]]
pairs = torch.cat([painted[:6], below[:6], painted[6:], below[6:]])[:, None]
titles = ["painted"] * 6 + words[:6] + ["painted"] * 6 + words[6:]
show_images(to_rgb(pairs.long()), columns=6, titles=titles)

# %% [markdown]
# Above, what was painted. Below it, its nearest relative in the training data, and in how many of their 256 pixels the
# two differ: at least 58. A shifted or mirrored copy would be a copy, too. So each painting was also compared after a
# move by one pixel and in the mirror, and its smallest difference counts. A real creature that the network never met
# differs from its nearest relative in 45 pixels (the median of 20). So none of the twelve is a copy. They are further
# from the training data than real ones because they are also less well drawn.

# %% [markdown]
# ## Setup

# %%
import math
from functools import partial

import torch.nn.functional as F
from course_lib.device import pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# **Sprites**: creatures of 16×16 pixels, drawn by a program that rolls dice for species, body, coat and mood. In our
# 4,500 no two are alike. A pixel is one of 16 colours of a **palette**: not a mixture of red, green and blue, but one
# word out of 16.

# %%
sprites = load_sprites(4500, generator=make_generator(seed))
x_train, x_test = sprites[:4000], sprites[4000:]
N, C, H, W = x_train.shape
V = 16  # colours

# %% tags=["drawing"]
assert len(sprites.unique(dim=0)) == len(sprites), "no two are alike"
show_images(to_rgb(x_train[:12]), columns=6)

# %% [markdown]
# Twelve of the 4,000 that will train. To a computer, the first one looks like this:

# %% tags=["checking", "nbval-check-output"]
print(*(" ".join(f"{c:x}" for c in row) for row in x_train[0, 0]), sep="\n")

# %% [markdown]
# 0 is the background, 1 the outline (10 to 15 are written a to f). Read it row by row, and it is a sentence of 256
# words over a vocabulary of 16.

# %% [markdown]
# ## The idea
#
# **A pixel is a word.** Chapter 3 wrote sentences by predicting the next character from those before it. Nothing in
# that needs characters. Put a start signal in, draw a colour, feed it back, draw the next: the model begins to paint.
# Its order is the **raster order**: row by row from the top, each row from the left.

# %% tags=["drawing"]
from course_lib.show.painting import show_choice, show_completions, show_skew, show_walk

show_choice(x_test[0], 7 * W + 8)

# %% [markdown]
# When the framed pixel is chosen, only the coloured part is known. The probability of an image is the product of such
# choices, and its logarithm is a sum:
#
# $$ \log p(x) = \sum_{i=1}^{H} \sum_{j=1}^{W} \log p\bigl(x_{ij} \mid \text{all rows above, and its own row to the left}\bigr) $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, C, H, W), colours 0 … V−1; here C = 1 |
# | $x_{ij}$ | `x[:, :, i, j]` | (B, C) |
# | $\log p(\cdot \mid \text{before})$, up to a constant | `logits[:, :, i, j]` | (B, C, V) |
# | $\log p(x)$ | `log_prob` | (B,), nats |
#
# The equation does not care how the pixels lie. Images do.

# %% [markdown]
# ## Count first
#
# What a pixel **costs** a predictor is $-\log_2$ of the probability that it gave to the colour that came, in bits. How
# much cheaper does a pixel get when a neighbour is known? A table with a row for each colour of the neighbour, filled
# by counting, answers that before any network is built.


# %%
def shifted(x, down, right):  # the neighbour's colour; V outside the image
    padded = F.pad(x, (1, 1, 1, 0), value=V)
    return padded[..., 1 - down :, 1 - right :][..., :H, :W]


# %% [markdown]
# `shifted` puts its neighbour in each pixel's place. The colours of one, two or four neighbours then give the row of
# the table:


# %%
def table_bits(*ways):  # (n, H, W): bits of a table of these neighbours
    def row(x):
        index = [shifted(x, *w) * 17**k for k, w in enumerate(ways)]
        return sum(index, torch.zeros_like(x))

    counts = torch.full((17 ** len(ways), V), 0.1)
    where = row(x_train), x_train
    counts.index_put_(where, torch.tensor(1.0), accumulate=True)
    p = counts / counts.sum(1, keepdim=True)
    return -p[row(x_test), x_test].log2()[:, 0]


# %% tags=["checking"]
left, above, diagonals = (0, 1), (1, 0), ((1, 1), (1, -1))
two = table_bits(left, above)  # kept whole: it is used again below
ways = {"no neighbour": (), "the pixel left": (left,), "the pixel above": (above,)}
ways |= {"both": (left, above), "and two diagonals": (left, above, *diagonals)}
counted = {name: table_bits(*way).mean().item() for name, way in ways.items()}
_, of_left, of_above, of_two, of_four = counted.values()
for name, bits in ({"uniform": math.log2(V)} | counted).items():
    print(f"{name:18s}{bits:.2f} bits/pixel")
assert abs(of_left - of_above) < 0.05, "worth the same"
assert of_four + 0.15 < of_two < of_left - 0.4, "and not the same thing"

# %% [markdown]
# The neighbour above is worth as much as the one to the left, and knowing both saves another 0.4 bits. With the two
# diagonal neighbours in the row above, a table pays 0.87 bits a pixel. Three of these four neighbours stand in the row
# above. In the sentence, the left one is the last word. The others came 15, 16 and 17 words ago.

# %% [markdown]
# ## Machine 1: the raster LSTM
#
# Chapter 3's network, with a learnt vector for each place, so that every pixel knows where it is. It has a larger head,
# and nothing is added to the forget gate, where chapter 3 adds 2 (page 2 tries it with). The **head** turns what is
# known of a pixel's past into 16 numbers, the logits of its colours:


# %%
def head(model, h):  # (B, F, H, W) -> logits (B, C, H, W, V)
    h = F.relu(model.head.before(h))
    return model.head.out(h).unflatten(1, (C, V)).movedim(2, -1)  # the colours go last


# %% [markdown]
# Both layers of the head look at each pixel by itself. All machines of this page have this head. Below is the loop.
# `words` are the colours as vectors with a single 1, and the start signal is a vector of zeros. `embed` makes the
# network's input of a word, and `place` holds the vectors of the places.


# %%
def raster_loop(model, x):  # (B, C, H, W, V)
    words = model.words(x)  # (B, V, H, W)
    previous, state, h = torch.zeros_like(words[..., 0, 0]), None, []
    for i, j in product(range(x.shape[2]), range(x.shape[3])):
        inputs = model.embed(previous) + model.place[:, i, j]
        out, state = model.lstm(inputs[:, None], state)
        h.append(out[:, 0])
        previous = words[..., i, j]  # teacher forcing: the true colour
    h = torch.stack(h, 2).unflatten(2, x.shape[2:])
    return head(model, h)


# %% tags=["checking"]
from course_lib.check import assert_causal, assert_close
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import RasterLSTM

tiny = partial(PixelConfig, V, height=4, width=6, features=8)  # all but the depth
model = RasterLSTM(tiny(depth=1), generator=generator).to(device)
few = x_train[:2, :, 4:8, 4:10].to(device)  # two creatures, cut down to 4×6 pixels
assert_close(raster_loop(model, few), model(few), name="the loop")
assert_causal(model, few)

# %% [markdown]
# The library's `RasterLSTM` computes the same without the loop, and no pixel sees itself or a later one. To *paint*, a
# loop is needed: each pixel has to be drawn before the next. The simple way runs the model over the whole image for
# each pixel:

# %%
from course_lib.decode import draw


@torch.no_grad()
def paint(model, canvas, generator):  # (B, 1, H, W), overwritten bit by bit
    x = canvas.clone()
    for i, j in product(range(x.shape[2]), range(x.shape[3])):
        x[:, 0, i, j] = draw(model(x)[:, 0, i, j], generator=generator)
    return x


# %% tags=["checking"]
def dice():  # the same each time
    return make_generator(seed, device)


def assert_paints_alike(model):  # fast as simple, which starts on a full canvas
    fast = model.sample(3, generator=dice())
    assert torch.equal(paint(model, torch.full_like(fast, 5), dice()), fast)


assert_paints_alike(model)

# %% [markdown]
# The library's `sample` carries the LSTM's state along and computes each pixel once. With the same dice, both paint the
# same picture, pixel by pixel. And it does not matter what lies on the canvas at the start, since each pixel is painted
# over before anything looks at it. (*Break it* will come back to this.)

# %% [markdown]
# ## Knobs

# %%
steps = 300  # a few seconds for each model
batch_size = 16
lr = 8e-3  # large, since the cosine schedule takes it down to 0
size_of_raster = PixelConfig(V, C, H, W, features=44, depth=1)  # 30,508 weights
size_of_filter = PixelConfig(V, C, H, W, features=26, depth=0)  # 28,200

# %% [markdown]
# ## Train
#
# The loss is minus the exact log-likelihood, in nats an image. (A bit is 0.69 nats, so one bit a pixel is 177 nats an
# image.)

# %%
from course_lib.train import fit


def nll(model, x):  # (B,) nats
    return -model.log_prob(x)


settings = {"batch_size": batch_size, "schedule": "cosine", "generator": generator}


def train(model, lr=lr):
    x = x_train.to(device)
    fit(model.to(device), x, loss=nll, steps=steps, lr=lr, **settings)
    return model


raster = train(RasterLSTM(size_of_raster, generator=generator))

# %% [markdown]
# And what each pixel of a creature costs it, in bits:


# %% tags=["twin:course_lib.measure.sight.bits_each"]
@torch.no_grad()
def bits_each(model, x):  # (B, H, W) bits for each pixel
    x = x.to(model.place.device)
    logits = model(x).movedim(-1, 1)  # (B, V, C, H, W), where torch wants the levels
    nats = F.cross_entropy(logits, x, reduction="none")
    return (nats.sum(1) / math.log(2)).cpu()


# %% tags=["checking"]
of_raster = bits_each(raster, x_test)  # (500, H, W)
print(f"raster LSTM, {steps} steps  {of_raster.mean():.2f} bits/pixel")
assert of_raster.mean() > max(of_two - 0.02, of_four + 0.15)

# %% [markdown]
# The tables pay 1.06 with two neighbours and 0.87 with four. The network has read the whole sentence. After 300 steps
# at this rate it pays 1.06 to 1.15 over five seeds: what the table of two pays, or more, and much more than the table
# of four.

# %% [markdown]
# ## The machine at work
#
# Watch it choose. At each pixel the network gives a number for each of the 16 colours, and a **softmax** turns them
# into probabilities, exactly as for the characters of chapter 3. (`temperature` stays at 1 for the moment.)


# %%
@torch.no_grad()
def next_colour(model, x, i, j, temperature=1.0):  # x (1, H, W) -> (V,)
    logits = model(x[None].to(device))[0, 0, i, j]
    return (logits / temperature).softmax(0).cpu()


# %% tags=["drawing"]
from course_lib.show.explore import explore


def show_pixel(pixel, temperature=1.0):
    p = next_colour(raster, x_test[0], *divmod(pixel, W), temperature)
    return show_choice(x_test[0], pixel, p)


alt = "a creature half painted, and the probabilities of the next pixel's colours"
explore(show_pixel, pixel=range(0, 256, 3), alt=alt)

# %% [markdown]
# Left, a creature that the network has never met, up to the framed pixel. Right, what the network expects there: a bar
# for each colour, in that colour (the first, pale blue, is the background). The red mark stands over the colour that
# came. If the bar under it is high, the pixel is cheap; if it is low, the pixel is expensive. Compare a pixel of the
# background with one inside the body.

# %% tags=["checking"]
with torch.no_grad():
    p = raster(x_test.to(device))[:, 0].softmax(-1).cpu()  # (500, H, W, V)
said, favourite = p.max(-1)
right = (favourite == x_test[:, 0]).float()
print(f"its favourite colour comes at {right.mean():.0%} of pixels")
tenths = [(said * 10).long().clamp(3, 9) == n for n in range(3, 10)]
print("bar  ", *(f"{said[pixels].mean():.2f}" for pixels in tenths))
print("right", *(f"{right[pixels].mean():.2f}" for pixels in tenths))
assert max(abs((said - right)[pixels].mean()) for pixels in tenths) < 0.1

# %% [markdown]
# Its favourite is right at nearly three pixels of four. The other two lines sort the pixels by the height of the
# favourite's bar. Where that bar is 0.55 high, the favourite comes in 56 per cent of all cases, and so on along the
# line. Where the network is least sure, it is right a little more often than it says. Otherwise it is as sure as it
# should be.
#
# **Temperature** divides the logits before the softmax. (`partial(show_pixel, unsure)` is `show_pixel` with its first
# argument fixed.) Here is the pixel of this creature where the network is least sure:

# %% tags=["drawing"]
unsure = said[0].argmin().item()
alt = "the bars of one pixel's colours at several temperatures"
explore(partial(show_pixel, unsure), temperature=[0.25, 0.5, 1.0, 1.4, 2.0], alt=alt)

# %% [markdown]
# Below 1, the high bars grow and the low ones shrink. The lower the temperature, the more often the painter takes its
# favourite. Above 1, the high bars shrink, and rare colours come more often. At 1 the network draws from what it has
# learnt. Its first twelve pictures at that temperature:

# %% tags=["drawing"]
show_images(to_rgb(raster.sample(12, generator=generator).cpu()), columns=6)

# %% [markdown]
# It has learnt what a row of a creature looks like, and that creatures are in the middle. But look at the bodies: they
# are made of *stripes*. How much does a row know of those above it? We swap them for another creature's, and see what
# row 8 costs then:


# %%
def row_8(model, rows_0_to_6, row_7):  # its bits/pixel, those above exchanged
    x = [rows_0_to_6[:, :, :7], row_7[:, :, 7:8], x_test[:250, :, 8:]]
    return bits_each(model, torch.cat(x, 2))[:, 8].mean().item()


# %% tags=["checking"]
true, other = x_test[:250], x_test[250:]
rows = {"its own": (true, true), "another's": (other, other)}
rows |= {"only row 7 true": (other, true), "row 7 moved": (true, true.roll(2, 3))}
own, *changed = (row_8(raster, *above) for above in rows.values())
more = [bits - own for bits in changed]
print("another's {:.2f}, only row 7 true {:.2f}, row 7 moved {:.2f} more".format(*more))
assert more[0] > 0.15 > 0.08 > more[1]

# %% [markdown]
# Under another creature's rows, row 8 pays 0.29 to 0.45 bits a pixel more (five seeds). With only row 7 its own again,
# it pays 0.02 at most. So each row knows roughly what the row above was, and little of the rows before it. *Where* in
# that row a colour stood, it hardly knows: with row 7 moved two pixels to the right, it pays only 0.08 to 0.14 bits
# more.
#
# **Completion** shows the same on a task that has a right answer. Cover the lower part of a creature that the network
# has never met, and let it paint the rest, several times. Where a pixel is known, `sample` puts it in instead of
# drawing one. Nothing else changes.


# %%
def complete(covered, x=x_test[:3], draws=4):  # the last rows of x (n, C, H, W)
    known = (torch.arange(H, device=device)[:, None] < H - covered).expand(H, W)
    given = x.repeat_interleave(draws, 0).to(device)
    made = raster.sample(len(given), generator=dice(), given=given, known=known)
    return show_completions(x, known, made.cpu().unflatten(0, (len(x), draws)))


alt = "three creatures, what is given, four completions, raster LSTM"
explore(complete, covered=[4, 8, 12, 16], alt=alt)

# %% [markdown]
# In each row: the creature, what is given of it, and four completions. The raster LSTM continues well for a row or two,
# and then loses the pattern and the shape of the body. With all 16 rows covered nothing is given, and only the dice
# decide what comes: painting from nothing needs some randomness, or all paintings would be one. Completion works only
# downwards. Cover the top instead, and what is known below has no say, since each pixel sees only what comes before it.
# (The assignment gives it one.)

# %% [markdown]
# ## Where it errs
#
# Some pixels repeat their left neighbour and not the upper one. Others repeat the upper one and not the left. Each kind
# is about a fifth of all pixels. What does each cost the network, and what does it cost the table that knows both
# neighbours?

# %% tags=["checking"]
x_left, x_above = shifted(x_test, *left)[:, 0], shifted(x_test, *above)[:, 0]
now = x_test[:, 0]
along = (now == x_left) & (now != x_above)  # continues from the left
down = (now == x_above) & (now != x_left)  # continues from above
assert all(0.15 < part.float().mean() < 0.25 for part in (along, down))


def edges(cost):  # bits/pixel: what continues from the left, from above
    print(f"left {cost[along].mean():.2f}, above {cost[down].mean():.2f} bits")
    return cost[along].mean().item(), cost[down].mean().item()


of_table, of_network = edges(two), edges(of_raster)
assert of_network[0] < of_table[0], "as well as the table"
assert of_network[1] > of_network[0] + 0.3
assert of_table[1] < of_table[0], "for the table it is the other way round"

# %% [markdown]
# First the table, then the network. Where a pixel continues from the left, the network does at least as well as the
# table. What continues from above costs it 0.36 to 0.50 bits more than what continues from the left (five seeds). For
# the table it is the cheaper kind. To repeat what is above, the network has to remember it for 16 steps.
#
# What does it look at? Take the gradient of $\log p(x_{ij} \mid \text{before})$ with respect to the words of all
# pixels. Its length at a pixel says how strongly the choice at $(i, j)$ depends on that pixel. This is a row of the
# **Jacobian**, the table of all such derivatives. We average it over the test creatures. (The library's `looks` does
# this. Further down, `sight` is the same idea written out.)

# %% tags=["drawing"]
from course_lib.measure.sight import looks
from course_lib.show.plots import show_fields

look = looks(raster, x_test, 8, 8)
show_fields({f"raster LSTM, {steps} steps": look}, at=(8, 8), size=2.8)


# %% tags=["checking"]
assert 0.5 < look[7, 8] / look[7, 7:10:2].mean() < 2, "above is nothing special"
before = torch.arange(H * W).view(H, W) < 8 * W + 8
assert torch.equal(look > 0, before), "it sees all before it, and no more"

# %% [markdown]
# The cross marks the pixel at work. Every pixel before it is blue: the raster LSTM *can* see everything. (Orange would
# mark what is out of sight.) What it *uses* is a tail: dark just behind the cross, paler along the row, and on into the
# row above. The pixel just above the cross counts about as much as its neighbours in that row. So it hardly knows which
# pixel of that row is the one above.
#
# **After 300 steps the raster LSTM has not learnt the plane.** The first three words matter. Nothing hides the row
# above from this network, and with more training it learns it. [Page 2](04_six_painters.ipynb) trains on, and shows how
# long that takes.

# %% [markdown]
# ## Look up
#
# So let the network look at the row above directly. A convolution looks at the square around a pixel, and half of that
# square is not painted yet. A **masked convolution** sets those weights to zero. At the pixel itself there are two
# kinds. Mask **A**, for the first layer, leaves the pixel itself out, for that one is to be predicted. Mask **B**, for
# later layers, may look at it: by then it holds only what the first layer computed from earlier pixels. In raster order
# the mask is one line:


# %%
class MaskedConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, size, kind):
        super().__init__(in_channels, out_channels, size, padding=size // 2)
        mask = torch.ones(size * size)  # the square, read row by row
        mask[size * size // 2 + (kind == "B") :] = 0  # from the middle on
        self.register_buffer("mask", mask.view(size, size), persistent=False)

    def forward(self, x):  # (B, in_channels, H, W) -> (B, out_channels, H, W)
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


# %% tags=["checking"]
from course_lib import layers
from course_lib.layers import FORGET_BIAS, initialised_by

for kind in "AB":
    with initialised_by(generator):
        pair = [c(4, 6, 5, kind) for c in (MaskedConv2d, layers.MaskedConv2d)]
    assert (pair[0].mask == pair[1].mask).all(), "the library's"
    print(f"mask {kind}", pair[0].mask.int(), sep="\n")

# %% [markdown]
# A 1 is looked at; the pixel itself is in the middle. The library's `MaskedConv2d` has the same masks. (It can also
# deal with three colour channels, which page 2 needs.)
#
# Now the smallest painter that looks up: one filter of 7×7 with mask A, a ReLU, and the head that the raster LSTM has,
# too. It has no memory, and after the filter only layers that look at the pixel itself. So it sees 24 pixels. (Of its
# 28,200 weights, the mask leaves 17,800 to act.) It is a **control**: it will tell us what seeing the neighbours is
# worth without any memory.

# %%
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN


def look_up(model, words):  # (B, V, H, W) -> (B, F, H, W), of what stands before
    return F.relu(model.first(words) + model.place)


one_filter = train(PixelCNN(size_of_filter, generator=generator))

# %% [markdown]
# And two controls for the control, each with half of its filter masked as well. One looks three pixels to the left, and
# not up. The other looks at the 21 pixels above, and not to the left.

# %%
flat, tall = (PixelCNN(size_of_filter, generator=generator) for _ in range(2))
flat.first.mask[:, :, :3] = 0  # the three rows above
tall.first.mask[:, :, 3] = 0  # its own row
machines = {"raster LSTM": raster, "one filter": one_filter}
machines |= {"not up": train(flat), "not left": train(tall)}
costs = {name: bits_each(model, x_test) for name, model in machines.items()}

# %% tags=["checking"]
x = one_filter.words(x_test[:2].to(device))
assert torch.equal(look_up(one_filter, x), one_filter.context(x))
cost = {name: bits.mean().item() for name, bits in costs.items()}
for name, bits in ({"table of four": of_four} | cost).items():
    print(f"{name:14s}{bits:.2f} bits/pixel")
of_filter = edges(costs["one filter"])
assert cost["one filter"] < of_four - 0.02 < cost["raster LSTM"] - 0.15
assert min(cost["not up"], cost["not left"]) > cost["one filter"] + 0.25, "both halves"
assert of_filter[1] < of_filter[0], "up is near again"
pushed = row_8(one_filter, *rows["row 7 moved"]) - row_8(one_filter, true, true)
print(f"row 7 moved: {pushed:.2f} bits more; for the raster LSTM {more[2]:.2f}")
assert pushed > more[2] + 1

# %% tags=["drawing"]
fields = {name: looks(model, x_test, 8, 8) for name, model in machines.items()}
assert 0.5 < fields["one filter"][7, 8] / fields["one filter"][8, 7] < 2, "as much"
show_fields(fields, at=(8, 8), columns=2, size=1.95)

# %% [markdown]
# The single filter pays 0.81 to 0.84 bits a pixel. That is less than the table of four neighbours (0.87), and far less
# than the raster LSTM at this rate (1.06 to 1.15). For the filter, what continues from above is the cheaper kind again.
# It also knows where in the row above a colour stands: with row 7 moved by two pixels, it pays 1.7 bits more.
#
# Without the rows above, the filter pays 1.21 to 1.24. Without the pixels to the left, it pays 1.10 to 1.13. Neither
# half is enough. **The filter wins because it sees both neighbours at once.** The LSTM is shown one, and has to carry
# the other along for 16 steps. The Jacobians say the same: the filter uses the pixel above the cross about as much as
# the left one.
#
# All this holds at one learning rate, 0.008. Is the LSTM only slow? We tried other rates, each twice the last. Here
# both get the one that suits them best, for 300 steps:


# %%
best_raster = train(RasterLSTM(size_of_raster, generator=generator), lr=3.2e-2)
best_filter = train(PixelCNN(size_of_filter, generator=generator), lr=1.6e-2)

# %% tags=["checking"]
best = [bits_each(model, x_test) for model in (best_raster, best_filter)]
print(f"raster LSTM {best[0].mean():.2f}, one filter {best[1].mean():.2f} bits/pixel")
of_best = edges(best[0])
assert best[1].mean() + 0.05 < of_four < best[0].mean() - 0.02 < of_two - 0.04
assert of_best[1] > of_best[0] + 0.15

# %% [markdown]
# The rate matters. With four times as much, the raster LSTM pays 0.92 to 0.99 bits, less than the table of two. The
# filter, with twice as much, pays 0.78 to 0.81. The order stays as it was, with the table of four between them. What
# continues from above still costs the LSTM 0.25 to 0.47 bits more than what continues from the left. **Early on, seeing
# both neighbours is worth more than a long memory.**
#
# Then why build five more machines? Because of what each can *see*. A filter of 7×7 knows nothing of what is further
# than three pixels away: whether there is a second eye, how long the other leg is. Each machine below is another way to
# see further. Page 2 trains them all, for up to ten times as many steps, and measures what that is worth.

# %% [markdown]
# ## Who sees whom
#
# What a machine can see is decided by its wiring, so it can be drawn before any training. All that a pixel can see is
# its **receptive field**. We find it by the gradient, as above, and for many pixels at once: each image of a batch asks
# for one pixel. (In double precision: over 200 steps of an LSTM a gradient becomes too small for single precision, and
# would look like none at all.)


# %%
def sight(context, pixels, size, images=4):  # strengths, (pixels, size, size)
    at = torch.tensor(pixels).repeat(images)  # so many images for each
    shape, chance = (len(at), 2, size, size), make_generator(seed)
    words = torch.randn(shape, dtype=torch.double, generator=chance).requires_grad_()
    h = context(words).flatten(2)  # (images, F, size · size)
    own = h[torch.arange(len(at)), :, at].sum()
    (gradient,) = torch.autograd.grad(own, words)
    return gradient.norm(dim=1).unflatten(0, (images, -1)).mean(0)


# %% [markdown]
# From here on we look through each machine at the same pixel of 15×15: row 12 and column 6, counted from 0. The cross
# marks it. Blue is seen, orange comes before it and is out of sight, and white is not painted yet.

# %% tags=["checking"]
S, at = 15, (12, 6)
i, j = torch.meshgrid(torch.arange(S), torch.arange(S), indexing="ij")
up, right = at[0] - i, j - at[1]  # rows above it, columns to its right
before = (up > 0) | ((up == 0) & (right < 0))


def fresh(kind, depth, size=S, features=8):  # untrained
    config = PixelConfig(2, C, size, size, features=features, depth=depth)
    return kind(config, generator=make_generator(seed)).double()


def seen_from(context):  # (S, S) strengths at the pixel
    return sight(context, [at[0] * S + at[1]], S)[0]


def layer_by_layer(kind, *depths):
    return {f"depth {d}": seen_from(fresh(kind, d).context) for d in depths}


# %% [markdown]
# ## Machine 2: the PixelCNN
#
# The first way to see further is to stack filters. After the filter of 7×7 with mask A come **blocks**. Each looks at
# 3×3 pixels through mask B, and adds what it found to its input ([van den Oord et al.,
# 2016](references.md#oord2016pixel)).


# %% tags=["twin:course_lib.models.pixel.convolutional.Block"]
class Block(nn.Module):
    def __init__(self, features):
        super().__init__()
        narrow = max(1, features // 2)
        self.narrow = nn.Conv2d(features, narrow, 1)
        self.look = MaskedConv2d(narrow, narrow, 3, "B")
        self.widen = nn.Conv2d(narrow, features, 1)

    def forward(self, x):
        return x + self.widen(F.relu(self.look(F.relu(self.narrow(F.relu(x))))))


# %% [markdown]
# The whole machine is `look_up` with blocks before its ReLU:


# %%
def pixelcnn(model, words):  # (B, V, H, W) -> (B, F, H, W)
    h = model.first(words) + model.place
    for block in model.blocks:
        h = block(h)
    return F.relu(h)


# %% tags=["checking"]
def assert_same(kind, build, depth=2):  # as the library's, which paints alike
    model = kind(tiny(depth=depth), generator=generator).to(device)
    words = model.words(few)
    assert_close(build(model, words), model.context(words), tolerance=1e-5)
    assert_causal(model, few)
    assert_paints_alike(model)


assert_same(PixelCNN, pixelcnn)

# %% tags=["drawing"]
fields = layer_by_layer(PixelCNN, 0, 1, 2, 4, 8, 12)
show_fields(fields, at=at)

# %% tags=["checking"]
wedge = (up > 0) & (right > up + 2)
assert torch.equal((fields["depth 12"] == 0) & before, wedge)

# %% [markdown]
# Depth 0 is the control. With each block the receptive field grows by one row, and by one column to either side. But an
# orange wedge to the right stays, and twelve blocks do not close it: the **blind spot**. The reason is in the mask. To
# reach a pixel further right, a path through the filters has to go up, since in its own row it only goes left. With
# each row up, a filter of 3×3 gains one column. (The first, of 7×7, gains up to three, but only once.) So a pixel $u$
# rows up and more than $u + 2$ columns to the right is never reached. The wedge that this argument predicts is, pixel
# for pixel, the one that the gradient finds.

# %% [markdown]
# ## Machine 3: the Gated PixelCNN
#
# The repair ([van den Oord et al., 2016](references.md#oord2016conditional)) is to have two stacks. The *vertical* one,
# `v`, sees only the rows above, but all of them to both sides: there it needs no mask, and without a mask there is no
# wedge. The *horizontal* one, `h`, sees its own row to the left, and the vertical one tells it what is above. The name
# comes from the other difference: instead of a ReLU it has a **gate**.


# %% tags=["twin:course_lib.layers.gate"]
def gate(x):  # (B, 2F, …) -> (B, F, …)
    what, how_much = x.chunk(2, 1)
    return what.tanh() * how_much.sigmoid()


# %% [markdown]
# Half of the features say something, the other half how much of it passes. One block of both stacks:


# %% tags=["twin:course_lib.models.pixel.convolutional.GatedBlock"]
class GatedBlock(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.down = nn.Conv2d(features, 2 * features, (2, 3))
        self.along = nn.Conv2d(features, 2 * features, (1, 2))
        self.across = nn.Conv2d(2 * features, 2 * features, 1)  # from v into h
        self.out = nn.Conv2d(features, features, 1)

    def forward(self, v, h):
        v = self.down(F.pad(v, (1, 1, 1, 0)))  # a row above, a column to either side
        h_new = self.along(F.pad(h, (1, 0))) + self.across(v)
        return gate(v), h + self.out(gate(h_new))


# %% [markdown]
# Nothing in a block is masked. It looks at its own row in `v` and at its own pixel in `h`, so neither may hold the
# pixel that is to be predicted. Two **shifts** at the input take care of that. `v` starts one row further down, and `h`
# one pixel further right.


# %%
def two_stacks(model, words, shift=1):  # v and h, (B, F, H, W) each
    H, W = words.shape[2:]
    rows = F.pad(words, (2, 2, 1 + shift, 0))[:, :, : H + 1]
    pixels = F.pad(words, (3 + shift, 0))[..., : W + 3]
    v = model.above(rows) + model.place  # 2 × 5 pixels, in the rows above
    h = model.left(pixels) + model.place  # 1 × 4 pixels, to the left
    for block in model.blocks:
        v, h = block(v, h)
    return v, F.relu(h)  # the head reads h


# %% [markdown]
# Here is what each stack sees, and what happens without the shifts. Red is a new colour: not painted yet, and seen all
# the same.


# %% tags=["checking"]
assert_same(GatedPixelCNN, lambda model, words: two_stacks(model, words)[1])
small, large = fresh(GatedPixelCNN, 4), fresh(GatedPixelCNN, 12)
fields = {
    "v, 4 blocks": seen_from(lambda x: two_stacks(small, x)[0]),
    "h, 4 blocks": seen_from(lambda x: two_stacks(small, x)[1]),
    "h, 12 blocks": seen_from(lambda x: two_stacks(large, x)[1]),
    "h, 4 blocks, no shifts": seen_from(lambda x: two_stacks(small, x, 0)[1]),
}
assert torch.equal(fields["h, 12 blocks"] > 0, before), "no blind spot, no future"
assert not fields["v, 4 blocks"][at[0]].any(), "nothing of its own row"
assert (fields["h, 4 blocks, no shifts"] > 0)[12, 6:8].all(), "itself, and the next"

# %% tags=["drawing"]
show_fields(fields, at=at, columns=2, size=1.95)

# %% [markdown]
# `v` sees the rows above and nothing of the cross's own row. `h` sees both. With twelve blocks nothing before the cross
# is orange: the wedge is closed. (With four blocks neither sees the top yet, which has nothing to do with the blind
# spot.) Without the shifts there is red: the cross sees itself and the next pixel. Such a machine would cheat.

# %% [markdown]
# ## Machine 4: the Row LSTM
#
# The other way to see further is a memory, but one that comes from above. The next three machines are recurrent. This
# is a step of an LSTM, written out; like chapter 3's, it begins with its forget gate open. `FORGET_BIAS` opens it by 1;
# chapter 3's was opened by 2:


# %% tags=["twin:course_lib.fast.diagonals.lstm"]
def lstm(gates, cell, dim=1):  # (B, 4F, …) and (B, F, …) -> hidden and cell
    forget, input, output, candidate = gates.chunk(4, dim)
    cell = (forget + FORGET_BIAS).sigmoid() * cell + input.sigmoid() * candidate.tanh()
    return output.sigmoid() * cell.tanh(), cell


# %% [markdown]
# The **Row LSTM** ([van den Oord et al., 2016](references.md#oord2016pixel)) computes a whole row at once and walks
# down. A pixel's memory comes straight down from the pixel above. Its gates read the hidden vectors of the three pixels
# above it, and in its own row what a filter of 1×3 with mask B sees.


# %%
def row_lstm(model, words):  # (B, V, H, W) -> (B, F, H, W)
    x = model.first(words) + model.place  # the filter of 7×7 again
    for d in range(len(model.out)):  # one layer, as a rule
        own_row = model.input_to_state[d](x)  # (B, 4F, H, W), mask B
        h = cell = torch.zeros_like(x[:, :, 0])  # (B, F, W)
        rows = []
        for i in range(x.shape[2]):
            three_above = model.state_to_state[d](h)  # (B, 4F, W)
            h, cell = lstm(own_row[:, :, i] + three_above, cell)
            rows.append(h)
        x = x + model.out[d](torch.stack(rows, 2))
    return x


# %% tags=["checking"]
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RowLSTM

assert_same(RowLSTM, row_lstm)
fields = layer_by_layer(RowLSTM, 1, 4, 12)
triangle = before & (right <= up + 2) & (right >= -up - 4)
assert torch.equal(fields["depth 1"] > 0, triangle)
assert torch.equal((fields["depth 12"] == 0) & before, wedge), "again!"

# %% tags=["drawing"]
show_fields(fields, at=at)

# %% [markdown]
# At depth 1 it sees a **triangle** that opens by one pixel a row to either side, because `three_above` reaches one
# pixel to either side. It reaches the top of the image, 12 rows up. A PixelCNN needs nine blocks for that: three rows
# for its filter, and one for each block. More layers widen it to the left. On the right, the wedge of the PixelCNN
# comes back, pixel for pixel, and for the same reason: one row up gains one column, whichever layer goes up.

# %% [markdown]
# ## Machine 5: the Grid LSTM
#
# This is the lecture's way to use the plane. A small filter looks at what is painted around a pixel. What it finds goes
# into a cell of a **Grid LSTM** ([Kalchbrenner et al., 2015](references.md#kalchbrenner2015)), which passes information
# on along three dimensions: *right*, to the next cell in its row; *down*, to the cell in the next row; and *through*,
# to the layer above it. In the end the colour is chosen there. For each dimension there is one LSTM with a memory of
# its own, and each of the three reads all that arrives:


# %%
def grid_loop(model, x):  # features (B, F, H, W), one layer -> (B, F, H, W)
    B, width, H, W = x.shape
    weights = model.weight[0].unflatten(0, (4, 3, width))
    biases = model.bias[0].unflatten(0, (4, 3, width))
    nothing = x.new_zeros(B, width), x.new_zeros(B, width)  # hidden, memory
    right, down, through = {}, {}, {}
    for i, j in product(range(H), range(W)):
        left = right.get((i, j - 1), nothing)
        above = down.get((i - 1, j), nothing)
        arrived = torch.cat([x[:, :, i, j], left[0], above[0]], 1)  # (B, 3F)
        ways = (right, left[1]), (down, above[1]), (through, nothing[1])
        for k, (passed_on, memory) in enumerate(ways):
            weight, bias = weights[:, k].flatten(0, 1), biases[:, k].flatten(0, 1)
            gates = F.linear(arrived, weight, bias[:, 0])  # (B, 4F)
            passed_on[i, j] = lstm(gates, memory)
    h = torch.stack([through[i, j][0] for i, j in product(range(H), range(W))], 2)
    return x + model.out(h.unflatten(2, (H, W)))


# %% tags=["checking"]
assert_same(GridLSTM, lambda m, x: grid_loop(m, m.first(x) + m.place), depth=1)
x = torch.ones(1, 8, 3, 4, dtype=torch.double, requires_grad=True)
out = grid_loop(fresh(GridLSTM, 1), x).sum((0, 1))  # (3, 4)
cells = [torch.autograd.grad(n, x, retain_graph=True)[0] for n in out.flatten()]
arrived = torch.stack(cells).abs().sum((1, 2)).view(3, 4, 3, 4) > 0
rectangles = torch.kron(torch.ones(3, 3).tril(), torch.ones(4, 4).tril()).bool()
assert torch.equal(arrived.view(12, 12), rectangles), "all above and to the left"

# %% tags=["drawing"]
explore(partial(show_walk, arrived), step=range(1, 13), alt="what each cell knows")

# %% [markdown]
# Follow the walk. Each of the twelve maps is one cell, and shows the whole image of 3×4 pixels in small: coloured are
# the cells whose information has arrived here. The framed cell is at work, and sends its three messages. Cell 1 gives
# blue. Cell 2 has blue from the left and adds red; cell 3 has both. In the next row, cell 5 (gray) has blue from above.
# Cell 6 (black) has gray from the left and red from above, and through them blue. (The lecture starts in the lower left
# corner and climbs. Our images are painted from the top.) The colours are measured: they are where the gradient of the
# loop's output is not zero. Each cell knows the rectangle between it and the first corner, exactly.

# %% tags=["checking"]
fields = layer_by_layer(GridLSTM, 1, 4)
assert torch.equal((fields["depth 4"] == 0) & before, (up > 0) & (right > 1))

# %% tags=["drawing"]
show_fields(fields, at=at, size=1.95)

# %% [markdown]
# At the cross the rectangle has one column more, which its filter of 3×3 sees. Everything else to the right is **its
# hole**, and it is larger than the PixelCNN's blind spot. More layers do not help: no message in this machine ever goes
# to the left. (Ours differs from the paper's in one detail. Its hidden vector is $o \cdot \tanh(m)$, as in most LSTMs
# since. The paper has $\tanh(o \odot m)$.)
#
# Twelve steps, or 256, one after the other, are slow. But cells 2 and 5 do not wait for each other, nor do 3, 6 and 9.
# Move each row one step further than the row above, and the cells that can go together stand in one column. This is
# **skewing**:


# %%
def skew(x):  # (H, W) -> (H, H + W - 1): row i moves i steps to the right
    H, W = x.shape
    padded = F.pad(x, (0, H), value=-1).flatten()  # rows of W + H ...
    return padded[:-H].view(H, H + W - 1)  # ... cut into rows of one less


# %% tags=["drawing"]
numbers = torch.arange(1, 13).view(3, 4)
show_skew(numbers, skew(numbers))

# %% [markdown]
# Each column of the skewed image is an **anti-diagonal** of the old one, and has one colour. It takes six steps instead
# of twelve, and for 28×28 pixels 55 instead of 784. The library goes by anti-diagonals, and gives what the loop gives,
# as the check above says. (It does not move the rows. It sorts the pixels by $i + j$, which gives the same columns
# without the blanks.)

# %% [markdown]
# ## Machine 6: the Diagonal BiLSTM
#
# How would a machine see what is to its right? Walk from there. The **Diagonal BiLSTM** ([van den Oord et al.,
# 2016](references.md#oord2016pixel)) walks along the diagonals twice, from the upper left corner and from the upper
# right one. But from the right, the neighbour *beside* a pixel is one that has not been painted. The paper's cure is a
# shift: the map of the second walk moves down by one row, and then even its latest pixel is one row above.


# %%
def diagonal_loop(layer, x, shift=1):  # (B, F, H, W) -> (B, F, H, W)
    B, width, H, W = x.shape
    nothing = x.new_zeros(B, width), x.new_zeros(B, width)
    maps = []
    for direction, image in enumerate([x, x.flip(3)]):  # the second mirrored
        weight, bias = layer.weight[direction], layer.bias[direction, :, 0]
        state = {}
        for i, j in product(range(H), range(W)):
            beside = state.get((i, j - 1), nothing)
            above = state.get((i - 1, j), nothing)
            arrived = torch.cat([image[:, :, i, j], beside[0], above[0]], 1)
            state[i, j] = lstm(F.linear(arrived, weight, bias), beside[1])
        h = torch.stack([state[i, j][0] for i, j in product(range(H), range(W))], 2)
        maps.append(h.unflatten(2, (H, W)))
    from_left, from_right = maps[0], maps[1].flip(3)
    from_right = F.pad(from_right, (0, 0, shift, 0))[:, :, :H]  # down
    return x + layer.out(torch.cat([from_left, from_right], 1))


# %% [markdown]
# There is one LSTM for each direction, and its memory comes from beside. The machine is the filter of 7×7 and then this
# layer. We build it as the paper says, without a `blank`:


# %%
def diagonal(model, words, blank=0, shift=1):  # (B, V, H, W) -> (B, F, H, W)
    W = words.shape[3]
    wider = F.pad(words, (0, blank)), F.pad(model.place, (0, blank))
    x = model.first(wider[0]) + wider[1]
    for layer in model.layers:
        x = diagonal_loop(layer, x, shift)
    return x[..., :W]


# %% tags=["checking"]
machine, deeper = fresh(DiagonalBiLSTM, 1), fresh(DiagonalBiLSTM, 3)
shiftless = seen_from(partial(diagonal, machine, shift=0))
papers = seen_from(partial(diagonal, machine))
blind = (papers == 0) & before
assert blind.nonzero().tolist() == [[at[0] - 1, S - 1]], "one orange pixel"
assert torch.equal((seen_from(partial(diagonal, deeper)) == 0) & before, blind)
assert shiftless[~before].any() and not papers[~before].any()

# %% tags=["drawing"]
fields = {"no shift": shiftless, "the paper's": papers}
show_fields(fields, at=at, size=1.95)

# %% [markdown]
# Without the shift, red: the cross sees the rest of its own row. With it, nothing that is not painted yet is seen, and
# nearly everything that is. **But one pixel is orange**: the last of the row above. It looks like a mistake in the
# picture. It is a hole in the machine, and three layers have it as well as one.
#
# Why that pixel? A cell never knows its own pixel, only those before it, since the first filter has mask A. So what
# stands at $(11, 14)$ is known only to cells that come *after* it, and they are all in row 12 or below. The second
# walk's map has been moved down by a row. So it brings the cross only what a cell of row 11 knows, and that cell comes
# before the last pixel of its row. And the cells that come from the left, in row 12, see only three columns further
# right than the cross.


# %% tags=["checking"]
def pairs(context, size):  # which pixel sees which; and which comes before which
    seen = sight(context, range(size * size), size, images=1).flatten(1) > 0
    return seen, torch.ones_like(seen).tril(-1)


seen, earlier = pairs(partial(diagonal, machine), S)
by, of = (earlier & ~seen).nonzero().T
assert len(by) == (S - 1) * (S - 4)
assert (of == by // S * S - 1).all(), "always the last of the row above"

# %% [markdown]
# In an image of 15×15 this happens to 154 of 225 pixels: in every row but the first, to all but the last four. What
# would close the hole? A cell that comes after the last pixel of a row and still stands in that row. There is none, so
# the library adds one: **a blank column** at the right edge, which is never painted and is cut off at the end. Here it
# is `blank=1`.

# %% tags=["checking"]
with_blank = partial(diagonal, blank=1)
assert_same(DiagonalBiLSTM, with_blank)
closed = partial(with_blank, machine)
fields = {"the paper's": papers, "with a blank column": seen_from(closed)}
assert torch.equal(*pairs(closed, S)), "every pixel, everything before it"

# %% tags=["drawing"]
show_fields(fields, at=at, size=1.95)

# %% [markdown]
# Now every pixel sees everything before it, and nothing else. This is the library's `DiagonalBiLSTM`, number for
# number.

# %% [markdown]
# ## All six, layer by layer
#
# All six machines at once, by their number of layers (or blocks):

# %% tags=["drawing"]
kinds = [RasterLSTM, PixelCNN, GatedPixelCNN, RowLSTM, GridLSTM, DiagonalBiLSTM]


def show_machines(layers):
    fields = {k.__name__: seen_from(fresh(k, layers).context) for k in kinds}
    return show_fields(fields, at=at)


explore(show_machines, layers=[1, 2, 4, 8], alt="what six machines see")

# %% [markdown]
# The raster LSTM sees everything at any depth. Yet after 300 steps it predicted worse than a table of four neighbours,
# at either rate. Being able to see something is not the same as using it.
#
# How large are the holes that no depth closes? Take all pairs of a pixel and one before it, in 16×16. With as many
# layers as can help, what share is out of sight?

# %% tags=["checking"]
needed, share = dict(zip(kinds, (1, 12, 13, 12, 1, 1), strict=True)), {}
for kind, depth in needed.items():
    features = 24 if kind is PixelCNN else 8  # of 8 ReLUs all may be off
    seen, earlier = pairs(fresh(kind, depth, H, features).context, H)
    assert not (seen & ~earlier).any()
    if depth > 1:  # a layer fewer sees less
        less, _ = pairs(fresh(kind, depth - 1, H, features).context, H)
        assert less.sum() < seen.sum()
    share[kind] = ((earlier & ~seen).sum() / earlier.sum()).item()
    print(f"{kind.__name__:15s}{depth:3} layers {share[kind]:6.1%} out of sight")
assert share[RasterLSTM] == share[DiagonalBiLSTM] == share[GatedPixelCNN] == 0
assert share[PixelCNN] == share[RowLSTM] < share[GridLSTM] / 2.5

# %% [markdown]
# Three machines see everything in the end: the raster LSTM, the Diagonal BiLSTM with its blank column, and a Gated
# PixelCNN of 13 blocks. The PixelCNN and the Row LSTM keep the same wedge, 13.7 per cent of all pairs. The Grid LSTM
# misses 38.6 per cent.

# %% [markdown]
# ## Break it
#
# Give the control mask B in its filter, so that a pixel sees itself. Everything else stays as it was: size, data, 300
# steps, rate.

# %%
with initialised_by(generator):
    cheat = PixelCNN(size_of_filter)
    cheat.first = MaskedConv2d(V, 26, 7, "B")
cheat = train(cheat)

# %% [markdown]
# Let both paint on three canvases: a blank one, one that is all outline (colour 1), and one on which a creature stands
# already. For an honest painter the canvas makes no difference, as we saw.

# %% tags=["checking"]
loss = bits_each(cheat, x_test).mean()
print(f"mask B {loss:.3f} bits/pixel; mask A {cost['one filter']:.2f}")
assert loss < 0.02 * cost["one filter"]
x = x_test[:1].to(device)
canvases = torch.cat([0 * x, 0 * x + 1, x])
copied = torch.cat([paint(cheat, c[None], dice()) for c in canvases])
honest = torch.cat([paint(one_filter, c[None], dice()) for c in canvases])
repeats = (copied == canvases).float().mean((1, 2, 3))
assert repeats.min() > 0.95
assert (honest == honest[:1]).all(), "the same picture three times"

# %% tags=["drawing"]
rows = torch.cat([canvases, copied, honest]).cpu()
show_images(to_rgb(rows), columns=3, rows=["canvas", "mask B", "mask A"], size=1.1)

# %% [markdown]
# The cheat pays hardly any bits, and all it has learnt is to repeat what it is told. It paints what lies on the canvas
# already: on the blank one nothing, on the dark one darkness, on the creature that creature. The honest filter, with
# the same dice, paints the same picture three times. As in chapter 3, a loss that is too good is a mistake, and
# `assert_causal` finds it, trained or not:

# %% tags=["checking"]
try:
    assert_causal(cheat, x_test[:1].to(device))
except AssertionError as message:
    print(str(message).replace(". ", ".\n").replace(": ", ":\n"))
else:
    raise AssertionError("the cheat was not found")

# %% [markdown]
# ## What we saw
#
# - A pixel is a word, and chapter 3's network paints. After 300 steps it has not learnt the plane: what continues from
#   above costs it much more than what continues from the left, at a rate that suits it, too.
# - One filter does better in as many steps, without any memory, because it sees the neighbours above and to the left at
#   once. Without either half it is worse by more than a quarter of a bit.
# - Blocks, stacks, rows, a grid, diagonals: five ways to see further. Each has a receptive field that can be drawn
#   before any training, and drawing them found three holes: the PixelCNN's wedge, which a deep Row LSTM has as well;
#   all that lies to the right of a Grid LSTM; and a single pixel in the Diagonal BiLSTM.
# - Simple and fast are the same: loops over pixels and scans over anti-diagonals, a sampler that recomputes and one
#   that does not.
# - That a machine can see something does not mean that it uses it, or that it pays. [Page 2](04_six_painters.ipynb)
#   trains all six.
#
# **Terms fixed here** ([glossary](glossary.md)): palette, raster order, completion of images, Jacobian, masked
# convolution (A and B), receptive field, blind spot, Row LSTM, Grid LSTM, skewing, anti-diagonal, Diagonal BiLSTM.

# %% [markdown]
# ## Your turn
#
# 1. In the walk, which cells know cell 4? Where would they stand in a walk that starts at the lower left and climbs, as
#    the lecture's does?
# 2. Move *layers* in the last slider from 1 to 2, and count what each machine sees of its own row. Which of them grow,
#    by how much a layer, and why?
# 3. Draw twelve creatures at temperature 0.5, with `made = raster.sample(12, generator=dice(), temperature=0.5)` and
#    `show_images(to_rgb(made.cpu()), columns=6)`. Draw twelve more at 2. Which mistakes go away at 0.5, and what goes
#    with them?
# 4. Give the control a smaller filter, as in *Break it* but with mask A: `MaskedConv2d(V, 26, 3, "A")`, then 5 instead
#    of 3. Which of them sees just what the table of four neighbours sees, and how near does it come?
# 5. Turn all sprites by 90 degrees (`x.transpose(2, 3)`) and train the raster LSTM and the control once more. Which of
#    the two gets worse, and why? Hint: `(x_test == x_test.flip(3)).float().mean()` is the share of pixels that equal
#    their mirror image, left against right. Compare it with `flip(2)`, top against bottom. (The table of two neighbours
#    pays the same as before.)
#
# Page 2 is [Six painters](04_six_painters.ipynb). After it comes the graded assignment,
# `coursework/04_pixelrnn_images`. There you write the two stacks without a leak, and test whether a model's
# probabilities can be trusted. You also teach an RGB model the palette, and let known pixels at the bottom influence
# those above.
#
# Further reading: [van den Oord et al. (2016)](references.md#oord2016pixel) has the Row LSTM, the Diagonal BiLSTM and
# the PixelCNN; [van den Oord et al. (2016)](references.md#oord2016conditional) finds and closes the blind spot;
# [Kalchbrenner et al. (2015)](references.md#kalchbrenner2015) is the Grid LSTM; [Salimans et al.
# (2017)](references.md#salimans2017) improves on them.
