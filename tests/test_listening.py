"""The judges of voices: what is real is right, what cheats is not, and no cheat is better than real."""

from dataclasses import replace

import pytest
import torch

from course_lib.data import load_notes, load_words
from course_lib.data.clips import FRAME, Clips
from course_lib.data.voices import PHONES, speak
from course_lib.data.waveforms import mu_law_decode, mu_law_encode
from course_lib.device import make_generator
from course_lib.measure.harmonics import harmonic_share, in_tune, note_share
from course_lib.measure.listening import TRAITS, Listener, burst_levels, segments, unlike

T = PHONES.index("t")


@pytest.fixture(scope="module")
def listener():
    return Listener(load_words(200, generator=make_generator(5)))


@pytest.fixture(scope="module")
def real():
    return load_words(60, generator=make_generator(6))


def hiss(clips, level=0.1):
    return replace(clips, x=level * torch.randn(clips.x.shape, generator=make_generator(0)))


def said(word, n, seed):
    generator = make_generator(seed)
    each = [speak(word, 1, generator=generator) for _ in range(n)]
    names = ("x", "speaker", "label", "local_condition", "pitch")
    return Clips(**{name: torch.cat([getattr(one, name) for one in each]) for name in names})


def test_real_words_are_understood_at_any_volume(listener, real):
    assert listener.words_right(real).float().mean() > 0.9
    quiet = listener.words_right(replace(real, x=0.1 * real.x)).float().mean()
    assert quiet == listener.words_right(real).float().mean()
    levels = replace(real, x=mu_law_decode(mu_law_encode(real.x)))
    assert listener.words_right(levels).float().mean() > 0.85


def test_hiss_silence_and_other_words_are_not(listener, real):
    shifted = replace(real, x=real.x.roll(1, 0))
    for wrong in hiss(real), replace(real, x=0 * real.x), shifted:
        assert listener.words_right(wrong).float().mean() < 0.1


def test_a_t_that_stays_silent_is_no_t(listener, real):
    x = real.x.clone()
    ts = [(n, b) for n, phones in enumerate(segments(real)) for phone, _, b in phones if phone == T]
    for n, b in ts:
        x[n, (b - 4) * FRAME : b * FRAME] = 0
    right = listener.phones_right(replace(real, x=x))
    pairs = [pair for n, phones in enumerate(segments(real)) for pair in zip(phones, right[n], strict=True)]
    of_t, other = ([ok for (phone, _, _), ok in pairs if (phone == T) == yes] for yes in (True, False))
    assert len(of_t) == len(ts) == len(burst_levels(real)) > 20
    assert sum(of_t) <= len(of_t) / 10
    assert sum(other) > 0.95 * len(other), "and nothing else has changed"


def test_a_burst_has_the_level_that_it_was_given():
    """A click of noise in the last frames of a t; the rest of the clip is a tone of known power below 2 kHz."""
    label = torch.zeros(1, 20, dtype=torch.long)
    label[0, 3:10], label[0, 10:17] = T, PHONES.index("a")
    tone = 0.5 * torch.sin(2 * torch.pi * 500 / 8000 * torch.arange(20 * FRAME))
    tone[: 10 * FRAME] = 0
    levels = []
    for strength in (0.05, 0.1, 0.2):
        x = tone.clone()
        at = torch.arange(FRAME)
        x[9 * FRAME : 10 * FRAME] += strength * torch.sin(2 * torch.pi * 3000 / 8000 * at)
        zeros = torch.zeros(1, 20)
        clips = Clips(
            x=x[None], speaker=torch.zeros(1).long(), label=label, local_condition=zeros[..., None], pitch=zeros
        )
        levels.append(burst_levels(clips).item())
    steps = torch.tensor(levels).diff()
    assert ((steps - 6.02).abs() < 0.6).all(), f"twice as strong is 6 dB more, got {levels}"


def test_two_draws_of_one_distribution_are_alike_and_every_cheat_is_not():
    normal = torch.randn(4000, generator=make_generator(0))
    other = torch.randn(1000, generator=make_generator(1))
    assert unlike(other, normal) < 0.1
    assert abs(unlike(torch.zeros(50), normal) - 0.8) < 0.05, "the centre for ever"
    assert abs(unlike(2 * other, normal) - 0.8) < 0.1, "too wide is as bad as too narrow"
    assert abs(unlike(other + 1, normal) - 1) < 0.1
    assert unlike(0.3 * other, normal) > 0.4, "blurred means"
    with pytest.raises(ValueError, match="differ"):
        unlike(other, torch.ones(5))


def test_a_collapsed_speaker_loses_to_a_real_one(listener):
    """One typical word for ever is clear, the mean of many is not, and neither is natural, by every spread."""
    many, fresh = said("tosami", 90, 0), said("tosami", 90, 1)
    real = listener.traits(many)
    middle = real["F1"].view(90, 3).abs().add(real["F2"].view(90, 3).abs()).sum(1).argmin().item()
    copies = many[torch.tensor([middle] * 90)]
    mean = replace(many, x=many.x.mean(0, keepdim=True).expand(90, -1).contiguous())
    honest = {name: unlike(values, real[name]) for name, values in listener.traits(fresh).items()}
    assert listener.words_right(copies).all()
    for cheat in copies, mean:
        found = {name: unlike(values, real[name]) for name, values in listener.traits(cheat).items()}
        assert set(found) == set(TRAITS)
        for name in "F1", "F2", "burst of t", "level of s":
            assert found[name] > honest[name] + 0.1, (name, found, honest)
        assert sum(found.values()) > 2 * sum(honest.values())


def test_harmonic_share_is_the_share():
    """A tone of 120 Hz with overtones, and noise of a tenth and of nine times its power."""
    time = torch.arange(8000) / 8000
    voice = sum(torch.cos(2 * torch.pi * 120 * k * time) for k in range(1, 9))
    voice = voice / voice.square().mean().sqrt()
    noise = torch.randn(8000, generator=make_generator(0))
    pitch = torch.full((1, 100), 120.0)
    for power in 0.0, 0.1, 1.0, 9.0:
        share = harmonic_share((voice + power**0.5 * noise)[None] / 50, pitch).item()
        assert abs(share - 1 / (1 + power)) < 0.1, (power, share)
    assert in_tune(voice[None] / 50, pitch).all() and in_tune(voice[None] / 50, 1.03 * pitch).all()
    assert not in_tune(voice[None] / 50, 1.15 * pitch).any()
    assert not in_tune(0 * voice[None], pitch).any()
    assert harmonic_share(voice[None] / 50, 0 * pitch).isnan().all(), "no voice was asked for"


def test_note_share_is_the_share():
    notes = load_notes(40, generator=make_generator(0), frames=48)
    assert note_share(notes).min() > 0.99
    assert note_share(hiss(notes)).mean() < 0.06
    both = replace(notes, x=notes.x / notes.x.square().mean(1, keepdim=True).sqrt() * 0.1 + hiss(notes).x)
    assert abs(note_share(both).mean() - 0.5) < 0.1
    assert note_share(replace(notes, x=notes.x.roll(1, 0))).mean() < 0.6
