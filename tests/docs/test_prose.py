"""The documentation's links lead somewhere, and the prose of pages and code keeps the house style."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "scenarios", "replays", "tests/properties")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
OLD_OR_WRITTEN = ("CHANGELOG.md", "verbs.md")
"""Entries of earlier versions, and tables that a program writes from docstrings."""
STYLED = [
    page
    for page in PAGES
    if page.name not in OLD_OR_WRITTEN and not {"bench-llm", "tests"} & set(page.relative_to(ROOT).parts)
]
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
FILE = re.compile(r"`((?:ai|sim|scenarios|tests|benchmarks|docs)/[\w./-]*)`")
REFUSED = re.compile(
    r"\b[Bb]esides\b|\banew\b|\btold\b|\b[Ss]o many\b|\b[Tt]he way\b|(?<!here )\bis no\b"
    r"|\b[Ll]ets? (?:it|us|them|every\w+)\b"
    r"|(?:^|[.;:] )(?:Who|Whoever|What)\b(?![^.]*\?)",
    re.MULTILINE,
)
REFUSED_IN_CODE = re.compile(
    rf"{REFUSED.pattern}|(?:^|[.;:] )(?:Whatever|Lets?)\b|[.;:] (?:who|whoever|what|whatever)\b(?![^.]*\?)"
    r"|\b(?:Say|Tell) (?:whether|which|what|how|why)\b"
    r"|\b(?:one|values?|objects?) (?:an agent|an entity|an entry|a tick|a call)\b",
    re.MULTILINE,
)
"""In docstrings and comments, also no sentence may begin with "Let", and no part with a free "what" or "who".
A function returns whether something holds, and a column has one value per agent."""
PEOPLE = re.compile(
    r"\b(?:no|any|every|some)body\b|\b(?:who|any|every)(?:one|ever)\b|\bthe (?:dead|newborn)\b", re.IGNORECASE
)
"""In docstrings and comments of the framework, data are not people: the agents, the callers and the rows are named."""
CODE = (
    "ai",
    "scenarios",
    "sim/adapters",
    "sim/bench",
    "sim/cli",
    "sim/engine",
    "sim/replay",
    "sim/run",
    "sim/space",
    "sim/sweep",
    "sim/tables",
    "sim/testing",
    "sim/viewer",
)
"""The folders whose docstrings and comments keep the house style. Add a folder when its prose does."""
SOURCES = sorted(file for folder in CODE for kind in ("py", "toml") for file in (ROOT / folder).rglob(f"*.{kind}"))
README_WORDS_MAX = 900


def prose(text: str) -> str:
    """Return a page without its code, which has rules of its own."""
    return re.sub(r"`[^`\n]*`", "`x`", BLOCK.sub("", text))


def commented(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, including those of constants, without their examples, and its comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines = cleandoc(node.value.value).splitlines()
            yield "\n".join(line.strip() for line in lines if not line.lstrip().startswith((">>>", "...")))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield "\n".join(token.string.removeprefix("#").strip() for token in tokens if token.type == tokenize.COMMENT)


def messages(source: str) -> Iterator[str]:
    """Yield the texts of a module, and the fixed parts of its f-strings, without docstrings."""
    tree = ast.parse(source)
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def faults(text: str, refused: re.Pattern[str]) -> list[str]:
    """Return each refused phrase of a text with the words around it."""
    clean = prose(text)
    return [" ".join(clean[max(m.start() - 30, 0) : m.end() + 20].split()) for m in refused.finditer(clean)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as repositories make them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there, and a heading in it."""
    for target, anchor in LINK.findall(prose(page.read_text("utf-8"))):
        to = (page.parent / target).resolve() if target else page
        assert to.exists(), f"{page.relative_to(ROOT)} links to {target}"
        assert not anchor or anchor in anchors(to), f"{page.relative_to(ROOT)}: {target} has no heading #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_prose_names_are_there(page: Path) -> None:
    """A file or folder of the repository that a page names in backticks exists."""
    if page.name == "CHANGELOG.md":
        return  # it also names what is gone
    named = FILE.findall(BLOCK.sub("", page.read_text("utf-8")))
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", STYLED, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_keeps_the_house_style(page: Path) -> None:
    """Pages use none of the words that made the first edition's prose hard to read."""
    assert not faults(page.read_text("utf-8"), REFUSED)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings_and_comments_keep_the_house_style(file: Path) -> None:
    """Docstrings and comments of the listed folders use none of these words either."""
    source = file.read_text("utf-8")
    if file.suffix == ".toml":
        texts = ["\n".join(line.strip(" #") for line in source.splitlines() if line.lstrip().startswith("#"))]
    else:
        texts = list(commented(source))
    assert not [fault for text in texts for fault in faults(text, REFUSED_IN_CODE)]
    if file.relative_to(ROOT).parts[0] != "scenarios":
        assert not [fault for text in texts for fault in faults(text, PEOPLE)]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_messages_keep_the_house_style(file: Path) -> None:
    """Error messages, help texts and descriptions in the listed folders use none of these words either."""
    if file.suffix == ".py":
        texts = messages(file.read_text("utf-8"))
        assert not [fault for text in texts for fault in faults(text, REFUSED_IN_CODE)]


@pytest.mark.parametrize(
    "text",
    [
        '"""Let smoke spread."""',
        '"""What a person knows."""',
        'def f(row):\n    """Return a row.\n\n    Args:\n        row: who acts.\n    """',
        "x = 1  # Who is hit plans again.",
        'LIMIT = 3\n"""Cells, so many at once."""',
        '"""Say whether a call may be made."""',
        '"""Columns of one value an agent."""',
    ],
)
def test_a_translated_sentence_is_found(text: str) -> None:
    """The check of docstrings and comments finds a sentence of each refused kind, wherever it stands."""
    assert [fault for part in commented(text) for fault in faults(part, REFUSED_IN_CODE)]


def test_a_translated_message_is_found() -> None:
    """The check of messages finds a refused word between the filled-in parts of one."""
    source = 'raise ValueError(f"{name}: what agent {key} knows is no {kind}")'
    assert len([fault for text in messages(source) for fault in faults(text, REFUSED_IN_CODE)]) == 2


def test_the_readme_is_short() -> None:
    """The README stays a page that people read."""
    assert len((ROOT / "README.md").read_text("utf-8").split()) < README_WORDS_MAX
