"""Every status that a recording may have, each for a real cause, and as the API names it; and what is seen of it meanwhile."""

import json
import pathlib
import tempfile
import unittest

from tests.farm import Farm, free_port, wait_for
from tests.recorder import API
from tests.render_client import ask
from tests.rtsp.film import film
from tests.rtsp.server import Server
from tests.stills import seen

NAMES = {0: ("空闲", "等待中"), 1: ("连接中", "连接中"), 2: ("已连接", "已连接"), 3: ("录制中", "录制中"), 4: ("完成", "已完成"), 5: ("连接错误", "连接错误"),
         6: ("录制错误", "录制错误"), 7: ("超时", "超时"), 8: ("已取消", "已取消"), 9: ("流不可用", "流不可用")}
LONG = 500  # seconds: longer than the test
FIRST_WORDS = {5: "connect", 6: "read", 7: "timeout", 9: "notfound"}


class Statuses(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="recorder-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name).resolve()
        film()  # takes its time
        self.farm = Farm(workers=1, output=str(self.root / "out"), recorder_config=str(self.root / "config.json"), bus_deadline_ms=120000, lease_seconds=300, lease_accept_seconds=120,
                         worker_slots=16)
        self.enterContext(self.farm)
        wait_for(lambda: self.get("/config").status == 200, what="the configuration")
        self.seen = {}  # status -> what was shown of it

    def get(self, path):
        return self.farm.get(API + path)

    def server(self, **ways):
        server = Server(**ways)
        self.addCleanup(server.close)
        return server.url

    def cameras(self, short):
        """(what it comes to, its address, its seconds). Those that go on for long do so until everything is stopped; the last has to wait first."""
        return [(1, self.server(silent=True), LONG), (2, self.server(stalls=[0]), LONG), (3, self.server(), LONG), (4, self.server(), short),
                (5, f"rtsp://127.0.0.1:{free_port()}/cam", short), (6, self.server(drops=[0] * 10000), short), (7, self.server(silent=True), short),
                (9, self.server(statuses=[404] * 10000), short), (3, self.server(), LONG)]

    def begin(self, cameras):
        streams = [{"rtsp_url": url, "duration_seconds": seconds, "weight": len(cameras) - number, "output_filename": f"cam{number}.mp4"}
                   for number, (_, url, seconds) in enumerate(cameras)]
        config = {"global_config": {"poll_cycles": 1, "max_concurrent_streams": len(cameras) - 1, "total_poll_duration_seconds": 3 * LONG,
                                    "output_directory": str(self.root / "out"), "report_filename": "rtsp_report.json", "connection_timeout_seconds": LONG,
                                    "read_timeout_seconds": LONG, "cycle_interval_seconds": 1}, "streams": streams}
        self.assertEqual(self.farm.put(f"{API}/config", config).status, 200)
        self.assertEqual(self.farm.post(f"{API}/scheduler/start").status, 200)

    def tasks(self):
        """As they are listed, which is that of the streams."""
        tasks = sorted(self.get("/tasks").body["tasks"], key=lambda task: task["stream_index"])
        for task in tasks:
            self.assertEqual((task["status"], (task["status_name"], task["status_text"])), (task["status_code"], NAMES[task["status_code"]]))
            self.seen[task["status"]] = task
        return tasks

    def settled(self, cameras):
        """The tasks, when each has come to what it is to; None: not yet; False: one was too late for that."""
        tasks = self.tasks()
        if any(task["status"] >= 4 and task["status"] != due for task, (due, _, _) in zip(tasks, cameras, strict=True)):
            return False
        return tasks if [task["status"] for task in tasks] == [due for due, _, _ in cameras] else None

    def raw(self, path):
        """(status, body), as it came."""
        answer = ask(self.farm.port, "GET", API + path)
        return answer.status, answer.raw

    def pictures(self, cameras, tasks):
        """Of the one that goes on, the one that is over, and one of which nothing comes; also by a gateway that has just come back."""
        due = [due for due, _, _ in cameras]
        live, over = f"/streams/{due.index(3)}/live.jpg", pathlib.Path(tasks[due.index(4)]["output_file"])
        thumbnail = f"/videos/{over.parent.name}/{over.name}/thumbnail.jpg"
        for _ in range(2):
            picture = wait_for(lambda: (answer := self.raw(live))[0] == 200 and answer[1], what="a key frame that is on disk")
            self.assertEqual(seen(picture)[:2], (320, 180))
            status, picture = self.raw(thumbnail)
            self.assertEqual((status, seen(picture)[:2]), (200, (320, 180)))
            self.assertEqual(self.raw(f"/streams/{due.index(2)}/live.jpg")[0], 404)
            self.farm.restart("gateway")
            self.farm.wait_ready()

    def stop(self):
        self.assertEqual(self.farm.post(f"{API}/scheduler/stop").status, 200)
        wait_for(lambda: not self.get("/scheduler/status").body["is_running"], what="the end of it")

    def test_all_of_them(self):
        for short in (3, 30, 120):  # on a machine that stands still for longer than a slot lasts, one of longer slots
            cameras = self.cameras(short)
            self.begin(cameras)
            tasks = wait_for(lambda: (now := self.settled(cameras)) is not None and (now,), 600, what="what each comes to")[0]
            if tasks and 0 in self.seen:
                break
            self.stop()
        self.assertTrue(tasks, self.seen)
        for task in tasks:
            if task["status"] in FIRST_WORDS:
                self.assertEqual(task["error_message"].split(":")[0], FIRST_WORDS[task["status"]])
            else:
                self.assertEqual(task["error_message"], "")
            self.assertEqual(task["end_time"] != "", task["status"] >= 4)
        self.pictures(cameras, tasks)
        self.stop()
        folder = pathlib.Path(tasks[0]["output_file"]).parent
        wait_for((folder / "streams.csv").exists, what="the reports")
        ended = self.tasks()
        self.assertEqual([task["status"] for task in ended], [due if due >= 4 else 8 for due, _, _ in cameras])
        self.assertEqual(set(self.seen), set(NAMES))
        report = json.loads((folder / "rtsp_report.json").read_text())
        self.assertEqual({one["output_file"]: one["status_text"] for one in report["streams"]},
                         {pathlib.Path(task["output_file"]).name: NAMES[task["status"]][1] for task in ended})
        wait_for(lambda: not list(folder.glob(".gantry-rec-*")), what="the end of what was not finished")


if __name__ == "__main__":
    unittest.main()
