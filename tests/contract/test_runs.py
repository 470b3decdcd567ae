"""/api/runs and their logs."""

import datetime
import http.client
import json
import threading

from tests.contract import examples
from tests.contract.base import Contract
from tests.farm import SLOW, wait_for


class Runs(Contract):
    def submit(self, command, status=201, **fields):
        return self.data(self.farm.post("/api/runs", dict({"task_type": "shell", "command": command, "retry_count": 0}, **fields)), status)

    def test_the_example(self):
        task = self.farm.task("exemplary", "echo 开始处理数据; echo 数据处理完成")
        run = self.farm.trigger(task, parameters={"input": "data.csv", "output": "processed_data.csv"})
        self.farm.wait_run(run)
        got = self.data(self.farm.get(f"/api/runs/{run}"))
        self.check_shape(got, examples.RUN_DETAIL, more=examples.RUN_MORE)
        self.assertEqual((got["status"], got["result"], got["retry_count"], got["error_message"]), ("completed", "数据处理完成", 0, None))
        self.assertEqual([line["message"] for line in got["logs"]], ["开始处理数据", "数据处理完成"])
        self.assertEqual(got["parameters"], {"input": "data.csv", "output": "processed_data.csv"})
        self.assertEqual((got["attempt"], len(got["attempts"]), got["progress"]), (1, 1, 100))
        attempt = got["attempts"][0]
        self.assertEqual((attempt["outcome"], attempt["exit_code"], attempt["signal"], attempt["worker_id"]),
                         ("completed", 0, None, got["worker_id"]))
        listed = self.data(self.farm.get(f"/api/runs?task_id={task}"))
        self.check_shape(listed, examples.RUN_LIST)
        self.assertEqual({k: got[k] for k in listed["items"][0]}, listed["items"][0])

    def test_submit(self):
        made = self.submit("echo hi", name="named", priority="high", parameters={"a": 1}, env={"A": "b"})
        self.check_shape(made, examples.TRIGGERED)
        run = self.farm.wait_run(made["run_id"])
        self.assertEqual((run["status"], run["task_name"], run["priority"], run["parameters"]), ("completed", "named", "high", {"a": 1}))
        task = self.data(self.farm.get(f"/api/tasks/{made['task_id']}"))
        self.assertEqual((task["status"], task["executor"], task["name"], task["oneshot"]), ("completed", "shell", "named", True))
        unnamed = self.submit("exit 3")
        failed = self.farm.wait_run(unnamed["run_id"])
        self.assertEqual((failed["status"], failed["attempts"][0]["exit_code"]), ("failed", 3))
        killed = self.farm.wait_run(self.submit("kill -9 $$")["run_id"])["attempts"][0]
        self.assertEqual((killed["exit_code"], killed["signal"]), (None, 9))
        self.assertTrue(failed["task_name"])
        self.assertTrue(failed["error_message"])
        self.assertEqual(self.data(self.farm.get(f"/api/tasks/{unnamed['task_id']}"))["status"], "failed")
        later = self.submit("true", delay_seconds=600)
        self.assertEqual(self.farm.run(later["run_id"])["status"], "pending")

    def test_submit_waits_for_its_dependencies(self):
        first = self.farm.task("waited-for", "true")
        made = self.submit("true", dependencies=[first])
        waiting = self.farm.run(made["run_id"])
        self.assertEqual(waiting["status"], "pending")
        self.assertIn("waited-for", waiting["reason"])
        self.farm.wait_run(self.farm.trigger(first))
        self.assertEqual(self.farm.wait_run(made["run_id"])["status"], "completed")

    def test_the_task_of_a_submitted_run_is_a_task(self):
        made = [self.submit("echo x") for _ in range(2)]
        for one in made:
            self.farm.wait_run(one["run_id"])
        first, second = (f"/api/tasks/{one['task_id']}" for one in made)
        self.assertEqual(self.data(self.farm.put(first, {"description": "kept"}))["description"], "kept")
        again = self.data(self.farm.post(f"{first}/trigger"), 201)
        self.assertEqual(self.farm.wait_run(again["run_id"])["status"], "completed")
        self.assertEqual(self.data(self.farm.get(first))["statistics"]["total_runs"], 2)
        self.data(self.farm.delete(second))
        self.error(self.farm.get(second), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.get(f"/api/runs/{made[1]['run_id']}"), 404, "RESOURCE_NOT_FOUND")

    def test_submit_is_checked(self):
        for body, field in [({}, "task_type"), ({"task_type": "shell"}, "command"), ({"task_type": 1, "command": "x"}, "task_type"),
                            ({"task_type": "shell", "command": "x", "delay_seconds": -1}, "delay_seconds"),
                            ({"task_type": "shell", "command": "x", "executor": "cobol"}, "executor"),
                            ({"task_type": "shell", "command": "x", "schedule": "@hourly"}, "schedule"),
                            ({"task_type": "shell", "command": "x", "dependencies": ["nobody"]}, "dependencies")]:
            with self.subTest(body=body):
                self.error(self.farm.post("/api/runs", body), 422, "VALIDATION_ERROR", field)

    def test_filters_and_paging(self):
        task = self.farm.task("counted", "echo x")
        other = self.farm.task("failing", "exit 1")
        runs = [self.farm.trigger(task) for _ in range(5)]
        bad = self.farm.trigger(other)
        made = [datetime.date.fromisoformat(self.farm.wait_run(run)["created_at"][:10]) for run in runs + [bad]]

        def ids(query):
            return [item["id"] for item in self.data(self.farm.get("/api/runs?" + query))["items"]]

        self.assertEqual(ids(f"task_id={task}"), runs[::-1])
        self.assertEqual(ids(f"task_id={task}&order=asc"), runs)
        self.assertEqual(ids(f"task_id={task}&sort=id&order=asc&page=2&size=2"), runs[2:4])
        for sort in ("created_at", "started_at", "completed_at", "status", "task_id", "worker_id"):
            self.assertEqual(sorted(ids(f"task_id={task}&sort={sort}")), runs)
        self.assertEqual(ids(f"task_id={other}&status=failed"), [bad])
        self.assertEqual(ids(f"task_id={task}&status=failed"), [])
        worker = self.farm.run(bad)["worker_id"]
        self.assertIn(bad, ids(f"worker_id={worker}&size=1000"))
        self.assertEqual(ids("worker_id=worker-999"), [])
        day = datetime.timedelta(days=1)
        self.assertEqual(len(ids(f"task_id={task}&start_date={made[0] - day}&end_date={made[-1] + day}")), 5)
        self.assertEqual(ids(f"task_id={task}&start_date={made[-1] + day}"), [])
        self.assertEqual(ids(f"task_id={task}&end_date={made[0] - day}"), [])
        # An end date is inclusive: everything of that day counts.
        self.assertEqual(len(ids(f"task_id={task}&start_date={made[0] - day}&end_date={made[-1]}")), 5)
        for query, field in [("task_id=0", "task_id"), ("task_id=x", "task_id"), ("status=done", "status"), ("start_date=yesterday", "start_date"),
                             ("end_date=2024-13-01", "end_date"), ("sort=result", "sort"), ("order=1", "order"), ("page=0", "page")]:
            with self.subTest(query=query):
                self.error(self.farm.get("/api/runs?" + query), 400, "VALIDATION_ERROR", field)

    def test_a_list_tells_what_is_true_this_second(self):
        flag = self.farm.data / "listed-enough"
        running = self.submit(f"echo percent=30 >&$GANTRY_PROGRESS_FD; while [ ! -e {flag} ]; do sleep 0.05; done")["run_id"]
        waiting = self.submit("true", delay_seconds=600)["run_id"]
        over = self.submit("true")["run_id"]
        self.farm.wait_run(over)
        wait_for(lambda: self.farm.run(running)["progress"] == 30, what="progress")

        def items():
            return {item["id"]: item for item in self.data(self.farm.get("/api/runs?size=100"))["items"]}

        listed = items()
        self.assertEqual((listed[running]["progress"], "reason" in listed[running]), (30, False))
        self.assertEqual((listed[waiting]["reason"], "progress" in listed[waiting]), (self.farm.run(waiting)["reason"], False))
        self.assertTrue(listed[waiting]["reason"])
        self.assertEqual(set(listed[over]), set(examples.RUN_LIST["items"][0]))
        self.farm.stop("scheduler")
        self.addCleanup(self.farm.wait_ready)
        self.addCleanup(self.farm.cont, "scheduler")
        without = items()  # the list is the store's
        self.assertEqual(set(without), set(listed))
        self.assertNotIn("reason", without[waiting])
        flag.touch()

    def test_restart(self):
        run = self.farm.trigger(self.farm.task("repeated", "echo again"), parameters={"p": 1})
        self.farm.wait_run(run)
        made = self.data(self.farm.post(f"/api/runs/{run}/restart"), 201)
        self.check_shape(made, examples.RESTARTED)
        self.assertEqual((made["original_run_id"], made["status"]), (run, "pending"))
        self.assertNotEqual(made["new_run_id"], run)
        again = self.farm.wait_run(made["new_run_id"])
        self.assertEqual((again["status"], again["parameters"], again["restart_of"]), ("completed", {"p": 1}, run))
        # One whose task was made for it alone, and which nobody keeps in memory any more.
        alone = self.submit("echo alone")["run_id"]
        self.farm.wait_run(alone)
        made = self.data(self.farm.post(f"/api/runs/{alone}/restart", {}), 201)
        self.assertEqual(self.farm.wait_run(made["new_run_id"])["status"], "completed")
        waiting = self.submit("true", delay_seconds=600)["run_id"]
        self.error(self.farm.post(f"/api/runs/{waiting}/restart"), 409, "RESOURCE_CONFLICT", "id", "not_final")
        self.error(self.farm.post("/api/runs/999999/restart"), 404, "RESOURCE_NOT_FOUND", "id")

    def test_abort(self):
        run = self.submit("sleep 3600", timeout_seconds=3700)["run_id"]
        self.farm.wait_run(run, "running")
        aborted = self.data(self.farm.post(f"/api/runs/{run}/abort", {"reason": "enough"}))
        self.check_shape(aborted, examples.ABORTED)
        self.assertEqual((aborted["id"], aborted["status"], aborted["message"]), (run, "aborted", "任务运行已中止"))
        self.assertEqual(self.farm.wait_run(run)["status"], "aborted")
        self.error(self.farm.post(f"/api/runs/{run}/abort"), 409, "RESOURCE_CONFLICT", "id", "final")
        waiting = self.submit("true", delay_seconds=600)["run_id"]
        english = self.farm.post(f"/api/runs/{waiting}/abort", headers={"Accept-Language": "en"})
        self.assertEqual(self.data(english)["message"], "Task run aborted")
        self.error(self.farm.post("/api/runs/999999/abort"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.post(f"/api/runs/{run}/abort", {"reason": 5}), 422, "VALIDATION_ERROR", "reason", "type")

    def test_ids_are_strict(self):
        for path in ("0", "-1", "1.5", "abc", "9223372036854775808", "%31x", "1%20"):
            with self.subTest(path=path):
                self.error(self.farm.get(f"/api/runs/{path}"), 400, "VALIDATION_ERROR", "id", "format")
        self.error(self.farm.get("/api/runs/999999"), 404, "RESOURCE_NOT_FOUND", "id", "not_found", "999999")


class Logs(Contract):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.task = cls.farm.task("chatty", "i=0; while [ $i -lt 250 ]; do echo line $i; i=$((i+1)); done")
        cls.run_id = cls.farm.trigger(cls.task)
        cls.farm.wait_run(cls.run_id)

    def logs(self, query=""):
        return self.data(self.farm.get(f"/api/runs/{self.run_id}/logs{query}"))

    def test_pages(self):
        first = self.logs()
        self.assertEqual((first["total"], first["page"], first["size"], first["total_pages"], first["cut"]), (250, 1, 100, 3, 0))
        self.assertEqual([line["message"] for line in first["items"]], [f"line {n}" for n in range(100)])
        self.assertEqual(set(first["items"][0]), {"position", "attempt", "seq", "timestamp", "level", "stream", "message"})
        last = self.logs("?page=3&size=100")
        self.assertEqual([line["message"] for line in last["items"]], [f"line {n}" for n in range(200, 250)])
        self.assertIs(last["end"], True)
        past = self.logs("?page=9&size=100")
        self.assertEqual((past["items"], past["total"]), ([], 250))
        self.assertEqual(self.logs("?page=9223372036854775807&size=1000")["items"], [])
        self.assertEqual(self.logs("?page=6&size=50")["items"], [])

    def test_backwards(self):
        def messages(query):
            return [line["message"] for line in self.logs(query)["items"]]

        whole = [f"line {n}" for n in range(249, -1, -1)]
        self.assertEqual(messages("?order=desc&size=1000"), whole)
        for size in (100, 64, 250, 1):
            for page in (1, 2, 3, 4):
                self.assertEqual(messages(f"?order=desc&size={size}&page={page}"), whole[(page - 1) * size:page * size], (size, page))
        self.assertEqual(messages("?order=desc&page=9223372036854775807"), [])
        self.assertEqual(self.logs("?order=desc&page=3")["total_pages"], 3)
        self.assertEqual(messages("?order=desc&newest=true&limit=3"), whole[:3])
        first = self.logs("?size=1")["items"][0]["position"]
        self.assertEqual(messages(f"?order=desc&after={first}&limit=3"), ["line 3", "line 2", "line 1"])
        self.assertEqual(messages("?order=asc&size=2"), ["line 0", "line 1"])
        self.error(self.farm.get(f"/api/runs/{self.run_id}/logs?order=desc&follow=true"), 400, "VALIDATION_ERROR", "order", "exclusive")
        self.error(self.farm.get(f"/api/runs/{self.run_id}/logs?order=up"), 400, "VALIDATION_ERROR", "order", "enum")

    def test_cursor(self):
        seen, after = [], 0
        while True:
            part = self.logs(f"?after={after}&limit=64")
            self.assertNotIn("page", part)
            seen += [line["message"] for line in part["items"]]
            after = part["next"]
            if part["end"]:
                break
        self.assertEqual(seen, [f"line {n}" for n in range(250)])
        newest = self.logs("?newest=true&limit=2")
        self.assertEqual([line["message"] for line in newest["items"]], ["line 248", "line 249"])
        detail = self.farm.run(self.run_id)
        self.assertEqual([line["message"] for line in detail["logs"]], [f"line {n}" for n in range(150, 250)])

    def test_refusals(self):
        base = f"/api/runs/{self.run_id}/logs"
        for query, field in [("page=0", "page"), ("size=0", "size"), ("after=-1", "after"), ("after=x", "after"), ("limit=0", "limit"),
                             ("follow=perhaps", "follow")]:
            with self.subTest(query=query):
                self.error(self.farm.get(f"{base}?{query}"), 400, "VALIDATION_ERROR", field)
        self.error(self.farm.get("/api/runs/999999/logs"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.get("/api/runs/999999/logs?follow=true"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.get(f"{base}?follow=true", headers={"Last-Event-ID": "yesterday"}), 400, "VALIDATION_ERROR", "Last-Event-ID")

    def events(self, text):
        """[(event, id, data)] of a stream; comments are left out."""
        found = []
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
        return found

    def test_follow_a_run_that_is_over(self):
        answer = self.farm.get(f"/api/runs/{self.run_id}/logs?follow=true")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
        events = self.events(answer.body)
        lines = [data for kind, _, data in events if kind == "log"]
        self.assertEqual([line["message"] for line in lines], [f"line {n}" for n in range(250)])
        self.assertEqual([int(number) for kind, number, _ in events if kind == "log"], [line["position"] for line in lines])
        self.assertEqual(events[-1][0], "end")
        self.assertEqual(events[-1][2], {"status": "completed"})
        middle = lines[99]["position"]
        for more in ({"headers": {"Last-Event-ID": str(middle)}}, {"path": f"&after={middle}"}):
            rest = self.events(self.farm.get(f"/api/runs/{self.run_id}/logs?follow=true" + more.pop("path", ""), **more).body)
            self.assertEqual([data["message"] for kind, _, data in rest if kind == "log"], [f"line {n}" for n in range(100, 250)])
        head = self.farm.request("HEAD", f"/api/runs/{self.run_id}/logs?follow=true")
        self.assertEqual((head.status, head.body), (200, ""))

    def open_stream(self, run):
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW)
        connection.request("GET", f"/api/runs/{run}/logs?follow=true")
        return connection, connection.getresponse()

    def test_follow_live(self):
        flag = self.farm.data / "go-on"
        task = self.farm.task("live", f"echo first; while [ ! -e {flag} ]; do sleep 0.05; done; echo second")
        run = self.farm.trigger(task)
        connection, response = self.open_stream(run)
        text = b""
        while b"first" not in text:  # it comes while the run goes on
            text += response.readline()
        self.assertEqual(self.farm.run(run)["status"], "running")
        flag.touch()
        text += response.read()
        connection.close()
        events = self.events(text.decode())
        self.assertEqual([data["message"] for kind, _, data in events if kind == "log"], ["first", "second"])
        self.assertEqual(events[-1], ("end", None, {"status": "completed"}))
        statuses = [data["status"] for kind, _, data in events if kind == "status"]
        self.assertEqual(statuses[-1], "completed")

    def test_progress_is_told(self):
        flag = self.farm.data / "half-way"
        begin = self.farm.data / "begin"
        task = self.farm.task("measured", f"echo started; while [ ! -e {begin} ]; do sleep 0.05; done; "
                                          f"echo percent=42 >&$GANTRY_PROGRESS_FD; while [ ! -e {flag} ]; do sleep 0.05; done")
        run = self.farm.trigger(task)
        wait_for(lambda: self.farm.run(run)["status"] == "running", what="the run to start")
        self.assertIsNone(self.farm.run(run)["progress"])  # nobody has told one
        begin.touch()
        wait_for(lambda: self.farm.run(run)["progress"] == 42, what="progress in the run's detail")
        connection, response = self.open_stream(run)
        text = b""
        while b'"progress":42' not in text:
            text += response.readline()
        flag.touch()
        response.read()
        connection.close()

    def test_followers_may_leave(self):
        flag = self.farm.data / "never"
        run = self.farm.trigger(self.farm.task("endless", f"echo on; while [ ! -e {flag} ]; do sleep 0.05; done"))
        streams = [self.open_stream(run) for _ in range(20)]
        for connection, response in streams:
            response.readline()
        for connection, response in streams:
            response.close()
            connection.close()
        stayed, response = self.open_stream(run)
        self.data(self.farm.post(f"/api/runs/{run}/abort"))
        self.assertEqual(self.events(response.read().decode())[-1], ("end", None, {"status": "aborted"}))
        stayed.close()

    def test_a_gateway_that_ends_ends_its_streams(self):
        flag = self.farm.data / "never-ever"
        run = self.farm.trigger(self.farm.task("outliving", f"echo on; while [ ! -e {flag} ]; do sleep 0.05; done"))
        streams = [self.open_stream(run) for _ in range(5)]
        for _, response in streams:
            response.readline()
        self.assertEqual(self.farm.terminate("gateway"), 0)
        for connection, response in streams:
            self.assertNotIn(b"event: end", response.read())
            connection.close()
        self.farm.start("gateway")
        self.farm.wait_ready()
        self.data(self.farm.post(f"/api/runs/{run}/abort"))

    def test_many_followers_of_one_run(self):
        flag = self.farm.data / "all-here"
        run = self.farm.trigger(self.farm.task("watched", f"while [ ! -e {flag} ]; do sleep 0.05; done; echo seen by all"))
        texts = [None] * 12

        def watch(index):
            connection, response = self.open_stream(run)
            texts[index] = response.read().decode()
            connection.close()

        threads = [threading.Thread(target=watch, args=(index,)) for index in range(len(texts))]
        for thread in threads:
            thread.start()
        flag.touch()
        for thread in threads:
            thread.join()
        for text in texts:
            self.assertIn("seen by all", text)
            self.assertIn("event: end", text)


class Cut(Contract):
    """Where lines are no longer kept, readers and followers are told how many."""

    options = {"store_log_lines": 100}

    def missing(self, run, query):
        return [line.get("missing", 0) for line in self.data(self.farm.get(f"/api/runs/{run}/logs?{query}"))["items"]]

    def test_gaps_are_marked(self):
        run = self.farm.trigger(self.farm.task("flood", "seq 1000"))
        self.farm.wait_run(run)
        self.assertEqual(self.missing(run, "size=1000"), [900] + 99 * [0])
        self.assertEqual(self.missing(run, "size=10&page=2"), 10 * [0])
        attempt = 1 << 32
        self.assertEqual(self.missing(run, f"after={attempt + 300}&limit=2"), [600, 0])
        self.assertEqual(self.missing(run, f"after={attempt + 900}&limit=2"), [0, 0])
        self.assertEqual(self.missing(run, "newest=true&limit=2"), [0, 0])
        self.assertEqual(self.missing(run, "size=1000&order=desc"), 99 * [0] + [900])
        for query, wanted in (("", [900]), (f"&after={attempt + 300}", [600]), (f"&after={attempt + 900}", [])):
            text = self.farm.get(f"/api/runs/{run}/logs?follow=true{query}").body
            events = [block.split("\n") for block in text.split("\n\n")]
            cuts = [json.loads(lines[1].removeprefix("data: ")) for lines in events if lines[0] == "event: cut"]
            self.assertEqual(cuts, [{"missing": number} for number in wanted])
            self.assertEqual(text.count("event: log\n"), 100)

    def test_of_earlier_attempts_nothing_may_be_left(self):
        flag = self.farm.data / "once"
        run = self.farm.trigger(self.farm.task("twice", f"seq 150; [ -e {flag} ] || {{ touch {flag}; exit 1; }}", retry_count=1))
        self.farm.wait_run(run)
        total = self.data(self.farm.get(f"/api/runs/{run}/logs?size=1000"))
        self.assertEqual(total["items"][0]["attempt"], 2)
        self.assertEqual(total["items"][0]["missing"], total["cut"])
        self.assertGreaterEqual(total["cut"], 200)


if __name__ == "__main__":
    import unittest
    unittest.main()
