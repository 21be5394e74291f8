"""pgJDBC in this process: Debian's jar, on a Java virtual machine that is started once."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from tests.peers.installation import Missing

JAR = Path(os.environ.get("FEBE_PGJDBC", "/usr/share/java/postgresql.jar"))


@cache
def driver() -> Any:
    """`org.postgresql.Driver`.

    Errors: Missing.
    """
    try:
        import jpype
    except ImportError:
        raise Missing("JPype is not installed (pip install JPype1)") from None
    if not JAR.exists() or not shutil.which("java"):
        raise Missing("pgJDBC is not installed (Debian: apt-get install libpostgresql-jdbc-java "
                      "openjdk-17-jre-headless)")
    if not jpype.isJVMStarted():
        # -Xrs: signals stay Python's
        jpype.startJVM("-Xrs", "-Xmx512m", "-Djava.awt.headless=true", classpath=[str(JAR)], convertStrings=True)
    return jpype.JClass("org.postgresql.Driver")()


def connect(url: str, **properties: str) -> Any:
    """A `java.sql.Connection`; `url` is `jdbc:postgresql://host:port/database`."""
    found = driver()
    import jpype

    wanted = jpype.JClass("java.util.Properties")()
    for name, value in properties.items():
        wanted.setProperty(name, value)
    return found.connect(url, wanted)
