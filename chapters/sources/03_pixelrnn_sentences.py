# %% [markdown]
# # 3 · PixelRNN for sentences: how do you write one character at a time?
#
# **You will teach a network to write Chinese quatrains, know to the third decimal how much it has still to learn, and then
# change one single character and watch what follows go wrong.**
#
# *Laptop: under 75 seconds. You need: the softmax, and that the probabilities of a sequence multiply. No Chinese.*

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
# Two poems that no one wrote. The network of this chapter made them, one character after another, in an earlier run.
# Each line has five characters; below each word, what it means.

# %% tags=["drawing"]
from course_lib.data import PoemGrammar
from course_lib.show.typeset import show_gloss, side_by_side

written = {
    "by moonlight": "夜半花影落江城雁声寒一夜乡梦远孤灯客梦闲",
    "by the river": "春水连大海孤帆去潇湘客里知己在樽前旧曲长",
}
gloss = PoemGrammar().gloss


def in_english(poem):  # three words a line
    words = gloss(poem)
    return show_gloss([words[n : n + 3] for n in range(0, len(words), 3)])


side_by_side({name: in_english(poem) for name, poem in written.items()})

# %% [markdown]
# They keep rules that nobody told the network. Two lines are a **couplet**. Each character is spoken in a tone, level or
# oblique, and the second characters of a couplet's lines must differ in it. The second and the fourth line must rhyme:
# to choose the last character, the network has to remember one that it wrote ten characters ago.

# %% [markdown]
# ## Setup

# %%
import math

import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# `generator` is the one source of chance: the poems of the data, the first weights and all that the network writes come
# from it. Another seed moves every number a little, and every claim must survive.

# %% [markdown]
# ## The data
#
# Real poems would do, but of real poems nobody knows how hard they are to predict. So the poems come from a
# **grammar**: lists of words, couplets made of them, and dice. It draws as many poems as we like, and since every throw
# has a known probability, we know exactly how likely each poem is.

# %%
from course_lib.data import PoemGrammar, Vocabulary

source = "poems"  # or "tang", "names", "shakespeare": downloaded once
exact = source == "poems"
if exact:
    language = PoemGrammar()
    train = language.sample(60_000, generator=generator)
    test = language.sample(2000, generator=generator)
    vocabulary = Vocabulary(language.characters)

# %% [markdown]
# Now we have 60,000 poems for training, 2,000 more for the test, and a number for each character. Another word in
# `source` puts real text in their place. Nothing else has to change: `exact` only keeps those cells quiet that ask the
# grammar what is true, for of real text nobody knows.

# %%
from course_lib.data import load_names, load_shakespeare, load_tang
from course_lib.measure.attested import Attested

real = {
    "tang": load_tang,
    "names": load_names,
    "shakespeare": lambda: load_shakespeare(length=40),
}
line = 5 if source in ("poems", "tang") else None  # characters in a line
if not exact:
    corpus = real[source]()
    train, test, vocabulary = corpus.train, corpus.test, corpus.vocabulary
    language = Attested(train)  # a weak judge: has this pair been seen?

# %% tags=["drawing"]
from course_lib.show.typeset import show_texts

show_texts(train[:5], line=line)

# %% [markdown]
# Five of the 60,000 that will train. What is a poem to a computer? And are there enough of them, or will the network
# know them by heart?

# %% tags=["nbval-check-output"]
x_train = vocabulary.encode_all(train)
N, T, V = *x_train.shape, vocabulary.levels
x_test = vocabulary.encode_all(test, T)


def read(x):  # numbers (B, T) -> texts, without end marks
    return [text.rstrip("\n") for text in vocabulary.decode(x)]


x_train.shape, V

# %% tags=["checking"]
known = set(train)
unseen = sum(text not in known for text in test) / len(test)
assert read(x_train[:9]) == list(train[:9]), "there and back"
assert not exact or unseen > 0.98, "test poems are new poems"

# %% [markdown]
# A poem is `T` = 20 numbers, each one of `V` = 331 characters. Of the 2,000 poems held out for the test, nearly
# all are not among the 60,000, so whoever predicts them has learnt the rules and not the poems.

# %% [markdown]
# ## The idea
#
# Nobody can draw a poem from a table of all poems: there are $331^{20}$ strings of that length. But anybody can draw
# *one character*. So write one, look at it, draw the next one given the first, the third given the first two. The
# lecture's example is a line that every child in China knows, 床前明月光 (*before my bed, the bright moonlight*):
#
# ![Five times the same model. Into the first goes a start signal and out comes 床; that goes into the second, out of
# which comes 前, and so on: 明, 月, 光.](images/03_feedback.svg)
#
# The arrows between the boxes are a memory, which a recurrent network has. The dashed arrows are the trick: **what it
# wrote is what it reads next**. In the lecture this is called a PixelRNN, for reasons that the next chapter makes plain:
# a character is nothing but a pixel of a sentence.

# %% [markdown]
# ## The one equation
#
# Multiplying the small probabilities gives the big one, with no approximation at all, since it is only the definition
# of a conditional probability, applied again and again. In logarithms:
#
# $$ \log p(x) = \sum_{t=1}^{T} \log p(x_t \mid x_{<t}) $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, T), numbers 0 … V−1 |
# | $x_t$ | `x[:, t]` | (B,) |
# | $\log p(\cdot \mid x_{<t})$, up to a constant | `logits[:, t]` | (B, V) |
# | $\log p(x)$ | `log_prob` | (B,), nats |
#
# This is what the decoder of chapter 2 could not give us: the exact price of everything it might write.

