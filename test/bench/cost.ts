// `npm run -s cost > docs/cost.md`: what a job costs on AWS, from what it is counted to do.
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { countCost } from '#test/bench/cost-count';
import { costDocument } from '#test/bench/cost-document';

const dynamo = await startDynamoDbLocal();
try {
  process.stdout.write(costDocument(await countCost(dynamo.endpoint)));
} finally {
  await dynamo.stop();
}
