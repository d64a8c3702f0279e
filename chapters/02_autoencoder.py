# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

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
# Above, digits that went through an autoencoder with a code of 16 numbers. Below, the same decoder, fed with 16
# numbers drawn from the range in which the codes lie. A judge that has never seen an autoencoder strikes out what it
# does not take for a digit.

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
teaser = Autoencoder(AutoencoderConfig(latent=16, features=64, depth=1), generator=generator).to(device)
fit(teaser, x, loss=lambda model, x: -categorical_log_prob(model(x), x), steps=600, batch_size=100, lr=1e-3,
    generator=generator)  # fmt: skip
with torch.no_grad():
    z = teaser.encoder(x)
    low, high = z.min(0).values, z.max(0).values
    box = low + (high - low) * torch.rand(10, 16, device=device, generator=generator)
    images = teaser.decoder(torch.cat([z[:10], box])).argmax(1)
judge = DigitJudge((x, y), load_digits("valid", device=device), generator=generator)
show_images(images, crossed=judge.label(images) < 0)

# %% [markdown]
# ## Setup
#
# Everything that chance decides in this chapter comes from one generator. Change the seed and run again: each number
# moves a little, and each claim must survive.

# %%
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.device import make_generator, pick_device

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

# %%
Z = 2  # the code's size: two, so that we can look at it
features = 64  # the hidden layers' width: enough for 1,000 images, and quick
batch_size = 100  # a tenth of the data a step
lr = 1e-3  # Adam's usual start; a small model bears it
steps = 1000  # half of it would nearly do

# %% [markdown]
# ## Build the encoder, and look
#
# Ink from 0 … 16 becomes −1 … 1, where networks start best; two linear layers with a bend between them do the rest.

# %%
from course_lib.layers import initialised_by

with initialised_by(generator):  # the first weights are chance too
    encoder = nn.Sequential(nn.Linear(64, features), nn.SiLU(), nn.Linear(features, Z)).to(device)
    decoder = nn.Sequential(nn.Linear(Z, features), nn.SiLU(), nn.Linear(features, 17 * 64)).to(device)


def encode(x):  # (B, 1, 8, 8) -> (B, Z)
    return encoder(x.flatten(1) / 8 - 1)


# %%
from course_lib.plots import show_code_plane

with torch.no_grad():
    figure = show_code_plane(encode(x_train), y_train)
figure

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
def nll(logits, x):  # (B,) nats per image: the log-probabilities of 64 pixels, added up
    return F.cross_entropy(logits, x, reduction="none").flatten(1).sum(1)


with torch.no_grad():
    before = nll(decode(encode(x_valid)), x_valid).mean().item()

counts = F.one_hot(x_train, 17).sum(0) + 0.5  # (1, 8, 8, 17): how often was this pixel this dark?
histogram = (counts / counts.sum(-1, keepdim=True)).log().movedim(-1, 0)  # (17, 1, 8, 8)
uniform = nll(torch.zeros(350, 17, 1, 8, 8, device=device), x_valid).mean().item()
no_code = nll(histogram.expand(350, -1, -1, -1, -1), x_valid).mean().item()
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
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr)
losses = []
for _ in range(steps):
    index = torch.randint(len(x_train), (batch_size,), device=device, generator=generator)
    x = x_train[index]  # (B, 1, 8, 8): a batch, drawn by chance
    loss = nll(decode(encode(x)), x).mean()  # nats per image
    optimizer.zero_grad()  # forget the last step's gradients
    loss.backward()  # how does each weight change the loss?
    optimizer.step()  # a small step against that
    losses.append(loss.item())

# %%
from course_lib.plots import show_curves

with torch.no_grad():
    held_out = nll(decode(encode(x_test)), x_test).mean().item()
print(f"{held_out:.1f} nats per image on held-out digits (no code: {no_code:.1f})")
assert held_out < no_code - 5, "two numbers per image are worth more than 5 nats"
show_curves(
    {"training batches": (range(steps), losses)}, xlabel="step", ylabel="nats per image",
    floors={"uniform": uniform, "no code: pixel histograms": no_code},
)  # fmt: skip

# %% [markdown]
# The curve falls off the upper floor, rests for a moment at the lower one, where the decoder knows the average digit
# and nothing else, and then goes below it: the code has begun to speak.

