# %% [markdown]
# # How do you write a sentence one character at a time?
#
# **You will teach a network to write Chinese quatrains, know to the third decimal how much it has still to learn, and then
# change one single character and watch everything after it go wrong.**
#
# *Laptop: one minute. You need: the softmax, and that probabilities of a sequence multiply. No Chinese.*

# %% [markdown]
# ## What you will get
#
# Two poems that no one wrote. The network of this chapter made them, one character after another, in an earlier run.
# Each line has five characters; below each word, what it means.

# %% tags=["hide-input"]
from course_lib.data import PoemGrammar
from course_lib.typeset import show_gloss, side_by_side

written = {
    "by moonlight": "明月照古寺清风过孤城举头望长夜掩卷思归程",
    "by the river": "渡口杨柳绿波心渔火流海内知己在樽前柳色流",
}


def in_english(poem):  # three words a line
    words = PoemGrammar().gloss(poem)
    return show_gloss([words[n : n + 3] for n in range(0, len(words), 3)])


side_by_side({name: in_english(poem) for name, poem in written.items()})

# %% [markdown]
# They keep rules that nobody told the network. The second characters of two lines that belong together must have
# opposite tones, and the second and fourth lines must rhyme: to choose the last character it has to remember one that it
# wrote ten characters ago.

# %% [markdown]
# ## Setup

# %%
import math
import time

import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# ## The data
#
# Real poems would do, but of real poems nobody knows how hard they are to predict. So the poems come from a
# **grammar**: lists of words, couplets made of them, and dice. It draws as many poems as we like, and since every throw
# has a known probability, we know exactly how likely each poem is. One argument puts real text in its place.

# %%
from course_lib.data import Attested, Vocabulary
from course_lib.data import load_names, load_shakespeare, load_tang
from course_lib.typeset import show_texts

source = "poems"  # or "tang", "names", "shakespeare": downloaded once
real = {
    "tang": load_tang,
    "names": load_names,
    "shakespeare": lambda: load_shakespeare(length=40),
}
exact = source not in real  # only of our own poems is the truth known
if exact:
    language = PoemGrammar()
    train, test = (language.sample(n, generator) for n in (60_000, 2000))
    vocabulary = Vocabulary(language.characters)
else:
    corpus = real[source]()
    train, test, vocabulary = corpus.train, corpus.test, corpus.vocabulary
    language = Attested(train)  # a weak judge, but all there is
show_texts(train[:5])

# %% [markdown]
# Five of the 60,000 that will train. What is a poem to a computer? And are there enough of them, or will the network
# know them by heart?

# %% tags=["nbval-check-output"]
x_train = vocabulary.encode_all(train)
N, T, V = *x_train.shape, vocabulary.levels
x_test = vocabulary.encode_all(test, T)


def read(x):  # numbers (B, T) -> texts, without end marks
    return [text.rstrip("\n") for text in vocabulary.decode(x)]


assert read(x_train[:9]) == list(train[:9]), "there and back"
known = set(train)
unseen = sum(text not in known for text in test) / len(test)
assert not exact or unseen > 0.9, "test poems are new poems"
x_train.shape, V

# %% [markdown]
# A poem is `T` = 20 numbers, each one of `V` = 331 characters. Of the 2,000 poems held out for the test, more
# than nine in ten are not among the 60,000, so whoever predicts them has learnt the rules and not the poems.

# %% [markdown]
# ## The idea
#
# Nobody can draw a poem from a table of all poems: there are $331^{20}$ strings of that length. But anybody can draw
# *one character*. So write one, look at it, draw the next one given the first, the third given the first two. The
# lecture's example is the most famous line of Chinese poetry, 床前明月光 (*before my bed, the bright moonlight*):
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
# row `V` of the table is for the beginning, where nothing stands before. A model of pairs is called a **bigram** model.

