# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 2: how lonely is a code?
#
# **You will price an image in nats, find the loneliest place between two digits, and decide with a number and its
# error whether a decoder may be called a generator.**
#
# *Laptop: 15 seconds. You need: chapter 2. Three exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that it must do; replace the line
# `raise NotImplementedError()` by a few of your own. The cell below it checks your answer and tells you what it
# found. Some more checks run when your work is graded: they ask for nothing that the docstring does not say. You may
# add cells anywhere; what stands in the check cells is put back before grading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import torch

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure.judge import DigitJudge
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.prob import categorical_log_prob
from course_lib.train import fit

generator = make_generator(0)
x, y = load_digits("train")  # x (1000, 1, 8, 8): ink levels 0 to 16
x_test, y_test = load_digits("test")

# %% [markdown]
# ## 1 The price of an image, with one number a pixel
#
# The chapter's decoder says 17 numbers for each pixel, one a level. That is generous. A cheaper decoder says *one*:
# think of the pixel as 16 little dots, each inked with probability $p = \sigma(\ell)$, independently. Then the level
# $v$ is the number of inked dots, and its distribution is a binomial:
#
# $$ p(v) = \binom{16}{v}\, p^v (1-p)^{16-v}, \qquad
#    \binom{16}{v} = \frac{16!}{v!\,(16-v)!}, \qquad n! = e^{\mathrm{lgamma}(n+1)} $$
#
# What does an image cost under such a decoder? Two things to know: `torch.lgamma` is the logarithm of a factorial,
# and $\log \sigma(\ell)$ is `torch.nn.functional.logsigmoid(l)`, which stays finite where `torch.sigmoid(l).log()`
# says $-\infty$. Which logit has $1 - p$ where $\ell$ has $p$?


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def binomial_nll(logits, x):
    """What images cost when each pixel is Binomial(16, sigmoid(logit)).

    logits (B, C, H, W) float, any size, 1000 too; x (B, C, H, W) long, levels 0 to 16
    -> (B,) nats: −log p of each image, the sum over its pixels, binomial coefficient included.
    """
    ### BEGIN SOLUTION
    n, v = torch.tensor(16.0), x.to(logits.dtype)
    log_coefficient = (
        torch.lgamma(n + 1) - torch.lgamma(v + 1) - torch.lgamma(n - v + 1)
    )
    log_p = torch.nn.functional.logsigmoid(logits)
    log_not_p = torch.nn.functional.logsigmoid(-logits)
    log_prob = log_coefficient + v * log_p + (16 - v) * log_not_p  # (B, C, H, W)
    return -log_prob.flatten(1).sum(1)
    ### END SOLUTION


# %% [markdown]
# One pixel first, half inked, at $p = 1/2$: 12870 of the 65536 ways to ink 16 dots ink 8 of them. Then all 17 levels:
# they are everything that can happen, so their probabilities sum to 1.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

