# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 3: what else can a forward model say?
#
# **You will beat the count table with a second letter (and see when it loses), keep a hot sampler sane, let a model sit
# a multiple-choice exam, and make a model that only writes forwards fill a hole in the middle.**
#
# *Laptop: 15 seconds. You need: chapter 3, and no Chinese. Four exercises, 3 points each.*
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

from course_lib.data.poems import PoemGrammar
from course_lib.data.text import Vocabulary
from course_lib.decode import draw, keep_top_k, write
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.show.typeset import show_gloss, show_table, show_texts, side_by_side
from course_lib.train import fit

generator = make_generator(0)
grammar = PoemGrammar(lines=2)  # couplets: two lines of five characters
poems = grammar.sample(6000, generator=generator)
vocabulary = Vocabulary(poems)
V = len(vocabulary)
x, x_test = vocabulary.encode_all(poems).split([5000, 1000])  # (5000, 10), (1000, 10)
# nats per character: on average, no model pays less
floor = grammar.entropy() / grammar.length


def english(text):
    """The two lines of a couplet, word by word."""
    meanings = [meaning for _, meaning in grammar.gloss(text)]
    return " · ".join(meanings[:3]), " · ".join(meanings[3:])  # three words a line


words = grammar.gloss(poems[0])
print(f"{V} characters; {floor:.3f} nats per character is the floor", end=" ")
print(f"({V} equal ones: {math.log(V):.3f})")
show_gloss([words[:3], words[3:]])

# %% [markdown]
# The words are laid out as in the chapter, with their meanings below them: two or one characters a word, three words a
# line. One model for the whole assignment:

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
model = CharRNN(CharRNNConfig(V, features=64), generator=generator)
knobs = dict(steps=800, batch_size=64, lr=1e-2, schedule="cosine", generator=generator)
history = fit(model, x, loss=lambda model, x: -model.log_prob(x), **knobs)
model.cpu()  # fit trains on the fastest device; the rest is small
with torch.no_grad():
    nats_lstm = -model.log_prob(x_test).mean().item() / grammar.length
print(f"held-out couplets: {nats_lstm:.3f} nats per character,", end=" ")
print(f"{nats_lstm / floor - 1:.1%} above the floor")

# %% [markdown]
# ## 1 What is a second letter worth?
#
# The chapter's count table looks back at one character $b$. Look back at two, $a$ and then $b$, and you know more. But
# you have also seen each pair $a\,b$ less often than $b$ alone, most pairs never, and a zero count means a price of
# $\infty$. The way out: *before* counting, imagine $s$ characters that are distributed as the shorter memory says (for
# the bigram: all $V$ alike).
#
# $$ p_2(c \mid b) = \frac{n(b, c) + s / V}{n(b) + s}, \qquad
#    p_3(c \mid a, b) = \frac{n(a, b, c) + s\, p_2(c \mid b)}{n(a, b) + s} $$
#
# Here $n(a, b, c)$ counts how often $c$ follows $a\,b$, and $n(b, c)$ how often it follows $b$, whatever stands before;
# $n(b) = \sum_c n(b, c)$ counts how often *anything* follows $b$, and $n(a, b) = \sum_c n(a, b, c)$ likewise. A pair never
# seen falls back on $p_2$ all by itself; one often seen speaks for itself. (MacKay and Peto 1995, simplified.)
#
# `x.new_full((B, 2), V)` makes two columns of start tokens, and `counts.index_put_((a, b, c), ones, accumulate=True)`
# adds one at each place $(a, b, c)$, as often as it comes.


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
# One sentence in an alphabet of two, 0 1 0 1 1, with $s = 1$. What follows 0: twice a 1. What follows 1: once a 0, once a
# 1, and the last 1 is followed by nothing.

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
# What is it worth? Count in few poems and in many, and price poems that were not counted.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
past = torch.cat([x_test.new_full((len(x_test), 2), V), x_test], dim=1)
nats = {}
for n in (100, 1000, 5000):
    log_p2, log_p3 = trigram_log_prob(x[:n], V, strength=0.1)
    bigram = -log_p2[past[:, 1:-1], x_test].mean().item()
    trigram = -log_p3[past[:, :-2], past[:, 1:-1], x_test].mean().item()
    nats[n] = bigram, trigram
    print(f"{n:4} poems counted: bigram {bigram:.3f}, trigram {trigram:.3f}", end=" ")
    print("nats per character")
print(f"for comparison, from 5000: LSTM {nats_lstm:.3f}, floor {floor:.3f}")
assert nats[100][0] < nats[100][1], "few poems: it is too sure of what it saw by chance"
assert nats[5000][1] < nats[5000][0] - 0.2, "many poems: a second letter is worth a lot"
assert floor < nats_lstm < nats[5000][1], "the LSTM looks back farther than two letters"
del log_p2, log_p3