# %%
before = torch.cat([torch.full((N, 1), V), x_train[:, :-1]], 1)  # (N, T)
counts = torch.zeros(V + 1, V)
pairs = before.flatten(), x_train.flatten()
counts.index_put_(pairs, torch.ones(N * T), accumulate=True)
bigram = (counts + 0.1) / (counts + 0.1).sum(1, keepdim=True)  # rows sum to 1
seen = (counts > 0).float().mean().item()
print(f"{seen:.1%} of all pairs of characters ever occur")
assert not exact or seen < 0.1, "language is sparse"

# %%
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
# Nearly all of it is white. Knowing one character rules out almost everything, and that is what a language is. Now let
# the table write: start at its last row, draw, go to the row of what you drew. Use the slider to walk along a poem, and
# compare what the table knows (red) with the truth (grey).

# %%
from course_lib.explore import explore
from course_lib.typeset import show_bars


def write_by_table(n):
    x, previous = [], torch.full((n,), V)
    for _ in range(T):
        p = bigram[previous].to(device)  # (n, V)
        previous = p.multinomial(1, generator=generator)[:, 0].cpu()
        x.append(previous)
    return torch.stack(x, 1)


def named(p):  # (V,) probabilities with their characters
    return dict(zip(vocabulary.characters, p.tolist(), strict=True))


tables = read(write_by_table(1000))
walked = test[0]


def show_table_step(position):
    previous = vocabulary.encode(walked[position - 1])[0] if position else V
    here = {"table of pairs": named(bigram[previous])}
    here["truth"] = language.next_character(walked[:position])
    so_far = show_texts([walked[: position + 1] or " "], given=position)
    bars = show_bars(here, chosen=walked[position])
    return side_by_side({"so far": so_far, "next": bars})


explore(
    show_table_step,
    position=range(len(walked)),
    alt="a poem so far, and what the pairs and the grammar expect next",
)

# %% [markdown]
# The marked character is the one that comes. In the middle of a word the two agree. Where a new word or line begins,
# the grammar still knows what the poem is about, while the table has only the last character to go by.


# %%
def valid_share(texts):  # how many have no mistake at all?
    return sum(not language.mistakes(text) for text in texts) / len(texts)


print(f"{valid_share(tables):.1%} of what the table writes is valid")
assert not exact or valid_share(tables) < 0.02


def show_judged(texts, **how):  # mistakes in red
    wrong = [language.mistakes(text) for text in texts]
    return show_texts(texts, wrong=wrong, **how)


show_judged(tables[:5])

# %% [markdown]
# Red marks what cannot stand there. Each pair of neighbours is a pair that occurs, and that is all. Having a grammar
# means having a strict judge, for whom a poem is valid when not one character is red; of a table's poems, fewer than
# one in fifty are.

# %% [markdown]
# ## Build the network: a memory that reaches back
#
# A recurrent network keeps a **state** and, at each step, mixes a character into it. Ours is an LSTM, whose memory cells
# hold a number until a gate says otherwise. This is all of it:


# %%
class Writer(nn.Module):
    def __init__(self, V, width):
        super().__init__()
        self.embed = nn.Embedding(V + 1, width)  # the last row: start token
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, V)
        self.start = V

    def step(self, previous, state):  # one character in, logits for the next
        h, state = self.lstm(self.embed(previous)[:, None], state)
        return self.head(h[:, 0]), state  # (B, V)

    def forward(self, x):  # (B, T) -> logits (B, T, V)
        start = torch.full_like(x[:, :1], self.start)
        inputs = torch.cat([start, x[:, :-1]], 1)  # shifted by one
        h, _ = self.lstm(self.embed(inputs))
        return self.head(h)


# %% [markdown]
# The line to look at is *shifted by one*. At position $t$ the network is asked for $x_t$ and has been given everything
# before it, never $x_t$ itself. Is that so? `assert_causal` changes each character in turn and looks which logits move.

# %%
from course_lib.check import assert_causal, assert_close
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

config = CharRNNConfig(levels=V, width=128)
model = CharRNN(config, generator=generator).to(device)
by_hand = Writer(V, 128).to(device)
by_hand.load_state_dict(model.state_dict())  # the same weights
x = x_train[:4].to(device)
assert_causal(by_hand, x)
assert_close(by_hand(x), model(x), name="the library's CharRNN")

