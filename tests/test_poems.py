"""The poems' probabilities, entropy and verdicts are exact: against counting by hand, and against the word lists."""

import copy
import math
import random
import tomllib
from collections import Counter
from itertools import product

import pytest
import torch

from course_lib.data import PoemGrammar
from course_lib.data.poems import Verdict
from course_lib.data.shipped import shipped

SOURCE = tomllib.loads(shipped("poems.toml").read_text("utf-8"))
GRAMMAR = PoemGrammar()

# Two themes, two tones, two rhymes; words of one to three characters, and words that begin alike: in one list ("ab",
# "ad"), in the lists of two couplets ("ab", "ae"), and a list ("who") with which two couplets begin.
SMALL = {
    "tones": {"level": "be", "oblique": "dc"},
    "words": {
        "who": "ab one, ad two",
        "what": "ae three, cd four",
        "does": "b five, d six",
        "where": "ab seven, ac eight",
        "far": "abc nine, abd ten",
        "she": "bb eleven, dd twelve, bc thirteen",
        "says": "d fourteen",
        "feels": "eb fifteen, ed sixteen",
    },
    "rhymed": {
        "end": {"o": "ae seventeen, ce eighteen", "u": "ad nineteen"},
        "long": {"o": "bce twenty", "u": "bcd twenty-one, acd twenty-two"},
    },
    "couplets": [
        {"theme": "sea", "part": "scene", "first": ["who", "does", "where"], "second": ["she", "says", "end"]},
        {"theme": "sea", "part": "scene", "first": ["who", "far"], "second": ["she", "long"]},
        {"theme": "hill", "part": "scene", "first": ["what", "far"], "second": ["she", "says", "end"]},
        {"theme": "sea", "part": "feeling", "first": ["feels", "far"], "second": ["she", "long"]},
        {"theme": "hill", "part": "feeling", "first": ["feels", "does", "where"], "second": ["she", "says", "end"]},
        {"theme": "hill", "part": "feeling", "first": ["what", "far"], "second": ["feels", "long"]},
    ],
}


def read(words):
    """[(word, weight)] of a list, the r-th with 1/r."""
    return [(pair.strip().split(" ")[0], 1 / rank) for rank, pair in enumerate(words.split(","), 1)]


def normalised(weights):
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}


def couplet_texts(source, couplet, rhyme):
    """{(text, rhyme): probability} of one couplet, from the definition: each word given what stands before it."""
    tone = {character: name for name, characters in source["tones"].items() for character in characters}
    found = {("", None, rhyme): 1.0}
    for line in ("first", "second"):
        for slot, category in enumerate(couplet[line]):
            grown = Counter()
            for (text, tone_before, rhyme), p in found.items():
                words = {(word, ""): w for word, w in read(source["words"].get(category, "")) if word}
                for name, listed in source["rhymed"].get(category, {}).items():
                    words |= {(word, name): w for word, w in normalised(dict(read(listed))).items()}
                if line == "second" and slot == 0:
                    words = {key: w for key, w in words.items() if tone[key[0][1]] != tone_before}
                if line == "second" and slot == len(couplet[line]) - 1 and rhyme:
                    words = {key: w for key, w in words.items() if key[1] == rhyme}
                for (word, name), share in normalised(words).items():
                    after = tone[word[1]] if line == "first" and slot == 0 else tone_before
                    grown[text + word, after, name or rhyme] += p * share
            found = grown
    return {(text, rhyme): p for (text, _, rhyme), p in found.items()}


