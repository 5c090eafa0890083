"""Write the README's table of models from the headers of the zoo's weights: ``uv run python docs/tables.py``."""

from pathlib import Path

from gancli import catalog, checkpoint

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: written by `uv run python docs/tables.py` -->\n", "<!-- /models -->"


def table() -> str:
    """One line a weights file."""
    rows = ["| model | what it is | values | FID (floor) | precision, recall (floor) |", "|---|---|--:|--:|--:|"]
    for entry in catalog.entries():
        if entry.path is None:
            continue
        results = {r["metric"]: r for r in entry.header()["evaluation"]["results"]}
        fid, precision, recall = (results[name] for name in ("fid", "precision", "recall"))
        rows.append(
            f"| [`{entry.name}`](zoo/{entry.model}/README.md) | {catalog.recipe_table(entry.model)['summary']} "
            f"| {checkpoint.count_parameters(entry.path):,} | {fid['value']:.4f} ({fid['floor']:.4f}) "
            f"| {precision['value']:.2f}, {recall['value']:.2f} ({precision['floor']:.2f}, {recall['floor']:.2f}) |"
        )
    return "\n".join(rows) + "\n"


def updated(text: str) -> str:
    """The README with a fresh table."""
    before, rest = text.split(START)
    return before + START + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
