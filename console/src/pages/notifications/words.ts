/** What one is told of, and by what, as people say it: within a sentence. */
import type { Schemas } from "../../api/client";
import { sentence } from "../../parts/words";

export type Subscription = Schemas["SubscriptionRead"];
export type Delivery = Schemas["DeliveryRead"];

export const TOPICS: Record<Schemas["Topic"], string> = {
  "cluster.failed": "a cluster fails",
  "instance.failed": "an instance fails",
  "operation.failed": "an operation fails",
  "quota.threshold": "a limit of yours is nearly or wholly used",
};

export const CHANNELS: Record<Schemas["Channel"], string> = { webhook: "Webhook", email: "Mail" };

const ALSO_SENT: Record<string, string> = { ping: "a test", confirmation: "a code to confirm with" };

/** As a heading. */
export function nameOf(topic: string): string {
  return sentence({ ...TOPICS, ...ALSO_SENT }[topic] ?? topic);
}