def all_texts(source, lines):
    """{text: probability} of all poems, without an automaton."""
    found = {("", None, None): 1.0}
    for part in ["scene"] + ["feeling"] * (lines // 2 - 1):
        grown = Counter()
        for (text, theme, rhyme), p in found.items():
            fits = [c for c in source["couplets"] if c["part"] == part and theme in (None, c["theme"])]
            for couplet in fits:
                for (more, name), share in couplet_texts(source, couplet, rhyme).items():
                    grown[text + more, couplet["theme"], name] += p * share / len(fits)
        found = grown
    texts = Counter()
    for (text, _, _), p in found.items():
        texts[text] += p
    return texts


@pytest.fixture(scope="module")
def small():
    """The small grammar; all its texts {text: probability}; the probability of all their beginnings."""
    texts, beginnings = all_texts(SMALL, 4), Counter()
    for text, p in texts.items():
        for end in range(len(text) + 1):
            beginnings[text[:end]] += p
    assert len(texts) > 500 and {len(text) for text in texts} == {20}
    return PoemGrammar(4, source=SMALL), texts, beginnings


# --- exact, by counting -------------------------------------------------------------------------------------


def test_probabilities_are_those_of_the_definition_and_sum_to_1(small):
    grammar, texts, _ = small
    given = {text: math.exp(grammar.log_prob(text)) for text in texts}
    assert sum(given.values()) == pytest.approx(1, abs=1e-12)
    for text, p in texts.items():
        assert given[text] == pytest.approx(p, rel=1e-9), text


def test_entropy_is_that_of_all_texts(small):
    grammar, texts, _ = small
    assert grammar.entropy() == pytest.approx(-sum(p * math.log(p) for p in texts.values()), abs=1e-12)


def test_the_next_character_is_that_of_all_texts_at_every_beginning(small):
    grammar, _, beginnings = small
    wanted = {beginning: {} for beginning in beginnings}
    for longer, p in beginnings.items():
        if longer:
            wanted[longer[:-1]][longer[-1]] = p / beginnings[longer[:-1]]
    for beginning, shares in wanted.items():
        given = grammar.next_character(beginning)
        assert given == pytest.approx(shares, abs=1e-12), beginning
        assert list(given.values()) == sorted(given.values(), reverse=True)
        assert sum(given.values()) == pytest.approx(1 if len(beginning) < 20 else 0, abs=1e-12)


def test_the_likeliest_poem_is_that_of_all_texts_at_every_beginning(small):
    grammar, texts, beginnings = small
    best = dict.fromkeys(beginnings, 0.0)
    for text, p in texts.items():
        for end in range(len(text) + 1):
            best[text[:end]] = max(best[text[:end]], p)
    for beginning, p in best.items():
        text, log_p = grammar.likeliest(beginning)
        assert log_p == pytest.approx(math.log(p), abs=1e-9), beginning
        assert text.startswith(beginning) and texts[text] == pytest.approx(p, rel=1e-9)


def test_the_likeliest_poem_needs_a_beginning_that_some_poem_has():
    with pytest.raises(ValueError, match="expected the beginning of a poem, and none begins with '明明'"):
        GRAMMAR.likeliest("明明")
    with pytest.raises(TypeError, match="text: expected a string, got list"):
        GRAMMAR.likeliest(["明"])


def test_no_draw_is_likelier_than_the_likeliest_poem():
    text, log_p = GRAMMAR.likeliest()
    assert log_p == pytest.approx(GRAMMAR.log_prob(text), abs=1e-9) and GRAMMAR.is_valid(text)
    drawn = GRAMMAR.sample(2000, generator=torch.Generator().manual_seed(0))
    assert max(map(GRAMMAR.log_prob, drawn)) <= log_p + 1e-9


def first_wrong(text, beginnings):
    """The length of the longest beginning that some poem shares."""
    return max(end for end in range(len(text) + 1) if text[:end] in beginnings)


def edited(text, characters):
    """All texts with one character replaced, left out or added."""
    for at in range(len(text) + 1):
        for c in characters:
            yield text[:at] + c + text[at:]
            if at < len(text):
                yield text[:at] + c + text[at + 1 :]
        if at < len(text):
            yield text[:at] + text[at + 1 :]


def test_valid_is_what_occurs_and_the_position_is_the_first_that_breaks(small):
    grammar, texts, beginnings = small
    for text in random.Random(0).sample(sorted(texts), 150):
        for other in edited(text, "abcdex"):
            verdict = grammar.is_valid(other)
            if other in texts:
                assert verdict == (True, None) and verdict
                continue
            assert verdict == (False, first_wrong(other, beginnings)) and not verdict, other
            assert grammar.log_prob(other) == -math.inf
            assert grammar.next_character(other) == {} or other in beginnings


def test_no_other_string_is_valid():
    line = {"first": ["who", "does"], "second": ["why", "end"]}
    source = {
        "tones": {"level": "a", "oblique": "bc"},
        "words": {"who": "aa x, ab y, ca z", "does": "abc x, bca y", "why": "ba x, bc y"},
        "rhymed": {"end": {"o": "abc x, cba y", "u": "bbb z"}},
        "couplets": [{"theme": "", "part": "scene", **line}],
    }
    grammar, texts = PoemGrammar(2, source=source), all_texts(source, 2)
    valid = {text for text in map("".join, product("abc", repeat=10)) if grammar.is_valid(text)}
    assert valid == set(texts) and len(valid) == 3 * 2 * 3
    n = 20_000
    drawn = Counter(grammar.sample(n, generator=torch.Generator().manual_seed(0)))
    for text, p in texts.items():  # five standard errors: one text in a million is further off
        assert drawn[text] / n == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n)), text


