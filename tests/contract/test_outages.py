"""A component that is away, frozen or restarted: what callers hear, and that keys make repeats safe."""

import contextlib
import signal
import threading
import time

from tests.contract.base import PATIENT, Contract
from tests.farm import Farm, wait_for
from tests.render_client import upload


class Keys(Contract):
    def post(self, path, body, key, **headers):
        return self.farm.post(path, body, headers=dict({"Idempotency-Key": key}, **headers))

    def test_a_repeat_answers_the_first_answer(self):
        task = self.farm.task("repeated")
        first = self.data(self.post(f"/api/tasks/{task}/trigger", {"parameters": {"a": 1}}, "key-1"), 201)
        self.farm.wait_run(first["run_id"])
        for _ in range(3):
            self.assertEqual(self.data(self.post(f"/api/tasks/{task}/trigger", {"parameters": {"a": 1}}, "key-1"), 201), first)
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], 1)

    def test_another_body_is_refused(self):
        task = self.farm.task("other body")
        self.data(self.post(f"/api/tasks/{task}/trigger", {"parameters": {"a": 1}}, "key-2"), 201)
        self.error(self.post(f"/api/tasks/{task}/trigger", {"parameters": {"a": 2}}, "key-2"), 422, "VALIDATION_ERROR", "Idempotency-Key",
                   "key_reused")
        # The scope of a key is method and path.
        other = self.farm.task("other path")
        self.data(self.post(f"/api/tasks/{other}/trigger", {"parameters": {"a": 2}}, "key-2"), 201)

    def test_refusals_are_remembered_too(self):
        body = {"name": "key-made", "task_type": "shell", "executor": "shell", "command": "true"}
        made = self.data(self.post("/api/tasks", body, "key-3"), 201)
        self.assertEqual(self.data(self.post("/api/tasks", body, "key-3"), 201), made)
        self.error(self.post("/api/tasks", body, "key-4"), 409, "RESOURCE_CONFLICT", "name", "unique")
        self.data(self.farm.delete(f"/api/tasks/{made['id']}"))
        self.error(self.post("/api/tasks", body, "key-4"), 409, "RESOURCE_CONFLICT", "name", "unique")

    def test_every_write_takes_a_key(self):
        task = self.farm.task("keyed")
        key = {"Idempotency-Key": "key-5"}
        first = self.farm.put(f"/api/tasks/{task}", {"priority": "high"}, headers=key)
        self.assertEqual(self.data(self.farm.put(f"/api/tasks/{task}", {"priority": "high"}, headers=key)), self.data(first))
        self.data(self.farm.delete(f"/api/tasks/{task}", headers=key))
        self.data(self.farm.delete(f"/api/tasks/{task}", headers=key))  # not a 404: it is the same deletion

    def test_items_of_a_batch_have_keys(self):
        task = self.farm.task("batch keys")
        path = f"/api/tasks/{task}/trigger-batch"
        first = self.data(self.farm.post(path, {"items": [{"idempotency_key": "a"}, {"idempotency_key": "b"}]}), 201)["run_ids"]
        second = self.data(self.farm.post(path, {"items": [{"idempotency_key": "b"}, {}]}), 201)["run_ids"]
        self.assertEqual(second[0], first[1])
        self.assertNotIn(second[1], first)

    def test_concurrent_repeats_do_it_once(self):
        task = self.farm.task("raced")
        answers = [None] * 16

        def ask(index):
            answers[index] = self.post(f"/api/tasks/{task}/trigger", {}, "key-6")

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(answers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({self.data(answer, 201)["run_id"] for answer in answers}, {self.data(answers[0], 201)["run_id"]})
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], 1)

    def test_keys_outlive_every_process(self):
        task = self.farm.task("kept key")
        first = self.data(self.post(f"/api/tasks/{task}/trigger", {}, "key-7"), 201)
        for name in ("gateway", "scheduler", "store"):
            self.farm.kill(name)
        for name in ("gateway", "scheduler", "store"):
            self.farm.start(name)
        self.farm.wait_ready()
        self.assertEqual(self.data(self.post(f"/api/tasks/{task}/trigger", {}, "key-7"), 201), first)


class Outages(Contract):
    """Each test puts back what it took away."""

    spec = {"task_type": "shell", "executor": "shell", "command": "true"}

    def tearDown(self):
        for name in ("store", "scheduler", "gateway"):
            if not self.farm.running(name):
                self.farm.start(name)
            else:
                self.farm.cont(name)
        self.farm.wait_ready()


