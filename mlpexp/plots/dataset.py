"""A data set: some of its samples, and how many it holds.

N samples, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.config.compose import Composer
from mlpexp.config.overrides import parse_override
from mlpexp.data.dataset import Data
from mlpexp.data.pixels import images_of
from mlpexp.errors import ConfigError
from mlpexp.figures.boundary import merged
from mlpexp.figures.features import features
from mlpexp.figures.points import class_points
from mlpexp.figures.regression import fitted_curve, line
from mlpexp.figures.samples import PER_CLASS, image_samples
from mlpexp.run.pictures import points, true_function
from mlpexp.sweep.jobs import check_jobs
from mlpexp.training.prepare import Preparations

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(overrides: Sequence[str], config_dir: str | None) -> tuple[Figure, list[str]]:
    """The figure of the data set that `overrides` choose, and what there is to know of it."""
    parsed = {text: parse_override(text) for text in overrides}
    for text, override in parsed.items():
        if override.is_sweep_override():
            raise ConfigError(f"{text}: plot dataset draws one data set; give one value.")
    about_hydra = [text for text, override in parsed.items() if override.is_hydra_override()]
    ours = [text for text in overrides if text not in about_hydra]
    preparations = Preparations()
    (job,) = check_jobs(
        [ours], Composer(config_dir, about_hydra=about_hydra), numbered=False, preparations=preparations
    )
    data = preparations.of(job.config).data
    return figure_of(data), [f"{data.name}: {line}" for line in data.note.splitlines()]


def figure_of(data: Data) -> Figure:
    """What the shape of the data asks for: images, points, a curve, or a table of features."""
    by_split = points(data)
    together = merged(by_split)
    n_rows = ", ".join(f"{name} {len(y):,}" for name, (_, y) in together.items())
    classes = data.task.classes
    if not classes and data.n_axes == 1:
        title = f"{data.name}: {n_rows} samples"
        exact = true_function(data)
        true = None if exact is None else exact(line(by_split))
        return fitted_curve(None, by_split, true, _names(data)[0], data.target_name, title)
    title, lines = f"{data.name}: {len(classes)} classes" if classes else data.name, [f"samples: {n_rows}"]
    if not classes:
        values = {name: y[:, 0] for name, (_, y) in together.items()}
        return features(by_split["train"][0], _names(data), values, (), data.preprocessing.target.name, title, lines)
    counts = {name: count(y, len(classes)) for name, (_, y) in by_split.items()}
    if data.image_shape is not None:
        channels, height, width = data.image_shape
        x, y = by_split["train"]
        lines.append(f"images of {height} × {width} pixels, {x.min():g} (black) to {x.max():g} (white)")
        if channels > 1:
            lines[-1] = f"colour images of {height} × {width} pixels"
        images = images_of(x, data.image_shape)
        some = [images[rows] for rows in examples(y, len(classes), PER_CLASS)]
        return image_samples(some, counts, classes, data.target_name, title, lines)
    if data.n_axes == 2:
        return class_points(by_split, counts, classes, _names(data), data.target_name, title, lines)
    counts = {name: counts[name.split(" = ")[0]] for name in together}
    return features(by_split["train"][0], _names(data), counts, classes, data.target_name, title, lines)


def count(y: np.ndarray, n_classes: int) -> np.ndarray:
    """How many samples each class has [C], of classes [N]."""
    return np.bincount(y, minlength=n_classes)


def examples(y: np.ndarray, n_classes: int, n: int) -> list[np.ndarray]:
    """For each class the rows [≤ n] of samples worth showing, evenly spread over the data, of classes [N]."""
    of_class = [np.flatnonzero(y == k) for k in range(n_classes)]
    return [rows[np.arange(min(n, len(rows))) * len(rows) // min(n, max(len(rows), 1))] for rows in of_class]


def _names(data: Data) -> tuple[str, ...]:
    return data.feature_names or tuple(f"x{k}" for k in range(1, data.n_features + 1))
