"""Drawing rules and the loop that writes by them, against brute force and counted draws; and what they refuse."""

from itertools import combinations

import pytest
import torch

from course_lib.decode import (
    COLDEST,
    State,
    apply_temperature,
    draw,
    invert_cdf,
    keep_top_k,
    keep_top_p,
    progress_bar,
    write,
)
from course_lib.device import make_generator

ROW = torch.tensor([[0.5, 2.0, -1.0, 2.0, 0.0]])  # two share the first place


def random_logits(B, V, seed=0):
    return 2 * torch.randn(B, V, generator=make_generator(seed))


def kept(logits):
    return [set(row.isfinite().nonzero().flatten().tolist()) for row in logits]


def entropy(logits):
    return torch.distributions.Categorical(logits=logits).entropy()


def p_value(counts, expected):
    """How often a right sampler would be off by as much: the tail of chi-square."""
    chi_square = ((counts - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2).double(), chi_square.double() / 2).item()


# --- temperature -----------------------------------------------------------------------------------------------


def test_one_is_the_identity_and_others_divide():
    logits = random_logits(3, 7)
    assert torch.equal(apply_temperature(logits, 1), logits)
    torch.testing.assert_close(apply_temperature(logits, 0.25), 4 * logits)


def test_entropy_rises_with_the_temperature():
    logits = random_logits(20, 7)
    rising = torch.stack([entropy(apply_temperature(logits, t)) for t in (0, 0.1, 0.3, 1, 3, 10, 1e9)])
    assert (rising.diff(dim=0) > 0).all()
    torch.testing.assert_close(rising[0], torch.zeros(20))
    torch.testing.assert_close(rising[-1], torch.full((20,), 7.0).log())


@pytest.mark.parametrize("temperature", [0, 0.0, 1e-300, 1e-40, 1e-9])
def test_at_zero_the_first_of_the_likeliest_is_drawn(temperature):
    logits = torch.cat([ROW, ROW.roll(1, 1), -ROW, torch.zeros(1, 5)])
    for seed in range(5):
        chosen = draw(logits, generator=make_generator(seed), temperature=temperature)
        assert chosen.tolist() == [1, 2, 2, 0]


DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TEMPERATURES = (1e-300, 1e-40, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.05, 0.7, 1, 1.3, 50, 1e5, 1e38)


def tempered(logits, temperature):
    """Probabilities in float64, of the logits as they are: what every rule should come to in every precision."""
    exact = logits.double() - logits.double().amax(1, keepdim=True)
    if temperature < COLDEST:
        return torch.nn.functional.one_hot(exact.argmax(1), logits.shape[1]).double()
    return (exact / temperature).softmax(1)


def extreme_logits(dtype):
    """Rows of all sizes that the precision has, some with equals, with neighbours in the last digit, with -inf."""
    rows, most = random_logits(40, 6), torch.finfo(dtype).max
    next_to = torch.tensor([[1000.0, 1000.0, 0, 1, 2, 3]], dtype=dtype)
    next_to[0, 0] += 1000 * torch.finfo(dtype).eps
    ends = torch.tensor([[most, -most, 0, most / 2, -torch.inf, 1], [-most, *[-torch.inf] * 4, -most]], dtype=dtype)
    small = torch.tensor([[0, 30, 5, 0, 0, 0], [0, 1e-5, 0, 0, -torch.inf, 1e-5], [0.0] * 6], dtype=dtype)
    return torch.cat([rows.to(dtype), (1000 * rows).to(dtype), next_to, ends, small])


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_precision_stands_every_temperature(dtype, temperature):
    logits = extreme_logits(dtype)
    given, p = logits.clone(), tempered(logits, temperature)
    cooled = apply_temperature(logits, temperature)
    assert cooled.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(cooled.double().softmax(1), p, rtol=0, atol=1e-4)
    for seed in range(5):
        waiting = -torch.rand(logits.shape, generator=make_generator(seed)).log()
        race = (p / waiting).sort(1, descending=True)
        clear = race.values[:, 1] < 0.999 * race.values[:, 0]
        chosen = draw(logits, generator=make_generator(seed), temperature=temperature)
        assert torch.equal(chosen[clear], race.indices[:, 0][clear])
        assert clear.double().mean() > 0.9
    assert torch.equal(logits, given)