def test_one_slip_counts_once_and_k_slips_at_most_k_times(small):
    grammar, texts, beginnings = small
    chance = random.Random(0)
    for text in chance.sample(sorted(texts), 100):
        assert grammar.mistakes(text) == []
        for at, c in product(range(20), "abcdex"):
            slip = text[:at] + c + text[at + 1 :]
            assert grammar.mistakes(slip) == ([] if slip in texts else [first_wrong(slip, beginnings)]), slip
        for k in (2, 3, 5):
            places = chance.sample(range(20), k)
            slips = "".join(chance.choice("abcdex") if n in places else c for n, c in enumerate(text))
            found = grammar.mistakes(slips)
            assert len(found) <= k and found[:1] == ([] if slips in texts else [first_wrong(slips, beginnings)])
            early = slips[: chance.randrange(20)]
            assert grammar.mistakes(early) == [at for at in found if at < len(early)]


# --- the grammar of the course ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    """10,000 poems of the course."""
    return GRAMMAR.sample(10_000, generator=torch.Generator().manual_seed(0))


def test_entropy_agrees_with_the_poems_that_are_drawn(drawn):
    nll = -torch.tensor([GRAMMAR.log_prob(poem) for poem in drawn], dtype=torch.float64)
    assert nll.isfinite().all() and all(map(GRAMMAR.is_valid, drawn))
    assert abs(nll.mean() - GRAMMAR.entropy()) < 3 * nll.std() / math.sqrt(len(drawn))
    # Two draws are equal with probability Σ p² = E[p]. So many pairs repeat on average, and their number is nearly
    # Poisson: five standard deviations more would be a grammar poorer than it says.
    pairs = math.comb(len(drawn), 2) * (-nll).exp().mean().item()
    assert len(drawn) - len(set(drawn)) <= pairs + 5 * math.sqrt(pairs) < 50, "10,000 draws are nearly all different"


def test_the_same_seed_gives_the_same_poems_and_another_seed_others(drawn):
    assert GRAMMAR.sample(50, generator=torch.Generator().manual_seed(0)) == drawn[:50]
    assert not set(GRAMMAR.sample(50, generator=torch.Generator().manual_seed(1))) & set(drawn[:50])
    generator = torch.Generator().manual_seed(0)
    assert GRAMMAR.sample(1, generator=generator) != GRAMMAR.sample(1, generator=generator)


RHYME_OF = {
    word[-1]: rhyme for lists in SOURCE["rhymed"].values() for rhyme, words in lists.items() for word, _ in read(words)
}
LISTS = SOURCE["words"] | {category: ", ".join(lists.values()) for category, lists in SOURCE["rhymed"].items()}
WORDS_IN = {category: {word for word, _ in read(words)} for category, words in LISTS.items()}


