# %% [markdown]
# # Is a decoder a generator?
#
# **You will train an autoencoder, cut off its decoder, feed it vectors that no image ever had, and measure how often
# what comes out is no digit at all.**
#
# *Laptop: half a minute. You need: gradient descent, the softmax, and that a logarithm turns products into sums.*

# %% [markdown]
# ## What you will get
#
# First row: digits that went through an autoencoder, each squeezed into a code of 16 numbers and drawn again from it.
# Below: the same decoder, fed with 16 numbers drawn from the range in which those codes lie. A judge that has never
# seen an autoencoder strikes out what it does not take for a digit.

# %% tags=["hide-input"]
import torch
from course_lib.data import load_digits
from course_lib.device import make_generator, pick_device
from course_lib.judge import DigitJudge
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.plots import show_images
from course_lib.prob import categorical_log_prob
from course_lib.train import fit

device, generator = pick_device(), make_generator(0, pick_device())
x, y = load_digits("train", device=device)
sizes = AutoencoderConfig(latent=16, features=64, depth=1)
teaser = Autoencoder(sizes, generator=generator).to(device)
knobs = {"steps": 600, "batch_size": 100, "lr": 1e-3, "generator": generator}
fit(
    teaser, x, loss=lambda model, x: -categorical_log_prob(model(x), x), **knobs
)
with torch.no_grad():
    z = teaser.encoder(x)
    low, high = z.min(0).values, z.max(0).values
    anywhere = torch.rand(20, 16, device=device, generator=generator)
    drawn = low + (high - low) * anywhere
    images = teaser.decoder(torch.cat([z[:10], drawn])).argmax(1)
judge = DigitJudge(
    (x, y), load_digits("valid", device=device), generator=generator
)
show_images(images, crossed=judge.label(images) < 0)

# %% [markdown]
# ## Setup
#
# Everything that chance decides in this chapter comes from one generator. Change the seed and run again: each number
# moves a little, and each claim must survive.

# %%
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
# 1,797 handwritten digits, each 8 × 8 pixels, each pixel one of 17 **levels** of ink from 0 to 16. The first 1,000
# train, the next 350 decide, and the last 447 measure; they were written by other people than the first.

# %%
from course_lib.data import load_digits

x_train, y_train = load_digits("train", device=device)
x_valid, y_valid = load_digits("valid", device=device)
x_test, y_test = load_digits("test", device=device)
x_train.shape, x_train.dtype, x_train.max()

# %%
from course_lib.plots import show_images

show_images(x_train[:20])

# %% [markdown]
# Coarse, but a person reads them at once. Ask yourself how many of the $17^{64}$ possible images you would read:
# nearly none of them. A generator has to find the few.

# %% [markdown]
# ## The idea
#
# Squeeze an image through a needle's eye and demand it back. A network called the **encoder** turns the image into a
# short vector, its **code** $z$. A second one, the **decoder**, must rebuild the image from $z$ alone. If $z$ has two
# numbers and the image 64, then the two networks are forced to agree on what is worth telling.
#
# ![The encoder turns an image into a code of two numbers, the decoder turns the code into an image. A pair of
# scissors cuts between them: where would a code come from if there is no image?](images/02_scissors.svg)
#
# Now take the scissors. The right half is a machine that turns a vector into an image. Give it a vector, any vector,
# and out comes a picture: a generator! So says the hope. The lecture that this course follows says: the result is
# poor, because *the decoder is a non-linear network, and a vector that was not seen in training gives no valid
# output*. Is that so? It can be measured.

# %% [markdown]
# ## The one equation
#
# The decoder does not answer with an image, but with a distribution over the 17 levels for each pixel $i$. We ask it
# for the **negative log-likelihood** of the image that went in, in nats:
#
# $$ \mathrm{nll}(x) = -\sum_{i=1}^{64} \log p_i(x_i \mid z), \qquad z = \mathrm{encoder}(x). $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, 1, 8, 8) |
# | $z$ | `z` | (B, Z) |
# | $\log p_i(v \mid z)$, up to a constant | `logits` | (B, 17, 1, 8, 8) |
# | $\mathrm{nll}(x)$ | `nll` | (B,) |
#
# The pixels are independent *given the code*. All that one pixel can know of another, it knows through $z$.

