# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 5: who is speaking?
#
# **You will let sounds choose their own levels, listen to a sound while it is still arriving, count what an hour of
# speech costs, to the last multiplication, and make a WaveNet that learnt to speak tell you who is speaking.**
#
# *Laptop: 20 seconds. You need: chapter 5. Four exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line
# `raise NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it
# found. A few more checks run when your work is graded; they test nothing that the docstring does not say. You may add
# cells anywhere. The check cells are restored before grading. No exercise needs the answer to another one. To begin with
# a later one, run the cells above exercise 1, then go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
import sys
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.data import load_vowels
from course_lib.data.clips import FRAME
from course_lib.data.voices import PHONES, SPEAKERS, VOWELS
from course_lib.data.waveforms import mu_law_decode, mu_law_encode
from course_lib.device import make_generator, pick_device
from course_lib.layers import CausalConv1d, gate
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.show.sounds import show_sounds
from course_lib.train import fit

generator = make_generator(0)
# 0.4 s each: a vowel, one of four voices
clips, test = (load_vowels(n, generator=generator) for n in (300, 100))
people = [speaker.name for speaker in SPEAKERS]
sounds = {}
for i in range(3):
    sounds[f"{people[test.speaker[i]]}: {PHONES[test.label[i, 20]]}"] = test.x[i]
show_sounds(sounds)

# %% [markdown]
# Long vowels in four voices. One WaveNet serves exercises 2 and 4. It is small, has 64 levels, and is trained for some
# five seconds on pieces of 40 ms. As in the chapter it is told who speaks (`global_condition`) and what is said, frame
# by frame (`local_condition`). It would be a poor speaker. But it knows more than you could hear from it.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
LEVELS, WINDOW = 64, 4  # frames of 10 ms in a piece
told = dict(global_channels=4, local_channels=clips.local_condition.shape[2])
sizes = dict(layers=6, stacks=1, features=16, skip_features=32)
config = WaveNetConfig(LEVELS, **sizes, **told)
voice = WaveNet(config, generator=generator)
x = mu_law_encode(clips.x, LEVELS)[:, 2 * FRAME : -2 * FRAME]  # without the silence
x = x.reshape(-1, WINDOW * FRAME)
local_condition = clips.local_condition[:, 2:-2].reshape(len(x), WINDOW, -1)
global_condition = F.one_hot(clips.speaker, 4).float()
global_condition = global_condition.repeat_interleave(len(x) // len(clips), 0)


def nll(model, x, who, what):  # nats a sample
    return -model.log_prob(x, who, what) / x.shape[1]


data = x, global_condition, local_condition
knobs = dict(steps=250, batch_size=8, lr=1e-2, schedule="cosine")
chance = make_generator(1, pick_device())
history = fit(voice, data, loss=nll, generator=chance, **knobs)
voice.cpu()  # fit trains on the fastest device; the rest is small
print(f"{sum(history.loss[-20:]) / 20:.2f} nats a sample,", end=" ")
print("all levels alike would cost 4.16")

# %% [markdown]
# ## 1 Let the sounds choose
#
# The μ-law is one formula for every sound. Levels can also be *learnt*: put them where the samples are. That takes two
# steps, over and over. Each sample goes to the nearest level; then each level moves to the mean of the samples that came
# to it. Neither step can make the squared error larger, so the noise falls until nothing moves (Lloyd, 1957). Here the
# numbers lie on a line, so you can watch all of it.
#
# A few minutes of sound are a million samples. Two things go wrong at that size. A table of the distances from every
# sample to each of 256 levels takes a gigabyte. And a running sum in float32 is wrong in the third digit. The levels
# rise, so a sample's level can be found without a table: how many of the *borders* half-way between neighbouring levels
# lie at or below it? The following cell looks over your function's shoulder: it notes the largest tensor that is made.


# %% nbgrader={"grade": false, "grade_id": "exercise1_watch", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Watch(TorchDispatchMode):
    """Counts PyTorch's operations inside its `with`, and notes the bytes of the largest tensor that they make."""

    def __init__(self):
        super().__init__()
        self.operations = self.largest = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.operations += 1
        result = operation(*args, **(kwargs or {}))
        for part in result if isinstance(result, list | tuple) else [result]:
            if isinstance(part, torch.Tensor):
                size = part.untyped_storage().nbytes()
                self.largest = max(self.largest, size)
        return result


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def move_levels(x, points):
    """One step of Lloyd's: every sample to its nearest level, then every level to the mean of its samples.

    x (N,) float: samples, N from 1 to a million. points (V,) of the same dtype, rising strictly: the levels, V from 1
    to 256. No tensor that you make may take more than 64 (N + V) bytes; so a table (N, V) is too large. Add up in
    float64. A sample equally near to two levels goes to the higher one. A level that no sample comes to stays where it
    is.
    -> (new_points, noise): new_points (V,), the means, of the dtype of points; noise, a tensor of shape (): the mean
    over the samples of (x − its level)², with the levels that came in. x and points stay as they were.
    Example: x = (0, 1, 2, 5, 6) and points (0, 4, 9). 0 and 1 go to level 0; 2, as near to 0 as to 4, goes to 4, and so
    do 5 and 6; nothing goes to 9. So new_points is (0.5, 13/3, 9) and noise (0 + 1 + 4 + 1 + 4)/5 = 2.
    """
    ### BEGIN SOLUTION
    borders = (points[1:] + points[:-1]) / 2
    # (N,): how many borders are at or below each sample
    level = torch.bucketize(x, borders, right=True)
    count = torch.bincount(level, minlength=len(points))
    total = torch.bincount(level, weights=x.double(), minlength=len(points))
    new_points = torch.where(count > 0, (total / count).to(points.dtype), points)
    return new_points, (x - points[level]).square().mean()
    ### END SOLUTION


# %% [markdown]
# First the example. Then a single level, which can only be the mean of everything, levels that are the samples
# themselves, and a million samples.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

five, three = torch.tensor([0.0, 1.0, 2.0, 5.0, 6.0]), torch.tensor([0.0, 4.0, 9.0])
points, noise = move_levels(five, three)
assert_shape(points, (3,), name="new_points of three levels")
assert_shape(noise, (), name="noise, the mean over all samples")
assert_close(noise, 2.0, name="noise in the example, before anything moves")
wanted = torch.tensor([0.5, 13 / 3, 9.0])
assert_close(points, wanted, name="new_points in the example: 2 goes up to 4, 9 stays")
points, noise = move_levels(five, torch.tensor([-7.0]))
name = "a single level, wherever it was, moves to the mean of all"
assert_close(points, torch.tensor([2.8]), name=name)
points, noise = move_levels(five, five)
assert_close(points, five, name="levels at the samples do not move")
assert_close(noise, 0.0, name="noise with a level at each sample")
with Watch() as watch:
    points, _ = move_levels(torch.linspace(-1, 1, 1000), torch.linspace(-1, 1, 200))
assert points.dtype == torch.float32, f"float32 in, float32 out, not {points.dtype}"
assert watch.largest <= 64 * 1200, (
    f"1000 samples, 200 levels: your largest tensor takes {watch.largest:,} bytes, {64 * 1200:,} are allowed. "
    "Hint: with a million samples a table of samples and levels does not fit. The borders between the levels rise; "
    "torch.bucketize or torch.searchsorted counts how many of them are at or below each sample."
)
points, _ = move_levels(torch.full((1_000_000,), 0.7), torch.linspace(-1, 1, 3))
name = "new_points for a million samples, all 0.7 (is the sum in float64?)"
assert_close(points, torch.tensor([-1.0, 0.0, 0.7]), name=name)

# %% [markdown]
# Graded later, worth 2 points: a million different samples, 256 levels, levels that are far away, samples outside all
# levels.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for N, V, spread in (
    (1, 1, 1.0),
    (1, 5, 0.3),
    (40, 3, 3.0),
    (300, 8, 0.2),
    (5000, 256, 1.0),
):
    samples = spread * torch.randn(N, generator=chance)
    points = torch.linspace(-1, 1, V) + 0.2 / V * torch.rand(V, generator=chance)
    kept = samples.clone(), points.clone()
    new_points, noise = move_levels(samples, points)
    case = f"{N} samples, {V} levels"
    assert_close(samples, kept[0], name=f"x, which must stay as it was; {case}")
    assert_close(points, kept[1], name=f"points, which must stay as they were; {case}")
    away = (samples[:, None] - points).abs().double()  # (N, V)
    mine = F.one_hot(away.argmin(1), V).double()
    means = (mine * samples[:, None]).sum(0) / mine.sum(0).clamp(min=1)
    assert_shape(new_points, (V,), name=f"new_points, {case}")
    assert_close(
        new_points,
        torch.where(mine.any(0), means, points.double()),
        name=f"new_points, {case}",
    )
    assert_shape(noise, (), name=f"noise, {case}")
    assert_close(noise, away.amin(1).square().mean(), name=f"noise, {case}")
