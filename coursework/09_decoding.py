# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 9, first page: the best sentence, and a fair handful
#
# **You will find the likeliest sentence that obeys a rule, see what a length penalty really chooses, prove that a
# search has found the best, and turn a beam search into one that draws.**
#
# *Laptop: 10 seconds. You need: the [first page of chapter 9](../chapters/09_decoding.ipynb), and no Chinese. Four
# exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line `raise
# NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it found. A
# few more checks run when your work is graded; they test nothing that the docstring does not say. You may add cells
# anywhere. The check cells are restored before grading. No exercise needs the answer to another one. To begin with a
# later one, run the cells above exercise 1, then go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import heapq
import math

import matplotlib.pyplot as plt
import torch

from course_lib.device import make_generator

rhyme = """
the farmer sowing his corn that kept the cock that crowed in the morn that woke
the priest all shaven and shorn that married the man all tattered and torn that kissed
the maiden all forlorn that milked the cow with the crumpled horn that tossed the dog
that worried the cat that killed the rat that ate the malt that lay in the house
that Jack built .
"""
rhyme = rhyme.split()
# one verse for each "the" that may come after "this is"
starts = [i for i in range(len(rhyme)) if rhyme[i] == "the"]
starts = [i for i in starts if rhyme[i + 1] not in ("morn", "crumpled")]
verses = [["this", "is", *rhyme[i:]] for i in reversed(starts)]

words = sorted(
    {word for verse in verses for word in verse}
)  # words[0] is the full stop
number, V = {word: i for i, word in enumerate(words)}, len(words)
counts = torch.zeros(V, V).double()
for verse in verses:
    for a, b in zip([".", *verse], verse, strict=False):
        counts[number[a], number[b]] += 1
log_next = (counts / counts.sum(1, keepdim=True)).log()  # [a, b]: log p(b | a)


def text_of(path):
    """The words of a list or tensor of numbers."""
    return " ".join(words[i] for i in path)


print(f"{len(verses)} verses, {V} words with the full stop. The first three:")
print("\n".join(map(" ".join, verses[:3])))
mean_length = sum(map(len, verses)) / len(verses)
print(f"mean length: {mean_length:.1f} words, the full stop included")

# %% [markdown]
# The text of this assignment is an old nursery rhyme. Its verses grow: each is the one before with a new beginning.
# The model is a table that remembers one word, $\log p(b \mid a)$, counted in the verses. With a model this small
# every answer can be checked. Here are three of its draws:


# %% nbgrader={"grade": false, "grade_id": "draws", "locked": true, "schema_version": 3, "solution": false, "task": false}
def draw_sentences(log_next, n, generator):
    """n lists of word numbers, each up to its first full stop."""
    last = log_next[0].exp().multinomial(n, replacement=True, generator=generator)
    paths = last[:, None]
    while last.any():
        after = log_next[last].exp().multinomial(1, generator=generator)[:, 0]
        last = torch.where(last == 0, 0, after)
        paths = torch.cat([paths, last[:, None]], 1)
    return [path[: path.index(0) + 1] for path in paths.tolist()]


generator = make_generator(0)
sentences = draw_sentences(log_next, 2000, generator)
short = [path for path in sentences if len(path) <= 25]
print("\n".join(map(text_of, short[:3])))
lengths = torch.tensor([len(path) for path in sentences]).double()
print(f"mean length of 2,000 draws: {lengths.mean():.1f} words")

# %% [markdown]
# (They are the first three that have at most 25 words.) The table knows which word may follow which, and has no idea
# who ate whom. Its sentences are as long as the verses on average.

# %% [markdown]
# ## 1 The likeliest sentence that obeys
#
# A poem must rhyme, a translation must contain a name: now and then we know what has to stand at some place. Beam
# search goes from left to right and does not see it coming. When it gets there, all its beams may be in a dead end.
#
# Where the next word depends on the last one only, nobody has to guess. Two beginnings of the same length that end in
# the same word have the same future, so only the better of the two can be part of the best text. So keep one
# beginning for *every last word*, and no other:
#
# $$ \text{best}_{t}(b) = \max_a \bigl( \text{best}_{t-1}(a) + \log p(b \mid a) \bigr)
#    \quad\text{if } b \text{ is allowed at place } t, \text{ otherwise } -\infty $$
#
# At the first place there is no choice of $a$: it is word 0, so $\text{best}_1(b) = \log p(b \mid 0)$ if $b$ is allowed
# there. Remember which $a$ was the best one for each $b$. At the end, take the best last word, and follow these notes
# back. This is the algorithm of Viterbi (1967). It takes $T \cdot V^2$ steps, although there are $V^T$ texts.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_path(log_next, allowed):
    """The likeliest text of T words in which each place has a word that is allowed there.

    log_next (V, V), float32 or float64: [a, b] is log p(b | a), how likely word b is right after word a. These are
    numbers from −1000 to 0, or −∞ where b never follows a. A text begins after word 0; this first 0 is not part of it,
    but it may come again. allowed (T, V) bool, T from 1 to 1,000: [t, w] says whether word w may stand at place t,
    counted from 0. There may be places where no word is allowed.
    -> (path, log_prob). path (T,) long: the likeliest text among those that are allowed at every place; of equally
    likely ones, any. log_prob, a float64 tensor of shape (): its log p, the sum of its T steps, the first of them from
    word 0. It is summed in float64 and right to nine digits. If no allowed text is possible, path is None and log_prob
    is −∞, still a tensor. The arguments stay as they were.
    Example: p(· | 0) = (0, 0.6, 0.4), p(· | 1) = (1/6, 1/3, 1/2), p(· | 2) = (0, 0, 1), T = 2. If all words are
    allowed, the best text is 2 2, with log 0.4. After the likelier first word, 1, no text has more than 0.6 · 1/2. If
    only word 1 is allowed at the second place, the best is 1 1, with log 0.2.
    """
    ### BEGIN SOLUTION
    log_next = log_next.double()
    best, notes = log_next[0].masked_fill(~allowed[0], -math.inf), []
    for here in allowed[1:]:
        best, before = (best[:, None] + log_next).max(0)
        best = best.masked_fill(~here, -math.inf)
        notes.append(before)
    if best.max() == -math.inf:
        return None, best.max()
    path = [best.argmax()]
    for before in reversed(notes):
        path.append(before[path[-1]])
    return torch.stack(path[::-1]), best.max()
    ### END SOLUTION


# %% [markdown]
# First the example, then a text in which the last word rules out the best beginning, and a wish that cannot be met.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