def test_beyond_every_heat_all_that_is_possible_is_alike():
    for dtype in DTYPES:
        hot = apply_temperature(torch.tensor([[1.0, -torch.inf, 2.0]], dtype=dtype), 1e300)
        assert hot.softmax(1).tolist() == [[0.5, 0, 0.5]]


# --- top-k -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(1, 8))
def test_top_k_keeps_exactly_the_k_largest(k):
    logits = random_logits(50, 7)
    cut = keep_top_k(logits, k)
    assert kept(cut) == [set(row.argsort(descending=True)[:k].tolist()) for row in logits]
    assert torch.equal(cut[cut.isfinite()], logits[cut.isfinite()]), "what stays, stays as it was"


@pytest.mark.parametrize(
    ("k", "stay"), [(1, {1}), (2, {1, 3}), (3, {0, 1, 3}), (4, {0, 1, 3, 4}), (5, {0, 1, 2, 3, 4})]
)
def test_of_equals_at_the_border_the_first_stay(k, stay):
    assert kept(keep_top_k(ROW, k)) == [stay]
    assert kept(keep_top_k(torch.zeros(2, 5), k)) == [set(range(k))] * 2


# --- nucleus ---------------------------------------------------------------------------------------------------


def smallest_nucleus(p, top_p):
    """By brute force over all subsets: the smallest whose mass reaches `top_p`, and of those the heaviest."""
    for size in range(1, len(p) + 1):
        sets = [(sum(p[i] for i in s), set(s)) for s in combinations(range(len(p)), size)]
        mass, best = max(sets, key=lambda found: found[0])
        if mass >= top_p:
            return best
    raise AssertionError


@pytest.mark.parametrize("top_p", [1e-9, 0.1, 0.37, 0.5, 0.8, 0.9, 0.99])
def test_the_nucleus_is_the_smallest_set_that_holds_top_p(top_p):
    logits = random_logits(60, 6).double()
    cut = keep_top_p(logits, top_p)
    assert kept(cut) == [smallest_nucleus(p, top_p) for p in logits.softmax(1).tolist()]
    assert torch.equal(cut[cut.isfinite()], logits[cut.isfinite()])


@pytest.mark.parametrize(("top_p", "size"), [(0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (0.76, 4), (1, 4), (1.0, 4)])
def test_a_nucleus_that_reaches_top_p_exactly_is_enough(top_p, size):
    assert kept(keep_top_p(torch.zeros(1, 4), top_p)) == [set(range(size))]  # quarters: sums without rounding


def test_of_equals_as_many_stay_as_hold_top_p():
    for dtype in DTYPES:
        for size in range(1, 65):
            logits = torch.full((1, size), 0.3).to(dtype)
            assert [kept(keep_top_p(logits, k / size)) for k in range(1, size + 1)] == [
                [set(range(k))] for k in range(1, size + 1)
            ], (dtype, size)
    assert kept(keep_top_p(torch.zeros(1, 10), 0.6)) == [set(range(6))]


@pytest.mark.parametrize(("top_p", "size"), [(0.4, 1), (0.41, 2), (0.7, 2), (0.71, 3), (0.9, 3), (0.91, 4)])
def test_probabilities_whose_logarithms_were_rounded_reach_their_sum(top_p, size):
    for dtype in torch.float32, torch.float64:
        for away in 0, 1, -3:
            p = torch.tensor([[0.4, 0.3, 0.2, 0.1]], dtype=dtype)
            assert kept(keep_top_p(p.log() + away, top_p)) == [set(range(size))]


@pytest.mark.parametrize("top_p", [5e-324, 1e-320, 1e-50, 1e-9])
def test_the_smallest_nucleus_is_one(top_p):
    for dtype in DTYPES:
        assert kept(keep_top_p(ROW.to(dtype), top_p)) == [{1}]
        assert kept(keep_top_p(torch.zeros(2, 1, dtype=dtype), top_p)) == [{0}, {0}]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nucleus_of_half_precision_is_that_of_its_numbers(dtype):
    logits = random_logits(50, 20).to(dtype)
    for top_p in (0.3, 0.9, 0.999):
        cut = keep_top_p(logits, top_p)
        assert cut.dtype == dtype and kept(cut) == kept(keep_top_p(logits.double(), top_p))
        assert torch.equal(cut[cut.isfinite()], logits[cut.isfinite()]), "what stays, stays as it was"


def test_all_of_it_means_all_of_it_however_sums_are_rounded():
    logits = random_logits(200, 1000)
    p = logits.softmax(1).sort(1, descending=True).values
    assert (p.cumsum(1) - p >= 1).any(), "for these numbers the running sum reaches 1 too early"
    assert torch.equal(keep_top_p(logits, 1.0), logits)


# --- drawing ---------------------------------------------------------------------------------------------------

CUTS = [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8}, {"temperature": 2.0, "top_k": 5, "top_p": 0.9}]