half_inked = binomial_nll(torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 8))
wanted = torch.tensor([1.62770])
assert_close(half_inked, wanted, name="−log(12870 / 65536), level 8 at p = 1/2")
levels = torch.arange(17).view(17, 1, 1, 1)  # 17 images of a single pixel
for logit in (0.0, 1.5, -4.0):
    nll = binomial_nll(torch.full((17, 1, 1, 1), logit), levels)
    assert_shape(nll, (17,), name="binomial_nll of 17 images")
    name = f"the 17 probabilities at logit {logit}, summed"
    assert_close((-nll).exp().sum(), 1.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: whole images, and logits of any size. Try some yourself first.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
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
# Your function draws these: the distribution of one pixel at three logits.

# %% nbgrader={"grade": false, "grade_id": "exercise1_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
fig, axes = plt.subplots(1, 3, figsize=(8, 2), sharey=True, layout="constrained")
for ax, logit in zip(axes, (-2.0, 0.0, 3.0), strict=True):
    ax.bar(range(17), (-binomial_nll(torch.full((17, 1, 1, 1), logit), levels)).exp())
    ax.set(title=f"logit {logit:g}", xlabel="level")
    axes[0].set_ylabel("probability")
# %% [markdown]
# Each is one narrow hill. So what can such a decoder *not* say? "Paper or full ink, I am not sure which." To see what
# that is worth, train two autoencoders of the same size: A's decoder says 17 numbers a pixel, B's says one. Nats are
# nats, so their prices compare.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
config = AutoencoderConfig(latent=8, features=64, depth=1)
knobs = dict(steps=800, batch_size=100, lr=1e-3, generator=generator)
model = Autoencoder(config, generator=generator)
history = fit(model, x, loss=lambda m, x: -categorical_log_prob(m(x), x), **knobs)
model.cpu()  # fit trains on the fastest device; the rest is small
history

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
model_b = Autoencoder(config, generator=generator)
# of 17 numbers it uses the first
fit(model_b, x, loss=lambda model, x: binomial_nll(model(x)[..., 0], x), **knobs)
model_b.cpu()
with torch.no_grad():
    cost_a = -categorical_log_prob(model(x_test), x_test).mean()
    cost_b = binomial_nll(model_b(x_test)[..., 0], x_test).mean()
print(f"held-out digits, nats an image: A {cost_a:.0f}, B {cost_b:.0f}", end=" ")
print(f"(17 equal levels: {64 * 2.833:.0f})")
assert cost_a < cost_b, "the freedom to be unsure is worth something"

# %% [markdown]
# Sixteen more numbers a pixel buy about twenty nats an image. From here on we use A. The image of a code is the
# decoder's most likely level in each pixel, and the chapter's judge says which digit that is, or −1 for *none*.

# %% nbgrader={"grade": false, "grade_id": "judge", "locked": true, "schema_version": 3, "solution": false, "task": false}
judge = DigitJudge((x, y), load_digits("valid"), generator=generator)


@torch.no_grad()
def decode(z):
    """z (B, Z) -> images (B, 1, 8, 8)."""
    return model.decoder(z).argmax(-1)


def is_digit(images):
    """images (B, 1, 8, 8) -> (B,) bool."""
    return judge.label(images) >= 0


with torch.no_grad():
    codes, codes_test = model.encoder(x), model.encoder(x_test)
refused = (~is_digit(x_test)).float().mean()
print(f"the judge refuses {refused:.1%} of the real held-out digits")

# %% [markdown]
# ## 2 The loneliest point between two digits
#
# The lecture's claim: *a vector that was not seen in training gives no valid output.* "Not seen" can be measured: how
# far is the nearest code that training did see? Walk in a straight line from one digit's code to another's,
#
# $$ z(t) = (1 - t)\, z_\text{start} + t\, z_\text{end}, \qquad 0 \le t \le 1, $$
#
# and find where you are most alone. `torch.cdist(a, b)` gives all distances between the rows of `a` and those of `b`.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loneliest_point(z_start, z_end, codes, steps):
    """The point of a straight path whose nearest code is farthest away.

    z_start, z_end (Z,); codes (N, Z). The path has `steps` points at equal distances, both ends included.
    -> (t, distance), two floats: t in 0 … 1, where 0 is z_start; distance (Euclidean) to that point's nearest code.
    """
    ### BEGIN SOLUTION
    t = torch.linspace(0, 1, steps)
    path = torch.lerp(z_start, z_end, t[:, None])  # (steps, Z)
    nearest = torch.cdist(path, codes).min(1).values  # (steps,)
    i = nearest.argmax()
    return t[i].item(), nearest[i].item()
    ### END SOLUTION


# %% [markdown]
# A street with houses at 0, 1 and 5: whoever walks from 0 to 5 is loneliest at 3, two from the nearest house.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

street = torch.tensor([[0.0], [1.0], [5.0]])
t, distance = loneliest_point(torch.tensor([0.0]), torch.tensor([5.0]), street, steps=6)
assert_close(t, 0.6, name="t, a share of the path")
assert_close(distance, 2.0, name="distance to the nearest house")
start, end = torch.tensor([0.0]), torch.tensor([9.0])
t, distance = loneliest_point(start, end, street, steps=10)
assert_close(t, 1.0, name="t on a path that ends out of town, both ends included")
name = "distance to the nearest house, at the end of that path"
assert_close(distance, 4.0, name=name)

# %% [markdown]
# Graded later, worth 2 points: more dimensions, other paths.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
square = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0]])
t, distance = loneliest_point(
    torch.tensor([0.0, 0.0]), torch.tensor([6.0, 8.0]), square, steps=11
)
assert_close(t, 1.0, name="t from a corner to the free corner of a rectangle")
assert_close(distance, 6.0, name="distance from the free corner of a 6×8 rectangle")
t, distance = loneliest_point(
    torch.tensor([6.0, 0.0]), torch.tensor([0.0, 8.0]), square[1:], steps=5
)
assert_close(t, 0.5, name="t half-way along a diagonal")
assert_close(distance, 5.0, name="distance half-way along a diagonal of 10")
t, distance = loneliest_point(
    torch.tensor([9.0, 0.0]), torch.tensor([6.0, 0.0]), square, steps=4
)
assert_close(t, 0.0, name="t on a path that starts far out and comes home")
assert_close(
    distance, 3.0, name="distance on a path that starts far out and comes home"
)
cloud = torch.randn(500, 8, generator=torch.Generator().manual_seed(3))
start, end = 3 * cloud[0], -3 * cloud[1]
points = [((1 - k / 20) * start + k / 20 * end) for k in range(21)]
alone = [min((point - code).norm().item() for code in cloud) for point in points]
t, distance = loneliest_point(start, end, cloud, steps=21)
assert_close(distance, max(alone), name="distance in 8 dimensions")
assert_close(t, alone.index(max(alone)) / 20, name="t in 8 dimensions")
### END HIDDEN TESTS

# %% [markdown]
# Now on a real path, from a held-out 4 to a held-out 9. Each image says what the judge takes it for.

