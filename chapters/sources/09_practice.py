# %% [markdown]
# # 9 · Practice: can a writer learn from its own mistakes?
#
# **You will let the poem writer of chapter 3 practise what it will have to do: first by reading what it wrote, then by
# a verdict on whole poems. You will find out which of the two helps, against which rivals, and at what price.**
#
# *Laptop: under 45 seconds. You need: [chapter 3](03_pixelrnn_sentences.ipynb), from which the writer comes. No
# Chinese.*

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
# The writer of chapter 3 makes a mistake in one poem of fifteen. Here it practises: it writes poems, gets a reward for
# each, and learns from nothing else. Each line in the picture is one training. All begin at the lower left, where
# chapter 3 ended. Up is good: more poems without a mistake. Left is good: nearer to the language that it is to write.

# %% tags=["drawing"]
from course_lib.data.shipped import shipped
from course_lib.show.plots import show_curves
from course_lib.show.stored_runs import StoredRuns

runs = StoredRuns(shipped("results/writers.json"))


def path_of(name):  # of seed 0: how far from the grammar, how many valid
    watched = runs.of("practice", name, "watched")[0]
    return watched["kl"], watched["valid"]


names = {"verdict and leash": "leash", "verdict alone": "no leash"}
names["a cheap reward"] = "cheap reward"
show_curves(
    {words: path_of(name) for words, name in names.items()},
    xlabel="KL from the grammar to the writer, nats a poem",
    ylabel="share of valid poems",
    xscale="log",
)

# %% [markdown]
# One of them ends in the upper left corner, where one wants to be. The other two have hardly any mistakes either, but
# have forgotten the language. What the first two were told differs by a single term, and this page shows which. (The
# third was paid for something else, and for fewer steps.)

# %% [markdown]
# ## Setup

# %%
import copy
import math

import torch
from course_lib.decode import draw
from course_lib.device import make_generator, pick_device
from course_lib.prob import categorical_log_prob

seed = 0
device = pick_device()
generator = make_generator(1000 + seed, device)  # not the writer's training poems

# %% [markdown]
# ## The data, and the writer
#
# The grammar of chapter 3 draws the poems, and it still knows the exact probability of each. The writer is chapter 3's
# network, whose trained weights come with the course. So `seed` changes the poems, the draws and the training on this
# page, but not the weights that we begin with. (The generator starts from 1,000 more, because the weights were trained
# on the poems of seed 0, and poems that a network has learnt from are no test for it.) What we say about whole
# trainings rests on stored runs (`python benchmarks/writers.py`). The column *runs* in their tables says how many seeds
# there are, and where it says 1, so do we.

# %%
from course_lib.data import PoemGrammar, Vocabulary
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

language = PoemGrammar()
vocabulary = Vocabulary(language.characters)
T, V = language.length, vocabulary.levels  # 20 characters a poem, of 331
train, test = (language.sample(n, generator=generator) for n in (10_000, 500))
x_train, x_test = (vocabulary.encode_all(poems).to(device) for poems in (train, test))
writer = CharRNN(CharRNNConfig(V, features=128), generator=generator).to(device)
weights = torch.load(shipped("samples/poem_writer.pt"), weights_only=True)
writer.load_state_dict(weights)
x_train.shape, x_test.shape


# %% [markdown]
# We judge a writer $q$ by four numbers. They are chapter 3's:
#
# - **valid**: the share of its poems in which the grammar finds no mistake;
# - **entropy**: the mean of $-\log q$ over its own poems, in nats a poem. The grammar's is 18.3. A writer with less is
#   less varied, and one with more rambles;
# - **KL**: the mean of $\log p - \log q$ over true poems, in nats a poem. It estimates $\mathrm{KL}(p \,\|\, q)$, which
#   says how much the writer still has to learn, or has forgotten;
# - **flawless after a slip**: we put a wrong character at place 3 of a true poem, let it write the rest, and count the
#   poems without a further mistake.


# %%
def read(x):  # numbers (B, T) -> poems
    return vocabulary.decode(x)


def verdict(x):  # (B, T) -> (B,): 1.0 for a poem, 0.0 for anything else
    good = [not language.mistakes(poem) for poem in read(x)]
    return torch.tensor(good, dtype=torch.float32)


# %% [markdown]
# The verdict is a number for each poem, which will be of use again. For the KL, `log_p` is what the grammar says of the
# test poems.

# %%
log_p = torch.tensor([language.log_prob(poem) for poem in test])


@torch.no_grad()
def worth(model, x=None):  # x: some of its poems
    if x is None:
        x = model.sample(500, length=T, generator=generator, progress=False)
    kl = log_p - model.log_prob(x_test).cpu()
    entropy = -model.log_prob(x).mean().item()
    return {
        "valid": verdict(x).mean().item(),
        "entropy": entropy,
        "kl": kl.mean().item(),
    }


# %% [markdown]
# For the last number, a slip is any character that cannot stand at its place, and all such characters are equally
# likely.


# %%
def slip(poem, t):  # its beginning, with a wrong character at place t
    possible = language.next_character(poem[: t - 1])
    wrong = [c for c in vocabulary.characters if c not in possible]
    i = torch.randint(len(wrong), (), generator=generator, device=device)
    return poem[: t - 1] + wrong[i]


slips = [slip(poem, 3) for poem in test]


def flawless(model):  # the share of poems without a mistake after the slip
    given = vocabulary.encode_all(slips).to(device)
    poems = read(model.sample(len(slips), length=T, generator=generator, given=given))
    return sum(all(t < 3 for t in language.mistakes(p)) for p in poems) / len(poems)


# %% tags=["checking"]
from course_lib.show.typeset import show_table

before = worth(writer) | {"flawless": flawless(writer)}


def row(name, found):
    cells = f"{found['valid']:.1%}", f"{found['entropy']:.1f}", f"{found['kl']:.2f}"
    return [name, *cells] + (
        [f"{found['flawless']:.0%}"] if "flawless" in found else []
    )


heads = ["", "valid", "entropy", "KL", "flawless after a slip"]
assert 0.9 < before["valid"] < 0.97 and before["flawless"] < 0.35
print(f"entropy of the grammar: {language.entropy():.2f} nats a poem")
show_table(heads, [row("the writer", before)])

# %% [markdown]
# That is the patient. Left alone it seldom errs, but after one wrong character three of four poems go wrong further on.
# The lecture says 一步错，步步错, *one wrong step, every step wrong*. Chapter 3 found a reason. When it is given true
# characters to read, the same network is right again two characters later. In training every character that it read was
# true, so it has no practice in reading its own mistakes.

