"""Tokens instead of passwords: a validator of one's own, and a client that has a token.

    python examples/oauth_tokens.py DIRECTORY
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
from pathlib import Path

from engine_logbook import Logbook

import febe.aio
from febe.errors import PostgresError
from febe.oauth import TokenRequest
from febe.server import PresentedToken, TokenVerdict, access_rules, serve

RULES = 'host all all 127.0.0.1/32 oauth issuer="https://login.example" scope="logbook"\n'
SECRET = b"known to the issuer and to the server"


def signature(name: str) -> str:
    return hmac.new(SECRET, name.encode(), hashlib.sha256).hexdigest()


def validate(presented: PresentedToken) -> TokenVerdict:
    """Where a program would ask its issuer, or use febe.server.jwt_validator.JWTValidator."""
    name, _, proof = presented.token.partition(".")
    return TokenVerdict(authorized=hmac.compare_digest(proof, signature(name)), authn_id=name)


async def get_token(request: TokenRequest) -> str:
    """Where a program would get one for itself; without it a person is asked, on the terminal."""
    print("a token of", request.issuer, "for", request.scope)
    return f"ada.{signature('ada')}"


async def main(folder: Path) -> None:
    (folder / "hba.conf").write_text(RULES)
    async with await serve(Logbook(), port=0, rules=access_rules(folder / "hba.conf"), oauth=validate) as listener:
        for user in ("ada", "eve"):
            try:
                async with await febe.aio.connect(
                        host="127.0.0.1", port=listener.port, user=user, dbname="logbook", oauth_token=get_token,
                        oauth_issuer="https://login.example", oauth_client_id="example") as client:
                    print(user, await client.execute("add 'hello'"))
            except PostgresError as error:
                print(error.sqlstate, error.message)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
