from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from exporters.semantics.special import erf, sigmoid

ACTIVATIONS = {
    "relu": ({}, F.relu),
    "relu6": ({}, F.relu6),
    "sigmoid": ({}, torch.sigmoid),
    "silu": ({}, F.silu),
    "softplus": ({}, F.softplus),
    "softsign": ({}, F.softsign),
    "clamped_relu": ({"alpha": 0.25, "beta": 2.0}, lambda x: F.leaky_relu(x, 0.25).clamp(max=2.0)),
    "elu": ({"alpha": 0.75}, lambda x: F.elu(x, 0.75)),
    "leaky_relu": ({"alpha": 0.25}, lambda x: F.leaky_relu(x, 0.25)),
    "linear_activation": ({"alpha": 0.5, "beta": -2.0}, lambda x: 0.5 * x - 2),
    "scaled_tanh": ({"alpha": 0.5, "beta": 1.5}, lambda x: 0.5 * torch.tanh(1.5 * x)),
    "sigmoid_hard": ({"alpha": 0.125, "beta": 0.5}, lambda x: (0.125 * x + 0.5).clamp(0, 1)),
    "thresholded_relu": ({"alpha": 0.5}, lambda x: F.threshold(x, 0.5, 0.0)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, agree, draw):
    parameters, function = ACTIVATIONS[name]
    agree(
        [draw((2, 3, 8, 5), -8, 8)],
        lambda mb, const, x: getattr(mb, name)(x=x, **{k: const(v) for k, v in parameters.items()}),
        lambda const, x: function(x),
    )


@pytest.mark.parametrize("name", ["relu", "sigmoid", "silu", "softplus"])
def test_activation_does_not_overflow(name, agree):
    _, function = ACTIVATIONS[name]
    extremes = np.array([[-60000, -1000, -100, -1, 0, 1, 100, 1000, 60000]], np.float32)
    agree([extremes], lambda mb, const, x: getattr(mb, name)(x=x), lambda const, x: function(x))


def test_thresholded_relu_keeps_the_threshold_itself(agree):
    x = np.array([[0.25, 0.5, 0.75]], np.float32)
    agree(
        [x],
        lambda mb, const, x: mb.thresholded_relu(x=x, alpha=const(0.5)),
        lambda const, x: torch.tensor([[0.0, 0.5, 0.75]]),
    )


def test_prelu(agree, draw):
    alpha = draw((3,))
    agree(
        [draw((2, 3, 4, 5))],
        lambda mb, const, x: mb.prelu(x=x, alpha=const(alpha)),
        lambda const, x: F.prelu(x, const(alpha)),
    )


def test_softplus_parametric(agree, draw):
    alpha, beta = draw((3,), 0.5, 2), draw((3,), 0.5, 2)

    def expected(const, x):
        a, b = (const(p).reshape(1, 3, 1, 1) for p in (alpha, beta))
        return a * torch.log1p(torch.exp(b * x))

    agree(
        [draw((2, 3, 4, 5), -4, 4)],
        lambda mb, const, x: mb.softplus_parametric(x=x, alpha=const(alpha), beta=const(beta)),
        expected,
    )


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        ("EXACT", F.gelu),
        ("TANH_APPROXIMATION", lambda x: F.gelu(x, approximate="tanh")),
        ("SIGMOID_APPROXIMATION", lambda x: x * torch.sigmoid(1.702 * x)),
    ],
)
def test_gelu(mode, function, agree, draw):
    agree([draw((2, 500), -6, 6)], lambda mb, const, x: mb.gelu(x=x, mode=mode), lambda const, x: function(x))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_softmax(axis, agree, draw):
    agree(
        [draw((3, 4, 5), -9, 9)],
        lambda mb, const, x: mb.softmax(x=x, axis=axis),
        lambda const, x: torch.softmax(x, axis),
    )


def test_softmax_of_large_numbers(agree):
    x = np.array([[1000.0, 1001.0, 999.0]], np.float32)
    agree([x], lambda mb, const, x: mb.softmax(x=x, axis=-1), lambda const, x: torch.softmax(x, -1))


def test_erf_against_the_standard_library():
    x = np.linspace(-6, 6, 20001).astype(np.float32)
    exact = np.array([math.erf(v) for v in x.tolist()])
    assert erf(x).dtype == np.float32
    assert np.abs(erf(x) - exact).max() <= 5e-7


def test_sigmoid_and_erf_keep_nan():
    assert np.isnan(sigmoid(np.array([np.nan], np.float32))).all()
    assert np.isnan(erf(np.array([np.nan], np.float32))).all()
