"""Signing in: clients, grants, tokens, and the endpoints that hand them out. Knows no files and no sockets.

Endpoints, below the server's address: `token` (authorization code with PKCE, refresh token, signed assertion of a
service account), `o/oauth2/auth` (sends the browser straight back), `revoke`, `v1/token` (exchange of another
provider's token) and `v1/projects/-/serviceAccounts/ADDRESS:generateAccessToken` (being a service account).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

from .errors import Refusal, Violation, refusal
from .store import SCOPE, Caller
from .upload import Answer, as_json

GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"
_TESTING_LIFE = 7 * 24 * 3600
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_SPENT = "Token has been expired or revoked."


@dataclass
class Client:
    """An OAuth client of type Desktop. `testing`: its consent screen is not published, so grants last a week."""

    id: str
    secret: str
    project: str
    testing: bool = False


@dataclass
class Grant:
    """What somebody allowed a client to do; lives until revoked."""

    email: str
    client: Client
    scopes: frozenset[str]
    made: float
    revoked: bool = False


class Token(NamedTuple):
    """An access token. `federated`: of another provider's identity, good only for becoming a service account."""

    caller: Caller
    expires: float
    grant: Grant | None = None
    federated: bool = False


class _Code(NamedTuple):
    grant: Grant
    redirect: str
    challenge: str


@dataclass
class Robot:
    """A service account, and whom it may stand for."""

    email: str
    project: str
    delegates: frozenset[str] = frozenset()
    key_id: str = ""


class Denied(Refusal):
    """An error of these endpoints, whose body is of another form."""

    def document(self) -> dict[str, Any]:
        return {"error": self.reason, "error_description": self.message}


