"""The user's own arrays in a NumPy archive: numbers or images, with a class or a value for each row.

N rows, F features, C channels, H × W pixels.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlpexp.data.at_path import PARTS, AtPath, Rows
from mlpexp.data.dataset import datasets
from mlpexp.data.identity import Identity
from mlpexp.data.pixels import CHANNELS, pixel_rows
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    import numpy as np

_WANTED = "x and y, or x_train, y_train, x_test, y_test, and x_val, y_val if there are any; X is x too"


@datasets.register("npz")
@dataclass(frozen=True, kw_only=True)
class Npz(AtPath):
    """A file of np.savez with arrays x and y, or x_train, y_train, x_test and y_test, as in Keras.

    x holds numbers [N, F], standardised with the training rows' mean and standard deviation, or uint8 images [N, H, W]
    or [N, H, W, C] with 1 or 3 channels. y holds integers or strings (classes), or floats (values to predict).
    """

    task: Literal["auto", "classification", "regression"] = "auto"
    """What is predicted, classes or values; auto: values if y holds floats, else classes."""

    def read(self, path: Path, where: str, known: Identity | None = None) -> Rows:
        import numpy as np
        import torch

        arrays = _arrays(path, where)
        x, y = (_joined(arrays, letter, where) for letter in "xy")
        if not np.issubdtype(y.dtype, np.floating):
            task = "classification" if self.task == "auto" else self.task
        else:
            task = "regression" if self.task == "auto" else self.task
        if known is not None:
            task = known.task.kind
        parts = {} if "x" in arrays else {part: len(arrays[f"x_{part}"]) for part in PARTS if f"x_{part}" in arrays}
        classes: tuple[str, ...] = ()
        if task == "classification":
            classes, labels = _classes(y)
            targets = torch.from_numpy(labels)
        elif y.dtype.kind in "US":
            raise ConfigError(f"{where}: y holds text; dataset.task=regression needs numbers.")
        else:
            targets = torch.from_numpy(y.astype(np.float64))[:, None]
        if x.ndim == 2:
            return Rows(torch.from_numpy(x.astype(np.float64)), targets, classes, None, parts)
        images = torch.from_numpy(np.ascontiguousarray(x))
        shape = (images.shape[3] if images.ndim == 4 else 1, *images.shape[1:3])
        return Rows(pixel_rows(images), targets, classes, shape, parts)


def is_archive(path: Path) -> bool:
    """Whether the file at `path` begins like a file of np.savez or np.save."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            magic = file.read(6)
        if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return all(name.endswith(".npy") for name in zipfile.ZipFile(path).namelist())
        return magic == b"\x93NUMPY"
    except (OSError, ValueError):
        return False
    except (zipfile.BadZipFile, NotImplementedError):
        return path.suffix.lower() == ".npz"


def arrays_to_predict(path: Path, where: str) -> tuple[np.ndarray, list[str], dict[str, np.ndarray]]:
    """Rows to predict, the origin of each row, and further arrays, of an .npy or .npz file.

    The rows are the array of an .npy file, or x or the only array of an .npz file. If the file holds x_train, x_test
    and so on, these are concatenated, and the origin is the name of each row's array; else the origin is empty.
    The further arrays are all those with one value per row, by name.
    """
    with _opened(path, where) as file:
        names = [""] if hasattr(file, "dtype") else list(file.files)
        arrays = {"": file} if hasattr(file, "dtype") else {name: _read(file, name, where) for name in names}
    whole = names if len(names) == 1 else [name for name in names if name in ("x", "X")]
    parts = [name for part in PARTS for name in names if name in (f"x_{part}", f"X_{part}")]
    used = whole or parts
    if not used or len(whole) > 1:
        held = f"holds the arrays {', '.join(names)}" if names else "holds no arrays"
        raise ConfigError(f"{where}: {held}; the rows to predict must be in x, or in the one array that there is.")
    for name in used:
        called, x = name or "the array", arrays[name]
        if x.dtype.kind not in "biuf" or x.ndim < 2:
            raise ConfigError(f"{where}: {called} {_form(x)}; rows of numbers [N, F], or images, are needed.")
        if x.shape[1:] != arrays[used[0]].shape[1:]:
            raise ConfigError(f"{where}: {called} {_form(x)}, and {used[0]} {_form(arrays[used[0]])}.")
    if not (n := sum(len(arrays[name]) for name in used)):
        raise ConfigError(f"{where}: holds no rows.")
    if len(used) == 1:
        others = {name: array for name, array in arrays.items() if name not in used and array.shape == (n,)}
        return arrays[used[0]], [], {name: array for name, array in others.items() if array.dtype.kind in "biufUS"}
    import numpy as np

    return np.concatenate([arrays[name] for name in used]), [name for name in used for _ in arrays[name]], {}


def _arrays(path: Path, where: str) -> dict[str, np.ndarray]:
    """The arrays of a file by name (`x`, or `x_train` and so on); each has been checked individually."""
    with _opened(path, where) as file:
        if hasattr(file, "dtype"):
            raise ConfigError(f"{where}: is an .npy file of one array; an .npz file with x and y is needed (np.savez).")
        names = _names(file.files, where)
        arrays = {plain: _read(file, name, where) for plain, name in names.items()}
    _check(arrays, names, where)
    return arrays


