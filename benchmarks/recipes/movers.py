"""The video models that `benchmarks/movers.py` compares, rules that need no training, and what is measured of both."""

import math
import time
from functools import cache

import torch
import torch.nn.functional as F

from course_lib.data import load_digits
from course_lib.data.bouncing_digits import DIRECTIONS, load_bouncing_digits
from course_lib.device import make_generator
from course_lib.measure.judge import DigitJudge
from course_lib.measure.motion import futures, independent_nats, lawful
from course_lib.models.video_pixel_network import IndependentPixels, VideoPixelNetwork, VPNConfig
from course_lib.prob import categorical_log_prob
from course_lib.train import fit

LEVELS = 2
HIDDEN = 0.25  # share of the frames that are hidden from what comes after

# --- models: the VPN with one thing changed ------------------------------------------------------------------


class Recent(VideoPixelNetwork):
    """A VPN that is told the last `told` frames only: its ConvLSTM begins anew for every frame. With 0, of none."""

    told_frames = 2

    def context(self, words):
        (B, T), memory = words.shape[:2], self.told_frames
        hidden = cell = self.place.new_zeros(B, T + 1, *self.place.shape)
        seen = self.encode(words.flatten(0, 1)).unflatten(0, (B, T))
        for ago in range(min(memory, T), 0, -1):
            new = self.lstm(*(part.flatten(0, 1) for part in (seen[:, : T + 1 - ago], hidden[:, ago:], cell[:, ago:])))
            hidden, cell = (
                torch.cat([old[:, :ago], part.unflatten(0, (B, -1))], 1)
                for old, part in zip((hidden, cell), new, strict=True)
            )
        return torch.stack([self.telling(h) for h in hidden.unbind(1)], 1), (hidden[:, -1], cell[:, -1])


class ToldNothing(Recent):
    told_frames = 0


class ToldOne(Recent):
    told_frames = 1


class Blind(VideoPixelNetwork):
    """A VPN whose decoder does not see the frame that it paints: its pixels are independent."""

    def decode(self, told, words):
        return super().decode(told, torch.zeros_like(words))

    def decode_at(self, i, j, k, told, canvas, *memory):
        return super().decode_at(i, j, k, told, torch.zeros_like(canvas), *memory)


class Peeking(VideoPixelNetwork):
    """A VPN whose context comes one frame too early: it learns with each frame told to its own decoder."""

    def logits(self, words):
        told, _ = self.context(words)
        return self.decode(told[:, 1:].flatten(0, 1), words.flatten(0, 1)).unflatten(0, words.shape[:2])


def with_some_hidden(kind, seed):
    """A model of that kind from which a quarter of the frames is hidden, once they are to be told; `seen` lays open."""

    class Hidden(kind):
        def logits(self, words, seen=None):
            if seen is None:
                seen = torch.rand(words.shape[:2], generator=dice) >= HIDDEN
            told, _ = self.context((words * seen[..., None, None, None])[:, :-1])
            return self.decode(told.flatten(0, 1), words.flatten(0, 1)).unflatten(0, words.shape[:2])

    dice = make_generator(seed)
    return Hidden


def weights(model):
    return sum(p.numel() for p in model.parameters())


# --- training ------------------------------------------------------------------------------------------------


def minus_log_prob(model, x):
    """Nats of all frames but the first, which nobody can know: (B,)."""
    return -model.log_prob(x, by_frame=True)[:, 1:].sum(1)


def trained(kind, config, x, *, steps, batch_size, lr, generator, progress=False):
    """A model that has learnt, and the seconds of the processor that it took."""
    model = kind(config, generator=generator)
    knobs = {"batch_size": batch_size, "lr": lr, "schedule": "cosine", "generator": generator, "progress": progress}
    began = time.process_time()
    if len(fit(model, x, loss=minus_log_prob, steps=steps, **knobs).loss) < steps:
        raise KeyboardInterrupt
    return model.eval(), round(time.process_time() - began, 1)


# --- rules that need no training -----------------------------------------------------------------------------


def repeated(x):
    """The last frame of x (n, T, 1, H, W), again: (n, 1, H, W)."""
    return x[:, -1]


def moved_on(x):
    """The last frame, moved by the last step; what leaves the frame is gone. Without a step, the last frame."""
    last, before = x[:, -1], x[:, -2]
    found = last.clone()
    for step in DIRECTIONS.tolist():
        led_here = (shifted(before, step) == last).flatten(1).all(1)
        found[led_here] = shifted(last, step)[led_here]
    return found


def shifted(frame, step):
    """frame (n, 1, H, W), moved by `step`; paper comes in from outside."""
    i, j = step
    height, width = frame.shape[-2:]
    return F.pad(frame, (1, 1, 1, 1))[..., 1 - i : 1 - i + height, 1 - j : 1 - j + width]


