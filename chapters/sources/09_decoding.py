# %% [markdown]
# # 9 · Decoding: one wrong step, all wrong; what helps?
#
# **You will see why a writer must hear what it said, write a search that keeps several texts in view at once, and find
# out when the likeliest text is the one you want.**
#
# *Laptop: under 45 seconds. You need: [chapter 3](03_pixelrnn_sentences.ipynb), its network and its poems.*

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
# A poem comes over a bad line: three in ten of its characters were replaced by random ones. The network of chapter 3,
# which has never heard noise, is to say what was sent. Red marks what differs from the poem that was sent.

# %% tags=["drawing"]
from course_lib.show.typeset import show_texts, side_by_side

sent = "松间鸟语满谷口钟声寒扫叶逢道士闭门看青天"
received = {
    "as it arrived": "松酌鸟语满谷口星声洞寺叶旧道士观门看青在",
    "the likeliest at each step": "松间鸟语满谷口钟声清采药逢道士闭门看群峰",
    "a search of width 32": "松间鸟语满谷口钟声寒采药逢道士闭门看青天",
}


def show_restored(text):
    return show_texts([text], wrong=[[t for t in range(20) if text[t] != sent[t]]])


side_by_side({name: show_restored(text) for name, text in received.items()})

# %% [markdown]
# All three come from an earlier run: the first poem that was sent in it. The middle one and the last one use the same
# network and the same evidence. They differ in one thing: the last one did not have to decide at once.

# %% [markdown]
# ## Setup

# %%
import math

import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The writer, and its poems
#
# We take chapter 3's grammar, draw 500 poems from it, and take its network as it was after the training.

# %%
from course_lib.data import PoemGrammar, Vocabulary

language = PoemGrammar()
vocabulary = Vocabulary(language.characters)
V, T = vocabulary.levels, language.length
test = language.sample(500, generator=generator)
x_test = vocabulary.encode_all(test).to(device)

# %% [markdown]
# These poems are new to the network. Its weights come with the course, so on this page `seed` moves the poems and the
# draws, and not the network.

# %%
from course_lib.data.shipped import shipped
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

model = CharRNN(CharRNNConfig(levels=V, features=128), generator=generator).to(device)
weights = torch.load(shipped("samples/poem_writer.pt"), weights_only=True)
_ = model.load_state_dict(weights)

# %% [markdown]
# Three poems that it draws now, judged by the grammar:

# %% tags=["drawing"]
from course_lib.show.typeset import show_poems


def write(n, length=T, by=model, **how):  # drawn, one character after another
    return by.sample(n, length=length, generator=generator, progress=False, **how)


def read(x):  # numbers (B, T) -> poems
    return vocabulary.decode(x)


def show_judged(poems, **how):  # mistakes in red
    wrong = [language.mistakes(poem) for poem in poems]
    return show_poems(poems, language.lexicon, wrong=wrong, **how)


def valid_share(poems):
    return sum(not language.mistakes(poem) for poem in poems) / len(poems)


own = read(write(1000))
show_judged(own[:3], gloss=True)

# %% tags=["checking"]
drawn_valid = valid_share(own)
print(f"{drawn_valid:.1%} of 1,000 drawn poems keep every rule")
assert 0.9 < drawn_valid < 0.97

# %% [markdown]
# `write` draws each character from what the network expects, and the grammar judges the whole. The network keeps every
# rule in 93 to 95 % of the poems (here and below: over five seeds).

# %% [markdown]
# ## The disease
#
# 一步错，步步错, says the lecture: one wrong step, and all steps are wrong. Chapter 3 measured it, and here is its experiment
# again, in short. Put one wrong character at place 3 of a poem. Then let the network go on in two ways. In one it reads
# *its own inputs*: whatever it has drawn. In the other it reads *true inputs*: the poem as it should be, whatever it
# has drawn.


# %%
def slip(poem, t):  # a wrong character at t
    possible = language.next_character(poem[:t])
    wrong = [c for c in vocabulary.characters if c not in possible]
    i = torch.randint(len(wrong), (), device=device, generator=generator)
    return poem[:t] + wrong[i] + poem[t + 1 :]


# %% [markdown]
# `given` is what the network is made to read before it writes. With true inputs nothing has to wait for what was drawn,
# so all places are computed at once.

# %%
slipped = [slip(poem, 2) for poem in test]
x_slipped = vocabulary.encode_all(slipped).to(device)
own_inputs = read(write(500, given=x_slipped[:, :3]))
with torch.no_grad():
    expected = model(x_slipped).softmax(2).flatten(0, 1)
true_inputs = read(expected.multinomial(1, generator=generator).view(500, T))

# %% tags=["drawing"]
from course_lib.show.plots import show_curves


def wrong_at(poems):  # (T,): how often a place is a mistake
    wrong = torch.zeros(T)
    for poem in poems:
        wrong[language.mistakes(poem)] += 1
    return wrong / len(poems)


def off_the_truth(drawn):  # the same, for one draw at each place of a true poem
    pairs = zip(drawn, test, strict=True)
    rows = [
        [d[t] not in language.next_character(p[:t]) for t in range(T)] for d, p in pairs
    ]
    return torch.tensor(rows).float().mean(0)


