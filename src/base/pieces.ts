// pieces.ts: what a download needs of a place that keeps its pieces until it is complete: the interface between where files
// come from (sources/) and where they are kept (storage/). No code.

/** Pieces of one file. Piece i holds bytes [i·pieceBytes, (i+1)·pieceBytes) of it; the last one may be shorter. */
export interface PieceFile {
  has(index: number): boolean;
  /** The piece, its checksum checked; undefined where there is none (any more), or a damaged one. */
  read(index: number): Promise<Uint8Array | undefined>;
  /** Keeps a piece, if there is room. Never throws: what cannot be kept is downloaded again some day. */
  write(index: number, bytes: Uint8Array): Promise<void>;
}

export interface PieceStore {
  readonly pieceBytes: number;
  /** Told once, when nothing more can be kept. */
  onWarning?: ((text: string) => void) | undefined;
  /**
   * The pieces of a file.
   * @param group what is forgotten together: a model at one commit.
   * @param file tells the file and its contents among the group, wherever it is fetched from.
   */
  openFile(group: string, file: string, sizeBytes: number): Promise<PieceFile>;
  /** Deletes what is kept of a group. Never throws. */
  forget(group: string): Promise<void>;
}
