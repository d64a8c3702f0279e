# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 6: what can be known about the next frame?
#
# **You will find out what a network looks at, compute what a moving digit costs someone who knows its law, see why
# independent pixels cost so much more, and follow a digit that you cannot always see.**
#
# *Laptop: 15 seconds. You need: [chapter 6](../chapters/06_video_pixel_network.ipynb). Four exercises, 3 points each.*
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

from course_lib.data.bouncing_digits import load_bouncing_digits
from course_lib.device import make_generator
from course_lib.models.video_pixel_network import (
    IndependentPixels,
    VideoPixelNetwork,
    VPNConfig,
)

generator = make_generator(0)
videos = load_bouncing_digits(40, generator=generator, frames=12, split="test")
corner = videos.corner[:, 0]  # (40, 12, 2): of each digit in each frame
diagonals = torch.tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]])


def show(ax, frame, title=""):
    """One frame (H, W), paper 0 to ink 1, without axes."""
    ax.imshow(1 - frame, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=8)


fig, axes = plt.subplots(2, 12, figsize=(9, 1.9), layout="constrained")
for row, video in zip(axes, videos.x, strict=False):
    for t, ax in enumerate(row):
        show(ax, video[t, 0], f"frame {t}")

# %% [markdown]
# The videos are those of the chapter. A digit, cut to its ink, moves one pixel diagonally from frame to frame. Where
# the next step would take it out of the frame, it draws a new direction among those that stay inside. So almost all of
# the future is certain, and the little that is not is known exactly.

# %% [markdown]
# ## 1 What does it look at?
#
# A video is a sequence of frames, a frame a sequence of pixels, and a pixel a sequence of colours. The model gives each
# number a distribution, given the numbers *before* it: all earlier frames, the earlier pixels of its own frame (the
# rows above, and its own row to the left), and the earlier colours of its own pixel. A model that looks at anything
# else is no model of videos. Its prices look wonderful, and its drawings are worthless.
#
# One slip is enough: a mask of the wrong kind, a frame too many. The loss curve does not warn you: it looks like a
# success. But you can ask the model. Change one number of a video, and see whether the distribution at another place
# moves. Do that with each number in turn.
#
# Three things need care. A change may matter in one video and not in another, so try several videos. It may matter
# only for certain levels, so try all of them. And logits may move without any change in the distribution: if all
# logits at a place grow by the same amount, the probabilities stay as they were.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def what_it_sees(model, x, where):
    """Which numbers of a video the distribution at one place depends on.

    model: videos (N, T, C, H, W) long, of levels 0 to V − 1, any N ≥ 1 -> logits (N, T, C, H, W, V), float64, V ≥ 2.
    They are not normalised, and may be −∞, but not all V at one place. The logits of a video do not depend on the
    other videos. x (B, T, C, H, W) long: videos, B ≥ 1. where: a tuple (t, c, i, j), one place in a video.
    -> seen (T, C, H, W) bool. seen[n] is True if in at least one of the B videos there is another level for the number
    at n such that the distribution at `where` changes: the log-probability of at least one of the V levels moves by
    more than 1e-9. (Less is rounding.) Only the number at n changes, and all others are those of the video. From −∞ to
    a finite number is a change, from −∞ to −∞ is none. Any number may be seen, even the one at `where` itself. x stays
    as it was.
    Example: videos of 2 frames of 1 × 3 pixels, one colour, V = 2. The logits are (0, s), where s is the number to the
    left plus twice the number at the same place one frame earlier, if there are such numbers. At where = (1, 0, 0, 1),
    the middle of the second frame, the model sees the left pixel of the second frame and the middle pixel of the first.
    """
    ### BEGIN SOLUTION
    before = model(x)[(slice(None), *where)].log_softmax(-1)  # (B, V)
    seen = torch.zeros(x[0].numel(), dtype=torch.bool)
    for n in range(len(seen)):
        for more in range(1, before.shape[1]):
            other = x.flatten(1).clone()
            other[:, n] = (other[:, n] + more) % before.shape[1]
            after = model(other.view_as(x))[(slice(None), *where)].log_softmax(-1)
            # −∞ − (−∞) is NaN, which is not above 1e-9
            seen[n] |= ((after - before).abs() > 1e-9).any()
    return seen.view(x.shape[1:])
    ### END SOLUTION


# %% [markdown]
# First the example. Then a small Video Pixel Network with three colours, and a place for which you can say what it may
# see.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def left_and_earlier(x):
    """The model of the example."""
    assert x.dtype == torch.long, f"videos for the model: expected long, got {x.dtype}"
    assert x.ndim == 5 and x.min() >= 0 and x.max() < 2, (
        "videos for the model: expected (N, T, C, H, W) with the levels 0 and 1"
    )
    s = torch.zeros(x.shape).double()
    s[..., 1:] += x[..., :-1]
    s[:, 1:] += 2 * x[:, :-1]
    return torch.stack([0 * s, s], -1)


x = torch.tensor([[0, 1, 0], [1, 1, 0]]).view(1, 2, 1, 1, 3)
seen = what_it_sees(left_and_earlier, x, (1, 0, 0, 1))
assert_shape(seen, (2, 1, 1, 3), name="seen in the example")
assert seen.dtype == torch.bool, (
    f"seen: expected a tensor of bools, True or False, got {seen.dtype}"
)
wanted = torch.tensor([[0, 1, 0], [1, 0, 0]]).view(2, 1, 1, 3)
assert_close(seen, wanted, name="seen in the example (1: yes)")
seen = what_it_sees(left_and_earlier, x, (0, 0, 0, 0))
name = "seen at the very first number, before which there is nothing"
assert_close(seen, torch.zeros(2, 1, 1, 3), name=name)
config = VPNConfig(channels=3, height=3, width=4, features=8)
small = VideoPixelNetwork(config, generator=make_generator(1)).double()
x = torch.randint(2, (2, 2, 3, 3, 4), generator=make_generator(2))
kept = x.clone()
seen = what_it_sees(small, x, (1, 1, 1, 2))  # green
assert_close(x, kept, name="x, which must stay as it was")
assert_shape(seen, (2, 3, 3, 4), name="seen, 2 frames of 3 colours")
t, c, i, j = torch.meshgrid(*map(torch.arange, (2, 3, 3, 4)), indexing="ij")
order = ((t * 3 + i) * 4 + j) * 3 + c  # frame, row, column, colour
name = "what green in row 1, column 2 of the second frame sees, a Video Pixel Network"
assert_close(seen, (order < order[1, 1, 1, 2]).long(), name=name)

# %% [markdown]
# Graded later, worth 2 points: models that look at what they should not, more levels, changes that matter in some
# videos or at some levels only, very small changes, and logits of −∞.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)