# %% [markdown]
# No character sees itself or the future, and the library's `CharRNN` is the same network, with the manners of a library.

# %% [markdown]
# ## Two loops that look alike
#
# Training and generation both walk along a sentence. Compare the last line of the two loops.


# %%
def train_on(model, x):  # teacher forcing: (B,) nats
    previous, state = torch.full_like(x[:, 0], V), None
    nats = 0
    for t in range(x.shape[1]):
        logits, state = model.step(previous, state)
        nats = nats + F.cross_entropy(logits, x[:, t], reduction="none")
        previous = x[:, t]  # <- the true character, whatever it expected
    return nats


@torch.no_grad()
def write_with(model, n):  # generation: (n, T)
    previous, state = torch.full((n,), V, device=device), None
    x = []
    for _ in range(T):
        logits, state = model.step(previous, state)
        drawn = logits.softmax(-1).multinomial(1, generator=generator)[:, 0]
        x.append(drawn)
        previous = drawn  # <- its own character, whatever the truth
    return torch.stack(x, 1)


assert_close(-train_on(by_hand, x), model.log_prob(x), name="the loop")

# %% [markdown]
# The first is called **teacher forcing**: a teacher corrects every character before the next one is asked for. It needs
# no loop in Python, since all inputs are known beforehand: `inputs, targets = x[:, :-1], x[:, 1:]` with the start token in
# front, and the whole sentence goes through at once. The second cannot do that. Here they are side by side for one
# line, before any training; blue is what the network made up.

# %%
from course_lib.typeset import show_table

blue = read(write_with(by_hand, 1))[0]
steps_shown = range(min(5, len(walked)))
rows = [[1, "start", walked[0], "start", blue[0]]] + [
    [t + 1, walked[t - 1], walked[t], blue[t - 1], blue[t]]
    for t in steps_shown[1:]
]
header = ["step", "training: in", "target", "generation: in", "drawn"]
marks = {(t, 4): "own" for t in steps_shown}
marks |= {(t, 3): "own" for t in steps_shown[1:]}
show_table(header, rows, marks=marks)

# %% [markdown]
# This is the lecture's remark, that the way a sentence model is used is not the way it is trained. Keep the blue column in
# mind: **in training, no input was ever blue.**

# %% [markdown]
# ## Knobs

# %%
steps = 3500  # about 40 s on one core
batch_size = 32  # poems a step: small, for many steps beat exact ones here
lr = 8e-3  # large, because the schedule takes it down to 0 at the end

# %% [markdown]
# ## Train
#
# The floor is the grammar's own **entropy**: what a poem costs whoever knows the grammar itself. No model can get below
# it, and a model that reaches it has learnt everything there is.

# %%
from course_lib.plots import show_curves
from course_lib.train import fit


def nll(model, x):  # (B,) nats
    return -model.log_prob(x)