points, noise = move_levels(
    torch.tensor([1.0, 3.0, 3.0, 5.0]), torch.tensor([0.0, 2.0, 4.0, 6.0])
)
assert_close(
    points,
    torch.tensor([0.0, 1.0, 3.0, 5.0]),
    name="samples on every border: each goes to the higher level",
)
points, _ = move_levels(
    torch.tensor([-50.0, 70.0, 80.0]), torch.tensor([10.0, 20.0, 30.0])
)
assert_close(
    points,
    torch.tensor([-50.0, 20.0, 75.0]),
    name="samples outside of all levels; nobody comes to the middle one",
)
million = 0.4 * torch.randn(1_000_000, generator=chance) + 0.1
levels_256 = mu_law_decode(torch.arange(256), 256)
with Watch() as watch:
    new_points, noise = move_levels(million, levels_256)
assert watch.largest <= 64 * 1_000_256, (
    f"a million samples, 256 levels: a tensor of {watch.largest:,} bytes, where 64 (N + V) are allowed"
)
ordered = million.double().sort().values
halfway = (levels_256[1:] + levels_256[:-1]).double() / 2
ends = torch.searchsorted(ordered, halfway)  # how many lie below each border
ends = torch.cat([torch.tensor([0]), ends, torch.tensor([len(ordered)])])
sums = F.pad(ordered.cumsum(0), (1, 0))[ends].diff()
assert_close(
    new_points,
    torch.where(ends.diff() > 0, sums / ends.diff(), levels_256.double()),
    name="new_points, a million samples, 256 levels",
)
theirs = levels_256.double().repeat_interleave(ends.diff())
assert_close(
    noise,
    (ordered - theirs).square().mean(),
    tolerance=1e-6,
    name="noise, a million samples, 256 levels",
)
### END HIDDEN TESTS

# %% [markdown]
# Sixteen levels, half a byte, start evenly spaced from −0.7 to 0.7 and move two hundred times. One set of levels learns
# from the vowels as they are, another from vowels at all volumes from −40 to 0 dB. Then all sets are tested at every
# volume. The signal-to-noise ratio is the chapter's, and your function measures the noise.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
even, mu_law = torch.linspace(-1, 1, 16), mu_law_decode(torch.arange(16), 16)
loud = clips.x[:, 2 * FRAME : -2 * FRAME].flatten()[::40].contiguous()
volumes = torch.arange(-40, 1, 4)  # dB
all_volumes = (loud[:, None] * 10 ** (volumes / 20)).flatten()
lessons = {"learnt, one volume": loud, "learnt, all volumes": all_volumes}
choices, falling = {"even": even, "μ-law": mu_law}, {}
for name, samples in lessons.items():
    points, falling[name] = 0.7 * even, []
    for _ in range(200):
        points, noise = move_levels(samples, points)
        falling[name].append(noise.item())
    choices[name] = points
