"""What every command knows: the configuration file that was named."""

from dataclasses import dataclass
from pathlib import Path

import click

from relay.config import Configuration, load


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line."""

    config_path: Path

    def configuration(self, *, keys_follow: bool = False) -> Configuration:
        """Load the configuration; ConfigurationError names every problem.

        With ``keys_follow`` files below the folder of the keys need not be there yet.
        """
        return load(self.config_path, keys_follow=keys_follow)


pass_session = click.make_pass_decorator(Session)
