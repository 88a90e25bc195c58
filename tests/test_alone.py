"""Where mining shows that none of several sources has the target, one of them is finetuned alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo import selection
from minegan_zoo.gallery import Gallery
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import read_events
from minegan_zoo.watch import Watch

SOURCES = ["progan.tiny", "biggan.tiny", "stylegan2.tiny"]
QUICK = {"fid_samples": 0, "watch_every": 0, "log_every": 1, "miner.width": 16, "state_every": 1}
FEW = {"select_steps": 2}
"""As many as a quarter of a run of eight leaves for mining."""


def noise(n: int = 8) -> Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def mine(out: Path, sources: Any = SOURCES, target: Any = None, **settings: Any) -> MinedGAN:
    finetunes = settings.get("strategy", "minegan") in ("minegan", "minegan++")
    options = {**QUICK, **(FEW if finetunes else {}), **settings.pop("options", {})}
    target = noise() if target is None else target
    return mz.mine(sources, target, steps=8, batch=4, out=out, options=options, **settings)


def told(out: Path, name: str) -> list[dict[str, Any]]:
    return [event for event in read_events(out) if event["event"] == name]


@pytest.fixture
def makes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets which part of the target each source makes."""

    def make(*shares: float) -> None:
        monkeypatch.setattr(selection, "shares_of_target", lambda *_: torch.tensor(shares))

    make(1 / 3, 1 / 3, 1 / 3)
    return make


