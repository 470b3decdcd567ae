"""What HTTP itself demands: a gateway alone, without store and scheduler, and clients that do not behave."""

import concurrent.futures
import http.client
import json
import os
import re
import select
import signal
import socket
import unittest

from tests.contract.base import Contract
from tests.contract.scripted import Scripted
from tests.farm import SLOW, Answer, Farm, alive, has_ipv6, wait_for


class GatewayAlone(Contract):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.farm = Farm(workers=0, start=False, **cls.settings)
        cls.farm.__enter__()
        cls.farm.start("gateway")
        wait_for(lambda: "GTY-HTTP-LISTEN" in cls.farm.log("gateway"), what="the gateway listening")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW)

    def raw(self, data, wait=True):
        """Sends bytes as they are; answers what comes back as an Answer, or None when the connection just ends."""
        with self.connect() as client:
            client.sendall(data)
            if wait:
                client.shutdown(socket.SHUT_WR)
            return self.read_answer(client)

    def read_answer(self, client):
        data = b""
        while True:
            try:
                part = client.recv(65536)
            except ConnectionResetError:
                part = b""
            data += part
            head, mark, body = data.partition(b"\r\n\r\n")
            if mark:
                lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
                length = int(headers.get("content-length", 0))
                if len(body) >= length or not part:
                    body = body[:length]
                    is_json = headers.get("content-type", "").startswith("application/json") and body
                    return Answer(int(lines[0].split()[1]), headers, json.loads(body) if is_json else body.decode())
            elif not part:
                return None


