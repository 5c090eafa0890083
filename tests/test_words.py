"""Help texts, docs and public names use the field's terms: none of the words that they replaced stands there in its old
sense."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
RECIPES = sorted(ROOT.glob("zoo/*/recipe.toml"))
MODULES = sorted((ROOT / "gancli").rglob("*.py"))

PROSE = {
    r"told (the |its |their |which |what |a )?class|class(es)? (is|are) told|classes told": "class-conditional",
    r"\b(each|sixty|three|some|further|first|last|one|another|every) looks?\b": "check, preview, scan",
    r"\breadings\b|\ba reading\b|\b(extractor|discriminator)s? reads?\b|\bread by the\b": "output, predicted by",
    r"\b(D|discriminator|critic|extractor|network|classifier)s? (says?|said|tells?|told)\b": "outputs, predicts",
    r"\b(critic|discriminator|D)('s)? slopes?\b|penalt(y|ies) on (the )?slopes?": "gradient norm",
    r"\bspread\s*=|\.spread\b|\b(initial|weight) spread\b": "initial std, init_std",
    r"\bchances?\b|\bdice\b": "probability, random",
    r"\brates?( that)? (do not )?falls?\b|fall of the rates": "learning rate decay",
    r"\bhand(s|ed)? on\b": "cached, shared",
    r"\bpublishe[sd]\b": "exported",
    r"\b(the|a) watch\b|\bwatched\b": "health monitor",
    r"\bPLACE\b": "PATH, FOLDER",
    r"\bfeeds?\b|\bpresenting\b": "batches, preprocessing",
    r"\ball faults\b|\bfaults (in|of) (a|the) recipe|unexpected fault": "validation errors, unexpected error",
    r"\bplay(s|ed)? back\b|\bplayback\b|cuda_graphs|CUDA graphs": "(removed)",
    r"\b(doubl|halv)ing convolution": "transposed convolution, strided convolution",
    r"\| values \||\bmillion values\b|\b\d{1,3}(,\d{3})+ values\b": "parameters",
    r"\bbeside it\b": "real data, floor",
    r"\bto the bit\b": "bit-exactly",
    r"\bgo(es)? on\b": "resumes, continues",
    r"\bdeceiv(e|es|ed|ing)\b": "fool",
    r"(?<!zoo )\bjudg(e|es|ed|ing)\b": "evaluate, score",
    r"\b(whoever|nobody)\b": "a plain subject",
    r"\byardsticks?\b": "reference",
    r"\breckon(ed|s)?\b": "estimated",
    r"\bpaint(s|ed)?\b": "generates, draws",
    r"\bobjective\.penalties\b|\bdiscriminator\.reads\b|read_hidden": "regularizers, heads, head_width",
}
"""Patterns of prose, and what to say instead."""

IDENTIFIERS = {
    "told": "conditional, conditioning",
    "about_real": "conditioning",
    "about_fake": "conditioning",
    "reading": "head, output, logits",
    "readings": "heads, outputs, logits",
    "reads": "heads",
    "said": "output",
    "says": "output",
    "dice": "generator",
    "chance": "generator, probability",
    "falls": "decay",
    "kept": "cached",
    "published": "exported",
    "watch": "monitor",
    "playback": "(removed)",
    "feed": "batches",
    "presenting": "preprocessing",
    "wanted": "requested",
    "given": "user images",
    "faults": "errors",
    "look": "preview, check, scan",
    "looks": "previews, checks",
    "judge": "evaluate",
    "judged": "evaluated",
    "judging": "evaluation",
    "deceive": "fool",
    "deceived": "fooled",
    "slope": "gradient norm",
    "spread": "std",
    "turn": "step",
    "stillness": "still generator",
    "place": "path, folder, rows",
    "places": "paths, folders, rows",
    "penalties": "regularizers",
}
"""Words of public names, between underscores and capitals, and what to say instead."""

FINE = {
    "slope": "the slope of a leaky ReLU",
    "look_up": "a look-up in a table",
    "judge": "the command zoo judge",
    "readings": "the heads, by this name in the state dicts of stored weights",
}
"""Public names that use such a word in another sense."""

REMAINING = frozenset([])
"""Findings that are known, as the tests print them without the advice."""


def help_texts() -> Iterator[tuple[str, str]]:
    """Commands with their help, and options with theirs."""
    from gancli.cli._app import app

    commands = [("gancli", get_command(app))]
    for name, command in commands:
        commands += [(f"{name} {child}", each) for child, each in getattr(command, "commands", {}).items()]
        yield name, " ".join(filter(None, (command.help, command.epilog)))
        for option in command.params:
            metavar = option.metavar if isinstance(option.metavar, str) else ""
            yield f"{name} {option.name}", f"{getattr(option, 'help', None) or ''} {metavar}"


def descriptions(recipe: Path) -> str:
    """A recipe's comments and the texts about it."""
    lines = recipe.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if re.match(r"#|(summary|paper|teaches|limits) = ", line))


