from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.config.model import Configuration
from relay.config.next_hops import Route
from relay.config.values import Endpoint
from relay.dkim.record import record_value
from relay.dkim.signature import SigningKey
from relay.dns import lookup as lookup_module
from relay.dns.finding import Finding, State
from relay.dns.inspection import inspect_dns
from relay.dns.lookup import Lookup
from tests.nameserver import NameServer, name_server, silent_port

DOMAIN = "letter.example.org"
CONFIGURATION = Configuration.model_validate(
    {
        "organisation": {"name": "Example Council", "domains": ["example.org"], "contact": "Help desk"},
        "gateway": {"domain": DOMAIN, "hostname": "gw.example.org"},
        "listen": {"submission": {"address": "192.0.2.1:25"}},
        "route": {
            "inside": {"hosts": ["mail.example.org:25"]},
            "outside": {"hosts": ["smarthost.example.org:587", "[2001:db8::25]:25", "192.0.2.9:25"]},
        },
        "portal": {"base_url": "https://post.example.org", "listen": "127.0.0.1:8080"},
    },
    context={"folder": Path("/nowhere")},
)
KEY = SigningKey(DOMAIN, "s1", rsa.generate_private_key(65537, 2048))
ED25519 = SigningKey(DOMAIN, "s2", Ed25519PrivateKey.generate())


@pytest.fixture
def dns() -> Iterator[NameServer]:
    """A name server that knows nothing yet."""
    with name_server() as server:
        yield server


def findings(server: NameServer, *keys: SigningKey) -> list[Finding]:
    return list(inspect_dns(CONFIGURATION, keys or (KEY,), Lookup(Endpoint(host="127.0.0.1", port=server.port))))


def one(server: NameServer, record: str, *keys: SigningKey) -> Finding:
    return next(found for found in findings(server, *keys) if found.record == record)


@pytest.fixture
def published(dns: NameServer) -> NameServer:
    """A name server on which everything was published as the check asks for it."""
    dns.publish("gw.example.org. IN A 192.0.2.1", "post.example.org. IN AAAA 2001:db8::1")
    for found in findings(dns, KEY, ED25519):
        dns.publish(*found.publish)
    return dns


def test_publishing_what_is_asked_for_makes_everything_right(published: NameServer) -> None:
    """The lines that the check prints are lines of a zone file, and with them it is content."""
    assert {found.state for found in findings(published, KEY, ED25519)} == {State.RIGHT}


def test_without_any_record_each_is_missing_and_said_how_to_publish(dns: NameServer) -> None:
    """An empty zone gives one finding for each record, all failing, each with lines to publish."""
    found = findings(dns)
    assert [(each.record, each.state) for each in found] == [
        (record, State.MISSING) for record in ("MX", "A/AAAA", "A/AAAA", "SPF", "DKIM", "DMARC")
    ]
    assert all(each.publish and each.fails for each in found)
    assert found[3].publish == (
        f'{DOMAIN}. IN TXT "v=spf1 mx a:smarthost.example.org ip6:2001:db8::25 ip4:192.0.2.9 -all"',
    )


def test_a_server_that_fails_is_no_missing_record(published: NameServer) -> None:
    """SERVFAIL is said as such: nobody should publish twice because a server was ill."""
    published.failing |= {name for name, _ in published.records}
    found = findings(published)
    assert {each.state for each in found} == {State.UNKNOWN}
    assert not any(each.fails or each.publish for each in found)


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who never answers costs a bounded time and gives an unknown."""
    monkeypatch.setattr(lookup_module, "PATIENCE", 0.2)
    listening, port = silent_port()
    with listening:
        assert "no answer" in Lookup(Endpoint(host="127.0.0.1", port=port)).texts(DOMAIN).problem


def test_who_sends_by_mx_stands_in_the_record_itself(dns: NameServer) -> None:
    """Without a smarthost the gateway's own host is proposed for SPF: it is who sends."""
    route = CONFIGURATION.route.model_copy(update={"outside": Route(mx=True)})
    configuration = CONFIGURATION.model_copy(update={"route": route})
    lookup = Lookup(Endpoint(host="127.0.0.1", port=dns.port))
    spf, _ = (found for found in inspect_dns(configuration, (KEY,), lookup) if found.record == "SPF")
    assert spf.publish == (f'{DOMAIN}. IN TXT "v=spf1 mx a:gw.example.org -all"',)


@pytest.mark.parametrize(
    ("record", "publish"),
    [
        ("v=spf1 a:GW.example.org -all", ""),
        ("v=spf1 include:_spf.example.com ip4:192.0.2.0/28 ~all", ""),
        ("v=spf1 ip6:2001:db8::/32 mx -all", "v=spf1 a:gw.example.org ip6:2001:db8::/32 mx -all"),
        (
            "v=spf1 -a:gw.example.org ip4:nonsense a -all",
            "v=spf1 a:gw.example.org -a:gw.example.org ip4:nonsense a -all",
        ),
        ("", "v=spf1 a:gw.example.org mx ~all"),
    ],
)
def test_who_sends_by_mx_must_stand_in_the_records_of_staff(dns: NameServer, record: str, publish: str) -> None:
    """Their mail leaves from the gateway's own address: a record that does not name it has it refused elsewhere."""
    dns.publish("gw.example.org. IN A 192.0.2.1", *([f'example.org. IN TXT "{record}"'] if record else []))
    route = CONFIGURATION.route.model_copy(update={"outside": Route(mx=True)})
    configuration = CONFIGURATION.model_copy(update={"route": route})
    lookup = Lookup(Endpoint(host="127.0.0.1", port=dns.port))
    (spf,) = (found for found in inspect_dns(configuration, (KEY,), lookup) if found.name == "example.org")
    assert spf.state is (State.DOUBTFUL if publish else State.RIGHT)
    assert spf.publish == ((f'example.org. IN TXT "{publish}"',) if publish else ())