# %% [markdown]
# ## Train, in one call
#
# From here on the loop is `fit`, which adds a progress bar, a stop button that loses nothing, and a GPU if there is
# one. It must not add anything else: from the same seed, it has to give the same curve.

# %%
from course_lib.check import assert_close
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.train import fit


def train(Z, lr=lr, **settings):  # an autoencoder with a code of Z numbers, and how its training went
    generator = make_generator(seed, device)
    config = AutoencoderConfig(latent=Z, **({"features": features, "depth": 1} | settings))
    model = Autoencoder(config, generator=generator).to(device)
    history = fit(
        model, x_train, loss=lambda model, x: nll(model(x), x),
        steps=steps, batch_size=batch_size, lr=lr, generator=generator,
    )  # fmt: skip
    return model, history


model, history = train(Z=2)
assert_close(torch.tensor(history.loss), torch.tensor(losses), tolerance=1e-2, name="the curve of fit")

# %% [markdown]
# Equal, step by step. Does the code carry the image? These digits were held out:

# %%
with torch.no_grad():
    rebuilt = picture(model(x_test[:20]))
show_images(torch.cat([x_test[:10], rebuilt[:10], x_test[10:20], rebuilt[10:]]))

# %% [markdown]
# Two numbers keep the class, more or less, and the slant; the handwriting is gone. What comes out is a digit all the
# same, if not always the right one.

# %% [markdown]
# ## Play: every point of the plane is an image
#
# Below, each training image stands at its code. Move the cross: the decoder draws whatever lies there, whether any
# image was ever encoded there or not.

# %%
import numpy as np

with torch.no_grad():
    z_train = model.encoder(x_train)
low, high = np.quantile(z_train.cpu(), [0.01, 0.99], axis=0).tolist()  # where nearly all codes lie


def show_digit_at(z1, z2):
    with torch.no_grad():
        image = picture(model.decoder(torch.tensor([[z1, z2]], device=device)))
    return show_code_plane(z_train, y_train, mark=(z1, z2), image=image[0, 0], title="decoded there")


show_digit_at(low[0], high[1])

# %%
from course_lib.explore import explore

