"""A Spark Connect server on this machine: Spark from PyPI, Java from the system."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers.installation import Missing, once, scratch, shelf

VERSION = "4.3.0"
START_SECONDS = 180


def spark_home() -> Path:
    """Spark's own directory, fetched when it is asked for: it is 450 MB.

    Errors: Missing.
    """
    if not shutil.which("java"):
        raise Missing("Spark needs Java (Debian: apt-get install openjdk-17-jre-headless)")
    name = f"spark-{VERSION}"
    if not (shelf() / name).exists() and not (os.environ.get("CI") or os.environ.get("FEBE_TEST_SPARK")):
        raise Missing(f"Spark {VERSION} is not here: FEBE_TEST_SPARK=1 has the tests fetch its 450 MB")
    return once(name, _fetch) / "pyspark"


def _fetch(target: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target,
                           f"pyspark=={VERSION}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing(f"pip could not fetch Spark:\n{done.stdout}")


@dataclass(slots=True, kw_only=True)
class SparkConnect:
    """A running Spark Connect server, which can be started again at the same address."""

    home: Path
    place: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, with two threads that stand for executors, and wait until it answers."""
        environment = os.environ | {"SPARK_HOME": str(self.home), "SPARK_NO_DAEMONIZE": "1",
                                    "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost",
                                    "SPARK_LOG_DIR": str(self.place), "SPARK_PID_DIR": str(self.place)}
        settings = {"spark.connect.grpc.binding.port": self.port, "spark.connect.grpc.binding.address": "127.0.0.1",
                    "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": 2, "spark.driver.memory": "2g",
                    "spark.sql.warehouse.dir": self.place / "warehouse", "spark.local.dir": self.place / "local"}
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.home / "sbin" / "start-connect-server.sh", "--master", "local[2]", *options], env=environment,
                cwd=self.place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Spark did not start:\n{(self.place / 'log').read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it and what it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running() -> Iterator[SparkConnect]:
    """A Spark Connect server of the caller's own.  Errors: Missing."""
    home = spark_home()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with scratch("spark") as place:
        server = SparkConnect(home=home, place=place, port=port)
        try:
            server.start()
            yield server
        finally:
            server.stop()
