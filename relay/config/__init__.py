"""Configuration: relay.toml as frozen, typed values, or every problem in it at once.

values       kinds of values: sizes, times, endpoints, domains, files
model        the sections, with a description of each key
load         file -> Configuration, or ConfigurationError with lines ``file:line:col: sentence (hint)``
positions    where each key of a TOML text stands         explain    pydantic's findings in words
draft        the sound sections of a file with mistakes   checks     what cannot be right between sections
files        certificates and keys that are named         policy     rules, lists and groups
doubts       legal, probably not meant: warnings          schema     JSON schema for editors
demo         the configuration of ``make run``            wordlists  keyword lists
"""

from relay.config.load import Inspection, inspect, load
from relay.config.model import Configuration

__all__ = ["Configuration", "Inspection", "inspect", "load"]
