"""The judge of the drawn digits: it knows words in a voice that it has never heard, and refuses what is no word."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from course_lib.data.voices import RATE, speak
from course_lib.device import make_generator

WORDS = ("sami", "tofu", "mita", "ufa", "sota", "imu", "fasi", "tumo", "isoma", "atufi")
HEARD, STRANGER = (0, 1, 3), 2  # voices of the program


@pytest.fixture(scope="module")
def judges():
    """`benchmarks/recipes/recogniser.py`, found where the command finds it."""
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        yield import_module("recipes.recogniser")
    finally:
        sys.path.remove(folder)


def say(voice, generator):
    """Each of the ten words once: a list of (T,), cut and timed a little differently each time."""
    said = []
    for word in WORDS:
        before, behind, frames = torch.randint(6, (3,), generator=generator).tolist()
        x = speak(word, voice, generator=generator, frames_per_phone=10 + frames).x[0]
        said.append(x[80 * before : len(x) - 80 * behind])
    return said


@pytest.fixture(scope="module")
def judge(judges):
    generator = make_generator(0)
    words = [x for voice in HEARD for _ in range(6) for x in say(voice, generator)]
    digits = torch.arange(10).repeat(len(words) // 10)
    return judges.Recogniser(words, digits, RATE, generator=generator, steps=300)


@pytest.fixture(scope="module")
def strange():
    generator = make_generator(1)
    return [x for _ in range(4) for x in say(STRANGER, generator)], torch.arange(10).repeat(4)


@pytest.mark.slow
def test_it_knows_words_in_a_voice_that_it_has_not_heard_however_loud(judge, strange):
    words, digits = strange
    assert (judge(words) == digits).float().mean() > 0.8
    assert torch.equal(judge(words), judge([0.1 * x for x in words]))


@pytest.mark.slow
def test_it_refuses_silence_hiss_and_words_backwards(judge, judges, strange):
    words, _ = strange
    generator = make_generator(2)
    hissed = [judges.hiss(x, generator=generator) for x in words]
    white = [0.1 * torch.randn(4000, generator=generator) for _ in range(20)]
    assert (judge([x.flip(0) for x in words]) == judges.NONE).float().mean() > 0.8
    assert (judge(hissed + white) == judges.NONE).float().mean() > 0.9
    quiet = [torch.zeros(4000), 0.001 * torch.randn(4000, generator=generator), 0.01 * words[0]]
    assert (judge(quiet) == judges.NONE).all()


@pytest.mark.slow
def test_another_word_is_not_the_one_that_was_asked_for(judge, strange):
    words, digits = strange
    found = judge(words)
    assert all((found == (digits + other) % 10).float().mean() < 0.1 for other in range(1, 10))


def test_the_nearest_is_the_same_word_and_in_the_same_voice(judges):
    generator = make_generator(3)
    real, words = say(0, generator) + say(1, generator), say(1, generator)
    near = judges.apart(words, real, RATE).argmin(1)
    assert (near % 10 == torch.arange(10)).float().mean() >= 0.8 and (near >= 10).float().mean() >= 0.8
    assert judges.apart(real, real, RATE).diagonal().max() == 0


def test_a_spectrum_knows_neither_how_loud_nor_how_long_a_word_is(judges):
    x = say(0, make_generator(4))[0]
    spectrum = judges.log_spectrum(x, RATE)
    assert spectrum.shape == (40, 24) and torch.allclose(spectrum, judges.log_spectrum(0.05 * x, RATE), atol=1e-2)
    assert spectrum.max() - spectrum.min() == pytest.approx(judges.SPAN, abs=3)


def test_hiss_is_as_long_as_the_word_and_never_the_same(judges):
    x, generator = say(0, make_generator(5))[0], make_generator(6)
    first, second = (judges.hiss(x, generator=generator) for _ in range(2))
    assert first.shape == second.shape == x.shape and not torch.equal(first, second)
    assert first.abs().max() == pytest.approx(0.7) and torch.equal(first, judges.hiss(x, generator=make_generator(6)))


def test_strangers_are_left_out_once_each(judges, monkeypatch):
    heard = []

    class Echo:
        def __init__(self, words, digits, rate, **settings):
            heard.append(sorted({int(x[0]) for x in words}))

        def __call__(self, words):
            return torch.tensor([int(x[1]) for x in words])

    monkeypatch.setattr(judges, "Recogniser", Echo)
    voices = torch.tensor([0, 1, 2] * 4)
    words = [torch.tensor([float(v), float(n // 3)]) for n, v in enumerate(voices)]
    digits = torch.tensor([0, 0, 9] + [1] * 3 + [2] * 3 + [3] * 3)
    right = judges.strangers(words, digits, voices, RATE, generator=make_generator(0))
    assert heard == [[1, 2], [0, 2], [0, 1]] and right == {0: 1.0, 1: 1.0, 2: 0.75}


def test_it_learns_the_same_from_the_same_seed_and_disturbs_nobody(judges):
    words, digits = say(0, make_generator(7)), torch.arange(10)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one, two = (judges.Recogniser(words, digits, RATE, generator=make_generator(8), steps=2) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.net.parameters(), two.net.parameters(), strict=True))
