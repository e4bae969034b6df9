import pytest
import torch
import torch.nn.functional as F
from direct_files import agree

UNARY = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "silu": F.silu,
    "mish": F.mish,
    "elu": F.elu,
    "elu2": lambda x: F.elu(x, 0.5),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 2.0),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "softplus": F.softplus,
    "softplus2": lambda x: F.softplus(x, 2.0),
    "logsigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "softshrink": F.softshrink,
    "abs": torch.abs,
    "exp": torch.exp,
    "log": lambda x: (x.abs() + 1).log(),
    "sqrt": lambda x: x.abs().sqrt(),
    "neg": torch.neg,
    "rsqrt": lambda x: (x * x + 1).rsqrt(),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "reciprocal": lambda x: 1 / (x.abs() + 1),
    "inverse_square": lambda x: (x.abs() + 1) ** -2,
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "clamp_min": lambda x: x.clamp(min=0.1),
    "glu": lambda x: F.glu(x, 1),
    "clamp_max": lambda x: x.clamp(max=0.1),
    "relu6_of_clamp": lambda x: (x * 9).clamp(0, 6),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "sin": torch.sin,
    "cos": torch.cos,
    "log1p": lambda x: x.abs().log1p(),
    "expm1": torch.expm1,
    "halved": lambda x: x / 2,
    "rsub": lambda x: 1 - x,
    "scaled": lambda x: torch.add(x, x * 2, alpha=3),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "truths": lambda x: ((x > -1) * (x < 1) + (x > 2)).float(),
}
NEVER_TAKEN = {
    "log_softmax": ["LOG_SOFTMAX"],
    "truths": ["CAST", "GREATER", "LESS", "LOGICAL_AND", "LOGICAL_OR"],
}


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("name", UNARY)
def test_one_value(name):
    agree(UNARY[name], numbers(1, 4, 5, 3), outside=NEVER_TAKEN.get(name, ()))


@pytest.mark.parametrize(
    "name", ["mish", "softplus", "logsigmoid", "elu", "selu", "silu", "hardswish", "gelu"]
)
def test_large_values_do_not_overflow(name):
    agree(UNARY[name], torch.tensor([[-1e4, -100.0, -20.0, 20.0, 100.0, 1e4]]))


def test_powers_outside_xnnpack():
    agree(lambda x: (x.abs() + 1) ** 1.7, numbers(1, 6), outside=["POW"])


@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 4, 5, 3), (1, 4, 5, 3)),
        ((1, 4, 5, 3), (1, 4, 1, 1)),
        ((1, 4, 5, 3), (4, 1, 1)),
        ((2, 4, 5, 3), (2, 1, 5, 1)),
        ((1, 4, 5, 3), (3,)),
        ((1, 4, 5, 3), (1, 1, 5, 3)),
        ((1, 4, 1, 3), (1, 1, 5, 3)),
        ((1, 4, 5, 1), (1, 1, 1, 3)),
        ((3, 1), (1, 4)),
        ((2, 3, 4, 5, 2), (1, 3, 1, 5, 1)),
        ((6,), (1,)),
    ],
)
@pytest.mark.parametrize("operation", [torch.add, torch.sub, torch.mul, torch.div, torch.maximum])
def test_broadcasting(shapes, operation):
    first, second = (numbers(*shape) + 3 for shape in shapes)
    agree(operation, first, second)
    agree(lambda x: operation(x, second), first)
    agree(lambda x: operation(second, x), first)


def test_a_map_and_a_gate_are_one_multiplication():
    operators = agree(lambda x, g: x * g, numbers(1, 8, 6, 6), numbers(1, 8, 1, 1))
    assert operators == ["MUL", "TRANSPOSE"]


def test_sum_and_its_transpose():
    agree(lambda x: x + x.transpose(1, 2), numbers(2, 5, 5))
    agree(lambda x: x.reshape(1, 3, 4, 6) + x.reshape(1, 6, 4, 3).permute(0, 3, 2, 1), numbers(1, 72))


def test_views_that_cut_through_axes_meet():
    agree(lambda x, y: x.reshape(8, 3) + y, numbers(6, 4), numbers(8, 3))
    agree(lambda x, y: x.reshape(4, 6) + y.permute(1, 0).reshape(4, 6), numbers(2, 12), numbers(3, 8))


def test_a_squared_difference_is_one_operator():
    assert agree(lambda x, y: (x - y).square(), numbers(3, 4), numbers(3, 4)) == ["SQUARED_DIFFERENCE"]
    assert agree(lambda x: (x - 0.0) ** 2, numbers(3, 4)) == ["SQUARED_DIFFERENCE"]


def test_masks():
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    agree(lambda x: x.masked_fill(~mask, -1e9).softmax(-1), numbers(2, 5, 5))
    agree(lambda x: x.masked_fill(~mask, float("-inf")).softmax(-1), numbers(2, 5, 5))
    agree(lambda x: torch.where(mask, x, x.new_tensor(0.0)), numbers(2, 5, 5))
    left = ["GREATER", "SELECT_V2", "LESS", "LOGICAL_NOT"]
    agree(lambda x: torch.where(x > 0, x, x * 0.1), numbers(2, 5, 5), outside=left)
    agree(lambda x, y: x < y, numbers(2, 5), numbers(2, 5), outside=left)


@pytest.mark.parametrize("dim", [1, 2, 3, -1])
def test_softmax_along_any_dimension(dim):
    agree(lambda x: x.softmax(dim), numbers(1, 4, 5, 3))


def test_prelu():
    agree(torch.nn.PReLU(4, 0.3), numbers(1, 4, 5, 3))
    agree(torch.nn.PReLU(1, 0.3), numbers(1, 4, 5, 3))


def test_addcmul_and_lerp():
    agree(lambda x, y: torch.addcmul(x, y, y, value=0.5), numbers(3, 4), numbers(3, 4))
    agree(lambda x, y: torch.lerp(x, y, 0.3), numbers(3, 4), numbers(3, 4))


@pytest.mark.parametrize(
    "square", [lambda x: x * x, torch.square, lambda x: x**2], ids=["mul", "square", "pow"]
)
def test_a_square_has_a_form_that_stays_in_half_precision(square):
    kinds = agree(lambda x: square(x).mean(1), numbers(3, 4), half=True)
    assert "SQUARED_DIFFERENCE" in kinds
    kinds += agree(lambda x: torch.linalg.vector_norm(square(x), dim=1), numbers(3, 4), half=True)
    assert not {"SQUARE", "MUL"} & set(kinds)
