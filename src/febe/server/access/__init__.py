"""Access rules: pg_hba.conf and pg_ident.conf as PostgreSQL reads them."""

from febe.server.access.hba import Request, Rule
from febe.server.access.rules import AccessRules
from febe.server.access.tokens import AccessFileError

__all__ = ["AccessFileError", "AccessRules", "Request", "Rule"]
