"""A real Asterisk of our own in a folder: its configuration, its start and its end. `prefix` is where one is installed."""

import asyncio
import math
import signal
import socket
import struct
import subprocess
import wave
from pathlib import Path

from support.tls import certificate

SHIPPED = Path(__file__).parents[2] / "deploy" / "asterisk"
AGENTS = 12
MUSIC_HZ, WORDS_HZ, MENU_HZ, PLACE_HZ, NUMBER_HZ = 600, 520, 1500, 1800, 2100
CALLER = "01011112222"
SOUNDS = {
    "custom/menu": (MENU_HZ, 4),
    "custom/place": (PLACE_HZ, 6),
    "digits/1": (NUMBER_HZ, 1),
    "beep": (WORDS_HZ, 1),
    "sorry": (WORDS_HZ, 1),
    "vm-intro": (WORDS_HZ, 1),
    "vm-goodbye": (WORDS_HZ, 1),
}
"""Sounds of the exchange: what they are heard as, and for how many seconds."""
HOST = "localhost"
PASSWORD = "ari-password"

CONF = """
[directories]
astetcdir => {etc}
astmoddir => {prefix}/lib/asterisk/modules
astvarlibdir => {var}
astdbdir => {var}
astkeydir => {var}
astdatadir => {var}
astagidir => {var}
astspooldir => {var}/spool
astrundir => {var}/run
astlogdir => {var}/log
[options]
nocolor = yes
"""
EXTENSIONS = """
[from-trunk]
exten => 2000,1,Answer()
 same => n,Queue(plain)
 same => n,Hangup()
exten => 3000,1,Stasis(fifo,inbound,3000)
 same => n,Hangup()
exten => _1577X.,1,Stasis(menu,inbound,${EXTEN})
 same => n,Hangup()
exten => _1588X.,1,Stasis(naru,inbound,${EXTEN})
 same => n,GotoIf($["${STASISSTATUS}" = "FAILED"]?fallback)
 same => n,Hangup()
 same => n(fallback),Dial(PJSIP/fallback,30)
 same => n,Hangup()
[naru-amd]
exten => s,1,AMD()
 same => n,Stasis(menu,leg,${ROOM_CONTACT},${ROOM_SIDE},${AMDSTATUS})
 same => n,Hangup()
"""
ENDPOINT = """
[{name}]
type = endpoint
context = from-trunk
disallow = all
allow = ulaw
aors = {name}
direct_media = no
dtmf_mode = auto_info
[{name}]
type = aor
contact = sip:{name}@127.0.0.1:{port}
qualify_frequency = 0
max_contacts = 1
"""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Pbx:
    def __init__(self, prefix: Path, folder: Path, phones_port: int) -> None:
        self.prefix = prefix
        self.has_srtp = (prefix / "lib" / "asterisk" / "modules" / "res_srtp.so").exists()
        self.folder = folder
        self.sip_port = free_port(socket.SOCK_DGRAM)
        self.http_port = free_port()
        self.tls_port = free_port()
        self._phones_port = phones_port
        self._process: subprocess.Popen[bytes] | None = None
        self._furnish()

    def _furnish(self) -> None:
        etc, var = self.folder / "etc", self.folder / "var"
        for folder in (etc, self.recordings, var / "run", var / "log", var / "moh", var / "sounds"):
            folder.mkdir(parents=True, exist_ok=True)
        _tone(var / "moh" / "music.wav", MUSIC_HZ, 30)
        for name, (hertz, seconds) in SOUNDS.items():
            path = var / "sounds" / "en" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            _tone(path, hertz, seconds)
        certificate(etc, HOST)
        names = ["caller", "fallback", *(f"agent{n}" for n in range(1, AGENTS + 1))]
        members = "\n".join(f"member => PJSIP/agent{n},0" for n in range(1, 11))
        files = {
            "asterisk.conf": CONF.format(etc=etc, var=var, prefix=self.prefix),
            "modules.conf": "[modules]\nautoload = yes\nnoload = res_phoneprov.so\nnoload = chan_iax2.so\n",
            "extensions.conf": EXTENSIONS,
            "http.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {self.http_port}\n"
            f"tlsenable = yes\ntlsbindaddr = 127.0.0.1:{self.tls_port}\n"
            f"tlscertfile = {etc / HOST}.pem\ntlsprivatekey = {etc / HOST}.key\n",
            "ari.conf": f"[general]\nenabled = yes\n[naru]\ntype = user\nread_only = no\npassword = {PASSWORD}\n",
            "musiconhold.conf": f"[default]\nmode = files\ndirectory = {var / 'moh'}\n",
            "rtp.conf": "[general]\nrtpstart = 20000\nrtpend = 29000\n",
            "amd.conf": "[general]\ninitial_silence = 2500\ngreeting = 1500\nafter_greeting_silence = 800\n"
            "total_analysis_time = 5000\nmin_word_length = 100\nbetween_words_silence = 50\nmaximum_number_of_words = 3\n"
            "silence_threshold = 256\n",
            "logger.conf": "[logfiles]\nfull = notice,warning,error\n",
            "queues.conf": "[general]\n[plain]\nstrategy = leastrecent\ntimeout = 15\nretry = 0\nwrapuptime = 0\n"
            f"autofill = yes\nringinuse = no\n{members}\n",
            "pjsip.conf": "[udp]\ntype = transport\nprotocol = udp\n"
            f"bind = 127.0.0.1:{self.sip_port}\n"
            + "".join(ENDPOINT.format(name=name, port=self._phones_port) for name in names)
            + f"[caller](+)\ncallerid = <{CALLER}>\n"
            + (SHIPPED / "pjsip.conf").read_text().replace("CHANGE-ME", PASSWORD),
        }
        for name, text in files.items():
            (etc / name).write_text(text)

    @property
    def phones_url(self) -> str:
        return f"wss://{HOST}:{self.tls_port}/ws"

    @property
    def recordings(self) -> Path:
        return self.folder / "var" / "spool" / "recording"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/ari"

    def start(self) -> None:
        command = [str(self.prefix / "sbin" / "asterisk"), "-f", "-C", str(self.folder / "etc" / "asterisk.conf")]
        log = (self.folder / "out.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    async def ready(self) -> None:
        """Until its REST interface answers."""
        for _ in range(300):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
                writer.close()
                await asyncio.sleep(1.0)  # the port is open a moment before its modules are loaded
                return
            except OSError:
                await asyncio.sleep(0.1)
        raise AssertionError(f"no exchange: {(self.folder / 'out.log').read_text()[-2000:]}")

    def command(self, words: str) -> str:
        program = [
            str(self.prefix / "sbin" / "asterisk"),
            "-C",
            str(self.folder / "etc" / "asterisk.conf"),
            "-rx",
            words,
        ]
        return subprocess.run(program, capture_output=True, text=True, timeout=20, check=False).stdout

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)


def _tone(path: Path, hertz: int, seconds: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = (int(8000 * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(8000 * seconds))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
