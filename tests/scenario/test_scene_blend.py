"""What gantry-scene says of .blend files, beside what Blender says of them (`./dev deps test` installs it): made by
tests/scene/make_blend.py, opened again and asked by Blender itself."""

import gzip
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from tests.farm import ROOT, SLOW
from tests.scenario.test_scene import read
from tests.scene import tiny

TIME_LIMIT = 600.0


def by_slashes(paths):
    return sorted({p.replace("\\", "/") for p in paths})


class Blender(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="gantry-blend-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.folder = pathlib.Path(cls.holder.name).resolve()
        blender = shutil.which("blender")
        if not blender:
            raise AssertionError("there is no blender: `./dev deps test` installs it")
        done = subprocess.run([blender, "-b", "--factory-startup", "-noaudio", "--python-exit-code", "9", "-P", str(ROOT / "tests/scene/make_blend.py"),
                               "--", str(cls.folder)], capture_output=True, text=True, timeout=300 * SLOW, check=False,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(cls.folder), "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            raise AssertionError(done.stdout[-3000:] + done.stderr[-3000:])
        cls.names = sorted(p.stem for p in cls.folder.glob("*.json"))

    def said(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())

    def check(self, row, said):
        info = row["scene_info"]
        self.assertNotIn("error", row)
        self.assertEqual(row["format"], "blender")
        for field in ("scene", "renderer", "start_frame", "end_frame", "frame_step", "width", "height", "resolution_percentage", "image_format",
                      "output", "render_camera"):
            self.assertEqual(info[field], said[field], field)
        self.assertAlmostEqual(info["fps"], said["fps"], places=4)
        self.assertEqual(sorted(info["cameras"]), said["cameras"])
        for name, value in said["sampling"].items():
            self.assertEqual(info["sampling"][name], value)
        paths = [re.sub(r"\d+(?=\.\w+$)", "<frame>", p) if p in said["sequences"] else p for p in said["paths"]]
        self.assertEqual(by_slashes(a["path"] for a in row["assets"] if not a.get("packed")), by_slashes(paths))
        self.assertEqual(sorted(a["path"] for a in row["assets"] if a.get("packed")), said["packed"])

    def test_as_blender_says(self):
        self.assertGreaterEqual(len(self.names), 30)
        for name in self.names:
            with self.subTest(name):
                row, said = read(self.folder / f"{name}.blend"), self.said(name)
                self.check(row, said)
                self.assertEqual(row["version"], said["version"])

    def test_they_say_something(self):
        """So that none of the comparisons is one of nothing with nothing."""
        for name, count in (("images", 5), ("packed", 1), ("tiled", 1), ("sequence", 1), ("clips", 1), ("volume_sequence", 1), ("fonts", 1), ("sounds", 2), ("strips", 4), ("volumes", 1),
                            ("caches", 1), ("fluid", 1), ("scripts", 1), ("profile", 1), ("linked", 1), ("many", 40)):
            self.assertEqual(len(self.said(name)["paths"]), count, name)
        self.assertEqual((self.said("cycles")["sampling"], self.said("eevee")["sampling"]), ({"samples": 321}, {"samples": 77}))

    def test_types_and_places(self):
        types = {"images": "texture", "fonts": "font", "volumes": "volume", "caches": "cache", "fluid": "cache", "scripts": "script", "profile": "light",
                 "linked": "library"}
        for name, kind in types.items():
            self.assertEqual({a["type"] for a in read(self.folder / f"{name}.blend")["assets"]}, {kind}, name)
        images = {a["path"]: a for a in read(self.folder / "images.blend")["assets"]}
        self.assertEqual({p for p, a in images.items() if not a["exists"]}, {"//files/gone.png", "C:\\textures\\wood.jpg"})
        self.assertEqual(images["//files/木.png"]["size"], (self.folder / "files/木.png").stat().st_size)
        for name, count in (("tiled", 2), ("sequence", 3), ("clips", 3), ("volume_sequence", 3)):
            self.assertEqual(read(self.folder / f"{name}.blend")["assets"][0]["files"], count, name)
            self.assertEqual(len(self.said(name)["sequences"]), name != "tiled")
        self.assertTrue(read(self.folder / "linked.blend")["assets"][0]["exists"])

    def test_compressed(self):
        self.assertEqual(read(self.folder / "many_zstd.blend")["compression"], "zstd")
        path = self.folder / "packed.gz.blend"  # as Blender did it before 3.0
        path.write_bytes(gzip.compress((self.folder / "strips.blend").read_bytes()))
        row = read(path)
        self.assertEqual(row["compression"], "gzip")
        self.check(row, self.said("strips"))

    def test_headers_of_5_0(self):
        for name in ("images", "cycles", "strips", "cameras", "unicode_names"):
            path = self.folder / f"new_{name}.blend"
            path.write_bytes(tiny.large_of((self.folder / f"{name}.blend").read_bytes()))
            row = read(path)
            self.assertEqual(row["version"], "5.0")
            self.check(row, self.said(name))


if __name__ == "__main__":
    unittest.main()
