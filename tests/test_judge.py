"""The judge is judged: on real digits, on ruins, and on what it may not know."""

import ast
import inspect

import pytest
import torch
from sklearn.svm import SVC

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure import judge as module
from course_lib.measure.judge import DigitJudge
from course_lib.measure.ruins import spoil, unseen_ruins


@pytest.fixture(scope="module")
def judges():
    train, valid = load_digits("train"), load_digits("valid")
    return [DigitJudge(train, valid, generator=make_generator(seed)) for seed in range(5)]


def test_it_refuses_few_digits_and_most_ruins_of_the_kinds_it_has_met(judges):
    x, y = load_digits("test")
    for judge in judges:
        assert judge.invalid_share(load_digits("valid")[0]) == pytest.approx(0.03, abs=0.004)
        assert judge.invalid_share(x) <= 0.06
        ruins = spoil(x, y, generator=make_generator(9)).chunk(4)
        assert min(judge.invalid_share(ruin) for ruin in ruins) > 0.78


def test_it_refuses_ten_kinds_of_ruins_that_it_has_never_met(judges):
    x, y = load_digits("test")
    for seed, judge in enumerate(judges):
        refused = {k: judge.invalid_share(v) for k, v in unseen_ruins(x, y, generator=make_generator(seed)).items()}
        assert len(refused) == 10 and min(refused.values()) >= 0.95, refused


def test_far_from_everything_it_says_no_and_not_its_bias(judges):
    """What a judge of claims alone called a nine: nothing there is like anything that it has seen."""
    for judge in judges:
        for level in range(17):
            for part in (slice(None), slice(0, 4), slice(4, 8)):
                page = torch.zeros(1, 1, 8, 8, dtype=torch.long)
                page[..., part] = level
                assert judge.label(page).item() == -1, f"level {level} in rows {part}"
        noise = 16 * torch.randint(2, (1000, 1, 8, 8), generator=make_generator(1))
        assert judge.invalid_share(noise) == 1 and judge.invalid_share(16 - load_digits("test")[0]) == 1


def test_the_distance_is_that_to_the_nearest_real_digit(judges):
    (x, _), judge = load_digits("train"), judges[0]
    assert judge.distance(x[:50]).max() == pytest.approx(0, abs=2e-3), "a training digit is its own neighbour"
    moved = x[:1].clone()
    moved[0, 0, 0, 0] = 16 - moved[0, 0, 0, 0]  # a corner that is always paper becomes ink
    assert judge.distance(moved).item() == pytest.approx(1, abs=1e-3)


def test_ruins_are_levels_in_the_shape_of_digits_and_change_with_chance():
    x, y = load_digits("test")
    first, other = (unseen_ruins(x, y, generator=make_generator(seed)) for seed in (1, 2))
    for name, images in first.items():
        assert images.shape == x.shape and images.dtype == torch.long, name
        assert images.min() >= 0 and images.max() <= 16 and len(images.unique(dim=0)) >= 17, name
        assert torch.equal(images, other[name]) == (name in ("blank", "negative", "rolled")), name
    assert torch.equal(first["scattered"].sum((1, 2, 3)), x.sum((1, 2, 3))), "the same ink"
    assert torch.equal(first["rows, columns"].flatten(1).sort(1).values, x.flatten(1).sort(1).values)


def test_wrong_shares_are_refused():
    for refused in (0, 1, -0.1):
        with pytest.raises(ValueError, match="refused: expected a share above 0 and below 1"):
            DigitJudge(load_digits("train"), load_digits("valid"), generator=make_generator(0), refused=refused)


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
    assert imported == {"sklearn.svm", "expect", "ruins"}


def test_wrong_images_are_refused(judges):
    for wrong in (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long), torch.full((1, 1, 8, 8), 17)):
        with pytest.raises((TypeError, ValueError), match="expected"):
            judges[0].label(wrong)
        with pytest.raises((TypeError, ValueError), match="train images: expected"):
            DigitJudge((wrong, torch.arange(len(wrong))), load_digits("valid"), generator=make_generator(0))
