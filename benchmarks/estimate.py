"""Throughput and efficiency of many devices, estimated from measurements of one: no cluster was available."""

from __future__ import annotations

import math
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from benchmarks import plain
from benchmarks.throughput import rate
from gancli import checkpoint
from gancli.runs import planning
from gancli.training.loop import Trainer

TITLE = "Many devices, estimated"
CASE = plain.Case("dcgan", "emoji", 64)
DEVICES = (1, 8, 64, 1024)
FASTER = (1, 100)
"""Times as fast as the measured device."""
NODE, INSIDE, BETWEEN, LATENCY = 8, 200e9, 25e9, 20e-6
"""Assumed: devices of a machine; bytes a second of each within it, and to others; seconds for a message."""


def measure(quick: bool) -> dict[str, Any]:
    """Images a second, weights, exchanges of a round and a checkpoint of one device.

    Args:
        quick: digits instead, for an instant.
    """
    case = plain.Case("dcgan") if quick else CASE
    if case.place is None:
        return {"absent": case.absent()}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made, dataset = plain.prepare(case, device)
    trainer = Trainer(made, dataset, device)
    images = planning.images_a_round(trainer)
    span = 0.05 if quick else 2.0
    speeds = [rate(trainer.round, span, images, device) for _ in range(5)]
    norms: list[int] = []
    hooks = [
        module.register_forward_hook(lambda *_: norms.append(1))
        for network in trainer.networks.values()
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    trainer.round()
    for hook in hooks:
        hook.remove()
    weights = {name: sum(p.nbytes for p in network.parameters()) for name, network in trainer.networks.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        start = time.perf_counter()
        tensors, tree = checkpoint.flatten(trainer.state())
        checkpoint.write(path, tensors, {"state": tree})
        saved = {"seconds": time.perf_counter() - start, "bytes": path.stat().st_size}
    return {
        "model": case.name,
        "batch": made.training.batch,
        "images_per_second": speeds,
        "weights": weights,
        "norms": len(norms),
        "image_bytes": dataset.images[0].nbytes,
        "checkpoint": saved,
    }


def reckon(found: dict[str, Any], devices: int, faster: float) -> dict[str, float]:
    """A round of so many devices, each with the measured batch, that are so many times as fast as the measured one.

    Gradients travel in as many bytes as round a ring, within a machine and between machines at their own speeds; every
    exchange takes the steps of a tree. Nothing is assumed to happen while the device computes, though PyTorch sends the
    first gradients while the last are computed.
    """
    single = median(found["images_per_second"]) * faster
    compute = found["batch"] / single
    bandwidth = INSIDE if devices <= NODE else BETWEEN
    sent = 2 * (devices - 1) / devices * sum(found["weights"].values())
    steps = math.ceil(math.log2(devices)) if devices > 1 else 0
    # Of batch norm: its statistics on the way forth, and as much on the way back. One says when to save and to stop.
    messages = steps * LATENCY * (2 * found["norms"] + len(found["weights"]) + 1)
    talk = sent / bandwidth + messages
    images = devices * found["batch"] / (compute + talk)
    return {
        "devices": devices,
        "batch": devices * found["batch"],
        "round": compute + talk,
        "sent": sent,
        "talk": talk,
        "images": images,
        "efficiency": compute / (compute + talk),
        "data": images * found["image_bytes"],
    }


def markdown(found: dict[str, Any]) -> str:
    """What was measured, what is assumed, and a table."""
    if "absent" in found:
        return f"Not measured: {found['absent']}."
    saved, weights = found["checkpoint"], sum(found["weights"].values())
    lines = [
        f"Measured on one device, `{found['model']}` with a batch of {found['batch']}: "
        f"{median(found['images_per_second']):,.0f} images/s; {weights / 1e6:.1f} MB of weights, whose gradients are "
        f"exchanged once a round; {found['norms']} passes through batch norm a round; an image is "
        f"{found['image_bytes']:,} bytes; a checkpoint of {saved['bytes'] / 1e6:.1f} MB took {saved['seconds']:.2f} s. "
        "Only the first process writes it, and it does not depend on the number of devices.",
        "",
        f"Assumed: {NODE} devices a machine, {INSIDE / 1e9:.0f} GB/s from each to others in the same machine and "
        f"{BETWEEN / 1e9:.0f} GB/s between machines, {LATENCY * 1e6:.0f} microseconds a message, no overlap of "
        "communication and computation. The efficiency is therefore a lower bound under these assumptions. Only the "
        f"first row is measured; the device that is {FASTER[-1]} times as fast stands for a GPU.",
        "",
        "| speed of a device | devices | global batch | sent by each | of a round | images/s | efficiency | data |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for faster in FASTER:
        for devices in DEVICES:
            row = reckon(found, devices, faster)
            lines.append(
                f"| {faster}x | {devices:,} | {row['batch']:,} | {row['sent'] / 1e6:.1f} MB "
                f"| {row['talk'] * 1e3:.2f} ms of {row['round'] * 1e3:.1f} | {row['images']:,.0f} "
                f"| {row['efficiency']:.0%} | {row['data'] / 1e6:,.1f} MB/s |"
            )
    return "\n".join(lines)
