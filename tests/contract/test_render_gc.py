"""POST and GET /files/gc of the render surface, and `gantry blobs gc`."""

import json
import os
import threading

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.render_client import FORM, ask, form, md5, part, upload
from tests.up import gantry

SHAPE = {"running", "dry_run", "grace_seconds", "assets", "paths", "files", "bytes", "failed", "started_at", "ended_at"}


class RenderGc(Contract):
    options = {"workers": 0}

    def setUp(self):
        self.gc(grace_seconds=0)  # what another test has left behind

    def ask(self, method, path, body=None, headers=None):
        return ask(self.farm.port, method, "/render/api" + path, body, headers)

    def gc(self, headers=None, **body):
        reply = self.ask("POST", "/files/gc", body, headers)
        self.assertEqual((reply.status, reply.body["code"]), (200, 200), reply)
        self.assertTrue(reply.body["message"])
        self.assertEqual(set(reply.body["data"]), SHAPE)
        return reply.body["data"]

    def counts(self, **body):
        data = self.gc(**body)
        return tuple(data[name] for name in ("assets", "paths", "files", "bytes"))

    def put(self, size=100, **fields):
        content = os.urandom(size)
        self.assertEqual(upload(self.farm.port, content, **fields).status, 201)
        return md5(content)

    def kept(self, hash):
        return self.farm.data / "blobs" / "assets" / hash[:2] / hash

    def known(self, *hashes):
        reply = self.ask("POST", "/files/check-hashes", {"hashes": list(hashes)})
        return [row["hash"] for row in reply.body["data"]["existing"]]

    def command(self, *arguments, code=0):
        said = gantry("blobs", "gc", *arguments, url=f"http://127.0.0.1:{self.farm.port}")
        self.assertEqual(said.returncode, code, said)
        return said.stdout

    def task(self, **fields):
        reply = self.ask("POST", "/tasks", dict({"unionid": "user123", "render_engine": "blender"}, **fields))
        self.assertEqual(reply.status, 201, reply)
        return reply.body["data"]["id"]

    def test_what_nobody_needs_goes(self):
        first, second = self.put(100, path="show/wood.jpg"), self.put(50)
        self.assertEqual(self.counts(), (0, 0, 0, 0))  # a week has not passed
        said = self.counts(dry_run=True, grace_seconds=0)
        self.assertEqual(said, (2, 1, 2, 150))
        self.assertEqual(self.known(first, second), [first, second])
        self.assertTrue(self.kept(first).exists() and self.kept(second).exists())
        self.assertEqual(self.counts(grace_seconds=0), said)
        self.assertEqual(self.known(first, second), [])
        self.assertFalse(self.kept(first).exists() or self.kept(second).exists())
        self.assertEqual(self.counts(dry_run=True, grace_seconds=0), (0, 0, 0, 0))

    def test_one_that_cannot_be_noted(self):
        """Else each look of blob.keep_days would begin another."""
        stamp = self.farm.data / "blobs" / "gc.stamp"
        stamp.unlink(missing_ok=True)
        stamp.mkdir(parents=True)
        key = {"Idempotency-Key": "gc-stamp"}
        reply = self.ask("POST", "/files/gc", {"grace_seconds": 0}, key)
        self.assertEqual((reply.status, reply.body["error_code"]), (500, 5002), reply)
        stamp.rmdir()
        other = self.ask("POST", "/files/gc", {"grace_seconds": 1}, key)
        self.assertEqual((other.status, other.body["code"]), (422, 3000), other)
        self.gc(key, grace_seconds=0)  # that it failed is not what is said for ever
        self.assertTrue(stamp.is_file())

    def test_what_a_task_needs_stays(self):
        scene, texture = self.put(path="p/scene.blend", unionid="user123"), self.put(path="p/wood.jpg", unionid="user123")
        others, nobodys, unbound = self.put(path="q/tin.jpg", unionid="x"), self.put(path="q/sky.exr"), self.put(unionid="user123")
        id = self.task(oss_file_path="p/scene.blend")
        self.assertEqual(self.counts(dry_run=True, grace_seconds=0), (2, 1, 2, 200))
        self.assertEqual(self.counts(grace_seconds=0), (2, 1, 2, 200))
        self.assertEqual(self.known(scene, texture, nobodys), [scene, texture, nobodys])
        self.assertEqual(self.known(others, unbound), [])
        self.assertEqual(self.ask("POST", f"/tasks/{id}/cancel").status, 200)
        self.assertEqual(self.counts(grace_seconds=0), (0, 0, 0, 0))
        self.assertEqual(self.ask("POST", f"/tasks/{id}/cleanup").status, 200)
        self.assertEqual(self.counts(grace_seconds=0), (3, 3, 3, 300))
        again = self.ask("POST", f"/tasks/{id}/retry-failed")
        self.assertEqual(again.status, 200, again)  # none has failed
        again = self.ask("POST", f"/tasks/{id}/frames/1/retry")
        self.assertEqual((again.status, again.body["code"]), (404, 2002), again)

    def test_files_without_records_go(self):
        hash = self.put()
        stray = self.kept(md5(b"stray"))
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"left by a gateway that was killed")
        other = stray.parent / "not of the store"
        other.write_bytes(b"")
        self.assertEqual(self.counts(grace_seconds=3600, dry_run=True), (0, 0, 0, 0))  # it has just come
        said = self.counts(grace_seconds=0, dry_run=True)
        self.assertEqual(said, (1, 0, 2, 100 + 33))
        self.assertEqual(self.counts(grace_seconds=0), said)
        self.assertFalse(stray.exists() or self.kept(hash).exists())
        self.assertTrue(other.exists())
        other.unlink()

    def test_uploads_meanwhile_have_their_file(self):
        content = [os.urandom(1000) for _ in range(8)]
        wrong, over = [], threading.Event()

        def send():
            while not over.is_set():
                for one in content:
                    reply = upload(self.farm.port, one)
                    if reply.status not in (200, 201):
                        wrong.append(reply)

        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        gone = sum(self.gc(grace_seconds=0)["assets"] for _ in range(20))
        over.set()
        for thread in threads:
            thread.join()
        self.assertFalse(wrong, wrong[:1])
        known = self.known(*[md5(one) for one in content])
        for hash in known:
            self.assertTrue(self.kept(hash).exists(), (hash, gone))
        self.assertEqual(self.gc(grace_seconds=0)["assets"], len(known))

    def test_key_of_the_client(self):
        self.put()
        key = {"Idempotency-Key": "gc-1"}
        first = self.gc(key, grace_seconds=0)
        self.assertEqual(first["assets"], 1)
        self.put()
        self.assertEqual(self.gc(key, grace_seconds=0), first)
        other = self.ask("POST", "/files/gc", {"grace_seconds": 1}, key)
        self.assertEqual((other.status, other.body["code"]), (422, 3000), other)

    def test_uploads_that_are_repeated(self):
        """Behind a collection: what is sent again comes in again."""
        content, key = os.urandom(100), {"Idempotency-Key": "gone"}

        def send():
            return upload(self.farm.port, content, headers=key, path="show/gone.jpg")

        def bind():
            return self.ask("POST", "/files/upload", form(part("hash", md5(content)), part("path", "show/other.jpg")), dict(FORM, **{"Idempotency-Key": "bind"}))

        first = send()
        self.assertEqual((first.status, bind().status), (201, 200))
        self.assertEqual((send().body, bind().status), (first.body, 200))
        self.assertEqual(self.counts(grace_seconds=0), (1, 2, 1, 100))
        refused = bind()
        self.assertEqual((refused.status, refused.body["code"], refused.body["errors"][0]["field"]), (400, 1001, "file"), refused)
        again = send()
        self.assertEqual((again.status, again.body["data"]["uploaded"]), (201, True), again)
        self.assertEqual(self.known(md5(content)), [md5(content)])
        self.assertEqual(self.kept(md5(content)).read_bytes(), content)
        third = send()
        self.assertEqual((third.status, third.body["data"]["asset_id"]), (200, again.body["data"]["asset_id"]), third)
        self.assertEqual(self.counts(grace_seconds=0), (1, 1, 1, 100))

    def test_how_far_it_is(self):
        done = self.gc(dry_run=True, grace_seconds=12)
        told = self.ask("GET", "/files/gc")
        self.assertEqual((told.status, told.body["data"]), (200, done))
        self.assertEqual((done["running"], done["dry_run"], done["grace_seconds"], done["failed"]), (False, True, 12, False))
        begun = self.ask("POST", "/files/gc", {"wait_seconds": 0})
        self.assertIn((begun.status, begun.body["code"]), ((200, 200), (202, 202)), begun)
        wait_for(lambda: not self.ask("GET", "/files/gc").body["data"]["running"], what="the end of it")

    def test_refusals(self):
        for body, field in (({"grace_seconds": -1}, "grace_seconds"), ({"grace_seconds": "7d"}, "grace_seconds"),
                            ({"grace_seconds": 1 << 40}, "grace_seconds"), ({"dry_run": 1}, "dry_run"),
                            ({"wait_seconds": 31}, "wait_seconds")):
            reply = self.ask("POST", "/files/gc", body)
            self.assertEqual((reply.status, reply.body["code"], reply.body["errors"][0]["field"]), (400, 1002, field), reply)
        self.assertEqual(self.ask("DELETE", "/files/gc").status, 405)
        self.assertEqual(self.ask("POST", "/files/gc", b"x", {"Content-Type": "text/plain"}).status, 415)

    def test_who_may(self):
        with self.make_farm(auth_required="always", start=False) as farm:
            keys = {role: gantry("key", "create", "--data", str(farm.data), "--role", role, "--name", role).stdout.split()[-1]
                    for role in ("user", "admin")}
            farm.headers = {"Authorization": f"Bearer {keys['admin']}"}
            farm.start_all()
            for method, role, status in (("POST", "user", 403), ("GET", "user", 403), ("POST", "admin", 200), ("GET", "admin", 200)):
                reply = ask(farm.port, method, "/render/api/files/gc", {} if method == "POST" else None,
                            {"Authorization": f"Bearer {keys[role]}"})
                self.assertEqual(reply.status, status, (method, role, reply))

    def test_command(self):
        hash = self.put(100)
        self.assertIn("1 files (100 bytes) would go: 1 were known, by 0 paths", self.command("--dry-run", "--grace", "0s"))
        self.assertTrue(self.kept(hash).exists())
        done = json.loads(self.command("--grace", "0s", "--json"))
        self.assertEqual((done["files"], done["bytes"]), (1, 100))
        self.assertFalse(self.kept(hash).exists())
        for wrong in ("7", "d", "7y", "-1d", "99999999w"):
            self.command(f"--grace={wrong}", code=2)


