"""Several processes that work as one: who they are, and what they tell each other.

Each is started by ``torchrun`` (or by ``gancli train --processes``, which starts the same), finds the others by the
environment variables that it sets, and runs the same program on a share of every batch. What they say to each other
apart from tensors is JSON: objects of Python never travel.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gancli.errors import GancliError

if TYPE_CHECKING:
    from torch import Tensor

Piece = TypeVar("Piece")

PATIENCE = timedelta(hours=2)
"""How long the others may be busy, as with an evaluation, before they count as lost. A death is seen at once."""


@dataclass(frozen=True)
class World:
    """The processes of this training.

    Attributes:
        rank: the number of this one.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's rows of so many, a multiple of the number of processes."""
        part = rows // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            self.most([0.0])

    def most(self, values: Sequence[float]) -> list[float]:
        """The largest that any process says, place by place."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        heard = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(heard, op=distributed.ReduceOp.MAX)
        return heard.tolist()

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

    def exchange(self, mine: Tensor) -> list[Tensor]:
        """The tensors of all processes, in the order of their ranks, on the CPU: of one type, of any lengths (N, …)."""
        if self.size == 1:
            return [mine.detach().cpu()]
        import torch

        mine = mine.detach().cpu()
        lengths = [int(length) for length in self.of_all(torch.tensor(len(mine)))]
        padded = torch.cat([mine, mine.new_zeros(max(lengths) - len(mine), *mine.shape[1:])])
        return [rows[:length] for rows, length in zip(self.of_all(padded), lengths, strict=True)]

    def of_all(self, mine: Tensor) -> list[Tensor]:
        """The tensors of all processes, in the order of their ranks, which are of one shape."""
        import torch
        from torch import distributed

        mine = mine.contiguous()
        found = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(found, mine)
        return found

    def tell(self, document: Any) -> Any:
        """What the first process says, in every process: anything that JSON can say."""
        if self.size == 1:
            return document
        import torch
        from torch import distributed

        text = json.dumps(document).encode() if self.first else b""
        length = torch.tensor([len(text)])
        distributed.broadcast(length, 0)
        data = torch.zeros(int(length), dtype=torch.uint8)
        if self.first:
            data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        distributed.broadcast(data, 0)
        return json.loads(bytes(data.tolist()))


ALONE = World()
_CURRENT: ContextVar[World] = ContextVar("world", default=ALONE)


@contextmanager
def sharing(world: World) -> Generator[None]:
    """Have :func:`spread` deal out work to the processes of a world, all of which must then do the same."""
    before = _CURRENT.set(world)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def spread(pieces: Iterable[Piece], work: Callable[[Piece], Tensor]) -> Iterator[Tensor]:
    """What a work makes of each piece, in order, in every process, though each does only a part of it.

    Pieces stay as they are, so that what is made of them does not depend on the number of processes.
    """
    world = _CURRENT.get()
    if world.size == 1:
        yield from map(work, pieces)
        return
    remaining = iter(pieces)
    while group := list(islice(remaining, world.size)):
        # Who has nothing left to do shows the others nothing, in the shape that they expect.
        mine = work(group[world.rank]) if world.rank < len(group) else work(group[0])[:0]
        yield from world.exchange(mine)[: len(group)]


def rank() -> int | None:
    """The number of this process as ``torchrun`` set it; None for one that runs alone."""
    return int(os.environ["RANK"]) if "RANK" in os.environ else None


def join() -> World:
    """Meet the other processes, if ``torchrun`` started any; the same world when called again."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        # Decisions are made on the CPU, so that no device is waited for; gradients travel where they are.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
        # Of a kernel with one channel, whose two memory layouts are the same.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return World(distributed.get_rank(), distributed.get_world_size())


def leave(*, well: bool = True) -> None:
    """Say goodbye, if there is anybody to say it to.

    Args:
        well: all went well, so that the others come here too and are waited for: who hears nothing of them any more
            must not take their leaving for their death.
    """
    if rank() is None or "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        with suppress(RuntimeError):
            if well:
                join().wait()
            distributed.destroy_process_group()


def end(code: int) -> NoReturn:
    """Exit; one of several processes at once, since what PyTorch's threads do while Python is torn down may abort."""
    if rank() is None:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


ENDED = "GANCLI_ENDED"
"""Names a file for the exit code of a command that ended by itself in one of its processes, though not well."""

_SETTINGS = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "100"}
"""Of PyTorch's engine. Processes that start again meet in a new place: in the old one they would find the addresses of
the dead. And who is asked to stop has so many seconds to end the round and to save."""


def launch(count: int, arguments: list[str], restarts: int = 3) -> int:
    """Run a command in so many processes on this machine, as ``torchrun`` does; its exit code.

    A process that dies takes the others down, and all start again, at most so many times. What the command itself
    refuses is not tried again.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.ERROR)
    threads = max(1, (os.cpu_count() or 1) // count)
    with TemporaryDirectory(prefix="gancli-") as folder:
        ended = Path(folder) / "code"
        set_here = {ENDED: str(ended), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)), **_SETTINGS}
        with _environment(set_here):
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
                    "what it said stands above; with --processes 1 there is only one to ask",
                ) from None
            except SignalException as error:
                return 128 + int(error.sigval)
        return int(ended.read_text()) if ended.exists() else 0


def give_up(code: int, final: bool = True) -> tuple[int, bool]:
    """End this process's part in a command.

    Args:
        code: what the command would return if it ran in this process alone.
        final: whether starting it again would be of no use.

    Returns:
        What to return, which is 0 for the command not to be started again; and whether to say why.
    """
    if ENDED not in os.environ or code == 0:
        return code, True
    path = Path(os.environ[ENDED])
    if final:
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(str(code))
            return 0, True
    ended = path.exists()  # another process has said why, and this one perhaps fell over its absence
    return (0, False) if ended else (code, True)


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
