"""Plain words: `python -m tests.contracts.plain_words [PATH …]` lists every breach.

Two rules that a machine can hold: a docstring starts with a verb or a noun, and a term that the
glossary replaced (`docs/reference/glossary.md`) does not come back, in text or in a name.
"""

import argparse
import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOTS = (
    *("src", "tests", "benchmarks", "migrations", "docs", "openapi/openapi.json"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
)

# Starts of a relative clause, and of a sentence without an actor.
_NEVER_FIRST = (
    "as|because|by|from|how|if|it|its|of|one|since|that|these|this|those|what|whatever|when|where"
    "|whether|which|whichever|who|whoever|whom|whose|with"
)
# A function does something: its docstring starts with a verb.
_NEVER_FIRST_OF_A_FUNCTION = (
    f"{_NEVER_FIRST}|a|all|an|any|both|each|every|everything|false|in|none|nothing|on|only|our|some"
    "|the|true|whole"
)
# Each with the glossary's term in its place.
REPLACED = {
    r"tells?|told|telling": "record, report, return or say",
    r"anew": "again",
    r"who(m|so)?ever": "the actor's name",
    r"(some|no|every|any)body": "the actor's name",
    r"shops?|workshops?": "context",
    r"patience": "backoff",
    r"custody": "token decryption",
    r"leftovers?": "staging cleanup",
    r"farewells?": "closing message",
    r"for ever": "forever",
    r"proofs?|proves?|proven|proving": "token validation, evidence or test",
}
# Names of Meta, of the API's contract and of the simulator's, which stay as they are.
_FIXED = re.compile(
    r"appsecret[-_ ]?proofs?|proof\)?=|proof_(wrong|missing)"
    r"|identity_not_proven|narrowed_not_proven|prove_token|compared_anew",
    re.IGNORECASE,
)
# A function of the simulator that other projects import.
_FIXED_NAME = "tell"
_WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(REPLACED)})(?![a-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

# From Python 3.12 on, the text of an f-string is a token of its own.
_CHECKED = {
    tokenize.NAME,
    tokenize.STRING,
    tokenize.COMMENT,
    getattr(tokenize, "FSTRING_MIDDLE", -1),
}


class Breach(NamedTuple):
    """One text that breaks a rule."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def breaches(paths: Sequence[Path]) -> Iterator[Breach]:
    """Yield every breach in these files and folders."""
    for path in _files(paths):
        text = path.read_text()
        if path.suffix == ".py":
            yield from _of_docstrings(path, text)
            yield from _of_tokens(path, text)
        elif path.suffix == ".json":
            for line in _descriptions(json.loads(text)):
                yield from _of_words(path, 0, line)
        else:
            for number, line in enumerate(text.splitlines(), 1):
                yield from _of_words(path, number, line)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in found:
            is_ours = file.name not in {"plain_words.py", "glossary.md"}
            if (
                is_ours
                and "node_modules" not in file.parts
                and file.suffix in {".py", ".md", ".json"}
            ):
                yield file


def _of_docstrings(path: Path, text: str) -> Iterator[Breach]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        words = (ast.get_docstring(node) or "").split()
        line = getattr(node, "lineno", 1)
        first = re.sub(r"\W", "", words[0]).lower() if words else ""
        refused = _NEVER_FIRST if _is_named_like_a_thing(node) else _NEVER_FIRST_OF_A_FUNCTION
        if re.fullmatch(refused, first):
            yield Breach(path, line, f"docstring starts with {words[0]!r}")


def _is_named_like_a_thing(node: ast.AST) -> bool:
    """Return whether a noun may start the docstring: of a class, a property or a fixture."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    return "property" in decorators or "fixture" in decorators


def _of_tokens(path: Path, text: str) -> Iterator[Breach]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _CHECKED and token.string != _FIXED_NAME:
            for offset, line in enumerate(token.string.splitlines()):
                yield from _of_words(path, token.start[0] + offset, line)


def _of_words(path: Path, number: int, text: str) -> Iterator[Breach]:
    for match in _WORD.finditer(_CAMEL.sub("_", _FIXED.sub("", text)).replace("_", " ")):
        yield Breach(path, number, f"{match[0]!r}: {_instead(match[0])}")


def _instead(word: str) -> str:
    return next(
        term for pattern, term in REPLACED.items() if re.fullmatch(pattern, word, re.IGNORECASE)
    )


def _descriptions(value: object) -> Iterator[str]:
    """Yield the texts for people in a JSON document."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in {"description", "summary", "title"} and isinstance(part, str):
                yield from part.splitlines()
            else:
                yield from _descriptions(part)
    elif isinstance(value, list):
        for part in value:
            yield from _descriptions(part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every breach. 1 where there is one."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.contracts.plain_words", description=__doc__
    )
    parser.add_argument("path", nargs="*", type=Path, default=[Path(root) for root in ROOTS])
    found = list(breaches(parser.parse_args(arguments).path))
    print(*found, f"{len(found)} breaches", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
