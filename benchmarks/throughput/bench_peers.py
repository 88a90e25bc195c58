"""Side by side with what a user would pick instead: same weights, batch and threads, float32, eager."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from throughput import peers
from throughput.peers import Sampler
from throughput.results import Keep, Record, record_of
from throughput.timing import Measure, ratio

CASES = [
    ("stylegan2-torch", 256),
    ("pro-gan-pth", 256),
    ("pytorch-pretrained-biggan", 128),
    ("pytorch-pretrained-biggan", 256),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sampler, Sampler]]:
    """(name, our sampler, the peer's)."""
    distribution, resolution = request.param
    if not (peers.FOLDER.is_dir() and any(peers.FOLDER.iterdir())):
        pytest.skip(f"no peers in {peers.FOLDER}: run make peers")
    resolution = 32 if request.config.getoption("--quick") and "biggan" not in distribution else resolution
    source, peer = peers.PEERS[distribution][1](resolution)
    classes = source.class_codes(torch.zeros(1, dtype=torch.int64)).detach() if source.num_classes else None

    def ours(z: Tensor) -> Tensor:
        return source.synthesize({"z": z} if classes is None else {"z": z, "class": classes.expand(len(z), -1)})

    yield f"{distribution} {resolution}", ours, peer
    gc.collect()


@pytest.mark.parametrize("batch", [1, 8])
@torch.no_grad()
def bench_sampling(pair: tuple[str, Sampler, Sampler], batch: int, measure: Measure, keep: Keep) -> None:
    name, ours, peer = pair
    width = 128 if "biggan" in name else 512
    z = torch.randn(batch, width, generator=torch.Generator().manual_seed(0))
    own, other = ours(z), peer(z)
    error = float((own - other).abs().max() / other.abs().max())
    assert error <= 1e-4
    times = measure({"ours": lambda: ours(z), "peer": lambda: peer(z)}, rounds=5 if batch == 8 else 11, warmup=0)
    keep(record_of(f"{name}, batch {batch}", ratio(times["peer"], times["ours"])))
    keep(Record(f"{name}, batch {batch}, images/s", batch / times["ours"].seconds, "images/s"))
    keep(Record(f"{name}, batch {batch}, difference", error, "relative"))


@torch.no_grad()
def bench_ceiling(pair: tuple[str, Sampler, Sampler], measure: Measure, keep: Keep) -> None:
    """Our images/s over those of a network that only multiplies: the same convolutions and matrix products alone."""
    name, ours, _ = pair
    z = torch.randn(8, 128 if "biggan" in name else 512, generator=torch.Generator().manual_seed(0))
    calls = _products(lambda: ours(z))

    def products() -> None:
        for call in calls:
            call()

    times = measure({"ours": lambda: ours(z), "products": products}, rounds=3)
    keep(record_of(f"{name}, share of its products alone", ratio(times["products"], times["ours"]), "share"))


def _products(forward: Callable[[], Tensor]) -> list[Callable[[], Tensor]]:
    """Every convolution and matrix product of a forward pass, to be run again on inputs of the same sizes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    calls: list[Callable[[], Tensor]] = []

    class Recording(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            name = func.overloadpacket.__name__
            if name in ("convolution", "addmm", "mm", "bmm"):
                held = [torch.zeros_like(a) if isinstance(a, Tensor) else a for a in args]
                calls.append(lambda: func(*held, **(kwargs or {})))
            return func(*args, **(kwargs or {}))

    with Recording():
        forward()
    return calls
