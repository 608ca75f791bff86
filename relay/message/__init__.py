"""Messages as bytes: reading them, writing header fields above them, and never changing anything else.

addresses      one mailbox, strictly (RFC 5321)         address_list  To and Cc, for what is visible only
block          header fields as they lie in the bytes   values        header values that we write (R20)
headers        prepend, remove                          trace         Received, Authentication-Results
reading        bytes -> Reading; never raises           parts         what a Reading holds
structure      MIME parts as a recipient's program      words, parameters, charsets, transfer
               would find them                                        RFC 2047, RFC 2231, decoding
tnef, cms, pgp, inline_files   what mail programs unpack on their own
html_text      what HTML shows, and what can be copied out of it
extraction     text of attachments, in a confined process
content        a Reading and its attachments' text -> what the policies judge
identity       what makes two submissions the same message
loop_evidence  what tells our own mail when it comes back
"""
