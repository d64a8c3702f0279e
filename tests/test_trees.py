"""The tree of a search: one circle a node, joined to its parent, in the reader's fonts; and what it refuses."""

import re

import pytest

from course_lib.show.trees import Node, show_tree

COLUMNS = [
    [Node(0, "照", "−1.2", "best"), Node(0, "满", "−1.9")],
    [Node(1, "<", "−2.0", "best"), Node(0, "入", "", "dropped")],
]


def drawn(page):
    circles = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', page)]
    ends = re.findall(r'd="M([\d.]+) ([\d.]+)C[^"]* ([\d.]+) ([\d.]+)"', page)
    return circles, [tuple(map(float, end)) for end in ends]


def test_each_node_is_a_circle_and_joined_to_its_parent():
    circles, joins = drawn(show_tree(COLUMNS).data)
    assert len(circles) == 4 and len(joins) == 4
    above, below = sorted(y for x, y in circles if x == min(x for x, _ in circles))
    (root,) = {(x0, y0) for x0, y0, x, _ in joins if x < x0 + 33 and x0 < 10}
    assert {(y0, y) for x0, y0, _, y in joins if x0 > 10} == {(below, above), (above, below)}, "parents 1 and 0"
    assert {y for *start, _, y in joins if tuple(start) == root} == {above, below}, "the first come from one root"


def test_labels_are_text_and_escaped():
    page = show_tree(COLUMNS).data
    assert ">照</text>" in page and "&lt;" in page and "stroke-dasharray" in page


def test_its_size_can_be_kept():
    sizes = {
        re.search(r'viewBox="([^"]*)"', show_tree(part, rows=5, steps=3).data)[1] for part in (COLUMNS, COLUMNS[:1])
    }
    assert len(sizes) == 1


def test_a_tree_that_is_shown_whole_fills_its_height():
    circles, _ = drawn(show_tree([[Node(0, "A", "")], [Node(0, "A", ""), Node(0, "B", "")]], spread=True).data)
    assert circles[0][1] == (circles[1][1] + circles[2][1]) / 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "columns: expected one node or more"),
        ([[]], "columns: expected one node or more"),
        ([COLUMNS[0], [Node(2, "a", "")]], "parent: expected 0 to 1, a place in the column before, got 2"),
        ([[Node(0, "a", "", "good")]], "kind: expected one of 'best', 'greedy', 'kept', 'lost', 'dropped', got 'good'"),
    ],
)
def test_what_is_no_tree_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        show_tree(columns)


def test_a_tree_says_what_it_shows():
    shown = show_tree([[Node(0, "a", "", "best"), Node(0, "b", "")], [Node(0, "c", "", "best")]]).data
    assert shown.count('aria-label="a tree of 2 steps: 2 best, 1 kept"') == 2, "of the picture, and of its frame"
    assert 'tabindex="0"' in shown, "the keyboard scrolls it"
