# %% [markdown]
# # 4 · PixelRNN for images: what changes when the sequence is really a plane?
#
# **You will build six machines that paint one pixel at a time, see which pixels each of them can see, find a hole in one's
# field of view, and close it.**
#
# *Laptop: under 90 seconds. You need: chapter 3, and what a convolution does.*

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
# Twelve creatures that nobody drew. A larger network of this chapter's last kind painted them after a longer training
# (`python benchmarks/train.py creatures`), from the upper left to the lower right, one pixel after another, and could never take one back:

# %% tags=["drawing"]
import numpy as np
import torch
from course_lib.data.shipped import shipped
from course_lib.data.sprites import to_rgb
from course_lib.show.plots import show_images
from PIL import Image

strip = np.array(Image.open(shipped("samples/painted_creatures.png")))
painted = torch.tensor(strip).long().view(16, 12, 16).transpose(0, 1)
words = "creatures that a network painted, pixel by pixel"
show_images(to_rgb(painted[:, None]), columns=6, caption=words)

# %% [markdown]
# ## Setup

# %%
import math
import textwrap
import time
from itertools import product

import torch.nn.functional as F
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# **Sprites**: creatures of 16×16 pixels, drawn by a program that throws dice for species, body, coat and mood. There are
# endlessly many and no two are alike. A pixel is one of 16 colours of a **palette**: not a mixture of red, green and blue, but
# one word out of 16.

# %%
from course_lib.data import load_sprites

sprites = load_sprites(4500, generator=make_generator(seed))
x_train, x_test = sprites[:4000], sprites[4000:]
N, C, H, W = x_train.shape
V = 16  # colours

# %% tags=["checking"]
assert len(sprites.unique(dim=0)) == len(sprites), "no two are alike"

# %% tags=["drawing"]
show_images(to_rgb(x_train[:12]), columns=6)

# %% [markdown]
# Twelve of the 4,000 that will train. To a computer, each is this:

# %% tags=["checking", "nbval-check-output"]
print(*(" ".join(f"{c:x}" for c in row) for row in x_train[0, 0]), sep="\n")

# %% [markdown]
# 0 is the background, 1 the outline (10 to 15 are written a to f). Read it row by row, and it is a sentence of 256 words over a vocabulary of 16.

# %% [markdown]
# ## The idea
#
# **A pixel is a word.** Chapter 3 wrote sentences by predicting the next character from those before it. Nothing in that
# needs characters. Put a start signal in, draw a colour, feed it back, draw the next: the model begins to paint. With the
# pixels in **raster order**, each row from the left and the rows from the top,
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
# What a pixel **costs** a predictor is $-\log_2$ of the probability that it gave to the colour that came, in bits. How much
# cheaper does it get with one neighbour known? A table with a row for each colour of the neighbour, filled by counting,
# answers that before any network is built.


# %%
def shifted(x, down, right):  # the neighbour's colour; V outside the image
    padded = F.pad(x, (right, 0, down, 0), value=V)
    return padded[..., : x.shape[-2], : x.shape[-1]]


# %% [markdown]
# `shifted` lays each pixel's neighbour over it. With one neighbour or two as the row of a table, counting does the rest:


# %%
def table_bits(*ways):  # (n, H, W): bits of a table of these neighbours
    def row(x):
        index = [shifted(x, *w) * 17**k for k, w in enumerate(ways)]
        return sum(index, torch.zeros_like(x))

    counts = torch.full((17 ** len(ways), V), 0.1)
    ones = torch.ones(x_train.numel())
    where = row(x_train).flatten(), x_train.flatten()
    counts.index_put_(where, ones, accumulate=True)
    p = counts / counts.sum(1, keepdim=True)
    return -p[row(x_test), x_test].log2()[:, 0]


# %% tags=["checking"]
left, above = (0, 1), (1, 0)
shares, of_left = table_bits().mean(), table_bits(left).mean()
of_above, table = table_bits(above).mean(), table_bits(left, above)
print(f"uniform             {math.log2(V):.2f} bits/pixel")
print(f"no neighbour        {shares:.2f}")
print(f"the pixel left      {of_left:.2f}")
print(f"the pixel above     {of_above:.2f}")
print(f"both                {table.mean():.2f}")
assert abs(of_left - of_above) < 0.1, "worth the same"
assert table.mean() < of_left - 0.3, "and not the same thing"

# %% [markdown]
# The neighbour above is worth as much as the one to the left, and knowing both saves another 0.4 bits. A painter that looks
# back along its sentence has the left one at hand. The upper one is 16 words ago.

# %% [markdown]
# ## Build the first: the raster LSTM
#
# Chapter 3's network with one addition, a learnt vector for each place, so that every pixel knows where it is. Here is
# the loop that it stands for. `words` are the colours as vectors with a single 1; the start signal is a vector of zeros.


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
    return model.head(h, words)


# %% tags=["checking"]
from course_lib.check import assert_causal, assert_close
from course_lib.models.pixel.recurrent import RasterLSTM
from course_lib.models.pixel.model import PixelConfig

tiny = PixelConfig(levels=V, height=4, width=6, features=8, depth=1)
model = RasterLSTM(tiny, generator=generator).to(device)
x = x_train[:2, :, 4:8, 4:10].to(device)
assert_close(raster_loop(model, x), model(x), name="the loop")
assert_causal(model, x)

# %% [markdown]
# The library's `RasterLSTM` computes the same without the loop, and no pixel sees itself or a later one. Sampling cannot do
# without: each pixel has to be drawn before the next. The simple way runs the model over the whole image for each
# pixel; `sample` carries the state along. Draw by draw they are equal.

# %%
from course_lib.decode import draw


@torch.no_grad()
def paint(model, n, generator):  # the simple way
    c = model.config
    x = torch.zeros(n, c.channels, c.height, c.width, dtype=torch.long)
    x = x.to(device)
    for i, j in product(range(c.height), range(c.width)):
        for k in range(c.channels):
            logits = model(x)[:, k, i, j]  # (B, V)
            x[:, k, i, j] = draw(logits, generator=generator)
    return x


