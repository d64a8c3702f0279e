# %% [markdown]
# # 2 · Autoencoder: is a decoder a generator?
#
# **You will train an autoencoder, cut off its decoder, feed it vectors that no image ever had, and measure how often
# what comes out is no digit at all.**
#
# *Laptop: under 45 seconds. You need: gradient descent, the softmax, and that a logarithm turns products into sums.*

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
# First row: ten of the training digits, each squeezed into a code of 16 numbers and drawn again from it. Below: the same
# decoder, fed with 16 numbers drawn from the range in which those codes lie. A judge that has never seen an autoencoder
# strikes out what it does not take for a digit.

# %% tags=["drawing"]
import torch
from course_lib.data import load_digits
from course_lib.device import make_generator, pick_device
from course_lib.measure.judge import DigitJudge
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.show.plots import show_images
from course_lib.prob import categorical_log_prob
from course_lib.train import fit

device, generator = pick_device(), make_generator(0, pick_device())
x, y = load_digits("train", device=device)
sizes = AutoencoderConfig(latent=16, features=64, depth=1)
teaser = Autoencoder(sizes, generator=generator).to(device)
knobs = {"steps": 600, "batch_size": 100, "lr": 1e-3, "generator": generator}
fit(teaser, x, loss=lambda model, x: -categorical_log_prob(model(x), x), **knobs)
with torch.no_grad():
    z = teaser.encoder(x)
    low, high = z.min(0).values, z.max(0).values
    anywhere = torch.rand(20, 16, device=device, generator=generator)
    drawn = low + (high - low) * anywhere
    images = teaser.decoder(torch.cat([z[:10], drawn])).argmax(-1)
judge = DigitJudge((x, y), load_digits("valid", device=device), generator=generator)
rows = "above, digits redrawn from their codes; below, from codes that no digit has"
show_images(images, crossed=judge.label(images) < 0, caption=rows)

# %% [markdown]
# ## Setup
#
# All that chance decides from here on comes from this seed. Change it and run again: each number moves a little, and
# each claim must survive.

# %%
import torch
import torch.nn.functional as F
from course_lib.device import make_generator, pick_device
from torch import nn

seed = 0
device = pick_device()
generator = make_generator(seed, device)

# %% [markdown]
# `device` is a GPU if there is one. `generator` is the one source of chance: the first weights, the batches and every
# vector we draw come from it.

# %% [markdown]
# ## The data
#
# 1,797 handwritten digits, each 8 × 8 pixels, each pixel one of 17 **levels** of ink from 0 to 16. In the file's order
# the first 1,000 train, the next 350 set thresholds, and the last 447 are **held out**: we measure on them only.

# %% tags=["nbval-check-output"]
from course_lib.data import load_digits

x_train, y_train = load_digits("train", device=device)
x_valid, y_valid = load_digits("valid", device=device)
x_test, y_test = load_digits("test", device=device)
x_train.shape, x_train.dtype, x_train.max().item()

# %% tags=["drawing"]
from course_lib.show.plots import show_images

show_images(x_train[:20])

# %% [markdown]
# A thousand images of one channel, in whole numbers up to 16; here are the first twenty. They are coarse, but a person
# reads them at once. Ask yourself how many of the $17^{64}$ possible images you would read: nearly none of them. A
# generator has to find the few.

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
# The decoder does not answer with an image, but with a distribution over the 17 levels for each pixel $i$: 17 numbers and
# a softmax. We ask it for the **negative log-likelihood** of the image that went in, in **nats**, the unit of natural
# logarithms:
#
# $$
# \begin{aligned}
# z &= \mathrm{encoder}(x) \\
# \mathrm{nll}(x) &= -\sum_{i=1}^{64} \log p_i(x_i \mid z)
# \end{aligned}
# $$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | (B, 1, 8, 8) |
# | $z$ | `z` | (B, Z) |
# | $\log p_i(v \mid z)$, up to a constant | `logits` | (B, 1, 8, 8, 17) |
# | $\mathrm{nll}(x)$ | `nll` | (B,) |
#
# The pixels are independent *given the code*: all that one pixel can know of another, it knows through $z$. And this is
# the price of the image once the code is there. The code itself is not paid for, so this is not yet the probability of
# an image; no chapter before the seventh can say that of a decoder.

