"""Cards beside each other, each with something that was made: a text, a sound, pictures of few pixels, a film."""

import html
import io
from collections.abc import Mapping

import numpy as np
from IPython.display import HTML
from PIL import Image

from ..expect import expect_count, expect_titled
from .frames import data_uri
from .plots import as_array

CARD = "flex: 1 1 17rem; min-width: 0; border: 1px solid #8899aa; border-radius: 0.5rem; padding: 0.6rem 0.8rem;"


def show_gallery(cards: Mapping[str, object], *, links: Mapping[str, str] | None = None) -> HTML:
    """A card for each of {title: thing}, beside each other, or below each other where the page is narrow.

    A thing is whatever has HTML of its own: a text that was typeset, a `sound`, `pixels`. `links` {title: page} make
    titles lead somewhere. Raises ValueError for no cards, and for a link without its card; TypeError for a thing that
    has no HTML.
    """
    expect_titled("cards", cards, "a thing with HTML of its own")
    links = links or {}
    if lost := [title for title in links if title not in cards]:
        raise ValueError(f"links: expected titles of cards, got {', '.join(map(repr, lost))}")
    boxes = ""
    for title, thing in cards.items():
        if not hasattr(thing, "_repr_html_"):
            raise TypeError(f"cards[{title!r}]: expected something with HTML of its own, got {type(thing).__name__}")
        name = html.escape(title)
        if title in links:
            name = f'<a style="color: inherit" href="{html.escape(links[title], quote=True)}">{name}</a>'
        boxes += (
            f'<div style="{CARD}"><div style="margin-bottom: 0.4rem"><b>{name}</b></div>{thing._repr_html_()}</div>'
        )
    return HTML(f'<div style="display: flex; flex-wrap: wrap; gap: 0.8rem; max-width: 46rem">{boxes}</div>')


def pixels(images, *, alt: str, columns: int = 4, zoom: int = 4, moving: int = 0) -> HTML:
    """Images as a picture whose pixels stay sharp: (N, 1, H, W) ink from 0 to 16, or (N, H, W, 3) colour from 0 to 1.

    They stand in `columns`, each pixel `zoom` wide; or, `moving`, they are one film, so many milliseconds a frame.
    Raises ValueError for other shapes.
    """
    images = as_array("images", images)
    if images.ndim == 4 and images.shape[1] == 1 and images.shape[3] != 3:
        images = np.repeat(1 - images[:, 0, :, :, None] / 16, 3, -1)
    if images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise ValueError(f"images: expected (N, 1, H, W) or (N, H, W, 3) with N ≥ 1, got {images.shape}")
    expect_count("columns", columns), expect_count("zoom", zoom), expect_count("moving", moving, 0)
    frames = (images.clip(0, 1) * 255).round().astype(np.uint8)
    file, how = io.BytesIO(), {"format": "WEBP", "lossless": True}
    if moving:
        first, *rest = [Image.fromarray(frame) for frame in frames]
        how |= {"save_all": True, "append_images": rest, "duration": moving, "loop": 0}
    else:
        first = Image.fromarray(_grid(frames, columns))
    first.save(file, **how)
    size = f"width: {zoom * first.width}px; max-width: 100%; image-rendering: pixelated"
    source = data_uri(file.getvalue(), "image/webp")
    return HTML(f'<img src="{source}" alt="{html.escape(alt, quote=True)}" style="{size}">')


def _grid(frames, columns):
    """(N, H, W, 3) -> one image, a white pixel between two of them."""
    N, H, W, _ = frames.shape
    columns = min(columns, N)
    rows = -(-N // columns)
    sheet = np.full((rows * (H + 1) - 1, columns * (W + 1) - 1, 3), 255, np.uint8)
    for n, frame in enumerate(frames):
        i, j = divmod(n, columns)
        sheet[i * (H + 1) : i * (H + 1) + H, j * (W + 1) : j * (W + 1) + W] = frame
    return sheet
