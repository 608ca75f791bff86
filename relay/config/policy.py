"""Rules, lists and groups of relay.toml as a compiled ruleset, or as problems at their lines."""

from typing import Any

from policies.faults import RuleFault
from policies.ruleset import RulesError, Ruleset, RuleSpec, compile_rules
from relay.config.draft import Draft
from relay.config.positions import Key
from relay.config.problems import Problem, did_you_mean, dotted
from relay.config.wordlists import read_terms

# Stand for a group or list that is wrong itself, so that the rules which use it are not blamed as well: a list has as
# many terms as any rule may ask for.
_STAND_IN = ("example.invalid",)
_TERMS = tuple(f"term-{number}" for number in range(1000))


def check_policy(draft: Draft) -> tuple[Ruleset | None, list[Problem], list[Problem]]:
    """Return the compiled ruleset (None where there are problems), problems, and doubts."""
    lists, problems = _lists(draft)
    groups = {name: _STAND_IN if members is None else members for name, members in draft.groups.items()}
    mailing_lists = draft.organisation.mailing_lists if draft.organisation else _STAND_IN
    indices = tuple(draft.rules)
    try:
        ruleset = compile_rules(tuple(draft.rules.values()), lists=lists, groups=groups, mailing_lists=mailing_lists)
    except RulesError as error:
        known = (*lists, *groups)
        problems += [_problem(fault, indices, draft, known) for fault in error.faults]
        return None, problems, []
    doubts = [_problem(fault, indices, draft, ()) for fault in ruleset.warnings]
    doubts += _unused(draft)
    return (None if problems else ruleset), problems, doubts


def _lists(draft: Draft) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    lists: dict[str, tuple[str, ...]] = {}
    problems = []
    for name, words in draft.lists.items():
        lists[name] = _TERMS
        if words is None:
            continue
        path = ("lists", name, "file")
        try:
            lists[name] = read_terms(words.file)
        except FileNotFoundError:
            problems.append(Problem(path, f"{dotted(path)}: there is no file {draft.written(words.file)}"))
        except OSError as error:
            problems.append(Problem(path, f"{dotted(path)}: the file cannot be read ({error.strerror})"))
        except ValueError as error:
            problems.append(Problem(path, f"{dotted(path)}: {draft.written(words.file)} {error}"))
    return lists, problems


def _problem(fault: RuleFault, indices: tuple[int, ...], draft: Draft, known: tuple[str, ...]) -> Problem:
    """Point at the place in the file: rules that could not be read at all were not compiled."""
    path: Key = fault.path
    if fault.rule is None:
        words = draft.lists.get(str(path[1])) if path[0] == "lists" else None
        return Problem(path, f"{dotted(path)}: {fault.sentence}", f"in {draft.written(words.file)}" if words else "")
    index = indices[fault.rule]
    rule = draft.rules[index]
    path = ("rules", index, *path[2:])
    rest = dotted(path[2:])
    sentence = f'rule "{rule.name}": {f"{rest}: " if rest else ""}{fault.sentence}'
    written = _written(rule, path[2:]) if path[-1] in {"to", "keywords"} else ""
    guessed = not written or written in known or "did you mean" in fault.sentence
    return Problem(path, sentence, "" if guessed else did_you_mean(written, known))


def _written(rule: RuleSpec, path: Key) -> str:
    """Return the text of a rule at a path, without the word ``group:`` in front; empty where it is no text."""
    node: Any = rule.model_dump(by_alias=True)
    for part in path:
        try:
            node = node[part]
        except (LookupError, TypeError):
            return ""
    return node.removeprefix("group:") if isinstance(node, str) else ""


def _unused(draft: Draft) -> list[Problem]:
    """Doubt lists and groups that no rule names: most often the rule names another by mistake."""
    texts: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, str):
            texts.add(node)
        elif isinstance(node, dict):
            collect(list(node.values()))
        elif isinstance(node, list | tuple):
            for item in node:
                collect(item)

    for rule in draft.rules.values():
        collect(rule.model_dump(by_alias=True))
    doubts = [
        Problem(("lists", name), f'no rule uses the list "{name}"', at="key")
        for name in draft.lists
        if name not in texts
    ]
    return doubts + [
        Problem(("groups", name), f'no rule uses the group "{name}"', at="key")
        for name in draft.groups
        if f"group:{name}" not in texts
    ]
