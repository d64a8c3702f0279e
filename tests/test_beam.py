"""Beam search against brute force: all texts of a small model, ranked; and what it refuses."""

import math
from itertools import product

import pytest
import torch

from course_lib.beam import beam_search
from course_lib.decode import State, write
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Table:
    """A model whose logits depend on all that was read, by a table {text so far: logits (V,)}; it counts its rows."""

    def __init__(self, logits_of, V, device="cpu"):
        self.logits_of, self.V, self.device, self.rows = logits_of, V, device, 0

    def begin(self, n):
        return State([torch.zeros(n, 0, dtype=torch.long, device=self.device)])

    def step(self, previous, state):
        (read,) = state
        if previous is not None:
            assert previous.device.type == self.device
            read = torch.cat([read, previous[:, None]], 1)
        self.rows += len(read)
        logits = [torch.as_tensor(self.logits_of(tuple(row))) for row in read.tolist()]
        return torch.stack(logits).to(self.device), State([read])


def random_table(V=3, seed=0, device="cpu", dtype=torch.float32):
    """Every text so far has its own logits."""

    def logits_of(text):
        number = sum((c + 1) * (V + 1) ** n for n, c in enumerate(text))
        return 2 * torch.randn(V, generator=make_generator(1000 * seed + number)).to(dtype)

    return Table(logits_of, V, device)


def all_texts(model, length, given=(), end=None):
    """[(log p, text)] of all texts of `length` that begin with `given`, by brute force; after the end, only the end."""
    found = []
    for rest in product(range(model.V), repeat=length - len(given)):
        text, log_prob, over = tuple(given), 0.0, False
        for character in rest:
            if over and character != end:
                break
            if not over:
                log_prob += torch.as_tensor(model.logits_of(text)).double().log_softmax(0)[character].item()
            over, text = character == end, (*text, character)
        else:
            found.append((log_prob, text))
    return found


def ranked(found, k=None):
    """Likeliest first; of equals the lower text, which is also how a search that never drops one finds them."""
    return sorted(found, key=lambda pair: (-round(pair[0], 9), pair[1]))[:k]


def pairs(beams):
    return [(p, tuple(text)) for p, text in zip(beams.log_prob.tolist(), beams.texts.tolist(), strict=True)]


def assert_same(got, wanted):
    assert [text for _, text in got] == [text for _, text in wanted]
    assert [p for p, _ in got] == pytest.approx([p for p, _ in wanted], abs=1e-9)


# --- exactly the best, where the width covers the space -----------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(5))
def test_a_width_that_covers_all_prefixes_finds_the_best_in_order(seed, device):
    model = random_table(V=3, seed=seed, device=device)
    beams = beam_search(model, 4, beam_width=27)
    assert beams.texts.shape == (27, 4) and beams.texts.dtype == torch.long and beams.log_prob.dtype == torch.float64
    assert beams.texts.device.type == beams.log_prob.device.type == device
    assert_same(pairs(beams), ranked(all_texts(model, 4), 27))


def test_a_width_beyond_all_texts_returns_them_all():
    model = random_table(V=3)
    beams = beam_search(model, 3, beam_width=1000)
    assert_same(pairs(beams), ranked(all_texts(model, 3)))
    assert beams.log_prob.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("given", [(2,), (0, 1)])
def test_a_prefix_begins_all_texts_and_costs_nothing(given):
    model = random_table(V=3, seed=1)
    beams = beam_search(model, 4, beam_width=100, given=torch.tensor(given))
    assert_same(pairs(beams), ranked(all_texts(model, 4, given)))
    assert beams.log_prob.exp().sum().item() == pytest.approx(1)


