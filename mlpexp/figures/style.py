"""What all figures share: colours and their meaning, type sizes, placing, and the way to a file.

Figures are built without pyplot, whose import costs half a second. Those of a run are placed in inches: with
matplotlib's constrained layout 40 XOR runs take 1.29 times as long, end to end. Those of a sweep use it. matplotlib
itself is imported where it is used.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from mlpexp.figures.formats import Format

# A colour means the same in every figure. Those that stand together differ for readers with protanopia, deuteranopia
# or tritanopia too. Most are of Okabe & Ito (2008), whose blue and reddish purple tritanopia and protanopia bring near.
TRAIN, VAL, TEST = "#0072B2", "#E69F00", "#882255"
RIGHT, WRONG = "#009E73", "#D55E00"
TRUE_FUNCTION, NETWORK = "#777777", "#000000"
NEUTRAL, INK = "#B8B8B8", "#262626"
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
MARKERS = {"train": "o", "val": "s", "test": "^"}

# For classes. Found by search: the least CIEDE2000 between two of them, in any of the four kinds of vision, is 10.8.
_CLASSES = (
    *("#0072B2", "#D55E00", "#882255", "#99DD88", "#004400", "#BB99FF"),
    *("#3300BB", "#00BB99", "#DDCC00", "#DD77BB", "#BB9966", "#995544"),
)

TITLE, TEXT, SMALL = 12.0, 10.0, 9.0  # type sizes in points
POINT = 1 / 72  # inches
LINE = 0.2  # inches from one line of small type to the next
DPI = 200  # dots an inch

# For class names in East Asian scripts; the first one that is installed is used.
_EAST_ASIAN = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Heiti TC"),
)

# What tells when a file was written: without it the same figure is the same file.
_DATE = {"svg": "Date", "pdf": "CreationDate"}

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _matplotlib() -> Any:
    """matplotlib, whatever backend the environment names: figures are drawn here without one.

    It fails to be imported where MPLBACKEND names none that it knows, such as that of a Jupyter kernel whose package
    is not installed. One that it knows is still the one of whoever shows figures of their own.
    """
    named = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    # That it has looked for the fonts of this machine is not news of a run.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    if named and "matplotlib.pyplot" not in sys.modules:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named
    return matplotlib


@cache
def _settings() -> Any:
    """matplotlib's defaults, whatever the user's matplotlibrc says, and ours."""
    matplotlib = _matplotlib()
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    east_asian = [name for name in _EAST_ASIAN if name in installed][:1]
    defaults: dict[str, Any] = {k: value for k, value in matplotlib.rcParamsDefault.items() if k != "backend"}
    return defaults | {
        "font.family": ["DejaVu Sans", *east_asian],
        "font.size": TEXT,
        "axes.labelsize": TEXT,
        "axes.titlesize": TEXT,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#888888",
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": "#E4E4E4",
        "axes.axisbelow": True,
        # Inches around each panel with its labels, where matplotlib places panels.
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.08,
        # TrueType fonts, which can be searched and edited; outlines, since a viewer may lack our fonts.
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        # The same figure is the same file.
        "svg.hashsalt": "mlpexp",
    }


@contextmanager
def _style() -> Iterator[None]:
    with _matplotlib().rc_context(_settings()), warnings.catch_warnings():
        # A name in a script that no installed font has is drawn as boxes: no reason to fail or to warn.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Makes a function draw in our style, and leaves matplotlib's global settings alone."""

    @wraps(draw)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with _style():
            return draw(*args, **kwargs)

    return call


@styled
def drawn(figure: Figure, format: Format = "png", dpi: float = DPI) -> bytes:
    """The figure as a file; `dpi` is that of PNG, and of images within SVG and PDF."""
    file = io.BytesIO()
    if format == "png":
        # Higher levels of compression take longer than they save.
        figure.savefig(file, format=format, dpi=dpi, pil_kwargs={"compress_level": 3})
    else:
        # Under Hydra's logging it would tell of each table of each font.
        logging.getLogger("fontTools").setLevel(logging.WARNING)
        figure.savefig(file, format=format, dpi=dpi, metadata={_DATE[format]: None})
    return file.getvalue()


