"""HTML as frames: as part of the page; or with scripts, which run only in a page of their own within the page."""

import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser

from .frames import Frame, representation


@dataclass(frozen=True)
class Markup(Frame):
    """HTML: whatever has `_repr_html_` or `_repr_svg_`, and Matplotlib's animations."""

    markup: str
    kind = "html"
    steady = False
    script = """(view, stored) => {
      const element = view.firstElementChild;
      return { element, show: (n) => { element.innerHTML = stored[n]; } };
    }"""

    @classmethod
    def of(cls, shown):
        """A `Document` if there are scripts in it, which would not run as part of another page."""
        for name in ("_repr_html_", "to_jshtml", "_repr_svg_"):
            if isinstance(written := representation(shown, name), str):
                return Document(_at_home(written)) if re.search("<script", written, re.IGNORECASE) else cls(written)
        return None

    def to_html(self, alt):
        # It may be wider than a phone: then it scrolls, and the keyboard must be able to reach it to scroll.
        label = html.escape(alt)
        return f'<div role="group" aria-label="{label}" tabindex="0" style="overflow-x: auto">{self.markup}</div>'

    @classmethod
    def store(cls, frames):
        """Raises ValueError for HTML that loads something from the network, which a page does without."""
        for frame in frames:
            frame.expect_whole()
        return [frame.markup for frame in frames]

    def expect_whole(self):
        loads = Loads()
        loads.feed(self.markup)
        if loads.addresses:
            raise ValueError(
                f"expected HTML that needs no network on a page, got some that loads {loads.addresses[0][:100]}; put "
                "what it needs into the HTML itself"
            )


@dataclass(frozen=True)
class Document(Markup):
    """HTML with scripts, such as an animation that plays: it has a frame of its own, a page within the page."""

    kind = "HTML with scripts"
    # A new frame for a new document: if only srcdoc changed, the Back button would lead through all positions.
    script = """(view, stored) => {
      const element = view.firstElementChild;
      stored[0] = element.firstElementChild.srcdoc;
      const show = (n) => {
        const old = element.firstElementChild, title = element.getAttribute("aria-label");
        if (old.srcdoc === stored[n]) return void (old.title = title);
        old.replaceWith(Object.assign(old.cloneNode(), { title, srcdoc: stored[n] }));
      };
      return { element, show };
    }"""

    def to_html(self, alt):
        label, document = html.escape(alt), html.escape(self.document)
        return (
            f'<div role="group" aria-label="{label}"><iframe title="{label}" sandbox="allow-scripts" '
            'style="display: block; width: 100%; height: 30rem; border: 0" '
            f'onload="{html.escape(ASK_HEIGHT)}" srcdoc="{document}"></iframe></div>'
        )

    @classmethod
    def store(cls, frames):
        super().store(frames)
        return [None, *(frame.document for frame in frames[1:])]  # the first stands in the page

    @property
    def document(self) -> str:
        """What the frame holds: the markup on white paper, and a script that tells the frame how high it is."""
        return f"<style>{PAPER}</style>{self.markup}<script>{TELL_HEIGHT}</script>"


PAPER = "html { background: white; color: black; font-family: sans-serif } body { margin: 0 } img { max-width: 100% }"
# The two sides of the frame talk through a channel of their own: the page may have other frames, and they come and go.
ASK_HEIGHT = """const channel = new MessageChannel();
channel.port1.onmessage = (event) => { this.style.height = event.data + 'px'; };
this.contentWindow.postMessage('height', '*', [channel.port2]);"""
TELL_HEIGHT = """addEventListener("message", ({ data, ports: [port] }) => {
  const root = document.documentElement, bar = () => root.scrollWidth > root.clientWidth ? 18 : 0;
  if (data === "height" && port)
    new ResizeObserver(() => port.postMessage(Math.ceil(root.offsetHeight) + bar())).observe(root);
});"""


# Matplotlib's animations take the signs on their buttons from a font in the network. These any font has.
ICON_FONT = re.compile(r"<link[^>]*font-awesome[^>]*>")
ICONS = {"minus": "−", "fast-backward": "⇤", "step-backward": "←", "play": "▶", "pause": "‖", "step-forward": "→"}
ICONS |= {"fast-forward": "⇥", "plus": "+"}


def _at_home(markup):
    """HTML with scripts, where it is an animation of Matplotlib's: with its own icons, the same on every run."""
    signs = "".join(f".fa-{name}::before {{ content: '{sign}' }} " for name, sign in ICONS.items())
    style = ".fa { font-style: normal; display: inline-block } .fa-flip-horizontal { transform: scaleX(-1) } "
    markup = ICON_FONT.sub(f"<style>{style}{signs}</style>", markup)
    for number, name in enumerate(re.findall(r"_anim_img([0-9a-f]{32})", markup)):
        markup = markup.replace(name, str(number))
    return markup


class Loads(HTMLParser):
    """Collects the `addresses` in the network from which HTML loads something; links to them are no loads."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        loading = [value for name, value in attrs if tag != "a" and name in ("src", "href", "poster", "data") and value]
        self.addresses += [value for value in loading if re.match(r"\s*(https?:)?//", value, re.IGNORECASE)]