def planted(looks, where, V, effect):
    """A model whose logits at `where` come from effect(numbers at looks (N, M), logits (N, V)); elsewhere from all."""

    def model(x):
        assert isinstance(x, torch.Tensor) and x.dtype == torch.long, (
            "videos for the model: expected a tensor of longs"
        )
        assert x.shape[1:] == looks.shape, (
            f"videos for the model: expected (N, {', '.join(map(str, looks.shape))}), got {tuple(x.shape)}"
        )
        assert x.min() >= 0 and x.max() < V, (
            f"levels for the model: expected 0 to {V - 1}, got {x.min()} to {x.max()}"
        )
        weights = torch.arange(1, looks.numel() + 1).double()
        every = (x.flatten(1) * weights).sum(1) / 100
        logits = every[:, None] * torch.arange(V).double().sin()
        logits = logits.view(-1, 1, 1, 1, 1, V).repeat(1, *looks.shape, 1)
        start = torch.zeros(len(x), V).double()
        logits[(slice(None), *where)] = effect(
            x[:, looks].double(), x[:, ~looks].double(), start
        )
        return logits

    return model


def smooth(mine, others, logits):
    scale = torch.arange(1, mine.shape[1] + 1).double()
    logits[:, -1] += (mine * scale).sum(1) / 10
    return logits


def one_level(mine, others, logits):
    logits[:, 0] += (mine == logits.shape[1] - 1).sum(1) / 7
    return logits


def tiny(mine, others, logits):
    logits[:, 0] += 1e-8 * mine.sum(1)
    return logits + 1e-10 * others.sum(1, keepdim=True).sin() * torch.arange(
        logits.shape[1]
    )


def rare(mine, others, logits):
    logits[:, 1:] -= 900
    logits[:, 1] += mine.sum(1) / 5
    return logits


def rare_first(mine, others, logits):
    return rare(mine, others, logits).flip(-1)


def all_alike(mine, others, logits):
    logits[:, 1] += mine.sum(1) / 5
    return logits + others.sum(1, keepdim=True)


def middle_level(mine, others, logits):
    logits[:, 0] += (mine == 2).sum(1) / 7
    return logits


def balanced(mine, others, logits):
    """Levels 0 and 1 share what they have in another way, and the others keep what they have."""
    a = (0.3 * mine.sum(1) - 0.5).sigmoid()
    logits[:, 0], logits[:, 1] = a.log(), (1 - a).log()
    return logits


def hardly(mine, others, logits):
    """The last level is impossible, and becomes hardly possible where all that is seen is above 0."""
    logits[:, -1] = torch.where((mine == 0).any(1), -math.inf, -60.0)
    return logits


def impossible(mine, others, logits):
    """Level 1 never comes; level 2 only while all that is seen is above 0."""
    logits[:, 1] = -math.inf
    logits[:, 2] = torch.where((mine == 0).any(1), -math.inf, 0.5)
    return logits


for effect, shape, V, B, ink in (
    (smooth, (2, 1, 3, 4), 2, 1, None),
    (smooth, (3, 2, 2, 3), 4, 2, None),
    (one_level, (2, 2, 3, 2), 5, 1, 0),
    (one_level, (2, 1, 2, 4), 3, 3, 1),
    (one_level, (2, 1, 4, 2), 3, 1, 0),
    (one_level, (2, 1, 4, 2), 4, 1, 2),
    (tiny, (2, 3, 2, 3), 3, 2, None),
    (rare, (1, 3, 4, 2), 3, 2, None),
    (rare_first, (2, 1, 3, 2), 2, 1, None),
    (all_alike, (2, 1, 3, 3), 2, 2, None),
    (middle_level, (2, 1, 2, 4), 5, 2, 0),
    (middle_level, (1, 2, 3, 2), 4, 1, 3),
    (balanced, (2, 2, 2, 2), 2, 2, None),
    (balanced, (2, 1, 3, 2), 3, 1, 2),
    (hardly, (2, 1, 3, 3), 2, 1, 1),
    (hardly, (1, 2, 2, 3), 3, 1, 2),
    (impossible, (2, 1, 3, 3), 3, 1, 1),
    (impossible, (2, 1, 3, 3), 3, 2, 2),
):
    for _ in range(4):
        looks = torch.rand(shape, generator=chance) < 0.4
        where = tuple(int(torch.randint(n, (), generator=chance)) for n in shape)
        x = torch.randint(V, (B, *shape), generator=chance)
        if ink is not None:
            x[:] = ink
        was = x.clone()
        seen = what_it_sees(planted(looks, where, V, effect), x, where)
        case = f"{B} videos {shape} of {V} levels, where = {where}, a model with a known secret ({effect.__name__})"
        assert x.equal(was), f"x must stay as it was, and has changed; {case}"
        assert_shape(seen, shape, name=f"seen, {case}")
        assert seen.dtype == torch.bool, (
            f"seen: expected bool, got {seen.dtype}; {case}"
        )
        assert_close(seen, looks.long(), name=f"seen (1: yes), {case}")


# the first number matters only where the second is 0, and the second only where the first is not
def only_where(x):
    s = x[:, 0, 0, 0, 0].double() * (x[:, 0, 0, 0, 1] == 0)
    return torch.stack([0 * s, s], -1).view(-1, 1, 1, 1, 1, 2).repeat(1, 1, 1, 1, 3, 1)


for rows, wanted in (
    ([[0, 0, 0]], [1, 0, 0]),
    ([[0, 1, 0]], [0, 0, 0]),
    ([[1, 1, 0]], [0, 1, 0]),
    ([[0, 1, 0], [1, 1, 1]], [0, 1, 0]),
    ([[0, 1, 0], [0, 0, 1], [1, 1, 0]], [1, 1, 0]),
):
    x = torch.tensor(rows).view(-1, 1, 1, 1, 3)
    seen = what_it_sees(only_where, x, (0, 0, 0, 2))
    name = f"seen, where the first number matters only beside a 0; videos {rows}"
    assert_close(seen, torch.tensor([[[wanted]]]), name=name)


# a model that is sure, and changes its mind
def sure(x):
    s = torch.where(x[:, :, :, :, :1] == 1, -math.inf, 0.0).expand(x.shape).double()
    other = torch.where(x[:, :, :, :, 1:2] == 1, -math.inf, 0.0)
    other = torch.where(s < 0, 0.0, other.expand(x.shape).double())
    return torch.stack([s, other], -1)


x = torch.zeros(1, 1, 1, 1, 3, dtype=torch.long)
seen = what_it_sees(sure, x, (0, 0, 0, 1))
wanted = torch.tensor([[[[1, 1, 0]]]])
assert_close(seen, wanted, name="seen, a model with logits of −∞")
### END HIDDEN TESTS

# %% [markdown]
# Now your function questions five networks. None of them is trained: what a network *can* see is decided when it is
# built. The place is green in row 3, column 2 of the second of two frames. Two of the five cheat. `Early` is told one
# frame too many. In `WrongMask` the mask of the decoder's first layer lets the pixel itself through, with all its
# colours.


# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Early(VideoPixelNetwork):
    def logits(self, words):
        told, _ = self.context(words)  # of one frame more than there are
        logits = self.decode(told[:, 1:].flatten(0, 1), words.flatten(0, 1))
        return logits.unflatten(0, words.shape[:2])


class WrongMask(VideoPixelNetwork):
    def build(self, words):
        super().build(words)
        self.look.mask[..., 2, 2] = 1  # the middle of its 5 × 5 pixels


