"""The Graph library as a package: its public names and its imports."""

import ast
import re
from pathlib import Path

import partner_connector.graph as library

FILES = sorted(Path(library.__file__).parent.glob("*.py"))


def test_public_names_are_complete_and_sorted() -> None:
    """Expect every import of the package in `__all__`, and nothing else."""
    tree = ast.parse(Path(library.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(library.__all__) == imported
    assert len(library.__all__) == len(imported)
    constants = [name for name in library.__all__ if name.isupper()]
    classes = [name for name in library.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in library.__all__ if name[0].islower()]
    assert library.__all__ == [*sorted(constants), *sorted(classes), *sorted(functions)]


def test_library_imports_nothing_of_the_product() -> None:
    """Allow the standard library, httpx and the package, so that it can be published alone."""
    outside = {
        module
        for file in FILES
        for module in re.findall(
            r"^(?:from|import) ([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        if module.startswith("partner_connector")
        and not module.startswith("partner_connector.graph")
    }
    third_party = {
        module.partition(".")[0]
        for file in FILES
        for module in re.findall(
            r"^(?:from|import) ([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE
        )
    } & {"fastapi", "pydantic", "sqlalchemy", "structlog", "starlette", "requests"}

    assert outside == set()
    assert third_party == set()


def test_files_of_library_have_under_350_lines() -> None:
    assert [file.name for file in FILES if len(file.read_text().splitlines()) >= 350] == []