@functools.cache
def private_key() -> str:
    """Return an RSA key in PEM; one for all service accounts, as making it takes its time."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@dataclass
class OAuth:
    """All clients and tokens. `now` gives the time; `account` is who sits at the browser."""

    now: Callable[[], float]
    account: str = "anna@example.com"
    refuses: bool = False  # the person at the browser says no
    granted: frozenset[str] | None = None  # the boxes that the person ticks; None: what is asked for
    lifetime: int = 3600  # of access tokens, in seconds
    clients: dict[str, Client] = field(default_factory=dict)
    robots: dict[str, Robot] = field(default_factory=dict)
    subject_token: str = "a token of the other provider"

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, Grant] = {}
        self._access: dict[str, Token] = {}

    # ---------------------------------------------------------------- what tests ask for

    def client(self, name: str, *, testing: bool = False) -> Client:
        """Return the client of this name, made when it is new; each belongs to a project of its own."""
        number = 10**11 + int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        client_id = f"{number}-{name}.apps.googleusercontent.com"
        if client_id not in self.clients:
            self.clients[client_id] = Client(client_id, f"GOCSPX-{name}", f"project-{name}", testing)
        return self.clients[client_id]

    def grant(self, email: str, client: Client, scopes: frozenset[str]) -> str:
        """Return a refresh token."""
        with self._lock:
            token = f"1//refresh-{next(self._numbers)}"
            self._refresh[token] = Grant(email, client, scopes, self.now())
            return token

    def robot(self, email: str, delegates: frozenset[str] = frozenset()) -> Robot:
        """Return the service account of this address, made when it is new."""
        made = Robot(email, email.partition("@")[2].partition(".")[0], delegates, f"key-{len(self.robots)}")
        robot = self.robots.setdefault(email, made)
        robot.delegates |= delegates
        return robot

    def expire(self) -> None:
        """Let all access tokens be too old from now on."""
        with self._lock:
            self._access = {name: token._replace(expires=0.0) for name, token in self._access.items()}

    def revoke_all(self) -> None:
        """Let every grant be revoked, as by the person in the account's settings."""
        with self._lock:
            for grant in self._refresh.values():
                grant.revoked = True

    # ---------------------------------------------------------------- tokens

    def caller(self, headers: dict[str, str]) -> Caller:
        """Return who asks, by the header. Raises a refusal (401)."""
        kind, _, name = headers.get("authorization", "").partition(" ")
        token = self._access.get(name.strip())
        if kind != "Bearer" or token is None or token.federated or not self._lives(token):
            raise refusal("authError")
        return token.caller

    def known(self, headers: dict[str, str]) -> str:
        """Return whose token this is, whether it is good or not; empty when it is nobody's."""
        token = self._access.get(headers.get("authorization", "").removeprefix("Bearer ").strip())
        return token.caller.email if token is not None else ""

    def _lives(self, token: Token) -> bool:
        return token.expires > self.now() and not (token.grant is not None and token.grant.revoked)

    def _issue(self, caller: Caller, grant: Grant | None = None, federated: bool = False) -> dict[str, Any]:
        name = f"ya29.access-{next(self._numbers)}"
        self._access[name] = Token(caller, self.now() + self.lifetime, grant, federated)
        scope = " ".join(sorted(caller.scopes))
        return {"access_token": name, "expires_in": self.lifetime - 1, "scope": scope, "token_type": "Bearer"}

    def token(self, form: dict[str, str], headers: dict[str, str]) -> Answer:
        """Answer the token endpoints; the client says who it is in the form or in the header. Raises Denied."""
        kind, _, pair = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            client_id, _, secret = base64.b64decode(pair).decode().partition(":")
            form = {"client_id": unquote(client_id), "client_secret": unquote(secret), **form}
        kinds = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh,
            _JWT: self._by_assertion,
            _EXCHANGE: self._by_exchange,
        }
        kind = form.get("grant_type", "")
        if kind not in kinds:
            raise Denied(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")
        with self._lock:
            return as_json(kinds[kind](form))

    def _client(self, form: dict[str, str]) -> Client:
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            raise Denied(401, "invalid_client", "The OAuth client was not found.")
        if client.secret != form.get("client_secret"):
            raise Denied(401, "invalid_client", "Unauthorized")
        return client

    def _by_code(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._client(form)
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.grant.client is not client:
            raise Denied(400, "invalid_grant", "Malformed auth code.")
        if code.redirect != form.get("redirect_uri"):
            raise Denied(400, "redirect_uri_mismatch", "Bad Request")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            raise Denied(400, "invalid_grant", "Missing or wrong code verifier.")
        name = f"1//refresh-{next(self._numbers)}"
        self._refresh[name] = code.grant
        made = self._issue(Caller(code.grant.email, client.project, code.grant.scopes), code.grant)
        return made | {"refresh_token": name}

    def _by_refresh(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._client(form)
        grant = self._refresh.get(form.get("refresh_token", ""))
        if grant is None or grant.client is not client or grant.revoked:
            raise Denied(400, "invalid_grant", _SPENT)
        if client.testing and self.now() > grant.made + _TESTING_LIFE:
            raise Denied(400, "invalid_grant", _SPENT)
        asked = frozenset(form.get("scope", "").split()) or grant.scopes
        if not asked <= grant.scopes:
            raise Denied(400, "invalid_scope", "Bad Request")
        return self._issue(Caller(grant.email, client.project, asked), grant)

    def _by_assertion(self, form: dict[str, str]) -> dict[str, Any]:
        claims = self._claims(form.get("assertion", ""))
        robot = self.robots.get(claims.get("iss", ""))
        if robot is None:
            raise Denied(400, "invalid_grant", "Invalid grant: account not found")
        now = self.now()
        if not claims.get("iat", 0) - 300 <= now < claims.get("exp", 0) <= claims.get("iat", 0) + 3600:
            raise Denied(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        if not str(claims.get("aud", "")).endswith("/token"):
            raise Denied(400, "invalid_grant", "Invalid JWT: aud")
        if not (scopes := frozenset(claims.get("scope", "").split())):
            raise Denied(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        email = claims.get("sub", robot.email)
        if email not in (robot.email, *robot.delegates):
            raise Denied(401, "unauthorized_client", "Client is unauthorized to retrieve access tokens.")
        return self._issue(Caller(email, robot.project, scopes))

    @staticmethod
    def _claims(assertion: str) -> dict[str, Any]:
        """Return what a signed assertion says. Raises Denied unless our key signed it."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        def decoded(text: str) -> bytes:
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

        try:
            head, claims, signature = assertion.split(".")
            key = serialization.load_pem_private_key(private_key().encode(), None)
            assert isinstance(key, rsa.RSAPrivateKey)
            signed = f"{head}.{claims}".encode()
            key.public_key().verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
            found: dict[str, Any] = json.loads(decoded(claims))
        except (ValueError, InvalidSignature):
            raise Denied(400, "invalid_grant", "Invalid JWT Signature.") from None
        return found

    def _by_exchange(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("subject_token") != self.subject_token or not form.get("audience"):
            raise Denied(400, "invalid_grant", "The given credential is rejected by the attribute condition.")
        scopes = frozenset(form.get("scope", "").split())
        made = self._issue(Caller(form["audience"], "federated", scopes), federated=True)
        return made | {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}

    def impersonate(self, email: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        """Answer who wants to be a service account. Raises a refusal."""
        import datetime

        token = self._access.get(headers.get("authorization", "").removeprefix("Bearer ").strip())
        if token is None or not token.federated or token.expires <= self.now():
            raise refusal("authError")
        robot = self.robots.get(email)
        if robot is None:
            raise Refusal(403, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource")
        with self._lock:
            made = self._issue(Caller(email, robot.project, frozenset(body.get("scope", [SCOPE]))))
        end = datetime.datetime.fromtimestamp(self.now() + self.lifetime, datetime.timezone.utc)
        return as_json({"accessToken": made["access_token"], "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def revoke(self, token: str) -> Answer:
        """Answer the endpoint that takes back a grant. Raises Denied."""
        with self._lock:
            grant = self._refresh.get(token) or (self._access[token].grant if token in self._access else None)
            if grant is None or grant.revoked:
                raise Denied(400, "invalid_token", "Token expired or revoked")
            grant.revoked = True
        return as_json({})

    # ---------------------------------------------------------------- the browser

    def authorize(self, query: dict[str, str]) -> Answer:
        """Send the browser back at once, with a code or with the news that the person said no."""
        client = self.clients.get(query.get("client_id", ""))
        if client is None:
            return Answer(401, {"Content-Type": "text/html"}, b"Error 401: invalid_client")
        redirect = query.get("redirect_uri", "")
        if urlsplit(redirect).hostname not in ("127.0.0.1", "localhost", "::1"):
            return Answer(400, {"Content-Type": "text/html"}, b"Error 400: invalid_request (out-of-band is blocked)")
        scopes = frozenset(query.get("scope", "").split())
        for name, good in (
            ("response_type", query.get("response_type") == "code"),
            ("code_challenge_method", query.get("code_challenge_method") == "S256"),
            ("code_challenge", bool(query.get("code_challenge"))),
            ("state", bool(query.get("state"))),
            ("access_type", query.get("access_type") == "offline"),
            ("scope", bool(scopes)),
        ):
            if not good:
                raise Violation(400, "invalid_request", f"The authorization request has no good {name}.")
        given = scopes if self.granted is None else scopes & self.granted
        if self.refuses or not given:
            back = {"error": "access_denied", "state": query["state"]}
        else:
            with self._lock:
                code = f"4/code-{next(self._numbers)}"
                grant = Grant(self.account, client, given, self.now())
                self._codes[code] = _Code(grant, redirect, query["code_challenge"])
            back = {"state": query["state"], "code": code, "scope": " ".join(sorted(given))}
        return Answer(302, {"Location": f"{redirect}{'&' if urlsplit(redirect).query else '?'}{urlencode(back)}"})
