"""What the numbers should be: each bar is a case of a group and a bound. Imports results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from throughput.results import Group, Record


@dataclass(frozen=True)
class Bar:
    """`case` of `group` is to be at least `least` or at most `most`."""

    text: str
    group: str
    case: str
    least: float | None = None
    most: float | None = None

    def found(self, groups: Mapping[str, Group]) -> Record | None:
        group = groups.get(self.group)
        return group.value(self.case) if group else None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def bound(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


PEERS = {
    "stylegan2-torch 256": 1.5,
    "pro-gan-pth 256": 1.25,
    "pytorch-pretrained-biggan 128": 1.25,
    "pytorch-pretrained-biggan 256": 1.25,
}
COUNTS = (2, 4, 8, 16)

BARS = (
    *(Bar(f"images/s over {peer}, batch 8", "peers", f"{peer}, batch 8", least=bar) for peer, bar in PEERS.items()),
    *(Bar(f"images/s over {peer}, batch 1", "peers", f"{peer}, batch 1", least=1.0) for peer in PEERS),
    *(Bar(f"{peer}: largest difference", "peers", f"{peer}, batch 8, difference", most=1e-4) for peer in PEERS),
    *(
        Bar(f"mining step, 4 sources {size}, naive / ours", "steps", f"4 sources {size}, naive / ours", least=2.0)
        for size in ("32x32", "64x64")
    ),
    Bar("its peak memory, ours / naive", "steps", "4 sources, memory, ours / naive", most=0.6),
    *(
        Bar(f"step, max, {n} sources / 1", "sources", f"max, {n} sources", most=1 + 0.5 * (n - 1))
        for n in COUNTS
    ),
    Bar("step, candidates, 8 sources / 1", "sources", "candidates, 8 sources", most=2.2),
    Bar("step, candidates, 16 sources / 1", "sources", "candidates, 16 sources", most=2.4),
    Bar("step, mixture, 16 sources / 1", "sources", "mixture, 16 sources", most=1.3),
    *(
        Bar(f"peak memory, {name}, 8 sources / 1", "sources", f"{name}, 8 sources, memory", most=1.3)
        for name in ("max", "candidates", "mixture")
    ),
    Bar("trainer's overhead at 32x32 without pictures and watch, %", "training", "32x32, overhead", most=5.0),
    Bar("trainer's overhead at 256x256 without pictures and watch, %", "training", "256x256, overhead", most=1.0),
    *(
        Bar(f"minegan-zoo {command} / hello-world", "startup", command, most=3.0)
        for command in ("--help, 0 more plugins", "--help, 100 more plugins", "list, 100 more plugins")
    ),
    *(
        Bar(f"{command}: heavy imports", "startup", f"{command}, heavy imports", most=0)
        for command in ("--help, 100 more plugins", "list, 100 more plugins")
    ),
)  # fmt: skip
GPU_BARS = (
    ("StyleGAN2 256, batch 16, mining: images/s over the published 80 (stylegan3's README, one A100)", "≥ 4"),
    ("the same, finetuning", "≥ 2"),
    ("bf16 and compiled over our float32 eager", "≥ 2"),
    ("load of the GPU while mining, %", "≥ 90"),
)
"""What is asked of a GPU, and how much: nothing measures it yet."""
