"""The real server on real runs: what it prints, what it serves, and what a browser makes of it."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from mlpexp.cli.main import call
from mlpexp.comparison.report import sweep_summary
from mlpexp.config.compose import compose
from mlpexp.config.metric import KINDS
from mlpexp.run.history import read as read_history
from mlpexp.training.single import Run, resume, train

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

# Whatever a browser does at its start that has nothing to do with a page.
_BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_SECONDS = 60


@contextmanager
def dashboard(*arguments: str, cwd: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and the process of a running `mlpexp dashboard`."""
    # No proxy stands between this machine and itself.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with subprocess.Popen(
        [sys.executable, "-m", "mlpexp", "dashboard", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"TensorBoard on \S+: (http://localhost:\d+/) \(Ctrl-C ends it\)\n", line)
            assert found, line or process.communicate(timeout=_SECONDS)[1]
            yield found[1], process
        finally:
            process.kill()


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the server says at `path`, which a browser would have asked for."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{address}data/{path}", data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=_SECONDS) as said:
        return json.load(said)


def when(question: Any) -> Any:
    """The answer, once there is one: the server reads the runs while it already answers."""
    deadline = time.monotonic() + _SECONDS
    while not (answer := question()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dashboard") / "outputs"


@pytest.fixture(scope="module")
def runs(outputs: Path) -> dict[str, Run]:
    """Two classifications that differ in their activation and one's regularizer, and a regression that was resumed."""
    outputs.mkdir()
    digits = ["dataset=digits", "epochs=2", "model.hidden=[16]", "log.confusion_every=1"]
    made = {
        "a_relu": train(compose(digits), outputs / "a_relu"),
        "a_tanh": train(compose([*digits, "activation=tanh", "regularizer=[dropout]"]), outputs / "a_tanh"),
    }
    train(compose(["dataset=sine", "epochs=3", "log.figures=false"]), outputs / "a_sine")
    made["a_sine"] = resume(outputs / "a_sine", {"epochs": 5})
    return made


def test_the_hparams_tab_has_the_keys_and_metrics_of_several_sweeps_and_a_run(here: Path) -> None:
    """Asked of the plugin's own backend, as any TensorBoard asks it: `mlpexp dashboard` adds nothing."""
    quick = ["dataset=xor", "epochs=1", "log.figures=false", "log.histograms=0"]
    l2, momentum = ["seed=4", "regularizer=[l2]"], ["seed=4", "optimizer=momentum"]
    differ = {
        "a/0": [*l2, "regularizer.l2.strength=0.1"],
        "a/1": [*l2, "regularizer.l2.strength=0.2"],
        "b/0": [*momentum, "optimizer.momentum=0.5"],
        "b/1": [*momentum, "optimizer.momentum=0.6"],
        "single": ["dataset=sine", "seed=5", "model.hidden=[4,4,4,4]"],
    }
    for name, overrides in differ.items():
        path = here / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        train(compose([*quick, *overrides]), path)

    runs = EventMultiplexer().AddRunsFromDirectory("outputs")
    runs.Reload()
    backend = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(runs, "outputs")))
    asked = RequestContext(), backend, ""
    experiment = get_experiment.Handler(*asked, api_pb2.GetExperimentRequest()).run()
    # Those that differ come first.
    keys = [info.name for info in experiment.hparam_infos]
    different = [info.name for info in experiment.hparam_infos if info.differs]
    assert keys[: len(different)] == different
    assert {"dataset", "optimizer", "optimizer.momentum", "regularizer.l2.strength", "seed"} <= set(different)
    assert {"batch_size", "optimizer.amsgrad", "optimizer.betas"} <= set(keys)
    # The tab shows the first five metrics unasked.
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert "best_epoch/accuracy/test" in metrics[:5]
    assert {"best_epoch/r2/test", "best_epoch/loss/val", "loss/train", "grad_norm"} <= set(metrics)

    wanted = api_pb2.ListSessionGroupsRequest(allowed_statuses=[api_pb2.STATUS_SUCCESS], slice_size=9)
    rows = {row.name: row for row in list_session_groups.Handler(*asked, wanted).run().session_groups}
    assert len(rows) == 5
    strengths = [rows[f"a/{name}"].hparams["regularizer.l2.strength"].string_value for name in ("0", "1")]
    assert strengths == ["0.1", "0.2"]
    momenta = [rows[f"b/{name}"].hparams["optimizer.momentum"].string_value for name in ("0", "1")]
    assert momenta == ["0.5", "0.6"]
    assert rows["single"].hparams["dataset"].string_value == "sine"
    # Parallel coordinates leave out a row without one of the keys shown, and the table sorts values of one type.
    for key in keys:
        assert len({row.hparams[key].WhichOneof("kind") for row in rows.values()}) == 1
    assert rows["single"].hparams["optimizer.momentum"].string_value == "-"
    assert rows["single"].hparams["seed"].number_value == 5
    assert all(row.sessions[0].start_time_secs <= row.sessions[0].end_time_secs for row in rows.values())