after = {
    "slip, then its own inputs": wrong_at(own_inputs),
    "slip, then true inputs": off_the_truth(true_inputs),
    "no slip, its own inputs": wrong_at(own),
}
places = range(4, T + 1)
axes = {"xlabel": "place (the wrong character is at 3)", "ylim": (0, 1)}
lines = {name: (places, wrong[3:]) for name, wrong in after.items()}
show_curves(lines, ylabel="share of wrong characters", **axes)

# %% tags=["checking"]
for name, wrong in after.items():
    print(f"{name:27s}{wrong[3:].mean():4.0%} of {T - 3} characters wrong")
free, forced, calm = (wrong[3:] for wrong in after.values())
assert 0.6 < free.mean() < 0.75 and forced[2:].max() < 0.05 and calm.mean() < 0.05

# %% [markdown]
# With its own inputs, about two thirds of all that follows is wrong (66 to 70 %). With true inputs the slip is
# forgotten after one or two characters. The weights are the same and so is the slip; what differs is what it reads.
# After a slip, the network is in a state in which its training never put it, and it does not know what to do there.
# This is **exposure bias**: *in use, a model meets states that it never met in training.*
#
# The slip was ours. Its own are rare, fewer than one poem in ten, but each character is a chance to make one, so longer
# texts have more of them. What can be done? One can **choose** better, so that fewer steps are wrong, and one can
# **train** differently, so that a wrong step does less harm. This page tries the first; the [second
# page](09_practice.ipynb) tries the second.

# %% [markdown]
# ## Why choose at all?
#
# The first idea is to make no choice. The network gives a whole distribution over the next character. Why draw one from
# it, and throw the rest away? Feed the *distribution* back: instead of the vector of one character, the average of all
# vectors, each weighted by its probability.
#
# The lecture answers with an example. Asked how someone feels, a network may say 高兴想笑 (*happy, wants to laugh*) or 难过想哭
# (*sad, wants to cry*). Either is a good answer. Let these two be a whole language, each with probability one half.

# %%
sentences = ["高兴想笑", "难过想哭"]
letters = Vocabulary(sentences)
which = torch.randint(2, (1000,), generator=generator, device=device)
x_two = letters.encode_all(sentences).to(device)[which]

# %% [markdown]
# A small network learns them from a thousand examples, by teacher forcing as always.

# %%
from course_lib.train import fit


def train(loss):
    config = CharRNNConfig(levels=letters.levels, features=16)
    pupil = CharRNN(config, generator=generator).to(device)
    how = {"batch_size": 32, "lr": 2e-2, "schedule": "cosine", "progress": False}
    fit(pupil, x_two, loss=loss, steps=200, generator=generator, **how)
    return pupil


pupil = train(lambda model, x: -model.log_prob(x))

# %% [markdown]
# And this function lets a network read its own expectations instead of characters:


# %%
def unchosen(model, n, length):  # (n, length, V): logits at each place
    vector = model.embed.weight[-1].expand(n, 1, -1)  # the start token's
    state, all_logits = None, []
    for _ in range(length):
        h, state = model.lstm(vector, state)
        all_logits.append(model.head(h))
        vector = all_logits[-1].softmax(2) @ model.embed.weight[:-1]
    return torch.cat(all_logits, 1)


# %% [markdown]
# `unchosen` returns a distribution for each place, and no text. To see one, draw a character at each place:


# %%
def drawn_apart(model, length, n=1000):  # each character by itself
    with torch.no_grad():
        p = unchosen(model, 1, length)[0].softmax(1)
    return torch.stack([row.multinomial(n, True, generator=generator) for row in p], 1)


# %% [markdown]
# The first control is to feed back what was drawn, as always, or what was likeliest. The second is a network that was
# **trained** to read its own expectations. Perhaps all it takes is practice:


# %%
def on_expectations(model, x):  # (B,) nats
    logits = unchosen(model, *x.shape).transpose(1, 2)
    return F.cross_entropy(logits, x, reduction="none").sum(1)


practised = train(on_expectations)

# %% [markdown]
# Let each write a thousand texts.

# %%
fed_back = {"drawn": write(1000, 4, by=pupil)}
fed_back["the likeliest"] = write(1000, 4, by=pupil, temperature=0)
fed_back["expectation"] = drawn_apart(pupil, 4)
fed_back["expectation, trained for it"] = drawn_apart(practised, 4)

# %% tags=["checking"]
from course_lib.show.typeset import show_table

rows, broken = [], {}
for name, x in fed_back.items():
    bad = [text for text in letters.decode(x) if text not in sentences]
    broken[name] = len(bad) / len(x)
    rows.append([name, f"{broken[name]:.0%}", *bad[:1], *[""][len(bad) :]])
poems = read(drawn_apart(model, T))
red = sum(len(language.mistakes(poem)) for poem in poems) / len(poems)
rows.append(["poems: drawn", f"{1 - drawn_valid:.0%}", ""])
rows.append(["poems: expectation", f"{1 - valid_share(poems):.0%}", ""])
print(f"a poem of expectations has {red:.1f} mistakes")
drawn, likeliest, mixed, trained = broken.values()
assert drawn < 0.03 and likeliest == 0 and mixed > 0.3 and abs(trained - 0.75) < 0.05
assert valid_share(poems) < 0.01
show_table(["what is fed back", "wrong", "such as"], rows)

