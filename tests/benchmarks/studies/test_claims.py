import pytest

from benchmarks.studies.claims import CLAIMS, document, times_of
from benchmarks.studies.precision import ROWS

ALL = {"fp32": 10.0, "fp16": 5.0, "auto": 4.0}


def test_every_network_of_a_claim_is_counted():
    counted = {row.title for row in ROWS if row.kind == "count" and row.made == "auto"}
    assert {name for claim in CLAIMS for name in (*claim.fast, *claim.slow)} <= counted


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ((3.0, 3.1, 4.0), "the claim holds in these counts"),
        ((2.9, 3.1, 4.0), "the claim holds in fp16 and auto alone"),
        ((2.9, 1.0, 0.5), "the claim does not hold in these counts"),
    ],
)
def test_a_claim_is_put_to_the_test(factors, said):
    slow = {name: ms * factor for (name, ms), factor in zip(ALL.items(), factors, strict=True)}
    text = document({"efficientvit_b1": ALL, "efficientnet_b1": slow})
    (line,) = (one for one in text.splitlines() if one.startswith("- efficientnet_b1 takes"))
    assert line.endswith(f"as efficientvit_b1: {said}")
    assert f"{factors[0]:.2f} times as long in fp32" in line
    assert "- efficientnet_b2 against efficientvit_b1: not counted" in text


def test_only_files_that_passed_are_compared():
    row = next(one for one in ROWS if one.slug == "count-efficientvit_b1-auto")
    files = [
        {"recipe": "fp32", "modelled_ms": 10.0, "passed": True},
        {"recipe": "fp16", "modelled_ms": 1.0, "passed": False},
        {"recipe": "mixed_wi8_ai8_fp16", "modelled_ms": 4.0, "passed": True},
    ]
    told = {"error": None, "files": files, "chosen": "mixed_wi8_ai8_fp16"}
    assert times_of({row: told}) == {"efficientvit_b1": {"fp32": 10.0, "auto": 4.0}}
    assert times_of({row: {**told, "error": "none passes"}}) == {}
