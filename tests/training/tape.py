"""Recordings on a CPU that keep to the rules of CUDA graphs: the same operations, on the same memory, and no Python."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal"}


class Tape(TorchDispatchMode):
    """What PyTorch computed, to be computed again into the same tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._own: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._generators: dict[torch.Generator, Tensor] = {torch.default_generator: torch.get_rng_state()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.name() in WAITS:
            # Only of what one_hot looks at, on a CPU and not on CUDA: whether classes are classes.
            looked = {"aten::aminmax", *WAITS}
            assert any(last[0].name() in looked for last in self._operations[-1:]), f"{func} waits for a GPU"
        self._keep_what_was(func, args, kwargs)
        result = func(*args, **kwargs)
        given = {_memory(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._own |= {_memory(tensor) for tensor in made} - given
        # Held by values: what a tensor of theirs is told later, such as to take a gradient, is none of the tape's.
        alone = tree_map_only(Tensor, lambda tensor: tensor.detach(), (args, kwargs, made))
        self._operations.append((func, *alone[:2], [t for t in alone[2] if _memory(t) not in given]))
        return result

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
        """Compute it all again."""
        for func, args, kwargs, made in self._operations:
            again = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            for mine, value in zip(made, again if made else [], strict=True):
                mine.data.copy_(value)


class Tapes:
    """A recorder of tapes."""

    def __init__(self) -> None:
        self.recorded = self.rehearsed = 0

    def rehearse(self, work: Callable[[], Any]) -> Any:
        self.rehearsed += 1
        return work()

    def record(self, work: Callable[[], Any]) -> tuple[Tape, Any]:
        self.recorded += 1
        tape = Tape()
        with tape:
            result = work()
        tape.undo()
        return tape, result


def _writes(func: Any, argument: Any) -> bool:
    # Batch norm keeps its running means without saying so.
    unsaid = func.name() == "aten::native_batch_norm" and argument.name.startswith("running")
    return unsaid or (argument.alias_info is not None and argument.alias_info.is_write)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
