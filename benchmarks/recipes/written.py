"""What a writer of poems is asked: how good its poems are, what becomes of a slip, and what it has learnt to heed."""

import math
import tomllib
from functools import cached_property

import torch

from course_lib.data import PoemGrammar
from course_lib.data.shipped import shipped
from course_lib.decode import draw, keep_top_p, write
from course_lib.device import make_generator

from .writers import World

LATEST = 15  # a mistake at a later place has fewer than five characters after it


class Exam:
    """The questions of one seed, the same for all its writers: test poems, slips, beginnings.

    `sizes` has `draws` (poems drawn), `slips` (poems that begin with one), `long` (texts of 80), `thousand` (poems
    whose lines are counted).
    """

    def __init__(self, w: World, seed: int, sizes: dict):
        self.w, self.sizes, self.seed = w, sizes, seed
        self.longer = PoemGrammar(lines=16)
        self.lines = {line for poem in w.read(w.x_train) for line in cut(poem)}
        self.log_p = torch.tensor([w.language.log_prob(poem) for poem in w.test])
        self.theme = themes(w.language)

    def chance(self):
        """Of each question anew, so that an answer does not hang on what was asked before."""
        return make_generator(50_000 + self.seed)

    @cached_property
    def at_three(self):
        """Beginnings (n, 3) of test poems whose third character cannot stand there."""
        return self._slipped([2] * self.sizes["slips"])[:, :3]

    @cached_property
    def anywhere(self):
        """The same at places 1 to 15, one place a poem: x (n, 20), and the places (n,), counted from 0."""
        at = [n % LATEST for n in range(self.sizes["slips"])]
        return self._slipped(at), torch.tensor(at)

    def _slipped(self, at):
        chance, x = self.chance(), self.w.x_test[: len(at)].clone()
        for row, poem, t in zip(x, self.w.test, at, strict=False):
            right = self.w.language.next_character(poem[:t])
            wrong = [n for n, c in enumerate(self.w.vocabulary.characters) if c not in right]
            row[t] = wrong[torch.randint(len(wrong), (), generator=chance)]
        return x

    @cached_property
    def right(self):
        """Which characters can follow each beginning of the first `slips` test poems, (n, 20, V)."""
        return self._following(self.w.language, self.w.test[: self.sizes["slips"]])

    @cached_property
    def texts(self):
        """Texts of 80 characters (n, 80), and which characters can follow each of their beginnings."""
        poems = self.longer.sample(self.sizes["long"], generator=self.chance())
        return self.w.vocabulary.encode_all(poems), self._following(self.longer, poems)

    def _following(self, language, poems):
        number = {c: n for n, c in enumerate(self.w.vocabulary.characters)}
        right = torch.zeros(len(poems), language.length, len(number), dtype=torch.bool)
        for row, poem in zip(right, poems, strict=True):
            for t in range(language.length):
                row[t, [number[c] for c in language.next_character(poem[:t])]] = True
        return right

    @cached_property
    def rhymes(self):
        """Test poems whose couplets end in words of one character, and what chapter 3 makes of their character 10:
        x (n, 20), the same with another rhyme there, the same with another character of the same rhyme.
        """
        language, rhyme = self.w.language, self.w.language.lexicon.rhymes
        short = [poem for poem in self.w.test if _ends_in_one(language, poem)]
        tenths, changed = list(language.next_character(short[0][:9])), {True: [], False: []}
        for same, poems in changed.items():
            for n, poem in enumerate(short):
                fits = [c for c in tenths if c != poem[9] and (rhyme[c] == rhyme[poem[9]]) == same]
                poems.append(poem[:9] + fits[n % len(fits)] + poem[10:])
        return [self.w.vocabulary.encode_all(poems) for poems in (short, changed[False], changed[True])]

    # --- the answers -----------------------------------------------------------------------------------------------

    def finish(self, model, x, at, chance, top_p=1.0):
        """Texts (n, T) whose characters up to the places `at` (n,) are those of x, and the rest the model's."""
        known = torch.arange(x.shape[1]) <= at[:, None]

        def choose(logits, t):
            return draw(logits, generator=chance, top_p=top_p)

        return write(model, len(x), x.shape[1], choose=choose, given=x, known=known)

    def judge(self, x, at):
        """Texts with a wrong character at `at` (n,): what follows it, all the same length of text or not.

        `flawless`: no mistake after it, by the generous judge. `strict`: with another character at `at`, and none
        changed but that, the whole is a poem. `wrong`: share of mistakes among what follows.
        """
        language, found = self.w.language, {"flawless": 0.0, "strict": 0.0, "wrong": 0.0}
        for poem, t in zip(self.w.read(x), at.tolist(), strict=True):
            later = [place for place in language.mistakes(poem) if place > t]
            found["flawless"] += not later
            found["strict"] += any(
                language.is_valid(poem[:t] + c + poem[t + 1 :]) for c in language.next_character(poem[:t])
            )
            found["wrong"] += len(later) / (len(poem) - 1 - t)
        return {name: value / max(1, len(x)) for name, value in found.items()}

    @torch.no_grad()
    def poems(self, model, x=None, **how):
        """What its draws are worth; x (n, 20) are the draws, if they are made already."""
        chance, language = self.chance(), self.w.language
        if x is None:
            how = {"n": self.sizes["draws"]} | how
            x = model.sample(length=language.length, generator=chance, progress=False, **how)
        log_q, poems = model.log_prob(x), self.w.read(x)
        right = [bool(language.is_valid(poem)) for poem in poems]
        good = torch.tensor([language.log_prob(poem) for poem, good in zip(poems, right, strict=True) if good])
        valid, of_good = len(good) / len(x), log_q[torch.tensor(right)]
        found = {"draws": len(x), "valid": valid, "entropy": -log_q.mean().item()}
        found["lines"] = len({line for poem in poems[: self.sizes["thousand"]] for line in cut(poem)} & self.lines)
        found["poems"] = len(set(poems[: self.sizes["thousand"]]))
        found["forward"] = (of_good - good).mean().item() - math.log(valid) if valid else None
        return found | self.shares(poems)

    def shares(self, poems):
        """The themes that poems begin with, and the total variation of their first characters from the grammar's."""
        first = [poem[0] for poem in poems]
        said = [self.theme[poem[:2]] for poem in poems if poem[:2] in self.theme]
        true = self.w.language.next_character("")
        off = sum(abs(first.count(c) / len(first) - true.get(c, 0)) for c in {*first, *true}) / 2
        every = sorted(set(self.theme.values()))
        return {"themes": {name: said.count(name) / max(1, len(said)) for name in every}, "first_off": off}

    @torch.no_grad()
    def likelihood(self, model, n=None):
        excess = (self.log_p - torch.cat([model.log_prob(part) for part in self.w.x_test.split(500)]))[:n]
        return {"kl": excess.mean().item(), "kl_error": excess.std().item() / len(excess) ** 0.5}

    @torch.no_grad()
    def slip(self, model):
        """After a slip at place 3, after one at any place, and place by place beside the true inputs."""
        found, n = {}, self.sizes["slips"]
        three, at = torch.cat([self.at_three, self.w.x_test[:n, 3:]], 1), torch.full((n,), 2)
        x = self.finish(model, three, at, self.chance())
        found |= {f"{name}_3": value for name, value in self.judge(x, at).items()} | self.lateness(x)
        found["wrong_at"] = self.wrong_at(x, self.w.language)[3:]
        drawn = draw(model(three).flatten(0, 1), generator=self.chance()).view_as(three)
        found["wrong_at_true"] = (1 - self.right.gather(2, drawn[:, :, None]).float()).mean((0, 2))[3:].tolist()
        x = self.finish(model, three, at, self.chance(), top_p=0.95)
        found["flawless_3_nucleus"] = self.judge(x, at)["flawless"]
        x, at = self.anywhere
        return found | self.judge(self.finish(model, x, at, self.chance()), at)

    def lateness(self, x):
        """Where in a poem eight characters from place 6 on could stand, if a mistake follows the slip at place 3."""
        language, n = self.w.language, len(x)
        lost = [poem for poem in self.w.read(x) if any(place > 2 for place in language.mistakes(poem))]
        fits = [language.places(poem[5:13]) for poem in lost]
        late = [5 - places[0] if len(places) == 1 else None for places in fits]
        return {"late": late.count(1) / n, "displaced": sum(by not in (None, 0) for by in late) / n}

    def wrong_at(self, x, language):
        """The share of mistakes at each place."""
        wrong = torch.zeros(x.shape[1])
        for poem in self.w.read(x):
            wrong[language.mistakes(poem)] += 1
        return (wrong / len(x)).tolist()

    def mistaken(self, model):
        """Its own draws that go wrong at place 15 or before: x (n, 20), and the places of the first mistakes (n,)."""
        language, chance = self.w.language, make_generator(60_000 + self.seed)
        x = model.sample(self.sizes["own"], length=language.length, generator=chance, progress=False)
        first = torch.tensor(
            [v.position if (v := language.is_valid(poem)).position is not None else 99 for poem in self.w.read(x)]
        )
        return x[first < LATEST], first[first < LATEST]

    def own_mistakes(self, model, others=None):
        """After its own first mistakes; and after `others`, those of another writer, which it reads as its own."""
        found, (x, at) = {}, self.mistaken(model)
        found["own_mistakes"] = len(x)
        found |= {f"{name}_own": value for name, value in self.judge(x, at).items()} if len(x) else {}
        x, at = others or (x, at)
        x, at = x[: self.sizes["slips"]], at[: self.sizes["slips"]]
        if len(x):
            x = self.finish(model, x, at, self.chance())
            found |= {f"{name}_natural": value for name, value in self.judge(x, at).items()} | {"natural": len(x)}
        return found

    @torch.no_grad()
    def long(self, model):
        """Texts of 80 characters, where poems to learn from had 20."""
        x, right = self.texts
        drawn = draw(model(x).flatten(0, 1), generator=self.chance()).view_as(x)
        true = 1 - right.gather(2, drawn[:, :, None]).float().mean((0, 2))
        written = model.sample(len(x), length=x.shape[1], generator=self.chance(), progress=False)
        by = {"": torch.tensor(self.wrong_at(written, self.longer)), "_true": true}
        found = {f"long_wrong{how}": at[20:].mean().item() for how, at in by.items()}
        return found | {f"long_by_line{how}": at.view(-1, 5).mean(1).tolist() for how, at in by.items()}

    @torch.no_grad()
    def heeds(self, model):
        """How much of what it expects moves if what it has read is changed (total variation, means).

        `rhyme_other` and `rhyme_same`: at character 20, if character 10 has another rhyme or the same one. `heeds`: at
        the next character, if the one before it is any other.
        """
        short, other, same = (model(x)[:, -1].softmax(-1) for x in self.rhymes)
        x, at = self.anywhere
        next_to = [model(y).softmax(-1)[torch.arange(len(x)), at + 1] for y in (x, self.w.x_test[: len(x)])]
        return {"rhyme_other": apart(short, other), "rhyme_same": apart(short, same), "heeds": apart(*next_to)}

    @torch.no_grad()
    def nucleus(self, model, p=0.95):
        """The same draws cut to the nucleus, and the share of test poems that this forbids."""
        found = self.poems(model, n=self.sizes["thousand"], top_p=p)
        x = self.w.x_test[: self.sizes["slips"]]
        kept = keep_top_p(model(x).flatten(0, 1), p).gather(1, x.flatten()[:, None]).view_as(x)
        forbidden = kept.isinf().any(1).float().mean().item()
        return {f"nucleus_{name}": found[name] for name in ("valid", "lines")} | {"nucleus_forbids": forbidden}


def apart(p, q):
    return ((p - q).abs().sum(-1) / 2).mean().item()


def cut(poem, n=5):
    """A text in runs of n characters, its lines."""
    return [poem[i : i + n] for i in range(0, len(poem), n)]


def _ends_in_one(language, poem):
    return len(language.gloss(poem)[-1][0]) == len(language.gloss(poem[:10])[-1][0]) == 1


def themes(language):
    """{a poem's first two characters: its theme}."""
    scenes = [c for c in tomllib.loads(shipped("poems.toml").read_text("utf-8"))["couplets"] if c["part"] == "scene"]
    return {word.text[:2]: c["theme"] for c in scenes for word in language.lexicon.lists[c["first"][0]]}
