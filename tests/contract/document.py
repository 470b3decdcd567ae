"""The API's document, read: of each endpoint what it takes, and the answer it shows."""

import collections
import json
import pathlib
import re

TEXT = (pathlib.Path(__file__).resolve().parent / "as_documented" / "api.txt").read_text()

# rows: (name, type, whether it is required, words) of the fields or the query parameters; path ids are not in it.
Endpoint = collections.namedtuple("Endpoint", "method path request answer rows")


def block(words, heading):
    """The code block behind a heading, or None."""
    found = re.search(rf"^#### {heading}\n+```\w*\n(.*?)^```", words, re.M | re.S)
    return found[1] if found else None


def table(words, *headings):
    found = re.search(rf"^#### (?:{'|'.join(headings)})\n+\|.*\n\|[-|]+\n((?:\|.*\n)+)", words, re.M)
    rows = [re.split(r" \| ", line.strip("| ")) for line in found[1].splitlines()] if found else []
    return [(name, kind, required == "是", said) for name, kind, required, said in rows]


def endpoints():
    parts = re.split(r"^\*\*(GET|POST|PUT|DELETE)\*\* `([^`]+)`$", TEXT, flags=re.M)
    found = []
    for method, path, words in zip(parts[1::3], parts[2::3], parts[3::3]):
        words = re.split(r"^#{2,3} \S*[^\x00-\x7f]", words, flags=re.M)[0]
        request, answer = block(words, "请求参数"), block(words, "响应示例")
        found.append(Endpoint(method, path, json.loads(request) if request else None,
                              json.loads(answer) if answer.startswith("{") else answer, table(words, "查询参数", "字段说明")))
    return found


def words_of(heading):
    """The first column of the table behind a heading."""
    found = re.search(rf"^### {heading}\n+\|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.M)
    return [line.split("|")[1].strip() for line in found[1].splitlines()]


def example(heading):
    """The JSON behind a heading of the response format."""
    return json.loads(block(TEXT, heading))


def default_of(said):
    """What a table's words call the default, or None."""
    found = re.search(r"默认(\w+)", said)
    return found[1] if found else None
