"""The other end of a browser's call, in a page of its own: it says a tone over WebRTC and tells which tones it hears."""

import asyncio
import math
import struct
import wave
from pathlib import Path
from typing import Any

from playwright.async_api import Page

WAIT_S = 15.0
HEARD_DB = 25.0
"""How far a tone stands out of what else is heard."""

FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
"""Devices that are none, sound without a click, and addresses as they are, for a peer on the same machine."""

EAR = """
window.ear = (stream) => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  analyser.smoothingTimeConstant = 0;
  context.createMediaStreamSource(stream).connect(analyser);
  return (hertz) => {
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const at = Math.round((hertz * analyser.fftSize) / context.sampleRate);
    const near = Math.max(...levels.slice(at - 2, at + 3));
    const rest = [...levels.slice(10, Math.round((3500 * analyser.fftSize) / context.sampleRate))].sort((a, b) => a - b);
    return near < -80 ? 0 : near - rest[Math.floor(rest.length / 2)];
  };
};
"""
VOICE = """
window.voice = {
  async offer(hertz) {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const tone = context.createOscillator();
    tone.frequency.value = hertz;
    tone.connect(out);
    tone.start();
    this.line = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.line.addTrack(out.stream.getAudioTracks()[0], out.stream);
    this.line.ontrack = ({ track }) => {
      const stream = new MediaStream([track]);
      this.sound = document.createElement("audio"); // or Chromium does not take the sound up
      this.sound.muted = true;
      this.sound.srcObject = stream;
      this.hears = ear(stream);
    };
    await this.line.setLocalDescription(await this.line.createOffer());
    while (this.line.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20));
    return this.line.localDescription.sdp;
  },
  accept(sdp) {
    return this.line.setRemoteDescription({ type: "answer", sdp });
  },
};
"""


class Voice:
    """A caller's voice. One call at a time: an offer ends what was before."""

    def __init__(self, page: Page, hertz: int) -> None:
        self.page = page
        self.hertz = hertz

    async def ready(self) -> "Voice":
        await self.page.goto("about:blank")
        await self.page.evaluate(EAR + VOICE)
        return self

    async def offer(self, contact: str = "") -> str:
        sdp: str = await self.page.evaluate("hertz => voice.offer(hertz)", self.hertz)
        return sdp

    async def accept(self, sdp: str) -> None:
        await self.page.evaluate("sdp => voice.accept(sdp)", sdp)

    async def hears(self, hertz: int) -> None:
        await stands_out(self.page, f"voice.hears({hertz})", f"the caller does not hear {hertz} Hz")

    async def hears_nothing_of(self, hertz: int) -> None:
        await goes_silent(self.page, f"voice.hears({hertz})", f"the caller hears {hertz} Hz")


async def listen(desk: Page) -> None:
    """Put an ear to what the desk's loudspeaker is given."""
    await desk.evaluate(EAR + "window.hears = ear(document.querySelector('[data-test=phone-audio]').srcObject)")


async def desk_hears(desk: Page, hertz: int) -> None:
    await stands_out(desk, f"hears({hertz})", f"the desk does not hear {hertz} Hz")


async def stands_out(page: Page, level: str, what: str) -> None:
    found: Any = None
    for _ in range(int(WAIT_S / 0.05)):
        found = await page.evaluate(level)
        if found > HEARD_DB:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what}: {found} dB over the rest")


async def goes_silent(page: Page, level: str, what: str, for_s: float = 1.5) -> None:
    """What is on its way still comes; then nothing does."""
    for _ in range(int(WAIT_S / 0.05)):
        if await page.evaluate(level) <= HEARD_DB:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    for _ in range(int(for_s / 0.05)):
        found = await page.evaluate(level)
        assert found <= HEARD_DB, f"{what}: {found} dB over the rest"
        await asyncio.sleep(0.05)


def speech(path: Path, hertz: int) -> Path:
    """What a fake microphone says, over and over: a tone in syllables, since browsers take a steady one for noise."""
    rate = 16_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        said = (
            int(12_000 * math.sin(2 * math.pi * hertz * n / rate)) if n % (rate // 2) < rate * 3 // 10 else 0
            for n in range(rate * 3)
        )
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in said))
    return path
