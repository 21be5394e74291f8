"""Connection strings for comparison with libpq: hand-picked ones, generated ones, and mutations of both."""

from __future__ import annotations

import random
from collections.abc import Iterator

from febe.client.keywords import KEYWORDS

PICKED = (
    "", " ", "host=h", " host = h  port=1 ", "host=", "host= port=5", "host='a b' dbname='it\\'s'", "host=a\\ b",
    "host='", "host='a", "host='a\\", "host=a\\", "host", "host port=5", "=x", "host==x", "nope=1", "host=a host=b",
    "requiressl=1", "requiressl=0", "requiressl=", "sslmode=nonsense", "password='' user=x", "host='a'b",
    "host='a'port=5", "host\t=\nh\vport\f=\r5", "user=\u00fcser password='\u00e9 \u20ac'", "postgres:",
    "postgresql:/x", "host=\u00a0", "postgresql://", "postgres://", "postgresql:///", "postgresql://?",
    "postgresql:///?", "postgresql://h", "postgresql://h:1", "postgresql://h:", "postgresql://:1", "postgresql://u@",
    "postgresql://u:p@", "postgresql://:p@h", "postgresql://@h", "postgresql://u:p:q@h", "postgresql://u@v@h",
    "postgresql://h/d", "postgresql://h/d/e", "postgresql://h/", "postgresql://h?", "postgresql://h?&",
    "postgresql://h?&&", "postgresql://h?user", "postgresql://h?user=", "postgresql://h?user=a=b",
    "postgresql://h?user=a&", "postgresql://h?user=a&&", "postgresql://h?user=a&user=b", "postgresql://h?nope=1",
    "postgresql://h?=1", "postgresql://h?ssl=true", "postgresql://h?ssl=false", "postgresql://h?requiressl=1",
    "postgresql://h?%75ser=x", "postgresql://h/%00", "postgresql://h/%", "postgresql://h/%2", "postgresql://h/%2x",
    "postgresql://h/%ff", "postgresql://%68%6F", "postgresql://a%", "postgresql://[::1]", "postgresql://[::1]:5/d",
    "postgresql://[::1", "postgresql://[]", "postgresql://[::1]x", "postgresql://[::1]\u00e9",
    "postgresql://[::1],[::2]:5,h", "postgresql://a,b", "postgresql://a:1,b:2/d", "postgresql://a,,b",
    "postgresql://,", "postgresql://a:1,b", "postgresql://a,b:2?user=x", "postgresql://%2Fvar%2Frun/d",
    "postgresql:///d?host=/tmp", "postgresql://h/a b", "postgresql://h/ a ", "postgresql://h/ a b ",
    "postgresql://h?user= a", "postgresql://h?user=a ", "postgresql://h? user =a", "postgresql://h/%20a%20",
    "postgresql://u%40x:p%2Fw@h", "postgresql://u:p/@h", "postgresql://h/d@e", "postgresql://h?user=a@b",
    "postgresql://h#f", "postgresql://h/d#f?user=x", "postgresql://[fe80::1%25eth0]/d",
    "postgresql://[fe80::1%eth0]/d", "postgresql://u\t@h", "POSTGRESQL://h", "postgresql://@", "postgresql://:@h",
    "postgresql://h:1:2", "postgresql://h/?", "postgresql://h/??user=x", "postgresql://h?user=?",
    "postgresql://[a]b@c", "postgresql://[::1]@h", "postgresql://u@[::1]@h",
)
_PIECES = (
    "postgresql://", "postgres://", "host", "user", "dbname", "port", "=", "==", " ", "  ", "\t", "\n", "'", "\\",
    "\\'", ":", "/", "//", "?", "&", "@", ",", "[", "]", "[::1]", "%", "%2", "%20", "%41", "%00", "%ff", "%c3%a9",
    "a", "b1", "1", "\u00e9", "ssl=true", "requiressl=1", "sslmode", "#", "+", ".", "localhost", "5432",
)


def conninfo_strings(count: int, seed: int) -> Iterator[str]:
    """The picked ones, then generated and mutated ones, `count` in all; the same for the same seed."""
    yield from PICKED
    chance = random.Random(seed)
    makers = (_pairs, _uri, _pieces, _mutated)
    for _ in range(count - len(PICKED)):
        yield chance.choice(makers)(chance)


def _word(chance: random.Random) -> str:
    return "".join(chance.choices("abcxyz019_-.:/%@ '\\=&\u00e9\u20ac", k=chance.randrange(6)))


def _pairs(chance: random.Random) -> str:
    made = []
    for _ in range(chance.randrange(1, 5)):
        name, value = chance.choice([*KEYWORDS, "requiressl", "nope"]), _word(chance)
        if chance.random() < 0.8:
            value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        made.append(f"{name}{chance.choice(['=', ' = ', '= ', ' ='])}{value}")
    return chance.choice([" ", "\n", "  ", ""]).join(made)


def _uri(chance: random.Random) -> str:
    def part(before: str, after: str = "") -> str:
        return f"{before}{_plain(chance)}{after}" if chance.random() < 0.5 else ""

    hosts = ",".join(chance.choice([_plain(chance), "[::1]", "10.0.0.1", ""]) + part(":")
                     for _ in range(chance.choice((1, 1, 2, 3))))
    names = [*KEYWORDS, "ssl", "requiressl", "nope"] if chance.random() < 0.3 else list(KEYWORDS)
    query = "&".join(f"{chance.choice(names)}={_plain(chance)}" for _ in range(chance.randrange(3)))
    credentials = f"{_plain(chance)}{part(':')}@" if chance.random() < 0.5 else ""
    return f"postgresql://{credentials}{hosts}{part('/')}{'?' + query if query else ''}"


def _plain(chance: random.Random) -> str:
    return "".join(chance.choices(("a", "b", "1", "%20", "%2f", "%c3", "\u00fc", "-", "."), k=chance.randrange(5)))


def _pieces(chance: random.Random) -> str:
    prefix = chance.choice(("", "postgresql://"))
    return prefix + "".join(chance.choices(_PIECES, k=chance.randrange(1, 9)))


def _mutated(chance: random.Random) -> str:
    text = list(chance.choice((*PICKED, _pairs(chance), _uri(chance))))
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(text) + 1)
        match chance.randrange(3):
            case 0:
                text[place:place] = chance.choice(_PIECES)
            case 1:
                del text[place:place + 1]
            case 2:
                text[place:place + 1] = chance.choice(_PIECES)
    return "".join(text)