heard = test.x[:, 2 * FRAME : -2 * FRAME].flatten()
ratio = {name: [] for name in choices}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for row, (name, points) in enumerate(choices.items()):
    for db in volumes:
        quiet = heard * 10 ** (db / 20)
        _, noise = move_levels(quiet, points)
        ratio[name].append(10 * math.log10(quiet.square().mean() / noise))
    left.plot(points, [-row] * 16, "|", markersize=16)
    right.plot(volumes, ratio[name], label=name)
    print(f"{name:20} {ratio[name][-1]:5.1f} dB at full volume,", end=" ")
    print(f"{ratio[name][3]:5.1f} dB at {volumes[3]} dB")
left.set(yticks=[-row for row in range(4)], yticklabels=choices)
left.set_xlabel("where the 16 levels are")
right.set(xlabel="volume (dB)", ylabel="signal to noise (dB)")
right.legend()
full, low = ({name: ratio[name][at] for name in choices} for at in (-1, 3))
for noises in falling.values():
    assert all(b <= a * (1 + 1e-5) for a, b in pairwise(noises)), "noise never rises"
once = "learnt, one volume"
assert full[once] > full["μ-law"] + 2, "learnt at this volume, better at it"
assert low[once] < low["μ-law"] - 4, "and worse when it is quiet"
both = zip(ratio["learnt, all volumes"], ratio["μ-law"], strict=True)
assert all(learnt > formula - 1 for learnt, formula in both), "the logarithm, found"

# %% [markdown]
# At the volume that they learnt from, learnt levels win by about three decibels. When the sound grows quiet, they fall
# far behind. Now look at the last row on the left. At all volumes the levels moved close together around 0, and the gaps
# widen further out. Nobody mentioned a logarithm, and yet these levels are at no volume here more than a decibel worse
# than the μ-law's. So what does the μ-law know? Nothing about sounds. It knows that you cannot tell in advance how loud
# they will be.

# %% [markdown]
# ## 2 While it is still arriving
#
# In training the whole sound is there, and a layer convolves all of it at once. In sampling there is one new sample at
# a time, and queues remember the rest. Many uses lie in between. A microphone hands over 10 ms at a time. A completion
# begins with half a word that is given. With queues you would feed what is given sample by sample, a hundred small
# operations each, though all of it is known.
#
# So let a layer take **pieces**: any number of new columns, and beside them its **past**, the columns before the piece
# that its taps can still reach. It gives back what it found, and the past for the next piece. One piece with everything
# in it is training; pieces of one column are the queues. (Large language models do the same: they read your question in
# one piece and answer token by token.)


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_on_piece(conv, skip, add, h, past, told):
    """One gated layer of a WaveNet on the next m columns of a sound.

    conv: a CausalConv1d from R to 2R channels, of which you need only conv.weight (2R, R, k), conv.bias and conv.dilation
    (a tuple of one number, d): conv.weight[:, :, −1] is for the column itself, the entry before it for d columns earlier, and
    so on. skip, add: nn.Conv1d with kernels of 1; add is None in the last layer. h (B, R, m): the piece, m from 1 to
    any number, also smaller than P. past (B, R, P) with P = (k − 1) d: the columns just before the piece, the latest
    last; k may be 1, and P is 0 then. told (B, 2R, m) or (B, 2R, 1): what the conditions add before the gate.
    -> (out, s, new_past): with g = gate(convolution + told), (B, R, m): out is h + add(g), or h where add is None; s is
    skip(g); new_past (B, R, P) are the P columns before the next piece. Nothing that came in is changed.
    Example: k = 2, d = 3, so P = 3; past holds the columns 4, 5, 6 and h the columns 7, 8. Column 7 is combined with
    4, column 8 with 5; new_past holds 6, 7, 8.
    """
    ### BEGIN SOLUTION
    whole = torch.cat([past, h], dim=2)  # (B, R, P + m)
    z = F.conv1d(whole, conv.weight, conv.bias, dilation=conv.dilation)  # (B, 2R, m)
    g = gate(z + told)
    out = h if add is None else h + add(g)
    return out, skip(g), whole[:, :, whole.shape[2] - past.shape[2] :]
    ### END SOLUTION


# %% [markdown]
# The layer of the example, on a sound of eleven columns: first in one piece, with silence before it, then in pieces of
# six and five. Both must find what `CausalConv1d` finds on the whole sound.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

chance = torch.Generator().manual_seed(0)


def random_layer(R, S, k, d):
    """(conv, skip, add) with random weights."""
    conv = CausalConv1d(R, 2 * R, k, d)
    layer = conv, torch.nn.Conv1d(R, S, 1), torch.nn.Conv1d(R, R, 1)
    for part in layer:
        for weight in part.parameters():
            weight.data = torch.randn(weight.shape, generator=chance)
    return layer