def test_what_it_serves_is_what_the_runs_wrote(outputs: Path, runs: dict[str, Run]) -> None:
    with dashboard("outputs", "--port", "0", cwd=outputs.parent) as (address, process):
        names = set(runs)
        assert when(lambda: (found := ask(address, "runs")) and set(found) == names)
        # The rows of a run that went on, from two files: wall time, step, value.
        where = f"plugin/scalars/scalars?run={quote('a_sine')}&tag={quote('loss/val')}"
        assert [step for _, step, _ in when(lambda: ask(address, where))] == [1, 2, 3, 4, 5]

        # The columns of the HParams tab: what differs between all runs comes first, then how they ended.
        experiment = ask(address, "plugin/hparams/experiment", {"experimentName": ""})
        differ = [info["name"] for info in experiment["hparamInfos"] if info.get("differs")]
        assert differ == [info["name"] for info in experiment["hparamInfos"]][: len(differ)]
        assert {"activation", "dataset", "epochs", "regularizer"} <= set(differ)
        scalars = [info["name"]["tag"] for info in experiment["metricInfos"]]
        metrics = [tag for tag in scalars if tag.startswith("best_epoch/")]
        assert metrics == [f"best_epoch/{name}/{split}" for name in sorted(KINDS) for split in ("test", "train", "val")]
        assert "best_epoch/accuracy/test" in scalars[:5]

        statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
        columns = [{"metric": {"group": "", "tag": tag}} for tag in metrics]
        rows = ask(
            address,
            "plugin/hparams/session_groups",
            {"experimentName": "", "allowedStatuses": statuses, "colParams": columns, "startIndex": 0, "sliceSize": 9},
        )
        found = {row["name"].split("/")[0]: row for row in rows["sessionGroups"]}
        assert set(found) == set(runs)
        for name, run in runs.items():
            values = {metric["name"]["tag"]: metric["value"] for metric in found[name]["metricValues"]}
            shown = {tag: value for tag, value in values.items() if tag.startswith("best_epoch/")}
            expected = {
                f"best_epoch/{kind}/{split}": value
                for split, numbers in run.metrics.items()
                for kind, value in numbers.items()
            }
            assert shown == pytest.approx(expected)
            # As many as the run has been given in the end.
            assert found[name]["hparams"]["epochs"] == run.record.config["epochs"]
            assert found[name]["hparams"]["activation"] == ("tanh" if name == "a_tanh" else "relu")

        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=_SECONDS)
        assert (process.returncode, out, errors) == (0, "", "")


