"""Voices: what the labels say is what can be measured in the sound: pitch, formants, hiss, silence, notes."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz

from course_lib.data.clips import FRAME, Clips
from course_lib.data.voices import (
    FORMANTS,
    INSTRUMENTS,
    NOTES,
    PHONES,
    RATE,
    SPEAKERS,
    VOWELS,
    load_notes,
    load_vowels,
    load_words,
    speak,
)
from course_lib.device import make_generator

LOADERS = {load_vowels: (len(PHONES) + 1, 40), load_words: (len(PHONES) + 1, 60), load_notes: (len(NOTES), 50)}


@pytest.fixture(scope="module")
def vowels():
    return load_vowels(400, generator=make_generator(0))


@pytest.fixture(scope="module")
def words():
    return load_words(200, generator=make_generator(0))


@pytest.fixture(scope="module")
def notes():
    return load_notes(150, generator=make_generator(0))


def same(a, b):
    return all(
        getattr(a, name).equal(getattr(b, name)) for name in ("x", "speaker", "label", "local_condition", "pitch")
    )


def measured_formants(x):
    """Resonances of a vowel in Hz, by linear prediction (Atal & Hanauer 1971): those less than 400 Hz wide."""
    x = np.append(x[0], x[1:] - 0.97 * x[:-1]) * np.hamming(len(x))
    r = np.correlate(x, x, "full")[len(x) - 1 :][:11]
    roots = np.roots(np.append(1, -solve_toeplitz(r[:-1], r[1:])))
    hertz, width = np.angle(roots) * RATE / (2 * np.pi), -np.log(abs(roots)) * RATE / np.pi
    return np.sort(hertz[(hertz > 150) & (width < 400)])


def measured_pitch(x, near):
    """Where `x` is most like itself later, in Hz, within half an octave of `near`."""
    lags = np.arange(int(RATE / near / 1.4), int(RATE / near * 1.4) + 2)
    kept = len(x) - lags[-1]
    parts = np.stack([x[lag : lag + kept] for lag in lags])
    r = parts @ x[:kept] / np.linalg.norm(parts, axis=1)
    i = r[1:-1].argmax() + 1
    return RATE / (lags[i] + (r[i - 1] - r[i + 1]) / (2 * (r[i - 1] - 2 * r[i] + r[i + 1])))


def loudness(clips):
    """Of each frame, in dB of the loudest possible: (N, F)."""
    return 10 * (clips.x.reshape(len(clips), -1, FRAME).double().square().mean(2) + 1e-12).log10()


def share_above(x, hertz):
    """How much of the energy of `x` is above `hertz`."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    return power[int(hertz / RATE * len(x)) :].sum() / power.sum()


def runs(label):
    """Each stretch of one label in (F,): label, first frame, the frame after the last."""
    edges = [0, *(np.flatnonzero(np.diff(label)) + 1), len(label)]
    return [(label[a], a, b) for a, b in pairwise(edges)]


# --- their form ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("n", [1, 3])
def test_clips_have_their_shapes(load, n):
    channels, frames = LOADERS[load]
    for more in ({}, {"frames": 71}):
        clips, F = load(n, generator=make_generator(n), **more), more.get("frames", frames)
        assert isinstance(clips, Clips) and clips.rate == RATE == 100 * FRAME
        assert clips.x.shape == (n, F * FRAME) and clips.local_condition.shape == (n, F, channels)
        assert clips.speaker.shape == (n,) and clips.label.shape == clips.pitch.shape == (n, F)
        assert clips.x.dtype == clips.local_condition.dtype == clips.pitch.dtype == torch.float32
        assert clips.speaker.dtype == clips.label.dtype == torch.long
        assert all(t.is_contiguous() for t in (clips.x, clips.speaker, clips.label, clips.local_condition, clips.pitch))


@pytest.mark.parametrize("load", LOADERS)
def test_the_seed_is_the_only_chance(load):
    torch.manual_seed(7)
    once = load(6, generator=make_generator(0))
    torch.manual_seed(8)
    assert same(once, load(6, generator=make_generator(0)))
    assert not same(once, load(6, generator=make_generator(1)))
    generator = make_generator(0)
    load(6, generator=generator)
    assert not same(once, load(6, generator=generator)), "a generator goes on"


