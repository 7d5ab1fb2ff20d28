import { Convert } from "./model.js";

export type { MailMessage } from "./model.js";
export const parse = Convert.toMailMessage;
export const encode = Convert.mailMessageToJson;