@pytest.mark.parametrize("lines", [2, 4, 8])
def test_poems_keep_the_rules(lines):
    grammar = PoemGrammar(lines)
    assert (grammar.lines, grammar.length) == (lines, 5 * lines)
    opposite = ({"level", "oblique"}, {"oblique", "level"})
    tone = {c: name for name, characters in SOURCE["tones"].items() for c in characters}
    rhymes, themes = Counter(), Counter()
    for poem in grammar.sample(2000, generator=torch.Generator().manual_seed(lines)):
        assert len(poem) == 5 * lines and set(poem) <= set(grammar.characters)
        verses = [poem[n : n + 5] for n in range(0, len(poem), 5)]
        for first, second in zip(verses[::2], verses[1::2], strict=True):
            assert {tone[first[1]], tone[second[1]]} in opposite, poem
        (rhyme,) = {RHYME_OF[verse[-1]] for verse in verses[1::2]}
        shapes = []
        for n in range(0, len(poem), 10):
            words = [word for word, _ in grammar.gloss(poem[: n + 10])][len(grammar.gloss(poem[:n])) :]
            fits = [
                (couplet["theme"], couplet["part"])
                for couplet in SOURCE["couplets"]
                if all(w in WORDS_IN[s] for w, s in zip(words, couplet["first"] + couplet["second"], strict=True))
            ]
            assert "".join(words) == poem[n : n + 10] and len(fits) == 1, (poem, words, fits)
            shapes += fits
        assert [part for _, part in shapes] == ["scene"] + ["feeling"] * (lines // 2 - 1), poem
        (theme,) = {theme for theme, _ in shapes}
        rhymes[rhyme], themes[theme] = rhymes[rhyme] + 1, themes[theme] + 1
    # Three themes are equally likely and four rhymes nearly so; 2,000 draws leave no doubt that all occur.
    assert len(rhymes) == 4 and len(themes) == 3 and min(*rhymes.values(), *themes.values()) > 300


def test_log_prob_is_the_sum_over_characters(drawn):
    for poem in drawn[:100]:
        steps = [math.log(GRAMMAR.next_character(poem[:n])[poem[n]]) for n in range(20)]
        assert GRAMMAR.log_prob(poem) == pytest.approx(sum(steps), abs=1e-9)


def test_a_longer_poem_begins_like_a_shorter_one(drawn):
    longer = PoemGrammar(8)
    for poem in drawn[:30]:
        for n in range(20):
            assert longer.next_character(poem[:n]) == pytest.approx(GRAMMAR.next_character(poem[:n]), abs=1e-12)
        assert longer.is_valid(poem) == (False, 20) and longer.mistakes(poem) == []
        assert longer.next_character(poem) and not GRAMMAR.next_character(poem)
    assert set(longer.characters) == set(GRAMMAR.characters) == set(PoemGrammar(2).characters)


def test_a_slip_counts_once_and_character_soup_often(drawn):
    chance = random.Random(0)
    for poem in drawn[:300]:
        at, c = chance.randrange(20), chance.choice(GRAMMAR.characters)
        slip = poem[:at] + c + poem[at + 1 :]
        position = GRAMMAR.is_valid(slip).position
        assert GRAMMAR.mistakes(slip) == ([] if position is None else [position])
    soups = ["".join(chance.choices(GRAMMAR.characters, k=20)) for _ in range(200)]
    counts = [len(GRAMMAR.mistakes(soup)) for soup in soups]
    assert min(counts) > 5, "the reader is generous, and not blind"
    assert [GRAMMAR.mistakes(soup)[0] for soup in soups] == [GRAMMAR.is_valid(soup).position for soup in soups]


def test_gloss_says_every_word_in_english(small):
    poem = "明月照小院清风绕空山"
    assert GRAMMAR.gloss(poem) == [
        ("明月", "bright moon"), ("照", "lights"), ("小院", "the small court"),
        ("清风", "clear breezes"), ("绕", "circle"), ("空山", "the empty hills"),
    ]  # fmt: skip
    assert GRAMMAR.gloss(poem[:4]) == GRAMMAR.gloss(poem)[:2], "a word that is not finished has no meaning yet"
    assert GRAMMAR.gloss("") == []
    grammar, texts, _ = small
    text = next(text for text in texts if text.startswith("abdab"))  # "ab" is "one" or "seven", and its place decides
    assert [gloss for _, gloss in grammar.gloss(text)[:3]] == ["one", "six", "seven"]


# --- the word lists -----------------------------------------------------------------------------------------


def entries(category):
    return [tuple(entry.strip().partition(" ")[::2]) for entry in LISTS[category].split(",")]


@pytest.mark.parametrize("category", LISTS)
def test_a_list_has_each_word_and_each_meaning_once(category):
    words, glosses = zip(*entries(category), strict=True)
    assert len(set(words)) == len(words) and len(set(glosses)) == len(glosses)
    for word, gloss in entries(category):
        assert all("一" <= c <= "鿿" for c in word), f"{word!r} is not Chinese"
        assert gloss == gloss.strip() and gloss and gloss.isascii() and gloss[0].isalpha(), f"{word}: {gloss!r}"
        assert len(gloss) <= 30, f"{gloss!r} has no room below {word}"
    used = {slot for couplet in SOURCE["couplets"] for slot in couplet["first"] + couplet["second"]}
    assert category in used, "no couplet uses it"


def test_tones_and_rhymes_are_never_in_doubt():
    tones = SOURCE["tones"]
    assert set(tones) == {"level", "oblique"} and not set(tones["level"]) & set(tones["oblique"])
    assert all(len(set(characters)) == len(characters) for characters in tones.values())
    begin = [word for c in SOURCE["couplets"] for line in ("first", "second") for word in WORDS_IN[c[line][0]]]
    assert {word[1] for word in begin} == set(tones["level"] + tones["oblique"]), "those, and no others, are needed"
    for category, lists in SOURCE["rhymed"].items():
        assert list(lists) == ["ang", "an", "eng", "ou"], category
        for rhyme, words in lists.items():
            assert {RHYME_OF[word[-1]] for word, _ in read(words)} == {rhyme}, "a character rhymes in two ways"


def test_every_theme_has_the_same_choice():
    shapes = Counter((couplet["theme"], couplet["part"]) for couplet in SOURCE["couplets"])
    assert shapes == dict.fromkeys(product(("moonlight", "river", "mountain"), ("scene", "feeling")), 2)


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [0, 3])
def test_a_couplet_has_two_lines(lines):
    with pytest.raises(ValueError, match=f"lines: expected an even number of lines, 2 or more, got {lines}$"):
        PoemGrammar(lines)


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(ValueError, match=r"n: expected a whole number ≥ 1, got 0$"):
        GRAMMAR.sample(0, generator=torch.Generator())
    with pytest.raises(TypeError, match="generator: expected a torch"):
        GRAMMAR.sample(1, generator=0)