def test_the_first_of_many_are_those_of_a_few(vowels, words, notes):
    for load, many in ((load_vowels, vowels), (load_words, words), (load_notes, notes)):
        for n in (1, 5, 40):
            few = load(n, generator=make_generator(0))
            assert few.label.equal(many.label[:n]) and few.speaker.equal(many.speaker[:n])
            torch.testing.assert_close(few.x, many.x[:n], rtol=0, atol=1e-6)
    across = load_vowels(258, generator=make_generator(0), frames=10)  # two blocks
    few = load_vowels(257, generator=make_generator(0), frames=10)
    torch.testing.assert_close(few.x, across.x[:257], rtol=0, atol=1e-6)


def test_loudness_is_in_range(vowels, words, notes):
    for clips in (vowels, words, notes):
        peak = clips.x.abs().amax(1)
        assert peak.min() > 0.5 and peak.max() < 0.9
        assert clips.x.mean(1).abs().max() < 0.02, "no clip leans to one side"


def test_silence_is_silent_and_sound_sounds(vowels, words, notes):
    for clips in (vowels, words, notes):
        silent, loud = clips.label == 0, loudness(clips)
        assert silent[:, :2].all() and silent[:, -2:].all(), "a clip begins and ends in silence"
        assert loud[silent].max() < -50, f"silence: {loud[silent].max():.0f} dB"
        steady = ~silent & (clips.label != PHONES.index("t") if clips is words else True)
        steady[:, 1:-1] &= ~silent[:, 2:] & ~silent[:, :-2]
        assert loud[steady].min() > -45, f"the softest frame with sound: {loud[steady].min():.0f} dB"


def test_no_clip_clicks(vowels):
    """A click is a step: of the changes between samples in a vowel, none stands out from its period's."""
    step = vowels.x.diff(2).abs().unfold(1, 800, 400).amax(2)[:, 1:-1]  # the largest in each 100 ms
    assert (step.amax(1) / step.median(1).values).max() < 2.5


def test_local_says_the_phone_and_the_relative_pitch(vowels, words, notes):
    for clips in (vowels, words):
        assert (
            clips.local_condition[..., :-1].argmax(-1).equal(clips.label)
            and clips.local_condition[..., :-1].sum(-1).eq(1).all()
        )
        mean = torch.tensor([s.pitch for s in SPEAKERS])[clips.speaker][:, None]
        voiced = clips.pitch > 0
        assert voiced.equal((clips.label >= 1) & (clips.label <= PHONES.index("m")))
        torch.testing.assert_close((mean * 2 ** clips.local_condition[..., -1])[voiced], clips.pitch[voiced])
        assert clips.local_condition[..., -1][~voiced].eq(0).all()
    assert (
        notes.local_condition.argmax(-1).equal(notes.label)
        and notes.local_condition.sum(-1).eq(1).all()
        and notes.pitch.eq(0).all()
    )


def test_everyone_says_everything(vowels, words, notes):
    assert set(vowels.label[:, 20].tolist()) == {PHONES.index(v) for v in VOWELS}
    assert set(words.label.flatten().tolist()) == set(range(len(PHONES)))
    assert set(notes.label[:, 20].tolist()) == set(range(1, len(NOTES)))
    assert set(notes.speaker.tolist()) == set(range(len(INSTRUMENTS)))
    assert set(vowels.speaker.tolist()) == set(words.speaker.tolist()) == set(range(len(SPEAKERS)))


# --- what can be measured -----------------------------------------------------------------------------------


def test_the_pitch_is_the_labels(vowels):
    errors = []
    for clip, hertz in zip(vowels.x.double().numpy(), vowels.pitch.numpy(), strict=True):
        near = hertz[16:21].mean()  # 50 ms, in which the pitch hardly moves
        errors.append(measured_pitch(clip[16 * FRAME : 21 * FRAME], near) / near - 1)
    errors = np.abs(errors)
    print(f"pitch: {np.median(errors):.2%} off in the median, {errors.max():.2%} at most")
    assert np.median(errors) < 0.004 and errors.max() < 0.02


