"""The rules of the course's poems as a machine: its states, and the characters that lead from one to the next."""

import tomllib
from typing import NamedTuple

from .lexicon import Lexicon
from .shipped import shipped

WIDTH = 5  # characters in a line


class _Place(NamedTuple):
    """Where a poem stands between two words, and all that what follows depends on."""

    line: int
    slot: int
    couplets: tuple[int, ...]  # that may still be the one being written
    tone: str = ""  # of the couplet's first line
    rhyme: str = ""


class PoemAutomaton:
    """What may follow in a poem depends on a state that the characters before determine: `PoemGrammar` reads it.

    A state is a place between words and the beginning of the next word.
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

    def _from_the_end(self):
        """All states, each after those that it leads to."""
        return (state for states in reversed(self._states) for state in states)

    def _reached(self, states, character=None):
        """All states after `character` out of `states`; after any character without it."""
        return {after for s in states for c, (_, after) in self._edges(s).items() if character in (None, c)}
