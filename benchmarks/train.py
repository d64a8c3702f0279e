"""One command that trains any of the course's models for minutes: `python benchmarks/train.py shakespeare --minutes 3`.

`--list` shows the recipes. A run measures a step and plans how many the minutes are (or takes `--steps`), looks at
validation data as it goes, and writes what came out to `results/<run>.json`, with the exact command that made it.
Ctrl-C loses nothing, and no crash more than the last few seconds: the same command again goes on from
`checkpoints/<run>.pt`, or, where that run is complete, measures again; `--fresh` starts anew. On a GPU, e.g.
`mnist_pixel_cnn_large --steps 100000 --precision bf16-mixed`.
"""

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from recipes import RECIPES
from recipes.rows import ran_on
from tqdm.auto import tqdm

from course_lib.data.store import StoreError
from course_lib.device import make_generator, pick_device
from course_lib.train import NotFinite, Session

HERE = Path(__file__).parent
MARGIN = 0.95  # of the minutes are planned for: a machine is not always equally fast
TRIAL = 3.0  # seconds of training from which they are planned


class Run:
    """A recipe as it is `wanted`: the settings of the command line, which the row states too."""

    def __init__(self, recipe, wanted, progress):
        self.recipe, self.wanted, self.progress, self.device = recipe, wanted, progress, pick_device()
        options = {name: wanted[name] for name in recipe.options}
        self.of_the_data = recipe.load(self.device, wanted["seed"], **options)

    def session(self, steps, **more):
        """A model at its beginning, or where its checkpoint stands, and the session that trains it."""
        generator = make_generator(self.wanted["seed"], self.device)
        model = self.recipe.begin(generator)
        settings = {key: self.wanted[key] for key in ("lr", "precision")} | {"schedule": "cosine", "steps": steps}
        return model, Session(model, generator=generator, **settings, **more)

    def loss(self, session, *batch):
        """In training the session's generator draws; a look at validation data draws the same each time, by its own."""
        dice = session.generator if session.model.training else make_generator(0, self.device)
        return self.recipe.loss(session.model, *batch, generator=dice)

    def look(self, session):
        """The mean loss on what is watched, in the recipe's unit."""
        nats = session.validate(partial(self.loss, session), self.recipe.watched, self.wanted["batch_size"])
        return nats / self.recipe.nats_a_unit

    def plan(self):
        """How many steps, and after how many each look comes: as many as fit the minutes, by a trial."""
        recipe, steps, looks = self.recipe, self.wanted["steps"], self.recipe.looks
        if steps is None:
            step, look = self.tried()
            seconds = 60 * MARGIN * self.wanted["minutes"]
            looks = min(looks, max(1, int(seconds / 10 / look)))  # they take at most a tenth of the time
            steps = max(1, int((seconds - looks * look) / step))
            steps = min(steps, recipe.most_steps or steps)
        return {"steps": steps, "look_every": max(1, steps // looks)}

    def tried(self):
        """Seconds that a step takes, and a look. The first steps are slower."""
        _, session = self.session(10**6, progress=False)
        times = []
        for batch in session.batches(self.recipe.train, self.wanted["batch_size"]):
            session.minimise(self.loss(session, *batch))
            times.append(time.monotonic())
            if len(times) >= 6 and (times[-1] - times[2] > TRIAL or len(times) > 200):
                break
        else:
            raise KeyboardInterrupt
        self.look(session)
        return (times[-1] - times[2]) / (len(times) - 3), time.monotonic() - times[-1]

    def train(self, plan, checkpoint):
        """The trained model, and its history. Raises KeyboardInterrupt where it was stopped."""
        model, session = self.session(plan["steps"], checkpoint=checkpoint, progress=self.progress)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{checkpoint.stem}: {parameters:,} parameters, {session.step} of {session.steps} steps done", flush=True)
        for batch in session.batches(self.recipe.train, self.wanted["batch_size"]):
            session.minimise(self.loss(session, *batch))
            if session.step % plan["look_every"] == 0:
                said = f"{self.look(session):8.3f} {self.recipe.unit}, held out"
                tqdm.write(f"step {session.step:6d} of {session.steps} {said}", file=sys.stdout)
                sys.stdout.flush()
        if session.step < session.steps:
            raise KeyboardInterrupt
        return model, session.history

    def row(self, model, history, command, samples):
        """All that is known of a finished run; what its model draws lies in `samples`."""
        looks = {str(step): round(nats / self.recipe.nats_a_unit, 3) for step, nats in history.valid}
        measured = self.recipe.measure(model, seed=self.wanted["seed"], samples=samples, progress=self.progress)
        return {
            "command": command,
            "model": type(model).__name__,
            "config": asdict(model.config),
            "parameters": sum(p.numel() for p in model.parameters()),
            **measured,
            **self.of_the_data,
            **{key: value for key, value in self.wanted.items() if key != "minutes"},
            "steps": history.steps,
            "schedule": "cosine",
            "minutes": round(history.seconds / 60, 2),
            **ran_on(self.device),
            "watched": f"{self.recipe.unit}, held out, after steps",
            "watched_after_steps": looks,
        }


def agreed(path, wanted, make_plan):
    """The plan that lies at `path`, or a new one, left there. Raises ValueError where that one is of another run."""
    if not path.exists():
        plan = make_plan()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted | {"plan": plan}, indent=1) + "\n", "utf-8")
        return plan
    had = json.loads(path.read_text("utf-8"))
    if differs := [f"{key} {had.get(key)}, not {new}" for key, new in wanted.items() if had.get(key) != new]:
        raise ValueError(
            f"{path} is of another run (it has {'; '.join(differs)}): give this one a name with --run, or replace that "
            "one with --fresh"
        )
    return had["plan"]