with torch.no_grad():
    layer = random_layer(2, 5, 2, 3)
    conv, skip, add = layer
    h = torch.randn(4, 2, 11, generator=chance)
    told = torch.randn(4, 4, 1, generator=chance)
    silence = torch.zeros(4, 2, 3)
    found = gate(conv(h) + told)
    out, s, new_past = layer_on_piece(*layer, h, silence, told)
    assert_shape(out, (4, 2, 11), name="out, B = 4, R = 2, m = 11")
    assert_shape(s, (4, 5, 11), name="s, B = 4, skip of 5 channels, m = 11")
    assert_shape(new_past, (4, 2, 3), name="new_past, P = 3")
    assert_close(s, skip(found), name="s of the whole sound in one piece")
    assert_close(out, h + add(found), name="out of the whole sound in one piece")
    name = "new_past after the whole sound: its last three columns"
    assert_close(new_past, h[:, :, 8:], name=name)
    first, s, new_past = layer_on_piece(*layer, h[:, :, :6], silence, told)
    name = "new_past after columns 0 to 5: columns 3, 4, 5"
    assert_close(new_past, h[:, :, 3:6], name=name)
    second, s, new_past = layer_on_piece(*layer, h[:, :, 6:], h[:, :, 3:6], told)
    wanted = skip(found)[:, :, 6:]
    assert_close(s, wanted, name="s of columns 6 to 10, whose past is columns 3 to 5")
    name = "out, in pieces of six and five"
    assert_close(torch.cat([first, second], 2), h + add(found), name=name)

# %% [markdown]
# Graded later, worth 2 points: other kernels and dilations, and pieces of all sizes, among them single columns.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
for R, S, k, d, sizes in (
    (1, 1, 2, 1, [1] * 6),
    (3, 2, 2, 8, [1, 2, 20, 1, 5]),
    (2, 4, 3, 4, [3, 1, 1, 9]),
    (2, 3, 1, 5, [2, 1, 4]),
):
    conv, skip, add = random_layer(R, S, k, d)
    P, T, B = (k - 1) * d, sum(sizes), 3
    h, told = (
        torch.randn(B, R, T, generator=chance),
        torch.randn(B, 2 * R, T, generator=chance),
    )
    for add_, told_ in ((add, told), (None, told[:, :, :1].expand(-1, -1, T))):
        with torch.inference_mode():
            found = gate(conv(h) + told_)
            past, start = torch.zeros(B, R, P), 0
            for m in sizes:
                now = slice(start, start + m)
                case = f"kernel {k}, dilation {d}, columns {start} to {start + m - 1} of {T}"
                given = h[:, :, now].clone(), past.clone(), told_[:, :, now].clone()
                out, s, new_past = layer_on_piece(conv, skip, add_, *given)
                for name, after, then in zip(
                    ("h", "past", "told"),
                    given,
                    (h[:, :, now], past, told_[:, :, now]),
                    strict=True,
                ):
                    assert_close(
                        after, then, name=f"{name}, which must stay as it was; {case}"
                    )
                assert_shape(s, (B, S, m), name=f"s, {case}")
                assert_close(
                    s,
                    skip(found)[:, :, now],
                    name=f"s, {case}, against CausalConv1d on the whole",
                )
                right = h if add_ is None else h + add_(found)
                assert_shape(out, (B, R, m), name=f"out, {case}")
                assert_close(
                    out,
                    right[:, :, now],
                    name=f"out, {case}" + ", where add is None" * (add_ is None),
                )
                assert_shape(new_past, (B, R, P), name=f"new_past, {case}")
                start += m
                latest = torch.cat([torch.zeros(B, R, P), h[:, :, :start]], 2)[
                    :, :, start:
                ]
                assert_close(
                    new_past,
                    latest,
                    name=f"new_past, {case}: the last {P} columns so far",
                )
                past = new_past
### END HIDDEN TESTS

# %% [markdown]
# Six of your layers make the whole network. `hear` passes a piece through them and says what each sample of it costs,
# given all samples before it. Its `memory` is all that it keeps. Let it hear a sound that is Bruno's for 200 ms and
# Dora's from then on, 10 ms at a time, while it is told all along that Bruno speaks.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}


def hear(piece, told, memory):
    """x (1, m) long, told (1, layers, 2R, m) -> nats of each sample (m,), and the memory for the next piece."""
    # the column that the first sample is predicted from, and each layer's past
    before, pasts = memory
    columns = voice.embed(piece).transpose(1, 2)  # (1, R, m)
    h, findings, kept = torch.cat([before, columns[:, :, :-1]], 2), 0, []
    for layer, conv in enumerate(voice.convs):
        add = voice.adds[layer] if layer < len(voice.adds) else None
        parts = conv, voice.skips[layer], add
        h, s, past = layer_on_piece(*parts, h, pasts[layer], told[:, layer])
        findings = findings + s
        kept.append(past)
    nats = F.cross_entropy(voice.head(findings), piece, reduction="none")[0]
    return nats, (columns[:, :, -1:], kept)


def listen(x, told, m):
    """The price of each sample (T,) of x (1, T), heard in pieces of m."""
    pasts = [torch.zeros(1, 16, conv.dilation[0]) for conv in voice.convs]
    memory = torch.zeros(1, 16, 1), pasts
    prices = []
    for piece, now in zip(x.split(m, 1), told.split(m, 3), strict=True):
        nats, memory = hear(piece, now, memory)
        prices.append(nats)
    return torch.cat(prices)


def first_of(name, phone="a"):
    """The number of the first held-out clip of a speaker and a vowel; where nobody says it, of the speaker."""
    theirs = test.speaker == people.index(name)
    right = theirs & (test.label[:, 20] == PHONES.index(phone))
    return int((right if right.any() else theirs).nonzero()[0])


