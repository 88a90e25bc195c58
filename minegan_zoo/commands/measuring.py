"""The command that measures: evaluate."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from minegan_zoo.commands.console import say, table
from minegan_zoo.commands.listing import Json
from minegan_zoo.commands.training import Device


def evaluate(
    model: Annotated[str, typer.Argument(help="A run or model folder, or NAME or NAME=WEIGHTS of a source.")],
    images: Annotated[str, typer.Option(help="Folder, archive or torchvision:NAME of real images, not trained on.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="fid, kid, kmmd_rbf_median, precision, recall, density, coverage, mean_variance, inception_score, "
            "class_accuracy, memorisation, authenticity, intra_cluster_distance, intra_lpips; may be repeated."
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="inception-v3-compat, timm:MODEL, timm-random:MODEL, pixels, ...; the bundled one, which sees grey "
            "32x32 images, unless named."
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("-n", "--samples", min=2, help="By default as many as real images, at least 1000.")
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            help="The training images: metrics of copies need them, and real images among them are refused. Of a "
            "run's, those that it was trained on count."
        ),
    ] = None,
    allow_training: Annotated[
        bool, typer.Option("--allow-training", help="Measure on training images all the same, as fid_train and so on.")
    ] = False,
    class_: Annotated[
        list[str] | None, typer.Option("--class", help="The target's, for class_accuracy; may be repeated.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Which weights these are, for the records.")] = "",
    seed: Annotated[int, typer.Option(help="Of the samples and of the metrics' subsets.")] = 0,
    device: Device = None,
    json_: Json = False,
) -> None:
    """Measure a mined model or a source against real images; --json prints the whole records."""
    from minegan_zoo.api import evaluate as measure
    from minegan_zoo.records import notes
    from minegan_zoo.sampling import open_model

    found = measure(
        open_model(model, device, seed),
        images,
        metrics=tuple(metric or ("fid", "kid")),
        extractor=extractor,
        samples=samples,
        seed=seed,
        training=training,
        allow_training=allow_training,
        classes=tuple(class_ or ()),
        checkpoint=checkpoint,
        device=device,
    )
    if json_:
        print(json.dumps({name: record.as_dict() for name, record in found.items()}, indent=2))
        return
    rows = [
        [name, f"{each.value:.6g}", "" if each.std is None else f"± {each.std:.2g}", each.tool, each.extractor]
        for name, each in found.items()
    ]
    table(["metric", "value", "", "tool", "extractor"], rows)
    one = next(iter(found.values()))
    trained = "whether training saw them was not checked"
    if one.trained_on is not None:
        trained = f"{one.trained_on} trained on, pixel for pixel"
    say(f"{one.fake_count} samples, {one.real_count} real images of {one.real_name}: {trained}")
    for note in notes(found):
        say(note)
