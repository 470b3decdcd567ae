"""/api/tasks: every endpoint, the API's examples, and what is refused."""

from tests.contract import examples
from tests.contract.base import Contract

EXAMPLE = {
    "name": "data_processing", "description": "处理每日数据", "task_type": "python", "executor": "python", "command": "process_data.py",
    "arguments": ["--input", "data.csv"], "schedule": "0 2 * * *", "priority": "normal", "tags": ["data", "daily"],
}


def spec(name, /, **fields):
    return dict({"name": name, "task_type": "shell", "executor": "shell", "command": "true"}, **fields)


class Tasks(Contract):
    def create(self, name, **fields):
        return self.data(self.farm.post("/api/tasks", spec(name, **fields)), 201)

    def test_the_example(self):
        made = self.data(self.farm.post("/api/tasks", EXAMPLE), 201)
        self.check_shape(made, examples.TASK)
        for key in EXAMPLE:
            self.assertEqual(made[key], EXAMPLE[key])
        self.assertEqual((made["retry_count"], made["timeout_seconds"], made["status"]), (3, 3600, "active"))
        self.assertEqual(made["created_at"], made["updated_at"])
        self.assertIsNone(made["last_run_at"])
        self.assertRegex(made["next_run_at"], "T02:00:00Z$")
        got = self.data(self.farm.get(f"/api/tasks/{made['id']}"))
        self.check_shape(got, examples.TASK_DETAIL)
        self.assertEqual({k: got[k] for k in made}, made)
        self.assertEqual(got["statistics"], {"total_runs": 0, "successful_runs": 0, "failed_runs": 0, "average_execution_time": None,
                                             "last_execution_status": None})

    def test_everything_that_can_be_said_of_a_task(self):
        more = {"env": {"A": "1", "中": "文"}, "cwd": "/tmp", "limits": {"cpu_seconds": 5, "memory_mb": 100, "files": 64},
                "labels": {"gpu": "a"}, "output": "/tmp/out.bin", "retry_count": 0, "timeout_seconds": 7, "priority": "critical",
                "metadata": {"deep": [1, 2.5, None, True, {"x": "y"}], "timezone": "Asia/Shanghai"}, "arguments": [], "unknown": {"a": 1}}
        made = self.create("everything", **more)
        for key in set(more) - {"unknown"}:
            self.assertEqual(made[key], more[key], key)
        self.assertNotIn("unknown", made)

    def test_statistics_follow_the_runs(self):
        task = self.create("measured", command="echo done")["id"]
        self.farm.wait_run(self.farm.trigger(task))
        got = self.data(self.farm.get(f"/api/tasks/{task}"))
        self.check_shape(got, examples.TASK_DETAIL)
        self.assertEqual(got["statistics"]["total_runs"], 1)
        self.assertEqual(got["statistics"]["last_execution_status"], "success")
        self.assertGreaterEqual(got["statistics"]["average_execution_time"], 0)
        self.assertIsNotNone(got["last_run_at"])

    def test_required_fields(self):
        for field in ("name", "task_type", "executor", "command"):
            for body in ({k: v for k, v in spec("x").items() if k != field}, dict(spec("x"), **{field: None}), dict(spec("x"), **{field: ""})):
                error = self.error(self.farm.post("/api/tasks", body), 422, "VALIDATION_ERROR", field, "required")
                self.assertIn(field, error["message"])
        self.error(self.farm.post("/api/tasks", {}), 422, "VALIDATION_ERROR", "name", "required", None)
        self.error(self.farm.post("/api/tasks"), 422, "VALIDATION_ERROR", "name", "required", None)

    def test_wrong_types_and_bounds(self):
        for field, value, rule in [
            ("name", 7, "type"), ("name", "x" * 201, "length"), ("description", [], "type"), ("arguments", "a", "type"),
            ("arguments", [1], "type"), ("schedule", 5, "type"), ("priority", "urgent", "enum"), ("priority", 1, "type"),
            ("retry_count", "3", "type"), ("retry_count", 1.5, "type"), ("retry_count", -1, "range"), ("retry_count", 101, "range"),
            ("timeout_seconds", 0, "range"), ("timeout_seconds", True, "type"), ("dependencies", [None], "type"), ("tags", {}, "type"),
            ("tags", ["t"] * 65, "items"), ("metadata", [], "type"), ("env", {"A": 1}, "type"), ("labels", {"a": []}, "type"),
            ("limits", {"files": -1}, "range"), ("cwd", "relative", "absolute"), ("env", {"A=B": "c"}, "format"), ("env", {"": "c"}, "format"),
        ]:
            with self.subTest(field=field, value=value):
                error = self.error(self.farm.post("/api/tasks", spec("wrong", **{field: value})), 422, "VALIDATION_ERROR", rule=rule)
                self.assertIn(error["details"]["field"].split(".")[0], (field, "files"))

    def test_http_of_the_executor_http(self):
        for http, field, rule, value in [
            (7, "", "object", None), ({"headers": []}, ".headers", "text_map", None), ({"headers": {"A": 1}}, ".headers", "text_map", "A"),
            ({"expected_status": "200"}, ".expected_status", "type", "200"), ({"expected_status": [200, 99]}, ".expected_status", "range", "99"),
        ]:
            with self.subTest(http=http):
                bad = spec("wrong http", executor="http", command="http://127.0.0.1/", metadata={"http": http})
                error = self.error(self.farm.post("/api/tasks", bad), 422, "VALIDATION_ERROR", "metadata.http" + field, rule)
                if rule in ("type", "range"):
                    self.assertIn("100 到 599", error["message"])
                if value:
                    self.assertEqual(error["details"]["value"], value)
        http = {"headers": {"A": "b"}, "body": [1], "expected_status": [200, 503]}
        self.create("right http", executor="http", command="http://127.0.0.1/", metadata={"http": http})

    def test_a_float_without_fraction_is_an_integer(self):
        self.assertEqual(self.create("float", retry_count=2.0)["retry_count"], 2)

    def test_schedules_and_executors_are_checked(self):
        self.error(self.farm.post("/api/tasks", spec("bad cron", schedule="every day")), 422, "VALIDATION_ERROR", "schedule", "schedule")
        self.error(self.farm.post("/api/tasks", spec("nobody", executor="cobol")), 422, "VALIDATION_ERROR", "executor", "unknown_executor",
                   "cobol")
        self.error(self.farm.post("/api/tasks", spec("lonely", dependencies=["nobody knows"])), 422, "VALIDATION_ERROR", "dependencies",
                   "unknown_dependency")

    def test_names_are_unique(self):
        self.create("only one")
        self.error(self.farm.post("/api/tasks", spec("only one")), 409, "RESOURCE_CONFLICT", "name", "unique", "only one")

    def test_update(self):
        made = self.create("before", description="old", tags=["a"], schedule="0 2 * * *")
        put = self.data(self.farm.put(f"/api/tasks/{made['id']}", {"name": "after", "priority": "high", "retry_count": 5, "tags": ["a", "b"]}))
        self.check_shape(put, examples.TASK)
        self.assertEqual((put["name"], put["priority"], put["retry_count"], put["tags"]), ("after", "high", 5, ["a", "b"]))
        self.assertEqual((put["description"], put["command"], put["created_at"]), ("old", "true", made["created_at"]))
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{made['id']}"))["name"], "after")
        cleared = self.data(self.farm.put(f"/api/tasks/{made['id']}", {"schedule": None, "tags": None, "description": None}))
        self.assertEqual((cleared["schedule"], cleared["tags"], cleared["description"], cleared["next_run_at"]), (None, [], None, None))
        self.data(self.farm.put(f"/api/tasks/{made['id']}"))  # nothing changes
        self.error(self.farm.put(f"/api/tasks/{made['id']}", {"name": None}), 422, "VALIDATION_ERROR", "name")
        self.create("taken")
        self.error(self.farm.put(f"/api/tasks/{made['id']}", {"name": "taken"}), 409, "RESOURCE_CONFLICT", "name", "unique")
        self.error(self.farm.put("/api/tasks/999999", {"priority": "low"}), 404, "RESOURCE_NOT_FOUND", "id", "not_found", "999999")

    def test_pause_and_resume(self):
        task = self.create("pausable", schedule="@hourly")["id"]
        paused = self.data(self.farm.post(f"/api/tasks/{task}/pause"))
        self.check_shape(paused, examples.PAUSED)
        self.assertEqual((paused["id"], paused["status"]), (task, "paused"))
        self.assertIsNone(self.data(self.farm.get(f"/api/tasks/{task}"))["next_run_at"])
        resumed = self.data(self.farm.post(f"/api/tasks/{task}/resume", {}))
        self.assertEqual(resumed["status"], "active")
        self.assertIsNotNone(self.data(self.farm.get(f"/api/tasks/{task}"))["next_run_at"])
        self.error(self.farm.post("/api/tasks/999999/pause"), 404, "RESOURCE_NOT_FOUND")

    def test_delete(self):
        task = self.create("short-lived")["id"]
        deleted = self.data(self.farm.delete(f"/api/tasks/{task}"))
        self.assertEqual(deleted, {"message": "任务删除成功", "deleted_id": task})
        self.error(self.farm.get(f"/api/tasks/{task}"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.delete(f"/api/tasks/{task}"), 404, "RESOURCE_NOT_FOUND", "id")
        busy = self.create("busy", command="sleep 3600")["id"]
        run = self.farm.trigger(busy)
        self.error(self.farm.delete(f"/api/tasks/{busy}"), 409, "RESOURCE_CONFLICT", "id", "live_runs")
        self.error(self.farm.delete(f"/api/tasks/{busy}?force=maybe"), 400, "VALIDATION_ERROR", "force", "enum", "maybe")
        self.data(self.farm.delete(f"/api/tasks/{busy}?force=true"))
        self.error(self.farm.get(f"/api/runs/{run}"), 404, "RESOURCE_NOT_FOUND")

    def test_trigger(self):
        task = self.create("triggered", command="echo {{word}}")["id"]
        made = self.data(self.farm.post(f"/api/tasks/{task}/trigger"), 201)
        self.check_shape(made, examples.TRIGGERED)
        self.assertEqual((made["task_id"], made["status"], made["worker_id"], made["started_at"]), (task, "pending", None, None))
        more = self.data(self.farm.post(f"/api/tasks/{task}/trigger", {"parameters": {"word": "x", "n": 1}, "priority": "high",
                                                                       "timeout_seconds": 60}), 201)
        run = self.farm.wait_run(more["run_id"])
        self.assertEqual((run["parameters"], run["priority"], run["timeout_seconds"]), ({"word": "x", "n": 1}, "high", 60))
        later = self.data(self.farm.post(f"/api/tasks/{task}/trigger", {"delay_seconds": 3600}), 201)
        waiting = self.farm.run(later["run_id"])
        self.assertEqual(waiting["status"], "pending")
        self.assertTrue(waiting["reason"])
        self.assertIsNotNone(waiting["due_at"])
        at = self.data(self.farm.post(f"/api/tasks/{task}/trigger", {"run_at": "2099-01-01T00:00:00Z"}), 201)
        self.assertEqual(self.farm.run(at["run_id"])["due_at"], "2099-01-01T00:00:00Z")

    def test_trigger_is_checked(self):
        task = self.create("checked")["id"]
        for body, field, rule in [
            ({"parameters": []}, "parameters", "type"), ({"priority": "x"}, "priority", "enum"), ({"timeout_seconds": 0}, "timeout_seconds", "range"),
            ({"delay_seconds": -1}, "delay_seconds", "range"), ({"delay_seconds": "1"}, "delay_seconds", "type"),
            ({"run_at": "tomorrow"}, "run_at", "format"), ({"run_at": 5}, "run_at", "type"),
            ({"run_at": "2099-01-01T00:00:00Z", "delay_seconds": 1}, "run_at", "exclusive"),
        ]:
            with self.subTest(body=body):
                self.error(self.farm.post(f"/api/tasks/{task}/trigger", body), 422, "VALIDATION_ERROR", field, rule)
        self.error(self.farm.post("/api/tasks/999999/trigger"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.post("/api/tasks/checked/trigger"), 400, "VALIDATION_ERROR", "id", "format", "checked")

    def test_trigger_batch(self):
        task = self.create("batched")["id"]
        items = [{"parameters": {"n": n}, "priority": "low"} for n in range(5)]
        made = self.data(self.farm.post(f"/api/tasks/{task}/trigger-batch", {"items": items}), 201)
        self.assertEqual(set(made), {"run_ids"})
        self.assertEqual(len(set(made["run_ids"])), 5)
        for index, run in enumerate(made["run_ids"]):
            self.assertEqual(self.farm.run(run)["parameters"], {"n": index})
        path = f"/api/tasks/{task}/trigger-batch"
        before = self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"]
        self.error(self.farm.post(path, {"items": []}), 422, "VALIDATION_ERROR", "items", "items")
        self.error(self.farm.post(path, {"items": [{}] * 1001}), 422, "VALIDATION_ERROR", "items", "items")
        self.error(self.farm.post(path, {}), 422, "VALIDATION_ERROR", "items", "required")
        self.error(self.farm.post(path, {"items": [{}, 5]}), 422, "VALIDATION_ERROR", "items[1]", "type")
        self.error(self.farm.post(path, {"items": [{}, {"priority": "x"}]}), 422, "VALIDATION_ERROR", "items[1].priority", "enum")
        self.assertEqual(self.data(self.farm.get(f"/api/runs?task_id={task}"))["total"], before)  # all or nothing

    def test_trigger_batch_is_checked(self):
        task = self.create("batch checked")["id"]
        path = f"/api/tasks/{task}/trigger-batch"
        for item, field, rule in [
            ({"delay_seconds": -1}, "delay_seconds", "range"), ({"delay_seconds": []}, "delay_seconds", "type"),
            ({"run_at": "soon"}, "run_at", "format"), ({"run_at": "2099-01-01T00:00:00Z", "delay_seconds": 1}, "run_at", "exclusive"),
            ({"parameters": 1}, "parameters", "type"), ({"timeout_seconds": 0}, "timeout_seconds", "range"),
            ({"idempotency_key": 7}, "idempotency_key", "type"), ({"idempotency_key": ""}, "idempotency_key", "length"),
            ({"idempotency_key": "k" * 256}, "idempotency_key", "length"),
        ]:
            with self.subTest(item=item):
                self.error(self.farm.post(path, {"items": [{}, item]}), 422, "VALIDATION_ERROR", f"items[1].{field}", rule)
        self.error(self.farm.post("/api/tasks/999999/trigger-batch", {"items": [{}]}), 404, "RESOURCE_NOT_FOUND", "id", "not_found")
        made = self.data(self.farm.post(path, {"items": [{"idempotency_key": "one", "delay_seconds": 3600}]}), 201)["run_ids"]
        again = self.data(self.farm.post(path, {"items": [{}, {"idempotency_key": "one", "delay_seconds": 3600}]}), 201)["run_ids"]
        self.assertEqual(again[1:], made)
        self.error(self.farm.post(path, {"items": [{}, {"idempotency_key": "one"}]}), 422, "VALIDATION_ERROR", "items[1].idempotency_key",
                   "key_reused")
        whole = self.data(self.farm.post(path, {"items": [{"delay_seconds": 3600}] * 1000}), 201)["run_ids"]
        self.assertEqual(len(set(whole)), 1000)
        self.data(self.farm.delete(f"/api/tasks/{task}?force=true"))

    def test_what_was_given_is_shown_whoever_refuses_it(self):
        for field, value, rule, expected in (("timezone", 5, "type", "时区名称"), ("timezone", ["UTC"], "type", "时区名称"),
                                             ("catchup", 2.5, "enum", "one, all, none"), ("concurrency_policy", "never", "enum", "allow, forbid, replace")):
            error = self.error(self.farm.post("/api/tasks", spec("refused", metadata={field: value})), 422, "VALIDATION_ERROR",
                               f"metadata.{field}", rule, value)
            self.assertIn(f"应为 {expected}", error["message"])
        for zone in ("Mars/Base", "../../etc/passwd", "UTC\n"):
            error = self.error(self.farm.post("/api/tasks", spec("refused", schedule="0 2 * * *", metadata={"timezone": zone})), 422, "VALIDATION_ERROR",
                               "metadata.timezone", "format", zone)
            self.assertIn("应为 IANA 时区名称", error["message"])
        error = self.error(self.farm.post("/api/tasks", spec("refused", tags="one")), 422, "VALIDATION_ERROR", "tags", "type", "one")
        self.assertIn("应为 字符串列表", error["message"])
        english = self.farm.post("/api/tasks", spec("refused", tags="one"), headers={"Accept-Language": "en"})
        self.assertIn("expected list of strings", english.body["error"]["message"])

    def test_a_name_finds_the_task_that_holds_it(self):
        def submitted():
            made = self.data(self.farm.post("/api/runs", {"name": "held", "task_type": "shell", "command": "true"}), 201)
            self.farm.wait_run(made["run_id"])
            return made["task_id"]

        def found():
            return [item["id"] for item in self.data(self.farm.get("/api/tasks?name=held"))["items"]]

        first, second = submitted(), submitted()
        self.assertEqual(found(), [second, first])
        holder = self.create("held")["id"]
        self.assertEqual(found(), [holder])
        self.data(self.farm.delete(f"/api/tasks/{holder}"))
        third = submitted()
        self.assertEqual(found(), [third, second, first])


class TaskLists(Contract):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for number in range(7):
            cls.farm.task(f"listed {number}", task_type="shell" if number % 2 else "python", tags=["even" if number % 2 == 0 else "odd"],
                          priority="high" if number == 3 else "normal", description=f"words about number{number}")
        paused = cls.farm.data_of(cls.farm.get("/api/tasks?search=number5"))["items"][0]["id"]
        cls.farm.post(f"/api/tasks/{paused}/pause")

    def names(self, query=""):
        return [item["name"] for item in self.data(self.farm.get("/api/tasks" + query))["items"]]

    def test_the_example(self):
        listed = self.data(self.farm.get("/api/tasks"))
        self.check_shape(listed, examples.TASK_LIST)
        self.assertEqual((listed["total"], listed["page"], listed["size"], listed["total_pages"]), (7, 1, 20, 1))
        self.assertEqual([item["name"] for item in listed["items"]], [f"listed {n}" for n in range(6, -1, -1)])

    def test_paging(self):
        listed = self.data(self.farm.get("/api/tasks?page=2&size=3"))
        self.assertEqual((listed["page"], listed["size"], listed["total"], listed["total_pages"]), (2, 3, 7, 3))
        self.assertEqual([item["name"] for item in listed["items"]], ["listed 3", "listed 2", "listed 1"])
        past = self.data(self.farm.get("/api/tasks?page=100&size=3"))
        self.assertEqual((past["items"], past["total"]), ([], 7))
        self.assertEqual(self.data(self.farm.get("/api/tasks?size=5000"))["size"], 1000)
        self.assertEqual(self.data(self.farm.get("/api/tasks?page=9223372036854775807"))["items"], [])
        for query, field in [("page=0", "page"), ("page=-1", "page"), ("page=x", "page"), ("page=", "page"), ("page=1.5", "page"),
                             ("page=9223372036854775808", "page"), ("size=0", "size"), ("size=-5", "size"), ("size=many", "size")]:
            with self.subTest(query=query):
                error = self.error(self.farm.get("/api/tasks?" + query), 400, "VALIDATION_ERROR", field, "range")
                self.assertTrue(error["message"].endswith("应为 不小于 1 的整数"), error["message"])
        self.error(self.farm.get("/api/tasks?page=1&page=2"), 400, "VALIDATION_ERROR", "page", "repeated")

    def test_filters(self):
        self.assertEqual(self.names("?status=paused"), ["listed 5"])
        self.assertEqual(self.names("?priority=high"), ["listed 3"])
        self.assertEqual(self.names("?task_type=python"), ["listed 6", "listed 4", "listed 2", "listed 0"])
        self.assertEqual(self.names("?tags=odd&status=active"), ["listed 3", "listed 1"])
        self.assertEqual(self.names("?search=number2"), ["listed 2"])
        self.assertEqual(self.names("?search=nothing+like+it"), [])
        self.assertEqual(self.names("?task_type=none"), [])
        self.error(self.farm.get("/api/tasks?status=asleep"), 400, "VALIDATION_ERROR", "status", "enum", "asleep")
        self.error(self.farm.get("/api/tasks?priority=2"), 400, "VALIDATION_ERROR", "priority", "enum")

    def test_a_name_is_matched_exactly(self):
        self.assertEqual(self.names("?name=listed+3"), ["listed 3"])
        self.assertEqual(self.names("?name=listed"), [])
        self.assertEqual(self.names("?name=listed+5&status=active"), [])
        self.assertEqual(self.names("?name=listed+5&status=paused&priority=normal&task_type=shell&tags=odd&search=words"), ["listed 5"])
        self.error(self.farm.get("/api/tasks?name=a&name=b"), 400, "VALIDATION_ERROR", "name", "repeated")

    def test_what_is_too_long_to_be_found(self):
        for path, field, most in (("tasks", "name", 200), ("tasks", "task_type", 64), ("tasks", "tags", 4096), ("tasks", "search", 256),
                                  ("runs", "worker_id", 64), ("workers", "task_type", 64), ("workers", "hostname", 255)):
            with self.subTest(path=path, field=field):
                self.assertEqual(self.data(self.farm.get(f"/api/{path}?{field}={'x' * most}"))["items"], [])
                for length in (most + 1, 7000):
                    self.error(self.farm.get(f"/api/{path}?{field}={'x' * length}"), 400, "VALIDATION_ERROR", field, "length")

    def test_sorting(self):
        self.assertEqual(self.names("?order=asc")[0], "listed 0")
        for sort in ("id", "name", "created_at"):
            self.assertEqual(self.names(f"?sort={sort}&order=asc"), [f"listed {n}" for n in range(7)], sort)
            self.assertEqual(self.names(f"?sort={sort}"), [f"listed {n}" for n in range(6, -1, -1)], sort)
        self.assertEqual(self.names("?sort=priority")[0], "listed 3")
        for sort in ("status", "updated_at", "next_run_at", "task_type"):
            self.assertEqual(len(self.names(f"?sort={sort}&order=asc")), 7, sort)
        error = self.error(self.farm.get("/api/tasks?sort=colour"), 400, "VALIDATION_ERROR", "sort", "sort", "colour")
        self.assertIn("created_at", error["message"])
        self.error(self.farm.get("/api/tasks?order=up"), 400, "VALIDATION_ERROR", "order", "enum")


if __name__ == "__main__":
    import unittest
    unittest.main()


class Reach(Contract):
    """A store that may read little: what a page lies behind is more than that."""

    options = {"store_query_rows": 100, "workers": 0}

    def test_a_page_out_of_reach_is_refused(self):
        for i in range(240):
            fields = {"priority": "low"} if i < 120 else {"priority": "high", "task_type": "python", "executor": "python"}
            self.data(self.farm.post("/api/tasks", spec(f"task {i:03}", **fields)), 201)
        for sort in ("name", "updated_at", "next_run_at", "created_at"):  # one filter, in any order
            for order in ("asc", "desc"):
                page = self.data(self.farm.get(f"/api/tasks?priority=low&sort={sort}&order={order}"))
                self.assertEqual((page["total"], len(page["items"])), (120, 20))
                self.assertNotIn("total_is_lower_bound", page)
                self.assertEqual({task["priority"] for task in page["items"]}, {"low"})
        for sort, field in (("name", "sort"), ("created_at", "page")):  # two that have nothing in common: it cannot know
            path = f"/api/tasks?priority=low&task_type=python&sort={sort}"
            page = self.data(self.farm.get(path))
            self.assertEqual((page["items"], page["total"], page["total_is_lower_bound"]), ([], 0, True))
            path += "&page=2"
            given = {"sort": sort, "page": "2"}[field]
            error = self.error(self.farm.get(path), 400, "VALIDATION_ERROR", field, "reach", given)
            self.assertIn("请缩小过滤条件", error["message"])
            error = self.error(self.farm.get(path, headers={"Accept-Language": "en"}), 400, "VALIDATION_ERROR", field, "reach", given)
            self.assertIn("narrow the filter", error["message"])


class Names(Contract):
    """One name that more single runs have had than the store may read."""

    options = {"store_query_rows": 100}

    def test_a_name_of_more_runs_than_may_be_read(self):
        for _ in range(120):
            run = self.data(self.farm.post("/api/runs", {"name": "single", "task_type": "shell", "command": "true"}), 201)["run_id"]
            self.farm.wait_run(run)
        page = self.data(self.farm.get("/api/tasks?name=single"))
        self.assertEqual((page["total"], len(page["items"])), (120, 20))
