# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 3: build a cell, write the loops, look back
#
# **You will count with a longer memory, build a recurrent cell and train it, write one loop that both trains and
# writes, keep a hot sampler sane, and make a model that only writes forwards fill a hole in the middle.**
#
# *Laptop: 20 seconds. You need: chapter 3, and no Chinese. Five exercises, 3 points each.*
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
from torch import nn

from course_lib.data.poems import PoemGrammar
from course_lib.data.text import Vocabulary
from course_lib.decode import draw, keep_top_k, keep_top_p, write
from course_lib.device import make_generator
from course_lib.layers import initialised_by
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.show.plots import show_curves
from course_lib.show.typeset import show_poems, show_table
from course_lib.train import fit

generator = make_generator(0)
grammar = PoemGrammar(lines=2)  # couplets: two lines of five characters
poems = grammar.sample(6500, generator=generator)
vocabulary = Vocabulary(poems)
V = len(vocabulary)
x, x_valid, x_test = vocabulary.encode_all(poems).split([5000, 500, 1000])  # (…, 10)
# nats per character: on average, no model pays less
floor = grammar.entropy() / grammar.length


def show_judged(texts):
    """Couplets with their words set apart, and their mistakes in red."""
    wrong = [grammar.mistakes(text) for text in texts]
    return show_poems(texts, grammar.lexicon, wrong=wrong)


print(f"{V} characters; {floor:.3f} nats per character is the floor", end=" ")
print(f"({V} equal ones: {math.log(V):.3f})")
show_poems(poems[:3], grammar.lexicon, gloss=True)

# %% [markdown]
# The words are set apart as in the chapter, with their meanings below. ○ and ● are tones, and the colour is the rhyme.
# All exercises use this model, or compare with it:

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
model = CharRNN(CharRNNConfig(V, features=64), generator=generator)
knobs = dict(batch_size=64, lr=1e-2, schedule="cosine", generator=generator)
fit(model, x, loss=lambda model, x: -model.log_prob(x), steps=500, **knobs)
model.cpu()  # fit trains on the fastest device; the rest is small
with torch.no_grad():
    nats_lstm = -model.log_prob(x_test).mean().item() / grammar.length
print(f"test couplets: {nats_lstm:.3f} nats per character,", end=" ")
print(f"{nats_lstm / floor - 1:.1%} above the floor")

# %% [markdown]
# ## 1 What is a second character of memory worth?
#
# The chapter's table looks back at one character $b$. If you look back at two, $a$ and then $b$, you know more. But you
# have seen each pair $a\,b$ less often than $b$ alone, and most pairs never, and a count of zero means a loss of
# $\infty$. The remedy is **smoothing**: before you count, imagine $s$ characters that are distributed as the shorter
# memory says (for the bigram: all $V$ alike).
#
# $$ p_2(c \mid b) = \frac{n(b, c) + s / V}{n(b) + s}, \qquad
#    p_3(c \mid a, b) = \frac{n(a, b, c) + s\, p_2(c \mid b)}{n(a, b) + s} $$
#
# Here $n(a, b, c)$ counts how often $c$ follows $a\,b$, and $n(b, c)$ how often it follows $b$, whatever comes before.
# $n(b) = \sum_c n(b, c)$ counts how often *anything* follows $b$, and likewise $n(a, b) = \sum_c n(a, b, c)$. For a pair
# that was never seen, $p_3$ falls back on $p_2$. For a pair that was seen often, the counts decide. (This is MacKay and
# Peto 1995, simplified.)
#
# Two tools: `x.new_full((B, 2), V)` makes two columns of start tokens, and
# `counts.index_put_((a, b, c), ones, accumulate=True)` adds one at each place $(a, b, c)$, as often as it occurs.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trigram_log_prob(x, levels, strength):
    """log p₂ and log p₃ of the formulas above, counted in the sentences x.

    x (B, T) long, characters 0 to V − 1, where V = `levels`; strength, the s of the formulas, a float above 0.
    Before each sentence stand two start tokens, whose number is V: a sentence's first character follows (V, V), its
    second one (V, first). The sentences do not follow one another.
    -> (log_bigram, log_trigram) in nats: log_bigram (V + 1, V) float, where [b, c] is log p₂(c | b), and log_trigram
    (V + 1, V + 1, V) float, where [a, b, c] is log p₃(c | a, b). In the text, a stands before b.
    Example: V = 2, s = 1 and the single sentence (0, 1, 0). Once something follows 0, and it is 1, so
    p₂(1 | 0) = (1 + 1/2) / (1 + 1) = 0.75. After (V, 0) it is the same 1: p₃(1 | V, 0) = (1 + 0.75) / (1 + 1) = 0.875.
    """
    ### BEGIN SOLUTION
    padded = torch.cat([x.new_full((len(x), 2), levels), x], dim=1)  # (B, T + 2)
    a, b, c = padded[:, :-2].flatten(), padded[:, 1:-1].flatten(), x.flatten()
    trigrams = torch.zeros(levels + 1, levels + 1, levels)
    trigrams.index_put_((a, b, c), torch.ones(len(c)), accumulate=True)
    bigrams = trigrams.sum(0)  # (V + 1, V)
    p2 = (bigrams + strength / levels) / (bigrams.sum(1, keepdim=True) + strength)
    p3 = (trigrams + strength * p2) / (trigrams.sum(2, keepdim=True) + strength)
    return p2.log(), p3.log()
    ### END SOLUTION