# %% [markdown]
# ## Knobs
#
# Four numbers decide all that follows. Turn one, run everything again, and see which claims hold.

# %%
features = 64  # the hidden layers' width: enough for 1,000 images, and quick
batch_size = 100  # a tenth of the data a step
lr = 1e-3  # Adam's usual start; a small model bears it
steps = 1000  # by then the curve is nearly flat

# %% [markdown]
# A thousand steps of a hundred images: each of the thousand training images is seen about a hundred times.

# %% [markdown]
# ## Build the encoder, and look
#
# Ink from 0 … 16 becomes −1 … 1, where networks start best, and goes through two layers into a code of two numbers, so
# that we can look at it. The decoder will be the same thing backwards, so we make it along with the encoder.

# %%
from course_lib.layers import initialised_by


def bent(in_features, out_features):  # two linear layers, a bend between
    first = nn.Linear(in_features, features)
    last = nn.Linear(features, out_features)
    return nn.Sequential(first, nn.SiLU(), last).to(device)


with initialised_by(generator):  # the first weights are chance too
    encoder = bent(64, 2)
    decoder = bent(2, 17 * 64)


def encode(x):  # (B, 1, 8, 8) -> (B, 2)
    return encoder(x.flatten(1) / 8 - 1)


# %% tags=["drawing"]
from course_lib.show.planes import show_codes

with torch.no_grad():
    z = encode(x_train)
show_codes(z, y_train)

# %% [markdown]
# Every dot is an image, at the place where the untrained encoder puts it. Already some colours keep together:
# similar pixels, similar sums. But most digits lie on top of each other, and no decoder could tell those apart.

# %% [markdown]
# ## Build the decoder, and look


# %%
def decode(z):  # (B, 2) -> logits (B, 1, 8, 8, 17), the levels last
    return decoder(z).view(-1, 17, 1, 8, 8).movedim(1, -1)


def picture(logits):  # the most likely level of each pixel: (B, 1, 8, 8)
    return logits.argmax(-1)


# %% tags=["drawing"]
with torch.no_grad():
    untrained = picture(decode(encode(x_train[:10])))
show_images(torch.cat([x_train[:10], untrained]))

# %% [markdown]
# Above, what goes in; below, what comes out. The decoder has no idea yet. How bad is that, in numbers?

# %% [markdown]
# ## The loss, and two lines to get under


# %%
def nll(logits, x):  # (B,) nats per image: 64 pixels, added up
    per_pixel = F.cross_entropy(logits.movedim(-1, 1), x, reduction="none")
    return per_pixel.flatten(1).sum(1)


# %% [markdown]
# One number for each image, in nats. To know whether it is a good one we need something to compare it with, so here is
# a rival that looks at no code at all: for each pixel, how often each level occurred in training.

# %%
# how often was this pixel this dark? (1, 8, 8, 17), smoothed by half a count
counts = F.one_hot(x_train, 17).sum(0) + 0.5
log_share = (counts / counts.sum(-1, keepdim=True)).log()
always_the_same = log_share.expand(447, -1, -1, -1, -1)

# %% tags=["checking"]
with torch.no_grad():
    before = nll(decode(encode(x_test)), x_test).mean().item()
no_code = nll(always_the_same, x_test).mean().item()
clueless = torch.zeros(447, 1, 8, 8, 17, device=device)
uniform = nll(clueless, x_test).mean().item()
print(f"untrained        {before:6.1f} nats per image")
print(f"uniform          {uniform:6.1f}   (64 ln 17)")
print(f"pixel histograms {no_code:6.1f}   (no code at all)")

# %% [markdown]
# Untrained, the networks pay about as much as whoever knows nothing: $64 \ln 17 = 181.3$ nats. Whoever knows how often
# each pixel is how dark, but not which image is meant, pays about 106. These are the baselines; only what gets below
# the second is worth calling a code.

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

# %% tags=["checking"]
from course_lib.prob import bits_per_dim

with torch.no_grad():
    held_out = nll(decode(encode(x_test)), x_test).mean().item()
losses_of = {"two numbers": held_out, "no code": no_code, "uniform": uniform}
for name, nats in losses_of.items():
    bits = bits_per_dim(nats, 64)
    print(f"{name:11s} {nats:6.1f} nats/image {bits:5.2f} bits/dim")
assert held_out < no_code - 5, "two numbers are worth more than five nats"

