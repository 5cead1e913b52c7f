// The customer's chat. One classic script, one tag:
//   <script async src="https://naru.example/widget.js" data-channel="<hook key>" data-locale="ko"></script>
// It needs nothing of the page, leaves nothing but one element in it, and connects only when opened or known before.

import { Backoff } from "../shared/backoff";
import { sendOnEnter } from "../shared/ime";
import { local, uuid } from "../shared/keep";
import css from "./style.css?inline";
import { en, ko, type Words } from "./words";

interface FileView {
  id: string;
  name: string;
  media_type?: string;
  size_bytes?: number;
  url?: string;
}

interface ChatMessage {
  number: number;
  id: string;
  author: "customer" | "agent" | "system";
  name?: string;
  at: number;
  text?: string;
  files?: FileView[];
  client_id?: string;
}

interface State {
  status: "none" | "waiting" | "talking" | "ended";
  position?: number | null;
  agent?: string | null;
}

/** Said, and not yet acked (or refused). Kept in localStorage until it is. */
interface Said {
  client_id: string;
  text?: string;
  files?: FileView[];
  at: number;
  failed?: boolean;
}

interface Welcome {
  visitor: string;
  brand?: string;
  messages?: ChatMessage[];
  state?: State;
  limits?: { file_bytes?: number; text_chars?: number };
}

const SILENT_MS = 40_000;
const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/;
const ICONS = {
  chat: "M4 5h16v11H11l-4.5 4v-4H4z",
  close: "M6 6l12 12M18 6L6 18",
  clip: "M8 12.5l6.5-6.5a3 3 0 0 1 4.3 4.3l-8.5 8.5a5 5 0 0 1-7-7L11 4",
  send: "M4 12l16-8-5 17-3.5-7.5z",
};

type Child = Node | string | null | undefined | false;