@pytest.mark.parametrize("name", ["log_prob", "next_character", "is_valid", "mistakes", "gloss", "places"])
def test_a_text_is_a_string(name):
    with pytest.raises(TypeError, match=r"text: expected a string, got list$"):
        getattr(GRAMMAR, name)(["a", "b"])


def test_a_text_longer_than_a_poem(drawn):
    longer = drawn[0] + "月"
    assert GRAMMAR.is_valid(longer) == Verdict(False, 20) and GRAMMAR.log_prob(longer) == -math.inf
    assert GRAMMAR.next_character(longer) == {}
    with pytest.raises(ValueError, match=r"text: expected at most 20 characters, got 21$"):
        GRAMMAR.mistakes(longer)
    with pytest.raises(ValueError, match=rf"expected the beginning of a poem, and none begins with '{longer}'$"):
        GRAMMAR.gloss(longer)


def test_what_begins_no_poem_has_no_gloss():
    with pytest.raises(ValueError, match=r"and none begins with '明日'$"):
        GRAMMAR.gloss("明日照小院")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"words": {"what": "ab three, cd four"}}, "'ab' can be read in two ways at .*keep it in one of its lists"),
        ({"words": {"far": "abc nine, abc ten"}}, "'abc' can be read in two ways"),
        ({"words": {"what": "a three, cd four"}}, "'a' begins a line, so .* must have its second character"),
        ({"words": {"does": "b five, ba six"}}, "'b' is a word and begins another one at .*keep one of them"),
        ({"words": {"does": "ba six, b five"}}, "'b' is a word and begins another one"),
        ({"words": {"who": "ab one, ax two"}}, "'ax' begins a line, so the list of a tone must have its second"),
        ({"words": {"she": "bx eleven"}}, "'bx' begins a line"),
        ({"words": {"she": "bb eleven"}}, "'she' has no answer to the tone 'level'"),
        ({"words": {"far": "abc nine, abcd ten"}}, "'abc' is a word and begins another"),
        ({"words": {"says": "d"}}, "words: expected each with its meaning, got 'd' in 'd'"),
        ({"words": {"says": "d fourteen,"}}, "words: expected each with its meaning, got ''"),
        ({"words": {"says": "da fourteen"}}, "expected lines of 5 characters"),
        ({"words": {"far": "ab nine"}}, "expected lines of 5 characters"),
        ({"rhymed": {"long": {"o": "bce twenty"}}}, "'long' ends a couplet and lacks the rhyme 'u'"),
        ({"rhymed": {"end": {}}}, "'end' ends a couplet and lacks the rhyme 'of every kind'"),
        ({"words": {"end": "ad nineteen"}, "rhymed": {"end": None}}, "'end' .* lacks the rhyme 'of every kind'"),
        ({"couplets": SMALL["couplets"][:4]}, "couplets: expected a feeling of every theme, got none of hill"),
        ({"couplets": SMALL["couplets"][2:]}, "couplets: expected a scene of every theme, got none of sea"),
    ],
)
def test_a_source_that_cannot_be_read_is_told_at_once(change, says):
    source = copy.deepcopy(SMALL)
    for part, new in change.items():
        source[part] = new if part == "couplets" else source[part] | new
        source[part] = source[part] if part == "couplets" else {k: v for k, v in source[part].items() if v is not None}
    with pytest.raises(ValueError, match=says):
        PoemGrammar(4, source=source)
    PoemGrammar(4, source=SMALL)


