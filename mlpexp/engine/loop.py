"""The loop: step, evaluate, record, decide to stop. A single run is a stack of one.

K members, B samples of a batch, F features, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.components.optimizer_step import skip_dynamo_import
from mlpexp.config.metric import KINDS, picking
from mlpexp.config.schema import Config
from mlpexp.data.batch import Batch
from mlpexp.data.dataset import Data
from mlpexp.engine.batches import Batches
from mlpexp.engine.closure import Looks
from mlpexp.engine.cuda_graphs import Replay, cuda_graph_safe
from mlpexp.engine.diagnostics import GradientNorms, UnitDiagnostics
from mlpexp.engine.group import Group, groups
from mlpexp.engine.member import Member, build_module, copied
from mlpexp.engine.metrics import Answers, metrics
from mlpexp.engine.objective import Evaluation, Objective, evaluate, train_shares
from mlpexp.engine.regularization import Regularization
from mlpexp.engine.rows import Rows, spread
from mlpexp.engine.stack import ModuleStack, Stack
from mlpexp.engine.stack_key import stack_key
from mlpexp.engine.stopwatch import Stopwatch
from mlpexp.fields.convert import convert
from mlpexp.fields.ranges import Index

# A row of a member's history: tags as in TensorBoard and metrics.csv, and their values for one epoch.
Row = dict[str, float]


class Engine:
    """Trains K members that share an architecture, a form of the data, a batch size and a number of epochs.

    Nothing inside an epoch waits for the device: losses and counts add up on it and are read once, at its end.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        data: Data | Sequence[Data],
        device: torch.device,
        modules: Sequence[nn.Module] | None = None,
    ) -> None:
        """`data` are those of all members, or of each.

        `modules` are the members' networks; without them each is built and initialised from its config.
        """
        first = configs[0]
        data = [data] * len(configs) if isinstance(data, Data) else data
        for config, own in zip(configs, data, strict=True):
            assert stack_key(config) == stack_key(first), "these configs cannot share a stack"
            assert own.form == data[0].form, "these data cannot share a stack"
        self.task = data[0].task
        self.device = device
        self.loss = first.loss.resolve(self.task)
        if not first.compile:
            skip_dynamo_import()
        self.best_by = picking(first.metric, self.task)
        # Loss and score are measured in any case.
        self._own_metric = self.best_by not in ("loss", self.task.score)
        self.total_epochs = first.epochs
        self.epoch = 0
        self.stopwatch = Stopwatch()
        if modules is None:
            modules = [build_module(config, own, self.loss) for config, own in zip(configs, data, strict=True)]
        copies: dict[int, Tensor] = {}
        moved = {id(own): own.to(device, copies) for own in {id(own): own for own in data}.values()}
        classes = self.task.kind == "classification"
        self._shares = {id(own): train_shares(own) if classes else [] for own in moved.values()}
        self._assemble(
            [Member(config, moved[id(own)], device) for config, own in zip(configs, data, strict=True)], modules
        )

    def _assemble(self, members: list[Member], modules: Sequence[nn.Module]) -> None:
        """Makes a stack of members and their networks, with optimizers that have not made a step."""
        configs = [member.config for member in members]
        first = configs[0]
        self.members = members
        data = [member.data for member in members]
        train = Rows.of(data, "train")
        self._val = Rows.of(data, "val")
        self.batches = Batches.of(first, train, modules[0])
        self._units = UnitDiagnostics(configs, train)
        # R² compares with the spread of the training values: an epoch may leave a row out, and mixup
        # draws them together around the same mean.
        self._mean = train.mean if self.task.kind == "regression" else None
        self._varies = train.varies
        self.stack: Stack = _stack(modules, configs).to(self.device)
        if first.compile:
            self.stack.compile()
        self.objective = Objective(
            self.task,
            self.loss,
            tuple(config.smoothing for config in configs),
            tuple(
                member.config.loss.resolve(self.task).class_weights(self._shares[id(member.data)], self.task)
                for member in members
            ),
        )
        self._recorded = cuda_graph_safe(configs, self.device)
        self.groups: list[Group] = groups(self.stack, configs, len(self.batches.sizes), self._recorded)
        self.gradient_norms = GradientNorms(self.stack)
        self._regularization = Regularization(configs)
        self._parameters = list(self.stack.parameters())
        self._clip = [config.clip.norm for config in configs], [config.clip.value for config in configs]
        # Of the epoch so far, [K] each.
        self._loss = torch.zeros(len(self.stack), device=self.device)
        self._hits = torch.zeros(len(self.stack), device=self.device)
        self._spread = torch.zeros(len(self.stack), device=self.device)
        self._seen = torch.zeros(len(self.stack), device=self.device)
        self._replay = Replay(self.device) if self._recorded else None

    @property
    def n_parameters(self) -> int:
        """How many trainable parameters one member has."""
        return sum(p.numel() for p in self._parameters if p.requires_grad) // len(self.stack)

    def epochs(self) -> Iterator[list[Row]]:
        """Trains epoch after epoch, and gives a row of history for each of `members` after each.

        It ends after the last epoch, or when every member has stopped early or failed. One that has ended is among
        `members` until the next epoch begins.
        """
        self.stopwatch.start()
        while self.epoch < self.total_epochs and any(member.active for member in self.members):
            self._leave_out_ended()
            self.epoch += 1
            train = self._train_epoch()
            self.stopwatch.lap("training")
            val = evaluate(self.stack, self._val, self.objective, keep=self._own_metric)
            self.stopwatch.lap("validation")
            units = self._units.measure(self.stack, self.epoch)
            self.stopwatch.lap("diagnostics")
            rows = self._read(train, val, units)
            better = [
                k
                for k, (member, row) in enumerate(zip(self.members, rows, strict=True))
                if member.observe(self.epoch, row["loss/train"], row["loss/val"], self._score(row))
            ]
            self.stack.keep(better)
            for group in self.groups:
                group.after_epoch(self.epoch, [row["loss/val"] for row in rows[group.members]])
            # A device that computes on its own is waited for in the reading above: mostly for the training.
            self.stopwatch.lap("training")
            yield rows
            self.stopwatch.lap("writing")

    def has_ended(self, member: Member) -> bool:
        """Whether a member has no further epochs."""
        return not member.active or self.epoch == self.total_epochs

    def _leave_out_ended(self) -> None:
        """Continues with a stack of only those members that still learn."""
        active = [k for k, member in enumerate(self.members) if member.active]
        if len(active) < len(self.members):
            states = [self.state_dict(k) for k in active]
            modules = [self.stack.member(k) for k in active]
            self._assemble([self.members[k] for k in active], modules)
            self.load_state_dicts(states)

    def _train_epoch(self) -> Evaluation:
        """One pass over the training rows; loss and score are those of each batch before its step."""
        sizes = self.batches.sizes
        for sums in (self._loss, self._hits, self._spread, self._seen):
            sums.zero_()
        stride = math.ceil(len(sizes) / GradientNorms.STEPS)
        with self.training_batches() as batches:
            for index, batch in enumerate(batches):
                for group in self.groups:
                    group.apply_lr((self.epoch - 1) * len(sizes) + index)
                self._advance(batch, index % stride == 0)
        # Of weights the mean over all training rows is 1; an epoch may leave a row out.
        n = sum(sizes) if self.batches.rows.weight is None else self._seen
        score = self._hits / n if self._mean is None else self.objective.r2(self._hits, self._spread, self._varies)
        return Evaluation(self._loss / n, score)

    def _advance(self, batch: Batch, measure: bool) -> None:
        """Makes a step of the epoch, or replays it."""
        if self._replay is None:
            self._make_step(batch, measure)
        else:
            self._replay.step(self._make_step, batch, measure)

    def _make_step(self, batch: Batch, measure: bool) -> None:
        """A step, and its losses and score_sums to those of the epoch."""
        losses, outputs = self.step(batch, measure)
        self._loss.add_(losses, alpha=batch.x.shape[1])
        self._hits.add_(self.objective.training_score_sums(outputs, batch))
        if self._mean is not None:
            self._spread.add_(spread(batch.y, self._mean, batch.weight))
        if batch.weight is not None:
            self._seen.add_(batch.weight.sum(1))

    @contextmanager
    def training_batches(self) -> Iterator[Iterator[Batch]]:
        """One pass over the training rows, in a context in which each member draws noise from its own source."""
        self.stack.train()
        orders = [member.order for member in self.members]
        with self.stack.drawing_from([member.noise for member in self.members]) as generators:
            yield map(self._regularization.augment, self.batches.epoch(orders, generators))

    def step(self, batch: Batch, measure: bool = False) -> tuple[Tensor, Tensor]:
        """One step of every member at the rate that its optimizer has; losses [K], outputs [K, B, C] from before it.

        `batch` is one of `training_batches`; with `measure` the norms of its gradients are noted.
        """
        if self.groups[0].full_batch:
            noise = [member.noise for member in self.members]
            looks = Looks(self.stack, noise, lambda first: self._backward(batch, measure and first))
            for group in self.groups:
                group.step(looks)
            losses, outputs, _ = looks.end()
        else:
            losses, outputs, _ = self._backward(batch, measure)
            for group in self.groups:
                group.step()
        self._regularization.constrain(self.stack)
        return losses, outputs

    def _backward(self, batch: Batch, measure: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of every member; its losses [K], outputs [K, B, C] and what was minimised, detached."""
        for parameter in self._parameters:
            parameter.grad = None
        outputs = self.stack(batch.x)
        losses = self.objective.losses(outputs, batch)
        total = losses.sum() + self._regularization.penalty(self.stack)
        # The members share nothing: the gradient of the sum is, for each, that of its own loss.
        total.backward()
        if measure:
            self.gradient_norms.measure()
        self.stack.clip(*self._clip)
        self.stack.share_gradients_with_views()
        return losses.detach(), outputs.detach(), total.detach()

    def _read(self, train: Evaluation, val: Evaluation, units: dict[str, Tensor]) -> list[Row]:
        """Reads an epoch's numbers from the device, all at once."""
        score = self.task.score
        tags = ["loss/train", "loss/val", f"{score}/train", f"{score}/val", "grad_norm"]
        tags += [f"grad_norm/{name}" for name in self.gradient_norms.layer_names]
        tags += units
        norms = self.gradient_norms.read()
        columns = [train.loss, val.loss, train.score, val.score, *norms.T, *units.values()]
        rates = [lr for group in self.groups for lr in group.lrs]
        return [
            {"epoch": self.epoch, "lr": lr, **_measured(tags, values, units), **own}
            for lr, values, own in zip(rates, torch.stack(columns, 1).tolist(), self._picking(val), strict=True)
        ]

    def _picking(self, val: Evaluation) -> list[Row]:
        """Of each member the metric that picks the best epoch, where no other column has it."""
        if val.outputs is None:
            return [{} for _ in self.members]
        found: list[Row] = []
        for members, data, split in self._val.members(len(self.members)):
            answers = Answers.of(val.outputs[members], self.task, self.loss, data.preprocessing.values)
            values = metrics(answers, split.y, [self.best_by], split.weight)[self.best_by].tolist()
            found += [{f"{self.best_by}/val": value} for value in values]
        return found

    def _score(self, row: Row) -> float:
        """What the best epoch has most of; see `Best`."""
        if self.best_by == "loss":
            return 0.0
        value = row[f"{self.best_by}/val"]
        if math.isnan(value):
            return -math.inf
        return value if KINDS[self.best_by].higher_is_better else -value

    def best_network(self, k: int) -> nn.Module:
        """Member `k` as a plain network with the weights of its best epoch; without one, with those that it has."""
        module = self.stack.member(k)
        if self.members[k].best.epoch:
            module.load_state_dict(self.stack.best_weights(k))
        return module

    def stack_of(self, networks: Mapping[int, nn.Module]) -> Stack:
        """Plain networks of some members as a stack, to be evaluated."""
        return _stack(list(networks.values()), [self.members[k].config for k in networks])

    def best(self, k: int) -> dict[str, Any]:
        """The best epoch of member `k`: its number, validation loss and score, and weights; plain data."""
        best = self.members[k].best
        return {**vars(best), "weights": copied(self.stack.best_weights(k)) if best.epoch else {}}

    def state_dict(self, k: int) -> dict[str, Any]:
        """All that member `k` needs to go on exactly from here; loadable with weights_only=True."""
        (group,) = [group for group in self.groups if group.members.start <= k < group.members.stop]
        state = {"epoch": self.epoch, "module": self.stack.state(k), **group.state_dict(k)}
        return {**copied(state), "member": {**self.members[k].state_dict(), "best": self.best(k)}}

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Puts the members where they were when their `states` were taken, all after the same epoch."""
        # Copies: optimizers go on counting in what they are given.
        states = copied(list(states))
        (epoch,) = {state["epoch"] for state in states}
        self.epoch = convert(epoch, Index, "epoch")
        for k, (member, state) in enumerate(zip(self.members, states, strict=True)):
            self.stack.load_state(k, state["module"])
            member.load_state_dict(state["member"])
            if member.best.epoch:
                self.stack.load_kept(k, state["member"]["best"]["weights"])
        for group in self.groups:
            group.load_state_dicts(states[group.members])
        # Moments and generators are other ones now.
        self._replay = Replay(self.device) if self._recorded else None


def _measured(tags: Sequence[str], values: Sequence[float], units: Collection[str]) -> Row:
    """The values by their tags; of `units` without those that the member does not have, which are nan."""
    return {tag: value for tag, value in zip(tags, values, strict=True) if tag not in units or value == value}


def _stack(modules: Sequence[nn.Module], configs: Sequence[Config]) -> Stack:
    bf16 = configs[0].precision == "bf16"
    if len(modules) == 1:
        return ModuleStack(modules[0], bf16)
    # A single run need not wait for it to be imported.
    from mlpexp.engine.batched_stack import BatchedStack

    return BatchedStack(modules, bf16, [config.activation for config in configs])
