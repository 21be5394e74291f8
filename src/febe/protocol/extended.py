"""Extended query and pipelining (manual: "Extended Query", "Pipelining")."""

from __future__ import annotations

from typing import Annotated

from febe.protocol.fields import Choice, FormatList, Int32, OidList, String, ValueList
from febe.protocol.message import LARGE, Message, Sender, message


@message("P", sender=Sender.FRONTEND, limit=LARGE, section="Extended Query")
class Parse(Message):
    """Make a prepared statement (F).

    `statement` "" is the unnamed one.  `parameter_types` may be shorter than the parameters are many; 0 leaves a type
    to the server.
    """

    statement: String
    query: String
    parameter_types: OidList


@message("1", sender=Sender.BACKEND, section="Extended Query")
class ParseComplete(Message):
    """Parse is done (B)."""


@message("B", sender=Sender.FRONTEND, limit=LARGE, section="Extended Query")
class Bind(Message):
    """Make a portal of a prepared statement and parameter values (F).

    The two format lists hold no code (all text), one code (for all), or one for each; 0 is text, 1 binary.
    """

    portal: String
    statement: String
    parameter_formats: FormatList
    parameters: ValueList
    result_formats: FormatList


@message("2", sender=Sender.BACKEND, section="Extended Query")
class BindComplete(Message):
    """Bind is done (B)."""


@message("D", sender=Sender.FRONTEND, section="Extended Query")
class Describe(Message):
    """Ask for the description of a statement (`kind` S) or portal (`kind` P) (F)."""

    kind: Annotated[str, Choice("SP", "DESCRIBE message subtype")]
    name: String


@message("t", sender=Sender.BACKEND, limit=LARGE, section="Extended Query")
class ParameterDescription(Message):
    """The parameter types of the statement described (B)."""

    parameter_types: OidList


@message("n", sender=Sender.BACKEND, section="Extended Query")
class NoData(Message):
    """The statement or portal described returns no rows (B)."""


@message("E", sender=Sender.FRONTEND, section="Extended Query")
class Execute(Message):
    """Run a portal (F), up to `maximum_rows` rows; 0 is no limit."""

    portal: String
    maximum_rows: Int32


@message("s", sender=Sender.BACKEND, section="Extended Query")
class PortalSuspended(Message):
    """Execute's row limit was reached; the portal has more (B)."""


@message("C", sender=Sender.FRONTEND, section="Extended Query")
class Close(Message):
    """Close a statement (`kind` S) or portal (`kind` P); no error if there is none (F)."""

    kind: Annotated[str, Choice("SP", "CLOSE message subtype")]
    name: String


@message("3", sender=Sender.BACKEND, section="Extended Query")
class CloseComplete(Message):
    """Close is done (B)."""


@message("H", sender=Sender.FRONTEND, section="Extended Query")
class Flush(Message):
    """Deliver what is answered so far (F)."""


@message("S", sender=Sender.FRONTEND, section="Extended Query")
class Sync(Message):
    """End a series of extended messages: close the implicit transaction, resume after an error (F)."""
