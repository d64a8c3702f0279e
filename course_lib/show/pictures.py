"""Figures and images as frames: of many, a page keeps the one at the start; of the others what differs from it."""

import base64
import html
import io
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from PIL import Image

from .frames import Frame, data_uri, representation

# A picture has 1.5 pixels for each CSS pixel: 1 looks blurred on a phone, 2 costs nearly twice the bytes of 1.5 and
# the eye hardly sees it.
PIXELS_PER_CSS_PIXEL = 1.5
MAX_STRIP_WIDTH = 4096  # pixels; phones decode an image of this width quickly and without scaling it down
# More effort (quality 100, method 6) saves up to a third and takes ten times as long.
LOSSLESS = {"lossless": True, "quality": 75, "method": 4}


@dataclass(frozen=True)
class Picture(Frame):
    """A figure, drawn on white: `data` are the bytes of a WebP, which shows every pixel as it is."""

    data: bytes
    kind = "figure"
    steady = True
    scale = PIXELS_PER_CSS_PIXEL
    # Frame n > 0 is the start with a patch drawn over it; patches lie side by side in strips, and a strip is decoded
    # when one of its patches is first wanted.
    script = """(view, stored) => {
      const still = view.firstElementChild, canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
      const { x, y, width, height, perStrip, strips } = stored, images = [];
      canvas.setAttribute("role", "img");
      [canvas.width, canvas.height] = stored.size;
      canvas.style.width = still.getAttribute("width") + "px";
      still.decode().then(() => still.replaceWith(canvas)); // not before it can be drawn: no flash
      let wanted;
      const show = (n) => {
        wanted = n;
        const strip = Math.floor((n - 1) / perStrip), left = (n - 1) % perStrip * width;
        const image = n ? images[strip] ??= Object.assign(new Image(), { src: strips[strip] }) : still;
        const draw = () => {
          if (wanted !== n) return; // the slider has moved on while this strip was being decoded
          pen.clearRect(0, 0, canvas.width, canvas.height);
          pen.drawImage(still, 0, 0, canvas.width, canvas.height);
          if (n) pen.drawImage(image, left, 0, width, height, x, y, width, height);
        };
        if (image.decoded) return draw();
        return Promise.all([still.decode(), image.decode()]).then(() => { image.decoded = true; draw(); });
      };
      return { element: canvas, show };
    }"""

    @classmethod
    def of(cls, shown):
        """A figure, or what lies in one: its axes, what plt.bar or plt.hist returned."""
        figures = _figures(shown)
        if len(figures) != 1:
            return None
        (figure,) = figures
        picture = io.BytesIO()
        # The rc setting: a figure cut to its contents ("tight") changes its size as a slider moves.
        with plt.rc_context({"savefig.bbox": None}):
            figure.savefig(picture, format="webp", dpi=cls.scale * figure.dpi, pil_kwargs=LOSSLESS)
        plt.close(figure)
        drawn = Image.open(picture)
        # Of two frames that look alike on white, a page could not show the difference that a dark one makes.
        return cls(picture.getvalue() if drawn.mode == "RGB" else _webp(_on_white(drawn)))

    def to_html(self, alt):
        width, height = (round(n / self.scale) for n in Image.open(io.BytesIO(self.data)).size)
        # Width and height keep the place while the picture loads, so that the page does not jump.
        size = f'width="{width}" height="{height}" style="max-width: 100%; height: auto"'
        return f'<img alt="{html.escape(alt)}" {size} src="{data_uri(self.data, "image/webp")}">'

    @classmethod
    def store(cls, frames):
        """Where frames differ from the first, as strips of patches side by side.

        A pixel that is as in the first is transparent in the patch. So what never changes, such as a thousand points
        behind one that moves, is stored once and not once a position: 70 kB instead of 450 in a plane of 27 positions.
        Raises ValueError for figures of different sizes.
        """
        base, others = frames[0].pixels(), frames[1:]
        changed = np.zeros(base.shape[:2], bool)
        for frame in others:
            pixels = frame.pixels()
            if pixels.shape != base.shape:
                raise ValueError(
                    f"expected figures of one size, got {base.shape[1]}×{base.shape[0]} and "
                    f"{pixels.shape[1]}×{pixels.shape[0]} pixels; give the figure the same figsize at every position"
                )
            changed |= (pixels != base).any(-1)
        rows, columns = (np.flatnonzero(changed.any(axis)) if changed.any() else np.arange(1) for axis in (1, 0))
        top, bottom, left, right = (int(n) for n in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
        per_strip = max(1, MAX_STRIP_WIDTH // (right - left))

        def patch(frame):
            pixels = frame.pixels()
            differs = (pixels != base).any(-1, keepdims=True)
            return np.concatenate([pixels * differs, differs * np.uint8(255)], axis=-1)[top:bottom, left:right]

        strips = []
        for n in range(0, len(others), per_strip):
            side_by_side = np.concatenate([patch(frame) for frame in others[n : n + per_strip]], axis=1)
            strips.append(data_uri(_webp(Image.fromarray(side_by_side)), "image/webp"))
        place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        return {"size": base.shape[1::-1], **place, "perStrip": per_strip, "strips": strips}

    def pixels(self) -> np.ndarray:
        """(H, W, 3), uint8."""
        return np.asarray(_on_white(Image.open(io.BytesIO(self.data))))


@dataclass(frozen=True)
class Bitmap(Picture):
    """An image of pixels: whatever has `_repr_png_` or `_repr_jpeg_`, such as Pillow's. One CSS pixel a pixel."""

    kind = "image"
    scale = 1

    @classmethod
    def of(cls, shown):
        for name in ("_repr_png_", "_repr_jpeg_"):
            if data := representation(shown, name):
                image = Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))
                if image.mode.startswith("I"):  # 16 bits, of which Pillow's own conversion would clip
                    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                return cls(_webp(_on_white(image)))
        return None


def _figures(shown):
    """The figures in which artists lie: those of a list, a tuple (what plt.hist returns), a dict (plt.boxplot)."""
    if isinstance(shown, Artist):
        return {shown.figure.figure} if shown.figure else set()  # twice: the first may be a subfigure
    if isinstance(shown, np.ndarray) and shown.dtype == object:
        shown = shown.ravel().tolist()
    parts = shown.values() if isinstance(shown, dict) else shown if isinstance(shown, (list, tuple)) else ()
    return set().union(*map(_figures, parts))


def _on_white(image):
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _webp(image):
    data = io.BytesIO()
    image.save(data, "WEBP", **LOSSLESS)
    return data.getvalue()
