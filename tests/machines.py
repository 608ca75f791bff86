"""A further machine on the database of another gateway."""

import re
from pathlib import Path

from tests.gateway import Gateway, free_port


def further_machine(folder: Path, first: Gateway, machine: str) -> Gateway:
    """Install one more machine: the relay.toml of the first with another name and other ports, nothing else."""
    smtp, portal = free_port(), free_port()
    text = (first.folder / "relay.toml").read_text()
    text = text.replace(f'"127.0.0.1:{first.smtp}"', f'"127.0.0.1:{smtp}"')
    text = text.replace(f'listen = "127.0.0.1:{first.portal}"', f'listen = "127.0.0.1:{portal}"')
    text = re.sub(r'machine = ".*"', f'machine = "{machine}"', text)
    folder.mkdir(exist_ok=True)
    (folder / "relay.toml").write_text(text)
    return Gateway(folder, smtp, portal)
