"""What a run goes back to: copies of everything that its next step depends on."""

import torch
from lightning_fabric import Fabric

from ..checkpoint import History
from .chance import Chance
from .players import Player, all_finite


class NotFinite(ArithmeticError):
    """Loss or gradient is NaN or infinite; the models are back at their last good state, which `history` describes."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


class Keeper:
    """Takes copies of players, optimisers and chance: `resume`, for a history, and the last good state as a whole."""

    def __init__(self, players: dict[str, Player], chance: Chance, fabric: Fabric, *, named: bool):
        self._players, self._chance, self._named = players, chance, named
        self._precision = fabric.strategy.precision

    def keep(self, step: int) -> dict | None:
        """The state after `step` is the one to fall back on, and its `resume`; None where a weight is no number."""
        if not all_finite([w.detach() for player in self._players.values() for w in player.weights]):
            return None
        models = {name: copied(player.model.state_dict()) for name, player in self._players.items()}
        self._good = step, models, self.resume()
        return self._good[-1]

    def fall_back(self) -> tuple[int, dict]:
        """Everything is again what it was when it was last kept: after which step, and its `resume`."""
        step, models, resume = self._good
        for name, player in self._players.items():
            player.model.load_state_dict(models[name])
        self.restore(resume)
        return step, resume

    def resume(self, *, alone: bool = False) -> dict:
        """All but the weights. All processes must ask together, unless this one is `alone`, on its way out."""
        optimizers = {name: player.optimizer.state_dict() for name, player in self._players.items()}
        resume = {
            "optimizer": optimizers if self._named else optimizers["model"],
            "shapes": {name: [list(w.shape) for w in player.weights] for name, player in self._players.items()},
            "precision": self._precision.state_dict(),
        }
        return copied(resume | self._chance.state(alone=alone))

    def restore(self, resume: dict) -> None:
        """Go on where `resume` was taken. Raises ValueError where it was taken of other models."""
        optimizers = resume["optimizer"] if self._named else {"model": resume["optimizer"]}
        for name, player in self._players.items():
            held, shapes = resume.get("shapes", {}).get(name), [list(w.shape) for w in player.weights]
            if held not in (None, shapes):
                raise ValueError(f"its weights have the shapes {held}, and here they are {shapes}")
            player.optimizer.load_state_dict(copied(optimizers[name]))
        self._chance.restore(resume)
        self._precision.load_state_dict(resume.get("precision", {}))


def copied(tree):
    """A nest of dicts and lists with every tensor in it copied."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list) else tree
