// Starts DynamoDB Local on the folder of its first argument, says where java is, and then waits to be killed.
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';

const [directory] = process.argv.slice(2);
const store = await startDynamoDbLocal(directory === undefined ? {} : { directory });
console.log(JSON.stringify({ pid: store.pid, endpoint: store.endpoint }));
