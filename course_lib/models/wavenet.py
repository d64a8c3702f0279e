"""Sound, one sample at a time: dilated causal convolutions, which see far back in few layers."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ..expect import expect_count, expect_floats, expect_generator, expect_levels
from ..fast.queues import walk
from ..layers import CausalConv1d, gate, initialised_by
from ..prob import categorical_log_prob

SMOOTH = 16  # waves in the curves that the levels begin on; without them a short training stays behind


@dataclass(frozen=True)
class WaveNetConfig:
    """`layers` in `stacks` equal ones; in each, the dilation begins at 1 and grows `growth`-fold from layer to layer.

    `residual` and `skip` are the widths of what goes on to the next layer and of what goes straight to the end. A clip
    may be described by `global_features` numbers, and its every `frame` samples by `local_features` numbers; 0 is none.
    """

    levels: int = 256
    layers: int = 20
    stacks: int = 2
    residual: int = 32
    skip: int = 64
    kernel_size: int = 2
    growth: int = 2
    global_features: int = 0
    local_features: int = 0
    frame: int = 80

    def __post_init__(self):
        expect_count("levels", self.levels, 2)
        expect_count("kernel_size", self.kernel_size, 2)  # with one tap, a layer sees no past
        for name in ("layers", "stacks", "residual", "skip", "growth", "frame"):
            expect_count(name, getattr(self, name))
        expect_count("global_features", self.global_features, 0)
        expect_count("local_features", self.local_features, 0)
        if self.layers % self.stacks:
            raise ValueError(f"layers: expected a multiple of stacks = {self.stacks}, got {self.layers}")

    @property
    def dilations(self) -> list[int]:
        """How many samples lie between the taps of each layer, such as 1, 2, 4, 1, 2, 4."""
        return [self.growth**i for i in range(self.layers // self.stacks)] * self.stacks


class WaveNet(nn.Module):
    """x (B, T) long -> logits (B, T, V), where those at t see x[:, :t] only; van den Oord et al. (2016), section 2.

    Before the first sample there is nothing: every layer sees zeros there.
    """

    def __init__(self, config: WaveNetConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        with initialised_by(generator):
            self.embed = nn.Embedding(c.levels, c.residual)
            self.convs = nn.ModuleList(CausalConv1d(c.residual, 2 * c.residual, c.kernel_size, d) for d in c.dilations)
            self.skips = nn.ModuleList(nn.Conv1d(c.residual, c.skip, 1) for _ in c.dilations)
            self.adds = nn.ModuleList(nn.Conv1d(c.residual, c.residual, 1) for _ in c.dilations[1:])  # not in the last
            self.head = nn.Sequential(
                nn.ReLU(), nn.Conv1d(c.skip, c.skip, 1), nn.ReLU(), nn.Conv1d(c.skip, c.levels, 1)
            )
            _smooth_start(self.embed.weight)
            _smooth_start(self.head[3].weight[:, :, 0])
            wide = 2 * c.residual * c.layers
            self.from_global = nn.Linear(c.global_features, wide, bias=False) if c.global_features else None
            self.from_local = nn.Conv1d(c.local_features, wide, 3, padding=1, bias=False) if c.local_features else None

    @property
    def receptive_field(self) -> int:
        """How many samples a distribution can depend on: 1 + (kernel_size − 1) Σ dilation, those just before."""
        return 1 + (self.config.kernel_size - 1) * sum(self.config.dilations)

    def forward(
        self, x: torch.Tensor, global_: torch.Tensor | None = None, local: torch.Tensor | None = None
    ) -> torch.Tensor:
        """x (B, T) long -> logits (B, T, V) of each sample given those before it.

        Where the config has such features, `global_` is (B, G) and `local` (B, frames, L), a frame for every `frame`
        samples begun. Raises TypeError or ValueError for other tensors, a condition too many and one missing.
        """
        expect_levels("x", x, ("B", "T"), self.config.levels)
        B, T = x.shape
        if not T:
            raise ValueError(f"x: expected sounds of one sample or more, got shape {tuple(x.shape)}")
        told = self.told(B, T, global_, local)
        # Shifted by one: position t is fed what stands before it.
        h = F.pad(self.embed(x[:, :-1]).transpose(1, 2), (1, 0))  # (B, R, T)
        skip = 0
        for layer, conv in enumerate(self.convs):
            z = conv(h)  # (B, 2R, T)
            if told is not None:
                z = z + self._each_sample(told[:, :, layer], T)
            g = gate(z)  # (B, R, T)
            skip = skip + self.skips[layer](g)
            if layer < len(self.adds):
                h = h + self.adds[layer](g)
        return self.head(skip).transpose(1, 2)

    def log_prob(
        self, x: torch.Tensor, global_: torch.Tensor | None = None, local: torch.Tensor | None = None
    ) -> torch.Tensor:
        """log p(x) = Σ_t log p(x_t | x_<t), exactly: x (B, T) long -> (B,) nats; conditions as in `forward`."""
        return categorical_log_prob(self(x, global_, local), x)

    def told(
        self, B: int, T: int, global_: torch.Tensor | None = None, local: torch.Tensor | None = None
    ) -> torch.Tensor | None:
        """What the conditions add before each gate: (B, frames, layers, 2R), one frame if there is no local one.

        None where the config has no features. Raises as `forward` does. Source: van den Oord et al. (2016), 2.5.
        """
        c, told = self.config, None
        frames = -(-T // c.frame)
        for name, given, shape in (
            ("global_", global_, (c.global_features,)),
            ("local", local, (frames, c.local_features)),
        ):
            if (given is None) != (shape[-1] == 0):
                has = f"{shape[-1]} such features" if shape[-1] else "none such"
                raise ValueError(f"{name}: this model was built with {has}, got {'none' if given is None else 'some'}")
            if given is not None:
                expect_floats(name, given, (B, *shape))
        if local is not None:
            told = self.from_local(local.to(self.from_local.weight).transpose(1, 2)).transpose(1, 2)
        if global_ is not None:
            whole = self.from_global(global_.to(self.from_global.weight))[:, None]
            told = whole if told is None else told + whole
        return told if told is None else told.unflatten(2, (c.layers, 2 * c.residual))

    def _each_sample(self, told, T):
        """(B, frames, 2R) -> (B, 2R, T), or (B, 2R, 1) where there is one frame for all."""
        told = told.transpose(1, 2)
        return told if told.shape[2] == 1 else told.repeat_interleave(self.config.frame, 2)[:, :, :T]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int,
        *,
        generator: torch.Generator,
        given: torch.Tensor | None = None,
        global_: torch.Tensor | None = None,
        local: torch.Tensor | None = None,
        temperature: float = 1.0,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` sounds (n, steps) long; those of `given` (T,) or (n, T), T < steps, begin so and are completed.

        The layers' pasts are carried in queues, so a sample costs one pass, however far the model sees. Where numba is
        installed the loop is compiled (the first call waits some seconds for it, or, later, for the stored code) and
        runs on the CPU, wherever the model is; else PyTorch does the same, slower, which is said once. A sound depends
        on `generator` through one uniform number a sample, in both ways the same, and on no other sound of its batch.
        `temperature` is `decode.draw`'s.
        Raises TypeError and ValueError as `forward` does, and for sizes and a `given` that cannot be.
        """
        expect_count("n", n)
        expect_count("steps", steps)
        expect_generator(generator)
        x, known = self._begun(given, n, steps)
        told = self.told(n, steps, global_, local)
        for name, w in (*self.named_parameters(), *([] if told is None else [("what the conditions add", told)])):
            if not w.isfinite().all():  # the compiled loop would make some sound of it
                raise ValueError(f"{name}: expected finite numbers, got nan or inf: did training go wrong (lower lr)?")
        u = torch.rand(steps - known, n, generator=generator, dtype=torch.float64, device=generator.device)
        with tqdm(total=steps, desc="sampling", unit="step", unit_scale=True, delay=2, disable=not progress) as bar:
            for done in walk(self, x, known, u, told, temperature):
                bar.update(done)
        return x

    def _begun(self, given, n, steps):
        """(n, steps) on the model's device, beginning as `given` says, and how many samples of it are known."""
        x = torch.zeros(n, steps, dtype=torch.long, device=self.embed.weight.device)
        if given is None:
            return x, 0
        given = given.expand(n, -1) if isinstance(given, torch.Tensor) and given.ndim == 1 else given
        expect_levels("given", given, (n, "T"), self.config.levels)
        known = given.shape[1]
        if known >= steps:
            raise ValueError(
                f"given: expected fewer samples than steps = {steps}, so that something is left to say, got {known}"
            )
        x[:, :known] = given
        return x, known


@torch.no_grad()
def _smooth_start(weight):
    """Redraw weight (V, …): neighbouring levels begin alike, as they sound, each column a smooth random curve."""
    V, wide = weight.shape
    waves = torch.arange(min(V, SMOOTH))
    curves = torch.cos(math.pi * waves * (torch.arange(V)[:, None] + 0.5) / V)  # (V, waves), of rising frequency
    new = curves @ (torch.randn(len(waves), wide) / (1 + waves)[:, None])
    weight.copy_(new * weight.std() / new.std())
