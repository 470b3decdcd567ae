"""The source as the checks in this folder see it."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROOMS = ["proto", "store", "scheduler", "gateway", "worker"]


def tracked(*suffixes):
    """Files of the project, as paths below the root: what git knows or would add, without what is built."""
    text = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout
    paths = [pathlib.PurePosixPath(name) for name in text.split("\0") if name]
    return sorted(p for p in paths if (ROOT / p).is_file() and (not suffixes or p.suffix in suffixes))


def read(path):
    return (ROOT / path).read_text(errors="replace")


def without_comments(text):
    """C without comments, line for line; text in quotes is kept."""
    pattern = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|/\*.*?\*/|//[^\n]*'

    def blank(match):
        part = match.group(0)
        return part if part[0] in "\"'" else "\n" * part.count("\n") or " "

    return re.sub(pattern, blank, text, flags=re.S)


def includes(path):
    """(line number, header, True when in quotes) of each #include."""
    for number, line in enumerate(read(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def functions(path):
    """(name, first line, lines) of each function body: from a { to a } in the first column."""
    lines = read(path).splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start:
            if not line.startswith("};"):
                yield function_name(lines, start), start, number - start - 1
            start = None


def function_name(lines, start):
    head = []
    for line in reversed(lines[: start - 1]):
        if not line.strip() or line.rstrip().endswith((";", "}", "*/")) or line.startswith("#"):
            break
        head.insert(0, line.strip())
    match = re.search(r"(\w+)\s*\(", " ".join(head))
    return match.group(1) if match else "?"


def messages():
    """(NAME, name, FROM, TO) of each message of the table."""
    return re.findall(r"^MSG\((\w+), (\w+), 0x[0-9a-f]+, (\w+), (\w+),", read("proto/messages.def"), re.M)
