"""A model of every family of chapter 1 on the same data: `python benchmarks/leaves.py`, 6 minutes a seed on one core.

A *job* is one training or a few, and gives several rows in `results/leaves.json`. They are written when it is done, and
the same command continues with the jobs that are missing; `--fresh` starts anew, `--kinds` and `--seeds` choose. A seed
is other first weights, another order of the data and other draws. `seconds` are those of the processor, on one thread,
and depend on the machine; on another, scikit-learn stops elsewhere, and all others come out the same.

plane: on each of the six densities, 20,000 points. `spline`, two layers; `affine`, ten couplings; `belief net`, which
knows 64 levels of each coordinate, from −5 to 5; `Gaussian`, five numbers. `kl` is KL(truth ‖ model), a sum over a grid
of 0.025, in nats: 0 is perfect. `mass` is what the model's density sums to there.

boltzmann: restricted Boltzmann machines of 16 and of 64 hidden units, ours and scikit-learn's `BernoulliRBM`, both by
persistent contrastive divergence, each at three rates. Ours begin with the pixels' frequencies, and their rate falls to
0; theirs are as they come, trained for as many seconds of the processor as ours took at most. Of each training, where
the pseudo-likelihood of the validation images is best. `pseudo`: Σ_i −log p(x_i | the other pixels), exact, nats an
image; `test`: −log p(x), with `log_z` by summation (16) or by annealed importance sampling (64), `error` its standard
error. Both are measured by the same code.

digits: 8×8 digits, a pixel is 1 where it has half the ink or more; 1,000 train, 350 decide when to stop, 447 test.
Nats an image. Each family has two budgets, `budget` 1 and 4, trainings of steps that were chosen to take about 3 and 12
seconds, with a rate that falls to 0; of each, the look at which the validation images cost least (after `steps`, of
`of`). `test_is` says what `test` is: "exact"; "bound", at least the truth, with `samples` of them, and
`test_one_sample` with one; "estimate", with its `error`; "none". `valid` is what decided: of a GSN the cost of its
repairs, which no other family has; a GAN has none, and is taken at the end. `looks` of both Boltzmann machines: steps,
nats and pseudo-likelihood of validation images. For the one with 16 hidden units `test_estimate` and `error` are what
annealed importance sampling would have said, and `annealing` has for each number of temperatures, 100 chains, ten
times: how far the mean estimate of log Z is off, the mean error, and the share within three errors.

Of every family 1,000 draws (`worth`): `refused`, the share that a judge of binary digits refuses; `evenness`, KL of the
digits that it sees to all ten alike; `copies`, the share that are training images; `near`, the pixels in which a draw
differs from the nearest of them; `under_net`, −log p of a draw under a belief net that is the same for all rows: far
more than for test images where pixels do not fit, and less where draws are too much alike. It is partial to belief
nets. What these judge: see kind `judged`.

`passes` make a draw, by passes of a network, or, of a chain that has settled, by its autocorrelation time: it is the
most of ten numbers read off it, along the training images' principal components, and `r_hat` the most of their scale
reductions (64 chains, 1,000 steps, second half). `pass_seconds_a_million`: a pass for 1,000 draws at once, times 1,000.
`settled`: {steps: share refused} of chains that begin with coins; `zeros`: {steps: share seen as 0} of chains that
begin as training images of a 0, where a chain that has forgotten them shows as many as its draws, `zeros_settled`.

long: flow and VAE three times as long (`budget` 12), seed 0 alone: who has not finished learning?

judged: what these measures say of images that are no draws: fresh ones (`test images`), the training images
themselves, those with 8 % of the pixels turned, upper halves on lower halves of others, coins, and draws of `pixels
apart` (a frequency for each) and `mixture` (of Bernoullis, as many as the validation images like). `test`: exact.
"""

import argparse
import math
import time
from functools import cache, cached_property
from pathlib import Path

import torch
from decoders import grow
from recipes import leaves as of
from recipes.rows import Rows

from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.measure.chains import autocorrelation_time, scale_reduction
from course_lib.measure.coverage import mode_kl, nearest
from course_lib.models.belief_net import BeliefNet, BeliefNetConfig
from course_lib.models.boltzmann import COUNTED, BoltzmannConfig, RestrictedBoltzmannMachine
from course_lib.models.flow import Flow, FlowConfig
from course_lib.train import fit, fit_gan

