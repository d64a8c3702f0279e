# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assignment 9, second page: what practice and praise lead to
#
# **You will compute, without training anything, where scheduled sampling comes to rest, how noisy REINFORCE is, where
# a reward on a leash ends, and what you get if you simply write several texts and keep the best.**
#
# *Laptop: 10 seconds. You need: the [second page of chapter 9](../chapters/09_practice.ipynb), and no Chinese. Five
# exercises, 3 points each.*
#
# Each exercise is one function. Its docstring says everything that the function must do. Replace the line `raise
# NotImplementedError()` by a few lines of your own. The cell below checks your answer and tells you what it found. A
# few more checks run when your work is graded; they test nothing that the docstring does not say. You may add cells
# anywhere. The check cells are restored before grading. No exercise needs the answer to another one. To begin with a
# later one, run the cell below, then go to its heading.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_lib.device import make_generator
from course_lib.train.scheduled import scheduled_sampling

# an old rhyme: the malt lay in the house, the rat ate the malt, the cat killed the rat …
nouns = "house malt rat cat dog cow maiden man priest cock farmer".split()  # noqa: SIM905
verbs = "lay in,ate,killed,worried,tossed,milked,kissed,married,woke,kept".split(",")  # noqa: SIM905
often_noun = torch.arange(11.0, 0, -1).double()  # the house is in 11 verses
often_verb = torch.arange(10.0, 0, -1).double()
who, did, whom = torch.cartesian_prod(
    torch.arange(11), torch.arange(10), torch.arange(11)
).T
log_q0 = (often_noun[who] * often_verb[did] * often_noun[whom]).log().log_softmax(0)
# one point if this subject does that, one if that is done to this object
points = (who == did + 1).double() + (whom == did).double()


def sentence(i):
    """Sentence number i in words."""
    return f"the {nouns[who[i]]} {verbs[did[i]]} the {nouns[whom[i]]}"


q0 = log_q0.exp()
print(f"{len(q0):,} sentences; the likeliest: {sentence(q0.argmax())}")
print(f"{(points == 2).sum()} with 2 points, such as: {sentence(points.argmax())}")
for value in (0, 1, 2):
    print(
        f"the model writes one of {value} points with {q0[points == value].sum():.1%}"
    )

# %% [markdown]
# The last three exercises judge a model that writes 1,210 sentences about the house that Jack built. It knows how
# often each word comes, and has no idea who ate whom. A sentence gets one point if this subject does that, and one if
# that is done to this object. With so few sentences every expectation is a sum, and nothing has to be drawn.

# %% [markdown]
# ## 1 A schedule that keeps a budget
#
# The chapter draws three schedules. A fair comparison needs the same number of the model's own characters in all of
# them: the same *mean* of $\varepsilon_i$, the probability that an input in step $i$ of the training is the true
# character. A line from 1 down to 0.5 has a mean of 0.75. Which inverse sigmoid has it, too? As Bengio et al. (2015)
# write it, it has only one number to choose, $k$:
#
# $$ \varepsilon_i = \frac{k}{k + e^{i / k}} = \sigma \Bigl( \log k - \frac{i}{k} \Bigr), \qquad i = 0, \dots, n - 1 $$
#
# where $\sigma$ is the sigmoid. The larger $k$ is, the larger is each $\varepsilon_i$. So there is one $k$ for each
# mean, and you can find it by bisection: halve an interval of $\log k$ again and again, and keep the half that holds
# the answer. Mind that $e^{i / k}$ is too large for a computer long before $i$ is large.


# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverse_sigmoid(steps, share):
    """The inverse sigmoid schedule with a given mean.

    steps: a whole number n, 1 to 100,000. share: a number from 0.01 to 0.99.
    -> (schedule, k). schedule (n,) float64: ε_0 to ε_(n−1) of the formula above. k: a float above 0. It may be below 1.
    The mean of the schedule is right to 0.000001, and so is k (where k is above 1, to 0.000001 of k).
    Example: for two steps and k = 1, ε_0 = 1/(1 + 1) = 0.5 and ε_1 = 1/(1 + e) = 0.2689, and the mean is 0.3845. So
    steps = 2 and share = 0.38447 give k = 1 (nearly).
    """
    ### BEGIN SOLUTION
    i = torch.arange(steps).double()
    low, high = -20.0, 20.0  # log k
    for _ in range(100):
        middle = (low + high) / 2
        schedule = (middle - i * math.exp(-middle)).sigmoid()
        if schedule.mean() < share:
            low = middle
        else:
            high = middle
    return schedule, math.exp(middle)
    ### END SOLUTION


# %% [markdown]
# First the example, then a single step, where $k = \text{share} / (1 - \text{share})$, and a longer schedule.

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

share = (0.5 + 1 / (1 + math.e)) / 2
schedule, k = inverse_sigmoid(2, share)
assert_shape(schedule, (2,), name="schedule of two steps")
wanted = torch.tensor([0.5, 1 / (1 + math.e)])
assert_close(schedule, wanted, name="schedule in the example")
assert_close(k, 1.0, name="k in the example")
schedule, k = inverse_sigmoid(1, 0.75)
name = "schedule of a single step, share 0.75 (does i begin at 0?)"
assert_close(schedule, torch.tensor([0.75]), name=name)
assert_close(k, 3.0, name="k for a single step, share 0.75")
schedule, k = inverse_sigmoid(1000, 0.6)
assert_close(schedule.mean(), 0.6, name="mean of 1,000 steps, share 0.6")
name = "schedule of 1,000 steps against the formula with your k"
formula = k / (k + (torch.arange(1000).double() / k).exp())
assert_close(schedule, formula, name=name)

# %% [markdown]
# Graded later, worth 2 points: few steps and many, shares near 0 and near 1.

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
for n in (1, 2, 3, 10, 777, 100_000):
    for share in (0.01, 0.05, 0.3, 0.5, 0.9, 0.99):
        schedule, k = inverse_sigmoid(n, share)
        case = f"{n} steps, share {share}"
        assert_shape(schedule, (n,), name=f"schedule, {case}")
        assert schedule.dtype == torch.float64, (
            f"schedule: expected float64, got {schedule.dtype}; {case}"
        )
        assert isinstance(k, float) and k > 0, (
            f"k: expected a float above 0, got {k!r}; {case}"
        )
        mean = schedule.mean().item()
        assert abs(mean - share) < 2e-6, (
            f"mean of the schedule: expected {share}, got {mean:.8f}; {case}"
        )
        places = [i for i in (0, 1, 2, 5, 9, 300, 776, 30_000, 99_999) if i < n]
        for i in places:
            # k / (k + e^(i/k)), without a number that is too large
            right = 1 / (1 + math.exp(min(i / k, 700.0)) / k)
            assert_close(
                schedule[i],
                torch.tensor(right, dtype=torch.float64),
                tolerance=1e-5,
                name=f"schedule[{i}] against the formula with k = {k:.6g}, {case}",
            )
