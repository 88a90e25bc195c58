"""The benchmark's commands.

run       everything: sources, runs, page, bars; again, it goes on with what is missing
sources   the sources alone: the project's own, or with --pretrain trained here
tune      choose every method's learning rates on validation images
page      write the page and check the bars from the results that there are
one       carry out single rows by name, as `run` does in processes of their own
source    pretrain single sources by name
papers    the settings of the literature: what each needs, published numbers and ours; by name or all
measure   a run of one of them by its card: NAME RUN; the records lie in --results, by default the project's
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import signal
import sys
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.cache import cache_folder

from .jobs import Job, run_jobs
from .places import RESULTS, Places
from .protocol import PROTOCOLS, TASKS, Protocol, Spec
from .sources import check_data, is_made, is_taken, make, take

PAPERS = RESULTS.parent / "papers"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that it ends its processes first
    try:
        _carry_out_command(_parse())
    except MineganError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # whoever reads this has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it fails again on its way out
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _carry_out_command(arguments: argparse.Namespace) -> None:
    name = "smoke" if arguments.smoke else "full" if arguments.full else "core"
    protocol, places = PROTOCOLS[name], _places(arguments, name)
    chooses = arguments.command in ("run", "sources", "tune")
    if arguments.names and (chooses or arguments.command == "page"):
        hint = ": --only chooses some" if chooses else ""
        raise MineganError(f"{arguments.command} takes no names, as {arguments.names[0]}{hint}")
    if not chooses and (arguments.only != "*" or arguments.pretrain):
        option = "--pretrain" if arguments.pretrain else "--only"
        raise MineganError(f"{option} is for run, sources and tune, not for {arguments.command}")
    match arguments.command:
        case "run":
            sys.exit(_run(name, protocol, places, arguments))
        case "sources":
            sys.exit(_make_sources(name, protocol, places, arguments, protocol.specs({}), arguments.only))
        case "tune":
            sys.exit(_tune(name, protocol, places, arguments))
        case "page":
            _show(protocol, places)
        case "one":
            _one(protocol, places, arguments.names)
        case "source":
            for each in _known(arguments.names, protocol.recipes, "source"):
                make(each, protocol.recipes[each], places.cache, places.data)
        case "papers":
            _show_papers(arguments.names, arguments.results or PAPERS)
        case "measure":
            from .literature import measure

            if len(arguments.names) != 2:
                raise MineganError("measure takes a setting's name and the folder of its run")
            setting, run = arguments.names
            print(measure(setting, Path(run), arguments.results or PAPERS))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = ("run", "sources", "tune", "page", "one", "source", "papers", "measure")
    parser.add_argument("command", choices=commands)
    parser.add_argument("names", nargs="*", help="of rows, for one; of sources, for source; of a setting and its run")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="every method, size and task; takes days")
    size.add_argument("--smoke", action="store_true", help="a few steps of everything, in ten minutes")
    parser.add_argument("--only", default="*", help="names of rows or sources, shell-style: 'digits-off/minegan-100-*'")
    parser.add_argument("--jobs", type=_at_least_one, default=2, help="processes side by side, one thread each (2)")
    parser.add_argument(
        "--data-root", type=Path, default=Path("data"), help="MNIST and FashionMNIST as torchvision keeps them (data)"
    )
    parser.add_argument("--cache", type=Path, help="pretrained sources (in the library's cache folder)")
    parser.add_argument(
        "--pretrain", action="store_true", help="train sources that the cache lacks, instead of taking the project's"
    )
    parser.add_argument("--results", type=Path, help="JSON, sheets, page (the project's); another folder repeats all")
    parser.add_argument("--work", type=Path, default=Path("runs/quality"), help="runs under way, logs (runs/quality)")
    return parser.parse_intermixed_args()


def _at_least_one(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _known(names: Sequence[str], known: Collection[str], what: str) -> Sequence[str]:
    """The names; MineganError where there are none, or one that nothing has."""
    if not names:
        raise MineganError(f"name a {what}, as {next(iter(known))}")
    if unknown := [name for name in names if name not in known]:
        raise MineganError(f"there is no {what} {', '.join(unknown)}; they are named as {next(iter(known))}")
    return names


def _chosen(specs: Sequence[Spec], pattern: str) -> list[Spec]:
    found = [spec for spec in specs if fnmatch.fnmatchcase(spec.name, pattern)]
    if not found:
        raise MineganError(f"--only {pattern!r} is no row's name; rows are named as {specs[-1].name}")
    return found


def _places(arguments: argparse.Namespace, name: str) -> Places:
    work = arguments.work.resolve()
    cache = arguments.cache or cache_folder() / "benchmark-sources"
    results = arguments.results or (work / "smoke" if name == "smoke" else RESULTS)
    return Places(arguments.data_root.resolve(), cache.resolve(), results.resolve(), work)


def _run(name: str, protocol: Protocol, places: Places, arguments: argparse.Namespace) -> int:
    from .performing import is_done
    from .tuning import read_rates

    specs = _chosen(protocol.specs(read_rates(places)), arguments.only)
    missing = [spec for spec in specs if not is_done(spec, protocol, places)]
    if not missing:
        print("every row is there")
    failed = _carry_out(name, protocol, places, missing, arguments)
    _show(protocol, places)
    return failed


def _tune(name: str, protocol: Protocol, places: Places, arguments: argparse.Namespace) -> int:
    from .tuning import due_specs, summarise, tuning_specs

    specs = _chosen(tuning_specs(protocol), arguments.only)
    failed = 0
    # each round may make further trials due
    while due := [spec for spec in due_specs(protocol, places) if spec in specs]:
        if failed := _carry_out(name, protocol, places, due, arguments):
            break
    for method, found in summarise(protocol, places)["methods"].items():
        chosen = found["chosen"]
        rates = chosen["rates"] or "its defaults"
        yet = " (not all trials are there)" if found["rates"] is None else ""
        print(f"{method:14} {len(found['trials'])} trials, FID {chosen['fid']:.2f} with {rates}{yet}")
    return failed


def _carry_out(name: str, protocol: Protocol, places: Places, specs: list[Spec], arguments: argparse.Namespace) -> int:
    """Sources first, then every row whose sources are there."""
    for dataset in {TASKS[spec.task].dataset for spec in specs}:
        check_data(dataset, places.data)
    failed = _make_sources(name, protocol, places, arguments, specs)
    made = {source for source, recipe in protocol.recipes.items() if is_made(source, recipe, places.cache)}
    ready = [spec for spec in specs if made.issuperset(spec.sources)]
    return _perform(name, protocol, places, ready, arguments.jobs) or failed


def _make_sources(
    name: str,
    protocol: Protocol,
    places: Places,
    arguments: argparse.Namespace,
    specs: Iterable[Spec],
    only: str = "*",
) -> int:
    """Take what the cache lacks from the project; train it where that has none, or with --pretrain."""
    used = dict.fromkeys(source for spec in specs for source in spec.sources)
    chosen = {source: protocol.recipes[source] for source in fnmatch.filter(used, only)}
    if used and not chosen:
        raise MineganError(f"--only {only!r} is no source's name; there are {', '.join(used)}")
    missing = [source for source, recipe in chosen.items() if not is_made(source, recipe, places.cache)]
    if arguments.pretrain:
        if own := [source for source, recipe in chosen.items() if is_taken(source, recipe, places.cache)]:
            raise MineganError(f"{places.cache} holds the project's own {', '.join(own)}: name another --cache")
    else:
        missing = [source for source in missing if not _take(source, protocol, places)]
    jobs = [Job(f"source {source}", ["source", source, *_options(name, places)]) for source in missing]
    return _report(jobs, arguments.jobs, places)


def _take(source: str, protocol: Protocol, places: Places) -> bool:
    """Whether it could be; says so."""
    taken = take(source, protocol.recipes[source], places.cache)
    if taken:
        print(f"source {source}: the project's own")
    return taken


def _perform(name: str, protocol: Protocol, places: Places, specs: list[Spec], workers: int) -> int:
    jobs = [
        Job(spec.name, ["one", spec.name, *_options(name, places)], partial(_fid, spec, places))
        for spec in specs
        if spec.trains
    ]
    # rows without training take seconds each: one process a task, before the runs
    tasks = dict.fromkeys(spec.task for spec in specs if not spec.trains)
    for task in tasks:
        names = [spec.name for spec in specs if spec.task == task and not spec.trains]
        jobs.insert(0, Job(f"{task} references", ["one", *names, *_options(name, places)]))
    return _report(jobs, workers, places)


def _report(jobs: list[Job], workers: int, places: Places) -> int:
    failures = run_jobs(jobs, workers, places.work / "logs")
    for failure in failures:
        print(f"failed: {failure.name}: {failure.reason} ({failure.log})")
    return int(bool(failures))


def _options(name: str, places: Places) -> list[str]:
    return [*places.arguments(), *([] if name == "core" else [f"--{name}"])]


def _fid(spec: Spec, places: Places) -> str:
    from .results import read_result

    value = read_result(spec, places).values[0, "fid"]
    return f"FID {value:.2f}"


def _whole(protocol: Protocol) -> Protocol:
    """The grid that has all rows of this one, and those beside it."""
    return PROTOCOLS["full"] if protocol is PROTOCOLS["core"] else protocol


def _one(protocol: Protocol, places: Places, names: list[str]) -> None:
    from .performing import is_done, perform, result_path
    from .tuning import read_rates, tuning_specs

    protocol = _whole(protocol)
    known = {spec.name: spec for spec in [*protocol.specs(read_rates(places)), *tuning_specs(protocol)]}
    for name in _known(names, known, "row"):
        if is_done(known[name], protocol, places):
            print(f"{name} is there: delete {result_path(known[name], places)} to carry it out again")
            continue
        for source in known[name].sources:
            if not (is_made(source, protocol.recipes[source], places.cache) or _take(source, protocol, places)):
                raise MineganError(f"{name} needs the source {source}: `source {source}` trains it")
        perform(known[name], protocol, places)


def _show(protocol: Protocol, places: Places) -> None:
    from .bars import check_bars
    from .page import write_page
    from .results import read_results
    from .tuning import read_rates

    rates = read_rates(places)
    # what there is of the full grid is shown beside the core
    shown = _whole(protocol)
    results = read_results(shown, places, rates)
    bars = check_bars(results)
    for bar in bars:
        if bar.reached is not None:
            print(bar)
    print(f"{sum(bar.holds is True for bar in bars)} of {len(bars)} bars are reached")
    if waiting := sum(bar.reached is None for bar in bars):
        why = "rows of theirs are not there, or what they are measured by is zero or less"
        print(f"{waiting} of {len(bars)} bars have no number: {why}")
    print(f"the page: {write_page(results, protocol, places, rates)}")


def _show_papers(names: Sequence[str], folder: Path) -> None:
    from .literature import comparison, setting, settings

    for each in list(map(setting, names)) if names else settings():
        print(f"\n{each.title}: minegan-zoo mine --config {each.run} --out RUN")
        print("".join(f"  needs {need['place']}: {need['origin']}\n" for need in [*each.weights, *each.data]), end="")
        print(f"  {each.note}")
        for method, metric, published, ours, source in comparison(each, folder):
            numbers = ["–" if value is None else f"{value:g}" for value in (published, ours)]
            print(f"  {method:20} {metric:12} published {numbers[0]:>7}  ours {numbers[1]:>7}  {source}")


if __name__ == "__main__":
    main()
