"""The results as docs/benchmarks.md: `python -m throughput.report`. `--check` fails where the page is out of date."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from throughput.bars import BARS, GPU_BARS, Bar
from throughput.results import FOLDER, Group, Record, read

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
GROUPS = {path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")}
INTRODUCTION = """\
# Benchmarks

How fast the library is, against bars and against what one would use instead. `make bench` measures all of it again
(over an hour on two quiet cores), `make bench GROUP=peers` one group, `make bench QUICK=1` only whether it runs
(small sizes, nothing compiled); then this page is written from `benchmarks/results/throughput/*.json`
(`make bench-report`), and `make bench-compare BASE=main` says which ratios became worse than at a commit.

Rivals take turns in one process (or, for start-up, processes take turns), and what counts is the median over rounds of
their ratio in the same round; in brackets are the quartiles, and beside them the same ratio of processor time, which
other load on the machine disturbs less. "x" is a ratio of times or, where memory is named, of memory: of the rival's
over ours among the peers, the naive steps and the kinds of sampling (more is better), of ours over the named base
everywhere else (less is better). Rates and seconds describe one machine and are not compared. Every line says at which
commit and on how many threads it was measured ("+": with changes that were not committed). "Within the spread" means
that the quartiles hold the bar.
"""
PEERS = """\
The rivals come from the package index (`benchmarks/throughput/peers.txt`), with the same weights: every comparison
asserts equal images first. `pytorch-pretrained-biggan` writes its files and our loader reads them. `stylegan2-torch`
makes grey images, and its filter exists as a CUDA kernel only: on a CPU torch's depthwise convolution stands in for it.
`pro-gan-pth` lacks a pixel norm of the paper's, which is added, and it blends in the next smaller image at every size.
A network's share of its products alone is the time of its convolutions and matrix products, run one after another on
prepared inputs, over the time of the whole: what is left of 1 is all that better code around them could still gain.
"""
STEPS = """\
The naive step (`benchmarks/throughput/naive.py`) keeps gradients through the generators' weights and through every
source, in the critic's step too; it has the same loss, networks, batch and optimizers, and its miners' gradients are
asserted to be the library's. (Without the generators' gradients in its critic's step it is 1.16 to 1.20 times as fast.)
It draws and scores anew for the miners; ours learn on the noise, and by the scores, of the critic's batch. That is
neutral in quality: on validation images of two targets of three sources each, two seeds (`minegan-noft`, `max`, 200
updates, measured once as rows of the quality benchmark are), the means of FID, KID, precision and recall were 15.2,
2.01, 0.52, 0.25 with reuse and 15.6, 2.06, 0.52, 0.27 without. Families: batch 8, usual widths, random weights;
StyleGAN3, half a minute a step on two cores, on a GPU only.
"""
NOTES = {
    "peers": PEERS,
    "sampling": (
        "Usual widths, random weights, batch 8, in one process; ratios are to float32 run eagerly. Without a GPU "
        "nothing is compiled above 128, and StyleGAN3 runs in float32 only.\n"
    ),
    "steps": STEPS,
    "sources": (
        "Time: copies of the bundled StyleGAN2, 32x32, batch 32, its own critic. Memory: copies of a ProGAN without "
        "minibatch statistics, batch 16. Both over those of a step with one source.\n"
    ),
    "training": (
        "Within the updates against the same arithmetic written out, step by step in turn; around them by the run's "
        "clock. Pictures and the watch, which look at the model, are a line of their own.\n"
    ),
    "startup": "Processes in turn, each against a hello-world of typer and rich in the same round.\n",
    "checkpoints": "Against the bare tensors through safetensors, or in units of a training step.\n",
    "evaluation": "Bundled extractor, images of 32x32.\n",
}


def page(groups: Mapping[str, Group]) -> str:
    """The whole page."""
    missing = [f"The group {name} was not measured yet.\n" for name in sorted(GROUPS - groups.keys())]
    lines = (line for group in groups.values() for line in _group(group))
    return "\n".join([INTRODUCTION, *_bars(groups), *lines, *missing]) + "\n"


def _bars(groups: Mapping[str, Group]) -> Iterator[str]:
    yield "## Bars\n\n| what | bar | measured | by processor time | |\n|---|---|---|---|---|"
    for bar in BARS:
        record = bar.found(groups)
        if record is None:
            yield f"| {bar.text} | {bar.bound} | not measured | | |"
        else:
            cpu = "" if record.cpu is None else f"{record.cpu:.3g}"
            yield f"| {bar.text} | {bar.bound} | {_value(record)} | {cpu} | {_verdict(bar, record)} |"
    for text, bound in GPU_BARS:
        yield f"| {text} | {bound} | not measured | | |"
    yield ""


def _verdict(bar: Bar, record: Record) -> str:
    verdict = "met" if bar.met(record.value) else "**missed**"
    sides = {bar.met(bound) for bound in (record.low, record.high) if bound is not None}
    return f"{verdict}, within the spread" if len(sides) > 1 else verdict


def _group(group: Group) -> Iterator[str]:
    here = group.machine
    yield f"## {group.name.capitalize()}\n"
    yield NOTES.get(group.name, "")
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    yield f"{here['cpu']}, {here['cores']} cores; {here['gpu'] or 'no GPU'}; {here['system']}; {versions}.\n"
    yield "| case | value | by processor time | commit, threads | note |\n|---|---|---|---|---|"
    for record in group.records:
        cpu = "" if record.cpu is None else f"{record.cpu:.3g}"
        measured_at = f"{record.commit}, {record.threads}"
        yield f"| {record.case} | {_value(record)} {record.unit} | {cpu} | {measured_at} | {record.note} |"
    yield ""


def _value(record: Record) -> str:
    spread = "" if record.low is None or record.high is None else f" [{record.low:.2f}, {record.high:.2f}]"
    return (f"{record.value:.3g}" if abs(record.value) < 100 else f"{record.value:.0f}") + spread


def main() -> None:
    """Write the page, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    text = page(read(arguments.results))
    if not arguments.check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, "utf-8")
        print(f"wrote {PAGE}")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        raise SystemExit(f"{PAGE} is out of date: run make bench-report")


if __name__ == "__main__":
    main()
