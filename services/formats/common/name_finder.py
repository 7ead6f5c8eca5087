"""Paths found by the names that people and tools give them.

A name may come from another machine: with backslashes, `.` and `..`, doubled slashes, folders
that are not here, percent-encoded, or in another case. What agrees with the end of a path says
which is meant: the longest end that fits one path alone.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from posixpath import basename, commonpath, dirname, join, normpath, splitext

from services.catalog.names import folded

#: Paths of one ending that are looked at one by one; more are too many to tell apart.
_FEW = 100
#: Neighbours in the alphabet that are compared with a name that fits nothing.
_NEIGHBOURS = 40
#: Paths among which a near one is looked for.
_MANY = 200_000
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")


def parts_of(name: str) -> list[str]:
    """The folders and the file of a name; `..` takes a folder back, where there is one."""
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def percent_decoded(name: str) -> str:
    """The name with `%20` and the like as characters; itself where that is no UTF-8."""
    if "%" not in name:
        return name
    try:
        return _PERCENT.sub(lambda found: bytes([int(found[1], 16)]), name.encode()).decode()
    except UnicodeError:
        return name


def _spellings(name: str) -> Iterator[str]:
    """The name as it stands, then as what an address or a line of text would mean by it."""
    yield name
    decoded = percent_decoded(name)
    yield decoded
    yield decoded.strip()
    path, _, query = decoded.partition("?")
    if query:
        # Label Studio serves local files as `/data/local-files/?d=folder/1.jpg`.
        yield query.removeprefix("d=")
        yield path


def common_parts(name: str, path: str) -> int:
    """How many parts the ends of a name and a path share, in any case."""
    count = 0
    for one, other in zip(reversed(parts_of(name)), reversed(path.split("/")), strict=False):
        if folded(one) != folded(other):
            break
        count += 1
    return count


class _Groups:
    """Paths by a text that several may share. Most do not, and then take no list."""

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        self._found: dict[str, str | list[str]] = {}
        for text, path in rows:
            # Where they are equal, one of them is enough.
            key = path if text == path else text
            known = self._found.get(key)
            if known is None:
                self._found[key] = path
            elif isinstance(known, list):
                known.append(path)
            else:
                self._found[key] = [known, path]

    def of(self, text: str) -> list[str]:
        """The paths of a text, in order; none of another."""
        found = self._found.get(text, [])
        return [found] if isinstance(found, str) else found


class NameFinder:
    """Finds paths by name. Each look-up costs the same for any number of paths."""

    def __init__(
        self,
        paths: Sequence[str],
        root: str = "",
        called: Callable[[str], str] = lambda path: path,
    ) -> None:
        """Args:
        paths: relative, POSIX, each once.
        root: the absolute place that they are relative to.
        called: what names speak of: the path, or the path without its extension.
        """
        self._paths = paths
        self._root = root
        self._called = called
        self._endings: dict[int, _Groups] = {}

    def find(
        self, name: str, beside: str | None = None, among: Callable[[str], bool] | None = None
    ) -> str | None:
        """The one path that the name means; None: it means none, or several.

        Args:
            name: as it is written.
            beside: the absolute place of the folder of the file that it is written in.
            among: whether a path is one of those that may be meant, where several fit.
        """
        found = self.fitting(name, beside)
        if len(found) > 1 and among:
            found = [path for path in found if among(path)]
        return found[0] if len(found) == 1 else None

    def fitting(self, name: str, beside: str | None = None) -> list[str]:
        """Every path that the name may mean: seen from the file that it is written in, as it
        stands, or with as many of its last parts as fit any; of several, those that share the
        most folders with that file."""
        for text in dict.fromkeys(_spellings(name)):
            if found := self._fitting(text, beside):
                return self._nearest(found, beside) if beside and len(found) > 1 else found
        return []

    def nearest(self, name: str) -> str | None:
        """The path whose last part looks most like the name's: it differs in its extension
        alone, or else in few letters. None: none does, or there are too many to keep them in the
        order of the alphabet for it."""
        if len(self._paths) > _MANY:
            return None
        last = folded((parts_of(name) or [""])[-1])
        if same := self._by_last_stem.of(splitext(last)[0]):
            return same[0]
        near: set[str] = set()
        for words, word in ((self._forward, last), (self._backward, last[::-1])):
            place = bisect_left(words, (word, ""))
            around = words[max(place - _NEIGHBOURS, 0) : place + _NEIGHBOURS]
            near.update(path for _, path in around)
        by_name = {folded(basename(self._called(path))): path for path in sorted(near)}
        close = get_close_matches(last, by_name, 1)
        return by_name[close[0]] if close else None

    def _fitting(self, name: str, beside: str | None) -> list[str]:
        if beside is not None and (path := self._at(join(beside, name.replace("\\", "/")))):
            return [path]
        if found := self._exact.of(name):
            return found
        parts = parts_of(name)
        for count in range(min(len(parts), self._depth), 0, -1):
            if found := self._ending(count).of(folded("/".join(parts[-count:]))):
                return self._best(found, parts, count)
        return []

    def _at(self, place: str) -> str | None:
        """The path at an absolute place."""
        root, place = f"{self._root}/", normpath(place)
        if not self._root or not place.startswith(root):
            return None
        relative = place.removeprefix(root)
        found = self._exact.of(relative) or self._whole.of(folded(relative))
        return found[0] if len(found) == 1 else None

    def _nearest(self, found: list[str], beside: str) -> list[str]:
        """Of paths those that share the most folders with a place, from above."""
        if len(found) > _FEW:
            return found
        shared = [len(commonpath((f"{self._root}/{dirname(p)}", beside))) for p in found]
        most = max(shared)
        return [path for path, count in zip(found, shared, strict=True) if count == most]

    def _best(self, found: list[str], parts: list[str], count: int) -> list[str]:
        """Of paths that agree with the last parts of a name, those that agree best: with more
        of the folders above all paths, as a whole, then to the letter."""
        if not 1 < len(found) <= _FEW:
            return found
        above = parts_of(self._root)

        def score(path: str) -> tuple[int, bool, bool]:
            text = self._called(path)
            own = text.split("/")
            more = 0
            if len(own) == count:
                more = common_parts("/".join(parts[:-count]), "/".join(above))
            is_all = len(own) == len(parts)
            return more, is_all, own[-count:] == parts[-count:]

        best = max(map(score, found))
        return [path for path in found if score(path) == best]

    @cached_property
    def _exact(self) -> _Groups:
        return _Groups((self._called(path), path) for path in self._paths)

    @cached_property
    def _whole(self) -> _Groups:
        return _Groups((folded(self._called(path)), path) for path in self._paths)

    @cached_property
    def _depth(self) -> int:
        return max((path.count("/") + 1 for path in self._paths), default=0)

    def _ending(self, count: int) -> _Groups:
        """Paths by their last parts."""
        if count not in self._endings:
            self._endings[count] = _Groups(
                (folded("/".join(parts[-count:])), path)
                for path in self._paths
                if len(parts := self._called(path).split("/")) >= count
            )
        return self._endings[count]

    @cached_property
    def _by_last_stem(self) -> _Groups:
        """Paths by their last part without its extension."""
        return _Groups((splitext(folded(basename(path)))[0], path) for path in self._paths)

    @cached_property
    def _forward(self) -> list[tuple[str, str]]:
        return sorted((folded(basename(self._called(path))), path) for path in self._paths)

    @cached_property
    def _backward(self) -> list[tuple[str, str]]:
        return sorted((name[::-1], path) for name, path in self._forward)
