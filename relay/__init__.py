"""The relay owns the promise made with 250: what it accepted is delivered, sealed for pickup, or reported.

smtp/       front door: who may send, the conversation, replies
message/    reading without touching: addresses, header fields as bytes, parts, confined extraction
intake      one message from DATA to durable: judging, routing, planning, one commit, reply
vault/      sealing, keys, blobs, opening, retention
queue/      entries with leases, next hops, delivery, reports
conversation/  answers, commands and reports that come by mail, held copies, what nobody has read
notices/    mail that we write ourselves
store/      tables, group commit, audit, history
dkim/       signatures on what leaves        dns/  where mail goes, and what has to be published for it
config/     relay.toml -> frozen models, every error at its line
gateway     opens all services from the configuration; daemon and worker run them; cli/ speaks to people
"""
