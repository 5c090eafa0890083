"""Train models of the zoo for some rounds, alone and in several processes; the tests compare the weights.

``python side_by_side.py FOLDER PROCESSES CASES PLAN …``: cases are joined by commas, none are all, and a plan is
``NAME:PROCESSES:PARTS:PRECISION:ROUNDS``, with one process or all of them.
"""

import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # as optimizers do, later
from safetensors.torch import save_file
from tiny import CPU, dataset, tiny
from torch import Tensor, nn

from gancli import processes
from gancli.training.distributed.batch_norm import SharedNorm
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

NORMS = (nn.modules.batchnorm._BatchNorm, SharedNorm)
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in catalogue.models()}
"""Model and what its recipe has otherwise, by name."""
# A slope through batch norm, of which there is a gradient, too.
CASES["mlp-gan with ada"] = (
    "mlp-gan", {"objective": {"augment": {"name": "ada", "target": -0.9, "kimg": 0.1, "every": 2}}}
)  # fmt: skip
CASES["pix2pix with diffaugment"] = ("pix2pix", {"objective": {"augment": {"name": "diffaugment"}}})
CASES["cyclegan"] = ("cyclegan", {"objective": {"pool": 16}})  # full in the second round
CASES["frozen dcgan with r1"] = ("dcgan", {"objective": {"regularizers": {"r1": {"weight": 1.0, "every": 2}}}})
# In four parts, each a group of minibatch deviation; the mean path length is one of a whole batch, not of its parts.
CASES["stylegan2 with mixing"] = (
    "stylegan2",
    {
        "training": {"batch": 16}, "networks": {"discriminator": {"group": 4}},
        "objective": {"style_mixing": 0.9, "augment": {"target": -0.9, "kimg": 0.1, "every": 2}},
    },
)  # fmt: skip
CASES["pictures"] = ("pictures", {"training": {"batch": 16}})  # in four parts, each a group of minibatch deviation


def train(out: Path, world: processes.World, cases: list[str], parts: int, rounds: int) -> None:
    """Write OUT.safetensors with every weight, and OUT.json with every loss and with what was said of the models."""
    weights, told = {}, {}
    for case in cases:
        model, sections = CASES[case]
        training = sections.get("training", {}) | {"accumulate": parts}
        made = tiny(1000, model, **(sections | {"training": training}))
        one = Trainer(made, dataset(made), CPU, world)
        losses = []
        for _ in range(rounds):
            one.round()
            losses.append(one.means())
        for name, network in one.networks.items():
            weights |= {f"{case}/{name}/{key}": value.clone() for key, value in network.state_dict().items()}
        weights |= {f"{case}/terms/{key}": value.clone() for key, value in one._terms().items()}
        norms = any(isinstance(m, NORMS) for network in one.networks.values() for m in network.modules())
        told[case] = {"losses": losses, "norms": norms, "drawn": one.batches.drawn}
    if world.first:
        save_file({name: value.contiguous() for name, value in weights.items()}, out.with_suffix(".safetensors"))
        out.with_suffix(".json").write_text(json.dumps(told))


def work(rank: int, folder: Path, cases: list[str], plans: list[list[str]]) -> None:
    """One process: its share of what one process does alone, then what all do together."""
    os.environ["RANK"] = str(rank)
    torch.set_num_threads(1)
    world, single = processes.join(), Tensor.float
    alone = [plan for plan in plans if plan[1] == "1"]
    for name, size, parts, precision, rounds in [*alone[rank :: world.size], *(p for p in plans if p not in alone)]:
        double = precision == "fp64"
        torch.set_default_dtype(torch.float64 if double else torch.float32)
        Tensor.float = Tensor.double if double else single
        train(folder / name, world if size != "1" else processes.ALONE, cases, int(parts), int(rounds))
    processes.leave()
    processes.end(0)


def main(folder: str, size: str, cases: str, *plans: str) -> None:
    """Fork the processes, since they take longer to import everything than to train."""
    given = (Path(folder), cases.split(",") if cases else list(CASES), [plan.split(":") for plan in plans])
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=work, args=(rank, *given)) for rank in range(int(size))]
    for process in started:
        process.start()
    for process in started:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in started))


if __name__ == "__main__":
    main(*sys.argv[1:])
