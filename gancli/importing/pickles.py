"""Pickles without running them: an interpreter of their opcodes that keeps plain values and refuses everything else.

A pickle is a program for a machine with a stack. Python's own machine imports whatever the program names and calls it.
This one has a closed list of names, each with a function of ours behind it, and a closed list of opcodes, those that
Python's pickler writes for plain values and objects. Nothing that stands in a file is imported, looked up in a module
or called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pickletools import genops
from typing import Any

NEWEST = 5
"""The newest protocol."""

MOST_OPCODES = 2_000_000
MOST_MEMORISED = 1_000_000
LONGEST_NUMBER = 128
"""Bits of a whole number at most."""

Names = Mapping[str, Callable[[tuple[Any, ...]], Any] | None]
"""The names that a pickle may contain, with what makes a value of the arguments; None where it is only named."""


class Refused(Exception):
    """A file that is not read; the text says what is in it."""


class Buildable:
    """A value that takes a state after it was made."""

    def build(self, state: Any) -> None:
        """Take the state."""
        raise NotImplementedError


@dataclass(frozen=True)
class Name:
    """A name of the closed list on the stack; it stands for nothing."""

    full: str


@dataclass
class Budget:
    """What a file may still take, with all pickles that are nested in it.

    Attributes:
        copied: bytes that may be copied out of it.
        opcodes: that may be interpreted.
        memorised: values that may be memorised.
    """

    copied: int
    opcodes: int = MOST_OPCODES
    memorised: int = MOST_MEMORISED

    def copy(self, count: int) -> None:
        """Spend bytes.

        Raises:
            Refused: there are no more.
        """
        self.copied -= count
        if count < 0 or self.copied < 0:
            raise Refused("it takes many times its size")

    def step(self) -> None:
        """Spend an opcode.

        Raises:
            Refused: there are no more.
        """
        self.opcodes -= 1
        if self.opcodes < 0:
            raise Refused(f"it has more than {MOST_OPCODES:,} opcodes")

    def memorise(self) -> None:
        """Spend a place in the memo.

        Raises:
            Refused: there are no more.
        """
        self.memorised -= 1
        if self.memorised < 0:
            raise Refused(f"it memorises more than {MOST_MEMORISED:,} values")


class Interpreter:
    """The machine for one pickle.

    Args:
        stream: at whose place the pickle begins; afterwards it stands behind it.
        budget: of the whole file.
        names: the closed list.
        persistent: makes a value of a persistent identity; None where there are none.
    """

    def __init__(
        self, stream: Any, budget: Budget, names: Names, persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self._stream, self._budget, self._names, self._persistent = stream, budget, names, persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the pickle describes.

        Raises:
            Refused: what is not in the closed lists, or no whole pickle.
        """
        name, position = "its beginning", 0
        try:
            # Texts of the first protocol may escape what is none, of which Python would warn.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                for opcode, argument, at in genops(self._stream):
                    name, position = opcode.name, at or 0
                    self._budget.step()
                    if name != "STOP":
                        self._step(name, argument)
            value = self._pop()
            if self._stack:
                raise Refused("it ends with values left on the stack")
        except (ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError):
            raise Refused(f"it is no whole pickle after {name} at byte {position:,}") from None
        return value

    def _step(self, name: str, argument: Any) -> None:
        """Interpret one opcode."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self._stack.append(_literal(argument))
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        else:
            named = f" of {argument.replace(' ', '.', 1)[:200]}" if name == "INST" else ""
            raise Refused(f"it has the opcode {name}{named}, which no file of weights needs")

    # The stack

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError
        return value

    def _top(self) -> Any:
        value = self._stack[-1]
        if value is _MARK:
            raise ValueError
        return value

    def _marked(self) -> list[Any]:
        """What lies above the last mark, which goes too."""
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _into(self, kind: type) -> Any:
        """The top, which must be a list, a dict or a set."""
        value = self._top()
        if not isinstance(value, kind):
            raise Refused(f"it fills a {kind.__name__} where there is none")
        return value

    # Opcodes

    def _protocol(self, number: int) -> None:
        if number > NEWEST:
            raise Refused(f"it has the protocol {number}, and {NEWEST} is the newest that is read")

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._stack.append(tuple(values[::-1]))

    def _dict(self, pairs: Sequence[Any]) -> None:
        self._stack.append({})
        self._set(pairs)

    def _append(self, values: Sequence[Any]) -> None:
        self._into(list).extend(values)

    def _add(self, values: Sequence[Any]) -> None:
        self._into(set).update(map(_key, values))

    def _set(self, pairs: Sequence[Any]) -> None:
        table = self._into(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            table[_key(key)] = value

    def _set_one(self) -> None:
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def _put(self, number: int) -> None:
        self._budget.memorise()
        self._memo[number] = self._top()

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise Refused("it makes a name of what is no text")
        if (full := f"{module}.{name}") not in self._names:
            raise Refused(f"it names {full[:200]}, which is not on the list of what is read")
        self._stack.append(Name(full))

    def _name_on_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _call(self) -> None:
        arguments, name = self._pop(), self._pop()
        make = self._names[name.full] if isinstance(name, Name) else None
        if make is None or type(arguments) is not tuple:
            raise Refused(f"it calls {_titled(name)}, which nothing may call")
        self._stack.append(make(arguments))

    def _build(self) -> None:
        state, value = self._pop(), self._top()
        if not isinstance(value, Buildable):
            raise Refused(f"it gives a state to {_titled(value)}, which takes none")
        value.build(state)

    def _identify(self) -> None:
        if self._persistent is None:
            raise Refused("it has the opcode BINPERSID, which asks its reader for an object")
        self._stack.append(self._persistent(self._pop()))


_MARK: Any = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_ACTIONS: dict[str, Callable[[Interpreter, Any], None]] = {
    "PROTO": Interpreter._protocol,
    "FRAME": lambda machine, _: None,
    "EMPTY_LIST": lambda machine, _: machine._stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine._stack.append({}),
    "EMPTY_SET": lambda machine, _: machine._stack.append(set()),
    "LIST": lambda machine, _: machine._stack.append(machine._marked()),
    "TUPLE": lambda machine, _: machine._stack.append(tuple(machine._marked())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "DICT": lambda machine, _: machine._dict(machine._marked()),
    "FROZENSET": lambda machine, _: machine._stack.append(frozenset(map(_key, machine._marked()))),
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._marked()),
    "SETITEM": lambda machine, _: machine._set_one(),
    "SETITEMS": lambda machine, _: machine._set(machine._marked()),
    "ADDITEMS": lambda machine, _: machine._add(machine._marked()),
    "PUT": Interpreter._put,
    "BINPUT": Interpreter._put,
    "LONG_BINPUT": Interpreter._put,
    "MEMOIZE": lambda machine, _: machine._put(len(machine._memo)),
    "GET": lambda machine, number: machine._stack.append(machine._memo[number]),
    "BINGET": lambda machine, number: machine._stack.append(machine._memo[number]),
    "LONG_BINGET": lambda machine, number: machine._stack.append(machine._memo[number]),
    "GLOBAL": lambda machine, names: machine._name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine._name_on_stack(),
    "REDUCE": lambda machine, _: machine._call(),
    "NEWOBJ": lambda machine, _: machine._call(),
    "BUILD": lambda machine, _: machine._build(),
    "BINPERSID": lambda machine, _: machine._identify(),
}
"""What each opcode does. Missing is what Python's pickler writes for no plain value: DUP, POP, INST, OBJ, EXT1, …"""


def _literal(value: Any) -> Any:
    """A number or text of the file."""
    if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
        raise Refused(f"it has a whole number of {value.bit_length():,} bits")
    return value


def _key(value: Any) -> Any:
    """A key of a dict or a set: hashing a tuple that holds itself twice, and so on, would take for ever."""
    if not isinstance(value, str | int | float | bytes | None):
        raise Refused(f"it has a key that is {_titled(value)}")
    return value


def _titled(value: Any) -> str:
    """A value as an error names it."""
    return value.full if isinstance(value, Name) else f"a {type(value).__name__}"
