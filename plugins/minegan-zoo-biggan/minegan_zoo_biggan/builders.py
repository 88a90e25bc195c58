"""Builders of the family entries. Imports `contracts`, `architecture`, `checkpoint`; torch when one is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError
from minegan_zoo_biggan.architecture import (
    DiscriminatorPlan,
    GeneratorPlan,
    discriminator_from_json,
    discriminator_plan,
    generator_from_json,
    generator_plan,
)
from minegan_zoo_biggan.checkpoint import Checkpoint, Hints

if TYPE_CHECKING:
    from minegan_zoo_biggan.source import BigGAN


def biggan(
    weights: Path | None,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    ch: int | None = None,
    critic_ch: int | None = None,
    dim_z: int | None = None,
    shared_dim: int | None = None,
    hier: bool | None = None,
    attention: str | None = None,
    truncation: float = 1.0,
    ema: bool = True,
    activation: str | None = None,
    bn_eps: float | None = None,
    sn_eps: float | None = None,
    standing: bool | None = None,
) -> BigGAN:
    """BigGAN; reads ajbrock/BigGAN-PyTorch (G_ema.pth or G.pth, or their folder) and source folders.

    What describes the network comes from the file where it is left out, and is checked where it is given; without a
    file the defaults are those of `architecture.generator_plan`. `ch`, `critic_ch` and `attention` (resolutions, as in
    "32_64") serve random networks only. `truncation` 1.0 keeps what a source folder was saved with; `ema=False` takes
    G.pth. `activation`, `bn_eps`, `sn_eps` stand in for what state_dict.pth says beside the file. `standing` says
    whether the file's batch-norm statistics are sums (default: when their counter is not 0).
    """
    facts = {
        "resolution": resolution,
        "channels": channels,
        "num_classes": num_classes,
        "dim_z": dim_z,
        "shared_dim": shared_dim,
        "hier": hier,
    }
    if weights is not None:
        hints = Hints(ema, resolution, activation, bn_eps, sn_eps, standing)
        return _load(weights, False, facts, hints, truncation)
    return _random(False, {**facts, "ch": ch, "attention": attention}, critic_ch, truncation)


def biggan_deep(
    weights: Path | None,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    ch: int | None = None,
    critic_ch: int | None = None,
    depth: int | None = None,
    dim_z: int | None = None,
    shared_dim: int | None = None,
    attention: str | None = None,
    truncation: float = 1.0,
    ema: bool = True,
    activation: str | None = None,
    bn_eps: float | None = None,
    sn_eps: float | None = None,
    standing: bool | None = None,
) -> BigGAN:
    """BigGAN-deep; reads ajbrock/BigGAN-PyTorch, Hugging Face's pytorch-pretrained-BigGAN and source folders.

    Options as for BigGAN; `depth` is a random network's number of blocks a stage. Hugging Face's files hold one set of
    weights, to which `ema` means nothing, and batch-norm statistics for each `truncation`.
    """
    facts = {
        "resolution": resolution,
        "channels": channels,
        "num_classes": num_classes,
        "dim_z": dim_z,
        "shared_dim": shared_dim,
    }
    if weights is not None:
        hints = Hints(ema, resolution, activation, bn_eps, sn_eps, standing)
        return _load(weights, True, facts, hints, truncation)
    return _random(True, {**facts, "ch": ch, "attention": attention, "depth": depth}, critic_ch, truncation)


def tiny(weights: Path | None, *, truncation: float = 1.0) -> BigGAN:
    """A random BigGAN of 10,000 parameters for tests."""
    if weights is not None:
        return biggan(weights, truncation=truncation)
    return biggan(
        None,
        resolution=32,
        channels=3,
        num_classes=3,
        ch=2,
        dim_z=16,
        shared_dim=8,
        attention="16",
        truncation=truncation,
    )


def tiny_deep(weights: Path | None, *, truncation: float = 1.0) -> BigGAN:
    """A random BigGAN-deep for tests."""
    if weights is not None:
        return biggan_deep(weights, truncation=truncation)
    return biggan_deep(
        None,
        resolution=32,
        channels=3,
        num_classes=3,
        ch=4,
        dim_z=16,
        shared_dim=8,
        attention="16",
        truncation=truncation,
    )


def published(weights: Path | None, *, truncation: float = 1.0, ema: bool = True) -> BigGAN:
    """A BigGAN with a card."""
    return biggan(_fetched(weights), truncation=truncation, ema=ema)


def published_deep(weights: Path | None, *, truncation: float = 1.0) -> BigGAN:
    """A BigGAN-deep with a card."""
    return biggan_deep(_fetched(weights), truncation=truncation)


def _fetched(weights: Path | None) -> Path:
    if weights is None:
        raise MineganError(
            "these weights cannot be fetched by program: download them by hand from the address in their card "
            "(`minegan-zoo info NAME`), unpack them and give their folder as weights: NAME=FOLDER"
        )
    return weights


def _random(deep: bool, options: Mapping[str, Any], critic_ch: int | None, truncation: float) -> BigGAN:
    given = {name: value for name, value in options.items() if value is not None}
    generator = generator_plan(deep=deep, **given)
    shared = {name: given[name] for name in ("ch", "attention", "depth") if name in given}
    critic = discriminator_plan(generator, **shared | ({} if critic_ch is None else {"ch": critic_ch}))
    source = assemble(generator, critic, truncation).to_empty(device="cpu")
    source.reset_parameters()
    own = source.own_critic()
    assert own is not None
    own.to_empty(device="cpu").reset_parameters()
    return source


def assemble(generator: GeneratorPlan, critic: DiscriminatorPlan | None, truncation: float) -> BigGAN:
    """Both networks in `eval()`, without memory for their tensors: they are drawn or loaded into them."""
    import torch

    from minegan_zoo_biggan.discriminator import Discriminator
    from minegan_zoo_biggan.source import BigGAN

    with torch.device("meta"):
        own = None if critic is None else Discriminator(critic).eval()
        return BigGAN(generator, own, truncation).eval()


def _load(weights: Path, deep: bool, facts: Mapping[str, Any], hints: Hints, truncation: float) -> BigGAN:
    from minegan_zoo.weights import is_source_folder, load_strict

    if is_source_folder(weights):
        checkpoint, saved_truncation = _source_folder(weights)
        truncation = saved_truncation if truncation == 1 else truncation
    else:
        from minegan_zoo_biggan import files

        checkpoint = files.read(weights, hints)
    plan = checkpoint.generator
    if plan.deep != deep:
        other = "biggan-deep" if plan.deep else "biggan"
        raise MineganError(f"{weights} looks like {other}: load it under that name")
    for name, value in facts.items():
        if value is not None and value != (held := _facts(plan)[name]):
            raise MineganError(f"{weights} has {name}={held}, not {value}: leave the option out")
    try:
        source = assemble(plan, checkpoint.discriminator, truncation)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise MineganError(f"{weights} describes an impossible network ({error}): it is damaged") from error
    load_strict(source, checkpoint.tensors, f"the generator in {weights}", adopt=True)
    critic = source.own_critic()
    if critic is not None and checkpoint.discriminator_tensors is not None:
        whose = f"the discriminator in {weights}"
        load_strict(critic, checkpoint.discriminator_tensors, whose, adopt=True)
    # only Hugging Face's files hold rows of batch-norm statistics, one a truncation
    source.checkpoint_format = "Hugging Face pytorch-pretrained-BigGAN" if plan.statistics else "ajbrock/BigGAN-PyTorch"
    return source


def _facts(plan: GeneratorPlan) -> dict[str, Any]:
    """What the options of the same names describe."""
    return {
        "resolution": plan.resolution,
        "channels": plan.channels,
        "num_classes": plan.num_classes,
        "dim_z": plan.dim_z,
        "shared_dim": plan.shared_dim,
        "hier": plan.hier,
    }


def _source_folder(folder: Path) -> tuple[Checkpoint, float]:
    """What a source folder holds, and the truncation that it was saved with."""
    from minegan_zoo.weights import read_source

    saved = read_source(folder)
    if saved.config is None or saved.family not in ("biggan", "biggan-deep"):
        raise MineganError(f"{folder} looks like {saved.family}: load it under that name")
    try:
        described = saved.config["discriminator"]
        critic = None if described is None or saved.discriminator is None else discriminator_from_json(described)
        generator = generator_from_json(saved.config["generator"])
        truncation = float(saved.config["truncation"])
    except (KeyError, TypeError, ValueError) as error:
        raise MineganError(
            f"{folder}: its source.json describes no BigGAN ({error!r}): save the source again"
        ) from error
    return Checkpoint(generator, saved.generator, critic, saved.discriminator), truncation
