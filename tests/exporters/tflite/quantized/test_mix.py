"""Mixed files: the arithmetic of each operator by cost, and the estimates that stand in for counts."""

import numpy as np
import torch
import torch.nn.functional as F
from int8_files import Int8File
from torch import nn

from exporters.tflite.flatbuffer import model_bytes
from exporters.tflite.quantized import costs
from exporters.tflite.quantized.costs import Work, estimate, instructions, work_of
from exporters.tflite.quantized.mix import cheapest_mix, padded, silus
from exporters.tflite.quantized.write import quantized
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice

X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A pointwise convolution, SiLU, a strided depthwise one with padding, and a pointwise one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)

    def forward(self, x):
        return self.c(self.b(F.silu(self.a(x))))


FILE = Int8File(Net(), X)
PLACES = {one.kind: one.index for one in FILE.tables.operators}


def mixed(**said):
    return set(cheapest_mix(FILE.tables, FILE.grids, ArithmeticChoice(**said), "fp16").int8)


def test_counted_costs_decide():
    cheap = {one.index: 10.0 for one in FILE.tables.operators}
    dear = {one.index: 1e9 for one in FILE.tables.operators}
    assert mixed(int8_instructions=cheap, float_instructions=dear) == mixed(everything=True)
    assert mixed(int8_instructions=dear, float_instructions=cheap) == set() == mixed(nothing=True)
    halves = dear | {PLACES["DEPTHWISE_CONV_2D"]: 10.0, PLACES["PAD"]: 10.0}
    chosen = mixed(int8_instructions=cheap, float_instructions=halves)
    assert PLACES["CONV_2D"] in chosen


def test_what_is_one_operator_in_int8_is_not_divided():
    assert silus(FILE.tables) == [(PLACES["LOGISTIC"], PLACES["MUL"])]
    assert padded(FILE.tables) == [(PLACES["PAD"], PLACES["DEPTHWISE_CONV_2D"])]
    for one in ("LOGISTIC", "PAD"):
        int8 = {place: 1e7 * (place == PLACES[one]) for place in range(len(PLACES) + 1)}
        chosen = mixed(int8_instructions=int8, float_instructions=dict.fromkeys(int8, 1e6))
        for pair in (*silus(FILE.tables), *padded(FILE.tables)):
            assert len(chosen.intersection(pair)) in (0, 2), one


def test_a_hard_swish_between_int8_operators_costs_a_look_up():
    class Swish(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x):
            return self.b(F.hardswish(self.a(x)))

    file = Int8File(Swish(), X)
    swish = next(one.index for one in file.tables.operators if one.kind == "HARD_SWISH")
    free = dict.fromkeys((one.index for one in file.tables.operators), 0.0)
    layers = {one.index for one in file.tables.operators if one.kind == "CONV_2D"}
    floats = {place: 8000.0 * (place in layers) for place in free}

    def chosen(look_up):
        choice = ArithmeticChoice(int8_instructions=free | {swish: look_up}, float_instructions=floats)
        return cheapest_mix(file.tables, file.grids, choice, "fp16").int8

    assert chosen(0.0) == layers
    assert chosen(1e6) == set()


def test_noise_is_paid_for():
    cheap = {one.index: 10.0 for one in FILE.tables.operators}
    dear = {one.index: 1e5 for one in FILE.tables.operators}
    noisy = {"conv2d_1": 50.0}
    free = mixed(int8_instructions=cheap, float_instructions=dear, noise=noisy)
    priced = mixed(int8_instructions=cheap, float_instructions=dear, noise=noisy, noise_price=1e6)
    assert PLACES["DEPTHWISE_CONV_2D"] in free - priced


def test_any_division_stays_one_partition():
    for chosen in ({PLACES["CONV_2D"]}, {PLACES["DEPTHWISE_CONV_2D"], PLACES["PAD"]}, mixed()):
        file = Int8File(Net(), X)
        file.data = model_bytes(quantized(file.tables.model, file.grids, chosen, file.scheme))
        _, partitions, outside = file.run()
        assert (partitions, outside) == (1, 0)


def test_work_is_what_is_multiplied_read_and_made():
    works = {one.kind: work_of(FILE.tables, one) for one in FILE.tables.operators}
    assert works["DEPTHWISE_CONV_2D"] == Work(macs=16 * 16 * 8 * 9, read=33 * 33 * 8, made=16 * 16 * 8)
    assert works["CONV_2D"] == Work(macs=16 * 16 * 8 * 8, read=16 * 16 * 8, made=16 * 16 * 8)
    assert works["MUL"].read == 2 * works["MUL"].made == 2 * 32 * 32 * 8


def test_a_product_of_matrices_counts_its_inner_axis():
    file = Int8File(lambda a, b: a @ b.transpose(-1, -2), torch.rand(2, 5, 7), torch.rand(2, 3, 7))
    (product,) = [one for one in file.tables.operators if one.kind == "BATCH_MATMUL"]
    assert work_of(file.tables, product).macs == 2 * 5 * 3 * 7


def test_estimates_know_the_arithmetic():
    work = Work(macs=10**6, read=10**4, made=10**4)
    by_arithmetic = [instructions("CONV_2D", one, work) for one in ("int8", "fp16", "fp32")]
    assert by_arithmetic == sorted(by_arithmetic)
    assert instructions("NEVER_COUNTED", "fp32", work) >= instructions("ADD", "fp32", work) > 0
    whole_file = estimate(FILE.tables, "fp32")
    assert np.isclose(
        whole_file,
        sum(instructions(one.kind, "fp32", work_of(FILE.tables, one)) for one in FILE.tables.operators),
    )
    assert estimate(FILE.tables, "fp16") < whole_file


def test_the_table_has_every_arithmetic():
    table = costs._read(costs.TABLE)
    assert set(table) == {"fp32", "fp16", "int8", "conversion"}
    for kinds in table.values():
        for kind, factors in kinds.items():
            assert set(factors) == {"mac", "read", "made", "each"}, kind
            assert min(factors.values()) >= 0
