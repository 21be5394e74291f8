"""PostgreSQL's encodings by name, and the codec that speaks them (manual: "Character Set Support")."""

from __future__ import annotations

import codecs

from febe.types.copy.errors import CopyError

_CODECS = {
    "UTF8": "utf-8", "LATIN1": "iso8859-1", "LATIN2": "iso8859-2", "LATIN3": "iso8859-3", "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9", "LATIN6": "iso8859-10", "LATIN7": "iso8859-13", "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15", "LATIN10": "iso8859-16", "ISO_8859_5": "iso8859-5", "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7", "ISO_8859_8": "iso8859-8", "KOI8R": "koi8-r", "KOI8U": "koi8-u",
    "WIN866": "cp866", "WIN874": "cp874", "WIN1250": "cp1250", "WIN1251": "cp1251", "WIN1252": "cp1252",
    "WIN1253": "cp1253", "WIN1254": "cp1254", "WIN1255": "cp1255", "WIN1256": "cp1256", "WIN1257": "cp1257",
    "WIN1258": "cp1258", "EUC_JP": "euc_jp", "EUC_CN": "gb2312", "EUC_KR": "euc_kr",
    "EUC_JIS_2004": "euc_jis_2004", "SJIS": "cp932", "SHIFT_JIS_2004": "shift_jis_2004", "BIG5": "cp950",
    "GBK": "gbk", "UHC": "cp949", "GB18030": "gb18030", "JOHAB": "johab",
}  # fmt: skip
_UNSPOKEN = ("SQL_ASCII", "EUC_TW", "MULE_INTERNAL")

_ALIASES = {
    "unicode": "UTF8", "iso88591": "LATIN1", "iso88592": "LATIN2", "iso88593": "LATIN3", "iso88594": "LATIN4",
    "iso88599": "LATIN5", "iso885910": "LATIN6", "iso885913": "LATIN7", "iso885914": "LATIN8", "iso885915": "LATIN9",
    "iso885916": "LATIN10", "alt": "WIN866", "win": "WIN1251", "koi8": "KOI8R", "abc": "WIN1258", "tcvn": "WIN1258",
    "tcvn5712": "WIN1258", "vscii": "WIN1258", "mskanji": "SJIS", "shiftjis": "SJIS", "win932": "SJIS",
    "win936": "GBK", "win949": "UHC", "win950": "BIG5",
} | {f"windows{name[3:]}": name for name in _CODECS if name.startswith("WIN")} | {
    "windows932": "SJIS", "windows936": "GBK", "windows949": "UHC", "windows950": "BIG5"}  # fmt: skip
"""Other names (encnames.c: pg_encname_tbl), as they are compared: letters and digits only, in lower case."""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_NAMES = {_plain(name): name for name in (*_CODECS, *_UNSPOKEN)} | _ALIASES


def encoding_name(name: str) -> str | None:
    """Give PostgreSQL's own name of an encoding, None when it knows none of that name (pg_char_to_encoding)."""
    return _NAMES.get(_plain(name))


def codec_for(name: str) -> codecs.CodecInfo | None:
    """Give the codec of an encoding, None for UTF8; CopyError 0A000 for one that Python has no codec of."""
    if name == "UTF8":
        return None
    codec = _CODECS.get(name)
    if codec is None:
        raise CopyError(f"conversion between {name} and UTF8 is not supported", "0A000")
    return codecs.lookup(codec)
