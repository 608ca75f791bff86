"""docs/rules.md tells the truth: its examples are rules that compile, and it names every condition."""

import re
import tomllib
from pathlib import Path

from policies.conditions import CONDITION_KEYS
from policies.engine import BUILT_IN
from policies.identifiers import IDENTIFIERS
from policies.model import Action, Mode, Receipt
from policies.ruleset import RuleSpec, compile_rules

DOCUMENT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def test_the_examples_are_one_working_policy() -> None:
    """All examples together, in the order of the page, are rules without a fault or a warning."""
    tables = [tomllib.loads(example) for example in EXAMPLES]
    rules = [RuleSpec.model_validate(rule) for table in tables for rule in table.get("rules", [])]
    groups = {name: tuple(places) for table in tables for name, places in table.get("groups", {}).items()}
    lists = {name: ("asthma", "insulin", "dialysis") for table in tables for name in table.get("lists", {})}
    [mailing_lists] = [table["organisation"]["mailing_lists"] for table in tables if "organisation" in table]
    ruleset = compile_rules(rules, lists=lists, groups=groups, mailing_lists=mailing_lists)
    assert len(ruleset.rules) == len(EXAMPLES) + 2  # one block has no rule, one has two, one has three
    assert ruleset.warnings == ()


def test_the_page_names_everything() -> None:
    """Every condition, identifier, action and mode stands on the page in code style."""
    words = [*CONDITION_KEYS, *IDENTIFIERS, *(mode.value for mode in Mode)]
    words += [*(action.word for action in Action), *(receipt.word for receipt in Receipt), *BUILT_IN]
    assert [word for word in words if f"`{word}`" not in DOCUMENT and f"`{word}`:" not in DOCUMENT] == []
