"""The command `febe`: arguments and printing, nothing else."""

__all__ = ["main"]

_EXTRA = ("click", "duckdb", "rich", "sqlglot")


def main() -> None:
    """Run the command line; the packages of the extra `serve` are needed from here on."""
    try:
        from febe.cli.commands import febe

        febe(prog_name="febe")
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        raise SystemExit(f"febe: the package {missing.name} is missing: pip install 'febe[serve]'") from None
