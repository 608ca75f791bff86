"""Keys and sealed messages: who may seal, what may be opened, and when it is gone.

Keys        keyfiles, keyring      one key, one file; the keys that one role holds
            keks, rotation         server keys by month; new and active keys
            recovery, tombstones   the offline key; what must stay destroyed
Seal        vault                  the first message of a conversation: parts (listing, packing), people, first keys
            correspondence         one more message into it
            blobs                  large sealed bytes
People      participants, people   rows written under a MAC, and read again
            authors, reader_names  who is told about a message; who was in front of a shared mailbox
            links, paths           a link's rows; /p/<id>/<secret>
Grow        capability, holdings   what somebody's secret opens; who is entitled to what
            handout, issuing       fresh links and secrets: both of these, or nothing
            growth                 what is written, if nothing has changed meanwhile
            control, status        recall, restore, remove, extend; how it stands
            threads                which conversation an answer belongs to
Open        opener, stored         by a link (portal); by whoever holds a message's key
            visits, requests       a reader's minutes, tickets; portal to relay
Write       pen, pieces, drafts    what one may write with; texts and files, sealed; unfinished answers (portal)
            unfinished             handed over (relay)
End         retention, sweeping    expiry; what nobody needs any more (steady: is the clock to be believed?)
Format      sealing                the format, pure

Only this package imports ``relay.vault.sealing``.
"""