for n, k in ((4, 0.3), (4, 2.0), (60, 5.0), (60, 0.5), (5000, 400.0), (50_000, 9000.0)):
    share = sum(1 / (1 + math.exp(min(i / k, 700.0)) / k) for i in range(n)) / n
    _, got = inverse_sigmoid(n, share)
    case = f"{n} steps with a mean of {share:.6f}"
    assert_close(
        got, torch.tensor(k, dtype=torch.float64), tolerance=3e-6, name=f"k, {case}"
    )
### END HIDDEN TESTS

# %% [markdown]
# Three schedules of 3,000 steps with the same budget: three quarters of all inputs are true.

# %% nbgrader={"grade": false, "grade_id": "exercise1_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
n, share = 3000, 0.75
i = torch.arange(n).double()
schedules = {
    "linear": 1 - i / (n - 1) / 2,
    "exponential": (1 - 0.6060 / n) ** i,
    "inverse sigmoid": inverse_sigmoid(n, share)[0],
}
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
print("                  mean   first    last   steps below 1/2")
for name, schedule in schedules.items():
    ax.plot(i, schedule, label=name)
    first, last = schedule[0], schedule[-1]
    below = (schedule < 0.4999).double().mean()
    print(f"{name:16}{schedule.mean():7.3f}{first:8.3f}{last:8.3f}{below:12.0%}")
    assert abs(schedule.mean() - share) < 0.001
ax.set(xlabel="step", ylabel="reads the truth", ylim=(0, 1.02))
ax.legend()
assert schedules["inverse sigmoid"][-1] < 0.2 < 0.49 < schedules["linear"][-1]

# %% [markdown]
# The budget is the same, and the ends are not. The line and the exponential come down to about one half. The inverse
# sigmoid spends its truth early: nearly a quarter of its steps read more own characters than true ones, and at the
# end only one input in seven is true. What the training converges to depends on where a schedule *ends*, and the next
# exercise says how.

# %% [markdown]
# ## 2 Where scheduled sampling comes to rest
#
# The chapter computes the optimum for two characters. Now a longer text. Let the truth be a chain: $x_1$ has the
# probabilities $\pi$, and $x_{t+1}$ depends on $x_t$ only, by a table $A$. Let the model be as good as any that sees
# one character: one table $q_t(b \mid a)$ for each place, how likely it is that $b$ comes after the input $a$. With
# probability $\varepsilon$ the input at place $t$ is the true $x_t$. Otherwise the model has drawn it itself, from
# its table for place $t$, given its input at place $t - 1$ (at the first place from $\pi$, which it knows exactly).
# The target is always the true next character. No gradient goes through the draws, so for each place training looks
# for
#
# $$ q_t(b \mid a) = P(x_{t+1} = b \mid \text{input}_t = a) $$
#
# The tables before $t$ decide what the inputs at $t$ are, so compute one after the other. Carry along the joint table
# $J_t(a, s) = P(\text{input}_t = a,\; x_t = s)$. It begins with
# $J_1(a, s) = \varepsilon\, \pi_s [a = s] + (1 - \varepsilon)\, \pi_a \pi_s$, where $[a = s]$ is 1 if $a = s$, and 0
# otherwise. One step of the chain turns it into the joint table of the input and the *next* true character, and this
# into $q_t$. How do you get $J_{t+1}$? An own character is drawn from $q_t$ given the input, and knows nothing of the
# true one. But the input may have been true, and then the two are not independent.


# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def resting_tables(first, chain, truth, T):
    """The tables to which scheduled sampling on texts of T characters brings a model that sees one character.

    first (V,) float64: the π of the text above, probabilities of the first true character. chain (V, V) float64: [a, b]
    is the probability that the true character after a is b, at all places alike. All of them are at least 0.001, and
    each distribution sums to 1. truth: ε, a number from 0 to 1, 0 and 1 included. T ≥ 2.
    -> q (T − 1, V, V) float64, right to 0.000001: q[t, a, b] is the probability that the true character at place t + 1
    is b, given that the input at place t is a. Here the places are 0 to T − 1, so q[0] is the q_1 of the text above.
    Inputs come about as described there. The arguments stay as they were.
    Example: V = 2, first = (1/2, 1/2), a character is repeated with probability 0.9, and truth = 1/2. An input at place
    0 is true or a coin, so q[0] repeats with 1/2 · 0.9 + 1/2 · 1/2 = 0.7. Given the input at place 0, the true
    character at place 1 repeats it with 0.7, and so does the model's own one, independently: they agree with 0.7² +
    0.3² = 0.58. So the input at place 1 is the true character with 1/2 + 1/2 · 0.58 = 0.79, and q[1] repeats with 0.79
    · 0.9 + 0.21 · 0.1 = 0.732.
    """
    ### BEGIN SOLUTION
    here = first  # P(x_t)
    joint = truth * first.diag() + (1 - truth) * first[:, None] * first
    tables = []
    for _ in range(T - 1):
        after = joint @ chain  # [a, b]: the input is a, the next true one b
        tables.append(after / after.sum(1, keepdim=True))
        here = here @ chain
        joint = truth * here.diag() + (1 - truth) * tables[-1].T @ after
    return torch.stack(tables)
    ### END SOLUTION


# %% [markdown]
# First the example. Then the two ends: with true inputs only, the model learns the chain. With its own only, it
# learns how often each character comes at each place, and ignores what it has written.

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

coin, sticky = torch.full((2,), 0.5).double(), torch.tensor([[0.9, 0.1], [0.1, 0.9]])
q = resting_tables(coin, sticky.double(), 0.5, 3)
assert_shape(q, (2, 2, 2), name="q for three characters out of two")
name = "q[0] in the example (what the chapter derives)"
assert_close(q[0], torch.tensor([[0.7, 0.3], [0.3, 0.7]]), name=name)
name = "q[1] in the example (own characters are drawn given the input before)"
assert_close(q[1], torch.tensor([[0.732, 0.268], [0.268, 0.732]]), name=name)
one, other = torch.tensor([0.2, 0.8]).double(), torch.tensor([[0.5, 0.5], [0.3, 0.7]])
q = resting_tables(one, other.double(), 1.0, 4)
name = "q with true inputs only: the chain"
assert_close(q, other.expand(3, 2, 2), name=name)
q = resting_tables(one, other.double(), 0.0, 3)
name = "q with own inputs only: P(x) at places 1 and 2, whatever the input"
alone = torch.tensor([[0.34, 0.66], [0.368, 0.632]])
assert_close(q, alone[:, None].expand(2, 2, 2), name=name)

# %% [markdown]
# Graded later, worth 2 points: other chains, whose truth, coins and draws are written out one by one.

