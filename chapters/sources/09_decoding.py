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
# A poem comes over a bad line, which replaces three in ten characters by random ones. The network of chapter 3, which
# has never heard noise, has to work out what was sent. Red marks what differs from the poem that was sent.

# %% tags=["drawing"]
from course_lib.data import PoemGrammar
from course_lib.show.typeset import show_poems, side_by_side

original = "雨后松子静峰头鹤影生烹茶逢道士坐久爱群峰"
received = {
    "what was sent": original,
    "as it arrived": "南后松子静峰头鹤影生烹夜逢道士坐久爱群虑",
    "greedy: the likeliest at each step": "明月照小院清风过西窗举头望明月掩卷思故乡",
    "a search of width 32": original,
}


def show_restored(text):
    wrong = [t for t in range(20) if text[t] != original[t]]
    return show_poems([text], PoemGrammar().lexicon, wrong=[wrong], gloss=True)


side_by_side({name: show_restored(text) for name, text in received.items()})

# %% [markdown]
# Only three characters were lost, but the first was one of them. At the first step, greedy decoding takes its own
# favourite, 明 (*bright*). Then it has to go on from there, and what arrives no longer fits: it writes another poem,
# about the moon. The search has the same network and the same evidence, and restores all. It differs in one thing: it
# did not have to decide at once. (We chose this poem for being clear: of 120 it is the worst case for greedy decoding.
# In 51 of them, greedy decoding left more mistakes than the line had made.)

# %% [markdown]
# ## Setup

# %%
import math

import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device

seed = 0
device = pick_device()
generator = make_generator(1000 + seed, device)  # not the network's training poems

# %% [markdown]
# ## The writer, and its poems
#
# We take chapter 3's grammar, draw 500 poems from it, and take its network as it was after the training.

# %%
from course_lib.data import Vocabulary

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
# rule in 92 to 94 % of the poems (here and below: over five seeds).

# %% [markdown]
# ## The disease
#
# 一步错，步步错, says the lecture: one wrong step, and all steps are wrong. Chapter 3 measured it, and here is its
# experiment again, in short. Put one wrong character at place 3 of a poem. Then let the network go on in two ways. In
# one it reads *its own inputs*: whatever it has drawn. In the other it reads *true inputs*: the poem as it should be,
# whatever it has drawn.


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
# With its own inputs, about two thirds of all that follows is wrong (66 to 71 %). With true inputs the slip is
# forgotten after one or two characters. The weights are the same and so is the slip; what differs is what it reads.
# After a slip, the network is in a state in which its training never put it, and it does not know what to do there.
# This is **exposure bias**: *in use, a model meets states that it never met in training.*
#
# The slip was ours. Its own slips are rare: fewer than one poem in ten has one. But every character is another chance
# to slip, so longer texts have more of them. What can be done? One can **choose** better, so that fewer steps are
# wrong, and one can **train** differently, so that a wrong step does less harm. This page tries the first, and at its
# end gives it to the patient; the [second page](09_practice.ipynb) tries the second.

# %% [markdown]
# ## Why choose at all?
#
# The first idea is to make no choice. The network gives a whole distribution over the next character. Why draw one from
# it, and throw the rest away? Feed the *distribution* back: instead of the vector of one character, the average of all
# vectors, each weighted by its probability.
#
# The lecture answers with an example. Asked how someone feels, a network may say 高兴想笑 (*happy, wants to laugh*) or
# 难过想哭 (*sad, wants to cry*). Either is a good answer. Let these two be a whole language, each with probability one
# half.

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
# The first control is to feed back what was drawn, as always, or what was likeliest (greedy). The second is a network
# that was **trained** to read its own expectations. Perhaps all it takes is practice:


# %%
def on_expectations(model, x):  # (B,) nats
    logits = unchosen(model, *x.shape).transpose(1, 2)
    return F.cross_entropy(logits, x, reduction="none").sum(1)


practised = train(on_expectations)

# %% [markdown]
# The third control averages nothing: it feeds back one draw, and shows a *second* draw from the same distribution.