# %% [markdown]
# ## Knobs
#
# Five numbers decide all that follows. Turn one, run everything again, and see which claims hold.

# %%
Z = 2  # the code's size: two, so that we can look at it
features = 64  # the hidden layers' width: enough for 1,000 images, and quick
batch_size = 100  # a tenth of the data a step
lr = 1e-3  # Adam's usual start; a small model bears it
steps = 1000  # by then the curve is nearly flat

# %% [markdown]
# ## Build the encoder, and look
#
# Ink from 0 … 16 becomes −1 … 1, where networks start best, and goes through two layers. The decoder will be the same
# thing backwards, so we make it along with the encoder.

# %%
from course_lib.layers import initialised_by


def bent(wide_in, wide_out):  # two linear layers with a bend between them
    first, last = nn.Linear(wide_in, features), nn.Linear(features, wide_out)
    return nn.Sequential(first, nn.SiLU(), last).to(device)


with initialised_by(generator):  # the first weights are chance too
    encoder = bent(64, Z)
    decoder = bent(Z, 17 * 64)


def encode(x):  # (B, 1, 8, 8) -> (B, Z)
    return encoder(x.flatten(1) / 8 - 1)


# %%
from course_lib.plots import show_code_plane

with torch.no_grad():
    z = encode(x_train)
show_code_plane(z, y_train)

# %% [markdown]
# Every dot is an image, at the place where the untrained encoder puts it. Already some colours keep together:
# similar pixels, similar sums. But the digits lie on top of each other, and no decoder could tell them apart.

# %% [markdown]
# ## Build the decoder, and look


# %%
def decode(z):  # (B, Z) -> logits (B, 17, 1, 8, 8)
    return decoder(z).view(-1, 17, 1, 8, 8)


def picture(logits):  # the most likely level of each pixel: (B, 1, 8, 8)
    return logits.argmax(1)


with torch.no_grad():
    untrained = picture(decode(encode(x_train[:10])))
show_images(torch.cat([x_train[:10], untrained]))

# %% [markdown]
# Above, what goes in; below, what comes out. The decoder has no idea yet. How bad is that, in numbers?

# %% [markdown]
# ## The loss, and two floors to stand on


# %%
def nll(logits, x):  # (B,) nats per image: 64 pixels, added up
    return F.cross_entropy(logits, x, reduction="none").flatten(1).sum(1)


with torch.no_grad():
    before = nll(decode(encode(x_valid)), x_valid).mean().item()

# how often was this pixel this dark? (1, 8, 8, 17), smoothed by half a count
counts = F.one_hot(x_train, 17).sum(0) + 0.5
log_share = (counts / counts.sum(-1, keepdim=True)).log()
always_the_same = log_share.movedim(-1, 0).expand(350, -1, -1, -1, -1)
no_code = nll(always_the_same, x_valid).mean().item()
clueless = torch.zeros(350, 17, 1, 8, 8, device=device)
uniform = nll(clueless, x_valid).mean().item()
print(f"untrained        {before:6.1f} nats per image")
print(f"uniform          {uniform:6.1f}   (64 ln 17)")
print(f"pixel histograms {no_code:6.1f}   (no code at all)")

# %% [markdown]
# Whoever knows nothing pays $64 \ln 17 = 181.3$ nats. Whoever knows how often each pixel is how dark, but not which
# image is meant, pays about 110. Only what is *below that* is worth calling a code.

# %% [markdown]
# ## Train, by hand
#
# This is the whole loop. It is the only time that this course writes it out, so look at each line once.

# %%
parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = torch.optim.Adam(parameters, lr=lr)
chance = {"device": device, "generator": generator}
losses = []
for _ in range(steps):
    index = torch.randint(1000, (batch_size,), **chance)
    x = x_train[index]  # (B, 1, 8, 8): a batch, drawn by chance
    loss = nll(decode(encode(x)), x).mean()  # nats per image
    optimizer.zero_grad()  # forget the last step's gradients
    loss.backward()  # how does each weight change the loss?
    optimizer.step()  # a small step against that
    losses.append(loss.item())

# %%
from course_lib.plots import show_curves
from course_lib.prob import bits_per_dim

with torch.no_grad():
    held_out = nll(decode(encode(x_test)), x_test).mean().item()
