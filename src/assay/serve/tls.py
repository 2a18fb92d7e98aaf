"""TLS from certificate files, tried out before the service starts: what a client would refuse is told here."""

from __future__ import annotations

import ssl
from pathlib import Path

from assay.errors import BadInput

NOT_YET, EXPIRED = 9, 10
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A server's context: TLS 1.2 or newer. ``key`` None: the certificate's file holds it too.

    Raises:
        BadInput: a file is missing, cannot be read, is no PEM, wants a password, does not belong to the other, or the
            certificate is not valid at this moment.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _require_pem("--tls-cert", certificate, b"CERTIFICATE-----", "certificate")
    _require_pem("--tls-key" if key else "--tls-cert", key or certificate, b"PRIVATE KEY-----", "private key")
    asked = []

    def password() -> str:
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError) as error:
        raise _unusable(certificate, key, error, encrypted=bool(asked)) from error
    _try_out(context, certificate)
    return context


def _require_pem(flag: str, path: Path, label: bytes, what: str) -> None:
    """Raise ``BadInput`` where the file cannot be read or has no block with ``label`` at the end of its first line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{flag} {path} cannot be read", why=error.strerror or str(error), remedy="give a file that can be"
        ) from error
    if b"-----BEGIN " not in content:
        raise BadInput(f"{flag} {path} cannot be used", why="it is not in PEM form", remedy="convert it with openssl")
    if label not in content:
        raise BadInput(
            f"{flag} {path} cannot be used",
            why=f"it holds no {what}",
            remedy="give the certificate's file to --tls-cert and that of its key to --tls-key",
        )


def _unusable(certificate: Path, key: Path | None, error: OSError, *, encrypted: bool) -> BadInput:
    holder = key or certificate
    if encrypted:
        return BadInput(
            f"the key in {holder} cannot be used",
            why="it is encrypted with a password, and nobody is there to type it when the service starts",
            remedy=f"openssl pkey -in {holder} -out plain.pem, and keep that file to yourself",
        )
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return BadInput(
            f"{certificate} and {holder} do not belong together",
            why="the key is not the certificate's",
            remedy="give the key that the certificate was made for",
        )
    return BadInput(
        f"{certificate}{f' and {key}' if key else ''} cannot be used",
        why=str(reason or error).lower().replace("_", " "),
        remedy="give a certificate chain and its key in PEM form",
    )


def _try_out(server: ssl.SSLContext, certificate: Path) -> None:
    """Shake hands with a client that trusts this very certificate; nobody else needs to trust it, but time must."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    try:
        while ends:
            ends = [end for end in ends if not _shaken(end)]
    except ssl.SSLCertVerificationError as error:
        when = {NOT_YET: "is not valid yet", EXPIRED: "has expired"}.get(error.verify_code)
        if when is not None:
            raise BadInput(
                f"the certificate {certificate} {when}", why=error.verify_message, remedy="renew it, or set the clock"
            ) from error
    except ssl.SSLError as error:
        raise BadInput(
            f"the certificate {certificate} cannot be used", why=str(error.reason or error), remedy="make a new one"
        ) from error


def _shaken(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