# %% tags=["drawing"]
from course_lib.show.plots import show_curves

show_curves(
    {"training batches": (range(steps), losses)},
    xlabel="step",
    ylabel="nats per image",
    floors={"uniform": uniform, "no code: pixel histograms": no_code},
)

# %% [markdown]
# On digits it has never seen, two numbers an image are worth more than five nats. (Shared out over the 64 pixels and
# counted in powers of two, a loss is called **bits per dimension**.) The curve falls from the upper line and turns a
# corner at the lower one, where the decoder knows the average digit and nothing else. From there on, every nat is the
# code's: it has begun to speak.

# %% [markdown]
# ## Train, in one call
#
# From here on the loop is `fit`, which adds a progress bar, a stop button that loses nothing, and a GPU if there is
# one. It must not add anything else: from the same seed, it has to give the same curve.

# %%
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.train import fit


def train(Z, lr=lr, depth=1):  # an autoencoder, and how training went
    generator = make_generator(seed, device)
    config = AutoencoderConfig(latent=Z, features=features, depth=depth)
    model = Autoencoder(config, generator=generator).to(device)
    knobs = {"steps": steps, "batch_size": batch_size, "lr": lr}
    loss = lambda model, x: nll(model(x), x)  # (B,) nats
    return model, fit(model, x_train, loss=loss, generator=generator, **knobs)


model, history = train(2)

# %% tags=["checking"]
from course_lib.check import assert_close

by_hand, by_fit = torch.tensor(losses), torch.tensor(history.loss)
assert_close(by_fit, by_hand, tolerance=1e-3, name="the curve of fit")

# %% [markdown]
# The same curve, step by step. Does the code carry the image? These digits were held out:

# %% tags=["drawing"]
with torch.no_grad():
    rebuilt = picture(model(x_test[:20]))
images = torch.cat([x_test[:10], rebuilt[:10], x_test[10:20], rebuilt[10:]])
show_images(images, caption="what went in, and below it what came out")

# %% [markdown]
# Above, what went in, and below it, what came out. The handwriting is gone. Some digits survive, some come back as
# another one, and some as a blob between the two.

# %% [markdown]
# ## Play: every point of the plane is an image
#
# Where do the training images lie, now that the encoder is trained?

# %%
import numpy as np

with torch.no_grad():
    z_train = model.encoder(x_train)
# where nearly all codes lie: the first and the last of a hundred are left out
low, high = np.quantile(z_train.cpu(), [0.01, 0.99], axis=0).tolist()

# %% [markdown]
# Now we have a thousand codes, and the range that holds nearly all of them. Below, each training image stands at its
# code. Move the cross: the decoder draws whatever lies there, whether any image was ever encoded there or not.


# %% tags=["drawing"]
from course_lib.show.planes import show_decoded


def show_digit_at(z1, z2):
    with torch.no_grad():
        logits = model.decoder(torch.tensor([[z1, z2]], device=device))
    return show_decoded(z_train, y_train, picture(logits)[0, 0], at=(z1, z2))


# %%
from course_lib.show.explore import explore

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
# quarters shuffled. `DigitJudge` trains its classifiers, which are support vector machines, with exactly this.


# %% tags=["twin:course_lib.measure.judge.spoil"]
def spoil(x, y, *, generator):
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


# %% tags=["drawing"]
show_images(spoil(x_test[:10], y_test[:10], generator=generator))

# %% [markdown]
# Ten test digits, ruined in four ways, one row for each way. (One shuffle in 24 puts every quarter back in its place,
# so the last row can never be all ruins.)
#
# How loud must a claim be? So loud that one in twenty of the validation digits is refused.

# %%
from course_lib.measure.judge import DigitJudge

train_set, valid_set = (x_train, y_train), (x_valid, y_valid)
judge = DigitJudge(train_set, valid_set, generator=generator)
reality = judge.invalid_share(x_test)  # real digits that it refuses

# %% [markdown]
# Now the judge stands trial itself, on digits it has not met: real ones, ruined ones, pure noise, and digits whose pixels
# are scattered, a kind of ruin that it was never shown.