@pytest.mark.parametrize("settings", CUTS, ids=str)
def test_draws_follow_the_probabilities(settings):
    n, row = 40_000, random_logits(1, 7, seed=3)
    expected = (row / settings.get("temperature", 1)).softmax(1)[0].double()
    for rule, keep in ("top_k", keep_top_k), ("top_p", keep_top_p):
        if rule in settings:
            expected = keep(expected.log()[None], settings[rule]).softmax(1)[0]
    chosen = draw(row.expand(n, 7), generator=make_generator(1), **settings)
    counts = chosen.bincount(minlength=7).double()
    assert (counts[expected == 0] == 0).all()
    possible = expected > 0
    # one seed in a thousand would fail a right sampler, and this seed is fixed
    assert p_value(counts[possible], n * expected[possible]) > 1e-3


def test_the_cut_to_k_comes_before_the_nucleus():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log().expand(2000, 4)
    chosen = draw(logits, generator=make_generator(0), top_k=2, top_p=0.55)
    assert set(chosen.tolist()) == {0}, "of the two kept, the first holds 4/7, and that is the nucleus"
    hot = draw(logits, generator=make_generator(0), temperature=1e9, top_p=0.75)
    assert len(set(hot.tolist())) == 3, "the temperature comes first: four equals, three of which hold 0.75"


def test_what_is_impossible_stays_impossible():
    logits = random_logits(2000, 6)
    logits[:, [0, 3]] = -torch.inf
    for settings in ({}, {"temperature": 50.0}, {"temperature": 0}, {"top_k": 5}, {"top_k": 6}, {"top_p": 1}, *CUTS):
        chosen = draw(logits, generator=make_generator(0), **settings)
        assert not set(chosen.tolist()) & {0, 3}, settings
    assert kept(keep_top_k(logits, 5)) == [{1, 2, 4, 5}] * 2000
    only = torch.full((3, 4), -torch.inf)
    only[:, 2] = -300.0
    assert draw(only, generator=make_generator(0), top_p=0.1).tolist() == [2, 2, 2]


def test_what_is_impossible_is_not_drawn_where_chance_is_exactly_0():
    chance = torch.rand(2**20, 4, generator=make_generator(3))
    assert (chance[:, 3] == 0).any(), "or this test would show nothing"
    logits = torch.full((2**20, 4), -torch.inf)
    logits[:, 3] = 0
    for settings in ({}, {"temperature": 0}, {"top_k": 2}):
        assert (draw(logits, generator=make_generator(3), **settings) == 3).all(), settings
    logits[:, 0] = -80.0  # nor what has a chance of 1e-35
    assert (draw(logits, generator=make_generator(3)) == 3).all()


