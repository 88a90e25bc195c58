"""What `read_checkpoint` costs, against torch or safetensors reading the same tensors from a plain file.

    python benchmarks/read_cost.py --mib 256

Every reader runs in a process of its own and then sums every tensor, so that what is merely mapped counts too. Prints a
JSON line a format: seconds of processor time, and the growth of the process divided by the size of the tensors.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from checkpoint_files import write_network

READ = r"""
import json, re, sys, time
from pathlib import Path
import torch
from safetensors.torch import load_file
from minegan_zoo.weights import Record, module_tensors, read_checkpoint
def tensors(tree):
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, Record):
        yield from module_tensors(tree).values()
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)
readers = {"ours": read_checkpoint, "torch": torch.load, "safetensors": load_file}
reader, path, warm_up = readers[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
sum(float(tensor.sum()) for tensor in tensors(reader(warm_up)))
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of importing
before, start = peak(), time.process_time()
tree = reader(path)
read = time.process_time() - start
total = sum(float(tensor.sum()) for tensor in tensors(tree))
print(json.dumps([total, read, time.process_time() - start, peak() - before]))
"""


def measure(reader: str, path: Path, warm_up: Path, repeats: int) -> tuple[float, ...]:
    """Checksum, seconds to read, seconds to read and sum, MiB: the fastest of several processes."""
    command = [sys.executable, "-c", READ, reader, str(path), str(warm_up)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeats)]
    return tuple(min(column) for column in zip(*runs, strict=True))


def main() -> None:
    """Write a network of the given size in every format, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sizes = {"large": max(1, options.mib * 2**20 // (4 * 512 * 512 * 9)), "small": 1}
        made = {}
        for size, layers in sizes.items():
            Path(name, size).mkdir()
            tensors = {f"conv{i}": torch.randn(512, 512, 3, 3) for i in range(layers)}
            made[size] = write_network(Path(name, size), tensors)
        large, small = made["large"], made["small"]
        mib = sizes["large"] * 4 * 512 * 512 * 9 / 2**20
        for kind in large:
            plain = kind if kind in ("safetensors", "zip") else "legacy"
            reader = "safetensors" if plain == "safetensors" else "torch"
            total, *theirs = measure(reader, large[plain], small[plain], options.repeats)
            same, *ours = measure("ours", large[kind], small[kind], options.repeats)
            assert same == total
            rows = {"ours": ours, "plain": theirs}
            costs = {who: {"read_s": row[0], "with_sum_s": row[1], "memory": row[2] / mib} for who, row in rows.items()}
            rounded = {who: {name: round(cost, 3) for name, cost in row.items()} for who, row in costs.items()}
            print(json.dumps({"format": kind, "mib": round(mib), **rounded}), flush=True)


if __name__ == "__main__":
    main()