# %% tags=["checking"]
ruins = spoil(x_test, y_test, generator=generator).chunk(4)
noise = torch.randint(17, (1000, 1, 8, 8), **chance)
order = torch.randperm(64, **chance)
scattered = x_test.flatten(1)[:, order].view_as(x_test)
names = ["noisy", "blended", "overlaid", "quartered"]
trial = dict(zip(names, ruins, strict=True))
trial |= {"pure noise": noise, "pixels scattered": scattered}

refused = {name: judge.invalid_share(trial[name]) for name in trial}
print(f"real digits       {reality:4.0%} refused")
for name, share in refused.items():
    print(f"{name:17s} {share:4.0%} refused")
assert reality < 0.10 and min(refused.values()) > 0.80, "it can judge"

# %% [markdown]
# Not perfect, and we know by how much. About one real digit in twenty is refused, and that is the yardstick for all that
# follows. The other way round, one ruin in ten slips through, so *not refused* does not mean *beautiful*.

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
def draw_codes(z, n, *, generator):  # training codes (N, Z) -> {place: (n, Z)}
    Z, chance = z.shape[1], {"device": device, "generator": generator}
    low, high, mean = z.min(0).values, z.max(0).values, z.mean(0)
    box = low + (high - low) * torch.rand(n, Z, **chance)
    # a hair of width, lest a direction in which no code varies has no root
    covariance = torch.cov(z.T) + 1e-4 * torch.eye(Z, device=device)
    root = torch.linalg.cholesky(covariance)
    normal = torch.randn(n, Z, **chance) @ root.T
    return {"Gaussian": mean + normal, "box": box, "far": mean + 5 * normal}


# %% [markdown]
# Now we have the three places. Decode what is drawn there, two thousand vectors from each, and let the judge count what
# is no digit.


# %%
@torch.no_grad()
def invalid_shares(model, n=2000):
    codes = {"held-out": model.encoder(x_test)}
    codes |= draw_codes(model.encoder(x_train), n, generator=generator)
    images = {place: picture(model.decoder(z)) for place, z in codes.items()}
    return {place: judge.invalid_share(images[place]) for place in images}


shares = {2: invalid_shares(model)}

# %% tags=["checking"]
for place, share in shares[2].items():
    print(f"{place:9s} {share:6.1%} no digit")
gap = shares[2]["Gaussian"] - shares[2]["held-out"]
assert abs(gap) < 0.05, "near the training codes, drawn is as good as encoded"
assert shares[2]["far"] > shares[2]["Gaussian"] + 0.1, "far from them, not"

# %% [markdown]
# Here the lecture's claim does not hold. A vector from the Gaussian is one that no image ever had, and yet it is
# refused no more often than the code of a real image. In a plane, a thousand codes leave little room: wherever you
# stand, one of them is near, and a smooth decoder does for you what it does for your neighbour. Far outside there are
# no neighbours, and there a quarter is lost.
#
# And so the question changes: not *seen or unseen*, but how far from what was seen? Before we ask it, look at what the
# judge lets pass. Twenty draws from the Gaussian, with its verdicts:


# %% tags=["drawing"]
def verdicts(images):
    return [str(n) if n >= 0 else "none" for n in judge.label(images).tolist()]


codes = draw_codes(z_train, 20, generator=generator)["Gaussian"]
with torch.no_grad():
    images = picture(model.decoder(codes))
show_images(images, titles=verdicts(images))

# %% [markdown]
# Digits, and a few blobs in between that pass for one. Two numbers are too few to say which digit, and of what is
# rebuilt from the test digits' own codes, the judge can name only half rightly:

# %% tags=["checking"]
with torch.no_grad():
    named = judge.label(picture(model(x_test)))
right = (named == y_test).float().mean().item()
print(f"{right:.0%} of the rebuilt test digits are named rightly")
print("10% would be chance")
assert 0.3 < right < 0.7, "two numbers do not hold a class"

# %% [markdown]
# So give the code more room.

# %% [markdown]
# ## More numbers, more room
#
# With 8, 16 or 32 numbers the images that come back are better ones. What becomes of the vectors that nobody encoded?

# %%
models = {2: model}
for Z in (8, 16, 32):
    models[Z], _ = train(Z)
    shares[Z] = invalid_shares(models[Z])

# %% tags=["checking"]
print("share that is no digit, by code size")
print(" " * 9 + "".join(f"{Z:6d}" for Z in models))
for place in shares[2]:
    row = "".join(f"{shares[Z][place]:6.0%}" for Z in models)
    print(f"{place:9s}{row}")

