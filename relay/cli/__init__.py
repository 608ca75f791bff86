"""The command line: ``letterlock``. One module a command, loaded when it is asked for.

root       the group, what is common to all commands, errors as sentences
session    what commands share: the configuration, keys and store that it names
terminal   tables, JSON and sentences, for people and for pipes
wording    rules in words
opened     keys and store, for the commands that need them; whom and spans read and print ids, addresses and times

init check run policy queue held trace report audit keys users backup restore recover version    the commands;
of them dns, signing, drop, pausing and summary have a part each
"""

from relay.cli.root import main

__all__ = ["main"]
