import type { MailMessage } from "./model.js";

export type { MailMessage };
export const parse = (text: string): MailMessage => JSON.parse(text);
export const encode = (message: MailMessage): string => JSON.stringify(message);
