"""Several curves in one panel: their colours, and widths with which all are seen where they coincide."""

from __future__ import annotations

import numpy as np

from mlpexp.figures import style

# Okabe & Ito (2008), those that show best on white first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#B5A800")
# More curves than this would hide each other in one panel: each gets a small one of its own.
MOST_TOGETHER = 6


def colours(n: int) -> list[str]:
    """As many colours, told apart also by those who are colour-blind where there are at most twelve."""
    from matplotlib.colors import to_hex

    return list(COLOURS[:n]) if n <= len(COLOURS) else [to_hex(colour) for colour in style.class_colours(n)]


def widths(n: int) -> list[float]:
    """Line widths in points: what is drawn first is widest, and shows on both sides of what lies on it."""
    return [float(width) for width in np.linspace(3.4, 1.4, n)] if n > 1 else [2.0]
