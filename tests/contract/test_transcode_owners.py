"""The transcode API with keys: a worker speaks for itself and for its own tasks, and for nobody else's."""

import hashlib
import pathlib
import shutil
import tempfile

from tests.contract.test_auth import Asked, bearer, make_key
from tests.library import fill, video, video_of

FOREIGN = "Worker 甲 由另一凭据注册"
FOREIGN_EN = "Worker 甲 was registered with another credential"


class Owners(Asked):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="gantry-owners-")).resolve()
        (cls.top / "library").mkdir()
        cls.options = {"auth_required": "always", "workers": 0, "library": str(cls.top / "library"), "library_scan_minutes": 0,
                       "transcode_save": str(cls.top / "out")}
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.mine, cls.theirs = bearer(cls.keys["worker"]), bearer(make_key(cls.farm, "another-worker", "worker"))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.top)

    @classmethod
    def register(cls, name, who):
        answer = cls.farm.post("/api/v1/workers", {"worker_name": name, "worker_type": 0, "support_vr": 0}, headers=who)
        return answer.body["data"]["worker_id"] if answer.status == 201 else answer

    def foreign(self, method, path, body=None, **headers):
        """Refused to another worker's key, in both languages."""
        for language, message in (("zh", FOREIGN), ("en", FOREIGN_EN)):
            answer = self.farm.request(method, path, body, headers=dict(self.theirs, **{"Accept-Language": language}, **headers))
            self.assertEqual((answer.status, answer.body), (403, {"code": 403, "message": message}))

    def test_its_own_and_nobody_elses(self):
        """Everything that a worker says of itself and of a task, said with another worker's key: it changes nothing."""
        (self.top / "library/a.mp4").write_bytes(b"source")
        ids = fill(self.farm, self.top / "library", video("a.mp4"))
        number = self.register("甲", self.mine)
        pull = {"worker_id": number, "worker_type": 0, "support_vr": 0}
        self.foreign("POST", "/api/v1/workers/heartbeat", {"worker_name": "甲", "worker_id": number})
        self.foreign("POST", "/api/v1/worker/heartbeat", {"worker_name": "甲", "worker_id": number})
        self.foreign("POST", "/api/v1/worker/register", {"worker_name": "甲", "worker_type": 1, "support_vr": 0})
        self.foreign("POST", "/api/v1/tasks", pull)
        self.foreign("GET", f"/api/v1/task/new?worker_id={number}&worker_name=%E7%94%B2")
        self.assertEqual(video_of(self.farm, ids["a.mp4"])["transcode_status"], 1)

        task = self.farm.post("/api/v1/tasks", pull, headers=self.mine).body["data"]["task_id"]
        report = {"worker_id": number, "progress": 50, "status": 1}
        line = {"task_id": task, "log_level": 1, "log_message": "x"}
        source, result = f"/api/v1/stream/source/{task}", f"/api/v1/stream/result/{task}"
        before = self.farm.get(f"/api/v1/tasks/{task}").body["data"]
        for status in (1, 2, 3):
            self.foreign("PATCH", f"/api/v1/tasks/{task}", dict(report, status=status))
            self.foreign("POST", "/api/v1/task/progress", dict(report, task_id=task, status=status))
        self.foreign("POST", "/api/v1/logs", line)
        self.foreign("GET", source)
        self.foreign("GET", result)
        self.foreign("PUT", result, b"theirs", **{"Content-Type": "application/octet-stream"})
        after = self.farm.get(f"/api/v1/tasks/{task}").body["data"]
        self.assertEqual(dict(after, elapsed_time=0), dict(before, elapsed_time=0))
        self.assertEqual(self.farm.get(f"/api/v1/logs?task_id={task}").body["data"]["logs"], [])

        self.assertEqual(self.farm.post("/api/v1/logs", line, headers=self.mine).status, 201)
        self.assertEqual(self.farm.get(source, headers=self.mine).status, 200)
        content = b"mine"
        sent = dict(self.mine, **{"Content-Type": "application/octet-stream", "X-Content-SHA256": hashlib.sha256(content).hexdigest()})
        self.assertEqual(self.farm.put(result, content, headers=sent).status, 201)
        self.assertEqual((self.top / "out/a.mp4").read_bytes(), content)
        self.assertEqual(self.farm.request("PATCH", f"/api/v1/tasks/{task}", report, headers=self.mine).status, 200)
        self.assertEqual(self.farm.request("PATCH", f"/api/v1/tasks/{task}", dict(report, status=2), headers=self.mine).status, 200)
        self.foreign("PATCH", f"/api/v1/tasks/{task}", dict(report, status=2))  # not even a repeat of its end
        self.foreign("POST", "/api/v1/logs", line)
        self.assertEqual(self.farm.request("PATCH", f"/api/v1/tasks/{task}", dict(report, status=2)).status, 200)  # an admin may

    def test_what_users_order_stands(self):
        """Whose worker it is does not bind people: they rename it, send it offline, delete it."""
        number = self.register("丙", self.mine)
        user = bearer(self.keys["user"])
        self.assertEqual(self.farm.put(f"/api/v1/workers/{number}", {"worker_type": 2}, headers=user).status, 200)
        self.assertEqual(self.farm.post(f"/api/v1/workers/{number}/offline", {"action": "offline"}, headers=user).status, 200)
        self.assertEqual(self.farm.delete(f"/api/v1/workers/{number}", headers=user).status, 200)
        again = self.register("丙", self.theirs)
        self.assertIsInstance(again, int)