@pytest.fixture
def left(makes: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what mining leaves of the distance of all, and of each source's own."""

    def leave(of_all: float, *own: float) -> None:
        def gained(self: Gallery, model: MinedGAN, source: int | None = None) -> tuple[float, float]:
            return (2.0, 2 * of_all) if source is None else (2.0 + source, (2 + source) * own[source])

        monkeypatch.setattr(Gallery, "gained", gained)

    return leave


@pytest.mark.parametrize("strategy", ["minegan", "minegan++"])
def test_the_source_that_mining_brought_nearest_goes_on(
    strategy: str, left: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its own measure: it need not be the nearest."""
    left(0.76, 0.8, 0.99, 0.75)
    model = mine(tmp_path, strategy=strategy)
    (event,) = told(tmp_path, "alone")
    assert {name: event[name] for name in ("stage", "step", "source", "left", "own_left")} == {
        "stage": "mine",
        "step": 2,
        "source": 2,
        "left": pytest.approx(0.76),
        "own_left": pytest.approx(0.75),
    }
    assert sorted(event["source"] for event in told(tmp_path, "dropped")) == [0, 1]
    assert model.selector.probabilities().tolist() == [0, 0, 1]
    report = (tmp_path / "report.html").read_text()
    assert "after step 2, from here on stylegan2.tiny alone" in report and "stylegan2.tiny is finetuned alone" in report
    kept = MinedGAN.load(tmp_path / "model")
    torch.testing.assert_close(kept.sample(4, seed=0), kept.sample_source(2, *drawn(kept)), atol=1e-5, rtol=0)
    said = " ".join(capfd.readouterr().err.split())
    assert "mining left 76% of the distance" in said and "stylegan2.tiny, of whose own 75% are left, goes on" in said


def drawn(model: MinedGAN) -> tuple[Tensor]:
    return (torch.randn(4, model.noise_dim, generator=Generator().manual_seed(0)),)


@pytest.mark.parametrize(
    "of_all, settings",
    [
        (0.4, {}),
        (0.9, {"options": {"select_steps": 3}}),  # of which there are two
        (0.9, {"options": {"select_steps": 0}}),
        (0.9, {"strategy": "minegan-noft"}),  # what is only mined is best mined from all
        (0.9, {"selector": "max"}),  # the paper's rule stays the paper's
    ],
)
def test_otherwise_all_go_on(of_all: float, settings: dict[str, Any], left: Any, tmp_path: Path) -> None:
    left(of_all, 0.8, 0.7, 0.6)
    mine(tmp_path, **settings)
    assert not told(tmp_path, "alone") and not told(tmp_path, "dropped")


@pytest.mark.parametrize(
    "of_all, own, found",
    [
        (0.41, (0.8, 0.8, 0.4), [2]),  # together at 0.82, alone at 1.6
        (0.41, (0.8, 0.8, 0.42), []),  # at 1.68: together they make what none makes alone
        (0.99, (0.95, 0.93, 0.91), [0]),  # mining moved none: the nearest, at 1.9
        (0.99, (0.95, 0.93, 0.89), [2]),
        (float("inf"), (0.5, 0.5, 0.5), []),  # together they were at the target as they were
    ],
)
def test_one_goes_on_where_all_are_far_and_complete_each_other_little(
    of_all: float, own: tuple[float, ...], found: list[int], left: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left(of_all, *own)
    if of_all > 1:
        distances = {None: (-0.01, 0.02), **dict.fromkeys(range(3), (1.0, 0.01))}
        monkeypatch.setattr(Gallery, "gained", lambda self, model, source=None: distances[source])
    mine(tmp_path)
    assert [event["source"] for event in told(tmp_path, "alone")] == found


def test_too_few_images_are_not_judged(makes: Any, tmp_path: Path) -> None:
    mine(tmp_path, target=noise(4), options={"miner_lr": 1e-6})
    assert not told(tmp_path, "alone")


def test_who_makes_nothing_of_the_target_is_no_candidate(left: Any, makes: Any, tmp_path: Path) -> None:
    left(0.9, 0.8, 0.7, 0.1)
    makes(0.5, 0.5, 0.0)
    mine(tmp_path)
    assert [event["source"] for event in told(tmp_path, "alone")] == [1]


def test_one_that_is_left_needs_no_choice(left: Any, makes: Any, tmp_path: Path) -> None:
    left(0.9, 0.8, 0.7, 0.1)
    makes(1.0, 0.0, 0.0)
    assert mine(tmp_path).selector.probabilities().tolist() == [1, 0, 0] and not told(tmp_path, "alone")


def test_classes_are_not_judged(left: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    left(0.9, 0.8, 0.7, 0.6)
    save_file({"images": noise(), "labels": torch.arange(8) % 2}, tmp_path / "target.safetensors")
    mine(tmp_path / "run", target=tmp_path / "target.safetensors", labels=True)
    assert not told(tmp_path / "run", "alone")


def test_sources_that_can_do_nothing_are_left_to_one_by_what_is_measured(makes: Any, tmp_path: Path) -> None:
    mine(tmp_path, options={"miner_lr": 1e-6})
    (event,) = told(tmp_path, "alone")
    assert event["left"] > 0.9 and event["own_left"] > 0.9 and len(told(tmp_path, "dropped")) == 2


def test_the_distances_are_kid_to_the_training_images(tmp_path: Path) -> None:
    def pixels(images: Tensor) -> Tensor:
        return images.flatten(1).float() / 255

    train = noise(20)
    gallery = Gallery(32, 0, None, lambda: Watch(pixels, train, None), train, None)
    watch = Watch(pixels, train, None)
    model = mine(tmp_path, SOURCES[:2], selector="uniform", strategy="minegan-noft", options={"miner_lr": 0.05})
    u = gallery._noise(256)
    for source in (0, 1):
        expected = [watch.to_training(model.sample_source(source, u, mined=mined)) for mined in (False, True)]
        assert gallery.gained(model, source) == pytest.approx(expected) and expected[0] != pytest.approx(expected[1])
    rng = Generator().manual_seed(0)
    chosen = model.choose_sources(model.draw(256, rng, u=u), rng)
    assert 64 < chosen.sum() < 192
    together = [
        torch.cat([model.sample_source(source, u[chosen == source], mined=mined) for source in (0, 1)])
        for mined in (False, True)
    ]
    assert gallery.gained(model) == pytest.approx([watch.to_training(images) for images in together])


def test_a_stage_of_a_table_may_ask_for_it(left: Any, tmp_path: Path) -> None:
    left(0.3, 0.5, 0.6, 0.7)
    mine_ = {"name": "mine", "share": 0.5, "train": {"miners": 1e-3, "critic": 2e-3}}
    tune = {"name": "tune", "share": 0.5, "train": {"sources": 1e-3, "critic": 2e-3}, "select": False}
    for number, (asked, found) in enumerate([({}, []), ({"alone_above": 0.3}, []), ({"alone_above": 0.2}, [0])]):
        out = tmp_path / str(number)
        mine(out, strategy="stages", options={"stages": [{**mine_, **asked}, tune]})
        assert [event["source"] for event in told(out, "alone")] == found
    asking = {**mine_, "alone_above": 0.5}
    for tables, mines, words in (
        ([{**mine_, "alone_above": 0}, tune], True, "above 0, not 0"),
        ([mine_, {**tune, "alone_above": 0.5}], True, "only a stage that trains miners and critic"),
        ([asking, {**mine_, "name": "more"}], True, "'mine' is not the last stage that selects"),
        ([{**asking, "select": False}, tune], True, "'mine' is not the last stage that selects"),
        ([{**asking, "train": {"critic": 2e-3}}, tune], False, "or nothing mines"),
    ):
        with pytest.raises(mz.MineganError, match="alone_above: .*" + words):
            mz.strategies.create("stages", stages=tables, mines=mines)
