import json
import os
import pwd
import shlex
import shutil
import stat
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest
from click.testing import CliRunner

from relay.cli import main
from relay.config import load
from relay.errors import ConfigurationError
from tests.unit.relay.cli.conftest import Home


def test_init_makes_a_demo_that_is_sound(home: Home) -> None:
    """After init --demo there are configuration, word list, private keys and a database, and check is content."""
    assert load(Path("relay.toml")).demo is not None
    assert Path("lists/health-en.txt").exists()
    assert stat.S_IMODE(Path("var/keys").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path("var/letterlock.db").stat().st_mode) == 0o600
    result = home.run("check")
    assert result.stdout.startswith("relay.toml is sound.")
    assert result.stderr == ""


def test_init_changes_nothing_that_is_there(home: Home) -> None:
    """A second init keeps configuration, keys and database as they are."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.suffix != ".gate"}
    text = home.run("init", "--demo").stdout
    assert "already there" in text
    assert {path: path.read_bytes() for path in before} == before


def test_init_makes_no_new_keys_over_messages(home: Home) -> None:
    """Lost keys must come from their backup: new ones would open nothing of what is kept."""
    home.put("jane@example.net")
    shutil.rmtree("var/keys")
    result = home.run("init", code=1)
    assert "restore the keys from their backup" in result.stderr
    assert not Path("var/keys").exists()


def test_init_makes_no_new_database_over_parts_of_messages(home: Home) -> None:
    """A lost database must come from its backup: a new one would sweep away what the old one knew."""
    blob = Path("var/blobs/ab/ab000000000000000000000000000000")
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"sealed")
    home.run("init")
    for file in Path("var").glob("letterlock.db*"):
        file.unlink()
    result = home.run("init", code=1)
    assert "only their own database knows" in result.stderr
    assert "restore it from its backup" in result.stderr
    assert not Path("var/letterlock.db").exists()
    blob.unlink()
    assert home.run("init").stderr == ""


def test_init_says_that_its_keys_knew_another_database(home: Home) -> None:
    """Whoever meets a disk that is not mounted, and calls it, reads so before anything starts."""
    Path("var/keys/progress").write_text("7\n")
    Path("var/keys/progress").chmod(0o600)
    for file in Path("var").glob("letterlock.db*"):
        file.unlink()
    assert "These keys belonged to another database until now." in home.run("init").stderr
    assert home.run("init").stderr == ""


def test_init_asks_for_what_a_real_organisation_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --demo it asks three questions and writes a short configuration that works."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["init"], input="Council\ncouncil.example\n+44 20 7946 0000\n")
    assert result.exit_code == 0, result.output
    assert load(Path("relay.toml")).organisation.domains == ("council.example",)


def test_init_refuses_a_domain_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong word on the command line is a usage error, a wrong answer is asked for again; no file holds either."""
    monkeypatch.chdir(tmp_path)
    arguments = ["init", "--name", "Council", "--domain", "council", "--contact", "1"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert '"council" is no domain: write one such as example.net' in result.stderr
    assert not any(Path().iterdir())
    answers = "Council\nhttps://council.example\ncouncil.example\n1\n"
    assert CliRunner().invoke(main, ["init"], input=answers).exit_code == 0
    assert load(Path("relay.toml")).organisation.domains == ("council.example",)


def test_a_signing_key_comes_back_with_the_other_keys(home: Home) -> None:
    """On an empty machine relay.toml names a DKIM key that only the backup of the keys holds: it is no mistake yet."""
    made = home.json("keys", "dkim", "letter.example.org", "s1")
    table = f'\n[[dkim]]\ndomain = "letter.example.org"\nselector = "s1"\nkey = "{made["file"]}"\n'
    Path("relay.toml").write_text(Path("relay.toml").read_text() + table)
    home.run("backup", "keys", "saved-keys")
    home.run("backup", "storage", "saved-storage")
    shutil.rmtree("var")
    home.run("restore", code=1)
    assert not Path("var").exists()
    home.run("restore", "--keys", "saved-keys", "--storage", "saved-storage")
    assert home.json("keys", "dkim", "letter.example.org", "s1")["value"] == made["value"]
    home.run("check")


def test_init_does_not_wait_for_a_signing_key_that_needs_its_folder(home: Home) -> None:
    """A configuration with [[dkim]] and no keys yet: init makes the folder, and what check says then makes the key."""
    shutil.rmtree("var")
    table = '\n[[dkim]]\ndomain = "letter.example.org"\nselector = "s1"\nkey = "var/keys/dkim/s1.pem"\n'
    Path("relay.toml").write_text(Path("relay.toml").read_text() + table)
    home.run("init")
    said = home.run("check", code=1).stderr
    home.run(*shlex.split(said.partition('("letterlock ')[2].partition('"')[0]))
    home.run("check")


def test_init_says_when_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there is a sentence."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["-c", "nowhere/relay.toml", "init", "--demo"])
    assert result.exit_code == 1
    assert result.stderr == "nowhere/relay.toml cannot be written (No such file or directory)\n"


def test_check_names_every_problem_and_exits_with_one(home: Home) -> None:
    """All mistakes come at once on stderr, each with file, line and column."""
    text = Path("relay.toml").read_text().replace('domain = "letter', 'domian = "letter').replace('"seal"', '"sael"', 1)
    Path("relay.toml").write_text(text)
    result = home.run("check", code=1)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 3
    assert all(line.startswith("relay.toml:") for line in result.stderr.splitlines())
    found = json.loads(home.run("check", "--json", code=1).stdout)
    assert (found["ok"], len(found["problems"])) == (False, 3)


def test_check_says_the_rules_in_words_and_the_doubts_apart(home: Home) -> None:
    """Warnings stand on stderr and do not fail; the summary repeats each rule as a sentence."""
    text = Path("relay.toml").read_text().replace("[portal]", '[portal]\nnotice_subject = "original"')
    Path("relay.toml").write_text(text)
    result = home.run("check")
    assert "subjects of sealed messages are mailed in clear" in result.stderr
    assert "seal it when mail to people outside contains an NHS number" in result.stdout
    assert "(shadow) seal it when mail to the group partners has an attachment named *.xlsx or *.csv" in result.stdout
    found = home.json("check")
    assert (found["ok"], len(found["warnings"]), len(found["rules"])) == (True, 1, 10)


def test_check_prints_the_schema_without_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema for editors needs no relay.toml."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["check", "--schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["properties"]["rules"]


def test_root_checks_with_the_rights_of_the_gateways_user(home: Home) -> None:
    """What root alone may read would keep the gateway from starting: "check" says so whoever calls it."""
    words, ids = Path("lists/health-en.txt"), (os.geteuid(), os.getegid(), os.getgroups())
    for place in takewhile(lambda one: one != Path(gettempdir()), (home.folder, *home.folder.parents)):
        place.chmod(place.stat().st_mode | 0o011)
    words.chmod(0o600 if os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        for path in (Path("var"), *Path("var").rglob("*")):
            os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    result = home.run("check", code=ConfigurationError.exit_code)
    assert "lists.health.file: the file cannot be read (Permission denied)" in result.stderr
    assert (os.geteuid(), os.getegid(), os.getgroups()) == ids
    words.chmod(0o644)
    assert home.run("check").stderr == ""
    database = Path("var/letterlock.db")
    if os.geteuid() == 0:
        os.chown(database, 0, -1)  # as after a copy that root puts back by hand
    else:
        database.chmod(0o400)
    assert "storage.database: var/letterlock.db cannot be written" in home.run("check").stderr