# %%
from course_lib import decode


def heard_another(model, n, length):  # (n, length): what was shown
    shown = []

    def choose(logits, t):
        shown.append(decode.draw(logits, generator=generator))
        return decode.draw(logits, generator=generator)

    decode.write(model, n, length, choose=choose)
    return torch.stack(shown, 1)


# %% [markdown]
# Let each write a thousand texts.

# %%
fed_back = {"what is shown": write(1000, 4, by=pupil)}
fed_back["greedy"] = write(1000, 4, by=pupil, temperature=0)
fed_back["another draw"] = heard_another(pupil, 1000, 4)
fed_back["expectation"] = drawn_apart(pupil, 4)
fed_back["expectation, trained for it"] = drawn_apart(practised, 4)

# %% tags=["checking"]
from course_lib.show.typeset import show_table

rows, broken = [], {}
for name, x in fed_back.items():
    bad = [text for text in letters.decode(x) if text not in sentences]
    broken[name] = len(bad) / len(x)
    rows.append([name, f"{broken[name]:.0%}", *bad[:1], *[""][len(bad) :]])
whole = {"another draw": heard_another(model, 200, T)}
whole["expectation"] = drawn_apart(model, T, 200)
for how, x in whole.items():
    poems = read(x)
    red = sum(len(language.mistakes(poem)) for poem in poems) / len(poems)
    rows.append(
        [f"poems: {how}", f"{1 - valid_share(poems):.0%}", f"{red:.1f} mistakes"]
    )
    assert valid_share(poems) < 0.03 and 4.5 < red < 8
shown, greedy, another, mixed, trained = broken.values()
assert shown < 0.03 and greedy == 0 and 0.45 < another < 0.55
assert 0.45 < mixed < 0.9 and abs(trained - 0.75) < 0.05
show_table(["what is fed back", "wrong", "such as"], rows)

# %% [markdown]
# Fed back what is shown, the network writes sentences: a wrong one is rare. (Greedy decoding has none, but it writes
# one sentence 1,000 times.) Fed back expectations, it does not. Of these texts, between half and five sixths are
# neither of the two sentences, and it depends on the training which (51 to 84 % over 17 networks, in a separate run).
# The network cannot decide between happy and sad, so it mixes them. With practice it is three quarters.
#
# Most of this is not the average's fault. Feed back a *drawn* character and show another draw: half of the texts are
# wrong already, since there the state heard one thing and the reader another. It is the same with the poems. Hardly one
# in a hundred is right either way, with 5 or 6 mistakes after another draw, and nearly 7 after an expectation.
#
# Why three quarters with practice? That takes two lines to show. The inputs of `unchosen` are computed from the start
# token alone, so they are the same whatever the sentence is. Its output at place $t$ is therefore one fixed
# distribution $q_t$, and the loss
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
# decoding takes it (orange). But after A nothing is certain, and after B nearly everything is. The likeliest text is
# BBB (blue): its probability is 0.4 · 0.9 · 0.9 = 0.32, and that of greedy's AAA is 0.6 · 0.55 · 0.6 = 0.20. At the
# first step there is no sign of this. What helps is to keep B in mind a little longer.

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
# (`hints` is evidence from outside; a later section brings some. `watch` only looks on.) On the tree, a width of 1 is
# greedy, and a width of 2 is enough:

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
assert "".join(ahead) == "千千千千千千千举千举"

# %% [markdown]
# A circle is a character, and the number below it the log-probability of the text up to there, in nats. (The given
# couplet means *at midnight flower shadows are still; from the tower a flute is chill*.) Kept beginnings are
# blue, the best of them bold. Grey ones were kept and later lost their place. Dashed red ones were dropped at once (the
# two best of them are shown).
#
# At width 1 the search takes 千 (*a thousand*), because 举 (*raising*) is a tenth of a nat behind, and ends at −5.0
# nats. From width 2 on, 举 stays in view. It is behind for seven characters, then ahead, behind once more, and at the
# end it wins, with −4.8. Go through the steps to see where the order changes.

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
optimum, visited = torch.tensor([exact(model, x, T, floor) for x, floor in at_least]).T

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
lines = {
    how: (list(gaps), [(gap < 2e-3).float().mean() for gap in gaps.values()])
    for how, gaps in below.items()
}
axes = at_width | {"xticks": list(beams), "ylim": (-0.03, 1.03)}
show_curves(lines, ylabel="share that is the likeliest poem", **axes)

