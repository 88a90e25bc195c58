"""Fakes are scored against real images (relativistic), where a strategy would have it and a critic's family says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

import minegan_zoo as mz
from minegan_zoo.adoption import adopt_critic
from minegan_zoo.builtin.objectives import Logistic
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import Augmentation, ImageSpec, MineganError
from minegan_zoo.steps import Steps

OPTIONS: dict[str, Any] = {"fid_samples": 0, "watch_every": 0, "miner.width": 16}
PAIR = ["progan.tiny", "biggan.tiny"]
IMAGES = torch.randint(0, 256, (25, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def relativistic(out: Path, sources: Any, **options: Any) -> bool | None:
    """What the run's own record says of its scores; None where its objective has no such option."""
    mz.mine(sources, IMAGES, steps=2, batch=4, out=out, **{"options": OPTIONS, **options})
    return RunConfig.read(out / "config.toml").objective.options.get("relativistic")


def test_losses_are_of_differences() -> None:
    objective = mz.objectives.create("logistic", relativistic=True)
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    assert torch.allclose(objective.critic_loss(real, fake), torch.log1p(torch.exp(fake - real)))
    assert torch.allclose(objective.miner_loss_paired(real, fake), torch.log1p(torch.exp(real - fake)))
    shifted = [objective.critic_loss(real + 7, fake + 7), objective.miner_loss_paired(real + 7, fake + 7)]
    assert torch.allclose(torch.stack(shifted), torch.stack([F.softplus(fake - real), F.softplus(real - fake)]))


@pytest.mark.parametrize("name", ["logistic", "hinge", "wgan-gp"])
def test_others_score_fakes_alone(name: str) -> None:
    objective, fake = mz.objectives.create(name), torch.tensor([0.5, 3.0])
    assert torch.equal(objective.miner_loss_paired(torch.tensor([9.0, -9.0]), fake), objective.miner_loss(fake))


