"""The certificates of a cluster: those of one authority, the API server and its clients."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
_LASTING = timedelta(days=36_500)


class Authority:
    """The certificate authority of one cluster, with all of its files in one folder.

    Args:
        folder: Where `NAME.crt` and `NAME.key` are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        usage = x509.KeyUsage(True, False, True, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key).add_extension(usage, critical=True)
        self._write("ca", builder, self._key, ca=True)

    @property
    def certificate(self) -> Path:
        """The certificate of the authority."""
        return self._folder / "ca.crt"

    def server(self, name: str, *, names: Sequence[str], addresses: Sequence[str]) -> None:
        """Writes a certificate for a server."""
        known: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        known += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        self._sign(name, name, None, ExtendedKeyUsageOID.SERVER_AUTH, known)

    def client(self, name: str, *, user: str, group: str | None = None) -> None:
        """Writes a certificate that identifies a client."""
        self._sign(name, user, group, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def keys(self, name: str) -> None:
        """Writes a pair of keys without a certificate, `NAME.key` and `NAME.pub`."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self._folder / f"{name}.key").write_bytes(_pem(key))
        (self._folder / f"{name}.pub").write_bytes(public)

    def _sign(
        self,
        name: str,
        user: str,
        group: str | None,
        usage: x509.ObjectIdentifier,
        known: list[x509.GeneralName],
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        builder = self._builder(x509.Name(parts), key)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if known:
            builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        self._write(name, builder, key, ca=False)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_BEGIN + _LASTING)
        )

    def _write(
        self,
        name: str,
        builder: x509.CertificateBuilder,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
    ) -> None:
        constraints = x509.BasicConstraints(ca=ca, path_length=None)
        certificate = builder.add_extension(constraints, critical=True).sign(
            self._key, hashes.SHA256()
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (self._folder / f"{name}.crt").write_bytes(pem)
        (self._folder / f"{name}.key").write_bytes(_pem(key))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