# --- where a text could stand, and its words ---------------------------------------------------------------------


def test_places_are_all_where_some_poem_has_the_text(small):
    grammar, texts, _ = small
    chance = random.Random(1)
    every = sorted(texts)
    for poem in chance.sample(every, 20):
        at, length = chance.randrange(15), chance.randrange(1, 6)
        piece = poem[at : at + length]
        expected = sorted({n for text in every for n in range(21 - length) if text.startswith(piece, n)})
        assert grammar.places(piece) == expected and at in expected
    assert grammar.places("x") == [] and grammar.places("") == list(range(21))
    assert grammar.places(every[0] + every[0]) == []


def test_any_text_is_split_into_words_as_completely_as_can_be(drawn):
    lexicon = GRAMMAR.lexicon
    for poem in drawn[:200]:
        assert [word for word, _ in lexicon.split(poem)] == [word for word, _ in GRAMMAR.gloss(poem)]
    assert lexicon.split("") == []
    assert lexicon.split("?明月?照") == [("?", ""), ("明月", "bright moon"), ("?", ""), ("照", "lights")]
    for poem in drawn[:50]:  # displaced by a wrong character, the words are still found
        found = lexicon.split("?" + poem[:-1])
        assert "".join(word for word, _ in found) == "?" + poem[:-1]
        assert sum(not gloss for _, gloss in found) <= 2


def test_the_lexicon_tells_tones_and_rhymes():
    lexicon = GRAMMAR.lexicon
    assert lexicon.tones["月"] == "oblique" and lexicon.tones["风"] == "level"
    assert lexicon.rhymes["山"] == "an" and "月" not in lexicon.rhymes
    assert set(lexicon.rhymes.values()) == {"ang", "an", "eng", "ou"}
