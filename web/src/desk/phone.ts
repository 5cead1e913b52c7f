// The phone in this page: registers an endpoint of the exchange over WebSocket and holds one call at a time. It is the
// only module that knows JsSIP, and is loaded only for agents who have a softphone. It knows nothing of offers.

import { UA, WebSocketInterface, C } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { IncomingRTCSessionEvent, RTCSessionEvent } from "jssip/lib/UA";
import { Backoff } from "../shared/backoff";
import { local } from "../shared/keep";

export interface Registration {
  url: string;
  domain: string;
  user: string;
  password: string;
}

/** `taken`: the exchange has a registration of this endpoint already, and lets nobody else in. */
export type Line = "connecting" | "registered" | "taken" | "refused" | "unreachable";
/** `insecure`: browsers give microphones only to pages that came over https. */
export type Mic = "ok" | "denied" | "none" | "busy" | "insecure";

export interface Call {
  /** Which contact it is for, as the exchange was told; null: somebody has dialled this phone. */
  contact: string | null;
  from: string;
  state: "ringing" | "answering" | "up";
  since: number;
  muted: boolean;
  /** It was to be answered and could not be: only a person tries again. */
  failed: boolean;
}

export interface Heard {
  line(state: Line): void;
  call(now: Call | null): void;
  mic(state: Mic): void;
  /** A talk whose sound has broken off. */
  broken(): void;
  /** The browser wants a click before it plays what the other side says. */
  silent(is: boolean): void;
}

const EXPIRES_S = 120;
const NEVER_S = 600;
const INPUT = "naru.phone.input";
const OUTPUT = "naru.phone.output";

const micOf = (error: unknown): Mic => {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  return name === "NotFoundError" || name === "OverconstrainedError" ? "none" : "busy";
};

/** A microphone: the chosen one, or, when that has been unplugged, any. Throws what the browser says. */
async function microphone(): Promise<MediaStream> {
  const wanted = local.get(INPUT);
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wanted ? { deviceId: { exact: wanted } } : true });
  } catch (error) {
    if (!wanted || micOf(error) !== "none") throw error;
    return navigator.mediaDevices.getUserMedia({ audio: true });
  }
}

const DEAF: Heard = { line() {}, call() {}, mic() {}, broken() {}, silent() {} };
/** Ends of a call that nobody has wished for. */
const BROKEN: string[] = [C.causes.RTP_TIMEOUT, C.causes.WEBRTC_ERROR, C.causes.BAD_MEDIA_DESCRIPTION, C.causes.NO_ACK];

const silence = (stream: MediaStream | null): void => stream?.getTracks().forEach((track) => track.stop());

/** Tells when the agent changes what this page may do; not every browser knows that for microphones. */
const permission = (): Promise<PermissionStatus | null> =>
  navigator.permissions?.query({ name: "microphone" as PermissionName }).catch(() => null) ?? Promise.resolve(null);

export class Phone {
  private readonly ua: UA;
  private readonly audio = document.createElement("audio");
  private readonly backoff = new Backoff(2_000, 15_000);
  private session: RTCSession | null = null;
  private stream: MediaStream | null = null;
  private now: Call | null = null;
  private again = 0;
  private readonly onChange = (): void => void this.check();

  constructor(
    registration: Registration,
    private heard: Heard,
  ) {
    this.audio.autoplay = true;
    this.audio.dataset.test = "phone-audio";
    document.body.append(this.audio);
    this.ua = new UA({
      sockets: [new WebSocketInterface(registration.url)],
      uri: `sip:${registration.user}@${registration.domain}`,
      password: registration.password,
      register_expires: EXPIRES_S,
      no_answer_timeout: NEVER_S, // how long it rings is the exchange's to say
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 15,
      user_agent: "Naru",
    });
    this.ua.on("registered", () => this.registered());
    this.ua.on("registrationFailed", ({ response }) => this.refused(response?.status_code ?? 0));
    this.ua.on("unregistered", () => heard.line("connecting"));
    this.ua.on("disconnected", () => heard.line("unreachable"));
    this.ua.on("newRTCSession", (event: RTCSessionEvent) => this.rings(event as IncomingRTCSessionEvent));
    heard.line("connecting");
    this.ua.start();
    navigator.mediaDevices?.addEventListener("devicechange", this.onChange);
    void permission().then((now) => now?.addEventListener("change", this.onChange));
    void this.check();
  }

  /** The registration ends, and with it the call. */
  stop(): void {
    clearTimeout(this.again);
    navigator.mediaDevices?.removeEventListener("devicechange", this.onChange);
    this.heard.call(null);
    this.heard = DEAF; // what it says in ending would be taken for its state, or its successor's
    this.ua.stop();
    this.over();
    this.audio.remove();
  }

