"""Recordings on a CPU, as CUDA graphs are on a GPU: the same operations on the same memory, and no Python."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

WAITS = {
    "aten::_linalg_check_errors",
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::equal",
    "aten::masked_select",
    "aten::nonzero",
}
"""What makes the host wait for the device."""

OF_ONE_HOT = {"aten::aminmax", "aten::max", "aten::min", "aten::_local_scalar_dense"}
"""On a CPU and not on CUDA, one_hot looks whether classes are classes."""


class Tape(TorchDispatchMode):
    """What PyTorch computed, to be computed again into the same tensors."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self._known = known
        self._operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._own: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._generators: dict[torch.Generator, Tensor] = {torch.default_generator: torch.get_rng_state()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._refuse(func, args, kwargs)
        self._keep_what_was(func, args, kwargs)
        result = func(*args, **kwargs)
        given = {_memory(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._own |= {_memory(tensor) for tensor in made} - given
        # Held by values: what a tensor of theirs is told later, such as to take a gradient, is none of the tape's.
        alone = tree_map_only(Tensor, lambda tensor: tensor.detach(), (args, kwargs, made))
        self._operations.append((func, *alone[:2], [t for t in alone[2] if _memory(t) not in given]))
        return result

    def _refuse(self, func: Any, args: Any, kwargs: Any) -> None:
        """Nothing waits for a GPU, and nothing comes from where a recording would not find it again."""
        checked = any(last[0].name() in OF_ONE_HOT for last in self._operations[-1:])
        assert checked or func.name() not in WAITS, f"{func} waits for a GPU"
        assert func.name() != "aten::lift_fresh", "a tensor is made of numbers that Python has, and copied to a GPU"
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func.name() == "aten::index.Tensor":
            assert not any(tensor.dtype == torch.bool for tensor in given), "rows are counted: a GPU is waited for"
        strange = [tensor for tensor in given if _memory(tensor) not in self._own | self._known]
        assert not strange, f"{func} takes {strange[0].shape} from outside: on a GPU it would be copied there"

    def _keep_what_was(self, func: Any, args: Any, kwargs: Any) -> None:
        """What lies outside of the recording is as it was when it ends: recording is not doing."""
        for number, argument in enumerate(func._schema.arguments):
            value = args[number] if number < len(args) else kwargs.get(argument.name)
            if isinstance(value, torch.Generator):
                self._generators.setdefault(value, value.get_state())
            if _writes(func, argument):
                for tensor in tree_leaves(value):
                    if isinstance(tensor, Tensor) and _memory(tensor) not in self._own:
                        self._before.setdefault(id(tensor), (tensor, tensor.detach().clone()))

    def undo(self) -> None:
        """Bring back what was before."""
        for tensor, value in self._before.values():
            tensor.data.copy_(value)
        for generator, state in self._generators.items():
            generator.set_state(state)

    @torch.no_grad()
    def replay(self) -> None:
        """Compute it all again, from nothing that an earlier time has left."""
        for *_, made in self._operations:
            for mine in made:
                if mine.is_floating_point():
                    mine.data.fill_(torch.nan)
        for func, args, kwargs, made in self._operations:
            again = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            for mine, value in zip(made, again if made else [], strict=True):
                mine.data.copy_(value)


class Tapes:
    """A recorder of tapes.

    Args:
        known: tensors that are where recorded work may find them, besides those that tapes make.
    """

    def __init__(self, known: Callable[[], Iterable[Tensor]] = tuple) -> None:
        self.recorded = self.rehearsed = 0
        self._known = known
        self._tapes: list[Tape] = []

    def rehearse(self, work: Callable[[], Any]) -> Any:
        self.rehearsed += 1
        return work()

    def record(self, work: Callable[[], Any]) -> tuple[Tape, Any]:
        self.recorded += 1
        tape = Tape({_memory(tensor) for tensor in self._known()}.union(*(tape._own for tape in self._tapes)))
        with tape:
            result = work()
        tape.undo()
        self._tapes.append(tape)
        return tape, result


def _writes(func: Any, argument: Any) -> bool:
    # Batch norm keeps its running means without saying so.
    unsaid = func.name() == "aten::native_batch_norm" and argument.name.startswith("running")
    return unsaid or (argument.alias_info is not None and argument.alias_info.is_write)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
