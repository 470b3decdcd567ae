"""docs/http/scheduler.html in a browser, where there is one: nothing is wider than the window, on a desk or on a phone."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from tests.tools.source import ROOT

TIME_LIMIT = 2000
BROWSER = shutil.which("chromium")

# The page in a frame of some width, and behind it, once it is there, what of it is wider than the frame and cannot be scrolled by itself.
FRAME = """<!DOCTYPE html><body><iframe id=frame src="scheduler.html" style="width:%dpx;height:900px;border:0"></iframe><script>
const scrolls = e => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
frame.onload = () => {
    const page = frame.contentDocument, width = page.documentElement.clientWidth, wide = [];
    for (const e of page.querySelectorAll("body *"))
        if (e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement)) wide.push(e.textContent.slice(0, 80));
    const said = document.createElement("pre");
    said.textContent = "FOUND" + JSON.stringify({wide, count: page.querySelectorAll("article").length, width}) + "END";
    document.body.append(said);
};
</script>"""


@unittest.skipUnless(BROWSER, "there is no chromium")
class Page(unittest.TestCase):
    def measured(self, width):
        with tempfile.TemporaryDirectory(prefix="gantry-test-") as folder:
            shutil.copy(ROOT / "docs" / "http" / "scheduler.html", folder)
            frame = pathlib.Path(folder) / "frame.html"
            frame.write_text(FRAME % width)
            done = subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                                   "--allow-file-access-from-files", f"--user-data-dir={folder}/profile", "--window-size=1600,1000",
                                   "--virtual-time-budget=20000", "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=600)
            found = re.search(r'FOUND(\{"wide.*?\})END', done.stdout, re.S)
            if not found:
                self.skipTest("the browser does not work here: " + done.stderr[-300:])
            return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    def test_nothing_is_too_wide(self):
        for width in (360, 800, 1280):
            with self.subTest(width=width):
                found = self.measured(width)
                self.assertGreater(found["count"], 40)
                self.assertEqual(found["wide"], [])


if __name__ == "__main__":
    unittest.main()
