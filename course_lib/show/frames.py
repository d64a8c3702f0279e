"""What a function shows at one position of its sliders, caught as a frame; and the simplest kind, text.

`markup`, `sounds` and `pictures` have more. A new kind is one subclass of `Frame`; `catch.KINDS` names it if it is to
catch what a function returns that is no `Frame` itself.
"""

import base64
import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class Frame(ABC):
    """One thing to look at or to listen to. A subclass is a frozen dataclass, so that equal frames are equal.

    `steady` says that all its frames have one height: then the sliders stand below, where the hand does not hide what
    they move; otherwise above, where they stay put. `script` is a JavaScript function `(view, stored) => ({ element,
    show })`: `view` holds what `to_html` wrote of the frame at the start, `stored` what `store` gave; `element` is the
    one whose `aria-label` says what there is to see, and `show(n)` makes the nth frame appear in it, or a promise to.
    """

    kind: ClassVar[str]
    steady: ClassVar[bool]
    script: ClassVar[str]

    @classmethod
    @abstractmethod
    def of(cls, shown) -> "Frame | None":
        """What a function has returned, as a frame of this kind; None if it is of another."""

    @abstractmethod
    def to_html(self, alt: str) -> str:
        """One HTML element that shows the frame, and says `alt` to those who do not see it."""

    @classmethod
    @abstractmethod
    def store(cls, frames: Sequence["Frame"]) -> object:
        """What a page keeps of different frames, the one at the start first: anything that JSON can hold."""


@dataclass(frozen=True)
class Text(Frame):
    """Plain text, as it is returned or printed."""

    text: str
    kind = "text"
    steady = False
    script = """(view, stored) => {
      const element = view.firstElementChild;
      return { element, show: (n) => { element.textContent = stored[n]; } };
    }"""

    @classmethod
    def of(cls, shown):
        return cls(shown) if isinstance(shown, str) else None

    def to_html(self, alt):
        # The line break after <pre> is not shown; without it a text that begins with one would lose it.
        return f'<pre role="group" aria-label="{html.escape(alt)}">\n{html.escape(self.text)}</pre>'

    @classmethod
    def store(cls, frames):
        return [frame.text for frame in frames]


def representation(shown, method: str, **arguments):
    """What a notebook calls to show it, such as `_repr_html_`, gives: data without its metadata; None without it."""
    if isinstance(shown, type) or hasattr(shown, "_ipython_canary_method_should_not_exist_"):
        return None  # a class shows nothing; and what claims to have any method has none of these
    found = getattr(shown, method, None)
    data = found(**arguments) if callable(found) else None
    return data[0] if isinstance(data, tuple) else data


def data_uri(data: bytes, mime: str) -> str:
    """The bytes as an address that carries them."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