losses_of = {"two numbers": held_out, "no code": no_code, "uniform": uniform}
for name, nats in losses_of.items():
    bits = bits_per_dim(nats, 64)
    print(f"{name:11s} {nats:6.1f} nats/image {bits:5.2f} bits/dim")
assert held_out < no_code - 10, "two numbers are worth more than 10 nats"
show_curves(
    {"training batches": (range(steps), losses)},
    xlabel="step",
    ylabel="nats per image",
    floors={"uniform": uniform, "no code: pixel histograms": no_code},
)

# %% [markdown]
# On digits it has never seen, two numbers an image are worth a dozen nats. (Shared out over the 64 pixels and counted in
# powers of two, a loss is called **bits per dimension**, which makes images of different sizes comparable.) The curve
# falls from the upper line and turns a corner at the lower one, where the decoder knows the average digit and
# nothing else. From there on, every nat is the code's: it has begun to speak.

# %% [markdown]
# ## Train, in one call
#
# From here on the loop is `fit`, which adds a progress bar, a stop button that loses nothing, and a GPU if there is
# one. It must not add anything else: from the same seed, it has to give the same curve.

# %%
from course_lib.check import assert_close
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.train import fit


def train(Z, lr=lr, depth=1):  # an autoencoder, and how training went
    generator = make_generator(seed, device)
    config = AutoencoderConfig(latent=Z, features=features, depth=depth)
    model = Autoencoder(config, generator=generator).to(device)
    knobs = {"steps": steps, "batch_size": batch_size, "lr": lr}
    loss = lambda model, x: nll(model(x), x)  # (B,) nats
    return model, fit(model, x_train, loss=loss, generator=generator, **knobs)


model, history = train(Z=2)
by_hand, by_fit = torch.tensor(losses), torch.tensor(history.loss)
assert_close(by_fit, by_hand, tolerance=1e-2, name="the curve of fit")

# %% [markdown]
# Equal, step by step. Does the code carry the image? These digits were held out:

# %%
with torch.no_grad():
    rebuilt = picture(model(x_test[:20]))
show_images(torch.cat([x_test[:10], rebuilt[:10], x_test[10:20], rebuilt[10:]]))

# %% [markdown]
# Two numbers keep the slant, the thickness and now and then the class; the handwriting is gone. What comes out looks like
# a digit all the same, if not always like the right one.

# %% [markdown]
# ## Play: every point of the plane is an image
#
# Below, each training image stands at its code. Move the cross: the decoder draws whatever lies there, whether any
# image was ever encoded there or not.

# %%
import numpy as np

with torch.no_grad():
    z_train = model.encoder(x_train)
# where nearly all codes lie: the first and the last of a hundred are left out
low, high = np.quantile(z_train.cpu(), [0.01, 0.99], axis=0).tolist()


def show_digit_at(z1, z2):
    with torch.no_grad():
        logits = model.decoder(torch.tensor([[z1, z2]], device=device))
    plane = {"mark": (z1, z2), "image": picture(logits)[0, 0]}
    return show_code_plane(z_train, y_train, title="decoded there", **plane)


show_digit_at(low[0], high[1])

# %%
from course_lib.explore import explore

explore(
    show_digit_at,
    z1=np.linspace(low[0], high[0], 11).round(2),
    z2=np.linspace(low[1], high[1], 11).round(2),
    labels={"z1": "z₁", "z2": "z₂"},
    alt="the code plane, and the image decoded at the cross",
)

# %% [markdown]
# Walk from one colour to the next. The decoder has an answer to every question you can ask it, and it never says *I do
# not know*. That is what it is to be a network: no input is invalid. Whether the answer is valid is for us to say, and
# since eyes get tired and hope for the best, we need a judge.

# %% [markdown]
# ## A judge, and a trial of the judge
#
# Someone has to look at thousands of images and say *digit* or *no digit*, always by the same rule, and must never
# have seen an autoencoder. We train ten small classifiers, one a digit. Each has seen its own digit, the nine others,
# and digits that we have ruined on purpose; it answers *mine* or *not mine*. An image that nobody claims is no digit.
#
# These are the four ways to ruin a digit: noise, a blend with another class, another class laid on top, and the four
# quarters shuffled.


