"""Imports what the command line may need, once, in the process that `tests.launcher` forks commands from."""

import click

from relay.cli import main
from relay.services import find_services

_CONTEXT = click.Context(main)
for _name in main.list_commands(_CONTEXT):
    main.get_command(_CONTEXT, _name)
find_services()
