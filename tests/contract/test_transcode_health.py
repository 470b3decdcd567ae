"""Whether videos decode: asked of one, of all of them, and told in lists until the file changes."""

from tests.bus import ScriptedWorker
from tests.contract.test_transcode import EN, TranscodeContract
from tests.farm import wait_for
from tests.library import video, video_of

HEALTHY = '{"healthy":true,"errors":0,"error":""}'
DAMAGED = '{"healthy":false,"errors":3,"error":"Invalid NAL unit size"}'


def quiet(path, **more):
    """One that needs no transcoding."""
    return video(path, codec="vp9", **more)


class Decoder(ScriptedWorker):
    """A worker of the transcode farm that says what it is told of what it decodes."""

    def __init__(self, farm, encoders="cpu"):
        super().__init__(farm.endpoint("workers"), types=("transcode",), executors=("transcode", "health"), slots=2)
        self.encoders = encoders

    def __enter__(self):
        self.hello(labels={"transcode.encoders": self.encoders})
        return self

    def __exit__(self, *more):
        self.tell("bye")
        super().__exit__(*more)

    def begin(self):
        run = self.assignment()
        self.tell("accept", leases=[{"run_id": run["run_id"], "attempt": run["attempt"]}])
        return run

    def end(self, run, result, outcome=1):
        self.insist("result", "result_ack", items=[{"run_id": run["run_id"], "attempt": run["attempt"], "outcome": outcome, "result": result}])


class Health(TranscodeContract):
    def state(self):
        return self.said(self.farm.get("/api/v1/videos/health"), 200, "成功")

    def test_one(self):
        ids = self.fill(quiet("good.mkv"), quiet("bad.mkv"), video("broken.mkv", codec="", error="moov atom not found"))
        with Decoder(self.farm) as worker:
            for name, result, health, errors, error in (("good.mkv", HEALTHY, 1, 0, None), ("bad.mkv", DAMAGED, 2, 3, "Invalid NAL unit size")):
                before = video_of(self.farm, ids[name])
                self.assertEqual((before["health"], before["health_check"]), (0, None))
                run = self.said(self.farm.post(f"/api/v1/videos/{ids[name]}/health"), 201, "健康检查任务已创建")["run_id"]
                again = self.farm.post(f"/api/v1/videos/{ids[name]}/health", headers=EN)
                self.assertEqual(self.said(again, 201, "The video is being checked")["run_id"], run)
                given = worker.begin()
                self.assertEqual((given["run_id"], given["spec"]["executor"], given["spec"]["command"]), (run, "health", name))
                self.assertEqual((given["parameters"]["root"], given["parameters"]["size"]), ("/library", int(before["video_size"] * 1048576)))
                worker.end(given, result)
                after = video_of(self.farm, ids[name])
                self.assertEqual((after["health"], after["transcode_status"]), (health, 0))
                check = after["health_check"]
                self.assertEqual((check["run_id"], check["errors"], check["error"]), (run, errors, error))
                self.assertTrue(check["at"])
                listed = next(one for one in self.farm.get("/api/v1/videos").body["data"]["videos"] if one["id"] == ids[name])
                self.assertEqual((listed["health"], listed["health_check"]), (health, check))
        path = f"/api/v1/videos/{ids['broken.mkv']}/health"
        self.said(self.farm.post(path), 409, "视频无法读取：moov atom not found")
        self.said(self.farm.post(path, headers=EN), 409, "The video cannot be read: moov atom not found")
        for missing in ("999999", "x", "0"):
            self.said(self.farm.post(f"/api/v1/videos/{missing}/health"), 404, "视频不存在")
        self.refused(self.farm.post(path, b"{"), 400, "JSON")
        names = lambda query: [one["video_path"] for one in self.farm.get(f"/api/v1/videos?{query}").body["data"]["videos"]]  # noqa: E731
        self.assertEqual(names("health[]=2"), ["bad.mkv"])
        self.assertEqual(names("health=1"), ["good.mkv"])
        self.assertEqual(names("health[]=0&sort_by=video_path&order=asc"), ["broken.mkv"])
        self.assertEqual(names("health[]=1&health[]=2&sort_by=video_path&order=asc&codec[]=vp9"), ["bad.mkv", "good.mkv"])
        self.refused(self.farm.get("/api/v1/videos?health=3"), 400, "health")
        self.fill(quiet("bad.mkv", size=7))  # another version
        changed = video_of(self.farm, ids["bad.mkv"])
        self.assertEqual((changed["health"], changed["health_check"]), (0, None))
        self.assertEqual(names("health[]=2"), [])

    def test_all(self):
        """Behind what is to be transcoded, and over a restart of the scheduler; those that were never checked alone, too."""
        ids = self.fill(quiet("1.mkv"), video("2.mp4"), quiet("3.mkv"), quiet("4.mkv"), video("5.mkv", codec="", error="no"))
        begun = self.said(self.farm.post("/api/v1/videos/health"), 201, "全库健康检查进行中")
        self.assertEqual((begun["state"], begun["unchecked"], begun["ended_at"], begun["healthy"]), ("running", False, None, 0))
        self.assertEqual(self.said(self.farm.post("/api/v1/videos/health", headers=EN), 201, "All videos are being checked")["begun_at"], begun["begun_at"])
        with Decoder(self.farm) as worker:
            first = worker.begin()
            self.assertEqual(first["parameters"]["path"], "2.mp4")
            self.assertEqual(first["spec"]["executor"], "transcode")
            worker.end(first, "{}")
            held, seen = worker.begin(), []
            self.farm.restart("scheduler")
            worker.hello(running=[{"run_id": held["run_id"], "attempt": held["attempt"]}], labels={"transcode.encoders": "cpu"})
            for result, outcome in ((HEALTHY, 1), (DAMAGED, 1), ("", 2), (HEALTHY, 1)):
                run, held = held or worker.begin(), None
                seen.append(run["spec"]["command"])
                worker.end(run, result, outcome)
            self.assertEqual(seen, ["1.mkv", "2.mp4", "3.mkv", "4.mkv"])
            over = wait_for(lambda: self.state()["state"] == "ended" and self.state(), what="the end of it")
            self.assertEqual((over["healthy"], over["damaged"], over["failed"], over["running"], over["left"]), (2, 1, 1, 0, 0))
            again = self.said(self.farm.post("/api/v1/videos/health", {"unchecked": True}), 201, "全库健康检查进行中")
            self.assertEqual((again["unchecked"], again["healthy"]), (True, 0))
            run = worker.begin()
            self.assertEqual(run["spec"]["command"], "3.mkv")
            stopped = self.said(self.farm.delete("/api/v1/videos/health"), 200, "全库健康检查已停止")
            self.assertEqual((stopped["state"], stopped["running"]), ("stopped", 1))
            worker.end(run, HEALTHY)
            self.assertEqual(video_of(self.farm, ids["3.mkv"])["health"], 1)
        self.said(self.farm.delete("/api/v1/videos/health", headers=EN), 200, "Videos are not being checked any more")
        self.refused(self.farm.post("/api/v1/videos/health", {"unchecked": 1}), 400, "unchecked")
        self.assertEqual(self.state()["state"], "stopped")
