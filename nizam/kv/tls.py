"""TLS to Redis: whom it trusts, whom it expects, and in which setting a refusal has its cause."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from nizam.kv.refusals import RefusedError

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
        return RefusedError(
            f"REDIS_HOST: the certificate of {where} is for another name: the server has to be "
            "called as its certificate does"
        )
    if not isinstance(error, TlsError):
        return None
    words = _words(error)
    if "certificate verify failed" in words:
        return RefusedError(
            f"REDIS_TLS_CA: the certificate of {where} is signed by nobody that is trusted, or it "
            "is not valid any more"
        )
    if "certificate required" in words or "bad certificate" in words or "unknown ca" in words:
        return RefusedError(f"REDIS_TLS_CERT: {where} does not take our certificate: {words}")
    if "wrong version number" in words or "record layer" in words:
        return RefusedError(f"REDIS_TLS: {where} does not speak TLS")
    return RefusedError(f"REDIS_TLS: no TLS with {where}: {words}")


def _words(error: BaseException) -> str:
    """What went wrong, without the places in OpenSSL's sources."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(it[-1]) for it in reasons if it) or str(error) or type(error).__name__
