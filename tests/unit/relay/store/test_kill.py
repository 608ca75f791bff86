"""kill -9 in the middle of group commits."""

import os
import subprocess
import sys
from pathlib import Path

KILLS = 300 if os.environ.get("LETTERLOCK_DRILL") else 12


def test_no_reported_transaction_is_lost_when_the_process_is_killed(sqlite_url: str, tmp_path: Path) -> None:
    """Over many kills: what was reported as durable is there, and no transaction is there by half."""
    assert sqlite_url
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py"), tmp_path / "letterlock.db", str(KILLS)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    kills, reported, lost, half = map(int, result.stdout.split())
    assert (kills, lost, half) == (KILLS, 0, 0)
    assert reported > KILLS
