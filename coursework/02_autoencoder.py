# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 2: how good a generator can a decoder be?
#
# **You will build an autoencoder, train it and stop in time, fit a density to its codes and draw new digits from it.
# Then you will say what share of them is refused, and how far that number can be trusted.**
#
# *Laptop: 20 seconds. You need: chapter 2. Five exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that it must do; replace the line
# `raise NotImplementedError()` with a few lines of your own. The cell below it checks your answer and tells you what
# it found. Some more checks run when your work is graded; they ask for nothing that the docstring does not say. You
# may add cells anywhere. The check cells are put back as they were before grading. The checks of one exercise never
# need your answer to another, so if you are stuck, go on to the next one. Only the pictures at the end of exercises 3
# and 5 bring your answers together.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import copy

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.layers import initialised_by
from course_lib.measure.judge import DigitJudge
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.prob import categorical_log_prob
from course_lib.show.plots import show_curves, show_images
from course_lib.train import fit

generator = make_generator(0)
x, y = load_digits("train")  # x (1000, 1, 8, 8): ink levels 0 to 16
x_valid, y_valid = load_digits("valid")  # 350 more, to decide by
x_test, y_test = load_digits("test")  # and 447, to measure on

# %% [markdown]
# ## 1 Build the two networks
#
# The encoder turns an image into a code, and the decoder turns a code into an image. The chapter's decoder gives 17
# numbers for each pixel, one for each level of ink. Yours will give one number for each pixel; exercise 2 says what
# it means.
#
# `nn.Sequential` puts layers in a row. `nn.Flatten()` makes a vector of each image, and `nn.Unflatten(1, (1, 8, 8))`
# makes an image of each vector. Before you start: a code may lie anywhere, on either side of 0. What does that say
# about the encoder's last layer?


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_pair(latent, features):
    """An encoder and a decoder for images of 8 × 8 pixels. Each is a linear layer, a SiLU, and a linear layer.

    latent: how many numbers a code has, Z. features: how wide both hidden layers are, F. All linear layers have biases.
    -> (encoder, decoder), each a torch.nn.Module. The encoder takes ink (B, 1, 8, 8), floats from −1 to 1, and gives
    codes (B, Z). The decoder takes codes (B, Z) and gives logits (B, 1, 8, 8). Codes and logits may be any real numbers.
    """
    ### BEGIN SOLUTION
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(64, features), nn.SiLU(), nn.Linear(features, latent)
    )
    decoder = nn.Sequential(
        nn.Linear(latent, features),
        nn.SiLU(),
        nn.Linear(features, 64),
        nn.Unflatten(1, (1, 8, 8)),
    )
    return encoder, decoder
    ### END SOLUTION


# %% [markdown]
# A pair with codes of 3 numbers and 5 hidden units. A linear layer from $a$ to $b$ numbers has $ab$ weights and $b$
# biases.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

tiny = build_pair(latent=3, features=5)
assert_shape(tiny[0](torch.zeros(4, 1, 8, 8)), (4, 3), name="the codes of 4 images")
assert_shape(tiny[1](torch.zeros(4, 3)), (4, 1, 8, 8), name="the logits of 4 codes")
numbers = [sum(p.numel() for p in network.parameters()) for network in tiny]
name = "weights and biases of the encoder: (64·5 + 5) + (5·3 + 3)"
assert_close(numbers[0], 343, tolerance=0, name=name)
name = "weights and biases of the decoder: (3·5 + 5) + (5·64 + 64)"
assert_close(numbers[1], 404, tolerance=0, name=name)

# %% [markdown]
# Graded later, worth 2 points: other sizes, and whether the layers do what the docstring says.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(1)
for latent, features in ((2, 7), (5, 3), (1, 12)):
    encoder, decoder = build_pair(latent, features)
    images = 10 * torch.randn(6, 1, 8, 8, generator=chance)
    points = 10 * torch.randn(6, latent, generator=chance)
    case = f"Z = {latent}, F = {features}"
    for network, given, a, b, shape in (
        (encoder, images, 64, latent, (6, latent)),
        (decoder, points, latent, 64, (6, 1, 8, 8)),
    ):
        which = "encoder" if network is encoder else "decoder"
        parts = {tuple(p.shape): p.detach() for p in network.parameters()}
        wanted = {(features, a), (features,), (b, features), (b,)}
        assert set(parts) == wanted, (
            f"{which}, {case}: expected weights and biases of the shapes {sorted(wanted)}, "
            f"got {sorted(parts)}"
        )
        hidden = given.flatten(1) @ parts[features, a].T + parts[(features,)]
        hidden = hidden * hidden.sigmoid()
        right = (hidden @ parts[b, features].T + parts[(b,)]).view(shape)
        with torch.no_grad():
            answer, one = network(given), network(given[:1])
        assert_close(
            answer,
            right,
            tolerance=1e-3,
            name=f"{which}, {case}, against linear(SiLU(linear(…))); is anything after the last layer?",
        )
        assert_close(one, right[:1], tolerance=1e-3, name=f"{which}, {case}, one image")
### END HIDDEN TESTS

