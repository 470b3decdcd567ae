"""Sources and results of transcodes over HTTP."""

import hashlib
import http.client
import os
import pathlib
import shutil
import socket
import tempfile

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.library import fill, video

MIB = 1 << 20


class Transfers(Contract):
    more = {}

    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="gantry-library-")).resolve()
        cls.library, cls.save = cls.top / "library", cls.top / "out"
        cls.library.mkdir()
        cls.options = {"workers": 0, "library": str(cls.library), "library_scan_minutes": 0, "transcode_save": str(cls.save),
                       "transcode_offline_seconds": 3600, "transcode_report_seconds": 3600, "transcode_first_report_seconds": 3600, **cls.more}
        super().setUpClass()
        body = {"worker_name": "remote", "worker_type": 0, "support_vr": 0}
        cls.worker = cls.farm.post("/api/v1/workers", body).body["data"]["worker_id"]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.top)

    def task(self, path, content=None):
        """A task about the file of this name."""
        if content is not None:
            (self.library / path).parent.mkdir(parents=True, exist_ok=True)
            (self.library / path).write_bytes(content)
        fill(self.farm, self.library, video(path))
        answer = self.farm.post("/api/v1/tasks", {"worker_id": self.worker, "worker_type": 0, "support_vr": 0})
        self.assertEqual(answer.body["data"]["video_path"], path)
        return answer.body["data"]["task_id"]

    def fetch(self, task, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120)
        connection.request(method, f"/api/v1/stream/source/{task}", headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body

    def put(self, task, content, **headers):
        sent = dict({k.replace("_", "-"): v for k, v in headers.items()}, **{"Content-Type": "application/octet-stream"})
        return self.farm.put(f"/api/v1/stream/result/{task}", content, headers=sent)

    def refused(self, answer, status, *words):
        self.assertEqual((answer.status, answer.body["code"]), (status, status), answer)
        for word in words:
            self.assertIn(word, answer.body["message"])


class Files(Transfers):
    def test_a_source(self):
        content = os.urandom(3 * MIB + 7)
        task = self.task("电影/one.mp4", content)
        status, headers, body = self.fetch(task)
        self.assertEqual((status, body == content, headers["accept-ranges"], headers["content-length"]), (200, True, "bytes", str(len(content))))
        for given, first, last in [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=3145700-", 3145700, len(content) - 1),
                                   ("bytes=-5", len(content) - 5, len(content) - 1), ("bytes=5-99999999", 5, len(content) - 1)]:
            status, part, body = self.fetch(task, Range=given)
            self.assertEqual((status, body == content[first:last + 1]), (206, True), given)
            self.assertEqual(part["content-range"], f"bytes {first}-{last}/{len(content)}")
            self.assertEqual(part["etag"], headers["etag"])
        for given in ("bytes=x", "bytes=5-3", "lines=1-2", "bytes=1-2,5-6", "bytes=-"):
            self.assertEqual(self.fetch(task, Range=given)[0], 200, given)
        for given in ("bytes=99999999-", "bytes=-0"):
            status, part, _ = self.fetch(task, Range=given)
            self.assertEqual((status, part["content-range"]), (416, f"bytes */{len(content)}"))
        self.assertEqual(self.fetch(task, Range="bytes=0-9", If_Range=headers["etag"])[0], 206)
        self.assertEqual(self.fetch(task, Range="bytes=0-9", If_Range='"other"')[0], 200)
        status, head, body = self.fetch(task, method="HEAD")
        self.assertEqual((status, head["content-length"], body), (200, str(len(content)), b""))

    def test_sources_that_are_not_there(self):
        self.refused(self.farm.get("/api/v1/stream/source/99999"), 404, "任务不存在")
        self.refused(self.farm.get("/api/v1/stream/source/x"), 404, "任务不存在")
        self.refused(self.farm.get(f"/api/v1/stream/source/{self.task('gone.mp4')}"), 404, "源文件不存在")
        (self.library / "link.mp4").symlink_to("/etc/passwd")
        self.refused(self.farm.get(f"/api/v1/stream/source/{self.task('link.mp4')}"), 403)
        self.refused(self.farm.get(f"/api/v1/stream/source/{self.task('../../etc/passwd')}"), 403)
        (self.library / "folder.mp4").mkdir()
        self.refused(self.farm.get(f"/api/v1/stream/source/{self.task('folder.mp4')}"), 403)
        task = self.task("ended.mp4", b"x")
        self.farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": self.worker, "progress": 1, "status": 3, "error_message": "no"})
        self.refused(self.farm.get(f"/api/v1/stream/source/{task}"), 409, "任务已结束")

    def test_a_result(self):
        task = self.task("a/b/whole.mp4", b"x")
        content = os.urandom(2 * MIB + 1)
        answer = self.put(task, content, X_Content_SHA256=hashlib.sha256(content).hexdigest())
        self.assertEqual((answer.status, answer.body["message"], answer.body["data"]), (201, "上传完成", {"received": len(content), "complete": True}))
        self.assertEqual((self.save / "a/b/whole.mp4").read_bytes(), content)
        self.assertEqual([p.name for p in (self.save / "a/b").iterdir()], ["whole.mp4"])
        self.assertEqual(self.put(task, b"").status, 201)  # again, and empty
        self.assertEqual((self.save / "a/b/whole.mp4").read_bytes(), b"")

    def test_a_result_in_parts(self):
        task = self.task("parts.mp4", b"x")
        content = os.urandom(300_000)
        size, digest = len(content), hashlib.sha256(content).hexdigest()
        result = f"/api/v1/stream/result/{task}"
        self.assertEqual(self.farm.get(result).body["data"], {"received": 0, "complete": False})
        answer = self.put(task, content[:100_000], Content_Range=f"bytes 0-99999/{size}")
        self.assertEqual((answer.status, answer.body["data"]), (200, {"received": 100_000, "complete": False}))
        self.assertEqual(self.farm.get(result).body["data"]["received"], 100_000)
        self.assertFalse((self.save / "parts.mp4").exists())
        self.refused(self.put(task, content[:9], Content_Range=f"bytes 0-8/{size}"), 409, "已接收 100000 字节")
        self.refused(self.put(task, content[:9], Content_Range=f"bytes 100000-100010/{size}"), 400, "Content-Range")
        self.assertEqual(self.farm.get(result).body["data"]["received"], 100_000)
        for given in ("bytes 0-9", "0-9/10", "bytes 9-0/10", "bytes 0-10/10", "bytes */10"):
            self.refused(self.put(task, b"0123456789", Content_Range=given), 400, "Content-Range")
        self.farm.restart("gateway")
        self.farm.wait_ready()
        wrong = self.put(task, content[100_000:], Content_Range=f"bytes 100000-{size - 1}/{size}", X_Content_SHA256="0" * 64)
        self.refused(wrong, 409, "文件校验失败")
        self.assertEqual(self.farm.get(result).body["data"]["received"], 0)
        self.refused(self.put(task, content, X_Content_SHA256="xyz"), 400, "X-Content-SHA256")
        self.put(task, content[:100_000], Content_Range=f"bytes 0-99999/{size}")
        answer = self.put(task, content[100_000:], Content_Range=f"bytes 100000-{size - 1}/{size}", X_Content_SHA256=digest)
        self.assertEqual(answer.status, 201)
        self.assertEqual((self.save / "parts.mp4").read_bytes(), content)

    def test_one_that_breaks_off(self):
        task = self.task("breaks.mp4", b"x")
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.sendall(f"PUT /api/v1/stream/result/{task} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
                           f"Content-Range: bytes 0-999999/1000000\r\n\r\n".encode() + b"a" * 200_000)
            received = lambda: self.farm.get(f"/api/v1/stream/result/{task}").body["data"]["received"]  # noqa: E731
            wait_for(lambda: received() == 200_000, what="what was sent")
            self.refused(self.put(task, b"b", Content_Range="bytes 200000-200000/1000000"), 409, "正在上传")

        def rest():
            try:
                answer = self.put(task, b"b" * 800_000, Content_Range="bytes 200000-999999/1000000")
            except OSError:  # refused, as the first one has not been seen to go, and cut off
                return None
            return answer if answer.status == 201 else None

        answer = wait_for(rest, what="the rest of it")
        self.assertEqual(answer.body["data"]["received"], 1_000_000)
        self.assertEqual((self.save / "breaks.mp4").read_bytes(), b"a" * 200_000 + b"b" * 800_000)

    def fail_task(self, task):
        answer = self.farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": self.worker, "progress": 1, "status": 3, "error_message": "no"})
        self.assertEqual(answer.status, 200, answer)

    def parts(self, path):
        return [p.name for p in (self.save / path).parent.glob(".gantry-*")]

    def test_a_task_that_ends_while_its_result_comes(self):
        """It is not its worker's any more: the result gets no name, and goes."""
        task = self.task("lost/late.mp4", b"x")
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.sendall(f"PUT /api/v1/stream/result/{task} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n".encode()
                           + b"a" * 100_000)
            wait_for(lambda: self.farm.get(f"/api/v1/stream/result/{task}").body["data"]["received"] == 100_000, what="half of it")
            self.fail_task(task)
            client.sendall(b"b" * 100_000)
            said = b""
            while b"}" not in said:
                said += client.recv(65536)
        self.assertTrue(said.startswith(b"HTTP/1.1 409"), said)
        self.assertIn("任务已结束".encode(), said)
        self.assertEqual(list((self.save / "lost").iterdir()), [])

    def test_parts_of_tasks_that_have_ended(self):
        """They go, also those that a gateway before this one had; those of others stay."""
        ended, lasts = self.task("ended/one.mp4", b"x"), self.task("ended/two.mp4", b"x")
        for task in (ended, lasts):
            self.assertEqual(self.put(task, b"a" * 10, Content_Range="bytes 0-9/20").status, 200)
        self.fail_task(ended)
        wait_for(lambda: self.parts("ended/x") == [f".gantry-{lasts}.part"], 60, "the end of what is of no use any more")
        (self.save / f"ended/.gantry-{ended}.part").write_bytes(b"x")
        (self.save / f"ended/.gantry-{ended}-1.part").write_bytes(b"x")
        (self.save / "ended/.gantry-x.part").write_bytes(b"x")
        self.farm.restart("gateway")
        self.farm.wait_ready()
        wait_for(lambda: sorted(self.parts("ended/x")) == [f".gantry-{lasts}.part", ".gantry-x.part"], 60, "the end of what was left")
        self.assertEqual(self.put(lasts, b"b" * 10, Content_Range="bytes 10-19/20").status, 201)

    def test_what_stands_at_its_name(self):
        """A result of the same video gives way, by whichever task it came; what somebody else put there does not."""
        path = "again/one.mp4"
        self.assertEqual(self.put(self.task(path, b"x"), b"first").status, 201)
        fill(self.farm, self.library, video(path, size=77))  # another version, while its task goes on
        self.farm.request("PATCH", f"/api/v1/tasks/{self.farm.get('/api/v1/tasks?per_page=1').body['data'][0]['task_id']}",
                          {"worker_id": self.worker, "progress": 100, "status": 2})
        second = self.task(path)
        self.assertEqual(self.put(second, b"second").status, 201)
        self.assertEqual((self.save / path).read_bytes(), b"second")
        self.fail_task(second)
        number = next(v["id"] for v in self.farm.get("/api/v1/videos?search=again").body["data"]["videos"] if v["video_path"] == path)
        self.assertEqual(self.farm.request("PATCH", f"/api/v1/videos/{number}", {"transcode_status": 1, "bumped": True}).status, 200)
        third = self.farm.post("/api/v1/tasks", {"worker_id": self.worker, "worker_type": 0, "support_vr": 0}).body["data"]["task_id"]
        self.assertEqual(self.put(third, b"third").status, 201)
        (self.save / path).write_bytes(b"somebody's")
        refused = self.put(third, b"fourth")
        self.refused(refused, 409, "one.mp4 已存在")
        self.assertEqual((self.save / path).read_bytes(), b"somebody's")
        self.assertEqual(self.parts(path), [])
        (self.save / path).unlink()
        (self.save / path).symlink_to("/etc/passwd")
        self.refused(self.put(third, b"fifth"), 409, "已存在")
        (self.save / path).unlink()
        (self.save / path).mkdir()
        self.refused(self.put(third, b"sixth"), 409, "已存在")
        self.assertEqual(self.parts(path), [])
        other = self.task("again/theirs.mp4", b"x")
        (self.save / "again/theirs.mp4").write_bytes(b"somebody's")
        english = self.farm.put(f"/api/v1/stream/result/{other}", b"x", headers={"Content-Type": "video/mp4", "Accept-Language": "en"})
        self.refused(english, 409, "theirs.mp4 is there already, and is no result of this video")

    def test_another_ending(self):
        task = self.task("ends/film.old.avi", b"x")
        result = f"/api/v1/stream/result/{task}"
        for given in ("../x", "MP4", "a.b", "123456789", "%2f"):
            self.refused(self.farm.put(f"{result}?extension={given}", b"x", headers={"Content-Type": "video/mp4"}), 400, "extension")
        for given in ("0", "x", "1048577"):
            self.refused(self.farm.get(f"{result}?attempt={given}"), 400, "attempt")
        self.assertEqual(self.farm.put(f"{result}?extension=mkv", b"content", headers={"Content-Type": "video/mp4"}).status, 201)
        self.assertEqual([p.name for p in (self.save / "ends").iterdir()], ["film.old.mkv"])
        digest = "c4b7ba22bbf5c8d7b5e8b2fe1e6bd92b"
        self.assertEqual(self.farm.get(f"{result}?extension=mkv&size=7&hash={digest}").body["data"]["complete"], False)
        self.refused(self.farm.get(f"{result}?extension=mkv&size=7&hash=xyz"), 400, "hash")
        self.refused(self.farm.put(f"{result}?attempt=1", b"x", headers={"Content-Type": "video/mp4"}), 409, "任务不属于该Worker")
        self.assertEqual([p.name for p in (self.save / "ends").iterdir()], ["film.old.mkv"])
        task = self.task("ends/" + "长" * 83 + "ab.ts", b"x")
        self.assertEqual(self.farm.put(f"/api/v1/stream/result/{task}?extension=mkv", b"x", headers={"Content-Type": "video/mp4"}).status, 201)
        self.assertTrue((self.save / ("ends/" + "长" * 83 + "ab.mkv")).exists())
        task = self.task("ends/" + "y" * 252 + ".ts", b"x")
        self.assertEqual(self.farm.put(f"/api/v1/stream/result/{task}?extension=mkv", b"x", headers={"Content-Type": "video/mp4"}).status, 201)
        self.assertTrue((self.save / ("ends/" + "y" * 251 + ".mkv")).exists())

    def test_the_gateway_is_killed_while_it_comes(self):
        """What was acknowledged is there, and it goes on behind what is there."""
        task = self.task("killed.mp4", b"x")
        content = os.urandom(600_000)
        digest, result = hashlib.sha256(content).hexdigest(), f"/api/v1/stream/result/{task}"
        self.assertEqual(self.put(task, content[:100_000], Content_Range="bytes 0-99999/600000").status, 200)
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.sendall(f"PUT {result} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n"
                           f"Content-Range: bytes 100000-599999/600000\r\n\r\n".encode() + content[100_000:350_000])
            wait_for(lambda: self.farm.get(result).body["data"]["received"] > 100_000, what="more of it")
            self.farm.kill("gateway")
        self.farm.start("gateway")
        self.farm.wait_ready()
        here = self.farm.get(result).body["data"]["received"]
        self.assertTrue(100_000 <= here <= 350_000, here)
        answer = self.put(task, content[here:], Content_Range=f"bytes {here}-599999/600000", X_Content_SHA256=digest)
        self.assertEqual(answer.status, 201)
        self.assertEqual((self.save / "killed.mp4").read_bytes(), content)

    def test_results_that_nobody_takes(self):
        self.refused(self.put("99999", b"x" * 3 * MIB), 404, "任务不存在")
        self.save.mkdir(exist_ok=True)
        (self.save / "out").symlink_to("/tmp")
        self.refused(self.put(self.task("out/x.mp4", b"x"), b"x"), 403)
        self.refused(self.put(self.task("../up.mp4"), b"x"), 403)
        self.assertFalse((self.save.parent / "up.mp4").exists())
        task = self.task("late.mp4", b"x")
        self.farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": self.worker, "progress": 100, "status": 2})
        self.refused(self.put(task, b"x"), 409, "任务已结束")

    def test_memory_does_not_grow(self):
        """A result and a source of more than all of the gateway's memory: what it holds of them is a piece at a time."""
        def anonymous():
            text = pathlib.Path(f"/proc/{self.farm.pid('gateway')}/status").read_text()
            return int(text.split("RssAnon:")[1].split()[0]) << 10

        task = self.task("large.mp4", b"")
        size = 200 * MIB
        with (self.library / "large.mp4").open("wb") as source:
            source.truncate(size)
        before = anonymous()
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.sendall(f"PUT /api/v1/stream/result/{task} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
            for _ in range(size // MIB):
                client.sendall(bytes(MIB))
            most = anonymous()
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 201"))
        self.assertEqual((self.save / "large.mp4").stat().st_size, size)
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120)
        connection.request("GET", f"/api/v1/stream/source/{task}")
        answer, got = connection.getresponse(), 0
        while piece := answer.read(MIB):
            got += len(piece)
            most = max(most, anonymous())
        connection.close()
        self.assertEqual(got, size)
        self.assertLess(most - before, 30 * MIB)


class Silence(Transfers):
    """The scheduler says nothing: whoever has to wait for it does so to the end of his time."""

    more = {"bus_deadline_ms": 15000}

    def test_the_last_part_again(self):
        """All of it is here, and it has no name yet: nobody could say that it may have it."""
        task = self.task("last.mp4", b"x")
        self.put(task, b"a" * 1000, Content_Range="bytes 0-999/2000")
        self.farm.stop("scheduler")
        try:
            answer = self.put(task, b"b" * 1000, Content_Range="bytes 1000-1999/2000")
        finally:
            self.farm.cont("scheduler")
        self.refused(answer, 503)
        self.assertFalse((self.save / "last.mp4").exists())
        self.assertEqual(self.farm.get(f"/api/v1/stream/result/{task}").body["data"], {"received": 2000, "complete": False})
        self.refused(self.put(task, b"b" * 10, Content_Range="bytes 10-19/2000"), 409, "已接收 2000 字节")
        self.assertEqual(self.put(task, b"b" * 500, Content_Range="bytes 1500-1999/2000").status, 201)
        self.assertEqual((self.save / "last.mp4").read_bytes(), b"a" * 1000 + b"b" * 1000)
