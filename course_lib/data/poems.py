"""Quatrains from a grammar whose probabilities are known exactly: what a model of sentences is measured against."""

import math
import tomllib
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import torch

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


class _Word(NamedTuple):
    text: str
    gloss: str
    p: float
    rhyme: str = ""


class PoemGrammar:
    """A distribution over poems of `lines` lines of five characters, without punctuation; `lines` is even, ≥ 2.

    A poem has one theme, drawn first: moonlight, river or mountain. Two lines are a couplet of one shape, in turn a
    scene and a feeling, and a slot is filled with words of one kind. Two rules of Tang regulated verse hold: the second
    characters of a couplet's lines have opposite tones (平仄), and all even lines end in one rhyme. Words are as
    frequent as natural ones: the r-th of a list has weight 1/r (Zipf). `poems.toml` holds words, rules and glosses.

    What may follow depends on a state that the characters before determine, so the grammar is a deterministic
    automaton, and probabilities, entropy and validity are exact. `source` is another grammar, a dict like the one in
    `poems.toml`. Raises ValueError for odd `lines`, and for a source with words that could be read in two ways.
    """

    def __init__(self, lines: int = 4, *, source: dict | None = None):
        if lines < 2 or lines % 2:
            raise ValueError(f"lines: expected an even number of lines, 2 or more, got {lines}")
        self.lines, self.length = lines, lines * WIDTH
        source = source or tomllib.loads(Path(__file__).with_name("poems.toml").read_text("utf-8"))
        self._couplets, self._tone = source["couplets"], {c: t for t, cs in source["tones"].items() for c in cs}
        self._words = {}
        for category, words in source["words"].items():
            self._words[category] = self._read(words)
        for category, rhymes in source["rhymed"].items():
            by_rhyme = [(rhyme, word) for rhyme, words in rhymes.items() for word in self._read(words)]
            self._words[category] = [w._replace(p=w.p / len(rhymes), rhyme=r) for r, w in by_rhyme]
        self._words_of, self._edges_of, self._entropy_of, self._states_at = {}, {}, {}, []
        self.start = (self._couplet_after(0, range(len(self._couplets))), "")

    @property
    def characters(self) -> str:
        """All characters that a poem can have, sorted."""
        return "".join(sorted({c for words in self._words.values() for word in words for c in word.text}))

    def sample(self, n: int, generator: torch.Generator) -> list[str]:
        """`n` poems, each a string of `length` characters. Raises ValueError for n < 1."""
        if n < 1:
            raise ValueError(f"n: expected at least one poem, got {n}")
        chances = torch.rand(n, self.length, device=generator.device, generator=generator, dtype=torch.float64)
        poems = []
        for row in chances.tolist():
            poem, state = [], self.start
            for chance in row:
                characters, nexts, sums = self._edges(state)
                pick = min(bisect(sums, chance), len(characters) - 1)
                poem.append(characters[pick])
                state = nexts[pick]
            poems.append("".join(poem))
        return poems

    def log_prob(self, text: str) -> float:
        """log p(text) in nats; −inf for what the grammar cannot make."""
        total, state = 0.0, self.start
        for character in text:
            p, state = self._step(state, character)
            if p == 0:
                return -math.inf
            total += math.log(p)
        return total if self._ended(state) else -math.inf

    def next_character(self, prefix: str) -> dict[str, float]:
        """p(next character | prefix), likeliest first; empty where nothing can follow."""
        state = self.start
        for character in prefix:
            _, state = self._step(state, character)
        if state is None or self._ended(state):
            return {}
        characters, _, sums = self._edges(state)
        return dict(sorted(zip(characters, _shares(sums), strict=True), key=lambda pair: -pair[1]))

    def entropy(self) -> float:
        """H in nats per poem, exactly: from the end, H(state) = Σ_c p(c) (H(state after c) − log p(c))."""
        return self._entropy(self.start)

    def is_valid(self, text: str) -> Verdict:
        """Can the grammar make `text`? If not, `position` is the first that no such poem has (or its short end)."""
        state = self.start
        for position, character in enumerate(text):
            p, state = self._step(state, character)
            if p == 0:
                return Verdict(False, position)
        return Verdict(True, None) if self._ended(state) else Verdict(False, len(text))

    def mistakes(self, text: str) -> list[int]:
        """All positions that break `text`, which may have any length up to a poem's; the first is that of `is_valid`.

        The reader is generous: a wrong character is a slip of the pen, or the beginning of something else that has it
        at this position, whichever lets what follows pass. One slip in a good poem therefore counts once. Raises
        ValueError for a text that is too long.
        """
        if len(text) > self.length:
            raise ValueError(f"text: expected at most {self.length} characters, got {len(text)}")
        states, found = {self.start}, []
        for position, character in enumerate(text):
            after = {self._step(state, character)[1] for state in states} - {None}
            if not after:
                found.append(position)
                slip = {after for state in states for after in self._edges(state)[1]}
                after = slip | {self._step(state, character)[1] for state in self._states(position)} - {None}
            states = after
        return found

    def gloss(self, text: str) -> list[tuple[str, str]]:
        """The words of a valid text with their meanings in English: [("明月", "bright moon"), ("照", "lights"), …]."""
        words, state, begun = [], self.start, ""
        for character in text:
            place = state[0]
            begun, (_, state) = begun + character, self._step(state, character)
            if state is None:
                raise ValueError(
                    f"text: expected the beginning of a poem, got {text!r}: {character!r} cannot stand there"
                )
            if state[1] == "":
                words.append((begun, self._words_at(place)[begun][2]))
                begun = ""
        return words

    # --- the automaton: a state is a place between words and the beginning of the next word ----------------------

    def _read(self, words):
        """The words of a list "明月 bright moon, 星河 …", the r-th with a weight of 1/r; the weights sum to 1."""
        pairs = [pair.strip().split(" ", 1) for pair in words.split(",")]
        total = sum(1 / rank for rank in range(1, len(pairs) + 1))
        return [_Word(text, gloss, 1 / rank / total) for rank, (text, gloss) in enumerate(pairs, 1)]

    def _couplet_after(self, line, before):
        """The place where the couplet begins that follows one of `before`, with the same theme."""
        part, themes = ("scene", "feeling")[line // 2 % 2], {self._couplets[c]["theme"] for c in before}
        fits = [n for n, c in enumerate(self._couplets) if c["part"] == part and c["theme"] in themes]
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
            allowed = self._words[category]
            if second and place.slot == 0:
                allowed = [word for word in allowed if self._tone[word.text[1]] != place.tone]
            if second and last and place.rhyme:
                allowed = [word for word in allowed if word.rhyme == place.rhyme]
            share = len(couplets) / len(place.couplets) / sum(word.p for word in allowed)
            for word in allowed:
                if word.text in words:
                    raise ValueError(f"{word.text!r} can be read in two ways at {place}: keep it in one of its lists")
                words[word.text] = (share * word.p, self._after(place, word, tuple(couplets), last), word.gloss)
        self._words_of[place] = words
        return words

    def _after(self, place, word, couplets, last):
        tone = self._tone[word.text[1]] if place.slot == 0 else place.tone
        if not last:
            return _Place(place.line, place.slot + 1, couplets, tone, place.rhyme)
        if place.line % 2 == 0:
            return _Place(place.line + 1, 0, couplets, tone, place.rhyme)
        return self._couplet_after(place.line + 1, couplets)._replace(rhyme=place.rhyme or word.rhyme)

    def _edges(self, state):
        """(characters, states after them, cumulative probabilities) out of a state."""
        if state not in self._edges_of:
            place, begun = state
            total, edges = 0.0, {}
            for word, (p, after, _) in self._words_at(place).items():
                if not word.startswith(begun):
                    continue
                total += p
                character, longer = word[len(begun)], word[: len(begun) + 1]
                target = (after, "") if longer == word else (place, longer)
                known, reached = edges.get(character, (0.0, target))
                if reached != target or (known and target[1] == ""):
                    raise ValueError(f"{longer!r} is a word and begins another one at {place}: keep one of them")
                edges[character] = (known + p, target)
            sums = list(accumulate(p / total for p, _ in edges.values()))
            self._edges_of[state] = list(edges), [target for _, target in edges.values()], sums
        return self._edges_of[state]

    def _step(self, state, character):
        """(probability of `character`, state after it), or (0, None)."""
        if state is None or self._ended(state):
            return 0.0, None
        characters, nexts, sums = self._edges(state)
        if character not in characters:
            return 0.0, None
        at = characters.index(character)
        return _shares(sums)[at], nexts[at]

    def _ended(self, state):
        return state[0].line == self.lines

    def _entropy(self, state):
        if self._ended(state):
            return 0.0
        if state not in self._entropy_of:
            _, nexts, sums = self._edges(state)
            self._entropy_of[state] = sum(
                p * (self._entropy(after) - math.log(p)) for p, after in zip(_shares(sums), nexts, strict=True)
            )
        return self._entropy_of[state]

    def _states(self, position):
        """All states that some poem is in before its character number `position`."""
        self._states_at = self._states_at or [{self.start}]
        while len(self._states_at) <= position:
            here = [state for state in self._states_at[-1] if not self._ended(state)]
            self._states_at.append({after for state in here for after in self._edges(state)[1]})
        return self._states_at[position]


def _shares(sums):
    """Cumulative probabilities back into single ones."""
    return [high - low for low, high in zip([0.0, *sums], sums, strict=False)]
