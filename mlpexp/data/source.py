"""The file or folder that a dataset was read from: its path, and a digest that detects changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Index

# File name suffixes of images.
IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Source:
    """A file, or a folder of files, at the time it was read."""

    path: str
    """Its path."""
    n_rows: Index
    """Number of rows, without the header."""
    columns: tuple[str, ...]
    """Names of the columns, in file order."""
    sha256: str
    """The SHA-256 digest of its content."""

    @staticmethod
    def of(path: Path, n_rows: int, columns: Sequence[str]) -> Source:
        """The source of rows read from the file at `path`."""
        return Source(str(path.absolute()), n_rows, tuple(columns), digest(path))

    def find(self, places: Iterable[Path]) -> tuple[Path | None, Path | None]:
        """The first of the paths with the same content, and the first path that exists; None if there is none."""
        other = None
        for place in places:
            try:
                if place.is_file() or place.is_dir():
                    if digest(place) == self.sha256:
                        return place, other
                    other = other or place
            except OSError:
                continue
        return None, other

    def find_again(
        self, named: str, data_dir: Path, run: Path, file: Path | None, now: Callable[[Path], Source]
    ) -> Path:
        """The present path of the file that the config of a `run` names; `file`, if the user gives it.

        ConfigError if it is missing or has changed; then `now` reads it, so that the message can name the differences.
        """
        # The run directory may contain the data, or may have been moved together with them.
        beside = [run / Path(named).name, *(above / named for above in run.absolute().parents)]
        of_data = [data_dir / named, data_dir / Path(named).name]
        places = [Path(named), Path(self.path), *of_data, *beside] if file is None else [file]
        path, other = self.find(places)
        if path is not None:
            return path
        if other is None:
            listed = ", ".join(map(str, dict.fromkeys(places[:2])))
            raise ConfigError(
                f"{run}: the data that it was trained on are not there ({listed}); name them: --data PATH, or "
                "data_dir=DIR for the folder that holds them."
            )
        raise changed(run, other, self.difference(now(other)))

    def difference(self, now: Source) -> str:
        """The differences of the present file `now` from this one, in words."""
        if now.columns != self.columns:
            return f"has other columns: {_difference(self.columns, now.columns)}"
        if now.n_rows != self.n_rows:
            return f"has {now.n_rows:,} rows, and had {self.n_rows:,}"
        return "has another content, in as many rows and the same columns"


def changed(run: Path, path: Path, what: str) -> ConfigError:
    """The error for data that differ from those of the `run`: after a new split, training rows would be among the test
    rows."""
    return ConfigError(
        f"{run}: the data that it was trained on have changed: {path} {what}. Put the former file back or name it "
        f"(--data FILE), train a new run on this one, or evaluate all of its rows: mlpexp eval {run} --data {path}"
    )


def digest(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal; 89 MB take 0.05 s. For a folder: the digest of the sorted names and
    digests of the images below it."""
    if path.is_dir():
        parts = (f"{file.relative_to(path).as_posix()}\0{digest(file)}\n" for file in image_files(path))
        return hashlib.sha256("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def image_files(folder: Path) -> list[Path]:
    """The images at any depth below a folder, sorted by name; hidden ones and links to folders are left out."""
    found = []
    for above, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(above, name) for name in names if not name.startswith("."))
        found += [file for file in files if file.suffix.lower() in IMAGES and file.is_file()]
    return sorted(found, key=lambda file: file.relative_to(folder).parts)


def _raise(error: OSError) -> None:
    raise error


def _difference(before: Sequence[str], now: Sequence[str]) -> str:
    gone = [name for name in before if name not in now]
    new = [name for name in now if name not in before]
    parts = [f"{', '.join(names)} {what}" for names, what in ((gone, "missing"), (new, "added")) if names]
    return " and ".join(parts) or f"their order was {', '.join(before)}"
