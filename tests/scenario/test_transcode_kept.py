"""What a transcode keeps of real files of all sorts, as ffprobe and ffmpeg see it in the result, not as Gantry's own probe does."""

import json
import pathlib
import subprocess
import unittest

from tests import videos
from tests.scenario.test_transcode_worker import Studio

TINY = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=2"]
ASS = ("[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour\nStyle: Loud,Arial,40,&H000000FF\n\n"
       "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
       "Dialogue: 0,0:00:00.20,0:00:01.00,Loud,,0,0,0,,{\\b1}hello\n")


def run(*command):
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def ffprobe(path, *more):
    return json.loads(run("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", *more, str(path)))


def streams(path, kind):
    return [stream for stream in ffprobe(path)["streams"] if stream["codec_type"] == kind]


def digest(path, stream):
    """Of the packets of a stream, whatever container they are in."""
    return run("ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", stream, "-c", "copy", "-f", "md5", "-")


def times(path):
    """Of the frames that are shown, in seconds from the first one."""
    rows = json.loads(run("ffprobe", "-v", "error", "-of", "json", "-select_streams", "v:0", "-show_entries", "packet=pts_time", str(path)))["packets"]
    found = sorted(float(row["pts_time"]) for row in rows)
    return [time - found[0] for time in found]


def side_data(path):
    """{type: what it says} of the film's first frame and of its stream."""
    rows = json.loads(run("ffprobe", "-v", "error", "-of", "json", "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames", "-show_streams",
                          str(path)))
    return {data["side_data_type"]: data for row in rows["frames"] + rows["streams"] for data in row.get("side_data_list", [])}