# %% nbgrader={"grade": true, "grade_id": "exercise2_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(2)


def written_out(pi, A, eps, T):
    """All true texts with all inputs, and their probabilities, character by character."""
    size, known, found = len(pi), {}, []
    for x in range(size):
        for c in range(size):
            known[(x,), (c,)] = pi[x] * (eps * (c == x) + (1 - eps) * pi[c])
    for _ in range(T - 1):
        table = [[0.0] * size for _ in range(size)]
        for (xs, cs), p in known.items():
            for y in range(size):
                table[cs[-1]][y] += p * A[xs[-1]][y]
        table = [[v / sum(row) for v in row] for row in table]
        found.append(table)
        known = {
            ((*xs, y), (*cs, c)): p
            * A[xs[-1]][y]
            * (eps * (c == y) + (1 - eps) * table[cs[-1]][c])
            for (xs, cs), p in known.items()
            for y in range(size)
            for c in range(size)
        }
    return torch.tensor(found, dtype=torch.float64)


for size, T, eps in (
    (1, 3, 0.5),
    (2, 2, 0.3),
    (2, 5, 0.0),
    (2, 6, 0.6),
    (3, 4, 0.9),
    (3, 3, 0.0),
    (3, 4, 0.2),
    (3, 3, 1.0),
    (4, 3, 0.5),
):
    pi = (1.5 * torch.randn(size, generator=chance).double()).softmax(0)
    A = (1.5 * torch.randn(size, size, generator=chance).double()).softmax(1)
    pi, A = (0.98 * pi + 0.02 / size), (0.98 * A + 0.02 / size)
    kept = pi.clone(), A.clone()
    got = resting_tables(pi, A, eps, T)
    case = f"{size} characters, {T} places, truth {eps}"
    assert pi.equal(kept[0]) and A.equal(kept[1]), (
        f"the arguments must stay as they were, and have changed; {case}"
    )
    assert_shape(got, (T - 1, size, size), name=f"q, {case}")
    assert got.dtype == torch.float64, f"q: expected float64, got {got.dtype}; {case}"
    right = written_out(pi.tolist(), A.tolist(), eps, T)
    name = f"q against all texts and inputs one by one, {case}"
    assert_close(got, right, tolerance=1e-6, name=name)
# rare characters
pi = torch.tensor([0.001, 0.999], dtype=torch.float64)
A = torch.tensor([[0.001, 0.999], [0.999, 0.001]], dtype=torch.float64)
for eps in (0.5, 1.0):
    right = written_out(pi.tolist(), A.tolist(), eps, 4)
    name = f"q where the rarer character has 0.001, truth {eps}"
    assert_close(resting_tables(pi, A, eps, 4), right, tolerance=1e-6, name=name)
# a chain that settles down slowly
A = torch.tensor([[0.999, 0.001], [0.001, 0.999]], dtype=torch.float64)
got = resting_tables(pi, A, 0.0, 60)
name = "q at place 58 with own inputs only, where the chain repeats with 0.999: P(x)"
far = pi @ torch.linalg.matrix_power(A, 59)
assert_close(got[-1], far.expand(2, 2), tolerance=1e-6, name=name)
# long: q settles down, and its rows still sum to 1
A = (torch.randn(6, 6, generator=chance).double()).softmax(1)
pi = torch.full((6,), 1 / 6).double()
got = resting_tables(pi, A, 0.7, 300)
name = "rows of q, 300 places, summed"
assert_close(got.sum(2), torch.ones(299, 6), tolerance=1e-6, name=name)
name = "q at the last places, 300 places"
assert_close(got[-1], got[-2], tolerance=1e-6, name=name)
far = torch.linalg.matrix_power(A, 300)[0]
got = resting_tables(pi, A, 0.0, 300)
name = "q at the last place with own inputs only, 300 places: P(x)"
assert_close(got[-1], far.expand(6, 6), tolerance=1e-6, name=name)
### END HIDDEN TESTS

# %% [markdown]
# Does training really come to rest there? We train tables with the library's `scheduled_sampling` on texts of five
# characters. Then we compute the price. For texts of 20 characters, how far from the truth is a model that has come
# to rest, $\mathrm{KL}(p \,\|\, q)$ in nats a text?


# %% nbgrader={"grade": false, "grade_id": "exercise2_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Tables(nn.Module):
    """Logits for each place and each input; input V is the start."""

    def __init__(self, V, T):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(T, V + 1, V))

    def begin(self, n):
        return n, 0

    def step(self, previous, state):
        n, t = state
        rows = (
            torch.full((n,), len(self.logits[0]) - 1) if previous is None else previous
        )
        return self.logits[t, rows], (n, t + 1)

    def forward(self, x):
        start = torch.full_like(x[:, :1], len(self.logits[0]) - 1)
        rows = torch.cat([start, x[:, :-1]], 1)
        return self.logits[torch.arange(x.shape[1]), rows]


def draw_texts(first, chain, n, T, generator):
    """(n, T) long, true texts."""
    x = [first.multinomial(n, replacement=True, generator=generator)]
    while len(x) < T:
        x.append(chain[x[-1]].multinomial(1, generator=generator)[:, 0])
    return torch.stack(x, 1)


def price(first, chain, q):
    """KL(p ‖ q) in nats a text."""
    p, total = first, 0.0
    for table in q:
        total += (p[:, None] * chain * (chain / table).log()).sum().item()
        p = p @ chain
    return total


first, chain = torch.full((3,), 1 / 3).double(), torch.full((3, 3), 0.1).double()
chain += 0.7 * torch.eye(3).double()  # a character is repeated with 0.8
generator, truth = make_generator(0), 0.5
tables = Tables(3, 5)
optimiser = torch.optim.Adam(tables.parameters(), lr=0.05)
for i in range(300):
    optimiser.param_groups[0]["lr"] = 0.05 * (1 - i / 300)
    texts = draw_texts(first, chain, 500, 5, generator)
    loss = scheduled_sampling(tables, texts, truth=truth, generator=generator).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
trained = tables.logits.detach().softmax(2)[1:, :3].double()
computed = resting_tables(first, chain, truth, 5)
print("repeats its input      " + "".join(f"  place {t}" for t in range(1, 5)))
for name, table in (("trained", trained), ("computed", computed)):
    repeats = table.diagonal(dim1=1, dim2=2).mean(1)
    print(f"{name:23}" + "".join(f"{p:9.3f}" for p in repeats))
print(f"{'the truth':23}" + 4 * f"{0.8:9.3f}")
assert (trained - computed).abs().max() < 0.03, "training comes to rest there"