# %% [markdown]
# ## Scheduled sampling: let it read itself
#
# So let it practise. In training, toss a coin for every character: with probability `truth` the network reads the true
# one, and otherwise the one that it has just drawn itself. The *targets* stay the true characters. Begin with the truth
# alone, and lower `truth` as the training goes on. This is **scheduled sampling** ([Bengio et al.,
# 2015](references.md#bengio2015)), and it is the lecture's first remedy.


# %%
@torch.no_grad()
def own_inputs(model, x, truth, chance=generator):  # (B, T): what it reads for x
    inputs = x.clone()
    own = torch.rand(x.shape, generator=chance, device=device) >= truth  # the coins
    logits, state = model.step(None, model.begin(len(x)))
    for t in range(x.shape[1] - 1):  # nobody reads the last one
        drawn = draw(logits, generator=chance)
        inputs[:, t] = torch.where(own[:, t], drawn, x[:, t])
        logits, state = model.step(inputs[:, t], state)
    return inputs


# %% [markdown]
# Look at the last line of the loop: the network goes on from the *mixed* text, whatever that has become. The loss is
# the old one with other inputs, $-\sum_t \log q(x_t \mid \text{inputs before } t)$. The library's `scheduled_sampling`
# is this loss, and with `truth=1` it is teacher forcing.

# %% tags=["checking"]
from course_lib.train.scheduled import mixed_inputs, scheduled_sampling

some = x_test[:50]
ours = own_inputs(writer, some, 0.5, make_generator(1, device))
its = mixed_inputs(writer, some, truth=0.5, generator=make_generator(1, device))
at_one = scheduled_sampling(writer, some, truth=1, generator=generator)
assert torch.equal(ours, its) and torch.equal(at_one, -writer.log_prob(some))

# %% [markdown]
# Here is the beginning of a poem, with fair coins. Blue is its own:

# %% tags=["drawing"]
tosses, poem = make_generator(seed + 1, device), test[0]
mixed = own_inputs(writer, x_test[:1], 0.5, tosses)[0].tolist()
seen = vocabulary.decode(torch.tensor([mixed]))[0]
coins = torch.rand(1, T, generator=make_generator(seed + 1, device), device=device)
rows, marks = [["", "start", poem[0]]], {}
for t in range(9):
    own = coins[0, t] >= 0.5
    rows.append(["own" if own else "true", seen[t], poem[t + 1]])
    if own:
        marks[t + 1, 1] = "own"
show_table(["coin", "it reads", "target"], rows, marks=marks)

# %% [markdown]
# Compare each blue character with the true one (the target one row above). Most are good characters in another poem.
# Keep this in mind.
#
# The paper has three ways to lower `truth`. We set them so that half of all coins of a training say *true*:

# %%
schedules = {
    "linear": lambda s: 1 - s,
    "exponential": lambda s: math.exp(-1.5936 * s),
    "inverse sigmoid": lambda s: 1 / (1 + math.exp((s - 0.5) / 0.0875)),
    "always its own": lambda s: 0.0,
}

# %% tags=["drawing"]
over = [n / 100 for n in range(101)]
show_curves(
    {name: (over, [f(s) for s in over]) for name, f in schedules.items()},
    xlabel="share of the training that is over",
    ylabel="truth: probability of the true one",
    floors={"never its own": 1.0},
)

# %% [markdown]
# The inverse sigmoid waits longest, and then gives up the truth quickly. Now train the writer for 150 steps more with
# the linear schedule. The control gets the same number of steps, at the same rate, with the truth alone.


# %%
from course_lib.train import Session


def go_on(inputs_for, steps=150):
    model = copy.deepcopy(writer)
    knobs = {"lr": 4e-3, "schedule": "cosine", "progress": False}
    session = Session(model, steps=steps, generator=generator, **knobs)
    for x in session.batches(x_train, 32):
        inputs = inputs_for(model, x, 1 - session.step / steps)  # truth, linear
        session.minimise(-categorical_log_prob(model(inputs), x))
    return model


# %% [markdown]
# The argument `inputs_for` decides what the network reads in place of `x`:

# %%
forced = go_on(lambda model, x, truth: x)
scheduled = go_on(own_inputs)

# %% tags=["checking"]
tried = {"the writer": before}
for name, model in {"teacher forcing": forced, "scheduled sampling": scheduled}.items():
    tried[name] = worth(model) | {"flawless": flawless(model)}
sick = tried["scheduled sampling"]
assert tried["teacher forcing"]["valid"] > 0.87 and tried["teacher forcing"]["kl"] < 1
assert sick["valid"] < 0.03 and sick["kl"] > 5 and sick["flawless"] < 0.03
assert 2.5 < sick["entropy"] / language.entropy() < 3.8
show_table(heads, [row(*one) for one in tried.items()])

# %% tags=["drawing"]
from course_lib.show.typeset import show_poems


def show_judged(poems, **how):  # mistakes in red
    wrong = [language.mistakes(poem) for poem in poems]
    return show_poems(poems, language.lexicon, wrong=wrong, **how)


show_judged(read(scheduled.sample(4, length=T, generator=generator)))

# %% [markdown]
# The medicine has ruined the patient. Hardly one poem in a hundred is valid, the entropy is about three times the
# grammar's, and after a slip nothing is right. The control has changed little: the large rate costs it a few tenths of
# a nat. So the own inputs did it. (At an eighth of the rate, 150 steps neither ruin nor cure, in a separate run with
# one seed.) Why?

# %% [markdown]
# ## Why: a mistake that cannot be seen
#
# Take the smallest language in which this can happen: two poems of two characters each, 乐笑 (*happy, laugh*) and 悲哭
# (*sad, weep*), equally likely. The first character $a$ decides the second, $b$.
#
# Before the first character the network reads nothing, so it learns it as it is: $q(a) = p(a)$. For the second its
# target is the true $b$, and it reads some $c$. Let $w(c)$ be the probability that the coin said *true*, given that $c$
# is what it reads. If it did, $b$ follows $c$. If not, $c$ was drawn without looking at this poem, and says nothing
# about $b$. The loss is lowest at the mean of these two cases:
#
# $$ q(b \mid c) = w(c)\, p(b \mid c) + \bigl(1 - w(c)\bigr)\, p(b), \qquad
# w(c) = \frac{\varepsilon\, p(c)}{\varepsilon\, p(c) + (1 - \varepsilon)\, r(c)} $$
#
# Here $\varepsilon$ is `truth`, and $r(c)$ is how often $c$ is put in the place of the truth. In scheduled sampling the
# network draws it, so $r = q(a) = p$, and the fraction cancels: **$w = \varepsilon$, whatever it reads** ([Huszár,
# 2015](references.md#huszar2015)). With fair coins, the best answer after *happy* is *weep* in one case out of four.
# With its own inputs alone, $\varepsilon = 0$, the best answer is $p(b)$: do not listen at all.
#
# So the loss itself asks for something that is not the language. A larger network or a longer training would only come
# nearer to that.
#
# **The harm is as large as the choice that is left.** In the paper's tasks the network also gets an input $k$, such as
# an image, which says nearly what the text must be. The loss then asks for $w\, p(b \mid c, k) + (1 - w)\, p(b \mid
# k)$. If the image leaves only one chance in 100 for the other mood, the second term is nearly right too: with fair
# coins, 99 % of the pairs are valid. With no image 75 % are. (The share is $1 - 2d(1-d)(1-\varepsilon)$ for a mood of
# probability $d$. Trained tables, in a separate run, agree.)
#
# To check the formula, we train a table of pairs with the same loop:


