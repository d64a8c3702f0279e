# %% [markdown]
# # 5 · WaveNet: sound, sample by sample
#
# **You will build WaveNet, which draws sound one sample at a time, and see what it believes about each next sample. You
# will stop it from doing the same work twice and hear it speak in four voices.**
#
# *Laptop: under 90 seconds, and your ears. You need: chapters 3 and 4.*

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
# Ten words that nobody said. A network of this chapter's kind, trained for 28 minutes on two real voices, was told
# which digit, which of the two people, and how far the word has got. It drew the rest: 8,000 numbers a second, each
# given those before it. The words are chosen: for each digit ten draws are made, and the first that a recogniser
# accepts is kept; it accepts 83 of all 100. `python benchmarks/train.py spoken_digits --steps 8000` makes this sound.

# %% tags=["drawing"]
from course_lib.data.shipped import shipped
from course_lib.data.waveforms import read_wav
from course_lib.show.plots import DIGIT_COLOURS, show_curves
from course_lib.show.sounds import show_sounds, sound
from course_lib.show.waves import show_spectrograms, show_waves

drawn = read_wav(shipped("samples/spoken_digits.wav"))
show_sounds({"zero to nine, drawn by a WaveNet": drawn})

# %% tags=["drawing"]
show_spectrograms({"zero to nine": drawn}, 8000, width=5.4, height=1.3)

# %% [markdown]
# A **spectrogram** shows how loud each frequency is at each moment. Dark is loud. Vowels are stacks of dark bars, and
# an *s* is a grey cloud at the top. Your ear hears roughly this, so we will often look at sounds in this form.

# %% [markdown]
# ## Setup

# %%
import dataclasses
import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from course_lib.check import assert_causal, assert_close
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# **Voices** are made here by a program: four speakers, and words of two syllables such as *sami* or *toma*, built from
# five vowels and four consonants, at 8,000 samples a second. There are endlessly many. For each word we know which
# **phone**, that is which single speech sound, is being made in each **frame** of 10 ms.
#
# Change `source`, and the same page runs on real recordings of six people who say digits.

# %%
from course_lib.data import load_spoken_digits, load_words
from course_lib.data.clips import FRAME
from course_lib.data.voices import PHONES, SPEAKERS

source = "voices"  # or "spoken digits": real ones, downloaded once
exact = source == "voices"
if exact:
    clips = load_words(500, generator=make_generator(seed))
    test = load_words(60, generator=make_generator(seed + 1000))
    names, people = PHONES, [speaker.name for speaker in SPEAKERS]
else:
    clips, test = map(load_spoken_digits, ("train", "test"))
    for part in clips, test:  # make all equally loud
        part.x.mul_(0.7 / part.x.abs().amax(1, keepdim=True))
    test = test[:60]  # each digit in each voice
    names, people = ["·", *map(str, range(10))], [*map(str, range(6))]
rate, (N, T) = clips.rate, clips.x.shape
print(f"{N} words of {T} samples ({T / rate:.2f} s)")

# %% [markdown]
# Here are the first two words, one after the other. The letters name the phones; `·` is silence.


# %% tags=["drawing"]
def stretches(clips):  # [(from, to, name)] in ms
    label = clips.label.flatten()
    cuts = [0, *((label.diff() != 0).nonzero()[:, 0] + 1).tolist(), len(label)]
    return [(10 * a, 10 * b, names[label[a]]) for a, b in pairwise(cuts)]


phrase = clips.x[:2].flatten()
show_waves({"amplitude": phrase}, rate, labels=stretches(clips[:2]))

# %% tags=["drawing"]
show_sounds({"two words": phrase}, rate)

# %% [markdown]
# A vowel is made of the **pitch** of the voice and its multiples. The pitch is the number of pulses that the vocal
# cords give in a second. In the spectrogram above, the broad dark bars are the **formants**, the frequencies at which
# the mouth resonates. Each vowel has its own.
#
# ## How machines spoke before
#
# Before 2016 there were two ways. **Concatenative** speech cuts many hours of one speaker's recordings into short
# units and joins the units again. It sounds like a person, except at the joins, and a new voice or a new emphasis
# needs new recordings. **Parametric** speech keeps a few numbers for each frame, such as loudness, pitch and formants,
# and a **vocoder** turns them back into sound. Any number can be changed at will, but the result buzzes. Neither of
# them models the sound itself. The [second page of this chapter](05_wavenet_memory.ipynb) builds both and compares
# them with WaveNet. This page builds WaveNet, which does what chapters 3 and 4 did: it predicts the next number from
# all those before it, draws it, and goes on.
#
# ## Why nobody dared
#
# A character means something, and so, a little, does a pixel. A single sample of sound means almost nothing:

# %% tags=["drawing"]
from course_lib.show.explore import explore


