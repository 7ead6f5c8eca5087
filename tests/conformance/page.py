"""The code examples of the Exports API page, as programs that can run.

The page's text has lost its layout: examples in five languages follow each other on one line's
end, and indentation is gone. The lines themselves stay as they are; only host, key and names
are filled in, and around them stands what a fragment needs to be a program.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[3] / "shared" / "exports-api-page.txt"
HOST = "https://api.pictograph.io"

SECTIONS = {
    "create": "Create Export",
    "list": "List Exports",
    "get": "Get Export Status",
    "download": "Download Export",
    "delete": "Delete Export",
}
LANGUAGES = ("sdk", "requests", "curl", "javascript", "go")
#: How the example of each language begins.
_BEGINNINGS = (
    r"from pictograph import Client\n",
    r"import requests\n",
    r"curl ",
    r"(?:const response = )?await fetch\(",
    r"(?:reqBody|exportName|req, _) := ",
)


@dataclass(frozen=True)
class Values:
    """What the page leaves open."""

    base_url: str
    api_key: str
    dataset_name: str
    export_name: str

    def fill(self, snippet: str) -> str:
        """The snippet with host, key and names in place."""
        return (
            snippet.replace(HOST, self.base_url)
            .replace("{{API_KEY}}", self.api_key)
            .replace("{{DATASET_NAME}}", self.dataset_name)
            .replace("{{EXPORT_NAME}}", self.export_name)
        )


def read_snippets(text: str) -> dict[tuple[str, str], str]:
    """The page's examples by call and language.

    Raises:
        AssertionError: the page is not as it was.
    """
    snippets = {}
    for call, title in SECTIONS.items():
        found = re.split(rf"\b{title}\n(?=(?:GET|POST|DELETE) /api/v1/)", text)
        assert len(found) == 2, f"the page has no section {title}"
        rest = found[1].split("\nExample\n")[1].split(" Response Click to collapse")[0]
        for place, language in enumerate(LANGUAGES):
            assert re.match(_BEGINNINGS[place], rest), f"{title}: no {language} at {rest[:40]!r}"
            following = _BEGINNINGS[place + 1 : place + 2]
            parts = re.split(rf" (?={following[0]})", rest, maxsplit=1) if following else [rest]
            snippets[call, language] = parts[0]
            rest = parts[1] if len(parts) > 1 else ""
    return snippets


def python_program(snippet: str, values: Values, show: str) -> str:
    """A Python program; the line after one that ends with a colon gets its indentation back."""
    lines: list[str] = []
    for line in values.fill(snippet).splitlines():
        inside = bool(lines) and lines[-1].endswith(":")
        lines.append(f"    {line}" if inside else line)
    return "\n".join((*lines, "import json", f"print(); print(json.dumps({show}))", ""))


def sdk_program(snippet: str, values: Values, show: str) -> str:
    """A Python program that uses the official SDK. The host stands nowhere in the snippet:
    changing it means to give the client a base URL."""
    placed = snippet.replace(
        'api_key="{{API_KEY}}"', f'api_key="{{{{API_KEY}}}}", base_url="{values.base_url}"'
    )
    return python_program(placed, values, show)


def javascript_program(snippet: str, values: Values, show: str) -> str:
    """A module for Node."""
    return f"{values.fill(snippet)}\nconsole.log(JSON.stringify({show}));\n"


def go_program(snippets: Mapping[str, str], values: Values) -> str:
    """One Go program for all calls: its argument chooses, and it prints status and body."""
    cases = "\n".join(
        f'\tcase "{call}":\n{values.fill(snippet)}\nshow(resp)'
        for call, snippet in snippets.items()
    )
    return f"""package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

func show(resp *http.Response) {{
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("{{\\"status\\": %d, \\"body\\": %s}}\\n", resp.StatusCode, body)
}}

var _ = bytes.NewBuffer
var _ = json.Marshal
var _ = url.PathEscape

func main() {{
	switch os.Args[1] {{
{cases}
	}}
}}
"""
