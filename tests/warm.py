"""Imports what the command line may need, once, in the process that `tests.launcher` forks commands from."""

from importlib import import_module
from importlib.metadata import entry_points

from relay.cli import root
from relay.services import find_services

for _name in root._OWN:  # each of the relay's own commands is a module of that name
    import_module(f"relay.cli.{_name}")
for _entry in entry_points(group=root.GROUP):
    _entry.load()
find_services()
