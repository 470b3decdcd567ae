"""Who is let in, and as what: API keys, signed tokens, trusted networks, limits, TLS."""

import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from tests.contract.base import Contract
from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for

SPEC = {"name": "", "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 0}
ENGLISH = {"Accept-Language": "en"}
SECRET = b"0123456789abcdef0123456789abcdef"


def bearer(credential):
    return {"Authorization": "Bearer " + credential}


def gantry(farm, *arguments, key=None, code=0):
    """The command on this farm's data folder; answers its stdout, or its stderr when it is to fail."""
    environment = dict(clean_environment(), **({"GANTRY_KEY": key} if key else {}))
    end = arguments.index("--") if "--" in arguments else len(arguments)
    command = [str(BUILD / "gantry"), *arguments[:end], "--data", str(farm.data), *arguments[end:]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment,
                          timeout=120 * SLOW, check=False)
    assert done.returncode == code, done
    return done.stdout.strip() if code == 0 else done.stderr.strip()


def make_key(farm, name, role, *more):
    return gantry(farm, "key", "create", "--role", role, "--name", name, *more)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims, header=None, secret=SECRET, sign=None):
    """A token with these claims, signed by HMAC with secret, or by sign."""
    parts = [base64url(json.dumps(part).encode()) for part in (header or {"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    signature = sign(text.encode()) if sign else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return text + "." + base64url(signature)


def claims(**more):
    return dict({"exp": int(time.time()) + 600, "sub": "ada", "role": "user"}, **more)


class Asked(Contract):
    """A whole farm that asks for keys; it has one of each role."""

    options = {"auth_required": "always", "log_level": "debug"}

    @classmethod
    def prepare(cls):
        """Before the first process starts."""

    @classmethod
    def setUpClass(cls):
        cls.farm = cls.make_farm(start=False)
        cls.keys = {role: make_key(cls.farm, role + "-key", role) for role in ("admin", "user", "worker", "readonly")}
        cls.farm.headers = bearer(cls.keys["admin"])
        cls.prepare()
        cls.farm.autostart = True
        cls.farm.__enter__()

    def get(self, path, headers=None, **more):
        """As somebody who has only these headers."""
        kept, self.farm.headers = self.farm.headers, {}
        try:
            return self.farm.request("GET", path, headers=headers, **more)
        finally:
            self.farm.headers = kept

    def post(self, path, body, headers=None):
        return self.farm.post(path, body, headers=headers)

    def unknown(self, answer, rule, given=True):
        error = self.error(answer, 401, "AUTHENTICATION_ERROR", "Authorization", rule)
        self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="gantry"' + (', error="invalid_token"' if given else ""))
        return error


class Credentials(Asked):
    def test_a_key_in_each_place(self):
        key = self.keys["readonly"]
        for headers in (bearer(key), {"Authorization": "bearer  " + key}, {"X-API-Key": key}, dict(bearer(key), **{"X-API-Key": key})):
            self.data(self.get("/api/tasks", headers))
        self.data(self.get("/api/tasks?api_key=" + key))
        self.data(self.get(f"/api/tasks?size=1&api_key={key}&page=1"))
        self.data(self.get("/api/tasks?api_key=" + key, bearer(key)))

    def test_without_one(self):
        error = self.unknown(self.get("/api/tasks"), "credential_missing", given=False)
        self.assertIn("认证失败", error["message"])
        error = self.unknown(self.get("/api/tasks", ENGLISH), "credential_missing", given=False)
        self.assertIn("Authentication failed: a key or token is needed", error["message"])
        # A stranger does not learn which paths there are, and a write of his is not read.
        self.unknown(self.get("/api/nothing"), "credential_missing", given=False)
        self.unknown(self.get("/"), "credential_missing", given=False)
        self.farm.headers, kept = {}, self.farm.headers
        try:
            self.unknown(self.farm.post("/api/tasks", dict(SPEC, name="by nobody")), "credential_missing", given=False)
            self.unknown(self.farm.post("/api/tasks", b"{" * 100), "credential_missing", given=False)
        finally:
            self.farm.headers = kept
        self.assertEqual(self.data(self.farm.get("/api/tasks?search=nobody"))["total"], 0)
        self.error(self.farm.get("/api/nothing"), 404, "RESOURCE_NOT_FOUND")

    def test_with_a_wrong_one(self):
        key = self.keys["admin"]
        for wrong in (key[:-1] + ("0" if key[-1] != "0" else "1"), key[:-1], key + "0", "gantry_", "gantry_0123456789ab_" + "0" * 64, "x", "a.b.c",
                      "your-api-key", "密钥"):
            self.unknown(self.get("/api/tasks", {"Authorization": ("Bearer " + wrong).encode()}), "credential_unknown")
            self.unknown(self.get("/api/tasks", {"X-API-Key": wrong.encode()}), "credential_unknown")
        for headers in ({"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": key}, {"X-API-Key": ""}):
            self.unknown(self.get("/api/tasks", headers), "credential_unknown")
        self.unknown(self.get("/api/tasks?api_key="), "credential_unknown")
        error = self.unknown(self.get("/api/tasks", dict(bearer("x"), **ENGLISH)), "credential_unknown")
        self.assertIn("not known here", error["message"])

    def test_with_several(self):
        key, other = self.keys["admin"], self.keys["user"]
        self.unknown(self.get("/api/tasks", dict(bearer(key), **{"X-API-Key": other})), "credentials_differ")
        self.unknown(self.get("/api/tasks?api_key=" + other, bearer(key)), "credentials_differ")
        self.unknown(self.get(f"/api/tasks?api_key={key}&api_key={other}"), "credentials_differ")
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW)
        connection.putrequest("GET", "/api/tasks")
        connection.putheader("X-API-Key", key)
        connection.putheader("X-API-Key", other)
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()

    def test_what_each_role_may(self):
        task = self.farm.task("for roles")
        routes = [("GET", "/api/tasks", None, {"admin", "user", "readonly"}), ("GET", f"/api/tasks/{task}", None, {"admin", "user", "readonly"}),
                  ("GET", "/", None, {"admin", "user", "readonly"}), ("GET", "/api/system/health", None, {"admin", "user", "readonly", "worker"}),
                  ("POST", f"/api/tasks/{task}/trigger", {}, {"admin", "user"}), ("PUT", f"/api/tasks/{task}", {"description": "x"}, {"admin", "user"})]
        for method, path, body, may in routes:
            for role, key in self.keys.items():
                with self.subTest(path=path, role=role):
                    answer = self.farm.request(method, path, body, headers=bearer(key))
                    if role in may:
                        self.assertIn(answer.status, (200, 201))
                    else:
                        error = self.error(answer, 403, "AUTHORIZATION_ERROR", "role", "role", role)
                        self.assertIn("权限不足", error["message"])
                        self.assertNotIn("www-authenticate", answer.headers)
        answer = self.farm.post(f"/api/tasks/{task}/trigger", {}, headers=dict(bearer(self.keys["readonly"]), **ENGLISH))
        self.assertIn("the role readonly may not do this; it takes user", self.error(answer, 403, "AUTHORIZATION_ERROR")["message"])

    def test_what_needs_none(self):
        answer = self.get("/healthz")
        self.assertEqual((answer.status, answer.headers["content-type"], answer.body), (200, "text/plain; charset=utf-8", "ok\n"))
        self.assertEqual(self.get("/healthz", bearer("wrong")).status, 200)
        self.assertEqual(self.farm.request("HEAD", "/healthz").status, 200)
        self.farm.headers, kept = {}, self.farm.headers
        try:
            self.assertEqual(self.farm.request("OPTIONS", "/api/tasks").status, 204)
            self.unknown(self.farm.request("POST", "/healthz"), "credential_missing", given=False)
        finally:
            self.farm.headers = kept
        self.unknown(self.get("/api/system/health"), "credential_missing", given=False)

    def test_one_callers_idempotency_key_is_not_anothers(self):
        headers = {"Idempotency-Key": "the same one"}
        first = self.post("/api/tasks", dict(SPEC, name="by user"), dict(headers, **bearer(self.keys["user"])))
        again = self.post("/api/tasks", dict(SPEC, name="by user"), dict(headers, **bearer(self.keys["user"])))
        other = self.post("/api/tasks", dict(SPEC, name="by admin"), dict(headers, **bearer(self.keys["admin"])))
        self.assertEqual(self.data(first, 201)["id"], self.data(again, 201)["id"])
        self.assertNotEqual(self.data(first, 201)["id"], self.data(other, 201)["id"])
        # In the address or in a header, it is the same caller and the same request.
        moved = self.farm.request("POST", "/api/tasks?api_key=" + self.keys["user"], dict(SPEC, name="by user"),
                                  headers=dict(headers, Authorization="Bearer " + self.keys["user"]))
        self.assertEqual(self.data(moved, 201)["id"], self.data(first, 201)["id"])

    def test_an_items_key_is_its_callers_too(self):
        task = self.data(self.post("/api/tasks", dict(SPEC, name="items"), bearer(self.keys["user"])), 201)["id"]
        body = {"items": [{"idempotency_key": "n1", "delay_seconds": 3600}]}
        runs = [self.data(self.post(f"/api/tasks/{task}/trigger-batch", body, bearer(self.keys[role])), 201)["run_ids"]
                for role in ("user", "admin", "user")]
        self.assertEqual(runs[0], runs[2])
        self.assertNotEqual(runs[0], runs[1])

    def test_keys_are_in_no_log_and_no_answer(self):
        key = self.keys["user"]
        answers = [self.get(f"/api/tasks?api_key={key}&size=x"), self.get(f"/api/%zz?api_key={key}"), self.get(f"/api/tasks/%zz?x=%zz&api_key={key}"),
                   self.get("/api/tasks/0", bearer(key)), self.get(f"/api/nothing?api_key={key}"), self.get(f"/?api_key={key}")]
        answers.append(self.post("/api/tasks", dict(SPEC, name="logged"), bearer(key)))
        for answer in answers:
            self.assertNotIn(key[20:], json.dumps(answer.body) + json.dumps(answer.headers))
        for name in ("gateway", "scheduler", "store"):
            self.assertNotIn(key[20:], self.farm.log(name))
        for path in self.farm.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(key[20:].encode(), path.read_bytes(), path)

    def test_the_log_says_who_it_was(self):
        rid = "who-was-it-1"
        self.get("/api/tasks", dict(bearer(self.keys["user"]), **{"X-Request-Id": rid}))
        line = wait_for(lambda: re.search(rf"GTY-HTTP-DONE req={rid}.*", self.farm.log("gateway")), what="the line of the request")
        self.assertIn("from=127.0.0.1 role=user who=user-key", line.group(0))

    def test_revoked_and_expired(self):
        gone = make_key(self.farm, "gone", "user")
        wait_for(lambda: self.get("/api/tasks", bearer(gone)).status == 200, what="a new key being seen")
        gantry(self.farm, "key", "revoke", "gone")
        wait_for(lambda: self.get("/api/tasks", bearer(gone)).status == 401, what="a revoked key being refused")
        self.unknown(self.get("/api/tasks", bearer(gone)), "credential_unknown")
        for seconds in (2, 20, 60):  # a machine may stand still for all of a short life
            short, seen = make_key(self.farm, f"short-{seconds}", "user", "--expires", f"{seconds}s"), []

            def expired():
                answer = self.get("/api/tasks", dict(bearer(short), **ENGLISH))
                seen.append(answer.status)
                return answer if answer.status == 401 and answer.body["error"]["details"]["rule"] == "credential_expired" else None

            answer = wait_for(expired, 120, what="a key expiring")
            self.assertIn("expired", self.unknown(answer, "credential_expired")["message"])
            if 200 in seen:
                return
        self.fail("no key was taken before it expired")

    def test_a_damaged_file_lets_nobody_in_or_out(self):
        path = self.farm.data / "auth" / "keys"
        good = path.read_text()
        path.write_text(good + "half a li")
        wait_for(lambda: self.get("/api/tasks", bearer(self.keys["user"])) and re.search("GTY-AUTH-KEYS .*stay", self.farm.log("gateway")),
                 what="the damage being seen")
        self.data(self.get("/api/tasks", bearer(self.keys["user"])))
        self.assertIn("line", gantry(self.farm, "key", "create", "--role", "user", "--name", "x", code=1))
        path.write_text(good)

    def test_a_stream_ends_with_its_key(self):
        key = make_key(self.farm, "follower", "user")
        run = self.farm.trigger(self.farm.task("long", "while :; do echo tick; sleep 0.1; done"))
        wait_for(lambda: self.get("/api/tasks", bearer(key)).status == 200, what="a new key being seen")
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW)
        connection.request("GET", f"/api/runs/{run}/logs?follow=true", headers=bearer(key))
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertTrue(response.readline())
        gantry(self.farm, "key", "revoke", "follower")
        self.assertNotIn("event: end", response.read().decode())  # the stream is over and the run is not
        connection.close()
        self.data(self.farm.post(f"/api/runs/{run}/abort"))


class Bodies(Asked):
    options = {"auth_required": "always", "http_memory_mb": 139}

    def test_who_need_not_say_who_he_is_has_no_body(self):
        held = []
        for _ in range(60):  # three times a megabyte each, were it kept
            client = socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW)
            self.addCleanup(client.close)
            client.sendall(b"OPTIONS /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 1000000\r\n\r\n" + b"x" * 999999)
            held.append(client)
        answer = self.post("/api/tasks", dict(SPEC, name="beside", description="x" * 3000), bearer(self.keys["user"]))
        self.data(answer, 201)
        large = json.dumps(dict(SPEC, name="large", junk="x" * 900000)).encode()
        self.data(self.farm.request("POST", "/api/tasks", large, headers=bearer(self.keys["user"])), 201)