explore(
    show_digit_at, alt="the code plane, and the image decoded at the cross",
    z1=np.linspace(low[0], high[0], 11).round(2), z2=np.linspace(low[1], high[1], 11).round(2),
    labels={"z1": "z₁", "z2": "z₂"},
)  # fmt: skip

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
def spoil(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    N, device = len(x), x.device
    chance = torch.rand(N, 1, 1, 1, device=device, generator=generator)
    ink = torch.randint(17, x.shape, device=device, generator=generator)
    hit = torch.rand(x.shape, device=device, generator=generator) < 0.3 + 0.7 * chance
    other = torch.multinomial((y[:, None] != y).float(), 1, generator=generator)[:, 0]  # a partner of another class
    weight = 0.3 + 0.4 * torch.rand(N, 1, 1, 1, device=device, generator=generator)
    quarters = x.view(N, 2, 4, 2, 4).transpose(2, 3).reshape(N, 4, 16)
    order = torch.rand(N, 4, 1, device=device, generator=generator).argsort(1).expand(N, 4, 16)
    shuffled = quarters.gather(1, order).view(N, 2, 2, 4, 4).transpose(2, 3).reshape(x.shape)
    blend = (weight * x + (1 - weight) * x[other]).round().long()
    return torch.cat([torch.where(hit, ink, x), blend, torch.maximum(x, x[other]), shuffled])


# %%
show_images(spoil(x_test[:10], y_test[:10], generator))

# %% [markdown]
# How loud must a claim be? That is set on the held-out validation digits: so loud that one real digit in twenty is
# refused. Now the judge stands trial itself. The test digits come from writers it has never met; the last two rows are
# ruins of a kind it was never shown.

# %%
from course_lib.judge import DigitJudge

judge = DigitJudge((x_train, y_train), (x_valid, y_valid), generator=generator)
noise = torch.randint(17, (1000, 1, 8, 8), device=device, generator=generator)
scattered = x_test.flatten(1)[:, torch.randperm(64, device=device, generator=generator)].view_as(x_test)
trial = {"real digits": x_test}
trial |= dict(zip(["noisy", "blended", "overlaid", "quartered"], spoil(x_test, y_test, generator).chunk(4)))
trial |= {"pure noise": noise, "pixels scattered": scattered}
refused = {name: judge.invalid_share(images) for name, images in trial.items()}
for name, share in refused.items():
    print(f"{name:17s} {share:4.0%} refused")
assert refused["real digits"] < 0.10, "it refuses few real digits"
assert min(share for name, share in refused.items() if name != "real digits") > 0.80, "and most ruins"

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
    low, high, mean = z.min(0).values, z.max(0).values, z.mean(0)
    covariance = torch.cov(z.T) + 1e-4 * torch.eye(z.shape[1], device=device)  # a hair, lest a flat one has no root
    root = torch.linalg.cholesky(covariance)
    normal = torch.randn(n, z.shape[1], device=device, generator=generator) @ root.T
    uniform = torch.rand(n, z.shape[1], device=device, generator=generator)
    return {"Gaussian": mean + normal, "box": low + (high - low) * uniform, "far": mean + 5 * normal}


@torch.no_grad()
def invalid_shares(model, n=2000):
    places = {"held-out": model.encoder(x_test)} | draw_codes(model.encoder(x_train), n, generator)
    return {place: judge.invalid_share(picture(model.decoder(z))) for place, z in places.items()}


shares = {2: invalid_shares(model)}
for place, share in shares[2].items():
    print(f"{place:9s} {share:6.1%} no digit")
assert shares[2]["Gaussian"] < 0.10, "near the training codes, unseen vectors are fine"
assert shares[2]["far"] > 0.15, "far from them they are not"

# %% [markdown]
# The claim does not hold as it stands. Nearly all vectors from the Gaussian are vectors that no training image ever
# had, and nearly all of them give a digit. In a plane, a thousand codes leave little room: wherever you stand, one of
# them is near, and a smooth decoder does for you what it does for your neighbour. Far outside there are no neighbours,
# and there it goes wrong.
#
# So the question is not *seen or unseen*. It is: how far from what was seen?

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

print("code size      " + "".join(f"{Z:7d}" for Z in models))
for place in shares[2]:
    print(f"{place:15s}" + "".join(f"{shares[Z][place]:7.1%}" for Z in models))

# %%
for Z in (8, 16, 32):
    at = shares[Z]
    assert at["held-out"] < 0.10, "what the encoder encodes comes back as a digit"
    assert at["box"] > at["Gaussian"] > at["held-out"] + 0.05, "what it did not, often does not"
    assert at["far"] > at["Gaussian"] + 0.10, "least of all far outside"
assert shares[2]["Gaussian"] < shares[8]["Gaussian"] < shares[16]["Gaussian"]
assert shares[2]["box"] < shares[8]["box"] < min(shares[16]["box"], shares[32]["box"])
assert shares[32]["box"] > 0.35

# %% [markdown]
# Read the first row, then the third. The better the autoencoder, the worse its decoder as a generator: with 16 or 32
# numbers, what was encoded comes back as a digit nineteen times in twenty, while of the vectors from the box nearly half
# give none. The same thousand codes that crowd a plane are lost in sixteen dimensions.

# %% [markdown]
# ## The distance decides
#
# If that is the reason, it can be seen directly. Start at a training code and walk away from it in a direction drawn
# by chance. Measure how far you are from the *nearest* training code, in units of how far the training codes are from
# each other: 1 means as near as one training image is to the next.


# %%
@torch.no_grad()
def walk_away(model, paces, n=1000):  # -> how far from any training code (in spacings), and the images there
    z = model.encoder(x_train)
    apart = torch.cdist(z, z) + 1e9 * torch.eye(len(z), device=device)
    spacing = apart.min(1).values.median()  # the usual distance of a code to its nearest neighbour
    direction = torch.randn(n, z.shape[1], device=device, generator=make_generator(seed, device))
    there = z[:n] + paces * spacing * F.normalize(direction, dim=1)
    distance = torch.cdist(there, z).min(1).values.median() / spacing
    return distance.item(), picture(model.decoder(there))


paces = [0.5, 1, 2, 4, 8, 16, 32, 64]
curves = {}
for Z in models:
    walked = [walk_away(models[Z], p) for p in paces]
    curves[f"Z = {Z}"] = [d for d, _ in walked], [judge.invalid_share(images) for _, images in walked]
for Z in (8, 16, 32):
    share = dict(zip(paces, curves[f"Z = {Z}"][1]))
    assert share[1] < 0.06 < share[4] < share[8] < share[16], "farther is worse"
    assert share[8] > 5 * share[1], "and much worse"

# %%
show_curves(
    curves, xlabel="distance to the nearest training code, in spacings", ylabel="share that is no digit",
    xscale="log", ylim=(0, 1), floors={"real digits": refused["real digits"]},
)  # fmt: skip

# %% [markdown]
# Within one spacing of a training code the decoder is as good as reality, in every dimension. Then the curves leave
# the floor. And look at how far each reaches: in the plane, the longest walks that stay among the codes end within a
# few spacings of somebody, whereas with 16 numbers every direction leads away from everyone.
#
# Play with it: ten walks from ten images, at every distance and for every code size.


# %%
def show_walk(Z, paces):
    distance, images = walk_away(models[Z], paces, n=10)
    return show_images(images, crossed=judge.label(images) < 0, columns=5)


explore(
    show_walk, alt="ten images decoded away from their codes, struck out where they are no digit",
    Z=[2, 8, 16, 32], paces=[0, 0.5, 1, 2, 4, 8, 16], labels={"Z": "code size Z", "paces": "distance walked"},
)  # fmt: skip

# %% [markdown]
# ## Half-way between two digits
#
# The lecture has a picture for it: two codes with a good image each, and half-way between them a code that gives
# neither. A straight line between two seen points is the least far-fetched journey there is. We take pairs of
# different digits, go half the way, and ask the judge: is it still one of the two?

# %%
with torch.no_grad():
    z = models[16].encoder(x_test)
a = torch.randint(len(z), (2000,), device=device, generator=generator)
b = torch.randint(len(z), (2000,), device=device, generator=generator)
a, b = a[y_test[a] != y_test[b]], b[y_test[a] != y_test[b]]  # pairs of different classes
with torch.no_grad():
    half_way = judge.label(picture(models[16].decoder((z[a] + z[b]) / 2)))
no_digit = (half_way < 0).float().mean().item()
neither = ((half_way != y_test[a]) & (half_way != y_test[b])).float().mean().item()
print(f"half-way, no digit at all       {no_digit:4.0%}")
print(f"half-way, neither of the two    {neither:4.0%}")
assert no_digit > 2 * shares[16]["held-out"] and neither > 0.3

# %% [markdown]
# A good part is nothing, and most of the rest of *neither* is a third digit that nobody asked for: between a 4 and a 7
# there lives a 9. Walk the line yourself.

# %%
first = {digit: int((y_test == digit).nonzero()[0, 0]) for digit in range(10)}  # one test image a digit
names = np.array(["no digit"] + [f"a {digit}" for digit in range(10)])


def show_between(pair, t):
    start, end = (z[first[int(digit)]] for digit in pair.split(" → "))
    with torch.no_grad():
        image = picture(models[16].decoder(((1 - t) * start + t * end)[None]))
    return show_images(image, columns=1, titles=[names[judge.label(image).item() + 1]], crossed=judge.label(image) < 0)


explore(
    show_between, alt="the image decoded on the straight line between two digits, and the judge's verdict",
    pair=["0 → 1", "4 → 7", "1 → 8", "3 → 6", "2 → 5"], t=np.linspace(0, 1, 17), labels={"t": "way gone"},
)  # fmt: skip

# %% [markdown]
# ## Why it has no `sample`
#
# Every other model of this course has a method `sample`. This one must not:

# %%
assert not hasattr(Autoencoder, "sample") and not hasattr(Autoencoder, "log_prob")

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
with torch.no_grad():
    error = {Z: (picture(m(x_test)) - x_test).abs().float().mean().item() for Z, m in (models | {64: wide}).items()}
shares[64] = invalid_shares(wide)
for Z in shares:
    print(f"Z = {Z:2d}   off by {error[Z]:.2f} levels a pixel   Gaussian codes: {shares[Z]['Gaussian']:4.0%} no digit")

# %%
with torch.no_grad():
    codes = draw_codes(wide.encoder(x_train), 10, generator)["Gaussian"]
    images = torch.cat([x_test[:10], picture(wide(x_test[:10])), picture(wide.decoder(codes))])
assert error[64] < 0.6 * error[32] and shares[64]["held-out"] < 0.12, "by far the best at reconstruction"
assert shares[64]["Gaussian"] > max(0.5, 1.5 * shares[32]["Gaussian"]), "by far the worst at generation"
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
