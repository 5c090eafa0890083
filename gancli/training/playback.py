"""Rounds that are recorded once and then played back: a GPU starts hundreds of kernels at one command.

A round is a few pieces of work, each on real images or on none. Between them stands what a recording cannot hold
because it depends on the round's number: which images come next, the rates, the average of the weights.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.objectives.base import Batch

Work = Callable[[Batch | None], Any]
"""What a piece does with its batch; what it returns are tensors, or nothing."""

Do = Callable[[Work, Batch | None, Sequence[nn.Parameter]], Any]
"""Has a piece done: work, batch, and the parameters whose gradients it leaves behind."""

WARM = 3
"""Rounds of a pattern that are not recorded yet, in which libraries choose their kernels and claim their memory."""


class Recording(Protocol):
    """Work that can be done again, on the same memory."""

    def replay(self) -> None:
        """Do it."""
        ...


class Recorder(Protocol):
    """Records work."""

    def rehearse(self, work: Callable[[], Any]) -> Any:
        """Do it as it will be recorded, and return what it returns."""
        ...

    def record(self, work: Callable[[], Any]) -> tuple[Recording, Any]:
        """Record it without doing it; what it returned stands where every replay writes it."""
        ...


@dataclass(frozen=True)
class _Piece:
    recording: Recording
    batch: Batch | None
    gradients: list[Tensor | None]
    result: Any


def directly(work: Work, batch: Batch | None, parameters: Sequence[nn.Parameter]) -> Any:
    """Do a piece as it stands."""
    return work(batch)


class Playback:
    """Recordings of rounds, by their pattern.

    Args:
        recorder: records them.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen: Counter[Hashable] = Counter()
        self._pieces: dict[Hashable, list[_Piece]] = {}

    def of(self, pattern: Hashable) -> Do:
        """How the pieces of the round that begins are done, given in their order.

        Args:
            pattern: of the round; those of one pattern do the same to the same tensors.
        """
        self._seen[pattern] += 1
        if self._seen[pattern] <= WARM:
            return self._rehearse
        if pattern in self._pieces:
            pieces = iter(self._pieces[pattern])
            return lambda work, batch, parameters: _play(next(pieces), batch, parameters)
        self._pieces[pattern] = []
        return partial(self._record, self._pieces[pattern])

    def _rehearse(self, work: Work, batch: Batch | None, parameters: Sequence[nn.Parameter]) -> Any:
        return self._recorder.rehearse(lambda: work(batch))

    def _record(self, pieces: list[_Piece], work: Work, batch: Batch | None, parameters: Sequence[nn.Parameter]) -> Any:
        # Every replay reads its images where the recording found these.
        own = None if batch is None else batch.clone()
        recording, result = self._recorder.record(lambda: work(own))
        pieces.append(_Piece(recording, own, [parameter.grad for parameter in parameters], result))
        return _play(pieces[-1], batch, parameters)


def _play(piece: _Piece, batch: Batch | None, parameters: Sequence[nn.Parameter]) -> Any:
    if piece.batch is not None and batch is not None:
        piece.batch.copy_(batch)
    piece.recording.replay()
    # Each recording has gradients of its own.
    for parameter, gradient in zip(parameters, piece.gradients, strict=True):
        parameter.grad = gradient
    return piece.result


class CudaGraphs:
    """CUDA graphs of a device.

    They share their memory: what outlives a round, results and gradients, is held by its pieces.

    Args:
        device: of everything that is recorded.
        generators: of random numbers; each replay draws new ones, as the work itself would.

    Raises:
        UsageError: when something is recorded that cannot be.
    """

    def __init__(self, device: torch.device, *generators: torch.Generator) -> None:
        self._generators = generators
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def rehearse(self, work: Callable[[], Any]) -> Any:
        """On the stream of the recordings: autograd goes on where it has begun."""
        usual = torch.cuda.current_stream()
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            result = work()
        usual.wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], Any]) -> tuple[Recording, Any]:
        """As a graph."""
        graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*CUDA Graph is empty")  # of a round whose beginning has nothing to do
            warnings.filterwarnings("ignore", ".*register_generator_state")  # later versions find them by themselves
            for generator in self._generators:
                graph.register_generator_state(generator)
            # What other threads wait for, as one that writes files does, is no matter of this recording.
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    result = work()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                raise UsageError(
                    f"training.cuda_graphs = true: no round is recorded here: {reason}", "leave it out"
                ) from error
        return graph, result