# %% [markdown]
# A longer memory is worth what you can fill it with: with a hundred poems it *costs*. Copy the cell and try strengths
# 0.01 to 10: which is best for 100 poems, and which for 5000? The table has $V^3$ numbers already. A third letter would
# make it $V^4$, and that is why nobody counts that far, and a network with a state of 64 numbers wins.

# %% [markdown]
# ## 2 A cut that knows how sure the model is
#
# A hot sampler (temperature 1.5) is lively, and soon writes nonsense: each nonsense character gets little probability,
# but there are many of them. The chapter's top-$k$ cuts the same number everywhere, and so cuts too much where many
# characters are right and too little where one is. **Min-p** (Nguyen et al. 2024) asks the likeliest character how sure
# it is:
#
# $$ \text{keep } v \quad\text{if}\quad p(v) \;\ge\; \text{share} \cdot \max_u p(u) $$
#
# The probabilities are the softmax of the logits. What does the condition look like in logarithms?


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
# The example first; then a model that is sure beside one that has no idea.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
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
# Graded later, worth 2 points: larger batches, logits that are no logarithms of probabilities, and large ones.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
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
# Does it keep a hot sampler sane? The loop is the library's `write`, which asks you at each step what to choose: cut,
# heat, draw. (The cut comes first: what *may* be said is decided at temperature 1, how evenly it is drawn at 1.5.)

# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}


def couplets(n, keep, temperature=1.5):
    """n couplets, and how many characters `keep` left to choose from at each position, on average."""
    left = []

    def choose(logits, t):
        logits = keep(logits)
        left.append(logits.isfinite().sum(1).float().mean().item())
        return draw(logits, generator=generator, temperature=temperature)

    return vocabulary.decode(write(model, n, grammar.length, choose=choose)), left


cuts = {
    "no cut": lambda logits: logits,
    "top-10": lambda logits: keep_top_k(logits, 10),
    "top-4": lambda logits: keep_top_k(logits, 4),
    "min-p, 0.1": lambda logits: min_p(logits, 0.1),
}
written = {cut: couplets(1000, keep) for cut, keep in cuts.items()}
good = {}
for cut, (texts, _) in written.items():
    good[cut] = sum(bool(grammar.is_valid(text)) for text in texts) / 1000
different = {cut: len(set(texts)) for cut, (texts, _) in written.items()}
for cut in cuts:
    print(f"{cut:10}  valid {good[cut]:6.1%}  ", end=" ")
    print(f"different couplets of 1000: {different[cut]}")
others = good["no cut"], good["top-10"], good["top-4"]
assert good["min-p, 0.1"] > max(others), "min-p is the sanest of the four"
assert different["min-p, 0.1"] > different["top-4"], "and repeats itself less"

# %% [markdown]
# Why? Look at how many characters are left to choose from, and at how many the grammar really allows.

# %% nbgrader={"grade": false, "grade_id": "exercise2_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
prefixes = [[text[:t] for text in poems[5000:5200]] for t in range(grammar.length)]
allowed = []
for column in prefixes:
    allowed.append(sum(len(grammar.next_character(prefix)) for prefix in column) / 200)
left = written["min-p, 0.1"][1]
assert all(abs(n - m) < 2 for n, m in zip(left, allowed, strict=True)), "it finds them"
rows = [["min-p, 0.1", *(f"{n:.1f}" for n in left)]]
rows += [["grammar", *(f"{n:.1f}" for n in allowed)]]
table = show_table(["", *map(str, range(grammar.length))], rows)
pieces = {f"choices left at position 0 … {grammar.length - 1}": table}
for cut in ("no cut", "min-p, 0.1"):
    texts = written[cut][0][:5]
    wrong = [grammar.mistakes(text) for text in texts]
    pieces[f"{cut}, mistakes marked"] = show_texts(texts, wrong=wrong)
side_by_side(pieces)

# %% [markdown]
# Thirty-two, then one, then four: the cut found by itself what top-$k$ has no single $k$ for. Is it free? Which true
# characters of held-out poems would it have forbidden?

# %% nbgrader={"grade": false, "grade_id": "exercise2_price", "locked": true, "schema_version": 3, "solution": false, "task": false}
with torch.no_grad():
    cut = min_p(model(x_test).flatten(0, 1), 0.1)  # after true beginnings
left = cut.view(-1, grammar.length, V).gather(2, x_test[..., None])[..., 0]  # (B, T)
forbidden = (left == float("-inf")).float().mean(0)  # (T,)
shares = [f"{share:.1%}" for share in forbidden.tolist()]
print("true characters forbidden, by position:", *shares)
assert 0.001 < forbidden.mean() < 0.03, "a few: rare truths"

