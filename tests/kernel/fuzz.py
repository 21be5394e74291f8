"""The tests of agreement, run for long: `python -m tests.kernel.fuzz [EXAMPLES]` (of each; 20,000 unless told)."""

from __future__ import annotations

import sys

from hypothesis import HealthCheck, settings


def main() -> None:
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    settings.register_profile(
        "fuzz", max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    settings.load_profile("fuzz")
    from tests.kernel import test_agreement, test_frames  # the profile comes first

    if test_agreement.COMPILED is None:
        sys.exit("no compiled kernel is loaded")
    for kind in test_agreement.KINDS:
        print(test_agreement.NAMES[kind], "binary" if kind & 1 else "text", flush=True)
        test_agreement.test_values(kind=kind)
    for test in (test_agreement.test_rows, test_agreement.test_any_value, test_frames.test_kernels_agree):
        print(test.__name__, flush=True)
        test()


if __name__ == "__main__":
    main()
