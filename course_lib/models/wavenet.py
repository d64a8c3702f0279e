"""Sound, one sample at a time: dilated causal convolutions, which see far back in few layers."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..decode import State, apply_temperature, begun, finish, invert_cdf, progress_bar
from ..expect import expect_count, expect_floats, expect_generator, expect_levels
from ..fast import queues
from ..layers import CausalConv1d, gate, initialised_by
from ..prob import categorical_log_prob

SMOOTH = 16  # waves in the curves that the levels begin on; without them a short training stays behind


@dataclass(frozen=True)
class WaveNetConfig:
    """`layers` in `stacks` equal ones; in each, the dilation begins at 1 and grows `growth`-fold from layer to layer.

    `features` go on from layer to layer, and `skip_features` straight to the end. A clip may be described by
    `global_channels` numbers, and each `frame` samples of it by `local_channels` numbers; 0 is none.
    """

    levels: int = 256
    layers: int = 20
    stacks: int = 2
    features: int = 32
    skip_features: int = 64
    kernel_size: int = 2
    growth: int = 2
    global_channels: int = 0
    local_channels: int = 0
    frame: int = 80

    def __post_init__(self):
        expect_count("levels", self.levels, 2)
        expect_count("kernel_size", self.kernel_size, 2)  # with one tap, a layer sees no past
        for name in ("layers", "stacks", "features", "skip_features", "growth", "frame"):
            expect_count(name, getattr(self, name))
        expect_count("global_channels", self.global_channels, 0)
        expect_count("local_channels", self.local_channels, 0)
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
            R, S = c.features, c.skip_features
            self.embed = nn.Embedding(c.levels, R)
            self.convs = nn.ModuleList(CausalConv1d(R, 2 * R, c.kernel_size, d) for d in c.dilations)
            self.skips = nn.ModuleList(nn.Conv1d(R, S, 1) for _ in c.dilations)
            self.adds = nn.ModuleList(nn.Conv1d(R, R, 1) for _ in c.dilations[1:])  # not in the last
            self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(S, S, 1), nn.ReLU(), nn.Conv1d(S, c.levels, 1))
            _smooth_start(self.embed.weight)
            _smooth_start(self.head[3].weight[:, :, 0])
            G, L, wide = c.global_channels, c.local_channels, 2 * R * c.layers
            self.from_global = nn.Linear(G, wide, bias=False) if G else None
            self.from_local = nn.Conv1d(L, wide, 3, padding=1, bias=False) if L else None

    @property
    def receptive_field(self) -> int:
        """How many samples back the oldest lies that a distribution depends on: 1 + (kernel_size − 1) Σ dilation.

        All between are seen too where `growth` ≤ `kernel_size`. A larger `growth` skips some: of 22 samples by three
        layers with two taps, 1, 4 and 16 apart, 8 are seen.
        """
        return 1 + (self.config.kernel_size - 1) * sum(self.config.dilations)

    def forward(
        self,
        x: torch.Tensor,
        global_condition: torch.Tensor | None = None,
        local_condition: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """x (B, T) long -> logits (B, T, V) of each sample given those before it.

        Where the config has such channels, `global_condition` is (B, G) and `local_condition` (B, frames, L), a frame
        for every `frame` samples begun. Raises TypeError or ValueError for other tensors, a condition too many and one
        missing.
        """
        expect_levels("x", x, ("B", "T"), self.config.levels)
        B, T = x.shape
        if not T:
            raise ValueError(f"x: expected sounds of one sample or more, got shape {tuple(x.shape)}")
        conditioning = self.conditioning(B, T, global_condition, local_condition)
        # Shifted by one: position t is fed what stands before it.
        h = F.pad(self.embed(x[:, :-1]).transpose(1, 2), (1, 0))  # (B, R, T)
        skip = 0
        for layer, conv in enumerate(self.convs):
            z = conv(h)  # (B, 2R, T)
            if conditioning is not None:
                z = z + self._each_sample(conditioning[:, :, layer], T)
            g = gate(z)  # (B, R, T)
            skip = skip + self.skips[layer](g)
            if layer < len(self.adds):
                h = h + self.adds[layer](g)
        return self.head(skip).transpose(1, 2)

    def log_prob(
        self,
        x: torch.Tensor,
        global_condition: torch.Tensor | None = None,
        local_condition: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """log p(x) = Σ_t log p(x_t | x_<t), exactly: x (B, T) long -> (B,) nats; conditions as in `forward`."""
        return categorical_log_prob(self(x, global_condition, local_condition), x)

    def conditioning(
        self,
        B: int,
        T: int | None = None,
        global_condition: torch.Tensor | None = None,
        local_condition: torch.Tensor | None = None,
    ) -> torch.Tensor | None:
        """What the conditions add before each gate: (B, frames, layers, 2R), one frame if there is no local one.

        None where the config has no channels for them. With T samples, as many frames are expected; None takes any.
        Raises as `forward` does. Source: van den Oord et al. (2016), section 2.5.
        """
        c, added = self.config, None
        frames = "frames" if T is None else -(-T // c.frame)
        for name, given, shape in (
            ("global_condition", global_condition, (c.global_channels,)),
            ("local_condition", local_condition, (frames, c.local_channels)),
        ):
            if (given is None) != (shape[-1] == 0):
                has = f"{shape[-1]} such channels" if shape[-1] else "none such"
                raise ValueError(f"{name}: this model was built with {has}, got {'none' if given is None else 'some'}")
            if given is not None:
                expect_floats(name, given, (B, *shape))
        if local_condition is not None:
            added = self.from_local(local_condition.to(self.from_local.weight).transpose(1, 2)).transpose(1, 2)
        if global_condition is not None:
            whole = self.from_global(global_condition.to(self.from_global.weight))[:, None]
            added = whole if added is None else added + whole
        return added if added is None else added.unflatten(2, (c.layers, 2 * c.features))

    def _each_sample(self, frames, T):
        """(B, frames, 2R) -> (B, 2R, T), or (B, 2R, 1) where there is one frame for all."""
        frames = frames.transpose(1, 2)
        return frames if frames.shape[2] == 1 else frames.repeat_interleave(self.config.frame, 2)[:, :, :T]

    def begin(
        self,
        n: int,
        *,
        global_condition: torch.Tensor | None = None,
        local_condition: torch.Tensor | None = None,
    ) -> State:
        """The state before the first sample of `n` sounds: `fast.queues` has it. Conditions as in `forward`."""
        return queues.begin(self, n, self.conditioning(n, None, global_condition, local_condition))

    def step(self, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One sample on: `previous` (n,) long, None before the first, and the state -> logits (n, V), new state."""
        return queues.step(self, previous, state)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        length: int,
        generator: torch.Generator,
        given: torch.Tensor | None = None,
        global_condition: torch.Tensor | None = None,
        local_condition: torch.Tensor | None = None,
        temperature: float = 1.0,
        progress: bool = True,
    ) -> torch.Tensor:
        """`n` sounds (n, length) long; those of `given` (T,) or (n, T), T < length, begin so and are completed.

        The layers' pasts are carried in queues, so a sample costs one pass, however far the model sees. Where numba is
        installed the loop is compiled (the first call waits some seconds for it, or, later, for the stored code) and
        runs on the CPU, wherever the model is; else PyTorch does the same, slower, which is said once. A sound depends
        on `generator` through one uniform number a sample, in both ways the same, and on no other sound of its batch.
        `temperature` is `decode.draw`'s.
        Raises TypeError and ValueError as `forward` and `decode.write` do.
        """
        expect_generator(generator)
        x, known = begun(n, length, self.config.levels, given, device=self.embed.weight.device)
        added = self.conditioning(n, length, global_condition, local_condition)
        for name, w in (*self.named_parameters(), *([] if added is None else [("what the conditions add", added)])):
            if not w.isfinite().all():  # the compiled loop would make some sound of it
                raise ValueError(f"{name}: expected finite numbers, got nan or inf: did training go wrong (lower lr)?")
        first, bar = int(known[0].sum()), "sampling" if progress else None
        u = torch.rand(length - first, n, generator=generator, dtype=torch.float64, device=generator.device)
        if queues.compiled_loop() is None:

            def choose(logits, t):
                return invert_cdf(apply_temperature(logits, temperature), u[t - first].to(logits.device))

            return finish(self, self.step(None, queues.begin(self, n, added)), x, known, choose, bar)
        with progress_bar(length, bar) as bar:
            for done in queues.fill(self, x, first, u, added, temperature):
                bar.update(done)
        return x


@torch.no_grad()
def _smooth_start(weight):
    """Redraw weight (V, …): neighbouring levels begin alike, as they sound, each column a smooth random curve."""
    V, wide = weight.shape
    waves = torch.arange(min(V, SMOOTH))
    curves = torch.cos(math.pi * waves * (torch.arange(V)[:, None] + 0.5) / V)  # (V, waves), of rising frequency
    new = curves @ (torch.randn(len(waves), wide) / (1 + waves)[:, None])
    weight.copy_(new * weight.std() / new.std())
