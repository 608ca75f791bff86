"""The command line: ``letterlock``. One module a command, loaded when it is asked for.

root       the group, what is common to all commands, errors as sentences
session    what commands share: the configuration, keys and store that it names
terminal   tables, JSON and sentences, for people and for pipes
wording    rules in words
init check run version keys policy queue held trace report audit recover    the commands
"""

from relay.cli.root import main

__all__ = ["main"]