# %% tags=["checking"]
chance = [make_generator(seed, device) for _ in range(2)]
simple = paint(model, 3, chance[0])
assert torch.equal(simple, model.sample(3, generator=chance[1]))

# %% [markdown]
# Two painters with the same dice, and not a pixel between them: from here on we use the fast one.


# %% [markdown]
# ## Knobs

# %%
steps = 300  # a few seconds for each model
batch_size = 16
lr = 8e-3  # large, for the cosine schedule takes it down to 0
depth = {"PixelCNN": 4, "GatedPixelCNN": 3}  # all others: 1
features = {  # about 30,000 parameters each
    "RasterLSTM": 44,
    "GridLSTM": 23,
    "RowLSTM": 19,
    "DiagonalBiLSTM": 19,
    "PixelCNN": 22,
    "GatedPixelCNN": 18,
}

# %% [markdown]
# ## Train, and let it paint

# %%
from course_lib.prob import bits_per_dim
from course_lib.train import fit


def nll(model, x):  # (B,) nats
    return -model.log_prob(x)


settings = {"batch_size": batch_size, "lr": lr, "generator": generator}
settings |= {"loss": nll, "schedule": "cosine"}

# %% [markdown]
# The loss is minus the exact log-likelihood, in nats an image. All six models are made and trained by one function:


# %%
def train(kind, x, steps=steps, **sizes):
    name = kind.__name__
    shape = dict(zip(("channels", "height", "width"), x.shape[1:], strict=True))
    size = {"features": features[name], "depth": depth.get(name, 1)}
    config = PixelConfig(**{"levels": V} | shape | size | sizes)
    model = kind(config, generator=generator).to(device)
    return model, fit(model, x.to(device), steps=steps, **settings)


# %% [markdown]
# The first of them, for 300 steps:

# %%
raster, history = train(RasterLSTM, x_train)

# %% tags=["checking"]
with torch.no_grad():
    bits = bits_per_dim(-raster.log_prob(x_test.to(device)), H * W)  # (500,)
print(f"raster LSTM  {bits.mean():.2f} bits/pixel")
print(f"table        {table.mean():.2f} (left and above)")
assert bits.mean() > table.mean(), "it has not found the pixel above"

# %% tags=["drawing"]
made = to_rgb(raster.sample(12, generator=generator).cpu())
show_images(made, columns=6, caption="twelve, painted by the raster LSTM")

# %% [markdown]
# It has learnt what a row of a creature looks like, and that creatures are in the middle. But look at the bodies: they are
# made of *stripes*. Each row is a sensible row, and the rows do not know each other. The number says the same: after this
# training, a network that has read the whole sentence predicts worse than a table of two neighbours.
#
# How would we know better than by looking? It is hard to say how good a painting is, and twelve do not make it easier. Give it a
# task with a right answer at hand: **completion**. Cover a part of a creature that it has never met and let it paint the
# rest, several times.


# %%
def cover(x, share):  # true for the pixels that are kept, from the top
    keep = x.shape[2] - round(share * x.shape[2])
    return torch.arange(x.shape[2])[:, None].expand(x.shape[2:]) < keep


# %% [markdown]
# What is kept goes to `sample` as `given`, with `known` to say which of its pixels count:


# %%
def completions(model, x, share, draws=4):
    chance = make_generator(seed, device)
    known = cover(x, share).to(device)
    given = x.repeat_interleave(draws, 0).to(device)
    made = model.sample(len(given), generator=chance, given=given, known=known)
    return made.cpu().unflatten(0, (len(x), draws))  # (n, draws, C, H, W)


# %% [markdown]
# A known pixel is put in where otherwise one would be drawn, and nothing else changes.


# %% tags=["drawing"]
def show_completions(model, x, share):  # whole, given, four completions
    made = completions(model, x, share)
    whole, covered = to_rgb(x), ~cover(x, share)[..., None]
    given = torch.where(covered, torch.tensor(0.75), whole)
    painted = [to_rgb(made[:, k]) for k in range(made.shape[1])]
    images = torch.stack([whole, given, *painted], 1)
    return show_images(images.flatten(0, 1), columns=6)


# %% tags=["drawing"]
from course_lib.show.explore import explore


def show_raster(covered):
    return show_completions(raster, x_test[:3], covered / 100)


explore(
    show_raster,
    covered=[25, 50, 75, 100],
    labels={"covered": "covered, per cent"},
    alt="three creatures, what is given, four completions, raster LSTM",
)

# %% [markdown]
# In each row: the creature, what is given of it, and four completions. (The lecture's demonstration does the same with a
# palette of 167 colours.) The raster LSTM goes on for a row or two, and then loses coat and body. At 100 per cent nothing is
# given, and only the dice decide what comes: painting from nothing needs some randomness, or all paintings would be one.
#
# Completion works only downwards. Cover the top instead, and what is known below has no say, since each pixel sees only what
# comes before it. (The assignment gives it one.)

# %% [markdown]
# ## The sequence forgets the plane
#
# To say it with a number, ask where it errs. Some pixels repeat their left neighbour and not the upper one; others repeat the
# upper one and not the left. Each kind is about a fifth of all pixels. What does it cost, and what does it cost the table
# that knows both neighbours?


# %%
@torch.no_grad()
def bits_each(model, x):  # (B, H, W) bits for each pixel
    logits = model(x.to(device))
    logits = logits.movedim(-1, 1)  # where torch wants the levels
    nats = F.cross_entropy(logits, x.to(device), reduction="none")
    return (nats.sum(1) / math.log(2)).cpu()


# %% tags=["checking"]
x_left, x_above = shifted(x_test, *left)[:, 0], shifted(x_test, *above)[:, 0]
now = x_test[:, 0]
along = (now == x_left) & (now != x_above)  # goes on from the left
down = (now == x_above) & (now != x_left)  # goes on from above
shares = along.float().mean(), down.float().mean()
assert min(shares) > 0.15 and max(shares) < 0.25


