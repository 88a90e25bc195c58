"""The bars of the quality benchmark: what they are ratios of, and when they have no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.bars import Bar, check_bars
from benchmarks.quality.charts import scatter
from benchmarks.quality.protocol import GARMENTS, Spec
from benchmarks.quality.results import SECOND, Result, Results


def made(task: str, method: str, seed: int, space: dict[str, float], source: str = "", **more: Any) -> Result:
    spec = Spec(task, method, 0 if method == "unmined" else 100, seed, 400, source)
    fixed = {name: space[name] for name in ("fid",)}
    folded = [{"metrics": {name: {"value": value} for name, value in part.items()}} for part in (space, fixed)]
    return Result(spec, {"spaces": folded, "over_steps": [], "p": [], **more}, Path("no-sheet"))


def bar(results: Results, task: str, claim: str) -> Bar:
    return next(each for each in check_bars(results) if each.task == task and each.claim.startswith(claim))


def test_bars_are_ratios_of_means() -> None:
    def curve(*fids: float) -> list[dict[str, float]]:
        return [{"updates": 200.0 * place, "fid": fid} for place, fid in enumerate(fids)]

    plain, ours = {"fid": 20.0, "recall": 0.8}, [{"fid": fid, "recall": 0.7} for fid in (8.0, 12.0)]
    found = [made("digits-off", "transfergan", seed, plain, over_steps=curve(90, 40, 20)) for seed in (0, 1)]
    for seed, numbers in enumerate(ours):
        found.append(made("digits-off", "minegan", seed, numbers, over_steps=curve(80, numbers["fid"], 10)))
    found += [made("digits-off", "cdc", 0, {"fid": 5.0}), made("digits-off", "replay", 0, {"fid": 4.0})]
    results = Results(found)
    fid = bar(results, "digits-off", "FID / transfergan's FID, 100")
    assert fid.reached == pytest.approx(0.5) and fid.holds and fid.replayed == pytest.approx(0.2)
    assert str(fid).endswith("; training images replayed: 0.2")
    recall = bar(results, "digits-off", "recall / transfergan's")
    assert recall.reached == pytest.approx(0.875) and recall.holds is False
    speed = bar(results, "digits-off", "updates until")  # from 80 to 10 within 200 updates, 20 after 6/7 of them
    assert speed.reached == pytest.approx(6 / 7 * 200 / 400)
    worst = bar(results, "cdc", "minegan's FID / its FID, worst")
    assert worst.reached == pytest.approx(2.0) and worst.replayed == pytest.approx(0.8)
    assert bar(results, "ewc", "minegan's FID / its FID, worst").holds is None
    assert bar(results, "digits-off", "FID / transfergan's FID, 10 images").reached is None
    # (10 +- 2) / (20 +- 0), of two seeds; recall has no spread
    assert fid.error == pytest.approx(0.1) and not fid.close and recall.error == 0
    assert results.cell("digits-off", "minegan", 100, "fid", SECOND).spread == pytest.approx(8**0.5)  # type: ignore[union-attr]


def test_a_bound_within_the_standard_error_is_said() -> None:
    found = [made("digits-off", "transfergan", seed, {"fid": fid}) for seed, fid in enumerate((9.0, 11.0))]
    found += [made("digits-off", "minegan", seed, {"fid": fid}) for seed, fid in enumerate((7.0, 9.0))]
    both = bar(Results(found), "digits-off", "FID / transfergan's FID, 100")
    assert both.error == pytest.approx((1 + 0.64) ** 0.5 / 10)
    assert both.holds and both.close and str(both).endswith("0.8 +- 0.13 (<= 0.85), within the spread")
    one = bar(Results(found[1:3]), "digits-off", "FID / transfergan's FID, 100")
    assert one.error is None and not one.close, "one seed says nothing of its spread"


def test_bars_of_several_sources() -> None:
    p = [[0, 0.3, 0.3, 0.4], [400, 0.1, 0.5, 0.4]]
    found = [made("fashion-two", "minegan", 0, {"fid": 20.0}, p=p)]
    for source, fid in (("shoes", 100.0), ("others", 80.0)):
        found.append(made("fashion-two", "minegan", 0, {"fid": fid}, source))
    results = Results(found)
    assert bar(results, "fashion-two", "FID / the best single").reached == pytest.approx(0.25)
    assert bar(results, "fashion-two", "least probability").reached == pytest.approx(0.4)
    assert bar(Results(found[:2]), "fashion-two", "FID / the best single").reached is None  # one source is missing


@pytest.mark.parametrize("plain", [{"fid": 9.0, "recall": 0.0, "kid": -0.01}, {"fid": 9.0, "recall": 0.5}])
def test_a_ratio_to_nothing_is_no_number(plain: dict[str, float]) -> None:
    ours = {"fid": 8.0, "recall": 0.5, "kid": 0.1}
    results = Results([made("digits-off", "transfergan", 0, plain), made("digits-off", "minegan", 0, ours)])
    assert bar(results, "digits-off", "recall /").holds is (True if plain["recall"] else None)
    assert bar(results, "digits-off", "KID /").holds is None


def test_bars_of_a_class_that_the_source_has_seen() -> None:
    mined = {"fid": 4.0, "class_accuracy": 0.95, "recall": 0.5, "memorisation": 0.97}
    results = Results([made("digits-on", "unmined", 0, {"fid": 50.0}), made("digits-on", "minegan-noft", 0, mined)])
    found = {claim: bar(results, "digits-on", claim) for claim in ("FID /", "class accuracy", "recall", "distance to")}
    assert [each.reached for each in found.values()] == pytest.approx([0.08, 0.95, 0.5, 0.97])
    assert [each.holds for each in found.values()] == [True, True, False, True]


def test_bars_of_one_covering_source_and_of_none() -> None:
    p = [[400, 0.02, 0.95, 0.03]]
    one = [made("fashion-one", "minegan", 0, {"fid": 10.0, "recall": 0.4}, p=p)]
    one += [made("fashion-one", "minegan", 0, {"fid": 8.0, "recall": 0.5}, "shoes")]
    assert bar(Results(one), "fashion-one", "probability of the right").reached == pytest.approx(0.95)
    assert bar(Results(one), "fashion-one", "FID / FID of that").reached == pytest.approx(1.25)
    assert bar(Results(one), "fashion-one", "recall / recall of that").reached == pytest.approx(0.8)
    none = [made("fashion-none", "minegan", 0, {"fid": 10.0}, p=p)]
    none += [
        made("fashion-none", "minegan", 0, {"fid": fid}, name) for name, fid in zip(GARMENTS, (40, 20, 80), strict=True)
    ]
    assert bar(Results(none), "fashion-none", "FID / the best single").reached == pytest.approx(0.5)


def test_names_in_a_scatter_do_not_cover_each_other() -> None:
    numbers = {"minegan": (0.5, 0.7), "transfergan": (0.51, 0.71), "cdc": (0.1, 0.1)}
    found = [
        made("digits-off", row, 0, {"fid": 1.0, "recall": recall, "precision": precision})
        for row, (recall, precision) in numbers.items()
    ]
    chart = scatter(Results(found), "digits-off", 100, {"transfergan": 1, "minegan": 0, "cdc": None})
    assert chart is not None
    assert [(point.name, point.labelled) for point in chart.points] == [
        ("minegan", True), ("transfergan", False), ("cdc", True)
    ]  # fmt: skip
    assert [point.left for point in chart.points] == pytest.approx([50, 51, 10])
    assert [point.top for point in chart.points] == pytest.approx([60, 58, 180])
