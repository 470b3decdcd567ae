"""The blob store of the render surface in an S3-compatible store: as without one, and what goes wrong with it."""

import base64
import http.client
import os
import pathlib
import shutil
import socket
import socketserver
import tempfile
import threading
import urllib.parse

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.render_client import FORM, ask, form, md5, part, upload
from tests.s3 import S3

MIB = 1 << 20


def fetch(url, headers=None):
    """(status, content) of an address, as it is."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class WithStore(Contract):
    """A farm whose files are in a store that is started here."""

    kept = {}  # settings beside the store's

    @classmethod
    def setUpClass(cls):
        cls.s3 = S3()
        cls.addClassCleanup(cls.s3.__exit__)
        cls.s3.start()
        cls.options = dict(workers=0, **cls.s3.settings(**cls.kept))
        super().setUpClass()

    def ask(self, method, path, body=None, headers=None):
        return ask(self.farm.port, method, "/render/api" + path, body, headers)


class RenderS3(WithStore):
    kept = {"blob_s3_part_mb": 5}

    def put(self, content, status=201, **fields):
        reply = upload(self.farm.port, content, **fields)
        self.assertEqual(reply.status, status, reply)
        return reply.body["data"]["asset_id"]

    def link(self, id):
        reply = self.ask("GET", f"/files/download-url/{id}")
        self.assertEqual(reply.status, 200, reply)
        return reply.body["data"]["download_url"]

    def nothing_local(self):
        blobs = self.farm.data / "blobs"
        wait_for(lambda: not list(blobs.glob("incoming/*")), what="nothing on its way")
        self.assertFalse((blobs / "assets").exists())

    def test_upload_and_links(self):
        content = os.urandom(300000)
        id = self.put(content, path="s3/wood.jpg")
        self.assertIn(md5(content), self.s3.objects())
        self.assertEqual(self.put(content, 200), id)
        self.nothing_local()
        url = self.link(id)
        self.assertTrue(url.startswith(self.s3.url), url)
        self.assertEqual(fetch(url), (200, content))
        self.assertEqual(fetch(url, {"Range": "bytes=10-19"}), (206, content[10:20]))
        bare = form(part("hash", md5(content)), part("path", "s3/again.jpg"))
        self.assertEqual(self.ask("POST", "/files/upload", bare, FORM).status, 200)

    def test_by_hash(self):
        content = os.urandom(100)
        self.put(content)
        reply = self.ask("GET", f"/files/blob/{md5(content)}")
        self.assertEqual(reply.status, 307, reply)
        self.assertEqual(fetch(reply.headers["location"]), (200, content))
        reply = self.ask("GET", f"/files/blob/{md5(b'nowhere')}")
        self.assertEqual((reply.status, reply.body["code"]), (404, 2002))

    def test_in_parts(self):
        content = os.urandom(12 * MIB + 7)
        self.assertEqual(fetch(self.link(self.put(content))), (200, content))

    def test_empty_and_wrong(self):
        self.assertEqual(fetch(self.link(self.put(b""))), (200, b""))
        before = self.s3.objects()
        self.assertEqual(upload(self.farm.port, b"content", hash=md5(b"another")).status, 400)
        self.assertEqual(upload(self.farm.port, b"content", xxhash=1).status, 400)
        self.assertEqual(self.s3.objects(), before)
        self.nothing_local()

    def test_what_nobody_needs_goes(self):
        first, second = os.urandom(100), os.urandom(50)
        self.put(first)
        self.ask("POST", "/files/gc", {"grace_seconds": 0})
        self.put(second)
        (self.s3.folder / "data" / "films" / "assets").mkdir(exist_ok=True)
        said = self.ask("POST", "/files/gc", {"grace_seconds": 0, "dry_run": True}).body["data"]
        self.assertEqual((said["assets"], said["files"], said["bytes"]), (1, 1, 50))
        self.assertEqual(self.s3.objects(), {md5(second)})
        done = self.ask("POST", "/files/gc", {"grace_seconds": 0}).body["data"]
        self.assertEqual((done["assets"], done["files"], done["bytes"]), (1, 1, 50))
        self.assertEqual(self.s3.objects(), set())
        self.put(second)  # it comes again
        self.assertEqual(self.s3.objects(), {md5(second)})

    def test_behind_what_is_not_ours(self):
        """A page of the list in which nothing has a name as ours have is not its end."""
        folder, content = self.s3.folder / "data" / "films" / "assets", os.urandom(80)
        self.put(content)
        own = list(folder.glob(md5(content) + "._S3rver_*"))
        others = [folder / path.name.replace(md5(content), f"{number:05d}") for number in range(1001) for path in own]
        for path in others:
            shutil.copy(folder / path.name.replace(path.name[:5], md5(content), 1), path)
        try:
            reply = self.ask("POST", "/files/gc", {"grace_seconds": 0})
            self.assertEqual(reply.status, 200, reply)
            done = reply.body["data"]
            self.assertEqual((done["assets"], done["files"], done["bytes"]), (1, 1, 80))
            self.assertTrue(all(path.exists() for path in others))
        finally:
            for path in others:
                path.unlink()

    def test_uploads_meanwhile(self):
        content = [os.urandom(200) for _ in range(5)]
        for _ in range(4):
            for one in content:
                self.assertIn(upload(self.farm.port, one).status, (200, 201))
            begun = self.ask("POST", "/files/gc", {"grace_seconds": 0, "wait_seconds": 0})
            self.assertIn(begun.status, (200, 202, 409), begun)
            for one in content:
                self.assertIn(upload(self.farm.port, one).status, (200, 201))
        wait_for(lambda: not self.ask("GET", "/files/gc").body["data"]["running"], what="the end of it")
        known = self.ask("POST", "/files/check-hashes", {"hashes": [md5(one) for one in content]}).body["data"]["existing"]
        self.assertLessEqual({row["hash"] for row in known}, self.s3.objects())


class RenderS3Shared(Contract):
    """Farms that share a bucket, each with its prefix, and one that has another's by mistake."""

    @classmethod
    def setUpClass(cls):
        cls.s3 = S3()
        cls.addClassCleanup(cls.s3.__exit__)
        cls.s3.start()
        cls.options = dict(workers=0, **cls.s3.settings())
        with cls.make_farm(blob_s3_prefix="../films", start=False) as farm:
            farm.start("gateway")
            assert farm.exit_code("gateway") == 1 and "blob.s3_prefix" in farm.log("gateway"), farm.log("gateway")
        cls.farm = cls.make_farm(blob_s3_prefix="a/")
        cls.farm.__enter__()

    def collect(self, farm, **body):
        return ask(farm.port, "POST", "/render/api/files/gc", dict({"grace_seconds": 0}, **body))

    def refused(self, farm, **body):
        reply = self.collect(farm, **body)
        self.assertEqual((reply.status, reply.body["code"]), (409, 3000), reply)
        self.assertIn(f"{self.s3.url}/films/a/", reply.body["detail"])
        self.assertIn("GTY-BLOB-OWNER", farm.log("gateway"))

    def test_each_its_own(self):
        content = os.urandom(100)
        self.assertEqual(upload(self.farm.port, content).status, 201)
        self.assertEqual(self.s3.objects("a"), {md5(content)})
        self.assertEqual(self.collect(self.farm, grace_seconds=3600).status, 200)
        said = self.collect(self.farm, dry_run=True)
        self.assertEqual((said.status, said.body["data"]["files"]), (200, 1), said)
        with self.make_farm(blob_s3_prefix="b/") as other:
            put = upload(other.port, content)
            self.assertEqual(put.status, 201, put)
            link = ask(other.port, "GET", f"/render/api/files/download-url/{put.body['data']['asset_id']}")
            self.assertEqual(fetch(link.body["data"]["download_url"]), (200, content))
            done = self.collect(other)
            self.assertEqual((done.status, done.body["data"]["files"]), (200, 1), done)
        self.assertEqual((self.s3.objects("a"), self.s3.objects("b")), ({md5(content)}, set()))
        self.assertTrue(self.s3.marks("a") and self.s3.marks("b"))
        self.assertEqual(self.collect(self.farm).status, 200)

    def test_anothers(self):
        content = os.urandom(100)
        self.assertEqual(upload(self.farm.port, content).status, 201)
        self.assertEqual(self.collect(self.farm, grace_seconds=3600).status, 200)
        with self.make_farm(blob_s3_prefix="a/") as other:
            self.refused(other)
            self.refused(other, dry_run=True)
            # What comes is taken all the same. It is the same: where the last two of a folder are removed at once, s3rver fails.
            self.assertEqual(upload(other.port, content).status, 201)
            self.assertTrue(self.s3.marks("a"))
            self.assertIn(md5(content), self.s3.objects("a"))
            for path in self.s3.marks("a"):
                path.unlink()
            said = self.collect(other, dry_run=True)
            self.assertEqual((said.status, self.s3.marks("a")), (200, []), said)  # a look leaves no mark
            self.assertEqual(self.collect(other, grace_seconds=3600).status, 200)
            self.refused(self.farm)
            for path in self.s3.marks("a"):
                path.unlink()
        done = self.collect(self.farm)
        self.assertEqual(done.status, 200, done)
        self.assertEqual(self.s3.objects("a"), set())