# %%
class Pairs(torch.nn.Module):  # log q(next | the one before), as a table
    def __init__(self, V):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(V + 1, V))  # last row: start

    def begin(self, n):  # it remembers nothing, so its state only says how many
        return (self.logits.new_zeros(n, 1),)

    def step(self, previous, state):
        n, V = len(state[0]), self.logits.shape[1]
        previous = torch.full((n,), V, device=device) if previous is None else previous
        return self.logits[previous], state

    def forward(self, x):
        start = torch.full_like(x[:, :1], self.logits.shape[1])
        return self.logits[torch.cat([start, x[:, :-1]], 1)]


# %% [markdown]
# (Row 20 of this table is for the first character, before which nothing stands.) And here are the two poems:

# %%
HAPPY, SAD, LAUGH, WEEP, OTHERS = 0, 1, 2, 3, 16  # twenty characters in all
two = torch.tensor([[HAPPY, LAUGH], [SAD, WEEP]], device=device).repeat(500, 1)


def answers(inputs_for, truth):  # (20, 20): what it says after each character
    table = Pairs(4 + OTHERS).to(device)
    adam = torch.optim.Adam(table.parameters(), lr=0.2)
    for step in range(200):
        adam.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        logits = table(inputs_for(table, two, truth))
        adam.zero_grad()
        (-categorical_log_prob(logits, two)).mean().backward()
        adam.step()
    return table.logits.detach()[:-1].softmax(1)


# %% tags=["checking"]
def compared(inputs_for, truth, r):  # probability of laugh after happy
    w = truth / 2 / (truth / 2 + (1 - truth) * r)
    best = w * 1 + (1 - w) / 2
    q = answers(inputs_for, truth)
    assert abs(q[HAPPY, LAUGH] - best) < 0.03
    return [truth, f"{best:.3f}", f"{q[HAPPY, LAUGH]:.3f}"], q


rows = [compared(own_inputs, truth, 1 / 2)[0] for truth in (1.0, 0.9, 0.5, 0.0)]
show_table(["truth", "formula", "trained"], rows)

# %% [markdown]
# The columns *formula* and *trained* are the probability of *laugh* after *happy*. In the language it is 1. The tables
# come within 0.03 of the formula.
#
# The formula suggests a rival. Let the wrong inputs *not* be the network's own, but any characters, all equally likely:
# $r(c) = 1/V$.


# %%
def random_slips(model, x, truth):  # any of the twenty, in the place of its own
    wrong = torch.randint(20, x.shape, generator=generator, device=device)
    own = torch.rand(x.shape, generator=generator, device=device) >= truth
    return torch.where(own, wrong, x)


# %% tags=["checking"]
rows = []
for truth in (0.9, 0.5):
    cells, q = compared(random_slips, truth, 1 / 20)
    after = q[4:, LAUGH].mean()  # a slip that cannot be the truth: an even guess
    rows.append([*cells, f"{after:.2f}"])
    assert abs(after - 0.5) < 0.05
show_table(["truth", "formula", "trained", "after a wrong one"], rows)

# %% [markdown]
# Now $w$ depends on what is read. What is common in the language is nearly always the truth, so it is believed. What
# cannot stand there is never the truth, so it is ignored, and the answer is an even guess (the last column), which is
# right there. **A slip that can be recognised teaches what to do after a slip. A slip that looks like the truth teaches
# to mistrust the truth.**
#
# Which kind are the writer's own? Let it read true poems, and ask what it would draw next:

# %%
with torch.no_grad():
    q = writer(x_test[:200]).softmax(-1).cpu()  # (200, T, V)
same = q.gather(2, x_test[:200, :, None].cpu()).mean().item()
allowed = torch.zeros_like(q)
for n, poem in enumerate(test[:200]):
    for t in range(T):
        may = vocabulary.encode("".join(language.next_character(poem[:t])))
        allowed[n, t, may] = 1
wrong = ((1 - allowed) * q).sum(2).mean().item()

# %% tags=["checking"]
print(f"the true character: {same:.1%}; another one that may stand there:", end=" ")
print(f"{1 - same - wrong:.1%}; a mistake: {wrong:.2%}")
assert wrong < 0.01 < 0.3 < 1 - same - wrong

# %% [markdown]
# In more than two of five cases it draws another character than the true one. Of these fewer than one in a hundred is a
# mistake. The others begin *another good poem*, and look like the truth. Scheduled sampling hands them to the network,
# and asks it to go on as if the old poem were still being written. That is hardly a practice in mistakes.

# %% [markdown]
# ## The rival: any slip will do
#
# Now the same for poems. Replace a tenth of the inputs by characters drawn from all 331, so that nearly each of them is
# a recognisable slip. Scheduled sampling, too, replaces a tenth. (More than half of its own characters are the true
# ones, so only about 4 % of the inputs change. This favours scheduled sampling.)


# %%
def tenth_slips(model, x, _):  # a tenth throughout, no schedule
    wrong = torch.randint(V, x.shape, generator=generator, device=device)
    coins = torch.rand(x.shape, generator=generator, device=device)
    return torch.where(coins < 0.1, wrong, x)


def tenth_own(model, x, _):
    return own_inputs(model, x, 0.9)


# %% [markdown]
# Both begin with the weights of chapter 3, like the two before:

# %%
noisy, some_own = go_on(tenth_slips), go_on(tenth_own)

# %% tags=["checking"]
for name, model in {"a tenth own": some_own, "a tenth random": noisy}.items():
    tried[name] = worth(model) | {"flawless": flawless(model)}
fine = tried["a tenth random"]
assert fine["flawless"] > before["flawless"] + 0.03
assert tried["a tenth own"]["flawless"] < fine["flawless"] - 0.1
assert tried["a tenth own"]["valid"] < fine["valid"] - 0.1
show_table(heads, [row(*one) for one in tried.items()])