RESULTS = Path(__file__).parent / "results" / "leaves.json"
DENSITIES = ("ring", "grid", "moons", "spiral", "pinwheel", "checkerboard")
SETTINGS = {
    "points": 20_000,
    "spline_steps": 1200,
    "affine_steps": 800,
    "machine_steps": 4000,
    "our_rates": [0.1, 0.3, 1.0],
    "their_rates": [0.01, 0.03, 0.1],
    "looks": 12,
    "steps": {
        "belief net": 2400,
        "belief net, logistic": 2400,
        "flow": 360,
        "VAE": 2000,
        "RBM, 16 hidden": 12000,
        "RBM, 64 hidden": 10000,
        "GSN": 5600,
        "GSN, walkback": 1400,
        "GAN": 3600,
    },
    "longer": 3,
    "annealing": [3, 10, 30, 100, 300, 1000, 3000],
    "net_steps": 1200,
    "draws": 1000,
    "chains": 64,
    "chain_steps": 1000,
    "draw_steps": 500,
}
PSEUDO = {"test": "", "valid": "_valid"}
LEVELS, EDGE = 64, 5.0  # of the belief net on the plane


def jobs():
    return {
        "judged": [()],
        "digits": [(name,) for name in SETTINGS["steps"]],
        "boltzmann": [(16,), (64,)],
        "plane": [(name,) for name in DENSITIES],
        "long": [("flow",), ("VAE",)],
    }


def wanted(kinds, seeds):
    """The jobs (kind, job, seed), seed after seed; what is long comes last, and once."""
    every = [(kind, list(job), seed) for seed in seeds for kind, some in jobs().items() for job in some]
    quick = [job for job in every if job[0] != "long"]
    return [job for job in quick + [job for job in every if job[0] == "long" and job[2] == 0] if job[0] in kinds]


class Trial:
    """Binary digits, their judge, and chance."""

    def __init__(self, seed):
        self.seed, self.chance = seed, make_generator(seed)
        self.x, self.y = of.binary_digits()

    def begin(self, kind):
        self.chance.manual_seed(20_000 + self.seed + 100 * list(jobs()).index(kind))  # whatever was measured before

    @cached_property
    def judge(self):
        return of.judge_of(self.x, self.y)

    def seen(self, x):
        """What the judge takes each draw for: (N,), −1 where it refuses."""
        return self.judge.label(of.images(x))

    def worth(self, x):
        """The fields of draws x (N, 64)."""
        label = self.seen(x)
        distance = nearest(x.float(), self.x["train"].float())[0].square()
        accepted = label[label >= 0]
        return {
            "refused": (label < 0).float().mean().item(),
            "evenness": mode_kl(accepted, 10) if len(accepted) else None,
            "copies": (distance < 0.5).float().mean().item(),
            "near": distance.mean().item(),
            "under_net": -self.net.log_prob(x).mean().item(),
        }

    @cached_property
    def net(self):
        """The belief net that looks at all draws, whatever the seed."""
        family = of.families(7, 1)["belief net"]()
        of.looks_at(family, self.x, [SETTINGS["net_steps"]], 7)
        return family.model.requires_grad_(False)

    @cached_property
    def components(self):
        """The ten directions in which training images differ most: (64, 10)."""
        x = self.x["train"].double()
        return torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][:10].T


# --- the plane ----------------------------------------------------------------------------------------------------


def grid():
    """The middles of cells of side 0.025 from −5 to 5, (G, 2) in float64, and a cell's area."""
    line = torch.arange(-5, 5, 0.025, dtype=torch.float64) + 0.0125
    return torch.cartesian_prod(line, line), 0.025**2


@torch.no_grad()
def against(truth, log_prob):
    """KL(truth ‖ model) and the model's mass, both on the grid; `log_prob` takes float32."""
    points, area = grid()
    log_q = torch.cat([log_prob(part.float()) for part in points.split(20_000)]).double()
    log_p = truth.log_prob(points)
    there = log_p > -60  # what is rarer adds nothing
    kl = (log_p.exp() * (log_p - log_q))[there].sum() * area
    return {"kl": kl.item(), "mass": (log_q.exp().sum() * area).item()}