# %% [markdown]
# ## 2 Price an image, with one number for each pixel
#
# An autoencoder needs a loss in nats, so the decoder's one number $\ell$ must stand for a distribution over the 17
# levels. Think of a pixel as 16 little dots. Each is inked with probability $p = \sigma(\ell)$, independently of the
# others, and the level $v$ counts the inked ones. Then $v$ has a binomial distribution:
#
# $$ p(v) = \binom{16}{v}\, p^v (1-p)^{16-v}, \qquad
#    \binom{16}{v} = \frac{16!}{v!\,(16-v)!}, \qquad n! = e^{\mathrm{lgamma}(n+1)} $$
#
# What does an image cost? Two facts help. `torch.lgamma(n + 1)` is the logarithm of $n!$. And $\log \sigma(\ell)$ is
# `nn.functional.logsigmoid(l)`, which stays finite where `torch.sigmoid(l).log()` gives $-\infty$. For which logit is
# the probability of ink $1 - p$?


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def binomial_nll(logits, x):
    """What images cost when each pixel is Binomial(16, sigmoid(logit)) and the pixels are independent.

    logits (B, C, H, W) float, of any size, 1000 too; x (B, C, H, W) long, levels 0 to 16
    -> (B,) nats: −log p of each image, the sum over its pixels, binomial coefficients included.
    """
    ### BEGIN SOLUTION
    n, v = torch.tensor(16.0), x.to(logits.dtype)
    log_coefficient = (
        torch.lgamma(n + 1) - torch.lgamma(v + 1) - torch.lgamma(n - v + 1)
    )
    log_p = nn.functional.logsigmoid(logits)
    log_not_p = nn.functional.logsigmoid(-logits)
    log_prob = log_coefficient + v * log_p + (16 - v) * log_not_p  # (B, C, H, W)
    return -log_prob.flatten(1).sum(1)
    ### END SOLUTION


# %% [markdown]
# First a single pixel, half inked, at $p = 1/2$: of the 65,536 ways to ink 16 dots, 12,870 ink 8 of them. Then all 17
# levels. One of them must happen, so their probabilities add up to 1.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