@contextmanager
def _opened(path: Path, where: str) -> Iterator[Any]:
    """The result of np.load; ConfigError if the file cannot be read."""
    import numpy as np

    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise ConfigError(f"{where}: {what}; an .npz file is needed.")
    try:
        with path.open("rb") as opened:
            # Without pickle the file cannot execute code.
            yield np.load(opened, allow_pickle=False)
    except ConfigError:
        raise
    except MemoryError:
        raise ConfigError(f"{where}: needs more memory than there is.") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None)
        form = (
            "an .npy file as written by np.save"
            if path.suffix.lower() == ".npy"
            else "an .npz file as written by np.savez"
        )
        raise ConfigError(f"{where}: cannot be read: {reason}." if reason else f"{where}: is not {form}.") from None


def _read(file: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    try:
        return file[name]
    except ValueError:
        raise ConfigError(
            f"{where}: {name} holds Python objects, which are not read; save numbers, or text as dtype str."
        ) from None
    except MemoryError:
        raise ConfigError(f"{where}: {name} needs more memory than there is.") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ConfigError(f"{where}: {name} cannot be read: {str(error).rstrip('.') or 'it ends early'}.") from None


def _check(arrays: Mapping[str, np.ndarray], names: Mapping[str, str], where: str) -> None:
    """ConfigError for the first unsuitable array; `names` are the names in the file."""
    import numpy as np

    for plain, array in arrays.items():
        fault = _fault_of_x(array) if plain.startswith("x") else _fault_of_y(array)
        if fault is not None:
            raise ConfigError(f"{where}: {names[plain]} {_form(array)}; {fault}.")
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            at, n = tuple(np.argwhere(~finite)[0].tolist()), int((~finite).sum())
            raise ConfigError(
                f"{where}: {names[plain]}[{', '.join(map(str, at))}] is {array[at]}; "
                f"{'one value is' if n == 1 else f'{n:,} values are'} not finite."
            )
    for plain in (plain for plain in arrays if plain.startswith("x")):
        x, y = plain, f"y{plain[1:]}"
        if len(arrays[x]) != len(arrays[y]):
            raise ConfigError(
                f"{where}: {names[x]} has {pluralize(len(arrays[x]), 'row')} and {names[y]} {len(arrays[y])}; "
                "each row of x needs its own of y."
            )


def _names(files: list[str], where: str) -> dict[str, str]:
    """The names in the file of `x`, `y`, or `x_train` and so on: in upper or lower case."""
    held = f"holds the arrays {', '.join(files)}" if files else "holds no arrays"
    names: dict[str, str] = {}
    for name in files:
        letter, _, part = name.partition("_")
        if letter in ("x", "X", "y", "Y") and (part in PARTS or name == letter):
            plain = name[0].lower() + name[1:]
            if plain in names:
                raise ConfigError(f"{where}: {held}; of {names[plain]} and {name} there may be one.")
            names[plain] = name
    whole = "x" in names or "y" in names
    endings = (
        [""] if whole else ["_train", *(f"_{part}" for part in PARTS[1:] if {f"x_{part}", f"y_{part}"} & {*names})]
    )
    wanted = [f"{letter}{ending}" for ending in endings for letter in "xy"]
    if (whole and len(names) > 2) or any(name not in names for name in wanted):
        raise ConfigError(f"{where}: {held}; must hold {_WANTED}.")
    return names


def _fault_of_x(x: np.ndarray) -> str | None:
    if x.dtype.kind not in "biuf":
        return "must be numbers"
    if x.ndim == 2:
        return None if x.size else "must have rows and columns"
    if x.ndim not in (3, 4):
        return "must be numbers [N, F], or images of uint8, [N, H, W] or [N, H, W, C]"
    if x.dtype != "uint8":
        return "images must be uint8, 0 to 255; rows of numbers are [N, F]"
    if x.ndim == 4 and x.shape[3] not in CHANNELS:
        hint = "; np.moveaxis(x, 1, 3) puts them last" if x.shape[1] in CHANNELS else ""
        return f"images [N, H, W, C] must have 1 or 3 channels{hint}"
    return None if x.size else "must have rows and pixels"


def _fault_of_y(y: np.ndarray) -> str | None:
    if y.dtype.kind not in "biufUS":
        return "must be whole numbers or text, the classes, or floats, the values"
    if y.ndim == 2 and y.shape[1] > 1:
        return "must be [N], one class or value a row (of one-hot rows y.argmax(1))"
    return None if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1) else "must be [N]"


def _form(array: np.ndarray) -> str:
    return f"is {array.dtype} {list(array.shape)}"


def _joined(arrays: Mapping[str, np.ndarray], letter: str, where: str) -> np.ndarray:
    """All rows of x, or y [N], in the order train, val, test."""
    import numpy as np

    names = [name for name in (letter, *(f"{letter}_{part}" for part in PARTS)) if name in arrays]
    parts = [arrays[name] for name in names]
    if letter == "y":
        parts = [part.reshape(-1) for part in parts]
    for name, part in zip(names, parts, strict=True):
        alike = (part.dtype.kind in "US") == (parts[0].dtype.kind in "US") and part.shape[1:] == parts[0].shape[1:]
        if not alike or (part.ndim > 2 and part.dtype != parts[0].dtype):
            raise ConfigError(
                f"{where}: {name} {_form(arrays[name])}, and {names[0]} {_form(arrays[names[0]])}; "
                "all parts must have the same form."
            )
    return np.concatenate(parts)


def _classes(y: np.ndarray) -> tuple[tuple[str, ...], Any]:
    """The names of the classes in ascending order (numeric for numbers), and the class of each row [N]."""
    import numpy as np

    values, labels = np.unique(y, return_inverse=True)
    names = [_class_name(value) for value in values.tolist()]
    return tuple(names), labels.reshape(-1).astype(np.int64)


def _class_name(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # 1 and 1.0 are one class.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