def of_the_law(x, generator):
    """One of the futures that the law allows, drawn; where it allows none, the last frame."""
    moved, allowed = (part[:, -1] for part in futures(x))
    lottery = torch.rand(allowed.shape, generator=generator).where(allowed, -1.0)
    chosen = moved[torch.arange(len(x)), lottery.argmax(1)]
    return torch.where(allowed.any(1)[:, None, None, None], chosen, x[:, -1])


def ghost_of(x, generator):
    """Each pixel drawn for itself, from what the allowed futures have there."""
    moved, allowed = (part[:, -1] for part in futures(x))
    share = (moved * allowed[..., None, None, None]).sum(1) / allowed.sum(1).clamp(min=1)[:, None, None, None]
    return (torch.rand(share.shape, generator=generator) < share).long()


def slip_nats(guess, x, slip):
    """What frames x cost who says that each pixel is as guessed, but for a `slip`: both (…, H, W) -> (…) nats."""
    wrong = (guess != x).flatten(-2).double().sum(-1)
    return -wrong * math.log(slip) - (x[0, 0].numel() - wrong) * math.log1p(-slip)


# --- measures: what a frame costs -----------------------------------------------------------------------------


def kinds_of_frames(x, walls="drawn"):
    """Which frames x (B, T, …) go straight on, which turn one of two ways, and which can turn one way only: bool."""
    straight, choices = lawful_straight(x), torch.zeros(x.shape[:2], dtype=torch.long)
    choices[:, 1:] = futures(x, walls)[1].sum(2)[:, :-1]
    later = torch.arange(x.shape[1]) >= 2
    turns = {"straight": straight, "turn": ~straight & (choices == 2), "corner": ~straight & (choices == 1)}
    return {name: kind & later for name, kind in turns.items()}


def lawful_straight(x):
    """Which frames (B, T) move on as the last step did: bool, false for the first two."""
    found = torch.zeros(x.shape[:2], dtype=torch.bool)
    for t in range(2, x.shape[1]):
        step = (moved_on(x[:, t - 2 : t]) == x[:, t]).flatten(1).all(1)
        found[:, t] = step & (x[:, t] != x[:, t - 1]).flatten(1).any(1)
    return found


def worth(nats, data, walls="drawn"):
    """The fields of what each frame costs, (n, T) nats: how far it is above the floor."""
    above = nats.double() - data.floor
    later = above[:, 2:]
    kinds = kinds_of_frames(data.x, walls)
    return {
        "nats": later.mean().item(),
        "error": later.mean(1).std().item() / math.sqrt(len(later)),
        **{name: above[kind].mean().item() for name, kind in kinds.items() if kind.any()},
        "by_frame": [None, *above[:, 1:].mean(0).tolist()],
    }


@torch.no_grad()
def nats_of(model, x):
    return torch.cat([-model.log_prob(part, by_frame=True) for part in x.split(50)])


def hidden_worth(model, data):
    """Where the last frame is hidden, and where the last two are: nats above the floor of frames that go straight on.

    All others are seen. The frames counted have gone straight on for so long that nothing of them is uncertain.
    """
    straight, found = lawful_straight(data.x), {}
    T = straight.shape[1]
    with torch.no_grad():
        for hidden in (0, 1, 2):
            nats = []
            for t in range(2 + hidden, T):
                seen = torch.ones(len(data.x), t + 1)
                seen[:, t - hidden : t] = 0
                x = data.x[:, : t + 1]
                logits = model.logits(model.words(x), seen)[:, -1]
                sure = straight[:, t - hidden : t + 1].all(1)
                nats.append(-categorical_log_prob(logits, x[:, -1])[sure])
            found[f"hidden_{hidden}"] = torch.cat(nats).mean().item()
    return found


@torch.no_grad()
def ghost_pixels(model, x):
    """At turns of two ways: p(what came) of the pixels that only one of the two futures inks, first one and later ones.

    They come row by row. `sure` is the share of the later ones whose probability is above 0.9.
    """
    moved, allowed = futures(x)
    turn = kinds_of_frames(x)["turn"]
    p = torch.cat([model(part).softmax(-1) for part in x.split(50)]).gather(-1, x[..., None])[..., 0]
    two = torch.where(allowed[..., None, None, None], moved.double(), torch.nan).nanmean(2)  # (B, T, 1, H, W)
    differ = (two[:, :-1] == 0.5)[turn[:, 1:]].flatten(1)
    p = p[:, 1:][turn[:, 1:]].flatten(1)
    first = differ & (differ.cumsum(1) == 1)
    later = differ & ~first
    return {
        "turns": len(p),
        "pixels": differ.sum(1).double().mean().item(),
        "first": p[first].mean().item(),
        "first_spread": p[first].std().item(),
        "later": p[later].mean().item(),
        "later_sure": (p[later] > 0.9).double().mean().item(),
    }


