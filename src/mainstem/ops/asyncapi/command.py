"""The command: a document to standard output or a file, or a page."""

from importlib.metadata import version
from pathlib import Path

import click

from mainstem.ops.arguments import WrittenFile, load_services
from mainstem.ops.asyncapi.document import document_of
from mainstem.ops.asyncapi.page import page_of
from mainstem.ops.screen import print_json
from mainstem.service import outlines_of


@click.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@click.option("--title", help="What is described. Without it the names of the services.")
@click.option("--release", default="0", show_default=True, help="The version of what is described.")
@click.option("--html", "page", type=WrittenFile(), help="Write a page to this file.")
def asyncapi(*, services: tuple[str, ...], title: str | None, release: str, page: Path | None) -> None:
    """Describe services as an AsyncAPI document, or as a page that works offline.

    It is made from what the services declare: nothing has to run.
    """
    outlines = outlines_of(load_services(services))
    named = title or ", ".join(each.service.name for each in outlines)
    document = document_of(outlines, named, release)
    document["x-generator"] = f"mainstem {version('mainstem')}"
    if page is None:
        print_json(document)
    else:
        page.write_text(page_of(document), encoding="utf-8")
        click.echo(f"{page} is written; open it in a browser")
