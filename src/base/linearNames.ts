// linearNames.ts: the seven linear layers of a decoder block, by Hugging Face's names. Their sizes are model/linearNames.ts.
export const LINEAR_NAMES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type LinearName = (typeof LINEAR_NAMES)[number];
