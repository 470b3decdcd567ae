"""The API's document, line by line: each answer it shows, each field and parameter of its tables, its codes and its events."""

import time

from tests.contract import document, examples
from tests.contract.base import TIME, Contract
from tests.contract.documented import Documented
from tests.farm import wait_for
from tests.receiver import Stream

# What an answer of ours holds beside what the document shows.
OURS = {
    ("GET", "/runs/{id}"): examples.RUN_MORE, ("POST", "/workers"): examples.WORKER_CHANGED_MORE, ("PUT", "/workers/{id}"): examples.WORKER_CHANGED_MORE,
    ("GET", "/workers/{id}"): examples.WORKER_MORE, ("POST", "/workers/{id}/heartbeat"): examples.HEARTBEAT_MORE,
}
SCRIPT = "print('开始处理数据')\nprint('数据处理完成')\n"
SAMPLES = {"string": "words", "integer": 7, "array": ["a"], "object": {"a": 1}}
# A right value of each query parameter, and one that is refused (None: anything of its type is looked for).
PARAMETERS = {
    "page": ("1", "0"), "size": ("20", "0"), "status": (None, "asleep"), "task_type": ("python", None), "priority": ("normal", "urgent"),
    "search": ("data", None), "sort": ("created_at", "colour"), "order": ("asc", "up"), "task_id": ("1", "x"), "worker_id": ("worker-001", None),
    "start_date": ("2024-01-01", "yesterday"), "end_date": ("2024-01-01", "2024-13-01"), "hostname": ("server-01", None), "level": ("warn", "loud"),
    "service": ("scheduler", None), "start_time": ("2024-01-01T00:00:00Z", "noon"), "end_time": ("2024-01-01T00:00:00Z", "noon"),
}
STATUSES = {"/tasks": "active paused completed failed", "/runs": "pending running completed failed aborted", "/workers": "active draining offline"}


