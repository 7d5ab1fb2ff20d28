// Reads a message as a receiver does, by typed access to generated code. `adapter.ts` is that of the generator.

import { encode, type MailMessage, parse } from "./adapter.js";

type Named<Name> = { id: string; name: Name | undefined };

interface Context {
  code: string | undefined;
  application: Named<string> | undefined;
  organization: Named<string> | undefined;
  user: Named<string | null> | undefined;
  inviter: Named<string | null> | undefined;
}

function contextOf({ payload: { code, application, organization, user, inviter } }: MailMessage): Context {
  return {
    code,
    application: application && { id: application.id, name: application.name },
    organization: organization && { id: organization.id, name: organization.name },
    user: user && { id: user.id, name: user.name },
    inviter: inviter && { id: inviter.id, name: inviter.name },
  };
}

// Each line is an error unless the member has a type of its own: `any` would allow it.
export function expectTypes({ payload }: MailMessage): void {
  // @ts-expect-error
  payload.code satisfies number | undefined;
  // @ts-expect-error
  payload.application satisfies { id: number } | undefined;
  // @ts-expect-error
  payload.organization satisfies { id: number } | undefined;
  // @ts-expect-error
  payload.user satisfies { id: number } | undefined;
  // @ts-expect-error
  payload.inviter satisfies { id: number } | undefined;
}

export function read(text: string): { context: Context; encoded: string } {
  const message = parse(text);
  return { context: contextOf(message), encoded: encode(message) };
}