# %% tags=["checking"]
def cost_of_edges(cost):  # bits/pixel: on the whole, from left, from above
    return [part.mean().item() for part in (cost, cost[along], cost[down])]


edges = {"table": cost_of_edges(table)}
edges["RasterLSTM"] = cost_of_edges(bits_each(raster, x_test))
for name, (_, from_left, from_above) in edges.items():
    print(f"{name:11s}left {from_left:.2f}, above {from_above:.2f} bits")
assert edges["RasterLSTM"][2] > edges["RasterLSTM"][1] + 0.3
assert edges["RasterLSTM"][2] > edges["table"][2] + 0.3
assert abs(edges["RasterLSTM"][1] - edges["table"][1]) < 0.2

# %% [markdown]
# To the left it sees as well as the table does. What goes on from above costs it half as much again and more: it has to
# guess what it painted itself, a row ago.

# %% [markdown]
# And what does it look at? Take the gradient of $\log p(x_{ij} \mid \text{before})$ with respect to the words of all pixels: its
# length at a pixel says how strongly the cost at $(i, j)$ depends on it. It is a row of the **Jacobian**, the table of all such
# derivatives, here averaged over a few creatures.


# %%
def looks(model, x, i, j):  # (H, W): how strongly pixel (i, j) depends on each
    words = model.words(x.to(device)).requires_grad_()
    logits = model.head(model.context(words), words.detach())
    log_p = logits.log_softmax(-1)[:, :, i, j]  # (B, C, V)
    price = log_p.gather(-1, x[:, :, i, j, None].to(device)).sum()
    (gradient,) = torch.autograd.grad(price, words)
    return gradient.norm(dim=1).mean(0).cpu()


# %% tags=["checking"]
def left_and_above(model, places):  # mean strength of the two neighbours
    pairs = [
        (field[i, j - 1], field[i - 1, j])
        for i, j in places
        for field in [looks(model, x_test[:16], i, j)]
    ]
    return torch.tensor(pairs).mean(0)


places = list(product(range(3, 14, 3), range(3, 14, 3)))
strength = left_and_above(raster, places)
ratio = strength[0] / strength[1]
print(f"left counts {ratio:.0f} times as much as above")
assert ratio > 5

# %% tags=["drawing"]
from course_lib.show.plots import show_fields


def show_look(row, column):
    field = looks(raster, x_test[:16], row, column)
    return show_fields(
        {f"raster LSTM at ({row}, {column})": field}, at=(row, column), size=3.4
    )


explore(
    show_look,
    row=range(2, 15, 3),
    column=range(2, 15, 3),
    alt="how strongly a pixel's cost depends on each pixel before it",
)

# %% [markdown]
# It *can* see everything before it: there is no orange. What it *uses* is a tail (the scale spans four powers of ten): darkest just
# behind the cross, paling along the row, and going on in the row above wherever that was said last. The pixel just above the cross
# is no darker than those beside it: that it is *above* earns it nothing.

# %% tags=["checking"]
i, j = 8, 8
field = looks(raster, x_test, i, j)
before = torch.arange(H * W).view(H, W) < i * W + j
assert (field[before] > 0).all() and (field[~before] == 0).all()
beside = (field[i - 1, j - 1] + field[i - 1, j + 1]) / 2
assert field[i - 1, j] < 2 * beside, "above is nothing special"
assert field[i, j - 1] > 5 * field[i - 1, j]

# %% [markdown]
# ## What may a pixel see?
#
# So let the network look up. A convolution looks at the square around a pixel, and half of that square is not painted yet. A
# **mask** sets those weights to zero. At the pixel itself there are two kinds. Mask **A**, for the first layer, is blind to its
# own pixel, for that one is to be predicted. Mask **B**, for later layers, may look at it, since what stands there by then is
# only what the first layer made of the pixels before.


# %% tags=["twin:course_lib.layers.MaskedConv2d"]
from course_lib.layers import expect_mask


class MaskedConv2d(nn.Conv2d):
    def __init__(self, in_channels, out_channels, kernel_size, mask_type, colours=1):
        one = isinstance(kernel_size, int)
        rows, columns = (kernel_size, kernel_size) if one else kernel_size
        expect_mask(rows, columns, mask_type, colours, in_channels, out_channels)
        i, j = rows // 2, columns // 2  # the middle
        super().__init__(in_channels, out_channels, (rows, columns), padding=(i, j))
        groups = colours, out_channels // colours, colours, in_channels // colours
        mask = torch.zeros(*groups, rows, columns)
        mask[..., :i, :] = 1  # the rows above
        mask[..., i, :j] = 1  # to the left
        for k in range(colours):  # the pixel itself: the colours before this
            mask[k, :, : k + (mask_type == "B"), :, i, j] = 1
        mask = mask.flatten(2, 3).flatten(0, 1)  # (out_channels, in_channels, …)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):  # (B, in_channels, H, W) -> (B, out_channels, H, W)
        weight = self.weight * self.mask
        return F.conv2d(x, weight, self.bias, padding=self.padding)


# %% tags=["drawing"]
from course_lib.layers import initialised_by
from course_lib.show.typeset import show_table, side_by_side


def mask_table(kind):
    with initialised_by(make_generator(seed)):
        mask = MaskedConv2d(1, 1, 5, kind).mask[0, 0].int().tolist()
    return show_table([""] * 5, mask, marks={(2, 2): "here"})


side_by_side({f"mask {kind}": mask_table(kind) for kind in "AB"})

# %% [markdown]
# A 1 is looked at; the pixel itself is marked. What the loop over `colours` is for comes later. All the models
# below but the last begin with such a filter.

