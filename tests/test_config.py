"""A run's configuration: checked against the registered parts, written as TOML and read back, changed by key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import minegan_zoo as mz
from minegan_zoo.config import Choice, RunConfig, SourceChoice, Training
from minegan_zoo.contracts import MineganError

SIMPLE = RunConfig(sources=(SourceChoice("stylegan2.tiny"),), target="images")
FULL = RunConfig(
    sources=(
        SourceChoice("stylegan2", "weights/shoes.pt", {"truncation": 0.7, "noise": "random"}),
        SourceChoice("runs/a/model"),
    ),
    target="a \"quoted\" path\\with 'signs' é",
    test="torchvision:FashionMNIST?root=data&classes=9",
    limit=100,
    labels=True,
    strategy=Choice("minegan", {"mine_share": "0.25"}),
    miner=Choice("mlp", {"width": "32"}),
    selector=Choice("max"),
    critic=Choice("conv", {"width": 8}),
    objective=Choice("wgan-gp", {"critic_steps": 2}),
    augmentation=Choice("diffaugment", {"policy": "color"}),
    training=Training(state_every=7, precision="bf16"),
    steps=3,
    batch=4,
    seed=5,
    resolution=16,
    noise_dim=32,
    device="cpu",
)


def refused(text: str) -> str:
    with pytest.raises(MineganError) as error:
        RunConfig.from_toml(text, "run.toml").checked()
    return str(error.value)


# Checked


def test_checking_converts_what_is_given_and_fills_in_what_is_not() -> None:
    checked = FULL.checked()
    assert checked.miner == Choice("mlp", {"width": 32, "depth": 3, "skip": True, "num_classes": 0})
    assert checked.strategy.options["mine_share"] == 0.25
    assert set(checked.strategy.options) == {
        "mine_share", "select_steps", "miner_lr", "finetune_miner_lr", "source_lr", "critic_lr", "code_prior",
        "freeze_lower", "plateau",
    }  # fmt: skip
    assert checked.checked() == checked
    assert dataclasses.replace(SIMPLE, steps="20").checked().steps == 20  # type: ignore[arg-type]
    assert SIMPLE.checked().augmentation is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"batch": -1}, "batch must be at least 1"),
        ({"resolution": 2}, "resolution must be at least 4"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"steps": "many"}, "steps must be int | none, not 'many'"),
        ({"batch": 2.5}, "batch must be int, not 2.5"),
        ({"device": "gpu"}, "device must be cpu or cuda, not 'gpu'"),
        ({"training": Training(state_every=0)}, "training.state_every must be at least 1"),
        ({"miner": Choice("mpl")}, "unknown miner 'mpl'. Did you mean 'mlp'"),
        ({"strategy": Choice("minegann")}, "Did you mean 'minegan'"),
        ({"critic": Choice("conv", {"widht": 3})}, "critic 'conv' has no option 'widht'. Its options: width: int = 64"),
        ({"objective": Choice("logistic", {"gamma": "big"})}, "option 'gamma' of objective 'logistic' must be float"),
        ({"augmentation": Choice("diffaugment", {"policy": 3})}, "must be str, not 3"),
    ],
)
def test_a_wrong_setting_is_an_error_that_says_what_is_right(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MineganError) as error:
        dataclasses.replace(SIMPLE, **changes).checked()
    assert words in str(error.value)


# TOML


@pytest.mark.parametrize("config", [SIMPLE, SIMPLE.checked(), FULL.checked()], ids=["simple", "checked", "full"])
def test_toml_gives_the_same_configuration_back(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert RunConfig.read(tmp_path / "config.toml") == config


def test_toml_by_hand_may_be_short() -> None:
    text = """
    sources = ["stylegan2.tiny", "progan=weights.pt", {name = "progan.tiny", options = {}}]
    target = "images"
    steps = 20
    miner = "mlp"
    objective = {name = "wgan-gp", options = {critic_steps = 2}}
    training.state_every = 5
    """
    assert RunConfig.from_toml(text, "run.toml") == RunConfig(
        sources=(SourceChoice("stylegan2.tiny"), SourceChoice("progan", "weights.pt"), SourceChoice("progan.tiny")),
        target="images",
        steps=20,
        objective=Choice("wgan-gp", {"critic_steps": 2}),
        training=Training(state_every=5),
    )


HEAD = 'sources = ["stylegan2.tiny"]\ntarget = "images"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps = ", "run.toml is not valid TOML"),
        ('target = "images"', "run.toml lacks sources"),
        ("", "run.toml lacks sources and target"),
        (HEAD + "step = 3", "run.toml has unknown settings step; known: augmentation, batch"),
        (HEAD + 'steps = "many"', "run.toml: steps must be int | none, not 'many'"),
        ('sources = "stylegan2.tiny"\ntarget = "images"', "run.toml: sources is a list of names and tables"),
        ('sources = [3]\ntarget = "images"', "run.toml: a source is a string or a table with a name, not 3"),
        (
            'target = "images"\n[[sources]]\nname = "a"\nweight = "b"',
            "run.toml: a source has an unknown setting 'weight'; known: name, weights, options",
        ),
        ('target = "images"\n[[sources]]\nname = "a"\nweights = 3', "weights of a source must be str | none, not 3"),
        (HEAD + "[miner]\nwidth = 3", "run.toml: miner is a string or a table with a name"),
        (HEAD + '[miner]\nname = "mlp"\nwidth = 3', "miner has an unknown setting 'width'; known: name, options"),
        (HEAD + '[miner]\nname = "mlp"\noptions = 3', "options of miner must be table, not 3"),
        (HEAD + '[miner]\nname = "mlp"\n[miner.options]\nwidht = 3', "miner 'mlp' has no option 'widht'"),
        (HEAD + "training = 3", "run.toml: training is a table, not 3"),
        (HEAD + "[training]\nstate = 3", "training has no option 'state'; its options: ema_images"),
        (HEAD + '[training]\nprecision = "fp8"', "must be 'no' | 'bf16', not 'fp8'"),
    ],
)
def test_toml_that_is_no_configuration_is_refused_with_the_reason(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name, words in {"missing.toml": "No such file", ".": "directory", "binary.toml": "not UTF-8"}.items():
        with pytest.raises(MineganError, match=f"{re.escape(str(tmp_path / name))}.*{words}"):
            RunConfig.read(tmp_path / name)


# Keys, as --set takes them


def test_a_key_with_a_dot_goes_to_its_part_and_a_bare_one_to_the_part_that_has_it() -> None:
    changed = FULL.with_options(
        {"miner.depth": "5", "mine_share": "0.5", "policy": "cutout", "state_every": "9", "training.beta1": "0.5"}
    ).checked()
    assert changed.miner.options == {"width": 32, "depth": 5, "skip": True, "num_classes": 0}
    assert changed.strategy.options["mine_share"] == 0.5
    assert changed.augmentation is not None and changed.augmentation.options == {"policy": "cutout"}
    assert (changed.training.state_every, changed.training.beta1) == (9, 0.5)
    assert changed.training.precision == "bf16"
    assert FULL.miner.options == {"width": "32"}


def test_nested_tables_and_settings_of_the_run_are_keys_too() -> None:
    changed = SIMPLE.with_options({"miner": {"width": 7}, "training": {"log_every": 2}, "noise_dim": "12"})
    assert (changed.miner.options, changed.training.log_every, changed.noise_dim) == ({"width": 7}, 2, 12)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("width", 3, "option 'width' is ambiguous: write miner.width or critic.width"),
        ("widht", 3, "no part of this run has an option 'widht'; they are: strategy.mine_share"),
        ("minr.width", 3, "option 'minr.width' names no part of this run: strategy, miner"),
        ("miner.widht", 3, "miner 'mlp' has no option 'widht'"),
        ("miner.width", "many", "option 'width' of miner 'mlp' must be int, not 'many'"),
        ("training.widht", 3, "training has no option 'widht'"),
        ("fid_samples", "some", "option 'fid_samples' of training must be int, not 'some'"),
        ("noise_dim", "some", "noise_dim must be int | none, not 'some'"),
    ],
)
def test_a_key_that_means_nothing_here_is_refused(key: str, value: Any, words: str) -> None:
    with pytest.raises(MineganError) as error:
        FULL.with_options({key: value}).checked()
    assert words in str(error.value)


def test_a_part_that_the_run_does_not_have_takes_no_option() -> None:
    for key in ("augmentation.policy", "policy"):
        with pytest.raises(MineganError, match="option"):
            SIMPLE.with_options({key: "color"})


# Sources and differences


def test_a_source_is_a_name_with_or_without_weights(tmp_path: Path) -> None:
    assert SourceChoice.parse("progan.tiny") == SourceChoice("progan.tiny")
    assert SourceChoice.parse("progan=a=b.pt") == SourceChoice("progan", "a=b.pt")
    with pytest.raises(MineganError, match="'progan=' names no weights"):
        SourceChoice.parse("progan=")
    folder = tmp_path / "lr=0.1" / "model"
    folder.mkdir(parents=True)
    assert SourceChoice.parse(str(folder)) == SourceChoice(str(folder))


def test_differences_are_named_but_for_the_device() -> None:
    assert FULL.differences(dataclasses.replace(FULL, device="cuda")) == []
    assert FULL.checked().differences(RunConfig.from_toml(FULL.checked().to_toml(), "x").checked()) == []
    other = dataclasses.replace(FULL, steps=9, miner=Choice("mlp"), training=Training())
    assert FULL.differences(other) == ["miner", "steps", "training.precision"]
    # a default that is written out is no difference
    written = dataclasses.replace(SIMPLE, miner=Choice("mlp", {"width": 128}))
    assert SIMPLE.checked().differences(written.checked()) == []
    plain, ada = (dataclasses.replace(SIMPLE, augmentation=Choice(name)).checked() for name in ("none", "ada"))
    assert SIMPLE.checked().differences(plain) == [] and plain.differences(ada) == ["augmentation"]


def test_a_part_is_chosen_by_name() -> None:
    for part in ("strategy", "miner", "selector", "critic", "objective", "augmentation"):
        with pytest.raises(MineganError, match=rf"{part} is chosen by its name, a string.*, not by \['max'\]"):
            mz.mine("stylegan2.tiny", "images", **{part: ["max"]})  # type: ignore[arg-type]
