"""Sounds to listen to, in a notebook or on a page. A waveform is a tensor (T,) of floats in [-1, 1]."""

import html
import io
import wave
from dataclasses import dataclass

import torch

from ..data.wav import Wav
from ..data.waveforms import expect_waveform
from ..expect import expect_count, expect_titled
from .frames import Frame, data_uri


@dataclass(frozen=True, repr=False)
class Sound(Frame):
    """A sound file, shown as a player under its title and its length: a browser's own clock counts whole seconds.

    `data` are the bytes of a file of type `mime`. The length is known of WAV files that `read_wav` can read, and of
    those with several channels; of others the player says it.
    """

    data: bytes
    title: str = ""
    mime: str = "audio/wav"
    kind = "sound"
    steady = True
    script = """(view, stored) => {
      const element = view.querySelector("audio"), caption = view.querySelector("figcaption");
      const show = (n) => {
        const playing = !element.paused && !element.ended;
        [element.src, caption.textContent] = stored[n];
        if (playing) element.play().catch(() => {}); // a browser may refuse; the button is still there
      };
      return { element, show };
    }"""

    @classmethod
    def of(cls, shown):
        """An `IPython.display.Audio` that holds its data. Raises TypeError for one that does not."""
        mime = getattr(shown, "mimetype", None)
        if not str(mime).startswith("audio/"):
            return None
        if not isinstance(shown.data, bytes):
            raise TypeError("expected a sound with its data, got an Audio without; Audio(filename=…) reads it")
        return cls(shown.data, mime=mime)

    @property
    def caption(self) -> str:
        """Title and length: "a vowel · 0.6 s"."""
        try:
            seconds = Wav.of(self.data).seconds
        except ValueError:
            return self.title
        length = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2g} s"
        return f"{self.title} · {length}" if self.title else length

    def to_html(self, alt):
        caption, label, source = html.escape(self.caption), html.escape(alt), data_uri(self.data, self.mime)
        player = f'<audio controls preload="metadata" aria-label="{label}" src="{source}"></audio>'
        return f'<figure style="margin: 0 0 0.5rem"><figcaption>{caption}</figcaption>{player}</figure>'

    @classmethod
    def store(cls, frames):
        return [(data_uri(frame.data, frame.mime), frame.caption) for frame in frames]

    def _repr_html_(self):
        return self.to_html(self.title or "sound")

    def __repr__(self):
        return f"Sound: {self.caption}"


def sound(x: torch.Tensor, rate: int = 8000, *, title: str = "") -> Sound:
    """Make a waveform (T,) in [-1, 1] a `Sound`, to listen to in a notebook or on a page, under its `title` and length.

    Its `data` are the bytes of a WAV file, 16-bit PCM, self-contained. Nothing is normalised: of two clips, the
    quieter one sounds quieter. Raises TypeError for what is no float tensor, ValueError for samples outside [-1, 1] or
    not finite, no samples, more than one channel and a rate that is none.
    """
    expect_waveform("x", x)
    expect_count("rate", rate)
    pcm = (x.detach().to("cpu", torch.float64) * 2**15).round().clamp(max=2**15 - 1).to(torch.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1), written.setsampwidth(2), written.setframerate(rate)
        written.writeframes(pcm.numpy().astype("<i2").tobytes())
    return Sound(file.getvalue(), title)


def show_sounds(waves: dict[str, torch.Tensor], rate: int = 8000):
    """Players of several waveforms {title: (T,)} below each other, to compare by ear: HTML.

    Raises as `sound` does, TypeError for what is no dict and ValueError for an empty one.
    """
    from IPython.display import HTML  # here, so that who only writes files needs no IPython

    expect_titled("waves", waves, "(T,)")
    return HTML("".join(sound(x, rate, title=title)._repr_html_() for title, x in waves.items()))
