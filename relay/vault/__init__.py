"""Keys and sealed messages: who may seal, what may be opened, and when it is gone.

keyfiles    one key, one file      keyring     the keys that one role holds    keks        server keys by month
rotation    new and active keys    tombstones  what must stay destroyed        recovery    the offline key
blobs       large sealed bytes     vault       seals (relay)                   opener      opens (portal)
listing     what becomes a part    participants  new rows and their keys      links       rows checked again
paths       /p/<id>/<secret>       visits      a reader's minutes, tickets     requests    portal to relay
stored      a message with its key pen         what one may write with         pieces      texts and files, sealed
drafts      unfinished answers (portal)        unfinished  handed over (relay)
retention   expiry and sweeping    sealing     the format, pure

Only this package imports ``relay.vault.sealing``.
"""
