import type { components } from "./model.js";

export type MailMessage = components["schemas"]["MailMessage"];
export const parse = (text: string): MailMessage => JSON.parse(text);
export const encode = (message: MailMessage): string => JSON.stringify(message);