knobs = {"steps": steps, "batch_size": batch_size, "lr": lr}
history = fit(
    model,
    x_train.to(device),
    loss=nll,
    schedule="cosine",
    generator=generator,
    valid=x_test[:500].to(device),
    valid_every=max(1, steps // 20),
    **knobs,
)

# %%
table_nll = -bigram[before[:2000], x_train[:2000]].log().mean().item()
floors = {"table of pairs": table_nll}
if exact:
    floor = language.entropy() / T  # nats per character
    floors["entropy of the grammar"] = floor
at, nats = zip(*history.valid, strict=True)
show_curves(
    {"held-out poems": (at, [n / T for n in nats])},
    xlabel="step",
    ylabel="nats per character",
    floors=floors,
)

# %% [markdown]
# At the first measurement it is already below the table. Then it comes down towards the floor, in steps: each is a rule
# that it has discovered. At the end it all but lies on it.

# %% [markdown]
# ## Measure: the price of a poem
#
# Nats per character are easier to picture as **perplexity**, $e^{\text{nats}}$: between how many equally likely
# characters is it, on average, still undecided?

# %%
from course_lib.prob import bits_per_dim

beginnings = torch.cat([torch.full((len(x_test), 1), V), x_test[:, :-1]], 1)
with torch.no_grad():
    per_poem = -model.log_prob(x_test.to(device))
price = {
    "uniform": math.log(V),
    "table of pairs": -bigram[beginnings, x_test].log().mean().item(),
    "network": per_poem.mean().item() / T,
}
if exact:
    price["grammar (floor)"] = floor
rows = [
    [who, f"{n:.3f}", f"{bits_per_dim(n, 1):.2f}", f"{math.exp(n):.2f}"]
    for who, n in price.items()
]
show_table(["", "nats per character", "bits", "perplexity"], rows)

# %%
own = read(model.sample(2000, length=T, generator=generator))
valid, by_pairs = valid_share(own), valid_share(tables)
print(f"valid: {valid:.1%} of its poems, {by_pairs:.1%} of the table's")
if exact:
    above = price["network"] / floor - 1
    print(f"the network pays {above:.2%} more than the grammar itself")
    assert 0 < above < 0.03, "within 3% of what is possible"
    assert valid >= 0.9, "nine in ten keep every rule"
    new = sum(text not in known for text in own) / len(own)
    print(f"{new:.0%} of its poems were not in the training set")
    assert new > 0.9, "it writes, it does not recite"

# %% [markdown]
# One per cent above the floor, and more than nine in ten of its poems keep every rule: words, tones, theme and rhyme.
# Nearly all of them are new. (The two at the top of this page come from such a run.) Walk through one of them; the network's expectation (red) and the truth (grey) can hardly
# be told apart, even for the last character, whose rhyme was set ten characters before.

# %%
flawless = [text for text in own[:100] if not language.mistakes(text)]
written_now = (flawless or own)[0]
with torch.no_grad():
    logits = model(vocabulary.encode(written_now)[None].to(device))[0]


def show_network_step(position):
    here = {"network": named(logits[position].softmax(-1))}
    here["truth"] = language.next_character(written_now[:position])
    so_far = show_texts([written_now[: position + 1]], given=position)
    bars = show_bars(here, chosen=written_now[position])
    return side_by_side({"so far": so_far, "next": bars})


explore(
    show_network_step,
    position=range(len(written_now)),
    alt="a poem of the network so far, and what it expects next",
)

# %% [markdown]
# ## The state is the memory
#
# Each new character could be drawn by running the network over everything so far. But the state after `t` characters *is*
# everything so far, and need not be computed again. Here is the simple way beside the fast one.

# %%
fast_logits, state = [], None
previous = torch.full((len(x),), V, device=device)
with torch.no_grad():
    for t in range(T):  # carrying the state: one step a character
        step_logits, state = model.step(previous, state)
        fast_logits.append(step_logits)
        previous = x[:, t]
    slow = [model(x[:, : t + 1])[:, t] for t in range(T)]  # t + 1 steps
fast, slow = torch.stack(fast_logits, 1), torch.stack(slow, 1)
assert_close(fast, slow, tolerance=1e-5, name="logits with a carried state")


# %%
@torch.no_grad()
def seconds(way, length, n=64):
    x = torch.zeros(n, length, dtype=torch.long, device=device)
    start = time.perf_counter()
    if way == "carried":
        model.sample(n, length=length, generator=generator)
    else:
        for t in range(length):
            p = model(x[:, : t + 1])[:, t].softmax(-1)
            x[:, t] = p.multinomial(1, generator=generator)[:, 0]
    return time.perf_counter() - start


lengths = [10, 25, 50, 100]
ways = ("carried", "re-run")
took = {way: [seconds(way, n) for n in lengths] for way in ways}
ratio = took["re-run"][-1] / took["carried"][-1]
print(f"64 texts of 100 characters: {64 * 100 / took['carried'][-1]:,.0f}")
print(f"characters a second, {ratio:.0f} times as many as by re-running")
assert ratio > 3, "carrying the state pays"
show_curves(
    {f"state {way}": (lengths, took[way]) for way in took},
    xlabel="characters written",
    ylabel="seconds for 64 texts",
)

# %% [markdown]
# A straight line against a parabola. Chapter 5, where a sentence has sixteen thousand characters a second, will live on
# this difference.

# %% [markdown]
# ## Play: how to draw
#
# The lecture says in passing that taking the most likely word is not the only way to read the output. It is not even a
# good one. Divide the logits by a **temperature** $\tau$ before the softmax: below 1, the likely gets likelier, and at the
# limit 0 only the likeliest is ever taken (**greedy**); above 1, all become more alike. Two other ways keep the tail of
# unlikely characters out: **top-k** draws among the $k$ likeliest only, **nucleus** sampling (top-p) among the fewest that
# together hold a share $p$.


# %%
def keep_top_k(logits, k):
    kth = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < kth, -math.inf)


