// The advisor's words on the wire: `POST /api/v1/analyze`, and how much of its answer can be believed.
import type { Advice, AdvisorQuestion } from '#app/ports';
import { compact } from '#contract/compact';
import { BudgetError } from '#domain/errors';
import { formatMemory } from '#domain/memory';
import { ceilDiv, MAX_AMOUNT_MICRO_USD, parseDecimal } from '#domain/money';
import { formatWallTime } from '#domain/slurm-time';

export const ANALYZE_PATH = '/api/v1/analyze';
/** An answer is one price and some words. */
export const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_RECOMMENDATION_CHARS = 500;
/** Room for any double of a ten-millionth of a dollar or more: a sum of floats has such tails, and they are rounded up. */
const MAX_COST_DECIMALS = 24;
const USD_DECIMALS = 6;

export const questionBody = (question: AdvisorQuestion): string =>
  JSON.stringify({
    account: question.account,
    partition: question.partition,
    nodes: question.nodes,
    cpus: question.cpus,
    ...(question.gpus === 0 ? {} : { gpus: question.gpus }),
    ...(question.memoryMib === undefined ? {} : { memory: formatMemory(question.memoryMib) }),
    wall_time: formatWallTime(question.wallTimeSeconds),
    ...compact({ job_script: question.jobScript }),
    timestamp: new Date(question.at).toISOString(),
    metadata: { region: question.region, instance_types: question.instanceTypes },
  });

/**
 * What an answer says. Outcomes name what is wrong with it and quote none of its text: they are shown to users.
 * @param text of a successful answer
 */
export const adviceIn = (text: string): Advice | { readonly unreadable: string } => {
  const answer = parsedObject(text);
  if (answer === undefined) return { unreadable: 'answered with no JSON object' };
  const { estimated_cost, recommendation, confidence, error } = answer;
  if (error !== undefined && error !== null && error !== '') return notBelieved('answered with an error');
  if (typeof estimated_cost !== 'number') return notBelieved('answered without a number as estimated_cost');
  const cost = costOf(estimated_cost);
  if (typeof cost === 'string') return notBelieved(cost);
  return { believed: true, cost, recommendation: wordsOf(recommendation), confidence: fractionOf(confidence) };
};

const notBelieved = (outcome: string): Advice => ({ believed: false, outcome });

const parsedObject = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

/** Micro-dollars, rounded up, or why this cannot be a cost. A cost of 0 is none: nothing on AWS is free. */
const costOf = (dollars: number): bigint | string => {
  if (dollars < 0) return 'answered with a negative cost';
  if (dollars === 0) return 'answered with a cost of 0';
  try {
    const cost = ceilDiv(parseDecimal(dollars, MAX_COST_DECIMALS), 10n ** BigInt(MAX_COST_DECIMALS - USD_DECIMALS));
    return cost > MAX_AMOUNT_MICRO_USD ? 'answered with a cost that is too large' : cost;
  } catch (error) {
    if (error instanceof BudgetError) return 'answered with a cost that is no amount of money';
    throw error;
  }
};

/** Text for a terminal: on one line, without control characters. */
const wordsOf = (recommendation: unknown): string | null => {
  if (typeof recommendation !== 'string') return null;
  const words = recommendation
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, MAX_RECOMMENDATION_CHARS)
    .replace(/[\uD800-\uDBFF]$/, ''); // Half a character, where the cut went through one.
  return words === '' ? null : words;
};

const fractionOf = (confidence: unknown): number | null =>
  typeof confidence === 'number' && !Number.isNaN(confidence) ? Math.min(1, Math.max(0, confidence)) : null;
