"""People at the real binary: set-up, cookies, forged requests, links, TLS, bad configurations."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import urllib.request

import pytest

from server import Obsrv, binary

PASSWORD = "correct horse battery"
OWN_PAGE = {"x-obsrv-request": "1", "sec-fetch-site": "same-origin"}
COOKIE = "__Host-obsrv"


def token_of(url):
    return url.strip().split("#token=")[1]


def cookie_of(answer):
    """The session of an answer, with its attributes checked. Sent by hand: the client's jar keeps
    secure cookies to itself on plain http."""
    line = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE + "="))
    pair, *attributes = line.split("; ")
    assert sorted(attributes) == sorted(["Path=/", "Max-Age=604800", "Secure", "HttpOnly", "SameSite=Lax"])
    return {"cookie": pair}


@pytest.fixture
def people(obsrv):
    """A server with the owner ada, and her session."""
    link = obsrv.data / "setup-link"
    assert link.stat().st_mode & 0o777 == 0o600
    with obsrv.client(key="") as client:
        client.headers.pop("x-api-key")
        body = {"token": token_of(link.read_text()), "email": "ada@example.org", "name": "Ada", "password": PASSWORD}
        made = client.post("/v1/auth/setup", json=body, headers=OWN_PAGE)
        assert made.status_code == 200, made.text
        yield obsrv, client, cookie_of(made)


def sign_in(client, password=PASSWORD):
    return client.post(
        "/v1/auth/signin", json={"email": "ada@example.org", "password": password}, headers=OWN_PAGE
    )


def is_live(client, cookie):
    return client.get("/v1/auth/me", headers=cookie).status_code == 200


def test_the_owner_signs_in_and_out_and_sessions_survive_a_crash(people):
    obsrv, client, first = people
    me = client.get("/v1/auth/me", headers=first).json()
    assert me["email"] == "ada@example.org" and me["method"] == "setup"
    members = client.get("/v1/orgs/1/members", headers=first).json()["items"]
    ada = {"user": me["user_id"], "email": "ada@example.org", "name": "Ada", "role": "owner"}
    assert members == [ada]
    second = cookie_of(sign_in(client))
    assert sign_in(client, "wrong password 1").status_code == 401
    assert client.post("/v1/auth/signout", headers={**second, **OWN_PAGE}).status_code == 204
    obsrv.restart()
    with obsrv.client(key="none-at-all") as client:
        client.headers.pop("x-api-key")
        assert is_live(client, first) and not is_live(client, second)
        third = cookie_of(sign_in(client))
        gone = client.post("/v1/auth/signout-everywhere", headers={**third, **OWN_PAGE})
        assert gone.status_code == 204
        assert not is_live(client, first) and not is_live(client, third)
    assert not (obsrv.data / "setup-link").exists(), "it went with the restart"


def test_forged_requests_change_nothing(people):
    _, client, cookie = people
    for headers in [
        {},
        {"x-obsrv-request": "1"},
        {"sec-fetch-site": "same-origin"},
        {**OWN_PAGE, "origin": "https://evil.example"},
        {"x-obsrv-request": "1", "origin": "null"},
        {"x-obsrv-request": "1", "sec-fetch-site": "cross-site"},
        {"x-obsrv-request": "1", "sec-fetch-site": "same-site"},
        {"x-http-method-override": "GET"},
    ]:
        for path in ["/v1/auth/signout", "/v1/auth/signout-everywhere", "/v1/auth/password"]:
            answer = client.post(path, json={}, headers={**cookie, **headers})
            assert answer.status_code == 403, (path, headers, answer.text)
    for path in ["/v1/auth/signout", "/v1/auth/signout-everywhere"]:
        assert client.get(path, headers=cookie).status_code == 405
    assert is_live(client, cookie)
    preflight = client.options("/v1/auth/me", headers={"origin": "https://evil.example"})
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_an_administrators_link_opens_the_way_back_and_says_nothing_to_strangers(people):
    obsrv, client, cookie = people
    answers = [
        client.post("/v1/auth/reset/request", json={"email": email}, headers=OWN_PAGE)
        for email in ["ada@example.org", "nobody@example.org"]
    ]
    assert [(a.status_code, a.content) for a in answers] == [(202, b"")] * 2
    data = ["--data", str(obsrv.data)]
    url = obsrv.run("user", "link", *data, "--email", "ada@example.org").stdout
    assert url.startswith(obsrv.url + "/reset#token=")
    body = {"token": token_of(url), "password": "another long password"}
    fresh = client.post("/v1/auth/reset", json=body, headers=OWN_PAGE)
    assert fresh.status_code == 200 and is_live(client, cookie_of(fresh)) and not is_live(client, cookie)
    assert client.post("/v1/auth/reset", json=body, headers=OWN_PAGE).status_code == 400
    assert "ada@example.org" in obsrv.run("user", "list", *data).stdout
    obsrv.run("user", "disable", *data, "--email", "ada@example.org")
    assert sign_in(client, "another long password").status_code == 401
    for secret in [PASSWORD, token_of(url), cookie["cookie"].split("=")[1]]:
        assert secret not in obsrv.log.read_text()
        for path, file in obsrv.files():
            assert path.name == "setup-link" or secret.encode() not in file.read(), path


def certificate(directory, name):
    """A fresh self-signed pair in place of the one that is there."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    fresh_cert, fresh_key = directory / "fresh-cert", directory / "fresh-key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", fresh_key, "-out", fresh_cert],
        check=True, capture_output=True,
    )
    fresh_key.chmod(0o600)
    fresh_key.rename(key)
    fresh_cert.rename(cert)
    return cert, key


