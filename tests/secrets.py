"""What must never be written: keys, passwords and signed links."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from tests.stack import Stack

#: What only a signed link has, but for the names of its parameters.
_SIGNATURE = re.compile(r"X-Amz-Signature(=|%3D)[0-9a-f]{16}", re.IGNORECASE)
#: A whole API key; the first characters may be shown.
_KEY = re.compile(r"pk_live_[A-Za-z0-9]{16}")


def secrets_of(stack: Stack) -> set[str]:
    """The passwords and secret keys of a stack."""
    named = {value for name, value in stack.env.items() if name.endswith("_SECRET_KEY")}
    passwords = {urlsplit(v).password for n, v in stack.env.items() if n.endswith("_URL")}
    return {text for text in (*named, *passwords) if text and len(text) >= 8}


def leaks_in(text: str, secrets: set[str]) -> list[str]:
    """The secrets that a text tells, with what stands around them."""
    found = [*_SIGNATURE.finditer(text), *_KEY.finditer(text)]
    found += [match for secret in secrets for match in re.finditer(re.escape(secret), text)]
    return [text[max(0, m.start() - 200) : m.end() + 50] for m in found]


def leaks_of(stack: Stack) -> list[str]:
    """The secrets that a stack's processes have written, count, or show to other users of the
    machine."""
    secrets = secrets_of(stack)
    return [leak for text in _told(stack) for leak in leaks_in(text, secrets)]


def _told(stack: Stack) -> Iterator[str]:
    for name, process in stack.processes.items():
        for path in (process.out, process.err):
            yield path.read_text(errors="replace")
        if process.running:
            whole = psutil.Process(process.pid)
            for running in (whole, *whole.children(recursive=True)):
                yield " ".join(running.cmdline())
            yield stack.look(name, "/metrics").text
    for log in stack.folder.glob("home/*.log"):
        yield log.read_text(errors="replace")