@pytest.mark.browser
def test_every_tab_shows_the_runs_in_a_browser(outputs: Path, runs: dict[str, Run], chromium: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with (
        dashboard("outputs", "--port", "0", cwd=outputs.parent) as (address, process),
        sync_playwright() as playwright,
    ):
        when(lambda: len(ask(address, "runs")) == len(runs))
        expect.set_options(timeout=_SECONDS * 1000)
        browser = playwright.chromium.launch(executable_path=chromium, args=_BROWSER)
        page = browser.new_page(viewport={"width": 2200, "height": 1200})
        page.set_default_timeout(_SECONDS * 1000)
        _look_at_scalars(_open(page, address, "timeseries"))
        _look_at_custom_scalars(_open(page, address, "custom_scalars"))
        _look_at_images(_open(page, address, "images"))
        _look_at_text(_open(page, address, "text"), runs)
        _look_at_hparams(_open(page, address, "hparams"), runs)
        browser.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(_SECONDS) == 0


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, named_jobs: None) -> Path:
    """The directory above a sweep of twelve runs, whose components have parameters of their own."""
    place = tmp_path_factory.mktemp("twelve")
    varied = ["activation=relu,gelu,leaky_relu", "optimizer=adam,momentum", "seed=0,1"]
    quick = ["dataset=xor", "epochs=3", "model.hidden=[4]", "log.figures=false", "device=cpu"]
    assert call(["train", "-m", *quick, *varied, f"hydra.sweep.dir={place / 'outputs' / 'sweep'}"]) == 0
    return place


def test_each_setting_of_a_sweep_has_a_mean_curve_between_its_seeds(sweep: Path) -> None:
    directory = sweep / "outputs" / "sweep"
    made = {path.parent.name: path for path in directory.glob("settings/*/*tfevents*")}
    assert set(made) == {"_".join(parts) for parts in itertools.product(("relu", "gelu", "leaky_relu"), OPTIMIZERS)}
    events = EventAccumulator(str(made["gelu_momentum"]), {"scalars": 0}).Reload()
    seeds = [read_history(directory / name / "metrics.csv") for name in NAMES if "gelu_momentum" in name]
    assert len(seeds) == 2
    for tag in ("loss/val", "accuracy/val"):
        pairs = list(zip(*(seed[tag] for seed in seeds), strict=True))
        for curve, function in (("mean", statistics.fmean), ("lowest", min), ("highest", max)):
            values = [(event.step, event.value) for event in events.Scalars(f"{curve}/{tag}")]
            assert [step for step, _ in values] == [1, 2, 3]
            assert [value for _, value in values] == pytest.approx([function(pair) for pair in pairs])
    # Summed up again, with what a sweep of other settings has left: each has one file.
    other = directory / "settings" / "gone"
    other.mkdir()
    made["gelu_momentum"].rename(other / made["gelu_momentum"].name)
    sweep_summary(directory)
    assert not other.exists()
    assert len(list(directory.glob("settings/*/*tfevents*"))) == 6


OPTIMIZERS = ("adam", "momentum")
NAMES = [
    f"{number}_{activation}_{optimizer}_seed={seed}"
    for number, (activation, optimizer, seed) in enumerate(
        itertools.product(("relu", "gelu", "leaky_relu"), OPTIMIZERS, (0, 1))
    )
]


@pytest.mark.browser
def test_a_sweep_of_twelve_mixed_runs_in_a_browser(sweep: Path, chromium: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with dashboard("outputs", "--port", "0", cwd=sweep) as (address, _), sync_playwright() as playwright:
        when(lambda: set(ask(address, "runs")) >= {f"sweep/{name}" for name in NAMES})
        expect.set_options(timeout=_SECONDS * 1000)
        browser = playwright.chromium.launch(executable_path=chromium, args=_BROWSER)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(_SECONDS * 1000)
        _open(page, address, "hparams")
        cells = page.locator("tf-hparams-table-view vaadin-grid-cell-content")
        for name in NAMES:
            expect(cells.filter(has_text=re.compile(rf"^\s*sweep/{re.escape(name)}\s*$"))).to_have_count(1)
        _is_no_wider_than_the_window(page)
        page.get_by_text("Parallel coordinates view").click()
        # A line is drawn a run; a second one shows which are chosen.
        lines = page.locator("tf-hparams-parallel-coords-plot svg g.background path")
        expect(lines).to_have_count(12)
        drawn = lines.evaluate_all("all => all.map(path => path.getAttribute('d'))")
        assert all(path and "NaN" not in path for path in drawn)
        _is_no_wider_than_the_window(page)
        _open(page, address, "custom_scalars")
        bands = page.locator("tf-custom-scalar-margin-chart-card")
        expect(bands).to_have_count(2)
        for name in ("loss/val", "accuracy/val"):
            expect(bands.filter(has_text=name).first).to_be_visible()
        for tab in ("timeseries", "custom_scalars"):
            _open(page, address, tab)
            expect(page.get_by_text(NAMES[0]).first).to_be_visible()
            _is_no_wider_than_the_window(page)
        browser.close()


def _is_no_wider_than_the_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def _open(page: Page, address: str, tab: str) -> Page:
    page.goto("about:blank")
    page.goto(f"{address}#{tab}")
    return page


def _look_at_scalars(page: Page) -> None:
    from playwright.sync_api import expect

    for tag in ("accuracy/train", "accuracy/val"):
        card = page.locator("card-view").filter(has_text=tag).first
        expect(card).to_be_visible()
        expect(card.locator("line-chart").first).to_be_visible()
    page.get_by_role("combobox", name="Filter tags (regex)").fill("^loss/")
    for tag in ("loss/train", "loss/val"):
        card = page.locator("card-view").filter(has_text=tag).first
        expect(card).to_be_visible()
        expect(card.locator("line-chart").first).to_be_visible()


def _look_at_custom_scalars(page: Page) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_text("train and val")).to_be_visible()
    charts = page.locator("tf-custom-scalar-multi-line-chart-card")
    expect(charts).to_have_count(3)
    for name in ("loss", "accuracy", "r2"):
        expect(charts.filter(has_text=name).first).to_be_visible()