class Requests(GatewayAlone):
    settings = {"http_request_seconds": 3600}  # what ends here does not end because it took too long

    def test_unknown_paths(self):
        for path in ("/api", "/api/", "/api/nothing", "/nothing", "/api/tasks/", "/api/tasks/1/nothing", "/api//tasks", "/favicon.ico"):
            with self.subTest(path=path):
                error = self.error(self.farm.get(path), 404, "RESOURCE_NOT_FOUND", "path", "route", path)
                self.assertIn(path, error["message"])

    def test_wrong_methods(self):
        for method, path, allow in [("PATCH", "/api/tasks", "GET, HEAD, POST, OPTIONS"), ("POST", "/api/tasks/1", "GET, HEAD, PUT, DELETE, OPTIONS"),
                                    ("GET", "/api/tasks/1/trigger", "POST, OPTIONS"), ("DELETE", "/api/system/health", "GET, HEAD, OPTIONS"),
                                    ("TRACE", "/api/runs", "GET, HEAD, POST, DELETE, OPTIONS"), ("BREW", "/", "GET, HEAD, OPTIONS")]:
            with self.subTest(method=method):
                answer = self.farm.request(method, path)
                self.error(answer, 405, "VALIDATION_ERROR", "method", "method", method)
                self.assertEqual(answer.headers["allow"], allow)

    def test_options_are_answered_everywhere(self):
        for path, allow in [("/api/tasks", "GET, HEAD, POST, OPTIONS"), ("/api/runs/7/abort", "POST, OPTIONS"), ("/", "GET, HEAD, OPTIONS")]:
            answer = self.farm.request("OPTIONS", path)
            self.assertEqual((answer.status, answer.headers["allow"], answer.body), (204, allow, ""))
            self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertEqual(self.raw(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 204)
        self.error(self.raw(b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.request("OPTIONS", "/api/nothing"), 404, "RESOURCE_NOT_FOUND")

    def test_malformed_json(self):
        for body in (b"{", b"{]", b'{"a":1,}', b'{"name":"x","name":"y"}', b'{"a":NaN}', b"{'a':1}", b'{"a":"\xff"}', b'{"a":"\\u0000"}',
                     b'{"a":9223372036854775808}', b'"text"', b"null", b"7", b"[" * 1000 + b"]" * 1000, b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}',
                     b'{"metadata":' + b"[" * 100000 + b"]" * 100000 + b"}", b'{"a":' * 100000, b'{"a":1e999}', b'{"a":' + b"9" * 100000 + b"}",
                     b'{"metadata":{"a":1,"\\u0061":2}}', b'{"a":"\\ud800"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b"\xff\xfe{\0}\0"):
            with self.subTest(body=body[:30]):
                error = self.error(self.farm.post("/api/tasks", body), 400, "VALIDATION_ERROR", "body", "json")
                self.assertGreater(len(error["message"]), 20)
        self.error(self.farm.post("/api/tasks", b"[]"), 422, "VALIDATION_ERROR", "body", "json_object")
        self.error(self.farm.post("/api/tasks/1/trigger", b"{"), 400, "VALIDATION_ERROR", "body", "json")

    def test_media_types(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "",
                     "text/plain; application/json"):
            with self.subTest(kind=kind):
                self.error(self.farm.post("/api/tasks", b"{}", headers={"Content-Type": kind}), 415, "VALIDATION_ERROR", "Content-Type", "media_type")
        self.error(self.raw(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"), 415, "VALIDATION_ERROR")
        chunked = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n%s\r\n2\r\n{}\r\n0\r\n\r\n"
        self.error(self.raw(chunked % b""), 415, "VALIDATION_ERROR")
        self.error(self.raw(chunked % b"Content-Type: application/json\r\n"), 422, "VALIDATION_ERROR", "name", "required")
        for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
            self.error(self.farm.post("/api/tasks", b"{}", headers={"Content-Type": kind}), 422, "VALIDATION_ERROR", "name", "required")
        # Nothing needs no type.
        self.error(self.raw(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), 422, "VALIDATION_ERROR", "name")

    def test_targets(self):
        for target in (b"/api/tasks%00", b"/api/%zz", b"/api/tasks?x=%", b"/api/../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/api/tasks/..%2f..",
                       b"/api/tasks/%5c..", b"/api/./tasks", b"/api/tasks?x=%00", b"/api/%ff", b"/api/tasks?x=%c0%80", b"/a#b",
                       b"/api/\xe4%b8%ad", b"/api/\xff", b"ftp://localhost/api", b"api/tasks", b"/api/tasks?" + b"a&" * 40):
            with self.subTest(target=target[:40]):
                answer = self.raw(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                error = self.error(answer, 400, "VALIDATION_ERROR", "uri", "uri")
                self.assertTrue(error["message"])
        self.error(self.raw(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414, "VALIDATION_ERROR")
        self.error(self.raw(b"GET http://localhost/api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.raw(b"GET http://evil.example/api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403, "AUTHORIZATION_ERROR", "Host")

    def test_framing(self):
        both = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        answer = self.raw(both)
        self.error(answer, 400, "VALIDATION_ERROR", "Content-Length", "framing")
        self.assertEqual(answer.headers.get("connection", "").lower(), "close")
        twice = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
        self.error(self.raw(twice), 400, "VALIDATION_ERROR", "Content-Length", "framing")

    def test_framing_that_somebody_in_between_may_read_otherwise(self):
        """Each would be two requests for one of us and one for the other: it is refused, and nothing behind it is read as a request."""
        head = b"POST /api/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        inner = b"GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
        length = b"%d" % len(inner)
        chunked = b"\r\n2\r\n{}\r\n0\r\n\r\n"
        shapes = [(b"Content-Length : " + length + b"\r\n\r\n", "header"), (b"Content-Length\t: " + length + b"\r\n\r\n", "header"),
                  (b"X: a\rContent-Length: " + length + b"\r\n\r\n", "header"), (b"X: a\x0bb\r\n\r\n", "header"),
                  (b"X y: a\r\n\r\n", "header"), (b"Transfer-Encoding : chunked\r\n" + chunked, "header"),
                  (b"Content-Length:\r\n " + length + b"\r\n\r\n", "header"), (b"Content-Length: 1\r\n 2\r\n\r\n", "header"),
                  (b"Transfer-Encoding: chun\r\n ked\r\n" + chunked, "header"), (b"X: a\r\n Content-Length: 4\r\n\r\n", "header"),
                  (b"Transfer-Encoding: gzip\r\n" + chunked, "coding"), (b"Transfer-Encoding: gzip, chunked\r\n" + chunked, "coding"),
                  (b"Transfer-Encoding: identity\r\n\r\n", "coding"), (b"Transfer-Encoding: chunked, identity\r\n" + chunked, "coding"),
                  (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" + chunked, "coding"),
                  (b"Transfer-Encoding: \x0bchunked\r\n" + chunked, "header"), (b"Transfer-Encoding:\r\n\r\n", "coding")]
        for shape, rule in shapes:
            for path in (b"tasks", b"nothing"):
                with self.subTest(shape=shape[:40], path=path), self.connect() as client:
                    client.sendall(head % path + shape + inner)
                    text = b""
                    try:
                        while part := client.recv(65536):  # it ends by itself
                            text += part
                    except ConnectionResetError:
                        pass
                    self.assertTrue(text.startswith(b"HTTP/1.1 4"), text)
                    self.assertNotIn(b"smuggled", text)
                    self.assertIn(b'"rule":"' + rule.encode() + b'"', text)
        old = b"POST /api/tasks HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        self.error(self.raw(old), 400, "VALIDATION_ERROR", "Transfer-Encoding", "coding")
        fine = head % b"tasks" + b"Content-Length: 0000000000000000000000000002\r\n\r\n{}"
        self.error(self.raw(fine), 422, "VALIDATION_ERROR", "name", "required")

    def test_hosts(self):
        for host in ("localhost", f"localhost:{self.farm.port}", "127.0.0.1", "[::1]:80", "LOCALHOST"):
            self.assertEqual(self.farm.get("/api/nothing", headers={"Host": host}).status, 404, host)
        for host in ("evil.example", "localhost.evil.example", "192.168.0.1", "[::2]", "x y"):
            with self.subTest(host=host):
                self.error(self.farm.get("/api/nothing", headers={"Host": host}), 403, "AUTHORIZATION_ERROR", "Host", "host")
        for head in (b"", b"Host:\r\n", b"Host:  \r\n"):
            for target in (b"/api/nothing", b"http://localhost/api/nothing", b"/"):
                self.error(self.raw(b"GET " + target + b" HTTP/1.1\r\n" + head + b"\r\n"), 400, "VALIDATION_ERROR", "Host", "required")
        self.error(self.raw(b"GET /api/nothing HTTP/1.0\r\n\r\n"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.raw(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"), 403, "AUTHORIZATION_ERROR", "Host")
        self.error(self.raw(b"GET /api/nothing HTTP/1.0\r\n\r\n"), 404, "RESOURCE_NOT_FOUND")

    def test_origins(self):
        port = self.farm.port
        self.assertEqual(self.farm.get("/api/nothing", headers={"Origin": f"http://127.0.0.1:{port}"}).status, 404)
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{port}"):
            with self.subTest(origin=origin):
                self.error(self.farm.post("/api/tasks", {}, headers={"Origin": origin}), 403, "AUTHORIZATION_ERROR", "Origin", "origin", origin)
                preflight = self.farm.request("OPTIONS", "/api/tasks", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
                self.assertEqual(preflight.status, 204)
                self.assertNotIn("access-control-allow-origin", preflight.headers)

    def test_any_bytes_in_headers(self):
        for name in (b"Host", b"Origin", b"Content-Type", b"Accept-Language", b"X-Request-Id", b"Idempotency-Key", b"Last-Event-ID"):
            with self.subTest(name=name):
                head = b"POST /api/tasks HTTP/1.1\r\n" + (b"" if name == b"Host" else b"Host: localhost\r\n")
                answer = self.raw(head + name + b": \xff\xfe\x80" + b"y" * 300 + b"\r\nContent-Length: 2\r\n\r\n{}")
                self.assertIn(answer.status, (400, 403, 415))
                self.error(answer, answer.status, answer.body["error"]["code"])  # it is JSON, whole

    def test_request_ids(self):
        self.assertEqual(self.farm.get("/api/nothing", headers={"X-Request-Id": "my-id.1:2_3"}).headers["x-request-id"], "my-id.1:2_3")
        for bad in ("with space", "x" * 65, "a\tb", '"', "中".encode().decode("latin-1")):
            answer = self.farm.get("/api/nothing", headers={"X-Request-Id": bad})
            self.assertRegex(answer.headers["x-request-id"], r"^req_[0-9a-f]{24}$")
            self.error(answer, 404, "RESOURCE_NOT_FOUND")
        self.assertNotEqual(self.farm.get("/a").headers["x-request-id"], self.farm.get("/a").headers["x-request-id"])

    def test_languages(self):
        for header, word in [("en", "Request validation failed: name is required"), ("en-US,en;q=0.9,zh;q=0.5", "Request validation failed"),
                             ("zh-CN,zh;q=0.9,en;q=0.8", "请求参数验证失败：字段 name 为必填项"), ("", "请求参数验证失败"), ("fr", "请求参数验证失败")]:
            error = self.error(self.farm.post("/api/tasks", {}, headers={"Accept-Language": header}), 422, "VALIDATION_ERROR", "name", "required", None)
            self.assertIn(word, error["message"])

    def test_idempotency_keys_are_checked(self):
        spec = {"name": "n", "task_type": "shell", "executor": "shell", "command": "true"}
        self.error(self.farm.post("/api/tasks", spec, headers={"Idempotency-Key": "k" * 256}), 400, "VALIDATION_ERROR", "Idempotency-Key",
                   "idempotency_key")

    def test_head_is_get_without_a_body(self):
        answer = self.farm.request("HEAD", "/api/system/health")
        self.assertEqual((answer.status, answer.body), (503, ""))
        self.assertGreater(int(answer.headers["content-length"]), 100)

    def test_keep_alive_and_pipelining(self):
        with self.connect() as client:
            for number in range(50):
                client.sendall(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: n%d\r\n\r\n" % number)
                self.assertEqual(self.read_answer(client).headers["x-request-id"], f"n{number}")
            client.sendall(b"".join(b"GET /api/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(20)))
            text = b""
            while text.count(b"HTTP/1.1 404") < 20:
                part = client.recv(65536)
                self.assertTrue(part)
                text += part
            self.assertEqual([int(n) for n in re.findall(rb'"value":"/api/(\d+)"', text)], list(range(20)))
            # An error does not cost the connection, nor does a body that was not wanted.
            client.sendall(b"POST /api/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET /api/after HTTP/1.1\r\nHost: localhost\r\n\r\n")
            text = b""
            while b"/api/after" not in text:
                part = client.recv(65536)
                self.assertTrue(part)
                text += part

    def test_garbage_does_no_harm(self):
        for data in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", os.urandom(4096),
                     b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                     b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            with self.connect() as client:
                try:
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.farm.get("/api/nothing").status, 404)

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_localhost_is_two(self):
        """Clients that try only the first address of localhost may begin with ::1."""
        for host in ("127.0.0.1", "::1"):
            client = http.client.HTTPConnection(host, self.farm.port, timeout=120 * SLOW)
            for _ in range(3):  # over one connection
                client.request("POST", "/api/tasks", b"{", {"Content-Type": "application/json", "Host": "localhost"})
                answer = client.getresponse()
                self.assertEqual((answer.status, json.loads(answer.read())["error"]["code"]), (400, "VALIDATION_ERROR"))
            client.close()

    def test_broken_off(self):
        """A client that has said its last word in the middle of a request is not waited for, also when all of it comes at once."""
        post = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        parts = (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local", post, post + b"Content-Length: 100\r\n\r\n{\"name\":",
                 post + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"\x8c\n\x01", b"\x00\x01 \x02\n")
        clients = [self.connect() for _ in parts]
        self.farm.stop("gateway")
        for client, data in zip(clients, parts):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        self.farm.cont("gateway")
        for client, data in zip(clients, parts):
            with client, self.subTest(data=data):
                try:
                    while client.recv(65536):
                        pass
                except ConnectionResetError:
                    pass

    def test_health_without_anybody(self):
        answer = self.farm.get("/api/system/health")
        data = self.data(answer, 503)
        self.assertEqual(data["status"], "unhealthy")
        self.assertEqual(data["components"]["database"]["status"], "unhealthy")
        self.assertIsNone(data["components"]["database"]["response_time"])
        self.assertEqual(self.farm.get("/").status, 200)


class Limits(GatewayAlone):
    settings = {"http_body_kb": 4}

    def post_head(self, length, more=b""):
        return b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n" % (length, more)

    def test_bodies(self):
        fits = b'{"a":"' + b"x" * (4096 - 8) + b'"}'
        self.error(self.farm.post("/api/tasks", fits), 422, "VALIDATION_ERROR", "name", "required")
        self.error(self.farm.post("/api/tasks", fits + b" "), 413, "VALIDATION_ERROR", "body", "body_size")
        self.error(self.farm.post("/api/tasks", b"x" * 100000), 413, "VALIDATION_ERROR", "body", "body_size")
        # Without a length, and with one that is not worth reading.
        chunks = b"%x\r\n%s\r\n" % (3000, b"y" * 3000)
        head = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.error(self.raw(head + chunks * 2 + b"0\r\n\r\n"), 413, "VALIDATION_ERROR")
        answer = self.raw(self.post_head(1 << 40), wait=False)
        self.error(answer, 413, "VALIDATION_ERROR")
        self.assertEqual(answer.headers["connection"].lower(), "close")
        self.error(self.raw(self.post_head(5000, b"Expect: 100-continue\r\n"), wait=False), 413, "VALIDATION_ERROR")

    def test_endless_bodies_are_cut(self):
        head = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (1 << 16, b"z" * (1 << 16))
        sent = 0
        with self.connect() as client:
            client.sendall(head)
            try:
                while sent < (64 << 20):
                    client.sendall(chunk)
                    sent += len(chunk)
            except OSError:
                pass
        self.assertLess(sent, 64 << 20)


class SlowClients(GatewayAlone):
    """Clients that take their time. What has to be there in time is sent while the gateway is stopped: its clocks begin when it sees them."""

    def drip(self, begin, data, pause):
        """Sends the beginning as one and the data a byte at a time, for a minute or more; answers what came back until it was cut off."""
        self.farm.stop("gateway")
        with self.connect() as client:
            client.sendall(begin)
            self.farm.cont("gateway")
            client.settimeout(pause)
            text = b""
            for index in range(len(data)):
                try:
                    client.sendall(data[index:index + 1])
                    part = client.recv(65536)
                    text += part
                    if not part:
                        return text
                except TimeoutError:
                    pass
                except OSError:
                    return text + self.left(client)
        self.fail("it was never cut off")

    def left(self, client):
        """What was said to a client before it heard that it is cut off."""
        text = b""
        try:
            while part := client.recv(65536):
                text += part
        except OSError:
            pass
        return text


class Slow(SlowClients):
    settings = {"http_request_seconds": 1, "http_idle_seconds": 3600}  # so a client that stands still is late, and not silent

    def test_slow_headers(self):
        text = self.drip(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n", b"X-Slow: yes\r\n" * 100, 0.05)
        self.assertIn(b" 408 ", text)
        self.assertIn(b'"VALIDATION_ERROR"', text)

    def test_slow_bodies(self):
        head = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
        self.assertIn(b" 408 ", self.drip(head, b"x" * 1200, 0.05))


class Idle(SlowClients):
    settings = {"http_request_seconds": 1, "http_idle_seconds": 1}

    def test_slow_request_lines(self):
        self.drip(b"", b"GET /" + b"a" * 1200, 0.05)

    def test_silence_is_closed(self):
        with self.connect() as client:
            self.assertEqual(client.recv(1), b"")
        self.farm.stop("gateway")
        with self.connect() as client:
            client.sendall(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.farm.cont("gateway")
            self.assertEqual(self.read_answer(client).status, 404)
            self.assertEqual(client.recv(1), b"")


class Full(GatewayAlone):
    """All connections wait for a scheduler that says nothing."""

    settings = {"http_connections": 8, "bus_deadline_ms": 600000}

    def test_too_many_connections(self):
        scheduler = Scripted(self.farm.endpoint("scheduler"), ("error", {"code": 12}))
        self.addCleanup(scheduler.close)
        wait_for(lambda: self.farm.post("/api/tasks/1/pause").status == 500, what="the gateway's finding the scheduler")
        scheduler.answer = None
        held = []
        while len(held) < 8:  # one that was closed a moment ago may still have its place
            client = self.connect()
            client.sendall(b"POST /api/tasks/1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            wait_for(lambda: scheduler.count("task_pause") > len(held) or select.select([client], [], [], 0)[0], what="its being asked, or refused")
            if scheduler.count("task_pause") > len(held):
                held.append(client)
            else:
                client.close()
        answer = self.farm.get("/api/nothing")
        error = self.error(answer, 503, "SYSTEM_ERROR", rule="connections")
        self.assertTrue(error["message"])
        self.assertEqual(answer.headers["connection"].lower(), "close")
        scheduler.answer = ("error", {"code": 12})
        for client in held:
            self.assertEqual(self.read_answer(client).status, 500)
            client.close()
        wait_for(lambda: self.farm.get("/api/nothing").status == 404, what="room for a connection")


class Crowded(GatewayAlone):
    """One client that holds all connections keeps nobody else out."""
    settings = {"http_request_seconds": 3600, "http_idle_seconds": 3600, "http_connections": 8}

    def test_connections_at_rest_make_room(self):
        held = [self.connect() for _ in range(8)]
        for client, words in zip(held, (b"", b"GET / HT", b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n", b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")):
            client.sendall(words)
        wait_for(lambda: self.farm.get("/api/nothing").status == 404, what="room for somebody else")
        wait_for(lambda: select.select(held, [], [], 0)[0], what="one of them being cut")
        for client in held:
            client.close()


class Origins(GatewayAlone):
    settings = {"http_origins": "https://app.example,http://other:1", "http_hosts": "farm.example"}

    def test_listed_origins_may_call(self):
        answer = self.farm.get("/api/nothing", headers={"Origin": "https://app.example"})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"], answer.headers["vary"]), (404, "https://app.example", "Origin"))
        preflight = self.farm.request("OPTIONS", "/api/tasks", headers={"Origin": "http://other:1", "Access-Control-Request-Method": "POST"})
        self.assertEqual(preflight.status, 204)
        self.assertEqual(preflight.headers["access-control-allow-origin"], "http://other:1")
        self.assertIn("POST", preflight.headers["access-control-allow-methods"])
        self.assertIn("Idempotency-Key", preflight.headers["access-control-allow-headers"])
        self.error(self.farm.get("/api/nothing", headers={"Origin": "https://app.example.evil"}), 403, "AUTHORIZATION_ERROR")
        self.assertEqual(self.farm.get("/api/nothing", headers={"Host": "farm.example"}).status, 404)


class Reload(GatewayAlone):
    def test_sighup_takes_what_is_reloadable(self):
        config = self.farm.data / "gantry.conf"
        config.write_text("http.hosts = new.example\nhttp.body_kb = 1\n")
        self.assertEqual(self.farm.get("/a", headers={"Host": "new.example"}).status, 403)
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: self.farm.get("/a", headers={"Host": "new.example"}).status == 404, what="the new host being served")
        self.assertEqual(self.farm.post("/api/tasks", b"x" * 1025).status, 413)
        config.write_text("http.hosts = other.example\nno.such.setting = 1\n")
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: "GTY-SETTINGS-KEPT" in self.farm.log("gateway"), what="the refusal of a bad file")
        self.assertEqual(self.farm.get("/a", headers={"Host": "new.example"}).status, 404)
        self.assertEqual(self.farm.get("/a", headers={"Host": "other.example"}).status, 403)


class Starting(Contract):
    @classmethod
    def setUpClass(cls):
        cls.farm = cls.make_farm(workers=0, start=False)
        cls.farm.__enter__()

    def refused(self, *extra):
        process = self.farm.start("gateway", extra)
        self.assertEqual(self.farm.exit_code("gateway"), 1)
        lines = [line for line in self.farm.log("gateway").splitlines() if line.startswith("gantry-gateway:")]
        os.truncate(self.farm.log_path("gateway"), 0)
        self.assertEqual(len(lines), 1, lines)
        self.assertFalse(alive(process.pid))
        return lines[0]

    def test_refuses_to_be_reachable_without_keys(self):
        for host in ("0.0.0.0", "::"):
            self.assertIn("--insecure", self.refused("--host", host))
        self.assertIn("no-such-host.invalid", self.refused("--host", "no-such-host.invalid"))

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertIn(str(port), self.refused("--port", str(port)))

    def test_unknown_settings(self):
        self.assertIn("no-such-flag", self.refused("--no-such-flag", "1"))

    def test_a_free_port_is_announced(self):
        file = self.farm.runtime / "gateway.port"
        self.farm.start("gateway", ("--port", "0"))
        port = int(wait_for(lambda: file.exists() and file.read_text(), what="the port file"))
        self.assertNotEqual(port, self.farm.port)
        with socket.create_connection(("127.0.0.1", port)):
            pass
        self.assertEqual(self.farm.terminate("gateway"), 0)


class Crowd(GatewayAlone):
    def test_many_at_once(self):
        def work(number):
            answer = self.farm.get(f"/api/nothing/{number}")
            return answer.body["error"]["details"]["value"] == f"/api/nothing/{number}"

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            self.assertTrue(all(pool.map(work, range(600))))

    def test_clients_that_leave_in_the_middle(self):
        for size in (5, 30, 90, 200):
            data = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n" + b"x" * 99
            for _ in range(20):
                with self.connect() as client:
                    client.sendall(data[:size])
        # These wait for a scheduler that is not there, and are gone before they hear so.
        spec = b'{"name":"n","task_type":"shell","executor":"shell","command":"true"}'
        for _ in range(20):
            with self.connect() as client:
                client.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(spec), spec))
        self.assertEqual(self.farm.get("/api/nothing").status, 404)


class Ending(GatewayAlone):
    def test_open_requests_are_answered_and_idle_clients_let_go(self):
        spec = b'{"name":"n","task_type":"shell","executor":"shell","command":"true"}'
        with self.connect() as idle, self.connect() as waiting:
            waiting.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(spec), spec))
            self.assertEqual(self.farm.get("/api/nothing").status, 404)  # so the other one has been read
            self.assertEqual(self.farm.terminate("gateway"), 0)
            self.assertEqual(self.read_answer(waiting).status, 503)
            self.assertEqual(idle.recv(1), b"")


if __name__ == "__main__":
    import unittest
    unittest.main()
