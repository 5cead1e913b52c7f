// Storage that never throws: private windows and full disks only lose comfort.

export class Keep {
  constructor(private readonly area: () => Storage) {}

  get(key: string): string | null {
    try {
      return this.area().getItem(key);
    } catch {
      return null;
    }
  }

  set(key: string, value: string | null): void {
    try {
      if (value === null || value === "") this.area().removeItem(key);
      else this.area().setItem(key, value);
    } catch {
      // full or forbidden
    }
  }

  json<T>(key: string, otherwise: T): T {
    const text = this.get(key);
    if (text === null) return otherwise;
    try {
      return JSON.parse(text) as T;
    } catch {
      return otherwise;
    }
  }
}

export const local = new Keep(() => localStorage);
export const session = new Keep(() => sessionStorage);

export const uuid = (): string => {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};
