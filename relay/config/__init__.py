"""Configuration: relay.toml as frozen, typed values, or every problem in it at once.

values       kinds of values: endpoints, domains, files   amounts    sizes and times
model        the sections, each key described             next_hops  those that say where mail goes
load         file -> Configuration, or ConfigurationError with lines ``file:line:col: sentence (hint)``
positions    where each key of a TOML text stands         explain    pydantic's findings in words
draft        the sound sections of a file with mistakes   checks     what cannot be right between sections
problems     one mistake: where, what, what instead       renewal    what a running gateway cannot take
source       the text that the processes of one share     policy     rules, lists and groups
files        what relay.toml names: `contents` opens it, `certificates`, `signing_keys`, `users`, `wordlists` read it
doubts       legal, probably not meant: warnings          schema     JSON schema for editors
demo         the configuration of ``make run``            starter    the first one of a real organisation
"""

from relay.config.load import Inspection, inspect, load
from relay.config.model import Configuration

__all__ = ["Configuration", "Inspection", "inspect", "load"]
