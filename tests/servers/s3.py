"""What a test knows of an S3 server: where it is and who may use it; and buckets on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """A running server. `limited` is a second user's key id and secret, who may do nothing; None where all may."""

    name: str
    endpoint: str
    key: str
    secret: str
    region: str = REGION
    ca_bundle: str | None = None
    limited: tuple[str, str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every S3 client finds the credentials."""
        found = {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return found | ({"AWS_CA_BUNDLE": self.ca_bundle} if self.ca_bundle else {})

    def at(self, endpoint: str, ca_bundle: str | None = None) -> S3Server:
        """Return the same server as it is reached through a proxy."""
        return replace(self, endpoint=endpoint, ca_bundle=ca_bundle)

    def client(self, **options: Any) -> Any:
        """Return a client of boto3, patient with a busy machine; `options` go to its configuration."""
        import boto3
        from botocore.config import Config

        settings = {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 5}, "read_timeout": 60, **options}
        session = boto3.session.Session(self.key, self.secret, region_name=self.region)
        return session.client("s3", endpoint_url=self.endpoint, config=Config(**settings), verify=self.ca_bundle)


class Bucket:
    """A fresh bucket: `name`, `url`, and its objects as a second pair of eyes sees them."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.name = f"test-{uuid.uuid4().hex[:16]}"
        # Checksums on requests and replies are boto3's business, tested elsewhere; here they must not stand in the way.
        self.client = server.client(
            request_checksum_calculation="when_required", response_checksum_validation="when_required"
        )
        self.client.create_bucket(Bucket=self.name)

    @property
    def url(self) -> str:
        """The bucket as a remote's URL."""
        return f"s3://{self.name}"

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects, sorted."""
        return list(self.listing(prefix))

    def listing(self, prefix: str = "") -> dict[str, tuple[int, str]]:
        """Return size and ETag of all objects. Swift's ETag of what came with one request is the MD5 of its bytes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        found = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"]: (item["Size"], item["ETag"].strip('"')) for item in found}

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self.client.get_object(Bucket=self.name, Key=key)["Body"] as body:
            return bytes(body.read())

    def write(self, key: str, data: bytes) -> None:
        """Put an object behind everybody's back."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def uploads(self) -> list[str]:
        """Return the keys of multipart uploads that were begun and neither completed nor aborted."""
        return [item["Key"] for item in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def close(self) -> None:
        """Remove what is big, so that one test's gigabytes are not the next one's full disk."""
        for key, (size, _) in self.listing().items():
            if size > 1 << 20:
                self.client.delete_object(Bucket=self.name, Key=key)
        self.client.close()
