"""Commands on a page of docs/, as requests that can be sent."""

import re
import shlex
from collections.abc import Iterator, Mapping

import httpx


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Yield each command of the page's console blocks, with the output that the page shows."""
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.rstrip("\n")


def request_of(command: str, known: Mapping[str, str]) -> httpx.Request:
    """Convert a curl command to a request. Only the options that our pages use are known."""
    for name, value in known.items():
        command = command.replace(f"${name}", value)
    words = iter(shlex.split(command)[1:])
    method, url, headers, form = "", "", {}, []
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word in ("-d", "--data-urlencode"):
            form.append(next(words))
        elif word != "-s":
            url = f"http://{word}"
    pairs = dict(text.split("=", 1) for text in form if not text.startswith("{"))
    body = {"data": pairs} if pairs else {"content": "&".join(form)}
    return httpx.Request(method or ("POST" if form else "GET"), url, headers=headers, **body)


def assert_printed(output: str, text: str) -> None:
    """Fail unless the text is the output on the page, where `…` matches any text."""
    assert re.fullmatch(re.escape(output).replace("…", ".*"), text, re.DOTALL), (output, text)
