"""Chapter 9's medicines for chapter 3's writer of poems, and their controls: `python benchmarks/writers.py`, two hours.

A *job* is one training, or one way to write, and gives one row in `results/writers.json`. It is written when it is
done, and the same command continues with the jobs that are missing: Ctrl-C loses one training at most. `--fresh` starts
anew. `--kinds` and `--seeds` choose some of the jobs. `--table` prints what is stored and trains nothing. `--weights`
trains seed 0's teacher forcing alone and writes it, in half precision, to `data/samples/poem_writer.pt`.

Every row has `kind`, `name`, `seed` and the `job` that made it. A seed has its own poems, first weights and batches,
and all its trainings begin alike. Nats are nats a poem unless said otherwise.

training: what is read while learning, 3,500 steps of 32 poems (`steps`). `teacher forcing` reads the truth, and is also
trained `longer`: as many seconds as the dearest. Of the schedules `linear`, `exponential`, `inverse sigmoid` and `half`
a half of what is read is the model's own on average, of `always own` all; `fiftieth own`, `tenth own` and `quarter own`
are those shares at all times. Instead of its own, `random slips` reads any characters, all equally likely, and `inputs
hidden` zeros, by the linear schedule; `fiftieth random slips`, `tenth random slips` and `tenth hidden` at all times.

practice: what comes after the seed's `teacher forcing`. `leash` and `no leash` are REINFORCE, 4,000 `steps` of 100
draws (`batch_size`), rate 3e-3 (`lr`) falling by cosine, with a reward of 1 for a poem without a mistake, the mean of
the others for a baseline and a `leash` of 0.2. `short` has 600 steps of 64 and a rate of 1e-3, and so have, with one
change each, `short, no leash` and the two other baselines. `cheap reward`: the mean log-probability of neighbours by a
table of pairs, nats a character, 300 steps, rate 2e-3; with a leash, 0.5. Rivals: `rejection` (of the start's draws
those that have no mistake; nothing is trained, and `seconds_write` counts what is thrown away), `own valid poems`
(teacher forcing on the poems without a mistake among as many draws as `leash` sees, `kept`; as many steps, the same
rate) and `more teacher forcing` (the same on true poems; `longer` has twice the steps, and about as many seconds as
`leash`). `watched`, of REINFORCE, has lists: `step`; of 500 draws `reward`, `valid`, `entropy` and `kl_start`, KL(model
‖ start); `kl` on 500 test poems. The first entries are those of the start.

Both kinds have, at temperature 1 where nothing else is said:

- `valid`: share of `draws` without a mistake. `entropy`: mean of −log q of the draws; `floor` is the grammar's.
- `kl`: KL(p‖q), p being the grammar, on 2,000 test poems, and its standard error `kl_error`. `forward`: KL(q'‖p) of its
  valid draws' distribution q', which is large where q keeps to a few. (null where no draw is valid.)
- `lines`: different valid lines in 1,000 draws; `poems`: different poems in them. `themes`: shares of the three, of
  which the grammar gives each 1/3. `first_off`: total variation of the first character's shares from the grammar's
  (0.03 to 0.04 for as many draws of the grammar itself).
- `seconds` of the processor for the training, on one thread, and `seconds_write` for 1,000 poems: of this machine.
- A slip is a character that cannot stand where it stands, all such being equally likely, in a test poem; then the model
  writes on. `flawless_3`: share without a further mistake after a slip at place 3, by the generous judge `mistakes`;
  `strict_3`: the whole is a poem once that one character is mended; `wrong_3`: share of mistakes in what follows.
  `flawless`, `strict`, `wrong`: the same for slips at places 1 to 15, one a poem, as many at each.
- `late`, `displaced`: after the slip at place 3, share of all texts that have another mistake and whose characters 6 to
  13 would be right one place further left, or at one other place. `wrong_at`: share of mistakes at each place 4 to 20;
  `wrong_at_true`: with the true inputs after the slip, where a draw that cannot follow the true poem is wrong.
- `flawless_3_nucleus`: with nucleus 0.95. So are `nucleus_valid` and `nucleus_lines`, of 1,000 poems; `nucleus_forbids`
  is the share of test poems that it cannot write.
- `flawless_own`, `strict_own`, `wrong_own`: after its own first mistake, in the `own_mistakes` of 10,000 draws that
  have theirs at place 15 or before. `…_natural`: after those of the seed's `teacher forcing`, beginnings that are the
  same for all (`natural` of them), so that a better writer is not asked about rarer mistakes.
- `long_wrong`: share of mistakes at places 21 to 80 of texts of 80 characters, four times what was learnt;
  `long_wrong_true`: with the true inputs. `long_by_line`, `long_by_line_true`: by line, 16 of them.
- `rhyme_other`, `rhyme_same`: how much of the probability at character 20 moves if character 10 has another rhyme, or
  is another one of the same rhyme. `heeds`: how much of the next character's moves if the one before it is a slip.

decoding: ways to finish the first `begun` characters of 100 test poems with the seed's `teacher forcing`, to `length`
20: drawn, nucleus, greedy, beams of a width, the likeliest of several draws, and `the test poems` as they are.

- `valid`: share without a mistake. `texts`: different ones. `lines`: different valid ones of the `lines_written`.
- `log_q`: mean of log q(what is written | begun), `log_q_spread` its standard deviation. `below_q`: by how much it is,
  on average, below log q of the grammar's likeliest poem; `missed`: share for which q prefers that one.
- `log_p`: mean of log p of the valid ones, the whole poem; `below`: by how much they are below the likeliest poem that
  begins so, by the grammar. Of all, `within`: share within 0.5 nats of it; `optimum`: share that are as likely.
- `rows`: rows that `step` was asked for, in `calls`. `seconds` of the processor.
- `length` 80, instead: `different`, how many of a text's 16 lines are different, on average; `repeats`: share of texts
  that have a line twice.
"""

