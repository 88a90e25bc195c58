"""The lower layers of a critic stay as they are while one source is finetuned, where its family says so (FreezeD)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo import checkpoint
from minegan_zoo.adoption import adopt_critic
from minegan_zoo.checkpoint import load_state
from minegan_zoo.contracts import ImageSpec
from minegan_zoo.gallery import Gallery
from minegan_zoo.sources import as_module

OPTIONS: dict[str, Any] = {"fid_samples": 0, "watch_every": 0, "miner.width": 16}
IMAGES = torch.randint(0, 256, (10, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mining is undone, so that what moves a critic is finetuning alone."""
    monkeypatch.setattr(Gallery, "gained", lambda self, model: (2.0, 2.0))


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize(
    ("strategy", "name", "kept"),
    [
        ("minegan", "progan.tiny", True),
        ("minegan++", "progan.tiny", True),
        ("transfergan", "progan.tiny", False),
        ("minegan", "stylegan2.tiny", False),
    ],
)
def test_they_stay_where_the_family_names_them(strategy: str, name: str, kept: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = mz.load_source(name)
    critic = source.own_critic()
    assert critic is not None and bool(critic.lower_groups) == name.startswith("progan")
    own = {id(parameter): name for name, parameter in as_module(critic).named_parameters()}
    before = {name: tensor.clone() for name, tensor in as_module(critic).state_dict().items()}
    members = {group: [own[id(each)] for each in parameters] for group, parameters in critic.groups().items()}
    mz.mine(source, IMAGES, strategy=strategy, steps=6, batch=4, out=tmp_path, options=OPTIONS)
    after = load_state(tmp_path / "state")["critic"]
    for group, parameters in members.items():
        same = all(torch.equal(after[name], before[name]) for name in parameters)
        assert same == (kept and group in critic.lower_groups), group


def test_of_several_sources_all_of_the_critic_learns(tmp_path: Path) -> None:
    sources = [mz.load_source("progan.tiny") for _ in range(2)]
    critic = sources[0].own_critic()
    assert critic is not None
    mz.mine(sources, IMAGES, steps=6, batch=4, out=tmp_path, options={**OPTIONS, "critic.source": "0"})
    groups = load_state(tmp_path / "state")["optimizers"]["critic"]["param_groups"]
    assert sum(len(group["params"]) for group in groups) == len(list(as_module(critic).parameters()))


def test_a_critic_that_sees_other_resolutions_has_the_same() -> None:
    source = mz.load_source("progan.tiny")
    critic = source.own_critic()
    assert critic is not None and critic.lower_groups
    assert adopt_critic(source, ImageSpec(1, 32), 0).lower_groups == critic.lower_groups


def test_mining_moves_them_and_finetuning_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gallery, "gained", lambda self, model: (2.0, 0.5))
    states: list[dict[str, torch.Tensor]] = []
    save = checkpoint.save_state

    def keep(place: Path, step: int, state: dict[str, Any]) -> None:
        states.append({name: tensor.clone() for name, tensor in state["critic"].items()})
        save(place, step, state)

    monkeypatch.setattr(checkpoint, "save_state", keep)
    torch.manual_seed(0)
    source = mz.load_source("progan.tiny")
    critic = source.own_critic()
    assert critic is not None
    own = {id(parameter): name for name, parameter in as_module(critic).named_parameters()}
    before = {name: tensor.clone() for name, tensor in as_module(critic).state_dict().items()}
    lower = {own[id(each)] for group in critic.lower_groups for each in critic.groups()[group]}
    options = {**OPTIONS, "mine_share": 0.5, "state_every": 1}
    mz.mine(source, IMAGES, steps=6, batch=4, out=tmp_path, options=options)
    mined, finetuned = states[2], states[-1]
    moved = {name for name in own.values() if not torch.equal(mined[name], finetuned[name])}
    assert moved == set(own.values()) - lower
    assert not any(torch.equal(before[name], mined[name]) for name in lower)
    (adam,) = {float(each["step"]) for each in load_state(tmp_path / "state")["optimizers"]["critic"]["state"].values()}
    assert adam == 6, "what learns on does so with the moments of mining"


def test_the_option_frees_all(tmp_path: Path) -> None:
    source = mz.load_source("progan.tiny")
    critic = source.own_critic()
    assert critic is not None
    for free, count in ((True, 0), (False, sum(len(critic.groups()[name]) for name in critic.lower_groups))):
        options = {**OPTIONS, "freeze_lower": not free}
        mz.mine(source, IMAGES, steps=4, batch=4, out=tmp_path / str(free), options=options)
        groups = load_state(tmp_path / str(free) / "state")["optimizers"]["critic"]["param_groups"]
        learning = sum(len(group["params"]) for group in groups)
        assert learning == len(list(as_module(critic).parameters())) - count