# %% tags=["twin:course_lib.judge.spoil"]
def spoil(x, y, generator):
    N, chance = len(x), {"device": x.device, "generator": generator}
    ink = torch.randint(17, x.shape, **chance)
    strength = 0.3 + 0.7 * torch.rand(N, 1, 1, 1, **chance)
    noisy = torch.where(torch.rand(x.shape, **chance) < strength, ink, x)

    partner = (y[:, None] != y).float().multinomial(1, generator=generator)
    other = x[partner[:, 0]]  # for each digit, one of another class
    weight = 0.3 + 0.4 * torch.rand(N, 1, 1, 1, **chance)
    blended = (weight * x + (1 - weight) * other).round().long()
    overlaid = torch.maximum(x, other)

    quarters = x.view(N, 2, 4, 2, 4).transpose(2, 3).reshape(N, 4, 16)
    order = torch.rand(N, 4, 1, **chance).argsort(1).expand(N, 4, 16)
    moved = quarters.gather(1, order).view(N, 2, 2, 4, 4)
    quartered = moved.transpose(2, 3).reshape(x.shape)
    return torch.cat([noisy, blended, overlaid, quartered])


# %%
show_images(spoil(x_test[:10], y_test[:10], generator))

# %% [markdown]
# How loud must a claim be? That is set on the held-out validation digits: so loud that one real digit in twenty is
# refused. Now the judge stands trial itself. The test digits come from writers it has never met; the last two rows are
# ruins of a kind it was never shown.

# %%
from course_lib.judge import DigitJudge

train_set, valid_set = (x_train, y_train), (x_valid, y_valid)
judge = DigitJudge(train_set, valid_set, generator=generator)

ruins = spoil(x_test, y_test, generator).chunk(4)
noise = torch.randint(17, (1000, 1, 8, 8), **chance)
order = torch.randperm(64, **chance)
scattered = x_test.flatten(1)[:, order].view_as(x_test)
names = ["noisy", "blended", "overlaid", "quartered"]
trial = dict(zip(names, ruins, strict=True))
trial |= {"pure noise": noise, "pixels scattered": scattered}

refused = {name: judge.invalid_share(trial[name]) for name in trial}
floor = judge.invalid_share(x_test)
print(f"real digits       {floor:4.0%} refused")
for name, share in refused.items():
    print(f"{name:17s} {share:4.0%} refused")
assert floor < 0.10 and min(refused.values()) > 0.80, "it can judge"

# %% [markdown]
# Not perfect, and we know by how much. About one real digit in twenty is refused: that is the floor for all that
# follows, for no generator has to do better than reality.

# %% [markdown]
# ## Where does a vector come from?
#
# The test can begin. A code has to come from somewhere, and we try three places:
#
# - the **box** around the training codes: between the smallest and the largest value of each component;
# - a **Gaussian** with the mean and the covariance of the training codes, the obvious guess;
# - **far outside**: the same Gaussian, five times as wide.
#
# Beside them, for comparison, the codes of held-out digits: the encoder's own work.


# %%
def draw_codes(z, n, generator):  # training codes (N, Z) -> {place: (n, Z)}
    Z, chance = z.shape[1], {"device": device, "generator": generator}
    low, high, mean = z.min(0).values, z.max(0).values, z.mean(0)
    box = low + (high - low) * torch.rand(n, Z, **chance)
    # a hair of width, lest a direction in which no code varies has no root
    covariance = torch.cov(z.T) + 1e-4 * torch.eye(Z, device=device)
    root = torch.linalg.cholesky(covariance)
    normal = torch.randn(n, Z, **chance) @ root.T
    return {"Gaussian": mean + normal, "box": box, "far": mean + 5 * normal}


@torch.no_grad()
def invalid_shares(model, n=2000):
    codes = {"held-out": model.encoder(x_test)}
    codes |= draw_codes(model.encoder(x_train), n, generator)
    images = {place: picture(model.decoder(z)) for place, z in codes.items()}
    return {place: judge.invalid_share(images[place]) for place in images}


# %%
shares = {2: invalid_shares(model)}
for place, share in shares[2].items():
    print(f"{place:9s} {share:6.1%} no digit")