def cut(x):
    """Points (N, 2) -> the cells that they lie in, (N, 2) long, and whether they lie in any."""
    cell = ((x + EDGE) * LEVELS / (2 * EDGE)).floor().long()
    return cell.clamp(0, LEVELS - 1), (x.abs() < EDGE).all(1)


def plane(trial, name):
    truth, dice = load_plane(name), make_generator(30_000 + trial.seed)
    x = truth.sample(SETTINGS["points"], generator=dice)
    knobs = {"batch_size": 256, "generator": dice, "schedule": "cosine", "progress": False}

    def row(title, model, x, steps, lr, log_prob):
        began = time.process_time()
        fit(model, x, loss=lambda model, x: -model.log_prob(x), steps=steps, lr=lr, **knobs)
        about = {"steps": steps, "seconds": time.process_time() - began}
        weights = sum(p.numel() for p in model.parameters())
        return {"name": f"{title}, {name}", "parameters": weights} | about | against(truth, log_prob)

    spline = Flow(FlowConfig(2, layers=2, features=64, bins=24), generator=dice)
    yield row("spline", spline, x, SETTINGS["spline_steps"], 5e-3, spline.log_prob)
    affine = Flow(FlowConfig(2, layers=10, features=64, kind="affine"), generator=dice)
    yield row("affine", affine, x, SETTINGS["affine_steps"], 3e-3, affine.log_prob)

    net = BeliefNet(BeliefNetConfig(LEVELS, 2, features=64), generator=dice)
    cells, inside = cut(x)
    table = {}

    def density(points):
        if not table:
            every = torch.cartesian_prod(torch.arange(LEVELS), torch.arange(LEVELS))
            table["log_p"] = net.log_prob(every).view(LEVELS, LEVELS) - 2 * math.log(2 * EDGE / LEVELS)
        at, known = cut(points)
        return torch.where(known, table["log_p"][at[:, 0], at[:, 1]], -60.0)

    yield row("belief net", net, cells[inside], SETTINGS["spline_steps"], 5e-3, density)
    gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    yield {"name": f"Gaussian, {name}", "parameters": 5} | against(truth, gaussian.log_prob)


# --- Boltzmann machines -------------------------------------------------------------------------------------------


def boltzmann(trial, hidden):
    longest = 0.0
    for rate in SETTINGS["our_rates"]:
        machine, seconds = ours(trial, hidden, rate)
        longest = max(longest, seconds)
        yield {"name": f"ours, {hidden} hidden, rate {rate:g}", "rate": rate, "seconds": seconds} | says(trial, machine)
    for rate in SETTINGS["their_rates"]:
        machine, seconds = theirs(trial, hidden, rate, longest)
        name = f"scikit-learn, {hidden} hidden, rate {rate:g}"
        yield {"name": name, "rate": rate, "seconds": seconds} | says(trial, machine)


@torch.no_grad()
def says(trial, machine):
    """What a machine says of held-out images, whoever trained it."""
    how = {name: of.MANY[name] for name in ("chains", "temperatures")}
    log_z, error = machine.estimate_log_partition(generator=trial.chance, **how)
    found = {f"pseudo{end}": -machine.pseudo_log_prob(trial.x[split]).mean().item() for split, end in PSEUDO.items()}
    if machine.config.hidden <= COUNTED:
        found["log_z_estimate"], log_z = log_z, machine.log_partition().item()
    return found | {"log_z": log_z, "error": error, "test": machine.free_energy(trial.x["test"]).mean().item() + log_z}


def ours(trial, hidden, rate):
    """As in kind `digits`, at this rate."""
    family = of.families(trial.seed, 1)[f"RBM, {hidden} hidden"]()
    family.lr, family.watched = rate, lambda machine, x: -machine.pseudo_log_prob(x)
    looks = of.looks_at(family, trial.x, spread(SETTINGS["machine_steps"]), trial.seed)
    family.model.load_state_dict(min(looks, key=lambda look: look.valid).state)
    return family.model, looks[-1].seconds


