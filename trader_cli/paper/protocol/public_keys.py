"""Keys of which the exchange holds only the public half: RSA and Ed25519.

Knows PEM and how both kinds sign. Must not know requests.

Source: binance-usdm reference §3.3.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import eddsa, pkcs1_15

from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.memory import Memory

_ED25519: Final = "Ed25519"
_RSA_BITS_MIN: Final = 2_048
_PEM_LENGTH_MAX: Final = 4_096
_MEMORY: Final = "public_keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaKey:
    """RSASSA-PKCS1-v1_5 with SHA-256; signatures are base64."""

    api_key: str
    public_key: RSA.RsaKey = field(repr=False)
    may_log_on: bool = field(default=False, init=False, repr=False)

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Return True if `signature` is the payload's; percent-encoding is taken off."""
        try:
            pkcs1_15.new(self.public_key).verify(SHA256.new(payload), _decoded(signature))
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Key:
    """Ed25519; signatures are base64."""

    api_key: str
    public_key: ECC.EccKey = field(repr=False)
    may_log_on: bool = field(default=True, init=False, repr=False)

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Return True if `signature` is the payload's; percent-encoding is taken off."""
        try:
            eddsa.new(self.public_key, "rfc8032").verify(payload, _decoded(signature))
        except ValueError:
            return False
        return True


PublicKey = RsaKey | Ed25519Key


def registered(memory: Memory) -> dict[str, str]:
    """Return the PEM texts registered, by the name of their key."""
    return dict(memory.recall(_MEMORY) or {})


def restored_keys(memory: Memory) -> list[PublicKey]:
    """Return the keys registered, also before a restart."""
    return [read_public_key(name, pem) for name, pem in registered(memory).items()]


def keep_registered(memory: Memory, keys: dict[str, str]) -> None:
    """Have `keys` registered from now on and none else."""
    memory.remember(_MEMORY, keys)


def read_public_key(api_key: str, pem: str) -> PublicKey:
    """Return the key a PEM text holds, under the name `api_key`.

    Raises:
        VenueRefusal: -4057 if it is no public key, -4056 if of another kind or too short.
    """
    if len(pem) > _PEM_LENGTH_MAX or "PRIVATE" in pem:
        raise VenueRefusal(-4057)
    try:
        curve = ECC.import_key(pem)
    except (ValueError, IndexError, TypeError):
        return RsaKey(api_key=api_key, public_key=_rsa(pem))
    if curve.curve != _ED25519:
        raise VenueRefusal(-4056)
    return Ed25519Key(api_key=api_key, public_key=curve)


def _rsa(pem: str) -> RSA.RsaKey:
    try:
        key = RSA.import_key(pem)
    except (ValueError, IndexError, TypeError):
        raise VenueRefusal(-4057) from None
    if key.size_in_bits() < _RSA_BITS_MIN:
        raise VenueRefusal(-4056)
    return key


def _decoded(signature: str) -> bytes:
    try:
        return b64decode(unquote(signature), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
