// The door: a one-time token or an invitation from the address, else the session cookie, else a form, or the workspace's
// own provider, which sends the browser back here, with the reason in the fragment when it was in vain.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { acceptInvite, login, loginByToken, loginOptions, logout, oidcLogin, Problem, whoAmI } from "./api";
import { Backoff } from "./backoff";
import { type Key, t } from "./i18n";
import { Logo } from "./icons";
import { local } from "./keep";
import { LanguageSelect } from "./parts";
import type { Me } from "./views";

type Door =
  | { at: "knocking" }
  | { at: "unreachable" }
  | { at: "form"; note?: Key }
  | { at: "invite"; token: string }
  | { at: "in" };

export const me = signal<Me | null>(null);
const door = signal<Door>({ at: "knocking" });

const enter = (who: Me): void => {
  me.value = who;
  door.value = { at: "in" };
};

/** The session has ended, or was never good enough: back to the form, drafts stay. */
export function sendOut(status: number): void {
  door.value = status === 403 ? { at: "form", note: "login.forbidden" } : { at: "form" };
}

export async function leave(): Promise<void> {
  try {
    await logout();
  } finally {
    me.value = null;
    door.value = { at: "form" };
  }
}

async function byCookie(note?: Key): Promise<void> {
  const backoff = new Backoff();
  for (;;) {
    try {
      return enter(await whoAmI());
    } catch (error) {
      const status = error instanceof Problem ? error.status : 0;
      if (status >= 400 && status < 500) {
        door.value = note === undefined ? { at: "form" } : { at: "form", note };
        return;
      }
    }
    door.value = { at: "unreachable" };
    await new Promise((resolve) => setTimeout(resolve, backoff.next()));
  }
}

const IN_VAIN: Record<string, Key> = {
  "oidc-over": "login.oidc-over",
  "oidc-unreachable": "login.oidc-unreachable",
  "oidc-unready": "login.oidc-unready",
  "oidc-unverified": "login.oidc-unverified",
  "oidc-unknown": "login.oidc-unknown",
};

export async function knock(): Promise<void> {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  const invite = fragment.get("invite");
  const inVain = fragment.get("sign-in");
  if (token !== null || invite !== null || inVain !== null) history.replaceState(null, "", location.pathname + location.search);
  if (invite !== null) {
    door.value = { at: "invite", token: invite };
    return;
  }
  if (token === null) return byCookie(inVain === null ? undefined : (IN_VAIN[inVain] ?? "login.oidc-refused"));
  try {
    enter(await loginByToken(token));
  } catch {
    await byCookie("login.token-bad"); // a page opened twice by the same link still has its cookie
  }
}

const said = (error: unknown, otherwise: Key): string => {
  if (!(error instanceof Problem)) return t(otherwise);
  if (error.status === 0) return t("unreachable");
  if (error.status === 429) return t("login.slow-down");
  return error.status === 401 || error.status === 403 ? t(otherwise) : error.message || t(otherwise);
};

export function Gate({ children }: { children: ComponentChildren }) {
  const now = door.value;
  if (now.at === "in") return <>{children}</>;
  if (now.at === "knocking" || now.at === "unreachable") {
    return (
      <main class="gate" aria-busy="true">
        <p role="status">{t(now.at === "knocking" ? "loading" : "unreachable")}</p>
      </main>
    );
  }
  return (
    <main class="gate">
      <div class="gate-card">
        <div class="gate-head">
          <Logo />
          <strong>Naru</strong>
          <LanguageSelect />
        </div>
        {now.at === "invite" ? <InviteForm token={now.token} /> : <LoginForm note={now.note} />}
      </div>
    </main>
  );
}

const lastLogin = (): { workspace?: string; email?: string } => local.json("naru.login", {});

/** The way in by the workspace's own provider, when it has one. */
function ByProvider({ workspace }: { workspace: string }) {
  const [label, setLabel] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    setLabel(null);
    const offered = workspace === "" ? Promise.resolve(null) : loginOptions(workspace).catch(() => null);
    void offered.then((options) => current && setLabel(options?.oidc?.label ?? null));
    return () => {
      current = false;
    };
  }, [workspace]);
  if (label === null) return null;
  const go = (): void => {
    local.set("naru.login", JSON.stringify({ ...lastLogin(), workspace }));
    location.assign(oidcLogin(workspace, location.pathname + location.search));
  };
  return (
    <button type="button" onClick={go} data-test="login-oidc">
      {t("login.oidc", { label })}
    </button>
  );
}

function LoginForm({ note }: { note?: Key | undefined }) {
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const last = lastLogin();
  const [first] = useState(new URLSearchParams(location.search).get("workspace") ?? last.workspace ?? "");
  const [workspace, setWorkspace] = useState(first);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const field = (name: string): string => String(form.get(name) ?? "").trim();
    setBusy(true);
    try {
      const who = await login(field("workspace"), field("email"), String(form.get("password") ?? ""));
      local.set("naru.login", JSON.stringify({ workspace: field("workspace"), email: field("email") }));
      enter(who);
    } catch (error) {
      setWrong(said(error, "login.wrong"));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} data-test="login-form">
      <h1>{t("login.title")}</h1>
      {note && (
        <p class="notice" role="status" data-test="login-note">
          {t(note)}
        </p>
      )}
      <label>
        {t("login.workspace")}
        <input
          name="workspace"
          required
          autocomplete="organization"
          defaultValue={first}
          onChange={(event) => setWorkspace(event.currentTarget.value.trim())}
          data-test="login-workspace"
        />
      </label>
      <ByProvider workspace={workspace} />
      <label>
        {t("login.email")}
        <input name="email" type="email" required autocomplete="username" defaultValue={last.email} data-test="login-email" />
      </label>
      <label>
        {t("login.password")}
        <input name="password" type="password" required autocomplete="current-password" data-test="login-password" />
      </label>
      {wrong && (
        <p class="error" role="alert" data-test="login-error">
          {wrong}
        </p>
      )}
      <button class="primary" disabled={busy} data-test="login-submit">
        {t("login.submit")}
      </button>
    </form>
  );
}

function InviteForm({ token }: { token: string }) {
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const password = String(form.get("password") ?? "");
    if (password !== form.get("again")) return setWrong(t("invite.differ"));
    setBusy(true);
    try {
      enter(await acceptInvite(token, password));
    } catch (error) {
      setWrong(said(error, "invite.bad"));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} data-test="invite-form">
      <h1>{t("invite.title")}</h1>
      <p>{t("invite.lead")}</p>
      <label>
        {t("invite.password")}
        <input name="password" type="password" required minLength={10} autocomplete="new-password" data-test="invite-password" />
      </label>
      <label>
        {t("invite.again")}
        <input name="again" type="password" required autocomplete="new-password" data-test="invite-again" />
      </label>
      {wrong && (
        <p class="error" role="alert">
          {wrong}
        </p>
      )}
      <button class="primary" disabled={busy} data-test="invite-submit">
        {t("invite.submit")}
      </button>
    </form>
  );
}
