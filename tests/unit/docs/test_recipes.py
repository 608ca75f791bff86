"""The recipes are tried: relay.toml loads with their tables, Postfix knows their settings, PowerShell lines are whole."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trustme

from relay.config.load import inspect

RECIPES = sorted((Path(__file__).parents[3] / "docs" / "recipes").glob("*.md"))
BASE = """\
[organisation]
name = "Example Council"
domains = ["example.org"]
contact = "Help desk, +44 20 7946 0000"
[gateway]
domain = "letter.example.org"
[storage]
database = "sqlite:///letterlock.db"
[portal]
base_url = "https://letter.example.org"
listen = "127.0.0.1:8080"
"""
NEEDED = {
    "[listen.": '[listen.submission]\naddress = "192.0.2.10:2525"\n',
    "[route.inside]": '[route.inside]\nhosts = ["mail.example.org:25"]\n',
    "[route.outside]": '[route.outside]\nhosts = ["smarthost.example.org:25"]\n',
}


def blocks(recipe: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language (empty: those without a name)."""
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", recipe.read_text(), re.MULTILINE | re.DOTALL)
    return [fence[2] for fence in fences if fence[1] == language]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_tables_of_a_recipe_load(recipe: Path, tmp_path: Path) -> None:
    """All tables of a page together, with what every configuration has, are a configuration without a problem."""
    certificate = trustme.CA().issue_cert("letter.example.org")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "relay.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "relay.key")
    (tmp_path / "relay.key").chmod(0o600)
    text = "\n".join(blocks(recipe, "toml")).replace("/etc/letterlock", str(tmp_path))
    assert text
    text = BASE + "".join(table for name, table in NEEDED.items() if name not in text) + text
    (tmp_path / "relay.toml").write_text(text)
    inspection = inspect(tmp_path / "relay.toml")
    assert inspection.problems == ()


def test_postfix_knows_the_settings(tmp_path: Path) -> None:
    """No parameter of the Postfix recipe is one that Postfix ignores."""
    settings = "".join(blocks(RECIPES[0].with_name("postfix.md"), ""))
    names = set(re.findall(r"^(\w+) =", settings, re.MULTILINE))
    (tmp_path / "main.cf").write_text(settings)
    (tmp_path / "master.cf").write_text("smtp unix - - n - - smtp\n")
    program = shutil.which("postconf") or "/usr/sbin/postconf"
    done = subprocess.run([program, "-c", tmp_path, "-n"], capture_output=True, text=True, check=True)
    assert "unused parameter" not in done.stderr
    assert names <= {line.partition(" =")[0] for line in done.stdout.splitlines()}
