"""The pages of docs/: those that `make docs` writes are current, and no link leads nowhere."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
WRITTEN: dict[str, Callable[[], str]] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
DOCUMENTS = sorted(path for path in ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"\[[^\]\n]*\]\(([^()\s]+)\)")


def test_the_pages_are_those_that_are_written() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(WRITTEN)


@pytest.mark.parametrize("page", sorted(WRITTEN))
def test_a_page_of_the_reference_is_current(page: str, registries: None) -> None:
    if page == "commands.md" and sys.version_info >= (3, 13):
        pytest.skip("argparse formats options otherwise since Python 3.13")
    assert (REFERENCE / page).read_text(encoding="utf-8") == WRITTEN[page](), "not current: make docs"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = _without_code(document.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in _anchors(file), f"{target}: there is no such heading"


def _anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _without_code(file.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
