"""Strategies as data: stages written in a run's TOML, what is wrong with them, and rules that end a stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from typer.testing import CliRunner

import minegan_zoo as mz
from minegan_zoo.assembly import assemble
from minegan_zoo.cli import app
from minegan_zoo.config import Choice, RunConfig, SourceChoice
from minegan_zoo.contracts import MineganError, Plateau, Stage
from minegan_zoo.recorder import read_events
from minegan_zoo.registry import strategies
from minegan_zoo.run_folder import IN_PYTHON

TARGET = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=Generator().manual_seed(0))
MINE: Mapping[str, Any] = {"name": "mine", "share": 0.4, "train": {"miners": 5e-4, "critic": 2e-3}}
TUNE: Mapping[str, Any] = {"name": "tune", "share": 0.6, "train": {"sources": 5e-4, "critic": 2e-3}, "select": False}
TOML = """
sources = ["stylegan2.tiny"]
target = "images"
steps = 6
batch = 4

[training]
fid_samples = 0
log_every = 1

[strategy]
name = "stages"

[[strategy.options.stages]]
name = "mine"
share = 1.0
until = { every = 1, patience = 1 }
train = { miners = 5e-4, critic = 2e-3 }
regularisers = [{ name = "code-prior", weight = 0.1 }, { name = "mode-seeking" }]