class Away(Outages):
    options = {"bus_deadline_ms": 30000}  # who is away is waited for no longer than nine seconds

    def down(self, name):
        """Killed, and seen to be away for so long that nobody waits for it any more."""
        self.farm.kill(name)

        def refused_at_once():
            began = time.monotonic()
            self.farm.get("/api/tasks" if name == "store" else "/api/workers")
            return time.monotonic() - began < 1

        wait_for(refused_at_once, what=f"the gateway giving up on the {name}")

    def test_scheduler_away(self):
        task = self.farm.task("read me")
        self.down("scheduler")
        for answer in (self.farm.post("/api/tasks", dict(self.spec, name="never")), self.farm.post(f"/api/tasks/{task}/trigger"),
                       self.farm.delete(f"/api/tasks/{task}"), self.farm.get("/api/workers"), self.farm.get("/api/workers/worker-001")):
            self.error(answer, 503, "MESSAGE_QUEUE_ERROR")
        english = self.farm.post(f"/api/tasks/{task}/trigger", headers={"Accept-Language": "en"})
        self.assertIn("nothing has changed", self.error(english, 503, "MESSAGE_QUEUE_ERROR")["message"])
        # Reading goes on.
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{task}"))["name"], "read me")
        self.data(self.farm.get("/api/runs"))

        def of_the_store():  # a store that stands still for a moment is not healthy either
            answer = self.farm.get("/api/system/health")
            return answer if self.data(answer, 503)["components"]["database"]["status"] == "healthy" else None

        health = wait_for(of_the_store, what="a store that is healthy")
        data = health.body["data"]
        self.assertEqual(data["status"], "unhealthy")
        self.assertEqual((data["components"]["scheduler"]["status"], data["components"]["message_queue"]["status"]), ("unhealthy", "unhealthy"))
        self.assertIn("retry-after", health.headers)
        self.assertIn("无法写入", self.farm.get("/").body)
        self.farm.start("scheduler")
        wait_for(lambda: self.farm.post("/api/tasks", dict(self.spec, name="afterwards")).status in (201, 409), what="writes going on")

    def test_store_away(self):
        self.assertEqual(upload(self.farm.port, b"a scene", path="x.blend").status, 201)
        body = {"unionid": "user123", "oss_file_path": "x.blend", "render_engine": "blender"}
        task = self.farm.data_of(self.farm.post("/render/api/tasks", body))["id"]
        self.down("store")
        for method, path, given in (("GET", "", None), ("GET", f"/{task}", None), ("GET", f"/{task}/status", None), ("GET", f"/{task}/frames", None), ("GET", f"/{task}/frames/1", None),
                                    ("POST", "", body), ("POST", f"/{task}/pause", None), ("POST", "/batch-status", {"task_ids": [task]})):
            self.render_away(self.farm.request(method, f"/render/api/tasks{path}", given))
        self.error(self.farm.get("/api/tasks"), 503, "DATABASE_ERROR")
        self.error(self.farm.get("/api/runs/1"), 503, "DATABASE_ERROR")
        self.error(self.farm.post("/api/tasks", dict(self.spec, name="not stored")), 503, "DATABASE_ERROR")
        data = self.data(self.farm.get("/api/system/health"), 503)
        self.assertEqual((data["status"], data["components"]["database"]["status"]), ("unhealthy", "unhealthy"))
        self.data(self.farm.get("/api/workers"))  # the scheduler answers by itself
        self.farm.start("store")
        self.farm.wait_ready()
        names = [item["name"] for item in self.data(self.farm.get("/api/tasks?size=1000"))["items"]]
        self.assertNotIn("twice", names)
        self.assertEqual(self.farm.data_of(self.farm.get(f"/render/api/tasks/{task}/status"))["status"], "queued")

    def render_away(self, answer):
        """As the render surface says it."""
        self.assertEqual((answer.status, answer.body["code"], answer.body["error_code"]), (503, 5001, 5001), answer)
        self.assertTrue(answer.body["message"] and answer.body["detail"])
        self.assertRegex(answer.headers["retry-after"], r"^\d+$")

    def test_a_short_restart_is_waited_for(self):
        task = self.farm.task("patient")
        for name in ("scheduler", "store", "gateway"):
            self.farm.kill(name)
            self.farm.start(name)
            if name == "gateway":
                self.farm.wait_ready()
            wait_for(lambda: self.farm.post(f"/api/tasks/{task}/trigger").status == 201, what=f"a trigger after the {name} was restarted")

    def test_a_store_away_for_long_is_not_waited_for(self):
        task = self.farm.task("impatient")
        self.farm.kill("store")

        def refused_at_once():
            began = time.monotonic()
            answer = self.farm.post(f"/api/tasks/{task}/trigger")
            self.error(answer, 503, "DATABASE_ERROR")
            return time.monotonic() - began < 1

        wait_for(refused_at_once, what="the gateway giving up on the store")

    def test_request_ids_reach_every_process(self):
        self.farm.settings["log_level"] = "debug"
        for name in ("scheduler", "gateway"):
            self.farm.terminate(name)
            self.farm.start(name)
        self.farm.wait_ready()
        self.farm.post("/api/tasks", dict(self.spec, name="traced"), headers={"X-Request-Id": "follow-me-1"})
        for name in ("gateway",):
            wait_for(lambda: "req=follow-me-1" in self.farm.log(name), what=f"the request id in the log of the {name}")


