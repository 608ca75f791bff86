"""Text of attachments, read in a process that can do nothing else (R9, R48).

A document is hostile bytes for millions of lines of parsers. So they run in a helper process: no network, no files to
write, no keys, bounded memory, CPU and time; killed and replaced when it does not answer. Whatever happens to it is a
fact about the attachment ("could not be read"), never an exception and never "clean".

    extractor    the pool that the relay uses          helper     one helper process, seen from the relay
    frames       what goes through the pipes           __main__   the helper itself
    confinement  what the helper gives up              documents  which reader for which bytes
    sniffing, budget, findings                         and one module for each family of formats

Decided: pictures, sound and video are no carriers of text in this version; they count as inspected and without text,
so that a logo does not seal every mail. A scanned page in a PDF is told apart: it counts as "could not be read".
"""

from relay.message.extraction.extractor import Extracted, Extractor

__all__ = ["Extracted", "Extractor"]