# %% nbgrader={"grade": false, "grade_id": "exercise2_picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
start, end = codes_test[y_test == 4][0], codes_test[y_test == 9][0]
t_alone, distance = loneliest_point(start, end, codes, steps=11)
path = torch.lerp(start, end, torch.linspace(0, 1, 11)[:, None])
images = decode(path).cpu()
fig, axes = plt.subplots(1, 11, figsize=(10, 1.5), layout="constrained")
for i, (ax, label) in enumerate(zip(axes, judge.label(images).tolist(), strict=True)):
    ax.imshow(images[i, 0], cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[], title="none" if label < 0 else label)
    if abs(i / 10 - t_alone) < 0.01:
        ax.set_xlabel("loneliest", color="tab:red")
        ax.spines[:].set(color="tab:red", linewidth=3)

# %% [markdown]
# Both ends are fine: training has not seen these two digits, but their codes have neighbours. In the middle the
# decoder answers a question that it was never asked. Copy the cell and try other pairs: where is a *third* digit on
# the way? Do you find a lonely point with a good image on it?

# %% [markdown]
# ## 3 A share, and how far to trust it
#
# One path is an anecdote. Draw many codes and count how many of their images are refused. But a count of $n$ draws is
# itself a draw: were the true share $p$, the share you count would scatter around it with the **standard error**
#
# $$ \text{standard error} = \sqrt{\frac{p\,(1-p)}{n}}, $$
#
# where we put the counted share for $p$. A share without its error cannot be compared with anything.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rejected_share(decode, is_digit, z):
    """The share of codes whose image is refused, and its standard error.

    decode: codes (n, Z) -> images; is_digit: images -> (n,) bool, False where refused; z (n, Z).
    -> (share, standard_error), two floats in 0 … 1.
    """
    ### BEGIN SOLUTION
    refused = ~is_digit(decode(z))  # (n,)
    share = refused.float().mean().item()
    return share, (share * (1 - share) / len(z)) ** 0.5
    ### END SOLUTION


# %% [markdown]
# A toy first: a decoder that changes nothing, and a judge who accepts what is positive.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

toy_codes = torch.tensor([[-1.0], [2.0], [3.0], [4.0]])
share, error = rejected_share(lambda z: z, lambda images: images[:, 0] > 0, toy_codes)
assert_close(share, 0.25, name="the share refused: one code of four")
assert_close(error, 0.216506, name="its standard error: the root of 0.25 · 0.75 / 4")

# %% [markdown]
# Graded later, worth 2 points: more draws, and judges who accept everything or nothing.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
many = torch.linspace(0, 1, 1000)[:, None]
share, error = rejected_share(lambda z: z**2, lambda images: images[:, 0] > 0.04, many)
assert_close(
    share,
    0.2,
    name="the share refused where the image is z² and the judge wants more than 0.04",
)
assert_close(error, 0.0126491, tolerance=1e-6, name="its standard error, 1000 draws")
for accepts, right in ((True, 0.0), (False, 1.0)):
    share, error = rejected_share(
        lambda z: z, lambda images, a=accepts: torch.full((len(images),), a), many
    )
    assert_close(
        share, right, name=f"the share refused by a judge who always says {accepts}"
    )
    assert_close(
        error, 0.0, tolerance=1e-9, name="the standard error when all draws agree"
    )
### END HIDDEN TESTS

# %% [markdown]
# And now the question of the chapter. Three kinds of codes, 447 of each: those of held-out digits; points half-way
# between two of them, drawn at random; and draws from the smallest box around the training codes.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
low, high = codes.min(0).values, codes.max(0).values
u = torch.rand(len(codes_test), codes.shape[1], generator=generator)
partner = codes_test[torch.randperm(len(codes_test), generator=generator)]
kinds = {
    "held-out": codes_test,
    "half-way": (codes_test + partner) / 2,
    "box": low + (high - low) * u,
}
shares = {kind: rejected_share(decode, is_digit, z) for kind, z in kinds.items()}
for kind, (share, error) in shares.items():
    print(f"{kind:9} refused {share:6.1%} ± {error:.1%}")

# %% [markdown]
# Do they differ by more than luck? The errors of two independent shares add as squares, and a difference beyond three
# of their standard errors comes by luck about once in 400.

# %% nbgrader={"grade": false, "grade_id": "exercise3_answer", "locked": true, "schema_version": 3, "solution": false, "task": false}
share_seen, error_seen = shares["held-out"]
sigmas = {}
for kind, (share, error) in shares.items():
    sigmas[kind] = (share - share_seen) / (error**2 + error_seen**2) ** 0.5
print("more than held-out digits, in standard errors:", end=" ")
print(f"half-way by {sigmas['half-way']:.1f}, box by {sigmas['box']:.1f}")
assert sigmas["box"] > 3, "the box's codes are refused more often than digits' codes"

# %% [markdown]
# ## What you saw
#
# - A loss in nats has an owner: a distribution. Change the distribution and the price changes, comparably.
# - "Not seen in training" is a distance, and images spoil where it grows. Not all of them: the lecture's "no valid
#   output" is too strong, for most points half-way still make *some* digit.
# - The box's share is large *and* far from luck. Nobody ever said how codes are distributed, so there is nothing right
#   to draw from. Chapter 7 says it.
