"""examples/tour.ipynb, executed in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
TOUR = Path(__file__).parent.parent / "examples" / "tour.ipynb"


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_the_tour_runs_twice(here: Path) -> None:
    """In a kernel of its own, where a second run finds what the first one has trained."""
    scores = []
    for _ in range(2):
        notebook = nbformat.read(TOUR, as_version=4)
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
        shown = [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]
        scores.append([text for text in shown if text.startswith(("<Run", "<Comparison"))])
    assert len(scores[0]) == 3
    assert scores[0] == scores[1]
    assert sorted(path.name for path in (here / "runs").iterdir()) == ["digits", "moons", "wine"]


def test_the_tour_is_kept_without_outputs() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
