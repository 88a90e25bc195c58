"""Tiny checkpoint files of every format that `read_checkpoint` reads, with random weights. For tests and fuzzing.

The classes that NVIDIA's and rosinality's files name are stood in for by modules made up while the file is written.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SOURCE = "raise SystemExit('the source code of a persistent object was run')"


def write_all(folder: Path) -> dict[str, Path]:
    """One file a format, by format name."""
    writers = {
        "safetensors": _safetensors,
        "zip": _zip,
        "legacy": _legacy,
        "module": _module,
        "nvidia": _nvidia,
    }
    files = {}
    for name, write in writers.items():
        files[name] = folder / f"{name}.{'safetensors' if name == 'safetensors' else 'pt'}"
        write(files[name])
    return files


def write_network(folder: Path, tensors: Mapping[str, Tensor]) -> dict[str, Path]:
    """One network of these tensors, alone in a file of each format."""
    whole, persistent = nn.Module(), Persistent("Generator")
    for name, tensor in tensors.items():
        whole.register_parameter(name, nn.Parameter(tensor))
        persistent.register_parameter(name, nn.Parameter(tensor))
    files = {name: folder / f"{name}.pt" for name in ("safetensors", "zip", "legacy", "module", "nvidia")}
    save_file(dict(tensors), files["safetensors"])
    torch.save(dict(tensors), files["zip"])
    torch.save(dict(tensors), files["legacy"], _use_new_zipfile_serialization=False)
    torch.save(whole, files["module"], _use_new_zipfile_serialization=False)
    write_nvidia(files["nvidia"], {"G_ema": persistent})
    return files


def state_dict() -> dict[str, Tensor]:
    """Every dtype, an empty tensor, a scalar, and views that share a storage."""
    torch.manual_seed(0)
    shared = torch.randn(4, 6)
    return {
        "conv.weight": torch.randn(3, 2, 3, 3),
        "shared": shared,
        "row": shared[1],
        "transposed": shared.t(),
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "double": torch.randn(2, 2).double(),
        "complex": torch.randn(3, dtype=torch.complex64),
        "steps": torch.tensor(12),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "short": torch.arange(3, dtype=torch.int16),
        "empty": torch.empty(0, 4),
    }


def training_snapshot() -> dict[str, Any]:
    """What training scripts save: networks, an optimiser, options, numbers."""
    net = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return {
        "g_ema": state_dict(),
        "g_optim": optimiser.state_dict(),
        "args": argparse.Namespace(size=32, path="données", lr=0.002, ckpt=None, betas=(0.0, 0.99)),
        "iter": 100,
        "fid": np.float64(12.5),
        "mean": np.arange(6, dtype=np.float32).reshape(2, 3),
        "parameter": nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "seeds": {1, 2, 3},
        "salt": b"salt" * 100,
        "big": 1 << 70,
    }


def _safetensors(path: Path) -> None:
    save_file({name: value.clone().contiguous() for name, value in state_dict().items()}, path)


def _zip(path: Path) -> None:
    torch.save(training_snapshot(), path)


def _legacy(path: Path) -> None:
    torch.save(training_snapshot(), path, _use_new_zipfile_serialization=False)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("blur", torch.ones(3, 3), persistent=False)
        self.register_parameter("nothing", None)


class Generator(nn.Sequential):
    """Two blocks, as rosinality's ProGAN files pickle it whole."""

    def __init__(self) -> None:
        super().__init__(_Block(), nn.LeakyReLU(0.2), _Block())
        self.weight = torch.ones(3)


def _module(path: Path) -> None:
    with made_up({"model": {"Generator": Generator, "Block": _Block}}):
        torch.save(Generator(), path, _use_new_zipfile_serialization=False)


class EasyDict(dict[str, Any]):
    """Stands in for dnnlib's."""


class Persistent(nn.Module):
    """Stands in for an NVIDIA network: pickled as a call with its source code, class name and state."""

    def __init__(self, class_name: str, attributes: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.class_name = class_name
        self.__dict__.update(attributes or {})

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": self.__dict__,
        }
        return _reconstruct_persistent_obj, (EasyDict(meta),)


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise SystemExit("a persistent object was reconstructed")


def write_nvidia(path: Path, networks: Mapping[str, Persistent]) -> None:
    """A training snapshot of these networks."""
    snapshot = {**networks, "augment_pipe": None, "training_set_kwargs": EasyDict(path="x")}
    with made_up(NVIDIA), path.open("wb") as file:
        pickle.dump(snapshot, file, protocol=3)


def _nvidia(path: Path) -> None:
    attributes = {
        "_init_kwargs": EasyDict(z_dim=4, channels=EasyDict(base=8)),
        "attributes": {"gain": np.float32(0.5), "cutoffs": np.linspace(1, 2, 3), "blocks": {"b4", "b8"}},
    }

    def module(name: str) -> Persistent:
        made = Persistent(name, attributes)
        made.weight = nn.Parameter(torch.randn(3, 4))
        made.register_buffer("w_avg", torch.randn(5))
        return made

    def network(name: str) -> Persistent:
        made = module(name)
        made.mapping, made.synthesis = module("MappingNetwork"), module("Synthesis")
        return made

    write_nvidia(path, {name: network("Discriminator" if name == "D" else "Generator") for name in ("G", "D", "G_ema")})


NVIDIA: dict[str, dict[str, Any]] = {
    "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
    "dnnlib.util": {"EasyDict": EasyDict},
}


@contextmanager
def made_up(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Let our classes pass for members of modules that are not installed."""
    homes = {}
    for module_name, members in modules.items():
        package = module_name.partition(".")[0]
        for name in {package, module_name}:
            sys.modules[name] = types.ModuleType(name)
        for name, member in members.items():
            homes[member] = (member.__module__, member.__name__, member.__qualname__)
            setattr(sys.modules[module_name], name, member)
            member.__module__, member.__name__, member.__qualname__ = module_name, name, name
    try:
        yield
    finally:
        for member, home in homes.items():
            member.__module__, member.__name__, member.__qualname__ = home
        for module_name in modules:
            sys.modules.pop(module_name.partition(".")[0], None)
            sys.modules.pop(module_name, None)