truths = [j / 40 for j in range(41)]
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
prices = {}
for stay, style in ((0.5, ":"), (0.8, "-"), (0.95, "--")):
    chain = torch.full((3, 3), (1 - stay) / 2).double()
    chain += (stay - (1 - stay) / 2) * torch.eye(3).double()
    prices[stay] = [
        price(first, chain, resting_tables(first, chain, eps, 20)) for eps in truths
    ]
    ax.plot(truths, prices[stay], style, label=f"{stay:.0%}")
    at = [prices[stay][truths.index(eps)] for eps in (1, 0.9, 0.75, 0.5, 0)]
    print(f"repeats with {stay:4.0%}: " + "".join(f"{nats:8.2f}" for nats in at))
print("truth read        " + "".join(f"{eps:8.2f}" for eps in (1, 0.9, 0.75, 0.5, 0)))
ax.set(xlabel="share of true inputs", ylabel="KL(p ‖ q), nats a text")
ax.legend(title="repeats with")
assert prices[0.95][truths.index(0.9)] < prices[0.95][truths.index(0.5)] / 10

# %% [markdown]
# After 300 steps the trained tables are where you computed them, up to the noise of training. The model should repeat
# its input with 0.8. With every second input its own, it repeats it with 0.57 at place 1. That is the chapter's
# formula for two characters. Later places are a little better, because an own character is drawn given an input that
# may be true, so it agrees with the truth more often than by chance. But they never come back to 0.8.
#
# The price begins small, and grows a little faster than the square of the share of own inputs: with one in ten, it is
# 0.04 or 0.05 nats a text for the two chains that like to repeat, with one in two 1.7 and 2.5, with nothing but its own
# 8.7 and 16.4. The chain that repeats with 50 per cent pays less, for it has less to lose. So it matters little for the
# likelihood that a schedule reads a tenth of own characters, and very much that it *ends* there. A network that
# remembers more than one character can sometimes see from the earlier ones that an input is not the true one. This
# table cannot.

# %% [markdown]
# ## 3 How noisy is the estimate, and which baseline is the best?
#
# A model writes one of $N$ texts, text $i$ with probability $q_i = \mathrm{softmax}(\theta)_i$, and gets the reward
# $R_i$. REINFORCE estimates the gradient of the mean reward in $\theta$ from one draw:
#
# $$ g_i = (R_i - b)\, \nabla_\theta \log q_i, \qquad \nabla_\theta \log q_i = e_i - q $$
#
# where $g_i$ is the estimate if text $i$ was drawn, a vector of $N$ numbers. $b$ is the baseline, $e_i$ has a 1 at
# place $i$ and zeros elsewhere, and $q$ is the vector of all probabilities. The mean of the estimate does not depend
# on $b$, but its noise does, the mean squared distance from this mean:
#
# $$ \text{noise}(b) = \sum_i q_i\, \bigl\| g_i - \bar g \bigr\|^2, \qquad \bar g = \sum_i q_i\, g_i $$
#
# As a function of $b$, the noise is a parabola. Which $b$ makes it least? It is not the mean reward. Set the derivative
# to 0, and remember that $\bar g$ does not move. And compute the noise from the differences $g_i - \bar g$, as it
# stands here: the shortcut $\sum_i q_i \| g_i \|^2 - \| \bar g \|^2$ is rounded, and may come out below 0.


# %% nbgrader={"grade": false, "grade_id": "exercise3_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_noise(theta, reward, baseline):
    """The mean of REINFORCE's estimate from one draw, its noise, and the baseline that makes the noise least.

    theta (N,) float64, N from 2 to 500, numbers from −20 to 20: text i is written with probability softmax(theta)_i.
    reward (N,) float64, numbers from −10 to 10; baseline, a number from −10 to 10.
    -> (gradient, noise, best). gradient (N,) float64: the gradient of the mean reward in theta. noise (), float64: the
    noise of the formula above for this baseline; never negative. best (), float64: the baseline with the least noise.
    All three are tensors, also the single numbers. gradient and noise are right to nine digits, and best to six. None
    requires a gradient, even if theta does, and the arguments stay as they were.
    Example: theta = (0, 0), reward = (1, 0), baseline 0. The two estimates are (1/2, −1/2) and (0, 0). So gradient is
    (1/4, −1/4), each estimate is at a squared distance of 1/8 from it, and noise is 1/8. With the baseline 1/2 both
    estimates are (1/4, −1/4), and there is no noise at all: best is 1/2.
    """
    ### BEGIN SOLUTION
    q = theta.detach().softmax(0)
    scores = torch.eye(len(q)).double() - q  # [i]: ∇ log q_i
    estimates = (reward - baseline)[:, None] * scores
    gradient = q @ estimates
    noise = q @ (estimates - gradient).square().sum(1)
    weight = q * scores.square().sum(1)
    return gradient, noise, weight @ reward / weight.sum()
    ### END SOLUTION


# %% [markdown]
# First the example, with both baselines. Then three texts, where the best baseline is not the mean reward, which is
# 0.5.

# %% nbgrader={"grade": true, "grade_id": "exercise3_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

theta, reward = torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double()
gradient, noise, best = gradient_noise(theta, reward, 0.0)
assert_shape(gradient, (2,), name="gradient of two texts")
assert_close(gradient, torch.tensor([0.25, -0.25]), name="gradient in the example")
assert_shape(noise, (), name="noise, one number")
assert_close(noise, 0.125, name="noise in the example, baseline 0")
assert_close(best, 0.5, name="best baseline in the example")
_, noise, _ = gradient_noise(theta, reward, 0.5)
assert_close(noise, 0.0, name="noise in the example, baseline 1/2")
theta = torch.tensor([0.5, 0.25, 0.25]).double().log()
reward = torch.tensor([1.0, 0.0, 0.0]).double()
gradient, noise, best = gradient_noise(theta, reward, 0.5)
name = "gradient of three texts: q (R − mean R), whatever the baseline"
assert_close(gradient, torch.tensor([0.25, -0.125, -0.125]), name=name)
assert_close(noise, 0.0625, name="noise of three texts, baseline 0.5")
name = "best baseline of three texts (a mean that is weighted by ‖∇ log q‖²)"
assert_close(best, 0.3, name=name)

# %% [markdown]
# Graded later, worth 2 points: more texts, unlikely ones, equal rewards, and the noise at many baselines.

