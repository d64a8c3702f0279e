"""Pictures made of text: bars, poems and tables as HTML, shown in the reader's own fonts.

Chinese is always text: the font that matplotlib brings along has none of it, and would draw boxes.
"""

import html
from collections.abc import Mapping, Sequence

from IPython.display import HTML

from ..expect import expect_one_of

# Colours of their own only where they mean something; each is readable on white and on the book's dark grey.
LEAST = 0.005  # a bar that would be shorter than a pixel or two says nothing
COLOURS = ["#4477aa", "#8899aa", "#228833"]
MARKS = {
    "wrong": "color: #fff; background: #cc3311; border-radius: 0.15em;",
    "given": "opacity: 0.55;",
    "own": "color: #fff; background: #4477aa; border-radius: 0.15em;",
    "here": "outline: 2px solid #cc3311; border-radius: 0.15em;",
}
RHYMES = ["#228833", "#bb4499", "#bb6600", "#3377cc"]
TONES = {"level": "○", "oblique": "●"}
WORDS = "display: flex; gap: 0 0.35em;"
WIDE = "display: flex; flex-wrap: wrap; gap: 0.6rem 2rem; align-items: flex-start;"


def show_bars(distributions: Mapping[str, Mapping[str, float]], *, top: int = 8, chosen: str | None = None) -> HTML:
    """Horizontal bars {name: {character: probability}}: the `top` characters by their greatest probability in any.

    Of several distributions each has a colour of its own. `chosen` is marked, and shown even if it is not at the top;
    of the others, those below 0.5 % everywhere are left out.
    Raises ValueError for no distribution, for more than three, and for what is no probability.
    """
    if not 1 <= len(distributions) <= len(COLOURS):
        raise ValueError(f"distributions: expected 1 to {len(COLOURS)}, got {len(distributions)}")
    greatest = {}
    for p in distributions.values():
        for character, share in p.items():
            if not 0 <= share <= 1 + 1e-6:  # as float32 rounds
                raise ValueError(f"distributions: expected probabilities from 0 to 1, got {share} for {character!r}")
            greatest[character] = max(share, greatest.get(character, 0.0))
    rows = [c for c in sorted(greatest, key=greatest.get, reverse=True)[:top] if greatest[c] >= LEAST]
    rows += [chosen] if chosen is not None and chosen not in rows else []
    rows += [""] * (top + 1 - len(rows))  # the same height at every position of a slider
    colours = dict(zip(distributions, COLOURS, strict=False))
    legend = ""
    if len(distributions) > 1:
        names = "".join(f'<span><b style="color: {colours[n]}">■</b> {html.escape(n)}</span>' for n in distributions)
        legend = f'<div style="{WIDE} font-size: 0.85em">{names}</div>'
    lines = []
    for character in rows:
        bars = "".join(_bar(p.get(character), colours[name]) for name, p in distributions.items())
        mark = MARKS["here"] if character == chosen and character else ""
        label = f'<span style="width: 1.4em; text-align: center; font-size: 1.2em; {mark}">{_visible(character)}</span>'
        height = f"min-height: {max(1.6, 1.1 * len(distributions)):.1f}em"
        lines.append(
            f'<div style="display: flex; gap: 0.6em; align-items: center; {height}">{label}'
            f'<span style="flex: 1; min-width: 0">{bars if character else ""}</span></div>'
        )
    return HTML(f'<div style="max-width: 26rem; line-height: 1.1">{legend}{"".join(lines)}</div>')


def show_texts(
    texts: Sequence[str], *, wrong: Sequence[Sequence[int]] | None = None, given: int = 0, line: int | None = 5
) -> HTML:
    """Texts beside each other, each broken into lines of `line` characters (None: as they are).

    The first `given` characters of each stand back; the positions `wrong` (one list a text) are marked.
    Raises TypeError for a text instead of a list, ValueError if `wrong` has not one list for each text.
    """
    blocks = []
    for text, marks in zip(texts, _marks(texts, wrong, given), strict=True):
        pieces = []
        for position, character in enumerate(text):
            if line and position and position % line == 0:
                pieces.append("\n")
            mark = marks.get(position)
            shown = _visible(character) if mark == "wrong" else html.escape(character)
            pieces.append(f'<span style="{MARKS[mark]}">{shown}</span>' if mark else shown)
            if shown == "⏎" and not line:
                pieces.append("\n")
        size = "font-size: 1.25em; line-height: 1.35" if line else "font-size: 0.95em; line-height: 1.3"
        blocks.append(f'<div style="white-space: pre-wrap; overflow-wrap: anywhere; {size}">{"".join(pieces)}</div>')
    return HTML(f'<div style="{WIDE}">{"".join(blocks)}</div>')