class Shown(Contract):
    """Every endpoint, asked as the document says; what it shows is what comes."""

    options = {"types": ["python", "shell"]}

    def same(self, actual, example, where, more=()):
        """Each member that the document shows is there, of its type, and null only where it shows null; no other but those in more."""
        if isinstance(example, dict):
            self.assertIsInstance(actual, dict, where)
            self.assertEqual(set(actual) - set(more) if example else set(), set(example), where)
            for key, value in example.items():
                self.same(actual[key], value, f"{where}.{key}")
        elif isinstance(example, list):
            self.assertIsInstance(actual, list, where)
            self.assertTrue(actual or not example, f"{where} is empty")
            for index, item in enumerate(actual):
                self.same(item, example[0] if example else item, f"{where}[{index}]")
        elif example is None:
            self.assertNotIsInstance(actual, (dict, list, int), where)
        elif isinstance(example, str) and TIME.match(example):
            self.assertRegex(actual if isinstance(actual, str) else repr(actual), TIME, where)
        elif isinstance(example, float):
            self.assertIsInstance(actual, (int, float), where)
        else:
            self.assertIs(type(actual), type(example), f"{where}: {actual!r}")

    def show(self, method, path, answer, status=200):
        """Holds an answer to what the document shows for the endpoint; its data."""
        (endpoint,) = [one for one in document.endpoints() if (one.method, one.path) == (method, path)]
        data = self.data(answer, status)
        self.same(data, endpoint.answer["data"], f"{method} {path}", OURS.get((method, path), ()))
        self.shown.add((method, path))
        return data

    def ask(self, method, path, body=None, status=200, **ids):
        return self.show(method, path, self.farm.request(method, "/api" + path.format(**ids), body), status)

    def test_every_answer(self):
        self.shown = set()
        task, run = self.tasks_and_runs()
        self.workers()
        self.system()
        self.ask("POST", "/runs/{id}/abort", id=self.farm.trigger(task, delay_seconds=3600))
        self.farm.wait_run(self.ask("POST", "/runs/{id}/restart", status=201, id=run)["new_run_id"])
        deleted = self.ask("DELETE", "/tasks/{id}", id=task)
        self.assertEqual(deleted, {"message": "任务删除成功", "deleted_id": task})
        self.assertEqual(self.shown, {(one.method, one.path) for one in document.endpoints()})

    def tasks_and_runs(self):
        script = self.farm.data / "process_data.py"
        script.write_text(SCRIPT)
        shown = {one.path: one for one in document.endpoints() if one.method == "POST"}
        example = shown["/tasks"].answer["data"]
        body = dict({key: example[key] for key in shown["/tasks"].request}, command=str(script))
        made = self.ask("POST", "/tasks", body, status=201)
        self.assertEqual({key: made[key] for key in body}, body)
        task, parameters = made["id"], {"input": "data.csv", "output": "processed_data.csv"}
        triggered = self.ask("POST", "/tasks/{id}/trigger", dict(shown["/tasks/{id}/trigger"].request, parameters=parameters), 201, id=task)
        run = triggered["run_id"]
        self.assertEqual(triggered["status"], "pending")
        self.farm.wait_run(run)
        self.assertIn(task, [item["id"] for item in self.ask("GET", "/tasks")["items"]])
        self.ask("GET", "/tasks/{id}", id=task)
        changed = self.ask("PUT", "/tasks/{id}", {"name": "data_processing_updated", "priority": "high", "retry_count": 5,
                                                  "tags": ["data", "daily", "critical"]}, id=task)
        self.assertEqual((changed["name"], changed["priority"], changed["retry_count"]), ("data_processing_updated", "high", 5))
        self.assertEqual(self.ask("POST", "/tasks/{id}/pause", id=task)["status"], "paused")
        self.assertEqual(self.ask("POST", "/tasks/{id}/resume", id=task)["status"], "active")
        self.ask("GET", "/runs")
        got = self.ask("GET", "/runs/{id}", id=run)
        self.assertEqual((got["status"], got["result"], got["parameters"]), ("completed", "数据处理完成", parameters))
        self.assertEqual([line["message"] for line in got["logs"]], ["开始处理数据", "数据处理完成"])
        return task, run

    def workers(self):
        example = next(one for one in document.endpoints() if (one.method, one.path) == ("POST", "/workers"))
        fields = {key: example.answer["data"][key] for key in example.request}
        made = self.ask("POST", "/workers", dict(fields, task_types=["theirs"]), 201)
        worker = made["id"]
        self.assertEqual((made["status"], made["max_concurrent_tasks"], made["metadata"]), ("active", 5, {}))
        run = self.data(self.farm.post("/api/runs", {"task_type": "theirs", "command": "x"}), 201)["run_id"]
        self.data(self.farm.post(f"/api/workers/{worker}/lease"))
        beat = {"current_task_count": 1, "load_average": 0.4, "memory_usage": 512, "cpu_usage": 25.5, "current_tasks": [run], "metadata": {}}
        beat = self.ask("POST", "/workers/{id}/heartbeat", beat, id=worker)
        self.assertEqual((beat["worker_id"], beat["message"]), (worker, "心跳接收成功"))
        self.ask("GET", "/workers")
        other = self.data(self.farm.post(f"/api/runs/{run}/report", {"attempt": 1, "status": "completed"}))
        self.assertEqual(other["status"], "completed")
        run = self.data(self.farm.post("/api/runs", {"task_type": "theirs", "command": "x"}), 201)["run_id"]
        self.data(self.farm.post(f"/api/workers/{worker}/lease"))
        got = self.ask("GET", "/workers/{id}", id=worker)
        self.assertEqual(([one["run_id"] for one in got["current_tasks"]], got["statistics"]["total_tasks_executed"]), ([run], 1))
        put = {"max_concurrent_tasks": 10, "task_types": ["python", "shell", "http"], "status": "active", "metadata": {}}
        changed = self.ask("PUT", "/workers/{id}", put, id=worker)
        self.assertEqual({key: changed[key] for key in put}, put)
        removed = self.ask("DELETE", "/workers/{id}", id=worker)
        self.assertEqual(removed, {"message": "Worker 注销成功", "worker_id": worker})

    def system(self):
        self.assertEqual(self.ask("GET", "/system/health")["status"], "healthy")
        wait_for(lambda: self.data(self.farm.get("/api/system/stats"))["task_runs"]["completed"] >= 2, what="counts of this second")
        self.ask("GET", "/system/stats")
        (logs,) = [one for one in document.endpoints() if one.path == "/system/logs"]
        wait_for(lambda: self.data(self.farm.get("/api/system/logs"))["total"], what="lines")
        got = self.data(self.farm.get("/api/system/logs"))
        for item in got["items"]:  # what a line says is its own, and it has an id, too
            self.assertIsInstance(item.pop("metadata"), dict)
            self.assertIsInstance(item.pop("id"), str)
        del logs.answer["data"]["items"][0]["metadata"]
        self.same(got, logs.answer["data"], "GET /system/logs")
        self.shown.add(("GET", "/system/logs"))
        (metrics,) = [one for one in document.endpoints() if one.path == "/system/metrics"]
        text = self.farm.get("/api/system/metrics").body
        for line in filter(None, metrics.answer.splitlines()):
            wanted = line if line.startswith("#") else line.rpartition(" ")[0] + " "
            self.assertTrue(any(found.startswith(wanted) for found in text.splitlines()), line)
        self.shown.add(("GET", "/system/metrics"))


