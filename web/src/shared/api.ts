// REST with the session cookie. Everything that fails becomes a Problem (RFC 9457), also a network that is not there.

import { uuid } from "./keep";
import type { Me } from "./views";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
  ) {
    super(detail || title || `HTTP ${status}`);
  }
}

let csrf = "1";

async function problemOf(response: Response): Promise<Problem> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // no body, or not JSON
  }
  const word = (key: string): string => (typeof body[key] === "string" ? (body[key] as string) : "");
  return new Problem(response.status, word("title") || response.statusText, word("detail"), word("code") || word("type"));
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") {
    headers["X-Naru-CSRF"] = csrf;
    headers["Idempotency-Key"] = uuid();
  }
  let payload: BodyInit | undefined;
  if (body instanceof FormData) payload = body;
  else if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    payload = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body: payload ?? null, credentials: "same-origin" });
  } catch {
    throw new Problem(0, "", "", "unreachable");
  }
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>("POST", path, body);
export const del = (path: string): Promise<void> => call<void>("DELETE", path);

const known = (me: Me): Me => {
  csrf = me.csrf ?? "1";
  return me;
};

export const whoAmI = async (): Promise<Me> => known(await get<Me>("/v1/me"));

/** Log-ins answer with the `me` object; one that answers with less is asked again. */
const afterLogin = async (me: Me | undefined): Promise<Me> => (me?.agent === undefined ? whoAmI() : known(me));

export const loginByToken = async (token: string): Promise<Me> =>
  afterLogin(await post<Me>("/v1/login/token", { token }));
export const login = async (workspace: string, email: string, password: string): Promise<Me> =>
  afterLogin(await post<Me>("/v1/login", { workspace, email, password }));
export const acceptInvite = async (token: string, password: string): Promise<Me> =>
  afterLogin(await post<Me>("/v1/invites/accept", { token, password }));
export interface LoginOptions {
  oidc: { label: string } | null;
}

export const loginOptions = (workspace: string): Promise<LoginOptions> =>
  get<LoginOptions>(`/v1/login/options?${new URLSearchParams({ workspace })}`);
/** Where the provider's sign-in begins; it ends on the page `next`. */
export const oidcLogin = (workspace: string, next: string): string =>
  `/v1/login/oidc?${new URLSearchParams({ workspace, next })}`;
export const logout = (): Promise<void> => post<void>("/v1/logout");