import argparse
import math
import time
from dataclasses import replace
from functools import cache, cached_property
from itertools import product
from pathlib import Path

import torch
from decoders import grow
from recipes import search, verdict
from recipes import writers as of
from recipes.rows import Rows
from recipes.written import Exam, cut

from course_lib.device import make_generator

HERE = Path(__file__).parent
RESULTS, WEIGHTS = HERE / "results" / "writers.json", HERE.parent / "data" / "samples" / "poem_writer.pt"
SETTINGS = {
    "poems": [60_000, 500, 2000],
    "steps": 3500,
    "longer": 7000,
    "draws": 4000,
    "own": 10_000,
    "slips": 500,
    "long": 200,
    "thousand": 1000,
    "begun": 100,
}
LOOKS = 10
EVERY, FEWER, TWO = range(5), range(3), range(2)  # seeds
TRAININGS = {
    "teacher forcing": EVERY,
    "tenth own": EVERY,
    "tenth random slips": EVERY,
    "teacher forcing, longer": EVERY,
    "fiftieth own": FEWER,
    "quarter own": FEWER,
    "fiftieth random slips": FEWER,
    "tenth hidden": FEWER,
    "linear": FEWER,
    "exponential": TWO,
    "inverse sigmoid": TWO,
    "half": TWO,
    "always own": TWO,
    "random slips": TWO,
    "inputs hidden": TWO,
}
PRACTICES = {
    "rejection": EVERY,
    "cheap reward": EVERY,
    "leash": FEWER,
    "own valid poems": FEWER,
    "more teacher forcing": FEWER,
    "more teacher forcing, longer": FEWER,
    "no leash": TWO,
    "cheap reward, leash": FEWER,
    "short": TWO,
    "short, no leash": TWO,
    "short, greedy baseline": TWO,
    "short, no baseline": TWO,
}
DECODINGS = [*product((*search.WAYS, "the test poems"), (0, 5, 10), (20,))]
DECODINGS += [*product(("drawn", "nucleus 0.95", "greedy", "beam 8"), (5,), (80,))]


def jobs():
    """{kind: {job: its seeds}}"""
    return {
        "decoding": dict.fromkeys(DECODINGS, EVERY),
        "practice": {(name,): seeds for name, seeds in PRACTICES.items()},
        "training": {(name,): seeds for name, seeds in TRAININGS.items()},
    }


def wanted(kinds, seeds):
    """The jobs (kind, job, seed), seed after seed, and of each seed first those that all seeds have."""
    every = [
        (kind, list(job), seed)
        for seed in seeds
        for all_have in (True, False)
        for kind, some in jobs().items()
        for job, mine in some.items()
        if seed in mine and (mine == EVERY) == all_have
    ]
    return [job for job in every if job[0] in kinds]