# --- measures: what is drawn ----------------------------------------------------------------------------------


def next_frame_of(model, generator):
    """A function x (n, T, 1, H, W) -> the next frame, drawn (n, 1, H, W)."""
    return lambda x: model.sample(len(x), frames=x.shape[1] + 1, given=x, generator=generator, progress=False)[:, -1]


def drawn(next_frame, data, given, walls="drawn"):
    """Fields of what is drawn after `given` frames: on its own frames, and one frame each on the true ones."""
    true, frames = data.x, data.x.shape[1]
    x = true[:, :given]
    for _ in range(given, frames):
        x = torch.cat([x, next_frame(x)[:, None]], 1)
    right = lawful(x, walls)[:, given:]
    unbroken = right.cumprod(1).bool()
    before = torch.cat([torch.ones_like(unbroken[:, :1]), unbroken[:, :-1]], 1)
    broken = ~before
    can_go = could_go(x)[:, given:]
    found = {
        "lawful": right.double().mean(0).tolist(),
        "unbroken": unbroken.double().mean(0).tolist(),
        **shares({"unbroken_straight": before & can_go, "unbroken_turn": before & ~can_go}, right),
        **shares({"after_mistake": broken}, right),
        "same_digit": same_digit(x[:, given:], true[:, :1]).double().mean(0).tolist(),
        "judged": judged(x[:, given:], data.labels[:, 0]).double().mean(0).tolist(),
        "blank": (x[:, given:] == 0).flatten(2).all(2).double().mean(0).tolist(),
    }
    steps = torch.cat([one_more(next_frame, true[:, :t], walls) for t in range(given, frames)], 1)
    can_go = could_go(true)[:, given:]
    found |= {"lawful_on_true": steps.double().mean().item()}
    return found | shares({"lawful_on_true_straight": can_go, "lawful_on_true_turn": ~can_go}, steps)


def shares(wheres, right):
    return {name: right[where].double().mean().item() if where.any() else None for name, where in wheres.items()}


def could_go(x):
    """Which frames (B, T) could go straight on, whatever they did: bool."""
    found = torch.zeros(x.shape[:2], dtype=torch.bool)
    for t in range(2, x.shape[1]):
        ahead = moved_on(x[:, t - 2 : t])
        kept = ahead.flatten(1).sum(1) == x[:, t - 1].flatten(1).sum(1)  # no ink has left
        found[:, t] = kept & (ahead != x[:, t - 1]).flatten(1).any(1)
    return found


def one_more(next_frame, x, walls):
    return lawful(torch.cat([x, next_frame(x)[:, None]], 1), walls)[:, -1:]


def futures_of(next_frame, x, draws):
    """From each beginning x (B, T, …) with two futures, `draws` next frames: shares of either and of neither."""
    moved, allowed = (part[:, -1] for part in futures(x))
    found = []
    for begun, four, which in zip(x, moved, allowed, strict=True):
        made = next_frame(begun.expand(draws, *begun.shape))
        share = [(made == future).flatten(1).all(1).double().mean().item() for future in four[which]]
        found.append([*share, 1 - sum(share)])
    return found


def before_turns(x, n):
    """The first n beginnings, all of as many frames as most have, after which a turn has two ways: (n, T, …)."""
    turn = kinds_of_frames(x)["turn"]
    t = int(turn[:, 3:].sum(0).argmax()) + 3
    return x[turn[:, t]][:n, :t]


def corner_of(x):
    """Frames x (N, H, W) with their ink moved into the upper left corner, 8 × 8; and where it does not fit: bool."""
    rows, columns = ((x > 0).any(axis) for axis in (2, 1))
    for axis, ink in ((1, rows), (2, columns)):
        first = ink.long().argmax(1)
        index = (torch.arange(x.shape[axis]) + first[:, None]) % x.shape[axis]
        index = index[:, :, None] if axis == 1 else index[:, None, :]
        x = x.gather(axis, index.expand_as(x))
    small = F.pad(x, (0, max(0, 8 - x.shape[2]), 0, max(0, 8 - x.shape[1])))
    too_large = (small[:, 8:] > 0).flatten(1).any(1) | (small[:, :, 8:] > 0).flatten(1).any(1)
    return small[:, :8, :8], too_large


def same_digit(x, first):
    """Which frames x (B, T, 1, H, W) hold the very shape of `first` (B, 1, 1, H, W), wherever: (B, T) bool."""
    shape, too_large = corner_of(x.flatten(0, 2))
    same = ~too_large.unflatten(0, x.shape[:2])
    return same & (shape.unflatten(0, x.shape[:2]) == corner_of(first[:, 0, 0])[0][:, None]).flatten(2).all(2)


