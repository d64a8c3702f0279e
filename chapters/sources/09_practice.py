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
generator = make_generator(seed, device)

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
train, test = (language.sample(n, generator=generator) for n in (12_000, 1000))
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
def worth(model, n=1000):
    x = model.sample(n, length=T, generator=generator, progress=False)
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
# Now train: 200 steps more for the writer of chapter 3, once with the linear schedule, and for comparison once with the truth alone.


# %%
from course_lib.train import Session


def go_on(inputs_for, steps=200):
    model = copy.deepcopy(writer)
    knobs = {"lr": 2e-3, "schedule": "cosine", "progress": False}
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
# The medicine has ruined the patient. TODO.
