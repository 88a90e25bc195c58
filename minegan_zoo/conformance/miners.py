"""Rules of a miner, on latent spaces like those of the families. May import contracts only."""

from __future__ import annotations

import fnmatch
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from minegan_zoo.conformance.specimen import STIR, RuleBroken, close, module, named
from minegan_zoo.contracts import LatentSpace, MineganError, MinerEntry

NOISE_DIM = 12
CLASSES = 3
Latents = Mapping[str, LatentSpace]
MAPS = {f"noise.{k}": LatentSpace((1, size, size), "normal") for k, size in enumerate((4, 8))}
KEY_SETS: tuple[Latents, ...] = (
    {"z": LatentSpace((8,), "normal"), "class": LatentSpace((6,), "class-embedding")},
    {"z": LatentSpace((12,), "sphere")},
    {"z": LatentSpace((8,), "truncated", 0.5)},
    {"w": LatentSpace((8,), "mapped")},
    {"w+": LatentSpace((3, 8), "mapped")},
    {"z": LatentSpace((12,), "normal"), **MAPS},
    {"w": LatentSpace((8,), "mapped"), **MAPS},
    {"w+": LatentSpace((3, 8), "mapped"), **MAPS},
)
DEFAULTS = 3
"""So many of the key sets are some source's default."""
PER_LAYER: tuple[Latents, ...] = (
    {"w+": LatentSpace((3, 8), "mapped")},
    {"z": LatentSpace((8,), "normal"), "class+": LatentSpace((3, 6), "class-embedding")},
)
"""Key sets with a code for every layer, for miners that say that they make those."""


def check_miner_codes(entry: MinerEntry) -> None:
    """A miner makes exactly the spaces that it was built for: (n, *shape), float32, finite, for n = 1 and n = 3."""
    for latents, miner in _miners(entry):
        if miner.noise_dim != NOISE_DIM:
            raise RuleBroken(f"built for {NOISE_DIM}, noise_dim is {miner.noise_dim}", "keep noise_dim as it is given")
        for n in (1, 3):
            code = _mine(miner, _noise(n))
            if set(code) != set(latents):
                observed = f"built for {named(set(latents))} it makes {named(set(code))}"
                raise RuleBroken(observed, "make every space of `latents` and no other")
            for name, value in code.items():
                wanted = (n, *latents[name].shape)
                if value.shape != wanted or value.dtype != torch.float32 or not value.isfinite().all():
                    finite = bool(value.isfinite().all())
                    observed = f"{name!r} is {tuple(value.shape)}, {value.dtype}, finite: {finite}"
                    raise RuleBroken(observed, f"make it float32 of shape {wanted}, as `latents` says")


def check_miner_rows(entry: MinerEntry) -> None:
    """Row i of a code depends on row i of the base noise alone, while training too: no batch statistics."""
    for _, miner in _miners(entry):
        whole, alone = _mine(miner, _noise(4)), _mine(miner, _noise(4)[1:2], first=1)
        _same(
            alone, {name: value[1:2] for name, value in whole.items()}, "in a batch of 1 and of 4", "normalise by row"
        )


def check_miner_repeats(entry: MinerEntry) -> None:
    """The same base noise gives the same code, and nothing is drawn from torch's global random state."""
    for _, miner in _miners(entry):
        state = torch.get_rng_state()
        first, again = _mine(miner, _noise(3)), _mine(miner, _noise(3))
        _same(first, again, "for the same base noise", "let u be the only source of chance")
        if not state.equal(torch.get_rng_state()):
            raise RuleBroken("mining changes torch's global random state", "let u be the only source of chance")


def check_miner_gradient(entry: MinerEntry) -> None:
    """Every parameter of a miner gets a gradient from its codes."""
    for latents, miner in _miners(entry):
        code = miner(_noise(16), _labels(miner, 16))
        rng = torch.Generator().manual_seed(1)
        sum((value * torch.randn(value.shape, generator=rng)).sum() for value in code.values()).backward()
        idle = [name for name, p in miner.named_parameters() if p.grad is None or not p.grad.any()]
        if idle:
            observed = f"no gradient reaches {', '.join(idle[:5])} with the spaces {named(set(latents))}"
            raise RuleBroken(observed, "build only what the given spaces need, and detach nothing")


def check_miner_sphere(entry: MinerEntry) -> None:
    """In a space with a sphere prior, codes lie on the sphere of radius sqrt(d)."""
    for latents, miner in _miners(entry):
        code = _mine(miner, _noise(16))
        for name, space in latents.items():
            if space.prior == "sphere" and name in code:
                value = code[name]
                radii = value.flatten(1).norm(dim=1) / math.sqrt(value[0].numel())
                if (radii - 1).abs().max() > 1e-3:
                    observed = f"{name!r}: radius {float(radii.min()):.3g} to {float(radii.max()):.3g} times sqrt(d)"
                    raise RuleBroken(observed, "scale every row to a mean square of 1")


