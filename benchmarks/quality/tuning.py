"""Every strategy's learning rates on one grid, multiples of its defaults, by FID on validation images.

Digits only, with shots drawn by a seed of their own from the pool of the report's; what is chosen holds for every
task and data set. What cannot change its sources is tuned on a target that they have seen, all else on one that is new
to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from minegan_zoo import registry

from .performing import is_done, result_path
from .places import RESULTS, Places
from .protocol import BASELINES, FROZEN, METHODS, OWN, RIVALS, Protocol, Rates, Spec

FILE = "tuning.json"
TASK, SHOTS, SEEDS = "digits-off", 100, (100, 101)
TASKS_OF = dict.fromkeys(FROZEN, "digits-on")
"""Of strategies that are tuned on another task."""
FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 0.1, 0.03)
"""Of the rates of what a method adapts; the critic's is the same for all methods (but `minegan` and `minegan++` double
theirs where mining was undone). The first three are tried for all, a further one where its neighbour is the best of
all: no method is judged at the edge of its grid."""
EVERYWHERE, DEFAULTS = 3, FACTORS.index(1.0)
MARGIN = 0.1
"""By what part of the defaults' FID a trial must beat the defaults to replace them: two seeds are no surer. Ours keep
theirs in any case, for what is claimed of them is claimed of the defaults."""
CRITIC = "critic_lr"
TUNED = (*OWN, *BASELINES, *RIVALS)


def rates_of(strategy: str) -> dict[str, float]:
    """Its learning rates by default: the options that end in "_lr"."""
    options = registry.strategies.info(strategy).options
    return {option.name: float(option.default) for option in options if option.name.endswith("_lr")}


def trials(strategy: str, factors: Sequence[float] = FACTORS) -> list[dict[str, float]]:
    """For each factor, the strategy's default rates times it; empty where they are the defaults."""
    defaults = {name: rate for name, rate in rates_of(strategy).items() if name != CRITIC}
    return [
        {} if factor == 1 else {name: float(f"{rate * factor:.6g}") for name, rate in sorted(defaults.items())}
        for factor in factors
    ]


def tuning_specs(protocol: Protocol) -> list[Spec]:
    """One a trial and seed; most are never due."""
    return [
        Spec(
            TASKS_OF.get(name, TASK), name, SHOTS, seed, protocol.updates, "", tuple(rates.items()), "validation", trial
        )
        for name in TUNED
        for trial, rates in enumerate(trials(METHODS[name].strategy))
        for seed in SEEDS
    ]


def due_specs(protocol: Protocol, places: Places) -> list[Spec]:
    """What is to be run next, by the results that there are: another round when these are done; in the end nothing."""
    return [spec for name in TUNED for spec in _due(name, protocol, places)]


def _due(method: str, protocol: Protocol, places: Places) -> list[Spec]:
    """Every trial once, further factors while the best is at the edge; then the best and the defaults once more.

    So one lucky seed chooses nothing, and what is never the best is run once.
    """
    specs = [spec for spec in tuning_specs(protocol) if spec.method == method]
    missing = [spec for spec in specs if not is_done(spec, protocol, places)]
    fids = {row["trial"]: row["fid"] for row in _table(method, protocol, places)}
    once = [spec for spec in missing if spec.trial not in fids and spec.seed == SEEDS[0]]
    if grid := [spec for spec in once if spec.trial < EVERYWHERE]:
        return grid
    best = min(fids, key=lambda trial: fids[trial])
    if further := [spec for spec in once if _before(spec.trial)[-1] == best]:
        return further
    return [spec for spec in missing if spec.trial in (best, DEFAULTS)]


def _before(trial: int) -> list[int]:
    """The trials between those tried everywhere and a further one, and these; its neighbour is the last."""
    reach, up = FACTORS[trial], FACTORS[trial] > 1
    between = {t for t, factor in enumerate(FACTORS) if (1 < factor < reach if up else reach < factor < 1)}
    return sorted(between.union(range(EVERYWHERE)), key=lambda t: FACTORS[t], reverse=not up)


def _table(method: str, protocol: Protocol, places: Places) -> list[dict[str, Any]]:
    """Its finished trials, best first; of each the means over the seeds that it was run with."""
    found: dict[int, list[dict[str, Any]]] = {}
    for spec in tuning_specs(protocol):
        if spec.method == method and is_done(spec, protocol, places):
            found.setdefault(spec.trial, []).append({"rates": dict(spec.rates), **_read(spec, places)})
    rows = [{"trial": trial, "seeds": len(same), **_mean(same)} for trial, same in found.items()]
    return sorted(rows, key=lambda row: row["fid"])


def _read(spec: Spec, places: Places) -> dict[str, float]:
    """A finished trial's metrics."""
    result = json.loads(result_path(spec, places).read_text("utf-8"))
    return {name: record["value"] for name, record in result["spaces"][0]["metrics"].items()}


def summarise(protocol: Protocol, places: Places) -> dict[str, Any]:
    """Write and give what the finished trials say: of every strategy all trials, best first, and the chosen one.

    A strategy whose trials are not all there has no choice yet.
    """
    methods = {}
    for name in TUNED:
        if not (table := _table(name, protocol, places)):
            continue
        chosen = next((row for row in table if row["trial"] == DEFAULTS), table[0])
        if name not in OWN and table[0]["fid"] < (1 - MARGIN) * chosen["fid"]:
            chosen = table[0]
        rates = None if _due(name, protocol, places) else chosen["rates"]
        methods[name] = {"task": TASKS_OF.get(name, TASK), "rates": rates, "chosen": chosen, "trials": table}
    summary = {"shots": SHOTS, "seeds": SEEDS, "factors": FACTORS, "methods": methods}
    places.results.mkdir(parents=True, exist_ok=True)
    (places.results / FILE).write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    return summary


def read_summary(places: Places) -> dict[str, Any] | None:
    """What `summarise` wrote, else what the project shows; None where nothing was tuned."""
    path = next((folder / FILE for folder in (places.results, RESULTS) if (folder / FILE).is_file()), None)
    return json.loads(path.read_text("utf-8")) if path else None


def read_rates(places: Places) -> Rates:
    """What tuning chose; nothing where it was not run, and the strategies' defaults hold."""
    methods = (read_summary(places) or {"methods": {}})["methods"]
    return {name: method["rates"] for name, method in methods.items() if method["rates"]}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of one trial's seeds."""
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {"rates": rows[0]["rates"], **{name: float(f"{fmean(row[name] for row in rows):.6g}") for name in names}}
