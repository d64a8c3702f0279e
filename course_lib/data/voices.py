"""Voices and notes at 8 kHz, made by code from a seed: endless, and what sounds is known in every frame of 10 ms."""

from dataclasses import dataclass

import numpy as np
import torch

from ..expect import expect_count, expect_generator
from .clips import FRAME, Clips
from .voice_synthesis import FORMANTS as FORMANTS  # for those who measure vowels
from .voice_synthesis import PHONES, RATE, VOICED, VOWELS, soft_ends, utter


@dataclass(frozen=True)
class Speaker:
    """A voice: what its formants are multiplied by (a shorter throat raises them), and its mean pitch in Hz."""

    name: str
    scale: float
    pitch: float


SPEAKERS = (
    Speaker("Bruno", 0.92, 95.0),
    Speaker("Adam", 1.0, 125.0),
    Speaker("Clara", 1.12, 190.0),
    Speaker("Dora", 1.2, 225.0),
)
_C, _D, _E, _F, _G, _A, _B = (220 * 2 ** (step / 12) for step in (3, 5, 7, 8, 10, 12, 14))  # equal temperament
NOTES = {  # Hz; 0 is silence, then the seven notes from middle c upwards, and four chords about it
    "·": (),
    **{name: (hertz,) for name, hertz in zip("cdefgab", (_C, _D, _E, _F, _G, _A, _B), strict=True)},
    "C": (_C, _E, _G),
    "Am": (_A / 2, _C, _E),
    "F": (_F / 2, _A / 2, _C),
    "G": (_G / 2, _B / 2, _D),
}
INSTRUMENTS = ("organ", "string")
_OVERTONES = np.array([[1, 0.5, 0.3, 0.2, 0, 0.1], [1, 0.6, 0.4, 0.3, 0.2, 0.15]])  # strengths, for each instrument
_FADING = np.array([[0, 0, 0, 0, 0, 0], [3, 4, 5, 6, 7, 8]])  # 1/s: on a string, what is high dies first
_ROOM = 0.004  # noise beside the notes, of variance 1 or so: no two periods are equal

_SCALES, _PITCHES = (np.array([getattr(speaker, what) for speaker in SPEAKERS]) for what in ("scale", "pitch"))
_LETTERS = np.array([PHONES.index(phone) for phone in "msft"])
_SYLLABLE = 10, 16  # frames that the vowel of a word takes, the upper bound not included
_CONSONANT = 7, 10
_CHANCES = 32  # numbers that decide on a clip; as many more as it has samples are its noise
_BLOCK = 256  # clips made together: enough to be fast, few enough to need little memory


def load_vowels(n: int, *, generator: torch.Generator, frames: int = 40) -> Clips:
    """Draw `n` clips of `frames` frames, each one steady vowel: `x` is (n, 80·frames) float32, 8000 samples a second.

    Vowel and speaker are random; pitch drifts and trembles by a few per cent; the three formants are those of
    Peterson and Barney (1952), times the speaker's scale, times a deviation of 3 % (one standard deviation) that is
    the clip's own. `speaker` counts in `SPEAKERS`, `label` in `PHONES`: 0, silence, in the first and last two frames.
    `local_condition` (n, frames, 11) is the phone, one-hot, then log2 of pitch over the speaker's mean: the same word
    in another voice has the same one. `pitch` is in Hz; both pitches are 0 where no vocal cords sound.

    The seed of `generator` decides everything: the first of many clips are those of a few. 400 take 1 s on one core.
    The loudest sample of a clip is 0.55 to 0.85. `voice_synthesis.py` has the synthesis, which follows Klatt (1980).

    Raises TypeError for an `n` or `frames` that is no int and a `generator` that is none, ValueError for n < 1, too
    few frames, and a generator that is not on the CPU: there, a seed gives the same sounds on every machine.
    """
    return _draw(_vowels, n, generator, frames, 10)


def load_words(n: int, *, generator: torch.Generator, frames: int = 60) -> Clips:
    """Draw `n` clips of `frames` frames, each one word of two syllables, as "sami", "ato" or "futi".

    The word is in the middle, silence around it; vowels last 100 to 150 ms, consonants 70 to 90; the pitch falls or
    rises by about a third of an octave; the formants glide from phone to phone within 40 ms. All else, errors too, is
    as in `load_vowels`.
    """
    return _draw(_words, n, generator, frames, 2 * (_SYLLABLE[1] + _CONSONANT[1]) + 2)


