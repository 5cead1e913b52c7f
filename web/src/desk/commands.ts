// What the agent wants done, kept until the server has answered: over a reconnect, and over a reload. The id makes a
// repeat harmless.

import { signal } from "@preact/signals";
import { session, uuid } from "../shared/keep";

export interface Command {
  id: string;
  do: string;
  args: Record<string, unknown>;
  at: number;
  /** Set on a message that the server has refused; it stays in sight until tried again or discarded. */
  refused?: string;
  /** The server's failure (5xx), not its refusal: the same id may be tried again. */
  same?: boolean;
}

export interface Answer {
  id: string;
  status: number;
  code: string;
  contact: string | null;
}

const ASK_AGAIN_MS = 10_000;

export class Commands {
  readonly open = signal<Command[]>([]);
  private key = "";
  private readonly waiting = new Map<string, (answer: Answer) => void>();
  private readonly sentAt = new Map<string, number>();

  constructor(private readonly send: (frame: unknown) => boolean) {
    setInterval(() => this.askAgain(), 2_000);
  }

  /** Take up what this person left unanswered in this tab. */
  belongTo(who: string): void {
    const key = `naru.commands.${who}`;
    if (key === this.key) return;
    this.key = key;
    this.open.value = session.json<Command[]>(key, []);
  }

  give(name: string, args: Record<string, unknown>, answered?: (answer: Answer) => void): string {
    const command: Command = { id: uuid(), do: name, args, at: Date.now() / 1000 };
    if (answered) this.waiting.set(command.id, answered);
    this.store([...this.open.value, command]);
    this.say(command);
    return command.id;
  }

  /** After hello: everything unanswered, in its old order. */
  repeat(): void {
    for (const command of this.open.value) if (!command.refused) this.say(command);
  }

  answer(answer: Answer): Command | undefined {
    const command = this.open.value.find((other) => other.id === answer.id);
    this.sentAt.delete(answer.id);
    if (command && command.do === "message" && answer.status >= 400) {
      const refused: Command = { ...command, refused: answer.code, same: answer.status >= 500 };
      this.store(this.open.value.map((other) => (other.id === answer.id ? refused : other)));
    } else this.store(this.open.value.filter((other) => other.id !== answer.id));
    this.waiting.get(answer.id)?.(answer);
    this.waiting.delete(answer.id);
    return command;
  }

  tryAgain(command: Command): void {
    const again: Command = { id: command.same ? command.id : uuid(), do: command.do, args: command.args, at: Date.now() / 1000 };
    this.store([...this.open.value.filter((other) => other.id !== command.id), again]);
    this.say(again);
  }

  discard(id: string): void {
    this.store(this.open.value.filter((other) => other.id !== id));
  }

  forget(): void {
    this.store([]);
    this.waiting.clear();
  }

  private say(command: Command): void {
    if (this.send({ type: "do", id: command.id, do: command.do, args: command.args })) {
      this.sentAt.set(command.id, Date.now());
    }
  }

  private askAgain(): void {
    for (const command of this.open.value) {
      const sent = this.sentAt.get(command.id);
      if (!command.refused && sent !== undefined && Date.now() - sent > ASK_AGAIN_MS) this.say(command);
    }
  }

  private store(commands: Command[]): void {
    this.open.value = commands;
    if (this.key) session.set(this.key, commands.length ? JSON.stringify(commands) : null);
  }
}