def test_of_equals_the_earlier_prefix_comes_first_then_the_lower_character():
    uniform = Table(lambda text: torch.zeros(3), 3)
    assert_same(pairs(beam_search(uniform, 3, beam_width=5)), ranked(all_texts(uniform, 3), 5))
    assert_same(pairs(beam_search(uniform, 3, beam_width=99)), ranked(all_texts(uniform, 3)))
    first = {(): [0.0, 0.0, -1.0], (0,): [0.0, 1.0, 1.0], (1,): [1.0, 0.0, 1.0], (2,): [9.0, 0.0, 0.0]}
    texts = beam_search(Table(lambda text: torch.tensor(first[text]), 3), 2, beam_width=4).texts.tolist()
    assert texts == [[0, 1], [0, 2], [1, 0], [1, 2]], "and [2, 0], likelier than all, was never seen: width 4 saw it"


def test_a_narrow_beam_keeps_at_each_step_what_it_says():
    """Against a search written with lists: the same prefixes are kept, the same are lost."""
    for seed, width in product(range(10), (1, 2, 3)):
        model = random_table(V=4, seed=seed)
        kept = [(0.0, ())]
        for _ in range(5):
            grown = []
            for p, text in kept:
                steps = torch.as_tensor(model.logits_of(text)).double().log_softmax(0).tolist()
                grown += [(p + step, (*text, c)) for c, step in enumerate(steps)]
            kept = sorted(grown, key=lambda pair: -pair[0])[:width]
        assert_same(pairs(beam_search(model, 5, beam_width=width)), kept)


def test_a_wider_beam_can_find_what_greedy_loses_and_is_not_always_better():
    """The first step that is likelier leads to less; on random tables the best of width 2 beats greedy's often."""
    better, worse = 0, 0
    for seed in range(60):
        model = random_table(V=4, seed=seed)
        one, two = (beam_search(model, 5, beam_width=w).log_prob[0] for w in (1, 2))
        better, worse = better + (two > one + 1e-9).item(), worse + (two < one - 1e-9).item()
    assert better > 15, "it pays"
    assert worse < better, "and may, rarely, lose: no width short of all is safe"


# --- greedy, costs, batches ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rnn():
    model = CharRNN(CharRNNConfig(levels=11, features=16), generator=make_generator(3))
    with torch.no_grad():
        model.head.weight *= 6  # opinions
    return model


def greedily(model, length, given):
    return write(model, len(given), length, choose=lambda logits, t: logits.argmax(1), given=given)


def test_width_1_is_greedy(rnn):
    given = torch.randint(11, (50, 3), generator=make_generator(0))
    beams = beam_search(rnn, 12, beam_width=1, given=given)
    assert beams.texts.shape == (50, 1, 12) and beams.log_prob.shape == (50, 1)
    assert torch.equal(beams.texts[:, 0], greedily(rnn, 12, given))


@pytest.mark.parametrize("device", DEVICES)
def test_each_of_a_batch_is_searched_as_if_alone(rnn, device):
    model = CharRNN(rnn.config).to(device)
    model.load_state_dict(rnn.state_dict())
    given = torch.randint(11, (7, 3), generator=make_generator(1)).to(device)
    together = beam_search(model, 9, beam_width=5, given=given)
    for row, texts, log_prob in zip(given, *together, strict=True):
        alone = beam_search(model, 9, beam_width=5, given=row)
        assert torch.equal(alone.texts, texts)
        torch.testing.assert_close(alone.log_prob, log_prob, rtol=0, atol=1e-4)


def test_what_is_said_of_a_text_is_its_log_prob(rnn):
    given = torch.tensor([4, 7, 7])
    beams = beam_search(rnn, 9, beam_width=6, given=given)
    with torch.no_grad():
        wanted = rnn.log_prob(beams.texts) - rnn.log_prob(beams.texts[:, :3])
    torch.testing.assert_close(beams.log_prob.float(), wanted, rtol=0, atol=1e-4)
    assert (beams.log_prob.diff() <= 0).all() and len(beams.texts.unique(dim=0)) == 6


