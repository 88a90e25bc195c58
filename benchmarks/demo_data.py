"""Make the demo's images: 100 target PNG files from Fashion-MNIST's training split, and its test split's 1000 for FID.

python benchmarks/demo_data.py --data-root DIR    # DIR as torchvision's FashionMNIST(DIR) has it
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.datasets import FashionMNIST

ANKLE_BOOT = 9
DEMO = Path(__file__).parent.parent / "minegan_zoo" / "data" / "demo"


def main() -> None:
    """Choose the images by a fixed seed and write them into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    arguments = parser.parse_args()

    train = FashionMNIST(arguments.data_root, train=True)
    rows = (train.targets == ANKLE_BOOT).nonzero()[:, 0]
    chosen = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:100]].sort().values
    (DEMO / "target").mkdir(parents=True, exist_ok=True)
    for row in chosen.tolist():
        train[row][0].save(DEMO / "target" / f"{row:05d}.png", optimize=True)

    test = FashionMNIST(arguments.data_root, train=False)
    images = test.data[test.targets == ANKLE_BOOT][:, None].contiguous()
    save_file({"images": images}, DEMO / "test.safetensors")


if __name__ == "__main__":
    main()