@cache
def judge():
    """A judge of digits in black and white, cut to their ink, that has learnt from the training digits."""
    splits = []
    for split in ("train", "valid"):
        x, y = load_digits(split)
        splits.append((16 * corner_of(x[:, 0] * LEVELS // 17)[0][:, None], y))
    return DigitJudge(*splits, generator=make_generator(0))


def read(x):
    """Which digit the judge finds in each frame x (…, 1, H, W), −1 where it finds none: (…) long."""
    shape, too_large = corner_of(x.flatten(0, -3))
    return judge().label(16 * shape[:, None]).masked_fill(too_large, -1).view(x.shape[:-3])


def judged(x, labels):
    """In which frames x (B, T, 1, H, W) the judge finds the digit of the video, `labels` (B,): bool."""
    return read(x) == labels[:, None]


def judge_tried(data):
    """What the judge says of true frames and of kinds without a digit: shares with any, and with the `right` one."""
    x, dice = data.x[:, 4:8], make_generator(0)
    shuffled = x.flatten(3)[..., torch.randperm(x[0, 0].numel(), generator=dice)].view_as(x)
    noise = (torch.rand(x.shape, generator=dice) < x.double().mean()).long()
    shape = corner_of(x.flatten(0, 2))[0].view(*x.shape[:3], 8, 8)
    ahead = x.roll((0, 2), (-2, -1))  # where it would be, had it turned the other way
    mixed = torch.where(torch.rand(x.shape, generator=dice) < 0.5, x, ahead)
    kinds = {"true": x, "blank": 0 * x, "noise": noise, "shuffled": shuffled, "upper half": shape[..., :4, :]}
    kinds |= {"both futures": torch.maximum(x, ahead), "drawn from both": mixed}
    found = {name: read(kind) for name, kind in kinds.items()}
    right = {name: (label == data.labels).double().mean().item() for name, label in found.items()}
    return {name: (label >= 0).double().mean().item() for name, label in found.items()} | {"right": right}


# --- rows ------------------------------------------------------------------------------------------------------


def rules(train, data, given, generator):
    """Rows of what needs no training."""
    guesses = {"repeat": repeated, "straight on": moved_on}
    for name, rule in guesses.items():

        def ahead(x, rule=rule):
            none = x[:, :1]
            rest = [rule(x[:, max(0, t - 2) : t])[:, None] for t in range(2, x.shape[1])]
            return torch.cat([none, none, *rest], 1)

        slip = (ahead(train) != train)[:, 2:].double().mean().item()
        nats = slip_nats(ahead(data.x)[:, :, 0], data.x[:, :, 0], slip)
        yield {"name": name, "slip": slip} | worth(nats, data) | drawn(rule, data, given)
    law = {"the law": of_the_law, "the law, independent pixels": ghost_of}
    costs = {"the law": data.floor, "the law, independent pixels": independent_nats(data.x)}
    for name, rule in law.items():
        yield {"name": name} | worth(costs[name], data) | drawn(lambda x, rule=rule: rule(x, generator), data, given)
    found = {kind: where[:, 2:].double().mean().item() for kind, where in kinds_of_frames(data.x).items()}
    about = {"floor": data.floor[:, 2:].mean().item(), "shares": found}
    yield {"name": "the test videos"} | about | {"judge": judge_tried(data)}


def configs():
    """{kind: {name: (class, config)}}: what is trained."""
    plain = {"multiplicative": False}
    VPN = VideoPixelNetwork
    return {
        "main": {"VPN": (VPN, VPNConfig()), "baseline": (IndependentPixels, VPNConfig())},
        "mirror": {"VPN": (VPN, VPNConfig()), "baseline": (IndependentPixels, VPNConfig())},
        "told": {
            "nothing": (ToldNothing, VPNConfig()),
            "one frame": (ToldOne, VPNConfig()),
            "two frames": (Recent, VPNConfig()),
        },
        "hidden": {"all frames": (VPN, VPNConfig()), "two frames": (Recent, VPNConfig())},
        "blocks": {
            "plain, equal features": (VPN, VPNConfig(**plain)),
            "plain, equal weights": (VPN, VPNConfig(features=20, **plain)),
        },
        "dilation": {
            "(1, 1)": (VPN, VPNConfig(encoder=(1, 1))),
            "(1, 2, 4)": (VPN, VPNConfig(encoder=(1, 2, 4))),
            "(1, 1, 1)": (VPN, VPNConfig(encoder=(1, 1, 1))),
        },
        "size": {"24 features": (VPN, VPNConfig(features=24))},
        "broken": {"own frame hidden": (Blind, VPNConfig()), "future seen": (Peeking, VPNConfig())},
    }


def data_of(n, frames, walls, split, generator):
    return load_bouncing_digits(n, generator=generator, frames=frames, levels=LEVELS, walls=walls, split=split)
