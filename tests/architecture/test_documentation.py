"""Documentation is complete, and its programs run."""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import msgspec
import pytest

import mainstem
from mainstem import errors
from mainstem.settings import PREFIX, Settings
from mainstem.testing.searching import OPTIONS
from tests.architecture.source import PACKAGE, ROOT, modules

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A program on a page, and what the page says that it prints."""

    line: int
    program: str
    printed: str | None


def blocks(text: str) -> list[Block]:
    """The Python programs of a page; ``python no-run`` is shown only. An ``output`` block belongs to the one before."""
    found: list[Block] = []
    for fence in FENCE.finditer(text):
        language, options, body = fence.groups()
        if language == "python" and "no-run" not in options:
            found.append(Block(text.count("\n", 0, fence.start()) + 1, body, None))
        elif language == "output":
            found[-1] = Block(found[-1].line, found[-1].program, body)
    return found


def run_page(path: Path, text: str) -> None:
    """Run the programs of a page in order, in one module; tests that a program defines are run as well."""
    module = ModuleType("__main__")
    ours, sys.modules["__main__"] = sys.modules["__main__"], module  # annotations are looked up there
    try:
        for block in blocks(text):
            # Blank lines in front, so that an error names the line of the page.
            code = compile("\n" * block.line + block.program, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                run_block(code, module)
            assert block.printed in (None, printed.getvalue()), f"{path}:{block.line} printed {printed.getvalue()!r}"
    finally:
        sys.modules["__main__"] = ours


def run_block(code: CodeType, module: ModuleType) -> None:
    """Run one program, which may await, and the tests it has defined."""
    before = set(vars(module))
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, vars(module)))
    else:
        exec(code, vars(module))
    for name in sorted(set(vars(module)) - before):
        if name.startswith("test_"):
            outcome = getattr(module, name)()
            if inspect.iscoroutine(outcome):
                asyncio.run(outcome)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_program_on_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader copies works, and prints what the page says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(OPTIONS, "again", "")  # a reader runs no test of ours
    run_page(page, page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "page",
    [
        "```python\nassert 1 == 2\n```\n",
        "```python\nprint(1)\n```\n\nprints\n\n```output\n2\n```\n",
        "```python\nasync def test_it():\n    assert False\n```\n",
        "```python\nimport asyncio\nawait asyncio.sleep(0)\nassert False\n```\n",
    ],
)
def test_a_page_that_is_wrong_fails(page: str) -> None:
    """A program that fails, prints something else, or defines a failing test, does not pass."""
    with pytest.raises(AssertionError):
        run_page(Path("page.md"), page)


def error_classes() -> list[type[errors.MainstemError]]:
    """Every error there is."""
    members = (member for _, member in inspect.getmembers(errors, inspect.isclass))
    return [member for member in members if issubclass(member, errors.MainstemError)]


def test_every_error_code_is_explained() -> None:
    """Each class has a code of its own, and ``docs/errors.md`` a section for each code and for nothing else."""
    codes = [each.code for each in error_classes()]
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### ([a-z-]+)$", text, re.MULTILINE)
    assert sorted(codes) == sorted(set(codes)) == sorted(sections)


def test_every_error_says_what_to_do() -> None:
    """A section of ``docs/errors.md`` names what the code means, why it happens and what to do."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    incomplete = [
        section.partition("\n")[0]
        for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]
        if not all(f"**{part}.**" in section for part in ("Meaning", "Cause", "Remedy"))
    ]
    assert incomplete == []


def test_the_tree_of_errors_is_drawn() -> None:
    """The picture at the top of ``errors.py`` names every class, below its parent."""
    drawn = re.findall(r"^ {4}([ │├└─]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    parents: dict[int, str] = {}
    tree: set[tuple[str, str]] = set()
    for indent, name in drawn:
        depth = len(indent) // 4
        parents[depth] = name
        tree.add((name, parents[depth - 1] if depth else "Exception"))
    assert tree == {(each.__name__, each.__bases__[0].__name__) for each in error_classes()}


def test_every_public_name_is_in_the_glossary() -> None:
    """Whoever meets a name of the front page can look it up."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert [name for name in getattr(mainstem, "__all__", []) if f"`{name}`" not in text] == []


def test_every_setting_is_documented() -> None:
    """``docs/settings.md`` has the name, the variable, the default and the meaning of each setting."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [
        f"| `{each.name}` | `{PREFIX}{each.name.upper()}` | {default(each)} | {description(each.type)} |"
        for each in msgspec.structs.fields(Settings)
    ]
    assert [row for row in rows if row not in text] == []


def test_every_room_is_described() -> None:
    """``ARCHITECTURE.md`` has a paragraph for each room, and for no other."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    described = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sorted(described) == sorted({"floor", *rooms})


def test_every_link_leads_somewhere() -> None:
    """What a page links to, inside the project, exists; and so does the section that is named."""
    pages = [*PAGES, *ROOT.glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^):]+)\)", page.read_text())]
    wrong = []
    for page, link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            wrong.append(f"{page}: {link}")
    assert wrong == []


def anchors(text: str) -> set[str]:
    """What a link into a page may name: its headings, as they are addressed, and what has an id."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    return named | set(re.findall(r'<a id="([^"]+)"', text))


def test_every_record_that_is_named_exists() -> None:
    """The source names decision records by their path; each of them is there."""
    named = {name for module in modules() for name in re.findall(r"docs/[\w/-]+\.md", module.text)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def default(setting: msgspec.structs.FieldInfo) -> str:
    """How a default value is written in the table."""
    return "" if setting.default is None else f"`{setting.default}`"


def description(annotated: object) -> str:
    """The sentence that stands with a setting."""
    found = re.search(r"description='([^']*)'", repr(annotated))
    assert found, annotated
    return found[1]
