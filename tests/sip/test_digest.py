"""Digest authentication, both sides."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest

from ccengine.errors import LocalSipError
from ccengine.sip.digest import (
    DigestAuthenticator,
    Verdict,
    authorization,
    challenges_of,
    make_ha1,
)
from ccengine.sip.digest_scheme import Exchange, digest_hex, parse_digest
from ccengine.sip.message import SipRequest, SipResponse

SECRET = b"0123456789abcdef"
URI = "sip:pbx.example"
PASSWORD = "wonder land"


class Store:
    """Knows alice."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        self.asked.append((username, realm, algorithm))
        return make_ha1("alice", realm, PASSWORD, algorithm) if username == "alice" else None


@pytest.fixture
def store() -> Store:
    return Store()


def _request(credentials: str = "", method: str = "REGISTER", proxy: bool = False) -> SipRequest:
    name = "Proxy-Authorization" if proxy else "Authorization"
    headers = [("Call-ID", "c1")] + ([(name, credentials)] if credentials else [])
    return SipRequest.build(method, URI, headers)


def _authenticator(**options: object) -> DigestAuthenticator:
    return DigestAuthenticator("pbx", secret=SECRET, **options)  # type: ignore[arg-type]


def _answer(
    auth: DigestAuthenticator,
    now: float,
    nc: int = 1,
    user: str = "alice",
    password: str = PASSWORD,
) -> str:
    challenges = [value for _, value in auth.challenge(_request(), now)]
    text = authorization(challenges, "REGISTER", URI, user, password, nc, "cn")
    assert text is not None
    return text


# --- the arithmetic ----------------------------------------------------------------------------


def test_rfc7616_examples() -> None:
    """RFC 7616 3.9.1: the worked example, MD5 and SHA-256."""
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        ha1 = make_ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
        exchange = Exchange(algorithm, nonce, "/dir/index.html", "auth", "00000001", cnonce)
        assert exchange.response(ha1, "GET") == response


def test_rfc2069_without_qop() -> None:
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    ha1 = make_ha1("Mufasa", "testrealm@host.com", "CircleOfLife")
    ha2 = hashlib.md5(b"GET:/dir/index.html").hexdigest()
    expected = hashlib.md5(f"{ha1}:{nonce}:{ha2}".encode()).hexdigest()
    assert Exchange("MD5", nonce, "/dir/index.html").response(ha1, "GET") == expected


def test_session_and_integrity_variants() -> None:
    ha1 = make_ha1("u", "r", "p")
    session = digest_hex("MD5", f"{ha1}:n:c")
    auth_int = Exchange(
        "MD5-sess", "n", "/", "auth-int", "00000001", "c", digest_hex("MD5", b"body")
    )
    ha2 = digest_hex("MD5", f"GET:/:{digest_hex('MD5', b'body')}")
    assert auth_int.response(ha1, "GET") == digest_hex(
        "MD5", f"{session}:n:00000001:c:auth-int:{ha2}"
    )


# --- the server's side ---------------------------------------------------------------------------


def test_challenge_lists_the_algorithms_in_order() -> None:
    """RFC 8760 2.3: one header field for each algorithm, the preferred first."""
    auth = _authenticator(algorithms=("SHA-256", "md5"))
    headers = auth.challenge(_request(), 5.0, proxy=True, stale=True)
    assert [name for name, _ in headers] == ["Proxy-Authenticate"] * 2
    params = [parse_digest(value) for _, value in headers]
    assert [param["algorithm"] for param in params if param] == ["SHA-256", "MD5"]
    assert all(
        param and (param["realm"], param["qop"], param["stale"]) == ("pbx", "auth", "true")
        for param in params
    )
    assert "stale" not in auth.challenge(_request(), 5.0)[0][1]


@pytest.mark.parametrize(
    "algorithms", [("MD5",), ("SHA-256", "MD5"), ("SHA-512-256",), ("MD5-sess",), ("SHA-256-sess",)]
)
@pytest.mark.parametrize("proxy", [False, True])
def test_right_password(store: Store, algorithms: tuple[str, ...], proxy: bool) -> None:
    auth = _authenticator(algorithms=algorithms)
    request = _request(_answer(auth, 10.0), proxy=proxy)
    assert auth.verify(request, store, 10.0, proxy=proxy) == Verdict("ok", "alice")
    assert store.asked == [("alice", "pbx", algorithms[0].removesuffix("-sess"))]