config = dict(channels=3, height=6, width=7, features=8)
networks = {
    "VPN": VideoPixelNetwork(VPNConfig(**config), generator=generator),
    "no decoder blocks": VideoPixelNetwork(
        VPNConfig(**config, decoder=0), generator=generator
    ),
    "independent pixels": IndependentPixels(VPNConfig(**config), generator=generator),
    "Early": Early(VPNConfig(**config), generator=generator),
    "WrongMask": WrongMask(VPNConfig(**config), generator=generator),
}
where = (1, 1, 3, 2)
x = torch.randint(2, (1, 2, 3, 6, 7), generator=generator)
t, c, i, j = torch.meshgrid(*map(torch.arange, x.shape[1:]), indexing="ij")
order = ((t * 6 + i) * 7 + j) * 3 + c
may = order < order[where]
fig, axes = plt.subplots(2, 5, figsize=(9, 3.6), layout="constrained")
cheats, blind = {}, {}
for column, (name, network) in zip(axes.T, networks.items(), strict=True):
    with torch.no_grad():
        seen = what_it_sees(network.double(), x, where)
    cheats[name], blind[name] = int((seen & ~may).sum()), int((may & ~seen).sum())
    print(f"{name:18} sees {cheats[name]:3} numbers that it must not see,", end=" ")
    print(f"and of the {int(may.sum())} others it does not see {blind[name]}")
    for frame, ax in enumerate(column):
        colours = torch.full((6, 7, 3), 0.93)
        colours[(may & ~seen)[frame].any(0)] = torch.tensor([0.95, 0.75, 0.3])
        colours[(may & seen)[frame].any(0)] = torch.tensor([0.25, 0.5, 0.85])
        colours[(seen & ~may)[frame].any(0)] = torch.tensor([0.85, 0.25, 0.2])
        ax.imshow(colours)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{name}\nframe {frame}", fontsize=8)
        if frame == 1:
            ax.plot(2, 3, "k.")
assert [name for name in cheats if cheats[name]] == ["Early", "WrongMask"]
assert blind["independent pixels"] == order[where] - order[1, 0, 0, 0]
assert 0 < blind["VPN"] < blind["no decoder blocks"] < blind["independent pixels"]

# %% [markdown]
# The black dot is the place. Blue is seen, yellow is not seen although it might be, red must not be seen, and gray is
# neither. All five see the whole frame before. They differ in their own frame. The Video Pixel Network sees most of
# what it may see. The yellow corner at the right is the blind spot of chapter 4: its decoder is a stack of masked
# convolutions. Without blocks only the pixels under its first kernel are left, and the baseline sees none. `Early`
# sees the whole frame that it is supposed to predict. `WrongMask` sees only two numbers too many, green and blue of
# the place itself. But green is the very number that it predicts. Trained, it could pay nothing at all.

# %% [markdown]
# ## 2 The price of a bounce
#
# How well can a video be predicted? If you know the law by which it moves, you know the answer exactly. The price of a
# move is $-\log$ of its probability, in nats. On average nobody can pay less: this is the *floor*.
#
# The chapter has one law. Here is a larger family of laws. A digit can make $D$ different steps $s_1, \dots, s_D$. It
# remembers the last one. Its first step is *drawn*. Then it repeats its last step, with two exceptions. Where that
# would take it out of the frame, it must draw. And now and then, with probability $w$, it has a whim and draws for no
# reason. A draw takes one of the steps that stay inside the frame, in proportion to their shares $\pi_d$. It may draw
# the old step once more. So for the step $d$
#
# $$ q_d = \frac{\pi_d\,[d \text{ stays inside}]}{\sum_e \pi_e\,[e \text{ stays inside}]}, \qquad
#    p_d = \begin{cases} q_d & \text{if it must draw,} \\
#    (1 - w)\,[d = \text{last}] + w\,q_d & \text{otherwise,} \end{cases} $$
#
# where a bracket is 1 if what it says is true, and 0 otherwise. The chapter's law has the four diagonal steps, equal
# shares, and $w = 0$.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def price_of_moves(corner, room, steps, share, whim):
    """What each move of a digit costs, in nats, for someone who knows the law.

    corner (B, T, 2) long, T ≥ 2: the row and the column of the digit's upper left corner in each frame of B videos.
    room (B, 2) long, ≥ 0: the largest row and the largest column that the corner may have in each video; the smallest
    are 0, and all corners are inside. steps (D, 2) long, all different: by how many rows and columns a step goes, of
    any length. share (D,) float64 ≥ 0: the shares of the steps in a draw; they need not sum to 1. whim, a float from 0
    to 1: the w of the formula above. From every corner in `corner`, at least one step with a share above 0 stays
    inside.
    -> price (B, T − 1) float64: −log p of each move, given the moves before it, right to six digits. It is ∞ where the
    law rules the move out. After a move that is none of the steps, the digit has no last step, and must draw. The
    arguments stay as they were.
    Example: steps (1, 1), (−1, 1), (1, −1), (−1, −1) with shares 0.4, 0.3, 0.2, 0.1, whim 0.5, room (2, 4), corners
    (0, 0), (1, 1), (2, 2), (1, 3). The first draw has no choice: price 0. Then all four steps stay inside, and the
    digit repeats its last one: −log(0.5 + 0.5 · 0.4) = 0.3567. Now row 3 would be outside, so it must draw among
    (−1, 1) and (−1, −1): −log(0.3 / 0.4) = 0.2877.
    """
    ### BEGIN SOLUTION
    took = (corner.diff(dim=1)[:, :, None] == steps).all(-1)  # (B, T − 1, D)
    ahead = corner[:, :-1, None] + steps
    inside = ((ahead >= 0) & (ahead <= room[:, None, None])).all(-1)
    q = share * inside
    p = q / q.sum(-1, keepdim=True)
    # the last step, if it stays inside
    repeat = (took[:, :-1] & inside[:, 1:]).double()
    mixed = (1 - whim) * repeat + whim * p[:, 1:]
    p[:, 1:] = torch.where(repeat.sum(-1, keepdim=True) > 0, mixed, p[:, 1:])
    return -(p * took).sum(-1).log()
    ### END SOLUTION


# %% [markdown]
# First the example. Then the chapter's own videos, whose prices are known, and moves that the law rules out.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

steps = torch.tensor([[1, 1], [-1, 1], [1, -1], [-1, -1]])
share = torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
path, room = torch.tensor([[[0, 0], [1, 1], [2, 2], [1, 3]]]), torch.tensor([[2, 4]])
price = price_of_moves(path, room, steps, share, 0.5)
assert_shape(price, (1, 3), name="price of three moves")
name = "price in the example: −log 1, −log(0.5 + 0.5 · 0.4), −log(0.3 / 0.4)"
assert_close(price, torch.tensor([[0.0, 0.356675, 0.287682]]), name=name)
turn = torch.tensor([[[1, 1], [2, 2], [1, 3], [2, 2]]])
price = price_of_moves(turn, room, steps, share, 0.1)
name = "price of a draw, a draw at the wall, and a whim: −log 0.4, −log 0.75, −log(0.1 · 0.2)"
assert_close(price, torch.tensor([[0.916291, 0.287682, 3.912023]]), name=name)
price = price_of_moves(turn, room, steps, share, 0.0)
name = "price of the same moves, where nobody has whims (the last one is ruled out)"
assert_close(price, torch.tensor([[0.916291, 0.287682, math.inf]]), name=name)
ink = videos.x[:, 0, 0] > 0  # (40, 12, 12)
lines = torch.stack([ink.any(2), ink.any(1)], 1).long()  # rows and columns with ink
room = lines.argmax(2) + lines.flip(2).argmax(2)  # blank ones on both sides
price = price_of_moves(corner, room, diagonals, torch.full((4,), 0.25).double(), 0.0)
name = "price of the chapter's videos: equal shares, no whims"
assert_close(price, videos.floor[:, 1:], name=name)

