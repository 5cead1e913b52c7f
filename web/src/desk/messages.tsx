// A conversation's messages, and below them what is still on its way.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { bytes, clock, day, t, word } from "../shared/i18n";
import { Icon, type IconName } from "../shared/icons";
import { me } from "../shared/login";
import type { MessageView, PartView } from "../shared/views";
import type { Command } from "./commands";
import { agentName, commands, live } from "./store";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

const FRAME_HEAD =
  `<!doctype html><meta charset="utf-8">` +
  `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">` +
  `<base target="_blank"><style>:root{color-scheme:light}body{margin:0;padding:2px;background:#fff;color:#1a2328;` +
  `font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}img,table{max-width:100%}</style>`;

/**
 * Mail as the customer wrote it, cleaned by the server, and here without scripts, forms, or the network. The frame is
 * of our own origin only so that we can measure its height; without allow-scripts nothing in it can use that.
 */
function Mail({ html }: { html: string }) {
  const ref = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(120);
  const measure = (): void => {
    const body = ref.current?.contentDocument?.documentElement;
    if (body) setHeight(Math.min(1600, Math.max(40, body.scrollHeight + 4)));
  };
  return (
    <iframe
      ref={ref}
      class="mail"
      title={t("message.html")}
      sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"
      referrerpolicy="no-referrer"
      srcdoc={FRAME_HEAD + html}
      style={{ height: `${height}px` }}
      onLoad={measure}
    />
  );
}

function File({ part }: { part: PartView }) {
  const url = `/v1/files/${encodeURIComponent(part.file ?? "")}`;
  const name = part.name ?? part.file ?? "";
  const picture = PICTURES.includes(part.media_type ?? "");
  if (part.media_type?.startsWith("audio/")) {
    return <audio class="sound" controls preload="none" src={url} aria-label={name} data-test="message-sound" />;
  }
  return (
    <a class="file" href={url} target="_blank" rel="noopener" download={picture ? undefined : name} data-test="message-file">
      {picture ? (
        <img src={url} alt={name} loading="lazy" />
      ) : (
        <>
          <Icon name="file" /> {name} {part.size_bytes !== null && <span class="soft small">{bytes(part.size_bytes)}</span>}
        </>
      )}
    </a>
  );
}

function Part({ part }: { part: PartView }) {
  if (part.file !== null) return <File part={part} />;
  if (part.pending)
    return (
      <p class="soft">
        <Icon name="clock" size={14} /> {t("message.file-comes", { name: part.name ?? "" })}
      </p>
    );
  if (part.html) return <Mail html={part.html} />;
  return <p class="words">{part.text}</p>;
}

const STATUS_ICON: Record<string, IconName> = {
  pending: "clock",
  sent: "check",
  delivered: "twice",
  read: "twice",
  failed: "warn",
  uncertain: "help",
};

const authorText = (message: MessageView): string =>
  message.author !== "agent"
    ? word("message", message.author)
    : message.agent === null || message.agent === me.value?.agent
      ? t("message.agent")
      : agentName(message.agent);

/** Our own chat reads the journal: what has a number has been sent, and no provider will say so. */
const statusOf = (message: MessageView, chat: boolean): MessageView["status"] =>
  chat && message.status === "pending" ? "sent" : message.status;

function Message({ message, chat }: { message: MessageView; chat: boolean }) {
  const status = statusOf(message, chat);
  const side = message.author === "customer" ? "theirs" : ["agent", "external_console"].includes(message.author) ? "ours" : "aside";
  return (
    <li
      class={`message ${side} ${message.private ? "private" : ""}`}
      data-test="message"
      data-number={message.number}
      data-author={message.author}
      data-status={status ?? undefined}
      data-private={message.private || undefined}
    >
      <div class="message-head small soft">
        {message.private && (
          <b>
            <Icon name="lock" size={13} /> {t("message.private")}
          </b>
        )}
        <span>{authorText(message)}</span>
        {message.revised && <span>{t(message.revised === "deleted" ? "message.deleted" : "message.edited")}</span>}
        <time dateTime={new Date(message.at * 1000).toISOString()}>{clock(message.at)}</time>
        {status && !message.private && (
          <span class={`send-${status}`} title={message.detail ?? undefined}>
            <Icon name={STATUS_ICON[status] ?? "clock"} size={14} /> {t(`message.${status}`)}
            {status === "failed" && message.detail && ` (${message.detail})`}
          </span>
        )}
      </div>
      <div class="bubble">
        {message.subject && <strong class="subject">{message.subject}</strong>}
        {message.parts.map((part, i) => (
          <Part key={i} part={part} />
        ))}
      </div>
    </li>
  );
}

