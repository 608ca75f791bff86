"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463) for every mail that leaves, made once, when it is drafted.

signer     which mail is signed, and the fields in front of it
signature  one signature field: what it covers and how it is computed
body       the hash of a body in relaxed form, in bounded pieces
keys       the keys that relay.toml names: opened, and each proved with dkimpy; new ones made
record     what is published in the DNS

docs/decisions/0016-our-own-dkim-signer.md says why dkimpy verifies and does not sign.
"""
