// Line icons on a 24 grid, drawn in the text's colour; the words beside them carry the meaning.

import type { Manner, Role } from "./views";

const PATHS = {
  voice: "M5 3.5h4l1.5 5-2.5 1.5a12 12 0 0 0 6 6l1.5-2.5 5 1.5v4a1.5 1.5 0 0 1-1.6 1.5C10.5 20 4 13.5 3.5 5.1A1.5 1.5 0 0 1 5 3.5z",
  chat: "M4 5h16v11H11l-4.5 4v-4H4z",
  sms: "M7 2.5h10v19H7zM10.5 18.5h3",
  email: "M3 5.5h18v13H3zM3.5 6l8.5 7 8.5-7",
  social: "M6 12a2.5 2.5 0 1 0-.01 0zM18 8a2.5 2.5 0 1 0-.01 0zM18 21a2.5 2.5 0 1 0-.01 0zM8.3 10.7l7.3-3.8M8.2 13l7.5 4",
  task: "M5 4h14v16H5zM8.5 12l2.5 2.5 4.5-5",
  check: "M4.5 12.5l5 5 10-11",
  twice: "M2 12.5l4.5 5 8-11M11 16.5l1 1 9-11",
  x: "M6 6l12 12M18 6L6 18",
  clip: "M8 12.5l6.5-6.5a3 3 0 0 1 4.3 4.3l-8.5 8.5a5 5 0 0 1-7-7L11 4",
  send: "M4 12l16-8-5 17-3.5-7.5z",
  lock: "M6 11h12v9.5H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5l12 7.5-12 7.5z",
  park: "M4 8h16v12H4zM4 8l2.5-4h11L20 8M12 11v5M9.5 13.5L12 16l2.5-2.5",
  transfer: "M4 8h14M14.5 4.5L18 8l-3.5 3.5M20 16H6M9.5 12.5L6 16l3.5 3.5",
  clock: "M12 21a9 9 0 1 0-.01 0zM12 7v5.5l3.5 2",
  user: "M12 12a4 4 0 1 0-.01 0zM4.5 21c.5-4.5 3.5-6.5 7.5-6.5s7 2 7.5 6.5",
  microphone: "M12 14.5a3 3 0 0 0 3-3v-5a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zM6 11.5a6 6 0 0 0 12 0M12 17.5V21M9 21h6",
  "microphone-off": "M9 9v2.5a3 3 0 0 0 5 2.2M15 11V6.5a3 3 0 0 0-5.8-1M6 11.5a6 6 0 0 0 9.5 4.900M18 11.5v1M12 17.5V21M9 21h6M4 3l17 18",
  keys: "M5 5h2v2H5zM11 5h2v2h-2zM17 5h2v2h-2zM5 11h2v2H5zM11 11h2v2h-2zM17 11h2v2h-2zM5 17h2v2H5zM11 17h2v2h-2zM17 17h2v2h-2z",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l1.5 1.5h-15zM10 21h4",
  mute: "M6 17V11a6 6 0 0 1 9-5.2M18 11v6l1.5 1.5h-15M10 21h4M4 3l17 18",
  help: "M12 21a9 9 0 1 0-.01 0zM9.5 9.5a2.5 2.5 0 1 1 3.7 2.2c-.9.5-1.2 1-1.2 2.1M12 17v.1",
  keyboard: "M2.5 6h19v12h-19zM6 10h.1M10 10h.1M14 10h.1M18 10h.1M7 14.5h10",
  plus: "M12 5v14M5 12h14",
  globe: "M12 21a9 9 0 1 0-.01 0zM3 12h18M12 3c5 5.5 5 12.5 0 18-5-5.5-5-12.5 0-18z",
  logout: "M10 4H5v16h5M9.5 12H20M16 8l4 4-4 4",
  online: "M2.5 9a14 14 0 0 1 19 0M6 13a9 9 0 0 1 12 0M9.5 16.5a4 4 0 0 1 5 0M12 20v.1",
  offline: "M2.5 9a14 14 0 0 1 6-3.5M13 5a14 14 0 0 1 8.5 4M6 13a9 9 0 0 1 4-2.3M16 11.5l2 1.5M12 20v.1M4 3l16 18",
  warn: "M12 3.5L22 20.5H2zM12 10v5M12 17.5v.1",
  away: "M5 8h11v6a5 5 0 0 1-5 5H10a5 5 0 0 1-5-5zM16 9.5h2a2.5 2.5 0 0 1 0 5h-2M8 3v2M12.5 3v2",
  down: "M6 9l6 6 6-6",
  file: "M6 3h8l4.5 4.5V21H6zM14 3v5h4.5",
  history: "M4 12a8 8 0 1 0 2.5-5.8L4 8.5M4 4v4.5h4.5M12 8v4.5l3 1.5",
  in: "M19 5L6 18M6 8.5V18h9.5",
  out: "M5 19L18 6M8.5 6H18v9.5",
  people: "M9 11.5a3.5 3.5 0 1 0-.01 0zM2.5 20c.4-3.8 3-5.5 6.5-5.5s6.1 1.7 6.5 5.5M15.5 4.8a3.5 3.5 0 0 1 0 6.5M18 15c2 .7 3.2 2.3 3.5 5",
  ear: "M7 9.5a5.5 5.5 0 1 1 10 3.2c-1.4 1.8-2.5 2.5-2.8 4.5-.3 2.2-1.600 3.3-3.2 3.3a3 3 0 0 1-3-3M10 9.5a2.5 2.5 0 1 1 4.2 1.8c-1 .9-1.7 1.4-1.7 2.7",
  whisper: "M4 5h16v11H11l-4.5 4v-4H4zM8.5 10.5h.1M12 10.5h.1M15.5 10.5h.1",
  question: "M4 5h16v11H11l-4.5 4v-4H4zM9.8 9a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .7-1 1.5M12 14.3v.1",
  edit: "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19z",
  hand: "M4 13.5h9.5L10 10M13.5 13.5L10 17M16 5h4v15h-4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export const Logo = () => (
  <svg class="logo" width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" fill="#0b6e78" />
    <path d="M6 19h20l-3.2 5.2a2 2 0 0 1-1.7.9H10.9a2 2 0 0 1-1.7-.9zM15 6v11H8zm2 3 6 8h-6z" fill="#fff" />
  </svg>
);

export const ROLE_ICON: Record<Role, IconName> = { owner: "user", consulted: "question", joined: "people", monitoring: "ear" };
export const MANNER_ICON: Record<Manner, IconName> = { listen: "ear", whisper: "whisper", barge: "people" };

export const PRESENCE_ICON: Record<string, IconName> = {
  available: "check",
  away: "away",
  draining: "logout",
  unresponsive: "warn",
  offline: "offline",
};