# %% nbgrader={"grade": true, "grade_id": "exercise3_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(3)
for N, spread, size, b, leaf in (
    (2, 1, 1, 0.3, False),
    (3, 1, 10, -10.0, True),
    (7, 3, 1, 0.0, True),
    (40, 1, 3, 2.5, False),
    (9, 8, 5, 10.0, True),
    (500, 2, 1, -0.5, False),
):
    theta = (spread * torch.randn(N, generator=chance).double()).clamp(-20, 20)
    worth = size * (2 * torch.rand(N, generator=chance).double() - 1)
    kept = theta.clone(), worth.clone()
    theta.requires_grad_(leaf)
    gradient, noise, best = gradient_noise(theta, worth, b)
    case = f"{N} texts, theta of 0 ± {spread}, baseline {b}"
    assert theta.equal(kept[0]) and worth.equal(kept[1]) and theta.grad is None, (
        f"the arguments must stay as they were, and have changed (or theta got a .grad); {case}"
    )
    twin = kept[0].clone().requires_grad_()
    (right,) = torch.autograd.grad((twin.softmax(0) * worth).sum(), twin)
    p = kept[0].softmax(0).tolist()
    square = [
        sum(((j == i) - p[j]) ** 2 for j in range(N)) for i in range(N)
    ]  # ‖∇ log q‖²
    gains = worth.tolist()
    middle = sum(v**2 for v in right.tolist())
    noises = [
        sum(a * (r - at) ** 2 * s for a, r, s in zip(p, gains, square, strict=True))
        - middle
        for at in (b, -1.0, 0.0, 1.0)
    ]
    curve = (noises[1] + noises[3]) / 2 - noises[2]  # a parabola through three points
    lowest = (noises[1] - noises[3]) / (4 * curve)
    for what, got, wanted, shape in (
        ("gradient", gradient, right, (N,)),
        ("noise", noise, torch.tensor(noises[0], dtype=torch.float64), ()),
        ("best", best, torch.tensor(lowest, dtype=torch.float64), ()),
    ):
        assert_shape(got, shape, name=f"{what}, {case}")
        assert got.dtype == torch.float64, (
            f"{what}: expected float64, got {got.dtype}; {case}"
        )
        assert not got.requires_grad, (
            f"{what}: expected plain numbers, got a tensor that requires a gradient; {case}"
        )
        digits = 1e-6 if what == "best" else 1e-9
        assert_close(got, wanted, tolerance=digits, name=f"{what}, {case}")
for _ in range(20):
    theta = torch.randn(2, generator=chance).double()
    worth = 20 * torch.rand(2, generator=chance).double() - 10
    _, _, best = gradient_noise(theta, worth, 0.0)
    _, noise, _ = gradient_noise(theta, worth, best.item())
    name = f"noise of two texts at the best baseline, rewards {worth[0]:.2f} and {worth[1]:.2f}"
    assert_close(noise, 0.0, tolerance=1e-9, name=name)
    assert noise >= 0, f"{name}: expected 0 or more, got {noise:.3g}"
alike = torch.full((5,), 7.0).double()
gradient, noise, best = gradient_noise(torch.arange(5).double(), alike, 7.0)
assert_close(gradient, torch.zeros(5), name="gradient where all rewards are 7")
assert_close(noise, 0.0, name="noise where all rewards and the baseline are 7")
assert_close(best, 7.0, tolerance=1e-6, name="best baseline where all rewards are 7")
for gap in (30.0, 40.0):
    sure = torch.tensor([20.0, 20.0 - gap, 21.0 - gap], dtype=torch.float64)
    _, _, best = gradient_noise(
        sure, torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64), 0.0
    )
    odds = [math.exp(-gap), math.exp(1 - gap)]
    weights = [sum(odds) ** 2 + odds[0] ** 2 + odds[1] ** 2, 2 * odds[0], 2 * odds[1]]
    right = torch.tensor((weights[1] - weights[2]) / sum(weights), dtype=torch.float64)
    name = f"best baseline where two texts are e^{gap:g} times rarer"
    assert_close(best, right, tolerance=1e-6, name=name)
### END HIDDEN TESTS

# %% [markdown]
# How much is a baseline worth? A model writes 100 texts, and the r-th of them with a probability in proportion to
# $1 / r$. Valid texts have the reward 1, the others 0. We let more and more of them be valid, from the likeliest on. In
# the two rows marked *drawn*, batches of 16 texts are drawn, and the baseline of each text is 0, or the mean reward of
# the 15 others, as in the chapter.

# %% nbgrader={"grade": false, "grade_id": "exercise3_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
theta, generator, B = -torch.arange(1, 101).double().log(), make_generator(2), 16
q = theta.softmax(0)
scores = torch.eye(100).double() - q


def noise_of_batch(reward, others):
    """Noise of the mean of B estimates, from 4,000 batches, times B."""
    i = q.multinomial(4000 * B, replacement=True, generator=generator).view(-1, B)
    worth = reward[i]
    if others:
        worth = worth - (worth.sum(1, keepdim=True) - worth) / (B - 1)
    estimates = (worth[..., None] * scores[i]).mean(1)
    gradient = q * (reward - q @ reward)
    return B * (estimates - gradient).square().sum(1).mean().item()


print("the first … texts are valid     noise of one estimate")
counts, noises, shares = (1, 10, 60, 95), {}, {}
print(f"{'baseline':28}" + "".join(f"{count:9}" for count in counts))
for count in counts:
    reward = (torch.arange(100) < count).double()
    shares[count] = (q @ reward).item()
    best = gradient_noise(theta, reward, 0.0)[2].item()
    for name, b in (("none", 0.0), ("mean reward", shares[count]), ("best", best)):
        noises[name, count] = gradient_noise(theta, reward, b)[1].item()
    noises["none, 16 drawn", count] = noise_of_batch(reward, others=False)
    noises["mean of 15 others, drawn", count] = noise_of_batch(reward, others=True)
for name in dict.fromkeys(name for name, _ in noises):
    print(f"{name:28}" + "".join(f"{noises[name, count]:9.4f}" for count in counts))
gain = {c: noises["none", c] / noises["mean reward", c] for c in counts}
print(
    f"{'the mean reward itself':28}"
    + "".join(f"{shares[count]:9.1%}" for count in counts)
)
print(f"{'none / mean reward':28}" + "".join(f"{gain[count]:9.1f}" for count in counts))
assert gain[1] < 1.3 and gain[60] > 8 and gain[95] > 80
for count in counts:
    others = noises["mean of 15 others, drawn", count] / noises["mean reward", count]
    better = noises["best", count] / noises["mean reward", count]
    assert 0.96 < better <= 1 and others < 1.18

# %% [markdown]
# Where few texts are valid, most rewards are 0 already, and there is little to subtract. Where 90 per cent of what
# the model writes is valid, the noise without a baseline is 9 times as large, and at 99 per cent 90 times. Every text
# then pushes its own probability up, and the pushes cancel only on average. So the baseline is worth most for a model
# that is already good, as the chapter's is: without it you would need nine batches for what one batch says.
#
# The best baseline is not the mean reward. It trusts likely texts less, because $e_i - q$ is short for them. But it
# is better by 3 per cent at most in this table. The mean of the 15 others is a noisy baseline, and costs up to 14 per
# cent more than the exact mean, here where only one text is valid.