@pytest.mark.parametrize("settings", CUTS, ids=str)
def test_rows_have_their_own_cut_and_their_own_luck(settings):
    logits = torch.stack([torch.arange(5.0) * sign for sign in (9, -9)])
    assert draw(logits, generator=make_generator(0), **settings | {"temperature": 0.1}).tolist() == [4, 0]
    a, b = draw(torch.zeros(2, 50), generator=make_generator(0)).tolist()
    assert a != b  # 1 in 50 for a right sampler; the seed is fixed
    for cut in (lambda x: keep_top_k(x, 3), lambda x: keep_top_p(x, 0.7)):
        many = random_logits(8, 5)
        assert torch.equal(cut(many), torch.cat([cut(row[None]) for row in many]))


def test_the_generator_decides_and_the_logits_are_left_alone():
    logits = random_logits(64, 9)
    before, torch_state = logits.clone(), torch.random.get_rng_state()
    for settings in CUTS:
        first, again, other = (draw(logits, generator=make_generator(seed), **settings) for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)
        assert first.dtype == torch.long and first.shape == (64,)
    assert torch.equal(logits, before)
    assert torch.equal(torch.random.get_rng_state(), torch_state)


# --- drawing by one number -------------------------------------------------------------------------------------

QUARTERS = torch.tensor([[0.25, 0.5, 0.0, 0.25]], dtype=torch.float64).log()  # sums without rounding


@pytest.mark.parametrize(
    ("u", "choice"), [(0.0, 0), (0.2499, 0), (0.25, 1), (0.5, 1), (0.7499, 1), (0.75, 3), (1 - 2**-53, 3)]
)
def test_the_choice_is_where_the_sum_passes_u(u, choice):
    assert invert_cdf(QUARTERS, torch.tensor([u], dtype=torch.float64)).tolist() == [choice]


def test_inverted_draws_follow_the_probabilities():
    n, row = 40_000, random_logits(1, 7, seed=3)
    u = torch.rand(n, generator=make_generator(1), dtype=torch.float64)
    counts = invert_cdf(row.expand(n, 7), u).bincount(minlength=7).double()
    assert p_value(counts, n * row.double().softmax(1)[0]) > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_spread_evenly_give_each_choice_its_share_to_the_last_digit(dtype):
    row, n = random_logits(1, 300).to(dtype), 2**16
    u = torch.arange(n, dtype=torch.float64) / n
    chosen = invert_cdf(row.expand(n, 300), u)
    assert chosen.dtype == torch.long and (chosen.diff() >= 0).all()
    shares = chosen.bincount(minlength=300) / n
    assert (shares - row.double().softmax(1)[0]).abs().max() <= 1 / n


def test_what_is_impossible_is_not_chosen_by_any_number():
    u = torch.cat(
        [torch.linspace(0, 1 - 2**-53, 1001, dtype=torch.float64), torch.tensor([2**-1074], dtype=torch.float64)]
    )
    for impossible in ([0, 3], [4, 5], [0, 1, 2, 3, 4], [1, 2, 3, 4, 5]):
        logits = random_logits(len(u), 6)
        logits[:, impossible] = -torch.inf
        assert not set(invert_cdf(logits, u).tolist()) & set(impossible)


def test_only_differences_of_logits_matter():
    logits, u = random_logits(200, 6), torch.rand(200, generator=make_generator(2))
    assert torch.equal(invert_cdf(logits, u), invert_cdf(logits.double() + 1e3, u))
    assert torch.equal(invert_cdf(logits, u), invert_cdf(logits.double() - 1e3, u))


def test_every_row_has_its_own_number():
    logits, u = random_logits(50, 6), torch.rand(50, generator=make_generator(2))
    alone = [invert_cdf(logits[i : i + 1], u[i : i + 1]) for i in range(50)]
    assert torch.equal(invert_cdf(logits, u), torch.cat(alone))
    one_row = invert_cdf(logits[:1].expand(50, 6), u)
    assert one_row.unique().numel() > 1 and (one_row[u.argsort()].diff() >= 0).all()


