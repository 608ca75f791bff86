"""A private PostgreSQL server for tests: its own folder and socket, no TCP port, gone with the test session."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg

_USER = "letterlock"


class PostgreSQL:
    """One running server. As root it runs as ``nobody``, because PostgreSQL refuses to be root."""

    def __init__(self) -> None:
        programs = _programs()
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="letterlock-pg-"))
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        data = self._folder / "data"
        self._start(
            programs / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"
        ).communicate()
        self._server = self._start(
            programs / "postgres",
            "-D",
            data,
            "-k",
            self._folder,
            "-c",
            "listen_addresses=",
            "-c",
            "max_connections=200",
        )
        self._numbers = count()
        self._wait()

    def new_database(self) -> str:
        """Return the URL of a fresh, empty database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(host=str(self._folder), user=_USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://{_USER}@/{name}?host={self._folder}"

    def stop(self) -> None:
        """Stop the server at once and remove everything it kept."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.communicate()
        shutil.rmtree(self._folder)

    def _start(self, *command: object) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            [str(word) for word in command],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(host=str(self._folder), user=_USER, dbname="postgres").close()
            except psycopg.OperationalError:
                assert self._server.poll() is None, "PostgreSQL did not start"
                assert time.monotonic() < end, "PostgreSQL did not answer within 30 s"
                time.sleep(0.02)
            else:
                return


def _programs() -> Path:
    """Return the folder of initdb and postgres, the newest version there is."""
    folders = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda path: float(path.parent.name),
    )
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    assert found, "no PostgreSQL server here: install it with `apt-get install postgresql`"
    return Path(found).resolve().parent
