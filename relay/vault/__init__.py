"""Keys and sealed messages: who may seal, what may be opened, and when it is gone.

keyfiles    one key, one file      keyring     the keys that one role holds    keks        server keys by month
rotation    new and active keys    tombstones  what must stay destroyed        recovery    the offline key
blobs       large sealed bytes     vault       seals (relay)                   opener      opens (portal)
links       rows under a MAC       visits      a reader's minutes, tickets     requests    portal to relay
retention   expiry and sweeping    sealing     the format, pure

Only this package imports ``relay.vault.sealing``.
"""
