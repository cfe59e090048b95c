"""A run in the formats of others: one model from raw columns to answers, beside it what it takes and gives in words."""

from __future__ import annotations

import importlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mlpexp.data.columns import MISSING, UNKNOWN, Category, Column, Date, Image
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.errors import ConfigError
from mlpexp.run.directory import check_empty, make_named
from mlpexp.run.files import write_bytes
from mlpexp.run.raw_network import RawNetwork
from mlpexp.run.results import Results
from mlpexp.training.evaluate import load

Format = Literal["onnx", "torch"]
MODELS: dict[Format, str] = {"onnx": "model.onnx", "torch": "model.pt2"}
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": ()}
# Largest difference from what `predict` gives: of probabilities, or of scaled values, relative where these exceed 1.
TOLERANCE = 1e-5

_README = """\
# {name}

{model} is the network of {run}, with the weights of epoch {epoch}: from raw columns to {answers}. It takes float64
[N, {n_raw}] and gives float64 [N, {n_outputs}]. {prepared}; the network
computes in float32. In this directory, in Python:

```python
{lines}
```

metadata.json says all of this for programs: {further}.

## What it takes

{columns}

{missing}

## What it gives

{outputs}
"""
_LINES = {
    "torch": """\
import json, pathlib, torch
metadata = json.loads(pathlib.Path("metadata.json").read_text(encoding="utf-8"))
model = torch.export.load("model.pt2").module()
rows = torch.tensor([metadata["example"]], dtype=torch.float64)
print(dict(zip(metadata["outputs"], model(rows)[0].tolist())))""",
    "onnx": """\
import json, pathlib, numpy, onnxruntime
metadata = json.loads(pathlib.Path("metadata.json").read_text(encoding="utf-8"))
model = onnxruntime.InferenceSession("model.onnx")
rows = numpy.array([metadata["example"]], dtype=numpy.float64)
print(dict(zip(metadata["outputs"], model.run(None, {"raw": rows})[0][0].tolist())))""",
}


@dataclass(frozen=True)
class Export:
    """Where a model was written, and of which epoch's weights it is."""

    directory: Path
    epoch: int


def export(
    directory: str | Path, out: str | Path, form: Format = "onnx", changes: dict[str, Any] | None = None
) -> Export:
    """Writes a run's network with its preprocessing to the directory `out`, which must be new or empty.

    What was exported has been loaded again, and gives what `predict` gives. ConfigError for what cannot be exported,
    with nothing written.
    """
    path, out = Path(directory), Path(out)
    if out.exists():
        check_empty(out, "--out")
    for package in _PACKAGES[form]:
        try:
            importlib.import_module(package)
        except ImportError:
            raise ConfigError(f"--format={form}: needs the package {package}: pip install 'mlpexp[onnx]'.") from None
    results, epoch = load(path, {**(changes or {}), "device": {"name": "cpu"}})
    quantiles = [column.name for column in results.identity.preprocessing.columns if getattr(column, "quantiles", ())]
    if quantiles and form == "onnx":
        raise ConfigError(
            f"--format=onnx: {path}: dataset.scale=quantile (column '{quantiles[0]}') has no operations in ONNX; "
            "--format=torch exports it."
        )
    metadata = {"format": form, "run": str(path), "epoch": epoch, **described(results), "versions": _versions(form)}
    text = json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    example = examples(results.identity.preprocessing)
    model, answer = _WRITERS[form](RawNetwork(results), example, text, f"--format={form}: {path}")
    _check(results, example, answer, f"--format={form}: {path}")
    _write(out, {MODELS[form]: model, "metadata.json": text.encode(), "README.md": _readme(metadata, out).encode()})
    return Export(out, epoch)


def described(results: Results) -> dict[str, Any]:
    """What a model takes and gives, as metadata.json holds it."""
    preprocessing, classes = results.identity.preprocessing, results.task.classes
    given: dict[str, Any] = {"task": results.task.kind, "target": preprocessing.target.name}
    if classes:
        given |= {"classes": list(classes), "outputs": [f"p({name})" for name in classes]}
        given |= {"temperature": results.temperature}
    else:
        given |= {
            "targets": [
                {"name": target.name, "transform": target.transform, "unit": "that of the column"}
                for target in preprocessing.outputs
            ],
            "outputs": [target.name for target in preprocessing.outputs],
        }
    columns, first = [], 0
    for column in preprocessing.columns:
        columns.append({"name": column.name, "kind": column.kind, "first": first, "n": column.n_raw, **_raw(column)})
        first += column.n_raw
    # JSON has no NaN, and neither has the first row.
    return {**given, "columns": columns, "n_raw": first, "example": examples(preprocessing)[0].tolist()}


def _raw(column: Column) -> dict[str, Any]:
    """What stands for a column's values, by its kind."""
    if isinstance(column, Category):
        codes = {value: code for code, value in enumerate(column.values)}
        return {"unit": "codes", "codes": codes, "missing": MISSING, "unknown": UNKNOWN}
    if isinstance(column, Image):
        return {"unit": "pixels as in the data, row by row", "height": column.height, "width": column.width}
    unit = "days since 1970-01-01" if isinstance(column, Date) else "that of the column"
    return {"unit": unit, "missing": None if column.median is None else "NaN"}


def examples(preprocessing: Preprocessing) -> Tensor:
    """Raw rows [N, R] near those of the training table, float64; from the second on with what is missing or unknown."""
    return torch.cat([_examples(column) for column in preprocessing.columns], dim=1)