# %% [markdown]
# Nearly free: about one in a hundred, most of them at position 8, where some truths are rare. But here a clear gap lies
# between what is rare and what is wrong, and language has no such gap. Copy the cell and try shares from 0.001 to 0.9.

# %% [markdown]
# ## 3 Only the answer counts
#
# By the chain rule, what is given and what completes it have separate prices,
#
# $$ \log p(x) = \underbrace{\sum_{t < g} \log p(x_t \mid x_{<t})}_{\text{the beginning}} +
#    \underbrace{\sum_{t \ge g} \log p(x_t \mid x_{<t})}_{\log p(\text{completion} \mid \text{beginning})} $$
#
# and the second sum says how well a completion fits. `CharRNN` has shifted its input already: `logits[:, t]` has seen
# $x_{<t}$ only, and belongs to $x_t$. What picks `logits[i, t, x[i, t]]` for all `i`, `t` is `gather`.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def completion_log_prob(logits, x, given):
    """What the completions of given beginnings cost: log p(x_given, …, x_(T−1) | x_0, …, x_(given−1)).

    logits (B, T, V) float, not normalised, of any size, 1000 too: those at position t are for character t.
    x (B, T) long, characters 0 to V − 1; given, an int, 0 ≤ given < T: so many characters are given and cost nothing.
    -> (B,) nats, ≤ 0: for each sentence the sum of log p over its positions given, …, T − 1.
    Example: T = 3 and the characters of x have the probabilities 0.5, 0.8, 0.4. With given = 1 the result is
    log 0.8 + log 0.4 = log 0.32 = −1.139; with given = 0, it is log 0.16 = −1.833, the whole sentence.
    """
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(dim=2)[:, given:]  # (B, T − given, V)
    return log_p.gather(2, x[:, given:, None]).squeeze(2).sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# The example, with a second sentence beside it. Then a tiny model with an alphabet of three: after a beginning *something*
# must come, so the probabilities of all nine completions of length two sum to 1.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

said = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.6, 0.4]]).log().expand(2, 3, 2)
sentences = torch.tensor([[0, 1, 1], [1, 0, 0]])
for given, answers in ((0, (0.16, 0.06)), (1, (0.32, 0.12)), (2, (0.4, 0.6))):
    got = completion_log_prob(said, sentences, given)
    name = f"completion_log_prob of two sentences, given = {given}"
    assert_shape(got, (2,), name=name)
    name = f"log {answers[0]} and log {answers[1]}, given = {given}"
    assert_close(got, torch.tensor(answers).log(), name=name)
