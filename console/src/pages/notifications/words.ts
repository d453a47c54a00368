/** What one is told of, and by what, as people say it. */
import type { Schemas } from "../../api/client";

export type Subscription = Schemas["SubscriptionRead"];
export type Delivery = Schemas["DeliveryRead"];

export const TOPICS: Record<Schemas["Topic"], string> = {
  "cluster.failed": "A cluster fails",
  "instance.failed": "An instance fails",
  "operation.failed": "An operation fails",
  "quota.threshold": "A limit of yours is nearly or wholly used",
};

export const CHANNELS: Record<Schemas["Channel"], string> = { webhook: "Webhook", email: "Mail" };

const ALSO_SENT: Record<string, string> = { ping: "A test", confirmation: "A code to confirm with" };

export function nameOf(topic: string): string {
  return { ...TOPICS, ...ALSO_SENT }[topic] ?? topic;
}