function h<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  attributes: Record<string, string | boolean | undefined | ((event: Event) => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

function icon(name: keyof typeof ICONS): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

class Widget {
  private readonly words: Words;
  private readonly key: string;
  private visitor: string | null;
  private outbox: Said[];
  private acked: Said[] = [];
  private readonly messages = new Map<number, ChatMessage>();
  private state: State = { status: "none" };
  private limits = { file_bytes: 10_000_000, text_chars: 4_000 };
  private unread = 0;
  private greeted = false;

  private socket: WebSocket | null = null;
  private welcome = false;
  private heardAt = 0;
  private timer = 0;
  private readonly backoff = new Backoff(1_000, 30_000);
  private refusals = 0;
  private typedAt = 0;
  private typingTimer = 0;

  private readonly host = h("div", { id: "naru-chat", "data-test": "naru-chat" });
  private readonly log: HTMLElement;
  private readonly badge: HTMLElement;
  private readonly launcher: HTMLButtonElement;
  private readonly panel: HTMLElement;
  private readonly title: HTMLElement;
  private readonly stateLine: HTMLElement;
  private readonly note: HTMLElement;
  private readonly typing: HTMLElement;
  private readonly endButton: HTMLButtonElement;
  private readonly input: HTMLTextAreaElement;
  private readonly chooser: HTMLInputElement;
  private readonly attach: HTMLButtonElement;

  constructor(
    private readonly base: string,
    private readonly channel: string,
    private readonly locale: "ko" | "en",
    private readonly name: string | undefined,
  ) {
    const words = (this.words = locale === "ko" ? ko : en);
    this.key = `naru.chat.${channel}`;
    this.visitor = local.get(`${this.key}.visitor`);
    this.outbox = local.json<Said[]>(`${this.key}.outbox`, []);

    this.badge = h("span", { class: "unread", hidden: true });
    this.launcher = h(
      "button",
      {
        class: "launcher",
        type: "button",
        "aria-label": words.open,
        "aria-expanded": "false",
        "aria-controls": "panel",
        "data-test": "naru-launcher",
        click: () => this.toggle(),
      },
      icon("chat"),
      this.badge,
    );
    this.title = h("b", { id: "title" }, words.title);
    this.endButton = h("button", { class: "end", type: "button", hidden: true, "data-test": "naru-end", click: () => this.bye() }, words.end);
    this.stateLine = h("div", { class: "state", role: "status", hidden: true, "data-test": "naru-state" });
    this.note = h("div", { class: "note", role: "status", hidden: true, "data-test": "naru-note" });
    this.log = h("div", {
      class: "log",
      role: "log",
      "aria-live": "polite",
      "aria-labelledby": "title",
      tabindex: "0",
      "data-test": "naru-log",
    });
    this.typing = h("div", { class: "typing", "aria-hidden": "true" });
    this.input = h("textarea", {
      rows: "1",
      "aria-label": words.placeholder,
      placeholder: words.placeholder,
      enterkeyhint: "send",
      "data-test": "naru-input",
      input: () => this.typed(),
      paste: (event) => {
        const files = [...((event as ClipboardEvent).clipboardData?.files ?? [])];
        if (files.length) {
          event.preventDefault();
          void this.upload(files);
        }
      },
    });
    this.chooser = h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      "data-test": "naru-file",
      change: () => {
        void this.upload([...(this.chooser.files ?? [])]);
        this.chooser.value = "";
      },
    });
    this.attach = h(
      "button",
      { type: "button", "aria-label": words.attach, "data-test": "naru-attach", click: () => this.chooser.click() },
      icon("clip"),
    );
    const form = h(
      "form",
      {
        submit: (event) => {
          event.preventDefault();
          this.send();
        },
      },
      this.attach,
      this.chooser,
      this.input,
      h("button", { class: "send", "aria-label": words.send, "data-test": "naru-send" }, icon("send")),
    );
    this.panel = h(
      "section",
      {
        id: "panel",
        class: "panel",
        role: "dialog",
        "aria-labelledby": "title",
        hidden: true,
        "data-test": "naru-panel",
        keydown: (event) => {
          const it = event as KeyboardEvent;
          if (it.key === "Escape" && !it.isComposing) this.close();
        },
      },
      h(
        "div",
        { class: "head" },
        this.title,
        this.endButton,
        h("button", { type: "button", "aria-label": words.close, "data-test": "naru-close", click: () => this.close() }, icon("close")),
      ),
      this.stateLine,
      this.note,
      this.log,
      this.typing,
      form,
    );

    const root = this.host.attachShadow({ mode: "open" });
    this.host.lang = locale;
    try {
      const sheet = new CSSStyleSheet(); // also where the page's CSP forbids inline styles
      sheet.replaceSync(css);
      root.adoptedStyleSheets = [sheet];
    } catch {
      root.append(h("style", {}, css));
    }
    root.append(this.panel, this.launcher);
    document.body.append(this.host);
    sendOnEnter(this.input, () => this.send());

    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.paintState());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    addEventListener("storage", (event) => {
      if (event.key === `${this.key}.outbox`) this.outbox = local.json<Said[]>(`${this.key}.outbox`, []);
      if (event.key === `${this.key}.visitor`) this.visitor = local.get(`${this.key}.visitor`);
    });
    setInterval(() => {
      if (this.socket && Date.now() - this.heardAt > SILENT_MS) this.socket.close();
    }, 5_000);

    if (local.get(`${this.key}.open`) === "1" && innerWidth > 480) this.open(false);
    else if (this.visitor !== null || this.outbox.length) this.connect();
  }

  // -- what the page may do

  open(focus = true): void {
    this.panel.hidden = false;
    this.launcher.setAttribute("aria-expanded", "true");
    local.set(`${this.key}.open`, "1");
    this.setUnread(0);
    if (!this.socket && !this.timer) this.connect();
    this.paint();
    this.paintState();
    this.toEnd();
    if (focus) this.input.focus();
  }

  close(): void {
    this.panel.hidden = true;
    this.launcher.setAttribute("aria-expanded", "false");
    local.set(`${this.key}.open`, null);
    this.launcher.focus();
  }

  toggle(): void {
    if (this.panel.hidden) this.open();
    else this.close();
  }

  // -- the line

  private hurry(): void {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.connect();
  }

  private connect(): void {
    this.timer = 0;
    const socket = new WebSocket(`${this.base.replace(/^http/, "ws")}/chat/ws`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => {
      this.heardAt = Date.now();
      this.tell({
        type: "hello",
        channel: this.channel,
        visitor: this.visitor,
        after: Math.max(0, ...this.messages.keys()),
        ...(this.name ? { name: this.name } : {}),
        locale: this.locale,
        page: location.origin + location.pathname,
      });
    };
    socket.onmessage = (event) => {
      this.heardAt = Date.now();
      this.hear(JSON.parse(String(event.data)) as Record<string, unknown> & { type: string });
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.welcome = false;
      this.paintState();
      this.paint();
      // a server that never welcomes us (a wrong key, a foreign page) is asked more and more rarely, and then no more
      if (this.refusals < 5) this.timer = window.setTimeout(() => this.connect(), this.backoff.next());
    };
  }

  private tell(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private hear(frame: Record<string, unknown> & { type: string }): void {
    switch (frame.type) {
      case "welcome":
        this.greet(frame as unknown as Welcome);
        break;
      case "message":
        this.take([frame.message as ChatMessage], true);
        break;
      case "ack":
        this.drop(String(frame.client_id), frame.number as number | null);
        break;
      case "state":
        this.state = frame.state as State;
        this.paintState();
        break;
      case "typing":
        this.showTyping();
        break;
      case "ping":
        this.tell({ type: "pong" });
        break;
      case "error":
        this.refused(String(frame.code), frame.client_id as string | undefined);
        break;
    }
  }

  private greet(welcome: Welcome): void {
    this.welcome = true;
    this.refusals = 0;
    this.backoff.reset();
    this.visitor = welcome.visitor;
    local.set(`${this.key}.visitor`, welcome.visitor);
    if (welcome.brand) this.title.textContent = welcome.brand;
    this.limits = { ...this.limits, ...welcome.limits };
    this.state = welcome.state ?? { status: "none" };
    this.say("");
    this.take(welcome.messages ?? [], this.greeted);
    this.greeted = true;
    for (const said of this.outbox) if (!said.failed) this.tellSaid(said);
    this.paintState();
    this.paint();
  }

  private refused(code: string, client_id: string | undefined): void {
    if (client_id === undefined) {
      if (!this.welcome) this.refusals++;
      console.warn(`naru: ${code}`);
      return;
    }
    this.changeOutbox((outbox) => outbox.map((said) => (said.client_id === client_id ? { ...said, failed: true } : said)));
  }

  // -- messages

  private take(items: ChatMessage[], fresh: boolean): void {
    let news = 0;
    for (const item of items) {
      if (!this.messages.has(item.number) && item.author === "agent") news++;
      this.messages.set(item.number, item);
      const ours = item.client_id;
      if (ours !== undefined) {
        this.acked = this.acked.filter((said) => said.client_id !== ours);
        if (this.outbox.some((said) => said.client_id === ours)) {
          this.changeOutbox((outbox) => outbox.filter((said) => said.client_id !== ours));
        }
      }
    }
    if (items.some((item) => item.author === "agent")) this.typing.textContent = "";
    if (fresh && news && this.panel.hidden) this.setUnread(this.unread + news);
    this.paint();
  }

  /** Durably taken. Until its message comes back with a number it stays in sight as sent. */
  private drop(client_id: string, number: number | null): void {
    const said = this.outbox.find((other) => other.client_id === client_id);
    const known = [...this.messages.values()].some(
      (message) => message.client_id === client_id || (number !== null && message.number === number),
    );
    if (said && !known) this.acked.push(said);
    this.changeOutbox((outbox) => outbox.filter((other) => other.client_id !== client_id));
  }

  private changeOutbox(change: (outbox: Said[]) => Said[]): void {
    this.outbox = change(local.json<Said[]>(`${this.key}.outbox`, this.outbox));
    local.set(`${this.key}.outbox`, this.outbox.length ? JSON.stringify(this.outbox) : null);
    this.paint();
  }

  private put(said: Said): void {
    this.changeOutbox((outbox) => [...outbox, said]);
    this.tellSaid(said);
    this.toEnd();
    if (!this.socket && !this.timer) this.connect();
  }

  private tellSaid(said: Said): void {
    if (!this.welcome) return;
    this.tell({
      type: "say",
      client_id: said.client_id,
      ...(said.text ? { text: said.text } : {}),
      ...(said.files ? { files: said.files.map((file) => file.id) } : {}),
    });
  }

  private send(): void {
    const text = this.input.value.trim();
    if (!text) return;
    if ([...text].length > this.limits.text_chars) {
      this.say(this.fill(this.words.long, { n: this.limits.text_chars }));
      return;
    }
    this.input.value = "";
    this.fit();
    this.say("");
    this.put({ client_id: uuid(), text, at: Date.now() / 1000 });
    this.input.focus();
  }

  private async upload(files: File[]): Promise<void> {
    for (const file of files) {
      if (file.size > this.limits.file_bytes) {
        this.say(this.fill(this.words.big, { name: file.name, mb: Math.floor(this.limits.file_bytes / 1e6) }));
        continue;
      }
      this.say(this.fill(this.words.uploading, { name: file.name }));
      try {
        const form = new FormData();
        form.append("file", file, file.name);
        const response = await fetch(`${this.base}/chat/files`, {
          method: "POST",
          headers: { "X-Naru-Channel": this.channel, "X-Naru-Visitor": this.visitor ?? "" },
          body: form,
          credentials: "omit",
        });
        if (!response.ok) throw new Error(String(response.status));
        const done = (await response.json()) as FileView;
        this.say("");
        this.put({
          client_id: uuid(),
          files: [{ id: done.id, name: done.name ?? file.name, media_type: file.type }],
          at: Date.now() / 1000,
        });
      } catch {
        this.say(this.fill(this.words.upload, { name: file.name }));
      }
    }
  }

  private bye(): void {
    this.tell({ type: "bye" });
    this.input.focus();
  }

  private typed(): void {
    this.fit();
    if (Date.now() - this.typedAt < 3_000 || !this.input.value) return;
    this.typedAt = Date.now();
    if (this.welcome) this.tell({ type: "typing" });
  }

  // -- what is seen

  private fill(words: string, values: Record<string, string | number>): string {
    return words.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
  }

  private fit(): void {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 140)}px`;
  }

  private say(words: string): void {
    this.note.textContent = words;
    this.note.hidden = words === "";
  }

  private setUnread(n: number): void {
    this.unread = n;
    this.badge.hidden = n === 0;
    this.badge.textContent = n ? String(n) : "";
    this.launcher.setAttribute("aria-label", n ? `${this.words.open}, ${this.fill(this.words.unread, { n })}` : this.words.open);
  }

  private showTyping(): void {
    this.typing.textContent = this.fill(this.words.typing, { name: this.state.agent ?? this.words.someone });
    clearTimeout(this.typingTimer);
    this.typingTimer = window.setTimeout(() => {
      this.typing.textContent = "";
    }, 5_000);
  }

  private paintState(): void {
    const { status, position, agent } = this.state;
    const words =
      !this.welcome && (this.greeted || !navigator.onLine)
        ? this.words.offline
        : status === "waiting"
          ? position
            ? `${this.words.waiting}. ${this.fill(this.words.position, { n: position })}`
            : this.words.waiting
          : status === "talking"
            ? this.fill(this.words.talking, { name: agent ?? this.words.someone })
            : status === "ended"
              ? this.words.ended
              : "";
    if (this.stateLine.textContent !== words) this.stateLine.textContent = words;
    this.stateLine.hidden = words === "";
    this.stateLine.dataset.status = status;
    this.host.dataset.connection = this.welcome ? "online" : "offline";
    this.endButton.hidden = !this.welcome || (status !== "waiting" && status !== "talking");
    this.attach.disabled = !this.welcome;
  }

  private toEnd(): void {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Bring the log in step, touching only what changed, so that a screen reader hears each message once. */
  private paint(): void {
    if (this.panel.hidden) return;
    const stick = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    const wanted: { key: string; mark: string; make: () => HTMLElement }[] = [
      { key: "hello", mark: "", make: () => this.bubble("system", this.words.hello) },
    ];
    for (const message of [...this.messages.values()].sort((a, b) => a.number - b.number)) {
      wanted.push({ key: message.client_id ?? message.id, mark: "done", make: () => this.shown(message) });
    }
    for (const said of this.acked) {
      wanted.push({ key: said.client_id, mark: "sent", make: () => this.pending(said, this.words.sent) });
    }
    for (const said of this.outbox) {
      const mark = said.failed ? "failed" : this.welcome ? "sending" : "later";
      wanted.push({ key: said.client_id, mark, make: () => this.pending(said, this.words[mark]) });
    }
    const known = new Map<string, HTMLElement>();
    for (const child of [...this.log.children] as HTMLElement[]) known.set(child.dataset.key ?? "", child);
    let before: Element | null = null;
    for (const { key, mark, make } of wanted) {
      let element = known.get(key);
      known.delete(key);
      if (!element || element.dataset.mark !== mark) {
        const made = make();
        made.dataset.key = key;
        made.dataset.mark = mark;
        element?.replaceWith(made);
        element = made;
      }
      const place: Element | null = before ? before.nextElementSibling : this.log.firstElementChild;
      if (place !== element) this.log.insertBefore(element, place);
      before = element;
    }
    for (const gone of known.values()) gone.remove();
    if (stick) this.toEnd();
  }

  private bubble(author: string, text: string | undefined, files: FileView[] = [], foot?: Node): HTMLElement {
    const content = h("div", { class: "b" }, text);
    for (const file of files) content.append(this.file(file));
    return h("div", { class: `m ${author}` }, content, foot);
  }

  private file(file: FileView): Node {
    if (!file.url) return document.createTextNode(file.name);
    const href = new URL(file.url, this.base).href;
    const picture = PICTURES.test(file.media_type ?? "");
    return h(
      "a",
      { href, target: "_blank", rel: "noopener noreferrer", "data-test": "naru-message-file" },
      picture ? h("img", { src: href, alt: file.name, loading: "lazy", load: () => this.toEnd() }) : file.name,
    );
  }

  private shown(message: ChatMessage): HTMLElement {
    const time = new Intl.DateTimeFormat(this.locale, { hour: "2-digit", minute: "2-digit" }).format(message.at * 1000);
    const who = message.author === "customer" ? "" : (message.name ?? "");
    const element = this.bubble(
      message.author,
      message.text,
      message.files,
      message.author === "system" ? undefined : h("small", {}, h("span", { class: "sr" }, message.author === "customer" ? this.words.you : ""), who ? `${who} · ${time}` : time),
    );
    element.dataset.test = "naru-message";
    element.dataset.number = String(message.number);
    element.dataset.author = message.author;
    return element;
  }

  private pending(said: Said, words: string): HTMLElement {
    const foot = h("small", { class: said.failed ? "bad" : "" }, words);
    if (said.failed) {
      const again = (): void => {
        const next: Said = { client_id: uuid(), at: Date.now() / 1000, ...(said.text ? { text: said.text } : {}), ...(said.files ? { files: said.files } : {}) };
        this.changeOutbox((outbox) => outbox.filter((other) => other.client_id !== said.client_id));
        this.put(next);
      };
      foot.append(h("button", { type: "button", click: again }, this.words.retry));
    }
    const element = this.bubble("customer", said.text, said.files, foot);
    element.dataset.test = "naru-pending";
    return element;
  }
}

const tag = document.currentScript as HTMLScriptElement | null;

function start(): void {
  const channel = tag?.dataset.channel;
  if (!tag || !channel) {
    console.error("naru: the script tag needs data-channel");
    return;
  }
  if (document.getElementById("naru-chat")) return;
  const asked = (tag.dataset.locale || navigator.language).toLowerCase();
  const widget = new Widget(new URL(tag.src).origin, channel, asked.startsWith("ko") ? "ko" : "en", tag.dataset.name);
  (window as unknown as { naru?: unknown }).naru = {
    open: () => widget.open(),
    close: () => widget.close(),
  };
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
