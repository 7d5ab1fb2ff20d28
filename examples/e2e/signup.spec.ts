import { randomUUID } from 'node:crypto';
import { expect, test as base, type APIRequestContext } from '@playwright/test';

const { APP_URL = '', MAIL_ENDPOINT = '' } = process.env;

// A recipient of its own keeps each test apart from those that run beside it.
const test = base.extend<{ email: string }>({
  email: async ({}, use) => use(`${randomUUID()}@example.com`),
});

/** Waits for the newest mail to a recipient. If none comes, the failure says what came instead. */
async function mailTo(email: string, type: string, request: APIRequestContext) {
  const params = { to: email, type, wait: 10 };
  const answer = await request.get(`${MAIL_ENDPOINT}/api/messages/latest`, { params });
  expect(answer.ok(), await answer.text()).toBe(true);
  return answer.json();
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

test('tells when the mail service fails', async ({ page, request, email }) => {
  const failure = { reply: 'answer', status: 503, to: email, times: 1 };
  const scripted = await request.post(`${MAIL_ENDPOINT}/api/replies`, { data: failure });
  expect(scripted.ok(), await scripted.text()).toBe(true);

  await page.goto(APP_URL);
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();

  await expect(page.getByRole('alert')).toContainText('We could not send the mail');
});

test('says what came when a mail does not come', async ({ page, request, email }) => {
  await page.goto(APP_URL);
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByLabel('Code')).toBeVisible();

  const params = { to: email, type: 'ForgotPassword' };
  const answer = await request.get(`${MAIL_ENDPOINT}/api/messages/latest`, { params });

  expect(answer.status()).toBe(404);
  const { arrived } = await answer.json();
  expect(arrived).toContainEqual(expect.objectContaining({ to: email, type: 'Register' }));
});
