// Messages as a kernel sends them, for tests of models.
import type { ModelData, SpanData } from '../protocol';

export function model(changes: Partial<ModelData> = {}): ModelData {
  return {
    name: 'add',
    state: 'READY',
    target: 'live',
    src: 'src:1111111',
    device: 'cpu',
    instances: 1,
    is_mock: false,
    decoupled: false,
    signature: 'in: X FP32[4]  out: Y FP32[4]',
    error: null,
    cell: 'Cell In[1]',
    cell_text_hash: null,
    failed_src: null,
    requests: { success: 0, failure: 0 },
    reload_ms: null,
    region: null,
    ...changes
  };
}

export function span(id: string, children: SpanData[] = []): SpanData {
  return {
    id,
    model: `model_${id}`,
    kind: 'request',
    how: null,
    decoupled: false,
    start_ns: 0,
    duration_ns: 1,
    line: null,
    cell: null,
    error: null,
    responses: 1,
    inputs: [],
    outputs: [],
    children,
    critical: false
  };
}
