"""/api/system/audit and `gantry audit`: who wrote what."""

import getpass
import json
import re
import subprocess
import tempfile

from tests.contract.base import TIME
from tests.contract.test_auth import SPEC, Asked, bearer, gantry, make_key
from tests.contract.base import Contract
from tests.farm import BUILD, SLOW, clean_environment, wait_for

LINE = {"id": 1, "timestamp": "2024-01-01T00:00:00Z", "who": "admin-key", "kind": "key", "address": "127.0.0.1", "method": "POST",
        "path": "/api/tasks", "outcome": "done", "target_id": 1, "request_id": "r"}


class Audit(Asked):
    def lines(self, query="", status=200):
        return self.data(self.farm.get("/api/system/audit" + query), status)

    def test_a_line_for_each_write(self):
        task = self.data(self.farm.post("/api/tasks", dict(SPEC, name="audited", command="echo secret-word")), 201)["id"]
        answer = self.farm.post(f"/api/tasks/{task}/trigger?verbose=1", {}, headers={"X-Request-Id": "my-request"})
        run = self.data(answer, 201)["run_id"]
        page = self.lines("?size=2")
        self.check_shape(page["items"], [LINE])
        trigger, create = page["items"]
        self.assertEqual((trigger["path"], trigger["target_id"], trigger["request_id"]),
                         (f"/api/tasks/{task}/trigger", run, "my-request"))
        self.assertEqual((create["who"], create["kind"], create["method"], create["path"], create["outcome"], create["target_id"]),
                         ("admin-key", "key", "POST", "/api/tasks", "done", task))
        self.assertEqual(create["address"], "127.0.0.1")
        self.assertRegex(create["timestamp"], TIME)
        self.assertNotIn("secret-word", json.dumps(page))
        self.farm.wait_run(run)

    def test_refusals(self):
        self.error(self.farm.post("/api/tasks/999999/pause"), 404, "RESOURCE_NOT_FOUND")
        newest = self.lines("?size=1")["items"][0]
        self.assertEqual((newest["path"], newest["outcome"], newest["target_id"]), ("/api/tasks/999999/pause", "not_found", None))

    def test_a_repeat_has_no_line_of_its_own(self):
        for _ in range(2):
            self.data(self.farm.post("/api/tasks", dict(SPEC, name="repeated"), headers={"Idempotency-Key": "audit-1"}), 201)
        total = self.lines("?path=/api/tasks")["total"]
        self.data(self.farm.post("/api/tasks", dict(SPEC, name="repeated"), headers={"Idempotency-Key": "audit-1"}), 201)
        self.assertEqual(self.lines("?path=/api/tasks")["total"], total)

    def test_filters(self):
        user = bearer(self.keys["user"])
        made = self.farm.post("/api/tasks", dict(SPEC, name="by a user"), headers=user)
        task = self.data(made, 201)["id"]
        self.data(self.farm.put(f"/api/tasks/{task}", {"description": "d"}, headers=user))
        self.data(self.farm.delete(f"/api/tasks/{task}"))
        mine = self.lines(f"?path=/api/tasks/{task}")["items"]
        self.assertEqual([(line["method"], line["who"]) for line in mine], [("DELETE", "admin-key"), ("PUT", "user-key")])
        self.assertEqual([line["method"] for line in self.lines(f"?path=/api/tasks/{task}&who=user-key")["items"]], ["PUT"])
        self.assertEqual([line["who"] for line in self.lines(f"?path=/api/tasks/{task}&method=DELETE")["items"]], ["admin-key"])
        self.assertEqual(self.lines("?who=nobody-at-all")["total"], 0)
        at = mine[1]["timestamp"]
        self.assertEqual(self.lines(f"?path=/api/tasks/{task}&end_time=2020-01-01T00:00:00Z")["total"], 0)
        self.assertEqual(self.lines(f"?path=/api/tasks/{task}&start_time={at}")["total"], 2)
        oldest = self.lines("?order=asc&size=1")["items"][0]
        self.assertLessEqual(oldest["id"], mine[1]["id"])
        self.assertEqual(self.lines(f"?path=/api/tasks/{task}&page=2&size=1")["items"], mine[1:])

    def test_bad_queries(self):
        for query, field in (("?start_time=yesterday", "start_time"), ("?end_time=1", "end_time"), ("?page=0", "page"), ("?sort=who", "sort"),
                             ("?who=" + "x" * 300, "who"), ("?path=" + "x" * 600, "path"), ("?who=a&who=b", "who")):
            self.error(self.farm.get("/api/system/audit" + query), 400, "VALIDATION_ERROR", field)

    def test_admins_only(self):
        for role in ("user", "worker", "readonly"):
            self.error(self.get("/api/system/audit", bearer(self.keys[role])), 403, "AUTHORIZATION_ERROR", "role", "role")

    def test_refused_for_want_of_rights(self):
        def noted(outcome, who):
            return [line for line in self.lines("?size=1000")["items"] if (line["outcome"], line["who"]) == (outcome, who)]

        for _ in range(20):
            self.error(self.farm.post("/api/tasks", dict(SPEC, name="no"), headers=bearer(self.keys["readonly"])), 403, "AUTHORIZATION_ERROR")
        wait_for(lambda: noted("forbidden", "readonly-key"), what="a line of it")
        self.assertLess(len(noted("forbidden", "readonly-key")), 20)
        self.assertEqual(noted("forbidden", "readonly-key")[0]["kind"], "key")
        for _ in range(20):
            answer = self.farm.post("/api/tasks", dict(SPEC, name="no"), headers=bearer("gk_nobody"))
            self.assertEqual(answer.status, 401)
        wait_for(lambda: noted("unauthenticated", None), what="a line of it")
        self.assertLess(len(noted("unauthenticated", None)), 5)
        line = noted("unauthenticated", None)[0]
        self.assertEqual((line["who"], line["kind"], line["method"], line["path"]), (None, "nobody", "POST", "/api/tasks"))
        self.assertNotIn("gk_nobody", json.dumps(line))

    def known_key(self, name, role, *more):
        """A new one, once the gateway has seen it."""
        key = make_key(self.farm, name, role, *more)
        wait_for(lambda: self.get("/api/tasks?size=1", bearer(key)).status == 200, what="the key being known")
        return key

    def refused_of(self, name):
        return [line for line in self.lines(f"?who={name}&size=1000")["items"] if line["outcome"] != "done"]

    def test_refused_by_the_gateway_itself(self):
        """Each kind of refusal that never comes to the scheduler."""
        mine = bearer(self.known_key("clumsy", "user"))
        task = self.data(self.farm.post("/api/tasks", dict(SPEC, name="clumsy one"), headers=dict(mine, **{"Idempotency-Key": "clumsy"})), 201)
        answers = [
            (422, "invalid", self.farm.post("/api/tasks", {"name": ""}, headers=mine)),
            (400, "bad_request", self.farm.put(f"/api/tasks/{task['id']}", b"{", headers=mine)),
            (404, "not_found", self.farm.delete("/api/nothing", headers=mine)),
            (422, "key_reused", self.farm.post("/api/tasks", dict(SPEC, name="another"), headers=dict(mine, **{"Idempotency-Key": "clumsy"}))),
        ]
        for status, outcome, answer in answers:
            self.assertEqual(answer.status, status, answer)
            found = wait_for(lambda wanted=outcome: [line for line in self.refused_of("clumsy") if line["outcome"] == wanted], what=outcome)
            self.check_shape(found, [dict(LINE, target_id=None)], more=("more",))
            self.assertEqual(found[0]["request_id"], answer.headers["x-request-id"])
        self.assertEqual(self.get("/api/nothing", mine).status, 404)  # no write
        self.assertEqual(len([line for line in self.refused_of("clumsy") if line["method"] == "GET"]), 0)

    def test_refused_before_anybody_was_asked(self):
        answer = self.farm.post("/api/tasks", dict(SPEC, name="foreign"), headers={"Origin": "https://evil.example"})
        self.assertEqual(answer.status, 403)
        found = wait_for(lambda: [line for line in self.lines("?size=1000")["items"] if line["kind"] == "unknown"], what="a line of it")
        self.assertEqual((found[0]["who"], found[0]["outcome"], found[0]["path"]), (None, "forbidden", "/api/tasks"))

    def test_each_who_is_refused_has_a_line(self):
        """Nobody hides behind somebody else's flood."""
        loud, quiet = (self.known_key(name, "readonly") for name in ("loud", "quiet"))
        for _ in range(30):
            self.assertEqual(self.farm.post("/api/tasks", SPEC, headers=bearer(loud)).status, 403)
        self.assertEqual(self.farm.post("/api/tasks", SPEC, headers=bearer(quiet)).status, 403)
        wait_for(lambda: self.refused_of("quiet"), what="a line of the quiet one")

    def test_nothing_is_refused_uncounted(self):
        mine = bearer(self.known_key("many", "user"))
        for _ in range(50):
            self.assertEqual(self.farm.post("/api/tasks", {"name": ""}, headers=mine).status, 422)
        wait_for(lambda: sum(1 + line.get("more", 0) for line in self.refused_of("many")) == 50, what="all being counted")
        self.assertLess(len(self.refused_of("many")), 25)

    def test_refused_as_there_are_too_many(self):
        mine = bearer(self.known_key("hasty", "user", "--rate", "1"))  # that was the one
        self.assertEqual(self.farm.post("/api/tasks", dict(SPEC, name="hasty"), headers=mine).status, 429)
        found = wait_for(lambda: self.refused_of("hasty"), what="a line of it")
        self.assertEqual((found[0]["outcome"], found[0]["kind"]), ("limit", "key"))

    def told(self, code, name):
        """The gateway says so in its log, once it looks."""
        wait_for(lambda: self.get("/api/tasks?size=1", bearer(self.keys["user"])) and re.search(rf"{code} .*name={name} ", self.farm.log("gateway")),
                 what=f"{code} of {name}")

    def deeds(self):
        return [line for line in self.lines("?method=CLI&size=1000")["items"]]

    def test_what_the_command_does_to_keys(self):
        make_key(self.farm, "deeds", "user")
        self.told("GTY-AUTH-KEY-NEW", "deeds")
        gantry(self.farm, "key", "revoke", "deeds")
        self.told("GTY-AUTH-KEY-GONE", "deeds")
        with tempfile.TemporaryDirectory() as folder:
            gantry(self.farm, "key", "worker", "add", "machine", "--out", folder + "/curve")
        gantry(self.farm, "key", "worker", "revoke", "machine")
        wanted = ["gantry key create --role user --name deeds", "gantry key revoke deeds", "gantry key worker add machine",
                  "gantry key worker revoke machine"]

        def told():  # the command waits for its line no longer than a moment
            lines = self.deeds()[:4]
            return lines if [line["path"].split(" (")[0] for line in reversed(lines)] == wanted else None

        lines = wait_for(told, what="a line for each deed")
        self.check_shape(lines, [dict(LINE, address=None, target_id=None)])
        for line in lines:
            self.assertEqual((line["kind"], line["who"], line["outcome"]), ("command", getpass.getuser(), "done"))
        before = len(self.deeds())
        gantry(self.farm, "key", "revoke", "deeds", code=1)  # nothing was done
        self.assertEqual(len(self.deeds()), before)

    def test_what_the_command_does_where_no_farm_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([str(BUILD / "gantry"), "key", "create", "--role", "user", "--name", "early", "--data", folder + "/data"],
                                  capture_output=True, text=True, env=clean_environment(), timeout=120 * SLOW, check=False)
            self.assertEqual(done.returncode, 0, done)
            self.assertRegex(done.stdout, r"^gantry_[0-9a-f_]+\n$")
            self.assertIn("GTY-AUDIT-UNTOLD", done.stderr)
            self.assertIn("--name early", done.stderr)
            self.assertNotIn(done.stdout.strip(), done.stderr)

    def test_the_command(self):
        self.data(self.farm.post("/api/tasks", dict(SPEC, name="seen by the command")), 201)
        text = gantry(self.farm, "audit", "--size", "5", "--path", "/api/tasks", key=self.keys["admin"])
        self.assertIn("admin-key", text)
        self.assertIn("/api/tasks", text)
        data = json.loads(gantry(self.farm, "audit", "--json", "--method", "POST", "--who", "admin-key", key=self.keys["admin"]))
        self.check_shape(data["items"], [LINE])
        self.assertIn("role", gantry(self.farm, "audit", key=self.keys["readonly"], code=1))