def test_the_formants_are_the_tables_and_tell_the_vowels_apart(vowels):
    """Between the harmonics of a high voice nothing sounds, so nothing can be measured: the bounds are wider there."""
    table = np.array([FORMANTS[v][:2] for v in VOWELS])
    vowel = vowels.label[:, 20].numpy() - 1
    found = [measured_formants(x[800:2400]) for x in vowels.x.double().numpy()]
    assert min(map(len, found)) >= 2, "two formants in every vowel"
    found = np.stack([f[:2] for f in found])
    for number, speaker in enumerate(SPEAKERS):
        mine = vowels.speaker.numpy() == number
        ratio = np.log(found[mine][:, None] / (table * speaker.scale))  # (n, vowel, formant)
        right = np.mean((ratio**2).sum(2).argmin(1) == vowel[mine])
        error = np.abs(ratio[np.arange(mine.sum()), vowel[mine]])
        print(f"{speaker.name}: {right:.1%} told apart; off by {np.median(error, 0)} in the median")
        assert right >= 0.95
        within, share = (0.12, 0.95) if speaker.pitch < 150 else (0.25, 0.95)
        assert np.mean(error < within) >= share and np.median(error) < 0.06
        spread = np.array([np.log(found[mine & (vowel == v)]).std(0) for v in range(len(VOWELS))])
        assert 0.015 < np.median(spread) < 0.05, f"a class's spread is near the 3 % drawn, got {np.median(spread):.3f}"


def test_hiss_is_high_and_a_hum_is_low(words):
    shares = {phone: [] for phone in PHONES[1:]}
    level = {phone: [] for phone in PHONES[1:]}
    for clip, label, loud in zip(words.x.double().numpy(), words.label.numpy(), loudness(words).numpy(), strict=True):
        for phone, a, b in runs(label)[1:-1]:
            shares[PHONES[phone]].append(share_above(clip[(a + 2) * FRAME : (b - 2) * FRAME], 2000))
            level[PHONES[phone]].append(np.median(loud[a + 2 : b - 2]))
    share = {phone: np.median(values) for phone, values in shares.items()}
    level = {phone: np.median(values) for phone, values in level.items()}
    print("above 2 kHz:", {p: f"{s:.3f}" for p, s in share.items()}, "dB:", {p: f"{v:.0f}" for p, v in level.items()})
    assert np.quantile(shares["s"], 0.05) > 0.8 and share["m"] < 0.005
    assert 0.3 < share["f"] < share["s"], "f is broad"
    assert level["f"] + 3 < level["s"] < level["a"] and level["m"] + 3 < level["a"]


def test_a_t_is_a_silence_and_a_burst(words):
    for label, loud in zip(words.label.numpy(), loudness(words).numpy(), strict=True):
        for phone, a, b in runs(label):
            if PHONES[phone] == "t":
                closed, burst = loud[a + 2 : b - 4], loud[b - 3]
                assert closed.max() < -30 and burst > -30 and burst > closed.max() + 6


def test_labels_are_where_the_sound_changes(words):
    """The voice starts and ends at the borders of the labels: within 20 ms."""
    level = words.x.double().square().unfold(1, 160, 20).mean(2)  # 20 ms, every 2.5 ms
    for i, label in enumerate(words.label.numpy()):
        sound = np.flatnonzero(level[i] > level[i].max() * 1e-4)
        start, end = np.flatnonzero(label)[[0, -1]]
        ends = (sound[-1] * 20 + 80) / FRAME
        assert abs(ends - end - 1) <= 2
        if PHONES[label[start]] != "t":
            assert abs((sound[0] * 20 + 80) / FRAME - start) <= 2
    low = np.abs(np.fft.rfft(words.x.numpy().reshape(len(words), -1, FRAME) * np.hanning(FRAME)))[..., 1:10].sum(
        -1
    )  # < 1 kHz
    for label, hum in zip(words.label.numpy(), low, strict=True):
        for (before, _, _), (after, border, _) in pairwise(runs(label)[1:-1]):
            voiced, hiss = (hum[border - 3], hum[border + 2])[:: 1 if PHONES[after] in "sft" else -1]
            if PHONES[after] in "sf" or PHONES[before] in "sf":
                assert voiced > 3 * hiss, "the hum of the voice is on the vowel's side of the border"