def keep_nucleus(logits, p):
    probs, order = logits.softmax(-1).sort(descending=True)
    outside = probs.cumsum(-1) - probs >= p  # those before it hold p already
    outside = torch.zeros_like(outside).scatter(-1, order, outside)
    return logits.masked_fill(outside, -math.inf)


from course_lib import decode

row = logits[:1]  # what may stand at the beginning of a poem
assert torch.equal(keep_top_k(row, 5), decode.keep_top_k(row, 5))
assert torch.equal(keep_nucleus(row, 0.9), decode.keep_top_p(row, 0.9))
ways = {
    "as it is": row,
    "top-k, k = 5": keep_top_k(row, 5),
    "nucleus, p = 0.5": keep_nucleus(row, 0.5),
}
show_bars({way: named(r[0].softmax(-1)) for way, r in ways.items()}, top=12)

# %% [markdown]
# What is kept shares out what is cut. Is it worth it? Three numbers for each way of drawing: the share of valid poems;
# how many nats of choice it leaves a character; and **distinct-n**, the share of all runs of $n$ characters that occur
# only once counted (here $n = 5$, a line).


# %%
def distinct(texts, n):  # different runs of n characters / all runs
    runs = [t[i : i + n] for t in texts for i in range(0, len(t) - n + 1, n)]
    return len(set(runs)) / len(runs)


@torch.no_grad()
def survey(n=1000, temperature=1.0, **way):
    chance = make_generator(seed, device)
    x = model.sample(
        n, length=T, generator=chance, temperature=temperature, **way
    )
    tempered = decode.apply_temperature(model(x).flatten(0, 1), temperature)
    p = tempered.softmax(-1)
    choice = torch.special.entr(p).sum(-1).mean().item()  # nats
    texts = read(x)
    return texts, valid_share(texts), choice, distinct(texts, 5)


temperatures = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
surveys = {t: survey(temperature=t) for t in temperatures}
_, valid_at, choice_at, distinct_at = zip(*surveys.values(), strict=True)
show_curves(
    {
        "valid poems": (temperatures, valid_at),
        "distinct lines": (temperatures, distinct_at),
        "choice, nats per character": (temperatures, choice_at),
    },
    xlabel="temperature",
    ylabel="share, or nats",
    ylim=(0, 2),
)

# %%
if exact:
    assert distinct_at[0] < 0.01, "greedy: one poem, again and again"
    assert valid_at[2] > valid_at[4] > valid_at[6], "colder is more correct"
    assert distinct_at[2] < distinct_at[4] < distinct_at[6], "and poorer"
    assert valid_at[-1] < 0.1, "hot enough, it forgets the language"
lines_of = f"{distinct(test[:1000], 5):.0%}"
rows = [["held-out poems", f"{valid_share(test[:1000]):.1%}", lines_of]]
cuts = [{}, {"top_k": 5}, {"top_p": 0.95}, {"temperature": 0.7}]
for way in cuts:
    _, share, _, lines = survey(**way)
    name = ", ".join(f"{key}={value}" for key, value in way.items())
    rows.append([f"sample({name})", f"{share:.1%}", f"{lines:.0%}"])