three = torch.tensor([[0, 0.6, 0.4], [1 / 6, 1 / 3, 1 / 2], [0, 0, 1]]).log()
free = torch.ones(2, 3, dtype=torch.bool)
path, log_prob = best_path(three, free)
assert_shape(path, (2,), name="path of two words")
name = "path in the example (the likelier first word, 1, is not the best beginning)"
assert_close(path, torch.tensor([2, 2]), name=name)
assert_shape(log_prob, (), name="log_prob, one number")
name = "log_prob in the example: log 0.4 + log 1"
assert_close(log_prob, math.log(0.4), name=name)
ends_in_1 = torch.tensor([[True, True, True], [False, True, False]])
path, log_prob = best_path(three, ends_in_1)
name = "path that ends in 1 (nothing but 2 comes after 2)"
assert_close(path, torch.tensor([1, 1]), name=name)
assert_close(log_prob, math.log(0.2), name="log_prob of the path that ends in 1")
begins_with_0 = torch.tensor([[True, False, False], [True, True, True]])
path, log_prob = best_path(three, begins_with_0)
assert path is None, f"path where no text is possible: expected None, got {path}"
name = "log_prob where no text is possible: 0 never follows 0"
assert_shape(log_prob, (), name=name)
assert_close(log_prob, -math.inf, name=name)

# %% [markdown]
# Graded later, worth 2 points: tables of other sizes against all their texts one by one, words that never follow
# others, very unlikely words, and long texts.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)


def as_double(value):
    return torch.tensor(value, dtype=torch.float64)


def steps_of(table, path):
    """log p of a path, summed in float64."""
    return sum(
        table[a, b].double().item() for a, b in zip([0, *path[:-1]], path, strict=True)
    )


for size, T, never, forbidden, dtype in (
    (1, 1, 0, 0, torch.float64),
    (2, 1, 0, 0.3, torch.float64),
    (2, 9, 0, 0.3, torch.float32),
    (3, 5, 0.3, 0, torch.float64),
    (3, 6, 0.5, 0.2, torch.float32),
    (4, 4, 0.3, 0.4, torch.float64),
    (5, 4, 0, 0.3, torch.float32),
    (7, 3, 0.6, 0.3, torch.float64),
):
    for _ in range(6):
        table = 3 * torch.randn(size, size, generator=chance).double()
        table[torch.rand(size, size, generator=chance) < never] = -math.inf
        dead = table.isneginf().all(1)
        table[dead, 0] = 0.0
        table = table.log_softmax(1).to(dtype)
        may = torch.rand(T, size, generator=chance) >= forbidden
        kept = table.clone(), may.clone()
        every_text = torch.cartesian_prod(*[torch.arange(size)] * T).view(-1, T)
        every_text = [
            row for row in every_text.tolist() if may[range(T), row].all().item()
        ]
        right = max((steps_of(table, row) for row in every_text), default=-math.inf)
        path, log_prob = best_path(table, may)
        case = f"{size} words, {T} places, {dtype}"
        assert table.equal(kept[0]) and may.equal(kept[1]), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        assert_shape(log_prob, (), name=f"log_prob, {case}")
        assert log_prob.dtype == torch.float64, (
            f"log_prob: expected float64, got {log_prob.dtype}; {case}"
        )
        name = f"log_prob against all texts one by one, {case}"
        assert_close(log_prob, as_double(right), tolerance=1e-9, name=name)
        if right == -math.inf:
            assert path is None, (
                f"path where no text is possible: expected None, {case}"
            )
            continue
        assert_shape(path, (T,), name=f"path, {case}")
        assert path.dtype == torch.long, (
            f"path: expected long, got {path.dtype}, {case}"
        )
        assert may[range(T), path].all(), (
            f"path: expected words that are allowed at their places, got {path.tolist()}; {case}"
        )
        name = f"log p of the path, added up step by step, {case}"
        got = as_double(steps_of(table, path.tolist()))
        assert_close(got, as_double(right), tolerance=1e-9, name=name)
# very unlikely, and yet the only way
table = torch.tensor(
    [[0.0, -1000.0, -1000.0], [-1000.0, 0.0, -999.0], [0.0, -math.inf, -math.inf]]
)
may = torch.tensor([[0, 1, 1], [0, 0, 1], [1, 1, 1]]).bool()
path, log_prob = best_path(table, may)
assert_close(path, torch.tensor([1, 2, 0]), name="path of steps −1000, −999, 0")
assert_close(log_prob, -1999.0, tolerance=1e-9, name="log_prob of −1000, −999, 0")
may = torch.tensor([[0, 0, 1]] * 2).bool()
path, log_prob = best_path(table, may)
assert path is None, (
    f"path where 2 would have to follow 2, which never happens: expected None, got {path}"
)
assert_close(log_prob, -math.inf, name="log_prob where 2 would have to follow 2")
# the only way begins with the least likely word, and there are 4^11 likelier beginnings
table = torch.full((6, 6), -math.inf)
table[:5, 1:5] = -math.log(4)
table[0, 5], table[5, 5] = -500.0, 0.0
may = torch.ones(12, 6).bool()
may[-1, :5] = False
path, log_prob = best_path(table, may)
name = "path that must end in 5, which follows 5 and (very rarely) 0 only"
assert_close(path, torch.full((12,), 5), name=name)
assert_close(log_prob, -500.0, tolerance=1e-9, name=f"log_prob of the {name}")
# as long and as unlikely as it may get
path, log_prob = best_path(torch.full((1, 1), -1000.0), torch.ones(1000, 1).bool())
name = "log_prob of 1,000 steps of −1000"
assert_close(log_prob, -1e6, tolerance=1e-9, name=name)
assert_close(path, torch.zeros(1000), name="path of 1,000 times word 0")
# all alike: any path will do
alike = torch.full((4, 4), -math.log(4))
path, log_prob = best_path(alike, torch.ones(6, 4).bool())
assert_shape(path, (6,), name="path where all are alike")
right = -6 * math.log(4)
assert_close(log_prob, right, tolerance=1e-6, name="log_prob where all are alike")
# long
table = torch.randn(20, 20, generator=chance).log_softmax(1)
may = torch.rand(800, 20, generator=chance) > 0.4
path, log_prob = best_path(table, may)
right = as_double(steps_of(table, path.tolist()))
name = "log_prob of 800 words against the sum of its path's steps (float64 inside?)"
assert_close(log_prob, right, tolerance=1e-9, name=name)
ahead = torch.zeros(20).double()
for here in may[1:].flip(0):
    ahead = (table.double() + ahead.masked_fill(~here, -math.inf)).amax(1)
right = (table[0].double() + ahead).masked_fill(~may[0], -math.inf).max()
name = "log_prob of the best of all texts of 800 words"
assert_close(log_prob, right, tolerance=1e-9, name=name)
### END HIDDEN TESTS

# %% [markdown]
# Four wishes. Each asks for one sentence of a given length, so the full stop may stand at the end only, and for one
# or two words at their places. Beam search looks for it, too. It drops what is not allowed, and keeps as many beams
# as it may.


# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def wish(length, **places):
    """allowed (length, V): a full stop at the end and nowhere else, and words at places, counted from 1."""
    allowed = torch.ones(length, V, dtype=torch.bool)
    allowed[:-1, 0] = False
    for word, place in {**places, ".": length}.items():
        allowed[place - 1] = torch.arange(V) == number[word]
    return allowed


def beam(allowed, width):
    """log p of the best text that beam search finds; −inf if it ends in a dead end."""
    last, log_prob = torch.zeros(1, dtype=torch.long), torch.zeros(1).double()
    for here in allowed:
        totals = log_prob[:, None] + log_next[last]
        totals = totals.masked_fill(~here, -math.inf).flatten()
        log_prob, best = totals.sort(descending=True, stable=True)
        log_prob, last = log_prob[:width], best[:width] % V
    return log_prob[0].item()


wishes = {
    "20 words, the 4th is cow": wish(20, cow=4),
    "20 words, the 16th is horn": wish(20, horn=16),
    "23 words, the 19th is corn": wish(23, corn=19),
    "28 words, the 4th is dog, the 24th horn": wish(28, dog=4, horn=24),
}
widths = (1, 4, 16, 64, 256, 1024)
found = {}
for name, allowed in wishes.items():
    path, log_prob = best_path(log_next, allowed)
    found[name] = [beam(allowed, width) for width in widths]
    print(f"{name}\n  {text_of(path)}")
    row = " ".join(f"{value:7.2f}" for value in found[name])
    print(f"  best {log_prob:.2f}; beam {row}")
print(f"beam width: {' '.join(f'{width:7}' for width in widths)}")
early, late, never, strange = found.values()
assert early[2] > -math.inf and late[2] == -math.inf, "the later, the worse"
assert max(never) == -math.inf, "1,024 beams all end in a dead end"
assert strange[2] > strange[3], "64 beams are worse than 16"

# %% [markdown]
# In the first wish the word stands near the beginning, and beam search needs 16 beams. The later the word, the worse:
# of the many beginnings of 15 words, few can be followed by *horn*, and those few are not among the likeliest. In the
# third wish 1,024 beams are not enough. In the last one 16 beams find a sentence, and 64 find none: with more beams
# there is more that crowds out the one that would have been needed. Your function needs 44 numbers at each place, one
# for each word, and is right every time.

# %% [markdown]
# ## 2 What a length penalty chooses
#
# Each word costs probability, so the likeliest sentence is a short one. The chapter divides by a power of the length:
#
# $$ \text{score}_\alpha(x) = \frac{\log p(x)}{n(x)^\alpha} $$
#
# where $n$ is the number of words. At $\alpha = 0$ the score is the log-probability, and the larger $\alpha$ is, the
# better for the long ones. But *which* sentence wins at which $\alpha$? You do not have to try values. The scores are
# negative, so the winner has the smallest $-\log p / n^\alpha$, and so the smallest logarithm of this:
#
# $$ \log \bigl(-\log p(x)\bigr) - \alpha \log n(x) $$
#
# In $\alpha$ this is a straight line. It begins high for an unlikely sentence and falls fast for a long one, and two
# lines cross once at most. Start with the winner at $\alpha = 0$. The next winner is the longer sentence whose line is
# the first to cross the winner's. And so on, until nothing longer is left. Each winner takes one look at all texts.
# (To compare all pairs of texts would take too long below.)


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def winners(log_prob, length):
    """Which of K texts has the highest score log p / n^α, for every α from 0 to ∞.

    log_prob: a list of K floats, K from 1 to 2,000, each from −1000 to −0.001. length: a list of K whole numbers ≥ 1,
    the n of each text.
    -> a list of pairs (alpha, k), the alphas rising. k, 0 to K − 1, is the text with the highest score from this alpha
    on, up to the alpha of the next pair, or for ever if there is none. The first alpha is 0. Each alpha is a float,
    right to six digits. A text that wins nowhere, or is among the best at one single alpha only, is not in the list. Of
    texts with the same log_prob and the same length, only the first can be in it. The lists stay as they were.
    Example: log_prob = [−4, −7, −6], length = [4, 14, 6]. At α = 0 text 0 wins. Text 1 draws level with it where
    4 / 4^α = 7 / 14^α, which is at α = log(7/4) / log(14/4) = 0.4467, and text 2 only at α = 1. So from 0.4467 on
    text 1 wins, and it stays ahead: the list is [(0.0, 0), (0.4467, 1)].
    """
    ### BEGIN SOLUTION
    cost, n = [math.log(-nats) for nats in log_prob], [math.log(m) for m in length]
    texts = range(len(length))
    best = max(texts, key=lambda k: (log_prob[k], length[k]))
    found = [(0.0, best)]
    while longer := [k for k in texts if length[k] > length[best]]:
        alpha, _, best = min(
            ((cost[k] - cost[best]) / (n[k] - n[best]), -length[k], k) for k in longer
        )
        found.append((alpha, best))
    return found
    ### END SOLUTION


# %% [markdown]
# First the example. Then one in which all three texts win somewhere.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close


def check_winners(log_prob, length, wanted, case):
    """The pairs are the wanted ones."""
    got = winners(list(log_prob), list(length))
    assert isinstance(got, list), f"{case}: expected a list of pairs, got {got!r}"
    order = [k for _, k in got]
    assert order == [k for _, k in wanted], (
        f"{case}: expected the texts {[k for _, k in wanted]} to win, in this order, "
        f"got {order}"
    )
    alphas = torch.tensor([alpha for alpha, _ in got]).double()
    right = torch.tensor([alpha for alpha, _ in wanted]).double()
    assert_close(alphas, right, tolerance=1e-6, name=f"{case}: the alphas")


check_winners([-4.0, -7.0, -6.0], [4, 14, 6], [(0, 0), (0.446705, 1)], "the example")
wanted = [(0, 2), (0.5, 0), (1.0, 1)]
check_winners([-4, -8, -2], [8, 16, 2], wanted, "three texts that all win somewhere")
check_winners([-3.0], [5], [(0, 0)], "a single text")
name = "two of one length: the likelier one wins, whatever alpha is"
check_winners([-3.0, -2.5], [5, 5], [(0, 1)], name)

