"""Single samples: which are chosen, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mlpexp.figures import style
from mlpexp.figures.predictions import choose_examples, image_grid, probability_bars

Read = Callable[[Figure], list[str]]  # the fixture's

DIGITS = [str(k) for k in range(10)]
NAMES = [
    "T-shirt/top",
    "a very long class name",
    "cost $5",
    "_hidden",
    "日本語の名前の長いもの",
    "",
    "x",
    "y",
    "z",
    "w",
]


def test_all_samples_in_their_order_where_they_fit() -> None:
    np.testing.assert_array_equal(choose_examples(np.arange(4), np.array([0, 9, 2, 9]), np.ones(4), 12), range(4))


def test_most_confident_mistakes_first_then_right_ones_spread_over_the_data() -> None:
    true = np.zeros(20, int)
    predicted, probability = np.zeros(20, int), np.full(20, 0.9)
    predicted[[3, 5, 11, 17]], probability[[3, 5, 11, 17]] = 1, [0.6, 0.8, 0.7, 0.8]
    chosen = choose_examples(true, predicted, probability, 6)
    assert chosen[:3].tolist() == [5, 17, 11]
    # The 16 right ones, at steps of a third.
    assert chosen[3:].tolist() == [0, 7, 13]


@pytest.mark.parametrize(("n_wrong", "expected"), [(0, 0), (2, 2), (10, 5), (97, 7), (100, 10)])
def test_up_to_half_are_mistakes_unless_right_ones_are_too_few(n_wrong: int, expected: int) -> None:
    true, predicted = np.zeros(100, int), np.zeros(100, int)
    predicted[:n_wrong] = 1
    chosen = choose_examples(true, predicted, np.full(100, np.nan), 10)
    assert len(set(chosen.tolist())) == 10
    assert int((predicted[chosen] != 0).sum()) == expected


@pytest.mark.parametrize("n", [1, 25])
@pytest.mark.parametrize("classes", [DIGITS, NAMES], ids=["digits", "names"])
def test_image_grid(n: int, classes: list[str], read: Read) -> None:
    generator = np.random.default_rng(n)
    images, probability = generator.random((n, 8, 6)), generator.random(n)
    true, predicted = generator.integers(0, 10, (2, n))
    figure = image_grid(images, true, predicted, probability, classes, title="Test split")
    texts = read(figure)
    (page,) = figure.axes
    shown = min(n, 20)
    assert len(page.images) == shown
    for k, (image, text) in enumerate(zip(page.images, page.texts, strict=True)):
        np.testing.assert_array_equal(image.get_array(), images[k])
        assert text.get_color() == (style.RIGHT if true[k] == predicted[k] else style.WRONG)
    assert "Test split" in texts


def test_image_title_says_prediction_probability_and_truth() -> None:
    figure = image_grid(np.zeros((2, 4, 4)), np.array([5, 1]), np.array([3, 1]), np.array([0.97, 0.999]), DIGITS)
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "predicted 3 (97 %)\ntrue 5",
        "predicted 1 (>99 %)\ntrue 1",
    ]


def bars(figure: Figure) -> tuple[np.ndarray, list[str]]:
    """Lengths of the bars in inches, and their colours."""
    (collection,) = figure.axes[0].collections
    boxes = [path.get_extents() for path in collection.get_paths()]
    return np.array([box.width for box in boxes]), [to_hex(c).upper() for c in collection.get_facecolor()]  # type: ignore[arg-type]


def test_bars_of_a_truth_table(read: Read) -> None:
    probabilities = np.array([[0.9, 0.1], [0.25, 0.75], [0.6, 0.4], [1, 0]])
    figure = probability_bars(
        probabilities, np.array([0, 1, 1, 0]), ["0", "1"], ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"]
    )
    texts = read(figure)
    lengths, colours = bars(figure)
    np.testing.assert_allclose(lengths / lengths.max(), probabilities.ravel())
    right, wrong, other = style.RIGHT, style.WRONG, style.NEUTRAL
    assert colours == [right, other, other, right, wrong, right, right, other]
    assert {"(0, 0)", "predicted 1: right", "predicted 0, true 1", "90 %", "25 %", "100 %", "0 %"} <= set(texts)


@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (1, 10), (4, 5), (5, 11), (15, 2), (15, 10), (1, 200)])
def test_bars_of_any_size_can_be_read(n_classes: int, n: int, read: Read) -> None:
    generator = np.random.default_rng(n)
    names = [f"class number {k}" for k in range(n_classes)] if n_classes > 10 else NAMES[:n_classes]
    probabilities = generator.dirichlet(np.full(n_classes, 0.3), n)
    figure = probability_bars(probabilities, generator.integers(0, n_classes, n), names, ["(1, 2, …)" * 5] * n, "Test")
    read(figure)
    assert len(bars(figure)[0]) == min(n, 12) * min(n_classes, 10)


def test_many_classes_show_the_likeliest_and_the_true_one() -> None:
    probabilities = np.arange(40, 0, -1)[None] / 820
    figure = probability_bars(probabilities, np.array([30]), [f"c{k}" for k in range(40)], ["(1)"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in texts if text.startswith("c")] == [*(f"c{k}" for k in range(9)), "c30"]
    lengths, colours = bars(figure)
    np.testing.assert_allclose(lengths / lengths[0], [*np.arange(40, 31, -1) / 40, 10 / 40])
    assert (colours[0], colours[-1]) == (style.WRONG, style.RIGHT)


def test_network_that_gives_no_numbers(read: Read) -> None:
    read(probability_bars(np.full((2, 3), np.nan), np.array([0, 1]), ["a", "b", "c"], ["", "x"]))
    figure = image_grid(np.zeros((1, 2, 2)), np.array([0]), np.array([0]), np.array([np.nan]), DIGITS)
    assert read(figure)[-2:] == ["predicted 0 (not a number)", "true 0"]