# %% [markdown]
# After only 150 steps the random slips have raised the flawless poems from about a quarter to a third (31 to 37 % in
# five seeds; the control that reads the truth has 19 to 24 %). A tenth of its own characters has made everything worse
# so far.
#
# What does each do in a whole training? These are stored runs from untrained weights, each with 3,500 steps, as in
# chapter 3. As a control for time, the truth is there with twice as many:

# %% tags=["checking"]
from itertools import pairwise

READS = {
    "teacher forcing": "the truth",
    "teacher forcing, longer": "the truth, twice as long",
    "tenth own": "own, 10 %",
    "linear": "own, linear",
    "tenth random slips": "slips, 10 %",
}
forcing, own, slips_read = "teacher forcing", "tenth own", "tenth random slips"


def stored(kind, names, columns):  # and, last, how many seeds there are
    count = [len(runs.of(kind, name, "seed")) for name in names]
    rows = zip(runs.table(kind, names, columns), count, strict=True)
    return [[*row, n] for row, n in rows]


def ordered(what, *names):  # in all seeds: is each below the next?
    found = [runs.of("training", name, what) for name in names]
    return all(max(a) < min(b) for a, b in pairwise(found))


three = forcing, own, slips_read
assert min(len(runs.of("training", name, "seed")) for name in three) >= 2
for what in ("flawless", "flawless_natural", "flawless_own"):
    assert ordered(what, *three)
    assert min(runs.of("training", slips_read, what)) > 0.75
assert ordered("valid", own, slips_read, forcing)
assert ordered("kl", forcing, slips_read, own)
assert ordered("displaced", slips_read, own, forcing)
assert max(runs.of("training", own, "valid")) < 0.55
assert max(runs.of("training", slips_read, "wrong")) < 0.05
columns = {"valid": "%", "kl": ".2f", "flawless": "%", "flawless_natural": "%"}
titles = ["it reads", "valid", "KL", "our slip", "a writer's", "its own", "runs"]
show_table(titles, stored("training", READS, columns | {"flawless_own": "%"}))

# %% tags=["drawing"]
shown = {READS[name]: name for name in (forcing, own, slips_read)}
show_curves(
    {
        f"read {words}": (range(4, T + 1), runs.of("training", name, "wrong_at")[0])
        for words, name in shown.items()
    },
    xlabel="place (the wrong character is at 3)",
    ylabel="share of wrong characters",
    ylim=(0, 1),
)

# %% [markdown]
# All shares are in per cent, and each column gives the range over the stored seeds. The three columns after the KL are
# the share of flawless poems after a mistake. *Our slip* is a wrong character at one of the places 1 to 15. *A
# writer's* is the first mistake of a writer trained by teacher forcing, the same ones for all rows. *Its own* is the
# first mistake of the writer itself. The picture follows one seed from place to place.
#
# - **Random slips in a tenth of the places are the cure.** After a slip 78 to 85 in 100 poems are flawless, where
#   teacher forcing has about a quarter. Of the characters after it only 1 to 2 % are wrong, instead of two thirds. It
#   helps as much against mistakes that a network made. (After its own, and by a strict judge who wants the rest to fit
#   the mended poem in theme and rhyme, 60 to 70.) The training takes hardly longer, and twice as many steps on the
#   truth do not help at all.
# - **It is no trick of our slips.** In a separate run (one seed) it met slips that it was never trained on: only
#   frequent characters, or characters that are right at this place in another poem. It had 84 to 89 flawless poems in
#   100, with the slip at place 3, 8 or 13. Three wrong characters in a row left 78, and two swapped ones 79. (Teacher
#   forcing has 14 to 51, then 11 and 2.)
# - **A tenth of its own characters** helps too. After our slip 32 to 35 are flawless, and after a mistake of its own 60
#   to 64, but by the strict judge only a third. (Its own character fits what stands before it, but often not what the
#   poem says next, so the network does meet texts that do not fit together.) Only half of its poems are valid, its KL
#   is 0.7 to 0.8 nats, and training takes twice as long, because the network has to write while it learns.
# - **With the linear schedule** (one run) nothing valid is left.
#
# **The price.** Without any slip, 79 to 87 % of the cured writer's poems are valid, where teacher forcing has 93 to 94,
# and the KL is higher by 0.04 to 0.2 nats. Nearly half of the spoilt poems go wrong only at the last two characters,
# where the rhyme is. Much of this is slower learning: with 7,000 steps (a separate run, one seed) 91 % are valid, the
# KL is 0.15 nats, and 93 % are flawless after a slip at place 3. And though fewer of its poems are flawless, they
# contain fewer mistakes: 0.15 a poem where teacher forcing has 0.37 (a separate run, one seed), because one mistake no
# longer brings on the next.
#
# **What it does not cure.** After a slip at place 3, six in ten poems of teacher forcing go on *displaced*, with what
# would be right at another place. Of the cured writer's, hardly one does. But it still weighs what it reads. Insert a
# wrong character, and let three true ones follow, each one place too late: it goes on displaced in 74 of 100 poems.
# After a *lost* character it is as helpless as before, with 2 % flawless (a separate run, one seed).
#
# So practice does cure the disease, as long as it is practice with slips. The network's own characters hardly ever are
# slips. And does the shape of the schedule matter?

# %% tags=["checking"]
LEARNT = {name: READS[name] for name in (forcing, slips_read, own)}
shapes = "linear", "exponential", "inverse sigmoid", "half", "always own"
SHAPES = {name: f"own, {name.removesuffix(' own')}" for name in shapes}
columns = {"valid": "%", "entropy": ".0f", "kl": ".1f"}
columns |= {"rhyme_other": "%", "long_wrong_true": "%"}
titles = ["it reads", "valid", "entropy", "KL", "the rhyme", "beyond 20", "runs"]
for name in SHAPES:
    assert max(runs.of("training", name, "valid")) < 0.05
    assert max(runs.of("training", name, "rhyme_other")) < 0.5
assert ordered("long_wrong_true", forcing, slips_read)
show_table(titles, stored("training", LEARNT | SHAPES, columns))

# %% [markdown]
# No schedule rescues it (one run each). *Half* stays at 0.5 throughout, and *always* at 0. *The rhyme* says how much of
# the last character's probability moves if character 10 gets another rhyme. Teacher forcing has 98 to 99 %, these five
# have at most 45. The rhyme is heard little: this is the $p(b)$ of the formula. The random slips, too, cost some of it.
# By this column alone they would be no better than a tenth of its own characters.
#
# And a limit of the cure. *Beyond 20* is the share of wrong characters in the three poems that would follow, in a text
# of 80 characters, four times what was learnt, if it reads nothing but the truth. Left alone, all writers are lost
# there, with 83 to 92 % wrong. But with the truth to read, teacher forcing has 19 to 32 % wrong, and practice with
# slips 51 to 81 %. It *hurts* there, for whatever is new looks like a slip.