# %% [markdown]
# Graded later, worth 2 points: many texts, compared at many values of alpha, and texts that tie.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)
for K, longest, noisy in (
    (2, 9, 1),
    (5, 9, 1),
    (40, 30, 0.5),
    (300, 60, 0.3),
    (80, 400, 2),
):
    for _ in range(5):
        n = torch.randint(1, longest + 1, (K,), generator=chance).tolist()
        spread = (noisy * torch.randn(K, generator=chance)).exp().tolist()
        power = 0.3 + 1.5 * torch.rand(1, generator=chance).item()
        lp = [max(-(m**power) * s, -1000.0) for m, s in zip(n, spread, strict=True)]
        kept = list(lp), list(n)
        got = winners(lp, n)
        case = f"{K} texts of up to {longest} words"
        assert (lp, n) == kept, f"{case}: the lists must stay as they were"
        assert got[0][0] == 0, f"{case}: the first alpha must be 0, got {got[0][0]}"
        alphas = [alpha for alpha, _ in got]
        assert alphas == sorted(alphas), f"{case}: the alphas must rise, got {alphas}"
        ends = [*alphas[1:], alphas[-1] + 5]
        for (alpha, k), end in zip(got, ends, strict=True):
            for share in (0.01, 0.5, 0.99):
                at = alpha + share * (end - alpha)
                costs = [
                    math.log(-v) - at * math.log(m) for v, m in zip(lp, n, strict=True)
                ]
                best = costs.index(min(costs))
                assert best == k or costs[k] - costs[best] < 1e-5 * max(1, at), (
                    f"{case}: at alpha {at:.6f} text {best} has the highest score, the list says {k}"
                )
        for i in range(1, len(got)):
            before, (alpha, k) = got[i - 1][1], got[i]
            a, b = (math.log(-lp[j]) - alpha * math.log(n[j]) for j in (before, k))
            assert abs(a - b) < 1e-5 * max(1, alpha), (
                f"{case}: at alpha {alpha:.6f} text {k} should draw level with text {before}, but the logarithms of their scores are {b:.6g} and {a:.6g}"
            )
        assert n[got[-1][1]] == max(n), (
            f"{case}: for large alphas the longest text wins, not one of {n[got[-1][1]]} words"
        )
        assert all(a < b for a, b in zip(alphas, ends, strict=True)), (
            f"{case}: a text that wins at a single alpha does not belong in the list, {alphas}"
        )
check_winners(
    [-2.0, -2.0, -2.0, -5.0],
    [3, 7, 5, 6],
    [(0, 1)],
    "three equally likely texts: from 0 on the longest wins",
)
check_winners(
    [-5.0, -2.0, -2.0, -5.0, -9.0],
    [8, 4, 4, 8, 4],
    [(0, 1), (1.321928, 0)],
    "texts that are there twice",
)
check_winners(
    [-1.0, -2.0, -4.0],
    [1, 2, 4],
    [(0, 0), (1, 2)],
    "three that tie at alpha 1 (the middle one wins there only)",
)
check_winners(
    [-0.001, -1000.0], [1, 2], [(0, 0), (19.931569, 1)], "an alpha far above 1"
)
check_winners([-1000.0, -0.001], [1, 2], [(0, 1)], "longer and likelier")
wanted = [(0, 0), (13822.418, 1)]
check_winners([-0.001, -1000.0], [1000, 1001], wanted, "an alpha above 10,000")
wanted = [(0, 0), (0.99998557, 1), (1.00001443, 2)]
check_winners([-1, -1.99998, -4], [1, 2, 4], wanted, "a winner over a short stretch")
wanted = [(0, 0), (0.000014427, 1)]
check_winners([-2, -2.00002], [3, 6], wanted, "two that are nearly equally likely")
### END HIDDEN TESTS

# %% [markdown]
# Now take the 2,000 draws from the top of this notebook, and let α choose among them.

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
distinct = list(dict.fromkeys(map(tuple, sentences)))
log_p = [
    sum(log_next[a, b].item() for a, b in zip((0, *path), path, strict=False))
    for path in distinct
]
chosen = winners(log_p, [len(path) for path in distinct])
print(f"{len(distinct)} different sentences, {mean_length:.1f} words on average")
for alpha, k in chosen:
    print(f"from alpha {alpha:.3f} on: {len(distinct[k])} words, log p {log_p[k]:.1f}")
    print(f"   {text_of(distinct[k][:12])} …")

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
alphas = torch.linspace(0, 2, 81)
for k in [*range(0, len(distinct), 25), *[k for _, k in chosen]]:
    line = math.log(-log_p[k]) - alphas * math.log(len(distinct[k]))
    won = any(k == winner for _, winner in chosen)
    label = f"{len(distinct[k])} words" if won else None
    width = 2 if won else 0.5
    ax.plot(alphas, line, color=None if won else "0.8", lw=width, label=label)
ax.set(xlabel="alpha", ylabel="log(−log p) − alpha log n")
ax.legend(title="winners")
sizes = [len(distinct[k]) for _, k in chosen]
assert sizes[0] == 8 and min(sizes[1:]) > 60 and 1 < chosen[1][0] < 1.4

# %% [markdown]
# At the usual 0.6 or 0.7 the shortest sentence wins, as without a penalty, and still at 1, the mean per word. Then, a
# little above 1.2, the winner jumps from 8 words to more than a hundred. No sentence of a typical length, 36 words,
# wins anywhere. The picture shows why. The gray lines are some of the other sentences, and together with the winners
# they nearly form a bundle through one point: in this table each further clause costs about the same, so $\log p$
# falls in proportion to the length. A penalty that outweighs one more clause outweighs a hundred.
#
# Among *all* sentences, and not only 2,000 draws, it is worse. Take any $\alpha$ above 1, and a sentence that runs in
# circles. As it grows, its score rises towards 0, so a longer one always wins, and no sentence is the best. A length
# penalty can choose between a good short answer and a good long one, where there are both. It does not make a search
# find sentences of natural length.