def show_stretch(ms):
    """The first milliseconds of the two words"""
    start = T // 4 - T // 4 % FRAME
    cut = {"amplitude": phrase[start : start + ms * rate // 1000]}
    return show_waves(cut, rate, height=1.3)


explore(show_stretch, ms=[10, 100, 900])

# %% [markdown]
# At 10 ms you see the samples, each close to its neighbours. At 100 ms you see the pulses of the voice, and the mouth
# ringing after each of them. At 900 ms you see two words. All three must come out of predicting one dot at a time, in
# real recordings 16,000 times a second. That seemed hopeless, until PixelRNN and PixelCNN made whole images from
# thousands of such predictions. WaveNet is a PixelCNN with one dimension:
#
# $$ \log p(x) = \sum_{t=1}^{T} \log p(x_t \mid x_1, \dots, x_{t-1}) $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, T), levels 0 … V−1 |
# | $\log p(\cdot \mid x_{<t})$, up to a constant | `logits[:, t]` | (B, V) |
# | $\log p(x)$ | `log_prob` | (B,), nats |
# | who speaks, what is said | `who`, `what` | (B, G), (B, frames, L) |
#
# B sounds of T samples, V levels, G numbers that say who speaks, and L numbers a frame that say what.

# %% [markdown]
# ## 256 levels
#
# A softmax needs a finite list of levels. Recordings have 16 bits, which would be 65,536 levels. We use 8 bits, which
# are 256. If the levels are spaced evenly, a quiet sound has to make do with a few of them. **μ-law** companding,
# a telephone standard since 1972, spaces them evenly on a scale that is nearly logarithmic,
#
# $$ f(x) = \operatorname{sign}(x)\,\frac{\ln(1 + \mu |x|)}{\ln(1 + \mu)}, \qquad \mu = 255, $$
#
# so the rounding error is a fixed share of the sample. (Only for the very quietest samples, $|x| < 1/\mu$, is the
# spacing even.)

# %%
from course_lib.data.waveforms import mu_law_decode, mu_law_encode


def linear_encode(x, levels=256):
    return ((x + 1) / 2 * (levels - 1)).round().long()


def linear_decode(k, levels=256):
    return 2 * k / (levels - 1) - 1


laws = {"linear": (linear_encode, linear_decode)}
laws["μ-law"] = mu_law_encode, mu_law_decode

# %% [markdown]
# Both laws use 256 levels. We round the two words at several volumes. The **signal-to-noise ratio** compares the power
# of the words with the power of the rounding error, in **decibels**: 10 dB is a factor of 10 in power.

# %% tags=["checking"]
from course_lib.measure.speech import snr

kept = {}
for law, (encode, decode) in laws.items():
    volumes = [phrase * 10 ** (db / 20) for db in (0, -15, -30)]
    kept[law] = [snr(x, decode(encode(x))) for x in volumes]
    print(law, *(f"{ratio:3.0f}" for ratio in kept[law]), "dB at 0, −15, −30 dB")
lost = {law: ratio[0] - ratio[2] for law, ratio in kept.items()}
assert not exact or (27 < lost["linear"] < 33 and lost["μ-law"] < 7)

# %% [markdown]
# Lower the volume by 30 dB, and evenly spaced levels lose 30 dB of quality. μ-law loses 5. Listen to the two words at
# a tenth of their volume, rounded, and then made equally loud again:


# %% tags=["drawing"]
def play_quantised(law, bits):
    """Two quiet words, with few levels"""
    encode, decode = laws[law]
    x = decode(encode(0.1 * phrase, 2**bits), 2**bits)
    x = (0.1 * (x - x.mean()) / x.std()).clamp(-1, 1)
    return sound(x, rate, title=f"{law}, {bits} bits")


explore(play_quantised, law=list(laws), bits=[4, 8])

# %% [markdown]
# With 4 bits spaced evenly, the quiet words reach only two of the 16 levels. All that is left is whether a sample was
# positive or negative.
#
# ## Build: a convolution that looks back
#
# A recurrent network would need 16,000 steps to learn from one second. A convolution sees all positions at once. It
# must not see the future, so its taps lie at the sample itself and before it: we push the input to the right by as
# much as the kernel reaches back. The **dilation** is the distance between two taps.


# %% tags=["twin:course_lib.layers.CausalConv1d"]
class CausalConv1d(nn.Conv1d):
    def __init__(self, in_channels, out_channels, kernel_size, dilation=1):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)

    def forward(self, x):
        past = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (past, 0)))


# %% [markdown]
# How far back does a stack of them see? With two taps, a layer of dilation $d$ adds $d$ samples, so the **receptive
# field** should be $1 + \sum d$. We ask the gradient: it is zero for every input that does not reach the output.


# %%
from course_lib.layers import initialised_by


def sees(dilations):  # how many inputs move the last output
    with initialised_by(make_generator(seed)):  # any weights will do
        convs = [CausalConv1d(1, 1, 2, d) for d in dilations]
    x = torch.zeros(1, 1, 1100, requires_grad=True)
    nn.Sequential(*convs).double()(x.double())[0, 0, -1].backward()
    return int((x.grad != 0).sum())


# %% tags=["checking"]
for depth in range(1, 11):
    doubling, equal = sees([2**i for i in range(depth)]), sees([1] * depth)
    assert (doubling, equal) == (2**depth, depth + 1)
    print(f"{depth:2} layers: dilation 1 {equal:2}, doubling {doubling:4} samples")
assert sees([1, 4, 16]) == 8

# %% [markdown]
# Ten layers whose dilation doubles see 1,024 samples. The field grows **exponentially** with depth, and each layer
# costs the same. (Growing faster than the kernel leaves holes: with two taps and dilations 1, 4 and 16, the oldest
# sample in view is 22 back, but only 8 of the 22 are seen.)
#
# Now watch four layers at work. The red dots are computed for the new sample; the blue ones are the other values that
# they depend on.


# %% tags=["drawing"]
import matplotlib.pyplot as plt


def show_lattice(sample):
    """Which values a new sample needs, layer by layer"""
    dilations, blue, red = (1, 2, 4, 8), DIGIT_COLOURS[0], DIGIT_COLOURS[1]
    figure, ax = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
    tree = [{sample}]  # from the top row down
    for d in dilations[::-1]:
        tree.append({t - back for t in tree[-1] for back in (0, d) if t >= back})
    for row, ts in enumerate(tree[::-1]):
        ax.scatter(range(24), [row] * 24, s=14, color="#c4ccd4")
        for t in ts:
            ax.scatter([t], [row], s=40, color=red if t == sample else blue, zorder=3)
            for back in (0, dilations[row - 1]) if row else ():
                if t >= back:
                    ax.plot([t - back, t], [row - 1, row], color=blue, lw=1.2)
    ax.set_yticks(range(5), ["input", *(f"dilation {d}" for d in dilations)])
    ax.set(xlabel="time (samples)", xticks=range(0, 24, 2))
    ax.spines[:].set_visible(False)
    return figure


explore(show_lattice, sample=range(24), start={"sample": 20})

# %% [markdown]
# Pick a blue dot and move the slider back until the newest sample reaches its column: there it was red. Every blue dot
# has been computed before. Only five values are new for each sample, one for each row. Remember this; it will make
# drawing fast.
#
# Why does WaveNet not simply go on doubling? Each doubling adds one layer of computing, and as much to the field as all
# the layers before it. Often we want more layers without a longer field. So after a few layers the dilation goes back
# to 1 and grows once more. One such run is a **stack**. In a single stack, and through the convolutions alone, each
# input reaches the output along exactly one path. A second stack combines in many ways what the first has found, and
# adds only its own length to the field. The paper's networks saw 240 to 300 ms. Ours has two stacks with dilations 1 to
# 32. It sees 127 samples, which is 16 ms: one and a half periods of the lowest voice. What a longer memory is worth is
# the question of the [second page](05_wavenet_memory.ipynb).

