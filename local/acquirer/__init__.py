"""The stand-in acquirer: an SFTP server with inbox, outbox and archive, and the desk behind it that checks and answers.

It is the other side: it imports none of our rooms and shares no code with them. Two processes, joined by the directory alone:

    client ==SFTP==> server (asyncssh)        inbox -> | desk: check, archive, decide, answer | -> outbox
                                               DIR/clock -> |                                | -> acquirer/clock, truth/acquirer.jsonl
"""