half_inked = binomial_nll(torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 8))
wanted = torch.tensor([1.62770])
assert_close(half_inked, wanted, name="−log(12870 / 65536), level 8 at p = 1/2")
levels = torch.arange(17).view(17, 1, 1, 1)  # 17 images of a single pixel
for logit in (0.0, 1.5, -4.0):
    nll = binomial_nll(torch.full((17, 1, 1, 1), logit), levels)
    assert_shape(nll, (17,), name="binomial_nll of 17 images")
    name = f"the 17 probabilities at logit {logit}, added up"
    assert_close((-nll).exp().sum(), 1.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: whole images, and logits of any size. Try some yourself first.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
ten = torch.randint(17, (10, 3, 4, 5), generator=torch.Generator().manual_seed(1))
said = 3 * torch.randn(10, 3, 4, 5, generator=torch.Generator().manual_seed(2))
binomial = torch.distributions.Binomial(16, logits=said.double())
right = -binomial.log_prob(ten.double()).flatten(1).sum(1)
paid = binomial_nll(said, ten)
assert_shape(paid, (10,), name="binomial_nll of 10 images of 3×4×5")
assert_close(paid, right, name="binomial_nll against torch.distributions.Binomial")
certain = torch.tensor([1000.0, -1000.0]).view(2, 1, 1, 1)
assert_close(
    binomial_nll(certain, torch.tensor([16, 0]).view(2, 1, 1, 1)),
    torch.zeros(2),
    name="certain and right",
)
wrong = binomial_nll(certain, torch.tensor([0, 16]).view(2, 1, 1, 1))
assert_close(
    wrong, torch.full((2,), 16000.0), name="certain and wrong (expensive, and finite)"
)
### END HIDDEN TESTS

# %% [markdown]
# Your function draws these: the distribution of one pixel for three logits.

# %% nbgrader={"grade": false, "grade_id": "exercise2_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
fig, axes = plt.subplots(1, 3, figsize=(8, 2), sharey=True, layout="constrained")
for ax, logit in zip(axes, (-2.0, 0.0, 3.0), strict=True):
    ax.bar(range(17), (-binomial_nll(torch.full((17, 1, 1, 1), logit), levels)).exp())
    ax.set(title=f"logit {logit:g}", xlabel="level")
axes[0].set_ylabel("probability")

# %% [markdown]
# Each is a single hill, and its place fixes its width. So there is something that this decoder cannot say: "It is
# paper or full ink, and I am not sure which." Does that cost anything? The end of the next exercise shows it.

# %% [markdown]
# ## 3 Train, and stop in time
#
# Train for long enough, and the network learns its thousand images by heart. Their loss goes on falling, while that
# of other images falls, turns, and rises. This is **overfitting**, and the training loss does not show it. So keep
# some images aside, the **validation set**. Never train on them, but ask from time to time what they cost. When
# several rounds in a row have brought no new best, stop and go back to the weights of the best round.
#
# Write the training loop yourself. One trap: `model.state_dict()` hands you the weights themselves and not a copy of
# them, so the next step changes what you thought you had kept. `copy.deepcopy` makes a copy, and
# `model.load_state_dict` puts it back.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_and_go_back(model, loss, x, x_valid, rounds, patience, generator):
    """Train `model` in place, watch its validation loss, and go back to the weights of the best round.

    loss(model, images) -> (B,) nats; x (N, …) images to train on; x_valid (M, …). One round is 50 updates by
    torch.optim.Adam, lr 1e-3, and then the mean loss of all of x_valid. An update lowers the mean loss of 100 images of
    x; torch.randint(N, (100,), generator=generator) says which, and nothing else is left to chance. The same optimiser
    serves all rounds. Training ends after `rounds` rounds, or earlier: when the last `patience` rounds (1 or more) have
    all failed to get below the lowest validation loss before them.
    -> a list of floats, the validation loss after each round made; `model` has the weights of the round with the lowest.
    """
    ### BEGIN SOLUTION
    optimizer, curve = torch.optim.Adam(model.parameters(), lr=1e-3), []
    while len(curve) < rounds:
        for _ in range(50):
            i = torch.randint(len(x), (100,), generator=generator)
            optimizer.zero_grad()
            loss(model, x[i]).mean().backward()
            optimizer.step()
        with torch.no_grad():
            curve.append(loss(model, x_valid).mean().item())
        best = curve.index(min(curve))
        if best == len(curve) - 1:
            kept = copy.deepcopy(model.state_dict())
        if len(curve) - 1 - best >= patience:
            break
    model.load_state_dict(kept)
    return curve
    ### END SOLUTION


# %% [markdown]
# A toy whose right answer you can work out: a model that is one number, and a loss that is its squared distance to
# the image's one pixel. The number starts at 0. The training images are all 1, so Adam raises it by nearly 0.001 an
# update, 0.05 a round. The validation images are all 0.28: round 6 comes nearest, and then it gets worse.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape


def squared_distance(model, images):  # model: one number, in a list of its own
    return (model[0] - images.flatten(1).mean(1)).square()


toy = nn.ParameterList([torch.zeros(())])
ones, elsewhere = torch.ones(200, 1, 1, 1), torch.full((70, 1, 1, 1), 0.28)
knobs = dict(rounds=40, patience=3, generator=make_generator(1))
curve = train_and_go_back(toy, squared_distance, ones, elsewhere, **knobs)
assert isinstance(curve, list), f"expected a list of floats, got {curve!r:.60}"
name = "rounds made: the best is round 6, and the next 3 bring nothing better"
assert_close(len(curve), 9, tolerance=0, name=name)
name = "the number of the round with the lowest validation loss"
assert_close(1 + curve.index(min(curve)), 6, tolerance=0, name=name)
left = squared_distance(toy, elsewhere).mean()
name = "validation loss of the weights you left in the model, against the best round's"
assert_close(left, min(curve), tolerance=1e-5, name=name)

# %% [markdown]
# Graded later, worth 2 points: validation losses that rise and fall again, images that differ, other values of
# patience, and whether all chance comes from `generator`.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS


def bumpy(model, images):
    """−θ where the image is 1; where it is 2, a slope with waves four rounds long: its best rounds are 2, 6, 10, …"""
    theta = model[0] + 0 * images.flatten(1).mean(1)
    waves = 0.2 * torch.cos(10 * torch.pi * theta) - theta
    return torch.where(images.flatten(1).mean(1) == 2, waves, -theta)


for patience, rounds, made, best in (
    (4, 12, 12, 10),
    (3, 12, 5, 2),
    (1, 12, 3, 2),
    (9, 1, 1, 1),
):
    theta = nn.ParameterList([torch.zeros(())])
    curve = train_and_go_back(
        theta,
        bumpy,
        torch.ones(150, 1, 1, 1),
        2 * torch.ones(30, 1, 1, 1),
        rounds,
        patience,
        make_generator(2),
    )
    case = f"a validation loss with waves, {rounds} rounds at most, patience {patience}"
    assert_close(len(curve), made, tolerance=0, name=f"rounds made; {case}")
    assert_close(
        theta[0],
        0.05 * best,
        tolerance=5e-3,
        name=f"the model's number, 0.05 a round, of the best round {best}; {case}",
    )

chance = torch.Generator().manual_seed(3)
images, others = (torch.randn(n, 1, 2, 2, generator=chance) for n in (300, 90))
images[100:] += 1.5
curves = []
for outside in (1, 2):
    torch.manual_seed(outside)  # which must not matter
    theta = nn.ParameterList([torch.full((), 0.6)])
    curves.append(
        train_and_go_back(
            theta, squared_distance, images, others + 1, 12, 12, make_generator(4)
        )
    )
twin, chance, right = (
    nn.ParameterList([torch.full((), 0.6)]),
    make_generator(4),
    [],
)
adam = torch.optim.Adam(twin.parameters(), lr=1e-3)
for step in range(600):
    batch = images[torch.randint(300, (100,), generator=chance)]
    nats = squared_distance(twin, batch).mean()
    (twin[0].grad,) = torch.autograd.grad(nats, [twin[0]])
    adam.step()
    if step % 50 == 49:
        right.append(squared_distance(twin, others + 1).mean().item())
for curve in curves:
    assert_close(
        torch.tensor(curve),
        torch.tensor(right),
        tolerance=1e-3,
        name="the curve of 12 rounds, with images that differ and a given generator",
    )
assert_close(
    squared_distance(theta, others + 1).mean(),
    min(right),
    name="validation loss of the weights left in the model, with images that differ",
)
### END HIDDEN TESTS

# %% [markdown]
# Now your first three answers together: your networks, your loss, your training. Beside them goes the chapter's
# decoder, which gives 17 numbers for each pixel. Both are trained with codes of 2 and of 16 numbers. Patience is as
# large as the number of rounds, so that you see where it would have paid to stop; your function goes back to the best
# round in any case.


# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def one_number(model, x):  # x (B, 1, 8, 8) long -> (B,) nats
    return binomial_nll(model(x / 8 - 1), x)


def seventeen_numbers(model, x):
    return -categorical_log_prob(model(x), x)


networks, curves, cost = {}, {}, {}
knobs = dict(rounds=25, patience=25, generator=generator)
for Z in (2, 16):
    with initialised_by(generator):
        networks[one_number, Z] = nn.Sequential(*build_pair(Z, features=64))
    config = AutoencoderConfig(latent=Z, features=64, depth=1)
    networks[seventeen_numbers, Z] = Autoencoder(config, generator=generator)
for (loss, Z), network in networks.items():
    nats = train_and_go_back(network, loss, x, x_valid, **knobs)
    curves[f"{loss.__name__}, Z = {Z}".replace("_", " ")] = (range(1, 26), nats)
    with torch.no_grad():
        cost[loss, Z] = loss(network, x_test).mean().item()
show_curves(curves, xlabel="round", ylabel="nats an image, validation", ylim=(60, 250))

# %% nbgrader={"grade": false, "grade_id": "exercise3_compare", "locked": true, "schema_version": 3, "solution": false, "task": false}
for (name, (_, nats)), price in zip(curves.items(), cost.values(), strict=True):
    print(f"{name:25} best round {1 + nats.index(min(nats)):2}:", end=" ")
    print(f"validation {min(nats):5.1f}, after round 25 {nats[-1]:5.1f};", end=" ")
    print(f"held-out digits {price:5.1f} nats")
print(f"17 equally likely levels: {64 * 2.8332:.1f} nats")
nats = curves["seventeen numbers, Z = 16"][1]
assert nats[-1] > min(nats) + 2, "it falls, turns and rises: overfitting"
assert cost[seventeen_numbers, 2] < cost[one_number, 2] - 40, "doubt needs 17 numbers"
assert cost[one_number, 16] < cost[seventeen_numbers, 16] - 2, "with little doubt, one"
pair = networks[one_number, 16]
with torch.no_grad():
    redrawn = (17 * pair(x_test[:10] / 8 - 1).sigmoid()).long().clamp(max=16)
show_images(torch.cat([x_test[:10], redrawn]), caption="held out; redrawn by your pair")

# %% [markdown]
# With 16 numbers in the code, the 17-number decoder falls, turns and rises within 25 rounds. What it does after the
# turn makes it worse.
#
# Nats are nats, so the prices compare, and neither decoder is the better one. A code of 2 numbers leaves much in
# doubt. Your decoder cannot say so: its hill is never wide, and it pays about as much as somebody who knows nothing.
# A code of 16 numbers leaves little in doubt, and there your decoder wins. A likely reason is that it knows from the
# start that level 7 lies between 6 and 8. The other one has to learn that from a thousand images, pixel by pixel.
# (Your decoder has not reached its best round yet. After 70 to 80 rounds it costs about 172 nats with 2 numbers, and
# 70 with 16.)
#
# Below are the model and the judge for the last two exercises. The model is the chapter's, with 17 numbers for each
# pixel and codes of 16, trained by `fit` for as many steps as the chapter found best.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
config = AutoencoderConfig(latent=16, features=64, depth=1)
model = Autoencoder(config, generator=generator)
knobs = dict(steps=700, batch_size=100, lr=1e-3, generator=generator)
fit(model, x, loss=lambda m, x: -categorical_log_prob(m(x), x), **knobs)
model.cpu()  # fit trains on the fastest device; the rest is small
judge = DigitJudge((x, y), (x_valid, y_valid), generator=generator)


@torch.no_grad()
def decode(z):  # z (B, Z) -> images (B, 1, 8, 8): each pixel's likeliest level
    return model.decoder(z).argmax(-1)


with torch.no_grad():
    codes, codes_valid, codes_test = map(model.encoder, (x, x_valid, x_test))

# %% [markdown]
# ## 4 Draw new codes
#
# A decoder needs codes, and nobody has said where they come from. So say it yourself: take the codes $c_1, \dots, c_N$
# of the training digits, fit a density to them, and draw from that. There are two extreme ways to do it.
#
# - Draw one of the known codes again. Every image is fine, and none is new.
# - Fit one Gaussian, with the codes' mean $m$ and covariance matrix $S$. Every image is new, and many draws fall where
#   no digit has its code.
#
# Between the two lies the **smoothed bootstrap** (Silverman 1986, section 6.4). Take a known code at random, pull it
# a little towards the mean, and add Gaussian noise:
#
# $$ z = m + \sqrt{1 - h^2}\,(c_i - m) + h\,e, \qquad e \sim N(0, S), \qquad 0 \le h \le 1 $$
#
# The **width** $h$ leads from the known codes ($h = 0$) to the single Gaussian ($h = 1$). Why the pull? Noise alone
# would spread the cloud; the pull makes up for exactly that, for $(1 - h^2)\,S + h^2 S = S$. So draws have the
# codes' mean and covariance whatever $h$ is.
#
# To draw $e$, let $L$ be the Cholesky factor of $S$, `torch.linalg.cholesky(S)`, with $L L^\top = S$. If
# $\varepsilon \sim N(0, I)$, what is the covariance of $L \varepsilon$? And if $\varepsilon$ is a *row* of a matrix,
# on which side does $L$ stand?


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def draw_codes(codes, n, width, generator):
    """Draw codes by the smoothed bootstrap: z = m + √(1 − h²)·(c − m) + h·e.

    codes (N, Z) float, N > Z; n, an int, may be larger than N; width: h, from 0 to 1. m (Z,) and S (Z, Z) are the mean
    and the covariance of `codes`, divided by N (torch.cov(…, correction=0) takes one row a *variable*). For each draw
    afresh, c is a row of codes, each equally likely (with replacement), and e is from N(0, S). All chance comes from
    `generator`.
    -> (n, Z) float.
    """
    ### BEGIN SOLUTION
    mean = codes.mean(0)
    root = torch.linalg.cholesky(torch.cov(codes.T, correction=0))
    chosen = codes[torch.randint(len(codes), (n,), generator=generator)]
    noise = torch.randn(n, codes.shape[1], generator=generator) @ root.T
    return mean + (1 - width**2) ** 0.5 * (chosen - mean) + width * noise
    ### END SOLUTION


# %% [markdown]
# Four codes on the corners of a rectangle around (10, 0). With $h = 0$ every draw is one of them. With $h = 1$ the
# draws are a single cloud, with the mean and the standard deviations of the four corners.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

corners = torch.tensor([[7.0, -1.0], [7.0, 1.0], [13.0, -1.0], [13.0, 1.0]])
z = draw_codes(corners, 400, 0.0, make_generator(1))
assert_shape(z, (400, 2), name="400 draws from 4 codes")
distances = torch.cdist(z, corners)
name = "with width 0: the distance from a draw to the nearest of the four codes"
assert_close(distances.amin(1), torch.zeros(400), tolerance=1e-3, name=name)
share = (distances.argmin(1) == 0).float().mean()
name = "with width 0: the share of draws that are the first code"
assert_close(share, 0.25, tolerance=0.1, name=name)
z = draw_codes(corners, 4000, 1.0, make_generator(2))
name = "with width 1: the mean of the draws"
assert_close(z.mean(0), torch.tensor([10.0, 0.0]), tolerance=0.06, name=name)
name = "with width 1: the standard deviations of the draws, 3 and 1 as for the codes"
assert_close(z.std(0), torch.tensor([3.0, 1.0]), tolerance=0.06, name=name)

# %% [markdown]
# Graded later, worth 2 points: widths between 0 and 1, codes whose numbers are correlated, and whether all chance comes
# from `generator`.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(5)
mix = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [-0.7, 0.6, 0.3]])
cloud = torch.randn(40, 3, generator=chance) @ mix.T + torch.tensor([1.0, -2.0, 0.0])
middle, spread = cloud.mean(0), torch.cov(cloud.T, correction=0)
for h in (0.0, 0.3, 0.6, 0.9, 1.0):
    z = draw_codes(cloud, 40000, h, make_generator(6))
    assert_close(
        z.mean(0), middle, tolerance=0.05, name=f"the mean of draws with width {h}"
    )
    assert_close(
        torch.cov(z.T),
        spread,
        tolerance=0.05,
        name=f"the covariance of draws with width {h}, which is that of the codes",
    )