# %% [markdown]
# ## Build: one layer
#
# Now the network itself, in five small steps. The first is a layer. After the convolution come three ideas.
#
# - The **gate**. The convolution gives two numbers for each feature: what the layer has found, and how much of it to let
#   through. An *s* and a vowel need different features, and a gate can switch them on and off.
# - The **skip connection**. Each layer hands its finding straight to the end. What layer 1 learnt from 2 samples can
#   count as directly for the next sample as what layer 12 learnt from 127.
# - The **residual connection**. The layer adds its finding to what it was given, which otherwise goes on unchanged. A
#   layer with nothing to say does no harm.
#
# ![One layer: h goes into a causal convolution; the conditions are added; the result splits into tanh and sigmoid, which
# are multiplied; the product goes through skip to the head, and through add to the sum with the unchanged h, which is
# the next layer's input.](images/05_block.svg)
#
# The picture, line by line:


# %% tags=["twin:course_lib.layers.gate"]
def gate(x):
    what, how_much = x.chunk(2, 1)
    return what.tanh() * how_much.sigmoid()


def layer(h, look, skip, add, told):  # h (B, R, T) -> the next h, what was found
    found = gate(look(h) + told)  # look: (B, R, T) -> (B, 2R, T)
    return (h if add is None else h + add(found)), skip(found)


# %% [markdown]
# `told` is what the conditions add; we come to them in the fourth step. The last layer has no next one, so it has no
# `add`.
#
# ## Build: a smooth start
#
# The levels enter through an embedding, a table with a row of R numbers for each level. They leave through a linear map
# with a row for each level. Usually such rows start at random. The network would then have to learn that level 140
# sounds nearly like level 141, and so for each pair of neighbours. We tell it at the start: each column is a smooth
# random curve over the levels, a sum of 16 cosines, the slow ones strongest.

# %% tags=["twin:course_lib.models.wavenet._smooth_start"]
SMOOTH = 16


@torch.no_grad()
def _smooth_start(weight):
    V, wide = weight.shape
    waves = torch.arange(min(V, SMOOTH))
    curves = torch.cos(math.pi * waves * (torch.arange(V)[:, None] + 0.5) / V)
    new = curves @ (torch.randn(len(waves), wide) / (1 + waves)[:, None])
    weight.copy_(new * weight.std() / new.std())


# %% tags=["drawing"]
with initialised_by(make_generator(seed)):
    table = nn.Embedding(256, 32).weight.detach()
    starts = {"usual start": (range(256), table[:, 0].clone())}
    _smooth_start(table)
starts["smooth start"] = range(256), table[:, 0]
show_curves(starts, xlabel="level", ylabel="one column of the table")

# %% [markdown]
# What it is worth is measured [below](#what-each-part-is-worth).
#
# ## Build: the parts
#
# Here is everything that is learnt. Each layer has its `look`, its `skip` and its `add`. The **head** turns the sum of
# all findings into 256 logits. Two linear maps take the conditions.


# %%
class Parts(nn.Module):
    def __init__(self, c):  # c: the knobs, below
        super().__init__()
        R, S, wide = c.features, c.skip_features, 2 * c.features * c.layers
        self.embed = nn.Embedding(c.levels, R)
        self.convs = nn.ModuleList(CausalConv1d(R, 2 * R, 2, d) for d in c.dilations)
        self.skips = nn.ModuleList(nn.Conv1d(R, S, 1) for _ in c.dilations)
        self.adds = nn.ModuleList(nn.Conv1d(R, R, 1) for _ in c.dilations[1:])
        mix, last = nn.Conv1d(S, S, 1), nn.Conv1d(S, c.levels, 1)
        self.head = nn.Sequential(nn.ReLU(), mix, nn.ReLU(), last)
        _smooth_start(self.embed.weight)
        _smooth_start(last.weight[:, :, 0])
        self.from_global = nn.Linear(c.global_channels, wide, bias=False)
        self.from_local = nn.Conv1d(c.local_channels, wide, 3, bias=False)


# %% [markdown]
# ## Build: what to say
#
# So far it could only babble. We tell it two things. Who speaks is the same throughout: a **global** condition,
# one-hot. What is said changes from frame to frame: a **local** condition, here which of ten phones, and how far the
# pitch lies above the speaker's mean. Each adds a linear function of itself in every layer, before the gate. For the
# local one, the function sees the frame and its two neighbours. It may know what will be *said* next; only how that
# will *sound* must stay hidden.

# %%
VOICES = 6  # enough for all our data


def conditions(clips):  # who (N, 6), what (N, F, L)
    who = F.one_hot(clips.speaker, VOICES).float()
    return who.to(device), clips.local_condition.to(device)


# %% [markdown]
# ## Build: all together
#
# The input is shifted by one: at position $t$ the network is fed $x_{t-1}$. Each layer gets its own share of what the
# conditions add, repeated for the 80 samples of a frame. The findings are summed, and the head turns them into logits.
# (`staticmethod` keeps Python from handing `self` to our function `layer`.) `what` carries one frame more on either
# side, so that the first and the last frame have their neighbours.


# %%
class Built(Parts):
    layer = staticmethod(layer)

    def forward(self, x, who, what):  # (B, T) -> logits (B, T, V)
        h = F.pad(self.embed(x[:, :-1]).transpose(1, 2), (1, 0))  # (B, R, T)
        told = self.from_global(who)[:, :, None] + self.from_local(what.transpose(1, 2))
        told, adds, total = told.chunk(len(self.convs), 1), [*self.adds, None], 0
        each = zip(self.convs, self.skips, adds, told, strict=True)
        for look, skip, add, frames in each:
            now = frames.repeat_interleave(FRAME, 2)  # (B, 2R, T)
            h, found = self.layer(h, look, skip, add, now)
            total = total + found
        return self.head(total).transpose(1, 2)


# %% [markdown]
# These are the knobs:

# %%
from course_lib.models.wavenet import WaveNet, WaveNetConfig

