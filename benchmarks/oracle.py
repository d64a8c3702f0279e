"""The synthetic oracle of Yu et al. (2017), in both directions: `python benchmarks/oracle.py`, 12 minutes a seed.

The truth is a network of which everything is known: an LSTM of 32 units, with weights from N(0, 1), writes sentences of
20 words out of 5,000. A learner of the same size reads 10,000 of them. The field publishes one number, what the
learner's draws cost under the oracle, and the lower the better. Beside it stands here what the oracle's fresh text
costs under the learner, and what comes out when somebody plays for the first number alone.

A *job* is one training, or a few writers that need none, and gives several rows in `results/oracle.json`. They are
written when it is done, and the same command continues with the jobs that are missing; `--fresh` starts anew, `--kinds`
and `--seeds` choose. A seed is another oracle, other text and another training. An epoch is 156 batches of 64, drawn
with replacement. Adam with the constant rate 0.01, and first weights from N(0, 0.01), are as published. The published
numbers (`published` in the file) are under one fixed oracle whose own entropy is 5.74 nats a word, of trainings of some
hundred epochs; their code keeps the epoch whose draws the oracle likes best.

Every row has `kind`, `job`, `name` and `seed`. Trainings have `steps` and, on one thread, `seconds` of the processor,
both from the first weights on (seconds depend on the machine). Nats are those of a word (of a sentence, divided by 20),
for 1,000 draws or for 1,000 fresh sentences of the oracle:

- `under_oracle`: -log p of the draws under the oracle, the published number; `under_oracle_error`, its standard error.
- `under_writer`: -log q of the fresh sentences under the writer, as it draws (tempered, cut). It is null where it is
  infinite; for a network, `forbidden` is then the share of the fresh words that it can never write where they stand.
- `entropy`: -log q of its own draws. So `under_oracle` less `entropy` is KL(q‖p), and `under_writer` less the oracle's
  entropy is KL(p‖q). The published number is KL(q‖p) *plus* the entropy: it also falls where a writer says less.
- `distinct`: share of the draws that differ; `distinct_pairs`: of their 19,000 pairs of neighbouring words; `words`:
  how many different ones. `copied`: share of the draws that are sentences of the training text; `known_pairs`: share of
  their pairs that occur in it. `mean_reward`: what kind `reward` pays for them.
- `under_writer_valid`: as `under_writer`, of 500 other sentences and at temperature 1.

floors: `oracle`, its own fresh draws; `oracle, greedy`, one sentence for ever; `any words`, all equally likely;
`frequencies`, words as often as in the training text, whatever stands before them; `training sentences`, repeated at
random; and the same with one in a hundred made of any words, so that nothing is impossible: `training sentences, 1 in
100 any words`.

mle: teacher forcing at `epochs` 1 to 20, `MLE`. Where `under_writer_valid` is least, `MLE, stopped`, and after all,
`MLE, to the end`. Of both, what decoding does: `MLE, stopped, at 0.9` … `at 0.5` (field `temperature`), `top-k 100`,
`top-p 0.9`, and `greedy` and `beam 8`, which write one sentence for ever (`sentence_under_writer`: its -log q).

scheduled: 12 epochs. `own words` is scheduled sampling: the share of true words that are read falls from 1 to 0.4, and
the others are the learner's own. `random words`: the same share, but the others come from anywhere in the training
text. Compare both with `MLE` at `epochs` 12.

reward: REINFORCE, from `MLE, to the end`, rate 0.001, after `more` steps of 64 draws. As in BLEU, the reward is a share
of words, pairs and triples that occur in the training text.

long: `MLE` as long as published, 120 epochs, seed 0 alone: 10 minutes more.
"""

import argparse
import math
import sys
from functools import cache, cached_property
from pathlib import Path

from decoders import grow
from recipes import oracle as of
from recipes.rows import Rows

from course_lib.beam import beam_search
from course_lib.device import make_generator
from course_lib.train.reinforce import Reinforce

