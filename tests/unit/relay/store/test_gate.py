"""The gate between processes."""

import multiprocessing
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from relay.store.gate import Gate


def pass_often(file: Path, pipe: Pipe) -> None:
    """Go through the gate for one second, staying inside as long as a COMMIT takes; send how often."""
    gate = Gate(file)
    passes = 0
    pipe.send("ready")
    pipe.recv()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        with gate.held():
            inside = time.monotonic()
            passes += 1
            while time.monotonic() < inside + 0.0005:
                pass
    pipe.send(passes)


def test_two_busy_processes_take_turns(tmp_path: Path) -> None:
    """Of two processes that always want in, neither passes more than about twice as often as the other."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        worker = context.Process(target=pass_often, args=(tmp_path / "gate", theirs))
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    for pipe in pipes:
        assert pipe.recv() == "ready"
    for pipe in pipes:
        pipe.send("go")
    passes = sorted(pipe.recv() for pipe in pipes)
    for worker in workers:
        worker.join()
    assert passes[1] <= 2 * passes[0] + 10


def test_without_a_file_the_gate_is_open() -> None:
    """On PostgreSQL there is no gate."""
    gate = Gate(None)
    with gate.held():
        pass
    gate.close()
