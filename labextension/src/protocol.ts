// Messages of the kernel link, as the kernel's side (workbench/lab) writes them.

import { PROTOCOL } from './ids';

export type Topic = 'models' | 'shm' | 'trace' | 'servers' | 'log';
export const TOPICS: readonly Topic[] = ['models', 'shm', 'trace', 'servers', 'log'];

export interface ErrorData {
  model: string;
  ename: string;
  evalue: string;
  hint: string;
  /** 1-based line of the cell. */
  line: number | null;
  cell: string | null;
  op: string | null;
}

export interface ModelData {
  name: string;
  state: 'READY' | 'FAILED' | 'LOADING' | 'UNAVAILABLE';
  target: string;
  src: string | null;
  device: string;
  instances: number;
  is_mock: boolean;
  decoupled: boolean;
  signature: string;
  error: ErrorData | null;
  cell: string | null;
  cell_text_hash: string | null;
  failed_src: string | null;
  requests: { success: number; failure: number };
  reload_ms: number | null;
  region: string | null;
}

export interface ShmBlock {
  offset: number;
  size: number;
  kind: string;
  age_s: number | null;
  line: number | null;
  request: string | null;
}

export interface ShmData {
  region: string;
  model: string | null;
  capacity: number;
  in_use: number;
  peak: number;
  /** null: not known, of a region that was not followed from its beginning. */
  growths: number | null;
  free: number;
  largest_free: number;
  queues: { name: string; depth: number; size: number }[];
  kinds: { kind: string; bytes: number; blocks: number }[];
  blocks: ShmBlock[];
  owner_alive: boolean;
  /** `leaks`: blocks are kept for several requests; `keeps`: for one. */
  verdict: 'busy' | 'leaks' | 'keeps' | 'grew' | 'steady';
  hint: string;
  /** Whether blocks are left out. */
  truncated: boolean;
}

export interface TensorData {
  name: string;
  datatype: string;
  shape: number[];
  bytes: number;
}

export interface SpanData {
  id: string | number;
  model: string;
  kind: string;
  how: string | null;
  decoupled: boolean;
  start_ns: number;
  duration_ns: number;
  line: number | null;
  cell: string | null;
  error: string | null;
  responses: number;
  inputs: TensorData[];
  outputs: TensorData[];
  children: SpanData[];
  critical: boolean;
}

export interface TraceData {
  id: string | number;
  model: string;
  ok: boolean;
  error: string | null;
  wall_ns: number;
  calls: number;
  root: SpanData;
}

export interface ServerData {
  name: string;
  url: string;
  kind: string;
  state: string;
  protect: boolean;
  models: { name: string; state: string; version: string | number; src: string | null }[];
}

export interface LogLine {
  seq: number;
  model: string;
  level: string;
  text: string;
  line: number | null;
}

export interface JobData {
  id: string;
  verb: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  progress: number | null;
  message: string;
  error: ErrorData | null;
  result: { text: string; data: unknown } | null;
}

export interface HelloData {
  versions: { workbench: string; protocol: number };
  features?: string[];
  session?: string;
  upgrade?: 'front end' | 'kernel';
}

interface Bodies {
  hello: HelloData;
  models: { models: ModelData[] };
  model: { model: ModelData };
  error: ErrorData;
  shm: { reports: ShmData[] };
  trace: { traces: TraceData[] };
  servers: { servers: ServerData[] };
  log: { lines: LogLine[]; dropped: number };
  job: JobData;
}

export type KernelMessage = {
  [K in keyof Bodies]: { v: number; kind: K; seq: number; body: Bodies[K] };
}[keyof Bodies];

const KINDS: ReadonlySet<string> = new Set<keyof Bodies>([
  'hello',
  'models',
  'model',
  'error',
  'shm',
  'trace',
  'servers',
  'log',
  'job'
]);

/** The message in a comm's data, or null where it is of a kind or version that this side does not know. */
export function readMessage(data: unknown): KernelMessage | null {
  const message = data as Partial<KernelMessage> | null;
  if (!message || message.v !== PROTOCOL || typeof message.kind !== 'string' || !message.body) {
    return null;
  }
  return KINDS.has(message.kind) ? (message as KernelMessage) : null;
}