def test_it_costs_at_most_its_width_in_rows():
    """Rows that the model has to step: the first step has one, then as many as are kept; the last is not read."""
    counted = {}
    for width in (1, 2, 8):
        model = random_table(V=3)
        beam_search(model, 6, beam_width=width)
        counted[width] = model.rows
    assert counted == {1: 6, 2: 1 + 2 * 5, 8: 1 + 3 + 4 * 8}


def test_the_model_is_left_without_gradients(rnn):
    assert not beam_search(rnn, 4, beam_width=2).log_prob.requires_grad


# --- texts that end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_what_has_ended_keeps_its_place_and_its_probability(seed):
    model = random_table(V=3, seed=seed)
    found = ranked(all_texts(model, 4, end=2))
    beams = beam_search(model, 4, beam_width=100, end=2)
    assert_same(pairs(beams), found)
    assert len(found) == 1 + 2 + 4 + 8 + 16 and beams.log_prob.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 2.0])
def test_the_penalty_ranks_by_the_length_that_was_written(penalty):
    model = random_table(V=3, seed=2)
    found = []
    for p, text in all_texts(model, 5, given=(0,), end=2):
        written = text[1:].index(2) + 1 if 2 in text[1:] else 4
        found.append((p / written**penalty, p, text))
    found.sort(reverse=True)
    beams = beam_search(model, 5, beam_width=200, given=torch.tensor([0]), end=2, length_penalty=penalty)
    assert_same(pairs(beams), [(p, text) for _, p, text in found])
    plain = beam_search(model, 5, beam_width=200, given=torch.tensor([0]), end=2)
    assert beams.texts.tolist() != plain.texts.tolist()


def test_a_penalty_changes_nothing_where_all_texts_are_equally_long():
    model = random_table(V=3, seed=3)
    plain, fined = (beam_search(model, 4, beam_width=3, length_penalty=x) for x in (0.0, 1.0))
    assert torch.equal(plain.texts, fined.texts) and torch.equal(plain.log_prob, fined.log_prob)


def test_after_its_end_nobody_asks_a_model_anything():
    """What a model answers to a text that has ended, nan here, must not reach the others."""
    model = Table(lambda text: torch.full((3,), math.nan) if 2 in text else torch.tensor([0.0, 0.5, 1.0]), 3)
    beams = beam_search(model, 4, beam_width=100, end=2)
    assert beams.log_prob.isfinite().all() and beams.log_prob.exp().sum().item() == pytest.approx(1)
    assert beams.texts[0].tolist() == [2, 2, 2, 2]


def test_an_end_is_not_seen_unless_it_is_named():
    model = random_table(V=3, seed=4)
    assert len(beam_search(model, 3, beam_width=99).texts) == 27


# --- texts without a chance ---------------------------------------------------------------------------------------

ONLY = torch.tensor([0.0, 0.0, -math.inf])  # two of three characters


def test_a_text_of_probability_0_is_none():
    beams = beam_search(Table(lambda text: ONLY, 3), 3, beam_width=20)
    assert len(beams.texts) == 8 and beams.texts.max() == 1 and beams.log_prob.isfinite().all()


def test_a_batch_marks_what_one_of_its_prefixes_lacks():
    """After a 0 two characters may follow each time, after a 1 only one text is left."""
    model = Table(lambda text: ONLY if text[:1] != (1,) else torch.tensor([-math.inf, 0.0, -math.inf]), 3)
    beams = beam_search(model, 3, beam_width=20, given=torch.tensor([[0], [1]]))
    assert beams.texts.shape == (2, 4, 3)
    assert beams.log_prob.isfinite().sum(1).tolist() == [4, 1]
    assert beams.texts[1, 0].tolist() == [1, 1, 1] and beams.log_prob[1, 0] == 0