# %% [markdown]
# ## Build it by hand: a table of pairs
#
# The simplest memory is one character long. Count, in all training poems, how often each character follows each other;
# row `V` of the table is for the beginning, where nothing stands before. Then divide each row by its sum. (A tenth of a
# count is added everywhere, lest a pair that never occurred cost infinitely much.) Such a model of pairs is called a
# **bigram** model.


# %%
def before(x):  # (B, T): what stands before each character
    return torch.cat([torch.full_like(x[:, :1], V), x[:, :-1]], 1)


counts = torch.zeros(V + 1, V)
pairs = before(x_train).flatten(), x_train.flatten()
counts.index_put_(pairs, torch.ones(N * T), accumulate=True)
bigram = (counts + 0.1) / (counts + 0.1).sum(1, keepdim=True)  # rows sum to 1

# %% tags=["checking"]
seen = (counts > 0).float().mean().item()
assert not exact or seen < 0.05, "language is sparse"
print(f"{seen:.1%} of all pairs occur")

# %% tags=["drawing"]
import matplotlib.pyplot as plt

order = counts.sum(0).argsort(descending=True)
figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
pairs_seen = (counts[order][:, order] > 0).numpy()
ax.imshow(pairs_seen, cmap="Greys", interpolation="none")
ax.set(
    xlabel="next character (most frequent first)",
    ylabel="character",
    title="black: this pair occurs",
)
plt.close(figure)
figure

# %% [markdown]
# Each row is a character, and black marks what may follow it. Nearly all of it is white: knowing one character rules
# out almost everything, and that is what a language is. Now let the table write: start at its last row, draw, go to the
# row of what you drew, draw again.


# %%
def write_by_table(n):
    x, previous = [], torch.full((n,), V)
    for _ in range(T):
        p = bigram[previous].to(device)  # (n, V)
        previous = p.multinomial(1, generator=generator)[:, 0].cpu()
        x.append(previous)
    return torch.stack(x, 1)


tables = read(write_by_table(1000))

# %% [markdown]
# Now we have a thousand poems by the table. Move the slider to follow one of them as it is written. Before each step,
# the bars say what may come next; the marked character was drawn, and at the next step the bars are those of its row.

# %% tags=["drawing"]
from course_lib.show.typeset import show_bars

walked = tables[0]


def named(p):  # (V,) probabilities with their characters
    return dict(zip(vocabulary.characters, p.tolist(), strict=True))


def show_table_step(place):
    t = place - 1
    row = vocabulary.encode(walked[t - 1])[0] if t else V
    so_far = show_texts([walked[:place]], given=t, line=line)
    bars = show_bars({"table": named(bigram[row])}, chosen=walked[t])
    return side_by_side({"so far": so_far, "drawn from": bars})


# %%
from course_lib.show.explore import explore

explore(
    show_table_step,
    place=range(1, len(walked) + 1),
    alt="a poem of the table so far, and the row from which it draws",
)

# %% [markdown]
# At every step a reasonable choice, and yet it goes astray. How far, the grammar can tell us:


# %%
def valid_share(texts):  # how many have no mistake at all?
    return sum(not language.mistakes(text) for text in texts) / len(texts)


# %% tags=["checking"]
print(f"{valid_share(tables):.1%} of the table's poems are valid")
assert not exact or valid_share(tables) < 0.02


# %% tags=["drawing"]
def show_judged(texts, **how):  # mistakes in red
    wrong = [language.mistakes(text) for text in texts]
    return show_texts(texts, wrong=wrong, line=line, **how)


show_judged(tables[:5])

# %% [markdown]
# Red marks what cannot stand there. Nearly every pair of neighbours is one that occurs, and that is all: a memory of one
# character forgets the line, the couplet and the poem. (Having a grammar means having a strict judge. For it a poem is
# **valid** when not one character is red; of the table's, fewer than one in fifty are.)

# %% [markdown]
# ## Build the network: a memory that reaches back
#
# A **recurrent network** keeps a **state** and, at each step, mixes a character into it. Ours is an **LSTM**
# ([Hochreiter and Schmidhuber, 1997](references.md#hochreiter1997)): each of its memory cells holds a number, and
# **gates** (numbers between 0 and 1, computed from the character and the state) say how much of it to keep, how much to
# add, and how much to show. This is all the code:


# %%
class Writer(nn.Module):
    def __init__(self, V, features):
        super().__init__()
        self.embed = nn.Embedding(V + 1, features)  # the last row: start token
        self.lstm = nn.LSTM(features, features, batch_first=True)
        self.head = nn.Linear(features, V)
        self.start = V

    def begin(self, n):  # n sentences, and nothing to remember yet
        zeros = self.head.weight.new_zeros(n, self.head.in_features)
        return zeros, zeros

    def step(self, previous, state):  # one character in, logits for the next
        hidden, cell = state  # (n, features) each
        if previous is None:  # before the first character
            previous = torch.full((len(cell),), self.start, device=device)
        state = hidden[None], cell[None]  # of one layer
        h, state = self.lstm(self.embed(previous)[:, None], state)
        return self.head(h[:, 0]), (state[0][0], state[1][0])  # (n, V)

    def forward(self, x):  # (B, T) -> logits (B, T, V)
        start = torch.full_like(x[:, :1], self.start)
        inputs = torch.cat([start, x[:, :-1]], 1)  # shifted by one
        h, _ = self.lstm(self.embed(inputs))
        return self.head(h)


