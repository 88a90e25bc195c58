"""Train the bundled feature extractor on Fashion-MNIST and MNIST together: 20 classes, 32x32, one CPU thread.

    OMP_NUM_THREADS=1 python benchmarks/train_extractor.py --data-root DIR --out fashion-mnist-32.safetensors

DIR is laid out as torchvision lays it out. Prints test accuracy of what was written and the file's sha256: 0.922 on
Fashion-MNIST and 0.995 on MNIST for the bundled file. About ten CPU minutes; other kinds of CPU round
bfloat16 differently, so the sha256 repeats on the same kind only.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from minegan_zoo.contracts import ImageSpec
from minegan_zoo.data import load_images
from minegan_zoo.extractors import SmallFeatures
from minegan_zoo.pixels import to_float

SEED = 0
BATCH = 128
DATASETS = ("FashionMNIST", "MNIST")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    train = [read(arguments.data_root, name, "train") for name in DATASETS]
    images = torch.cat([pixels for pixels, _ in train])
    labels = torch.cat([classes + 10 * i for i, (_, classes) in enumerate(train)])

    network = SmallFeatures()
    fit(network, images, labels, arguments.epochs, arguments.learning_rate)

    tensors = {name: t.half() if t.is_floating_point() else t for name, t in network.state_dict().items()}
    save_file({name: t.contiguous() for name, t in tensors.items()}, arguments.out)
    stored = load_file(arguments.out)
    network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in stored.items()})
    for i, name in enumerate(DATASETS):
        pixels, classes = read(arguments.data_root, name, "test")
        print(f"{name}: test accuracy {accuracy(network, pixels, classes + 10 * i):.4f}")
    print(f"sha256 {hashlib.sha256(arguments.out.read_bytes()).hexdigest()}")


def read(root: str, name: str, split: str) -> tuple[Tensor, Tensor]:
    found = load_images(f"torchvision:{name}?root={root}&split={split}", ImageSpec(1, 32), labels=True)
    assert found.labels is not None
    return found.images, found.labels


def fit(network: SmallFeatures, images: Tensor, labels: Tensor, epochs: int, learning_rate: float) -> None:
    """Cross-entropy; shifts of up to two pixels, and mirrored garments (a mirrored digit is no digit)."""
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=0.02)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.2)
    network.train().to(memory_format=torch.channels_last)
    begun = time.monotonic()
    for epoch in range(epochs):
        for step, chosen in enumerate(torch.randperm(len(images)).split(BATCH)):
            if len(chosen) < BATCH:
                continue
            inputs = augmented(to_float(images[chosen]), labels[chosen] < 10).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                scores = network.logits(inputs)
            loss = F.cross_entropy(scores.float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                print(f"epoch {epoch} step {step} loss {loss.item():.3f} {time.monotonic() - begun:.0f} s", flush=True)


def augmented(images: Tensor, mirrored: Tensor) -> Tensor:
    """One shift a batch, one coin an image."""
    down, right = torch.randint(-2, 3, (2,)).tolist()
    shifted = F.pad(images, (2, 2, 2, 2), value=-1.0)[:, :, 2 + down : 34 + down, 2 + right : 34 + right]
    flips = mirrored & (torch.rand(len(images)) < 0.5)
    return torch.where(flips[:, None, None, None], shifted.flip(3), shifted)


@torch.no_grad()
def accuracy(network: SmallFeatures, images: Tensor, labels: Tensor) -> float:
    network.eval()
    right = [
        (network.logits(to_float(x)).argmax(1) == y) for x, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return torch.cat(right).float().mean().item()


if __name__ == "__main__":
    main()
