# %% [markdown]
# # 9 · Practice: does it help to train on one's own writing?
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
# The writer of chapter 3 writes a poem with a mistake now and then. Here it practises. It writes poems, a judge says *right* or
# *wrong*, and nothing else, and it learns from that. Each line is one training, which begins at the common point and moves
# along its line. To the top is better: more poems without a mistake. To the left is better: nearer to the language it
# has learnt.

# %% tags=["drawing"]
from course_lib.data.shipped import shipped
from course_lib.show.plots import show_curves
from course_lib.show.stored_runs import StoredRuns

runs = StoredRuns(shipped("results/writers.json"))


def path_of(name):  # of seed 0: how far from the grammar, how many valid
    watched = runs.of("practice", name, "watched")[0]
    return watched["kl"], watched["valid"]


names = {"a verdict alone": "no leash", "a verdict and a leash": "leash"}
show_curves(
    {words: path_of(name) for words, name in names.items()},
    xlabel="KL from the grammar to the writer, nats a poem",
    ylabel="share of valid poems",
    xscale="log",
)

# %% [markdown]
# TODO read

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
# network. Its trained weights come with the course. So here `seed` moves the poems, the draws and all the training on this page,
# but not the weights that we begin with. What rests on whole trainings from several seeds is read from stored runs
# (`python benchmarks/writers.py`).

# %%
from course_lib.data import PoemGrammar, Vocabulary
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

language = PoemGrammar()
vocabulary = Vocabulary(language.characters)
T, V = language.length, vocabulary.levels  # 20 characters a poem, of 331
train, test = (language.sample(n, generator=generator) for n in (10_000, 800))
x_train, x_test = (vocabulary.encode_all(poems).to(device) for poems in (train, test))
writer = CharRNN(CharRNNConfig(V, features=128), generator=generator).to(device)
weights = torch.load(shipped("samples/poem_writer.pt"), weights_only=True)
writer.load_state_dict(weights)
x_train.shape, x_test.shape


# %% [markdown]
# We judge a writer $q$ by four numbers. They are chapter 3's:
#
# - **valid**: the share of its poems in which the grammar finds no mistake;
# - **entropy**: the mean of $-\log q$ over its own poems, in nats a poem. The grammar's is 18.3. Less means that it writes less
#   variously, more that it rambles;
# - **KL**: the mean of $\log p - \log q$ over true poems, in nats a poem. That is $\mathrm{KL}(p \,\|\, q)$: how much it
#   has still to learn, or has forgotten;
# - **flawless after a slip**: put a wrong character at place 3 of a true poem, let it write the rest, and count the poems without
#   a further mistake.


# %%
def read(x):  # numbers (B, T) -> poems
    return vocabulary.decode(x)


def verdict(x):  # (B, T) -> (B,): 1.0 for a poem, 0.0 for anything else
    good = [not language.mistakes(poem) for poem in read(x)]
    return torch.tensor(good, dtype=torch.float32)


log_p = torch.tensor([language.log_prob(poem) for poem in test])


@torch.no_grad()
def worth(model, x=None):  # x: some of its poems
    if x is None:
        x = model.sample(500, length=T, generator=generator, progress=False)
    kl = log_p - model.log_prob(x_test).cpu()
    entropy = -model.log_prob(x).mean().item()
    return {"valid": verdict(x).mean().item(), "entropy": entropy, "kl": kl.mean().item()}


# %%
def slip(poem, t):  # its beginning, with a wrong character at place t
    possible = language.next_character(poem[: t - 1])
    wrong = [c for c in vocabulary.characters if c not in possible]
    i = torch.randint(len(wrong), (), generator=generator, device=device)
    return poem[: t - 1] + wrong[i]


slips = [slip(poem, 3) for poem in test[:500]]


def after_slip(model):  # what it writes after each, and what of that is wrong
    given = vocabulary.encode_all(slips).to(device)
    poems = read(model.sample(500, length=T, generator=generator, given=given))
    return poems, [[t for t in language.mistakes(p) if t > 2] for p in poems]


def flawless(model):
    return sum(not wrong for wrong in after_slip(model)[1]) / len(slips)


