"""Images as rows of a table: channel by channel, each channel row by row.

N images, C channels, H × W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.columns import Image

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

# Names of the channels, by their number.
CHANNELS = {1: ("pixels",), 3: ("red", "green", "blue")}


def pixel_rows(images: Tensor) -> Tensor:
    """Images [N, H, W] or [N, H, W, C] as rows [N, C·H·W]."""
    return (images.movedim(3, 1) if images.ndim == 4 else images).flatten(1).contiguous()


def images_of(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Rows [N, C·H·W] of images of a `shape` (C, H, W) as figures draw them: [N, H, W], or bytes [N, H, W, C]."""
    images = rows.reshape(-1, *shape)
    return images[:, 0] if shape[0] == 1 else images.transpose(0, 2, 3, 1).round().clip(0, 255).astype("uint8")


def image_axes(shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """The array shapes allowed for an image of a `shape` (C, H, W): (H, W, C), and (H, W) if C is 1."""
    channels, height, width = shape
    return [*([(height, width)] if channels == 1 else []), (height, width, channels)]


def fitted_pixels(rows: Tensor, shape: tuple[int, int, int]) -> tuple[Image, ...]:
    """Mean and standard deviation of each channel, over all pixels of training rows [N, C·H·W], uint8.

    Computed from the histogram of the 256 pixel values: exact, and without a float copy of the rows. The deviation of a
    constant channel is 1.
    """
    import torch

    n_channels, height, width = shape
    values = torch.arange(256, dtype=torch.float64)
    found = []
    for name, channel in zip(CHANNELS[n_channels], rows.chunk(n_channels, dim=1), strict=True):
        shares = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = float((shares * values).sum())
        deviation = float((shares * (values - mean).square()).sum().sqrt())
        found.append(Image(name, height, width, mean, deviation or 1.0))
    return tuple(found)