@pytest.mark.parametrize("name", list(NOTES)[1:])
def test_notes_ring_where_they_should(notes, name):
    which = torch.nonzero(notes.label[:, 20] == list(NOTES).index(name)).flatten()
    assert len(which) >= 4
    for clip in notes.x[which].double().numpy():
        power = np.abs(np.fft.rfft(clip[480:3600] * np.hanning(3120), 65536))
        hertz = np.arange(len(power)) * RATE / 65536
        for tone in NOTES[name]:
            around = np.flatnonzero(abs(hertz / tone - 1) < 0.03)
            peak = around[power[around].argmax()]
            assert abs(hertz[peak] / tone - 1) < 0.01 and power[peak] > 0.2 * power.max()


# --- a given word -------------------------------------------------------------------------------------------


def test_a_word_is_spoken_as_given():
    clip = speak("sami", 1, generator=make_generator(0))
    assert [PHONES[p] for p, _, _ in runs(clip.label[0].numpy())] == ["·", "s", "a", "m", "i", "·"]
    assert clip.speaker.tolist() == [1] and same(clip, speak("sami", 1, generator=make_generator(0)))
    assert len(clip) == 1 and clip.x.shape[1] == FRAME * clip.label.shape[1] and 0.5 < clip.x.abs().max() < 0.9
    assert clip.pitch[clip.pitch > 0].log2().mean() == pytest.approx(np.log2(SPEAKERS[1].pitch), abs=0.1)


def test_another_voice_says_the_same():
    one, other = (speak("to·fu", k, generator=make_generator(0)) for k in (0, 3))
    torch.testing.assert_close(one.local_condition, other.local_condition)
    assert one.label.equal(other.label) and not one.x.equal(other.x)
    assert other.pitch.max() / one.pitch.max() == pytest.approx(SPEAKERS[3].pitch / SPEAKERS[0].pitch)


def test_pitch_and_pace_are_as_told():
    slow = speak("a", 0, generator=make_generator(0), pitch=150, frames_per_phone=40)
    assert (slow.label[0] > 0).sum() == 40
    assert measured_pitch(slow.x[0, 23 * FRAME : 27 * FRAME].double().numpy(), 150) == pytest.approx(150, rel=0.02)
    assert slow.local_condition[0, 25, -1] == pytest.approx(np.log2(150 / SPEAKERS[0].pitch), abs=0.02)
    assert (speak("o", 2, generator=make_generator(0), frames_per_phone=9).label[0] > 0).sum() == 9


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"frames": 8}, ValueError, "frames: expected a whole number ≥ "),
        ({"generator": None}, TypeError, "generator: expected a torch.Generator, got NoneType; make_generator(seed)"),
    ],
)
def test_what_cannot_be_drawn_is_told(load, change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        load(**{"n": 2, "generator": make_generator(0)} | change)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"phones": None}, TypeError, 'phones: expected a string such as "sami", got NoneType'),
        ({"phones": "salz"}, ValueError, "phones: expected only · a e i o u m s f t, got 'l' in 'salz'"),
        ({"phones": "Sami"}, ValueError, "got 'S' in 'Sami'"),
        ({"phones": ""}, ValueError, "phones: expected at least one phone that sounds, got ''"),
        ({"phones": "··"}, ValueError, "phones: expected at least one phone that sounds, got '··'"),
        ({"speaker": 4}, ValueError, "speaker: expected 0 to 3 (0 Bruno, 1 Adam, 2 Clara, 3 Dora), got 4"),
        ({"speaker": "Adam"}, TypeError, "speaker: expected a whole number ≥ 0, got str 'Adam'"),
        ({"pitch": "high"}, TypeError, "pitch: expected Hz, a number or None for the speaker's own, got str"),
        ({"pitch": 20}, ValueError, "pitch: expected 60 to 400 Hz, got 20; None takes the speaker's own"),
        ({"pitch": float("nan")}, ValueError, "pitch: expected 60 to 400 Hz, got nan"),
        ({"frames_per_phone": 3}, ValueError, "frames_per_phone: expected a whole number ≥ 9, got 3"),
        ({"generator": 0}, TypeError, "generator: expected a torch.Generator, got int; make_generator(seed) makes one"),
    ],
)
def test_what_cannot_be_said_is_told(change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        speak(**{"phones": "sami", "speaker": 1, "generator": make_generator(0)} | change)