# %% [markdown]
# The line to look at is *shifted by one*. At position $t$ the network is asked for $x_t$ and has been given everything
# before it, never $x_t$ itself. The library has the same network, called `CharRNN`; give both the same weights.

# %%
from course_lib.layers import initialised_by
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

config = CharRNNConfig(levels=V, features=128)
model = CharRNN(config, generator=generator).to(device)
with initialised_by(generator):
    by_hand = Writer(V, 128).to(device)
by_hand.load_state_dict(model.state_dict())  # the same weights
x = x_train[:4].to(device)

# %% tags=["checking"]
from course_lib.check import assert_causal, assert_close

assert_causal(by_hand, x)
assert_close(by_hand(x), model(x), name="the library's CharRNN")

# %% [markdown]
# `assert_causal` changes each character in turn and looks which logits move: none sees itself or the future. And with the
# same weights the library's `CharRNN` says the same as ours. (It begins training with its forget gates open, so that it
# remembers from the start ([Jozefowicz et al., 2015](references.md#jozefowicz2015)).)

# %% [markdown]
# ## Two loops that look alike
#
# Training and generation both walk along a sentence. Compare the last line of the two loops. First training:


# %%
def train_on(model, x):  # teacher forcing: (B,) nats
    previous, state = None, model.begin(len(x))
    nats = 0
    for t in range(x.shape[1]):
        logits, state = model.step(previous, state)
        nats = nats + F.cross_entropy(logits, x[:, t], reduction="none")
        previous = x[:, t]  # <- the true character, whatever it expected
    return nats


# %% [markdown]
# What comes out is the price of each sentence. Now generation, where there is no true character to go on from:


# %%
@torch.no_grad()
def write_with(model, n):  # generation: (n, T)
    previous, state = None, model.begin(n)
    x = []
    for _ in range(T):
        logits, state = model.step(previous, state)
        drawn = logits.softmax(-1).multinomial(1, generator=generator)[:, 0]
        x.append(drawn)
        previous = drawn  # <- its own character, whatever the truth
    return torch.stack(x, 1)


# %% tags=["checking"]
assert_close(-train_on(by_hand, x), model.log_prob(x), name="the loop")

# %% [markdown]
# The first is called **teacher forcing**: a teacher corrects every character before the next one is asked for. It needs
# no loop in Python, for all its inputs are known beforehand, and `forward` above takes the whole sentence at once. The
# second cannot do that: each input has to be drawn first. Side by side for one line, before any training; blue is what
# the network made up:

# %% tags=["drawing"]
from course_lib.show.typeset import show_table

true, blue = test[0], read(write_with(by_hand, 1))[0]
steps_shown = range(min(5, len(true), len(blue)))
rows = [["start", true[0], "start", blue[0]]] + [
    [true[t - 1], true[t], blue[t - 1], blue[t]] for t in steps_shown[1:]
]
marks = {(t, 3): "own" for t in steps_shown}
marks |= {(t, 2): "own" for t in steps_shown[1:]}
header = ["training in", "target", "writing in", "drawn"]
show_table(header, rows, marks=marks)

# %% [markdown]
# This is the lecture's remark, that the way a sentence model is used is not the way it is trained. Keep the third column
# in mind: **in training, no input was ever blue.**

# %% [markdown]
# ## Knobs

# %%
steps = 3500  # about 40 s on one core
batch_size = 32  # few poems a step: a rough direction, but many steps
lr = 8e-3  # large, for the cosine schedule takes it down to 0

# %% [markdown]
# At 32 poems a step, each of the 60,000 will be read about twice.

# %% [markdown]
# ## Train
#
# How low can the cost go? To the **entropy** of the grammar, $H = \mathbb{E}[-\log p(x)]$, which is what its poems
# cost whoever knows their true probabilities $p$. A model $q$ pays $\mathbb{E}[-\log q(x)]$ for them, which is
# $H + \mathrm{KL}(p \,\|\, q)$ and never less than $H$. So this is the **floor**, and a model that lies on it has
# learnt everything there is to learn.

# %%
from course_lib.train import fit

floor = language.entropy() / T if exact else None  # nats per character


def nll(model, x):  # (B,) nats
    return -model.log_prob(x)


