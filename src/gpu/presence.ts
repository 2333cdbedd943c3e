// presence.ts: whether this place has WebGPU at all, without asking for an adapter. That it is there does not say that it works.

/** False where `navigator.gpu` is missing: an old browser, an address that is not secure, or switched off. */
export const hasWebGpu = (): boolean => typeof navigator !== 'undefined' && navigator.gpu !== undefined;