class Open(Contract):
    """Nobody is asked who they are."""

    def test_who_is_local(self):
        self.data(self.farm.post("/api/tasks", dict(SPEC, name="open")), 201)
        line = self.data(self.farm.get("/api/system/audit"))["items"][0]
        self.assertEqual((line["who"], line["kind"], line["path"]), ("local", "open", "/api/tasks"))


class Machines(Contract):
    """What workers say all the time would drive out what people do."""

    def paths(self):
        return [line["path"] for line in self.data(self.farm.get("/api/system/audit"))["items"]]

    def test_workers_at_work(self):
        worker = {"hostname": "h", "ip_address": "127.0.0.1", "port": 1, "task_types": ["rest-only"]}
        name = self.data(self.farm.post("/api/workers", worker), 201)["id"]
        run = self.farm.trigger(self.farm.task("work", task_type="rest-only", executor="rest-only"))
        before = self.paths()
        self.assertEqual(self.data(self.farm.post(f"/api/workers/{name}/lease", {}))["runs"][0]["run_id"], run)
        for percent in (10, 20):
            self.data(self.farm.post(f"/api/runs/{run}/report", {"attempt": 1, "status": "running", "progress": percent}))
        self.data(self.farm.post(f"/api/workers/{name}/heartbeat", {}))
        self.assertEqual(self.paths(), before)
        self.data(self.farm.post(f"/api/runs/{run}/report", {"attempt": 1, "status": "completed"}))
        self.assertEqual(self.paths(), [f"/api/runs/{run}/report"] + before)


