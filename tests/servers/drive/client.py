"""The official libraries, pointed at a server of this package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import schema

if TYPE_CHECKING:
    from . import DriveServer


def credentials(info: dict[str, Any], scopes: list[str] | None = None) -> Any:
    """Return credentials of google-auth from what a credentials file holds."""
    kind = info["type"]
    scopes = scopes or ["https://www.googleapis.com/auth/drive"]
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info(info, scopes=scopes)
    if kind == "external_account":
        from google.auth import identity_pool

        return identity_pool.Credentials.from_info(info, scopes=scopes)
    from google.oauth2.credentials import Credentials

    names = ("refresh_token", "token_uri", "client_id", "client_secret")  # from_..._info would put Google's address
    return Credentials(None, **{name: info[name] for name in names})


class Client:
    """`service` as googleapiclient builds it, `session` as google-auth does over requests; a context manager."""

    def __init__(self, server: DriveServer, info: dict[str, Any], scopes: list[str] | None = None) -> None:
        import google_auth_httplib2
        from google.auth.transport.requests import AuthorizedSession, Request
        from googleapiclient.discovery import build_from_document
        from googleapiclient.http import build_http

        self.url = server.url
        self.credentials = credentials(info, scopes)
        self.refresh = Request()  # a batch would do it on a connection that nobody closes
        self.credentials.refresh(self.refresh)
        document = json.dumps({**schema.document(), "rootUrl": server.url})
        self.http = google_auth_httplib2.AuthorizedHttp(self.credentials, http=build_http())
        self.service = build_from_document(document, http=self.http)
        self.files = self.service.files()
        self.session = AuthorizedSession(self.credentials)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.session.close()
        self.refresh.session.close()
        if self.session._auth_request_session is not None:
            self.session._auth_request_session.close()
