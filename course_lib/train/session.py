"""The middle of every training loop: what a long run needs around its steps, for one model or for several players."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..checkpoint import History, Models, expect_can_save, load, save
from ..expect import expect_count, expect_generator, expect_losses, expect_one_of
from .batches import Data, as_tensors, draw_from, size_of
from .chance import Chance
from .keeper import Keeper, NotFinite
from .players import Player, launch
from .stop_button import stop_button

KEEP_EVERY = 50  # steps between two copies of the state that a failing run falls back on
SAVE_EVERY = 10.0  # seconds between two checkpoints of a run that has `checkpoint=`


class Session:
    """One or more players, each a model with its optimiser, on their way through `steps` batches.

        session = Session(model, lr=1e-3, steps=1000, generator=generator)
        for x in session.batches(x_train, 32):
            session.minimise(-session.model.log_prob(x))  # (B,) nats

    With several, `Session({"generator": g, "discriminator": d}, …)`, a loss calls `session.models["generator"]` and
    says whom it moves: `session.minimise(loss, "generator")`. `lr` may then be {name: lr}; each gets its optimiser by
    `optimizer(weights, lr=lr)`. `session.step` counts from 1, and `session.history` grows.

    All that `fit` says of devices, Ctrl-C, `history` and `checkpoint` holds here. A run goes on as if it had never
    stopped when what the loop draws hangs on `generator`, and what it remembers (a chain) is a buffer of a model.
    Torch's global source, which dropout draws from, hangs on it too, and is given back as it was.
    """

    def __init__(
        self,
        model: Models,
        *,
        lr: float | dict[str, float],
        steps: int,
        generator: torch.Generator,
        optimizer: Callable = torch.optim.Adam,
        schedule: str = "constant",
        precision: str | None = None,
        history: History | None = None,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ):
        expect_count("steps", steps)
        expect_generator(generator)
        expect_one_of("schedule", schedule, ("constant", "cosine"))
        models = model if isinstance(model, dict) else {"model": model}
        rates = lr if isinstance(lr, dict) else dict.fromkeys(models, lr)
        if rates.keys() != models.keys():
            raise ValueError(f"lr: expected one for each of {', '.join(models)}, got them for {', '.join(rates)}")
        if checkpoint is not None:
            expect_can_save(checkpoint, model)
            history = load(checkpoint, model) if Path(checkpoint).exists() else history
        self._trained, self._checkpoint, self._cosine = model, checkpoint, schedule == "cosine"
        self.steps, self.generator, self.history = steps, generator, history or History()
        self._fabric = launch(precision)
        self._players = {
            name: Player(one, optimizer, rates[name], self._fabric, precision) for name, one in models.items()
        }
        self.models = {name: player.called for name, player in self._players.items()}
        self._stop, self._quiet = threading.Event(), not (progress and self._fabric.is_global_zero)
        self._names = list(models) if isinstance(model, dict) else []  # that losses and optimisers go by
        self._chance = Chance(generator, self._fabric)
        self._keeper = Keeper(self._players, self._chance, self._fabric, named=bool(self._names))
        self._nats: dict[str, list[float]] = {}  # of the step that is being made,
        self._size: int | None = None  # and how long its batch is
        self._go_on()

    @property
    def model(self) -> torch.nn.Module:
        """What a loss calls, where one player plays alone."""
        (model,) = self.models.values()
        return model

    def batches(self, data: Data | Callable | Iterable, batch_size: int | None = None) -> Iterator:
        """A batch for each step that is left: when the loop's body is through with it, the step is made.

        `data` is x (N, …) or a tuple (x, y, …) of equal N, from which `batch_size` are drawn with replacement; or a
        function without arguments that is called at each step, or an iterable, whose values are the batches.
        To end early call `stop`; `break` writes no checkpoint.
        """
        own = isinstance(data, torch.Tensor | tuple)
        draw = draw_from(self._fabric.to_device(data) if own else data, batch_size, self.generator)
        first, earlier = len(self.history.loss), self.history.seconds
        bar = tqdm(total=self.steps, initial=first, desc="training", unit="step", delay=1, disable=self._quiet)
        started = saved = time.monotonic()
        ended = False
        if self._keeper.keep(first) is None:
            raise ValueError(
                f"model: expected weights that are numbers, got infinite or NaN ones before step {first + 1}; a new "
                "model has good ones, or a checkpoint from before they went wrong"
            )
        self._stop.clear()
        with stop_button(self._stop), bar, self._chance.lent():
            self._mode(training=True)
            try:
                for step in range(first + 1, self.steps + 1):
                    self._chance.at(step)
                    self.step = step
                    self._set_lr()
                    try:
                        batch = draw() if own else self._fabric.to_device(draw())
                    except StopIteration:
                        self.step = step - 1
                        break
                    self._size = size_of(batch)
                    with self._fabric.autocast():  # all of the loss: Fabric does it for `forward` alone
                        yield batch
                    self._count()
                    bar.update()
                    if step % KEEP_EVERY == 0:
                        bar.set_postfix_str(self.history.latest(), refresh=False)
                        self._keep()
                        if time.monotonic() - saved > SAVE_EVERY:
                            saved = time.monotonic()
                            self.history.seconds = earlier + saved - started
                            self._save()
                    if self._asked_to_stop():
                        break
                ended = True
            finally:  # also after `break` and errors in the body, which may leave a step half made
                self._mode(training=False)
                self.history.seconds = earlier + time.monotonic() - started
                if not ended:
                    self._leave()
            self._keep()
            self._save()
        if self._stop.is_set() and self.step < self.steps and self._fabric.is_global_zero:
            again = "called again with history=history, it goes on from here"
            print(f"stopped after step {self.step} of {self.steps}; {again}")

    def minimise(self, loss: torch.Tensor, player: str | None = None) -> None:
        """One update of a player's weights against the mean of `loss` (B,), nats.

        Raises NotFinite where it or its gradient is no number; TypeError or ValueError where it is not (B,).
        """
        expect_losses("loss", loss, self._size)
        player = player or ("model" if not self._names else None)
        expect_one_of("player", player, self._players)
        value, good = self._players[player].update(loss.mean())
        if not good:
            of = f" of {player!r}" if self._names else ""
            what = f"the loss{of} became {value}"
            raise self._fall_back(
                what if not math.isfinite(value) else f"the gradient of the loss{of} became infinite or NaN"
            )
        self._nats.setdefault(player, []).append(value)

    @torch.no_grad()
    def validate(self, loss: Callable[..., torch.Tensor], data: Data, batch_size: int) -> float:
        """The mean of `loss(*batch)`, (B,) nats, over all of `data`; it enters the history beside the step."""
        data = as_tensors("data", data)
        self._mode(training=False)
        total = 0.0
        for batch in zip(*(t.split(batch_size) for t in data), strict=True):
            nats = loss(*self._fabric.to_device(batch))
            expect_losses("loss", nats, len(batch[0]))
            total += nats.sum().item()
        self._mode(training=True)
        self.history.valid.append((self.step, total / len(data[0])))
        return self.history.valid[-1][1]

    def stop(self) -> None:
        """End after this step, as Ctrl-C does."""
        self._stop.set()

    def _go_on(self):
        """To where `history` stands, if it is one that stopped."""
        if self.history.resume:
            try:
                self._keeper.restore(self.history.resume)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"history: expected one of a run of these models, got {self.history!r} ({error})"
                ) from error
        else:
            self._chance.begin()
        self.history.steps, self.step = self.steps, len(self.history.loss)

    def _asked_to_stop(self):
        """Whether any process was asked to: all stop after the same step, or the others would wait for it for ever."""
        if self._fabric.world_size > 1:
            asked = torch.tensor(float(self._stop.is_set()), device=self._fabric.device)
            if self._fabric.all_reduce(asked, reduce_op="sum") > 0:
                self._stop.set()
        return self._stop.is_set()

    def _mode(self, training):
        for model in self.models.values():
            model.train(training)

    def _set_lr(self):
        factor = 0.5 * (1 + math.cos(math.pi * (self.step - 1) / self.steps)) if self._cosine else 1
        for player in self._players.values():
            player.set_lr(factor)

    def _count(self):
        """The step is made: what its losses were enters the history."""
        if not self._nats:
            raise RuntimeError(f"step {self.step}: expected the loop's body to call session.minimise(loss); it did not")
        means = {name: sum(nats) / len(nats) for name, nats in self._nats.items()}
        self._nats = {}
        self.history.add([means.get(name, math.nan) for name in self._players], self._names)

    def _leave(self):
        """In the middle of a step: it counts if an update was made, or else its draws are taken back."""
        if self._nats:
            self._count()
        elif len(self.history.loss) < self.step:
            self._chance.undo()
        self.history.resume = self._keeper.resume(alone=True)

    def _keep(self):
        """This state is one to come back to; unless a weight is no number, which no loss has shown yet."""
        resume = self._keeper.keep(self.step)
        if resume is None:
            raise self._fall_back("the weights became infinite or NaN")
        self.history.resume = resume

    def _save(self):
        if self._checkpoint is not None and self._fabric.is_global_zero:
            save(self._checkpoint, self._trained, self.history)

    def _fall_back(self, what):
        """The error to raise; models, optimisers, generator and history return to the last good state."""
        back, resume = self._keeper.fall_back()
        history = self.history
        history.cut(back)
        history.resume = resume
        self.step, self._nats, step = back, {}, self.step
        lrs = ", ".join(f"{player.lr:g}" for player in self._players.values())
        return NotFinite(
            f"{what} at step {step}. The model is back at step {back}, its last good state. Try a smaller lr (it was "
            f"{lrs}), and check the data for NaN, and the loss for a root, a logarithm or a division at 0; called "
            "again with history=error.history, it goes on.",
            history,
        )
