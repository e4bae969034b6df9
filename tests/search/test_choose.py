"""The choice among candidates: the fastest that keeps the accuracy, with its reason."""

from dataclasses import replace

from mocovit_deploy.search.candidate import HEADER, Candidate, rows_of
from mocovit_deploy.search.choose import choose

FP16 = Candidate(recipe="fp16", passed=True, modelled_ms=8.0, drop=0.0, drop_high=0.003, is_counted=True)
INT8 = Candidate(recipe="static_wi8_ai8", passed=True, modelled_ms=7.0, drop=0.01, drop_high=0.02)
MIXED = Candidate(recipe="mixed_wi8_ai8_fp16", passed=True, modelled_ms=6.0, drop=0.002, drop_high=0.004)


def test_the_fastest_that_keeps_the_accuracy_is_chosen():
    choice = choose([FP16, INT8, MIXED], 0.005)
    assert choice.candidate is MIXED
    assert "33% faster than fp16" in choice.reason


def test_a_faster_one_that_loses_too_much_is_refused_by_name():
    lossy = replace(MIXED, drop_high=0.006)
    choice = choose([FP16, INT8, lossy], 0.005)
    assert choice.candidate is FP16
    assert "faster but refused: static_wi8_ai8, mixed_wi8_ai8_fp16" in choice.reason
    assert choose([FP16, INT8, lossy], 0.03).candidate is lossy


def test_it_is_the_interval_that_counts_not_the_drop_itself():
    assert not replace(FP16, drop=0.0, drop_high=0.006).keeps(0.005)


def test_nan_in_an_interval_keeps_nothing():
    assert not replace(FP16, drop_high=float("nan")).keeps(1.0)


def test_a_failed_file_is_never_chosen():
    assert choose([replace(MIXED, passed=False), FP16], 0.005).candidate is FP16


def test_where_none_keeps_it_the_nearest_is_named():
    choice = choose([INT8, replace(MIXED, drop_high=0.01)], 0.005)
    assert choice.candidate is None
    assert "the nearest is mixed_wi8_ai8_fp16 with up to 1.00%" in choice.reason
    assert "none passes parity" in choose([replace(INT8, passed=False)], 0.005).reason


def test_without_images_the_fastest_that_passes_is_chosen_and_said_to_be_unjudged():
    blind = [replace(one, drop=None, drop_high=None) for one in (FP16, INT8)]
    choice = choose(blind, 0.005)
    assert choice.candidate is blind[1]
    assert "accuracy not judged" in choice.reason


def test_rows_say_what_is_estimated_and_which_is_chosen():
    first, second = rows_of([FP16, INT8], "fp16")
    assert len(first) == len(second) == len(HEADER)
    assert first[1] == "8.00 ms"
    assert second[1] == "~7.00 ms"
    assert (first[-1], second[-1]) == ("chosen", "")
    assert rows_of([replace(FP16, passed=False, why_not="too far off")], None)[0][-1] == "too far off"