for Z in (8, 16, 32):
    at = shares[Z]
    assert at["held-out"] < reality + 0.03, "what was encoded comes back"
    assert at["Gaussian"] > at["held-out"] + 0.05, "the rest often does not"
    assert min(at["box"], at["far"]) > at["Gaussian"], "and even less outside"
for place in ("Gaussian", "box", "far"):
    two, eight, sixteen, _ = (shares[Z][place] for Z in models)
    assert two < eight < sixteen, "more room, more that is nothing"
assert shares[32]["box"] > 0.35

# %% [markdown]
# Read the first row, then the others. What was encoded comes back as a digit as reliably as the judge passes real ones.
# But from 2 numbers to 16, more and more of what was *not* encoded is nothing, wherever it is drawn, and 32 numbers change
# little: of the vectors from the box, nearly half are lost.

# %% [markdown]
# ## The distance decides
#
# Is it the distance? Let one **stride** be the usual distance between two training codes, and measure in strides how far
# the drawn vectors are from the *nearest* training code.


# %%
def strides(z, there):  # from there to the nearest code; and one stride
    stride = torch.cdist(z, z).median()
    return torch.cdist(there, z).min(1).values.median() / stride, stride


# %% tags=["checking"]
print("strides to the nearest training code, by code size")
print(" " * 9 + "".join(f"{Z:6d}" for Z in models))
away = {place: [] for place in ("held-out", "Gaussian", "box", "far")}
for Z in models:
    with torch.no_grad():
        z, z_test = models[Z].encoder(x_train), models[Z].encoder(x_test)
    codes = {"held-out": z_test} | draw_codes(z, 2000, generator=generator)
    for place, there in codes.items():
        away[place].append(strides(z, there)[0].item())
for place, row in away.items():
    print(f"{place:9s}" + "".join(f"{d:6.2f}" for d in row))
assert max(away["Gaussian"][0], away["box"][0]) < 0.15, "crowded"
assert away["Gaussian"][2] > 0.35 and away["box"][3] > 0.85, "lonely"

# %% [markdown]
# Compare the two tables: they go together. In the plane, wherever you draw, one of the thousand codes is at your elbow.
# With 16 numbers the nearest one is half as far as any other would be, and in a box of 32 numbers there is no such thing
# as near: the nearest of a thousand is as far away as two codes usually are. The same thousand codes fill a plane and are
# lost in many dimensions.
#
# Now see what the distance alone does. Start at a training code, choose a direction by chance, walk, and look at what is
# decoded there.


# %%
@torch.no_grad()
def walk(model, length, n=1000):  # how far from all codes; the images there
    z = model.encoder(x_train)
    same_way = make_generator(seed, device)  # whatever the length
    way = torch.randn(n, z.shape[1], device=device, generator=same_way)
    there = z[:n] + length * strides(z, z)[1] * F.normalize(way, dim=1)
    return strides(z, there)[0].item(), picture(model.decoder(there))


# %% [markdown]
# All walks of one code size share their directions, so a longer one goes on where a shorter one stopped. Take eight
# lengths, from a twentieth of a stride to more than six, and let the judge look at what is decoded at each end.

# %% tags=["checking"]
lengths = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4]
walks = {Z: [walk(models[Z], length) for length in lengths] for Z in models}
distance = {Z: [d for d, _ in walks[Z]] for Z in models}
invalid = {Z: [judge.invalid_share(x) for _, x in walks[Z]] for Z in models}
for Z in (8, 16, 32):
    _, _, near, _, far, farther, farthest, _ = invalid[Z]
    assert near < 0.08 < far < farther < farthest, "farther is worse"
    assert farther > 5 * near, "and much worse"
assert distance[2][4] < 0.15 < 0.5 < distance[16][4], "the same walk"

# %% tags=["drawing"]
show_curves(
    {f"Z = {Z}": (distance[Z], invalid[Z]) for Z in models},
    xlabel="distance to the nearest training code, in strides",
    ylabel="share that is no digit",
    xscale="log",
    ylim=(0, 1),
    floors={"real digits": reality},
)

