// What the wallboard's socket sends (src/agents/live.py, docs/protocol.md).

import type { Kind, Participant, Role } from "../shared/views";

export interface QueueNow {
  id: string;
  name?: string;
  waiting?: number;
  longest_wait_s?: number | null;
  offered?: number;
  active?: number;
  callbacks?: number;
  arrived_today?: number;
  answered_today?: number;
  abandoned_today?: number;
  service_level?: number | null;
  service_level_target?: number;
  asa_s?: number | null;
}

export interface AgentNow {
  id: string;
  name?: string;
  presence?: string;
  reason?: string | null;
  since?: number | null;
  connected?: boolean;
  used_units?: number;
  units?: number;
  contacts?: WorkNow[];
  attends?: WorkNow[];
}

/** `role`: the part of somebody whose contact it is not. */
export interface WorkNow {
  id: string;
  kind: Kind;
  status: string;
  queue: string;
  since: number;
  customer?: string;
  role?: Role | null;
  participants?: Participant[];
}

export interface WaitingNow {
  id: string;
  kind: Kind;
  queue: string;
  customer?: string | { name?: string | null; address?: string } | null;
  since: number;
  position?: number;
  language?: string | null;
  tier?: number;
  head_start_s?: number;
  callback?: boolean;
}

export interface Now {
  server_now: number;
  queues: QueueNow[];
  agents: AgentNow[];
  waiting: WaitingNow[];
}