# %% [markdown]
# ## 4 A leash of a given length
#
# The chapter shows which $q$ makes $\mathbb{E}_q[R] - \beta\, \mathrm{KL}(q \,\|\, q_0)$ as large as possible:
#
# $$ q_i = \frac{q_{0,i}\, e^{R_i / \beta}}{Z}, \qquad Z = \sum_j q_{0,j}\, e^{R_j / \beta} $$
#
# But what does $\beta = 0.2$ mean? That depends on the scale of the reward. It is easier to say how far the model may
# go, and to prescribe $\mathrm{KL}(q \,\|\, q_0)$, in nats. The KL falls as $\beta$ grows. For large $\beta$ it goes to
# 0. For small $\beta$ all the probability moves to the texts with the highest reward, and the KL goes to minus the
# logarithm of what $q_0$ gives them. So for each length in between there is one $\beta$. Find it by bisection on
# $\log \beta$.
#
# Stay with logarithms: $R_i / \beta$ may be far above 700, where $e^{R_i / \beta}$ is too large. And $\log q_i - \log
# q_{0,i}$ is $R_i / \beta - \log Z$ also where $q_0$ is 0, and $-\infty$ minus $-\infty$ would not be a number.


# %% nbgrader={"grade": false, "grade_id": "exercise4_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def on_a_leash(log_q0, reward, nats):
    """The best distribution whose KL from q0 is a given number of nats, and its β.

    log_q0 (N,) float64, N ≥ 2: the logarithms of q0, from −100 to 0, or −∞ for a text that is never written; their exp
    sums to 1. reward (N,) float64, numbers from −1000 to 1000. Among the texts with q0 > 0, the rewards are not all
    equal, and different ones differ by 0.1 at least. nats: a number from 0.001 up to 99 per cent of the greatest KL
    that any β can reach.
    -> (log_q, beta). log_q (N,) float64: the logarithms of the q of the formula above, −∞ where q0 is 0, for the β at
    which KL(q ‖ q0) = nats; the KL is right to 0.000001. beta: a float above 0, that β, which lies between 0.0001 and
    100,000, right to 0.01 per cent. The arguments stay as they were.
    Example: q0 = (3/4, 1/4), reward = (0, 2). With β = 2/log 9 = 0.9102, e^(2/β) is 9, so q is (3/4, 9/4)/3 = (1/4,
    3/4), and KL = 1/4 log(1/3) + 3/4 log 3 = 0.5493. So nats = 0.5493 gives this q and this β. The greatest KL is
    log 4.
    """
    ### BEGIN SOLUTION
    low, high = -25.0, 25.0  # log β
    for _ in range(100):
        middle = (low + high) / 2
        gain = reward * math.exp(-middle)
        log_z = (log_q0 + gain).logsumexp(0)
        log_q = log_q0 + gain - log_z
        if (log_q.exp() * (gain - log_z)).sum() > nats:
            low = middle
        else:
            high = middle
    return log_q, math.exp(middle)
    ### END SOLUTION


# %% [markdown]
# First the example, then a text that is never written and would be the best, and rewards that are large.

# %% nbgrader={"grade": true, "grade_id": "exercise4_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

start = torch.tensor([0.75, 0.25]).double().log()
length = 0.5 * math.log(3)
log_q, beta = on_a_leash(start, torch.tensor([0.0, 2.0]).double(), length)
assert_shape(log_q, (2,), name="log_q of two texts")
name = "q in the example (more where the reward is higher)"
assert_close(log_q.exp(), torch.tensor([0.25, 0.75]), name=name)
assert_close(beta, 2 / math.log(9), name="beta in the example")
start = torch.tensor([0.75, 0.25, 0.0]).double().log()
log_q, beta = on_a_leash(start, torch.tensor([0.0, 2.0, 5.0]).double(), length)
name = "q with a third text that q0 never writes"
assert_close(log_q.exp(), torch.tensor([0.25, 0.75, 0.0]), name=name)
start = torch.full((3,), 1 / 3).double().log()
reward = torch.tensor([1000.0, 999.0, -1000.0]).double()
log_q, beta = on_a_leash(start, reward, 0.6)
name = "KL(q ‖ q0) with rewards of ±1000, where 0.6 nats are asked for"
assert_close((log_q.exp() * (log_q - start)).sum(), 0.6, tolerance=1e-5, name=name)

# %% [markdown]
# Graded later, worth 2 points: other distributions and rewards, short leashes and long ones.