class Command(Asked):
    def test_the_farms_files_stay_its_users(self):
        """Whoever runs the command: a gateway that cannot read what root has written would go on with a key that was revoked."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        with Farm(start=False) as farm:
            folder = farm.data / "auth"
            os.chown(farm.data, 65534, 65534)
            make_key(farm, "one", "user")
            gantry(farm, "key", "revoke", "one")
            self.assertEqual({(path.name, path.stat().st_uid) for path in (folder, *folder.iterdir())},
                             {("auth", 65534), ("keys", 65534), ("keys.lock", 65534)})

    def test_the_farms_certificates_stay_its_users(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        with Farm(start=False) as farm, tempfile.TemporaryDirectory() as folder:
            os.chown(farm.data, 65534, 65534)
            gantry(farm, "key", "worker", "add", "machine", "--out", folder + "/curve")
            made = [farm.data / "curve", farm.data / "curve" / "allowed", farm.data / "curve" / "allowed" / "machine.key"]
            self.assertEqual([path.stat().st_uid for path in made], [65534] * 3)
            self.assertEqual([path.name for path in made[1].iterdir()], ["machine.key"])

    def test_last_use_is_written_down(self):
        key = make_key(self.farm, "seen", "readonly")
        before = {row["name"]: row for row in json.loads(gantry(self.farm, "key", "list", "--json"))}
        self.assertIsNone(before["seen"]["last_used_at"])
        self.assertEqual((before["seen"]["role"], before["seen"]["expires_at"], before["seen"]["expired"]), ("readonly", None, False))
        wait_for(lambda: self.get("/api/tasks", bearer(key)).status == 200, what="a new key being seen")
        self.assertEqual(self.farm.terminate("gateway"), 0)
        after = {row["name"]: row for row in json.loads(gantry(self.farm, "key", "list", "--json"))}
        self.assertRegex(after["seen"]["last_used_at"], r"^20\d\d-")
        self.assertIn("seen", gantry(self.farm, "key", "list"))
        self.farm.start("gateway")
        self.farm.wait_ready()

    def test_the_command_sends_its_key(self):
        url = f"http://127.0.0.1:{self.farm.port}"
        self.assertIn("healthy", gantry(self.farm, "status", "--url", url, key=self.keys["readonly"]))
        self.assertIn("GANTRY_KEY", gantry(self.farm, "status", "--url", url, code=1))
        self.assertIn("may not do this", gantry(self.farm, "abort", "1", "--url", url, key=self.keys["readonly"], code=1))

    def test_mistakes(self):
        self.assertIn("already", gantry(self.farm, "key", "create", "--role", "user", "--name", "user-key", code=1))
        self.assertIn("no key of the name", gantry(self.farm, "key", "revoke", "nobody", code=1))
        self.assertIn("admin|user|worker|readonly", gantry(self.farm, "key", "create", "--role", "root", "--name", "x", code=2))
        self.assertIn("--name", gantry(self.farm, "key", "create", "--role", "user", code=2))
        for expires in ("never", "0d", "-1d", "30", "1y", "2001-01-01", "99999999999d"):
            self.assertIn("--expires", gantry(self.farm, "key", "create", "--role", "user", "--name", "x", "--expires", expires, code=2))
        self.assertIn("--rate", gantry(self.farm, "key", "create", "--role", "user", "--name", "x", "--rate", "0", code=2))
        self.assertEqual({"admin-key", "user-key", "worker-key", "readonly-key"} - {k["name"] for k in json.loads(gantry(self.farm, "key", "list", "--json"))}, set())


class Tokens(Asked):
    """JWTs: a secret, an RSA and an EC key in one JWKS."""

    @classmethod
    def openssl(cls, *arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True, timeout=120 * SLOW).stdout

    @classmethod
    def prepare(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-jwt-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(cls.folder / "rsa.pem"))
        cls.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(cls.folder / "ec.pem"))
        cls.public = cls.openssl("pkey", "-in", str(cls.folder / "rsa.pem"), "-pubout")
        modulus = cls.openssl("rsa", "-in", str(cls.folder / "rsa.pem"), "-noout", "-modulus").decode().strip().partition("=")[2]
        point = cls.openssl("pkey", "-in", str(cls.folder / "ec.pem"), "-pubout", "-outform", "DER")[-64:]
        cls.jwks = cls.folder / "jwks.json"
        cls.jwks.write_text(json.dumps({"keys": [
            {"kty": "oct", "kid": "s", "k": base64url(SECRET)},
            {"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": base64url(point[:32]), "y": base64url(point[32:])}]}))
        cls.farm.settings.update(auth_jwt_keys=str(cls.jwks), auth_jwt_audience="farm")

    @classmethod
    def sign_rsa(cls, data):
        return cls.openssl("dgst", "-sha256", "-sign", str(cls.folder / "rsa.pem"), data=data)

    @classmethod
    def sign_ec(cls, data):
        der = cls.openssl("dgst", "-sha256", "-sign", str(cls.folder / "ec.pem"), data=data)
        first = der[4:4 + der[3]]
        second = der[6 + der[3]:]
        return b"".join(int.from_bytes(part, "big").to_bytes(32, "big") for part in (first, second))

    def test_each_algorithm(self):
        good = claims(aud="farm")
        for text in (token(good), token(good, {"alg": "HS256", "kid": "s"}), token(good, {"alg": "RS256", "kid": "r"}, sign=self.sign_rsa),
                     token(good, {"alg": "RS256"}, sign=self.sign_rsa), token(good, {"alg": "ES256", "kid": "e"}, sign=self.sign_ec)):
            self.data(self.get("/api/tasks", bearer(text)))
            self.data(self.get("/api/tasks", bearer(text)))  # known a moment ago
            self.data(self.get("/api/tasks?api_key=" + text))

    def test_forgeries(self):
        good = claims(aud="farm")
        for text in (token(good, {"alg": "none"}, sign=lambda _: b""), token(good, {"alg": "none"})[:-43] + "AAAA", token(good, {"alg": "None"}),
                     token(good, secret=self.public), token(good, {"alg": "HS256", "kid": "r"}, secret=self.public),
                     token(good, {"alg": "RS256", "kid": "r"}, secret=self.public), token(good, {"alg": "HS512"}), token(good, secret=b"guess"),
                     token(good, {"alg": "RS256", "kid": "r"}, sign=self.sign_ec), token(good, {"alg": "HS256", "kid": "unknown"}),
                     token(good)[:-2], token(good) + ".x", token(dict(good, more="x" * 8192))):
            self.unknown(self.get("/api/tasks", bearer(text)), "credential_unknown")

    def test_claims(self):
        now = int(time.time())
        for more, rule in (({"exp": now - 61}, "credential_expired"), ({"nbf": now + 3600}, "credential_early"), ({"aud": "other"}, "credential_audience"),
                           ({"aud": None}, "credential_audience"), ({"role": "root"}, "credential_claims"), ({"exp": "soon"}, "credential_claims")):
            for language in ({}, ENGLISH):
                error = self.unknown(self.get("/api/tasks", dict(bearer(token(dict(claims(aud="farm"), **more))), **language)), rule)
                self.assertGreater(len(error["message"]), 6)
        now = int(time.time())
        self.data(self.get("/api/tasks", bearer(token(claims(aud=["x", "farm"], exp=now - 5, nbf=now + 30)))))  # a minute of either is let pass

    def test_role_and_subject(self):
        for role, status in (("readonly", 403), (None, 403), ("user", 201), ("admin", 201)):
            given = claims(aud="farm", sub=f"sub {role}")
            given.update({"role": role}) if role else given.pop("role")
            text = token(given)
            answer = self.farm.post("/api/tasks", dict(SPEC, name=f"by {role}"), headers=dict(bearer(text), **{"X-Request-Id": f"rid-{role}"}))
            self.assertEqual(answer.status, status)
            wait_for(lambda: re.search(rf"GTY-HTTP-DONE req=rid-{role}.*role={role or 'readonly'} who=sub", self.farm.log("gateway")), what="the line")
            self.assertNotIn(text[-40:], self.farm.log("gateway"))

    def test_a_renewed_token_is_the_same_caller(self):
        headers = {"Idempotency-Key": "renewed"}
        first = self.farm.post("/api/tasks", dict(SPEC, name="renewed"), headers=dict(headers, **bearer(token(claims(aud="farm", exp=int(time.time()) + 500)))))
        again = self.farm.post("/api/tasks", dict(SPEC, name="renewed"), headers=dict(headers, **bearer(token(claims(aud="farm", exp=int(time.time()) + 700)))))
        self.assertEqual(self.data(first, 201)["id"], self.data(again, 201)["id"])

    def test_a_token_is_one_caller_however_its_signature_is_spelt(self):
        given = claims(aud="farm")
        given.pop("sub")
        text = token(given, {"alg": "RS256", "kid": "r"}, sign=self.sign_rsa)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        other = text[:-1] + letters[letters.index(text[-1]) ^ 1]  # a bit that nobody reads
        ids = {self.data(self.farm.post("/api/tasks", dict(SPEC, name="spelt"), headers=dict({"Idempotency-Key": "spelt"}, **bearer(one))), 201)["id"]
               for one in (text, other)}
        self.assertEqual(len(ids), 1)

    def test_keys_that_change(self):
        kept = self.jwks.read_text()
        other = b"another secret of 32 bytes or so"
        text = token(claims(aud="farm"), secret=other)
        self.unknown(self.get("/api/tasks", bearer(text)), "credential_unknown")
        self.data(self.get("/api/tasks", bearer(token(claims(aud="farm")))))
        self.jwks.write_text(json.dumps({"keys": [{"kty": "oct", "k": base64url(other)}]}))
        wait_for(lambda: self.get("/api/tasks", bearer(text)).status == 200, what="the new keys being read")
        self.unknown(self.get("/api/tasks", bearer(token(claims(aud="farm")))), "credential_unknown")
        self.jwks.write_text("{}")
        wait_for(lambda: self.get("/api/tasks", bearer(text)) and "GTY-AUTH-TOKENS" in self.farm.log("gateway"), what="the damage being seen")
        self.data(self.get("/api/tasks", bearer(text)))
        self.jwks.write_text(kept)
        wait_for(lambda: self.get("/api/tasks", bearer(token(claims(aud="farm")))).status == 200, what="the old keys being back")


class Networks(Asked):
    options = {"auth_required": "always"}
    networks = "127.0.0.0/8=readonly,scheduler:127.0.0.1=user,web:127.0.0.0/16=worker,10.0.0.0/8=admin"

    @classmethod
    def prepare(cls):
        cls.config = cls.farm.data / "gantry.conf"
        cls.config.write_text(f"auth.trusted_networks = {cls.networks}\n")

    def test_without_a_credential(self):
        self.data(self.get("/api/tasks"))
        self.farm.headers, kept = {}, self.farm.headers
        try:
            self.data(self.farm.post("/api/tasks", dict(SPEC, name="from a network")), 201)
        finally:
            self.farm.headers = kept
        self.error(self.get("/"), 403, "AUTHORIZATION_ERROR", "role", "role", "worker")

    def test_headers_change_nothing(self):
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            self.error(self.get("/", {name: "10.0.0.1"}), 403, "AUTHORIZATION_ERROR")

    def test_a_credential_counts_and_nothing_else(self):
        self.unknown(self.get("/api/tasks", bearer("wrong")), "credential_unknown")
        self.error(self.get("/api/tasks", bearer(self.keys["worker"])), 403, "AUTHORIZATION_ERROR")
        self.assertEqual(self.get("/", bearer(self.keys["readonly"])).status, 200)

    def test_reload(self):
        self.config.write_text("auth.trusted_networks = 127.0.0.0/8=nonsense\n")
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: "GTY-AUTH-NETWORKS" in self.farm.log("gateway"), what="the refusal of a bad list")
        self.data(self.get("/api/tasks"))
        self.config.write_text("")
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: self.get("/api/tasks").status == 401, what="nobody being trusted")
        self.config.write_text(f"auth.trusted_networks = {self.networks}\n")
        self.farm.signal("gateway", signal.SIGHUP)
        wait_for(lambda: self.get("/api/tasks").status == 200, what="the old list being back")


class NetworkKeys(Asked):
    """Who has no credential is told apart by his address."""

    @classmethod
    def prepare(cls):
        (cls.farm.data / "gantry.conf").write_text("auth.trusted_networks = 127.0.0.0/8=user\n")

    def make(self, source, key, path="/api/tasks", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW, source_address=(source, 0))
        sent = dict({"Content-Type": "application/json"}, **({"Idempotency-Key": key} if key else {}), **(headers or {}))
        try:
            connection.request("POST", path, json.dumps(body or SPEC).encode(), sent)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def test_a_key_of_two_neighbours(self):
        body = dict(SPEC, name="of an address")
        status, made = self.make("127.0.0.2", "same", body=body)
        self.assertEqual(status, 201)
        self.assertEqual(self.make("127.0.0.2", "same", body=body)[1]["data"], made["data"])
        status, other = self.make("127.0.0.3", "same", body=body)  # not the answer of the first: its name is taken
        self.assertEqual((status, other["error"]["code"]), (409, "RESOURCE_CONFLICT"))
        self.assertEqual(self.make("127.0.0.3", "same", body=dict(SPEC, name="of another"))[0], 422)
        # So it is with the keys of a batch's items.
        task, items = made["data"]["id"], {"items": [{"idempotency_key": "item"}]}
        runs = [self.make(source, None, f"/api/tasks/{task}/trigger-batch", items)[1]["data"]["run_ids"][0]
                for source in ("127.0.0.2", "127.0.0.2", "127.0.0.3")]
        self.assertEqual((runs[0] == runs[1], runs[1] == runs[2]), (True, False))
        # With a credential the address says nothing.
        body, key = dict(SPEC, name="of a key"), {"Authorization": "Bearer " + self.keys["user"]}
        ids = {self.make(source, "same", body=body, headers=key)[1]["data"]["id"] for source in ("127.0.0.2", "127.0.0.3", "127.0.0.1")}
        self.assertEqual(len(ids), 1)


class Limits(Asked):
    options = {"auth_required": "always", "http_rate_per_minute": 60, "http_rate_burst": 4}

    def seen(self, key):
        """The first answer that is neither a 401 nor a 429: a new key is seen within a moment, and until then it is a guess."""
        return wait_for(lambda: (answer := self.get("/api/tasks", bearer(key))).status not in (401, 429) and answer, what="a new key being seen")

    def test_a_key_has_its_own(self):
        began = int(time.time())
        key = make_key(self.farm, "fast", "readonly")
        answer = self.seen(key)
        self.assertEqual((answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]), ("60", "3"))
        self.assertGreaterEqual(int(answer.headers["x-ratelimit-reset"]), began)
        self.assertLessEqual(int(answer.headers["x-ratelimit-reset"]), time.time() + 5)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.get("/api/tasks", bearer(key)), range(60)))
        refused = [a for a in answers if a.status == 429]
        self.assertTrue(refused)
        error = self.error(refused[0], 429, "SYSTEM_ERROR", None, "rate")
        self.assertIn("请求频率过高", error["message"])
        self.assertEqual(refused[0].headers["retry-after"], "1")
        self.assertEqual(refused[0].headers["x-ratelimit-remaining"], "0")
        self.data(self.get("/api/tasks", bearer(self.keys["user"])))  # another's is another's
        wait_for(lambda: self.get("/api/tasks", bearer(key)).status == 200, what="its turn coming again")

    def test_a_rate_of_its_own(self):
        key = make_key(self.farm, "slow", "readonly", "--rate", "2")
        began = time.monotonic()
        answer = self.seen(key)
        self.assertEqual((answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]), ("2", "1"))
        self.assertEqual(self.get("/api/tasks", bearer(key)).status, 200)
        answer = self.get("/api/tasks", dict(bearer(key), **ENGLISH))
        self.assertIn("there may be 2 requests a minute", self.error(answer, 429, "SYSTEM_ERROR")["message"])
        self.assertGreater(int(answer.headers["retry-after"]), 29 - (time.monotonic() - began))  # one comes back in half a minute

    def test_guessing_is_counted_by_address(self):
        wait_for(lambda: self.get("/api/tasks", bearer("guess")).status == 401, what="room for a guess")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: self.get("/api/tasks", bearer(f"guess-{n}")).status, range(100)))
        self.assertIn(429, answers)
        for _ in range(10):
            self.assertEqual(self.get("/healthz").status, 200)  # is asked by machines, and says nothing
        self.data(self.get("/api/tasks", bearer(self.keys["readonly"])))  # and no guesser keeps others out


class Starting(Contract):
    """What a gateway refuses to start with, and with what it starts."""

    def setUp(self):
        self.farm = self.make_farm(workers=0, start=False)
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def refused(self, *extra):
        self.farm.start("gateway", extra)
        self.assertEqual(self.farm.exit_code("gateway"), 1)
        lines = [line for line in self.farm.log("gateway").splitlines() if line.startswith("gantry-gateway:")]
        os.truncate(self.farm.log_path("gateway"), 0)
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def started(self, *extra):
        self.farm.start("gateway", extra)
        wait_for(lambda: "GTY-HTTP-LISTEN" in self.farm.log("gateway"), what="the gateway listening")
        status = self.farm.get("/api/nothing").status
        self.assertEqual(self.farm.terminate("gateway"), 0)
        log = self.farm.log("gateway")
        os.truncate(self.farm.log_path("gateway"), 0)
        return status, log

    def test_beyond_loopback(self):
        everywhere = ("--host", "0.0.0.0")
        self.assertIn("gantry key create", self.refused(*everywhere))
        self.assertIn("--insecure", self.refused(*everywhere, "--auth-required", "always"))
        status, log = self.started(*everywhere, "--insecure")
        self.assertEqual(status, 404)
        self.assertIn("GTY-AUTH-OFF", log)
        self.assertEqual(self.started(*everywhere, "--insecure", "--auth-required", "always")[0], 401)
        self.assertEqual(self.started(*everywhere, "--auth-trusted-networks", "10.0.0.0/8=user")[0], 401)
        self.assertEqual(self.started(*everywhere, "--auth-trusted-networks", "127.0.0.1=user")[0], 404)
        make_key(self.farm, "one", "user")
        status, log = self.started(*everywhere)
        self.assertEqual(status, 401)
        self.assertIn("GTY-AUTH-ON", log)
        gantry(self.farm, "key", "revoke", "one")
        self.refused(*everywhere)

    def test_on_loopback(self):
        make_key(self.farm, "one", "user")
        self.assertEqual(self.started()[0], 404)
        gantry(self.farm, "key", "revoke", "one")
        status, log = self.started("--auth-required", "always")
        self.assertEqual(status, 401)
        self.assertIn("GTY-AUTH-NONE", log)

    def test_a_key_made_later_opens(self):
        self.farm.start("gateway", ("--auth-required", "always"))
        wait_for(lambda: "GTY-HTTP-LISTEN" in self.farm.log("gateway"), what="the gateway listening")
        self.assertEqual(self.farm.get("/api/nothing").status, 401)
        key = make_key(self.farm, "later", "user")
        wait_for(lambda: self.farm.get("/api/nothing", headers=bearer(key)).status == 404, what="the new key being seen")

    def test_files_that_are_damaged(self):
        folder = self.farm.data
        (folder / "auth").mkdir()
        (folder / "auth" / "keys").write_text("gantry-keys 1\nnonsense\n")
        self.assertIn("line 2", self.refused())
        shutil.rmtree(folder / "auth")
        (folder / "jwks").write_text("{}")
        self.assertIn("jwks", self.refused("--auth-jwt-keys", str(folder / "jwks")))
        self.assertIn("auth.jwt_keys", self.refused("--auth-jwt-keys", str(folder / "nothing")))
        self.assertIn("auth.trusted_networks", self.refused("--auth-trusted-networks", "10.0.0.0/8=root"))
        self.assertIn("directory", self.refused("--auth-keys-file", str(folder)).lower())

    def test_certificates_that_are_none(self):
        folder = self.farm.data
        make_certificate(folder, "one")
        make_certificate(folder, "two")
        one, two = [(str(folder / f"{n}.pem"), str(folder / f"{n}.key")) for n in ("one", "two")]
        self.assertIn("belong together", self.refused("--http-tls-cert", one[0]))
        self.assertIn("belong together", self.refused("--http-tls-key", one[1]))
        self.assertIn("cannot be used", self.refused("--http-tls-cert", one[0], "--http-tls-key", two[1]))
        self.assertIn("is not there", self.refused("--http-tls-cert", str(folder / "none"), "--http-tls-key", one[1]))
        (folder / "bad").write_text("nonsense")
        self.assertIn("cannot be used", self.refused("--http-tls-cert", str(folder / "bad"), "--http-tls-key", one[1]))
        (folder / "bad").write_bytes(b"\0\0")
        self.assertIn("not PEM", self.refused("--http-tls-cert", str(folder / "bad"), "--http-tls-key", one[1]))
        self.assertNotIn("PRIVATE", self.farm.log("gateway"))


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")],
                   capture_output=True, check=True, timeout=120 * SLOW)


class OverTls(Contract):
    """https:// with a certificate made on the fly."""

    @classmethod
    def setUpClass(cls):
        cls.farm = cls.make_farm(start=False)
        make_certificate(cls.farm.data, "farm")
        cls.certificate = str(cls.farm.data / "farm.pem")
        cls.farm.settings.update(http_tls_cert=cls.certificate, http_tls_key=str(cls.farm.data / "farm.key"))
        cls.farm.secure = ssl.create_default_context(cafile=cls.certificate)
        cls.farm.autostart = True
        cls.farm.__enter__()


