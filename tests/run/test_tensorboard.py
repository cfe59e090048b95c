"""The event files of real runs, read by TensorBoard's own reader and by a parser of the file format written here."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util

from mlpexp.config.compose import compose
from mlpexp.errors import RunError
from mlpexp.run import history, tensorboard
from mlpexp.run.directory import RunDirectory
from mlpexp.run.tensorboard import TensorBoard
from mlpexp.training.single import Run, resume, train

# A classification of images, a regression, and points in a plane: each has figures of its own.
RUNS = {
    "digits": ["dataset=digits", "epochs=3", "log.confusion_every=1"],
    "sine": ["dataset=sine", "epochs=8", "log.histograms=2"],
    "xor": ["dataset=xor", "epochs=5", "log.confusion_every=2"],
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(compose(RUNS[request.param]), tmp_path_factory.mktemp("runs") / request.param)


def read(run: Run | Path) -> EventAccumulator:
    """Everything that TensorBoard finds in a run, nothing left out."""
    path = run if isinstance(run, Path) else run.directory
    kinds = ("scalars", "images", "histograms", "tensors", "compressedHistograms")
    return EventAccumulator(str(path), dict.fromkeys(kinds, 0)).Reload()


def steps_and_values(events: EventAccumulator, tag: str) -> tuple[list[int], list[float]]:
    scalars = events.Scalars(tag)
    return [scalar.step for scalar in scalars], [scalar.value for scalar in scalars]


def hparams_of(events: EventAccumulator, tag: str) -> HParamsPluginData:
    return HParamsPluginData.FromString(events.SummaryMetadata(f"_hparams_/{tag}").plugin_data.content)


def n_parameters(run: Run) -> int:
    return sum(weights.numel() for weights in run.results.module.parameters())


def score(run: Run) -> str:
    return run.results.data.task.score


# The file format: length (8 bytes), its checksum (4), the event, its checksum (4).


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit over a table, masked as in TFRecord files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


def parse(path: Path) -> Iterator[Event]:
    content, at = path.read_bytes(), 0
    while at < len(content):
        header = content[at : at + 8]
        (length,) = struct.unpack("<Q", header)
        data = content[at + 12 : at + 12 + length]
        checksums = content[at + 8 : at + 12] + content[at + 12 + length : at + 16 + length]
        assert struct.unpack("<II", checksums) == (crc32c(header), crc32c(data))
        at += 16 + length
        yield Event.FromString(data)


def event_file(run: Run | Path) -> Path:
    """The one file of a run that was started once."""
    path = run if isinstance(run, Path) else run.directory
    (only,) = path.rglob("*tfevents*")
    return only


def test_checksum_of_the_standard_vector() -> None:
    # RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8A9136AA.
    rotated = ((0x8A9136AA >> 15) | (0x8A9136AA << 17)) & 0xFFFFFFFF
    assert crc32c(bytes(32)) == (rotated + 0xA282EAD8) & 0xFFFFFFFF


def test_one_file_whose_every_epoch_is_one_event(run: Run) -> None:
    events = list(parse(event_file(run)))
    assert events[0].file_version == "brain.Event:2"
    assert [event.wall_time for event in events] == sorted(event.wall_time for event in events)
    epochs = [event for event in events if any(value.tag == "loss/train" for value in event.summary.value)]
    assert [event.step for event in epochs] == list(range(1, run.record.epochs_done + 1))
    with_scalars = [event for event in events if any(value.HasField("simple_value") for value in event.summary.value)]
    assert len(with_scalars) == len(epochs) + 1  # and one for the final metrics


def test_scalars_are_the_columns_of_metrics_csv(run: Run) -> None:
    events, rows = read(run), history.read(RunDirectory(run.directory).history)
    epochs = list(range(1, run.record.epochs_done + 1))
    assert rows.pop("epoch") == epochs
    tags = {tag for tag in events.Tags()["scalars"] if not tag.startswith("best_epoch/")}
    assert tags == set(rows)
    module = run.results.module
    layers = {name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)}
    activations = {name for name, layer in module.named_modules() if isinstance(layer, torch.nn.ReLU)}
    assert layers
    assert activations
    assert tags == {
        *(f"{name}/{split}" for name in ("loss", score(run)) for split in ("train", "val")),
        "lr",
        "grad_norm",
        *(f"grad_norm/{name}" for name in layers),
        *(f"dead_units/{name}" for name in activations),
    }
    for tag, column in rows.items():
        steps, values = steps_and_values(events, tag)
        assert steps == epochs
        assert values == [float(np.float32(value)) for value in column]


def test_dead_units_have_points_where_they_were_counted(tmp_path: Path) -> None:
    config = compose(["dataset=xor", "epochs=12", "log.diagnostics=3", "log.figures=false"])
    events = read(train(config, tmp_path / "run"))
    steps, _ = steps_and_values(events, "dead_units/activation1")
    assert steps == [1, 4, 8, 12]
    rows = history.read(tmp_path / "run" / "metrics.csv")["dead_units/activation1"]
    assert [epoch for epoch, value in enumerate(rows, 1) if value == value] == steps


def test_metrics_at_the_best_epoch_are_those_of_run_json(run: Run) -> None:
    events = read(run)
    found = {tag: steps_and_values(events, tag) for tag in events.Tags()["scalars"] if tag.startswith("best_epoch/")}
    assert found == {
        f"best_epoch/{name}/{split}": ([run.record.best_epoch], [float(np.float32(run.metrics[split][name]))])
        for split in ("train", "val", "test")
        for name in run.results.data.task.metrics
    }


def test_histograms_of_all_weights_at_a_few_epochs(run: Run) -> None:
    events, wanted = read(run), run.record.config["log"]["histograms"]
    last = torch.load(run.directory / "checkpoints" / "last.pt", weights_only=True)["module"]
    tags = events.Tags()["histograms"]
    assert set(tags) == {f"weights/{name}" for name, _ in run.results.module.named_parameters()}
    steps = [event.step for event in events.Histograms(tags[0])]
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == run.record.epochs_done
    assert 2 <= len(steps) <= wanted + 1
    counts = dict.fromkeys(steps, 0.0)
    for tag in tags:
        for event in events.Histograms(tag):
            counts[event.step] += event.histogram_value.num
            assert sum(event.histogram_value.bucket) == event.histogram_value.num
        weights = last[tag.removeprefix("weights/")].double()
        shown = event.histogram_value
        assert (shown.min, shown.max) == (weights.min().item(), weights.max().item())
        assert shown.sum == pytest.approx(weights.sum().item(), rel=1e-6, abs=1e-6)
    assert set(counts.values()) == {n_parameters(run)}


def test_a_stray_weight_does_not_multiply_the_bins_of_its_histogram(tmp_path: Path) -> None:
    layer = torch.nn.Linear(64, 64, bias=False)
    with torch.no_grad():
        layer.weight[0, 0] = 1e12
    board = TensorBoard(tmp_path)
    board.histograms(dict(layer.named_parameters()), 1)
    board.close()
    (event,) = read(tmp_path).Histograms("weights/weight")
    assert event.histogram_value.num == 64 * 64
    assert len(event.histogram_value.bucket) < 100


@pytest.mark.parametrize("value", [0.0, 1.0, -3e37, 1e-30])
def test_equal_weights_are_one_bin(value: float, tmp_path: Path) -> None:
    layer = torch.nn.Linear(8, 1)
    torch.nn.init.constant_(layer.weight, value)
    board = TensorBoard(tmp_path)
    board.histograms(dict(layer.named_parameters()), 1)
    board.close()
    for name, count in (("weight", 8), ("bias", 1)):
        (event,) = read(tmp_path).Histograms(f"weights/{name}")
        assert max(event.histogram_value.bucket) == event.histogram_value.num == count


def test_a_run_that_stops_early_has_the_histograms_of_its_last_epoch(tmp_path: Path) -> None:
    stop = ["regularizer=[early_stopping]", "regularizer.early_stopping.patience=1", "optimizer.lr=0.1"]
    run = train(compose(["dataset=sine", "epochs=500", *stop, "log.figures=false"]), tmp_path / "run")
    assert run.record.epochs_done < 100
    assert [event.step for event in read(run).Histograms("weights/output.bias")] == [0, run.record.epochs_done]


def test_images_are_the_figures(run: Run) -> None:
    events = read(run)
    figures = {path.stem: path.read_bytes() for path in (run.directory / "figures").iterdir()}
    tags = {name: "confusion_matrix/test" if name == "confusion_matrix" else f"figures/{name}" for name in figures}
    assert set(events.Tags()["images"]) - {"confusion_matrix/val"} == set(tags.values())
    for name, tag in tags.items():
        (event,) = events.Images(tag)
        assert event.step == run.record.best_epoch
        assert event.encoded_image_string == figures[name]


def test_confusion_matrices_decode_as_images_of_the_size_they_say(run: Run) -> None:
    events, every = read(run), run.record.config["log"]["confusion_every"]
    if score(run) != "accuracy":
        assert not [tag for tag in events.Tags()["images"] if tag.startswith("confusion_matrix")]
        return
    val = events.Images("confusion_matrix/val")
    assert [event.step for event in val] == list(range(every, run.record.epochs_done + 1, every))
    for event in [*val, *events.Images("confusion_matrix/test")]:
        with Image.open(io.BytesIO(event.encoded_image_string)) as image:
            image.load()
            assert image.format == "PNG"
            assert image.size == (event.width, event.height)


def test_the_text_names_every_layer_and_the_number_of_parameters(run: Run) -> None:
    events = read(run)
    (event,) = events.Tensors("model/text_summary")
    (markdown,) = tensor_util.make_ndarray(event.tensor_proto)
    said = markdown.decode()
    assert said.startswith(f"{n_parameters(run):,} trainable parameters\n")
    for name, layer in run.results.module.named_children():
        assert f"({name}): {layer}" in said
        if owned := list(layer.parameters()):
            assert f"| {name} |" in said
            assert f"| {sum(weights.numel() for weights in owned):,} |" in said


def test_train_and_val_share_a_chart_under_custom_scalars(run: Run) -> None:
    events = read(run)
    (event,) = events.Tensors("custom_scalars__config__")
    layout = Layout.FromString(tensor_util.make_ndarray(event.tensor_proto).item())
    charts = {chart.title: list(chart.multiline.tag) for category in layout.category for chart in category.chart}
    assert charts == {name: [f"{name}/train", f"{name}/val"] for name in ("loss", score(run))}
    assert {tag for tags in charts.values() for tag in tags} <= set(events.Tags()["scalars"])


def test_one_hparams_session_with_the_config(run: Run) -> None:
    events = read(run)
    written = [value.tag for event in parse(event_file(run)) for value in event.summary.value]
    # An experiment summary would hide what other runs have beside.
    hparams = [tag for tag in written if tag.startswith("_hparams_/")]
    assert hparams == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
    session = hparams_of(events, "session_start_info").session_start_info
    config = run.record.config
    for name in ("dataset", "model", "activation", "init", "optimizer", "scheduler"):
        assert session.hparams[name].string_value == config[name]["name"]
    assert session.hparams["optimizer.lr"].number_value == config["optimizer"]["lr"]
    assert session.hparams["epochs"].number_value == config["epochs"]
    assert session.hparams["seed"].number_value == config["seed"]
    assert session.hparams["deterministic"].string_value == "false"
    assert session.hparams["clip.norm"].string_value == "null"
    assert session.hparams["regularizer"].string_value == "[]"
    assert session.hparams["model.hidden"].string_value == str(config["model"]["hidden"]).replace(" ", "")
    end = hparams_of(events, "session_end_info").session_end_info
    assert end.status == STATUS_SUCCESS
    assert 0 < session.start_time_secs <= end.end_time_secs


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_run_that_goes_on_with_other_settings_shows_those(cut_off: bool, tmp_path: Path) -> None:
    run = train(compose(["dataset=xor", "epochs=2", "log.figures=false"]), tmp_path / "run")
    earlier = event_file(run)
    before = list(parse(earlier))
    whole = earlier.read_bytes()
    if cut_off:  # as a kill leaves it
        earlier.write_bytes(whole[:-3])
    resume(run.directory, {"epochs": 4})
    session = hparams_of(read(run), "session_start_info").session_start_info
    assert session.hparams["epochs"].number_value == 4
    assert session.hparams["optimizer"].string_value == "adam"
    # Nothing else in the file has changed.
    if cut_off:
        assert earlier.read_bytes().endswith(whole[-200:-3])
        earlier.write_bytes(earlier.read_bytes() + whole[-3:])
    after = list(parse(earlier))
    changed = [one.summary.value[0].tag for one, other in zip(after, before, strict=True) if one != other]
    assert changed == ["_hparams_/session_start_info"]


def test_regularizers_are_named_once_and_their_settings_beside_them(tmp_path: Path) -> None:
    config = compose(["dataset=xor", "epochs=1", "regularizer=[dropout,l2]", "log.figures=false"])
    events = read(train(config, tmp_path / "run"))
    hparams = hparams_of(events, "session_start_info").session_start_info.hparams
    shown = {
        name: value for name, value in hparams.items() if name.startswith("regularizer") and value.string_value != "-"
    }
    assert set(shown) == {"regularizer", "regularizer.dropout.p", "regularizer.l2.strength"}
    assert shown["regularizer"].string_value == "[dropout,l2]"


def test_a_diverged_run_is_a_failed_session_without_final_metrics(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="diverged"):
        train(compose(["dataset=digits", "epochs=3", "optimizer=sgd", "optimizer.lr=1e30"]), tmp_path / "run")
    event_file(tmp_path / "run")
    events = read(tmp_path / "run")
    assert hparams_of(events, "session_end_info").session_end_info.status == STATUS_FAILURE
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith("best_epoch/")]
    assert events.Tags()["images"] == []
    assert [event.step for event in events.Histograms("weights/output.weight")] == [0]


def test_all_of_it_can_be_switched_off(tmp_path: Path) -> None:
    config = ["dataset=xor", "epochs=2"]
    train(compose([*config, "log.tensorboard=false", "log.figures=false"]), tmp_path / "off")
    assert sorted(path.name for path in (tmp_path / "off").iterdir()) == [
        ".lock",
        "checkpoints",
        "metrics.csv",
        "run.json",
    ]
    few = ["log.figures=false", "log.histograms=0"]
    events = read(train(compose([*config, *few]), tmp_path / "few"))
    assert events.Tags()["images"] == []
    assert events.Tags()["histograms"] == []
    assert len(events.Scalars("best_epoch/accuracy/test")) == 1


def test_a_full_disk_is_one_error_without_a_traceback_of_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(tensorboard, "_new_file", lambda *_: full)
        with pytest.raises(RunError, match=r"run: cannot be written: No space left on device$"):
            train(compose(["dataset=xor", "epochs=2", "log.figures=false"]), tmp_path / "run")
    assert "Traceback" not in capfd.readouterr().err