# Codes far apart: each draw lies around one of them, and how far away is known.
far = torch.tensor([[100.0, 0.0], [-100.0, 10.0], [0.0, 90.0], [0.0, -100.0]])
middle, spread = far.mean(0), torch.cov(far.T, correction=0)
z = draw_codes(far, 20000, 0.1, make_generator(7))
off = z[:, None] - (middle + 0.99**0.5 * (far - middle))  # (20000, 4, 2)
length = torch.einsum("nka,ab,nkb->nk", off, spread.inverse(), off).amin(1)
assert_close(
    length.mean() / (2 * 0.1**2),
    1.0,
    tolerance=0.05,
    name="with width 0.1: the mean squared distance from √(1 − h²)·(c − m) + m, in units of h²S",
)
drawn = []
for outside in (1, 2):
    torch.manual_seed(outside)  # which must not matter
    drawn.append(draw_codes(cloud, 5, 0.5, make_generator(8)))
assert_shape(drawn[0], (5, 3), name="5 draws of 3 numbers")
assert_close(drawn[0], drawn[1], name="draws from two generators of the same seed")
### END HIDDEN TESTS

# %% [markdown]
# Which width is right? Counting refused images cannot tell: the fewest are refused at $h = 0$, where nothing is new. A
# density has a better judge: codes that it was not fitted to. With the pulled codes as its centres, yours is a mixture
# of $N$ Gaussians,
#
# $$ p(z) = \frac1N \sum_{i=1}^N N\!\left(z;\; m + \sqrt{1 - h^2}\,(c_i - m),\; h^2 S\right), $$
#
# so we can ask which $h$ makes the codes of the validation digits most likely.


