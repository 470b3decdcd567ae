"""What gantry-scene says of scenes of Maya's, each whole: tests/scene/maya_corpus.py has them, and what is in them."""

import gzip
import json
import pathlib
import subprocess
import tempfile
import unittest

from tests.farm import BUILD, SLOW
from tests.scene.maya_corpus import CORPUS, DEFAULTS


class Corpus(unittest.TestCase):
    maxDiff = None

    def said(self, name, content):
        with tempfile.TemporaryDirectory(prefix="gantry-maya-") as folder:
            path = pathlib.Path(folder) / name
            path.write_bytes(content)
            return json.loads(subprocess.run([str(BUILD / "gantry-scene"), str(path)], capture_output=True, timeout=120 * SLOW, check=True).stdout)

    def check(self, row, wanted):
        info = {**dict.fromkeys(("scene", "resolution_percentage", "output")), **DEFAULTS, **wanted.info, "render_camera": wanted.rendered, "cameras": wanted.cameras,
                "sampling": wanted.sampling, "plugins": wanted.plugins}
        assumed = {*(set(DEFAULTS) - set(wanted.info)), *(f"sampling.{name}" for name in wanted.sampling if name == "specular")}
        said = dict(row["scene_info"])
        self.assertEqual(set(said.pop("assumed")), assumed)
        self.assertEqual(said, info)
        self.assertEqual([(asset["path"], asset["type"], asset["node"]) for asset in row["assets"]], wanted.assets)
        self.assertEqual((row["format"], row["version"], row["not_read"]), ("maya_ascii", wanted.version, wanted.not_read))

    def test_each(self):
        for name, wanted in CORPUS.items():
            content = wanted.text.encode(wanted.encoding)
            for how, form in (("plain", content), ("of Windows", content.replace(b"\n", b"\r\n")), ("packed", gzip.compress(content))):
                with self.subTest(name, how=how):
                    self.check(self.said(f"{name}.ma{'.gz' * (how == 'packed')}", form), wanted)


if __name__ == "__main__":
    unittest.main()
