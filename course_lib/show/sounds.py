"""Sounds to listen to, in a notebook or on a page. A waveform is a tensor (T,) of floats in [-1, 1]."""

import base64
import html
import io
import wave

import torch

from ..data.waveforms import expect_waveform
from ..expect import expect_count


def sound(x: torch.Tensor, rate: int = 8000):
    """Make a waveform (T,) in [-1, 1] an `IPython.display.Audio`, to listen to in a notebook or on a page.

    Its `data` are the bytes of a WAV file, 16-bit PCM, self-contained. Nothing is normalised: of two clips, the
    quieter one sounds quieter. Raises TypeError for what is no float tensor, ValueError for samples outside [-1, 1] or
    not finite, no samples, more than one channel and a rate that is none.
    """
    from IPython.display import Audio  # here, so that who only trains needs no IPython

    expect_waveform("x", x)
    expect_count("rate", rate)
    pcm = (x.detach().to("cpu", torch.float64) * 2**15).round().clamp(max=2**15 - 1).to(torch.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1), written.setsampwidth(2), written.setframerate(rate)
        written.writeframes(pcm.numpy().astype("<i2").tobytes())
    return Audio(data=file.getvalue())


def show_sounds(waves: dict[str, torch.Tensor], rate: int = 8000):
    """Players of several waveforms {title: (T,)} below each other, to compare by ear: HTML. Raises as `sound` does."""
    from IPython.display import HTML

    rows = []
    for title, x in waves.items():
        words, data = html.escape(title), base64.b64encode(sound(x, rate).data).decode()
        player = f'<audio controls preload="metadata" aria-label="{words}" src="data:audio/wav;base64,{data}"></audio>'
        rows.append(f'<figure style="margin: 0 0 0.5rem"><figcaption>{words}</figcaption>{player}</figure>')
    return HTML("".join(rows))
