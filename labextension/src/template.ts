// The notebook that "New Model Notebook" makes: load, model, infer, replay, export.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';

const MODEL = `%%triton model add_sub --in INPUT0:FP32[4] --in INPUT1:FP32[4] --out SUM:FP32[4] --out DIFF:FP32[4]
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            a = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            b = pb_utils.get_input_tensor_by_name(request, "INPUT1").as_numpy()
            outputs = [pb_utils.Tensor("SUM", a + b), pb_utils.Tensor("DIFF", a - b)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
`;

/** The cells, as pairs of a heading and code. */
export function templateCells(trans: TranslationBundle): [string, string][] {
  return [
    [
      trans.__(
        '# A Triton model\n\nRun the cells from the top. Edit the model and run its cell again: it reloads.'
      ),
      '%load_ext workbench'
    ],
    [trans.__('## The model'), MODEL.trimEnd()],
    [trans.__('## A request'), '%triton infer add_sub INPUT0=[1,2,3,4] INPUT1=[1,1,1,1]'],
    [trans.__('## The recorded requests again'), '%triton replay add_sub'],
    [trans.__('## As a model repository'), '%triton export add_sub repo --force']
  ];
}

export function templateNotebook(trans: TranslationBundle, kernel: JSONObject | null): JSONObject {
  const cells = templateCells(trans).flatMap(([heading, code]): JSONObject[] => [
    { cell_type: 'markdown', metadata: {}, source: heading },
    { cell_type: 'code', metadata: {}, source: code, outputs: [], execution_count: null }
  ]);
  return { nbformat: 4, nbformat_minor: 4, metadata: kernel ? { kernelspec: kernel } : {}, cells };
}
