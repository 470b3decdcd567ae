"""/api/events: the live stream, and the page of what is kept."""

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.receiver import Stream


class Events(Contract):
    def stream(self, query="", **headers):
        stream = Stream(self.farm, query, {name.replace("_", "-"): value for name, value in headers.items()})
        self.addCleanup(stream.close)
        self.assertEqual(stream.response.status, 200)
        self.assertTrue(stream.response.headers["Content-Type"].startswith("text/event-stream"))
        return stream

    def newest(self):
        return self.data(self.farm.get("/api/events?follow=false&size=1"))["items"][0]["id"]

    def test_what_happens_comes_live(self):
        stream = self.stream(f"?after={self.newest()}")
        task = self.farm.task("live")
        run = self.farm.trigger(task)
        self.farm.wait_run(run, "completed")
        wanted = ["task.created", "task.triggered", "run.started", "task.completed"]
        wait_for(lambda: [t for t in stream.types() if t in wanted] == wanted, 20, "all four in order")
        ids = [number for number, _, _ in stream.events]
        self.assertEqual(ids, sorted(set(ids)))
        for number, kind, data in stream.events:
            self.assertEqual((set(data), data["event"]), ({"event", "timestamp", "data"}, kind))
        done = next(data for _, kind, data in stream.events if kind == "task.completed")
        self.assertEqual((done["data"]["task_id"], done["data"]["task_name"], done["data"]["run_id"]), (task, "live", run))

    def test_without_a_position_only_what_comes(self):
        self.farm.task("earlier")
        stream = self.stream("?type=task.created")
        wait_for(lambda: self.farm.task(f"later-{len(stream.events)}-{self.newest()}") and stream.events, 20, "an event")
        self.assertNotIn("earlier", [data["data"]["task_name"] for _, _, data in stream.events])

    def test_filters(self):
        after = self.newest()
        tasks = [self.farm.task(f"filter-{n}") for n in range(2)]
        runs = [self.farm.trigger(task) for task in tasks]
        for run in runs:
            self.farm.wait_run(run, "completed")
        one = self.stream(f"?after={after}&task_id={tasks[1]}")
        two = self.stream(f"?after={after}&run_id={runs[0]}&type=task.completed,task.failed")
        three = self.stream(f"?after={after}&type=run.*")
        wait_for(lambda: "task.completed" in one.types() and two.events and len(three.events) >= 2, 20, "all of them")
        self.assertEqual({data["data"]["task_id"] for _, _, data in one.events}, {tasks[1]})
        self.assertEqual([(kind, data["data"]["run_id"]) for _, kind, data in two.events], [("task.completed", runs[0])])
        self.assertEqual(set(three.types()), {"run.started"})

    def test_resuming(self):
        after = self.newest()
        for n in range(5):
            self.farm.task(f"resume-{n}")
        first = self.stream(f"?after={after}&type=task.created")
        wait_for(lambda: len(first.events) == 5, 20, "five")
        middle = first.events[2][0]
        for stream in (self.stream("?type=task.created", Last_Event_ID=str(middle)), self.stream(f"?type=task.created&after={middle}")):
            wait_for(lambda: len(stream.events) >= 2, 20, "the rest")
            self.assertEqual([data["data"]["task_name"] for _, _, data in stream.events], ["resume-3", "resume-4"])

    def test_resuming_behind_what_is_there(self):
        """An id of a database that is no more (another farm, a restored backup): what happens from now on follows."""
        for stream in (self.stream("?after=999999999&type=task.created"), self.stream("?type=task.created", Last_Event_ID="999999999")):
            name = f"behind-{id(stream)}"
            self.farm.task(name)
            wait_for(lambda: name in [data["data"]["task_name"] for _, _, data in stream.events], 20, "what happened since")

    def test_heartbeats_only_by_name(self):
        named, unnamed = self.stream("?type=worker.heartbeat"), self.stream()
        wait_for(lambda: named.events, 30, "a heartbeat")
        number, kind, data = named.events[0]
        self.assertEqual((number, kind, data["data"]["worker_id"]), (None, "worker.heartbeat", "worker-001"))
        self.assertNotIn("worker.heartbeat", unnamed.types())

    def test_a_page_of_what_is_kept(self):
        task = self.farm.task("paged")
        page = self.data(self.farm.get(f"/api/events?follow=false&task_id={task}"))
        self.assertEqual((page["total"], page["items"][0]["event"], page["items"][0]["data"]["task_name"]), (1, "task.created", "paged"))
        self.assertEqual(set(page["items"][0]), {"id", "event", "timestamp", "data"})
        number = page["items"][0]["id"]
        behind = self.data(self.farm.get(f"/api/events?follow=false&order=asc&after={number - 1}&size=1"))["items"]
        self.assertEqual([item["id"] for item in behind], [number])
        self.assertTrue(self.data(self.farm.get("/api/events?follow=false&type=worker.registered"))["items"])

    def test_a_page_of_what_begins_alike(self):
        run = self.farm.trigger(self.farm.task("alike"))
        self.farm.wait_run(run, "completed")
        page = self.data(self.farm.get("/api/events?follow=false&type=task.*&size=1000"))
        self.assertEqual({item["event"].split(".")[0] for item in page["items"]}, {"task"})
        self.assertLessEqual({"task.created", "task.triggered", "task.completed"}, {item["event"] for item in page["items"]})
        def counts():
            every = self.data(self.farm.get("/api/events?follow=false&size=1000"))["items"]
            total = self.data(self.farm.get("/api/events?follow=false&type=task.*&size=1"))["total"]
            return total == len([item for item in every if item["event"].startswith("task.")])

        wait_for(counts, what="the same count in both")  # runs of other tests may still be ending
        self.assertEqual(self.data(self.farm.get(f"/api/events?follow=false&type=run.*&run_id={run}"))["total"], 1)

    def test_refusals(self):
        for query, field in [("type=task.exploded", "type"), ("type=*x", "type"), ("task_id=0", "task_id"), ("run_id=x", "run_id"), ("after=-1", "after"),
                             ("follow=maybe", "follow"), ("follow=false&page=0", "page"), ("follow=false&type=tusk.*", "type"),
                             ("follow=false&type=*", "type"), ("follow=false&type=task.failed,task.created", "type"),
                             ("follow=false&sort=colour", "sort")]:
            with self.subTest(query=query):
                self.error(self.farm.get("/api/events?" + query), 400, "VALIDATION_ERROR", field)
        self.error(self.farm.get("/api/events", headers={"Last-Event-ID": "soon"}), 400, "VALIDATION_ERROR", "Last-Event-ID")