def test_a_dead_beam_of_a_batch_may_answer_nan():
    def logits_of(text):
        if text[:1] == (1,) and text[1:2] != (1,) and len(text) > 1:
            return torch.full((3,), math.nan)
        return ONLY if text[:1] != (1,) else torch.tensor([-math.inf, 0.0, -math.inf])

    beams = beam_search(Table(logits_of, 3), 4, beam_width=20, given=torch.tensor([[0], [1]]))
    assert beams.log_prob.isfinite().sum(1).tolist() == [8, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_precision_is_added_up_in_float64(dtype):
    model = random_table(V=3, dtype=dtype)
    beams = beam_search(model, 4, beam_width=81)
    assert beams.log_prob.dtype == torch.float64 and beams.log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


# --- what it refuses ----------------------------------------------------------------------------------------------

GIVEN = torch.tensor([0, 1])
REFUSED = [
    ({"length": 0}, ValueError, r"length: expected a whole number ≥ 1, got 0"),
    ({"length": 2.5}, TypeError, r"length: expected a whole number ≥ 1, got float 2.5"),
    ({"beam_width": 0}, ValueError, r"beam_width: expected a whole number ≥ 1, got 0"),
    ({"beam_width": True}, TypeError, r"beam_width: expected a whole number ≥ 1, got bool True"),
    ({"length_penalty": -1}, ValueError, r"length_penalty: expected a number of 0 or more, got -1"),
    ({"length_penalty": math.nan}, ValueError, r"length_penalty: expected a number of 0 or more, got nan"),
    ({"length_penalty": math.inf}, ValueError, r"length_penalty: expected a number of 0 or more, got inf"),
    ({"end": 3}, ValueError, r"end: expected the number of a character, 0 to 2, or None, got 3"),
    ({"end": -1}, ValueError, r"end: expected the number of a character, 0 to 2, or None, got -1"),
    ({"end": True}, ValueError, r"end: expected the number of a character, 0 to 2, or None, got True"),
    ({"end": 1, "given": GIVEN}, ValueError, r"given: expected beginnings that go on, got one that holds the end, 1"),
    ({"given": [0, 1]}, TypeError, r"given: expected a torch.Tensor, got list; torch.as_tensor\(given\)"),
    ({"given": GIVEN.float()}, TypeError, r"given: expected levels as torch.long, got torch.float32"),
    ({"given": GIVEN + 2}, ValueError, r"given: expected levels 0 to 2, got 2 to 3"),
    ({"given": GIVEN[0]}, ValueError, r"given: expected \(T,\), or \(n, T\) with n of 1 or more, got shape \(\)"),
    ({"given": GIVEN.new_zeros(0, 2)}, ValueError, r"given: expected .* n of 1 or more, got shape \(0, 2\)"),
    ({"given": GIVEN.new_zeros(1, 1, 1)}, ValueError, r"given: expected \(T,\), or \(n, T\).*, got shape \(1, 1, 1\)"),
    ({"given": GIVEN.new_zeros(5)}, ValueError, r"given: expected fewer than length = 4.*, got 5"),
    ({"given": GIVEN.new_zeros(2, 4)}, ValueError, r"given: expected fewer than length = 4.*, got 4"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), REFUSED)
def test_what_cannot_be_is_refused_and_says_why(wrong, error, message):
    with pytest.raises(error, match=message):
        beam_search(random_table(), **({"length": 4, "beam_width": 2} | wrong))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_model_that_gives_nothing_a_chance_is_named_with_its_place(value):
    broken = Table(lambda text: torch.full((3,), value if len(text) == 2 else 0.0), 3)
    with pytest.raises(ValueError, match=rf"model: expected a finite largest logit .* got {value} at place 3"):
        beam_search(broken, 4, beam_width=2)
    assert len(beam_search(broken, 2, beam_width=2).texts) == 2, "and what is never read does no harm"


def test_a_prefix_without_a_character_is_none():
    model = random_table()
    with_none, without = (beam_search(model, 3, beam_width=2, given=g) for g in (GIVEN[:0], None))
    assert torch.equal(with_none.texts, without.texts)
    many = beam_search(model, 3, beam_width=2, given=GIVEN.new_zeros(2, 0))
    assert torch.equal(many.texts[1], without.texts)
