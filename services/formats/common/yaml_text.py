"""YAML whose scalars stay the text that was written.

YAML 1.1 makes numbers, dates and truth values of plain words: `02146`, `no`, `null`, `12:30`.
Names are none of these, so nothing here goes through another type.
"""

from typing import Any, TypeAlias

import yaml

#: Text, a list of values, or values by text.
YamlText: TypeAlias = str | list[Any] | dict[str, Any]

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
#: Levels of lists and mappings. The reader counts itself, as a parser in C may not.
MAX_DEPTH = 32


#: What to do about a path of Windows in double quotes.
_ESCAPES = "; between double quotes write / or \\\\ for each backslash, or take single quotes"


class YamlUnreadable(Exception):
    """Text that is no YAML document of text; the message says why and where."""


def read_yaml(text: str) -> YamlText:
    """The document, an alias standing for the very value that it names: it costs nothing
    until somebody writes it out.

    Raises:
        YamlUnreadable: it is no YAML, is nested too deep, or names a key twice.
    """
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        advice = _ESCAPES if _is_in_quotes(error) else ""
        raise YamlUnreadable(f"{problem}{_line(error.problem_mark)}{advice}") from None
    except yaml.YAMLError:
        raise YamlUnreadable("a character that YAML does not allow") from None
    if reader.document is None:
        raise YamlUnreadable("it is empty")
    return reader.document


class _Open:
    """A list or mapping that is not yet at its end."""

    def __init__(self, value: list[Any] | dict[str, Any]) -> None:
        self.value = value
        self.key: str | None = None

    def add(self, item: YamlText, mark: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is not None:
            self.value[self.key] = item
            self.key = None
        elif not isinstance(item, str):
            raise YamlUnreadable(f"a key must be text{_line(mark)}")
        elif item in self.value:
            raise YamlUnreadable(f"key {item[:60]!r} is there twice{_line(mark)}")
        else:
            self.key = item


class _Reader:
    """Puts the parser's events together, with a stack of its own."""

    def __init__(self) -> None:
        self.document: YamlText | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, YamlText] = {}

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(event.value, event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin({}, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            name = event.anchor or ""
            if name not in self._anchors:
                raise YamlUnreadable(f"alias *{name[:60]} has no anchor{_line(event.start_mark)}")
            self._add(self._anchors[name], event)

    def _begin(self, value: list[Any] | dict[str, Any], event: yaml.Event) -> None:
        if len(self._open) == MAX_DEPTH:
            raise YamlUnreadable(f"nested more than {MAX_DEPTH} levels{_line(event.start_mark)}")
        self._add(value, event)
        self._open.append(_Open(value))

    def _add(self, value: YamlText, event: yaml.Event) -> None:
        if self._open:
            self._open[-1].add(value, event.start_mark)
        elif self.document is not None:
            raise YamlUnreadable(f"a second document begins{_line(event.start_mark)}")
        else:
            self.document = value
        anchor = getattr(event, "anchor", None)
        if anchor and not isinstance(event, yaml.AliasEvent):
            self._anchors[anchor] = value


def _is_in_quotes(error: yaml.MarkedYAMLError) -> bool:
    """Whether a backslash is no escape that YAML knows."""
    return "quoted scalar" in (error.context or "") and "end" not in (error.problem or "")


def _line(mark: Any) -> str:
    return f" in line {mark.line + 1}" if mark else ""
