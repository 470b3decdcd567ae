"""A scene that names files of its author's machine, rendered by real Blender with what was uploaded of them: on a worker that sees the store
of files, and on one that does not."""

from tests.farm import Farm, wait_for
from tests.patience import PATIENT
from tests.render_client import upload
from tests.scenario import test_render as frames

BASE = "/render/api"
PATH = "projects/user123/both.blend"
BODY = {"unionid": "user123", "oss_file_path": PATH, "render_engine": "blender"}
WOOD, BLUE = "C:\\textures\\wood.jpg", "//tex/y.png"
GREEN, SEA, LOST = (0, 1, 0), (0, 0, 1), (1, 0, 1)  # what Blender has for a picture that is not there


class Textures(frames.Scenes):
    def studio(self, **settings):
        own = {"worker_slots": 2, "worker_render_threads": "1", "render_output": str(self.frames)}
        farm = Farm(start=False, **{**PATIENT, **own, **settings})
        farm.settings["port"] = str(farm.port)
        farm.autostart = True
        farm.__enter__()
        self.addCleanup(farm.__exit__, None, None, None)
        return farm

    def send(self, farm, name, path, **fields):
        sent = upload(farm.port, (self.scenes / name).read_bytes(), path=path, **fields)
        self.assertIn(sent.status, (200, 201), sent)

    def send_all(self, farm):
        self.send(farm, "both.blend", PATH, unionid="user123")
        self.send(farm, "C/textures/wood.jpg", WOOD, unionid="user123")
        self.send(farm, "tex/y.png", "projects/user123/tex/y.png", unionid="user123")

    def ended(self, farm, **more):
        """The task, its frame, and the log of that."""
        made = farm.post(f"{BASE}/tasks", dict(BODY, **more))
        self.assertEqual(made.status, 201, made)
        number = made.body["data"]["id"]
        wait_for(lambda: farm.get(f"{BASE}/tasks/{number}").body["data"]["status"] in ("completed", "failed"), timeout=frames.LONG, what="its end")
        row = farm.get(f"{BASE}/tasks/{number}/frames/1").body["data"]
        return number, row, self.log(farm, row["run_id"])

    def halves(self, row):
        self.assertEqual(row["status"], "completed", row)
        return frames.halves(self.frames / row["output_path"])

    def well(self, farm, **more):
        number, row, log = self.ended(farm, **more)
        self.assertEqual(self.halves(row), [GREEN, SEA], log)
        self.assertEqual([line for line in log if "missing" in line or "not known" in line], [])
        return number

    def cleaned(self, farm, number):
        """Nothing of a task is left but its results."""
        before = sorted(path for path in self.frames.rglob("*") if path.is_file())
        self.assertEqual(farm.post(f"{BASE}/tasks/{number}/cleanup").status, 200)
        wait_for(lambda: list((farm.data / "workers/worker1/runs").iterdir()) == [], what="the folders of its runs to go")
        self.nothing_half()
        self.assertEqual(sorted(path for path in self.frames.rglob("*") if path.is_file()), before)
        self.assertTrue(farm.get(f"{BASE}/tasks/{number}").body["data"]["cleaned_at"])

    def test_uploaded(self):
        roots = self.folder / "roots"
        roots.mkdir()
        farm = self.studio(scene_root=str(roots))
        self.send_all(farm)
        number = self.well(farm)
        wait_for(lambda: farm.get(f"{BASE}/tasks/{number}/assets").body["data"]["analysed"], what="its scene to be read")
        data = farm.get(f"{BASE}/tasks/{number}/assets").body["data"]
        self.assertEqual((data["total_count"], data["missing_count"]), (3, 0))
        self.assertEqual({row["server_path"] for row in data["assets"]},
                         {"/" + PATH, "/C/textures/wood.jpg", "/projects/user123/tex/y.png"})
        self.well(farm, allow_missing=False)
        self.cleaned(farm, number)
        scene = data["assets"][0]["file_hash"]
        _, row, log = self.ended(farm, unionid="another", oss_file_path=f"assets/{scene}")  # to whom nobody gave these
        self.assertEqual(self.halves(row), [LOST, LOST], log)
        self.assertIn(f"WARNING: missing file {WOOD}", log)
        self.assertIn(f"WARNING: missing file {BLUE}", log)
        refused = farm.post(f"{BASE}/tasks", dict(BODY, unionid="another", oss_file_path=f"assets/{scene}", allow_missing=False))
        self.assertEqual((refused.status, refused.body["code"]), (404, 2002), refused)
        self.assertEqual({error["value"] for error in refused.body["errors"]}, {WOOD, BLUE})

    def test_from_afar(self):
        """Nobody reads scenes for the farm, and the store of files is elsewhere."""
        farm = self.studio()
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        farm.kill("worker1")
        farm.start("worker1", ("--set", f"worker.gateway=http://localhost:{farm.port}", "--set", f"blob.dir={elsewhere}"))
        self.send(farm, "both.blend", PATH, unionid="user123")
        _, row, log = self.ended(farm, allow_missing=False)
        self.assertEqual(row["status"], "failed", log)
        self.assertTrue(row["error_message"].startswith("scene: 2 of its files are missing, "), row)
        number = row["task_id"]
        data = farm.get(f"{BASE}/tasks/{number}/assets").body["data"]  # the frame's worker has read it, and told
        self.assertEqual((data["analysed"], data["total_count"], data["missing_count"]), (True, 3, 2))
        self.send_all(farm)
        self.well(farm, allow_missing=False)
        self.assertEqual(farm.get(f"{BASE}/tasks/{number}/assets").body["data"]["missing_count"], 0)
        scene = frames.md5(self.scenes / "both.blend")
        self.assertEqual([path.name for path in (farm.data / "workers/worker1/needs").iterdir()], [f"{scene}.2"])


if __name__ == "__main__":
    frames.unittest.main()
