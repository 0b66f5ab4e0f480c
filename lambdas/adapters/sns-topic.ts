// Words for people who asked to hear of thresholds: an SNS topic, whose subscribers are mail addresses, chats and pagers.
import type { SNSClientConfig } from '@aws-sdk/client-sns';

const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;

export interface TopicOptions {
  readonly topicArn: string;
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default AWS's own, or AWS_ENDPOINT_URL_SNS */
  readonly endpoint?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<SNSClientConfig['credentials']>;
}

export interface Topic {
  /** @param message a subject of at most 100 ASCII characters, as SNS demands, and the text of a mail */
  publish(message: { readonly subject: string; readonly text: string }): Promise<void>;
}

/** Nothing is loaded or connected before the first message: most batches have none. The SDK tries three times. */
export const createTopic = ({ topicArn, ...where }: TopicOptions): Topic => {
  let connected: ReturnType<typeof connect> | undefined;
  return {
    publish: async ({ subject, text }) => {
      connected ??= connect(where);
      const { client, PublishCommand } = await connected;
      await client.send(new PublishCommand({ TopicArn: topicArn, Subject: subject, Message: text }));
    },
  };
};

const connect = async (where: Omit<TopicOptions, 'topicArn'>) => {
  const { SNSClient, PublishCommand } = await import('@aws-sdk/client-sns');
  const requestHandler = { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true };
  return { client: new SNSClient({ ...where, requestHandler }), PublishCommand };
};