# %% [markdown]
# The example is one sentence in an alphabet of two, 0 1 0 1 1, with $s = 1$. What follows 0? Twice a 1. What follows 1?
# Once a 0 and once a 1, and the last 1 is followed by nothing.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

sentence = torch.tensor([[0, 1, 0, 1, 1]])
log_p2, log_p3 = trigram_log_prob(sentence, levels=2, strength=1.0)
assert_shape(log_p2, (3, 2), name="log_bigram: V + 1 = 3 pasts, V = 2 characters")
assert_shape(log_p3, (3, 3, 2), name="log_trigram: 3 × 3 pasts, V = 2 characters")
name = "{}, as probabilities (is it a logarithm, and are all counts right?)"
for got, wanted, case in (
    (log_p2[0], torch.tensor([0.5, 2.5]) / 3, "p₂ after 0, counts (0, 2)"),
    (log_p2[1], torch.tensor([1.5, 1.5]) / 3, "p₂ after 1, counts (1, 1)"),
    (log_p2[2], torch.tensor([1.5, 0.5]) / 2, "p₂ after a start token, counts (1, 0)"),
    (log_p3[1, 0], torch.tensor([1, 11]) / 12, "p₃ after 1 0, counts (0, 1)"),
    (log_p3[2, 2], torch.tensor([7, 1]) / 8, "p₃ after 2 start tokens, counts (1, 0)"),
):
    assert_close(got.exp(), wanted, name=name.format(case))
name = "p₃ after 0 0, a pair never seen: it must be p₂ after 0"
assert_close(log_p3[0, 0].exp(), log_p2[0].exp(), name=name)
name = "the probabilities p₃ after each pair, summed"
assert_close(log_p3.exp().sum(2), torch.ones(3, 3), name=name)

# %% [markdown]
# Graded later, worth 2 points: many sentences, larger alphabets, other strengths.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
for n, length, size, s in ((1, 1, 2, 1.0), (2, 3, 4, 0.5), (40, 6, 3, 7.0)):
    many = torch.randint(size, (n, length), generator=torch.Generator().manual_seed(n))
    rows = [[size, size, *row] for row in many.tolist()]
    triples = [tuple(row[i : i + 3]) for row in rows for i in range(length)]
    pairs, firsts, singles = (
        [t[1:] for t in triples],
        [t[:2] for t in triples],
        [t[1] for t in triples],
    )
    right2, right3 = torch.zeros(size + 1, size), torch.zeros(size + 1, size + 1, size)
    for i, j, k in torch.cartesian_prod(
        torch.arange(size + 1), torch.arange(size + 1), torch.arange(size)
    ).tolist():
        right2[j, k] = (pairs.count((j, k)) + s / size) / (singles.count(j) + s)
        right3[i, j, k] = (triples.count((i, j, k)) + s * right2[j, k]) / (
            firsts.count((i, j)) + s
        )
    kept = many.clone()
    got2, got3 = trigram_log_prob(many, size, s)
    case = f"{n} sentences of {length} characters out of {size}, strength {s} (no pair spans two sentences)"
    assert_close(got2, right2.log(), name=f"log_bigram, {case}")
    assert_close(
        got3, right3.log(), name=f"log_trigram, {case}; what comes twice counts twice"
    )
    assert_close(many, kept, name="x, which must stay as it is")
### END HIDDEN TESTS

# %% [markdown]
# Now count in few poems and in many. The strength $s$ is a knob, so it is chosen for each table and each number of poems
# separately, on the 500 validation poems. The numbers printed are for the test poems.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
strengths = (0.03, 0.3, 1, 3)


def prices(x, n, s):
    """Nats per character of the poems x by both tables, counted in n poems."""
    past = torch.cat([x.new_full((len(x), 2), V), x], dim=1)
    log_p2, log_p3 = trigram_log_prob(x_train[:n], V, strength=s)
    two = -log_p2[past[:, 1:-1], x].mean().item()
    return two, -log_p3[past[:, :-2], past[:, 1:-1], x].mean().item()


x_train, nats = x, {}
for n in (100, 1000, 5000):
    tried = {s: prices(x_valid, n, s) for s in strengths}
    best = [min(strengths, key=lambda s: tried[s][table]) for table in (0, 1)]
    nats[n] = [prices(x_test, n, s)[table] for table, s in enumerate(best)]
    print(f"{n:4} poems: bigram {nats[n][0]:.3f} (s = {best[0]:g}),", end=" ")
    print(f"trigram {nats[n][1]:.3f} (s = {best[1]:g}) nats per character")
print(f"for comparison, from 5000: LSTM {nats_lstm:.3f}, floor {floor:.3f}")
gains = [two - three for two, three in nats.values()]
assert 0 < gains[0] < gains[1] < gains[2], "the more poems, the more it is worth"
assert floor < nats_lstm < nats[5000][1], (
    "the LSTM looks back farther than two characters"
)

