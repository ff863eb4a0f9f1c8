# Sends three mails with the standard library. Usage: smtplib_send.py HOST PORT
import smtplib
import sys
from email import policy
from email.message import EmailMessage

with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=30) as client:
    # No header at all.
    client.sendmail("a@clinic.example", ["b@example.org"], "\r\nHello\r\n")
    for text, charset in (("नमस्ते\n", "utf-8"), ("Grüße\n", "iso-8859-1")):
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["To"] = "a@clinic.example", "b@example.org"
        mail.set_content(text, charset=charset, cte="8bit")
        client.send_message(mail, mail_options=["BODY=8BITMIME"])