show_table(["drawn by", "valid", "distinct lines"], rows)

# %% [markdown]
# There is no free lunch in it. Greedy drawing writes one flawless poem for ever. What makes the poems more correct makes
# them more alike, and at temperature 1 with nothing cut, the lines vary as much as the grammar's own do. Cutting the tail
# of the nucleus is the best bargain: it costs little variety, for most mistakes are born in the tail. Try it:


# %%
def show_at(temperature):
    texts, share, choice, lines = surveys[temperature]
    rows = [
        ["valid", f"{share:.0%}"],
        ["distinct lines", f"{lines:.0%}"],
        ["choice", f"{choice:.2f} nats a character"],
    ]
    numbers = show_table(["of 1,000 poems", ""], rows)
    return side_by_side({"": numbers, "four of them": show_judged(texts[:4])})


explore(
    show_at,
    temperature=temperatures,
    alt="four poems drawn at a temperature, mistakes marked",
)

# %% [markdown]
# **Completion** needs nothing new: feed the beginning as if the network had written it, then let it go on. In the notebook,
# give `complete` any beginning you like; on the page, choose one.


# %%
def complete(beginning, n=3, seed=seed):
    given = vocabulary.encode(beginning).to(device)
    chance = make_generator(seed, device)
    return read(model.sample(n, length=T, generator=chance, given=given))


def show_completion(beginning):
    texts = complete(beginning)
    parts = {"three completions": show_texts(texts, given=len(beginning))}
    good = [text for text in texts if exact and not language.mistakes(text)]
    if good:
        parts["one of them in English"] = in_english(good[0])
    return side_by_side(parts)


