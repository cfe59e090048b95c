"""What a range test leaves on disk: the curve as CSV and as a figure, the rates as JSON, and the config."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from mlpexp.config.schema import GROUPS
from mlpexp.figures.formats import Format
from mlpexp.figures.lr_curve import lr_curve
from mlpexp.figures.style import drawn
from mlpexp.lr_finder.find import Finding
from mlpexp.run.files import write_bytes, write_text


def write_report(finding: Finding, directory: Path, command: Sequence[str], format: Format = "png") -> list[Path]:
    """Writes lr_find.csv, lr_find.json, config.yaml and, where there is a curve, lr_find.png; gives their paths."""
    texts = {
        "lr_find.csv": csv_text(finding),
        "lr_find.json": json.dumps(_summary(finding, command), indent=2, ensure_ascii=False) + "\n",
        "config.yaml": OmegaConf.to_yaml(OmegaConf.create(finding.config.to_dict())),
    }
    for name, text in texts.items():
        write_text(directory / name, text)
    content = figure_file(finding, format)
    name = f"lr_find.{format}"
    if content is not None:
        write_bytes(directory / name, content)
    return [directory / name for name in (*texts, *[name] * (content is not None))]


def csv_text(finding: Finding) -> str:
    """A header and a row a step: `step`, `lr`, `loss` (the mean), `loss/smoothed`, and `loss/seed=N` of each seed.

    Losses are those of the step's batch before the step; cells are empty once a seed has left.
    """
    curve = finding.curve
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", "lr", "loss", "loss/smoothed", *(f"loss/seed={seed}" for seed in finding.seeds)])
    for step, lr in enumerate(curve.rates.tolist()):
        own = ["" if loss != loss else loss for loss in curve.losses[step].tolist()]
        writer.writerow([step + 1, lr, float(curve.mean[step]), float(curve.smoothed[step]), *own])
    return file.getvalue()


def figure_file(finding: Finding, format: Format) -> bytes | None:
    """The curve with the suggestions, as a file; None where the first loss was not finite."""
    curve, config = finding.curve, finding.config
    if not len(curve.rates):
        return None
    names = [GROUPS[group].name_of(getattr(config, group)) for group in ("dataset", "model", "optimizer")]
    n = len(finding.seeds)
    figure = lr_curve(
        curve.rates,
        curve.losses,
        curve.mean,
        curve.smoothed,
        beta=curve.beta,
        suggestions={found.rule.name: found.lr for found in finding.suggestions if found.lr is not None},
        configured=config.optimizer.lr,
        title=f"{', '.join(names)}: {n} seed{'' if n == 1 else 's'}",
    )
    return drawn(figure, format)


def _summary(finding: Finding, command: Sequence[str]) -> dict[str, object]:
    return {
        "command": list(command),
        "lr": finding.lr,
        "suggestions": {found.rule.name: found.lr for found in finding.suggestions},
        "beta": finding.curve.beta,
        "seeds": finding.seeds,
        "device": finding.device,
        "remarks": finding.remarks,
    }