def panels(
    columns: int,
    width: float,
    height: float,
    *,
    left: float = 0.85,
    right: float = 0.2,
    bottom: float = 0.6,
    top: float = 0.25,
    gap: float = 0.9,
) -> tuple[Figure, list[Axes]]:
    """A row of axes of `width` × `height` inches, and the room around and between them, in inches."""
    from matplotlib.figure import Figure

    total_width = left + columns * width + (columns - 1) * gap + right
    total_height = bottom + height + top
    figure = Figure(figsize=(total_width, total_height), dpi=DPI)
    axes = []
    for column in range(columns):
        x = left + column * (width + gap)
        box = (x / total_width, bottom / total_height, width / total_width, height / total_height)
        axes.append(figure.add_axes(box))
    return figure, axes


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty page whose coordinates are inches from its upper left corner.

    Many small panels drawn on it take a fifth of the time that an Axes for each would.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_xlim(0, width)
    page.set_ylim(height, 0)
    page.set_axis_off()
    return figure, page


def heading(figure: Figure, text: str, left: float, room: float | None = None) -> None:
    """The title of a figure, at its top, `left` inches from its edge, cut to `room` inches or to the figure's width."""
    width, height = figure.get_size_inches()
    if text:
        said = fit(text, TITLE, width - left - 0.1 if room is None else room)
        figure.text(left / width, 1 - 0.1 / height, said, fontsize=TITLE, va="top", ha="left")


def legend(figure: Figure, handles: Mapping[str, Artist], left: float, top: float, columns: int = 1) -> None:
    """A legend outside of all panels, its upper left corner `left` and `top` inches from that of the figure."""
    width, height = figure.get_size_inches()
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="upper left",
        bbox_to_anchor=(left / width, 1 - top / height),
        ncols=columns,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
    )


def legend_width(labels: Sequence[str]) -> float:
    """How many inches a legend of one column takes."""
    lines = [line for label in labels for line in label.split("\n")]
    return 0.45 + max((text_width(line, SMALL) for line in lines), default=0.0)


def plain_numbers(axis: Axis) -> None:
    """Ticks such as 0.01 or 1e-05: quicker to draw than powers of ten, and never an offset in a corner."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def few_numbers(panel: Axes) -> None:
    """Plain ticks on both linear axes, few enough for long ones such as −100000 to stand side by side."""
    from matplotlib.ticker import MaxNLocator

    for axis, dots in ((panel.xaxis, panel.bbox.width), (panel.yaxis, panel.bbox.height)):
        axis.set_major_locator(MaxNLocator(max(int(1.3 * dots / DPI), 3), steps=[1, 2, 2.5, 5, 10]))
        plain_numbers(axis)


def number(value: float, digits: int = 6) -> str:
    """A number in few characters, with a proper minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def every(n: int, most: int = 2000) -> slice:
    """Picks at most `most` of n points, evenly: more would hide each other."""
    return slice(None, None, max(-(-n // most), 1))


def class_colours(n_classes: int) -> np.ndarray:
    """RGB colours [C, 3] that tell classes apart; past twelve by hue alone."""
    from matplotlib.colors import hsv_to_rgb, to_rgb

    if n_classes <= len(_CLASSES):
        return np.array([to_rgb(colour) for colour in _CLASSES[:n_classes]])
    hue = np.arange(n_classes) / n_classes
    saturation, value = np.full(n_classes, 0.65), np.where(np.arange(n_classes) % 2, 0.9, 0.6)
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, value], 1)))


def label(text: str, limit: int = 24) -> str:
    """A name given by a user, safe to draw: one line, at most `limit` columns, `$` not taken for a formula."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    text = text or "''"
    columns = [2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text]
    if sum(columns) > limit:
        text = text[: int(np.searchsorted(np.cumsum(columns), limit))].rstrip() + "…"
    return text.replace("$", r"\$")


def fit(text: str, size: float, width: float) -> str:
    """A name given by a user, cut so that it is at most `width` inches wide at `size` points."""
    for limit in range(min(2 * len(text) + 2, 120), 1, -1):
        if text_width(label(text, limit), size) <= width:
            return label(text, limit)
    return "…"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Inches that a text takes at `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=_settings()["font.family"], size=size)
    width = text_to_path.get_text_width_height_descent(text.replace(r"\$", "$"), font, ismath=False)[0]
    # At small sizes hinting sets letters a little wider than they are designed.
    return 1.05 * float(width) * POINT
