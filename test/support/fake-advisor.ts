// An advisor without a network: what it says, how long it takes to say it, and what it was asked.
import type { Advice, Advisor, AdvisorQuestion } from '#app/ports';
import type { FakeClock } from '#test/support/fake-clock';

export interface FakeAdvisor extends Advisor {
  readonly questions: AdvisorQuestion[];
  /** How long each question might have waited. */
  readonly patience: { readonly ms: number; readonly maxTries: number }[];
}

/** @param answer an amount in micro-dollars, or any advice, by question */
export const aFakeAdvisor = (
  clock: FakeClock,
  answer: (question: AdvisorQuestion, index: number) => bigint | Advice | Promise<bigint | Advice>,
): FakeAdvisor => {
  const questions: AdvisorQuestion[] = [];
  const patience: FakeAdvisor['patience'] = [];
  return {
    questions,
    patience,
    ask: async (question, { until, maxTries }) => {
      questions.push(question);
      patience.push({ ms: until - clock.now(), maxTries });
      const said = await answer(question, questions.length - 1);
      return typeof said === 'bigint' ? { believed: true, cost: said, recommendation: null, confidence: null } : said;
    },
  };
};
