"""Every rule that a process can name in an ERROR, and every one the gateway names itself, has a sentence in the catalogue."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LITERAL = re.compile(r'^"([a-z_]+)"$')

# Calls that name a rule: how many arguments stand before it.
CALLS = {
    "scheduler": {"fault_set": 3},
    "store": {"bus_answer_error": 3, "error_field": 2},
    "proto": {"bus_answer_error": 3},
    "gateway": {"problem_set": 3, "problem_value": 3, "problem_json": 2, "refuse": 2, "refuse_bounds": 2},
}

CATALOGUE = ROOT / "gateway" / "texts.def"

# Calls that say what was expected: where they name the rule (None: it is that of addresses), and where the words stand.
EXPECTED = {
    "scheduler": {"fault_set": (3, 5)},
    "gateway": {"problem_value": (3, 5), "problem_json": (2, 4), "refuse": (2, 4), "err_set": (None, 2)},
}
# Ranges, choices of words, forms, names: the same in every language.
PLAIN = re.compile(r"^(\$?\.\.\$?|%s|[a-z]+(\|[a-z]+)+|[a-z]+_[a-z]+|application/json|UTF-\$|[YMDTZ$:-]+)$")


def arguments(text, at):
    """The arguments of the call whose bracket opens at text[at]."""
    found, depth, start, quoted = [], 0, at + 1, False
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return found + [text[start:at].strip()]
        elif char == "," and depth == 1:
            found.append(text[start:at].strip())
            start = at + 1
        at += 1
    return found


def rules_named(folder):
    """{rule: file} of every rule that the folder's calls spell out; a choice (a ? "b" : "c") counts as both."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.c")):
        if "cli" in path.relative_to(ROOT / folder).parts:
            continue
        text = path.read_text()
        for call, index in CALLS[folder].items():
            for match in re.finditer(r"\b" + call + r"\(", text):
                words = arguments(text, match.end() - 1)
                if len(words) > index:
                    for rule in re.findall(r'"([a-z_]+)"', words[index]):
                        found[rule] = path.name
    for path in sorted((ROOT / folder).rglob("*.[ch]")):
        for rule in re.findall(r'#define FAULT_\w+ "([a-z_]+)"', path.read_text()):
            found[rule] = path.name
    return found


def catalogue():
    return set(re.findall(r'^RULE\("([a-z_]+)"', (ROOT / "gateway" / "texts.def").read_text(), re.M))


class Texts(unittest.TestCase):
    def test_every_rule_has_a_sentence(self):
        known = catalogue()
        self.assertGreater(len(known), 30)
        for folder in CALLS:
            named = rules_named(folder)
            missing = {rule: where for rule, where in named.items() if rule not in known}
            self.assertFalse(missing, f"{folder} names rules that gateway/texts.def lacks")
        self.assertIn("live_runs", rules_named("scheduler"))  # the search finds what is there
        self.assertIn("publishing", rules_named("scheduler"))
        self.assertIn("repeated", rules_named("gateway"))
        self.assertIn("reach", rules_named("store"))

    def test_what_was_expected_is_a_phrase_of_the_catalogue(self):
        known = {phrase.replace('\\"', '"') for phrase in re.findall(r'^PHRASE\("(?:[^"\\]|\\.)*", "((?:[^"\\]|\\.)*)"\)', CATALOGUE.read_text(), re.M)}
        self.assertGreater(len(known), 30)
        shown = {rule for rule, sentence in re.findall(r'^RULE\("([a-z_]+)", "([^"]*)"', CATALOGUE.read_text(), re.M) if "{expected}" in sentence}
        shown.discard("exclusive")  # expects the name of a field
        found = 0
        for folder, calls in EXPECTED.items():
            for path in sorted((ROOT / folder).rglob("*.c")):
                text = path.read_text() if "cli" not in path.relative_to(ROOT / folder).parts else ""
                for call, (rule_at, index) in calls.items():
                    if call == "err_set" and path.name != "uri.c":
                        continue
                    for match in re.finditer(r"\b" + call + r"\(", text):
                        words = arguments(text, match.end() - 1)
                        if len(words) <= index or not words[index].startswith('"'):
                            continue
                        rules = set(re.findall(r'"([a-z_]+)"', words[rule_at])) if rule_at is not None else {"uri"}
                        phrase = re.sub(r"%(d|u|lld|llu)|\d+", "$", words[index][1:-1].replace('\\"', '"')).replace("%%", "%")
                        if rules & shown and not PLAIN.match(phrase):
                            found += 1
                            self.assertIn(phrase, known, f"{path.name} expects what gateway/texts.def cannot say in Chinese")
        self.assertGreater(found, 20)  # the search finds what is there

    def test_no_sentence_is_for_nothing(self):
        named = set()
        for folder in CALLS:
            named |= set(rules_named(folder))
        # Named in other ways: by a table, a struct's member, or another process's text.
        text = "".join(path.read_text() for folder in CALLS for path in (ROOT / folder).rglob("*.c"))
        unused = {rule for rule in catalogue() if rule not in named and f'"{rule}"' not in text}
        self.assertFalse(unused, "nobody names these rules")


if __name__ == "__main__":
    unittest.main()