# %% [markdown]
# Within a fifth of a stride of a training code the decoder is as good as reality. Then the curves leave the dotted line
# and climb much the same hill, at much the same distance, whatever the code's size (far out, two numbers do a little
# better than sixteen: they know little else than digits). What differs is how far one gets. The same walk of 0.8 strides
# ends within 0.15 strides of somebody in the plane, and more than half a stride from everyone with 16 numbers.
#
# Play with it: ten walks from ten images, at every length and for every code size.


# %% tags=["drawing"]
def show_walk(Z, length):
    _, images = walk(models[Z], length, n=10)
    return show_images(images, crossed=judge.label(images) < 0, columns=5)


# %%
explore(
    show_walk,
    Z=[2, 8, 16, 32],
    length=[0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2],
    labels={"Z": "code size Z", "length": "strides walked"},
    alt="ten images decoded away from their codes; no digit: struck out",
)

# %% [markdown]
# At length 0 you see ten training digits as the decoder rebuilds them. Then each walks off in its own direction, and
# what the judge refuses is struck out.

# %% [markdown]
# ## Half-way between two digits
#
# The lecture has a picture for it: two codes with a good image each, and half-way between them a code that gives
# neither. A straight line between two codes is the least far-fetched journey there is. Here are three, from one
# held-out digit to another, with 16 numbers:

# %%
with torch.no_grad():
    z = models[16].encoder(x_test)


@torch.no_grad()
def between(start, end, t):  # the images t of the way from start to end
    return picture(models[16].decoder((1 - t) * start + t * end))


# %% tags=["drawing"]
one_of_each = [int((y_test == digit).nonzero()[0, 0]) for digit in range(10)]
t = torch.linspace(0, 1, 10, device=device)[:, None]
pairs = ((0, 1), (4, 7), (3, 6))
lines = [between(z[one_of_each[a]], z[one_of_each[b]], t) for a, b in pairs]
images = torch.cat(lines)
show_images(images, crossed=judge.label(images) < 0)

# %% [markdown]
# Each row begins with one digit and ends with another; what the judge refuses is struck out. But three lines prove
# nothing. Draw two thousand pairs of test digits, keep those of different classes, and ask the judge at each tenth of
# the way: is it a digit at all? And is it one of the two?

# %%
a, b = torch.randint(447, (2, 2000), **chance)
a, b = a[y_test[a] != y_test[b]], b[y_test[a] != y_test[b]]
way = [t / 10 for t in range(11)]
labels = [judge.label(between(z[a], z[b], t)) for t in way]

# %% tags=["checking"]
no_digit = [(label < 0).float().mean().item() for label in labels]
one_of_two = [(label == y_test[a]) | (label == y_test[b]) for label in labels]
neither = [1 - share.float().mean().item() for share in one_of_two]
assert no_digit[5] > 3 * max(no_digit[0], no_digit[10]), "off the digits"
assert neither[5] > 0.3 and 0.15 < no_digit[5] < 0.4, "half-way"
assert max(neither[0], neither[10]) < 0.15 < neither[5] - 0.15, "the ends"

# %% tags=["drawing"]
show_curves(
    {"neither of the two": (way, neither), "no digit at all": (way, no_digit)},
    xlabel="way gone from the first digit to the second",
    ylabel="share of pairs",
    ylim=(0, 0.6),
    floors={"real digits: no digit": reality},
)

# %% [markdown]
# Half-way, about every fourth line has left the digits; at both ends hardly any. The lecture's picture is not the rule,
# but it is no rare bad luck either. The upper curve adds the half-way images that are a *third* digit, which nobody asked
# for. (It starts at about a tenth, not at nothing: some test digits are misread at their own code.) Walk a line yourself:


# %% tags=["drawing"]
def show_between(pair, t):
    a, b = (z[one_of_each[int(digit)]] for digit in pair.split(" → "))
    images = torch.cat([between(a[None], b[None], step) for step in (0, t, 1)])
    crossed = judge.label(images) < 0
    titles = verdicts(images)
    return show_images(images, titles=titles, crossed=crossed, size=1.6)


# %%
explore(
    show_between,
    pair=["0 → 1", "4 → 7", "1 → 8", "3 → 6", "2 → 5"],
    t=[t / 16 for t in range(17)],
    labels={"t": "way gone"},
    alt="two digits, and between them the image decoded on the way",
)

# %% [markdown]
# On the left the first digit, on the right the second, and between them what is decoded on the way; above each image
# stands the class that the judge names, or *none*.

