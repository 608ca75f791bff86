"""Names of cipher suites against IANA's registry."""

import pytest

from relay.message.cipher_names import registered_name
from relay.smtp.certificates import server_context

# Number in the registry -> name there, for every suite that a server context of ours may agree on.
REGISTRY = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    0xCCA8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0xC023: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    0xC024: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    0xC027: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    0xC028: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    0x009E: "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    0x009F: "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
    0x0067: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
    0x006B: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
}


def test_every_suite_that_we_agree_on_has_its_registered_name() -> None:
    """OpenSSL tells each suite's number; the name we write is the one that the registry has under it."""
    offered = {suite["id"] & 0xFFFF: suite["name"] for suite in server_context().get_ciphers()}
    assert {number: registered_name(name) for number, name in offered.items() if number in REGISTRY} == {
        number: REGISTRY[number] for number in offered if number in REGISTRY
    }
    assert len(set(offered) & set(REGISTRY)) > 10
    assert all(registered_name(name) for name in offered.values())


@pytest.mark.parametrize(
    ("cipher", "name"),
    [
        ("AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
        ("AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("ECDHE-ECDSA-AES128-CCM8", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
        ("DHE-RSA-AES256-CCM", "TLS_DHE_RSA_WITH_AES_256_CCM"),
        ("DES-CBC3-SHA", ""),
        ("PSK-AES128-CBC-SHA", ""),
        ("AES128-SHA; by evil.example", ""),
        ("TLS_X (comment)", ""),
        ("", ""),
    ],
)
def test_names(cipher: str, name: str) -> None:
    """What is not known has no name; nothing that is no name comes through."""
    assert registered_name(cipher) == name