# %% [markdown]
# ## The Grid LSTM
#
# The lecture's way to make the plane count. A filter stands in a corner and looks at what is painted around it. What it finds goes
# into a cell of a **Grid LSTM** ([Kalchbrenner et al., 2015](references.md#kalchbrenner2015)), which passes information on along three dimensions: to the next
# cell in its row, to the cell in the next row, and *through*, to the layer above it, where in the end the colour is chosen.
# For each dimension there is one LSTM with a memory of its own, and each of the three reads all that arrives. This is a step of
# an LSTM, written out; like chapter 3's, it begins with its forget gate open, which is what `FORGET_BIAS` is for:


# %% tags=["twin:course_lib.fast.diagonals.lstm"]
from course_lib.layers import FORGET_BIAS


def lstm(
    gates: torch.Tensor, cell: torch.Tensor, dim: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    forget, input, output, candidate = gates.chunk(4, dim)
    cell = (forget + FORGET_BIAS).sigmoid() * cell + input.sigmoid() * candidate.tanh()
    return output.sigmoid() * cell.tanh(), cell


# %% [markdown]
# A cell of the grid is three of these. `arrived` is what comes in from the left, from above and from below; the three memories
# go on to the right, down, and through:


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


# %% [markdown]
# Follow the walk. Each cell is a small map of the image, in which the cells whose information has arrived there are
# coloured; the framed cell is at work. What has arrived is not drawn from an idea of it: it is where the gradient of the loop's
# output is not zero.

# %% tags=["checking"]
from course_lib.models.pixel.recurrent import GridLSTM

walked = PixelConfig(levels=2, height=3, width=4, features=6, depth=1)
walker = GridLSTM(walked, generator=generator).to(device)
x = torch.randn(1, 6, 3, 4, generator=generator, device=device).requires_grad_()
out = grid_loop(walker, x)
arrived = torch.zeros(3, 4, 3, 4, dtype=torch.bool)  # at (i, j), from (k, l)
for i, j in product(range(3), range(4)):
    (gradient,) = torch.autograd.grad(out[..., i, j].sum(), x, retain_graph=True)
    arrived[i, j] = gradient.abs().sum((0, 1)) > 0
for i, j in product(range(3), range(4)):
    expected = torch.zeros(3, 4, dtype=torch.bool)
    expected[: i + 1, : j + 1] = True
    assert torch.equal(arrived[i, j].cpu(), expected), "all above and to the left"

# %% tags=["drawing"]
import matplotlib.pyplot as plt

COLOURS = ["#3366cc", "#dd3333", "#f2c230", "#33aa55", "#8a8f99", "#111111"]
COLOURS += ["#aa55cc", "#ee8822", "#66ccdd", "#885522", "#ff99bb", "#99cc33"]


def show_walk(step):
    figure, axes = plt.subplots(3, 4, figsize=(5.2, 4.2), layout="constrained")
    for n, ax in enumerate(axes.flat):
        knows = arrived[n // 4, n % 4].flatten() if n < step else [False] * 12
        for m in range(12):
            colour = COLOURS[m] if knows[m] else "#eeeeee"
            ax.add_patch(plt.Rectangle((m % 4, 2 - m // 4), 0.9, 0.9, color=colour))
        ax.set(xlim=(-0.2, 4.1), ylim=(-0.2, 3.1), xticks=[], yticks=[])
        ax.set_title(f"cell {n + 1}", fontsize=9)
        for spine in ax.spines.values():
            spine.set(linewidth=3 if n == step - 1 else 0.5)
            spine.set_color(COLOURS[n] if n == step - 1 else "#8899aa")
    plt.close(figure)
    return figure


explore(
    show_walk,
    step=range(1, 13),
    alt="cells of a Grid LSTM, and whose information has arrived in each",
)

# %% [markdown]
# Cell 1 gives blue. Cell 2 sees blue, cell 3 also red. In the next row, cell 5 (gray) has blue from above; cell 6 (black) has
# gray from the left and red from above, and through them blue. (The lecture starts in the lower left corner and climbs; our
# images are painted from the top.) After twelve steps each cell knows the rectangle between it and the first corner, exactly.
#
# Twelve steps, or 256, one after the other, are slow. But cells 2 and 5 do not wait for each other, nor do 3, 6 and 9. Move each
# row one step further than the row above, and those that can go together stand in one column:


# %%
def skew(x):  # (H, W) -> (H, H + W - 1): row i moves i steps to the right
    H, W = x.shape
    padded = F.pad(x, (0, H), value=-1).flatten()  # rows of W + H ...
    return padded[:-H].view(H, H + W - 1)  # ... cut into rows of one less


print(skew(torch.arange(1, 13).view(3, 4)))

# %% [markdown]
# Each column is an **anti-diagonal** (−1 is blank): six steps instead of twelve, and for 28×28 pixels 55 instead of 784. The
# library goes through the columns, leaves out the blanks, and gives what the loop gives:

# %% tags=["checking"]
x = torch.randn(8, 23, 16, 16, generator=generator, device=device)
grid = PixelConfig(V, 1, 16, 16, features=23, depth=1)
grid = GridLSTM(grid, generator=generator).to(device)
# seconds: whatever else the machine does, the best of three is fair
fast, slow = [], []
for _ in range(3):
    for way, took in (grid.scan, fast), (lambda x: grid_loop(grid, x), slow):
        start = time.perf_counter()
        out = way(x)
        out.square().mean().backward()
        took.append(time.perf_counter() - start)
assert_close(out.detach(), grid.scan(x).detach(), tolerance=1e-5, name="the loop")
print(f"loop {min(slow):.2f} s, by diagonals {min(fast):.3f} s")

# %% [markdown]
# About ten times faster here, and the more the larger the image. (The library does not shift the rows; it sorts the pixels by
# $i + j$, which gives the same columns.)

# %% [markdown]
# ## Two more ways to walk
#
# The **Row LSTM** ([van den Oord et al., 2016](references.md#oord2016pixel)) computes a whole row at once. Its memory comes straight down from the
# pixel above, and its gates read the hidden vectors of three pixels there, so that what a pixel knows is a triangle that
# opens upwards. In its own row it sees as far as its masked convolutions reach.
#
# The **Diagonal BiLSTM** of the same paper walks along the diagonals like the Grid LSTM, and does so twice, from the upper left
# corner and from the upper right one, to see everything. But from the right, the neighbour *beside* a pixel is one that
# has not been painted. The cure is a small shift: the map of the second walk moves down by one row, and then
# even its latest pixel is one row above.


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


# %% tags=["checking"]
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, DiagonalLayer, RowLSTM

with initialised_by(make_generator(seed)):
    layer = DiagonalLayer(8).to(device)
x = torch.randn(2, 8, 9, 9, generator=generator, device=device)
assert_close(diagonal_loop(layer, x), layer(x), tolerance=1e-5, name="the scan")
fields = {}
for title, shift in {"without the shift": 0, "with it": 1}.items():
    x = x.detach().requires_grad_()
    out = diagonal_loop(layer, x, shift)[..., 4, 4].sum()
    (gradient,) = torch.autograd.grad(out, x)
    fields[title] = gradient.norm(dim=1).mean(0).cpu()
    # A feature here is made of earlier pixels (mask A): at its own place it
    # is no cheat.
    fields[title][4, 4] = 0

# %% tags=["checking"]
future = torch.arange(81).view(9, 9) > 4 * 9 + 4
assert fields["without the shift"][future].max() > 0, "it cheats"
assert fields["with it"][future].max() == 0, "and now it cannot"

# %% tags=["drawing"]
show_fields(fields, at=(4, 4))

# %% [markdown]
# Red is the future: without the shift the cross sees the rest of its own row. With it, it sees everything before, and nothing
# after. The three recurrent models that know the plane, before any training, side by side:


# %%
def field_of(kind, size, at, depth):  # (H, W): the gradient at a pixel
    config = PixelConfig(2, 1, size, size, features=8, depth=depth)
    model = kind(config, generator=generator).to(device)
    x = torch.randint(2, (16, 1, size, size), generator=generator, device=device)
    return looks(model, x.cpu(), *at)


# %% tags=["checking"]
at = (10, 7)
fields = {
    kind.__name__: field_of(kind, 15, at, depth=1)
    for kind in (GridLSTM, RowLSTM, DiagonalBiLSTM)
}
before = torch.arange(225).view(15, 15) < at[0] * 15 + at[1]
assert (fields["DiagonalBiLSTM"][before] > 0).all(), "it sees everything"
assert (fields["GridLSTM"][: at[0], at[1] + 2 :] == 0).all()

# %% tags=["drawing"]
show_fields(fields, at=at)

# %% [markdown]
# The Grid LSTM has its rectangle, and one column more that its first filter can see. The Row LSTM has its triangle. The Diagonal
# BiLSTM has all.

# %% [markdown]
# ## No memory at all: the PixelCNN
#
# A recurrent network has to walk, even in training. Masked convolutions do not: the first is a filter of 7×7 with mask A, then come
# **blocks**, each a filter of 3×3 with mask B, added to its input; and all pixels are predicted at once. The more blocks, the
# further it sees. How far?

# %%
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN

at, fields = (12, 4), {}
for blocks in (1, 4, 12):
    title = f"{blocks} block" + "s" * (blocks > 1)
    fields[title] = field_of(PixelCNN, 15, at, depth=blocks)

# %% tags=["drawing"]
show_fields(fields, at=at)

# %% tags=["checking"]
before = torch.arange(225).view(15, 15) < at[0] * 15 + at[1]
blind = (fields["12 blocks"] == 0) & before
print(f"{blind.sum()} of {before.sum()} pixels before it are not seen")
i, j = torch.meshgrid(torch.arange(15), torch.arange(15), indexing="ij")
wedge = (i < at[0]) & (j - at[1] > at[0] - i + 2)
assert torch.equal(blind, wedge)

# %% [markdown]
# Twelve blocks, and an orange wedge to the right stays: the **blind spot**. The reason is in the mask. To reach a
# pixel further right, a path through the filters has to go up, since in its own row it only goes left; and with each row up a
# filter of 3×3 gains one column (the first, of 7×7, three, but once). No depth helps. The wedge that this argument predicts
# is, pixel for pixel, the one that the gradient finds.
#
# The **Gated PixelCNN** ([van den Oord et al., 2016](references.md#oord2016conditional)) repairs it with two stacks. The *vertical* one, `v`, sees the rows above, all
# of them to both sides, and nothing of its own row: there it needs no mask, and without a mask there is no wedge. The *horizontal*
# one, `h`, sees its own row to the left, and is told `across` by the vertical one what is above. Each is shifted once before the
# first layer, `v` by a row and `h` by a pixel. The other half of the name: instead of a ReLU it has a **gate**.


# %% tags=["twin:course_lib.layers.gate"]
def gate(x: torch.Tensor) -> torch.Tensor:
    what, how_much = x.chunk(2, 1)
    return what.tanh() * how_much.sigmoid()


# %% [markdown]
# Half of the features say something, the other half how much of it passes. With that, one block of both stacks:


# %% tags=["twin:course_lib.models.pixel.convolutional.GatedBlock"]
class GatedBlock(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.down = nn.Conv2d(features, 2 * features, (2, 3))
        self.along = nn.Conv2d(features, 2 * features, (1, 2))
        # from the vertical stack into the horizontal one
        self.across = nn.Conv2d(2 * features, 2 * features, 1)
        self.out = nn.Conv2d(features, features, 1)

    def forward(self, v, h):
        v = self.down(F.pad(v, (1, 1, 1, 0)))  # a row above, a column to either side
        h_new = self.along(F.pad(h, (1, 0))) + self.across(v)
        return gate(v), h + self.out(gate(h_new))


# %% tags=["checking"]
fields = {
    f"{kind.__name__}, 12 blocks": field_of(kind, 15, at, depth=12)
    for kind in (PixelCNN, GatedPixelCNN)
}
seen = fields["GatedPixelCNN, 12 blocks"] > 0
assert torch.equal(seen, before), "no blind spot, and no future"

# %% tags=["drawing"]
show_fields(fields, at=at)

# %% [markdown]
# Both have twelve blocks. Left, the orange wedge; right, nothing before the cross is orange, and nothing after it is red.
#
# In painting, a convolution computes the same again and again: when a pixel is new, nearly nothing else is. `sample` keeps of each
# layer what stays, and computes one pixel a layer. The draws are those of the simple way:

# %% tags=["checking"]
for kind in (PixelCNN, GatedPixelCNN):
    small = kind(tiny, generator=generator).to(device)
    chance = [make_generator(seed, device) for _ in range(2)]
    assert torch.equal(paint(small, 3, chance[0]), small.sample(3, generator=chance[1]))

# %% [markdown]
# ## A fair comparison
#
# Six painters, the same 4,000 creatures, the same steps, the same optimiser, and about 30,000 parameters each.

# %%
kinds = [RasterLSTM, GridLSTM, RowLSTM, DiagonalBiLSTM, PixelCNN, GatedPixelCNN]
models, histories = {"RasterLSTM": raster}, {"RasterLSTM": history}
for kind in kinds[1:]:
    models[kind.__name__], histories[kind.__name__] = train(kind, x_train)

# %% tags=["checking"]
sizes = {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}
assert max(sizes.values()) < 1.05 * min(sizes.values()), "about equal"

# %% tags=["checking"]
rows = []
for name, model in models.items():
    edges[name] = cost_of_edges(bits_each(model, x_test))
    start = time.perf_counter()
    model.sample(1, generator=generator)
    seconds = time.perf_counter() - start
    step = 1000 * histories[name].seconds / steps
    numbers = f"{edges[name][0]:.2f}", f"{step:.0f} ms", f"{seconds:.2f} s"
    rows.append([name, f"{sizes[name]:,}", *numbers])
show_table(["", "weights", "bits/pixel", "a step", "a sample"], rows)

# %% tags=["drawing"]
from course_lib.show.plots import show_curves


def smooth(loss):  # nats an image -> bits/pixel, means of 20 steps
    return bits_per_dim(torch.tensor(loss).view(-1, 20).mean(1), H * W)


at_step = range(20, steps + 1, 20)
show_curves(
    {name: (at_step, smooth(h.loss)) for name, h in histories.items()},
    xlabel="step",
    ylabel="bits/pixel, in training",
    floors={"table of two neighbours": table.mean()},
    ylim=(0.6, 2.6),
)

# %% tags=["checking"]
plane = [name for name in models if name != "RasterLSTM"]
for name in plane:
    assert edges[name][0] < edges["RasterLSTM"][0] - 0.1
    assert edges[name][0] < edges["table"][0] - 0.05

# %% [markdown]
# Every model that knows the plane beats the one that does not, by more than a tenth of a bit a pixel on average, and most of them by
# two. It is an early moment: 300 steps are no verdict on the five, whose order changes with the seed, and a longer training brings
# the raster LSTM nearer (question 4). Where the advantage is made is no secret:

# %% tags=["checking"]
rows = [[name, f"{a:.2f}", f"{d:.2f}"] for name, (_, a, d) in edges.items()]
gap = edges["RasterLSTM"][2] - edges["RasterLSTM"][1]
for name in plane:
    assert edges[name][2] - edges[name][1] < 0.5 * gap, "up is near again"
show_table(["bits where it goes on from", "the left", "above"], rows)

# %% [markdown]
# What goes on from the left costs all of them about the same. What goes on from above costs the five hardly more than the other, or
# less; only the raster LSTM pays the distance.

# %% [markdown]
# Now look through all six pairs of eyes. Pale blue is seen, dark blue is used, orange is out of sight: for the Grid LSTM, what is far
# to the upper right; for the Row LSTM, what is outside its triangle; for the PixelCNN its wedge, and for both convolutional
# networks what is further than three or four blocks can reach.


# %% tags=["drawing"]
def show_eyes(row, column):
    fields = {name: looks(m, x_test[:8], row, column) for name, m in models.items()}
    return show_fields(fields, at=(row, column), size=1.8)


explore(
    show_eyes,
    row=[2, 6, 10, 14],
    column=[2, 6, 10, 14],
    alt="what each of six models sees and uses of the pixels before one",
)

# %% [markdown]
# ## Play
#
# Since the likelihood is exact, a completion has an exact cost too: that of the true lower half, given the upper one. It is the
# sum over the covered pixels.

# %% tags=["checking"]
half = H // 2
for name, model in models.items():
    lower = bits_each(model, x_test)[:, half:].sum((1, 2)).mean().item()
    edges[name].append(lower)
    print(f"{name:15s}{lower:4.0f} bits below")
for name in plane:
    assert edges[name][3] < edges["RasterLSTM"][3] - 15

# %% [markdown]
# Every bit less doubles the probability of the truth. And now let one of them train on and complete the creatures from above. We take
# the Diagonal BiLSTM, which sees everything.

# %%
painter = models["DiagonalBiLSTM"]
slower = settings | {"lr": lr / 2}
fit(painter, x_train.to(device), steps=300, **slower)

# %% tags=["checking"]
painter_bits = bits_each(painter, x_test).mean().item()
print(f"{painter_bits:.2f} bits/pixel")

# %% tags=["drawing"]
made = to_rgb(painter.sample(12, generator=generator).cpu())
show_images(made, columns=6, caption="twelve, painted by the Diagonal BiLSTM")


# %% tags=["drawing"]
def show_painter(covered):
    return show_completions(painter, x_test[:3], covered / 100)


explore(
    show_painter,
    covered=[25, 50, 75, 100],
    labels={"covered": "covered, per cent"},
    alt="three creatures, what is given, four completions, Diagonal BiLSTM",
)

# %% [markdown]
# Most outlines close, and most bodies keep to two or three colours. It is still a short training: eyes are often missing, and
# legs are a matter of luck. Mirror symmetry is something that no painter from left to right finds easy.

# %% [markdown]
# ## Colour, one channel after the other
#
# A palette is one way to have colours. The other is what a screen has: **red, green, blue**, three numbers a pixel. Three words,
# then, and the same rule: first R, then G given R, then B given both.
#
# $$ p(x_{ij} \mid \text{before}) = p(r_{ij} \mid \text{before})\; p(g_{ij} \mid r_{ij}, \text{before})\; p(b_{ij} \mid r_{ij}, g_{ij}, \text{before}) $$
#
# That is what the loop in `MaskedConv2d` is for. The features of a pixel are split into three groups, and at the pixel itself mask A
# lets a group see the groups before its own. (In our models one layer at the end does this, a filter of 1×1; in the paper every
# layer does.)

# %% tags=["checking"]
from course_lib.layers import MaskedConv2d as Masked

with initialised_by(make_generator(seed)):
    mask = Masked(3, 3, 1, "A", colours=3).mask[:, :, 0, 0].int().tolist()
rows = [[name, *row] for name, row in zip("RGB", mask, strict=True)]
show_table(["mask A: to predict", "sees R", "sees G", "sees B"], rows)

# %% [markdown]
# The rule in a table: red sees no colour of its own pixel, green sees red, blue sees both. Now train one on the same
# creatures as a screen has them:

# %%
from course_lib.data.sprites import PALETTE, RGB_LEVELS

same = make_generator(seed)  # and so the same creatures
rgb = load_sprites(4500, generator=same, colour="rgb")
in_rgb, _ = train(GatedPixelCNN, rgb[:4000], levels=RGB_LEVELS)

# %% tags=["checking"]
with torch.no_grad():
    x = rgb[4000:].to(device)
    logits = in_rgb(x).movedim(-1, 1)
    nats = F.cross_entropy(logits, x, reduction="none").mean((0, 2, 3))
each = (nats / math.log(2)).tolist()
print(f"red {each[0]:.2f}, green {each[1]:.2f}, blue {each[2]:.2f}")
print(f"together {sum(each):.2f} bits/pixel (uniform 9)")
print(f"palette  {edges['GatedPixelCNN'][0]:.2f} bits/pixel (uniform 4)")
assert each[1] < 0.6 * each[0] and each[2] < 0.2 * each[0]

# %% [markdown]
# Red costs most. Once it is known, green costs less than half, and blue next to nothing: of 512 colours that three channels can mix,
# the creatures have 16, and the model has to find that out. A palette knows it from the start, and after as many steps it is
# ahead. What does the model paint that no creature has?

# %% tags=["checking"]
made = in_rgb.sample(12, generator=generator).cpu()
code = torch.tensor([64, 8, 1])
in_palette = torch.isin((made * code[:, None, None]).sum(1), (PALETTE * code).sum(1))
invented = 1 - in_palette.float().mean().item()
print(f"invented colours: {invented:.1%} of pixels")
assert 0 < invented < 0.1

# %% tags=["drawing"]
shown = to_rgb(made[:6])
only = torch.where(in_palette[:6, ..., None], torch.tensor(0.93), shown)
rows = "painted in red, green and blue; below, invented colours"
show_images(torch.cat([shown, only]), columns=6, caption=rows)

# %% [markdown]
# Below each, only its invented colours: a few pixels in a hundred. The bodies are worse than a palette's after the same training.
# There is more to decide, too: a sprite in RGB takes 768 predictions one after the other, a photograph of 32×32 pixels 3,072, and
# one second of the next chapter's sound 16,000.

# %% [markdown]
# ## Measure: digits
#
# Sprites are ours, and nobody else has numbers on them. The digits of chapter 2 are everybody's: 1,000 to train, 350 to choose
# with, 447 to report. With so few, a network knows them by heart before it has learnt to write. One remedy fits this family well:
# in training, **hide** pixels at random from those that come after, so that no opinion may hang on a single one. (They are still
# predicted. That is `seen` in the code.)

# %%
from course_lib.data import load_digits
from course_lib.prob import categorical_log_prob

hidden = 0.15  # of the pixels
own = make_generator(seed, device)  # whatever was drawn above
parts = ("train", "valid", "test")
digits = {part: load_digits(part, device)[0] for part in parts}


def hiding_nll(model, x):  # (B,) nats
    if not model.training:
        return nll(model, x)
    chance = torch.rand(len(x), 1, 8, 8, device=device, generator=own)
    return -categorical_log_prob(model(x, seen=chance > hidden), x)


# %% [markdown]
# In training some 15 per cent of the pixels are blank to those that come after; in validation none is. Then a Gated PixelCNN:

# %%
config = PixelConfig(17, 1, 8, 8, features=40, depth=4)
writer = GatedPixelCNN(config, generator=own).to(device)
longer = {"steps": 800, "batch_size": 32, "lr": 6e-3, "schedule": "cosine"}
longer |= {"loss": hiding_nll, "generator": own, "valid": digits["valid"]}
history = fit(writer, digits["train"], **longer)

# %% tags=["checking"]
nats = {}
with torch.no_grad():
    for part, x in digits.items():
        nats[part] = nll(writer, x).mean().item()
        bits = bits_per_dim(nats[part], 64)
        print(f"{part:6s}{nats[part]:6.1f} nats, {bits:.2f} bits/dim")
print(f"uniform{64 * math.log(17):6.1f} nats, {math.log2(17):.2f} bits/dim")
assert nats["test"] < 82.5

# %% tags=["drawing"]
at, curve = zip(*history.valid, strict=True)
show_curves({"valid": (at, curve)}, xlabel="step", ylabel="nats an image")

# %% [markdown]
# Size, steps and the share hidden were chosen by the validation images; the test images decided nothing. For comparison, a
# well-known teaching notebook's causal convolution reaches 86.7 nats on this split. The gap between training and test
# images is what is left of knowing by heart. Now chapter 2's judge. It refuses an image that is far from every training digit, or
# that none of its ten classifiers claims. How many of a thousand painted digits does it refuse, and how many of the real ones?

# %% tags=["checking"]
from course_lib.measure.judge import DigitJudge

pairs = [load_digits(part, device) for part in ("train", "valid")]
judge = DigitJudge(*pairs, generator=generator)
refused = {"real ones": judge.invalid_share(digits["test"])}
for temperature in (1.0, 0.7):
    drawn = writer.sample(1000, generator=generator, temperature=temperature)
    refused[f"painted at {temperature}"] = judge.invalid_share(drawn)
for whose, share in refused.items():
    print(f"{whose:15s}{share:4.0%} refused")
assert refused["real ones"] < 0.06
assert 2 * refused["real ones"] < refused["painted at 1.0"] < 0.25
assert refused["painted at 0.7"] < 0.75 * refused["painted at 1.0"]

# %% tags=["drawing"]
crossed = (judge.label(drawn[:20]) < 0).tolist()
show_images(drawn[:20].cpu(), crossed=crossed)

# %% [markdown]
# Twenty painted at temperature 0.7; the judge refuses those that are struck out. Over five seeds it refuses 2 to 5 per cent of the
# real digits and 10 to 21 per cent of those painted at temperature 1, which is how the model itself would draw them. A model that
# predicts pixels well can still paint an image that is no digit: a likelihood is an average over real images, and says little about
# the few wrong pixels that spoil a painted one. At temperature 0.7 about half as many are refused, 3 to 10 per cent. The lecture
# remarks that generation is hard to judge. The likelihood and the classifiers are two judges, and they judge two different things.

# %% [markdown]
# The field's own yardstick is larger: MNIST at 28×28 in black and white. One core and less than half an hour reach this on its
# 10,000 test images (nats an image; the published networks trained longer, and the published PixelCNN is far larger):
#
# | model | weights | minutes | nats | published |
# |---|---|---|---|---|
# | DiagonalBiLSTM | 56,290 | 25 | **81.81** | 80.75 |
# | PixelCNN | 90,338 | 19 | **86.08** | 81.30 |
#
# `python benchmarks/train.py mnist_diagonal_bilstm_1x32 --minutes 20 --source larochelle` repeats the first row, and
# `mnist_pixel_cnn` in its place the second, where you have the published images; without `--source` it draws its own from MNIST,
# which are others of the same kind. (Both ran beside other work, and the first took five minutes more than planned.)

# %% [markdown]
# ## Break it
#
# Give the first layer mask B, so that a pixel sees itself.

# %%
config = PixelConfig(V, 1, H, W, features=22, depth=2)
with initialised_by(generator):
    cheat = PixelCNN(config)
    cheat.first = Masked(V, 22, 7, "B")
steady = settings | {"schedule": "constant"}
fit(cheat.to(device), x_train.to(device), steps=120, **steady)

# %% tags=["checking"]
loss = bits_each(cheat, x_test).mean().item()
print(f"{loss:.3f} bits/pixel; an honest one has {painter_bits:.2f}")
assert loss < 0.1 * painter_bits
nonsense = paint(cheat, 1, generator)
assert (nonsense == 0).float().mean() > 0.95

# %% tags=["drawing"]
both = torch.cat([nonsense, painter.sample(1, generator=generator)])
show_images(to_rgb(both.cpu()), titles=["cheat", "honest"], size=1.6)

# %% [markdown]
# Hardly any bits at all: it has learnt to repeat what it is told. Left alone, it is told of the empty canvas, which is background,
# and background is what it repeats. As in chapter 3, a loss that is too good is a mistake, and `assert_causal` finds it
# before any training:

# %% tags=["checking"]
cheat = PixelCNN(tiny, generator=generator).to(device)
cheat.first = Masked(V, 8, 7, "B").to(device)
try:
    assert_causal(cheat, x_test[:1, :, 4:8, 4:10].to(device))
except AssertionError as message:
    print(textwrap.fill(str(message), 36))

# %% [markdown]
# ## What we saw
#
# - A pixel is a word, and chapter 3's network paints. In raster order it forgets the plane, measurably: a pixel that goes on from
#   above costs it much more than one that goes on from the left.
# - Masks, diagonals, stacks: five ways to bring the upper neighbours near, each with a field of view that can be drawn.
#   Drawing it found a blind spot.
# - Simple and fast are the same: a loop over pixels and a scan over diagonals, a sampler that recomputes and one that does not.
# - Colours come one after the other, or as words of a palette; the order is a mask.
# - All of them have an exact likelihood, and all of them paint slowly, one pixel at a time.
#
# **Terms fixed here** ([glossary](glossary.md)): palette, raster order, completion of images, Jacobian, masked convolution (A and B),
# receptive field, blind spot, Grid LSTM, Row LSTM, Diagonal BiLSTM, skewing, gate.
#
# The next chapter goes back to one dimension, and to sixteen thousand words a second.

# %% [markdown]
# ## Your turn
#
# 1. In the walk, which cells know cell 4? Where would they have to stand for a walk that starts at the lower left?
# 2. Look through the Row LSTM's eyes at (14, 10). Where does its triangle end, and why not earlier?
# 3. Draw twelve creatures at `temperature=0.5` and at 2. The lecture says that painting from nothing needs some randomness. How much
#    is some?
# 4. Train the raster LSTM for 3,000 steps. Does it find the plane by itself? What does that cost?
# 5. Turn all sprites by 90 degrees. Which model minds?
#
# Then the graded assignment: `coursework/04_pixelrnn_images`, in which you ask a model whether it knows how little it knows, walk
# out the blind spot without a single weight, hand an RGB model the palette, and let the bottom of an image have its say.
#
# Further reading: [van den Oord et al. (2016)](references.md#oord2016pixel) has the Row LSTM, the Diagonal BiLSTM and
# the PixelCNN; [van den Oord et al. (2016)](references.md#oord2016conditional) finds and closes the blind spot;
# [Kalchbrenner et al. (2015)](references.md#kalchbrenner2015) is the Grid LSTM;
# [Salimans et al. (2017)](references.md#salimans2017) is what became of them.
