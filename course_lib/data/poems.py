"""Quatrains from a grammar whose probabilities are known exactly: what a model of sentences is measured against."""

import math
import tomllib
from itertools import pairwise
from typing import NamedTuple

import torch

from ..expect import expect_count, expect_generator
from .lexicon import Lexicon
from .shipped import shipped

WIDTH = 5  # characters in a line


class Verdict(NamedTuple):
    """Is it a poem? True or False wherever a truth value is asked for; `position` is the first that breaks it."""

    valid: bool
    position: int | None

    def __bool__(self) -> bool:
        return self.valid


class _Place(NamedTuple):
    """Where a poem stands between two words, and all that what follows depends on."""

    line: int
    slot: int
    couplets: tuple[int, ...]  # that may still be the one being written
    tone: str = ""  # of the couplet's first line
    rhyme: str = ""


class PoemGrammar:
    """A distribution over poems of `lines` lines of five characters, without punctuation; `lines` is even, ≥ 2.

    A poem has one theme, drawn first: moonlight, river or mountain. Two lines are a couplet of one shape: a scene
    first, then feelings, and a slot is filled with words of one kind. Two rules of Tang regulated verse hold: the
    second characters of a couplet's lines have opposite tones (平仄), and all even lines end in one rhyme. Words are
    as frequent as natural ones: the r-th of a list has weight 1/r (Zipf). `poems.toml` holds words, rules and glosses;
    the words are in `lexicon`.

    What may follow depends on a state that the characters before determine, so the grammar is a deterministic
    automaton, and probabilities, entropy and validity are exact. `source` is another grammar, a dict like the one in
    `poems.toml`. Raises ValueError for odd `lines`, and for a source that breaks these rules: it says where.
    """

    def __init__(self, lines: int = 4, *, source: dict | None = None):
        if lines < 2 or lines % 2:
            raise ValueError(f"lines: expected an even number of lines, 2 or more, got {lines}")
        self.lines, self.length = lines, lines * WIDTH
        if source is None:
            source = tomllib.loads(shipped("poems.toml").read_text("utf-8"))
        self._couplets, self.lexicon = source["couplets"], Lexicon(source)
        self._words_of, self._edges_of = {}, {}
        self.start = (self._couplet_after(0, range(len(self._couplets))), "")
        self._states = [{self.start}]  # that some poem is in before each of its characters, and at its end
        for position in range(1, self.length + 1):
            self._states.append(self._reached(self._states[-1]))
            if odd := next((place for place, _ in self._states[-1] if place.line != position // WIDTH), None):
                raise ValueError(f"couplets: expected lines of {WIDTH} characters, got another one before {odd}")

    @property
    def characters(self) -> str:
        """All characters of its words, sorted: poems of another length have no others."""
        return "".join(sorted({c for words in self.lexicon.lists.values() for word in words for c in word.text}))

    def sample(self, n: int, *, generator: torch.Generator) -> list[str]:
        """`n` poems, each a string of `length` characters. Raises as `expect_count` and `expect_generator` do."""
        expect_count("n", n)
        expect_generator(generator)
        chances = torch.rand(n, self.length, device=generator.device, generator=generator, dtype=torch.float64)
        poems = []
        for row in chances.tolist():
            poem, state = "", self.start
            for chance in row:
                for character, (p, after) in self._edges(state).items():  # noqa: B007 (what it stops at is used)
                    chance -= p
                    if chance < 0:
                        break
                poem, state = poem + character, after
            poems.append(poem)
        return poems

    def log_prob(self, text: str) -> float:
        """log p(text) in nats; −inf for what the grammar cannot make."""
        steps = self._follow(text)
        return sum(math.log(p) for p, _ in steps) if len(steps) == len(text) == self.length else -math.inf

    def next_character(self, prefix: str) -> dict[str, float]:
        """p(next character | prefix), likeliest first; empty where nothing can follow."""
        steps = [(1.0, self.start), *self._follow(prefix)]
        edges = self._edges(steps[-1][1]) if len(steps) > len(prefix) else {}
        return {c: p for c, (p, _) in sorted(edges.items(), key=lambda edge: -edge[1][0])}

    def entropy(self) -> float:
        """H in nats per poem, exactly: from the end, H(state) = Σ_c p(c) (H(state after c) − log p(c))."""
        h = {}
        for state in (state for states in reversed(self._states) for state in states):
            h[state] = sum(p * (h[after] - math.log(p)) for p, after in self._edges(state).values())
        return h[self.start]

    def is_valid(self, text: str) -> Verdict:
        """Can the grammar make `text`? If not, `position` is the first that no such poem has (or its short end)."""
        position = len(self._follow(text))
        return Verdict(True, None) if position == len(text) == self.length else Verdict(False, position)

    def mistakes(self, text: str) -> list[int]:
        """All positions that break `text`, which may have any length up to a poem's; the first is that of `is_valid`.

        The reader is generous: a wrong character is a slip of the pen, or the beginning of something else that has it
        at this position, whichever lets what follows pass. So k slips in a good poem count at most k times, and one
        that spoils it counts once. An end that comes too early is not counted. Raises ValueError for too long a text.
        """
        _expect_text(text)
        if len(text) > self.length:
            raise ValueError(f"text: expected at most {self.length} characters, got {len(text)}")
        states, found = {self.start}, []
        for position, character in enumerate(text):
            before, states = states, self._reached(states, character)
            if not states:
                found.append(position)
                states = self._reached(before) | self._reached(self._states[position], character)
        return found

    def places(self, text: str) -> list[int]:
        """All positions at which some poem has `text`, whatever stands before it; empty where it fits nowhere.

        Raises TypeError for what is no string.
        """
        _expect_text(text)
        found = []
        for position in range(self.length - len(text) + 1):
            states = self._states[position]
            for character in text:
                states = self._reached(states, character)
            if states:
                found.append(position)
        return found

    def gloss(self, text: str) -> list[tuple[str, str]]:
        """The words of a poem, or of its beginning, in English: [("明月", "bright moon"), ("照", "lights"), …].

        Raises ValueError for a text that no poem begins with.
        """
        steps = [(1.0, self.start), *self._follow(text)]
        if len(steps) <= len(text):
            raise ValueError(f"text: expected the beginning of a poem, and none begins with {text[: len(steps)]!r}")
        between = [n for n, (_, (_, begun)) in enumerate(steps) if not begun]  # positions between two words
        words = [(steps[n][1][0], text[n:end]) for n, end in pairwise(between)]
        return [(word, self._words_at(place)[word][2]) for place, word in words]

    # --- the automaton: a state is a place between words and the beginning of the next word ----------------------

    def _couplet_after(self, line, before):
        """The place where the couplet begins that follows one of `before`, with the same theme."""
        part, themes = ("feeling" if line else "scene"), {self._couplets[c]["theme"] for c in before}
        fits = [n for n, c in enumerate(self._couplets) if c["part"] == part and c["theme"] in themes]
        if line < self.lines and (lacking := themes - {self._couplets[c]["theme"] for c in fits}):
            raise ValueError(f"couplets: expected a {part} of every theme, got none of {', '.join(sorted(lacking))}")
        return _Place(line, 0, tuple(fits))

    def _words_at(self, place):
        """{word: (probability, place after it, gloss)}: all words that can stand at `place`."""
        if place in self._words_of:
            return self._words_of[place]
        second, words, by_category = place.line % 2, {}, {}
        for couplet in place.couplets:
            slots = self._couplets[couplet][("first", "second")[second]]
            last = place.slot == len(slots) - 1
            by_category.setdefault((slots[place.slot], last), []).append(couplet)
        for (category, last), couplets in by_category.items():
            allowed = self._allowed(category, place, last)
            share = len(couplets) / len(place.couplets) / sum(word.p for word in allowed)
            for word in allowed:
                if word.text in words:
                    raise ValueError(f"{word.text!r} can be read in two ways at {place}: keep it in one of its lists")
                words[word.text] = (share * word.p, self._after(place, word, tuple(couplets), last), word.gloss)
        self._words_of[place] = words
        return words

    def _allowed(self, category, place, last):
        """The words of `category` that obey the rules of tone and rhyme at `place`."""
        allowed, second = self.lexicon.lists[category], place.line % 2
        if second and place.slot == 0:
            allowed = [word for word in allowed if self._tone_of(word) != place.tone]
            if not allowed:
                raise ValueError(f"{category!r} has no answer to the tone {place.tone!r}: add a word of another tone")
        if second and last:
            allowed = [word for word in allowed if word.rhyme and place.rhyme in ("", word.rhyme)]
            if not allowed:
                raise ValueError(f"{category!r} ends a couplet and lacks the rhyme {place.rhyme or 'of every kind'!r}")
        return allowed

    def _tone_of(self, word):
        if word.text[1:2] not in self.lexicon.tones:
            raise ValueError(f"{word.text!r} begins a line, so the list of a tone must have its second character")
        return self.lexicon.tones[word.text[1]]

    def _after(self, place, word, couplets, last):
        tone = self._tone_of(word) if place.slot == 0 else place.tone
        if not last:
            return _Place(place.line, place.slot + 1, couplets, tone, place.rhyme)
        if place.line % 2 == 0:
            return _Place(place.line + 1, 0, couplets, tone, place.rhyme)
        return self._couplet_after(place.line + 1, couplets)._replace(rhyme=word.rhyme)

    def _edges(self, state):
        """{character: (probability, state after it)} out of a state; none at the end of a poem."""
        place, begun = state
        if state not in self._edges_of and place.line < self.lines:
            fits = {word: step for word, step in self._words_at(place).items() if word.startswith(begun)}
            total, edges = sum(p for p, _, _ in fits.values()), {}
            for word, (p, after, _) in fits.items():
                longer = word[: len(begun) + 1]
                target = (after, "") if longer == word else (place, longer)
                known, reached = edges.get(longer[-1], (0.0, target))
                if reached != target:
                    raise ValueError(f"{longer!r} is a word and begins another one at {place}: keep one of them")
                edges[longer[-1]] = (known + p / total, target)
            self._edges_of[state] = edges
        return self._edges_of.get(state, {})

    def _follow(self, text):
        """The steps (probability, state after it) along `text`, as far as some poem goes with it."""
        _expect_text(text)
        steps, state = [], self.start
        for character in text:
            if character not in self._edges(state):
                break
            steps.append(self._edges(state)[character])
            state = steps[-1][1]
        return steps

    def _reached(self, states, character=None):
        """All states after `character` out of `states`; after any character without it."""
        return {after for s in states for c, (_, after) in self._edges(s).items() if character in (None, c)}


def _expect_text(text):
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
