"""Write the README's table of models from the headers of the zoo's weights: ``uv run python docs/tables.py``."""

from pathlib import Path

from gancli import catalog, checkpoint
from gancli.evaluation.scores import score

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: written by `uv run python docs/tables.py` -->\n", "<!-- /models -->"


def table() -> str:
    """One line a weights file, and one for each recipe that has none yet."""
    rows = ["| model | what it is | values | score | beside it |", "|---|---|--:|--:|--:|"]
    for entry in catalog.entries():
        found = score(entry.header().get("evaluation", {}))
        size = f"{checkpoint.count_parameters(entry.path):,}" if entry.path else ""
        card = "README.md" if entry.path else "recipe.toml"
        rows.append(
            f"| [`{entry.name}`](zoo/{entry.model}/{card}) | {catalog.recipe_table(entry.model)['summary']} "
            f"| {size} | {found or 'no weights'} | {found.beside if found else ''} |"
        )
    return "\n".join(rows) + "\n"


def updated(text: str) -> str:
    """The README with a fresh table."""
    before, rest = text.split(START)
    return before + START + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
