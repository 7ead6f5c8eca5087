"""XML as it lies on disk: in any encoding that it declares, without entities of its own.

Rules of detection: Extensible Markup Language 1.0, appendix F. The parser itself knows UTF-8,
UTF-16, ISO-8859-1 and US-ASCII alone, so the text is decoded before it.
"""

import codecs
import re
from xml.etree import ElementTree

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: How a document begins that has no mark, in units of two bytes.
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,200}\?>")
#: Of two or four bytes a character.
_WIDE = ("utf-16", "utf16", "utf-32", "utf32", "ucs-2", "ucs-4", "unicode", "iso-10646-ucs")
#: What tools declare, and what they then write: the larger set of the same bytes.
_LARGER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "cp950",
    "ascii": "utf-8",
}
#: Codecs of Python that are no encodings of documents.
_NO_ENCODINGS = frozenset(
    ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "utf-7", "undefined")
)


class XmlUnreadable(Exception):
    """A document that is not read; the message says why, after its name."""


def read_xml(content: bytes) -> ElementTree.Element:
    """The root of a document, all names without their namespaces.

    Raises:
        XmlUnreadable: it is no XML, its encoding is not known or not kept to, or it declares
            entities, which could grow without end.
    """
    if not content.strip():
        raise XmlUnreadable("is empty")
    text = _DECLARATION.sub("", _decoded(content), count=1)
    if "<!ENTITY" in text:
        raise XmlUnreadable("declares entities, which are not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line, _ = error.position
        problem = str(error).partition(":")[0]
        raise XmlUnreadable(f"is not readable XML: {problem} in line {line}") from None
    except ValueError:
        raise XmlUnreadable("is not readable XML: a character that XML does not allow") from None
    for element in root.iter():
        # What readers look for has a name alone, whatever namespace a schema gave it.
        if isinstance(element.tag, str) and element.tag.startswith("{"):
            element.tag = element.tag.rpartition("}")[2]
    return root


def _decoded(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _text(content, encoding, f"says {encoding.removesuffix('-sig').upper()}")
    for begin, encoding in _UNMARKED:
        if content.startswith(begin):
            return _text(content, encoding, "looks like UTF-16")
    declared = _DECLARED.match(content)
    if declared is None:
        return _text(content, "utf-8", "declares no encoding")
    name = declared[1].decode()
    if name.lower().startswith(_WIDE):
        # The declaration itself is not: writers of text declare what the text was in memory.
        return _text(content, "utf-8", f"declares the encoding {name}")
    return _text(content, name, f"declares the encoding {name}")


def _text(content: bytes, name: str, said: str) -> str:
    try:
        encoding = codecs.lookup(name).name
        if encoding in _NO_ENCODINGS:
            raise LookupError
    except LookupError:
        raise XmlUnreadable(f"{said}, which is not known; save it as UTF-8") from None
    for candidate in dict.fromkeys((encoding, _LARGER.get(encoding, encoding))):
        try:
            return content.decode(candidate)
        except UnicodeError:
            continue
        except LookupError:
            raise XmlUnreadable(f"{said}, which is none; save it as UTF-8") from None
    kept = "and is not UTF-8" if name == "utf-8" and "no" in said else "and does not keep to it"
    raise XmlUnreadable(f"{said} {kept}; save it as UTF-8")