# %% tags=["checking"]
from course_lib.show.typeset import show_table

before = worth(writer) | {"flawless": flawless(writer)}


def row(name, found):
    cells = f"{found['valid']:.1%}", f"{found['entropy']:.1f}", f"{found['kl']:.2f}"
    return [name, *cells] + ([f"{found['flawless']:.0%}"] if "flawless" in found else [])


heads = ["", "valid", "entropy", "KL", "flawless after a slip"]
assert 0.9 < before["valid"] < 0.97 and before["flawless"] < 0.35
print(f"entropy of the grammar: {language.entropy():.2f} nats a poem")
show_table(heads, [row("the writer", before)])

# %% [markdown]
# That is the patient. By itself it seldom errs, but after one wrong character three of four poems go wrong further on. Chapter 3 found the reason:
# with true characters to read, it is right again two characters later. It has had no practice in reading its own
# mistakes. In training, every character that it read was true.

# %% [markdown]
# ## Scheduled sampling: let it read itself
#
# The remedy seems plain. If it has no practice in reading its own writing, let it practise. In training, toss a coin for every character:
# with probability `truth` it reads the true one, and otherwise the one that it has just drawn itself. The *targets* stay the true characters.
# Begin with the truth alone, and lower `truth` as the training goes on. This is **scheduled
# sampling** ([Bengio et al., 2015](references.md#bengio2015)).


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
# The line to look at is the last one of the loop: the network goes on from the *mixed* text, whatever that is. The loss is what it always was,
# except for the inputs: $-\sum_t \log q(x_t \mid \text{inputs before } t)$. The library's `scheduled_sampling` is the same loss, and with
# `truth=1` it is teacher forcing.

# %% tags=["checking"]
from course_lib.train.scheduled import mixed_inputs, scheduled_sampling

some = x_test[:50]
ours = own_inputs(writer, some, 0.5, make_generator(1, device))
its = mixed_inputs(writer, some, truth=0.5, generator=make_generator(1, device))
at_one = scheduled_sampling(writer, some, truth=1, generator=generator)
assert torch.equal(ours, its) and torch.equal(at_one, -writer.log_prob(some))

# %% [markdown]
# Here are the first two lines of a poem, with fair coins. Blue is its own:

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
# The paper has three ways to lower `truth`. Here they are set so that over the whole training half of the coins say *true*:

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

# %% tags=["checking"]
for name in ("linear", "exponential", "inverse sigmoid"):
    assert abs(sum(map(schedules[name], over)) / 101 - 0.5) < 0.01

# %% [markdown]
# Now train: 150 steps more for the writer of chapter 3, once with the linear schedule, and for comparison once with the truth alone.


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


forced = go_on(lambda model, x, truth: x)
scheduled = go_on(own_inputs)

# %% tags=["checking"]
tried = {"the writer": before}
for name, model in {"teacher forcing": forced, "scheduled sampling": scheduled}.items():
    tried[name] = worth(model) | {"flawless": flawless(model)}
sick = tried["scheduled sampling"]
assert tried["teacher forcing"]["valid"] > 0.9
assert sick["valid"] < 0.1 and sick["kl"] > 3 and sick["flawless"] < 0.05
show_table(heads, [row(*one) for one in tried.items()])

# %% tags=["drawing"]
from course_lib.show.typeset import show_poems


def show_judged(poems, **how):  # mistakes in red
    wrong = [language.mistakes(poem) for poem in poems]
    return show_poems(poems, language.lexicon, wrong=wrong, **how)


show_judged(read(scheduled.sample(4, length=T, generator=generator)))

# %% [markdown]
# The medicine has ruined the patient. After 150 steps of practice hardly one poem is valid, and its entropy is three times
# the grammar's: it rambles. After a slip, no poem is right any more. And 150 steps more of teacher forcing, with the same poems a step and the same rate,
# changed little. So it is the own inputs that did it. Why?

