"""Quatrains from a grammar whose probabilities are known exactly: what a model of sentences is measured against."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch

from ..expect import expect_count, expect_generator
from .poem_automaton import PoemAutomaton


class Verdict(NamedTuple):
    """Is it a poem? True or False wherever a truth value is asked for; `position` is the first that breaks it."""

    valid: bool
    position: int | None

    def __bool__(self) -> bool:
        return self.valid


class PoemGrammar(PoemAutomaton):
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
        for state in self._from_the_end():
            h[state] = sum(p * (h[after] - math.log(p)) for p, after in self._edges(state).values())
        return h[self.start]

    def likeliest(self, begun: str = "") -> tuple[str, float]:
        """The likeliest of all poems that begin with `begun`, and its log p in nats, exactly, by dynamic programming.

        From the end, best(state) = max_c p(c) · best(state after c). Raises ValueError where no poem begins so.
        """
        best = {}
        for state in self._from_the_end():
            ways = ((best[after][0] + math.log(p), c + best[after][1]) for c, (p, after) in self._edges(state).items())
            best[state] = max(ways, default=(0.0, ""))
        steps = self._follow_all(begun)
        return begun + best[steps[-1][1]][1], sum(math.log(p) for p, _ in steps) + best[steps[-1][1]][0]

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
        steps = self._follow_all(text)
        between = [n for n, (_, (_, begun)) in enumerate(steps) if not begun]  # positions between two words
        words = [(steps[n][1][0], text[n:end]) for n, end in pairwise(between)]
        return [(word, self._words_at(place)[word][2]) for place, word in words]

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

    def _follow_all(self, text):
        """The start, and the steps along all of `text`."""
        steps = [(1.0, self.start), *self._follow(text)]
        if len(steps) <= len(text):
            raise ValueError(f"text: expected the beginning of a poem, and none begins with {text[: len(steps)]!r}")
        return steps


def _expect_text(text):
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