class Many(Contract):
    options = {"http_connections": 4}

    def test_streams_leave_connections_to_others(self):
        run = self.farm.trigger(self.farm.task("followed"))
        streams = []

        def refused(path):
            """A connection that was closed a moment ago may still have its place."""
            answer = self.farm.get(path)
            return answer if answer.status != 503 else None

        while len(streams) < 3:
            stream = Stream(self.farm, "", {})
            self.addCleanup(stream.close)
            streams += [stream] if stream.response.status == 200 else []
        for path in ("/api/events", f"/api/runs/{run}/logs?follow=true"):
            self.error(wait_for(lambda: refused(path), what="an answer"), 429, "SYSTEM_ERROR", rule="streams")
        self.assertEqual(wait_for(lambda: refused("/api/events?follow=false"), what="an answer").status, 200)


class Cut(Contract):
    options = {"events_max": 1000}

    def test_what_is_gone_is_counted(self):
        task = self.farm.task("many", task_type="nobody")
        for _ in range(2):
            self.data(self.farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{}] * 1000}), 201)
        stream = Stream(self.farm, "?after=0")
        self.addCleanup(stream.close)
        wait_for(lambda: stream.events, 20, "what is kept")
        number, kind, data = stream.events[0]
        self.assertEqual(kind, "cut")
        self.assertEqual(data["missing"], number)
        oldest = self.data(self.farm.get("/api/events?follow=false&order=asc&size=1"))["items"][0]["id"]
        self.assertLessEqual(number, oldest)
        wait_for(lambda: len(stream.events) >= 1000, 20, "all of it")
        ids = [one for one, _, _ in stream.events[1:]]
        self.assertEqual(ids, list(range(number + 1, number + 1 + len(ids))))
