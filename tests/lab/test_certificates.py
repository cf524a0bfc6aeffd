"""Certificates and TLS handshakes that fail: they say nothing about a site's health, and their reason is named."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from shared.models.evidence import Evidence
from shared.models.probes import HttpProbe
from shared.policy.outage import round_view
from shared.probes import http
from shared.probes.answer import ProbeAnswer
from tests.lab.speakers import ADDRESS, SETTINGS, accepting_and_silent, dropping, judged, page_signal, speaking

HOST = "shop.contoso.example"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nhealthy"
CA = trustme.CA()
NOW = datetime.now(UTC)


@pytest.fixture(scope="module", autouse=True)
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The probe caches the trusted authorities per process, so the cache of other tests must be cleared."""
    bundle = tmp_path_factory.mktemp("trusted") / "ca.pem"
    CA.cert_pem.write_to_path(str(bundle))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (SETTINGS | {"SSL_CERT_FILE": str(bundle)}).items():
            environment.setenv(name, value)
        http._verifying.cache_clear()
        yield bundle
    http._verifying.cache_clear()


def serving(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or CA.issue_cert(HOST)).configure_cert(context)
    return context


def without_its_intermediate(folder: Path) -> ssl.SSLContext:
    leaf = CA.create_child_ca().issue_cert(HOST)
    alone = folder / "leaf.pem"
    alone.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(alone))
    return context


def asking_for_a_certificate(trusted: Path) -> ssl.SSLContext:
    context = serving()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(trusted))
    return context


def of_old_letters() -> ssl.SSLContext:
    context = serving()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA:@SECLEVEL=0")
    return context


def without_a_binding() -> ssl.SSLContext:
    context = serving()
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    return context


def ask(tls: ssl.SSLContext | None, after: bytes = b"", **more: Any) -> tuple[Evidence, ProbeAnswer]:
    """The evidence, and the result of a workload's probe."""

    async def both() -> tuple[Evidence, ProbeAnswer]:
        async with speaking(PAGE, tls, after=after) as port:
            signal = page_signal(port, host=HOST, expect={"text": "healthy"}, **more)
            found = (await judged(public=signal))["public"]
            return found, await http.probe_http(HttpProbe.model_validate(signal["http"]))

    return asyncio.run(both())


def assert_unknown(found: Evidence, answer: ProbeAnswer, *, spoke: bool) -> None:
    assert (found.state, found.counts_as, found.spoke) == ("no_data", "no_data", spoke), found.detail
    assert (answer.healthy, answer.answered, answer.untrusted) == (False, spoke, True)


def assert_alive_but_unknown(found: Evidence, answer: ProbeAnswer) -> None:
    assert_unknown(found, answer, spoke=True)


def dated(**limits: datetime) -> trustme.LeafCert:
    return CA.issue_cert(HOST, **limits)


CERTIFICATES = {
    "expired": (dated(not_after=NOW - timedelta(days=1)), "certificate has expired"),
    "of tomorrow": (
        dated(not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=9)),
        "certificate is not yet valid",
    ),
    "of an authority that is not known": (trustme.CA().issue_cert(HOST), "its authority is not known here"),
    "for another name": (CA.issue_cert("www.other.example"), "Hostname mismatch"),
    "with the name as a common name only": (CA.issue_cert(common_name=HOST), "Subject Alternative Name"),
}


