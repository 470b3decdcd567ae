# Run by Blender once the scene is open, and before anything is rendered (worker/render/). What it says is a line that begins with GANTRY.
#
# Of a Blender that is kept for several frames it makes them itself, one for each line of JSON on stdin, in the way of `blender -f`.
import ctypes
import json
import os
import re

import bpy

with open(os.environ["GANTRY_RENDER"], encoding="utf-8") as file:
    WISH = json.load(file)


MISSING = []
SAID = []  # once, of the scene: each frame's log is to have it
NAMED = {}  # how the scene names images of which it has other paths by now


def say(kind, text):
    print("GANTRY", kind, text, flush=True)


def tell(kind, text):
    if (kind, text) not in SAID:
        SAID.append((kind, text))
        say(kind, text)


def give_up(why):
    say("ERROR", why)
    raise SystemExit(9)


def below(path):
    """As place_below of proto/place.h has it."""
    steps = [step for step in re.split(r"[/\\]+", path) if step not in ("", ".")]
    if steps and re.fullmatch(r"[A-Za-z]:.*", steps[0]):
        steps[0:1] = [step for step in (steps[0][0], steps[0][2:]) if step]
    return None if not steps or ".." in steps else "/".join(steps)


def is_many(block):
    return getattr(block, "source", None) == "SEQUENCE" or bool(getattr(block, "is_sequence", False))


def numbered(path, number):
    """The file of a sequence that has this number (or pattern), as Blender puts it: in the place of the last digits. None: there are none."""
    folder, stem, ending = re.fullmatch(r"(.*[/\\])?(.*?)(\.[^.]*)?", path, re.DOTALL).groups("")
    found = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", stem, re.DOTALL)
    if not found:
        return None
    if isinstance(number, int):
        return f"{folder}{found[1]}{max(number, 0):0{len(found[2])}d}{found[3]}{ending}"
    return re.escape(found[1]) + number + re.escape(found[3] + ending)


def there(path, many=False):
    """Patterns stand for files of their folder, and so do names of sequences (many)."""
    if os.path.exists(path):
        return True
    pattern = re.escape(os.path.basename(path)).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
    pattern = (numbered(path, "[0-9]+") if many else None) or pattern
    try:
        return any(re.fullmatch(pattern, name) for name in os.listdir(os.path.dirname(path)))
    except OSError:
        return False


def find(path, library, many):
    """Where the farm has it; None: where it is named, or nowhere."""
    plain = path.replace("\\", "/")
    foreign = re.match(r"[A-Za-z]:|//[^/]+/[^/]+/", plain) if not plain.startswith("//") or path.startswith("\\\\") else None
    if not foreign and there(bpy.path.abspath(plain, library=library), many):
        return None if plain == path else plain
    if plain.startswith("//") and not path.startswith("\\\\"):
        outside = re.search("/([A-Za-z]:/.+)", plain)  # what Blender makes of C:/x as it saves it elsewhere than on Windows
        if not outside:
            return None
        plain = outside.group(1)
    name = below(plain)
    place = name and os.path.join(WISH["root"], name)
    return place if place and there(place, many) else None


def remap(owner, attribute, library):
    path = getattr(owner, attribute)
    if not path:
        return False
    found = find(path, library, is_many(owner))
    if found:
        setattr(owner, attribute, found)
    elif not there(bpy.path.abspath(path.replace("\\", "/"), library=library), is_many(owner)):
        MISSING.append(path)
        tell("MISSING", path)
    return bool(found)


def files():
    for library in bpy.data.libraries:
        if remap(library, "filepath", library.parent):
            library.reload()
    for image in bpy.data.images:
        if image.source in {"FILE", "SEQUENCE", "MOVIE", "TILED"} and not image.packed_file:
            NAMED[image.name_full] = image.filepath
            if remap(image, "filepath", image.library):
                image.reload()
    for name in ("fonts", "sounds", "volumes", "cache_files", "movieclips"):
        for block in getattr(bpy.data, name, ()):
            if not getattr(block, "packed_file", None) and block.filepath != "<builtin>":
                remap(block, "filepath", block.library)


# ---- sequences of images: the file of one frame


def moves(tree):
    """Which file it is changes in ways that are not foreseen here."""
    data = tree.animation_data
    if not data:
        return False
    curves = getattr(data.action, "fcurves", None) if data.action else ()
    return curves is None or len(data.nla_tracks) > 0 or any(re.search("frame_|use_cyclic", curve.data_path) for curve in (*curves, *data.drivers))


def shown():
    """Each image with what says which of its files is seen in a frame."""
    kinds = (bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.scenes, bpy.data.textures, bpy.data.linestyles)
    trees = [block.node_tree for kind in kinds for block in kind if getattr(block, "node_tree", None)]
    for tree in (*trees, *bpy.data.node_groups):
        for node in () if moves(tree) else tree.nodes:
            yield getattr(node, "image", None), getattr(node, "image_user", node)
    for texture in bpy.data.textures:
        if texture.type == "IMAGE" and not moves(texture):
            yield texture.image, texture.image_user


def number_of(user, frame):
    """As BKE_image_user_frame_get has it."""
    at, count = frame - user.frame_start + 1, user.frame_duration
    if not count:
        return 0
    return (at % count or count if user.use_cyclic else max(0, min(at, count))) + user.frame_offset


