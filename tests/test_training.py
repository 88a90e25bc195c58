"""Runs: resumed bit for bit, stopped by a non-finite loss, kept, and mined again."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.builtin.strategies import TransferGAN
from minegan_zoo.checkpoint import check_weights, load_state
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import ImageSpec
from minegan_zoo.recorder import read_events

SOURCES = ["stylegan2.tiny", "progan.tiny"]
SETTINGS = {"fid_samples": 0, "state_every": 2, "samples_every": 4, "log_every": 1}


def target(n: int = 12, channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (n, channels, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def mine(out: Path | None, *, sources: list[str] = SOURCES, images: Any = None, **options: Any) -> mz.MinedGAN:
    images = target() if images is None else images
    return mz.mine(sources, images, steps=8, batch=4, out=out, options={**SETTINGS, **options})


def weights(model: mz.MinedGAN) -> dict[str, Tensor]:
    return {**model.state_dict(), **{f"critic/{k}": v for k, v in model.critic.state_dict().items()}}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def run_process(out: Path, **environment: str) -> subprocess.Popen[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_training, pathlib; "
        f"test_training.mine(pathlib.Path({str(out)!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment}, text=True)


def test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = mine(tmp_path / "a")
    for number, after in ((signal.SIGKILL, 1), (signal.SIGTERM, 5)):
        process = run_process(tmp_path / "b")
        metrics = tmp_path / "b" / "metrics.jsonl"
        while not (metrics.exists() and sum('"step",' in line for line in metrics.open()) > after):
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait() == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    assert_equal(weights(mine(tmp_path / "b")), weights(undisturbed))
    # nothing is told twice, nothing is lost
    told = [json.loads(line) for line in (tmp_path / "b" / "metrics.jsonl").open()]
    assert [event["step"] for event in told if event["event"] == "step"] == list(range(1, 9))
    assert len([event for event in told if event["event"] == "samples" and event["of"] == "target"]) == 1


def test_a_finished_run_is_not_trained_again_and_another_is_refused(tmp_path: Path) -> None:
    first = mine(tmp_path / "run")
    state = (tmp_path / "run" / "state").stat().st_mtime_ns
    assert_equal(weights(mine(tmp_path / "run")), weights(first))
    assert (tmp_path / "run" / "state").stat().st_mtime_ns == state
    with pytest.raises(mz.MineganError, match=r"other settings \(miner.width: 128 there, 16 here\)"):
        mine(tmp_path / "run", **{"miner.width": 16})
    with pytest.raises(mz.MineganError, match=r"\(training.hold_out: 0.1 there, 0.5 here\)"):
        mine(tmp_path / "run", hold_out=0.5)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(mz.MineganError, match="no run folder"):
        mine(tmp_path / "other")


def test_the_same_seed_gives_the_same_model_and_another_does_not(tmp_path: Path) -> None:
    one, other = mine(None), mine(None)
    assert_equal(weights(one), weights(other))
    different = mz.mine(SOURCES, target(), steps=8, batch=4, seed=1, options=SETTINGS)
    assert not torch.equal(one.sample(2, seed=0), different.sample(2, seed=0))


def test_what_is_shown_and_watched_and_settled_leaves_no_trace_in_training(tmp_path: Path) -> None:
    """Nor in the critic's frozen layers, whose power iterations rest, nor in random numbers that sources draw."""
    stages = [{"name": "mine", "share": 1.0, "train": {"miners": 1e-3, "critic/head": 1e-3}}]
    sources = [mz.load_source("biggan.tiny"), mz.load_source("stylegan2.tiny", noise="random")]
    models = []
    for every, watch, draws in ((1, 1, 70), (100, 0, 1)):
        models.append(
            mz.mine(
                sources, target(24), strategy="stages", selector="max", choose="winner",
                critic="conv", augmentation="diffaugment", steps=3, batch=4, out=tmp_path / str(every),
                options={
                    **SETTINGS, "strategy.stages": stages, "critic.width": 8, "draws": draws,
                    "samples_every": every, "watch_every": watch,
                },
            )
        )  # fmt: skip
    shown, hidden = ({k: v for k, v in weights(model).items() if "selector" not in k} for model in models)
    assert_equal(shown, hidden)


