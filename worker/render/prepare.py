# Run by Blender once the scene is open, and before anything is rendered (worker/render/). What it says is a line that begins with GANTRY.
import json
import os
import re

import bpy

with open(os.environ["GANTRY_RENDER"], encoding="utf-8") as file:
    WISH = json.load(file)


MISSING = []


def say(kind, text):
    print("GANTRY", kind, text, flush=True)


def give_up(why):
    say("ERROR", why)
    raise SystemExit(9)


def below(path):
    """As worker/render/place.c has it."""
    steps = [step for step in re.split(r"[/\\]+", path) if step not in ("", ".")]
    if steps and re.fullmatch(r"[A-Za-z]:.*", steps[0]):
        steps[0:1] = [step for step in (steps[0][0], steps[0][2:]) if step]
    return None if not steps or ".." in steps else "/".join(steps)


def there(path):
    """Patterns stand for files of their folder."""
    if os.path.exists(path):
        return True
    pattern = re.escape(os.path.basename(path)).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
    try:
        return any(re.fullmatch(pattern, name) for name in os.listdir(os.path.dirname(path)))
    except OSError:
        return False


def find(path, library):
    """Where the farm has it; None: where it is named, or nowhere."""
    plain = path.replace("\\", "/")
    foreign = re.match(r"[A-Za-z]:|//[^/]+/[^/]+/", plain) if not plain.startswith("//") or path.startswith("\\\\") else None
    if not foreign and there(bpy.path.abspath(plain, library=library)):
        return None if plain == path else plain
    if plain.startswith("//") and not path.startswith("\\\\"):
        outside = re.search("/([A-Za-z]:/.+)", plain)  # what Blender makes of C:/x as it saves it elsewhere than on Windows
        if not outside:
            return None
        plain = outside.group(1)
    name = below(plain)
    place = name and os.path.join(WISH["root"], name)
    return place if place and there(place) else None


def remap(owner, attribute, library):
    path = getattr(owner, attribute)
    if not path:
        return False
    found = find(path, library)
    if found:
        setattr(owner, attribute, found)
    elif not there(bpy.path.abspath(path.replace("\\", "/"), library=library)):
        MISSING.append(path)
        say("MISSING", path)
    return bool(found)


def files():
    for library in bpy.data.libraries:
        if remap(library, "filepath", library.parent):
            library.reload()
    for image in bpy.data.images:
        if image.source in {"FILE", "SEQUENCE", "MOVIE", "TILED"} and not image.packed_file:
            if remap(image, "filepath", image.library):
                image.reload()
    for name in ("fonts", "sounds", "volumes", "cache_files", "movieclips"):
        for block in getattr(bpy.data, name, ()):
            if not getattr(block, "packed_file", None) and block.filepath != "<builtin>":
                remap(block, "filepath", block.library)


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
                say("WARNING", "this Blender has no denoiser: the picture is not denoised")
    if scene.use_nodes and scene.node_tree and not getattr(bpy.app.build_options, "openimagedenoise", True):
        for node in scene.node_tree.nodes:
            if node.type == "DENOISE" and not node.mute:
                node.mute = True
                say("WARNING", "this Blender has no denoiser: the node " + node.name + " is passed over")


def main():
    if os.path.realpath(bpy.data.filepath) != os.path.realpath(WISH["scene"]):
        give_up("the scene cannot be opened by this Blender")
    files()
    if MISSING and not WISH["allow_missing"]:
        give_up(f"{len(MISSING)} of its files are missing, {MISSING[0]} for one")
    for scene in bpy.data.scenes:
        if WISH.get("renderer") and scene == bpy.context.scene:
            scene.render.engine = WISH["renderer"]
        if WISH.get("width") and WISH.get("height"):
            scene.render.resolution_x, scene.render.resolution_y = WISH["width"], WISH["height"]
            scene.render.resolution_percentage = 100
        denoiser(scene)
    say("READY", bpy.app.version_string)


main()