def _look_at_images(page: Page) -> None:
    from playwright.sync_api import expect

    loaders = page.locator("tf-image-loader")
    for tag in ("confusion_matrix/test", "confusion_matrix/val"):
        loader = loaders.filter(has_text=tag).first
        expect(loader.locator("img").first).to_be_visible()
        page.wait_for_function("image => image.naturalWidth > 100", arg=_handle(loader.locator("img").first))


def _handle(locator: Locator) -> Any:
    return locator.element_handle()


def _look_at_text(page: Page, runs: dict[str, Run]) -> None:
    from playwright.sync_api import expect

    for run in runs.values():
        expect(page.get_by_text(f"{run.record.n_parameters:,} trainable parameters").first).to_be_visible()


def _look_at_hparams(page: Page, runs: dict[str, Run]) -> None:
    """One row a run, with the numbers that run.json holds."""
    from playwright.sync_api import expect

    table = page.locator("tf-hparams-table-view")
    for name, run in runs.items():
        row = table.locator("vaadin-grid-cell-content").filter(has_text=re.compile(rf"^\s*{name}\s*$"))
        expect(row).to_have_count(1)
        score = run.results.data.task.score
        if score == "accuracy":
            # The table shows five digits.
            shown = f"{run.metrics['test'][score]:.5g}"
            expect(table.locator("vaadin-grid-cell-content").filter(has_text=shown).first).to_be_visible()
    expect(table.locator("vaadin-grid-cell-content").filter(has_text="best_epoch/accuracy/test")).to_be_visible()
    trials = table.locator("vaadin-grid-cell-content").filter(has_text=re.compile(rf"^\s*({'|'.join(runs)})\s*$"))
    expect(trials).to_have_count(len(runs))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_directory_without_runs_is_served_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    with dashboard("--port", "0", cwd=tmp_path) as (address, process):
        assert ask(address, "runs") == []
        process.send_signal(number)
        assert process.communicate(timeout=_SECONDS) == ("", "")
        assert process.returncode == 0


def said_wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a wrong command gets."""
    assert call(["dashboard", *arguments]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("mlpexp: ")
    assert errors.count("\n") == 1
    return errors


def test_a_missing_directory(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "outputs: there is no such directory; `mlpexp train` makes" in said_wrong(capsys)
    assert "no/where: there is no such directory" in said_wrong(capsys, "no/where")
    assert list(here.iterdir()) == []


def test_a_port_in_use(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        assert f"--port={port}: is in use" in said_wrong(capsys, str(here), "--port", str(port))


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port(port: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--port" in said_wrong(capsys, str(here), "--port", port)


def test_an_address_of_another_machine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 192.0.2.0/24 is kept for documentation: nobody has it.
    assert "--host=192.0.2.1" in said_wrong(capsys, str(here), "--host", "192.0.2.1")
