"""Run by test_kill.py: writes through a store until killed, again and again, and compares with what was reported.

Usage: ``python killed.py SQLITE-FILE KILLS``. Prints one line: kills, reported transactions, lost ones, half ones.
"""

import os
import random
import signal
import sqlite3
import struct
import sys
import threading
import time
from itertools import count

from sqlalchemy import Connection

from relay.store.batch import insert_later
from relay.store.duties import META
from relay.store.writer import open_store


def work(name: str) -> object:
    """Return a transaction of two rows: one written at once, one with the batch."""

    def rows(connection: Connection) -> None:
        connection.execute(META.insert(), [{"name": f"{name} a", "value": "x" * 3000}])
        insert_later(connection, META, [{"name": f"{name} b", "value": "x" * 3000}])

    return rows


def write(url: str, pipe: int, life: int) -> None:
    """Write from several threads until killed; report each transaction through the pipe once it is durable."""
    store = open_store(url)

    def one_thread(thread: int) -> None:
        for number in count():
            store.run(work(f"{life} {thread} {number}"))  # type: ignore[arg-type]
            os.write(pipe, struct.pack(">III", life, thread, number))

    for thread in range(4):
        threading.Thread(target=one_thread, args=(thread,)).start()
    signal.pause()


def main(file: str, kills: int) -> None:
    """Kill ``kills`` writers, each after a random moment of work."""
    reported: set[str] = set()
    for life in range(kills):
        read_end, write_end = os.pipe()
        writer = os.fork()
        if writer == 0:
            write(f"sqlite:///{file}", write_end, life)
        os.close(write_end)
        os.read(read_end, 12)  # it has begun
        time.sleep(random.uniform(0, 0.05))
        os.kill(writer, signal.SIGKILL)
        with os.fdopen(read_end, "rb") as pipe:
            reported.update(f"{a} {b} {c}" for a, b, c in struct.iter_unpack(">III", pipe.read()))
        os.waitpid(writer, 0)
    rows = {name for (name,) in sqlite3.connect(file).execute("SELECT name FROM meta")}
    lost = [name for name in reported if f"{name} a" not in rows or f"{name} b" not in rows]
    half = [name for name in rows if name[:-1] + ("b" if name.endswith("a") else "a") not in rows]
    sys.stdout.write(f"{kills} {len(reported)} {len(lost)} {len(half)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
