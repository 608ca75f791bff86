"""What `letterlock run` says when it is up: where things are, and what a newcomer does next."""

from relay.config.model import Configuration

_NUMBER = "999 864 1969"  # made up, from the range that is never given to a patient


def welcome(configuration: Configuration) -> str:
    """Return the lines to print after the start; in the demo with two ready commands to try."""
    lines = [f"Letterlock is running for {configuration.organisation.name}."]
    lines += [f"  relay   {listener.address}  (SMTP)" for listener in configuration.listen.values()]
    lines += [f"  portal  {configuration.portal.base_url}"]
    if configuration.demo:
        inbox = f"http://{configuration.demo.web}"
        lines += [f"  inbox   {inbox}  (what staff and recipients get)", "", *_try(configuration, inbox)]
    return "\n".join([*lines, "", "Ctrl-C stops it."])


def _try(configuration: Configuration, inbox: str) -> list[str]:
    listener = next(iter(configuration.listen.values())).address
    swaks = (
        f"swaks --server {listener} --from anna.baker@example.org --to jane@example.net"
        f" --header 'Subject: Your referral' --body 'NHS number {_NUMBER}. Please call us.'"
    )
    python = (
        'python3 -c "import smtplib, email.message as m; e = m.EmailMessage();'
        " e['From'], e['To'], e['Subject'] = 'anna.baker@example.org', 'jane@example.net', 'Your referral';"
        f" e.set_content('NHS number {_NUMBER}. Please call us.');"
        f" smtplib.SMTP('{listener.host}', {listener.port}).send_message(e)\""
    )
    return [
        "Send a message that the rules flag, with one of these:",
        f"  {swaks}",
        f"  {python}",
        "or a whole conversation:  letterlock demo",
        f"Then open {inbox} and read the notice in the mailbox of jane@example.net.",
    ]
