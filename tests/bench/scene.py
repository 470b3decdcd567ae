"""What reading a large Maya scene costs beside the MD5 of the same file.

    python3 -m tests.bench.scene [MIB] [ROUNDS]
"""

import hashlib
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
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


def main():
    size = int(sys.argv[1] if len(sys.argv) > 1 else 500) << 20
    rounds = int(sys.argv[2] if len(sys.argv) > 2 else 3)
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        path = pathlib.Path(folder) / "big.ma"
        write(path, size)
        size = os.stat(path).st_size
        digest(path)  # into the page cache
        rows = []
        for _ in range(rounds):
            md5, md5_seconds = timed(lambda: digest(path))
            (said, cpu, rss), seconds = timed(lambda: scene(path))
            if said["scene_file_hash"] != md5 or len(said["assets"]) < 1:
                sys.exit("it read something else")
            rows.append((seconds, cpu, md5_seconds, rss))
        seconds, cpu, md5_seconds, rss = (sorted(column)[rounds // 2] for column in zip(*rows))
        print(f"{size >> 20} MiB: read with its MD5 {size / seconds / 1e6:.0f} MB/s ({cpu:.2f} s of CPU), its MD5 alone {size / md5_seconds / 1e6:.0f} MB/s, "
              f"{rss / 1024:.1f} MiB of memory")


if __name__ == "__main__":
    main()
