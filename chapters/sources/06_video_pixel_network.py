# %% [markdown]
# # 6 · Video Pixel Network: and when it moves?
#
# **You will build a network that draws a video pixel by pixel, and put it where the future can go two ways. It takes
# one of them. Another network, which sees the same past, draws a ghost.**
#
# *Laptop: under 75 seconds. You need: the masked convolutions of [chapter 4](04_pixelrnn_images.ipynb), and its LSTM.*

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
# A digit flies through a small frame and bounces off the walls. A Video Pixel Network gets the first two frames, in
# grey. It draws the next ones, in blue, one pixel after the other. Here it does so four times.

# %% tags=["drawing"]
import torch
from course_lib.data.bouncing_digits import load_bouncing_digits
from course_lib.data.shipped import shipped
from course_lib.device import make_generator
from course_lib.models.video_pixel_network import VideoPixelNetwork, VPNConfig
from course_lib.show.videos import show_film

painter = VideoPixelNetwork(VPNConfig(), generator=make_generator(0))
weights = torch.load(shipped("samples/video_painter.pt"), weights_only=True)
painter.load_state_dict(weights)
came = load_bouncing_digits(1, generator=make_generator(0), frames=9, split="test").x
same = {"given": came[:, :2].expand(4, -1, -1, -1, -1), "progress": False}
drawn = painter.sample(4, frames=9, generator=make_generator(0), **same)
films = {"what came": came[0]} | {f"drawn {k}": x for k, x in enumerate(drawn, 1)}
show_film(films, given=2)

# %% [markdown]
# The four films have the same two frames to begin with. At a wall the digit may leave in more than one direction, and
# from there on they go different ways. In each of them the digit stays whole. (The network has never seen this digit.
# It has trained for four minutes; nothing here was selected.) Move the slider to watch all five:

# %% tags=["drawing"]
from functools import partial

from course_lib.show.explore import explore
from course_lib.show.videos import show_moment

alt = "five films of one digit at the same moment"
watch = partial(show_moment, films, given=2)
explore(watch, frame=range(9), start={"frame": 0}, alt=alt)

# %% [markdown]
# ## Setup

# %%
import math

import torch.nn.functional as F
from course_lib.device import pick_device
from course_lib.models.video_pixel_network.blocks import PlainUnit
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# **Bouncing digits** are the handwritten digits of chapter 2 in black and white, cropped to their ink. One of them
# flies through a frame of 12×12 pixels. It moves one pixel up or down and one to the left or right, so there are four
# directions. While its direction keeps it inside, it goes on. Where the next step would leave the frame, a new
# direction is *drawn*: all directions that stay inside are equally likely. This rule is the **law** of these videos.

# %%
videos = partial(load_bouncing_digits, generator=make_generator(seed))
x_train = videos(8000, frames=4).x  # (N, T, C, H, W), 1 is ink
test = videos(120, frames=12, split="test")  # digits that nobody trains on
x_test = test.x
_, T, C, H, W = x_test.shape
x_train.shape, x_test.shape

# %% tags=["drawing"]
show_film({f"test video {k}": x_test[k, :9] for k in range(3)}, given=9)

# %% [markdown]
# Training videos have four frames, test videos have twelve (nine are shown). We will see that four are enough to learn
# from.
#
# The program that makes the videos knows what each frame **costs**: $-\log$ of its probability, given the frames
# before. As long as the digit flies on, the next frame is certain and costs nothing. At a wall two directions are left
# (in a corner one), and either costs $\log 2 = 0.69$ nats. Nobody can do better on average, so this is the **floor**.
# In frame 0 the digit is new, and in frame 1 the direction is. So we count from frame 2 on.

# %%
floor = test.floor[:, 2:]
turn = floor > 0  # where there was more than one way to go on
step = test.corner[:, 0].diff(dim=1)  # (n, T − 1, 2): where the digit went
corner = (step[:, 1:] != step[:, :-1]).any(2) & ~turn  # thrown back, the one way left
kinds = {"straight on": ~(turn | corner), "at a turn": turn, "in a corner": corner}

# %% tags=["checking"]
from course_lib.measure.motion import futures

moved, allowed = futures(x_test)  # the four next frames, and which are possible
ways = allowed[:, 1:-1].sum(2)  # found from the frames alone
assert torch.equal(ways.float().log(), floor) and ways.max() == 2
for kind, where in kinds.items():
    print(f"{where.float().mean():.0%} of the frames are {kind}")
print(
    f"floor {floor.mean():.2f} nats/frame (a coin for each pixel: {H * W * 0.693:.0f})"
)

# %% [markdown]
# The library can also find the floor from the frames alone: `futures` moves each frame in all four directions, and says
# which of the four the law allows next. We will use it as a judge that is never wrong.

# %% [markdown]
# ## The idea
#
# A video is a sequence of frames, and a frame is a sequence of pixels. So the probability of a video is once more a
# product of small choices, and its logarithm a sum:
#
# $$ \log p(x) = \sum_{t} \sum_{i,j} \log p\bigl(x_{tij} \mid \text{the past}\bigr) $$
#
# *The past* of a pixel is all frames before its own and, in its own frame, the pixels before it in raster order.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, T, C, H, W), levels 0 … V−1; here C = 1, V = 2 |
# | $x_{tij}$ | `x[:, t, :, i, j]` | (B, C) |
# | $\log p(\cdot \mid \text{before})$, up to a constant | `logits[:, t, :, i, j]` | (B, C, V) |
# | $\log p(x)$ | `log_prob(x)`, or by frame | (B,), or (B, T); nats |
#
# One could read a video as one long row of pixels, and let chapter 4's raster LSTM predict it. But then the same pixel
# one frame ago is 144 steps away, and we know what such a distance costs. The **Video Pixel Network** ([Kalchbrenner et
# al., 2017](references.md#kalchbrenner2017)) shares the work between two machines that we know. One goes from frame to
# frame, looks at all pixels at once, and remembers. The other draws a frame pixel by pixel, like a PixelCNN, and is
# *told* what the first has to say about it.
#
# ![Frames 0, 1 and 2 go through the encoder, one by one. What it finds goes into a ConvLSTM, which carries its state
# from frame to frame. What it says after frame 1 goes to a decoder, together with the pixels of frame 2 that are
# already drawn; the decoder gives the next pixel of frame 2.](images/06_two_machines.svg)

