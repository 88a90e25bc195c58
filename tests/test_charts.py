"""Charts: every value where it belongs, none hidden, labels apart."""

from __future__ import annotations

import itertools

from minegan_zoo.charts import HEIGHT, LABEL_GAP, POINTS, Series, line_chart, number, ticks


def test_a_chart_keeps_every_value_in_place() -> None:
    chart = line_chart(
        "loss", "", [Series("a", [0, 5, 10], [0.0, 1.0, float("nan")])], [("mine", 4), ("tune", 10)], (0, 1)
    )
    assert chart is not None
    (line,) = chart.lines
    assert line.path == f"M0.0 {HEIGHT:.1f}L500.0 0.0" and line.band == ""
    assert [(span.start, span.length, span.text) for span in chart.stages] == [(0, 40, "mine"), (40, 60, "tune")]
    assert [(mark.place, mark.text) for mark in chart.values][::5] == [(HEIGHT, "0"), (0.0, "1")]


def test_a_long_series_keeps_its_extremes() -> None:
    values = [0.0] * 100_000
    values[54_321] = 50.0
    chart = line_chart("loss", "", [Series("a", range(len(values)), values)])
    assert chart is not None
    assert chart.lines[0].path.count("L") == POINTS - 1
    tops = [float(pair.split()[1]) for pair in chart.lines[0].band[1:-1].split("L")]
    assert min(tops) < 0.1 * HEIGHT


def test_levels_are_drawn_on_the_axis() -> None:
    chart = line_chart("ratio", "", [Series("a", [0, 10], [0.5, 1.5])], limits=(0, 2), levels=[("as real ones", 1.0)])
    assert chart is not None
    assert [(mark.place, mark.text) for mark in chart.levels] == [(HEIGHT / 2, "as real ones")]


def test_a_cut_series_ends_in_a_cross() -> None:
    lines = [Series("a", [0, 5, 10], [1.0, 0.25, 0.0], cut=5), Series("b", [0, 5, 10], [0.0, 0.5, 1.0])]
    chart = line_chart("p", "", lines, limits=(0, 1))
    assert chart is not None
    cut, whole = chart.lines
    assert cut.path == f"M0.0 0.0L500.0 {0.75 * HEIGHT:.1f}" and cut.cross == (50.0, 0.75 * HEIGHT)
    assert cut.last == "0.25" and whole.path.count("L") == 2 and whole.cross is None


def test_labels_do_not_cover_each_other() -> None:
    series = [Series(str(index), [0, 1], [0.5, 0.01 * index], index) for index in range(8)]
    chart = line_chart("p", "", series, limits=(0, 1))
    assert chart is not None
    places = sorted(line.label for line in chart.lines)
    assert all(after - before >= LABEL_GAP - 1e-6 for before, after in itertools.pairwise(places))
    assert 0 <= places[0] and places[-1] <= HEIGHT


def test_nothing_to_draw_is_no_chart() -> None:
    assert line_chart("loss", "", [Series("a", [1], [float("inf")]), Series("b", [], [])]) is None


def test_numbers_are_short() -> None:
    assert ticks(0, 1000) == [0, 200, 400, 600, 800, 1000]
    assert ticks(-0.31, 0.12) == [-0.3, -0.2, -0.1, 0.0, 0.1]
    written = [number(value) for value in (0, 1200, -0.5, 2e-05, 12.345)]
    assert written == ["0", "1,200", "−0.5", "2e-05".replace("-", "−"), "12.3"]