def test_missing(store: Store) -> None:
    auth = _authenticator()
    assert auth.verify(_request(), store, 1.0) == Verdict("missing")
    for other in (
        "Basic abc",
        "Digest",
        'Digest realm="other", username="a"',
        "NoOneKnowsThisScheme opaque-data=here",
    ):
        assert auth.verify(_request(other), store, 1.0) == Verdict("missing")
    right = _answer(auth, 1.0)
    assert auth.verify(_request(right.replace("MD5", "SHA-256")), store, 1.0).outcome == "missing"
    # the wrong header field is no credential
    assert auth.verify(_request(right), store, 1.0, proxy=True).outcome == "missing"


def test_the_right_one_of_several_realms(store: Store) -> None:
    """22.3: a request may hold credentials for several realms."""
    auth = _authenticator()
    request = _request('Digest username="x", realm="other", nonce="n", uri="u", response="r"')
    request = request.with_header(
        "Authorization", request.header("Authorization") or "", _answer(auth, 1.0)
    )
    assert auth.verify(request, store, 1.0).is_ok


def test_wrong_password_and_unknown_user_look_alike(store: Store) -> None:
    auth = _authenticator()
    wrong = auth.verify(_request(_answer(auth, 1.0, password="guess")), store, 1.0)
    unknown = auth.verify(_request(_answer(auth, 1.0, user="mallory", password="")), store, 1.0)
    assert wrong == Verdict("wrong", "alice")
    assert unknown == Verdict("wrong", "mallory")


def test_another_method_is_wrong(store: Store) -> None:
    auth = _authenticator()
    assert auth.verify(_request(_answer(auth, 1.0), "INVITE"), store, 1.0).is_wrong


def test_old_nonce_is_stale_only_with_the_right_password(store: Store) -> None:
    """RFC 7616 3.3: stale tells that the client may try again without asking its user."""
    auth = _authenticator(nonce_lifetime_s=60.0)
    right, wrong = _answer(auth, 1.0), _answer(auth, 1.0, password="guess")
    assert auth.verify(_request(right), store, 62.0).is_stale
    assert auth.verify(_request(wrong), store, 62.0).is_wrong
    assert auth.verify(_request(right), store, 61.0).is_ok


def test_nonce_of_the_future_or_of_nobody_is_stale(store: Store) -> None:
    auth = _authenticator()
    assert auth.verify(_request(_answer(auth, 100.0)), store, 1.0).is_stale
    for nonce in ("", "x", "AAAA", "A" * 32, "é", "=" * 8):
        challenge = f'Digest realm="pbx", nonce="{nonce or "0"}", qop="auth"'
        text = authorization(challenge, "REGISTER", URI, "alice", PASSWORD, 1, "c")
        assert auth.verify(_request(text or ""), store, 1.0).is_stale


def test_nonces_survive_a_takeover(store: Store) -> None:
    """A process with the same secret accepts what its predecessor issued; another does not."""
    text = _answer(_authenticator(), 10.0)
    assert _authenticator().verify(_request(text), store, 20.0).is_ok
    foreign = DigestAuthenticator("pbx", secret=b"another secret !")
    assert foreign.verify(_request(text), store, 20.0).is_stale


def test_replay_is_refused(store: Store) -> None:
    """RFC 7616 3.4.6: a nonce count that was seen means a replay."""
    auth = _authenticator()
    challenge = auth.challenge(_request(), 1.0)[0][1]

    def outcome(nc: int) -> str:
        text = authorization(challenge, "REGISTER", URI, "alice", PASSWORD, nc, "cn")
        return auth.verify(_request(text or ""), store, 2.0).outcome

    # Requests may overtake each other, but none counts twice.
    counts = [1, 3, 2, 2, 1, 3, 200, 137, 136, 199, 199, 0xFFFFFFFF, 200]
    stale = "stale"
    wanted = ["ok", "ok", "ok", stale, stale, stale, "ok", "ok", stale, "ok", stale, "ok", stale]
    assert [outcome(count) for count in counts] == wanted