# %% tags=["checking"]
cells, found, close = [], {}, {}
for how, gaps in below.items():
    for n, gap in gaps.items():
        found[how, n] = (gap < 2e-3).float().mean().item()
        close[how, n] = (gap < 0.5).float().mean().item()
        shares = [f"{found[how, n]:.0%}", f"{close[how, n]:.0%}"]
        cells.append([f"{how}: {n}", f"{gap.mean().abs():.2f}", *shares])
print(f"on average the exact search keeps {visited.mean():,.0f} beginnings on its way;")
print(f"a beam of 8 at most {8 * (T - 5)}")
assert found["beam search", 8] == close["beam search", 1] == 1
assert 0.2 < found["beam search", 1] < 0.45
assert 1.5 < below["best of n draws"][16].mean() < 2.1 and visited.mean() > 3000
assert max(found["best of n draws", n] for n in beams) < 0.05
show_table(["", "nats below", "the likeliest itself", "within 0.5 nats"], cells)

# %% [markdown]
# The two rivals fail in different ways.
#
# **Draws** are far behind. The best of 16 is still 1.7 to 1.9 nats below the likeliest poem. A beam of 8 finds the
# likeliest poem itself, for all 100 first lines, and keeps at most 120 beginnings on its way. To be sure, the exact
# search has to keep more than 3,000.
#
# **Greedy decoding** is close behind. It finds the likeliest poem for only 28 to 38 of the 100 lines, but what it loses
# is a tenth of a nat on average, and never half a nat. In this language every list of words has a clear favourite, and
# a favourite now seldom turns out badly later. Make the favourites less clear, and width pays: with all logits divided
# by 3, greedy decoding ends 1.7 nats below what a beam of 64 finds, and even a beam of 8 misses it for a third of the
# lines (measured in a separate run).
#
# **What does width cost?** At each step but the first the network reads `width` beginnings, and what comes out has to
# be ranked. For 100 first lines at once, widths of 1, 2 and 8 took 0.02, 0.03 and 0.11 seconds, and 64 took 1.3
# (`python benchmarks/writers.py`). To draw 8 poems a line took 0.21 to 0.25, and greedy decoding without a beam 0.01.
# For a *single* beginning width is cheaper, since a small step wastes most of the machine: in a separate run, 8 cost
# a tenth more than 1, and 32 half as much again.

# %% [markdown]
# That was the likeliest poem for the *network*. The grammar has a likeliest poem as well, for each first line. It
# follows by dynamic programming, from the end of the poem to its beginning, and `likeliest` computes it. How do the
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
# But what is drawn from a nucleus is valid about as often. And searching has a price: to 100 different first lines the
# searches write 28 to 40 different lines in all, where the grammar writes about 270. Whatever you ask, you get one of
# the same few answers.

# %% [markdown]
# ## The likeliest is not typical
#
# Let it write whole poems, with no first line given. Here is how surprising 4,000 drawn poems are, in nats. The green
# line shows where the beam's poem would be.

# %%
likeliest = beam_search(model, T, beam_width=8)
with torch.no_grad():
    surprise = -model.log_prob(write(4000)).cpu()  # nats
least = -likeliest.log_prob[0].item()

# %% tags=["drawing"]
from course_lib.show.plots import show_columns

rounded = surprise.floor().clamp(max=30)
columns = {str(n): (rounded == n).float().mean() for n in range(11, 31)}
axes = {"xlabel": "−log p of a whole poem, nats (rounded down; 30: 30 or more)"}
figure = show_columns(columns, ylabel="share of 4,000 draws", **axes)
_ = figure.axes[0].axvline(least - 11.5, color="#228833", linewidth=3)  # columns from 0
_ = figure.axes[0].text(least - 11.2, 0.16, "the beam's poem", color="#228833")
figure

