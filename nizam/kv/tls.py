"""TLS to Redis: whom it trusts, whom it expects, and in which setting a refusal has its cause."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from nizam.kv.refusals import RefusedError

OTHER_NAME: Final = (
    "REDIS_HOST: the certificate of {} is for another name: the server has to be called as its "
    "certificate does"
)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@attrs.frozen
class Tls:
    """`authorities` is a file of the certificates to trust, None for those of the system;
    `certificate` and `key` are what we show a server that asks for it."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def around(self, reactor: Any, host: str, port: int, seconds: float) -> Any:
        """An endpoint that speaks TLS with this server, whose certificate has to be for `host`.

        The files are read each time, so that renewed ones need no restart. Raises RefusedError
        when one of them cannot be used.
        """
        from twisted.internet.ssl import optionsForClientTLS

        trusted = _trust(self.authorities)
        ours, chain = self._ours()
        more = {"extraCertChain": chain} if chain else {}
        options = optionsForClientTLS(host, trusted, ours, extraCertificateOptions=more)
        return wrapClientTLS(options, HostnameEndpoint(reactor, host, port, timeout=seconds))

    def _ours(self) -> tuple[Any, list[Any]]:
        from twisted.internet.ssl import PrivateCertificate

        if self.certificate is None or self.key is None:
            return None, []
        found = _certificates(self.certificate, "REDIS_TLS_CERT")
        try:
            text = self.key.read_bytes() + b"\n" + found[0].dumpPEM()
            ours = PrivateCertificate.loadPEM(text)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise RefusedError(f"REDIS_TLS_KEY: {self.key}: {_words(error)}") from None
        return ours, [it.original for it in found[1:]]


def _trust(path: Path | None) -> Any:
    from twisted.internet import ssl

    if path is None:
        return ssl.platformTrust()  # type: ignore[no-untyped-call]
    return ssl.trustRootFromCertificates(  # type: ignore[no-untyped-call]
        _certificates(path, "REDIS_TLS_CA")
    )


def _certificates(path: Path, setting: str) -> list[Any]:
    from twisted.internet.ssl import Certificate

    try:
        found = [Certificate.loadPEM(it) for it in _CERTIFICATE.findall(path.read_bytes())]
    except Exception as error:
        raise RefusedError(f"{setting}: {path}: {_words(error)}") from None
    if not found:
        raise RefusedError(f"{setting}: there is no certificate in {path}")
    return found


def refused(error: BaseException | None, where: str) -> RefusedError | None:
    """Why a connection to `where` could not be made, if TLS is the reason."""
    from OpenSSL.SSL import Error as TlsError
    from service_identity import VerificationError

    if isinstance(error, VerificationError):
        return RefusedError(OTHER_NAME.format(where))
    if not isinstance(error, TlsError):
        return None
    return RefusedError(said(_words(error), where))


def said(words: str, where: str) -> str:
    """What OpenSSL's words about a connection to `where` mean, with the setting that is
    concerned."""
    lower = words.lower().replace("_", " ")
    if "hostname mismatch" in lower or "ip address mismatch" in lower:
        return OTHER_NAME.format(where)
    if "certificate verify failed" in lower:
        return (
            f"REDIS_TLS_CA: the certificate of {where} is signed by nobody that is trusted, or it "
            "is not valid any more"
        )
    if "certificate required" in lower:
        return f"REDIS_TLS_CERT: {where} wants a certificate of ours, and got none"
    if "alert" in lower and any(it in lower for it in ("certificate", "unknown ca", "decrypt")):
        return f"REDIS_TLS_CERT: {where} does not take our certificate: {words}"
    if "wrong version number" in lower or "record layer" in lower:
        return f"REDIS_TLS: {where} does not speak TLS"
    return f"REDIS_TLS: no TLS with {where}: {words}"


def _words(error: BaseException) -> str:
    """What went wrong, without the places in OpenSSL's sources."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(it[-1]) for it in reasons if it) or str(error) or type(error).__name__