# %% [markdown]
# ## Reinforcement: judge the whole
#
# All trainings so far judged one character after another. What we want is a whole poem without a mistake, and the two
# are not the same. Search the writer's own poems for two that cost it the same number of nats, one valid and one not:

# %%
x_own = writer.sample(2000, length=T, generator=generator, progress=False)
with torch.no_grad():
    nats = -writer.log_prob(x_own).cpu()
good = verdict(x_own) == 1
gap = (nats[good][:, None] - nats[~good]).abs()  # (valid, invalid)
i, k = divmod(gap.argmin().item(), gap.shape[1])
pair = [read(x_own[good.to(device)])[i], read(x_own[~good.to(device)])[k]]

# %% tags=["drawing"]
show_judged(pair)

# %% tags=["checking"]
print(f"{nats[good][i]:.3f} and {nats[~good][k]:.3f} nats")
right, bad = nats[good].median().item(), nats[~good].median().item()
dear = (nats[good] > bad).float().mean().item()
with torch.no_grad():  # one true poem in a hundred costs more
    limit = (-writer.log_prob(x_test)).quantile(0.99).item()
kept = good[nats < limit].float().mean().item()
print(f"medians: valid {right:.1f}, with a mistake {bad:.1f} nats")
print(f"of those that cost less than {limit:.1f} nats, {kept:.1%} are valid")
assert gap[i, k] < 0.01 and dear < 0.005 and bad > right + 6 and kept > 0.975

# %% [markdown]
# To the network these two are equally likely, and only one is a poem. So let someone judge the **whole**: a **reward**
# $R(x)$ is given to the poem $x$ at its end. Ours is 1 if the grammar finds no mistake, and 0 otherwise. The judge need
# not say where the mistake is, nor how to mend it. It need not even be a formula: it could be a person.
#
# (To be fair to the likelihood: such pairs are not typical. The median poem with a mistake costs 8 to 10 nats more than
# the median valid one. If you throw away what costs more than 99 of 100 true poems do, about 99 % of the rest are
# valid, without any judge.)
#
# How can a network learn from a verdict? There is nothing to differentiate. The characters are drawn, and the judge is
# no network.
#
# ### REINFORCE in five lines
#
# What can be differentiated is how *likely* each poem is. We want the mean reward to rise, so we need its gradient:
#
# $$
# \begin{aligned}
# \nabla\, \mathbb E_{x \sim q}[R(x)] &= \nabla \sum_x q(x)\, R(x) \\
# &= \sum_x R(x)\, \nabla q(x) \\
# &= \sum_x q(x)\, R(x)\, \nabla \log q(x) \\
# &= \mathbb E_{x \sim q}\bigl[R(x)\, \nabla \log q(x)\bigr] \\
# &= \mathbb E_{x \sim q}\bigl[(R(x) - b)\, \nabla \log q(x)\bigr]
# \end{aligned}
# $$
#
# The third line uses $\nabla \log q = \nabla q / q$. The fourth is a mean over the network's own poems, so we can
# estimate it by letting the network write. The fifth holds for every number $b$ that does not depend on $x$, because
# $\mathbb E[\nabla \log q] =
# \sum_x \nabla q(x) = \nabla 1 = 0$. This is **REINFORCE** ([Williams, 1992](references.md#williams1992)): write, get the
# verdict, then make more likely what was better than $b$, and less likely what was worse.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x \sim q$ | `x = model.sample(n, …)` | (n, T) |
# | $R(x)$ | `earned = reward(x)` | (n,) |
# | $b$, the **baseline** | `others`: the mean reward of the other poems | (n,) |
# | $\log q(x)$ | `model.log_prob(x)` | (n,), nats |


# %%
def reinforce(model, n, reward, chance=generator):  # (n,): downhill, (R - b) log q
    x = model.sample(n, length=T, generator=chance, progress=False)
    earned = reward(x).to(device)
    others = (earned.sum() - earned) / (n - 1)  # without x itself
    return -(earned - others) * model.log_prob(x)


# %% tags=["checking"]
from course_lib.train.reinforce import Reinforce

nothing = torch.zeros(64, 0, dtype=torch.long, device=device)  # 64 empty beginnings
its = Reinforce(verdict, length=T, generator=make_generator(1, device))(writer, nothing)
ours = reinforce(writer, 64, verdict, make_generator(1, device))
assert torch.allclose(ours, its, atol=1e-4)

# %% [markdown]
# The library's `Reinforce` is the same loss, and can do what comes next. The value of this loss tells nothing. Only its
# gradient counts.
#
# ### What a baseline is worth
#
# Any $b$ gives the right gradient on average, but each batch has only 64 poems. How far do the gradients of ten batches
# scatter? We compare no baseline, the mean of the other poems, and the reward of the poem that the network writes
# greedily, without drawing ([Rennie et al., 2017](references.md#rennie2017)).


# %%
def scatter(baseline, times=10):  # of batches of 64, for the weights of the last layer
    of = Reinforce(verdict, length=T, generator=generator, baseline=baseline)
    found = [
        torch.autograd.grad(of(writer, nothing).mean(), writer.head.weight)[0]
        for _ in range(times)
    ]
    return torch.stack(found).var(0).sum().sqrt().item()


spread = {b: scatter(b) for b in ("none", "others", "greedy")}

# %% tags=["checking"]
for name, size in spread.items():
    share = (size / spread["others"]) ** 2
    print(f"{name:8s}scatter {size:.2f}; poems needed: {share:.1f} times as many")
assert spread["none"] > 2.5 * spread["others"]

# %% [markdown]
# Without a baseline the gradient scatters three to four times as widely, and it would take more than ten times as many
# poems to make up for that. More than nine in ten poems are valid. Without a baseline each of them says *more of this*,
# and all these votes must cancel. With a baseline near 1 a valid poem says little, and a mistake is heard. The greedy
# poem is valid, so its reward is near the mean, and it does about as well.
#
# ### Practise


# %%
@torch.no_grad()
def look(model):
    x = model.sample(400, length=T, generator=generator, progress=False)
    found = worth(model, x) | {"x": x, "different": len(x.unique(dim=0))}
    away = -writer.log_prob(x).mean().item() - found["entropy"]  # KL(now, start)
    return found | {"from the start": away}


def practise(reward, steps=80, lr=5e-3, leash=0.0):
    model, album = copy.deepcopy(writer), {0: look(writer)}
    loss = Reinforce(reward, length=T, generator=generator, start=writer, leash=leash)
    knobs = {"lr": lr, "schedule": "cosine", "progress": False}
    session = Session(model, steps=steps, generator=generator, **knobs)
    for batch in session.batches(nothing, 64):
        session.minimise(loss(session.model, batch))
        if session.step % 20 == 0:
            album[session.step] = look(model)
    return album


