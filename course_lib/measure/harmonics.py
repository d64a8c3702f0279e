"""How much of a sound is at the pitch, or the notes, that was asked for; the rest is noise and wrong tones."""

import torch

from ..data.clips import FRAME, Clips
from ..data.voices import NOTES

WINDOW = 4  # frames, 40 ms: four periods of a low voice
NEAR = 0.05  # of the asked pitch: within, it is in tune
WIDE = 0.5  # octaves either way in which a pitch is looked for
HERTZ = 8.0  # a tone of half a second is a peak about so wide
OVERTONES = 6  # that an instrument has


def pitch_found(x: torch.Tensor, pitch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What repeats, window by window: x (N, T), asked `pitch` (N, F) in Hz -> shares and ratios, (N, F − 3) each.

    A share is the part of a window's power that repeats with a period near the asked one, within 5 %: the
    autocorrelation there, over the one at 0, each over the window's own (Boersma 1993). A ratio is the pitch found
    over the one asked, within half an octave either way. NaN where a frame of the window is unvoiced, and in silence.
    """
    windows, hann = x.unfold(1, WINDOW * FRAME, FRAME), torch.hann_window(WINDOW * FRAME)
    asked = pitch.unfold(1, WINDOW, 1)
    voiced = (asked > 0).all(2)
    hertz = asked.mean(2).where(voiced, torch.tensor(100.0))
    alike, own = (
        torch.fft.irfft(torch.fft.rfft(each * hann, n=1024).abs().square()) for each in (windows, 1 + 0 * hann)
    )
    alike = alike / alike[..., :1].clamp(min=1e-9) / (own / own[0]).clamp(min=1e-3)
    ratios = 2 ** torch.linspace(-WIDE, WIDE, 101)
    lags = 8000 / hertz[..., None] / ratios
    low = lags.floor().long().clamp(max=WINDOW * FRAME - 2)
    part = (lags - low).clamp(0, 1)
    at = alike.gather(2, low) * (1 - part) + alike.gather(2, low + 1) * part  # between two samples, in a line
    near = (ratios.log2().abs()) <= torch.tensor(1 + NEAR).log2() + 1e-6
    share = at[..., near].amax(2).clamp(0, 1)
    sounds = voiced & (windows.square().mean(2) > 1e-8)
    nan = torch.tensor(torch.nan)
    return share.where(sounds, nan), ratios[at.argmax(2)].where(sounds, nan)


def harmonic_share(x: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
    """The part of each clip's voiced power that repeats with the asked pitch: (N,) from 0 to 1, NaN without a voice."""
    return pitch_found(x, pitch)[0].nanmean(1)


def in_tune(x: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
    """Is the median pitch of each clip within 5 % of the asked one? (N,) bool; silence is not, nor is a whisper."""
    ratio = pitch_found(x, pitch)[1].nanmedian(1).values
    return (ratio.log2().abs() <= torch.tensor(1 + NEAR).log2() + 1e-6) & ~ratio.isnan()


def note_share(clips: Clips) -> torch.Tensor:
    """The part of each note's power within 8 Hz of its tones and their six overtones: (N,) from 0 to 1."""
    middle = clips.x[:, 10 * FRAME : -10 * FRAME]
    power = torch.fft.rfft(middle * torch.hann_window(middle.shape[1]), n=2**14).abs().square()
    hertz = torch.fft.rfftfreq(2**14, 1 / clips.rate)
    names = clips.label[:, clips.label.shape[1] // 2].tolist()
    near = torch.zeros(len(clips), len(hertz), dtype=torch.bool)
    for n, name in enumerate(names):
        for tone in list(NOTES.values())[name]:
            for k in range(1, OVERTONES + 1):
                near[n] |= (hertz - k * tone).abs() <= HERTZ
    return (power * near).sum(1) / power.sum(1).clamp(min=1e-9)