def test_mining_leaves_the_sources_and_finetuning_changes_them() -> None:
    original = [mz.load_source("progan.tiny")]
    before = {name: value.clone() for name, value in original[0].state_dict().items()}
    mined = mz.mine(original, target(), strategy="minegan-noft", steps=3, batch=4, options=SETTINGS)
    assert_equal(dict(mined.source_modules[0].state_dict()), before)
    tuned = mz.mine(original, target(), steps=4, batch=4, options=SETTINGS)
    assert not torch.equal(next(tuned.source_modules[0].parameters()), next(original[0].parameters()))
    assert_equal(dict(original[0].state_dict()), before)  # the caller's own is left as it was
    own = original[0].own_critic()
    assert own is not None and tuned.critic is not own


@pytest.mark.parametrize("strategy", ["minegan", "minegan-noft", "transfergan", "scratch"])
def test_every_strategy_gives_a_model_that_survives_its_folder(strategy: str, tmp_path: Path) -> None:
    sources = ["biggan.tiny", "progan.tiny"]
    model = mz.mine(sources, target(), strategy=strategy, steps=4, batch=4, options=SETTINGS)
    images = model.sample(6, seed=3)
    assert images.shape == (6, 3, 32, 32) and images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1
    model.save(tmp_path / "model")
    loaded = mz.MinedGAN.load(tmp_path / "model")
    assert torch.equal(loaded.sample(6, seed=3), images)
    u = torch.randn(6, model.noise_dim)
    assert torch.equal(loaded.sample(6, u=u), model.sample(6, u=u))
    assert torch.equal(loaded.selector.probabilities(), model.selector.probabilities())
    assert_equal(weights(loaded), weights(model))


def test_a_mined_model_is_a_source_of_the_next_run(tmp_path: Path) -> None:
    model = mine(None, keep_above=0.0)  # what neither is near to would be dropped
    model.save(tmp_path / "first")
    source = mz.load_source(str(tmp_path / "first"), source=1)
    assert source.image == ImageSpec(3, 16)
    again = mine(None, sources=[str(tmp_path / "first"), "stylegan2.tiny"], keep_above=0.0)
    assert len(again.sources) == 3, "a mined folder of two sources expands to both"
    again.save(tmp_path / "second")
    assert torch.equal(mz.MinedGAN.load(tmp_path / "second").sample(4, seed=0), again.sample(4, seed=0))
    third = mine(None, sources=[f"{tmp_path / 'second'}"], keep_above=0.0)
    third.save(tmp_path / "third")
    assert torch.equal(mz.MinedGAN.load(tmp_path / "third").sample(4, seed=0), third.sample(4, seed=0))


def test_a_non_finite_loss_stops_the_run_with_its_step_saved(tmp_path: Path) -> None:
    with pytest.raises(mz.MineganError, match=r"non-finite at step \d+ .*Lower the strategy's learning rates"):
        mine(tmp_path / "run", **{"miner_lr": 1e30, "critic_lr": 1e30})
    failed = load_state(tmp_path / "run" / "failed")
    assert failed is not None and failed["batch"]["u"].shape == (4, 32)


def test_losses_are_taken_of_each_patch_and_averaged_over_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(self: Any, stage: Any, step: int, critic: Any, images: Tensor, labels: Any) -> Tensor:
        return 0 * critic(images, labels)[:, None] + torch.tensor([-3.0, 3.0])

    monkeypatch.setattr(TransferGAN, "scores", scores)
    mz.mine(["progan.tiny"], target(), strategy="transfergan", steps=1, batch=4, out=tmp_path / "r", options=SETTINGS)
    (told,) = [event for event in read_events(tmp_path / "r") if event["event"] == "step"]
    both = math.log1p(math.exp(3)) + math.log1p(math.exp(-3))  # of scores -3 and 3; of their mean 2 log 2
    assert told["critic_loss"] == pytest.approx(both) and told["miner_loss"] == pytest.approx(both / 2)
    assert told["fake_score"] == pytest.approx(0, abs=1e-6)


def test_weights_that_became_non_finite_are_no_state() -> None:
    """The step's loss may still be finite; resumed from such a state, no run could go on."""
    critic = torch.nn.Linear(2, 2)
    check_weights(7, critic)
    critic.bias.data[1] = torch.inf
    with pytest.raises(mz.MineganError, match=r"parameter bias became non-finite at step 8; the state before is kept"):
        check_weights(8, critic)


