// Thousands of stories of a model hub that fails in every way: those of test/unit/sources/hub.test.ts, more of them and by
// another seed.
import { it } from 'vitest';
import { tellHubStories } from '../support/hubStories';

it('5000 stories: the right bytes or a clear error, bounded requests, the token nowhere else', async () => {
  await tellHubStories(5000, 5);
});