class Trial:
    """A seed: its poems, its questions, and its teacher forcing, from which much else begins."""

    def __init__(self, seed):
        self.seed, self.world = seed, of.world(seed, SETTINGS["poems"])
        self.exam, self.likeliest = Exam(self.world, seed, SETTINGS), cache(self.world.language.likeliest)

    def begin(self, kind):
        """Nothing hangs on what was measured before: each question has dice of its own."""

    def dice(self):
        return make_generator(70_000 + self.seed)

    @cached_property
    def start(self):
        """The model, and how it was trained."""
        return self.taught("teacher forcing", SETTINGS["steps"])

    @cached_property
    def mistakes(self):
        return self.exam.mistaken(self.start[0])

    def taught(self, reading, steps):
        began = time.process_time()
        model = of.taught(self.world, reading, steps)
        return model, {"steps": steps, "seconds": since(began)}

    def worth(self, model):
        exam = self.exam
        began = time.process_time()
        model.sample(1000, length=self.world.language.length, generator=self.dice(), progress=False)
        found = {"seconds_write": since(began)} | exam.poems(model) | exam.likelihood(model)
        found |= {"floor": self.world.language.entropy()} | exam.slip(model) | exam.own_mistakes(model, self.mistakes)
        return found | exam.long(model) | exam.heeds(model) | exam.nucleus(model)


def since(began):
    return round(time.process_time() - began, 2)


def training(trial, name):
    longer = name == "teacher forcing, longer"
    steps = SETTINGS["longer" if longer else "steps"]
    model, how = trial.start if name == "teacher forcing" else trial.taught(name.removesuffix(", longer"), steps)
    yield {"name": name} | how | trial.worth(model)


def practice(trial, name):
    start, how, dice = trial.start[0], verdict.PRACTICES.get(name, verdict.LONG), trial.dice()
    if name == "more teacher forcing, longer":
        how = replace(how, steps=2 * how.steps)
    if name == "rejection":
        yield {"name": name} | rejected(trial, start)
        return
    watch = Watch(trial, start, how) if name in verdict.PRACTICES else None
    began, row = time.process_time(), {"name": name} | {key: getattr(how, key) for key in ("steps", "batch_size", "lr")}
    if watch:
        watch(0, start)
        model = verdict.practised(trial.world, start, how, generator=dice, look=watch)
        watched = {key: [one[key] for one in watch.seen] for key in watch.seen[0]}
        row |= {"seconds": round(since(began) - watch.seconds, 2), "leash": how.leash, "watched": watched}
    else:
        x = trial.world.x_train
        if name == "own valid poems":
            x = verdict.own_valid(trial.world, start, how.steps * how.batch_size, dice)
            row |= {"kept": len(x)}
        model = verdict.further(start, x, how, generator=dice)
        row |= {"seconds": since(began)}
    yield row | trial.worth(model)


