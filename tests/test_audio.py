"""Sound as numbers is exact against its definitions, and what is not a sound is refused with a way out."""

import contextlib
import io
import math
import struct
import wave

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from scipy.signal import lfilter

from course_lib.data.waveforms import mu_law_decode, mu_law_encode, read_wav
from course_lib.device import make_generator
from course_lib.measure.speech import formants, lpc, snr
from course_lib.show.catch import render
from course_lib.show.sounds import Sound, show_sounds, sound

RATE = 8000


# --- mu-law -------------------------------------------------------------------------------------------------


def encode_as_defined(x, levels):
    mu = levels - 1
    f = math.copysign(math.log(1 + mu * abs(x)) / math.log(1 + mu), x)
    return math.floor(mu * (f + 1) / 2 + 0.5)


def decode_as_defined(k, levels):
    mu = levels - 1
    y = 2 * k / mu - 1
    return math.copysign(((1 + mu) ** abs(y) - 1) / mu, y)


@pytest.mark.parametrize("levels", [2, 3, 16, 255, 256, 65536])
def test_mu_law_is_its_definition(levels):
    k = torch.arange(levels)
    x = mu_law_decode(k, levels)
    expected = torch.tensor([decode_as_defined(one, levels) for one in k.tolist()], dtype=torch.float64)
    assert x.dtype == torch.float32
    assert torch.allclose(x.double(), expected, rtol=1e-6, atol=0)
    some = torch.rand(5000, generator=make_generator(0), dtype=torch.float64) * 2 - 1
    some = torch.cat([some, some**5, torch.tensor([-1.0, -1e-9, 0.0, 1e-9, 1.0])])
    given = mu_law_encode(some, levels)
    assert given.dtype == torch.long
    assert given.tolist() == [encode_as_defined(one, levels) for one in some.tolist()]
    assert mu_law_encode(some.float(), levels).tolist() == [
        encode_as_defined(one, levels) for one in some.float().tolist()
    ], "float32 samples, too, get the level of the exact formula"


@pytest.mark.parametrize("levels", [2, 3, 16, 255, 256, 65536])
def test_each_level_comes_back_and_stands_in_the_order_of_its_sample(levels):
    k = torch.arange(levels)
    x = mu_law_decode(k, levels)
    assert torch.equal(mu_law_encode(x, levels), k)
    assert (x.diff() > 0).all() and x[0] == -1 and x[-1] == 1
    assert torch.equal(x, -x.flip(0)), "what is loud is as loud on either side"


def test_a_level_is_the_middle_of_its_cell():
    x = torch.linspace(-1, 1, 2_000_001, dtype=torch.float64)
    f = x.sign() * torch.log1p(255 * x.abs()) / math.log(256)
    levels = mu_law_encode(x)
    assert (levels.diff() >= 0).all()
    for k in range(1, 255):
        cell = f[levels == k]
        assert abs((cell.min() + cell.max()) / 2 - (2 * k / 255 - 1)) < 2e-4, k


def test_silence_has_a_level():
    assert mu_law_encode(torch.zeros(3)).tolist() == [128] * 3
    assert mu_law_encode(torch.tensor([-0.0])).item() == 128
    assert 0 < mu_law_decode(torch.tensor(128)) < 1e-4
    assert mu_law_encode(torch.zeros(1), 255).item() == 127 and mu_law_decode(torch.tensor(127), 255) == 0


def test_mu_law_takes_any_shape():
    x = torch.rand(2, 1, 5, generator=make_generator(0))
    assert mu_law_encode(x).shape == mu_law_decode(mu_law_encode(x)).shape == (2, 1, 5)
    assert mu_law_encode(torch.tensor(0.5)).shape == () and mu_law_encode(torch.zeros(0)).shape == (0,)
    assert torch.equal(mu_law_encode(x[0, 0].requires_grad_()), mu_law_encode(x[0, 0]))


def linear(x, levels=256):
    return ((x + 1) / 2 * (levels - 1)).round() / (levels - 1) * 2 - 1