def public_names(path: Path) -> Iterator[str]:
    """Names without a leading underscore: the module, its functions, classes and constants, their parameters, methods
    and attributes."""
    yield path.stem
    yield from _names(ast.parse(path.read_text(encoding="utf-8")).body)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=members) if not name.startswith("_"):
                yield name
                yield from _names(members)
            case ast.FunctionDef(name=name) if not name.startswith("_") or name == "__init__":
                yield name
                yield from (one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))
            case ast.Assign(targets=targets):
                yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                match inner:
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        yield name


def replaced(name: str) -> Iterator[str]:
    """Replaced words in an identifier."""
    if name.startswith("_") or name.lower() in FINE:
        return
    words = "_".join(re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)).lower()
    yield from (word for word in IDENTIFIERS if f"_{word}_" in f"_{words}_")


def in_prose(name: str, text: str) -> list[str]:
    """Findings of a text, with what to say instead."""
    text = re.sub(r"\s+", " ", text)
    found = ((match[0], advice) for pattern, advice in PROSE.items() for match in re.finditer(pattern, text))
    return [f"{name}: {what} -> {advice}" for what, advice in dict.fromkeys(found)]


def remaining(findings: list[str]) -> list[str]:
    """Findings that are not known."""
    return [finding for finding in findings if finding.partition(" -> ")[0] not in REMAINING]


def test_help_texts_use_the_fields_words() -> None:
    assert not remaining([finding for name, text in help_texts() for finding in in_prose(name, text)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_use_the_fields_words(page: Path) -> None:
    assert not remaining(in_prose(page.name, page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.parent.name)
def test_recipes_use_the_fields_words(recipe: Path) -> None:
    assert not remaining(in_prose(f"{recipe.parent.name}.toml", descriptions(recipe)))


def test_public_names_use_the_fields_words() -> None:
    findings = [
        f"{path.relative_to(ROOT)}: {name} -> {word}: {IDENTIFIERS[word]}"
        for path in MODULES
        for name in dict.fromkeys(public_names(path))
        for word in replaced(name)
    ]
    assert not remaining(findings)


@pytest.mark.parametrize("text", ["both sides are told the class", "D says 1.00", "goes on\nto the bit", "| values |"])
def test_replaced_prose_is_found(text: str) -> None:
    assert in_prose("page", text)


@pytest.mark.parametrize("text", ["look it up", "the value of a metric", "given a seed", "a leaky ReLU's slope"])
def test_normal_prose_is_not_found(text: str) -> None:
    assert not in_prose("page", text)


def test_replaced_words_of_names_are_found() -> None:
    assert [list(replaced(name)) for name in ("told_class", "LastLook", "about_real")] == [
        ["told"],
        ["look"],
        ["about_real"],
    ]
    assert not any(list(replaced(name)) for name in ("overlook", "slope", "_kept"))
