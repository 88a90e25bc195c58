"""A code for every layer: which methods mine one, of which sources, and where the default miner begins there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import LatentSpace, MineganError
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.saved import FACTS

OPTIONS: dict[str, Any] = {"fid_samples": 0, "watch_every": 0, "miner.width": 16}
IMAGES = torch.randint(0, 256, (25, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def mined(source: str, out: Path, strategy: str = "minegan-noft", **options: Any) -> MinedGAN:
    settings = {**OPTIONS, **options}
    if strategy == "minegan++":
        settings["strategy.probes"] = 4
    return mz.mine(source, IMAGES, strategy=strategy, steps=4, batch=4, out=out, options=settings)


def spaces(model: MinedGAN) -> set[str]:
    """What the only miner makes."""
    return set(model.mine(model.draw(2, Generator().manual_seed(0)))[0])


@pytest.mark.parametrize(
    ("source", "expected"),
    [("stylegan2.tiny", {"w+"}), ("biggan.tiny", {"z", "class+"}), ("progan.tiny", {"z"})],
)
@pytest.mark.parametrize("strategy", ["minegan", "minegan++", "minegan-noft"])
def test_who_mines_a_code_for_every_layer(source: str, expected: set[str], strategy: str, tmp_path: Path) -> None:
    """`minegan-noft` of itself, the others where they are told."""
    model = mined(source, tmp_path / "run", strategy, **{"strategy.per_layer": True} if "noft" not in strategy else {})
    assert spaces(model) == expected
    kept = MinedGAN.load(tmp_path / "run")
    torch.testing.assert_close(kept.sample(4, seed=1), model.eval().sample(4, seed=1))


def test_of_few_images_one_code_is_mined_unless_it_is_asked_for(tmp_path: Path) -> None:
    """24 are a folder whose critic sees 19, for five are held out; of 25 it sees 20."""
    settings: dict[str, Any] = {"strategy": "minegan-noft", "steps": 2, "batch": 4}
    few = mz.mine("stylegan2.tiny", IMAGES[:24], options=OPTIONS, out=tmp_path / "few", **settings)
    enough = mz.mine("stylegan2.tiny", IMAGES, options=OPTIONS, out=tmp_path / "enough", **settings)
    asked = mz.mine("stylegan2.tiny", IMAGES[:24], options={**OPTIONS, "strategy.per_layer": True}, **settings)
    assert [spaces(model) for model in (few, enough, asked)] == [{"z"}, {"w+"}, {"w+"}]


@pytest.mark.parametrize(("source", "expected"), [("stylegan2.tiny", {"z"}), ("biggan.tiny", {"z", "class"})])
def test_a_run_may_keep_to_one_code(source: str, expected: set[str], tmp_path: Path) -> None:
    assert spaces(mined(source, tmp_path / "run", **{"strategy.per_layer": False})) == expected
    assert spaces(mined(source, tmp_path / "finetuned", "minegan")) == expected


def test_miners_that_ask_for_spaces_or_were_not_made_for_it_are_as_they_were(tmp_path: Path) -> None:
    for miner, expected in (("w", {"w"}), ("residual", {"z"})):
        settings: dict[str, Any] = {"strategy": "minegan-noft", "miner": miner, "steps": 2, "batch": 4}
        model = mz.mine("stylegan2.tiny", IMAGES, out=tmp_path / miner, options=OPTIONS, **settings)
        assert spaces(model) == expected


def test_a_model_that_was_saved_before_there_was_a_choice_loads(tmp_path: Path) -> None:
    model = mined("biggan.tiny", tmp_path / "run", **{"strategy.per_layer": False})
    facts = tmp_path / "run" / "model" / FACTS
    told = json.loads(facts.read_text())
    del told["recipe"]["per_layer"]
    facts.write_text(json.dumps(told))
    kept = MinedGAN.load(tmp_path / "run")
    assert spaces(kept) == {"z", "class"}
    torch.testing.assert_close(kept.sample(4, seed=1), model.eval().sample(4, seed=1))


def test_a_run_of_before_goes_on_without(tmp_path: Path) -> None:
    """Its configuration does not name a code for every layer: the user is told, and it goes on where it is left out."""
    mined("stylegan2.tiny", tmp_path, **{"strategy.per_layer": False})
    record = tmp_path / "config.toml"
    assert "per_layer = false\n" in record.read_text("utf-8")
    record.write_text(record.read_text("utf-8").replace("per_layer = false\n", ""), "utf-8")
    with pytest.raises(MineganError, match=r"strategy\.per_layer: None there, True here"):
        mined("stylegan2.tiny", tmp_path)
    mined("stylegan2.tiny", tmp_path, **{"strategy.per_layer": False})


def test_an_older_run_is_told_what_differs_and_no_more(tmp_path: Path) -> None:
    mined("stylegan2.tiny", tmp_path, **{"strategy.per_layer": False})
    record = tmp_path / "config.toml"
    record.write_text(record.read_text("utf-8").replace("per_layer = false\n", ""), "utf-8")
    with pytest.raises(MineganError, match=r"other settings \(strategy\.miner_lr: 0\.002 there, 0\.001 here\)"):
        mined("stylegan2.tiny", tmp_path, **{"strategy.per_layer": False, "strategy.miner_lr": 1e-3})


def test_where_nothing_is_mined_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = {"name": "finetune", "steps": 2, "train": {"critic": 1e-3, "sources": 1e-3}}
    settings: dict[str, Any] = {"strategy.mines": False, "strategy.per_layer": True, "strategy.stages": [stage]}
    options = {"fid_samples": 0, "watch_every": 0, **settings}
    mz.mine("stylegan2.tiny", IMAGES, strategy="stages", steps=2, batch=4, out=tmp_path / "run", options=options)
    assert "strategy.per_layer changes nothing: nothing is mined" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("source", "miner", "told"),
    [("progan.tiny", "mlp", "no source takes"), ("stylegan2.tiny", "residual", "'residual' does not go by it")],
)
def test_a_run_records_what_became_of_it(
    source: str, miner: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(out: str, **options: Any) -> tuple[Any, str]:
        settings: dict[str, Any] = {"strategy": "minegan-noft", "miner": miner, "steps": 2, "batch": 4}
        mz.mine(source, IMAGES, out=tmp_path / out, options={**OPTIONS, **options}, **settings)
        recorded = RunConfig.read(tmp_path / out / "config.toml").strategy.options["per_layer"]
        return recorded, " ".join(capsys.readouterr().err.split())

    recorded, said = run("silent")
    assert recorded is False and "every layer" not in said
    assert "changes nothing" not in said
    recorded, said = run("asked", **{"strategy.per_layer": True})
    assert recorded is False and "strategy.per_layer changes nothing" in said and told in said


def test_of_several_sources_each_is_mined_as_it_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is said."""
    sources = ["stylegan2.tiny", "biggan.tiny", "progan.tiny"]
    settings: dict[str, Any] = {"strategy": "minegan-noft", "selector": "uniform", "steps": 4, "batch": 4}
    model = mz.mine(sources, IMAGES, out=tmp_path / "run", options=OPTIONS, **settings)
    assert "where a source takes one: class+, z or w+ (--set" in " ".join(capsys.readouterr().err.split())
    codes = model.mine(model.draw(2, Generator().manual_seed(0)))
    assert [set(code) for code in codes.values()] == [{"w+"}, {"z", "class+"}, {"z"}]
    torch.testing.assert_close(MinedGAN.load(tmp_path / "run").sample(6, seed=1), model.eval().sample(6, seed=1))