class RenderS3Mute(Contract):
    """A store that takes connections and says nothing."""

    @classmethod
    def setUpClass(cls):
        cls.mute = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(cls.mute.close)
        cls.s3 = S3()
        cls.addClassCleanup(cls.s3.__exit__)
        url = f"http://127.0.0.1:{cls.mute.getsockname()[1]}"
        cls.options = dict(workers=0, **cls.s3.settings(blob_s3_url=url, blob_s3_silence_seconds=1))
        super().setUpClass()

    def test_refused(self):
        for _ in range(3):
            reply = upload(self.farm.port, os.urandom(10))
            self.assertEqual((reply.status, reply.body["code"]), (500, 5002), reply)
            self.assertIn(self.options["blob_s3_url"], reply.body["detail"])
        reply = ask(self.farm.port, "POST", "/render/api/files/gc", {"grace_seconds": 0})
        self.assertEqual((reply.status, reply.body["code"]), (500, 5002), reply)


class Cut(socketserver.StreamRequestHandler):
    """A store of sorts, which keeps its connections. Those of server.cut say nothing any more: as where who was between has forgotten them."""

    def handle(self):
        self.server.open.add(self)
        while True:
            line, length = self.rfile.readline().decode().split(), 0
            while header := self.rfile.readline().strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            content = self.rfile.read(length)
            if not line or self in self.server.cut:
                self.rfile.read()  # until who asks gives it up
                return
            name = line[1].partition("?")[0]
            if line[0] == "PUT":
                self.server.objects[name] = content
            found = content if line[0] == "PUT" else self.server.objects.get(name)
            status, said = ("404 Not Found", b"") if found is None else ("200 OK", found if line[0] == "GET" else b"")
            length = len(found or b"") if line[0] == "HEAD" else len(said)
            self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + said)


