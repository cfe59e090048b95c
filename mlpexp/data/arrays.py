"""Arrays and data frames as raw rows, the input of a network's preprocessing.

N rows, R raw columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpexp.data.columns import Image, Number
from mlpexp.data.pixels import image_axes, pixel_rows
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from mlpexp.data.preprocessing import Preprocessing

# At most this many columns are named in a message.
_MOST_NAMES = 30


def raw_rows(x: Any, known: Preprocessing, where: str, first: int = 0) -> np.ndarray:
    """Raw rows [N, R], float64, of an array of numbers or images, or of a data frame; its columns are matched by name.

    ConfigError, whose message begins with `where`, if shapes or columns differ from those of training, or a value is
    not finite. The message numbers the rows from `first` + 1.
    """
    import numpy as np
    import torch

    names = known.names
    if names and hasattr(x, "columns"):
        from mlpexp.data.tables.frames import table_of
        from mlpexp.data.tables.matrix import rows_of

        return rows_of(table_of(x, where), known.columns).numpy()
    if others := [column for column in known.columns if not isinstance(column, Number | Image)]:
        raise ConfigError(
            f"{where}: the column '{others[0].name}' holds a {others[0].kind}; give a data frame with columns of these "
            f"names: {', '.join(names[:_MOST_NAMES])}."
        )
    try:
        given = np.array(x, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: all inputs must be numbers.") from None
    shape = known.image_shape
    if shape is not None and given.shape[1:] in image_axes(shape):
        given = pixel_rows(torch.from_numpy(given)).numpy()
    if given.ndim != 2 or given.shape[1] != known.n_raw:
        listed = f": {', '.join(names)}" if 0 < len(names) <= _MOST_NAMES else ""
        images = f" or images [N, {str(image_axes(shape)[0])[1:-1]}]" if shape else ""
        found = " × ".join(map(str, given.shape))
        raise ConfigError(
            f"{where}: inputs must be rows of {known.n_raw} columns{listed}{images}; their shape is {found}."
        )
    # NaN is allowed in columns that had missing values in training.
    valid = np.isfinite(given)
    if names:
        valid |= np.isnan(given) & [getattr(column, "median", None) is not None for column in known.columns]
    if not valid.all():
        row, column = np.argwhere(~valid)[0]
        name = f"'{names[column]}'" if names else str(column + 1)
        raise ConfigError(
            f"{where}: row {first + row + 1}, column {name}: is {given[row, column]}; inputs must be finite."
        )
    return given