# %% [markdown]
# ## 3 A search that knows when it has found the best
#
# The table likes to repeat itself: the malt that lay in the house that lay in the house. So forbid it. Let each word
# have a *limit*, how often it may come in one text. Now the future depends on everything that was said, and the
# algorithm of exercise 1 does not apply. Beam search still runs, but nobody knows whether it has found the best.
#
# A **best-first** search knows. It keeps all beginnings on a heap. In each step it takes off the most promising one.
# If that is a complete text, it is the answer. Otherwise all its continuations by one word go onto the heap. How
# promising a beginning is, an optimist says:
#
# $$ \text{promise} = \log p(\text{beginning}) + \text{the most that can still be added} $$
#
# If the optimist never says too little, then no beginning that is still on the heap can become better than the
# complete text on top. The chapter's optimist says 0: a log-probability only falls. One who knows more says less, and
# saves work. Drop the limits, for example: then the best future of each word can be computed exactly, as in exercise
# 1, from the end. With the limits it can only be worse.
#
# Python's heap gives back the smallest: `heapq.heappush(heap, (-promise, …))`, and `heapq.heappop(heap)` takes it off.
# Put numbers and lists on it, not tensors: where two promises are equal, Python compares what stands behind them.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_first(log_next, limit, to_come):
    """The likeliest text of T words in which no word comes more often than its limit, and how long the search took.

    log_next (V, V) float64: [a, b] is log p(b | a), from −1000 to 0, or −∞ where b never follows a. A text begins after
    word 0; this first 0 is not part of it and does not count. limit: a list of V whole numbers ≥ 0; word w may come at
    most limit[w] times. to_come (T, V) float64, T ≥ 1: [t, w] is never less than what the words after place t (0 to
    T − 1) can add to log p if word w stands at place t. It is a number ≤ 0, or −∞: then w is forbidden at place t,
    however likely it is. At the last place it is 0 or −∞.
    The promise of a beginning is its log p plus to_come of its last word at its last place. The empty beginning is
    opened first. Then, again and again, the one with the greatest promise of all beginnings that are one word longer
    than an opened one, and not opened yet. If it has T words, the search is over. Beginnings that break a limit, or
    whose promise is −∞, are never opened.
    -> (text, log_prob, opened). text: a list of T ints. log_prob: a float, its log p, right to six digits. opened: how
    many beginnings were opened, the empty one and the complete one included. If there is no such text: (None, −∞,
    opened). The arguments stay as they were. Of equal promises any may be opened first.
    Example: p(· | 0) = (0, 0.6, 0.4), p(· | 1) = (1/6, 1/3, 1/2), p(· | 2) = (0, 0, 1), T = 2, to_come all 0, and each
    word may come once. Opened are the empty text, 1 (0.6), 2 (0.4), which only a second 2 could follow, and at last
    1 2 (0.3), which is complete. So the answer is ([1, 2], log 0.3, 4).
    """
    ### BEGIN SOLUTION
    steps, still = log_next.tolist(), to_come.tolist()
    heap, opened = [(0.0, 0.0, [])], 0
    while heap:
        _, log_prob, text = heapq.heappop(heap)
        opened += 1
        if len(text) == len(still):
            return text, log_prob, opened
        for w, step in enumerate(steps[text[-1] if text else 0]):
            promise = log_prob + step + still[len(text)][w]
            if promise > -math.inf and text.count(w) < limit[w]:
                heapq.heappush(heap, (-promise, log_prob + step, [*text, w]))
    return None, -math.inf, opened
    ### END SOLUTION


# %% [markdown]
# First the example. Then an optimist who knows exactly what is to come (without limits), and a limit of 0.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close

three = torch.tensor([[0, 0.6, 0.4], [1 / 6, 1 / 3, 1 / 2], [0, 0, 1]]).double().log()
nothing = torch.zeros(2, 3).double()


def check_search(limit, to_come, wanted, case):
    """Text, log p and the number of opened beginnings are the wanted ones."""
    text, log_prob, opened = best_first(three, limit, to_come)
    right, p, count = wanted
    assert text == right, f"text, {case}: expected {right}, got {text}"
    right = math.log(p) if p else -math.inf
    assert_close(log_prob, right, tolerance=1e-6, name=f"log_prob, {case}")
    assert opened == count, (
        f"opened, {case}: expected {count} (the empty one and the complete one "
        f"included), got {opened}"
    )


check_search([1, 1, 1], nothing, ([1, 2], 0.3, 4), "the example")
check_search([9, 9, 9], nothing, ([2, 2], 0.4, 4), "the example without limits")
exact = torch.tensor([[0.6, 0.5, 1], [1, 1, 1]]).double().log()
case = (
    "no limits, and an optimist who is right: it opens the best text's beginnings only"
)
check_search([9, 9, 9], exact, ([2, 2], 0.4, 3), case)
check_search([1, 1, 0], nothing, ([1, 0], 0.1, 3), "word 2 is forbidden")
ends_in_1 = torch.tensor([[0, 0, 0], [-math.inf, 0, -math.inf]]).double()
case = "only texts that end in 1 count"
check_search([9, 9, 9], ends_in_1, ([1, 1], 0.2, 4), case)
case = "the same, but 1 may come only once"
check_search([1, 1, 1], ends_in_1, (None, 0, 3), case)

# %% [markdown]
# Graded later, worth 2 points: other tables, limits and optimists, each against all texts one by one, and long texts
# with an optimist who is nearly right.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)


def future(table, T):
    """(T, V): the best that can still come, without limits."""
    rows = [torch.zeros(len(table)).double()]
    for _ in range(T - 1):
        rows.insert(0, (table + rows[0]).amax(1))
    return torch.stack(rows)


def by_hand(table, limit, bound):
    """All beginnings one by one: the best log p, and the least and the most that may be opened (if some are equal)."""
    T, size = bound.shape
    table, bound = table.tolist(), bound.tolist()
    layer, promises = [((), 0.0, math.inf)], [math.inf]
    for t in range(T):
        longer = []
        for text, log_prob, least in layer:
            for w in range(size):
                now = log_prob + table[text[-1] if text else 0][w]
                promise = now + bound[t][w]
                if promise > -math.inf and text.count(w) < limit[w]:
                    # it is reached when all its own beginnings have been opened
                    longer.append(((*text, w), now, min(least, promise)))
        layer = longer
        promises += [least for _, _, least in longer]
    if not layer:
        return -math.inf, len(promises), len(promises)
    best = max(now + bound[-1][text[-1]] for text, now, _ in layer)
    most = sum(promise >= best - 1e-9 for promise in promises)
    return best, sum(promise > best + 1e-9 for promise in promises) + 1, most


for size, T, never, kind, spread in (
    (1, 1, 0, "0", 1.2),
    (2, 1, 0, "0", 1.2),
    (3, 4, 0, "0", 1.2),
    (3, 5, 0, "loose", 1.2),
    (4, 4, 0.3, "0", 1.2),
    (4, 4, 0.3, "loose", 1.2),
    (5, 3, 0, "ends", 1.2),
    (5, 4, 0.2, "ends", 1.2),
    (6, 3, 0.5, "loose", 1.2),
    (4, 5, 0, "wild", 1.2),
    (6, 5, 0, "0", 0.4),
):
    for _ in range(5):
        table = spread * torch.randn(size, size, generator=chance).double()
        table[torch.rand(size, size, generator=chance) < never] = -math.inf
        table[table.isneginf().all(1), 0] = 0.0
        table = table.log_softmax(1)
        limit = torch.randint(0, 3, (size,), generator=chance).tolist()
        bound = torch.zeros(T, size).double()
        if kind != "0":  # less than nothing, and never too little
            slack = 0.3 if kind == "loose" else 1.0
            bound = (
                future(table, T)
                + slack * torch.rand(T, size, generator=chance).double()
            )
            bound[-1] = 0.0
            bound = bound.clamp(max=0.0)
        if kind == "ends":
            bound[-1, 1:-1] = -math.inf
        if kind == "wild":
            bound[torch.rand(T, size, generator=chance) < 0.2] = -math.inf
        kept = table.clone(), list(limit), bound.clone()
        right = by_hand(table, limit, bound)
        text, log_prob, opened = best_first(table, limit, bound)
        case = f"{size} words, {T} places, limits {limit}, optimist {kind}"
        assert table.equal(kept[0]) and limit == kept[1] and bound.equal(kept[2]), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        assert isinstance(log_prob, float), (
            f"log_prob: expected a float, got a {type(log_prob).__name__}; {case}"
        )
        assert_close(log_prob, right[0], tolerance=1e-6, name=f"log_prob, {case}")
        assert right[1] <= opened <= right[2], (
            f"opened: expected {right[1]}, got {opened} (greatest promise first? stop when a complete text is *opened*?); {case}"
        )
        if right[0] == -math.inf:
            assert text is None, f"text where there is none: expected None, got {text}"
            continue
        assert isinstance(text, list) and len(text) == T, (
            f"text: expected a list of {T} numbers, got {text}; {case}"
        )
        assert all(isinstance(w, int) for w in text), (
            f"text: expected ints, got {text}; {case}"
        )
        assert all(text.count(w) <= limit[w] for w in range(size)), (
            f"text: {text} breaks a limit; {case}"
        )
        got = sum(
            table[a, b].item() for a, b in zip([0, *text[:-1]], text, strict=True)
        )
        assert bound[-1, text[-1]] > -math.inf, f"text: {text} does not count; {case}"
        name = f"log p of the text, added up step by step, {case}"
        assert_close(got, right[0], tolerance=1e-6, name=name)