def show_poems(
    poems: Sequence[str],
    lexicon,
    *,
    wrong: Sequence[Sequence[int]] | None = None,
    given: int = 0,
    gloss: bool = False,
    line: int = 5,
) -> HTML:
    """Poems for a reader without Chinese: words stand apart, and what the rules ask of a sound can be seen.

    `lexicon` is that of the `PoemGrammar`. The second character of a line carries its tone, ○ level or ● oblique; the
    last one of every second line has the colour of its rhyme, if it is a rhyme. With `gloss`, each word's meaning
    stands below it. `wrong` and `given` are those of `show_texts`. Raises TypeError and ValueError as it does.
    """
    marks = _marks(poems, wrong, given)
    colours = dict(zip(dict.fromkeys(lexicon.rhymes.values()), RHYMES, strict=False))
    blocks = []
    for poem, marked in zip(poems, marks, strict=True):
        lines = [[] for _ in range(-(-len(poem) // line))]
        each = ((n, character, meaning) for word, meaning in lexicon.split(poem) for n, character in enumerate(word))
        for position, (n, character, meaning) in enumerate(each):
            row, column = divmod(position, line)
            style = MARKS.get(marked.get(position), "")
            if row % 2 and column == line - 1 and character in lexicon.rhymes and not style:
                style = f"font-weight: bold; color: {colours[lexicon.rhymes[character]]};"
            sign = TONES.get(lexicon.tones.get(character)) if column == 1 else None
            sign = f'<sup style="font-size: 0.45em">{sign}</sup>' if sign else ""
            if n == 0 or column == 0:  # a word that goes on in the next line begins there anew
                lines[row].append(["", meaning if n == 0 else ""])
            lines[row][-1][0] += f'<span style="{style}">{_visible(character)}</span>{sign}'
        rows = ("".join(_glossed(*piece, gloss) for piece in pieces) for pieces in lines)
        blocks.append("".join(f'<div style="{WORDS}">{row}</div>' for row in rows))
    blocks = (f'<div style="font-size: 1.25em; line-height: 1.35">{block}</div>' for block in blocks)
    return HTML(f'<div style="{WIDE}">{"".join(blocks)}</div>')


def show_table(header: Sequence[str], rows: Sequence[Sequence], *, marks: Mapping[tuple[int, int], str] | None = None):
    """A table; `marks` {(row, column): "wrong" | "given" | "own" | "here"} sets cells apart. Returns HTML.

    Raises ValueError for a row that is not as long as the header, and for a mark that does not exist.
    """
    marks = marks or {}
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows: expected {len(header)} cells as in the header, got {len(row)}: {row!r}")
    for mark in marks.values():
        expect_one_of("marks", mark, MARKS)
    cell = "padding: 0.1em 0.5em; text-align: left;"
    head = "".join(f'<th style="{cell}">{html.escape(name)}</th>' for name in header)
    body = ""
    for r, row in enumerate(rows):
        cells = (f'<td style="{cell} {MARKS.get(marks.get((r, c)), "")}">{_visible(v)}</td>' for c, v in enumerate(row))
        body += f"<tr>{''.join(cells)}</tr>"
    return HTML(f'<table style="border-collapse: collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def side_by_side(parts: Mapping[str, HTML]) -> HTML:
    """Pieces of HTML {title: piece} beside each other, or below each other where the page is narrow."""
    box = '<div style="flex: 1 1 16rem; min-width: 0"><b>{}</b>{}</div>'
    return HTML(f'<div style="{WIDE}">{"".join(box.format(html.escape(t), p.data) for t, p in parts.items())}</div>')


def _marks(texts, wrong, given):
    """One dict a text: which positions are given, and which are wrong."""
    if isinstance(texts, str):
        raise TypeError("texts: expected a list of texts, got a single one; write [text]")
    if wrong is None:
        wrong = [()] * len(texts)
    if len(wrong) != len(texts):
        raise ValueError(f"wrong: expected a list for each of the {len(texts)} texts, got {len(wrong)}")
    return [dict.fromkeys(range(given), "given") | dict.fromkeys(each, "wrong") for each in wrong]


def _glossed(word, meaning, gloss):
    """A word that is typeset already, and below it its meaning, if that is wanted."""
    below = f'<br><span style="font-size: 0.5em">{html.escape(meaning)}</span>' if gloss else ""
    return f'<span style="text-align: center">{word}{below}</span>'


def _bar(share, colour):
    """One bar and its number; nothing where a distribution does not know the character."""
    share = share or 0.0
    number = "0 %" if share == 0 else "< 0.1 %" if share < 0.001 else f"{100 * share:.3g} %"
    return (
        f'<span style="display: flex; gap: 0.4em; align-items: center"><span style="background: {colour}; '
        f'height: 0.8em; width: {72 * share:.1f}%"></span><span style="font-size: 0.75em">{number}</span></span>'
    )


def _visible(value):
    """Escaped, and spaces and line ends as signs that can be seen; of an array with one number, the number."""
    value = value.item() if hasattr(value, "item") else value
    return html.escape(str(value)).replace("\n", "⏎") if str(value) != " " else "␣"
