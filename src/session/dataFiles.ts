// dataFiles.ts: the files of tasks and of demonstrations as texts, whatever they are: text as it stands, a parquet file as JSON
// lines, and the lesson's files, which are generated. What the rows mean is the tasks' and the teachers' business.
import { decodeUtf8 } from '../formats/jsonText';
import { parquetToJsonLines } from '../formats/parquet';
import { isParquet } from '../formats/parquetMagic';
import type { OpenRoot } from '../sources/openRoot';
import { isLessonFile, lessonFileText } from './lessonFiles';

/** Where tasks and demonstrations are read from. */
export type DataFiles = Pick<OpenRoot, 'readText'>;

/**
 * The data files under a root.
 * @returns `readText(path)`: throws PupilError `source` where there is no such file, `format` where it is neither UTF-8 text
 *   nor a parquet file that can be read, `config` for a lesson file that does not exist.
 */
export function dataFiles(root: Pick<OpenRoot, 'readBytes'>): DataFiles {
  return {
    readText: async (path) => {
      if (isLessonFile(path)) return lessonFileText(path);
      const bytes = await root.readBytes(path);
      return isParquet(path, bytes) ? parquetToJsonLines(bytes, path) : decodeUtf8(bytes, path);
    },
  };
}
