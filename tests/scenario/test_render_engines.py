"""Maya and Unreal through the whole farm, as far as stand-ins for them go: each works as its program does by its manual with what it was called
with, and makes no picture when something is not where it was told to be."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests.farm import SLOW, Farm, wait_for
from tests.patience import PATIENT
from tests.render_client import ask, md5, upload

BASE = "/render/api"
SCENE = """//Maya ASCII 2024 scene
requires maya "%s";
createNode file -n "wood";
\tsetAttr ".ftn" -type "string" "C:/textures/wood.jpg";
createNode file -n "oak";
\tsetAttr ".ftn" -type "string" "/nonexistent/show/oak.jpg";
createNode file -n "beside";
\tsetAttr ".ftn" -type "string" "sourceimages/map.jpg";
createNode file -n "called like a sequence";
\tsetAttr ".ftn" -type "string" "sourceimages/map##.jpg";
"""
MAYA = """#!/usr/bin/python3
import os, pathlib, re, shutil, sys
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
setup = next(path for path in (pathlib.Path(folder, "userSetup.mel") for folder in os.environ["MAYA_SCRIPT_PATH"].split(":")) if path.exists())
lines = setup.read_text().splitlines()
assert lines[0] == "dirmap -en true;", lines
maps = [re.fullmatch('dirmap -m "(.*)" "(.*)";', line).groups() for line in lines[1:]]
for name in re.findall('".ftn" -type "string" "(.*)"', pathlib.Path(sys.argv[-1]).read_text()):
    path = pathlib.Path(said["-proj"], next((name.replace(old, new, 1) for old, new in maps if name.startswith(old)), name))
    if path.read_text() != "the file " + name:
        sys.exit(f"Error: {path} is not {name}")
assert said["-s"] == said["-e"], said
shutil.copy("%(picture)s", os.path.join(said["-rd"], f"frame.{int(said['-s']):04d}.png"))
"""
UNREAL = """#!/usr/bin/python3
import os, pathlib, shutil, sys
said = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
assert pathlib.Path(sys.argv[1]).name == "Game.uproject" and pathlib.Path(sys.argv[1]).exists(), sys.argv
assert sys.argv[2:4] == ["/Game/Maps/Main", "-game"], sys.argv
assert said["-LevelSequence"] == "/Game/Shots/Intro" and said.get("-MovieFormat", "PNG") == "PNG", said
if "-MoviePipelineConfig" in said:
    saved = pathlib.Path(sys.argv[1]).parent / "Saved/MovieRenders"
    saved.mkdir(parents=True, exist_ok=True)
    for frame in (() if os.path.exists("%(picture)s.lazy") else range(9, 12)):
        shutil.copy("%(picture)s", saved / f"Intro.{frame:04d}.png")
    sys.exit(0)
