"""The app, its global options and the one error boundary."""

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import typer

import gancli
from gancli import processes
from gancli.cli import (
    compare,
    data,
    directions,
    doctor,
    evaluate,
    explore,
    export,
    import_,
    inpaint,
    interpolate,
    mix,
    push,
    reconstruct,
    runs,
    sample,
    sweep,
    train,
    translate,
    traverse,
    zoo,
)
from gancli.cli._help import Grouped
from gancli.cli.terminal.commands import as_typed
from gancli.cli.terminal.console import sanitized, wrapped
from gancli.errors import GancliError, printable
from gancli.plugins import allowing

app = typer.Typer(
    name="gancli",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help would double the time to start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, sample and evaluate generative adversarial networks.",
    epilog="Start with `gancli train digits`: a minute on a laptop, no download.",
)
for command in (
    train.train,
    sweep.sweep,
    doctor.doctor,
    sample.sample,
    interpolate.interpolate,
    traverse.traverse,
    directions.directions,
    mix.mix,
    inpaint.inpaint,
    evaluate.evaluate,
    compare.compare,
    translate.translate,
    reconstruct.reconstruct,
    export.export,
    explore.explore,
    push.push,
):
    app.command(cls=Grouped if command in (train.train, sweep.sweep) else None)(command)
app.command("import")(import_.import_)
app.add_typer(data.app, name="data")
app.add_typer(zoo.app, name="zoo")
app.add_typer(runs.app, name="runs")


def _version(asked: bool) -> None:
    if asked:
        print(f"gancli {gancli.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the traceback of an error.")] = False,
    allow_plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-plugin",
            metavar="NAME",
            help="Allow model files to use this plug-in of an installed package, whose code then runs. Repeatable.",
        ),
    ] = None,
) -> None:
    pass


INSTEAD = {
    "--data": "name the data without an option, as in `gancli train mnist`, with --resume too",
    "--gpus": "use `processes=2`, one for each GPU; `torchrun` starts them on several machines",
    **dict.fromkeys(("--lr", "--learning-rate"), "use `optimizer.generator.lr=2e-4`, and the same for discriminator"),
    **dict.fromkeys(("--batch", "--batch-size"), "use `training.batch=64`"),
    **dict.fromkeys(("--size", "--image-size", "--img-size", "--resolution"), "use `data.size=[64,64]`"),
    **dict.fromkeys(("--steps", "--iterations"), "use `rounds=2000`; a round is one step of every network"),
}
"""What `gancli train` takes instead of options that other tools have."""

LONGEST = 2000
"""Characters of a line of an error, which may quote a stranger's file."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done; 1 something failed; 2 wrong input by the user; 130 Ctrl-C; 143 SIGTERM.
    """
    # Before torch is imported: threads that wait for the others leave their core to other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with sanitized():
        _run(sys.argv[1:] if args is None else args)


def _run(words: Sequence[str]) -> None:
    """Run one command and exit."""
    traceback = "--traceback" in words
    plugins, words = _plugins([_from_home(word) for word in words if word != "--traceback"])
    # typer has no options with an optional value: a bare --resume becomes --resume= (the newest run).
    arguments = [
        "--resume=" if word == "--resume" and after.startswith("-") else word for word, after in pairwise([*words, "-"])
    ]
    # Further processes are started with the same arguments.
    global_options = [f"--allow-plugin={name}" for name in plugins] + ["--traceback"] * traceback
    typed = [*arguments[:1], *global_options, *arguments[1:]]
    fault, final = None, True
    try:
        with allowing(plugins):
            code = app(arguments, standalone_mode=False, prog_name="gancli", obj=typed)
        sys.stdout.flush()
    except typer.TyperException as error:
        code, fault = error.exit_code, _explained(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if traceback:
            raise
        code, fault, final = _failure(error)
    code, reports = processes.give_up(code if isinstance(code, int) else 0, final)
    if fault and reports:
        for word in arguments:  # a line break in a name would look like one of the message
            fault = fault[0].replace(word, printable(word)), fault[1].replace(word, printable(word))
        _report(*(as_typed(text, _options_of(arguments)) for text in fault))
    processes.leave(well=code == 0 and fault is None)
    processes.end(code)


def _failure(error: Exception) -> tuple[int, tuple[str, str], bool]:
    """Exit code, (message, hint), and whether running the command again would be of no use."""
    if isinstance(error, GancliError):
        return error.exit_code, (error.message, error.hint), True
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        what = f"{(error.strerror or str(error)).lower()}{where}"
        return 1, (what, "check the path, its permissions and the free space on the disk"), True
    what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
    if (number := processes.rank()) is not None:  # as when another process died, which a restart may cure
        return 1, (f"process {number} stops: {what}", "if another one died, all restart from the last save"), False
    return 1, (f"an unexpected error: {what}", "run it again with --traceback for details"), False


def _explained(error: typer.TyperException, arguments: Sequence[str]) -> tuple[str, str] | None:
    """Message and hint for arguments that typer refused; None if typer has printed help instead."""
    from pydantic import ValidationError

    message = error.format_message().rstrip(".")
    if not message:
        return None
    if isinstance(error.__cause__, ValidationError):
        rule = message.partition(", unable to parse")[0].replace(": Input", ": it")
        message = f"{rule}, not {str(error.__cause__.errors()[0]['input'])[:40]}"
    option = getattr(error, "option_name", None)  # typer's own subclasses are private
    if arguments[:1] == ["train"] and option in INSTEAD:
        return f"no such option: {option}", INSTEAD[option]
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else " ".join(["gancli", *arguments[:1]])
    return message[:1].lower() + message[1:], f"`{command} --help` lists arguments and options"


def _options_of(arguments: Sequence[str]) -> dict[str, str]:
    """The options of the command that the arguments start, by the name of their parameter."""
    command = typer.main.get_command(app)
    known = [*command.params]
    for name in arguments:
        commands = getattr(command, "commands", {})
        if name not in commands:
            break
        command = commands[name]
        known += command.params
    return {one.name: max(one.opts, key=len) for one in known if one.name and one.opts[0].startswith("-")}


def _report(message: str, hint: str) -> None:
    short = [line if len(line) <= LONGEST else f"{line[:LONGEST]} …" for line in message.splitlines()]
    print(wrapped(f"error: {chr(10).join(short)}", sys.stderr), file=sys.stderr)
    if hint:
        print(f"\n{wrapped(f'hint: {hint[:LONGEST]}', sys.stderr)}", file=sys.stderr)


def _from_home(word: str) -> str:
    """A typed word with the home folder for ``~/``, which a shell leaves as it is in quotes and after ``--out=``."""
    found = re.fullmatch(r"((?:[\w.-]+=)*)(~[^/=]*/.*)", word, re.DOTALL)
    return f"{found[1]}{os.path.expanduser(found[2])}" if found else word  # noqa: PTH111 - Path would drop a last /


def _plugins(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that --allow-plugin gives, and the other arguments.

    typer would accept the option before the command only.
    """
    names, rest, following = [], [], iter(words)
    for word in following:
        option, equals, name = word.partition("=")
        if option != "--allow-plugin":
            rest.append(word)
        else:
            names.append(name if equals else next(following, ""))
    return names, rest