bruno, dora = first_of("Bruno"), first_of("Dora")
half = 20 * FRAME
mixed = torch.cat([test.x[bruno, :half], test.x[dora, half:]])
what = [test.local_condition[bruno, :20], test.local_condition[dora, 20:]]
what = torch.cat(what)[None]
x = mu_law_encode(mixed, LEVELS)[None]
with torch.no_grad():
    # (1, frames, layers, 2R)
    told = voice.conditioning(1, x.shape[1], torch.eye(4)[:1], what)
    # a column for each sample
    told = told.permute(0, 2, 3, 1).repeat_interleave(FRAME, 3)
    prices = {}
    for m in (1, 10, FRAME, x.shape[1]):  # the last is the whole sound
        start = time.perf_counter()
        prices[m] = listen(x, told, m)
        each = 1e6 * (time.perf_counter() - start) / x.shape[1]
        with Watch() as watch:
            listen(x[:, :m], told[..., :m], m)
        print(f"pieces of {m:4}: {watch.operations:4} operations a piece,", end=" ")
        print(f"{each:7.1f} µs a sample (real time: 125)")
        name = f"prices in pieces of {m}, against single samples"
        assert_close(prices[m], prices[1], tolerance=1e-3, name=name)
    whole = -voice.log_prob(x, torch.eye(4)[:1], what)[0]
name = "all prices together, against log_prob"
assert_close(prices[FRAME].sum(), whole, tolerance=1e-3, name=name)
meter = prices[FRAME].view(-1, FRAME).mean(1)
fig, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
ax.step(10 * torch.arange(len(meter)), meter, where="post")
ax.axvline(200, color="grey", linestyle=":")
ax.set(xlabel="ms", ylabel="nats a sample")
ax.set_title("How surprised is a listener who expects Bruno?")
before, after = meter[5:20].mean(), meter[20:35].mean()
print(f"Bruno: {before:.2f} nats a sample, then Dora: {after:.2f}")
assert after > before + 0.2, "it notices"
show_sounds({"Bruno, then Dora": mixed})

# %% [markdown]
# The prices are the same, whatever the pieces. Now look at the operations: PyTorch starts the same hundred or so for a
# piece of one sample as for a piece of 3200. In a network this small, starting an operation takes longer than its
# arithmetic, so a sample costs less time in a larger piece. (How much less depends on your computer. To follow a
# microphone, stay below 125 µs.) The meter jumps where the voice changes, at 200 ms. The first 20 ms are expensive as
# well: they are silence, which was in no lesson. Remember this meter in exercise 4. If it can be surprised that someone
# is *not* Bruno, what else can it tell?

# %% [markdown]
# ## 3 What does an hour cost?
#
# A stopwatch measures the laptop together with the algorithm. What belongs to the algorithm alone is the number of its
# multiplications. A convolution spends one for each entry of its weight at each position, and there are hardly any
# others. Count them. Per position, a WaveNet has
#
# - in every layer, the dilated convolution, `weight` (2R, R, k), and `skips`, (S, R); in every layer but the last also
#   `adds`, (R, R);
# - at the end, two convolutions with kernels of 1: (S, S) and (V, S).
#
# With **queues**, each new sample costs one position. The simple way, **again**, runs the network anew for each sample,
# on all positions up to the new one, but never on more than the last $1 + (k - 1) \sum d$, since no tap reaches further
# back. (Here $d$ runs over the dilations of all layers.)
#
# Your count must be quick, too. A loop over an hour of samples would take minutes just to count. The check below
# therefore counts the lines of Python that your function runs. It uses no clock.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_multiplications(config, steps):
    """How many multiplications by weights it takes to draw one sound, in the simple way and with queues.

    config: a WaveNetConfig without conditions; config.levels V, .layers, .stacks, .features R, .skip_features S,
    .kernel_size k and .dilations (a list, one for each layer) are of use. steps T: samples, from 1 to 10¹²; the work of
    this function must not grow with T (a loop over the 1 + (k − 1) Σ dilations positions is allowed, one over T is not).
    -> (again, queues): two ints, exact. queues: T positions. again: the network runs T times, once for each new sample;
    for the t-th, t = 1 … T, it runs on t positions, or on 1 + (k − 1) Σ dilations of them if that is less. A position
    costs the entries of the weights named above; embedding, biases and gates cost nothing.
    Example: V = 4, two layers of dilation 1 and 2, R = 2, S = 3, k = 2. A position costs 2 · 16 + 2 · 6 + 4 + 9 + 12 =
    69, the field is 4. For T = 3: (1 + 2 + 3) · 69 = 414 and 207; for T = 6: (1 + 2 + 3 + 4 + 4 + 4) · 69 = 1242 and
    414.
    """
    ### BEGIN SOLUTION
    R, S, V = config.features, config.skip_features, config.levels
    k, L = config.kernel_size, config.layers
    position = L * (2 * R * R * k + S * R) + (L - 1) * R * R + S * S + V * S
    field = 1 + (k - 1) * sum(config.dilations)
    # the first runs are on 1, 2, 3 … positions, all others on `field`
    growing = min(steps, field)
    positions = growing * (growing + 1) // 2 + (steps - growing) * field
    return positions * position, steps * position
    ### END SOLUTION


# %% [markdown]
# The example in both lengths, a network of a single layer, and a million samples.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

LINES = 50_000  # of Python; a loop over the positions in reach stays far below


def without_a_loop(function, config, steps):
    """function(config, steps), stopped after LINES lines of Python: this counts, and looks at no clock."""
    lines, before = 0, sys.gettrace()
    hint = "Hint: from some sample on, every run is on the same number of positions. How many such runs are there?"

    def count(frame, event, value):
        nonlocal lines
        lines += 1
        if lines > LINES:
            raise AssertionError(
                f"{steps:,} samples: {LINES:,} lines of Python were run, and no answer yet. {hint}"
            )
        return count

    sys.settrace(count)
    try:
        return function(config, steps)
    except RecursionError:
        raise AssertionError(
            f"{steps:,} samples: the function calls itself too often. {hint}"
        ) from None
    finally:
        sys.settrace(before)


