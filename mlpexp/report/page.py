"""The page itself: HTML with its style and all pictures in it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from mlpexp.comparison.claims import by_chance
from mlpexp.report.section import Section

TEMPLATE = Path(__file__).with_name("page.html")


def page(title: str, sections: Sequence[Section], introduction: str = "") -> str:
    """The whole page. All text from runs is escaped: it cannot bring in a script."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    judgements = [judgement for section in sections for judgement in section.judgements]
    versions = f"mlpexp {version('mlpexp')}, torch {version('torch')}, {platform.python_implementation()}"
    return template.render(
        title=title,
        introduction=introduction,
        sections=sections,
        verdicts=Counter(judgement.verdict for judgement in judgements),
        by_chance=by_chance(judgements),
        made=f"{versions} {platform.python_version()}, {datetime.now():%Y-%m-%d %H:%M}",
    )