config = WaveNetConfig(
    layers=12,  # dilations 1 to 32,
    stacks=2,  # twice
    features=32,  # R: what goes on from layer to layer
    skip_features=32,  # S: what goes to the end
    global_channels=VOICES,
    local_channels=clips.local_condition.shape[2],
)
window = 4  # frames, 40 ms: many short pieces teach more than a few long ones
batch_size = 8  # windows
steps = 1000  # half a minute
lr = 1e-2  # a small model takes large steps

# %% [markdown]
# The library's `WaveNet` is this class. From the same seed both start with the same weights and give the same logits.

# %% tags=["checking"]
with initialised_by(make_generator(seed)):
    net = Built(config).to(device)
library = WaveNet(config, generator=make_generator(seed)).to(device)
pairs = zip(net.state_dict().items(), library.state_dict().items(), strict=True)
assert all(a == b and torch.equal(v, w) for (a, v), (b, w) in pairs)
x, (who, what) = mu_law_encode(clips.x[:2]).to(device), conditions(clips[:2])
with torch.no_grad():
    mine, theirs = net(x, who, F.pad(what, (0, 0, 1, 1))), library(x, who, what)
assert_close(mine, theirs, name="logits")
told = lambda x: (c[:1].expand(len(x), *c.shape[1:]) for c in (who, what[:, :3]))
assert_causal(lambda x: net(x, *told(x)), x[:1, 2000:2080])
print(f"{sum(p.numel() for p in net.parameters()):,} weights, the same logits, causal")

# %% [markdown]
# ## Train
#
# In training nothing is drawn. The true past is the input, so all 320 samples of a window are predicted at once.
# Each window carries the phones of its four frames, and those of the two neighbours. It is cut off from its past,
# though, so its first 127 predictions see less than they could. That is the price of many short windows. For one window
# in eight we take the phones away, so that the network also learns to speak without being told what to say.


# %%
def windows(clips):  # pieces of `window` frames, those without a sound left out
    x = mu_law_encode(clips.x).view(-1, window * FRAME).to(device)
    who, what = conditions(clips)
    what = F.pad(what, (0, 0, 1, 1)).unfold(1, window + 2, window).transpose(2, 3)
    who = who.repeat_interleave(what.shape[1], 0)
    sounds = (clips.label > 0).view(-1, window).any(1).to(device)
    return x[sounds], who[sounds], what.flatten(0, 1)[sounds]


data = windows(clips)
silenced = torch.rand(len(data[0]), generator=generator, device=device) < 1 / 8
data[2][silenced] = 0

# %% [markdown]
# `data` holds the levels, who speaks, and what is said. The loss is the cross-entropy of chapter 3:

# %%
from course_lib.train import fit


def costs(net, x, who, what):  # (B, T) nats: what each sample costs
    logits = net(x, who, what).transpose(1, 2)
    return F.cross_entropy(logits, x, reduction="none")


def nll(net, *batch):  # nats a sample, so that the bar reads well
    return costs(net, *batch).mean(1)


settings = {"batch_size": batch_size, "lr": lr, "schedule": "cosine"}
history = fit(net, data, loss=nll, steps=steps, generator=generator, **settings)
model = WaveNet(config, generator=make_generator(seed)).to(device)
_ = model.load_state_dict(net.state_dict())

# %% [markdown]
# We trained our own class and gave its weights to the library's, which can draw fast. Is it good? Guessing uniformly
# costs $\log_2 256 = 8$ bits a sample. A **bigram** table, which counts how often each level follows each other one,
# costs much less, since sound is smooth. We count only samples of frames in which something is said.


# %% tags=["checking"]
def table_bits(clips, test):  # a table with a row for each level before
    counts = torch.full((256, 256), 0.02)
    x, y = mu_law_encode(clips.x), mu_law_encode(test.x)
    pairs = x[:, :-1].flatten(), x[:, 1:].flatten()
    counts.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
    p = counts / counts.sum(1, keepdim=True)
    return -p[y[:, :-1], y[:, 1:]][said[:, 1:]].log2().mean().item()


@torch.no_grad()
def believed(clips, told=1):  # (N, T, V) log-probabilities
    x, (who, what) = mu_law_encode(clips.x).to(device), conditions(clips)
    parts = zip(x.split(10), who.split(10), (told * what).split(10), strict=True)
    return torch.cat([model(*part).log_softmax(2).cpu() for part in parts])


# %% tags=["checking"]
said, y = (test.label > 0).repeat_interleave(FRAME, 1), mu_law_encode(test.x)
bits = lambda log_p, y=y: -log_p.gather(2, y[..., None])[..., 0] / math.log(2)  # (N, T)
log_p, known = believed(test), clips[:60]
cost, bigram = bits(log_p), table_bits(clips, test)
wavenet, untold = (c[said].mean().item() for c in (cost, bits(believed(test, 0))))
easy = bits(believed(known), mu_law_encode(known.x))
easy = easy[(known.label > 0).repeat_interleave(FRAME, 1)].mean().item()
print(f"uniform {8:.2f} bits a sample, bigram {bigram:.2f}")
print(f"WaveNet {wavenet:.2f}, training words {easy:.2f}, without phones {untold:.2f}")
assert not exact or (wavenet < bigram - 1.9 and 0.3 < untold - wavenet < 0.8)

# %% tags=["drawing"]
smooth = np.convolve(np.array(history.loss) / math.log(2), np.ones(20) / 20, "valid")
training = np.arange(len(smooth)) + 20, smooth
axes = {"xlabel": "steps", "ylabel": "bits a sample", "ylim": (3, 9.6)}
show_curves({"training, mean of 20 steps": training}, floors={"uniform": 8.0}, **axes)

# %% [markdown]
# WaveNet pays 2.2 bits less than the table. At 8,000 samples a second that is some 18,000 bits saved every second. Part
# of this comes from being told what is said: without the phones it pays half a bit more. Words that it was trained on
# cost it 4.18 bits, held-out words 4.26: it has hardly learnt by heart. The curve ends lower, at 3.7, because its
# windows contain silence, which costs almost nothing.
#
# ## Look: what it believes about the next sample
#
# At each moment the network gives 256 probabilities. Do we need such a list? A simpler network would give two numbers,
# a mean and a spread, and say that the next sample lies in a **bell** around this mean. To compare the two, we give
# each level the part of the bell between the level's two borders. Then both pay bits for the same levels.

