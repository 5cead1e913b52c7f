"""A small IMAP server (RFC 3501) with one mailbox, which takes a login by XOAUTH2 only, and checks it to the letter.

It is written from the RFC and from Google's and Microsoft's description of XOAUTH2, and knows nothing of how we read it.
"""

import asyncio
import base64
import binascii
import re
from types import TracebackType

REFUSAL = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}')


class ImapServer:
    """`tokens` are those in force by user; `heard` is what each login said, decoded; `seen` are UIDs that were marked."""

    def __init__(self, mails: list[bytes], tokens: dict[str, str]) -> None:
        self.mails = mails
        self.tokens = tokens
        self.heard: list[bytes] = []
        self.after_refusal: list[bytes] = []
        self.seen: list[int] = []
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "ImapServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._open), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        writer.write(b"* OK ready\r\n")
        is_known = False
        while line := (await reader.readline()).rstrip(b"\r\n"):
            tag, _, rest = line.partition(b" ")
            command = rest.upper()
            if command == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n")
            elif command.startswith(b"AUTHENTICATE"):
                is_known = await self._authenticated(command, reader, writer)
                if not is_known:
                    writer.write(tag + b" NO [AUTHENTICATIONFAILED] Invalid credentials\r\n")
                    continue
            elif command == b"LOGOUT":
                writer.write(b"* BYE\r\n" + tag + b" OK\r\n")
                break
            elif not is_known:
                writer.write(tag + b" NO log in first\r\n")
                continue
            else:
                self._mailbox(command, writer)
            writer.write(tag + b" OK done\r\n")
        writer.close()

    async def _authenticated(self, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if command != b"AUTHENTICATE XOAUTH2":
            return False
        writer.write(b"+ \r\n")
        try:
            said = base64.b64decode((await reader.readline()).strip(), validate=True)
        except binascii.Error:
            return False
        self.heard.append(said)
        found = re.fullmatch(rb"user=([^\x01]+)\x01auth=Bearer ([^\x01]+)\x01\x01", said)
        if found and self.tokens.get(found[1].decode()) == found[2].decode():
            return True
        writer.write(b"+ " + REFUSAL + b"\r\n")
        self.after_refusal.append((await reader.readline()).strip())
        return False

    def _mailbox(self, command: bytes, writer: asyncio.StreamWriter) -> None:
        count = len(self.mails)
        if command.startswith(b"STATUS"):
            writer.write(f'* STATUS "INBOX" (MESSAGES {count} UIDNEXT 1 UIDVALIDITY 7 UNSEEN {count})\r\n'.encode())
        elif command.startswith(b"SELECT"):
            writer.write(f"* {count} EXISTS\r\n* OK [UIDVALIDITY 7]\r\n".encode())
        elif command.startswith(b"UID SEARCH"):
            writer.write(f"* SEARCH {' '.join(map(str, range(1, count + 1)))}\r\n".encode())
        elif command.startswith(b"UID FETCH"):
            uid = int(command.split()[2])
            raw = self.mails[uid - 1]
            writer.write(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        elif command.startswith(b"UID STORE"):
            self.seen.append(int(command.split()[2]))