# %% [markdown]
# ## Build: a unit with gates
#
# The smallest part is a convolution with gates, the **multiplicative unit**. It is a step of an LSTM without time: `g2`
# says how much of the old features stays, `g3` how much of the update comes in, and `g1` how much of the result is
# shown.


# %% tags=["twin:course_lib.models.video_pixel_network.blocks.MultiplicativeUnit"]
class MultiplicativeUnit(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv  # F features -> 4F

    def forward(self, h):
        return self.gated(h, self.conv(h))

    def gated(self, h, numbers):
        g1, g2, g3, update = numbers.chunk(4, 1)
        new = g2.sigmoid() * h + g3.sigmoid() * update.tanh()
        return g1.sigmoid() * new.tanh()


# %% [markdown]
# A **block** narrows the features to half, sends them through two such units, and adds what they found to its input:


# %% tags=["twin:course_lib.models.video_pixel_network.blocks.Block"]
class Block(nn.Module):
    def __init__(self, features, look, multiplicative=True):
        super().__init__()
        half = features // 2
        unit, outputs = (
            (MultiplicativeUnit, 4 * half) if multiplicative else (PlainUnit, half)
        )
        self.narrow = nn.Conv2d(features, half, 1)
        self.units = nn.Sequential(unit(look(half, outputs)), unit(look(half, outputs)))
        self.widen = nn.Conv2d(half, features, 1)

    def forward(self, h):
        return h + self.widen(self.units(self.narrow(h)))


# %% [markdown]
# `look` is the kind of convolution: one that looks to all sides, or one that is masked. (`PlainUnit`, a convolution and
# a ReLU, is a rival. We compare the two [below](#what-each-part-is-worth).)

# %% [markdown]
# ## Build: the encoder
#
# The encoder looks at one whole frame, to all sides, and nothing is made smaller on the way. Every pixel of a frame
# needs a prediction, so every pixel keeps its place. To see far, it uses chapter 5's **dilation**: in the second block,
# the taps of the 3×3 convolutions are two pixels apart.

# %%
from course_lib.layers import FORGET_BIAS, initialised_by


def spread(dilation):  # a convolution to all sides, which keeps the size
    return partial(nn.Conv2d, kernel_size=3, padding=dilation, dilation=dilation)


def encoder(*dilations, features=16):
    blocks = [Block(features, spread(d)) for d in dilations]
    return nn.Sequential(nn.Conv2d(2, features, 3, padding=1), *blocks)


# %% tags=["checking"]
def sees(network, size=31):  # the side of the square that can change the middle pixel
    x = torch.randn(1, 2, size, size, dtype=torch.double, requires_grad=True)
    network.double()(x)[..., size // 2, size // 2].sum().backward()
    return int((x.grad.abs().sum((0, 1, 2)) > 0).sum())


with initialised_by(generator):
    for dilations in (1, 1), (1, 2), (1, 2, 4):
        print(dilations, f"{(n := sees(encoder(*dilations)))} × {n} pixels")
        assert n == 3 + 4 * sum(dilations)

# %% [markdown]
# With dilations 1 and 2, a pixel sees a square of 15×15. That is all of its 12×12 frame, if it lies near the middle.

# %% [markdown]
# ## Build: an LSTM in every pixel
#
# The encoder knows one frame, and one frame does not show where the digit is *going*. So the next part remembers. The
# **convolutional LSTM** ([Shi et al., 2015](references.md#shi2015)) has a small LSTM in every pixel. Its gates also see
# the eight neighbours of that pixel, in what enters and in its own last state:


# %% tags=["twin:course_lib.models.video_pixel_network.blocks.ConvLSTM"]
class ConvLSTM(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.enter = nn.Conv2d(features, 4 * features, 3, padding=1)
        self.stay = nn.Conv2d(features, 4 * features, 3, padding=1, bias=False)

    def forward(self, x, hidden, cell):
        forget, input, output, candidate = (self.enter(x) + self.stay(hidden)).chunk(
            4, 1
        )
        cell = (
            forget + FORGET_BIAS
        ).sigmoid() * cell + input.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell


# %% [markdown]
# (`FORGET_BIAS` is 1, as in chapter 4: at the start it forgets little.) In one step, news travels one pixel through
# these 3×3 kernels. A digit here moves one pixel a frame.
#
# ## Build: what the decoder is told
#
# Now encoder and LSTM go through the video, frame by frame. After each one, a linear map turns the LSTM's state into
# what the next frame's decoder is **told**. About the first frame there is nothing to tell. `place` holds a vector for
# each pixel, so that every part knows where the walls are.


# %%
def told(model, words):  # (B, T, V, H, W) -> (B, T, F, H, W)
    nothing = torch.zeros_like(model.place).expand(len(words), -1, -1, -1)
    hidden, cell, states = nothing, nothing, [nothing]
    for frame in words[:, :-1].unbind(1):  # the last one has nobody to tell
        seen = model.encoder(model.first(frame) + model.place)
        hidden, cell = model.lstm(seen, hidden, cell)
        states.append(hidden)
    return torch.stack([model.tell(h) + model.place for h in states], 1)


# %% [markdown]
# `words` are the pixels as vectors with a single 1. One trick is in `model.tell`: its weights start **eight times as
# large** as usual. An LSTM's state is small at first, and what is told would be drowned out by what the decoder sees
# for itself. Without this, six training runs at our rate ended between 2.7 and 25 nats above the floor (those below:
# 1.2 to 2.8), and two of them had learnt to do without the past altogether.
#
# ## Build: two decoders
#
# The decoder is chapter 4's PixelCNN. A filter of 5×5 with mask A looks at the pixels of its own frame that are already
# drawn, and what is told is added. Blocks with mask B and a head follow:


# %%
def painted(model, words):  # logits (B, T, C, H, W, V)
    hears = told(model, words).flatten(0, 1)  # all frames at once: teacher forcing
    own = model.look(words.flatten(0, 1))
    h = F.relu(model.decoder(hears + own))
    return model.head(h, None).unflatten(0, words.shape[:2])


# %% [markdown]
# The **baseline** is the same network, without the frame that is being drawn. With no pixels to hide, it needs no mask:


# %%
def independent(model, words):  # logits (B, T, C, H, W, V)
    hears = told(model, words).flatten(0, 1)
    logits = model.head(F.relu(model.decoder(hears)))  # (B · T, V, H, W)
    return logits[:, None].movedim(2, -1).unflatten(0, words.shape[:2])


# %% [markdown]
# So the baseline sees the same past, through an encoder, a memory and a decoder of the same size. But given that past,
# its pixels are **independent** of each other: it has said everything about the frame before the first pixel is drawn.

# %% tags=["checking"]
from course_lib.check import assert_close
from course_lib.models.video_pixel_network import IndependentPixels

few = x_train[:2].to(device)
built = {VideoPixelNetwork: painted, IndependentPixels: independent}
for kind, logits in built.items():
    model = kind(VPNConfig(), generator=generator).to(device)
    assert_close(logits(model, model.words(few)), model(few), tolerance=1e-5)
    print(kind.__name__, f"{sum(p.numel() for p in model.parameters()):,} weights")

# %% [markdown]
# What we built gives the library's logits. What can one pixel see? As in chapter 4 we ask the gradient: how strongly
# does the log-probability of pixel $(t, i, j)$ depend on each pixel of each frame?


# %%
def looks(model, x, t, i, j):  # (T, H, W)
    words = model.words(x).requires_grad_()
    log_p = model.logits(words).log_softmax(-1)[:, t, 0, i, j]  # (B, V)
    said = log_p.gather(-1, x[:, t, 0, i, j, None]).sum()
    (gradient,) = torch.autograd.grad(said, words)
    return gradient.norm(dim=2).mean(0).cpu()


# %% tags=["drawing"]
from course_lib.show.videos import show_past

at = (3, 6, 6)
fresh = {"VPN": VideoPixelNetwork, "baseline": IndependentPixels}
fresh = {name: kind(VPNConfig(), generator=generator) for name, kind in fresh.items()}
fields = {name: looks(model, x_train[:20], *at) for name, model in fresh.items()}
show_past(fields, at=at)

# %% tags=["checking"]
order = torch.arange(4 * H * W).view(4, H, W)
own = order[3] < order[at]
assert not fields["VPN"][order >= order[at]].any(), "nothing that is not drawn yet"
assert not fields["baseline"][3].any(), "nothing of its own frame"
assert all((field[:2] > 0).all() for field in fields.values())

# %% [markdown]
# Before any training, the pixel at the cross can see all of frames 0 and 1. It sees most of frame 2, and the VPN also
# sees what is already drawn of its own frame, except for a few orange pixels. You know those: they are the blind spot
# of chapter 4's PixelCNN. The baseline's own frame is all orange.

# %% [markdown]
# ## Knobs

# %%
steps = 700  # under half a minute for each model
batch_size = 8
lr = 1e-2  # large, since the cosine schedule takes it down to 0
config = VPNConfig(
    levels=2,
    features=16,  # numbers a pixel
    encoder=(1, 2),  # a block for each dilation
    decoder=2,  # masked blocks
)

# %% [markdown]
# ## Train
#
# The loss is what a video's frames cost, in nats, without frame 0, which nobody can foresee.

# %%
from course_lib.train import fit


def nll(model, x):  # (B,) nats
    return -model.log_prob(x, by_frame=True)[:, 1:].sum(1)


def train(kind, steps=steps):
    model = kind(config, generator=generator).to(device)
    how = {"batch_size": batch_size, "schedule": "cosine", "generator": generator}
    history = fit(model, x_train.to(device), loss=nll, steps=steps, lr=lr, **how)
    return model, history


vpn, vpn_history = train(VideoPixelNetwork)
baseline, baseline_history = train(IndependentPixels)

# %% tags=["drawing"]
from course_lib.show.plots import show_curves


def smooth(history):  # means of 20 steps, nats a frame
    loss = torch.tensor(history.loss) / (x_train.shape[1] - 1)
    return range(10, steps, 20), loss.view(-1, 20).mean(1)


curves = {"VPN": smooth(vpn_history), "baseline": smooth(baseline_history)}
show_curves(curves, xlabel="steps", ylabel="loss, nats a frame", ylim=(0, 45))

# %% [markdown]
# The VPN learns faster from the first hundred steps on. And on test videos, whose digits nobody has trained on?


# %%
@torch.no_grad()
def above(model):  # (n, T − 2): nats a frame above the floor
    parts = x_test.to(device).split(25)
    nats = torch.cat([-model.log_prob(x, by_frame=True) for x in parts])
    return nats.cpu()[:, 2:] - floor


# %% tags=["checking"]
from course_lib.show.typeset import show_table

costs = {"VPN": above(vpn), "baseline": above(baseline)}


def row(name, cost):
    parts = cost, *(cost[where] for where in kinds.values())
    return [name, *(f"{part.mean():.1f}" for part in parts)]


headers_of = ["all", *kinds]
of_vpn, of_baseline = (cost.mean() for cost in costs.values())
assert of_vpn < of_baseline / 3
show_table(
    ["nats a frame above the floor", *headers_of], [row(*c) for c in costs.items()]
)

# %% [markdown]
# Over five seeds, the VPN pays 1.2 to 2.8 nats a frame above the floor, and the baseline 8 to 17. Both pay most at a
# turn: the VPN 2 to 5, the baseline 22 to 32. What does a turn do to it?

# %% [markdown]
# ## The ghost
#
# Take the first turn of test video 2, the last one above. Two futures are possible, A and B. What do the networks
# expect?

# %%
n = 2
t = turn[n].nonzero()[0].item() + 1  # the last frame before it
past = x_test[n, : t + 1]
A, B = moved[n, t][allowed[n, t]]


@torch.no_grad()
def expects(model, frame):  # (H, W): probability of ink, each given what it may see
    x = torch.cat([past, frame[None]])[None].to(device)
    return model(x)[0, -1, 0].softmax(-1)[..., 1].cpu()


# %% tags=["drawing"]
from course_lib.show.videos import show_stills

differs = (A != B).flatten().nonzero()[0].item()
real = {"the last frame": past[-1, 0], "future A": A[0], "future B": B[0]}
real["half of each"] = (A[0] + B[0]) / 2
blurred = expects(baseline, A)
one_draw = torch.bernoulli(blurred, generator=make_generator(seed))
hopes = {"the baseline\nexpects": blurred, "the baseline\ndraws": one_draw}
hopes |= {
    f"the VPN, if so far\n{k} was drawn": expects(vpn, x)
    for k, x in (("A", A), ("B", B))
}
framed = dict.fromkeys([*hopes][2:], divmod(differs, W))
show_stills(real | hopes, given=real, framed=framed, columns=4)

# %% [markdown]
# The fourth picture, half of A and half of B, is a **ghost**. If you had to say something about each pixel by itself,
# before the first one is drawn, you could not do better: each of these pixels is inked in one future of two. The
# baseline expects just that, a little blurred. Its mistake comes afterwards. It draws each pixel by itself, so one
# comes from A and the next from B, and what it draws is no digit.
#
# The VPN cannot know the first pixel that matters either, the one in the red frame. But once that pixel is drawn, the
# VPN sees it. If it is A's, all that follows is A, and if it is B's, B.
#
# Is it always so? Take all turns of all test videos, and all pixels that only one of the two futures inks. What did
# each network pay for the first of these pixels, and for a later one?

# %%
possible = allowed[..., None, None, None]  # (n, T, 4, 1, 1, 1)
mixed = (moved * possible).sum(2) / possible.sum(2)  # both futures, half each
mixed = mixed[:, 1:-1]  # (n, T − 2, C, H, W): what may come in frames 2, 3, …
split = (mixed == 0.5).flatten(2)
first = split & (split.cumsum(2) == 1)
later = split & ~first


@torch.no_grad()
def asked(model):  # (n, T − 2, pixels): what each pixel costs, in nats
    p = torch.cat([model(x).softmax(-1) for x in x_test.to(device).split(25)])
    return -p.cpu().gather(-1, x_test[..., None])[:, 2:].flatten(2).log()


# %% tags=["checking"]
rows, paid = [], {}
networks = {"VPN": vpn, "baseline": baseline, "VPN, 7,000 steps": painter}
for name, model in networks.items():
    nats = asked(model.to(device))
    paid[name] = nats[first].mean(), nats[later].mean()
    settled = (nats[later] < -math.log(0.9)).float().mean()
    rows.append([name, *(f"{x:.2f}" for x in paid[name]), f"{settled:.0%}"])
    assert paid[name][0] > 0.6, "a coin cannot be foreseen"
assert paid["VPN"][1] < 0.3 and paid["baseline"][1] > 0.6
assert paid["VPN, 7,000 steps"][1] < 0.05
headers = ["nats for one pixel", "first", "later", "later, above 90 %"]
show_table(headers, rows)

# %% [markdown]
# A coin decides the first of these pixels, so nobody can pay less than $\log 2 = 0.69$ nats for it on average. (Who
# bets, and is wrong half the time, pays more. The VPN does that after 700 steps, and hardly after 7,000, in the last
# row.) The later pixels tell the two networks apart. The baseline pays for each of them as for another coin. For the
# VPN the matter is settled: it gives more than 90 per cent to what comes at about nine in ten of them, and after a
# longer training at nearly all. Both have seen the same past. The difference is the pixels of the present that are
# already drawn.

# %% [markdown]
# ## The price of a ghost
#
# So part of what the baseline pays is the ghost, and part may be bad copying. Which is which? We know the law, so we
# can tell. The best that *any* model with independent pixels can do is to say the truth about each pixel. That is
# `mixed`, the mean of the futures that are possible. Where the two futures differ in $k$ pixels, it pays $\log 2$ for
# each of the $k$. Someone who knows the law pays $\log 2$ once. So the price of the ghost is $(k - 1) \log 2$. How much
# is that here?

# %%
p = mixed.where(x_test[:, 2:] == 1, 1 - mixed)
ghost = -p.log().flatten(2).sum(2) - floor  # nats a frame above the floor

# %% tags=["checking"]
from course_lib.measure.motion import independent_nats

assert_close(ghost, independent_nats(x_test)[:, 2:] - floor, name="the library's")
costs["best with independent pixels"] = ghost
assert ghost[~turn].abs().max() == 0 and 16 < ghost[turn].mean() < 19
assert 5 < ghost.mean() < 6.2 and of_vpn < ghost.mean() < of_baseline
assert costs["VPN"][~turn].mean() < costs["baseline"][~turn].mean()
show_table(
    ["nats a frame above the floor", *headers_of], [row(*c) for c in costs.items()]
)

# %% [markdown]
# Between 17 and 18 nats at a turn, since the two futures differ in about 26 pixels, and nothing anywhere else. That is
# 5.3 to 5.9 nats a frame in the mean (five seeds), and no training can bring a model with independent pixels below it.
# The VPN is below it.
#
# But look at the second column. Where the digit flies straight on there is no ghost, and the baseline still pays far
# more than the VPN. So the ghost is not the whole story. After these few steps the baseline is also bad at *copying*:
# at moving a digit by one pixel and leaving it as it is.

# %% [markdown]
# ## Does it go away?
#
# The training runs on this page are short. Are these differences still there after five or ten times as many steps?
# `python benchmarks/movers.py` has trained both networks for that long, and this page reads what it stored. Beside them
# stand two rules that need no training. One repeats the last frame. The other moves on by the last step, and never
# turns. (Each allows for as many wrong pixels as it makes in the training videos.)

# %%
from course_lib.show.stored_runs import StoredRuns

runs = StoredRuns(shipped("results/movers.json"))
lengths = sorted({r["steps"] for r in runs.rows if "steps" in r})
LONG = {steps: runs.where(steps=steps) for steps in lengths}

# %% tags=["checking"]
columns = {"nats": ".1f", "straight": ".1f", "turn": ".1f", "corner": ".1f"}


def stored(kind, names, columns=columns):  # rows of a table, by steps
    lines = []
    for steps, some in LONG.items():
        for name in names:
            if any((r["kind"], r["name"]) == (kind, name) for r in some.rows):
                ((_, *cells),) = some.table(kind, [name], columns)
                lines.append(
                    [name, f"{steps:,}", *cells, len(some.of(kind, name, "seed"))]
                )
    return lines


both = ["VPN", "baseline"]
rows = stored("main", both) + stored("long", both)
rules = {"the law, independent pixels": "best with independent pixels"}
rules |= {"straight on": "straight on, never turns", "repeat": "the last frame again"}
for word, *cells in runs.table("rules", rules, columns):
    rows.append([word, "", *cells, len(runs.of("rules", "repeat", "seed"))])
more = LONG[3500]
assert all(LONG[n].below("main", *both, "nats", times=1 / 3) for n in (700, 3500))
assert all(max(more.of("main", name, "straight")) < 0.2 for name in both)
bound = runs.of("rules", "the law, independent pixels", "turn")[0]
turns = more.of("main", "VPN", "turn"), more.of("main", "baseline", "turn")
assert max(turns[0]) < 1 and bound < min(turns[1])
assert max(turns[1]) < bound + 2
show_table(["", "steps", *headers_of, "runs"], rows)

# %% [markdown]
# After 3,500 steps, two minutes of training, the second column has changed. Straight on, both pay about 0.1 nats: **the
# baseline has learnt to copy**, and there the VPN was only faster, since it sees the digit that it has begun. At a turn
# the difference has stayed. The VPN pays 0.3 nats, and the baseline 18.6, of which 17.9 are the price of the ghost.
# Over all frames **nearly all that is left is the ghost**, 5.4 of 5.8 nats, and it does not go away. (The rest is
# mostly in corners, which are rare, and where the baseline has not learnt to turn around.) Ten times as many steps make
# the VPN no better than five times.
#
# The rules of the table show how far a little knowledge goes. Repeating the last step is right two times out of three.
# But it knows nothing of turns, and a turn then costs far more than the ghost does.
#
# As a control we take chance away. With **mirror walls** the digit is thrown back like light, and from frame 2 on
# nothing is uncertain. Nobody needs to paint a ghost. Is there still a difference?

# %% tags=["checking"]
sure = {"nats": ".1f", "straight": ".1f", "corner": ".1f"}
rows = stored("mirror", both, sure)
assert max(more.of("mirror", name, "nats")[0] for name in both) < 0.3
show_table(["mirror walls", "steps", "all", "straight on", "thrown back", "runs"], rows)

# %% [markdown]
# After 700 steps there is, and none of it can be a ghost: it is copying, and turning around. After 3,500 steps both pay
# 0.11 nats. Where nothing is uncertain, independent pixels lose nothing, and the difference is gone. So it *was* the
# ghost that was left behind the other walls.

# %% [markdown]
# ## Draw
#
# Now let it draw. To draw a frame, each pixel has to wait for the one before it. The simple way runs the whole network
# again for every pixel:

# %%
from itertools import product

from course_lib.decode import draw


@torch.no_grad()
def simply(model, x, generator):  # draws the last frame of x (n, T, 1, H, W) anew
    for i, j in product(range(H), range(W)):
        logits = model(x)[:, -1, 0, i, j]  # (n, V)
        x[:, -1, 0, i, j] = draw(logits, generator=generator)
    return x


# %% [markdown]
# Nearly all of this is done twice. Old frames do not change, so the encoder and the LSTM need to see each frame only
# once, when it is complete. And in the frame that is being drawn, a new pixel changes only what comes after it. The
# library's `sample` keeps everything else: a frame costs one step of the LSTM, and each pixel one pass through the
# decoder *at that pixel*.

# %% tags=["checking"]
from torch.utils.flop_counter import FlopCounterMode


def count(work):  # what it gives, and the multiplications, in millions
    with FlopCounterMode(display=False) as counter:
        made = work()
    return made, counter.get_total_flops() / 2e6


begun = x_test[:1, :4].to(device)
dice = partial(make_generator, seed, device)
ways = {
    "simply": lambda: simply(vpn, begun.clone(), dice()),
    "kept": lambda: vpn.sample(
        1, frames=4, given=begun[:, :-1], generator=dice(), progress=False
    ),
}
(slow, of_slow), (fast, of_fast) = (count(work) for work in ways.values())
print(f"simply {of_slow:,.0f}, kept {of_fast:,.0f} million multiplications for a frame")
assert torch.equal(slow, fast), "equal draws"
assert of_slow > 150 * of_fast

# %% [markdown]
# With the same dice both draw the same frame. Keeping what does not change takes 190 times fewer multiplications here.
# (Seconds are another matter. In a network this small, a call to the processor costs more than the few multiplications
# in it. So the clock shows a factor of about 9 for two films, and of 91 for sixteen at once: `make bench`.)
#
# ## Several futures
#
# Back to the turn above. The painter of the first picture is the same network, after 7,000 steps. It draws the next
# frame 300 times. Is A drawn as often as B?

# %% tags=["checking"]
how = {"frames": t + 2, "given": past.expand(300, -1, -1, -1, -1), "progress": False}
made = painter.sample(300, generator=make_generator(seed), **how)[:, -1]
shares = [(made == future).flatten(1).all(1).float().mean().item() for future in (A, B)]
print("A {:.0%}, B {:.0%},".format(*shares), f"neither {1 - sum(shares):.0%} (± 3 %)")
((*elsewhere,),) = runs.where(seed=0).of("long", "VPN", "futures")
for a, b, neither in elsewhere:
    print(f"elsewhere {a:.0%}, {b:.0%}, neither {neither:.0%}")
fair = [0.4 < a < 0.6 and 0.4 < b < 0.6 for a, b, _ in elsewhere]
assert sum(fair) == 6 and min(shares) > 0.1

# %% [markdown]
# At this turn it draws one of the two futures and hardly anything else, and the one about as often as the other, as the
# law says. Of eight other turns, in the stored run, six are like this, with 42 to 57 per cent for either future. At the
# other two it often draws neither. There is a way to ask without drawing, for all turns at once: `log_prob` says how
# likely the network holds A, and B.


# %% tags=["checking"]
def both_ways(model):  # p(A), p(B) at each turn of the test videos
    which = turn.nonzero()[:80].tolist()
    seen = [(x_test[v, : f + 2], moved[v, f + 1][allowed[v, f + 1]]) for v, f in which]
    said = []
    for past, ways in seen:
        x = torch.cat([past.expand(2, -1, -1, -1, -1), ways[:, None]], 1).to(device)
        with torch.no_grad():
            said.append(model.log_prob(x, by_frame=True)[:, -1].exp().cpu())
    return torch.stack(said)  # (turns, 2)


rows, sums = [], {}
for name, model in {"VPN": vpn, "VPN, 7,000 steps": painter}.items():
    p = both_ways(model)
    likelier = (p.max(1).values / p.sum(1)).median()
    sums[name] = p.sum(1).mean()
    rows.append([name, f"{sums[name]:.0%}", f"{likelier:.0%}"])
assert sums["VPN"] < 0.5 < 0.75 < sums["VPN, 7,000 steps"]
assert likelier < 0.65, "and the coin is nearly fair"
show_table(["80 turns", "A or B", "of this, the likelier (median)"], rows)

# %% [markdown]
# After 700 steps the VPN gives little to A and B together, since it cannot yet copy a whole frame without a mistake,
# and of the two it bets on one. After 7,000 steps nine tenths of all probability are on A and B, and of this the
# likelier one has 56 per cent in the median: a coin, and nearly a fair one.
#
# ## One wrong step, again
#
# Each new frame is drawn from frames that were drawn themselves, so here is the disease of chapter 3 once more:
# 一步错，步步错. The law is an exact judge, and so we can see it happen. A film is **unbroken** as long as every frame is its
# predecessor, moved as the law allows, to the pixel. How many of 200 are still unbroken after 1, 2, … 10 frames?

# %% tags=["drawing"]
ahead = range(1, 11)


def shares_of(what, name, steps, kind="main"):  # means over the seeds
    return torch.tensor(LONG[steps].of(kind, name, what)).mean(0)


lines = {f"VPN, {n:,} steps": ("VPN", n) for n in (700, 3500)}
lines |= {f"baseline, {n:,} steps": ("baseline", n) for n in (3500,)}
unbroken = {
    word: (ahead, shares_of("unbroken", *which)) for word, which in lines.items()
}
unbroken["VPN, 7,000 steps"] = ahead, shares_of("unbroken", "VPN", 7_000, "long")
perfect = runs.of("rules", "the law, independent pixels", "unbroken")
unbroken["best with independent pixels"] = ahead, torch.tensor(perfect).mean(0)
axes = {"xlabel": "frames drawn", "ylim": (0, 1.02), "xticks": ahead}
show_curves(unbroken, ylabel="share of films without a mistake", **axes)

# %% [markdown]
# After ten frames about half of the VPN's films are still without a mistake, if it has trained for two minutes or more,
# and ten times as many steps are no better than five times. After 20 seconds of training, about as long as on this
# page, there are hardly any left. The long-trained baseline keeps two thirds of its films for one frame, those without
# a turn. It loses nearly all of them at their first turn, and so does even the best that independent pixels can do. In
# numbers:

# %% tags=["checking"]
columns = {"unbroken_straight": "%", "unbroken_turn": "%", "after_mistake": "%"}
columns |= {"lawful_on_true": "%"}
rows = stored("main", both, columns) + stored("long", both, columns)
right = {name: partial(more.of, "main", name) for name in both}
assert min(x[-1] for x in right["VPN"]("unbroken")) > 0.4
assert min(right["baseline"]("unbroken_straight")) > 0.9
assert max(right["baseline"]("unbroken_turn")) < 0.1
pairs = zip(right["VPN"]("after_mistake"), right["VPN"]("lawful_on_true"), strict=True)
assert all(after + 0.05 < true for after, true in pairs)
headers = [
    "right frames, %",
    "steps",
    "straight on",
    "turn or corner",
    "after a mistake",
]
show_table([*headers, "after true frames", "runs"], rows)

# %% [markdown]
# The first two columns are films without a mistake so far. Straight on, the baseline is right as often as the VPN. At a
# turn or in a corner it is right in 2 of 100 films: it has drawn from A and from B, pixel by pixel. The third column is
# what comes after the first mistake. There we ask only whether the next frame is what was drawn last, moved as the law
# allows. With the ghost it hardly ever is: no step leads to a mixture of two frames, so several directions are open,
# and the next frame is mixed again. The VPN also errs more often after a mistake than after true frames (18 per cent of
# frames against 7, after 3,500 steps).
#
# A viewer would be less strict. Does each frame still show *the digit*? A judge decides, a classifier that has learnt
# from training digits, and from spoiled ones, which it must refuse.

# %% tags=["drawing"]
judged = {word: (ahead, shares_of("judged", *which)) for word, which in lines.items()}
judged["VPN, 7,000 steps"] = ahead, shares_of("judged", "VPN", 7_000, "long")
frozen = torch.tensor(runs.of("rules", "repeat", "judged")).mean(0)
judged["the last given frame, for ever"] = ahead, frozen
show_curves(judged, ylabel="share in which the judge finds the digit", **axes)

# %% tags=["checking"]
tried = runs.of("rules", "the test videos", "judge")[0]
kept = [row[-1] for row in more.of("main", "VPN", "judged")]
assert frozen[-1] > max(kept) and frozen.std() < 1e-6
assert max(tried[kind] for kind in ("blank", "noise", "both futures")) < 0.05
for kind, share in tried.items():
    if kind != "right":
        print(f"{kind:18s}{share:4.0%} taken for a digit")

# %% [markdown]
# The judge is right about 91 per cent of true frames, and it refuses blank frames, noise and two digits on top of each
# other. (It accepts half a digit in half of all cases, and a frame drawn from both futures in one of eight, so it sees
# no small damage.) It finds the digit of a VPN that has trained for long nearly as often after ten frames as after one.
# But look at the top line: a film that stands still gets full marks from the judge, for ever. The law gives it nothing.
# **One needs both**: a judge of what is shown, and a judge of how it moves.

# %% [markdown]
# ## What it uses
#
# What a pixel *can* see was decided by the wiring. What does the trained network *use*? Move the pixel through the
# frames and over the frame:


# %%
places = {"upper left": (3, 3), "middle": (6, 6), "lower right": (9, 9)}


def show_use(frame, place):
    at = (frame, *places[place])
    fields = {"can see": fresh["VPN"], "VPN uses": vpn, "baseline\nuses": baseline}
    x = x_test[:10, :5].to(device)
    return show_past({name: looks(m, x, *at) for name, m in fields.items()}, at=at)


# %% tags=["drawing"]
alt = "what a pixel can see and what it uses, in five frames"
explore(show_use, frame=range(1, 5), place=list(places), start={"frame": 4}, alt=alt)

# %% [markdown]
# Follow the middle row. The VPN uses its own frame and the last one most, where they show which digit it is drawing and
# where. The frame before that counts less than half as much, and those before it hardly at all. The baseline has only
# the past. Here are the lengths of the VPN's gradients, frame by frame, for a pixel of frame 5:

# %% tags=["checking"]
use = looks(vpn, x_test[:50, :6].to(device), 5, 6, 6)
share = use.square().sum((1, 2)).sqrt()
print("frames 0 to 5:", *(f"{s / share.max():.3f}" for s in share))
assert share[:4].max() < share[4] / 2, "the frame before the last counts far less"

# %% tags=["checking"]
four = {"nats": ".1f", "straight": ".1f", "turn": ".1f", "corner": ".1f"}
less = "nothing", "one frame", "two frames"
rows = stored("told", less, four) + stored("main", ["VPN"], four)
show_table(["the decoder is told of", "steps", *headers_of, "runs"], rows)

# %% [markdown]
# These are VPNs that are told less, after 700 steps. Told *nothing*, the decoder is a PixelCNN that has to guess which
# digit comes and where, and pays 24 nats. Told *one frame*, it knows the digit and not where it is going, and pays 3
# nats where the digit flies straight on. (At a turn that does not matter: a digit at a wall has the same two ways left,
# wherever it came from.) Told *two frames*, it does as well as with all of them, within the spread of the seeds. So in
# these videos the long memory is worth nothing, and the law says why: two frames show the digit and its direction. The
# gradients above agree. A VPN that may remember more than it needs learns to look away.

# %% [markdown]
# ## What each part is worth
#
# The paper found two of its parts worth their price: blocks with gates, and dilation. Here is the same network with one
# thing changed at a time.

# %% tags=["checking"]
columns = {
    "nats": ".2f",
    "straight": ".2f",
    "turn": ".2f",
    "weights": ",",
    "seconds": ".0f",
}
parts = stored("main", ["VPN"], columns)
parts += stored("blocks", ["plain, equal features", "plain, equal weights"], columns)
parts += stored("dilation", ["(1, 1)", "(1, 1, 1)", "(1, 2, 4)"], columns)
show_table(["", "steps", *headers_of[:3], "weights", "seconds", "runs"], parts)

# %% [markdown]
# With as many *features*, plain blocks do far worse in 700 steps, but they also have a third fewer weights and take a
# third less time. With as many *weights*, and in about the same time, they pay 1.9 nats, and the VPN 1.6 to 2.0, by
# seed. So here, after so few steps, the gates are worth no more than the weights that they bring. Nor is dilation worth
# anything: without it, in the row (1, 1), the network sees 11×11 pixels instead of 15×15, and pays no more. That does
# not speak against the paper, whose frames have 64×64 pixels, and whose networks are far larger. It says that a part
# proves its worth where it is needed.

# %% [markdown]
# ## Break it
#
# **Take away its own frame.** The same trained VPN, but its decoder looks at an empty frame instead of the one that it
# draws:


# %%
class Blind(VideoPixelNetwork):
    def decode(self, told, words):
        return super().decode(told, torch.zeros_like(words))


# %% tags=["checking"]
blind = Blind(config, generator=generator).to(device)
blind.load_state_dict(vpn.state_dict())
of_blind = above(blind)
rows = [row("VPN", costs["VPN"]), row("own frame hidden", of_blind)]
assert of_blind.mean() > 5 * of_baseline
for _, length, *cells, _ in stored("broken", ["own frame hidden"], four):
    rows.append([f"trained so, {length} steps", *cells])
show_table(["nats a frame above the floor", *headers_of], rows)

# %% [markdown]
# Without its own frame, the trained VPN fails completely. It pays nearly as much as a coin for each pixel, since it has
# learnt to rely on what it has drawn. (The longer it has trained, the more.) A VPN that is *trained* without its own
# frame pays about what the baseline pays. It *is* the baseline, except for the masks in its decoder. So the ghost comes
# back.
#
# **Let it see the future.** Forget the shift by one frame: what is told of frame $t$ goes to the decoder of frame $t$
# itself.


# %%
class Peeking(VideoPixelNetwork):
    def logits(self, words):
        told, _ = self.context(words)  # of T frames, and of one more
        h = told[:, 1:].flatten(0, 1)  # honest: told[:, :-1]
        return self.decode(h, words.flatten(0, 1)).unflatten(0, words.shape[:2])


cheat, _ = train(Peeking, steps=150)

# %% tags=["drawing"]
how = {"frames": 8, "given": x_test[:2, :2].to(device), "progress": False}
peeked = cheat.sample(2, generator=dice(), **how).cpu()
show_film({f"test video {k}": peeked[k] for k in range(2)}, given=2)

# %% tags=["checking"]
of_cheat = above(cheat)
means = of_cheat.mean(), of_cheat[turn].mean()
print("above the floor: {:.2f}, at a turn {:.2f} nats".format(*means))
still = (peeked[:, 2:] == peeked[:, 1:2]).float().mean()
print(f"{still:.1%} of the pixels that it draws repeat the last given frame")
leak = looks(cheat, x_test[:5], 2, 6, 6)[2].flatten()
assert of_cheat[turn].mean() < -0.6 and of_cheat.mean() < 0 and still > 0.97
assert (leak[6 * W + 6 :] > 0).any(), "the gradient finds it"

# %% [markdown]
# After 150 steps this network pays next to nothing. At a turn it is 0.69 nats *below* the floor, although nobody can
# know which way the digit will go. On average no honest model gets below a floor, so it must have been told the answer.
# And this is what it has learnt: to copy. When it draws, it is told what every drawing network is told, the frames
# before, and it copies the last of them for ever. As in chapter 4, the gradient finds the leak, too: the pixel sees
# what comes after it.
#
# ## The field's benchmark
#
# Papers measure video models on **Moving MNIST** ([Srivastava et al., 2015](references.md#srivastava2015)): two digits,
# in grey, fly through 64×64 pixels and over each other. The law there is a mirror, and the floor is only the price of
# the grey, which counts as the probability of ink. Published are 110.1 nats a frame for the baseline, 87.6 for the VPN,
# and 86.3 for the floor. `python benchmarks/moving_mnist.py` makes such videos and trains on them. With 21 minutes of
# one processor, at half the size, 32×32, our small VPN gets to 48.9 nats, 8.9 above the floor there of 40.0: a start.
#
# ## What we saw
#
# - A video is a sequence of frames, and a frame a sequence of pixels. One machine remembers frames, another draws
#   pixels and is told what the first one knows.
# - Where the future can go two ways, a model with independent pixels paints both. Each of its pixels is right, and the
#   frame is wrong. What this costs can be computed, and no training takes it away.
# - A model that sees what it has drawn pays for one coin, at the first pixel that matters, and then follows it. Its
#   draws are one future or the other.
# - After a short training, about half of the baseline's cost is bad copying. After five times as many steps it copies
#   as well as the VPN, and nearly all that is left is the ghost.
# - Old frames do not change: what is kept is not computed again.
#
# **Terms fixed here** ([glossary](glossary.md)): Video Pixel Network, multiplicative unit, convolutional LSTM,
# independent pixels, ghost.
#
# The VPN draws one pixel after the other, and a second of film with 25 frames of 64×64 takes 100,000 steps. The next
# chapter draws everything at once. It has the same problem with independent pixels, and another way out: a *hidden*
# coin that is tossed first, and that all pixels can see.

# %% [markdown]
# ## Your turn
#
# 1. In the first slider, find the frame in which two of the films part. Which walls does the digit touch there?
# 2. Draw futures at `temperature=0.5` and at 0. How many different ones are left, and what happens to the digit?
# 3. Let test videos be larger than training videos: `size=16`. The network's `place` has 12×12 vectors. What would you
#    have to change, and does a digit in the middle of a larger frame still fly straight on?
# 4. Train with `frames=2` and with `frames=3`. From which number on does the VPN know that a digit goes on as before,
#    and why?
# 5. Give the baseline a coin: a random number for each frame, which all its pixels see. What must the coin know for the
#    baseline to draw one future or the other? And where should it come from when you draw?
#
# Then the graded assignment: `coursework/06_video_pixel_network`.
#
# Further reading: [Kalchbrenner et al. (2017)](references.md#kalchbrenner2017) is the paper; [Shi et al.
# (2015)](references.md#shi2015) have the convolutional LSTM; [Srivastava et al. (2015)](references.md#srivastava2015)
# made the moving digits.
