"""Many runs at once: the list of those that failed for good, restarts, aborts, and the removal of those that ended."""

import time

from tests.contract.base import Contract
from tests.farm import wait_for


class ManyRuns(Contract):
    options = {"workers": 1}

    def task(self, name, command="false", **fields):
        return self.farm.task(name, command, retry_count=0, **fields)

    def failed(self, task, count):
        runs = [self.farm.trigger(task) for _ in range(count)]
        for run in runs:
            self.farm.wait_run(run)
        return runs

    def listed(self, query):
        data = self.data(self.farm.get(f"/api/runs?{query}"))
        return [run["id"] for run in data["items"]], data["total"]

    def later(self):
        """A time that is not before now, as filters by time are told in whole seconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))

    def test_final(self):
        task, waits = self.task("final"), self.farm.task("final waits", "true", task_type="nobody")
        failed = self.failed(task, 2)
        pending = self.farm.trigger(waits)
        self.assertEqual(self.listed(f"task_id={task}&status=failed&final=true"), (failed[::-1], 2))
        self.assertCountEqual(self.listed(f"task_id={task}&final=true&sort=completed_at&order=asc")[0], failed)
        self.assertEqual(self.listed(f"task_id={task}&status=failed&final=false"), ([], 0))
        self.assertEqual(self.listed(f"task_id={waits}&final=false"), ([pending], 1))
        everything = [set(self.listed(f"size=1000&{query}")[0]) for query in ("", "final=true", "final=false")]
        self.assertEqual(everything[0], everything[1] | everything[2])
        self.assertFalse(everything[1] & everything[2])
        self.error(self.farm.get("/api/runs?final=maybe"), 400, "VALIDATION_ERROR", "final", "enum")

    def test_restart_by_ids(self):
        task = self.task("by ids")
        first, second = self.failed(task, 2)
        live = self.farm.trigger(task, delay_seconds=600)
        key = {"Idempotency-Key": "restart by ids"}
        body = {"ids": [second, first, second, live, 999999]}
        answer = self.data(self.farm.post("/api/runs/restart", body, headers=key))
        results = {result["id"]: result for result in answer["results"]}
        self.assertEqual((answer["total"], answer["done"], answer["more"], answer["last_id"]), (4, 2, False, 999999))
        self.assertEqual([result["id"] for result in answer["results"]], [first, second, live, 999999])
        self.assertEqual((results[live]["done"], results[live]["error"]["code"]), (False, "RESOURCE_CONFLICT"))
        self.assertEqual((results[999999]["new_run_id"], results[999999]["error"]["code"]), (None, "RESOURCE_NOT_FOUND"))
        self.assertIn("999999", results[999999]["error"]["message"])
        made = [results[first]["new_run_id"], results[second]["new_run_id"]]
        for run, of in zip(made, (first, second)):
            self.assertEqual(self.farm.wait_run(run)["restart_of"], of)
        self.assertEqual(results[first], {"id": first, "done": True, "new_run_id": made[0], "status": "pending", "error": None})
        self.assertEqual(self.data(self.farm.post("/api/runs/restart", body, headers=key)), answer)
        self.error(self.farm.post("/api/runs/restart", {"ids": [1]}, headers=key), 422, "VALIDATION_ERROR", rule="key_reused")
        self.assertEqual(self.listed(f"task_id={task}")[1], 5)

    def test_restart_by_filter(self):
        task = self.task("by filter")
        runs = self.failed(task, 5)
        start = {"status": "failed", "task_id": task, "limit": 2, "before": self.later()}
        answer = self.data(self.farm.post("/api/runs/restart", start))
        self.assertEqual(([result["id"] for result in answer["results"]], answer["more"], answer["last_id"]), (runs[:2], True, runs[1]))
        for result in answer["results"]:
            self.farm.wait_run(result["new_run_id"])
        rest = self.data(self.farm.post("/api/runs/restart", dict(start, after=runs[1], limit=1000)))
        self.assertEqual([result["id"] for result in rest["results"]][:3], runs[2:])
        self.assertFalse(rest["more"])
        none = self.data(self.farm.post("/api/runs/restart", {"status": "aborted", "task_id": task}))
        self.assertEqual((none["results"], none["total"], none["more"]), ([], 0, False))

    def test_restart_of_submitted_runs(self):
        """The scheduler keeps neither the runs nor their tasks."""
        made = [self.data(self.farm.post("/api/runs", {"task_type": "shell", "command": "exit 3", "retry_count": 0}), 201) for _ in range(3)]
        for one in made:
            self.farm.wait_run(one["run_id"])
        answer = self.data(self.farm.post("/api/runs/restart", {"ids": [one["run_id"] for one in made]}))
        self.assertEqual(answer["done"], 3, answer)
        for one, result in zip(made, answer["results"]):
            self.assertEqual(self.farm.wait_run(result["new_run_id"])["task_id"], one["task_id"])

    def test_many_with_large_parameters(self):
        task = self.task("large")
        large = {"blob": "x" * 200000}
        runs = [self.farm.trigger(task, parameters=large) for _ in range(150)]
        for run in runs:
            self.farm.wait_run(run, timeout=120)
        answer = self.data(self.farm.post("/api/runs/restart", {"ids": runs}, timeout=120))
        self.assertEqual(answer["done"], 150, [result for result in answer["results"] if not result["done"]][:2])
        self.assertEqual(len({result["new_run_id"] for result in answer["results"]}), 150)
        self.assertEqual(self.farm.run(answer["results"][-1]["new_run_id"])["parameters"], large)

    def test_abort(self):
        task = self.farm.task("abort many", "true", task_type="nobody")
        runs = [self.farm.trigger(task) for _ in range(5)]
        answer = self.data(self.farm.post("/api/runs/abort", {"status": "pending", "task_id": task, "limit": 3, "reason": "enough"}))
        self.assertEqual(([result["id"] for result in answer["results"]], answer["done"], answer["more"]), (runs[:3], 3, True))
        self.assertEqual(answer["results"][0], {"id": runs[0], "done": True, "status": "aborted", "error": None})
        self.assertEqual((self.farm.run(runs[0])["status"], self.farm.run(runs[0])["error_message"]), ("aborted", "enough"))
        answer = self.data(self.farm.post("/api/runs/abort", {"ids": runs}))
        self.assertEqual([result["done"] for result in answer["results"]], [False, False, False, True, True])
        self.assertEqual(answer["results"][0]["error"]["code"], "RESOURCE_CONFLICT")
        statistics = self.data(self.farm.get(f"/api/tasks/{task}"))["statistics"]
        self.assertEqual((statistics["total_runs"], statistics["failed_runs"], statistics["last_execution_status"]), (5, 0, "aborted"))

    def test_refused(self):
        def refused(verb, body, field, rule):
            self.error(self.farm.post(f"/api/runs/{verb}", body), 422, "VALIDATION_ERROR", field, rule)

        refused("restart", {}, "status", "required")
        refused("restart", {"status": "pending"}, "status", "enum")
        refused("abort", {"status": "failed"}, "status", "enum")
        refused("restart", {"ids": []}, "ids", "items")
        refused("restart", {"ids": list(range(1, 1002))}, "ids", "items")
        refused("restart", {"ids": 5}, "ids", "type")
        refused("restart", {"ids": ["5"]}, "ids[0]", "type")
        refused("restart", {"ids": [1, 0]}, "ids[1]", "range")
        refused("restart", {"status": "failed", "before": "soon"}, "before", "format")
        refused("restart", {"status": "failed", "limit": 1001}, "limit", "range")
        refused("restart", {"status": "failed", "task_id": "x"}, "task_id", "type")
        refused("abort", {"status": "pending", "reason": 1}, "reason", "type")
        self.error(self.farm.get("/api/runs/restart"), 405, "VALIDATION_ERROR")

    def test_removal(self):
        task, other = self.task("removed"), self.farm.task("removed other", "echo kept")
        runs = self.failed(task, 3)
        kept = self.failed(other, 1)[0]
        waits = self.farm.trigger(self.farm.task("removed waits", "true", task_type="nobody"))
        before = self.data(self.farm.get(f"/api/tasks/{task}"))["statistics"]
        answer = self.data(self.farm.delete(f"/api/runs?before={self.later()}&task_id={task}&status=failed"))
        self.assertEqual((answer["matched"], answer["message"]), (3, "符合条件的已结束运行正在分批删除"))
        wait_for(lambda: self.listed(f"task_id={task}") == ([], 0), what="they are gone")
        self.error(self.farm.get(f"/api/runs/{runs[0]}"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.get(f"/api/runs/{runs[0]}/logs"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.post(f"/api/runs/{runs[0]}/restart"), 404, "RESOURCE_NOT_FOUND")
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{task}"))["statistics"], before)
        self.assertEqual(before["failed_runs"], 3)
        self.assertEqual(self.farm.run(kept)["status"], "completed")
        self.data(self.farm.delete("/api/runs?before=2020-01-01T00:00:00Z"))
        self.assertEqual(self.farm.run(kept)["status"], "completed")
        self.assertEqual(self.farm.run(waits)["status"], "pending")
        again = self.farm.trigger(task)
        self.farm.wait_run(again)
        self.assertEqual(self.listed(f"task_id={task}"), ([again], 1))
        for query, field, rule in (("", "before", "required"), ("before=soon", "before", "format"),
                                   (f"before={self.later()}&status=running", "status", "enum"),
                                   (f"before={self.later()}&task_id=0", "task_id", "range")):
            self.error(self.farm.delete(f"/api/runs?{query}"), 400, "VALIDATION_ERROR", field, rule)

    def test_tasks_of_one_run_go_with_it(self):
        body = {"task_type": "shell", "executor": "shell", "command": "true", "tags": ["goes"]}
        made = [self.data(self.farm.post("/api/runs", body), 201) for _ in range(3)]
        open_one = self.data(self.farm.post("/api/runs", dict(body, task_type="nobody")), 201)
        for run in made:
            self.farm.wait_run(run["run_id"])
        again = self.data(self.farm.post(f"/api/runs/{made[0]['run_id']}/restart"), 201)["new_run_id"]
        self.farm.wait_run(again)
        self.data(self.farm.delete(f"/api/runs?before={self.later()}&task_id={made[1]['task_id']}"))
        wait_for(lambda: self.farm.get(f"/api/tasks/{made[1]['task_id']}").status == 404, what="the task goes with its run")
        self.assertEqual(self.farm.get(f"/api/tasks/{made[0]['task_id']}").status, 200)
        self.data(self.farm.delete(f"/api/runs?before={self.later()}"))
        wait_for(lambda: self.data(self.farm.get("/api/tasks?tags=goes"))["total"] == 1, what="the tasks go with their runs")
        self.error(self.farm.post(f"/api/tasks/{made[0]['task_id']}/trigger"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.post(f"/api/runs/{again}/restart"), 404, "RESOURCE_NOT_FOUND")
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{open_one['task_id']}"))["status"], "active")

    def test_a_task_that_keeps_few(self):
        task = self.task("keeps few", metadata={"keep_runs": 2})
        runs = [self.farm.trigger(task) for _ in range(5)]
        wait_for(lambda: self.data(self.farm.get(f"/api/tasks/{task}"))["statistics"]["failed_runs"] == 5, what="the end of all")
        kept = wait_for(lambda: (lambda it: it[0] if it[1] == 2 else None)(self.listed(f"task_id={task}")), what="two that are left")
        self.assertLessEqual(set(kept), set(runs))
        # Fewer from now on: that counts at once, not at the next end.
        more = self.task("keeps fewer")
        runs = self.failed(more, 4)
        self.data(self.farm.put(f"/api/tasks/{more}", {"metadata": {"keep_runs": 3}}))
        wait_for(lambda: self.listed(f"task_id={more}")[1] == 3, what="three that are left")
        self.data(self.farm.put(f"/api/tasks/{more}", {"metadata": {"keep_runs": 1}}))
        left = wait_for(lambda: (lambda it: it[0] if it[1] == 1 else None)(self.listed(f"task_id={more}")), what="one that is left")
        self.assertLessEqual(set(left), set(runs))
        body = {"name": "keeps none", "task_type": "shell", "executor": "shell", "command": "true"}
        self.error(self.farm.post("/api/tasks", dict(body, metadata={"keep_runs": 0})), 422, "VALIDATION_ERROR", "metadata.keep_runs", "range")
        self.error(self.farm.post("/api/tasks", dict(body, metadata={"keep_runs": "2"})), 422, "VALIDATION_ERROR", "metadata.keep_runs", "type")


class Statistics(Contract):
    """What a task and a worker say of themselves after retries, restarts and aborts."""

    def statistics(self, task):
        return self.data(self.farm.get(f"/api/tasks/{task}"))["statistics"]

    def worker(self):
        worker = self.data(self.farm.get("/api/workers"))["items"][0]["id"]
        return self.data(self.farm.get(f"/api/workers/{worker}"))["statistics"]

    def test_a_life(self):
        before = self.worker()
        # The second attempt of each run succeeds: one run, one success, whatever it took.
        retried = self.farm.task("retried", "test $GANTRY_ATTEMPT -gt 1", retry_count=2)
        run = self.farm.wait_run(self.farm.trigger(retried))
        self.assertEqual((run["status"], run["attempt"], run["retry_count"]), ("completed", 2, 1))
        got = self.statistics(retried)
        self.assertEqual((got["total_runs"], got["successful_runs"], got["failed_runs"], got["last_execution_status"]), (1, 1, 0, "success"))
        self.assertIsNotNone(got["average_execution_time"])
        # A run that failed for good after its retries failed once; its restart is a run of its own.
        failing = self.farm.task("failing", "false", retry_count=1)
        first = self.farm.trigger(failing)
        self.farm.wait_run(first)
        self.assertEqual(self.statistics(failing), {"total_runs": 1, "successful_runs": 0, "failed_runs": 1, "average_execution_time": None,
                                                    "last_execution_status": "failed"})
        again = self.data(self.farm.post(f"/api/runs/{first}/restart"), 201)["new_run_id"]
        self.farm.wait_run(again)
        got = self.statistics(failing)
        self.assertEqual((got["total_runs"], got["failed_runs"]), (2, 2))
        # An abort is neither, whether it ran or waited.
        sleeping = self.farm.task("sleeping", "sleep 600", retry_count=3)
        runs = [self.farm.trigger(sleeping), self.farm.trigger(sleeping, delay_seconds=600)]
        wait_for(lambda: self.farm.run(runs[0])["status"] == "running", what="it runs")
        for run in runs:
            self.data(self.farm.post(f"/api/runs/{run}/abort"))
        self.assertEqual(self.statistics(sleeping), {"total_runs": 2, "successful_runs": 0, "failed_runs": 0, "average_execution_time": None,
                                                     "last_execution_status": "aborted"})
        # A worker counts attempts: two and two of the retried and the failing runs, two more of the restart.
        after = self.worker()
        counted = {key: after[key] - before[key] for key in ("total_tasks_executed", "successful_tasks", "failed_tasks")}
        self.assertEqual(counted, {"total_tasks_executed": 6, "successful_tasks": 1, "failed_tasks": 5})
        self.assertGreater(after["average_execution_time"], 0)
