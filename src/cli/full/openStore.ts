// openStore.ts: the artefact store that `--store` names: a folder, or `s3://bucket/prefix`. The S3 client is large and loaded
// for a bucket only.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { PupilError } from '../../base/errors';
import type { ArtefactStore } from './artefactStore';
import { FolderStore } from './folderStore';

export interface StoreFlags {
  store?: string;
  s3Endpoint?: string;
  s3Region?: string;
  /** false for `--no-s3-path-style`. */
  s3PathStyle?: boolean;
}

export function withStoreFlags(command: Command): Command {
  return command
    .option('--store <place>', 'where artefacts are kept for all machines: a shared folder, or s3://bucket/prefix')
    .option('--s3-endpoint <url>', 'of MinIO, Ceph and the like (default: AWS_ENDPOINT_URL_S3, or Amazon)')
    .option('--s3-region <name>', 'region of the bucket (default: AWS_REGION)')
    .option('--no-s3-path-style', "name the bucket in the host's name although an endpoint is given");
}

/**
 * @param writes whether it will be written to: a bucket is tried then
 * @throws PupilError `usage` where none is named, `storage` where it cannot be used
 */
export async function openStore(flags: StoreFlags, writes = false): Promise<ArtefactStore> {
  const { store, s3Endpoint, s3Region, s3PathStyle } = flags;
  if (store === undefined) {
    throw new PupilError(
      'usage',
      '--store: expected where the artefacts are kept',
      'Name a folder that all machines see, or s3://bucket/prefix.',
    );
  }
  if (!store.startsWith('s3:')) {
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(store)) {
      throw new PupilError('usage', `--store: expected a folder or s3://bucket/prefix, got ${store}`);
    }
    return FolderStore.open(resolve(store));
  }
  const { S3Store } = await import('./s3Store');
  return S3Store.open(store, {
    ...(s3Endpoint === undefined ? {} : { endpoint: s3Endpoint }),
    ...(s3Region === undefined ? {} : { region: s3Region }),
    writes,
    ...(s3PathStyle === false ? { pathStyle: false } : {}),
  });
}