# %%
points = mu_law_decode(torch.arange(256)).double()  # the levels' amplitudes
halves = (2 * torch.arange(1, 256) - 1) / 255 - 1  # their borders, in f(x)
ends = halves.sign() * torch.expm1(halves.abs() * math.log(256)) / 255
ends = torch.cat([-torch.ones(1) * math.inf, ends, torch.ones(1) * math.inf])


def bell(x, mean, sd):  # levels x -> the nats that they cost
    z = (((ends.to(x.device)[x + i] - mean) / sd).double() for i in (0, 1))
    low, high = (torch.sigmoid(each * math.pi / 3**0.5) for each in z)
    return -(high - low).clamp(min=1e-12).log()


def moments(log_p):  # (T, V) -> mean and spread of the amplitude, (T,)
    p = log_p.exp().double()
    mean = p @ points
    return mean, (p @ points**2 - mean**2).clamp(min=1e-10).sqrt()


# %% [markdown]
# This bell is a *logistic* one: like a Gaussian, with a little more in the tails, and a simple formula for its area.
# Its area is kept above $10^{-12}$, so that the logarithm stays finite; a level so far out gives no gradient. First we
# look at three places in the held-out words. The first is the frame in which the sound crosses zero most often, and the
# second is the loudest frame. The third is the moment where the softmax is least like a bell of its own mean and
# spread.

# %% tags=["drawing"]
mean, sd = map(torch.stack, zip(*map(moments, log_p), strict=True))
every = torch.arange(256)
unlike = torch.zeros(y.shape)  # divergence from the logistic bell
for i, q in enumerate(log_p):
    nats = bell(every, mean[i, :, None], sd[i, :, None])
    unlike[i] = (q.exp() * (q + nats)).sum(1) * said[i]
frames = test.x.view(len(y), -1, FRAME)
power = frames.square().mean(2)
crossings = (frames[..., 1:] * frames[..., :-1] < 0).float().mean(2) * (power > 1e-4)
places = {"in a noise": crossings, "in the loudest frame": power}
places = {name: int(of.argmax()) * FRAME + 40 for name, of in places.items()}
places["least like a bell"] = int(unlike.argmax())


# %% tags=["drawing"]
def show_next(place, t):
    """The sound so far, and what the network believes about the next sample"""
    clip, centre = divmod(places[place], T)
    start = min(max(centre - 48, 100), T - 160)
    now, seen = start + t, range(start - 100, start + 160)
    figure, (above, below) = plt.subplots(2, figsize=(4.8, 2.8), layout="constrained")
    ms = 1000 / rate * np.array(seen)
    above.plot(ms, test.x[clip, seen], color="#c4ccd4", lw=1, aa=False)
    above.plot(ms[: 100 + t], test.x[clip, seen[: 100 + t]], lw=1, aa=False)
    above.axvline(1000 / rate * now, color=DIGIT_COLOURS[1])
    above.set(xlabel="ms", ylabel="amplitude")
    p = log_p[clip, now].exp()
    below.fill_between(range(256), p, step="mid", label="softmax", aa=False)
    p = (-bell(every, mean[clip, now], sd[clip, now])).exp()
    below.plot(range(256), p, color=DIGIT_COLOURS[7], label="bell", aa=False)
    below.axvline(int(y[clip, now]), color=DIGIT_COLOURS[1], label="what came")
    below.set(xlabel="level of the next sample", ylabel="probability")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=3)
    return figure


explore(show_next, place=list(places), t=range(0, 96, 12))

# %% tags=["checking"]
phone, p = test.label.repeat_interleave(FRAME, 1), log_p.exp()
low, high = p[..., :127].amax(2), p[..., 130:].amax(2)  # a hump on either side
two = (low.minimum(high) > low.maximum(high) / 10) & (p[..., 128] < low.minimum(high))
matched, humped, swung = bell(y, mean, sd) / math.log(2), {}, {}
swing = sd.view(frames.shape).amax(2) / sd.view(frames.shape).amin(2)
for k, c in enumerate(names):
    humped[c] = two[phone == k].float().mean().item()
    swung[c] = swing[test.label == k].median().item()
    print(f"{c}: {cost[phone == k].mean():.1f} bits", end=", ")
    print(f"two humps {humped[c]:.0%}, spread × {swung[c]:.1f} in a frame")
apart = unlike[said].mean() / math.log(2)
print(f"silence: softmax {cost[~said].mean():.2f}, bells {matched[~said].mean():.2f}")
print(f"said: bells {matched[said].mean():.2f}; {apart:.3f} bits from bell to softmax")
assert not exact or (abs(matched[said].mean() - wavenet) < 0.05 and apart < 0.1)
assert not exact or cost[~said].mean() < 0.1
assert not exact or (humped["f"] > 0.5 > humped["s"] and swung["a"] > 2 * swung["s"])
assert log_p.flatten(0, 1)[places["least like a bell"]].argmax() == 128 or not exact

# %% [markdown]
# In the noise the distribution is wide. In an *f* it usually has two humps, with a valley at level 128, the level of
# silence. The valley is the work of μ-law: near zero its levels are narrow, so a bell puts little on each of them. The
# bell has the same two humps. In an *s* the network mostly knows the sign, and there is one hump, on one side of zero.
# In the vowel the distribution is a narrow peak for most of the time. At each pulse of the vocal cords it becomes
# several times as wide, much more than it varies in a noise. So an *s* or an *f* is expensive, here at 5.7 and 6.8 bits
# a sample, and a vowel is cheaper, here at 2.9 to 4.5.
#
# The third place is a silence, inside a *t* or at the end of a word. There is one tall column at level 128, and a
# little probability spread far to both sides. Almost surely nothing, or else something loud: no bell can say that.
#
# Wherever something is said, bells of the same mean and spread pay 4.25 bits and the softmax 4.26. There **the softmax
# is not needed**: these voices are pulses and noise, sent through filters, and what is new in a sample is nearly
# bell-shaped. Nobody told the network so. A softmax assumes nothing about the shape, and here it has found the bell by
# itself. Silence, a third of all samples, costs the softmax nearly nothing. What it costs the bells depends on the
# training: 3 bits here, a hundredth with another seed. A trace of probability far away is enough to widen them, and a
# wide bell cannot say "almost surely exactly zero". (A bell that was trained could choose a smaller spread.)
#
# ## What each part is worth
#
# To try a change, we train a network with half the layers for a short time, from the same seed: once as it should be,
# and once changed.

