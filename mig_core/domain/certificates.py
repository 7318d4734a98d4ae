"""Why OpenSSL refused a certificate, for the person who has to mend it.

From Python 3.13 on ``ssl.create_default_context`` sets ``VERIFY_X509_STRICT``, and OpenSSL then holds certificates to
RFC 5280. Authorities made by older recipes and many appliances lack what it asks for, and OpenSSL's own words do not
say what to do. The words are those of OpenSSL 3 (``crypto/x509/x509_txt.c``); everybody who speaks TLS here adds
:func:`advice` to what went wrong.
"""

from __future__ import annotations

_AUTHORITY = "make the certificate authority anew with"
_CERTIFICATE = "make the certificate anew with"
_STRICT = "RFC 5280 asks for it, Python 3.13 and newer insist; docs/operations.md (Certificates) has the commands"

_STRICTLY = {
    "Missing Authority Key Identifier": f"{_CERTIFICATE} authorityKeyIdentifier=keyid"
    " (its authority needs subjectKeyIdentifier=hash for that)",
    "Missing Subject Key Identifier": f"{_AUTHORITY} subjectKeyIdentifier=hash",
    "CA cert does not include key usage extension": f"{_AUTHORITY} keyUsage=critical,keyCertSign,cRLSign",
    "Basic Constraints of CA cert not marked critical": f"{_AUTHORITY} basicConstraints=critical,CA:true",
    "Path length given without key usage keyCertSign": f"{_AUTHORITY} keyUsage=critical,keyCertSign,cRLSign",
    "Path length invalid for non-CA cert": f"{_CERTIFICATE} basicConstraints=critical,CA:false and no pathlen",
    "Key usage keyCertSign invalid for non-CA cert": f"{_CERTIFICATE} keyUsage=critical,digitalSignature",
    "Authority Key Identifier marked critical": f"{_CERTIFICATE} authorityKeyIdentifier=keyid, not critical",
    "Subject Key Identifier marked critical": f"{_CERTIFICATE} subjectKeyIdentifier=hash, not critical",
    "Empty Subject Alternative Name extension": f"{_CERTIFICATE} the server's names in subjectAltName",
    "Subject empty and Subject Alt Name extension not critical": f"{_CERTIFICATE} a subject, like /CN=mig.example.net",
    "Subject name empty": f"{_AUTHORITY} a subject, like /CN=Example authority",
    "Issuer name empty": f"{_AUTHORITY} a subject, like /CN=Example authority",
    "Using cert extension requires at least X509v3": f"{_CERTIFICATE} version 3",
    "Certificate public key has explicit ECC parameters": f"{_CERTIFICATE} a key on a named curve",
}
_ALWAYS = {
    "invalid CA certificate": f"its issuer is not marked as one: {_AUTHORITY} basicConstraints=critical,CA:true and"
    " keyUsage=critical,keyCertSign,cRLSign",
    "unsuitable certificate purpose": f"{_CERTIFICATE} extendedKeyUsage=serverAuth for a server,"
    " clientAuth for a client",
    "self-signed certificate": "name the file of the authority that signed it (ca_file)",
    "unable to get local issuer certificate": "name the file of the authority that signed it (ca_file);"
    " a server has to send intermediate certificates with its own",
    "certificate has expired": "renew it, and look at this machine's clock",
    "certificate is not yet valid": "look at this machine's clock, and the other's",
    "certificate is not valid for": f"use a name that it has, or {_CERTIFICATE} this one in subjectAltName",
    "ostname mismatch": f"use a name that it has, or {_CERTIFICATE} this one in subjectAltName",
    "key too weak": f"{_CERTIFICATE} a key of at least 2048 bits (RSA) or 256 (EC)",
    "digest algorithm too weak": f"{_CERTIFICATE} a SHA-256 signature",
}


def advice(error: object) -> str:
    """What to do about an error of a TLS connection; empty when it is not about a certificate, or nothing is known.

    Args:
        error: an exception (libraries wrap OpenSSL's, and keep its words), or its text.
    """
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" not in said and "certificate verify failed" not in said:
        return ""
    for words, step in _STRICTLY.items():
        if words in said:
            return f"{step}: {_STRICT}"
    return next((step for words, step in _ALWAYS.items() if words in said), "")


def explained(error: object, *, longest: int = 300) -> str:
    """The error's text, at most ``longest`` characters of it, and after a semicolon what to do, if that is known."""
    step = advice(error)
    return f"{error!s:.{longest}}; {step}" if step else f"{error!s:.{longest}}"