def test_mu_law_hears_the_quiet_and_linear_does_not():
    tone = torch.sin(2 * math.pi * 441 * torch.arange(RATE) / RATE)
    for loud, mu_law_at_least in [(1.0, 36), (0.1, 33), (0.01, 22)]:
        x = loud * tone
        ours, theirs = snr(x, mu_law_decode(mu_law_encode(x))), snr(x, linear(x))
        assert ours > mu_law_at_least, loud
        # a uniform quantiser: 6.02 dB a bit + 1.76 dB for a full sine, and dB for dB less for a quieter one
        assert theirs == pytest.approx(20 * math.log10(loud * 255 * math.sqrt(1.5)), abs=3), loud
        assert (ours > theirs) == (loud < 0.5), "μ-law pays at full volume for what it gains below"


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (torch.tensor([0.5, -1.5]), ValueError, r"\[-1, 1\], got one of size 1.5; divide by it, x / "),
        (torch.tensor([0.5, math.nan]), ValueError, "finite samples, got 1 of 2"),
        (torch.tensor([-math.inf]), ValueError, "finite samples, got 1 of 1"),
        (torch.tensor([5, 3], dtype=torch.int16), TypeError, "torch.int16; x / 32768 converts 16-bit PCM"),
        (torch.tensor([1j]), TypeError, "complex"),
        (np.zeros(3), TypeError, "expected a torch.Tensor, got ndarray; torch.as_tensor"),
    ],
)
def test_what_is_no_waveform_is_refused(x, error, says):
    with pytest.raises(error, match=says):
        sound(x)


@pytest.mark.parametrize("function", [mu_law_encode, lambda x: snr(x, torch.ones(2))])
def test_what_else_takes_a_waveform_refuses_the_same(function):
    with pytest.raises(ValueError, match="finite samples, got 1 of 2"):
        function(torch.tensor([0.5, math.nan]))


def test_wrong_levels_are_refused():
    for levels in (1, 0, -3, 2.5, "256"):
        with pytest.raises((TypeError, ValueError), match="levels: expected a whole number ≥ 2"):
            mu_law_encode(torch.zeros(2), levels)
        with pytest.raises((TypeError, ValueError), match="levels: expected a whole number ≥ 2"):
            mu_law_decode(torch.zeros(2).long(), levels)
    for k in (256, -1):
        with pytest.raises(ValueError, match="levels 0 to 255, got"):
            mu_law_decode(torch.tensor([3, k]))
    with pytest.raises(TypeError, match=r"torch.long, got torch.float32; k.long\(\)"):
        mu_law_decode(torch.tensor([3.0]))
    with pytest.raises(TypeError, match="got list"):
        mu_law_decode([3])


# --- files --------------------------------------------------------------------------------------------------