# %% nbgrader={"grade": false, "grade_id": "exercise4_width", "locked": true, "schema_version": 3, "solution": false, "task": false}
def log_density(z, codes, h):
    """log p(z) under the smoothed bootstrap of width h: z (B, Z), codes (N, Z) -> (B,) nats."""
    m, S = codes.mean(0), codes.T.cov(correction=0)
    centres = m + (1 - h**2) ** 0.5 * (codes - m)
    bump = torch.distributions.MultivariateNormal(torch.zeros_like(m), h**2 * S)
    log_p = bump.log_prob(z[:, None] - centres)  # (B, N)
    return log_p.logsumexp(1) - torch.tensor(len(codes)).log()


widths = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
likely = [log_density(codes_valid, codes, h).mean().item() for h in widths]
width = widths[likely.index(max(likely))]
for h, value in zip(widths, likely, strict=True):
    print(f"h = {h}: log p of a validation code {value:6.1f} nats")
print(f"the best width is {width}")
assert max(likely) > likely[-1] + 2, "better than one Gaussian"

# %% nbgrader={"grade": false, "grade_id": "exercise4_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
kinds = {f"h = {h:g}": draw_codes(codes, 1000, h, generator) for h in (0.0, width, 1.0)}
some = torch.cat([decode(z[:12]) for z in kinds.values()])
struck = judge.label(some) < 0
rows = "a row each: " + ", ".join(kinds) + " (struck out: the judge refuses it)"
show_images(some, columns=12, crossed=struck, caption=rows)

