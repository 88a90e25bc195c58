"""What a run's charts show over its steps. May import charts and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minegan_zoo.charts import Chart, Series, line_chart
from minegan_zoo.results import Event, Results

WATCHED = (
    ("Nearest training image", "relative distance", ("memorisation", "memorisation_loo"), "as {real}"),
    ("Diversity", "of the target's", ("diversity",), "as the target"),
    ("Overfitting of the critic", "0 none, 1 full", ("critic_overfit",), "full"),
)
"""Title, unit, names in the watch's events, and what a value of 1 means."""

AUGMENTATION = "augmentation_"
"""What the names of an augmentation's own facts begin with."""


def probability_chart(results: Results, colours: Mapping[int, int | None]) -> Chart | None:
    """The selector's probability of each source; `colours` are the sources', in the order in which they are drawn."""
    if len(colours) < 2:
        return None
    steps = [event["step"] for event in results.steps]
    lines = [
        Series(
            results.sources[source],
            steps,
            [event["p"][source] for event in results.steps],
            colour,
            cut=results.dropped.get(source),
        )
        for source, colour in colours.items()
    ]
    return line_chart("Over time", "probability", lines, _ends(results), limits=(0, 1), decimals=2)


def training_charts(results: Results) -> list[Chart]:
    """Losses, scores, penalty, what the augmentation tells of itself."""
    generator = "miner" if results.mines else "generator"
    every = results.config.training.log_every
    unit = f"mean of {every} steps" if every > 1 else "each step"
    lines: dict[str, tuple[tuple[str, str, int], ...]] = {
        "Loss": (("critic", "critic_loss", 0), (generator, "miner_loss", 1)),
        "Critic's score": (("real", "real_score", 2), ("fake", "fake_score", 3)),
        "Critic's penalty": (("penalty", "penalty", 0),),
    }
    told = sorted({name for event in results.steps for name in event if name.startswith(AUGMENTATION)})
    lines["Augmentation"] = tuple((name.removeprefix(AUGMENTATION), name, i) for i, name in enumerate(told[:4]))
    charts = [
        line_chart(title, unit, [_series(results.steps, *line) for line in drawn], _ends(results))
        for title, drawn in lines.items()
    ]
    return [chart for chart in charts if chart]


def watch_charts(results: Results) -> list[Chart]:
    """How near samples lie to training images, how much they differ, whether the critic overfits, held-out KID."""
    charts = []
    for title, unit, names, meaning in WATCHED:
        name = next((name for name in names if any(name in event for event in results.watched)), names[0])
        real = "training images" if name == "memorisation_loo" else "held-out images"
        line = _series(results.watched, "", name, 0)
        if line.values:
            low, high = min(0.0, *line.values), max(1.0, *line.values)
            margin = 0.06 * (high - low)
            limits = (low - margin if low < 0 else 0.0, high + margin)
            level = (meaning.format(real=real), 1.0)
            charts.append(line_chart(title, unit, [line], _ends(results), limits, levels=[level]))
    shares = [_series(results.watched, "", "near_copies", 0)]
    level = ("as real images", 0.05)
    charts.append(line_chart("Near copies", "share of samples", shares, _ends(results), (0, 1), levels=[level]))
    charts.append(line_chart("KID", "to held-out images", [_series(results.watched, "", "kid", 0)], _ends(results)))
    return [chart for chart in charts if chart]


def _series(events: Sequence[Event], name: str, key: str, colour: int) -> Series:
    """A number of those events that have it."""
    found = [event for event in events if key in event]
    return Series(name, [event["step"] for event in found], [event[key] for event in found], colour)


def _ends(results: Results) -> list[tuple[str, float]]:
    return [(stage.name, stage.last_step) for stage in results.stages]