@pytest.mark.parametrize(
    ("lines", "state", "words"),
    [
        ([f"{DOMAIN}. IN MX 0 ."], State.WRONG, "null MX"),
        ([f"{DOMAIN}. IN MX 10 nowhere.example.org."], State.WRONG, "has no address"),
        (
            [f"{DOMAIN}. IN MX 10 alias.example.org.", "alias.example.org. IN CNAME gw.example.org."],
            State.WRONG,
            "is an alias",
        ),
        (
            [f"{DOMAIN}. IN MX 10 mail.example.org.", "mail.example.org. IN A 192.0.2.2"],
            State.RIGHT,
            "must be passed on to gw.example.org",
        ),
        ([f"{DOMAIN}. IN A 192.0.2.1"], State.DOUBTFUL, "mail goes to 192.0.2.1"),
    ],
)
def test_mail_must_find_its_way_to_the_gateway(
    published: NameServer, lines: list[str], state: State, words: str
) -> None:
    """An MX has to lead to a host with an address; one that leads to another server is said, not refused."""
    published.withdraw(f"{DOMAIN}.", "MX")
    published.publish(*lines)
    found = one(published, "MX")
    assert found.state is state
    assert words in found.sentence


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        (["v=spf1 mx +all"], State.WRONG, "+all"),
        (["v=spf1 all"], State.WRONG, "+all"),
        (["v=spf1 -all"], State.WRONG, "lets nobody send"),
        (["v=spf1 mx", "v=spf1 a -all"], State.WRONG, "twice"),
        (["v=spf1 ipv4:192.0.2.1 -all"], State.WRONG, "ipv4:192.0.2.1"),
        (["v=spf1 mx"], State.DOUBTFUL, "-all"),
        (["v=spf10 -all"], State.MISSING, "is missing"),
        (["v=spf1 redirect=_spf.example.org"], State.RIGHT, "route.outside"),
        (["V=SPF1 MX ?all", "some-other-token=1"], State.RIGHT, "route.outside"),
        (["v=spf1 include:_spf.example.org ~all exp=why.example.org"], State.RIGHT, "route.outside"),
    ],
)
def test_spf_is_read_for_what_is_certainly_wrong(
    published: NameServer, records: list[str], state: State, words: str
) -> None:
    """Two records, unknown terms, everybody, nobody: each is named; what may be right stays right."""
    published.withdraw(f"{DOMAIN}.", "TXT")
    published.publish(*(f'{DOMAIN}. IN TXT "{record}"' for record in records))
    found = one(published, "SPF")
    assert found.state is state
    assert words in found.sentence


@pytest.mark.parametrize(
    ("record", "state", "words"),
    [
        ("v=DKIM1; k=rsa; p=", State.WRONG, "revoked"),
        ("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", State.WRONG, "another key"),
        ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", State.WRONG, "no record for an rsa key"),
    ],
)
def test_a_published_key_must_be_the_one_that_signs(
    published: NameServer, record: str, state: State, words: str
) -> None:
    """A revoked key, another key and a key of another kind are told apart."""
    published.withdraw(f"s1._domainkey.{DOMAIN}.", "TXT")
    published.publish(f's1._domainkey.{DOMAIN}. IN TXT "{record}"')
    found = one(published, "DKIM")
    assert found.state is state
    assert words in found.sentence


def test_a_key_in_testing_is_doubtful(published: NameServer) -> None:
    """t=y asks receivers to ignore failures: it should not stay."""
    name = f"s2._domainkey.{DOMAIN}."
    published.withdraw(name, "TXT")
    published.publish(f'{name} IN TXT "{record_value(ED25519.private)}; t=s:y"')
    assert one(published, "DKIM", ED25519).state is State.DOUBTFUL


def test_a_gateway_without_a_key_is_told_to_make_one(published: NameServer) -> None:
    """A key for another domain does not sign notices."""
    found = list(
        inspect_dns(
            CONFIGURATION,
            [SigningKey("example.org", "s1", KEY.private)],
            Lookup(Endpoint(host="127.0.0.1", port=published.port)),
        )
    )
    said = [each.sentence for each in found if each.record == "DKIM"]
    assert "letterlock keys dkim letter.example.org" in said[0]


@pytest.mark.parametrize(
    ("name", "record", "state", "words"),
    [
        (DOMAIN, "v=DMARC1; p=none", State.DOUBTFUL, "p=none"),
        (DOMAIN, "v=DMARC1; p=qarantine", State.WRONG, "no policy"),
        (DOMAIN, "v=DMARC1;p=quarantine;rua=mailto:a@example.org", State.RIGHT, "put aside"),
        ("example.org", "v=DMARC1; p=reject", State.RIGHT, "sub-domains"),
        ("example.org", "v=DMARC1; p=reject; sp=none", State.DOUBTFUL, "p=none"),
        ("org", "v=DMARC1; p=reject", State.MISSING, "is missing"),
    ],
)
def test_dmarc_may_come_from_the_domain_above(
    published: NameServer, name: str, record: str, state: State, words: str
) -> None:
    """The gateway's own policy counts, else what the organisation's domain says of its sub-domains."""
    published.withdraw(f"_dmarc.{DOMAIN}.", "TXT")
    published.publish(f'_dmarc.{name}. IN TXT "{record}"')
    found = one(published, "DMARC")
    assert found.state is state
    assert words in found.sentence