# %% [markdown]
# Graded later, worth 2 points: other steps, longer ones too, unequal shares, all kinds of whims, narrow rooms, and
# moves that are none of the steps.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)


def law(at, last, room, steps, share, whim):
    """The probability of each step, number by number."""
    fits = [
        all(0 <= a + b <= r for a, b, r in zip(at, s, room, strict=True)) for s in steps
    ]
    total = sum(s for s, ok in zip(share, fits, strict=True) if ok)
    q = [s / total if ok else 0.0 for s, ok in zip(share, fits, strict=True)]
    if last is None or not fits[last]:
        return q
    return [whim * q[d] + (1 - whim if d == last else 0.0) for d in range(len(q))]


def walk(T, room, steps, share, whim, wild):
    """Corners that move by the law, except that with probability `wild` they jump, and the prices of the moves."""
    at, last, path, nats = [int(r * 0.4) for r in room], None, [], []
    path.append(list(at))
    for _ in range(T - 1):
        p = law(at, last, room, steps, share, whim)
        if torch.rand(1, generator=chance) < wild:
            to = [int(torch.randint(r + 1, (), generator=chance)) for r in room]
            move = [b - a for a, b in zip(at, to, strict=True)]
            d = steps.index(move) if move in steps else None
        else:
            d = torch.tensor(p).double().multinomial(1, generator=chance).item()
            to = [a + b for a, b in zip(at, steps[d], strict=True)]
        now = p[d] if d is not None else 0.0
        nats.append(-math.log(now) if now else math.inf)
        at, last = to, d
        path.append(to)
    return path, nats


four = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
eight = [[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
knight = [[1, 2], [2, 1], [-1, -2], [-2, -1], [1, -2], [-1, 2], [1, 1], [2, 2]]
rest = [[0, 0], [0, 1], [0, -1], [1, 0], [-1, 0], [0, 2], [0, -3]]
for T, rooms, steps, whim, wild in (
    (2, [(3, 4)], four, 0.0, 0.0),
    (40, [(3, 5), (6, 2)], four, 0.0, 0.0),
    (40, [(3, 5), (6, 2), (1, 1)], four, 0.2, 0.1),
    (30, [(4, 7)] * 4, eight, 0.3, 0.0),
    (60, [(2, 9), (7, 3)], eight, 0.05, 0.1),
    (60, [(6, 5), (4, 7), (5, 5)], knight, 0.1, 0.1),
    (60, [(6, 9), (9, 6)], knight, 0.0, 0.3),
    (60, [(0, 5), (3, 3), (5, 0)], rest, 0.4, 0.1),
    (40, [(3, 3)], rest, 1.0, 0.0),
    (60, [(5, 5), (2, 3)], rest, 0.0, 0.2),
    (60, [(3, 4), (2, 3)], eight, 1.0, 0.2),
    (50, [(3, 4), (2, 3)], eight, 1e-6, 0.2),
):
    for dead in (0, 2):
        share = 0.1 + torch.rand(len(steps), generator=chance).double()
        if steps is eight:
            share[:dead] = 0.0
        share *= 3 / share.sum()
        cases = [walk(T, r, steps, share.tolist(), whim, wild) for r in rooms]
        given = (
            torch.tensor([path for path, _ in cases]),
            torch.tensor(rooms),
            torch.tensor(steps),
            share,
        )
        kept = [value.clone() for value in given]
        price = price_of_moves(*given, whim)
        case = f"{len(steps)} steps, rooms {rooms}, whim {whim}, {T} frames"
        assert all(a.equal(b) for a, b in zip(given, kept, strict=True)), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        assert_shape(price, (len(rooms), T - 1), name=f"price, {case}")
        assert price.dtype == torch.float64, (
            f"price: expected float64, got {price.dtype}; {case}"
        )
        right = torch.tensor([nats for _, nats in cases], dtype=torch.float64)
        name = f"price, {case}, against the law applied move by move"
        assert_close(price, right, tolerance=1e-6, name=name)
# a step that is never drawn is repeated all the same
share = torch.tensor([0.0, 0.3, 0.3, 0.4], dtype=torch.float64)
path = torch.tensor([[[3, 4], [2, 3], [1, 2], [0, 3]]])
price = price_of_moves(path, torch.tensor([[4, 5]]), torch.tensor(four), share, 0.25)
right = [[math.inf, -math.log(0.75), -math.log(0.25 * 0.3)]]
right = torch.tensor(right, dtype=torch.float64)
name = "price, a move whose share is 0, the same again, and a whim"
assert_close(price, right, tolerance=1e-6, name=name)
# shares need not be large
share = torch.tensor([1e-200, 1e-200, 1.0, 1e-200], dtype=torch.float64)
path = torch.tensor([[[0, 2], [1, 1], [2, 2], [1, 3], [0, 2]]])
price = price_of_moves(
    path, torch.tensor([[2, 4]]), torch.tensor(four), share / share.sum(), 0.0
)
right = torch.tensor([[0.0, math.inf, math.log(2), math.inf]], dtype=torch.float64)
assert_close(price, right, tolerance=1e-6, name="price, shares of 1e-200 at a wall")
price = price_of_moves(
    path, torch.tensor([[2, 4]]), torch.tensor(four), share / share.sum(), 0.5
)
right[0, 1] = right[0, 3] = 201 * math.log(10) - math.log(5)
assert_close(price, right, tolerance=1e-6, name="price of a whim with share 1e-200")
### END HIDDEN TESTS

# %% [markdown]
# Now a windy world. Digits go to the lower right more often than to the upper left, and one move in ten starts with a
# whim. Five observers watch the same 200 videos. Each believes in a law of their own. What do they pay?


# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def blown(n, frames, room, share, whim, generator):
    """Corners (n, frames, 2) of digits that move diagonally in a wind."""
    where = (torch.rand(n, 2, generator=generator) * (room + 1)).long()
    going, found = torch.zeros(n, 2, dtype=torch.long), [where]
    for t in range(1, frames):
        to = where[:, None] + diagonals
        fits = ((to >= 0) & (to <= room)).all(2)
        lot = (share * fits).multinomial(1, generator=generator)[:, 0]
        out = ((where + going < 0) | (where + going > room)).any(1)
        fancy = torch.rand(n, generator=generator) < whim
        again = (out | fancy)[:, None] if t > 1 else torch.tensor(True)
        going = torch.where(again, diagonals[lot], going)
        where = where + going
        found.append(where)
    return torch.stack(found, 1)


wind = torch.tensor([0.1, 0.2, 0.2, 0.5]).double()
equal = torch.full((4,), 0.25).double()
room = torch.tensor([5, 7])
paths = blown(200, 40, room, wind, 0.1, generator)
rooms = room.expand(200, 2)
believers = {
    "the true law": (wind, 0.1),
    "no wind": (equal, 0.1),
    "twice as many whims": (wind, 0.2),
    "a new draw every time": (wind, 1.0),
    "no whims": (wind, 0.0),
}
paid = {}
for name, (share, whim) in believers.items():
    paid[name] = price_of_moves(paths, rooms, diagonals, share, whim).mean().item()
    print(f"{name:22} {paid[name]:6.3f} nats a move")
whims = torch.linspace(0.01, 0.5, 50)
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
best = {}
for name, share in (("with the true wind", wind), ("without wind", equal)):
    curve = torch.stack(
        [
            price_of_moves(paths, rooms, diagonals, share, whim).mean()
            for whim in whims.tolist()
        ]
    )
    best[name] = whims[curve.argmin()].item()
    ax.plot(whims, curve, label=name)
ax.axvline(0.1, color="0.7", ls=":")
ax.set(xlabel="whims that the observer believes in", ylabel="nats a move")
ax.legend()
print(f"cheapest belief: {best['with the true wind']:.2f} whims a move")
others = [value for name, value in paid.items() if name != "the true law"]
assert paid["the true law"] < min(others), "nobody pays less than who knows the law"
assert paid["no whims"] == math.inf, "what was thought impossible has happened"
assert abs(best["with the true wind"] - 0.1) < 0.03

# %% [markdown]
# The observer who knows the law pays least. What the others pay on top is the price of a wrong belief, the KL
# divergence. It is small for a belief that is a little wrong: 0.03 nats a move without the wind, 0.02 with twice as
# many whims. An observer who takes each step for a new draw pays three times as much as necessary. And the one who
# thought whims impossible pays $-\log 0$ at the first of them, and no later success can make up for that.
#
# The picture shows the price for all beliefs about whims. It is lowest where the belief is right. So you can *learn*
# the law from the prices alone: try beliefs, and keep the cheapest. Training a network is the same, with more knobs.

# %% [markdown]
# ## 3 Three ways to pay for the same future
#
# At a wall a digit may go two ways. A network that draws all pixels of the next frame independently of each other
# cannot say "this way *or* that way, but not both". The best it can do is give each pixel its correct probability, one
# half wherever the two ways differ. That is the ghost of the chapter, and now you compute its exact price. No network
# is needed. List all possible futures of $T$ frames with their probabilities, and compare three predictors. All three
# know the list, and each is the best of its kind:
#
# - **independent pixels**: each pixel of each frame has its own correct distribution, and all are independent.
# - **independent frames**: each frame as a whole has its correct distribution, and the frames are independent.
# - **the whole video**: the futures themselves, with their probabilities.
#
# What a predictor pays on average is an *entropy*, the sum of $-p \log p$ over everything that can happen. The first
# pays the sum of the entropies of all pixels, the second the sum of the entropies of all frames, and the third the
# entropy of the video.
#
# One thing is easily overlooked: two futures may look the same. Two ways may lead to the same frame, or even to the
# same video. What cannot be told apart is *one* event, and its probability is the sum of theirs.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def three_prices(futures, p):
    """What three predictors pay on average for a future whose distribution they know.

    futures (K, T, N) long ≥ 0: K possible futures of T frames of N pixels; a pixel may have any level. p (K,) float64:
    their probabilities, which sum to 1; some may be 0. Futures may be equal to each other, in single pixels, in whole
    frames, or in everything.
    -> (pixels, frames, video), float64 tensors of shape (), in nats, right to six digits. pixels: the sum over all T ·
    N pixels of the entropy of that pixel's level. frames: the sum over the T frames of the entropy of that frame.
    video: the entropy of the whole future. 0 · log 0 counts as 0. The arguments stay as they were.
    Example: two frames of two pixels. 10 then 10 has probability 1/2, 01 then 01 has 1/4, and 01 then 11 has 1/4. Three
    of the four pixels are 1 with probability 1/2, and the first pixel of the second frame with 3/4: pixels is
    3 · 0.6931 + 0.5623 = 2.6418. The first frame is 10 or 01, half each, and the second is one of three: frames is
    0.6931 + 1.0397 = 1.7329. video is 1.0397.
    """
    ### BEGIN SOLUTION
    each_frame = futures.unbind(1)
    each_pixel = [one[:, None] for frame in each_frame for one in frame.mT]
    prices = []
    for variables in (each_pixel, each_frame, [futures.flatten(1)]):
        entropy = 0.0
        for x in variables:
            _, which = x.unique(dim=0, return_inverse=True)  # equal rows: one number
            q = torch.zeros_like(p).index_add(0, which, p)
            entropy = entropy + torch.special.entr(q).sum()
        prices.append(entropy)
    return tuple(prices)
    ### END SOLUTION


# %% [markdown]
# First the example. Then a future that is certain, and a single frame, for which two of the three are the same.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

futures = torch.tensor([[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[0, 1], [1, 1]]])
half = torch.tensor([0.5, 0.25, 0.25]).double()
got = three_prices(futures, half)
for name, value, wanted in zip(
    ("pixels", "frames", "video"), got, (2.641777, 1.732868, 1.039721), strict=True
):
    assert_shape(value, (), name=f"{name}, one number")
    assert_close(value, wanted, name=f"{name} in the example")
name = "{} of a future that is certain"
got = three_prices(torch.ones(1, 3, 4).long(), torch.ones(1).double())
assert_close(torch.stack(got), torch.zeros(3), name=name.format("all three prices"))
pixels, frames, video = three_prices(futures[:, 1:], half)
name = "video, of a single frame: the same as frames"
assert_close(video, frames.item(), name=name)
assert_close(pixels, 1.255482, name="pixels, of the example's second frame alone")

# %% [markdown]
# Graded later, worth 2 points: more frames, pixels, levels and futures, futures that are equal, and futures that never
# come.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from collections import Counter

from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)


def counted(outcomes, weights):
    """The entropy of outcomes, equal ones added up."""
    total = Counter()
    for what, weight in zip(outcomes, weights, strict=True):
        total[str(what)] += weight
    return -math.fsum(w * math.log(w) for w in total.values() if w > 0)


for K, T, N, V, kind in (
    (1, 1, 1, 2, ""),
    (5, 1, 4, 2, ""),
    (4, 3, 5, 2, "twins"),
    (7, 4, 3, 5, "twins"),
    (6, 2, 8, 3, "never"),
    (40, 3, 2, 2, "twins"),
    (30, 5, 6, 256, "never"),
    (12, 2, 90, 2, "one pixel"),
    (9, 3, 4, 2, "moved"),
    (8, 4, 3, 2, "frames in another order"),
    (3, 6, 2, 2, "all the same"),
    (6, 2, 3, 10**6, "twins"),
):
    for _ in range(3):
        futures = torch.randint(V, (K, T, N), generator=chance)
        p = torch.rand(K, generator=chance).double()
        if kind == "twins":
            futures[K // 2 :] = futures[: K - K // 2].clone()
        elif kind == "never":
            p[::3] = 0.0
        elif kind == "one pixel":  # futures that differ in one pixel only
            futures[:] = futures[:1].clone()
            futures[torch.arange(K), 1, 7 * torch.arange(K)] ^= 1
        elif kind == "moved":
            futures = torch.stack([futures[0].roll(k, 1) for k in range(K)])
        elif kind == "frames in another order":
            futures = torch.stack([futures[0].roll(k, 0) for k in range(K)])
        elif kind == "all the same":
            futures[:] = futures[:1].clone()
        p /= p.sum()
        kept = futures.clone(), p.clone()
        got = three_prices(futures, p)
        case = f"{K} futures of {T} frames of {N} pixels, {V} levels ({kind or 'any'})"
        assert futures.equal(kept[0]) and p.equal(kept[1]), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        weights = p.tolist()
        right = (
            sum(
                counted(futures[:, t, n].tolist(), weights)
                for t in range(T)
                for n in range(N)
            ),
            sum(counted(futures[:, t].tolist(), weights) for t in range(T)),
            counted(futures.tolist(), weights),
        )
        assert len(got) == 3, f"three_prices: expected three numbers, got {len(got)}"
        for name, value, wanted in zip(
            ("pixels", "frames", "video"), got, right, strict=True
        ):
            assert_shape(value, (), name=f"{name}, {case}")
            assert value.dtype == torch.float64, (
                f"{name}: expected float64, got {value.dtype}; {case}"
            )
            wanted = torch.tensor(wanted, dtype=torch.float64)
            assert_close(value, wanted, tolerance=1e-6, name=f"{name}, {case}")
# many pixels, and few futures
futures = torch.randint(2, (4, 2, 700), generator=chance)
futures[1] = futures[0]
futures[2, 0], futures[2, 1] = futures[0, 0], futures[3, 1]
p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
got = three_prices(futures, p)
once, twice = counted(range(2), [0.6, 0.4]), counted(range(2), [0.3, 0.7])
name = "{}, four futures of two frames of 700 pixels"
wanted = torch.tensor(once + twice, dtype=torch.float64)
assert_close(got[1], wanted, tolerance=1e-6, name=name.format("frames"))
wanted = torch.tensor(counted(range(3), [0.3, 0.3, 0.4]), dtype=torch.float64)
assert_close(got[2], wanted, tolerance=1e-6, name=name.format("video"))
# huge levels, and futures that hardly ever come
futures = torch.tensor([2**40, 2**40 + 1, 2**40 + 2**33, 7]).view(4, 1, 1)
p = torch.tensor([0.6, 0.4 - 1e-6, 5e-7, 5e-7], dtype=torch.float64)
wanted = torch.tensor(counted(range(4), p.tolist()), dtype=torch.float64)
got = three_prices(futures, p)
for what, value in zip(("pixels", "frames", "video"), got, strict=True):
    name = f"{what}, levels beyond 2⁴⁰ and probabilities of 5e-7"
    assert_close(value, wanted, tolerance=1e-6, name=name)
### END HIDDEN TESTS

# %% [markdown]
# The futures of real digits. Each has been watched for two frames, so it is known where it is and where it goes. Then
# all its ways are followed for up to eight frames.


# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def all_futures(frame, at, step, frames):
    """Every way on from a frame (H, W), its corner and its last step -> (K, frames, H, W), and their p (K,)."""
    rows, columns = frame.any(1).nonzero(), frame.any(0).nonzero()
    ink = frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    limit = torch.tensor(frame.shape) - torch.tensor(ink.shape)
    ways = [([], at, step, 1.0)]
    for _ in range(frames):
        longer = []
        for path, at, step, p in ways:
            free = [
                s for s in diagonals if (at + s >= 0).all() and (at + s <= limit).all()
            ]
            onward = [s for s in free if s.equal(step)] or free
            longer += [([*path, at + s], at + s, s, p / len(onward)) for s in onward]
        ways = longer
    x = torch.zeros(len(ways), frames, *frame.shape, dtype=torch.long)
    for k, (path, *_) in enumerate(ways):
        for t, (r, c) in enumerate(path):
            x[k, t, r : r + ink.shape[0], c : c + ink.shape[1]] = ink
    return x, torch.tensor([p for *_, p in ways]).double()


ahead = (1, 2, 4, 8)
prices, single = torch.zeros(len(ahead), 3).double(), []
for b in range(12):
    step = corner[b, 1] - corner[b, 0]
    x, p = all_futures(videos.x[b, 1, 0], corner[b, 1], step, 8)
    for n, T in enumerate(ahead):
        prices[n] += torch.stack(three_prices(x[:, :T].flatten(2), p)) / 12
    if len(single) < 2 and len(x[:, 0].unique(dim=0)) == 2:
        single.append((x[:, :6], p))
names = "independent pixels", "independent frames", "the whole video"
print("mean price of the first T frames, nats")
print(f"{'T':20}" + "".join(f"{T:8}" for T in ahead))
for name, row in zip(names, prices.T, strict=True):
    print(f"{name:20}" + "".join(f"{value:8.2f}" for value in row.tolist()))
fig, axes = plt.subplots(3, 6, figsize=(7, 3.8), layout="constrained")
x, p = single[0]
first, other = x[0], x[(x != x[0]).flatten(1).sum(1).argmax()]
ghost = (p[:, None, None, None] * x).sum(0)
for row, name, video in zip(
    axes,
    ("one way", "another way", "each pixel's p"),
    (first, other, ghost),
    strict=True,
):
    for t, ax in enumerate(row):
        show(ax, video[t], f"{name}, +{t + 1}")
assert (prices[:, 0] > 10 * prices[:, 1]).all() and (prices[0, 1] == prices[0, 2])
assert prices[-1, 1] > 3 * prices[-1, 2], "frames that do not know of each other"

# %% [markdown]
# One frame ahead, the two lower rows agree, since that frame is all there is. Both pay 0.23 nats: most digits are not
# at a wall, and their next frame is certain. Independent pixels pay 6.12 nats on average, all of it at turns. There,
# each of the pixels in which the two ways differ costs $\log 2$ by itself.
#
# These are the first twelve videos. With twelve others it was 0.2 to 0.6 nats, and 4 to 17 with independent pixels.
#
# Further ahead a second gap opens. For eight frames independent frames pay 7.47 nats, and the whole video only 1.80. A
# wall makes one choice, and all later frames follow from it. Independent frames choose again each time: one may show
# the digit after it went left, and the next one after it went right. The picture has two of the futures, and below
# them all that independent pixels know of the future: it melts away.
#
# The Video Pixel Network can close both gaps. Its decoder tells a pixel about the earlier pixels of its frame. Its
# encoder and its ConvLSTM tell a frame about the frames that were drawn before it. The baseline of the chapter has
# the second part as well. In each frame it pays about what the first column says, even if it is trained perfectly.

# %% [markdown]
# ## 4 Where is it now?
#
# Between the frames that we see there may be frames that we do not see: a frame is lost, or something stands in front
# of the digit. What can be known about a digit that is out of sight?
#
# Give everything that matters to the future a name, the *state*: for our digit, where it is and where it is going. The
# state moves by itself, from state $a$ to state $b$ with probability $M_{ab}$. What we see is only a part of it, the
# *place*; the direction does not show. So keep a **belief**, the probability of each state given everything seen so
# far. Two operations keep it up to date:
#
# - *A frame passes.* The belief moves on: $\text{belief}'(b) = \sum_a \text{belief}(a)\, M_{ab}$.
# - *A place is seen.* States that do not show this place are ruled out. What is left of the belief is the probability
#   of what was seen, so its $-\log$ is the price. Divide by it, and the belief sums to 1 again.
#
# When nothing is seen, only the first happens, and nothing is paid. This is the exact form of what a recurrent network,
# such as the ConvLSTM of the chapter, has to learn: all that it needs to keep of the past is a belief.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def follow(start, move, place, seen):
    """What each sight of a moving thing costs, and what is believed about its state after each frame.

    start (S,) float64: the probability of each state in the first frame. move (S, S) float64: [a, b] is the probability
    that state b comes right after state a; each row sums to 1. place (S,) long ≥ 0: what each state shows. seen (T,)
    long, T from 1 to 1,000: the place that is seen in each frame, or −1 where nothing can be seen. What is seen has
    a probability of at least 1e-100, given what was seen before.
    -> (price, belief), both float64, right to six digits. price (T,) in nats: −log p(what is seen in frame t | all that
    was seen in earlier frames), and 0 where nothing can be seen. belief (T, S): row t is the probability of each state
    in frame t, given all that was seen up to frame t, frame t included. The arguments stay as they were.
    Example: states 0 and 1 show place 0, state 2 shows place 1; start (1/2, 1/4, 1/4). After 0 comes 1, after 1 comes
    2, and after 2 comes 0 or 2, half each. Seen: 0, nothing, 1. The first sight costs −log(3/4) = 0.2877, and the
    belief is (2/3, 1/3, 0). It moves on to (0, 2/3, 1/3), which costs nothing, and on to (1/6, 0, 5/6). Place 1 costs
    −log(5/6) = 0.1823, and the belief is (0, 0, 1).
    """
    ### BEGIN SOLUTION
    belief, prices, beliefs = start, [], []
    for t, what in enumerate(seen):
        if t:
            belief = belief @ move
        left = belief * (place == what) if what >= 0 else belief
        prices.append(-left.sum().log() if what >= 0 else 0 * left.sum())
        belief = left / left.sum()
        beliefs.append(belief)
    return torch.stack(prices), torch.stack(beliefs)
    ### END SOLUTION


# %% [markdown]
# First the example. Then a thing that is never seen, and one that hides nothing.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

start = torch.tensor([0.5, 0.25, 0.25]).double()
move = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]]).double()
place = torch.tensor([0, 0, 1])
price, belief = follow(start, move, place, torch.tensor([0, -1, 1]))
assert_shape(price, (3,), name="price of three frames")
assert_shape(belief, (3, 3), name="belief, three frames and three states")
wanted = torch.tensor([[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [0, 0, 1]])
assert_close(belief, wanted, name="belief in the example")
name = "price in the example: −log(3/4), nothing, −log(5/6)"
assert_close(price, torch.tensor([0.287682, 0, 0.182322]), name=name)
price, belief = follow(start, move, place, torch.tensor([-1, -1]))
assert_close(price, torch.zeros(2), name="price where nothing is seen")
name = "belief where nothing is seen: the start, then the start moved on"
wanted = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]])
assert_close(belief, wanted, name=name)
price, belief = follow(start, move, torch.tensor([0, 1, 2]), torch.tensor([2, 0, 1]))
name = "price where each state shows a place of its own: −log 1/4, −log 1/2, −log 1"
assert_close(price, torch.tensor([1.386294, 0.693147, 0]), name=name)

