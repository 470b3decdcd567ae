"""An allocation fails in a gateway that asks for credentials: it never lets anybody in for that, nor calls a good token a bad one."""

import base64
import hashlib
import hmac
import json
import time
import unittest
import uuid

from tests.farm import Farm
from tests.faults import have_shim
from tests.scenario import test_no_memory

SECRET = b"0123456789abcdef0123456789abcdef"
TIME_LIMIT = test_no_memory.TIME_LIMIT


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenFarm(Farm):
    """Each request has a token of its own, so that each is verified."""

    def __init__(self, **settings):
        super().__init__(auth_required="always", http_rate_per_minute=1000000, **settings)
        keys = self.data / "jwks.json"
        keys.write_text(json.dumps({"keys": [{"kty": "oct", "kid": "s", "k": base64url(SECRET)}]}))
        self.settings["auth_jwt_keys"] = str(keys)

    def request(self, *arguments, **more):
        claims = {"exp": int(time.time()) + 3600, "sub": "tester", "role": "admin", "jti": uuid.uuid4().hex}
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "s"}, claims))
        self.headers = {"Authorization": f"Bearer {text}.{base64url(hmac.new(SECRET, text.encode(), hashlib.sha256).digest())}"}
        return super().request(*arguments, **more)


@unittest.skipUnless(have_shim(), "needs the release build")
class Tokens(unittest.TestCase):
    make_farm = TokenFarm

    def test_at_start(self):
        test_no_memory.AtStart.sweep(self, "gateway")

    def test_at_work(self):
        test_no_memory.AtWork.sweep(self, "gateway")


if __name__ == "__main__":
    unittest.main()