# %% nbgrader={"grade": true, "grade_id": "exercise4_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(4)
for N, spread, size, never in (
    (2, 1, 1.0, False),
    (5, 1, 1.0, True),
    (8, 6, 0.1, False),
    (30, 2, 100.0, True),
    (200, 1, 1.0, True),
    (40, 15, 10.0, False),
):
    start = (spread * torch.randn(N, generator=chance)).double().clamp(-40, 40)
    if never:
        start[torch.randperm(N, generator=chance)[: N // 3]] = -math.inf
    start = start.log_softmax(0)
    gains = size * torch.randint(-10, 10, (N,), generator=chance).double()
    if never:
        gains[start.isneginf()] += 0.5 * size  # and perhaps the highest
    alive = start > -math.inf
    gains[alive.nonzero()[0]] = -10.0 * size
    gains[alive.nonzero()[-1]] = 9.0 * size  # so they are not all equal
    top = gains == gains[alive].max()
    most = -start[top & alive].logsumexp(0).item()
    for nats in (0.001, 0.1 * most, 0.5 * most, 0.9 * most, 0.99 * most):
        if nats > 0.99 * most or nats < 0.001:
            continue
        kept = start.clone(), gains.clone()
        log_q, beta = on_a_leash(start, gains, nats)
        case = f"{N} texts, rewards that are multiples of {size:g}, {nats:.4g} nats"
        assert start.equal(kept[0]) and gains.equal(kept[1]), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        assert_shape(log_q, (N,), name=f"log_q, {case}")
        assert log_q.dtype == torch.float64, (
            f"log_q: expected float64, got {log_q.dtype}; {case}"
        )
        assert isinstance(beta, float) and beta > 0, (
            f"beta: expected a float above 0, got {beta!r}; {case}"
        )
        assert (log_q == -math.inf).equal(~alive), (
            f"log_q: expected −∞ where q0 is 0, and there only; {case}"
        )
        p, a = log_q[alive].exp(), log_q[alive]
        assert_close(p.sum(), torch.ones(()), tolerance=1e-6, name=f"sum of q, {case}")
        kl = (p * (a - start[alive])).sum().item()
        assert abs(kl - nats) < 2e-6, (
            f"KL(q ‖ q0): expected {nats:.7f}, got {kl:.7f}; {case}"
        )
        tilt = a - start[alive]
        i, j = gains[alive].argmin(), gains[alive].argmax()
        slope = (tilt[j] - tilt[i]) / (gains[alive][j] - gains[alive][i])
        assert_close(
            slope * beta,
            torch.ones(()),
            tolerance=3e-4,
            name=f"beta · the slope of log q − log q0 in the reward, {case}",
        )
        line = tilt[i] + slope * (gains[alive] - gains[alive][i])
        assert_close(
            tilt, line, tolerance=1e-5, name=f"log q − log q0 against a line, {case}"
        )
for nats, far in (
    (0.01, 1000.0),
    (0.3, 1000.0),
    (0.68, 1000.0),
    (0.001, 1000.0),
    (0.68, 0.05),
    (0.3, 0.05),
):
    start = torch.tensor([0.5, 0.5], dtype=torch.float64).log()
    gains = torch.tensor([-far, far], dtype=torch.float64)
    log_q, beta = on_a_leash(start, gains, nats)
    name = f"log odds of two texts with rewards ∓{far:g}: {2 * far:g}/beta, {nats} nats"
    right = torch.tensor(2 * far / beta, dtype=torch.float64)
    assert_close(log_q[1] - log_q[0], right, tolerance=3e-4, name=name)
    kl = (log_q.exp() * (log_q - start)).sum().item()
    assert abs(kl - nats) < 2e-6, f"KL: expected {nats}, got {kl:.7f}; rewards ∓{far:g}"
# a text whose q is too small for a computer, and whose log q is not
start = torch.full((3,), 1 / 3, dtype=torch.float64).log()
gains = torch.tensor([1000.0, 999.0, -1000.0], dtype=torch.float64)
log_q, beta = on_a_leash(start, gains, 0.6)
right = torch.tensor(-2000.0 / beta, dtype=torch.float64)
name = "log_q[2] − log_q[0] with the rewards 1000, 999, −1000, 0.6 nats: −2000/beta"
assert_close(log_q[2] - log_q[0], right, tolerance=3e-4, name=name)
# the best text has the probability e^−100, and hardly a better reward
start = torch.tensor([0.0, -100.0], dtype=torch.float64)
log_q, beta = on_a_leash(start, torch.tensor([0.0, 0.1], dtype=torch.float64), 99.0)
kl = (log_q.exp() * (log_q - start)).sum().item()
assert abs(kl - 99.0) < 2e-6, f"KL with a text of e^−100: expected 99, got {kl:.7f}"
right = 0.1 / (log_q[1] - log_q[0] + 100).item()
name = "1000 beta, where the better text has e^−100 and 0.1 more reward"
assert_close(1000 * beta, 1000 * right, tolerance=3e-4, name=name)
### END HIDDEN TESTS

# %% [markdown]
# Put the model of the 1,210 sentences on leashes of growing length. The longest one possible is $-\log q_0(\text{2
# points})$.

# %% nbgrader={"grade": false, "grade_id": "exercise4_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
most = -log_q0[points == 2].logsumexp(0).item()
print(f"longest leash: {most:.3f} nats")
print(" nats   beta  points  right  entropy   likeliest")
reached = {}
for nats in (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 0.99 * most):
    log_q, beta = on_a_leash(log_q0, points, nats)
    q = log_q.exp()
    mean, right, entropy = (q @ points, q[points == 2].sum(), -(q * log_q).sum())
    reached[nats] = mean.item(), right.item(), entropy.item()
    print(f"{nats:5.2f}{beta:7.3f}{mean:8.2f}{right:7.1%}{entropy:9.2f}", end="   ")
    print(sentence(q.argmax()))
within = (q / q0)[points == 2]
print(f"entropy at the start: {-(q0 * log_q0).sum():.2f} nats")
print(f"q / q0 among the 10 right ones: {within.min():.2f} to {within.max():.2f}")
malt = (q.max() / right).item()
print(f"of the right ones, '{sentence(q.argmax())}': {malt:.0%}; in the rhyme 10 of 55")
assert reached[0.5][1] < 0.25 and reached[3.0][1] > 0.7
assert within.max() / within.min() < 1.0001, "among equals, q0 decides"

# %% [markdown]
# Half a nat takes the model from 1.4 to 16 per cent right sentences, three nats to 76, and for all of them it takes
# 4.25 nats. Among the ten right sentences, $q / q_0$ is one and the same number: the reward does not tell them apart,
# so what the model believed about them before stays as it was. It believed that frequent words go with frequent
# words. So the malt that lay in the house is about a third of what it writes now. In the rhyme it is 10 of 55. A
# reward says what is right, and not how often it should come.

# %% [markdown]
# ## 5 Write several, keep the best
#
# There is a way to a higher reward without any training: write $n$ texts, keep the one with the highest reward. (If
# several have it, keep the one that was written first.) Which distribution does the text that is kept come from? The
# best of $n$ has a reward of at most $r$ if all $n$ have. So with
#
# $$ F(r) = \sum_{j:\, R_j \le r} q_{0,j}, \qquad G(r) = \sum_{j:\, R_j < r} q_{0,j} $$
#
# the best reward is exactly $r$ with probability $F(r)^n - G(r)^n$. And which text is it? Among texts with the same
# reward the choice is blind, so their ratios are those of $q_0$.


# %% nbgrader={"grade": false, "grade_id": "exercise5_solution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_of(q0, reward, n):
    """The distribution of the text with the highest reward among n independent draws of q0.

    q0 (N,) float64: probabilities of the N ≥ 1 texts, 0 to 1; they sum to 1. reward (N,) float64, any numbers, in any
    order; several texts may have exactly the same one. n: a whole number from 1 to 10,000.
    -> q (N,) float64: how likely it is that text i is the one that is kept, as described above. All are right to
    0.000001, and a text with q0 = 0 has q = 0, whatever its reward is. The arguments stay as they were.
    Example: q0 = (0.5, 0.3, 0.2), reward = (1, 1, 4), n = 2. The third text is kept unless both draws are others, with
    1 − 0.8² = 0.36. The rest, 0.64, is shared by the first two as 5 to 3: q = (0.4, 0.24, 0.36).
    """
    ### BEGIN SOLUTION
    same = reward == reward[:, None]
    upto = ((reward <= reward[:, None]) * q0).sum(1)
    level = (same * q0).sum(1)
    wins = upto**n - (upto - level).clamp(min=0) ** n
    return torch.where(q0 > 0, q0 / level * wins, 0.0)
    ### END SOLUTION


# %% [markdown]
# First the example, then a single draw, and many.

# %% nbgrader={"grade": true, "grade_id": "exercise5_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

start = torch.tensor([0.5, 0.3, 0.2]).double()
q = best_of(start, torch.tensor([1.0, 1.0, 4.0]).double(), 2)
assert_shape(q, (3,), name="q of three texts")
name = "q in the example (ties are shared as in q0)"
assert_close(q, torch.tensor([0.4, 0.24, 0.36]), name=name)
q = best_of(start, torch.tensor([3.0, -1.0, 2.0]).double(), 1)
assert_close(q, start, name="q for a single draw: q0")
q = best_of(start, torch.tensor([3.0, -1.0, 2.0]).double(), 2)
name = "q for n = 2, rewards 3, −1, 2 (which texts are worse than this one?)"
assert_close(q, torch.tensor([0.75, 0.09, 0.16]), name=name)
q = best_of(start, torch.tensor([0.0, 5.0, 5.0]).double(), 1000)
name = "q for n = 1000: only the best reward is left, shared as in q0"
assert_close(q, torch.tensor([0.0, 0.6, 0.4]), name=name)

# %% [markdown]
# Graded later, worth 2 points: all $N^n$ ways to draw, one by one, texts that are never written, and many draws.

# %% nbgrader={"grade": true, "grade_id": "exercise5_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
from course_lib.check import assert_close, assert_shape

### BEGIN HIDDEN TESTS
chance = torch.Generator().manual_seed(5)
for N, n, kinds in (
    (1, 3, 1),
    (2, 1, 2),
    (3, 5, 2),
    (4, 4, 4),
    (5, 3, 2),
    (6, 2, 9),
    (6, 3, 1),
):
    for _ in range(3):
        start = torch.randn(N, generator=chance).double().softmax(0)
        if N > 3:
            start[torch.randint(N, (2,), generator=chance)] = 0.0
            start = start / start.sum()
        gains = torch.randint(-kinds, kinds, (N,), generator=chance).double() / 3
        kept = start.clone(), gains.clone()
        q = best_of(start, gains, n)
        case = f"{N} texts, rewards {[round(v, 2) for v in gains.tolist()]}, n = {n}"
        assert start.equal(kept[0]) and gains.equal(kept[1]), (
            f"the arguments must stay as they were, and have changed; {case}"
        )
        right = torch.zeros(N).double()
        for row in torch.cartesian_prod(*[torch.arange(N)] * n).view(-1, n):
            right[row[gains[row].argmax()]] += start[row].prod()
        assert_shape(q, (N,), name=f"q, {case}")
        assert q.dtype == torch.float64, f"q: expected float64, got {q.dtype}; {case}"
        name = f"q against all draws one by one, {case}"
        assert_close(q, right, tolerance=1e-6, name=name)
gains = torch.tensor([1.0, 2.0, 3.0, 3.0, 4.0], dtype=torch.float64)
start = [0.9, 0.0999, 0.00005, 0.00005, 0.0]
start = torch.tensor(start, dtype=torch.float64)
for n in (10, 1000, 10_000):
    q = best_of(start, gains, n)
    below = [0.0, 0.9**n, 0.9999**n, 1.0]
    a, b, c = (below[k + 1] - below[k] for k in range(3))
    right = torch.tensor([a, b, c / 2, c / 2, 0.0], dtype=torch.float64)
    name = (
        f"q where the best text comes once in 10,000, and a better one never, n = {n}"
    )
    assert_close(q, right, tolerance=1e-6, name=name)
gains = torch.tensor([1e6, 1e6 + 1e-6, -1e6], dtype=torch.float64)
q = best_of(torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64), gains, 2)
name = "q where two rewards near a million differ by a millionth (no tie)"
assert_close(q, torch.tensor([0.3125, 0.4375, 0.25]), tolerance=1e-6, name=name)
rare = torch.tensor([1 - 1e-7, 1e-7], dtype=torch.float64)
q = best_of(rare, torch.tensor([0.0, 1.0], dtype=torch.float64), 10_000)
name = "q where the best text comes once in 10 million, n = 10,000"
right = torch.tensor([0.9990005, 0.0009995], dtype=torch.float64)
assert_close(q, right, tolerance=1e-6, name=name)
gains = torch.tensor([1e300, 1e299, 1e-300, 0.0], dtype=torch.float64)
q = best_of(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64), gains, 2)
name = "q with rewards 10^300, 10^299, 10^−300 and 0 (no tie)"
assert_close(q, torch.tensor([0.19, 0.32, 0.33, 0.16]), tolerance=1e-6, name=name)
### END HIDDEN TESTS

