"""Strict loading: all that does not fit is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import load_strict


def test_loads_and_keeps_dtype() -> None:
    net = nn.Linear(2, 3).double()
    load_strict(net, {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "file.pt")
    assert torch.equal(net.weight, torch.ones(3, 2, dtype=torch.float64))


def test_meta_modules_get_their_own_copy() -> None:
    with torch.device("meta"):
        net = nn.Linear(2, 3)
    tensors = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}
    load_strict(net, tensors, "file.pt")
    tensors["weight"].zero_()
    assert net(torch.ones(1, 2)).tolist() == [[2.0, 2.0, 2.0]] and net.weight.requires_grad


def test_buffers_that_nothing_fills_are_named() -> None:
    with torch.device("meta"):
        net = nn.Linear(2, 3)
        net.register_buffer("window", torch.ones(3), persistent=False)
    with pytest.raises(MineganError, match="window of Linear has no value"):
        load_strict(net, {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "file.pt")


def test_names_everything_that_does_not_fit() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    tensors = {
        "0.weight": torch.ones(2, 3),
        "0.bias": torch.zeros(3),
        "1.weight": torch.zeros(1, 3),
        "w_avg": torch.ones(1),
    }
    with pytest.raises(MineganError) as caught:
        load_strict(net, tensors, "G_ema of file.pt")
    for words in (
        "G_ema of file.pt",
        "Sequential",
        "missing: 1.bias",
        "unexpected: w_avg",
        "0.weight (file (2, 3), network",
    ):
        assert words in str(caught.value)
