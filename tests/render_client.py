"""What tests of files over HTTP share: forms, and requests and answers as they are."""

import hashlib
import http.client
import json

from tests.farm import LEAST, SLOW

BOUNDARY = "----gantry-test-7d1"


class Reply:
    def __init__(self, response):
        self.status, self.raw = response.status, response.read()
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        is_json = self.raw and self.headers.get("content-type", "").startswith("application/json")
        self.body = json.loads(self.raw) if is_json else None

    def __repr__(self):
        return f"{self.status} {self.headers} {self.raw[:500]!r}"


def ask(port, method, path, body=None, headers=None):
    """One request; body: bytes as they are, an iterable that is sent in chunks, or a value sent as JSON."""
    sent = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * LEAST * SLOW)
    try:
        connection.request(method, path, body=body, headers=sent)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def part(name, content, filename=None):
    more = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename is not None else ""
    content = content if isinstance(content, bytes) else str(content).encode()
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def md5(content):
    return hashlib.md5(content).hexdigest()


def upload(port, content, filename="wood.jpg", headers=None, hash=None, **fields):
    """Sends a file as curl does; fields beside it."""
    parts = [part("file", content, filename), part("hash", hash or md5(content))]
    parts += [part(name, value) for name, value in fields.items()]
    return ask(port, "POST", "/render/api/files/upload", form(*parts), dict(FORM, **(headers or {})))
