// exportProtocol.ts: what is asked and told when an adapter is exported. A part of protocol.ts. Types only.
import type { FileRoot } from '../sources/fileRoot';

/** `pupil export`: the adapter as PEFT or GGUF, or merged into the base weights (safetensors or GGUF). */
export interface ExportRequest {
  files: FileRoot;
  out: FileRoot;
  /** Folders within `files`. */
  student: string;
  adapter: string;
  format: 'peft' | 'merged' | 'gguf' | 'gguf-adapter';
  /**
   * Over which values it is merged: the stored ones, or these through NF4. Absent: those it was trained over, where its
   * folder says so (`pupil.json`), else the stored ones.
   */
  quantize?: 'none' | 'nf4' | 'nf4-double';
  /**
   * Of merged weights: `keep` is each tensor as it is stored. The standard: keep; f16 for `gguf` (its vectors are f32); f32 for
   * the factors of `gguf-adapter`.
   */
  dtype?: 'keep' | 'f32' | 'f16' | 'bf16';
}

export interface ExportSummary {
  /** Paths within `out`. */
  written: string[];
  /** What a person should know of it, a sentence each; some begin with "warning:". */
  notes: string[];
  merged?: {
    quantize: 'none' | 'nf4' | 'nf4-double';
    /** Of most weights. */
    dtype: 'f32' | 'f16' | 'bf16';
    /** ‖what rounding to the dtype changed‖ / ‖scale·B·A‖ over all tensors that were computed. */
    roundingShare: number;
  };
}
