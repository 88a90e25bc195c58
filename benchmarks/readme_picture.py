"""Compose the README's picture from a finished demo: python benchmarks/readme_picture.py runs/demo docs/demo.png"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

GAP, SCALE = 8, 2


def main(run: Path, out: Path) -> None:
    """Target, every source before mining, after mining, after finetuning, side by side."""
    samples = run / "samples"
    ends = [max(samples.glob(f"*-{stage}.png")) for stage in ("mine", "finetune")]
    grids: list[Image.Image] = []
    for path in (samples / "00000000-target.png", *sorted(samples.glob("*before*")), *ends):
        picture = Image.open(path)
        grids.append(picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST))
    columns = 3
    width, height = grids[0].size
    rows = -(-len(grids) // columns)
    page = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for index, grid in enumerate(grids):
        page.paste(grid, (index % columns * (width + GAP), index // columns * (height + GAP)))
    out.parent.mkdir(parents=True, exist_ok=True)
    page.convert("L").save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
