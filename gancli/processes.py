"""Several processes that run one command together, and their communication.

Each is started by ``torchrun`` (or by ``gancli train --processes``, which does the same), finds the others by the
environment variables that it sets, and runs the same program on a share of every batch. They exchange tensors and
JSON, no pickled objects.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gancli.errors import GancliError

if TYPE_CHECKING:
    from torch import Tensor

Piece = TypeVar("Piece")

TIMEOUT = timedelta(hours=2)
"""How long a process may be busy, as with an evaluation, before it counts as lost. One that dies is noticed at once."""


@dataclass(frozen=True)
class World:
    """The processes of this command.

    Attributes:
        rank: the number of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and messages."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's rows of so many, which are a multiple of the number of processes."""
        part = rows // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def barrier(self) -> None:
        """Return once all processes have called this."""
        self.maximum([0.0])

    def maximum(self, values: Sequence[float]) -> list[float]:
        """The largest of all processes' values, elementwise."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        largest = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
        return largest.tolist()

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, without a gradient."""
        if self.size == 1:
            return values
        from torch import distributed

        total = values.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def together(self, rows: Tensor) -> Tensor:
        """The rows (N, …) of all processes in the order of their ranks, (size * N, …), without a gradient."""
        if self.size == 1:
            return rows
        import torch

        return torch.cat(self.of_all(rows.detach()))

    def of_all(self, mine: Tensor) -> list[Tensor]:
        """The tensors of all processes, of one shape, in the order of their ranks."""
        import torch
        from torch import distributed

        mine = mine.contiguous()
        found = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(found, mine)
        return found

    def of_all_lengths(self, mine: Tensor) -> list[Tensor]:
        """The tensors (N, …) of all processes on the CPU, of one type and any lengths N, ordered by rank."""
        import torch

        mine = mine.detach().cpu()
        lengths = [int(length) for length in self.of_all(torch.tensor(len(mine)))]
        padded = torch.cat([mine, mine.new_zeros(max(lengths) - len(mine), *mine.shape[1:])])
        return [rows[:length] for rows, length in zip(self.of_all(padded), lengths, strict=True)]

    def broadcast(self, document: Any) -> Any:
        """The first process's JSON document, in every process."""
        if self.size == 1:
            return document
        import torch
        from torch import distributed

        text = json.dumps(document).encode() if self.first else b""
        length = torch.tensor([len(text)])
        distributed.broadcast(length, 0)
        data = torch.empty(int(length), dtype=torch.uint8)
        if self.first:
            data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        distributed.broadcast(data, 0)
        return json.loads(bytes(data.tolist()))


ALONE = World()
_CURRENT: ContextVar[World] = ContextVar("world", default=ALONE)


@contextmanager
def distributing(world: World) -> Generator[None]:
    """Have :func:`distribute` use the processes of a world, all of which must then call it alike."""
    before = _CURRENT.set(world)
    try:
        yield
    finally:
        _CURRENT.reset(before)


@contextmanager
def first_alone(world: World) -> Generator[None]:
    """The first process runs the block before the others, which find what it has prepared."""
    if not world.first:
        world.barrier()
    yield
    if world.first:
        world.barrier()


def distribute(pieces: Iterable[Piece], work: Callable[[Piece], Tensor]) -> Iterator[Tensor]:
    """The results of a function for each piece, in order, in every process; each process computes a part of them.

    The pieces are the same for any number of processes, so that results do not depend on it.
    """
    world = _CURRENT.get()
    if world.size == 1:
        yield from map(work, pieces)
        return
    remaining = iter(pieces)
    while group := list(islice(remaining, world.size)):
        # A process without a piece sends no rows, of the shape that the others expect.
        mine = work(group[world.rank]) if world.rank < len(group) else work(group[0])[:0]
        yield from world.of_all_lengths(mine)[: len(group)]


def rank() -> int | None:
    """The number of this process as ``torchrun`` set it; None for a single one."""
    return int(os.environ["RANK"]) if "RANK" in os.environ else None


def join() -> World:
    """Connect to the other processes, if ``torchrun`` started any; the same world when called again."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        # Decisions are exchanged on the CPU, without waiting for a GPU; gradients stay on their device.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=TIMEOUT)
        # A kernel with one channel has two names for one memory layout.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return World(distributed.get_rank(), distributed.get_world_size())


def leave(*, well: bool = True) -> None:
    """Disconnect from the other processes, if there are any.

    Args:
        well: the command succeeded, so the others come here too and are waited for: a process that disconnects while
            others still communicate would be taken for dead.
    """
    if rank() is None or "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        with suppress(RuntimeError):
            if well:
                join().barrier()
            distributed.destroy_process_group()


def end(code: int) -> NoReturn:
    """Exit; one of several processes without Python's clean-up, during which PyTorch's threads may abort."""
    if rank() is None:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


ENDED = "GANCLI_ENDED"
"""Environment variable: a file for the exit code of a command that failed in one of its processes for good."""

_SETTINGS = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "100"}
"""Of PyTorch's launcher. Restarted processes use a new store, since the old one has the addresses of dead processes;
and a process that is asked to stop has so many seconds to end the round and to save."""


def launch(count: int, arguments: list[str], restarts: int = 3) -> int:
    """Run a command in several processes on this machine, as ``torchrun`` does; its exit code.

    When a process dies, all are started again, at most so many times; an error of the command itself is final.
    """
    import logging
    import secrets
    from tempfile import TemporaryDirectory

    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.ERROR)
    threads = max(1, (os.cpu_count() or 1) // count)
    with TemporaryDirectory(prefix="gancli-") as folder:
        ended = Path(folder) / "code"
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        os.environ.update(_SETTINGS, **{ENDED: str(ended)})
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=secrets.token_hex(8),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=restarts,
            monitor_interval=0.2,
        )
        try:
            elastic_launch(config, sys.executable)("-m", "gancli", *arguments)
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            raise GancliError(
                f"process {number} ended with exit code {failure.exitcode}, {restarts + 1} times",
                "its messages stand above; `processes=1` runs the same in one process",
            ) from None
        except SignalException as error:
            return 128 + int(error.sigval)
        finally:
            del os.environ[ENDED]
        return int(ended.read_text()) if ended.exists() else 0


def give_up(code: int, final: bool = True) -> tuple[int, bool]:
    """End this process's part in a command.

    Args:
        code: what the command would return if it ran in this process alone.
        final: whether starting it again would be of no use.

    Returns:
        What to return, which is 0 for the command not to be started again; and whether to print the error.
    """
    if ENDED not in os.environ or code == 0:
        return code, True
    path = Path(os.environ[ENDED])
    if final:
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(str(code))
            return 0, True
    ended = path.exists()  # another process printed its error, and this one may have failed because that one is gone
    return (0, False) if ended else (code, True)