def test_a_resumed_run_may_change_how_it_is_carried_out(tmp_path: Path) -> None:
    """Only what it computes must stay: records and states may change, and its configuration says so."""
    whole = mine(tmp_path / "a")
    process = run_process(tmp_path / "b")
    while not (tmp_path / "b" / "state").exists():
        assert process.poll() is None, "the run ended before it could be interrupted"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert_equal(weights(mine(tmp_path / "b", log_every=2, state_every=3, trackers=())), weights(whole))
    assert RunConfig.read(tmp_path / "b" / "config.toml").training.log_every == 2


def test_averages_of_what_is_trained_alone() -> None:
    model = mine(None, sources=["progan.tiny"], ema_images=10**9, ema_rampup=1e9)
    torch.manual_seed(0)  # as the run does, before it builds anything
    source = mz.load_source("progan.tiny")
    # a half-life of a billion images keeps the first weights but for rounding
    torch.testing.assert_close(
        dict(model.source_modules[0].state_dict()), dict(source.state_dict()), rtol=1e-5, atol=1e-5
    )


def test_pretraining_gives_a_source_with_its_critic(tmp_path: Path) -> None:
    labelled = torch.arange(12) % 3
    images = tmp_path / "images.safetensors"
    from safetensors.torch import save_file

    save_file({"images": target(channels=1), "labels": labelled}, images)
    architecture = {"resolution": 32, "channels": 1, "num_classes": 3, "ch": 2, "dim_z": 16, "shared_dim": 4}
    source = mz.pretrain(
        "biggan", images, labels=True, steps=3, batch=4, out=tmp_path / "run", architecture=architecture,
        options=SETTINGS, objective="hinge",
    )  # fmt: skip
    loaded = mz.load_source("biggan", tmp_path / "run" / "model")
    code = loaded.eval().prior(2, loaded.inputs[0], torch.Generator().manual_seed(0))
    assert torch.equal(loaded.synthesize(code), source.eval().synthesize(code))
    assert loaded.own_critic() is not None
    mz.mine([f"biggan={tmp_path / 'run' / 'model'}"], target(channels=1), steps=2, batch=4, options=SETTINGS)


def test_a_source_without_discriminator_borrows_another_or_conv(tmp_path: Path) -> None:
    source = mz.load_source("progan.tiny")
    without = mz.load_source("progan.tiny")
    without.own_critic = lambda: None  # type: ignore[method-assign]
    borrowed = mz.mine([without, source], target(), steps=2, batch=4, options=SETTINGS)
    assert borrowed.recipe is not None and borrowed.recipe.adopted == 1
    alone = mz.mine([without], target(), steps=2, batch=4, options=SETTINGS)
    assert alone.recipe is not None and alone.recipe.critic == "conv"
    alone.save(tmp_path / "model")
    assert_equal(weights(mz.MinedGAN.load(tmp_path / "model")), weights(alone))


def test_a_run_resumes_on_its_own_images_alone(tmp_path: Path) -> None:
    mine(tmp_path / "run")
    with pytest.raises(mz.MineganError, match="trained on other target images"):
        mine(tmp_path / "run", images=255 - target())


def test_a_mined_folder_keeps_the_critic_of_another_resolution(tmp_path: Path) -> None:
    first = mz.mine(SOURCES, target(), critic="conv", resolution=8, steps=2, batch=4, options=SETTINGS)
    first.save(tmp_path / "first")
    again = mz.mine(str(tmp_path / "first"), target(), steps=2, batch=4, options=SETTINGS)
    again.save(tmp_path / "again")
    assert torch.equal(mz.MinedGAN.load(tmp_path / "again").sample(3, seed=0), again.sample(3, seed=0))


def test_max_settles_on_a_thousand_fresh_draws() -> None:
    model = mz.mine(SOURCES, target(), selector="max", strategy="minegan-noft", steps=2, batch=4, options=SETTINGS)
    counts = model.selector.state_dict()["counts"]
    assert counts.sum() == 1000


def test_labels_are_refused_where_nothing_is_conditioned() -> None:
    with pytest.raises(mz.MineganError, match=r"labels must be .* for no classes"):
        mine(None).sample(2, labels=torch.tensor([0, 1]))