# %% tags=["checking"]
print(f"the beam's poem: {least:.1f} nats, or one draw in {math.exp(least):,.0f}")
print(f"draws: {surprise.mean():.1f} ± {surprise.std():.1f} nats,", end=" ")
print(f"the least {surprise.min():.1f};")
print(f"the grammar's entropy: {language.entropy():.1f} nats")
assert surprise.mean() - least > 1.8 * surprise.std()
assert (surprise < least + 1).float().mean() < 0.005

# %% [markdown]
# The beam's poem costs 11.8 nats, so it would be drawn once in 134,000 times. Draws cost 19 ± 3 nats, near the
# grammar's entropy, as they should. Of 4,000 draws, hardly any comes within a nat of the beam's poem.
#
# How can the likeliest be so rare? Toss a coin 100 times that shows heads with probability 0.6. The likeliest sequence
# is 100 heads, and nobody will ever see it. Each sequence with 60 heads is less likely, but there are so many of them
# that practically every result has about 60. It is the same with texts. A typical one belongs to a large crowd, and the
# likeliest stands alone ([Holtzman et al., 2020](references.md#holtzman2020)). **If you want a text like those you have
# read, draw it. Search only if you want the likeliest.**

# %% [markdown]
# ## Where searching pays: a poem through noise
#
# There are tasks in which the likeliest *is* what we want: one answer is asked for. An easy one is the second line of a
# couplet, given the first. For 100 first lines, greedy decoding finds the grammar's likeliest second line 99 or 100
# times, and a beam of 8 as often; a single draw does so 14 to 24 times, and the best of 8 draws 71 to 80 (separate
# runs, five seeds). So searching pays there, and width does not. Width should pay if the evidence comes late, because
# greedy decoding has to choose before it has come.
#
# A poem is sent, and each character is lost with probability 0.3; then a random one, of all 331, arrives in its place.
# The receiver wants the likeliest poem $x$, given what arrived, $y$. By Bayes' rule
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
# Eighty poems are sent, and each is searched for with six widths.

# %%
n = 80
sent, arrived = x_test[:n], send(x_test[:n])
hints = [line_says(y) for y in arrived]
guessed = {"as it arrived": arrived}
for w in (1, 2, 4, 8, 16, 32):
    guessed[w] = torch.cat([search(model, T, w, hints=h)[0][:1] for h in hints])


# %% [markdown]
# Three rivals. The first asks whose fault a failure is: it writes greedily too, but with the **grammar's own**
# probabilities in place of the network's. Nobody can know the language better.


# %%
class Perfect:
    def begin(self, n):
        return State([torch.zeros(n, 0, dtype=torch.long, device=device)])

    def step(self, previous, state):
        (x,) = state
        if previous is not None:
            x = torch.cat([x, previous[:, None]], 1)
        p = torch.zeros(len(x), V, device=device)
        for row, text in zip(p, read(x), strict=True):
            for c, chance in language.next_character(text).items():
                row[vocabulary.characters.index(c)] = chance
        return p.log(), State([x])


informed = [search(Perfect(), T, 1, hints=h)[0] for h in hints]
guessed["greedy, with the grammar"] = torch.cat(informed)


# %% [markdown]
# The second trusts the line twice as much as Bayes' rule does. The third is the rival at equal cost: at each place it
# draws from what network and line say together, and of `n` poems it keeps the one whose sum is highest.

