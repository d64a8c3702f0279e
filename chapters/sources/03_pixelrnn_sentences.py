# %% [markdown]
# # 3 · PixelRNN for sentences: how do you write one character at a time?
#
# **You will teach a network to write Chinese quatrains, measure to within a thousandth of a nat how much it still has
# to learn, and find out what one wrong character does to the rest of a poem.**
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
# Here are two poems that nobody wrote. The network of this chapter made them in an earlier run, one character after
# another. We chose two that we liked. All four couplets stand in the training set, but neither of the two poems does.
# Each line has five characters, and the meaning of each word stands below it.

# %% tags=["drawing"]
from course_lib.data import PoemGrammar
from course_lib.show.typeset import show_poems

written = [
    "夜半花影落江城雁声寒一夜乡梦远孤灯客梦闲",
    "春水连大海孤帆去潇湘客里知己在樽前旧曲长",
]
show_poems(written, PoemGrammar().lexicon, gloss=True)

# %% [markdown]
# The poems keep rules that nobody told the network, and the marks let you check them without any Chinese. Two lines
# form a **couplet**. Each character is spoken in a tone, level (○) or oblique (●), and the second characters of a
# couplet's two lines must have different tones. The second and the fourth line must rhyme: their last characters have
# the same colour. To choose the last character, the network must remember one that it wrote ten characters earlier.

# %% [markdown]
# ## Setup

# %%
import copy
import math

import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# `generator` is the only source of randomness: the poems in the data, the first weights and everything the network
# writes come from it. With another seed every number changes a little. The claims were tested with five seeds, and
# where a number varies, the text gives its range.

# %% [markdown]
# ## The data
#
# We could use real poems, but nobody knows how hard real poems are to predict. So our poems come from a **grammar**:
# lists of words, patterns for couplets, and dice. It can draw as many poems as we like, and because we know the
# probability of every roll, we know exactly how likely each poem is.

# %%
from course_lib.data import Vocabulary

language = PoemGrammar()
train = language.sample(60_000, generator=generator)
valid = language.sample(500, generator=generator)  # to watch the training
test = language.sample(2000, generator=generator)  # to measure with, at the end
vocabulary = Vocabulary(language.characters)

# %% [markdown]
# There are three sets of poems. The network learns from the first and we watch its progress on the second. The third
# is not touched until the training is over. Here are four poems of the first set:


# %% tags=["drawing"]
def show_judged(poems, **how):  # mistakes in red
    wrong = [language.mistakes(poem) for poem in poems]
    return show_poems(poems, language.lexicon, wrong=wrong, **how)


show_judged(train[:4], gloss=True)

# %% [markdown]
# To a computer a poem is a row of numbers, one for each character:

# %% tags=["nbval-check-output"]
x_train = vocabulary.encode_all(train)
x_test = vocabulary.encode_all(test)
N, T, V = *x_train.shape, vocabulary.levels
x_train.shape, V


# %% tags=["checking"]
def read(x):  # numbers (B, T) -> poems
    return vocabulary.decode(x)


def cut(poem, n):  # runs of n characters: lines, couplets, the whole poem
    return [poem[i : i + n] for i in range(0, len(poem), n)]


def new(poems, n):  # the share of them that is not in the training set
    runs = [run for poem in poems for run in cut(poem, n)]
    return sum(run not in known[n] for run in runs) / len(runs)


known = {n: {run for poem in train for run in cut(poem, n)} for n in (5, 10, 20)}
assert read(x_train[:9]) == train[:9], "there and back"
print(f"different lines in the training set: {len(known[5]):,}")
for n, name in ((5, "lines"), (10, "couplets"), (20, "poems")):
    print(f"test {name} that are not among them: {new(test, n):.1%}")
assert new(test, 5) < 0.001 < 0.2 < new(test, 10) < 0.3 < 0.98 < new(test, 20)

# %% [markdown]
# A poem is `T` = 20 numbers, and each is one of `V` = 331 characters. The grammar has fewer than 5,000 different lines,
# and the training set holds practically all of them. About a quarter of the couplets in the test set are new, and
# nearly all of its poems. So a network could learn the lines by heart, and many couplets, but not the poems. We shall
# come back to this when we ask whether ours recites.

# %% [markdown]
# ## The idea
#
# We cannot keep a table of all poems and draw from it: there are $331^{20}$ strings of that length. But it is easy
# to draw *one character*. So draw one, look at it, draw the next one given the first, the third given the first two,
# and so on. The lecture's example is a line that every child in China knows, 床前明月光 (*before my bed, the bright
# moonlight*):
#
# ![Five times the same model. Into the first goes a start signal and out comes 床; that goes into the second, out of
# which comes 前, and so on: 明, 月, 光.](images/03_feedback.svg)
#
# The arrows between the boxes stand for a memory, which a recurrent network has. The dashed arrows are the trick:
# **what the network wrote is what it reads next**. The lecture calls this a PixelRNN, for a reason that becomes clear
# in the next chapter: a character is to a sentence what a pixel is to an image.

# %% [markdown]
# ## The one equation
#
# The probability of a poem is the product of the probabilities of its characters, each given those before it. Nothing
# is approximated here: this is the definition of a conditional probability, applied again and again. In logarithms the
# product becomes a sum:
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
# The decoder of chapter 2 could not give us this number: the exact probability of anything it might write.

# %% [markdown]
# ## Build it by hand: a table of pairs
#
# The simplest memory is one character long. In all training poems, count how often each character follows each other
# one. Row `V` of the table is for the beginning of a poem, where no character comes before. Then divide each row by its
# sum. (We add a tenth of a count everywhere, so that a pair which never occurred does not get the probability 0.) A
# model of pairs like this one is called a **bigram** model.


# %%
def before(x):  # (B, T): what stands before each character
    return torch.cat([torch.full_like(x[:, :1], V), x[:, :-1]], 1)


counts = torch.zeros(V + 1, V)
pairs = before(x_train).flatten(), x_train.flatten()
counts.index_put_(pairs, torch.ones(N * T), accumulate=True)
bigram = (counts + 0.1) / (counts + 0.1).sum(1, keepdim=True)  # rows sum to 1

# %% tags=["checking"]
seen = (counts > 0).float().mean().item()
print(f"{seen:.1%} of all pairs occur")
assert seen < 0.03

# %% [markdown]
# Of all pairs of characters, fewer than 3 in 100 ever occur. If you know one character, you can rule out nearly all the
# others as the next. Now let the table write. Start in its last row, draw a character, go to that character's row, and
# draw again.


# %%
def write_by_table(n):
    x, previous = [], torch.full((n,), V)
    for _ in range(T):
        p = bigram[previous].to(device)  # (n, V)
        previous = p.multinomial(1, generator=generator)[:, 0].cpu()
        x.append(previous)
    return torch.stack(x, 1)


def valid_share(poems):  # how many have no mistake at all?
    return sum(not language.mistakes(poem) for poem in poems) / len(poems)


tables = read(write_by_table(1000))

# %% [markdown]
# The table has written a thousand poems. Every single step was reasonable, and yet the poems go wrong. The grammar can
# tell us where:

# %% tags=["drawing"]
show_judged(tables[:4])

# %% tags=["checking"]
print(f"{valid_share(tables):.1%} of the table's poems are valid")
assert valid_share(tables) < 0.02

# %% [markdown]
# Red marks a character that cannot follow what stands before it. Nearly every pair of neighbours in these poems does
# occur, but a memory of one character forgets the line, the couplet and the poem. (A poem is **valid** if not one
# character is red. Fewer than one in fifty of the table's poems are.)

# %% [markdown]
# ## Build the network: a memory that reaches back
#
# A **recurrent network** keeps a **state**, a list of numbers, and updates it with every character that it reads. In
# the simplest kind, the new state is a squashed sum of the character and the old state:


