// kill.test.ts (long): the kill test with ten kills.
process.env.PUPIL_KILLS = '10';
await import('../cli/kill.test');

export {};