# very unlikely: word 3 is nearly sure everywhere, and forbidden
cold = torch.tensor(
    [[-1e3, -990, -800, 0], [-1e3, -700, -900, 0], [-950, -960, -1e3, 0], [0.0] * 4]
).double()
got = best_first(cold, [1, 1, 1, 0], torch.zeros(3, 4).double())
assert got[0] == [2, 0, 1], (
    f"text where steps are from −700 to −1000: expected [2, 0, 1], got {got[0]}"
)
name = "log_prob of steps −800, −950, −990"
assert_close(got[1], -2740.0, tolerance=1e-6, name=name)
got = best_first(
    torch.full((1, 1), -1000.0).double(), [30], torch.zeros(30, 1).double()
)
assert got[0] == [0] * 30 and got[2] == 31, (
    f"30 steps of −1000: expected 30 times word 0 and 31 opened, got {got[0]} and {got[2]}"
)
assert_close(got[1], -30_000.0, tolerance=1e-6, name="log_prob of 30 steps of −1000")
# 40 beginnings, and 40² continuations of them, look better than the only way
table = torch.full((41, 41), -math.log(40)).double()
table[:, 40] = -math.inf
table[0, 40], table[40, 40], table[40, :40] = -50.0, 0.0, -math.inf
bound = torch.zeros(3, 41).double()
bound[2, :40] = -math.inf
text, log_prob, opened = best_first(table, [3] * 41, bound)
case = "a text whose first word has e^−50, and 1,640 beginnings that promise more"
assert text == [40] * 3, f"text, {case}: expected 40, 40, 40, got {text}"
assert_close(log_prob, -50.0, tolerance=1e-6, name=f"log_prob, {case}")
assert opened == 1644, f"opened, {case}: expected 1644, got {opened}"
# 60 words out of 30: nobody could list all texts
table = (2 * torch.randn(30, 30, generator=chance)).double().log_softmax(1)
bound = future(table, 60)
free = best_first(table, [60] * 30, bound)
assert_close(
    free[1],
    (table[0] + bound[0]).max(),
    tolerance=1e-6,
    name="log_prob of 60 words without limits, which an optimist who is right knows beforehand",
)
assert free[2] == 61, (
    f"opened, 60 words, no limits, an optimist who is right: expected 61, got {free[2]}"
)
often = max(range(30), key=free[0].count)
limit = [60] * 30
limit[often] = free[0].count(often) - 1
held = best_first(table, limit, bound)
assert held[0].count(often) <= limit[often], (
    f"60 words, word {often} at most {limit[often]} times: it comes {held[0].count(often)} times"
)
assert held[1] < free[1], "a limit that matters must cost probability"
### END HIDDEN TESTS

# %% [markdown]
# One sentence, and no word twice, apart from *the*, *that*, *all* and *and*. The sentence must end with its only full
# stop, and both optimists know this. One knows nothing else. The other knows the best future of each word without
# limits, computed from the end.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
limit = [99 if word in ("the", "that", "all", "and") else 1 for word in words]


def optimists(length):
    """Two bounds (length, V): one that only knows the end, one that looks ahead."""
    simple = torch.zeros(length, V).double()
    simple[-1, 1:] = -math.inf
    rows = [simple[-1]]
    for _ in range(length - 1):
        ahead = (log_next + rows[0]).amax(1)
        ahead[0] = -math.inf  # no full stop in the middle
        rows.insert(0, ahead)
    return simple, torch.stack(rows)


opened = {"an optimist who says 0": {}, "one who looks ahead": {}}
for length in (8, 10, 13, 15, 17, 23, 28):
    for name, bound in zip(opened, optimists(length), strict=True):
        if length < 17 or name == "one who looks ahead":
            text, log_prob, opened[name][length] = best_first(log_next, limit, bound)
    print(f"{length} words, log p {log_prob:.2f}: {text_of(text)}")
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (name, counts_of), style in zip(opened.items(), ("o-", "s--"), strict=True):
    ax.plot(list(counts_of), list(counts_of.values()), style, label=name)
    print(name, counts_of)
ax.set(xlabel="words in the sentence", ylabel="beginnings opened", yscale="log")
ax.legend()
zero, looks = opened.values()
assert zero[15] > 100 * looks[15] and looks[15] == 16 and looks[13] > 14

# %% [markdown]
# With 15 words, the first optimist makes the search open 4,850 beginnings, and the second 16: the empty one and then
# the sentence, word by word, because no limit matters there. With 13 words a limit does matter (*house* may not come
# twice), and the search opens 19 instead of 14. Each of these sentences is proved to be the best. The price grows with
# what the optimist does not know. At 28 words the best sentences without limits use the same words twice and three
# times. So this optimist promises too much, and 7,752 beginnings must be opened.