# %% [markdown]
# Graded later, worth 2 points: more states, compared with the sum over all paths one by one, long videos, and long
# stretches without sight.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from itertools import pairwise, product

from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)


def by_all_paths(start, move, place, seen):
    """p(seen), and the weight of each last state, from all paths one by one."""
    weight = [0.0] * len(start)
    for path in product(range(len(start)), repeat=len(seen)):
        p = start[path[0]]
        for a, b in pairwise(path):
            p *= move[a][b]
        if all(w in (-1, place[s]) for s, w in zip(path, seen, strict=True)):
            weight[path[-1]] += p
    return weight


for S, T, places, hidden, never in (
    (1, 1, 1, 0, 0),
    (1, 3, 1, 0.5, 0),
    (2, 6, 1, 0.3, 0),
    (3, 5, 2, 0, 0.3),
    (3, 6, 2, 0.4, 0.3),
    (4, 5, 2, 0.5, 0.4),
    (5, 4, 3, 0.3, 0.5),
    (4, 5, 4, 0.3, 0),
    (3, 6, 3, 0.9, 0.2),
):
    for _ in range(4):
        move = torch.rand(S, S, generator=chance).double().square()
        move[torch.rand(S, S, generator=chance) < never] = 0.0
        move[torch.arange(S), torch.randperm(S, generator=chance)] += 0.2
        move /= move.sum(1, keepdim=True)
        start = torch.rand(S, generator=chance).double() + 0.01
        start /= start.sum()
        place = torch.randint(places, (S,), generator=chance) * 3
        path = [start.multinomial(1, generator=chance).item()]
        while len(path) < T:
            path.append(move[path[-1]].multinomial(1, generator=chance).item())
        seen = place[path]
        seen[torch.rand(T, generator=chance) < hidden] = -1
        given = (start, move, place, seen)
        kept = [value.clone() for value in given]
        price, belief = follow(*given)
        case = f"{S} states, {T} frames, seen {seen.tolist()}, place {place.tolist()}"
        assert all(a.equal(b) for a, b in zip(given, kept, strict=True)), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        assert_shape(price, (T,), name=f"price, {case}")
        assert_shape(belief, (T, S), name=f"belief, {case}")
        assert price.dtype == belief.dtype == torch.float64, (
            f"price, belief: expected float64, got {price.dtype}, {belief.dtype}; {case}"
        )
        before = 1.0
        for t in range(T):
            weight = by_all_paths(
                start.tolist(), move.tolist(), place.tolist(), seen[: t + 1].tolist()
            )
            total = math.fsum(weight)
            right = math.log(before) - math.log(total)
            right = torch.tensor(right, dtype=torch.float64)
            name = f"price of frame {t}, from all paths one by one, {case}"
            assert_close(price[t], right, tolerance=1e-6, name=name)
            right = torch.tensor(weight, dtype=torch.float64) / total
            name = f"belief in frame {t}, from all paths one by one, {case}"
            assert_close(belief[t], right, tolerance=1e-6, name=name)
            before = total
