import { randomUUID } from 'node:crypto';
import { expect, test as base, type APIRequestContext } from '@playwright/test';

const { APP_URL = '', MAIL_ENDPOINT = '' } = process.env;

// Each test has its own recipient: other tests run at the same time.
const test = base.extend<{ email: string }>({
  email: async ({}, use) => use(`${randomUUID()}@example.com`),
});

/** Waits for the newest mail to a recipient. If none arrives, the failure lists what did. */
async function mailTo(email: string, type: string, request: APIRequestContext) {
  const params = { to: email, type, wait: 10 };
  const response = await request.get(`${MAIL_ENDPOINT}/api/messages/latest`, { params });
  expect(response.ok(), await response.text()).toBe(true);
  return response.json();
}

test('signs up with the code of the mail', async ({ page, request, email }) => {
  await page.goto(APP_URL);
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();

  const { code } = await mailTo(email, 'Register', request);
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: 'Verify' }).click();

  await expect(page.getByRole('heading', { name: 'Welcome' })).toBeVisible();
});

test('shows when the mail service fails', async ({ page, request, email }) => {
  const failure = { reply: 'response', status: 503, to: email, times: 1 };
  const scripted = await request.post(`${MAIL_ENDPOINT}/api/replies`, { data: failure });
  expect(scripted.ok(), await scripted.text()).toBe(true);

  await page.goto(APP_URL);
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();

  await expect(page.getByRole('alert')).toContainText('We could not send the mail');
});

test('lists what arrived when a mail does not arrive', async ({ page, request, email }) => {
  await page.goto(APP_URL);
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByLabel('Code')).toBeVisible();

  const params = { to: email, type: 'ForgotPassword' };
  const response = await request.get(`${MAIL_ENDPOINT}/api/messages/latest`, { params });

  expect(response.status()).toBe(404);
  const { arrived } = await response.json();
  expect(arrived).toContainEqual(expect.objectContaining({ to: email, type: 'Register' }));
});