class Frozen(Outages):
    """The gateway is patient but for as long as somebody is frozen."""

    @classmethod
    def make_farm(cls, **more):
        farm = Farm(start=False, **{name: value for name, value in PATIENT.items() if name != "bus_deadline_ms"})
        cls.config = farm.data / "gantry.conf"
        cls.config.write_text(f"bus.deadline_ms = {PATIENT['bus_deadline_ms']}\n")
        farm.autostart = True
        return farm

    @contextlib.contextmanager
    def frozen(self, name):
        self.farm.stop(name)
        self.waits(1500)
        try:
            yield
        finally:
            self.waits(PATIENT["bus_deadline_ms"])
            self.farm.cont(name)

    def waits(self, milliseconds):
        reloads = self.farm.log("gateway").count("GTY-SETTINGS-RELOAD changed=")
        self.config.write_text(f"bus.deadline_ms = {milliseconds}\n")
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: self.farm.log("gateway").count("GTY-SETTINGS-RELOAD changed=") > reloads, what="the new deadline")

    def test_frozen_scheduler(self):
        task = self.farm.task("frozen")
        with self.frozen("scheduler"):
            self.check_frozen_scheduler(task)

        def triggered():
            again = self.farm.post(f"/api/tasks/{task}/trigger", {}, headers={"Idempotency-Key": "frozen-1"})
            return again.status == 201

        wait_for(triggered, what="the answer to the same key")
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], 1)

    def check_frozen_scheduler(self, task):
        answer = self.farm.post(f"/api/tasks/{task}/trigger", {}, headers={"Idempotency-Key": "frozen-1", "Accept-Language": "en"})
        error = self.error(answer, 503, "MESSAGE_QUEUE_ERROR")
        self.assertIn("outcome is unknown", error["message"])

        def soon():
            began = time.monotonic()
            self.assertEqual(self.data(self.farm.get("/api/system/health"), 503)["components"]["scheduler"]["status"], "unhealthy")
            return time.monotonic() - began < 3

        wait_for(soon, what="a state of health that does not wait for whoever is frozen")
        self.assertEqual(self.farm.get("/").status, 200)

    def test_frozen_store(self):
        task = self.farm.task("frozen too")

        def not_stored():  # the scheduler is asked who it waits for, and may stand still just then
            answer = self.farm.post(f"/api/tasks/{task}/trigger", {}, headers={"Idempotency-Key": "frozen-2", "Accept-Language": "en"})
            self.assertEqual(answer.status, 503)
            return answer if answer.body["error"]["code"] == "DATABASE_ERROR" else None

        with self.frozen("store"):
            self.error(self.farm.get("/api/tasks"), 503, "DATABASE_ERROR")
            self.assertIn("unknown", self.error(wait_for(not_stored, what="a word of the store"), 503, "DATABASE_ERROR")["message"])
        wait_for(lambda: self.farm.post(f"/api/tasks/{task}/trigger", {}, headers={"Idempotency-Key": "frozen-2"}).status == 201,
                 what="the answer to the same key")
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], 1)


class Restarts(Contract):
    """Clients that write all the time, without keys of their own, while processes are restarted: none of them sees it."""

    def restarted(self, name, how):
        task = self.farm.task(f"{name} {how}")
        stop = threading.Event()
        answers = []

        def write():
            while not stop.is_set():
                answers.append(self.farm.post(f"/api/tasks/{task}/trigger"))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                seen = len(answers)
                if how == "killed":
                    self.farm.kill(name)
                else:
                    self.farm.terminate(name)
                self.farm.start(name)
                wait_for(lambda: len(answers) >= seen + 8, what="writes going on")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual({answer.status for answer in answers}, {201}, [a for a in answers if a.status != 201][:3])
        self.assertEqual(len({self.data(answer, 201)["run_id"] for answer in answers}), len(answers))
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], len(answers))

    def test_store_killed(self):
        self.restarted("store", "killed")

    def test_store_stopped(self):
        self.restarted("store", "stopped")

    def test_scheduler_killed(self):
        self.restarted("scheduler", "killed")

    def test_scheduler_stopped(self):
        self.restarted("scheduler", "stopped")


if __name__ == "__main__":
    import unittest
    unittest.main()