# %% [markdown]
# 80 batches of 64 poems, with a verdict on each. (`leash` comes later.)

# %%
free = practise(verdict)


# %% tags=["drawing"]
from course_lib.show.explore import explore
from course_lib.show.typeset import side_by_side


def show_practice(album, step):
    found = album[step]
    rows = [["valid", f"{found['valid']:.0%}"]]
    for what in ("entropy", "kl", "from the start"):
        rows.append([{"kl": "KL"}.get(what, what), f"{found[what]:.2f} nats"])
    rows.append(["different", f"{found['different']} of 400"])
    numbers = show_table([f"step {step}", ""], rows)
    return side_by_side(
        {"400 poems": numbers, "four": show_judged(read(found["x"][:4]))}
    )


def show_free(step):
    return show_practice(free, step)


alt = "four poems after some steps of practice, with reward, entropy and divergences"
explore(show_free, step=list(free), start={"step": 80}, alt=alt)

# %% tags=["checking"]
end = free[80]
print(f"valid {end['valid']:.1%}, entropy {end['entropy']:.1f}, KL {end['kl']:.2f}")
assert end["kl"] > 5 and end["entropy"] < 14

# %% [markdown]
# The verdict does reach the network, but look at what it has done. In five seeds 95 to 98 % are valid now, where it was
# 92 to 95 %. For that the entropy has fallen from 19 nats to between 7 and 12, and the KL has risen from 0.2 to
# about 10. The lines repeat, and true poems have become very unlikely. (*From the start* is the KL from the writer as it was
# to what it is now. It is measured on its own draws.) What is going on?

# %% [markdown]
# ## What should it become?
#
# The verdict does not ask for variety. A writer that repeats one valid poem for ever gets the highest reward there is,
# and so does every mixture of valid poems. Nothing tells the writer which of them to be. What it happens to draw and is
# praised for, it draws more often, and is praised for again.
#
# So we must say what to keep. Let the writer pay for every step away from the writer $q_0$ that it was. With such a
# **leash** $\beta$, the aim is
#
# $$
# \begin{aligned}
# \mathbb E_q[R] - \beta\, \mathrm{KL}(q \,\|\, q_0)
# &= -\beta\, \mathbb E_q\Bigl[\log \frac{q}{q_0\, e^{R/\beta}}\Bigr] \\
# &= \beta \log Z - \beta\, \mathrm{KL}(q \,\|\, q^*), \qquad q^* = \frac{q_0\, e^{R/\beta}}{Z}
# \end{aligned}
# $$
#
# where $Z$ makes $q^*$ sum to 1. So the best writer is $q^*$ and no other. It is the old writer, with every valid poem
# made $e^{1/\beta}$ times as likely relative to every invalid one. Among each other the valid poems keep their shares.
# If $\beta$ is large, little changes. As $\beta \to 0$, only the valid poems are left, in their old proportions. You
# would get the same by throwing away every poem with a mistake.
#
# What does this do to the KL from the grammar? Every true poem is valid, so $\log q^* = \log q_0 + 1/\beta - \log Z$
# for it, and
#
# $$ \mathrm{KL}(p \,\|\, q^*) = \mathrm{KL}(p \,\|\, q_0) + \log\bigl(v + (1 - v)\, e^{-1/\beta}\bigr), $$
#
# with $v$ the share of valid poems before. The logarithm is negative. **The ideal practice makes fewer mistakes and
# comes *nearer* to the language**: the probability that the mistakes had goes to the valid poems.

# %% tags=["checking"]
beta, v = 0.2, before["valid"]
odds = (1 - v) / v * math.exp(-1 / beta)
gain = math.log(v + (1 - v) * math.exp(-1 / beta))
print(f"leash {beta}: {odds / (1 + odds):.2%} invalid; KL {gain:+.3f} nats a poem")

# %% [markdown]
# So with a leash of 0.2 hardly a mistake would be left, and the KL would fall by 0.05 to 0.08 nats a poem, depending on
# the seed. Does REINFORCE get there? In the code the leash is a part of the reward: each poem pays $\beta\,(\log q(x) -
# \log q_0(x))$. All else is as before.

# %%
held = practise(verdict, leash=beta)

# %% tags=["checking"]
tried = {"the writer": before, "a verdict alone": free[80]}
tried["a verdict and a leash"] = held[80]
for one in tried.values():
    one.pop("flawless", None)
assert before["kl"] < held[80]["kl"] < before["kl"] + 1.2 < free[80]["kl"] - 3
show_table(heads[:-1], [row(*one) for one in tried.items()])

# %% [markdown]
# The leash holds: the KL ends at 0.8 to 1 nats, where it was about 10 without. But it is still higher than before, and
# no more poems are valid than at the start. What we hope for is less than 0.1 nats, and the noise of 80 small batches
# at a large rate is far greater. So be patient. The stored runs have 4,000 batches of 100 poems, and a rate that falls
# from 0.003 to 0. All rows below start from teacher forcing. Each rival that trains has as many steps, and one has
# twice as many, because without drawing a step takes half the time:

# %% tags=["checking"]
PRACTICES = {
    "leash": "verdict and leash",
    "no leash": "verdict alone",
    "rejection": "mistakes thrown away",
    "own valid poems": "its own valid poems",
    "more teacher forcing": "the same true poems again",
    "more teacher forcing, longer": "and twice as long",
}
columns = {"valid": ".1%", "kl": ".3f", "lines": ".0f", "seconds": ".0f"}
titles = ["practice", "valid", "KL", "lines", "training, s", "runs"]


def kl_of(kind, name):  # seed -> KL
    return dict(zip(*(runs.of(kind, name, c) for c in ("seed", "kl")), strict=True))


start, leashed = kl_of("training", forcing), kl_of("practice", "leash")
gains = [kl - start[n] for n, kl in leashed.items()]
print(f"KL of verdict and leash: {min(gains):+.3f} to {max(gains):+.3f} nats")
assert len(gains) >= 2 and max(gains) < -0.03
assert min(runs.of("practice", "no leash", "kl")) > 10
near = {"own valid poems": (0.01, 0.04), "more teacher forcing": (-0.02, 0.02)}
for name, (low, high) in near.items():
    best = max(runs.of("practice", name, "valid"))
    assert min(runs.of("practice", "leash", "valid")) > best + 0.005
    for n, kl in kl_of("practice", name).items():
        assert n not in leashed or low < kl - leashed[n] < high
first = stored("training", {forcing: "none"}, columns)
show_table(titles, first + stored("practice", PRACTICES, columns))

