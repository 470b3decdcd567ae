"""/api/pools, and what `pool` and `rate` of a task do."""

import json

from tests.contract.base import Contract
from tests.contract.test_auth import gantry
from tests.farm import wait_for

POOL = {"name": "db", "description": "words", "limit": 2, "running": 0, "waiting": 0, "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z"}


def spec(name, /, **fields):
    return dict({"name": name, "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 0}, **fields)


class Pools(Contract):
    options = {"worker_slots": 8}

    def pool(self, name):
        return self.data(self.farm.get(f"/api/pools/{name}"))

    def put(self, name, status=201, **fields):
        return self.data(self.farm.put(f"/api/pools/{name}", fields), status)

    def gated(self, name, **fields):
        """A task whose runs go on until its file is there."""
        go = self.farm.data / f"go-{name}"
        made = self.farm.post("/api/tasks", spec(name, command=f"while ! [ -e {go} ]; do sleep 0.02; done", **fields))
        return self.data(made, 201)["id"], go

    def statuses(self, runs):
        return sorted(self.farm.run(run)["status"] for run in runs)

    def test_put_get_list_delete(self):
        made = self.put("db", limit=2, description="words")
        self.check_shape(made, POOL)
        self.assertEqual((made["name"], made["limit"], made["description"]), ("db", 2, "words"))
        self.assertEqual(self.pool("db"), made)
        changed = self.put("db", 200, limit=5)
        self.assertEqual((changed["limit"], changed["description"], changed["created_at"]), (5, "words", made["created_at"]))
        self.assertIsNone(self.put("db", 200, description=None)["description"])
        self.put("api", limit=0)
        page = self.data(self.farm.get("/api/pools?sort=limit&order=asc&size=1"))
        self.check_shape(page["items"], [POOL])
        self.assertEqual([p["name"] for p in page["items"]], ["api"])
        self.assertEqual((page["total"], page["total_pages"], page["page"], page["size"]), (2, 2, 1, 1))
        self.assertEqual(self.data(self.farm.get("/api/pools?page=7"))["items"], [])
        gone = self.data(self.farm.delete("/api/pools/api"))
        self.assertEqual(gone["deleted_name"], "api")
        self.assertTrue(gone["message"])
        for answer in (self.farm.get("/api/pools/api"), self.farm.delete("/api/pools/api"), self.farm.get("/api/pools/" + "x" * 70),
                       self.farm.delete("/api/pools/" + "x" * 70)):
            self.error(answer, 404, "RESOURCE_NOT_FOUND", "name", "not_found")
        self.data(self.farm.delete("/api/pools/db"))

    def test_what_is_refused(self):
        self.error(self.farm.put("/api/pools/new", {}), 422, "VALIDATION_ERROR", "limit", "required")
        self.error(self.farm.put("/api/pools/new"), 422, "VALIDATION_ERROR", "limit", "required")
        for limit, rule in ((-1, "range"), (1000001, "range"), ("2", "type"), (1.5, "type"), (True, "type"), (None, "type")):
            self.error(self.farm.put("/api/pools/new", {"limit": limit}), 422, "VALIDATION_ERROR", "limit", rule, limit)
        self.error(self.farm.put("/api/pools/new", {"limit": 1, "description": 7}), 422, "VALIDATION_ERROR", "description", "type")
        self.error(self.farm.put("/api/pools/new", {"limit": 1, "description": "x" * 5000}), 422, "VALIDATION_ERROR", "description", "length")
        for name in ("a%20b", "%E4%B8%AD", "a,b"):
            error = self.error(self.farm.put("/api/pools/" + name, {"limit": 1}), 422, "VALIDATION_ERROR", "name", "format")
            self.assertIn("字母", error["message"])
        self.error(self.farm.put("/api/pools/" + "x" * 65, {"limit": 1}), 422, "VALIDATION_ERROR", "name", "length")
        self.error(self.farm.request("PUT", "/api/pools/new", b"{"), 400, "VALIDATION_ERROR")
        self.error(self.farm.get("/api/pools?sort=colour"), 400, "VALIDATION_ERROR", "sort", "sort", "colour")
        self.error(self.farm.get("/api/pools?page=0"), 400, "VALIDATION_ERROR", "page")
        self.error(self.farm.post("/api/pools", {"limit": 1}), 405, "VALIDATION_ERROR")

    def test_a_repeat_with_its_key(self):
        first = self.farm.put("/api/pools/keyed", {"limit": 1}, headers={"Idempotency-Key": "k"})
        again = self.farm.put("/api/pools/keyed", {"limit": 1}, headers={"Idempotency-Key": "k"})
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(first.body["data"], again.body["data"])
        self.data(self.farm.delete("/api/pools/keyed"))

    def test_tasks_name_pools_that_are_there(self):
        error = self.error(self.farm.post("/api/tasks", spec("lost", pool="nowhere")), 422, "VALIDATION_ERROR", "pool", "unknown_pool", "nowhere")
        self.assertIn("PUT /pools/nowhere", error["message"])
        self.error(self.farm.post("/api/runs", {"task_type": "shell", "command": "true", "pool": "nowhere"}), 422, "VALIDATION_ERROR", "pool",
                   "unknown_pool")
        self.put("here", limit=1)
        task = self.data(self.farm.post("/api/tasks", spec("found", pool="here", rate=60)), 201)
        self.assertEqual((task["pool"], task["rate"]), ("here", 60))
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{task['id']}"))["pool"], "here")
        self.error(self.farm.delete("/api/pools/here"), 409, "RESOURCE_CONFLICT", "name", "pool_used", "here")
        self.error(self.farm.put(f"/api/tasks/{task['id']}", {"pool": "nowhere"}), 422, "VALIDATION_ERROR", "pool", "unknown_pool")
        task = self.data(self.farm.put(f"/api/tasks/{task['id']}", {"pool": None, "rate": 0}))
        self.assertNotIn("pool", task)
        self.assertNotIn("rate", task)
        self.data(self.farm.delete("/api/pools/here"))

    def test_bounds_of_the_fields(self):
        for field, value, rule in (("pool", 7, "type"), ("pool", "x" * 65, "length"), ("rate", -1, "range"), ("rate", 60001, "range"),
                                   ("rate", "6", "type"), ("rate", 0.5, "type")):
            self.error(self.farm.post("/api/tasks", spec("wrong", **{field: value})), 422, "VALIDATION_ERROR", field, rule)

    def test_the_limit_holds_over_tasks(self):
        self.put("shared", limit=2)
        one, go = self.gated("one", pool="shared")
        two, other = self.gated("two", pool="shared")
        runs = [self.farm.trigger(task) for task in (one, two, one, two, one)]
        wait_for(lambda: self.statuses(runs).count("running") == 2, what="two that run")
        waiting = [run for run in runs if self.farm.run(run)["status"] == "pending"]
        self.assertEqual(self.farm.run(waiting[0])["reason"], "pool shared is full: 2 of 2 run")
        why = self.data(self.farm.get(f"/api/runs/{waiting[-1]}/why"))
        self.assertEqual((why["code"], why["queue"]["ahead"]), ("pool", 2))
        self.assertEqual((self.pool("shared")["running"], self.pool("shared")["waiting"]), (2, 3))
        self.put("shared", 200, limit=4)
        wait_for(lambda: self.statuses(runs).count("running") == 4, what="four that run")
        self.put("shared", 200, limit=0)
        self.assertEqual(self.statuses(runs).count("running"), 4)  # nothing is stopped
        go.touch()
        other.touch()
        wait_for(lambda: self.statuses(runs).count("completed") == 4, what="those that ran")
        self.assertEqual(self.pool("shared")["waiting"], 1)
        self.put("shared", 200, limit=1)
        for run in runs:
            self.assertEqual(self.farm.wait_run(run)["status"], "completed")

    def test_the_commands(self):
        def run(*words, code=0):
            return gantry(self.farm, *words, code=code)

        self.assertIn("at most 3 at once", run("pool", "set", "typed", "--limit", "3", "-d", "some words"))
        self.assertEqual(json.loads(run("pool", "set", "typed", "--limit", "4", "--json"))["description"], "some words")
        self.assertRegex(run("pool", "list", "--sort", "name"), r"typed +4 +0 +0 +some words")
        number = run("task", "create", "typed task", "--pool", "typed", "--rate", "30", "--shell", "true")
        shown = run("task", "show", number)
        self.assertRegex(shown, r"Pool: +typed")
        self.assertRegex(shown, r"Rate, /min: +30")
        self.assertIn("typed", run("pool", "delete", "typed", code=1))
        run("task", "delete", number)
        self.assertIn("deleted", run("pool", "delete", "typed"))
        self.assertIn("limit", run("pool", "set", "typed", code=1))
        for words in (("set", "a b", "--limit", "1"), ("set", "typed", "--limit", "-1"), ("delete", "a/b")):
            run("pool", *words, code=2)

    def test_a_rate(self):
        task = self.data(self.farm.post("/api/tasks", spec("rated", rate=1)), 201)["id"]
        first, second = self.farm.trigger(task), self.farm.trigger(task)
        self.assertEqual(self.farm.wait_run(first)["status"], "completed")
        self.assertRegex(self.farm.run(second)["reason"], r"^its task may start 1 times a minute, next at 20")
        why = self.data(self.farm.get(f"/api/runs/{second}/why"))
        self.assertEqual((why["code"], why["queue"]["ahead"]), ("rate", 0))
        self.assertIn(why["until"][:16], why["reason"])
        self.assertEqual(self.data(self.farm.put(f"/api/tasks/{task}", {"rate": 0}))["id"], task)
        self.assertEqual(self.farm.wait_run(second)["status"], "completed")