# %%
doubled = [search(model, T, 1, hints=2 * h)[0] for h in hints]
guessed["greedy, line counted twice"] = torch.cat(doubled)


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
axes = {"floors": floors, "ylim": (0.5, 1), **at_width, "xticks": widths}
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
kept = (guessed[1] == sent)[arrived == sent].float().mean()
sound = valid_share(read(guessed[1]))
print(f"greedy keeps {kept:.0%} of what came well; {sound:.0%} of its poems are valid")
assert 0.6 < kept < 0.8 and sound > 0.7
assert correct[1] < correct["as it arrived"] < correct["greedy, line counted twice"]
assert abs(correct["greedy, with the grammar"] - correct[1]) < 0.06
assert correct["greedy, line counted twice"] < correct[8] - 0.02
assert correct[8] > correct[1] + 0.2 and 0.9 < correct[32] < 0.96
assert correct[8] > correct["best of 8 draws"] + 0.06
assert correct[32] > correct["best of 32 draws"] + 0.03
assert missed[1] > 0.6 and missed[32] < 0.1 and missed["best of 32 draws"] > 0.3
heads = ["", "right characters", "right poems", "search errors, at least"]
show_table(heads, cells)

# %% [markdown]
# Greedy decoding makes things **worse**: 69 to 72 % of the characters that arrived were right, and after its work 57 to
# 66 % are. It spoils a quarter to a third of those that had arrived well. Where a character was lost, it writes its
# favourite, and then it must go on from there. What it writes is mostly a good poem (about nine in ten keep every
# rule), but another one than was sent. So this is not the disease from the top of the page. And it is not the network's
# fault: with the grammar's own probabilities greedy decoding is as bad. **It is the fault of deciding at once**, before
# the evidence has come.
#
# Counting the line twice helps greedy decoding, to 78 to 80 %, but a wider beam with Bayes' own sum gets more. There, a
# beginning with a wrong character soon becomes expensive, because nothing that arrives fits it any longer, and another
# takes its place. With a width of 8, about nine in ten characters are right; with 32, 91 to 93 %.
#
# Draws at the same number of network steps stay behind: by 10 to 12 points where there are eight, by 5 to 8 where there
# are 32. They are drawn one by one, and bad beginnings are never dropped. If at each step the bad ones are dropped and
# the good ones copied, as a beam does, more than half of the gap closes where there are 32 (measured in a separate
# run).
#
# The last column is a diagnosis. Where the poem that was really sent has a higher sum than what was found, the *search*
# has failed, and a better one would help. This is called a **search error**. (*At least*, because the search may also
# have missed a third poem that is better still.) At width 1, about 7 of 10 poems are search errors; at width 32 fewer
# than one in ten, and with 32 draws a third to a half. What is still wrong at width 32 is seldom the fault of the
# search: other poems fit what arrived better than the one that was sent.
#
# Two more rivals were measured in separate runs. The best receiver that is possible, an exact search with the grammar's
# own probabilities, gets 92 to 94 % of the characters right, so a beam of 32 is within a point or two of it. And **a
# table of counts does nearly as well**: count in 60,000 poems which character follows which at each place, and find the
# best path with dynamic programming (Viterbi's algorithm). It gets 90 to 92 %. On the same table greedy decoding is as
# bad as it is here. So what restores the poem is above all looking ahead; the network adds a point or two.

# %% [markdown]
# ## Break it: search harder
#
# A better search should give better texts, if what it searches for is what we want. Give the poems different lengths,
# and it does not. Suppose that some texts end after the first couplet, a share $q$ of them, and all others after the
# second. The network has only learnt whole poems, so the ending is put in by hand: one more character, number `V`,
# whose probability is $q$ after ten characters, 1 after twenty, and 0 elsewhere.


# %%
class Ending:
    def __init__(self, q):
        self.q = q

    def begin(self, n):
        return State([*model.begin(n), torch.zeros(n, 1, device=device)])

    def step(self, previous, state):
        *inner, place = state  # place: (n, 1), how many characters were read
        if previous is not None:
            place, previous = place + 1, previous.clamp(max=V - 1)
        logits, inner = model.step(previous, State(inner))
        stop = self.q * (place == 10) + 1.0 * (place == T)
        log_p = logits.log_softmax(1) + torch.log1p(-stop)
        return torch.cat([log_p, stop.log()], 1), State([*inner, place])