# %% [markdown]
# With the right strength the second character never hurts: the trigram leans on the bigram wherever it has seen too
# little. Its advantage grows from 0.1 nats to almost 0.4 as the poems become more. With a *wrong* strength it can
# hurt. Try `prices(x_test, 100, 0.1)`: there the trigram trusts what it saw once, and loses. The table has $V^3$ numbers
# already, and a third character would make it $V^4$. That is why nobody counts that far, and why a network with a state
# of 128 numbers wins.

# %% [markdown]
# ## 2 Build a cell with one gate less
#
# The LSTM of the chapter has three gates. Two of them, `write` and `keep`, could be one: where the cell is overwritten,
# it need not be kept. This gives a cell with **coupled gates** (Greff et al. 2017) that has a quarter fewer weights.
# Write $h$ for what the cell showed last, $c$ for the cell, $x$ for what is read now:
#
# $$ (w, n, s) = \text{three equal parts of } x A^\top + h B^\top + d, \qquad
#    c' = (1 - \sigma(w))\, c + \sigma(w) \tanh(n), \qquad h' = \sigma(s) \tanh(c') $$


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def coupled_step(x, state, A, B, d):
    """One step of an LSTM whose write gate is also its keep gate: the equations above.

    x (N, D) float: what is read; state: the pair (h, c), each (N, H) float; A (3 H, D), B (3 H, H), d (3 H,) float.
    The first H of the 3 H numbers are w (write), the next H are n (the note), the last H are s (show). N, D and H may
    be any numbers, equal ones too. σ is the sigmoid.
    -> the pair (h', c'), each (N, H). The arguments are not changed.
    Example with N = D = H = 1: A and B are 0 and d = (0, 100, 0). Then σ(w) = ½, tanh(n) = 1 and σ(s) = ½. From c = 0.2
    comes c' = ½ · 0.2 + ½ · 1 = 0.6, and h' = ½ · tanh(0.6) = 0.269, whatever x and h are.
    """
    ### BEGIN SOLUTION
    h, c = state
    w, n, s = (x @ A.T + h @ B.T + d).chunk(3, dim=1)  # (N, H) each
    c = (1 - w.sigmoid()) * c + w.sigmoid() * n.tanh()
    return s.sigmoid() * c.tanh(), c
    ### END SOLUTION


# %% [markdown]
# The example first. Then a gate that is shut must leave the cell as it is, and an open one must replace it.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

one, nothing = torch.ones(1, 1), torch.zeros(3, 1)
d = torch.tensor([0.0, 100.0, 0.0])
h, c = coupled_step(5 * one, (7 * one, 0.2 * one), nothing, nothing, d)
assert_shape(c, (1, 1), name="the new cell, N = H = 1")
assert_close(c, 0.6 * one, name="the new cell of the example")
assert_close(h, 0.2685 * one, tolerance=1e-3, name="what it shows in the example")
_, c = coupled_step(one, (one, 0.2 * one), nothing, nothing, d - 100 * (d == 0))
assert_close(c, 0.2 * one, name="the cell, the write gate shut (the gate is σ(w))")
_, c = coupled_step(one, (one, 0.2 * one), nothing, nothing, d + 100 * (d == 0))
assert_close(c, one, name="the cell, the write gate open (nothing old is kept)")
A, B = torch.tensor([[1.0], [0.0], [0.0]]), torch.tensor([[0.0], [1.0], [0.0]])
_, c = coupled_step(0 * one, (0.5 * one, 0 * one), A, B, torch.zeros(3))
name = "the cell; h reaches it through B: ½ tanh(0.5)"
assert_close(c, 0.2311 * one, tolerance=1e-3, name=name)

# %% [markdown]
# Graded later, worth 2 points: several sentences and features at once, with random weights.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(7)
for N, D, H in ((2, 3, 4), (5, 2, 2), (3, 3, 3)):
    sizes = ((N, D), (N, H), (N, H), (3 * H, D), (3 * H, H), (3 * H,))
    read, shown, cell, A, B, d = (
        torch.randn(*size, generator=chance) for size in sizes
    )
    kept = cell.clone(), shown.clone()
    got_h, got_c = coupled_step(read, (shown, cell), A, B, d)
    right_c, right_h = torch.zeros(N, H), torch.zeros(N, H)
    for i in range(N):
        for k in range(H):
            w, n, s = (
                (A[row] @ read[i] + B[row] @ shown[i] + d[row]).item()
                for row in (k, H + k, 2 * H + k)
            )
            gate = 1 / (1 + math.exp(-w))
            new = (1 - gate) * cell[i, k].item() + gate * math.tanh(n)
            right_c[i, k], right_h[i, k] = new, math.tanh(new) / (1 + math.exp(-s))
    case = f"N = {N}, D = {D}, H = {H}"
    assert_shape(got_c, (N, H), name=f"the new cell, {case}")
    assert_close(got_c, right_c, tolerance=1e-4, name=f"the new cell, {case}")
    assert_close(got_h, right_h, tolerance=1e-4, name=f"what it shows, {case}")
    assert_close(cell, kept[0], name="c, which must not be changed in place")
    assert_close(shown, kept[1], name="h, which must not be changed in place")
### END HIDDEN TESTS

# %% [markdown]
# Does it work in a network? This is the chapter's `Writer` around your step. It starts with −2 on every write gate, so
# that the gradient can reach back. It is trained for 500 steps, as the LSTM above was.


# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Coupled(nn.Module):
    """The chapter's Writer, with your step inside."""

    def __init__(self, features):
        super().__init__()
        self.embed = nn.Embedding(V + 1, features)  # the last row: start token
        self.read = nn.Linear(features, 3 * features)  # A and d
        self.recall = nn.Linear(features, 3 * features, bias=False)  # B
        self.head = nn.Linear(features, V)
        with torch.no_grad():
            self.read.bias[:features] -= 2  # write little, keep much

    def begin(self, n):
        zeros = self.head.weight.new_zeros(n, self.head.in_features)
        return zeros, zeros

    def step(self, previous, state):
        if previous is None:
            previous = torch.full_like(state[0][:, 0], V, dtype=torch.long)
        read, weights = self.embed(previous), (self.read.weight, self.recall.weight)
        state = coupled_step(read, state, *weights, self.read.bias)
        return self.head(state[0]), state

    def log_prob(self, x):
        (logits, state), total = self.step(None, self.begin(len(x))), 0
        for t in range(x.shape[1]):
            log_p = logits.log_softmax(1)
            total = total + log_p.gather(1, x[:, t : t + 1])[:, 0]
            logits, state = self.step(x[:, t], state)
        return total


with initialised_by(generator):
    coupled = Coupled(64)
fit(coupled, x, loss=lambda model, x: -model.log_prob(x), steps=500, **knobs)
coupled.cpu()
reached = {}
for name, network in (("coupled gates", coupled), ("LSTM", model)):
    with torch.no_grad():
        reached[name] = -network.log_prob(x_test).mean().item() / grammar.length
    cell = sum(
        p.numel()
        for n, p in network.named_parameters()
        if n[:4] not in ("embe", "head")
    )
    print(
        f"{name:14s}{cell:6,} weights in the cell, {reached[name]:.3f} nats per character"
    )
print(f"{'floor':14s}{'':28s}{floor:.3f}")
assert reached["coupled gates"] < 1.1 * floor, "it learns words, tones and rhyme"
assert abs(reached["coupled gates"] - reached["LSTM"]) < 0.05, (
    "about as well as an LSTM"
)
written = write(
    coupled, 6, 10, choose=lambda logits, t: draw(logits, generator=generator)
)
show_judged(vocabulary.decode(written))

# %% [markdown]
# These couplets were drawn from your cell. It needs a quarter fewer weights than the LSTM and learns these couplets about
# as well.

# %% [markdown]
# ## 3 One loop for training, writing and trouble
#
# The chapter has two loops that look alike, one for teacher forcing and one for generation. They differ in what the
# network reads next: the true character, or its own. So write *one* loop, and let the caller decide at each place.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def walk(model, x, teacher, choose):
    """Walk once along sentences, and read at each place either the true character or the model's own choice.

    model has begin(n) -> state and step(previous, state) -> (logits (B, V), state), where previous is (B,) long, and
    None before the first character; x (B, T) long: the true characters; teacher: a list of T bools; choose: logits
    (B, V) -> (B,) long, to be called exactly once at each place, in order, whatever teacher says.
    At place t the model chooses a character. Then it goes on with x[:, t] if teacher[t], and with its choice otherwise.
    -> (chosen, log_p): chosen (B, T) long, the choice at every place; log_p (B, T) in nats, how likely the model
    found, before it read it, the character with which it goes on.
    Example: if teacher is all True, log_p.sum(1) is model.log_prob(x); if it is all False, chosen are new sentences.
    """
    ### BEGIN SOLUTION
    previous, state = None, model.begin(len(x))
    chosen, log_p = [], []
    for t in range(x.shape[1]):
        logits, state = model.step(previous, state)
        chosen.append(choose(logits))
        previous = x[:, t] if teacher[t] else chosen[-1]
        log_p.append(logits.log_softmax(1).gather(1, previous[:, None])[:, 0])
    return torch.stack(chosen, 1), torch.stack(log_p, 1)
    ### END SOLUTION


# %% [markdown]
# The model of the checks is a toy: it expects the character after the one it reads (0, 1, 2, 0, …) with probability 0.8,
# and each of the two others with 0.1. A toy that always chooses the likeliest is easy to follow by hand.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


class Toy:
    """Three characters; after c comes (c + 1) mod 3 with probability 0.8. At the start, 0."""

    def begin(self, n):
        return (torch.zeros(n, 1),)

    def step(self, previous, state):
        expected = (previous + 1) % 3 if previous is not None else state[0][:, 0].long()
        p = torch.full((len(expected), 3), 0.1)
        p[torch.arange(len(expected)), expected] = 0.8
        return p.log() + 5, state  # logits need not be normalised


def likeliest(logits):
    """(B, V) -> (B,)"""
    return logits.argmax(1)