gap = shares[2]["Gaussian"] - shares[2]["held-out"]
assert abs(gap) < 0.05, "near the training codes, drawn is as good as encoded"
assert shares[2]["far"] > shares[2]["Gaussian"] + 0.1, "far from them it is not"

# %% [markdown]
# The claim does not hold as it stands. A vector from the Gaussian is one that no image ever had, and yet it gives a digit
# as reliably as the code of a real one. In a plane, a thousand codes leave little room: wherever you stand, one of them
# is near, and a smooth decoder does for you what it does for your neighbour. Far outside there are no neighbours, and
# there it goes wrong.
#
# But is it the *right* digit? With two numbers, digits are what the decoder draws, and not always what it was told:

# %%
with torch.no_grad():
    named = judge.label(picture(model(x_test)))
right = (named == y_test).float().mean().item()
print(f"{right:.0%} of the rebuilt test digits are named rightly (chance: 10%)")
assert 0.3 < right < 0.7, "two numbers do not hold a class"

# %% [markdown]
# About every second one. Two numbers are too few, and any autoencoder in earnest has more.
#
# And so the question changes: not *seen or unseen*, but how far from what was seen?

# %% [markdown]
# ## More numbers, more room
#
# Two numbers lose the handwriting. Give the code more of them, and the images that come back improve. What becomes of
# the vectors that nobody encoded?

# %%
models = {2: model}
for Z in (8, 16, 32):
    models[Z], _ = train(Z)
    shares[Z] = invalid_shares(models[Z])

print("share that is no digit, by code size")
print(" " * 9 + "".join(f"{Z:6d}" for Z in models))
for place in shares[2]:
    row = "".join(f"{shares[Z][place]:6.0%}" for Z in models)
    print(f"{place:9s}{row}")

# %%
for Z in (8, 16, 32):
    at = shares[Z]
    assert at["held-out"] < floor + 0.03, "what was encoded comes back"
    assert at["Gaussian"] > at["held-out"] + 0.05, "the rest often does not"
    assert min(at["box"], at["far"]) > at["Gaussian"], "and even less outside"
gaussian = [shares[Z]["Gaussian"] for Z in shares]
box = [shares[Z]["box"] for Z in shares]
assert gaussian[0] < gaussian[1] < gaussian[2], "more room, more emptiness"
assert box[0] < box[1] < min(box[2:]) and box[3] > 0.35

# %% [markdown]
# Read the first row, then the third. What was encoded comes back as a digit as reliably as the judge passes real ones.
# But the more room there is in the code, the more of what lies *between* is nothing: with 32 numbers, nearly half of the
# vectors from the box. The same thousand codes that crowd a plane are lost in 32 dimensions.

# %% [markdown]
# ## The distance decides
#
# If that is the reason, it can be seen directly. Start at a training code and walk away from it in a direction drawn
# by chance. Measure how far you are from the *nearest* training code, in units of how far the training codes are from
# each other: 1 means as near as one training image is to the next.


# %%
@torch.no_grad()
def walk_away(model, paces, n=1000):  # distance to all codes; images there
    z = model.encoder(x_train)
    apart = torch.cdist(z, z) + 1e9 * torch.eye(len(z), device=device)
    spacing = apart.min(1).values.median()  # from a code to the next
    same_way = make_generator(seed, device)  # at every distance
    way = torch.randn(n, z.shape[1], device=device, generator=same_way)
    there = z[:n] + paces * spacing * F.normalize(way, dim=1)
    distance = torch.cdist(there, z).min(1).values.median() / spacing
    return distance.item(), picture(model.decoder(there))


# %%
paces = [0.5, 1, 2, 4, 8, 16, 32, 64]
walks = {Z: [walk_away(models[Z], p) for p in paces] for Z in models}
distance = {Z: [d for d, _ in walks[Z]] for Z in models}
invalid = {Z: [judge.invalid_share(x) for _, x in walks[Z]] for Z in models}
for Z in (8, 16, 32):
    _, near, _, further, far, farthest, *_ = invalid[Z]
    assert near < 0.06 < further < far < farthest, "farther is worse"
    assert far > 5 * near, "and much worse"
assert distance[2][5] < 4 < 10 < distance[16][5], "after sixteen paces"

