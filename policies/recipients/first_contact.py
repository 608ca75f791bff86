"""First contact: nobody has written, either way.

A pure function over the counts of history. Mail *received* from an address makes it familiar as well as mail sent
to it. There is no grace period: where history is empty (a new installation) or could not be read, every recipient
is a stranger, so run such a rule in shadow mode until old mail has been learnt. This alone catches every address
that was never seen and no slip inside the address book (Carvalho and Cohen 2007; Zilberman et al. 2013).
"""

from policies.model import Acquaintance, Message, Recipient

_STRANGER = Acquaintance()


def first_contact(message: Message, recipient: Recipient) -> bool:
    """Tell whether the sender and the recipient have exchanged no message before."""
    known = _acquaintance(message, recipient)
    return known.sent <= 0 and known.received <= 0


def first_contact_of_organisation(message: Message, recipient: Recipient) -> bool:
    """Tell whether nobody in the organisation, the sender included, has exchanged a message with the recipient."""
    return first_contact(message, recipient) and _acquaintance(message, recipient).organisation <= 0


def _acquaintance(message: Message, recipient: Recipient) -> Acquaintance:
    if not message.history_known:
        return _STRANGER
    return message.acquaintances.get(recipient.address, _STRANGER)