# %% [markdown]
# ## Why: a mistake that cannot be seen
#
# Take the shortest language in which it can happen, two poems of two characters each: 乐笑 (*happy, laugh*) and 悲哭 (*sad, weep*). Both are equally
# likely. The first character $a$ decides the second, $b$.
#
# In scheduled sampling the first character is learnt as it is, $q(a) = p(a)$, for nothing is read before it. For the second
# the network reads some $c$, and its target is the true $b$. What is the best answer? Let $w(c)$ be the probability that $c$ *is* the true
# character, given that $c$ is what stands there. If it is, $b$ follows it. If not, $c$ has nothing to do with $b$. The loss is lowest at the average of the
# targets ([Huszár, 2015](references.md#huszar2015)):
#
# $$ q(b \mid c) = w(c)\, p(b \mid c) + \bigl(1 - w(c)\bigr)\, p(b), \qquad
# w(c) = \frac{\varepsilon\, p(c)}{\varepsilon\, p(c) + (1 - \varepsilon)\, r(c)} $$
#
# Here $\varepsilon$ is `truth`, and $r(c)$ says how likely $c$ is if it is not the truth. In scheduled sampling it is the network's own draw, so
# $r = q(a) = p$. The two cancel, and **$w = \varepsilon$, whatever it reads**. With half true coins it must say after 乐 that in one case of
# four one weeps. With its own inputs alone, $\varepsilon = 0$, the best answer is $p(b)$: not to listen at all.
#
# So the optimum is not the language. No longer training and no larger network can help, since the loss itself asks for it. Check it
# with the same loop, on a table of pairs:


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


# %%
HAPPY, SAD, LAUGH, WEEP, OTHERS = 0, 1, 2, 3, 16  # twenty characters in all
two = torch.tensor([[HAPPY, LAUGH], [SAD, WEEP]], device=device).repeat(500, 1)


def random_slips(model, x, truth):  # any character, in the place of its own
    wrong = torch.randint(20, x.shape, generator=generator, device=device)
    own = torch.rand(x.shape, generator=generator, device=device) >= truth
    return torch.where(own, wrong, x)


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
rows = []
for name, inputs_for in {"its own": own_inputs, "any": random_slips}.items():
    for truth in (1.0, 0.9, 0.5, 0.0) if name == "its own" else (0.9, 0.5):
        r = 1 / 2 if name == "its own" else 1 / 20
        w = truth / 2 / (truth / 2 + (1 - truth) * r)
        best = w * 1 + (1 - w) / 2
        q = answers(inputs_for, truth)
        rows.append([name, truth, f"{best:.3f}", f"{q[HAPPY, LAUGH]:.3f}"])
        assert abs(q[HAPPY, LAUGH] - best) < 0.03
        rows[-1].append("")
        if name == "any":  # a slip that cannot be the truth: an even guess
            rows[-1][-1] = f"{q[4:, LAUGH].mean():.2f}"
            assert abs(q[4:, LAUGH].mean() - 0.5) < 0.05
head = ["in place of the truth", "truth", "formula", "trained"]
show_table([*head, "after a wrong one"], rows)

# %% [markdown]
# The third and the fourth column are how likely 笑 (*laugh*) is after 乐 (*happy*). In the language it is certain. The trained tables agree with the
# formula.
#
# The lower rows show a rival that the formula suggests. What if the wrong inputs are *not* its own, but any characters, each as
# likely as the others? Then $r(c) = 1/V$, and $w$ depends on what is read. A character that is common in the language is nearly always the truth, so
# believe it. A character that cannot stand there is never the truth, so ignore it: the last column is the even guess that is right there. **A slip that can be recognised
# teaches what to do after slips. A slip that looks like the truth teaches not to trust the truth.**
#
# And what does our writer draw? Let it read true poems, and look at the character that it would draw at each place:

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
# Of its own characters that differ from the true one, hardly one in a hundred is a mistake. The others are the beginnings of *other good
# poems*. Scheduled sampling takes those as inputs, keeps the first poem's characters as targets, and so asks the network to go on with a poem that it did not begin. It is no
# practice in mistakes at all.

# %% [markdown]
# ## The rival: any slip will do
#
# Now the poems. Replace a tenth of the inputs by characters drawn from all 331, and change nothing else.


