"""Workers over REST: /api/workers, and what they report of /api/runs."""

import http.client
import json
import threading
import time

from tests.contract import examples
from tests.contract.base import Contract
from tests.contract.test_auth import bearer, gantry, make_key
from tests.farm import SLOW, wait_for


class RestContract(Contract):
    options = {"workers": 0}
    count = 0

    def register(self, status=201, **fields):
        body = dict({"hostname": "server-01", "ip_address": "192.168.1.100", "port": 8080, "task_types": ["python", "shell"]}, **fields)
        answer = self.farm.post("/api/workers", body)
        return self.data(answer, status) if status == 201 else answer

    def worker(self, kind=None, **fields):
        """A new worker with a type of its own; answers both."""
        RestContract.count += 1
        kind = kind or f"type{RestContract.count}"
        return self.register(task_types=[kind], **fields)["id"], kind

    def submit(self, kind, **fields):
        body = dict({"task_type": kind, "executor": "shell" if kind == "shell" else kind, "command": "true", "retry_count": 0}, **fields)
        return self.data(self.farm.post("/api/runs", body), 201)["run_id"]

    def lease(self, worker, headers=None, **fields):
        return self.data(self.farm.post(f"/api/workers/{worker}/lease", fields, headers=headers))

    def report(self, run, status, **fields):
        return self.farm.post(f"/api/runs/{run['run_id']}/report", dict({"attempt": run["attempt"], "status": status}, **fields))

    def beat(self, worker, **fields):
        return self.data(self.farm.post(f"/api/workers/{worker}/heartbeat", fields))


class Registration(RestContract):
    def test_the_example(self):
        made = self.register(metadata={"rack": 7})
        self.check_shape(made, examples.WORKER_CHANGED, more=examples.WORKER_CHANGED_MORE)
        self.assertEqual((made["max_concurrent_tasks"], made["current_task_count"], made["status"], made["metadata"], made["port"]),
                         (5, 0, "active", {"rack": 7}, 8080))
        self.assertEqual((made["executors"], made["link"]), (["python", "shell"], "rest"))
        got = self.data(self.farm.get(f"/api/workers/{made['id']}"))
        self.check_shape(got, examples.WORKER_DETAIL, more=examples.WORKER_MORE)
        self.assertEqual((got["ip_address"], got["metadata"], got["current_tasks"]), ("192.168.1.100", {"rack": 7}, []))
        self.assertIn(made["id"], [worker["id"] for worker in self.data(self.farm.get("/api/workers"))["items"]])

    def test_a_name_keeps_its_id(self):
        first = self.register(name="kept", boot="b1", labels={"gpu": "yes"}, executors=["mine"], max_concurrent_tasks=2)
        again = self.register(name="kept", boot="b2", max_concurrent_tasks=3)
        self.assertEqual(first["id"], again["id"])
        self.assertEqual((first["labels"], first["executors"], again["labels"], again["max_concurrent_tasks"]),
                         ({"gpu": "yes"}, ["mine"], {}, 3))
        self.assertNotEqual(self.register()["id"], self.register()["id"])

    def test_an_idempotency_key(self):
        body = {"hostname": "h", "ip_address": "10.0.0.1", "port": 1, "task_types": ["x"]}
        first, again = (self.data(self.farm.post("/api/workers", body, headers={"Idempotency-Key": "register-1"}), 201) for _ in range(2))
        self.assertEqual(first, again)

    def test_what_is_refused(self):
        for field in ("hostname", "ip_address", "port", "task_types"):
            self.error(self.register(422, **{field: None}), 422, "VALIDATION_ERROR", field, "required")
        for fields, field, rule in [({"port": 65536}, "port", "range"), ({"port": "80"}, "port", "type"), ({"task_types": []}, "task_types", "items"),
                                    ({"task_types": "shell"}, "task_types", "type"), ({"max_concurrent_tasks": 0}, "max_concurrent_tasks", "range"),
                                    ({"max_concurrent_tasks": 4097}, "max_concurrent_tasks", "range"), ({"metadata": 1}, "metadata", "type"),
                                    ({"labels": {"a": 1}}, "labels.a", "type"), ({"name": "not a name"}, "name", "ident"),
                                    ({"hostname": ""}, "hostname", "required"), ({"hostname": "x" * 256}, "hostname", "length"),
                                    ({"task_types": ["x" * 65]}, "task_types", "length"), ({"metadata": {"a": "x" * 70000}}, "metadata", "length")]:
            with self.subTest(field=field, rule=rule):
                self.error(self.register(422, **fields), 422, "VALIDATION_ERROR", field, rule)
        self.error(self.farm.post("/api/workers", b"{"), 400, "VALIDATION_ERROR", "body")

    def test_unknown_workers(self):
        for name in ("worker-999", "x" * 100, "%E4%B8%AD"):
            with self.subTest(name=name):
                self.error(self.farm.put(f"/api/workers/{name}", {}), 404, "RESOURCE_NOT_FOUND", "id")
                self.error(self.farm.delete(f"/api/workers/{name}"), 404, "RESOURCE_NOT_FOUND", "id")
                self.error(self.farm.post(f"/api/workers/{name}/heartbeat"), 404, "RESOURCE_NOT_FOUND", "id")
                self.error(self.farm.post(f"/api/workers/{name}/lease"), 404, "RESOURCE_NOT_FOUND", "id")


