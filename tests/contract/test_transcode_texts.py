"""Every sentence of the transcode API, in Chinese as its document has them and in English, on every path of the code that says one."""

import itertools
import pathlib
import re
import shutil
import socket
import tempfile

from tests.bus import ScriptedWorker
from tests.contract.test_auth import Asked, bearer, make_key
from tests.farm import ROOT, Farm, wait_for
from tests.library import fill, video

# As the API's document has them, word for word.
DOCUMENT = ("参数不完整", "Worker first 已在线，注册失败", "下线指令已发送", "无效的下线动作", "Worker不存在", "下线指令已取消")
# What else its workers know it by.
KNOWN = ("没有待转码的视频", "没有新任务", "worker should offline")
CJK = re.compile(r"[\u4e00-\u9fff]")


def catalogue():
    """{name: (zh, en)} of what the surface says, as patterns: its texts, and the rules whose sentence is the whole message."""
    texts = (ROOT / "gateway" / "texts.def").read_text()
    surface = (ROOT / "gateway" / "surfaces" / "transcode.c").read_text()
    words = re.search(r"rule_is_whole\(.*?words\[\] = \{(.*?)\};", surface, re.S)[1]
    wanted = {f'RULE("{rule}"' for rule in re.findall(r'"(\w+)"', words)} | set(re.findall(r"^TEXT\(API_\w+", texts, re.M))
    found = {}
    for head, zh, en in re.findall(r'^((?:TEXT\(\w+|RULE\("\w+")), "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)', texts, re.M):
        if head in wanted:
            found[head.partition("(")[2].strip('"')] = tuple(
                re.compile(re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(text)) + "$", re.S) for text in (zh, en))
    assert len(found) == len(wanted), wanted
    return found