# %%
def tenth_slips(model, x, truth):
    wrong = torch.randint(V, x.shape, generator=generator, device=device)
    coins = torch.rand(x.shape, generator=generator, device=device)
    return torch.where(coins < 0.1, wrong, x)


def tenth_own(model, x, truth):
    return own_inputs(model, x, 0.9)


noisy, some_own = go_on(tenth_slips), go_on(tenth_own)

# %% tags=["checking"]
for name, model in {"a tenth own": some_own, "a tenth random": noisy}.items():
    tried[name] = worth(model) | {"flawless": flawless(model)}
fine = tried["a tenth random"]
assert fine["flawless"] > before["flawless"] + 0.03
show_table(heads, [row(*one) for one in tried.items()])

# %% [markdown]
# TODO

# %% tags=["checking"]
READS = {
    "teacher forcing": "the truth",
    "teacher forcing, longer": "the truth, twice as long",
    "fiftieth own": "own, 2 %",
    "tenth own": "own, 10 %",
    "linear": "own, linear",
    "fiftieth random slips": "random, 2 %",
    "tenth random slips": "random, 10 %",
    "random slips": "random, linear",
    "tenth hidden": "blanks, 10 %",
}
columns = {"valid": "%", "kl": ".2f", "flawless": "%", "flawless_own": "%"}
columns |= {"long_wrong": "%", "seconds": ".0f"}
titles = ["it reads", "valid, %", "KL", "flawless after ours, %", "after its own, %"]
titles += ["beyond 20, wrong, %", "training, s"]
show_table(titles, runs.table("training", READS, columns))

# %% [markdown]
# TODO

# %% tags=["checking"]
LEARNT = {"teacher forcing": "the truth", "tenth random slips": "random, 10 %"}
LEARNT |= {name: f"own, {name}" for name in ("linear", "exponential", "inverse sigmoid")}
LEARNT |= {"half": "own, half", "always own": "own, always"}
columns = {"valid": "%", "entropy": ".0f", "kl": ".1f"}
columns |= {"heeds": "%", "rhyme_other": "%"}
titles = ["it reads", "valid, %", "entropy", "KL", "heeds, %", "heeds the rhyme, %"]
show_table(titles, runs.table("training", LEARNT, columns))

# %% [markdown]
# TODO

# %% [markdown]
# ## Reinforcement: judge the whole
#
# All trainings so far asked for one character after another. But what we want is a whole poem without a mistake. The loss and the wish are not
# the same. Search the writer's own poems for two that cost it the same number of nats, one valid and one not:

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
print(f"{nats[good][i]:.3f} and {nats[~good][k]:.3f} nats;", end=" ")
dear = (nats[good] > nats[~good].median()).float().mean().item()
print(f"medians: valid {nats[good].median():.1f}, with a mistake", end=" ")
print(f"{nats[~good].median():.1f}; this much or more cost {dear:.2%} of the valid ones")
with torch.no_grad():
    limit = (-writer.log_prob(x_test)).quantile(0.99).item()  # 1 true poem in 100 costs more
kept = good[nats < limit].float().mean().item()
print(f"of those that cost less than {limit:.1f} nats, {kept:.1%} are valid")
assert gap[i, k] < 0.01

# %% [markdown]
# To the network they are equally likely. A reader throws the second away. So let the reader judge: a **reward** $R(x)$ is given to the whole poem $x$, at its end, and is
# 1 if the grammar finds no mistake, and 0 otherwise. The judge need not say where the mistake is, nor how to mend it. It need not even be a formula; it could be a
# person. But then how does a network learn from it? There is nothing to differentiate: characters are drawn, and the verdict falls from the sky.
#
# ### REINFORCE in five lines
#
# What we can differentiate is how *likely* each poem is. We want the mean reward to rise:
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
# The third line is $\nabla \log q = \nabla q / q$. The fourth is an expectation under the network itself, so it can be estimated by letting the network write. The fifth holds for every number $b$ that does
# not depend on $x$, because $\mathbb E[\nabla \log q] = \sum_x \nabla q(x) = \nabla 1 = 0$. This is **REINFORCE** ([Williams,
# 1992](references.md#williams1992)): *write, get the verdict, and make what was better than $b$ more likely, and what was worse less.*
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
# The library's `Reinforce` is the same loss, and has what comes next. The value of this loss means nothing. Only its gradient counts.
#
# ### What a baseline is worth
#
# Any $b$ gives the right gradient on average. But one batch of 64 poems is not the average. How far do the gradients of several batches scatter? Compare no baseline, the mean of
# the other poems, and the reward of the one poem that the network writes without dice, greedily ([Rennie et al., 2017](references.md#rennie2017)).


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
    print(f"{name:8s}{size:.3f}, so as many poems as {share:.1f} times {64} save it")
