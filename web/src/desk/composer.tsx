import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../shared/api";
import { failText } from "../shared/failed";
import { clock, t, word } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { sendOnEnter } from "../shared/ime";
import { session } from "../shared/keep";
import { me } from "../shared/login";
import { type ContactView, ofAgent, whyClosed } from "../shared/views";
import { act, messages, now, tell } from "./store";

interface Uploaded {
  id: string;
  name: string;
}

interface Draft {
  text: string;
  subject: string;
  note: boolean;
  files: Uploaded[];
}

const EMPTY: Draft = { text: "", subject: "", note: false, files: [] };

/** One composer per contact (keyed by it), so that its draft is always its own. */
export function Composer({ contact }: { contact: ContactView }) {
  const key = `naru.draft.${contact.id}`;
  const first = useRef<Draft>({ ...EMPTY, ...session.json<Partial<Draft>>(key, {}) });
  const field = useRef<HTMLTextAreaElement>(null);
  const chosen = useRef<HTMLInputElement>(null);
  const barges = ofAgent(contact.participants, me.value?.agent)?.manner === "barge";
  const aside = contact.role === "consulted" || (contact.role === "monitoring" && !barges);
  const closed = whyClosed(contact, now.value);
  const onlyNotes = contact.kind === "voice" || contact.status === "wrapping" || aside || closed !== null;
  const [note, setNote] = useState(first.current.note);
  const [subject, setSubject] = useState(first.current.subject);
  const [files, setFiles] = useState<Uploaded[]>(first.current.files);
  const [uploading, setUploading] = useState<string[]>([]);
  const isNote = note || onlyNotes;
  const enterSends = contact.kind !== "email" || isNote;

  const keep = (change: Partial<Draft>): void => {
    first.current = { ...first.current, ...change };
    const empty = !first.current.text && !first.current.files.length && !first.current.subject && !first.current.note;
    session.set(key, empty ? null : JSON.stringify(first.current));
  };
  const fit = (): void => {
    const it = field.current;
    if (!it) return;
    it.style.height = "auto";
    it.style.height = `${Math.min(it.scrollHeight + 2, innerHeight * 0.35)}px`;
  };

  const send = (): void => {
    const it = field.current;
    const text = it?.value.trim() ?? "";
    if (!it || (!text && !files.length) || uploading.length) return;
    act("message", contact.id, {
      text,
      ...(isNote ? { private: true } : {}),
      ...(files.length ? { files: files.map((file) => file.id) } : {}),
      ...(subject.trim() && !isNote ? { subject: subject.trim() } : {}),
    });
    it.value = "";
    setFiles([]);
    setSubject("");
    keep({ text: "", files: [], subject: "", ...(aside ? { note: false } : {}) });
    fit();
    it.focus();
  };

  // The listeners are put on once; what they call is always the newest.
  const newest = useRef({ send, enterSends, aside });
  newest.current = { send, enterSends, aside };
  useEffect(() => {
    fit();
    return field.current
      ? sendOnEnter(
          field.current,
          () => newest.current.send(),
          () => newest.current.enterSends,
        )
      : undefined;
  }, []);

  // What was begun as a note stays one when its writer is let into the talk, or gets it, in the middle of a sentence.
  useEffect(() => setNote(first.current.note), [aside]);

  const upload = async (list: Iterable<File>): Promise<void> => {
    for (const file of list) {
      const name = file.name || "image.png";
      setUploading((names) => [...names, name]);
      try {
        const form = new FormData();
        form.append("file", file, name);
        const done = await post<{ id: string; name?: string }>("/v1/files", form);
        setFiles((now) => {
          const next = [...now, { id: done.id, name: done.name ?? name }];
          keep({ files: next, ...(newest.current.aside ? { note: true } : {}) });
          return next;
        });
      } catch (error) {
        tell(failText(error), true);
      } finally {
        setUploading((names) => names.filter((other) => other !== name));
      }
    }
  };

  const lastSubject = (messages.value[contact.conversation] ?? []).findLast((message) => message.subject)?.subject;
  return (
    <form
      class={`composer ${isNote ? "is-note" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void upload([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {contact.kind === "email" && !isNote && (
        <input
          aria-label={t("composer.subject")}
          placeholder={lastSubject ?? t("composer.subject")}
          value={subject}
          data-test="composer-subject"
          onInput={(event) => {
            setSubject(event.currentTarget.value);
            keep({ subject: event.currentTarget.value });
          }}
        />
      )}
      <textarea
        ref={field}
        rows={contact.kind === "email" && !isNote ? 5 : 2}
        aria-label={t("composer")}
        placeholder={t(isNote ? "composer.note" : "composer.write")}
        data-test="composer"
        enterkeyhint={enterSends ? "send" : "enter"}
        defaultValue={first.current.text}
        onInput={(event) => {
          keep({ text: event.currentTarget.value, ...(aside ? { note: true } : {}) });
          fit();
        }}
        onPaste={(event) => {
          const pasted = [...(event.clipboardData?.files ?? [])];
          if (pasted.length) {
            event.preventDefault();
            void upload(pasted);
          }
        }}
      />
      {(closed !== null || !isNote) && <Limits contact={contact} closed={closed} />}
      {(files.length > 0 || uploading.length > 0) && (
        <ul class="attached">
          {files.map((file) => (
            <li key={file.id}>
              <Icon name="clip" size={14} /> {file.name}
              <button
                type="button"
                class="icon-button"
                aria-label={t("composer.remove", { name: file.name })}
                onClick={() => {
                  const next = files.filter((other) => other.id !== file.id);
                  setFiles(next);
                  keep({ files: next });
                }}
              >
                <Icon name="x" size={14} />
              </button>
            </li>
          ))}
          {uploading.map((name) => (
            <li key={name} class="soft">
              {t("composer.uploading", { name })}
            </li>
          ))}
        </ul>
      )}
      <div class="composer-foot">
        <button
          type="button"
          class="icon-button"
          aria-label={t("composer.attach")}
          title={t("composer.attach")}
          data-test="attach"
          onClick={() => chosen.current?.click()}
        >
          <Icon name="clip" />
        </button>
        <input
          ref={chosen}
          type="file"
          multiple
          hidden
          data-test="attach-file"
          onChange={(event) => {
            void upload([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
        <label class="inline">
          <input
            type="checkbox"
            checked={isNote}
            disabled={onlyNotes}
            data-test="private"
            onChange={(event) => {
              setNote(event.currentTarget.checked);
              keep({ note: event.currentTarget.checked });
            }}
          />
          <Icon name="lock" size={16} /> {t("composer.private")}
        </label>
        <span class="soft small hint">
          {aside
            ? t("composer.aside")
            : contact.kind === "voice"
              ? t("composer.voice")
              : contact.status === "wrapping"
                ? t("composer.closed")
                : t(enterSends ? "composer.enter" : "composer.ctrl-enter")}
        </span>
        <button class="primary" data-test="send" disabled={uploading.length > 0}>
          <Icon name="send" size={18} /> {t("composer.send")}
        </button>
      </div>
    </form>
  );
}

/** What the channel allows: until when, how often, how long, and who can read it. */
function Limits({ contact, closed }: { contact: ContactView; closed: string | null }) {
  const reply = contact.reply;
  if (reply === null) return null;
  const words =
    closed !== null
      ? [t("reply.closed", { why: word("code", closed) })]
      : [
          reply.until !== null && t("reply.until", { time: clock(reply.until) }),
          reply.public && t("reply.public"),
          reply.style === "one_shot" && t("reply.one_shot"),
          reply.style === "overwrite" && contact.replies > 0 && t("reply.overwrite"),
          reply.max_length !== null && t("reply.length", { count: String(reply.max_length) }),
        ].filter((text): text is string => typeof text === "string");
  if (!words.length) return null;
  return (
    <p class={`small ${closed !== null ? "error" : "soft"}`} data-test="reply-limits">
      {words.join(" · ")}
    </p>
  );
}
