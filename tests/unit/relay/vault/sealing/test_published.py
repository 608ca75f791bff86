"""The primitives against numbers that others published: RFC 5869, 7748, 9180, and the hybrid KEM's draft."""

import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from relay.vault.sealing import hpke
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import pair_from_private
from relay.vault.sealing.primitives import kdf
from relay.vault.sealing.recovery import RecoveryPrivateKey

VECTORS = Path(__file__).parents[4] / "vectors"
PUBLISHED = json.loads((VECTORS / "published.json").read_text())
COMMON = PUBLISHED["RFC 9180 common"]
HYBRID = PUBLISHED["draft-ietf-hpke-pq, KEM 0x647a"]

# Public keys for which X25519 gives zero whatever the private key (RFC 7748 section 6.1), as Wycheproof lists
# them: the canonical ones, those at or above the field's prime, and all of them with the top bit set.
_P = (1 << 255) - 19
_SMALL = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    _P - 1,
    _P,
    _P + 1,
]
LOW_ORDER = [number + top for number in _SMALL for top in (0, 1 << 255)]


@pytest.fixture(scope="module")
def independent() -> ModuleType:
    """The independent reader, whose HPKE is built from primitives."""
    spec = importlib.util.spec_from_file_location("independent_reader", VECTORS / "independent_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unhex(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


@pytest.mark.parametrize("case", PUBLISHED["RFC 5869 appendix A"], ids=lambda case: case["name"])
def test_the_kdf_is_hkdf(case: dict[str, str], independent: ModuleType) -> None:
    """Both derivations give the first 32 bytes of the RFC's output."""
    ikm, salt, info, okm = unhex(case, "ikm", "salt", "info", "okm")
    assert kdf(ikm, salt, info) == okm[:32]
    assert independent.kdf(ikm, salt or bytes(32), info) == okm[:32]


def test_key_pairs_are_x25519() -> None:
    """A private key has the RFC's public key and shares the RFC's secret."""
    private, public, other, shared = unhex(PUBLISHED["RFC 7748 section 6.1"], "private", "public", "other", "shared")
    pair = pair_from_private(private)
    assert pair.public == public
    assert pair.private.exchange(X25519PublicKey.from_public_bytes(other)) == shared


@pytest.mark.parametrize("case", PUBLISHED["RFC 9180 appendix A"], ids=lambda case: case["name"])
def test_the_library_speaks_hpke(case: dict[str, str]) -> None:
    """The library opens the RFC's first message; its associated data needs a private function, here only."""
    private, enc, ct = unhex(case, "private", "enc", "ct")
    info, aad, plain = unhex(COMMON, "info", "aad", "pt")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, getattr(AEAD, case["aead"]))
    key = X25519PrivateKey.from_private_bytes(private)
    assert rust_openssl.hpke._decrypt_with_aad(suite, enc + ct, key, info, aad) == plain


def test_a_recovery_seed_expands_as_published() -> None:
    """The draft's seed has the draft's public key."""
    public = RecoveryPrivateKey.from_seed(bytes.fromhex(HYBRID["seed"])).public
    assert hashlib.sha256(public.encode()).hexdigest() == HYBRID["public_sha256"]


def test_the_combiner_and_key_schedule_are_as_published(independent: ModuleType) -> None:
    """A thousand messages of the draft's context hash to the published value (ChaCha20-Poly1305, AEAD 3)."""
    seed, enc, info = unhex(HYBRID, "seed", "enc", "info")
    shared = independent.recovery_secret(independent.recovery_key(seed), enc, "stanza")
    key, nonce = independent.key_schedule(0x647A, 3, shared, info)
    cipher, source, sink, position = ChaCha20Poly1305(key), hashlib.shake_128(), hashlib.shake_128(), 0
    stream = source.digest(2 * 1000 * 256)

    def draw() -> bytes:
        nonlocal position
        start, position = position + 1, position + 1 + stream[position]
        return stream[start:position]

    for sequence in range(1000):
        aad, plain = draw(), draw()
        number = int.from_bytes(nonce, "big") ^ sequence
        sink.update(cipher.encrypt(number.to_bytes(12, "big"), plain, aad))
    assert sink.digest(16).hex() == HYBRID["accumulated"]


def test_the_library_and_the_independent_hpke_agree(independent: ModuleType) -> None:
    """What the product seals to a fresh key, by either KEM, the second implementation opens."""
    pair = pair_from_private(bytes(range(32)))
    sealed = hpke.seal(pair.public, b"plain", b"info")
    assert independent.link_open(pair.private, sealed, b"info", "stanza") == b"plain"
    recovery = RecoveryPrivateKey.from_seed(bytes(range(32)))
    sealed = hpke.seal_recovery(recovery.public, b"plain", b"info")
    shared = independent.recovery_secret(independent.recovery_key(bytes(range(32))), sealed[:1120], "stanza")
    assert independent.hpke_open(0x647A, shared, sealed[1120:], b"info", "stanza") == b"plain"


@pytest.mark.parametrize("number", LOW_ORDER)
def test_low_order_keys_are_refused_both_ways(number: int) -> None:
    """Nothing is sealed to a key of low order, and an encapsulated key of low order opens nothing."""
    point = number.to_bytes(32, "little")
    with pytest.raises(SealingError) as sealing:
        hpke.seal(point, b"plain", b"info")
    assert sealing.value.layer is Layer.KEY
    pair = pair_from_private(bytes(range(32)))
    sealed = hpke.seal(pair.public, b"plain", b"info")
    with pytest.raises(SealingError) as opening:
        hpke.open_sealed(pair, point + sealed[32:], b"info", layer=Layer.STANZA, sentence="damaged")
    assert opening.value.layer is Layer.STANZA


def test_a_key_that_is_not_canonical_would_lock_its_holder_out() -> None:
    """Why such keys are refused: what the library seals to one cannot be opened by the private key (decision 0003)."""
    pair = pair_from_private(bytes(range(32)))
    odd = bytearray(pair.public)
    odd[31] |= 0x80
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(b"plain", X25519PublicKey.from_public_bytes(bytes(odd)), b"info")
    with pytest.raises(SealingError):
        hpke.open_sealed(pair, sealed, b"info", layer=Layer.STANZA, sentence="locked out")
    with pytest.raises(SealingError):
        hpke.seal(bytes(odd), b"plain", b"info")