assert spread["none"] > 2 * spread["others"]

# %% [markdown]
# Without a baseline the gradient scatters about four times as widely. It would take some sixteen times as many poems to make up for it. Why so much? Nineteen of twenty
# poems are valid. Without a baseline each of them says *more of this*, and these votes must cancel. With the mean for a baseline, a valid poem says hardly anything, and a mistake speaks loudly.
# The greedy poem is valid, so its reward is 1, and that is nearly the mean.
#
# ### Practise


# %%
@torch.no_grad()
def look(model):
    x = model.sample(400, length=T, generator=generator, progress=False)
    moved = (model.log_prob(x) - writer.log_prob(x)).mean().item()
    found = worth(model, x) | {"from the start": moved, "poems": read(x[:4])}
    return found | {"different": len(set(read(x)))}


def practise(reward, steps=100, lr=5e-3, leash=0.0):
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
# 100 batches of 64 poems, and a verdict on each. (`leash` comes later.)

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
    return side_by_side({"400 poems": numbers, "four": show_judged(found["poems"])})


def show_free(step):
    return show_practice(free, step)


alt = "four poems after some steps of practice, with reward, entropy and divergences"
explore(show_free, step=list(free), start={"step": 100}, alt=alt)

# %% tags=["checking"]
end = free[100]
print(f"valid {end['valid']:.1%}, entropy {end['entropy']:.1f}, KL {end['kl']:.2f}")
assert end["kl"] > 1 and end["entropy"] < before["entropy"] - 1

# %% [markdown]
# TODO It works, and it does not. *From the start* is KL(now || start).

# %% [markdown]
# ## What should it become?
#
# The verdict does not ask for variety. A writer of one single valid poem has the highest reward there is. So say what we want to keep: let it pay for moving away from the writer
# $q_0$ that it was. With a **leash** $\beta$, the aim is
#
# $$
# \begin{aligned}
# \mathbb E_q[R] - \beta\, \mathrm{KL}(q \,\|\, q_0)
# &= -\beta\, \mathbb E_q\Bigl[\log \frac{q}{q_0\, e^{R/\beta}}\Bigr] \\
# &= \beta \log Z - \beta\, \mathrm{KL}(q \,\|\, q^*), \qquad q^* = \frac{q_0\, e^{R/\beta}}{Z}
# \end{aligned}
# $$
#
# where $Z$ makes $q^*$ sum to 1. The best writer is therefore $q^*$, and no other: the old one, in which every valid poem has been made $e^{1/\beta}$ times as likely *beside* every invalid
# one. All valid poems keep their shares among each other. With a short leash little changes. With $\beta \to 0$ only valid poems are left, in their old proportions. That is what you get if you throw
# away what has a mistake.
#
# Now look at what this does to the KL from the grammar. Every true poem is valid, so $\log q^* = \log q_0 + 1/\beta - \log Z$, and
#
# $$ \mathrm{KL}(p \,\|\, q^*) = \mathrm{KL}(p \,\|\, q_0) + \log\bigl(v + (1 - v)\, e^{-1/\beta}\bigr), $$
#
# with $v$ the share of valid poems before. It is *lower*. A perfect practice makes fewer mistakes and forgets nothing:

# %% tags=["checking"]
beta, v = 0.2, before["valid"]
odds = (1 - v) / v * math.exp(-1 / beta)
gain = math.log(v + (1 - v) * math.exp(-1 / beta))
print(f"leash {beta}: invalid {odds / (1 + odds):.3%}; KL {gain:+.3f} nats a poem,", end=" ")
print(f"and at most {math.log(v):+.3f}")