def test_without_qop_a_nonce_is_good_once(store: Store) -> None:
    auth = _authenticator()
    challenge = auth.challenge(_request(), 1.0)[0][1].replace(', qop="auth"', "")
    text = authorization(challenge, "REGISTER", URI, "alice", PASSWORD) or ""
    assert "qop" not in text
    assert auth.verify(_request(text), store, 1.0).is_ok
    assert auth.verify(_request(text), store, 1.0).is_stale


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=00 00 00"),
        ("qop=auth", "qop=auth-int"),
        ('cnonce="cn"', 'cnonce=""'),
    ],
)
def test_parameters_that_do_not_fit(store: Store, old: str, new: str) -> None:
    auth = _authenticator()
    text = _answer(auth, 1.0)
    assert old in text
    assert auth.verify(_request(text.replace(old, new)), store, 1.0).is_wrong


def test_memory_of_nonces_is_bounded_and_forgets_safely(store: Store) -> None:
    auth = _authenticator(nonce_lifetime_s=1e6)
    first = _answer(auth, 0.5)
    assert auth.verify(_request(first), store, 1.0).is_ok
    tracemalloc.start()
    uses = auth._uses
    for number in range(60_000):
        assert uses.take(f"nonce{number}", 1000 + number, 1, 0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 8e6
    assert auth.verify(_request(first), store, 1.0).is_stale


def test_settings_that_are_wrong() -> None:
    with pytest.raises(LocalSipError, match="known"):
        _authenticator(algorithms=("MD4",))
    with pytest.raises(LocalSipError, match="known"):
        _authenticator(algorithms=())
    with pytest.raises(LocalSipError, match="16"):
        DigestAuthenticator("pbx", secret=b"short")


# --- the client's side ---------------------------------------------------------------------------


def test_client_takes_the_strongest() -> None:
    challenges = [
        'Digest realm="r", nonce="1", algorithm=MD5, qop="auth,auth-int", opaque="o\\"p"',
        'Digest realm="r", nonce="2", algorithm=SHA-256, qop="auth-int, auth"',
        'Digest realm="r", nonce="3", algorithm=SHA3-1024',
        "Basic realm=x",
    ]
    best = parse_digest(authorization(challenges, "REGISTER", URI, "u", "p", 3, "c") or "")
    assert best is not None
    assert (best["nonce"], best["qop"], best["nc"], best["algorithm"]) == (
        "2",
        "auth",
        "00000003",
        "SHA-256",
    )
    only = parse_digest(authorization(challenges[0], "REGISTER", URI, "u", "p", 1, "c") or "")
    assert only is not None
    assert only["opaque"] == 'o"p'


@pytest.mark.parametrize(
    "challenge",
    [
        "Basic realm=x",
        'Digest realm="r"',
        'Digest realm="r", nonce="n", algorithm=X',
        'Digest realm="r", nonce="n", qop="other"',
    ],
)
def test_client_cannot(challenge: str) -> None:
    assert authorization(challenge, "REGISTER", URI, "u", "p", 1, "c") is None


def test_client_answers_auth_int_with_the_body() -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth-int"'
    text = authorization(challenge, "INVITE", URI, "u", "p", 1, "c", b"v=0\r\n\xff") or ""
    params = parse_digest(text)
    exchange = Exchange(
        "MD5", "n", URI, "auth-int", "00000001", "c", hashlib.md5(b"v=0\r\n\xff").hexdigest()
    )
    assert params is not None
    assert params["response"] == exchange.response(make_ha1("u", "r", "p"), "INVITE")


def test_client_needs_a_cnonce() -> None:
    with pytest.raises(LocalSipError):
        authorization('Digest realm="r", nonce="n", qop="auth"', "INVITE", URI, "u", "p")


def test_challenges_of_a_response() -> None:
    headers = (("WWW-Authenticate", 'Digest realm="a"'), ("Proxy-Authenticate", 'Digest realm="b"'))
    assert challenges_of(SipResponse.build(401, "", headers)) == (
        "Authorization",
        ('Digest realm="a"',),
    )
    assert challenges_of(SipResponse.build(407, "", headers)) == (
        "Proxy-Authorization",
        ('Digest realm="b"',),
    )
