"""Uploads that can be gone on with, by the tus protocol (1.0)."""

import base64
import hashlib
import os

from tests.contract.base import Contract
from tests.render_client import ask, md5

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}


def encoded(**fields):
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())


class Tus(Contract):
    options = {"workers": 0}

    def ask(self, method, path, body=None, **headers):
        return ask(self.farm.port, method, path, body, dict(TUS, **{k.replace("_", "-"): v for k, v in headers.items()}))

    def create(self, content, **fields):
        fields.setdefault("hash", md5(content))
        reply = self.ask("POST", "/render/api/files/tus", Upload_Length=str(len(content)), Upload_Metadata=encoded(**fields))
        self.assertEqual(reply.status, 201, reply)
        location = reply.headers["location"]
        self.assertTrue(location.startswith(f"http://127.0.0.1:{self.farm.port}/render/api/files/tus/"), location)
        return location[location.index("/render"):]

    def patch(self, path, offset, content, **headers):
        return self.ask("PATCH", path, content, Upload_Offset=str(offset), Content_Type="application/offset+octet-stream", **headers)

    def offset(self, path):
        reply = self.ask("HEAD", path)
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual((reply.headers["tus-resumable"], reply.headers["cache-control"]), ("1.0.0", "no-store"))
        return int(reply.headers["upload-offset"])

    def kept(self, hash):
        return self.farm.data / "blobs" / "assets" / hash[:2] / hash

    def refused(self, reply, status, code=None):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["tus-resumable"], "1.0.0")
        if code:
            self.assertEqual(reply.body["error_code"], code, reply)

    def test_what_is_spoken(self):
        reply = ask(self.farm.port, "OPTIONS", "/render/api/files/tus")
        self.assertEqual(reply.status, 204)
        self.assertEqual(reply.headers["tus-version"], "1.0.0")
        self.assertEqual(set(reply.headers["tus-extension"].split(",")), {"creation", "termination", "expiration", "checksum"})
        self.assertIn("sha1", reply.headers["tus-checksum-algorithm"])
        self.assertGreater(int(reply.headers["tus-max-size"]), 0)

    def test_in_parts(self):
        content = os.urandom(3 * MIB)
        path = self.create(content, file_type="texture", path="show/wood.jpg")
        self.assertEqual(self.offset(path), 0)
        for at in (0, MIB, 2 * MIB):
            reply = self.patch(path, at, content[at:at + MIB])
            self.assertEqual((reply.status, reply.headers["upload-offset"]), (204, str(at + MIB)), reply)
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
        self.assertEqual(self.offset(path), len(content))
        check = ask(self.farm.port, "POST", "/render/api/files/check-hashes", {"hashes": [md5(content)]})
        self.assertEqual(len(check.body["data"]["existing"]), 1)
        self.assertEqual(self.patch(path, len(content), b"").status, 204)
        head = self.ask("HEAD", path)
        self.assertEqual(head.headers["upload-length"], str(len(content)))
        self.assertIn("file_type dGV4dHVyZQ==", head.headers["upload-metadata"])

    def test_chunks_that_are_not_all(self):
        """Nobody can tell of a body in chunks whether it is the last one: it is read for its hash while it comes, and is durable behind that."""
        content = os.urandom(13 * MIB)
        path = self.create(content)
        for at in (0, 6 * MIB):
            part = content[at:at + 6 * MIB]
            reply = self.patch(path, at, iter([part[n:n + MIB] for n in range(0, len(part), MIB)]))
            self.assertEqual((reply.status, reply.headers["upload-offset"]), (204, str(at + 6 * MIB)), reply)
        self.assertEqual(self.patch(path, 12 * MIB, iter([content[12 * MIB:]])).status, 204)
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)

    def test_nothing_to_send(self):
        path = self.create(b"")
        self.assertEqual(self.offset(path), 0)
        self.assertEqual(self.kept(md5(b"")).read_bytes(), b"")

    def test_goes_on_behind_the_death_of_the_gateway(self):
        content = os.urandom(2 * MIB)
        path = self.create(content)
        self.assertEqual(self.patch(path, 0, content[:MIB]).status, 204)
        self.farm.restart("gateway")
        self.farm.wait_ready()
        self.assertEqual(self.offset(path), MIB)
        self.assertEqual(self.patch(path, MIB, content[MIB:]).status, 204)
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)

    def test_whole_but_not_told(self):
        """The gateway died when all was there, before anybody heard: asking how far it is has it arrive."""
        content = os.urandom(MIB)
        path = self.create(content)
        (self.farm.data / "blobs" / "incoming" / ("tus-" + path.rpartition("/")[2])).write_bytes(content)
        self.assertEqual(self.offset(path), len(content))
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
        self.assertEqual(self.ask("GET", path).body["data"]["arrived"], True)

    def test_checksums(self):
        content = os.urandom(1000)
        path = self.create(content)
        sums = {name: f"{name} " + base64.b64encode(hashlib.new(name, content).digest()).decode() for name in ("sha1", "md5")}
        self.refused(self.patch(path, 0, content[:999] + b"?", Upload_Checksum=sums["sha1"]), 460)
        self.assertEqual(self.offset(path), 0)
        self.refused(self.patch(path, 0, content, Upload_Checksum="crc32 AAAA"), 400, 1002)
        self.refused(self.patch(path, 0, content, Upload_Checksum="sha1 ???"), 400, 1002)
        self.assertEqual(self.patch(path, 0, content, Upload_Checksum=sums["md5"]).status, 204)
        self.assertTrue(self.kept(md5(content)).exists())

    def test_not_what_its_hash_says(self):
        path = self.create(b"one thing", hash=md5(b"another one"))
        self.refused(self.patch(path, 0, b"one thing"), 400, 1002)
        self.assertFalse(self.kept(md5(b"one thing")).exists())
        self.assertIn(self.ask("HEAD", path).status, (404,))

    def test_ended(self):
        path = self.create(b"content of some kind")
        self.patch(path, 0, b"content")
        self.assertEqual(self.ask("DELETE", path).status, 204)
        for method in ("HEAD", "DELETE"):
            self.assertEqual(self.ask(method, path).status, 404)
        self.refused(self.patch(path, 7, b" of"), 404, 2000)

    def test_refusals(self):
        good = {"Upload_Length": "5", "Upload_Metadata": encoded(hash=md5(b"12345"))}
        for more, status, code in (({"Tus_Resumable": "0.2"}, 412, 1002), ({"Upload_Length": "x"}, 400, 1002),
                                   ({"Upload_Length": "-1"}, 400, 1002), ({"Upload_Length": str(1 << 60)}, 413, 1000),
                                   ({"Upload_Metadata": ""}, 400, 1001), ({"Upload_Metadata": "hash ???"}, 400, 1002),
                                   ({"Upload_Metadata": encoded(hash="xyz")}, 400, 1002),
                                   ({"Upload_Metadata": encoded(hash=md5(b""), path="../x")}, 403, 4000),
                                   ({"Upload_Metadata": encoded(hash=md5(b"")) + "," + encoded(path="x" * 2000)}, 400, 1002),
                                   ({"Upload_Metadata": "what " + "A" * 5000}, 400, 1002)):
            with self.subTest(more):
                self.refused(self.ask("POST", "/render/api/files/tus", **dict(good, **more)), status, code)
        path = self.create(b"12345")
        self.refused(self.patch(path, 1, b"2345"), 409, 3000)
        self.refused(self.patch(path, 0, b"123456"), 413)
        self.refused(self.ask("PATCH", path, b"1", Upload_Offset="0", Content_Type="text/plain"), 415)
        self.refused(self.ask("PATCH", path, b"1", Content_Type="application/offset+octet-stream"), 400, 1001)
        for wrong in ("0" * 32, "x", "..%2fx"):
            self.assertIn(self.ask("HEAD", f"/render/api/files/tus/{wrong}").status, (400, 404))
        self.assertEqual(self.offset(path), 0)
        self.assertEqual(self.patch(path, 0, iter([b"123", b"456"])).status, 413)
        self.assertEqual(self.offset(path), 0)

    def test_cut_off_goes_on_where_it_is(self):
        import socket
        content = os.urandom(4 * MIB)
        path = self.create(content)
        with socket.create_connection(("127.0.0.1", self.farm.port)) as raw:
            raw.sendall(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                        + content[:MIB])
            self.assertEqual(self.ask("DELETE", self.create(b"12345")).status, 204)
        self.farm.restart("gateway")  # it need not notice
        self.farm.wait_ready()
        at = self.offset(path)
        self.assertLessEqual(at, MIB)
        self.assertEqual(self.patch(path, at, content[at:]).status, 204)
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
