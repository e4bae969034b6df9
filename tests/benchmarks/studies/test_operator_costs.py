"""The table of costs from counted operators."""

import tomllib

import numpy as np

from benchmarks.studies.operator_costs import fitted, table


def operator(kind, macs, made, spent, *, int8=False):
    executed = [["some kernel", spent]] if spent else []
    return {"kind": kind, "int8": int8, "executed": executed, "macs": macs, "read": made, "made": made}


def test_the_factors_that_made_the_counts_are_found():
    works = np.random.default_rng(0).integers(1, 10**6, (40, 3))
    points = [(*work, 0.25 * work[0] + 2.0 * work[2] + 300) for work in works]
    factors, error = fitted(points)
    assert np.allclose(factors, [0.25, 0.0, 2.0, 300], rtol=1e-3, atol=1e-3)
    assert error < 1e-6


def test_no_factor_is_negative():
    factors, error = fitted([(10, 1, 100, 50), (20, 1, 100, 40), (30, 1, 100, 30)])
    assert min(factors) >= 0
    assert error > 0.1


def test_operators_that_were_fused_are_free_only_if_all_of_a_kind_were():
    assert fitted([(0, 5, 5, 0), (0, 9, 9, 0)]) == ([0.0] * 4, 0.0)
    assert fitted([(0, 5, 5, 0), (0, 8, 8, 16)])[0] != [0.0] * 4


def test_the_table_has_each_arithmetic_and_conversions_by_themselves():
    files = {
        "fp32": {"operators": [operator("ADD", 0, 1000, 1000)]},
        "fp16": {"operators": [operator("ADD", 0, 1000, 500)]},
        "int8": {
            "operators": [
                operator("QUANTIZE", 0, 1000, 700, int8=True),
                operator("ADD", 0, 1000, 2400, int8=True),
                operator("HARD_SWISH", 0, 1000, 900),
            ]
        },
    }
    found = tomllib.loads(table([files]))
    assert set(found) == {"fp32", "fp16", "int8", "conversion"}
    assert set(found["fp16"]) == {"ADD", "HARD_SWISH"}
    assert set(found["int8"]) == {"ADD"}
    assert found["conversion"]["conversion"]["each"] + sum(found["conversion"]["conversion"].values()) > 0