def read(argv, recipes):
    """The command line: what is wanted, the run's name, and whether it starts anew."""

    def above(kind):
        def number(text):
            if not 0 < (value := kind(text)) < float("inf"):
                raise ValueError
            return value

        number.__name__ = f"{kind.__name__} (it must be above 0)"
        return number

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=recipes, nargs="?", metavar="NAME", help="of a recipe; --list shows them")
    parser.add_argument("--list", action="store_true", help="show the recipes and do nothing")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=above(float), help="of training, from its start (default: the recipe's)")
    length.add_argument("--steps", type=above(int), help="to train for, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--lr", type=above(float), help="at the start, from where it falls to 0 (default: the recipe's)"
    )
    parser.add_argument("--batch-size", type=above(int), help="(default: the recipe's)")
    parser.add_argument("--precision", help="of training, e.g. bf16-mixed on a GPU (default: 32 bits)")
    parser.add_argument("--source", help="of binarised MNIST: drawn, larochelle or dynamic (default: drawn)")
    parser.add_argument("--bound-samples", type=above(int), help="of the bound that a VAE's nats are (default: 5000)")
    parser.add_argument("--run", help="name of checkpoint and row (default: the recipe's)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's checkpoint and start anew")
    arguments = parser.parse_args(argv)
    if arguments.list:
        for name, recipe in recipes.items():
            print(f"{name:28s} {recipe.minutes:3g} min  {recipe.about}")
        sys.exit(0)
    if arguments.recipe is None:
        parser.error(f"expected the name of a recipe, one of {', '.join(recipes)}")
    recipe, given = recipes[arguments.recipe], vars(arguments)
    wanted = {"recipe": arguments.recipe, "seed": arguments.seed, "precision": arguments.precision}
    wanted |= {key: given[key] or getattr(recipe, key) for key in ("lr", "batch_size")}
    wanted |= {"steps": arguments.steps, "minutes": arguments.minutes or (None if arguments.steps else recipe.minutes)}
    for name in ("source", "bound_samples"):
        if name in recipe.options:
            wanted[name] = given[name] or recipe.options[name]
        elif given[name]:
            parser.error(f"--{name.replace('_', '-')}: {arguments.recipe} has no such choice")
    run = arguments.run or "_".join([arguments.recipe, *[s for s in [given["source"]] if s not in (None, "drawn")]])
    if Path(run).name != run or run == "..":
        parser.error(f"--run: expected a name, got {run!r}")
    return wanted, run, arguments.fresh


def main(argv=None, recipes=RECIPES, folder=HERE, samples=HERE.parent / "data" / "samples", progress=True):
    argv = sys.argv[1:] if argv is None else argv
    wanted, name, fresh = read(argv, recipes)
    checkpoint = folder / "checkpoints" / f"{name}.pt"
    command = shlex.join(["python", "benchmarks/train.py", *(word for word in argv if word != "--fresh")])
    if fresh:
        for suffix in (".pt", ".json"):
            checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    try:
        run = Run(recipes[wanted["recipe"]], wanted, progress)
        plan = agreed(checkpoint.with_suffix(".json"), wanted, run.plan)
        row = run.row(*run.train(plan, checkpoint), command, samples)
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here")
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{run.recipe.headline(row)} -> {path.name}")
    return row


if __name__ == "__main__":
    main()
