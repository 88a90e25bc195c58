"""What stands before a parameter: what it makes of it, and that it folds away."""

from __future__ import annotations

import pytest
import torch
from minegan_zoo_transfer import SCALES
from minegan_zoo_transfer.adapters import attach, fold
from minegan_zoo_transfer.layers import convolutions
from minegan_zoo_transfer.modulation import KernelModulation, modulate, modulations, most_important
from minegan_zoo_transfer.scales import RowScale, add_scales, scale_names
from torch import Generator, nn
from torch.nn.utils.parametrizations import spectral_norm

import minegan_zoo as mz


def test_scales_of_convolutions_fold_into_their_weights() -> None:
    torch.manual_seed(0)
    source = mz.load_source("progan.tiny")
    assert isinstance(source, nn.Module)
    names, code = list(source.state_dict()), source.prior(2, source.inputs[0], Generator().manual_seed(0))
    before = source.synthesize(code)
    add_scales([source], SCALES)
    torch.testing.assert_close(source.synthesize(code), before)
    scales = [module.scale for module in source.modules() if isinstance(module, RowScale)]
    assert len(scales) == len(convolutions(mz.load_source("progan.tiny")))  # type: ignore[arg-type]
    with torch.no_grad():
        for scale in scales:
            scale.uniform_(0.5, 2)
    scaled = source.synthesize(code)
    assert not torch.allclose(scaled, before)
    fold(source)
    torch.testing.assert_close(source.synthesize(code), scaled)
    assert sorted(source.state_dict()) == sorted(names)


def test_an_adapter_folds_below_the_parametrizations_of_others() -> None:
    layer = spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    names, x = sorted(layer.state_dict()), torch.randn(2, 3, 8, 8)
    before = layer(x)
    attach(layer.parametrizations.weight, "original", RowScale(4))  # type: ignore[arg-type,union-attr]
    torch.testing.assert_close(layer(x), before)
    with torch.no_grad():
        next(module.scale for module in layer.modules() if isinstance(module, RowScale))[1] = 3.0
    scaled = layer(x)
    fold(layer)
    torch.testing.assert_close(layer(x), scaled)
    assert sorted(layer.state_dict()) == names


def test_modulation_is_rank_one_on_what_matters_and_leaves_the_rest_free() -> None:
    weight = torch.randn(3, 2, 3, 3, requires_grad=True)
    modulation = KernelModulation(weight, Generator().manual_seed(0))
    assert torch.equal(modulation(weight), weight)
    modulation.restart(torch.tensor([True, False, True]), Generator().manual_seed(1))
    assert torch.equal(modulation(weight), weight)
    with torch.no_grad():
        modulation.v.copy_(torch.tensor([0.5, 7.0, -1.0]))
        modulation.u.normal_()
    change = torch.outer(torch.tensor([0.5, 0.0, -1.0]), modulation.u).view_as(weight)
    torch.testing.assert_close(modulation(weight), weight * (1 + change))
    modulation(weight).square().sum().backward()
    assert weight.grad is not None and modulation.v.grad is not None
    assert [bool(row.any()) for row in weight.grad] == [False, True, False]
    assert [bool(each) for each in modulation.v.grad != 0] == [True, False, True]
    # 2 of these 4 rows are above the median
    chosen = most_important({"a": torch.tensor([1.0, 4.0]), "b": torch.tensor([3.0, 2.0])}, 0.5)
    assert {name: rows.tolist() for name, rows in chosen.items()} == {"a": [False, True], "b": [True, False]}


def test_modulations_of_demodulated_kernels_learn_from_the_first_step() -> None:
    torch.manual_seed(0)
    source = mz.load_source("stylegan2.tiny")
    assert isinstance(source, nn.Module)
    modulate(convolutions(source), Generator().manual_seed(0))
    code = source.prior(4, source.inputs[0], Generator().manual_seed(0))
    source.synthesize(code).square().sum().backward()
    of_kernels = {name: each.v.grad for name, each in modulations(source).items()}
    assert all(gradient is not None and gradient.abs().median() > 1e-4 for gradient in of_kernels.values())


def test_stylegan3s_grid_is_no_style_and_biases_are_its_shifts() -> None:
    source = mz.load_source("stylegan3.tiny")
    assert isinstance(source, nn.Module)
    found = set(scale_names(source, SCALES))
    assert {"synthesis.layers.0.affine.weight", "synthesis.layers.0.bias"} <= found
    assert not found & {"synthesis.input.affine.weight", "synthesis.layers.5.bias"}  # the last one writes images


def test_scales_that_no_source_has_are_refused_rather_than_added() -> None:
    plain, modulated = (mz.load_source(f"{family}.tiny") for family in ("progan", "stylegan2"))
    with pytest.raises(mz.MineganError, match=r"no source has parameters named \*.afine.\*: leave out strategy.scales"):
        add_scales([modulated], "*.afine.*")  # type: ignore[list-item]
    add_scales([plain, modulated], "*.affine.*")  # type: ignore[list-item]
    scaled = [any(isinstance(each, RowScale) for each in part.modules()) for part in (plain, modulated)]  # type: ignore[attr-defined]
    assert scaled == [True, False]