tiny = WaveNetConfig(levels=4, layers=2, stacks=1, features=2, skip_features=3)
for steps, right in ((1, (69, 69)), (3, (414, 207)), (6, (1242, 414))):
    answer = without_a_loop(count_multiplications, tiny, steps)
    is_pair = isinstance(answer, tuple) and len(answer) == 2
    assert is_pair, f"two numbers, (again, queues), are expected, got {answer!r}"
    for name, number, wanted in zip(("again", "queues"), answer, right, strict=True):
        case = f"{name} in the example, {steps} samples"
        assert_close(number, wanted, tolerance=1e-9, name=case)
answer = without_a_loop(count_multiplications, tiny, 10**6)
wanted = 69 * (1 + 2 + 3 + 4 * (10**6 - 3)), 69 * 10**6
assert answer == wanted, f"the example, a million samples: {wanted}, not {answer}"
single = WaveNetConfig(levels=2, layers=1, stacks=1, features=1, skip_features=1)
answer = torch.tensor(count_multiplications(single, 2))
case = "one layer of dilation 1, R = S = 1, V = 2, so 8 each"
assert_close(answer, torch.tensor([24, 16]), name=case)

# %% [markdown]
# Graded later, worth 2 points: other networks, compared with what PyTorch counts while they run; and ten minutes of
# sound from a large network, whose numbers have more digits than a float.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from torch.utils.flop_counter import FlopCounterMode

