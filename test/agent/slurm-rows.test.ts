// Lines as Slurm 22.05, 24.11 and 26.05 have printed them, and lines that none should.
import { describe, expect, it } from 'vitest';
import { BadLine, parseAccountedRun, parseQueuedJob, submissionIdIn } from '#cli/agent/slurm-rows';

const HOLD = '7990662a-d703-4f01-b1a1-80a91a557842';
const MARK = `asbb:${HOLD}`;

/** A line of squeue; `changes` by column, counted from 0. */
const queued = (changes: Readonly<Record<number, string>> = {}): string => {
  const columns = `1|1|physics|alice|aws|RUNNING|1|1|1|1:00:00|1795595495|1795595497|1795599097|0|cpu=1,mem=1G,node=1,billing=1|node1|${MARK}|`;
  return changed(columns, changes);
};

/** A row of sacct, likewise. */
const accounted = (changes: Readonly<Record<number, string>> = {}): string => {
  const columns = `17|5|5|testbed|alice|physics|aws|COMPLETED|1795595495|1795595497|1795595557|60|1|billing=1,cpu=1,mem=1G,node=1|node1|${MARK}`;
  return changed(columns, changes);
};

const changed = (line: string, changes: Readonly<Record<number, string>>): string =>
  line
    .split('|')
    .map((column, index) => changes[index] ?? column)
    .join('|');

