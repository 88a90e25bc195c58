"""Every strategy's learning rates on one grid, with equally many trials, by FID on validation images.

Digits only, with shots that the report does not use; what is chosen holds for every task and data set.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from minegan_zoo import registry

from .performing import is_done, result_path
from .places import Places
from .protocol import BASELINES, METHODS, OWN, RIVALS, Protocol, Rates, Spec

FILE = "tuning.json"
TASK, SHOTS, SEEDS = "digits-off", 100, (100,)
LEVELS = (5e-4, 1.5e-3, 4e-3)
"""Prime in number, so that as many trials squared meet every pair of values of any two rates once."""
SCALE = {"code_lr": 25.0}
"""Of a rate that no network has: bsa's, of the images' codes."""
TUNED = (*OWN, *BASELINES, *RIVALS)


def rate_names(strategy: str) -> list[str]:
    """Its learning rates: the options that end in "_lr"."""
    return [option.name for option in registry.strategies.info(strategy).options if option.name.endswith("_lr")]


def trials(strategy: str, levels: Sequence[float] = LEVELS) -> list[dict[str, float]]:
    """The strategy's defaults (empty), then an orthogonal array: of q levels, q squared trials for up to q + 1 rates.

    Trial (i, j) gives the first rate level i and rate k > 0 level i (k - 1) + j modulo q.
    """
    names, q = rate_names(strategy), len(levels)
    if len(names) > q + 1 or q < 2 or any(q % divisor == 0 for divisor in range(2, q)):
        raise ValueError(f"{q} levels: {len(names)} rates need a prime number of at least {len(names) - 1}")
    found: list[dict[str, float]] = [{}]
    for i, j in itertools.product(range(q), repeat=2):
        places = [i, *((i * (k - 1) + j) % q for k in range(1, len(names)))]
        rates = {name: levels[at] * SCALE.get(name, 1.0) for name, at in zip(names, places, strict=True)}
        found += [] if rates in found else [rates]
    return found


def tuning_specs(protocol: Protocol) -> list[Spec]:
    """One a trial and seed."""
    return [
        Spec(TASK, name, SHOTS, seed, protocol.updates, "", tuple(sorted(rates.items())), "validation", trial)
        for name in TUNED
        for trial, rates in enumerate(trials(METHODS[name].strategy))
        for seed in SEEDS
    ]


def summarise(protocol: Protocol, places: Places) -> dict[str, Any]:
    """Write and give what the finished trials say: of every strategy all trials, best first, and the best one's rates.

    A strategy whose trials are not all there has no choice yet.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    wanted: dict[str, int] = {}
    for spec in tuning_specs(protocol):
        wanted[spec.method] = wanted.get(spec.method, 0) + 1
        if is_done(spec, protocol, places):
            result = json.loads(result_path(spec, places).read_text("utf-8"))
            values = {name: record["value"] for name, record in result["spaces"][0]["metrics"].items()}
            found.setdefault(spec.method, []).append({"trial": spec.trial, "rates": dict(spec.rates), **values})
    methods = {}
    for name, rows in found.items():
        table = [_mean([row for row in rows if row["trial"] == trial]) for trial in {row["trial"] for row in rows}]
        table.sort(key=lambda row: row["fid"])
        done = len(rows) == wanted[name]
        methods[name] = {"rates": table[0]["rates"] if done else None, "trials": table}
    summary = {"task": TASK, "shots": SHOTS, "seeds": SEEDS, "levels": LEVELS, "methods": methods}
    places.results.mkdir(parents=True, exist_ok=True)
    (places.results / FILE).write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    return summary


def read_summary(places: Places) -> dict[str, Any] | None:
    """What `summarise` wrote; None where nothing was tuned."""
    path = places.results / FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def read_rates(places: Places) -> Rates:
    """What tuning chose; nothing where it was not run, and the strategies' defaults hold."""
    methods = (read_summary(places) or {"methods": {}})["methods"]
    return {name: method["rates"] for name, method in methods.items() if method["rates"]}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of one trial's seeds."""
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {"rates": rows[0]["rates"], **{name: float(f"{fmean(row[name] for row in rows):.6g}") for name in names}}