class Watch:
    """What the draws of a model are worth before its practice and on the way; `seconds` is what the looks took."""

    def __init__(self, trial, start, how):
        self.trial, self.start, self.every, self.seen = trial, start, max(1, how.steps // LOOKS), []
        self.judges = {"reward": verdict.REWARDS[how.reward](trial.world), "valid": verdict.verdict(trial.world)}
        self.seconds = 0.0

    def __call__(self, step, model):
        if step % self.every == 0:
            began = time.process_time()
            self.seen.append({"step": step} | self.worth(model))
            self.seconds += time.process_time() - began

    @torch.no_grad()
    def worth(self, model):
        x = model.sample(500, length=self.trial.world.language.length, generator=self.trial.dice(), progress=False)
        log_q, found = model.log_prob(x), {name: judge(x).mean().item() for name, judge in self.judges.items()}
        found |= {"entropy": -log_q.mean().item(), "kl": self.trial.exam.likelihood(model, 500)["kl"]}
        return found | {"kl_start": (log_q - self.start.log_prob(x)).mean().item()}


def rejected(trial, start):
    """What remains of the start if what has a mistake is thrown away: exactly q / q(valid), on the valid."""
    found, exam, world = trial.exam.poems(start), trial.exam, trial.world
    valid = found["valid"]
    few = verdict.own_valid(world, start, round(1.3 * SETTINGS["draws"]), trial.dice())[: SETTINGS["draws"]]
    mine, cost = exam.poems(start, few), torch.tensor(valid).log().item()
    likely = exam.likelihood(start)
    began = time.process_time()
    verdict.own_valid(world, start, round(1000 / valid), trial.dice())
    mine |= {"entropy": mine["entropy"] + cost, "kl": likely["kl"] + cost, "kl_error": likely["kl_error"]}
    mine["forward"] -= cost  # `few` say q where q / q(valid) is meant
    return {"steps": 0, "seconds": 0.0, "seconds_write": since(began), "floor": world.language.entropy()} | mine


@torch.no_grad()
def decoding(trial, way, begun, length):
    world, exam, start = trial.world, trial.exam, trial.start[0]
    language = world.language if length == world.language.length else exam.longer
    n, given = SETTINGS["begun"], world.x_test[: SETTINGS["begun"], :begun]
    row = {"name": way, "begun": begun, "length": length, "n": n}
    if way == "the test poems":
        x = world.x_test[:n]
    else:
        counted, began = search.Counting(start), time.process_time()
        x = search.WAYS[way](counted, given, length, trial.dice())
        row |= {"seconds": since(began), "rows": counted.rows, "calls": counted.calls}
    poems = world.read(x)
    right = [not language.mistakes(poem) for poem in poems]
    log_q = search.log_prob_of_rest(start, x, begun)
    row |= {"valid": sum(right) / n, "log_q": log_q.mean().item(), "log_q_spread": log_q.std().item()}
    written = [line for poem in poems for line in cut(poem)[begun // 5 :]]
    row |= {"lines": len(set(written) & exam.lines), "lines_written": len(written), "texts": len(set(poems))}
    if length != world.language.length:
        different = [len(set(cut(poem))) for poem in poems]
        yield row | {"different": sum(different) / n, "repeats": sum(d < length // 5 for d in different) / n}
        return
    best = [trial.likeliest(poem[:begun]) for poem in world.test[:n]]
    log_p = [language.log_prob(poem) for poem in poems]
    below = [most - p for (_, most), p in zip(best, log_p, strict=True)]
    of_best = search.log_prob_of_rest(start, world.vocabulary.encode_all([poem for poem, _ in best]), begun)
    finite = [gap for gap in below if gap < float("inf")]
    row |= {"log_p": sum(p for p in log_p if p > -float("inf")) / max(1, len(finite))}
    row |= {"below": sum(finite) / max(1, len(finite)), "within": sum(gap <= 0.5 for gap in below) / n}
    row |= {"optimum": sum(gap < 1e-9 for gap in below) / n}
    yield row | {"below_q": (of_best - log_q).mean().item(), "missed": (of_best > log_q + 1e-4).float().mean().item()}


KINDS = {"training": training, "practice": practice, "decoding": decoding}


def table(rows):
    """What is stored, in lines: of each kind and name the least and the most of all seeds."""
    shown = {
        "training": ("valid", "kl", "entropy", "lines", "flawless_3", "flawless", "flawless_own", "flawless_natural"),
        "practice": ("valid", "kl", "entropy", "lines", "forward", "flawless_3", "seconds", "seconds_write"),
        "decoding": ("valid", "within", "optimum", "below", "below_q", "missed", "log_q", "lines", "rows"),
    }
    shown["training"] += ("strict_3", "wrong_3", "long_wrong", "long_wrong_true", "rhyme_other", "heeds", "seconds")
    for kind, names in shown.items():
        yield f"\n{kind:34s}" + "".join(f"{name:>17s}" for name in ("seeds", *names))
        groups = {}
        for row in rows:
            if row["kind"] == kind:
                groups.setdefault(tuple(row["job"]), []).append(row)
        for job, mine in groups.items():
            said = f"{', '.join(map(str, job)):34s}{len(mine):17d}"
            for name in names:
                values = [row[name] for row in mine if row.get(name) is not None] or [math.nan]
                ends = dict.fromkeys(f"{end:.0f}" if end > 999 else f"{end:.3g}" for end in (min(values), max(values)))
                said += f"{' – '.join(ends):>17s}"
            yield said


def main(argv=None, path=RESULTS, weights=WEIGHTS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print what is stored, and train nothing")
    parser.add_argument("--weights", action="store_true", help="train the network that the course ships, and no other")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    asked = parser.parse_args(argv)
    found = Rows(path, "python benchmarks/writers.py", SETTINGS, {})
    if asked.weights:
        model = of.taught(of.world(0, SETTINGS["poems"]), steps=SETTINGS["steps"])
        torch.save({name: value.half() for name, value in model.state_dict().items()}, weights)
        return
    if not asked.table:
        found.begin(asked.fresh)
        shown = ("valid", "kl", "flawless_3", "entropy", "within", "seconds")
        grow(found, wanted(asked.kinds, asked.seeds), cache(Trial), KINDS, shown)
    print(*table(found.read().get("rows", [])), sep="\n")


if __name__ == "__main__":
    main()