class Changes(RestContract):
    def test_the_example(self):
        worker, _ = self.worker()
        changed = self.data(self.farm.put(f"/api/workers/{worker}", {
            "max_concurrent_tasks": 10, "task_types": ["python", "shell", "http"], "status": "active", "metadata": {"a": 1}}))
        self.check_shape(changed, examples.WORKER_CHANGED, more=examples.WORKER_CHANGED_MORE)
        self.assertEqual((changed["max_concurrent_tasks"], changed["task_types"], changed["status"], changed["metadata"]),
                         (10, ["python", "shell", "http"], "active", {"a": 1}))
        self.assertEqual(self.data(self.farm.put(f"/api/workers/{worker}"))["max_concurrent_tasks"], 10)  # nothing asked, nothing changed

    def test_draining_and_offline(self):
        worker, kind = self.worker()
        first, second = self.submit(kind), self.submit(kind)
        held = self.lease(worker)["runs"]
        self.assertEqual([run["run_id"] for run in held], [first])
        self.assertEqual(self.data(self.farm.put(f"/api/workers/{worker}", {"status": "draining"}))["status"], "draining")
        self.assertEqual(self.lease(worker)["runs"], [])
        self.data(self.report(held[0], "completed"))
        self.data(self.farm.put(f"/api/workers/{worker}", {"status": "active"}))
        held = self.lease(worker)["runs"]
        self.assertEqual([run["run_id"] for run in held], [second])
        self.assertEqual(self.data(self.farm.put(f"/api/workers/{worker}", {"status": "offline"}))["status"], "offline")
        self.assertEqual(self.farm.run(second)["status"], "pending")
        self.error(self.report(held[0], "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.assertEqual(self.data(self.farm.put(f"/api/workers/{worker}", {"status": "active"}))["status"], "active")
        self.assertEqual(self.lease(worker)["runs"][0]["attempt"], 2)

    def test_what_is_refused(self):
        worker, _ = self.worker()
        for fields, field, rule in [({"status": "asleep"}, "status", "enum"), ({"status": 1}, "status", "type"),
                                    ({"max_concurrent_tasks": -1}, "max_concurrent_tasks", "range"), ({"task_types": []}, "task_types", "items"),
                                    ({"metadata": []}, "metadata", "type"), ({"labels": {"a": 1}}, "labels.a", "type")]:
            with self.subTest(field=field):
                self.error(self.farm.put(f"/api/workers/{worker}", fields), 422, "VALIDATION_ERROR", field, rule)

    def test_removed(self):
        worker, kind = self.worker()
        run = self.submit(kind)
        held = self.lease(worker)["runs"][0]
        removed = self.data(self.farm.delete(f"/api/workers/{worker}"))
        self.check_shape(removed, examples.WORKER_REMOVED)
        self.assertEqual((removed["worker_id"], removed["message"]), (worker, "Worker 注销成功"))
        self.error(self.farm.get(f"/api/workers/{worker}"), 404, "RESOURCE_NOT_FOUND")
        self.assertEqual(self.farm.run(run)["status"], "pending")
        self.error(self.report(held, "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        english = self.farm.delete(f"/api/workers/{self.worker()[0]}", headers={"Accept-Language": "en"})
        self.assertEqual(self.data(english)["message"], "Worker unregistered")


class Sessions(RestContract):
    """What may be said over REST of a worker that speaks the worker protocol."""

    options = {"workers": 1, "types": ["shell"]}

    def test_draining(self):
        self.assertEqual(self.data(self.farm.put("/api/workers/worker-001", {"status": "draining", "metadata": {"a": 1}}))["status"], "draining")
        run = self.submit("shell")
        self.assertEqual(self.farm.run(run)["status"], "pending")
        self.farm.restart("worker1")
        wait_for(lambda: self.farm.log("worker1").count("GTY-WORKER-WELCOME") >= 2, what="its being back")
        got = self.data(self.farm.put("/api/workers/worker-001", {"status": "active"}))
        self.assertEqual((got["status"], got["metadata"], got["link"]), ("active", {"a": 1}, "session"))
        self.assertEqual(self.farm.wait_run(run)["status"], "completed")

    def test_what_it_says_itself(self):
        for fields, field in [({"max_concurrent_tasks": 9}, "max_concurrent_tasks"), ({"task_types": ["x"]}, "task_types"),
                              ({"executors": ["x"]}, "executors"), ({"labels": {}}, "labels"), ({"status": "offline"}, "status")]:
            with self.subTest(field=field):
                self.error(self.farm.put("/api/workers/worker-001", fields), 409, "RESOURCE_CONFLICT", field, "link")
        self.error(self.farm.post("/api/workers/worker-001/lease"), 409, "RESOURCE_CONFLICT", "id", "link")
        self.error(self.farm.post("/api/workers/worker-001/heartbeat"), 409, "RESOURCE_CONFLICT", "id", "link")
        self.error(self.farm.delete("/api/workers/worker-001"), 409, "RESOURCE_CONFLICT", "id", "connected")
        run = self.submit("shell", command="sleep 600")
        self.farm.wait_run(run, "running")
        self.error(self.report({"run_id": run, "attempt": 1}, "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.data(self.farm.post(f"/api/runs/{run}/abort"))

    def test_unregistered_by_force(self):
        with self.make_farm() as farm:
            self.assertEqual(farm.delete("/api/workers/worker-001?force=true").status, 200)
            self.assertEqual(farm.delete("/api/workers/worker-001?force=perhaps").status, 400)
            wait_for(lambda: farm.get("/api/workers/worker-002").status == 200, 20, "its coming back as another")
            self.assertEqual(farm.wait_run(farm.trigger(farm.task("t")))["worker_id"], "worker-002")


class Work(RestContract):
    def test_a_run(self):
        worker, kind = self.worker()
        made = self.submit(kind, name="data_processing", command="process_data.py", arguments=["--input"], env={"A": "b"},
                           parameters={"input": "data.csv"})
        leased = self.lease(worker, max=10, wait_seconds=60)
        self.assertEqual(leased["cancel"], [])
        self.check_shape(leased["runs"][0], examples.LEASED)
        run = leased["runs"][0]
        self.assertEqual((run["run_id"], run["attempt"], run["command"], run["arguments"], run["env"], run["parameters"], run["cwd"]),
                         (made, 1, "process_data.py", ["--input"], {"A": "b"}, {"input": "data.csv"}, None))
        self.assertEqual(self.farm.run(made)["status"], "running")
        self.check_shape(self.data(self.report(run, "running", progress=40, logs=["开始处理数据\nzwei", {
            "timestamp": "2024-01-01T00:00:00Z", "level": "warn", "message": "drei", "stream": "stderr"}])), dict(examples.REPORTED, cancel=[]))
        got = self.farm.run(made)
        self.assertEqual((got["progress"], got["worker_id"], got["worker_hostname"]), (40, worker, "server-01"))
        done = self.data(self.report(run, "completed", result="数据处理完成", exit_code=0, logs=["vier"]))
        self.assertEqual(done, {"run_id": made, "attempt": 1, "status": "completed", "cancel": []})
        got = self.farm.run(made)
        self.assertEqual((got["status"], got["result"], got["progress"], got["attempts"][0]["exit_code"], got["attempts"][0]["outcome"]),
                         ("completed", "数据处理完成", 100, 0, "completed"))
        lines = self.data(self.farm.get(f"/api/runs/{made}/logs"))["items"]
        self.assertEqual([(line["seq"], line["level"], line["stream"], line["message"]) for line in lines],
                         [(1, "info", "stdout", "开始处理数据"), (2, "info", "stdout", "zwei"), (3, "warn", "stderr", "drei"), (4, "info", "stdout", "vier")])
        self.assertEqual(lines[2]["timestamp"], "2024-01-01T00:00:00Z")
        statistics = self.data(self.farm.get(f"/api/workers/{worker}"))["statistics"]
        self.assertEqual((statistics["total_tasks_executed"], statistics["successful_tasks"]), (1, 1))

    def publish(self, run, **fields):
        body = {"attempt": run["attempt"], "path": "/out/film.mp4", "temporary": f"/out/.gantry-{run['run_id']}-1.film.mp4", "size": 5,
                "xxh3_128": "99aa06d3014798d86001c324468D497F"}
        return self.farm.post(f"/api/runs/{run['run_id']}/publish", dict(body, **fields))

    def test_an_output(self):
        worker, kind = self.worker(max_concurrent_tasks=3)
        made = self.submit(kind, output="/out/film.mp4", retry_count=3)
        run = self.lease(worker)["runs"][0]
        self.assertEqual((run["output"], run["published"]), ("/out/film.mp4", None))
        grant = {"attempt": 1, "path": "/out/film.mp4", "temporary": f"/out/.gantry-{made}-1.film.mp4", "size": 5,
                 "xxh3_128": "99aa06d3014798d86001c324468d497f"}
        for fields, field, rule in [({"temporary": "/other/film.mp4"}, "temporary", "output_names"), ({"temporary": "out"}, "temporary", "output_names"),
                                    ({"path": ""}, "path", "required"), ({"path": 1}, "path", "type"), ({"size": -1}, "size", "range"),
                                    ({"size": None}, "size", "required"), ({"attempt": 0}, "attempt", "range"), ({"temporary": None}, "temporary", "required"),
                                    ({"xxh3_128": None}, "xxh3_128", "required"), ({"xxh3_128": "99aa"}, "xxh3_128", "format"),
                                    ({"xxh3_128": 5}, "xxh3_128", "type"), ({"xxh3_128": "g" * 32}, "xxh3_128", "format"),
                                    ({"worker_id": 5}, "worker_id", "type"), ({"path": "/" * 5000}, "path", "length")]:
            with self.subTest(field=field, rule=rule):
                self.error(self.publish(run, **fields), 422, "VALIDATION_ERROR", field, rule)
        self.error(self.publish(run, worker_id="worker-999"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.error(self.publish(dict(run, attempt=2)), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.error(self.publish({"run_id": 99999999, "attempt": 1}), 404, "RESOURCE_NOT_FOUND", "id", "not_found")
        self.assertEqual(self.data(self.publish(run, worker_id=worker)), dict(grant, run_id=made))
        self.assertEqual(self.data(self.publish(run)), dict(grant, run_id=made))
        self.error(self.publish(run, size=6), 409, "RESOURCE_CONFLICT", "path", "granted")
        self.error(self.farm.post(f"/api/runs/{made}/abort"), 409, "RESOURCE_CONFLICT", "id", "publishing")
        # Given up, it is another attempt's to look at.
        self.data(self.report(run, "aborted"))
        again = self.lease(worker, wait_seconds=60)["runs"][0]
        self.assertEqual((again["run_id"], again["attempt"], again["published"]), (made, 2, grant))
        self.error(self.publish(run), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.assertEqual(self.data(self.publish(again))["attempt"], 2)
        self.data(self.report(again, "completed"))
        self.assertEqual(self.farm.run(made)["output"], {"path": "/out/film.mp4", "size": 5, "xxh3_128": grant["xxh3_128"]})
        self.error(self.publish(again), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.submit(kind)
        self.error(self.publish(self.lease(worker)["runs"][0]), 422, "VALIDATION_ERROR", "path", "no_output")

    def test_a_failure_is_tried_again(self):
        worker, kind = self.worker()
        made = self.submit(kind, retry_count=1)
        run = self.lease(worker)["runs"][0]
        self.assertEqual(self.data(self.report(run, "failed", error_message="no luck", exit_code=3))["status"], "pending")
        self.assertEqual(self.farm.run(made)["error_message"], "no luck")
        run = self.lease(worker, wait_seconds=60)["runs"][0]
        self.assertEqual(run["attempt"], 2)
        self.assertEqual(self.data(self.report(run, "failed", exit_code=4))["status"], "failed")
        got = self.farm.run(made)
        self.assertEqual((got["error_message"], [a["exit_code"] for a in got["attempts"]]), ("exit code 4", [3, 4]))

    def test_repeats_and_late_reports(self):
        worker, kind = self.worker()
        self.submit(kind)
        run = self.lease(worker)["runs"][0]
        self.error(self.report(dict(run, attempt=2), "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.error(self.report(run, "running", worker_id="worker-999"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.data(self.report(run, "completed"))
        self.data(self.report(run, "completed"))
        for status in ("failed", "running", "aborted"):
            self.error(self.report(run, status), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.assertEqual(self.farm.run(run["run_id"])["status"], "completed")
        self.error(self.report({"run_id": 99999999, "attempt": 1}, "completed"), 404, "RESOURCE_NOT_FOUND", "id")

    def test_the_repeat_of_a_lease(self):
        worker, kind = self.worker(max_concurrent_tasks=3)
        runs = [self.submit(kind) for _ in range(3)]
        key = {"Idempotency-Key": f"lease-{worker}"}
        first = self.lease(worker, max=2, headers=key)
        self.assertEqual([run["run_id"] for run in first["runs"]], runs[:2])
        self.assertEqual(self.lease(worker, max=2, headers=key), first)
        self.data(self.report(first["runs"][0], "completed"))
        self.assertEqual(self.lease(worker, max=2, headers=key)["runs"], first["runs"][1:])
        self.error(self.farm.post(f"/api/workers/{worker}/lease", {"max": 1}, headers=key), 422, "VALIDATION_ERROR", "Idempotency-Key")

    def test_room(self):
        worker, kind = self.worker(max_concurrent_tasks=2)
        for _ in range(3):
            self.submit(kind)
        self.assertEqual(len(self.lease(worker, max=1000)["runs"]), 2)
        self.assertEqual(self.lease(worker, max=1000)["runs"], [])
        self.assertEqual(self.data(self.farm.get(f"/api/workers/{worker}"))["current_task_count"], 2)

    def test_waiting(self):
        worker, kind = self.worker()
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.lease(worker, wait_seconds=60)))
        waiter.start()
        made = self.submit(kind)
        waiter.join(120 * SLOW)
        self.assertEqual([run["run_id"] for run in got[0]["runs"]], [made])
        began = time.monotonic()
        self.assertEqual(self.lease(worker, wait_seconds=0.3)["runs"], [])
        self.assertGreaterEqual(time.monotonic() - began, 0.298)  # to a millisecond at either end

    def test_a_newer_question_ends_an_older_one(self):
        worker, _ = self.worker()
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.lease(worker, wait_seconds=60)), daemon=True)
        waiter.start()
        wait_for(lambda: self.lease(worker) and got, 20, "the end of the older question")
        self.assertEqual(got[0]["runs"], [])

    def test_an_abort(self):
        worker, kind = self.worker()
        made, other = self.submit(kind), self.submit(kind)
        first, second = self.lease(worker, max=2)["runs"]
        self.beat(worker, current_tasks=[made, other])
        self.data(self.farm.post(f"/api/runs/{made}/abort"))
        self.assertEqual(self.beat(worker, current_tasks=[made, {"run_id": other, "attempt": 1}])["cancel"], [made])
        self.assertEqual(self.data(self.report(second, "running"))["cancel"], [made])
        self.assertEqual(self.lease(worker)["cancel"], [made])
        self.assertEqual(self.data(self.report(first, "aborted"))["status"], "aborted")
        self.assertEqual(self.beat(worker, current_tasks=[other])["cancel"], [])
        self.assertEqual(self.farm.run(made)["status"], "aborted")
        self.data(self.farm.post(f"/api/runs/{other}/abort"))
        self.error(self.report(second, "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        self.assertEqual(self.farm.run(other)["status"], "aborted")

    def test_what_a_report_must_be(self):
        worker, kind = self.worker()
        self.submit(kind)
        run = self.lease(worker)["runs"][0]
        path = f"/api/runs/{run['run_id']}/report"
        self.error(self.farm.post(path, {"status": "running"}), 422, "VALIDATION_ERROR", "attempt", "required")
        self.error(self.farm.post(path, {"attempt": 1}), 422, "VALIDATION_ERROR", "status", "required")
        for fields, field, rule in [({"attempt": 0}, "attempt", "range"), ({"attempt": "1"}, "attempt", "type"), ({"status": "pending"}, "status", "enum"),
                                    ({"status": 3}, "status", "type"), ({"progress": 101}, "progress", "range"), ({"progress": "1"}, "progress", "type"),
                                    ({"exit_code": 256}, "exit_code", "range"), ({"result": "x" * 70000}, "result", "length"), ({"result": 1}, "result", "type"),
                                    ({"error_message": "x" * 5000}, "error_message", "length"), ({"logs": "x"}, "logs", "type"),
                                    ({"logs": [1]}, "logs", "type"), ({"logs": ["x"] * 4097}, "logs", "items"), ({"logs": ["x\n" * 4097]}, "logs", "items"),
                                    ({"logs": [{}]}, "logs[].message", "required"), ({"logs": [{"message": 1}]}, "logs[].message", "type"),
                                    ({"logs": [{"message": "x", "level": "loud"}]}, "logs[].level", "enum"),
                                    ({"logs": [{"message": "x", "stream": 1}]}, "logs[].stream", "enum"),
                                    ({"logs": [{"message": "x", "timestamp": "noon"}]}, "logs[].timestamp", "format")]:
            with self.subTest(field=field, rule=rule):
                self.error(self.farm.post(path, dict({"attempt": 1, "status": "running"}, **fields)), 422, "VALIDATION_ERROR", field, rule)
        self.error(self.farm.post("/api/runs/0/report", {"attempt": 1, "status": "running"}), 400, "VALIDATION_ERROR", "id")
        self.data(self.report(run, "running", logs=["x" * 20000, ""]))
        lines = self.data(self.farm.get(f"/api/runs/{run['run_id']}/logs"))["items"]
        self.assertEqual([len(line["message"]) for line in lines], [16384, 0])

    def test_what_a_lease_must_be(self):
        worker, _ = self.worker()
        for fields, field, rule in [({"max": 0}, "max", "range"), ({"max": 1001}, "max", "range"), ({"max": "1"}, "max", "type"),
                                    ({"wait_seconds": 61}, "wait_seconds", "range"), ({"wait_seconds": -1}, "wait_seconds", "range"),
                                    ({"wait_seconds": "1"}, "wait_seconds", "type")]:
            with self.subTest(field=field, rule=rule):
                self.error(self.farm.post(f"/api/workers/{worker}/lease", fields), 422, "VALIDATION_ERROR", field, rule)
        self.assertEqual(self.data(self.farm.post(f"/api/workers/{worker}/lease")), {"runs": [], "cancel": []})

    def test_a_heartbeat(self):
        worker, _ = self.worker()
        beat = self.beat(worker, current_task_count=0, load_average=0.4, memory_usage=512, cpu_usage=25.5, current_tasks=[], metadata={"a": 1})
        self.check_shape(beat, examples.HEARTBEAT, more=examples.HEARTBEAT_MORE)
        self.assertEqual((beat["worker_id"], beat["status"], beat["message"], beat["cancel"], beat["heartbeat_seconds"]),
                         (worker, "active", "心跳接收成功", [], 5))
        got = self.data(self.farm.get(f"/api/workers/{worker}"))
        self.assertEqual((got["load_average"], got["memory_usage"], got["cpu_usage"], got["metadata"]), (0.4, 512, 25.5, {"a": 1}))
        self.assertEqual(self.beat(worker, current_tasks=[123456])["cancel"], [123456])  # not its own
        for fields, field, rule in [({"current_tasks": 1}, "current_tasks", "type"), ({"current_tasks": ["x"]}, "current_tasks", "type"),
                                    ({"current_tasks": [0]}, "current_tasks", "range"), ({"current_tasks": [1] * 4097}, "current_tasks", "items"),
                                    ({"current_tasks": [{"run_id": 1, "attempt": 0}]}, "current_tasks", "range"),
                                    ({"load_average": "x"}, "load_average", "type"), ({"memory_usage": -1}, "memory_usage", "range"),
                                    ({"metadata": 1}, "metadata", "type")]:
            with self.subTest(field=field, rule=rule):
                self.error(self.farm.post(f"/api/workers/{worker}/heartbeat", fields), 422, "VALIDATION_ERROR", field, rule)

    def test_the_key_of_a_heartbeat(self):
        worker, _ = self.worker()
        path = f"/api/workers/{worker}/heartbeat"

        def beat(key, load, metadata=None, status=200):
            body = dict({"load_average": load, "current_tasks": []}, **({"metadata": metadata} if metadata else {}))
            answer = self.farm.post(path, body, headers={"Idempotency-Key": key})
            return self.data(answer) if status == 200 else answer

        def seen():
            got = self.data(self.farm.get(f"/api/workers/{worker}"))
            return got["load_average"], got["metadata"]

        first = beat("beat-1", 1.0)
        wait_for(lambda: self.beat(worker)["last_heartbeat"] != first["last_heartbeat"], what="the next second")
        beat("beat-2", 2.0)
        self.assertEqual(beat("beat-1", 1.0), first)
        self.assertEqual(seen(), (2.0, {}))
        self.error(beat("beat-1", 3.0, status=422), 422, "VALIDATION_ERROR", "Idempotency-Key", "key_reused")
        self.assertEqual(seen()[0], 2.0)
        # What was written is remembered as any write, over a restart of the scheduler; what was not is forgotten together with its key.
        written = beat("beat-3", 3.0, {"n": 3})
        beat("beat-4", 4.0, {"n": 4})
        unknown = self.farm.post("/api/workers/worker-999/heartbeat", {}, headers={"Idempotency-Key": "beat-5"})
        self.error(unknown, 404, "RESOURCE_NOT_FOUND", "id")
        self.farm.restart("scheduler")
        wait_for(lambda: self.farm.post(path, {}).status == 200, what="the scheduler being back")
        self.assertEqual(beat("beat-3", 3.0, {"n": 3}), written)
        self.assertEqual(seen(), (0, {"n": 4}))
        self.error(beat("beat-3", 5.0, status=422), 422, "VALIDATION_ERROR", "Idempotency-Key", "key_reused")
        again = beat("beat-1", 1.0)
        self.assertNotEqual(again["last_heartbeat"], first["last_heartbeat"])
        self.assertEqual((again["worker_id"], seen()), (worker, (1.0, {"n": 4})))
        self.error(self.farm.post(path, {}, headers={"Idempotency-Key": "x" * 256}), 400, "VALIDATION_ERROR", "Idempotency-Key")

    def test_executors_that_only_they_know(self):
        body = {"task_type": "nobodys", "executor": "unheard-of", "command": "x"}
        self.error(self.farm.post("/api/runs", body), 422, "VALIDATION_ERROR", "executor", "unknown_executor")
        worker, kind = self.worker()
        made = self.submit(kind, executor="unheard-of")
        self.assertEqual([run["run_id"] for run in self.lease(worker)["runs"]], [made])
        foreign = self.submit(kind, executor="http", command="http://localhost/")
        self.assertEqual(self.lease(worker)["runs"], [])
        self.assertEqual(self.farm.run(foreign)["reason"], f"no worker of type {kind} has executor http")


class Limits(RestContract):
    options = {"workers": 0, "http_connections": 6}

    def test_so_many_may_wait(self):
        worker, kind = self.worker()
        others = [self.worker()[0] for _ in range(3)]
        answers = []

        def wait(name):
            answer = None
            while not answer or answer.status == 429:
                answer = self.farm.post(f"/api/workers/{name}/lease", {"wait_seconds": 30})
            answers.append(answer)

        waiting = [threading.Thread(target=wait, args=(name,)) for name in others]
        for thread in waiting:
            thread.start()

        def full():
            answer = self.farm.post(f"/api/workers/{worker}/lease", {"wait_seconds": 0.01})
            return answer if answer.status == 429 else None

        self.error(wait_for(full, 20, "too many that wait"), 429, "SYSTEM_ERROR")
        self.assertEqual(self.lease(worker)["runs"], [])  # one that does not wait is let in
        for name in others:
            self.data(self.farm.delete(f"/api/workers/{name}"))
        for thread in waiting:
            thread.join(120 * SLOW)
        self.assertEqual(len(answers), 3)
        for answer in answers:  # there is nobody any more to wait for
            self.error(answer, 404, "RESOURCE_NOT_FOUND", "id")


class Unheard(RestContract):
    """A lease has to be heard of within a second."""

    options = {"workers": 0, "lease_accept_seconds": 1}

    def test_what_is_not_heard_of_goes_back(self):
        worker, kind = self.worker()
        made = self.submit(kind)
        run = self.lease(worker)["runs"][0]

        def back():
            self.beat(worker)
            return self.farm.run(made)["status"] == "pending"

        wait_for(back, 20, "its going back")
        got = self.farm.run(made)
        self.assertEqual((got["retry_count"], got["attempts"][0]["outcome"]), (0, "returned"))
        self.error(self.report(run, "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")

    def test_a_client_that_leaves_while_it_waits(self):
        worker, kind = self.worker()
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW)
        connection.request("POST", f"/api/workers/{worker}/lease", json.dumps({"wait_seconds": 60}), {"Content-Type": "application/json"})
        connection.close()
        made = self.submit(kind)

        def done():  # whoever asks next gets it, at once or when an answer that nobody took, or was told of too late, has gone back
            for run in self.lease(worker, wait_seconds=1)["runs"]:
                self.assertIn(self.report(run, "completed").status, (200, 409))
            return self.farm.run(made)["status"] == "completed"

        wait_for(done, what="the run's end")
        self.assertEqual(self.farm.run(made)["retry_count"], 0)


class Silent(RestContract):
    options = {"workers": 0, "lease_seconds": 3, "lease_heartbeat_ms": 500}

    def taken(self, worker, kind):
        """A run of this worker that it told of in time; a machine may stand still for more than its three seconds."""
        def take():
            self.submit(kind)
            return next((run for run in self.lease(worker)["runs"] if self.report(run, "running").status == 200), None)

        return wait_for(take, what="a run that it has")

    def test_one_that_falls_silent(self):
        worker, kind = self.worker()
        run = self.taken(worker, kind)
        made = run["run_id"]
        wait_for(lambda: self.data(self.farm.get(f"/api/workers/{worker}"))["status"] == "offline", what="its being offline")
        wait_for(lambda: self.farm.run(made)["status"] == "pending", what="its run's waiting again")
        self.error(self.report(run, "completed"), 409, "RESOURCE_CONFLICT", "attempt", "stale")
        beat = self.beat(worker, current_tasks=[made])
        self.assertEqual((beat["status"], beat["cancel"]), ("active", [made]))
        again = wait_for(lambda: [one for one in self.lease(worker, max=5, wait_seconds=1)["runs"] if one["run_id"] == made], what="its next attempt")[0]
        self.assertEqual(again["attempt"], run["attempt"] + 1)


class Failures(RestContract):
    options = {"workers": 0, "lease_losses": 1}

    def test_whose_fault_it_is(self):
        worker, kind = self.worker()
        fields = {"task_type": kind, "executor": kind, "command": "x", "retry_count": 0}
        fails = self.farm.task("fails", **fields)
        behind = self.farm.task("behind", dependencies=[fails], **fields)
        good, bad, waits = self.submit(kind), self.farm.trigger(fails), self.submit(kind, delay_seconds=3600)
        for run in self.lease(worker, max=2)["runs"]:
            self.data(self.report(run, "completed" if run["run_id"] == good else "failed"))
        self.assertEqual([(self.farm.run(run)["status"], self.farm.run(run)["error_code"]) for run in (good, bad, waits)],
                         [("completed", None), ("failed", "TASK_ERROR"), ("pending", None)])
        self.assertEqual(self.farm.wait_run(self.farm.trigger(behind))["error_code"], "TASK_ERROR")


class Losses(RestContract):
    options = {"workers": 0, "lease_losses": 1, "lease_seconds": 2, "lease_heartbeat_ms": 500}

    def test_a_run_whose_worker_is_lost(self):
        worker, kind = self.worker()
        lost = self.submit(kind)
        self.report(self.lease(worker)["runs"][0], "running")  # and is not heard of again, if it was in time for this
        got = self.farm.wait_run(lost)
        self.assertEqual((got["status"], got["error_code"], got["attempts"][0]["outcome"]), ("failed", "WORKER_ERROR", "lost"))


class Roles(Contract):
    options = {"workers": 0, "auth_required": "always", "log_level": "debug"}

    @classmethod
    def setUpClass(cls):
        cls.options = dict(cls.options, start=False)
        super().setUpClass()
        cls.keys = {}
        for name, role in [("admin", "admin"), ("user", "user"), ("reader", "readonly"), ("one", "worker"), ("two", "worker")]:
            cls.keys[name] = make_key(cls.farm, name, role)
        cls.farm.headers = bearer(cls.keys["admin"])
        cls.farm.start_all()

    def as_(self, name):
        return bearer(self.keys[name])

    def test_who_may(self):
        body = {"hostname": "h", "ip_address": "10.0.0.1", "port": 1, "task_types": ["x"], "name": "owned"}
        for who in ("user", "reader"):
            self.error(self.farm.post("/api/workers", body, headers=self.as_(who)), 403, "AUTHORIZATION_ERROR", "role")
        worker = self.data(self.farm.post("/api/workers", body, headers=self.as_("one")), 201)["id"]
        made = self.data(self.farm.post("/api/runs", {"task_type": "x", "executor": "x", "command": "c"}, headers=self.as_("user")), 201)["run_id"]
        for who in ("user", "reader"):
            for path in (f"/api/workers/{worker}/lease", f"/api/workers/{worker}/heartbeat", f"/api/runs/{made}/report"):
                self.error(self.farm.post(path, {}, headers=self.as_(who)), 403, "AUTHORIZATION_ERROR", "role")
        self.error(self.farm.post(f"/api/workers/{worker}/lease", {}, headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "id", "owner")
        self.error(self.farm.post(f"/api/workers/{worker}/heartbeat", {}, headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "id", "owner")
        self.error(self.farm.put(f"/api/workers/{worker}", {}, headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "id", "owner")
        self.error(self.farm.delete(f"/api/workers/{worker}", headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "id", "owner")
        self.error(self.farm.post("/api/workers", body, headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "name", "owner")
        run = self.data(self.farm.post(f"/api/workers/{worker}/lease", {}, headers=self.as_("one")))["runs"][0]
        report = {"attempt": run["attempt"], "status": "completed"}
        self.error(self.farm.post(f"/api/runs/{made}/report", report, headers=self.as_("two")), 403, "AUTHORIZATION_ERROR", "id", "owner")
        self.data(self.farm.post(f"/api/runs/{made}/report", report, headers=self.as_("one")))
        self.data(self.farm.put(f"/api/workers/{worker}", {"status": "draining"}))  # an admin may

    def test_a_revoked_key_waits_for_nothing(self):
        """It was let in when it began to wait: a run that comes meanwhile is not for it."""
        key = make_key(self.farm, "gone", "worker")
        body = {"hostname": "h", "ip_address": "10.0.0.1", "port": 1, "task_types": ["y"]}
        wait_for(lambda: self.farm.get("/api/system/health", headers=bearer(key)).status == 200, what="a new key being seen")
        worker = self.data(self.farm.post("/api/workers", body, headers=bearer(key)), 201)["id"]
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            self.farm.post(f"/api/workers/{worker}/lease", {"wait_seconds": 60}, headers=bearer(key), timeout=180)))
        thread.start()
        wait_for(lambda: "GTY-POLL" in self.farm.log("scheduler") and f"worker={worker}" in self.farm.log("scheduler").rsplit("GTY-POLL", 1)[1],
                 what="its waiting")
        gantry(self.farm, "key", "revoke", "gone")
        thread.join(200 * SLOW)
        self.error(answers[0], 401, "AUTHENTICATION_ERROR", "Authorization")  # after its whole minute it would be told that there are no runs
        self.assertTrue(answers[0].headers["www-authenticate"])


if __name__ == "__main__":
    import unittest

    unittest.main()
