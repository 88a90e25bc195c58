"""Several sources in one run: unlike ones, chosen by every selector, dropped from memory, sampled by winner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.recorder import read_events
from minegan_zoo.results import Results
from minegan_zoo.sources import DroppedSource

QUICK = {"training.fid_samples": 0, "training.watch_every": 0, "critic.width": 8}


def images(channels: int = 3, n: int = 8) -> torch.Tensor:
    shape = (n, channels, 32, 32)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def unlike_sources() -> list[GeneratorSource]:
    """RGB and grey, 16x16 and 32x32, conditional and not, of three families."""
    torch.manual_seed(0)
    grey = mz.generators.create("progan", None, resolution=32, channels=1, channel_base=256, channel_max=16, z_dim=16)
    return [mz.load_source("biggan.tiny"), grey, mz.load_source("stylegan2.tiny")]


@pytest.mark.parametrize("selector", ["max", "partition", "softmax", "uniform", "fixed", "mixture", "candidates"])
def test_every_selector_mines_unlike_sources_and_its_model_comes_back(selector: str, tmp_path: Path) -> None:
    model = mz.mine(
        unlike_sources(), images(), selector=selector, critic="conv", steps=3, batch=4, out=tmp_path / "run",
        options=QUICK,
    )  # fmt: skip
    assert model.sample(2).shape == (2, 3, 32, 32)
    assert model.selector.probabilities().sum().item() == pytest.approx(1)
    loaded = mz.MinedGAN.load(tmp_path / "run" / "model")
    torch.testing.assert_close(loaded.sample(5, seed=3), model.sample(5, seed=3))
    torch.testing.assert_close(loaded.selector.probabilities(), model.selector.probabilities())


def test_grey_targets_with_an_rgb_source_are_canonical_rgb_and_with_grey_ones_alone_grey() -> None:
    grey = mz.generators.create("progan", None, resolution=16, channels=1, channel_base=128, channel_max=16)
    only_grey = mz.mine([grey], images(1), critic="conv", steps=2, batch=4, options=QUICK)
    assert only_grey.sample(1).shape[1] == 1
    mixed = mz.mine([grey, mz.load_source("progan.tiny")], images(1), critic="conv", steps=2, batch=4, options=QUICK)
    assert mixed.sample(1).shape[1] == 3


def test_winners_are_the_sources_that_the_critic_scores_best() -> None:
    model = mz.mine(unlike_sources(), images(), selector="max", critic="conv", steps=2, batch=8, options=QUICK)
    model.selector.counts.copy_(torch.tensor([1.0, 1.0, 1.0]))  # type: ignore[operator,union-attr]
    n = 12
    draw = model.draw(n, torch.Generator().manual_seed(5))
    made = torch.stack([model.synthesize(index, draw, torch.arange(n))[0] for index in range(3)])
    with torch.no_grad():
        scores = torch.stack([model.critic(some) for some in made])  # type: ignore[misc]
    winners = scores.argmax(0)
    expected = made[winners, torch.arange(n)].clamp(-1, 1)
    torch.testing.assert_close(model.sample(n, seed=5, choose="winner"), expected)
    assert not torch.equal(model.sample(n, seed=5), expected)


def test_a_run_can_ask_for_winners(tmp_path: Path) -> None:
    mz.mine(
        unlike_sources(), images(), selector="max", critic="conv", steps=2, batch=4, out=tmp_path / "run",
        choose="winner", options=QUICK,
    )  # fmt: skip
    model = mz.MinedGAN.load(tmp_path / "run")
    torch.testing.assert_close(model.sample(6, seed=1), model.sample(6, seed=1, choose="winner"))


AT_ONCE = {"warmup": 0, "rate": 30.0, "floor": 0.0, "patience": 2, "drop_below": 0.9}


@pytest.mark.parametrize(
    ("selector", "strategy", "options"),
    [
        ("mixture", "minegan", AT_ONCE),
        ("partition", "minegan", {"keep_above": 0.99}),
        ("partition", "minegan-noft", {"keep_above": 0.99}),
    ],
)
def test_sources_that_lose_leave_memory_and_the_model_folder(
    selector: str, strategy: str, options: dict[str, float], tmp_path: Path
) -> None:
    model = mz.mine(
        unlike_sources(), images(), selector=selector, strategy=strategy, critic="conv", steps=16, batch=6,
        out=tmp_path / "run", options={**QUICK, "log_every": 1, **options},
    )  # fmt: skip
    dropped = [index for index, source in enumerate(model.sources) if isinstance(source, DroppedSource)]
    assert dropped, "these settings leave only what wins clearly"
    folder = tmp_path / "run" / "model"
    assert sorted(int(path.name) for path in (folder / "sources").iterdir()) == sorted({0, 1, 2} - set(dropped))
    events = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sorted(event["source"] for event in events if event["event"] == "dropped") == dropped
    loaded = mz.MinedGAN.load(folder)
    torch.testing.assert_close(loaded.sample(5, seed=3), model.sample(5, seed=3))
    assert loaded.selector.probabilities()[dropped].eq(0).all()
    assert Results.read(tmp_path / "run").probabilities == model.selector.probabilities().tolist()
    with pytest.raises(MineganError, match="dropped"):
        mz.load_source(str(folder), source=dropped[0])
    again = mz.mine(str(folder), images(), critic="conv", steps=2, batch=4, options=QUICK)
    assert len(again.sources) == 3 - len(dropped)


def test_finetuning_keeps_what_mining_selected() -> None:
    options = {**QUICK, "log_every": 1}
    model = mz.mine(
        unlike_sources(), images(), selector="fixed", critic="conv", steps=4, batch=8,
        options={**options, "selector.probabilities": (0.0, 1.0, 0.0)},
    )  # fmt: skip
    assert model.selector.probabilities().tolist() == [0, 1, 0]


def test_the_critics_own_source_is_told_of_too_when_it_loses(tmp_path: Path) -> None:
    quick = {name: value for name, value in QUICK.items() if not name.startswith("critic.")}
    lost = 0
    for own in range(3):
        options = {**quick, "critic.source": str(own), "keep_above": 0.999, "log_every": 1}
        run = tmp_path / str(own)
        model = mz.mine(unlike_sources(), images(), steps=6, batch=6, out=run, options=options)
        dropped = model.selector.dropped().nonzero()[:, 0].tolist()
        assert sorted(event["source"] for event in read_events(run) if event["event"] == "dropped") == dropped
        torch.testing.assert_close(mz.MinedGAN.load(run).sample(5, seed=3), model.sample(5, seed=3))
        lost += own in dropped
    assert lost, "no critic's own source has lost"
