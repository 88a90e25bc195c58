"""Rules of a source's prior, the unmined baseline. May import contracts only."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor

from minegan_zoo.conformance.specimen import RuleBroken, draw, named
from minegan_zoo.contracts import GeneratorSource

VALUES = 200_000  # about so many are drawn of each space
SIGMAS = 6  # how far chance may move a statistic
NORMAL_WITHIN_ONE = math.erf(math.sqrt(0.5))


def check_prior_shapes(source: GeneratorSource) -> None:
    """prior() gives exactly the keys asked for, each (n, *shape), float32 and finite, for n = 1 and n = 3."""
    for keys in source.inputs:
        for n in (1, 3):
            code = draw(source, n, keys)
            if set(code) != keys:
                raise RuleBroken(
                    f"asked for {named(keys)} it gives {named(set(code))}", "return exactly the keys asked for"
                )
            for name, value in code.items():
                wanted = (n, *source.latents[name].shape)
                if value.shape != wanted or value.dtype != torch.float32 or not value.isfinite().all():
                    observed = (
                        f"{name!r} is {tuple(value.shape)}, {value.dtype}, finite: {bool(value.isfinite().all())}"
                    )
                    raise RuleBroken(observed, f"draw it as float32 of shape {wanted}, as `latents` says")


def check_prior_distribution(source: GeneratorSource) -> None:
    """A normal, truncated or sphere space has the mean, scale and sign symmetry of that distribution.

    normal: N(0, I). sphere: uniform on the sphere of radius sqrt(d). truncated: a centred normal, cut at 2 or below.
    """
    for name, space in source.latents.items():
        if space.prior not in ("normal", "truncated", "sphere"):
            continue
        keys = next((keys for keys in source.inputs if name in keys), None)
        if keys is None:
            continue
        rows = min(max(VALUES // math.prod(space.shape), 16), 4096)
        values = rearrange(draw(source, rows, keys)[name], "n ... -> n (...)").double().cpu()
        fix = f"draw {name!r} from the {space.prior!r} distribution, or declare the prior that it has"
        _check_symmetry(name, values, fix)
        if space.prior == "normal":
            _check_normal(name, values, fix)
        elif space.prior == "truncated":
            _check_truncated(name, values, fix)
        else:
            _check_sphere(name, values, fix)


def _check_symmetry(name: str, values: Tensor, fix: str) -> None:
    rows, scale = values.shape[0], float(values.std())
    for what, statistic, sigma in (
        ("mean", values, scale),
        ("share of positive values less a half", values.gt(0).double() - 0.5, 0.5),
    ):
        total, column = float(statistic.mean()), float(statistic.mean(dim=0).abs().max())
        if abs(total) > SIGMAS * sigma / math.sqrt(values.numel()):
            raise RuleBroken(f"{name!r}: {what} {total:.3g} instead of 0", fix)
        if column > SIGMAS * sigma / math.sqrt(rows):
            raise RuleBroken(f"{name!r}: {what} up to {column:.3g} in one dimension instead of 0", fix)


def _check_normal(name: str, values: Tensor, fix: str) -> None:
    scale, within = float(values.std()), float(values.abs().lt(1).double().mean())
    if abs(scale - 1) > SIGMAS / math.sqrt(2 * values.numel()):
        raise RuleBroken(f"{name!r}: standard deviation {scale:.3g} instead of 1", fix)
    if abs(within - NORMAL_WITHIN_ONE) > SIGMAS * 0.5 / math.sqrt(values.numel()):
        raise RuleBroken(f"{name!r}: {within:.1%} of the values within 1 instead of {NORMAL_WITHIN_ONE:.1%}", fix)


def _check_truncated(name: str, values: Tensor, fix: str) -> None:
    bound = float(values.abs().max())
    if bound > 2:
        raise RuleBroken(f"{name!r}: values up to {bound:.3g}, beyond 2", fix)
    # from a normal cut at two standard deviations (0.44) to one cut so close that it is uniform (0.58)
    ratio = float(values.std()) / bound
    if not 0.42 < ratio < 0.59:
        raise RuleBroken(f"{name!r}: standard deviation {ratio:.3g} of the largest value instead of 0.44 to 0.58", fix)


def _check_sphere(name: str, values: Tensor, fix: str) -> None:
    radii = values.norm(dim=1) / math.sqrt(values.shape[1])
    if (radii - 1).abs().max() > 1e-3:
        low, high = float(radii.min()), float(radii.max())
        raise RuleBroken(f"{name!r}: radius {low:.3g} to {high:.3g} times sqrt(d) instead of 1", fix)


def check_prior_is_seeded(source: GeneratorSource) -> None:
    """The same seed draws the same code; another seed, or drawing on, draws another."""
    fix = "draw from the given rng alone, and for every call"
    for keys in source.inputs:
        rng = torch.Generator().manual_seed(0)
        first, following = source.prior(16, keys, rng), source.prior(16, keys, rng)
        again, other = draw(source, 16, keys), draw(source, 16, keys, seed=1)
        for name in keys:
            if not first[name].equal(again[name]):
                raise RuleBroken(f"the same seed draws another {name!r}", fix)
            if first[name].equal(following[name]) or first[name].equal(other[name]):
                raise RuleBroken(f"{name!r} does not depend on rng", fix)


def check_prior_leaves_global_rng(source: GeneratorSource) -> None:
    """prior() consumes nothing of torch's global random state."""
    for keys in source.inputs:
        before = torch.get_rng_state()
        draw(source, 3, keys)
        if not before.equal(torch.get_rng_state()):
            observed = f"drawing {named(keys)} changes torch's global random state"
            raise RuleBroken(observed, "pass generator=rng wherever prior() draws")