class Full(Contract):
    options = {"queue_max": 5, "workers": 0}

    def test_a_call_that_found_no_room_for_all(self):
        task = self.farm.task("many", retry_count=0)
        runs = []
        for _ in range(2):
            batch = self.data(self.farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{}] * 4}), 201)["run_ids"]
            self.data(self.farm.post("/api/runs/abort", {"ids": batch}))
            runs += batch
        answer = self.data(self.farm.post("/api/runs/restart", {"ids": runs}))
        self.assertEqual([item["done"] for item in answer["results"]], [True] * 5 + [False] * 3)
        self.assertEqual(self.data(self.farm.get("/api/system/audit"))["items"][0]["path"], "/api/runs/restart")


    def test_one_that_found_no_room_at_all(self):
        task = self.farm.task("full", retry_count=0)
        statuses = [self.farm.post(f"/api/tasks/{task}/trigger", {}).status for _ in range(6)]
        self.assertEqual(statuses[-1], 429)
        line = wait_for(lambda: [line for line in self.data(self.farm.get("/api/system/audit"))["items"] if line["outcome"] == "limit"],
                        what="a line of it")[0]
        self.assertEqual((line["path"], line["kind"]), (f"/api/tasks/{task}/trigger", "open"))


class Off(Contract):
    options = {"audit_enabled": "false"}

    def test_no_lines(self):
        self.data(self.farm.post("/api/tasks", dict(SPEC, name="unseen")), 201)
        self.assertEqual(self.data(self.farm.get("/api/system/audit"))["total"], 0)
