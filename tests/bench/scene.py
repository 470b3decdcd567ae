"""What reading a large Maya scene costs beside the MD5 of the same file."""

import hashlib
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import tempfile
import time

from tests.farm import BUILD


def write(path, size):
    """Meshes and curves as Maya writes them, a texture to each."""
    draw = random.Random(1)
    meshes = []
    for i in range(60):
        numbers = ["%.8g" % draw.uniform(-50, 50) for _ in range(498)]
        lines = "\n\t\t".join(" ".join(numbers[k:k + 12]) for k in range(0, len(numbers), 12))
        meshes.append(f'\tsetAttr ".vt[{i * 166}:{i * 166 + 165}]"  {lines};\n')
    curves = "".join(f'createNode animCurveTL -n "curve{i}";\n\trename -uid "A-{i}";\n\tsetAttr ".tan" 18;\n\tsetAttr ".wgt" no;\n'
                     '\tsetAttr -s 5 ".ktv[0:4]"  1 0 2 1.5 3 2.25 4 3.1 5 4;\n' for i in range(200))
    block = "".join(meshes) + curves
    with open(path, "w") as file:
        file.write('//Maya ASCII 2024 scene\nrequires maya "2024";\n')
        for i in range(size // len(block) + 1):
            file.write(f'createNode mesh -n "mesh{i}" -p "t{i}";\n{block}createNode file -n "f{i}";\n\tsetAttr ".ftn" -type "string" "tex{i}.jpg";\n')


def timed(work):
    begun = time.monotonic()
    return work(), time.monotonic() - begun


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def peak(pid):
    """KiB that the reader, the one child of this process, has had at most until now; 0 if it is not there."""
    try:
        child = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{child}/status").read_text())[1])
    except (OSError, IndexError, TypeError):
        return 0


def scene(path):
    """What it says, and the CPU seconds and KiB of memory that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    most = 0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(BUILD / "gantry-scene"), str(path)], stdout=out)
        while process.poll() is None:
            most = max(most, peak(process.pid))
            time.sleep(0.005)
        out.seek(0)
        said = json.load(out)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def measure(size, rounds):
    """Of each round the bytes, the seconds of reading with the MD5, its CPU seconds and KiB of memory, and the seconds of the MD5 alone."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        path = pathlib.Path(folder) / "big.ma"
        write(path, size)
        size = os.stat(path).st_size
        digest(path)  # into the page cache
        rows = []
        for _ in range(rounds):
            md5, md5_seconds = timed(lambda: digest(path))
            (said, cpu, rss), seconds = timed(lambda: scene(path))
            assert said["scene_file_hash"] == md5 and said["assets"], "it read something else"
            rows.append({"bytes": size, "seconds": seconds, "cpu": cpu, "kb": rss, "md5_seconds": md5_seconds})
        return rows