@pytest.mark.parametrize(
    ("u", "error", "says"),
    [
        (torch.tensor([1.0]), ValueError, r"u: expected numbers from 0 up to, not including, 1, got 1.0 to 1.0"),
        (torch.tensor([-0.5]), ValueError, "u: expected numbers from 0 up to, not including, 1, got -0.5"),
        (torch.tensor([torch.nan]), ValueError, "u: expected numbers from 0 up to, not including, 1, got nan"),
        (torch.tensor([0.5, 0.5]), ValueError, r"u: expected shape \(1\), got \(2,\)"),
        (torch.tensor([[0.5]]), ValueError, r"u: expected shape \(1\), got \(1, 1\)"),
        (torch.tensor([0]), TypeError, "u: expected a floating-point tensor, got torch.int64"),
        (0.5, TypeError, "u: expected a torch.Tensor, got float"),
    ],
    ids=str,
)
def test_numbers_that_no_draw_is_made_by_are_refused(u, error, says):
    with pytest.raises(error, match=says):
        invert_cdf(ROW, u)


# --- what makes no sense ---------------------------------------------------------------------------------------

BAD_SETTINGS = [
    *(({"temperature": t}, "temperature: expected a number above 0, or 0 for greedy, got") for t in (-1, -1e-9)),
    *(({"temperature": float(t)}, f"temperature: .* got {t}") for t in ("nan", "inf")),
    *(({"top_k": k}, f"top_k: expected a whole number from 1 to V = 5, got {k}") for k in (0, -1, 6, 2.5, True)),
    *(({"top_k": float(k)}, f"top_k: expected a whole number .* got {k}") for k in ("nan", "inf")),
    ({"top_k": "3"}, "top_k: expected a whole number from 1 to V = 5, got 3"),
    *(({"top_p": p}, "top_p: expected a probability above 0 and at most 1, got") for p in (0, -0.1, 1.1)),
    ({"top_p": float("nan")}, "top_p: .* got nan"),
]


@pytest.mark.parametrize(("settings", "says"), BAD_SETTINGS, ids=str)
def test_wrong_settings_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        draw(ROW, generator=make_generator(0), **settings)