@pytest.mark.parametrize(("certificate", "reason"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_a_certificate_that_is_not_accepted_is_no_data_with_its_real_reason(
    certificate: trustme.LeafCert, reason: str
) -> None:
    found, answer = ask(serving(certificate))
    assert_alive_but_unknown(found, answer)
    assert reason in found.detail
    assert answer.hopeless, "waiting mends no certificate"


def test_an_intermediate_that_is_not_sent_is_named_as_what_it_is(tmp_path: Path) -> None:
    found, answer = ask(without_its_intermediate(tmp_path))
    assert_alive_but_unknown(found, answer)
    assert "its intermediate certificate is not sent" in found.detail


@pytest.mark.parametrize(
    "certificate",
    [CA.create_child_ca().issue_cert(HOST), CA.issue_cert("*.contoso.example"), CA.issue_cert(HOST)],
    ids=["with its intermediate", "a wildcard", "its own"],
)
def test_a_certificate_that_holds_is_up(certificate: trustme.LeafCert) -> None:
    assert ask(serving(certificate))[0].state == "up"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_site_with_one_version_of_tls_is_up(version: ssl.TLSVersion) -> None:
    context = serving()
    context.minimum_version = context.maximum_version = version
    assert ask(context)[0].state == "up"


def test_a_certificate_that_is_wanted_of_us_is_no_data_of_a_site_that_lives(trusted: Path) -> None:
    found, answer = ask(asking_for_a_certificate(trusted))
    assert_alive_but_unknown(found, answer)
    assert "client certificate required?" in found.detail
    assert not answer.hopeless


@pytest.mark.parametrize("context", [of_old_letters, without_a_binding])
def test_a_handshake_that_is_cut_off_is_no_data_and_no_proof_of_life(context: Callable[[], ssl.SSLContext]) -> None:
    """A device in front may accept connections for a server that is down."""
    found, answer = ask(context())
    assert_unknown(found, answer, spoke=False)
    assert found.detail == f"{ADDRESS} accepts connections and closes them in the TLS handshake"
    assert not answer.hopeless


@pytest.mark.parametrize(
    ("after", "words"),
    [(b"\r\n\r\n", "uses plain HTTP"), (b"", "the TLS handshake failed (wrong version number)")],
    ids=["waits for a whole request", "answers at once"],
)
def test_a_site_that_speaks_plain_http_on_the_port_of_tls_lives_and_is_misconfigured(after: bytes, words: str) -> None:
    found, answer = ask(None, after, timeout="1s")
    assert_alive_but_unknown(found, answer)
    assert words in found.detail


def test_an_authority_of_ones_own_is_named_by_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = trustme.CA()
    own.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    monkeypatch.setenv("OWN_CA", str(tmp_path / "own.pem"))
    assert ask(serving(own.issue_cert(HOST)), certificate_authority="OWN_CA")[0].state == "up"
    assert_alive_but_unknown(*ask(serving(), certificate_authority="OWN_CA"))


def test_an_authoritys_file_that_is_missing_is_our_mistake_and_not_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_CA", str(tmp_path / "nowhere.pem"))

    async def both() -> Evidence:
        async with speaking(PAGE, serving()) as port:
            return (await judged(public=page_signal(port, host=HOST, certificate_authority="OWN_CA")))["public"]

    found = asyncio.run(both())
    assert (found.state, found.spoke) == ("no_data", False)


def test_a_certificate_that_ran_out_does_not_complete_an_outage() -> None:
    """Customers see a warning, Traffic Manager ignores it, and the other paths are silent: an operator must decide."""

    async def both() -> list[Evidence]:
        async with speaking(PAGE, serving(dated(not_after=NOW - timedelta(days=1)))) as port:
            with dropping() as gone:
                seen = await judged(
                    public=page_signal(port, host=HOST), vpn=page_signal(gone, path="private", timeout="1s")
                )
        return list(seen.values())

    seen = round_view(asyncio.run(both()), 2)
    assert (seen.says, seen.down_paths) == ("unclear", ["private"])


@pytest.mark.parametrize("kind", ["drops", "says nothing"])
def test_a_site_that_never_shakes_hands_is_down_and_not_untrusted(kind: str) -> None:
    with (dropping if kind == "drops" else accepting_and_silent)() as port:
        signal = page_signal(port, host=HOST, timeout="500ms")
        found = asyncio.run(judged(public=signal))["public"]
    assert (found.state, found.detail, found.spoke) == ("down", f"{ADDRESS} gave no answer in time", False)