RESULTS = Path(__file__).parent / "results" / "oracle.json"
SETTINGS = {
    "sentences": 10_000,
    "held_out": 500,
    "fresh": 1000,
    "draws": 1000,
    "steps_an_epoch": 156,
    "epochs": [1, 2, 3, 4, 6, 8, 12, 16, 20],
    "scheduled_epochs": 12,
    "truth_at_the_end": 0.4,
    "long_epochs": [30, 60, 120],
    "reward_steps": [200, 400, 800],
    "reward_lr": 0.001,
}
PUBLISHED = {
    "under_oracle": {"MLE": 9.038, "scheduled sampling": 8.985, "PG-BLEU": 8.946, "SeqGAN": 8.736, "random": 10.310},
    "in": "Yu et al. (2017), SeqGAN, table 1; nats a word, 10,000 draws",
}
DECODED = {f"at {t}": {"temperature": t} for t in (0.9, 0.8, 0.7, 0.6, 0.5)}
DECODED |= {"top-k 100": {"top_k": 100}, "top-p 0.9": {"top_p": 0.9}}


def jobs():
    return {
        "floors": [()],
        "mle": [()],
        "reward": [()],
        "scheduled": [("own words",), ("random words",)],
        "long": [()],
    }


def wanted(kinds, seeds):
    """The jobs (kind, job, seed), seed after seed; what is long comes last, and once."""
    every = [(kind, list(job), seed) for seed in seeds for kind, some in jobs().items() for job in some]
    quick = [job for job in every if job[0] != "long"]
    return [job for job in quick + [job for job in every if job[0] == "long" and job[2] == 0] if job[0] in kinds]


class Trial:
    """An oracle, its text, and what a writer is worth."""

    def __init__(self, seed, config=of.CONFIG):
        self.seed, self.config, self.chance = seed, config, make_generator(seed)
        self.oracle = of.oracle(config, self.chance)
        sizes = [SETTINGS[part] for part in ("sentences", "held_out", "fresh")]
        self.x, self.valid, self.test = (self.draws(self.oracle, n) for n in sizes)
        self.known, self.heard = of.Known(self.x, config.levels), set(map(tuple, self.x.tolist()))

    def begin(self, kind):
        self.chance.manual_seed(20_000 + self.seed + 100 * list(jobs()).index(kind))  # whatever was measured before

    def draws(self, model, n=None, **how):
        n = n or SETTINGS["draws"]
        return model.sample(n, length=of.LENGTH, generator=self.chance, progress=False, **how)

    def beginner(self):
        return of.beginner(self.config, make_generator(10_000 + self.seed))

    def epochs(self, *numbers):
        return [SETTINGS["steps_an_epoch"] * n for n in numbers]

    @cached_property
    def taught(self):
        """Teacher forcing: {epochs: Look}."""
        steps, dice = self.epochs(*SETTINGS["epochs"]), make_generator(11_000 + self.seed)
        looks = of.looks_at(self.beginner(), self.x, of.true_words, steps, lr=of.LR, generator=dice)
        return dict(zip(SETTINGS["epochs"], looks, strict=True))

    def model(self, look):
        model = self.beginner()
        model.load_state_dict(look.state)
        return model

    def worth(self, x, fresh=None, own=None):
        """The fields of draws x; `fresh` and `own` are -log q of the oracle's fresh sentences and of x, (N,) nats."""
        cost = of.nats_of_all(self.oracle, x) / of.LENGTH
        pairs = x.unfold(1, 2, 1).flatten(0, 1)
        return {
            "under_oracle": cost.mean().item(),
            "under_oracle_error": cost.std().item() / math.sqrt(len(cost)),
            "under_writer": None if fresh is None else finite(fresh.mean().item() / of.LENGTH),
            "entropy": None if own is None else own.mean().item() / of.LENGTH,
            "distinct": len(x.unique(dim=0)) / len(x),
            "distinct_pairs": len(pairs.unique(dim=0)) / len(pairs),
            "words": len(x.unique()),
            "copied": sum(tuple(one) in self.heard for one in x.tolist()) / len(x),
            "known_pairs": self.known.share(x, 2).mean().item(),
            "mean_reward": self.known.reward(x).mean().item(),
        }

    def writes(self, model, **how):
        """What a network is worth, as it draws by `how`."""
        x, rule = self.draws(model, **how), of.rule_of(**how)
        found = self.worth(x, of.nats_of_all(model, self.test, rule), of.nats_of_all(model, x, rule))
        if found["under_writer"] is None:
            found["forbidden"] = of.forbidden(model, self.test, rule)
        return found

    def at(self, look, **how):
        """The same of a look at a training, with what it took and what held-out text says of it."""
        model = self.model(look)
        valid = {"under_writer_valid": of.nats_of_all(model, self.valid).mean().item() / of.LENGTH}
        return {"steps": look.steps, "seconds": look.seconds} | self.writes(model, **how) | valid

    def for_ever(self, model, width):
        """One sentence, repeated: the likeliest that a search of this width finds."""
        best = beam_search(model, of.LENGTH, beam_width=width).texts[:1]
        found = {"entropy": 0.0, "sentence_under_writer": of.nats_of_all(model, best).item() / of.LENGTH}
        return self.worth(best.expand(SETTINGS["draws"], -1)) | found


