"""Run commands by two processes each, as ``torchrun`` would; the tests look at what they say.

``python two_forks.py FOLDER`` reads FOLDER/commands.json, a list of lists of words. What a command's process of some
number says is FOLDER/COMMAND-NUMBER.out and .err, and exit codes are FOLDER/codes.json.
"""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import torch

import gancli.evaluation.evaluate
import gancli.runs.run  # noqa: F401 - imported before the processes are forked
from benchmarks.processes import free_port
from gancli.cli import main
from gancli.processes import ENDED


def work(folder: Path, number: int, rank: int, port: int, words: list[str]) -> None:
    """One process of a command."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ[ENDED] = str(folder / f"{number}.ended")
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{number}-{rank}.{name}", os.O_CREAT | os.O_WRONLY), stream)
    torch.set_num_threads(1)
    main(words)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    context, codes = multiprocessing.get_context("fork"), []
    for number, words in enumerate(json.loads((place / "commands.json").read_text())):
        port = free_port()
        pair = [context.Process(target=work, args=(place, number, rank, port, words)) for rank in (0, 1)]
        for process in pair:
            process.start()
        for process in pair:
            process.join()
        ended = place / f"{number}.ended"
        codes.append(int(ended.read_text()) if ended.exists() else max(process.exitcode or 0 for process in pair))
    (place / "codes.json").write_text(json.dumps(codes))
