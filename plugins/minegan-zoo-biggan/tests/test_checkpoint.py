"""Finding files, inferring what they do not say, and refusing what does not fit."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.sources import load_source, save_source
from minegan_zoo.weights import read_checkpoint

GOLDEN = Path(__file__).parent / "golden"
FLAT, DEEP, HUGGING_FACE = (GOLDEN / name for name in ("biggan-ajbrock-32", "biggan-deep-ajbrock-64", "biggan-hf-32"))
TABLES = GOLDEN / "biggan-ajbrock-64-tables"


def image(source: object) -> Tensor:
    with torch.no_grad():
        return source.synthesize(source.prior(2, source.inputs[0], torch.Generator().manual_seed(0)))


def rewrite(file: Path, copy: Path, change: Callable[[dict[str, Tensor]], Mapping[str, object]]) -> Path:
    copy.parent.mkdir(exist_ok=True, parents=True)
    torch.save(change(read_checkpoint(file)), copy)
    return copy


def test_averaged_and_raw_weights(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FLAT, folder)
    with pytest.raises(MineganError, match=r"expected G\.pth \(raw weights\)"):
        load_source("biggan", folder, ema=False)
    with pytest.raises(MineganError, match=r"G\.pth is not beside it"):
        load_source("biggan", folder / "G_ema.pth", ema=False)
    rewrite(
        FLAT / "G_ema.pth",
        folder / "G.pth",
        lambda t: {k: v * 1.5 if k == "output_layer.2.bias" else v for k, v in t.items()},
    )
    averaged, raw = load_source("biggan", folder), load_source("biggan", folder, ema=False)
    assert torch.equal(averaged.output_layer["2"].bias * 1.5, raw.output_layer["2"].bias)
    assert torch.equal(image(raw), image(load_source("biggan", folder / "G.pth")))
    assert torch.equal(image(raw), image(load_source("biggan", folder / "G_ema.pth", ema=False)))
    (folder / "G_ema.pth").unlink()
    assert torch.equal(image(raw), image(load_source("biggan", folder)))


def test_suffixes_go_together(tmp_path: Path) -> None:
    for name in ("G_ema", "D", "state_dict"):
        shutil.copy(FLAT / f"{name}.pth", tmp_path / f"{name}_best0.pth")
    (tmp_path / "G_optim_best0.pth").write_bytes(b"not a generator")
    source = load_source("biggan", tmp_path)
    assert source.own_critic() is not None and source.plan.sn_eps == 1e-6
    shutil.copy(FLAT / "G_ema.pth", tmp_path / "G_ema_best1.pth")
    with pytest.raises(MineganError, match=r"several: name one of G_ema_best0\.pth, G_ema_best1\.pth"):
        load_source("biggan", tmp_path)
    assert load_source("biggan", tmp_path / "G_ema_best1.pth").own_critic() is None


def test_a_generator_alone_has_no_critic_and_the_default_options(tmp_path: Path) -> None:
    shutil.copy(FLAT / "G_ema.pth", tmp_path)
    source = load_source("biggan", tmp_path / "G_ema.pth")
    assert source.own_critic() is None and (source.plan.sn_eps, source.plan.bn_eps) == (1e-8, 1e-5)
    given = load_source("biggan", tmp_path, sn_eps=1e-3, bn_eps=0.1, activation="leaky_relu")
    assert (given.plan.sn_eps, given.plan.bn_eps, given.plan.output_eps) == (1e-3, 0.1, 1e-5)
    assert not torch.allclose(image(source), image(given))


def test_options_beside_the_file_count_less_than_given_ones(tmp_path: Path) -> None:
    shutil.copytree(FLAT, tmp_path / "run")
    torch.save({"config": {"BN_eps": 0.01, "G_nl": "inplace_relu"}}, tmp_path / "run" / "state_dict.pth")
    assert load_source("biggan", tmp_path / "run").plan.bn_eps == 0.01
    assert load_source("biggan", tmp_path / "run", bn_eps=0.1).plan.bn_eps == 0.1
    torch.save({"config": {"G_nl": "swish"}}, tmp_path / "run" / "state_dict.pth")
    with pytest.raises(MineganError, match="activation 'swish'"):
        load_source("biggan", tmp_path / "run")
    torch.save({"itr": 1}, tmp_path / "run" / "state_dict.pth")
    with pytest.raises(MineganError, match="no training options"):
        load_source("biggan", tmp_path / "run")


def test_standing_statistics_are_sums_when_their_counter_says_so(tmp_path: Path) -> None:
    tensors = read_checkpoint(TABLES / "G_ema.pth")
    count = tensors["blocks.0.0.bn1.bn.accumulation_counter"]
    assert count == 3
    mean = tensors["blocks.0.0.bn1.bn.stored_mean"]
    torch.testing.assert_close(load_source("biggan", TABLES).blocks[0][0].bn1.stored_mean, mean / 3)
    assert torch.equal(load_source("biggan", TABLES, standing=False).blocks[0][0].bn1.stored_mean, mean)
    zero = {key: torch.zeros(1) for key in tensors if key.endswith("accumulation_counter")}
    rewrite(TABLES / "G_ema.pth", tmp_path / "G.pth", lambda t: {**t, **zero})
    assert torch.equal(load_source("biggan", tmp_path).blocks[0][0].bn1.stored_mean, mean)


def test_half_precision_files_load_as_float32(tmp_path: Path) -> None:
    rewrite(FLAT / "G_ema.pth", tmp_path / "G.pth", lambda t: {key: value.half() for key, value in t.items()})
    source = load_source("biggan", tmp_path)
    assert all(value.dtype == torch.float32 for value in source.state_dict().values())


@pytest.mark.parametrize("folder", [FLAT, DEEP, HUGGING_FACE], ids=lambda folder: folder.name)
def test_every_key_counts(folder: Path, tmp_path: Path) -> None:
    name = "pytorch_model.bin" if folder is HUGGING_FACE else "G_ema.pth"
    family = "biggan" if folder is FLAT else "biggan-deep"
    gone = {"biggan": "blocks.1.0.bn2.stored_var", "biggan-deep": "blocks.1.0.conv3.bias"}[family]
    gone = "generator.layers.1.conv_2.bias" if folder is HUGGING_FACE else gone
    copy = shutil.copytree(folder, tmp_path / "run") / name
    rewrite(folder / name, copy, lambda t: {key: value for key, value in t.items() if key != gone})
    with pytest.raises(MineganError, match=r"missing: blocks\.1\.0\.(bn2.stored_var|conv3.bias)"):
        load_source(family, tmp_path / "run")
    rewrite(folder / name, copy, lambda t: {**t, "surplus.weight": torch.zeros(2)})
    with pytest.raises(MineganError, match=r"unexpected: surplus\.weight"):
        load_source(family, tmp_path / "run")
    key = "generator.conv_to_rgb.weight_orig" if folder is HUGGING_FACE else "output_layer.2.weight"
    rewrite(folder / name, copy, lambda t: {**t, key: t[key][:, 1:]})
    with pytest.raises(MineganError, match=r"of another shape: output_layer\.2"):
        load_source(family, tmp_path / "run")


def test_an_impossible_discriminator_is_damaged(tmp_path: Path) -> None:
    shutil.copytree(DEEP, tmp_path / "run")
    key = "blocks.1.0.conv4.weight"  # its block would lose channels
    rewrite(DEEP / "D.pth", tmp_path / "run" / "D.pth", lambda t: {**t, key: t[key][:4]})
    with pytest.raises(MineganError, match="describes an impossible network"):
        load_source("biggan-deep", tmp_path / "run")


def test_a_deep_generator_of_even_width_needs_its_resolution_when_three_stages_do_not_fit(tmp_path: Path) -> None:
    def drop_last(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key: value for key, value in tensors.items() if not key.startswith("blocks.8.")}

    depth3 = GOLDEN / "biggan-deep-ajbrock-32-depth3"
    assert load_source("biggan-deep", depth3).image.resolution == 32
    rewrite(depth3 / "G_ema.pth", tmp_path / "G.pth", drop_last)
    with pytest.raises(MineganError, match="8 blocks are not 3 even stages: give resolution"):
        load_source("biggan-deep", tmp_path)


def test_hugging_face_files_by_their_published_names(tmp_path: Path) -> None:
    for name in ("config.json", "pytorch_model.bin"):
        shutil.copy(HUGGING_FACE / name, tmp_path / f"biggan-deep-32-{name}")
    file = tmp_path / "biggan-deep-32-pytorch_model.bin"
    assert torch.equal(image(load_source("biggan-deep", file)), image(load_source("biggan-deep", HUGGING_FACE)))
    (tmp_path / "biggan-deep-32-config.json").unlink()
    with pytest.raises(MineganError, match=r"put its config\.json beside it"):
        load_source("biggan-deep", file)


def test_hugging_face_truncation_scales_the_prior() -> None:
    drawn = []
    for truncation in (1.0, 0.5):
        source = load_source("biggan-deep", HUGGING_FACE, truncation=truncation)
        drawn.append(source.prior(100, frozenset({"z"}), torch.Generator().manual_seed(0))["z"])
    torch.testing.assert_close(drawn[0] * 0.5, drawn[1])
    assert 1.5 < drawn[0].abs().max() <= 2


@pytest.mark.parametrize(
    ("config", "words"),
    [("{", "not readable as JSON"), ("[]", "no list of layers"), ('{"layers": [[true, 1, 1]]}', "describes 1")],
)
def test_hugging_face_config_that_does_not_fit(tmp_path: Path, config: str, words: str) -> None:
    shutil.copy(HUGGING_FACE / "pytorch_model.bin", tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(MineganError, match=words):
        load_source("biggan-deep", tmp_path)


@pytest.mark.parametrize(
    ("family", "file", "words"),
    [
        ("biggan", DEEP / "G_ema.pth", "looks like biggan-deep"),
        ("biggan-deep", FLAT / "G_ema.pth", "looks like biggan: load"),
        ("biggan", HUGGING_FACE, "looks like biggan-deep"),
        ("biggan", FLAT / "D.pth", "is a BigGAN discriminator: name the generator's file"),
        ("biggan-deep", DEEP / "D.pth", "is a BigGAN discriminator"),
        ("biggan", FLAT / "state_dict.pth", "looks like a dict with 'itr'"),
        ("biggan", FLAT / "missing.pth", "no such file"),
    ],
)
def test_the_wrong_file(family: str, file: Path, words: str) -> None:
    with pytest.raises(MineganError, match=words):
        load_source(family, file)


@pytest.mark.parametrize(
    ("tree", "family"),
    [
        ({"netG": {}, "netD": {}, "avgG": {}, "config": None}, "progan"),
        ({"g_ema": {}, "g": {}, "d": {}, "latent_avg": torch.zeros(1)}, "stylegan2"),
        ({"generator": {}, "discriminator": {}, "g_running": {}}, "stylegan"),
        ({"generator.progression.0.conv1.input": torch.zeros(1)}, "stylegan"),
        ({"progression.0.conv.0.conv.bias": torch.zeros(1)}, "progan"),
        ({"scaleLayers.0.0.weight": torch.zeros(1)}, "progan"),
    ],
)
def test_a_file_of_another_family_says_which(tmp_path: Path, tree: dict[str, object], family: str) -> None:
    torch.save(tree, tmp_path / "weights.pt")
    for path in (tmp_path / "weights.pt", tmp_path):
        with pytest.raises(MineganError, match=f"looks like {family} "):
            load_source("biggan", path)


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match=r"expected G_ema\.pth, G\.pth or config\.json with pytorch_model\.bin"):
        load_source("biggan", tmp_path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (GOLDEN / "biggan-deep-ajbrock-32-depth3", "G_ema.pth"),
        (GOLDEN / "biggan-deep-ajbrock-32-depth3", "D.pth"),
        (FLAT, "state_dict.pth"),
        (GOLDEN / "biggan-hf-32-attention-first", "pytorch_model.bin"),
        (GOLDEN / "biggan-hf-32-attention-first", "config.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_damaged_files_load_or_say_so(folder: Path, name: str, tmp_path: Path) -> None:
    """A flip inside tensor data may load; nothing else than MineganError may come out."""
    shutil.copytree(folder, tmp_path / "run")
    whole, rng = (folder / name).read_bytes(), random.Random(0)
    refused = 0
    for mutation in range(40):
        damaged = bytearray(whole if mutation % 4 else whole[: rng.randrange(len(whole))])
        for _ in range(rng.choice((1, 4))):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "run" / name).write_bytes(damaged)
        try:
            load_source("biggan" if folder == FLAT else "biggan-deep", tmp_path / "run")
        except MineganError:
            refused += 1
    assert refused >= 10  # all that were cut short, at least


def test_a_source_folder_that_describes_no_biggan(tmp_path: Path) -> None:
    save_source(load_source("biggan.tiny"), tmp_path / "saved")
    facts = json.loads((tmp_path / "saved" / "source.json").read_text())
    facts["config"]["generator"]["blocks"][0]["color"] = "red"
    (tmp_path / "saved" / "source.json").write_text(json.dumps(facts))
    with pytest.raises(MineganError, match="describes no BigGAN"):
        load_source("biggan", tmp_path / "saved")