### BEGIN HIDDEN TESTS
cases = [
    (WaveNetConfig(levels=5, layers=4, stacks=2, features=3, skip_features=7), 12),
    (
        WaveNetConfig(
            levels=11,
            layers=3,
            stacks=1,
            features=4,
            skip_features=2,
            kernel_size=3,
            growth=3,
        ),
        30,
    ),
    (
        WaveNetConfig(
            levels=256,
            layers=5,
            stacks=5,
            features=8,
            skip_features=6,
            kernel_size=4,
            growth=1,
        ),
        20,
    ),
    (
        WaveNetConfig(
            levels=3, layers=6, stacks=3, features=2, skip_features=9, growth=1
        ),
        9,
    ),
]
for config_, steps in cases:
    net = WaveNet(config_, generator=make_generator(0))
    reached = 1 + (config_.kernel_size - 1) * sum(config_.dilations)
    counted = []
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            for t in range(1, steps + 1):
                net(torch.zeros(1, min(t, reached), dtype=torch.long))
        # it counts an addition beside each multiplication
        counted.append(counter.get_total_flops() // 2)
        with FlopCounterMode(display=False) as counter:
            state = net.begin(1)
            for _ in range(steps):
                _, state = net.step(torch.zeros(1, dtype=torch.long), state)
        counted.append(counter.get_total_flops() // 2)
    answer = without_a_loop(count_multiplications, config_, steps)
    for name, number, wanted in zip(("again", "queues"), answer, counted, strict=True):
        assert number == wanted, (
            f"{name}: PyTorch counted {wanted} multiplications, you {number}; {config_}, {steps} samples"
        )
ten_minutes = 600 * 16000
wide = WaveNetConfig(
    levels=255, layers=12, stacks=1, features=65, skip_features=127, kernel_size=3
)  # 498,249 multiplications a position; 8191 positions in reach
wanted = 498_249 * 8191 * (ten_minutes - 4095), 498_249 * ten_minutes
for number, right in zip(
    without_a_loop(count_multiplications, wide, ten_minutes), wanted, strict=True
):
    assert isinstance(number, int), (
        f"whole numbers (int) are expected, got {type(number).__name__}: {number}"
    )
    assert number == right, (
        f"ten minutes at 16 kHz, {wide}: expected exactly {right}, got {number}"
    )
### END HIDDEN TESTS

# %% [markdown]
# Now let it calculate: an hour of speech at 16,000 samples a second (our clips have 8,000), for one stack of 4 to 14
# layers. How fast must a computer be to speak in real time? For comparison, training runs the network once over the
# sound that it is given, all positions side by side. How many multiplications is one such look at a sound?

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
depths, hour = range(4, 15), 3600 * 16000
configs = [WaveNetConfig(layers=L, stacks=1) for L in depths]
counts = [count_multiplications(config, hour) for config in configs]
again, queues = zip(*counts, strict=True)
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.semilogy(depths, again, label="from scratch")
ax.semilogy(depths, queues, label="queues")
ax.set(xlabel="layers", ylabel="multiplications", title="An hour of speech")
ax.legend()
net = WaveNet(WaveNetConfig(layers=10, stacks=1), generator=generator)
sound = torch.zeros(1, 2000, dtype=torch.long)
with torch.no_grad(), FlopCounterMode(display=False) as counter:
    net(sound)
seen = counter.get_total_flops() // 2
start = time.perf_counter()
with torch.no_grad():
    net(sound)
speed = seen / (time.perf_counter() - start)
again_10, queues_10 = again[6], queues[6]
hours, minutes = again_10 / speed / 3600, queues_10 / speed / 60
print(f"10 layers: from scratch {again_10:.1e} multiplications,", end=" ")
print(f"with queues {queues_10:.1e}")
print(f"in real time: {again_10 / 3600 / 1e9:,.0f} billion a second,", end=" ")
print(f"with queues {queues_10 / 3600 / 1e9:.1f}")
print(f"this computer makes about {speed / 1e9:.0f} billion a second", end=" ")
print("when it runs on a whole sound;")
print(f"at that speed the hour takes {hours:.0f} hours from scratch,", end=" ")
print(f"{minutes:.0f} minutes with queues")
_, drawing = count_multiplications(WaveNetConfig(layers=10, stacks=1), 2000)
assert seen == drawing, "a look costs what drawing does"
assert 1000 < again_10 / queues_10 < 1024, "almost the receptive field"

# %% [markdown]
# With ten layers, queues save a factor of nearly 1024, the number of positions in reach (nearly, because the first runs
# are shorter). Now look at the last assertion but one. One look at a sound in training costs *exactly* as many
# multiplications as drawing it with queues. So drawing is not slow because it has more to do. It is slow because it must
# wait for each sample before it can begin the next, while training does all at once. No better counting will change
# that. Models that draw everything at once will; chapter 7 has one.

# %% [markdown]
# ## 4 Who is speaking?
#
# A model that can speak in four voices gives every sound a price in each of them: $p(x \mid k)$. Bayes' rule turns that
# round, with no further training. With $p(k)$ for what you believed before you heard anything,
#
# $$ p(k \mid x_1, \dots, x_t) = \frac{p(k) \prod_{s \le t} p(x_s \mid x_{<s}, k)}
#    {\sum_j p(j) \prod_{s \le t} p(x_s \mid x_{<s}, j)} $$
#
# The chain rule gives it for every $t$, so you can watch a listener make up its mind, sample by sample. A hypothesis $k$
# is anything that the model can be told: a speaker, a vowel, or both. To a computer, a product of a few hundred such
# factors is 0, under every hypothesis. You have met that problem before.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def posterior(model, x, global_condition, local_condition, log_prior):
    """How likely each of K hypotheses is about one sound, after each of its samples.

    model: called as model(x (K, T) long, global_condition (K, G), local_condition (K, frames, L)) -> logits (K, T, V),
    not normalised, where those at [k, t] are for x[k, t], given the samples before it and what sound k is told.
    x (T,) long: the sound, T from 1 to 20,000; global_condition, local_condition: row k is what hypothesis k tells the
    model. log_prior (K,): log p(k), where the p(k) sum to 1; −∞ marks a hypothesis that is impossible, and at least one
    is possible.
    -> (T + 1, K) float: row t is p(k | the first t samples), so row 0 is the prior. Every row sums to 1.
    Example: V = 2; hypothesis 0 is a fair coin, hypothesis 1 one that gives x = 1 with 3/4, equally likely before. For
    x = (1, 1, 0) the rows are (1/2, 1/2), (2/5, 3/5), (4/13, 9/13) and (8/17, 9/17).
    """
    ### BEGIN SOLUTION
    same = x.expand(len(log_prior), -1)  # (K, T): the same sound, K times
    log_p = model(same, global_condition, local_condition).log_softmax(2)  # (K, T, V)
    log_p = log_p.gather(2, same[:, :, None])[:, :, 0]  # (K, T)
    heard = F.pad(log_p.cumsum(1), (1, 0))  # (K, T + 1): nothing costs nothing
    return (log_prior[:, None] + heard).softmax(0).T
    ### END SOLUTION


# %% [markdown]
# The example: a model that tosses coins and is told by `global_condition` how large p(1) is. Then a listener who starts
# out nearly sure that the coin is fair.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def coins(x, global_condition, local_condition):
    """(K, T) long, global_condition p(1) (K, 1) -> logits (K, T, 2); 7 is added to all, which changes no probability."""
    p = global_condition
    name = "x, as the model is given it: the sound once for each hypothesis"
    assert_shape(x, (len(p), "T"), name=name)
    return torch.stack([1 - p, p], 2).log().expand(-1, x.shape[1], -1) + 7


coin_p, nothing = torch.tensor([[0.5], [0.75]]), torch.zeros(2, 1, 1)
equal = torch.tensor([0.5, 0.5]).log()
p = posterior(coins, torch.tensor([1, 1, 0]), coin_p, nothing, equal)
name = "posterior of 3 samples and 2 hypotheses: a row before the first sample, too"
assert_shape(p, (4, 2), name=name)
wanted = [[1 / 2, 1 / 2], [2 / 5, 3 / 5], [4 / 13, 9 / 13], [8 / 17, 9 / 17]]
name = "posterior in the example, coin tosses 1, 1, 0"
assert_close(p, torch.tensor(wanted), name=name)
nearly_sure = torch.tensor([0.9, 0.1]).log()
p = posterior(coins, torch.tensor([1, 1]), coin_p, nothing, nearly_sure)
wanted = torch.tensor([[0.9, 0.1], [6 / 7, 1 / 7], [0.8, 0.2]])
name = "posterior, 0.9 believed before (the prior counts once, not at each sample)"
assert_close(p, wanted, name=name)

# %% [markdown]
# Graded later, worth 2 points: more hypotheses, longer sounds, a model with a memory, impossible hypotheses.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)
for K, T, V, frames in ((1, 1, 2, 1), (3, 5, 4, 5), (6, 40, 3, 8), (20, 2000, 64, 25)):
    # logits after each level; the last row is for the start
    table = torch.randn(V + 1, V, generator=chance).double()
    who, what = (
        torch.randn(size, generator=chance).double()
        for size in ((K, V), (K, frames, V))
    )

    def chain(x, global_condition, local_condition):
        before = torch.cat([torch.full_like(x[:, :1], len(table) - 1), x[:, :-1]], 1)  # noqa: B023
        often = -(-x.shape[1] // local_condition.shape[1])
        now = local_condition.repeat_interleave(often, 1)[:, : x.shape[1]]
        return table[before] + global_condition[:, None] + 0.1 * now  # noqa: B023

    sound = torch.randint(V, (T,), generator=chance)
    log_prior = (2 * torch.randn(K, generator=chance).double()).log_softmax(0)
    p = posterior(chain, sound, who, what, log_prior)
    case = f"{K} hypotheses, {T} samples, {V} levels"
    assert_shape(p, (T + 1, K), name=f"posterior, {case}")
    rule = torch.distributions.Categorical(logits=chain(sound.repeat(K, 1), who, what))
    log_joint = log_prior + torch.cat(
        [torch.zeros(1, K), rule.log_prob(sound.repeat(K, 1)).T.cumsum(0)]
    )
    assert_close(
        p,
        (log_joint - log_joint.logsumexp(1, keepdim=True)).exp(),
        name=f"posterior, {case}",
    )
long_ago = torch.ones(20000, dtype=torch.long)
p = posterior(
    coins,
    long_ago,
    torch.tensor([[0.5], [0.5], [0.1]]).double(),
    torch.zeros(3, 1, 1),
    torch.tensor([0.2, 0.3, 0.5]).log(),
)
assert_close(
    p[-1],
    torch.tensor([0.4, 0.6, 0.0]),
    name="two fair coins, 0.2 and 0.3 before, after 20,000 tosses (finite)",
)
log_prior = torch.tensor([0.0, 0.25, 0.75]).log()
p = posterior(
    coins,
    torch.tensor([0, 1]),
    torch.tensor([[0.5], [0.2], [0.6]]),
    torch.zeros(3, 1, 1),
    log_prior,
)
wanted = torch.tensor(
    [[0.0, 0.25, 0.75], [0.0, 0.4, 0.6], [0.0, 0.04 / 0.22, 0.18 / 0.22]]
)
assert_close(
    p,
    wanted,
    name="posterior where hypothesis 0 was impossible before (log 0 is −∞, and may be)",
)
### END HIDDEN TESTS

# %% [markdown]
# Take a hundred sounds that the network has not heard, 100 ms from the middle of each. Who is it? Which vowel is it? For
# the second question the hypotheses differ in `local_condition`: each sets a different phone to 1. The pictures show
# one sound, for 40 ms.

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
start, frames = 10, 10
# (100, 800)
sounds = mu_law_encode(test.x, LEVELS)[:, start * FRAME : (start + frames) * FRAME]
# (100, 10, 11): the phone, one-hot, and the pitch above the mean
told = test.local_condition[:, start : start + frames]
said = test.label[:, 20] - 1


@torch.no_grad()
def which_speaker(i):
    """Four hypotheses about clip i: (801, 4)."""
    told_4, equal = told[i].expand(4, -1, -1), torch.full((4,), 0.25).log()
    return posterior(voice, sounds[i], torch.eye(4), told_4, equal)


@torch.no_grad()
def which_vowel(i):
    """Five hypotheses about clip i, whose speaker is known: (801, 5)."""
    phones = F.one_hot(1 + torch.arange(5), len(PHONES)).float()
    local_condition = told[i].repeat(5, 1, 1)  # (5, 10, 11)
    local_condition[:, :, : len(PHONES)] = phones[:, None]
    who = torch.eye(4)[test.speaker[i]].expand(5, -1)
    equal = torch.full((5,), 0.2).log()
    return posterior(voice, sounds[i], who, local_condition, equal)


by_speaker = torch.stack([which_speaker(i) for i in range(len(test))])
by_vowel = torch.stack([which_vowel(i) for i in range(len(test))])
ms = torch.arange(sounds.shape[1] + 1) / 8
fig, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for ax, p, names in ((axes[0], by_speaker[0], people), (axes[1], by_vowel[0], VOWELS)):
    for k, name in enumerate(names):
        ax.plot(ms, p[:, k], label=name)
    ax.set(xlabel="ms heard", ylabel="probability", xlim=(0, 40))
    ax.legend()
axes[0].set_title(f"it is {people[test.speaker[0]]}")
axes[1].set_title(f"it is {VOWELS[said[0]]}")
shares = {}
print("right after    0 ms  10 ms  100 ms")
rows = ("speaker", by_speaker, test.speaker), ("vowel", by_vowel, said)
for name, p, truth in rows:
    right = (p.argmax(2) == truth[:, None]).float().mean(0)  # (801,)
    shares[name] = right[80].item(), right[-1].item()
    print(f"{name:10} {1 / p.shape[2]:8.0%} {right[80]:6.0%} {right[-1]:7.0%}")
sure = [by_speaker[:, t].amax(1).mean().item() for t in (80, -1)]
print("sure of the speaker{:5.0%} {:7.0%}".format(*sure))
speaker, vowel = shares["speaker"], shares["vowel"]
assert vowel[1] > 0.8 and speaker[1] > 0.6, "taught to speak, it recognises"
assert sure[0] > speaker[0] and sure[1] > speaker[1], "and is surer than it is right"

# %% [markdown]
# Nobody trained a classifier, and here are two. Ten milliseconds, less than one period of Bruno's voice, go a long way
# towards the vowel; the speaker takes longer. You can ask any question whose answer the model can be told. Who *and*
# what together are twenty hypotheses. Sum them over the vowels, and you have the speaker without being told the vowel,
# which is a harder question than the one above.
#
# But compare how sure it is with how often it is right, after 800 factors. It is surer than it should be. Where the
# network is a little wrong about a sound, it is wrong in the same way in sample after sample, and Bayes' rule takes each
# of them for new evidence. Can you think of a cure that needs a single number in your function? (Chapter 3 has one, for
# a model that is too sure of its next letter.)

# %% [markdown]
# ## What you saw
#
# - Levels can be learnt from the sounds. Learnt at one volume they win there and lose elsewhere; learnt at all volumes
#   they come out much like the μ-law.
# - A causal layer needs only its past. With it, a piece of any size gives the same numbers: training, streaming and
#   sampling are one computation.
# - Count before you time. Drawing takes no more multiplications than one look in training; it takes turns, and those
#   cannot be shared out.
# - A model that prices a sound under every hypothesis can be asked which hypothesis is true.
# - Bayes' rule believes the model. If its small errors are alike from sample to sample, it becomes too sure.