[[strategy.options.stages]]
name = "biases"
steps = 2
select = false
adversarial = false
train = { "sources/*:*.bias" = 1e-3 }
regularisers = [{ name = "mode-seeking", weight = 0.5 }]
"""


def create(*tables: Mapping[str, Any], **options: Any) -> Any:
    return strategies.create("stages", stages=list(tables), **options)


def steps_of(strategy: Any, steps: int) -> dict[str, int]:
    return {stage.name: stage.steps for stage in strategy.stages(steps)}


# Stages from tables


def test_a_table_says_all_that_a_stage_can_be() -> None:
    table = {
        "name": "all",
        "steps": 7,
        "train": {"sources/*:*.bias": 1, "critic": 0},
        "until": {"patience": 9},
        "regularisers": [{"name": "l2sp", "weight": 0.5}],
        "critic_regularisers": [{"name": "mode-seeking"}],
        "select": False,
        "batch_stats": True,
        "adversarial": False,
    }
    (stage,) = create(table).stages(7)
    built = (*stage.regularisers, *stage.critic_regularisers)
    assert [type(each).__name__ for each in built] == ["L2SP", "ModeSeeking"]
    assert [each.weight for each in built] == [0.5, 1.0]
    assert stage == Stage(
        "all", 7, {"sources/*:*.bias": 1.0, "critic": 0.0}, Plateau(50, 9), stage.regularisers,
        stage.critic_regularisers, adversarial=False, select=False, batch_stats=True,
    )  # fmt: skip


def test_what_a_table_leaves_out_is_as_in_the_contract() -> None:
    train = {"miners": 1e-3}
    assert create({"name": "one", "share": 1, "train": train}).stages(5) == (Stage("one", 5, train),)


def test_the_same_regularisers_are_given_every_time() -> None:
    strategy = create({**MINE, "share": 1, "regularisers": [{"name": "l2sp"}]})
    assert strategy.stages(5)[0].regularisers[0] is strategy.stages(9)[0].regularisers[0]


def test_shares_divide_what_the_steps_leave() -> None:
    assert steps_of(create(MINE, TUNE), 10) == {"mine": 4, "tune": 6}
    assert steps_of(create({**MINE, "share": 0.5}, {**TUNE, "share": 0.5}), 7) == {"mine": 4, "tune": 3}
    third = [{"name": name, "share": 1 / 3, "train": {"miners": 1e-3}} for name in "abc"]
    for steps in (1, 2, 3, 100, 1001):
        assert sum(steps_of(create(*third), steps).values()) == steps
    first = {"name": "first", "steps": 5, "train": {"critic": 1e-3}}
    assert steps_of(create(first, MINE, TUNE), 15) == {"first": 5, "mine": 4, "tune": 6}


def test_stages_of_fixed_steps_say_how_long_the_run_is() -> None:
    first, second = ({"name": name, "steps": 5, "train": {"critic": 1e-3}} for name in "ab")
    strategy = create(first, second)
    assert strategy.default_steps == 10 and steps_of(strategy, 10) == {"a": 5, "b": 5}
    for steps in (9, 11):
        with pytest.raises(
            MineganError, match=rf"steps: the run has {steps}, the stages have 10 of their own: a 5, b 5"
        ):
            strategy.stages(steps)
    with pytest.raises(MineganError, match="steps: the run has 3, the stages have 5 of their own: a 5"):
        create(first, MINE, TUNE).stages(3)


def test_it_mines_unless_told_not_to() -> None:
    assert create(MINE, TUNE).mines and not create(MINE, TUNE, mines=False).mines


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lr": 1}, "stage 1 ('mine') of the strategy 'stages', lr: unknown; the keys are name, share, steps, until"),
        ({"name": None}, "stage 1 of the strategy 'stages', name: every stage needs one"),
        ({"steps": 4}, "stage 1 ('mine') of the strategy 'stages', share: a stage has either a share"),
        ({"share": "much"}, "share: it must be a number, not 'much'"),
        ({"share": -0.4}, "share: it must lie above 0 and be at most 1, not -0.4"),
        ({"share": 0.5}, "share: the stages' shares must sum to 1, not 1.1: mine 0.5, tune 0.6"),
        ({"name": "tune"}, "two stages of the strategy 'stages' have the name 'tune'"),
        ({"train": {}}, "stage 1 ('mine') of the strategy 'stages', train: a table of patterns"),
        ({"train": {"miners": -1e-3}}, "('mine'), train of the strategy 'stages', miners: a learning rate must"),
        ({"train": {"miners": "fast"}}, "train of the strategy 'stages', miners: it must be a number, not 'fast'"),
        ({"train": {"miners": float("nan")}}, "miners: a learning rate must"),
        ({"until": 5}, "until: a table, as {every = 50, patience = 4}, not 5"),
        ({"until": {"every": 0}}, "until of the strategy 'stages', every: it must be a whole number of"),
        ({"until": {"evry": 5}}, "evry: unknown; the keys are every, patience"),
        ({"regularisers": "l2sp"}, "regularisers: a list of tables, as [{name = 'l2sp', weight = 0.1}], not 'l2sp'"),
        ({"regularisers": [{"weight": 1}]}, "regularisers: {'weight': 1} lacks a name"),
        ({"regularisers": [{"name": "l2"}]}, "regularisers: unknown regulariser 'l2'. Did you mean 'l2sp'?"),
        ({"regularisers": [{"name": "l2sp", "wait": 1}]}, "'l2sp' has no option 'wait'. Its options: weight"),
        ({"regularisers": [{"name": "l2sp", "weight": -1}]}, "regularisers: the weight of the"),
        ({"critic_regularisers": [{"name": "l2"}]}, "critic_regularisers: unknown regulariser 'l2'"),
        ({"select": "no"}, "select: it must be true or false, not 'no'"),
        ({"adversarial": False}, "adversarial: without the adversarial term there must be regularisers"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_stage_and_key(wrong: Mapping[str, Any], words: str) -> None:
    with pytest.raises(MineganError) as error:
        create({**MINE, **wrong}, TUNE)
    assert words in str(error.value)


def test_a_list_without_stages_is_refused() -> None:
    nothing: tuple[Any, ...] = ((), [])
    for stages in nothing:
        with pytest.raises(MineganError, match=r"has no stages: write each as a table \[\[strategy.options.stages\]\]"):
            strategies.create("stages", stages=stages)
    with pytest.raises(MineganError, match="'stages' of strategy 'stages' must be tuple of table, not 'mine'"):
        strategies.create("stages", stages="mine")


# In a run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with twenty images and run.toml."""
    from torchvision.utils import save_image

    (tmp_path / "images").mkdir()
    for number, image in enumerate(torch.rand(20, 3, 16, 16, generator=Generator().manual_seed(0))):
        save_image(image, tmp_path / "images" / f"{number}.png")
    (tmp_path / "run.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_strategy_in_toml_is_shown_and_survives_being_written(place: Path) -> None:
    shown = CliRunner().invoke(app, ["mine", "--config", "run.toml", "--dry-run", "--device", "cpu"])
    assert shown.exit_code == 0, shown.output
    assert "# stage mine: 4 steps" in shown.output and "# stage biases: 2 steps" in shown.output
    assert "(sources/*:*.bias)" in shown.output
    config = RunConfig.read(place / "run.toml").checked()
    assert RunConfig.from_toml(config.to_toml(), "again").checked() == config
    assert config.strategy.options["stages"][1]["train"] == {"sources/*:*.bias": 1e-3}
    wrong = TOML.replace("sources/*:*.bias", "sources/*:*.bais")
    (place / "run.toml").write_text(wrong)
    refused = CliRunner().invoke(app, ["mine", "--config", "run.toml", "--dry-run", "--device", "cpu"])
    assert refused.exit_code != 0 and "'sources/*:*.bais' matches none" in str(refused.exception or refused.output)


def test_a_strategy_in_toml_runs(place: Path) -> None:
    finished = CliRunner().invoke(app, ["mine", "--config", "run.toml", "--out", "run", "--device", "cpu"])
    assert finished.exit_code == 0, finished.output
    torch.manual_seed(0)  # tiny sources are random: as the run began
    before, (after,) = mz.load_source("stylegan2.tiny"), mz.MinedGAN.load(place / "run" / "model").source_modules
    assert isinstance(before, nn.Module)
    for (name, start), end in zip(before.named_parameters(), after.parameters(), strict=True):
        # the image's own bias is in both images of a pair: their distance does not depend on it
        if name.endswith(".bias") and "torgb.bias" not in name:
            assert not torch.equal(start, end), name
        elif not name.endswith(".bias"):
            assert torch.equal(start, end), name
    events = read_events(place / "run")
    ended = [(event["stage"], event["reason"]) for event in events if event["event"] == "stage_end"]
    assert [stage for stage, _ in ended] == ["mine", "biases"]
    steps = [event for event in events if event["event"] == "step"]
    assert all("regularisers" in event for event in steps)
    assert all("critic_loss" not in event for event in steps if event["stage"] == "biases")


def test_python_takes_the_same_tables_and_resumes(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (8, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)

    def mine() -> dict[str, Tensor]:
        options = {"fid_samples": 0, "stages": ({**MINE, "regularisers": ({"name": "l2sp"},)}, TUNE)}
        model = mz.mine(
            "biggan.tiny", images, strategy="stages", steps=4, batch=4, out=tmp_path / "run", options=options
        )
        return dict(model.state_dict())

    first, again = mine(), mine()  # the second finds the same settings and the finished run
    assert [name for name in first if not torch.equal(first[name], again[name])] == []


# Rules


@pytest.mark.parametrize("name", ["minegan", "minegan++", "minegan-noft", "transfergan"])
def test_a_plateau_may_end_each_stage(name: str) -> None:
    for plateau, until in ((False, None), (True, Plateau())):
        stages = strategies.create(name, plateau=plateau).stages(10)
        assert sum(stage.steps for stage in stages) == 10
        assert [stage.until for stage in stages] == [until] * len(stages)


@pytest.mark.parametrize("name", ["minegan", "minegan++"])
def test_of_several_sources_a_short_run_mines_for_longer(name: str) -> None:
    one, several = strategies.create(name), strategies.create(name)
    one.for_sources(1)
    several.for_sources(3)
    assert [steps_of(one, steps)["mine"] for steps in (40, 400, 4000)] == [1, 12, 120]
    assert [steps_of(several, steps)["mine"] for steps in (40, 400, 4000)] == [10, 100, 120]
    assert sum(steps_of(several, 400).values()) == 400
    as_told = strategies.create(name, select_steps=0)
    as_told.for_sources(3)
    assert steps_of(as_told, 400)["mine"] == 12
    with pytest.raises(MineganError, match="select_steps must be at least 0, not -1"):
        strategies.create(name, select_steps=-1)


def test_a_run_tells_its_strategy_how_many_sources_there_are() -> None:
    def mining(*sources: str) -> int:
        config = RunConfig(tuple(map(SourceChoice, sources)), IN_PYTHON, steps=40, critic=Choice("conv"))
        return steps_of(assemble(config, TARGET).method.strategy, 40)["mine"]

    assert RunConfig.selector == Choice("partition")
    assert mining("biggan.tiny", "progan.tiny") == 10
    assert mining("biggan.tiny") == 1


@pytest.mark.parametrize("name", ["minegan", "minegan++"])
def test_miners_slow_down_once_the_sources_move(name: str) -> None:
    rates = {"miner_lr": 3e-3, "finetune_miner_lr": 1e-3, "source_lr": 2e-3, "critic_lr": 4e-3}
    mine, finetune = strategies.create(name, **rates).stages(100)
    assert mine.train == {"critic": 4e-3, "miners": 3e-3}
    assert finetune.train == {"critic": 4e-3, "miners": 1e-3, "sources": 2e-3}


@pytest.mark.parametrize("name", ["minegan", "minegan++"])
def test_a_run_too_short_to_select_says_so(name: str) -> None:
    def told(steps: int, *sources: str, select_steps: int = 100, mine_share: float = 0.03) -> list[str]:
        strategy = Choice(name, {"select_steps": select_steps, "mine_share": mine_share})
        critic = Choice("conv")
        config = RunConfig(tuple(map(SourceChoice, sources)), IN_PYTHON, steps=steps, strategy=strategy, critic=critic)
        return [note for note in assemble(config, TARGET).notes if "too few for a selector" in note]

    assert told(400, "biggan.tiny", "progan.tiny") == told(40, "biggan.tiny") == []
    assert told(40, "biggan.tiny", "progan.tiny", select_steps=0) == []
    (note,) = told(390, "biggan.tiny", "progan.tiny")
    assert "mining takes 98 of 390 steps" in note and "400 steps in all leave it 100" in note
    (note,) = told(150, "biggan.tiny", "progan.tiny", mine_share=0.5)
    assert "mining takes 75 of 150 steps" in note and "200 steps in all leave it 100" in note


def test_stages_go_on_where_a_source_that_they_name_was_dropped(tmp_path: Path) -> None:
    named = {f"{kind}/{index}": 5e-4 for kind in ("sources", "miners") for index in range(2)}
    first, second = {**MINE, "train": {**MINE["train"], "sources/1:*": 1e-4}}, {**TUNE, "train": named}
    model = mz.mine(
        ["biggan.tiny", "progan.tiny"], TARGET, strategy="stages", critic="conv", steps=10, batch=4, out=tmp_path,
        options={"stages": [first, second], "keep_above": 0.999, "draws": 15, "fid_samples": 0, "watch_every": 0},
    )  # fmt: skip
    assert model.selector.dropped().any()
    assert read_events(tmp_path)[-1]["step"] == 10
