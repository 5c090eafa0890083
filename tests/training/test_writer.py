"""What is written while the training goes on: in order, as it was, and no failure is lost."""

import threading

import pytest
import torch

from gancli.runs.writer import AHEAD, Writer, snapshot


def test_work_is_done_in_order_on_another_thread() -> None:
    writer, done = Writer(), []
    for number in range(20):
        writer.do(lambda number=number: done.append((number, threading.get_ident())))
    writer.wait()
    assert [number for number, _ in done] == list(range(20))
    assert {thread for _, thread in done} != {threading.get_ident()}


def test_a_slow_disk_is_waited_for_before_too_much_is_held() -> None:
    writer, gate, started = Writer(), threading.Event(), threading.Event()
    for _ in range(AHEAD):
        writer.do(lambda: gate.wait(600) and None)
    late = threading.Thread(target=lambda: (writer.do(lambda: None), started.set()))
    late.start()
    assert not started.wait(0.1)
    gate.set()
    late.join(600)
    assert started.is_set()


def test_a_failure_is_raised_by_the_next_call_and_by_waiting() -> None:
    def fail() -> None:
        raise OSError("no space left")

    writer = Writer()
    writer.do(fail)
    with pytest.raises(OSError, match="no space"):
        writer.wait()
    writer.wait()  # told once
    writer.do(fail)
    writer._thread.submit(lambda: None).result()
    with pytest.raises(OSError, match="no space"):
        writer.do(lambda: None)


def test_a_snapshot_stays_as_it_was() -> None:
    image = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)
    weights = {"flat": torch.ones(3, requires_grad=True), "image": image, "part": torch.arange(10.0)[::2]}
    kept = snapshot(weights)
    with torch.no_grad():
        weights["flat"].add_(1)
        image.add_(1)
    assert all(value.is_contiguous() and not value.requires_grad for value in kept.values())
    assert torch.equal(kept["flat"], torch.ones(3))
    assert torch.equal(kept["image"], torch.ones(2, 3, 4, 4))
    assert torch.equal(kept["part"], torch.arange(0.0, 10, 2))