# %% nbgrader={"grade": false, "grade_id": "exercise4_novelty", "locked": true, "schema_version": 3, "solution": false, "task": false}
far = [judge.distance(decode(z)).median().item() for z in kinds.values()]
real = judge.distance(x_test).median().item()
print("distance to the nearest training digit, in full pixels (median):")
for name, value in zip([*kinds, "real digits, held out"], [*far, real], strict=True):
    print(f"{name:21} {value:.2f}")
assert far[0] < real < far[1], "draws with the best width are no copies"

# %% [markdown]
# In the first row you see training digits, as the model redraws them. The second row is new. In the median its images
# are farther from the nearest training digit than the copies are, and farther even than real digits that were held
# out. That does not make them better, for noise would be farther still; it only shows that they are no copies. How
# many of them are digits? That is the last question.

# %% [markdown]
# ## 5 How far to trust a share
#
# Draw $n$ codes, let the judge look at their images, and count the $k$ that it refuses. If the true share is $p$,
# then $k/n$ scatters around it with the **standard error** $\sqrt{p\,(1-p)/n}$. The usual interval is $k/n \pm c$
# standard errors, with $c = 1.96$ for 95 %, and with $k/n$ put in place of $p$ under the root. That goes wrong where
# you need it most: with $k = 0$ it says $0 \pm 0$, as if a few draws had proved that no image is ever refused.
#
# Wilson (1927) does not replace $p$. His interval holds every share $p$ that fits the count, because $k/n$ is at most
# $c$ of *its* standard errors away from $p$:
#
# $$ \left| \frac kn - p \right| \le c\, \sqrt{\frac{p\,(1-p)}{n}} $$
#
# Square both sides and sort by powers of $p$. The two ends of the interval are the roots of
#
# $$ (n + c^2)\, p^2 - (2k + c^2)\, p + \frac{k^2}{n} = 0. $$


# %% nbgrader={"grade": false, "grade_id": "exercise5_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wilson_interval(refused, n, errors=1.96):
    """The interval of shares that fit a count, after Wilson (1927).

    refused: k, an int from 0 to n; n, an int, 1 or more; errors: c > 0, how many standard errors.
    -> (low, high), two floats with 0 ≤ low < high ≤ 1 (up to rounding): the roots of the quadratic equation above.
    """
    ### BEGIN SOLUTION
    a, b, product = n + errors**2, 2 * refused + errors**2, refused**2 / n
    root = (b**2 - 4 * a * product) ** 0.5
    return (b - root) / (2 * a), (b + root) / (2 * a)
    ### END SOLUTION


# %% [markdown]
# Two refused of eight. Then the definition itself: at both ends, the count is 1.96 standard errors away. And then
# nothing refused, and everything.

# %% nbgrader={"grade": true, "grade_id": "exercise5_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

low, high = wilson_interval(2, 8)
assert_close(low, 0.071494, name="the lower end for 2 of 8")
assert_close(high, 0.590724, name="the upper end for 2 of 8")
for end in wilson_interval(30, 400):
    away = abs(30 / 400 - end) / (end * (1 - end) / 400) ** 0.5
    name = f"30 of 400: how many standard errors the count is away from p = {end:.4f}"
    assert_close(away, 1.96, tolerance=1e-3, name=name)
