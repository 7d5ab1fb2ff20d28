// A sender of messages to a receiver: types by openapi-typescript, requests by openapi-fetch, no option set.

import createClient from "openapi-fetch";
import type { components, paths } from "./mail.js";

type MailMessage = components["schemas"]["MailMessage"];

const receiver = createClient<paths>({ baseUrl: "http://127.0.0.1:3000" });

export async function send(message: MailMessage): Promise<number> {
  const { response } = await receiver.POST("/logto-mail", { body: message });
  return response.status;
}

export function greet({ payload }: MailMessage): string {
  const name: string | null | undefined = payload.user?.name ?? payload.inviter?.primaryEmail;
  return `${name ?? "Someone"} at ${payload.organization?.name ?? payload.application?.displayName}`;
}

export const later: MailMessage = { to: "foo@example.com", type: "MagicLink", payload: { risk: { level: 3 } } };
// @ts-expect-error a code is text
export const numeric: MailMessage = { to: "foo@example.com", type: "SignIn", payload: { code: 31415 } };
