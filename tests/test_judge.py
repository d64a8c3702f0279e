"""The judge is judged: on real digits, on ruins, and on what it may not know."""

import ast
import inspect

import pytest
import torch
from sklearn.svm import SVC

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure import judge as module
from course_lib.measure.judge import DigitJudge, spoil


@pytest.fixture(scope="module")
def judges():
    train, valid = load_digits("train"), load_digits("valid")
    return [DigitJudge(train, valid, generator=make_generator(seed)) for seed in range(3)]


def test_it_refuses_few_digits_and_most_ruins(judges):
    x, y = load_digits("test")
    for judge in judges:
        assert judge.invalid_share(load_digits("valid")[0]) == pytest.approx(0.05, abs=0.005)
        assert judge.invalid_share(x) < 0.10
        ruins = spoil(x, y, generator=make_generator(9)).chunk(4)
        assert min(judge.invalid_share(ruin) for ruin in ruins) > 0.85
        assert judge.invalid_share(torch.randint(17, (1000, 1, 8, 8), generator=make_generator(5))) > 0.99


def test_what_it_takes_for_a_digit_it_names_rightly(judges):
    x, y = load_digits("test")
    for judge in judges:
        label = judge.label(x)
        assert set(label.tolist()) <= set(range(-1, 10))
        assert (label == y)[label >= 0].float().mean() > 0.95


def test_each_way_to_ruin_does_what_it_says():
    x, y = load_digits("test")
    noisy, blended, overlaid, quartered = spoil(x, y, generator=make_generator(0)).chunk(4)
    # 30 to 100 % of 64 pixels hit, 65 % on average, of which one in 17 happens to receive the level it had
    assert (noisy != x).float().mean() == pytest.approx(0.65 * 16 / 17, abs=0.02)
    assert (overlaid >= x).all()
    assert ((blended - x).abs().flatten(1).sum(1) > 0).all()
    ink = x.flatten(1).sort(1).values
    assert torch.equal(quartered.flatten(1).sort(1).values, ink), "shuffling quarters keeps the ink"
    assert spoil(x, y, generator=make_generator(0)).unique().tolist() == list(range(17))


def test_asking_all_ten_at_once_is_asking_each():
    """The batched answer against scikit-learn's own, classifier by classifier."""
    (x, y), generator = load_digits("train"), make_generator(3)
    judge = DigitJudge((x, y), load_digits("valid"), generator=generator)
    labels = [*y.tolist(), *[-1] * (4 * len(x))]
    asked = load_digits("test")[0][:50]
    for digit in range(10):
        claim = SVC(C=10, gamma=0.2).fit(judge.seen.numpy(), [label == digit for label in labels])
        alone = claim.decision_function((asked.flatten(1) / 16).numpy())
        assert judge.loudness(asked)[:, digit].tolist() == pytest.approx(alone.tolist(), abs=1e-3)  # float32 sums


def test_it_knows_nothing_of_any_generator():
    imported = {n.module for n in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(n, ast.ImportFrom)}
    assert imported == {"sklearn.svm", "expect"}


def test_wrong_images_are_refused(judges):
    for wrong in (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long), torch.full((1, 1, 8, 8), 17)):
        with pytest.raises((TypeError, ValueError), match="expected"):
            judges[0].label(wrong)
        with pytest.raises((TypeError, ValueError), match="train images: expected"):
            DigitJudge((wrong, torch.arange(len(wrong))), load_digits("valid"), generator=make_generator(0))