def lacks(frame):
    """Tells which files of sequences this very frame has not got; a sequence without any file was told already."""
    gone = []
    for image, user in shown():
        if not image or not is_many(image) or image.use_multiview or not hasattr(user, "frame_duration"):
            continue
        if not user.use_auto_refresh and bpy.context.scene.render.engine != "CYCLES":
            continue
        path, number = bpy.path.abspath(image.filepath, library=image.library), number_of(user, frame)
        file = numbered(path, number)
        if file and there(path, True) and not os.path.exists(file):
            gone.append(numbered(NAMED.get(image.name_full, path), number) or file)
    for name in dict.fromkeys(gone):
        say("MISSING", name)
    if gone and not WISH["allow_missing"]:
        give_up(f"{len(set(gone))} of its files are missing in frame {frame}, {gone[0]} for one")


# ---- settings


def denoiser(scene):
    """Debian's Blender has none, and scenes ask for one by default."""
    if scene.render.engine == "CYCLES":
        import _cycles
        if not _cycles.with_openimagedenoise:
            wanted = scene.cycles.use_denoising
            scene.cycles.use_denoising = False
            for layer in scene.view_layers:
                wanted = wanted or layer.cycles.use_denoising
                layer.cycles.use_denoising = False
            if wanted:
                tell("WARNING", "this Blender has no denoiser: the picture is not denoised")
    if scene.use_nodes and scene.node_tree and not getattr(bpy.app.build_options, "openimagedenoise", True):
        for node in scene.node_tree.nodes:
            if node.type == "DENOISE" and not node.mute:
                node.mute = True
                tell("WARNING", "this Blender has no denoiser: the node " + node.name + " is passed over")


def settle():
    """What was wished of the scene's settings."""
    for scene in bpy.data.scenes:
        if WISH.get("renderer") and scene == bpy.context.scene:
            scene.render.engine = WISH["renderer"]
        if WISH.get("width") and WISH.get("height"):
            scene.render.resolution_x, scene.render.resolution_y = WISH["width"], WISH["height"]
            scene.render.resolution_percentage = 100
        denoiser(scene)


# ---- several frames


def stamp(path):
    try:
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size, found.st_ino
    except OSError:
        return None


def seen():
    """The files that it was made of, as they are now; of patterns their folder."""
    paths = {bpy.data.filepath} | {os.path.join(WISH["root"], below(path)) for path in MISSING if below(path)}
    for name in ("libraries", "images", "fonts", "sounds", "volumes", "cache_files", "movieclips"):
        for block in getattr(bpy.data, name, ()):
            if block.filepath and block.filepath != "<builtin>":
                path = bpy.path.abspath(block.filepath, library=block.parent if name == "libraries" else block.library)
                paths.add(os.path.dirname(path) if getattr(block, "source", "FILE") in {"SEQUENCE", "TILED"} else path)
    return {path: stamp(path) for path in paths}


def simulated():
    """What a frame has of those that were made before it, so that it is another picture behind others; None: nothing."""
    for scene in bpy.data.scenes:
        if scene.rigidbody_world:
            return "the scene has rigid bodies"
    for item in bpy.data.objects:
        for system in item.particle_systems:
            if system.settings.type != "HAIR" or system.use_hair_dynamics:
                return f"particles of {item.name}"
        for modifier in item.modifiers:
            if modifier.type in {"CLOTH", "SOFT_BODY", "FLUID", "DYNAMIC_PAINT"}:
                return f"{modifier.type.lower()} of {item.name}"
    for tree in bpy.data.node_groups:
        if any(node.bl_idname.startswith("GeometryNodeSimulation") for node in tree.nodes):
            return f"the simulation {tree.name}"
    return None


def flush():
    """What Blender itself has written, before we say more."""
    ctypes.CDLL(None).fflush(None)


def make(frame):
    """As -f has it: an animation of one frame. What was set for that goes again."""
    scene = bpy.context.scene
    first, last = scene.frame_start, scene.frame_end
    settle()
    scene.render.filepath = frame["output"]
    scene.frame_start = scene.frame_end = frame["frame"]
    try:
        bpy.ops.render.render(animation=True)
    except RuntimeError as error:
        flush()
        print(str(error).strip(), flush=True)
        raise SystemExit(0) from None
    scene.frame_start, scene.frame_end = first, last
    flush()


def frames():
    once, known, made = simulated(), seen(), 0
    for scene in bpy.data.scenes:
        scene.render.use_persistent_data = False  # nothing of one frame is to be in another
    for line in open(0, encoding="utf-8", closefd=False):
        frame = json.loads(line)
        if made:
            if seen() != known:
                break  # a new Blender sees what it is now
            for kind, text in SAID:
                say(kind, text)
        if once:
            say("ONCE", once)
        lacks(frame["frame"])
        say("READY", bpy.app.version_string)
        make(frame)
        made += 1
        say("DONE", frame["token"])
        if once:
            break
    raise SystemExit(0)


def main():
    if os.path.realpath(bpy.data.filepath) != os.path.realpath(WISH["scene"]):
        give_up("the scene cannot be opened by this Blender")
    files()
    if MISSING and not WISH["allow_missing"]:
        give_up(f"{len(MISSING)} of its files are missing, {MISSING[0]} for one")
    settle()
    if WISH["kept"]:
        frames()
    lacks(WISH["frame"])
    say("READY", bpy.app.version_string)


main()
