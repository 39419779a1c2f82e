"""The documentation's links lead somewhere, and its prose keeps the house style."""

from __future__ import annotations

import re
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
    if page.name not in OLD_OR_WRITTEN and not {"decisions", "bench-llm", "tests"} & set(page.relative_to(ROOT).parts)
]
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
FILE = re.compile(r"`((?:ai|sim|scenarios|tests|benchmarks|docs)/[\w./-]*)`")
REFUSED = re.compile(
    r"\b[Bb]esides\b|\banew\b|\btold\b|\b[Ss]o many\b|\b[Tt]he way\b|\bis no\b|\b[Ll]ets? (?:it|us|them|every\w+)\b"
    r"|(?:^|[.;:] )(?:Who|Whoever|What)\b(?![^.]*\?)",
    re.MULTILINE,
)
README_WORDS_MAX = 900


def prose(text: str) -> str:
    """Return a page without its code, which has rules of its own."""
    return re.sub(r"`[^`\n]*`", "`x`", BLOCK.sub("", text))


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
    text = prose(page.read_text("utf-8"))
    found = [" ".join(text[max(m.start() - 30, 0) : m.end() + 20].split()) for m in REFUSED.finditer(text)]
    assert not found


def test_the_readme_is_short() -> None:
    """The README stays a page that people read."""
    assert len((ROOT / "README.md").read_text("utf-8").split()) < README_WORDS_MAX