def test_the_miner_begins_with_the_moments_of_the_spaces_own_codes() -> None:
    """Mean and covariance of m + L u in closed form, for rows that truncation has moved and shrunk."""
    rng = Generator().manual_seed(0)
    mixing, mean = torch.randn(6, 6, generator=rng), torch.randn(6, generator=rng)
    common = torch.randn(4096, 6, generator=rng) @ mixing.T
    draws = torch.stack([mean + common, 2 * mean + 0.5 * common], 1)
    miner = mz.miners.create("mlp", {"w+": LatentSpace((2, 6), "mapped")}, 8)
    miner.start_from({"w+": draws})
    corners = torch.cat([torch.zeros(1, 8), torch.eye(8)])
    with torch.no_grad():
        code = miner(corners)["w+"]
    torch.testing.assert_close(code[0], draws.mean(0), rtol=0, atol=1e-5)
    for row in range(2):
        steps = code[1:, row] - code[0, row]  # (8, 6): L^T, and nothing of dimensions that the space has not
        torch.testing.assert_close(steps.T @ steps, draws[:, row].T.cov(correction=0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(code[1:, 1] - code[0, 1], (code[1:, 0] - code[0, 0]) / 2, rtol=1e-4, atol=1e-5)


def test_without_any_spread_it_begins_at_the_mean() -> None:
    miner = mz.miners.create("mlp", {"w+": LatentSpace((2, 3), "mapped")}, 4)
    miner.start_from({"w+": torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).expand(8, 2, 3)})
    code = miner(torch.randn(5, 4, generator=Generator().manual_seed(0)))["w+"].detach()
    torch.testing.assert_close(code, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).expand(5, 2, 3))


def test_the_papers_miner_begins_anywhere_there_too() -> None:
    miner = mz.miners.create("mlp", {"w+": LatentSpace((2, 3), "mapped")}, 4, skip=False)
    miner.start_from({"w+": torch.full((8, 2, 3), 9.0)})
    assert miner(torch.zeros(1, 4))["w+"].abs().max() < 3