# %% [markdown]
# Drawing and greedy decoding write sentences: a wrong one is rare, or never occurs. Expectations do not. Of their texts
# 68 to 81 % are neither of the two sentences: the network cannot be happy and sad at once, and says one half of each.
# Practice does not help: 75 or 76 %. And of the poems, not one in a thousand is right; there are nearly seven mistakes
# in each.
#
# That practice does not help takes two lines to show. The inputs of `unchosen` are computed from the start token alone,
# so they are the same whatever the sentence is. Its output at place $t$ is therefore one fixed distribution $q_t$, and
# the loss
#
# $$ \mathbb E_{x}\Bigl[-\sum_t \log q_t(x_t)\Bigr] = \sum_t \mathbb E_{x_t}\bigl[-\log q_t(x_t)\bigr] $$
#
# is smallest if every $q_t$ is the share of each character at place $t$. The best it can do is a **product of
# marginals**. Places 1, 2 and 4 each toss a coin of their own where there should be one coin for all three, and 6 of
# the 8 results are wrong: 75 %. Nothing tells the network which sentence it is in. So drawing does not throw
# information away. The draw *is* the information: **the state must hear what was said.**

# %% [markdown]
# ## A tree where the first step misleads
#
# So one must choose. The simplest way to make no unlucky choice is greedy decoding: take the likeliest character each
# time. But a text is good or bad as a whole. Its probability is the product of its steps', and its log-probability
# their sum:
#
# $$ \log p(x) = \sum_{t} \log p(x_t \mid x_{<t}) $$
#
# Here is a language of two letters and three places, small enough to see all of it. `p_A` says how likely the next
# letter is to be an A:

# %%
from course_lib.decode import State

p_A = {"": 0.6, "A": 0.55, "B": 0.1, "AA": 0.6, "AB": 0.6, "BA": 0.5, "BB": 0.1}


class Tree:  # it writes step by step, as all our models do
    def begin(self, n):
        return State([torch.zeros(n, 0, dtype=torch.long)])

    def step(self, previous, state):
        (letters,) = state
        if previous is not None:
            letters = torch.cat([letters, previous[:, None]], 1)
        texts = ["".join("AB"[c] for c in row) for row in letters.tolist()]
        a = torch.tensor([p_A[text] for text in texts])
        return torch.stack([a, 1 - a], 1).log(), State([letters])


# %% tags=["drawing"]
from course_lib.show.trees import Node, show_tree