true = torch.tensor([[0, 1, 2, 0], [2, 2, 0, 1]])
chosen, log_p = walk(Toy(), true, [True] * 4, likeliest)
assert_shape(chosen, (2, 4), name="chosen, two sentences of four")
assert_shape(log_p, (2, 4), name="log_p, two sentences of four")
name = "chosen with a teacher: each from the true character before it"
assert_close(chosen, torch.tensor([[0, 1, 2, 0], [0, 0, 0, 1]]), name=name)
wanted = torch.tensor([[0.8, 0.8, 0.8, 0.8], [0.1, 0.1, 0.8, 0.8]]).log()
name = "log_p with a teacher: that of the true characters (normalised)"
assert_close(log_p, wanted, name=name)
chosen, log_p = walk(Toy(), true, [True, False, False, False], likeliest)
name = "chosen with the first character given, then alone"
assert_close(chosen, torch.tensor([[0, 1, 2, 0], [0, 0, 1, 2]]), name=name)
wanted = torch.tensor([[0.8, 0.8, 0.8, 0.8], [0.1, 0.8, 0.8, 0.8]]).log()
name = "log_p with the first given: of what the model goes on with"
assert_close(log_p, wanted, name=name)

# %% [markdown]
# Graded later, worth 2 points: a real network, teachers that come and go, and how often `choose` is called.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
config = CharRNNConfig(levels=5, features=6)
small = CharRNN(config, generator=torch.Generator().manual_seed(3))
truth = torch.randint(5, (7, 6), generator=torch.Generator().manual_seed(4))
with torch.no_grad():
    _, forced = walk(small, truth, [True] * 6, lambda logits: logits.argmin(1))
    assert_close(
        forced.sum(1), small.log_prob(truth), name="log_prob, with a teacher everywhere"
    )
    for teacher in (
        [False] * 6,
        [True, True, False, False, True, False],
        [False, True, True, False, False, True],
    ):
        asked = []

        def choose(logits, asked=asked):
            asked.append(len(logits))
            return logits.argmin(1)

        kept = truth.clone()
        got, log_got = walk(small, truth, list(teacher), choose)
        read_on = torch.where(torch.tensor(teacher), truth, got)
        right = small(read_on)
        case = f"teacher {[int(b) for b in teacher]}"
        assert_close(
            got, right.argmin(2), name=f"what is chosen after what was read, {case}"
        )
        right = right.log_softmax(2).gather(2, read_on[..., None])[..., 0]
        assert_close(
            log_got,
            right,
            tolerance=1e-4,
            name=f"log_p of what it goes on with, {case}",
        )
        assert_close(
            torch.tensor(asked),
            torch.full((6,), 7),
            name="choose: once a place, for all sentences",
        )
        assert_close(truth, kept, name="x, which must stay as it is")
### END HIDDEN TESTS

# %% [markdown]
# Now use it three times. With a teacher it measures, without one it writes, and in between it shows what a mistake does.
# The third character of each test couplet is replaced by one that cannot stand there. Then the model goes on, once alone
# and once with the true characters.


# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def random_choice(logits):
    """(B, V) -> (B,), drawn."""
    return draw(logits, generator=generator)


B, T = x_test.shape
with torch.no_grad():
    _, log_p = walk(model, x_test, [True] * T, random_choice)
    alone, _ = walk(model, x_test, [False] * T, random_choice)
print(
    f"with a teacher: {-log_p.mean():.3f} nats per character (as above: {nats_lstm:.3f})"
)
texts = vocabulary.decode(alone)
print(f"alone: {sum(map(bool, map(grammar.is_valid, texts))) / B:.1%} valid couplets")

true = vocabulary.decode(x_test)
slipped = x_test.clone()
for i, text in enumerate(true):
    possible = [vocabulary.encode(c).item() for c in grammar.next_character(text[:2])]
    p = torch.ones(V)
    p[possible] = 0  # a wrong character
    slipped[i, 2] = p.multinomial(1, generator=generator)
with torch.no_grad():
    gone_on, _ = walk(model, slipped, [t < 3 for t in range(T)], random_choice)
    corrected, _ = walk(model, slipped, [True] * T, random_choice)
wrong = {"on its own": torch.zeros(T), "with the true characters": torch.zeros(T)}
own = vocabulary.decode(torch.cat([slipped[:, :3], gone_on[:, 3:]], dim=1))
for i, row in enumerate(vocabulary.decode(corrected)):
    wrong["on its own"][grammar.mistakes(own[i])] += 1 / B
    for t in range(T):
        allowed = grammar.next_character(true[i][:t])
        wrong["with the true characters"][t] += (row[t] not in allowed) / B
for how, share in wrong.items():
    print(f"after the slip, {how}: {share[3:].mean():.0%} wrong")
assert wrong["on its own"][4:].mean() > 0.4, "one wrong step, and most go wrong"
assert wrong["with the true characters"][5:].mean() < 0.1, "a teacher sets it right"
show_curves(
    {how: (range(4, T + 1), share[3:]) for how, share in wrong.items()},
    xlabel="place (the wrong character is at 3)",
    ylabel="share of wrong characters",
    ylim=(0, 1),
)

# %% [markdown]
# It is the same model, the same slip and the same loop. What differs is what it reads afterwards. Move the slip to
# another place: where does the model recover even without a teacher, and why there?

