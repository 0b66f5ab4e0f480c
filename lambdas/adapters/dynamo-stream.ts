// Records of the table's stream, as Lambda gets them, in the domain's words.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { fromAttributes, type Item } from '#adapters/dynamo-attributes';
import { decodeAccount, decodeEntry, decodeHold } from '#adapters/dynamo-items';
import type { Change } from '#app/ports';
import { followedKind } from '#contract/table';

type Image = NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']>;

/**
 * What a record says, or undefined if nobody follows its item. An entry is told of once, when it is written; of an account that
 * is new there is nothing to compare. What is deleted is a mark whose time is up, or an account that never had any money move.
 * @throws Error for a record that cannot be read, naming the item and what is wrong with it
 */
export const changeOf = (record: DynamoDBRecord): Change | undefined => {
  const { Keys, NewImage, OldImage } = record.dynamodb ?? {};
  if (Keys?.pk?.S === undefined || Keys.sk?.S === undefined) throw new Error('a stream record without the keys of our table');
  const kind = followedKind({ pk: Keys.pk.S, sk: Keys.sk.S });
  if (kind === undefined || record.eventName === 'REMOVE') return undefined;
  if (NewImage === undefined)
    throw new Error(`item ${Keys.pk.S} ${Keys.sk.S}: its record has no image; the stream needs NEW_AND_OLD_IMAGES`);
  const [before, after] = [OldImage && itemOf(OldImage), itemOf(NewImage)];
  switch (kind) {
    case 'entry':
      return before === undefined ? { kind, entry: decodeEntry(after) } : undefined;
    case 'hold':
      return { kind, before: before && decodeHold(before), after: decodeHold(after) };
    case 'account':
      return before && { kind, before: decodeAccount(before), after: decodeAccount(after) };
  }
};

/** The same notation, from another package of types. */
const itemOf = (image: Image): Item => fromAttributes(image as Record<string, AttributeValue>);