class RenderS3Cut(Contract):
    """A connection that was cut is no store that is away."""

    @classmethod
    def setUpClass(cls):
        cls.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Cut)
        cls.server.daemon_threads, cls.server.objects, cls.server.open, cls.server.cut = True, {}, set(), set()
        cls.addClassCleanup(cls.server.server_close)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)
        folder = tempfile.TemporaryDirectory(prefix="gantry-s3-")
        cls.addClassCleanup(folder.cleanup)
        key = pathlib.Path(folder.name) / "key"
        key.write_text("KEY SECRET\n")
        cls.options = dict(workers=0, blob_s3_url=f"http://127.0.0.1:{cls.server.server_address[1]}", blob_s3_bucket="films", blob_s3_key_file=str(key),
                           blob_s3_silence_seconds=5)
        super().setUpClass()

    def test_one_that_was_cut(self):
        content = [one for one in (b"%d" % number for number in range(100)) if int(md5(one)[-1], 16) % 4 == 1]  # of one lane
        self.assertEqual(upload(self.farm.port, content[0]).status, 201)
        self.server.cut |= self.server.open
        for one in content[1:3]:
            reply = upload(self.farm.port, one)
            self.assertEqual(reply.status, 201, reply)
        self.assertEqual({one for one in self.server.objects.values() if one in content}, set(content[:3]))


class RenderS3Away(WithStore):
    """The store is stopped and started: what was refused can be gone on with."""

    def tus(self, method, path, body=None, **headers):
        sent = dict({"Tus-Resumable": "1.0.0"}, **{name.replace("_", "-"): value for name, value in headers.items()})
        return ask(self.farm.port, method, path, body, sent)

    def refused(self, reply):
        self.assertEqual((reply.status, reply.body["code"]), (500, 5002), reply)
        self.assertIn(self.s3.url, reply.body["detail"])

    def test_away(self):
        content = os.urandom(1000)
        self.s3.stop()
        self.refused(upload(self.farm.port, content))
        self.refused(self.ask("POST", "/files/gc", {"grace_seconds": 0}))
        metadata = "hash " + base64.b64encode(md5(content).encode()).decode()
        made = self.tus("POST", "/render/api/files/tus", b"", Upload_Length=str(len(content)), Upload_Metadata=metadata)
        self.assertEqual(made.status, 201, made)
        path = urllib.parse.urlsplit(made.headers["location"]).path
        self.refused(self.tus("PATCH", path, content, Upload_Offset="0", Content_Type="application/offset+octet-stream"))
        self.assertEqual(self.ask("POST", "/files/check-hashes", {"hashes": [md5(content)]}).body["data"]["existing"], [])
        self.farm.restart("gateway")  # what came is on disk
        self.farm.wait_ready()
        self.s3.start()
        told = self.tus("GET", path)
        self.assertEqual((told.status, told.headers["upload-offset"]), (200, str(len(content))), told)
        self.assertEqual(self.s3.objects(), {md5(content)})
        self.assertEqual(upload(self.farm.port, content).status, 200)
