"""Tuning of the quality benchmark: one grid for every method, and what its results choose."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.quality import performing
from benchmarks.quality.page import write_page
from benchmarks.quality.performing import result_path
from benchmarks.quality.places import Places
from benchmarks.quality.protocol import METHODS, PROTOCOLS, TASKS
from benchmarks.quality.results import Results
from benchmarks.quality.tuning import FACTORS, SEEDS, TUNED, due_specs, rates_of, summarise, trials, tuning_specs

PROTOCOL = PROTOCOLS["core"]
nan = math.nan


def tuned(
    folder: Path, fids: dict[str, tuple[float, ...]], again: dict[str, tuple[float, ...]] | None = None
) -> dict[str, Any]:
    """What tuning chooses where the trials of some methods have these FIDs, `again` with the second seed.

    nan and the later ones are missing.
    """
    places = places_in(folder)
    for spec in tuning_specs(PROTOCOL):
        found = (fids if spec.seed == SEEDS[0] else again or {}).get(spec.method, ())
        if spec.trial < len(found) and not math.isnan(found[spec.trial]):
            path = result_path(spec, places)
            path.parent.mkdir(parents=True, exist_ok=True)
            record = {"value": found[spec.trial]}
            digest = performing.digest(spec, PROTOCOL)
            path.write_text(json.dumps({"digest": digest, "spaces": [{"metrics": {"fid": record}}]}))
    methods: dict[str, Any] = summarise(PROTOCOL, places)["methods"]
    return methods


def places_in(folder: Path) -> Places:
    return Places(folder, folder, folder / "results", folder)


def test_every_method_has_the_same_trials_one_of_which_are_its_defaults() -> None:
    for method in TUNED:
        found, defaults = trials(METHODS[method].strategy), rates_of(METHODS[method].strategy)
        assert len(found) == len(FACTORS) and found.count({}) == 1
        for trial in filter(None, found):
            assert set(trial) == set(defaults) - {"critic_lr"}
            ratios = {round(trial[name] / defaults[name], 6) for name in trial}
            assert len(ratios) == 1 and ratios <= set(FACTORS)


def test_what_leaves_the_generator_alone_is_tuned_on_what_its_source_has_seen() -> None:
    kinds = {spec.method: TASKS[spec.task].kind for spec in tuning_specs(PROTOCOL)}
    assert {method for method, kind in kinds.items() if kind == "on"} == {"minegan-noft", "genda"}
    assert set(kinds.values()) == {"on", "off"}


def test_tuning_takes_the_best_finished_trial(tmp_path: Path) -> None:
    methods = tuned(tmp_path, {"ewc": (3.0, 2.0, 1.0), "genda": (3.0, 2.0)})
    assert methods["ewc"]["rates"] is None and methods["ewc"]["trials"][0]["fid"] == 1, "larger rates are due"
    methods = tuned(tmp_path, {"ewc": (3.0, 2.0, 1.0, 1.5), "genda": (3.0, 2.0)}, {"ewc": (nan, 2.0, 1.2)})
    assert methods["ewc"]["rates"] == trials("ewc")[2] and methods["ewc"]["chosen"]["fid"] == 1.1
    assert methods["genda"]["rates"] is None and set(methods) == {"ewc", "genda"}


def test_defaults_stay_unless_they_are_beaten_clearly(tmp_path: Path) -> None:
    once = {"ewc": (3.0, 1.0, 0.95, 2.0), "cdc": (3.0, 1.0, 0.85, 2.0), "minegan": (3.0, 1.0, 0.85, 2.0)}
    methods = tuned(tmp_path, once, dict.fromkeys(once, (nan, 1.0, 0.85)))
    assert methods["ewc"]["rates"] == {} and methods["ewc"]["chosen"]["fid"] == 1
    assert methods["cdc"]["rates"] == trials("cdc")[2]
    assert methods["minegan"]["rates"] == {}, "what is claimed of ours is claimed of the defaults"


def test_one_lucky_seed_chooses_nothing(tmp_path: Path) -> None:
    once = {"cdc": (40.0, 28.0, 15.0, 2.0, 159.0)}
    assert tuned(tmp_path / "a", once)["cdc"]["rates"] is None
    assert tuned(tmp_path / "b", once, {"cdc": (nan, 30.0, nan, 80.0)})["cdc"]["rates"] is None, "15 was run once"
    methods = tuned(tmp_path / "c", once, {"cdc": (nan, 30.0, 17.0, 80.0)})
    assert methods["cdc"]["rates"] == trials("cdc")[2] and methods["cdc"]["chosen"]["fid"] == 16


def test_no_method_is_judged_at_the_edge_of_the_grid(tmp_path: Path) -> None:
    def due(method: str, fids: tuple[float, ...], again: tuple[float, ...] = ()) -> list[tuple[float, int]]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        tuned(folder, {method: fids}, {method: again})
        found = [spec for spec in due_specs(PROTOCOL, places_in(folder)) if spec.method == method]
        return [(FACTORS[spec.trial], SEEDS.index(spec.seed)) for spec in found]

    assert due("bsa", (3.0, 2.0)) == [(3, 0)], "some are not done"
    assert due("cdc", (3.0, 1.0, 2.0)) == [(1, 1)], "the best is within"
    assert due("ewc", (3.0, 2.0, 1.0)) == [(10, 0)]
    assert due("ewc", (3.0, 2.0, 1.0, 1.5)) == [(1, 1), (3, 1)], "10 is worse than 3"
    assert due("ewc", (3.0, 2.0, 1.0, 0.5)) == [(30, 0)]
    assert due("ewc", (3.0, 2.0, 1.0, 0.5, 0.7)) == [(1, 1), (10, 1)]
    assert due("ewc", (3.0, 2.0, 1.0, 0.5, 1.5), (nan, 2.0, nan, 9.0)) == [(3, 1)], "3 is the best now"
    assert due("ewc", (3.0, 2.0, 1.0, 0.5, 1.5), (nan, 2.0, 1.0, 9.0)) == []
    assert due("genda", (1.0, 2.0, 3.0)) == [(0.1, 0)]
    assert due("genda", (1.0, 2.0, 3.0, nan, nan, nan, 0.5)) == [(0.03, 0)]
    assert due("genda", (3.0, 2.0, 2.1), (nan, 4.0)) == [(10, 0)], "the best is at the edge by two seeds"


def test_the_page_shows_what_was_chosen(tmp_path: Path) -> None:
    once = {"cdc": (3.0, 1.0, 0.85, 2.0), "minegan-noft": (2.0, 1.0, 3.0)}
    tuned(tmp_path, once, dict.fromkeys(once, (nan, 1.0, 0.85)))
    page = write_page(Results([]), PROTOCOL, places_in(tmp_path), {}).read_text()
    rate = f"source_lr {trials('cdc')[2]['source_lr']:g}"
    assert "<td>3x</td>" in page and "<td>1x</td>" in page and "<span>at 0.3x</span>" in page
    assert rate in page and "<td>digits-on</td>" in page and "<td>digits-off</td>" in page