# %%
half = dataclasses.replace(config, layers=6, stacks=1)
trials, paid, tried = {}, {}, windows(test)
sounding = (test.label > 0).view(-1, window)
sounding = sounding[sounding.any(1)].repeat_interleave(FRAME, 1)  # no silence


def try_out(name, kind=Built, cost=costs, data=data, tried=tried):
    chance = make_generator(seed, device)
    with initialised_by(chance):
        net = trials[name] = kind(half).to(device)
    loss = lambda *batch: cost(*batch).mean(1)
    fit(net, data, loss=loss, steps=120, generator=chance, **settings)
    with torch.no_grad():
        paid[name] = cost(net, *tried).cpu()[sounding].mean().item() / math.log(2)
    print(f"{name}: {paid[name]:.2f} bits a sample")


try_out("as it should be")

# %% [markdown]
# `paid` keeps what each trial pays on held-out windows. The first trial gets a head of two numbers, and learns them:


# %%
class Bell(Built):
    def __init__(self, c):
        super().__init__(c)
        self.head[3] = nn.Conv1d(c.skip_features, 2, 1)


def bell_costs(net, x, who, what):
    mean, log_sd = net(x, who, what).unbind(2)
    return bell(x, mean, (log_sd - 2).exp() + 1e-5)


try_out("a bell", Bell, bell_costs)

# %% [markdown]
# After 120 steps this bell pays 0.2 to 0.4 bits more, with different seeds. How much depends on how its two numbers
# start: with a smaller spread at the start, the gap falls to about 0.15. So this short trial says little about shape.
# Question 7 asks what is left after a longer training.
#
# The second trial starts in the usual way, without smooth curves:


# %%
class Usual(Built):
    def __init__(self, c):
        super().__init__(c)
        self.embed.reset_parameters(), self.head[3].reset_parameters()


try_out("the usual start", Usual)
worse = [paid[name] - paid["as it should be"] for name in ("a bell", "the usual start")]
assert not exact or (0.1 < worse[0] < 0.5 and 0.15 < worse[1] < 0.5)

# %% [markdown]
# The smooth start is worth about 0.3 bits after 120 steps. Nearly all of this comes from the embedding: smooth rows at
# the output alone add less than 0.1. What the gate, the residual and the skip connection are worth is a row each on the
# [second page](05_wavenet_memory.ipynb), where there is time for longer trainings.

# %% [markdown]
# ## Draw: the simple way
#
# Sampling is the loop of chapter 3: run the model, draw the next sample from what it says, put it in, run again. To
# draw from 256 probabilities with one uniform number $u$, add them up from the first and stop where the sum passes
# $u$. That is `invert_cdf`.

# %%
from course_lib.decode import invert_cdf


@torch.no_grad()
def naive(model, who, what, u):  # uniform numbers u (T, n) -> x (n, T)
    x = torch.zeros(u.shape[1], len(u), dtype=torch.long, device=device)
    for t in range(len(u)):
        logits = model(x, who, what)[:, t]  # sees x[:, :t] only
        x[:, t] = invert_cdf(logits, u[t])
    return x


# %% [markdown]
# That is all, and it is wasteful. Each step computes every layer at every position, although only the newest column is
# new. In the lattice that was five red dots; in this network of 12 layers it is 13.
#
# ## Draw: nothing twice
#
# So let each layer remember what it was given, in a **queue** as long as its dilation. The tap that looks back takes
# the oldest entry, and the new one takes its place. A sample then costs one pass at one position. This is *Fast
# WaveNet*. All queues together, with the position and what the conditions add, are the **state**: all that drawing must
# remember. `begin` makes it, full of zeros, and `step` takes it one sample further.


# %% tags=["twin:course_lib.fast.queues.step"]
from course_lib.decode import State