# %% [markdown]
# ## 4 A cut that knows how sure the model is
#
# A hot sampler (temperature 1.5) is lively, and soon writes nonsense: each nonsense character has little probability,
# but there are many of them. The chapter's top-$k$ cuts at the same number everywhere, so it cuts too much where many
# characters are right and too little where only one is. The chapter's nucleus asks how much probability it has
# collected. **Min-p** (Nguyen et al. 2024) asks how sure the model is of its likeliest character:
#
# $$ \text{keep } v \quad\text{if}\quad p(v) \;\ge\; \text{share} \cdot \max_u p(u) $$
#
# The probabilities are the softmax of the logits. What does the condition look like in logarithms?


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def min_p(logits, share):
    """Only characters that are at least `share` times as likely as the likeliest of their row.

    logits (B, V) float, of any size, 1000 too, and not normalised; share, a float, 0 < share ≤ 1.
    -> (B, V): the logits as they came where p(v) ≥ share · max p, −inf elsewhere. Each row has its own maximum. The
    likeliest character always stays (and so do its equals, when share = 1). The argument itself is not changed.
    Example: probabilities (0.5, 0.3, 0.15, 0.05) and share 0.25: what is below 0.125 goes, so the first three stay.
    """
    ### BEGIN SOLUTION
    largest = logits.max(dim=1, keepdim=True).values  # (B, 1)
    return logits.masked_fill(logits < largest + math.log(share), float("-inf"))
    ### END SOLUTION


# %% [markdown]
# The example first; then a row where the model is sure, and one where it has no idea.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

four = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
cut = min_p(four, 0.25)
assert_shape(cut, (1, 4), name="min_p of logits (1, 4)")
kept = "which of {} stay, share {} (1: stays, 0: has become −inf)"
name = kept.format("0.5, 0.3, 0.15, 0.05", 0.25)
assert_close(cut > float("-inf"), torch.tensor([[1, 1, 1, 0]]), name=name)
name = "the logits that stay (as they came, not as probabilities)"
assert_close(cut[:, :3], four[:, :3], name=name)
two = torch.tensor([[0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]]).log()
wanted = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1]])
name = kept.format("a sure row and an unsure row", 0.1)
assert_close(min_p(two, 0.1) > float("-inf"), wanted, name=name)

# %% [markdown]
# Graded later, worth 2 points: larger batches, logits that are not logarithms of probabilities, and large ones.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
noise = torch.Generator().manual_seed(4)
wild = 3 * torch.randn(30, 12, generator=noise) + 20 * torch.randn(
    30, 1, generator=noise
)
untouched = wild.clone()
for share in (0.02, 0.1, 0.6, 1.0):
    stays = torch.zeros(30, 12)
    for i, row in enumerate(untouched.double().softmax(1).tolist()):
        stays[i] = torch.tensor([float(p >= share * max(row)) for p in row])
    got = min_p(wild, share)
    assert_close(
        got > float("-inf"),
        stays,
        name=f"which stay, share {share}, every row with a maximum of its own",
    )
    assert_close(
        torch.equal(wild, untouched),
        True,
        name="is the argument as it was? (1: yes, 0: changed in place)",
    )
    assert_close(
        got[stays > 0],
        untouched[stays > 0],
        name="the logits that stay, exactly as they came",
    )
huge = torch.tensor([[1000.0, 999.0, 990.0], [-1000.0, -1001.0, -1010.0]])
stays = torch.tensor([[1, 1, 0], [1, 1, 0]])
assert_close(
    min_p(huge, 0.1) > float("-inf"),
    stays,
    name="which of 1000, 999, 990 (and of −1000, …) stay, share 0.1",
)
equals = torch.tensor([[2.0, 2.0, 1.9]])
assert_close(
    min_p(equals, 1.0) > float("-inf"),
    torch.tensor([[1, 1, 0]]),
    name="two equals at the top, share 1",
)
### END HIDDEN TESTS

# %% [markdown]
# Does it keep a hot sampler sane? At each step the library's `write` asks you what to choose: cut, heat, draw. (The cut
# comes first. It decides at temperature 1 what *may* be said, and the heat then decides how evenly it is drawn.) We count
# valid couplets, and different valid couplets.


# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def couplets(keep, n=1000, temperature=1.5):
    """n couplets, each character drawn hot from what `keep` leaves."""

    def choose(logits, t):
        return draw(keep(logits), generator=generator, temperature=temperature)

    return vocabulary.decode(write(model, n, grammar.length, choose=choose))


cuts = {
    "no cut": lambda logits: logits,
    "top-10": lambda logits: keep_top_k(logits, 10),
    "top-4": lambda logits: keep_top_k(logits, 4),
    "top-2": lambda logits: keep_top_k(logits, 2),
    "nucleus, 0.95": lambda logits: keep_top_p(logits, 0.95),
    "min-p, 0.1": lambda logits: min_p(logits, 0.1),
}
good = {}
for cut, keep in cuts.items():
    good[cut] = [text for text in couplets(keep) if grammar.is_valid(text)]
    print(f"{cut:14s} valid {len(good[cut]) / 1000:6.1%}", end=" ")
    print(f"  different valid couplets: {len(set(good[cut]))}")
adaptive, fixed = (
    ("nucleus, 0.95", "min-p, 0.1"),
    ("no cut", "top-10", "top-4", "top-2"),
)
for cut in adaptive:
    assert len(good[cut]) > max(len(good[k]) for k in fixed), "more valid than any k"
    most = max(len(set(good[k])) for k in fixed)
    assert len(set(good[cut])) > most + 100, "and more varied"