def theirs(trial, hidden, rate, until):
    """scikit-learn's, epoch after epoch through all batches of 10, its default, read into a machine of ours."""
    from sklearn.neural_network import BernoulliRBM

    rbm = BernoulliRBM(hidden, learning_rate=rate, batch_size=10, random_state=trial.seed)
    x, dice = trial.x["train"].numpy().astype("float64"), make_generator(40_000 + trial.seed)
    best, seconds, looks = (math.inf, None), 0.0, 0
    while best[1] is None or seconds < until:
        began = time.process_time()
        shuffled = x[torch.randperm(len(x), generator=dice).numpy()]
        for batch in range(0, len(x), 10):
            rbm.partial_fit(shuffled[batch : batch + 10])
        seconds += time.process_time() - began
        if seconds * SETTINGS["looks"] >= until * (looks + 1):
            looks, machine = looks + 1, read(rbm)
            with torch.no_grad():
                best = min(
                    best, (-machine.pseudo_log_prob(trial.x["valid"]).mean().item(), machine), key=lambda b: b[0]
                )
    return best[1], seconds


@torch.no_grad()
def read(rbm):
    """scikit-learn's machine as one of ours."""
    hidden, visible = rbm.components_.shape
    machine = RestrictedBoltzmannMachine(BoltzmannConfig(visible, hidden))
    machine.weight.copy_(torch.as_tensor(rbm.components_))
    machine.hidden_bias.copy_(torch.as_tensor(rbm.intercept_hidden_))
    machine.visible_bias.copy_(torch.as_tensor(rbm.intercept_visible_))
    return machine


