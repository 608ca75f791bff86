"""Pages from templates: in the reader's language, in the organisation's name and time zone."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from portal.rendering.names import breakable
from relay.languages import Language, load_languages, negotiate

_HERE = Path(__file__).parent.parent
LOCALE = _HERE / "locale"
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def catalogue_folders() -> tuple[Path, ...]:
    """Return the folders that hold a catalogue for each language: ``locale`` and one for each topic in it."""
    return (LOCALE, *sorted(folder for folder in LOCALE.iterdir() if folder.is_dir()))


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of our own, served under a name that changes with its content."""

    path: str
    content: bytes
    media_type: str


def static_files() -> Mapping[str, StaticFile]:
    """Return our static files by their plain name (``portal.css``)."""
    found = {}
    for file in sorted((_HERE / "static").iterdir()):
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        path = f"/static/{file.stem}-{digest}{file.suffix}"
        found[file.name] = StaticFile(path, content, _TYPES[file.suffix])
    return found


@dataclass(frozen=True, slots=True)
class Site:
    """What every page says about whose portal this is. ``tags`` are what staff type into a subject, never shown."""

    organisation: str
    contact: str
    languages: tuple[str, ...]
    zone: tzinfo
    tags: tuple[str, ...] = ()


class Pages:
    """Renders templates. One object for the whole process."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.static = static_files()
        self._languages = load_languages(catalogue_folders(), site.languages)
        self._environments = {tag: self._environment(language) for tag, language in self._languages.items()}

    def language(self, request: Request) -> Language:
        """Return the configured language that the reader's browser likes best."""
        return self._languages[negotiate(request.headers.get("accept-language", ""), self.site.languages)]

    def render(self, language: Language, template: str, **values: object) -> str:
        """Return a template with its values as HTML. A value that the template needs and does not get is an error."""
        return self._environments[language.tag].get_template(template).render(**values)

    def respond(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page as a response in the reader's language."""
        language = self.language(request)
        # Content-Language and Vary are RFC 9110 §8.5 and §12.5.5; nothing of ours is stored by caches anyway.
        headers = {"Content-Language": language.tag, "Vary": "Accept-Language"}
        return HTMLResponse(self.render(language, template, **values), status, headers)

    def _environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
        zone = self.site.zone

        def clock(at: datetime) -> str:
            return language.clock(at, zone).replace(" ", "\u00a0")  # an hour stands in one line with its zone

        def date(at: datetime) -> str:
            return language.date(at, zone)

        def moment(at: datetime) -> str:
            return f"{date(at)}, {clock(at)}"

        environment.filters.update(
            moment=moment,
            date=date,
            clock=clock,
            size=language.size,
            breakable=breakable,
        )
        environment.globals.update(
            site=self.site, language=language.tag, css=self.static["portal.css"].path, icon=self.static["icon.svg"].path
        )
        return environment
