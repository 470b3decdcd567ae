"""Section 7.1 of the render API, step by step, on its own port: a scene of Blender with a texture of Windows', its real hashes, and a worker that offers by
setting what the example asks for."""

import pathlib
import re
import shutil
import unittest

from tests.farm import free_port, wait_for
from tests.render_client import FORM, ask, form, md5, part
from tests.scenario import test_render as frames

OFFERED = {"worker_render_ram_gb": "64", "worker_render_gpus": "2", "worker_render_plugins": "mtoa 5.5.1"}
SCENE, STORED = "C:/Project/wolf.blend", "projects/user123/wolf.blend"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class Workflow(frames.Scenes):
    def ask(self, method, path, body=None, status=200, **more):
        reply = ask(self.port, method, f"/api{path}", body, **more)
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.body["code"], status)
        self.assertTrue(reply.body["message"])
        return reply.body["data"]

    def analyse(self):
        """Step 1: which files there are, by the path that the scene has, and where they are here."""
        said = self.ask("POST", "/scene/analyse", {"scene_file": SCENE, "unionid": "user123"})
        content = (self.scenes / "C/Project/wolf.blend").read_bytes()
        self.assertEqual((said["scene_file"], said["scene_file_size"], said["scene_file_hash"]), (SCENE, len(content), md5(content)))
        info = said["scene_info"]
        self.assertEqual((info["renderer"], info["width"], info["height"], info["sampling"]), ("cycles", 64, 48, {"samples": 1}))
        self.assertEqual(said["asset_summary"]["missing_count"], 1)
        self.assertEqual([row["path"].replace("\\", "/") for row in said["missing"]], ["D:/gone/away.png"])
        found = {row["path"].replace("\\", "/"): pathlib.Path(row["file"]).read_bytes() for row in said["assets"] if row["exists"]}
        self.assertEqual(list(found), ["C:/textures/wood.png"])
        self.assertEqual(self.ask("GET", f"/scene/analyse/{said['scene_file_hash']}")["scene_info"], info)
        return {STORED: content, **found}

    def check(self, files):
        """Step 2: those that are not here."""
        answer = self.ask("POST", "/files/check-hashes", {"hashes": [md5(content) for content in files.values()]})
        self.assertEqual(len(answer["existing"]) + len(answer["missing"]), len(files))
        for row in answer["existing"]:
            self.assertEqual(row["storage_path"], f"assets/{row['hash']}")
        return {path: content for path, content in files.items() if md5(content) in answer["missing"]}

    def upload(self, path, content):
        """Step 3."""
        parts = [part("file", content, path.rpartition("/")[2]), part("hash", md5(content)), part("file_type", "texture"), part("unionid", "user123"), part("path", path)]
        sent = self.ask("POST", "/files/upload", form(*parts), 201, headers=FORM)
        self.assertEqual((sent["file_hash"], sent["storage_path"], sent["uploaded"], sent["file_size"]), (md5(content), f"assets/{md5(content)}", True, len(content)))
        return sent["asset_id"]

    def create(self):
        """Step 4, for the hardware that is said to match."""
        matched = self.ask("POST", "/hardware-configs/match", {"ram": 64, "gpu_count": 2})
        self.assertEqual((matched["recommended"]["id"], [row["id"] for row in matched["alternatives"]]), ("high_performance", ["ultra_high"]))
        offered = {row["id"]: row["is_available"] for row in self.ask("GET", "/hardware-configs")}
        self.assertEqual(offered, {"basic": True, "high_performance": True, "ultra_high": False})
        made = self.ask("POST", "/tasks/", {
            "unionid": "user123", "oss_file_path": STORED, "render_engine": "blender", "total_frames": 2, "test_frames": "2", "stop_after_test": True, "ram": 64,
            "gpu_count": 2, "hardware_config_id": matched["recommended"]["id"], "plugins": {"mtoa": "5.5.1"}}, 201)
        config = made["hardware_config"]
        self.assertEqual((config["id"], config["name"], config["ram"], config["gpu_count"]), ("high_performance", "高性能配置", 64, 2))
        self.assertEqual((made["status"], made["test_frames"]), ("queued", "2"))
        return made["id"]

    def poll(self, number):
        """Step 5."""
        def over():
            status = self.ask("GET", f"/tasks/{number}/status")
            self.assertLessEqual({"id", "status", "progress", "total_frames", "completed_frames", "failed_frames", "created_at", "started_at", "estimated_completion"}, set(status))
            return status if status["status"] not in ("queued", "testing", "rendering") else None
        status = wait_for(over, timeout=frames.LONG, what="the task's end")
        self.assertEqual((status["status"], status["progress"], status["completed_frames"], status["failed_frames"]), ("completed", 100, 2, 0))
        shown = self.ask("GET", f"/tasks/{number}")
        self.assertEqual((shown["test_frame_status"], shown["ram"], shown["gpu_count"]), ("completed", 64, 2))
        for key in ("created_at", "started_at", "completed_at"):
            self.assertRegex(shown[key], TIME)
        return shown

    def download(self, number):
        """Step 6: each frame, which has the texture that was uploaded."""
        seconds = 0
        for frame in (1, 2):
            row = self.ask("GET", f"/tasks/{number}/frames/{frame}")
            sent = ask(self.port, "GET", f"/api/files/download/{row['id']}")
            self.assertEqual((sent.status, md5(sent.raw), len(sent.raw)), (200, row["output_hash"], row["output_size"]))
            self.assertEqual((row["status"], row["is_test_frame"], row["node_id"]), ("completed", frame == 2, "worker-001"))
            self.assertEqual(sent.raw, (self.frames / row["output_path"]).read_bytes())
            self.green(row["output_path"])
            seconds += row["render_time"]
        return seconds

    def test_the_steps(self):
        (self.scenes / "C/Project").mkdir()
        shutil.copy(self.scenes / "wood.blend", self.scenes / "C/Project/wolf.blend")
        self.port = free_port()
        farm = self.farm(start=False, render_port=str(self.port), **OFFERED)
        farm.settings["port"] = str(farm.port)  # where a task's files are asked for
        farm.autostart = True
        with farm:
            files = self.analyse()
            self.assertEqual(self.check(files), files)
            ids = {path: self.upload(path, content) for path, content in files.items()}
            self.assertEqual(self.check(files), {})
            shutil.move(self.scenes / "C/textures", self.scenes / "C/elsewhere")  # what was uploaded is all there is
            number = self.create()
            shown = self.poll(number)
            seconds = self.download(number)
            self.assertAlmostEqual(shown["actual_cost"], seconds * 2.5 / 3600, delta=0.0005)
            listed = self.ask("GET", f"/tasks/{number}/assets")
            self.assertEqual({row["asset_id"] for row in listed["assets"]}, {*ids.values(), None})
            self.assertEqual((listed["total_count"], listed["missing_count"]), (3, 1))
            self.nothing_half()


if __name__ == "__main__":
    unittest.main()
