import json
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text

from relay import clock, logs
from relay.housekeeping import Housekeeping
from relay.store.checkpoints import checkpoint
from relay.vault.blobs import FileBlobs
from tests.unit.relay.cli.conftest import Home


def sign(home: Home) -> str:
    """Sign a checkpoint as the gateway does each minute; return the line that it exports."""
    with home.opened() as one:
        line = one.store.run(lambda conn: checkpoint(conn, one.keyring, clock.now()))
    assert line is not None
    return line


def write_log(*lines: str) -> Path:
    """Write a log as another machine would have kept it: other events, and a prefix of a log collector."""
    file = Path("kept.log")
    kept = [
        "not a line of ours, with the word checkpoint {",
        json.dumps({"event": "swept", "result": "checkpoint"}),
        *(f"host letterlock[7]: {json.dumps({'line': line, 'event': 'checkpoint'})}" for line in lines),
    ]
    file.write_text("\n".join(kept))
    return file


def tamper(home: Home, statement: str) -> None:
    """Change the database as somebody with access to it could."""
    with home.opened() as one:
        one.store.run(lambda conn: conn.execute(text(statement)) and None)


def test_an_untouched_audit_is_proven_up_to_its_last_checkpoint(home: Home) -> None:
    """Proven and unproven events are counted, and no problem is found."""
    home.put("jane@example.net")
    home.put("ron@example.net")
    sign(home)
    home.put("kim@example.net")
    said = home.run("audit", "verify").stdout
    assert "2 events are covered by 1 checkpoint, until 20" in said
    assert "1 event is newer than the last checkpoint and unproven" in said
    assert "No problem was found." in said
    found = home.json("audit", "verify")
    assert (found["ok"], found["events"], found["proven"], found["unproven"]) == (True, 3, 2, 1)
    assert found["problems"] == []


def test_an_audit_without_a_checkpoint_proves_nothing(home: Home) -> None:
    """Before the first checkpoint that is said, and is no problem."""
    home.put("jane@example.net")
    assert "Nothing is proven" in home.run("audit", "verify").stdout
    assert home.json("audit", "verify")["proven_until"] is None


def test_a_changed_event_is_a_problem_and_an_exit_code(home: Home) -> None:
    """Every problem is a line, for people and for scripts."""
    home.put("jane@example.net")
    home.put("ron@example.net")
    sign(home)
    tamper(home, "UPDATE audit SET event = 'refused' WHERE seq = 1")
    said = home.run("audit", "verify", code=1).stdout
    assert "cli: event 1 was changed" in said
    assert "1 problem: the audit is not what was signed." in said
    found = json.loads(home.run("audit", "verify", "--json", code=1).stdout)
    assert not found["ok"]
    assert len(found["problems"]) == 1


def test_a_log_kept_elsewhere_shows_that_the_newest_part_was_cut_off(home: Home) -> None:
    """Events that went together with the checkpoint over them are missed only by the exported line."""
    home.put("jane@example.net")
    first = sign(home)
    home.put("ron@example.net")
    second = sign(home)
    log = write_log(first, second)
    assert "Compared with 2 exported checkpoints." in home.run("audit", "verify", "--exported", str(log)).stdout
    tamper(home, "DELETE FROM audit WHERE seq > 1")
    tamper(home, "DELETE FROM checkpoint WHERE seq > 1")
    assert "Not compared with a log" in home.run("audit", "verify").stdout
    assert second in home.run("audit", "verify", "--exported", str(log), code=1).stdout
    assert home.run("audit", "verify", "--exported", str(write_log(first))).exit_code == 0


def test_the_gateways_own_log_is_what_is_read(home: Home) -> None:
    """The line that the duty of the gateway writes, through its real log, is recognised."""
    home.put("jane@example.net")
    log = Path("gateway.log")
    with home.opened() as one, log.open("w") as stream:
        logs.configure(stream=stream, json=True)
        try:
            blobs = FileBlobs(one.configuration.storage.blobs)
            Housekeeping(one.store, blobs, one.keyring, one.audit, b"owner")._checkpoint()
        finally:
            structlog.reset_defaults()
    assert home.json("audit", "verify", "--exported", str(log))["exported"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), ("nothing\n", "holds no checkpoint"), ("[" * 9999, "holds no checkpoint")],
)
def test_a_log_without_a_checkpoint_is_refused(home: Home, content: str | None, words: str) -> None:
    """A check against nothing does not pass for a check."""
    if content is not None:
        Path("kept.log").write_text(content)
    assert words in home.run("audit", "verify", "--exported", "kept.log", code=1).stderr
