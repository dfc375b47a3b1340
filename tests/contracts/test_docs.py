"""Links and anchors of the documentation, and the pages that code cites."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.plain_words import REPLACED

ROOT = Path(__file__).parents[2]
TOP = ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")
PAGES = sorted([*(ROOT / f"{name}.md" for name in TOP), *(ROOT / "docs").rglob("*.md")])
CODE = sorted(
    path for name in ("src", "tests", "benchmarks") for path in (ROOT / name).rglob("*.py")
)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MARKUP = re.compile(r"\]\([^)]*\)|[^\w\- ]")
_CITED = re.compile(r"(?<![\w/.:])(docs/[\w./-]+\.md)(?:#([\w-]+))?")
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def anchors(page: Path) -> set[str]:
    """Return the anchor that the usual hosts make for each heading of a page."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        slug = _MARKUP.sub("", heading).lower().replace(" ", "-")
        repeated = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(one for one in repeated if one not in found))
    return found


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield target and anchor of every relative link."""
    for target, anchor in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield (page.parent / target).resolve() if target else page, anchor


def is_missing(target: Path, anchor: str) -> bool:
    """Return whether the file, or the heading in it, does not exist."""
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_existing_targets(page: Path) -> None:
    """Check that the files, headings and tests on a page exist."""
    assert [(str(to), anchor) for to, anchor in links(page) if is_missing(to, anchor)] == []
    for path, name in _TEST.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_cited_pages_exist() -> None:
    """Check every cited `docs/….md#anchor`; `#anchor` alone means a page that the module cites."""
    missing = []
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        cited = set(_CITED.findall(text))
        missing += [
            f"{path.relative_to(ROOT)}: {page}#{anchor}"
            for page, anchor in sorted(cited)
            if is_missing(ROOT / page, anchor)
        ]
        pages = {page for page, _ in cited if (ROOT / page).exists()}
        if pages and path.is_relative_to(ROOT / "src"):
            known = set().union(*(anchors(ROOT / page) for page in pages))
            alone = re.findall(r"(?<=[\s(`])#([a-z]+(?:-[a-z]+)*)(?=[\s),.;`])", text)
            missing += [f"{path.relative_to(ROOT)}: #{one}" for one in alone if one not in known]
    assert missing == []


def test_every_page_is_reachable_from_the_readme() -> None:
    seen: set[Path] = set()
    remaining = [ROOT / "README.md"]
    while remaining:
        page = remaining.pop()
        if page not in seen:
            seen.add(page)
            remaining += [to for to, _ in links(page) if to.suffix == ".md" and to.exists()]
    assert set(PAGES) - seen == set()


def test_glossary_lists_the_replaced_words() -> None:
    """Compare the table of the page with the words that `make check` refuses."""
    page = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    table = page.split("## Words we replaced\n")[1]
    rows = re.findall(r"^\| `(.+)` \| (.+) \|$", table, re.MULTILINE)
    assert {word.replace("\\|", "|"): term for word, term in rows} == REPLACED