def spread(steps):
    """The steps of a training at which it is looked at."""
    return sorted({max(1, steps * (k + 1) // SETTINGS["looks"]) for k in range(SETTINGS["looks"])})


# --- binary digits ------------------------------------------------------------------------------------------------


def digits(trial, name, budgets=(1, 4)):
    if name == "GAN":
        yield from gan(trial)
        return
    for budget in budgets:
        family = of.families(trial.seed, SETTINGS["draw_steps"])[name]()
        looks = of.looks_at(family, trial.x, spread(SETTINGS["steps"][name] * budget // 4), trial.seed)
        best = min(looks, key=lambda look: look.valid)
        row = {"name": name, "budget": budget, "parameters": family.parameters, "test_is": family.kind}
        row |= {"steps": best.steps, "of": looks[-1].steps, "seconds": looks[-1].seconds, "valid": best.valid}
        if budget >= 4 and name.startswith("RBM"):
            row["looks"] = [[look.steps, look.valid, pseudo(trial, family.model, look)] for look in looks]
        family.model.load_state_dict(best.state)
        with torch.no_grad():
            row |= family.nats(family.model, trial.x["test"])
        if budget >= 4 and name == "RBM, 16 hidden":
            row["annealing"] = annealing(trial, family.model)
        yield row | (drawn(trial, family) if budget >= 4 else {})


@torch.no_grad()
def pseudo(trial, machine, look):
    machine.load_state_dict(look.state)
    return -machine.pseudo_log_prob(trial.x["valid"]).mean().item()


@torch.no_grad()
def annealing(trial, machine):
    """{temperatures: [how far the mean estimate of log Z is off, the mean error, the share within three errors]}."""
    exact, found = machine.log_partition().item(), {}
    for temperatures in SETTINGS["annealing"]:
        how = {"generator": trial.chance, "chains": 100, "temperatures": temperatures}
        off, error = torch.tensor([machine.estimate_log_partition(**how) for _ in range(10)]).T
        off = off - exact
        found[str(temperatures)] = [t.mean().item() for t in (off, error, (off.abs() < 3 * error).double())]
    return found


def drawn(trial, family):
    """What a family's draws are worth, and what one of them costs."""
    n = SETTINGS["draws"]
    x = family.draws(family.model, n)
    found = {"passes": family.passes, "zeros_settled": (trial.seen(x) == 0).float().mean().item()} | trial.worth(x)
    walk = family.chain
    began = time.process_time()
    if walk is None:
        family.draws(family.model, n)
        return found | {"pass_seconds_a_million": (time.process_time() - began) / family.passes / n * 1e6}
    walk(family.model, None, n, 20)
    found["pass_seconds_a_million"] = (time.process_time() - began) / 20 / n * 1e6
    return found | walked(trial, lambda start, n, steps: walk(family.model, start, n, steps))


def walked(trial, walk):
    """How fast a chain forgets, and what it shows on its way."""
    chains, steps, found = SETTINGS["chains"], SETTINGS["chain_steps"], {"settled": {}, "zeros": {}}
    x, path = None, []
    for _ in range(steps):
        x = walk(x, chains, 1)
        path.append(x.double() @ trial.components)
    path = torch.stack(path)[steps // 2 :]  # (T, C, 10)
    found["passes"] = max(autocorrelation_time(path[..., k]) for k in range(10))
    found["r_hat"] = max(scale_reduction(path[..., k]) for k in range(10))
    zeros = trial.x["train"][trial.y["train"] == 0]
    starts = {"settled": None, "zeros": zeros.repeat(SETTINGS["draws"] // len(zeros) + 1, 1)[: SETTINGS["draws"]]}
    for what, x in starts.items():
        done = 0
        for until in (1, 3, 10, 30, 100, 300):
            if until > steps:
                break
            x = walk(x, SETTINGS["draws"], until - done)
            done, label = until, trial.seen(x)
            wrong = label < 0 if what == "settled" else label == 0
            found[what][str(until)] = wrong.float().mean().item()
    return found


def gan(trial):
    for budget in (1, 4):
        players, dice = of.players(trial.seed)
        steps = SETTINGS["steps"]["GAN"] * budget // 4
        began = time.process_time()
        knobs = {"batch_size": 100, "lr": 2e-3, "r1": 1.0, "generator": dice, "progress": False}
        fit_gan(players, trial.x["train"], steps=steps, **knobs)
        seconds, one = time.process_time() - began, players["generator"]
        weights = sum(p.numel() for p in one.parameters())
        row = {"name": "GAN", "budget": budget, "parameters": weights, "test_is": "none", "steps": steps, "of": steps}
        row |= {"seconds": seconds, "passes": 1} | trial.worth(one.sample(SETTINGS["draws"], generator=dice))
        began = time.process_time()
        x = one.sample(SETTINGS["draws"], generator=dice)
        row["pass_seconds_a_million"] = (time.process_time() - began) / len(x) * 1e6
        yield row | {"zeros_settled": (trial.seen(x) == 0).float().mean().item()}


def long(trial, name):
    yield from digits(trial, name, (4 * SETTINGS["longer"],))


def judged(trial):
    train, n, dice = trial.x["train"], SETTINGS["draws"], trial.chance
    yield {"name": "test images"} | trial.worth(trial.x["test"])
    again = train[torch.randint(len(train), (n,), generator=dice)]
    yield {"name": "training images"} | trial.worth(again)
    turned = torch.rand(n, 64, generator=dice) < 0.08
    yield {"name": "8 % turned"} | trial.worth(again ^ turned.long())
    other = train[torch.randint(len(train), (n,), generator=dice)]
    yield {"name": "halves"} | trial.worth(torch.cat([again[:, :32], other[:, 32:]], 1))
    coins = torch.randint(2, (n, 64), generator=dice)
    yield {"name": "coins", "test": 64 * math.log(2)} | trial.worth(coins)
    apart = of.Blobs(train, 1, dice)
    mixtures = [of.Blobs(train, K, dice) for K in (10, 20, 40, 80)]
    best = min(mixtures, key=lambda one: one.nats(trial.x["valid"]).mean().item())
    for name, one in {"pixels apart": apart, "mixture": best}.items():
        test = one.nats(trial.x["test"]).mean().item()
        yield {"name": name, "components": len(one.p), "test": test} | trial.worth(one.sample(n, dice))


KINDS = {"judged": judged, "digits": digits, "boltzmann": boltzmann, "plane": plane, "long": long}


def main(argv=None, path=RESULTS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(3)))
    asked = parser.parse_args(argv)
    found = Rows(path, "python benchmarks/leaves.py", SETTINGS, {})
    try:
        found.begin(asked.fresh)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    torch.set_num_threads(1)
    shown = ("budget", "seconds", "valid", "test", "test_one_sample", "pseudo", "kl", "refused", "passes")
    grow(found, wanted(asked.kinds, asked.seeds), cache(Trial), KINDS, shown)


if __name__ == "__main__":
    main()