chance = {"": 1.0}
columns, paths = [], {"greedy": "AAA", "best": "BBB"}
for n in range(3):
    texts = [text for text in chance if len(text) == n]
    for text in texts:
        chance[text + "A"] = chance[text] * p_A[text]
        chance[text + "B"] = chance[text] * (1 - p_A[text])
    grown = sorted(text for text in chance if len(text) == n + 1)
    kinds = {path[: n + 1]: kind for kind, path in paths.items()}
    columns.append(
        [
            Node(i // 2, t[-1], f"{chance[t]:.2f}", kinds.get(t, "lost"))
            for i, t in enumerate(grown)
        ]
    )
show_tree(columns, spread=True)

# %% [markdown]
# Each number is the probability of the text up to there. A is the better first step, 0.6 against 0.4, and greedy
# decoding takes it (red). But after A nothing is sure, and after B all is: BBB has the probability 0.4 · 0.9 · 0.9 =
# 0.32, and greedy's AAA 0.6 · 0.55 · 0.6 = 0.20. When the first step is taken, nothing says so yet. What helps is to
# keep B in mind a little longer.

# %% [markdown]
# ## Beam search
#
# Keep several beginnings instead of one. At each step let every one of them grow by every character, rank all of these
# by their log-probability so far, and keep the best few. They are the **beam**, and how many there are is its
# **width**. A state can be copied and reordered (`state[parent]`), and that is all it takes ([Graves,
# 2012](references.md#graves2012)):
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x_{<t}$, one for each beginning | `texts` | (W, t) |
# | $\log p(x_{<t})$ | `log_prob` | (W,), nats |
# | $\log p(x_{<t}) + \log p(\cdot \mid x_{<t})$ | `grown` | (W, V), nats |


# %%
@torch.no_grad()
def search(model, length, width, given=None, hints=None, watch=None):
    logits, state = model.step(None, model.begin(1))
    texts = torch.zeros(1, 0, dtype=torch.long, device=logits.device)  # W = 1
    log_prob = torch.zeros(1, device=logits.device)
    for c in () if given is None else given:  # it reads how the text begins
        texts = torch.cat([texts, c.view(1, 1)], 1)
        logits, state = model.step(c[None], state)
    for t in range(texts.shape[1], length):
        grown = log_prob[:, None] + logits.log_softmax(1)  # (W, V)
        if hints is not None:
            grown = grown + hints[t]
        ranked = grown.flatten().argsort(descending=True, stable=True)
        if watch:
            watch(texts, grown, ranked)
        kept = ranked[:width]
        parent, character = kept // logits.shape[1], kept % logits.shape[1]
        log_prob = grown.flatten()[kept]
        texts = torch.cat([texts[parent], character[:, None]], 1)
        if t < length - 1:
            logits, state = model.step(character, state[parent])
    return texts, log_prob


# %% [markdown]
# (`hints` will be needed below, and `watch` looks on.) On the tree, a width of 1 is greedy, and a width of 2 is enough:

# %% tags=["nbval-check-output"]
for width in (1, 2, 4):
    texts, log_prob = search(Tree(), 3, width)
    words = ["".join("AB"[c] for c in row) for row in texts.tolist()]
    print(width, *(f"{w} {p:.2f}" for w, p in zip(words, log_prob.exp(), strict=True)))

# %% tags=["checking"]
from course_lib.beam import beam_search
from course_lib.check import assert_close

for width, begun in ((1, 5), (3, 10), (8, 5)):
    texts, log_prob = search(model, T, width, given=x_test[0, :begun])
    library = beam_search(model, T, beam_width=width, given=x_test[0, :begun])
    assert torch.equal(texts, library.texts)
    assert_close(log_prob, library.log_prob.float(), name="log-probability")
first_step = read(beam_search(model, T, beam_width=1, given=x_test[:, :5]).texts[:, 0])
assert first_step == read(write(500, given=x_test[:, :5], temperature=0)), "greedy"

# %% [markdown]
# The library's `beam_search` does this for many beginnings at once. It gives the same texts and the same
# log-probabilities, and with a width of 1 what greedy decoding writes.
#
# Now watch it at work. The first couplet of a poem is given, and the search writes the second one, ten characters. (We
# chose the couplet. With the couplets of the test poems, greedy decoding misses the likeliest ending in about one case
# of four.)

# %% tags=["drawing"]
from course_lib.show.explore import explore

begun = vocabulary.encode("夜半花影静楼头笛声凉").to(device)


def grow(width, step):
    history = []
    length = 10 + step
    texts, _ = search(model, length, width, begun, watch=lambda *at: history.append(at))
    columns = []
    for n, (before, grown, ranked) in enumerate(history):
        column = []
        for place, i in enumerate(ranked[: width + 2].tolist()):
            text = torch.cat([before[i // V], torch.tensor([i % V], device=device)])
            alive = (texts[:, : 11 + n] == text).all(1)
            kind = "best" if alive[0] else "kept" if alive.any() else "lost"
            kind = kind if place < width else "dropped"
            note = f"{grown.flatten()[i]:.1f}".replace("-", "−")
            column.append(Node(i // V, vocabulary.characters[i % V], note, kind))
        columns.append(column)
    return show_tree(columns, rows=6 + 2, steps=10)


steps = {"width": (1, 2, 3, 4, 6), "step": range(1, 11)}
explore(grow, **steps, start={"width": 3, "step": 10}, alt="the beams of a search")

# %% tags=["checking"]
ends = [search(model, T, w, begun) for w in (1, 2, 8)]
greedy, two, eight = (log_prob[0].item() for _, log_prob in ends)
ranks = [search(model, 10 + n, 8, begun)[0][:, 10] for n in range(1, 11)]
ahead = [vocabulary.characters[first[0]] for first in ranks]
print(f"width 1: {greedy:.1f} nats, 2: {two:.1f}, 8: {eight:.1f}; ahead:", *ahead)
couplets = x_test[:, :10]
wide, narrow = (
    beam_search(model, T, beam_width=w, given=couplets).log_prob[:, 0] for w in (8, 1)
)
lost = (wide - narrow > 2e-3).float().mean()
print(f"greedy decoding misses it after {lost:.0%} of the test couplets")
assert two > greedy + 0.1 and abs(eight - two) < 1e-3 and 0.15 < lost < 0.3

# %% [markdown]
# A circle is a character, and the number beside it the log-probability of the text up to there. Kept beginnings are
# blue, the best of them bold. Grey ones were kept and later lost their place. Dashed red ones were dropped at once (the
# two best of them are shown).
#
# At width 1 the search takes 千 (*a thousand*), because 举 (*raising*) is a tenth of a nat behind, and ends at −5.0 nats.
# From width 2 on, 举 stays in view. It is behind for seven characters, and at the end it is ahead, with −4.8. Go through
# the steps to see where the order changes.

# %% [markdown]
# ## Measure: how near is it to the best?
#
# To judge a search one must know the best text there is. For this network it can be found, with proof. A
# log-probability only falls as a text grows. So once some text is finished, every beginning that is less likely than it
# can be thrown away: it cannot catch up. Keep *all others*, however many there are ([Stahlberg and Byrne,
# 2019](references.md#stahlberg2019)). As the finished text we take what a beam of 8 has found.


# %%
@torch.no_grad()
def exact(model, given, length, floor):  # log p of the likeliest text, if ≥ floor
    logits, state = model.step(None, model.begin(1))
    for c in given:
        logits, state = model.step(c[None], state)
    texts, log_prob, rows = given[None], torch.zeros(1, device=device), 0
    for t in range(len(given), length):
        grown = (log_prob[:, None] + logits.log_softmax(1)).flatten()
        kept = (grown >= floor - 1e-3).nonzero()[:, 0]  # 1e-3: rounding
        parent, character = kept // V, kept % V
        log_prob, rows = grown[kept], rows + len(kept)
        texts = torch.cat([texts[parent], character[:, None]], 1)
        if t < length - 1:
            logits, state = model.step(character, state[parent])
    return log_prob.max().item(), rows


# %% [markdown]
# Take 100 different first lines, let each way of writing finish the poem, and compare with the likeliest.

# %%
first_lines = list({poem[:5]: None for poem in test})[:100]
given = vocabulary.encode_all(first_lines).to(device)
beams = {w: beam_search(model, T, beam_width=w, given=given) for w in (1, 2, 4, 8, 16)}
at_least = zip(given, beams[8].log_prob[:, 0], strict=True)
optimum, rows = torch.tensor([exact(model, x, T, floor) for x, floor in at_least]).T

# %% [markdown]
# The rival at equal cost is to **draw** $n$ poems where a beam would be $n$ wide, and to keep the likeliest of them.


# %%


@torch.no_grad()
def conditional(x):  # log p(the rest | the first line)
    return (model.log_prob(x) - model.log_prob(x[:, :5])).cpu()


drawn = {}
for n in beams:
    many = given.repeat_interleave(n, 0)
    drawn[n] = conditional(write(len(many), given=many)).view(-1, n).max(1).values

# %% tags=["drawing"]
below = {"beam search": {w: optimum - b.log_prob[:, 0].cpu() for w, b in beams.items()}}
below["best of n draws"] = {n: optimum - log_prob for n, log_prob in drawn.items()}
at_width = {"xlabel": "width of the beam, or number of draws", "xscale": "log"}
lines = {how: (list(g), [x.mean() for x in g.values()]) for how, g in below.items()}
show_curves(lines, ylabel="nats below the likeliest", ylim=(-0.1, None), **at_width)

# %% tags=["checking"]
cells, found, close = [], {}, {}
for how, gaps in below.items():
    for n, gap in gaps.items():
        found[how, n] = (gap < 2e-3).float().mean().item()
        close[how, n] = (gap < 0.5).float().mean().item()
        shares = [f"{found[how, n]:.0%}", f"{close[how, n]:.0%}"]
        cells.append([f"{how}: {n}", f"{gap.mean().abs():.2f}", *shares])
print(f"the exact search keeps {rows.mean():,.0f} beginnings on its way, on average;")
print(f"a beam of 8 at most {8 * (T - 5)}")
assert found["beam search", 8] == close["beam search", 1] == 1
assert 0.2 < found["beam search", 1] < 0.45
assert 1.5 < below["best of n draws"][16].mean() < 2.1
show_table(["", "nats below", "the likeliest itself", "within 0.5 nats"], cells)

# %% [markdown]
# There are two rivals, and they say different things.
#
# **Draws** are far behind. The best of 16 is still 1.7 to 1.9 nats below the likeliest poem. A beam of 8 finds the
# likeliest poem itself, for all 100 first lines, and keeps at most 120 beginnings on its way. To be sure, the exact
# search has to keep more than 3,000. In steps of the network, a beam costs at most its width times what greedy decoding
# costs.
#
# **Greedy decoding** is close behind. It finds the likeliest poem for only 25 to 36 of the 100 lines, but what it loses
# is a tenth of a nat, and never half a nat. In this language every list of words has a clear favourite, and a favourite
# now seldom turns out badly later. So width buys very little here. We shall look for a task where it buys more.

# %% [markdown]
# The optimum above is the *network's*. The grammar has one, too: the likeliest poem of all that begin with this line.
# It follows by dynamic programming, from the end of the poem to its beginning, and `likeliest` knows it. How do the
# beam's poems look to the grammar, and how do other ways of writing?

# %%
ways = {"greedy": beams[1].texts[:, 0], "beam 8": beams[8].texts[:, 0]}
ways["drawn"] = write(100, given=given)
ways["nucleus 0.95"] = write(100, given=given, top_p=0.95)
begins = {poem[:5]: poem for poem in test}
true = vocabulary.encode_all([begins[first] for first in first_lines])
ways["the grammar's own"] = true.to(device)

# %% tags=["checking"]
most = torch.tensor([language.likeliest(first)[1] for first in first_lines])
seen, near, cells = {}, {}, []
for name, x in ways.items():
    poems, nats = read(x), f"{conditional(x).mean():.1f}".replace("-", "−")
    log_p = torch.tensor([language.log_prob(poem) for poem in poems])
    near[name] = (most - log_p <= 0.5).float().mean().item()
    seen[name] = len({poem[i : i + 5] for poem in poems for i in (5, 10, 15)})
    shares = [f"{valid_share(poems):.0%}", f"{near[name]:.0%}"]
    cells.append([name, *shares, seen[name], nats])
assert min(near["beam 8"], near["greedy"]) >= 0.95
assert valid_share(read(ways["beam 8"])) == valid_share(read(ways["greedy"])) == 1
assert seen["beam 8"] < 40 < 230 < seen["nucleus 0.95"]
heads = ["", "valid", "near the grammar's likeliest", "different lines", "log p"]
show_table(heads, cells)

# %% [markdown]
# (*Near* means within 0.5 nats. *Different lines* are counted among the 300 that follow the first lines.) What the two
# searches write is always valid, and nearly always within half a nat of the likeliest poem that the *grammar* knows.
# But what is drawn from a nucleus is valid about as often. And the searches pay for it: to 100 different first lines
# they write 26 to 40 different lines in all, where the grammar writes about 270. It is the same few answers for
# everyone.

# %% [markdown]
# ## The likeliest is not typical
#
# Let it write whole poems, with no first line given. Here is how surprising 4,000 drawn poems are, in nats, and in
# green where the beam's poem would be.

# %%
likeliest = beam_search(model, T, beam_width=8)
with torch.no_grad():
    surprise = -model.log_prob(write(4000)).cpu()  # nats
least = -likeliest.log_prob[0].item()

# %% tags=["drawing"]
from course_lib.show.plots import show_columns

columns = {str(n): (surprise.floor() == n).float().mean() for n in range(11, 31)}
green = str(int(least))
columns[green] = columns[green].clamp(min=0.004)  # to be seen
axes = {"xlabel": "−log p of a whole poem, nats (rounded down)"}
show_columns(columns, ylabel="share of 4,000 draws", coloured=[green], **axes)

# %% tags=["checking"]
print(f"the beam's poem: {least:.1f} nats, or one draw in {math.exp(least):,.0f}")
print(f"draws: {surprise.mean():.1f} ± {surprise.std():.1f} nats,", end=" ")
print(f"the least {surprise.min():.1f};")
print(f"the grammar's entropy: {language.entropy():.1f} nats")
assert surprise.mean() - least > 1.8 * surprise.std()
assert (surprise < least + 1).float().mean() < 0.005

# %% [markdown]
# (The green column shows a place, and not a height.) The likeliest poem costs 11.8 nats, so it would be drawn once in
# 134,000 times. What is drawn costs 19 ± 3 nats, near the grammar's entropy, as it should. Of 4,000 draws, hardly any
# comes within a nat of the likeliest. (That nothing is likelier, an exact search has shown once; it had to keep 110,000
# beginnings.)
#
# How can the likeliest be so rare? Toss a coin 100 times that shows heads with probability 0.6. The likeliest sequence
# is 100 heads, and nobody will ever see it. Each sequence with 60 heads is less likely, but there are so many of them
# that practically every result has about 60. It is the same with texts. A typical one belongs to a large crowd, and the
# likeliest stands alone ([Holtzman et al., 2020](references.md#holtzman2020)). **If you want a text like those you have
# read, draw it. Search only if you want the likeliest.**

# %% [markdown]
# ## Where searching pays: one answer is wanted
#
# There are tasks in which the likeliest *is* what we want. Someone said one thing, and we are to find out which. Begin
# with an easy one. The first line of a couplet is given; which second line is the likeliest? For the grammar of
# couplets, dynamic programming knows the answer.

# %%
couplets = PoemGrammar(lines=2)
answers = [couplets.likeliest(first)[1] for first in first_lines]
guesses = write(800, 10, given=given.repeat_interleave(8, 0))
best = conditional(guesses).view(100, 8).argmax(1).to(device)
guesses = guesses.view(100, 8, 10)
second = {"one draw": guesses[:, 0], "best of 8 draws": guesses[range(100), best]}
for w in (1, 8):
    found = beam_search(model, 10, beam_width=w, given=given)
    second[f"beam of {w}"] = found.texts[:, 0]

# %% tags=["checking"]
right = {}
for name, x in second.items():
    pairs = zip(read(x), answers, strict=True)
    right[name] = (
        sum(abs(couplets.log_prob(x) - best) < 1e-6 for x, best in pairs) / 100
    )
assert right["one draw"] < 0.3 < 0.6 < right["best of 8 draws"] < 0.9
assert min(right["beam of 1"], right["beam of 8"]) >= 0.97
cells = [[name, f"{share:.0%}"] for name, share in right.items()]
show_table(["", "the likeliest second line"], cells)

# %% [markdown]
# A single draw is one of many possible answers, and it is the likeliest one in 14 to 24 of 100 cases. The best of eight
# draws is in 71 to 80. A search gets nearly all of them. So here it pays to search. But again a width of 1 is enough:
# nothing that comes later could tell us that the first choice was wrong.
#
# ### Hearing a poem through noise
#
# Width should pay where one must choose before the evidence has come. A poem is sent, and each character is lost with
# probability 0.3; then a random one, of all 331, arrives in its place. The receiver wants the likeliest poem $x$, given
# what arrived, $y$. By Bayes' rule
#
# $$ \log p(x \mid y) = \sum_t \underbrace{\log p(x_t \mid x_{<t})}_{\text{the network}} + \underbrace{\log p(y_t \mid x_t)}_{\text{the line}} + \text{const.} $$
#
# Both are sums over places, so `search` can add the second to the first as it goes. That is what `hints` is for.

# %%
LOST = 0.3


def send(x):
    other = torch.randint(V, x.shape, generator=generator, device=device)
    lost = torch.rand(x.shape, generator=generator, device=device) < LOST
    return torch.where(lost, other, x)


# %% [markdown]
# A random character may happen to be the right one, so what was sent arrives with a probability a little above 0.7. The
# receiver knows this much about the line:


# %%
def line_says(y):  # (T, V): log p(y_t | x_t) for every x_t
    p = torch.full((len(y), V), LOST / V, device=device)
    p[torch.arange(len(y)), y] += 1 - LOST
    return p.log()


# %% [markdown]
# Forty poems are sent, and each is searched for with six widths.

# %%
n = 40
sent, arrived = x_test[:n], send(x_test[:n])
hints = [line_says(y) for y in arrived]
guessed = {"as it arrived": arrived}
for w in (1, 2, 4, 8, 16, 32):
    guessed[w] = torch.cat([search(model, T, w, hints=h)[0][:1] for h in hints])


# %% [markdown]
# The rival at equal cost again draws. At each place it draws from what network and line say together, and of `n` poems
# it keeps the one whose sum is highest.


# %%
from course_lib import decode


def total(x, h):  # (B,): the sum above
    with torch.no_grad():
        return model.log_prob(x) + h.gather(1, x.T).sum(0)


def best_draw(h, n):
    def choose(logits, t):
        return decode.draw(logits.log_softmax(1) + h[t], generator=generator)

    x = decode.write(model, n, T, choose=choose)
    return x[total(x, h).argmax()]


for count in (8, 32):
    guessed[f"best of {count} draws"] = torch.stack(
        [best_draw(h, count) for h in hints]
    )

# %% tags=["drawing"]
correct = {how: (x == sent).float().mean().item() for how, x in guessed.items()}
widths, counts = [w for w in guessed if isinstance(w, int)], (8, 32)
lines = {"beam search": (widths, [correct[w] for w in widths])}
lines["best of n draws"] = counts, [correct[f"best of {n} draws"] for n in counts]
floors = {"as it arrived": correct["as it arrived"]}
axes = {"floors": floors, "ylim": (0.5, 1), **at_width}
show_curves(lines, ylabel="share of characters that are right", **axes)

# %% tags=["checking"]
cells, missed = [], {}
for name, x in guessed.items():
    both = [
        total(torch.stack(pair), h) for *pair, h in zip(x, sent, hints, strict=True)
    ]
    missed[name] = sum((found < true - 1e-3).item() for found, true in both) / n
    label = f"beam of {name}" if isinstance(name, int) else name
    whole = (x == sent).all(1).float().mean()
    shares = correct[name], whole, missed[name]
    cells.append([label, *(f"{share:.0%}" for share in shares)])
assert correct[1] < correct["as it arrived"]
assert correct[8] > correct[1] + 0.2 and 0.91 < correct[32] < 0.96
assert correct[8] > correct["best of 8 draws"] + 0.04
assert correct[32] > correct["best of 32 draws"] + 0.01
assert missed[1] > 0.6 and missed[32] < 0.06 and missed["best of 32 draws"] > 0.3
heads = ["", "right characters", "right poems", "the true poem scores higher"]
show_table(heads, cells)

# %% [markdown]
# Greedy decoding makes things **worse**: 69 to 72 % of the characters that arrived were right, and after its work 58 to
# 67 % are. It believes one wrong character and must stand by it: what it writes next has to fit its own mistake. One
# wrong step, and all that follows suffers. A wider beam need not believe at once. A beginning with a wrong character
# soon becomes expensive, because nothing that arrives fits it any longer, and another takes its place. With a width of
# 8, 88 to 92 % are right; with 32, 92 to 94 %. Draws at the same cost stay behind: by 7 to 12 points where there are
# eight, by 3 to 9 where there are 32.
#
# The last column is a diagnosis. Where the poem that was really sent has a higher sum than what was found, the *search*
# has failed, and a better one would help. This is called a **search error**. At width 1, 7 or 8 of 10 poems are search
# errors; at width 32 hardly one of 40 is left, and with 32 draws about half are. What is still wrong there is no fault
# of the search: other poems fit what arrived better than the one that was sent.

# %% [markdown]
# ## Break it: search harder
#
# A better search must be better, if what it searches for is what we want. Give the poems different lengths, and it is
# not. We let one text in ten end after the first couplet, and all others after the second. The network has only learnt
# whole poems, so the ending is put in by hand: one more character, number `V`, whose probability is 0.1 after ten
# characters, 1 after twenty, and 0 elsewhere.


# %%
class Ending:
    def begin(self, n):
        return State([*model.begin(n), torch.zeros(n, 1, device=device)])

    def step(self, previous, state):
        *inner, place = state  # place: (n, 1), how many characters were read
        if previous is not None:
            place, previous = place + 1, previous.clamp(max=V - 1)
        logits, inner = model.step(previous, State(inner))
        stop = 0.1 * (place == 10) + 1.0 * (place == T)
        log_p = logits.log_softmax(1) + torch.log1p(-stop)
        return torch.cat([log_p, stop.log()], 1), State([*inner, place])


# %% [markdown]
# It takes a step as the network does, and so `beam_search` can be used as it is. `end` tells it which character ends a
# text: one that has ended keeps its place in the beam, and grows no more.


# %%
def ends_early(width, **how):
    how |= {"beam_width": width, "given": given[:50], "end": V}
    texts, log_prob = beam_search(Ending(), T + 1, **how)
    early = texts[:, 0, 10] == V
    return early.float().mean().item(), log_prob[:, 0].mean().item()


early = {w: ends_early(w) for w in widths}
fined = {p: ends_early(32, length_penalty=p)[0] for p in (0, 0.2, 0.4, 0.6, 0.8, 1)}

# %% tags=["drawing"]
lines = {"beam search": (widths, [share for share, _ in early.values()])}
axes = {"floors": {"of all texts": 0.1}, "ylim": (-0.03, 1.03)}
axes |= at_width | {"xlabel": "width of the beam"}
show_curves(lines, ylabel="share that ends after a couplet", **axes)

# %% tags=["checking"]
cells = [[w, f"{share:.0%}", f"{-nats:.2f}"] for w, (share, nats) in early.items()]
print("ranked with a length penalty, at width 32, this share ends early:")
print(*(f"{power}: {share:.0%}" for power, share in fined.items()), sep=", ")
assert early[4][0] < 0.05 and early[32][0] == 1
assert fined[0] > 0.9 and fined[1] < 0.05
nats = [log_prob for _, log_prob in early.values()]
assert nats == sorted(nats)
show_table(["width", "end after a couplet", "−log p, nats"], cells)

# %% [markdown]
# In truth one text in ten ends early. With a narrow beam hardly any does; with a width of 32 *every one* does. And
# nothing is wrong with the search: each step in width finds likelier texts, from 8.2 nats down to 5.4.
#
# The ending costs $-\log 0.1 = 2.3$ nats at once, more than the favourites among the words that could follow, so a
# narrow beam drops it. But afterwards it costs nothing more, and the others still have a couplet to pay for. A wide
# beam still remembers the ending when that shows. So **the harder we search, the worse the lengths become**, and what
# saved us before was only the bad search. (We chose 0.1. With 0.2, greedy decoding ends every text early; with 0.05, a
# width of 16 ends none. Each was tried once.) Machine translation met the same trouble ([Koehn and Knowles,
# 2017](references.md#koehn2017)). When its likeliest translations were found exactly, they were *empty* for more than
# half of the sentences ([Stahlberg and Byrne, 2019](references.md#stahlberg2019)).
#
# The usual remedy is to rank by $\log p / \text{length}^\alpha$ ([Wu et al., 2016](references.md#wu2016)). With $\alpha
# = 1$ this is the mean of a character. The lines above the table show what it does at width 32: up to 0.2 all texts are
# short, from 0.6 on none is. It is a switch. It can be set to one side or the other, but it does not make one text in
# ten short, because what is wrong is not the length of the likeliest text. It is that the likeliest was asked for.

# %% [markdown]
# ### And on long texts
#
# Does the likeliest text of 16 lines read well? Ask first the grammar itself, which makes no mistakes:

# %% tags=["drawing"]
long = PoemGrammar(lines=16)
perfect = long.likeliest()[0]
show_poems([perfect[:40]], long.lexicon, gloss=True)

# %% [markdown]
# These are the first 8 of its 16 lines, and the others go on like that: the favourite couplet, seven times over. No
# network wrote this, and nothing in it is wrong. Each couplet is chosen without regard to the last, so the likeliest
# poem has the likeliest couplet every time. Repetition is what *likeliest* means. Now our network, which has only
# learnt poems of 20 characters:

# %%
texts = {"the grammar's own": long.sample(50, generator=generator)}
texts["drawn"] = read(write(50, 80, given=given[:50]))
for w in (1, 8):
    found = beam_search(model, 80, beam_width=w, given=given[:50])
    texts[f"beam of {w}"] = read(found.texts[:, 0])
texts["the grammar's likeliest"] = [perfect]


# %% tags=["checking"]
def variety(poem):  # share of its 79 pairs of neighbours that are different
    return len({poem[i : i + 2] for i in range(79)}) / 79


varied = {name: sum(map(variety, poems)) / len(poems) for name, poems in texts.items()}
cells = []
for name, poems in texts.items():
    wrong = sum(len(long.mistakes(poem)) for poem in poems) / len(poems) / 80
    cells.append([name, f"{varied[name]:.0%}", f"{wrong:.0%}"])
assert (
    varied["the grammar's likeliest"]
    < 0.4
    < varied["beam of 8"]
    < varied["drawn"] - 0.1
)
show_table(["80 characters", "different neighbours", "wrong characters"], cells)

# %% [markdown]
# Whatever it does, more than six in ten characters are wrong, as in chapter 3: after place 20 it is in states that it
# has never met, and none of these ways of choosing brings it back. (The first 20 places are right, so beyond them it is
# worse.) Beams are no less lost than draws are, and they repeat themselves: of 79 pairs of neighbours, a beam of 8 has
# 59 to 62 % different ones, the grammar's own poems have 80 or 81 %, and drawn ones have more, since nonsense is
# varied.

# %% [markdown]
# ## What we saw
#
# - Exposure bias: in use, a model meets states that it never met in training, and there one wrong step leads to the
#   next.
# - A distribution fed back is neither of the things it could be. The best that a network can do with it is a product of
#   marginals. The state must hear what was said.
# - The first step of the best text need not be the likeliest first step. A beam keeps several beginnings, copies their
#   states, and costs at most its width times what greedy decoding costs.
# - A beginning's log-probability only falls, so the likeliest text can be found with proof. On our poems a beam of 8
#   finds it, and greedy decoding is within half a nat.
# - The likeliest text is not typical: it is one draw in 134,000, the same for everyone, and over long texts it repeats
#   itself, even with a perfect model.
# - Where texts may end, a better search finds shorter texts. A length penalty is a switch.
# - Search where one answer is wanted, and search wide where the evidence comes late: through noise, greedy decoding
#   made a poem worse than it had arrived, and a beam of 32 restored more than nine in ten characters.
#
# **Terms fixed here** ([glossary](glossary.md)): beam, beam search, length penalty, search error; from chapter 3,
# exposure bias and greedy decoding.
#
# No way of choosing teaches a network what to do in a state that it does not know. The [second page](09_practice.ipynb)
# changes the training: the network practises on its own writing, and is judged by the whole poem.

# %% [markdown]
# ## Your turn
#
# 1. In the slider, find the step at which the beginning that wins takes the lead. Which character decides it?
# 2. Change two numbers in `p_A` so that a width of 2 is not enough, and 3 is.
# 3. Is a wider beam ever worse? Look for a first line where a width of 2 ends lower than a width of 1. Why is this
#    possible?
# 4. Lose 0.5 or 0.7 of the characters. Which width is needed now? Is what remains wrong a search error?
# 5. In `Ending`, let half of the texts end early. What does greedy decoding do, and why?
#
# Then the graded assignment: `coursework/09_decoding`.
#
# Further reading: [Lowerre (1976)](references.md#lowerre1976) searched with beams to understand speech; [Graves
# (2012)](references.md#graves2012) does it with a recurrent network; [Stahlberg and Byrne
# (2019)](references.md#stahlberg2019) search exactly, and find out what the likeliest translation is.
