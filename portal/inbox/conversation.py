"""The conversation that `letterlock demo` sends: an afternoon of Example Council, made up from end to end."""

from portal.inbox.writing import Letter

ANNA = "anna.baker@example.org"
BEN = "ben.carter@example.org"
JANE = "jane@example.net"
CLINIC = "intake@clinic.example.com"
AUDITOR = "audit@example.edu"

_NUMBER = "999 864 1969"  # check digit right; the range is never given to a patient
_SHEET = f"name;NHS number;next visit\nJane Doe;{_NUMBER};2026-12-03\nJohn Roe;999 150 1908;2026-12-04\n".encode()

LETTERS: tuple[tuple[str, Letter], ...] = (
    (
        "An ordinary letter to a colleague and to Jane passes untouched",
        Letter(
            ANNA,
            (BEN, JANE),
            subject="Thursday at ten?",
            text="Dear both,\n\nshall we meet on Thursday at ten, in the town hall?\n\nAnna\n",
        ),
    ),
    (
        "A referral with an NHS number is sealed for Jane",
        Letter(
            ANNA,
            (JANE,),
            subject="Your referral",
            text=(
                f"Dear Jane,\n\nyour referral to the clinic has gone out. Your NHS number is {_NUMBER}.\n"
                "Please bring this letter with you.\n\nKind regards\nAnna Baker\n"
            ),
        ),
    ),
    (
        "A list goes to a colleague as it is, to the clinic and a hidden auditor sealed, each with a link of their own",
        Letter(
            ANNA,
            (CLINIC,),
            cc=(BEN,),
            bcc=(AUDITOR,),
            subject="Visits in December",
            text="Dear colleagues,\n\nthe visits of December are in the attached list.\n\nAnna\n",
            attachments=(("visits.csv", "text/csv", _SHEET),),
        ),
    ),
    (
        "Anna asks for it with [secure] in the subject",
        Letter(
            ANNA,
            (JANE,),
            subject="[secure] What we talked about",
            text="Dear Jane,\n\nas promised: nobody but you reads this.\n\nAnna\n",
        ),
    ),
    (
        "An open list of ten strangers is refused, and Anna is told at once to use Bcc",
        Letter(
            ANNA,
            tuple(f"resident{number}@example.net" for number in range(1, 11)),
            subject="Road works",
            text="Dear residents,\n\nthe road is closed on Monday.\n\nAnna\n",
        ),
    ),
)
