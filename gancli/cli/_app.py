"""The app, its global options and the one error boundary."""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, get_args

import typer

import gancli
from gancli import processes
from gancli.cli import (
    data,
    doctor,
    evaluate,
    inpaint,
    interpolate,
    mix,
    reconstruct,
    sample,
    train,
    translate,
    traverse,
    zoo,
)
from gancli.cli.terminal.console import nothing_raw
from gancli.errors import GancliError
from gancli.plugins import allowing

app = typer.Typer(
    name="gancli",
    no_args_is_help=True,
    rich_markup_mode=None,  # half of the time to start went into rich's help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, sample and judge generative adversarial networks.",
    epilog="Start with `gancli train digits`: a minute on a laptop, no download.",
)
app.command()(train.train)
app.command()(doctor.doctor)
app.command()(sample.sample)
app.command()(interpolate.interpolate)
app.command()(traverse.traverse)
app.command()(mix.mix)
app.command()(inpaint.inpaint)
app.command()(evaluate.evaluate)
app.command()(translate.translate)
app.command()(reconstruct.reconstruct)
app.add_typer(data.app, name="data")
app.add_typer(zoo.app, name="zoo")


def _version(asked: bool) -> None:
    if asked:
        print(f"gancli {gancli.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")] = False,
    allow_plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-plugin",
            metavar="NAME",
            help="Let files name this part of another package, whose code then runs. Repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    pass


LONGEST = 2000
"""Characters of a line of an error: what is quoted in it may be a stranger's."""


def _report(message: str, hint: str) -> None:
    short = [line if len(line) <= LONGEST else f"{line[:LONGEST]} …" for line in message.splitlines()]
    print(f"error: {chr(10).join(short)}", file=sys.stderr)
    if hint:
        print(f"\nhint: {hint[:LONGEST]}", file=sys.stderr)


def _number_fault(error: typer.TyperException) -> tuple[str, str] | None:
    """What is wrong with an option's number, and which numbers it takes; None for any other fault."""
    param: Any = getattr(error, "param", None)
    kind, faults = _kind_of_number(param), getattr(error.__cause__, "errors", None)
    if kind is None or faults is None:
        return None
    fault = faults()[0]
    option, text = max(param.opts, key=len), str(fault["input"]).strip()[:40]
    bounds = param.type_descriptor.parameter_info
    low, high = (None if bound is None else f"{bound:.10g}" for bound in (bounds.min, bounds.max))
    between = f"{kind} from {low} to {high}"
    takes = kind if low is None else between if high is not None else f"{kind}, {low} or more"
    outside = fault["type"].startswith(("greater_", "less_"))
    return f"{option} {text} is out of range" if outside else f"{option} '{text}' is not {kind}", f"it takes {takes}"


def _kind_of_number(param: Any) -> str | None:
    """What an option takes, in words; None if it is no number."""
    kinds = {int: "a whole number", float: "a number"}
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    return next((kinds[kind] for kind in (annotation, *get_args(annotation)) if kind in kinds), None)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit.

    With 0: done; 1: something failed; 2: the user's input was at fault; 130: Ctrl-C; 143: SIGTERM.
    """
    with nothing_raw():
        _run(sys.argv[1:] if args is None else args)


def _allowed(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that --allow-plugin gives, and the other words.

    Read here and not by typer, which would take it before the command only.
    """
    names, rest, following = [], [], iter(words)
    for word in following:
        option, equals, name = word.partition("=")
        if option != "--allow-plugin":
            rest.append(word)
        elif equals:
            names.append(name)
        else:
            names.append(next(following, ""))
    return names, rest


def _assigned(words: Sequence[str]) -> Iterator[str]:
    """What `--set KEY=NAME` says: whoever types the name of a plug-in wants it."""
    for word, after in pairwise([*words, ""]):
        given = after if word == "--set" else word.removeprefix("--set=") if word.startswith("--set=") else ""
        yield given.partition("=")[2].strip().strip("\"'")


def _run(words: Sequence[str]) -> None:
    """Run one command and exit."""
    traceback = "--traceback" in words
    # An option whose value may be left out is beyond typer: a bare --resume becomes --resume= (the newest run).
    named, words = _allowed([word for word in words if word != "--traceback"])
    given = [*words, "-"]
    arguments = [
        "--resume=" if word == "--resume" and after.startswith("-") else word for word, after in pairwise(given)
    ]
    fault, final = None, True
    try:
        with allowing(named, _assigned(words)):
            # What starts further processes passes on what was typed.
            passed = [f"--allow-plugin={name}" for name in named] + ["--traceback"] * traceback
            typed = [*arguments[:1], *passed, *arguments[1:]]
            code = app(arguments, standalone_mode=False, prog_name="gancli", obj=typed)
    except typer.TyperException as error:
        code, fault = getattr(error, "exit_code", 2), _typed(error, arguments)
    except GancliError as error:
        if traceback:
            raise
        code, fault = error.exit_code, (error.message, error.hint)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has left: nothing more to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if traceback:
            raise
        where = f": {error.filename}" if error.filename else ""
        what = f"{(error.strerror or str(error)).lower()}{where}"
        code, fault = 1, (what, "check the path, its permissions and the disk's room")
    except Exception as error:  # such as memory that ran out: still one line, and not a page of the program's inside
        if traceback:
            raise
        what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
        code, fault = 1, (f"an unexpected fault: {what}", "run it again with --traceback to see where it arose")
        final = False
        if (number := processes.rank()) is not None:  # the death of another process looks so, and is worth another try
            fault = f"process {number} stops: {what}", "if another one has died, all start again from the last save"
    code, speaks = processes.give_up(code if isinstance(code, int) else 0, final)
    if fault and speaks:
        _report(*fault)
    processes.leave(well=code == 0 and fault is None)
    processes.end(code)


def _typed(error: typer.TyperException, arguments: list[str]) -> tuple[str, str] | None:
    """What is wrong with what was typed, and what to type instead; None where there is nothing to say."""
    if number := _number_fault(error):
        return number
    tell = getattr(error, "format_message", None)
    if not (message := tell() if tell else str(error)):
        return None
    first = [word for word in arguments if not word.startswith("-")][:1]
    command = " ".join(["gancli", *(word for word in first if word in _commands()), "--help"])
    return message[:1].lower() + message[1:].rstrip("."), f"{command} lists what there is"


def _commands() -> set[str]:
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    return names | {group.name for group in app.registered_groups if group.name}
