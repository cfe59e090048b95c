"""Three training loops on MNIST, side by side in one process: the notebook's, a bare one, and mlpexp's.

    python benchmarks/training_loop.py [--epochs 5] [--notebook-epochs 2] [--device cuda]

The same network (784-256-256-10, batch normalisation, dropout 0.2), Adam, batches of 64, the same 55,000
training and 5,000 validation rows, and the same four numbers an epoch: loss and accuracy of both splits.

- notebook: torchvision's dataset, transforms for each sample in a DataLoader, `.item()` after every batch;
- bare: what a careful person writes by hand: tensors in memory, already float32 and standardised, sums on the
  device. Once with Adam as torch gives it by default, once with its fused form, which is what mlpexp uses;
- mlpexp: the engine, all that it records included (gradient norms by layer, dead units, best weights).

Epochs of the bare loops and of mlpexp alternate, so that a change of the machine's speed meets all alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import nn

from mlpexp.config.compose import compose
from mlpexp.data.dataset import Data
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.engine.loop import Engine
from mlpexp.training.prepare import Prepared, data_dir, prepare

BATCH_SIZE = 64
OVERRIDES = [
    "dataset=mnist",
    "model.hidden=[256,256]",
    "regularizer=[batchnorm,dropout]",
    "regularizer.dropout.p=0.2",
    "optimizer=adam",
    "optimizer.lr=0.001",
    f"batch_size={BATCH_SIZE}",
    "epochs=1000",
]


def network() -> nn.Sequential:
    def block(n_in: int) -> list[nn.Module]:
        return [nn.Linear(n_in, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2)]

    return nn.Sequential(*block(784), *block(256), nn.Linear(256, 10))


def notebook_loop(prepared: Prepared) -> Callable[[], None]:
    """An epoch as the course notebook runs it."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    root = data_dir(prepared.config)
    images = datasets.MNIST(str(root), train=True, download=False, transform=transform)
    n_train, n_val = len(prepared.data.train), len(prepared.data.val)
    train_loader = DataLoader(Subset(images, range(n_train)), batch_size=BATCH_SIZE, shuffle=True)
    val_loader = DataLoader(Subset(images, range(n_train, n_train + n_val)), batch_size=1000)
    device = prepared.device
    net = nn.Sequential(nn.Flatten(), network()).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def one_pass(loader: DataLoader[tuple[torch.Tensor, torch.Tensor]], learn: bool) -> tuple[float, float]:
        net.train(learn)
        loss_sum, right, seen = 0.0, 0, 0
        for inputs, targets in loader:
            x, y = inputs.to(device), targets.to(device)
            if learn:
                optimizer.zero_grad()
            outputs = net(x)
            loss = criterion(outputs, y)
            if learn:
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(x)
            right += (outputs.max(1)[1] == y).sum().item()
            seen += len(x)
        return loss_sum / seen, right / seen

    def epoch() -> None:
        one_pass(train_loader, learn=True)
        with torch.no_grad():
            one_pass(val_loader, learn=False)

    return epoch


def bare_loop(data: Data, fused: bool | None) -> Callable[[], None]:
    """An epoch by hand, on tensors in memory."""
    x, y = data.inputs(data.train.x), data.train.y
    x_val, y_val = data.inputs(data.val.x), data.val.y
    net = network().to(x.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=fused)

    def epoch() -> None:
        net.train()
        loss_sum = torch.zeros((), device=x.device)
        right = torch.zeros((), dtype=torch.long, device=x.device)
        for rows in torch.randperm(len(x), device=x.device).split(BATCH_SIZE):
            targets = y[rows]
            optimizer.zero_grad()
            outputs = net(x[rows])
            loss = F.cross_entropy(outputs, targets)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(rows)
            right += (outputs.argmax(1) == targets).sum()
        net.eval()
        with torch.no_grad():
            outputs = net(x_val)
            numbers = [loss_sum / len(x), right / len(x), F.cross_entropy(outputs, y_val)]
            numbers.append((outputs.argmax(1) == y_val).float().mean())
        torch.stack(numbers).tolist()

    return epoch


def engine_loop(prepared: Prepared) -> Callable[[], None]:
    """An epoch of mlpexp's engine."""
    epochs: Iterator[object] = Engine([prepared.config], prepared.data, prepared.device).epochs()

    def epoch() -> None:
        next(epochs)

    return epoch


def seconds(epoch: Callable[[], None]) -> float:
    began = time.perf_counter()
    epoch()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--epochs", type=int, default=7, help="epochs of each fast loop that are timed")
    parser.add_argument("--notebook-epochs", type=int, default=3, help="epochs of the notebook's loop")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where all loops compute")
    args = parser.parse_args()
    keep_freed_memory()  # as the command line does
    prepared = prepare(compose([*OVERRIDES, f"device={args.device}"]))
    data = prepared.data.to(prepared.device)
    fast = {
        "bare, Adam": bare_loop(data, fused=None),
        "bare, fused Adam": bare_loop(data, fused=True),
        "mlpexp": engine_loop(prepared),
    }
    slow = {"notebook": notebook_loop(prepared)}
    times: dict[str, list[float]] = {name: [] for name in (*slow, *fast)}
    for epoch in fast.values():
        epoch()  # the first epoch warms up allocators and caches
    for index in range(max(args.epochs, args.notebook_epochs)):
        turn = {**(slow if index < args.notebook_epochs else {}), **(fast if index < args.epochs else {})}
        for name, epoch in turn.items():
            times[name].append(seconds(epoch))
    where = f"{torch.get_num_threads()} threads" if args.device == "cpu" else torch.cuda.get_device_name()
    report(times, where)


def report(times: dict[str, list[float]], where: str) -> None:
    """Medians, and the medians of the ratios between epochs that ran in the same turn."""
    table = Table(title=f"MNIST, one epoch, {where}, torch {torch.__version__}")
    table.add_column("loop")
    for column in ("seconds (median)", "÷ mlpexp", "runs"):
        table.add_column(column, justify="right")
    for name, measured in times.items():
        ratios = [one / other for one, other in zip(measured, times["mlpexp"], strict=False)]
        table.add_row(
            name, f"{statistics.median(measured):.2f}", f"{statistics.median(ratios):.2f}", str(len(measured))
        )
    Console().print(table)
    against = {
        name: statistics.median(m / b for m, b in zip(times["mlpexp"], times[name], strict=True))
        for name in ("bare, Adam", "bare, fused Adam")
    }
    for name, ratio in against.items():
        print(f"mlpexp ÷ {name}: {ratio:.3f}")


if __name__ == "__main__":
    main()
