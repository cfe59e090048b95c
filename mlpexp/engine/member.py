"""A member: one run within a stack, with everything of its own but the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlpexp.components.loss import Loss
from mlpexp.components.regularizer import EarlyStopping
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.data.identity import Identity
from mlpexp.engine.member_rng import MemberRng
from mlpexp.fields.convert import build, convert, fields_of
from mlpexp.fields.ranges import Index


def derive_seeds(seed: int) -> dict[str, int]:
    """Independent seeds for what `seed` decides: initial weights, batch order, and noise (dropout, mixup)."""
    init, order, noise = np.random.SeedSequence(seed).generate_state(3, np.uint64)
    # torch's generators take signed 64 bits.
    return {"init": int(init >> 1), "order": int(order >> 1), "noise": int(noise >> 1)}


def build_module(config: Config, data: Data | Identity, loss: Loss) -> nn.Module:
    """The member's plain network on the CPU, initialised under its seed; the caller's random state is untouched."""
    seed = derive_seeds(config.seed)["init"]
    with torch.random.fork_rng(devices=[]):
        # For code that draws from the global generator: parameters of other layers, inits such as `weight.normal_()`.
        # Not by torch.manual_seed, which seeds every GPU too, and these are not restored.
        torch.default_generator.manual_seed(seed)
        module = config.model.build(data.n_features, loss.n_outputs(data.task), config.activation, config.regularizer)
        generator = torch.Generator().manual_seed(seed)
        gain = config.activation.gain()
        # As in torch.nn.init: weights are changed in place.
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, nn.Linear):
                    config.init.fill(layer, gain, generator)
    return module


@dataclass
class Best:
    """The best epoch so far.

    That is the epoch with the best validation metric that the config names, and among equals the one with the least
    validation loss. Where it names none: accuracy for classification, for regression the loss. (A loss alone stops too
    early: it rises with overconfidence while accuracy still grows.)

    `score` is the value of the metric, negative where less is better; 0 where the loss picks.
    """

    epoch: Index = 0
    loss: float = math.inf
    score: float = -math.inf


class Member:
    """Its data, sources of batch order and noise, best epoch, early stopping, and why the member ended."""

    def __init__(self, config: Config, data: Data, device: torch.device) -> None:
        """`data` are on the device."""
        self.config, self.data = config, data
        seeds = derive_seeds(config.seed)
        self.order = torch.Generator().manual_seed(seeds["order"])
        self.noise = MemberRng(seeds["noise"], device)
        self.best = Best()
        self.failure: str | None = None
        self.diverged = False  # whether the failure is a loss that was not finite
        self.stopped_early = False
        stops = [part for part in config.regularizer if isinstance(part, EarlyStopping)]
        self._stopping = stops[0] if stops else None
        self._least = math.inf
        self._waited = 0

    @property
    def active(self) -> bool:
        """Whether the member still learns: it has neither failed nor stopped early."""
        return self.failure is None and not self.stopped_early

    def observe(self, epoch: int, train_loss: float, val_loss: float, score: float = 0.0) -> bool:
        """Records an epoch; returns whether it is the best so far; `score` is that of `Best`."""
        for name, value in (("training", train_loss), ("validation", val_loss)):
            if not math.isfinite(value):
                self.diverged = True
                self.failure = f"diverged: the {name} loss was {value} at the end of epoch {epoch}"
                return False
        better = (score, -val_loss) > (self.best.score, -self.best.loss)
        if better:
            self.best = Best(epoch, val_loss, score)
        self._decide_to_stop(val_loss)
        return better

    def _decide_to_stop(self, val_loss: float) -> None:
        if self._stopping is None:
            return
        if val_loss < self._least - self._stopping.min_delta:
            self._least, self._waited = val_loss, 0
        else:
            self._waited += 1
            self.stopped_early = self._waited >= self._stopping.patience

    def state_dict(self) -> dict[str, Any]:
        return {
            "order": self.order.get_state(),
            "noise": self.noise.state_dict(),
            "best": dict(vars(self.best)),
            "least": self._least,
            "waited": self._waited,
            "stopped_early": self.stopped_early,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order.set_state(state["order"])
        self.noise.load_state_dict(state["noise"])
        self.best = build(Best, {name: state["best"][name] for name in fields_of(Best)}, "best")
        self._least = convert(state["least"], float, "least")
        self._waited = convert(state["waited"], Index, "waited")
        self.stopped_early = convert(state["stopped_early"], bool, "stopped_early")


def copied(value: Any) -> Any:
    """A state whose tensors are copies: with slices, a file would hold the whole stack.

    Contiguous, since fused optimizers require that; slices of a stack may not be.
    """
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {key: copied(entry) for key, entry in value.items()}
    return [copied(entry) for entry in value] if isinstance(value, list) else value
