"""What `inspect` says of public checkpoints, and that `convert` loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.converting import convert_checkpoint, inspect_checkpoint, open_checkpoint

PLUGINS = Path(__file__).parent.parent / "plugins"
GOLDEN = {
    "biggan/tests/golden/biggan-ajbrock-32": "biggan",
    "biggan/tests/golden/biggan-deep-ajbrock-64": "biggan-deep",
    "biggan/tests/golden/biggan-hf-32": "biggan-deep",
    "progan/tests/golden/pgan-fb-32": "progan",
    "progan/tests/golden/pgan-fb-16-fade": "progan",
    "progan/tests/golden/progan-rosinality-w24": "progan",
    "stylegan/tests/golden/stylegan1-rosinality-128/030000.model": "stylegan",
    "stylegan/tests/golden/stylegan2-rosinality-32/stylegan2.pt": "stylegan2",
    "stylegan/tests/golden/stylegan2ada-16-cond/network-snapshot-000100.pkl": "stylegan2",
    "stylegan/tests/golden/stylegan3-t-32/network-snapshot-000100.pkl": "stylegan3",
}


@pytest.mark.parametrize(("place", "family"), GOLDEN.items())
def test_a_converted_checkpoint_gives_the_same_images_bit_for_bit(place: str, family: str, tmp_path: Path) -> None:
    path = PLUGINS / f"minegan-zoo-{place}"
    facts = inspect_checkpoint(path)
    assert facts["family"] == family and facts["format"] not in ("", "not stated", "source folder")
    source = open_checkpoint(path)
    convert_checkpoint(path, tmp_path / "folder")
    converted = mz.load_source(family, tmp_path / "folder")
    code = source.prior(2, source.inputs[0], torch.Generator().manual_seed(0))
    images = source.synthesize(code)
    assert torch.equal(converted.synthesize(code), images)
    assert str(source.image) == facts["image"] == str(converted.image)
    critic, kept = source.own_critic(), converted.own_critic()
    assert (critic is None) == (kept is None)
    if critic is not None and kept is not None:
        assert torch.equal(kept.eval()(images), critic.eval()(images))
    again = inspect_checkpoint(tmp_path / "folder")
    assert again["family"] == family and again["format"] == "source folder"
    assert again["parameters"] == facts["parameters"]


def test_what_no_family_reads_is_an_error_with_every_answer(tmp_path: Path) -> None:
    path = tmp_path / "letter.pth"
    path.write_text(json.dumps({"dear": "reader"}))
    with pytest.raises(mz.MineganError, match=r"no installed family can read .*") as caught:
        inspect_checkpoint(path)
    assert all(f"\n  {family}: " in str(caught.value) for family in ("biggan", "progan", "stylegan2"))
