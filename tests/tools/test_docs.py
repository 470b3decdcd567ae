"""Documents: short where they must be, every link and every file they name is there."""

import re
import unittest

from tests.tools.source import ROOT, read, tracked

README_LINES = 150


def documents():
    return tracked(".md")


def prose(path):
    """A document without its code blocks."""
    return re.sub(r"^```.*?^```", "", read(path), flags=re.S | re.M)


def anchors(path):
    """The names that GitHub and GitLab give headings."""
    heads = re.findall(r"^#+ +(.*)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


class Documents(unittest.TestCase):
    def test_readme(self):
        text = read("README.md")
        self.assertLess(text.count("\n"), README_LINES)
        for word in ("./dev up", "./dev test", "gantry run", "proto/", "store/", "scheduler/", "gateway/", "worker/", "LICENSE"):
            self.assertIn(word, text)

    def test_links(self):
        wrong = []
        for path in documents():
            for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                file = (ROOT / path).parent / name if name else ROOT / path
                if not file.exists():
                    wrong.append(f"{path}: {target} is not there")
                elif anchor and file.suffix == ".md" and anchor not in anchors(file.resolve().relative_to(ROOT)):
                    wrong.append(f"{path}: {target} has no such heading")
        self.assertEqual(wrong, [])

    def test_files_named_in_code_marks(self):
        """`proto/messages.def` in a text has to be there; names with <, * or … are patterns."""
        rooms = ("proto/", "store/", "scheduler/", "gateway/", "worker/", "tests/", "docs/", "cmake/", ".ci/")
        wrong = []
        for path in documents():
            for name in re.findall(r"`([\w./-]+)`", prose(path)):
                if name.startswith(rooms) and not (ROOT / name).exists():
                    wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_commands_of_the_readme_are_known_to_dev(self):
        known = set(re.findall(r"^cmd_(\w+)\(\)", read("dev"), re.M))
        for path in documents():
            for name in re.findall(r"\./dev (\w+)", read(path)):
                with self.subTest(f"{path}: ./dev {name}"):
                    self.assertIn(name, known)


if __name__ == "__main__":
    unittest.main()