low, high = wilson_interval(0, 200)
assert_close(low, 0.0, tolerance=1e-6, name="the lower end for 0 of 200")
name = "the upper end for 0 of 200: c² / (n + c²), not 0"
assert_close(high, 1.96**2 / (200 + 1.96**2), tolerance=1e-6, name=name)
low, high = wilson_interval(200, 200)
name = "the lower end for 200 of 200: n / (n + c²), not 1"
assert_close(low, 200 / (200 + 1.96**2), tolerance=1e-6, name=name)
assert_close(high, 1.0, tolerance=1e-6, name="the upper end for 200 of 200")

# %% [markdown]
# Graded later, worth 2 points: other counts, and other numbers of standard errors.

# %% nbgrader={"grade": true, "grade_id": "exercise5_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
for k, n, c in (
    (1, 1, 1.0),
    (0, 1, 1.96),
    (3, 7, 1.0),
    (5, 1000, 3.0),
    (999, 1000, 2.58),
    (50, 100, 0.5),
):
    low, high = wilson_interval(k, n, c)
    case = f"{k} of {n}, {c} standard errors"
    centre = (k + c**2 / 2) / (n + c**2)
    half = c * (k * (n - k) / n + c**2 / 4) ** 0.5 / (n + c**2)
    assert_close(low, centre - half, tolerance=1e-6, name=f"the lower end for {case}")
    assert_close(high, centre + half, tolerance=1e-6, name=f"the upper end for {case}")
### END HIDDEN TESTS

# %% [markdown]
# With nothing refused, the interval reaches up to $c^2 / (n + c^2)$, which is nearly $4/n$ for $c = 1.96$. Perhaps
# you know the **rule of three**, which says $3/n$ for that case. At $p = 3/n$, a series of $n$ draws without a single
# refusal has the probability $(1 - 3/n)^n \approx e^{-3} = 5\,\%$, so a larger share would make the count a
# surprise. That leaves 5 % on *one* side. An interval of 95 % leaves 2.5 % on each side, so it reaches a little
# farther.
#
# Does an interval of 95 % hold the truth in 95 % of all cases? No draws are needed to find out. For a true share
# $p$ and 200 draws we know how likely each count is, so we add up the chances of those whose interval contains $p$.


# %% nbgrader={"grade": false, "grade_id": "exercise5_trial", "locked": true, "schema_version": 3, "solution": false, "task": false}
def usual_interval(refused, n, errors=1.96):
    share = refused / n
    error = (share * (1 - share) / n) ** 0.5
    return share - errors * error, share + errors * error


def coverage(interval, p, n=200):
    """How often the interval of a count of n contains the true share p."""
    chances = torch.distributions.Binomial(n, p).log_prob(torch.arange(n + 1.0)).exp()
    ends = [interval(k, n) for k in range(n + 1)]
    holds = torch.tensor([low <= p <= high for low, high in ends])
    return chances[holds].sum().item()


held = {"usual": [], "Wilson": []}
print("true share   usual   Wilson")
for p in torch.tensor([0.003, 0.01, 0.03, 0.1, 0.3]):
    held["usual"].append(coverage(usual_interval, p))
    held["Wilson"].append(coverage(wilson_interval, p))
    print(f"{p:8.1%} {held['usual'][-1]:10.1%} {held['Wilson'][-1]:8.1%}")
assert min(held["usual"]) < 0.6, "the usual one fails for small shares"
assert min(held["Wilson"]) > 0.93, "Wilson's does not"

# %% [markdown]
# For a share of 0.3 %, the usual interval holds the truth less than half the time. More than half of the counts are 0
# then, and $0 \pm 0$ is wrong whenever the share is not 0. Wilson's interval keeps its word.
#
# Now use it on the decoder. Real digits come first, then codes of real digits, then your draws, and last
# the smallest box around the training codes, with every point of it equally likely.


# %% nbgrader={"grade": false, "grade_id": "exercise5_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def judged(images):  # -> (refused, n)
    return (judge.label(images) < 0).sum().item(), len(images)


low, high = codes.amin(0), codes.amax(0)
box = low + (high - low) * torch.rand(1000, 16, generator=generator)
sources = {"real digits, held out": judged(x_test)}
sources["their codes"] = judged(decode(codes_test))
for name, z in kinds.items():
    sources[f"your draws, {name}"] = judged(decode(z))
sources["box"] = judged(decode(box))

fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
intervals = {name: wilson_interval(*counts) for name, counts in sources.items()}
for name, (refused, n) in sources.items():
    low, high = intervals[name]
    print(f"{name:22} {refused:3} of {n:4}: {refused / n:5.1%}", end=" ")
    print(f"({low:.1%} to {high:.1%})")
    bar = dict(linewidth=6, alpha=0.5, solid_capstyle="butt")
    ax.plot([100 * low, 100 * high], [name, name], **bar)
    ax.plot(100 * refused / n, name, "k|", markersize=12)
