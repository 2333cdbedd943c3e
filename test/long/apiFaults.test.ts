// apiFaults.test.ts: the API teacher's promises over many more stories of faults than the unit tests have time for.
import { describe, it } from 'vitest';
import { seen, tellFaultStories } from '../support/faultStories';

const STORIES = 12_000;

describe('the API teacher', () => {
  it(`loses, doubles and misattributes nothing, and keeps its budget, in ${STORIES} random stories of faults`, async () => {
    await tellFaultStories(STORIES, 20261126);
    console.log(`${seen.requests} requests; ends of sittings: ${JSON.stringify([...seen.ends])}`);
  });
});