def wav(data, width=2, channels=1, rate=RATE):
    """A WAV file, as bytes, that holds `data`, bytes of PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(channels), written.setsampwidth(width), written.setframerate(rate)
        written.writeframes(data)
    return file.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_read_wav_reads_every_width(put, width):
    half = 2 ** (8 * width - 1)
    numbers = [-half, -half // 2, -1, 0, 1, half // 4, half - 1]
    shift = half if width == 1 else 0  # 8 bits have no sign
    data = b"".join((n + shift).to_bytes(width, "little", signed=width > 1) for n in numbers)
    x = read_wav(put(wav(data, width)))
    assert x.dtype == torch.float32 and x.shape == (7,)
    assert torch.equal(x, torch.tensor([n / half for n in numbers], dtype=torch.float64).float())
    assert read_wav(str(put(wav(data, width)))).shape == (7,)


NUMBERS = default_rng(0).integers(-(2**15), 2**15, 300).astype("<i2")


@pytest.mark.parametrize("padding", [b"", b"LIST\x04\x00\x00\x00abcd"], ids=["plain", "with-a-comment"])
def test_a_file_cut_anywhere_is_refused(put, padding):
    whole = wav(NUMBERS.tobytes())
    whole = whole[:36] + padding + whole[36:]
    whole = whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
    assert torch.equal(read_wav(put(whole)), torch.from_numpy(NUMBERS.astype(np.float32) / 2**15))
    for length in range(len(whole)):
        with pytest.raises(
            ValueError, match=r"clip\.wav: (not a WAV file|cut: its header promises 300 samples, \d+ are)"
        ):
            read_wav(put(whole[:length]))


def test_a_file_with_changed_bytes_is_read_or_refused_and_nothing_else(put):
    whole, chance = wav(NUMBERS[:20].tobytes()), default_rng(0)
    for _ in range(2000):
        changed = bytearray(whole)
        for place in chance.integers(0, 44, chance.integers(1, 4)):
            changed[place] = chance.choice([0, 1, 255, chance.integers(256)])
        with contextlib.suppress(ValueError):
            x = read_wav(put(changed))
            assert x.dim() == 1 and x.abs().max() <= 1, changed


def with_format(number, bits=16):
    """A WAV file that says it holds another format than PCM (1), or samples of other bits."""
    whole = bytearray(wav(NUMBERS.tobytes()))
    whole[20:22] = struct.pack("<H", number)
    whole[34:36] = struct.pack("<H", bits)
    return bytes(whole)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a WAV file"),
        (b"\x89PNG" + bytes(100), r"not a WAV file, which begins with RIFF: it begins with b'.x89PNG"),
        (b"ID3" + bytes(100), "not a WAV file"),
        (b"RIFF\x64\0\0\0AVI " + bytes(100), "not a WAV file"),
        (wav(b""), "holds no samples"),
        (wav(bytes(40), channels=2), r"expected one channel, got 2; `ffmpeg .* -ac 1 -ar 8000 .*mean of the channels"),
        (
            wav(bytes(40), rate=16000),
            r"8000 samples a second, got 16000; read it with rate=16000.*resample_poly\(x, 1, 2\)",
        ),
        (wav(bytes(40), rate=44100), r"resample_poly\(x, 80, 441\)"),
        (with_format(7), r"expected PCM or floating point, got mu-law \(format 7\); `ffmpeg"),
        (with_format(3, 32), "contradicts itself: 1 channels of 32 bits in 2 bytes"),
        (with_format(85), "got MP3"),
        (with_format(65534), "expected PCM or floating point, got something else"),
        (with_format(999), "expected PCM or floating point"),
        (with_format(1, 64), "contradicts itself: 1 channels of 64 bits in 2 bytes"),
        (with_format(1, 0), "contradicts itself: 1 channels of 0 bits in 2 bytes"),
    ],
)
def test_a_file_that_is_no_plain_wav_is_refused(put, content, says):
    with pytest.raises(ValueError, match=says):
        read_wav(put(content))


def test_read_wav_at_another_rate_and_the_resampling_that_the_error_names(put):
    from scipy.signal import resample_poly

    tone = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000) * 0.5
    x = read_wav(put(wav((tone * 2**15).astype("<i2").tobytes(), rate=16000)), rate=16000)
    half = resample_poly(x, 1, 2)
    expected = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000) * 0.5
    assert len(half) == 8000 and np.abs(half - expected)[100:-100].max() < 0.01


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no such file, seen from"):
            read_wav(path)


# --- listening ----------------------------------------------------------------------------------------------


def test_a_sound_is_the_waveform_and_the_page_can_play_it(put):
    x = torch.from_numpy(NUMBERS.astype(np.float32) / 2**15)
    made = sound(x)
    assert torch.equal(read_wav(put(made.data)), x), "16-bit PCM, nothing normalised"
    assert render(lambda: made, {}) is made
    quiet = read_wav(put(sound(x / 100).data))
    assert quiet.abs().max() == pytest.approx(x.abs().max() / 100, abs=2**-15)
    assert read_wav(put(sound(torch.tensor([1.0, -1.0, 0.0]), rate=16000).data), rate=16000).tolist() == [
        1 - 2**-15,
        -1,
        0,
    ]
    assert (read_wav(put(sound(torch.zeros(80)).data)) == 0).all()


@pytest.mark.parametrize(("samples", "length"), [(80, "0.01 s"), (4800, "0.6 s"), (8000, "1.0 s"), (100_000, "12.5 s")])
def test_a_sound_is_shown_under_its_title_and_its_length(samples, length):
    x = torch.zeros(samples)
    assert repr(sound(x, title="<a & b>")) == f"Sound: <a & b> · {length}"
    shown = sound(x, title="<a & b>")._repr_html_()
    assert f"<figcaption>&lt;a &amp; b&gt; · {length}</figcaption>" in shown
    assert 'aria-label="&lt;a &amp; b&gt;" src="data:audio/wav;base64,' in shown
    assert f"<figcaption>{length}</figcaption>" in sound(x)._repr_html_()
    assert show_sounds({"<a & b>": x, "c": x}).data == shown + sound(x, title="c")._repr_html_()


def test_no_clips_are_no_silence():
    for waves in ({}, torch.zeros(80), [torch.zeros(80)]):
        with pytest.raises((TypeError, ValueError), match=r"waves: expected \{title: \(T,\)\}"):
            show_sounds(waves)


def test_half_precision_and_gradients_are_heard_as_they_are(put):
    x = torch.linspace(-1, 1, 9)
    for same in (x.bfloat16(), x.half(), x.double(), x.clone().requires_grad_()):
        assert sound(same).data == sound(x).data
        assert torch.equal(mu_law_encode(same), mu_law_encode(x))


def test_of_a_file_that_is_no_wav_the_browser_says_the_length():
    assert Sound(b"ID3", "a song", "audio/mpeg").caption == "a song"


def test_a_sound_of_a_wrong_shape_or_rate_is_refused():
    for shape in ((2, 80), (1, 80), (0,), ()):
        with pytest.raises(ValueError, match=r"one clip, shape \(T,\), got"):
            sound(torch.zeros(shape))
    for rate in (0, -8000, 8000.5, "8000"):
        with pytest.raises((TypeError, ValueError), match="rate: expected a whole number ≥ 1"):
            sound(torch.zeros(80), rate=rate)


def test_snr_is_what_was_added():
    clean = torch.rand(50_000, generator=make_generator(1)) - 0.5
    noise = torch.rand(50_000, generator=make_generator(2)) - 0.5
    assert snr(clean, clean + noise / 10) == pytest.approx(20, abs=0.1)
    assert snr(clean, clean + noise * 10) == pytest.approx(-20, abs=0.1)
    assert snr(clean, clean) == math.inf and snr(clean, torch.zeros_like(clean)) == 0
    with pytest.raises(ValueError, match="silence has no signal-to-noise ratio"):
        snr(torch.zeros(8), clean[:8])
    with pytest.raises(ValueError, match="the 8 samples of clean, got 9"):
        snr(clean[:8], clean[:9])
    with pytest.raises(ValueError, match="noisy: expected finite"):
        snr(clean[:1], torch.tensor([math.nan]))


# --- speech -------------------------------------------------------------------------------------------------


def test_lpc_finds_the_filter_that_made_a_sound():
    a = [1, -1.5, 0.8, -0.1]
    x = torch.from_numpy(lfilter([1], a, default_rng(0).standard_normal(100_000)))
    found = lpc(x, 3)
    assert found.dtype == torch.float64 and found[0] == 1
    assert torch.allclose(found, torch.tensor(a, dtype=torch.float64), atol=0.02)
    longer = lpc(x.float(), 6)
    assert torch.allclose(longer[:4], found, atol=0.03) and longer[4:].abs().max() < 0.03
    assert torch.allclose(lpc(x / 1000, 3), found), "how loud it is does not matter"


def test_lpc_predicts_better_than_its_neighbours():
    x = vowel(700, 1200)[1000:1240]
    window = torch.hamming_window(240, periodic=False, dtype=torch.float64)
    padded = torch.cat([x.double() * window, torch.zeros(4)])
    a = lpc(x, 4).numpy()

    def left(a):
        return np.square(lfilter(a, [1], padded.numpy())).sum()

    for i in range(1, 5):
        for step in (-1e-3, 1e-3):
            other = a.copy()
            other[i] += step
            assert left(other) > left(a), i


def vowel(*resonances, pitch=100, seconds=0.4):
    """Pulses of a voice through a filter with these resonances in Hz, 80 Hz wide."""
    beats = np.floor(np.arange(round(seconds * RATE)) * pitch / RATE)
    x = lfilter([1], [1, -0.95], np.diff(beats, prepend=-1))
    for f in resonances:
        r = math.exp(-math.pi * 80 / RATE)
        x = lfilter([1], [1, -2 * r * math.cos(2 * math.pi * f / RATE), r * r], x)
    return torch.from_numpy(x / np.abs(x).max()).float()


@pytest.mark.parametrize("f1_f2", [(700, 1200), (300, 2300), (300, 870), (500, 1500), (400, 2000)])
@pytest.mark.parametrize("others", [(), (2700, 3400)])
def test_formants_are_the_resonances_put_in(f1_f2, others):
    for pitch in (80, 100):
        found = formants(vowel(*f1_f2, *others, pitch=pitch))
        assert found.dtype == torch.float64
        assert torch.allclose(found, torch.tensor(f1_f2, dtype=torch.float64), rtol=0.05), pitch


def test_a_voice_whose_high_frequencies_are_weak_has_the_same_formants():
    dull = torch.from_numpy(lfilter([1], [1, -0.97], vowel(300, 870, 2700, 3400).numpy()))
    assert torch.allclose(formants(dull), torch.tensor([300.0, 870.0]).double(), rtol=0.05)


def test_between_the_harmonics_of_a_high_voice_a_resonance_is_hard_to_see():
    for f1_f2 in [(700, 1200), (300, 2300), (300, 870), (500, 1500), (400, 2000)]:
        for pitch in (110, 150, 220):
            error = (formants(vowel(*f1_f2, pitch=pitch)) - torch.tensor(f1_f2)).abs().max()
            assert error < 0.28 * pitch, (f1_f2, pitch)


def test_formants_bear_a_bad_window_and_silence_around():
    x = vowel(500, 1500)
    x[1400:1500] = torch.rand(100, generator=make_generator(0)) * 2 - 1
    x[1700:2000] = 0
    assert torch.allclose(formants(x), torch.tensor([500.0, 1500.0]).double(), rtol=0.05)
    short = vowel(500, 1500)[800:1040]
    assert torch.allclose(formants(short), torch.tensor([500.0, 1500.0]).double(), rtol=0.1)


def test_formants_at_another_rate():
    x = torch.from_numpy(np.interp(np.arange(6400) / 2, np.arange(3200), vowel(600, 1100).numpy()))
    assert torch.allclose(formants(x, rate=16000, order=18), torch.tensor([600.0, 1100.0]).double(), rtol=0.05)


def test_what_has_no_formants_has_none():
    one = formants(vowel(700), order=4)
    assert one[0] == pytest.approx(700, rel=0.05) and one[1].isnan()
    click = torch.zeros(2400)
    click[::100] = 1  # as bright as can be, no resonance at all
    assert formants(click).isnan().any()


@pytest.mark.parametrize("measure", [lambda x: lpc(x, 10), formants])
def test_what_cannot_be_measured_is_refused(measure):
    with pytest.raises(ValueError, match="silence"):
        measure(torch.zeros(4000))
    with pytest.raises(ValueError, match="finite"):
        measure(torch.full((4000,), math.nan))
    with pytest.raises(ValueError, match=r"shape \(T,\), got \(2, 4000\)"):
        measure(torch.ones(2, 4000))
    with pytest.raises(TypeError, match="int16"):
        measure(torch.ones(4000, dtype=torch.int16))
    with pytest.raises(TypeError, match="ndarray"):
        measure(np.ones(4000))


def test_what_is_too_short_is_refused():
    with pytest.raises(ValueError, match="order: expected a whole number from 1 to 9, below the samples, got 10"):
        lpc(torch.ones(10), 10)
    for order in (0, -1, 2.0):
        with pytest.raises(ValueError, match="order"):
            lpc(torch.ones(100), order)
    with pytest.raises(ValueError, match="at least 30 ms, 240 samples at 8000 a second, got 239"):
        formants(torch.ones(239))
    with pytest.raises(ValueError, match="order: expected"):
        formants(vowel(500, 1500), order=240)
    click = torch.eye(4000)[0]
    with pytest.raises(ValueError, match="its middle is silent"):
        formants(click)