# %% [markdown]
# No $k$ is right everywhere: top-10 still lets nonsense through, and top-2 says the same things over and over. The two
# cuts that adapt are valid *and* varied, and here the nucleus is as good as min-p. To see what they adapt to, look at how
# many characters each of them leaves, and how many the grammar allows.

# %% nbgrader={"grade": false, "grade_id": "exercise4_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
with torch.no_grad():
    logits = model(x_test[:200]).flatten(0, 1)  # after true beginnings
rows = []
for cut in adaptive:
    left = cuts[cut](logits).isfinite().sum(1).view(200, 10).float().mean(0).tolist()
    rows.append([cut, *(f"{n:.1f}" for n in left)])
texts, allowed = vocabulary.decode(x_test[:200]), []
for t in range(10):
    allowed.append(sum(len(grammar.next_character(text[:t])) for text in texts) / 200)
assert all(abs(n - m) < 2 for n, m in zip(left, allowed, strict=True)), (
    "min-p finds them"
)
rows.append(["the grammar", *(f"{n:.1f}" for n in allowed)])
show_table(["characters left at place", *map(str, range(1, 11))], rows)

# %% [markdown]
# Both find by themselves what top-$k$ has no single $k$ for. In this language there is a clear gap between what is rare
# and what is wrong. Real language has no such gap, and there a cut also forbids rare truths. Copy the cell, try shares
# from 0.001 to 0.9, and count the true characters of `x_test` that each share forbids.

# %% [markdown]
# ## 5 A hole in the middle
#
# A character is smudged. The model writes from left to right, so its $p(x_t \mid x_{<t})$ has not read what comes
# *after* the hole. But it can give the probability of any whole sentence, and that is enough. Put each character into the
# hole in turn, compute $\log p$ of all $V$ sentences, and apply Bayes' rule:
#
# $$ p(x_t = v \mid \text{all the rest}) = \frac{p(x \text{ with } v \text{ at } t)}{\sum_u p(x \text{ with } u \text{ at } t)} $$
#
# What you get are logarithms, and on a computer $e^{-1000}$ is 0. Which function turns a row of logarithms into shares
# that sum to 1, safely?


# %% nbgrader={"grade": false, "grade_id": "exercise5_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fill_the_gap(log_prob, x, position, levels):
    """p(the character at `position` = v | all the others), for every v.

    log_prob: sentences (N, T) long -> (N,) nats, any N, may be −1000 and lower; x (B, T) long, characters 0 to V − 1;
    position, an int, 0 ≤ position < T, the same hole in all sentences; V = `levels`.
    -> (B, V) float: row i says for v = 0 … V − 1 how likely v is in the hole of sentence i; each row sums to 1. What
    stands in x at `position` has no influence, and x itself is not changed.
    Example: V = 2 and the sentence (0, ?, 1), where log_prob says log 0.1 for (0, 0, 1) and log 0.3 for (0, 1, 1):
    the row is (0.25, 0.75).
    """
    ### BEGIN SOLUTION
    # (B · V, T): V copies of the first sentence, then of the second …
    candidates = x.repeat_interleave(levels, dim=0)
    candidates[:, position] = torch.arange(levels).repeat(len(x))
    return log_prob(candidates).view(len(x), levels).softmax(dim=1)
    ### END SOLUTION


# %% [markdown]
# The check uses a language with eight sentences, 0 0 0 to 1 1 1, whose probabilities stand in a table, so each hole can be
# checked by hand.

# %% nbgrader={"grade": true, "grade_id": "exercise5_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

# [first, second, third]
table = torch.tensor([[[0.08, 0.1], [0.02, 0.3]], [[0.06, 0.05], [0.24, 0.15]]])


def price(x):
    """x (N, 3) -> (N,) nats, from the table."""
    return table[x[:, 0], x[:, 1], x[:, 2]].log()


holed = torch.tensor([[0, 0, 1], [1, 0, 0]])
as_it_was = holed.clone()
filled = fill_the_gap(price, holed, 1, levels=2)
name = "x itself, afterwards (write the candidates into a copy)"
assert_close(holed, as_it_was, name=name)
assert_shape(filled, (2, 2), name="fill_the_gap of 2 sentences with 2 characters")
name = "each sentence's probabilities, summed over the characters"
assert_close(filled.sum(1), torch.ones(2), name=name)
wanted = torch.tensor([[0.25, 0.75], [0.2, 0.8]])
assert_close(filled, wanted, name="0 ? 1 (0.1 against 0.3), 1 ? 0 (0.06 against 0.24)")
filled = fill_the_gap(price, holed, 0, levels=2)
wanted = torch.tensor([[2 / 3, 1 / 3], [4 / 7, 3 / 7]])
assert_close(filled, wanted, name="? 0 1 (0.1, 0.05) and ? 0 0 (0.08, 0.06)")

# %% [markdown]
# Graded later, worth 2 points: more sentences than characters, other holes, and sentences as unlikely as long ones are.

