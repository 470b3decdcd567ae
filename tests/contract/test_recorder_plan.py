"""What a cycle has no time for, what its reports say of a recording's statistics, and a recorder without a configuration."""

import csv
import json
import pathlib
import shutil
import tempfile

from tests.contract.base import Contract
from tests.contract.test_recorder import API, EN, STREAMS, RecorderContract
from tests.farm import wait_for
from tests.recorder import Recorder

UNFIT = "it does not fit into the cycle"


class Reports(RecorderContract):
    def reports(self, folder):
        """The three of them, once they are there."""
        wait_for((folder / "streams.csv").exists, 600, what="the reports")
        return (json.loads((folder / "rtsp_report.json").read_text()), (folder / "report.txt").read_text(),
                list(csv.DictReader((folder / "streams.csv").read_text().splitlines())))

    def test_what_does_not_fit(self):
        """Two seconds are shared by two; the third, which is the lightest, is told everywhere. Nobody records, so that it ends by itself."""
        self.configure([dict(STREAMS[0], weight=3.0), dict(STREAMS[1], weight=1.0), dict(STREAMS[1], weight=2.0, output_filename="third3.mp4")],
                       total_poll_duration_seconds=2, max_concurrent_streams=1)
        self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
        status = wait_for(lambda: not (now := self.get("/scheduler/status").body)["is_running"] and now, 600, what="the end")
        self.assertEqual((status["total_tasks"], status["completed_tasks"]), (3, 0))
        self.assertGreaterEqual(status["cancelled_tasks"], 1)
        tasks = self.get("/tasks").body
        self.assertIn("\n任务 1: 本轮时间不足, 未安排", tasks["schedule_info"])
        self.assertIn("\nTask 1: does not fit", self.get("/tasks", headers=EN).body["schedule_info"])
        unfit = tasks["tasks"][1]
        self.assertEqual((unfit["status"], unfit["status_name"], unfit["duration_seconds"], unfit["wanted_seconds"], unfit["run_id"], unfit["error_message"]),
                         (8, "已取消", 0, 20, 0, UNFIT))
        self.assertEqual([task["start_offset"] for task in tasks["tasks"]], [0, 0, 1])
        folder = pathlib.Path(unfit["output_file"]).parent
        report, text, rows = self.reports(folder)
        self.assertEqual((report["total_tasks"], report["completed_tasks"]), (3, 0))
        unfit = report["streams"][1]
        self.assertEqual((unfit["status"], unfit["status_text"], unfit["planned_seconds"], unfit["wanted_seconds"], unfit["error_message"]), (8, "已取消", 0, 20, UNFIT))
        self.assertIn(f"  计划: 0秒开始, 持续 0秒 (配置 20秒)\n  录制: 0.0秒, 0 字节, 0 帧, 重连 0 次, 丢包 0\n  错误: {UNFIT}\n", text)
        self.assertEqual((rows[1]["status"], rows[1]["planned_seconds"], rows[1]["error"]), ("8", "0", UNFIT))
        self.assertGreaterEqual(sum(day["unplanned_seconds"] for day in self.get("/coverage").body["days"]), 15 + 20 + 20 - 2)

    def test_what_is_said_of_a_recording(self):
        """Its statistics are in the reports as its worker told them."""
        self.configure(STREAMS[1:])
        said = {"seconds": 20, "bytes": 4096, "frames": 500, "audio_frames": 7, "gaps": [], "status": 4, "video": "h264", "audio": "aac", "width": 320, "height": 180, "reconnects": 3,
                "lost_packets": 11, "jitter_ms": 12.5, "first_frame_ms": 321.4}
        with Recorder(self.farm) as worker:
            self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
            run = worker.begin()
            worker.end(run, result=json.dumps(said))
            report, text, rows = self.reports(pathlib.Path(run["parameters"]["output"]).parent)
        names = ("audio_frames", "reconnects", "lost_packets", "jitter_ms", "first_frame_ms", "video", "audio", "width", "height")
        one, = report["streams"]
        self.assertEqual({name: one[name] for name in names}, {name: said[name] for name in names})
        self.assertEqual((one["recorded_seconds"], one["bytes_received"], one["frames_received"]), (20, 4096, 500))
        self.assertIn("录制: 20.0秒, 4096 字节, 500 帧, 重连 3 次, 丢包 11", text)
        self.assertEqual((rows[0]["reconnects"], rows[0]["lost_packets"], rows[0]["bytes"]), ("3", "11", "4096"))


class Unloaded(Contract):
    """Its file makes no sense: nothing is made up in its place, and once it does, it is taken."""

    @classmethod
    def make_farm(cls, **more):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="recorder-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, True)
        (cls.root / "config.json").write_text("{ this is no JSON")
        return super().make_farm(workers=0, output=str(cls.root / "out"), recorder_config=str(cls.root / "config.json"), **more)

    def test_it_says_so(self):
        for method, path, body in (("GET", "/config", None), ("GET", "/config/global", None), ("GET", "/config/streams", None), ("GET", "/videos", None), ("GET", "/timestamps", None),
                                   ("PUT", "/config/global", {"poll_cycles": 2}), ("POST", "/config/streams", STREAMS[0]), ("PUT", "/config/streams/0", {"weight": 2}),
                                   ("DELETE", "/config/streams/0", None), ("POST", "/config/save", None), ("POST", "/scheduler/start", None)):
            answer = self.farm.request(method, API + path, body)
            self.assertEqual((answer.status, answer.body["error"], answer.body["message"]), (503, "Service Unavailable", "配置管理器未初始化"), (method, path, answer))
            self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(self.farm.post(f"{API}/config/reload").status, 400)
        self.assertEqual((self.root / "config.json").read_text(), "{ this is no JSON")
        (self.root / "config.json").write_text(json.dumps({"global_config": {"poll_cycles": 3}, "streams": STREAMS}))
        wait_for(lambda: self.farm.get(f"{API}/config").status == 200, what="the configuration")
        self.assertEqual(self.farm.get(f"{API}/config/global").body["poll_cycles"], 3)
