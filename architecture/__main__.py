"""`python -m architecture`: draws architecture/rooms.svg from the imports, with a line and an arrow for each pair."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

from architecture.rooms import FLOOR, LADDER, arrows, files, room_of

TARGET = Path(__file__).parent / "rooms.svg"

# Pixels: a row of the ladder, the boxes, and how far an arc reaches out for each floor that it crosses.
ROW, BOX, LEFT, WIDTH, REACH = 46, 34, 20, 640, 13
INK, ARC, PAPER, FRAME = "#1a1a1a", "#4878a8", "#ffffff", "#9aa5b1"


def sentence(room: str) -> str:
    """The first sentence of a room's docstring."""
    path = files().get(f"mlpexp.{room}.__init__") or files()[f"mlpexp.{room}"]
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    line = " ".join(text.split("\n\n")[0].split())
    return line.split(". ")[0].rstrip(".")


def shown() -> dict[tuple[str, str], int]:
    """The arrows of the picture: those to errors.py, which nearly all rooms import, are left out."""
    return {pair: n for pair, n in arrows().items() if pair[1] != "errors"}


def drawn() -> str:
    """The picture as SVG: a box a room from the top down, its size, what it is for, and arcs to what it imports."""
    height = ROW * len(LADDER) + 20
    width = LEFT + WIDTH + REACH * len(LADDER) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{ARC}"/></marker></defs>',
    ]
    for (source, target), n in sorted(shown().items(), key=lambda entry: (entry[1], entry[0])):
        start, end = FLOOR[source], FLOOR[target]
        y0, y1 = 20 + ROW * start + BOX * 0.6, 20 + ROW * end + BOX * 0.4
        x, out = LEFT + WIDTH, LEFT + WIDTH + REACH * (end - start) + 14
        parts.append(
            f'<path d="M{x},{y0:.0f} C{out},{y0:.0f} {out},{y1:.0f} {x + 2},{y1:.0f}" fill="none" stroke="{ARC}" '
            f'stroke-width="{0.6 + 0.45 * n**0.5:.2f}" stroke-opacity="0.6" marker-end="url(#head)">'
            f"<title>{source} imports {target}: {n}</title></path>"
        )
    for floor, rooms in enumerate(LADDER):
        each = (WIDTH - 10 * (len(rooms) - 1)) / len(rooms)
        for i, room in enumerate(rooms):
            left, y = LEFT + i * (each + 10), 20 + ROW * floor
            own = [path for module, path in files().items() if room_of(module) == room]
            size = f"{len(own)} files" if len(own) > 1 else "1 file"
            name = room if len(own) > 1 else f"{room}.py"
            said = sentence(room)
            most = int((each - 20) / 6)
            said = said if len(said) <= most else said[: most - 1].rsplit(" ", 1)[0] + " …"
            parts += [
                f'<rect x="{left:.0f}" y="{y}" width="{each:.0f}" height="{BOX}" rx="4" fill="#f4f6f8" '
                f'stroke="{FRAME}"/>',
                f'<text x="{left + 10:.0f}" y="{y + 14}" font-size="12" font-weight="bold" fill="{INK}">{name}'
                f'<tspan font-weight="normal" fill="#5a6570"> · {size}</tspan></text>',
                f'<text x="{left + 10:.0f}" y="{y + 28}" font-size="11" fill="{INK}">{escape(said)}</text>',
            ]
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    TARGET.write_text(drawn(), encoding="utf-8")
    print(f"{TARGET}: {len(shown())} arrows between {len(FLOOR)} rooms")
