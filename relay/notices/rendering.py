"""Templates made ready for one organisation and one language.

Most of a notice is the same in every mail: our own phrases, translated, and who the organisation is. That is put in
its place when a template is compiled, so that writing a mail only fills in what is its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.nodes import Call, Const, Dict, EvalContext, Expr, Mod, Name, Pair
from jinja2.nodes import Template as Tree
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from relay.languages import Language

FOLDER = Path(__file__).parent / "templates"


class Rendering:
    """Renders notices in one language. ``fixed`` are the values that are the same in all of them, by their names.

    HTML is escaped by the template engine: fixed values too.
    """

    def __init__(self, language: Language, fixed: Mapping[str, str]) -> None:
        self._environment = _Environment(language, fixed)
        self._templates: dict[str, Template] = {}

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """Return the text of a template, such as ``pickup/text.j2``; a missing value raises jinja2.UndefinedError."""
        template = self._templates.get(name)
        if template is None:
            template = self._templates[name] = self._environment.get_template(name)
        return template.render(values)


class _Environment(Environment):
    def __init__(self, language: Language, fixed: Mapping[str, str]) -> None:
        super().__init__(
            loader=FileSystemLoader(FOLDER),
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith("html.j2"),  # text.j2 is no HTML
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
        # All that a template may name besides its values: what is there is copied for each mail.
        self.globals = {"ngettext": self.globals["ngettext"]}
        self._language = language
        self._fixed = fixed

    def _generate(self, source: Tree, name: str | None, filename: str | None, defer_init: bool = False) -> str:
        html = EvalContext(self, name).autoescape
        source = _FilledIn(self._language.gettext, self._fixed, html=html).visit(source)
        source.set_environment(self)
        return super()._generate(source, name, filename, defer_init)


class _FilledIn(NodeTransformer):
    """Puts fixed values in the place of their names, and ``translation % values`` in the place of ``_(phrase, …)``.

    Where all the values are fixed the compiler works that out too.
    """

    def __init__(self, gettext: Callable[[str], str], fixed: Mapping[str, str], *, html: bool) -> None:
        self._gettext = gettext
        self._fixed = fixed
        self._html = html

    def visit_Name(self, node: Name) -> Expr:  # noqa: N802  # named after the class of the node
        return Const(self._fixed[node.name], lineno=node.lineno) if node.name in self._fixed else node

    def visit_Call(self, node: Call) -> Expr:  # noqa: N802
        self.generic_visit(node)
        if not (isinstance(node.node, Name) and node.node.name == "_"):
            return node
        text = self._gettext(node.args[0].as_const())
        values = Dict([Pair(Const(one.key), one.value) for one in node.kwargs], lineno=node.lineno)
        # Our own phrases may hold HTML; what is put into them is escaped.
        phrase: Any = Markup(text) if self._html else text  # noqa: S704
        return Mod(Const(phrase), values, lineno=node.lineno)