# %% [markdown]
# ## 4 Beams that are draws
#
# A beam search keeps the likeliest texts, and they are much alike. Draws differ more, but the same one may come
# twice. We would like $k$ *different* texts, drawn fairly. That means drawn **without replacement**: the first is a
# draw from $p$, the second a draw from what is left when the first is forbidden, and so on.
#
# There is a trick for this. Add to each text's log-probability a random number $g = -\log(-\log u)$ of its own, where
# $u$ is uniform between 0 and 1 (a *Gumbel* number), and call the sum its **level**. The $k$ texts with the highest
# levels are $k$ draws without replacement. But there are too many texts to give each a level.
#
# Here is the second trick. Give a *beginning* the level of its highest text. This level is again its log-probability
# plus a Gumbel number. So we can start at the top: draw the level of a beginning first, and then the levels of its
# continuations, given that the highest of them is at the level $L$ of the beginning. That takes two steps. First draw
# them freely: $f_i = \log p_i + g_i$, where $p_i$ is the probability of the beginning with word $i$ added. Then move
# them, so that the highest, $m = \max_i f_i$, comes to $L$, and the others keep their order and get the right
# distribution:
#
# $$ \ell_i = -\log \bigl( e^{-L} - e^{-m} + e^{-f_i} \bigr) $$
#
# Now a beam search that keeps the $k$ highest *levels*, instead of the $k$ highest probabilities, ends with $k$ draws
# without replacement (Kool, van Hoof and Welling, 2019).
#
# Levels may be near −1000, and $e^{1000}$ is too large for a computer. So take $e^{-L}$ out of the bracket. With
# $d = L - f_i + \log(1 - e^{f_i - m})$ the level is $\ell_i = L - \log(1 + e^d)$, and
# `torch.nn.functional.softplus(d)` is $\log(1 + e^d)$ for any $d$, even for $-\infty$, which $d$ is at the maximum.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def draw_on(log_prob, level, log_next, noise, k):
    """Continue W beginnings by one word each way, and keep the k continuations with the highest levels.

    log_prob (W,) float64: the beginnings' log p, from −1000 to 0. level (W,) float64: their levels L, each from 5 below
    its log_prob to 50 above it. log_next (W, V) float64: [i, w] is log p(w | beginning i), from −1000 to 0, or −∞ where
    w cannot follow; each beginning has a word that can follow it. noise (W, V) float64: the g of the text above, from
    −5 to 50. k ≥ 1.
    -> (parent, word, log_prob, level), all (K,), where K is k, or the number of possible continuations if that is less.
    parent and word, long: which beginning, and which word comes after it. log_prob, float64: of the beginning with the
    word. level, float64: the ℓ of the formulas above, right to six digits, where m is the maximum over the words after
    the same beginning. So the highest continuation of a beginning has the level of the beginning. All four are sorted
    by level, the highest first; no two levels are equal. The arguments stay as they were.
    Example: one beginning, log_prob log 0.5, level 1, p(· | it) = (0.6, 0.4, 0), noise (0, 1, 5), k = 2. f is
    (log 0.3, log 0.2 + 1, −∞) = (−1.204, −0.609, −∞), m = −0.609. Word 1 comes to level 1, and word 0 to
    −log(e^−1 − e^0.609 + e^1.204) = −0.6216. So parent is (0, 0), word (1, 0), log_prob (log 0.2, log 0.3) and level
    (1, −0.6216).
    """
    ### BEGIN SOLUTION
    totals = log_prob[:, None] + log_next
    free = totals + noise
    below = torch.log1p(-(free - free.amax(1, keepdim=True)).exp())
    top = level[:, None]
    levels = top - torch.nn.functional.softplus(top - free + below)
    level, best = levels.flatten().sort(descending=True)
    alive = totals.flatten()[best] > -math.inf
    level, best = level[alive][:k], best[alive][:k]
    V = log_next.shape[1]
    return best // V, best % V, totals.flatten()[best], level
    ### END SOLUTION


# %% [markdown]
# First the example. Then two beginnings at once.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

one = torch.tensor([0.5]).double().log()
after = torch.tensor([[0.6, 0.4, 0.0]]).double().log()
noise = torch.tensor([[0.0, 1.0, 5.0]]).double()
parent, word, log_p, level = draw_on(one, torch.ones(1).double(), after, noise, 2)
assert_shape(word, (2,), name="word, k = 2")
name = "word in the example (2 cannot follow, whatever its noise)"
assert_close(word, torch.tensor([1, 0]), name=name)
assert_close(parent, torch.tensor([0, 0]), name="parent in the example")
name = "log_prob in the example (without noise)"
assert_close(log_p, torch.tensor([0.2, 0.3]).log(), name=name)
name = "level in the example (the highest has the level of its beginning)"
assert_close(level, torch.tensor([1.0, -0.621552]), name=name)
two = torch.tensor([0.5, 0.1]).double().log()
after = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).double().log()
noise = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double()
got = draw_on(two, torch.tensor([-1.0, 2.0]).double(), after, noise, 3)
assert_close(got[0], torch.tensor([1, 0, 0]), name="parent, two beginnings")
assert_close(got[1], torch.tensor([1, 0, 1]), name="word, two beginnings")
name = "level, two beginnings (each with its own maximum m)"
assert_close(got[3], torch.tensor([2.0, -1.0, -1.657603]), name=name)

# %% [markdown]
# Graded later, worth 2 points: more beginnings and words, words that cannot follow, fewer continuations than asked
# for, beginnings of probability $e^{-1000}$, and levels that nearly tie.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)


def gumbel(*shape):
    return -(-torch.rand(*shape, generator=chance).double().clamp(1e-6).log()).log()


for W, size, k, never, far in (
    (1, 1, 1, 0, 0),
    (1, 6, 3, 0, 0),
    (4, 3, 5, 0, 0),
    (3, 5, 40, 0.4, 0),
    (6, 2, 1, 0, 0),
    (5, 8, 10, 0.5, 0),
    (3, 4, 5, 0, -990),
    (4, 9, 40, 0.6, -700),
    (4, 4, 16, 0, -30),
):
    for _ in range(4):
        lp = gumbel(W).clamp(max=5) - 5
        lv = lp + gumbel(W)
        table = torch.randn(W, size, generator=chance).double()
        table[torch.rand(W, size, generator=chance) < never] = -math.inf
        table[table.isneginf().all(1), -1] = 0.0
        table = table.log_softmax(1)
        g = gumbel(W, size)
        rows = []
        for i in range(W):
            f = [
                lp[i].item() + table[i, w].item() + g[i, w].item() for w in range(size)
            ]
            for w in range(size):
                if table[i, w] > -math.inf:
                    inside = math.exp(-lv[i]) - math.exp(-max(f)) + math.exp(-f[w])
                    whole = lp[i].item() + table[i, w].item()
                    rows.append((-math.log(inside), i, w, whole))
        rows = sorted(rows, reverse=True)[:k]
        lp, lv = lp + far, lv + far
        kept = lp.clone(), lv.clone(), table.clone(), g.clone()
        got = draw_on(lp, lv, table, g, k)
        case = f"{W} beginnings of log p near {far}, {size} words, k = {k}"
        assert all(a.equal(b) for a, b in zip((lp, lv, table, g), kept, strict=True)), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        wanted = [torch.tensor(c, dtype=torch.float64) for c in zip(*rows, strict=True)]
        for what, have, right in (
            ("level", got[3], wanted[0] + far),
            ("parent", got[0], wanted[1]),
            ("word", got[1], wanted[2]),
            ("log_prob", got[2], wanted[3] + far),
        ):
            assert_shape(have, (len(rows),), name=f"{what}, {case}")
            dtype = torch.float64 if what in ("level", "log_prob") else torch.long
            assert have.dtype == dtype, (
                f"{what}: expected {dtype}, got {have.dtype}; {case}"
            )
            assert_close(have, right, tolerance=1e-6, name=f"{what}, {case}")