knobs = {"steps": steps, "batch_size": batch_size, "lr": lr, "generator": generator}
watch = {"valid": x_test[:500].to(device), "valid_every": max(1, steps // 20)}
history = fit(model, x_train.to(device), loss=nll, schedule="cosine", **knobs, **watch)

# %% tags=["drawing"]
from course_lib.show.plots import show_curves

at, nats = zip(*history.valid, strict=True)
show_curves(
    {"held-out poems": (at, [n / T for n in nats])},
    xlabel="step",
    ylabel="nats per character",
    floors={"entropy of the grammar": floor} if exact else None,
)

# %% [markdown]
# It comes down to the floor and at the end all but lies on it. What is left is best seen in numbers.

# %% [markdown]
# ## Measure: the price of a poem
#
# Nats per character are easier to picture as **perplexity**, $e^{\text{nats}}$: between how many equally likely
# characters is it, on average, still undecided?

# %%
with torch.no_grad():
    log_q = model.log_prob(x_test.to(device)).cpu()  # (N,) nats a poem

# %% tags=["checking"]
from course_lib.prob import bits_per_dim

price = {
    "uniform": math.log(V),
    "table of pairs": -bigram[before(x_test), x_test].log().mean().item(),
    "network": -log_q.mean().item() / T,
}
if exact:
    price["floor"] = floor
    assert nats[0] / T < price["table of pairs"], "from the first dot on"
rows = [
    [who, f"{n:.3f}", f"{bits_per_dim(n, 1):.2f}", f"{math.exp(n):.2f}"]
    for who, n in price.items()
]
show_table(["", "nats/char", "bits", "perplexity"], rows)

# %% [markdown]
# The network is just above the floor, and the table of pairs is far above both. Two thousand poems are only a sample, and
# their mean has an error of its own. But for each of them we know what the grammar pays, and the difference has a much
# smaller error. Its mean estimates the divergence $\mathrm{KL}(p \,\|\, q)$: all that there is still to learn.

# %%
if exact:
    log_p = torch.tensor([language.log_prob(text) for text in test])
    excess = (log_p - log_q) / T  # (N,) nats per character

# %% tags=["checking"]
if exact:
    kl, error = excess.mean().item(), excess.std().item() / len(test) ** 0.5
    print(f"to learn: {kl:.4f} ± {error:.4f} nats/char")
    print(f"       or {kl / floor:.2%} of the floor")
    assert 0 < kl < 0.03 * floor, "within 3% of what is possible"
    assert error < 0.001, "known to the third decimal"

# %% [markdown]
# About one per cent of the floor is still to learn. Does what the network writes show it? Let it write as many poems as
# there are in the test.

# %%
own = read(model.sample(2000, length=T, generator=generator))

# %% tags=["checking"]
valid, by_pairs = valid_share(own), valid_share(tables)
new = sum(text not in known for text in own) / len(own)
print(f"valid: {valid:.1%} (the table: {by_pairs:.1%})")
print(f"not in the training set: {new:.1%}")
if exact:
    assert valid >= 0.9, "nine in ten keep every rule"
    assert new > 0.98, "it writes, it does not recite"

# %% [markdown]
# More than nine in ten of its poems keep every rule: words, tones, theme and rhyme. Nearly all of them are new. (The
# two at the top of this page are of this kind.) Follow one of them as it is written, and compare what the network
# expects (blue) with what the grammar does (grey):

# %% tags=["drawing"]
flawless = [text for text in own[:100] if not language.mistakes(text)]
written_now = (flawless or own)[0]
with torch.no_grad():
    logits = model(vocabulary.encode(written_now)[None].to(device))[0]


def show_network_step(place):
    t = place - 1
    here = {"network": named(logits[t].softmax(-1))}
    here["truth"] = language.next_character(written_now[:t])
    so_far = show_texts([written_now[:place]], given=t, line=line)
    bars = show_bars(here, chosen=written_now[t])
    return side_by_side({"so far": so_far, "drawn from": bars})


# %%
explore(
    show_network_step,
    place=range(1, len(written_now) + 1),
    alt="a poem of the network so far, and what it expects next",
)

# %% [markdown]
# Where the grammar leaves a choice, the network leaves nearly the same one. How near are the two on average? The
# **total variation** between two distributions is the share of probability that would have to be moved to turn one into
# the other: 0 if they are equal, 1 if they have nothing in common.


# %%
def total_variation(p, text):  # (T, V) against the truth: mean over places
    far = 0
    for t in range(len(text)):
        truth = language.next_character(text[:t])
        same = [min(p[t, vocabulary.encode(c)[0]], truth[c]) for c in truth]
        far += (1 - sum(same)) / len(text)
    return float(far)


# %% tags=["checking"]
with torch.no_grad():
    q = model(x_test[:100].to(device)).softmax(-1).cpu()
table = bigram[before(x_test[:100])]
network_far, table_far = (
    sum(map(total_variation, p, test[:100])) / len(p) for p in (q, table)
)
print(f"from the truth: network {network_far:.2f}")
print(f"                table   {table_far:.2f}")
assert not exact or network_far < 0.1 < 0.3 < table_far

# %% [markdown]
# About three hundredths of the network's probability lie in the wrong place; of the table's, more than two fifths.

# %% [markdown]
# ## The state is the memory
#
# Each new character could be drawn by running the network over everything so far. But the state after `t` characters *is*
# everything so far, and need not be computed again. Here is the simple way beside the fast one.

# %%
fast_logits, previous, state = [], None, model.begin(len(x))
with torch.no_grad():
    for t in range(T):  # carrying the state: one step a character
        step_logits, state = model.step(previous, state)
        fast_logits.append(step_logits)
        previous = x[:, t]
    slow = [model(x[:, : t + 1])[:, t] for t in range(T)]  # t + 1 steps

# %% tags=["checking"]
fast, slow = torch.stack(fast_logits, 1), torch.stack(slow, 1)
assert_close(fast, slow, tolerance=1e-5, name="logits with a carried state")

# %% [markdown]
# The logits are the same, but the first way took 20 steps for them and the second 1 + 2 + … + 20 = 210. How long do both
# take to write?


# %% tags=["checking"]
import time


@torch.no_grad()
def seconds(way, length, n=64):
    x = torch.zeros(n, length, dtype=torch.long, device=device)
    start = time.perf_counter()
    if way == carried:
        model.sample(n, length=length, generator=generator)
    else:
        for t in range(length):
            p = model(x[:, : t + 1])[:, t].softmax(-1)
            x[:, t] = p.multinomial(1, generator=generator)[:, 0]
    return time.perf_counter() - start


lengths = [10, 25, 50, 100]
carried, again = "state carried", "everything re-run"
took = {way: [seconds(way, n) for n in lengths] for way in (carried, again)}
ratio = took[again][-1] / took[carried][-1]
print(f"{64 * 100 / took[carried][-1]:,.0f} characters a second,")
print(f"{ratio:.0f} times as many as by re-running")

# %% tags=["drawing"]
show_curves(
    {way: (lengths, took[way]) for way in took},
    xlabel="characters written",
    ylabel="seconds for 64 texts",
)

# %% [markdown]
# The one grows with the length, the other with its square, and here, at 100 characters, the difference is already a
# factor of twenty or so. Chapter 5, where a second of sound is 16,000 numbers, will live on it.

# %% [markdown]
# ## Play: how to draw
#
# The lecture says in passing that taking the most likely word is not the only way to read the output. One may divide
# the logits by a **temperature** $\tau$ before the softmax: below 1, the likely gets likelier, and in the limit 0 only
# the likeliest is ever taken, which is called **greedy** (`temperature=0` means this limit); above 1, all become more
# alike. Two other ways keep the tail of unlikely characters out: **top-k** draws among the $k$ likeliest only,
# **nucleus** sampling (top-p) among the fewest that together hold a share $p$.


# %%
def keep_top_k(logits, k):
    kth = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < kth, -math.inf)


def keep_nucleus(logits, p):
    probs, order = logits.softmax(-1).sort(descending=True)
    outside = probs.cumsum(-1) - probs >= p  # those before it hold p already
    outside = torch.zeros_like(outside).scatter(-1, order, outside)
    return logits.masked_fill(outside, -math.inf)


# %% tags=["checking"]
from course_lib import decode

row = logits[:1]  # what may stand at the beginning of a poem
assert torch.equal(keep_top_k(row, 5), decode.keep_top_k(row, 5))
assert torch.equal(keep_nucleus(row, 0.9), decode.keep_top_p(row, 0.9))

# %% tags=["drawing"]
ways = {
    "as it is": row,
    "top-k, k = 5": keep_top_k(row, 5),
    "nucleus, p = 0.5": keep_nucleus(row, 0.5),
}
show_bars({way: named(r[0].softmax(-1)) for way, r in ways.items()}, top=12)

# %% [markdown]
# What is kept takes over the probability of what is cut. Is it worth it? Three numbers for each way of drawing: the
# share of valid poems; the choice that is left at a character, as its entropy divided by the greatest possible,
# $\ln V$; and how many *different* lines there are among all lines, a form of what is called **distinct-n**
# ([Li et al., 2016](references.md#li2016)).


# %%
def distinct(texts, n):  # different runs of n characters / all runs
    runs = [t[i : i + n] for t in texts for i in range(0, len(t) - n + 1, n)]
    return len(set(runs)) / len(runs)


# %% [markdown]
# With `n` = 5, the runs are the lines of a poem. Now draw a thousand poems at each of nine temperatures, and keep all
# three numbers.


# %%
from course_lib import decode


@torch.no_grad()
def survey(n=1000, temperature=1.0, **way):
    chance = make_generator(seed, device)
    x = model.sample(n, length=T, generator=chance, temperature=temperature, **way)
    tempered = decode.apply_temperature(model(x).flatten(0, 1), temperature)
    p = tempered.softmax(-1)
    choice = torch.special.entr(p).sum(-1).mean().item() / math.log(V)
    texts = read(x)
    return texts, valid_share(texts), choice, distinct(texts, 5)


temperatures = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
surveys = {t: survey(temperature=t) for t in temperatures}

# %% tags=["drawing"]
_, valid_at, choice_at, distinct_at = zip(*surveys.values(), strict=True)
show_curves(
    {
        "valid poems": (temperatures, valid_at),
        "distinct lines": (temperatures, distinct_at),
        "choice (1: all characters alike)": (temperatures, choice_at),
    },
    xlabel="temperature",
    ylabel="share",
    ylim=(0, 1.02),
)

# %% tags=["checking"]
if exact:
    assert valid_at[0] == 1 and distinct_at[0] < 0.01, "one poem for ever"
    assert valid_at[2] > valid_at[4] > valid_at[6], "colder is more correct"
    assert distinct_at[2] < distinct_at[4] < distinct_at[6], "and poorer"
    assert valid_at[-1] < 0.1, "hot enough, it forgets the language"

# %% [markdown]
# The colder the drawing, the more poems are valid and the fewer lines are different; the hotter, the other way round.
# Does cutting the tail off cost less?

# %%
drawn_by = {
    "nothing cut": surveys[1],
    "top_k=5": survey(top_k=5),
    "top_p=0.95": survey(top_p=0.95),
    "temperature=0.7": survey(temperature=0.7),
}

# %% tags=["checking"]
grammar = "held-out poems"
plain, _, nucleus, cold = drawn_by
found = {grammar: (valid_share(test[:1000]), distinct(test[:1000], 5))}
found |= {way: (share, lines) for way, (_, share, _, lines) in drawn_by.items()}
if exact:
    (all_valid, _), (cut_valid, cut_lines) = found[plain], found[nucleus]
    assert cut_valid > all_valid + 0.03, "most mistakes are in the tail"
    assert abs(cut_lines - found[grammar][1]) < 0.05, "at little cost"
    assert cut_lines > found[cold][1] + 0.03, "and less than by cooling"
rows = [[who, f"{a:.1%}", f"{b:.0%}"] for who, (a, b) in found.items()]
show_table(["", "valid", "distinct lines"], rows)

# %% [markdown]
# (Another thousand poems, hence another share of valid ones than above.) Greedy drawing writes one flawless poem for ever.
# Cold drawing pays for correctness with variety. Cutting the tail is the better bargain: nearly all mistakes go, since
# most of them were drawn from the tail, and the lines still vary about as much as the grammar's own. And at temperature 2
# the network has forgotten the language. Try it:


# %% tags=["drawing"]
def show_at(temperature):
    texts, share, choice, lines = surveys[temperature]
    rows = [
        ["valid", f"{share:.0%}"],
        ["distinct lines", f"{lines:.0%}"],
        ["choice", f"{choice:.0%}"],
    ]
    numbers = show_table(["of 1,000 poems", ""], rows)
    return side_by_side({"": numbers, "four of them": show_judged(texts[:4])})


# %%
explore(
    show_at,
    temperature=temperatures,
    alt="four poems drawn at a temperature, mistakes marked",
)

# %% [markdown]
# At 0 the four poems are one and the same; towards 2 hardly one is left without red.
#
# **Completion** needs nothing new: feed the beginning as if the network had written it, then let it go on.


# %%
def complete(beginning, n=3, seed=seed):
    given = vocabulary.encode(beginning).to(device)
    chance = make_generator(seed, device)
    return read(model.sample(n, length=T, generator=chance, given=given))


# %% [markdown]
# Now `complete` turns one beginning into three poems. In the notebook, give it any beginning you like; on the page, choose
# one.


# %% tags=["drawing"]
def show_completion(beginning):
    texts = complete(beginning)
    begun = {"given": len(beginning), "line": line}
    parts = {"three completions": show_texts(texts, **begun)}
    good = [text for text in texts if exact and not language.mistakes(text)]
    if good:
        parts["one of them in English"] = in_english(good[0])
    return side_by_side(parts)


# %%
beginnings_shown = dict.fromkeys(text[: min(5, T // 2)] for text in test[:8])
explore(
    show_completion,
    beginning=list(beginnings_shown),
    alt="three completions of a beginning",
)

# %% [markdown]
# One beginning, three poems: a model that knows a distribution has more than one answer. And a vocabulary knows what it
# does not know:

# %%
import textwrap

try:
    complete(test[0][:2] + "€")
except ValueError as error:
    print(textwrap.fill(str(error), 36))

# %% [markdown]
# It does not guess: the message names the character and its place, and says what to do.

# %% [markdown]
# ## One wrong step, all wrong
#
# In training no input was ever blue: the network has only ever seen perfect beginnings. What does it do after a wrong
# one? Take a held-out poem, put in its third place a character that cannot stand there, and let the network write the
# rest. It now reads *its own inputs*:


# %%
def slip(text, t, generator):  # one wrong character at position t
    possible = language.next_character(text[:t])
    letters = [c for c in vocabulary.characters if c != "\n"]
    wrong = [c for c in letters if c not in possible] or letters
    i = torch.randint(len(wrong), (), device=device, generator=generator)
    return text[:t] + wrong[i] + text[t + 1 :]


# %% [markdown]
# Now let the network go on after a slip in each of 500 poems, and for comparison after the same beginnings without one.

# %%
t_slip, n_slip = 2, min(500, len(test))
slipped = [slip(text, t_slip, generator) for text in test[:n_slip]]
x_slip = vocabulary.encode_all(slipped, T).to(device)
x_good = x_test[:n_slip].to(device)
part = slice(None, t_slip + 1)
length = {"length": T, "generator": generator}
after_slip = model.sample(n_slip, given=x_slip[:, part], **length)
after_none = model.sample(n_slip, given=x_good[:, part], **length)

# %% tags=["drawing"]
show_judged(read(after_slip[:10]))

# %% [markdown]
# Ten of them, mistakes in red. Some poems get over the slip; most are red to the end. A reader of Chinese sees why:
# their *words* are real words, but the poem has lost count. It takes the wrong character for an extra one, so that
# every word comes a place too late and no line ends where a line should; and it never finds back, because it reads its
# own displaced words. To check this, strike the wrong character out again and let everything move up by one place:


# %%
texts = read(after_slip)
broken = [text for text in texts if len(language.mistakes(text)) > 5]
moved_up = [text[:t_slip] + text[t_slip + 1 :] for text in broken]


# %% tags=["checking"]
def red(texts):  # mistakes, on average
    return sum(len(language.mistakes(text)) for text in texts) / len(texts)


healed = sum(not language.mistakes(text) for text in moved_up)
print(f"broken for good: {len(broken) / n_slip:.0%} of the poems")
if broken:
    print(f"as they are: {red(broken):4.1f} mistakes each")
    print(f"moved up:    {red(moved_up):4.1f} mistakes each")
    print(f"             {healed / len(broken):.0%} flawless")
if exact:
    assert len(broken) > 0.5 * n_slip, "most poems never recover"
    assert red(moved_up) < 0.65 * red(broken), "many have only lost count"
    assert healed > 0.25 * len(broken)

# %% [markdown]
# About two in five of the broken poems are flawless once moved up: nothing was wrong with them but the count. The others
# lost more than that, a theme, a rhyme, or the count once more.
#
# Would it have erred as much with a teacher? Give it *true inputs*: the same wrong character, and after it the true ones,
# whatever it draws. Each of its characters is then judged as what may follow the true poem. (What it writes by itself is
# judged more kindly: `mistakes` lets pass whatever any poem has at that place and goes on well from there.)


# %%
with torch.no_grad():
    logits = model(x_slip).flatten(0, 1)  # all places at once, true inputs
forced = decode.draw(logits, generator=generator).view(n_slip, T)


# %% tags=["checking"]
def wrong_by_position(x):  # own inputs: share of mistakes at each position
    at = torch.zeros(T)
    for text in read(x):
        at[language.mistakes(text)] += 1 / len(x)
    return at


def wrong_when_forced(drawn, texts):  # true inputs, judged one by one
    at = torch.zeros(drawn.shape[1])
    judge = PoemGrammar(drawn.shape[1] // 5) if exact else language
    for row, text in zip(vocabulary.decode(drawn), texts, strict=True):
        for t in range(len(text)):
            at[t] += row[t] not in judge.next_character(text[:t])
    return at / len(texts)


# %% tags=["checking"]
rest, left = slice(t_slip + 1, None), T - t_slip - 1
wrong = {
    "slip, own inputs": wrong_by_position(after_slip),
    "slip, true inputs": wrong_when_forced(forced, test[:n_slip]),
    "no slip, own inputs": wrong_by_position(after_none),
}
for how, at in wrong.items():
    print(f"{how:20s}{at[rest].sum():5.1f} of {left} wrong")

own_wrong, true_wrong, no_slip = wrong.values()
if exact:
    assert own_wrong[rest].mean() > 0.6, "one wrong step, all wrong"
    assert own_wrong[-1] > 0.5, "to the end"
    assert true_wrong[t_slip + 3 :].max() < 0.1, "a teacher sets it right"
    assert no_slip[rest].mean() < 0.05, "and by itself it errs rarely"

# %% tags=["drawing"]
places = range(t_slip + 2, T + 1)
show_curves(
    {how: (places, at[rest]) for how, at in wrong.items()},
    xlabel=f"place (the wrong character is at {t_slip + 1})",
    ylabel="share of wrong characters",
    ylim=(0, 1),
)

# %% [markdown]
# 一步错，步步错, says the lecture: one wrong step, all wrong. With true inputs the mistake is forgotten after two
# characters. With its own, about seven in ten of all that follow are wrong, and at the last place still more than half.
# The network is the same; what differs is what it reads. Try other places:


# %% tags=["drawing"]
def show_slip(place):
    chance = make_generator(seed, device)
    given = [slip(text, place - 1, chance)[:place] for text in test[:4]]
    given = vocabulary.encode_all(given).to(device)
    x = model.sample(4, length=T, generator=chance, given=given)
    return show_judged(read(x), given=place - 1)


# %%
explore(
    show_slip,
    place=range(1, min(map(len, test[:4]))),
    labels={"place": "wrong character at place"},
    alt="four poems after one wrong character, mistakes marked",
)

# %% [markdown]
# The true beginning stands back; after it comes the wrong character, and then what the network makes of it.
#
# One need not wait for a slip. Train on short, write long: let the network, which has never seen more than 20 characters,
# write a poem of 80, in which the theme stays, the feelings go on, and every second line has the same rhyme.

# %%
if exact:  # a longer kind of real text is not at hand
    longer = PoemGrammar(lines=16)
    poems = longer.sample(200, generator=generator)
    x_long = vocabulary.encode_all(poems).to(device)
    with torch.no_grad():
        logits = model(x_long).flatten(0, 1)
    forced = decode.draw(logits, generator=generator).view(200, 80)
    written = read(model.sample(200, length=80, generator=generator))

# %% tags=["checking"]
if exact:
    own_right = torch.ones(80)
    for text in written:
        own_right[longer.mistakes(text)] -= 1 / 200
    true_right = 1 - wrong_when_forced(forced, poems)
    by_tens = {"its own inputs": own_right, "true inputs": true_right}
    by_tens = {how: x.view(8, 10).mean(1) for how, x in by_tens.items()}
    own_right, true_right = by_tens.values()
    gap = true_right - own_right
    assert gap[0] < 0.02 and gap[1] < 0.05, "as far as it was trained, none"
    assert gap[1] < gap[2] and gap[3:].min() > 0.3, "beyond, it opens"
    assert true_right[-1] > 0.5 > 0.25 > own_right[-1]
    print("gap:", " ".join(f"{100 * g:.0f}" for g in gap.tolist()), "%")

# %% tags=["drawing"]
picture = None
if exact:
    picture = show_curves(
        {how: (range(10, 90, 10), right) for how, right in by_tens.items()},
        xlabel="characters written (it was trained on 20)",
        ylabel="share of valid characters",
        ylim=(0, 1.05),
    )
picture

# %% [markdown]
# Two things happen at once. Beyond 20 characters the network is on unknown ground even with a teacher, and the upper
# curve sinks to about 0.7. What the lower curve loses besides is the price of reading itself. This **gap** is next to
# nothing as far as the network was trained, opens at once beyond, and stays: after that, hardly anything that it writes
# is right, and little can get worse. So the saying needs its condition: a network that never leaves what it has
# practised hardly ever takes the first wrong step, and one that does never comes back. It has a name, **exposure bias**
# ([Ranzato et al., 2016](references.md#ranzato2016)). Chapter 9 measures the same numbers again, after a training in
# which the network gets to read its own writing while it still has a teacher.

# %% [markdown]
# ## Break it
#
# Leave out the shift. Input and target are then the same sentence, and the network is asked for what it has just been
# told.


# %%
class Unshifted(Writer):
    def forward(self, x):
        h, _ = self.lstm(self.embed(x))  # x itself, not shifted
        return self.head(h)


with initialised_by(generator):
    copier = Unshifted(V, 128).to(device)

# %% [markdown]
# Now we have the same network without the shift. Train it for 300 steps.


# %%
def copied_nll(model, x):  # (B,) nats
    return F.cross_entropy(model(x).transpose(1, 2), x, reduction="none").sum(1)


fit(copier, x_train.to(device), loss=copied_nll, **knobs | {"steps": 300})

# %% tags=["checking"]
with torch.no_grad():
    loss = copied_nll(copier, x_test.to(device)).mean().item() / T
nonsense = read(write_with(copier, 200))
print(f"{loss:.4f} nats/char; {valid_share(nonsense):.0%} valid")
if exact:
    print(f"{floor:.4f} is the floor")
    assert loss < floor / 10 and valid_share(nonsense) == 0

# %% tags=["drawing"]
show_judged(nonsense[:5])

# %% [markdown]
# The loss is far below the floor. No model can do that: this one is reading the answer. And what it writes is whatever
# came first, over and over, because all it has learnt is to repeat what it reads. `assert_causal` would have told us
# before the training:

# %%
try:
    assert_causal(copier, x)
except AssertionError as message:
    print(textwrap.fill(str(message), 36))

# %% [markdown]
# What it expects at the first place changes with the character at the first place: the one that it should predict.

# %% [markdown]
# ## The same on real text
#
# Set `source` at the top to another word and run the chapter again: the same cells teach the same network to write
# Tang poems, names or Shakespeare, and what needs the grammar stays silent. With a network of its own size, and as long
# as that helps (at most three minutes on two CPU cores), each text gets down to this on a tenth that was held out:
#
# | text | nats/char | uniform | minutes | V | weights |
# |---|---|---|---|---|---|
# | poems | **0.924** | 5.80 | 0.9 | 331 | 217,291 |
# | tang | **6.764** | 8.23 | 0.9 | 3758 | 1,098,030 |
# | names | **1.984** | 3.30 | 0.7 | 27 | 139,163 |
# | shakespeare | **1.505** | 4.17 | 2.6 | 65 | 559,937 |
#
# `python benchmarks/train.py shakespeare --minutes 3` repeats the last row, and the others likewise by their
# names. Of real text nobody knows the floor. The Tang poems stay nearest to the uniform price: 3,213 quatrains are few
# for 3,758 characters, and a quarter of those occur only once.

# %% [markdown]
# ## What we saw
#
# - A sentence's probability is a product of small ones, exactly. Its logarithm is a sum with a unit, and where the
#   entropy of the source is known, so is the best that anyone can do.
# - A table of pairs knows words; a recurrent state knows what was said ten characters ago.
# - Training reads the truth, generation reads itself. They are different loops, and the difference is measurable:
#   after one wrong character, about seven in ten of all that follow are wrong.
# - Taking the likeliest is one way to draw among many, and the least varied. Cooling buys correctness with variety;
#   cutting the tail costs little.
# - A loss below the floor is a mistake, not a success.
#
# **Terms fixed here** ([glossary](glossary.md)): start token, bigram, teacher forcing, ancestral sampling, entropy, floor,
# perplexity, temperature, greedy decoding, top-k, nucleus sampling, completion, exposure bias.
#
# The next chapter changes one thing: the sequence is an image. A pixel is a word, and suddenly *before* is no longer
# the same as *beside*.

# %% [markdown]
# ## Your turn
#
# 1. Follow the network's poem to its last place. Which characters does the truth still allow there, and which earlier
#    character decided that?
# 2. Train for 500 steps only. Which rule does it break most: words, tones or rhyme? (Where are the red marks?)
# 3. Put the slip at the very end of the second line, `t_slip = 9`. Why does it hurt less?
# 4. Draw the long poems with `top_p=0.9`. How much later does the gap open? Why does it open all the same?
# 5. Set `source = "names"`. At which temperature would you let it name your child?
#
# Then the graded assignment: `coursework/03_pixelrnn_sentences`, in which you give the table a second character of memory,
# cut the tail in a way that this chapter has not shown, price the second half of a poem, and let a model that only writes
# forwards fill a hole in the middle.
#
# Further reading: [Graves (2013)](references.md#graves2013) is where networks learnt to write;
# [Holtzman et al. (2020)](references.md#holtzman2020) explains why the likeliest text is not the best;
# [Ranzato et al. (2016)](references.md#ranzato2016) names exposure bias;
# [Bengio et al. (2015)](references.md#bengio2015) is chapter 9's first cure.
