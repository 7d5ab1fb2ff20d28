import { MailMessage as schema } from "./model.js";

export type { MailMessage } from "./model.js";
export const parse = (text: string) => schema.parse(JSON.parse(text));
export const encode = (message: unknown): string => JSON.stringify(message);