# %% [markdown]
# (*Lines* counts the different valid lines in 1,000 poems. A KL has a standard error of 0.01.) With verdict and leash
# 99 in 100 poems are valid, the KL is *lower* than before, by about three quarters of what the formula promises, and
# the entropy is 18.2 nats, nearly the grammar's. The KL does rise first, while the rate is large. As the rate falls, it
# comes down again: follow the line in the first picture. Without the leash the same training loses the language (one
# run).
#
# But is a verdict needed for this? **For most of the gain in KL, reading on is enough.** As many steps on *the same
# true poems* again bring it to 0.12, within the error of the leash's 0.11. (Twice as many steps take as long as the
# leash does, and end higher, at 0.14 to 0.16, presumably because the network learns them by heart.) With as many *new*
# true poems it falls to 0.04 (a separate run, one seed), in half the seconds. **The verdict's own gift is one point of
# validity**: 99 % instead of 98 (of the same or of new poems). So the leash is for when there are no more true poems.
#
# The other rivals use the judge. *Throwing away* what has a mistake is the ideal itself. It costs no training and a few
# draws more, but it needs the judge as long as you write. After the practice you no longer need the judge. Training on
# *its own valid poems* uses the same verdicts on as many draws, by teacher forcing. It goes the same way, but not as
# far: 98 % valid, and a KL higher by 0.02.

# %% [markdown]
# ## The cheat
#
# Our judge is always right. Often there is none like that, and one takes something cheaper. Chapter 3 had a table of
# pairs. Let the reward of a poem be how common its pairs of neighbours are, the mean of their log-probabilities. True
# poems get −1.66 nats, and nonsense far less, so this seems reasonable.

# %%
counts = torch.full((V, V), 0.1)
pairs = x_train[:, :-1].flatten().cpu(), x_train[:, 1:].flatten().cpu()
counts.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
common = (counts / counts.sum(1, keepdim=True)).log().to(device)


def fluency(x):  # (B, T) -> (B,): how common its pairs of neighbours are, nats
    return common[x[:, :-1], x[:, 1:]].mean(1)


# %% [markdown]
# The same practice, with this judge:

# %%
cheat = practise(fluency)

# %% tags=["drawing"]
show_judged(read(cheat[80]["x"][:4]))

# %% tags=["checking"]
end, true = cheat[80], fluency(x_test).mean().item()
earned = fluency(end["x"]).mean().item()
print(f"reward: true poems {true:.2f},", end=" ")
print(f"before {fluency(x_own).mean():.2f}, after {earned:.2f}")
print(f"valid {end['valid']:.1%}; {end['different']} different poems of 400;", end=" ")
print(f"entropy {end['entropy']:.1f}, KL {end['kl']:.1f}")
assert earned > true + 0.4
assert end["entropy"] < 6 and end["kl"] > 15 and end["different"] < 60

# %% [markdown]
# The reward is far above that of true poems, and the judge is delighted. What it gets is the same few poems over and
# over: 15 to 29 different ones among 400 (five seeds), at a KL of about 20 nats. The writer has found out what the
# judge likes, and that is not what we wanted. And note that nearly all of these poems are *valid*. By reward and
# validity alone, this would be one of the best writers on the page. The entropy and the KL give it away.
#
# The remedy is the same leash. These are the stored runs, 300 steps:

# %% tags=["checking"]
columns = {"valid": "%", "entropy": ".1f", "kl": ".2f", "lines": ".0f"}
words = {"cheap reward": "cheap reward", "cheap reward, leash": "and a leash of 0.5"}
assert max(runs.of("practice", "cheap reward", "lines")) < 200
assert min(runs.of("practice", "cheap reward, leash", "lines")) > 1000
assert start[0] + 0.05 < kl_of("practice", "cheap reward, leash")[0] < 0.5
titles = ["practice", "valid, %", "entropy", "KL", "lines", "runs"]
show_table(titles, stored("practice", words, columns))

# %% [markdown]
# The leash keeps most of the language (in the one run the KL still rises, from 0.16 to 0.30), and so the writer cannot
# earn much. That is the price: what holds it back from the cheat would hold it back from improving, too. A leash cannot
# make a bad judge good.

# %% [markdown]
# ## All of them, in one table
#
# The last table has the medicines of both pages: what the training changes, and what one does in writing.

# %% tags=["checking"]
columns = {"valid": "%", "flawless_3": "%", "lines": ".0f", "kl": ".2f"}
columns |= {"seconds": ".0f"}
nucleus = {"nucleus_valid": "%", "flawless_3_nucleus": "%", "nucleus_lines": ".0f"}


def with_nucleus(name):
    cut = [runs.cell("training", name, *what) for what in nucleus.items()]
    assert min(runs.of("training", name, "nucleus_forbids")) > 0.08
    return ["and nucleus 0.95", *cut, "∞", "0", len(runs.of("training", name, "seed"))]


decoded = runs.where(kind="decoding", begun=0, length=20)
beam = {"valid": "%", "lines": ".0f"}
_, right, lines = decoded.table("decoding", ["beam 8"], beam)[0]
count = len(decoded.of("decoding", "beam 8", "seed"))
rows = stored("training", {forcing: "teacher forcing"}, columns)
rows.append(with_nucleus(forcing))
rows.append(["and beam 8", right, "", lines, "∞", "0", count])
then = {"leash": "and verdict, leash", "no leash": "and verdict alone"}
then |= {"rejection": "and mistakes thrown away"}
rows += stored("practice", then, columns)
rows += stored("training", {own: READS[own], slips_read: READS[slips_read]}, columns)
rows.append(with_nucleus(slips_read))
for name in ("drawn", "nucleus 0.95", "beam 8"):
    seconds = decoded.cell("decoding", name, lambda row: 10 * row["seconds"])
    print(f"1,000 poems, {name}: {seconds} s")
assert max(runs.of("practice", "leash", "flawless_3")) < 0.4
assert min(runs.of("training", slips_read, "flawless_3")) > 0.7
assert min(runs.of("training", slips_read, "flawless_3_nucleus")) > 0.8
show_table(["", "valid", "flawless", "lines", "KL", "training, s", "runs"], rows)

# %% [markdown]
# (*Flawless*: after a slip at place 3. A row with *and* starts from the training above it, and its seconds come on
# top.)
#
# **With the judge at hand**, throwing mistakes away is best, in validity and in KL, and it needs no training. **Without
# a judge when it writes**, it depends on what you want. If only validity counts, the nucleus of chapter 3 is nearly
# free: no training, and writing takes two to three times as long. But it makes 9 to 14 % of the true poems impossible,
# so its KL is infinite. Beam search writes one and the same poem every time. The verdict with a leash improves the
# writer itself, at the price of a long training. (Its fair controls are in the table of practices.)
#
# After a slip the leash and the nucleus help little, because the writer has seldom met one. Practice with slips does,
# and with the nucleus on top 89 to 97 % of its free poems are valid and 86 to 98 % are flawless after a slip.