config = CharRNNConfig(levels=3, features=4)
tiny = CharRNN(config, generator=torch.Generator().manual_seed(0))
ends = torch.cartesian_prod(torch.arange(3), torch.arange(3))  # (9, 2)
# (9, 4): one beginning, all completions
texts = torch.cat([torch.tensor([2, 0]).expand(9, 2), ends], dim=1)
total = completion_log_prob(tiny(texts), texts, 2).exp().sum()
name = "the nine completions, summed (are the logits normalised, over V?)"
assert_close(total, 1.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: other sizes, and logits of any size.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(5)
guess = 4 * torch.randn(6, 7, 5, generator=chance)
truth = torch.randint(5, (6, 7), generator=chance)
# (6, 7)
prices = torch.distributions.Categorical(logits=guess.double()).log_prob(truth)
for start in (0, 1, 3, 6):
    right = torch.stack([prices[:, t] for t in range(start, 7)]).sum(0)
    answer = completion_log_prob(guess, truth, start)
    assert_shape(
        answer, (6,), name=f"six sentences of seven characters, given = {start}"
    )
    assert_close(
        answer, right, name=f"against torch.distributions.Categorical, given = {start}"
    )
sure = torch.tensor([[[1000.0, 0.0], [0.0, 1000.0], [1000.0, 0.0]]])
assert_close(
    completion_log_prob(sure, torch.tensor([[1, 1, 0]]), 1),
    torch.zeros(1),
    name="sure and right, given = 1",
)
paid = completion_log_prob(sure, torch.tensor([[1, 1, 1]]), 1)
assert_close(
    paid, torch.tensor([-1000.0]), name="sure and wrong once (expensive, and finite)"
)
### END HIDDEN TESTS

# %% [markdown]
# This is how language models are examined: a question, four answers, and the model "ticks" the one with the highest
# $\log p(\text{answer} \mid \text{question})$. Here: which second line belongs to the first? The wrong ones are second
# lines of other poems.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
B, T = x_test.shape
# (B, 3)
other = torch.stack([torch.randperm(B, generator=generator) for _ in range(3)], dim=1)
# (B, 4): the poem itself first
choice = torch.cat([torch.arange(B)[:, None], other], dim=1)
answers = x_test[choice, 5:]  # (B, 4, 5)


def exam(questions):
    """The price of each answer after each of `questions` (B, 5): (B, 4) nats, and the texts (4 B, 10)."""
    four = questions[:, None].expand(B, 4, 5)  # the question, once for each answer
    texts = torch.cat([four, answers], dim=2).flatten(0, 1)
    with torch.no_grad():
        return completion_log_prob(model(texts), texts, 5).view(B, 4), texts


scores, texts = exam(x_test[:, :5])
# the wrong question on the sheet
blind, _ = exam(x_test[torch.randperm(B, generator=generator), :5])
exact = torch.tensor([grammar.log_prob(text) for text in vocabulary.decode(texts)])
exact = exact.view(B, 4)
right, right_blind, right_exact = (
    (prices.argmax(1) == 0).float().mean() for prices in (scores, blind, exact)
)
print(f"right: {right:.1%}", end=" ")
print(f"(the wrong question on the sheet: {right_blind:.1%}; luck: 25.0%)")
print(f"the grammar itself, which knows every probability: {right_exact:.1%}")
assert right > 0.75 and right_blind < 0.4, "the model reads the question"
sheet = [vocabulary.decode(x_test[i]) for i in choice[0]]
print(f"Question 1: {english(sheet[0])[0]} …")
rows = []
for text, score in zip(sheet, scores[0].tolist(), strict=True):
    rows.append([text[5:], english(text)[1], f"{score:.1f}"])
head = ["answer", "in English", "log p(answer | question), nats"]
show_table(head, rows, marks={(0, 0): "own"})

# %% [markdown]
# Marked in blue is the right one. Nobody trained the model to answer questions; whoever prices sentences can. It misses
# about one in nine, and so does the grammar: sometimes the other poem's line fits as well, and is commoner.

# %% [markdown]
# ## 4 A hole in the middle
#
# A character is smudged. The model writes from left to right, so its $p(x_t \mid x_{<t})$ has not read what comes
# *after* the hole. But it can price any whole sentence, and that is enough: put each character into the hole in turn,
# price all $V$ sentences, and by Bayes' rule
#
# $$ p(x_t = v \mid \text{all the rest}) = \frac{p(x \text{ with } v \text{ at } t)}{\sum_u p(x \text{ with } u \text{ at } t)} $$
#
# Prices are logarithms, and $e^{-1000}$ is 0 on a computer. Which function turns a row of logarithms into shares that
# sum to 1, safely?


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
# A language with eight sentences, 0 0 0 to 1 1 1, whose probabilities stand in a table. Each hole is read off by hand.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
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
# Smudge the first character of a couplet. Nothing stands before it, so `logits[:, 0]` can only say how poems begin. The
# second character is a moon (月); the grammar knows two words that end so, a bright one (明月) and a waning one (残月),
# and the bright one is three times as frequent.

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}


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
    meaning = english(text)[0] if grammar.is_valid(text) else "(no poem)"
    rows.append([text[:5], meaning, *(f"{p[v]:.1%}" for p in (before, after, exact))])
knows = ["reading what stands before", "reading all the rest", "exactly"]
show_table(["first line", "in English", *knows], rows)

# %% [markdown]
# The model never learned to look back, and its answer is close to the exact one. Now every position, over thirty poems:
# what the true character costs if you read only what stands before it, and if you read all the rest.

# %% nbgrader={"grade": false, "grade_id": "exercise4_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
thirty = x_test[:30]
with torch.no_grad():
    log_p = model(thirty).log_softmax(2)  # (30, 10, V)
    ahead = -log_p.gather(2, thirty[..., None])[..., 0].mean(0)  # (10,)
    gaps = [fill_the_gap(model.log_prob, thirty, t, V) for t in range(10)]
rest = -torch.stack(gaps, 1).gather(2, thirty[..., None])[..., 0].log().mean(0)  # (10,)
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
# Where is the gain largest, and where is there none? (Position 0 begins a word, 9 ends the poem.) The catch is the price:
# $V$ sentences for one hole. For two holes it is $V^2$.

# %% [markdown]
# ## What you saw
#
# - A memory is worth what the data can fill. Counting stops at two or three letters; a recurrent state goes on.
# - How many characters may follow changes at each position, and the model's own certainty knows it.
# - An exact $\log p(x)$ answers questions that nobody trained for: which answer fits, what stood in the hole. Models that
#   cannot say $\log p(x)$, and you will meet some, cannot do this.