def _examples(column: Column) -> Tensor:
    """[N, n_raw]"""
    n = 8
    if isinstance(column, Category):
        codes = [0, MISSING, UNKNOWN, *range(len(column.values))]
        return torch.tensor(codes, dtype=torch.float64).repeat(n)[:n, None]
    steps = torch.tensor([0.0, 1, -1, 0.5, -0.5, 2, -2, 0], dtype=torch.float64)[:, None]
    if isinstance(column, Image):
        pixels = steps * column.deviation + column.mean
        return pixels.clamp(0, 255).round().expand(n, column.n_raw)
    quantiles = getattr(column, "quantiles", ())
    middle, spread = (quantiles[len(quantiles) // 2], 1.0) if quantiles else (column.mean, column.deviation)
    rows = steps * spread + middle
    if column.median is not None:
        rows[1::3] = torch.nan
    return rows.floor() if isinstance(column, Date) else rows


# A model from its bytes: raw rows [N, R] to answers.
Answer = Callable[[Tensor], np.ndarray]


def _exported(network: RawNetwork, example: Tensor, where: str) -> torch.export.ExportedProgram:
    with _of_torch(where), torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("rows", min=1)},))


def _as_torch(network: RawNetwork, example: Tensor, metadata: str, where: str) -> tuple[bytes, Answer]:
    program = _exported(network, example, where)
    file = io.BytesIO()
    with _of_torch(where):
        torch.export.save(program, file, extra_files={"metadata.json": metadata})
    model = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), lambda raw: model(raw).numpy()


def _as_onnx(network: RawNetwork, example: Tensor, metadata: str, where: str) -> tuple[bytes, Answer]:
    import onnxruntime

    program = _exported(network, example, where)
    with _of_torch(where):
        found = torch.onnx.export(
            program, (example,), dynamo=True, verbose=False, input_names=["raw"], output_names=["answers"]
        )
        assert found is not None
        found.model.metadata_props["mlpexp"] = metadata
        content = found.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(content)
    return content, lambda raw: session.run(None, {"raw": raw.numpy()})[0]


_WRITERS = {"onnx": _as_onnx, "torch": _as_torch}


@contextmanager
def _of_torch(where: str) -> Iterator[None]:
    """Turns the errors of torch's exporters into one line: a network of a user's own may do what they do not know."""
    try:
        yield
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(f"{where}: cannot be exported: {reason}") from error


def _check(results: Results, raw: Tensor, answer: Answer, where: str) -> None:
    """ConfigError where a model's answers are not those of `predict`."""
    wanted, found = (torch.from_numpy(np.array(values)) for values in (results.predict_raw(raw), answer(raw)))
    if results.task.kind == "regression":
        wanted, found = (results.identity.preprocessing.targets(values) for values in (wanted, found))
    known = wanted.isfinite()
    errors = ((found - wanted).abs() / wanted.abs().clamp(min=1))[known]
    difference = float(errors.max()) if len(errors) else 0.0
    # A run in bfloat16 has three digits; what is exported computes in float32.
    if not difference <= TOLERANCE and not results.bf16:
        raise ConfigError(f"{where}: what was exported differs from what predict gives, by {difference:.1g}.")


def _write(out: Path, files: dict[str, bytes]) -> None:
    new = not out.exists()
    make_named(out, "--out")
    check_empty(out, "--out")
    try:
        for name, content in files.items():
            write_bytes(out / name, content)
    except BaseException:
        for name in files:
            (out / name).unlink(missing_ok=True)
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _versions(form: Format) -> dict[str, str]:
    return {package: version(package) for package in ("mlpexp", "torch", *_PACKAGES[form])}


def _readme(metadata: dict[str, Any], out: Path) -> str:
    classes = metadata.get("classes")
    columns = [
        f"| {c['first']} | {_cell(c['name'])} | {c['kind']} | {_cell(_in_words(c))} |" for c in metadata["columns"]
    ]
    if classes:
        outputs = [f"{at}. probability of {_cell(name)}" for at, name in enumerate(classes)]
    else:
        outputs = [f"{at}. {_cell(name)}, in the units of its column" for at, name in enumerate(metadata["outputs"])]
    known = {column["kind"] for column in metadata["columns"]}
    prepared = "Scaling" + (", one-hot coding" if "category" in known else "") + " and filling of holes are part of it"
    return _README.format(
        name=out.resolve().name,
        model=MODELS[metadata["format"]],
        run=metadata["run"],
        epoch=metadata["epoch"],
        answers="class probabilities" if classes else "values in their own units",
        n_raw=metadata["n_raw"],
        n_outputs=len(metadata["outputs"]),
        prepared=prepared,
        lines=_LINES[metadata["format"]],
        further="columns in their order, codes of categories, outputs, versions, and an example row",
        columns="\n".join(["| from | column | kind | as |", "| --- | --- | --- | --- |", *columns]),
        missing="A missing number or date is NaN. Where no training row lacked it, all answers for the row are NaN.",
        outputs="\n".join(outputs),
    )


def _in_words(column: dict[str, Any]) -> str:
    """What stands for a column's values, for people."""
    if column["kind"] == "category":
        codes = ", ".join(f"{code} {name}" for name, code in column["codes"].items())
        return f"{codes}; {MISSING} missing, {UNKNOWN} another one"
    if column["kind"] == "image":
        return f"{column['height']} × {column['width']} pixels as in the data, row by row"
    unit = "days since 1970-01-01" if column["kind"] == "date" else "float64"
    return unit if column["missing"] is None else f"{unit}, NaN where missing"


def _cell(text: str) -> str:
    """A text from a table within one of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")
