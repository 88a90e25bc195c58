"""The fast layers equal their definitions: zero insertion, per-sample weights, nearest neighbours, pooling."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
import torch.nn.functional as F
from minegan_zoo_stylegan.activation import Activation
from minegan_zoo_stylegan.fir import Fir
from minegan_zoo_stylegan.minibatch import append_deviation
from minegan_zoo_stylegan.modulation import StyledConv
from minegan_zoo_stylegan.resample import FilterPlan, downsample, upsample
from minegan_zoo_stylegan.stylegan1 import DownConv, UpConv
from minegan_zoo_stylegan.stylegan3 import FilteredLayer, LayerPlan
from torch import Tensor

TAPS = [(1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 2, 4, 1), (1, 4, 6, 4, 1)]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def upfirdn(x: Tensor, kernel: Tensor, up: int, down: int, before: int, after: int) -> Tensor:
    """By the book: insert zeros, pad or crop, convolve, drop."""
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, h, up, w, up)
    y[:, :, :, 0, :, 0] = x
    y = F.pad(y.reshape(n, c, h * up, w * up), (before, after, before, after))
    return F.conv2d(y, kernel.flip(0, 1).expand(c, 1, -1, -1), groups=c)[:, :, ::down, ::down]


def outer(taps: tuple[int, ...]) -> Tensor:
    line = torch.tensor(taps, dtype=torch.float64)
    return torch.outer(line, line) / line.sum() ** 2


@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_filter_equals_zero_insertion(taps: tuple[int, ...]) -> None:
    fir, size = Fir(taps).double(), len(taps)
    fir.kernel.copy_(outer(taps).flip(0, 1))
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(fir.up(x), upfirdn(x, 4 * outer(taps), 2, 1, (size + 1) // 2, (size - 2) // 2))
    torch.testing.assert_close(fir.down(x), upfirdn(x, outer(taps), 1, 2, (size - 1) // 2, (size - 2) // 2))
    for before, after in ((1, 1), (2, 1), (-1, 0), (5, 5)):
        torch.testing.assert_close(fir.blur(x, before, after), upfirdn(x, outer(taps), 1, 1, before, after))


@pytest.mark.parametrize("taps", TAPS[2:4], ids=str)
def test_filter_is_twice_differentiable(taps: tuple[int, ...]) -> None:
    fir = Fir(taps).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    for operation in (fir.up, fir.down, lambda x: fir.blur(x, 1, 2)):
        assert torch.autograd.gradcheck(operation, x)
        assert torch.autograd.gradgradcheck(operation, x)


@pytest.mark.parametrize("up", [False, True])
def test_scaling_activations_equals_scaling_weights(up: bool) -> None:
    options = {"activation": Activation("lrelu"), "filter_taps": (1, 3, 3, 1), "noise": True}
    layer = StyledConv(5, 6, 3, 7, resolution=16 if up else 8, up=up, **options)
    layer.reset_parameters()
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.bias.normal_()
    x, w, noise = torch.randn(3, 5, 8, 8), torch.randn(3, 7), torch.randn(3, 1, layer.resolution, layer.resolution)

    style = w @ layer.affine.weight.t() / sqrt(7) + layer.affine.bias
    rows = []
    for row in range(3):  # arXiv 1912.04958, equations 1 and 3, one sample at a time
        weight = layer.weight / sqrt(5 * 9) * style[row, :, None, None]
        weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        if up:
            y = F.conv_transpose2d(x[row : row + 1], weight.transpose(0, 1), stride=2)
            y = upfirdn(y, 4 * outer((1, 3, 3, 1)).float(), 1, 1, 1, 1)
        else:
            y = F.conv2d(x[row : row + 1], weight, padding=1)
        rows.append(y)
    y = torch.cat(rows) + 0.3 * noise + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w, noise), sqrt(2) * F.leaky_relu(y, 0.2), atol=1e-5, rtol=1e-5)


def test_activation_folds_its_gain() -> None:
    x = torch.randn(100) * 3
    for name, function, gain in (("lrelu", lambda x: F.leaky_relu(x, 0.2), sqrt(2)), ("swish", F.silu, sqrt(2))):
        activation = Activation(name, gain=0.5, clamp=2.0)
        torch.testing.assert_close(activation(x * activation.before), (0.5 * gain * function(x)).clamp(-1, 1))


def test_deviation_is_by_group() -> None:
    x = torch.randn(8, 6, 4, 4)
    found = append_deviation(x, 4, planes=2)[:, 6:]
    for sample in range(8):
        group = x[sample % 2 :: 2]
        for plane in (0, 1):
            part = group[:, 3 * plane : 3 * plane + 3]
            expected = (part.var(dim=0, correction=0) + 1e-8).sqrt().mean()
            torch.testing.assert_close(found[sample, plane], expected.expand(4, 4))
    torch.testing.assert_close(append_deviation(x[:6], 4), append_deviation(x[:6], 3))  # 4 does not divide 6
    assert append_deviation(x[:1], 4)[:, 6:].max() < 1.1e-4


def test_stylegan_resamples_within_its_convolutions() -> None:
    up, down = UpConv(4, 5, averages=False), DownConv(4, 5)
    for layer in (up, down):
        layer.reset_parameters()
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 6, 6)
    scale = sqrt(2 / (4 * 9))
    slow = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), up.weight * scale, up.bias, padding=1)
    torch.testing.assert_close(up(x), slow, atol=1e-5, rtol=1e-5)
    slow = F.avg_pool2d(F.conv2d(x, down.weight * scale, down.bias, padding=1), 2)
    torch.testing.assert_close(down(x), slow, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("radial", [False, True])
def test_stylegan3_layer_equals_its_definition(radial: bool) -> None:
    low, high = FilterPlan(12, 2.0, 12.0, 32.0), FilterPlan(12, 3.0, 10.0, 32.0, radial)
    plan = LayerPlan(4, 5, 12, 3, 4, 2, low, high, (-12, -12 + 1), rgb=False, clamp=1.0)
    layer = FilteredLayer(plan, 6)
    layer.reset_parameters()
    layer.magnitude_ema.fill_(2.0)
    torch.nn.init.normal_(layer.bias)
    x, w = torch.randn(3, 4, 12, 12), torch.randn(3, 6)

    style, rows = layer.affine(w), []
    for row in range(3):
        weight = layer.weight * style[row, :, None, None]
        weight = weight * weight.square().sum(dim=(1, 2, 3), keepdim=True).rsqrt() / sqrt(2)
        rows.append(F.conv2d(x[row : row + 1], weight, padding=2))
    y = torch.cat(rows) + layer.bias[:, None, None]
    y = upfirdn(y, 16 * torch.outer(low.design(), low.design()), 4, 1, *plan.padding)
    y = (sqrt(2) * F.leaky_relu(y, 0.2)).clamp(-1, 1)
    kernel = high.design() if radial else torch.outer(high.design(), high.design())
    expected = upfirdn(y, kernel, 1, 2, 0, 0)
    assert plan.output_size(12) == expected.shape[-1]
    torch.testing.assert_close(layer(x, w), expected, atol=1e-5, rtol=1e-5)


def test_designed_filters_pass_low_and_stop_high() -> None:
    rate = 64.0
    for plan in (FilterPlan(48, 8.0, 6.0, rate), FilterPlan(48, 8.0, 6.0, rate, radial=True)):
        taps = plan.design().double()
        line = taps.sum(dim=0) if plan.radial else taps
        torch.testing.assert_close(line.sum(), torch.ones((), dtype=torch.float64), atol=1e-6, rtol=0)
        place = torch.arange(48, dtype=torch.float64) / rate
        response = [abs(torch.exp(2j * torch.pi * f * place).mul(line).sum()) for f in (2.0, 5.0, 11.5, 20.0)]
        assert all(0.98 < passed < 1.02 for passed in response[:2]) and all(stopped < 0.02 for stopped in response[2:])


def test_resampling_without_filters() -> None:
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(upsample(x, None, 1, (1, -1), 2.0), 2 * F.pad(x, (1, -1, 1, -1)))
    torch.testing.assert_close(downsample(x, None, 1), x)
