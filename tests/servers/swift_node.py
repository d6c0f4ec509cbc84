"""OpenStack Swift with its S3 interface in one process, on loopback. Run by the Python that Swift is installed in.

    python swift_node.py FOLDER USERS

FOLDER is empty, on a file system with user attributes; USERS is JSON, access key (`account:user`) -> [secret, groups].
Says on stdout, as one line of JSON, where it listens. Account, container and object server run beside the proxy, each
on a port of its own: one device, one replica. Knows nothing of the project and of pytest.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which has a `swift` too
    sys.modules["swift_node"] = sys.modules["__main__"]  # for the configuration below
    warnings.simplefilter("ignore")  # one about the future of eventlet

import eventlet

if __name__ == "__main__":
    eventlet.monkey_patch()

STORAGE = ("account", "container", "object")

_STORAGE_CONF = """\
[DEFAULT]
devices = {folder}/devices
swift_dir = {folder}
mount_check = false
disable_fallocate = true
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY_CONF = """\
[DEFAULT]
swift_dir = {folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors proxy-logging cache bulk s3api tempauth copy slo symlink versioned_writes proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
paste.filter_factory = swift_node:cache_factory
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
max_upload_part_num = 10000
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:tempauth]
use = egg:swift#tempauth
"""  # noqa: E501 - a pipeline is one line


class Memory:
    """What Swift keeps in memcached; times of expiry are ignored, for nobody changes accounts behind its back."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str, **_: Any) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._values[key] = json.loads(json.dumps(value))  # as memcached would: nothing is shared with the caller

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        self._values[key] = max(0, int(self._values.get(key, 0)) + delta)
        return int(self._values[key])

    def decr(self, key: str, delta: int = 1, **_: Any) -> int:
        return self.incr(key, -delta)

    def delete(self, key: str, **_: Any) -> None:
        self._values.pop(key, None)

    def get_multi(self, keys: list[str], server_key: str, **_: Any) -> list[Any]:
        return [self.get(key) for key in keys]

    def set_multi(self, mapping: dict[str, Any], server_key: str, **_: Any) -> None:
        self._values.update(mapping)


def cache_factory(*_: Any, **__: Any) -> Any:
    """Make the filter that gives the rest of the pipeline its cache."""
    memory = Memory()

    def around(app: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = memory
            return app(environ, start_response)

        return call

    return around


def _listen() -> Any:
    return eventlet.listen(("127.0.0.1", 0), backlog=1024)


def _serve(sock: Any, conf: str) -> None:
    from swift.common import wsgi

    app = wsgi.loadapp(conf, global_conf={"log_name": os.path.basename(conf)})
    eventlet.spawn(
        eventlet.wsgi.server,
        sock,
        app,
        wsgi.NullLogger(),
        protocol=wsgi.SwiftHttpProtocol,
        capitalize_response_headers=False,
        socket_timeout=60,
    )


def main(folder: str, users: dict[str, tuple[str, str]]) -> None:
    """Serve until killed."""
    import eventlet.wsgi
    from swift.common import utils
    from swift.common.ring import RingBuilder

    os.fsync = os.fdatasync = lambda fd: None  # type: ignore[assignment] # thrown away at the end: no need to survive
    utils.HASH_PATH_SUFFIX = b"for tests only"
    os.makedirs(f"{folder}/devices/d1")
    sockets = {kind: _listen() for kind in STORAGE}
    for kind, sock in sockets.items():
        ring = RingBuilder(4, 1, 0)
        device = {"id": 0, "zone": 1, "region": 1, "weight": 1.0, "ip": "127.0.0.1", "device": "d1"}
        ring.add_dev({**device, "port": sock.getsockname()[1]})
        ring.rebalance()
        ring.get_ring().save(f"{folder}/{kind}.ring.gz")
        with open(f"{folder}/{kind}.conf", "w") as file:
            file.write(_STORAGE_CONF.format(folder=folder, kind=kind))
        _serve(sock, file.name)
    with open(f"{folder}/proxy.conf", "w") as file:
        file.write(_PROXY_CONF.format(folder=folder))
        for key, (secret, groups) in users.items():
            file.write(f"user_{key.replace(':', '_')} = {secret} {groups}\n")
    front = _listen()
    _serve(front, file.name)
    print(json.dumps({"port": front.getsockname()[1]}), flush=True)
    while True:
        eventlet.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
