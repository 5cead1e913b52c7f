// One WebSocket that keeps coming back: ticket, hello with the last cursor, pong, back-off with jitter.

import { signal } from "@preact/signals";
import { Problem, post } from "./api";
import { Backoff } from "./backoff";

export type Frame = { type: string; cursor?: string; server_now?: number } & Record<string, unknown>;
export type LiveState = "online" | "connecting" | "offline";

const SILENT_MS = 40_000;

export interface LiveHandlers {
  frame(frame: Frame): void;
  /** The socket is open and hello is sent: say again what was not answered. */
  ready?(): void;
  /** The session is over (401), or may not have this socket (403). */
  refused(status: number): void;
}

export class Live {
  readonly state = signal<LiveState>("connecting");
  /** server time minus ours, in seconds. */
  readonly offset = signal(0);
  cursor: string | null = null;

  private socket: WebSocket | null = null;
  private run = 0;
  private stopped = true;
  private timer = 0;
  private watchdog = 0;
  private heardAt = 0;
  private measured = false;
  private readonly backoff = new Backoff();

  constructor(
    private readonly path: string,
    private readonly handlers: LiveHandlers,
  ) {
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.hurry();
    });
  }

  start(): void {
    this.stopped = false;
    this.backoff.reset();
    clearInterval(this.watchdog);
    this.watchdog = window.setInterval(() => this.watch(), 2_000);
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.run++;
    clearTimeout(this.timer);
    clearInterval(this.watchdog);
    this.socket?.close(1000);
    this.socket = null;
    this.state.value = "offline";
  }

  send(frame: unknown): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  /** The server's clock, now. */
  now(): number {
    return Date.now() / 1000 + this.offset.value;
  }

  private hurry(): void {
    if (this.stopped || this.state.value !== "offline") return;
    clearTimeout(this.timer);
    void this.connect();
  }

  private watch(): void {
    if (this.state.value === "online" && Date.now() - this.heardAt > SILENT_MS) this.socket?.close(4000, "silent");
  }

  private later(ms: number): void {
    if (this.stopped) return;
    this.state.value = "offline";
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.connect(), ms);
  }

  private async connect(): Promise<void> {
    const run = ++this.run;
    this.state.value = "connecting";
    let ticket: string;
    try {
      ticket = (await post<{ ticket: string }>("/v1/tickets")).ticket;
    } catch (error) {
      if (run !== this.run || this.stopped) return;
      const status = error instanceof Problem ? error.status : 0;
      if (status === 401 || status === 403) {
        this.stop();
        this.handlers.refused(status);
      } else this.later(this.backoff.next());
      return;
    }
    if (run === this.run && !this.stopped) this.open(run, ticket);
  }

  private open(run: number, ticket: string): void {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.path}`;
    let socket: WebSocket;
    let inHello = false;
    try {
      socket = new WebSocket(url, ["naru.v1", `ticket.${ticket}`]);
    } catch {
      // a ticket with letters that a subprotocol may not have
      socket = new WebSocket(url, ["naru.v1"]);
      inHello = true;
    }
    this.socket = socket;
    const hurryUp = window.setTimeout(() => socket.close(), 10_000);
    socket.onopen = () => {
      clearTimeout(hurryUp);
      if (run !== this.run) return socket.close();
      this.heardAt = Date.now();
      this.send({ type: "hello", ...(inHello ? { ticket } : {}), cursor: this.cursor });
      this.state.value = "online";
      this.handlers.ready?.();
    };
    socket.onmessage = (event) => {
      if (run !== this.run) return;
      this.heardAt = Date.now();
      this.backoff.reset();
      this.take(JSON.parse(String(event.data)) as Frame);
    };
    socket.onclose = (event) => {
      clearTimeout(hurryUp);
      if (run !== this.run) return;
      this.socket = null;
      this.later(this.waitAfter(event));
    };
  }

  private take(frame: Frame): void {
    if (typeof frame.server_now === "number") this.measure(frame.server_now, frame.type);
    if (frame.type === "ping") {
      this.send({ type: "pong" });
      return;
    }
    this.handlers.frame(frame);
    if (typeof frame.cursor === "string") this.cursor = frame.cursor;
  }

  /** The greatest difference has the least delay in it, and a replayed frame (of old) never counts. */
  private measure(serverNow: number, type: string): void {
    const difference = serverNow - Date.now() / 1000;
    const fresh = type === "ping" || type === "live" || type === "view";
    const jumped = fresh && difference < this.offset.value - 2;
    if (!this.measured || jumped || difference > this.offset.value) this.offset.value = difference;
    this.measured = true;
  }

  private waitAfter(event: CloseEvent): number {
    if (event.code === 1012) {
      try {
        const asked = Number((JSON.parse(event.reason) as { retry_after_s?: number }).retry_after_s);
        if (asked >= 0) return asked * 1000 + Math.random() * 500;
      } catch {
        // no reason given
      }
    }
    return this.backoff.next();
  }
}