class Kept(Studio):
    """Each is transcoded once; crf 45 lets what is no H.264 become smaller than it was."""

    def result(self, name, more=(), **settings):
        source = self.root / name
        settings.setdefault("transcode_crf", "45")
        farm = self.farm(**settings)
        made = pathlib.Path(self.made(farm, name, **dict(more))["dest"])
        self.assertEqual(self.leftovers(), [])
        before, after = (streams(path, "video") for path in (source, made))
        self.assertEqual([(s["width"], s["height"]) for s in after], [(s["width"], s["height"]) for s in before])
        self.assertEqual(len(times(made)), len(times(source)))
        self.assertAlmostEqual(float(ffprobe(made)["format"]["duration"]), float(ffprobe(source)["format"]["duration"]), delta=0.2)
        run("ffmpeg", "-v", "error", "-nostdin", "-xerror", "-i", str(made), "-f", "null", "-")  # all of it decodes
        return source, made

    def put(self, name, *arguments):
        videos.ffmpeg(*arguments, str(self.root / name))

    def test_h264(self):
        videos.put("h264.mp4", self.root / "v.mp4")
        source, made = self.result("v.mp4", transcode_crf="30")
        film = streams(made, "video")[0]
        self.assertEqual((film["codec_name"], film["codec_tag_string"], film["pix_fmt"], film["r_frame_rate"]), ("hevc", "hvc1", "yuv420p", "25/1"))
        self.assertEqual(digest(made, "0:a:0"), digest(source, "0:a:0"))
        self.assertLess(made.read_bytes().find(b"moov"), made.read_bytes().find(b"mdat"))  # it can be played while it is fetched

    def test_hevc(self):
        self.put("v.mkv", *TINY, *videos.HEVC, "-crf", "8", "-x265-params", videos.QUIET)
        _, made = self.result("v.mkv")
        self.assertEqual(streams(made, "video")[0]["codec_name"], "hevc")

    def test_av1(self):
        self.put("v.webm", *TINY, "-c:v", "libsvtav1", "-preset", "12", "-crf", "5")
        _, made = self.result("v.webm")
        self.assertEqual((made.suffix, streams(made, "video")[0]["codec_name"]), (".mp4", "hevc"))

    def test_10_bit_hdr10(self):
        self.put("v.mkv", *TINY, "-pix_fmt", "yuv420p10le", *videos.HEVC, "-crf", "8", "-x265-params", videos.HDR10)
        source, made = self.result("v.mkv")
        names = ("codec_name", "pix_fmt", "color_range", "color_space", "color_transfer", "color_primaries")
        before, after = (streams(path, "video")[0] for path in (source, made))
        self.assertEqual([after.get(name) for name in names], [before.get(name) for name in names])
        self.assertEqual((after["color_transfer"], after["pix_fmt"]), ("smpte2084", "yuv420p10le"))
        before, after = side_data(source), side_data(made)
        for kind in ("Mastering display metadata", "Content light level metadata"):
            self.assertEqual(after[kind], before[kind])

    def test_variable_frame_rate(self):
        self.put("v.mkv", *TINY, "-vf", "select='not(mod(n,3))+lt(n,8)'", "-vsync", "vfr", *videos.H264, "-crf", "5")
        source, made = self.result("v.mkv")
        before, after = times(source), times(made)
        self.assertGreater(len({round(b - a, 2) for a, b in zip(before, before[1:])}), 1)  # it is one
        for a, b in zip(before, after):
            self.assertAlmostEqual(a, b, delta=0.002)

    def test_audio_tracks(self):
        """Of several codecs, languages and titles, with the one that is played by default, which is not the first."""
        self.put("v.mkv", *TINY, *videos.TONE, *videos.LOW, *videos.LOW, "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-t", "2", *videos.H264, "-crf", "5",
                 "-c:a:0", "aac", "-c:a:1", "ac3", "-c:a:2", "flac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=chi",
                 "-metadata:s:a:1", "title=第二", "-metadata:s:a:2", "language=ger", "-disposition:a:0", "0", "-disposition:a:1", "default",
                 "-disposition:a:2", "comment")
        source, made = self.result("v.mkv")
        self.assertEqual(made.suffix, ".mkv")  # FLAC is not for MP4
        told = [[(s["codec_name"], s["channels"], s["tags"].get("language"), s["tags"].get("title"), s["disposition"]["default"], s["disposition"]["comment"])
                 for s in streams(path, "audio")] for path in (source, made)]
        self.assertEqual(told[1], told[0])
        self.assertEqual([row[4] for row in told[1]], [0, 1, 0])
        for number in range(3):
            self.assertEqual(digest(made, f"0:a:{number}"), digest(source, f"0:a:{number}"))

    def test_subtitles_and_chapters(self):
        videos.put("multi.mkv", self.root / "v.mkv")
        source, made = self.result("v.mkv", transcode_crf="30")
        texts = [run("ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:s:0", "-f", "srt", "-") for path in (source, made)]
        self.assertEqual(texts[1], texts[0])
        self.assertIn(b"world", texts[0])
        told = [[(c["tags"]["title"], round(float(c["start_time"]), 2), round(float(c["end_time"]), 2)) for c in ffprobe(path)["chapters"]]
                for path in (source, made)]
        self.assertEqual(told[1], told[0])
        self.assertEqual([c[0] for c in told[1]], ["One", "Two"])

    def test_styled_subtitles_and_their_font(self):
        (self.folder / "s.ass").write_text(ASS)
        (self.folder / "loud.ttf").write_bytes(bytes(range(256)) * 8)
        self.put("v.mkv", *TINY, "-i", str(self.folder / "s.ass"), "-map", "0", "-map", "1", *videos.H264, "-crf", "5", "-c:s", "copy",
                 "-attach", str(self.folder / "loud.ttf"), "-metadata:s:t", "mimetype=application/x-truetype-font", "-metadata:s:t", "filename=loud.ttf")
        source, made = self.result("v.mkv")
        self.assertEqual(made.suffix, ".mkv")
        self.assertEqual([s["codec_name"] for s in ffprobe(made)["streams"]], ["hevc", "ass", "ttf"])
        self.assertEqual(streams(made, "attachment")[0]["tags"]["filename"], "loud.ttf")
        self.assertEqual(digest(made, "0:s:0"), digest(source, "0:s:0"))
        out = self.folder / "font"
        run("ffmpeg", "-v", "error", "-y", "-dump_attachment:t:0", str(out), "-i", str(made), "-t", "0", "-f", "null", "-")
        self.assertEqual(out.read_bytes(), bytes(range(256)) * 8)

    def test_a_sphere(self):
        videos.put("sphere.mp4", self.root / "v.mp4")
        source, made = self.result("v.mp4", {"is_vr": 1}, transcode_crf="30")
        before, after = side_data(source)["Spherical Mapping"], side_data(made)["Spherical Mapping"]
        self.assertEqual((after["projection"], before["projection"]), ("equirectangular", "equirectangular"))

    def test_a_cover_and_tags(self):
        run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1", str(self.folder / "c.png"))
        self.put("v.mp4", *TINY, "-i", str(self.folder / "c.png"), "-map", "0", "-map", "1", "-c:v:0", "libx264", "-crf", "5", "-c:v:1", "copy",
                 "-disposition:v:1", "attached_pic", "-metadata", "title=片名", "-metadata", "date=2024")
        source, made = self.result("v.mp4")
        self.assertEqual([(s["codec_name"], s["disposition"]["attached_pic"]) for s in streams(made, "video")], [("hevc", 0), ("png", 1)])
        self.assertEqual(digest(made, "0:v:1"), digest(source, "0:v:1"))
        tags = ffprobe(made)["format"]["tags"]
        self.assertEqual((tags["title"], tags["date"]), ("片名", "2024"))


class Broken(Studio):
    """Each is told why, nothing is made of it, and it is left as it was."""

    def check(self, name, content, words, **settings):
        source = self.root / name
        source.write_bytes(content)
        end = self.failed(self.farm(**settings), name, "")
        self.assertRegex(end["error"], words)
        self.assertEqual(source.read_bytes(), content)
        self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])

    def test_cut_before_its_index(self):
        self.check("v.mp4", videos.video("cut.mp4").read_bytes(), "cannot be read")

    def test_cut_in_the_middle(self):
        """Its header promises four seconds."""
        whole = videos.video("multi.mkv").read_bytes()
        self.check("v.mkv", whole[:len(whole) // 4], "is cut off: it is to last 4.0. s", transcode_crf="45")

    def test_noise(self):
        self.check("v.mkv", videos.video("noise.mkv").read_bytes(), "cannot be read")

    def test_empty(self):
        self.check("v.mp4", b"", "cannot be read")

    def test_a_playlist(self):
        """It leads to no other file."""
        self.check("v.mp4", videos.video("list.mp4").read_bytes(), "cannot be read")

    def test_only_sound(self):
        videos.put("sound.m4a", self.root / "v.mp4")
        self.failed(self.farm(), "v.mp4", "it has no video stream")


if __name__ == "__main__":
    unittest.main()