assert said["-MovieStartFrame"] == said["-MovieEndFrame"] == str(int(said["-MovieName"].split(".")[1])), said
shutil.copy("%(picture)s", os.path.join(said["-MovieFolder"], said["-MovieName"] + ".png"))
"""


class Engines(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-engines-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        self.frames, self.scenes, self.picture = self.folder / "frames", self.folder / "scenes", self.folder / "made.png"
        self.frames.mkdir()
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=1", "-frames:v", "1", str(self.picture)],
                       timeout=60 * SLOW, check=True)
        self.put("scenes/game/Game.uproject", '{"FileVersion": 3, "EngineAssociation": "5.4"}')
        self.put("autodesk/bin/maya", '#!/bin/bash\n[[ "$*" == -v ]] && echo "Maya 2024.2, Cut Number 202310181224"\n', 0o755)
        self.put("unreal/Engine/Build/Build.version", '{"MajorVersion": 5, "MinorVersion": 4, "PatchVersion": 1, "BranchName": "++UE5"}')
        maya = self.put("autodesk/bin/Render", MAYA % {"picture": self.picture}, 0o755)
        unreal = self.put("unreal/Engine/Binaries/Linux/UnrealEditor-Cmd", UNREAL % {"picture": self.picture}, 0o755)
        self.farm = Farm(start=False, **PATIENT, scene_root=str(self.scenes), render_output=str(self.frames), render_maya=str(maya),
                         render_ue=str(unreal), render_blender="/nonexistent/blender", render_attempts=1)
        self.farm.settings["port"] = str(self.farm.port)
        self.farm.autostart = True
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)

    def put(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def send(self, path, content):
        sent = upload(self.farm.port, content.encode(), path=path, unionid="user123")
        self.assertIn(sent.status, (200, 201), sent)

    def task(self, number):
        return self.farm.get(f"{BASE}/tasks/{number}").body["data"]

    def create(self, path, engine, **more):
        made = self.farm.post(f"{BASE}/tasks", dict({"unionid": "user123", "oss_file_path": path, "render_engine": engine}, **more))
        self.assertEqual(made.status, 201, made)
        return made.body["data"]["id"]

    def completed(self, number, frames):
        wait_for(lambda: self.task(number)["status"] in ("completed", "failed"), timeout=300, what="its end")
        rows = self.farm.get(f"{BASE}/tasks/{number}/frames").body["data"]["items"]
        self.assertEqual([(row["frame_number"], row["status"]) for row in rows], [(frame, "completed") for frame in frames], rows)
        for row in rows:
            sent = ask(self.farm.port, "GET", f"{BASE}/files/download/{row['id']}")
            self.assertEqual((sent.status, sent.raw), (200, self.picture.read_bytes()))
        return rows

    def test_unreal(self):
        info = {"map": "/Game/Maps/Main", "sequence": "/Game/Shots/Intro", "start_frame": 9}
        number = self.create("game/Game.uproject", "ue", total_frames=2, task_info=info, cg_version="5.4")
        self.completed(number, [9, 10])
        self.assertEqual({name: self.task(number)["task_info"][name] for name in info}, info)
        other = self.create("game/Game.uproject", "ue", task_info=info, cg_version="5.5")
        wait_for(lambda: self.task(other)["reason"] == "no worker has ue 5.5", what="why it waits")

    def test_a_preset_of_unreal(self):
        """It makes all frames that it says, below the project; what stood there before is nobody's new picture."""
        info = {"map": "/Game/Maps/Main", "sequence": "/Game/Shots/Intro", "preset": "/Game/Fine", "start_frame": 10}
        number = self.create("game/Game.uproject", "ue", task_info=info)
        self.completed(number, [10])
        self.put("made.png.lazy", "")
        shutil.copy(self.picture, self.scenes / "game/Saved/MovieRenders/Intro.0010.png")
        self.assertEqual(self.farm.post(f"{BASE}/tasks/{number}/frames/10/retry").status, 200)
        wait_for(lambda: self.task(number)["status"] == "failed", what="its end")
        frame = self.farm.get(f"{BASE}/tasks/{number}/frames/10").body["data"]
        self.assertEqual(frame["error_message"], "engine: ue made no picture of frame 10")

    def test_maya(self):
        """Its files are found by the paths that the scene has, of another machine's drive, of another machine's disk, and relative to it."""
        for name, path in (("C:/textures/wood.jpg", "C:/textures/wood.jpg"), ("/nonexistent/show/oak.jpg", "nonexistent/show/oak.jpg"),
                           ("sourceimages/map.jpg", "projects/user123/sourceimages/map.jpg"),
                           ("sourceimages/map##.jpg", "projects/user123/sourceimages/map##.jpg")):
            self.send(path, f"the file {name}")
        self.send("projects/user123/wolf.ma", SCENE % "2023")
        number = self.create("projects/user123/wolf.ma", "maya", total_frames=2, cg_version="2024", allow_missing=False,
                             task_info={"image_format": "png"})
        self.completed(number, [1, 2])

    def test_maya_below_the_roots(self):
        """A project with its workspace, drives that are folders, and what another machine has on its disk."""
        self.put("scenes/show/workspace.mel", "//")
        self.put("scenes/show/scenes/wolf.ma", SCENE % "2024")
        for name, path in (("C:/textures/wood.jpg", "C/textures/wood.jpg"), ("/nonexistent/show/oak.jpg", "nonexistent/show/oak.jpg"),
                           ("sourceimages/map.jpg", "show/sourceimages/map.jpg"), ("sourceimages/map##.jpg", "show/sourceimages/map##.jpg")):
            self.put(f"scenes/{path}", f"the file {name}")
        self.completed(self.create("show/scenes/wolf.ma", "maya", task_info={"image_format": "png"}), [1])

    def test_a_file_of_a_newer_maya(self):
        """It was read before, so it is not even tried."""
        content = SCENE % "2025"
        self.send("projects/user123/new.ma", content)
        read = self.farm.post(f"{BASE}/scene/analyse", {"oss_file_path": "projects/user123/new.ma", "unionid": "user123"})
        self.assertIn(read.status, (200, 202), read)
        wait_for(lambda: self.farm.get(f"{BASE}/scene/analyse/{md5(content.encode())}").status == 200, timeout=300, what="the scene to be read")
        number = self.create("projects/user123/new.ma", "maya")
        reason = "no worker that fits otherwise has maya 2025.0, which saved the scene, or a newer one"
        wait_for(lambda: self.task(number)["reason"] == reason, what="why it waits")
        self.assertEqual(self.task(number)["status"], "queued")


if __name__ == "__main__":
    unittest.main()
