"""The command `febe`: arguments and printing, nothing else."""

__all__ = ["main"]


def main() -> None:
    """Run the command line; click is needed from here on, and what else a command takes when it is run."""
    try:
        from febe.cli.commands import febe
    except ModuleNotFoundError as missing:
        if missing.name != "click":
            raise
        raise SystemExit("febe: the package click is missing: pip install 'febe[serve]'") from None
    febe(prog_name="febe")