# %% [markdown]
# Which way is better? Both get a higher reward by leaving $q_0$. So compare the rewards at equal $\mathrm{KL}(q
# \,\|\, q_0)$. By the leash's own mathematics, nothing can lie above its curve.


# %% nbgrader={"grade": false, "grade_id": "exercise5_use", "locked": true, "schema_version": 3, "solution": false, "task": false}
def far_and_good(q):
    """(KL from q0, mean points)."""
    return torch.special.xlogy(q, q / q0).sum().item(), (q @ points).item()


ns = (1, 2, 4, 8, 16, 32, 64, 128, 256)
best = {n: far_and_good(best_of(q0, points, n)) for n in ns}
betas = torch.logspace(3, -1.5, 2000).tolist()
leash = [far_and_good((log_q0 + points / beta).softmax(0)) for beta in betas]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(*zip(*leash, strict=True), label="on a leash")
ax.plot(*zip(*best.values(), strict=True), "o", label="best of n")
for n in (2, 8, 64):
    ax.annotate(f"n = {n}", best[n], (6, -12), textcoords="offset points")
ax.set(xlabel="KL(q ‖ q0), nats", ylabel="points, mean")
ax.legend()
print("    n    KL   log n − (n − 1)/n   points   on a leash as long")
for n, (kl, mean) in best.items():
    above = [m for k, m in leash if k >= kl]
    bound = math.log(n) - (n - 1) / n
    print(f"{n:5}{abs(kl):6.2f}{bound:20.2f}{mean:9.3f}{min(above, default=2.0):12.3f}")
    assert kl < bound + 1e-9 and mean <= min(above, default=2.0) + 1e-9
    assert mean > min(above) - 0.12, "close to the line"

# %% [markdown]
# The dots are never above the line, as they must not be, and they are close to it. The best of 8 has 0.96 points on
# average and lies 0.96 nats from $q_0$. The best that a leash of this length can do is 1.03. From 64 texts on the two
# nearly agree, because both are on their way to the same place: $q_0$, restricted to what is right. In the literature
# you will find that the best of $n$ is $\log n - (n - 1)/n$ nats away. That holds if all rewards are different and
# each text is unlikely. With ties it is an upper bound, and here the distance is smaller by 0.1 to 0.6 nats.
#
# So why train at all? For the best of 8 you write eight texts each time somebody asks for one. A trained model has
# paid beforehand. But if training claims to have found more than the line says, look for what else it has changed.

# %% [markdown]
# ## What you saw
#
# - Two schedules with the same budget of truth may end in very different places.
# - Scheduled sampling comes to rest at tables that you can compute. Only with true inputs are they the truth's own.
# - The better a model already is, the more a baseline is worth.
# - A leash can be measured in nats. Among texts with the same reward it leaves everything as it was.
# - Keeping the best of a few draws costs no training, and comes close to the best that any training on the same reward
#   can do.
