"""Write a release file to start from: with placeholders, or with what a server has."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability import commands
from observability.commands import NowFlag
from observability.errors import ConfigError

if TYPE_CHECKING:
    from observability.model import PrometheusSettings
    from observability.proposal import Proposal

STDOUT = "-"
TEMPLATES = Path(__file__).parent / "templates"
COMMENT_WIDTH = 120


def main(
    file: Annotated[str, typer.Argument(help="The release file to write; - is stdout.")] = "release.yaml",
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="<url or file>",
            help="Propose what this Prometheus server has; a release file names one and how to authenticate.",
        ),
    ] = None,
    release: Annotated[str, typer.Option(help="What is released.")] = "my-release",
    ga: Annotated[
        str | None, typer.Option(help="The GA instant, e.g. 2025-11-18T00:00:00Z. [default: the next full hour]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    now: NowFlag = None,
) -> None:
    """Write a release file to start from.

    Every section is explained in it. With --from it proposes the services, the label that tells them apart, the
    queries, the step and the KPIs from what the server had samples of in the last hour; what was not found is said in
    the file and on stderr.

    Example: postga init release.yaml --from http://localhost:9090 --release checkout-v1.0.1 --ga 2025-11-18T00:00:00Z
    """
    if not release.strip():
        raise ConfigError("--release is empty; say what is released, such as checkout-v1.0.1.")
    if file != STDOUT and Path(file).exists() and not force:
        raise ConfigError(f"{file} exists already; give another name, or --force to replace it.")
    present = commands.the_present(now)
    instant = _next_hour(present) if ga is None else commands.instant("--ga", ga)
    settings = None if origin is None else _settings(origin)
    found = None if settings is None else _proposal(settings, present)
    text = render(release, instant, found, settings, ga_is_given=ga is not None)
    for sentence in found.missing if found else ():
        commands.warn(f"not found: {sentence}")
    if file == STDOUT:
        print(text, end="")
        return
    _write(file, text)
    command = f"postga validate {shlex.quote(file)} --probe"
    print(f"Next: read {file}, correct it, then run: {command}", file=sys.stderr)


def _write(file: str, text: str) -> None:
    from observability.store import Store

    commands.say(Store().write_bytes(file, text.encode()))


def _next_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _settings(origin: str) -> PrometheusSettings:
    from observability.http_config import has_credentials
    from observability.model import PrometheusSettings
    from observability.release import load

    if Path(origin).is_file():
        return load(Path(origin)).prometheus
    if "://" not in origin:
        shown = "the text" if "@" in origin else f"'{origin}'"
        raise ConfigError(f"--from: {shown} is no file that is there, and no URL such as http://localhost:9090.")
    if has_credentials(origin):
        commands.warn("the credentials of --from are not written into the file; see the comments under `prometheus:`.")
    return PrometheusSettings(url=origin)


def _proposal(settings: PrometheusSettings, now: datetime) -> Proposal:
    from observability.choice import Choice
    from observability.proposal import propose
    from observability.release import flags_release
    from observability.sources.prometheus import Prometheus
    from observability.survey import Survey

    server = Prometheus(settings)
    with commands.progress(f"asking {server.url}"):
        return propose(Choice(Survey(server, flags_release(now, settings.url), now)))


def render(
    release: str,
    ga: datetime,
    found: Proposal | None = None,
    settings: PrometheusSettings | None = None,
    *,
    ga_is_given: bool = True,
) -> str:
    """The release file. Without a proposal it has placeholders for one service."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from observability.model import DEFAULT_URL, PrometheusSettings, Window, format_instant
    from observability.release import flags_release

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": _yaml, "comment": _comment, "instant": format_instant}
    catalog = flags_release(ga, DEFAULT_URL)
    return environment.get_template("release.yaml.j2").render(
        release=release,
        ga=ga,
        ga_is_given=ga_is_given,
        found=found,
        prometheus=_block(settings or PrometheusSettings()),
        objectives=[slo for slo in catalog.slos if not found or not found.only or slo.kpi in found.only],
        example=Window(start=ga + timedelta(days=2, hours=2), end=ga + timedelta(days=2, hours=4)),
    )


def _block(settings: PrometheusSettings) -> str:
    """The fields of `prometheus:` that are not the defaults, without credentials in the URL."""
    import textwrap

    import yaml

    fields = settings.model_dump(mode="json", exclude_defaults=True)
    fields = {"url": settings.model_dump(mode="json")["url"], **fields}
    return textwrap.indent(yaml.safe_dump(fields, sort_keys=False, width=float("inf")), "  ").rstrip()


def _yaml(value: str | None) -> str:
    """The value as YAML reads it back, on one line, quoted only where it must be."""
    import yaml

    if value is not None and not value.isprintable():
        return yaml.safe_dump(value, default_style='"', width=float("inf")).strip()
    return yaml.safe_dump({"is": value}, width=float("inf"), allow_unicode=True).removeprefix("is: ").strip()


def _comment(text: str, indent: str = "", continued: str = "# ") -> str:
    import textwrap

    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return "\n".join(
        textwrap.wrap(
            printable,
            COMMENT_WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=indent + continued,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
