"""Push every model of the zoo to the Hub of the tests and pull it again: `uv run python tests/hub/every_model.py`.

The tests do so for three of them. Here all must give the same samples, byte for byte, and a card whose figures survive
the library's own reader.
"""

import os
import sys
import tempfile

from hub_server import Hub


def main() -> None:
    with Hub() as hub, tempfile.TemporaryDirectory() as folder:
        settings = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_of_no_one", "HF_HOME": folder}
        os.environ |= {**settings, "GANCLI_CACHE": folder}
        import torch
        from test_push import made

        import gancli
        from gancli.hub import client
        from gancli.zoo import catalogue, sharing

        hub_library = client.library()
        wrong = 0
        for entry in catalogue.entries():
            if entry.path is None:
                continue
            model = gancli.load(entry.name, device="cpu")
            licence = "of cifar10" if model.data_name == "cifar10" else ""  # whose makers state none
            repo = f"ann/{entry.name.replace('/', '-')}"
            uploaded = sharing.push(model, repo, licence=licence)
            same = torch.equal(made(gancli.load(str(uploaded.name), device="cpu")), made(model))
            card = hub_library.ModelCard(hub.repos["model", repo].commits[-1].files["README.md"].decode()).data
            figures = {each.metric_type: each.metric_value for each in card.eval_results or ()}
            rows = entry.header()["evaluation"]["results"]
            same &= figures == {row["metric"]: row["value"] for row in rows}
            wrong += not same
            print(
                f"{entry.name:24} {'same' if same else 'DIFFERENT'}  {card.license}  {len(figures)} figures", flush=True
            )
        sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