# %%
class PlainCell(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.read = nn.Linear(features, features)
        self.recall = nn.Linear(features, features)

    def forward(self, character, state):  # (B, features), and two of these
        hidden, unused = state
        return (self.read(character) + self.recall(hidden)).tanh(), unused


# %% [markdown]
# The whole state is rewritten at every step. In the **LSTM** ([Hochreiter and Schmidhuber,
# 1997](references.md#hochreiter1997)) there is a second list of numbers, the **cell**, which is not rewritten but
# edited. Three **gates**, numbers between 0 and 1, say how much of the cell to keep, how much to write into it, and how
# much of it to show:


# %%
class LSTMCell(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.read = nn.Linear(features, 4 * features)
        self.recall = nn.Linear(features, 4 * features)

    def forward(self, character, state):
        hidden, cell = state  # (B, features) each
        four = self.read(character) + self.recall(hidden)  # (B, 4 · features)
        write, keep, note, show = four.chunk(4, dim=1)
        cell = keep.sigmoid() * cell + write.sigmoid() * note.tanh()
        return show.sigmoid() * cell.tanh(), cell


# %% [markdown]
# The line to look at is the one that begins with `cell =`. Where `keep` is near 1 and `write` near 0, the cell passes
# to the next step as it is. (`keep` is usually called the forget gate, although it forgets when it is 0.) Around a
# cell of either kind we need a vector for each character, and a layer that turns what the cell shows into logits:


# %%
class Writer(nn.Module):
    def __init__(self, V, features, Cell):
        super().__init__()
        self.embed = nn.Embedding(V + 1, features)  # the last row: start token
        self.cell = Cell(features)
        self.head = nn.Linear(features, V)

    def begin(self, n):  # n sentences, and nothing to remember yet
        zeros = self.head.weight.new_zeros(n, self.head.in_features)
        return zeros, zeros

    def step(self, previous, state):  # one character in, logits for the next
        if previous is None:  # before the first character
            previous = torch.full_like(state[0][:, 0], V, dtype=torch.long)
        state = self.cell(self.embed(previous), state)
        return self.head(state[0]), state  # (n, V)

    def forward(self, x):  # (B, T) -> logits (B, T, V)
        logits, state = self.step(None, self.begin(len(x)))
        all_logits = [logits]
        for t in range(x.shape[1] - 1):
            logits, state = self.step(x[:, t], state)
            all_logits.append(logits)
        return torch.stack(all_logits, 1)


# %% [markdown]
# At position $t$ the network is asked for $x_t$, and has read everything before it but never $x_t$ itself. The library
# has the same network, `CharRNN`. It calls PyTorch's `nn.LSTM`, which computes the same cell faster. We copy its
# weights into ours and compare.


# %%
def by_hand(model):  # our Writer with the weights of a CharRNN
    writer = Writer(V, config.features, LSTMCell).to(device)
    writer.embed, writer.head = model.embed, model.head
    weights = dict(model.lstm.named_parameters())
    for part, name in ((writer.cell.read, "ih"), (writer.cell.recall, "hh")):
        part.weight = weights[f"weight_{name}_l0"]
        part.bias = weights[f"bias_{name}_l0"]
    return writer


# %% [markdown]
# Here is the model that we shall train, and a copy that stays as it is:

# %%
from course_lib.layers import initialised_by
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

config = CharRNNConfig(levels=V, features=128)
model = CharRNN(config, generator=generator).to(device)
untrained = copy.deepcopy(model)  # for comparison, later
x, x_many = x_test[:4].to(device), x_test[:500].to(device)

# %% tags=["checking"]
from course_lib.check import assert_causal, assert_close

assert_causal(by_hand(model), x)
assert_close(by_hand(model)(x), model(x), name="the library's CharRNN")

# %% [markdown]
# `assert_causal` changes each character in turn and checks which logits change: none depends on its own character or on
# a later one. And with the same weights, our cell and PyTorch's give the same logits.
#
# The library adds one thing: it starts with 2 added to every `keep`, so that its gates are open at first
# ([Jozefowicz et al., 2015](references.md#jozefowicz2015)). We shall see later what this is good for.

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
# The result is $-\log p(x)$ of each sentence. In generation there is no true character to go on from:


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
assert_close(-train_on(model, x), model.log_prob(x), name="the loop")

# %% [markdown]
# The first loop is called **teacher forcing**: a teacher corrects every character before the next one is asked for.
# Nothing has to be drawn in it, so all inputs are known beforehand, and a fast implementation gets the whole sentence
# in one call. Inside, an LSTM still walks from left to right. The second loop must draw each character before it can
# read it. Here are both for one line, before any training. Blue is what the network made up:

# %% tags=["drawing"]
from course_lib.show.typeset import show_table

true, blue = test[0], read(write_with(model, 1))[0]
rows = [["start", true[0], "start", blue[0]]]
rows += [[true[t - 1], true[t], blue[t - 1], blue[t]] for t in range(1, 5)]
marks = {(t, 3): "own" for t in range(5)}
marks |= {(t, 2): "own" for t in range(1, 5)}
header = ["training in", "target", "writing in", "drawn"]
show_table(header, rows, marks=marks)

# %% [markdown]
# The lecture remarks that a sentence model is not used the way it is trained. This table shows why. Keep its third
# column in mind: **in training, no input is ever blue.**

# %% [markdown]
# ## Knobs

# %%
steps = 3500  # about 40 s on one core
batch_size = 32  # few poems a step: a rough direction, but many steps
lr = 8e-3  # large at first; the cosine schedule takes it down to 0

# %% [markdown]
# With 32 poems a step, each of the 60,000 is read about twice.

# %% [markdown]
# ## Train
#
# How low can the loss go? A poem of the grammar has the true probability $p(x)$, so even a perfect model pays
# $H = \mathbb{E}[-\log p(x)]$ nats on average. This is the grammar's **entropy**. A model $q$ pays
# $\mathbb{E}[-\log q(x)] = H + \mathrm{KL}(p \,\|\, q)$, which is never less than $H$. So $H$ is the **floor**: a model
# that reaches it has learnt everything there is to learn. On the way down, let the network write after 50, 200, 1,000
# and 3,500 steps.

# %%
from course_lib.train.session import Session

knobs = {"lr": lr, "steps": steps, "schedule": "cosine"}
session = Session(model, generator=generator, **knobs)
x_valid = vocabulary.encode_all(valid).to(device)
diary, chance = {}, make_generator(seed, device)


def nll(x):  # (B,) nats
    return -model.log_prob(x)


for batch in session.batches(x_train.to(device), batch_size):
    session.minimise(nll(batch))
    if session.step in (50, 200, 1000, steps):
        diary[session.step] = read(model.sample(500, length=T, generator=chance))
    if session.step % 175 == 0:
        session.validate(nll, x_valid, batch_size)

# %% tags=["drawing"]
from course_lib.show.plots import show_columns, show_curves

floor = language.entropy() / T  # nats per character
at, nats = zip(*session.history.valid, strict=True)
show_curves(
    {"validation poems": (at, [n / T for n in nats])},
    xlabel="step",
    ylabel="nats per character",
    floors={"entropy of the grammar": floor},
)

# %% [markdown]
# The loss comes down to the floor and ends just above it. What do these numbers look like as poems?

# %% tags=["drawing"]
from course_lib.show.typeset import side_by_side

side_by_side({f"after {n:,} steps": show_judged(diary[n][:2]) for n in diary})

# %% tags=["checking"]
for n, poems in diary.items():
    red = sum(len(language.mistakes(poem)) for poem in poems) / len(poems)
    print(f"{n:5,} steps: {red:4.1f} mistakes a poem, {valid_share(poems):.0%} valid")
at_50, at_200, at_1000, at_the_end = map(valid_share, diary.values())
starts = [places[0] for poem in diary[1000] if (places := language.mistakes(poem))]
at_rhyme = sum(place >= 18 for place in starts) / len(starts)
print(
    f"after 1,000 steps, first mistake at place 19 or 20: {at_rhyme:.0%} of the wrong"
)
assert at_rhyme > 0.33
assert at_50 < 0.03 < at_200 < 0.25 < 0.5 < at_1000 < 0.85 < 0.9 < at_the_end

# %% [markdown]
# These are the first two poems that it wrote each time. After 50 steps it has words, but no order. After 200 steps most
# couplets have their shape, and about one poem in seven is valid. After 1,000 steps 66 to 77 % are valid, depending on
# the seed. Of the others, 41 to 66 % make their first mistake at the last word: the rhyme is learnt late. At the end 93
# to 96 % are valid.

# %% [markdown]
# ## Measure: the loss beside the floor
#
# Nats per character are easier to picture as **perplexity**, $e^{\text{nats}}$. It answers the question: how many
# equally likely characters is the model choosing between, on average?

# %%
with torch.no_grad():
    log_q = model.log_prob(x_test.to(device)).cpu()  # (N,) nats a poem
log_p = torch.tensor([language.log_prob(poem) for poem in test])
excess = (log_p - log_q) / T  # (N,) nats per character above the grammar's own

# %% tags=["checking"]
from course_lib.prob import bits_per_dim

price = {
    "uniform": math.log(V),
    "table of pairs": -bigram[before(x_test), x_test].log().mean().item(),
    "network": -log_q.mean().item() / T,
    "floor": floor,
}
rows = [
    [who, f"{n:.3f}", f"{bits_per_dim(n, 1):.2f}", f"{math.exp(n):.2f}"]
    for who, n in price.items()
]
show_table(["", "nats/char", "bits", "perplexity"], rows)

# %% [markdown]
# The network is just above the floor, and the table of pairs is far above both. But 2,000 poems are only a sample. By
# luck they may be a little easier or harder than the average poem, and this would move the network's number. The
# `excess` does not have this problem: it compares each poem with what the grammar pays for that same poem. Its mean
# estimates $\mathrm{KL}(p \,\|\, q)$ per character, which is all that is left to learn.

# %% tags=["checking"]
kl, error = excess.mean().item(), excess.std().item() / len(test) ** 0.5
print(f"left to learn: {kl:.4f} ± {error:.4f} nats/char (one standard error)")
print(f"            or {kl / floor:.1%} of the floor")
assert 0.005 < kl < 0.013, "about one per cent of the floor"
assert 2 * error < 0.0012, "known to about a thousandth"

# %% [markdown]
# About one per cent of the floor is left to learn: 0.007 to 0.009 nats per character, depending on the seed. Two
# standard errors are one thousandth of a nat. Does what the network writes show this? Let it write 4,000 poems.

# %%
own = read(model.sample(4000, length=T, generator=generator))

# %% tags=["checking"]
good = [poem for poem in own if not language.mistakes(poem)]
rows = [
    [name, f"{new(good, n):.1%}", f"{new(test, n):.1%}"]
    for n, name in ((5, "lines"), (10, "couplets"), (20, "poems"))
]
learnt = torch.tensor([sum(c in known[10] for c in cut(poem, 10)) for poem in test])
by_known = [excess[learnt == n].mean().item() for n in range(3)]
print(f"valid: {valid_share(own):.1%} (the table: {valid_share(tables):.1%})")
print("nats/char above the grammar, test poems with")
for n, nats in zip(("no", "one", "two"), by_known, strict=True):
    print(f"{n:>5} couplet from the training set: {nats:.4f}")
assert valid_share(own) > 0.9, "nine in ten keep every rule"
print(f"new lines in all of its poems: {new(own, 5):.1%}")
assert abs(new(good, 10) - new(test, 10)) < 0.03 and new(good, 20) > 0.98
assert 0.01 < new(own, 5) < 0.04, "a new line is a wrong line"
assert max(by_known) < 0.025 * floor, "what is new costs hardly more"
show_table(["not in the training set", "its valid poems", "grammar's own"], rows)

# %% [markdown]
# More than nine in ten of its poems keep every rule: words, tones, theme and rhyme. Is it reciting? The table compares
# the novelty of its valid poems with that of the grammar's own. Its couplets are new about as often as the grammar's
# (both 24 to 26 %, depending on the seed), and so are its poems. Among all its poems 2 % of the lines are new. The
# training set has practically all right lines, so a new line is a wrong line.
#
# A network that knew couplets by heart would be surprised by new ones. This one is surprised a little: for poems made
# of two new couplets it pays 0.011 to 0.017 nats per character more than the grammar, and for poems made of two known
# ones 0.005 to 0.007. New couplets are also those with rare words, but between couplets of the same probability more
# than half of the difference remains (measured once). So a part of it is memory. It is small beside the 0.915 nats of
# the floor. The network has learnt the lines, and the rules by which they combine.
#
# Follow one of its poems as it is written. Before each step, the bars show what the network expects, what the table of
# pairs would expect, and the truth. The marked character was drawn.

# %% tags=["drawing"]
from course_lib.show.typeset import show_bars

written_now = next(poem for poem in own if not language.mistakes(poem))
x_now = vocabulary.encode(written_now)[None]
with torch.no_grad():
    expected = model(x_now.to(device))[0].softmax(-1)


def named(p):  # (V,) probabilities with their characters
    return dict(zip(vocabulary.characters, p.tolist(), strict=True))


def show_step(place):
    t = place - 1
    here = {"network": named(expected[t])}
    here["truth"] = language.next_character(written_now[:t])
    here["table of pairs"] = named(bigram[before(x_now)[0, t]])
    so_far = show_poems([written_now[:place]], language.lexicon, given=t, gloss=True)
    bars = show_bars(here, chosen=written_now[t])
    return side_by_side({"so far": so_far, "expected": bars})


# %%
from course_lib.show.explore import explore

explore(
    show_step,
    place=range(1, T + 1),
    alt="a poem of the network so far, and what it expects next",
)

# %% [markdown]
# (This is the first valid poem of the 4,000.) Where the grammar leaves a choice, the network leaves nearly the same
# one, and where the grammar leaves none, the network is sure. The table knows only the character before: it is good
# inside words and lost between them.

# %% [markdown]
# ## The state is a summary
#
# To draw character 20, the network does not read the first 19 again: the state sums up what it has read. (The loop of
# `train_on` carries the state, and gives the same $\log p(x)$ as `forward`: we have asserted it.) One poem takes 20
# steps this way. Reading everything again for each character would take 1 + 2 + … + 20 = 210.
#
# What is in this summary? First look at it from outside: change character 10 and see what happens to the distribution
# of character 20. Take poems whose couplets both end in a word of one character, so that character 10 can be exchanged,
# and only the last character has to follow it.


# %%
def one_character_ends(poem):
    ends = language.gloss(poem)[-1][0], language.gloss(poem[:10])[-1][0]
    return max(map(len, ends)) == 1


def changed(poem, tenth):  # another character 10
    return poem[:9] + tenth + poem[10:]


@torch.no_grad()
def last_of(poems):  # (n, V): what the network expects at the last place
    x = vocabulary.encode_all(poems).to(device)
    return model(x)[:, -1].softmax(-1).cpu()


short = [poem for poem in test if one_character_ends(poem)]
tenths = list(language.next_character(short[0][:9]))

# %% [markdown]
# About a quarter of the test poems are of this kind. Here is the first. The slider changes its character 10:


# %% tags=["drawing"]
def show_rhyme(tenth):
    poem = changed(short[0], tenth)
    here = {"network": named(last_of([poem])[0])}
    here["truth"] = language.next_character(poem[:19])
    poem = show_poems([poem[:19]], language.lexicon, gloss=True)
    return side_by_side({"read": poem, "expected next": show_bars(here, top=6)})


# %%
explore(
    show_rhyme,
    tenth=tenths,
    labels={"tenth": "character 10"},
    alt="a poem without its last character, and what the network expects there",
)

# %% [markdown]
# The poem is the same except for character 10, and the expected last character follows its rhyme. Now measure this on
# all such poems. The control is another character 10 of the *same* rhyme, which should change nothing.


# %%
def moved(poems, same_rhyme):  # total variation at character 20
    rhyme, others = language.lexicon.rhymes, []
    for poem in poems:
        fits = [c for c in tenths if c != poem[9]]
        fits = [c for c in fits if (rhyme[c] == rhyme[poem[9]]) == same_rhyme]
        others.append(changed(poem, fits[len(others) % len(fits)]))
    return (last_of(poems) - last_of(others)).abs().sum(1).mean().item() / 2


# %% tags=["checking"]
other, same = moved(short, same_rhyme=False), moved(short, same_rhyme=True)
print(f"of the last character's probability, in {len(short)} poems,")
print(f"{other:.0%} moves if character 10 has another rhyme,")
print(f"{same:.0%} if it has the same rhyme (the grammar's: 100% and 0%)")
assert other > 0.8 and same < 0.2

# %% [markdown]
# If character 10 gets another rhyme, 98 to 99 % of the probability at character 20 moves elsewhere. If it gets another
# character of the same rhyme, 1 to 2 % does. So the network remembers the rhyme, and hardly anything else of that
# character.
#
# Now look inside. A **linear probe** is the simplest possible reader of a state: one linear layer, fitted to say from
# the state alone what rhyme the poem has, or what its first character was.


# %%
@torch.no_grad()
def states_of(model, x):  # (B, T, 256): hidden and cell, after each character
    states, (_, state) = [], model.step(None, model.begin(len(x)))
    for t in range(T):
        _, state = model.step(x[:, t], state)
        states.append(torch.cat([part.flatten(1) for part in state], 1))
    return torch.stack(states, 1).cpu()


def probe(states, labels, fitted=3000):  # the share that it names correctly
    states = F.pad(states, (0, 1), value=1.0)  # a constant
    A, answers = states[:fitted], F.one_hot(labels[:fitted]).float()
    weights = torch.linalg.solve(A.T @ A + torch.eye(A.shape[1]), A.T @ answers)
    named_right = (states[fitted:] @ weights).argmax(1) == labels[fitted:]
    return named_right.float().mean().item()


# %% [markdown]
# The probe is fitted on 3,000 training poems and tested on 1,000 others. The control is the network before its
# training, whose state is a random mixture of what it read.

# %%
sounds = [language.lexicon.rhymes[poem[9]] for poem in train[:4000]]
labels = {
    "the rhyme": torch.tensor([sorted(set(sounds)).index(s) for s in sounds]),
    "the first character": x_train[:4000, 0].unique(return_inverse=True)[1],
}
read_off, places = {}, range(1, 19)
for when, network in (("trained", model), ("untrained", untrained)):
    states = states_of(network, x_train[:4000].to(device))
    for what, label in labels.items():
        right = [probe(states[:, t - 1], label) for t in places]
        read_off[f"{what}, {when}"] = places, right

# %% tags=["drawing"]
show_curves(
    read_off,
    xlabel="characters read (the rhyme is the tenth)",
    ylabel="share that a linear probe names",
    ylim=(0, 1.03),
)

# %% tags=["checking"]
rhyme, first, rhyme_untrained, first_untrained = (r[-1] for _, r in read_off.values())
guess = {what: label.bincount().max().item() / 4000 for what, label in labels.items()}
print("after 18 characters a probe names (trained / untrained / best guess)")
print(f"the rhyme:           {rhyme:.0%} / {rhyme_untrained:.0%}", end=" / ")
print(f"{guess['the rhyme']:.0%}")
print(f"the first character: {first:.0%} / {first_untrained:.0%}", end=" / ")
print(f"{guess['the first character']:.0%}")
assert rhyme > 0.98 > 0.85 > rhyme_untrained, "kept, because it is needed"
assert first < first_untrained - 0.1 < 0.8, "let go, because it is not"

# %% [markdown]
# Both characters are in the state right after they were read: the probe names them without a mistake. Training changes
# what happens then. The trained network keeps the rhyme: after 18 characters, the probe still names all of them, where
# the untrained network has lost a third. The first character, which is of no further use once its line is written, is
# dropped *faster* than by the untrained network: 41 to 54 % can still be named, against 71 to 74 %. (A probe that
# always guesses the commonest gets 26 % and 8 %.)
#
# So the state is not "everything so far". It is a **lossy summary of fixed size**: 256 numbers, whether 5 characters
# were read or 5,000. Training decides what stays in it. That is enough for a poem of 20 characters. In a long text
# something is lost sooner or later that turns out to be needed. This is why **attention** was invented: a network with
# attention keeps the states of all places and looks back at any of them, at the price of a memory that grows with the
# text.
#
# ### Why the gates
#
# To learn the rhyme, the loss at the last character must change the weights through a character ten places back.
# Measure how strongly this loss depends on each input before it: in a plain network, in an LSTM without the 2 added to
# `keep`, in ours before the training, and in ours after it.


# %%
def reach(writer, x):  # (T,): gradient norm at each input, the latest first
    seen = []
    watch = writer.embed.register_forward_hook(lambda *call: seen.append(call[2]))
    last = F.cross_entropy(writer(x)[:, -1], x[:, -1], reduction="sum")
    watch.remove()
    gradients = torch.autograd.grad(last, seen)[::-1]  # T of (B, features)
    norms = torch.stack([g.norm(dim=1).mean() for g in gradients])
    return norms / norms[0]


with initialised_by(generator):
    plain, half_open = (
        Writer(V, config.features, cell).to(device) for cell in (PlainCell, LSTMCell)
    )
cells = {"plain": plain, "LSTM, gates half open": half_open}
cells |= {"LSTM, open": by_hand(untrained), "LSTM, trained": by_hand(model)}
x_short = vocabulary.encode_all(short).to(device)
reached = {name: reach(writer, x_short) for name, writer in cells.items()}

# %% tags=["drawing"]
show_curves(
    {name: (range(1, T + 1), norms) for name, norms in reached.items()},
    xlabel="places back from the last character",
    ylabel="gradient (1: one place back)",
    yscale="log",
    ylim=(1e-5, 1.3),
)

# %% tags=["checking"]
for name, norms in reached.items():
    print(f"{name:22s}ten places back: {norms[9]:.4f}, eleven: {norms[10]:.4f}")
at_ten = [norms[9].item() for norms in reached.values()]
assert at_ten[0] < 0.0015 and at_ten[1] < 0.01, "before the training, both vanish"
assert at_ten[2] > 0.3, "with open gates it does not"
trained = reached["LSTM, trained"]
assert trained[8:10].max() > trained[6], "after it, the rhyme stands out"
assert trained[9] > 2 * trained[10]

# %% [markdown]
# Read the three untrained curves first. In the plain network each step back more than halves the gradient, and at ten
# places less than a thousandth is left. This is the **vanishing gradient**: each step back multiplies the gradient by
# the same matrix and by the slope of the squashing function, again and again. Gates alone do not prevent it. With
# `keep` near one half, an LSTM halves its cell at every step, and less than a hundredth is left. With open gates, a
# third of the gradient arrives. So the gates make it *possible* to keep a number, and the 2 added to `keep` makes it
# likely from the start. In the trained network most of the gradient is gone after five places, but at nine and ten,
# where the rhyme is, it rises again; one place further back it falls to less than half.
#
# Is such a gradient what it takes? Here are three networks that differ in their cells alone, trained with the knobs of
# this chapter (`python benchmarks/train.py poems_plain --steps 3500`, and likewise `poems_half_open` and `poems_open`;
# one seed each). The last two characters are those that rhyme. Two rows say what the same test poems cost a reader who
# knows the grammar: *the grammar itself* has read everything, and for *rhyme hidden* the last word of the second line
# was covered:
#
# | cell | nats/char | character 19 | character 20 |
# |---|---|---|---|
# | plain | **0.994** | 1.15 | 1.24 |
# | half_open | **0.929** | 0.59 | 0.51 |
# | open | **0.925** | 0.52 | 0.51 |
# | the grammar itself | 0.917 | 0.50 | 0.50 |
# | rhyme hidden | | 1.15 | 1.24 |


# %%
def rhyme_hidden(poem):  # nats at 19 and 20 if line 2's last word is unknown
    begun = 10 - len(language.gloss(poem[:10])[-1][0])
    ends, nats = {poem[:begun]: 1.0}, []  # what may stand there: its probability
    for _ in range(begun, 10):
        steps = [(e, c, p) for e in ends for c, p in language.next_character(e).items()]
        ends = {e + c: ends[e] * p for e, c, p in steps}
    for t in range(10, T):
        chance = {e: language.next_character(e + poem[10:t]) for e in ends}
        now = {e: p * chance[e].get(poem[t], 0) for e, p in ends.items()}
        nats.append(math.log(sum(ends.values()) / sum(now.values())))
        ends = now  # each end's share, given what was read after it
    return nats[-2:]


# %% tags=["checking"]
hidden = torch.tensor([rhyme_hidden(poem) for poem in test[:500]])
for place, nats in zip((19, 20), hidden.T, strict=True):
    error = nats.std().item() / len(nats) ** 0.5
    print(f"character {place}, rhyme hidden: {nats.mean():.2f} ± {error:.2f} nats")
assert abs(hidden.mean() - 1.2) < 0.1, "what the plain network pays"

# %% [markdown]
# The plain network pays for characters 19 and 20 what a reader pays who knows everything *but* the rhyme. Five times as
# many steps do not change that (1.15 and 1.24 nats); with a quarter of the learning rate as well, it begins to learn it
# (0.93 and 1.06; each was tried once). The LSTM learns the rhyme with half-open gates too, though less than a hundredth
# of the gradient arrives at first; with open gates it is a little ahead all the way.
#
# A gradient that reaches back at the start is not enough: a plain network whose matrix starts as the identity has it,
# and learns no rhyme in 3,500 steps. (Tried once: with a learning rate of 0.002 it pays 1.16 and 1.24 nats. Before the
# training, 0.43 of its gradient arrives ten places back. With half that learning rate, which does no better, it is
# 0.28, 0.05 and 0.02 after 100, 500 and 1,500 steps.) The gates let the cell *keep* it.

# %% [markdown]
# ## Play: how to draw
#
# The lecture remarks that taking the most likely word is not the only way to read the output. We can divide the logits
# by a **temperature** $\tau$ before the softmax. Below 1, likely characters become more likely still, and in the limit
# 0 only the likeliest is ever taken (**greedy** decoding; the library writes it as `temperature=0`). Above 1, all
# characters become more alike. Two other ways cut off the tail of unlikely characters: **top-k** draws among the $k$
# likeliest only, and **nucleus** sampling (top-p) among the fewest that together have a probability of at least $p$.


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

with torch.no_grad():
    row = model(x)[:1, 0]  # what may stand at the beginning of a poem
assert torch.equal(keep_top_k(row, 5), decode.keep_top_k(row, 5))
assert torch.equal(keep_nucleus(row, 0.9), decode.keep_top_p(row, 0.9))

# %% [markdown]
# The characters that are kept share the probability of those that are cut. Which way is best? We judge each way by two
# numbers. *Validity* is the share of poems without a mistake. *Variety* we count as the number of different **valid**
# lines in a thousand poems. It must be valid lines: nonsense is always varied. At temperature 2 only about one line in
# six is one of the grammar's. (A line is valid if it stands in the training set, which has practically all there are.)


# %%
def worth(poems):  # (validity, variety)
    lines = {line for poem in poems for line in cut(poem, 5)}
    return valid_share(poems), len(lines & known[5])


def poems_by(**way):  # a thousand
    chance = make_generator(seed, device)
    return read(model.sample(1000, length=T, generator=chance, **way))


temperatures = [0, 0.5, 0.8, 0.9, 1, 1.25, 1.5, 2]
by_temperature = {t: poems_by(temperature=t) for t in temperatures}
worths = {
    "temperature": {t: worth(poems) for t, poems in by_temperature.items()},
    "top-k": {k: worth(poems_by(top_k=k)) for k in (2, 5, 10, 20, 40)},
    "nucleus": {p: worth(poems_by(top_p=p)) for p in (0.8, 0.9, 0.95, 0.98)},
}

# %% tags=["drawing"]
frontier = {way: zip(*points.values(), strict=True) for way, points in worths.items()}
frontier["the grammar's own"] = [[each] for each in worth(test[:1000])]
show_curves(
    {way: tuple(map(list, points)) for way, points in frontier.items()},
    xlabel="validity: share of valid poems",
    ylabel="variety: different valid lines in 1,000 poems",
    xlim=(0.88, 1.005),
    ylim=(0, 2100),
)

# %% tags=["checking"]
shown = [("temperature", t) for t in (1, 0.9, 0.8)]
shown += [("top-k", k) for k in (40, 20, 10, 5)] + [
    ("nucleus", p) for p in (0.98, 0.95, 0.9)
]
rows = [
    [f"{w} {s}", f"{worths[w][s][0]:.1%}", f"{worths[w][s][1]:,}"] for w, s in shown
]
of_grammar, cooler = worth(test[:1000])[1], worths["temperature"][0.8]
few, most = worths["top-k"][10], worths["nucleus"][0.95]
rows.append(["the grammar's own", "100.0%", f"{of_grammar:,}"])
assert few[0] < cooler[0] < most[0] and few[1] < cooler[1] < most[1]
assert most[1] > 0.92 * of_grammar and most[0] > 0.99
copied = worth(train[:1000])
assert copied[0] == 1 and copied[1] > most[1], "copying beats it"
with torch.no_grad():
    left = decode.keep_top_p(model(x_many).flatten(0, 1), 0.95)
forbidden = left.gather(1, x_many.flatten()[:, None]).isinf().float().mean().item()
assert 0.003 < forbidden < 0.008
print(f"true characters that the nucleus of 0.95 forbids: {forbidden:.1%}")
show_table(["", "valid", "different valid lines"], rows)

# %% [markdown]
# One more row, for a control: a k that knows the grammar, and at each place is the number of right characters.


# %%
@torch.no_grad()
def poems_by_right_k(n=1000):
    poems, state, previous = [""] * n, model.begin(n), None
    chance = make_generator(seed, device)
    for _ in range(T):
        logits, state = model.step(previous, state)
        k = [len(language.next_character(poem)) or V for poem in poems]
        kept = [keep_top_k(row, n) for row, n in zip(logits, k, strict=True)]
        previous = decode.draw(torch.stack(kept), generator=chance)
        poems = [a + b for a, b in zip(poems, read(previous[:, None]), strict=True)]
    return poems


# %% tags=["checking"]
right_k = worth(poems_by_right_k())
print(f"k = how many are right: {right_k[0]:.1%} valid, {right_k[1]:,} lines")
assert right_k[0] > 0.98 and right_k[1] > cooler[1] + 50

# %% [markdown]
# The best place is the upper right corner, where the dot of the grammar's own poems is. Each curve comes from the upper
# left, where nothing is cut or cooled, and ends at the lower right, where there is little variety left. At the same
# validity the nucleus is more varied than the other two. Above about 95 % validity cooling beats top-k; with k from 20
# to 40 hardly anything is cut, and the two are nearly alike. With p = 0.95, 99 to 100 % of the poems are valid, and
# there are nearly as many different lines as in the grammar's own poems. Temperature 0.8 gives 98 to 99 %, with about
# 160 lines fewer, and k = 10 gives 96 to 97 %, with fewer still. The reason is in the bars that you have seen above:
# how many characters are right changes from place to place. The nucleus adapts to that, and a fixed k cannot. The
# control agrees: a k that is right at every place does as well as the nucleus, with nearly 100 % valid poems and about
# 1,900 lines.
#
# Three warnings. The nucleus forbids some true characters, the rare ones: 0.5 to 0.7 % of those in test poems. The two
# numbers do not see copying: a thousand poems copied from the training set would score 100 % and nearly 2,000 lines,
# above everything here. And this order is a finding about *this* language. Its lists of words are short, so few right
# characters are rare. In a real language it is harder to tell what is rare from what is wrong.


# %% tags=["drawing"]
def show_at(temperature):
    poems = by_temperature[temperature]
    share, lines = worth(poems)
    numbers = show_table(
        ["", ""], [["valid", f"{share:.0%}"], ["different valid lines", f"{lines:,}"]]
    )
    return side_by_side(
        {"of 1,000 poems": numbers, "the first four": show_judged(poems[:4])}
    )


# %%
explore(
    show_at,
    temperature=temperatures,
    alt="four poems drawn at a temperature, mistakes marked",
)

# %% [markdown]
# At temperature 0 the four poems are one and the same. Towards 2, hardly a poem is left without red.
#
# **Completion** needs nothing new. Feed the beginning to the network as if it had written it, and let it continue:


# %%
def complete(beginning, n=3, seed=seed):
    given = vocabulary.encode(beginning).to(device)
    chance = make_generator(seed, device)
    return read(model.sample(n, length=T, generator=chance, given=given))


# %% [markdown]
# Here is the beginning of a test poem, and three ways to go on. In the notebook, try any beginning you like:

# %% tags=["drawing"]
show_judged(complete(test[0][:5]), given=5, gloss=True)

# %% [markdown]
# One beginning, three poems. A model of a distribution has more than one answer.

# %% [markdown]
# ## One wrong step, all wrong?
#
# 一步错，步步错, the lecture says: one wrong step, and every step is wrong. In training no input was ever blue, so the network
# has only seen perfect beginnings. What does it do after a wrong one? Take a test poem, replace one character by one
# that cannot stand there, and let the network write the rest. From there on it reads *its own inputs*.


# %%
def slip(poem, t, chance=generator):  # its beginning, with a wrong character at t
    possible = language.next_character(poem[:t])
    wrong = [c for c in vocabulary.characters if c not in possible]
    i = torch.randint(len(wrong), (), device=device, generator=chance)
    return poem[:t] + wrong[i]


def written_after(beginnings, chance=generator):
    given = vocabulary.encode_all(beginnings).to(device)
    return read(model.sample(len(given), length=T, generator=chance, given=given))


slips = [slip(poem, 2) for poem in test[:500]]
after_slip = written_after(slips)

# %% tags=["drawing"]
show_judged(after_slip[:8], given=2)

# %% [markdown]
# The wrong character is at place 3. Some of these poems recover at once; others are red almost to the end. But look at
# their words: most of them are real words, only shifted. The network seems to have lost count. To check this, take
# eight characters, beginning three places after the slip, and ask the grammar at which places of a poem they *could*
# stand.


# %%
def late(poem, start=5):  # by how many places; None: they fit nowhere, or twice
    fits = language.places(poem[start : start + 8])
    return start - fits[0] if len(fits) == 1 else None


def recovered(poem, t):  # no further mistake
    return all(place <= t for place in language.mistakes(poem))


lost = [poem for poem in after_slip if not recovered(poem, 2)]
lateness = [late(poem) for poem in lost]

# %% tags=["drawing"]
shown = {
    "no further\nmistake": len(after_slip) - len(lost),
    "fit\nnowhere": lateness.count(None),
}
shown |= {
    f"{-n} early" if n < 0 else f"{n} late" if n else "in\nplace": lateness.count(n)
    for n in range(-3, 4)
}
show_columns(
    {name: count / len(after_slip) for name, count in shown.items()},
    ylabel="share of 500 poems",
    coloured=["no further\nmistake"],
)

# %% tags=["checking"]
n = len(after_slip)
one_late, nowhere = lateness.count(1) / n, lateness.count(None) / n
displaced = sum(late not in (None, 0) for late in lateness) / n
print(f"no further mistake: {1 - len(lost) / n:.0%} of {n} poems")
print(f"one place late {one_late:.0%}, any number of places off {displaced:.0%}")
print(f"fit nowhere {nowhere:.0%}, in place, and other mistakes", end=" ")
print(f"{lateness.count(0) / n:.0%}")
assert one_late > 0.27 and displaced > 0.5 and nowhere < 0.15
assert 0.15 < 1 - len(lost) / n < 0.35

# %% [markdown]
# Between 19 and 29 % of the poems make no further mistake, depending on the seed. Most of the others have lost count:
# 59 to 69 % of all poems go on with something that would be right at another place. The commonest case, 29 to 42 %, is
# one place late: the network takes the wrong character for an extra one. But it can also be early, or late by two. Some
# 9 to 11 % fit nowhere (or at two places), and 3 to 5 % are at the right place and make other mistakes. (The columns
# leave out what is more than three places off.)

# %% [markdown]
# ### Any place, and its own mistakes
#
# Place 3 was our choice, and so was a wrong character drawn at random. The lecture speaks of the network's *own* wrong
# step. So impose a slip at every place, 200 poems each, and compare with the network's own first mistakes: the poems
# among its 4,000 that have one.

# %%
imposed, rest = {}, {}
for t in range(T - 1):
    poems = written_after([slip(poem, t) for poem in test[:200]])
    later = [sum(place > t for place in language.mistakes(poem)) for poem in poems]
    imposed[t] = later.count(0) / 200  # without a further mistake
    rest[t] = sum(later) / 200 / (T - 1 - t)  # share of what follows that is wrong

faulty = [places for poem in own if (places := language.mistakes(poem))]
early = [places for places in faulty if places[0] < 18]  # something can follow

# %% tags=["drawing"]
own_at = [sum(places[0] == t for places in faulty) / len(faulty) for t in range(T)]
show_curves(
    {
        "a slip here: share of what follows that is wrong": (
            range(1, T),
            list(rest.values()),
        ),
        "share of its own first mistakes that are here": (range(1, T + 1), own_at),
    },
    xlabel="place",
    ylabel="share",
    ylim=(0, 1.02),
)

# %% tags=["checking"]
none_own = sum(len(places) == 1 for places in early) / len(early)
none_imposed = sum(imposed[places[0]] for places in early) / len(early)
wrong_own = sum(len(p) - 1 for p in early) / sum(T - 1 - p[0] for p in early)
follow = sum(rest[p[0]] * (T - 1 - p[0]) for p in early)
wrong_imposed = follow / sum(T - 1 - p[0] for p in early)
rows = [
    ["no further mistake", f"{none_own:.0%}", f"{none_imposed:.0%}"],
    ["of what follows, wrong", f"{wrong_own:.0%}", f"{wrong_imposed:.0%}"],
]
print(f"{len(faulty) / len(own):.1%} of its poems have a mistake,")
print(f"{sum(len(p) == 1 for p in faulty) / len(faulty):.0%} of these no second one;")
print(f"{1 - len(early) / len(faulty):.0%} of these make the first at place 19 or 20")
print(f"wrong after a slip at place 3 {rest[2]:.0%}", end=", ")
print(
    f"10 {rest[9]:.0%}, 11 {rest[10]:.0%}; no further mistake after 3 {imposed[2]:.0%}"
)
assert 0.55 < wrong_imposed < 0.8 and abs(wrong_own - wrong_imposed) < 0.1
assert none_imposed < none_own < 0.35
assert min(rest.values()) == rest[9] and rest[10] > 0.8, "places 10 and 11"
show_table(["first mistake before place 19", "its own", "imposed, same places"], rows)

# %% [markdown]
# Three things. First, it depends on the place. Over five seeds, a slip at place 11, where the second couplet begins,
# does most harm: 82 to 89 % of what follows is wrong. At place 10, the end of the first couplet, it does least, with 18
# to 27 %.
#
# Second, the network's own mistakes *look* harmless: only 6 to 7 % of its poems have one, and about half of those have
# no second one. But about a third of these first mistakes (29 to 37 %) are at place 19 or 20, the rhyme, where hardly
# anything can follow.
#
# Third, the control: of its own first mistakes before that, 24 to 30 % are the only mistake in their poem, and of what
# follows 61 to 69 % is wrong. For slips imposed at the same places these are 19 to 23 % and 67 to 70 %. So its own
# wrong steps do nearly as much harm as ours. *One wrong step, all wrong* is too strong: about one in four recovers at
# once. Where it does not, most of the rest is wrong. The slider opens at place 3, which is near the average of all
# places in both numbers:


# %% tags=["drawing"]
def show_slip(place):
    chance = make_generator(seed, device)
    begun = [slip(poem, place - 1, chance) for poem in test[:4]]
    return show_judged(written_after(begun, chance), given=place - 1)


# %%
explore(
    show_slip,
    place=range(1, 17),
    start={"place": 3},
    labels={"place": "wrong character at place"},
    alt="four poems after one wrong character, mistakes marked",
)

# %% [markdown]
# The characters before the slip are faded. At places 6, 11 and 16, look how whole words move across the ends of the
# lines.
#
# ### Is it reading itself that does it?
#
# Give the network the same slips at place 3, but then the true characters to read, whatever it draws. Each character it
# draws is judged as what may follow the true poem.


# %%
def wrong_when_forced(x, poems, judge):  # share of wrong draws at each place
    with torch.no_grad():
        logits = model(x.to(device))
    drawn = decode.draw(logits.flatten(0, 1), generator=generator).view_as(x)
    wrong = torch.zeros(x.shape[1])
    for row, poem in zip(read(drawn), poems, strict=True):
        for t, character in enumerate(row):
            wrong[t] += character not in judge.next_character(poem[:t])
    return wrong / len(poems)


def wrong_when_free(poems, judge):  # the same for what it wrote by itself
    wrong = torch.zeros(judge.length)
    for poem in poems:
        wrong[judge.mistakes(poem)] += 1
    return wrong / len(poems)


# %% [markdown]
# (What it writes by itself has no true poem to be compared with. There, a character counts as wrong if `mistakes` marks
# it, which is more lenient: it lets a wrong character pass as the beginning of something else.)

# %%
slipped = [begun + poem[3:] for begun, poem in zip(slips, test[:500], strict=True)]
x_slipped = vocabulary.encode_all(slipped)
after = {
    "slip, then its own inputs": wrong_when_free(after_slip, language),
    "slip, then true inputs": wrong_when_forced(x_slipped, test[:500], language),
    "no slip, its own inputs": wrong_when_free(own, language),
}

# %% tags=["drawing"]
show_curves(
    {how: (range(4, T + 1), at[3:]) for how, at in after.items()},
    xlabel="place (the wrong character is at 3)",
    ylabel="share of wrong characters",
    ylim=(0, 1),
)

# %% tags=["checking"]
for how, at in after.items():
    print(f"{how:27s}{at[3:].sum():5.1f} of {T - 3} wrong")
free, forced, none = (at[3:] for at in after.values())
assert 0.55 < free.mean() < 0.8 and free[-1] > 0.45, "wrong to the end"
assert forced[2:].max() < 0.05, "with true inputs two characters later it is right"
assert none.mean() < 0.06, "and by itself it seldom errs"

# %% [markdown]
# Right after the slip the two have read the same, and about three quarters of the next characters are wrong. With true
# inputs, this is over after one or two characters, and of 17 characters one is wrong. With its own inputs two thirds to
# three quarters of the 17 are wrong, and at the last place still more than half. The network is the same, and so is the
# slip. What differs is what it reads. This has a name, **exposure bias** ([Ranzato et al.,
# 2016](references.md#ranzato2016)): training exposes the network to the truth only, and gives it no practice in reading
# its own mistakes.

# %% [markdown]
# ## Past the end of the poem
#
# If the text is long enough, no slip is needed. Let the network, which has never seen more than 20 characters,
# write 50. A longer poem of the grammar keeps its theme, adds couplets of feelings, and every second line has the same
# rhyme. The control is again the same network with true inputs.

# %%
longer = PoemGrammar(lines=10)
poems = longer.sample(200, generator=generator)
long_own = read(model.sample(200, length=50, generator=generator))
by_place = {
    "its own inputs": wrong_when_free(long_own, longer),
    "true inputs": wrong_when_forced(vocabulary.encode_all(poems), poems, longer),
}
first_wrong = [(longer.mistakes(poem) or [50])[0] + 1 for poem in long_own]

# %% tags=["drawing"]
show_curves(
    {how: (range(1, 51), at) for how, at in by_place.items()},
    xlabel="place (trained on poems of 20)",
    ylabel="share of wrong characters",
    ylim=(0, 1.02),
)

# %% tags=["checking"]
at_21 = first_wrong.count(21) / 200
beyond = vocabulary.encode_all(long_own)[:, 20:]
attested = (counts[beyond[:, :-1], beyond[:, 1:]] > 0).float().mean().item()
free, forced = by_place.values()
print(f"first mistake exactly at place 21: {at_21:.0%} of 200 poems")
print(f"wrong at place 21 with true inputs: {forced[20]:.0%}")
print(f"wrong at places 27 to 29 with true inputs {forced[26:29].mean():.0%},", end=" ")
print(f"with its own {free[26:29].mean():.0%}; from 31 on {free[30:].mean():.0%}")
print(f"neighbours beyond place 20 that are a pair of the table: {attested:.0%}")
assert attested > 0.7, "words survive"
assert at_21 > 0.65 and forced[20] > 0.7, "lost at once"
assert forced[26:29].mean() < 0.1 and free[26:29].mean() > 0.65, "reading itself"
assert free[30:].mean() > free[26:29].mean(), "and it gets worse"
assert forced[30] > 0.6 and forced[40] > 0.6

# %% [markdown]
# About three quarters of the poems make their first mistake at place 21 *exactly*. Nothing can have built up by then:
# with true inputs too, 73 to 87 % are wrong at this place. Is it because the text has become too long? For a control,
# keep the length and change what was read. The first couplet of a poem describes a scene, and the grammar goes on in
# the same way after several scenes of the same theme and rhyme. How much probability does the network give to the
# characters that may stand next?


# %%
def follows(scene):  # what may come next, and the rhyme
    return frozenset(language.next_character(scene)), language.lexicon.rhymes[scene[9]]


def hope(beginnings, right):  # probability of a right next character, on average
    x = vocabulary.encode_all([begun + begun[0] for begun in beginnings])
    with torch.no_grad():
        p = model(x.to(device))[:, -1].softmax(-1).cpu()
    chosen = [vocabulary.encode("".join(characters)) for characters in right]
    return sum(row[i].sum().item() for row, i in zip(p, chosen, strict=True)) / len(p)


# %% tags=["checking"]
alike = {}
for scene in {poem[:10]: None for poem in train[:6000]}:
    alike.setdefault(follows(scene), []).append(scene)
one = [poem[:10] for poem in test[:300]]
one = [scene for scene in one if set(alike.get(follows(scene), [])) - {scene}]
two = [s + next(a for a in alike[follows(s)] if a != s) for s in one]
right = [follows(scene)[0] for scene in one]
after = [longer.next_character(poem[:20]) for poem in poems]
hopes = {
    "one scene, then place 11": hope(one, right),
    "two scenes, then place 21": hope(two, right),
    "three scenes, then place 31": hope([t + t[:10] for t in two], right),
    "a whole poem, then place 21": hope([poem[:20] for poem in poems], after),
    "its closing couplet alone, then place 11": hope([p[10:20] for p in poems], after),
}
scene, twice, thrice, whole, closing = hopes.values()
assert min(scene, twice, thrice) > 0.8, "no length is too long"
assert max(whole, closing) < 0.4, "past the couplet that ends a poem, it is lost"
show_table(["read", "right next"], [[what, f"{p:.0%}"] for what, p in hopes.items()])

# %% [markdown]
# The length is not the trigger. Give it two opening couplets, also 20 characters, and at place 21 it expects a right
# character with 91 to 99 %. After three, at place 31, it is 88 to 97 %. After a whole poem it is only 10 to 29 %. Give
# it a closing couplet alone, and it is lost at place 11 already, with 15 to 29 %. What it has never seen is anything
# after the couplet that ends a poem. The same happens at 31 and 41, where another closing couplet ends.
#
# What follows is the work of reading itself. With true inputs the network finds its way back within a few characters
# after each peak: at places 27 to 29, 2 to 6 % are wrong. With its own inputs, 72 to 81 % are, and it gets worse: from
# place 31 on it is 86 to 89 % on average. The end of the poem pushes it off the path, and its own text keeps it there.
# (Our judge is strict about places. 75 to 86 % of the neighbours in what it writes do occur side by side in the
# training set: as with the slips, words survive and places do not.) Chapter 9 measures these numbers again, after a
# training in which the network practises reading its own writing.

# %% [markdown]
# ## Break it
#
# Leave out the shift. The network then reads $x_t$ before it is asked for $x_t$. Everything else is as before; 200
# steps are enough.


# %%
from course_lib.train import fit


class Unshifted(CharRNN):
    def forward(self, x):
        h, _ = self.lstm(self.embed(x))  # x itself, not shifted by one
        return self.head(h)


copier = Unshifted(config, generator=generator).to(device)
few_steps = {"steps": 200, "batch_size": batch_size, "lr": lr, "generator": generator}
fit(copier, x_train.to(device), loss=lambda m, x: -m.log_prob(x), **few_steps)

# %% tags=["checking"]
with torch.no_grad():
    loss = -copier.log_prob(x_test.to(device)).mean().item() / T
nonsense = read(write_with(copier, 200))
print(f"{loss:.4f} nats/char, and the floor is {floor:.4f}")
print(f"{valid_share(nonsense):.0%} of its poems are valid")
assert loss < floor / 5 and valid_share(nonsense) == 0

# %% tags=["drawing"]
show_judged(nonsense[:4])

# %% [markdown]
# The loss is far below the floor. No model of these poems can do that, so something is wrong: this one reads the
# answer. When it writes, it repeats whatever came first, because repeating is all it has learnt. `assert_causal` would
# have told us before the training:

# %%
import textwrap

try:
    assert_causal(copier, x)
except AssertionError as message:
    print(textwrap.fill(str(message), 60))

# %% [markdown]
# What it expects at the first place depends on the character at the first place, which is the one it should predict.

# %% [markdown]
# ## The same on real text
#
# Only the measurements need the grammar. `python benchmarks/train.py tang --steps 1500` trains the same network on Tang
# poems. With `names --steps 6418` it learns first names, and with `shakespeare --minutes 3` Shakespeare (each text is
# downloaded once; on one or two cores the three runs below took 7 minutes, 41 seconds and 2.7 minutes). Nobody knows
# the floor for real text, so we compare with a table of pairs. For small texts it must be a better one than ours: after
# a character that was seen only a few times, it relies on how often each single character occurs. How much it does so
# is chosen on validation text. All numbers are for text that was held out, a tenth of each real text:
#
# | text | nats/char | table of pairs | uniform | V | weights |
# |---|---|---|---|---|---|
# | poems | **0.924** | 1.694 | 5.80 | 331 | 217,291 |
# | tang | **6.742** | 6.627 | 8.23 | 3758 | 1,098,030 |
# | names | **1.984** | 2.465 | 3.30 | 27 | 139,163 |
# | shakespeare | **1.505** | 2.488 | 4.17 | 65 | 559,937 |
#
# Published numbers for the last two: in [makemore](https://github.com/karpathy/makemore) a table of pairs reaches 2.45
# on the names, and a Transformer with 10.7 million weights reaches 1.47 on Shakespeare
# ([nanoGPT](https://github.com/karpathy/nanoGPT)). Each splits the text in its own way, so compare the first decimal
# only. This is what the Tang network writes, the first five of its poems:

# %% tags=["drawing"]
from course_lib.show.typeset import show_texts

tang = [
    "五寥紫桃卷空若思九月貧子知目香不篴相見淚",
    "寶去蓮青青青惜野地頭紅夢能在覺無年君春風",
    "母見搖身長安看似寂釣聞催夜年潺石與言食初",
    "日落翻連風至今日平葉可卿浮家燕即在青松有",
    "兩日西不都怨誰能屈行道久了牽行喜大歸已多",
]
show_texts(tang)

# %% [markdown]
# It has learnt pairs such as 長安 (*Chang'an*), 今日 (*today*) and 春風 (*spring wind*), and little more. On so little text
# the network is behind the table of pairs. It learns from 2,892 poems (321 more are for validation), and the vocabulary
# has 3,758 characters. The grammar gave us 60,000 poems in 331 characters. Of names and of Shakespeare there is more
# text for each character, and there the network is far ahead of the table.

# %% [markdown]
# ## What we saw
#
# - The probability of a sentence is a product of conditional probabilities, exactly. Its logarithm is a sum with a unit,
#   and where the entropy of the source is known, we know the best that any model can do.
# - A table of pairs knows words. A recurrent state can carry a rhyme over ten characters. A gradient that reaches back
#   at the start is neither enough to learn this nor necessary. What helped were gates, which let the cell keep what it
#   has read. The state is a lossy summary: what is not needed is dropped.
# - Training reads the truth, generation reads itself. After one wrong character at place 3, two thirds to three quarters
#   of what follows is wrong, most often because it is displaced by a place or two. With true inputs, it is forgotten two
#   characters later.
# - Beyond the training the network is lost after what it has never seen, the end of a poem, and not after a number of
#   characters.
# - In this language cutting the tail with a nucleus is better than cooling, and above about 95 % validity cooling is
#   better than top-k.
# - A loss below the floor is a mistake, not a success.
#
# **Terms fixed here** ([glossary](glossary.md)): start token, bigram, LSTM, gate, vanishing gradient, teacher forcing,
# ancestral sampling, entropy, floor, perplexity, linear probe, temperature, greedy decoding, top-k, nucleus sampling,
# completion, exposure bias.
#
# The next chapter changes one thing: the sequence is an image. A pixel takes the place of a character, and the pixel
# above is now as near as the pixel before.

# %% [markdown]
# ## Your turn
#
# 1. Follow the network's poem to its last place. Which characters does the truth still allow there, and which earlier
#    character decided that?
# 2. Look at more poems of `diary[200]` and `diary[1000]`. Which rule do they break most often: words, tones or rhyme?
# 3. In `worths`, add temperatures between 0.8 and 1 *together with* `top_p=0.95`. Is there anything better than the
#    nucleus alone?
# 4. Draw the long poems with `top_p=0.9`. Does the first mistake come later? Why?
# 5. Train with `features=32` in `config`, and look at the curves of the probes (the assertions may fail). What does a
#    smaller state keep, and what does it drop first?
#
# Then the graded assignment: `coursework/03_pixelrnn_sentences`. In it you count with a longer memory, build an LSTM
# cell with one gate less and train it, write one loop that is both teacher forcing and generation, cut the tail in a
# way that this chapter has not shown, and let a model that only writes forwards fill a hole in the middle.
#
# Further reading: [Graves (2013)](references.md#graves2013) showed how networks learn to write; [Holtzman et al.
# (2020)](references.md#holtzman2020) explains why the likeliest text is not the best; [Ranzato et al.
# (2016)](references.md#ranzato2016) names exposure bias; [Bengio et al. (2015)](references.md#bengio2015) is the first
# remedy that chapter 9 tries.