# %% [markdown]
# ## The field's benchmark, in both directions
#
# Is all this special to our poems? Papers compare such medicines on another language whose truth is known, the *oracle*
# ([Yu et al., 2017](references.md#yu2017)). An LSTM with random weights writes sentences of 20 words, out of 5,000. A
# second one of the same size learns from 10,000 of them. One number is published: what the learner's sentences cost
# under the oracle, in nats a word, and the lower the better. Teacher forcing gets 9.04, scheduled sampling 8.99,
# reinforcement 8.95, and a GAN 8.74.
#
# `python benchmarks/oracle.py` makes such an oracle, and measures the other direction as well: what *new* sentences of
# the oracle cost under the learner. As controls we add writers that nobody would want.

# %% tags=["checking"]
field = StoredRuns(shipped("results/oracle.json"))
WRITERS = {
    "the oracle itself": ("floors", "oracle"),
    "training sentences again": ("floors", "training sentences"),
    "teacher forcing": ("mle", "MLE, to the end"),
    "at temperature 0.8": ("mle", "MLE, to the end, at 0.8"),
    "beam of 8: one sentence": ("mle", "MLE, to the end, beam 8"),
    "stopped early": ("mle", "MLE, stopped"),
    "scheduled sampling": ("scheduled", "own words"),
    "random words instead": ("scheduled", "random words"),
    "reward, 800 batches": ("reward", "REINFORCE"),
}
rows, number = [], {}
for words, (kind, name) in WRITERS.items():
    some = field.where(more=800) if kind == "reward" else field
    number[words] = some.of(kind, name, "under_oracle")
    back = "∞"  # what it can never write
    if None not in some.of(kind, name, "under_writer"):
        back = some.cell(kind, name, "under_writer", ".2f")
    there = some.cell(kind, name, "under_oracle", ".2f")
    pairs = some.cell(kind, name, "distinct_pairs", "%")
    rows.append([words, len(number[words]), there, back, pairs])
cooled = zip(number["teacher forcing"], number["at temperature 0.8"], strict=True)
assert min(a - b for a, b in cooled) > 9.038 - 8.736, "more than the best published"
assert max(number["beam of 8: one sentence"]) < min(number["the oracle itself"])
assert field.below("mle", "MLE, stopped", "MLE, to the end", "under_writer")
titles = ["", "runs", "its text under the oracle", "new text under it", "pairs, %"]
show_table(titles, rows)

# %% [markdown]
# (*Runs*: each has another oracle. *Pairs*: the different ones among all pairs of neighbouring words. ∞: what stood in
# no training sentence is impossible.) Look at the published column alone, the second. A writer that repeats one
# sentence for ever seems better than the oracle itself. And drawing at a temperature of 0.8 gains 0.4 to 0.5 nats,
# without any training, where the best published method gains 0.3. For this number is $\mathrm{KL}(q \,\|\, p)$ *plus
# the writer's own entropy*, so a writer who says less is paid for it. The next column has the price: new text costs 0.6
# nats more. And stopping the training early is worse by the published number, but better by far in the other direction.
# So a gain in one direction may be no more than cooling ([Caccia et al., 2020](references.md#caccia2020)).
#
# Reinforcement does the same to the extreme. (Its reward is the share of words, pairs and triples that occur in the
# training text, and it has no leash.) And scheduled sampling? Put *random* words in the place of its own, as often. The
# two rows agree: here, too, it is not its own words that do something, but any noise. It keeps a small network from
# learning its sentences by heart.

# %% [markdown]
# ## Break it
#
# Why not leave out the teacher, and learn from the verdict alone? Take a network that has never been trained.

# %%
import textwrap

child = CharRNN(writer.config, generator=generator).to(device)
alone = Reinforce(verdict, length=T, generator=generator)
try:
    for _ in range(1000):
        alone(child, nothing[:16])
except ValueError as message:
    print(textwrap.fill(str(message), 60))

# %% [markdown]
# Of its first 800 poems not one is valid, and so it would go on. All get the same verdict, none is better than the
# mean, and the gradient is exactly 0. A verdict on the whole improves a writer who succeeds now and then. It teaches
# nothing to one who never does. This is why we begin with teacher forcing.

# %% [markdown]
# ## What we saw
#
# - Scheduled sampling gives the network its own characters to read. They are hardly ever mistakes, but other good
#   choices, which look like the truth. So the loss asks for $w\, p(b \mid c) + (1 - w)\, p(b)$ with $w = \varepsilon$:
#   for a network that listens less, unless an input says what to write.
# - Random slips can be recognised. In a tenth of the places they heal most of the damage that a wrong character does.
#   The price is that more poems have a mistake in the first place, though there are fewer mistakes in all. New kinds of
#   damage, such as a lost character, stay.
# - A verdict on the whole can train a network, because $\nabla\, \mathbb E[R] = \mathbb E[(R - b)\, \nabla \log q]$. A
#   baseline takes most of the noise out.
# - The verdict alone does not ask for variety, and the language is lost. With a leash the ideal is known, $q_0\,
#   e^{R/\beta}$, and it is nearer to the language than the start. It takes long, and a rate that falls to 0. Its own
#   gift is one point of validity. More true poems help the KL more.
# - A cheap reward is earned cheaply. Look at the entropy and the KL, and not at the reward alone.
#
# **Terms fixed here** ([glossary](glossary.md)): scheduled sampling, reward, REINFORCE, leash.

# %% [markdown]
# ## Your turn
#
# 1. In the slider, watch the four poems. From which step do you see the same line twice? Is the validity still rising
#    then?
# 2. In `tenth_own`, change the 0.9 to 0.5, and then to 0.98. What happens to *valid* and *flawless*, and what does the
#    formula say?
# 3. In `practise`, use a `leash` of 1 and of 0.02. Which of the four numbers tells you first that the leash is too
#    loose?
# 4. Invent a reward that asks for the rhyme alone. How does the writer earn it? What would you add?
# 5. Let the slips of `tenth_slips` be characters that can stand at that place in *some* poem. By the formula, should
#    that be better or worse than characters from everywhere? Try.
#
# Then the graded assignment: `coursework/09_practice`.
#
# Further reading: [Huszár (2015)](references.md#huszar2015) on what scheduled sampling optimises; [Ranzato et al.
# (2016)](references.md#ranzato2016) train on whole sequences, and begin with teacher forcing; [Ziegler et al.
# (2019)](references.md#ziegler2019) put a language model on a leash, with people as judges.