class Texts(Asked):
    keys_used = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="gantry-texts-")).resolve()
        cls.library, cls.save = cls.top / "library", cls.top / "out"
        cls.library.mkdir()
        cls.options = {"auth_required": "always", "workers": 0, "library": str(cls.library), "library_scan_minutes": 0,
                       "transcode_save": str(cls.save), "http_body_kb": 64}
        super().setUpClass()
        cls.sentences, cls.seen, cls.said = catalogue(), set(), set()

    @classmethod
    def prepare(cls):
        cls.mine, cls.theirs = bearer(cls.keys["worker"]), bearer(make_key(cls.farm, "another-worker", "worker"))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.top)

    def both(self, name, status, method, path, body=None, code=None, farm=None, **headers):
        """Says the same twice, in each language, under one key: nothing is done twice. name: of the sentence; None: a general one. Answers the
        data of the first."""
        farm = farm or self.farm
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        headers.setdefault("Idempotency-Key", f"texts-{next(self.keys_used)}")
        answers = [farm.request(method, path, body, headers=dict(headers, **{"Accept-Language": language})) for language in ("zh-CN", "en")]
        zh, en = (answer.body["message"] for answer in answers)
        for answer in answers:
            self.assertEqual((answer.status, answer.body["code"]), (status, code or status), answer)
        self.assertEqual({key: value for key, value in answers[0].body.items() if key != "message"},
                         {key: value for key, value in answers[1].body.items() if key != "message"})
        self.said.add(zh)
        if name is None:
            self.assertRegex(zh, CJK, (method, path))
            self.assertNotRegex(en, CJK, (method, path))
            return None
        self.assertRegex(zh, self.sentences[name][0])
        self.assertRegex(en, self.sentences[name][1])
        self.assertEqual(self.sentences[name][0].match(zh).groups() and True, self.sentences[name][1].match(en).groups() and True)
        self.seen.add(name)
        return answers[0].body.get("data")

    def worker(self, name, **headers):
        return self.both("API_REGISTERED", 201, "POST", "/api/v1/workers", {"worker_name": name, "worker_type": 0, "support_vr": 0}, **headers)["worker_id"]

    def file(self, name):
        (self.library / name).write_bytes(b"source")
        return video(name)

    def task(self, worker):
        return self.both("API_TASK", 201, "POST", "/api/v1/tasks", {"worker_id": worker, "worker_type": 0, "support_vr": 0})["task_id"]

    def of_workers(self):
        first = self.worker("first", **self.mine)
        body = {"worker_name": "first", "worker_type": 0, "support_vr": 0}
        self.both("worker_online", 409, "POST", "/api/v1/workers", body)
        self.both("API_REGISTERED", 200, "POST", "/api/v1/worker/register", body, **self.mine)
        self.both("worker_owner", 403, "POST", "/api/v1/worker/register", body, **self.theirs)
        self.both("API_INCOMPLETE", 400, "POST", "/api/v1/workers", {"worker_name": "x"})
        self.both("API_OK", 200, "GET", "/api/v1/workers")
        self.both("API_OK", 200, "GET", f"/api/v1/workers/{first}")
        for path in ("/api/v1/workers/heartbeat", "/api/v1/worker/heartbeat"):
            self.both("API_BEAT", 200, "POST", path, {"worker_name": "first", "worker_id": first})
            self.both("worker_missing", 404, "POST", path, {"worker_name": "nobody", "worker_id": 99999})
        self.both("API_UPDATED", 200, "PUT", f"/api/v1/workers/{first}", {"worker_type": 0})
        second = self.worker("second")
        self.both("worker_name", 409, "PUT", f"/api/v1/workers/{second}", {"worker_name": "first"})
        for method, path in (("GET", "/api/v1/workers/99999"), ("PUT", "/api/v1/workers/99999"), ("DELETE", "/api/v1/workers/99999"),
                             ("POST", "/api/v1/workers/99999/offline"), ("DELETE", "/api/v1/workers/99999/offline")):
            self.both("worker_missing", 404, method, path, None if method in ("GET", "DELETE") else {"action": "offline", "worker_type": 1})
        self.both("directive", 400, "POST", f"/api/v1/workers/{second}/offline", {"action": "sleep"})
        self.both("API_DIRECTED", 200, "POST", f"/api/v1/workers/{second}/offline", {"action": "shutdown"})
        self.both("API_OFFLINE", 200, "POST", "/api/v1/tasks", {"worker_id": second, "worker_type": 0, "support_vr": 0}, code=205)
        self.both("API_UNDIRECTED", 200, "DELETE", f"/api/v1/workers/{second}/offline")
        self.both("API_DELETED", 200, "DELETE", f"/api/v1/workers/{second}")
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode",)) as session:
            number = session.hello()["worker_id"]
            self.both("worker_session", 409, "PUT", f"/api/v1/workers/{number}", {"worker_type": 1})
            self.both("worker_session", 409, "DELETE", f"/api/v1/workers/{number}")
            session.tell("bye")
        return first

    def of_tasks(self, first):
        self.both("API_NO_VIDEO", 404, "POST", "/api/v1/tasks", {"worker_id": first, "worker_type": 0, "support_vr": 0})
        self.both("API_NO_TASK", 200, "GET", f"/api/v1/task/new?worker_id={first}&worker_name=first")
        self.both("worker_missing", 404, "GET", "/api/v1/task/new?worker_id=99999&worker_name=x")
        self.both("worker_missing", 404, "POST", "/api/v1/tasks", {"worker_id": 99999, "worker_type": 0, "support_vr": 0})
        fill(self.farm, self.library, *(self.file(f"{n}.mp4") for n in range(66)))
        tasks = [self.task(first) for _ in range(63)]
        tasks.append(self.both("API_TASK", 200, "GET", f"/api/v1/task/new?worker_id={first}&worker_name=first")["task_id"])
        self.both("worker_full", 429, "POST", "/api/v1/tasks", {"worker_id": first, "worker_type": 0, "support_vr": 0})
        report = {"worker_id": first, "progress": 5, "status": 1}
        path = f"/api/v1/tasks/{tasks[0]}"
        self.both("API_UPDATED", 200, "PATCH", path, report)
        self.both("API_UPDATED", 200, "POST", "/api/v1/task/progress", dict(report, task_id=tasks[0]))
        self.both("API_OK", 200, "GET", "/api/v1/tasks?status[]=3")
        self.both("task_owner", 409, "PATCH", path, dict(report, worker_id=99999))
        self.both("API_UPDATED", 200, "PATCH", path, dict(report, status=2))
        self.both("task_final", 409, "PATCH", path, dict(report, status=3))
        for method, at, body in (("GET", "/api/v1/tasks/99999", None), ("PATCH", "/api/v1/tasks/99999", report),
                                 ("POST", "/api/v1/task/progress", dict(report, task_id="99999")),
                                 ("POST", "/api/v1/logs", {"task_id": "99999", "log_level": 1, "log_message": "x"}),
                                 ("GET", "/api/v1/stream/source/99999", None), ("GET", "/api/v1/stream/result/99999", None)):
            self.both("task_missing", 404, method, at, body)
        self.both("API_LOGGED", 201, "POST", "/api/v1/logs", {"task_id": tasks[1], "log_level": 1, "log_message": "x"})
        self.both("API_OK", 200, "GET", "/api/v1/logs")
        return tasks

    def of_files(self, tasks):
        kind = {"Content_Type": "application/octet-stream"}
        path = f"/api/v1/stream/result/{tasks[1]}"
        self.both("task_final", 409, "GET", f"/api/v1/stream/source/{tasks[0]}")
        shown = self.farm.get(f"/api/v1/tasks/{tasks[1]}").body["data"]["video_path"]
        (self.library / shown).unlink()
        self.both("source_missing", 404, "GET", f"/api/v1/stream/source/{tasks[1]}")
        (self.library / shown).symlink_to("/etc/passwd")
        self.both("source_outside", 403, "GET", f"/api/v1/stream/source/{tasks[1]}")
        self.save.write_text("no folder")
        self.both("upload_disk", 503, "PUT", path, b"x", **kind)
        self.save.unlink()
        self.both("API_RECEIVED", 200, "GET", path)
        self.both("upload_hash", 409, "PUT", path, b"x", X_Content_SHA256="0" * 64, **kind)
        self.farm.put(path, b"x", headers={"Content-Type": "application/octet-stream", "Content-Range": "bytes 0-0/9"})
        self.both("upload_offset", 409, "PUT", path, b"x", Content_Range="bytes 5-5/9", **kind)
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.sendall(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {self.keys['admin']}\r\nContent-Length: 8\r\n"
                           f"Content-Range: bytes 1-8/9\r\n\r\nabc".encode())
            received = lambda: self.farm.get(path).body["data"]["received"]  # noqa: E731
            wait_for(lambda: received() == 4, what="what was sent")
            self.both("upload_busy", 409, "PUT", path, b"x", Content_Range="bytes 4-4/9", **kind)
        names = [self.save / pathlib.Path(shown).with_suffix(ending) for ending in (".mp4", ".mkv")]
        for name in names:
            name.write_text("somebody's")
        said = lambda: self.farm.put(path, b"whole", headers={"Content-Type": "application/octet-stream"}).body["message"]  # noqa: E731
        wait_for(lambda: self.sentences["upload_stands"][0].match(said()), what="the end of that upload")
        self.both("upload_stands", 409, "PUT", path, b"whole", **kind)
        for name in names:
            name.unlink()
        self.both("API_UPLOADED", 201, "PUT", path, b"whole", **kind)
        self.both(None, 416, "GET", f"/api/v1/stream/source/{tasks[2]}", Range="bytes=99-")

    def of_videos(self, tasks):
        ids = fill(self.farm, self.library, video("broken.mp4", codec="", error="moov atom not found"), video("free.mkv", codec="vp9"))
        busy = self.farm.get(f"/api/v1/tasks/{tasks[3]}").body["data"]["video_id"]
        self.both("API_OK", 200, "GET", "/api/v1/videos")
        self.both("API_OK", 200, "GET", f"/api/v1/videos/{busy}")
        self.both("video_busy", 409, "PATCH", f"/api/v1/videos/{busy}", {"transcode_status": 0})
        self.both("video_broken", 409, "PATCH", f"/api/v1/videos/{ids['broken.mp4']}", {"transcode_status": 1})
        self.both("API_UPDATED", 200, "PATCH", f"/api/v1/videos/{ids['free.mkv']}", {"transcode_status": 0})
        self.both("API_INCOMPLETE", 400, "PATCH", f"/api/v1/videos/{busy}", {})
        for method, path in (("GET", "/api/v1/videos/99999"), ("PATCH", "/api/v1/videos/99999"), ("POST", "/api/v1/videos/99999/health")):
            self.both("video_missing", 404, method, path, None if method == "GET" else {"transcode_status": 0})
        self.both("API_CHECKING", 201, "POST", f"/api/v1/videos/{ids['free.mkv']}/health")
        self.both("video_broken", 409, "POST", f"/api/v1/videos/{ids['broken.mp4']}/health")
        self.both("API_SWEEPING", 201, "POST", "/api/v1/videos/health")
        self.both("API_OK", 200, "GET", "/api/v1/videos/health")
        self.both("API_SWEPT", 200, "DELETE", "/api/v1/videos/health")
        run = self.both("API_SCANNING", 201, "POST", "/api/v1/videos/scan")["run_ids"][0]
        self.farm.post(f"/api/runs/{run}/abort")
        self.both("library_root", 400, "POST", "/api/v1/videos/scan", {"library": "/elsewhere"})

    def of_every_request(self, first, tasks):
        """What any endpoint may refuse: the field, what was given and what was expected, in one language at a time."""
        register = {"worker_name": "w", "worker_type": 0, "support_vr": 0}
        report = {"worker_id": first, "progress": 5, "status": 1}
        for body in (dict(register, worker_type=4), dict(register, worker_type="0"), dict(register, support_vr=True), dict(register, worker_name=""),
                     dict(register, worker_name=7), [], "x", b"{", b"\xff", b'{"a":1,"a":2}'):
            self.both(None, 400, "POST", "/api/v1/workers", body)
        for body in (dict(report, progress=101), dict(report, progress="1"), dict(report, status=4), dict(report, error_message=1),
                     dict(report, elapsed_time=-1)):
            self.both(None, 400, "PATCH", f"/api/v1/tasks/{tasks[5]}", body)
        for path in ("/api/v1/tasks?page=0", "/api/v1/tasks?page=x", "/api/v1/tasks?per_page=0", "/api/v1/tasks?status[]=9", "/api/v1/tasks?order=up",
                     "/api/v1/tasks?sort_by=x", "/api/v1/videos?is_vr=2", "/api/v1/videos?min_size=-1", "/api/v1/videos?min_bitrate=x",
                     "/api/v1/videos?health=3", "/api/v1/videos?sort_by=size", "/api/v1/videos?search=" + "x" * 257, "/api/v1/videos?page=1&page=2",
                     "/api/v1/logs?log_level[]=7", "/api/v1/logs?start_time=soon", "/api/v1/workers?page=0", "/api/v1/tasks?x=%zz"):
            self.both(None, 400, "GET", path)
        self.both(None, 400, "POST", "/api/v1/logs", {"task_id": tasks[5], "log_level": 9, "log_message": "x"})
        self.both(None, 400, "PATCH", "/api/v1/videos/1", {"transcode_status": 2})
        self.both(None, 400, "PATCH", "/api/v1/videos/1", {"bumped": 1})
        self.both(None, 400, "POST", "/api/v1/videos/scan", {"library": 1})
        self.both(None, 400, "POST", "/api/v1/videos/health", {"unchecked": 1})
        for header in ({"Content_Range": "bytes 0-9"}, {"X_Content_SHA256": "xyz"}):
            self.both(None, 400, "PUT", f"/api/v1/stream/result/{tasks[5]}", b"x", Content_Type="application/octet-stream", **header)
        self.both(None, 400, "POST", "/api/v1/workers", register, Idempotency_Key="x" * 256)
        self.both(None, 401, "GET", "/api/v1/workers", Authorization="Bearer wrong")
        self.both(None, 403, "POST", "/api/v1/videos/scan", **bearer(self.keys["readonly"]))
        self.both(None, 404, "GET", "/api/v1/nothing")
        self.both(None, 414, "GET", "/api/v1/tasks?" + "x" * 20000)
        self.both(None, 405, "PUT", "/api/v1/workers", {})
        self.both(None, 413, "POST", "/api/v1/workers", b" " * (100 << 10))
        self.both(None, 415, "POST", "/api/v1/workers", b"{}", Content_Type="text/plain")
        self.farm.post("/api/v1/workers", dict(register, worker_name="keyed"), headers={"Idempotency-Key": "texts-reused"})
        self.both(None, 422, "POST", "/api/v1/workers", register, Idempotency_Key="texts-reused")

    def while_the_farm_is_away(self):
        self.farm.kill("scheduler")
        self.both(None, 503, "GET", "/api/v1/workers")
        self.farm.start("scheduler")
        self.farm.wait_ready()

    def without_a_library(self):
        with Farm(workers=0) as farm:
            self.both("library_none", 409, "POST", "/api/v1/videos/scan", farm=farm)

    def test_every_sentence(self):
        first = self.of_workers()
        tasks = self.of_tasks(first)
        self.of_files(tasks)
        self.of_videos(tasks)
        self.of_every_request(first, tasks)
        self.while_the_farm_is_away()
        self.without_a_library()
        self.assertEqual(set(self.sentences) - self.seen, set(), "sentences that nothing here has made the farm say")
        self.assertEqual([text for text in DOCUMENT + KNOWN if text not in self.said], [])
