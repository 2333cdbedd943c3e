// apiFaults.test.ts: the API teacher keeps its promises (faultStories.ts) over random faults, stops and deaths. Ten thousand
// stories are told by test/long.
import { describe, it } from 'vitest';
import { tellFaultStories } from '../../support/faultStories';

const STORIES = 1500;

describe('the API teacher', () => {
  it(`loses, doubles and misattributes nothing, and keeps its budget, in ${STORIES} random stories of faults`, () =>
    tellFaultStories(STORIES, 7));
});