# %% nbgrader={"grade": true, "grade_id": "exercise5_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
joint = torch.rand(
    3, 3, 3, 3, generator=torch.Generator().manual_seed(6), dtype=torch.double
)
joint /= joint.sum()
sentences = torch.cartesian_prod(*[torch.arange(3)] * 4)[::8]  # (11, 4)
before = sentences.clone()
for hole in range(4):
    answer = fill_the_gap(lambda x: joint[tuple(x.T)].log(), sentences, hole, 3)
    assert_shape(answer, (11, 3), name="eleven sentences, three characters")
    assert_close(
        sentences, before, name="x, which must not be changed: what stood in the hole"
    )
    for i, row in enumerate(before.tolist()):
        weights = torch.tensor(
            [joint[(*row[:hole], v, *row[hole + 1 :])].item() for v in range(3)]
        )
        assert_close(
            answer[i],
            weights / weights.sum(),
            name=f"sentence {row}, the hole at {hole}",
        )
    elsewhere = before.clone()
    elsewhere[:, hole] = 2 - elsewhere[:, hole]
    again = fill_the_gap(lambda x: joint[tuple(x.T)].log(), elsewhere, hole, 3)
    assert_close(
        again,
        answer,
        name="another character in the hole beforehand, which must have no influence",
    )
unlikely = fill_the_gap(lambda x: joint[tuple(x.T)].log() - 5000, before, 2, 3)
weights = torch.stack([joint[row[0], row[1], :, row[3]] for row in before])
assert_close(
    unlikely,
    weights / weights.sum(1, keepdim=True),
    name="sentences with log-probabilities near −5000",
)
### END HIDDEN TESTS

# %% [markdown]
# Smudge the first character of a couplet. Nothing comes before it, so `logits[:, 0]` only knows how poems begin. The
# second character is a moon (月). The grammar has two words that end in it, a bright moon (明月) and a waning moon (残月),
# and the bright one is three times as frequent.


# %% nbgrader={"grade": false, "grade_id": "exercise5_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def exact_log_prob(x):
    """x (N, T) -> (N,) nats: what the grammar says, instead of a model."""
    return torch.tensor([grammar.log_prob(text) for text in vocabulary.decode(x)])


moon = vocabulary.encode("月").item()
poem = x_test[x_test[:, 1] == moon][:1]  # (1, 10)
with torch.no_grad():
    before = model(poem)[0, 0].softmax(0)
    after = fill_the_gap(model.log_prob, poem, 0, V)[0]
exact = fill_the_gap(exact_log_prob, poem, 0, V)[0]  # the same function of yours
bright = vocabulary.encode("明").item()
assert abs(exact[bright] - 0.75) < 1e-4, "three times as frequent"
gained = exact[bright] - before[bright]
assert abs(after[bright] - exact[bright]) < 0.25 < gained, "the rest of the poem tells"
rows = []
for v in after.argsort(descending=True)[:4].tolist():
    text = vocabulary.characters[v] + vocabulary.decode(poem[0, 1:])
    words = grammar.gloss(text)[:3] if grammar.is_valid(text) else []
    meaning = " · ".join(meaning for _, meaning in words) or "(no poem)"
    rows.append([text[:5], meaning, *(f"{p[v]:.1%}" for p in (before, after, exact))])
knows = ["reading what stands before", "reading all the rest", "exactly"]
show_table(["first line", "in English", *knows], rows)

# %% [markdown]
# The model never learned to look back, and yet its answer is close to the exact one. Now every position, over ten
# poems: what the true character costs if only what comes before is read, and what it costs if all the rest is read.

# %% nbgrader={"grade": false, "grade_id": "exercise5_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
ten = x_test[:10]
with torch.no_grad():
    log_p = model(ten).log_softmax(2)  # (10, 10, V)
    ahead = -log_p.gather(2, ten[..., None])[..., 0].mean(0)  # (10,)
    gaps = [fill_the_gap(model.log_prob, ten, t, V) for t in range(10)]
rest = -torch.stack(gaps, 1).gather(2, ten[..., None])[..., 0].log().mean(0)  # (10,)
fig, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
ax.bar(torch.arange(10) - 0.2, ahead, width=0.4, label="reading what stands before")
ax.bar(torch.arange(10) + 0.2, rest, width=0.4, label="reading all the rest")
ax.set(xlabel="position of the hole", ylabel="nats", xticks=range(10))
ax.set_title("The price of the missing character")
ax.legend()
print(f"on average: {ahead.mean():.2f} nats reading what stands before,", end=" ")
print(f"{rest.mean():.2f} reading all the rest")
assert rest.mean() < 0.7 * ahead.mean(), "what comes after says much about a hole"
assert (rest[9] - ahead[9]).abs() < 1e-4, "after the last, nothing comes: one question"

# %% [markdown]
# Where is the gain largest, and where is there none? (Position 0 begins a word, and 9 ends the poem.) The catch is the
# cost: $V$ sentences for one hole, and $V^2$ for two.

# %% [markdown]
# ## What you saw
#
# - A longer memory is worth more the more data there is to fill it, if its strength is chosen with care.
# - A recurrent cell is a few lines. Its gates decide what is kept.
# - Training and writing are the same walk. They differ in what is read next, and that decides what a mistake does.
# - How many characters may come next changes from place to place, and the model knows it. A good cut asks the model.
# - An exact $\log p(x)$ answers questions that nobody trained for, such as what stood in the hole. You will meet models
#   that have no $\log p(x)$, and they cannot do this.
