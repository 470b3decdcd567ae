"""Videos of plain colours, and which colour a picture has."""

import subprocess

COLOURS = ("red", "green", "blue")
FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "500000")
FAST = ("-movflags", "+faststart")


def clip(path, *colours, seconds=4, options=FAST, size="640x360", codec="libx264"):
    """A video that shows these colours, one after the other, with a key frame every half second."""
    sources = [part for colour in colours for part in ("-f", "lavfi", "-i", f"color={dict(green='lime').get(colour, colour)}:size={size}:rate=25:duration={seconds}")]
    joined = "".join(f"[{number}]" for number in range(len(colours))) + f"concat=n={len(colours)}[v]"
    quiet = ("-x265-params", "log-level=none") if codec == "libx265" else ()
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *sources, "-filter_complex", joined, "-map", "[v]", "-pix_fmt", "yuv420p", "-c:v", codec, *quiet, "-preset",
                    "ultrafast", "-g", "12", *options, str(path)], check=True, timeout=600)
    return path


def seen(jpeg):
    """(width, height, colour) of a JPEG that has one; the colour is None where none stands out."""
    if jpeg[:3] != b"\xff\xd8\xff":
        raise AssertionError(f"no JPEG: {jpeg[:80]!r}")
    size = subprocess.run(["ffprobe", "-v", "error", "-f", "mjpeg", "-show_entries", "stream=width,height", "-of", "csv=p=0", "-"], input=jpeg, capture_output=True, check=True,
                          timeout=120).stdout.decode().strip().split(",")
    pixel = subprocess.run(["ffmpeg", "-v", "error", "-f", "mjpeg", "-i", "-", "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], input=jpeg, capture_output=True,
                           check=True, timeout=120).stdout
    values = list(pixel[:3])
    best = max(range(3), key=lambda at: values[at])
    others = [value for at, value in enumerate(values) if at != best]
    return int(size[0]), int(size[1]), COLOURS[best] if values[best] > 200 and max(others) < 60 else None