  /** Whether there is a microphone that we may use: asked before anybody calls, when there is time to mend it. */
  async check(): Promise<void> {
    if (this.stream || this.heard === DEAF) return;
    if (!navigator.mediaDevices) return this.heard.mic("insecure");
    try {
      silence(await microphone());
      this.heard.mic("ok");
      if (this.now?.failed) this.set({ failed: false });
    } catch (error) {
      this.heard.mic(micOf(error));
    }
  }

  // -- registration

  private registered(): void {
    this.backoff.reset();
    this.heard.line("registered");
  }

  /** 403 is how Asterisk says that there are registrations enough; 401, 404 and 407 are a wrong password or name. */
  private refused(status: number): void {
    this.heard.line(status === 403 ? "taken" : [401, 404, 407].includes(status) ? "refused" : "unreachable");
    clearTimeout(this.again);
    if (this.ua.isConnected()) this.again = window.setTimeout(() => this.ua.register(), this.backoff.next());
  }

  // -- the call

  private rings({ session, request }: IncomingRTCSessionEvent): void {
    if (this.session) {
      session.terminate({ status_code: 486 });
      return;
    }
    this.session = session;
    session.on("peerconnection", ({ peerconnection }) => this.listens(peerconnection));
    session.on("confirmed", () => this.set({ state: "up", since: Date.now() }));
    session.on("ended", ({ cause }) => this.over(cause));
    session.on("failed", ({ cause }) => this.over(cause));
    const from = request.from.display_name || request.from.uri.user;
    const contact = request.getHeader("X-Naru-Contact") ?? null;
    this.now = { contact, from, state: "ringing", since: Date.now(), muted: false, failed: false };
    this.heard.call(this.now);
  }

  async answer(): Promise<void> {
    const session = this.session;
    if (!session || this.now?.state !== "ringing") return;
    this.set({ state: "answering", failed: false });
    try {
      this.stream = await microphone();
      this.heard.mic("ok");
    } catch (error) {
      this.heard.mic(navigator.mediaDevices ? micOf(error) : "insecure");
      if (session === this.session) this.set({ state: "ringing", failed: true });
      return;
    }
    if (session === this.session) session.answer({ mediaStream: this.stream });
    else this.hush(); // it has stopped ringing meanwhile
  }

  hangUp(): void {
    if (this.session && !this.session.isEnded()) this.session.terminate();
  }

  mute(is: boolean): void {
    if (is) this.session?.mute({ audio: true });
    else this.session?.unmute({ audio: true });
    this.set({ muted: is });
  }

  tone(key: string): void {
    this.session?.sendDTMF(key, { transportType: C.DTMF_TRANSPORT.RFC2833 });
  }

  private listens(connection: RTCPeerConnection): void {
    connection.addEventListener("track", (event) => {
      this.audio.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      void this.play();
    });
    const output = local.get(OUTPUT);
    if (output && "setSinkId" in this.audio) void this.audio.setSinkId(output).catch(() => local.set(OUTPUT, null));
  }

  async play(): Promise<void> {
    try {
      await this.audio.play();
      this.heard.silent(false);
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.heard.silent(true);
    }
  }

  private set(change: Partial<Call>): void {
    if (!this.now) return;
    this.now = { ...this.now, ...change };
    this.heard.call(this.now);
  }

  private hush(): void {
    silence(this.stream);
    this.stream = null;
  }

  private over(cause = ""): void {
    this.hush();
    this.session = this.now = null;
    this.audio.srcObject = null;
    this.heard.silent(false);
    this.heard.call(null);
    if (BROKEN.includes(cause)) this.heard.broken();
  }

  // -- devices

  get input(): string {
    return local.get(INPUT) ?? "";
  }

  get output(): string {
    return local.get(OUTPUT) ?? "";
  }

  /** The browser's names are known once it has given a microphone; the empty id is the system's own choice. */
  async devices(): Promise<{ input: MediaDeviceInfo[]; output: MediaDeviceInfo[] }> {
    const all = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices() : [];
    const of = (kind: MediaDeviceKind): MediaDeviceInfo[] =>
      all.filter((each) => each.kind === kind && each.deviceId && each.deviceId !== "default");
    return { input: of("audioinput"), output: "setSinkId" in this.audio ? of("audiooutput") : [] };
  }

  /** Also in the middle of a call. */
  async speakInto(device: string): Promise<void> {
    local.set(INPUT, device || null);
    const sender = this.session?.connection?.getSenders().find(({ track }) => track?.kind === "audio");
    if (!sender) return this.check();
    try {
      const next = await microphone();
      const track = next.getAudioTracks()[0] ?? null;
      if (track) track.enabled = !this.now?.muted;
      await sender.replaceTrack(track);
      silence(this.stream);
      this.stream = next;
    } catch (error) {
      this.heard.mic(micOf(error));
    }
  }

  async listenBy(device: string): Promise<void> {
    local.set(OUTPUT, device || null);
    await this.audio.setSinkId(device).catch(() => local.set(OUTPUT, null));
  }
}