def step(model, previous, state):  # (n,) long -> logits (n, V)
    at, conditioning, *queues = state
    t, frames, total = int(at[0]), conditioning.shape[1], 0
    nothing = torch.zeros_like(queues[0][:, 0])  # (n, R)
    h = nothing if previous is None else model.embed(previous)
    adds = [*model.adds, None]  # the last layer has none
    layers = zip(model.convs, model.skips, adds, queues, strict=True)
    for layer, (conv, skip, add, queue) in enumerate(layers):
        past, dilation = queue.shape[1], conv.dilation[0]
        taps = [queue[:, (t + i) % past] for i in range(0, past, dilation)]
        taps = torch.stack([*taps, h], 2)  # the oldest first
        z = F.conv1d(taps, conv.weight, conv.bias)  # (n, 2R, 1)
        if frames:
            frame = min(t // model.config.frame, frames - 1)
            z = z + conditioning[:, frame, layer, :, None]
        queue[:, t % past] = h  # in the place of the oldest
        g = gate(z)
        total = total + skip(g)
        h = h if add is None else h + add(g)[:, :, 0]
    return model.head(total)[:, :, 0], State((at + 1, conditioning, *queues))


# %% [markdown]
# It is `Built.forward` for a single position. The loop around it is `naive` again, except that it hands on one sample
# instead of all:


# %%
@torch.no_grad()
def queued(model, who, what, u):  # what naive draws
    conditioning = model.conditioning(len(who), len(u), who, what)
    state, x = begin(model, len(who), conditioning), [None]
    for t in range(len(u)):
        logits, state = step(model, x[-1], state)
        x.append(invert_cdf(logits, u[t]))
    return torch.stack(x[1:], 1)


# %% [markdown]
# What does each way cost? We count the multiplications of the convolutions and linear maps, and how many passes must
# run one after another. Beside the two stands one step of training, forward and backward, on a sound of the same 160
# samples.

# %% tags=["checking"]
from course_lib.fast.queues import begin, fill
from torch.utils.flop_counter import FlopCounterMode


def count(work):  # millions of multiplications; passes one after another
    passes = []
    hook = model.head.register_forward_hook(lambda *_: passes.append(1))
    with FlopCounterMode(display=False) as counter:
        work()
    hook.remove()
    return counter.get_total_flops() / 2e6, len(passes)


who, what = (c[:1] for c in conditions(test))
what = what[:, 20:22]  # two frames from the middle of a word
u = torch.rand(2 * FRAME, 1, dtype=torch.float64, generator=make_generator(seed))
x = mu_law_encode(test.x[:1, 20 * FRAME : 22 * FRAME]).to(device)
counts = {
    "a step of training": count(lambda: model.log_prob(x, who, what).backward()),
    "drawing, naive": count(lambda: naive(model, who, what, u)),
    "drawing, queues": count(lambda: queued(model, who, what, u)),
}
for way, (millions, passes) in counts.items():
    print(f"{way:19}{millions:7,.0f} million multiplications, {passes:3} passes")

# %% [markdown]
# Two different things are at work here. The naive way computes 160 times as much as the queues, once for each sample of
# this sound. It is **redundant**, and the queues cure it. With them, drawing takes a third of the multiplications of a
# training step, whose backward pass costs about twice the forward pass. But training runs through the network once, for
# all positions together. Drawing needs 160 passes, since each must wait for the sample before. **Training is parallel,
# drawing is not**, and no queue cures that.
#
# ## The same, up to rounding
#
# The library's `sample` runs the same loop **compiled** (by numba, from Python), with nothing but arithmetic between
# two samples. Are its sounds the same? All ways add up the same numbers, but in another order, and a computer rounds
# after each addition. We feed them the same real past and compare their logits. Then we draw 100 times from each
# distribution, with the same $u$ for both.

# %% tags=["checking"]
x, (who, what) = mu_law_encode(test.x[:10]).to(device), conditions(test[:10])
with torch.no_grad():
    added, at_once = model.conditioning(*x.shape, who, what), model(x, who, what).cpu()
    compiled, state, stepped = torch.empty(T, 10, 256), begin(model, 10, added), []
    list(fill(model, x.clone(), T, torch.empty(0, 10), added, logits=compiled))
    for t in range(200):
        logits, state = step(model, x[:, t - 1] if t else None, state)
        stepped.append(logits.cpu())
compiled = compiled.transpose(0, 1)
assert_close(torch.stack(stepped, 1), at_once[:, :200], name="queues")
assert_close(compiled, at_once, name="compiled")

# %% tags=["checking"]
sums = [logits.double().softmax(2).cumsum(2) for logits in (at_once, compiled)]
u = torch.rand(10, T, 100, dtype=torch.float64, generator=make_generator(seed))
one, other = (torch.searchsorted(s, u) for s in sums)
flips, farthest = (one != other).sum().item(), (one - other).abs().max().item()
print(f"{flips} of {u.numel():,} draws differ, by {farthest} level")
assert 0 < flips < u.numel() / 10_000 and farthest == 1

# %% [markdown]
# The logits agree to about six digits. A draw flips to the neighbouring level where $u$ falls between two sums that
# differ in the seventh digit, here about once in half a million draws. And what is drawn is fed back. Change a single
# sample by one level, keep every $u$ after it, and look:

# %% tags=["checking"]
ask = {"global_condition": who[:1], "local_condition": what[:1], "length": T}
given, nudged = x[:1, : T // 3], x[:1, : T // 3].clone()
nudged[0, -1] ^= 1
ask |= {"progress": False}
draw = lambda s, past: model.sample(1, generator=make_generator(s), given=past, **ask)
first = draw(seed, given)
for name, *how in ("another seed", seed + 1, given), ("one nudge", seed, nudged):
    moved = (first != draw(*how))[0, T // 3 :].float()
    soon, later = moved[:80].mean(), moved[400:800].mean()
    print(f"{name}: {soon:.0%} of the next 10 ms differs, {later:.0%} 50 ms on")
assert not exact or soon > 0.5

# %% [markdown]
# After one nudge most samples of the next 10 ms differ: 79 to 94 %, with three seeds. Two independent draws differ in 96
# to 98 %. (50 ms on it is 49 to 95 %: some sounds drift apart for good, others partly meet again.) So the two ways draw
# from the **same distribution**, and from the same seed nearly always the same sound. Now and then one draw flips, and
# from there on you hear another sound, just as likely. "The same seed, the same sound"
# holds for one program on one machine. It need not hold for two.

# %% [markdown]
# ## Listen
#
# Two held-out words, drawn in each of the four voices. Only `who` changes. What is said stays the same, and so does
# the melody, which is told relative to the speaker's mean pitch. With *told nothing* the phones are taken away.


# %%
def say(clips, told=1, temperature=1.0):  # the same words, drawn by the model
    (who, what), (n, length) = conditions(clips), clips.x.shape
    ask = {"global_condition": who, "local_condition": told * what, "length": length}
    ask |= {"temperature": temperature, "generator": make_generator(seed)}
    return mu_law_decode(model.sample(n, progress=False, **ask).cpu())


# %% tags=["drawing"]
def spell(clips):
    words = [[names[k] for k in row.unique_consecutive() if k] for row in clips.label]
    return ", ".join(map("".join, words))


def hear(voice, told):
    """Two words that the network draws"""
    asked = dataclasses.replace(test[:2], speaker=torch.full((2,), people.index(voice)))
    x = say(asked, told=int(told == "the words"))
    return sound(x.flatten(), rate, title=f"{voice}, told {told} ({spell(asked)})")


explore(hear, voice=people, told=["the words", "nothing"], start={"told": "the words"})

# %% [markdown]
# The voices are hoarse. Told nothing, they murmur without a pause, and mostly without a pitch. Your ear is no judge of
# how well the words came out, because you know what they should be. The [second page](05_wavenet_memory.ipynb) measures
# that.
#
# Dividing the logits by a **temperature** below 1 makes the likely likelier. At 0 each sample is the likeliest one.


# %% tags=["drawing"]
def cool(temperature):
    """The first two words, at several temperatures"""
    x, title = say(test[:2], temperature=temperature), f"temperature {temperature:g}"
    return sound(x.flatten(), rate, title=f"{spell(test[:2])}, {title}")


explore(cool, temperature=[0, 0.7, 1.0], start={"temperature": 0.7})

# %% tags=["checking"]
hissing, voiced = crossings[:20] > 0.35, (crossings[:20] < 0.35) & (power[:20] > 1e-2)
level, again = {}, {}
for temperature in (0, 0.7, 1.0):
    x = say(test[:20], temperature=temperature).view(20, -1, FRAME)
    s, heard = x[hissing], x.square().mean(2)  # s: noises, compared with themselves
    lags = [F.cosine_similarity(s[:, d:], s[:, :-d]) for d in range(1, 41)]
    again[temperature] = like = torch.stack(lags).amax(0).median().item()
    shares = [(heard[p].mean() / power[:20][p].mean()) for p in (hissing, voiced)]
    level[temperature] = noise, voice = [10 * math.log10(s + 1e-9) for s in shares]
    print(f"at {temperature}: noises {noise:+.1f}, voice {voice:+.1f} dB; {like:.2f}")
assert not exact or (-12 < level[0][0] < noise - 1 and level[0][1] < voice - 0.5)
assert not exact or (again[0] > 0.95 and again[1.0] < 0.8)

# %% [markdown]
# A low temperature makes it quieter: at 0 by 2 to 6 dB against the real words, with different seeds. It does not
# silence the noises, since in an *s* the likeliest level is not zero. The last number is how like a noise is to itself
# a few samples later, where 1 is an exact repetition. It is about 0.4 at temperature 1 and 1.00 at 0. At 0 an *s* is no
# longer a noise but a whistle: the likeliest level jumps from one side of zero to the other, always
# in the same way.
#
# ## Break it
#
# **Let it peek, by one sample.** The shift by one is easily forgotten. Then each position is asked for the very sample
# that it was given:


# %%
def peeking_costs(net, x, who, what):  # position t is asked for x[:, t - 1], its input
    logits = net(x, who, what).transpose(1, 2)
    return F.cross_entropy(logits, x.roll(1, 1), reduction="none")


try_out("peeking", cost=peeking_costs)
with torch.no_grad():
    honest = costs(trials["peeking"], *tried).cpu()[sounding].mean() / math.log(2)

# %% tags=["checking"]
print(f"the one that peeks, asked for the next sample: {honest:.2f}")
assert not exact or (paid["peeking"] < paid["as it should be"] - 1.2 and honest > 8)

# %% [markdown]
# After the same short training it pays half as much, and it knows nothing. Asked for the next sample, it pays far more
# than the 8 bits of a uniform guess. All it has learnt is to repeat what it was given. When a loss is too good, look
# for the leak. `assert_causal` would not have found this one: the network is causal, and the pairing is wrong. Ask of
# each position which sample it is asked for.
#
# **Space the levels evenly.** The same short training, on 256 even levels:


# %%
def even(x, who, what):
    return linear_encode(mu_law_decode(x.cpu())).to(device), who, what


try_out("even levels", data=even(*data), tried=even(*tried))
assert not exact or paid["even levels"] < paid["as it should be"] - 0.3

# %% [markdown]
# It pays about one bit less for each sample, and that is no success. Most samples of speech are small and now share a
# few levels. The network pays less because less is kept, as you could hear above. Costs in bits can be compared only
# over the same levels.
#
# ## The same on real voices
#
# Set `source` at the top to `"spoken digits"`, and the same cells train on six real people, for half a minute. Nobody
# has written down their phones, so `local_condition` says which digit it is and how far the word has got. The ten
# words of the beginning are a larger network's: 16 layers that see 64 ms, trained for 28 minutes of one busy core on
# 880 recordings of two people. It pays 4.26 bits a sample, the bigram 5.76.
#
# Are they words? A recogniser decides, a small network that learnt from recordings of all six people, and from words
# played backwards and hiss, which it must refuse. Of a person it has never heard, it knows 83 % of the words (66 to
# 96 %, by person). Of our two it knows 100 of 100 real ones that it has not heard, and refuses 97 of these played
# backwards and 96 of 100 hisses. It accepts 83 of the 100 draws; of each digit you heard the first that it accepts,
# and for nine of the ten digits that was the first draw.
#
# To choose by a judge is to please that judge, so we ask a second one: which of the 100 real recordings is nearest?
# It is of the right digit for 85 of the 100 draws (chance: 10; real words: 94), for 10 of the ten chosen, and of
# the right person for 93. Real voices are harder than our program's: rooms, noise, and no two people who say *seven*
# alike.
#
# ## What we saw
#
# - Sound is a sequence of samples, as a sentence is of characters. A softmax over 256 levels, spaced by **μ-law**, says
#   what may come next. It assumes no shape, and here, wherever something is said, it finds a bell by itself.
# - **Dilated causal convolutions** see exponentially far in depth, and train on all positions at once.
# - A layer is a convolution, a **gate**, a **skip** and a **residual** connection. Twelve of them with a smooth start, a
#   head and two conditions are a WaveNet.
# - Drawing goes sample by sample. **Queues** take away what is done twice. They do not take away the waiting.
# - Two programs for one model draw the same up to rounding, and one flipped draw changes all that follow.
#
# What does such a network remember in its 16 ms, and what of it would a listener understand? That is the
# [second page](05_wavenet_memory.ipynb). The price also remains: one pass a sample, one after another. Chapter 7 draws
# everything at once.
#
# ## Your turn
#
# 1. In the lattice, count the dots of one tree. How many are new? How many of each would there be for L layers?
# 2. Raise the two words by almost 3 dB before rounding, as far as `x` stays within ±1. How close does the linear law
#    come to μ-law, and why there?
# 3. `growth=3, layers=8, stacks=2`: what does the network see now, why are there no holes, and what does it cost in
#    bits?
# 4. Begin a word in Adam's voice and finish it in Dora's: `sample` takes `given`.
# 5. Which temperature sounds best to you? Does your neighbour agree?
# 6. Set `place` to *least like a bell* and step through `t`. What is the network waiting for?
# 7. Train the bell as long as the softmax. Does it catch up?
#
# Then the graded assignment: `coursework/05_wavenet`.
#
# Further reading: [van den Oord et al. (2016)](references.md#oord2016wavenet) is the paper;
# [Paine et al. (2016)](references.md#paine2016) are the queues; [Yu and Koltun (2016)](references.md#yu2016) made
# dilation known for images, though it is older; [Salimans et al. (2017)](references.md#salimans2017) use mixtures of
# bells, cut at the levels' borders as here, in place of the softmax.