show_curves(
    {f"Z = {Z}": (distance[Z], invalid[Z]) for Z in models},
    xlabel="distance to the nearest training code, in spacings",
    ylabel="share that is no digit",
    xscale="log",
    ylim=(0, 1),
    floors={"real digits": floor},
)

# %% [markdown]
# Within one spacing of a training code the decoder is as good as reality, whatever the dimension. Then the curves leave
# the floor. And look where the dots lie: sixteen paces through the plane still end within four spacings of somebody,
# while with 16 numbers the same walk ends more than ten spacings from everyone. There is the whole difference.
#
# Play with it: ten walks from ten images, at every distance and for every code size.


# %%
def show_walk(Z, paces):
    _, images = walk_away(models[Z], paces, n=10)
    return show_images(images, crossed=judge.label(images) < 0, columns=5)


explore(
    show_walk,
    Z=[2, 8, 16, 32],
    paces=[0, 0.5, 1, 2, 4, 8, 16],
    labels={"Z": "code size Z", "paces": "paces walked"},
    alt="ten images decoded away from their codes; no digit: struck out",
)

# %% [markdown]
# ## Half-way between two digits
#
# The lecture has a picture for it: two codes with a good image each, and half-way between them a code that gives
# neither. A straight line between two codes is the least far-fetched journey there is. Here are three, from one
# held-out digit to another, with 16 numbers:

# %%
with torch.no_grad():
    z = models[16].encoder(x_test)
one_of_each = [int((y_test == digit).nonzero()[0, 0]) for digit in range(10)]


@torch.no_grad()
def between(start, end, t):  # the images t of the way from start to end
    return picture(models[16].decoder((1 - t) * start + t * end))


t = torch.linspace(0, 1, 10, device=device)[:, None]
pairs = ((0, 1), (4, 7), (3, 6))
lines = [between(z[one_of_each[a]], z[one_of_each[b]], t) for a, b in pairs]
images = torch.cat(lines)
show_images(images, crossed=judge.label(images) < 0)

# %% [markdown]
# Three lines prove nothing. Take two thousand pairs of different digits and ask the judge at each tenth of the way: is
# it a digit at all? And is it one of the two?

# %%
a, b = torch.randint(447, (2, 2000), **chance)
a, b = a[y_test[a] != y_test[b]], b[y_test[a] != y_test[b]]
way = [t / 10 for t in range(11)]
labels = [judge.label(between(z[a], z[b], t)) for t in way]
no_digit = [(label < 0).float().mean().item() for label in labels]
one_of_two = [(label == y_test[a]) | (label == y_test[b]) for label in labels]
neither = [1 - share.float().mean().item() for share in one_of_two]
assert no_digit[5] > 3 * max(no_digit[0], no_digit[10]), (
    "the line leaves the digits"
)
assert neither[5] > 0.3, "half-way, often neither of the two"
show_curves(
    {"neither of the two": (way, neither), "no digit at all": (way, no_digit)},
    xlabel="way gone from the first digit to the second",
    ylabel="share of pairs",
    ylim=(0, 0.6),
    floors={"real digits: no digit": floor},
)

# %% [markdown]
# The line leaves the digits in its middle, and comes back. What is *neither* and still a digit is a third one that
# nobody asked for. Walk a line yourself:


# %%
def show_between(pair, t):
    a, b = (z[one_of_each[int(digit)]] for digit in pair.split(" → "))
    images = torch.cat([between(a[None], b[None], step) for step in (0, t, 1)])
    verdicts = judge.label(images).tolist()
    titles = ["no digit" if n < 0 else f"a {n}" for n in verdicts]
    crossed = [n < 0 for n in verdicts]
    return show_images(images, titles=titles, crossed=crossed, size=1.6)


explore(
    show_between,
    pair=["0 → 1", "4 → 7", "1 → 8", "3 → 6", "2 → 5"],
    t=[t / 16 for t in range(17)],
    labels={"t": "way gone"},
    alt="two digits, and between them the image decoded on the way",
)

# %% [markdown]
# ## Why it has no `sample`
#
# Every other model of this course has a method `sample`. This one must not:

# %%
assert not hasattr(Autoencoder, "sample")
assert not hasattr(Autoencoder, "log_prob")

