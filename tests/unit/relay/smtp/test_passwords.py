"""Passwords: hashed with Argon2id, typed the same on every keyboard, verified at one cost."""

from relay.smtp.passwords import hash_password, is_password, nobodys


def test_a_password_is_its_own_only() -> None:
    """The right one is recognised, another is not; two hashes of one password differ."""
    kept = hash_password("correct horse battery")
    assert is_password("correct horse battery", kept)
    assert not is_password("correct horse batterie", kept)
    assert not is_password("", kept)
    assert hash_password("correct horse battery") != kept


def test_keyboards_do_not_count() -> None:
    """A composed and a decomposed letter, an odd space and an ordinary one are the same (RFC 8265 section 4.2)."""
    kept = hash_password("pâté à la crème")
    assert is_password("pa\u0302te\u0301 a\u0300\u00a0la cre\u0300me", kept)


def test_nobodys_password_costs_the_same() -> None:
    """The hash for unknown names is one of the same parameters, and nothing opens it."""
    assert nobodys().rpartition("$")[0].rpartition("$")[0] == hash_password("x").rpartition("$")[0].rpartition("$")[0]
    assert not is_password("", nobodys())
    assert nobodys() != nobodys()


def test_a_spoiled_hash_is_nobodys() -> None:
    """What is no hash is never an error while somebody waits."""
    assert not is_password("x", "$argon2id$v=19$m=1,t=0,p=0$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
    assert not is_password("x", "nonsense")