def served(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


class TlsObsrv(Obsrv):
    scheme = "https"


def test_tls_is_served_and_read_again(tmp_path):
    cert, key = certificate(tmp_path, "one")
    server = TlsObsrv(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key))
    server.start()
    try:
        first = served(server.port)
        assert first.strip() == cert.read_text().strip()
        certificate(tmp_path, "two")
        server.child.send_signal(signal.SIGHUP)
        for _ in range(10_000):
            if served(server.port).strip() == cert.read_text().strip():
                break
        else:
            pytest.fail("the new certificate is not served")
        # Plain HTTP gets no answer there, but an alert of TLS.
        with pytest.raises((OSError, http.client.HTTPException)):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/live", timeout=5)
    finally:
        server.end()


def private(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def provider(tmp_path, **changes):
    secret = private(tmp_path / "secret", "s3cret")
    settings = {"id": "p", "name": "P", "issuer": "https://idp.example", "client_id": "c",
                "client_secret_file": secret, "domains": ["example.org"]} | changes
    name = "-".join(["providers", *changes]) + ".json"
    return private(tmp_path / name, json.dumps([settings]))


def bad_configurations(tmp_path):
    cert, key = map(str, certificate(tmp_path, "good"))
    other = tmp_path / "other"
    other.mkdir()
    _, other_key = map(str, certificate(other, "other"))
    shared = private(tmp_path / "shared", "s3cret", 0o640)
    shared_key = private(tmp_path / "shared-key", (tmp_path / "key.pem").read_text(), 0o644)
    public = ["--public-url", "https://o.example"]
    mail = ["--smtp-host", "mail.example", "--smtp-from", "o@example.org"]
    oidc = lambda **changes: ["--oidc-file", provider(tmp_path, **changes), *public]
    return {
        "open to everyone": (["--http", "0.0.0.0:0"], "without tls"),
        "certificate without key": (["--tls-cert", cert], "--tls-key"),
        "no certificate": (["--tls-cert", str(tmp_path / "none"), "--tls-key", key], "certificate cannot be read"),
        "key that others read": (["--tls-cert", cert, "--tls-key", shared_key], "0600"),
        "key of another": (["--tls-cert", cert, "--tls-key", other_key], "go together"),
        "trust without proxy": (["--trusted-proxy", "10.0.0.0/8"], "--behind-proxy"),
        "trust in nonsense": (["--behind-proxy", "--trusted-proxy", "proxy"], "network"),
        "public url with a path": (["--public-url", "https://o.example/x"], "host alone"),
        "public url in the clear": (["--public-url", "http://o.example"], "https"),
        "mail from nobody": (["--smtp-host", "mail.example"], "--smtp-from"),
        "mail password that others read": (
            [*mail, "--smtp-user", "u", "--smtp-password-file", shared], "0600"),
        "mail password in the clear": (
            [*mail, "--smtp-tls", "off", "--smtp-user", "u", "--smtp-password-file", shared], "clear"),
        "no providers file": (["--oidc-file", str(tmp_path / "none"), *public], "providers cannot be read"),
        "unknown setting": (oidc(allow_all=True), "providers do not read"),
        "provider in the clear": (oidc(issuer="http://idp.example"), "setting=issuer"),
        "provider for everyone": (oidc(domains=[]), "setting=domains"),
        "client secret that others read": (oidc(client_secret_file=shared), "0600"),
        "provider without public url": (["--oidc-file", provider(tmp_path)], "--public-url"),
    }


CASES = [
    "open to everyone", "certificate without key", "no certificate", "key that others read", "key of another",
    "trust without proxy", "trust in nonsense", "public url with a path", "public url in the clear",
    "mail from nobody", "mail password that others read", "mail password in the clear", "no providers file",
    "unknown setting", "provider in the clear", "provider for everyone", "client secret that others read",
    "provider without public url",
]


@pytest.mark.parametrize("case", CASES)
def test_a_bad_configuration_does_not_start(tmp_path, case):
    cases = bad_configurations(tmp_path)
    assert sorted(cases) == sorted(CASES)
    flags, said = cases[case]
    listen = [] if "--http" in flags else ["--http", "127.0.0.1:0"]
    done = subprocess.run(
        [binary(), "serve", "--data", str(tmp_path / "data"), *listen, *flags],
        capture_output=True, text=True, timeout=30, env=os.environ,
    )
    assert done.returncode not in (0, None), case
    assert said in done.stderr, (case, done.stderr)
    assert "s3cret" not in done.stderr + done.stdout