def load_notes(n: int, *, generator: torch.Generator, frames: int = 50) -> Clips:
    """Draw `n` clips of `frames` frames, each one note or chord of `NOTES`, on an organ or a plucked string.

    `label` counts in `NOTES`, and `local_condition` (n, frames, 12) is the same, one-hot; `speaker` counts in
    `INSTRUMENTS`; `pitch` is 0, for a chord has no single one. The sound begins in frame 2 to 5 and ends before the
    last two. All else, errors too, is as in `load_vowels`.
    """
    return _draw(_notes, n, generator, frames, 15)


def speak(
    phones: str,
    speaker: int = 0,
    *,
    generator: torch.Generator,
    pitch: float | None = None,
    frames_per_phone: int = 13,
) -> Clips:
    """Say one word, as `speak("sami", 1, generator=generator)`: Clips with n = 1, as of `load_words`.

    `phones` is any string of `PHONES`; `speaker` counts in `SPEAKERS`; the pitch falls from a sixth of an octave above
    `pitch` in Hz (default: the speaker's mean) to a sixth below. A vowel lasts `frames_per_phone` frames, another
    phone two thirds of it, and 5 frames of silence stand on either side. `generator` makes the noises and the small
    deviations of the formants.

    Raises TypeError for phones that are no string and numbers that are none; ValueError for an unknown phone, a word
    without a sound, a speaker out of range, fewer than 9 frames a phone, and a pitch outside 60 to 400 Hz.
    """
    if not isinstance(phones, str):
        raise TypeError(f'phones: expected a string such as "sami", got {type(phones).__name__}')
    if unknown := sorted(set(phones) - set(PHONES)):
        raise ValueError(
            f"phones: expected only {' '.join(PHONES)}, got {unknown[0]!r} in {phones!r}; spell with these"
        )
    if not phones.strip(PHONES[0]):
        raise ValueError(f'phones: expected at least one phone that sounds, got {phones!r}; try "sami"')
    expect_count("speaker", speaker, 0)
    if speaker >= len(SPEAKERS):
        names = ", ".join(f"{i} {one.name}" for i, one in enumerate(SPEAKERS))
        raise ValueError(f"speaker: expected 0 to {len(SPEAKERS) - 1} ({names}), got {speaker}")
    expect_count("frames_per_phone", frames_per_phone, 9)  # fewer, and a t has no time to close and burst
    pitch = SPEAKERS[speaker].pitch if pitch is None else pitch
    if not isinstance(pitch, int | float) or isinstance(pitch, bool):
        raise TypeError(f"pitch: expected Hz, a number or None for the speaker's own, got {type(pitch).__name__}")
    if not 60 <= pitch <= 400:
        raise ValueError(f"pitch: expected 60 to 400 Hz, got {pitch}; None takes the speaker's own")
    expect_generator(generator, on_cpu=True)
    lengths = [frames_per_phone if phone in VOWELS else frames_per_phone * 2 // 3 for phone in phones]
    frames = sum(lengths) + 10
    label = _word([PHONES.index(phone) for phone in phones], lengths, frames)[:, None]
    table = _chances(1, frames, generator)
    contour = np.log2(pitch / SPEAKERS[speaker].pitch) - np.linspace(-1, 1, frames)[:, None] / 6
    return Clips(**_voiced(label, contour, np.array([speaker]), table[:_CHANCES], table[_CHANCES:]))


def _draw(make, n, generator, frames, least):
    expect_count("n", n)
    expect_count("frames", frames, least)  # fewer leave no room for the sound
    expect_generator(generator, on_cpu=True)
    table = _chances(n, frames, generator)
    blocks = np.split(table, range(_BLOCK, n, _BLOCK), axis=1)
    parts = [make(block[:_CHANCES], block[_CHANCES:], frames) for block in blocks]
    return Clips(**{field: torch.cat([part[field] for part in parts]) for field in parts[0]})


def _chances(n, frames, generator):
    # A row for each clip, drawn row by row, so that many clips begin with those of a few; then time comes first.
    return torch.rand(n, _CHANCES + frames * FRAME, dtype=torch.float64, generator=generator).numpy().T


def _vowels(chance, noise, frames):
    time = np.arange(frames)[:, None]
    label = np.where((time >= 2) & (time < frames - 2), 1 + _whole(chance[0], 0, len(VOWELS)), 0)
    tremble = np.sin(2 * np.pi * ((4 + 2 * chance[1]) * time * FRAME / RATE + chance[2]))  # 4 to 6 times a second
    drift = (chance[3] - 0.5) * (time / frames - 0.5)
    contour = 0.04 * _normal(chance[4]) + 0.12 * drift + 0.015 * tremble
    return _voiced(label, contour, _whole(chance[5], 0, len(SPEAKERS)), chance, noise)


def _words(chance, noise, frames):
    labels = []
    lengths = np.array([_whole(chance[i], *bounds) for i, bounds in enumerate((_CONSONANT, _SYLLABLE) * 2)])
    lengths[0] *= chance[4] < 0.8  # one word in five begins with its vowel
    consonants, vowels = _LETTERS[_whole(chance[6:8], 0, 4)], 1 + _whole(chance[8:10], 0, len(VOWELS))
    for i in range(chance.shape[1]):
        phones = [consonants[0, i], vowels[0, i], consonants[1, i], vowels[1, i]]
        labels.append(_word(phones, lengths[:, i], frames))
    slope = np.where(chance[10] < 0.5, -1, 1) * (0.25 + 0.2 * chance[11])
    contour = 0.04 * _normal(chance[12]) + slope * np.linspace(-0.5, 0.5, frames)[:, None]
    return _voiced(np.stack(labels, 1), contour, _whole(chance[5], 0, len(SPEAKERS)), chance, noise)


def _word(phones, lengths, frames):
    """The phones one after the other, in the middle of `frames`: (F,)."""
    word = np.repeat(phones, lengths)
    before = (frames - len(word)) // 2
    return np.pad(word, (before, frames - len(word) - before))


def _voiced(label, contour, speaker, chance, noise):
    """The fields of Clips for `label` (F, N), said with pitch `contour` (F, N), octaves above the speaker's mean."""
    pitch = _PITCHES[speaker] * 2**contour
    scale = _SCALES[speaker] * np.exp(0.03 * _normal(chance[20:23]))
    sounding = np.isin(label, VOICED)
    told = np.concatenate([_one_hot(label, len(PHONES)), (contour * sounding)[..., None]], -1)
    sound = utter(label, pitch, scale, _white(noise))
    return _fields(sound, chance, speaker, label, told, pitch * sounding)


def _notes(chance, noise, frames):
    name, instrument = 1 + _whole(chance[0], 0, len(NOTES) - 1), _whole(chance[1], 0, len(INSTRUMENTS))
    frame, start = np.arange(frames)[:, None], _whole(chance[2], 2, 6)
    label = np.where((frame >= start) & (frame < frames - 2), name, 0)
    seconds = np.maximum(np.arange(frames * FRAME)[:, None] / RATE - start * FRAME / RATE, 0)
    sound = _ROOM * _white(noise)
    for voice in range(3):  # of a chord; a single note has one, the others are silent
        hertz = np.array([(*one, 0, 0, 0)[voice] for one in NOTES.values()])[name]
        for k in range(_OVERTONES.shape[1]):
            strength = _OVERTONES[instrument, k] * np.exp(-seconds * _FADING[instrument, k] * (0.8 + 0.4 * chance[3]))
            turns = (k + 1) * hertz * seconds + chance[4 + voice] + k**2 / 6  # apart, the overtones have no common peak
            sound += strength * np.sin(2 * np.pi * turns) * (hertz > 0)
    sound *= np.where(instrument == 0, soft_ends(label, 30), soft_ends(label, 8))
    return _fields(sound, chance, instrument, label, _one_hot(label, len(NOTES)), np.zeros(label.shape))


def _fields(sound, chance, speaker, label, told, pitch):
    """What time-first arrays are in Clips: the clip comes first."""
    sound = sound * ((0.55 + 0.3 * chance[23]) / np.abs(sound).max(0))
    x, local, pitch = (
        torch.from_numpy(np.array(a.swapaxes(0, 1), np.float32, order="C")) for a in (sound, told, pitch)
    )
    label = torch.from_numpy(np.array(label.T, np.int64, order="C"))
    return {"x": x, "speaker": torch.from_numpy(speaker), "label": label, "local_condition": local, "pitch": pitch}


def _one_hot(label, many):
    return label[..., None] == np.arange(many)


def _whole(chance, low, high):
    """Whole numbers from `low` to `high` − 1 out of chances in [0, 1)."""
    return (low + chance * (high - low)).astype(np.int64)


def _normal(chance):
    """Normal numbers out of chances in [0, 1): mean 0, variance 1, none beyond 2.5."""
    return torch.special.ndtri(torch.tensor(chance)).clamp(-2.5, 2.5).numpy()


def _white(chance):
    return (chance - 0.5) * 12**0.5  # mean 0, variance 1
