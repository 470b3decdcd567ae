"""The recorder as its users have it: a farm, a worker, and cameras that are good, absent and guarded by a password."""

import csv
import http.client
import json
import pathlib
import tempfile
import unittest

from tests.farm import Farm, wait_for
from tests.recorder import API
from tests.rtsp.film import FRAMES, decode_faults, look
from tests.rtsp.server import Server

WORD = "wOrd-that-nobody-sees"


class Whole(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="recorder-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name).resolve()
        self.out = self.root / "out"
        self.first, self.second, self.absent = (self.server(**ways) for ways in ({"auth": ("me", WORD)}, {"audio": "pcma"}, {"statuses": [404] * 10000}))
        # Nothing expires because the machine stands still: who is killed says so himself when he is back.
        self.farm = Farm(workers=1, output=str(self.out), recorder_config=str(self.root / "config.json"), bus_deadline_ms=120000, lease_accept_seconds=120,
                         worker_slots=4)
        self.enterContext(self.farm)
        wait_for(lambda: self.get("/config").status == 200, what="the configuration")

    def server(self, **ways):
        server = Server(**ways)
        self.addCleanup(server.close)
        return server

    def get(self, path):
        return self.farm.get(API + path)

    def streams(self, seconds, *servers):
        return [{"rtsp_url": server.url.replace("//", f"//me:{WORD}@"), "duration_seconds": seconds, "weight": 1, "output_filename": f"cam{number}.mp4"}
                for number, server in enumerate(servers, 1)]

    def begin(self, seconds, *servers):
        config = {"global_config": {"poll_cycles": 1, "max_concurrent_streams": 4, "total_poll_duration_seconds": 600, "output_directory": str(self.out),
                                    "report_filename": "rtsp_report.json", "connection_timeout_seconds": 60, "read_timeout_seconds": 60,
                                    "cycle_interval_seconds": 1}, "streams": self.streams(seconds, *servers)}
        self.assertEqual(self.farm.put(f"{API}/config", config).status, 200)
        self.assertEqual(self.get("/config").body, config)
        self.assertEqual(self.farm.post(f"{API}/scheduler/start").status, 200)

    def end(self):
        """Waits for it; answers the tasks, the folder and what its report says."""
        wait_for(lambda: not self.get("/scheduler/status").body["is_running"], 600, what="the end of the cycle")
        tasks = self.get("/tasks").body["tasks"]
        folder = pathlib.Path(tasks[0]["output_file"]).parent
        wait_for((folder / "streams.csv").exists, what="the reports")
        return tasks, folder, json.loads((folder / "rtsp_report.json").read_text())

    def whole_cycle(self):
        """A cycle in which nobody came too late: on a machine that stands still for longer than a slot lasts, one of longer slots."""
        for seconds in (3, 15, 60):
            self.begin(seconds, self.first, self.second, self.absent)
            tasks, folder, report = self.end()
            if [task["status"] for task in tasks] == [4, 4, 9] and tasks[2]["error_message"].startswith("notfound"):
                break
        return tasks, folder, report

    def plays(self, path, frames):
        self.assertEqual(int(look(path)["video"]["nb_read_packets"]), frames)
        self.assertEqual(decode_faults(path), "")
        data = path.read_bytes()
        self.assertLess(data.index(b"moov"), data.index(b"mdat"))

    def reports_agree(self, tasks, folder, report):
        text, rows = (folder / "report.txt").read_text(), list(csv.DictReader((folder / "streams.csv").read_text().splitlines()))
        self.assertEqual(report["total_tasks"], len(tasks))
        self.assertEqual(report["completed_tasks"] + report["failed_tasks"] + report["cancelled_tasks"], len(tasks))
        for task, said, row in zip(tasks, report["streams"], rows, strict=True):
            name = pathlib.Path(task["output_file"]).name
            self.assertEqual((said["output_file"], row["output_file"]), (name, name))
            self.assertEqual((said["status"], int(row["status"])), (task["status"], task["status"]))
            self.assertEqual((said["frames_received"], int(row["frames"])), (task["frames_received"], task["frames_received"]))
            self.assertEqual((said["bytes_received"], int(row["bytes"])), (task["bytes_received"], task["bytes_received"]))
            self.assertAlmostEqual(float(row["recorded_seconds"]), said["recorded_seconds"], places=2)
            self.assertIn(name, text)

    def ledger_is(self, *reports):
        """The coverage is the sum of these reports."""
        days, said = self.get("/coverage").body["days"], [one for report in reports for one in report["streams"]]
        self.assertEqual(sum(day["due_seconds"] for day in days), sum(one["wanted_seconds"] for one in said))
        self.assertAlmostEqual(sum(day["recorded_seconds"] for day in days), sum(one["recorded_seconds"] for one in said), delta=0.01 * len(said))
        self.assertAlmostEqual(sum(day["gap_seconds"] for day in days), sum(gap["seconds"] for one in said for gap in one["gaps"]), delta=0.01 * len(said))
        for count, good in (("completed", lambda code: code == 4), ("failed", lambda code: code not in (4, 8)), ("cancelled", lambda code: code == 8)):
            self.assertEqual(sum(day[count] for day in days), sum(good(one["status"]) for one in said), count)

    def reports(self):
        return [json.loads(path.read_text()) for path in self.out.glob("*/rtsp_report.json")]

    def nobody_sees(self):
        """The word is in the configuration alone."""
        runs = self.farm.data_of(self.farm.get("/api/runs?size=100"))["items"]
        self.assertGreaterEqual(len(runs), 2)
        paths = [API + path for path in ("/tasks", "/tasks/status", "/scheduler/status", "/scheduler/cycle", "/videos", "/timestamps", "/coverage")]
        paths += ["/api/runs?size=100", "/api/events?follow=false&size=1000", "/api/system/audit?size=100", "/api/tasks", "/api/workers", "/api/system/metrics"]
        paths += [f"/api/runs/{run['id']}{part}" for run in runs for part in ("", "/logs")]
        for path in paths:
            answer = self.farm.get(path)
            self.assertEqual(answer.status, 200, path)
            self.assertNotIn(WORD, json.dumps(answer.body), path)
        for path in [*self.farm.data.glob("*.test.log"), *self.out.rglob("*.txt"), *self.out.rglob("*.json"), *self.out.rglob("*.csv")]:
            self.assertNotIn(WORD, path.read_text(errors="replace"), path)

    def test_cycles(self):
        tasks, folder, report = self.whole_cycle()
        for code in ("status", "status_code"):
            self.assertEqual([task[code] for task in tasks], [4, 4, 9], tasks)
        self.assertEqual([(task["status_name"], task["status_text"]) for task in tasks], [("完成", "已完成")] * 2 + [("流不可用", "流不可用")])
        self.assertTrue(tasks[2]["error_message"].startswith("notfound"), tasks[2])
        self.assertEqual((report["completed_tasks"], report["failed_tasks"]), (2, 1))
        self.reports_agree(tasks, folder, report)
        self.ledger_is(*self.reports())
        self.nobody_sees()
        self.videos(tasks, folder, report)
        self.killed()

    def videos(self, tasks, folder, report):
        listed = self.get(f"/videos/{folder.name}").body["videos"]
        self.assertEqual([one["filename"] for one in listed], ["cam1.mp4", "cam2.mp4"])
        self.assertEqual([one["full_path"] for one in listed], [task["output_file"] for task in tasks[:2]])
        self.assertEqual([one["stream_index"] for one in listed], ["1", "2"])
        self.assertEqual((report["streams"][0]["audio"], report["streams"][1]["audio"]), ("", "aac"))
        for one, task in zip(listed, tasks):
            path = pathlib.Path(one["full_path"])
            self.assertEqual(one["file_size"], path.stat().st_size)
            self.plays(path, task["frames_received"])
        path, data = f"{API}/videos/{folder.name}/cam2.mp4", (folder / "cam2.mp4").read_bytes()
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120)
        self.addCleanup(connection.close)
        for asked, status, content in ((None, 200, data), ("bytes=100-1099", 206, data[100:1100]), ("bytes=-500", 206, data[-500:])):
            connection.request("GET", path, headers={"Range": asked} if asked else {})
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.headers["Content-Type"], answer.read()), (status, "video/mp4", content))
        self.assertEqual(self.farm.delete(f"{API}/video?path={folder}/cam1.mp4").status, 200)
        self.assertEqual([one["filename"] for one in self.get(f"/videos/{folder.name}").body["videos"]], ["cam2.mp4"])
        self.assertFalse((folder / "cam1.mp4").exists())
        self.ledger_is(*self.reports())

    def recorded(self):
        """The frames of both, once they are some; True: their time was over first."""
        said = self.get("/tasks").body
        if not said["scheduler_running"]:
            return True
        frames = [task["frames_received"] for task in said["tasks"] if task["status"] == 3 and task["frames_received"] >= 2 * FRAMES]
        return frames if len(frames) == 2 else None

    def killed(self):
        """In the middle of its recordings: what they had is in them."""
        for seconds in (10, 60):
            self.begin(seconds, self.first, self.second)
            before = wait_for(self.recorded, what="two seconds of both")
            if before is not True:
                break
        self.farm.restart("worker1")
        tasks, folder, report = self.end()
        self.assertEqual([task["status"] for task in tasks], [4, 4])
        for task, said, had in zip(tasks, report["streams"], before):
            self.assertIn("worker", [gap["cause"] for gap in said["gaps"]])
            self.assertGreaterEqual(task["frames_received"], had - FRAMES)  # but for the second that had not left it
            self.plays(pathlib.Path(task["output_file"]), task["frames_received"])
        self.reports_agree(tasks, folder, report)
        self.ledger_is(*self.reports())
        self.nobody_sees()


if __name__ == "__main__":
    unittest.main()
