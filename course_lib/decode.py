"""From logits to a choice, and from choices to a whole: the rules take logits (B, V), and `write` is the one loop.

A model that writes step by step, whatever it writes, has two methods:

    state = model.begin(n, **conditions)         # a State: what it knows of n wholes before their first component
    logits, state = model.step(previous, state)  # previous (n,) long, None before the first -> logits (n, V)

A step owns the state that it is given, and may write into its tensors. Whoever wants to go two ways from one state
indexes it first, `state[keep]`, which copies: that is all that a beam needs. Nothing is remembered outside the state. A
position that a model needs is one of its tensors, (n,) long and all equal, or the shape of another.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from .expect import expect_bools, expect_count, expect_floats, expect_generator, expect_levels

COLDEST = 1e-6  # a temperature below counts as 0
# A quotient beyond has lost digits: there, two neighbouring float32 lie 6e-5 apart, and in the end comes inf.
FAR = 1000
RAREST = 2**-25  # in the place of a random 0, which in float32 is all that lies below 2**-24


def apply_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """logits (B, V) -> logits / temperature: below 1 the likely gets likelier, above 1 all become more alike.

    At temperature 0, the limit, only the likeliest keeps a finite logit: drawing is greedy (of equals, the first). So
    it is below `COLDEST`. Half precision comes back as float32, any other as it is. A row whose quotients would be so
    large that their digits do not suffice is moved first, so that its largest is 0: only differences of logits matter.
    Raises ValueError for a negative or infinite temperature. Source: Ackley, Hinton and Sejnowski (1985).
    """
    largest, farthest = _expect_logits(logits)
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number above 0, or 0 for greedy, got {temperature}")
    logits = logits.to(_at_least_float32(logits))
    if temperature < COLDEST:
        return keep_top_k(logits, 1)
    if temperature == 1:
        return logits
    if farthest > FAR * temperature:
        far = largest.abs() > FAR * temperature
        logits = logits - largest.where(far, 0)[:, None].to(logits.dtype)
    return logits / min(temperature, torch.finfo(logits.dtype).max)  # not to divide by inf: -inf / inf is NaN


def keep_top_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """logits (B, V) with all but the `top_k` largest of each row at −inf (of equals at the border, the first stay).

    Raises ValueError for a `top_k` that is no whole number from 1 to V. Source: Fan et al. (2018), section 5.2.
    """
    _expect_logits(logits)
    V = logits.shape[1]
    if isinstance(top_k, bool) or top_k not in range(1, V + 1):
        raise ValueError(f"top_k: expected a whole number from 1 to V = {V}, got {top_k}")
    border = logits.topk(int(top_k)).values[:, -1:]  # (B, 1), and no sorting of all V
    above, at = logits > border, logits == border
    room = top_k - above.sum(1, keepdim=True)  # for how many of the equals
    return logits.masked_fill(~(above | (at & (at.cumsum(1) <= room))), float("-inf"))


def keep_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """logits (B, V) with all at −inf but the nucleus: the fewest, likeliest choices whose probabilities reach `top_p`.

    Sums are float64, and what stays, stays as it was. Raises ValueError outside (0, 1]: no choice has no probability.
    Source: Holtzman et al. (2020), section 3.1.
    """
    _expect_logits(logits)
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a probability above 0 and at most 1, got {top_p}")
    if top_p == 1:
        return logits  # said here, since a sum of rounded numbers can reach 1 before its end
    ordered, order = logits.sort(dim=1, descending=True, stable=True)
    held = _exact(ordered).softmax(1).cumsum(1)  # (B, V) float64: by each and those ahead of it
    # Logits have been rounded, and sums are. What is short of `top_p` by no more than this has reached it; otherwise
    # chance would decide whether six of ten equals hold 0.6, or those whose logits are log 0.4 and log 0.3 hold 0.7.
    short = 4 * torch.finfo(_at_least_float32(logits)).eps + logits.shape[1] * 2**-52
    enough = (held[:, :-1] >= top_p * (1 - short)).to(order.device)
    ordered[:, 1:].masked_fill_(enough, float("-inf"))  # those with enough ahead of them; the first has none ahead
    return torch.empty_like(ordered).scatter_(1, order, ordered)


def draw(
    logits: torch.Tensor,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> torch.Tensor:
    """One choice a row, logits (B, V) -> (B,) long: tempered, cut to the `top_k`, then to the nucleus, then drawn.

    Every row draws for itself, and a choice whose logit is −inf is never drawn. Half precision is drawn from in
    float32. Raises ValueError as the functions above do, and for a row without a largest finite logit: from NaN, or
    from nothing but −inf, nothing can be drawn.
    """
    expect_generator(generator)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    # A race: clocks that ring at rate p, and the first to ring is i with probability p_i. It is what torch.multinomial
    # does too, which takes five times as long here (V = 331, CPU) to draw its waiting times, −log of a uniform number.
    # From 0 that would be infinite: where all others have no chance, they would be as early as the one that has.
    waiting = torch.rand(logits.shape, generator=generator, device=logits.device).clamp_(min=RAREST).log_().neg_()
    return (logits.softmax(1) / waiting).argmax(1)


def invert_cdf(logits: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """The choice at which the probabilities, added up from the first, pass u: logits (B, V), u (B,) -> (B,) long.

    For u uniform in [0, 1) it is a draw, at the cost of one random number where `draw` takes V. Computed in float64:
    two ways to the same logits, each rounded in its way, give other choices only where u hits a step that closely.
    Raises ValueError as `draw` does, and for u outside [0, 1). Source: Devroye (1986), section III.2.1.
    """
    _expect_logits(logits)
    expect_floats("u", u, (logits.shape[0],))
    if not ((u >= 0) & (u < 1)).all():
        raise ValueError(f"u: expected numbers from 0 up to, not including, 1, got {u.min()} to {u.max()}")
    cdf = _exact(logits).softmax(1).cumsum(1)
    return (cdf[:, :-1] <= _exact(u)[:, None] * cdf[:, -1:]).sum(1).to(logits.device)


class State(tuple):
    """What a model remembers from step to step: tensors, batch first, at least one, all on the model's device.

    `state[keep]` selects, repeats and reorders its rows, `keep` being their numbers (m,) long or a choice (n,) bool; it
    is a copy of its own. Raises TypeError for another `keep`: a slice would be a second view of the same memory.
    """

    __slots__ = ()

    def __getitem__(self, keep: torch.Tensor) -> "State":
        if not isinstance(keep, torch.Tensor) or keep.ndim != 1 or keep.dtype not in (torch.long, torch.bool):
            raise TypeError(f"state[keep]: expected a tensor of row numbers (long) or choices (bool), got {keep!r}")
        return State(t[keep] for t in self)


@torch.no_grad()
def write(
    model,
    n: int,
    length: int,
    *,
    choose: Callable[[torch.Tensor, int], torch.Tensor],
    given: torch.Tensor | None = None,
    known: torch.Tensor | None = None,
    progress: str | None = None,
    **conditions,
) -> torch.Tensor:
    """`n` wholes (n, length) long, one component after another, by a model's `begin` and `step`.

    `choose` (logits (n, V), t) -> (n,) long makes the choice at t, such as `lambda logits, t: draw(logits, …)`; it is
    not asked where all is known. `given` (T,) or (n, T) long, T < length, is how all or each begin. With `known`, bool
    and (length,) or (n, length), `given` is as long as the whole, and kept wherever `known` is true; what is written
    before that place has not seen it. `conditions` are those of `begin`. `progress` names a bar, shown after 2 s.
    Raises TypeError and ValueError for sizes, a `given` and a `known` that cannot be.
    """
    expect_count("n", n)
    first = model.step(None, model.begin(n, **conditions))
    return finish(model, first, *begun(n, length, first[0].shape[1], given, known, first[0].device), choose, progress)


def finish(model, first: tuple[torch.Tensor, State], x, known, choose, progress: str | None = None) -> torch.Tensor:
    """The loop of `write`, for who has called the model and `begun` already: x (n, length), filled where not `known`.

    `first` is what the model's first step gave, logits and state.
    """
    (logits, state), length = first, x.shape[1]
    whole, part = known.all(0).tolist(), known.any(0).tolist()
    with progress_bar(length, progress) as bar:
        for t in range(length):
            if t:
                logits, state = model.step(x[:, t - 1], state)
            if not whole[t]:
                chosen = choose(logits, t)
                x[:, t] = torch.where(known[:, t], x[:, t], chosen) if part[t] else chosen
            bar.update()
    return x


def begun(
    n: int,
    length: int,
    levels: int,
    given: torch.Tensor | None = None,
    known: torch.Tensor | None = None,
    device: torch.device | str = "cpu",
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `write` begins with: x (n, length) long, 0 where it is not known, and where it is, (n, length) bool.

    `given` and `known` are those of `write`, whose errors are raised here.
    """
    expect_count("n", n)
    expect_count("length", length)
    if given is None:
        if known is not None:
            raise ValueError("known: expected together with given=, which says what is known there, got it alone")
        given = torch.zeros(n, 0, dtype=torch.long)
    given = given.expand(n, -1) if isinstance(given, torch.Tensor) and given.ndim == 1 else given
    expect_levels("given", given, (n, "T" if known is None else length), levels)
    if known is None:
        T = given.shape[1]
        if length <= T:
            left = "so that something is left to write"
            raise ValueError(f"given: expected fewer than length = {length}, {left}, got {T}")
        given, known = F.pad(given, (0, length - T)), torch.arange(length, device=given.device) < T
    expect_bools("known", known)
    if known.shape not in ((length,), (n, length)):
        raise ValueError(f"known: expected shape ({length},) or {(n, length)}, got {tuple(known.shape)}")
    known = known.expand(n, length).to(device)
    return given.to(device).where(known, 0), known


def progress_bar(length: int, name: str | None) -> tqdm:
    """A bar of `length` steps, shown once it takes over 2 s, or never if it has no name."""
    return tqdm(total=length, desc=name, unit="step", unit_scale=True, delay=2, disable=name is None)


def _at_least_float32(logits):
    """The precision to work in: half of it is too coarse to divide, and to draw from."""
    return torch.promote_types(logits.dtype, torch.float32)


def _exact(numbers):
    """In float64, on the CPU where the device has none (Apple's GPU)."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()


def _expect_logits(logits):
    """Floats (B, V), in each row something to draw -> each row's largest (B,), and how far from 0 the farthest of them.

    One pass: a NaN, too, is what `amax` finds largest.
    """
    expect_floats("logits", logits, ("B", "V"))
    largest = logits.detach().amax(1)
    farthest = largest.abs().amax().item() if len(logits) else 0
    if not farthest < float("inf"):
        row = int((~largest.isfinite()).nonzero()[0])
        raise ValueError(
            f"logits: expected a finite largest number in every row, got {largest[row]} in row {row}; nan and inf say "
            "that training went wrong (try a smaller lr), -inf that every choice was made impossible"
        )
    return largest, farthest
