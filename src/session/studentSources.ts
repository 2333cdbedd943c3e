// studentSources.ts: what a page and the command line say to a session about where students come from. Types only; a part of
// SessionApi.

/** The server that `hub:owner/name` means, and a token for it. */
export interface HubSettings {
  /** Base URL; https://huggingface.co where absent. */
  endpoint?: string;
  /** Kept in memory until it is set anew; sent to the endpoint's own origin only. Absent: none. */
  token?: string;
}

export interface StudentSourcesApi {
  /** Replaces the former settings. */
  setHub(settings: HubSettings): Promise<void>;
}
