"""Several processes on one run: who does which rows, sums over all, and one clear error when another has ended.

Models are not wrapped: which source wins depends on the data, so processes differ in which parameters get a gradient.
Gradients are therefore summed over the stage's whole groups, zero-filled. Each loss is divided by the batch of all
processes, so the sum over them is the gradient of one process with the whole batch. Imports contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError


class Processes:
    """The processes of a run, as accelerate started them; with one, everything here does nothing."""

    def __init__(self, *, cpu: bool, precision: str) -> None:
        AcceleratorState._reset_state(reset_partial_state=False)  # an earlier run of this process may differ
        try:
            self.accelerator = Accelerator(cpu=cpu, mixed_precision=precision)
        except ValueError as error:
            raise MineganError(f"this machine cannot run with training.precision={precision!r}: {error}") from error
        self.rank: int = self.accelerator.process_index
        self.count: int = self.accelerator.num_processes

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[Any]:
        """Forward passes in the run's precision."""
        context: AbstractContextManager[Any] = self.accelerator.autocast()
        return context

    def pieces(self, n: int, most: int | None) -> list[Tensor]:
        """This process's rows of a batch of n, in pieces of at most `most`."""
        mine = torch.arange(n).tensor_split(self.count)[self.rank]
        return list(mine.split(most)) if most else [mine]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes; a parameter without one anywhere keeps none."""
        if self.count == 1:
            return
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        flat = torch.cat([has, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters)])
        with self.together():
            dist.all_reduce(flat)
        has, *grads = flat.split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, grad, someone in zip(parameters, grads, has.tolist(), strict=True):
            parameter.grad = grad.view_as(parameter).clone() if someone else None

    def sum(self, values: Tensor) -> Tensor:
        """Over all processes."""
        if self.count > 1:
            with self.together():
                dist.all_reduce(values)
        return values

    def maximum(self, values: Tensor) -> Tensor:
        """Over all processes, elementwise."""
        if self.count > 1:
            with self.together():
                dist.all_reduce(values, dist.ReduceOp.MAX)
        return values

    def align(self, modules: Sequence[nn.Module]) -> None:
        """Give every process the main one's tensors: what was drawn at random before is then the same for all."""
        if self.count > 1:
            with self.together(), torch.no_grad():
                for module in modules:
                    for tensor in (*module.parameters(), *module.buffers()):
                        dist.broadcast(tensor.data, 0)

    def scatter_random(self, seed: int) -> None:
        """From here on the global random numbers, which augmentations draw, differ between processes."""
        if self.rank:
            torch.manual_seed(seed + self.rank)

    def agree(self, measure: Callable[[], Any]) -> Any:
        """What the main process measures, known to all; the others wait."""
        found = [measure() if self.is_main else None]
        if self.count > 1:
            with self.together():
                dist.broadcast_object_list(found, 0)
        return found[0]

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes give."""
        return number if self.count == 1 else int(self.maximum(torch.tensor(number, device=self.device)))

    def wait(self) -> None:
        """For all to come here."""
        with self.together():
            self.accelerator.wait_for_everyone()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within, a process that is gone is an error that says what to do."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1:
                raise
            what = str(error).splitlines()[0].partition(". ")[0]
            raise MineganError(
                f"another process of this run has ended (process {self.rank} of {self.count} waited for it: {what}). "
                "Start the same command again: it goes on from the last saved state."
            ) from error
