"""sweep.json: what is written is read, and whatever else the file holds is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpexp.config.compose import compose
from mlpexp.errors import ConfigError
from mlpexp.run.files import with_checksum
from mlpexp.run.sweep_record import NAME, JobRecord, SweepRecord, is_sweep, read
from mlpexp.training.single import train


def job(number: int, **changes: Any) -> JobRecord:
    return JobRecord(**{"number": number, "overrides": [], "directory": str(number), "config": {"seed": 1}, **changes})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = compose(["dataset=xor", "regularizer=[dropout]"]).to_dict()
    jobs = [job(0, overrides=["seed=0", "data_dir='é'"], config=config), job(1, directory="a/b"), job(2)]
    record = SweepRecord(jobs, [[1, 0], [2]])
    assert not is_sweep(tmp_path)
    record.write(tmp_path)
    assert read(tmp_path) == record
    assert is_sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_further_batch_of_jobs() -> None:
    record = SweepRecord([job(0), job(1)], [[0, 1]])
    more = record.extended([job(2), job(3)], [[2, 3]])
    assert more == SweepRecord([job(0), job(1), job(2), job(3)], [[0, 1], [2, 3]])
    assert record == SweepRecord([job(0), job(1)], [[0, 1]])


def test_jobs_that_are_known_are_stacked_anew() -> None:
    record = SweepRecord([job(n) for n in range(4)], [[0], [1], [2], [3]])
    again = record.extended([job(1, directory="elsewhere"), job(2)], [[2, 1]])
    assert again == SweepRecord([job(n) for n in range(4)], [[0], [3], [2, 1]])
    assert SweepRecord([job(n) for n in range(3)], [[0, 1, 2]]).extended([], [[1]]).stacks == [[0, 2], [1]]


GOOD: dict[str, Any] = {
    "jobs": [{"number": n, "overrides": [], "directory": str(n), "config": {}} for n in range(2)],
    "stacks": [[0, 1]],
}


def with_job(**changes: Any) -> dict[str, Any]:
    first, second = GOOD["jobs"]
    return {**GOOD, "jobs": [first, {**second, **changes}]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[" * 100_000, ""),
        ("\udcff", ""),
        ("[]", ""),
        ("3", ""),
        ({}, "'jobs'"),
        ({"jobs": []}, "'stacks'"),
        ({"jobs": 3, "stacks": []}, ""),
        ({"jobs": [3], "stacks": []}, ""),
        ({"jobs": [{}], "stacks": []}, ""),
        ({**GOOD, "stacks": 3}, ""),
        ({**GOOD, "stacks": [3]}, ""),
        ({**GOOD, "stacks": [[0]]}, "its stacks are not of its jobs"),
        ({**GOOD, "stacks": [[0, 1, 2]]}, "its stacks are not of its jobs"),
        ({**GOOD, "stacks": [[0, 1], [1]]}, "its stacks are not of its jobs"),
        ({**GOOD, "stacks": [["0", 1]]}, "stacks[0][0]=0: must be a whole number"),
        ({**GOOD, "stacks": [[[], 1]]}, "stacks[0][0]=[]: must be a whole number"),
        (with_job(surprise=1), "surprise"),
        (with_job(number=0), "its stacks are not of its jobs"),
        (with_job(number="1"), "jobs[1].number=1: must be a whole number"),
        (with_job(number=True), "jobs[1].number=true: must be a whole number"),
        (with_job(number=None), "jobs[1].number=null: must be a whole number"),
        (with_job(config=[]), "jobs[1].config=[]: must be a mapping"),
        (with_job(overrides="x"), "jobs[1].overrides=x: must be a list"),
        (with_job(directory=1), "jobs[1].directory=1: must be a text"),
        (with_job(directory=""), "job 1 has no directory within the sweep's"),
        (with_job(directory="."), "job 1 has no directory within the sweep's"),
        (with_job(directory="../x"), "job 1 has no directory within the sweep's"),
        (with_job(directory="a/../../x"), "job 1 has no directory within the sweep's"),
        (with_job(directory="/x"), "job 1 has no directory within the sweep's"),
        (with_job(directory="a\0"), "job 1 has no directory within the sweep's"),
        (with_job(directory="0"), "two jobs have the same directory"),
        (with_job(directory="./0/"), "two jobs have the same directory"),
    ],
)
def test_a_damaged_file_is_one_line(content: Any, said: str, tmp_path: Path) -> None:
    text = content if isinstance(content, str) else json.dumps(with_checksum(content))
    (tmp_path / NAME).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / NAME}: is damaged: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ConfigError, match=r"sweep\.json: cannot be read: Is a directory\.$"):
        read(tmp_path)


def test_without_the_file_the_runs_that_there_are_make_the_sweep(tmp_path: Path) -> None:
    config = compose(["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"])
    for name in ("a", "b"):
        train(config, tmp_path / name)
    (tmp_path / "c").mkdir()
    found = read(tmp_path)
    assert [(job.number, job.directory, job.config) for job in found.jobs] == [
        (0, "a", config.to_dict()),
        (1, "b", config.to_dict()),
    ]
    assert found.stacks == [[0], [1]]
    assert not is_sweep(tmp_path)
    (tmp_path / "multirun.yaml").touch()
    assert is_sweep(tmp_path)