RULES = {
    "temperature": lambda logits: apply_temperature(logits, 0.5),
    "greedy": lambda logits: apply_temperature(logits, 0),
    "top_k": lambda logits: keep_top_k(logits, 2),
    "top_p": lambda logits: keep_top_p(logits, 0.5),
    "draw": lambda logits: draw(logits, generator=make_generator(0)),
    "invert_cdf": lambda logits: invert_cdf(logits, torch.full((len(logits),), 0.5)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("logits", "error", "says"),
    [
        (ROW[0], ValueError, r"logits: expected shape \(B, V\), got \(5,\)"),
        (ROW[None], ValueError, r"logits: expected shape \(B, V\), got \(1, 1, 5\)"),
        (ROW.long(), TypeError, "logits: expected a floating-point tensor, got torch.int64"),
        (ROW.tolist(), TypeError, "logits: expected a torch.Tensor, got list"),
        (torch.tensor([[0.0, 1.0], [0.0, torch.nan]]), ValueError, "got nan in row 1; nan and inf say that training"),
        (torch.tensor([[0.0, torch.inf]]), ValueError, "got inf in row 0"),
        (torch.tensor([[0.0, -torch.inf], [-torch.inf] * 2]), ValueError, "got -inf in row 1; .* made impossible"),
    ],
)
def test_wrong_logits_are_refused(rule, logits, error, says):
    with pytest.raises(error, match=says):
        RULES[rule](logits)


@pytest.mark.parametrize("rule", RULES)
def test_no_rows_no_choices(rule):
    assert len(RULES[rule](torch.zeros(0, 5))) == 0


# --- the state -------------------------------------------------------------------------------------------------


def test_a_state_selects_repeats_and_reorders_and_what_comes_out_is_its_own():
    state = State((torch.arange(3), torch.arange(12.0).view(3, 2, 2)))
    order = torch.tensor([2, 0, 0, 1])
    a, b = state[order]
    assert torch.equal(a, order) and torch.equal(b, torch.arange(12.0).view(3, 2, 2)[order])
    few = state[torch.tensor([True, False, True])]
    assert isinstance(few, State) and [len(t) for t in few] == [2, 2]
    copy = state[torch.arange(3)]
    for t in copy:
        t.zero_()
    assert torch.equal(next(iter(state[order])), order)


@pytest.mark.parametrize("keep", [0, slice(2), [0, 1], torch.tensor(0), torch.tensor([0.0]), torch.zeros(1, 1).bool()])
def test_a_view_of_a_state_is_not_to_be_had(keep):
    with pytest.raises(TypeError, match=r"state\[keep\]: expected a tensor of row numbers"):
        State((torch.zeros(3),))[keep]


# --- the loop --------------------------------------------------------------------------------------------------

V, T, N = 3, 4, 20_000
EVERY = torch.cartesian_prod(*[torch.arange(V)] * T)  # (81, 4)


class Sums:
    """A small model that is all contract: what comes next depends on the sum so far, the place, and a condition."""

    def __init__(self):
        self.table = 2 * torch.randn(T, T * V, V, generator=make_generator(1))
        self.fed = []

    def begin(self, n, shift=0):
        return State((torch.full((n,), shift), torch.zeros(n, dtype=torch.long)))

    def step(self, previous, state):
        total, at = state
        if previous is not None:
            total += previous  # its own to write into
            at += 1
        self.fed.append(previous)
        return self.table[at, total], state

    def logits(self, x, shift=0):
        """The same at once: x (B, T) -> (B, T, V)."""
        return self.table[torch.arange(T), x.cumsum(1) - x + shift]

    def log_prob(self, x, shift=0):
        return self.logits(x, shift).log_softmax(2).gather(2, x[..., None])[..., 0].sum(1)


def drawing(seed, **settings):
    generator = make_generator(seed)
    return lambda logits, t: draw(logits, generator=generator, **settings)


def index(x):
    return (x * V ** torch.arange(T).flip(0)).sum(1)


def test_greedy_is_the_path_of_the_likeliest():
    model = Sums()
    x = write(model, 3, T, choose=lambda logits, t: logits.argmax(1))
    assert x.shape == (3, T) and x.dtype == torch.long
    assert torch.equal(model.logits(x).argmax(2), x)
    assert torch.equal(write(model, 3, T, choose=drawing(0, temperature=0)), x)
    assert model.fed[0] is None and len(model.fed) == 2 * T, "as many steps as components, and nothing fed twice"


@pytest.mark.parametrize("shift", [0, 2])
def test_what_is_written_comes_as_often_as_the_model_says(shift):
    model = Sums()
    counts = index(write(model, N, T, choose=drawing(0), shift=shift)).bincount(minlength=len(EVERY))
    p = model.log_prob(EVERY, shift).exp()
    often = N * p > 5  # the rest is one cell
    counts, expected = (torch.cat([a[often], a[~often].sum()[None]]) for a in (counts, N * p))
    assert p_value(counts, expected) > 1e-3


@pytest.mark.parametrize("settings", [{"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}], ids=str)
def test_the_rule_cuts_every_step(settings):
    model = Sums()
    x = write(model, 500, T, choose=drawing(0, **settings))
    again, step = torch.zeros_like(x), drawing(0, **settings)
    for t in range(T):  # the simple way: all that stands before, anew
        again[:, t] = step(model.logits(again)[:, t], t)
    assert torch.equal(x, again)


def test_a_choice_may_be_one_number_of_a_given_list():
    model, u = Sums(), torch.rand(T, 50, generator=make_generator(3), dtype=torch.float64)
    x = write(model, 50, T, choose=lambda logits, t: invert_cdf(logits, u[t]))
    assert torch.equal(invert_cdf(model.logits(x).flatten(0, 1), u.T.flatten()).view(50, T), x)


def test_a_beginning_is_kept_and_gone_on_with_as_if_it_had_been_drawn():
    model, given, asked = Sums(), torch.tensor([2, 0]), []

    def choose(logits, t):
        asked.append(t)
        return draw(logits, generator=chance)

    chance = make_generator(0)
    x = write(model, N, T, choose=choose, given=given)
    assert (x[:, :2] == given).all() and asked == [2, 3]
    p = model.log_prob(EVERY).exp() * (EVERY[:, :2] == given).all(1)
    assert p_value(index(x).bincount(minlength=len(p))[p > 0], (N * p / p.sum())[p > 0]) > 1e-3
    for same in (
        {"given": given.expand(N, 2)},
        {"given": torch.tensor([2, 0, 1, 1]), "known": torch.tensor([True, True, False, False])},
    ):
        chance = make_generator(0)
        assert torch.equal(write(model, N, T, choose=choose, **same), x)
    nothing = write(model, 5, T, choose=drawing(0), given=given[:0])
    assert torch.equal(nothing, write(model, 5, T, choose=drawing(0)))


def test_what_is_known_anywhere_is_kept_and_seen_by_what_comes_after_it():
    model = Sums()
    given = torch.randint(V, (60, T), generator=make_generator(5))
    known = torch.rand(60, T, generator=make_generator(6)) < 0.5
    before = given.clone()
    x = write(model, 60, T, choose=drawing(0, temperature=0), given=given, known=known)
    assert torch.equal(x[known], given[known]) and torch.equal(given, before)
    assert torch.equal(x[~known], model.logits(x).argmax(2)[~known])
    assert torch.equal(write(model, 60, T, choose=None, given=given, known=torch.ones(T).bool()), given)


def test_the_bar_is_silent_unless_it_has_a_name_and_time_to_be_seen(capsys):
    for progress in None, "writing":
        write(Sums(), 2, T, choose=drawing(0), progress=progress)
        assert capsys.readouterr().err == ""
    bar = progress_bar(T, "writing")
    assert (bar.total, bar.desc, bar.delay, bar.disable) == (T, "writing", 2, False)
    bar.close()


def test_nothing_that_is_written_keeps_a_gradient():
    model, asked = Sums(), []
    model.table.requires_grad_()
    write(model, 2, T, choose=lambda logits, t: asked.append(logits.requires_grad) or logits.argmax(1))
    assert asked == [False] * T


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"n": 2.5}, TypeError, "n: expected a whole number ≥ 1, got float 2.5"),
        ({"length": 0}, ValueError, "length: expected a whole number ≥ 1, got 0"),
        ({"length": 2.5}, TypeError, "length: expected a whole number ≥ 1, got float 2.5"),
        ({"given": EVERY[0]}, ValueError, "given: expected fewer than length = 4, so that .* write, got 4"),
        ({"given": EVERY[:2, :2]}, ValueError, r"given: expected shape \(3, T\), got \(2, 2\)"),
        ({"given": torch.tensor(1)}, ValueError, r"given: expected shape \(3, T\), got \(\)"),
        ({"given": torch.tensor([V])}, ValueError, "given: expected levels 0 to 2, got 3 to 3"),
        ({"given": torch.tensor([-1])}, ValueError, "given: expected levels 0 to 2, got -1 to -1"),
        ({"given": torch.tensor([1.0])}, TypeError, "given: expected levels as torch.long, got torch.float32"),
        ({"given": [0, 1]}, TypeError, "given: expected a torch.Tensor, got list"),
        ({"known": torch.ones(T).bool()}, ValueError, "known: expected together with given="),
        ({"given": EVERY[0], "known": torch.ones(T)}, TypeError, "known: expected torch.bool, got torch.float32"),
        ({"given": EVERY[0], "known": torch.ones(2).bool()}, ValueError, r"shape \(4,\) or \(3, 4\), got \(2,\)"),
        ({"given": EVERY[0, :2], "known": torch.ones(T).bool()}, ValueError, r"given: expected shape \(3, 4\)"),
        ({"shift": 0, "else": 1}, TypeError, "else"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_refused(settings, error, says):
    settings = {"n": 3, "length": T, "choose": drawing(0)} | settings
    with pytest.raises(error, match=says):
        write(Sums(), settings.pop("n"), settings.pop("length"), **settings)