# two words that nearly tie, and a level far above them: the lower one is at
# 50 − log(1 + e^d) with d = 51 + 2^−48 + log(1 − exp(−2^−48))
rest = math.log(1 - 2 / math.e)
table = torch.tensor([[-1.0, -1.0, rest]]).double()
g = torch.tensor([[0.0, -(2.0**-48), -5.0]]).double()
got = draw_on(torch.zeros(1).double(), torch.full((1,), 50.0).double(), table, g, 2)
assert_close(got[1], torch.tensor([0, 1]), name="word, f = −1 and f = −1 − 2^−48")
assert_close(
    got[3],
    torch.tensor([50.0, -1.0 + 48 * math.log(2)]),
    tolerance=1e-6,
    name="level, f = −1 and f = −1 − 2^−48",
)
# the ends of what may come
half = math.log(0.5)
table = torch.tensor([[half, half, -1000.0]]).double()
far = torch.tensor([[50.0, 49.0, -5.0]]).double()
low = torch.full((1,), -1000.0).double()
got = draw_on(low, low + 50, table, far, 4)
case = "log p −1000, level −950, noise from −5 to 50"
assert_close(got[1], torch.tensor([0, 1, 2]), name=f"word, {case}")
d = 1 - half + math.log(1 - math.exp(-1))
right = torch.tensor([-950.0, -950 - math.log(1 + math.exp(d)), -2005.0]).double()
assert_close(got[3], right, tolerance=1e-6, name=f"level, {case}")
name = f"log_prob, {case}"
assert_close(got[2], low + table[0], tolerance=1e-6, name=name)
# a word that nearly never follows
table = torch.tensor([[-950.0, 0.0]]).double()
got = draw_on(torch.zeros(1).double(), torch.ones(1).double(), table, g[:, :2], 2)
assert_close(got[1], torch.tensor([1, 0]), name="word, log p 0 and −950")
assert_close(
    got[3],
    torch.tensor([1.0, -950.0]),
    tolerance=1e-6,
    name="level, log p 0 and −950 (is e^d too large?)",
)
### END HIDDEN TESTS

# %% [markdown]
# Your step in a loop. The table is sharpened at temperature 0.15, as for a careful writer. Now a few sentences are
# likely and come again and again. How long is a sentence of this table on average? The exact answer is the solution
# of 43 linear equations. We estimate it from 50 sentences in three ways: the mean length of 50 ordinary draws; the
# mean of 50 different ones, drawn by your beams; and a weighted mean of the latter. If $\kappa$ is the
# level of the first one that did *not* get in, a sentence of probability $p$ gets into a handful with probability
# $1 - \exp(-p\, e^{-\kappa})$. Its weight is $p$ divided by this.


# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def handful(table, k, generator):
    """k different sentences, (k, T) filled up with full stops, their log p and levels."""
    texts, log_prob, level = torch.zeros(1, 1).long(), *torch.zeros(2, 1).double()
    stay = torch.where(torch.arange(V) == 0, 0.0, -math.inf).double()  # what has ended
    while len(texts[0]) < 2 or texts[:, -1].any():
        last = texts[:, -1]
        ended = (last == 0)[:, None] & (texts.shape[1] > 1)
        after = torch.where(ended, stay, table[last])
        u = torch.rand(after.shape, generator=generator).double().clamp(1e-9, 1 - 1e-9)
        noise = -(-u.log()).log()
        parent, word, log_prob, level = draw_on(log_prob, level, after, noise, k)
        texts = torch.cat([texts[parent], word[:, None]], 1)
    return texts[:, 1:], log_prob, level


sharp = (log_next / 0.15).log_softmax(1)
p, one = sharp.exp(), torch.ones(V - 1).double()
to_the_end = torch.linalg.solve(torch.eye(V - 1).double() - p[1:, 1:], one)
exact = 1 + (p[0, 1:] @ to_the_end).item()
generator, k, runs = make_generator(1), 50, 60
names = "50 ordinary draws", "50 different ones", "the same, weighted"
estimates, distinct = {name: [] for name in names}, []
for _ in range(runs):
    drawn = draw_sentences(sharp, k, generator)
    distinct.append(len(set(map(tuple, drawn))))
    texts, log_prob, level = handful(sharp, k + 1, generator)
    length = (texts[:k] != 0).sum(1).double() + 1
    seen = -torch.expm1(-(log_prob[:k] - level[k]).exp())
    weight = log_prob[:k].exp() / seen
    for name, value in zip(
        names,
        (
            sum(map(len, drawn)) / k,
            length.mean().item(),
            ((weight * length).sum() / weight.sum()).item(),
        ),
        strict=True,
    ):
        estimates[name].append(value)
print(f"exact mean length: {exact:.2f} words")
errors, shifts = {}, {}
for name, values in estimates.items():
    values = torch.tensor(values).double()
    shifts[name] = (values.mean() - exact).item()
    errors[name] = (values - exact).square().mean().sqrt().item()
    print(
        f"{name:19} mean {values.mean():6.2f}   error of one estimate {errors[name]:.2f}"
    )
print(f"different ones among the 50 ordinary draws: {sum(distinct) / runs:.1f}")
ordinary, plain, weighted = names
assert shifts[plain] > 3 and abs(shifts[weighted]) < 0.3, "only the weights are fair"
assert errors[weighted] < 0.85 * errors[ordinary], "repeated draws teach nothing new"

fig, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
ax.boxplot(list(estimates.values()), orientation="horizontal", tick_labels=names)
ax.axvline(exact, color="tab:red")
ax.invert_yaxis()
ax.set(xlabel="estimate of the mean length, words (red: exact)")

# %% [markdown]
# Of 50 ordinary draws 24 only repeat others. Your beams give 50 different ones, but their plain mean is 4 words too
# large: after the short and likely sentences have been drawn once, only longer ones are left. The weights put this
# right, and then one estimate is off by 0.5 or 0.6 words, where ordinary draws are off by 0.8 to 1: the repeated ones
# taught nothing new. At temperature 1 only one or two of 50 draws come twice, and there is little to gain.

# %% [markdown]
# ## What you saw
#
# - A rule about a place is easy for dynamic programming and hard for a beam, which cannot look ahead.
# - A length penalty is a choice between straight lines. It may jump from the shortest text to a very long one, and the
#   typical length lies in between.
# - A search with an honest optimist stops when it has *proved* that nothing better exists. The better the optimist, the
#   less it has to open.
# - One random number added to each log-probability turns a search for the best into a draw. What is drawn without
#   replacement is no ordinary sample, and a mean over it needs weights.
