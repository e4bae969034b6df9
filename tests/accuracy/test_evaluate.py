"""Accuracy, agreement and the paired interval, on cases small enough to count by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mocovit_deploy.accuracy import evaluate as evaluation
from mocovit_deploy.accuracy.evaluate import NO_ANSWER, accuracy, classes, evaluate, paired_drop, top_1


def rights(both: int, only_reference: int, only_found: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    reference = [True] * (both + only_reference) + [False] * (only_found + neither)
    found = [True] * both + [False] * only_reference + [True] * only_found + [False] * neither
    return np.array(reference), np.array(found)


def test_a_hand_made_case() -> None:
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7])
    reference = np.array([0, 1, 2, 3, 4, 5, 0, 0])  # 6 right
    found = np.array([0, 1, 2, 3, 9, 0, 6, 0])  # 5 right: two lost, one gained, one wrong alike
    judged = evaluate(labels, reference, found)
    assert judged.images == 8
    assert judged.accuracy == 5 / 8
    assert judged.reference_accuracy == 6 / 8
    assert judged.agreement == 5 / 8
    assert judged.drop.value == 1 / 8
    assert judged.without_answer == 0


def test_equal_answers_are_not_certainty() -> None:
    drop = paired_drop(*rights(950, 0, 0, 50))
    assert drop.value == 0
    assert drop.high == pytest.approx(1.959964**2 / (1000 + 1.959964**2))  # the score test in closed form
    assert drop.low == pytest.approx(-drop.high)


def test_a_real_drop_is_reported() -> None:
    drop = paired_drop(*rights(900, 40, 10, 50))
    assert drop.value == pytest.approx(0.03)
    assert drop.low > 0.015
    assert drop.high < 0.046


def test_the_same_number_lost_and_gained_is_no_drop() -> None:
    drop = paired_drop(*rights(900, 25, 25, 50))
    assert drop.value == 0
    assert drop.low < 0 < drop.high


def test_pairing_is_what_makes_the_interval_narrow() -> None:
    reference, found = rights(900, 8, 2, 90)
    paired = paired_drop(reference, found)
    shuffled = paired_drop(reference, np.random.default_rng(0).permutation(found))
    assert shuffled.value == pytest.approx(paired.value)
    assert shuffled.high - shuffled.low > 3 * (paired.high - paired.low)


def test_edges_are_where_the_score_test_turns() -> None:
    """The likeliest share found by trying two million instead of by the quadratic."""
    b, c, n = 12, 5, 400
    drop = paired_drop(*rights(n - b - c, b, c, 0))
    for edge in (drop.low, drop.high):
        grid = np.linspace(max(0.0, -edge) + 1e-9, (1 - edge) / 2 - 1e-9, 2_000_001)
        likelihood = b * np.log(grid + edge) + c * np.log(grid) + (n - b - c) * np.log(1 - 2 * grid - edge)
        share = grid[likelihood.argmax()]
        score = (b - c - n * edge) / np.sqrt(n * (2 * share + edge * (1 - edge)))
        assert abs(score) == pytest.approx(1.959964, abs=1e-3)


def test_edges_are_those_of_another_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    """R's PropCIs 0.3: scoreci.mp(25, 28, 618) at 90 % gives -0.0148 to 0.0247."""
    monkeypatch.setattr(evaluation, "NORMAL_95", 1.644854)
    drop = paired_drop(*rights(618 - 53, 28, 25, 0))
    assert (round(drop.low, 4), round(drop.high, 4)) == (-0.0148, 0.0247)


def test_swapping_sides_mirrors_the_interval() -> None:
    one, other = paired_drop(*rights(80, 7, 2, 11)), paired_drop(*rights(80, 2, 7, 11))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize(
    ("lost", "gained"),
    [(0, 0.5), (0, 2), (2, 0), (0, 10), (1, 1), (5, 2), (5, 5), (10, 3)],
    ids=lambda expected: f"{expected} images",
)
def test_the_interval_covers_the_truth(lost: float, gained: float) -> None:
    """The exact probability, over all outcomes of 1000 images, that the interval holds the true drop."""
    n, covered = 1000, 0.0
    rates = lost / n, gained / n
    for b, c in itertools.product(range(33), range(33)):
        chance = multinomial((b, c, n - b - c), (*rates, 1 - sum(rates)))
        if chance > 1e-7:
            drop = paired_drop(*rights(n - b - c, b, c, 0))
            covered += chance * (drop.low <= rates[0] - rates[1] <= drop.high)
    assert covered >= 0.93


def multinomial(counts: tuple[int, ...], shares: tuple[float, ...]) -> float:
    if any(count and not share for count, share in zip(counts, shares, strict=True)):
        return 0.0
    logs = (k * math.log(p) if k else 0.0 for k, p in zip(counts, shares, strict=True))
    ways = math.lgamma(sum(counts) + 1) - sum(math.lgamma(k + 1) for k in counts)
    return math.exp(ways + sum(logs))


def test_intervals_stay_within_what_is_possible() -> None:
    drop = paired_drop(*rights(0, 3, 0, 0))
    assert drop.value == 1
    assert drop.high <= 1


def test_nan_is_no_answer_and_never_agrees() -> None:
    logits = np.array([[0.0, 1.0], [np.nan, 5.0], [np.inf, 0.0], [3.0, 1.0]])
    found = top_1(logits)
    assert found.tolist() == [1, NO_ANSWER, NO_ANSWER, 0]
    judged = evaluate(np.array([1, 1, 0, 0]), found, found)
    assert judged.accuracy == 0.5
    assert judged.agreement == 0.5
    assert judged.without_answer == 2


def test_classes_joins_batches_in_order() -> None:
    batches = [np.eye(3)[[2, 0]], np.eye(3)[[1]]]
    assert classes(lambda images: images * 2, batches).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("labels", "answers"), [([], []), ([1], [1, 2]), ([[1]], [[1]])], ids=["none", "unequal", "two axes"]
)
def test_answers_must_match_labels(labels: list[int], answers: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        accuracy(np.array(labels, np.int64), np.array(answers, np.int64))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="logits"):
        top_1(np.zeros((2, 1, 3)))
    with pytest.raises(ValueError, match="same images"):
        paired_drop(np.ones(3, bool), np.ones(4, bool))