# %% [markdown]
# ## Why it has no `sample`
#
# Every other model of this course has a method `sample`. This one has none, and that is no oversight:

# %% tags=["checking"]
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
# The loss measures reconstruction. Then let us have the best reconstruction we can get! A code as wide as the image, 64
# numbers for 64 pixels; linear networks, so that the easiest thing to learn is to copy; and the learning rate that suits
# those.

# %%
wide, _ = train(64, depth=0, lr=1e-2)
shares[64] = invalid_shares(wide)

# %% tags=["checking"]
error = {}
for Z, m in (models | {64: wide}).items():
    with torch.no_grad():
        error[Z] = (picture(m(x_test)) - x_test).abs().float().mean().item()
print("        pixels off by   Gaussian codes")
for Z in shares:
    gaussian = shares[Z]["Gaussian"]
    print(f"Z = {Z:2d}  {error[Z]:.2f} levels     {gaussian:4.0%} no digit")
at = shares[64]
assert error[2] > error[8] > error[16] > error[64], "more numbers, better"
assert error[64] < 0.6 * error[32], "it copies best"
assert at["held-out"] < reality + 0.06, "and its copies are digits"
assert at["Gaussian"] > max(0.5, 1.5 * shares[32]["Gaussian"]), "draws worst"

# %% tags=["drawing"]
codes = draw_codes(wide.encoder(x_train).detach(), 10, generator=generator)["Gaussian"]
with torch.no_grad():
    copied, drawn = picture(wide(x_test[:10])), picture(wide.decoder(codes))
images = torch.cat([x_test[:10], copied, drawn])
rows = "new digits; their copies; drawn from vectors"
show_images(images, crossed=judge.label(images) < 0, caption=rows)

# %% [markdown]
# First row, digits it has never seen; second row, what it makes of them: all but the same. Third row, what it makes of
# vectors. It has learnt to copy, and a copying machine has no opinion about what digits look like. **Good
# reconstruction promises nothing about generation.**

# %% [markdown]
# ## What we saw
#
# - Is a decoder a generator? It draws digits wherever training left a code nearby, and it cannot say where that is. Far
#   from every code, what it draws is mostly nothing.
# - So the lecture's claim is right with a correction: it is not being unseen that hurts, it is being far from what was
#   seen. In a plane little is far; in sixteen dimensions nearly everything is.
# - The more room a code has, the better the reconstruction, and the emptier the room.
# - A generator needs a distribution to draw from. An autoencoder has none, so it has no `sample`.
# - A judge is a measuring instrument: calibrate it on real data before you believe it. Ours says whether an image is a
#   digit; it does not say whether all ten digits are drawn, and as often as they should be.
#
# **Terms fixed here** ([glossary](glossary.md)): encoder, decoder, code $z$, level, nat, negative log-likelihood,
# held-out, baseline, judge, prior.
#
# The next chapter starts again from the other end. Instead of one vector for the whole, it builds the object piece by
# piece, asks for a probability at every step, and so can say exactly how likely everything it writes is.

# %% [markdown]
# ## Your turn
#
# 1. In the code plane, find a place where the decoded image is no digit although colours surround it. What does the
#    decoder have to do there?
# 2. Set the code size to 2 and walk 0.8 strides; then the same with size 16. Where on the curves above are you?
# 3. Change `seed` and run all. Which digits swap their places in the plane, and which numbers of the tables stay?
# 4. Train with `features = 512`. Reconstruction improves; what happens to the box?
# 5. Digits of 28 × 28 pixels wait in `course_lib.data.load_mnist` (it downloads 11 MB once). Which line of `train` has
#    to change, and why would the judge have to be trained anew?
#
# Then the graded assignment: `coursework/02_autoencoder`, in which you write a loss for levels that costs one number a
# pixel instead of seventeen, find the loneliest point between two digits, and put an error bar on the share of
# refused images.
#
# Further reading: [Hinton and Salakhutdinov (2006)](references.md#hinton2006) made autoencoders famous;
# [Bengio et al. (2013)](references.md#bengio2013) is about what a representation is for;
# [Alain and Bengio (2014)](references.md#alain2014) shows that an autoencoder trained with noise does know something of
# the density of its data; [Kingma and Welling (2014)](references.md#kingma2014) is where chapter 7 begins.