# a long video: its probability is far below 1e-308
S = 30
move = torch.rand(S, S, generator=chance).double()
move /= move.sum(1, keepdim=True)
start = torch.full((S,), 1 / S).double()
place = torch.arange(S) // 2
seen = torch.randint(S // 2, (1000,), generator=chance)
given = start, move, place, seen
price, belief = follow(*given)
assert_shape(price, (1000,), name="price, 1,000 frames")
two = torch.stack([2 * seen, 2 * seen + 1], 1)  # the states that show it
log_w, total = start[two[0]].log(), 0.0
for t in range(1000):
    if t:
        block = move[two[t - 1]][:, two[t]]
        log_w = (log_w[:, None] + block.log()).logsumexp(0)
    right = total - log_w.logsumexp(0)
    name = f"price of frame {t} of 1,000 (a product of many probabilities is too small for float64)"
    assert_close(price[t], right, tolerance=1e-6, name=name)
    name = f"belief in frame {t} of 1,000 (a product of many probabilities is too small for float64)"
    right = log_w.softmax(0)
    assert_close(belief[t][two[t]], right, tolerance=1e-6, name=name)
    total = log_w.logsumexp(0)
# out of sight for a long time, and then a great surprise
seen, begin = torch.tensor([0, *[-1] * 500, 1]), torch.tensor([1.0, 0.0]).double()
for once in (1e-12, 1e-60):
    move = torch.tensor([[1 - once, once], [0.0, 1.0]], dtype=torch.float64)
    price, belief = follow(begin, move, torch.arange(2), seen)
    name = f"price of a place that the thing enters with probability {once:g}, after 500 frames out of sight"
    assert_close(price[-1], -math.log(501 * once), tolerance=1e-6, name=name)
    assert_close(price[:-1], torch.zeros(501), tolerance=1e-6, name="price before that")
### END HIDDEN TESTS

# %% [markdown]
# First a look at the belief itself. The corner of a digit moves in a room of 6 × 8 places. A state is a place and a
# direction, so there are 192. The corner is seen in two frames, and then it is out of sight for eight.


# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def law_of_states(rows, columns):
    """start, move and place of a corner that moves by the chapter's law; a state is (row, column, direction)."""
    shape = rows, columns, 4
    S = rows * columns * 4
    move = torch.zeros(S, S).double()
    state = torch.arange(S).view(shape)
    for a in range(S):
        at, d = torch.tensor([a // 4 // columns, a // 4 % columns]), a % 4
        to = at + diagonals
        free = ((to >= 0) & (to < torch.tensor(shape[:2]))).all(1)
        for e in [d] if free[d] else free.nonzero()[:, 0].tolist():
            ways = 1 if free[d] else int(free.sum())
            move[a, state[to[e, 0], to[e, 1], e]] = 1 / ways
    return torch.full((S,), 1 / S).double(), move, torch.arange(S) // 4


def wander(start, move, frames, generator):
    """The states of one video, (frames,) long."""
    states = [start.multinomial(1, generator=generator)]
    while len(states) < frames:
        states.append(move[states[-1][0]].multinomial(1, generator=generator))
    return torch.cat(states)


start, move, place = law_of_states(6, 8)
generator = make_generator(0)  # the same walk whenever this cell runs
truth = place[wander(start, move, 11, generator)]
seen = truth.clone()
seen[2:10] = -1
price, belief = follow(start, move, place, seen)
where = belief.view(11, 6, 8, 4).sum(3)
fig, axes = plt.subplots(2, 11, figsize=(9.5, 1.7), layout="constrained")
for t, (above, below) in enumerate(axes.T):
    above.imshow(torch.arange(48).view(6, 8) == truth[t], cmap="gray_r")
    below.imshow(where[t], cmap="magma", vmin=0, vmax=0.5)
    for ax in (above, below):
        ax.set(xticks=[], yticks=[])
    above.set_title(f"{t}: {'seen' if seen[t] >= 0 else 'hidden'}", fontsize=8)
axes[0, 0].set_ylabel("truth", fontsize=8)
axes[1, 0].set_ylabel("belief", fontsize=8)
print("price:", " ".join(f"{nats:.2f}" for nats in price.abs().tolist()), "nats")
print("places it may be at:", (where > 0).sum((1, 2)).tolist())

# %% [markdown]
# Black is impossible. The first sight costs $\log 48$, since the digit may be anywhere. The second costs $\log 4$:
# away from the walls there are four ways on. Now place and direction are known. For three more frames the belief is a
# single place, although nobody sees anything and nothing is paid. At a wall it splits. In frame 9 the digit may be at
# four places. When the digit is seen again, that costs $\log 8$, and the belief is one place once more.
#
# How much memory does that take? Let us compare: someone who remembers everything, and others who remember only the
# last few frames and know nothing about the time before.

# %% nbgrader={"grade": false, "grade_id": "exercise4_memory", "locked": true, "schema_version": 3, "solution": false, "task": false}
known = [start]  # the probability of each state in frame t, before anything is seen
for _ in range(39):
    known.append(known[-1] @ move)
memories = (1, 2, 4, 8, 16)
paid = {}
for name, share_hidden in (("nothing hidden", 0.0), ("half the frames hidden", 0.5)):
    total, sights = torch.zeros(len(memories) + 1).double(), 0
    for _ in range(12):
        seen = place[wander(start, move, 40, generator)]
        seen[torch.rand(40, generator=generator) < share_hidden] = -1
        price, _ = follow(start, move, place, seen)
        for t in range(16, 40):
            if seen[t] >= 0:
                last = [
                    follow(known[t - m], move, place, seen[t - m : t + 1])[0][-1]
                    for m in memories
                ]
                total += torch.stack([*last, price[t]])
                sights += 1
    paid[name] = (total / sights).tolist()
print("mean price of a sight, nats, for someone who remembers")
print(f"{'the last … frames':24}" + "".join(f"{m:7}" for m in memories) + "    all")
for name, values in paid.items():
    print(f"{name:24}" + "".join(f"{value:7.2f}" for value in values))
plain, gaps = paid.values()
assert max(plain[1:]) - min(plain[1:]) < 1e-6, (
    "where nothing is hidden, two frames are enough"
)
assert gaps[1] > gaps[2] > gaps[3] + 0.1, "with gaps, more memory pays"

# %% [markdown]
# Where nothing is hidden, two frames are enough, and more memory is worth exactly nothing: two places show the
# direction, and the law needs no more. That is true of the chapter's videos as well. One frame does not show the
# direction, and 0.17 nats become 1.14.
#
# With half the frames hidden, the last two are both seen only one time in four. Four are better, eight are better
# still, and after sixteen there is next to nothing to gain. So memory is worth something when the present does not
# show the state. A network with a window needs one that is long enough. A recurrent network needs no window, but it
# must learn what to keep: the belief.

# %% [markdown]
# ## What you saw
#
# - You can ask a network what it looks at, even before it is trained. A cheat shows at once.
# - If you know the law, you know the floor. A wrong belief costs more, and infinitely more where it rules out what
#   then happens.
# - Independent pixels pay for the ghost. Independent frames pay for futures whose frames do not fit together.
# - The past matters only through the state. Where two frames show it, they are enough. Where it is hidden, memory
#   pays.
