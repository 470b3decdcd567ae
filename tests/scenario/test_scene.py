"""gantry-scene: what it says of scene files of each format, and that nothing leads it out of its folders."""

import gzip
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from tests.farm import BUILD, SLOW, alive, descendants, wait_for
from tests.scene import tiny

SCENE = str(BUILD / "gantry-scene")


def run(*arguments):
    return subprocess.run([SCENE, *map(str, arguments)], capture_output=True, timeout=120 * SLOW, check=False)


def read(path, *options):
    done = run(*options, path)
    return json.loads(done.stdout)


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-scene-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()

    def put(self, name, data=b"x"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def said(self, data, name="a.ma", *options):
        return read(self.put(name, data), *options)

    def assets(self, row):
        return {a["path"]: a for a in row["assets"]}


class Maya(Folder):
    def test_all_of_it(self):
        row = self.said(tiny.MAYA.encode(), "wolf.ma")
        info = row["scene_info"]
        self.assertNotIn("error", row)
        self.assertEqual((row["format"], row["version"], row["compression"]), ("maya_ascii", "2024", "none"))
        self.assertEqual(row["scene_file_hash"], hashlib.md5(tiny.MAYA.encode()).hexdigest())
        self.assertEqual(row["scene_file_size"], len(tiny.MAYA.encode()))
        self.assertEqual([info[k] for k in ("renderer", "start_frame", "end_frame", "width", "height", "image_format", "fps", "output")],
                         ["arnold", 1, 100, 2048, 1152, "exr", 25, "<Scene>/shot"])
        self.assertEqual((info["render_camera"], info["cameras"]), (["cameraShape1"], ["perspShape", "cameraShape1"]))
        self.assertEqual(info["sampling"], {"camera": 7, "diffuse": 5, "specular": 5})
        self.assertEqual(info["plugins"], {"mtoa": "5.3.1", "stereoCamera": "10.0"})
        self.assertEqual(info["assumed"], ["frame_step"])
        self.assertEqual([(a["path"], a["type"], a["node"]) for a in row["assets"]],
                         [("C:/proj/char.ma", "reference", "charRN"), ("C:/textures/wood.jpg", "texture", "file1"),
                          ("sourceimages/t.<UDIM>.exr", "texture", "file2"), ("Y:\\Render_Test\\mis;sing\".jpg", "texture", "file3"),
                          ("D:/cache.abc", "cache", "abc1"), ("C:/proj/skin v2.jpg", "texture", "charRN"), ("sound/a.wav", "sound", "sound1"),
                          ("//sourceimages/plate.####.jpg", "texture", "plane1"), ("$ASSETS/tree.ass", "proxy", "proxy1")])
        self.assertEqual(row["asset_summary"], {"total_count": 9, "total_size": 0, "missing_count": 9})
        self.assertEqual(row["missing"][-1], {"node": "proxy1", "path": "$ASSETS/tree.ass", "reason": "unknown_variable"})
        self.assertEqual(row["missing"][0]["reason"], "file_not_found")

    def test_compressed(self):
        plain, packed = self.said(tiny.MAYA.encode(), "a.ma"), self.said(gzip.compress(tiny.MAYA.encode()), "a.ma.gz")
        self.assertEqual((packed["compression"], packed["format"]), ("gzip", "maya_ascii"))
        self.assertEqual(packed["scene_info"], plain["scene_info"])
        self.assertEqual(packed["assets"], plain["assets"])
        two = self.said(gzip.compress(tiny.MAYA[:900].encode()) + gzip.compress(tiny.MAYA[900:].encode()), "b.ma.gz")
        self.assertEqual(two["assets"], plain["assets"])

    def test_what_a_file_does_not_say(self):
        info = self.said(b'//Maya ASCII 2022 scene\nrequires maya "2022";\n')["scene_info"]
        self.assertEqual([info[k] for k in ("renderer", "start_frame", "end_frame", "width", "height", "fps", "image_format")],
                         ["mayaSoftware", 1, 10, 960, 540, 24, "iff"])
        self.assertEqual(sorted(info["assumed"]),
                         ["end_frame", "fps", "frame_step", "height", "image_format", "renderer", "start_frame", "width"])

    def test_code_pages(self):
        text = '//Maya ASCII 2020 scene\n//Codeset: 936\ncreateNode file -n "f";\n\tsetAttr ".ftn" -type "string" "D:/贴图/木头.jpg";\n'
        self.assertEqual(list(self.assets(self.said(text.encode("gbk")))), ["D:/贴图/木头.jpg"])
        utf8 = text.replace("936", "UTF-8")
        self.assertEqual(list(self.assets(self.said(utf8.encode()))), ["D:/贴图/木头.jpg"])
        self.assertEqual(list(self.assets(self.said(text.replace("贴图/", "").encode("gbk")))), ["D:/木头.jpg"])  # bytes that are UTF-8, too
        latin = text.replace("936", "1252").replace("贴图/木头", "é")
        self.assertEqual(list(self.assets(self.said(latin.encode("cp1252")))), ["D:/é.jpg"])

    def test_files_of_other_code_pages(self):
        """Names in the scene are in its code page, those on this disk are not."""
        self.put("贴图/木头.jpg", b"123")
        text = '//Maya ASCII 2020 scene\n//Codeset: 936\ncreateNode file -n "f";\n\tsetAttr ".ftn" -type "string" "贴图/木头.jpg";\n'
        asset = self.assets(self.said(text.encode("gbk"), "场景.ma"))["贴图/木头.jpg"]
        self.assertEqual((asset["size"], asset["file"]), (3, str(self.folder / "贴图/木头.jpg")))

    def test_called_from_below(self):
        self.put("show/workspace.mel")
        self.put("show/sourceimages/wood.jpg")
        self.put("show/scenes/a.ma", tiny.MAYA.replace("C:/textures", "sourceimages").encode())
        done = subprocess.run([SCENE, "a.ma"], capture_output=True, timeout=60 * SLOW, check=False, cwd=self.folder / "show/scenes")
        self.assertTrue(self.assets(json.loads(done.stdout))["sourceimages/wood.jpg"]["exists"])

    def test_a_name_that_is_no_text(self):
        done = run(os.fsdecode(bytes(self.folder) + b"/\xff.ma"))
        self.assertEqual(json.loads(done.stdout)["scene_file"], f"{self.folder}/\ufffd.ma")

    def test_at_each_place_of_a_block(self):
        """Statements, quotes, escapes and comments that go on in the next block of 256 KiB."""
        wanted = '/* " */ // "\ncreateNode file -n "f\\"1";\n\tsetAttr ".ftn" -type "string" "a\\\\;\\"b.jpg";\ncreateNode camera -n "c1";\n'
        for at in range(len(wanted)):
            filler = 'setAttr ".a" 1;\n' + "\n" * (256 * 1024 - 16 - at)
            row = self.said((filler + wanted).encode())
            self.assertEqual([(a["path"], a["node"]) for a in row["assets"]], [('a\\;"b.jpg', 'f"1')], at)
            self.assertEqual(row["scene_info"]["render_camera"], ["c1"], at)

    def test_long_statements(self):
        long = 'createNode file -n "f";\n\tsetAttr ".ftn" -type "string" "%s";\n' % ("x" * 3000000)
        after = 'createNode file -n "g";\n\tsetAttr ".ftn" -type "string" "g.jpg";\n'
        row = self.said((long + after).encode())
        self.assertEqual(list(self.assets(row)), ["g.jpg"])
        self.assertIn("1 statements of over 1024 KiB were passed over", row["not_read"])
        edits = 'createNode reference -n "r";\n\tsetAttr ".ed" -type "dataReferenceEdits" "r" "r" 1\n' + '\t\t2 "a" "b" " 1"\n' * 60000
        row = self.said((edits + '\t\t2 "c" "ftn" " -type \\"string\\" \\"c.jpg\\"";\n' + after).encode())
        self.assertEqual((list(self.assets(row)), row["not_read"]), (["c.jpg", "g.jpg"], []))
        mesh = 'createNode mesh -n "m";\n\tsetAttr ".vt" ' + "1 2 3 " * 500000 + ";\n"
        row = self.said((mesh + after).encode())
        self.assertEqual((list(self.assets(row)), row["not_read"]), (["g.jpg"], []))

    def test_no_end(self):
        row = self.said(b'//Maya ASCII\ncreateNode file -n "f";\n\tsetAttr ".ftn" -type "string" "a.jp')
        self.assertEqual(row["not_read"], ["its last statement has no end: it may be cut short"])

    def test_renderers_formats(self):
        base = 'select -ne :defaultRenderGlobals;\n\tsetAttr ".ren" -type "string" "%s";\n\tsetAttr ".outf" %d;\n'
        self.assertEqual(self.said((base % ("mayaHardware2", 32)).encode())["scene_info"]["image_format"], "png")
        more = 'createNode aiAOVDriver -s -n "defaultArnoldDriver";\n\tsetAttr ".ai_translator" -type "string" "tif";\n'
        self.assertEqual(self.said((base % ("arnold", 32) + more).encode())["scene_info"]["image_format"], "tif")
        self.assertEqual(self.said((base % ("arnold", 51)).encode())["scene_info"]["image_format"], "exr")

    def test_units(self):
        for unit, fps in (("film", 24), ("ntscf", 60), ("23.976fps", 23.976), ("120fps", 120)):
            self.assertEqual(self.said(f"currentUnit -l centimeter -a degree -t {unit};".encode())["scene_info"]["fps"], fps)

    def test_project(self):
        self.put("show/workspace.mel")
        self.put("show/sourceimages/wood.jpg", b"12345")
        for i in (1001, 1002, 1011):
            self.put(f"show/sourceimages/t.{i}.exr", b"123")
        self.put("show/sourceimages/plate.0001.jpg", b"12")
        text = tiny.MAYA.replace("C:/textures/wood.jpg", "D:/elsewhere//sourceimages/wood.jpg")
        row = self.said(text.encode(), "show/scenes/a/wolf.ma")
        assets = self.assets(row)
        wood, tiles = assets["D:/elsewhere//sourceimages/wood.jpg"], assets["sourceimages/t.<UDIM>.exr"]
        self.assertEqual((wood["exists"], wood["size"], wood["file"]), (True, 5, str(self.folder / "show/sourceimages/wood.jpg")))
        self.assertEqual((tiles["exists"], tiles["size"], tiles["files"]), (True, 9, 3))
        self.assertEqual(assets["//sourceimages/plate.####.jpg"]["files"], 1)
        self.assertEqual(row["asset_summary"]["missing_count"], 6)


class MayaBinary(Folder):
    def test_both_widths(self):
        for wide in (True, False):
            row = self.said(tiny.maya_binary(wide), "a.mb")
            info = row["scene_info"]
            self.assertEqual((row["format"], row["version"], info["plugins"]), ("maya_binary", "2022", {"mtoa": "5.0"}))
            self.assertEqual([info[k] for k in ("renderer", "start_frame", "end_frame", "width", "height", "image_format", "fps")],
                             ["arnold", 3, 9, 1280, 720, "exr", 24])
            self.assertEqual((info["render_camera"], info["cameras"]), (["shotCamShape"], ["shotCamShape", "sideShape"]))
            self.assertEqual([(a["path"], a["type"], a["node"]) for a in row["assets"]],
                             [("C:/refs/char.mb", "reference", None), ("sourceimages/wood.jpg", "texture", "file1"), ("caches/sea.abc", "cache", "abc1")])
            self.assertTrue(any("not public" in note for note in row["not_read"]))

    def test_damaged(self):
        iff = tiny.Iff(False)
        deep = b"x"
        for _ in range(40):
            deep = iff.group(b"NODE", deep)
        for data, words in ((tiny.maya_binary()[:200], "cut short"), (iff.group(b"Maya", iff.chunk(b"FOR4", b"HEAD", 1 << 30)), "longer than the group"),
                            (iff.group(b"Maya", deep), "deep"), (iff.group(b"Jaya"), "no Maya binary"), (iff.chunk(b"FOR4", b""), "too short")):
            row = self.said(data, "a.mb")
            self.assertIn(words, row["error"])
            self.assertEqual((row["error_kind"], row["scene_file_hash"]), ("invalid", hashlib.md5(data).hexdigest()))


class Unreal(Folder):
    def test_project(self):
        row = self.said(json.dumps(tiny.UPROJECT).encode(), "p.uproject")
        self.assertEqual((row["format"], row["version"], row["scene_info"]["plugins"]), ("unreal_project", "5.3", {"MovieRenderPipeline": ""}))
        self.assertIn("no project", self.said(b"[1", "p.uproject")["error"])
        self.assertIn("no object", self.said(b"[]", "p.uproject")["error"])

    def test_map(self):
        self.put("show/Content/Props/Chair.uasset", b"1234")
        for more in ({}, {"legacy": -7, "ue5": 0}, {"legacy": -9, "ue5": 1016}):
            row = self.said(tiny.umap(**more), "show/Content/Maps/Level.umap")
            self.assertEqual((row["format"], row["version"][0]), ("unreal_package", "5" if more.get("ue5", 1) else "4"))
            assets = self.assets(row)
            self.assertEqual(list(assets), ["/Game/Props/Chair", "/Game/Maps/Level", "/Foliage/Trees/Oak"])
            self.assertEqual((assets["/Game/Props/Chair"]["size"], assets["/Game/Maps/Level"]["exists"]), (4, True))
            self.assertEqual([m["reason"] for m in row["missing"]], ["not_looked_up"])

    def test_damaged(self):
        for data, words in ((tiny.umap(count=1 << 30), "makes no sense"), (tiny.umap(at=5), "makes no sense"), (tiny.umap(legacy=-20), "not known"),
                            (tiny.umap(count=1000), "cut short")):
            self.assertIn(words, self.said(data, "a.umap")["error"])


class Headers(Folder):
    """Sorts of .blend that Debian's Blender does not write."""

    def check(self, row, version):
        info = row["scene_info"]
        self.assertNotIn("error", row)
        self.assertEqual((row["version"], info["scene"], info["renderer"], info["image_format"]), (version, "Shot 7", "cycles", "exr"))
        self.assertEqual([info[k] for k in ("start_frame", "end_frame", "frame_step", "width", "height", "resolution_percentage", "fps", "output")],
                         [-3, 77, 2, 2048, 1152, 50, 25, "//out/####"])
        self.assertEqual((info["render_camera"], info["cameras"], info["sampling"]), (["Camera", "相机"], ["Camera", "相机"], {"samples": 123}))
        self.assertEqual([(a["path"], a["type"], a["node"], a["exists"]) for a in row["assets"]],
                         [("//clips/a.mp4", "movie", "film", False), ("//tex/wood.png", "texture", "wood", True),
                          ("//tex/in.png", "texture", "packed", True), ("//lib.blend", "library", "lib", False)])

    def test_each(self):
        self.put("tex/wood.png")
        for more, version in (({}, "3.4"), ({"version": 280}, "2.80"), ({"pointer": 4}, "3.4"), ({"big": True}, "3.4"), ({"big": True, "pointer": 4}, "3.4"),
                              ({"large": True, "version": 500}, "5.0"), ({"large": True, "version": 1203}, "12.3")):
            data = tiny.blend(**more).bytes()
            self.check(self.said(data, "a.blend"), version)
            self.check(self.said(gzip.compress(data), "a.blend"), version)

    def test_what_was_never_changed(self):
        file = tiny.Blend(version=283)
        file.add("SC", "Scene", 0x200, id={"name": "SCa"}, r={"engine": "CYCLES"})
        info = self.said(file.bytes(), "a.blend")["scene_info"]
        self.assertEqual((info["sampling"], info["assumed"]), ({"samples": 128}, ["sampling.samples"]))

    def test_a_library(self):
        row = self.said(tiny.Blend().add("OB", "Object", 5, id={"name": "OBa"}).bytes(), "a.blend")
        self.assertIn("there is no scene in it: it can be linked from, not rendered", row["not_read"])

    def test_unknown_header(self):
        self.assertIn("not known yet", self.said(b"BLENDER17-02v0500" + bytes(100), "a.blend")["error"])


    def test_sequences(self):
        """Of one the scene names a file. Tiles were named so, too, before 3.1."""
        file = tiny.Blend(version=290)
        for at, (name, source) in enumerate((("//sea/s_0001.png", 2), ("//sea/t.1001.png", 6), ("//sea/t.<UDIM>.png", 6), ("//sea/one_0001.png", 1), ("//sea/no.png", 2))):
            file.add("IM", "Image", 0x600 + at, id={"name": f"IM{at}"}, name=name, source=source)
        for name in ("s_0001.png", "s_0002.png", "s_10000.png", "s_x.png", "t.1001.png", "t.1012.png", "one_0001.png", "one_0002.png"):
            self.put(f"sea/{name}")
        row = self.said(file.bytes(), "a.blend")
        self.assertEqual([(a["path"], a["exists"], a.get("files"), a["size"]) for a in row["assets"]],
                         [("//sea/s_<frame>.png", True, 3, 3), ("//sea/t.<frame>.png", True, 2, 2), ("//sea/t.<UDIM>.png", True, 2, 2),
                          ("//sea/one_0001.png", True, None, 1), ("//sea/no.png", False, None, None)])


class Hostile(Folder):
    def test_dna(self):
        dna = tiny.blend().dna()
        cases = [b"", b"SDNA", dna[:-1], dna[:len(dna) // 2], dna.replace(b"NAME", b"NAMF"), dna[:8] + b"\xff\xff\xff\x7f" + dna[12:], dna[:8] + bytes(4) + dna[12:],
                 dna[:-4] + b"\xff\xff\xff\xff"]
        for i, bad in enumerate(cases):
            row = self.said(tiny.blend().bytes(dna=bad), "a.blend")
            self.assertIn("DNA", row["error"], i)
        row = self.said(tiny.blend().bytes(dna=bytes(5 << 20)), "a.blend")
        self.assertIn("far too large", row["error"])

    def test_structs_that_hold_themselves(self):
        structs = dict(tiny.STRUCTS)
        file = tiny.Blend(structs=structs)
        file.add("SC", "Scene", 0x200, id={"name": "SCa"}, r={"sfra": 7})
        whole = file.bytes()
        types = list(tiny.SIZES) + list(structs)
        scene, render = types.index("Scene"), types.index("RenderData")
        kept = tiny.struct.pack("<H", render)
        names = list(dict.fromkeys(n for fields in structs.values() for _, n in fields))
        field = kept + tiny.struct.pack("<H", names.index("r"))
        self.assertEqual(whole.count(field), 1)
        row = self.said(whole.replace(field, tiny.struct.pack("<HH", scene, names.index("r"))), "a.blend")
        self.assertNotIn("error", row)
        self.assertIsNone(row["scene_info"]["start_frame"])  # the Scene in a Scene does not fit into it

    def test_lengths_that_lie(self):
        for large in (False, True):
            for length in (1 << 20, 0x7fffffff, 0xffffffff if not large else 1 << 62):
                file = tiny.Blend(large=large, version=500 if large else 304)
                file.raw("SC", b"x" * 50, 1, 0, length=length if length < 1 << 31 or not large else length)
                row = self.said(file.bytes(), "a.blend")
                self.assertIn("error", row)
                self.assertEqual(row["error_kind"], "invalid")
        short = tiny.Blend()
        short.raw("SC", b"x" * 50, 0x200, short.numbers["Scene"])
        row = self.said(short.bytes(), "a.blend")
        self.assertNotIn("error", row)
        self.assertIsNone(row["scene_info"]["end_frame"])

    def test_rings(self):
        file = tiny.blend()
        file.add("DATA", "IDProperty", 0x310, next=0x310, type=6, name="x", data={"group": {"first": 0x310}})
        self.assertNotIn("error", self.said(file.bytes(), "a.blend"))

    def test_cut(self):
        data = tiny.blend().bytes()
        for at in range(0, len(data) - 1, 97):
            row = self.said(data[:at], "a.blend")
            self.assertIn("error", row, at)

    def test_bombs(self):
        bomb = gzip.compress(b"\n" * (256 << 20), 9)
        row = self.said(bomb, "a.ma.gz")
        self.assertIn("times its size", row["error"])
        self.assertEqual(row["scene_file_hash"], hashlib.md5(bomb).hexdigest())
        row = self.said(gzip.compress(tiny.MAYA.encode())[:-20], "b.ma.gz")
        self.assertIn("cut short", row["error"])
        damaged = bytearray(gzip.compress(tiny.MAYA.encode()))
        damaged[200] ^= 0x55
        self.assertIn("error", self.said(bytes(damaged), "c.ma.gz"))

    def test_more_than_is_listed(self):
        text = "".join(f'createNode file -n "f{i}";\n\tsetAttr ".ftn" -type "string" "tex{i}.jpg";\n' for i in range(33000))
        row = self.said(text.encode())
        self.assertEqual((len(row["assets"]), row["assets_left_out"], row["asset_summary"]["total_count"]), (32768, 232, 33000))
        cameras = "".join(f'createNode camera -n "c{i}";\n' for i in range(2000))
        self.assertEqual(len(self.said(cameras.encode())["scene_info"]["cameras"]), 1025)

    def test_memory_does_not_grow(self):
        """Whatever the size: 64 MiB are read in an address space that has not that much to spare."""
        body = b'createNode mesh -n "m";\n\tsetAttr ".vt" ' + b"1 2 3 " * 1000 + b";\n"
        path = self.put("big.ma", b"//Maya ASCII\n" + body * ((160 << 20) // len(body)))
        row = json.loads(run("--memory", 100, path).stdout)
        self.assertNotIn("error", row)

    def endless(self):
        """A scene that takes minutes to read, and no space: 1 TiB of nothing."""
        path = self.put("endless.ma", b"//Maya ASCII\n")
        os.truncate(path, 1 << 40)
        return path

    def test_it_takes_too_long(self):
        done = run("--seconds", 1, self.endless())
        row = json.loads(done.stdout)
        self.assertEqual((done.returncode, row["error"], row["error_kind"]), (1, "it was given up after 1 s", "invalid"))

    def test_a_crash_is_an_answer(self):
        process = subprocess.Popen([SCENE, str(self.endless())], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        wait_for(lambda: descendants(process.pid), what="its child")
        os.kill(next(iter(descendants(process.pid))), signal.SIGKILL)  # which nothing catches
        row = json.loads(process.communicate(timeout=60 * SLOW)[0])
        self.assertIn("the reader crashed on it (signal 9", row["error"])

    def test_the_reader_dies_with_it(self):
        process = subprocess.Popen([SCENE, str(self.endless())], stdout=subprocess.DEVNULL)
        wait_for(lambda: descendants(process.pid), what="its child")
        children = descendants(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not any(alive(child) for child in children), what="the child's end")

    def test_no_scene(self):
        self.assertIn("none of the scenes", self.said(b"hello", "a.txt")["error"])
        self.assertIn("empty", self.said(b"", "a.ma")["error"])
        self.assertEqual(read(self.folder / "none.ma")["error_kind"], "not_found")
        self.assertEqual(read(self.folder)["error_kind"], "invalid")

    def test_no_device_or_pipe_holds_it_up(self):
        os.mkfifo(self.folder / "pipe.ma")
        self.assertEqual(read(self.folder / "pipe.ma")["error_kind"], "invalid")

    def test_wrong_calls(self):
        for arguments in ((), ("a", "b"), ("--seconds", "0", "a"), ("--what", "a", "b"), ("--root", self.folder / "none", "a")):
            self.assertEqual(run(*arguments).returncode, 2, arguments)
        self.assertEqual(run(self.folder / "none.ma").returncode, 1)


class Roots(Folder):
    def setUp(self):
        super().setUp()
        self.roots = []
        for name in ("one", "two"):
            (self.folder / name).mkdir()
            self.roots += ["--root", str(self.folder / name)]

    def test_drives(self):
        self.put("two/C/Project/wolf.ma", tiny.MAYA.encode())
        self.put("one/C/textures/wood.jpg", b"1234567")
        self.put("one/Y/Render_Test/mis;sing\".jpg", b"1")
        row = read("C:/Project/wolf.ma", *self.roots)
        self.assertEqual(row["scene_file"], "C:/Project/wolf.ma")
        self.assertEqual({p: a["exists"] for p, a in self.assets(row).items() if a["exists"]},
                         {"C:/textures/wood.jpg": True, "Y:\\Render_Test\\mis;sing\".jpg": True})
        self.assertEqual(self.assets(row)["C:/textures/wood.jpg"]["file"], str(self.folder / "one/C/textures/wood.jpg"))
        self.assertEqual(read("C:\\Project\\wolf.ma", *self.roots)["scene_file_hash"], row["scene_file_hash"])
        self.assertEqual(read(self.folder / "two/C/Project/wolf.ma", *self.roots)["scene_file_hash"], row["scene_file_hash"])
        self.assertEqual(read("/C/Project/wolf.ma", *self.roots)["scene_file_hash"], row["scene_file_hash"])

    def test_drives_that_blender_has_seen(self):
        """Beside the scene, where Blender looks, or what it was on Windows."""
        file = tiny.Blend()
        for at, name in enumerate(("//C:/tex/wood.png", "//../D:/tex/sky_##.png", "//C:/tex/beside.png", "//C:/../../out.png", "//C:/gone.png")):
            file.add("IM", "Image", 0x600 + at, id={"name": f"IM{at}"}, name=name, source=1)
        self.put("out.png")
        self.put("two/p/C:/tex/beside.png", b"12")
        for name in ("C/tex/wood.png", "D/tex/sky_01.png", "C/tex/beside.png"):
            self.put(f"one/{name}", b"1")
        row = self.said(file.bytes(), "two/p/a.blend", *self.roots)
        self.assertEqual([(a["exists"], a["file"]) for a in row["assets"]],
                         [(True, f"{self.folder}/one/C/tex/wood.png"), (True, f"{self.folder}/one/D/tex/sky_##.png"),
                          (True, f"{self.folder}/two/p/C:/tex/beside.png"), (False, None), (False, None)])

    def test_nothing_leads_out(self):
        self.put("secret.ma", tiny.MAYA.encode())
        self.put("secret.png")
        (self.folder / "one/link.ma").symlink_to(self.folder / "secret.ma")
        (self.folder / "one/out").symlink_to(self.folder)
        for name in ("../secret.ma", "/../secret.ma", "link.ma", "out/secret.ma", "C:/../../secret.ma"):
            row = read(name, *self.roots)
            self.assertEqual(row["error_kind"], "not_found" if name[0] == "C" else "forbidden", (name, row["error"]))
        self.assertEqual(read(self.folder / "secret.ma", *self.roots)["error_kind"], "not_found")
        text = "".join(f'createNode file -n "f";\n\tsetAttr ".ftn" -type "string" "{p}";\n'
                       for p in ("../secret.png", "out/secret.png", "../../../../../../etc/passwd", "/etc/passwd", "out/secret.###"))
        self.put("one/a.ma", text.encode())
        row = read("a.ma", *self.roots)
        self.assertEqual({a["exists"] for a in row["assets"]}, {False})
        self.assertEqual([m["reason"] for m in row["missing"]],
                         ["outside_the_roots", "outside_the_roots", "outside_the_roots", "file_not_found", "outside_the_roots"])

    def test_results_are_bounded(self):
        text = "".join(f'createNode file -n "f{i}";\n\tsetAttr ".ftn" -type "string" "tex{i}.jpg";\n' for i in range(5000))
        path = self.put("a.ma", text.encode())
        result, output = self.folder / "result", self.folder / "output"
        done = run("--result", result, "--output", output, path)
        self.assertEqual((done.returncode, done.stdout), (0, b"maya_ascii: 5000 files it needs, 5000 of them missing\n"))
        self.assertLess(result.stat().st_size, 65536)
        short, whole = json.loads(result.read_text()), json.loads(output.read_text())
        self.assertEqual(len(whole["assets"]), 5000)
        self.assertEqual(len(short["assets"]) + short["assets_left_out"], 5000)
        self.assertEqual(short["asset_summary"], whole["asset_summary"])


if __name__ == "__main__":
    unittest.main()