class RenderGcOwner(Contract):
    options = {"workers": 0}

    def collect(self, farm):
        return ask(farm.port, "POST", "/render/api/files/gc", {"grace_seconds": 0})

    def test_a_folder_of_two_farms(self):
        content, blobs = os.urandom(10), self.farm.data / "blobs"
        self.assertEqual(upload(self.farm.port, content).status, 201)
        mark = blobs / ".gantry-owner"
        wait_for(mark.exists, what="the mark, which nobody asked for")
        with self.make_farm(blob_dir=str(blobs)) as other:
            reply = self.collect(other)
            self.assertEqual((reply.status, reply.body["code"]), (409, 3000), reply)
            self.assertIn(str(blobs), reply.body["detail"])
            said = gantry("blobs", "gc", "--grace", "0s", url=f"http://127.0.0.1:{other.port}")
            self.assertEqual(said.returncode, 1, said)
            self.assertIn(".gantry-owner", said.stderr)
        self.assertTrue((blobs / "assets" / md5(content)[:2] / md5(content)).exists())
        self.farm.restart("gateway")
        self.farm.wait_ready()
        self.assertEqual(mark.read_text(), (self.farm.data / "farm.id").read_text())
        reply = wait_for(lambda: (lambda reply: reply.status != 503 and reply)(self.collect(self.farm)), what="the scheduler to be found")
        self.assertEqual((reply.status, reply.body["data"]["files"]), (200, 1), reply)

    def test_a_mark_that_is_left_meanwhile(self):
        """The gateway's own look for it is none of a collection that is further."""
        with self.make_farm() as farm:
            farm.stop("scheduler")
            begun = ask(farm.port, "POST", "/render/api/files/gc", {"dry_run": True, "grace_seconds": 0, "wait_seconds": 0})
            self.assertEqual(begun.status, 202, begun)
            stray = farm.data / "blobs" / "assets" / md5(b"stray")[:2] / md5(b"stray")
            stray.parent.mkdir(parents=True)
            stray.write_bytes(b"stray")
            wait_for((farm.data / "blobs" / ".gantry-owner").exists, what="the mark")
            farm.cont("scheduler")
            told = wait_for(lambda: (lambda data: not data["running"] and data)(ask(farm.port, "GET", "/render/api/files/gc").body["data"]), what="its end")
            self.assertEqual([told[name] for name in ("failed", "assets", "files", "bytes")], [False, 0, 1, 5])
            self.assertEqual(self.collect(farm).body["data"]["files"], 1)

    def test_a_folder_that_comes_later(self):
        with self.make_farm() as farm:
            blobs = farm.data / "blobs"
            self.assertFalse(blobs.exists())
            self.assertEqual(self.collect(farm).status, 200)
            self.assertEqual(upload(farm.port, b"x").status, 201)
            wait_for((blobs / ".gantry-owner").exists, what="the mark")

    def test_an_id_that_is_damaged(self):
        with self.make_farm() as farm:
            self.assertEqual(upload(farm.port, b"x").status, 201)
            (farm.data / "farm.id").unlink(missing_ok=True)
            (farm.data / "farm.id").write_text("x")
            reply = self.collect(farm)
            self.assertEqual((reply.status, reply.body["code"]), (500, 5002), reply)


class RenderGcDaily(Contract):
    options = {"workers": 0, "blob_keep_days": 1}

    def test_by_itself(self):
        content = os.urandom(10)
        self.assertEqual(upload(self.farm.port, content).status, 201)
        stamp = self.farm.data / "blobs" / "gc.stamp"
        wait_for(stamp.exists, what="it to be done by itself")
        data = ask(self.farm.port, "GET", "/render/api/files/gc").body["data"]
        self.assertEqual((data["grace_seconds"], data["failed"], data["files"]), (86400, False, 0))
