"""Cards with what was made, and pictures whose pixels stay sharp; what one leaf draws; a stretched density."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.display import HTML
from PIL import Image

from course_lib.show.gallery import pixels, show_gallery
from course_lib.show.leaves import show_leaf
from course_lib.show.stretched import show_stretched

COLOURS = torch.rand(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def picture(page):
    return Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]*)", page.data)[1])))


def test_every_thing_has_a_card_under_its_title_and_titles_may_lead_somewhere():
    page = show_gallery({"a & b": HTML("<i>one</i>"), "c": HTML("two")}, links={"c": "03.ipynb"}).data
    assert (
        "<b>a &amp; b</b>" in page and "<i>one</i>" in page and re.search('<b><a [^>]*href="03.ipynb">c</a></b>', page)
    )


def test_pixels_are_those_of_the_images_with_white_between():
    image = picture(pixels(COLOURS, alt="five", columns=2, zoom=3))
    seen = np.asarray(image.convert("RGB"))
    assert seen.shape == (8, 7, 3), "three rows of two pixels, two columns of three, and what is between"
    assert (seen[3:5, :3] == (COLOURS[2] * 255).round().byte().numpy()).all() and (seen[2] == 255).all()


def test_ink_is_dark():
    seen = np.asarray(picture(pixels(torch.tensor([[[[0, 16]]]]), alt="a pixel of each")).convert("RGB"))
    assert (seen[0, 0] == 255).all() and (seen[0, 1] == 0).all()


def test_a_film_has_a_frame_for_each_image():
    film = picture(pixels(COLOURS, alt="five", moving=100))
    assert film.n_frames == 5 and film.size == (3, 2)


def test_a_gallery_refuses_what_it_cannot_show():
    with pytest.raises(TypeError, match=r"cards\['a'\]: expected something with HTML of its own, got int"):
        show_gallery({"a": 3})
    with pytest.raises(ValueError, match="links: expected titles of cards, got 'b'"):
        show_gallery({"a": HTML("")}, links={"b": "x"})
    with pytest.raises(ValueError, match="cards"):
        show_gallery({})
    with pytest.raises(ValueError, match=r"images: expected \(N, 1, H, W\) or \(N, H, W, 3\)"):
        pixels(torch.zeros(2, 3), alt="")


def test_a_leaf_shows_its_points_and_every_image():
    images = torch.zeros(6, 2, 2, dtype=torch.long)
    images[5] = 1
    figure = show_leaf(torch.tensor([[0.5, -1.0]]), images, title="net")
    plane, sheet = figure.axes
    assert plane.collections[0].get_offsets().tolist() == [[0.5, -1.0]]
    assert sheet.images[0].get_array()[3:5, 3:5].min() == 1, "the sixth is the second of the second row"


def test_a_leaf_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"x: expected points \(N, 2\)"):
        show_leaf(torch.zeros(3, 3), torch.zeros(1, 2, 2), title="")
    with pytest.raises(ValueError, match=r"images: expected shape \(M, H, W\)"):
        show_leaf(torch.zeros(3, 2), torch.zeros(2, 2), title="")


def test_parts_of_a_density_are_stacked_and_coloured_as_their_bands():
    z, xs = torch.linspace(-1, 1, 9), torch.linspace(-2, 2, 5)
    bands = (z > 0).long()
    parts = torch.tensor([[0.1] * 5, [0.3] * 5])
    figure = show_stretched(z, 1 - z.abs(), 2 * z, bands, xs, parts, line=parts[0], highest=0.5, title="f")
    beside, curve, *_ = figure.axes
    low, high = (area.get_paths()[0].vertices[:, 0] for area in beside.collections)
    assert low.max() == pytest.approx(0.1) and high.max() == pytest.approx(0.4)
    assert beside.get_xlim() == (0.5, 0) and len(curve.lines) == 2
    assert tuple(beside.collections[1].get_facecolor()[0]) == pytest.approx(plt.cm.viridis(0.95))


def test_a_stretched_density_refuses_other_shapes():
    z = torch.linspace(-1, 1, 9)
    with pytest.raises(ValueError, match="z, p_z, x, bands: expected four of one shape"):
        show_stretched(z, z[:3], z, z.long(), z, z[None])
    with pytest.raises(ValueError, match="xs, parts: expected"):
        show_stretched(z, z, z, torch.ones(9), z, z[None])