# %% [markdown]
# It takes a step as the network does, and so `beam_search` can be used as it is. `end` tells it which character ends a
# text: one that has ended keeps its place in the beam, and grows no more. We try three values of $q$, ten first lines
# each.


# %%
def ends_early(q, width, **how):
    how |= {"beam_width": width, "given": given[:10], "end": V}
    texts, log_prob = beam_search(Ending(q), T + 1, **how)
    early = texts[:, 0, 10] == V
    return early.float().mean().item(), log_prob[:, 0].mean().item()


early = {q: {w: ends_early(q, w) for w in (1, 4, 8, 32, 128)} for q in (0.2, 0.1, 0.05)}
fined = {p: ends_early(0.1, 32, length_penalty=p)[0] for p in (0, 0.2, 0.4, 0.6, 1)}

# %% tags=["drawing"]
lines = {
    f"{q:.0%} end early": (list(found), [share for share, _ in found.values()])
    for q, found in early.items()
}
axes = at_width | {"xlabel": "width of the beam", "xticks": list(early[0.1])}
axes |= {"ylim": (-0.03, 1.03), "ylabel": "share found to end early"}
show_curves(lines, **axes)

# %% tags=["checking"]
print("ranked with a length penalty, 10 %, width 32, this share ends early:")
print(*(f"{power}: {share:.0%}" for power, share in fined.items()), sep=", ")
assert fined[0] == fined[0.2] == 1 and fined[0.6] == fined[1] == 0
for q, first in {0.2: 1, 0.1: 32, 0.05: 128}.items():
    share = {w: share for w, (share, _) in early[q].items()}
    assert share[128] == share[first] == 1
    assert first == 1 or share[first // 4] < 0.35
nats = [-log_prob for _, log_prob in early[0.1].values()]
print(f"q = 0.1: {nats[0]:.1f} nats at width 1, and {nats[-1]:.1f} at width 128")
assert nats[-1] < nats[0] - 2

# %% [markdown]
# Look at the middle curve. In truth one text in ten ends early. With a narrow beam none does; with a width of 32 *every
# one* does. Neither is one in ten. And nothing is wrong with the wide search: what it finds is likelier, and costs 5.4
# nats where greedy decoding pays 8.1.
#
# The ending costs $-\log 0.1 = 2.3$ nats at once, more than the favourites among the words that could follow, so a
# narrow beam drops it. After that it costs nothing, while the others must still pay for a whole couplet. A wide beam
# has kept the ending until then. So **the harder we search, the worse the lengths become**, until all are short.
#
# We chose 0.1 so that you can watch it. The likeliest text is short for every ending above about 1 %, because even the
# cheapest second couplet costs 4.9 nats. The rarer the ending, the wider the beam that notices: at 5 % it takes 128. At
# 20 %, even greedy decoding ends every text, since no word that could follow is as cheap.
#
# Machine translation met the same trouble ([Koehn and Knowles, 2017](references.md#koehn2017)). When its likeliest
# translations were found exactly, they were *empty* for more than half of the sentences ([Stahlberg and Byrne,
# 2019](references.md#stahlberg2019)).
#
# The usual remedy is to rank by $\log p / \text{length}^\alpha$ ([Wu et al., 2016](references.md#wu2016)). With $\alpha
# = 1$ this is the mean of a character. The lines below the picture show what it does at width 32: up to 0.2 all texts
# are short, from 0.6 on none is. Between 0.35 and 0.44 the share falls from all to none (in a separate run), so one in
# ten can be hit. But *which* texts are short is then decided by their scores, and not by chance. The likeliest text has
# no share of anything: only draws give one short text in ten.

# %% [markdown]
# ### And on long texts
#
# Does the likeliest text of 16 lines read well? Ask the grammar itself, which makes no mistakes:

# %% tags=["drawing"]
long = PoemGrammar(lines=16)
perfect = long.likeliest()[0]
assert perfect[10:80].count(perfect[10:20]) == 7
show_poems([perfect[:40]], long.lexicon, gloss=True)

# %% [markdown]
# These are the first 8 of its 16 lines, and the others go on like that: the favourite couplet, seven times over. No
# network wrote this, and nothing in it is wrong. Apart from theme and rhyme, a couplet does not know what the couplets
# before it said, so the likeliest poem has the same couplet again and again. Where nothing in the language forbids it,
# the likeliest text repeats itself. The network does it too: to 100 first lines a beam of 8 wrote 1,500 more lines, and
# only 29 to 36 of them are different. Draws had 340 to 400 (measured in separate runs).

# %% [markdown]
# ## Does it help the patient?
#
# Back to the disease. One wrong character was put at place 3, and the network goes on by itself. Let it choose in each
# of the ways that we have seen:

# %%
slips = x_slipped[:200, :3]
cured = {"drawn": own_inputs[:200]}
cured["nucleus 0.5"] = read(write(200, given=slips, top_p=0.5))
cured["greedy"] = read(write(200, given=slips, temperature=0))
cured["beam of 8"] = read(beam_search(model, T, beam_width=8, given=slips).texts[:, 0])

# %% tags=["checking"]
cured = {how: wrong_at(poems)[3:].mean().item() for how, poems in cured.items()}
assert min(cured.values()) > max(0.55, cured["drawn"] - 0.12)
cells = [[how, f"{share:.0%}"] for how, share in cured.items()]
show_table(["after the slip", "wrong characters"], cells)

# %% [markdown]
# Hardly anything has changed. However it chooses, 58 to 71 % of what follows is wrong; the best choice gains 2 to 8
# points on drawing. A search finds what the network holds for likely, and after a slip the network is wrong about that.
# No way of choosing teaches it what to do in a state that it does not know.

# %% [markdown]
# ## What we saw
#
# - Exposure bias: in use, a model meets states that it never met in training, and there one wrong step leads to the
#   next.
# - The state must hear what was said. A distribution fed back is neither of the things it could be, and the best that
#   practice makes of it is a product of marginals.
# - The first step of the best text need not be the likeliest first step. A beam keeps several beginnings and copies
#   their states.
# - A beginning's log-probability only falls, so the likeliest text can be found with proof. On these poems, with
#   nothing else known, a beam of 8 finds it, and greedy decoding is within half a nat.
# - The likeliest text is not typical: it is one draw in 134,000, and over long texts it repeats itself, even with a
#   perfect model.
# - Where texts may end, a better search finds shorter texts, up to the point where all are short. A length penalty
#   moves that point, and gives no true share.
# - Search where one answer is wanted, and search wide where the evidence comes late. Through noise, greedy decoding
#   made poems worse than they had arrived, even with the grammar's own probabilities; a beam of 32 restored more than
#   nine in ten characters, and so nearly did a table of counts.
# - No way of choosing cured the slip.
#
# **Terms fixed here** ([glossary](glossary.md)): beam, beam search, length penalty, search error; from chapter 3,
# exposure bias and greedy decoding.
#
# The [second page](09_practice.ipynb) changes the training: the network practises on its own writing, and is judged by
# the whole poem.

# %% [markdown]
# ## Your turn
#
# 1. In the slider, find the step at which the beginning that wins takes the lead. Which character decides it?
# 2. Change two numbers in `p_A` so that a width of 2 is not enough, and 3 is.
# 3. Is a wider beam ever worse? Look for a first line where a width of 2 ends lower than a width of 1. Why is this
#    possible?
# 4. Lose 0.5 or 0.7 of the characters. Which width is needed now? Is what remains wrong a search error?
# 5. Let half of the texts end early: `Ending(0.5)`. What does greedy decoding do, and why?
#
# Then the graded assignment: `coursework/09_decoding`.
#
# Further reading: [Lowerre (1976)](references.md#lowerre1976) searched with beams to understand speech; [Graves
# (2012)](references.md#graves2012) does it with a recurrent network; [Stahlberg and Byrne
# (2019)](references.md#stahlberg2019) search exactly, and find out what the likeliest translation is.