class Secure(OverTls):
    def test_requests_of_every_size(self):
        task = self.farm.task("over TLS", "seq 1 5000", description="x" * 200)
        run = self.farm.trigger(task)
        self.farm.wait_run(run)
        logs = self.data(self.farm.get(f"/api/runs/{run}/logs?size=1000"))
        self.assertEqual(len(logs["items"] if "items" in logs else logs["logs"]), 1000)
        self.error(self.farm.post("/api/tasks", b"x" * (2 << 20)), 413, "VALIDATION_ERROR")
        self.error(self.farm.post("/api/tasks", b"{" + b" " * 900000), 400, "VALIDATION_ERROR")

    def test_many_on_one_connection(self):
        connection = http.client.HTTPSConnection("127.0.0.1", self.farm.port, timeout=120 * SLOW, context=self.farm.secure)
        for number in range(200):
            connection.request("GET", f"/api/nothing/{number}")
            response = connection.getresponse()
            self.assertIn(f"/api/nothing/{number}".encode(), response.read())
        connection.close()

    def test_pipelined_in_one_record(self):
        with socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW) as plain:
            with self.farm.secure.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20 + b"GET /api/last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                data = b""
                while part := client.recv(65536):
                    data += part
        self.assertEqual(data.count(b"HTTP/1.1 404"), 21)

    def test_many_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(set(pool.map(lambda n: self.farm.get(f"/api/nothing/{n}").status, range(100))), {404})

    def test_a_stream(self):
        run = self.farm.trigger(self.farm.task("stream", "for i in 1 2 3; do echo line $i; done"))
        answer = self.farm.get(f"/api/runs/{run}/logs?follow=true")
        self.assertIn("line 3", answer.body)
        self.assertIn("event: end", answer.body)

    def test_only_tls_of_our_days(self):
        with socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            plain.settimeout(30 * SLOW)
            try:
                self.assertNotIn(b"HTTP/1.1 200", plain.recv(65536))
            except ConnectionError:
                pass
        old = ssl.create_default_context(cafile=self.certificate)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                old.wrap_socket(plain, server_hostname="localhost")

    def test_the_command(self):
        url = f"https://localhost:{self.farm.port}"
        self.assertIn("healthy", gantry(self.farm, "status", "--url", url, "--ca", self.certificate))
        self.assertIn("--ca", gantry(self.farm, "status", "--url", url, code=1))
        self.assertIn("--ca", gantry(self.farm, "status", "--url", url, "--ca", str(self.farm.data / "none"), code=1))
        # On the farm's own machine its settings say what it is known by.
        self.assertIn("healthy", gantry(self.farm, "status", "--port", str(self.farm.port), "--http-tls-cert", self.certificate))
        self.assertEqual(gantry(self.farm, "run", "--wait", "--url", url, "--ca", self.certificate, "--", "echo", "hi"), "hi")


class SecureAndShort(OverTls):
    """Where no request may take long: none of another test would stand a machine that stands still."""

    options = {"workers": 0, "http_request_seconds": 2}

    def test_a_slow_client_hears_nothing_in_plain_text(self):
        with socket.create_connection(("127.0.0.1", self.farm.port), timeout=120 * SLOW) as plain:
            try:
                with self.farm.secure.wrap_socket(plain, server_hostname="localhost") as client:
                    client.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
                    self.assertEqual(client.recv(65536), b"")
            except (ssl.SSLError, ConnectionError) as error:
                self.assertNotIn("WRONG_VERSION", str(error))


if __name__ == "__main__":
    import unittest
    unittest.main()
