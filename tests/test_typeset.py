"""Pictures made of text: what is shown is the text itself, its numbers and its marks; nothing in it becomes markup."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from IPython.display import HTML

from course_lib.data.lexicon import Lexicon
from course_lib.show.typeset import (
    COLOURS,
    MARKS,
    RHYMES,
    TONES,
    show_bars,
    show_poems,
    show_table,
    show_texts,
    side_by_side,
)

LEXICON = Lexicon(
    {
        "tones": {"level": "风", "oblique": "月"},
        "words": {"sky": "明月 bright moon, 照 <b>lights</b>, 小院 the small court, 清风 clear breezes, 绕 circle"},
        "rhymed": {"place": {"an": "空山 the empty hills, 花间 among flowers", "ang": "寒塘 the cold pond"}},
    }
)
POEM = "明月照小院清风绕空山"
NASTY = "<script>alert('&amp;')</script>&\"\n<b>"


class Tree(HTMLParser):
    """Elements as (tag, style, text, path): reads strictly, and what is not closed or opened is an error."""

    def __init__(self, piece):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(piece.data)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert set(dict(attributes)) <= {"style"}, attributes
        element = {"tag": tag, "style": dict(attributes).get("style", ""), "text": ""}
        self.elements.append(element)
        if tag != "br":
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag, f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def texts(self, *, tag=None, style=""):
        """The texts of the elements with this tag whose style contains `style`, in order."""
        return [e["text"] for e in self.elements if tag in (None, e["tag"]) and style in e["style"]]


def bars(piece):
    """Widths of the bars in per cent, in order."""
    return [float(width) for width in re.findall(r"height: 0.8em; width: ([\d.]+)%", piece.data)]


def labels(piece):
    return Tree(piece).texts(style="width: 1.4em")


EVERY = {
    "bars": lambda text: show_bars({text: {text: 0.5}, "b": {"x": 1.0}}, chosen=text),
    "texts": lambda text: show_texts([text, text], wrong=[range(len(text)), [1]], given=3),
    "poems": lambda text: show_poems(
        [text, text], LEXICON, wrong=[range(len(text)), [1]], given=3, line=99, gloss=True
    ),
    "table": lambda text: show_table([text, "b"], [[text, 1], [2, text]], marks={(0, 0): "own"}),
    "beside": lambda text: side_by_side({text: show_texts([text]), "b": show_poems([], LEXICON)}),
}


@pytest.mark.parametrize("show", EVERY.values(), ids=EVERY)
def test_everything_is_escaped_and_every_element_is_closed(show):
    piece = show(NASTY)
    assert isinstance(piece, HTML)
    tree = Tree(piece)
    assert {e["tag"] for e in tree.elements} <= {
        "div",
        "span",
        "b",
        "br",
        "sup",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    shown = "".join(e["text"] for e in tree.elements).replace("⏎", "").replace("\n", "")
    assert NASTY.replace("\n", "") in shown
    assert {e["tag"]: 0 for e in tree.elements}.keys() == {e["tag"]: 0 for e in Tree(show("ab")).elements}.keys()


# --- bars ---------------------------------------------------------------------------------------------------


def test_bars_are_as_long_as_the_probabilities():
    p = {"月": 0.5, "山": 0.25, "水": 0.125, "雨": 0.004, "风": 0.0004, "云": 0.0}
    piece = show_bars({"p": p}, chosen="风")
    assert labels(piece)[:5] == ["月", "山", "水", "风", ""], "below 0.5 % only what was chosen is shown"
    half, quarter, eighth, tiny = bars(piece)
    assert half > 30 and quarter == pytest.approx(half / 2, abs=0.1) and eighth == pytest.approx(half / 4, abs=0.1)
    assert tiny < 0.1
    assert Tree(piece).texts(style="0.75em") == ["50 %", "25 %", "12.5 %", "< 0.1 %"]
    assert bars(show_bars({"p": p}, chosen="云"))[-1] == 0


def test_the_likeliest_in_any_distribution_come_first_each_in_its_colour():
    piece = show_bars({"a": {"x": 0.6, "y": 0.3, "z": 0.1}, "b": {"z": 0.9, "x": 0.1}}, top=2)
    assert labels(piece) == ["z", "x", ""]
    numbers = [(e["style"], e["text"]) for e in Tree(piece).elements if "0.75em" in e["style"]]
    assert [text for _, text in numbers] == ["10 %", "90 %", "60 %", "10 %"], "a pair of bars a row, in their order"
    assert re.findall(r"background: (#\w+); height", piece.data) == COLOURS[:2] * 2
    legend = re.findall(r'color: (#\w+)">■</b> (\w)', piece.data)
    assert legend == [(COLOURS[0], "a"), (COLOURS[1], "b")]
    assert "■" not in show_bars({"a": {"x": 1.0}}).data, "one distribution needs no legend"


def test_the_chosen_one_is_marked_and_always_shown():
    p = {"a": {c: (10 - n) / 55 for n, c in enumerate("ABCDEFGHIJ")}}
    for chosen in "AHIJ?":
        piece = show_bars(p, top=8, chosen=chosen)
        assert Tree(piece).texts(style=MARKS["here"]) == [chosen]
        assert labels(piece)[:8] == list("ABCDEFGH") and labels(piece)[8:] == [chosen if chosen in "IJ?" else ""]
    assert MARKS["here"] not in show_bars(p).data
    assert labels(show_bars({"a": {"\n": 0.7, " ": 0.3}}))[:2] == ["⏎", "␣"], "what has no shape is seen"


def test_the_height_is_the_same_at_every_position():
    one = [({"a": 1.0}, "a"), ({c: 0.1 for c in "abcdefghij"}, "a"), ({c: 0.1 for c in "abcdefghij"}, "j"), ({}, None)]
    for count in (1, 2, 3):
        shown = [show_bars({f"p{n}": p for n in range(count)}, chosen=chosen) for p, chosen in one]
        heights = [re.findall(r"min-height: ([\d.]+em)", piece.data) for piece in shown]
        assert heights[0] == heights[1] == heights[2] == heights[3] and len(heights[0]) == 9
        # the bars of a row fit into it: each is as high as a line of 1.1 of its 0.75em letters
        assert float(heights[0][0].removesuffix("em")) >= count * max(0.8, 1.1 * 0.75)


@pytest.mark.parametrize("count", [0, 4])
def test_there_are_colours_for_three(count):
    with pytest.raises(ValueError, match=f"distributions: expected 1 to 3, got {count}"):
        show_bars({f"p{n}": {"a": 1.0} for n in range(count)})


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_has_no_bar(share):
    with pytest.raises(ValueError, match=f"distributions: expected probabilities from 0 to 1, got {share} for '月'"):
        show_bars({"a": {"明": 0.5, "月": share}})


# --- texts, glosses, tables ---------------------------------------------------------------------------------


def test_marks_are_on_their_characters_and_lines_break_after_five():
    text = "明月照小院清风绕空山"
    piece = show_texts([text, text], given=2, wrong=[[1, 4, 5], []])
    tree = Tree(piece)
    assert tree.texts(style=MARKS["given"]) == ["明", "明", "月"], "what is wrong is not only given"
    assert tree.texts(style=MARKS["wrong"]) == ["月", "院", "清"]
    assert tree.texts(style="pre-wrap") == ["明月照小院\n清风绕空山"] * 2
    assert [Tree(show_texts([text], line=n)).texts(style="pre-wrap") for n in (4, 10, None)] == [
        ["明月照小\n院清风绕\n空山"], [text], [text],
    ]  # fmt: skip


def test_a_text_without_line_length_keeps_its_own_lines():
    piece = show_texts(["to be\nor\nnot"], line=None, given=6, wrong=[[2, 8]])
    tree = Tree(piece)
    assert tree.texts(style="pre-wrap") == ["to␣be\nor⏎\nnot"], "what is wrong is seen, and the line still breaks"
    assert tree.texts(style=MARKS["given"]) == ["t", "o", "b", "e", "\n"]


def test_one_text_is_no_list_of_texts():
    with pytest.raises(TypeError, match=r"texts: expected a list of texts, got a single one; write \[text\]"):
        show_texts("明月照小院")


def test_no_text_is_an_empty_picture():
    assert Tree(show_texts([])).texts() == [""]
    assert Tree(show_texts([""], wrong=[[]])).texts(style="pre-wrap") == [""]


@pytest.mark.parametrize("wrong", [[[1]], [[1]] * 3])
def test_every_text_needs_its_marks(wrong):
    with pytest.raises(ValueError, match=f"wrong: expected a list for each of the 2 texts, got {len(wrong)}"):
        show_texts(["ab", "cd"], wrong=wrong)


def test_words_of_a_poem_stand_apart_with_their_meanings_below():
    words = Tree(show_poems([POEM], LEXICON)).texts(style="text-align: center")
    assert words == ["明月●", "照", "小院", "清风○", "绕", "空山"]
    glossed = Tree(show_poems([POEM], LEXICON, gloss=True))
    assert glossed.texts(style="0.5em")[:2] == ["bright moon", "<b>lights</b>"], "nothing in a meaning is markup"
    assert glossed.texts(style="display: flex; gap: 0 0.35em")[1].startswith("清风○clear breezes绕circle空山")


def test_a_tone_is_at_the_second_character_and_a_rhyme_at_the_end_of_the_second_line():
    tree = Tree(show_poems([POEM, POEM[:9] + "塘"], LEXICON))
    assert tree.texts(tag="sup") == [TONES["oblique"], TONES["level"]] * 2
    assert [tree.texts(style=f"color: {colour}") for colour in RHYMES[:2]] == [["山"], ["塘"]]
    moved = Tree(show_poems(["山" + POEM[:9]], LEXICON))
    assert moved.texts(style="font-weight: bold") == [] and moved.texts(tag="sup") == [], "each has its place"


def test_a_word_that_crosses_the_end_of_a_line_is_broken_and_glossed_once():
    tree = Tree(show_poems(["绕绕绕绕明月"], LEXICON, gloss=True))
    lines = tree.texts(style="display: flex; gap: 0 0.35em")
    assert lines == ["绕circle" * 4 + "明bright moon", "月"]


def test_marks_of_a_poem_are_on_their_characters():
    tree = Tree(show_poems([POEM], LEXICON, wrong=[[1, 9]], given=3))
    assert tree.texts(style=MARKS["wrong"]) == ["月", "山"] and tree.texts(style=MARKS["given"]) == ["明", "照"]
    with pytest.raises(TypeError, match="got a single one"):
        show_poems(POEM, LEXICON)
    with pytest.raises(ValueError, match="wrong: expected a list for each of the 1 texts, got 2"):
        show_poems([POEM], LEXICON, wrong=[[], []])


def test_a_table_marks_its_cells():
    piece = show_table(["a", "b"], [[1, "x"], [2.5, " "]], marks={(0, 1): "wrong", (1, 0): "own"})
    tree = Tree(piece)
    assert tree.texts(tag="th") == ["a", "b"] and tree.texts(tag="td") == ["1", "x", "2.5", "␣"]
    assert tree.texts(style=MARKS["wrong"]) == ["x"] and tree.texts(style=MARKS["own"]) == ["2.5"]
    assert Tree(show_table(["a"], [])).texts(tag="th") == ["a"]
    of_arrays = show_table(["a", "b"], [[torch.tensor(3), np.float64(0.5)]])
    assert Tree(of_arrays).texts(tag="td") == ["3", "0.5"]


@pytest.mark.parametrize("row", [[1], [1, 2, 3]])
def test_a_row_is_as_long_as_the_header(row):
    with pytest.raises(ValueError, match=rf"rows: expected 2 cells as in the header, got {len(row)}: "):
        show_table(["a", "b"], [[1, 2], row])


def test_an_unknown_mark_is_refused():
    with pytest.raises(ValueError, match="marks: expected one of 'wrong', 'given', 'own', 'here', got 'blue'"):
        show_table(["a"], [[1]], marks={(0, 0): "blue"})


def test_pieces_stand_beside_each_other_under_their_titles():
    tree = Tree(side_by_side({"table": show_table(["n"], [[1]]), "text": show_texts(["ab"])}))
    assert tree.texts(tag="b") == ["table", "text"]
    assert tree.texts(style="flex: 1 1 16rem") == ["tablen1", "textab"]


# --- on a screen --------------------------------------------------------------------------------------------


def luminance(colour):
    """Relative luminance after WCAG 2.2 of "#rgb" or "#rrggbb"."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(d * 2 for d in digits)
    channels = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_marked_characters_can_be_read():
    assert contrast("#000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#fff") == pytest.approx(4.48, 1e-3)
    pairs = {name: re.match(r"color: (#\w+); background: (#\w+);", style) for name, style in MARKS.items()}
    assert {name for name, pair in pairs.items() if pair} == {"wrong", "own"}
    for name, pair in pairs.items():
        assert pair is None or contrast(*pair.groups()) >= 4.5, name
    for colour in RHYMES:  # bold and 20 pixels high: WCAG asks 3:1
        assert min(contrast(colour, "#fff"), contrast(colour, "#121212")) >= 3, colour
    for colour in COLOURS:  # a bar is a shape, for which WCAG asks 3:1; its number stands beside it
        assert contrast(colour, "#121212") >= 3, f"{colour} on the book's dark page"


PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8"><title>Text</title>
<meta name="viewport" content="width=device-width"><style>body {{ font: 16px sans-serif; margin: 16px }}
html[data-theme=dark] {{ background: #121212; color: #ddd }}</style><main><h1>Text</h1>{body}</main></html>"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_overflows_and_axe_finds_nothing_serious(open_offline, tmp_path, theme, width):
    from axe_playwright_python.sync_playwright import Axe

    p = {c: 1 / 20 for c in "明月照小院清风绕空山"} | {"一": 0.5}
    pieces = {
        "bars": show_bars({"the true distribution": p, "temperature 0.5": {"一": 1.0}, "top": p}, chosen="月"),
        "texts": show_texts(["明月照小院清风绕空山" * 2] * 6, wrong=[[1, 2]] * 6, given=3),
        "prose": show_texts(
            ["to be or not to be, " * 9 + "x" * 90, "\n and so on"], line=None, wrong=[[3], [0]], given=9
        ),
        "poems": show_poems([POEM * 2] * 5, LEXICON, wrong=[[1, 2]] * 5, given=1),
        "glossed": show_poems([POEM * 2] * 3, LEXICON, gloss=True),
        "table": show_table(
            ["", "nats"], [["grammar", 0.9147], ["LSTM", 0.93]], marks={(0, 1): "own", (1, 1): "wrong"}
        ),
    }
    body = "".join(f"<section><h2>{name}</h2>{piece.data}</section>" for name, piece in pieces.items())
    body += side_by_side({"bars beside": pieces["bars"], "texts beside": pieces["texts"]}).data
    (tmp_path / "page.html").write_text(PAGE.format(theme=theme, body=body), "utf-8")
    page = open_offline(viewport={"width": width, "height": 800})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")] == []
    assert page.problems == []


@pytest.mark.parametrize("width", [1280, 375])
def test_bars_keep_their_height_and_proportion_on_a_screen(open_offline, tmp_path, width):
    p = {"月": 0.5, "山": 0.25, "明": 0.1, "g": 0.05}
    many = {c: 0.02 for c in "明月照小院清风绕空山一夜"}
    for names in (["one"], ["a", "b"], ["a", "b", "c"]):
        steps = [(p, "月"), (many, "夜"), (many, None), ({"一": 1.0}, "一"), ({"\n": 0.9, "g": 0.1}, "?")]
        pieces = [show_bars(dict.fromkeys(names, q), chosen=chosen).data for q, chosen in steps]
        body = "".join(f"<section>{side_by_side({'next': HTML(piece)}).data}</section>" for piece in pieces)
        (tmp_path / "page.html").write_text(PAGE.format(theme="light", body=body), "utf-8")
        page = open_offline(viewport={"width": width, "height": 800})
        page.goto((tmp_path / "page.html").as_uri())
        boxes = "all => all.map(one => one.getBoundingClientRect())"
        heights = {round(box["height"], 2) for box in page.locator("section").evaluate_all(boxes)}
        assert len(heights) == 1, f"what stands below would jump: {heights}"
        drawn = [
            box["width"] for box in page.locator("section:first-of-type span[style*=background]").evaluate_all(boxes)
        ]
        expected = [share for share in p.values() for _ in names]
        assert [w / drawn[0] for w in drawn] == pytest.approx([e / 0.5 for e in expected], abs=0.01)
        assert drawn[0] > 60
