"""The loop: step, evaluate, note, decide to stop. A single run is a stack of one.

K members, B samples of a batch, F features, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.components.regularizer import Regularizer
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.engine.batch import Batch, Batches
from mlpexp.engine.dead_units import dead_units
from mlpexp.engine.eager import plain_step, spare_the_compiler
from mlpexp.engine.evaluate import Evaluation, evaluate
from mlpexp.engine.gradients import GradientNorms, clip
from mlpexp.engine.member import Member, build_module, streams
from mlpexp.engine.noise import Noise
from mlpexp.engine.objective import Objective
from mlpexp.engine.schedule import Schedule
from mlpexp.engine.stack import ModuleStack

# A row of a member's history: tags as in TensorBoard and metrics.csv, and their values for one epoch.
Row = dict[str, float]

# Dead units are counted on this many training rows.
_PROBE_ROWS = 512


class Engine:
    """Trains K members that share an architecture, a dataset, a batch size and a number of epochs.

    Nothing inside an epoch waits for the device: losses and counts add up on it and are read once, at its end.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        data: Data,
        device: torch.device,
        modules: Sequence[nn.Module] | None = None,
    ) -> None:
        """`modules` are the members' networks; without them each is built and initialised from its config."""
        first = configs[0]
        for config in configs:
            assert _in_common(config) == _in_common(first), "these configs cannot share a stack"
        self.data = data.to(device)
        self.device = device
        loss = first.loss.resolve(data.task)
        regularizers = list(first.regularizer.values())
        self.objective = Objective(data.task, loss, max((part.smoothing for part in regularizers), default=0.0))
        if modules is None:
            modules = [build_module(config, data, loss) for config in configs]
        self.stack = ModuleStack(modules, bf16=first.precision == "bf16").to(device)
        if first.compile:
            self.stack.compile()
        else:
            spare_the_compiler()
        self.members = [Member(config) for config in configs]
        self.optimizers = [
            config.optimizer.build(self.stack.member(k).parameters()) for k, config in enumerate(configs)
        ]
        self._steps = [plain_step(optimizer) for optimizer in self.optimizers]
        self._parameters = list(self.stack.parameters())
        self.full_batch = first.optimizer.full_batch
        self.batches = Batches(self.data, len(data.train) if self.full_batch else first.batch_size)
        self.total_epochs = first.epochs
        steps = len(self.batches.sizes)
        self.schedules = [Schedule(config.scheduler, config.optimizer.lr, config.epochs, steps) for config in configs]
        seeds = [streams(config.seed)["noise"] for config in configs]
        # One member draws under its own seed, so that a run alone and a stack of one are the same thing.
        self.noise = Noise(seeds[0], device)
        self.gradient_norms = GradientNorms(self.stack)
        self._augments = [part for part in regularizers if _overrides(part, "augment")]
        self._penalties = [
            [part for part in config.regularizer.values() if _overrides(part, "penalty")] for config in configs
        ]
        self._constraints = [
            [part for part in config.regularizer.values() if _overrides(part, "constrain")] for config in configs
        ]
        self._diagnosed = _spread(first.log.diagnostics, self.total_epochs)
        self.epoch = 0

    @property
    def n_parameters(self) -> int:
        """How many trainable parameters one member has."""
        return sum(p.numel() for p in self.stack.member(0).parameters() if p.requires_grad)

    def epochs(self) -> Iterator[list[Row]]:
        """Trains epoch after epoch, and gives each member's row of history after each.

        It ends after the last epoch, or when every member has stopped early or failed.
        """
        while self.epoch < self.total_epochs and any(member.active for member in self.members):
            self.epoch += 1
            with self.noise.in_use():
                train = self._train_epoch()
            val = evaluate(self.stack, self.data, self.data.val, self.objective)
            dead = self._dead_units() if self.epoch in self._diagnosed else {}
            rows = self._read(train, val, dead)
            for k, (member, row) in enumerate(zip(self.members, rows, strict=True)):
                if member.active:
                    losses = row["loss/train"], row["loss/val"]
                    member.observe(self.epoch, *losses, self.stack.member(k), row.get("accuracy/val", 0.0))
                    self.schedules[k].after_epoch(row["loss/val"])
            yield rows

    def _train_epoch(self) -> Evaluation:
        """One pass over the training rows; loss and score are those of each batch before its step."""
        self.stack.train()
        sizes = self.batches.sizes
        loss = torch.zeros(len(self.stack), device=self.device)
        hits = torch.zeros(len(self.stack), device=self.device)
        stride = math.ceil(len(sizes) / GradientNorms.STEPS)
        for index, batch in enumerate(self.batches.epoch([member.order for member in self.members])):
            for part in self._augments:
                batch = part.augment(batch)
            for schedule, optimizer in zip(self.schedules, self.optimizers, strict=True):
                schedule.apply(optimizer)
            losses, outputs = self._step(batch, measure=index % stride == 0)
            self._constrain()
            loss.add_(losses, alpha=sizes[index])
            hits.add_(self.objective.training_hits(outputs, batch))
            for schedule in self.schedules:
                schedule.after_step()
        n = sum(sizes)
        return Evaluation(loss / n, self.objective.score(hits, n, self.data.train.y))

    def _step(self, batch: Batch, measure: bool) -> tuple[Tensor, Tensor]:
        """One step of every optimizer; losses [K] and outputs [K, B, C] from before it."""
        if not self.full_batch:
            losses, outputs, _ = self._backward(batch, measure)
            for step in self._steps:
                step()
            return losses, outputs
        # Quasi-Newton methods look at the loss several times a step; the first look is that before the step.
        looks: list[tuple[Tensor, Tensor, Tensor]] = []

        def closure() -> Tensor:
            looks.append(self._backward(batch, measure))
            return looks[-1][2]

        for step in self._steps:
            step(closure)
        return looks[0][0], looks[0][1]

    def _backward(self, batch: Batch, measure: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of every member; its losses [K], outputs [K, B, C] and what was minimised, detached."""
        for parameter in self._parameters:
            parameter.grad = None
        outputs = self.stack(batch.x)
        losses = self.objective.losses(outputs, batch)
        total = losses.sum()
        for k, penalties in enumerate(self._penalties):
            for part in penalties:
                penalty = part.penalty(self.stack.weights(k))
                assert penalty is not None
                total = total + penalty
        # The members share nothing: the gradient of the sum is, for each, that of its own loss.
        total.backward()
        if measure:
            self.gradient_norms.measure()
        for k, member in enumerate(self.members):
            limits = member.config.clip
            if limits.norm is not None or limits.value is not None:
                clip(list(self.stack.member(k).parameters()), limits.norm, limits.value)
        return losses.detach(), outputs.detach(), total.detach()

    @torch.no_grad()
    def _constrain(self) -> None:
        for k, constraints in enumerate(self._constraints):
            for part in constraints:
                part.constrain(self.stack.weights(k))

    def _dead_units(self) -> dict[str, Tensor]:
        x = self.data.inputs(self.data.train.x[:_PROBE_ROWS])
        return dead_units(self.stack, x.expand(len(self.stack), *x.shape))

    def _read(self, train: Evaluation, val: Evaluation, dead: dict[str, Tensor]) -> list[Row]:
        """The one reading of an epoch's numbers from the device."""
        score = self.data.task.score
        tags = ["loss/train", "loss/val", f"{score}/train", f"{score}/val", "grad_norm"]
        tags += [f"grad_norm/{name}" for name in self.gradient_norms.layer_names]
        tags += [f"dead_units/{name}" for name in dead]
        norms = self.gradient_norms.read()
        columns = [train.loss, val.loss, train.score, val.score, *norms.T, *dead.values()]
        table = torch.stack(columns, 1).tolist()
        return [
            {"epoch": self.epoch, "lr": schedule.applied_lr, **dict(zip(tags, values, strict=True))}
            for schedule, values in zip(self.schedules, table, strict=True)
        ]

    def restore_best(self) -> None:
        """Gives every member the weights of its best epoch; a member without one keeps what it has."""
        for k, member in enumerate(self.members):
            if member.best.epoch:
                self.stack.member(k).load_state_dict(member.best.weights)

    def state_dict(self, k: int) -> dict[str, Any]:
        """All that member `k` needs to go on exactly from here; loadable with weights_only=True."""
        return {
            "epoch": self.epoch,
            "module": self.stack.member(k).state_dict(),
            "optimizer": self.optimizers[k].state_dict(),
            "schedule": self.schedules[k].state_dict(),
            "member": self.members[k].state_dict(),
            "noise": self.noise.state_dict(),
        }

    def load_state_dict(self, k: int, state: dict[str, Any]) -> None:
        """Puts member `k` where it was when `state` was taken."""
        self.epoch = state["epoch"]
        self.stack.member(k).load_state_dict(state["module"])
        self.optimizers[k].load_state_dict(state["optimizer"])
        self.schedules[k].load_state_dict(state["schedule"])
        self.members[k].load_state_dict(state["member"])
        self.noise.load_state_dict(state["noise"])


def _in_common(config: Config) -> tuple[object, ...]:
    """What all members of a stack must agree on."""
    parts = config.regularizer.values()
    smoothing = max((part.smoothing for part in parts), default=0.0)
    augments = [part for part in parts if _overrides(part, "augment")]
    shape = (config.dataset, config.loss, config.epochs, config.batch_size, config.optimizer.full_batch)
    return (*shape, config.precision, config.compile, smoothing, augments)


def _spread(n: int, epochs: int) -> set[int]:
    """About `n` epochs, evenly spread, with the first and the last."""
    if n == 0:
        return set()
    every = math.ceil(epochs / n)
    return {1, epochs, *range(every, epochs + 1, every)}


def _overrides(regularizer: Regularizer, method: str) -> bool:
    return getattr(type(regularizer), method) is not getattr(Regularizer, method)
