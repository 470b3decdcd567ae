"""/api/tasks/{id}/fires and fire-times, /api/schedules/preview: what came of a schedule's due times, and the next ones."""

import datetime
import time
import urllib.parse

from tests.contract.base import TIME, Contract
from tests.farm import wait_for

FIRE = {"id", "task_id", "due_at", "last_due_at", "count", "outcome", "reason", "detail", "run_id", "decided_at"}


class Fires(Contract):
    def fires(self, task, query=""):
        return self.data(self.farm.get(f"/api/tasks/{task}/fires{query}"))

    def preview(self, schedule, **more):
        return self.preview_in("en", schedule, **more)

    def preview_in(self, language, schedule, **more):
        query = urllib.parse.urlencode(dict(more, schedule=schedule))
        return self.farm.get("/api/schedules/preview?" + query, headers={"Accept-Language": language})

    def test_the_ledger(self):
        # Each has a run, however long a scheduler that stands still keeps them waiting; some of them are in time.
        task = self.farm.task("each second", "true", schedule="@every 1s", metadata={"catchup": "all"})
        wait_for(lambda: self.fires(task)["total"] >= 3 and any(fire["reason"] is None for fire in self.fires(task, "?size=1000")["items"]),
                 what="three due times")
        self.data(self.farm.post(f"/api/tasks/{task}/pause"))
        page = self.fires(task, "?size=2&order=asc")
        self.assertEqual((len(page["items"]), page["page"], page["size"]), (2, 1, 2))
        first = page["items"][0]
        self.assertEqual(set(first), FIRE)
        self.assertEqual((first["task_id"], first["count"], first["outcome"], first["detail"]), (task, 1, "ran", None))
        self.assertEqual(first["due_at"], first["last_due_at"])
        for name in ("due_at", "decided_at"):
            self.assertRegex(first[name], TIME)
        self.assertEqual(self.farm.run(first["run_id"])["task_id"], task)
        newest = self.fires(task)["items"][0]
        self.assertGreater(newest["id"], first["id"])
        runs = {self.fires(task, f"?size=1&page={n}")["items"][0]["run_id"] for n in (1, 2, 3)}
        self.assertEqual(len(runs), 3)
        self.assertEqual(self.fires(task, "?outcome=skipped")["total"], 0)
        self.assertGreaterEqual(self.fires(task, "?outcome=ran&sort=due_at")["total"], 3)

    def test_what_a_pause_skips_is_one_entry(self):
        task = self.farm.task("paused for a while", "true", schedule="@every 1s")
        self.data(self.farm.post(f"/api/tasks/{task}/pause"))
        before = self.fires(task)["total"]
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 2.5, what="due times")
        self.data(self.farm.post(f"/api/tasks/{task}/resume"))
        skipped = self.fires(task, "?outcome=skipped")
        paused = [entry for entry in skipped["items"] if entry["reason"] == "paused"]  # others may have been late
        self.assertEqual(len(paused), 1)
        entry = paused[0]
        self.assertIsNone(entry["run_id"])
        self.assertGreaterEqual(entry["count"], 2)
        self.assertGreater(entry["last_due_at"], entry["due_at"])
        self.assertGreaterEqual(self.fires(task)["total"], before + 1)

    def test_dates(self):
        task = self.farm.task("dated", "true", schedule="@every 1s")
        wait_for(lambda: self.fires(task)["total"] >= 1, what="a due time")
        self.data(self.farm.post(f"/api/tasks/{task}/pause"))
        total = self.fires(task)["total"]
        day = datetime.timedelta(days=1)
        today = datetime.datetime.now(datetime.timezone.utc).date()
        self.assertEqual(self.fires(task, f"?start_date={today - day}&end_date={today + day}")["total"], total)
        self.assertEqual(self.fires(task, f"?start_date={today + day}")["total"], 0)
        self.assertEqual(self.fires(task, f"?end_date={today - day - day}")["total"], 0)
        due = self.fires(task)["items"][0]["due_at"]
        self.assertEqual(self.fires(task, f"?start_date={due}&end_date={due[:-1]}.999Z")["total"], 1)

    def test_they_go_with_the_task(self):
        task = self.farm.task("short-lived", "true", schedule="@every 1s")
        wait_for(lambda: self.fires(task)["total"] >= 1, what="a due time")
        self.data(self.farm.delete(f"/api/tasks/{task}?force=true"))
        for what in ("fires", "fire-times"):
            self.error(self.farm.get(f"/api/tasks/{task}/{what}"), 404, "RESOURCE_NOT_FOUND", "id")

    def test_fires_are_checked(self):
        task = self.farm.task("checked", "true")
        self.assertEqual(self.fires(task)["items"], [])
        for query, field, rule in (("page=0", "page", "range"), ("size=x", "size", "range"), ("outcome=maybe", "outcome", "enum"), ("sort=reason", "sort", "sort"),
                                   ("order=up", "order", "enum"), ("start_date=soon", "start_date", "format"), ("end_date=1", "end_date", "format"),
                                   ("outcome=ran&outcome=late", "outcome", "repeated")):
            with self.subTest(query=query):
                self.error(self.farm.get(f"/api/tasks/{task}/fires?{query}"), 400, "VALIDATION_ERROR", field, rule)
        self.error(self.farm.get("/api/tasks/99999/fires"), 404, "RESOURCE_NOT_FOUND", "id", "not_found", "99999")
        self.error(self.farm.get("/api/tasks/x/fires"), 400, "VALIDATION_ERROR")
        self.error(self.farm.post(f"/api/tasks/{task}/fires"), 405, "VALIDATION_ERROR")

    def test_the_next_times(self):
        task = self.farm.task("at night", "true", schedule="30 2 * * *", metadata={"timezone": "Europe/Berlin"})
        got = self.data(self.farm.get(f"/api/tasks/{task}/fire-times?count=3&after=2030-03-30T12:00:00Z"))
        self.assertEqual(got, {
            "task_id": task, "paused": False, "schedule": "30 2 * * *", "timezone": "Europe/Berlin", "end": False, "items": [
                {"at": "2030-03-31T01:00:00Z", "local": "2030-03-31T03:00:00+02:00", "offset": "+02:00"},  # 02:30 is skipped
                {"at": "2030-04-01T00:30:00Z", "local": "2030-04-01T02:30:00+02:00", "offset": "+02:00"},
                {"at": "2030-04-02T00:30:00Z", "local": "2030-04-02T02:30:00+02:00", "offset": "+02:00"}]})
        before, now, after = (self.data(self.farm.get(f"/api/tasks/{task}{what}")) for what in ("", "/fire-times", ""))
        self.assertEqual(len(now["items"]), 10)
        self.assertIn(now["items"][0]["at"], (before["next_run_at"], after["next_run_at"]))  # it may have come just now
        self.farm.post(f"/api/tasks/{task}/pause")
        self.assertIs(self.data(self.farm.get(f"/api/tasks/{task}/fire-times?count=1"))["paused"], True)
        every = self.farm.task("by a beat", "true", schedule="@every 90m")
        task = self.data(self.farm.get(f"/api/tasks/{every}"))
        times = self.data(self.farm.get(f"/api/tasks/{every}/fire-times?count=1000"))["items"]
        self.assertEqual((len(times), times[0]["at"]), (1000, task["next_run_at"]))
        never = self.data(self.farm.get(f"/api/tasks/{self.farm.task('by hand', 'true')}/fire-times"))
        self.assertEqual((never["items"], never["schedule"], never["end"]), ([], None, True))

    def test_preview(self):
        got = self.data(self.preview("0 9 * * MON#1", timezone="America/St_Johns", count=2, after="2030-01-01"))
        self.assertEqual([item["local"] for item in got["items"]], ["2030-01-07T09:00:00-03:30", "2030-02-04T09:00:00-03:30"])
        self.assertEqual((got["schedule"], got["timezone"], got["end"]), ("0 9 * * MON#1", "America/St_Johns", False))
        self.assertNotIn("task_id", got)
        once = self.data(self.preview("@at 2099-01-01T00:00:00Z"))
        self.assertEqual(([item["at"] for item in once["items"]], once["end"]), (["2099-01-01T00:00:00Z"], True))
        self.assertEqual(self.data(self.preview("0 0 31 2 *"))["items"], [])

    def test_a_spread_is_as_previewed(self):
        expected = self.data(self.preview("~ ~ * * *", name="spread out", count=1))["items"][0]["at"]
        other = self.data(self.preview("~ ~ * * *", name="another one", count=1))["items"][0]["at"]
        self.assertNotEqual(expected, other)
        task = self.farm.task("spread out", "true", schedule="~ ~ * * *")
        def at_that_time(at):
            now = self.data(self.preview("~ ~ * * *", name="spread out", count=1))["items"][0]["at"]
            self.assertIn(at, (expected, now))  # it may have come just now

        at_that_time(self.data(self.farm.get(f"/api/tasks/{task}"))["next_run_at"])
        renamed = self.data(self.farm.put(f"/api/tasks/{task}", {"name": "spread elsewhere", "schedule": "~ ~ * * *"}))
        at_that_time(renamed["next_run_at"])
        at_that_time(self.data(self.farm.get(f"/api/tasks/{task}/fire-times?count=1"))["items"][0]["at"])

    def test_times_are_checked(self):
        task = self.farm.task("checked too", "true", schedule="@daily")
        for query, field, rule in (("count=0", "count", "range"), ("count=1001", "count", "range"), ("count=ten", "count", "range"),
                                   ("after=later", "after", "format")):
            for path in (f"/api/tasks/{task}/fire-times?", "/api/schedules/preview?schedule=@daily&"):
                with self.subTest(path=path, query=query):
                    self.error(self.farm.get(path + query), 400, "VALIDATION_ERROR", field, rule)
        self.error(self.farm.get("/api/schedules/preview"), 400, "VALIDATION_ERROR", "schedule", "required")
        for schedule, says in (("61 * * * *", "minute 0-59"), ("* * * *", "5 (minute hour day month weekday)"), ("@reboot", "@yearly"),
                               ("@every 1", "90s"), ("* 5~2 * * *", "hour 0-23"), ("* * * * 5#9", "FRI#2")):
            with self.subTest(schedule=schedule):
                error = self.error(self.preview(schedule), 400, "VALIDATION_ERROR", "schedule", "schedule", schedule)
                self.assertIn(says, error["message"])
        for schedule, says in (("61 * * * *", "分 0-59"), ("* * * *", "5 个字段"), ("@reboot", "@yearly"), ("@every 1", "时长"), ("@at x", "时间"),
                               ("* * L-40 * *", "日 1-31"), ("* * * * 9", "星期 0-7"), ("* * * 13 *", "月 1-12"), ("* 24 * * *", "时 0-23"), ("60 * * * * *", "秒 0-59")):
            with self.subTest(schedule=schedule):
                self.assertIn(says, self.preview_in("zh", schedule).body["error"]["message"])
        self.error(self.preview("@daily", timezone="Mars/Base"), 400, "VALIDATION_ERROR", "timezone", "format", "Mars/Base")
        self.error(self.preview("@daily", timezone="../../etc/passwd"), 400, "VALIDATION_ERROR", "timezone", "format")
        self.error(self.preview("*" * 300), 400, "VALIDATION_ERROR", "schedule", "length")