describe('a line of squeue', () => {
  it('says everything of a running job', () => {
    expect(parseQueuedJob(queued())).toEqual({
      jobId: '1',
      submissionId: '1',
      account: 'physics',
      user: 'alice',
      partition: 'aws',
      state: 'RUNNING',
      nodes: 1,
      maxNodes: 1,
      cpus: 1,
      timeLimitSeconds: 3600,
      submittedAt: 1795595495,
      startedAt: 1795595497,
      endedAt: 1795599097,
      restarts: 0,
      tres: 'cpu=1,mem=1G,node=1,billing=1',
      nodeList: 'node1',
      holdId: HOLD,
    });
  });

  // Whole lines: 22.05, 24.11 and 26.05 print the same, and cut none off.
  it.each([
    [
      'a waiting array with a throttle, which has the guess of a start',
      `3|3_[0-3%2]|physics|alice|aws|PENDING|1|1|1|1:00:00|1795595495|1795599097|1795602697|0|cpu=1,mem=140000M,node=1,billing=1||${MARK}|`,
      { jobId: '3', submissionId: '3', tasks: [{ first: 0, last: 3, step: 1 }], state: 'PENDING', startedAt: 1795599097, holdId: HOLD },
    ],
    [
      'every second task, and days',
      `2|2_[1-1999:2%3]|physics|alice|aws|PENDING|1|1|1|2-01:03:00|1795595495|N/A|N/A|0|cpu=1,mem=140000M,node=1,billing=1||${MARK}|`,
      { submissionId: '2', tasks: [{ first: 1, last: 1999, step: 2 }], timeLimitSeconds: 176_580, startedAt: null, endedAt: null },
    ],
    [
      'an array that was cancelled while it waited: its end is its start',
      `2|2_[1-1999:2%3]|physics|alice|aws|CANCELLED|1|1|1|2-01:03:00|1795595495|1795595497|1795595497|0|cpu=1,mem=140000M,node=1,billing=1||${MARK}|`,
      { submissionId: '2', state: 'CANCELLED', startedAt: 1795595497, endedAt: 1795595497 },
    ],
    [
      'a task with a number of its own',
      `12|3_2|physics|alice|aws|COMPLETED|1|1|1|1:00:00|1795595495|1795595503|1795595505|0|cpu=1,mem=1G,node=1,billing=1||${MARK}|`,
      { jobId: '12', submissionId: '3', tasks: [{ first: 2, last: 2, step: 1 }], startedAt: 1795595503, endedAt: 1795595505 },
    ],
    [
      'a component of a het job, whose number and hold are its own',
      `9|8+1|physics|alice|aws|PENDING|1|1|1|5:00|1795595495|N/A|N/A|0|cpu=1,mem=140000M,node=1,billing=1||${MARK}|`,
      { jobId: '9', submissionId: '9', timeLimitSeconds: 300 },
    ],
    [
      'a list of partitions, and a range of nodes',
      `5|5|physics|alice|aws,local|PENDING|2|8|1|9:00|1795595495|N/A|N/A|0|cpu=1,mem=280000M,node=2,billing=1||${MARK}|`,
      { partition: 'aws,local', nodes: 2, maxNodes: 8 },
    ],
    [
      'a job that was requeued and is not yet gone from its nodes',
      `1|1|physics|alice|aws|COMPLETING|1|1|1|1:00:00|1795595495|1795595497|1795599097|1|cpu=1,mem=1G,node=1,billing=1||${MARK}|`,
      { state: 'COMPLETING', restarts: 1 },
    ],
  ])('%s', (_, line, expected) => {
    expect(parseQueuedJob(line)).toMatchObject(expected);
  });

  it.each([
    ['no limit, no mark', queued({ 9: 'UNLIMITED', 16: '(null)' }), { timeLimitSeconds: null }],
    ['a limit that is not set', queued({ 9: 'NOT_SET' }), { timeLimitSeconds: null }],
    ['an account in capitals', queued({ 2: 'PHYSICS' }), { account: 'physics' }],
    ['no account', queued({ 2: '(null)' }), { account: '' }],
    [
      'empty fields',
      queued({ 2: '', 3: '', 4: '', 7: '', 14: '', 15: '' }),
      { account: '', user: '', partition: '', maxNodes: 0, tres: '' },
    ],
    ['large counts, shortened', queued({ 6: '2K', 8: '16K' }), { nodes: 2048, cpus: 16_384 }],
    ['the mark after somebody else’s words and bars', queued({ 16: `chain|of|custody ${MARK}` }), { holdId: HOLD }],
    [
      'two marks: the plugin appends its own',
      queued({ 16: `asbb:${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)} ${MARK}` }),
      { holdId: HOLD },
    ],
    ['a task list that Slurm cut off', queued({ 1: '1_[1,3,5,...]' }), { submissionId: '1', tasks: 'unknown' }],
  ])('%s', (_, line, expected) => {
    expect(parseQueuedJob(line)).toMatchObject(expected);
  });

  it('what is no mark of ours is none', () => {
    expect(parseQueuedJob(queued({ 16: 'asbb:not-an-id' }))).not.toHaveProperty('holdId');
    expect(parseQueuedJob(queued({ 16: `x${MARK}` }))).not.toHaveProperty('holdId');
  });

  it.each([
    ['too few columns', '1|1|physics|alice|aws|', 'has 6 columns instead of 18'],
    ['a job id that is no number', queued({ 0: 'one' }), "has JobID 'one', which is no number"],
    ['a negative job id', queued({ 0: '-1' }), "has JobID '-1', which is no number"],
    ['tasks of no array', queued({ 1: '1_[3-1]' }), "has tasks '[3-1]', which are none of an array"],
    ['a state in small letters', queued({ 5: 'running' }), "has State 'running', which is no state of Slurm"],
    ['a state that is empty', queued({ 5: '' }), "has State '', which is no state of Slurm"],
    ['nodes that are no count', queued({ 6: '-3' }), "has NumNodes '-3', which is no count"],
    ['nodes beyond counting', queued({ 6: '99999999999' }), "has NumNodes '99999999999', which is no count"],
    ['a limit that is no time', queued({ 9: '1:2:3:4' }), "has TimeLimit '1:2:3:4', which is no time"],
    ['no submit time', queued({ 10: 'N/A' }), 'has no SubmitTime'],
    ['a date where seconds belong', queued({ 11: '2026-11-25T08:31:35' }), "has StartTime '2026-11-25T08:31:35', which is no time"],
    ['a start after the year 9999', queued({ 11: '253402300800' }), "has StartTime '253402300800', which is no time"],
    ['a bar in an account', queued({ 2: 'phy|sics' }), "has State 'aws', which is no state of Slurm"],
  ])('is refused with %s', (_, line, problem) => {
    expect(() => parseQueuedJob(line)).toThrow(BadLine);
    expect(() => parseQueuedJob(line)).toThrow(problem);
  });
});

