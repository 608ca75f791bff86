"""The sealed format, version 1: pure functions over bytes; docs/sealed-format.md is their specification.

errors      the one error and the layers it names      primitives  labels, key derivation, constants
header      the core header and H                       kek         wrapping the outer key
links       key pairs from L and S                      recovery    the organisation's recovery key
hpke        sealing to a public key                     stanza      the DEK for one key
key         a DEK with its header                       outer       O, rewrap, extend
chunks      STREAM, verified chunk by chunk             parts       padded blobs, exact ranges
manifest    canonical JSON                              message     sealing and opening as a whole
bundle      one message as a file                       rows        MACs over participants and keys
queue_item  portal to relay                             spool       the relay's own items at rest
ticket      drafts after a visit                        visit       a link's key for minutes
"""