@pytest.mark.parametrize(
    ("strategy", "sources", "expected"),
    [
        ("minegan", "progan.tiny", True),
        ("minegan++", "progan.tiny", True),
        ("minegan-noft", "progan.tiny", True),
        ("transfergan", "progan.tiny", False),
        ("minegan", "stylegan2.tiny", False),
        ("minegan", "biggan.tiny", False),
        ("minegan", ["progan.tiny", "progan.tiny"], False),
        ("minegan-noft", ["progan.tiny", "progan.tiny"], False),
    ],
)
def test_who_takes_them_by_default(
    strategy: str, sources: Any, expected: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert relativistic(tmp_path, sources, strategy=strategy) is expected
    assert ("scores fakes against real images" in capsys.readouterr().err) == expected


@pytest.mark.parametrize("strategy", ["minegan", "minegan-noft"])
def test_of_few_images_fakes_are_scored_alone(strategy: str, tmp_path: Path) -> None:
    mz.mine("progan.tiny", IMAGES[:19], strategy=strategy, steps=2, batch=4, out=tmp_path, options=OPTIONS)
    assert RunConfig.read(tmp_path / "config.toml").objective.options["relativistic"] is False
    options = {**OPTIONS, "hold_out": 0.0}
    mz.mine("progan.tiny", IMAGES[:20], strategy=strategy, steps=2, batch=4, out=tmp_path / "20", options=options)
    assert RunConfig.read(tmp_path / "20/config.toml").objective.options["relativistic"] is True


def test_what_is_said_rules(tmp_path: Path) -> None:
    named: dict[str, Any] = {"options": {**OPTIONS, "objective.relativistic": False}}
    assert relativistic(tmp_path / "off", "progan.tiny", **named) is False
    named["options"]["objective.relativistic"] = True
    assert relativistic(tmp_path / "on", "stylegan2.tiny", strategy="transfergan", **named) is True
    assert relativistic(tmp_path / "hinge", "progan.tiny", objective="hinge") is None
    with pytest.raises(MineganError, match="relativistic"):
        relativistic(tmp_path / "none", "progan.tiny", objective="hinge", options={"objective.relativistic": True})


def test_a_critic_that_sees_other_resolutions_asks_for_the_same() -> None:
    critic = adopt_critic(mz.load_source("progan.tiny"), ImageSpec(1, 32), 0)
    assert critic.relativistic
    assert not adopt_critic(mz.load_source("stylegan2.tiny"), ImageSpec(1, 32), 0).relativistic


@pytest.mark.parametrize("pieces", [None, 3])
@pytest.mark.parametrize(
    ("sources", "selector"),
    [("progan.tiny", "partition"), (PAIR, "mixture"), (PAIR, "partition")],
)
def test_a_miner_step_has_the_scores_of_the_critic_step_before(
    sources: Any, selector: str, pieces: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very scores of real images that the critic's loss was taken of; with one source, in their order."""
    told: list[tuple[str, Tensor]] = []
    critic_loss, beside = Logistic.critic_loss, Logistic.miner_loss_paired

    def of_critic(self: Logistic, real: Tensor, fake: Tensor) -> Tensor:
        told.append(("critic", real.detach().clone()))
        return critic_loss(self, real, fake)

    def of_miner(self: Logistic, real: Tensor, fake: Tensor) -> Tensor:
        assert not real.requires_grad
        told.append(("miner", real.clone()))
        return beside(self, real, fake)

    monkeypatch.setattr(Logistic, "critic_loss", of_critic)
    monkeypatch.setattr(Logistic, "miner_loss_paired", of_miner)
    options = {**OPTIONS, "objective.relativistic": True, "strategy.select_steps": 1, "hold_out": 0.0}
    if pieces:
        options["batch_per_device"] = pieces
    mz.mine(sources, IMAGES, selector=selector, steps=4, batch=6, out=tmp_path, options=options)
    a_step = 4 if pieces else 2
    assert len(told) == 4 * a_step
    for start in range(0, len(told), a_step):
        step = told[start : start + a_step]
        assert [who for who, _ in step] == ["critic"] * (a_step // 2) + ["miner"] * (a_step // 2)
        seen, used = (torch.cat([scores for who, scores in step if who == wanted]) for wanted in ("critic", "miner"))
        assert len(set(seen.tolist())) > 1
        assert set(used.tolist()) <= set(seen.tolist())
        if sources == PAIR:  # one image a row, those of one source after those of the other
            assert sorted(used.tolist()) == sorted(seen.tolist())
        if sources == "progan.tiny":
            assert torch.equal(used, seen)


def test_a_critic_that_rests_gives_no_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then fakes are scored by themselves, once a step."""
    called: list[str] = []
    alone = Logistic.miner_loss

    def keep(self: Logistic, fake: Tensor) -> Tensor:
        called.append("alone")
        return alone(self, fake)

    monkeypatch.setattr(Logistic, "miner_loss", keep)
    monkeypatch.setattr(Logistic, "miner_loss_paired", lambda *_: called.append("paired"))
    stage = {"name": "mine", "share": 1.0, "train": {"miners": 2e-3}}
    options = {**OPTIONS, "objective.relativistic": True, "stages": [stage]}
    mz.mine("progan.tiny", IMAGES, strategy="stages", steps=2, batch=4, out=tmp_path, options=options)
    assert called == ["alone", "alone"]


@pytest.mark.parametrize(
    ("name", "options", "middle"),
    [("logistic", {}, 0.0), ("hinge", {}, 0.0), ("logistic", {"relativistic": True}, -4.5), ("wgan-gp", {}, -4.5)],
)
def test_augmentations_adapt_to_how_sure_a_critic_is(name: str, options: dict[str, Any], middle: float) -> None:
    """Scores whose zero means nothing are measured from the middle between the means of real images and of fakes."""
    real = torch.tensor([-5.0, -3.0, -2.0, -2.0])  # mean -3
    assert torch.equal(mz.objectives.create(name, **options).realness(real, -6.0), real - middle)


def test_what_an_augmentation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over real images is half of what parts them from fakes, however far from zero the scores are."""
    told: list[float] = []
    facts: list[dict[str, float]] = []
    step = Steps.critic

    def keep(self: Steps, *given: Any) -> Any:
        found = step(self, *given)
        facts.append(found[0])
        return found

    monkeypatch.setattr(Steps, "critic", keep)
    monkeypatch.setattr(Augmentation, "update", lambda self, scores: told.append(float(scores.mean())))
    mz.mine(
        "progan.tiny", IMAGES, steps=3, batch=4, out=tmp_path, augmentation="diffaugment",
        options={**OPTIONS, "batch_per_device": 3},
    )  # fmt: skip
    assert told == pytest.approx([(each["real_score"] - each["fake_score"]) / 2 for each in facts], abs=1e-5)


def test_a_run_of_before_goes_on_without(tmp_path: Path) -> None:
    """Its configuration does not name relativistic scores: the user is told, and it goes on where they are left out."""

    def mine(**said: bool) -> None:
        options = {**OPTIONS, **{f"objective.{name}": value for name, value in said.items()}}
        mz.mine("progan.tiny", IMAGES, steps=4, batch=4, out=tmp_path, options=options)

    mine(relativistic=False)
    record = tmp_path / "config.toml"
    lines = record.read_text("utf-8").splitlines(keepends=True)
    record.write_text("".join(line for line in lines if not line.startswith("relativistic")), "utf-8")
    with pytest.raises(MineganError, match=r"objective\.relativistic: None there, True here"):
        mine()
    mine(relativistic=False)


def test_what_was_said_of_an_option_that_is_left_open_now_is_told(tmp_path: Path) -> None:
    options = {**OPTIONS, "objective.relativistic": True}
    mz.mine("stylegan2.tiny", IMAGES, steps=2, batch=4, out=tmp_path, options=options)
    with pytest.raises(MineganError, match=r"objective\.relativistic: True there, False here"):
        mz.mine("stylegan2.tiny", IMAGES, steps=2, batch=4, out=tmp_path, options=OPTIONS)


def test_critics_of_patches_are_compared_patch_by_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    paired = Logistic.miner_loss_paired

    def keep(self: Logistic, real: Tensor, fake: Tensor) -> Tensor:
        shapes.append((tuple(real.shape), tuple(fake.shape)))
        return paired(self, real, fake)

    monkeypatch.setattr(Logistic, "miner_loss_paired", keep)
    options = {**OPTIONS, "objective.relativistic": True, "batch_per_device": 2}
    mz.mine("stylegan2.tiny", IMAGES, strategy="cdc", steps=3, batch=4, out=tmp_path, options=options)
    assert shapes and all(real == fake for real, fake in shapes)
    assert any(len(real) > 1 for real, _ in shapes)