ax.invert_yaxis()
ax.set(xlabel="refused by the judge, % (bar: the 95 % interval)", xlim=(0, None))
best, gaussian = (intervals[f"your draws, h = {h:g}"] for h in (width, 1.0))
assert intervals["box"][0] > gaussian[1], "the box fares worse than a Gaussian"
assert gaussian[0] > intervals["their codes"][1], "and that worse than codes"
assert best[1] < intervals["box"][0] / 2, "by a factor of 2 and more"

# %% [markdown]
# Where two intervals do not meet, the difference is more than luck. Where they overlap, these draws may be too few to
# tell. So the box is worse than a single Gaussian, and that is worse than the codes of real digits. The draws with
# the best width are refused less than half as often as the box. Now read the rest yourself. Are they better than the
# single Gaussian? Are they worse than real digits? Where the bars overlap, draw 5,000 codes instead of 1,000, in a
# cell of your own.
#
# Be careful when you compare with real digits. A decoded image shows each pixel's likeliest level, so it is cleaner
# than a real one. The fairer comparison is with the second row, decoded codes.
#
# The decoder is the same in every row but the first. What differs is how much we know of where the codes lie.
#
# ### When draws are not independent
#
# The interval assumes that the $n$ draws are independent. Here is a case where they are not. Take codes half-way
# between two held-out digits of different classes. Some 150 digits make about 10,000 such pairs, and with $n$ =
# 10,000 the interval is very narrow. But every digit stands in more than a hundred of these pairs. If its code is an
# odd one, they all suffer together. We have learnt about 150 digits, and not about 10,000 pairs.
#
# There are two honest ways. Use each digit only once, in **disjoint pairs**, which are independent. Or use all pairs,
# but **resample the digits**: draw 150 of the 150 with replacement, compute the share again, and see how much it
# varies when you do so 1,000 times. (A digit that is drawn twice counts twice in each of its pairs.)


# %% nbgrader={"grade": false, "grade_id": "exercise5_pairs", "locked": true, "schema_version": 3, "solution": false, "task": false}
def between(i, j):  # what the judge sees half-way between digits i and j
    return judge.label(decode((codes_test[i] + codes_test[j]) / 2))


order = torch.randperm(len(x_test), generator=generator)
i, j = order[:446].view(2, 223)  # every digit once
i, j = torch.stack([i, j])[:, y_test[i] != y_test[j]]
seen = between(i, j)
neither = (seen != y_test[i]) & (seen != y_test[j])
for name, hit in {"refused": seen < 0, "neither of the two": neither}.items():
    low, high = wilson_interval(hit.sum().item(), len(hit))
    print(f"{len(hit)} disjoint pairs, {name}: {hit.float().mean():.1%},", end=" ")
    print(f"{low:.1%} to {high:.1%}")
images = (x_test[i] + x_test[j]) / 2  # for comparison: the pixels, half and half
mixed = judge.invalid_share(images.round().long())
print(f"{len(hit)} mixtures of two images, refused: {mixed:.0%}")
assert mixed > 0.8, "half of each image is hardly ever a digit"

# %% nbgrader={"grade": false, "grade_id": "exercise5_resampled", "locked": true, "schema_version": 3, "solution": false, "task": false}

few = order[:150]
i, j = torch.triu_indices(150, 150, 1)
i, j = torch.stack([i, j])[:, y_test[few[i]] != y_test[few[j]]]
bad = between(few[i], few[j]) < 0
naive = wilson_interval(bad.sum().item(), len(bad))
print(f"{len(bad)} pairs of 150 digits, refused: {bad.float().mean():.1%}")
print(f"as if they were independent: {naive[0]:.1%} to {naive[1]:.1%}")

again = torch.randint(150, (1000, 150), generator=generator)
times = nn.functional.one_hot(again, 150).sum(1).float()  # how often each is drawn
weight = times[:, i] * times[:, j]  # (1000, pairs)
shares = (weight * bad).sum(1) / weight.sum(1)
low, high = shares.quantile(torch.tensor([0.025, 0.975])).tolist()
wider = (high - low) / (naive[1] - naive[0])
print(f"by resampling the digits: {low:.1%} to {high:.1%}, {wider:.1f} times as wide")
assert wider > 1.7, "pairs that share digits know less than they seem to"

# %% [markdown]
# The disjoint pairs give an interval that you may trust, and a wide one. All pairs of 150 digits give a narrower one
# when the digits are resampled, and still it is about three times as wide as the one that takes the pairs for
# independent.
#
# What the pairs say: half-way between two *images* there is hardly ever a digit. Half-way between two *codes* there
# usually is one, but often it is neither of the two.

# %% [markdown]
# ## What you saw
#
# - A loss in nats belongs to a distribution. Choose another distribution and the price changes, and the prices
#   compare.
# - The validation set says when to stop. The training loss cannot.
# - The lecture says that a vector not seen in training gives no valid output. That depends on the vector. From a box,
#   a large share is refused; from a density fitted to the codes, few are. A decoder is as good a generator as your
#   knowledge of where the codes lie.
# - You brought that knowledge yourself, after training: no density was part of the model, and it has no likelihood of
#   an image. Chapter 7 makes the density part of the training.
# - A share needs an interval, also when the count is 0; and the interval needs draws that are independent.