explore(
    show_completion,
    beginning=list(dict.fromkeys(text[: min(5, T // 2)] for text in test))[:8],
    alt="three completions of a beginning",
)

# %% [markdown]
# One beginning, three poems: a model that knows a distribution has more than one answer.

# %% [markdown]
# ## One wrong step, all wrong
#
# In training no input was ever blue: the network has only ever seen perfect beginnings. What does it do after a wrong
# one? Take a held-out poem, put in its third place a character that cannot stand there, and go on in two ways. With *its own
# inputs* it writes the rest. With *true inputs* it is asked for each next character after the true ones, as a teacher
# would; only the wrong one stays.


# %%
def slip(text, t, generator):  # one wrong character at position t
    possible = language.next_character(text[:t])
    while True:
        i = torch.randint(V, (), device=device, generator=generator).item()
        if vocabulary.characters[i] not in possible:
            return text[:t] + vocabulary.characters[i] + text[t + 1 :]


t_slip, n_slip = 2, min(500, len(test))
slipped = [slip(text, t_slip, generator) for text in test[:n_slip]]
x_slip = vocabulary.encode_all(slipped, T).to(device)
x_good = x_test[:n_slip].to(device)
part = slice(None, t_slip + 1)
length = {"length": T, "generator": generator}
after_slip = model.sample(n_slip, given=x_slip[:, part], **length)
after_none = model.sample(n_slip, given=x_good[:, part], **length)
with torch.no_grad():
    logits = model(x_slip).flatten(0, 1)  # each sees true characters
forced = decode.draw(logits, generator=generator).view(n_slip, T)
show_judged(read(after_slip[:5]))

# %% [markdown]
# Some of them shrug it off. Most are red to the end, and a reader of Chinese sees a reason: their *words* are real words,
# but the poem has lost count. It takes the wrong character for an extra one, so that every word comes a place too late
# and no line ends where a line should; and it never finds back, because it reads its own displaced words. Is that so? Strike
# the wrong character out again and let everything move up by one place:


# %%
def red(texts):  # mistakes, on average
    return sum(len(language.mistakes(text)) for text in texts) / len(texts)


texts = read(after_slip)
broken = [text for text in texts if len(language.mistakes(text)) > 5]
moved_up = [text[:t_slip] + text[t_slip + 1 :] for text in broken]
healed = sum(not language.mistakes(text) for text in moved_up)
print(f"{len(broken) / n_slip:.0%} of the poems are broken for good")
if broken:
    print(f"as they are:  {red(broken):4.1f} mistakes each")
    print(f"moved up:     {red(moved_up):4.1f} mistakes each")
    print(f"              {healed / len(broken):.0%} of them flawless")
if exact:
    assert len(broken) > 0.5 * n_slip, "most poems never recover"
    assert red(moved_up) < 0.65 * red(broken), "many have only lost count"
    assert healed > 0.25 * len(broken)

# %% [markdown]
# About two in five of the broken poems are flawless once moved up: nothing was wrong with them but the count. The others
# lost more than that, a theme, a rhyme, or the count once more.
#
# Now position by position. Under *true inputs*, what it draws at each place is judged after the true beginning.


# %%
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
            at[t] += (row[t] not in judge.next_character(text[:t])) / len(texts)
    return at


own_wrong = wrong_by_position(after_slip)
no_slip = wrong_by_position(after_none)
true_wrong = wrong_when_forced(forced, test[:n_slip])
rest = slice(t_slip + 1, None)
left = T - t_slip - 1
for how, at in {
    "no slip": no_slip,
    "a slip, then true inputs": true_wrong,
    "a slip, then its own inputs": own_wrong,
}.items():
    print(f"{how:28s} {at[rest].sum():5.2f} of {left} characters wrong")

# %%
if exact:
    assert own_wrong[rest].mean() > 0.5, "one wrong step, all wrong"
    assert own_wrong[-5:].mean() > 0.5, "to the end"
    assert true_wrong[-10:].mean() < 0.1, "a teacher sets it right"
    assert no_slip[rest].mean() < 0.05, "and by itself it errs rarely"
positions = range(t_slip + 2, T + 1)
show_curves(
    {
        "its own inputs": (positions, own_wrong[rest]),
        "true inputs": (positions, true_wrong[rest]),
        "no slip, own inputs": (positions, no_slip[rest]),
    },
    xlabel=f"position (the wrong character is number {t_slip + 1})",
    ylabel="share of wrong characters",
    ylim=(0, 1),
)

# %% [markdown]
# 一步错，步步错, says the lecture: one wrong step, all wrong. With true inputs the mistake is forgotten after two
# characters. With its own, two thirds and more of all that follow are wrong, and it does not get better to the end. The
# network is the same; what differs is what it reads. Try other places:


# %%
def show_slip(place):
    chance = make_generator(seed, device)
    given = [slip(text, place - 1, chance)[:place] for text in test[:4]]
    given = vocabulary.encode_all(given).to(device)
    x = model.sample(4, length=T, generator=chance, given=given)
    return show_judged(read(x), given=place - 1)


explore(
    show_slip,
    place=range(1, min(map(len, test[:4]))),
    labels={"place": "wrong character at place"},
    alt="four poems after one wrong character, mistakes marked",
)

# %% [markdown]
# One need not wait for a slip. Train on short, write long: let the network, which has never seen more than 20 characters,
# write a poem of 80.

# %%
picture = None  # a longer kind of real text is not at hand
if exact:
    longer = PoemGrammar(lines=16)
    poems = longer.sample(200, generator)
    x_long = vocabulary.encode_all(poems).to(device)
    with torch.no_grad():
        logits = model(x_long).flatten(0, 1)
    drawn = decode.draw(logits, generator=generator).view(200, 80)
    own_right = torch.ones(80)
    for text in read(model.sample(200, length=80, generator=generator)):
        own_right[longer.mistakes(text)] -= 1 / 200
    true_right = 1 - wrong_when_forced(drawn, poems)
    own_right, true_right = (
        right.view(8, 10).mean(1) for right in (own_right, true_right)
    )
    gap = true_right - own_right
    assert gap[0] < 0.02 and gap[1] < 0.05, "as far as it was trained, none"
    assert gap[1] < gap[2] and gap[3:].min() > 0.3, "beyond, it opens"
    picture = show_curves(
        {
            "true inputs": (range(10, 90, 10), true_right),
            "its own inputs": (range(10, 90, 10), own_right),
        },
        xlabel="characters written (it was trained on 20)",
        ylabel="share of valid characters",
        ylim=(0, 1.05),
    )
picture

# %% [markdown]
# Within the trained length the two are nearly one. Beyond it, true inputs keep the network at three quarters; its own
# take it down to one in eight. The **gap between the two curves is the price of never having practised alone**, and it has
# a name, exposure bias {cite:p}`ranzato2016sequence`. These numbers will be measured again in chapter 9, where the
# network gets to read its own writing while it still has a teacher.

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


copier = Unshifted(V, 128).to(device)


def copied_nll(model, x):  # (B,) nats
    return F.cross_entropy(model(x).transpose(1, 2), x, reduction="none").sum(1)


fit(
    copier,
    x_train.to(device),
    loss=copied_nll,
    generator=generator,
    **knobs | {"steps": 300},
)
with torch.no_grad():
    loss = copied_nll(copier, x_test.to(device)).mean().item() / T
nonsense = read(write_with(copier, 200))
print(f"{loss:.4f} nats per character; {valid_share(nonsense):.0%} valid")
if exact:
    print(f"{floor:.4f} is the floor")
    assert loss < floor / 10 and valid_share(nonsense) == 0
show_judged(nonsense[:5])

# %% [markdown]
# The loss is far below the floor. No model on earth can do that; when yours does, it is not genius, it is reading the
# answer. And what it writes is whatever came first, over and over, because all it has learnt is to repeat what it reads.
# `assert_causal` would have told us before the training:

# %%
try:
    assert_causal(copier, x)
except AssertionError as message:
    print(*str(message).split(": "), sep=":\n")

# %% [markdown]
# ## The same on real text
#
# Set `source` at the top to another word and run the chapter again: the same cells teach the same network to write
# Tang poems, names or Shakespeare, and what needs the grammar stays silent. With a network of its own size and at
# most three minutes on two CPU cores, each text gets down to this, on a tenth of it that was held out:
#
# TABLE
#
# `python benchmarks/char_rnn.py shakespeare --minutes 3` repeats the last row (the others likewise, by their names). Of
# real text nobody knows the floor, and a number says something only beside another. The Tang poems remain far above
# ours: 3,213 quatrains are few for 3,758 characters, most of which the network has met only a handful of times.

# %% [markdown]
# ## What we saw
#
# - A sentence's probability is a product of small ones, exactly. Its logarithm is a sum with a unit, and where the
#   entropy of the source is known, so is the best that anyone can do.
# - A table of pairs knows words; a recurrent state knows what was said ten characters ago.
# - Training reads the truth, generation reads itself. They are different loops, and the difference is measurable:
#   after one wrong character, three quarters of what follows is wrong.
# - Taking the likeliest is one way to draw among many, and the poorest. Correctness is bought with variety.
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
# 1. Walk through the network's poem to position 19. Which of the truth's four bars is left, and which earlier character
#    decided it?
# 2. Train for 500 steps only. Which rule does it break most: words, tones or rhyme? (Where are the red marks?)
# 3. Put the slip at the very end of the second line, `t_slip = 9`. Why does it hurt less?
# 4. Draw the long poems with `top_p=0.9`. How much later does the gap open? Why does it open all the same?
# 5. Set `source = "names"`. At which temperature would you let it name your child?
#
# Then the graded assignment: `coursework/03_pixelrnn_sentences`, in which you give the table a second character of memory,
# cut the tail in a way that this chapter has not shown, price the second half of a poem, and let a model that only writes
# forwards fill a hole in the middle.
#
# Further reading: {cite:t}`graves2013generating` is where networks learnt to write; {cite:t}`holtzman2020curious` explains why the likeliest
# text is not the best; {cite:t}`ranzato2016sequence` names exposure bias; {cite:t}`bengio2015scheduled` is chapter 9's first cure.
