"""Files of the render surface: uploads, what is here, links, blobs."""

import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import re
import socket
import threading
import time

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.render_client import BOUNDARY, FORM, ask, form, md5, part, upload

MIB = 1 << 20
XXH64_OF_EMPTY = 17241709254077376921


class RenderFiles(Contract):
    options = {"workers": 0}

    def blobs(self):
        return self.farm.data / "blobs"

    def kept(self, hash):
        return self.blobs() / "assets" / hash[:2] / hash

    def nothing_left(self):
        """What was on its way is gone."""
        incoming = self.blobs() / "incoming"
        wait_for(lambda: not incoming.exists() or not list(incoming.iterdir()), what="no file on its way")

    def ok(self, reply, status=200):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.body["code"], status)
        self.assertTrue(reply.body["message"])
        return reply.body["data"]

    def refused(self, reply, status, code, field=None, error_code=None):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual((reply.body["code"], reply.body["error_code"]), (code, error_code or code), reply)
        self.assertTrue(reply.body["message"] and reply.body["detail"])
        if field:
            self.assertEqual(reply.body["errors"][0]["field"], field, reply)
        self.assertIn("x-request-id", reply.headers)

    def ask(self, method, path, body=None, headers=None):
        return ask(self.farm.port, method, "/render/api" + path, body, headers)

    # -- uploads --

    def test_upload_as_documented(self):
        content = b"a texture of wood" * 1000
        data = self.ok(upload(self.farm.port, content, file_type="texture", unionid="user123"), 201)
        hash = md5(content)
        self.assertIsInstance(data.pop("asset_id"), int)
        self.assertEqual(data, {"file_hash": hash, "storage_path": f"assets/{hash}", "uploaded": True, "file_size": len(content)})
        self.assertEqual(self.kept(hash).read_bytes(), content)
        self.nothing_left()

    def test_one_that_was_spoiled(self):
        """On the disk, by whoever can write there: the next one who sends it mends it."""
        content, long = b"a texture" * 1000, "渲" * 100
        self.ok(upload(self.farm.port, content, unionid=long, path="show/long.png"), 201)
        self.kept(md5(content)).write_bytes(b"short")
        self.assertFalse(self.ok(upload(self.farm.port, content, unionid=long), 200)["uploaded"])
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
        task = self.ask("POST", "/tasks", {"unionid": long, "oss_file_path": "show/long.png", "render_engine": "maya", "total_frames": 1})
        self.assertEqual(task.status, 201, task.body)

    def test_again_is_not_uploaded(self):
        content = os.urandom(5 * MIB)
        first = self.ok(upload(self.farm.port, content), 201)
        second = self.ok(upload(self.farm.port, content, filename="another.name"))
        self.assertEqual(second, dict(first, uploaded=False))
        self.nothing_left()

    def test_fields_in_any_order_and_chunked(self):
        content = os.urandom(MIB) + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n"
        body = form(part("unionid", "u"), part("hash", md5(content).upper()), part("what", "is not known"),
                    part("file", content, "a\\b/../../etc/passwd"), part("file_type", ""))

        def pieces():
            for at in range(0, len(body), 100003):
                yield body[at:at + 100003]

        data = self.ok(self.ask("POST", "/files/upload", pieces(), FORM), 201)
        self.assertEqual(self.kept(data["file_hash"]).read_bytes(), content)

    def test_empty_file_and_xxhash(self):
        data = self.ok(upload(self.farm.port, b"", xxhash=XXH64_OF_EMPTY), 201)
        self.assertEqual(data["file_size"], 0)
        self.assertEqual(self.kept(md5(b"")).read_bytes(), b"")

    def test_wrong_hashes_keep_nothing(self):
        content = os.urandom(100)
        other = md5(b"not what comes")
        self.refused(upload(self.farm.port, content, hash=other), 400, 1002, "hash")
        self.refused(upload(self.farm.port, content, xxhash=1), 400, 1002, "xxhash")
        self.assertFalse(self.kept(other).exists() or self.kept(md5(content)).exists())
        self.nothing_left()

    def test_fields_that_are_wrong(self):
        file = part("file", b"content", "x")
        hash = part("hash", md5(b"content"))
        for parts, status, code, field in (
                ([file], 400, 1001, "hash"), ([part("hash", md5(b"nowhere"))], 400, 1001, "file"),
                ([file, part("hash", "abc123def456...")], 400, 1002, "hash"),
                ([file, hash, part("xxhash", "0x12")], 400, 1002, "xxhash"),
                ([file, hash, part("xxhash", "18446744073709551616")], 400, 1002, "xxhash"),
                ([file, hash, part("file_type", "x" * 65)], 400, 1002, "file_type"),
                ([file, hash, part("unionid", "x" * 101)], 400, 1002, "unionid"),
                ([file, hash, part("unionid", b"\xff")], 400, 1002, "unionid"),
                ([file, hash, part("path", "x" * 1025)], 400, 1002, "path"),
                ([file, hash, part("path", "a\\b")], 400, 1002, "path"),
                ([file, hash, part("path", "assets/" + "0" * 32)], 400, 1002, "path"),
                ([file, hash, part("path", "../etc/passwd")], 403, 4000, "path"),
                ([file, hash, part("path", "/etc/passwd")], 403, 4000, "path"),
                ([file, hash, part("path", "a//b")], 403, 4000, "path"),
                ([file, hash, part("path", "a/..")], 403, 4000, "path"),
                ([file, hash, hash], 400, 1002, "hash"), ([file, file, hash], 400, 1002, "file"),
                ([part(f"p{n}", "x") for n in range(10000)] + [file, hash], 400, 1002, "body"),
                ([part("what", "x" * (3 * MIB)), file, hash], 400, 1002, "body")):
            with self.subTest(field=field, parts=[p[:90] for p in parts[:3]]):
                self.refused(self.ask("POST", "/files/upload", form(*parts), FORM), status, code, field)
        self.assertFalse(self.kept(md5(b"content")).exists())
        self.nothing_left()

    def test_forms_that_are_none(self):
        whole = form(part("file", b"content", "x"), part("hash", md5(b"content")))
        self.refused(self.ask("POST", "/files/upload", whole, {"Content-Type": "application/json"}), 415, 1000)
        self.refused(self.ask("POST", "/files/upload", whole, {"Content-Type": "multipart/form-data; x=y"}), 400, 1002)
        self.refused(self.ask("POST", "/files/upload", b"", FORM), 400, 1002)
        for cut in (10, len(whole) // 2, len(whole) - 6):
            self.refused(self.ask("POST", "/files/upload", whole[:cut], FORM), 400, 1002)
        self.refused(self.ask("PUT", "/files/upload", whole, FORM), 405, 1000)
        self.nothing_left()

    def test_too_large_is_said_before_it_comes(self):
        with socket.create_connection(("127.0.0.1", self.farm.port)) as raw:
            raw.sendall(b"POST /render/api/files/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n"
                        b"Expect: 100-continue\r\nContent-Type: " + FORM["Content-Type"].encode() + b"\r\n\r\n")
            response = http.client.HTTPResponse(raw)
            response.begin()
            self.assertEqual(response.status, 413)

    def test_cut_off_keeps_nothing(self):
        content = os.urandom(2 * MIB)
        whole = form(part("hash", md5(content)), part("file", content, "x"))
        with Contract.make_farm.__func__(type(self), http_idle_seconds=5) as farm: # it notices some of them only then
            chunked = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (MIB, whole[:MIB], len(whole) - MIB, whole[MIB:])
            for length, body, cuts in ((b"Content-Length: %d" % len(whole), whole, (0, 60, 200, MIB, len(whole) - 3)),
                                       (b"Transfer-Encoding: chunked", chunked, (0, 3, 60, 200, MIB, MIB + 9, MIB + 12, len(chunked) - 60, len(chunked) - 5, len(chunked) - 2))):
                for cut in cuts:
                    with socket.create_connection(("127.0.0.1", farm.port)) as raw:
                        raw.sendall(b"POST /render/api/files/upload HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\nContent-Type: " +
                                    FORM["Content-Type"].encode() + b"\r\n\r\n" + body[:cut])
            incoming = farm.data / "blobs" / "incoming"
            wait_for(lambda: incoming.exists() and not list(incoming.iterdir()), what="no file on its way")
            self.assertFalse((farm.data / "blobs" / "assets").exists())
            self.assertTrue(self.ok(upload(farm.port, content), 201)["uploaded"])

    def test_two_at_once_are_one(self):
        content = os.urandom(8 * MIB)
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(upload(self.farm.port, content))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(reply.status for reply in replies), [200, 200, 200, 201])
        self.assertEqual(len({reply.body["data"]["asset_id"] for reply in replies}), 1)
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
        self.nothing_left()

    def test_key_of_the_client(self):
        content, key = os.urandom(10), {"Idempotency-Key": "upload-1"}
        first = upload(self.farm.port, content, headers=key)
        self.assertEqual(upload(self.farm.port, content, headers=key).body, first.body)
        self.assertEqual(upload(self.farm.port, b"other", headers=key).status, 422)

    def test_while_the_store_is_away(self):
        """For a moment: what has come is told of again, not waited for a second time, and nothing of it is left behind."""
        content, replies = [os.urandom(MIB) for _ in range(4)], []
        with Contract.make_farm.__func__(type(self)) as farm:
            farm.kill("store")
            wait_for(lambda: "GTY-BUS-DOWN link=store" in farm.log("gateway"), what="the gateway seeing that")
            threads = [threading.Thread(target=lambda one: replies.append(upload(farm.port, one, path="p/" + md5(one))), args=(one,)) for one in content]
            for thread in threads:
                thread.start()
            wait_for(lambda: sum(1 for _ in (farm.data / "blobs" / "assets").glob("*/*")) == len(content), what="all of them to have come")
            farm.start("store")
            for thread in threads:
                thread.join()
            self.assertEqual([reply.status for reply in replies], [201] * len(content), replies)
            wait_for(lambda: not list((farm.data / "blobs" / "incoming").iterdir()), what="no file on its way")

    def test_path_is_bound_and_moved(self):
        content = os.urandom(20)
        data = self.ok(upload(self.farm.port, content, path="projects/user123/wolf.ma"), 201)
        self.assertEqual(data["path"], "projects/user123/wolf.ma")
        task = self.ask("POST", "/tasks", {"unionid": "user123", "oss_file_path": "projects/user123/wolf.ma", "render_engine": "maya"})
        self.assertEqual((task.status, task.body["data"]["scene_file_hash"]), (201, md5(content)), task)
        bare = form(part("hash", md5(content)), part("path", "projects/user123/再.ma"))
        self.assertFalse(self.ok(self.ask("POST", "/files/upload", bare, FORM))["uploaded"])

    def test_disk_that_does_not_take_it(self):
        with Contract.make_farm.__func__(type(self), blob_dir="/proc/nowhere") as farm:
            self.refused(upload(farm.port, b"content"), 500, 5002)

    # -- which are here --

    def test_check_hashes_as_documented(self):
        content = os.urandom(30)
        data = self.ok(upload(self.farm.port, content), 201)
        answer = self.ok(self.ask("POST", "/files/check-hashes", {"hashes": [md5(content), "abc123def456...", md5(b"not here")]}))
        self.assertEqual(answer, {
            "existing": [{"hash": md5(content), "asset_id": data["asset_id"], "storage_path": f"assets/{md5(content)}"}],
            "missing": ["abc123def456...", md5(b"not here")]})

    def test_check_many_hashes(self):
        hashes = [md5(str(n).encode()) for n in range(10000)]
        self.assertEqual(self.ok(self.ask("POST", "/files/check-hashes", {"hashes": hashes})), {"existing": [], "missing": hashes})
        self.refused(self.ask("POST", "/files/check-hashes", {"hashes": hashes + ["x"]}), 400, 1002, "hashes")
        self.assertEqual(self.ok(self.ask("POST", "/files/check-hashes", {"hashes": []})), {"existing": [], "missing": []})

    def test_check_hashes_refusals(self):
        for body, code, field in (({}, 1001, "hashes"), ({"hashes": None}, 1001, "hashes"), ({"hashes": "x"}, 1002, "hashes"),
                                  ({"hashes": ["x", 1]}, 1002, "hashes[1]")):
            self.refused(self.ask("POST", "/files/check-hashes", body), 400, code, field)
        self.assertEqual(self.ask("POST", "/files/check-hashes", b"{", {"Content-Type": "application/json"}).status, 400)

    # -- links and blobs --

    def test_link(self):
        content = os.urandom(300)
        data = self.ok(upload(self.farm.port, content), 201)
        link = self.ok(self.ask("GET", f"/files/download-url/{data['asset_id']}"))
        self.assertEqual(set(link), {"asset_id", "download_url", "expires_at"})
        self.assertRegex(link["expires_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        path = re.sub(r"^http://[^/]+", "", link["download_url"])
        self.assertEqual(ask(self.farm.port, "GET", path).raw, content)
        reply = ask(self.farm.port, "GET", path, headers={"Range": "bytes=10-19"})
        self.assertEqual((reply.status, reply.raw, reply.headers["content-range"]), (206, content[10:20], "bytes 10-19/300"))
        self.assertEqual(ask(self.farm.port, "GET", path, headers={"Range": "bytes=300-"}).status, 416)
        for wrong in (path[:-1] + ("0" if path[-1] != "0" else "1"), re.sub("expires=1", "expires=2", path), path.partition("?")[0]):
            self.refused(ask(self.farm.port, "GET", wrong), 403, 4000)
        self.farm.restart("gateway")
        self.farm.wait_ready()
        self.assertEqual(ask(self.farm.port, "GET", path).raw, content)

    def test_links_expire(self):
        """In an hour. One that is over is signed as well as any other; the signature is HMAC-SHA512-256 with the secret beside the blobs."""
        content = os.urandom(300)
        id = self.ok(upload(self.farm.port, content), 201)["asset_id"]
        before = int(time.time())
        link = self.ok(self.ask("GET", f"/files/download-url/{id}"))
        until = int(datetime.datetime.strptime(link["expires_at"], "%Y-%m-%dT%H:%M:%S%z").timestamp())
        self.assertLessEqual(before + 3600, until)
        self.assertLessEqual(until, int(time.time()) + 3600)
        self.assertIn(f"expires={until}&", link["download_url"])
        secret = bytes.fromhex((self.blobs() / "link.key").read_text().strip())

        def fetch(expires):
            signature = hmac.new(secret, f"asset {id} until {expires}".encode(), hashlib.sha512).digest()[:32].hex()
            return ask(self.farm.port, "GET", f"/render/api/files/link/{id}?expires={expires}&signature={signature}")

        self.assertEqual(fetch(until).raw, content)
        for over in (before - 1, 1, 0):
            self.refused(fetch(over), 403, 4000, "signature")

    def test_link_of_nothing(self):
        for id in ("999999", "0", "x"):
            self.refused(self.ask("GET", f"/files/download-url/{id}"), 404, 2000)

    def test_blob(self):
        content = os.urandom(300)
        hash = md5(content)
        self.ok(upload(self.farm.port, content), 201)
        reply = self.ask("GET", f"/files/blob/{hash}")
        self.assertEqual((reply.status, reply.raw, reply.headers["etag"]), (200, content, f'"{hash}"'))
        part = self.ask("GET", f"/files/blob/{hash}", headers={"Range": "bytes=-5", "If-Range": f'"{hash}"'})
        self.assertEqual((part.status, part.raw), (206, content[-5:]))
        self.assertEqual(self.ask("HEAD", f"/files/blob/{hash}").headers["content-length"], "300")
        self.refused(self.ask("GET", f"/files/blob/{md5(b'not here')}"), 404, 2002)
        for wrong in ("..%2f..%2fetc", "x" * 32, hash + "0"):
            self.assertEqual(self.ask("GET", f"/files/blob/{wrong}").status, 400)

    def test_left_overs_go_at_the_start(self):
        left = self.blobs() / "incoming" / "0123"
        pathlib.Path(left.parent).mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"half a file")
        self.farm.restart("gateway")
        self.farm.wait_ready()
        wait_for(lambda: not left.exists(), what="a file that was left behind to go")