describe('a row of sacct', () => {
  it('says everything of an ended run', () => {
    expect(parseAccountedRun(accounted())).toEqual({
      dbIndex: '17',
      jobId: '5',
      submissionId: '5',
      cluster: 'testbed',
      user: 'alice',
      account: 'physics',
      partition: 'aws',
      state: 'COMPLETED',
      submittedAt: 1795595495,
      startedAt: 1795595497,
      endedAt: 1795595557,
      nodes: 1,
      tres: 'billing=1,cpu=1,mem=1G,node=1',
      holdId: HOLD,
    });
  });

  // Whole rows, of 22.05 (later ones have the same columns, and no slurmdbd here to fill them).
  it.each([
    [
      'a run that was requeued',
      `2|1|1|testbed|alice|physics|aws|REQUEUED|1795595533|1795595534|1795595534|0|1|billing=1,cpu=1,mem=1G,node=1|vm|${MARK}`,
      { dbIndex: '2', state: 'REQUEUED', startedAt: 1795595534, endedAt: 1795595534, nodes: 1 },
    ],
    [
      'a job that was cancelled while it waited: it has a start, and never had a node',
      `1|7|7|testbed|alice|physics|aws|CANCELLED by 1004|1795595533|1795595533|1795595533|0|0||None assigned|${MARK}`,
      { state: 'CANCELLED', startedAt: null, endedAt: 1795595533, nodes: 0, tres: '' },
    ],
    [
      'an array that was cancelled while it waited is one row',
      `4|2|2_[1-1999:2%3]|testbed|alice|physics|aws|CANCELLED by 1004|1795595533|1795595534|1795595534|0|0||None assigned|${MARK}`,
      { submissionId: '2', tasks: [{ first: 1, last: 1999, step: 2 }], startedAt: null },
    ],
    [
      'a task with a number of its own',
      `18|12|3_2|testbed|alice|physics|aws|COMPLETED|1795595533|1795595540|1795595542|2|1|billing=1,cpu=1,mem=1G,node=1|vm|${MARK}`,
      { jobId: '12', submissionId: '3', tasks: [{ first: 2, last: 2, step: 1 }] },
    ],
    [
      'the last task, which takes the number of its array',
      `17|3|3_3|testbed|alice|physics|aws|COMPLETED|1795595533|1795595543|1795595545|2|1|billing=1,cpu=1,mem=1G,node=1|vm|${MARK}`,
      { jobId: '3', submissionId: '3', tasks: [{ first: 3, last: 3, step: 1 }] },
    ],
  ])('%s', (_, line, expected) => {
    expect(parseAccountedRun(line)).toMatchObject(expected);
  });

  it.each([
    ['a state with its cause', accounted({ 7: 'CANCELLED by 1001' }), { state: 'CANCELLED' }],
    ['a run that has not ended', accounted({ 7: 'RUNNING', 10: 'Unknown' }), { endedAt: null }],
    ['a start that is none', accounted({ 9: 'None', 12: '0', 14: 'None assigned' }), { startedAt: null, nodes: 0 }],
    ['a start without nodes, which is none', accounted({ 12: '0', 14: 'None assigned' }), { startedAt: null, nodes: 0 }],
    ['empty fields', accounted({ 4: '', 5: '', 6: '', 13: '', 14: '', 15: '' }), { user: '', account: '', partition: '', tres: '' }],
    ['a bar in AdminComment', accounted({ 15: `a|b|c ${MARK}` }), { holdId: HOLD }],
  ])('%s', (_, line, expected) => {
    expect(parseAccountedRun(line)).toMatchObject(expected);
  });

  // Slurm 22.05.8, of a job of two nodes that gave one back after six seconds: the second row has the first one's start.
  it.each([
    ['that gave nodes back, before', accounted({ 7: 'RESIZING', 8: '1795595707', 9: '1795595709', 10: '1795595715' }), 1795595709],
    ['that gave nodes back, after', accounted({ 8: '1795595715', 9: '1795595709', 10: '1795595749' }), 1795595715],
  ])('of a job %s, is charged from its own beginning', (_, line, startedAt) => {
    expect(parseAccountedRun(line)).toMatchObject({ startedAt });
  });

  it.each([
    ['too few columns', '17|5|5|testbed|alice', 'has 5 columns instead of 16'],
    ['an index that is no number', accounted({ 0: 'x' }), "has DBIndex 'x', which is no number"],
    ['a bar in an account', accounted({ 5: 'phy|sics' }), "has State 'aws', which is no state of Slurm"],
    ['an end before its start', accounted({ 10: '1795595000' }), 'ends (1795595000) before it starts (1795595497)'],
    ['an end that is no number', accounted({ 10: '1e9' }), "has End '1e9', which is no time"],
    ['no submit time', accounted({ 8: 'Unknown' }), 'has no Submit'],
    ['nodes that are no count', accounted({ 12: 'many' }), "has AllocNodes 'many', which is no count"],
  ])('is refused with %s', (_, line, problem) => {
    expect(() => parseAccountedRun(line)).toThrow(BadLine);
    expect(() => parseAccountedRun(line)).toThrow(problem);
  });
});

describe('whose line it is, when the rest makes no sense', () => {
  it.each([
    ['squeue', '12|3_2|physics', '3'],
    ['squeue', '3|3_[0-3%2]|', '3'],
    ['squeue', '9|8+1|x', '9'],
    ['squeue', '5|5|', '5'],
    ['sacct', '17|12|3_2|testbed', '3'],
    ['sacct', 'x|5|5|', '5'],
  ] as const)('%s: %s', (source, line, expected) => {
    expect(submissionIdIn(source, line)).toBe(expected);
  });

  it.each([
    ['squeue', '12|3'], // Of 3_2, perhaps.
    ['squeue', '5|banana|'],
    ['squeue', 'banana|5|'],
    ['squeue', 'slurm_load_jobs error: Unable to contact slurm controller'],
    ['sacct', '17|12|3'],
    ['sacct', '17|12'],
  ] as const)('%s: %s says nothing', (source, line) => {
    expect(submissionIdIn(source, line)).toBeUndefined();
  });
});
