from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from assay.errors import BadInput
from assay.serve.tls import tls_context
from tests.serve.opened import opened

CA = trustme.CA()


def files(folder: Path, issued: trustme.LeafCert, name: str = "one") -> tuple[Path, Path]:
    """The chain and the key of a certificate as two files."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


def client() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def refusal(certificate: Path, key: Path | None) -> str:
    with pytest.raises(BadInput) as told:
        tls_context(certificate, key)
    assert told.value.remedy
    return f"{told.value.sentence}; {told.value.remedy}"


def test_a_client_that_trusts_the_authority_gets_its_answer(tmp_path: Path) -> None:
    context = tls_context(*files(tmp_path, CA.issue_cert("127.0.0.1")))

    async def visit() -> int:
        async with opened(tls=context, routes={"/": _hello}) as service:
            answer = await service.send(f"GET / HTTP/1.1\nHost: 127.0.0.1:{service.port}", tls=client())
            return answer.status

    assert asyncio.run(visit()) == 200


def test_one_file_may_hold_both_and_need_not_be_trusted(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("models.example.org", key_type=trustme.KeyType.RSA)
    both = tmp_path / "both.pem"
    both.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    assert tls_context(both, None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    context = tls_context(*files(tmp_path, CA.issue_cert("127.0.0.1")))
    old = client()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        old.wrap_bio(back, there, server_hostname="127.0.0.1").do_handshake()
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        context.wrap_bio(there, back, server_side=True).do_handshake()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, CA.issue_cert("127.0.0.1"))
    gone = tmp_path / "gone.pem"
    assert f"--tls-cert {gone}" in refusal(gone, key)
    assert f"--tls-key {gone}" in refusal(certificate, gone)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    certificate, _ = files(tmp_path, CA.issue_cert("127.0.0.1"))
    assert f"--tls-key {tmp_path} cannot be read" in refusal(certificate, tmp_path)


def test_a_file_that_is_no_pem_is_told(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, CA.issue_cert("127.0.0.1"))
    binary = tmp_path / "cert.der"
    binary.write_bytes(ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii")))
    assert "not in PEM form" in refusal(binary, key)


def test_files_in_the_others_place_are_told(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, CA.issue_cert("127.0.0.1"))
    assert f"--tls-cert {key} cannot be used: it holds no certificate" in refusal(key, certificate)
    assert f"--tls-key {certificate} cannot be used: it holds no private key" in refusal(certificate, certificate)


def test_a_torn_file_is_told(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, CA.issue_cert("127.0.0.1"))
    certificate.write_bytes(certificate.read_bytes()[:200])
    assert "cannot be used" in refusal(certificate, key)


def test_a_key_that_is_another_certificates_is_told(tmp_path: Path) -> None:
    certificate, _ = files(tmp_path, CA.issue_cert("127.0.0.1"))
    _, other = files(tmp_path, CA.issue_cert("127.0.0.1"), "other")
    assert "do not belong together" in refusal(certificate, other)


def test_a_certificate_without_its_key_is_told(tmp_path: Path) -> None:
    certificate, _ = files(tmp_path, CA.issue_cert("127.0.0.1"))
    assert "--tls-key" in refusal(certificate, None)


def test_an_encrypted_key_is_told_and_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, CA.issue_cert("127.0.0.1"))
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    assert "password" in refusal(certificate, key)


def test_an_expired_certificate_is_told(tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    issued = CA.issue_cert("127.0.0.1", not_before=past - timedelta(days=9), not_after=past)
    assert "has expired" in refusal(*files(tmp_path, issued))


def test_a_certificate_that_is_not_valid_yet_is_told(tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=2)
    issued = CA.issue_cert("127.0.0.1", not_before=later, not_after=later + timedelta(days=9))
    assert "is not valid yet" in refusal(*files(tmp_path, issued))


async def _hello(_request: web.Request) -> web.StreamResponse:

    return web.Response(text="hello")