function Unsent({ command }: { command: Command }) {
  const files = (command.args.files as string[] | undefined) ?? [];
  return (
    <li class={`message ours unsent ${command.args.private ? "private" : ""}`} data-test="message-unsent" data-refused={command.refused}>
      <div class="message-head small soft">
        {command.refused ? (
          <span class="error">{t("message.refused", { why: word("code", command.refused) })}</span>
        ) : (
          <span>
            <Icon name="clock" size={14} /> {t(live.state.value === "online" ? "message.pending" : "message.queued")}
          </span>
        )}
      </div>
      <div class="bubble">
        <p class="words">{String(command.args.text ?? "")}</p>
        {files.length > 0 && (
          <p class="small">
            <Icon name="clip" size={14} /> {files.length}
          </p>
        )}
        {command.refused && (
          <div class="unsent-buttons">
            <button type="button" onClick={() => commands.tryAgain(command)}>
              {t("retry")}
            </button>
            <button type="button" onClick={() => commands.discard(command.id)}>
              {t("discard")}
            </button>
          </div>
        )}
      </div>
    </li>
  );
}

export function MessageList(props: {
  list: MessageView[];
  chat?: boolean;
  unsent?: Command[];
  onEarlier?: () => void;
}) {
  const { list, chat = false, unsent = [], onEarlier } = props;
  const box = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  const [below, setBelow] = useState(false);
  const last = list.at(-1)?.number ?? 0;

  const toEnd = (): void => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
    setBelow(false);
  };
  useLayoutEffect(() => {
    if (stick.current) toEnd();
    else setBelow(true);
  }, [last, unsent.length]);
  useEffect(() => {
    // pictures and mails grow after they are put in
    const inner = box.current?.firstElementChild;
    if (!inner) return;
    const watch = new ResizeObserver(() => stick.current && toEnd());
    watch.observe(inner);
    return () => watch.disconnect();
  }, []);

  let lastDay = "";
  return (
    <div class="messages-wrap">
      <div
        class="messages"
        ref={box}
        tabIndex={0}
        role="log"
        aria-live="polite"
        aria-label={t("conversation")}
        onScroll={(event) => {
          const it = event.currentTarget;
          stick.current = it.scrollHeight - it.scrollTop - it.clientHeight < 60;
          if (stick.current) setBelow(false);
        }}
      >
        <ol data-test="messages">
          {(list[0]?.number ?? 1) > 1 && onEarlier && (
            <li class="aside">
              <button type="button" data-test="earlier" onClick={onEarlier}>
                {t("conversation.earlier")}
              </button>
            </li>
          )}
          {list.length + unsent.length === 0 && <li class="aside soft">{t("conversation.empty")}</li>}
          {list.map((message) => {
            const its = day(message.at);
            const head = its !== lastDay;
            lastDay = its;
            return (
              <>
                {head && (
                  <li class="day" key={`day-${its}`}>
                    {its}
                  </li>
                )}
                <Message key={message.number} message={message} chat={chat} />
              </>
            );
          })}
          {unsent.map((command) => (
            <Unsent key={command.id} command={command} />
          ))}
        </ol>
      </div>
      {below && (
        <button type="button" class="newer primary" onClick={toEnd}>
          <Icon name="down" size={16} /> {t("conversation.newer")}
        </button>
      )}
    </div>
  );
}