# %% [markdown]
# In the code the leash is a part of the reward: each poem pays $\beta\,(\log q(x) - \log q_0(x))$.

# %%
held = practise(verdict, leash=beta)

# %% tags=["checking"]
tried = {"the writer": before, "a verdict alone": free[100]}
tried["a verdict and a leash"] = held[100]
for one in tried.values():
    one.pop("flawless", None)
assert held[100]["kl"] < before["kl"] + 2 < free[100]["kl"]
show_table(heads[:-1], [row(*one) for one in tried.items()])

# %% [markdown]
# TODO

# %% tags=["checking"]
PRACTICES = {
    "leash": "verdict and leash",
    "no leash": "verdict alone",
    "rejection": "mistakes thrown away",
    "own valid poems": "its own valid poems",
    "more teacher forcing": "more true poems",
}
columns = {"valid": ".1%", "kl": ".3f", "entropy": ".1f", "lines": ".0f"}
columns |= {"seconds": ".0f", "seconds_write": ".2f"}
titles = ["practice", "valid", "KL", "entropy", "lines", "training, s", "writing, s"]
first = runs.table("training", {"teacher forcing": "none"}, columns)
show_table(titles, first + runs.table("practice", PRACTICES, columns))

# %% [markdown]
# TODO

# %% [markdown]
# ## The cheat
#
# We have been lucky in our judge. The grammar's verdict is right every time. Suppose there were no grammar, and we took a cheap judge: chapter 3's table of pairs. The reward of a poem is the mean log-probability
# of its neighbours. True poems have much more of it than nonsense, so it looks like a good idea.

# %%
counts = torch.full((V, V), 0.1)
pairs = x_train[:, :-1].flatten().cpu(), x_train[:, 1:].flatten().cpu()
counts.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
common = (counts / counts.sum(1, keepdim=True)).log().to(device)


def fluency(x):  # (B, T) -> (B,): how common its pairs of neighbours are, nats
    return common[x[:, :-1], x[:, 1:]].mean(1)


cheat = practise(fluency)

# %% tags=["drawing"]
show_judged(cheat[100]["poems"])

# %% tags=["checking"]
earned = {"true poems": fluency(x_test).mean().item()}
earned["before"] = fluency(x_own).mean().item()
for name, mean in earned.items():
    print(f"reward of {name}: {mean:.2f}", end="; ")
end = cheat[100]
print(f"valid {end['valid']:.1%}, entropy {end['entropy']:.1f}, KL {end['kl']:.1f}")
assert end["entropy"] < 5 and end["kl"] > 5

# %% [markdown]
# TODO

# %% [markdown]
# ## All of them, in one table

# %% tags=["checking"]
def cells(found, kind, name, **columns):  # {title: (column or function, format)}
    return [found.cell(kind, name, *c) if c else "–" for c in columns.values()]


whole = runs.where(length=20, begun=0)
rows = []
for words, kind, name in (
    ("teacher forcing", "training", "teacher forcing"),
    ("own, 10 %", "training", "tenth own"),
    ("random, 10 %", "training", "tenth random slips"),
    ("verdict and leash", "practice", "leash"),
    ("verdict alone", "practice", "no leash"),
    ("mistakes thrown away", "practice", "rejection"),
):
    columns = {"valid": "%", "flawless_3": "%", "lines": ".0f", "kl": ".2f"}
    columns |= {"seconds": ".0f", "seconds_write": ".2f"}
    rows += runs.table(kind, {name: words}, columns)
show_table(["", "valid, %", "flawless, %", "lines", "KL", "training, s", "writing, s"], rows)

# %% [markdown]
# TODO

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
# Among its first 800 poems not one was valid, nor will one of the next be. All get the same verdict, so nobody is better than the mean, and the gradient is 0, exactly. A verdict on
# the whole can sharpen a writer who succeeds now and then. It cannot teach one who never does. That is why everybody begins with teacher forcing.

# %% [markdown]
# ## What we saw
#
# TODO

# %% [markdown]
# ## Your turn
#
# TODO
