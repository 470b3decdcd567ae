"""Somebody who is sent webhooks: a real HTTP server that keeps what it gets and answers as told."""

import base64
import collections
import hashlib
import hmac
import http.server
import json
import socketserver
import threading

Delivery = collections.namedtuple("Delivery", "path headers raw body")


def key_of(secret):
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def signed(delivery, secret):
    """Whether the signature is right, computed from the specification's words alone."""
    content = b".".join([delivery.headers["webhook-id"].encode(), delivery.headers["webhook-timestamp"].encode(), delivery.raw])
    wanted = "v1," + base64.b64encode(hmac.new(key_of(secret), content, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(delivery.headers["webhook-signature"], wanted)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Who sent it was killed."""


class Receiver:
    """status: what is answered, a number or a function of the delivery; a number of 0 closes the connection, "hang" waits for the end."""

    def __init__(self, status=204, headers=None):
        self.status, self.headers = status, headers or {}
        self.got = []
        self.over = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                delivery = Delivery(self.path, {k.lower(): v for k, v in self.headers.items()}, raw, json.loads(raw))
                receiver.got.append(delivery)
                status = receiver.status(delivery) if callable(receiver.status) else receiver.status
                if status == "hang":
                    receiver.over.wait()
                if not isinstance(status, int) or status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, event, path=None):
        return [d for d in list(self.got) if d.body["event"] == event and path in (None, d.path)]

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Stream:
    """Server-sent events of /api/events, read by a thread."""

    def __init__(self, farm, query="", headers=None):
        import http.client
        self.connection = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=120)
        self.connection.request("GET", "/api/events" + query, headers=headers or {})
        self.response = self.connection.getresponse()
        self.events = []  # (id or None, type, data)
        self.open = threading.Event()
        self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        fields = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    self.open.set()
                elif not line and fields:
                    self.events.append((int(fields["id"]) if "id" in fields else None, fields.get("event"), json.loads(fields["data"])))
                    fields = {}
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
        except (OSError, ValueError, AttributeError):
            pass
        self.ended = True

    def types(self):
        return [event for _, event, _ in list(self.events)]

    def close(self):
        import socket
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.thread.join(10)
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
