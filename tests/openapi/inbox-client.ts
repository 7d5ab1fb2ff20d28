// A client of the inbox API: types by openapi-typescript, requests by openapi-fetch, no option set.

import createClient from "openapi-fetch";
import type { components, paths } from "./inbox-api.js";

const api = createClient<paths>({ baseUrl: "http://127.0.0.1:8025" });

export async function readCode(to: string): Promise<string> {
  const { data, error, response } = await api.GET("/api/messages/latest", { params: { query: { to, wait: 10 } } });
  if (data === undefined) {
    throw new Error(`${response.status}: ${error.error}`);
  }
  const type: string | undefined = data.message?.type;
  const [name, value] = data.headers[0] ?? [];
  return data.message?.payload.code ?? `${type} without a code, ${name}: ${value}`;
}

export async function failTwice(to: string): Promise<components["schemas"]["Reply"][]> {
  await api.DELETE("/api/messages", { params: { query: { to } } });
  await api.POST("/api/replies", { body: { status: 503 } });
  await api.POST("/api/replies", { body: { reply: "redirect", location: "/elsewhere", to } });
  const { data } = await api.POST("/api/replies", { body: { reply: "reset", times: 2 } });
  return data?.replies ?? [];
}

export function describe(reply: components["schemas"]["Reply"]): string {
  // The discriminator tells the kinds apart.
  return reply.reply === "redirect" ? reply.location : reply.reply;
}

// @ts-expect-error a redirect has a location
export const withoutLocation: components["schemas"]["Reply"] = { reply: "redirect" };
// @ts-expect-error no such kind
export const unknownKind: components["schemas"]["Reply"] = { reply: "explode" };