class Tables(Contract):
    """The tables of fields and parameters: required, typed, and with the defaults they name."""

    def test_fields(self):
        for endpoint in document.endpoints():
            if endpoint.method != "POST" or not endpoint.rows:
                continue
            body = {name: SAMPLES[kind] for name, kind, required, _ in endpoint.rows if required}
            body.update({"executor": "shell"} if "executor" in body else {})
            made = self.data(self.farm.post("/api" + endpoint.path, body), 201)
            for name, kind, required, said in endpoint.rows:
                with self.subTest(path=endpoint.path, field=name):
                    self.check_field(endpoint.path, body, name, kind, required)
                    if document.default_of(said):
                        self.assertEqual(str(made[name]), document.default_of(said))

    def check_field(self, path, body, name, kind, required):
        for other, value in SAMPLES.items():
            if other != kind:
                wrong = self.farm.post("/api" + path, {**body, name: value})
                self.error(wrong, 422, "VALIDATION_ERROR", name, "type")
        if required:
            without = {key: value for key, value in body.items() if key != name}
            self.error(self.farm.post("/api" + path, without), 422, "VALIDATION_ERROR", name, "required", None)

    def test_query_parameters(self):
        for endpoint in document.endpoints():
            if endpoint.method != "GET" or not endpoint.rows:
                continue
            plain = self.data(self.farm.get("/api" + endpoint.path))
            for name, _, _, said in endpoint.rows:
                with self.subTest(path=endpoint.path, parameter=name):
                    if name in plain:
                        self.assertEqual(str(plain[name]), document.default_of(said))
                    self.check_parameter(endpoint.path, name)

    def check_parameter(self, path, name):
        right, wrong = PARAMETERS[name]
        for value in STATUSES[path].split() if name == "status" else [right]:
            self.data(self.farm.get(f"/api{path}?{name}={value}"))
        if wrong:
            error = self.error(self.farm.get(f"/api{path}?{name}={wrong}"), 400, "VALIDATION_ERROR", name)
            if name.startswith(("start_", "end_")):
                self.assertIn("日期或时间，如 YYYY-MM-DD 或 YYYY-MM-DDThh:mm:ssZ", error["message"])

    def test_what_the_lists_default_to(self):
        """Newest first, by the time they were made."""
        for path, make in (("/tasks", lambda: self.farm.task(f"order {time.monotonic()}")),
                           ("/runs", lambda: self.farm.trigger(self.farm.task(f"order {time.monotonic()}")))):
            made = [make() for _ in range(3)]
            for query in ("", "?sort=created_at", "?order=desc", "?sort=created_at&order=desc"):
                ids = [item["id"] for item in self.data(self.farm.get(f"/api{path}{query}"))["items"]]
                self.assertEqual(ids[:3], made[::-1], path + query)

    def test_the_error_that_is_shown(self):
        shown = document.example("错误响应")["error"]
        answer = self.farm.post("/api/tasks", {"task_type": "shell", "executor": "shell", "command": "true"})
        error = self.error(answer, 422, shown["code"], "name", "required", None)
        self.assertEqual(error["details"], shown["details"])
        self.assertTrue(error["message"].startswith(shown["message"]), error["message"])

    def test_the_codes(self):
        spec = Documented().surfaces["scheduler"].document
        self.assertEqual(spec["components"]["schemas"]["ErrorCode"]["enum"], document.words_of("错误代码"))
        answered = {status for path, methods in spec["paths"].items() if path.startswith("/api/")
                    for method in methods if method in ("get", "post", "put", "delete") for status in methods[method]["responses"]}
        self.assertEqual(answered - {"405", "408", "413", "414", "415"}, set(document.words_of("HTTP 状态码")))  # those are HTTP's own


class Events(Contract):
    """Each event of the document's table, in its format."""

    def test_every_event(self):
        types = document.words_of("事件类型")
        farm = self.farm
        with Stream(farm, "?type=" + ",".join(types)) as stream:
            task = farm.task("data_processing")
            self.data(farm.put(f"/api/tasks/{task}", {"priority": "high"}))
            farm.wait_run(farm.trigger(task))
            bad = farm.task("fails", "exit 1")
            farm.wait_run(farm.trigger(bad))
            self.data(farm.delete(f"/api/tasks/{bad}"))
            body = {"hostname": "server-01", "ip_address": "192.168.1.100", "port": 8080, "task_types": ["theirs"]}
            worker = self.data(farm.post("/api/workers", body), 201)["id"]
            self.data(farm.post(f"/api/workers/{worker}/heartbeat"))
            wait_for(lambda: "worker.heartbeat" in stream.types(), what="a heartbeat")
            self.data(farm.delete(f"/api/workers/{worker}"))
            farm.stop("store")
            wait_for(lambda: farm.get("/api/system/health").status == 503, what="an unhealthy farm")
            farm.cont("store")
            farm.wait_ready()
            wait_for(lambda: set(stream.types()) == set(types), 30, "each of them")
            for _, kind, data in list(stream.events):
                self.assertEqual((set(data), data["event"]), ({"event", "timestamp", "data"}, kind))
                self.assertRegex(data["timestamp"], TIME)
                self.assertLessEqual({"task_id", "task_name"} if kind.startswith("task.") else set(), set(data["data"]))
                self.assertEqual("worker_id" in data["data"] or not kind.startswith("worker."), True, data)


if __name__ == "__main__":
    import unittest
    unittest.main()