def check_miner_labels(entry: MinerEntry) -> None:
    """With an option num_classes a miner has it as its attribute, needs labels, and its codes depend on them."""
    for latents in _fitting(entry):
        for classes in _class_counts(entry, latents):
            miner = _build(entry, latents, classes)
            if miner.num_classes != classes:
                observed = f"built for {classes} classes, num_classes is {miner.num_classes}"
                raise RuleBroken(observed, "take an option num_classes and keep it as the attribute, or do neither")
            if not classes:
                continue
            fix = "raise a MineganError that asks for labels"
            try:
                miner(_noise(2))
            except MineganError:
                pass
            else:
                raise RuleBroken("conditioned on classes it mines without labels", fix)
            zeros, ones = (miner(_noise(3), torch.full((3,), label)) for label in (0, 1))
            if all(zeros[name].equal(ones[name]) for name in zeros):
                raise RuleBroken("two classes give the same code", "let labels reach the code")


def check_miner_state_dict(entry: MinerEntry) -> None:
    """The state_dict carries everything, once: loaded into a second build, it gives the same codes."""
    for (_, first), (_, second) in zip(_miners(entry, seed=1), _miners(entry, seed=2), strict=True):
        places = [tensor.data_ptr() for tensor in first.state_dict().values() if tensor.numel()]
        if len(set(places)) < len(places):
            raise RuleBroken("a tensor has two names in the state_dict", "register every part of the miner once")
        second.load_state_dict(first.state_dict())
        codes = _mine(first, _noise(3)), _mine(second, _noise(3))
        _same(*codes, "once reloaded", "keep every tensor that codes depend on as a parameter or a persistent buffer")


def _miners(entry: MinerEntry, seed: int = 0) -> Iterator[tuple[Latents, Any]]:
    """The miner for every key set that it fits, without and, where it can be, with classes."""
    for latents in _fitting(entry):
        for classes in _class_counts(entry, latents):
            yield latents, _build(entry, latents, classes, seed)


def _build(entry: MinerEntry, latents: Latents, classes: int, seed: int = 0) -> Any:
    """In training mode, its parameters stirred as by some training: what starts at zero keeps the rules too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"num_classes": classes} if classes else {}
        miner = module(entry.build(latents, NOISE_DIM, **options)).train()
        with torch.no_grad():
            for parameter in miner.parameters():
                parameter.add_(STIR * torch.randn_like(parameter))
    return miner


def _class_counts(entry: MinerEntry, latents: Latents) -> list[int]:
    """The numbers of classes to build it for; a miner may insist on some."""
    if "num_classes" not in inspect.signature(entry.build).parameters:
        return [0]
    try:
        _build(entry, latents, 0)
    except MineganError:
        return [CLASSES]
    return [0, CLASSES]


def _fitting(entry: MinerEntry) -> list[Latents]:
    sets = KEY_SETS if entry.spaces else KEY_SETS[:DEFAULTS] + (PER_LAYER if entry.per_layer else ())
    fitting = [given for given in (_matches(entry, latents) for latents in sets) if given]
    if not fitting:
        observed = f"no family has latent spaces like {' and '.join(entry.spaces)}"
        raise RuleBroken(observed, "let the entry's `spaces` match some of z, class, w, w+ and noise.k")
    return fitting


def _matches(entry: MinerEntry, latents: Latents) -> Latents:
    """What of a key set the miner is given; nothing unless every one of its patterns has a match."""
    if not entry.spaces:
        return latents
    found = [fnmatch.filter(latents, pattern) for pattern in entry.spaces]
    return {name: latents[name] for name in latents if any(name in names for names in found)} if all(found) else {}


def _noise(n: int) -> Tensor:
    return torch.randn(16, NOISE_DIM, generator=torch.Generator().manual_seed(0))[:n]


def _labels(miner: Any, n: int, first: int = 0) -> Tensor | None:
    return torch.arange(first, first + n) % CLASSES if miner.num_classes else None


@torch.no_grad()
def _mine(miner: Any, u: Tensor, first: int = 0) -> dict[str, Tensor]:
    code: dict[str, Tensor] = miner(u, _labels(miner, len(u), first))
    return code


def _same(a: Mapping[str, Tensor], b: Mapping[str, Tensor], when: str, fix: str) -> None:
    for name in a:
        if not close(a[name], b[name]):
            raise RuleBroken(f"{name!r} differs {when}", fix)
