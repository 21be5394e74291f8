"""One contender in a process of its own: imports, garbage and event loops of the others do not touch it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import traceback


def main() -> None:
    module, measurement, name = sys.argv[1:]
    # Whatever a library prints must not end up in the conversation with the harness.
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        try:
            found = next(each for each in importlib.import_module(module).MEASUREMENTS if each.name == measurement)
            prepare = contextlib.contextmanager(found.contenders[name].run)
            with prepare(json.loads(sys.stdin.readline())) as run:
                print(json.dumps({"figures": {}}), file=out, flush=True)
                for _line in sys.stdin:
                    gc.collect()                       # the collector is on, and starts every round from nothing
                    print(json.dumps({"figures": run()}), file=out, flush=True)
        except Exception as failure:
            traceback.print_exc()
            said = str(failure).strip().splitlines() or [""]
            told = " ... ".join(dict.fromkeys((said[0], said[-1])))
            print(json.dumps({"error": f"{type(failure).__name__}: {told}"}), file=out, flush=True)


if __name__ == "__main__":
    main()