def finite(number):
    return number if math.isfinite(number) else None


def floors(trial):
    V, n = trial.config.levels, SETTINGS["draws"]
    yield {"name": "oracle"} | trial.writes(trial.oracle)
    yield {"name": "oracle, greedy"} | trial.for_ever(trial.oracle, 1)
    writers = {
        "any words": of.Parrot(trial.x, V, 1),
        "frequencies": of.Frequencies(trial.x, V),
        "training sentences": of.Parrot(trial.x, V, 0),
        "training sentences, 1 in 100 any words": of.Parrot(trial.x, V, 0.01),
    }
    for name, writer in writers.items():
        x = writer.sample(n, of.LENGTH, trial.chance)
        yield {"name": name} | trial.worth(x, writer.nats(trial.test), writer.nats(x))


def mle(trial):
    looks = trial.taught
    rows = {epochs: {"epochs": epochs} | trial.at(look) for epochs, look in looks.items()}
    yield from ({"name": "MLE"} | row for row in rows.values())
    stopped = min(rows, key=lambda epochs: rows[epochs]["under_writer_valid"])
    for name, epochs in {"MLE, stopped": stopped, "MLE, to the end": max(rows)}.items():
        about = {"epochs": epochs} | {key: rows[epochs][key] for key in ("steps", "seconds")}
        model = trial.model(looks[epochs])
        yield {"name": name} | rows[epochs]
        for way, how in DECODED.items():
            yield {"name": f"{name}, {way}"} | how | about | trial.writes(model, **how)
        for way, width in {"greedy": 1, "beam 8": 8}.items():
            yield {"name": f"{name}, {way}"} | about | trial.for_ever(model, width)


def reward(trial):
    first = trial.taught[max(trial.taught)]
    model, start = trial.model(first), trial.x.new_zeros(of.BATCH, 0)
    loss = Reinforce(trial.known.reward, length=of.LENGTH, generator=make_generator(12_000 + trial.seed))
    knobs = {"lr": SETTINGS["reward_lr"], "generator": make_generator(13_000 + trial.seed)}
    for look in of.looks_at(model, start, lambda model, x, share: loss(model, x), SETTINGS["reward_steps"], **knobs):
        total = {"steps": first.steps + look.steps, "seconds": first.seconds + look.seconds}
        yield {"name": "REINFORCE", "more": look.steps} | trial.at(look) | total


def scheduled(trial, words):
    dice, (steps,) = make_generator(14_000 + trial.seed), trial.epochs(SETTINGS["scheduled_epochs"])
    end = SETTINGS["truth_at_the_end"]
    loss = of.own_words(end, dice) if words == "own words" else of.random_words(end, trial.x, dice)
    knobs = {"lr": of.LR, "generator": make_generator(11_000 + trial.seed)}  # the batches of teacher forcing
    (look,) = of.looks_at(trial.beginner(), trial.x, loss, [steps], **knobs)
    yield {"name": words, "epochs": SETTINGS["scheduled_epochs"]} | trial.at(look)


def long(trial):
    steps, dice = trial.epochs(*SETTINGS["long_epochs"]), make_generator(11_000 + trial.seed)
    looks = of.looks_at(trial.beginner(), trial.x, of.true_words, steps, lr=of.LR, generator=dice)
    for epochs, look in zip(SETTINGS["long_epochs"], looks, strict=True):
        yield {"name": "MLE", "epochs": epochs} | trial.at(look)


KINDS = {"floors": floors, "mle": mle, "reward": reward, "scheduled": scheduled, "long": long}


def main(argv=None, path=RESULTS, config=of.CONFIG):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args(argv)
    found = Rows(path, "python benchmarks/oracle.py", SETTINGS, {"published": PUBLISHED})
    try:
        found.begin(asked.fresh)
    except ValueError as error:
        sys.exit(str(error))
    trial = cache(lambda seed: Trial(seed, config))
    grow(found, wanted(asked.kinds, asked.seeds), trial, KINDS, ("under_oracle", "under_writer", "entropy", "seconds"))


if __name__ == "__main__":
    main()
