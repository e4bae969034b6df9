"""The factor, its errors, and that the documentation holds the tables that the data make."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.devices import device
from benchmarks.devices import latency_fit as calibration
from benchmarks.devices.latency_fit import Pair, deviation_percent, errors, factor, leave_one_out

DOCUMENT = Path(calibration.__file__).parents[2] / "docs" / "modelled-against-published.md"


def pair(net: str, bound_ms: float, measured_ms: float) -> Pair:
    return Pair(net=net, million_instructions=10 * bound_ms, bound_ms=bound_ms, measured_ms=measured_ms)


def test_factor_is_a_geometric_mean() -> None:
    pairs = [pair("a", 1.0, 1.0), pair("b", 100.0, 400.0)]
    assert factor(pairs, "bound_ms") == pytest.approx(2.0)
    assert factor(pairs, "million_instructions") == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least one pair"):
        factor([], "bound_ms")


def test_network_left_out_is_not_seen() -> None:
    pairs = [pair("a", 1.0, 2.0), pair("b", 2.0, 4.0), pair("odd", 1.0, 8.0)]
    odd = leave_one_out(pairs, "bound_ms")[2]
    assert odd.net == "odd"
    assert odd.modelled_ms == pytest.approx(2.0)
    assert odd.error_percent == pytest.approx(-75)


def test_errors_of_the_sixteen_networks() -> None:
    """The numbers of the record: 5.7 % mean, 3.3 % median, 23.7 % worst; instructions alone do worse."""
    pairs = calibration.read_published().fit.pair
    assert len(pairs) == 16
    by_bound = errors(leave_one_out(pairs, "bound_ms"))
    by_instructions = errors(leave_one_out(pairs, "million_instructions"))
    assert [round(e, 1) for e in (by_bound.mean, by_bound.median, by_bound.worst)] == [5.7, 3.3, 23.7]
    assert by_bound.mean < by_instructions.mean
    assert by_bound.median < by_instructions.median


def test_device_file_holds_the_fitted_factor() -> None:
    model = device.load_device("snapdragon_855").model[0]
    assert model.factor == round(factor(calibration.read_published().fit.pair, "bound_ms"), 3)


def test_band_is_the_worst_of_both_tables() -> None:
    data = calibration.read_published()
    fitted = factor(data.fit.pair, "bound_ms")
    left = [deviation_percent(p.measured_ms, p.modelled_ms) for p in leave_one_out(data.fit.pair, "bound_ms")]
    same = [
        deviation_percent(row.published_ms, row.bound_ms * fitted)
        for row in data.published
        if row.same_runtime
    ]
    assert same
    assert calibration.error_band_percent() == max(map(abs, [*left, *same]))
    assert calibration.error_band_percent() > 25


def test_deviation_is_a_share_of_the_modelled_figure() -> None:
    assert deviation_percent(30.0, 20.0) == pytest.approx(50)
    assert deviation_percent(10.0, 20.0) == pytest.approx(-50)


def test_rows_of_the_same_runtime_come_first() -> None:
    same = [row.same_runtime for row in calibration.read_published().published]
    assert same == sorted(same, reverse=True)


def test_every_figure_names_both_runtimes_and_its_source() -> None:
    for row in calibration.read_published().published:
        assert row.counted_with
        assert row.published_with
        assert row.source


def test_document_holds_the_tables() -> None:
    data, text = calibration.read_published(), DOCUMENT.read_text(encoding="utf-8")
    assert calibration.left_out_table(data) in text
    same = calibration.published_table(data, same_runtime=True)
    others = calibration.published_table(data, same_runtime=False)
    assert same in text
    assert others in text
    assert text.index(same) < text.index(others)
    assert f"{calibration.error_band_percent():.0f} %" in text


def test_summary_names_every_network_and_the_band() -> None:
    data = calibration.read_published()
    text = calibration.fit_text(data)
    assert all(text.count(p.net) >= 2 for p in data.fit.pair)
    assert "mean 5.7 %, median 3.3 %, worst 23.7 %" in text
    assert text.splitlines()[-1] == "error band of modelled figures: 49 %"
