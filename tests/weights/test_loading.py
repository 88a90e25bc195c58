"""Strict loading: all that does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import load_strict, read_checkpoint


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


def test_adopted_tensors_are_copied_only_where_they_share_memory(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3), nn.Linear(2, 3, bias=False))
    weight, biases = torch.randn(3, 2), torch.randn(2, 3)
    tensors = {"0.weight": weight, "1.weight": weight, "0.bias": biases[0], "1.bias": biases[1]}
    torch.save(torch.randn(3, 2), tmp_path / "x.pt")
    tensors["2.weight"] = read_checkpoint(tmp_path / "x.pt")  # lies in the file
    load_strict(net, tensors, "file.pt", adopt=True)
    adopted = [name for name, value in net.named_parameters() if value.data_ptr() == tensors[name].data_ptr()]
    assert adopted == ["0.weight"]
    assert all(torch.equal(value, tensors[name]) for name, value in net.named_parameters())


def test_what_reading_had_to_copy_is_adopted(tmp_path: Path) -> None:
    """A legacy file's numbers begin where its pickle ends: seldom where they can be used as they lie."""
    adopted = []
    for length in range(1, 5):
        name, file = "x" * length, tmp_path / "x.pt"
        torch.save({name: torch.randn(3, 2)}, file, _use_new_zipfile_serialization=False)
        net, tensors = nn.ParameterDict({name: torch.empty(3, 2, device="meta")}), read_checkpoint(file)
        load_strict(net, tensors, "x.pt", adopt=True)
        adopted.append(net[name].data_ptr() == tensors[name].data_ptr())
    assert sorted(adopted) == [False, True, True, True]


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