# %% [markdown]
# To sample is to draw from a distribution, and nowhere in this chapter was there a distribution of codes. The loss
# asks only that a code can be decoded, and says nothing about where codes may lie. The encoder used that freedom: it
# put each image where it liked, with ditches between them that no image pays for. Box and Gaussian were *our* guesses,
# made afterwards, and the decoder was never asked to agree with them.
#
# Two things are missing: a **prior** $p(z)$, named before training, from which codes will be drawn; and a training that
# makes the decoder good wherever the prior puts weight, not only at a thousand points. Chapter 7 supplies both. Its
# model is called the variational autoencoder, and this chapter's judge will be waiting for it.

# %% [markdown]
# ## Break it
#
# The loss measures reconstruction. Then let us have perfect reconstruction! A code as wide as the image, 64 numbers
# for 64 pixels, linear networks, so that the easiest thing to learn is to copy, and steps ten times as large, which they bear.

# %%
wide, _ = train(64, depth=0, lr=1e-2)
shares[64] = invalid_shares(wide)
error = {}
for Z, m in (models | {64: wide}).items():
    with torch.no_grad():
        error[Z] = (picture(m(x_test)) - x_test).abs().float().mean().item()
print("        pixels off by   Gaussian codes")
for Z in shares:
    gaussian = shares[Z]["Gaussian"]
    print(f"Z = {Z:2d}  {error[Z]:.2f} levels     {gaussian:4.0%} no digit")

# %%
codes = draw_codes(wide.encoder(x_train).detach(), 10, generator)["Gaussian"]
with torch.no_grad():
    copied, drawn = picture(wide(x_test[:10])), picture(wide.decoder(codes))
at = shares[64]
assert error[64] < 0.6 * error[32] and at["held-out"] < floor + 0.06, (
    "it copies best"
)
assert at["Gaussian"] > max(0.5, 1.5 * shares[32]["Gaussian"]), (
    "and draws worst"
)
images = torch.cat([x_test[:10], copied, drawn])
show_images(images, crossed=judge.label(images) < 0)

# %% [markdown]
# First row, digits it has never seen; second row, what it makes of them: all but the same. Third row, what it makes of
# vectors. It has learnt to copy, and a copying machine has no opinion about what digits look like. **Reconstruction
# says nothing about generation**; here, they are opposites.

# %% [markdown]
# ## What we saw
#
# - A decoder turns any vector into *something*. Near the codes of training images, that is a digit; the farther away,
#   the less often. The lecture's claim is right with this correction: it is not being unseen that hurts, it is being
#   far from what was seen, and in more than a few dimensions nearly everything is far.
# - The more room the code has, the better the reconstruction and the emptier the room.
# - A generator needs a distribution to draw from. An autoencoder has none, so it has no `sample`.
# - A judge is a measuring instrument: calibrate it on real data before you believe it.
#
# **Terms fixed here** ([glossary](glossary.md)): encoder, decoder, code $z$, level, nat, negative log-likelihood, held-out,
# floor, judge, prior.
#
# The next chapter starts again from the other end. Instead of one vector for the whole, it builds the object piece by
# piece, asks for a probability at every step, and so can say exactly how likely everything it writes is.

# %% [markdown]
# ## Your turn
#
# 1. In the code plane, find a place where the decoded image is no digit although colours surround it. What does the
#    decoder have to do there?
# 2. At code size 2, walk 16 spacings away. Why does it take so much farther to get into trouble than at size 16?
# 3. Change `seed` and run all. Which digits swap their places in the plane, and which numbers of the tables stay?
# 4. Train with `features = 512`. Reconstruction improves; what happens to the box?
# 5. Digits of 28 × 28 pixels wait in `course_lib.data.load_mnist` (it downloads 11 MB once). Which line of `train` has
#    to change, and why would the judge have to be trained anew?
#
# Then the graded assignment: `coursework/02_autoencoder`, in which you write a loss for levels that costs one number a
# pixel instead of seventeen, find the loneliest point between two digits, and put an error bar on the share of
# rejected codes.
#
# Further reading: {cite:t}`hinton2006reducing` made autoencoders famous; {cite:t}`bengio2013representation` is about what a representation is for;
# {cite:t}`alain2014regularized` shows that an autoencoder trained with noise does know something of the density of its data;
# {cite:t}`kingma2014auto` is where chapter 7 begins.
