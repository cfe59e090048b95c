"""PNG files of ours, read by Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mlpexp.figures.png import encode


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 257)])
@pytest.mark.parametrize("dpi", [72, 100])
def test_pillow_reads_the_same_pixels(shape: tuple[int, int], dpi: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    content = encode(rgb, dpi)
    # Checks all checksums.
    Image.open(io.BytesIO(content)).verify()
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(image), rgb)
    assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)


def test_a_picture_with_alpha_beside_it_in_memory() -> None:
    rgba = np.arange(4 * 6 * 4, dtype=np.uint8).reshape(4, 6, 4)
    image = Image.open(io.BytesIO(encode(rgba[..., :3], 100)))
    np.testing.assert_array_equal(np.asarray(image), rgba[..., :3])
