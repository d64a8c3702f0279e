"""The tree of questions: every answer and leaf in its place, links on the leaves, and what it refuses."""

import re

import pytest

from course_lib.show.questions import Leaf, Question, leaves_of, show_questions

NET, GAN = Leaf("net", "chapter 3", "03.ipynb"), Leaf("GAN", group=2)
TREE = Question("a density?", {"yes & exact": Question("made how?", {"by parts": NET}), "no": GAN})


def test_questions_answers_and_leaves_are_text_in_their_order():
    page = show_questions(TREE).data
    words = ["a density?", "yes &amp; exact", "made how?", "by parts", ">net<", "chapter 3", ">no<", ">GAN<"]
    places = [page.index(word) for word in words]
    assert places == sorted(places)


def test_a_leaf_with_a_page_leads_to_it_and_one_without_is_plain():
    page = show_questions(TREE).data
    assert re.findall(r'<a href="([^"]*)"[^>]*>(\w+)</a>', page) == [("03.ipynb", "net")]


def test_it_can_be_reached_by_the_keyboard_and_says_what_it_is():
    page = show_questions(TREE).data
    assert 'tabindex="0"' in page and 'aria-label="a tree of questions with 2 leaves: net, GAN"' in page


def test_the_line_goes_down_to_the_last_answer_and_no_further():
    page = show_questions(TREE).data
    assert page.count("bottom: 0") == 1 and page.count("height: 1.05rem") == 2, "one of three answers has one after it"


def test_leaves_of_two_groups_differ_in_colour():
    colours = set(re.findall(r"background: (#\w+)", show_questions(TREE).data))
    assert len(colours) == 2
    assert leaves_of(TREE) == [NET, GAN]


def test_what_is_no_tree_is_refused():
    with pytest.raises(TypeError, match="answers: expected a Question or a Leaf, got str"):
        show_questions(Question("a?", {"yes": "leaf"}))
    with pytest.raises(ValueError, match="answers: expected one or more to 'a\\?', got none"):
        show_questions(Question("a?", {}))
    with pytest.raises(ValueError, match="group: expected 0 to 3, got 9 of 'x'"):
        show_questions(Leaf("x", group=9))
